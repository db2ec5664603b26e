//! The log tab: events of the selected torrent or of all torrents, the newest at the bottom.

use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::api::{Detail, Snapshot, TorrentId};
use crate::ui::keys::action::{Action, ViewAction};
use crate::ui::keys::context::Tab;
use crate::ui::panes::pane::{Pane, PaneContext, PaneRequest, moved};
use crate::ui::state::app::{Focus, find};
use crate::ui::text::format::{cells, clock, time};
use crate::ui::widgets::painter::Painter;

/// The log tab.
pub(crate) struct LogPane;

impl Pane for LogPane {
    fn rows(&self, _area: Rect, cx: &PaneContext<'_>) -> usize {
        if cx.state.panes.log_all { cx.snapshot.log.len() } else { cx.detail.log.len() }
    }

    /// Moves by a number of lines; the cursor counts from the newest line.
    fn move_by(&self, rows: i64, area: Rect, cx: &PaneContext<'_>) -> Option<PaneRequest> {
        let count = self.rows(area, cx);
        let from = cx.state.cursor[Tab::Log as usize].min(count);
        Some(PaneRequest::SelectRow(moved(from, rows.saturating_neg(), count)))
    }

    fn render(&self, area: Rect, buf: &mut Buffer, cx: &PaneContext<'_>) {
        let (state, snapshot, detail) = (cx.state, cx.snapshot, cx.detail);
        let mut pen = Painter { buf, theme: &state.theme };
        let mut body = area;
        if area.height >= 5 {
            let (here, there) =
                if state.panes.log_all { ("all torrents", "this torrent") } else { ("this torrent", "all torrents") };
            let x = pen.put(area.x + 3, area.y, area.width - 4, here, pen.theme.dim);
            let hint = format!("[{}] {there}", state.keymap.shown(Action::View(ViewAction::LogScope)));
            if state.pane == Focus::Detail && x + 4 + cells(&hint) < area.right() {
                pen.put_right(area.right() - 1, area.y, cells(&hint), &hint, pen.theme.dim);
            }
            body = Rect { y: area.y + 1, height: area.height - 1, ..area };
        }
        let back = Some(state.cursor[Tab::Log as usize]);
        if state.panes.log_all {
            let line = |at: usize| snapshot.log.get(at).map(|(when, id, text)| (*when, *id, text.as_str()));
            lines(&mut pen, body, snapshot, snapshot.log.len(), back, line);
        } else {
            let line = |at: usize| detail.log.get(at).map(|(when, text)| (*when, None, text.as_str()));
            lines(&mut pen, body, snapshot, detail.log.len(), back, line);
        }
    }
}

/// Draws the last lines of a torrent's log below a rule.
pub(crate) fn tail(pen: &mut Painter<'_>, area: Rect, snapshot: &Snapshot, detail: &Detail) {
    if area.height < 2 {
        return;
    }
    pen.rule(area, "log", pen.theme.dim);
    let body = Rect { y: area.y + 1, height: area.height - 1, ..area };
    lines(pen, body, snapshot, detail.log.len(), None, |at| {
        detail.log.get(at).map(|(when, text)| (*when, None, text.as_str()))
    });
}

/// Draws log lines, the last at the bottom, scrolled `back` lines from the newest.
fn lines<'a>(
    pen: &mut Painter<'_>,
    area: Rect,
    snapshot: &Snapshot,
    count: usize,
    back: Option<usize>,
    line: impl Fn(usize) -> Option<(Duration, Option<TorrentId>, &'a str)>,
) {
    let theme = *pen.theme;
    let (scrolls, back) = (back.is_some(), back.unwrap_or(0));
    let height = usize::from(area.height);
    if count == 0 && height > 0 {
        pen.put(area.x + 3, area.y, area.width - 4, "no events yet", theme.dim);
        return;
    }
    let end = count.saturating_sub(back).max(height.min(count));
    let start = end.saturating_sub(height);
    let narrow = area.width < 60;
    let column = if narrow { 5 } else { 9 };
    for (y, at) in (area.y..area.bottom()).zip(start..end) {
        let Some((when, id, sentence)) = line(at) else { continue };
        let stamp = if narrow { time(when) } else { clock(when) };
        pen.put_right(area.x + 1 + column, y, column, &stamp, theme.faint);
        let mut x = area.x + column + 3;
        if let Some(view) = id.and_then(|id| find(snapshot, id)) {
            let room = (area.width / 4).clamp(8, 28);
            pen.put(x, y, room, &view.name, theme.dim);
            x += room + 2;
        }
        pen.put(x, y, area.right().saturating_sub(x + 1), sentence, theme.text);
    }
    if scrolls {
        pen.scrollbar(area, start, count);
    }
}
