//! Shows what limits the selected torrent, with the numbers behind it.

use ratatui::layout::Rect;

use crate::api::{Snapshot, TorrentView};
use crate::ui::dialogs::dialog::{CLOSE, CONFIRM, Dialog, DialogContext, Outcome};
use crate::ui::keys::action::{Action, AppAction, TorrentAction};
use crate::ui::keys::context::KeyContext;
use crate::ui::state::app::AppState;
use crate::ui::text::format::{cells, clean_within, wrap};
use crate::ui::widgets::list::ScrollState;
use crate::ui::widgets::panel::{Panel, room, text_width};
use crate::words::why::{self, Labeled};

/// What limits the selected torrent.
#[derive(Debug, Default)]
pub(crate) struct WhyDialog {
    scroll: ScrollState,
}

/// A line of the dialog: part of the sentence, or a label with its value.
enum Line {
    Sentence(String),
    Gap,
    Number(Labeled),
}

fn lines(state: &AppState, view: &TorrentView, width: u16) -> Vec<Line> {
    let sentence = state.why_text(view);
    let mut lines: Vec<Line> = wrap(&sentence, width).into_iter().map(Line::Sentence).collect();
    let numbers = why::numbers(&view.why);
    if !numbers.is_empty() {
        lines.push(Line::Gap);
    }
    lines.extend(numbers.into_iter().map(Line::Number));
    lines
}

impl WhyDialog {
    /// Returns the number of lines, and how many of them are visible.
    fn extent(cx: &DialogContext<'_>) -> (usize, usize) {
        let snapshot = cx.state.panes.hidden.shown(cx.snapshot);
        let (width, height) = cx.state.size;
        let count = cx.state.chosen(snapshot).map_or(0, |view| lines(cx.state, view, text_width(width)).len());
        (count, room(height, count).into())
    }
}

impl Dialog for WhyDialog {
    fn contexts(&self) -> &'static [KeyContext] {
        &[KeyContext::Messages, KeyContext::Dialogs, KeyContext::Torrents, KeyContext::Everywhere]
    }

    fn action(&mut self, action: Action, cx: &DialogContext<'_>) -> Outcome {
        match action {
            CLOSE | CONFIRM | Action::App(AppAction::Quit) | Action::Torrent(TorrentAction::Why) => {
                return Outcome::Close;
            }
            Action::Nav(action) => {
                let (count, height) = WhyDialog::extent(cx);
                self.scroll.navigate(action, count, height);
            }
            _ => return Outcome::Ignored,
        }
        Outcome::Stay
    }

    fn scroll(&mut self, rows: isize, cx: &DialogContext<'_>) {
        let (count, height) = WhyDialog::extent(cx);
        self.scroll.move_by(rows.signum(), count, height);
    }

    fn retain(&mut self, snapshot: &Snapshot) -> bool {
        !snapshot.torrents.is_empty()
    }

    fn draw(&self, panel: &mut Panel<'_, '_>, cx: &DialogContext<'_>) {
        let theme = *panel.pen.theme;
        let Some(view) = cx.state.chosen(cx.snapshot) else { return };
        let lines = lines(cx.state, view, text_width(panel.screen.width));
        let room = panel.open(&format!("what limits {}", view.name), lines.len(), &[(CLOSE, "close")]);
        let labels = lines.iter().filter_map(|line| match line {
            Line::Number(number) => Some(cells(&clean_within(&number.label, false, 40))),
            _ => None,
        });
        let widest = labels.max().unwrap_or(0).min(40);
        for (line, y) in lines.iter().skip(self.scroll.top()).zip(room.y..room.bottom()) {
            match line {
                Line::Sentence(text) => {
                    panel.line(room, y, text, if view.error.is_some() { theme.bad } else { theme.strong });
                }
                Line::Gap => {}
                Line::Number(Labeled { label, value }) => {
                    panel.pen.put(room.x, y, widest, label, theme.dim);
                    panel.pen.put(room.x + widest + 3, y, room.width.saturating_sub(widest + 3), value, theme.text);
                }
            }
        }
        panel.pen.scrollbar(Rect { width: room.width + 1, ..room }, self.scroll.top(), lines.len());
    }
}
