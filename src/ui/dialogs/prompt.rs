//! A one-line prompt about torrents: a directory, peer addresses, a tracker URL, a file pattern.

use std::net::SocketAddr;
use std::path::PathBuf;

use ratatui::layout::Rect;

use crate::api::{Command, Priority, Snapshot, TorrentCommand, TorrentId};
use crate::ui::app::dialog_stack::DialogContext;
use crate::ui::dialogs::add::draw_completions;
use crate::ui::dialogs::dialog::Dialog;
use crate::ui::dialogs::file_picker::FilePicker;
use crate::ui::keys::key::Key;
use crate::ui::state::app::find;
use crate::ui::text::format::wrap;
use crate::ui::text::pattern::matches;
use crate::ui::widgets::panel::{Panel, text_width};
use crate::ui::widgets::path_input::{DirListing, PathInput, PathKind, expand};

/// Maximum length of a tracker URL in bytes.
const URL: usize = 2048;
/// Maximum number of peer addresses in one line.
const PEERS: usize = 100;

/// What is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PromptKind {
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
}

/// A prompt about torrents.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PromptDialog {
    question: PromptKind,
    ids: Vec<TorrentId>,
    field: PathInput,
    error: Option<String>,
}

impl PromptDialog {
    /// Creates a prompt about these torrents, with `text` as the initial input.
    #[must_use]
    pub fn new(question: PromptKind, ids: Vec<TorrentId>, text: &str) -> Self {
        PromptDialog { question, ids, field: PathInput::new(text, PathKind::Folder), error: None }
    }

    /// Drops removed torrents; returns `false` if none is left.
    pub fn settle(&mut self, snapshot: &Snapshot) -> bool {
        self.ids.retain(|id| find(snapshot, *id).is_some());
        !self.ids.is_empty()
    }

    const fn is_path(&self) -> bool {
        matches!(self.question, PromptKind::Move | PromptKind::Export)
    }

    /// Handles a key; returns `false` to close the prompt.
    pub fn key(&mut self, key: Key, turn: &mut DialogContext<'_>) -> bool {
        match key {
            Key::Esc => return false,
            Key::Enter => match self.answer(turn) {
                Ok(commands) => {
                    turn.commands.extend(commands);
                    return false;
                }
                Err(why) => self.error = Some(why),
            },
            Key::Ctrl('o') if self.is_path() => {
                let typed = expand(self.field.text().trim(), turn.app.state.home.as_deref());
                let browse = FilePicker::open(&typed, PathKind::Folder, &mut turn.app.state);
                turn.app.dialogs.push(Dialog::Browse(Box::new(browse)));
            }
            Key::Tab | Key::BackTab if !self.is_path() => {}
            key => {
                let home = turn.app.state.home.clone();
                if self.field.key(key, home.as_deref(), &mut turn.app.state.outbox) {
                    self.error = None;
                }
            }
        }
        true
    }

    /// Handles a paste: line breaks become spaces.
    pub fn paste(&mut self, lines: &[&str], last: &str) {
        for line in lines {
            self.field.insert(&format!("{} ", line.trim()));
        }
        self.field.insert(last.trim_end());
        self.error = None;
    }

    /// Applies the directory that the file picker returned.
    pub fn picked(&mut self, path: &str) {
        self.field.set(path);
    }

    /// Passes a directory listing to the input.
    pub fn listing(&mut self, listing: &DirListing) {
        self.field.listing(listing);
    }

    /// Builds the commands from the input, or returns one sentence with the cause.
    fn answer(&self, turn: &DialogContext<'_>) -> Result<Vec<Command>, String> {
        let text = self.field.text().trim();
        let path = || PathBuf::from(expand(text, turn.app.state.home.as_deref()));
        let each = |make: &dyn Fn(TorrentId) -> Command| self.ids.iter().map(|id| make(*id)).collect();
        if text.is_empty() {
            return Err(match self.question {
                PromptKind::Move | PromptKind::Export => "enter a folder".to_owned(),
                PromptKind::Peers => "enter an address, such as 192.168.1.20:51413".to_owned(),
                PromptKind::Tracker => "write an address, such as udp://tracker.example.org:1337".to_owned(),
                PromptKind::Glob => "write part of a name, or a pattern like *.mkv".to_owned(),
            });
        }
        Ok(match self.question {
            PromptKind::Move => each(&|id| Command::Move { id, to: path() }),
            PromptKind::Export => each(&|id| Command::Export { id, to: path() }),
            PromptKind::Peers => {
                let peers = peers(text)?;
                each(&|id| Command::AddPeers(id, peers.clone()))
            }
            PromptKind::Tracker => {
                let url = tracker(text)?;
                each(&|id| Command::Torrent(id, TorrentCommand::AddTracker(url.clone())))
            }
            PromptKind::Glob => {
                let mut commands = Vec::new();
                for id in &self.ids {
                    let files = find(turn.snapshot, *id).and_then(|view| view.detail.as_deref());
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

    fn title(&self, snapshot: &Snapshot) -> String {
        let named = match self.ids.as_slice() {
            [id] => find(snapshot, *id).map_or_else(String::new, |view| view.name.clone()),
            ids => format!("{} torrents", ids.len()),
        };
        match self.question {
            PromptKind::Move => format!("move {named}"),
            PromptKind::Export => format!("export the .torrent of {named}"),
            PromptKind::Peers => format!("connect {named} to a peer"),
            PromptKind::Tracker => format!("add a tracker to {named}"),
            PromptKind::Glob => format!("select files of {named}"),
        }
    }

    /// Draws the prompt.
    pub fn draw(&self, sheet: &mut Panel<'_, '_>, snapshot: &Snapshot) {
        let theme = *sheet.pen.theme;
        let (mark, hint, word) = match self.question {
            PromptKind::Move => ("to", "a folder; nothing in it is overwritten", "Enter move"),
            PromptKind::Export => ("to", "a file or a folder; nothing is overwritten", "Enter export"),
            PromptKind::Peers => ("address", "IP:PORT, [IPv6]:PORT; separate with spaces", "Enter connect"),
            PromptKind::Tracker => ("address", "http://, https:// or udp://", "Enter add"),
            PromptKind::Glob => ("only", "part of a name, or a pattern like *.mkv", "Enter select only these"),
        };
        let keys = if self.is_path() {
            format!("{word}   Tab complete   ^o browse   Esc cancel")
        } else {
            format!("{word}   Esc cancel")
        };
        let width = text_width(sheet.screen.width);
        let remark = match &self.error {
            Some(error) => wrap(error, width),
            None if self.field.nothing() => vec!["no matching folder".to_owned()],
            None => vec![hint.to_owned()],
        };
        let remark = &remark[..remark.len().min(4)];
        let room = sheet.open(&self.title(snapshot), 1 + remark.len(), &keys);
        sheet.field(Rect { height: 1, ..room }, mark, &self.field.edit, "", true);
        let indent = mark.len() as u16 + 1;
        let words = Rect { x: room.x + indent, width: room.width.saturating_sub(indent), ..room };
        let (found, at) = self.field.found();
        if self.error.is_none() && !found.is_empty() && room.height > 1 {
            return draw_completions(sheet, Rect { y: room.y + 1, height: 1, ..words }, found, at);
        }
        let style = if self.error.is_some() { theme.bad } else { theme.dim };
        for (at, line) in remark.iter().enumerate() {
            sheet.line(words, room.y + 1 + at as u16, line, style);
        }
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

/// Parses a tracker URL.
pub(super) fn tracker(text: &str) -> Result<String, String> {
    let small = text.get(..8).unwrap_or(text).to_ascii_lowercase();
    let rest = ["http://", "https://", "udp://"].iter().find(|scheme| small.starts_with(**scheme));
    match rest.map(|scheme| &text[scheme.len()..]) {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => Err("the tracker URL has no host".to_owned()),
        Some(_) if text.len() > URL => Err(format!("the URL is longer than {URL} bytes")),
        Some(_) if text.contains(char::is_whitespace) => Err("enter one tracker, without spaces".to_owned()),
        Some(_) => Ok(text.to_owned()),
        None => Err("the URL must begin with http://, https:// or udp://".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_people_write_them() {
        assert_eq!(peers("192.0.2.1:80, [2001:db8::1]:6881").map(|all| all.len()), Ok(2));
        for wrong in
            ["192.0.2.1", "2001:db8::1:6881:", "host:80", "192.0.2.1:0", "0.0.0.0:5", "224.0.0.1:5", "1.2.3.4:99999"]
        {
            assert!(peers(wrong).is_err(), "{wrong}");
        }
        assert!(peers(&"192.0.2.1:80 ".repeat(101)).is_err());
        for right in ["http://a/announce", "UDP://a:1", "https://a"] {
            assert_eq!(tracker(right), Ok(right.to_owned()));
        }
        for wrong in ["a", "udp://", "http:///x", "ftp://a", "udp://a b", "\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}"] {
            assert!(tracker(wrong).is_err(), "{wrong}");
        }
        assert!(tracker(&format!("http://{}", "x".repeat(URL))).is_err());
    }
}
