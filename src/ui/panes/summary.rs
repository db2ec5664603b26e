//! The summary column of a large screen: totals, disk, peer counts by source.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::widgets::Widget;

use crate::api::{Detail, RateLimits, Snapshot, SourceRow, TorrentView};
use crate::ui::text::format::{grouped, percent, rate_long, ratio, size_long};
use crate::ui::text::labels;
use crate::ui::theme::style::Theme;
use crate::ui::widgets::key_values::{Arrangement, KeyValues, Pair};
use crate::ui::widgets::painter::Painter;

/// Draws the summary column.
pub(crate) fn draw(area: Rect, buf: &mut Buffer, theme: &Theme, snapshot: &Snapshot, view: &TorrentView) {
    let limit = |limit: Option<u64>| limit.map_or_else(|| "none".to_owned(), rate_long);
    let limits = |limits: RateLimits| format!("{} / {}", limit(limits.down), limit(limits.up));
    let busy = (snapshot.disk_busy.clamp(0.0, 1.0) * 1000.0) as u64;
    let totals = vec![
        Pair::new("received", size_long(view.downloaded)),
        Pair::new("sent", size_long(view.uploaded)),
        Pair::new("ratio", ratio(view.uploaded, view.size)),
        Pair::new("wasted", size_long(view.wasted)),
        Pair::new("limits down / up", limits(view.limits)),
        Pair::new("global limits", limits(snapshot.limits)),
    ];
    let disk = vec![
        Pair::new("busiest thread", percent(busy, 1000)),
        Pair::new("free", snapshot.free.map_or_else(|| "-".into(), size_long)),
    ];
    let mut discovery = vec![
        Pair::new("peers", format!("{} of {} known", view.peers, view.known.max(view.peers))),
        Pair::new("seeds", grouped(u64::from(view.seeds))),
    ];
    discovery.extend(view.detail.as_deref().into_iter().flat_map(sources));
    let mut y = area.y;
    for (title, pairs) in [("totals", totals), ("disk", disk), ("discovery", discovery)] {
        if y >= area.bottom() {
            return;
        }
        Painter { buf, theme }.rule(Rect { y, height: 1, ..area }, title, theme.dim);
        let height = (pairs.len() as u16).min(area.bottom() - y - 1);
        let inner = Rect { x: area.x + 1, y: y + 1, width: area.width - 2, height };
        KeyValues { pairs: &pairs, theme, arrangement: Arrangement::Right { wrap: false } }.render(inner, buf);
        y += 1 + height;
    }
}

/// Returns the connected and known peers of each source.
fn sources(detail: &Detail) -> impl Iterator<Item = Pair<'static>> {
    detail.sources.iter().filter(|row| row.known + row.connected > 0).map(|row: &SourceRow| {
        let counts = format!("{} of {}", grouped(u64::from(row.connected)), grouped(u64::from(row.known)));
        Pair::new(labels::source(row.source), counts)
    })
}
