//! The last line of the screen: a message, or the keys that can be pressed. Hints can be clicked.

use std::ops::Range;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::widgets::Widget;

use crate::ui::dialogs::dialog::{CLOSE, CONFIRM};
use crate::ui::keys::action::{Action, AppAction, ViewAction};
use crate::ui::keys::keymap::ActiveBinding;
use crate::ui::state::app::AppState;
use crate::ui::text::format::{cells, shorten_paths};
use crate::ui::widgets::painter::Painter;

/// The last line of the screen.
pub(crate) struct StatusBar<'a>(pub &'a AppState);

/// A key with what it does, and where it is.
struct Hint<'a> {
    action: Action,
    key: &'a str,
    words: &'static str,
    cells: Range<u16>,
}

impl Widget for StatusBar<'_> {
    fn render(self, area: Rect, buf: &mut Buffer) {
        let (state, theme) = (self.0, &self.0.theme);
        let mut pen = Painter { buf, theme };
        let y = area.y;
        if let Some(notice) = state.shown_notice() {
            let mut room = area.width - 2;
            if cells(&notice.text) > room {
                let all = format!("[{}] all", state.keymap.shown(Action::App(AppAction::Messages)));
                room = pen.put_right(area.right() - 1, y, 8, &all, theme.dim).saturating_sub(area.x + 3);
            }
            pen.put(area.x + 1, y, room, &shorten_paths(&notice.text, room), theme.strong);
            return;
        }
        if let Some(guide) = &state.guide {
            let key = state.keymap.shown(Action::App(AppAction::Quit));
            let right = pen.put_right(area.right() - 1, y, 16, &format!("{key} quit"), theme.dim);
            pen.put(right, y, 11, key, theme.accent);
            pen.put(area.x + 1, y, right.saturating_sub(area.x + 3), &guide.line(&state.keymap), theme.strong);
            return;
        }
        for hint in self.hints(area) {
            let end = pen.put(hint.cells.start, y, cells(hint.key), hint.key, theme.accent);
            pen.put(end + 1, y, cells(hint.words), hint.words, theme.dim);
        }
    }
}

impl<'a> StatusBar<'a> {
    /// Returns the action whose hint is at cell `x`.
    pub(crate) fn action_at(&self, area: Rect, x: u16) -> Option<Action> {
        match self.0.shown_notice() {
            Some(_) => Some(Action::App(AppAction::Messages)),
            None => self.hints(area).into_iter().find(|hint| hint.cells.contains(&x)).map(|hint| hint.action),
        }
    }

    /// Returns the hints that fit, from left to right; the key that quits is at the right.
    fn hints(&self, area: Rect) -> Vec<Hint<'a>> {
        let state = self.0;
        let quit = (Action::App(AppAction::Quit), state.keymap.shown(Action::App(AppAction::Quit)), "quit");
        let length = |(_, key, words): &(Action, &str, &str)| cells(key) + 1 + cells(words);
        let right = (area.right() - 1).saturating_sub(length(&quit));
        let shown = |action| state.keymap.shown(action);
        let chosen = match (state.filtering, state.filter.is_empty()) {
            (true, _) => vec![(CONFIRM, shown(CONFIRM), "keep"), (CLOSE, shown(CLOSE), "clear")],
            (false, false) => {
                let clear = (CLOSE, shown(CLOSE), "show all");
                let room = right.saturating_sub(area.x + 1 + length(&clear) + 2);
                std::iter::once(clear).chain(bound(state, room)).collect()
            }
            (false, true) => bound(state, right.saturating_sub(area.x + 1)),
        };
        let mut x = area.x + 1;
        let mut hints = Vec::with_capacity(chosen.len() + 1);
        for hint in chosen {
            let cells = x..x + length(&hint);
            x = cells.end + 2;
            hints.push(Hint { action: hint.0, key: hint.1, words: hint.2, cells });
        }
        if !state.filtering {
            hints.push(Hint { action: quit.0, key: quit.1, words: quit.2, cells: right..area.right() - 1 });
        }
        hints
    }
}

/// Returns the bound keys with hints that fit in `room` cells: keys of the focused list before torrent keys; help and
/// pane switching take precedence when space is short.
fn bound(state: &AppState, room: u16) -> Vec<(Action, &str, &'static str)> {
    let places = state.key_contexts();
    let narrow = places[0];
    let here = |line: &&ActiveBinding| places.contains(&line.binding.place) && !line.binding.hint.is_empty();
    let mut lines: Vec<_> = state.keymap.lines().iter().filter(here).collect();
    lines.sort_by_key(|line| line.binding.place != narrow);
    let first = |act| match act {
        Action::App(AppAction::Help) => 0,
        Action::View(ViewAction::Pane) => 1,
        _ => 2,
    };
    let mut wanted: Vec<usize> = (0..lines.len()).collect();
    wanted.sort_by_key(|at| first(lines[*at].binding.act));
    let (mut left, mut kept) = (room, Vec::new());
    for at in wanted {
        let (binding, key) = (lines[at].binding, lines[at].keys.first());
        // Skips keys that a narrower context shadows, and actions without a key.
        let holds = key.is_some_and(|key| state.keymap.lookup(&places, *key) == Some(binding.act));
        let width = cells(lines[at].first()) + 1 + cells(binding.hint) + 2;
        if holds && binding.act != Action::App(AppAction::Quit) && width <= left {
            left -= width;
            kept.push(at);
        }
    }
    kept.sort_unstable();
    kept.into_iter().map(|at| (lines[at].binding.act, lines[at].first(), lines[at].binding.hint)).collect()
}
