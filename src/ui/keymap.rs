//! The keys that hold in this run: the table of [`keys`](super::keys) with what the user's config puts elsewhere.
//!
//! In the `[keys]` table of the config an action is called by its name, which is the name of its [`Act`] in small
//! letters: `queue-up`, `tab-peers`. Its value is a key or a list of keys; an empty list takes the action off the keys.

use std::collections::BTreeMap;
use std::fmt;

use crate::ui::keys::{Act, Binding, KEYS, Key, Place};

/// A line of the table with the keys that it has in this run.
#[derive(Clone, Debug)]
pub struct Live {
    /// Where it holds, what it does, and the same in words.
    pub binding: &'static Binding,
    /// The keys, any of which will do.
    pub keys: Vec<Key>,
    /// The keys as people write them, with spaces between.
    pub shown: String,
}

impl Live {
    /// Its first key as a hint writes it; empty where it has none.
    #[must_use]
    pub fn first(&self) -> &str {
        self.shown.split(' ').next().unwrap_or("")
    }
}

/// All keys of this run.
#[derive(Clone, Debug)]
pub struct Keymap {
    lines: Vec<Live>,
}

impl Default for Keymap {
    fn default() -> Self {
        let live =
            |binding: &'static Binding| Live { binding, keys: binding.keys.to_vec(), shown: binding.shown.to_owned() };
        Keymap { lines: KEYS.iter().map(live).collect() }
    }
}

impl Keymap {
    /// The default keys changed as a `[keys]` table says, and one sentence for each line of it that cannot be had: there
    /// the default stays.
    #[must_use]
    pub fn new(table: &BTreeMap<String, Vec<String>>) -> (Self, Vec<String>) {
        let mut map = Keymap::default();
        let mut faults = Vec::new();
        let mut changed: Vec<Act> = Vec::new();
        for (name, texts) in table {
            let Some(act) = KEYS.iter().map(|b| b.act).find(|act| act.name() == *name) else {
                faults.push(format!("[keys] {name}: there is no such action; `:` lists all with their names"));
                continue;
            };
            match texts.iter().map(|text| key(text)).collect::<Result<Vec<_>, _>>() {
                Ok(keys) => {
                    map.put(act, &keys);
                    changed.push(act);
                }
                Err(why) => faults.push(format!("[keys] {name}: {why}; it stays {}", default_keys(act))),
            }
        }
        while let Some((act, key, other)) = map.clash(&changed) {
            let theirs = other.binding.act.name();
            faults.push(format!("[keys] {}: {key} is taken by {theirs}; it stays {}", act.name(), default_keys(act)));
            changed.retain(|a| *a != act);
            map.reset(act);
        }
        (map, faults)
    }

    fn put(&mut self, act: Act, keys: &[Key]) {
        for line in self.lines.iter_mut().filter(|line| line.binding.act == act) {
            line.keys = keys.to_vec();
            line.shown = keys.iter().map(Key::to_string).collect::<Vec<_>>().join(" ");
        }
    }

    fn reset(&mut self, act: Act) {
        for line in self.lines.iter_mut().filter(|line| line.binding.act == act) {
            line.keys = line.binding.keys.to_vec();
            line.shown = line.binding.shown.to_owned();
        }
    }

    /// A changed action that has a key which another one has where both hold.
    fn clash(&self, changed: &[Act]) -> Option<(Act, Key, &Live)> {
        let all = || self.lines.iter().enumerate();
        all().filter(|(_, line)| changed.contains(&line.binding.act)).find_map(|(at, line)| {
            all()
                .filter(|(other, _)| *other != at)
                .filter(|(_, other)| meet(line.binding.place, other.binding.place))
                .filter(|(_, other)| other.binding.act != line.binding.act)
                .find_map(|(_, other)| {
                    let key = line.keys.iter().find(|key| other.keys.contains(key))?;
                    Some((line.binding.act, *key, other))
                })
        })
    }

    /// All lines, in the order of the table.
    #[must_use]
    pub fn lines(&self) -> &[Live] {
        &self.lines
    }

    /// What `key` means in the first of `places` where it means anything.
    #[must_use]
    pub fn lookup(&self, places: &[Place], key: Key) -> Option<Act> {
        let of = |place: &Place| self.lines.iter().find(|l| l.binding.place == *place && l.keys.contains(&key));
        places.iter().find_map(of).map(|line| line.binding.act)
    }

    /// The key of `act` as a hint writes it; empty where it has none.
    #[must_use]
    pub fn shown(&self, act: Act) -> &str {
        let line = self.lines.iter().find(|line| line.binding.act == act);
        line.map_or("", Live::first)
    }
}

/// Whether keys of these two places can get in each other's way. A list's own keys go before those of the torrent, which
/// is meant; nothing may hide what holds everywhere.
fn meet(a: Place, b: Place) -> bool {
    a == b || a == Place::Everywhere || b == Place::Everywhere
}

fn default_keys(act: Act) -> &'static str {
    KEYS.iter().find(|b| b.act == act).map_or("", |b| b.shown)
}

impl Act {
    /// Its name in the config: `QueueUp` is `queue-up`. Configs of users hold these names, so a variant keeps its own.
    #[must_use]
    pub fn name(self) -> String {
        let mut name = String::new();
        for c in format!("{self:?}").chars().filter(char::is_ascii_alphanumeric) {
            if c.is_ascii_uppercase() && !name.is_empty() {
                name.push('-');
            }
            name.push(c.to_ascii_lowercase());
        }
        name
    }
}

impl fmt::Display for Key {
    /// As people write it: `a`, `^d`, `PgUp`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Key::Char(' ') => f.write_str("Space"),
            Key::Char(c) => write!(f, "{c}"),
            Key::Ctrl(c) => write!(f, "^{c}"),
            Key::F(n) => write!(f, "F{n}"),
            key => f.write_str(NAMES.iter().find(|(_, named)| named == key).map_or("?", |(name, _)| name)),
        }
    }
}

/// Keys that have a name. The first name of a key is the one that is shown; case does not matter when it is read.
const NAMES: &[(&str, Key)] = &[
    ("Enter", Key::Enter),
    ("Return", Key::Enter),
    ("Esc", Key::Esc),
    ("Escape", Key::Esc),
    ("Tab", Key::Tab),
    ("S-Tab", Key::BackTab),
    ("Shift-Tab", Key::BackTab),
    ("Backspace", Key::Backspace),
    ("Del", Key::Delete),
    ("Delete", Key::Delete),
    ("left", Key::Left),
    ("right", Key::Right),
    ("up", Key::Up),
    ("down", Key::Down),
    ("Home", Key::Home),
    ("End", Key::End),
    ("PgUp", Key::PageUp),
    ("PageUp", Key::PageUp),
    ("PgDn", Key::PageDown),
    ("PageDown", Key::PageDown),
    ("Space", Key::Char(' ')),
];

/// Letters that make other keys of a terminal when Ctrl is held, or that it keeps for itself.
const KEPT: [char; 9] = ['s', 'q', 'z', 'h', 'i', 'j', 'm', 'c', '['];

/// The key that a text of the config names: `p`, `^d`, `ctrl-d`, `F5`, `PgUp`, `space`.
///
/// # Errors
/// One clause: no such key, or one that cannot be had.
pub fn key(text: &str) -> Result<Key, String> {
    let mut chars = text.chars();
    if let (Some(c), None) = (chars.next(), chars.next()) {
        return if c.is_control() { Err("a control character is no key".to_owned()) } else { Ok(Key::Char(c)) };
    }
    if let Some((_, key)) = NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)) {
        return Ok(*key);
    }
    let small = text.to_lowercase();
    let after = |starts: &[&str]| starts.iter().find_map(|start| small.strip_prefix(start)).map(str::to_owned);
    if after(&["alt-", "alt+", "a-", "m-", "meta-"]).is_some() {
        return Err(format!("{text} needs Alt, which many terminals do not send"));
    }
    if let Some(rest) = after(&["^", "ctrl-", "ctrl+", "c-"]) {
        let mut rest = rest.chars();
        return match (rest.next(), rest.next()) {
            (Some(c), None) if KEPT.contains(&c) => {
                Err(format!("^{c} is kept by terminals, or means something always"))
            }
            (Some(c), None) if c.is_ascii_lowercase() => Ok(Key::Ctrl(c)),
            _ => Err(format!("{text} is no key: Ctrl goes with a letter")),
        };
    }
    match small.strip_prefix('f').and_then(|n| n.parse().ok()) {
        Some(n @ 1..=12) => Ok(Key::F(n)),
        _ => Err(format!("{text:?} is no key; write it like \"p\", \"^d\", \"F5\", \"PgUp\" or \"Space\"")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: &[Place] = &[Place::Torrents, Place::Everywhere];

    fn table(lines: &[(&str, &[&str])]) -> BTreeMap<String, Vec<String>> {
        let owned = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect();
        lines.iter().map(|(name, keys)| ((*name).to_owned(), owned(keys))).collect()
    }

    #[test]
    fn what_the_config_says_holds_everywhere() {
        let (map, faults) = Keymap::new(&table(&[("pause", &["u", "F5"]), ("half-up", &[]), ("sort", &["ctrl-r"])]));
        assert!(faults.is_empty(), "{faults:?}");
        assert_eq!(map.lookup(HERE, Key::Char('u')), Some(Act::Pause));
        assert_eq!(map.lookup(HERE, Key::F(5)), Some(Act::Pause));
        assert_eq!(map.lookup(HERE, Key::Char('p')), None);
        assert_eq!(map.lookup(HERE, Key::Ctrl('u')), None);
        assert_eq!(map.lookup(&[Place::Peers, Place::Torrents], Key::Ctrl('r')), Some(Act::Sort));
        assert_eq!((map.shown(Act::Pause), map.shown(Act::Sort), map.shown(Act::HalfUp)), ("u", "^r", ""));
    }

    #[test]
    fn two_actions_can_change_their_keys() {
        let (map, faults) = Keymap::new(&table(&[("pause", &["v"]), ("verify", &["p"])]));
        assert!(faults.is_empty(), "{faults:?}");
        assert_eq!(map.lookup(HERE, Key::Char('p')), Some(Act::Verify));
        assert_eq!(map.lookup(HERE, Key::Char('v')), Some(Act::Pause));
    }

    #[test]
    fn what_cannot_be_had_is_said_and_the_default_stays() {
        let cases: &[(&str, &[&str], &str)] = &[
            ("paws", &["p"], "no such action"),
            ("pause", &["alt-p"], "needs Alt"),
            ("pause", &["^s"], "kept by terminals"),
            ("pause", &["Ctrl-M"], "kept by terminals"),
            ("pause", &["^c"], "kept by terminals"),
            ("pause", &["hyper"], "is no key"),
            ("pause", &["^1"], "is no key"),
            ("pause", &["F13"], "is no key"),
            ("pause", &["\u{7}"], "is no key"),
            ("pause", &["v"], "taken by verify"),
            ("pause", &["q"], "taken by quit"),
            ("kick", &["q"], "taken by quit"),
        ];
        for (name, keys, says) in cases {
            let (map, faults) = Keymap::new(&table(&[(name, keys)]));
            assert_eq!(faults.len(), 1, "{name} {keys:?}: {faults:?}");
            assert!(faults[0].contains(says), "{faults:?}");
            assert_eq!(map.lookup(HERE, Key::Char('p')), Some(Act::Pause));
            assert_eq!(map.lookup(HERE, Key::Char('q')), Some(Act::Quit));
        }
        // One whose key another one was given falls back, and so does what was built upon it.
        let (map, faults) = Keymap::new(&table(&[("verify", &["p"]), ("announce", &["v"])]));
        assert_eq!(faults.len(), 2, "{faults:?}");
        assert_eq!(map.lookup(HERE, Key::Char('t')), Some(Act::Announce));
    }

    #[test]
    fn a_narrower_place_goes_first() {
        let map = Keymap::default();
        assert_eq!(map.lookup(&[Place::Files, Place::Torrents], Key::Char('-')), Some(Act::FileLess));
        assert_eq!(map.lookup(HERE, Key::Char('-')), Some(Act::RankDown));
        assert_eq!(map.lookup(HERE, Key::F(1)), Some(Act::Help));
        assert_eq!(map.shown(Act::Help), "?");
    }

    #[test]
    fn names_are_one_to_one_and_keys_are_read_as_they_are_shown() {
        let mut names: Vec<String> = Vec::new();
        for binding in KEYS {
            let name = binding.act.name();
            assert!(KEYS.iter().all(|b| b.act == binding.act || b.act.name() != name), "{name}");
            names.push(name);
            for k in binding.keys.iter().filter(|k| **k != Key::Ctrl('c')) {
                assert_eq!(key(&k.to_string()), Ok(*k));
            }
        }
        for name in ["queue-up", "tab-peers", "super-seed", "down-limit-less", "file-glob", "pause"] {
            assert!(names.iter().any(|n| n == name), "{name}: configs of users hold it");
        }
    }
}
