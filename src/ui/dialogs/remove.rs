//! Asks whether to remove torrents, and whether to delete their data.

use ratatui::layout::Rect;

use crate::api::{Command, Snapshot, TorrentId};
use crate::ui::app::dialog_stack::DialogContext;
use crate::ui::keys::key::Key;
use crate::ui::state::app::find;
use crate::ui::text::format::size_long;
use crate::ui::widgets::panel::{HitTarget, Panel, bold};

/// Maximum number of names listed.
const NAMES: usize = 3;

/// The remove dialog.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RemoveDialog {
    /// The torrents to remove.
    pub ids: Vec<TorrentId>,
    /// Whether to delete their data.
    pub data: bool,
}

impl RemoveDialog {
    /// Creates the dialog with "keep the data" selected.
    #[must_use]
    pub fn new(ids: Vec<TorrentId>) -> Self {
        RemoveDialog { ids, data: false }
    }

    /// Drops torrents that were removed; returns `false` if none is left.
    pub fn settle(&mut self, snapshot: &Snapshot) -> bool {
        self.ids.retain(|id| find(snapshot, *id).is_some());
        !self.ids.is_empty()
    }

    /// Handles a key; returns `false` to close the dialog.
    pub fn key(&mut self, key: Key, turn: &mut DialogContext<'_>) -> bool {
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

    /// Selects the clicked answer.
    pub fn click(&mut self, row: usize) {
        self.data = row == 1;
    }

    /// Draws the dialog.
    pub fn draw(&self, sheet: &mut Panel<'_, '_>, snapshot: &Snapshot) {
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
        let room = sheet.open(&title, 2 + names.len(), "Enter remove   Tab switch   Esc cancel");
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
            (false, "keep the data", "remove from the list only".to_owned(), theme.text),
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
            sheet.hit(Rect { y, height: 1, ..room }, HitTarget::Row(at));
            sheet.pen.put(room.x + 2, y, 16, word, if chosen { style.patch(bold()) } else { theme.text });
            sheet.pen.put(room.x + 19, y, room.width.saturating_sub(19), &text, theme.dim);
        }
    }
}
