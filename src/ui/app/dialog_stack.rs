//! The dialog stack: routes keys, clicks, pastes and engine replies to the open dialogs.

use crate::api::{Command, Snapshot, TorrentCommand, TorrentPreview, lines};
use crate::ui::app::dialog_actions;
use crate::ui::app::model::App;
use crate::ui::dialogs::add::AddDialog;
use crate::ui::dialogs::dialog;
use crate::ui::dialogs::dialog::Dialog;
use crate::ui::dialogs::file_picker::PickerOutcome;
use crate::ui::dialogs::file_select::FileSelectOutcome;
use crate::ui::keys::key::Key;
use crate::ui::state::app::find;
use crate::ui::widgets::panel::HitTarget;
use crate::ui::widgets::path_input::DirListing;
use crate::ui::widgets::text_input::LONGEST;

/// Maximum number of torrents added by one paste.
pub const MAX_PASTED_TORRENTS: usize = 1000;

/// What a dialog can access while it handles a key.
pub struct DialogContext<'a> {
    /// The UI, without the dialog itself.
    pub app: &'a mut App,
    /// The latest engine snapshot.
    pub snapshot: &'a Snapshot,
    /// Commands to send to the engine.
    pub commands: &'a mut Vec<Command>,
}

/// Calls `what` with the top dialog, which closes if `what` returns `false`. Dialogs opened by the call end up on top.
fn with_top(
    app: &mut App,
    snapshot: &Snapshot,
    commands: &mut Vec<Command>,
    what: impl FnOnce(&mut Dialog, &mut DialogContext<'_>) -> bool,
) {
    let Some(mut dialog) = app.dialogs.pop() else { return };
    let place = app.dialogs.len();
    if what(&mut dialog, &mut DialogContext { app, snapshot, commands }) {
        app.dialogs.insert(place.min(app.dialogs.len()), dialog);
    }
}

/// Passes a key to the top dialog.
pub fn key(app: &mut App, key: Key, snapshot: &Snapshot, commands: &mut Vec<Command>) {
    with_top(app, snapshot, commands, |dialog, turn| handle_key(dialog, key, turn));
}

/// Handles a key in the dialog; returns `false` to close the dialog.
fn handle_key(dialog: &mut Dialog, key: Key, turn: &mut DialogContext<'_>) -> bool {
    let size = turn.app.state.size;
    match dialog {
        Dialog::Add(add) => add.key(key, turn),
        Dialog::Create(create) => create.key(key, turn),
        Dialog::Remove(removal) => removal.key(key, turn),
        Dialog::Overwrite(overwrite) => overwrite.key(key, turn),
        Dialog::Ask(ask) => ask.key(key, turn),
        Dialog::Settings(settings) => settings.key(key, turn),
        Dialog::Browse(browse) => match browse.key(key, size, &mut turn.app.state.outbox) {
            PickerOutcome::Stay => true,
            PickerOutcome::Leave => false,
            PickerOutcome::Pick(path) => {
                turn.app.state.options.visited = Some(browse.folder().to_owned());
                match turn.app.dialogs.last_mut() {
                    Some(Dialog::Add(add)) => add.picked(&path),
                    Some(Dialog::Create(create)) => create.picked(&path),
                    Some(Dialog::Ask(ask)) => ask.picked(&path),
                    _ => {}
                }
                false
            }
        },
        Dialog::Choose { id, chooser } => match chooser.key(key, size) {
            FileSelectOutcome::Stay => true,
            FileSelectOutcome::Back => {
                turn.commands.push(Command::Pause(*id));
                false
            }
            FileSelectOutcome::Take => {
                turn.commands.push(Command::SelectFiles { id: *id, priorities: chooser.priorities() });
                false
            }
        },
        Dialog::Untrack { id, index, .. } => match key {
            Key::Enter | Key::Char('y') => {
                if find(turn.snapshot, *id).is_some() {
                    turn.commands.push(Command::Torrent(*id, TorrentCommand::RemoveTracker(*index)));
                }
                false
            }
            key => !matches!(key, Key::Esc | Key::Char('n' | 'q')),
        },
        Dialog::Quit { .. } => match key {
            Key::Enter | Key::Char('y' | 'q') => {
                turn.app.state.quit = true;
                false
            }
            key => !matches!(key, Key::Esc | Key::Char('n')),
        },
        Dialog::Help(help) => help.key(key, &turn.app.state.keymap, size),
        Dialog::Palette(palette) => match palette.key(key, size) {
            None => true,
            Some(done) => {
                if let Some(found) = done {
                    dialog_actions::run_palette_entry(turn.app, found, turn.snapshot, turn.commands);
                }
                false
            }
        },
        Dialog::Why(_) | Dialog::Message { .. } => {
            read(dialog, key, turn);
            !matches!(key, Key::Esc | Key::Enter | Key::Char('q' | 'w' | ' '))
        }
    }
}

/// Scrolls a text dialog.
fn read(dialog: &mut Dialog, key: Key, turn: &DialogContext<'_>) {
    let count = dialog::lines_to_read(dialog, &turn.app.state, turn.snapshot);
    if let Dialog::Why(reading) | Dialog::Message { reading, .. } = dialog {
        reading.key(key, count, turn.app.state.size.1);
    }
}

/// Handles a click while a dialog is open: clicks outside its buttons and rows are ignored.
pub fn click(app: &mut App, x: u16, y: u16, snapshot: &Snapshot, commands: &mut Vec<Command>) {
    let Some(hit) = dialog::hit_test(app, snapshot, x, y) else { return };
    let enter = match (hit, app.dialogs.last_mut()) {
        (HitTarget::Key(pressed), _) => return key(app, pressed, snapshot, commands),
        (HitTarget::Field(field), Some(Dialog::Add(add))) => {
            add.click(field);
            false
        }
        (HitTarget::Field(field), Some(Dialog::Create(create))) => {
            create.click(field);
            false
        }
        (HitTarget::Row(row), Some(Dialog::Add(add))) => {
            if let Some(chooser) = add.chooser() {
                chooser.click(row);
            }
            false
        }
        (HitTarget::Row(row), Some(Dialog::Choose { chooser, .. })) => {
            chooser.click(row);
            false
        }
        (HitTarget::Row(row), Some(Dialog::Remove(removal))) => {
            removal.click(row);
            false
        }
        (HitTarget::Row(row), Some(Dialog::Overwrite(overwrite))) => {
            overwrite.click(row);
            false
        }
        (HitTarget::Row(row), Some(Dialog::Browse(browse))) => browse.click(row),
        (HitTarget::Row(row), Some(Dialog::Palette(palette))) => palette.click(row),
        (HitTarget::Row(row), Some(Dialog::Settings(settings))) => settings.click(row),
        _ => false,
    };
    if enter {
        key(app, Key::Enter, snapshot, commands);
    }
}

/// Handles the mouse wheel while a dialog is open.
pub fn wheel(app: &mut App, by: i32, snapshot: &Snapshot, commands: &mut Vec<Command>) {
    let size = app.state.size;
    match app.dialogs.last_mut() {
        Some(Dialog::Why(_) | Dialog::Message { .. }) => {
            key(app, if by < 0 { Key::Up } else { Key::Down }, snapshot, commands);
        }
        Some(Dialog::Help(help)) => help.wheel(by, &app.state.keymap, size),
        Some(Dialog::Browse(browse)) => browse.wheel(by, size),
        Some(Dialog::Choose { chooser, .. }) => chooser.wheel(by, size),
        Some(Dialog::Palette(palette)) => palette.wheel(by, size),
        Some(Dialog::Settings(settings)) => settings.wheel(by, size),
        Some(Dialog::Add(add)) => {
            if let Some(chooser) = add.chooser() {
                chooser.wheel(by, size);
            }
        }
        _ => {}
    }
}

/// Handles a paste: into the focused text input, or into a new add dialog. A paste is never interpreted as keys.
pub fn paste(app: &mut App, text: &str) {
    let mut end = text.len().min(LONGEST);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let whole = lines(&text[..end]);
    let mut lines: Vec<&str> = whole.iter().map(String::as_str).take(MAX_PASTED_TORRENTS).collect();
    let Some(last) = lines.pop() else { return };
    if app.state.filtering && app.dialogs.is_empty() {
        app.state.filter.insert(last);
        return;
    }
    match app.dialogs.last_mut() {
        Some(Dialog::Add(add)) => add.paste(&lines, last),
        Some(Dialog::Create(create)) => create.paste(last),
        Some(Dialog::Ask(ask)) => ask.paste(&lines, last),
        Some(Dialog::Browse(browse)) => browse.paste(last),
        Some(Dialog::Choose { chooser, .. }) => chooser.paste(last),
        Some(Dialog::Palette(palette)) => palette.paste(last),
        Some(Dialog::Settings(settings)) => settings.paste(last),
        Some(Dialog::Help(help)) => help.paste(last),
        _ => {
            let mut add = AddDialog::new();
            add.paste(&lines, last);
            app.dialogs.push(Dialog::Add(Box::new(add)));
        }
    }
}

/// Passes a directory listing to the dialogs that wait for one.
pub fn on_listing(app: &mut App, listing: &DirListing) {
    for dialog in &mut app.dialogs {
        match dialog {
            Dialog::Add(add) => add.listing(listing),
            Dialog::Create(create) => create.listing(listing),
            Dialog::Ask(ask) => ask.listing(listing),
            Dialog::Browse(browse) => browse.listing(listing),
            _ => {}
        }
    }
}

/// Passes the engine's preview of a torrent to the dialog that asked for the preview.
pub fn on_inspected(
    app: &mut App,
    what: &str,
    contents: Result<TorrentPreview, String>,
    snapshot: &Snapshot,
    commands: &mut Vec<Command>,
) {
    let Some(at) = app.dialogs.iter().position(|dialog| matches!(dialog, Dialog::Add(_))) else { return };
    let mut dialog = app.dialogs.remove(at);
    let done = match &mut dialog {
        Dialog::Add(add) => add.inspected(what, contents, &mut DialogContext { app, snapshot, commands }),
        _ => false,
    };
    if !done {
        app.dialogs.insert(at.min(app.dialogs.len()), dialog);
    }
}

/// Closes dialogs about torrents that no longer exist; called after every message.
pub fn close_obsolete(app: &mut App, snapshot: &Snapshot) {
    app.dialogs.retain_mut(|dialog| match dialog {
        Dialog::Remove(removal) => removal.settle(snapshot),
        Dialog::Overwrite(overwrite) => overwrite.settle(snapshot),
        Dialog::Ask(ask) => ask.settle(snapshot),
        Dialog::Untrack { id, .. } => find(snapshot, *id).is_some(),
        Dialog::Choose { id, chooser } => chooser.settle(find(snapshot, *id).is_some()),
        Dialog::Why(_) => !snapshot.torrents.is_empty(),
        _ => true,
    });
}

/// Shows an add error, below a dialog in which the user is typing.
pub fn on_add_failed(app: &mut App, what: &str, why: &str) {
    let line = if why.contains(what) { why.to_owned() } else { format!("{what}: {why}") };
    let line: String = line.chars().take(600).collect();
    for dialog in &mut app.dialogs {
        if let Dialog::Message { lines, .. } = dialog {
            lines.push(line);
            lines.truncate(20);
            return;
        }
    }
    app.dialogs.insert(0, Dialog::message("not added", vec![line]));
}
