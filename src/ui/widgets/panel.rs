//! The panel that a dialog is drawn on: between two rules at the bottom of the screen, so that the list above stays
//! visible. Drawing code registers hit targets along with what it draws, so that only visible elements can be
//! clicked.

use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

use crate::ui::keys::action::Action;
use crate::ui::keys::keymap::Keymap;
use crate::ui::text::format::{cells, clean_within};
use crate::ui::widgets::painter::Painter;
use crate::ui::widgets::text_input::TextInput;

/// What a click on a part of a dialog does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HitTarget {
    /// Performs this action.
    Action(Action),
    /// Selects this row; on the selected row, acts like Enter.
    Row(usize),
    /// Focuses this field.
    Field(usize),
}

/// A panel that is being drawn.
pub struct Panel<'a, 'b> {
    pub pen: &'a mut Painter<'b>,
    /// Keys, for the buttons.
    keymap: &'a Keymap,
    /// The whole screen.
    pub screen: Rect,
    /// Hit targets; later ones take precedence.
    pub hits: Vec<(Rect, HitTarget)>,
    /// Where to place the text cursor.
    pub cursor: Option<(u16, u16)>,
}

/// Returns the number of lines between the rules of a panel: `height`, or fewer on a low screen.
pub(crate) fn room(screen: u16, height: usize) -> u16 {
    u16::try_from(height).unwrap_or(u16::MAX).min(screen.saturating_sub(3)).max(1)
}

/// Returns the width of a line of text in a panel.
pub(crate) fn text_width(screen: u16) -> u16 {
    screen.min(100).saturating_sub(4).max(1)
}

impl<'a, 'b> Panel<'a, 'b> {
    /// Creates an empty panel.
    pub fn new(pen: &'a mut Painter<'b>, screen: Rect, keymap: &'a Keymap) -> Self {
        Panel { pen, keymap, screen, hits: Vec::new(), cursor: None }
    }

    /// Draws the frame of a panel with `height` lines between its rules and a line of buttons: actions with their
    /// labels. Returns the inner area.
    pub fn open(&mut self, title: &str, height: usize, buttons: &[(Action, &str)]) -> Rect {
        let theme = *self.pen.theme;
        let screen = self.screen;
        let height = room(screen.height, height);
        let whole = Rect { y: screen.bottom().saturating_sub(height + 2), height: height + 2, ..screen };
        let whole = whole.intersection(screen);
        self.pen.clear(whole, theme.sheet);
        self.pen.rule(Rect { height: 1, ..whole }, title, theme.accent);
        self.buttons(Rect { y: whole.bottom() - 1, height: 1, ..whole }, buttons);
        Rect { x: whole.x + 1, y: whole.y + 1, width: whole.width.saturating_sub(2), height }
    }

    /// Draws buttons such as `Enter add   Esc cancel`, with the keys emphasized.
    fn buttons(&mut self, area: Rect, buttons: &[(Action, &str)]) {
        let theme = *self.pen.theme;
        let mut x = area.x + 1;
        for (action, label) in buttons {
            let key = self.keymap.shown(*action);
            let start = x;
            if start + cells(key) + 1 + cells(label) > area.right() {
                return;
            }
            if !key.is_empty() {
                x = self.pen.put(x, area.y, area.right().saturating_sub(x), key, theme.accent) + 1;
            }
            x = self.pen.put(x, area.y, area.right().saturating_sub(x), label, theme.dim);
            self.hit(Rect::new(start, area.y, x.saturating_sub(start), 1), HitTarget::Action(*action));
            x += 3;
        }
    }

    /// Registers a hit target.
    pub fn hit(&mut self, area: Rect, hit: HitTarget) {
        self.hits.push((area, hit));
    }

    /// Draws a line of text, truncated if too long.
    pub fn line(&mut self, room: Rect, y: u16, text: &str, style: Style) {
        if y < room.bottom() {
            self.pen.put(room.x, y, room.width, text, style);
        }
    }

    /// Draws a text input behind a label; with `here`, places the cursor in it.
    pub fn field(&mut self, area: Rect, mark: &str, edit: &TextInput, empty: &str, here: bool) {
        let theme = *self.pen.theme;
        let start = self.pen.put(area.x, area.y, area.width, mark, if here { theme.accent } else { theme.dim }) + 1;
        let width = area.right().saturating_sub(start);
        if edit.is_empty() {
            self.pen.put(start, area.y, width, empty, theme.faint);
        }
        let (text, at) = edit.window(width);
        self.pen.put(start, area.y, width, &text, if here { theme.strong } else { theme.text });
        if here {
            self.cursor = Some(((start + at).min(area.right().saturating_sub(1)), area.y));
        }
    }

    /// Draws a checkbox.
    pub fn tick(&mut self, x: u16, y: u16, on: bool, word: &str, here: bool, field: usize) -> u16 {
        let theme = *self.pen.theme;
        let width = cells(word) + 4;
        let mark = if on { "[x]" } else { "[ ]" };
        self.pen.put(x, y, 3, mark, if here { theme.accent } else { theme.text });
        let style = if here { theme.strong } else { theme.text };
        self.pen.put(x + 4, y, width, word, style);
        self.hit(Rect::new(x, y, width, 1), HitTarget::Field(field));
        x + width
    }

    /// Highlights a row as selected, over the whole width.
    pub fn choose(&mut self, room: Rect, y: u16) {
        let theme = *self.pen.theme;
        self.pen.restyle(Rect { y, height: 1, x: self.screen.x, width: self.screen.width }, theme.chosen);
        self.pen.put(room.x, y, 1, ">", theme.accent);
    }

    /// Draws the answers to a question, one per line from `y` on: label, explanation, style of the label if selected.
    pub fn answers(&mut self, room: Rect, y: u16, answers: &[(&str, &str, Style)], chosen: usize) {
        let theme = *self.pen.theme;
        for ((at, (label, text, style)), y) in answers.iter().enumerate().zip(y..room.bottom()) {
            if at == chosen {
                self.choose(room, y);
            }
            self.hit(Rect { y, height: 1, ..room }, HitTarget::Row(at));
            self.pen.put(room.x + 2, y, 16, label, if at == chosen { style.patch(bold()) } else { theme.text });
            self.pen.put(room.x + 19, y, room.width.saturating_sub(19), text, theme.dim);
        }
    }

    /// Draws the completions of a path that fit; the inserted one is always visible.
    pub fn completions(&mut self, area: Rect, found: &[String], at: Option<usize>) {
        let theme = *self.pen.theme;
        let width = |name: &String| cells(&clean_within(name, theme.ascii, 60)).min(60);
        let mut first = 0;
        if let Some(at) = at {
            let mut used = 0;
            first = at;
            while first > 0 && used + width(&found[first]) + 2 <= area.width / 2 {
                used += width(&found[first]) + 2;
                first -= 1;
            }
        }
        let mut x = area.x;
        for (index, name) in found.iter().enumerate().skip(first) {
            let needed = width(name);
            let left = area.right().saturating_sub(x);
            if x + needed + 8 > area.right() && index > first && Some(index) != at {
                self.pen.put(x, area.y, left, &format!("+{}", found.len() - index), theme.faint);
                return;
            }
            let style = if Some(index) == at { theme.strong } else { theme.dim };
            x = self.pen.put(x, area.y, needed.min(left), name, style) + 2;
            if x >= area.right() {
                return;
            }
        }
    }
}

/// Returns a style that adds bold to the theme's style.
pub(crate) fn bold() -> Style {
    Style::new().add_modifier(Modifier::BOLD)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panel_takes_no_more_lines_than_there_are() {
        assert_eq!((room(24, 90), room(4, 3), room(24, 0)), (21, 1, 1));
    }
}
