//! The dialog stack: routes keys, clicks, pastes and engine replies to the open dialogs.

use crate::api::{Command, Snapshot, TorrentCommand, TorrentPreview, lines};
use crate::ui::app::dialog_actions;
use crate::ui::dialogs::add::AddDialog;
use crate::ui::dialogs::dialog;
use crate::ui::dialogs::dialog::Dialog;
use crate::ui::dialogs::file_picker::PickerOutcome;
use crate::ui::dialogs::file_select::FileSelectOutcome;
use crate::ui::keys::bindings::Key;
use crate::ui::state::app::{AppState, find};
use crate::ui::widgets::panel::HitTarget;
use crate::ui::widgets::path_input::DirListing;
use crate::ui::widgets::text_input::LONGEST;

/// Maximum number of torrents added by one paste.
pub const PASTED: usize = 1000;

/// What a dialog can access while it handles a key.
pub struct DialogContext<'a> {
    /// The UI state, without the dialog itself.
    pub model: &'a mut AppState,
    /// The latest engine snapshot.
    pub snapshot: &'a Snapshot,
    /// Commands to send to the engine.
    pub commands: &'a mut Vec<Command>,
}

/// Calls `what` with the top dialog, which closes if `what` returns `false`. Dialogs opened by the call end up on top.
fn with_top(
    model: &mut AppState,
    snapshot: &Snapshot,
    commands: &mut Vec<Command>,
    what: impl FnOnce(&mut Dialog, &mut DialogContext<'_>) -> bool,
) {
    let Some(mut dialog) = model.dialogs.pop() else { return };
    let place = model.dialogs.len();
    if what(&mut dialog, &mut DialogContext { model, snapshot, commands }) {
        model.dialogs.insert(place.min(model.dialogs.len()), dialog);
    }
}

/// Passes a key to the top dialog.
pub fn key(model: &mut AppState, key: Key, snapshot: &Snapshot, commands: &mut Vec<Command>) {
    with_top(model, snapshot, commands, |dialog, turn| handle_key(dialog, key, turn));
}

/// Handles a key in the dialog; returns `false` to close the dialog.
fn handle_key(dialog: &mut Dialog, key: Key, turn: &mut DialogContext<'_>) -> bool {
    let size = turn.model.size;
    match dialog {
        Dialog::Add(add) => add.key(key, turn),
        Dialog::Create(create) => create.key(key, turn),
        Dialog::Remove(removal) => removal.key(key, turn),
        Dialog::Overwrite(overwrite) => overwrite.key(key, turn),
        Dialog::Ask(ask) => ask.key(key, turn),
        Dialog::Settings(settings) => settings.key(key, turn),
        Dialog::Browse(browse) => match browse.key(key, size, &mut turn.model.outbox) {
            PickerOutcome::Stay => true,
            PickerOutcome::Leave => false,
            PickerOutcome::Pick(path) => {
                turn.model.options.visited = Some(browse.folder().to_owned());
                match turn.model.dialogs.last_mut() {
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
                turn.model.quit = true;
                false
            }
            key => !matches!(key, Key::Esc | Key::Char('n')),
        },
        Dialog::Help(help) => help.key(key, &turn.model.keymap, size),
        Dialog::Palette(palette) => match palette.key(key, size) {
            None => true,
            Some(done) => {
                if let Some(found) = done {
                    dialog_actions::chosen(turn, found);
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
    let count = dialog::lines_to_read(dialog, turn.model, turn.snapshot);
    if let Dialog::Why(reading) | Dialog::Message { reading, .. } = dialog {
        reading.key(key, count, turn.model.size.1);
    }
}

/// Handles a click while a dialog is open: clicks outside its buttons and rows are ignored.
pub fn click(model: &mut AppState, x: u16, y: u16, snapshot: &Snapshot, commands: &mut Vec<Command>) {
    let Some(hit) = dialog::hit_test(model, snapshot, x, y) else { return };
    let enter = match (hit, model.dialogs.last_mut()) {
        (HitTarget::Key(pressed), _) => return key(model, pressed, snapshot, commands),
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
        key(model, Key::Enter, snapshot, commands);
    }
}

/// Handles the mouse wheel while a dialog is open.
pub fn wheel(model: &mut AppState, by: i32, snapshot: &Snapshot, commands: &mut Vec<Command>) {
    let size = model.size;
    match model.dialogs.last_mut() {
        Some(Dialog::Why(_) | Dialog::Message { .. }) => {
            key(model, if by < 0 { Key::Up } else { Key::Down }, snapshot, commands);
        }
        Some(Dialog::Help(help)) => help.wheel(by, &model.keymap, size),
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
pub fn paste(model: &mut AppState, text: &str) {
    let mut end = text.len().min(LONGEST);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let whole = lines(&text[..end]);
    let mut lines: Vec<&str> = whole.iter().map(String::as_str).take(PASTED).collect();
    let Some(last) = lines.pop() else { return };
    if model.filtering && model.dialogs.is_empty() {
        model.filter.insert(last);
        return;
    }
    match model.dialogs.last_mut() {
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
            model.dialogs.push(Dialog::Add(Box::new(add)));
        }
    }
}

/// Passes a directory listing to the dialogs that wait for one.
pub fn listing(model: &mut AppState, listing: &DirListing) {
    for dialog in &mut model.dialogs {
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
pub fn inspected(
    model: &mut AppState,
    what: &str,
    contents: Result<TorrentPreview, String>,
    snapshot: &Snapshot,
    commands: &mut Vec<Command>,
) {
    let Some(at) = model.dialogs.iter().position(|dialog| matches!(dialog, Dialog::Add(_))) else { return };
    let mut dialog = model.dialogs.remove(at);
    let done = match &mut dialog {
        Dialog::Add(add) => add.inspected(what, contents, &mut DialogContext { model, snapshot, commands }),
        _ => false,
    };
    if !done {
        model.dialogs.insert(at.min(model.dialogs.len()), dialog);
    }
}

/// Closes dialogs about torrents that no longer exist; called after every message.
pub fn settle(model: &mut AppState, snapshot: &Snapshot) {
    model.dialogs.retain_mut(|dialog| match dialog {
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
pub fn refused(model: &mut AppState, what: &str, why: &str) {
    let line = if why.contains(what) { why.to_owned() } else { format!("{what}: {why}") };
    let line: String = line.chars().take(600).collect();
    for dialog in &mut model.dialogs {
        if let Dialog::Message { lines, .. } = dialog {
            lines.push(line);
            lines.truncate(20);
            return;
        }
    }
    model.dialogs.insert(0, Dialog::message("not added", vec![line]));
}
