//! The rate graph: download and upload rates of the last minute, five minutes or hour, of the selected torrent or of
//! all torrents. In braille, a cell shows two columns with four levels; in ASCII, one column.

use ratatui::layout::Rect;
use ratatui::style::{Color, Style};

use crate::ui::state::app::AppState;
use crate::ui::state::rate_history::RateHistory;
use crate::ui::text::format::{cells, rate};
use crate::ui::widgets::painter::Painter;

/// Draws both graphs, each with its own scale, over a common time axis that ends now, at the right.
pub fn draw(pen: &mut Painter<'_>, area: Rect, model: &AppState) {
    if area.height < 4 || area.width < 16 {
        return;
    }
    let theme = model.theme;
    let none = RateHistory::default();
    let history = match model.selected.filter(|_| !model.panes.graph_all) {
        Some(id) => model.panes.rates.get(id).unwrap_or(&none),
        None => &model.history,
    };
    let mut inner = Rect { x: area.x + 1, width: area.width - 2, ..area };
    if area.height >= 7 {
        inner.height -= 1;
        axis(pen, Rect { y: inner.bottom(), height: 1, ..inner }, model);
    }
    let above = (inner.height * 3).div_ceil(5);
    let span = model.panes.span;
    let per_cell = if theme.ascii { 1 } else { 2 };
    let columns = history.columns(span, usize::from(inner.width) * per_cell);
    let now = history.columns(span, usize::from(inner.width)).last().copied().flatten().unwrap_or_default();
    let most = history.most(span);
    let upper = Rect { height: above, ..inner };
    let lower = Rect { y: inner.y + above, height: inner.height - above, ..inner };
    let incoming: Vec<Option<u64>> = columns.iter().map(|value| value.map(|value| value.0)).collect();
    let outgoing: Vec<Option<u64>> = columns.iter().map(|value| value.map(|value| value.1)).collect();
    let parts = [
        (upper, theme.glyphs.down, "in", theme.down, theme.down_ramp, incoming, now.0, most.0),
        (lower, theme.glyphs.up, "out", theme.up, theme.up_ramp, outgoing, now.1, most.1),
    ];
    for (part, mark, word, style, ramp, values, now, most) in parts {
        let top = scale(most);
        let x = pen.put(part.x, part.y, part.width, &format!("{word} "), theme.dim);
        pen.fill(x, part.y, 1, mark, style);
        if now > 0 {
            pen.put(x + 2, part.y, 8, &format!("{}/s", rate(now)), style);
        }
        pen.put_right(part.right(), part.y, part.width, &format!("{}/s", rate(top)), theme.dim);
        let body = Rect { y: part.y + 1, height: part.height.saturating_sub(1), ..part };
        if theme.ascii {
            bars(pen, body, &values, top, style);
        } else {
            dots(pen, body, &values, top, ramp);
        }
    }
}

/// Draws the time axis, with a label that says whether the rates are of one torrent or of all.
fn axis(pen: &mut Painter<'_>, area: Rect, model: &AppState) {
    let theme = model.theme;
    pen.fill(area.x, area.y, area.width, theme.glyphs.rule, theme.faint);
    let label = |pen: &mut Painter<'_>, x: u16, text: &str| {
        let end = pen.put(x, area.y, area.right().saturating_sub(x), text, theme.dim);
        if end < area.right() {
            pen.fill(end, area.y, 1, ' ', theme.dim);
        }
    };
    let whose = match (model.panes.graph_all, model.selected) {
        (false, Some(_)) => " this torrent",
        _ => " all torrents",
    };
    label(pen, area.x, &format!("-{}", model.panes.span.word()));
    if area.width >= 30 {
        label(pen, area.x + (area.width - cells(whose)) / 2, whose);
    }
    label(pen, area.right() - 4, " now");
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
