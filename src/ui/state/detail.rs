//! State of the detail panes: marks, state filter, open peer, piece cursor, file tree, rate history.

use std::collections::BTreeSet;

use crate::api::{Command, PeerKey, Snapshot, State, TorrentCommand, TorrentId, TorrentView};
use crate::ui::keys::context::Tab;
use crate::ui::state::app::{AppState, Focus, find};
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
    pub fn admits(self, view: &TorrentView) -> bool {
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
struct InspectRequest {
    id: TorrentId,
    peer: Option<u64>,
    piece: Option<u32>,
    /// When the request was sent.
    at: std::time::Duration,
}

/// How long to wait before the request is repeated: the torrent may have been started in the meantime.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(3);

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
    looked: Option<InspectRequest>,
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
    pub fn leave(&mut self) {
        self.open = None;
        self.piece = None;
    }
}

/// Restores invariants after every message: marked and open items exist, and the engine knows what is inspected.
pub fn settle(model: &mut AppState, snapshot: &Snapshot, commands: &mut Vec<Command>) {
    if !model.panes.marks.is_empty() {
        model.panes.marks.retain(|id| find(snapshot, *id).is_some());
    }
    if let (Some(id), Some(detail)) = (model.selected, model.detail(snapshot)) {
        let seen = model.tab == Tab::Files;
        model.panes.tree.refresh(id, &detail.files, seen);
    }
    if model.pane == Focus::Detail
        && model.tab == Tab::Pieces
        && model.panes.piece.is_none()
        && let Some(detail) = model.detail(snapshot)
    {
        model.panes.piece = crate::ui::widgets::piece_map::first(detail);
    }
    request_inspect(model, snapshot, commands);
}

/// Asks the engine for details of the open peer and the piece under the cursor, if they have changed.
fn request_inspect(model: &mut AppState, snapshot: &Snapshot, commands: &mut Vec<Command>) {
    let Some(id) = model.selected else { return };
    let peer = model.panes.open.filter(|_| model.tab == Tab::Peers).map(|open| open.key);
    let piece = model.panes.piece.filter(|_| model.tab == Tab::Pieces);
    let before = model.panes.looked.filter(|looked| looked.id == id);
    let told = before.map_or((None, None), |looked| (looked.peer, looked.piece));
    let mut ask = told != (peer, piece);
    if !ask && let (Some(looked), Some(detail)) = (before, model.detail(snapshot)) {
        let lacks_peer = peer.is_some_and(|key| {
            detail.peer.as_ref().is_none_or(|peer| peer.key != key) && detail.peers.iter().any(|row| row.key == key)
        });
        let lacks_piece = piece.is_some_and(|at| detail.piece.as_ref().is_none_or(|piece| piece.index != at));
        ask = (lacks_peer || lacks_piece) && model.clock.saturating_sub(looked.at) >= PATIENCE;
    }
    if ask {
        model.panes.looked = Some(InspectRequest { id, peer, piece, at: model.clock });
        commands.push(Command::Torrent(id, TorrentCommand::Inspect { peer: peer.map(PeerKey), piece }));
    }
}
