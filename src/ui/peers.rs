//! The table of peers: who is there, what they give and what they get.

use ratatui::layout::Rect;

use crate::api::{Detail, PeerRow};
use crate::ui::keys::Tab;
use crate::ui::layout::Regions;
use crate::ui::model::{Model, Pane, PeerSort, scroll};
use crate::ui::pen::{Column, Pen, Side, Slot, place};
use crate::ui::text::{cells, clean_within, prefix, size, time};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Col {
    Address,
    Client,
    Flags,
    Done,
    Down,
    Up,
    Requests,
    Source,
    Gives,
    Gets,
    Received,
    Sent,
    Age,
}

const fn column(key: Col, title: &'static str, width: u16, side: Side, rank: u8) -> Column<Col> {
    Column { key, title, width, side, rank }
}

const COLUMNS: [Column<Col>; 13] = [
    column(Col::Address, "Address", 21, Side::Left, 0),
    column(Col::Client, "Client", 0, Side::Left, 4),
    column(Col::Flags, "Flags", 5, Side::Left, 5),
    column(Col::Done, "Done", 4, Side::Right, 3),
    column(Col::Down, "↓/s", 5, Side::Right, 1),
    column(Col::Up, "↑/s", 5, Side::Right, 2),
    column(Col::Requests, "Reqs", 6, Side::Right, 6),
    column(Col::Source, "Src", 4, Side::Left, 7),
    column(Col::Gives, "Gives", 6, Side::Left, 10),
    column(Col::Gets, "Gets", 6, Side::Left, 11),
    column(Col::Received, "↓", 5, Side::Right, 8),
    column(Col::Sent, "↑", 5, Side::Right, 9),
    column(Col::Age, "Age", 5, Side::Right, 12),
];

impl Col {
    const fn sort(self) -> Option<PeerSort> {
        match self {
            Col::Address => Some(PeerSort::Address),
            Col::Client => Some(PeerSort::Client),
            Col::Done => Some(PeerSort::Done),
            Col::Down => Some(PeerSort::Down),
            Col::Up => Some(PeerSort::Up),
            Col::Age => Some(PeerSort::Age),
            _ => None,
        }
    }
}

const MARGIN: u16 = 3;

fn slots(area: Rect) -> Vec<Slot<Col>> {
    let mut columns = COLUMNS;
    // Long addresses (IPv6) are seen whole where there is room.
    columns[0].width = match area.width {
        0..60 => 19,
        60..120 => 21,
        120..150 => 28,
        _ => 47,
    };
    let least = match area.width {
        0..85 => 11,
        85..110 => 16,
        _ => 18,
    };
    place(&columns, area.x + MARGIN, area.width.saturating_sub(MARGIN + 2), least, 28)
}

/// Whether a table of this height has a line of titles: the first rows are worth more.
#[must_use]
pub fn has_header(area: Rect) -> bool {
    area.height >= 4
}

/// How many peers are seen at once in this area.
#[must_use]
pub fn height(area: Rect) -> usize {
    usize::from(area.height.saturating_sub(u16::from(has_header(area))))
}

/// Where the table is that can be walked through.
#[must_use]
pub fn area(r: &Regions) -> Rect {
    r.pane
}

/// Draws the peers tab.
pub fn draw(pen: &mut Pen<'_>, area: Rect, model: &Model, detail: &Detail) {
    if area.is_empty() {
        return;
    }
    let has_keys = model.pane == Pane::Detail && model.tab == Tab::Peers;
    let chosen = model.peer_row(detail);
    let rows = height(area);
    let top = scroll(model.peers_top, chosen, rows, model.peers.len());
    let shown = model.peers.iter().skip(top).take(rows).filter_map(|at| detail.peers.get(*at));
    let chosen = if has_keys { chosen.and_then(|row| row.checked_sub(top)) } else { None };
    table(pen, area, model, shown, chosen);
    if detail.peers.is_empty() {
        let y = area.y + u16::from(has_header(area));
        pen.put(area.x + MARGIN, y, area.width - MARGIN, "no peer is connected", model.theme.dim);
    }
    let header = u16::from(has_header(area));
    let body = Rect { y: area.y + header, height: area.height - header, ..area };
    pen.thumb(body, top, model.peers.len());
}

/// Draws the few peers that move most, where another tab is open.
pub fn busiest(pen: &mut Pen<'_>, area: Rect, model: &Model, detail: &Detail) {
    let mut area = area;
    if area.height >= 5 {
        pen.rule(area, "peers", model.theme.dim);
        area.y += 1;
        area.height -= 1;
    }
    let shown = model.peers.iter().take(height(area)).filter_map(|at| detail.peers.get(*at));
    table(pen, area, model, shown, None);
}

fn table<'a>(
    pen: &mut Pen<'_>,
    area: Rect,
    model: &Model,
    shown: impl Iterator<Item = &'a PeerRow>,
    chosen: Option<usize>,
) {
    let slots = slots(area);
    let mut y = area.y;
    if has_header(area) {
        for slot in &slots {
            let sorted = slot.key.sort() == Some(model.peer_sort);
            let mark = sorted.then_some(model.theme.glyphs.sorted[usize::from(model.peer_reverse)]);
            pen.title(slot, y, mark, if sorted { model.theme.text } else { model.theme.dim });
        }
        y += 1;
    }
    for (line, peer) in shown.enumerate() {
        if chosen == Some(line) {
            pen.restyle(Rect::new(area.x, y, area.width, 1), model.theme.chosen);
            pen.put(area.x + 1, y, 1, ">", model.theme.accent);
        }
        for slot in &slots {
            field(pen, slot, y, peer);
        }
        y += 1;
    }
}

fn field(pen: &mut Pen<'_>, slot: &Slot<Col>, y: u16, peer: &PeerRow) {
    let theme = *pen.theme;
    let right = slot.x + slot.width;
    let busy = peer.down + peer.up > 0;
    let (text, style) = match slot.key {
        Col::Address => (peer.addr.to_string(), if busy { theme.text } else { theme.dim }),
        Col::Client => (short_client(&peer.client, slot.width), if busy { theme.text } else { theme.dim }),
        Col::Flags => (peer.flags.clone(), if peer.snubbed { theme.warn } else { theme.dim }),
        Col::Done => {
            let whole = peer.done >= 1.0;
            let share = (f64::from(peer.done).clamp(0.0, 1.0) * 100_000.0) as u64;
            (crate::ui::text::percent(share, 100_000), if whole { theme.text } else { theme.dim })
        }
        Col::Down => return pen.put_rate(right, y, slot.width, peer.down, theme.down),
        Col::Up => return pen.put_rate(right, y, slot.width, peer.up, theme.up),
        Col::Requests => {
            let none = peer.requests_out + peer.requests_in == 0;
            let text = if none { "-".into() } else { format!("{}/{}", peer.requests_out, peer.requests_in) };
            (text, if none { theme.faint } else { theme.dim })
        }
        Col::Source => (peer.source.word().into(), theme.dim),
        Col::Gives => way(pen, peer.interesting, peer.chokes_us),
        Col::Gets => way(pen, peer.interested, peer.choked),
        Col::Received => return pen.put_number(right, y, slot.width, &nothing(peer.downloaded), theme.dim),
        Col::Sent => return pen.put_number(right, y, slot.width, &nothing(peer.uploaded), theme.dim),
        Col::Age => (time(peer.age), theme.dim),
    };
    pen.put_side(slot.x, y, slot.width, slot.side, &text, style);
}

/// A program's name in `width` cells: first its version is shortened, then its name: `Deluge 2.2`, `Transm 4.1.3`.
fn short_client(client: &str, width: u16) -> String {
    let measured = |text: &str| cells(&clean_within(text, false, width));
    let Some((name, version)) = client.rsplit_once(' ').filter(|(_, v)| v.starts_with(|c: char| c.is_ascii_digit()))
    else {
        return client.to_owned();
    };
    let mut shorter = version;
    loop {
        if measured(name) + 1 + measured(shorter) <= width {
            return format!("{name} {shorter}");
        }
        match shorter.rsplit_once('.') {
            Some((head, _)) => shorter = head,
            None => break,
        }
    }
    let room = width.saturating_sub(measured(version) + 1);
    if room < 4 {
        return client.to_owned();
    }
    let name = clean_within(name, false, room);
    format!("{} {version}", prefix(&name, room).0.trim_end())
}

fn nothing(bytes: u64) -> String {
    if bytes == 0 { "-".into() } else { size(bytes) }
}

/// One way between two peers: whether the one wants and the other lets.
fn way(pen: &Pen<'_>, wants: bool, choked: bool) -> (String, ratatui::style::Style) {
    match (wants, choked) {
        (true, false) => ("yes".into(), pen.theme.text),
        (true, true) => ("choked".into(), pen.theme.dim),
        (false, _) => ("-".into(), pen.theme.faint),
    }
}

#[cfg(test)]
mod tests {
    use super::short_client;

    #[test]
    fn a_client_keeps_what_tells_it_from_others() {
        let table = [
            ("qBittorrent 5.2.3", 17, "qBittorrent 5.2.3"),
            ("Transmission 4.1.3", 12, "Transm 4.1.3"),
            ("Deluge 2.2.0", 11, "Deluge 2.2"),
            ("libtorrent 2.0.11", 12, "libtorrent 2"),
            ("Unknown", 4, "Unknown"),
            ("a-program-without-version 9", 3, "a-program-without-version 9"),
        ];
        for (client, width, shown) in table {
            assert_eq!(short_client(client, width), shown);
        }
    }
}
