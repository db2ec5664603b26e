//! Error messages of the config file: which key, and what to write.

use std::borrow::Cow;

use super::settings;

/// The table that maps actions to key bindings.
pub const KEY_TABLE: &str = "keys";

const KEY: &str = "a key in quotes, or a list of them such as [\"p\", \"F5\"]";

/// Returns a description of the expected value of a key; `None` if the key does not exist.
#[must_use]
pub(crate) fn expected_value(key: &str) -> Option<Cow<'static, str>> {
    if key == KEY_TABLE || key.strip_prefix(KEY_TABLE).is_some_and(|rest| rest.starts_with('.')) {
        return Some(Cow::Borrowed(KEY));
    }
    settings::find(key).map(settings::Setting::expected)
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
        let keys: Vec<&str> = settings::all().map(|setting| setting.key).chain([KEY_TABLE]).collect();
        return format!("line {number}: unknown key `{key}`; the keys are {}", keys.join(", "));
    }
    match expected_value(&key) {
        Some(wanted) => format!("line {number}: {line}: {message}; behind {key} = write {wanted}"),
        None => format!("line {number}: {line}: {message}"),
    }
}
