//! Screen layout for every terminal size, used both for drawing and for hit testing.

use ratatui::layout::Constraint::{Fill, Length};
use ratatui::layout::{Constraint, Layout, Rect};

use crate::ui::keys::context::Tab;
use crate::ui::state::app::Focus;

/// Minimum size (columns, rows) for panes; a smaller terminal shows a single line.
pub(crate) const MIN_SIZE: (u16, u16) = (40, 10);

/// Size class of the terminal.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum SizeClass {
    /// A single line.
    #[default]
    Line,
    /// One column.
    Small,
    /// One column, with a graph and a log.
    Medium,
    /// Three columns.
    Large,
}

/// The regions of the screen. An empty rectangle is a region that is not drawn.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Regions {
    pub class: SizeClass,
    /// First line: totals.
    pub header: Rect,
    /// Torrent list with its column titles.
    pub list: Rect,
    /// Rate graph.
    pub graph: Rect,
    /// The sentence that says what limits the selected torrent, with its rule.
    pub why: Rect,
    /// Tab bar.
    pub tabs: Rect,
    /// Piece strip.
    pub strip: Rect,
    /// Content of the active tab.
    pub pane: Rect,
    /// Busiest peers, while another tab is active.
    pub peers: Rect,
    /// Last lines of the log, with a rule.
    pub log: Rect,
    /// Summary column.
    pub side: Rect,
    /// Last line: key hints or a notice.
    pub status: Rect,
    /// Whether there are no torrents, so that the welcome text is shown.
    pub welcome: bool,
}

/// What the layout depends on, besides the size of the screen.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LayoutInput {
    /// Number of torrents.
    pub torrents: usize,
    /// The pane that fills the screen if `zoom` is set.
    pub focus: Focus,
    pub tab: Tab,
    pub zoom: bool,
    /// Rows that the open tab needs, if they are known: the list gets what it leaves.
    pub pane_rows: Option<usize>,
}

/// Divides an area into rows.
fn rows<const N: usize>(area: Rect, heights: [Constraint; N]) -> [Rect; N] {
    Layout::vertical(heights).areas(area)
}

/// Computes the regions of a screen of size `area`.
pub(crate) fn regions(area: Rect, input: &LayoutInput) -> Regions {
    let mut r = Regions::default();
    if area.width < MIN_SIZE.0 || area.height < MIN_SIZE.1 {
        r.header = Rect { height: area.height.min(1), ..area };
        return r;
    }
    let body;
    [r.header, body, r.status] = rows(area, [Length(1), Fill(1), Length(1)]);
    r.welcome = input.torrents == 0;
    r.class = match area {
        Rect { width: 190.., height: 36.., .. } => SizeClass::Large,
        Rect { width: 106.., height: 28.., .. } => SizeClass::Medium,
        _ => SizeClass::Small,
    };
    match (r.welcome, input.zoom, input.focus) {
        (true, ..) => r.pane = body,
        (false, true, Focus::List) => r.list = body,
        (false, true, Focus::Detail) => [r.tabs, r.strip, r.pane] = rows(body, [Length(1), Length(1), Fill(1)]),
        (false, false, _) if r.class == SizeClass::Large => large(input.tab, &mut r, body),
        (false, false, _) => stacked(input, &mut r, body),
    }
    r
}

/// Three columns: list and log, the open tab, graph and numbers.
fn large(tab: Tab, r: &mut Regions, body: Rect) {
    // As much as shows the list of a terminal with 80 columns.
    let list = (body.width * 21 / 50).clamp(76, 140);
    let side = (body.width * 9 / 50).clamp(36, 52);
    let [left, _, middle, _, right] =
        Layout::horizontal([Length(list), Length(1), Fill(1), Length(1), Length(side)]).areas(body);
    [r.list, r.log] = rows(left, [Fill(1), Length(body.height * 2 / 5)]);
    let strip = if tab == Tab::Pieces { 1 } else { 9 };
    let peers = if tab == Tab::Peers { 0 } else { (middle.height - 1 - strip) * 2 / 5 };
    [r.tabs, r.strip, r.pane, r.peers] = rows(middle, [Length(1), Length(strip), Fill(1), Length(peers)]);
    let numbers = 19.min((right.height - 15) / 2 + 3);
    [r.graph, r.side, r.why] = rows(right, [Length(15), Length(numbers), Fill(1)]);
}

/// One column; beside the list the graph, if there is room.
fn stacked(input: &LayoutInput, r: &mut Regions, body: Rect) {
    let height = body.height + 2;
    let strip = if height >= 32 && input.tab != Tab::Pieces { 3 } else { 1 };
    let why = if height < 16 { 1 } else { 2 };
    let medium = r.class == SizeClass::Medium;
    let log = match height {
        // The tab already shows the log.
        _ if input.tab == Tab::Log => 0,
        34.. if medium => 5,
        _ if medium => 4,
        30.. => 4,
        _ => 0,
    };
    let fixed = why + 1 + strip + log;
    let room = body.height.saturating_sub(1 + fixed);
    let count = u16::try_from(input.torrents).unwrap_or(u16::MAX);
    // Reserves three rows for the peers and, if possible, their column titles.
    let most = (room * 2 / 5).min(room.saturating_sub(3)).max(1);
    let least = if medium { most } else { most.min(3) };
    let shown = count.clamp(least, most);
    // What the tab leaves empty goes to further torrents; the lists below take none of it.
    let needed = input.pane_rows.map_or(u16::MAX, |rows| u16::try_from(rows).unwrap_or(u16::MAX).max(6));
    let unused = room.saturating_sub(shown + if input.tab == Tab::Peers { 0 } else { 8 }).saturating_sub(needed);
    let list = 1 + shown + unused.min(count.saturating_sub(shown));
    let peers = match body.height.saturating_sub(list + fixed) {
        _ if input.tab == Tab::Peers => 0,
        15.. => 7,
        9.. => 5,
        7.. => 4,
        _ => 0,
    };
    let heights = [Length(list), Length(why), Length(1), Length(strip), Fill(1), Length(peers), Length(log)];
    let top;
    [top, r.why, r.tabs, r.strip, r.pane, r.peers, r.log] = rows(body, heights);
    r.list = top;
    if medium {
        // The width that the list can spare.
        let graph = (top.width - 85).clamp(26, 56);
        [r.list, _, r.graph] = Layout::horizontal([Fill(1), Length(1), Length(graph)]).areas(top);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_never_overlap_and_never_leave_the_screen() {
        for width in (1..230).step_by(3) {
            for height in 1..70 {
                for tab in [Tab::Peers, Tab::Info] {
                    let input = LayoutInput { torrents: 5, tab, ..LayoutInput::default() };
                    let r = regions(Rect::new(0, 0, width, height), &input);
                    let parts =
                        [r.header, r.list, r.graph, r.why, r.tabs, r.strip, r.pane, r.peers, r.log, r.side, r.status];
                    for (at, part) in parts.iter().enumerate() {
                        assert!(part.right() <= width && part.bottom() <= height, "{width}x{height}: {part:?}");
                        for other in &parts[at + 1..] {
                            assert!(part.intersection(*other).is_empty(), "{width}x{height}: {part:?} {other:?}");
                        }
                    }
                    if r.class != SizeClass::Line {
                        assert!(r.list.height >= 2 && !r.strip.is_empty() && !r.why.is_empty(), "{width}x{height}");
                        assert!(tab != Tab::Peers || r.pane.height >= 3, "{width}x{height}: {:?}", r.pane);
                    }
                }
            }
        }
    }
}
