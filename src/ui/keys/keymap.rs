//! The active key bindings: the table of [`bindings`](crate::ui::keys::bindings) with the user's `[keys]` overrides.
//!
//! In the `[keys]` table of the config, an action is named by its [`Action`] variant in kebab case: `queue-up`,
//! `tab-peers`. The value is a key or a list of keys; an empty list unbinds the action.

use std::collections::BTreeMap;
use std::fmt;

use crate::ui::keys::bindings::{Action, Binding, KEYS, Key, KeyContext, Tab};

/// A key binding with the keys that it has in this run.
#[derive(Clone, Debug)]
pub struct ActiveBinding {
    /// The row of the default table.
    pub binding: &'static Binding,
    /// Alternative keys.
    pub keys: Vec<Key>,
    /// The keys as displayed, separated by spaces.
    pub shown: String,
}

impl ActiveBinding {
    /// Returns the first key as displayed in hints; empty if the action is unbound.
    #[must_use]
    pub fn first(&self) -> &str {
        self.shown.split(' ').next().unwrap_or("")
    }
}

/// All active key bindings.
#[derive(Clone, Debug)]
pub struct Keymap {
    lines: Vec<ActiveBinding>,
}

impl Default for Keymap {
    fn default() -> Self {
        let live = |binding: &'static Binding| ActiveBinding {
            binding,
            keys: binding.keys.to_vec(),
            shown: binding.shown.to_owned(),
        };
        Keymap { lines: KEYS.iter().map(live).collect() }
    }
}

impl Keymap {
    /// Applies a `[keys]` table to the default bindings. Returns one sentence for each entry that cannot be applied;
    /// such an action keeps its default keys.
    #[must_use]
    pub fn new(table: &BTreeMap<String, Vec<String>>) -> (Self, Vec<String>) {
        let mut map = Keymap::default();
        let mut faults = Vec::new();
        let mut changed: Vec<Action> = Vec::new();
        for (name, texts) in table {
            let Some(act) = KEYS.iter().map(|b| b.act).find(|act| act.name() == name.as_str()) else {
                faults.push(format!("[keys] {name}: unknown action; `:` lists all actions"));
                continue;
            };
            match texts.iter().map(|text| key(text)).collect::<Result<Vec<_>, _>>() {
                Ok(keys) => {
                    map.put(act, &keys);
                    changed.push(act);
                }
                Err(why) => faults.push(format!("[keys] {name}: {why}; keeping {}", default_keys(act))),
            }
        }
        while let Some((act, key, other)) = map.find_conflict(&changed) {
            let theirs = other.binding.act.name();
            faults.push(format!(
                "[keys] {}: {key} is already bound to {theirs}; keeping {}",
                act.name(),
                default_keys(act)
            ));
            changed.retain(|a| *a != act);
            map.reset(act);
        }
        (map, faults)
    }

    fn put(&mut self, act: Action, keys: &[Key]) {
        for line in self.lines.iter_mut().filter(|line| line.binding.act == act) {
            line.keys = keys.to_vec();
            line.shown = keys.iter().map(Key::to_string).collect::<Vec<_>>().join(" ");
        }
    }

    fn reset(&mut self, act: Action) {
        for line in self.lines.iter_mut().filter(|line| line.binding.act == act) {
            line.keys = line.binding.keys.to_vec();
            line.shown = line.binding.shown.to_owned();
        }
    }

    /// Finds a changed action whose key another action also has in an overlapping context.
    fn find_conflict(&self, changed: &[Action]) -> Option<(Action, Key, &ActiveBinding)> {
        let all = || self.lines.iter().enumerate();
        all().filter(|(_, line)| changed.contains(&line.binding.act)).find_map(|(at, line)| {
            all()
                .filter(|(other, _)| *other != at)
                .filter(|(_, other)| overlaps(line.binding.place, other.binding.place))
                .filter(|(_, other)| other.binding.act != line.binding.act)
                .find_map(|(_, other)| {
                    let key = line.keys.iter().find(|key| other.keys.contains(key))?;
                    Some((line.binding.act, *key, other))
                })
        })
    }

    /// Returns all bindings, in table order.
    #[must_use]
    pub fn lines(&self) -> &[ActiveBinding] {
        &self.lines
    }

    /// Returns the action of `key` in the first of `places` that binds the key.
    #[must_use]
    pub fn lookup(&self, places: &[KeyContext], key: Key) -> Option<Action> {
        let of = |place: &KeyContext| self.lines.iter().find(|l| l.binding.place == *place && l.keys.contains(&key));
        places.iter().find_map(of).map(|line| line.binding.act)
    }

    /// Returns the key of `act` as displayed in hints; empty if the action is unbound.
    #[must_use]
    pub fn shown(&self, act: Action) -> &str {
        let line = self.lines.iter().find(|line| line.binding.act == act);
        line.map_or("", ActiveBinding::first)
    }
}

/// Returns whether keys of these two contexts can conflict. A list's own keys deliberately shadow torrent keys;
/// nothing may shadow a global key.
fn overlaps(a: KeyContext, b: KeyContext) -> bool {
    a == b || a == KeyContext::Everywhere || b == KeyContext::Everywhere
}

fn default_keys(act: Action) -> &'static str {
    KEYS.iter().find(|b| b.act == act).map_or("", |b| b.shown)
}

impl Action {
    /// Returns the action's name in the config. Config files of users hold these names: they do not change when a
    /// variant is renamed.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Action::Tab(Tab::Info) => "tab-info",
            Action::Tab(Tab::Pieces) => "tab-pieces",
            Action::Tab(Tab::Peers) => "tab-peers",
            Action::Tab(Tab::Files) => "tab-files",
            Action::Tab(Tab::Trackers) => "tab-trackers",
            Action::Tab(Tab::Log) => "tab-log",
            Action::Help => "help",
            Action::Quit => "quit",
            Action::Close => "close",
            Action::QuitNow => "quit-now",
            Action::Pane => "pane",
            Action::TabRight => "tab-right",
            Action::TabLeft => "tab-left",
            Action::Up => "up",
            Action::Down => "down",
            Action::PageUp => "page-up",
            Action::PageDown => "page-down",
            Action::HalfUp => "half-up",
            Action::HalfDown => "half-down",
            Action::First => "first",
            Action::Last => "last",
            Action::Zoom => "zoom",
            Action::Filter => "filter",
            Action::NextMatch => "next-match",
            Action::PreviousMatch => "previous-match",
            Action::Palette => "palette",
            Action::Settings => "settings",
            Action::HideNames => "hide-names",
            Action::Why => "why",
            Action::Theme => "theme",
            Action::Redraw => "redraw",
            Action::Add => "add",
            Action::Create => "create",
            Action::Mark => "mark",
            Action::MarkAll => "mark-all",
            Action::Pause => "pause",
            Action::PauseAll => "pause-all",
            Action::Remove => "remove",
            Action::Verify => "verify",
            Action::Announce => "announce",
            Action::StateFilter => "state-filter",
            Action::RaiseBandwidthPriority => "raise-bandwidth-priority",
            Action::LowerBandwidthPriority => "lower-bandwidth-priority",
            Action::QueueUp => "queue-up",
            Action::QueueDown => "queue-down",
            Action::Sequential => "sequential",
            Action::SuperSeed => "super-seed",
            Action::LowerDownloadLimit => "lower-download-limit",
            Action::RaiseDownloadLimit => "raise-download-limit",
            Action::LowerUploadLimit => "lower-upload-limit",
            Action::RaiseUploadLimit => "raise-upload-limit",
            Action::Move => "move",
            Action::Overwrite => "overwrite",
            Action::CopyMagnet => "copy-magnet",
            Action::OpenFolder => "open-folder",
            Action::Export => "export",
            Action::Sort => "sort",
            Action::Reverse => "reverse",
            Action::PeerOpen => "peer-open",
            Action::Ban => "ban",
            Action::Kick => "kick",
            Action::PeerAdd => "peer-add",
            Action::ToggleFile => "toggle-file",
            Action::RaiseFilePriority => "raise-file-priority",
            Action::LowerFilePriority => "lower-file-priority",
            Action::ResetFilePriority => "reset-file-priority",
            Action::ToggleFolder => "toggle-folder",
            Action::FileGlob => "file-glob",
            Action::TrackerAnnounce => "tracker-announce",
            Action::TrackerAdd => "tracker-add",
            Action::TrackerRemove => "tracker-remove",
            Action::PieceRight => "piece-right",
            Action::PieceLeft => "piece-left",
            Action::LogScope => "log-scope",
            Action::GraphSpan => "graph-span",
            Action::GraphScope => "graph-scope",
        }
    }
}

impl fmt::Display for Key {
    /// Formats the key as displayed: `a`, `^d`, `PgUp`.
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

/// Named keys. The first name of a key is the displayed one; parsing ignores case.
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

/// Letters that cannot be bound with Ctrl: terminals send other keys for them or reserve them.
const KEPT: [char; 9] = ['s', 'q', 'z', 'h', 'i', 'j', 'm', 'c', '['];

/// Parses a key of the config: `p`, `^d`, `ctrl-d`, `F5`, `PgUp`, `space`.
///
/// # Errors
/// The text names no key, or a key that cannot be bound; one clause.
pub fn key(text: &str) -> Result<Key, String> {
    let mut chars = text.chars();
    if let (Some(c), None) = (chars.next(), chars.next()) {
        return if c.is_control() { Err("a control character is not a key".to_owned()) } else { Ok(Key::Char(c)) };
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
            (Some(c), None) if KEPT.contains(&c) => Err(format!("^{c} is reserved by terminals or by ttui")),
            (Some(c), None) if c.is_ascii_lowercase() => Ok(Key::Ctrl(c)),
            _ => Err(format!("{text} is not a key: use Ctrl with a letter")),
        };
    }
    match small.strip_prefix('f').and_then(|n| n.parse().ok()) {
        Some(n @ 1..=12) => Ok(Key::F(n)),
        _ => Err(format!("{text:?} is not a key; use \"p\", \"^d\", \"F5\", \"PgUp\" or \"Space\"")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: &[KeyContext] = &[KeyContext::Torrents, KeyContext::Everywhere];

    fn table(lines: &[(&str, &[&str])]) -> BTreeMap<String, Vec<String>> {
        let owned = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect();
        lines.iter().map(|(name, keys)| ((*name).to_owned(), owned(keys))).collect()
    }

    #[test]
    fn what_the_config_says_holds_everywhere() {
        let (map, faults) = Keymap::new(&table(&[("pause", &["u", "F5"]), ("half-up", &[]), ("sort", &["ctrl-r"])]));
        assert!(faults.is_empty(), "{faults:?}");
        assert_eq!(map.lookup(HERE, Key::Char('u')), Some(Action::Pause));
        assert_eq!(map.lookup(HERE, Key::F(5)), Some(Action::Pause));
        assert_eq!(map.lookup(HERE, Key::Char('p')), None);
        assert_eq!(map.lookup(HERE, Key::Ctrl('u')), None);
        assert_eq!(map.lookup(&[KeyContext::Peers, KeyContext::Torrents], Key::Ctrl('r')), Some(Action::Sort));
        assert_eq!((map.shown(Action::Pause), map.shown(Action::Sort), map.shown(Action::HalfUp)), ("u", "^r", ""));
    }

    #[test]
    fn two_actions_can_change_their_keys() {
        let (map, faults) = Keymap::new(&table(&[("pause", &["v"]), ("verify", &["p"])]));
        assert!(faults.is_empty(), "{faults:?}");
        assert_eq!(map.lookup(HERE, Key::Char('p')), Some(Action::Verify));
        assert_eq!(map.lookup(HERE, Key::Char('v')), Some(Action::Pause));
    }

    #[test]
    fn what_cannot_be_had_is_said_and_the_default_stays() {
        let cases: &[(&str, &[&str], &str)] = &[
            ("paws", &["p"], "unknown action"),
            ("pause", &["alt-p"], "needs Alt"),
            ("pause", &["^s"], "reserved by terminals"),
            ("pause", &["Ctrl-M"], "reserved by terminals"),
            ("pause", &["^c"], "reserved by terminals"),
            ("pause", &["hyper"], "is not a key"),
            ("pause", &["^1"], "is not a key"),
            ("pause", &["F13"], "is not a key"),
            ("pause", &["\u{7}"], "is not a key"),
            ("pause", &["v"], "already bound to verify"),
            ("pause", &["q"], "already bound to quit"),
            ("kick", &["q"], "already bound to quit"),
        ];
        for (name, keys, says) in cases {
            let (map, faults) = Keymap::new(&table(&[(name, keys)]));
            assert_eq!(faults.len(), 1, "{name} {keys:?}: {faults:?}");
            assert!(faults[0].contains(says), "{faults:?}");
            assert_eq!(map.lookup(HERE, Key::Char('p')), Some(Action::Pause));
            assert_eq!(map.lookup(HERE, Key::Char('q')), Some(Action::Quit));
        }
        // An action whose key is taken by another one falls back to its default, and so does an action that relied on
        // it.
        let (map, faults) = Keymap::new(&table(&[("verify", &["p"]), ("announce", &["v"])]));
        assert_eq!(faults.len(), 2, "{faults:?}");
        assert_eq!(map.lookup(HERE, Key::Char('t')), Some(Action::Announce));
    }

    #[test]
    fn a_narrower_place_goes_first() {
        let map = Keymap::default();
        assert_eq!(
            map.lookup(&[KeyContext::Files, KeyContext::Torrents], Key::Char('-')),
            Some(Action::LowerFilePriority)
        );
        assert_eq!(map.lookup(HERE, Key::Char('-')), Some(Action::LowerBandwidthPriority));
        assert_eq!(map.lookup(HERE, Key::F(1)), Some(Action::Help));
        assert_eq!(map.shown(Action::Help), "?");
    }

    #[test]
    fn names_are_one_to_one_and_keys_are_read_as_they_are_shown() {
        let mut names: Vec<&str> = Vec::new();
        for binding in KEYS {
            let name = binding.act.name();
            assert!(KEYS.iter().all(|b| b.act == binding.act || b.act.name() != name), "{name}");
            names.push(name);
            for k in binding.keys.iter().filter(|k| **k != Key::Ctrl('c')) {
                assert_eq!(key(&k.to_string()), Ok(*k));
            }
        }
        for name in ["queue-up", "tab-peers", "super-seed", "lower-download-limit", "file-glob", "pause"] {
            assert!(names.contains(&name), "{name}: configs of users hold it");
        }
    }
}
