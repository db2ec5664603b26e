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
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::{Paragraph, Widget};

use crate::api::{DhtState, Snapshot, State};
use crate::ui::app::model::App;
use crate::ui::dialogs::dialog::{CLOSE, CONFIRM, DialogContext};
use crate::ui::keys::action::{Action, AppAction, TorrentAction, ViewAction};
use crate::ui::keys::keymap::ActiveBinding;
use crate::ui::panes::pane::PaneContext;
use crate::ui::panes::{graph, log, peers, pieces, summary, tabs, torrents};
use crate::ui::state::app::{AppState, Focus};
use crate::ui::state::layout::{Regions, SizeClass, regions};
use crate::ui::text::format::{cells, rate_long, size, wrap};
use crate::ui::widgets::key_values::{Arrangement, KeyValues, Pair};
use crate::ui::widgets::painter::{Painter, fit};
use crate::ui::widgets::tab_bar::TabBar;

/// Draws one frame.
pub fn view(app: &App, snapshot: &Snapshot, frame: &mut Frame<'_>) {
    let model = &app.state;
    // In privacy mode, only the masked copy of the snapshot is drawn.
    let snapshot = model.panes.hidden.shown(snapshot);
    let area = frame.area();
    let r = regions(area, &model.layout_input(snapshot));
    let mut pen = Painter { buf: frame.buffer_mut(), theme: &model.theme };
    if let Some(ground) = model.theme.ground {
        pen.restyle(area, ground);
    }
    if r.class == SizeClass::Line {
        // No dialog is drawn.
        app.dialogs.forget_hits();
        line(&mut pen, r.header, model, snapshot);
        return;
    }
    header(&mut pen, r.header, model, snapshot);
    if r.welcome {
        welcome(&mut pen, r.pane, model, snapshot);
    } else {
        panes(&mut pen, &r, model, snapshot);
    }
    status(&mut pen, r.status, model);
    let cursor = app.dialogs.draw(&mut pen, area, &DialogContext { state: model, snapshot });
    let cursor = cursor.or_else(|| filter_cursor(r.status, model));
    if let Some(at) = cursor {
        frame.set_cursor_position(at);
    }
}

fn panes(pen: &mut Painter<'_>, r: &Regions, model: &AppState, snapshot: &Snapshot) {
    torrents::draw(pen, r, model, snapshot);
    if r.class == SizeClass::Large && !model.zoom {
        let height = r.list.height + r.log.height;
        pen.column(r.list.right(), r.list.y, height);
        pen.column(r.side.x - 1, r.list.y, height);
    } else if !r.graph.is_empty() {
        pen.column(r.list.right(), r.list.y, r.list.height);
    }
    graph::draw(r.graph, pen.buf, model);
    let chosen = model.chosen(snapshot);
    why(pen, r, model, snapshot);
    let name = chosen.map(|view| view.name.as_str());
    TabBar { open: model.tab, focused: model.pane == Focus::Detail, name, theme: &model.theme }.render(r.tabs, pen.buf);
    let Some(torrent) = chosen else { return };
    pieces::strip(pen, r.strip, model, torrent, torrent.detail.as_deref());
    match torrent.detail.as_deref() {
        Some(detail) => {
            let cx = PaneContext { state: model, snapshot, torrent, detail, regions: r };
            if !r.pane.is_empty() {
                tabs::pane(model.tab).render(r.pane, pen.buf, &cx);
            }
            if !r.peers.is_empty() {
                peers::busiest(r.peers, pen.buf, model, detail);
            }
            log::tail(pen, r.log, snapshot, detail);
        }
        None if r.pane.is_empty() => {}
        None => {
            pen.put(r.pane.x + 3, r.pane.y, r.pane.width.saturating_sub(4), "loading", model.theme.faint);
        }
    }
    summary::draw(r.side, pen.buf, &model.theme, snapshot, torrent);
}

fn line(pen: &mut Painter<'_>, area: Rect, model: &AppState, snapshot: &Snapshot) {
    let glyphs = model.theme.glyphs;
    let (down, up) = (crate::ui::text::format::rate(snapshot.down), crate::ui::text::format::rate(snapshot.up));
    let count = snapshot.torrents.len();
    let mut x = pen.put(area.x, area.y, area.width, "ttui", model.theme.strong);
    for (mark, text, style) in [(glyphs.down, down, model.theme.down), (glyphs.up, up, model.theme.up)] {
        x = pen.put(x + 1, area.y, area.right().saturating_sub(x + 1), &format!("{mark}{text}"), style);
    }
    let text = if count == 1 { "1 torrent".to_owned() } else { format!("{count} torrents") };
    pen.put(x + 1, area.y, area.right().saturating_sub(x + 1), &text, model.theme.dim);
}

fn header(pen: &mut Painter<'_>, area: Rect, model: &AppState, snapshot: &Snapshot) {
    let theme = model.theme;
    let y = area.y;
    let mut x = pen.put(area.x + 1, y, area.width - 2, "ttui", theme.strong) + 2;
    if area.width >= 60 {
        let count = snapshot.torrents.len();
        let text = if count == 1 { "1 torrent".to_owned() } else { format!("{count} torrents") };
        pen.put(x, y, 14, &text, theme.dim);
        x += cells_of(count).max(12);
    }
    for (mark, bytes, style) in
        [(theme.glyphs.down, snapshot.down, theme.down), (theme.glyphs.up, snapshot.up, theme.up)]
    {
        pen.fill(x, y, 1, mark, style);
        let style = if bytes == 0 { theme.dim } else { style };
        pen.put_right(x + 11, y, 9, &rate_long(bytes), style);
        x += 13;
    }
    let right = beside_the_rates(pen, (x + 1, area.right() - 1, y), model, snapshot);
    let states = states(snapshot);
    let room = right.saturating_sub(x + 4);
    if room >= cells(&states) {
        pen.put(x + 1, y, room, &states, theme.dim);
    }
}

/// Minimum width for a truncated port status: most of its cause is still readable.
const CUT: u16 = 34;

/// Draws the right part of the header, from the right: free space, port, DHT. On a narrow screen the port status is
/// shortened, then the less important parts are dropped. Returns the column where this part starts.
fn beside_the_rates(
    pen: &mut Painter<'_>,
    (left, right, y): (u16, u16, u16),
    model: &AppState,
    snapshot: &Snapshot,
) -> u16 {
    const GAP: u16 = 2;
    let theme = model.theme;
    let forms = port(snapshot);
    let nodes = snapshot.dht.as_ref().map(nodes);
    let free = snapshot.free.map(|bytes| format!("free {}", size(bytes)));
    let scarce = snapshot.free.is_some_and(|bytes| bytes < 1_000_000_000);
    let wide = |text: &Option<String>| text.as_ref().map_or(0, |text| cells(text) + GAP);
    let fitting = |free: &Option<String>, nodes: &Option<String>| {
        let room = right.saturating_sub(left + wide(free) + wide(nodes));
        let whole = forms.first().filter(|whole| cells(whole) <= room || room >= CUT);
        whole.or_else(|| forms.iter().find(|form| cells(form) <= room)).cloned()
    };
    let less = if scarce { (free.clone(), None) } else { (None, nodes.clone()) };
    let choices = [(free, nodes), less, (None, None)];
    let found = choices.into_iter().find_map(|(free, nodes)| fitting(&free, &nodes).map(|port| (free, port, nodes)));
    let (free, port, nodes) = found.unwrap_or_else(|| (None, forms.last().cloned().unwrap_or_default(), None));
    let started = snapshot.port.is_some() || snapshot.port_status.is_empty();
    let lost = snapshot.dht.as_ref().is_some_and(|dht| dht.nodes == [0, 0] && !dht.beginning);
    let mut at = right + GAP;
    let before_port = wide(&nodes);
    for (text, kept, style) in [
        (free, 0, if scarce { theme.bad } else { theme.dim }),
        (Some(port), before_port, if started { theme.dim } else { theme.warn }),
        (nodes, 0, if lost { theme.warn } else { theme.dim }),
    ] {
        let room = at.saturating_sub(GAP + left + kept);
        if let Some(text) = text.filter(|text| room >= cells(text).min(10)) {
            at = pen.put_right(at - GAP, y, room, &text, style);
        }
    }
    at.min(right)
}

/// Returns the port status, the longest form first.
fn port(snapshot: &Snapshot) -> Vec<String> {
    // The status text of the engine may already contain the port number.
    let state = snapshot.port_status.as_str();
    match snapshot.port {
        Some(port) => {
            let state = state.replacen(&format!(" on port {port}"), "", 1);
            let word = state.split([':', ' ', ',']).next().unwrap_or_default();
            let short = if word == "listening" { format!("port {port}") } else { format!("port {word}") };
            vec![format!("port {port} {state}"), format!("port {port} {word}"), short]
        }
        None if state.is_empty() => vec!["starting".to_owned()],
        None => vec![format!("no port: {state}")],
    }
}

/// Formats the number of DHT nodes: `DHT 312`.
fn nodes(dht: &DhtState) -> String {
    match dht.nodes.iter().sum::<u32>() {
        0 if dht.beginning => "DHT: starting".to_owned(),
        0 => "DHT: offline".to_owned(),
        n => format!("DHT {n}"),
    }
}

fn cells_of(count: usize) -> u16 {
    u16::try_from(count.to_string().len()).unwrap_or(0) + 11
}

/// Counts torrents by state, for wide screens.
fn states(snapshot: &Snapshot) -> String {
    let all = [
        State::Downloading,
        State::Seeding,
        State::Checking,
        State::Metadata,
        State::Queued,
        State::Moving,
        State::Paused,
        State::Error,
    ];
    let mut counts = [0_usize; 8];
    for (_, view) in &snapshot.torrents {
        if let Some(at) = all.iter().position(|state| *state == view.state) {
            counts[at] += 1;
        }
    }
    let counted = all.iter().zip(counts).filter(|(_, count)| *count > 0);
    counted.map(|(state, count)| format!("{count} {}", state.word())).collect::<Vec<_>>().join("  ")
}

fn welcome(pen: &mut Painter<'_>, area: Rect, model: &AppState, snapshot: &Snapshot) {
    let theme = *pen.theme;
    let width = area.width.min(58);
    let x = area.x + (area.width - width) / 2 + 1;
    let mut y = area.y + area.height.saturating_sub(8) * 2 / 5;
    pen.put(x, y, width, "No torrents yet", theme.strong);
    y += 2;
    let rows = [
        (model.keymap.shown(Action::App(AppAction::Add)), "add a torrent: a .torrent file, a URL, a magnet link"),
        ("", "or paste it here, one per line"),
        (model.keymap.shown(Action::App(AppAction::Palette)), "command palette"),
        (model.keymap.shown(Action::App(AppAction::Settings)), "settings"),
        (model.keymap.shown(Action::App(AppAction::Help)), "all keys"),
        (model.keymap.shown(Action::App(AppAction::Quit)), "quit"),
    ];
    let column = rows.iter().map(|(key, _)| cells(key)).max().unwrap_or(1) + 2;
    for (key, text) in rows {
        if y + 1 >= area.bottom() {
            return;
        }
        pen.put(x, y, column, key, theme.accent);
        pen.put(
            x + column,
            y,
            width.saturating_sub(column + 1),
            text,
            if key.is_empty() { theme.dim } else { theme.text },
        );
        y += 1;
    }
    if snapshot.port.is_none() && snapshot.port_status.is_empty() && y + 1 < area.bottom() {
        pen.put(x, y + 1, width, "starting", theme.faint);
    }
}

/// Draws the sentence that says what limits the selected torrent.
fn why(pen: &mut Painter<'_>, r: &Regions, model: &AppState, snapshot: &Snapshot) {
    let area = r.why;
    let theme = model.theme;
    if area.is_empty() {
        return;
    }
    let mut y = area.y;
    if area.height > 1 {
        pen.rule(area, "why", theme.dim);
        y += 1;
    }
    let Some(view) = model.chosen(snapshot) else { return };
    let sentence = model.why_text(view);
    let style = if view.error.is_some() { theme.bad } else { theme.text };
    if area.height <= 2 {
        let more = format!("[{}] more", model.keymap.shown(Action::Torrent(TorrentAction::Why)));
        let mut right = area.right() - 1;
        if area.width >= 60 && !view.why.numbers.is_empty() {
            right = pen.put_right(right, y, 12, &more, theme.dim) - 2;
        }
        pen.put(area.x + 1, y, right.saturating_sub(area.x + 1), &sentence, style);
        return;
    }
    let mut lines = wrap(&sentence, area.width - 2);
    let room = usize::from((area.height - 1) / 2).max(3);
    if lines.len() > room {
        lines.truncate(room);
        lines.iter_mut().skip(room - 1).for_each(|line| line.push(theme.glyphs.cut));
    }
    let inner = Rect { x: area.x + 1, y, width: area.width - 2, height: area.bottom() - y };
    let used = (lines.len() as u16).min(inner.height);
    let lines: Vec<Line<'_>> = lines.into_iter().map(|line| fit(Line::from(line), inner.width, &theme)).collect();
    Paragraph::new(lines).style(style).render(inner, pen.buf);
    let numbers: Vec<Pair<'_>> = view.why.numbers.iter().map(|(label, value)| Pair::new(label, value)).collect();
    let below = Rect { y: inner.y + used, height: inner.height - used, ..inner };
    let arrangement = Arrangement::Right { wrap: true };
    KeyValues { pairs: &numbers, theme: &theme, arrangement }.render(below, pen.buf);
}

fn status(pen: &mut Painter<'_>, area: Rect, model: &AppState) {
    let theme = model.theme;
    let y = area.y;
    if model.filtering || !model.filter.is_empty() {
        let x = pen.put(area.x + 1, y, 2, "/", theme.accent);
        let (text, _) = model.filter.window(area.width.saturating_sub(30));
        let x = pen.put(x, y, area.width.saturating_sub(30), &text, theme.strong);
        let found = model.rows.len();
        let (keep, clear) = (model.keymap.shown(CONFIRM), model.keymap.shown(CLOSE));
        let rest = if model.filtering { format!("{keep} keep  {clear} clear") } else { format!("{clear} clear") };
        pen.put_right(area.right() - 1, y, 24, &rest, theme.dim);
        let text = if found == 0 { "no match".to_owned() } else { format!("{found} found") };
        pen.put(x + 3, y, area.right().saturating_sub(x + 28), &text, theme.dim);
        return;
    }
    if let Some(notice) = &model.notice {
        pen.put(area.x + 1, y, area.width - 2, &notice.text, theme.strong);
        return;
    }
    let key = model.keymap.shown(Action::App(AppAction::Quit));
    let right = pen.put_right(area.right() - 1, y, 16, &format!("{key} quit"), theme.dim);
    pen.put(right, y, 11, key, theme.accent);
    let mut x = area.x + 1;
    for (key, hint) in hints(model, right.saturating_sub(x)) {
        let end = pen.put(x, y, cells(key), key, theme.accent);
        x = pen.put(end + 1, y, cells(hint), hint, theme.dim) + 2;
    }
}

/// Returns the key hints that fit in `room` cells of the status line: keys of the focused list before torrent keys;
/// help and pane switching take precedence when space is short.
fn hints(model: &AppState, room: u16) -> Vec<(&str, &'static str)> {
    let places = model.key_contexts();
    let narrow = places[0];
    let here = |line: &&ActiveBinding| places.contains(&line.binding.place) && !line.binding.hint.is_empty();
    let mut lines: Vec<_> = model.keymap.lines().iter().filter(here).collect();
    lines.sort_by_key(|line| line.binding.place != narrow);
    let first = |act| match act {
        Action::App(AppAction::Help) => 0,
        Action::View(ViewAction::Pane) => 1,
        _ => 2,
    };
    let mut wanted: Vec<usize> = (0..lines.len()).collect();
    wanted.sort_by_key(|at| first(lines[*at].binding.act));
    let (mut left, mut kept) = (room, Vec::new());
    for at in wanted {
        let (binding, key) = (lines[at].binding, lines[at].keys.first());
        // Skips keys that a narrower context shadows, and actions without a key.
        let holds = key.is_some_and(|key| model.keymap.lookup(&places, *key) == Some(binding.act));
        let width = cells(lines[at].first()) + 1 + cells(binding.hint) + 2;
        if holds && binding.act != Action::App(AppAction::Quit) && width <= left {
            left -= width;
            kept.push(at);
        }
    }
    kept.sort_unstable();
    kept.into_iter().map(|at| (lines[at].first(), lines[at].binding.hint)).collect()
}

fn filter_cursor(area: Rect, model: &AppState) -> Option<(u16, u16)> {
    if !model.filtering {
        return None;
    }
    let (_, at) = model.filter.window(area.width.saturating_sub(30));
    Some((area.x + 2 + at, area.y))
}
