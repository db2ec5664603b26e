//! The right column of a large screen, and the log: totals, disk and where peers come from.

use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::api::{Detail, Snapshot, Source, TorrentView};
use crate::ui::pen::Pen;
use crate::ui::text::{cells, clean_within, clock, grouped, percent, rate_long, ratio, size_long, time};

/// A label and its value, the value at the right.
pub fn pair(pen: &mut Pen<'_>, area: Rect, label: &str, value: &str, style: Style) {
    let length = cells(&clean_within(value, pen.theme.ascii, area.width)).min(area.width * 2 / 3);
    pen.put_right(area.right(), area.y, length, value, style);
    pen.put(area.x, area.y, area.width.saturating_sub(length + 1), label, pen.theme.dim);
}

/// Draws the numbers of the right column.
pub fn draw(pen: &mut Pen<'_>, area: Rect, snapshot: &Snapshot, view: &TorrentView) {
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
        ("thrown away", size_long(view.wasted)),
        ("limits in / out", format!("{} / {}", limit(snapshot.limits.0), limit(snapshot.limits.1))),
        ("disk", String::new()),
        ("busiest thread", percent((snapshot.disk_busy.clamp(0.0, 1.0) * 1000.0) as u64, 1000)),
        ("free", snapshot.free.map_or_else(|| "-".into(), size_long)),
        ("discovery", String::new()),
        ("peers", format!("{} of {} known", view.peers, view.known.max(view.peers))),
        ("of them seeds", grouped(u64::from(view.seeds))),
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

/// How many of the peers came from where.
fn sources(detail: &Detail) -> Vec<(&'static str, String)> {
    let all = [
        (Source::Tracker, "trackers"),
        (Source::Pex, "peer exchange"),
        (Source::Dht, "DHT"),
        (Source::Lan, "local network"),
        (Source::Incoming, "they called us"),
        (Source::Manual, "given by you"),
        (Source::Resume, "known of old"),
    ];
    let counted = all.iter().map(|(source, label)| {
        let count = detail.peers.iter().filter(|peer| peer.source == *source).count();
        (*label, count)
    });
    counted.filter(|(_, count)| *count > 0).map(|(label, count)| (label, grouped(count as u64))).collect()
}

/// Draws the last lines of the log below a rule.
pub fn log(pen: &mut Pen<'_>, area: Rect, detail: &Detail) {
    if area.height < 2 {
        return;
    }
    pen.rule(area, "log", pen.theme.dim);
    let body = Rect { y: area.y + 1, height: area.height - 1, ..area };
    log_lines(pen, body, detail, 0);
}

/// Draws lines of the log, the last at the bottom, `back` lines before the newest.
pub fn log_lines(pen: &mut Pen<'_>, area: Rect, detail: &Detail, back: usize) {
    let theme = *pen.theme;
    let height = usize::from(area.height);
    let end = detail.log.len().saturating_sub(back).max(height.min(detail.log.len()));
    let start = end.saturating_sub(height);
    for (line, (when, sentence)) in detail.log[start..end].iter().enumerate() {
        let y = area.y + line as u16;
        let stamp = if area.width < 60 { time(*when) } else { clock(*when) };
        let column = if area.width < 60 { 5 } else { 9 };
        pen.put_right(area.x + 1 + column, y, column, &stamp, theme.faint);
        let x = area.x + column + 3;
        pen.put(x, y, area.right().saturating_sub(x + 1), sentence, theme.text);
    }
    if detail.log.is_empty() && height > 0 {
        pen.put(area.x + 1, area.y, area.width - 2, "nothing has happened yet", theme.dim);
    }
}
