//! Tables. The columns of a table are data; those that do not fit are left out by rank.

use std::borrow::Cow;

use ratatui::buffer::Buffer;
use ratatui::layout::{Alignment, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{StatefulWidget, TableState};

use crate::ui::text::format::{self, cells};
use crate::ui::theme::style::Theme;
use crate::ui::widgets::painter::Painter;

/// Cells left of the first column: a mark, the marker of the selected row, a gap.
pub(crate) const MARGIN: u16 = 3;
/// Cells right of the last column: a gap, the scrollbar.
const RIGHT_MARGIN: u16 = 2;
/// Cells between two columns.
const GAP: u16 = 2;

/// A column of a table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Column<K> {
    /// Identifies the column, and the sort order by it.
    pub key: K,
    pub title: &'static str,
    /// Name in the config file; empty if the columns of the table cannot be chosen.
    pub name: &'static str,
    /// What the column shows, for the dialog in which columns are chosen.
    pub help: &'static str,
    /// Least width in cells.
    pub min: u16,
    /// Greatest width in cells; columns that can be wider than their least width share the spare cells.
    pub max: u16,
    pub alignment: Alignment,
    /// Columns with a higher rank are left out first when space is short.
    pub rank: u8,
    /// Whether the table can be sorted by the column.
    pub sorts: bool,
    /// Whether the column is shown unless the config says otherwise.
    pub usual: bool,
}

impl<K: Copy> Column<K> {
    const fn new(key: K, title: &'static str, width: u16, alignment: Alignment, rank: u8) -> Self {
        Column { key, title, name: "", help: "", min: width, max: width, alignment, rank, sorts: true, usual: true }
    }

    /// A column of text.
    pub const fn left(key: K, title: &'static str, width: u16, rank: u8) -> Self {
        Column::new(key, title, width, Alignment::Left, rank)
    }

    /// A column of numbers.
    pub const fn right(key: K, title: &'static str, width: u16, rank: u8) -> Self {
        Column::new(key, title, width, Alignment::Right, rank)
    }

    /// Lets the column become wider, if there is room.
    #[must_use]
    pub const fn up_to(mut self, max: u16) -> Self {
        self.max = max;
        self
    }

    /// Gives the column its name in the config file and its description.
    #[must_use]
    pub const fn named(mut self, name: &'static str, help: &'static str) -> Self {
        (self.name, self.help) = (name, help);
        self
    }

    /// Says that the table cannot be sorted by the column.
    #[must_use]
    pub const fn unsorted(mut self) -> Self {
        self.sorts = false;
        self
    }

    /// Says that the column is shown only if it is chosen.
    #[must_use]
    pub const fn unusual(mut self) -> Self {
        self.usual = false;
        self
    }
}

/// Returns the chosen columns, in their order.
pub(crate) fn chosen<K: Copy + PartialEq + 'static>(
    keys: &[K],
    all: &'static [Column<K>],
) -> impl Iterator<Item = Column<K>> {
    keys.iter().filter_map(|key| all.iter().find(|column| column.key == *key).copied())
}

/// A column with its place on the screen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct PlacedColumn<K> {
    pub column: Column<K>,
    /// First cell.
    pub x: u16,
    /// Width in cells.
    pub width: u16,
}

/// The columns of a table that fit its area, from left to right.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Columns<K>(Vec<PlacedColumn<K>>);

impl<K: Copy + PartialEq> Columns<K> {
    /// Places columns in `area`. Those of the highest rank are left out until the others have their least width.
    pub(crate) fn place(columns: impl IntoIterator<Item = Column<K>>, area: Rect) -> Self {
        let mut kept: Vec<Column<K>> = columns.into_iter().collect();
        let width = area.width.saturating_sub(MARGIN + RIGHT_MARGIN);
        let needed = |kept: &[Column<K>]| {
            kept.iter().map(|column| column.min).sum::<u16>() + GAP * (kept.len() as u16).saturating_sub(1)
        };
        while needed(&kept) > width && kept.len() > 1 {
            let last = kept.iter().enumerate().max_by_key(|(at, column)| (column.rank, *at)).map_or(0, |(at, _)| at);
            kept.remove(last);
        }
        let mut spare = width.saturating_sub(needed(&kept));
        let mut x = area.x + MARGIN;
        let end = x + width;
        let mut placed = Vec::with_capacity(kept.len());
        for column in kept {
            let more = spare.min(column.max.saturating_sub(column.min));
            spare -= more;
            let width = (column.min + more).min(end.saturating_sub(x));
            placed.push(PlacedColumn { column, x, width });
            x += width + GAP;
        }
        Columns(placed)
    }

    /// Returns the placed columns.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &PlacedColumn<K>> {
        self.0.iter()
    }

    /// Returns the column whose title is at cell `x`, if the table can be sorted by it.
    pub(crate) fn sort_key_at(&self, x: u16) -> Option<K> {
        let placed = self.0.iter().find(|placed| x >= placed.x && x <= placed.x + placed.width)?;
        placed.column.sorts.then_some(placed.column.key)
    }
}

/// A table, of which only the visible rows are formatted. `cell` returns the text of a cell: row, column, width. The
/// offset of the state is the first visible row.
///
/// Draws cells itself rather than by ratatui's `Table`, which measures the columns anew and searches each cell for
/// graphemes: with it, frames cost 1.35 to 2.5 times as much (`cargo bench --bench frame`).
pub(crate) struct DataTable<'a, K, F> {
    theme: &'a Theme,
    columns: &'a Columns<K>,
    count: usize,
    cell: F,
    titles: bool,
    sort: Option<(K, bool)>,
    strong: Option<K>,
    marker: Style,
}

impl<'a, 'c, K: Copy + PartialEq, F: Fn(usize, K, u16) -> Line<'c>> DataTable<'a, K, F> {
    /// Creates a table of `count` rows, with a line of titles.
    pub(crate) fn new(theme: &'a Theme, columns: &'a Columns<K>, count: usize, cell: F) -> Self {
        DataTable { theme, columns, count, cell, titles: true, sort: None, strong: None, marker: theme.accent }
    }

    /// Sets whether there is a line of titles.
    pub(crate) fn titles(self, titles: bool) -> Self {
        DataTable { titles, ..self }
    }

    /// Marks the column that the table is sorted by.
    pub(crate) fn sorted(self, by: K, reversed: bool) -> Self {
        DataTable { sort: Some((by, reversed)), ..self }
    }

    /// Draws the title of a column like that of the sorted one.
    pub(crate) fn strong(self, strong: Option<K>) -> Self {
        DataTable { strong, ..self }
    }

    /// Sets the style of the marker of the selected row.
    pub(crate) fn marker(self, marker: Style) -> Self {
        DataTable { marker, ..self }
    }

    /// Draws the title of a column, which may extend into the gap beside the column.
    fn title(&self, placed: &PlacedColumn<K>, y: u16, buf: &mut Buffer) {
        let mut text = title(placed.column.title, self.theme);
        let sorted = self.sort.filter(|(by, _)| *by == placed.column.key);
        text.to_mut().extend(sorted.map(|(_, reversed)| self.theme.glyphs.sorted[usize::from(reversed)]));
        let bright = sorted.is_some() || self.strong == Some(placed.column.key);
        let x = match placed.column.alignment {
            Alignment::Right => (placed.x + placed.width).saturating_sub(cells(&text)),
            _ => placed.x,
        };
        let style = if bright { self.theme.text } else { self.theme.dim };
        buf.set_span(x, y, &Span::styled(text, style), buf.area.right().saturating_sub(x));
    }
}

impl<'c, K: Copy + PartialEq, F: Fn(usize, K, u16) -> Line<'c>> StatefulWidget for DataTable<'_, K, F> {
    type State = TableState;

    fn render(self, area: Rect, buf: &mut Buffer, state: &mut TableState) {
        let area = area.intersection(buf.area);
        if area.is_empty() {
            return;
        }
        let head = u16::from(self.titles);
        if self.titles {
            self.columns.iter().for_each(|placed| self.title(placed, area.y, buf));
        }
        let body = Rect { y: area.y + head, height: area.height - head, ..area };
        let mut pen = Painter { buf, theme: self.theme };
        for (line, at) in body.rows().zip(state.offset()..self.count) {
            if state.selected() == Some(at) {
                pen.put(line.x + 1, line.y, 1, ">", self.marker);
            }
            for placed in self.columns.iter() {
                let cell = (self.cell)(at, placed.column.key, placed.width);
                let place = Rect { x: placed.x, width: placed.width, ..line };
                pen.spans(place, &cell.spans, placed.column.alignment);
            }
            // After the cells, so that the row is one block also where it has colors of its own.
            if state.selected() == Some(at) {
                pen.restyle(line, self.theme.chosen);
            }
        }
        pen.scrollbar(body, state.offset(), self.count);
    }
}

/// Returns the title of a column with the arrows of the theme.
pub(crate) fn title<'a>(title: &'a str, theme: &Theme) -> Cow<'a, str> {
    if !theme.ascii {
        return title.into();
    }
    title.replace('↓', &theme.glyphs.down.to_string()).replace('↑', &theme.glyphs.up.to_string()).into()
}

/// Returns a text in one style, for a cell.
pub(crate) fn text<'a>(text: impl Into<Cow<'a, str>>, style: Style) -> Line<'a> {
    Line::from(Span::styled(text, style))
}

/// Returns a text in this style, or faint if it says that there is nothing.
pub(crate) fn or_faint<'a>(words: impl Into<Cow<'a, str>>, style: Style, theme: &Theme) -> Line<'a> {
    let words = words.into();
    let style = if words == "-" { theme.faint } else { style };
    text(words, style)
}

/// Returns a number with a dimmed unit.
pub(crate) fn number(mut number: String, style: Style, theme: &Theme) -> Line<'static> {
    let digits = number.trim_end_matches(|c: char| c.is_ascii_alphabetic()).len();
    if digits == 0 || digits == number.len() || !theme.coloured() {
        return text(number, style);
    }
    let unit = number.split_off(digits);
    let dim = style.patch(theme.dim.remove_modifier(Modifier::BOLD));
    Line::from(vec![Span::styled(number, style), Span::styled(unit, dim)])
}

/// Returns a byte count with a dimmed unit, `-` for zero.
pub(crate) fn bytes(bytes: u64, style: Style, theme: &Theme) -> Line<'static> {
    number(if bytes == 0 { "-".to_owned() } else { format::size(bytes) }, style, theme)
}

/// Returns a rate; zero is faint.
pub(crate) fn rate(bytes: u64, style: Style, theme: &Theme) -> Line<'static> {
    number(format::rate(bytes), if bytes == 0 { theme.faint } else { style }, theme)
}

/// Returns a progress bar of `width` cells for `part` of `whole`, in half-cell steps.
pub(crate) fn bar(width: u16, part: u64, whole: u64, style: Style, theme: &Theme) -> Line<'static> {
    let all = usize::from(width) * 2;
    let halves = match whole {
        0 => all,
        whole => (u128::from(part) * all as u128 / u128::from(whole)).min(all as u128) as usize,
    };
    let glyphs = theme.glyphs;
    let half = glyphs.bar_half.filter(|_| halves % 2 == 1);
    let mut filled: String = std::iter::repeat_n(glyphs.bar, halves / 2).collect();
    filled.extend(half);
    let rest = usize::from(width) - halves / 2 - usize::from(half.is_some());
    let empty = if theme.coloured() { glyphs.bar_rest } else { ' ' };
    let rest: String = std::iter::repeat_n(empty, rest).collect();
    Line::from(vec![Span::styled(filled, style), Span::styled(rest, theme.faint)])
}
