//! What keys and pastes do to the dialogs in front.

use crate::api::{Command, Snapshot};
use crate::ui::edit::{Edit, LONGEST};
use crate::ui::keys::Key;
use crate::ui::model::{Dialog, Model, find};
use crate::ui::update::to_add;

/// The most torrents that one paste can add.
pub const PASTED: usize = 1000;

/// Gives a key to the dialog on top.
pub fn key(model: &mut Model, key: Key, snapshot: &Snapshot, commands: &mut Vec<Command>) {
    let Some(mut dialog) = model.dialogs.pop() else { return };
    if stays(&mut dialog, key, model, snapshot, commands) {
        model.dialogs.push(dialog);
    }
}

/// What the key does to the dialog, and whether it stays open.
fn stays(dialog: &mut Dialog, key: Key, model: &mut Model, snapshot: &Snapshot, commands: &mut Vec<Command>) -> bool {
    match dialog {
        Dialog::Add { edit, before } => match key {
            Key::Esc => false,
            Key::Enter => {
                let lines = before.iter().map(String::as_str).chain([edit.text()]);
                commands.extend(lines.filter_map(|line| to_add(line, model.home.as_deref())).map(Command::Add));
                false
            }
            Key::Up | Key::Backspace if edit.is_empty() && !before.is_empty() => {
                *edit = Edit::new(&before.pop().unwrap_or_default());
                true
            }
            key => {
                edit.key(key);
                true
            }
        },
        Dialog::Remove { id, data } => match key {
            Key::Esc | Key::Char('q' | 'n') => false,
            Key::Enter => {
                if find(snapshot, *id).is_some() {
                    commands.push(Command::Remove { id: *id, data: *data });
                }
                false
            }
            Key::Up | Key::Char('k') => {
                *data = false;
                true
            }
            Key::Down | Key::Char('j') => {
                *data = true;
                true
            }
            Key::Tab | Key::BackTab | Key::Left | Key::Right | Key::Char(' ') => {
                *data = !*data;
                true
            }
            _ => true,
        },
        Dialog::Quit { .. } => match key {
            Key::Enter | Key::Char('y' | 'q') => {
                model.quit = true;
                false
            }
            Key::Esc | Key::Char('n') => false,
            _ => true,
        },
        Dialog::Help { top } => help(top, key),
        Dialog::Why => !matches!(key, Key::Esc | Key::Enter | Key::Char('q' | 'w')),
        Dialog::Message(..) => !matches!(key, Key::Esc | Key::Enter | Key::Char('q' | ' ')),
    }
}

fn help(top: &mut usize, key: Key) -> bool {
    match key {
        Key::Esc | Key::Enter | Key::F(1) | Key::Char('q' | '?') => return false,
        Key::Up | Key::Char('k') => *top = top.saturating_sub(1),
        Key::Down | Key::Char('j') => *top += 1,
        Key::PageUp | Key::Ctrl('b' | 'u') => *top = top.saturating_sub(10),
        Key::PageDown | Key::Ctrl('f' | 'd') | Key::Char(' ') => *top += 10,
        Key::Home | Key::Char('g') => *top = 0,
        Key::End | Key::Char('G') => *top = usize::MAX / 2,
        _ => {}
    }
    *top = (*top).min(crate::ui::dialog::help_lines());
    true
}

/// Text was pasted: into the line that is being typed, or into a new add dialog. Nothing of it is ever taken as a key.
pub fn paste(model: &mut Model, text: &str) {
    let mut end = text.len().min(LONGEST);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let mut lines: Vec<&str> =
        text[..end].split(['\n', '\r']).filter(|line| !line.trim().is_empty()).take(PASTED).collect();
    let Some(last) = lines.pop() else { return };
    if model.filtering && model.dialogs.is_empty() {
        model.filter.insert(last);
        return;
    }
    if !matches!(model.dialogs.last(), Some(Dialog::Add { .. })) {
        model.dialogs.push(Dialog::Add { edit: Edit::default(), before: Vec::new() });
    }
    let Some(Dialog::Add { edit, before }) = model.dialogs.last_mut() else { return };
    for line in lines {
        edit.insert(line);
        before.push(std::mem::take(edit).text().trim().to_owned());
        before.truncate(PASTED);
    }
    edit.insert(last.trim_end());
}

/// Something was not added: said in front, behind what is being typed.
pub fn refused(model: &mut Model, what: &str, why: &str) {
    let line = if why.contains(what) { why.to_owned() } else { format!("{what}: {why}") };
    let line: String = line.chars().take(600).collect();
    for dialog in &mut model.dialogs {
        if let Dialog::Message(_, lines) = dialog {
            lines.push(line);
            lines.truncate(20);
            return;
        }
    }
    model.dialogs.insert(0, Dialog::Message("not added".into(), vec![line]));
}
