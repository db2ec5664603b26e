//! What a dialog is. A dialog changes nothing but itself: it answers what it wants from the rest of the program with
//! [`Request`]s, which the application carries out.

use std::any::Any;
use std::fmt::Debug;

use crate::api::{Command, Event, Snapshot};
use crate::ui::effect::Effect;
use crate::ui::keys::action::{Action, AppAction, DialogAction, EditAction};
use crate::ui::keys::context::KeyContext;
use crate::ui::state::app::AppState;
use crate::ui::state::columns::SortBy;
use crate::ui::widgets::panel::{HitTarget, Panel};
use crate::ui::widgets::path_input::{DirListing, PathKind};
use crate::ui::widgets::text_input::TextInput;

/// The action that closes a dialog.
pub(crate) const CLOSE: Action = Action::App(AppAction::Close);
/// The action that confirms a dialog.
pub(crate) const CONFIRM: Action = Action::Dialog(DialogAction::Confirm);
/// The action that completes a path.
pub(crate) const COMPLETE: Action = Action::Dialog(DialogAction::Complete);
/// The action that opens the file picker.
pub(crate) const BROWSE: Action = Action::Dialog(DialogAction::Browse);

/// Key contexts of a text field in a form.
pub(crate) const FORM: &[KeyContext] =
    &[KeyContext::Forms, KeyContext::Text, KeyContext::Dialogs, KeyContext::Everywhere];
/// Key contexts of the check boxes of a form.
pub(crate) const OPTIONS: &[KeyContext] =
    &[KeyContext::Options, KeyContext::Forms, KeyContext::Dialogs, KeyContext::Everywhere];
/// Key contexts of a text field on its own.
pub(crate) const TEXT: &[KeyContext] = &[KeyContext::Text, KeyContext::Dialogs, KeyContext::Everywhere];
/// Key contexts of a question.
pub(crate) const QUESTION: &[KeyContext] = &[KeyContext::Questions, KeyContext::Dialogs, KeyContext::Everywhere];

/// What a dialog can read.
#[derive(Clone, Copy)]
pub struct DialogContext<'a> {
    pub state: &'a AppState,
    /// The latest engine snapshot; while drawing, as privacy mode shows it.
    pub snapshot: &'a Snapshot,
}

/// What follows from an input.
#[derive(Debug)]
pub enum Outcome {
    Stay,
    /// The action means nothing to the dialog: the application may know it.
    Ignored,
    Close,
    /// Stays open and asks for this.
    Do(Request),
    /// Closes and asks for all of this.
    Finish(Vec<Request>),
}

/// What a dialog asks of the application.
#[derive(Debug)]
pub enum Request {
    Engine(Command),
    Effect(Effect),
    /// Copies a magnet link.
    CopyMagnet(String),
    /// Performs an action, as a key of the panes does.
    Run(Action),
    /// Sorts a list.
    Sort(SortBy),
    /// Opens the settings dialog at this row.
    OpenSetting(usize),
    /// Opens the file picker at this path, for the dialog that asks.
    PickPath(String, PathKind),
    /// Hands a path to the dialog that opened the file picker, which showed the directory `folder` last.
    Picked {
        path: String,
        folder: String,
    },
    /// Changes a config value, in TOML syntax; `None` is the default.
    Configure(&'static str, Option<String>),
    /// Shows a text in full, below this title.
    Show(&'static str, String),
    /// Says what was done, in the status line.
    Notify(String),
    /// Selects the torrent that the engine adds next.
    SelectAdded,
}

/// A dialog; the top one gets the input.
pub trait Dialog: Any + Debug {
    /// Returns the contexts of its keys, the narrowest first.
    fn contexts(&self) -> &'static [KeyContext];

    /// Handles an action of one of these contexts, unless it edits text.
    fn action(&mut self, action: Action, cx: &DialogContext<'_>) -> Outcome;

    /// Draws the dialog.
    fn draw(&self, panel: &mut Panel<'_, '_>, cx: &DialogContext<'_>);

    /// Returns the text field that has the focus.
    fn text_field(&mut self) -> Option<&mut TextInput> {
        None
    }

    /// Reacts to a changed text field.
    fn edited(&mut self) {}

    /// Handles an action that edits text.
    fn edit(&mut self, action: EditAction) -> Outcome {
        edit_field(self, |field| field.edit(action))
    }

    /// Handles a typed character; called only in [`KeyContext::Text`].
    fn type_char(&mut self, c: char) -> Outcome {
        edit_field(self, |field| field.type_char(c))
    }

    /// Handles a paste, as lines without line breaks, at least one. Returns `false` if the dialog takes no text.
    fn paste(&mut self, lines: &[&str]) -> bool {
        let last = lines.last().copied().unwrap_or_default();
        !matches!(edit_field(self, |field| field.insert(last)), Outcome::Ignored)
    }

    /// Handles a click on a row.
    fn click_row(&mut self, _row: usize, _cx: &DialogContext<'_>) -> Outcome {
        Outcome::Stay
    }

    /// Handles a click on a field.
    fn click_field(&mut self, _field: usize) {}

    /// Handles the mouse wheel; up is negative.
    fn scroll(&mut self, _rows: isize, _cx: &DialogContext<'_>) {}

    /// Handles an engine event; every open dialog gets it.
    fn on_event(&mut self, _event: &Event, _cx: &DialogContext<'_>) -> Outcome {
        Outcome::Stay
    }

    /// Handles a directory listing; every open dialog gets it.
    fn on_listing(&mut self, _listing: &DirListing) -> Outcome {
        Outcome::Stay
    }

    /// Handles the path from the file picker.
    fn on_picked(&mut self, _path: &str) {}

    /// Drops removed torrents; returns `false` if the dialog is no longer needed.
    fn retain(&mut self, _snapshot: &Snapshot) -> bool {
        true
    }
}

/// Changes the text field that has the focus, if any, and tells the dialog if its text is another one.
pub(crate) fn edit_field<D: Dialog + ?Sized>(dialog: &mut D, change: impl FnOnce(&mut TextInput)) -> Outcome {
    let Some(field) = dialog.text_field() else { return Outcome::Ignored };
    let before = field.text().to_owned();
    change(field);
    if field.text() != before {
        dialog.edited();
    }
    Outcome::Stay
}

/// Handles a click on a part of a dialog.
pub(crate) fn click(dialog: &mut dyn Dialog, target: HitTarget, cx: &DialogContext<'_>) -> Outcome {
    match target {
        HitTarget::Action(action) => dialog.action(action, cx),
        HitTarget::Row(row) => dialog.click_row(row, cx),
        HitTarget::Field(field) => {
            dialog.click_field(field);
            Outcome::Stay
        }
    }
}

impl Outcome {
    /// Returns the outcome of an input that may cause an effect.
    #[must_use]
    pub fn of_effect(effect: Option<Effect>) -> Self {
        effect.map_or(Outcome::Stay, |effect| Outcome::Do(Request::Effect(effect)))
    }

    /// Closes the dialog and sends these commands.
    #[must_use]
    pub fn send(commands: impl IntoIterator<Item = Command>) -> Self {
        Outcome::Finish(commands.into_iter().map(Request::Engine).collect())
    }
}
