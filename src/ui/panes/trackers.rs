//! The trackers tab: status, peer counts and next announce of each tracker; below, the other peer sources (DHT, PEX,
//! LSD).

use std::borrow::Cow;
use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::Line;
use ratatui::widgets::{Paragraph, StatefulWidget, TableState, Widget};

use crate::api::{Detail, SourceRow, SourceStatus, TrackerRow};
use crate::ui::panes::pane::{Pane, PaneContext, PaneRequest, clicked_row};
use crate::ui::text::format::{cells, grouped, time, wrap};
use crate::ui::text::labels;
use crate::ui::theme::style::Theme;
use crate::ui::widgets::painter::{Painter, fit};
use crate::ui::widgets::table::{Column, Columns, DataTable, MARGIN, or_faint};
use crate::words::status::{source_status, tracker_status};

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

fn columns(area: Rect) -> Columns<Col> {
    let message = if area.width >= 120 { 28 } else { 14 };
    let columns = [
        Column::right(Col::Tier, "Tier", 4, 6),
        Column::left(Col::Address, "Tracker", (area.width * 2 / 5).min(56), 1),
        Column::left(Col::Says, "Message", message, 0).up_to(120),
        Column::right(Col::Seeds, "Seeds", 6, 4),
        Column::right(Col::Leechers, "Leech", 6, 5),
        Column::right(Col::Completed, "Done", 6, 8),
        Column::right(Col::Peers, "Peers", 5, 3),
        Column::right(Col::Last, "Last", 5, 7),
        Column::right(Col::Next, "Next", 5, 2),
    ];
    Columns::place(columns, area)
}

/// Returns the peer sources other than trackers that have a status.
fn asked(detail: &Detail) -> impl Iterator<Item = &SourceRow> {
    detail.sources.iter().filter(|row| row.status != SourceStatus::NotQueried)
}

/// Returns the number of rows.
pub(crate) fn len(detail: &Detail) -> usize {
    detail.trackers.len() + asked(detail).count()
}

/// The trackers tab.
pub(crate) struct TrackersPane;

impl Pane for TrackersPane {
    fn rows(&self, _area: Rect, cx: &PaneContext<'_>) -> usize {
        len(cx.detail)
    }

    fn lines(&self, _area: Rect, cx: &PaneContext<'_>) -> usize {
        // A message that is cut is read below the list.
        len(cx.detail) + 4
    }

    fn texts(&self, cx: &PaneContext<'_>) -> Option<Vec<String>> {
        let rows = (0..len(cx.detail)).filter_map(|row| row_of(cx.detail, row));
        Some(rows.map(|row| format!("{} {}", row.name(), row.status())).collect())
    }

    fn click(&self, at: Position, area: Rect, cx: &PaneContext<'_>) -> Option<PaneRequest> {
        let count = len(cx.detail);
        clicked_row(at, area, count, cx).filter(|row| *row < count).map(PaneRequest::SelectRow)
    }

    fn render(&self, area: Rect, buf: &mut Buffer, cx: &PaneContext<'_>) {
        let (theme, detail) = (&cx.state.theme, cx.detail);
        let columns = columns(area);
        let count = len(detail);
        let age = cx.state.age(cx.torrent);
        let cell = |row: usize, key, _| match row_of(detail, row) {
            Some(TableRow::Tracker(row)) => tracker_cell(key, row, age, theme),
            Some(TableRow::Source(row)) => source_cell(key, row, age, theme),
            None => Line::default(),
        };
        let mut body = Rect { y: area.y + 1, height: area.height - 1, ..area };
        DataTable::new(theme, &columns, 0, cell).render(Rect { height: 1, ..area }, buf, &mut TableState::new());
        if detail.trackers.is_empty() && !body.is_empty() {
            let mut pen = Painter { buf, theme };
            pen.put(body.x + MARGIN, body.y, body.width - 4, "this torrent has no trackers", theme.dim);
            body = Rect { y: body.y + 1, height: body.height - 1, ..body };
        }
        if let Some(row) = cx.focused_row(count) {
            body.height -= full_message(body, buf, &columns, row, cx);
        }
        let mut rows = cx.table_state(body.height, count);
        DataTable::new(theme, &columns, count, cell).titles(false).render(body, buf, &mut rows);
    }
}

/// Draws a message that its column cuts in full below the list, if there is room. Returns the number of lines used.
fn full_message(area: Rect, buf: &mut Buffer, columns: &Columns<Col>, row: usize, cx: &PaneContext<'_>) -> u16 {
    let count = len(cx.detail);
    let Some(row) = row_of(cx.detail, row) else { return 0 };
    let (name, says) = (row.name(), row.status());
    let width = columns.iter().find(|placed| placed.column.key == Col::Says).map_or(0, |placed| placed.width);
    let room = usize::from(area.height).saturating_sub(count + 1);
    if room == 0 || cells(&says) <= width {
        return 0;
    }
    let mut lines = wrap(&format!("{name}: {says}"), area.width.saturating_sub(6));
    lines.truncate(room.min(4));
    let height = lines.len() as u16;
    let below = Rect { x: area.x + MARGIN, y: area.bottom() - height, width: area.width.saturating_sub(4), height };
    let lines: Vec<Line<'_>> =
        lines.into_iter().map(|line| fit(Line::from(line), below.width, &cx.state.theme)).collect();
    Paragraph::new(lines).style(cx.state.theme.dim).render(below, buf);
    height
}

/// A row of the table.
enum TableRow<'a> {
    Tracker(&'a TrackerRow),
    Source(&'a SourceRow),
}

impl TableRow<'_> {
    fn name(&self) -> &str {
        match self {
            TableRow::Tracker(row) => &row.url,
            TableRow::Source(row) => labels::source(row.source),
        }
    }

    fn status(&self) -> String {
        match self {
            TableRow::Tracker(row) => tracker_status(&row.status),
            TableRow::Source(row) => source_status(&row.status),
        }
    }
}

fn row_of(detail: &Detail, row: usize) -> Option<TableRow<'_>> {
    match detail.trackers.get(row) {
        Some(row) => Some(TableRow::Tracker(row)),
        None => asked(detail).nth(row - detail.trackers.len()).map(TableRow::Source),
    }
}

fn source_cell<'a>(key: Col, row: &'a SourceRow, age: Duration, theme: &Theme) -> Line<'a> {
    let (text, style): (Cow<'a, str>, _) = match key {
        Col::Tier | Col::Seeds | Col::Leechers | Col::Completed => ("-".into(), theme.dim),
        Col::Address => (labels::source(row.source).into(), theme.text),
        Col::Says => (source_status(&row.status).into(), theme.text),
        Col::Peers => (grouped(u64::from(row.known)).into(), theme.text),
        Col::Last => (moment(row.last.map(|last| last + age)).into(), theme.dim),
        Col::Next => (moment(row.next.map(|next| next.saturating_sub(age))).into(), theme.dim),
    };
    or_faint(text, style, theme)
}

fn tracker_cell<'a>(key: Col, row: &'a TrackerRow, age: Duration, theme: &Theme) -> Line<'a> {
    let number = |n: Option<u32>| n.map_or_else(|| "-".to_owned(), |n| grouped(u64::from(n)));
    let (text, style): (Cow<'a, str>, _) = match key {
        Col::Tier => ((row.tier + 1).to_string().into(), theme.dim),
        Col::Address => (row.url.as_str().into(), theme.text),
        Col::Says => (tracker_status(&row.status).into(), if row.failed { theme.bad } else { theme.text }),
        Col::Seeds => (number(row.seeds).into(), theme.text),
        Col::Leechers => (number(row.leechers).into(), theme.text),
        Col::Completed => (number(row.completed).into(), theme.dim),
        Col::Peers => (number(row.peers).into(), theme.text),
        Col::Last => (moment(row.last.map(|last| last + age)).into(), theme.dim),
        Col::Next => (moment(row.next.map(|next| next.saturating_sub(age))).into(), theme.dim),
    };
    or_faint(text, style, theme)
}

fn moment(time_left: Option<Duration>) -> String {
    time_left.map_or_else(|| "-".to_owned(), time)
}
