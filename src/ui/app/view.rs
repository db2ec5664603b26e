//! Draws the whole screen from the UI state and the latest snapshot. Pure: reads both and writes cells.
//!
//! ```text
//!  ttui  3 torrents   ↓ 11.2 MB/s  ↑ 3.4 MB/s                  port 6881 listening   free 41G   header
//!    Name                         Size  Done    ↓/s    ↑/s    Peers   ETA  State
//!  > debian-13.1-amd64.iso        3.9G   62%  10.9M   1.2M   38/112  2m14  down               list
//! ── why ─────────────────────────────────────────────────────────────────────
//!  31 of 38 peers choke us                                             [w] more               why
//! ── 1 Info  2 Pieces [3 Peers] 4 Files  5 Trackers  6 Log ───────────────────                tabs
//!  ████████████▓▓██▓░░░░░▒░░░░▒▒░▒▒▒░░               1240/1996  avail 6.42                    strip
//!    Address               Client        Flags  Done    ↓/s    ↑/s    Reqs  Src
//!    192.168.1.20:51413    Transm 4.1.3  DUEL   100%   6.1M      -    64/0  LAN               pane
//!  a add  p pause  d remove  v verify  / find  Tab pane  ? help          q quit               status
//! ```
//!
//! A medium screen adds a graph beside the list and a log; a large one has three columns, see
//! [`layout`](crate::ui::state::layout).

use ratatui::Frame;
use ratatui::widgets::Widget;

use crate::api::Snapshot;
use crate::ui::app::header::{Header, Summary};
use crate::ui::app::model::App;
use crate::ui::app::status_bar::StatusBar;
use crate::ui::app::welcome::Welcome;
use crate::ui::dialogs::dialog::DialogContext;
use crate::ui::panes::pane::PaneContext;
use crate::ui::panes::why_line::WhyLine;
use crate::ui::panes::{graph, log, peers, pieces, summary, tabs, torrents};
use crate::ui::state::app::{AppState, Focus};
use crate::ui::state::layout::{Regions, SizeClass, regions};
use crate::ui::text::format::cells;
use crate::ui::widgets::painter::Painter;
use crate::ui::widgets::tab_bar::{self, TabBar};

/// Draws one frame.
pub fn view(app: &App, snapshot: &Snapshot, frame: &mut Frame<'_>) {
    let state = &app.state;
    // In privacy mode, only the masked copy of the snapshot is drawn.
    let snapshot = state.panes.hidden.shown(snapshot);
    let area = frame.area();
    let r = regions(area, &state.layout_input(snapshot));
    let (buf, theme) = (frame.buffer_mut(), &state.theme);
    if let Some(ground) = theme.ground {
        buf.set_style(area, ground);
    }
    if r.class == SizeClass::Line {
        // No dialog is drawn.
        app.dialogs.forget_hits();
        return Summary { snapshot, theme }.render(r.header, buf);
    }
    Header { snapshot, theme }.render(r.header, buf);
    if r.welcome {
        Welcome { state, snapshot }.render(r.pane, buf);
    } else {
        panes(&mut Painter { buf, theme }, &r, state, snapshot);
    }
    StatusBar(state).render(r.status, buf);
    let cursor = app.dialogs.draw(&mut Painter { buf, theme }, area, &DialogContext { state, snapshot });
    if let Some(at) = cursor.or_else(|| find_cursor(&r, state)) {
        frame.set_cursor_position(at);
    }
}

/// Returns where the cursor is while something to find is typed.
fn find_cursor(r: &Regions, state: &AppState) -> Option<(u16, u16)> {
    if !state.filtering {
        return None;
    }
    if state.pane == Focus::Detail {
        let width = tab_bar::find_width(r.tabs);
        let (text, at) = state.find.window(width);
        return Some((r.tabs.right().saturating_sub(2 + cells(&text) - at), r.tabs.y));
    }
    let area = torrents::filter_area(state, r.list);
    let (_, at) = state.filter.window(torrents::filter_width(area));
    Some((area.x + 1 + at, area.y))
}

fn panes(pen: &mut Painter<'_>, r: &Regions, state: &AppState, snapshot: &Snapshot) {
    torrents::draw(pen, r, state, snapshot);
    if r.class == SizeClass::Large && !state.zoom {
        let height = r.list.height + r.log.height;
        pen.column(r.list.right(), r.list.y, height);
        pen.column(r.side.x - 1, r.list.y, height);
    } else if !r.graph.is_empty() {
        pen.column(r.list.right(), r.list.y, r.list.height);
    }
    graph::draw(r.graph, pen.buf, state);
    let chosen = state.chosen(snapshot);
    WhyLine { state, torrent: chosen }.render(r.why, pen.buf);
    let focused = state.pane == Focus::Detail;
    let find = (!state.find.is_empty() || focused && state.filtering)
        .then(|| format!("/{}", state.find.window(tab_bar::find_width(r.tabs)).0));
    let name = find.as_deref().or(chosen.map(|view| view.name.as_str()));
    TabBar { open: state.tab, focused, name, theme: &state.theme }.render(r.tabs, pen.buf);
    let Some(torrent) = chosen else { return };
    pieces::strip(pen, r.strip, state, torrent, torrent.detail.as_deref());
    match torrent.detail.as_deref() {
        Some(detail) => {
            let cx = PaneContext { state, snapshot, torrent, detail, regions: r };
            if !r.pane.is_empty() {
                tabs::pane(state.tab).render(r.pane, pen.buf, &cx);
            }
            if !r.peers.is_empty() {
                peers::busiest(r.peers, pen.buf, state, torrent, detail);
            }
            log::tail(pen, r.log, &cx);
        }
        None if r.pane.is_empty() => {}
        None => {
            pen.put(r.pane.x + 3, r.pane.y, r.pane.width.saturating_sub(4), "loading", state.theme.faint);
        }
    }
    summary::draw(r.side, pen.buf, &state.theme, snapshot, torrent);
}
