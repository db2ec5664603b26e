//! Drawing primitives on the frame buffer: truncated text, rules, bars, columns. Every write to the buffer goes
//! through this module, so nothing is drawn outside its cells and control characters are filtered.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

use crate::ui::text::format::{cells, char_cells, clean_within, prefix};
use crate::ui::theme::style::Theme;

/// The frame buffer and the theme to draw with.
pub struct Painter<'a> {
    pub buf: &'a mut Buffer,
    pub theme: &'a Theme,
}

/// Alignment of a column's text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// For text.
    Left,
    /// For numbers.
    Right,
}

impl Painter<'_> {
    /// Draws `text` from `x` on in at most `width` cells, with a truncation mark if longer. Returns the next free
    /// cell.
    pub fn put(&mut self, x: u16, y: u16, width: u16, text: &str, style: Style) -> u16 {
        let width = width.min(self.buf.area.right().saturating_sub(x));
        let text = clean_within(text, self.theme.ascii, width);
        if width == 0 || y >= self.buf.area.bottom() || y < self.buf.area.y || x < self.buf.area.x {
            return x;
        }
        if cells(&text) <= width {
            return self.raw(x, y, &text, style);
        }
        let (head, _) = prefix(&text, width - 1);
        let end = self.raw(x, y, head.trim_end(), style);
        self.raw(end, y, self.theme.glyphs.cut.encode_utf8(&mut [0; 4]), style)
    }

    /// Draws cleaned text that is known to fit.
    fn raw(&mut self, mut x: u16, y: u16, text: &str, style: Style) -> u16 {
        let start = x;
        for c in text.chars() {
            let width = char_cells(c);
            if width == 0 {
                if x > start {
                    // A combining mark after a wide character belongs to the first cell of that character.
                    let wide = x >= start + 2 && cells(self.buf[(x - 2, y)].symbol()) == 2;
                    let cell = &mut self.buf[(if wide { x - 2 } else { x - 1 }, y)];
                    let symbol = format!("{}{c}", cell.symbol());
                    cell.set_symbol(&symbol);
                }
                continue;
            }
            self.buf[(x, y)].set_char(c).set_style(style);
            if width == 2 {
                self.buf[(x + 1, y)].set_symbol(" ").set_style(style);
            }
            x += width;
        }
        x
    }

    /// Draws `text` right-aligned before `right`, in at most `width` cells. Returns the first cell of the text.
    pub fn put_right(&mut self, right: u16, y: u16, width: u16, text: &str, style: Style) -> u16 {
        let length = cells(&clean_within(text, self.theme.ascii, width)).min(width);
        let x = right.saturating_sub(length);
        self.put(x, y, length, text, style);
        x
    }

    /// Draws text into a column, with the column's alignment.
    pub fn put_side(&mut self, x: u16, y: u16, width: u16, side: Side, text: &str, style: Style) {
        match side {
            Side::Left => self.put(x, y, width, text, style),
            Side::Right => self.put_right(x + width, y, width, text, style),
        };
    }

    /// Draws a column title.
    pub fn title<K>(&mut self, slot: &ColumnRect<K>, y: u16, mark: Option<char>, style: Style) {
        let glyphs = self.theme.glyphs;
        let mut text = slot.title.replace('↓', glyphs.down.encode_utf8(&mut [0; 4]));
        text = text.replace('↑', glyphs.up.encode_utf8(&mut [0; 4]));
        text.extend(mark);
        let x = match slot.side {
            Side::Left => slot.x,
            Side::Right => (slot.x + slot.width).saturating_sub(cells(&text)),
        };
        let (text, _) = prefix(&text, self.buf.area.right().saturating_sub(x));
        let text = text.to_owned();
        self.raw(x, y, &text, style);
    }

    /// Draws a scrollbar thumb at the right edge of a list.
    pub fn scrollbar(&mut self, area: Rect, top: usize, count: usize) {
        let height = usize::from(area.height);
        if count <= height || height == 0 {
            return;
        }
        let length = (height * height / count).max(1);
        let at = top * (height - length) / (count - height).max(1);
        let c = if self.theme.ascii { '|' } else { '▐' };
        for y in at..(at + length).min(height) {
            self.fill(area.right() - 1, area.y + y as u16, 1, c, self.theme.faint);
        }
    }

    /// Draws a number with a dimmed unit.
    pub fn put_number(&mut self, right: u16, y: u16, width: u16, text: &str, style: Style) {
        let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        self.put_right(right, y, width, text, style);
        if !number.is_empty() && number.len() < text.len() && self.theme.coloured() {
            let unit = u16::try_from(text.len() - number.len()).unwrap_or(0).min(width);
            self.restyle(Rect::new(right - unit, y, unit, 1), self.theme.dim.remove_modifier(Modifier::BOLD));
        }
    }

    /// Draws a rate; zero is faint.
    pub fn put_rate(&mut self, right: u16, y: u16, width: u16, bytes: u64, style: Style) {
        let style = if bytes == 0 { self.theme.faint } else { style };
        self.put_number(right, y, width, &crate::ui::text::format::rate(bytes), style);
    }

    /// Applies a style to existing cells.
    pub fn restyle(&mut self, area: Rect, style: Style) {
        let area = area.intersection(self.buf.area);
        self.buf.set_style(area, style);
    }

    /// Clears an area.
    pub fn clear(&mut self, area: Rect, style: Style) {
        let area = area.intersection(self.buf.area);
        for y in area.top()..area.bottom() {
            // A wide character that starts before the area would extend into it.
            if area.x > self.buf.area.x && cells(self.buf[(area.x - 1, y)].symbol()) > 1 {
                self.buf[(area.x - 1, y)].set_symbol(" ");
            }
            for x in area.left()..area.right() {
                let cell = &mut self.buf[(x, y)];
                cell.reset();
                cell.set_style(style);
            }
        }
    }

    /// Fills `width` cells with a character.
    pub fn fill(&mut self, x: u16, y: u16, width: u16, c: char, style: Style) {
        let area = Rect::new(x, y, width, 1).intersection(self.buf.area);
        // Below the screen, the intersection has zero height but may keep its width.
        for at in area.positions() {
            self.buf[at].set_char(c).set_style(style);
        }
    }

    /// Draws a rule with a title: `── title ──────`. Returns the cell after the title.
    pub fn rule(&mut self, area: Rect, title: &str, style: Style) -> u16 {
        self.fill(area.x, area.y, area.width, self.theme.glyphs.rule, self.theme.faint);
        if title.is_empty() || area.width < 8 {
            return area.x;
        }
        let x = area.x + 2;
        let end = self.put(x + 1, area.y, area.width - 5, title, style);
        self.buf[(x, area.y)].set_char(' ');
        if end < area.right() {
            self.buf[(end, area.y)].set_char(' ');
        }
        end + 1
    }

    /// Draws a vertical rule.
    pub fn column(&mut self, x: u16, y: u16, height: u16) {
        let area = Rect::new(x, y, 1, height).intersection(self.buf.area);
        for y in area.top()..area.bottom() {
            let c = self.theme.glyphs.column;
            self.buf[(x, y)].set_char(c).set_style(self.theme.faint);
        }
    }

    /// Draws a progress bar of `width` cells for `part` of `whole`, in half-cell steps.
    pub fn bar(&mut self, x: u16, y: u16, width: u16, part: u64, whole: u64, style: Style) {
        let halves = if whole == 0 || part >= whole {
            u64::from(width) * 2
        } else {
            (u128::from(part) * u128::from(width) * 2 / u128::from(whole)) as u64
        };
        let halves = u16::try_from(halves).unwrap_or(width * 2);
        let glyphs = self.theme.glyphs;
        let rest = if self.theme.coloured() { glyphs.bar_rest } else { ' ' };
        self.fill(x, y, width, rest, self.theme.faint);
        self.fill(x, y, halves / 2, glyphs.bar, style);
        if let (1, Some(half)) = (halves % 2, glyphs.bar_half) {
            self.fill(x + halves / 2, y, 1, half, style);
        }
    }
}

/// A table column before layout.
#[derive(Clone, Copy, Debug)]
pub struct Column<K> {
    /// Identifies the column.
    pub key: K,
    pub title: &'static str,
    /// Width in cells; 0 for the flexible column.
    pub width: u16,
    /// Alignment of the text.
    pub side: Side,
    /// Columns with a higher rank are dropped first when space is short.
    pub rank: u8,
}

/// A table column after layout.
#[derive(Clone, Copy, Debug)]
pub struct ColumnRect<K> {
    /// Identifies the column.
    pub key: K,
    pub title: &'static str,
    /// First cell.
    pub x: u16,
    /// Width in cells.
    pub width: u16,
    /// Alignment of the text.
    pub side: Side,
}

/// Cells between two columns.
pub const GAP: u16 = 2;

/// Lays out columns in `width` cells from `x` on. Columns of the highest rank are dropped until the flexible column
/// has at least `least` cells; the flexible column never gets more than `most`.
pub fn layout_columns<K: Copy>(columns: &[Column<K>], x: u16, width: u16, least: u16, most: u16) -> Vec<ColumnRect<K>> {
    let mut kept: Vec<&Column<K>> = columns.iter().collect();
    let needed = |kept: &[&Column<K>]| {
        let fixed: u16 = kept.iter().map(|c| if c.width == 0 { least } else { c.width }).sum();
        fixed + GAP * (kept.len() as u16).saturating_sub(1)
    };
    while needed(&kept) > width && kept.len() > 1 {
        let last = kept.iter().enumerate().max_by_key(|(at, c)| (c.rank, *at)).map_or(0, |(at, _)| at);
        kept.remove(last);
    }
    let spare = width.saturating_sub(needed(&kept));
    let mut at = x;
    let mut slots = Vec::with_capacity(kept.len());
    for column in kept {
        let mut cells = if column.width == 0 { (least + spare).min(most) } else { column.width };
        cells = cells.min((x + width).saturating_sub(at));
        slots.push(ColumnRect { key: column.key, title: column.title, x: at, width: cells, side: column.side });
        at += cells + GAP;
    }
    slots
}
