//! The peers tab: the table of connected peers, with rates, choke and interest state.

use ratatui::layout::Rect;

use crate::api::{Detail, PeerRow, TorrentView};
use crate::ui::keys::context::Tab;
use crate::ui::panes::{disconnected, peer_detail};
use crate::ui::state::app::{AppState, Focus, PeerSort};
use crate::ui::state::privacy::peer_label;
use crate::ui::text::format::{cells, clean_within, prefix, size, time};
use crate::ui::widgets::list::first_visible;
use crate::ui::widgets::painter::{Column, ColumnRect, Painter, Side, layout_columns};

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
    Failed,
}

const fn column(key: Col, title: &'static str, width: u16, side: Side, rank: u8) -> Column<Col> {
    Column { key, title, width, side, rank }
}

const COLUMNS: [Column<Col>; 14] = [
    column(Col::Address, "Address", 21, Side::Left, 0),
    column(Col::Client, "Client", 0, Side::Left, 4),
    column(Col::Flags, "Flags", 6, Side::Left, 5),
    column(Col::Done, "Done", 4, Side::Right, 3),
    column(Col::Down, "↓/s", 5, Side::Right, 1),
    column(Col::Up, "↑/s", 5, Side::Right, 2),
    column(Col::Requests, "Reqs", 6, Side::Right, 6),
    column(Col::Source, "Src", 4, Side::Left, 7),
    column(Col::Gives, "Down", 6, Side::Left, 10),
    column(Col::Gets, "Up", 6, Side::Left, 11),
    column(Col::Received, "↓", 5, Side::Right, 8),
    column(Col::Sent, "↑", 5, Side::Right, 9),
    column(Col::Age, "Age", 5, Side::Right, 12),
    column(Col::Failed, "Bad", 3, Side::Right, 13),
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
            Col::Flags => Some(PeerSort::Flags),
            Col::Requests => Some(PeerSort::Requests),
            Col::Source => Some(PeerSort::Source),
            Col::Gives => Some(PeerSort::Gives),
            Col::Gets => Some(PeerSort::Gets),
            Col::Received => Some(PeerSort::Received),
            Col::Sent => Some(PeerSort::Sent),
            Col::Failed => Some(PeerSort::Failed),
        }
    }
}

/// Returns the sort order of the column title at cell `x`.
#[must_use]
pub fn column_at(area: Rect, x: u16) -> Option<PeerSort> {
    slots(area).iter().find(|slot| x >= slot.x && x <= slot.x + slot.width)?.key.sort()
}

/// Returns the sort orders of the visible columns, and the default order.
#[must_use]
pub fn sorts(area: Rect) -> Vec<PeerSort> {
    std::iter::once(PeerSort::Rate).chain(slots(area).iter().filter_map(|slot| slot.key.sort())).collect()
}

const MARGIN: u16 = 3;

fn slots(area: Rect) -> Vec<ColumnRect<Col>> {
    let mut columns = COLUMNS;
    // Wide panes show long (IPv6) addresses in full.
    columns[0].width = match area.width {
        0..60 => 19,
        60..150 => 21,
        _ => 47,
    };
    let least = match area.width {
        0..85 => 10,
        85..110 => 14,
        110..130 => 13,
        _ => 18,
    };
    if area.width < 130 {
        columns[8].width = 5;
        columns[9].width = 5;
    }
    layout_columns(&columns, area.x + MARGIN, area.width.saturating_sub(MARGIN + 2), least, 28)
}

/// Returns whether a table of this height has column titles: on a low one, rows matter more.
#[must_use]
pub fn has_header(area: Rect) -> bool {
    area.height >= 4
}

/// Returns the number of peers visible in this area.
#[must_use]
pub fn height(area: Rect) -> usize {
    usize::from(area.height.saturating_sub(u16::from(has_header(area))))
}

/// Returns the area of the peer table: the pane without the lines for disconnected peers.
#[must_use]
pub fn area(pane: Rect, detail: &Detail) -> Rect {
    Rect { height: pane.height - left_room(pane, detail), ..pane }
}

/// Returns the number of lines for disconnected peers at the bottom of a large pane: at least a few, or all free ones.
fn left_room(pane: Rect, detail: &Detail) -> u16 {
    if pane.height < 18 || detail.disconnected.is_empty() || detail.peers.is_empty() {
        return 0;
    }
    let lines = u16::try_from(detail.disconnected.len()).unwrap_or(u16::MAX).saturating_add(2);
    let free = usize::from(pane.height).saturating_sub(detail.peers.len() + 1);
    lines.min(u16::try_from(free).unwrap_or(0).max(5))
}

/// Draws the peers tab.
pub fn draw(pen: &mut Painter<'_>, pane: Rect, model: &AppState, view: &TorrentView, detail: &Detail) {
    if pane.is_empty() {
        return;
    }
    if let Some(open) = model.panes.open.filter(|_| model.shows_peer_detail()) {
        return peer_detail::draw(pen, pane, model, open, detail);
    }
    if detail.peers.is_empty() {
        return disconnected::draw_empty(pen, pane, view, detail);
    }
    let area = area(pane, detail);
    let left = Rect { y: area.bottom(), height: pane.height - area.height, ..pane };
    if left.height > 2 {
        disconnected::draw(pen, Rect { y: left.y + 1, height: left.height - 1, ..left }, detail);
    }
    let has_keys = model.pane == Focus::Detail && model.tab == Tab::Peers;
    let chosen = model.peer_row(detail);
    let rows = height(area);
    let top = first_visible(model.peers_top, chosen, rows, model.peers.len());
    let shown = model.peers.iter().skip(top).take(rows).filter_map(|at| detail.peers.get(*at));
    let chosen = if has_keys { chosen.and_then(|row| row.checked_sub(top)) } else { None };
    table(pen, area, model, shown, chosen);
    let header = u16::from(has_header(area));
    let body = Rect { y: area.y + header, height: area.height - header, ..area };
    pen.scrollbar(body, top, model.peers.len());
}

/// Draws the peers with the highest rates, while another tab is active.
pub fn busiest(pen: &mut Painter<'_>, area: Rect, model: &AppState, detail: &Detail) {
    let mut area = area;
    if area.height >= 5 {
        pen.rule(area, "peers", model.theme.dim);
        area.y += 1;
        area.height -= 1;
    }
    if detail.peers.is_empty() {
        let text = match detail.disconnected.last() {
            Some(left) => {
                format!("no peers connected; last was {}: {}", peer_label(left.addr, left.host.as_deref()), left.why)
            }
            None => "no peers connected".to_owned(),
        };
        pen.put(area.x + MARGIN, area.y, area.width.saturating_sub(MARGIN + 1), &text, model.theme.dim);
        return;
    }
    let shown = model.peers.iter().take(height(area)).filter_map(|at| detail.peers.get(*at));
    table(pen, area, model, shown, None);
}

fn table<'a>(
    pen: &mut Painter<'_>,
    area: Rect,
    model: &AppState,
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

fn field(pen: &mut Painter<'_>, slot: &ColumnRect<Col>, y: u16, peer: &PeerRow) {
    let theme = *pen.theme;
    let right = slot.x + slot.width;
    let busy = peer.down + peer.up > 0;
    let (text, style) = match slot.key {
        Col::Address => (short_address(peer, slot.width, theme.glyphs.cut), if busy { theme.text } else { theme.dim }),
        Col::Client => (short_client(&peer.client, slot.width), if busy { theme.text } else { theme.dim }),
        Col::Flags => (peer.flags.clone(), if peer.snubbed { theme.warn } else { theme.dim }),
        Col::Done => {
            let whole = peer.done >= 1.0;
            let share = (f64::from(peer.done).clamp(0.0, 1.0) * 100_000.0) as u64;
            (crate::ui::text::format::percent(share, 100_000), if whole { theme.text } else { theme.dim })
        }
        Col::Down => return pen.put_rate(right, y, slot.width, peer.down, theme.down),
        Col::Up => return pen.put_rate(right, y, slot.width, peer.up, theme.up),
        Col::Requests => {
            let none = peer.requests_out + peer.requests_in == 0;
            let text = if none { "-".into() } else { format!("{}/{}", peer.requests_out, peer.requests_in) };
            (text, if none { theme.faint } else { theme.dim })
        }
        Col::Source => (peer.source.word().into(), theme.dim),
        Col::Gives => way(pen, peer.am_interested, peer.peer_choking, slot.width),
        Col::Gets => way(pen, peer.peer_interested, peer.am_choking, slot.width),
        Col::Received => return pen.put_number(right, y, slot.width, &nothing(peer.downloaded), theme.dim),
        Col::Sent => return pen.put_number(right, y, slot.width, &nothing(peer.uploaded), theme.dim),
        Col::Age => (time(peer.age), theme.dim),
        Col::Failed if peer.failed == 0 => ("-".into(), theme.faint),
        Col::Failed => (peer.failed.min(999).to_string(), theme.warn),
    };
    pen.put_side(slot.x, y, slot.width, slot.side, &text, style);
}

/// Returns the address of a peer. In an IPv6 address or web seed host longer than `width` characters, the middle is
/// left out: the end, with the port, distinguishes peers.
fn short_address(peer: &PeerRow, width: u16, cut: char) -> String {
    let text = peer_label(peer.addr, peer.host.as_deref());
    let width = usize::from(width);
    if text.len() <= width || (peer.addr.is_ipv4() && peer.host.is_none()) || !text.is_ascii() || width < 12 {
        return text;
    }
    let tail = (width - 1) * 3 / 5;
    format!("{}{cut}{}", &text[..width - 1 - tail], &text[text.len() - tail..])
}

/// Shortens a client name to `width` cells, first the version, then the name: `Deluge 2.2`, `Transm 4.1.3`.
#[must_use]
pub fn short_client(client: &str, width: u16) -> String {
    let measured = |text: &str| cells(&clean_within(text, false, width));
    // Some clients separate name and version by a slash, as in HTTP: `libtorrent/2.0.11`.
    let Some((name, version)) =
        client.rsplit_once([' ', '/']).filter(|(_, v)| v.starts_with(|c: char| c.is_ascii_digit()))
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
    if room >= 4 {
        let name = clean_within(name, false, room);
        return format!("{} {version}", prefix(&name, room).0.trim_end());
    }
    // A complete name is more useful than a name that is cut before its version.
    if measured(name) <= width { name.to_owned() } else { client.to_owned() }
}

fn nothing(bytes: u64) -> String {
    if bytes == 0 { "-".into() } else { size(bytes) }
}

/// Formats one direction of a connection: interested or not, choked or not.
fn way(pen: &Painter<'_>, wants: bool, choked: bool, width: u16) -> (String, ratatui::style::Style) {
    match (wants, choked) {
        (true, false) => ("yes".into(), pen.theme.text),
        (true, true) => (if width < 6 { "choke" } else { "choked" }.into(), pen.theme.dim),
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
            ("libtorrent 2.0.11", 10, "libtorrent"),
            ("libtorrent/2.0.11.0", 10, "libtorrent"),
            ("libtorrent/2.0.11.0", 17, "libtorrent 2.0.11"),
            ("Unknown", 4, "Unknown"),
            ("a-program-without-version 9", 3, "a-program-without-version 9"),
        ];
        for (client, width, shown) in table {
            assert_eq!(short_client(client, width), shown);
        }
    }
}
