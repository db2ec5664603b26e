//! Asks whether to quit, to remove a tracker, or to ban a peer.

use crate::api::{Command, PeerKey, Snapshot, TorrentCommand, TorrentId};
use crate::ui::dialogs::dialog::{CLOSE, CONFIRM, Dialog, DialogContext, Outcome, QUESTION, Request};
use crate::ui::dialogs::message::draw_text;
use crate::ui::keys::action::{Action, AppAction, DialogAction};
use crate::ui::keys::context::KeyContext;
use crate::ui::widgets::list::ScrollState;
use crate::ui::widgets::panel::Panel;

/// A question that is answered with yes or no.
#[derive(Debug)]
pub enum ConfirmDialog {
    Quit {
        /// Number of unfinished torrents.
        unfinished: usize,
    },
    RemoveTracker {
        id: TorrentId,
        index: usize,
        /// The URL as shown when the dialog was opened.
        url: String,
    },
    Ban {
        id: TorrentId,
        key: PeerKey,
        /// The peer as shown when the dialog was opened.
        peer: String,
    },
}

impl Dialog for ConfirmDialog {
    fn contexts(&self) -> &'static [KeyContext] {
        QUESTION
    }

    fn action(&mut self, action: Action, _cx: &DialogContext<'_>) -> Outcome {
        let yes = match action {
            CONFIRM | Action::Dialog(DialogAction::Yes) => true,
            CLOSE | Action::Dialog(DialogAction::No) => false,
            Action::App(AppAction::Quit) => matches!(self, ConfirmDialog::Quit { .. }),
            _ => return Outcome::Ignored,
        };
        match self {
            _ if !yes => Outcome::Close,
            ConfirmDialog::Quit { .. } => Outcome::Finish(vec![Request::Run(Action::App(AppAction::QuitNow))]),
            ConfirmDialog::RemoveTracker { id, index, url } => Outcome::Finish(vec![
                Request::Engine(Command::Torrent(*id, TorrentCommand::RemoveTracker(*index))),
                Request::Notify(format!("removing tracker {url}")),
            ]),
            ConfirmDialog::Ban { id, key, peer } => Outcome::Finish(vec![
                Request::Engine(Command::Torrent(*id, TorrentCommand::Ban(*key))),
                Request::Notify(format!("banning {peer}")),
            ]),
        }
    }

    fn retain(&mut self, snapshot: &Snapshot) -> bool {
        match self {
            ConfirmDialog::Quit { .. } => true,
            ConfirmDialog::RemoveTracker { id, .. } | ConfirmDialog::Ban { id, .. } => snapshot.torrent(*id).is_some(),
        }
    }

    fn draw(&self, panel: &mut Panel<'_, '_>, cx: &DialogContext<'_>) {
        let (title, text, yes, no) = match self {
            ConfirmDialog::Quit { unfinished } => {
                let text = match unfinished {
                    1 => "1 torrent is unfinished. It will resume the next time you start ttui.".to_owned(),
                    n => format!("{n} torrents are unfinished. They will resume the next time you start ttui."),
                };
                ("quit?", text, "quit", "stay")
            }
            ConfirmDialog::RemoveTracker { id, index, url } => {
                // The URL as shown in the list, which may be masked in privacy mode.
                let detail = cx.snapshot.torrent(*id).and_then(|view| view.detail.as_deref());
                let row = detail.and_then(|detail| detail.trackers.iter().find(|row| row.index == *index));
                let url = row.map_or(url.as_str(), |row| row.url.as_str());
                let text = format!("Remove tracker {url}? You can add it again later.");
                ("remove tracker", text, "remove", "keep")
            }
            ConfirmDialog::Ban { peer, .. } => {
                let text = format!("Ban {peer}? Nothing is exchanged with its IP address until ttui is restarted.");
                ("ban", text, "ban", "cancel")
            }
        };
        draw_text(panel, title, &[text], &[(CONFIRM, yes), (CLOSE, no)], ScrollState::default());
    }
}
