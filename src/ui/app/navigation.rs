//! Navigation in the panes: arrow keys, pages, next search match; and the sort order of the torrent and peer lists.

use ratatui::layout::Rect;

use crate::api::Snapshot;
use crate::ui::keys::action::{Action, NavAction, ViewAction};
use crate::ui::keys::context::Tab;
use crate::ui::panes::pane::{Pane, PaneContext, PaneRequest, moved};
use crate::ui::panes::{peers, tabs, torrents};
use crate::ui::state::app::{AppState, Focus};
use crate::ui::state::columns::{PeerColumn, TorrentColumn};
use crate::ui::state::layout::{Regions, regions};

/// Returns the current screen layout.
pub(crate) fn screen(state: &AppState, snapshot: &Snapshot) -> Regions {
    regions(Rect::new(0, 0, state.size.0, state.size.1), &state.layout_input(snapshot))
}

/// Moves the selection of the focused pane.
pub(crate) fn navigate(state: &mut AppState, action: NavAction, snapshot: &Snapshot) {
    let r = screen(state, snapshot);
    let page = match state.pane {
        Focus::List => torrents::height(&r),
        Focus::Detail => tabs::pane(state.tab).page(r.pane),
    };
    step(state, action.rows(page.max(2)) as i64, snapshot);
}

/// Moves the selection of the focused pane by a number of rows.
pub(crate) fn step(state: &mut AppState, by: i64, snapshot: &Snapshot) {
    if state.pane == Focus::List {
        if !state.rows.is_empty() {
            let row = moved(state.row(snapshot).unwrap_or(0), by, state.rows.len());
            state.selected = snapshot.torrents.get(state.rows[row]).map(|(id, _)| *id);
        }
        return;
    }
    ask_pane(state, snapshot, |pane, area, cx| pane.move_by(by, area, cx));
}

/// Asks the pane of the open tab what is to change, and changes it.
pub(crate) fn ask_pane(
    state: &mut AppState,
    snapshot: &Snapshot,
    ask: impl FnOnce(&dyn Pane, Rect, &PaneContext<'_>) -> Option<PaneRequest>,
) {
    let Some(torrent) = state.chosen(snapshot) else { return };
    let Some(detail) = torrent.detail.as_deref() else { return };
    let regions = &screen(state, snapshot);
    let cx = PaneContext { state, snapshot, torrent, detail, regions };
    let Some(request) = ask(tabs::pane(state.tab), regions.pane, &cx) else { return };
    match request {
        PaneRequest::SelectRow(row) => state.cursor[state.tab as usize] = row,
        PaneRequest::SelectPeer(key) => {
            state.peer = Some(key);
            if state.panes.open.is_some() {
                state.open_selected_peer(snapshot);
            }
        }
        PaneRequest::SelectPiece(piece) => state.panes.piece = Some(piece),
        PaneRequest::ToggleFolder(row) => state.cursor[Tab::Files as usize] = state.panes.tree.fold(row),
        PaneRequest::SortPeers(column) => {
            state.peer_reverse = column == state.peer_sort && !state.peer_reverse;
            state.peer_sort = column;
            state.refresh_rows(snapshot, true);
        }
    }
}

/// Moves the cursor of the piece map by `by` pieces.
pub(crate) fn step_piece(state: &mut AppState, by: i64, snapshot: &Snapshot) {
    let Some(pieces) = state.chosen(snapshot).map(|view| view.pieces) else { return };
    if let Some(piece) = state.panes.piece {
        state.panes.piece = u32::try_from(moved(piece as usize, by, pieces as usize)).ok();
    }
}

/// Selects the next or previous row that the filter matches, cyclically.
pub(crate) fn next_match(state: &mut AppState, forward: bool, snapshot: &Snapshot) {
    if state.filter.is_empty() {
        let key = state.keymap.shown(Action::View(ViewAction::Filter)).to_owned();
        state.notify(&format!("no search text: press {key} to search"));
        return;
    }
    let count = state.rows.len();
    if count == 0 {
        return;
    }
    let row = match (state.row(snapshot), forward) {
        (None, _) => 0,
        (Some(row), true) => (row + 1) % count,
        (Some(row), false) => (row + count - 1) % count,
    };
    state.selected = snapshot.torrents.get(state.rows[row]).map(|(id, _)| *id);
}

/// Returns whether the list that sorting applies to is the one of the peers.
fn sorts_peers(state: &AppState) -> bool {
    state.pane == Focus::Detail && state.tab == Tab::Peers
}

/// Sorts the focused list by the next column.
pub(crate) fn cycle_sort(state: &mut AppState, snapshot: &Snapshot) {
    let r = screen(state, snapshot);
    if sorts_peers(state) {
        state.peer_sort = next_cyclic(&peers::columns(state, r.pane).sort_keys(PeerColumn::Rate), state.peer_sort);
        state.peer_reverse = false;
    } else {
        state.sort = next_cyclic(&torrents::columns(state, r.list).sort_keys(TorrentColumn::Queue), state.sort);
        state.reverse = false;
    }
    state.refresh_rows(snapshot, true);
}

/// Reverses the order of the focused list.
pub(crate) fn reverse_sort(state: &mut AppState, snapshot: &Snapshot) {
    let reverse = if sorts_peers(state) { &mut state.peer_reverse } else { &mut state.reverse };
    *reverse = !*reverse;
    state.refresh_rows(snapshot, true);
}

/// Returns the element after `now`, cyclically.
fn next_cyclic<T: Copy + PartialEq + Default>(all: &[T], now: T) -> T {
    let at = all.iter().position(|one| *one == now).map_or(0, |at| at + 1);
    all.get(at % all.len().max(1)).copied().unwrap_or_default()
}
