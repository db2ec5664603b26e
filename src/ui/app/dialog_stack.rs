//! The open dialogs, and which part of the top one is where on the screen.

use std::any::Any;
use std::cell::RefCell;

use ratatui::layout::{Position, Rect};

use crate::api::Snapshot;
use crate::ui::dialogs::dialog::{Dialog, DialogContext, Outcome, Request, click};
use crate::ui::keys::context::KeyContext;
use crate::ui::widgets::painter::Painter;
use crate::ui::widgets::panel::{HitTarget, Panel};

/// The open dialogs.
#[derive(Debug, Default)]
pub struct DialogStack {
    /// The last one is on top.
    layers: Vec<Box<dyn Dialog>>,
    /// Hit targets of the top dialog in the last frame; later ones take precedence.
    hits: RefCell<Vec<(Rect, HitTarget)>>,
}

impl DialogStack {
    /// Returns whether no dialog is open.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.layers.is_empty()
    }

    /// Returns the number of open dialogs.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.layers.len()
    }

    /// Returns the top dialog, if it is of this type.
    #[must_use]
    pub fn top<T: Dialog>(&self) -> Option<&T> {
        let top: &dyn Any = self.layers.last()?.as_ref();
        top.downcast_ref()
    }

    /// Returns the topmost dialog of this type.
    pub fn find_mut<T: Dialog>(&mut self) -> Option<&mut T> {
        self.layers.iter_mut().rev().find_map(|dialog| {
            let dialog: &mut dyn Any = dialog.as_mut();
            dialog.downcast_mut()
        })
    }

    /// Opens a dialog on top.
    pub fn push(&mut self, dialog: impl Dialog) {
        self.forget_hits();
        self.layers.push(Box::new(dialog));
    }

    /// Opens a dialog behind the others, so that it does not take the keys of a dialog in which the user is typing.
    pub fn push_below(&mut self, dialog: impl Dialog) {
        self.forget_hits();
        self.layers.insert(0, Box::new(dialog));
    }

    /// Forgets where the parts of the top dialog were drawn, since another one is on top.
    pub fn forget_hits(&self) {
        self.hits.borrow_mut().clear();
    }

    /// Returns the key contexts of the top dialog.
    #[must_use]
    pub fn contexts(&self) -> Option<&'static [KeyContext]> {
        self.layers.last().map(|dialog| dialog.contexts())
    }

    /// Passes an input to the top dialog. Returns what it asks for.
    pub fn with_top(&mut self, handle: impl FnOnce(&mut dyn Dialog) -> Outcome) -> Vec<Request> {
        let Some(top) = self.layers.last_mut() else { return Vec::new() };
        let outcome = handle(top.as_mut());
        self.finish(self.layers.len() - 1, outcome)
    }

    /// Passes an input to every dialog. Returns what they ask for.
    pub fn with_each(&mut self, mut handle: impl FnMut(&mut dyn Dialog) -> Outcome) -> Vec<Request> {
        let mut requests = Vec::new();
        for at in (0..self.layers.len()).rev() {
            let outcome = handle(self.layers[at].as_mut());
            requests.extend(self.finish(at, outcome));
        }
        requests
    }

    /// Closes the dialog at this place if its outcome says so.
    fn finish(&mut self, at: usize, outcome: Outcome) -> Vec<Request> {
        let requests = match outcome {
            Outcome::Stay | Outcome::Ignored => return Vec::new(),
            Outcome::Do(request) => return vec![request],
            Outcome::Close => Vec::new(),
            Outcome::Finish(requests) => requests,
        };
        self.layers.remove(at);
        self.forget_hits();
        requests
    }

    /// Passes a click to the top dialog: clicks outside its buttons, rows and fields are ignored.
    pub fn click(&mut self, at: Position, cx: &DialogContext<'_>) -> Vec<Request> {
        let hit = self.hits.borrow().iter().rev().find(|(area, _)| area.contains(at)).map(|(_, target)| *target);
        hit.map_or_else(Vec::new, |target| self.with_top(|dialog| click(dialog, target, cx)))
    }

    /// Passes a path from the file picker to the dialog that opened it.
    pub fn on_picked(&mut self, path: &str) {
        if let Some(dialog) = self.layers.last_mut() {
            dialog.on_picked(path);
        }
    }

    /// Closes dialogs about torrents that no longer exist.
    pub fn close_obsolete(&mut self, snapshot: &Snapshot) {
        let count = self.layers.len();
        self.layers.retain_mut(|dialog| dialog.retain(snapshot));
        if self.layers.len() < count {
            self.forget_hits();
        }
    }

    /// Draws the top dialog, if any. Returns where to place the text cursor.
    pub fn draw(&self, pen: &mut Painter<'_>, screen: Rect, cx: &DialogContext<'_>) -> Option<(u16, u16)> {
        let dialog = self.layers.last()?;
        let mut panel = Panel::new(pen, screen, &cx.state.keymap);
        dialog.draw(&mut panel, cx);
        let cursor = panel.cursor;
        self.hits.replace(panel.hits);
        cursor
    }
}
