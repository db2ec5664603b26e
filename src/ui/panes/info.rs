//! The info tab: metadata, statistics and status of the selected torrent.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::widgets::Widget;

use crate::api::{Detail, PieceProgress, TorrentView};
use crate::ui::keys::context::Tab;
use crate::ui::panes::graph;
use crate::ui::panes::pane::{Pane, PaneContext};
use crate::ui::text::format::{
    clock_date, counted, eta, grouped, percent, piece_length, rate_long, ratio, size_long, time,
};
use crate::ui::text::labels;
use crate::ui::widgets::key_values::{Arrangement, KeyValues, Pair, grid_lines};
use crate::ui::widgets::painter::scrollbar;

/// Returns the number of columns of a pane of this width.
const fn columns(width: u16) -> usize {
    match width {
        0..76 => 1,
        76..150 => 2,
        _ => 3,
    }
}

/// Returns what is known about the torrent.
fn pairs<'a>(view: &TorrentView, detail: &'a Detail) -> Vec<Pair<'a>> {
    let yes = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
    let limit = |limit: Option<u64>| limit.map_or_else(|| "none".to_owned(), rate_long);
    let wanted = if view.wanted < view.size { format!(", {} wanted", size_long(view.wanted)) } else { String::new() };
    let known = view.known.max(view.peers);
    let number = |n: u32| grouped(u64::from(n));
    let ratio = match ratio(view.uploaded, view.ratio_of()).as_str() {
        "-" => String::new(),
        ratio => format!(", ratio {ratio}"),
    };
    let peers =
        format!("{} of {} known, {}", number(view.peers), number(known), counted(u64::from(view.seeds), "seed"));
    // A magnet link without metadata has no other information.
    let looks = view.pieces == 0 && detail.files.is_empty();
    let mut lines = if looks {
        let metadata = match view.metadata {
            PieceProgress { total: 0, .. } => "not received yet".to_owned(),
            PieceProgress { done: here, total: all } => {
                format!("{here} of {} received", counted(u64::from(all), "piece"))
            }
        };
        vec![Pair::new("Metadata", metadata), Pair::new("Peers", peers)]
    } else {
        vec![
            Pair::new("Size", format!("{}{wanted}", size_long(view.size))),
            Pair::new("Done", format!("{}, {}", percent(view.done, view.wanted), size_long(view.done))),
            Pair::new("Received", format!("{}, {} wasted", size_long(view.downloaded), size_long(view.wasted))),
            Pair::new("Sent", format!("{}{ratio}", size_long(view.uploaded))),
            Pair::new("Peers", peers),
            Pair::new("Available", format!("{:.2} distributed copies", detail.copies)),
            Pair::new(
                "Pieces",
                format!("{} of {}", grouped(u64::from(view.pieces)), piece_length(detail.piece_length)),
            ),
            Pair::new("Files", grouped(detail.files.len() as u64)),
        ]
    };
    lines.extend([
        Pair::wide("Folder", detail.folder.as_str()),
        Pair::wide("Hash", view.info_hash.map_or_else(|| "-".to_owned(), |hash| hash.to_string())),
    ]);
    if !looks {
        lines.push(Pair::new("ETA", eta(view.eta)));
    }
    lines.extend([
        Pair::new("Active", time(view.active)),
        Pair::new("Limits", format!("{} down, {} up", limit(view.limits.down), limit(view.limits.up))),
        Pair::new("Bandwidth", format!("{} priority", labels::bandwidth_priority(view.rank))),
        Pair::new("Sequential", yes(view.sequential)),
    ]);
    if !looks {
        lines.push(Pair::new("Private", yes(view.private)));
    }
    let date = |seconds: u64| i64::try_from(seconds).ok().filter(|seconds| *seconds > 0).and_then(clock_date);
    let mut short = |label, value: Option<String>| {
        if let Some(value) = value {
            lines.push(Pair::new(label, value));
        }
    };
    short("Added", date(view.added));
    short("Finished", view.finished.and_then(date));
    short("Created", detail.meta.created.and_then(clock_date));
    short("Created by", detail.meta.created_by.clone());
    short("Source", detail.meta.source.clone());
    short("Super-seed", view.super_seed.then(|| "on".into()));
    let mut long = |label, value: Option<String>| {
        if let Some(value) = value {
            lines.push(Pair::wide(label, value));
        }
    };
    long("Comment", detail.meta.comment.clone());
    for (at, seed) in detail.meta.web_seeds.iter().enumerate().take(20) {
        long(if at == 0 { "Web seeds" } else { "" }, Some(seed.clone()));
    }
    long("Magnet", Some(detail.meta.magnet.clone()).filter(|magnet| !magnet.is_empty()));
    lines
}

/// The info tab, with a rate graph below if there is room and the graph is not shown elsewhere.
pub(crate) struct InfoPane;

impl Pane for InfoPane {
    fn lines(&self, area: Rect, cx: &PaneContext<'_>) -> usize {
        grid_lines(&pairs(cx.torrent, cx.detail), columns(area.width)).len()
    }

    fn rows(&self, area: Rect, cx: &PaneContext<'_>) -> usize {
        let lines = grid_lines(&pairs(cx.torrent, cx.detail), columns(area.width)).len();
        (lines + 1).saturating_sub(usize::from(area.height)).max(1)
    }

    fn render(&self, area: Rect, buf: &mut Buffer, cx: &PaneContext<'_>) {
        let theme = &cx.state.theme;
        let pairs = pairs(cx.torrent, cx.detail);
        let columns = columns(area.width);
        let count = grid_lines(&pairs, columns).len();
        let height = usize::from(area.height);
        let top = cx.state.cursor[Tab::Info as usize].min(count.saturating_sub(height));
        KeyValues { pairs: &pairs, theme, arrangement: Arrangement::Grid { columns, top } }.render(area, buf);
        scrollbar(area, buf, theme, top, count);
        let used = count.min(height) as u16 + 1;
        let left = area.height.saturating_sub(used);
        if cx.regions.graph.is_empty() && left >= 8 {
            graph::draw(Rect { y: area.y + used, height: left.min(16), ..area }, buf, cx.state);
        }
    }
}
