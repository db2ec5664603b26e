//! The log tab: events of the selected torrent or of all torrents, the newest at the bottom.

use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::api::TorrentId;
use crate::ui::keys::action::{Action, ViewAction};
use crate::ui::keys::context::Tab;
use crate::ui::panes::pane::{Pane, PaneContext, PaneRequest, moved};
use crate::ui::state::app::Focus;
use crate::ui::text::format::{cells, shorten_paths};
use crate::ui::widgets::painter::Painter;

/// The log tab.
pub(crate) struct LogPane;

impl Pane for LogPane {
    fn rows(&self, _area: Rect, cx: &PaneContext<'_>) -> usize {
        if cx.state.panes.log_all { cx.snapshot.log.len() } else { cx.detail.log.len() }
    }

    /// The newest line first, as the cursor counts.
    fn texts(&self, cx: &PaneContext<'_>) -> Option<Vec<String>> {
        Some(if cx.state.panes.log_all {
            cx.snapshot.log.iter().rev().map(|line| line.text.clone()).collect()
        } else {
            cx.detail.log.iter().rev().map(|line| line.text.clone()).collect()
        })
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
        let back = Some((state.cursor[Tab::Log as usize], state.pane == Focus::Detail));
        if state.panes.log_all {
            let now = snapshot.uptime + state.clock.saturating_sub(state.snapshot_at);
            let line = |at: usize| {
                let line = snapshot.log.get(at)?;
                Some((now.saturating_sub(line.at), line.torrent, line.text.as_str()))
            };
            lines(&mut pen, body, cx, snapshot.log.len(), back, line);
        } else {
            let line = of_torrent(cx);
            lines(&mut pen, body, cx, detail.log.len(), back, line);
        }
    }
}

/// Returns the lines of the selected torrent: how long ago, text.
fn of_torrent<'a>(cx: &PaneContext<'a>) -> impl Fn(usize) -> Option<(Duration, Option<TorrentId>, &'a str)> {
    let (age, log) = (cx.state.age(cx.torrent), &cx.detail.log);
    move |at| log.get(at).map(|line| (line.ago + age, None, line.text.as_str()))
}

/// Draws the last lines of a torrent's log below a rule.
pub(crate) fn tail(pen: &mut Painter<'_>, area: Rect, cx: &PaneContext<'_>) {
    if area.height < 2 {
        return;
    }
    pen.rule(area, "log", pen.theme.dim);
    let body = Rect { y: area.y + 1, height: area.height - 1, ..area };
    lines(pen, body, cx, cx.detail.log.len(), None, of_torrent(cx));
}

/// Draws log lines, the last at the bottom. `back` is the distance of the selected line from the newest, and whether it
/// is to be seen which one is selected.
fn lines<'a>(
    pen: &mut Painter<'_>,
    area: Rect,
    cx: &PaneContext<'_>,
    count: usize,
    back: Option<(usize, bool)>,
    line: impl Fn(usize) -> Option<(Duration, Option<TorrentId>, &'a str)>,
) {
    let theme = *pen.theme;
    let (scrolls, (back, has_focus)) = (back.is_some(), back.unwrap_or_default());
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
        let Some((ago, id, sentence)) = line(at) else { continue };
        if has_focus && at + 1 + back.min(count - 1) == count {
            pen.restyle(Rect { y, height: 1, ..area }, theme.chosen);
            pen.put(area.x, y, 1, ">", theme.accent);
        }
        let stamp = cx.state.moment(ago, narrow);
        pen.put_right(area.x + 1 + column, y, column, &stamp, theme.faint);
        let mut x = area.x + column + 3;
        if let Some(view) = id.and_then(|id| cx.snapshot.torrent(id)) {
            let room = (area.width / 4).clamp(8, 28);
            pen.put(x, y, room, &view.name, theme.dim);
            x += room + 2;
        }
        let room = area.right().saturating_sub(x + 1);
        pen.put(x, y, room, &shorten_paths(sentence, room), theme.text);
    }
    if scrolls {
        pen.scrollbar(area, start, count);
    }
}
