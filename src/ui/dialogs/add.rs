//! The add dialog: what to add, the download directory and options; then file selection.
//!
//! ```text
//! ── add a torrent ───────────────────────────────────
//!  torrent  ~/Downloads/deb
//!           debian/  debian-12.torrent  debian-13.torrent
//!  folder   ~/Downloads
//!           [ ] start paused   [ ] in order   [x] choose files
//!  Enter add   Tab complete   ^o browse   Esc cancel
//! ```
//!
//! Enter requests a preview from the engine; if the torrent has more than one file, the files can be selected. A
//! second Enter while the preview is loading adds all files. A magnet link is added at once: files can be selected as
//! soon as peers have sent the metadata, before any file is downloaded. The dialog stays until the torrent is added: an
//! error, or that the torrent is in the list already, is shown in the dialog, and the input is kept.

use std::path::PathBuf;

use ratatui::layout::Rect;

use crate::api::{AddTorrent, Command, Event, Link, Priority, TorrentPreview};
use crate::ui::dialogs::dialog::{
    BROWSE, CLOSE, COMPLETE, CONFIRM, Dialog, DialogContext, FORM, OPTIONS, Outcome, Request, edit_field,
};
use crate::ui::dialogs::file_select::{FileSelect, FileSelectOutcome};
use crate::ui::keys::action::{Action, DialogAction, EditAction, NavAction};
use crate::ui::keys::context::KeyContext;
use crate::ui::text::format::wrap;
use crate::ui::widgets::panel::{HitTarget, Panel, text_width};
use crate::ui::widgets::path_input::{DirListing, PathInput, PathKind, dropped, expand};
use crate::ui::widgets::text_input::{MAX_BYTES, TextInput};

/// Maximum number of torrents added by one paste.
const MAX_TORRENTS: usize = 1000;

/// Fields, from top to bottom.
const WHAT: usize = 0;
const FOLDER: usize = 1;
const PAUSED: usize = 2;
const ORDER: usize = 3;
/// Only shown for magnet links.
const CHOOSE: usize = 4;

/// The add dialog.
#[derive(Debug, Default)]
pub struct AddDialog {
    /// The argument being typed; after a paste of several lines, the last one.
    pub what: PathInput,
    /// The other lines of a paste.
    pub before: Vec<String>,
    folder: PathInput,
    paused: bool,
    sequential: bool,
    /// Download all files of a magnet link without asking.
    everything: bool,
    /// The focused field.
    at: usize,
    /// The argument whose preview was requested.
    asked: Option<String>,
    /// The argument that is being added: the dialog stays until it is known that it can be.
    adding: Option<String>,
    error: Option<String>,
    select: Option<FileSelect>,
}

impl AddDialog {
    /// Creates an empty dialog.
    #[must_use]
    pub fn new() -> Self {
        AddDialog { folder: PathInput::new("", PathKind::Folder), ..AddDialog::default() }
    }

    fn toggle(&mut self, field: usize) {
        match field {
            PAUSED => self.paused = !self.paused,
            ORDER => self.sequential = !self.sequential,
            CHOOSE => self.everything = !self.everything,
            _ => {}
        }
    }

    /// Returns the last visible field.
    fn last(&self) -> usize {
        if self.offers_files() { CHOOSE } else { ORDER }
    }

    /// Returns whether files can be selected after adding: for a single magnet link, whose files are not known yet.
    fn offers_files(&self) -> bool {
        self.before.is_empty() && is_magnet(self.what.text())
    }

    /// Builds the add command for `line`, with the directory and options of the dialog.
    fn request(&self, line: &str, home: Option<&str>) -> Option<AddTorrent> {
        let folder = self.folder.text().trim();
        let dir = (!folder.is_empty()).then(|| PathBuf::from(expand(folder, home)));
        // A URL may lead to a magnet link.
        let link = self.before.is_empty() && is_link(self.what.text());
        let choose = link && !self.everything;
        parse_torrent_arg(line, home).map(|add| AddTorrent {
            dir,
            paused: self.paused,
            sequential: self.sequential,
            choose,
            ..add
        })
    }

    fn enter(&mut self, cx: &DialogContext<'_>) -> Outcome {
        let home = cx.state.home.as_deref();
        let lines = self.before.iter().map(String::as_str).chain([self.what.text()]);
        let mut requests: Vec<AddTorrent> = lines.filter_map(|line| self.request(line, home)).collect();
        if requests.len() != 1 {
            return Outcome::send(requests.into_iter().map(Command::Add));
        }
        let request = requests.remove(0);
        if is_magnet(&request.what) || self.asked.as_ref() == Some(&request.what) {
            return self.send(request);
        }
        self.error = None;
        self.asked = Some(request.what.clone());
        Outcome::Do(Request::Engine(Command::Inspect(request)))
    }

    fn select_files(&mut self, action: Action, cx: &DialogContext<'_>) -> Outcome {
        let Some(select) = &mut self.select else { return Outcome::Stay };
        match select.action(action, cx.state.size) {
            FileSelectOutcome::Stay => {}
            FileSelectOutcome::Ignored => return Outcome::Ignored,
            FileSelectOutcome::Back => self.select = None,
            FileSelectOutcome::Confirm => {
                let priorities = select.priorities();
                return self.add(priorities, cx);
            }
        }
        Outcome::Stay
    }

    /// Adds the typed torrent with these file priorities.
    fn add(&mut self, priorities: Vec<(usize, Priority)>, cx: &DialogContext<'_>) -> Outcome {
        match self.request(self.what.text(), cx.state.home.as_deref()) {
            Some(request) => self.send(AddTorrent { priorities, ..request }),
            None => Outcome::Close,
        }
    }

    /// Sends the request, and waits for the answer; the same again does not wait.
    fn send(&mut self, request: AddTorrent) -> Outcome {
        if self.adding.as_ref() == Some(&request.what) {
            return Outcome::Close;
        }
        (self.select, self.error, self.asked) = (None, None, None);
        self.adding = Some(request.what.clone());
        Outcome::Do(Request::Engine(Command::Add(request)))
    }

    /// Returns whether the dialog shows what became of this argument.
    pub(crate) fn awaits(&self, what: &str) -> bool {
        self.adding.as_deref() == Some(what)
    }

    fn browse(&self, cx: &DialogContext<'_>) -> Outcome {
        let (field, wanted) =
            if self.at == FOLDER { (&self.folder, PathKind::Folder) } else { (&self.what, PathKind::Torrent) };
        let typed = expand(field.text().trim(), cx.state.home.as_deref());
        let start = if is_link(&typed) { String::new() } else { typed };
        Outcome::Do(Request::PickPath(start, wanted))
    }

    /// Returns the path field that has the focus.
    fn path_field(&mut self) -> Option<&mut PathInput> {
        match self.at {
            WHAT => Some(&mut self.what),
            FOLDER => Some(&mut self.folder),
            _ => None,
        }
    }

    /// Returns whether the empty last line of a paste of several is focused.
    fn is_below_a_line(&self) -> bool {
        self.at == WHAT && self.what.edit.is_empty() && !self.before.is_empty()
    }

    /// Goes back to the line above.
    fn edit_line_above(&mut self) {
        let line = self.before.pop().unwrap_or_default();
        self.what.set(&line);
    }

    /// Discards a preview or error that no longer matches the input.
    fn discard_preview(&mut self) {
        (self.error, self.asked, self.adding) = (None, None, None);
    }
}

impl Dialog for AddDialog {
    fn contexts(&self) -> &'static [KeyContext] {
        match &self.select {
            Some(select) => select.contexts(),
            None if self.at >= PAUSED => OPTIONS,
            None => FORM,
        }
    }

    fn action(&mut self, action: Action, cx: &DialogContext<'_>) -> Outcome {
        if self.select.is_some() {
            return self.select_files(action, cx);
        }
        let leaves_field = self.at >= PAUSED || self.at == WHAT && is_link(self.what.text());
        match action {
            CLOSE if self.asked.is_none() => return Outcome::Close,
            CLOSE => self.asked = None,
            CONFIRM => return self.enter(cx),
            BROWSE => return self.browse(cx),
            Action::Nav(NavAction::Up) if self.is_below_a_line() => self.edit_line_above(),
            Action::Nav(NavAction::Up) => self.at = self.at.saturating_sub(1),
            Action::Nav(NavAction::Down) => self.at = (self.at + 1).min(self.last()),
            Action::Dialog(DialogAction::ToggleOption) => self.toggle(self.at),
            COMPLETE | Action::Dialog(DialogAction::CompleteBack) if leaves_field => {
                let step = if action == COMPLETE { 1 } else { self.last() };
                self.at = (self.at + step) % (self.last() + 1);
            }
            COMPLETE | Action::Dialog(DialogAction::CompleteBack) => {
                self.discard_preview();
                let home = cx.state.home.as_deref();
                return Outcome::of_effect(
                    self.path_field().and_then(|field| field.complete(action == COMPLETE, home)),
                );
            }
            _ => return Outcome::Ignored,
        }
        Outcome::Stay
    }

    fn text_field(&mut self) -> Option<&mut TextInput> {
        if self.select.is_some() {
            return self.select.as_mut().and_then(FileSelect::text_field);
        }
        self.path_field().map(|field| &mut field.edit)
    }

    fn edited(&mut self) {
        self.discard_preview();
    }

    fn edit(&mut self, action: EditAction) -> Outcome {
        match action {
            _ if self.select.is_some() => return edit_field(self, |field| field.edit(action)),
            EditAction::DeleteLeft if self.is_below_a_line() => self.edit_line_above(),
            EditAction::Left if self.at > PAUSED => self.at -= 1,
            EditAction::Right if self.at >= PAUSED => self.at = (self.at + 1).min(self.last()),
            action => return edit_field(self, |field| field.edit(action)),
        }
        Outcome::Stay
    }

    fn paste(&mut self, lines: &[&str]) -> bool {
        let Some((last, lines)) = lines.split_last() else { return true };
        if self.select.is_some() || self.at == FOLDER {
            edit_field(self, |field| field.insert(last));
            return true;
        }
        self.discard_preview();
        self.at = WHAT;
        for line in lines {
            self.what.edit.insert(line);
            self.before.push(self.what.text().trim().to_owned());
            self.what.set("");
        }
        self.before.truncate(MAX_TORRENTS);
        self.what.edit.insert(last.trim_end());
        true
    }

    fn click_row(&mut self, row: usize, _cx: &DialogContext<'_>) -> Outcome {
        if let Some(select) = &mut self.select {
            select.click(row);
        }
        Outcome::Stay
    }

    fn click_field(&mut self, field: usize) {
        self.at = field.min(self.last());
        self.toggle(field);
    }

    fn scroll(&mut self, rows: isize, cx: &DialogContext<'_>) {
        if let Some(select) = &mut self.select {
            select.scroll(rows, cx.state.size);
        }
    }

    fn on_picked(&mut self, path: &str) {
        let field = if self.at == FOLDER { &mut self.folder } else { &mut self.what };
        field.set(path);
        self.discard_preview();
    }

    fn on_listing(&mut self, listing: &DirListing) -> Outcome {
        self.what.on_listing(listing);
        self.folder.on_listing(listing);
        Outcome::Stay
    }

    /// Takes the preview that this dialog asked for: with nothing to choose or to warn of, adds the torrent.
    fn on_event(&mut self, event: &Event, cx: &DialogContext<'_>) -> Outcome {
        let (what, contents) = match event {
            Event::Inspected { what, contents } => (what, contents),
            Event::Added { what, .. } if self.awaits(what) => return Outcome::Close,
            Event::Known { what, text: why, .. } | Event::AddFailed { what, why } if self.awaits(what) => {
                (self.adding, self.error) = (None, Some(why.clone()));
                return Outcome::Stay;
            }
            _ => return Outcome::Stay,
        };
        if self.asked.as_ref() != Some(what) {
            return Outcome::Stay;
        }
        self.asked = None;
        match contents {
            Err(why) => self.error = Some(why.clone()),
            Ok(contents) if is_plain(contents) => return self.add(Vec::new(), cx),
            Ok(contents) => self.select = Some(FileSelect::new(TorrentPreview::clone(contents))),
        }
        Outcome::Stay
    }

    fn draw(&self, panel: &mut Panel<'_, '_>, cx: &DialogContext<'_>) {
        if let Some(select) = &self.select {
            return select.draw(panel);
        }
        let theme = *panel.pen.theme;
        let wide = panel.screen.width >= 60;
        let label = if wide { 9 } else { 2 };
        let wrapped = |text: &str| wrap(text, text_width(panel.screen.width).saturating_sub(label));
        let (remark, style) = match (&self.error, &self.asked) {
            (Some(error), _) => (wrapped(error), theme.bad),
            (None, Some(_)) => (vec!["reading torrent; Enter adds without choosing files".to_owned()], theme.warn),
            (None, None) if self.adding.is_some() => (vec!["adding".to_owned()], theme.warn),
            (None, None) if self.what.has_no_match() => (vec!["no matching path".to_owned()], theme.warn),
            (None, None) => (vec!["path or URL of a .torrent file, or a magnet link".to_owned()], theme.dim),
        };
        let remark = &remark[..remark.len().min(4)];
        let most = usize::from(panel.screen.height.saturating_sub(8)).clamp(1, 8);
        let shown = self.before.len().min(most);
        let title = match self.before.len() {
            0 => "add a torrent".to_owned(),
            more => format!("add {} torrents", more + 1),
        };
        let next = Action::Nav(NavAction::Down);
        let buttons =
            [(CONFIRM, "add"), (COMPLETE, "complete"), (BROWSE, "browse"), (next, "next field"), (CLOSE, "cancel")];
        let room = panel.open(&title, shown + 3 + remark.len(), &buttons);
        let mut y = room.y;
        let line = |y: u16| Rect { y, height: 1, ..room };
        for text in &self.before[self.before.len() - shown..] {
            panel.line(Rect { x: room.x + label, width: room.width.saturating_sub(label), ..room }, y, text, theme.dim);
            y += 1;
        }
        let marks = if wide { ["torrent ", "folder  "] } else { [">", "/"] };
        panel.hit(line(y), HitTarget::Field(WHAT));
        panel.field(line(y), marks[0], &self.what.edit, "", self.at == WHAT);
        let words = Rect { x: room.x + label, width: room.width.saturating_sub(label), ..room };
        let (found, at) = if self.at == FOLDER { self.folder.found() } else { self.what.found() };
        if self.error.is_none() && self.asked.is_none() && !found.is_empty() {
            panel.completions(Rect { y: y + 1, height: 1, ..words }, found, at);
        } else {
            for (at, text) in remark.iter().enumerate() {
                panel.line(words, y + 1 + at as u16, text, style);
            }
        }
        y += 1 + remark.len() as u16;
        if y >= room.bottom() {
            return;
        }
        panel.hit(line(y), HitTarget::Field(FOLDER));
        panel.field(line(y), marks[1], &self.folder.edit, &cx.snapshot.folder, self.at == FOLDER);
        y += 1;
        if y < room.bottom() {
            let asks = self.offers_files();
            let (words_of, gap) = match asks && !wide {
                true => (["paused", "in order", "choose"], 2),
                false => (["start paused", "sequential", "choose files"], 3),
            };
            let x = panel.tick(words.x, y, self.paused, words_of[0], self.at == PAUSED, PAUSED);
            let x = panel.tick(x + gap, y, self.sequential, words_of[1], self.at == ORDER, ORDER);
            if asks {
                panel.tick(x + gap, y, !self.everything, words_of[2], self.at == CHOOSE, CHOOSE);
            }
        }
    }
}

/// Returns whether a torrent can be added without asking: it is in the list already, so that adding it merges trackers
/// and peers, or it has a single file that fits on the disk.
fn is_plain(contents: &TorrentPreview) -> bool {
    let fits = contents.free.is_none_or(|free| free >= contents.size);
    contents.present || contents.files.len() <= 1 && contents.remarks.is_empty() && fits
}

/// Returns whether the text is a magnet link or an info-hash.
fn is_magnet(text: &str) -> bool {
    matches!(Link::find(text), Some(Link::Magnet(_)))
}

/// Returns whether the text is a link rather than a path.
fn is_link(text: &str) -> bool {
    Link::find(text).is_some()
}

/// Parses a typed, pasted or dropped line. Accepts `~/`.
#[must_use]
pub fn parse_torrent_arg(line: &str, home: Option<&str>) -> Option<AddTorrent> {
    let line = line.trim();
    if let Some(Link::Magnet(what) | Link::Url(what)) = Link::find(line) {
        return (what.len() <= MAX_BYTES).then(|| AddTorrent { what, ..AddTorrent::default() });
    }
    let what = expand(&dropped(line), home);
    let fits = !what.is_empty() && what.len() <= MAX_BYTES;
    fits.then(|| AddTorrent { what, ..AddTorrent::default() })
}
