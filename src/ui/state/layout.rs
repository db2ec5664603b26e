//! Screen layout for every terminal size. Pure arithmetic, used both for drawing and for hit testing.

use ratatui::layout::Rect;

use crate::api::Snapshot;
use crate::ui::keys::context::Tab;
use crate::ui::state::app::{AppState, Focus};

/// Minimum size (columns, rows) for panes; a smaller terminal shows a single line.
pub const MIN_SIZE: (u16, u16) = (40, 10);

/// Size class of the terminal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SizeClass {
    /// A single line.
    Line,
    /// One column.
    Small,
    /// One column, with a graph and a log.
    Medium,
    /// Three columns.
    Large,
}

/// The regions of the screen. An empty rectangle is a region that is not drawn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Regions {
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

impl Default for Regions {
    fn default() -> Self {
        let none = Rect::default();
        Regions {
            class: SizeClass::Line,
            header: none,
            list: none,
            graph: none,
            why: none,
            tabs: none,
            strip: none,
            pane: none,
            peers: none,
            log: none,
            side: none,
            status: none,
            welcome: false,
        }
    }
}

/// Cuts lines off a rectangle, from the top or bottom.
struct Cutter(Rect);

impl Cutter {
    fn take(&mut self, height: u16) -> Rect {
        let height = height.min(self.0.height);
        let taken = Rect { height, ..self.0 };
        self.0.y += height;
        self.0.height -= height;
        taken
    }

    fn take_below(&mut self, height: u16) -> Rect {
        let height = height.min(self.0.height);
        self.0.height -= height;
        Rect { y: self.0.y + self.0.height, height, ..self.0 }
    }
}

/// Computes the regions of a screen of size `area`.
#[must_use]
pub fn regions(model: &AppState, snapshot: &Snapshot, area: Rect) -> Regions {
    let mut r = Regions::default();
    if area.width < MIN_SIZE.0 || area.height < MIN_SIZE.1 {
        r.header = Rect { height: area.height.min(1), ..area };
        return r;
    }
    let mut rest = Cutter(area);
    r.header = rest.take(1);
    r.status = rest.take_below(1);
    r.welcome = snapshot.torrents.is_empty();
    r.class = match area {
        Rect { width: 160.., height: 36.., .. } => SizeClass::Large,
        Rect { width: 106.., height: 28.., .. } => SizeClass::Medium,
        _ => SizeClass::Small,
    };
    if r.welcome {
        r.pane = rest.0;
        return r;
    }
    if model.zoom {
        zoomed(model, &mut r, rest);
    } else if r.class == SizeClass::Large {
        large(model, &mut r, rest.0);
    } else {
        stacked(model, snapshot, &mut r, rest);
    }
    r
}

fn zoomed(model: &AppState, r: &mut Regions, mut rest: Cutter) {
    match model.pane {
        Focus::List => r.list = rest.0,
        Focus::Detail => {
            r.tabs = rest.take(1);
            r.strip = rest.take(1);
            r.pane = rest.0;
        }
    }
}

fn large(model: &AppState, r: &mut Regions, rest: Rect) {
    let side = (rest.width * 9 / 50).clamp(36, 52);
    let list = (rest.width * 31 / 100).clamp(56, 90);
    let mut left = Cutter(Rect { width: list, ..rest });
    r.log = left.take_below(rest.height * 2 / 5);
    r.list = left.0;
    r.side = Rect { x: rest.right() - side, width: side, ..rest };
    let mut middle = Cutter(Rect { x: rest.x + list + 1, width: rest.width - list - side - 2, ..rest });
    r.tabs = middle.take(1);
    r.strip = middle.take(if model.tab == Tab::Pieces { 1 } else { 9 });
    if model.tab != Tab::Peers {
        r.peers = middle.take_below(middle.0.height * 2 / 5);
    }
    r.pane = middle.0;
    let mut side = Cutter(r.side);
    r.graph = side.take(15);
    r.side = side.take(19.min(side.0.height / 2 + 3));
    r.why = side.0;
}

fn stacked(model: &AppState, snapshot: &Snapshot, r: &mut Regions, mut rest: Cutter) {
    let height = rest.0.height + 2;
    let strip = if height >= 32 && model.tab != Tab::Pieces { 3 } else { 1 };
    let why = if height < 16 { 1 } else { 2 };
    let fixed = 1 + why + 1 + strip;
    let room = rest.0.height.saturating_sub(fixed);
    if model.tab == Tab::Log {
        // The tab already shows the log.
    } else if r.class == SizeClass::Medium {
        r.log = rest.take_below(if height >= 34 { 5 } else { 4 });
    } else if height >= 30 {
        r.log = rest.take_below(4);
    }
    let room = room.saturating_sub(r.log.height);
    let count = u16::try_from(snapshot.torrents.len()).unwrap_or(u16::MAX);
    // Reserves three rows for the peers and, if possible, their column titles.
    let most = (room * 2 / 5).min(room.saturating_sub(3)).max(1);
    let least = if r.class == SizeClass::Medium { most } else { most.min(3) };
    let rows = count.clamp(least, most);
    let mut top = Cutter(rest.take(1 + rows));
    if r.class == SizeClass::Medium {
        // The width that the list can spare.
        let graph = (top.0.width - 79).clamp(26, 56);
        r.graph = Rect { x: top.0.right() - graph, width: graph, ..top.0 };
        top.0.width -= graph + 1;
    }
    r.list = top.0;
    r.why = rest.take(why);
    r.tabs = rest.take(1);
    r.strip = rest.take(strip);
    if model.tab != Tab::Peers {
        if rest.0.height >= 9 {
            r.peers = rest.take_below(if rest.0.height >= 15 { 7 } else { 5 });
        } else if rest.0.height >= 7 {
            r.peers = rest.take_below(4);
        }
    }
    r.pane = rest.0;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{TorrentId, TorrentView};
    use crate::ui::theme::style::ThemeName;

    #[test]
    fn parts_never_overlap_and_never_leave_the_screen() {
        let snapshot = Snapshot { torrents: vec![(TorrentId(1), TorrentView::default()); 5], ..Snapshot::default() };
        for width in 1..230 {
            for height in 1..70 {
                for tab in [Tab::Peers, Tab::Info] {
                    let mut model = AppState::new((width, height), ThemeName::Dark, false);
                    model.tab = tab;
                    let area = Rect::new(0, 0, width, height);
                    let r = regions(&model, &snapshot, area);
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
