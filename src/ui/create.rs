//! The create box: a torrent of one's own data, from the path to the link that others need.
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
//! The first Enter asks the engine what the torrent would be, the second has it made. While it is hashed, Esc stops it
//! and nothing stays behind. Then it is in the list and seeding, and the box shows the link with a QR code ([`Handout`]).

use std::time::Duration;

use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::api::{Command, Created, NewTorrent, Planned};
use crate::ui::add::offers;
use crate::ui::answer::Turn;
use crate::ui::ask::tracker;
use crate::ui::browse::Browse;
use crate::ui::dialog::Dialog;
use crate::ui::edit::Edit;
use crate::ui::handout::Handout;
use crate::ui::keys::Key;
use crate::ui::model::Model;
use crate::ui::path::{Listing, PathField, Wanted, expand};
use crate::ui::sheet::{Hit, Sheet, measure};
use crate::ui::text::{grouped, percent, piece_length, rate_long, size_long, time, wrap};

/// The fields, from above.
const WHAT: usize = 0;
const TRACKER: usize = 1;
const PRIVATE: usize = 2;

/// What the engine tells of a torrent of one's own data.
#[derive(Clone, PartialEq, Debug)]
pub enum Making {
    /// What it would be, or one sentence why it cannot be.
    Surveyed(NewTorrent, Result<Box<Planned>, String>),
    /// Its path, bytes done and bytes in all, bytes a second.
    Hashed(String, (u64, u64), u64),
    /// Its path, and what was made or one sentence why not.
    Made(String, Result<Box<Created>, String>),
}

/// Hands on to the box, wherever it stands, what the engine tells.
pub fn come(model: &mut Model, making: Making) {
    let open = model.dialogs.iter_mut().find_map(|dialog| match dialog {
        Dialog::Create(create) => Some(create),
        _ => None,
    });
    let Some(create) = open else { return };
    match making {
        Making::Surveyed(of, planned) => create.surveyed(&of, planned),
        Making::Hashed(what, bytes, rate) => create.creating(&what, bytes, rate),
        // What is added then is what one wants to look at.
        Making::Made(what, made) => model.adding += usize::from(create.created(&what, made)),
    }
}

/// How far it is.
#[derive(Clone, PartialEq, Debug, Default)]
enum Stage {
    /// It is being said what it is to be.
    #[default]
    Asking,
    /// The engine looks at the files.
    Looking(NewTorrent),
    /// This is what it would be.
    Planned(NewTorrent, Box<Planned>),
    /// It is hashed: bytes done, bytes in all, bytes a second.
    Hashing(NewTorrent, u64, u64, u64),
    /// It is there.
    Done(Box<Handout>),
}

/// The box.
#[derive(Clone, PartialEq, Debug)]
pub struct CreateBox {
    what: PathField,
    tracker: Edit,
    private: bool,
    /// The field that has the keys.
    at: usize,
    stage: Stage,
    error: Option<String>,
}

impl Default for CreateBox {
    fn default() -> Self {
        CreateBox {
            what: PathField::new("", Wanted::Data),
            tracker: Edit::default(),
            private: false,
            at: WHAT,
            stage: Stage::default(),
            error: None,
        }
    }
}

impl CreateBox {
    /// One that tells of a torrent that was made before.
    #[must_use]
    pub fn made(made: Created) -> Self {
        CreateBox { stage: Stage::Done(Box::new(Handout::new(made))), ..CreateBox::default() }
    }

    /// Does what a key means; false when the box is to close.
    pub fn key(&mut self, key: Key, turn: &mut Turn<'_>) -> bool {
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
                let home = turn.model.home.clone();
                let taken = match self.at {
                    WHAT => self.what.key(key, home.as_deref(), &mut turn.model.outbox),
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

    /// What was told of it is about something else now.
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

    fn enter(&mut self, turn: &mut Turn<'_>) {
        match self.order(turn.model.home.as_deref()) {
            Err((field, why)) => (self.at, self.error) = (field, Some(why)),
            Ok(new) => {
                self.error = None;
                let planned = matches!(&self.stage, Stage::Planned(before, _) if *before == new);
                self.stage = if planned {
                    turn.commands.push(Command::Create(new.clone()));
                    Stage::Hashing(new, 0, 0, 0)
                } else {
                    turn.commands.push(Command::Survey(new.clone()));
                    Stage::Looking(new)
                };
            }
        }
    }

    /// What the fields ask for, or which is wrong and why.
    fn order(&self, home: Option<&str>) -> Result<NewTorrent, (usize, String)> {
        let line = self.what.text().trim();
        let bare = ['"', '\''].iter().find_map(|q| line.strip_prefix(*q)?.strip_suffix(*q)).unwrap_or(line);
        let what = expand(bare.strip_prefix("file://").unwrap_or(bare), home);
        if what.is_empty() {
            return Err((WHAT, "write the path of a file or a folder".to_owned()));
        }
        let trackers = self.tracker.text().split_whitespace().map(tracker).collect::<Result<Vec<_>, String>>();
        let trackers = trackers.map_err(|why| (TRACKER, format!("the tracker cannot be used: {why}")))?;
        if self.private && trackers.is_empty() {
            let why = "a private torrent finds peers by its trackers alone: write one, or take the mark away";
            return Err((TRACKER, why.to_owned()));
        }
        Ok(NewTorrent { what, trackers, private: self.private })
    }

    fn browse(&mut self, turn: &mut Turn<'_>) {
        self.at = WHAT;
        let typed = expand(self.what.text().trim(), turn.model.home.as_deref());
        let browse = Browse::open(&typed, Wanted::Data, turn.model);
        turn.model.dialogs.push(Dialog::Browse(Box::new(browse)));
    }

    /// A path was picked.
    pub fn picked(&mut self, path: &str) {
        self.what.set(path);
        self.anew();
    }

    /// A folder was listed.
    pub fn listing(&mut self, listing: &Listing) {
        self.what.listing(listing);
    }

    /// Text was pasted.
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

    /// A click on a field.
    pub fn click(&mut self, field: usize) {
        if self.is_open() {
            self.at = field.min(PRIVATE);
            if field == PRIVATE {
                self.toggle();
            }
        }
    }

    /// The engine says what it would be.
    pub fn surveyed(&mut self, of: &NewTorrent, planned: Result<Box<Planned>, String>) {
        let Stage::Looking(asked) = &self.stage else { return };
        if asked != of {
            return;
        }
        match planned {
            Ok(planned) => self.stage = Stage::Planned(of.clone(), planned),
            Err(why) => (self.stage, self.error) = (Stage::Asking, Some(why)),
        }
    }

    /// The engine says how far it is: bytes done, bytes in all, bytes a second.
    pub fn creating(&mut self, what: &str, bytes: (u64, u64), rate: u64) {
        if let Stage::Hashing(new, done, total, fast) = &mut self.stage
            && new.what == what
        {
            (*done, *total) = bytes;
            *fast = rate;
        }
    }

    /// The engine has made it, or not. True when this box waited for it and it is being added.
    pub fn created(&mut self, what: &str, made: Result<Box<Created>, String>) -> bool {
        if !matches!(&self.stage, Stage::Hashing(new, ..) if new.what == what) {
            return false;
        }
        match made {
            Ok(made) => self.stage = Stage::Done(Box::new(Handout::new(*made))),
            Err(why) => (self.stage, self.error) = (Stage::Asking, Some(why)),
        }
        matches!(self.stage, Stage::Done(_))
    }

    /// Draws it.
    pub fn draw(&self, sheet: &mut Sheet<'_, '_>) {
        if let Stage::Done(handout) = &self.stage {
            return handout.draw(sheet);
        }
        let wide = sheet.screen.width >= 60;
        let (label, marks) = if wide { (9, ["data    ", "tracker "]) } else { (2, [">", "@"]) };
        let (lines, style) = self.told(sheet, label);
        let keys = match &self.stage {
            Stage::Hashing(..) | Stage::Looking(_) => "Esc stop",
            Stage::Planned(..) => "Enter create   Tab complete   ^o browse   Esc cancel",
            _ => "Enter look   Tab complete   ^o browse   Esc cancel",
        };
        let room = sheet.open("create a torrent", 3 + lines.len(), keys);
        let line = |y: u16| Rect { y, height: 1, ..room };
        let open = self.is_open();
        let words = Rect { x: room.x + label, width: room.width.saturating_sub(label), ..room };
        sheet.hit(line(room.y), Hit::Field(WHAT));
        sheet.field(line(room.y), marks[0], &self.what.edit, "a file or a folder", open && self.at == WHAT);
        let mut y = room.y + 1;
        if y < room.bottom() {
            sheet.hit(line(y), Hit::Field(TRACKER));
            sheet.field(
                line(y),
                marks[1],
                &self.tracker,
                "none: only your own network finds it",
                open && self.at == TRACKER,
            );
        }
        y += 1;
        if y < room.bottom() {
            let word = if wide { "private: only its trackers are asked for peers" } else { "private" };
            sheet.tick(words.x, y, self.private, word, open && self.at == PRIVATE, PRIVATE);
        }
        let (found, at) = self.what.found();
        if open && self.error.is_none() && self.at == WHAT && !found.is_empty() {
            return offers(sheet, Rect { y: y + 1, height: 1, ..words }, found, at);
        }
        for (n, text) in lines.iter().enumerate() {
            sheet.line(words, y + 1 + n as u16, text, style);
        }
    }

    /// The lines below the fields.
    fn told(&self, sheet: &Sheet<'_, '_>, label: u16) -> (Vec<String>, Style) {
        let theme = sheet.pen.theme;
        let (text, style) = match (&self.error, &self.stage) {
            (Some(error), _) => (error.clone(), theme.bad),
            (None, Stage::Looking(_)) => ("looking at the files".to_owned(), theme.warn),
            (None, Stage::Planned(_, planned)) => (summary(planned), theme.text),
            (None, Stage::Hashing(_, done, total, rate)) => (hashing(*done, *total, *rate), theme.text),
            (None, _) if self.what.nothing() => ("nothing here begins like this".to_owned(), theme.warn),
            (None, _) => ("Enter says first what the torrent would be".to_owned(), theme.dim),
        };
        let mut lines = wrap(&text, measure(sheet.screen.width).saturating_sub(label));
        lines.truncate(4);
        if let (None, Stage::Hashing(_, done, total, _)) = (&self.error, &self.stage) {
            lines.push(bar(*done, *total, measure(sheet.screen.width).saturating_sub(label + 1), theme.ascii));
        }
        (lines, style)
    }
}

/// What the torrent would be.
fn summary(planned: &Planned) -> String {
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

/// How far it is.
fn hashing(done: u64, total: u64, rate: u64) -> String {
    if total == 0 {
        return "hashing: looking at the files".to_owned();
    }
    let left = Duration::from_secs(total.saturating_sub(done) / rate.max(1));
    let (share, all, fast) = (percent(done, total), size_long(total), rate_long(rate));
    format!("{share} of {all} hashed, {fast}, {} left", time(left))
}

/// The same as a bar.
fn bar(done: u64, total: u64, width: u16, ascii: bool) -> String {
    let full = (u128::from(done) * u128::from(width) / u128::from(total.max(1))).min(u128::from(width)) as usize;
    let (on, off) = if ascii { ("#", "-") } else { ("\u{2588}", "\u{2591}") };
    format!("{}{}", on.repeat(full), off.repeat(usize::from(width) - full))
}
