//! Labels with their values: in a grid, one below the other, with the values at the right, or one behind the other.

use std::borrow::Cow;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::widgets::Widget;

use crate::ui::text::format::{cells, clean_within, wrap};
use crate::ui::theme::style::Theme;
use crate::ui::widgets::painter::Painter;

/// A label and its value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Pair<'a> {
    pub label: &'a str,
    pub value: Cow<'a, str>,
    /// Whether the pair has a line of a grid to itself.
    pub wide: bool,
}

impl<'a> Pair<'a> {
    /// A pair that shares a line with others if there is room.
    pub(crate) fn new(label: &'a str, value: impl Into<Cow<'a, str>>) -> Self {
        Pair { label, value: value.into(), wide: false }
    }

    /// A pair with a line of its own.
    pub(crate) fn wide(label: &'a str, value: impl Into<Cow<'a, str>>) -> Self {
        Pair { label, value: value.into(), wide: true }
    }
}

/// How pairs are arranged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Arrangement {
    /// In columns of equal width, from this line on.
    Grid { columns: usize, top: usize },
    /// One below the other; long values are wrapped.
    Wrapped,
    /// One below the other, the value at the right. With `wrap`, a value that does not fit is below its label.
    Right { wrap: bool },
    /// As many on a line as fit, the first line from this cell on; a pair without a label is only its value.
    Flow { start: u16 },
}

/// Labels with their values.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeyValues<'a> {
    pub pairs: &'a [Pair<'a>],
    pub theme: &'a Theme,
    pub arrangement: Arrangement,
}

/// Width of a label in a grid.
const LABEL: u16 = 10;
/// Width of a label above or beside wrapped lines, with the gap behind it.
const INDENT: u16 = 12;
/// Most lines of one value.
const WRAPPED_LINES: usize = 6;

/// Returns the pairs of each line of a grid.
pub(crate) fn grid_lines<'p, 'a>(pairs: &'p [Pair<'a>], columns: usize) -> Vec<&'p [Pair<'a>]> {
    let mut lines = Vec::new();
    let mut start = 0;
    for (at, pair) in pairs.iter().enumerate() {
        let full = pair.wide || at + 1 - start >= columns;
        if full || pairs.get(at + 1).is_none_or(|next| next.wide) {
            lines.push(&pairs[start..=at]);
            start = at + 1;
        }
    }
    lines
}

impl KeyValues<'_> {
    fn grid(&self, columns: usize, top: usize, area: Rect, pen: &mut Painter<'_>) {
        let width = (area.width - 1) / columns.max(1) as u16;
        for (y, line) in (area.y..area.bottom()).zip(grid_lines(self.pairs, columns).into_iter().skip(top)) {
            let room = if line.len() == 1 { area.width - 1 } else { width };
            for (x, pair) in (area.x + 1..).step_by(usize::from(width.max(1))).zip(line) {
                pen.put(x, y, LABEL, pair.label, self.theme.dim);
                pen.put(x + LABEL + 1, y, room.saturating_sub(LABEL + 2), &pair.value, self.theme.text);
            }
        }
    }

    fn wrapped(&self, area: Rect, pen: &mut Painter<'_>) {
        let mut y = area.y;
        let width = area.width.saturating_sub(INDENT);
        for pair in self.pairs {
            pen.put(area.x, y, INDENT - 1, pair.label, self.theme.dim);
            for line in wrap(&pair.value, width).iter().take(WRAPPED_LINES) {
                if y >= area.bottom() {
                    return;
                }
                pen.put(area.x + INDENT, y, width, line, self.theme.text);
                y += 1;
            }
        }
    }

    fn right(&self, wraps: bool, area: Rect, pen: &mut Painter<'_>) {
        let mut y = area.y;
        for pair in self.pairs {
            let long = |text: &str| cells(&clean_within(text, self.theme.ascii, area.width));
            let beside = !wraps || long(pair.label) + long(&pair.value) + 2 <= area.width;
            if y + u16::from(!beside) >= area.bottom() {
                return;
            }
            if beside {
                let most = area.width * 2 / 3;
                let start = pen.put_right(area.right(), y, most, &pair.value, self.theme.text);
                pen.put(area.x, y, start.saturating_sub(area.x + 1), pair.label, self.theme.dim);
            } else {
                pen.put(area.x, y, area.width, pair.label, self.theme.dim);
                for line in wrap(&pair.value, area.width.saturating_sub(2)).iter().take(2) {
                    y += 1;
                    if y < area.bottom() {
                        pen.put_right(area.right(), y, area.width.saturating_sub(2), line, self.theme.text);
                    }
                }
            }
            y += 1;
        }
    }

    fn flow(&self, start: u16, area: Rect, pen: &mut Painter<'_>) {
        let (mut x, mut y) = (start, area.y);
        for pair in self.pairs {
            let wanted = cells(pair.label) + 1 + cells(&pair.value).min(area.width / 2);
            if x + wanted > area.right() {
                y += 1;
                x = area.x;
            }
            if y >= area.bottom() {
                return;
            }
            if !pair.label.is_empty() {
                x = pen.put(x, y, area.right().saturating_sub(x), pair.label, self.theme.dim) + 1;
            }
            x = pen.put(x, y, area.right().saturating_sub(x), &pair.value, self.theme.text) + 3;
        }
    }
}

impl Widget for KeyValues<'_> {
    fn render(self, area: Rect, buf: &mut Buffer) {
        let area = area.intersection(buf.area);
        if area.is_empty() {
            return;
        }
        let mut pen = Painter { buf, theme: self.theme };
        match self.arrangement {
            Arrangement::Grid { columns, top } => self.grid(columns, top, area, &mut pen),
            Arrangement::Wrapped => self.wrapped(area, &mut pen),
            Arrangement::Right { wrap } => self.right(wrap, area, &mut pen),
            Arrangement::Flow { start } => self.flow(start, area, &mut pen),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::theme::style::ThemeName;

    fn drawn(pairs: &[Pair<'_>], arrangement: Arrangement, width: u16, height: u16) -> Vec<String> {
        let theme = Theme::new(ThemeName::Plain, false);
        let mut buf = Buffer::empty(Rect::new(0, 0, width, height));
        KeyValues { pairs, theme: &theme, arrangement }.render(buf.area, &mut buf);
        let line = |y| (0..width).map(|x| buf[(x, y)].symbol()).collect::<String>().trim_end().to_owned();
        (0..height).map(line).collect()
    }

    #[test]
    fn a_wide_pair_has_a_line_of_its_own() {
        let pairs = [Pair::new("A", "1"), Pair::new("B", "2"), Pair::wide("C", "3"), Pair::new("D", "4")];
        let lines: Vec<usize> = grid_lines(&pairs, 3).iter().map(|line| line.len()).collect();
        assert_eq!(lines, [2, 1, 1]);
        let grid = Arrangement::Grid { columns: 2, top: 1 };
        assert_eq!(drawn(&pairs, grid, 40, 2), [" C          3", " D          4"]);
    }

    #[test]
    fn a_value_that_does_not_fit_beside_its_label_is_below_it() {
        let pairs = [Pair::new("short", "1"), Pair::new("a long label", "and a long value"), Pair::new("left", "out")];
        let lines = drawn(&pairs, Arrangement::Right { wrap: true }, 20, 3);
        assert_eq!(lines, ["short              1", "a long label", "    and a long value"]);
    }

    #[test]
    fn pairs_flow_to_the_next_line() {
        let pairs = [Pair::new("", "half"), Pair::new("file", "one.bin"), Pair::new("held by", "nobody")];
        assert_eq!(drawn(&pairs, Arrangement::Flow { start: 2 }, 22, 2), ["  half   file one.bin", "held by nobody"]);
    }
}
