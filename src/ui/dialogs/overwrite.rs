//! Asks whether a torrent may overwrite existing files.

use ratatui::layout::Rect;

use crate::api::{Command, Snapshot, TorrentId};
use crate::ui::app::dialog_stack::DialogContext;
use crate::ui::keys::key::Key;
use crate::ui::state::app::find;
use crate::ui::text::format::wrap;
use crate::ui::widgets::panel::{HitTarget, Panel, bold, text_width};

/// The overwrite dialog.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Overwrite {
    /// The torrent.
    pub id: TorrentId,
    pub name: String,
    /// Description of the existing files.
    pub text: String,
    /// Whether "overwrite" is selected.
    pub yes: bool,
    /// Whether the torrent has been seen in the list.
    pub listed: bool,
}

impl Overwrite {
    /// Creates the dialog with "keep the files" selected.
    #[must_use]
    pub fn new(id: TorrentId, name: String, text: String) -> Self {
        Overwrite { id, name, text, yes: false, listed: false }
    }

    /// Returns whether the dialog is still needed: until the torrent is removed. A torrent that was just added may
    /// not be listed yet.
    pub fn settle(&mut self, snapshot: &Snapshot) -> bool {
        let is_there = find(snapshot, self.id).is_some();
        self.listed |= is_there;
        is_there || !self.listed
    }

    /// Handles a key; returns `false` to close the dialog.
    pub fn key(&mut self, key: Key, turn: &mut DialogContext<'_>) -> bool {
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

    /// Selects the clicked answer.
    pub fn click(&mut self, row: usize) {
        self.yes = row == 1;
    }

    /// Draws the dialog.
    pub fn draw(&self, sheet: &mut Panel<'_, '_>) {
        let theme = *sheet.pen.theme;
        let lines = wrap(&self.text, text_width(sheet.screen.width));
        let title = format!("{}: overwrite existing files?", self.name);
        let room = sheet.open(&title, 2 + lines.len(), "Enter confirm   Tab switch   Esc cancel");
        // On a low screen the answers have priority over the description.
        let told = lines.len().min(usize::from(room.height).saturating_sub(2)) as u16;
        for (line, y) in lines.iter().take(usize::from(told)).zip(room.y..) {
            sheet.line(room, y, line, theme.text);
        }
        let choices = [
            (false, "keep them", "the torrent waits until you move them", theme.text),
            (true, "overwrite them", "their contents are lost", theme.bad),
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
            sheet.hit(Rect { y, height: 1, ..room }, HitTarget::Row(at));
            sheet.pen.put(room.x + 2, y, 16, word, if chosen { style.patch(bold()) } else { theme.text });
            sheet.pen.put(room.x + 19, y, room.width.saturating_sub(19), text, theme.dim);
        }
    }
}
