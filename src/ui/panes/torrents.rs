//! The torrent list: name, progress, rates, peers and state of each torrent.

use std::borrow::Cow;

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Line;
use ratatui::widgets::{StatefulWidget, TableState};

use crate::api::{Priority, Snapshot, State, TorrentView};
use crate::ui::state::app::{AppState, Focus};
use crate::ui::state::columns::{TORRENT_COLUMNS, TorrentColumn as Col};
use crate::ui::state::detail::StateFilter;
use crate::ui::state::layout::Regions;
use crate::ui::text::format::{cells, eta, percent, rate, ratio, size, time};
use crate::ui::text::labels;
use crate::ui::theme::style::Theme;
use crate::ui::widgets::list::first_visible;
use crate::ui::widgets::painter::Painter;
use crate::ui::widgets::table::{self, Column, Columns, DataTable, MARGIN, or_faint, text};

/// Returns the columns that fit the list.
pub(crate) fn columns(state: &AppState, area: Rect) -> Columns<Col> {
    let limited = |direction: bool, rank: u8| if direction { 4 } else { rank };
    let widths = |mut column: Column<Col>| {
        match column.key {
            // A long name is worth more than the columns of the highest ranks.
            Col::Name if area.width >= 70 => {
                column.min = state.longest_name.clamp(20, 20 + area.width.saturating_sub(76) / 2);
                column.max = area.width;
            }
            // A limit that is set is seen.
            Col::DownLimit => column.rank = limited(state.limited.0, column.rank),
            Col::UpLimit => column.rank = limited(state.limited.1, column.rank),
            _ => {}
        }
        column
    };
    Columns::place(table::chosen(&state.options.torrent_columns, TORRENT_COLUMNS).map(widths), area)
}

/// Returns the number of torrents visible at once.
pub(crate) fn height(r: &Regions) -> usize {
    usize::from(r.list.height.saturating_sub(1))
}

/// Draws the torrent list.
pub(crate) fn draw(pen: &mut Painter<'_>, r: &Regions, state: &AppState, snapshot: &Snapshot) {
    let area = r.list;
    if area.is_empty() {
        return;
    }
    let theme = pen.theme;
    let columns = columns(state, area);
    let has_keys = state.pane == Focus::List;
    let rows = height(r);
    let chosen = state.row(snapshot);
    let top = first_visible(state.top, chosen, rows, state.rows.len());
    let cell = |row: usize, key, width| {
        let torrent = state.rows.get(row).and_then(|at| Some((*at, snapshot.torrents.get(*at)?)));
        torrent.map_or_else(Line::default, |(at, (_, view))| field(key, width, at, view, chosen == Some(row), theme))
    };
    DataTable::new(theme, &columns, state.rows.len(), cell)
        .sorted(state.sort, state.reverse)
        .strong(has_keys.then_some(Col::Name))
        .marker(if has_keys { theme.accent } else { theme.dim })
        .render(area, pen.buf, &mut TableState::new().with_offset(top).with_selected(chosen));
    filters(pen, filter_area(state, area), state, snapshot);
    for (y, at) in (area.y + 1..area.bottom()).zip(state.rows.iter().skip(top)) {
        if snapshot.torrents.get(*at).is_some_and(|(id, _)| state.panes.marks.contains(id)) {
            pen.fill(area.x, y, 1, if theme.ascii { '*' } else { '●' }, theme.accent);
        }
    }
    if state.rows.is_empty() {
        let text = match (state.filter.is_empty(), state.panes.only) {
            (true, only) => format!("no torrent is {}", only.word()),
            (false, StateFilter::All) => "no match".to_owned(),
            (false, only) => format!("no match that is {}", only.word()),
        };
        pen.put(area.x + MARGIN, area.y + 1, area.width - MARGIN, &text, theme.dim);
    }
}

/// Returns where the filter stands: behind the title of the names.
pub(crate) fn filter_area(state: &AppState, area: Rect) -> Rect {
    let columns = columns(state, area);
    let Some(name) = columns.iter().find(|placed| placed.column.key == Col::Name).or(columns.iter().next()) else {
        return Rect::default();
    };
    let x = name.x + cells(name.column.title) + if state.sort == name.column.key { 3 } else { 2 };
    Rect { x, y: area.y, width: (name.x + name.width).saturating_sub(x), height: 1 }
}

/// Returns the cells for the text of the filter: the rest is for the number of torrents that it leaves.
pub(crate) fn filter_width(area: Rect) -> u16 {
    area.width.saturating_sub(10).max(6)
}

/// Draws behind the title of the names what is filtered and marked.
fn filters(pen: &mut Painter<'_>, area: Rect, state: &AppState, snapshot: &Snapshot) {
    let theme = pen.theme;
    let (only, all) = (state.panes.only, snapshot.torrents.len());
    let mut words = Vec::new();
    let mut x = area.x;
    if state.filtering && state.pane == Focus::List || !state.filter.is_empty() {
        x = pen.put(x, area.y, 1, "/", theme.accent);
        x = pen.put(x, area.y, area.width, &state.filter.window(filter_width(area)).0, theme.strong) + 2;
        words.push(if state.rows.is_empty() { "no match".to_owned() } else { format!("{}/{all}", state.rows.len()) });
    }
    match only {
        StateFilter::All => {}
        only if words.is_empty() => words.push(format!("{} {}/{all}", only.word(), state.rows.len())),
        only => words.push(only.word().to_owned()),
    }
    if !state.panes.marks.is_empty() {
        words.push(format!("{} marked", state.marked(snapshot).len()));
    }
    // If not all fit, drops the number of marks: marked rows are visible in the list.
    let room = area.right().saturating_sub(x);
    while words.len() > 1 && words.join(", ").len() > usize::from(room) {
        words.pop();
    }
    pen.put(x, area.y, room, &words.join(", "), theme.accent);
}

/// Formats connected and known peers in `width` cells; large numbers of known peers in thousands.
fn peers(view: &TorrentView, width: u16) -> String {
    let known = view.known.max(view.peers);
    let whole = format!("{}/{known}", view.peers);
    if whole.len() <= usize::from(width) { whole } else { format!("{}/{}k", view.peers, known.div_ceil(1000)) }
}

fn field<'a>(key: Col, width: u16, at: usize, view: &'a TorrentView, chosen: bool, theme: &Theme) -> Line<'a> {
    let resting = matches!(view.state, State::Paused | State::Queued);
    let plain = if resting { theme.dim } else { theme.text };
    let share = share(view);
    match key {
        Col::Queue => text((at + 1).to_string(), theme.faint),
        Col::Name => text(view.name.as_str(), if chosen { theme.strong } else { plain }),
        // Of a magnet link without metadata nothing is known, also while it does not run.
        Col::Size | Col::Done if is_unknown(view) => text("-", theme.faint),
        Col::Progress if is_unknown(view) => table::bar(width, 0, 1, theme.dim, theme),
        Col::Size if view.state == State::Metadata => text("-", theme.faint),
        Col::Size => table::number(size(view.size), plain, theme),
        Col::Progress => {
            let style = match view.state {
                State::Error => theme.bad,
                State::Checking | State::Metadata => theme.warn,
                _ if view.done >= view.wanted => theme.up,
                _ if resting => theme.dim,
                _ => theme.down,
            };
            table::bar(width, share.0, share.1, style, theme)
        }
        Col::Done => text(percent(share.0, share.1), plain),
        Col::Down => table::rate(view.down, theme.down, theme),
        Col::Up => table::rate(view.up, theme.up, theme),
        Col::Peers if view.peers == 0 && view.known == 0 => text("-", theme.faint),
        Col::Peers => text(peers(view, width), plain),
        Col::Eta => or_faint(eta(view.eta), plain, theme),
        Col::State => state(view, theme),
        Col::Ratio => or_faint(ratio(view.uploaded, view.ratio_of()), theme.text, theme),
        Col::Received => table::bytes(view.downloaded, theme.dim, theme),
        Col::Sent => table::bytes(view.uploaded, theme.dim, theme),
        Col::Active if view.active.is_zero() => text("-", theme.faint),
        Col::Active => text(time(view.active), theme.dim),
        Col::Priority => match view.rank {
            Priority::Normal => text("normal", theme.faint),
            Priority::High => text("high", theme.accent),
            rank => text(labels::bandwidth_priority(rank), theme.dim),
        },
        Col::DownLimit => limit(view.limits.down, theme),
        Col::UpLimit => limit(view.limits.up, theme),
    }
}

/// Formats the rate limit of one torrent.
fn limit(limit: Option<u64>, theme: &Theme) -> Line<'static> {
    or_faint(limit.map_or_else(|| "-".to_owned(), rate), theme.dim, theme)
}

/// Returns whether neither files nor pieces are known, and no metadata are fetched.
fn is_unknown(view: &TorrentView) -> bool {
    view.pieces == 0 && view.size == 0 && !matches!(view.state, State::Metadata | State::Seeding)
}

/// Returns the progress: of the check or the metadata download while one runs, otherwise of the download.
fn share(view: &TorrentView) -> (u64, u64) {
    match view.state {
        State::Checking => (u64::from(view.checked), u64::from(view.pieces)),
        State::Metadata => (u64::from(view.metadata.done), u64::from(view.metadata.total.max(1))),
        _ => (view.done, view.wanted),
    }
}

/// Returns the label of the state, at most eight cells.
fn state(view: &TorrentView, theme: &Theme) -> Line<'static> {
    let (label, style): (Cow<'static, str>, Style) = match view.state {
        State::Downloading if view.sequential => ("in order".into(), theme.down),
        State::Downloading => ("down".into(), theme.down),
        State::Seeding if view.super_seed => ("super".into(), theme.up),
        State::Seeding => match ratio(view.uploaded, view.ratio_of()).as_str() {
            "-" => ("seed".into(), theme.up),
            ratio => (format!("seed {}", &ratio[..ratio.len().min(3)].trim_end_matches('.')).into(), theme.up),
        },
        State::Checking => ("checking".into(), theme.warn),
        State::Metadata => ("metadata".into(), theme.warn),
        State::Paused => ("paused".into(), theme.dim),
        State::Queued => ("queued".into(), theme.dim),
        State::Moving => ("moving".into(), theme.warn),
        State::Error => ("error".into(), theme.bad),
    };
    text(label, style)
}
