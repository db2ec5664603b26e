//! The summary column of a large screen: totals, disk, peer counts by source.

use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::api::{Detail, Snapshot, SourceRow, TorrentView};
use crate::ui::panes::disconnected::source_label;
use crate::ui::text::format::{cells, clean_within, grouped, percent, rate_long, ratio, size_long};
use crate::ui::widgets::painter::Painter;

/// Draws a label, and its value right-aligned.
pub fn pair(pen: &mut Painter<'_>, area: Rect, label: &str, value: &str, style: Style) {
    let length = cells(&clean_within(value, pen.theme.ascii, area.width)).min(area.width * 2 / 3);
    pen.put_right(area.right(), area.y, length, value, style);
    pen.put(area.x, area.y, area.width.saturating_sub(length + 1), label, pen.theme.dim);
}

/// Draws the summary column.
pub fn draw(pen: &mut Painter<'_>, area: Rect, snapshot: &Snapshot, view: &TorrentView) {
    if area.is_empty() {
        return;
    }
    let theme = *pen.theme;
    let limit = |limit: Option<u64>| limit.map_or_else(|| "none".to_owned(), rate_long);
    let mut lines: Vec<(&str, String)> = vec![
        ("totals", String::new()),
        ("received", size_long(view.downloaded)),
        ("sent", size_long(view.uploaded)),
        ("ratio", ratio(view.uploaded, view.size)),
        ("wasted", size_long(view.wasted)),
        ("limits down / up", format!("{} / {}", limit(view.limits.0), limit(view.limits.1))),
        ("global limits", format!("{} / {}", limit(snapshot.limits.0), limit(snapshot.limits.1))),
        ("disk", String::new()),
        ("busiest thread", percent((snapshot.disk_busy.clamp(0.0, 1.0) * 1000.0) as u64, 1000)),
        ("free", snapshot.free.map_or_else(|| "-".into(), size_long)),
        ("discovery", String::new()),
        ("peers", format!("{} of {} known", view.peers, view.known.max(view.peers))),
        ("seeds", grouped(u64::from(view.seeds))),
    ];
    if let Some(detail) = view.detail.as_deref() {
        lines.extend(sources(detail));
    }
    for ((label, value), y) in lines.into_iter().zip(area.y..area.bottom()) {
        let line = Rect { y, height: 1, ..area };
        if value.is_empty() {
            pen.rule(line, label, theme.dim);
        } else {
            pair(pen, Rect { x: line.x + 1, width: line.width - 2, ..line }, label, &value, theme.text);
        }
    }
}

/// Formats connected and known peers of each source.
fn sources(detail: &Detail) -> Vec<(&'static str, String)> {
    let counted = detail.sources.iter().filter(|row| row.known + row.connected > 0);
    let pair = |row: &SourceRow| {
        let value = format!("{} of {}", grouped(u64::from(row.connected)), grouped(u64::from(row.known)));
        (source_label(row.source), value)
    };
    counted.map(pair).collect()
}
