//! Shows a message that the user has to close.

use ratatui::layout::Rect;

use crate::ui::dialogs::dialog::{CLOSE, CONFIRM, Dialog, DialogContext, Outcome};
use crate::ui::keys::action::{Action, AppAction};
use crate::ui::keys::context::KeyContext;
use crate::ui::text::format::wrap;
use crate::ui::widgets::list::ScrollState;
use crate::ui::widgets::panel::{Panel, room, text_width};

/// Maximum number of lines.
const MAX_LINES: usize = 20;

/// A message.
#[derive(Debug)]
pub struct MessageDialog {
    title: String,
    lines: Vec<String>,
    scroll: ScrollState,
}

impl MessageDialog {
    /// Creates the dialog.
    #[must_use]
    pub fn new(title: &str, lines: Vec<String>) -> Self {
        MessageDialog { title: title.to_owned(), lines, scroll: ScrollState::default() }
    }

    /// Adds a line.
    pub fn append(&mut self, line: String) {
        self.lines.push(line);
        self.lines.truncate(MAX_LINES);
    }
}

impl Dialog for MessageDialog {
    fn contexts(&self) -> &'static [KeyContext] {
        &[KeyContext::Messages, KeyContext::Dialogs, KeyContext::Everywhere]
    }

    fn action(&mut self, action: Action, cx: &DialogContext<'_>) -> Outcome {
        match action {
            CLOSE | CONFIRM | Action::App(AppAction::Quit) => return Outcome::Close,
            Action::Nav(action) => {
                let (width, height) = cx.state.size;
                let count = wrapped(&self.lines, text_width(width)).len();
                self.scroll.navigate(action, count, room(height, count).into());
            }
            _ => return Outcome::Ignored,
        }
        Outcome::Stay
    }

    fn scroll(&mut self, rows: isize, cx: &DialogContext<'_>) {
        let (width, height) = cx.state.size;
        let count = wrapped(&self.lines, text_width(width)).len();
        self.scroll.move_by(rows.signum(), count, room(height, count).into());
    }

    fn draw(&self, panel: &mut Panel<'_, '_>, _cx: &DialogContext<'_>) {
        draw_text(panel, &self.title, &self.lines, &[(CONFIRM, "close")], self.scroll);
    }
}

fn wrapped(lines: &[String], width: u16) -> Vec<String> {
    lines.iter().flat_map(|line| wrap(&line.replace('\n', " "), width)).collect()
}

/// Draws a text with buttons below.
pub fn draw_text(
    panel: &mut Panel<'_, '_>,
    title: &str,
    lines: &[String],
    buttons: &[(Action, &str)],
    scroll: ScrollState,
) {
    let lines = wrapped(lines, text_width(panel.screen.width));
    let room = panel.open(title, lines.len(), buttons);
    let style = panel.pen.theme.text;
    for (line, y) in lines.iter().skip(scroll.top()).zip(room.y..room.bottom()) {
        panel.line(room, y, line, style);
    }
    panel.pen.scrollbar(Rect { width: room.width + 1, ..room }, scroll.top(), lines.len());
}
