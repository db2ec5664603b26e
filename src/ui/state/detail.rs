//! State of the detail panes: marks, state filter, open peer, piece cursor, file tree, rate history.

use std::collections::BTreeSet;

use crate::api::{State, TorrentId, TorrentView};
use crate::ui::state::privacy::PrivacyMask;
use crate::ui::state::rate_history::{Span, TorrentRates};
use crate::ui::widgets::file_tree::Tree;

/// Filter of the torrent list by state.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum StateFilter {
    #[default]
    All,
    Downloading,
    Seeding,
    Active,
    Paused,
    Queued,
    Checking,
    Error,
}

impl StateFilter {
    /// All filters, in the order in which the key cycles through them.
    pub const ALL: [StateFilter; 8] = [
        StateFilter::All,
        StateFilter::Downloading,
        StateFilter::Seeding,
        StateFilter::Active,
        StateFilter::Paused,
        StateFilter::Queued,
        StateFilter::Checking,
        StateFilter::Error,
    ];

    /// Returns the next filter, cyclically.
    #[must_use]
    pub fn next(self) -> Self {
        StateFilter::ALL[(self as usize + 1) % StateFilter::ALL.len()]
    }

    /// Returns the label of the filter.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            StateFilter::All => "all",
            StateFilter::Downloading => "downloading",
            StateFilter::Seeding => "seeding",
            StateFilter::Active => "active",
            StateFilter::Paused => "paused",
            StateFilter::Queued => "queued",
            StateFilter::Checking => "checking",
            StateFilter::Error => "error",
        }
    }

    /// Returns whether the filter matches a torrent.
    #[must_use]
    pub fn matches(self, view: &TorrentView) -> bool {
        match self {
            StateFilter::All => true,
            StateFilter::Downloading => matches!(view.state, State::Downloading | State::Metadata),
            StateFilter::Seeding => view.state == State::Seeding,
            StateFilter::Active => view.down + view.up > 0,
            StateFilter::Paused => view.state == State::Paused,
            StateFilter::Queued => view.state == State::Queued,
            StateFilter::Checking => view.state == State::Checking,
            StateFilter::Error => view.state == State::Error,
        }
    }
}

/// The peer whose detail view is open.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OpenPeer {
    /// Key of the connection.
    pub key: u64,
    /// Address, by which the peer is found among the disconnected ones.
    pub addr: std::net::SocketAddr,
}

/// The last request for details of a peer and a piece sent to the engine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InspectRequest {
    pub id: TorrentId,
    pub peer: Option<u64>,
    pub piece: Option<u32>,
    /// When the request was sent.
    pub at: std::time::Duration,
}

/// State of the detail panes.
#[derive(Clone, Debug, Default)]
pub struct DetailState {
    /// Marked torrents.
    pub marks: BTreeSet<TorrentId>,
    /// State filter of the torrent list.
    pub only: StateFilter,
    /// Privacy mode.
    pub hidden: PrivacyMask,
    /// The peer whose detail view is open.
    pub open: Option<OpenPeer>,
    /// The piece under the cursor of the piece map.
    pub piece: Option<u32>,
    /// What the engine was asked to inspect.
    pub last_inspect: Option<InspectRequest>,
    /// File tree of the selected torrent.
    pub tree: Tree,
    /// Rate history of each active torrent.
    pub rates: TorrentRates,
    /// Time range of the rate graph.
    pub span: Span,
    /// Whether the graph shows all torrents together rather than the selected one.
    pub graph_all: bool,
    /// Whether the log shows all torrents.
    pub log_all: bool,
}

impl DetailState {
    /// Resets what belongs to the previously selected torrent.
    pub fn reset(&mut self) {
        self.open = None;
        self.piece = None;
    }
}
