//! Where everything is on the screen, at every size. Pure arithmetic on the size, used to draw and to find what was
//! clicked.

use ratatui::layout::Rect;

use crate::api::Snapshot;
use crate::ui::keys::Tab;
use crate::ui::model::{Model, Pane};

/// The narrowest and lowest screen with panes; a smaller one is a single line.
pub const LEAST: (u16, u16) = (40, 10);

/// How much room there is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    /// One line says it all.
    Line,
    /// One column.
    Small,
    /// One column with a graph beside the list and a log.
    Medium,
    /// Three columns.
    Large,
}

/// The parts of the screen. An empty rectangle is a part that has no room.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Regions {
    /// How much room there is.
    pub class: Class,
    /// The first line: totals.
    pub header: Rect,
    /// The list with its header line.
    pub list: Rect,
    /// The speed graph.
    pub graph: Rect,
    /// The why rule and its lines.
    pub why: Rect,
    /// The rule with the tabs.
    pub tabs: Rect,
    /// The piece strip.
    pub strip: Rect,
    /// What the open tab shows.
    pub pane: Rect,
    /// Peers, where another tab is open.
    pub peers: Rect,
    /// The last lines of the log, with their rule.
    pub log: Rect,
    /// The right column with its numbers.
    pub side: Rect,
    /// The last line: keys or a notice.
    pub status: Rect,
    /// Whether there is nothing to show but a welcome.
    pub welcome: bool,
}

impl Default for Regions {
    fn default() -> Self {
        let none = Rect::default();
        Regions {
            class: Class::Line,
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

/// Cuts lines off a rectangle from above.
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

/// Where everything is on a screen of this `area`.
#[must_use]
pub fn regions(model: &Model, snapshot: &Snapshot, area: Rect) -> Regions {
    let mut r = Regions::default();
    if area.width < LEAST.0 || area.height < LEAST.1 {
        r.header = Rect { height: area.height.min(1), ..area };
        return r;
    }
    let mut rest = Cutter(area);
    r.header = rest.take(1);
    r.status = rest.take_below(1);
    r.welcome = snapshot.torrents.is_empty();
    r.class = match area {
        Rect { width: 160.., height: 36.., .. } => Class::Large,
        Rect { width: 106.., height: 28.., .. } => Class::Medium,
        _ => Class::Small,
    };
    if r.welcome {
        r.pane = rest.0;
        return r;
    }
    if model.zoom {
        zoomed(model, &mut r, rest);
    } else if r.class == Class::Large {
        large(model, &mut r, rest.0);
    } else {
        stacked(model, snapshot, &mut r, rest);
    }
    r
}

fn zoomed(model: &Model, r: &mut Regions, mut rest: Cutter) {
    match model.pane {
        Pane::List => r.list = rest.0,
        Pane::Detail => {
            r.tabs = rest.take(1);
            r.strip = rest.take(1);
            r.pane = rest.0;
        }
    }
}

fn large(model: &Model, r: &mut Regions, rest: Rect) {
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

fn stacked(model: &Model, snapshot: &Snapshot, r: &mut Regions, mut rest: Cutter) {
    let height = rest.0.height + 2;
    let strip = if height >= 32 && model.tab != Tab::Pieces { 3 } else { 1 };
    let why = if height < 16 { 1 } else { 2 };
    let fixed = 1 + why + 1 + strip;
    let room = rest.0.height.saturating_sub(fixed);
    if model.tab == Tab::Log {
        // It is in the pane.
    } else if r.class == Class::Medium {
        r.log = rest.take_below(if height >= 34 { 5 } else { 4 });
    } else if height >= 30 {
        r.log = rest.take_below(4);
    }
    let room = room.saturating_sub(r.log.height);
    let count = u16::try_from(snapshot.torrents.len()).unwrap_or(u16::MAX);
    // The peers keep three rows and, where there is room, their header.
    let most = (room * 2 / 5).min(room.saturating_sub(3)).max(1);
    let least = if r.class == Class::Medium { most } else { most.min(3) };
    let rows = count.clamp(least, most);
    let mut top = Cutter(rest.take(1 + rows));
    if r.class == Class::Medium {
        // What the list can do without.
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
    use crate::ui::style::ThemeName;

    #[test]
    fn parts_never_overlap_and_never_leave_the_screen() {
        let snapshot = Snapshot { torrents: vec![(TorrentId(1), TorrentView::default()); 5], ..Snapshot::default() };
        for width in 1..230 {
            for height in 1..70 {
                for tab in [Tab::Peers, Tab::Info] {
                    let mut model = Model::new((width, height), ThemeName::Dark, false);
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
                    if r.class != Class::Line {
                        assert!(r.list.height >= 2 && !r.strip.is_empty() && !r.why.is_empty(), "{width}x{height}");
                        assert!(tab != Tab::Peers || r.pane.height >= 3, "{width}x{height}: {:?}", r.pane);
                    }
                }
            }
        }
    }
}
