//! What a message does to the model, and what it asks of the engine. Pure: the same model, message and snapshot always
//! give the same.

use std::time::Duration;

use ratatui::layout::Rect;

use crate::api::{AddTorrent, Command, PeerKey, Priority, Snapshot, State, TorrentId, Wish};
use crate::ui::answer;
use crate::ui::edit::{Edit, LONGEST};
use crate::ui::keys::{Act, Key, Place, Tab, lookup};
use crate::ui::layout::{Regions, regions};
use crate::ui::model::{Dialog, Model, Msg, Notice, Pane, PeerSort, Sort, find, scroll};
use crate::ui::order::refresh;
use crate::ui::{peers, tabs, torrents};

/// How long a sentence stays in the status line.
const NOTICE: Duration = Duration::from_secs(8);

/// Changes the model as the message says, and returns what the engine is to do.
pub fn update(model: &mut Model, msg: Msg, snapshot: &Snapshot) -> Vec<Command> {
    let mut commands = Vec::new();
    let seen = !matches!(msg, Msg::Tick(_));
    let before = model.selected;
    match msg {
        Msg::Key(key) => press(model, key, snapshot, &mut commands),
        Msg::Paste(text) => answer::paste(model, &text),
        Msg::Click(x, y) => click(model, x, y, snapshot),
        Msg::Wheel(x, y, step) => wheel(model, x, y, step, snapshot),
        Msg::Resize(width, height) => model.size = (width, height),
        Msg::Tick(clock) => tick(model, clock, snapshot),
        Msg::Snapshot => {
            model.history.note(model.clock, snapshot.down, snapshot.up);
            refresh(model, snapshot, false);
        }
        Msg::Added(id) => {
            if model.adding > 0 {
                model.adding -= 1;
                model.wanted = Some(id);
            }
        }
        Msg::Refused(what, why) => {
            model.adding = model.adding.saturating_sub(1);
            answer::refused(model, &what, &why);
        }
        Msg::Complete(id) => {
            let name = find(snapshot, id).map_or("a torrent", |view| view.name.as_str());
            notice(model, &format!("{name} is complete"));
        }
        Msg::Notice(text) => notice(model, &text),
    }
    if seen {
        settle(model, before, snapshot, &mut commands);
        model.dirty = true;
    }
    model.adding += commands.iter().filter(|command| matches!(command, Command::Add(_))).count();
    commands
}

/// Shows a sentence in the status line for a while.
pub fn notice(model: &mut Model, text: &str) {
    let head: String = text.chars().take(1000).collect();
    model.notice = Some(Notice { text: head, until: model.clock + NOTICE });
}

fn tick(model: &mut Model, clock: Duration, snapshot: &Snapshot) {
    model.clock = clock.max(model.clock);
    let moved = model.history.moved();
    model.history.note(model.clock, snapshot.down, snapshot.up);
    let over = model.notice.as_ref().is_some_and(|notice| notice.until <= model.clock);
    if over {
        model.notice = None;
    }
    model.dirty |= over || moved;
}

/// After anything: something that exists is chosen, it is seen, and the engine knows of it if it is not the one `before`.
fn settle(model: &mut Model, before: Option<TorrentId>, snapshot: &Snapshot, commands: &mut Vec<Command>) {
    if let Some(id) = model.wanted.filter(|id| find(snapshot, *id).is_some()) {
        model.wanted = None;
        model.selected = Some(id);
        refresh(model, snapshot, false);
    }
    // A question about what has gone answers itself.
    model.dialogs.retain(|dialog| match dialog {
        Dialog::Remove { id, .. } => find(snapshot, *id).is_some(),
        Dialog::Why => !snapshot.torrents.is_empty(),
        _ => true,
    });
    match model.row(snapshot) {
        Some(row) => model.last_row = row,
        None if model.rows.is_empty() => model.selected = None,
        // The chosen one has gone: its place is taken by the one that follows.
        None => {
            let row = model.last_row.min(model.rows.len() - 1);
            model.selected = snapshot.torrents.get(model.rows[row]).map(|(id, _)| *id);
        }
    }
    if model.selected != before {
        model.peer = None;
        model.peers_top = 0;
        model.cursor = [0; Tab::ALL.len()];
        model.peer_keys.clear();
        refresh(model, snapshot, false);
        commands.push(Command::Focus(model.selected));
    }
    let r = screen(model, snapshot);
    model.top = scroll(model.top, model.row(snapshot), torrents::height(&r), model.rows.len());
    let Some(detail) = model.detail(snapshot) else { return };
    let chosen = model.peer_row(detail);
    model.peers_top = scroll(model.peers_top, chosen, peers::height(peers::area(&r)), model.peers.len());
}

/// Where everything is now.
fn screen(model: &Model, snapshot: &Snapshot) -> Regions {
    regions(model, snapshot, Rect::new(0, 0, model.size.0, model.size.1))
}

fn press(model: &mut Model, key: Key, snapshot: &Snapshot, commands: &mut Vec<Command>) {
    if key == Key::Ctrl('c') {
        model.quit = true;
    } else if !model.dialogs.is_empty() {
        answer::key(model, key, snapshot, commands);
    } else if model.filtering {
        filter_key(model, key, snapshot);
    } else {
        model.notice = None;
        let places: &[Place] = match (model.pane, model.tab) {
            (Pane::Detail, Tab::Peers) => &[Place::Peers, Place::Torrents, Place::Everywhere],
            (Pane::Detail, Tab::Files) => &[Place::Files, Place::Torrents, Place::Everywhere],
            (Pane::Detail, Tab::Trackers) => &[Place::Trackers, Place::Torrents, Place::Everywhere],
            _ => &[Place::Torrents, Place::Everywhere],
        };
        if let Some(act) = lookup(places, key) {
            perform(model, act, snapshot, commands);
        }
    }
}

fn filter_key(model: &mut Model, key: Key, snapshot: &Snapshot) {
    match key {
        Key::Enter => model.filtering = false,
        Key::Esc => {
            model.filtering = false;
            model.filter = Edit::default();
        }
        Key::Up | Key::Down => step(model, if key == Key::Up { -1 } else { 1 }, snapshot),
        key => {
            model.filter.key(key);
        }
    }
    refresh(model, snapshot, false);
}

/// Does what a key of the table asks for.
fn perform(model: &mut Model, act: Act, snapshot: &Snapshot, commands: &mut Vec<Command>) {
    match act {
        Act::Help => model.dialogs.push(Dialog::Help { top: 0 }),
        Act::Quit => quit(model, snapshot),
        Act::Close => {
            close(model);
            refresh(model, snapshot, false);
        }
        Act::Stop => model.quit = true,
        Act::Pane => {
            model.pane = if model.pane == Pane::List { Pane::Detail } else { Pane::List };
        }
        Act::Tab(tab) => model.tab = tab,
        Act::TabRight => model.tab = model.tab.step(1),
        Act::TabLeft => model.tab = model.tab.step(Tab::ALL.len() - 1),
        Act::Up => step(model, -1, snapshot),
        Act::Down => step(model, 1, snapshot),
        Act::PageUp | Act::HalfUp | Act::PageDown | Act::HalfDown => {
            let r = screen(model, snapshot);
            let page = if model.pane == Pane::List { torrents::height(&r) } else { peers::height(r.pane) };
            let page = i64::try_from(page).unwrap_or(1).max(2);
            let length = if matches!(act, Act::PageUp | Act::PageDown) { page } else { page / 2 };
            step(model, if matches!(act, Act::PageUp | Act::HalfUp) { -length } else { length }, snapshot);
        }
        Act::First => step(model, i64::MIN / 2, snapshot),
        Act::Last => step(model, i64::MAX / 2, snapshot),
        Act::Zoom => model.zoom = !model.zoom,
        Act::Filter => {
            model.filtering = true;
            model.pane = Pane::List;
        }
        Act::Why if model.selected.is_some() => model.dialogs.push(Dialog::Why),
        Act::Theme => {
            model.theme = crate::ui::style::Theme::new(model.theme.name.next(), model.theme.ascii);
            notice(model, &format!("theme: {}", model.theme.name.word()));
        }
        Act::Redraw => model.redraw = true,
        Act::Add => model.dialogs.push(Dialog::Add { edit: Edit::default(), before: Vec::new() }),
        Act::PauseAll => pause_all(model, snapshot, commands),
        Act::Sort | Act::Reverse => resort(model, act, snapshot),
        act => {
            if let Some(id) = model.selected {
                on_chosen(model, act, id, snapshot, commands);
            }
        }
    }
}

/// What is asked of the chosen torrent.
fn on_chosen(model: &mut Model, act: Act, id: TorrentId, snapshot: &Snapshot, commands: &mut Vec<Command>) {
    let Some(view) = find(snapshot, id) else { return };
    match act {
        Act::Pause => commands.push(match view.state {
            State::Paused | State::Error => Command::Resume(id),
            _ => Command::Pause(id),
        }),
        Act::Remove => model.dialogs.push(Dialog::Remove { id, data: false }),
        Act::Verify => {
            commands.push(Command::Wish(id, Wish::Verify));
            notice(model, &format!("hashing {} again", view.name));
        }
        Act::Announce => {
            commands.push(Command::Wish(id, Wish::Announce(None)));
            notice(model, &format!("asking the trackers of {}", view.name));
        }
        Act::Sequential => {
            commands.push(Command::Wish(id, Wish::Sequential(!view.sequential)));
            let order = if view.sequential { "rarest pieces first" } else { "pieces in order" };
            notice(model, &format!("{}: {order}", view.name));
        }
        Act::Ban | Act::Kick => {
            let Some(key) = model.peer else {
                notice(model, "choose a peer with the arrow keys first");
                return;
            };
            let wish = if act == Act::Ban { Wish::Ban(PeerKey(key)) } else { Wish::Kick(PeerKey(key)) };
            commands.push(Command::Wish(id, wish));
        }
        Act::FileWanted | Act::FileMore | Act::FileLess => {
            let at = model.cursor[Tab::Files as usize];
            let Some(file) = view.detail.as_deref().and_then(|detail| detail.files.get(at)) else { return };
            let priority = match (act, file.priority) {
                (Act::FileWanted, Priority::Skip) => Priority::Normal,
                (Act::FileWanted, _) => Priority::Skip,
                (Act::FileMore, Priority::Skip) => Priority::Low,
                (Act::FileMore, Priority::Low) => Priority::Normal,
                (Act::FileMore, _) => Priority::High,
                (_, Priority::High) => Priority::Normal,
                (_, Priority::Normal) => Priority::Low,
                (_, _) => Priority::Skip,
            };
            commands.push(Command::Wish(id, Wish::Priority(vec![(file.index, priority)])));
        }
        _ => {}
    }
}

fn pause_all(model: &mut Model, snapshot: &Snapshot, commands: &mut Vec<Command>) {
    let stopped = |state: State| matches!(state, State::Paused | State::Error);
    let running = snapshot.torrents.iter().any(|(_, view)| !stopped(view.state));
    for (id, view) in &snapshot.torrents {
        match (running, stopped(view.state)) {
            (true, false) => commands.push(Command::Pause(*id)),
            (false, _) => commands.push(Command::Resume(*id)),
            (true, true) => {}
        }
    }
    if !snapshot.torrents.is_empty() {
        notice(model, if running { "pausing all" } else { "resuming all" });
    }
}

fn quit(model: &mut Model, snapshot: &Snapshot) {
    if model.zoom || !model.filter.is_empty() {
        close(model);
        refresh(model, snapshot, false);
        return;
    }
    let unfinished = snapshot
        .torrents
        .iter()
        .filter(|(_, view)| view.done < view.wanted && !matches!(view.state, State::Paused | State::Error))
        .count();
    if unfinished == 0 {
        model.quit = true;
    } else {
        model.dialogs.push(Dialog::Quit { unfinished });
    }
}

/// Takes back one thing that is in front: the zoom, the filter, the pane.
fn close(model: &mut Model) {
    if model.zoom {
        model.zoom = false;
    } else if !model.filter.is_empty() {
        model.filter = Edit::default();
    } else {
        model.pane = Pane::List;
    }
}

fn resort(model: &mut Model, act: Act, snapshot: &Snapshot) {
    let peers = model.pane == Pane::Detail && model.tab == Tab::Peers;
    match (act, peers) {
        (Act::Reverse, true) => model.peer_reverse = !model.peer_reverse,
        (Act::Reverse, false) => model.reverse = !model.reverse,
        (_, true) => {
            model.peer_sort = PeerSort::ALL[(model.peer_sort as usize + 1) % PeerSort::ALL.len()];
            model.peer_reverse = false;
        }
        (_, false) => {
            model.sort = Sort::ALL[(model.sort as usize + 1) % Sort::ALL.len()];
            model.reverse = false;
        }
    }
    refresh(model, snapshot, true);
}

/// `from` moved by `by`, from 0 to before `count`.
fn moved(from: usize, by: i64, count: usize) -> usize {
    let last = i64::try_from(count).unwrap_or(i64::MAX).saturating_sub(1).max(0);
    let from = i64::try_from(from).unwrap_or(last);
    usize::try_from(from.saturating_add(by).clamp(0, last)).unwrap_or(0)
}

/// Moves what is chosen in the pane that has the keys.
fn step(model: &mut Model, by: i64, snapshot: &Snapshot) {
    if model.pane == Pane::List {
        if !model.rows.is_empty() {
            let row = moved(model.row(snapshot).unwrap_or(0), by, model.rows.len());
            model.selected = snapshot.torrents.get(model.rows[row]).map(|(id, _)| *id);
        }
        return;
    }
    let Some(detail) = model.detail(snapshot) else { return };
    if model.tab == Tab::Peers {
        if !model.peers.is_empty() {
            let row = model
                .peer_row(detail)
                .map_or(if by < 0 { model.peers.len() - 1 } else { 0 }, |row| moved(row, by, model.peers.len()));
            model.peer = detail.peers.get(model.peers[row]).map(|peer| peer.key);
        }
        return;
    }
    let count = tabs::lines(model.tab, detail);
    let tab = model.tab as usize;
    // The log is followed from its end.
    let by = if model.tab == Tab::Log { by.saturating_neg() } else { by };
    model.cursor[tab] = moved(model.cursor[tab].min(count), by, count);
}

fn click(model: &mut Model, x: u16, y: u16, snapshot: &Snapshot) {
    if !model.dialogs.is_empty() {
        return;
    }
    let r = screen(model, snapshot);
    let at = ratatui::layout::Position::new(x, y);
    if r.list.contains(at) {
        model.pane = Pane::List;
        if y == r.list.y {
            if let Some(sort) = torrents::column_at(&r, x) {
                model.reverse = sort == model.sort && !model.reverse;
                model.sort = sort;
                refresh(model, snapshot, true);
            }
            return;
        }
        let row = model.top + usize::from(y - r.list.y - 1);
        if let Some((id, _)) = model.rows.get(row).and_then(|at| snapshot.torrents.get(*at)) {
            model.selected = Some(*id);
        }
    } else if r.tabs.contains(at) {
        model.pane = Pane::Detail;
        if let Some(tab) = tabs::tab_at(r.tabs, x) {
            model.tab = tab;
        }
    } else if r.pane.contains(at) && !r.welcome {
        model.pane = Pane::Detail;
        let header = u16::from(peers::has_header(r.pane));
        if model.tab == Tab::Peers && y >= r.pane.y + header {
            let row = model.peers_top + usize::from(y - r.pane.y - header);
            let key = model.detail(snapshot).and_then(|d| d.peers.get(*model.peers.get(row)?)).map(|peer| peer.key);
            model.peer = key.or(model.peer);
        }
    } else if r.why.contains(at) && model.selected.is_some() {
        model.dialogs.push(Dialog::Why);
    }
}

fn wheel(model: &mut Model, x: u16, y: u16, by: i32, snapshot: &Snapshot) {
    if let Some(Dialog::Help { top }) = model.dialogs.last_mut() {
        *top = top.saturating_add_signed(by as isize * 3);
        return;
    }
    if !model.dialogs.is_empty() {
        return;
    }
    let r = screen(model, snapshot);
    let at = ratatui::layout::Position::new(x, y);
    let pane = model.pane;
    if r.list.contains(at) {
        model.pane = Pane::List;
        step(model, i64::from(by), snapshot);
    } else if r.pane.contains(at) {
        model.pane = Pane::Detail;
        step(model, i64::from(by) * 3, snapshot);
    }
    model.pane = pane;
}

/// What a typed or pasted line asks to add: quotes of a dropped file, `file://` and `~/` are understood.
#[must_use]
pub fn to_add(line: &str, home: Option<&str>) -> Option<AddTorrent> {
    let line = line.trim();
    let bare = ['"', '\''].iter().find_map(|q| line.strip_prefix(*q)?.strip_suffix(*q)).unwrap_or(line);
    let bare = bare.strip_prefix("file://").unwrap_or(bare);
    let what = match (bare.strip_prefix("~/"), home) {
        (Some(rest), Some(home)) => format!("{}/{rest}", home.trim_end_matches('/')),
        _ => bare.to_owned(),
    };
    let fits = !what.is_empty() && what.len() <= LONGEST;
    fits.then(|| AddTorrent { what, ..AddTorrent::default() })
}
