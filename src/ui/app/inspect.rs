//! Keeps the detail panes in line with the snapshot, and asks the engine for the details of a peer and a piece that a
//! pane shows.

use std::time::Duration;

use crate::api::{Command, Detail, PeerKey, PieceMapCell, Snapshot, TorrentCommand};
use crate::ui::keys::context::Tab;
use crate::ui::state::app::{AppState, Focus};
use crate::ui::state::detail::InspectRequest;

/// How long to wait before the request is repeated: the torrent may have been started in the meantime.
const PATIENCE: Duration = Duration::from_secs(3);

/// Restores invariants after every message: marked and open items exist, and the engine knows what is inspected.
pub(crate) fn settle(state: &mut AppState, snapshot: &Snapshot, commands: &mut Vec<Command>) {
    if !state.panes.marks.is_empty() {
        state.panes.marks.retain(|id| snapshot.torrent(*id).is_some());
    }
    if let (Some(id), Some(detail)) = (state.selected, state.detail(snapshot)) {
        let seen = state.tab == Tab::Files;
        state.panes.tree.refresh(id, &detail.files, seen);
    }
    if state.pane == Focus::Detail
        && state.tab == Tab::Pieces
        && state.panes.piece.is_none()
        && let Some(detail) = state.detail(snapshot)
    {
        state.panes.piece = default_piece(detail);
    }
    request_inspect(state, snapshot, commands);
}

/// Returns the initial cursor position: the first requested piece, else the first missing one, else the first piece.
fn default_piece(detail: &Detail) -> Option<u32> {
    let of = |wanted: fn(&PieceMapCell) -> bool| {
        let at = detail.cells.iter().position(wanted)?;
        Some(detail.cells[..at].iter().map(|cell| u32::from(cell.pieces)).sum())
    };
    of(|cell| cell.active > 0).or_else(|| of(|cell| cell.have < cell.pieces)).or_else(|| of(|_| true))
}

/// Asks the engine for details of the open peer and the piece under the cursor, if they have changed.
fn request_inspect(state: &mut AppState, snapshot: &Snapshot, commands: &mut Vec<Command>) {
    let Some(id) = state.selected else { return };
    let peer = state.panes.open.filter(|_| state.tab == Tab::Peers).map(|open| open.key);
    let piece = state.panes.piece.filter(|_| state.tab == Tab::Pieces);
    let before = state.panes.last_inspect.filter(|looked| looked.id == id);
    let told = before.map_or((None, None), |looked| (looked.peer, looked.piece));
    let mut ask = told != (peer, piece);
    if !ask && let (Some(looked), Some(detail)) = (before, state.detail(snapshot)) {
        let lacks_peer = peer.is_some_and(|key| {
            detail.peer.as_ref().is_none_or(|peer| peer.key != key) && detail.peers.iter().any(|row| row.key == key)
        });
        let lacks_piece = piece.is_some_and(|at| detail.piece.as_ref().is_none_or(|piece| piece.index != at));
        ask = (lacks_peer || lacks_piece) && state.clock.saturating_sub(looked.at) >= PATIENCE;
    }
    if ask {
        state.panes.last_inspect = Some(InspectRequest { id, peer, piece, at: state.clock });
        commands.push(Command::Torrent(id, TorrentCommand::Inspect { peer: peer.map(PeerKey), piece }));
    }
}
