//! The update function of the UI (Elm architecture): applies a message to the state and returns engine commands.
//! Pure: the same state, message and snapshot always give the same result.

use std::time::Duration;

use ratatui::layout::Position;

use crate::api::{Command, Event, Snapshot, TorrentId};
use crate::ui::app::model::App;
use crate::ui::app::navigation::Step;
use crate::ui::app::{actions, dialog_actions, dialog_events, inspect, mouse, navigation, outbox, setup};
use crate::ui::dialogs::add::AddDialog;
use crate::ui::dialogs::dialog::{CLOSE, CONFIRM, TEXT};
use crate::ui::dialogs::file_select::SelectFilesDialog;
use crate::ui::keys::action::{Action, AppAction, ViewAction};
use crate::ui::keys::context::{KeyContext, Tab};
use crate::ui::keys::key::Key;
use crate::ui::panes::{peers, torrents};
use crate::ui::state::app::{AppState, Focus, Message};
use crate::ui::text::format::counted;
use crate::ui::widgets::list::first_visible;
use crate::ui::widgets::text_input::TextInput;

/// Applies a message to the state and returns the commands to send to the engine.
pub fn update(app: &mut App, msg: Message, snapshot: &Snapshot) -> Vec<Command> {
    let mut commands = Vec::new();
    let seen = !matches!(msg, Message::Tick(_));
    let (before, tab) = (app.state.selected, app.state.tab);
    match msg {
        Message::Key(key) => on_key(app, key, snapshot, &mut commands),
        Message::Paste(text) => dialog_events::on_paste(app, &text),
        Message::Click(x, y) if app.dialogs.is_empty() => match mouse::click(&mut app.state, x, y, snapshot) {
            Some(action) if app.state.filtering => find(&mut app.state, Some(action), None, snapshot),
            Some(action) => actions::perform(app, action, snapshot, &mut commands),
            None => {}
        },
        Message::Click(x, y) => dialog_events::on_click(app, Position::new(x, y), snapshot, &mut commands),
        Message::Wheel(x, y, step) if app.dialogs.is_empty() => mouse::wheel(&mut app.state, x, y, step, snapshot),
        Message::Wheel(_, _, step) => dialog_events::on_wheel(app, step, snapshot),
        Message::Listing(listing) => dialog_events::on_listing(app, &listing, snapshot, &mut commands),
        Message::Resize(width, height) => app.state.size = (width, height),
        Message::Tick(clock) => tick(&mut app.state, clock, snapshot),
        Message::Snapshot => {
            app.state.snapshot_at = app.state.clock;
            app.state.history.note(app.state.clock, snapshot.down, snapshot.up);
            app.state.panes.rates.note(app.state.clock, snapshot);
            app.state.panes.tree.mark_stale();
            app.state.refresh_rows(snapshot, false);
            app.state.panes.hidden.refresh(snapshot);
        }
        Message::Event(event) => on_event(app, event, snapshot, &mut commands),
    }
    if app.state.tab != tab {
        app.state.find = TextInput::default();
    }
    if seen {
        settle(app, before, snapshot, &mut commands);
        app.state.dirty = true;
    }
    if app.state.quit {
        setup::save_view(&mut app.state, &mut commands);
    }
    app.state.adding += commands.iter().filter(|command| matches!(command, Command::Add(_))).count();
    commands
}

fn on_event(app: &mut App, event: Event, snapshot: &Snapshot, commands: &mut Vec<Command>) {
    // Each answer is told once: in the dialog that waits for it, or else by what follows here.
    let told = match &event {
        Event::Known { what, .. } | Event::AddFailed { what, .. } => {
            app.dialogs.find_mut::<AddDialog>().is_some_and(|dialog| dialog.awaits(what))
        }
        _ => false,
    };
    dialog_events::on_event(app, &event, snapshot, commands);
    let state = &mut app.state;
    match event {
        Event::Added { id, .. } => added(state, id),
        Event::Known { id, text, .. } => {
            added(state, id);
            let text = state.panes.hidden.sentence(&text).into_owned();
            if !told {
                state.notify(&text);
            }
        }
        Event::AddFailed { what, why } => {
            state.adding = state.adding.saturating_sub(1);
            if !told {
                dialog_actions::add_failed(app, &what, &why);
            }
        }
        Event::Complete(id) => {
            let name = snapshot.torrent(id).map(|view| state.panes.hidden.name(id, &view.name));
            let sentence = format!("{} is complete", name.as_deref().unwrap_or("a torrent"));
            outbox::complete(state, &sentence);
            if let Some(guide) = &mut state.guide {
                guide.on_complete();
            }
            state.notify(&sentence);
        }
        Event::FilesKnown { id, contents } => app.dialogs.push_below(SelectFilesDialog::new(id, *contents)),
        Event::Occupied { id, name, text, ask } => dialog_actions::occupied(app, (id, &name), &text, ask),
        Event::MagnetLinks { asked, links } => outbox::copied(state, asked, links),
        Event::Notice { id, text } => {
            let mut text = state.panes.hidden.sentence(&text).into_owned();
            // Prepends the torrent's name to a notice that does not contain the name.
            if let Some((id, view)) = id.and_then(|id| Some((id, snapshot.torrent(id)?))) {
                let name = state.panes.hidden.name(id, &view.name);
                if !text.contains(&name) {
                    text = format!("{name}: {text}");
                }
            }
            state.notify(&text);
        }
        // The event loop handles snapshots and the end; the others are for dialogs.
        // Told of those that the user wanted verified, not of each that starts.
        Event::Checked(id) if state.verifying.remove(&id) => {
            if let Some(view) = snapshot.torrent(id) {
                let name = state.panes.hidden.name(id, &view.name);
                let missing = u64::from(view.pieces.saturating_sub(view.have));
                let result =
                    if missing == 0 { "complete".to_owned() } else { format!("{} missing", counted(missing, "piece")) };
                state.notify(&format!("{name}: verified, {result}"));
            }
        }
        Event::Checked(_)
        | Event::Snapshot(_)
        | Event::Stopped
        | Event::Inspected { .. }
        | Event::CreatePreview { .. }
        | Event::CreateProgress { .. }
        | Event::Created { .. } => {}
    }
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
    outbox::update_title(state, snapshot);
    // Countdowns and ages go on without a snapshot.
    let counts = matches!(state.tab, Tab::Trackers | Tab::Peers | Tab::Pieces) && state.detail(snapshot).is_some();
    state.dirty |= state.expire_notice() || moved || counts;
}

/// Restores invariants after every message: an existing torrent is selected and visible, and the engine knows the
/// selection if it differs from `before`.
fn settle(app: &mut App, before: Option<TorrentId>, snapshot: &Snapshot, commands: &mut Vec<Command>) {
    let state = &mut app.state;
    if let Some(id) = state.wanted.filter(|id| snapshot.torrent(*id).is_some()) {
        state.wanted = None;
        state.selected = Some(id);
        let name = state.target_label(snapshot, &[id]);
        state.notify(&format!("added {name}"));
        state.refresh_rows(snapshot, false);
    }
    app.dialogs.close_obsolete(snapshot);
    let state = &mut app.state;
    match state.row(snapshot) {
        Some(row) => state.last_row = row,
        None if state.rows.is_empty() => state.selected = None,
        // The selected torrent was removed: selects the one that took its row.
        None => {
            let row = state.last_row.min(state.rows.len() - 1);
            state.selected = snapshot.torrents.get(state.rows[row]).map(|(id, _)| *id);
        }
    }
    if state.selected != before {
        state.find = TextInput::default();
        state.peer = None;
        state.peers_top = 0;
        state.cursor = [0; Tab::ALL.len()];
        state.peer_keys.clear();
        state.panes.reset();
        state.refresh_rows(snapshot, false);
        commands.push(Command::Focus(state.selected));
    }
    inspect::settle(state, snapshot, commands);
    navigation::reserve_rows(state, snapshot);
    let r = navigation::screen(state, snapshot);
    state.top = first_visible(state.top, state.row(snapshot), torrents::height(&r), state.rows.len());
    let Some(detail) = state.detail(snapshot) else { return };
    let chosen = state.peer_row(detail);
    let height = peers::height(peers::area(r.pane, detail));
    state.peers_top = first_visible(state.peers_top, chosen, height, state.peers.len());
}

fn on_key(app: &mut App, key: Key, snapshot: &Snapshot, commands: &mut Vec<Command>) {
    let state = &mut app.state;
    let global = state.keymap.lookup(&[KeyContext::Everywhere], key);
    if key == Key::Ctrl('c') {
        state.quit = true;
    } else if let Some(action @ (Action::View(ViewAction::Redraw) | Action::App(AppAction::Suspend))) = global
        && matches!(key, Key::Ctrl(_))
    {
        // Also while a dialog or something to find has the focus.
        actions::perform(app, action, snapshot, commands);
    } else if !app.dialogs.is_empty() {
        dialog_events::on_key(app, key, snapshot, commands);
    } else if state.filtering {
        let typed = if let Key::Char(c) = key { Some(c) } else { None };
        find(state, state.keymap.lookup(TEXT, key), typed, snapshot);
    } else if state.guide.as_ref().is_some_and(|guide| guide.restarts(key)) {
        (state.quit, state.again) = (true, true);
    } else {
        state.notice = false;
        if let Some(action) = state.keymap.lookup(&state.key_contexts(), key) {
            if let Some(guide) = &mut state.guide {
                guide.on_action(action);
            }
            actions::perform(app, action, snapshot, commands);
        }
    }
}

/// Handles an action or a typed character while something to find is typed.
fn find(state: &mut AppState, action: Option<Action>, typed: Option<char>, snapshot: &Snapshot) {
    let before = state.finding().text().to_owned();
    match action {
        Some(CONFIRM) => state.filtering = false,
        Some(CLOSE) => {
            state.filtering = false;
            *state.finding() = TextInput::default();
        }
        Some(Action::Nav(action)) => navigation::navigate(state, action, snapshot),
        Some(Action::Edit(action)) => state.finding().edit(action),
        Some(action) => state.ignored(action),
        None => typed.into_iter().for_each(|c| state.finding().type_char(c)),
    }
    if state.pane == Focus::Detail && state.find.text() != before {
        navigation::find_row(state, Step::Here, snapshot);
    }
    state.refresh_rows(snapshot, false);
}
