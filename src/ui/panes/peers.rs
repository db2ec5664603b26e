//! The peers tab: the table of connected peers, with rates, choke and interest state.

use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::Line;
use ratatui::widgets::{StatefulWidget, TableState};

use crate::api::{Detail, PeerRow, TorrentView};
use crate::ui::keys::context::Tab;
use crate::ui::panes::pane::{Pane, PaneContext, PaneRequest, moved};
use crate::ui::panes::{disconnected, peer_detail};
use crate::ui::state::app::{AppState, Focus};
use crate::ui::state::columns::{PEER_COLUMNS, PeerColumn as Col};
use crate::ui::state::privacy::peer_label;
use crate::ui::text::format::{percent, time};
use crate::ui::text::labels;
use crate::ui::theme::style::Theme;
use crate::ui::widgets::list::first_visible;
use crate::ui::widgets::painter::Painter;
use crate::ui::widgets::table::{self, Column, Columns, DataTable, MARGIN, text};

/// Returns the columns that fit the pane.
pub(crate) fn columns(state: &AppState, area: Rect) -> Columns<Col> {
    let widths = |mut column: Column<Col>| {
        (column.min, column.max) = match (column.key, area.width) {
            // Wide panes show long (IPv6) addresses in full.
            (Col::Address, 60..150) => (21, 21),
            (Col::Address, 150..) => (47, 47),
            (Col::Client, 85..110) => (14, column.max),
            (Col::Client, 110..130) => (13, column.max),
            (Col::Client, 130..) => (18, column.max),
            (Col::Download | Col::Upload, 130..) => (6, 6),
            _ => (column.min, column.max),
        };
        column
    };
    Columns::place(table::chosen(&state.options.peer_columns, PEER_COLUMNS).map(widths), area)
}

/// Returns whether a table of this height has column titles: on a low one, rows matter more.
pub(crate) fn has_header(area: Rect) -> bool {
    area.height >= 4
}

/// Returns the number of peers visible in this area.
pub(crate) fn height(area: Rect) -> usize {
    usize::from(area.height.saturating_sub(u16::from(has_header(area))))
}

/// Returns the area of the peer table: the pane without the lines for disconnected peers.
pub(crate) fn area(pane: Rect, detail: &Detail) -> Rect {
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

/// The peers tab.
pub(crate) struct PeersPane;

impl Pane for PeersPane {
    fn rows(&self, _area: Rect, cx: &PaneContext<'_>) -> usize {
        cx.state.peers.len()
    }

    /// The peers, and those that have left.
    fn lines(&self, _area: Rect, cx: &PaneContext<'_>) -> usize {
        if cx.state.shows_peer_detail() {
            return usize::MAX;
        }
        cx.detail.peers.len() + 1 + if cx.detail.disconnected.is_empty() { 0 } else { cx.detail.disconnected.len() + 2 }
    }

    fn move_by(&self, rows: i64, _area: Rect, cx: &PaneContext<'_>) -> Option<PaneRequest> {
        let last = cx.state.peers.len().checked_sub(1)?;
        let row = match cx.state.peer_row(cx.detail) {
            Some(row) => moved(row, rows, last + 1),
            None if rows < 0 => last,
            None => 0,
        };
        peer_in(row, cx).map(PaneRequest::SelectPeer)
    }

    fn select(&self, row: usize, cx: &PaneContext<'_>) -> Option<PaneRequest> {
        peer_in(row, cx).map(PaneRequest::SelectPeer)
    }

    fn selected(&self, cx: &PaneContext<'_>) -> usize {
        cx.state.peer_row(cx.detail).unwrap_or(0)
    }

    fn texts(&self, cx: &PaneContext<'_>) -> Option<Vec<String>> {
        let peers = cx.state.peers.iter().filter_map(|at| cx.detail.peers.get(*at));
        let text = |peer: &PeerRow| {
            format!("{} {} {}", peer_label(peer.addr, peer.host.as_deref()), peer.client, labels::source(peer.source))
        };
        Some(peers.map(text).collect())
    }

    fn click(&self, at: Position, pane: Rect, cx: &PaneContext<'_>) -> Option<PaneRequest> {
        if cx.state.shows_peer_detail() || cx.state.peers.is_empty() {
            return None;
        }
        let area = area(pane, cx.detail);
        let header = u16::from(has_header(area));
        if at.y < area.y + header {
            return columns(cx.state, area).sort_key_at(at.x).map(PaneRequest::SortPeers);
        }
        let row = cx.state.peers_top + usize::from(at.y - area.y - header);
        peer_in(row, cx).filter(|_| at.y < area.bottom()).map(PaneRequest::SelectPeer)
    }

    fn page(&self, area: Rect) -> usize {
        height(area)
    }

    fn render(&self, pane: Rect, buf: &mut Buffer, cx: &PaneContext<'_>) {
        let (state, detail, theme) = (cx.state, cx.detail, &cx.state.theme);
        if let Some(open) = state.panes.open.filter(|_| state.shows_peer_detail()) {
            return peer_detail::draw(pane, buf, state, open, cx);
        }
        if detail.peers.is_empty() {
            return disconnected::draw_empty(pane, buf, cx);
        }
        let area = area(pane, detail);
        let left = Rect { y: area.bottom(), height: pane.height - area.height, ..pane };
        if left.height > 2 {
            let age = state.age(cx.torrent);
            disconnected::draw(Rect { y: left.y + 1, height: left.height - 1, ..left }, buf, theme, detail, age);
        }
        let chosen = state.peer_row(detail);
        let top = first_visible(state.peers_top, chosen, height(area), state.peers.len());
        let has_keys = state.pane == Focus::Detail && state.tab == Tab::Peers;
        let rows = TableState::new().with_offset(top).with_selected(chosen.filter(|_| has_keys));
        table(area, buf, state, (cx.torrent, detail), state.peers.len(), rows);
    }
}

/// Returns the key of the peer in a row.
fn peer_in(row: usize, cx: &PaneContext<'_>) -> Option<u64> {
    cx.state.peers.get(row).and_then(|at| cx.detail.peers.get(*at)).map(|peer| peer.key)
}

/// Draws the peers with the highest rates, while another tab is active.
pub(crate) fn busiest(mut area: Rect, buf: &mut Buffer, state: &AppState, torrent: &TorrentView, detail: &Detail) {
    let mut pen = Painter { buf, theme: &state.theme };
    if area.height >= 5 {
        pen.rule(area, "peers", state.theme.dim);
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
        pen.put(area.x + MARGIN, area.y, area.width.saturating_sub(MARGIN + 1), &text, state.theme.dim);
        return;
    }
    let most = state.peers.len().min(height(area));
    table(area, buf, state, (torrent, detail), most, TableState::new());
}

/// Draws the table of the first `count` peers.
fn table(
    area: Rect,
    buf: &mut Buffer,
    state: &AppState,
    (torrent, detail): (&TorrentView, &Detail),
    count: usize,
    mut rows: TableState,
) {
    let theme = &state.theme;
    let age = state.age(torrent);
    let cell = |row: usize, key, width| {
        let peer = state.peers.get(row).and_then(|at| detail.peers.get(*at));
        peer.map_or_else(Line::default, |peer| field(key, width, peer, age, theme))
    };
    DataTable::new(theme, &columns(state, area), count, cell)
        .titles(has_header(area))
        .sorted(state.peer_sort, state.peer_reverse)
        .render(area, buf, &mut rows);
}

fn field<'a>(key: Col, width: u16, peer: &'a PeerRow, age: Duration, theme: &Theme) -> Line<'a> {
    let plain = if peer.down + peer.up > 0 { theme.text } else { theme.dim };
    match key {
        Col::Address => text(short_address(peer, width, theme.glyphs.cut), plain),
        Col::Client => text(labels::client(&peer.client, width), plain),
        Col::Flags => text(peer.flags.as_str(), if peer.snubbed { theme.warn } else { theme.dim }),
        Col::Done => {
            let share = (f64::from(peer.done).clamp(0.0, 1.0) * 100_000.0) as u64;
            text(percent(share, 100_000), if peer.done >= 1.0 { theme.text } else { theme.dim })
        }
        Col::Down => table::rate(peer.down, theme.down, theme),
        Col::Up => table::rate(peer.up, theme.up, theme),
        Col::Rate => table::rate(peer.down + peer.up, theme.text, theme),
        Col::Requests if peer.requests_out + peer.requests_in == 0 => text("-", theme.faint),
        Col::Requests => text(format!("{}/{}", peer.requests_out, peer.requests_in), theme.dim),
        Col::Source => text(peer.source.word(), theme.dim),
        Col::Download => way(peer.am_interested, peer.peer_choking, width, theme),
        Col::Upload => way(peer.peer_interested, peer.am_choking, width, theme),
        Col::Received => table::bytes(peer.downloaded, theme.dim, theme),
        Col::Sent => table::bytes(peer.uploaded, theme.dim, theme),
        Col::Age => text(time(peer.age + age), theme.dim),
        Col::Failed if peer.failed == 0 => text("-", theme.faint),
        Col::Failed => text(peer.failed.min(999).to_string(), theme.warn),
    }
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

/// Formats one direction of a connection: interested or not, choked or not.
fn way(wants: bool, choked: bool, width: u16, theme: &Theme) -> Line<'static> {
    match (wants, choked) {
        (true, false) => text("yes", theme.text),
        (true, true) => text(if width < 6 { "choke" } else { "choked" }, theme.dim),
        (false, _) => text("-", theme.faint),
    }
}
