//! A one-line prompt about torrents: a directory, peer addresses, a tracker URL, a file pattern.

use std::net::SocketAddr;
use std::path::PathBuf;

use ratatui::layout::Rect;

use crate::api::{Command, Priority, Snapshot, TorrentCommand, TorrentId};
use crate::ui::dialogs::dialog::{
    BROWSE, CLOSE, COMPLETE, CONFIRM, Dialog, DialogContext, FORM, Outcome, Request, edit_field,
};
use crate::ui::keys::action::{Action, DialogAction};
use crate::ui::keys::context::KeyContext;
use crate::ui::text::format::wrap;
use crate::ui::text::pattern::matches;
use crate::ui::text::validate::{rate_limit, tracker_url};
use crate::ui::widgets::panel::{Panel, text_width};
use crate::ui::widgets::path_input::{DirListing, PathInput, PathKind, dropped, expand};
use crate::ui::widgets::text_input::TextInput;

/// Maximum number of peer addresses in one line.
const PEERS: usize = 100;

/// What is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum PromptKind {
    /// The directory to move the data to.
    Move,
    /// The path to export the `.torrent` to.
    Export,
    /// Addresses of peers to connect to.
    Peers,
    /// A tracker to add.
    Tracker,
    /// A pattern of the files to download.
    Glob,
    /// Rate limits.
    Limits,
}

/// A prompt about torrents.
#[derive(Debug)]
pub(crate) struct PromptDialog {
    kind: PromptKind,
    ids: Vec<TorrentId>,
    /// What the torrents are called in a sentence.
    named: String,
    field: PathInput,
    error: Option<String>,
    /// What is done once it is known that the folder exists, or is confirmed: the folder, the requests.
    waiting: Option<(String, Vec<Command>)>,
}

impl PromptDialog {
    /// Creates a prompt about these torrents, with `text` as the initial input.
    pub(crate) fn new(kind: PromptKind, ids: Vec<TorrentId>, named: String, text: &str) -> Self {
        PromptDialog { kind, ids, named, field: PathInput::new(text, PathKind::Folder), error: None, waiting: None }
    }

    const fn is_path(&self) -> bool {
        matches!(self.kind, PromptKind::Move | PromptKind::Export)
    }

    /// Builds the commands from the input, or returns one sentence with the cause.
    fn answer(&self, cx: &DialogContext<'_>) -> Result<Vec<Command>, String> {
        let text = self.field.text().trim();
        let path = || PathBuf::from(self.path(cx.state.home.as_deref()));
        let each = |make: &dyn Fn(TorrentId) -> Command| self.ids.iter().map(|id| make(*id)).collect();
        if text.is_empty() {
            return Err(match self.kind {
                PromptKind::Move | PromptKind::Export => "enter a folder".to_owned(),
                PromptKind::Peers => "enter an address, such as 192.168.1.20:51413".to_owned(),
                PromptKind::Tracker => "write an address, such as udp://tracker.example.org:1337".to_owned(),
                PromptKind::Limits => "enter a rate, such as 2M, or 0 for no limit".to_owned(),
                PromptKind::Glob => "write part of a name, or a pattern like *.mkv".to_owned(),
            });
        }
        Ok(match self.kind {
            PromptKind::Move => each(&|id| Command::Move { id, to: path() }),
            PromptKind::Export => each(&|id| Command::Export { id, to: path() }),
            PromptKind::Peers => {
                let peers = peers(text)?;
                let connected = |id: &TorrentId| cx.snapshot.torrent(*id)?.detail.as_deref();
                let rows = self.ids.iter().filter_map(connected).flat_map(|detail| &detail.peers);
                if let Some(row) = rows.into_iter().find(|row| peers.contains(&row.addr)) {
                    return Err(format!("{} is connected already", row.addr));
                }
                each(&|id| Command::AddPeers(id, peers.clone()))
            }
            PromptKind::Tracker => {
                let url = tracker_url(text)?;
                each(&|id| Command::Torrent(id, TorrentCommand::AddTracker(url.clone())))
            }
            PromptKind::Limits => {
                let (down, up) = limits(text)?;
                let set = |now: Option<u64>, typed: Limit| if let Limit::Set(limit) = typed { limit } else { now };
                let limits = |id: &TorrentId| {
                    let now = cx.snapshot.torrent(*id)?.limits;
                    let command = TorrentCommand::Limits { down: set(now.down, down), up: set(now.up, up) };
                    Some(Command::Torrent(*id, command))
                };
                self.ids.iter().filter_map(limits).collect()
            }
            PromptKind::Glob => {
                let mut commands = Vec::new();
                for id in &self.ids {
                    let files = cx.snapshot.torrent(*id).and_then(|view| view.detail.as_deref());
                    let files = files.map_or(&[][..], |detail| &detail.files);
                    let wanted = |file: &crate::api::FileRow| matches(text, &file.path);
                    if !files.iter().any(wanted) {
                        return Err(format!("no file matches {text}: no change"));
                    }
                    let told = files.iter().filter_map(|file| match (wanted(file), file.priority) {
                        (true, Priority::Skip) => Some((file.index, Priority::Normal)),
                        (false, Priority::Low | Priority::Normal | Priority::High) => {
                            Some((file.index, Priority::Skip))
                        }
                        _ => None,
                    });
                    commands.push(Command::Torrent(*id, TorrentCommand::Priority(told.collect())));
                }
                commands
            }
        })
    }

    fn path(&self, home: Option<&str>) -> String {
        expand(&dropped(self.field.text()), home)
    }

    /// Carries out the answer; a move only into a folder that exists, or that was confirmed.
    fn confirm(&mut self, commands: Vec<Command>, cx: &DialogContext<'_>) -> Outcome {
        let folder = self.path(cx.state.home.as_deref());
        if self.kind != PromptKind::Move || self.waiting.as_ref().is_some_and(|(asked, _)| *asked == folder) {
            return self.done(commands);
        }
        self.waiting = Some((folder.clone(), commands));
        Outcome::of_effect(Some(PathKind::Folder.ask(folder)))
    }

    /// Closes the dialog, and says what is done.
    fn done(&self, commands: Vec<Command>) -> Outcome {
        let text = self.field.text().trim();
        let said = match self.kind {
            PromptKind::Move => format!("moving {} to {text}", self.named),
            PromptKind::Export => format!("exporting the .torrent of {} to {text}", self.named),
            PromptKind::Peers => format!("connecting {} to {text}", self.named),
            PromptKind::Tracker => format!("adding tracker {text} to {}", self.named),
            PromptKind::Glob => format!("downloading only what matches {text} of {}", self.named),
            PromptKind::Limits => format!("rate limits of {}: {text}", self.named),
        };
        let requests = commands.into_iter().map(Request::Engine);
        Outcome::Finish(requests.chain([Request::Notify(said)]).collect())
    }

    fn title(&self, snapshot: &Snapshot) -> String {
        let named = match self.ids.as_slice() {
            [id] => snapshot.torrent(*id).map_or_else(String::new, |view| view.name.clone()),
            ids => format!("{} torrents", ids.len()),
        };
        match self.kind {
            PromptKind::Move => format!("move {named}"),
            PromptKind::Export => format!("export the .torrent of {named}"),
            PromptKind::Peers => format!("connect {named} to a peer"),
            PromptKind::Tracker => format!("add a tracker to {named}"),
            PromptKind::Glob => format!("select files of {named}"),
            PromptKind::Limits => format!("rate limits of {named}"),
        }
    }
}

impl Dialog for PromptDialog {
    fn contexts(&self) -> &'static [KeyContext] {
        FORM
    }

    fn action(&mut self, action: Action, cx: &DialogContext<'_>) -> Outcome {
        let home = cx.state.home.as_deref();
        match action {
            CLOSE => return Outcome::Close,
            CONFIRM => match self.answer(cx) {
                Ok(commands) => return self.confirm(commands, cx),
                Err(why) => self.error = Some(why),
            },
            BROWSE if self.is_path() => {
                let typed = expand(self.field.text().trim(), home);
                return Outcome::Do(Request::PickPath(typed, PathKind::Folder));
            }
            COMPLETE | Action::Dialog(DialogAction::CompleteBack) if self.is_path() => {
                self.error = None;
                return Outcome::of_effect(self.field.complete(action == COMPLETE, home));
            }
            _ => return Outcome::Ignored,
        }
        Outcome::Stay
    }

    fn text_field(&mut self) -> Option<&mut TextInput> {
        Some(&mut self.field.edit)
    }

    fn edited(&mut self) {
        (self.error, self.waiting) = (None, None);
    }

    /// Line breaks become spaces.
    fn paste(&mut self, lines: &[&str]) -> bool {
        let lines: Vec<&str> = lines.iter().map(|line| line.trim()).collect();
        edit_field(self, |field| field.insert(&lines.join(" ")));
        true
    }

    fn on_picked(&mut self, path: &str) {
        self.field.set(path);
    }

    fn on_listing(&mut self, listing: &DirListing) -> Outcome {
        self.field.on_listing(listing);
        match (self.waiting.take(), &listing.fault) {
            (Some((folder, commands)), None) if folder == listing.folder => self.done(commands),
            (Some((folder, commands)), Some(fault)) if folder == listing.folder => {
                self.error = Some(format!("{fault}; the same again makes the folder"));
                self.waiting = Some((folder, commands));
                Outcome::Stay
            }
            (waiting, _) => {
                self.waiting = waiting;
                Outcome::Stay
            }
        }
    }

    fn retain(&mut self, snapshot: &Snapshot) -> bool {
        self.ids.retain(|id| snapshot.torrent(*id).is_some());
        !self.ids.is_empty()
    }

    fn draw(&self, panel: &mut Panel<'_, '_>, cx: &DialogContext<'_>) {
        let theme = *panel.pen.theme;
        let (mark, hint, word) = match self.kind {
            PromptKind::Move => ("to", "a folder; nothing in it is overwritten", "move"),
            PromptKind::Export => ("to", "a file or a folder; nothing is overwritten", "export"),
            PromptKind::Peers => ("address", "IP:PORT, [IPv6]:PORT; separate with spaces", "connect"),
            PromptKind::Tracker => ("address", "http://, https:// or udp://", "add"),
            PromptKind::Glob => ("only", "part of a name, or a pattern like *.mkv", "select only these"),
            PromptKind::Limits => ("limits", "download and upload, such as 2M 500K; 0 is no limit, - stays", "set"),
        };
        let mut buttons = vec![(CONFIRM, word), (COMPLETE, "complete"), (BROWSE, "browse"), (CLOSE, "cancel")];
        buttons.retain(|(action, _)| self.is_path() || matches!(*action, CONFIRM | CLOSE));
        let width = text_width(panel.screen.width);
        let remark = match &self.error {
            Some(error) => wrap(error, width),
            None if self.field.has_no_match() => vec!["no matching folder".to_owned()],
            None => vec![hint.to_owned()],
        };
        let remark = &remark[..remark.len().min(4)];
        let room = panel.open(&self.title(cx.snapshot), 1 + remark.len(), &buttons);
        panel.field(Rect { height: 1, ..room }, mark, &self.field.edit, "", true);
        let indent = mark.len() as u16 + 1;
        let words = Rect { x: room.x + indent, width: room.width.saturating_sub(indent), ..room };
        let (found, at) = self.field.found();
        if self.error.is_none() && !found.is_empty() && room.height > 1 {
            return panel.completions(Rect { y: room.y + 1, height: 1, ..words }, found, at);
        }
        let style = if self.error.is_some() { theme.bad } else { theme.dim };
        for (at, line) in remark.iter().enumerate() {
            panel.line(words, room.y + 1 + at as u16, line, style);
        }
    }
}

/// What is typed for one rate limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Limit {
    Keep,
    Set(Option<u64>),
}

/// Parses the limits of download and upload; without the second, that of the upload stays.
fn limits(text: &str) -> Result<(Limit, Limit), String> {
    let limit = |word: &str| match word {
        "-" => Ok(Limit::Keep),
        "0" | "none" => Ok(Limit::Set(None)),
        word => rate_limit(word).map(|rate| Limit::Set(Some(rate))),
    };
    let words: Vec<&str> = text.split([' ', ',', '/']).filter(|word| !word.is_empty()).collect();
    match words.as_slice() {
        [down] => Ok((limit(down)?, Limit::Keep)),
        [down, up] => Ok((limit(down)?, limit(up)?)),
        _ => Err("enter two rates: download and upload".to_owned()),
    }
}

/// Parses peer addresses.
fn peers(text: &str) -> Result<Vec<SocketAddr>, String> {
    let words = text.split(|c: char| c.is_whitespace() || c == ',' || c == ';').filter(|word| !word.is_empty());
    let peers = words
        .map(|word| {
            let addr: SocketAddr = word
                .parse()
                .map_err(|_| format!("{word} is not a valid address; use 192.168.1.20:51413 or [2001:db8::7]:6881"))?;
            if addr.port() == 0 || addr.ip().is_unspecified() || addr.ip().is_multicast() {
                return Err(format!("{word} is not a usable address"));
            }
            Ok(addr)
        })
        .collect::<Result<Vec<_>, String>>()?;
    if peers.len() > PEERS {
        return Err(format!("too many addresses: {}, at most {PEERS}", peers.len()));
    }
    Ok(peers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_have_a_unit() {
        assert_eq!(limits("2M 500K"), Ok((Limit::Set(Some(2_000_000)), Limit::Set(Some(500_000)))));
        assert_eq!(limits("none"), Ok((Limit::Set(None), Limit::Keep)));
        assert_eq!(limits("- 0"), Ok((Limit::Keep, Limit::Set(None))));
        assert!(limits("200").is_err_and(|why| why.contains("200K")), "of what?");
        assert!(limits("1M 2M 3M").is_err() && limits("fast").is_err());
    }

    #[test]
    fn addresses_are_read_as_people_write_them() {
        assert_eq!(peers("192.0.2.1:80, [2001:db8::1]:6881").map(|all| all.len()), Ok(2));
        for wrong in
            ["192.0.2.1", "2001:db8::1:6881:", "host:80", "192.0.2.1:0", "0.0.0.0:5", "224.0.0.1:5", "1.2.3.4:99999"]
        {
            assert!(peers(wrong).is_err(), "{wrong}");
        }
        assert!(peers(&"192.0.2.1:80 ".repeat(101)).is_err());
    }
}
