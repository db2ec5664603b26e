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

use crate::api::{Command, CreatePreview, CreateRequest, Created, Event};
use crate::ui::dialogs::dialog::{
    BROWSE, CLOSE, COMPLETE, CONFIRM, Dialog, DialogContext, FORM, OPTIONS, Outcome, Request, edit_field,
};
use crate::ui::dialogs::share::ShareView;
use crate::ui::keys::action::{Action, DialogAction, NavAction};
use crate::ui::keys::context::KeyContext;
use crate::ui::text::format::{grouped, percent, piece_length, rate_long, size_long, time, wrap};
use crate::ui::text::validate::tracker_url;
use crate::ui::widgets::panel::{HitTarget, Panel, text_width};
use crate::ui::widgets::path_input::{DirListing, PathInput, PathKind, dropped, expand};
use crate::ui::widgets::text_input::TextInput;

/// Fields, from top to bottom.
const WHAT: usize = 0;
const TRACKER: usize = 1;
const PRIVATE: usize = 2;

/// Stage of the dialog.
#[derive(Debug, Default)]
enum Stage {
    /// Input.
    #[default]
    Input,
    /// Preview requested.
    Previewing(CreateRequest),
    /// Preview shown.
    Previewed(CreateRequest, Box<CreatePreview>),
    /// Hashing: bytes done, bytes total, bytes per second.
    Hashing(CreateRequest, u64, u64, u64),
    /// Created.
    Done(Box<ShareView>),
}

/// The create dialog.
#[derive(Debug)]
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

    /// Discards a preview or error that no longer matches the input.
    fn discard_preview(&mut self) {
        (self.stage, self.error) = (Stage::Input, None);
    }

    fn toggle_private(&mut self) {
        self.private = !self.private;
        self.discard_preview();
    }

    const fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Input | Stage::Previewed(..))
    }

    fn enter(&mut self, cx: &DialogContext<'_>) -> Outcome {
        match self.build_request(cx.state.home.as_deref()) {
            Err((field, why)) => (self.at, self.error) = (field, Some(why)),
            Ok(new) => {
                self.error = None;
                let previewed = matches!(&self.stage, Stage::Previewed(before, _) if *before == new);
                let (stage, command) = match previewed {
                    true => (Stage::Hashing(new.clone(), 0, 0, 0), Command::Create(new)),
                    false => (Stage::Previewing(new.clone()), Command::PreviewCreate(new)),
                };
                self.stage = stage;
                return Outcome::Do(Request::Engine(command));
            }
        }
        Outcome::Stay
    }

    /// Builds the request from the fields, or returns the invalid field and the cause.
    fn build_request(&self, home: Option<&str>) -> Result<CreateRequest, (usize, String)> {
        let what = expand(&dropped(self.what.text()), home);
        if what.is_empty() {
            return Err((WHAT, "enter the path of a file or folder".to_owned()));
        }
        let trackers = self.tracker.text().split_whitespace().map(tracker_url).collect::<Result<Vec<_>, String>>();
        let trackers = trackers.map_err(|why| (TRACKER, format!("invalid tracker: {why}")))?;
        if self.private && trackers.is_empty() {
            let why = "a private torrent needs a tracker: enter one, or clear the private box";
            return Err((TRACKER, why.to_owned()));
        }
        Ok(CreateRequest { what, trackers, private: self.private })
    }

    /// Stops the preview or the hashing.
    fn stop(&mut self) -> Outcome {
        let stopped = matches!(self.stage, Stage::Hashing(..));
        self.error = stopped.then(|| "stopped: nothing was written".to_owned());
        self.stage = Stage::Input;
        Outcome::Do(Request::Engine(Command::StopCreating))
    }

    /// Returns the status lines below the fields.
    fn status_lines(&self, panel: &Panel<'_, '_>, label: u16) -> (Vec<String>, Style) {
        let theme = panel.pen.theme;
        let (text, style) = match (&self.error, &self.stage) {
            (Some(error), _) => (error.clone(), theme.bad),
            (None, Stage::Previewing(_)) => ("reading the files".to_owned(), theme.warn),
            (None, Stage::Previewed(_, planned)) => (summary(planned), theme.text),
            (None, Stage::Hashing(_, done, total, rate)) => (hashing(*done, *total, *rate), theme.text),
            (None, _) if self.what.has_no_match() => ("no matching path".to_owned(), theme.warn),
            (None, _) => ("Enter previews the torrent".to_owned(), theme.dim),
        };
        let mut lines = wrap(&text, text_width(panel.screen.width).saturating_sub(label));
        lines.truncate(4);
        if let (None, Stage::Hashing(_, done, total, _)) = (&self.error, &self.stage) {
            lines.push(bar(*done, *total, text_width(panel.screen.width).saturating_sub(label + 1), theme.ascii));
        }
        (lines, style)
    }
}

impl Dialog for CreateDialog {
    fn contexts(&self) -> &'static [KeyContext] {
        match &self.stage {
            Stage::Done(share) => share.contexts(),
            Stage::Previewing(_) | Stage::Hashing(..) => &[KeyContext::Dialogs, KeyContext::Everywhere],
            Stage::Input | Stage::Previewed(..) if self.at == PRIVATE => OPTIONS,
            Stage::Input | Stage::Previewed(..) => FORM,
        }
    }

    fn action(&mut self, action: Action, cx: &DialogContext<'_>) -> Outcome {
        match &mut self.stage {
            Stage::Done(share) => return share.action(action, cx),
            Stage::Previewing(_) | Stage::Hashing(..) if action == CLOSE => return self.stop(),
            Stage::Previewing(_) | Stage::Hashing(..) => return Outcome::Stay,
            Stage::Input | Stage::Previewed(..) => {}
        }
        let home = cx.state.home.as_deref();
        let forward = action == COMPLETE;
        match action {
            CLOSE => return Outcome::Close,
            CONFIRM => return self.enter(cx),
            BROWSE => {
                self.at = WHAT;
                return Outcome::Do(Request::PickPath(expand(self.what.text().trim(), home), PathKind::Data));
            }
            Action::Nav(NavAction::Up) => self.at = self.at.saturating_sub(1),
            Action::Nav(NavAction::Down) => self.at = (self.at + 1).min(PRIVATE),
            Action::Dialog(DialogAction::ToggleOption) => self.toggle_private(),
            COMPLETE | Action::Dialog(DialogAction::CompleteBack) if self.at == WHAT => {
                self.discard_preview();
                return Outcome::of_effect(self.what.complete(forward, home));
            }
            COMPLETE | Action::Dialog(DialogAction::CompleteBack) => {
                self.at = (self.at + if forward { 1 } else { PRIVATE }) % (PRIVATE + 1);
            }
            _ => return Outcome::Ignored,
        }
        Outcome::Stay
    }

    fn text_field(&mut self) -> Option<&mut TextInput> {
        match self.at {
            _ if !self.is_open() => None,
            WHAT => Some(&mut self.what.edit),
            TRACKER => Some(&mut self.tracker),
            _ => None,
        }
    }

    fn edited(&mut self) {
        self.discard_preview();
    }

    fn paste(&mut self, lines: &[&str]) -> bool {
        if self.at == PRIVATE {
            self.at = WHAT;
        }
        edit_field(self, |field| field.insert(lines.last().copied().unwrap_or_default().trim()));
        true
    }

    fn click_field(&mut self, field: usize) {
        if self.is_open() {
            self.at = field.min(PRIVATE);
            if field == PRIVATE {
                self.toggle_private();
            }
        }
    }

    fn on_picked(&mut self, path: &str) {
        self.what.set(path);
        self.discard_preview();
    }

    fn on_listing(&mut self, listing: &DirListing) -> Outcome {
        self.what.on_listing(listing);
        Outcome::Stay
    }

    fn on_event(&mut self, event: &Event, _cx: &DialogContext<'_>) -> Outcome {
        match (event, &mut self.stage) {
            (Event::CreatePreview { of, planned }, Stage::Previewing(asked)) if asked == of => match planned {
                Ok(planned) => self.stage = Stage::Previewed(of.clone(), planned.clone()),
                Err(why) => (self.stage, self.error) = (Stage::Input, Some(why.clone())),
            },
            (Event::CreateProgress { what, done, total, rate }, Stage::Hashing(new, ..)) if new.what == *what => {
                self.stage = Stage::Hashing(new.clone(), *done, *total, *rate);
            }
            (Event::Created { what, made }, Stage::Hashing(new, ..)) if new.what == *what => match made {
                Ok(made) => {
                    self.stage = Stage::Done(Box::new(ShareView::new(Created::clone(made))));
                    return Outcome::Do(Request::SelectAdded);
                }
                Err(why) => (self.stage, self.error) = (Stage::Input, Some(why.clone())),
            },
            _ => {}
        }
        Outcome::Stay
    }

    fn draw(&self, panel: &mut Panel<'_, '_>, cx: &DialogContext<'_>) {
        if let Stage::Done(share) = &self.stage {
            return share.draw(panel, cx);
        }
        let wide = panel.screen.width >= 60;
        let (label, marks) = if wide { (9, ["data    ", "tracker "]) } else { (2, [">", "@"]) };
        let (lines, style) = self.status_lines(panel, label);
        let next = Action::Nav(NavAction::Down);
        let form = |confirm| {
            vec![
                (CONFIRM, confirm),
                (COMPLETE, "complete"),
                (BROWSE, "browse"),
                (next, "next field"),
                (CLOSE, "cancel"),
            ]
        };
        let buttons = match &self.stage {
            Stage::Hashing(..) | Stage::Previewing(_) => vec![(CLOSE, "stop")],
            Stage::Previewed(..) => form("create"),
            Stage::Input | Stage::Done(_) => form("preview"),
        };
        let room = panel.open("create a torrent", 3 + lines.len(), &buttons);
        let line = |y: u16| Rect { y, height: 1, ..room };
        let open = self.is_open();
        let words = Rect { x: room.x + label, width: room.width.saturating_sub(label), ..room };
        panel.hit(line(room.y), HitTarget::Field(WHAT));
        panel.field(line(room.y), marks[0], &self.what.edit, "a file or a folder", open && self.at == WHAT);
        let mut y = room.y + 1;
        if y < room.bottom() {
            panel.hit(line(y), HitTarget::Field(TRACKER));
            panel.field(
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
            panel.tick(words.x, y, self.private, word, open && self.at == PRIVATE, PRIVATE);
        }
        let (found, at) = self.what.found();
        if open && self.error.is_none() && self.at == WHAT && !found.is_empty() {
            return panel.completions(Rect { y: y + 1, height: 1, ..words }, found, at);
        }
        for (n, text) in lines.iter().enumerate() {
            panel.line(words, y + 1 + n as u16, text, style);
        }
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
