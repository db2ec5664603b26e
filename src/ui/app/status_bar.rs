//! The last line of the screen: the filter, a notice, or the keys that can be pressed.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::widgets::Widget;

use crate::ui::dialogs::dialog::{CLOSE, CONFIRM};
use crate::ui::keys::action::{Action, AppAction, ViewAction};
use crate::ui::keys::keymap::ActiveBinding;
use crate::ui::state::app::AppState;
use crate::ui::text::format::cells;
use crate::ui::widgets::painter::Painter;

/// Cells of the line that the filter leaves to other words.
const BESIDE_FILTER: u16 = 30;

/// The last line of the screen.
pub(crate) struct StatusBar<'a>(pub &'a AppState);

impl Widget for StatusBar<'_> {
    fn render(self, area: Rect, buf: &mut Buffer) {
        let state = self.0;
        let theme = &state.theme;
        let mut pen = Painter { buf, theme };
        if state.filtering || !state.filter.is_empty() {
            return filter(&mut pen, area, state);
        }
        let y = area.y;
        if let Some(notice) = &state.notice {
            pen.put(area.x + 1, y, area.width - 2, &notice.text, theme.strong);
            return;
        }
        let key = state.keymap.shown(Action::App(AppAction::Quit));
        let right = pen.put_right(area.right() - 1, y, 16, &format!("{key} quit"), theme.dim);
        pen.put(right, y, 11, key, theme.accent);
        let mut x = area.x + 1;
        if let Some(guide) = &state.guide {
            pen.put(x, y, right.saturating_sub(x + 2), &guide.line(&state.keymap), theme.strong);
            return;
        }
        for (key, hint) in hints(state, right.saturating_sub(x)) {
            let end = pen.put(x, y, cells(key), key, theme.accent);
            x = pen.put(end + 1, y, cells(hint), hint, theme.dim) + 2;
        }
    }
}

/// Draws the filter of the torrent list, and how many torrents it leaves.
fn filter(pen: &mut Painter<'_>, area: Rect, state: &AppState) {
    let (theme, y) = (pen.theme, area.y);
    let x = pen.put(area.x + 1, y, 2, "/", theme.accent);
    let (text, _) = state.filter.window(area.width.saturating_sub(BESIDE_FILTER));
    let x = pen.put(x, y, area.width.saturating_sub(BESIDE_FILTER), &text, theme.strong);
    let (keep, clear) = (state.keymap.shown(CONFIRM), state.keymap.shown(CLOSE));
    let keys = if state.filtering { format!("{keep} keep  {clear} clear") } else { format!("{clear} clear") };
    pen.put_right(area.right() - 1, y, 24, &keys, theme.dim);
    let found = match state.rows.len() {
        0 => "no match".to_owned(),
        found => format!("{found} found"),
    };
    pen.put(x + 3, y, area.right().saturating_sub(x + 28), &found, theme.dim);
}

/// Returns where the cursor is while the filter is typed.
pub(crate) fn cursor(area: Rect, state: &AppState) -> Option<(u16, u16)> {
    let (_, at) = state.filter.window(area.width.saturating_sub(BESIDE_FILTER));
    state.filtering.then_some((area.x + 2 + at, area.y))
}

/// Returns the key hints that fit in `room` cells of the status line: keys of the focused list before torrent keys;
/// help and pane switching take precedence when space is short.
fn hints(state: &AppState, room: u16) -> Vec<(&str, &'static str)> {
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
    kept.into_iter().map(|at| (lines[at].first(), lines[at].binding.hint)).collect()
}
