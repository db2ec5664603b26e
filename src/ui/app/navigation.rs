//! Navigation in the panes: arrow keys, pages, next search match; and the sort order of the torrent and peer lists.

use ratatui::layout::Rect;

use crate::api::Snapshot;
use crate::ui::keys::action::{Action, NavAction, ViewAction};
use crate::ui::keys::context::Tab;
use crate::ui::panes::pane::{Pane, PaneContext, PaneRequest, moved};
use crate::ui::panes::{tabs, torrents};
use crate::ui::state::app::{AppState, Focus};
use crate::ui::state::columns::{self, PEER_COLUMNS, SortBy, TORRENT_COLUMNS};
use crate::ui::state::layout::{Regions, regions};
use crate::ui::text::pattern;

/// Returns the current screen layout.
pub(crate) fn screen(state: &AppState, snapshot: &Snapshot) -> Regions {
    regions(Rect::new(0, 0, state.size.0, state.size.1), &state.layout_input(snapshot))
}

/// Reserves the lines that the open tab can fill, in steps and never fewer than before, so that nothing jumps.
pub(crate) fn reserve_rows(state: &mut AppState, snapshot: &Snapshot) {
    let mut lines = 0;
    ask_pane(state, snapshot, |pane, area, cx| {
        lines = pane.lines(area, cx);
        None
    });
    let before = &mut state.pane_rows[state.tab as usize];
    *before = (*before).max(lines.saturating_add(2) / 3 * 3);
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
        PaneRequest::SortPeers(column) => state.sort_by(SortBy::Peers(column), snapshot),
    }
}

/// Moves the cursor of the piece map by `by` pieces.
pub(crate) fn step_piece(state: &mut AppState, by: i64, snapshot: &Snapshot) {
    let Some(pieces) = state.chosen(snapshot).map(|view| view.pieces) else { return };
    if let Some(piece) = state.panes.piece {
        state.panes.piece = u32::try_from(moved(piece as usize, by, pieces as usize)).ok();
    }
}

/// Where to look for the next match.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    /// At the selected row, and then below it.
    Here,
    Down,
    Up,
}

/// Begins to find in the focused pane, or in the torrent list if the pane has nothing to search.
pub(crate) fn begin_find(state: &mut AppState, snapshot: &Snapshot) {
    let mut searches = false;
    if state.pane == Focus::Detail {
        ask_pane(state, snapshot, |pane, _, cx| {
            searches = pane.texts(cx).is_some();
            None
        });
    }
    if !searches {
        state.pane = Focus::List;
    }
    state.filtering = true;
}

/// Selects the next row of the focused pane that is meant by what is looked for, cyclically.
pub(crate) fn find_row(state: &mut AppState, step: Step, snapshot: &Snapshot) {
    let mut found = 0;
    ask_pane(state, snapshot, |pane, _, cx| {
        let texts = pane.texts(cx)?;
        let meant = pattern::found(texts.iter().map(String::as_str), cx.state.find.text());
        found = meant.iter().filter(|meant| **meant).count();
        let (count, at) = (meant.len(), pane.selected(cx));
        let row = |n: usize| match step {
            Step::Here => (at + n) % count,
            Step::Down => (at + 1 + n) % count,
            Step::Up => (at + 2 * count - 1 - n) % count,
        };
        (0..count).map(row).find(|row| meant[*row]).and_then(|row| pane.select(row, cx))
    });
    match found {
        0 => state.notify("no match"),
        1 => state.notify("1 match"),
        n => state.notify(&format!("{n} matches")),
    }
}

/// Selects the next or previous match in the focused pane, cyclically.
pub(crate) fn next_match(state: &mut AppState, step: Step, snapshot: &Snapshot) {
    if state.pane == Focus::Detail && !state.find.is_empty() {
        return find_row(state, step, snapshot);
    }
    if state.filter.is_empty() {
        let key = state.keymap.shown(Action::View(ViewAction::Filter)).to_owned();
        return state.notify(&format!("no search text: press {key} to search"));
    }
    let count = state.rows.len();
    if count == 0 {
        return;
    }
    let row = match (state.row(snapshot), step) {
        (None, _) => 0,
        (Some(row), Step::Up) => (row + count - 1) % count,
        (Some(row), Step::Here | Step::Down) => (row + 1) % count,
    };
    state.selected = snapshot.torrents.get(state.rows[row]).map(|(id, _)| *id);
}

/// Returns whether the list that sorting applies to is the one of the peers.
fn sorts_peers(state: &AppState) -> bool {
    state.pane == Focus::Detail && state.tab == Tab::Peers
}

/// Reverses the order of the focused list.
pub(crate) fn reverse_sort(state: &mut AppState, snapshot: &Snapshot) {
    let reverse = if sorts_peers(state) { &mut state.peer_reverse } else { &mut state.reverse };
    *reverse = !*reverse;
    say_sort(state);
    state.refresh_rows(snapshot, true);
}

/// Says by what the focused list is sorted: its column may not be shown.
fn say_sort(state: &mut AppState) {
    let (name, reverse) = if sorts_peers(state) {
        (columns::names(&[state.peer_sort], PEER_COLUMNS), state.peer_reverse)
    } else {
        (columns::names(&[state.sort], TORRENT_COLUMNS), state.reverse)
    };
    state.notify(&format!("sorted by {}{}", name.concat(), if reverse { ", reversed" } else { "" }));
}
