//! The detail view of one peer: identity, transfer statistics, choke and interest state, timeline.

use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::widgets::Widget;

use crate::api::{PeerDetail, PeerRow};
use crate::ui::keys::action::{Action, PeerAction};
use crate::ui::panes::pane::PaneContext;
use crate::ui::state::app::AppState;
use crate::ui::state::detail::OpenPeer;
use crate::ui::state::privacy::{address, peer_label};
use crate::ui::text::format::{counted, grouped, percent, rate_long, size_long, time};
use crate::ui::text::labels;
use crate::ui::widgets::key_values::{Arrangement, KeyValues, Pair};
use crate::ui::widgets::painter::Painter;
use crate::words::peer as words;

/// Draws the detail view into the pane.
pub(crate) fn draw(area: Rect, buf: &mut Buffer, state: &AppState, open: OpenPeer, cx: &PaneContext<'_>) {
    let (detail, age) = (cx.detail, state.age(cx.torrent));
    let theme = &state.theme;
    let mut pen = Painter { buf, theme };
    let Some(row) = detail.peers.iter().find(|row| row.key == open.key) else {
        return draw_disconnected(&mut pen, area, state, open, cx);
    };
    let x = pen.put(area.x + 1, area.y, area.width - 2, &peer_label(row.addr, row.host.as_deref()), theme.strong) + 2;
    let x = pen.put(x, area.y, area.right().saturating_sub(x + 1), &row.client, theme.text) + 2;
    pen.put(x, area.y, area.right().saturating_sub(x + 1), &row.flags, theme.dim);
    close_hint(&mut pen, area, state);
    let detail = detail.peer.as_ref().filter(|peer| peer.key == open.key);
    let pairs = pairs(row, detail, age);
    let columns = match area.width {
        0..70 => 1,
        70..150 => 2,
        _ => 3,
    };
    // Reserves a third of the lines for the timeline.
    let room = area.height.saturating_sub(1);
    let most = if detail.is_some() { room.saturating_sub(room / 3) } else { room };
    let lines = (pairs.len().div_ceil(columns) as u16).min(most);
    let grid = Rect { y: area.y + 1, height: lines, ..area };
    KeyValues { pairs: &pairs, theme, arrangement: Arrangement::Grid { columns, top: 0 } }.render(grid, pen.buf);
    if let Some(peer) = detail {
        let used = 1 + lines;
        let below = Rect { y: area.y + used, height: area.height.saturating_sub(used), ..area };
        let stamp = |when| state.moment((row.age + age).saturating_sub(when), false);
        timeline(&mut pen, below, peer, &row.client, stamp);
    }
}

fn close_hint(pen: &mut Painter<'_>, area: Rect, state: &AppState) {
    let hint = format!("[{}] list", state.keymap.shown(Action::Peer(PeerAction::Open)));
    if area.width >= 76 {
        pen.put_right(area.right() - 1, area.y, 14, &hint, pen.theme.dim);
    }
}

/// Returns labels and values, the most important first.
fn pairs<'a>(row: &PeerRow, peer: Option<&'a PeerDetail>, age: Duration) -> Vec<Pair<'a>> {
    let from_it = match (row.am_interested, row.peer_choking) {
        (true, true) => "interested, choked",
        (true, false) => "interested, unchoked",
        (false, _) => "not interested",
    };
    let to_it = match (row.peer_interested, row.am_choking) {
        (true, true) => "peer interested, choked",
        (true, false) => "peer interested, unchoked",
        (false, _) => "peer not interested",
    };
    let share = |share: f32| percent((f64::from(share.clamp(0.0, 1.0)) * 1000.0) as u64, 1000);
    let mut pairs = vec![
        Pair::new("Received", format!("{}, {} total", rate_long(row.down), size_long(row.downloaded))),
        Pair::new("Sent", format!("{}, {} total", rate_long(row.up), size_long(row.uploaded))),
        Pair::new("Download", from_it),
        Pair::new("Upload", to_it),
        Pair::new("Has", share(row.done)),
        Pair::new("Requests", format!("{} sent, {} received", row.requests_out, row.requests_in)),
        Pair::new("Connected", format!("for {}", time(row.age + age))),
        Pair::new("Source", labels::source(row.source)),
    ];
    let failed = peer.map_or(row.failed, |peer| peer.failed.max(row.failed));
    let Some(peer) = peer else {
        pairs.push(Pair::new("Failed", blocks(failed)));
        return pairs;
    };
    pairs[4].value = match peer.wanted {
        0 => format!("{}, nothing we need", share(row.done)).into(),
        n => format!("{}, {} we need", share(row.done), counted(u64::from(n), "piece")).into(),
    };
    pairs.extend([
        Pair::new("Choking us", format!("{} of the time", share(peer.choked_us))),
        Pair::new("We choke", format!("{} of the time", share(peer.choked_it))),
        Pair::new(
            "Pipeline",
            format!("{}, peer's limit {}", counted(u64::from(peer.pipeline), "request"), grouped(u64::from(peer.reqq))),
        ),
        Pair::new("Failed", blocks(failed)),
        Pair::new("Transport", words::transport(peer.transport)),
        Pair::new("Supports", words::capabilities(&peer.capabilities)),
        Pair::new("Peer id", peer.peer_id.as_str()),
    ]);
    pairs
}

fn blocks(failed: u32) -> String {
    match failed {
        0 => "no bad blocks".into(),
        1 => "1 block in a bad piece".into(),
        n => format!("{} blocks in bad pieces", grouped(u64::from(n))),
    }
}

/// Draws the timeline of the connection, the newest event at the bottom.
fn timeline(pen: &mut Painter<'_>, area: Rect, peer: &PeerDetail, client: &str, stamp: impl Fn(Duration) -> String) {
    if area.height == 0 {
        return;
    }
    let theme = *pen.theme;
    let mut body = area;
    if area.height >= 4 {
        pen.rule(Rect { height: 1, ..area }, "timeline", theme.dim);
        body.y += 1;
        body.height -= 1;
    }
    let from = peer.timeline.len().saturating_sub(usize::from(body.height));
    for (y, entry) in (body.y..body.bottom()).zip(&peer.timeline[from..]) {
        let sentence = words::event(entry.event, client);
        pen.put_right(body.x + 10, y, 9, &stamp(entry.at), theme.faint);
        pen.put(body.x + 12, y, body.width.saturating_sub(13), &sentence, theme.text);
    }
}

/// Draws the view of a peer that disconnected while its detail view was open.
fn draw_disconnected(pen: &mut Painter<'_>, area: Rect, state: &AppState, open: OpenPeer, cx: &PaneContext<'_>) {
    let theme = *pen.theme;
    // In privacy mode the address is a placeholder, and those of disconnected peers are masked alike.
    let left = cx.detail.disconnected.iter().rev().find(|peer| peer.addr == open.addr);
    let name = match (left, state.panes.hidden.on()) {
        (Some(left), _) => peer_label(left.addr, left.host.as_deref()),
        (None, true) => "this peer".to_owned(),
        (None, false) => address(open.addr),
    };
    let x = pen.put(area.x + 1, area.y, area.width - 2, &name, theme.strong) + 2;
    pen.put(x, area.y, area.right().saturating_sub(x + 1), "disconnected", theme.warn);
    close_hint(pen, area, state);
    if let Some(left) = left
        && area.height > 1
    {
        let text =
            format!("{} ago, after {}: {}", time(left.ago + state.age(cx.torrent)), time(left.connected_for), left.why);
        pen.put(area.x + 1, area.y + 1, area.width - 2, &text, theme.text);
        let bytes = format!("{} received, {} sent", size_long(left.downloaded), size_long(left.uploaded));
        if area.height > 2 {
            pen.put(area.x + 1, area.y + 2, area.width - 2, &bytes, theme.dim);
        }
    }
}
