//! Actions that keys trigger, in groups that have one handler each.

use crate::ui::keys::context::Tab;

/// An action that a key can trigger. Each has a row in the table of
/// [`bindings`](crate::ui::keys::bindings), which also holds its name in the config.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    App(AppAction),
    Nav(NavAction),
    View(ViewAction),
    Torrent(TorrentAction),
    Peer(PeerAction),
    File(FileAction),
    Tracker(TrackerAction),
    Dialog(DialogAction),
    Edit(EditAction),
}

/// Opens a dialog, closes something or quits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AppAction {
    Add,
    Create,
    Palette,
    Settings,
    /// Chooses the columns of the focused list.
    Columns,
    /// Shows the keys of the focused pane; all keys, if those are shown.
    Help,
    /// Shows what the status line has said.
    Messages,
    /// Stops the program until the shell continues it.
    Suspend,
    /// Closes or clears one thing.
    Close,
    /// Closes one thing; with nothing to close, quits.
    Quit,
    QuitNow,
}

/// Moves the selection or the text of the focused list or dialog.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NavAction {
    Up,
    Down,
    PageUp,
    PageDown,
    HalfUp,
    HalfDown,
    First,
    Last,
}

impl NavAction {
    /// Returns by how many rows the action moves where a page has `page` rows; up is negative.
    #[must_use]
    pub const fn rows(self, page: usize) -> isize {
        let page = page as isize;
        let half = if page > 1 { page / 2 } else { 1 };
        match self {
            NavAction::Up => -1,
            NavAction::Down => 1,
            NavAction::PageUp => -page,
            NavAction::PageDown => page,
            NavAction::HalfUp => -half,
            NavAction::HalfDown => half,
            NavAction::First => isize::MIN / 2,
            NavAction::Last => isize::MAX / 2,
        }
    }
}

/// Changes what the panes show, or where.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ViewAction {
    /// Focuses the other pane.
    Pane,
    /// Focuses the lower pane.
    EnterPane,
    Tab(Tab),
    TabRight,
    TabLeft,
    Zoom,
    Filter,
    NextMatch,
    PreviousMatch,
    StateFilter,
    Sort,
    Reverse,
    PieceRight,
    PieceLeft,
    LogScope,
    /// Shows the selected line of the log in full.
    LogLine,
    GraphSpan,
    GraphScope,
    HideNames,
    Theme,
    Redraw,
}

/// Applies to the marked torrents, or the selected one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TorrentAction {
    Mark,
    MarkAll,
    Pause,
    PauseAll,
    Remove,
    Verify,
    Announce,
    Sequential,
    SuperSeed,
    RaiseBandwidthPriority,
    LowerBandwidthPriority,
    QueueUp,
    QueueDown,
    LowerDownloadLimit,
    RaiseDownloadLimit,
    LowerUploadLimit,
    RaiseUploadLimit,
    Move,
    Overwrite,
    CopyMagnet,
    OpenFolder,
    Export,
    Why,
    /// Types rate limits.
    Limits,
    /// Shows the magnet link and its QR code.
    ShowLink,
}

/// Applies to the selected peer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PeerAction {
    Open,
    Add,
    Ban,
    Kick,
}

/// Applies to the selected file or directory, in the files tab and in the file selection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FileAction {
    Toggle,
    RaisePriority,
    LowerPriority,
    ResetPriority,
    ToggleFolder,
    /// Downloads only the files that match a pattern.
    Glob,
}

/// Applies to the selected tracker.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TrackerAction {
    Announce,
    Add,
    Remove,
}

/// Applies to the dialog on top.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DialogAction {
    Confirm,
    Yes,
    No,
    /// Selects the other answer.
    Switch,
    /// Completes a path; elsewhere, moves to the next field or row.
    Complete,
    /// Goes to the previous completion, field or row.
    CompleteBack,
    /// Opens the file picker.
    Browse,
    ToggleOption,
    /// Opens the selected directory.
    OpenEntry,
    ParentFolder,
    SelectAll,
    NextValue,
    PreviousValue,
    ResetValue,
    ColumnUp,
    ColumnDown,
    ShowQr,
    InvertQr,
}

/// Edits a line of text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EditAction {
    Left,
    Right,
    Start,
    End,
    DeleteLeft,
    DeleteRight,
    DeleteWord,
    DeleteToStart,
    DeleteToEnd,
}
