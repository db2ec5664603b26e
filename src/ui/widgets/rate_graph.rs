//! The rate graph: download rates above upload rates over a common time axis. In braille, a cell shows two columns with
//! four levels; in ASCII, one column.

use ratatui::buffer::Buffer;
use ratatui::layout::{Alignment, Rect};
use ratatui::style::{Color, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget;

use crate::ui::text::format::rate;
use crate::ui::theme::style::Theme;
use crate::ui::widgets::painter::{Painter, rule};

/// Both graphs, each with its own scale, over a time axis that ends now, at the right.
#[derive(Debug)]
pub(crate) struct RateGraph<'a> {
    /// Rates from the oldest to the newest, [`RateGraph::columns`] of them; `None` where they are not known.
    pub rates: Vec<Option<(u64, u64)>>,
    /// The current rates.
    pub now: (u64, u64),
    /// The greatest rates.
    pub most: (u64, u64),
    /// How long ago the left end is.
    pub span: &'a str,
    /// What the rates are of.
    pub caption: &'a str,
    pub theme: &'a Theme,
}

impl RateGraph<'_> {
    /// Returns the number of rates that a graph in this area shows.
    pub(crate) fn columns(area: Rect, theme: &Theme) -> usize {
        usize::from(area.width.saturating_sub(2)) * if theme.ascii { 1 } else { 2 }
    }

    /// Draws one of the two graphs below its current rate and the top of its scale.
    fn half(&self, area: Rect, buf: &mut Buffer, inward: bool) {
        let theme = self.theme;
        let pick = |both: (u64, u64)| if inward { both.0 } else { both.1 };
        let (mark, word, style, ramp) = match inward {
            true => (theme.glyphs.down, "in", theme.down, theme.down_ramp),
            false => (theme.glyphs.up, "out", theme.up, theme.up_ramp),
        };
        let (now, top) = (pick(self.now), scale(pick(self.most)));
        let mut head = vec![Span::styled(format!("{word} "), theme.dim), Span::styled(String::from(mark), style)];
        if now > 0 {
            head.push(Span::styled(format!(" {}/s", rate(now)), style));
        }
        let mut pen = Painter { buf, theme };
        pen.spans(Rect { height: 1, ..area }, &head, Alignment::Left);
        pen.put_right(area.right(), area.y, area.width, &format!("{}/s", rate(top)), theme.dim);
        let body = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
        let values: Vec<Option<u64>> = self.rates.iter().map(|value| value.map(pick)).collect();
        if theme.ascii {
            bars(&mut pen, body, &values, top, style);
        } else {
            dots(&mut pen, body, &values, top, ramp);
        }
    }

    /// Draws the time axis.
    fn axis(&self, area: Rect, buf: &mut Buffer) {
        let title = |text: String| Line::from(Span::styled(text, self.theme.dim));
        let mut axis = rule(self.theme).title_top(title(format!("-{} ", self.span)));
        if area.width >= 30 {
            axis = axis.title_top(title(format!(" {} ", self.caption)).centered());
        }
        axis.title_top(title(" now".to_owned()).right_aligned()).render(area, buf);
    }
}

impl Widget for RateGraph<'_> {
    fn render(self, area: Rect, buf: &mut Buffer) {
        if area.height < 4 || area.width < 16 {
            return;
        }
        let mut inner = Rect { x: area.x + 1, width: area.width - 2, ..area };
        if area.height >= 7 {
            inner.height -= 1;
            self.axis(Rect { y: inner.bottom(), height: 1, ..inner }, buf);
        }
        let above = (inner.height * 3).div_ceil(5);
        self.half(Rect { height: above, ..inner }, buf, true);
        self.half(Rect { y: inner.y + above, height: inner.height - above, ..inner }, buf, false);
    }
}

/// Returns the top of the scale: 1, 2 or 5 times a power of ten, so that the scale rarely changes.
fn scale(most: u64) -> u64 {
    let mut top = 100_000;
    for step in [2.0, 2.5, 2.0].iter().cycle() {
        if top >= most || top > u64::MAX / 4 {
            break;
        }
        top = (top as f64 * step) as u64;
    }
    top
}

/// Scales a value to 0..=`full`. A nonzero value is at least 1, so that it is visible.
fn height(value: u64, most: u64, full: u64) -> u64 {
    let height = u128::from(value) * u128::from(full) / u128::from(most.max(1));
    if value == 0 { 0 } else { (height as u64).clamp(1, full) }
}

/// Braille dots of a column from the bottom: left, then right.
const DOTS: [[u32; 4]; 2] = [[0x40, 0x04, 0x02, 0x01], [0x80, 0x20, 0x10, 0x08]];

fn dots(pen: &mut Painter<'_>, area: Rect, values: &[Option<u64>], most: u64, ramp: [Color; 4]) {
    if area.is_empty() {
        return;
    }
    let full = u64::from(area.height) * 4;
    for (x, pair) in (area.x..area.right()).zip(values.chunks(2)) {
        let known = pair.iter().any(Option::is_some);
        let heights = [0, 1].map(|side| height(pair.get(side).copied().flatten().unwrap_or(0), most, full));
        for row in 0..area.height {
            let foot = u64::from(row) * 4;
            let mut bits = 0;
            for (height, dots) in heights.iter().zip(DOTS) {
                let here = height.saturating_sub(foot).min(4) as usize;
                bits |= dots[..here].iter().sum::<u32>();
            }
            let y = area.bottom() - 1 - row;
            if bits != 0 {
                let color = ramp[usize::from(row * 4 / area.height).min(3)];
                let c = char::from_u32(0x2800 + bits).unwrap_or(' ');
                pen.fill(x, y, 1, c, Style::new().fg(color));
            } else if row == 0 && known {
                pen.fill(x, y, 1, '⣀', pen.theme.faint);
            }
        }
    }
}

fn bars(pen: &mut Painter<'_>, area: Rect, values: &[Option<u64>], most: u64, style: Style) {
    let levels = pen.theme.glyphs.levels;
    let steps = levels.len() as u64;
    let full = u64::from(area.height) * steps;
    if area.is_empty() {
        return;
    }
    for (x, value) in (area.x..area.right()).zip(values) {
        let Some(value) = value else { continue };
        pen.fill(x, area.bottom() - 1, 1, levels[0], pen.theme.faint);
        let height = height(*value, most, full);
        for row in 0..area.height {
            let here = height.saturating_sub(u64::from(row) * steps).min(steps);
            if here > 0 {
                pen.fill(x, area.bottom() - 1 - row, 1, levels[here as usize - 1], style);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::scale;

    #[test]
    fn the_scale_is_round_and_never_too_small() {
        let table = [(0, 100_000), (150_000, 200_000), (300_000, 500_000), (11_200_000, 20_000_000)];
        for (most, top) in table {
            assert_eq!(scale(most), top);
        }
        assert!(scale(u64::MAX) > 0);
    }
}
