//! Asks whether a torrent may overwrite files that were there before it.

use ratatui::layout::Rect;

use crate::api::{Command, FaultKind, Snapshot, TorrentId};
use crate::ui::answer::Turn;
use crate::ui::dialog::Dialog;
use crate::ui::keys::Key;
use crate::ui::model::{Model, find};
use crate::ui::sheet::{Hit, Sheet, bold, measure};
use crate::ui::text::wrap;
use crate::ui::update::notice;

/// The question.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Overwrite {
    /// Whose files they would be.
    pub id: TorrentId,
    /// The torrent's name.
    pub name: String,
    /// Which files are in the way.
    pub text: String,
    /// Whether they may be overwritten.
    pub yes: bool,
    /// The torrent has been seen in the list.
    pub listed: bool,
}

/// Files are in the way of a torrent: asks what becomes of them, or says that they cannot be had, behind what is being typed.
pub fn occupied(model: &mut Model, (id, name): (TorrentId, &str), text: &str, ask: bool) {
    let name = model.panes.hidden.name(id, name);
    let text = model.panes.hidden.sentence(text).into_owned();
    let dialog = match ask {
        true => Dialog::Overwrite(Box::new(Overwrite::new(id, name, text))),
        false => Dialog::message(&format!("{name} does not go on"), vec![text]),
    };
    model.dialogs.insert(0, dialog);
}

/// Asks about the files in the way of the chosen torrent, once more.
pub fn ask(model: &mut Model, snapshot: &Snapshot) {
    let Some((id, view)) = model.selected.and_then(|id| Some((id, find(snapshot, id)?))) else { return };
    let occupied = view.fault == Some(FaultKind::Occupied);
    match view.error.as_ref().filter(|_| occupied) {
        Some(text) => {
            let name = model.panes.hidden.name(id, &view.name);
            let text = model.panes.hidden.sentence(text).into_owned();
            model.dialogs.push(Dialog::Overwrite(Box::new(Overwrite::new(id, name, text))));
        }
        None => notice(model, "no file that could be overwritten is in its way"),
    }
}

impl Overwrite {
    /// Keeps the files unless something else is said.
    #[must_use]
    pub fn new(id: TorrentId, name: String, text: String) -> Self {
        Overwrite { id, name, text, yes: false, listed: false }
    }

    /// Whether it is still to be answered: not when the torrent has gone. One that was just added may not be in the list
    /// yet.
    pub fn settle(&mut self, snapshot: &Snapshot) -> bool {
        let is_there = find(snapshot, self.id).is_some();
        self.listed |= is_there;
        is_there || !self.listed
    }

    /// Does what a key means; false when the question is answered.
    pub fn key(&mut self, key: Key, turn: &mut Turn<'_>) -> bool {
        match key {
            Key::Esc | Key::Char('q' | 'n') => return false,
            Key::Enter => {
                turn.commands.extend(self.yes.then_some(Command::Overwrite(self.id)));
                return false;
            }
            Key::Up | Key::Char('k') => self.yes = false,
            Key::Down | Key::Char('j') => self.yes = true,
            Key::Tab | Key::BackTab | Key::Left | Key::Right | Key::Char(' ') => self.yes = !self.yes,
            _ => {}
        }
        true
    }

    /// A click on one of the two answers.
    pub fn click(&mut self, row: usize) {
        self.yes = row == 1;
    }

    /// Draws it.
    pub fn draw(&self, sheet: &mut Sheet<'_, '_>) {
        let theme = *sheet.pen.theme;
        let lines = wrap(&self.text, measure(sheet.screen.width));
        let title = format!("{}: overwrite what is there?", self.name);
        let room = sheet.open(&title, 2 + lines.len(), "Enter answer   Tab choose   Esc cancel");
        // On a low screen the answers come before the reasons.
        let told = lines.len().min(usize::from(room.height).saturating_sub(2)) as u16;
        for (line, y) in lines.iter().take(usize::from(told)).zip(room.y..) {
            sheet.line(room, y, line, theme.text);
        }
        let choices = [
            (false, "keep them", "the torrent waits until they are elsewhere", theme.text),
            (true, "overwrite them", "what is in them is lost", theme.bad),
        ];
        for (at, (means, word, text, style)) in choices.into_iter().enumerate() {
            let y = room.y + told + at as u16;
            if y >= room.bottom() {
                return;
            }
            let chosen = means == self.yes;
            if chosen {
                sheet.choose(room, y);
            }
            sheet.hit(Rect { y, height: 1, ..room }, Hit::Row(at));
            sheet.pen.put(room.x + 2, y, 16, word, if chosen { style.patch(bold()) } else { theme.text });
            sheet.pen.put(room.x + 19, y, room.width.saturating_sub(19), text, theme.dim);
        }
    }
}
