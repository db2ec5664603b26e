//! Disconnected peers with their disconnect reasons, and peer counts by source: drawn when no peer is connected.

use std::borrow::Cow;
use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::{StatefulWidget, TableState};

use crate::api::{Detail, DisconnectedPeer, Source, SourceRow};
use crate::ui::panes::pane::PaneContext;
use crate::ui::state::privacy::peer_label;
use crate::ui::text::format::{grouped, time};
use crate::ui::text::labels;
use crate::ui::theme::style::Theme;
use crate::ui::widgets::painter::Painter;
use crate::ui::widgets::table::{self, Column, Columns, DataTable, MARGIN, text};
use crate::words::status::{source_failure, source_status, tracker_status};

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

/// Draws disconnected peers, the latest first, below a line of column titles. Returns the number of lines used.
pub(crate) fn draw(area: Rect, buf: &mut Buffer, theme: &Theme, detail: &Detail, age: Duration) -> u16 {
    if area.height < 2 || detail.disconnected.is_empty() {
        return 0;
    }
    // The disconnect reason has priority over the byte columns.
    let why = if area.width >= 76 { 30 } else { 12 };
    let columns = [
        Column::left(Col::Address, "Disconnected", 21, 0),
        Column::left(Col::Client, "Client", 14, 4),
        Column::left(Col::Why, "Why", why, 1).up_to(60),
        Column::left(Col::Source, "Src", 4, 5),
        Column::right(Col::Received, "↓", 5, 6),
        Column::right(Col::Sent, "↑", 5, 7),
        Column::right(Col::Stayed, "Online", 6, 3),
        Column::right(Col::Ago, "Ago", 5, 2),
    ];
    let rows = detail.disconnected.len().min(usize::from(area.height) - 1);
    let cell = |row: usize, key, width| {
        let peer = detail.disconnected.iter().nth_back(row);
        peer.map_or_else(Line::default, |peer| field(key, width, peer, age, theme))
    };
    DataTable::new(theme, &Columns::place(columns, area), rows, cell).render(area, buf, &mut TableState::new());
    1 + rows as u16
}

fn field<'a>(key: Col, width: u16, peer: &'a DisconnectedPeer, age: Duration, theme: &Theme) -> Line<'a> {
    let (words, style): (Cow<'a, str>, _) = match key {
        Col::Address => (peer_label(peer.addr, peer.host.as_deref()).into(), theme.dim),
        Col::Client => (labels::client(&peer.client, width).into(), theme.dim),
        Col::Why => (peer.why.to_string().into(), theme.text),
        Col::Source => (peer.source.word().into(), theme.dim),
        Col::Received => return plain_bytes(peer.downloaded, theme),
        Col::Sent => return plain_bytes(peer.uploaded, theme),
        Col::Stayed => (time(peer.connected_for).into(), theme.dim),
        Col::Ago => (time(peer.ago + age).into(), theme.dim),
    };
    text(words, style)
}

fn plain_bytes(bytes: u64, theme: &Theme) -> Line<'static> {
    table::bytes(bytes, if bytes == 0 { theme.faint } else { theme.dim }, theme)
}

/// A column of the peer sources.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum SourceCol {
    Source,
    Known,
    Failed,
    Connected,
    Result,
}

/// Draws the peer sources. Returns the number of lines used.
fn sources(area: Rect, buf: &mut Buffer, theme: &Theme, detail: &Detail) -> u16 {
    let sources = answers(detail);
    if area.height < 2 || sources.is_empty() {
        return 0;
    }
    let columns = [
        Column::left(SourceCol::Source, "Source", 14, 0),
        Column::right(SourceCol::Known, "Known", 6, 1),
        Column::right(SourceCol::Failed, "Failed", 6, 2),
        Column::right(SourceCol::Connected, "Conn", 5, 4),
        Column::left(SourceCol::Result, "Last result", 12, 3).up_to(80),
    ];
    let rows = sources.len().min(usize::from(area.height) - 1);
    let cell = |row: usize, key, _| source_cell(key, &sources[row], theme);
    DataTable::new(theme, &Columns::place(columns, area), rows, cell).render(area, buf, &mut TableState::new());
    1 + rows as u16
}

/// A peer source, and the text of its status.
struct SourceAnswer {
    row: SourceRow,
    status: String,
}

/// Returns one row per peer source; trackers always have a row, with the status of one tracker.
fn answers(detail: &Detail) -> Vec<SourceAnswer> {
    let mut rows = detail.sources.clone();
    let mut tracker_text = None;
    let failing = detail.trackers.iter().find(|row| row.failed);
    if let Some(tracker) = failing.or(detail.trackers.first()) {
        SourceRow::among(&mut rows, Source::Tracker);
        let status = tracker_status(&tracker.status);
        tracker_text = Some(match detail.trackers.len() {
            1 => status,
            _ => format!("{status} ({})", host(&tracker.url)),
        });
    }
    let answer = |row: SourceRow| {
        let of_tracker = (row.source == Source::Tracker).then(|| tracker_text.clone()).flatten();
        SourceAnswer { status: of_tracker.unwrap_or_else(|| source_status(&row.status)), row }
    };
    rows.into_iter().map(answer).collect()
}

/// Returns host and port of a tracker URL.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?']).next().unwrap_or(rest)
}

fn source_cell<'a>(key: SourceCol, answer: &'a SourceAnswer, theme: &Theme) -> Line<'a> {
    let row = &answer.row;
    let (words, style): (Cow<'a, str>, _) = match key {
        SourceCol::Source => (labels::source(row.source).into(), theme.text),
        SourceCol::Known => (grouped(u64::from(row.known)).into(), theme.text),
        SourceCol::Failed => (grouped(u64::from(row.failed)).into(), theme.dim),
        SourceCol::Connected => (grouped(u64::from(row.connected)).into(), theme.text),
        SourceCol::Result => match (&row.last_failure, answer.status.is_empty()) {
            // Why the known addresses failed is more useful than the source's status.
            (Some(why), _) if row.known > 0 => (source_failure(why).into(), theme.dim),
            (_, false) => (answer.status.as_str().into(), theme.dim),
            (Some(why), true) => (source_failure(why).into(), theme.dim),
            (None, true) => ("-".into(), theme.dim),
        },
    };
    let nothing = words == "0" || words == "-";
    text(words, if nothing { theme.faint } else { style })
}

/// Draws the peers tab without connected peers: a sentence, the peer sources, the disconnected peers.
pub(crate) fn draw_empty(area: Rect, buf: &mut Buffer, cx: &PaneContext<'_>) {
    let (theme, view, detail) = (&cx.state.theme, cx.torrent, cx.detail);
    let text = match view.known {
        0 => "no peers connected; none known".to_owned(),
        1 => "no peers connected; 1 known".to_owned(),
        n => format!("no peers connected; {} known", grouped(u64::from(n))),
    };
    Painter { buf, theme }.put(area.x + MARGIN, area.y, area.width - 4, &text, theme.dim);
    let mut rest = Rect { y: area.y + 1, height: area.height - 1, ..area };
    // The sources have priority over disconnected peers, but do not take all lines of a small pane.
    let room = if detail.disconnected.is_empty() { rest.height } else { rest.height.max(4) / 2 + 1 };
    let used = sources(Rect { height: room.min(rest.height), ..rest }, buf, theme, detail);
    rest.y += used;
    rest.height -= used;
    if used > 0 && rest.height > 8 {
        rest.y += 1;
        rest.height -= 1;
    }
    draw(rest, buf, theme, detail, cx.state.age(view));
}
