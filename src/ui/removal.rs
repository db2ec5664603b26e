//! Asks whether to remove torrents, and what becomes of their data.

use ratatui::layout::Rect;

use crate::api::{Command, Snapshot, TorrentId};
use crate::ui::answer::Turn;
use crate::ui::keys::Key;
use crate::ui::model::find;
use crate::ui::sheet::{Hit, Sheet, bold};
use crate::ui::text::size_long;

/// The most names that are listed.
const NAMES: usize = 3;

/// The question.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Removal {
    /// Which.
    pub ids: Vec<TorrentId>,
    /// Whether their data are to be deleted.
    pub data: bool,
}

impl Removal {
    /// Keeps the data unless something else is said.
    #[must_use]
    pub fn new(ids: Vec<TorrentId>) -> Self {
        Removal { ids, data: false }
    }

    /// Forgets those that have gone; false when none is left.
    pub fn settle(&mut self, snapshot: &Snapshot) -> bool {
        self.ids.retain(|id| find(snapshot, *id).is_some());
        !self.ids.is_empty()
    }

    /// Does what a key means; false when the question is answered.
    pub fn key(&mut self, key: Key, turn: &mut Turn<'_>) -> bool {
        match key {
            Key::Esc | Key::Char('q' | 'n') => return false,
            Key::Enter => {
                let data = self.data;
                turn.commands.extend(self.ids.iter().map(|id| Command::Remove { id: *id, data }));
                return false;
            }
            Key::Up | Key::Char('k') => self.data = false,
            Key::Down | Key::Char('j') => self.data = true,
            Key::Tab | Key::BackTab | Key::Left | Key::Right | Key::Char(' ') => self.data = !self.data,
            _ => {}
        }
        true
    }

    /// A click on one of the two answers.
    pub fn click(&mut self, row: usize) {
        self.data = row == 1;
    }

    /// Draws it.
    pub fn draw(&self, sheet: &mut Sheet<'_, '_>, snapshot: &Snapshot) {
        let theme = *sheet.pen.theme;
        let views: Vec<_> = self.ids.iter().filter_map(|id| find(snapshot, *id)).collect();
        let title = match views.as_slice() {
            [one] => format!("remove {}", one.name),
            all => format!("remove {} torrents", all.len()),
        };
        let mut names: Vec<String> = Vec::new();
        if views.len() > 1 {
            names.extend(views.iter().take(NAMES).map(|view| view.name.clone()));
            if views.len() > NAMES {
                names.push(format!("and {} more", views.len() - NAMES));
            }
        }
        let room = sheet.open(&title, 2 + names.len(), "Enter remove   Tab choose   Esc cancel");
        let listed = names.len().min(usize::from(room.height).saturating_sub(2)) as u16;
        for (at, name) in names.iter().take(usize::from(listed)).enumerate() {
            sheet.line(
                Rect { x: room.x + 2, width: room.width.saturating_sub(2), ..room },
                room.y + at as u16,
                name,
                theme.text,
            );
        }
        let bytes: u64 = views.iter().map(|view| view.done).sum();
        let folder = match views.as_slice() {
            [one] => one.detail.as_deref().map_or_else(String::new, |detail| format!(" in {}", detail.folder)),
            _ => String::new(),
        };
        let choices = [
            (false, "keep the data", "only take it out of the list".to_owned(), theme.text),
            (true, "delete the data", format!("{}{folder}", size_long(bytes)), theme.bad),
        ];
        for (at, (means, word, text, style)) in choices.into_iter().enumerate() {
            let y = room.y + listed + at as u16;
            if y >= room.bottom() {
                return;
            }
            let chosen = means == self.data;
            if chosen {
                sheet.choose(room, y);
            }
            sheet.hit(Rect { y, height: 1, ..room }, Hit::Row(at));
            sheet.pen.put(room.x + 2, y, 16, word, if chosen { style.patch(bold()) } else { theme.text });
            sheet.pen.put(room.x + 19, y, room.width.saturating_sub(19), &text, theme.dim);
        }
    }
}
