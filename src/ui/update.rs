//! What a message does to the model, and what it asks of the engine. Pure: the same model, message and snapshot always
//! give the same.

use std::time::Duration;

use crate::api::{Command, Snapshot, State, TorrentId, TorrentView};
use crate::ui::answer;
use crate::ui::chooser::Chooser;
use crate::ui::edit::Edit;
use crate::ui::keys::{Act, Key, Place, Tab};
use crate::ui::model::{Dialog, Model, Msg, Notice, Pane, find, scroll};
use crate::ui::order::refresh;
use crate::ui::{acts, create, front, overwrite, panes, peer, peers, torrents, walk};

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
        Msg::Click(x, y) if model.dialogs.is_empty() => walk::click(model, x, y, snapshot),
        Msg::Click(x, y) => answer::click(model, x, y, snapshot, &mut commands),
        Msg::Wheel(x, y, step) if model.dialogs.is_empty() => walk::wheel(model, x, y, step, snapshot),
        Msg::Wheel(_, _, step) => answer::wheel(model, step, snapshot, &mut commands),
        Msg::Listing(listing) => answer::listing(model, &listing),
        Msg::Inspected(what, contents) => {
            answer::inspected(model, &what, contents.map(|contents| *contents), snapshot, &mut commands);
        }
        Msg::Creating(making) => create::come(model, making),
        Msg::Resize(width, height) => model.size = (width, height),
        Msg::Tick(clock) => tick(model, clock, snapshot),
        Msg::Snapshot => {
            model.history.note(model.clock, snapshot.down, snapshot.up);
            model.panes.rates.note(model.clock, snapshot);
            model.panes.tree.touch();
            refresh(model, snapshot, false);
            let mut hidden = std::mem::take(&mut model.panes.hidden);
            hidden.refresh(snapshot);
            model.panes.hidden = hidden;
        }
        Msg::Added(id) => added(model, id),
        Msg::Known(id, text) => {
            added(model, id);
            let text = model.panes.hidden.sentence(&text).into_owned();
            notice(model, &text);
        }
        Msg::Refused(what, why) => {
            model.adding = model.adding.saturating_sub(1);
            answer::refused(model, &what, &why);
        }
        Msg::Complete(id) => {
            let name = find(snapshot, id).map(|view| model.panes.hidden.name(id, &view.name));
            let sentence = format!("{} is complete", name.as_deref().unwrap_or("a torrent"));
            front::complete(model, &sentence);
            notice(model, &sentence);
        }
        // Behind what is being typed.
        Msg::Choose(id, contents) => {
            let chooser = Box::new(Chooser::waiting(*contents));
            model.dialogs.insert(0, Dialog::Choose { id, chooser });
        }
        Msg::Occupied(id, name, text, ask) => overwrite::occupied(model, (id, &name), &text, ask),
        Msg::Magnets(asked, links) => front::copied(model, asked, links),
        Msg::Notice(id, text) => {
            let mut text = model.panes.hidden.sentence(&text).into_owned();
            // What a torrent says of itself is read beside a list of many.
            if let Some((id, view)) = id.and_then(|id| Some((id, find(snapshot, id)?))) {
                let name = model.panes.hidden.name(id, &view.name);
                if !text.contains(&name) {
                    text = format!("{name}: {text}");
                }
            }
            notice(model, &text);
        }
    }
    if seen {
        settle(model, before, snapshot, &mut commands);
        model.dirty = true;
    }
    model.adding += commands.iter().filter(|command| matches!(command, Command::Add(_))).count();
    commands
}

/// Chooses a torrent that was added, where the user added one.
fn added(model: &mut Model, id: TorrentId) {
    if model.adding > 0 {
        model.adding -= 1;
        model.wanted = Some(id);
    }
}

/// Shows a sentence in the status line for a while.
pub fn notice(model: &mut Model, text: &str) {
    let head: String = text.chars().take(1000).collect();
    model.notice = Some(Notice { text: head, until: model.clock + NOTICE });
}

fn tick(model: &mut Model, clock: Duration, snapshot: &Snapshot) {
    model.clock = clock.max(model.clock);
    let moved = model.history.moved(model.panes.span);
    model.history.note(model.clock, snapshot.down, snapshot.up);
    model.panes.rates.note(model.clock, snapshot);
    front::tick(model, snapshot);
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
    answer::settle(model, snapshot);
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
        model.panes.leave();
        refresh(model, snapshot, false);
        commands.push(Command::Focus(model.selected));
    }
    panes::settle(model, snapshot, commands);
    let r = walk::screen(model, snapshot);
    model.top = scroll(model.top, model.row(snapshot), torrents::height(&r), model.rows.len());
    let Some(detail) = model.detail(snapshot) else { return };
    let chosen = model.peer_row(detail);
    let height = peers::height(peers::area(r.pane, detail));
    model.peers_top = scroll(model.peers_top, chosen, height, model.peers.len());
}

fn press(model: &mut Model, key: Key, snapshot: &Snapshot, commands: &mut Vec<Command>) {
    if key == Key::Ctrl('c') {
        model.quit = true;
    } else if model.keymap.lookup(&[Place::Everywhere], key) == Some(Act::Redraw) && matches!(key, Key::Ctrl(_)) {
        // Whatever is in front may have to be drawn anew.
        model.redraw = true;
    } else if !model.dialogs.is_empty() {
        answer::key(model, key, snapshot, commands);
    } else if model.filtering {
        filter_key(model, key, snapshot);
    } else {
        model.notice = None;
        if let Some(act) = model.keymap.lookup(&model.places(), key) {
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
        Key::Up | Key::Down => walk::step(model, if key == Key::Up { -1 } else { 1 }, snapshot),
        key => {
            model.filter.key(key);
        }
    }
    refresh(model, snapshot, false);
}

/// Does what a key of the table asks for.
pub fn perform(model: &mut Model, act: Act, snapshot: &Snapshot, commands: &mut Vec<Command>) {
    if front::act(model, act, snapshot, commands) {
        return;
    }
    match act {
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
        Act::Zoom => model.zoom = !model.zoom,
        Act::Filter => {
            model.filtering = true;
            model.pane = Pane::List;
        }
        Act::Redraw => model.redraw = true,
        act => {
            acts::act(model, act, snapshot, commands);
        }
    }
}

fn quit(model: &mut Model, snapshot: &Snapshot) {
    if model.zoom || !model.filter.is_empty() || peer::is_open(model) {
        close(model);
        refresh(model, snapshot, false);
        return;
    }
    // Of a magnet link without its metadata not even the size is known.
    let unfinished = |view: &TorrentView| match view.state {
        State::Paused | State::Error => false,
        State::Metadata => true,
        _ => view.done < view.wanted,
    };
    let unfinished = snapshot.torrents.iter().filter(|(_, view)| unfinished(view)).count();
    if unfinished == 0 {
        model.quit = true;
    } else {
        model.dialogs.push(Dialog::Quit { unfinished });
    }
}

/// Takes back one thing that is in front: an open peer, the zoom, the filters, the marks, the pane.
fn close(model: &mut Model) {
    if acts::close(model) {
    } else if model.zoom {
        model.zoom = false;
    } else if !model.filter.is_empty() {
        model.filter = Edit::default();
    } else if model.panes.only != panes::Only::All {
        model.panes.only = panes::Only::All;
    } else if !model.panes.marks.is_empty() {
        model.panes.marks.clear();
    } else {
        model.pane = Pane::List;
    }
}
