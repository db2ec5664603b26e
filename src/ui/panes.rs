//! What the panes remember beside what is chosen, sorted and typed: marks, the state filter, what is looked at closely,
//! the tree of files, the rates of the last hour.

use std::collections::BTreeSet;

use crate::api::{Command, PeerKey, Snapshot, State, TorrentId, TorrentView, Wish};
use crate::ui::hide::Hidden;
use crate::ui::history::{Rates, Span};
use crate::ui::keys::Tab;
use crate::ui::model::{Model, Pane, find};
use crate::ui::tree::Tree;

/// Which torrents the list shows, by what they do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[expect(missing_docs, reason = "the words say it")]
pub enum Only {
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

impl Only {
    /// All, in the order in which the key goes through them.
    pub const ALL: [Only; 8] = [
        Only::All,
        Only::Downloading,
        Only::Seeding,
        Only::Active,
        Only::Paused,
        Only::Queued,
        Only::Checking,
        Only::Error,
    ];

    /// The one after it, round at the end.
    #[must_use]
    pub fn next(self) -> Self {
        Only::ALL[(self as usize + 1) % Only::ALL.len()]
    }

    /// Its word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Only::All => "all",
            Only::Downloading => "downloading",
            Only::Seeding => "seeding",
            Only::Active => "active",
            Only::Paused => "paused",
            Only::Queued => "queued",
            Only::Checking => "checking",
            Only::Error => "error",
        }
    }

    /// Whether it shows this torrent.
    #[must_use]
    pub fn admits(self, view: &TorrentView) -> bool {
        match self {
            Only::All => true,
            Only::Downloading => matches!(view.state, State::Downloading | State::Metadata),
            Only::Seeding => view.state == State::Seeding,
            Only::Active => view.down + view.up > 0,
            Only::Paused => view.state == State::Paused,
            Only::Queued => view.state == State::Queued,
            Only::Checking => view.state == State::Checking,
            Only::Error => view.state == State::Error,
        }
    }
}

/// The peer that is looked at closely.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Opened {
    /// Its connection.
    pub key: u64,
    /// Its address, by which it is found among those that left.
    pub addr: std::net::SocketAddr,
}

/// What the engine was last asked to tell more of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Looked {
    id: TorrentId,
    peer: Option<u64>,
    piece: Option<u32>,
    /// When it was asked.
    at: std::time::Duration,
}

/// How long to wait before a torrent that does not tell is asked again: it may have been started meanwhile.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(3);

/// What the panes remember.
#[derive(Clone, Debug, Default)]
pub struct Panes {
    /// The torrents that are marked.
    pub marks: BTreeSet<TorrentId>,
    /// Which torrents are shown, by what they do.
    pub only: Only,
    /// Names and addresses are hidden.
    pub hidden: Hidden,
    /// The peer that is looked at closely.
    pub open: Option<Opened>,
    /// The piece that the cursor of the piece map is on.
    pub piece: Option<u32>,
    looked: Option<Looked>,
    /// The files of the focused torrent as a tree.
    pub tree: Tree,
    /// Rates of each torrent that moved something.
    pub rates: Rates,
    /// The time that the graph shows.
    pub span: Span,
    /// The graph is of all torrents together, not of the chosen one.
    pub graph_all: bool,
    /// The log is of all torrents together.
    pub log_all: bool,
}

impl Panes {
    /// Another torrent was chosen: what belonged to the one before is forgotten.
    pub fn leave(&mut self) {
        self.open = None;
        self.piece = None;
    }
}

/// After anything: what is looked at closely exists, and the engine knows of it.
pub fn settle(model: &mut Model, snapshot: &Snapshot, commands: &mut Vec<Command>) {
    if !model.panes.marks.is_empty() {
        model.panes.marks.retain(|id| find(snapshot, *id).is_some());
    }
    if let (Some(id), Some(detail)) = (model.selected, model.detail(snapshot)) {
        let seen = model.tab == Tab::Files;
        model.panes.tree.refresh(id, &detail.files, seen);
    }
    if model.pane == Pane::Detail
        && model.tab == Tab::Pieces
        && model.panes.piece.is_none()
        && let Some(detail) = model.detail(snapshot)
    {
        model.panes.piece = crate::ui::piece::first(detail);
    }
    look(model, snapshot, commands);
}

/// Tells the engine which peer and which piece are looked at, when that has changed.
fn look(model: &mut Model, snapshot: &Snapshot, commands: &mut Vec<Command>) {
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
        model.panes.looked = Some(Looked { id, peer, piece, at: model.clock });
        commands.push(Command::Wish(id, Wish::Look { peer: peer.map(PeerKey), piece }));
    }
}
