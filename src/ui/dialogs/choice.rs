//! Asks whether to delete the data of removed torrents, or whether a torrent may overwrite existing files: a question
//! with two answers, of which only the second loses data.

use crate::api::{Command, Snapshot, TorrentId, TorrentView};
use crate::ui::dialogs::dialog::{CLOSE, CONFIRM, Dialog, DialogContext, Outcome, QUESTION, Request};
use crate::ui::keys::action::{Action, AppAction, DialogAction};
use crate::ui::keys::context::KeyContext;
use crate::ui::text::format::{size_long, wrap};
use crate::ui::widgets::panel::{Panel, text_width};

/// Maximum number of names listed.
const NAMES: usize = 3;

/// What is asked.
#[derive(Debug)]
enum Question {
    Remove,
    Overwrite {
        name: String,
        /// Description of the existing files.
        text: String,
    },
}

/// A question with two answers.
#[derive(Debug)]
pub struct ChoiceDialog {
    question: Question,
    ids: Vec<TorrentId>,
    /// What the torrents are called in a sentence.
    named: String,
    /// Whether the answer that loses data is selected.
    pub second: bool,
    /// Whether one of the torrents has been in the list: one that was just added may not be yet.
    listed: bool,
}

impl ChoiceDialog {
    /// Asks whether to delete the data of the torrents to remove.
    pub fn remove(ids: Vec<TorrentId>, named: String) -> Self {
        ChoiceDialog { question: Question::Remove, ids, named, second: false, listed: true }
    }

    /// Asks whether a torrent may overwrite existing files.
    pub fn overwrite(id: TorrentId, name: String, text: String) -> Self {
        let named = name.clone();
        ChoiceDialog {
            question: Question::Overwrite { name, text },
            ids: vec![id],
            named,
            second: false,
            listed: false,
        }
    }

    /// Returns title and text of the question about the torrents, and the explanation of the second answer.
    fn words(&self, views: &[&TorrentView], width: u16) -> (String, Vec<String>, String) {
        match (&self.question, views) {
            (Question::Overwrite { name, text }, _) => {
                let title = format!("{name}: overwrite existing files?");
                (title, wrap(text, width), "their contents are lost".to_owned())
            }
            (Question::Remove, [one]) => {
                let folder = one.detail.as_deref().map_or_else(String::new, |detail| format!(" in {}", detail.folder));
                (format!("remove {}", one.name), Vec::new(), format!("{}{folder}", size_long(one.done)))
            }
            (Question::Remove, views) => {
                let mut names: Vec<String> = views.iter().take(NAMES).map(|view| format!("  {}", view.name)).collect();
                names.extend((views.len() > NAMES).then(|| format!("  and {} more", views.len() - NAMES)));
                let bytes = views.iter().map(|view| view.done).sum();
                (format!("remove {} torrents", views.len()), names, size_long(bytes))
            }
        }
    }
}

impl Dialog for ChoiceDialog {
    fn contexts(&self) -> &'static [KeyContext] {
        QUESTION
    }

    fn action(&mut self, action: Action, _cx: &DialogContext<'_>) -> Outcome {
        match action {
            CLOSE | Action::App(AppAction::Quit) | Action::Dialog(DialogAction::No) => return Outcome::Close,
            CONFIRM => {
                let data = self.second;
                return match self.question {
                    Question::Remove => {
                        let removed = self.ids.iter().map(|id| Request::Engine(Command::Remove { id: *id, data }));
                        let how = if data { "and deleting the data" } else { "and keeping the data" };
                        let said = Request::Notify(format!("removing {} {how}", self.named));
                        Outcome::Finish(removed.chain([said]).collect())
                    }
                    Question::Overwrite { .. } => {
                        Outcome::send(self.ids.iter().filter(|_| data).map(|id| Command::Overwrite(*id)))
                    }
                };
            }
            Action::Nav(action) => self.second = action.rows(1) > 0,
            Action::Dialog(DialogAction::Switch) => self.second = !self.second,
            _ => return Outcome::Ignored,
        }
        Outcome::Stay
    }

    fn click_row(&mut self, row: usize, _cx: &DialogContext<'_>) -> Outcome {
        self.second = row == 1;
        Outcome::Stay
    }

    fn retain(&mut self, snapshot: &Snapshot) -> bool {
        let known: Vec<TorrentId> = self.ids.iter().copied().filter(|id| snapshot.torrent(*id).is_some()).collect();
        self.listed |= !known.is_empty();
        if self.listed {
            self.ids = known;
        }
        !self.ids.is_empty()
    }

    fn draw(&self, panel: &mut Panel<'_, '_>, cx: &DialogContext<'_>) {
        let theme = *panel.pen.theme;
        let views: Vec<&TorrentView> = self.ids.iter().filter_map(|id| cx.snapshot.torrent(*id)).collect();
        let (title, lines, lost) = self.words(&views, text_width(panel.screen.width));
        let (confirm, first, second) = match self.question {
            Question::Remove => ("remove", ("keep the data", "remove from the list only"), "delete the data"),
            Question::Overwrite { .. } => {
                ("confirm", ("keep them", "the torrent waits until you move them"), "overwrite them")
            }
        };
        let buttons = [(CONFIRM, confirm), (Action::Dialog(DialogAction::Switch), "switch"), (CLOSE, "cancel")];
        let room = panel.open(&title, 2 + lines.len(), &buttons);
        // On a low screen the answers have priority over the text.
        let listed = lines.len().min(usize::from(room.height).saturating_sub(2)) as u16;
        for (line, y) in lines.iter().zip(room.y..room.y + listed) {
            panel.line(room, y, line, theme.text);
        }
        let answers = [(first.0, first.1, theme.text), (second, lost.as_str(), theme.bad)];
        panel.answers(room, room.y + listed, &answers, self.second.into());
    }
}
