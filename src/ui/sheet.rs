//! The sheet that a dialog is written on: between two rules at the foot of the screen, so that the list above stays in
//! sight. Whoever draws on it also says what a click there means, so that nothing can be clicked where it is not drawn.

use ratatui::layout::{Position, Rect};
use ratatui::style::{Modifier, Style};

use crate::ui::edit::Edit;
use crate::ui::keymap;
use crate::ui::keys::Key;
use crate::ui::pen::Pen;
use crate::ui::text::cells;

/// What a click on a part of a dialog means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hit {
    /// The same as this key.
    Key(Key),
    /// Choose this row; a second click on it does what Enter does.
    Row(usize),
    /// Go to this field.
    Field(usize),
}

/// A sheet that is being written on.
pub struct Sheet<'a, 'b> {
    /// Writes.
    pub pen: &'a mut Pen<'b>,
    /// The whole screen.
    pub screen: Rect,
    /// What can be clicked; the later goes before the earlier.
    pub hits: Vec<(Rect, Hit)>,
    /// Where the cursor is to be.
    pub cursor: Option<(u16, u16)>,
}

/// Lines between the rules of a sheet that would like `height`, on a screen of `screen` lines.
#[must_use]
pub fn room(screen: u16, height: usize) -> u16 {
    u16::try_from(height).unwrap_or(u16::MAX).min(screen.saturating_sub(3)).max(1)
}

/// The width of a line of text on a sheet.
#[must_use]
pub fn measure(screen: u16) -> u16 {
    screen.min(100).saturating_sub(4).max(1)
}

impl<'a, 'b> Sheet<'a, 'b> {
    /// Nothing is written yet.
    pub fn new(pen: &'a mut Pen<'b>, screen: Rect) -> Self {
        Sheet { pen, screen, hits: Vec::new(), cursor: None }
    }

    /// Opens the sheet with room for `height` lines between its rules, and a line of keys that can be clicked. Returns
    /// the room.
    pub fn open(&mut self, title: &str, height: usize, keys: &str) -> Rect {
        let theme = *self.pen.theme;
        let screen = self.screen;
        let height = room(screen.height, height);
        let whole = Rect { y: screen.bottom().saturating_sub(height + 2), height: height + 2, ..screen };
        let whole = whole.intersection(screen);
        self.pen.clear(whole, theme.sheet);
        self.pen.rule(Rect { height: 1, ..whole }, title, theme.accent);
        self.keys(Rect { y: whole.bottom() - 1, height: 1, ..whole }, keys);
        Rect { x: whole.x + 1, y: whole.y + 1, width: whole.width.saturating_sub(2), height }
    }

    /// Writes `Enter add   Esc cancel` with the keys standing out.
    fn keys(&mut self, area: Rect, keys: &str) {
        let theme = *self.pen.theme;
        let mut x = area.x + 1;
        for part in keys.split("   ").filter(|part| !part.is_empty()) {
            let (key, word) = part.split_once(' ').unwrap_or((part, ""));
            let start = x;
            if start + cells(part) > area.right() {
                return;
            }
            x = self.pen.put(x, area.y, area.right().saturating_sub(x), key, theme.accent);
            x = self.pen.put(x + 1, area.y, area.right().saturating_sub(x + 1), word, theme.dim);
            if let Ok(key) = keymap::key(key) {
                self.hits.push((Rect::new(start, area.y, x.saturating_sub(start), 1), Hit::Key(key)));
            }
            x += 3;
        }
    }

    /// Says what a click here means.
    pub fn hit(&mut self, area: Rect, hit: Hit) {
        self.hits.push((area, hit));
    }

    /// A line of text, cut where it is too long.
    pub fn line(&mut self, room: Rect, y: u16, text: &str, style: Style) {
        if y < room.bottom() {
            self.pen.put(room.x, y, room.width, text, style);
        }
    }

    /// A line that is typed, behind a mark. With `here`, the cursor is in it.
    pub fn field(&mut self, area: Rect, mark: &str, edit: &Edit, empty: &str, here: bool) {
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

    /// A box that is ticked or not.
    pub fn tick(&mut self, x: u16, y: u16, on: bool, word: &str, here: bool, field: usize) -> u16 {
        let theme = *self.pen.theme;
        let width = cells(word) + 4;
        let mark = if on { "[x]" } else { "[ ]" };
        self.pen.put(x, y, 3, mark, if here { theme.accent } else { theme.text });
        let style = if here { theme.strong } else { theme.text };
        self.pen.put(x + 4, y, width, word, style);
        self.hit(Rect::new(x, y, width, 1), Hit::Field(field));
        x + width
    }

    /// Marks a line of a list as the chosen one, over the whole width.
    pub fn choose(&mut self, room: Rect, y: u16) {
        let theme = *self.pen.theme;
        self.pen.restyle(Rect { y, height: 1, x: self.screen.x, width: self.screen.width }, theme.chosen);
        self.pen.put(room.x, y, 1, ">", theme.accent);
    }

    /// The meaning of a click on this cell.
    #[must_use]
    pub fn at(&self, x: u16, y: u16) -> Option<Hit> {
        let at = Position::new(x, y);
        self.hits.iter().rev().find(|(area, _)| area.contains(at)).map(|(_, hit)| *hit)
    }
}

/// Bold on top of whatever a theme says.
#[must_use]
pub fn bold() -> Style {
    Style::new().add_modifier(Modifier::BOLD)
}

/// The chosen row of a list, and the first one that is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Rows {
    /// The chosen one.
    pub at: usize,
    top: usize,
}

impl Rows {
    /// Moves as a key says in a list of `count` rows of which `height` are seen; false if the key moves nothing.
    pub fn key(&mut self, key: Key, count: usize, height: usize) -> bool {
        let page = height.max(2) - 1;
        let last = count.saturating_sub(1);
        self.at = match key {
            Key::Up => self.at.saturating_sub(1),
            Key::Down => self.at.saturating_add(1),
            Key::PageUp | Key::Ctrl('b') => self.at.saturating_sub(page),
            Key::PageDown | Key::Ctrl('f') => self.at.saturating_add(page),
            Key::Home => 0,
            Key::End => last,
            _ => return false,
        }
        .min(last);
        self.top = self.first(count, height);
        true
    }

    /// Moves by so many rows.
    pub fn by(&mut self, by: i32, count: usize, height: usize) {
        self.at = self.at.saturating_add_signed(by as isize).min(count.saturating_sub(1));
        self.top = self.first(count, height);
    }

    /// The first row to show.
    #[must_use]
    pub fn first(&self, count: usize, height: usize) -> usize {
        crate::ui::model::scroll(self.top, Some(self.at), height, count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chosen_row_is_always_seen() {
        let mut rows = Rows::default();
        for (key, at, first) in [
            (Key::Up, 0, 0),
            (Key::PageDown, 4, 0),
            (Key::Down, 5, 1),
            (Key::End, 99, 95),
            (Key::Up, 98, 95),
            (Key::PageUp, 94, 94),
            (Key::Home, 0, 0),
        ] {
            assert!(rows.key(key, 100, 5));
            assert_eq!((rows.at, rows.first(100, 5)), (at, first), "{key:?}");
        }
        assert!(rows.key(Key::End, 0, 5) && rows.at == 0, "an empty list has no rows");
        assert!(!rows.key(Key::Enter, 100, 5));
        assert_eq!((room(24, 90), room(4, 3), room(24, 0)), (21, 1, 1));
    }
}
