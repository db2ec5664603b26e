//! Drawing text, rules and scrollbars on the frame buffer. Every text goes through [`fit`], so that nothing is drawn
//! outside its cells and the terminal gets no control characters.

use std::ops::Range;

use ratatui::buffer::Buffer;
use ratatui::layout::{Alignment, Rect};
use ratatui::style::Style;
use ratatui::symbols::border;
use ratatui::text::{Line, Span};
use ratatui::widgets::{
    Block, Borders, Clear, Scrollbar, ScrollbarOrientation, ScrollbarState, StatefulWidget, Widget,
};

use crate::ui::text::format::{self, cells, char_cells, prefix};
use crate::ui::theme::style::Theme;

/// The frame buffer and the theme to draw with.
pub struct Painter<'a> {
    pub buf: &'a mut Buffer,
    pub theme: &'a Theme,
}

/// Returns the line as it is drawn in at most `width` cells: sanitized, with a truncation mark if it is longer.
pub(crate) fn fit<'a>(mut line: Line<'a>, width: u16, theme: &Theme) -> Line<'a> {
    let (ascii, cut) = (theme.ascii, theme.glyphs.cut);
    if let [span] = line.spans.as_mut_slice() {
        span.content = format::fit(std::mem::take(&mut span.content), width, ascii, cut);
    } else {
        let mut all = 0_u16;
        for span in &mut line.spans {
            // One cell more than there is, so that a text that is too long is still too long.
            span.content = format::fit(std::mem::take(&mut span.content), width.saturating_add(1), ascii, cut);
            all = all.saturating_add(cells(&span.content));
        }
        if all > width {
            truncate(&mut line.spans, width, cut);
        }
    }
    if line.spans.iter().all(|span| span.content.is_ascii()) {
        return line;
    }
    line.spans = line.spans.into_iter().flat_map(split).collect();
    line
}

/// Truncates spans to `width` cells, the last of which is the truncation mark.
fn truncate(spans: &mut Vec<Span<'_>>, width: u16, cut: char) {
    let mut room = width.saturating_sub(1);
    let mut kept = 0;
    for span in spans.iter_mut() {
        kept += 1;
        let (head, used) = prefix(&span.content, room);
        if head.len() < span.content.len() {
            let mut text = head.trim_end().to_owned();
            text.extend((width > 0).then_some(cut));
            span.content = text.into();
            break;
        }
        room -= used;
    }
    spans.truncate(kept);
}

/// Splits a span where ratatui would put several characters that have a width into one cell, such as Thai vowels:
/// terminals give each of them its own.
fn split(span: Span<'_>) -> Vec<Span<'_>> {
    let mut cuts = vec![0];
    let mut at = 0;
    for grapheme in span.styled_graphemes(Style::new()) {
        let wide = grapheme.symbol.char_indices().filter(|(_, c)| char_cells(*c) > 0);
        cuts.extend(wide.skip(1).map(|(offset, _)| at + offset));
        at += grapheme.symbol.len();
    }
    if cuts.len() == 1 {
        return vec![span];
    }
    cuts.push(span.content.len());
    cuts.windows(2).map(|part| Span::styled(span.content[part[0]..part[1]].to_owned(), span.style)).collect()
}

/// Draws the thumb of a scrollbar at the right edge of a list whose first visible row is `top`.
pub(crate) fn scrollbar(area: Rect, buf: &mut Buffer, theme: &Theme, top: usize, count: usize) {
    let height = usize::from(area.height);
    if count <= height {
        return;
    }
    let thumb = if theme.ascii { "|" } else { "▐" };
    let bar = Scrollbar::new(ScrollbarOrientation::VerticalRight)
        .begin_symbol(None)
        .end_symbol(None)
        .track_symbol(None)
        .thumb_symbol(thumb)
        .thumb_style(theme.faint);
    // The position is the first visible row, so there are as many positions as rows that can be the first one.
    let mut state = ScrollbarState::new(count - height + 1).viewport_content_length(height).position(top);
    bar.render(area, buf, &mut state);
}

/// Returns the width of spans that are drawn as they are: each character is ASCII, or a block or box character, and has
/// a cell. Nearly all texts of a frame are; they are drawn without a search for graphemes.
fn plain_width(spans: &[Span<'_>], ascii: bool) -> Option<usize> {
    let mut width = 0;
    for span in spans {
        for c in span.content.chars() {
            if !matches!(c, ' '..='~') && (ascii || !matches!(c, '─'..='▟')) {
                return None;
            }
            width += 1;
        }
    }
    Some(width)
}

impl Painter<'_> {
    /// Draws `text` from `x` on in at most `width` cells, with a truncation mark if longer. Returns the next free
    /// cell.
    pub fn put(&mut self, x: u16, y: u16, width: u16, text: &str, style: Style) -> u16 {
        self.spans(Rect { x, y, width, height: 1 }, &[Span::styled(text, style)], Alignment::Left).end
    }

    /// Draws `text` right-aligned before `right`, in at most `width` cells. Returns the first cell of the text.
    pub fn put_right(&mut self, right: u16, y: u16, width: u16, text: &str, style: Style) -> u16 {
        let width = width.min(right);
        let area = Rect { x: right - width, y, width, height: 1 };
        self.spans(area, &[Span::styled(text, style)], Alignment::Right).start
    }

    /// Draws spans in a line, with a truncation mark if they are longer. Returns the cells that they take.
    pub fn spans(&mut self, line: Rect, spans: &[Span<'_>], alignment: Alignment) -> Range<u16> {
        let area = line.intersection(self.buf.area);
        // An empty intersection may keep one of the two sizes.
        if area.is_empty() || area.x != line.x {
            return line.x..line.x;
        }
        let start = |length| if alignment == Alignment::Right { area.right() - length } else { area.x };
        if let Some(length) = plain_width(spans, self.theme.ascii).filter(|length| *length <= area.width.into()) {
            let start = start(length as u16);
            let styled = spans.iter().flat_map(|span| span.content.chars().map(|c| (c, span.style)));
            for (x, (c, style)) in (start..).zip(styled) {
                self.buf[(x, area.y)].set_char(c).set_style(style);
            }
            return start..start + length as u16;
        }
        let line = fit(Line::from(spans.to_vec()), area.width, self.theme);
        let length = line.spans.iter().map(|span| cells(&span.content)).sum();
        let start = start(length);
        start..self.buf.set_line(start, area.y, &line, length).0
    }

    /// Draws the thumb of a scrollbar at the right edge of a list.
    pub fn scrollbar(&mut self, area: Rect, top: usize, count: usize) {
        scrollbar(area, self.buf, self.theme, top, count);
    }

    /// Applies a style to existing cells.
    pub fn restyle(&mut self, area: Rect, style: Style) {
        self.buf.set_style(area, style);
    }

    /// Clears an area.
    pub fn clear(&mut self, area: Rect, style: Style) {
        let area = area.intersection(self.buf.area);
        // A wide character that starts before the area would extend into it.
        for y in area.top()..area.bottom() {
            if area.x > self.buf.area.x && cells(self.buf[(area.x - 1, y)].symbol()) > 1 {
                self.buf[(area.x - 1, y)].set_symbol(" ");
            }
        }
        Clear.render(area, self.buf);
        self.buf.set_style(area, style);
    }

    /// Fills `width` cells with a character.
    pub fn fill(&mut self, x: u16, y: u16, width: u16, c: char, style: Style) {
        let area = Rect::new(x, y, width, 1).intersection(self.buf.area);
        // Below the screen, the intersection has zero height but may keep its width.
        for at in area.positions() {
            self.buf[at].set_char(c).set_style(style);
        }
    }

    /// Draws a rule with a title: `── title ──────`.
    pub fn rule(&mut self, area: Rect, title: &str, style: Style) {
        let mut block = rule(self.theme);
        if !title.is_empty() && area.width >= 8 {
            let mut title = fit(Line::from(Span::styled(title, style)), area.width - 5, self.theme);
            title.spans.insert(0, Span::styled(self.theme.glyphs.rule.repeat(2), self.theme.faint));
            title.spans.insert(1, Span::raw(" "));
            title.push_span(Span::raw(" "));
            block = block.title_top(title);
        }
        block.render(area, self.buf);
    }

    /// Draws a vertical rule.
    pub fn column(&mut self, x: u16, y: u16, height: u16) {
        let lines = border::Set { vertical_left: self.theme.glyphs.column, ..border::PLAIN };
        let block = Block::new().borders(Borders::LEFT).border_set(lines).border_style(self.theme.faint);
        block.render(Rect::new(x, y, 1, height), self.buf);
    }
}

/// Returns a rule: a block with a border at the top.
pub(crate) fn rule(theme: &Theme) -> Block<'static> {
    let lines = border::Set { horizontal_top: theme.glyphs.rule, ..border::PLAIN };
    Block::new().borders(Borders::TOP).border_set(lines).border_style(theme.faint)
}
