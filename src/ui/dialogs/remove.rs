//! Asks whether to remove torrents, and whether to delete their data.

use ratatui::layout::Rect;

use crate::api::{Command, Snapshot, TorrentId};
use crate::ui::dialogs::dialog::{CLOSE, CONFIRM, Dialog, DialogContext, Outcome, QUESTION};
use crate::ui::keys::action::{Action, AppAction, DialogAction};
use crate::ui::keys::context::KeyContext;
use crate::ui::state::app::find;
use crate::ui::text::format::size_long;
use crate::ui::widgets::panel::Panel;

/// Maximum number of names listed.
const NAMES: usize = 3;

/// The remove dialog.
#[derive(Debug)]
pub struct RemoveDialog {
    /// The torrents to remove.
    ids: Vec<TorrentId>,
    /// Whether to delete their data.
    pub data: bool,
}

impl RemoveDialog {
    /// Creates the dialog with "keep the data" selected.
    #[must_use]
    pub fn new(ids: Vec<TorrentId>) -> Self {
        RemoveDialog { ids, data: false }
    }
}

impl Dialog for RemoveDialog {
    fn contexts(&self) -> &'static [KeyContext] {
        QUESTION
    }

    fn action(&mut self, action: Action, _cx: &DialogContext<'_>) -> Outcome {
        match action {
            CLOSE | Action::App(AppAction::Quit) | Action::Dialog(DialogAction::No) => return Outcome::Close,
            CONFIRM => return Outcome::send(self.ids.iter().map(|id| Command::Remove { id: *id, data: self.data })),
            Action::Nav(action) => self.data = action.rows(1) > 0,
            Action::Dialog(DialogAction::Switch) => self.data = !self.data,
            _ => {}
        }
        Outcome::Stay
    }

    fn click_row(&mut self, row: usize, _cx: &DialogContext<'_>) -> Outcome {
        self.data = row == 1;
        Outcome::Stay
    }

    fn retain(&mut self, snapshot: &Snapshot) -> bool {
        self.ids.retain(|id| find(snapshot, *id).is_some());
        !self.ids.is_empty()
    }

    fn draw(&self, panel: &mut Panel<'_, '_>, cx: &DialogContext<'_>) {
        let theme = *panel.pen.theme;
        let views: Vec<_> = self.ids.iter().filter_map(|id| find(cx.snapshot, *id)).collect();
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
        let buttons = [(CONFIRM, "remove"), (Action::Dialog(DialogAction::Switch), "switch"), (CLOSE, "cancel")];
        let room = panel.open(&title, 2 + names.len(), &buttons);
        let listed = names.len().min(usize::from(room.height).saturating_sub(2)) as u16;
        for (name, y) in names.iter().zip(room.y..room.y + listed) {
            panel.line(Rect { x: room.x + 2, width: room.width.saturating_sub(2), ..room }, y, name, theme.text);
        }
        let bytes: u64 = views.iter().map(|view| view.done).sum();
        let folder = match views.as_slice() {
            [one] => one.detail.as_deref().map_or_else(String::new, |detail| format!(" in {}", detail.folder)),
            _ => String::new(),
        };
        let deleted = format!("{}{folder}", size_long(bytes));
        let answers = [
            ("keep the data", "remove from the list only", theme.text),
            ("delete the data", deleted.as_str(), theme.bad),
        ];
        panel.answers(room, room.y + listed, &answers, self.data.into());
    }
}
