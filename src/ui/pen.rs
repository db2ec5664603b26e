//! Writing into the frame: text cut at cells, rules, bars and columns. Nothing reaches the buffer but through here, so
//! nothing leaves its cells and no stranger's control character arrives.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

use crate::ui::style::Theme;
use crate::ui::text::{cells, char_cells, clean_within, prefix};

/// Where and how to write.
pub struct Pen<'a> {
    /// The frame's cells.
    pub buf: &'a mut Buffer,
    /// The look.
    pub theme: &'a Theme,
}

/// On which side of its column a text stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

impl Pen<'_> {
    /// Writes `text` from `x` on into at most `width` cells, cut with a mark where it is longer. Returns the cell after it.
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

    /// Writes cleaned text that is known to fit.
    fn raw(&mut self, mut x: u16, y: u16, text: &str, style: Style) -> u16 {
        let start = x;
        for c in text.chars() {
            let width = char_cells(c);
            if width == 0 {
                if x > start {
                    // On a wide character, the mark goes to its first cell.
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

    /// Writes `text` so that it ends before `right`, in at most `width` cells. Returns the cell that it starts in.
    pub fn put_right(&mut self, right: u16, y: u16, width: u16, text: &str, style: Style) -> u16 {
        let length = cells(&clean_within(text, self.theme.ascii, width)).min(width);
        let x = right.saturating_sub(length);
        self.put(x, y, length, text, style);
        x
    }

    /// Writes into a column.
    pub fn put_side(&mut self, x: u16, y: u16, width: u16, side: Side, text: &str, style: Style) {
        match side {
            Side::Left => self.put(x, y, width, text, style),
            Side::Right => self.put_right(x + width, y, width, text, style),
        };
    }

    /// A column's title.
    pub fn title<K>(&mut self, slot: &Slot<K>, y: u16, mark: Option<char>, style: Style) {
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

    /// A mark at the right edge that shows which part of a long list is seen.
    pub fn thumb(&mut self, area: Rect, top: usize, count: usize) {
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

    /// A number with its unit a little dimmer, so that the eye meets the digits.
    pub fn put_number(&mut self, right: u16, y: u16, width: u16, text: &str, style: Style) {
        let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        self.put_right(right, y, width, text, style);
        if !number.is_empty() && number.len() < text.len() && self.theme.coloured() {
            let unit = u16::try_from(text.len() - number.len()).unwrap_or(0).min(width);
            self.restyle(Rect::new(right - unit, y, unit, 1), self.theme.dim.remove_modifier(Modifier::BOLD));
        }
    }

    /// A rate: what is nothing is faint.
    pub fn put_rate(&mut self, right: u16, y: u16, width: u16, bytes: u64, style: Style) {
        let style = if bytes == 0 { self.theme.faint } else { style };
        self.put_number(right, y, width, &crate::ui::text::rate(bytes), style);
    }

    /// Lays a style over what is there.
    pub fn restyle(&mut self, area: Rect, style: Style) {
        let area = area.intersection(self.buf.area);
        self.buf.set_style(area, style);
    }

    /// Empties an area.
    pub fn clear(&mut self, area: Rect, style: Style) {
        let area = area.intersection(self.buf.area);
        for y in area.top()..area.bottom() {
            // A wide character that begins before the area would reach into it.
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

    /// One character over a stretch.
    pub fn fill(&mut self, x: u16, y: u16, width: u16, c: char, style: Style) {
        let area = Rect::new(x, y, width, 1).intersection(self.buf.area);
        // A line outside the screen has no height, and may yet have a width.
        for at in area.positions() {
            self.buf[at].set_char(c).set_style(style);
        }
    }

    /// A rule with a title: `── title ──────`. Returns the cell after the title.
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

    /// A vertical rule.
    pub fn column(&mut self, x: u16, y: u16, height: u16) {
        let area = Rect::new(x, y, 1, height).intersection(self.buf.area);
        for y in area.top()..area.bottom() {
            let c = self.theme.glyphs.column;
            self.buf[(x, y)].set_char(c).set_style(self.theme.faint);
        }
    }

    /// A bar of `width` cells of which `part` of `whole` is full, in half cells.
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

/// A column of a table, before it has its place.
#[derive(Clone, Copy, Debug)]
pub struct Column<K> {
    /// What it shows.
    pub key: K,
    /// Its title.
    pub title: &'static str,
    /// Its cells; 0 for the one that takes what the others leave.
    pub width: u16,
    /// On which side its text stands.
    pub side: Side,
    /// The higher, the sooner it goes when room is short.
    pub rank: u8,
}

/// A column in its place.
#[derive(Clone, Copy, Debug)]
pub struct Slot<K> {
    /// What it shows.
    pub key: K,
    /// Its title.
    pub title: &'static str,
    /// Its first cell.
    pub x: u16,
    /// Its cells.
    pub width: u16,
    /// On which side its text stands.
    pub side: Side,
}

/// Cells between two columns.
pub const GAP: u16 = 2;

/// Gives the columns their places in `width` cells from `x` on. Columns of the highest rank go until the one without a
/// width has at least `least` cells; it never takes more than `most`.
pub fn place<K: Copy>(columns: &[Column<K>], x: u16, width: u16, least: u16, most: u16) -> Vec<Slot<K>> {
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
        slots.push(Slot { key: column.key, title: column.title, x: at, width: cells, side: column.side });
        at += cells + GAP;
    }
    slots
}
