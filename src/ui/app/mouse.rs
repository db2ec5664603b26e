//! The mouse while no dialog is open: clicks and the wheel.

use ratatui::layout::Position;

use crate::api::Snapshot;
use crate::ui::app::navigation::{ask_pane, screen, step};
use crate::ui::app::status_bar::StatusBar;
use crate::ui::keys::action::{Action, TorrentAction};
use crate::ui::keys::context::Tab;
use crate::ui::panes::{tabs, torrents};
use crate::ui::state::app::{AppState, Focus};
use crate::ui::state::columns::SortBy;
use crate::ui::widgets::tab_bar;

/// Handles a left click on a cell. Returns the action that a button performs.
pub(crate) fn click(state: &mut AppState, x: u16, y: u16, snapshot: &Snapshot) -> Option<Action> {
    let r = screen(state, snapshot);
    let at = Position::new(x, y);
    if r.list.contains(at) {
        state.pane = Focus::List;
        if y == r.list.y {
            if let Some(sort) = torrents::columns(state, r.list).sort_key_at(x) {
                state.sort_by(SortBy::Torrents(sort), snapshot);
            }
            return None;
        }
        let row = state.top + usize::from(y - r.list.y - 1);
        if let Some((id, _)) = state.rows.get(row).and_then(|at| snapshot.torrents.get(*at)) {
            state.selected = Some(*id);
        }
    } else if r.tabs.contains(at) {
        state.pane = Focus::Detail;
        if let Some(tab) = tab_bar::tab_at(r.tabs, state.tab, x) {
            state.tab = tab;
        }
    } else if r.pane.contains(at) && !r.welcome {
        state.pane = Focus::Detail;
        ask_pane(state, snapshot, |pane, area, cx| pane.click(at, area, cx));
    } else if r.peers.contains(at) {
        state.pane = Focus::Detail;
        state.tab = Tab::Peers;
    } else if r.graph.contains(at) {
        state.panes.span = state.panes.span.next();
    } else if r.why.contains(at) {
        return Some(Action::Torrent(TorrentAction::Why));
    } else if r.status.contains(at) {
        return StatusBar(state).action_at(r.status, x);
    }
    None
}

/// Handles the mouse wheel: scrolls what is under the pointer; the focus does not move.
pub(crate) fn wheel(state: &mut AppState, x: u16, y: u16, by: i32, snapshot: &Snapshot) {
    let r = screen(state, snapshot);
    let at = Position::new(x, y);
    let by = i64::from(by);
    if r.list.contains(at) {
        let focus = std::mem::replace(&mut state.pane, Focus::List);
        step(state, by, snapshot);
        state.pane = focus;
    } else if r.pane.contains(at) {
        let focus = std::mem::replace(&mut state.pane, Focus::Detail);
        step(state, by * tabs::pane(state.tab).wheel_rows(), snapshot);
        state.pane = focus;
    }
}
