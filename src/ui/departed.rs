//! Who left and why, and what each way of finding peers has brought: what there is to say where nobody is connected.

use ratatui::layout::Rect;

use crate::api::{Departed, Detail, Source, SourceRow, TorrentView};
use crate::ui::hide::called;
use crate::ui::pen::{Column, Pen, Side, Slot, place};
use crate::ui::text::{grouped, size, time};

/// A source in words.
#[must_use]
pub const fn source_words(source: Source) -> &'static str {
    match source {
        Source::Manual => "given by you",
        Source::Incoming => "they called us",
        Source::Lan => "local network",
        Source::Tracker => "trackers",
        Source::Link => "magnet link",
        Source::Pex => "peer exchange",
        Source::Dht => "DHT",
        Source::Resume => "known of old",
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
    column(Col::Address, "Left", 21, Side::Left, 0),
    column(Col::Client, "Client", 14, Side::Left, 4),
    column(Col::Why, "Why", 0, Side::Left, 1),
    column(Col::Source, "Src", 4, Side::Left, 5),
    column(Col::Received, "↓", 5, Side::Right, 6),
    column(Col::Sent, "↑", 5, Side::Right, 7),
    column(Col::Stayed, "Stayed", 6, Side::Right, 3),
    column(Col::Ago, "Ago", 5, Side::Right, 2),
];

/// Draws peers that left, the last one first, below a line of titles. Returns the lines used.
pub fn draw(pen: &mut Pen<'_>, area: Rect, detail: &Detail) -> u16 {
    if area.height < 2 || detail.departed.is_empty() {
        return 0;
    }
    let theme = *pen.theme;
    // Why is what is asked: it has its room before the bytes.
    let least = if area.width >= 76 { 30 } else { 12 };
    let slots = place(&COLUMNS, area.x + 3, area.width.saturating_sub(5), least, 60);
    for slot in &slots {
        pen.title(slot, area.y, None, theme.dim);
    }
    let mut used = 1;
    for (y, peer) in (area.y + 1..area.bottom()).zip(detail.departed.iter().rev()) {
        for slot in &slots {
            field(pen, slot, y, peer);
        }
        used += 1;
    }
    used
}

fn field(pen: &mut Pen<'_>, slot: &Slot<Col>, y: u16, peer: &Departed) {
    let theme = *pen.theme;
    let bytes = |bytes: u64| if bytes == 0 { "-".to_owned() } else { size(bytes) };
    let text = match slot.key {
        Col::Address => called(peer.addr, peer.host.as_deref()),
        Col::Client => super::peers::short_client(&peer.client, slot.width),
        Col::Why => peer.why.clone(),
        Col::Source => peer.source.word().into(),
        Col::Received => bytes(peer.downloaded),
        Col::Sent => bytes(peer.uploaded),
        Col::Stayed => time(peer.stayed),
        Col::Ago => time(peer.ago),
    };
    let style = match slot.key {
        Col::Why => theme.text,
        _ if text == "-" => theme.faint,
        _ => theme.dim,
    };
    pen.put_side(slot.x, y, slot.width, slot.side, &text, style);
}

/// Draws what each source has brought. Returns the lines used.
pub fn sources(pen: &mut Pen<'_>, area: Rect, detail: &Detail) -> u16 {
    let rows = answers(detail);
    if area.height < 2 || rows.is_empty() {
        return 0;
    }
    let theme = *pen.theme;
    let columns = [
        Column { key: 0_u8, title: "Source", width: 14, side: Side::Left, rank: 0 },
        Column { key: 1, title: "Known", width: 6, side: Side::Right, rank: 1 },
        Column { key: 2, title: "Failed", width: 6, side: Side::Right, rank: 2 },
        Column { key: 3, title: "Here", width: 5, side: Side::Right, rank: 4 },
        Column { key: 4, title: "Last answer", width: 0, side: Side::Left, rank: 3 },
    ];
    let slots = place(&columns, area.x + 3, area.width.saturating_sub(5), 12, 80);
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

/// What each source has brought; the trackers with what they say, also before any of them has told of anybody.
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

/// The host and port of a tracker's address.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?']).next().unwrap_or(rest)
}

/// The text of a field, and whether it is to be read first.
fn source_field(key: u8, row: &SourceRow) -> (String, bool) {
    match key {
        0 => (source_words(row.source).into(), true),
        1 => (grouped(u64::from(row.known)), true),
        2 => (grouped(u64::from(row.failed)), false),
        3 => (grouped(u64::from(row.connected)), true),
        _ => match (&row.last_failure, row.status.is_empty()) {
            // Why the addresses were of no use says more than that there were some.
            (Some(why), _) if row.known > 0 => (why.clone(), false),
            (_, false) => (row.status.clone(), false),
            (Some(why), true) => (why.clone(), false),
            (None, true) => ("-".into(), false),
        },
    }
}

/// Draws what there is to say where nobody is connected: a sentence, the sources, who left.
pub fn nobody(pen: &mut Pen<'_>, area: Rect, view: &TorrentView, detail: &Detail) {
    if area.is_empty() {
        return;
    }
    let text = match view.known {
        0 => "no peer is connected, and no address is known".to_owned(),
        1 => "no peer is connected; one address is known".to_owned(),
        n => format!("no peer is connected; {} addresses are known", grouped(u64::from(n))),
    };
    pen.put(area.x + 3, area.y, area.width - 4, &text, pen.theme.dim);
    let mut rest = Rect { y: area.y + 1, height: area.height - 1, ..area };
    // The sources say more than the last one that left, but not all of a small pane is theirs.
    let room = if detail.departed.is_empty() { rest.height } else { rest.height.max(4) / 2 + 1 };
    let used = sources(pen, Rect { height: room.min(rest.height), ..rest }, detail);
    rest.y += used;
    rest.height -= used;
    if used > 0 && rest.height > 8 {
        rest.y += 1;
        rest.height -= 1;
    }
    draw(pen, rest, detail);
}
