//! The update function of the UI (Elm architecture): applies a message to the state and returns engine commands.
//! Pure: the same state, message and snapshot always give the same result.

use std::time::Duration;

use crate::api::{Command, Snapshot, TorrentId};
use crate::ui::app::dialog_stack;
use crate::ui::app::model::App;
use crate::ui::app::{actions, dialog_actions, inspect, mouse, navigation};
use crate::ui::dialogs::create;
use crate::ui::dialogs::dialog::Dialog;
use crate::ui::dialogs::file_select::FileSelect;
use crate::ui::keys::action::{Action, ViewAction};
use crate::ui::keys::context::{KeyContext, Tab};
use crate::ui::keys::key::Key;
use crate::ui::panes::{peers, torrents};
use crate::ui::state::app::{AppState, Message, find};
use crate::ui::widgets::list::first_visible;
use crate::ui::widgets::text_input::TextInput;

/// Applies a message to the state and returns the commands to send to the engine.
pub fn update(app: &mut App, msg: Message, snapshot: &Snapshot) -> Vec<Command> {
    let mut commands = Vec::new();
    let seen = !matches!(msg, Message::Tick(_));
    let before = app.state.selected;
    match msg {
        Message::Key(key) => on_key(app, key, snapshot, &mut commands),
        Message::Paste(text) => dialog_stack::paste(app, &text),
        Message::Click(x, y) if app.dialogs.is_empty() => {
            if let Some(action) = mouse::click(&mut app.state, x, y, snapshot) {
                actions::perform(app, action, snapshot, &mut commands);
            }
        }
        Message::Click(x, y) => dialog_stack::click(app, x, y, snapshot, &mut commands),
        Message::Wheel(x, y, step) if app.dialogs.is_empty() => mouse::wheel(&mut app.state, x, y, step, snapshot),
        Message::Wheel(_, _, step) => dialog_stack::wheel(app, step, snapshot, &mut commands),
        Message::Listing(listing) => dialog_stack::on_listing(app, &listing),
        Message::Inspected(what, contents) => {
            dialog_stack::on_inspected(app, &what, contents.map(|contents| *contents), snapshot, &mut commands);
        }
        Message::Creating(making) => create::on_create_event(app, making),
        Message::Resize(width, height) => app.state.size = (width, height),
        Message::Tick(clock) => tick(&mut app.state, clock, snapshot),
        Message::Snapshot => {
            app.state.history.note(app.state.clock, snapshot.down, snapshot.up);
            app.state.panes.rates.note(app.state.clock, snapshot);
            app.state.panes.tree.mark_stale();
            app.state.refresh_rows(snapshot, false);
            app.state.panes.hidden.refresh(snapshot);
        }
        Message::Added(id) => added(&mut app.state, id),
        Message::Known(id, text) => {
            added(&mut app.state, id);
            let text = app.state.panes.hidden.sentence(&text).into_owned();
            app.state.notify(&text);
        }
        Message::AddFailed(what, why) => {
            app.state.adding = app.state.adding.saturating_sub(1);
            dialog_stack::on_add_failed(app, &what, &why);
        }
        Message::Complete(id) => {
            let name = find(snapshot, id).map(|view| app.state.panes.hidden.name(id, &view.name));
            let sentence = format!("{} is complete", name.as_deref().unwrap_or("a torrent"));
            dialog_actions::complete(&mut app.state, &sentence);
            app.state.notify(&sentence);
        }
        // Inserted at the bottom of the stack, behind a dialog in which the user is typing.
        Message::Choose(id, contents) => {
            let chooser = Box::new(FileSelect::waiting(*contents));
            app.dialogs.insert(0, Dialog::Choose { id, chooser });
        }
        Message::Occupied(id, name, text, ask) => dialog_actions::occupied(app, (id, &name), &text, ask),
        Message::Magnets(asked, links) => dialog_actions::copied(&mut app.state, asked, links),
        Message::Notice(id, text) => {
            let mut text = app.state.panes.hidden.sentence(&text).into_owned();
            // Prepends the torrent's name to a notice that does not contain the name.
            if let Some((id, view)) = id.and_then(|id| Some((id, find(snapshot, id)?))) {
                let name = app.state.panes.hidden.name(id, &view.name);
                if !text.contains(&name) {
                    text = format!("{name}: {text}");
                }
            }
            app.state.notify(&text);
        }
    }
    if seen {
        settle(app, before, snapshot, &mut commands);
        app.state.dirty = true;
    }
    app.state.adding += commands.iter().filter(|command| matches!(command, Command::Add(_))).count();
    commands
}

/// Selects a torrent that was added from the UI.
fn added(state: &mut AppState, id: TorrentId) {
    if state.adding > 0 {
        state.adding -= 1;
        state.wanted = Some(id);
    }
}

fn tick(state: &mut AppState, clock: Duration, snapshot: &Snapshot) {
    state.clock = clock.max(state.clock);
    let moved = state.history.moved(state.panes.span);
    state.history.note(state.clock, snapshot.down, snapshot.up);
    state.panes.rates.note(state.clock, snapshot);
    dialog_actions::update_title(state, snapshot);
    let over = state.notice.as_ref().is_some_and(|notice| notice.until <= state.clock);
    if over {
        state.notice = None;
    }
    state.dirty |= over || moved;
}

/// Restores invariants after every message: an existing torrent is selected and visible, and the engine knows the
/// selection if it differs from `before`.
fn settle(app: &mut App, before: Option<TorrentId>, snapshot: &Snapshot, commands: &mut Vec<Command>) {
    let model = &mut app.state;
    if let Some(id) = model.wanted.filter(|id| find(snapshot, *id).is_some()) {
        model.wanted = None;
        model.selected = Some(id);
        model.refresh_rows(snapshot, false);
    }
    dialog_stack::close_obsolete(app, snapshot);
    let model = &mut app.state;
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
    inspect::settle(model, snapshot, commands);
    let r = navigation::screen(model, snapshot);
    model.top = first_visible(model.top, model.row(snapshot), torrents::height(&r), model.rows.len());
    let Some(detail) = model.detail(snapshot) else { return };
    let chosen = model.peer_row(detail);
    let height = peers::height(peers::area(r.pane, detail));
    model.peers_top = first_visible(model.peers_top, chosen, height, model.peers.len());
}

fn on_key(app: &mut App, key: Key, snapshot: &Snapshot, commands: &mut Vec<Command>) {
    let state = &mut app.state;
    let global = state.keymap.lookup(&[KeyContext::Everywhere], key);
    if key == Key::Ctrl('c') {
        state.quit = true;
    } else if global == Some(Action::View(ViewAction::Redraw)) && matches!(key, Key::Ctrl(_)) {
        // Redraw works even while a dialog or the filter has the focus.
        state.redraw = true;
    } else if !app.dialogs.is_empty() {
        dialog_stack::key(app, key, snapshot, commands);
    } else if state.filtering {
        filter_key(state, key, snapshot);
    } else {
        state.notice = None;
        if let Some(action) = state.keymap.lookup(&state.key_contexts(), key) {
            actions::perform(app, action, snapshot, commands);
        }
    }
}

fn filter_key(state: &mut AppState, key: Key, snapshot: &Snapshot) {
    match key {
        Key::Enter => state.filtering = false,
        Key::Esc => {
            state.filtering = false;
            state.filter = TextInput::default();
        }
        Key::Up | Key::Down => navigation::step(state, if key == Key::Up { -1 } else { 1 }, snapshot),
        key => {
            state.filter.key(key);
        }
    }
    state.refresh_rows(snapshot, false);
}
