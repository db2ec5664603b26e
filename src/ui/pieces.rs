//! The piece map: what is here, what is on its way, and how many copies there are of what is missing.
//!
//! With colours, a cell of the terminal shows two runs of pieces beside each other; without, one, as a shade.

use ratatui::layout::Rect;

use crate::api::{Cell, Detail, State, TorrentView};
use crate::ui::pen::Pen;
use crate::ui::style::Shade;
use crate::ui::text::{cells, grouped, percent};

/// Folds the map into `count` runs, or fewer where there are fewer pieces than half as many.
#[must_use]
pub fn shades(map: &[Cell], count: usize) -> Vec<Shade> {
    (0..count)
        .filter_map(|at| {
            let from = at * map.len() / count;
            let to = ((at + 1) * map.len() / count).max(from + 1);
            map.get(from..to).map(shade)
        })
        .collect()
}

fn shade(run: &[Cell]) -> Shade {
    let sum = |of: fn(&Cell) -> u16| run.iter().map(|cell| u32::from(of(cell))).sum::<u32>();
    let (pieces, have, active) = (sum(|c| c.pieces), sum(|c| c.have), sum(|c| c.active));
    if have >= pieces {
        return Shade::Have;
    }
    if active > 0 {
        return Shade::Active;
    }
    if have > 0 {
        return Shade::Part(((have * 3).div_ceil(pieces)).clamp(1, 3) as u8);
    }
    let rarest = run.iter().filter(|cell| cell.have < cell.pieces).map(|cell| cell.rarest).min().unwrap_or(0);
    Shade::Missing(match rarest {
        0 => 0,
        1 => 1,
        2..5 => 2,
        _ => 3,
    })
}

/// Draws the map into an area, row by row.
pub fn map(pen: &mut Pen<'_>, area: Rect, map: &[Cell]) {
    let coloured = pen.theme.coloured() && !pen.theme.ascii;
    let per_cell = if coloured { 2 } else { 1 };
    let count = usize::from(area.width) * usize::from(area.height) * per_cell;
    if map.is_empty() || count == 0 {
        return;
    }
    let shades = shades(map, count);
    for (at, pair) in shades.chunks(per_cell).enumerate() {
        let x = area.x + (at % usize::from(area.width)) as u16;
        let y = area.y + (at / usize::from(area.width)) as u16;
        if coloured {
            let (left, right) = (pen.theme.piece(pair[0]), pen.theme.piece(*pair.last().unwrap_or(&pair[0])));
            let c = if left == right { '█' } else { '▌' };
            pen.fill(x, y, 1, c, ratatui::style::Style::new().fg(left).bg(right));
        } else {
            let style = match pair[0] {
                Shade::Missing(_) => pen.theme.dim,
                Shade::Active => pen.theme.warn,
                _ => pen.theme.text,
            };
            pen.fill(x, y, 1, pen.theme.piece_char(pair[0]), style);
        }
    }
}

/// The words beside the strip.
fn caption(view: &TorrentView, detail: Option<&Detail>) -> String {
    match view.state {
        State::Checking => format!("checking {}", percent(u64::from(view.checked), u64::from(view.pieces))),
        State::Metadata => "waiting for the metadata".into(),
        _ => match detail {
            Some(detail) if view.have < view.pieces && detail.missing > 0 => {
                format!("{}/{}  {} with no copy", view.have, view.pieces, grouped(u64::from(detail.missing)))
            }
            Some(detail) => format!("{}/{}  copies {:.2}", view.have, view.pieces, detail.copies),
            None => format!("{}/{}", view.have, view.pieces),
        },
    }
}

/// Draws the strip that is always there: one row with its words beside, or several with the words below.
pub fn strip(pen: &mut Pen<'_>, area: Rect, view: &TorrentView, detail: Option<&Detail>) {
    if area.is_empty() {
        return;
    }
    let theme = *pen.theme;
    let words = caption(view, detail);
    let style = if detail.is_some_and(|d| d.missing > 0) && view.have < view.pieces { theme.warn } else { theme.dim };
    let inner = Rect { x: area.x + 1, width: area.width - 2, ..area };
    let rows = if area.height == 1 {
        let width = inner.width.saturating_sub(cells(&words).max(22) + 2);
        pen.put_right(inner.right(), inner.y, inner.width, &words, style);
        Rect { width, ..inner }
    } else {
        let y = area.bottom() - 1;
        let end = pen.put(inner.x, y, inner.width, &words, style);
        legend(pen, Rect { x: end + 3, y, width: inner.right().saturating_sub(end + 3), height: 1 });
        Rect { height: area.height - 1, ..inner }
    };
    if let Some(detail) = detail
        && rows.height >= 6
        && detail.files.len() > 1
        && !detail.cells.is_empty()
    {
        ruled(pen, rows, view, detail);
        return;
    }
    match detail {
        Some(detail) if !detail.cells.is_empty() => map(pen, rows, &detail.cells),
        // The numbers are on their way: what is known already.
        _ => {
            let whole = Cell { pieces: 1, have: 1, ..Cell::default() };
            let none = Cell { pieces: 1, rarest: 2, ..Cell::default() };
            let count = usize::from(rows.width) * usize::from(rows.height) * 2;
            let have = (u64::from(view.have) * count as u64 / u64::from(view.pieces.max(1))) as usize;
            let cells: Vec<Cell> = (0..count).map(|at| if at < have { whole } else { none }).collect();
            map(pen, rows, &cells);
        }
    }
}

/// What the colours mean, right-aligned, as far as there is room.
fn legend(pen: &mut Pen<'_>, area: Rect) {
    let words = [
        (Shade::Have, "here"),
        (Shade::Part(2), "in part"),
        (Shade::Active, "on its way"),
        (Shade::Missing(3), "missing"),
        (Shade::Missing(0), "no copy"),
    ];
    let total: u16 = words.iter().map(|(_, word)| cells(word) + 4).sum();
    if total > area.width + 2 {
        return;
    }
    let mut x = area.right() + 2 - total;
    for (shade, word) in words {
        let c = if pen.theme.coloured() && !pen.theme.ascii { '█' } else { pen.theme.piece_char(shade) };
        let style = if pen.theme.coloured() { pen.theme.text.fg(pen.theme.piece(shade)) } else { pen.theme.text };
        pen.fill(x, area.y, 1, c, style);
        x = pen.put(x + 2, area.y, cells(word), word, pen.theme.dim) + 2;
    }
}

/// Draws the pieces tab: the map in rows with a ruler of files below each, as far as there is room.
pub fn draw(pen: &mut Pen<'_>, area: Rect, view: &TorrentView, detail: &Detail) {
    if area.height < 2 || area.width < 20 {
        return;
    }
    let inner = Rect { x: area.x + 1, width: area.width - 2, ..area };
    let theme = *pen.theme;
    let y = area.bottom() - 1;
    let active = detail.cells.iter().map(|cell| u64::from(cell.active)).sum::<u64>();
    let words = format!(
        "{} pieces of {}, {} here, {} on their way",
        grouped(u64::from(view.pieces)),
        crate::ui::text::piece_length(detail.piece_length),
        grouped(u64::from(view.have)),
        grouped(active),
    );
    let end = pen.put(inner.x, y, inner.width, &words, theme.dim);
    legend(pen, Rect { x: end + 3, y, width: inner.right().saturating_sub(end + 3), height: 1 });
    ruled(pen, Rect { height: area.height - 1, ..inner }, view, detail);
}

/// The map with a ruler of files below each row, if there are files to tell apart.
fn ruled(pen: &mut Pen<'_>, area: Rect, view: &TorrentView, detail: &Detail) {
    let per_row = if detail.files.len() > 1 && area.height >= 2 { 2 } else { 1 };
    let rows = (area.height / per_row).max(1);
    let step = usize::from(rows);
    for row in 0..step {
        let line = Rect { y: area.y + row as u16 * per_row, height: 1, ..area };
        let from = row * detail.cells.len() / step;
        let to = (row + 1) * detail.cells.len() / step;
        map(pen, line, &detail.cells[from..to]);
        if per_row == 2 {
            let share = (row as f64 / step as f64, (row + 1) as f64 / step as f64);
            ruler(pen, Rect { y: line.y + 1, ..line }, share, view.size, detail);
        }
    }
}

/// A line that shows where files end, and their names where there is room: for the `share` of all bytes.
fn ruler(pen: &mut Pen<'_>, area: Rect, share: (f64, f64), size: u64, detail: &Detail) {
    let theme = *pen.theme;
    pen.fill(area.x, area.y, area.width, theme.glyphs.rule, theme.faint);
    let cell_of = |bytes: u64| {
        let part = (bytes as f64 / size.max(1) as f64 - share.0) / (share.1 - share.0);
        (part * f64::from(area.width)).round()
    };
    let mut start = 0_u64;
    for file in &detail.files {
        let end = start.saturating_add(file.size);
        let (left, right) = (cell_of(start).max(0.0), cell_of(end).min(f64::from(area.width)));
        start = end;
        if right <= 0.0 || left >= f64::from(area.width) {
            continue;
        }
        let (left, right) = (left as u16, right as u16);
        if right < area.width {
            pen.fill(area.x + right.max(1) - 1, area.y, 1, theme.glyphs.tick, theme.dim);
        }
        let name = file.path.rsplit('/').next().unwrap_or(&file.path);
        let room = right.saturating_sub(left);
        if room >= 8 {
            let width = (room - 4).min(cells(&crate::ui::text::clean_within(name, theme.ascii, room)));
            let end = pen.put(area.x + left + 1, area.y, width, name, theme.dim);
            pen.fill(area.x + left, area.y, 1, ' ', theme.dim);
            pen.fill(end, area.y, 1, ' ', theme.dim);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(pieces: u16, have: u16, active: u16, rarest: u16) -> Cell {
        Cell { pieces, have, active, rarest }
    }

    #[test]
    fn runs_fold_into_the_cells_there_are() {
        let cells = [cell(1, 1, 0, 0), cell(1, 0, 0, 3), cell(1, 0, 1, 2), cell(1, 0, 0, 0)];
        let all = [Shade::Have, Shade::Missing(2), Shade::Active, Shade::Missing(0)];
        assert_eq!(shades(&cells, 4), all);
        assert_eq!(shades(&cells, 2), [Shade::Part(2), Shade::Active]);
        assert_eq!(shades(&cells, 8).len(), 8);
        assert_eq!(shades(&cells, 8)[0..2], [Shade::Have, Shade::Have]);
        assert_eq!(shades(&cells, 1), [Shade::Active]);
        assert!(shades(&[], 3).is_empty());
        assert_eq!(shades(&[cell(100, 99, 0, 9)], 1), [Shade::Part(3)], "nearly all is not all");
    }
}
