//! The UI state between frames: selection, focus, sort order, search text. Torrent data are not stored here, except for
//! the rate history that the graph draws.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use crate::api::{Event, State, TorrentId, TorrentView};
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
use crate::ui::text::format::{clock, time, time_of_day};
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

/// A message to the user.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Notice {
    pub text: String,
    /// When it was said, as UI clock time.
    pub at: Duration,
}

/// Maximum number of messages kept.
const MESSAGES: usize = 200;

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
    /// Torrents whose data the user wanted verified.
    pub verifying: BTreeSet<TorrentId>,
    /// Number of torrents requested from the UI that the engine has not answered yet.
    pub adding: usize,
    /// A torrent to select as soon as the snapshot contains it.
    pub wanted: Option<TorrentId>,
    /// Last row of the selected torrent.
    pub last_row: usize,
    /// Visible torrents in display order, as indices into the snapshot.
    pub rows: Vec<usize>,
    /// Cells of the longest name among them.
    pub longest_name: u16,
    /// Whether a torrent has a download limit, and an upload limit, of its own.
    pub limited: (bool, bool),
    /// Ids of `rows`, to keep the order when indices change.
    pub row_ids: Vec<u64>,
    /// First visible row.
    pub top: usize,
    /// Sort order of the torrent list.
    pub sort: TorrentColumn,
    /// Whether that order is reversed.
    pub reverse: bool,
    /// What is looked for: in the torrent list, the filter; in a tab, what is found next.
    pub filter: TextInput,
    /// What is looked for in the tabs.
    pub find: TextInput,
    /// Whether that of the focused pane is being typed.
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
    /// What has been said, the newest last.
    pub messages: VecDeque<Notice>,
    /// Whether the last message is in the status line.
    pub notice: bool,
    /// Local time when the UI started, in seconds since 1970; `None` if there is no clock.
    pub local_start: Option<i64>,
    /// When the snapshot came, as UI clock time.
    pub snapshot_at: Duration,
    /// The most rows that each tab has needed; 0 if not known.
    pub pane_rows: [usize; Tab::ALL.len()],
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
        AppState { size, theme: Theme::new(theme, ascii), dirty: true, redraw: true, ..AppState::default() }
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

    /// Shows a message in the status line for a while, and keeps it.
    pub fn notify(&mut self, text: &str) {
        let text = text.chars().take(1000).collect();
        if self.messages.len() == MESSAGES {
            self.messages.pop_front();
        }
        self.messages.push_back(Notice { text, at: self.clock });
        self.notice = true;
    }

    /// Returns the message in the status line.
    pub fn shown_notice(&self) -> Option<&Notice> {
        self.messages.back().filter(|_| self.notice)
    }

    /// Takes the message from the status line after a while; returns whether it did.
    pub fn expire_notice(&mut self) -> bool {
        let over = self.shown_notice().is_some_and(|notice| notice.at + NOTICE <= self.clock);
        self.notice &= !over;
        over
    }

    /// Returns what is looked for in the focused pane.
    pub fn finding(&mut self) -> &mut TextInput {
        if self.pane == Focus::Detail { &mut self.find } else { &mut self.filter }
    }

    /// Says that an action means nothing here.
    pub fn ignored(&mut self, action: Action) {
        let key = self.keymap.shown(action).to_owned();
        self.notify(&format!("{key} does nothing here"));
    }

    /// Formats a moment of the past as local time; without a clock, as the time that has passed.
    pub fn moment(&self, ago: Duration, narrow: bool) -> String {
        let Some(start) = self.local_start else {
            return if narrow { time(ago) } else { clock(ago) };
        };
        let seconds = |time: Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        time_of_day(start.saturating_add(seconds(self.clock)).saturating_sub(seconds(ago)), seconds(ago), narrow)
    }

    /// Returns how much time has passed since the numbers of a torrent were taken.
    pub fn age(&self, view: &TorrentView) -> Duration {
        view.age + self.clock.saturating_sub(self.snapshot_at)
    }
}
