//! The trackers tab: status, peer counts and next announce of each tracker; below, the other peer sources (DHT, PEX,
//! LSD).

use ratatui::layout::Rect;

use crate::api::{Detail, SourceRow, TrackerRow};
use crate::ui::keys::context::Tab;
use crate::ui::panes::disconnected::source_label;
use crate::ui::state::app::AppState;
use crate::ui::text::format::{grouped, time};
use crate::ui::widgets::painter::{Column, ColumnRect, Painter, Side, layout_columns};
use crate::ui::widgets::tab_bar::list;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Col {
    Tier,
    Address,
    Says,
    Seeds,
    Leechers,
    Completed,
    Peers,
    Last,
    Next,
}

const fn column(key: Col, title: &'static str, width: u16, side: Side, rank: u8) -> Column<Col> {
    Column { key, title, width, side, rank }
}

fn slots(area: Rect) -> Vec<ColumnRect<Col>> {
    let columns = [
        column(Col::Tier, "Tier", 4, Side::Right, 6),
        column(Col::Address, "Tracker", (area.width * 2 / 5).min(56), Side::Left, 1),
        column(Col::Says, "Message", 0, Side::Left, 0),
        column(Col::Seeds, "Seeds", 6, Side::Right, 4),
        column(Col::Leechers, "Leech", 6, Side::Right, 5),
        column(Col::Completed, "Done", 6, Side::Right, 8),
        column(Col::Peers, "Peers", 5, Side::Right, 3),
        column(Col::Last, "Last", 5, Side::Right, 7),
        column(Col::Next, "Next", 5, Side::Right, 2),
    ];
    let least = if area.width >= 120 { 28 } else { 14 };
    layout_columns(&columns, area.x + 3, area.width.saturating_sub(5), least, 120)
}

/// Returns the peer sources other than trackers that have a status.
fn asked(detail: &Detail) -> impl Iterator<Item = &SourceRow> {
    detail.sources.iter().filter(|row| !row.status.is_empty())
}

/// Returns the number of rows.
#[must_use]
pub fn len(detail: &Detail) -> usize {
    detail.trackers.len() + asked(detail).count()
}

/// Draws the trackers tab.
pub fn draw(pen: &mut Painter<'_>, area: Rect, model: &AppState, detail: &Detail) {
    let theme = *pen.theme;
    if area.is_empty() {
        return;
    }
    let slots = slots(area);
    for slot in &slots {
        pen.title(slot, area.y, None, theme.dim);
    }
    let mut body = Rect { y: area.y + 1, height: area.height - 1, ..area };
    if detail.trackers.is_empty() && !body.is_empty() {
        pen.put(body.x + 3, body.y, body.width - 4, "this torrent has no trackers", theme.dim);
        body = Rect { y: body.y + 1, height: body.height - 1, ..body };
    }
    let count = len(detail);
    if count == 0 {
        return;
    }
    // A truncated message is shown in full below the list, if there is room.
    let room = slots.iter().find(|slot| slot.key == Col::Says).map_or(0, |slot| slot.width);
    let (name, says) = named(detail, model.cursor[Tab::Trackers as usize].min(count - 1)).unwrap_or_default();
    if usize::from(body.height) > count + 1
        && crate::ui::text::format::cells(says) > room
        && model.pane == crate::ui::state::app::Focus::Detail
    {
        let lines = crate::ui::text::format::wrap(&format!("{name}: {says}"), area.width.saturating_sub(6));
        let room = usize::from(body.height) - count - 1;
        let lines: Vec<_> = lines.into_iter().take(room.min(4)).collect();
        body.height -= lines.len() as u16;
        for (y, line) in (body.bottom()..).zip(&lines) {
            pen.put(area.x + 3, y, area.width - 4, line, theme.dim);
        }
    }
    list(pen, body, model, count, |pen, at, y| match detail.trackers.get(at) {
        Some(row) => slots.iter().for_each(|slot| field(pen, slot, y, row)),
        None => {
            if let Some(row) = asked(detail).nth(at - detail.trackers.len()) {
                slots.iter().for_each(|slot| source_field(pen, slot, y, row));
            }
        }
    });
}

/// Returns the name and status text of a row.
fn named(detail: &Detail, at: usize) -> Option<(&str, &str)> {
    match detail.trackers.get(at) {
        Some(row) => Some((&row.url, &row.status)),
        None => {
            asked(detail).nth(at - detail.trackers.len()).map(|row| (source_label(row.source), row.status.as_str()))
        }
    }
}

fn source_field(pen: &mut Painter<'_>, slot: &ColumnRect<Col>, y: u16, row: &SourceRow) {
    let theme = *pen.theme;
    let moment = |t: Option<std::time::Duration>| t.map_or_else(|| "-".to_owned(), time);
    let (text, style) = match slot.key {
        Col::Tier | Col::Seeds | Col::Leechers | Col::Completed => ("-".to_owned(), theme.dim),
        Col::Address => (source_label(row.source).to_owned(), theme.text),
        Col::Says => (row.status.clone(), theme.text),
        Col::Peers => (grouped(u64::from(row.known)), theme.text),
        Col::Last => (moment(row.last), theme.dim),
        Col::Next => (moment(row.next), theme.dim),
    };
    let style = if text == "-" { theme.faint } else { style };
    pen.put_side(slot.x, y, slot.width, slot.side, &text, style);
}

fn field(pen: &mut Painter<'_>, slot: &ColumnRect<Col>, y: u16, row: &TrackerRow) {
    let theme = *pen.theme;
    let number = |n: Option<u32>| n.map_or_else(|| "-".to_owned(), |n| grouped(u64::from(n)));
    let moment = |t: Option<std::time::Duration>| t.map_or_else(|| "-".to_owned(), time);
    let (text, style) = match slot.key {
        Col::Tier => ((row.tier + 1).to_string(), theme.dim),
        Col::Address => (row.url.clone(), theme.text),
        Col::Says => (row.status.clone(), if row.failed { theme.bad } else { theme.text }),
        Col::Seeds => (number(row.seeds), theme.text),
        Col::Leechers => (number(row.leechers), theme.text),
        Col::Completed => (number(row.completed), theme.dim),
        Col::Peers => (number(row.peers), theme.text),
        Col::Last => (moment(row.last), theme.dim),
        Col::Next => (moment(row.next), theme.dim),
    };
    let style = if text == "-" { theme.faint } else { style };
    pen.put_side(slot.x, y, slot.width, slot.side, &text, style);
}
