//! The message log: what the status line has said, the newest first. Enter shows a message in full.

use std::collections::VecDeque;

use ratatui::layout::Rect;

use crate::ui::dialogs::dialog::{CLOSE, CONFIRM, Dialog, DialogContext, Outcome, Request};
use crate::ui::keys::action::{Action, AppAction};
use crate::ui::keys::context::KeyContext;
use crate::ui::state::app::Notice;
use crate::ui::text::format::shorten_paths;
use crate::ui::widgets::list::ListState;
use crate::ui::widgets::panel::{HitTarget, Panel, room};

/// The message log.
#[derive(Debug, Default)]
pub(crate) struct MessageLog {
    rows: ListState,
}

fn height(messages: &VecDeque<Notice>, screen: u16) -> usize {
    room(screen, messages.len().max(1)).into()
}

impl MessageLog {
    fn open(&self, cx: &DialogContext<'_>) -> Outcome {
        let message = cx.state.messages.iter().rev().nth(self.rows.at);
        message.map_or(Outcome::Close, |message| Outcome::Do(Request::Show("message", message.text.clone())))
    }
}

impl Dialog for MessageLog {
    fn contexts(&self) -> &'static [KeyContext] {
        &[KeyContext::Dialogs, KeyContext::Everywhere]
    }

    fn action(&mut self, action: Action, cx: &DialogContext<'_>) -> Outcome {
        let messages = &cx.state.messages;
        match action {
            CLOSE | Action::App(AppAction::Quit | AppAction::Messages) => return Outcome::Close,
            CONFIRM => return self.open(cx),
            Action::Nav(action) => self.rows.navigate(action, messages.len(), height(messages, cx.state.size.1)),
            _ => return Outcome::Ignored,
        }
        Outcome::Stay
    }

    fn click_row(&mut self, row: usize, cx: &DialogContext<'_>) -> Outcome {
        if std::mem::replace(&mut self.rows.at, row) == row { self.open(cx) } else { Outcome::Stay }
    }

    fn scroll(&mut self, rows: isize, cx: &DialogContext<'_>) {
        let messages = &cx.state.messages;
        self.rows.move_by(rows, messages.len(), height(messages, cx.state.size.1));
    }

    fn draw(&self, panel: &mut Panel<'_, '_>, cx: &DialogContext<'_>) {
        let (theme, messages) = (&cx.state.theme, &cx.state.messages);
        let count = messages.len();
        let room = panel.open("messages", count.max(1), &[(CONFIRM, "show all of it"), (CLOSE, "close")]);
        if messages.is_empty() {
            panel.line(room, room.y, "nothing has been said yet", theme.dim);
        }
        let first = self.rows.first(count, room.height.into());
        for ((at, message), y) in messages.iter().rev().enumerate().skip(first).zip(room.y..room.bottom()) {
            if at == self.rows.at {
                panel.choose(room, y);
            }
            panel.hit(Rect { y, height: 1, ..room }, HitTarget::Row(at));
            let stamp = cx.state.moment(cx.state.clock.saturating_sub(message.at), false);
            panel.pen.put_right(room.x + 10, y, 8, &stamp, theme.faint);
            let width = room.width.saturating_sub(13);
            panel.pen.put(room.x + 12, y, width, &shorten_paths(&message.text, width), theme.text);
        }
        panel.pen.scrollbar(Rect { width: room.width + 1, ..room }, first, count);
    }
}
