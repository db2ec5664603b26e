//! Passes keys, clicks, pastes and engine events to the open dialogs, and carries out what dialogs ask for.

use ratatui::layout::Position;

use crate::api::{Command, Event, Snapshot, lines};
use crate::ui::app::actions::perform;
use crate::ui::app::model::App;
use crate::ui::app::{outbox, setup};
use crate::ui::dialogs::add::AddDialog;
use crate::ui::dialogs::dialog::{Dialog, DialogContext, Outcome, Request};
use crate::ui::dialogs::file_picker::FilePicker;
use crate::ui::dialogs::message::MessageDialog;
use crate::ui::dialogs::settings::SettingsDialog;
use crate::ui::keys::action::Action;
use crate::ui::keys::context::{KeyContext, Tab};
use crate::ui::keys::key::Key;
use crate::ui::state::app::Focus;
use crate::ui::widgets::path_input::DirListing;
use crate::ui::widgets::text_input::MAX_BYTES;

/// Passes a key to the top dialog: as the action that it is bound to, or as a typed character.
pub(crate) fn on_key(app: &mut App, key: Key, snapshot: &Snapshot, commands: &mut Vec<Command>) {
    let Some(contexts) = app.dialogs.contexts() else { return };
    let cx = DialogContext { state: &app.state, snapshot };
    let requests = match (app.state.keymap.lookup(contexts, key), key) {
        (Some(Action::Edit(action)), _) => app.dialogs.with_top(|dialog| dialog.edit(action)),
        (Some(action), _) => app.dialogs.with_top(|dialog| dialog.action(action, &cx)),
        (None, Key::Char(c)) if contexts.contains(&KeyContext::Text) => {
            app.dialogs.with_top(|dialog| dialog.type_char(c))
        }
        _ => return,
    };
    carry_out(app, requests, snapshot, commands);
}

/// Passes a click to the top dialog.
pub(crate) fn on_click(app: &mut App, at: Position, snapshot: &Snapshot, commands: &mut Vec<Command>) {
    let requests = app.dialogs.click(at, &DialogContext { state: &app.state, snapshot });
    carry_out(app, requests, snapshot, commands);
}

/// Passes a turn of the mouse wheel to the top dialog.
pub(crate) fn on_wheel(app: &mut App, rows: i32, snapshot: &Snapshot) {
    let cx = DialogContext { state: &app.state, snapshot };
    app.dialogs.with_top(|dialog| {
        dialog.scroll(rows as isize, &cx);
        Outcome::Stay
    });
}

/// Passes a directory listing to the dialogs, one of which waits for it.
pub(crate) fn on_listing(app: &mut App, listing: &DirListing, snapshot: &Snapshot, commands: &mut Vec<Command>) {
    let requests = app.dialogs.with_each(|dialog| dialog.on_listing(listing));
    carry_out(app, requests, snapshot, commands);
}

/// Passes an engine event to the dialogs.
pub(crate) fn on_event(app: &mut App, event: &Event, snapshot: &Snapshot, commands: &mut Vec<Command>) {
    let cx = DialogContext { state: &app.state, snapshot };
    let requests = app.dialogs.with_each(|dialog| dialog.on_event(event, &cx));
    carry_out(app, requests, snapshot, commands);
}

/// Handles a paste: into the focused text input, or into a new add dialog. A paste is never interpreted as keys.
pub(crate) fn on_paste(app: &mut App, text: &str) {
    let mut end = text.len().min(MAX_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let lines = lines(&text[..end]);
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let Some(last) = lines.last() else { return };
    if app.state.filtering && app.dialogs.is_empty() {
        app.state.finding().insert(last);
        return;
    }
    let mut taken = false;
    app.dialogs.with_top(|dialog| {
        taken = dialog.paste(&lines);
        Outcome::Stay
    });
    if !taken {
        let mut add = AddDialog::new();
        add.paste(&lines);
        app.dialogs.push(add);
    }
}

fn carry_out(app: &mut App, requests: Vec<Request>, snapshot: &Snapshot, commands: &mut Vec<Command>) {
    for request in requests {
        let state = &mut app.state;
        match request {
            Request::Engine(command) => commands.push(command),
            Request::Effect(effect) => state.outbox.push(effect),
            Request::CopyMagnet(link) => outbox::copied(state, 1, vec![link]),
            Request::Run(action) => run(app, action, snapshot, commands),
            Request::Sort(by) => state.sort_by(by, snapshot),
            Request::OpenSetting(row) => app.dialogs.push(SettingsDialog::at(row, state.size)),
            Request::PickPath(typed, kind) => {
                let visited = state.options.visited.as_deref();
                let (picker, effect) = FilePicker::open(&typed, kind, visited, state.home.as_deref());
                state.outbox.push(effect);
                app.dialogs.push(picker);
            }
            Request::Picked { path, folder } => {
                state.options.visited = Some(folder);
                app.dialogs.on_picked(&path);
            }
            Request::Configure(key, value) => setup::configure(state, key, value, commands),
            Request::SelectAdded => state.adding += 1,
            Request::Show(title, text) => app.dialogs.push(MessageDialog::new(title, vec![text])),
            Request::Notify(text) => state.notify(&text),
        }
    }
}

/// Performs an action that was selected rather than typed. An action on a row of a tab only opens the tab first:
/// nothing is done to a row that is not visible.
fn run(app: &mut App, action: Action, snapshot: &Snapshot, commands: &mut Vec<Command>) {
    let context = action.context();
    let tab = Tab::ALL.into_iter().find(|tab| context.is_some() && KeyContext::of(*tab) == context);
    let state = &mut app.state;
    if let Some(tab) = tab
        && (state.tab != tab || state.pane != Focus::Detail)
    {
        (state.tab, state.pane) = (tab, Focus::Detail);
        let key = state.keymap.shown(action).to_owned();
        state.notify(&format!("select a row with the arrow keys, then press {key}"));
        return;
    }
    perform(app, action, snapshot, commands);
}
