//! The whole screen, drawn from the model and the last snapshot. Pure: it reads both and writes cells.
//!
//! ```text
//!  ttui  3 torrents   ↓ 11.2 MB/s  ↑ 3.4 MB/s                  port 6881 listening   free 41G   header
//!    Name                         Size  Done    ↓/s    ↑/s    Peers   ETA  State
//!  > debian-13.1-amd64.iso        3.9G   62%  10.9M   1.2M   38/112  2m14  down               list
//! ── why ─────────────────────────────────────────────────────────────────────
//!  31 of 38 peers choke us                                             [w] more               why
//! ── 1 Info  2 Pieces [3 Peers] 4 Files  5 Trackers  6 Log ───────────────────                tabs
//!  ████████████▓▓██▓░░░░░▒░░░░▒▒░▒▒▒░░               1240/1996  copies 6.42                   strip
//!    Address               Client        Flags  Done    ↓/s    ↑/s    Reqs  Src
//!    192.168.1.20:51413    Transm 4.1.3  DUEL   100%   6.1M      -    64/0  LAN               pane
//!  a add  p pause  d remove  v verify  / find  Tab pane  ? help          q quit               status
//! ```
//!
//! A medium screen adds a graph beside the list and a log; a large one has three columns, see [`layout`](super::layout).

use ratatui::Frame;
use ratatui::layout::Rect;

use crate::api::{DhtState, Snapshot, State};
use crate::ui::keys::Act;
use crate::ui::layout::{Class, Regions, regions};
use crate::ui::model::{Model, Pane};
use crate::ui::pen::Pen;
use crate::ui::text::{cells, clean_within, rate_long, size, wrap};
use crate::ui::{dialog, graph, log, peers, pieces, side, tabs, torrents};

/// Draws everything.
pub fn view(model: &Model, snapshot: &Snapshot, frame: &mut Frame<'_>) {
    // Where names are hidden, nothing that is drawn ever sees them.
    let snapshot = model.panes.hidden.shown(snapshot);
    let area = frame.area();
    let r = regions(model, snapshot, area);
    let mut pen = Pen { buf: frame.buffer_mut(), theme: &model.theme };
    if let Some(ground) = model.theme.ground {
        pen.restyle(area, ground);
    }
    if r.class == Class::Line {
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
    let cursor = dialog::draw(&mut pen, area, model, snapshot).or_else(|| filter_cursor(r.status, model));
    if let Some(at) = cursor {
        frame.set_cursor_position(at);
    }
}

fn panes(pen: &mut Pen<'_>, r: &Regions, model: &Model, snapshot: &Snapshot) {
    torrents::draw(pen, r, model, snapshot);
    if r.class == Class::Large && !model.zoom {
        let height = r.list.height + r.log.height;
        pen.column(r.list.right(), r.list.y, height);
        pen.column(r.side.x - 1, r.list.y, height);
    } else if !r.graph.is_empty() {
        pen.column(r.list.right(), r.list.y, r.list.height);
    }
    graph::draw(pen, r.graph, model);
    let chosen = model.chosen(snapshot);
    why(pen, r, model, snapshot);
    if !r.tabs.is_empty() {
        tabs::bar(pen, r.tabs, model, chosen);
    }
    let Some(view) = chosen else { return };
    let detail = view.detail.as_deref();
    pieces::strip(pen, r.strip, model, view, detail);
    if let Some(detail) = detail {
        tabs::draw(pen, r, model, snapshot, view, detail);
        if !r.peers.is_empty() {
            peers::busiest(pen, r.peers, model, detail);
        }
        log::tail(pen, r.log, snapshot, detail);
    }
    if detail.is_none() && r.pane.height > 0 {
        pen.put(r.pane.x + 3, r.pane.y, r.pane.width.saturating_sub(4), "asking for its numbers", model.theme.faint);
    }
    side::draw(pen, r.side, snapshot, view);
}

fn line(pen: &mut Pen<'_>, area: Rect, model: &Model, snapshot: &Snapshot) {
    let glyphs = model.theme.glyphs;
    let (down, up) = (crate::ui::text::rate(snapshot.down), crate::ui::text::rate(snapshot.up));
    let count = snapshot.torrents.len();
    let mut x = pen.put(area.x, area.y, area.width, "ttui", model.theme.strong);
    for (mark, text, style) in [(glyphs.down, down, model.theme.down), (glyphs.up, up, model.theme.up)] {
        x = pen.put(x + 1, area.y, area.right().saturating_sub(x + 1), &format!("{mark}{text}"), style);
    }
    let text = if count == 1 { "1 torrent".to_owned() } else { format!("{count} torrents") };
    pen.put(x + 1, area.y, area.right().saturating_sub(x + 1), &text, model.theme.dim);
}

fn header(pen: &mut Pen<'_>, area: Rect, model: &Model, snapshot: &Snapshot) {
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
    let mut right = area.right() - 1;
    if let Some(free) = snapshot.free
        && right >= x + 10
    {
        let short = free < 1_000_000_000;
        let start =
            pen.put_right(right, y, 10, &format!("free {}", size(free)), if short { theme.bad } else { theme.dim });
        right = start.saturating_sub(2);
    }
    let port = match snapshot.port {
        // The engine may name the port in its sentence: once is enough.
        Some(port) => {
            format!("port {port} {}", snapshot.port_state.replacen(&format!(" on port {port}"), "", 1))
        }
        None if snapshot.port_state.is_empty() => "starting".to_owned(),
        None => format!("no port: {}", snapshot.port_state),
    };
    let room = right.saturating_sub(x + 1);
    if room >= 10 {
        let started = snapshot.port.is_some() || snapshot.port_state.is_empty();
        right = pen.put_right(right, y, room, &port, if started { theme.dim } else { theme.warn });
    }
    if let Some(dht) = &snapshot.dht {
        let text = nodes(dht);
        let room = right.saturating_sub(x + 3);
        if usize::from(room) >= text.len() {
            let style = if dht.nodes == [0, 0] && !dht.beginning { theme.warn } else { theme.dim };
            right = pen.put_right(right - 2, y, room, &text, style);
        }
    }
    let states = states(snapshot);
    let room = right.saturating_sub(x + 4);
    if room >= crate::ui::text::cells(&states) {
        pen.put(x + 1, y, room, &states, theme.dim);
    }
}

/// How many nodes of the DHT are known: `DHT 312`.
fn nodes(dht: &DhtState) -> String {
    match dht.nodes.iter().sum::<u32>() {
        0 if dht.beginning => "DHT ..".to_owned(),
        0 => "DHT: no nodes".to_owned(),
        n => format!("DHT {n}"),
    }
}

fn cells_of(count: usize) -> u16 {
    u16::try_from(count.to_string().len()).unwrap_or(0) + 11
}

/// How many torrents do what, for wide screens.
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

fn welcome(pen: &mut Pen<'_>, area: Rect, model: &Model, snapshot: &Snapshot) {
    let theme = *pen.theme;
    let width = area.width.min(58);
    let x = area.x + (area.width - width) / 2 + 1;
    let mut y = area.y + area.height.saturating_sub(8) * 2 / 5;
    pen.put(x, y, width, "No torrents yet", theme.strong);
    y += 2;
    let rows = [
        (model.keymap.shown(Act::Add), "add a torrent: a .torrent file, its URL, or a magnet link"),
        ("", "or paste it here, one a line"),
        (model.keymap.shown(Act::Palette), "all that can be done, found by typing"),
        (model.keymap.shown(Act::Settings), "settings"),
        (model.keymap.shown(Act::Help), "all keys"),
        (model.keymap.shown(Act::Quit), "quit"),
    ];
    let column = rows.iter().map(|(key, _)| crate::ui::text::cells(key)).max().unwrap_or(1) + 2;
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
    if snapshot.port.is_none() && snapshot.port_state.is_empty() && y + 1 < area.bottom() {
        pen.put(x, y + 1, width, "starting the engine", theme.faint);
    }
}

/// The sentence that says why the chosen torrent is no faster.
fn why(pen: &mut Pen<'_>, r: &Regions, model: &Model, snapshot: &Snapshot) {
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
    let (sentence, style) = match &view.error {
        Some(error) => (error.as_str(), theme.bad),
        None => (view.why.sentence.as_str(), theme.text),
    };
    if area.height <= 2 {
        let more = format!("[{}] more", model.keymap.shown(Act::Why));
        let mut right = area.right() - 1;
        if area.width >= 60 && !view.why.numbers.is_empty() {
            right = pen.put_right(right, y, 12, &more, theme.dim) - 2;
        }
        pen.put(area.x + 1, y, right.saturating_sub(area.x + 1), sentence, style);
        return;
    }
    for text in wrap(sentence, area.width - 2).iter().take(3) {
        pen.put(area.x + 1, y, area.width - 2, text, style);
        y += 1;
    }
    for (label, value) in &view.why.numbers {
        // A label and a value that find no room beside each other stand one below the other.
        let long = |text: &str| cells(&clean_within(text, theme.ascii, area.width));
        let beside = long(label) + long(value) + 2 <= area.width - 2;
        if y + u16::from(!beside) >= area.bottom() {
            return;
        }
        let line = Rect::new(area.x + 1, y, area.width - 2, 1);
        if beside {
            side::pair(pen, line, label, value, theme.text);
            y += 1;
        } else {
            pen.put(line.x, y, line.width, label, theme.dim);
            pen.put_right(line.right(), y + 1, line.width - 2, value, theme.text);
            y += 2;
        }
    }
}

fn status(pen: &mut Pen<'_>, area: Rect, model: &Model) {
    let theme = model.theme;
    let y = area.y;
    if model.filtering || !model.filter.is_empty() {
        let x = pen.put(area.x + 1, y, 2, "/", theme.accent);
        let (text, _) = model.filter.window(area.width.saturating_sub(30));
        let x = pen.put(x, y, area.width.saturating_sub(30), &text, theme.strong);
        let found = model.rows.len();
        let rest = if model.filtering { "Enter keep  Esc clear" } else { "Esc clear" };
        pen.put_right(area.right() - 1, y, 24, rest, theme.dim);
        let text = if found == 0 { "none has it".to_owned() } else { format!("{found} found") };
        pen.put(x + 3, y, area.right().saturating_sub(x + 28), &text, theme.dim);
        return;
    }
    if let Some(notice) = &model.notice {
        pen.put(area.x + 1, y, area.width - 2, &notice.text, theme.strong);
        return;
    }
    let key = model.keymap.shown(Act::Quit);
    let right = pen.put_right(area.right() - 1, y, 16, &format!("{key} quit"), theme.dim);
    pen.put(right, y, 11, key, theme.accent);
    let mut x = area.x + 1;
    for line in model.keymap.lines() {
        let binding = line.binding;
        let key = line.shown.split(' ').next().unwrap_or("");
        if binding.hint.is_empty() || binding.act == Act::Quit || key.is_empty() {
            continue;
        }
        let width = u16::try_from(key.len() + 1 + binding.hint.len()).unwrap_or(0);
        if x + width + 2 > right {
            continue;
        }
        let end = pen.put(x, y, width, key, theme.accent);
        x = pen.put(end + 1, y, width, binding.hint, theme.dim) + 2;
    }
    let other = if model.pane == Pane::Detail { "keys go to the lower pane" } else { "" };
    if x + 30 < right {
        pen.put(x + 1, y, right - x - 3, other, theme.faint);
    }
}

fn filter_cursor(area: Rect, model: &Model) -> Option<(u16, u16)> {
    if !model.filtering {
        return None;
    }
    let (_, at) = model.filter.window(area.width.saturating_sub(30));
    Some((area.x + 2 + at, area.y))
}
