//! The rate graph of the selected torrent or of all torrents.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::widgets::Widget;

use crate::ui::state::app::AppState;
use crate::ui::state::rate_history::RateHistory;
use crate::ui::widgets::rate_graph::RateGraph;

/// Draws the graph.
pub(crate) fn draw(area: Rect, buf: &mut Buffer, state: &AppState) {
    let none = RateHistory::default();
    let (history, caption) = match state.selected.filter(|_| !state.panes.graph_all) {
        Some(id) => (state.panes.rates.get(id).unwrap_or(&none), "this torrent"),
        None => (&state.history, "all torrents"),
    };
    let (span, theme) = (state.panes.span, &state.theme);
    let columns = RateGraph::columns(area, theme);
    let cells = usize::from(area.width.saturating_sub(2));
    let now = history.columns(span, cells).last().copied().flatten().unwrap_or_default();
    let rates = history.columns(span, columns);
    RateGraph { rates, now, most: history.most(span), span: span.word(), caption, theme }.render(area, buf);
}
