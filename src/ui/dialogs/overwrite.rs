//! Asks whether a torrent may overwrite existing files.

use crate::api::{Command, Snapshot, TorrentId};
use crate::ui::dialogs::dialog::{CLOSE, CONFIRM, Dialog, DialogContext, Outcome, QUESTION};
use crate::ui::keys::action::{Action, AppAction, DialogAction};
use crate::ui::keys::context::KeyContext;
use crate::ui::state::app::find;
use crate::ui::text::format::wrap;
use crate::ui::widgets::panel::{Panel, text_width};

/// The overwrite dialog.
#[derive(Debug)]
pub struct OverwriteDialog {
    id: TorrentId,
    name: String,
    /// Description of the existing files.
    text: String,
    /// Whether "overwrite" is selected.
    yes: bool,
    /// Whether the torrent has been seen in the list.
    listed: bool,
}

impl OverwriteDialog {
    /// Creates the dialog with "keep the files" selected.
    #[must_use]
    pub fn new(id: TorrentId, name: String, text: String) -> Self {
        OverwriteDialog { id, name, text, yes: false, listed: false }
    }
}

impl Dialog for OverwriteDialog {
    fn contexts(&self) -> &'static [KeyContext] {
        QUESTION
    }

    fn action(&mut self, action: Action, _cx: &DialogContext<'_>) -> Outcome {
        match action {
            CLOSE | Action::App(AppAction::Quit) | Action::Dialog(DialogAction::No) => return Outcome::Close,
            CONFIRM => return Outcome::send(self.yes.then_some(Command::Overwrite(self.id))),
            Action::Nav(action) => self.yes = action.rows(1) > 0,
            Action::Dialog(DialogAction::Switch) => self.yes = !self.yes,
            _ => {}
        }
        Outcome::Stay
    }

    fn click_row(&mut self, row: usize, _cx: &DialogContext<'_>) -> Outcome {
        self.yes = row == 1;
        Outcome::Stay
    }

    /// The dialog is needed until the torrent is removed. A torrent that was just added may not be listed yet.
    fn retain(&mut self, snapshot: &Snapshot) -> bool {
        let is_there = find(snapshot, self.id).is_some();
        self.listed |= is_there;
        is_there || !self.listed
    }

    fn draw(&self, panel: &mut Panel<'_, '_>, _cx: &DialogContext<'_>) {
        let theme = *panel.pen.theme;
        let lines = wrap(&self.text, text_width(panel.screen.width));
        let title = format!("{}: overwrite existing files?", self.name);
        let buttons = [(CONFIRM, "confirm"), (Action::Dialog(DialogAction::Switch), "switch"), (CLOSE, "cancel")];
        let room = panel.open(&title, 2 + lines.len(), &buttons);
        // On a low screen the answers have priority over the description.
        let told = lines.len().min(usize::from(room.height).saturating_sub(2)) as u16;
        for (line, y) in lines.iter().zip(room.y..room.y + told) {
            panel.line(room, y, line, theme.text);
        }
        let answers = [
            ("keep them", "the torrent waits until you move them", theme.text),
            ("overwrite them", "their contents are lost", theme.bad),
        ];
        panel.answers(room, room.y + told, &answers, self.yes.into());
    }
}
