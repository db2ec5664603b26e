//! The mouse while no dialog is open: clicks and the wheel.

use ratatui::layout::Position;

use crate::api::Snapshot;
use crate::ui::app::navigation::{ask_pane, screen, step};
use crate::ui::keys::action::{Action, TorrentAction};
use crate::ui::keys::context::Tab;
use crate::ui::panes::{tabs, torrents};
use crate::ui::state::app::{AppState, Focus};
use crate::ui::widgets::tab_bar;

/// Handles a left click on a cell. Returns the action that a button performs.
pub(crate) fn click(model: &mut AppState, x: u16, y: u16, snapshot: &Snapshot) -> Option<Action> {
    let r = screen(model, snapshot);
    let at = Position::new(x, y);
    if r.list.contains(at) {
        model.pane = Focus::List;
        if y == r.list.y {
            if let Some(sort) = torrents::columns(model, r.list).sort_key_at(x) {
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
        if let Some(tab) = tab_bar::tab_at(r.tabs, model.tab, x) {
            model.tab = tab;
        }
    } else if r.pane.contains(at) && !r.welcome {
        model.pane = Focus::Detail;
        ask_pane(model, snapshot, |pane, area, cx| pane.click(at, area, cx));
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

/// Handles the mouse wheel: scrolls what is under the pointer; the focus does not move.
pub(crate) fn wheel(model: &mut AppState, x: u16, y: u16, by: i32, snapshot: &Snapshot) {
    let r = screen(model, snapshot);
    let at = Position::new(x, y);
    let by = i64::from(by);
    if r.list.contains(at) {
        let focus = std::mem::replace(&mut model.pane, Focus::List);
        step(model, by, snapshot);
        model.pane = focus;
    } else if r.pane.contains(at) {
        let focus = std::mem::replace(&mut model.pane, Focus::Detail);
        step(model, by * tabs::pane(model.tab).wheel_rows(), snapshot);
        model.pane = focus;
    }
}
