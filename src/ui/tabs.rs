//! The bar of tabs, and the tabs that are not the table of peers: numbers, files, trackers, log.

use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::api::{Detail, Priority, TorrentView};
use crate::ui::keys::Tab;
use crate::ui::model::{Model, Pane, scroll};
use crate::ui::pen::{Column, Pen, Side, place};
use crate::ui::text::{cells, clean_within, eta, grouped, percent, piece_length, ratio, size, size_long, time};
use crate::ui::{pieces, side};

/// The narrowest bar in which every tab has its name.
const NAMED: u16 = 58;

/// The first cell and the width of each tab.
fn places(area: Rect, open: Option<Tab>) -> impl Iterator<Item = (Tab, u16, u16)> {
    let mut x = area.x + 2;
    Tab::ALL.into_iter().map(move |tab| {
        let named = area.width >= NAMED || open == Some(tab);
        let width = if named { tab.title().len() as u16 + 4 } else { 3 };
        x += width;
        (tab, x - width, width)
    })
}

/// The tab that is in this cell of the bar.
#[must_use]
pub fn tab_at(area: Rect, x: u16) -> Option<Tab> {
    places(area, None).find(|(_, start, width)| x >= *start && x < start + width).map(|(tab, ..)| tab)
}

/// Draws the rule with the tabs.
pub fn bar(pen: &mut Pen<'_>, area: Rect, model: &Model, chosen: Option<&TorrentView>) {
    let theme = *pen.theme;
    pen.rule(area, "", theme.faint);
    let mut end = area.x;
    for (tab, x, width) in places(area, Some(model.tab)) {
        let open = tab == model.tab;
        let title =
            if width > 3 { format!("{} {}", tab as usize + 1, tab.title()) } else { (tab as usize + 1).to_string() };
        let style = match (open, model.pane) {
            (true, Pane::Detail) => theme.accent.patch(Style::new().add_modifier(ratatui::style::Modifier::BOLD)),
            (true, Pane::List) => theme.strong,
            (false, _) => theme.dim,
        };
        let text = if open { format!("[{title}]") } else { format!(" {title} ") };
        end = pen.put(x, area.y, width, &text, style);
    }
    if let Some(view) = chosen
        && area.right() > end + 24
    {
        let room = area.right() - end - 6;
        let name = clean_within(&view.name, theme.ascii, room);
        let width = cells(&name).min(room);
        let x = area.right() - 2 - width;
        pen.put(x, area.y, width, &name, theme.dim);
        pen.fill(x - 1, area.y, 1, ' ', theme.dim);
        pen.fill(x + width, area.y, 1, ' ', theme.dim);
    }
}

/// How many lines of a tab can be walked through.
#[must_use]
pub fn lines(tab: Tab, detail: &Detail) -> usize {
    match tab {
        Tab::Files => detail.files.len(),
        Tab::Trackers => detail.trackers.len(),
        Tab::Log => detail.log.len(),
        Tab::Peers => detail.peers.len(),
        Tab::Info | Tab::Pieces => 0,
    }
}

/// Draws an open tab.
pub fn draw(pen: &mut Pen<'_>, area: Rect, tab: Tab, model: &Model, view: &TorrentView, detail: &Detail) {
    if area.is_empty() {
        return;
    }
    match tab {
        Tab::Info => info(pen, area, view, detail),
        Tab::Pieces => pieces::draw(pen, area, view, detail),
        Tab::Peers => {}
        Tab::Files => files(pen, area, model, detail),
        Tab::Trackers => trackers(pen, area, model, detail),
        Tab::Log => side::log_lines(pen, area, detail, model.cursor[Tab::Log as usize]),
    }
}

fn info(pen: &mut Pen<'_>, area: Rect, view: &TorrentView, detail: &Detail) {
    let theme = *pen.theme;
    let yes = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
    let wanted = if view.wanted < view.size { format!(", {} wanted", size_long(view.wanted)) } else { String::new() };
    let hash = detail.info_hash.map_or_else(|| "-".to_owned(), |hash| hash.to_string());
    let lines = [
        ("Size", format!("{}{wanted}", size_long(view.size))),
        ("Done", format!("{}, {}", percent(view.done, view.wanted), size_long(view.done))),
        ("Received", format!("{}, {} thrown away", size_long(view.downloaded), size_long(view.wasted))),
        ("Sent", format!("{}, ratio {}", size_long(view.uploaded), ratio(view.uploaded, view.size))),
        ("Peers", format!("{} of {} known, {} seeds", view.peers, view.known.max(view.peers), view.seeds)),
        ("Pieces", format!("{} of {}", grouped(u64::from(view.pieces)), piece_length(detail.piece_length))),
        ("Copies", format!("{:.2} in this swarm", detail.copies)),
        ("Left", eta(view.eta)),
        ("Active", time(view.active)),
        ("In order", yes(view.sequential)),
        ("Private", yes(view.private)),
        ("Files", grouped(detail.files.len() as u64)),
        ("Folder", detail.folder.clone()),
        ("Hash", hash),
    ];
    // The last two are long: where there are two columns, they take a whole line each.
    let (short, long) = lines.split_at(lines.len() - 2);
    let columns = if area.width >= 76 { 2 } else { 1 };
    let rows = short.len().div_ceil(columns);
    let width = area.width / columns as u16;
    let mut put = |x: u16, row: usize, room: u16, (label, value): &(&str, String)| {
        if row < usize::from(area.height) {
            let y = area.y + row as u16;
            pen.put(x, y, 9, label, theme.dim);
            pen.put(x + 10, y, room.saturating_sub(11), value, theme.text);
        }
    };
    // What little room there is goes to the folder first.
    let rows = rows.min(usize::from(area.height).saturating_sub(long.len()).max(2));
    for (at, line) in short.iter().take(rows * columns).enumerate() {
        put(area.x + 1 + (at / rows) as u16 * width, at % rows, width, line);
    }
    for (at, line) in long.iter().enumerate() {
        put(area.x + 1, rows + at, area.width - 1, line);
    }
}

/// Draws a list of lines of which one is chosen while the pane has the keys; `line` draws one of them.
fn list(pen: &mut Pen<'_>, area: Rect, model: &Model, count: usize, mut line: impl FnMut(&mut Pen<'_>, usize, u16)) {
    let has_keys = model.pane == Pane::Detail;
    let chosen = model.cursor[model.tab as usize].min(count.saturating_sub(1));
    let height = usize::from(area.height);
    let top = scroll(chosen.saturating_sub(height / 2), Some(chosen), height, count);
    for (row, at) in (top..count.min(top + height)).enumerate() {
        let y = area.y + row as u16;
        if has_keys && at == chosen {
            pen.restyle(Rect::new(area.x, y, area.width, 1), model.theme.chosen);
            pen.put(area.x + 1, y, 1, ">", model.theme.accent);
        }
        line(pen, at, y);
    }
    pen.thumb(area, top, count);
}

fn column(key: u8, title: &'static str, width: u16, side: Side) -> Column<u8> {
    Column { key, title, width, side, rank: key }
}

fn files(pen: &mut Pen<'_>, area: Rect, model: &Model, detail: &Detail) {
    let theme = *pen.theme;
    let columns = [
        column(0, "File", 0, Side::Left),
        column(2, "Size", 5, Side::Right),
        column(4, "", 12, Side::Left),
        column(1, "Done", 4, Side::Right),
        column(3, "Priority", 8, Side::Left),
    ];
    let slots = place(&columns, area.x + 3, area.width.saturating_sub(5), 16, 120);
    for slot in &slots {
        pen.title(slot, area.y, None, theme.dim);
    }
    let body = Rect { y: area.y + 1, height: area.height - 1, ..area };
    list(pen, body, model, detail.files.len(), |pen, at, y| {
        let file = &detail.files[at];
        let skipped = file.priority == Priority::Skip;
        let text = if skipped { theme.dim } else { theme.text };
        for slot in &slots {
            let right = slot.x + slot.width;
            match slot.key {
                0 => {
                    let split = file.path.rfind('/').map_or(0, |at| at + 1);
                    let name = clean_within(&file.path[split..], theme.ascii, slot.width);
                    let room = slot.width.saturating_sub(cells(&name));
                    let x = if room > 3 { pen.put(slot.x, y, room, &file.path[..split], theme.dim) } else { slot.x };
                    pen.put(x, y, right - x, &name, text);
                }
                1 => pen.put_side(slot.x, y, slot.width, Side::Right, &percent(file.done, file.size), text),
                2 => pen.put_number(right, y, slot.width, &size(file.size), text),
                3 => {
                    let (word, style) = match file.priority {
                        Priority::Skip => ("skip", theme.dim),
                        Priority::Low => ("low", theme.dim),
                        Priority::Normal => ("normal", theme.text),
                        Priority::High => ("high", theme.accent),
                    };
                    pen.put(slot.x, y, slot.width, word, style);
                }
                _ => pen.bar(slot.x, y, slot.width, file.done, file.size, if skipped { theme.dim } else { theme.down }),
            }
        }
    });
}

fn trackers(pen: &mut Pen<'_>, area: Rect, model: &Model, detail: &Detail) {
    let theme = *pen.theme;
    let columns = [
        column(3, "Tier", 4, Side::Right),
        column(1, "Tracker", (area.width * 2 / 5).min(60), Side::Left),
        column(0, "Says", 0, Side::Left),
        column(4, "Seeds", 5, Side::Right),
        column(5, "Leech", 5, Side::Right),
        column(6, "Peers", 5, Side::Right),
        column(2, "Next", 5, Side::Right),
    ];
    let slots = place(&columns, area.x + 3, area.width.saturating_sub(5), 14, 120);
    for slot in &slots {
        pen.title(slot, area.y, None, theme.dim);
    }
    if detail.trackers.is_empty() {
        pen.put(area.x + 3, area.y + 1, area.width - 4, "this torrent names no tracker", theme.dim);
    }
    let body = Rect { y: area.y + 1, height: area.height - 1, ..area };
    let number = |n: Option<u32>| n.map_or_else(|| "-".to_owned(), |n| n.to_string());
    list(pen, body, model, detail.trackers.len(), |pen, at, y| {
        let row = &detail.trackers[at];
        for slot in &slots {
            let (text, style) = match slot.key {
                0 => (row.status.clone(), if row.failed { theme.bad } else { theme.text }),
                1 => (row.url.clone(), theme.text),
                2 => (eta(row.next), theme.dim),
                3 => ((row.tier + 1).to_string(), theme.dim),
                4 => (number(row.seeds), theme.text),
                5 => (number(row.leechers), theme.text),
                _ => (number(row.peers), theme.text),
            };
            let style = if text == "-" { theme.faint } else { style };
            pen.put_side(slot.x, y, slot.width, slot.side, &text, style);
        }
    });
}
