//! The info tab: metadata, statistics and status of the selected torrent.

use ratatui::layout::Rect;

use crate::api::{Detail, TorrentView};
use crate::ui::keys::context::Tab;
use crate::ui::state::app::AppState;
use crate::ui::text::format::{
    clock_date, counted, eta, grouped, percent, piece_length, rate_long, ratio, size_long, time,
};
use crate::ui::text::labels;
use crate::ui::widgets::painter::Painter;
use crate::ui::widgets::rate_graph;

/// A label and value: `Short` ones share a line if the pane is wide enough, a `Long` one has its own line.
enum Line {
    Short(&'static str, String),
    Long(&'static str, String),
}

/// Minimum pane width for three and for two columns.
const COLUMNS: [(u16, usize); 2] = [(150, 3), (76, 2)];

fn columns(width: u16) -> usize {
    COLUMNS.iter().find(|(least, _)| width >= *least).map_or(1, |(_, columns)| *columns)
}

/// Returns the pairs on each line of a pane of this width.
fn rows(view: &TorrentView, detail: &Detail, width: u16) -> Vec<Vec<(&'static str, String)>> {
    let columns = columns(width);
    let mut rows: Vec<Vec<(&'static str, String)>> = Vec::new();
    let mut open = false;
    for line in told(view, detail) {
        match line {
            Line::Short(label, value) => {
                match rows.last_mut().filter(|row| open && row.len() < columns) {
                    Some(row) => row.push((label, value)),
                    None => rows.push(vec![(label, value)]),
                }
                open = true;
            }
            Line::Long(label, value) => {
                rows.push(vec![(label, value)]);
                open = false;
            }
        }
    }
    rows
}

fn told(view: &TorrentView, detail: &Detail) -> Vec<Line> {
    use Line::{Long, Short};
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
            (_, 0) => "not received yet".to_owned(),
            (here, all) => format!("{here} of {} received", counted(u64::from(all), "piece")),
        };
        vec![Short("Metadata", metadata), Short("Peers", peers)]
    } else {
        vec![
            Short("Size", format!("{}{wanted}", size_long(view.size))),
            Short("Done", format!("{}, {}", percent(view.done, view.wanted), size_long(view.done))),
            Short("Received", format!("{}, {} wasted", size_long(view.downloaded), size_long(view.wasted))),
            Short("Sent", format!("{}{ratio}", size_long(view.uploaded))),
            Short("Peers", peers),
            Short("Available", format!("{:.2} distributed copies", detail.copies)),
            Short("Pieces", format!("{} of {}", grouped(u64::from(view.pieces)), piece_length(detail.piece_length))),
            Short("Files", grouped(detail.files.len() as u64)),
        ]
    };
    lines.extend([
        Long("Folder", detail.folder.clone()),
        Long("Hash", detail.info_hash.map_or_else(|| "-".to_owned(), |hash| hash.to_string())),
    ]);
    if !looks {
        lines.push(Short("ETA", eta(view.eta)));
    }
    lines.extend([
        Short("Active", time(view.active)),
        Short("Limits", format!("{} down, {} up", limit(view.limits.0), limit(view.limits.1))),
        Short("Bandwidth", format!("{} priority", labels::bandwidth_priority(view.rank))),
        Short("Sequential", yes(view.sequential)),
    ]);
    if !looks {
        lines.push(Short("Private", yes(view.private)));
    }
    let date = |seconds: u64| i64::try_from(seconds).ok().filter(|seconds| *seconds > 0).and_then(clock_date);
    let mut short = |label, value: Option<String>| {
        if let Some(value) = value {
            lines.push(Short(label, value));
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
            lines.push(Long(label, value));
        }
    };
    long("Comment", detail.meta.comment.clone());
    for (at, seed) in detail.meta.web_seeds.iter().enumerate().take(20) {
        long(if at == 0 { "Web seeds" } else { "" }, Some(seed.clone()));
    }
    long("Magnet", Some(detail.meta.magnet.clone()).filter(|magnet| !magnet.is_empty()));
    lines
}

/// Returns the number of scroll positions in a pane of this area.
#[must_use]
pub fn len(area: Rect, view: &TorrentView, detail: &Detail) -> usize {
    (rows(view, detail, area.width).len() + 1).saturating_sub(usize::from(area.height)).max(1)
}

/// Draws the info tab, with a rate graph below if there is room and the graph is not shown elsewhere.
pub fn draw(
    pen: &mut Painter<'_>,
    area: Rect,
    model: &AppState,
    view: &TorrentView,
    detail: &Detail,
    with_graph: bool,
) {
    let theme = *pen.theme;
    let columns = columns(area.width) as u16;
    let rows = rows(view, detail, area.width);
    let height = usize::from(area.height);
    let top = model.cursor[Tab::Info as usize].min(rows.len().saturating_sub(height));
    let width = (area.width - 1) / columns;
    for (y, row) in (area.y..area.bottom()).zip(rows.iter().skip(top)) {
        let room = if row.len() == 1 { area.width - 1 } else { width };
        for (x, (label, value)) in (area.x + 1..).step_by(usize::from(width)).zip(row) {
            pen.put(x, y, 10, label, theme.dim);
            pen.put(x + 11, y, room.saturating_sub(12), value, theme.text);
        }
    }
    pen.scrollbar(area, top, rows.len());
    let used = rows.len().min(height) as u16 + 1;
    let left = area.height.saturating_sub(used);
    if with_graph && left >= 8 {
        rate_graph::draw(pen, Rect { y: area.y + used, height: left.min(16), ..area }, model);
    }
}
