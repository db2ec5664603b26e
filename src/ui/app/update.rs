//! The update function of the UI (Elm architecture): applies a message to the state and returns engine commands.
//! Pure: the same state, message and snapshot always give the same result.

use std::time::Duration;

use crate::api::{Command, Snapshot, State, TorrentId, TorrentView};
use crate::ui::app::dialog_stack;
use crate::ui::app::{actions, dialog_actions, navigation};
use crate::ui::dialogs::file_select::FileSelect;
use crate::ui::dialogs::{create, overwrite};
use crate::ui::keys::bindings::{Action, Key, KeyContext, Tab};
use crate::ui::panes::{peers, torrents};
use crate::ui::state::app::{AppState, Dialog, Focus, Message, find};
use crate::ui::state::detail;
use crate::ui::widgets::list::first_visible;
use crate::ui::widgets::text_input::TextInput;

/// Applies a message to the state and returns the commands to send to the engine.
pub fn update(model: &mut AppState, msg: Message, snapshot: &Snapshot) -> Vec<Command> {
    let mut commands = Vec::new();
    let seen = !matches!(msg, Message::Tick(_));
    let before = model.selected;
    match msg {
        Message::Key(key) => press(model, key, snapshot, &mut commands),
        Message::Paste(text) => dialog_stack::paste(model, &text),
        Message::Click(x, y) if model.dialogs.is_empty() => navigation::click(model, x, y, snapshot),
        Message::Click(x, y) => dialog_stack::click(model, x, y, snapshot, &mut commands),
        Message::Wheel(x, y, step) if model.dialogs.is_empty() => navigation::wheel(model, x, y, step, snapshot),
        Message::Wheel(_, _, step) => dialog_stack::wheel(model, step, snapshot, &mut commands),
        Message::Listing(listing) => dialog_stack::listing(model, &listing),
        Message::Inspected(what, contents) => {
            dialog_stack::inspected(model, &what, contents.map(|contents| *contents), snapshot, &mut commands);
        }
        Message::Creating(making) => create::on_create_event(model, making),
        Message::Resize(width, height) => model.size = (width, height),
        Message::Tick(clock) => tick(model, clock, snapshot),
        Message::Snapshot => {
            model.history.note(model.clock, snapshot.down, snapshot.up);
            model.panes.rates.note(model.clock, snapshot);
            model.panes.tree.mark_stale();
            model.refresh_rows(snapshot, false);
            let mut hidden = std::mem::take(&mut model.panes.hidden);
            hidden.refresh(snapshot);
            model.panes.hidden = hidden;
        }
        Message::Added(id) => added(model, id),
        Message::Known(id, text) => {
            added(model, id);
            let text = model.panes.hidden.sentence(&text).into_owned();
            model.notify(&text);
        }
        Message::AddFailed(what, why) => {
            model.adding = model.adding.saturating_sub(1);
            dialog_stack::refused(model, &what, &why);
        }
        Message::Complete(id) => {
            let name = find(snapshot, id).map(|view| model.panes.hidden.name(id, &view.name));
            let sentence = format!("{} is complete", name.as_deref().unwrap_or("a torrent"));
            dialog_actions::complete(model, &sentence);
            model.notify(&sentence);
        }
        // Inserted at the bottom of the stack, behind a dialog in which the user is typing.
        Message::Choose(id, contents) => {
            let chooser = Box::new(FileSelect::waiting(*contents));
            model.dialogs.insert(0, Dialog::Choose { id, chooser });
        }
        Message::Occupied(id, name, text, ask) => overwrite::occupied(model, (id, &name), &text, ask),
        Message::Magnets(asked, links) => dialog_actions::copied(model, asked, links),
        Message::Notice(id, text) => {
            let mut text = model.panes.hidden.sentence(&text).into_owned();
            // Prepends the torrent's name to a notice that does not contain the name.
            if let Some((id, view)) = id.and_then(|id| Some((id, find(snapshot, id)?))) {
                let name = model.panes.hidden.name(id, &view.name);
                if !text.contains(&name) {
                    text = format!("{name}: {text}");
                }
            }
            model.notify(&text);
        }
    }
    if seen {
        settle(model, before, snapshot, &mut commands);
        model.dirty = true;
    }
    model.adding += commands.iter().filter(|command| matches!(command, Command::Add(_))).count();
    commands
}

/// Selects a torrent that was added from the UI.
fn added(model: &mut AppState, id: TorrentId) {
    if model.adding > 0 {
        model.adding -= 1;
        model.wanted = Some(id);
    }
}

fn tick(model: &mut AppState, clock: Duration, snapshot: &Snapshot) {
    model.clock = clock.max(model.clock);
    let moved = model.history.moved(model.panes.span);
    model.history.note(model.clock, snapshot.down, snapshot.up);
    model.panes.rates.note(model.clock, snapshot);
    dialog_actions::tick(model, snapshot);
    let over = model.notice.as_ref().is_some_and(|notice| notice.until <= model.clock);
    if over {
        model.notice = None;
    }
    model.dirty |= over || moved;
}

/// Restores invariants after every message: an existing torrent is selected and visible, and the engine knows the
/// selection if it differs from `before`.
fn settle(model: &mut AppState, before: Option<TorrentId>, snapshot: &Snapshot, commands: &mut Vec<Command>) {
    if let Some(id) = model.wanted.filter(|id| find(snapshot, *id).is_some()) {
        model.wanted = None;
        model.selected = Some(id);
        model.refresh_rows(snapshot, false);
    }
    dialog_stack::settle(model, snapshot);
    match model.row(snapshot) {
        Some(row) => model.last_row = row,
        None if model.rows.is_empty() => model.selected = None,
        // The selected torrent was removed: selects the one that took its row.
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
        model.refresh_rows(snapshot, false);
        commands.push(Command::Focus(model.selected));
    }
    detail::settle(model, snapshot, commands);
    let r = navigation::screen(model, snapshot);
    model.top = first_visible(model.top, model.row(snapshot), torrents::height(&r), model.rows.len());
    let Some(detail) = model.detail(snapshot) else { return };
    let chosen = model.peer_row(detail);
    let height = peers::height(peers::area(r.pane, detail));
    model.peers_top = first_visible(model.peers_top, chosen, height, model.peers.len());
}

fn press(model: &mut AppState, key: Key, snapshot: &Snapshot, commands: &mut Vec<Command>) {
    if key == Key::Ctrl('c') {
        model.quit = true;
    } else if model.keymap.lookup(&[KeyContext::Everywhere], key) == Some(Action::Redraw) && matches!(key, Key::Ctrl(_))
    {
        // Redraw works even while a dialog or the filter has the focus.
        model.redraw = true;
    } else if !model.dialogs.is_empty() {
        dialog_stack::key(model, key, snapshot, commands);
    } else if model.filtering {
        filter_key(model, key, snapshot);
    } else {
        model.notice = None;
        if let Some(act) = model.keymap.lookup(&model.key_contexts(), key) {
            perform(model, act, snapshot, commands);
        }
    }
}

fn filter_key(model: &mut AppState, key: Key, snapshot: &Snapshot) {
    match key {
        Key::Enter => model.filtering = false,
        Key::Esc => {
            model.filtering = false;
            model.filter = TextInput::default();
        }
        Key::Up | Key::Down => navigation::step(model, if key == Key::Up { -1 } else { 1 }, snapshot),
        key => {
            model.filter.key(key);
        }
    }
    model.refresh_rows(snapshot, false);
}

/// Performs the action of a key binding.
pub fn perform(model: &mut AppState, act: Action, snapshot: &Snapshot, commands: &mut Vec<Command>) {
    if dialog_actions::act(model, act, snapshot, commands) {
        return;
    }
    match act {
        Action::Quit => quit(model, snapshot),
        Action::Close => {
            close(model);
            model.refresh_rows(snapshot, false);
        }
        Action::QuitNow => model.quit = true,
        Action::Pane => {
            model.pane = if model.pane == Focus::List { Focus::Detail } else { Focus::List };
        }
        Action::Tab(tab) => model.tab = tab,
        Action::TabRight => model.tab = model.tab.step(1),
        Action::TabLeft => model.tab = model.tab.step(Tab::ALL.len() - 1),
        Action::Zoom => model.zoom = !model.zoom,
        Action::Filter => {
            model.filtering = true;
            model.pane = Focus::List;
        }
        Action::Redraw => model.redraw = true,
        act => {
            actions::act(model, act, snapshot, commands);
        }
    }
}

fn quit(model: &mut AppState, snapshot: &Snapshot) {
    if model.zoom || !model.filter.is_empty() || model.shows_peer_detail() {
        close(model);
        model.refresh_rows(snapshot, false);
        return;
    }
    // The size of a magnet link without metadata is unknown.
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

/// Closes or clears one thing: an open peer, the zoom, a filter, the marks, the pane focus.
fn close(model: &mut AppState) {
    if actions::close(model) {
    } else if model.zoom {
        model.zoom = false;
    } else if !model.filter.is_empty() {
        model.filter = TextInput::default();
    } else if model.panes.only != detail::StateFilter::All {
        model.panes.only = detail::StateFilter::All;
    } else if !model.panes.marks.is_empty() {
        model.panes.marks.clear();
    } else {
        model.pane = Focus::List;
    }
}
