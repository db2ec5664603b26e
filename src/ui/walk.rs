//! Walking through the panes: with the arrow keys, from one that was found to the next, with the mouse; and the order
//! that the two lists are sorted in.

use ratatui::layout::{Position, Rect};

use crate::api::Snapshot;
use crate::ui::keys::{Act, Tab};
use crate::ui::layout::{Regions, regions};
use crate::ui::model::{Dialog, Model, Pane};
use crate::ui::order::refresh;
use crate::ui::update::notice;
use crate::ui::{peer, peers, piece, pieces, tabs, torrents};

/// Where everything is now.
#[must_use]
pub fn screen(model: &Model, snapshot: &Snapshot) -> Regions {
    regions(model, snapshot, Rect::new(0, 0, model.size.0, model.size.1))
}

/// `from` moved by `by`, from 0 to before `count`.
fn moved(from: usize, by: i64, count: usize) -> usize {
    let last = i64::try_from(count).unwrap_or(i64::MAX).saturating_sub(1).max(0);
    let from = i64::try_from(from).unwrap_or(last);
    usize::try_from(from.saturating_add(by).clamp(0, last)).unwrap_or(0)
}

/// Moves what is chosen in the pane that has the keys by a page or half of one.
pub fn page(model: &mut Model, act: Act, snapshot: &Snapshot) {
    let r = screen(model, snapshot);
    let page = if model.pane == Pane::List { torrents::height(&r) } else { peers::height(r.pane) };
    let page = i64::try_from(page).unwrap_or(1).max(2);
    let length = if matches!(act, Act::PageUp | Act::PageDown) { page } else { page / 2 };
    step(model, if matches!(act, Act::PageUp | Act::HalfUp) { -length } else { length }, snapshot);
}

/// Moves what is chosen in the pane that has the keys.
pub fn step(model: &mut Model, by: i64, snapshot: &Snapshot) {
    if model.pane == Pane::List {
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
                peer::follow(model, snapshot);
            }
        }
        Tab::Pieces => {
            if let (Some(shape), Some(piece)) = (pieces::shape(r.pane, model, detail), model.panes.piece) {
                model.panes.piece = Some(piece::by_rows(&shape, piece, by, view.pieces));
            }
        }
        _ => {
            let count = tabs::lines(model, snapshot, r.pane, view, detail);
            // The log is followed from its end.
            let by = if model.tab == Tab::Log { by.saturating_neg() } else { by };
            model.cursor[tab] = moved(model.cursor[tab].min(count), by, count);
        }
    }
}

/// Moves the cursor of the piece map by one piece.
pub fn step_piece(model: &mut Model, by: i64, snapshot: &Snapshot) {
    let Some(pieces) = model.chosen(snapshot).map(|view| view.pieces) else { return };
    if let Some(piece) = model.panes.piece {
        model.panes.piece = u32::try_from(moved(piece as usize, by, pieces as usize)).ok();
    }
}

/// Goes to the next or the last one that the filter has found, round at the ends.
pub fn found(model: &mut Model, forward: bool, snapshot: &Snapshot) {
    if model.filter.is_empty() {
        let key = model.keymap.shown(Act::Filter).to_owned();
        notice(model, &format!("nothing is searched for: {key} does that"));
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

/// Sorts the list that has the keys by the next of its columns, or the other way round.
pub fn resort(model: &mut Model, act: Act, snapshot: &Snapshot) {
    let r = screen(model, snapshot);
    let of_peers = model.pane == Pane::Detail && model.tab == Tab::Peers;
    match (act, of_peers) {
        (Act::Reverse, true) => model.peer_reverse = !model.peer_reverse,
        (Act::Reverse, false) => model.reverse = !model.reverse,
        (_, true) => {
            model.peer_sort = after(&peers::sorts(r.pane), model.peer_sort);
            model.peer_reverse = false;
        }
        (_, false) => {
            model.sort = after(&torrents::sorts(&r), model.sort);
            model.reverse = false;
        }
    }
    refresh(model, snapshot, true);
}

/// The one after `now`, round at the end.
fn after<T: Copy + PartialEq + Default>(all: &[T], now: T) -> T {
    let at = all.iter().position(|one| *one == now).map_or(0, |at| at + 1);
    all.get(at % all.len().max(1)).copied().unwrap_or_default()
}

/// The left button was pressed on a cell while no dialog is open.
pub fn click(model: &mut Model, x: u16, y: u16, snapshot: &Snapshot) {
    let r = screen(model, snapshot);
    let at = Position::new(x, y);
    if r.list.contains(at) {
        model.pane = Pane::List;
        if y == r.list.y {
            if let Some(sort) = torrents::column_at(&r, x) {
                model.reverse = sort == model.sort && !model.reverse;
                model.sort = sort;
                refresh(model, snapshot, true);
            }
            return;
        }
        let row = model.top + usize::from(y - r.list.y - 1);
        if let Some((id, _)) = model.rows.get(row).and_then(|at| snapshot.torrents.get(*at)) {
            model.selected = Some(*id);
        }
    } else if r.tabs.contains(at) {
        model.pane = Pane::Detail;
        if let Some(tab) = tabs::tab_at(r.tabs, x) {
            model.tab = tab;
        }
    } else if r.pane.contains(at) && !r.welcome {
        model.pane = Pane::Detail;
        click_pane(model, &r, x, y, snapshot);
    } else if r.peers.contains(at) {
        model.pane = Pane::Detail;
        model.tab = Tab::Peers;
    } else if r.graph.contains(at) {
        model.panes.span = model.panes.span.next();
    } else if r.why.contains(at) && model.selected.is_some() {
        model.dialogs.push(Dialog::Why(crate::ui::dialog::Reading::default()));
    }
}

/// The left button was pressed in the pane.
fn click_pane(model: &mut Model, r: &Regions, x: u16, y: u16, snapshot: &Snapshot) {
    let Some(view) = model.chosen(snapshot) else { return };
    let Some(detail) = view.detail.as_deref() else { return };
    match model.tab {
        Tab::Peers if peer::is_open(model) || model.peers.is_empty() => {}
        Tab::Peers => {
            let area = peers::area(r.pane, detail);
            let header = u16::from(peers::has_header(area));
            if y < area.y + header {
                if let Some(sort) = peers::column_at(area, x) {
                    model.peer_reverse = sort == model.peer_sort && !model.peer_reverse;
                    model.peer_sort = sort;
                    refresh(model, snapshot, true);
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
            let count = tabs::lines(model, snapshot, r.pane, view, detail);
            let height = usize::from(r.pane.height.saturating_sub(1));
            let Some(line) = usize::from(y).checked_sub(usize::from(r.pane.y) + 1) else { return };
            let row = tabs::top(model, height, count) + line;
            // A click on the chosen folder folds it, as Enter does.
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

/// The wheel was turned over a cell while no dialog is open: what is under it moves, the keys stay where they are.
pub fn wheel(model: &mut Model, x: u16, y: u16, by: i32, snapshot: &Snapshot) {
    let r = screen(model, snapshot);
    let at = Position::new(x, y);
    let pane = model.pane;
    if r.list.contains(at) {
        model.pane = Pane::List;
        step(model, i64::from(by), snapshot);
    } else if r.pane.contains(at) {
        model.pane = Pane::Detail;
        let lines = if model.tab == Tab::Pieces { 1 } else { 3 };
        step(model, i64::from(by) * lines, snapshot);
    }
    model.pane = pane;
}
