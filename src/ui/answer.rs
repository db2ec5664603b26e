//! What keys, clicks, pastes and answers do to the dialogs in front.

use crate::api::{Command, Contents, Snapshot, Wish, lines};
use crate::ui::add::AddBox;
use crate::ui::browse::Walk;
use crate::ui::chooser::Choice;
use crate::ui::dialog::{self, Dialog};
use crate::ui::edit::LONGEST;
use crate::ui::front;
use crate::ui::keys::Key;
use crate::ui::model::{Model, find};
use crate::ui::path::Listing;
use crate::ui::sheet::Hit;

/// The most torrents that one paste can add.
pub const PASTED: usize = 1000;

/// What a dialog may look at and change while it has a key.
pub struct Turn<'a> {
    /// The model, from which the dialog itself has been taken.
    pub model: &'a mut Model,
    /// What there is.
    pub snapshot: &'a Snapshot,
    /// What the engine is to do.
    pub commands: &'a mut Vec<Command>,
}

/// Lets `what` be done to the dialog on top, which goes when it says false. What it opens comes to stand before it.
fn with_top(
    model: &mut Model,
    snapshot: &Snapshot,
    commands: &mut Vec<Command>,
    what: impl FnOnce(&mut Dialog, &mut Turn<'_>) -> bool,
) {
    let Some(mut dialog) = model.dialogs.pop() else { return };
    let place = model.dialogs.len();
    if what(&mut dialog, &mut Turn { model, snapshot, commands }) {
        model.dialogs.insert(place.min(model.dialogs.len()), dialog);
    }
}

/// Gives a key to the dialog on top.
pub fn key(model: &mut Model, key: Key, snapshot: &Snapshot, commands: &mut Vec<Command>) {
    with_top(model, snapshot, commands, |dialog, turn| stays(dialog, key, turn));
}

/// What the key does to the dialog, and whether it stays open.
fn stays(dialog: &mut Dialog, key: Key, turn: &mut Turn<'_>) -> bool {
    let size = turn.model.size;
    match dialog {
        Dialog::Add(add) => add.key(key, turn),
        Dialog::Create(create) => create.key(key, turn),
        Dialog::Remove(removal) => removal.key(key, turn),
        Dialog::Overwrite(overwrite) => overwrite.key(key, turn),
        Dialog::Ask(ask) => ask.key(key, turn),
        Dialog::Settings(settings) => settings.key(key, turn),
        Dialog::Browse(browse) => match browse.key(key, size, &mut turn.model.outbox) {
            Walk::Stay => true,
            Walk::Leave => false,
            Walk::Pick(path) => {
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
            Choice::Stay => true,
            Choice::Back => {
                turn.commands.push(Command::Pause(*id));
                false
            }
            Choice::Take => {
                turn.commands.push(Command::Choose { id: *id, priorities: chooser.priorities() });
                false
            }
        },
        Dialog::Untrack { id, index, .. } => match key {
            Key::Enter | Key::Char('y') => {
                if find(turn.snapshot, *id).is_some() {
                    turn.commands.push(Command::Wish(*id, Wish::RemoveTracker(*index)));
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
                    front::chosen(turn, found);
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

/// Moves in a text that is read.
fn read(dialog: &mut Dialog, key: Key, turn: &Turn<'_>) {
    let count = dialog::lines_to_read(dialog, turn.model, turn.snapshot);
    if let Dialog::Why(reading) | Dialog::Message { reading, .. } = dialog {
        reading.key(key, count, turn.model.size.1);
    }
}

/// A click while a dialog is open: on its buttons and rows it does what they say, elsewhere nothing.
pub fn click(model: &mut Model, x: u16, y: u16, snapshot: &Snapshot, commands: &mut Vec<Command>) {
    let Some(hit) = dialog::hit(model, snapshot, x, y) else { return };
    let enter = match (hit, model.dialogs.last_mut()) {
        (Hit::Key(pressed), _) => return key(model, pressed, snapshot, commands),
        (Hit::Field(field), Some(Dialog::Add(add))) => {
            add.click(field);
            false
        }
        (Hit::Field(field), Some(Dialog::Create(create))) => {
            create.click(field);
            false
        }
        (Hit::Row(row), Some(Dialog::Add(add))) => {
            if let Some(chooser) = add.chooser() {
                chooser.click(row);
            }
            false
        }
        (Hit::Row(row), Some(Dialog::Choose { chooser, .. })) => {
            chooser.click(row);
            false
        }
        (Hit::Row(row), Some(Dialog::Remove(removal))) => {
            removal.click(row);
            false
        }
        (Hit::Row(row), Some(Dialog::Overwrite(overwrite))) => {
            overwrite.click(row);
            false
        }
        (Hit::Row(row), Some(Dialog::Browse(browse))) => browse.click(row),
        (Hit::Row(row), Some(Dialog::Palette(palette))) => palette.click(row),
        (Hit::Row(row), Some(Dialog::Settings(settings))) => settings.click(row),
        _ => false,
    };
    if enter {
        key(model, Key::Enter, snapshot, commands);
    }
}

/// The wheel was turned while a dialog is open.
pub fn wheel(model: &mut Model, by: i32, snapshot: &Snapshot, commands: &mut Vec<Command>) {
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

/// Text was pasted: into the line that is being typed, or into a new add box. Nothing of it is ever taken as a key.
pub fn paste(model: &mut Model, text: &str) {
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
            let mut add = AddBox::new();
            add.paste(&lines, last);
            model.dialogs.push(Dialog::Add(Box::new(add)));
        }
    }
}

/// A folder was listed: for whoever waits for it.
pub fn listing(model: &mut Model, listing: &Listing) {
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

/// The engine says what is inside something that could be added.
pub fn inspected(
    model: &mut Model,
    what: &str,
    contents: Result<Contents, String>,
    snapshot: &Snapshot,
    commands: &mut Vec<Command>,
) {
    let Some(at) = model.dialogs.iter().position(|dialog| matches!(dialog, Dialog::Add(_))) else { return };
    let mut dialog = model.dialogs.remove(at);
    let done = match &mut dialog {
        Dialog::Add(add) => add.inspected(what, contents, &mut Turn { model, snapshot, commands }),
        _ => false,
    };
    if !done {
        model.dialogs.insert(at.min(model.dialogs.len()), dialog);
    }
}

/// After anything: questions about what has gone answer themselves.
pub fn settle(model: &mut Model, snapshot: &Snapshot) {
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

/// Something was not added: said in front, behind what is being typed.
pub fn refused(model: &mut Model, what: &str, why: &str) {
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
