//! The speed graph: what came in and what went out in the last minutes. In braille a cell has two seconds beside each
//! other and four levels; in ASCII it has one second.

use ratatui::layout::Rect;
use ratatui::style::{Color, Style};

use crate::ui::model::Model;
use crate::ui::pen::Pen;
use crate::ui::text::rate;

/// Draws both graphs, each on its own scale, the newest second at the right.
pub fn draw(pen: &mut Pen<'_>, area: Rect, model: &Model) {
    if area.height < 4 || area.width < 16 {
        return;
    }
    let inner = Rect { x: area.x + 1, width: area.width - 2, ..area };
    let above = (area.height * 3).div_ceil(5);
    let theme = model.theme;
    let per_cell = if theme.ascii { 1 } else { 2 };
    let samples: Vec<(u64, u64)> = model.history.last(usize::from(inner.width) * per_cell).collect();
    let upper = Rect { height: above, ..inner };
    let lower = Rect { y: inner.y + above, height: area.height - above, ..inner };
    let incoming: Vec<u64> = samples.iter().map(|sample| sample.0).collect();
    let outgoing: Vec<u64> = samples.iter().map(|sample| sample.1).collect();
    let parts = [
        (upper, theme.glyphs.down, "in", theme.down, theme.down_ramp, incoming),
        (lower, theme.glyphs.up, "out", theme.up, theme.up_ramp, outgoing),
    ];
    for (part, mark, word, style, ramp, values) in parts {
        let most = scale(values.iter().copied().max().unwrap_or(0));
        let x = pen.put(part.x, part.y, part.width, &format!("{word} "), theme.dim);
        pen.fill(x, part.y, 1, mark, style);
        pen.put_right(part.right(), part.y, part.width, &format!("{}/s", rate(most)), theme.dim);
        let body = Rect { y: part.y + 1, height: part.height - 1, ..part };
        if theme.ascii {
            columns(pen, body, &values, most, style);
        } else {
            dots(pen, body, &values, most, ramp);
        }
    }
}

/// The top of the scale: 1, 2 or 5 with noughts, so that it seldom changes.
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

/// The height of a value in steps of which `full` are the whole graph. What is more than nothing is seen.
fn height(value: u64, most: u64, full: u64) -> u64 {
    let height = u128::from(value) * u128::from(full) / u128::from(most.max(1));
    if value == 0 { 0 } else { (height as u64).clamp(1, full) }
}

/// The dots of a column of braille from its foot: left, then right.
const DOTS: [[u32; 4]; 2] = [[0x40, 0x04, 0x02, 0x01], [0x80, 0x20, 0x10, 0x08]];

fn dots(pen: &mut Pen<'_>, area: Rect, values: &[u64], most: u64, ramp: [Color; 4]) {
    if area.is_empty() {
        return;
    }
    let full = u64::from(area.height) * 4;
    let room = usize::from(area.width) * 2;
    let value = |column: usize| (column + values.len()).checked_sub(room).and_then(|at| values.get(at)).copied();
    for x in 0..area.width {
        let pair = [0, 1].map(|side| height(value(usize::from(x) * 2 + side).unwrap_or(0), most, full));
        for row in 0..area.height {
            let foot = u64::from(row) * 4;
            let mut bits = 0;
            for (height, dots) in pair.iter().zip(DOTS) {
                let here = height.saturating_sub(foot).min(4) as usize;
                bits |= dots[..here].iter().sum::<u32>();
            }
            let y = area.bottom() - 1 - row;
            if bits != 0 {
                let color = ramp[usize::from(row * 4 / area.height).min(3)];
                let c = char::from_u32(0x2800 + bits).unwrap_or(' ');
                pen.fill(area.x + x, y, 1, c, Style::new().fg(color));
            } else if row == 0 {
                pen.fill(area.x + x, y, 1, '⣀', pen.theme.faint);
            }
        }
    }
}

fn columns(pen: &mut Pen<'_>, area: Rect, values: &[u64], most: u64, style: Style) {
    let levels = pen.theme.glyphs.levels;
    let steps = levels.len() as u64;
    let full = u64::from(area.height) * steps;
    let left = area.right().saturating_sub(values.len() as u16);
    if area.is_empty() {
        return;
    }
    pen.fill(area.x, area.bottom() - 1, area.width, levels[0], pen.theme.faint);
    for (at, value) in values.iter().enumerate() {
        let x = left + at as u16;
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
