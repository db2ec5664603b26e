//! The model of the UI: the state that panes read, and the dialogs in front of them.

use crate::ui::dialogs::dialog::Dialog;
use crate::ui::state::app::AppState;
use crate::ui::theme::style::ThemeName;

/// All of the UI between two messages.
#[derive(Clone, Debug)]
pub struct App {
    pub state: AppState,
    /// Open dialogs, the last one on top.
    pub dialogs: Vec<Dialog>,
}

impl App {
    /// Creates the initial model for a terminal of `size` (columns, rows).
    #[must_use]
    pub fn new(size: (u16, u16), theme: ThemeName, ascii: bool) -> Self {
        App { state: AppState::new(size, theme, ascii), dialogs: Vec::new() }
    }
}
