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
//! soon as peers have sent the metadata, before any file is downloaded. Errors are shown in the dialog, and the input
//! is kept.

use std::path::PathBuf;

use ratatui::layout::Rect;

use crate::api::{AddTorrent, Command, Link, Snapshot, TorrentPreview};
use crate::ui::app::dialog_stack::DialogContext;
use crate::ui::dialogs::dialog::Dialog;
use crate::ui::dialogs::file_picker::FilePicker;
use crate::ui::dialogs::file_select::{FileSelect, FileSelectOutcome};
use crate::ui::keys::key::Key;
use crate::ui::text::format::{cells, wrap};
use crate::ui::widgets::panel::{HitTarget, Panel, text_width};
use crate::ui::widgets::path_input::{DirListing, PathInput, PathKind, expand};
use crate::ui::widgets::text_input::LONGEST;

/// Fields, from top to bottom.
const WHAT: usize = 0;
const FOLDER: usize = 1;
const PAUSED: usize = 2;
const ORDER: usize = 3;
/// Only shown for magnet links.
const CHOOSE: usize = 4;

/// The add dialog.
#[derive(Clone, PartialEq, Debug, Default)]
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
    error: Option<String>,
    chooser: Option<Box<FileSelect>>,
}

impl AddDialog {
    /// Creates an empty dialog.
    #[must_use]
    pub fn new() -> Self {
        AddDialog { folder: PathInput::new("", PathKind::Folder), ..AddDialog::default() }
    }

    /// Handles a key; returns `false` to close the dialog.
    pub fn key(&mut self, key: Key, turn: &mut DialogContext<'_>) -> bool {
        if self.chooser.is_some() {
            return self.choose(key, turn);
        }
        match key {
            Key::Esc => return self.asked.take().is_some(),
            Key::Enter => return self.enter(turn),
            Key::Ctrl('o') => self.browse(turn),
            Key::Up | Key::Backspace if self.at == WHAT && self.what.edit.is_empty() && !self.before.is_empty() => {
                let line = self.before.pop().unwrap_or_default();
                self.what.set(&line);
            }
            Key::Up => self.at = self.at.saturating_sub(1),
            Key::Down => self.at = (self.at + 1).min(self.last()),
            Key::Char(' ') if self.at >= PAUSED => self.toggle(self.at),
            Key::Left if self.at > PAUSED => self.at -= 1,
            Key::Right if self.at >= PAUSED => self.at = (self.at + 1).min(self.last()),
            Key::Tab | Key::BackTab if self.at >= PAUSED || self.at == WHAT && is_link(self.what.text()) => {
                let step = if key == Key::Tab { 1 } else { self.last() };
                self.at = (self.at + step) % (self.last() + 1);
            }
            key => self.typed(key, turn),
        }
        true
    }

    fn typed(&mut self, key: Key, turn: &mut DialogContext<'_>) {
        let home = turn.app.state.home.clone();
        let field = match self.at {
            WHAT => &mut self.what,
            FOLDER => &mut self.folder,
            _ => return,
        };
        if field.key(key, home.as_deref(), &mut turn.app.state.outbox) {
            self.error = None;
            self.asked = None;
        }
    }

    fn toggle(&mut self, field: usize) {
        match field {
            PAUSED => self.paused = !self.paused,
            ORDER => self.sequential = !self.sequential,
            CHOOSE => self.everything = !self.everything,
            _ => {}
        }
    }

    /// Handles a click on a field.
    pub fn click(&mut self, field: usize) {
        self.at = field.min(self.last());
        self.toggle(field);
    }

    /// Returns the last visible field.
    fn last(&self) -> usize {
        if self.offers_files() { CHOOSE } else { ORDER }
    }

    /// Returns whether files can be selected after adding: for a single magnet link, whose files are not known yet.
    fn offers_files(&self) -> bool {
        self.before.is_empty() && is_magnet(self.what.text())
    }

    /// Returns the file selection, while it is shown.
    pub fn chooser(&mut self) -> Option<&mut FileSelect> {
        self.chooser.as_deref_mut()
    }

    /// Handles a paste: the complete lines before the last, and the last line.
    pub fn paste(&mut self, lines: &[&str], last: &str) {
        if let Some(chooser) = &mut self.chooser {
            chooser.paste(last);
            return;
        }
        (self.error, self.asked) = (None, None);
        if self.at == FOLDER {
            self.folder.insert(last);
            return;
        }
        self.at = WHAT;
        for line in lines {
            self.what.insert(line);
            self.before.push(self.what.text().trim().to_owned());
            self.what.set("");
        }
        self.before.truncate(crate::ui::app::dialog_stack::MAX_PASTED_TORRENTS);
        self.what.insert(last.trim_end());
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

    fn enter(&mut self, turn: &mut DialogContext<'_>) -> bool {
        let home = turn.app.state.home.clone();
        let lines = self.before.iter().map(String::as_str).chain([self.what.text()]);
        let mut orders: Vec<AddTorrent> = lines.filter_map(|line| self.request(line, home.as_deref())).collect();
        if orders.len() != 1 {
            turn.commands.extend(orders.into_iter().map(Command::Add));
            return false;
        }
        let order = orders.remove(0);
        if is_magnet(&order.what) || self.asked.as_ref() == Some(&order.what) {
            turn.commands.push(Command::Add(order));
            return false;
        }
        self.error = None;
        self.asked = Some(order.what.clone());
        turn.commands.push(Command::Inspect(order));
        true
    }

    fn choose(&mut self, key: Key, turn: &mut DialogContext<'_>) -> bool {
        let size = turn.app.state.size;
        let Some(chooser) = &mut self.chooser else { return true };
        match chooser.key(key, size) {
            FileSelectOutcome::Stay => {}
            FileSelectOutcome::Back => self.chooser = None,
            FileSelectOutcome::Take => {
                let priorities = chooser.priorities();
                let order = self.request(self.what.text(), turn.app.state.home.as_deref());
                turn.commands.extend(order.map(|order| Command::Add(AddTorrent { priorities, ..order })));
                return false;
            }
        }
        true
    }

    fn browse(&mut self, turn: &mut DialogContext<'_>) {
        let home = turn.app.state.home.clone();
        let (field, wanted) =
            if self.at == FOLDER { (&self.folder, PathKind::Folder) } else { (&self.what, PathKind::Torrent) };
        let typed = expand(field.text().trim(), home.as_deref());
        let start = if is_link(&typed) { String::new() } else { typed };
        let browse = FilePicker::open(&start, wanted, &mut turn.app.state);
        turn.app.dialogs.push(Dialog::Browse(Box::new(browse)));
    }

    /// Applies the path that the file picker returned.
    pub fn picked(&mut self, path: &str) {
        let field = if self.at == FOLDER { &mut self.folder } else { &mut self.what };
        field.set(path);
        (self.error, self.asked) = (None, None);
    }

    /// Passes a directory listing to the path inputs.
    pub fn listing(&mut self, listing: &DirListing) {
        self.what.listing(listing);
        self.folder.listing(listing);
    }

    /// Applies the engine's preview of `what`. Returns `true` if this dialog requested the preview and can close.
    pub fn inspected(
        &mut self,
        what: &str,
        contents: Result<TorrentPreview, String>,
        turn: &mut DialogContext<'_>,
    ) -> bool {
        if self.asked.as_deref() != Some(what) {
            return false;
        }
        self.asked = None;
        let contents = match contents {
            Err(why) => {
                self.error = Some(why);
                return false;
            }
            // The torrent is in the list already: adding it again merges trackers and peers.
            Ok(contents) if contents.present => {
                let order = self.request(self.what.text(), turn.app.state.home.as_deref());
                turn.commands.extend(order.map(Command::Add));
                return true;
            }
            Ok(contents) => contents,
        };
        let tight = contents.free.is_some_and(|free| free < contents.size);
        if contents.files.len() <= 1 && contents.remarks.is_empty() && !tight {
            let order = self.request(self.what.text(), turn.app.state.home.as_deref());
            turn.commands.extend(order.map(Command::Add));
            return true;
        }
        self.chooser = Some(Box::new(FileSelect::new(contents)));
        false
    }

    /// Draws the dialog.
    pub fn draw(&self, sheet: &mut Panel<'_, '_>, snapshot: &Snapshot) {
        if let Some(chooser) = &self.chooser {
            return chooser.draw(sheet);
        }
        let theme = *sheet.pen.theme;
        let wide = sheet.screen.width >= 60;
        let label = if wide { 9 } else { 2 };
        let wrapped = |text: &str| wrap(text, text_width(sheet.screen.width).saturating_sub(label));
        let (remark, style) = match (&self.error, &self.asked) {
            (Some(error), _) => (wrapped(error), theme.bad),
            (None, Some(_)) => (vec!["reading torrent; Enter adds without choosing files".to_owned()], theme.warn),
            (None, None) if self.what.nothing() => (vec!["no matching path".to_owned()], theme.warn),
            (None, None) => (vec!["path or URL of a .torrent file, or a magnet link".to_owned()], theme.dim),
        };
        let remark = &remark[..remark.len().min(4)];
        let most = usize::from(sheet.screen.height.saturating_sub(8)).clamp(1, 8);
        let shown = self.before.len().min(most);
        let title = match self.before.len() {
            0 => "add a torrent".to_owned(),
            more => format!("add {} torrents", more + 1),
        };
        let keys = "Enter add   Tab complete   ^o browse   Esc cancel";
        let room = sheet.open(&title, shown + 3 + remark.len(), keys);
        let mut y = room.y;
        let line = |y: u16| Rect { y, height: 1, ..room };
        for text in &self.before[self.before.len() - shown..] {
            sheet.line(Rect { x: room.x + label, width: room.width.saturating_sub(label), ..room }, y, text, theme.dim);
            y += 1;
        }
        let marks = if wide { ["torrent ", "folder  "] } else { [">", "/"] };
        sheet.hit(line(y), HitTarget::Field(WHAT));
        sheet.field(line(y), marks[0], &self.what.edit, "", self.at == WHAT);
        let words = Rect { x: room.x + label, width: room.width.saturating_sub(label), ..room };
        let (found, at) = if self.at == FOLDER { self.folder.found() } else { self.what.found() };
        if self.error.is_none() && self.asked.is_none() && !found.is_empty() {
            draw_completions(sheet, Rect { y: y + 1, height: 1, ..words }, found, at);
        } else {
            for (at, text) in remark.iter().enumerate() {
                sheet.line(words, y + 1 + at as u16, text, style);
            }
        }
        y += 1 + remark.len() as u16;
        if y >= room.bottom() {
            return;
        }
        sheet.hit(line(y), HitTarget::Field(FOLDER));
        sheet.field(line(y), marks[1], &self.folder.edit, &snapshot.folder, self.at == FOLDER);
        y += 1;
        if y < room.bottom() {
            let asks = self.offers_files();
            let (words_of, gap) = match asks && !wide {
                true => (["paused", "in order", "choose"], 2),
                false => (["start paused", "sequential", "choose files"], 3),
            };
            let x = sheet.tick(words.x, y, self.paused, words_of[0], self.at == PAUSED, PAUSED);
            let x = sheet.tick(x + gap, y, self.sequential, words_of[1], self.at == ORDER, ORDER);
            if asks {
                sheet.tick(x + gap, y, !self.everything, words_of[2], self.at == CHOOSE, CHOOSE);
            }
        }
    }
}

/// Draws the completions that fit; the inserted one is always visible.
pub fn draw_completions(sheet: &mut Panel<'_, '_>, area: Rect, found: &[String], at: Option<usize>) {
    let theme = *sheet.pen.theme;
    let width = |name: &String| cells(&crate::ui::text::format::clean_within(name, theme.ascii, 60)).min(60);
    let mut first = 0;
    if let Some(at) = at {
        let mut used = 0;
        first = at;
        while first > 0 && used + width(&found[first]) + 2 <= area.width / 2 {
            used += width(&found[first]) + 2;
            first -= 1;
        }
    }
    let mut x = area.x;
    for (index, name) in found.iter().enumerate().skip(first) {
        let more = found.len() - index;
        let needed = width(name);
        if x + needed + 8 > area.right() && index > first && Some(index) != at {
            let left = area.right().saturating_sub(x);
            sheet.pen.put(x, area.y, left, &format!("+{more}"), theme.faint);
            return;
        }
        let style = if Some(index) == at { theme.strong } else { theme.dim };
        x = sheet.pen.put(x, area.y, needed.min(area.right().saturating_sub(x)), name, style) + 2;
        if x >= area.right() {
            return;
        }
    }
}

/// Returns whether the text is a magnet link or an info-hash.
fn is_magnet(text: &str) -> bool {
    matches!(Link::find(text), Some(Link::Magnet(_)))
}

/// Returns whether the text is a link rather than a path.
fn is_link(text: &str) -> bool {
    Link::find(text).is_some()
}

/// Parses a typed or pasted line. Accepts the quotes of a dropped file, `file://` and `~/`.
#[must_use]
pub fn parse_torrent_arg(line: &str, home: Option<&str>) -> Option<AddTorrent> {
    let line = line.trim();
    if let Some(Link::Magnet(what) | Link::Url(what)) = Link::find(line) {
        return (what.len() <= LONGEST).then(|| AddTorrent { what, ..AddTorrent::default() });
    }
    let bare = ['"', '\''].iter().find_map(|q| line.strip_prefix(*q)?.strip_suffix(*q)).unwrap_or(line);
    let bare = bare.strip_prefix("file://").unwrap_or(bare);
    let what = expand(bare, home);
    let fits = !what.is_empty() && what.len() <= LONGEST;
    fits.then(|| AddTorrent { what, ..AddTorrent::default() })
}
