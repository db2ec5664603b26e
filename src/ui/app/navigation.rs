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
#[must_use]
pub(crate) fn screen(model: &AppState, snapshot: &Snapshot) -> Regions {
    regions(Rect::new(0, 0, model.size.0, model.size.1), &model.layout_input(snapshot))
}

/// Moves the selection of the focused pane.
pub(crate) fn navigate(model: &mut AppState, action: NavAction, snapshot: &Snapshot) {
    let r = screen(model, snapshot);
    let page = match model.pane {
        Focus::List => torrents::height(&r),
        Focus::Detail => tabs::pane(model.tab).page(r.pane),
    };
    step(model, action.rows(page.max(2)) as i64, snapshot);
}

/// Moves the selection of the focused pane by a number of rows.
pub(crate) fn step(model: &mut AppState, by: i64, snapshot: &Snapshot) {
    if model.pane == Focus::List {
        if !model.rows.is_empty() {
            let row = moved(model.row(snapshot).unwrap_or(0), by, model.rows.len());
            model.selected = snapshot.torrents.get(model.rows[row]).map(|(id, _)| *id);
        }
        return;
    }
    ask_pane(model, snapshot, |pane, area, cx| pane.move_by(by, area, cx));
}

/// Asks the pane of the open tab what is to change, and changes it.
pub(crate) fn ask_pane(
    model: &mut AppState,
    snapshot: &Snapshot,
    ask: impl FnOnce(&dyn Pane, Rect, &PaneContext<'_>) -> Option<PaneRequest>,
) {
    let Some(torrent) = model.chosen(snapshot) else { return };
    let Some(detail) = torrent.detail.as_deref() else { return };
    let regions = &screen(model, snapshot);
    let cx = PaneContext { state: model, snapshot, torrent, detail, regions };
    let Some(request) = ask(tabs::pane(model.tab), regions.pane, &cx) else { return };
    match request {
        PaneRequest::SelectRow(row) => model.cursor[model.tab as usize] = row,
        PaneRequest::SelectPeer(key) => {
            model.peer = Some(key);
            if model.panes.open.is_some() {
                model.open_selected_peer(snapshot);
            }
        }
        PaneRequest::SelectPiece(piece) => model.panes.piece = Some(piece),
        PaneRequest::ToggleFolder(row) => model.cursor[Tab::Files as usize] = model.panes.tree.fold(row),
        PaneRequest::SortPeers(column) => {
            model.peer_reverse = column == model.peer_sort && !model.peer_reverse;
            model.peer_sort = column;
            model.refresh_rows(snapshot, true);
        }
    }
}

/// Moves the cursor of the piece map by `by` pieces.
pub(crate) fn step_piece(model: &mut AppState, by: i64, snapshot: &Snapshot) {
    let Some(pieces) = model.chosen(snapshot).map(|view| view.pieces) else { return };
    if let Some(piece) = model.panes.piece {
        model.panes.piece = u32::try_from(moved(piece as usize, by, pieces as usize)).ok();
    }
}

/// Selects the next or previous row that the filter matches, cyclically.
pub(crate) fn next_match(model: &mut AppState, forward: bool, snapshot: &Snapshot) {
    if model.filter.is_empty() {
        let key = model.keymap.shown(Action::View(ViewAction::Filter)).to_owned();
        model.notify(&format!("no search text: press {key} to search"));
        return;
    }
    let count = model.rows.len();
    if count == 0 {
        return;
    }
    let row = match (model.row(snapshot), forward) {
        (None, _) => 0,
        (Some(row), true) => (row + 1) % count,
        (Some(row), false) => (row + count - 1) % count,
    };
    model.selected = snapshot.torrents.get(model.rows[row]).map(|(id, _)| *id);
}

/// Returns whether the list that sorting applies to is the one of the peers.
fn sorts_peers(model: &AppState) -> bool {
    model.pane == Focus::Detail && model.tab == Tab::Peers
}

/// Sorts the focused list by the next column.
pub(crate) fn cycle_sort(model: &mut AppState, snapshot: &Snapshot) {
    let r = screen(model, snapshot);
    if sorts_peers(model) {
        model.peer_sort = next_cyclic(&peers::columns(model, r.pane).sort_keys(PeerColumn::Rate), model.peer_sort);
        model.peer_reverse = false;
    } else {
        model.sort = next_cyclic(&torrents::columns(model, r.list).sort_keys(TorrentColumn::Queue), model.sort);
        model.reverse = false;
    }
    model.refresh_rows(snapshot, true);
}

/// Reverses the order of the focused list.
pub(crate) fn reverse_sort(model: &mut AppState, snapshot: &Snapshot) {
    let reverse = if sorts_peers(model) { &mut model.peer_reverse } else { &mut model.reverse };
    *reverse = !*reverse;
    model.refresh_rows(snapshot, true);
}

/// Returns the element after `now`, cyclically.
fn next_cyclic<T: Copy + PartialEq + Default>(all: &[T], now: T) -> T {
    let at = all.iter().position(|one| *one == now).map_or(0, |at| at + 1);
    all.get(at % all.len().max(1)).copied().unwrap_or_default()
}
