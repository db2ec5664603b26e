//! The UI state between frames: selection, focus, sort order, search text. Torrent data are not stored here, except for
//! the rate history that the graph draws.

use std::time::Duration;

use crate::api::{Event, Snapshot, State, TorrentId, TorrentView};
use crate::ui::effect::Effect;
use crate::ui::keys::action::{Action, TorrentAction};
use crate::ui::keys::context::{KeyContext, Tab};
use crate::ui::keys::key::Key;
use crate::ui::keys::keymap::Keymap;
use crate::ui::state::columns::{PeerColumn, TorrentColumn};
use crate::ui::state::detail::DetailState;
use crate::ui::state::guide::Guide;
use crate::ui::state::rate_history::RateHistory;
use crate::ui::state::settings::UiSettings;
use crate::ui::theme::style::{Theme, ThemeName};
use crate::ui::widgets::path_input::DirListing;
use crate::ui::widgets::text_input::TextInput;
use crate::words::why;

/// How long a notice stays in the status line.
const NOTICE: Duration = Duration::from_secs(8);

/// An input of the UI.
#[derive(Clone, Debug)]
pub enum Message {
    Key(Key),
    /// A paste.
    Paste(String),
    /// A left click: column, row.
    Click(u16, u16),
    /// The mouse wheel: column, row, delta; up is negative.
    Wheel(u16, u16, i32),
    /// The terminal was resized: columns, rows.
    Resize(u16, u16),
    /// One second has passed: time since the UI started.
    Tick(Duration),
    /// The engine sent a new snapshot, which is passed along with this message.
    Snapshot,
    /// A directory listing that was requested.
    Listing(DirListing),
    /// Another event of the engine.
    Event(Event),
}

/// The focused pane.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Focus {
    #[default]
    List,
    /// The detail pane with the tabs.
    Detail,
}

/// A sentence shown in the status line for a while.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Notice {
    pub text: String,
    /// When the notice disappears, as UI clock time.
    pub until: Duration,
}

/// The UI state.
#[derive(Clone, Debug, Default)]
pub struct AppState {
    /// Columns and rows of the terminal.
    pub size: (u16, u16),
    /// Time since the UI started.
    pub clock: Duration,
    pub theme: Theme,
    /// Home directory, for `~/`.
    pub home: Option<String>,
    /// The selected torrent.
    pub selected: Option<TorrentId>,
    /// Number of torrents requested from the UI that the engine has not answered yet.
    pub adding: usize,
    /// A torrent to select as soon as the snapshot contains it.
    pub wanted: Option<TorrentId>,
    /// Last row of the selected torrent.
    pub last_row: usize,
    /// Visible torrents in display order, as indices into the snapshot.
    pub rows: Vec<usize>,
    /// Ids of `rows`, to keep the order when indices change.
    pub row_ids: Vec<u64>,
    /// First visible row.
    pub top: usize,
    /// Sort order of the torrent list.
    pub sort: TorrentColumn,
    /// Whether that order is reversed.
    pub reverse: bool,
    /// Name filter: a substring.
    pub filter: TextInput,
    /// Whether the filter input has the focus.
    pub filtering: bool,
    /// The focused pane.
    pub pane: Focus,
    /// The active tab.
    pub tab: Tab,
    /// Whether the focused pane fills the screen.
    pub zoom: bool,
    /// Peers of the selected torrent in display order, as indices into its detail.
    pub peers: Vec<usize>,
    /// Keys of `peers`, to keep the order when indices change.
    pub peer_keys: Vec<u64>,
    /// The selected peer.
    pub peer: Option<u64>,
    /// Sort order of the peer list.
    pub peer_sort: PeerColumn,
    /// Whether that order is reversed.
    pub peer_reverse: bool,
    /// When both lists were last sorted: not at every snapshot, so that rows stay readable.
    pub sorted: Duration,
    /// First visible peer.
    pub peers_top: usize,
    /// Selected row of each tab; in the log tab, the distance from the newest line.
    pub cursor: [usize; Tab::ALL.len()],
    pub keymap: Keymap,
    /// UI values of the config.
    pub options: UiSettings,
    /// Effects queued for the event loop.
    pub outbox: Vec<Effect>,
    /// The notice in the status line.
    pub notice: Option<Notice>,
    /// State of the detail panes.
    pub panes: DetailState,
    /// Rates of all torrents together.
    pub history: RateHistory,
    /// Whether the user wants to quit.
    pub quit: bool,
    /// Whether the user wants to see the demo again, with `quit`.
    pub again: bool,
    /// The guide of the demo.
    pub(crate) guide: Option<Guide>,
    /// Whether something visible has changed since the last frame.
    pub dirty: bool,
    /// Whether the whole terminal must be redrawn.
    pub redraw: bool,
}

impl AppState {
    /// Returns the active key contexts, the narrowest first.
    #[must_use]
    pub fn key_contexts(&self) -> [KeyContext; 3] {
        let narrow = KeyContext::of(self.tab).filter(|_| self.pane == Focus::Detail);
        [narrow.unwrap_or(KeyContext::Torrents), KeyContext::Torrents, KeyContext::Everywhere]
    }

    /// Creates the initial state.
    #[must_use]
    pub fn new(size: (u16, u16), theme: ThemeName, ascii: bool) -> Self {
        AppState { size, theme: Theme::new(theme, ascii), dirty: true, ..AppState::default() }
    }

    /// Returns the sentence that says what limits a torrent, with the key that resumes a paused one.
    #[must_use]
    pub fn why_text(&self, view: &TorrentView) -> String {
        let sentence = why::sentence(&view.why);
        let key = self.keymap.shown(Action::Torrent(TorrentAction::Pause));
        match view.state {
            State::Paused if !key.is_empty() => format!("{sentence}; press {key} to resume"),
            _ => sentence,
        }
    }

    /// Shows a notice in the status line for a while.
    pub fn notify(&mut self, text: &str) {
        let text = text.chars().take(1000).collect();
        self.notice = Some(Notice { text, until: self.clock + NOTICE });
    }
}

/// Finds a torrent in the snapshot.
#[must_use]
pub fn find(snapshot: &Snapshot, id: TorrentId) -> Option<&TorrentView> {
    snapshot.torrents.iter().find(|(other, _)| *other == id).map(|(_, view)| view)
}
