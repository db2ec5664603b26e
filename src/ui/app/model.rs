//! The model of the UI: the state that panes and dialogs read, and the open dialogs.

use crate::ui::app::dialog_stack::DialogStack;
use crate::ui::state::app::AppState;
use crate::ui::theme::style::ThemeName;

/// All of the UI between two messages.
#[derive(Debug)]
pub struct App {
    pub state: AppState,
    pub dialogs: DialogStack,
}

impl App {
    /// Creates the initial model for a terminal of `size` (columns, rows).
    #[must_use]
    pub fn new(size: (u16, u16), theme: ThemeName, ascii: bool) -> Self {
        App { state: AppState::new(size, theme, ascii), dialogs: DialogStack::default() }
    }
}
