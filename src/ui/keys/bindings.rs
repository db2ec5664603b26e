//! The table of key bindings: help text, palette entries, hints of the status line, buttons of dialogs and the README
//! tables come from it. User overrides from the config are applied in [`keymap`](crate::ui::keys::keymap).

use crate::ui::keys::action::{
    Action, AppAction, DialogAction, EditAction, FileAction, NavAction, PeerAction, TorrentAction, TrackerAction,
    ViewAction,
};
use crate::ui::keys::context::{KeyContext, Tab};
use crate::ui::keys::key::Key;

/// One row of the key binding table.
#[derive(Clone, Copy, Debug)]
pub struct Binding {
    pub place: KeyContext,
    /// Alternative keys, as displayed.
    pub keys: &'static [Key],
    /// Further keys, which are not displayed.
    pub also: &'static [Key],
    pub act: Action,
    /// Name of the action in the config. Config files of users hold it: it does not change.
    pub name: &'static str,
    /// Description for the help and the palette.
    pub help: &'static str,
    /// Label in the status line; empty if not shown there.
    pub hint: &'static str,
}

impl Binding {
    const fn also(self, keys: &'static [Key]) -> Self {
        Binding { also: keys, ..self }
    }

    const fn hint(self, hint: &'static str) -> Self {
        Binding { hint, ..self }
    }

    /// Returns all keys, the displayed ones first.
    pub fn all_keys(&self) -> impl Iterator<Item = Key> {
        self.keys.iter().chain(self.also).copied()
    }
}

const fn on(place: KeyContext, keys: &'static [Key], act: Action, name: &'static str, help: &'static str) -> Binding {
    Binding { place, keys, also: &[], act, name, help, hint: "" }
}

use Action::{App, Dialog, Edit, File, Nav, Peer, Torrent, Tracker, View};
use Key::{Backspace, Char, Ctrl, Delete, Enter};
use KeyContext::{
    Columns, Dialogs, Everywhere, FileSelect, Files, Forms, Help, Messages, Options, Peers, Picker, Pieces, Questions,
    Search, Settings, Share, Text, Torrents, Trackers,
};

/// All key bindings. The first match wins; bindings of a narrower context take precedence over global ones.
pub const KEYS: &[Binding] = &[
    on(Torrents, &[Char('a')], App(AppAction::Add), "add", "add a torrent: path, URL, magnet, hash, or paste")
        .hint("add"),
    on(Torrents, &[Char('c')], App(AppAction::Create), "create", "create a torrent from your files and seed it")
        .hint("create"),
    on(Torrents, &[Char(' ')], Torrent(TorrentAction::Mark), "mark", "mark torrent; actions apply to all marked"),
    on(Torrents, &[Char('*')], Torrent(TorrentAction::MarkAll), "mark-all", "mark all shown torrents, or none"),
    on(Torrents, &[Char('p')], Torrent(TorrentAction::Pause), "pause", "pause or resume").hint("pause"),
    on(Torrents, &[Char('P')], Torrent(TorrentAction::PauseAll), "pause-all", "pause or resume all"),
    on(Torrents, &[Char('d')], Torrent(TorrentAction::Remove), "remove", "remove; asks whether to keep the data")
        .also(&[Delete])
        .hint("remove"),
    on(Torrents, &[Char('v')], Torrent(TorrentAction::Verify), "verify", "verify: rehash all data").hint("verify"),
    on(Torrents, &[Char('t')], Torrent(TorrentAction::Announce), "announce", "announce to all trackers now"),
    on(Torrents, &[Char('e')], Torrent(TorrentAction::Sequential), "sequential", "toggle sequential download"),
    on(Torrents, &[Char('x')], Torrent(TorrentAction::SuperSeed), "super-seed", "toggle super-seeding (BEP 16)"),
    on(
        Torrents,
        &[Char('+')],
        Torrent(TorrentAction::RaiseBandwidthPriority),
        "raise-bandwidth-priority",
        "raise bandwidth priority",
    ),
    on(
        Torrents,
        &[Char('-')],
        Torrent(TorrentAction::LowerBandwidthPriority),
        "lower-bandwidth-priority",
        "lower bandwidth priority",
    ),
    on(Torrents, &[Char('K')], Torrent(TorrentAction::QueueUp), "queue-up", "move up in the queue"),
    on(Torrents, &[Char('J')], Torrent(TorrentAction::QueueDown), "queue-down", "move down in the queue"),
    on(
        Torrents,
        &[Char('[')],
        Torrent(TorrentAction::LowerDownloadLimit),
        "lower-download-limit",
        "lower download limit",
    ),
    on(
        Torrents,
        &[Char(']')],
        Torrent(TorrentAction::RaiseDownloadLimit),
        "raise-download-limit",
        "raise download limit, or none",
    ),
    on(Torrents, &[Char('{')], Torrent(TorrentAction::LowerUploadLimit), "lower-upload-limit", "lower upload limit"),
    on(
        Torrents,
        &[Char('}')],
        Torrent(TorrentAction::RaiseUploadLimit),
        "raise-upload-limit",
        "raise upload limit, or none",
    ),
    on(Torrents, &[Char('b')], Torrent(TorrentAction::Limits), "limits", "type rate limits"),
    on(Torrents, &[Char('m')], Torrent(TorrentAction::Move), "move", "move data to another folder"),
    on(
        Torrents,
        &[Char('O')],
        Torrent(TorrentAction::Overwrite),
        "overwrite",
        "overwrite conflicting files; asks first",
    ),
    on(
        Torrents,
        &[Char('y')],
        Torrent(TorrentAction::CopyMagnet),
        "copy-magnet",
        "copy magnet link (or of all marked)",
    ),
    on(Torrents, &[Char('Q')], Torrent(TorrentAction::ShowLink), "show-link", "show the link and its QR code"),
    on(Torrents, &[Char('o')], Torrent(TorrentAction::OpenFolder), "open-folder", "open folder"),
    on(Torrents, &[Char('E')], Torrent(TorrentAction::Export), "export", "export the .torrent file"),
    on(Torrents, &[Char('f')], View(ViewAction::StateFilter), "state-filter", "filter by state"),
    on(Torrents, &[Char('w')], Torrent(TorrentAction::Why), "why", "show what limits the speed, with numbers"),
    on(Torrents, &[Enter], View(ViewAction::EnterPane), "enter-pane", "go to the lower pane"),
    on(Torrents, &[Char('s')], View(ViewAction::Sort), "sort", "sort: menu of all columns"),
    on(Torrents, &[Char('S')], View(ViewAction::Reverse), "reverse", "reverse the sort order"),
    on(Peers, &[Enter], Peer(PeerAction::Open), "peer-open", "show peer details").hint("open"),
    on(Peers, &[Char('+')], Peer(PeerAction::Add), "peer-add", "connect to a peer by address").hint("connect"),
    on(Peers, &[Char('B')], Peer(PeerAction::Ban), "ban", "ban the selected peer's address").hint("ban"),
    on(Peers, &[Char('X')], Peer(PeerAction::Kick), "kick", "disconnect the selected peer").hint("kick"),
    on(Peers, &[Char('s')], View(ViewAction::Sort), "sort", "sort: menu of all columns").hint("sort"),
    on(Peers, &[Char('S')], View(ViewAction::Reverse), "reverse", "reverse the sort order"),
    on(Files, &[Char(' ')], File(FileAction::Toggle), "toggle-file", "toggle download of the selected file")
        .hint("toggle"),
    on(Files, &[Char('+')], File(FileAction::RaisePriority), "raise-file-priority", "raise file priority").hint("more"),
    on(Files, &[Char('-')], File(FileAction::LowerPriority), "lower-file-priority", "lower file priority").hint("less"),
    on(Files, &[Char('=')], File(FileAction::ResetPriority), "reset-file-priority", "reset to normal priority"),
    on(Files, &[Enter], File(FileAction::ToggleFolder), "toggle-folder", "expand or collapse the folder").hint("fold"),
    on(Files, &[Char('F')], File(FileAction::Glob), "file-glob", "download only files matching a pattern").hint("only"),
    on(
        Trackers,
        &[Char('t')],
        Tracker(TrackerAction::Announce),
        "tracker-announce",
        "announce to the selected tracker now",
    )
    .hint("announce"),
    on(Trackers, &[Char('a')], Tracker(TrackerAction::Add), "tracker-add", "add a tracker").hint("add tracker"),
    on(Trackers, &[Char('d')], Tracker(TrackerAction::Remove), "tracker-remove", "remove the selected tracker")
        .also(&[Delete])
        .hint("remove"),
    on(Pieces, &[Key::Right, Char('l')], View(ViewAction::PieceRight), "piece-right", "next piece"),
    on(Pieces, &[Key::Left, Char('h')], View(ViewAction::PieceLeft), "piece-left", "previous piece"),
    on(KeyContext::Log, &[Enter], View(ViewAction::LogLine), "log-line", "show the whole line").hint("whole line"),
    on(KeyContext::Log, &[Char('L')], View(ViewAction::LogScope), "log-scope", "switch log: this torrent or all")
        .hint("scope"),
    on(Everywhere, &[Char('/')], View(ViewAction::Filter), "filter", "find in the focused list").hint("find"),
    on(Everywhere, &[Char('n')], View(ViewAction::NextMatch), "next-match", "next match"),
    on(Everywhere, &[Char('N')], View(ViewAction::PreviousMatch), "previous-match", "previous match"),
    on(Everywhere, &[Char(':')], App(AppAction::Palette), "palette", "command palette"),
    on(Everywhere, &[Char(',')], App(AppAction::Settings), "settings", "settings"),
    on(Everywhere, &[Char('M')], App(AppAction::Messages), "messages", "messages: what the last line said"),
    on(Everywhere, &[Char('C')], App(AppAction::Columns), "columns", "choose the columns of the list"),
    on(Everywhere, &[Char('~')], View(ViewAction::HideNames), "hide-names", "hide all names, for screenshots"),
    on(Everywhere, &[Key::Tab], View(ViewAction::Pane), "pane", "switch pane").also(&[Key::BackTab]).hint("pane"),
    on(Everywhere, &[Key::Right, Char('l')], View(ViewAction::TabRight), "tab-right", "next tab"),
    on(Everywhere, &[Key::Left, Char('h')], View(ViewAction::TabLeft), "tab-left", "previous tab"),
    on(Everywhere, &[Char('1')], View(ViewAction::Tab(Tab::Info)), "tab-info", "Info: details of the torrent"),
    on(Everywhere, &[Char('2')], View(ViewAction::Tab(Tab::Pieces)), "tab-pieces", "Pieces: the piece map"),
    on(Everywhere, &[Char('3')], View(ViewAction::Tab(Tab::Peers)), "tab-peers", "Peers: connected peers"),
    on(Everywhere, &[Char('4')], View(ViewAction::Tab(Tab::Files)), "tab-files", "Files: progress and priority"),
    on(
        Everywhere,
        &[Char('5')],
        View(ViewAction::Tab(Tab::Trackers)),
        "tab-trackers",
        "Trackers: status and last message",
    ),
    on(Everywhere, &[Char('6')], View(ViewAction::Tab(Tab::Log)), "tab-log", "Log: events"),
    on(Everywhere, &[Key::Up, Char('k')], Nav(NavAction::Up), "up", "up"),
    on(Everywhere, &[Key::Down, Char('j')], Nav(NavAction::Down), "down", "down"),
    on(Everywhere, &[Key::PageUp, Ctrl('b')], Nav(NavAction::PageUp), "page-up", "page up"),
    on(Everywhere, &[Key::PageDown, Ctrl('f')], Nav(NavAction::PageDown), "page-down", "page down"),
    on(Everywhere, &[Ctrl('u')], Nav(NavAction::HalfUp), "half-up", "half page up"),
    on(Everywhere, &[Ctrl('d')], Nav(NavAction::HalfDown), "half-down", "half page down"),
    on(Everywhere, &[Key::Home, Char('g')], Nav(NavAction::First), "first", "go to first"),
    on(Everywhere, &[Key::End, Char('G')], Nav(NavAction::Last), "last", "go to last"),
    on(Everywhere, &[Char('z')], View(ViewAction::Zoom), "zoom", "toggle full screen for this pane"),
    on(
        Everywhere,
        &[Char('r')],
        View(ViewAction::GraphSpan),
        "graph-span",
        "graph span: 1 minute, 5 minutes or 1 hour",
    ),
    on(Everywhere, &[Char('R')], View(ViewAction::GraphScope), "graph-scope", "graph: this torrent or all"),
    on(Everywhere, &[Char('T')], View(ViewAction::Theme), "theme", "next theme; the settings list all"),
    on(Everywhere, &[Ctrl('l')], View(ViewAction::Redraw), "redraw", "redraw the screen"),
    on(Everywhere, &[Char('?'), Key::F(1)], App(AppAction::Help), "help", "keys of this pane; again: all keys")
        .hint("help"),
    on(Everywhere, &[Key::Esc], App(AppAction::Close), "close", "close dialog or clear filter"),
    on(Everywhere, &[Char('q')], App(AppAction::Quit), "quit", "back; at top level, quit").hint("quit"),
    on(Everywhere, &[Ctrl('c')], App(AppAction::QuitNow), "quit-now", "save everything and quit"),
    on(Everywhere, &[Ctrl('z')], App(AppAction::Suspend), "suspend", "suspend: back to the shell until fg"),
    on(Dialogs, &[Enter], Dialog(DialogAction::Confirm), "confirm", "confirm: add, remove, open, run"),
    on(Questions, &[Key::Tab], Dialog(DialogAction::Switch), "switch-answer", "select the other answer").also(&[
        Key::BackTab,
        Key::Left,
        Key::Right,
        Char(' '),
    ]),
    on(Questions, &[Char('y')], Dialog(DialogAction::Yes), "yes", "yes, if only yes or no is asked"),
    on(Questions, &[Char('n')], Dialog(DialogAction::No), "no", "no"),
    on(Messages, &[Enter], Dialog(DialogAction::Confirm), "confirm", "close").also(&[Char(' ')]),
    on(Forms, &[Key::Tab], Dialog(DialogAction::Complete), "complete", "complete a path; go to the next field or row"),
    on(Forms, &[Key::BackTab], Dialog(DialogAction::CompleteBack), "complete-back", "the same, backwards"),
    on(Forms, &[Ctrl('o')], Dialog(DialogAction::Browse), "browse", "select a path in the file picker"),
    on(Text, &[Key::Left, Ctrl('b')], Edit(EditAction::Left), "cursor-left", "left"),
    on(Text, &[Key::Right], Edit(EditAction::Right), "cursor-right", "right, or ^f").also(&[Ctrl('f')]),
    on(Text, &[Key::Home, Ctrl('a')], Edit(EditAction::Start), "cursor-start", "go to the start"),
    on(Text, &[Key::End, Ctrl('e')], Edit(EditAction::End), "cursor-end", "go to the end"),
    on(Text, &[Backspace], Edit(EditAction::DeleteLeft), "delete-left", "delete to the left"),
    on(Text, &[Delete, Ctrl('d')], Edit(EditAction::DeleteRight), "delete-right", "delete to the right"),
    on(Text, &[Ctrl('w')], Edit(EditAction::DeleteWord), "delete-word", "delete a word, or a part of a path"),
    on(Text, &[Ctrl('u')], Edit(EditAction::DeleteToStart), "delete-to-start", "delete to the start"),
    on(Text, &[Ctrl('k')], Edit(EditAction::DeleteToEnd), "delete-to-end", "delete to the end"),
    on(Options, &[Char(' ')], Dialog(DialogAction::ToggleOption), "toggle-option", "check or uncheck"),
    on(Options, &[Key::Left], Edit(EditAction::Left), "cursor-left", "previous box"),
    on(Options, &[Key::Right], Edit(EditAction::Right), "cursor-right", "next box"),
    on(Search, &[Key::PageUp, Ctrl('b')], Nav(NavAction::PageUp), "page-up", "page up"),
    on(Search, &[Key::PageDown, Ctrl('f')], Nav(NavAction::PageDown), "page-down", "page down"),
    on(Picker, &[Key::Right], Dialog(DialogAction::OpenEntry), "open-entry", "open the selected folder"),
    on(Picker, &[Key::Left], Dialog(DialogAction::ParentFolder), "parent-folder", "go to the parent folder")
        .also(&[Backspace]),
    on(Picker, &[Key::Home], Nav(NavAction::First), "first", "go to first"),
    on(Picker, &[Key::End], Nav(NavAction::Last), "last", "go to last"),
    on(FileSelect, &[Char('a')], Dialog(DialogAction::SelectAll), "select-all", "select all files, or none")
        .also(&[Char('*')]),
    on(Settings, &[Char(' ')], Dialog(DialogAction::NextValue), "next-value", "next value").also(&[Key::Right]),
    on(Settings, &[Key::Left], Dialog(DialogAction::PreviousValue), "previous-value", "previous value"),
    on(Settings, &[Delete], Dialog(DialogAction::ResetValue), "reset-value", "reset to the default").also(&[Backspace]),
    on(Columns, &[Char(' ')], Dialog(DialogAction::ToggleOption), "toggle-option", "show or hide the column"),
    on(Columns, &[Char('K')], Dialog(DialogAction::ColumnUp), "column-up", "move the column up: to the left"),
    on(Columns, &[Char('J')], Dialog(DialogAction::ColumnDown), "column-down", "move the column down: to the right"),
    on(Columns, &[Key::Tab], Dialog(DialogAction::Complete), "complete", "torrents or peers").also(&[Key::BackTab]),
    on(Columns, &[Delete], Dialog(DialogAction::ResetValue), "reset-value", "usual columns").also(&[Backspace]),
    on(Help, &[Key::PageDown, Ctrl('f')], Nav(NavAction::PageDown), "page-down", "page down").also(&[Char(' ')]),
    on(Share, &[Char('y')], Torrent(TorrentAction::CopyMagnet), "copy-magnet", "copy the magnet link"),
    on(Share, &[Char('r')], Dialog(DialogAction::ShowQr), "show-qr", "show only the QR code, or the text"),
    on(Share, &[Char('i')], Dialog(DialogAction::InvertQr), "invert-qr", "swap dark and light in the QR code"),
];

impl Action {
    /// Returns the action's name in the config.
    #[must_use]
    pub fn name(self) -> &'static str {
        KEYS.iter().find(|binding| binding.act == self).map_or("", |binding| binding.name)
    }

    /// Returns the context of the action's first binding.
    #[must_use]
    pub fn context(self) -> Option<KeyContext> {
        KEYS.iter().find(|binding| binding.act == self).map(|binding| binding.place)
    }
}

/// Returns the table as Markdown, for the README.
#[must_use]
pub fn markdown() -> String {
    let mut out = String::new();
    for place in KeyContext::ALL {
        out.push_str(&format!("\n| {} | | name |\n|---|---|---|\n", place.title()));
        for binding in KEYS.iter().filter(|b| b.place == place) {
            let keys: Vec<String> = binding.keys.iter().map(|key| format!("`{key}`")).collect();
            out.push_str(&format!("| {} | {} | {} |\n", keys.join(" "), binding.help, binding.name));
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
            for key in binding.all_keys() {
                for other in &KEYS[at + 1..] {
                    assert!(other.place != binding.place || other.all_keys().all(|k| k != key), "{key:?} twice");
                }
            }
        }
    }

    #[test]
    fn keys_that_terminals_keep_for_themselves_are_never_bound() {
        for key in ['s', 'q', 'h', 'i', 'm'] {
            assert!(KEYS.iter().all(|b| b.all_keys().all(|k| k != Key::Ctrl(key))), "^{key}");
        }
    }

    #[test]
    fn names_are_one_to_one() {
        for binding in KEYS {
            assert!(KEYS.iter().all(|b| (b.act == binding.act) == (b.name == binding.name)), "{}", binding.name);
        }
        for name in ["queue-up", "tab-peers", "super-seed", "lower-download-limit", "file-glob", "pause"] {
            assert!(KEYS.iter().any(|b| b.name == name), "{name}: configs of users hold it");
        }
    }
}
