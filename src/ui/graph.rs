//! The speed graph: what came in and what went out in the last minutes, one column a second.

use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::ui::model::Model;
use crate::ui::pen::Pen;
use crate::ui::text::rate;

/// Draws both graphs, each on its own scale, the newest second at the right.
pub fn draw(pen: &mut Pen<'_>, area: Rect, model: &Model) {
    if area.height < 4 || area.width < 16 {
        return;
    }
    let inner = Rect { x: area.x + 1, width: area.width - 2, ..area };
    let samples: Vec<(u64, u64)> = model.history.last(usize::from(inner.width)).collect();
    let above = (area.height * 3).div_ceil(5);
    let theme = model.theme;
    let parts = [
        (Rect { height: above, ..inner }, theme.glyphs.down, "in", theme.down, samples.iter().map(|s| s.0).collect()),
        (
            Rect { y: inner.y + above, height: area.height - above, ..inner },
            theme.glyphs.up,
            "out",
            theme.up,
            samples.iter().map(|s| s.1).collect::<Vec<u64>>(),
        ),
    ];
    for (part, mark, word, style, values) in parts {
        let most = scale(values.iter().copied().max().unwrap_or(0));
        let x = pen.put(part.x, part.y, part.width, &format!("{word} "), theme.dim);
        pen.fill(x, part.y, 1, mark, style);
        pen.put_right(part.right(), part.y, part.width, &format!("{}/s", rate(most)), theme.faint);
        let body = Rect { y: part.y + 1, height: part.height - 1, ..part };
        columns(pen, body, &values, most, style);
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
        let mut height = (u128::from(*value) * u128::from(full) / u128::from(most.max(1))) as u64;
        if *value == 0 {
            continue;
        }
        height = height.clamp(1, full);
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
