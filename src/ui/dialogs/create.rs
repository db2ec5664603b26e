//! The create dialog: creates a torrent, from the path of the data to the magnet link.
//!
//! ```text
//! ── create a torrent ────────────────────────────────
//!  data     ~/photos/2026
//!  tracker  http://192.168.1.20:6969/announce
//!           [ ] private
//!           412 files, 3.9 GB, 1,875 pieces of 2 MiB; the .torrent has 51.0 kB
//!  Enter create   Tab complete   ^o browse   Esc cancel
//! ```
//!
//! The first Enter requests a preview from the engine, the second starts hashing. While hashing, Esc cancels without
//! leaving files behind. When done, the torrent is seeding and the dialog shows its link and QR code ([`ShareView`]).

use std::time::Duration;

use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::api::{Command, CreatePreview, CreateRequest, Created};
use crate::ui::app::dialog_stack::DialogContext;
use crate::ui::app::model::App;
use crate::ui::dialogs::add::draw_completions;
use crate::ui::dialogs::dialog::Dialog;
use crate::ui::dialogs::file_picker::FilePicker;
use crate::ui::dialogs::prompt::tracker;
use crate::ui::dialogs::share::ShareView;
use crate::ui::keys::key::Key;
use crate::ui::text::format::{grouped, percent, piece_length, rate_long, size_long, time, wrap};
use crate::ui::widgets::panel::{HitTarget, Panel, text_width};
use crate::ui::widgets::path_input::{DirListing, PathInput, PathKind, expand};
use crate::ui::widgets::text_input::TextInput;

/// Fields, from top to bottom.
const WHAT: usize = 0;
const TRACKER: usize = 1;
const PRIVATE: usize = 2;

/// Progress of torrent creation, as reported by the engine.
#[derive(Clone, PartialEq, Debug)]
pub enum CreateEvent {
    /// Preview, or the cause why the torrent cannot be created.
    Surveyed(CreateRequest, Result<Box<CreatePreview>, String>),
    /// Hashing progress: path, bytes done and total, bytes per second.
    Hashed(String, (u64, u64), u64),
    /// Result: path, created torrent or error.
    Made(String, Result<Box<Created>, String>),
}

/// Passes an event to the create dialog, wherever it is in the stack.
pub fn on_create_event(app: &mut App, making: CreateEvent) {
    let open = app.dialogs.iter_mut().find_map(|dialog| match dialog {
        Dialog::Create(create) => Some(create),
        _ => None,
    });
    let Some(create) = open else { return };
    match making {
        CreateEvent::Surveyed(of, planned) => create.surveyed(&of, planned),
        CreateEvent::Hashed(what, bytes, rate) => create.creating(&what, bytes, rate),
        // The UI selects the created torrent once it is added.
        CreateEvent::Made(what, made) => app.state.adding += usize::from(create.created(&what, made)),
    }
}

/// Stage of the dialog.
#[derive(Clone, PartialEq, Debug, Default)]
enum Stage {
    /// Input.
    #[default]
    Asking,
    /// Preview requested.
    Looking(CreateRequest),
    /// Preview shown.
    Planned(CreateRequest, Box<CreatePreview>),
    /// Hashing: bytes done, bytes total, bytes per second.
    Hashing(CreateRequest, u64, u64, u64),
    /// Created.
    Done(Box<ShareView>),
}

/// The create dialog.
#[derive(Clone, PartialEq, Debug)]
pub struct CreateDialog {
    what: PathInput,
    tracker: TextInput,
    private: bool,
    /// The focused field.
    at: usize,
    stage: Stage,
    error: Option<String>,
}

impl Default for CreateDialog {
    fn default() -> Self {
        CreateDialog {
            what: PathInput::new("", PathKind::Data),
            tracker: TextInput::default(),
            private: false,
            at: WHAT,
            stage: Stage::default(),
            error: None,
        }
    }
}

impl CreateDialog {
    /// Creates a dialog that shows an existing torrent.
    #[must_use]
    pub fn made(made: Created) -> Self {
        CreateDialog { stage: Stage::Done(Box::new(ShareView::new(made))), ..CreateDialog::default() }
    }

    /// Handles a key; returns `false` to close the dialog.
    pub fn key(&mut self, key: Key, turn: &mut DialogContext<'_>) -> bool {
        if let Stage::Done(handout) = &mut self.stage {
            return handout.key(key, turn);
        }
        match &self.stage {
            Stage::Looking(_) | Stage::Hashing(..) => {
                if key == Key::Esc {
                    turn.commands.push(Command::StopCreating);
                    let stopped = matches!(self.stage, Stage::Hashing(..));
                    self.error = stopped.then(|| "stopped: nothing was written".to_owned());
                    self.stage = Stage::Asking;
                }
                return true;
            }
            Stage::Asking | Stage::Planned(..) | Stage::Done(_) => {}
        }
        match key {
            Key::Esc => return false,
            Key::Enter => self.enter(turn),
            Key::Ctrl('o') => self.browse(turn),
            Key::Up => self.at = self.at.saturating_sub(1),
            Key::Down => self.at = (self.at + 1).min(PRIVATE),
            Key::Char(' ') if self.at == PRIVATE => self.toggle(),
            Key::Tab | Key::BackTab if self.at != WHAT => {
                self.at = (self.at + if key == Key::Tab { 1 } else { PRIVATE }) % (PRIVATE + 1);
            }
            key => {
                let home = turn.app.state.home.clone();
                let taken = match self.at {
                    WHAT => self.what.key(key, home.as_deref(), &mut turn.app.state.outbox),
                    TRACKER => self.tracker.key(key),
                    _ => false,
                };
                if taken {
                    self.anew();
                }
            }
        }
        true
    }

    /// Discards a preview or error that no longer matches the input.
    fn anew(&mut self) {
        (self.stage, self.error) = (Stage::Asking, None);
    }

    fn toggle(&mut self) {
        self.private = !self.private;
        self.anew();
    }

    const fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Asking | Stage::Planned(..))
    }

    fn enter(&mut self, turn: &mut DialogContext<'_>) {
        match self.order(turn.app.state.home.as_deref()) {
            Err((field, why)) => (self.at, self.error) = (field, Some(why)),
            Ok(new) => {
                self.error = None;
                let planned = matches!(&self.stage, Stage::Planned(before, _) if *before == new);
                self.stage = if planned {
                    turn.commands.push(Command::Create(new.clone()));
                    Stage::Hashing(new, 0, 0, 0)
                } else {
                    turn.commands.push(Command::PreviewCreate(new.clone()));
                    Stage::Looking(new)
                };
            }
        }
    }

    /// Builds the request from the fields, or returns the invalid field and the cause.
    fn order(&self, home: Option<&str>) -> Result<CreateRequest, (usize, String)> {
        let line = self.what.text().trim();
        let bare = ['"', '\''].iter().find_map(|q| line.strip_prefix(*q)?.strip_suffix(*q)).unwrap_or(line);
        let what = expand(bare.strip_prefix("file://").unwrap_or(bare), home);
        if what.is_empty() {
            return Err((WHAT, "enter the path of a file or folder".to_owned()));
        }
        let trackers = self.tracker.text().split_whitespace().map(tracker).collect::<Result<Vec<_>, String>>();
        let trackers = trackers.map_err(|why| (TRACKER, format!("invalid tracker: {why}")))?;
        if self.private && trackers.is_empty() {
            let why = "a private torrent needs a tracker: enter one, or clear the private box";
            return Err((TRACKER, why.to_owned()));
        }
        Ok(CreateRequest { what, trackers, private: self.private })
    }

    fn browse(&mut self, turn: &mut DialogContext<'_>) {
        self.at = WHAT;
        let typed = expand(self.what.text().trim(), turn.app.state.home.as_deref());
        let browse = FilePicker::open(&typed, PathKind::Data, &mut turn.app.state);
        turn.app.dialogs.push(Dialog::Browse(Box::new(browse)));
    }

    /// Applies the path that the file picker returned.
    pub fn picked(&mut self, path: &str) {
        self.what.set(path);
        self.anew();
    }

    /// Passes a directory listing to the path input.
    pub fn listing(&mut self, listing: &DirListing) {
        self.what.listing(listing);
    }

    /// Handles a paste.
    pub fn paste(&mut self, text: &str) {
        if !self.is_open() {
            return;
        }
        match self.at {
            TRACKER => self.tracker.insert(text.trim()),
            _ => {
                self.at = WHAT;
                self.what.insert(text.trim_end());
            }
        }
        self.anew();
    }

    /// Handles a click on a field.
    pub fn click(&mut self, field: usize) {
        if self.is_open() {
            self.at = field.min(PRIVATE);
            if field == PRIVATE {
                self.toggle();
            }
        }
    }

    /// Applies the preview.
    pub fn surveyed(&mut self, of: &CreateRequest, planned: Result<Box<CreatePreview>, String>) {
        let Stage::Looking(asked) = &self.stage else { return };
        if asked != of {
            return;
        }
        match planned {
            Ok(planned) => self.stage = Stage::Planned(of.clone(), planned),
            Err(why) => (self.stage, self.error) = (Stage::Asking, Some(why)),
        }
    }

    /// Applies hashing progress: bytes done and total, bytes per second.
    pub fn creating(&mut self, what: &str, bytes: (u64, u64), rate: u64) {
        if let Stage::Hashing(new, done, total, fast) = &mut self.stage
            && new.what == what
        {
            (*done, *total) = bytes;
            *fast = rate;
        }
    }

    /// Applies the result. Returns `true` if this dialog requested the torrent and it is being added.
    pub fn created(&mut self, what: &str, made: Result<Box<Created>, String>) -> bool {
        if !matches!(&self.stage, Stage::Hashing(new, ..) if new.what == what) {
            return false;
        }
        match made {
            Ok(made) => self.stage = Stage::Done(Box::new(ShareView::new(*made))),
            Err(why) => (self.stage, self.error) = (Stage::Asking, Some(why)),
        }
        matches!(self.stage, Stage::Done(_))
    }

    /// Draws the dialog.
    pub fn draw(&self, sheet: &mut Panel<'_, '_>) {
        if let Stage::Done(handout) = &self.stage {
            return handout.draw(sheet);
        }
        let wide = sheet.screen.width >= 60;
        let (label, marks) = if wide { (9, ["data    ", "tracker "]) } else { (2, [">", "@"]) };
        let (lines, style) = self.told(sheet, label);
        let keys = match &self.stage {
            Stage::Hashing(..) | Stage::Looking(_) => "Esc stop",
            Stage::Planned(..) => "Enter create   Tab complete   ^o browse   Esc cancel",
            _ => "Enter preview   Tab complete   ^o browse   Esc cancel",
        };
        let room = sheet.open("create a torrent", 3 + lines.len(), keys);
        let line = |y: u16| Rect { y, height: 1, ..room };
        let open = self.is_open();
        let words = Rect { x: room.x + label, width: room.width.saturating_sub(label), ..room };
        sheet.hit(line(room.y), HitTarget::Field(WHAT));
        sheet.field(line(room.y), marks[0], &self.what.edit, "a file or a folder", open && self.at == WHAT);
        let mut y = room.y + 1;
        if y < room.bottom() {
            sheet.hit(line(y), HitTarget::Field(TRACKER));
            sheet.field(
                line(y),
                marks[1],
                &self.tracker,
                "none: found on the local network only",
                open && self.at == TRACKER,
            );
        }
        y += 1;
        if y < room.bottom() {
            let word = if wide { "private: peers only from its trackers" } else { "private" };
            sheet.tick(words.x, y, self.private, word, open && self.at == PRIVATE, PRIVATE);
        }
        let (found, at) = self.what.found();
        if open && self.error.is_none() && self.at == WHAT && !found.is_empty() {
            return draw_completions(sheet, Rect { y: y + 1, height: 1, ..words }, found, at);
        }
        for (n, text) in lines.iter().enumerate() {
            sheet.line(words, y + 1 + n as u16, text, style);
        }
    }

    /// Returns the status lines below the fields.
    fn told(&self, sheet: &Panel<'_, '_>, label: u16) -> (Vec<String>, Style) {
        let theme = sheet.pen.theme;
        let (text, style) = match (&self.error, &self.stage) {
            (Some(error), _) => (error.clone(), theme.bad),
            (None, Stage::Looking(_)) => ("reading the files".to_owned(), theme.warn),
            (None, Stage::Planned(_, planned)) => (summary(planned), theme.text),
            (None, Stage::Hashing(_, done, total, rate)) => (hashing(*done, *total, *rate), theme.text),
            (None, _) if self.what.nothing() => ("no matching path".to_owned(), theme.warn),
            (None, _) => ("Enter previews the torrent".to_owned(), theme.dim),
        };
        let mut lines = wrap(&text, text_width(sheet.screen.width).saturating_sub(label));
        lines.truncate(4);
        if let (None, Stage::Hashing(_, done, total, _)) = (&self.error, &self.stage) {
            lines.push(bar(*done, *total, text_width(sheet.screen.width).saturating_sub(label + 1), theme.ascii));
        }
        (lines, style)
    }
}

/// Formats the preview.
fn summary(planned: &CreatePreview) -> String {
    let files = if planned.files == 1 { "1 file".to_owned() } else { format!("{} files", grouped(planned.files)) };
    let pieces = if planned.pieces == 1 { "1 piece".to_owned() } else { format!("{} pieces", grouped(planned.pieces)) };
    let left_out = planned.left_out.as_ref().map_or_else(String::new, |words| format!("; {words}"));
    format!(
        "{}: {files}, {}, {pieces} of {}; the .torrent has {}{left_out}",
        planned.name,
        size_long(planned.size),
        piece_length(planned.piece_length),
        size_long(planned.torrent),
    )
}

/// Formats hashing progress.
fn hashing(done: u64, total: u64, rate: u64) -> String {
    if total == 0 {
        return "hashing: reading the files".to_owned();
    }
    let left = Duration::from_secs(total.saturating_sub(done) / rate.max(1));
    let (share, all, fast) = (percent(done, total), size_long(total), rate_long(rate));
    format!("{share} of {all} hashed, {fast}, {} left", time(left))
}

/// Draws hashing progress as a bar.
fn bar(done: u64, total: u64, width: u16, ascii: bool) -> String {
    let full = (u128::from(done) * u128::from(width) / u128::from(total.max(1))).min(u128::from(width)) as usize;
    let (on, off) = if ascii { ("#", "-") } else { ("\u{2588}", "\u{2591}") };
    format!("{}{}", on.repeat(full), off.repeat(usize::from(width) - full))
}
