//! The one table of keys: from it come what a key does, the help, the palette, the hints of the status line and the
//! README. What a user's config changes of it is in [`keymap`](super::keymap).

/// A key as the interface knows it, whatever the terminal sent.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Key {
    /// A character.
    Char(char),
    /// A letter with Ctrl.
    Ctrl(char),
    /// A function key.
    F(u8),
    /// Enter.
    Enter,
    /// Escape.
    Esc,
    /// Tab.
    Tab,
    /// Shift and Tab.
    BackTab,
    /// Deletes backwards.
    Backspace,
    /// Deletes forwards.
    Delete,
    /// Left.
    Left,
    /// Right.
    Right,
    /// Up.
    Up,
    /// Down.
    Down,
    /// Home.
    Home,
    /// End.
    End,
    /// Page up.
    PageUp,
    /// Page down.
    PageDown,
}

/// The tabs of the lower pane.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum Tab {
    /// Numbers of the torrent.
    Info,
    /// The piece map.
    Pieces,
    /// The peers.
    #[default]
    Peers,
    /// The files.
    Files,
    /// The trackers.
    Trackers,
    /// What happened.
    Log,
}

impl Tab {
    /// All of them, in order.
    pub const ALL: [Tab; 6] = [Tab::Info, Tab::Pieces, Tab::Peers, Tab::Files, Tab::Trackers, Tab::Log];

    /// Its title.
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

    /// The one `step` further, round at the ends.
    #[must_use]
    pub fn step(self, step: usize) -> Self {
        Tab::ALL[(self as usize + step) % Tab::ALL.len()]
    }
}

/// What a key can ask for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the table below says of each what it does")]
pub enum Act {
    Help,
    Quit,
    Close,
    Stop,
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
    NextFound,
    PreviousFound,
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
    RankUp,
    RankDown,
    QueueUp,
    QueueDown,
    Sequential,
    SuperSeed,
    DownLimitLess,
    DownLimitMore,
    UpLimitLess,
    UpLimitMore,
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
    FileWanted,
    FileMore,
    FileLess,
    FileNormal,
    FileFold,
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

/// Where a key means what it means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// Everywhere.
    Everywhere,
    /// On the chosen torrent, in the list and in the pane below.
    Torrents,
    /// In the list of peers.
    Peers,
    /// In the list of files.
    Files,
    /// In the list of trackers.
    Trackers,
    /// On the piece map.
    Pieces,
    /// In the log.
    Log,
}

impl Place {
    /// All, those that hold almost everywhere first.
    pub const ALL: [Place; 7] =
        [Place::Torrents, Place::Everywhere, Place::Peers, Place::Pieces, Place::Files, Place::Trackers, Place::Log];

    /// The place of a tab, for those that have keys of their own.
    #[must_use]
    pub const fn of(tab: Tab) -> Option<Place> {
        match tab {
            Tab::Info => None,
            Tab::Pieces => Some(Place::Pieces),
            Tab::Peers => Some(Place::Peers),
            Tab::Files => Some(Place::Files),
            Tab::Trackers => Some(Place::Trackers),
            Tab::Log => Some(Place::Log),
        }
    }

    /// Its heading in the help.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Place::Everywhere => "Everywhere",
            Place::Torrents => "The chosen torrent",
            Place::Peers => "In the list of peers",
            Place::Files => "In the list of files",
            Place::Trackers => "In the list of trackers",
            Place::Pieces => "On the piece map",
            Place::Log => "In the log",
        }
    }
}

/// One line of the table.
#[derive(Clone, Copy, Debug)]
pub struct Binding {
    /// Where it holds.
    pub place: Place,
    /// The keys, any of which will do.
    pub keys: &'static [Key],
    /// The keys as people write them.
    pub shown: &'static str,
    /// What they do.
    pub act: Act,
    /// The same in words.
    pub help: &'static str,
    /// The word in the status line, for those that are shown there.
    pub hint: &'static str,
}

const fn on(
    place: Place,
    keys: &'static [Key],
    shown: &'static str,
    act: Act,
    help: &'static str,
    hint: &'static str,
) -> Binding {
    Binding { place, keys, shown, act, help, hint }
}

use Key::{Char, Ctrl};
use Place::{Everywhere, Files, Log, Peers, Pieces, Torrents, Trackers};

/// All keys. The first match wins, those of a narrower place before those that hold everywhere.
pub const KEYS: &[Binding] = &[
    on(Torrents, &[Char('a')], "a", Act::Add, "add a torrent: path, URL, magnet, hash, or paste", "add"),
    on(Torrents, &[Char('c')], "c", Act::Create, "create a torrent of your own files, and seed it", "create"),
    on(Torrents, &[Char(' ')], "Space", Act::Mark, "mark it; what follows is done to all marked", ""),
    on(Torrents, &[Char('*')], "*", Act::MarkAll, "mark all that are shown, or none", ""),
    on(Torrents, &[Char('p')], "p", Act::Pause, "pause or resume", "pause"),
    on(Torrents, &[Char('P')], "P", Act::PauseAll, "pause or resume all", ""),
    on(Torrents, &[Char('d'), Key::Delete], "d", Act::Remove, "remove; asks whether to keep the data", "remove"),
    on(Torrents, &[Char('v')], "v", Act::Verify, "verify: hash all data again", "verify"),
    on(Torrents, &[Char('t')], "t", Act::Announce, "ask the trackers for peers now", ""),
    on(Torrents, &[Char('e')], "e", Act::Sequential, "fetch in order, or rarest first", ""),
    on(Torrents, &[Char('x')], "x", Act::SuperSeed, "super-seed: offer one piece at a time, or all", ""),
    on(Torrents, &[Char('+')], "+", Act::RankUp, "a larger share of the limits", ""),
    on(Torrents, &[Char('-')], "-", Act::RankDown, "a smaller share of the limits", ""),
    on(Torrents, &[Char('K')], "K", Act::QueueUp, "up in the queue", ""),
    on(Torrents, &[Char('J')], "J", Act::QueueDown, "down in the queue", ""),
    on(Torrents, &[Char('[')], "[", Act::DownLimitLess, "a lower limit in", ""),
    on(Torrents, &[Char(']')], "]", Act::DownLimitMore, "a higher limit in, or none", ""),
    on(Torrents, &[Char('{')], "{", Act::UpLimitLess, "a lower limit out", ""),
    on(Torrents, &[Char('}')], "}", Act::UpLimitMore, "a higher limit out, or none", ""),
    on(Torrents, &[Char('m')], "m", Act::Move, "move its data to another folder", ""),
    on(Torrents, &[Char('O')], "O", Act::Overwrite, "overwrite the files that are in its way; asks first", ""),
    on(Torrents, &[Char('y')], "y", Act::CopyMagnet, "copy its magnet link, or of all marked", ""),
    on(Torrents, &[Char('o')], "o", Act::OpenFolder, "open its folder", ""),
    on(Torrents, &[Char('E')], "E", Act::Export, "write its .torrent to a file", ""),
    on(Torrents, &[Char('f')], "f", Act::StateFilter, "show only those in one state", ""),
    on(Torrents, &[Char('w')], "w", Act::Why, "why it is no faster, with the numbers", ""),
    on(Torrents, &[Char('s')], "s", Act::Sort, "sort by the next column", ""),
    on(Torrents, &[Char('S')], "S", Act::Reverse, "sort the other way round", ""),
    on(Peers, &[Key::Enter], "Enter", Act::PeerOpen, "look at the chosen peer closely", "open"),
    on(Peers, &[Char('+')], "+", Act::PeerAdd, "connect to an address", "connect"),
    on(Peers, &[Char('B')], "B", Act::Ban, "ban the address of the chosen peer", "ban"),
    on(Peers, &[Char('X')], "X", Act::Kick, "disconnect the chosen peer", "kick"),
    on(Peers, &[Char('s')], "s", Act::Sort, "sort by the next column", "sort"),
    on(Peers, &[Char('S')], "S", Act::Reverse, "sort the other way round", ""),
    on(Files, &[Char(' ')], "Space", Act::FileWanted, "want the chosen file, or do not", "want"),
    on(Files, &[Char('+')], "+", Act::FileMore, "raise its priority", "more"),
    on(Files, &[Char('-')], "-", Act::FileLess, "lower its priority", "less"),
    on(Files, &[Char('=')], "=", Act::FileNormal, "normal priority", ""),
    on(Files, &[Key::Enter], "Enter", Act::FileFold, "fold or unfold the folder", "fold"),
    on(Files, &[Char('*')], "*", Act::FileGlob, "want only the files that match a pattern", "only"),
    on(Trackers, &[Char('t')], "t", Act::TrackerAnnounce, "ask the chosen tracker now", "ask now"),
    on(Trackers, &[Char('a')], "a", Act::TrackerAdd, "add a tracker", "add tracker"),
    on(Trackers, &[Char('d'), Key::Delete], "d", Act::TrackerRemove, "remove the chosen tracker", "remove it"),
    on(Pieces, &[Key::Right, Char('l')], "right l", Act::PieceRight, "to the next piece", ""),
    on(Pieces, &[Key::Left, Char('h')], "left h", Act::PieceLeft, "to the piece before", ""),
    on(Log, &[Key::Enter], "Enter", Act::LogScope, "the log of this torrent, or of all", ""),
    on(Everywhere, &[Char('/')], "/", Act::Filter, "show only what has this in its name", "find"),
    on(Everywhere, &[Char('n')], "n", Act::NextFound, "to the next that was found", ""),
    on(Everywhere, &[Char('N')], "N", Act::PreviousFound, "to the one found before", ""),
    on(Everywhere, &[Char(':')], ":", Act::Palette, "all that can be done, found by typing", ""),
    on(Everywhere, &[Char(',')], ",", Act::Settings, "settings", ""),
    on(Everywhere, &[Char('~')], "~", Act::HideNames, "hide all names, for a picture", ""),
    on(Everywhere, &[Key::Tab, Key::BackTab], "Tab", Act::Pane, "to the other pane", "pane"),
    on(Everywhere, &[Key::Right, Char('l')], "right l", Act::TabRight, "the next tab", ""),
    on(Everywhere, &[Key::Left, Char('h')], "left h", Act::TabLeft, "the tab before", ""),
    on(Everywhere, &[Char('1')], "1", Act::Tab(Tab::Info), "Info: numbers of the torrent", ""),
    on(Everywhere, &[Char('2')], "2", Act::Tab(Tab::Pieces), "Pieces: the piece map", ""),
    on(Everywhere, &[Char('3')], "3", Act::Tab(Tab::Peers), "Peers: who is connected", ""),
    on(Everywhere, &[Char('4')], "4", Act::Tab(Tab::Files), "Files: progress and priority", ""),
    on(Everywhere, &[Char('5')], "5", Act::Tab(Tab::Trackers), "Trackers: what they last said", ""),
    on(Everywhere, &[Char('6')], "6", Act::Tab(Tab::Log), "Log: what happened", ""),
    on(Everywhere, &[Key::Up, Char('k')], "up k", Act::Up, "up", ""),
    on(Everywhere, &[Key::Down, Char('j')], "down j", Act::Down, "down", ""),
    on(Everywhere, &[Key::PageUp, Ctrl('b')], "PgUp ^b", Act::PageUp, "a page up", ""),
    on(Everywhere, &[Key::PageDown, Ctrl('f')], "PgDn ^f", Act::PageDown, "a page down", ""),
    on(Everywhere, &[Ctrl('u')], "^u", Act::HalfUp, "half a page up", ""),
    on(Everywhere, &[Ctrl('d')], "^d", Act::HalfDown, "half a page down", ""),
    on(Everywhere, &[Key::Home, Char('g')], "Home g", Act::First, "to the first", ""),
    on(Everywhere, &[Key::End, Char('G')], "End G", Act::Last, "to the last", ""),
    on(Everywhere, &[Char('z')], "z", Act::Zoom, "give this pane the whole screen, or not", ""),
    on(Everywhere, &[Char('r')], "r", Act::GraphSpan, "rates of the last minute, 5 minutes or hour", ""),
    on(Everywhere, &[Char('R')], "R", Act::GraphScope, "rates of this torrent, or of all", ""),
    on(Everywhere, &[Char('T')], "T", Act::Theme, "theme: dark, light, high contrast, no colours", ""),
    on(Everywhere, &[Ctrl('l')], "^l", Act::Redraw, "draw everything anew", ""),
    on(Everywhere, &[Char('?'), Key::F(1)], "? F1", Act::Help, "this help", "help"),
    on(Everywhere, &[Key::Esc], "Esc", Act::Close, "close or clear what is in front", ""),
    on(Everywhere, &[Char('q')], "q", Act::Quit, "back; at the root, quit", "quit"),
    on(Everywhere, &[Ctrl('c')], "^c", Act::Stop, "save everything and quit", ""),
];

/// The table as Markdown, for the README.
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
