//! The table of key bindings: actions, help text, palette entries, status-line hints and the README table come from
//! it. User overrides from the config are applied in [`keymap`](crate::ui::keys::keymap).

/// A key press, independent of the terminal's encoding.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Key {
    Char(char),
    /// A letter with Ctrl.
    Ctrl(char),
    /// A function key.
    F(u8),
    Enter,
    Esc,
    Tab,
    /// Shift+Tab.
    BackTab,
    Backspace,
    Delete,
    Left,
    Right,
    Up,
    Down,
    Home,
    End,
    PageUp,
    PageDown,
}

/// Tabs of the detail pane.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum Tab {
    Info,
    Pieces,
    #[default]
    Peers,
    Files,
    Trackers,
    Log,
}

impl Tab {
    /// All tabs, in display order.
    pub const ALL: [Tab; 6] = [Tab::Info, Tab::Pieces, Tab::Peers, Tab::Files, Tab::Trackers, Tab::Log];

    /// Returns the title.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Tab::Info => "Info",
            Tab::Pieces => "Pieces",
            Tab::Peers => "Peers",
            Tab::Files => "Files",
            Tab::Trackers => "Trackers",
            Tab::Log => "Log",
        }
    }

    /// Returns the tab `step` positions further, cyclically.
    #[must_use]
    pub fn step(self, step: usize) -> Self {
        Tab::ALL[(self as usize + step) % Tab::ALL.len()]
    }
}

/// An action that a key can trigger. Its name in the config is [`Action::name`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    Help,
    Quit,
    Close,
    QuitNow,
    Pane,
    Tab(Tab),
    TabRight,
    TabLeft,
    Up,
    Down,
    PageUp,
    PageDown,
    HalfUp,
    HalfDown,
    First,
    Last,
    Zoom,
    Filter,
    NextMatch,
    PreviousMatch,
    Palette,
    Settings,
    HideNames,
    Why,
    Theme,
    Redraw,
    Add,
    Create,
    Mark,
    MarkAll,
    Pause,
    PauseAll,
    Remove,
    Verify,
    Announce,
    StateFilter,
    RaiseBandwidthPriority,
    LowerBandwidthPriority,
    QueueUp,
    QueueDown,
    Sequential,
    SuperSeed,
    LowerDownloadLimit,
    RaiseDownloadLimit,
    LowerUploadLimit,
    RaiseUploadLimit,
    Move,
    Overwrite,
    CopyMagnet,
    OpenFolder,
    Export,
    Sort,
    Reverse,
    PeerOpen,
    Ban,
    Kick,
    PeerAdd,
    ToggleFile,
    RaiseFilePriority,
    LowerFilePriority,
    ResetFilePriority,
    ToggleFolder,
    FileGlob,
    TrackerAnnounce,
    TrackerAdd,
    TrackerRemove,
    PieceRight,
    PieceLeft,
    LogScope,
    GraphSpan,
    GraphScope,
}

/// Where a key binding is active.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyContext {
    Everywhere,
    /// On the selected torrent, in the list and in the detail pane.
    Torrents,
    /// In the peers tab.
    Peers,
    /// In the files tab.
    Files,
    /// In the trackers tab.
    Trackers,
    /// In the pieces tab.
    Pieces,
    /// In the log tab.
    Log,
}

impl KeyContext {
    /// All contexts, in the order of the help.
    pub const ALL: [KeyContext; 7] = [
        KeyContext::Torrents,
        KeyContext::Everywhere,
        KeyContext::Peers,
        KeyContext::Pieces,
        KeyContext::Files,
        KeyContext::Trackers,
        KeyContext::Log,
    ];

    /// Returns the context of a tab that has key bindings of its own.
    #[must_use]
    pub const fn of(tab: Tab) -> Option<KeyContext> {
        match tab {
            Tab::Info => None,
            Tab::Pieces => Some(KeyContext::Pieces),
            Tab::Peers => Some(KeyContext::Peers),
            Tab::Files => Some(KeyContext::Files),
            Tab::Trackers => Some(KeyContext::Trackers),
            Tab::Log => Some(KeyContext::Log),
        }
    }

    /// Returns the heading in the help.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            KeyContext::Everywhere => "Everywhere",
            KeyContext::Torrents => "The chosen torrent",
            KeyContext::Peers => "In the list of peers",
            KeyContext::Files => "In the list of files",
            KeyContext::Trackers => "In the list of trackers",
            KeyContext::Pieces => "On the piece map",
            KeyContext::Log => "In the log",
        }
    }
}

/// One row of the key binding table.
#[derive(Clone, Copy, Debug)]
pub struct Binding {
    pub place: KeyContext,
    /// Alternative keys.
    pub keys: &'static [Key],
    /// The keys as displayed.
    pub shown: &'static str,
    pub act: Action,
    /// Description for the help and the palette.
    pub help: &'static str,
    /// Label in the status line; empty if not shown there.
    pub hint: &'static str,
}

const fn on(
    place: KeyContext,
    keys: &'static [Key],
    shown: &'static str,
    act: Action,
    help: &'static str,
    hint: &'static str,
) -> Binding {
    Binding { place, keys, shown, act, help, hint }
}

use Key::{Char, Ctrl};
use KeyContext::{Everywhere, Files, Log, Peers, Pieces, Torrents, Trackers};

/// All key bindings. The first match wins; bindings of a narrower context take precedence over global ones.
pub const KEYS: &[Binding] = &[
    on(Torrents, &[Char('a')], "a", Action::Add, "add a torrent: path, URL, magnet, hash, or paste", "add"),
    on(Torrents, &[Char('c')], "c", Action::Create, "create a torrent of your own files, and seed it", "create"),
    on(Torrents, &[Char(' ')], "Space", Action::Mark, "mark it; what follows is done to all marked", ""),
    on(Torrents, &[Char('*')], "*", Action::MarkAll, "mark all that are shown, or none", ""),
    on(Torrents, &[Char('p')], "p", Action::Pause, "pause or resume", "pause"),
    on(Torrents, &[Char('P')], "P", Action::PauseAll, "pause or resume all", ""),
    on(Torrents, &[Char('d'), Key::Delete], "d", Action::Remove, "remove; asks whether to keep the data", "remove"),
    on(Torrents, &[Char('v')], "v", Action::Verify, "verify: hash all data again", "verify"),
    on(Torrents, &[Char('t')], "t", Action::Announce, "ask the trackers for peers now", ""),
    on(Torrents, &[Char('e')], "e", Action::Sequential, "fetch in order, or rarest first", ""),
    on(Torrents, &[Char('x')], "x", Action::SuperSeed, "super-seed: offer one piece at a time, or all", ""),
    on(Torrents, &[Char('+')], "+", Action::RaiseBandwidthPriority, "a larger share of the limits", ""),
    on(Torrents, &[Char('-')], "-", Action::LowerBandwidthPriority, "a smaller share of the limits", ""),
    on(Torrents, &[Char('K')], "K", Action::QueueUp, "up in the queue", ""),
    on(Torrents, &[Char('J')], "J", Action::QueueDown, "down in the queue", ""),
    on(Torrents, &[Char('[')], "[", Action::LowerDownloadLimit, "a lower limit in", ""),
    on(Torrents, &[Char(']')], "]", Action::RaiseDownloadLimit, "a higher limit in, or none", ""),
    on(Torrents, &[Char('{')], "{", Action::LowerUploadLimit, "a lower limit out", ""),
    on(Torrents, &[Char('}')], "}", Action::RaiseUploadLimit, "a higher limit out, or none", ""),
    on(Torrents, &[Char('m')], "m", Action::Move, "move its data to another folder", ""),
    on(Torrents, &[Char('O')], "O", Action::Overwrite, "overwrite the files that are in its way; asks first", ""),
    on(Torrents, &[Char('y')], "y", Action::CopyMagnet, "copy its magnet link, or of all marked", ""),
    on(Torrents, &[Char('o')], "o", Action::OpenFolder, "open its folder", ""),
    on(Torrents, &[Char('E')], "E", Action::Export, "write its .torrent to a file", ""),
    on(Torrents, &[Char('f')], "f", Action::StateFilter, "show only those in one state", ""),
    on(Torrents, &[Char('w')], "w", Action::Why, "why it is no faster, with the numbers", ""),
    on(Torrents, &[Char('s')], "s", Action::Sort, "sort by the next column", ""),
    on(Torrents, &[Char('S')], "S", Action::Reverse, "sort the other way round", ""),
    on(Peers, &[Key::Enter], "Enter", Action::PeerOpen, "look at the chosen peer closely", "open"),
    on(Peers, &[Char('+')], "+", Action::PeerAdd, "connect to an address", "connect"),
    on(Peers, &[Char('B')], "B", Action::Ban, "ban the address of the chosen peer", "ban"),
    on(Peers, &[Char('X')], "X", Action::Kick, "disconnect the chosen peer", "kick"),
    on(Peers, &[Char('s')], "s", Action::Sort, "sort by the next column", "sort"),
    on(Peers, &[Char('S')], "S", Action::Reverse, "sort the other way round", ""),
    on(Files, &[Char(' ')], "Space", Action::ToggleFile, "want the chosen file, or do not", "want"),
    on(Files, &[Char('+')], "+", Action::RaiseFilePriority, "raise its priority", "more"),
    on(Files, &[Char('-')], "-", Action::LowerFilePriority, "lower its priority", "less"),
    on(Files, &[Char('=')], "=", Action::ResetFilePriority, "normal priority", ""),
    on(Files, &[Key::Enter], "Enter", Action::ToggleFolder, "fold or unfold the folder", "fold"),
    on(Files, &[Char('*')], "*", Action::FileGlob, "want only the files that match a pattern", "only"),
    on(Trackers, &[Char('t')], "t", Action::TrackerAnnounce, "ask the chosen tracker now", "ask now"),
    on(Trackers, &[Char('a')], "a", Action::TrackerAdd, "add a tracker", "add tracker"),
    on(Trackers, &[Char('d'), Key::Delete], "d", Action::TrackerRemove, "remove the chosen tracker", "remove it"),
    on(Pieces, &[Key::Right, Char('l')], "right l", Action::PieceRight, "to the next piece", ""),
    on(Pieces, &[Key::Left, Char('h')], "left h", Action::PieceLeft, "to the piece before", ""),
    on(Log, &[Key::Enter], "Enter", Action::LogScope, "the log of this torrent, or of all", ""),
    on(Everywhere, &[Char('/')], "/", Action::Filter, "show only what has this in its name", "find"),
    on(Everywhere, &[Char('n')], "n", Action::NextMatch, "to the next that was found", ""),
    on(Everywhere, &[Char('N')], "N", Action::PreviousMatch, "to the one found before", ""),
    on(Everywhere, &[Char(':')], ":", Action::Palette, "all that can be done, found by typing", ""),
    on(Everywhere, &[Char(',')], ",", Action::Settings, "settings", ""),
    on(Everywhere, &[Char('~')], "~", Action::HideNames, "hide all names, for a picture", ""),
    on(Everywhere, &[Key::Tab, Key::BackTab], "Tab", Action::Pane, "to the other pane", "pane"),
    on(Everywhere, &[Key::Right, Char('l')], "right l", Action::TabRight, "the next tab", ""),
    on(Everywhere, &[Key::Left, Char('h')], "left h", Action::TabLeft, "the tab before", ""),
    on(Everywhere, &[Char('1')], "1", Action::Tab(Tab::Info), "Info: numbers of the torrent", ""),
    on(Everywhere, &[Char('2')], "2", Action::Tab(Tab::Pieces), "Pieces: the piece map", ""),
    on(Everywhere, &[Char('3')], "3", Action::Tab(Tab::Peers), "Peers: who is connected", ""),
    on(Everywhere, &[Char('4')], "4", Action::Tab(Tab::Files), "Files: progress and priority", ""),
    on(Everywhere, &[Char('5')], "5", Action::Tab(Tab::Trackers), "Trackers: what they last said", ""),
    on(Everywhere, &[Char('6')], "6", Action::Tab(Tab::Log), "Log: what happened", ""),
    on(Everywhere, &[Key::Up, Char('k')], "up k", Action::Up, "up", ""),
    on(Everywhere, &[Key::Down, Char('j')], "down j", Action::Down, "down", ""),
    on(Everywhere, &[Key::PageUp, Ctrl('b')], "PgUp ^b", Action::PageUp, "a page up", ""),
    on(Everywhere, &[Key::PageDown, Ctrl('f')], "PgDn ^f", Action::PageDown, "a page down", ""),
    on(Everywhere, &[Ctrl('u')], "^u", Action::HalfUp, "half a page up", ""),
    on(Everywhere, &[Ctrl('d')], "^d", Action::HalfDown, "half a page down", ""),
    on(Everywhere, &[Key::Home, Char('g')], "Home g", Action::First, "to the first", ""),
    on(Everywhere, &[Key::End, Char('G')], "End G", Action::Last, "to the last", ""),
    on(Everywhere, &[Char('z')], "z", Action::Zoom, "give this pane the whole screen, or not", ""),
    on(Everywhere, &[Char('r')], "r", Action::GraphSpan, "rates of the last minute, 5 minutes or hour", ""),
    on(Everywhere, &[Char('R')], "R", Action::GraphScope, "rates of this torrent, or of all", ""),
    on(Everywhere, &[Char('T')], "T", Action::Theme, "theme: dark, light, high contrast, no colours", ""),
    on(Everywhere, &[Ctrl('l')], "^l", Action::Redraw, "draw everything anew", ""),
    on(Everywhere, &[Char('?'), Key::F(1)], "? F1", Action::Help, "this help", "help"),
    on(Everywhere, &[Key::Esc], "Esc", Action::Close, "close or clear what is in front", ""),
    on(Everywhere, &[Char('q')], "q", Action::Quit, "back; at the root, quit", "quit"),
    on(Everywhere, &[Ctrl('c')], "^c", Action::QuitNow, "save everything and quit", ""),
];

/// Returns the table as Markdown, for the README.
#[must_use]
pub fn markdown() -> String {
    let mut out = String::new();
    for place in [Torrents, Peers, Pieces, Files, Trackers, Log, Everywhere] {
        out.push_str(&format!("\n| {} | | name |\n|---|---|---|\n", place.title()));
        for binding in KEYS.iter().filter(|b| b.place == place) {
            let keys: Vec<String> = binding.shown.split(' ').map(|key| format!("`{key}`")).collect();
            out.push_str(&format!("| {} | {} | {} |\n", keys.join(" "), binding.help, binding.act.name()));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_means_two_things_in_one_place() {
        for (at, binding) in KEYS.iter().enumerate() {
            for key in binding.keys {
                for other in &KEYS[at + 1..] {
                    assert!(other.place != binding.place || !other.keys.contains(key), "{key:?} twice");
                }
            }
        }
    }

    #[test]
    fn keys_that_terminals_keep_for_themselves_are_never_bound() {
        for key in ['s', 'q', 'z', 'h', 'i', 'm'] {
            assert!(KEYS.iter().all(|b| !b.keys.contains(&Key::Ctrl(key))), "^{key}");
        }
    }
}
