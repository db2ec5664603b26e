//! The keys of the config file with a description of their values, for error messages.

/// All top-level keys and a description of the expected value.
pub const KEYS: [(&str, &str); 24] = [
    ("dir", FOLDER),
    ("port", "a number from 0 to 65535, where 0 lets the system choose"),
    ("state-dir", FOLDER),
    ("bind", "an IP address in quotes, such as \"192.168.1.20\""),
    ("no-dht", SWITCH),
    ("dht-nodes", "a list of addresses such as [\"router.example.org:6881\"]"),
    ("no-lsd", SWITCH),
    ("lan-unlimited", SWITCH),
    ("no-pex", SWITCH),
    ("no-utp", SWITCH),
    ("no-port-map", SWITCH),
    ("encryption", "\"off\", \"prefer\" or \"require\""),
    ("max-peers", "a number from 1"),
    ("max-active", "a number, where 0 is no limit"),
    ("down-limit", RATE),
    ("up-limit", RATE),
    ("log-file", "a path in quotes"),
    ("verbose", "0, 1 or 2"),
    ("theme", "\"auto\", \"dark\", \"light\", \"contrast\" or \"plain\""),
    ("ascii", SWITCH),
    ("no-mouse", SWITCH),
    ("frames", "a number from 1 to 60"),
    ("notify", "\"off\", \"bell\", \"terminal\" or \"both\""),
    ("title", SWITCH),
];

/// The table that maps actions to key bindings.
pub const KEY_TABLE: &str = "keys";

const SWITCH: &str = "true or false";
const FOLDER: &str = "a folder in quotes";
const RATE: &str = "a rate such as \"512K\" or \"10MB/s\", where 0 is no limit";
const KEY: &str = "a key in quotes, or a list of them such as [\"p\", \"F5\"]";

/// Returns a description of the expected value of a key; `None` if the key does not exist.
#[must_use]
pub fn expected_value(key: &str) -> Option<&'static str> {
    if key == KEY_TABLE || key.strip_prefix(KEY_TABLE).is_some_and(|rest| rest.starts_with('.')) {
        return Some(KEY);
    }
    KEYS.iter().find(|(name, _)| *name == key).map(|(_, wanted)| *wanted)
}

/// Formats a `toml` error as one sentence, with line, key and expected value.
pub(super) fn describe_error(text: &str, error: &toml::de::Error) -> String {
    let message = error.message().trim();
    let Some(at) = error.span().map(|span| span.start.min(text.len())) else { return message.to_owned() };
    let before = &text.as_bytes()[..at];
    let number = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let line = text.lines().nth(number - 1).unwrap_or_default().trim();
    let key = line.split('=').next().unwrap_or_default().trim().trim_matches(['"', '\'']);
    let head = |line: &'_ str| Some(line.trim().strip_prefix('[')?.split_once(']')?.0.trim().to_owned());
    let table = text.lines().take(number).filter_map(head).last();
    let key = table.map_or_else(|| key.to_owned(), |table| format!("{table}.{key}"));
    if message.starts_with("unknown field") {
        let keys: Vec<&str> = KEYS.iter().map(|(name, _)| *name).chain([KEY_TABLE]).collect();
        return format!("line {number}: unknown key `{key}`; the keys are {}", keys.join(", "));
    }
    match expected_value(&key) {
        Some(wanted) => format!("line {number}: {line}: {message}; behind {key} = write {wanted}"),
        None => format!("line {number}: {line}: {message}"),
    }
}
