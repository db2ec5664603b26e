//! Disconnected peers with their disconnect reasons, and peer counts by source: drawn when no peer is connected.

use ratatui::layout::Rect;

use crate::api::{Detail, DisconnectedPeer, Source, SourceRow, TorrentView};
use crate::ui::state::privacy::peer_label;
use crate::ui::text::format::{grouped, size, time};
use crate::ui::widgets::painter::{Column, ColumnRect, Painter, Side, layout_columns};

/// Returns the label of a peer source.
#[must_use]
pub const fn source_label(source: Source) -> &'static str {
    match source {
        Source::Manual => "manual",
        Source::Incoming => "incoming",
        Source::Lan => "local network",
        Source::Tracker => "trackers",
        Source::Link => "magnet link",
        Source::Pex => "peer exchange",
        Source::Dht => "DHT",
        Source::Resume => "resume data",
        Source::Web => "web seeds",
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Col {
    Address,
    Client,
    Why,
    Source,
    Received,
    Sent,
    Stayed,
    Ago,
}

const fn column(key: Col, title: &'static str, width: u16, side: Side, rank: u8) -> Column<Col> {
    Column { key, title, width, side, rank }
}

const COLUMNS: [Column<Col>; 8] = [
    column(Col::Address, "Disconnected", 21, Side::Left, 0),
    column(Col::Client, "Client", 14, Side::Left, 4),
    column(Col::Why, "Why", 0, Side::Left, 1),
    column(Col::Source, "Src", 4, Side::Left, 5),
    column(Col::Received, "↓", 5, Side::Right, 6),
    column(Col::Sent, "↑", 5, Side::Right, 7),
    column(Col::Stayed, "Online", 6, Side::Right, 3),
    column(Col::Ago, "Ago", 5, Side::Right, 2),
];

/// Draws disconnected peers, the latest first, below a line of column titles. Returns the number of lines used.
pub fn draw(pen: &mut Painter<'_>, area: Rect, detail: &Detail) -> u16 {
    if area.height < 2 || detail.disconnected.is_empty() {
        return 0;
    }
    let theme = *pen.theme;
    // The disconnect reason has priority over the byte columns.
    let least = if area.width >= 76 { 30 } else { 12 };
    let slots = layout_columns(&COLUMNS, area.x + 3, area.width.saturating_sub(5), least, 60);
    for slot in &slots {
        pen.title(slot, area.y, None, theme.dim);
    }
    let mut used = 1;
    for (y, peer) in (area.y + 1..area.bottom()).zip(detail.disconnected.iter().rev()) {
        for slot in &slots {
            field(pen, slot, y, peer);
        }
        used += 1;
    }
    used
}

fn field(pen: &mut Painter<'_>, slot: &ColumnRect<Col>, y: u16, peer: &DisconnectedPeer) {
    let theme = *pen.theme;
    let bytes = |bytes: u64| if bytes == 0 { "-".to_owned() } else { size(bytes) };
    let text = match slot.key {
        Col::Address => peer_label(peer.addr, peer.host.as_deref()),
        Col::Client => crate::ui::panes::peers::short_client(&peer.client, slot.width),
        Col::Why => peer.why.clone(),
        Col::Source => peer.source.word().into(),
        Col::Received => bytes(peer.downloaded),
        Col::Sent => bytes(peer.uploaded),
        Col::Stayed => time(peer.connected_for),
        Col::Ago => time(peer.ago),
    };
    let style = match slot.key {
        Col::Why => theme.text,
        _ if text == "-" => theme.faint,
        _ => theme.dim,
    };
    pen.put_side(slot.x, y, slot.width, slot.side, &text, style);
}

/// Draws the peer sources. Returns the number of lines used.
pub fn sources(pen: &mut Painter<'_>, area: Rect, detail: &Detail) -> u16 {
    let rows = answers(detail);
    if area.height < 2 || rows.is_empty() {
        return 0;
    }
    let theme = *pen.theme;
    let columns = [
        Column { key: 0_u8, title: "Source", width: 14, side: Side::Left, rank: 0 },
        Column { key: 1, title: "Known", width: 6, side: Side::Right, rank: 1 },
        Column { key: 2, title: "Failed", width: 6, side: Side::Right, rank: 2 },
        Column { key: 3, title: "Conn", width: 5, side: Side::Right, rank: 4 },
        Column { key: 4, title: "Last result", width: 0, side: Side::Left, rank: 3 },
    ];
    let slots = layout_columns(&columns, area.x + 3, area.width.saturating_sub(5), 12, 80);
    for slot in &slots {
        pen.title(slot, area.y, None, theme.dim);
    }
    let mut used = 1;
    for (y, row) in (area.y + 1..area.bottom()).zip(&rows) {
        for slot in &slots {
            let (text, style) = source_field(slot.key, row);
            let style = match style {
                _ if text == "0" || text == "-" => theme.faint,
                true => theme.text,
                false => theme.dim,
            };
            pen.put_side(slot.x, y, slot.width, slot.side, &text, style);
        }
        used += 1;
    }
    used
}

/// Returns one row per peer source; trackers always have a row, with the status of one tracker.
fn answers(detail: &Detail) -> Vec<SourceRow> {
    let mut rows = detail.sources.clone();
    let failing = detail.trackers.iter().find(|row| row.failed);
    if let Some(tracker) = failing.or(detail.trackers.first()) {
        let row = SourceRow::among(&mut rows, Source::Tracker);
        row.status = match detail.trackers.len() {
            1 => tracker.status.clone(),
            _ => format!("{} ({})", tracker.status, host(&tracker.url)),
        };
    }
    rows
}

/// Returns host and port of a tracker URL.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?']).next().unwrap_or(rest)
}

/// Returns the text of a field, and whether the field is emphasized.
fn source_field(key: u8, row: &SourceRow) -> (String, bool) {
    match key {
        0 => (source_label(row.source).into(), true),
        1 => (grouped(u64::from(row.known)), true),
        2 => (grouped(u64::from(row.failed)), false),
        3 => (grouped(u64::from(row.connected)), true),
        _ => match (&row.last_failure, row.status.is_empty()) {
            // Why the known addresses failed is more useful than the source's status.
            (Some(why), _) if row.known > 0 => (why.clone(), false),
            (_, false) => (row.status.clone(), false),
            (Some(why), true) => (why.clone(), false),
            (None, true) => ("-".into(), false),
        },
    }
}

/// Draws the peers tab without connected peers: a sentence, the peer sources, the disconnected peers.
pub fn draw_empty(pen: &mut Painter<'_>, area: Rect, view: &TorrentView, detail: &Detail) {
    if area.is_empty() {
        return;
    }
    let text = match view.known {
        0 => "no peers connected; none known".to_owned(),
        1 => "no peers connected; 1 known".to_owned(),
        n => format!("no peers connected; {} known", grouped(u64::from(n))),
    };
    pen.put(area.x + 3, area.y, area.width - 4, &text, pen.theme.dim);
    let mut rest = Rect { y: area.y + 1, height: area.height - 1, ..area };
    // The sources have priority over disconnected peers, but do not take all lines of a small pane.
    let room = if detail.disconnected.is_empty() { rest.height } else { rest.height.max(4) / 2 + 1 };
    let used = sources(pen, Rect { height: room.min(rest.height), ..rest }, detail);
    rest.y += used;
    rest.height -= used;
    if used > 0 && rest.height > 8 {
        rest.y += 1;
        rest.height -= 1;
    }
    draw(pen, rest, detail);
}
