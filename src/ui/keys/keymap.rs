//! The active key bindings: the table of [`bindings`](crate::ui::keys::bindings) with the user's `[keys]` overrides.
//!
//! The `[keys]` table of the config names actions as the table does: `queue-up`, `tab-peers`. The value is a key or a
//! list of keys; an empty list unbinds the action.

use std::collections::BTreeMap;

use crate::ui::keys::action::{Action, AppAction};
use crate::ui::keys::bindings::{Binding, KEYS};
use crate::ui::keys::context::KeyContext;
use crate::ui::keys::key::{Key, parse_key};

/// The action that closes a dialog.
const CLOSE: Action = Action::App(AppAction::Close);

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
    fn new(binding: &'static Binding) -> Self {
        ActiveBinding { binding, keys: binding.all_keys().collect(), shown: joined(binding.keys) }
    }

    /// Returns the first key as displayed in hints; empty if the action is unbound.
    #[must_use]
    pub fn first(&self) -> &str {
        self.shown.split(' ').next().unwrap_or("")
    }
}

fn joined(keys: &[Key]) -> String {
    keys.iter().map(Key::to_string).collect::<Vec<_>>().join(" ")
}

/// All active key bindings.
#[derive(Clone, Debug)]
pub struct Keymap {
    lines: Vec<ActiveBinding>,
}

impl Default for Keymap {
    fn default() -> Self {
        Keymap { lines: KEYS.iter().map(ActiveBinding::new).collect() }
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
            let Some(act) = KEYS.iter().find(|binding| binding.name == name).map(|binding| binding.act) else {
                faults.push(format!("[keys] {name}: unknown action; `:` lists all actions"));
                continue;
            };
            let keys = texts.iter().map(|text| parse_key(text)).collect::<Result<Vec<_>, _>>();
            match keys.and_then(|keys| typed_key(act, &keys).map_or(Ok(keys), Err)) {
                Ok(keys) => {
                    map.put(act, &keys);
                    changed.push(act);
                }
                Err(why) => faults.push(format!("[keys] {name}: {why}; keeping {}", default_keys(act))),
            }
        }
        while let Some((act, key, other)) = map.find_conflict(&changed) {
            let theirs = other.binding.name;
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
            let works = |key: &&Key| !line.binding.place.is_typing() || !matches!(key, Key::Char(_));
            line.keys = keys.iter().filter(works).copied().collect();
            line.shown = joined(&line.keys);
        }
    }

    fn reset(&mut self, act: Action) {
        for line in self.lines.iter_mut().filter(|line| line.binding.act == act) {
            *line = ActiveBinding::new(line.binding);
        }
    }

    /// Finds a changed action whose key another action also has in an overlapping context.
    fn find_conflict(&self, changed: &[Action]) -> Option<(Action, Key, &ActiveBinding)> {
        let all = || self.lines.iter().enumerate();
        all().filter(|(_, line)| changed.contains(&line.binding.act)).find_map(|(at, line)| {
            all()
                .filter(|(other, _)| *other != at)
                .filter(|(_, other)| other.binding.act != line.binding.act)
                .filter(|(_, other)| overlaps(line.binding, other.binding))
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

    /// Returns the action of `key` in the first of `places` that binds the key. Where text is typed, a character is not
    /// a key.
    #[must_use]
    pub fn lookup(&self, places: &[KeyContext], key: Key) -> Option<Action> {
        if matches!(key, Key::Char(_)) && places.contains(&KeyContext::Text) {
            return None;
        }
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

/// Returns whether keys of these two bindings can conflict. The keys of a list or a dialog deliberately shadow those of
/// wider contexts. In panes, nothing may shadow a global key; in dialogs, nothing may shadow the key that closes them.
fn overlaps(a: &Binding, b: &Binding) -> bool {
    let shadows = |global: &Binding, other: &Binding| {
        global.place == KeyContext::Everywhere && (!other.place.is_dialog() || global.act == CLOSE)
    };
    a.place == b.place || shadows(a, b) || shadows(b, a)
}

/// Says why one of these keys cannot be bound to the action: where text is typed, a character is text.
fn typed_key(act: Action, keys: &[Key]) -> Option<String> {
    let typing = KEYS.iter().filter(|binding| binding.act == act).all(|binding| binding.place.is_typing());
    let key = keys.iter().find(|key| typing && matches!(key, Key::Char(_)))?;
    Some(format!("{key} is typed as text there; use Ctrl or a function key"))
}

fn default_keys(act: Action) -> String {
    KEYS.iter().find(|b| b.act == act).map_or_else(String::new, |b| joined(b.keys))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::keys::action::{DialogAction, FileAction, NavAction, TorrentAction, ViewAction};

    const HERE: &[KeyContext] = &[KeyContext::Torrents, KeyContext::Everywhere];

    fn table(lines: &[(&str, &[&str])]) -> BTreeMap<String, Vec<String>> {
        let owned = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect();
        lines.iter().map(|(name, keys)| ((*name).to_owned(), owned(keys))).collect()
    }

    #[test]
    fn what_the_config_says_holds_everywhere() {
        let (map, faults) = Keymap::new(&table(&[("pause", &["u", "F5"]), ("half-up", &[]), ("sort", &["ctrl-r"])]));
        assert!(faults.is_empty(), "{faults:?}");
        assert_eq!(map.lookup(HERE, Key::Char('u')), Some(Action::Torrent(TorrentAction::Pause)));
        assert_eq!(map.lookup(HERE, Key::F(5)), Some(Action::Torrent(TorrentAction::Pause)));
        assert_eq!(map.lookup(HERE, Key::Char('p')), None);
        assert_eq!(map.lookup(HERE, Key::Ctrl('u')), None);
        assert_eq!(
            map.lookup(&[KeyContext::Peers, KeyContext::Torrents], Key::Ctrl('r')),
            Some(Action::View(ViewAction::Sort))
        );
        assert_eq!(
            (
                map.shown(Action::Torrent(TorrentAction::Pause)),
                map.shown(Action::View(ViewAction::Sort)),
                map.shown(Action::Nav(NavAction::HalfUp))
            ),
            ("u", "^r", "")
        );
    }

    #[test]
    fn two_actions_can_change_their_keys() {
        let (map, faults) = Keymap::new(&table(&[("pause", &["v"]), ("verify", &["p"])]));
        assert!(faults.is_empty(), "{faults:?}");
        assert_eq!(map.lookup(HERE, Key::Char('p')), Some(Action::Torrent(TorrentAction::Verify)));
        assert_eq!(map.lookup(HERE, Key::Char('v')), Some(Action::Torrent(TorrentAction::Pause)));
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
            assert_eq!(map.lookup(HERE, Key::Char('p')), Some(Action::Torrent(TorrentAction::Pause)));
            assert_eq!(map.lookup(HERE, Key::Char('q')), Some(Action::App(AppAction::Quit)));
        }
        // An action whose key is taken by another one falls back to its default, and so does an action that relied on
        // it.
        let (map, faults) = Keymap::new(&table(&[("verify", &["p"]), ("announce", &["v"])]));
        assert_eq!(faults.len(), 2, "{faults:?}");
        assert_eq!(map.lookup(HERE, Key::Char('t')), Some(Action::Torrent(TorrentAction::Announce)));
    }

    #[test]
    fn keys_of_dialogs_can_be_changed_but_characters_are_typed() {
        let form = &[KeyContext::Forms, KeyContext::Text, KeyContext::Dialogs, KeyContext::Everywhere];
        let wanted: &[(&str, &[&str])] =
            &[("browse", &["F2"]), ("confirm", &["^o", "F3"]), ("page-down", &["J", "F4"]), ("switch-answer", &["x"])];
        let (map, faults) = Keymap::new(&table(wanted));
        assert_eq!(faults, ["[keys] page-down: J is already bound to queue-down; keeping PgDn ^f"]);
        assert_eq!(map.lookup(form, Key::F(2)), Some(Action::Dialog(DialogAction::Browse)));
        assert_eq!(map.lookup(form, Key::Ctrl('o')), Some(Action::Dialog(DialogAction::Confirm)));
        assert_eq!(map.lookup(form, Key::Char('x')), None, "it is typed");
        let question = &[KeyContext::Questions, KeyContext::Dialogs, KeyContext::Everywhere];
        assert_eq!(map.lookup(question, Key::Char('x')), Some(Action::Dialog(DialogAction::Switch)));
        for (name, key, says) in [
            ("browse", "o", "o is typed as text there"),
            ("delete-word", "^u", "already bound to delete-to-start"),
            ("reset-value", "Esc", "already bound to close"),
        ] {
            let (_, faults) = Keymap::new(&table(&[(name, &[key])]));
            assert!(faults.len() == 1 && faults[0].contains(says), "{faults:?}");
        }
    }

    #[test]
    fn a_narrower_place_goes_first() {
        let map = Keymap::default();
        assert_eq!(
            map.lookup(&[KeyContext::Files, KeyContext::Torrents], Key::Char('-')),
            Some(Action::File(FileAction::LowerPriority))
        );
        assert_eq!(map.lookup(HERE, Key::Char('-')), Some(Action::Torrent(TorrentAction::LowerBandwidthPriority)));
        assert_eq!(map.lookup(HERE, Key::F(1)), Some(Action::App(AppAction::Help)));
        assert_eq!(map.shown(Action::App(AppAction::Help)), "?");
    }

    #[test]
    fn keys_are_read_as_they_are_shown() {
        for key in KEYS.iter().flat_map(Binding::all_keys).filter(|key| *key != Key::Ctrl('c')) {
            assert_eq!(parse_key(&key.to_string()), Ok(key));
        }
    }
}
