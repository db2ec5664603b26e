//! What the tabs of the detail pane have in common.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::widgets::TableState;

use crate::api::{Detail, Snapshot, TorrentView};
use crate::ui::state::app::{AppState, Focus};
use crate::ui::state::columns::PeerColumn;
use crate::ui::state::layout::Regions;
use crate::ui::widgets::list::first_visible;

/// What a pane reads.
pub(crate) struct PaneContext<'a> {
    pub state: &'a AppState,
    pub snapshot: &'a Snapshot,
    /// The selected torrent.
    pub torrent: &'a TorrentView,
    /// Its detail.
    pub detail: &'a Detail,
    /// The layout of the whole screen.
    pub regions: &'a Regions,
}

impl PaneContext<'_> {
    /// Returns the selected row, of `count` rows.
    pub(crate) fn row(&self, count: usize) -> usize {
        self.state.cursor[self.state.tab as usize].min(count.saturating_sub(1))
    }

    /// Returns the selected row, of `count` rows, while the pane has the focus.
    pub(crate) fn focused_row(&self, count: usize) -> Option<usize> {
        (self.state.pane == Focus::Detail).then(|| self.row(count))
    }

    /// Returns the first visible row of a list, such that the selected row is about in the middle.
    pub(crate) fn top(&self, height: u16, count: usize) -> usize {
        let (row, height) = (self.row(count), usize::from(height));
        first_visible(row.saturating_sub(height / 2), Some(row), height, count)
    }

    /// Returns which of `count` rows a table of `height` lines shows, and the selected one.
    pub(crate) fn table_state(&self, height: u16, count: usize) -> TableState {
        let selected = self.focused_row(count).filter(|_| count > 0);
        TableState::new().with_offset(self.top(height, count)).with_selected(selected)
    }
}

/// A change of the state that a pane asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum PaneRequest {
    /// Select this row of the pane.
    SelectRow(usize),
    /// Select the peer with this key.
    SelectPeer(u64),
    /// Select this piece.
    SelectPiece(u32),
    /// Expand or collapse the folder in this row.
    ToggleFolder(usize),
    /// Sort the peers by this column, or reverse their order.
    SortPeers(PeerColumn),
}

/// A tab of the detail pane. Panes have no state of their own: they draw the state of the interface, and say what is
/// to change.
pub(crate) trait Pane {
    /// Draws the pane; `area` is not empty.
    fn render(&self, area: Rect, buf: &mut Buffer, cx: &PaneContext<'_>);

    /// Returns how many lines the pane can fill; by default, as many as there are.
    fn lines(&self, _area: Rect, _cx: &PaneContext<'_>) -> usize {
        usize::MAX
    }

    /// Returns the number of rows that can be selected, or of scroll positions.
    fn rows(&self, area: Rect, cx: &PaneContext<'_>) -> usize;

    /// Moves the selection by a number of rows.
    fn move_by(&self, rows: i64, area: Rect, cx: &PaneContext<'_>) -> Option<PaneRequest> {
        let count = self.rows(area, cx);
        Some(PaneRequest::SelectRow(moved(cx.state.cursor[cx.state.tab as usize].min(count), rows, count)))
    }

    /// Returns the request that selects a row.
    fn select(&self, row: usize, _cx: &PaneContext<'_>) -> Option<PaneRequest> {
        Some(PaneRequest::SelectRow(row))
    }

    /// Returns the selected row.
    fn selected(&self, cx: &PaneContext<'_>) -> usize {
        cx.state.cursor[cx.state.tab as usize]
    }

    /// Returns the texts of all rows, to be searched; `None` if the pane has nothing to search.
    fn texts(&self, _cx: &PaneContext<'_>) -> Option<Vec<String>> {
        None
    }

    /// Handles a left click.
    fn click(&self, _at: Position, _area: Rect, _cx: &PaneContext<'_>) -> Option<PaneRequest> {
        None
    }

    /// Returns how many rows a page has.
    fn page(&self, area: Rect) -> usize {
        usize::from(area.height.saturating_sub(1))
    }

    /// Returns by how many rows one step of the mouse wheel moves.
    fn wheel_rows(&self) -> i64 {
        3
    }
}

/// Moves index `from` by `by`, clamped to `0..count`.
pub(crate) fn moved(from: usize, by: i64, count: usize) -> usize {
    let last = i64::try_from(count).unwrap_or(i64::MAX).saturating_sub(1).max(0);
    let from = i64::try_from(from).unwrap_or(last);
    usize::try_from(from.saturating_add(by).clamp(0, last)).unwrap_or(0)
}

/// Returns the row that was clicked of a list below one line of titles.
pub(crate) fn clicked_row(at: Position, area: Rect, count: usize, cx: &PaneContext<'_>) -> Option<usize> {
    let line = usize::from(at.y).checked_sub(usize::from(area.y) + 1)?;
    Some(cx.top(area.height.saturating_sub(1), count) + line)
}
