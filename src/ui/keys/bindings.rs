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
            KeyContext::Torrents => "Selected torrent",
            KeyContext::Peers => "Peers tab",
            KeyContext::Files => "Files tab",
            KeyContext::Trackers => "Trackers tab",
            KeyContext::Pieces => "Pieces tab",
            KeyContext::Log => "Log tab",
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
    on(Torrents, &[Char('c')], "c", Action::Create, "create a torrent from your files and seed it", "create"),
    on(Torrents, &[Char(' ')], "Space", Action::Mark, "mark torrent; actions apply to all marked", ""),
    on(Torrents, &[Char('*')], "*", Action::MarkAll, "mark all shown torrents, or none", ""),
    on(Torrents, &[Char('p')], "p", Action::Pause, "pause or resume", "pause"),
    on(Torrents, &[Char('P')], "P", Action::PauseAll, "pause or resume all", ""),
    on(Torrents, &[Char('d'), Key::Delete], "d", Action::Remove, "remove; asks whether to keep the data", "remove"),
    on(Torrents, &[Char('v')], "v", Action::Verify, "verify: rehash all data", "verify"),
    on(Torrents, &[Char('t')], "t", Action::Announce, "announce to all trackers now", ""),
    on(Torrents, &[Char('e')], "e", Action::Sequential, "toggle sequential download", ""),
    on(Torrents, &[Char('x')], "x", Action::SuperSeed, "toggle super-seeding (BEP 16)", ""),
    on(Torrents, &[Char('+')], "+", Action::RaiseBandwidthPriority, "raise bandwidth priority", ""),
    on(Torrents, &[Char('-')], "-", Action::LowerBandwidthPriority, "lower bandwidth priority", ""),
    on(Torrents, &[Char('K')], "K", Action::QueueUp, "move up in the queue", ""),
    on(Torrents, &[Char('J')], "J", Action::QueueDown, "move down in the queue", ""),
    on(Torrents, &[Char('[')], "[", Action::LowerDownloadLimit, "lower download limit", ""),
    on(Torrents, &[Char(']')], "]", Action::RaiseDownloadLimit, "raise download limit, or none", ""),
    on(Torrents, &[Char('{')], "{", Action::LowerUploadLimit, "lower upload limit", ""),
    on(Torrents, &[Char('}')], "}", Action::RaiseUploadLimit, "raise upload limit, or none", ""),
    on(Torrents, &[Char('m')], "m", Action::Move, "move data to another folder", ""),
    on(Torrents, &[Char('O')], "O", Action::Overwrite, "overwrite conflicting files; asks first", ""),
    on(Torrents, &[Char('y')], "y", Action::CopyMagnet, "copy magnet link (or of all marked)", ""),
    on(Torrents, &[Char('o')], "o", Action::OpenFolder, "open folder", ""),
    on(Torrents, &[Char('E')], "E", Action::Export, "export the .torrent file", ""),
    on(Torrents, &[Char('f')], "f", Action::StateFilter, "filter by state", ""),
    on(Torrents, &[Char('w')], "w", Action::Why, "show what limits the speed, with numbers", ""),
    on(Torrents, &[Char('s')], "s", Action::Sort, "sort by the next column", ""),
    on(Torrents, &[Char('S')], "S", Action::Reverse, "reverse the sort order", ""),
    on(Peers, &[Key::Enter], "Enter", Action::PeerOpen, "show peer details", "open"),
    on(Peers, &[Char('+')], "+", Action::PeerAdd, "connect to a peer by address", "connect"),
    on(Peers, &[Char('B')], "B", Action::Ban, "ban the selected peer's address", "ban"),
    on(Peers, &[Char('X')], "X", Action::Kick, "disconnect the selected peer", "kick"),
    on(Peers, &[Char('s')], "s", Action::Sort, "sort by the next column", "sort"),
    on(Peers, &[Char('S')], "S", Action::Reverse, "reverse the sort order", ""),
    on(Files, &[Char(' ')], "Space", Action::ToggleFile, "toggle download of the selected file", "toggle"),
    on(Files, &[Char('+')], "+", Action::RaiseFilePriority, "raise file priority", "more"),
    on(Files, &[Char('-')], "-", Action::LowerFilePriority, "lower file priority", "less"),
    on(Files, &[Char('=')], "=", Action::ResetFilePriority, "reset to normal priority", ""),
    on(Files, &[Key::Enter], "Enter", Action::ToggleFolder, "expand or collapse the folder", "fold"),
    on(Files, &[Char('*')], "*", Action::FileGlob, "download only files matching a pattern", "only"),
    on(Trackers, &[Char('t')], "t", Action::TrackerAnnounce, "announce to the selected tracker now", "announce"),
    on(Trackers, &[Char('a')], "a", Action::TrackerAdd, "add a tracker", "add tracker"),
    on(Trackers, &[Char('d'), Key::Delete], "d", Action::TrackerRemove, "remove the selected tracker", "remove"),
    on(Pieces, &[Key::Right, Char('l')], "right l", Action::PieceRight, "next piece", ""),
    on(Pieces, &[Key::Left, Char('h')], "left h", Action::PieceLeft, "previous piece", ""),
    on(Log, &[Key::Enter], "Enter", Action::LogScope, "switch log: this torrent or all", ""),
    on(Everywhere, &[Char('/')], "/", Action::Filter, "filter by name", "find"),
    on(Everywhere, &[Char('n')], "n", Action::NextMatch, "next match", ""),
    on(Everywhere, &[Char('N')], "N", Action::PreviousMatch, "previous match", ""),
    on(Everywhere, &[Char(':')], ":", Action::Palette, "command palette", ""),
    on(Everywhere, &[Char(',')], ",", Action::Settings, "settings", ""),
    on(Everywhere, &[Char('~')], "~", Action::HideNames, "hide all names, for screenshots", ""),
    on(Everywhere, &[Key::Tab, Key::BackTab], "Tab", Action::Pane, "switch pane", "pane"),
    on(Everywhere, &[Key::Right, Char('l')], "right l", Action::TabRight, "next tab", ""),
    on(Everywhere, &[Key::Left, Char('h')], "left h", Action::TabLeft, "previous tab", ""),
    on(Everywhere, &[Char('1')], "1", Action::Tab(Tab::Info), "Info: details of the torrent", ""),
    on(Everywhere, &[Char('2')], "2", Action::Tab(Tab::Pieces), "Pieces: the piece map", ""),
    on(Everywhere, &[Char('3')], "3", Action::Tab(Tab::Peers), "Peers: connected peers", ""),
    on(Everywhere, &[Char('4')], "4", Action::Tab(Tab::Files), "Files: progress and priority", ""),
    on(Everywhere, &[Char('5')], "5", Action::Tab(Tab::Trackers), "Trackers: status and last message", ""),
    on(Everywhere, &[Char('6')], "6", Action::Tab(Tab::Log), "Log: events", ""),
    on(Everywhere, &[Key::Up, Char('k')], "up k", Action::Up, "up", ""),
    on(Everywhere, &[Key::Down, Char('j')], "down j", Action::Down, "down", ""),
    on(Everywhere, &[Key::PageUp, Ctrl('b')], "PgUp ^b", Action::PageUp, "page up", ""),
    on(Everywhere, &[Key::PageDown, Ctrl('f')], "PgDn ^f", Action::PageDown, "page down", ""),
    on(Everywhere, &[Ctrl('u')], "^u", Action::HalfUp, "half page up", ""),
    on(Everywhere, &[Ctrl('d')], "^d", Action::HalfDown, "half page down", ""),
    on(Everywhere, &[Key::Home, Char('g')], "Home g", Action::First, "go to first", ""),
    on(Everywhere, &[Key::End, Char('G')], "End G", Action::Last, "go to last", ""),
    on(Everywhere, &[Char('z')], "z", Action::Zoom, "toggle full screen for this pane", ""),
    on(Everywhere, &[Char('r')], "r", Action::GraphSpan, "graph span: 1 minute, 5 minutes or 1 hour", ""),
    on(Everywhere, &[Char('R')], "R", Action::GraphScope, "graph: this torrent or all", ""),
    on(Everywhere, &[Char('T')], "T", Action::Theme, "theme: dark, light, high contrast, no colors", ""),
    on(Everywhere, &[Ctrl('l')], "^l", Action::Redraw, "redraw the screen", ""),
    on(Everywhere, &[Char('?'), Key::F(1)], "? F1", Action::Help, "this help", "help"),
    on(Everywhere, &[Key::Esc], "Esc", Action::Close, "close dialog or clear filter", ""),
    on(Everywhere, &[Char('q')], "q", Action::Quit, "back; at top level, quit", "quit"),
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
