//! The torrent list: name, progress, rates, peers and state of each torrent.

use ratatui::layout::Rect;

use crate::api::{Priority, Snapshot, State, TorrentView};
use crate::ui::state::app::{AppState, Focus, Sort};
use crate::ui::state::detail::StateFilter;
use crate::ui::state::layout::Regions;
use crate::ui::text::format::{eta, percent, rate, ratio, size, time};
use crate::ui::text::labels;
use crate::ui::theme::style::Theme;
use crate::ui::widgets::list::first_visible;
use crate::ui::widgets::painter::{Column, ColumnRect, Painter, Side, layout_columns};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Col {
    Queue,
    Name,
    Size,
    Bar,
    Done,
    Down,
    Up,
    Peers,
    Eta,
    State,
    Ratio,
    Received,
    Sent,
    Active,
    Rank,
    DownLimit,
    UpLimit,
}

const fn column(key: Col, title: &'static str, width: u16, side: Side, rank: u8) -> Column<Col> {
    Column { key, title, width, side, rank }
}

const COLUMNS: [Column<Col>; 17] = [
    column(Col::Queue, "#", 3, Side::Right, 15),
    column(Col::Name, "Name", 0, Side::Left, 0),
    column(Col::Size, "Size", 5, Side::Right, 7),
    column(Col::Bar, "", 12, Side::Left, 9),
    column(Col::Done, "Done", 4, Side::Right, 1),
    column(Col::Down, "↓/s", 5, Side::Right, 2),
    column(Col::Up, "↑/s", 5, Side::Right, 4),
    column(Col::Peers, "Peers", 7, Side::Right, 6),
    column(Col::Eta, "ETA", 5, Side::Right, 5),
    column(Col::State, "State", 8, Side::Left, 3),
    column(Col::Ratio, "Ratio", 5, Side::Right, 8),
    column(Col::Received, "↓", 5, Side::Right, 10),
    column(Col::Sent, "↑", 5, Side::Right, 11),
    column(Col::Active, "Active", 6, Side::Right, 13),
    column(Col::Rank, "Prio", 6, Side::Left, 12),
    column(Col::DownLimit, "↓max", 5, Side::Right, 14),
    column(Col::UpLimit, "↑max", 5, Side::Right, 14),
];

impl Col {
    const fn sort(self) -> Option<Sort> {
        match self {
            Col::Name => Some(Sort::Name),
            Col::Size => Some(Sort::Size),
            Col::Done => Some(Sort::Done),
            Col::Down => Some(Sort::Down),
            Col::Up => Some(Sort::Up),
            Col::Peers => Some(Sort::Peers),
            Col::Eta => Some(Sort::Eta),
            Col::State => Some(Sort::State),
            Col::Queue => Some(Sort::Added),
            Col::Ratio => Some(Sort::Ratio),
            Col::Received => Some(Sort::Received),
            Col::Sent => Some(Sort::Sent),
            Col::Active => Some(Sort::Active),
            Col::Rank => Some(Sort::Rank),
            Col::DownLimit => Some(Sort::DownLimit),
            Col::UpLimit => Some(Sort::UpLimit),
            Col::Bar => None,
        }
    }
}

/// Cells left of the first column: margin, selection marker, gap.
const MARGIN: u16 = 3;

fn slots(area: Rect) -> Vec<ColumnRect<Col>> {
    let least = if area.width >= 70 { 20 } else { 16 };
    layout_columns(&COLUMNS, area.x + MARGIN, area.width.saturating_sub(MARGIN + 2), least, 60)
}

/// Returns the number of torrents visible at once.
#[must_use]
pub fn height(r: &Regions) -> usize {
    usize::from(r.list.height.saturating_sub(1))
}

/// Returns the sort order of the column title at cell `x`.
#[must_use]
pub fn column_at(r: &Regions, x: u16) -> Option<Sort> {
    slots(r.list).iter().find(|slot| x >= slot.x && x <= slot.x + slot.width)?.key.sort()
}

/// Returns the sort orders of the visible columns, queue order first.
#[must_use]
pub fn sorts(r: &Regions) -> Vec<Sort> {
    let columns = slots(r.list);
    let of_columns = columns.iter().filter_map(|slot| slot.key.sort()).filter(|sort| *sort != Sort::Added);
    std::iter::once(Sort::Added).chain(of_columns).collect()
}

/// Draws the torrent list.
pub fn draw(pen: &mut Painter<'_>, r: &Regions, model: &AppState, snapshot: &Snapshot) {
    let area = r.list;
    if area.is_empty() {
        return;
    }
    let slots = slots(area);
    let has_keys = model.pane == Focus::List;
    for slot in &slots {
        let sorted = slot.key.sort() == Some(model.sort);
        let mark = sorted.then_some(model.theme.glyphs.sorted[usize::from(model.reverse)]);
        let style = if sorted || (has_keys && slot.key == Col::Name) { model.theme.text } else { model.theme.dim };
        pen.title(slot, area.y, mark, style);
        if slot.key == Col::Name {
            said(pen, slot, area.y, model, snapshot);
        }
    }
    let rows = height(r);
    let chosen = model.row(snapshot);
    let top = first_visible(model.top, chosen, rows, model.rows.len());
    for (line, at) in model.rows.iter().skip(top).take(rows).enumerate() {
        let Some((id, view)) = snapshot.torrents.get(*at) else { continue };
        let y = area.y + 1 + line as u16;
        let is_chosen = chosen == Some(top + line);
        if is_chosen {
            pen.restyle(Rect::new(area.x, y, area.width, 1), model.theme.chosen);
            pen.put(area.x + 1, y, 1, ">", if has_keys { model.theme.accent } else { model.theme.dim });
        }
        if model.panes.marks.contains(id) {
            let mark = if model.theme.ascii { '*' } else { '●' };
            pen.fill(area.x, y, 1, mark, model.theme.accent);
        }
        for slot in &slots {
            field(pen, slot, y, (*at, view), is_chosen);
        }
    }
    if model.rows.is_empty() {
        let text = match (model.filter.is_empty(), model.panes.only) {
            (true, only) => format!("no torrent is {}", only.word()),
            (false, StateFilter::All) => "no match".to_owned(),
            (false, only) => format!("no match that is {}", only.word()),
        };
        pen.put(area.x + MARGIN, area.y + 1, area.width - MARGIN, &text, model.theme.dim);
    }
    pen.scrollbar(Rect { y: area.y + 1, height: area.height - 1, ..area }, top, model.rows.len());
}

/// Draws the state filter and the number of marked torrents beside the title of the name column.
fn said(pen: &mut Painter<'_>, slot: &ColumnRect<Col>, y: u16, model: &AppState, snapshot: &Snapshot) {
    let only = model.panes.only;
    let shown = format!("{} {}/{}", only.word(), model.rows.len(), snapshot.torrents.len());
    let marks = format!("{} marked", model.marked(snapshot).len());
    let words = match (only != StateFilter::All, !model.panes.marks.is_empty()) {
        (false, false) => return,
        (true, false) => shown,
        (false, true) => marks,
        (true, true) => format!("{shown}, {marks}"),
    };
    let x = slot.x + if model.sort == Sort::Name { 7 } else { 6 };
    let room = (slot.x + slot.width).saturating_sub(x);
    // If both do not fit, drops the number of marks: marked rows are visible in the list.
    let fits = words.split(", ").next().filter(|_| words.len() > usize::from(room)).unwrap_or(&words);
    pen.put(x, y, room, fits, model.theme.accent);
}

/// Formats connected and known peers in `width` cells; large numbers of known peers in thousands.
fn peers(view: &TorrentView, width: u16) -> String {
    let known = view.known.max(view.peers);
    let whole = format!("{}/{known}", view.peers);
    if whole.len() <= usize::from(width) { whole } else { format!("{}/{}k", view.peers, known.div_ceil(1000)) }
}

fn field(pen: &mut Painter<'_>, slot: &ColumnRect<Col>, y: u16, (at, view): (usize, &TorrentView), chosen: bool) {
    let theme = *pen.theme;
    let right = slot.x + slot.width;
    let resting = matches!(view.state, State::Paused | State::Queued);
    let text = if resting { theme.dim } else { theme.text };
    let share = share(view);
    let (words, style) = match slot.key {
        Col::Name => (view.name.clone(), if chosen { theme.strong } else { text }),
        // The size of a magnet link without metadata is unknown.
        Col::Size if view.state == State::Metadata => ("-".into(), theme.faint),
        Col::Size => return pen.put_number(right, y, slot.width, &size(view.size), text),
        Col::Bar => {
            let style = match view.state {
                State::Error => theme.bad,
                State::Checking | State::Metadata => theme.warn,
                _ if view.done >= view.wanted => theme.up,
                _ if resting => theme.dim,
                _ => theme.down,
            };
            return pen.bar(slot.x, y, slot.width, share.0, share.1, style);
        }
        Col::Done => (percent(share.0, share.1), text),
        Col::Down => return pen.put_rate(right, y, slot.width, view.down, theme.down),
        Col::Up => return pen.put_rate(right, y, slot.width, view.up, theme.up),
        Col::Peers if view.peers == 0 && view.known == 0 => ("-".into(), theme.faint),
        Col::Peers => (peers(view, slot.width), text),
        Col::Eta => (eta(view.eta), if view.eta.is_some() { text } else { theme.faint }),
        Col::State => state(view, &theme),
        Col::Ratio => dashed(ratio(view.uploaded, view.ratio_of()), &theme),
        Col::Received => return pen.put_number(right, y, slot.width, &moved(view.downloaded), theme.dim),
        Col::Sent => return pen.put_number(right, y, slot.width, &moved(view.uploaded), theme.dim),
        Col::Active if view.active.is_zero() => ("-".into(), theme.faint),
        Col::Active => (time(view.active), theme.dim),
        Col::Queue => ((at + 1).to_string(), theme.faint),
        Col::Rank => match view.rank {
            Priority::Normal => ("normal".into(), theme.faint),
            Priority::High => ("high".into(), theme.accent),
            rank => (labels::bandwidth_priority(rank).into(), theme.dim),
        },
        Col::DownLimit => limit(view.limits.0, &theme),
        Col::UpLimit => limit(view.limits.1, &theme),
    };
    pen.put_side(slot.x, y, slot.width, slot.side, &words, style);
}

fn moved(bytes: u64) -> String {
    if bytes == 0 { "-".into() } else { size(bytes) }
}

/// Formats the rate limit of one torrent.
fn limit(limit: Option<u64>, theme: &Theme) -> (String, ratatui::style::Style) {
    limit.map_or_else(|| ("-".into(), theme.faint), |limit| (rate(limit), theme.dim))
}

fn dashed(text: String, theme: &Theme) -> (String, ratatui::style::Style) {
    let style = if text == "-" { theme.faint } else { theme.text };
    (text, style)
}

/// Returns the progress: of the check or the metadata download while one runs, otherwise of the download.
fn share(view: &TorrentView) -> (u64, u64) {
    match view.state {
        State::Checking => (u64::from(view.checked), u64::from(view.pieces)),
        State::Metadata => (u64::from(view.metadata.0), u64::from(view.metadata.1.max(1))),
        _ => (view.done, view.wanted),
    }
}

/// Returns the label of the state, at most eight cells, and its style.
fn state(view: &TorrentView, theme: &Theme) -> (String, ratatui::style::Style) {
    match view.state {
        State::Downloading if view.sequential => ("in order".into(), theme.down),
        State::Downloading => ("down".into(), theme.down),
        State::Seeding if view.super_seed => ("super".into(), theme.up),
        State::Seeding => match ratio(view.uploaded, view.ratio_of()).as_str() {
            "-" => ("seed".into(), theme.up),
            ratio => (format!("seed {}", &ratio[..ratio.len().min(3)].trim_end_matches('.')), theme.up),
        },
        State::Checking => ("checking".into(), theme.warn),
        State::Metadata => ("metadata".into(), theme.warn),
        State::Paused => ("paused".into(), theme.dim),
        State::Queued => ("queued".into(), theme.dim),
        State::Moving => ("moving".into(), theme.warn),
        State::Error => ("error".into(), theme.bad),
    }
}
