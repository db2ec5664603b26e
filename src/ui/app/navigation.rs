//! Navigation in the panes: arrow keys, next search match, mouse; and the sort order of the torrent and peer lists.

use ratatui::layout::{Position, Rect};

use crate::api::Snapshot;
use crate::ui::keys::action::{Action, NavAction, TorrentAction, ViewAction};
use crate::ui::keys::context::Tab;
use crate::ui::panes::{peers, pieces, torrents};
use crate::ui::state::app::{AppState, Focus};
use crate::ui::state::layout::{Regions, regions};
use crate::ui::widgets::{piece_map, tab_bar};

/// Returns the current screen layout.
#[must_use]
pub fn screen(model: &AppState, snapshot: &Snapshot) -> Regions {
    regions(model, snapshot, Rect::new(0, 0, model.size.0, model.size.1))
}

/// Moves index `from` by `by`, clamped to `0..count`.
fn moved(from: usize, by: i64, count: usize) -> usize {
    let last = i64::try_from(count).unwrap_or(i64::MAX).saturating_sub(1).max(0);
    let from = i64::try_from(from).unwrap_or(last);
    usize::try_from(from.saturating_add(by).clamp(0, last)).unwrap_or(0)
}

/// Moves the selection of the focused pane.
pub fn navigate(model: &mut AppState, action: NavAction, snapshot: &Snapshot) {
    let r = screen(model, snapshot);
    let page = if model.pane == Focus::List { torrents::height(&r) } else { peers::height(r.pane) };
    let page = i64::try_from(page).unwrap_or(1).max(2);
    let rows = match action {
        NavAction::Up => -1,
        NavAction::Down => 1,
        NavAction::PageUp => -page,
        NavAction::PageDown => page,
        NavAction::HalfUp => -page / 2,
        NavAction::HalfDown => page / 2,
        NavAction::First => i64::MIN / 2,
        NavAction::Last => i64::MAX / 2,
    };
    step(model, rows, snapshot);
}

/// Moves the selection of the focused pane by a number of rows.
pub fn step(model: &mut AppState, by: i64, snapshot: &Snapshot) {
    if model.pane == Focus::List {
        if !model.rows.is_empty() {
            let row = moved(model.row(snapshot).unwrap_or(0), by, model.rows.len());
            model.selected = snapshot.torrents.get(model.rows[row]).map(|(id, _)| *id);
        }
        return;
    }
    let Some(view) = model.chosen(snapshot) else { return };
    let Some(detail) = view.detail.as_deref() else { return };
    let r = screen(model, snapshot);
    let tab = model.tab as usize;
    match model.tab {
        Tab::Peers if model.peers.is_empty() => {}
        Tab::Peers => {
            let row = model
                .peer_row(detail)
                .map_or(if by < 0 { model.peers.len() - 1 } else { 0 }, |row| moved(row, by, model.peers.len()));
            model.peer = detail.peers.get(model.peers[row]).map(|peer| peer.key);
            if model.panes.open.is_some() {
                model.open_selected_peer(snapshot);
            }
        }
        Tab::Pieces => {
            if let (Some(shape), Some(piece)) = (pieces::shape(r.pane, model, detail), model.panes.piece) {
                model.panes.piece = Some(piece_map::by_rows(&shape, piece, by, view.pieces));
            }
        }
        _ => {
            let count = tab_bar::lines(model, snapshot, r.pane, view, detail);
            // The log cursor counts from the newest line.
            let by = if model.tab == Tab::Log { by.saturating_neg() } else { by };
            model.cursor[tab] = moved(model.cursor[tab].min(count), by, count);
        }
    }
}

/// Moves the cursor of the piece map by `by` pieces.
pub fn step_piece(model: &mut AppState, by: i64, snapshot: &Snapshot) {
    let Some(pieces) = model.chosen(snapshot).map(|view| view.pieces) else { return };
    if let Some(piece) = model.panes.piece {
        model.panes.piece = u32::try_from(moved(piece as usize, by, pieces as usize)).ok();
    }
}

/// Selects the next or previous row that the filter matches, cyclically.
pub fn next_match(model: &mut AppState, forward: bool, snapshot: &Snapshot) {
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
pub fn cycle_sort(model: &mut AppState, snapshot: &Snapshot) {
    let r = screen(model, snapshot);
    if sorts_peers(model) {
        model.peer_sort = next_cyclic(&peers::sorts(r.pane), model.peer_sort);
        model.peer_reverse = false;
    } else {
        model.sort = next_cyclic(&torrents::sorts(&r), model.sort);
        model.reverse = false;
    }
    model.refresh_rows(snapshot, true);
}

/// Reverses the order of the focused list.
pub fn reverse_sort(model: &mut AppState, snapshot: &Snapshot) {
    let reverse = if sorts_peers(model) { &mut model.peer_reverse } else { &mut model.reverse };
    *reverse = !*reverse;
    model.refresh_rows(snapshot, true);
}

/// Returns the element after `now`, cyclically.
fn next_cyclic<T: Copy + PartialEq + Default>(all: &[T], now: T) -> T {
    let at = all.iter().position(|one| *one == now).map_or(0, |at| at + 1);
    all.get(at % all.len().max(1)).copied().unwrap_or_default()
}

/// Handles a left click on a cell while no dialog is open. Returns the action that a button performs.
pub fn click(model: &mut AppState, x: u16, y: u16, snapshot: &Snapshot) -> Option<Action> {
    let r = screen(model, snapshot);
    let at = Position::new(x, y);
    if r.list.contains(at) {
        model.pane = Focus::List;
        if y == r.list.y {
            if let Some(sort) = torrents::column_at(&r, x) {
                model.reverse = sort == model.sort && !model.reverse;
                model.sort = sort;
                model.refresh_rows(snapshot, true);
            }
            return None;
        }
        let row = model.top + usize::from(y - r.list.y - 1);
        if let Some((id, _)) = model.rows.get(row).and_then(|at| snapshot.torrents.get(*at)) {
            model.selected = Some(*id);
        }
    } else if r.tabs.contains(at) {
        model.pane = Focus::Detail;
        if let Some(tab) = tab_bar::tab_at(r.tabs, x) {
            model.tab = tab;
        }
    } else if r.pane.contains(at) && !r.welcome {
        model.pane = Focus::Detail;
        click_pane(model, &r, x, y, snapshot);
    } else if r.peers.contains(at) {
        model.pane = Focus::Detail;
        model.tab = Tab::Peers;
    } else if r.graph.contains(at) {
        model.panes.span = model.panes.span.next();
    } else if r.why.contains(at) {
        return Some(Action::Torrent(TorrentAction::Why));
    }
    None
}

/// Handles a left click in the detail pane.
fn click_pane(model: &mut AppState, r: &Regions, x: u16, y: u16, snapshot: &Snapshot) {
    let Some(view) = model.chosen(snapshot) else { return };
    let Some(detail) = view.detail.as_deref() else { return };
    match model.tab {
        Tab::Peers if model.shows_peer_detail() || model.peers.is_empty() => {}
        Tab::Peers => {
            let area = peers::area(r.pane, detail);
            let header = u16::from(peers::has_header(area));
            if y < area.y + header {
                if let Some(sort) = peers::column_at(area, x) {
                    model.peer_reverse = sort == model.peer_sort && !model.peer_reverse;
                    model.peer_sort = sort;
                    model.refresh_rows(snapshot, true);
                }
            } else if y < area.bottom() {
                let row = model.peers_top + usize::from(y - area.y - header);
                let key = model.peers.get(row).and_then(|at| detail.peers.get(*at)).map(|peer| peer.key);
                model.peer = key.or(model.peer);
            }
        }
        Tab::Pieces => {
            let piece = pieces::shape(r.pane, model, detail).and_then(|shape| shape.piece_at(x, y));
            model.panes.piece = piece.map(|piece| piece.min(view.pieces.saturating_sub(1))).or(model.panes.piece);
        }
        Tab::Files | Tab::Trackers => {
            let count = tab_bar::lines(model, snapshot, r.pane, view, detail);
            let height = usize::from(r.pane.height.saturating_sub(1));
            let Some(line) = usize::from(y).checked_sub(usize::from(r.pane.y) + 1) else { return };
            let row = tab_bar::top(model, height, count) + line;
            // A click on the selected directory folds it, like Enter.
            if model.tab == Tab::Files && row == model.cursor[Tab::Files as usize] {
                if model.panes.tree.row(row).is_some_and(|row| row.file.is_none()) {
                    model.cursor[Tab::Files as usize] = model.panes.tree.fold(row);
                }
            } else if row < count {
                model.cursor[model.tab as usize] = row;
            }
        }
        Tab::Info | Tab::Log => {}
    }
}

/// Handles the mouse wheel while no dialog is open: scrolls what is under the pointer; the focus does not move.
pub fn wheel(model: &mut AppState, x: u16, y: u16, by: i32, snapshot: &Snapshot) {
    let r = screen(model, snapshot);
    let at = Position::new(x, y);
    let pane = model.pane;
    if r.list.contains(at) {
        model.pane = Focus::List;
        step(model, i64::from(by), snapshot);
    } else if r.pane.contains(at) {
        model.pane = Focus::Detail;
        let lines = if model.tab == Tab::Pieces { 1 } else { 3 };
        step(model, i64::from(by) * lines, snapshot);
    }
    model.pane = pane;
}
