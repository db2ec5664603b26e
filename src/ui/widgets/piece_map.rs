//! The piece map: have, requested and missing pieces, and their availability, as a strip or as a grid with a cursor.
//!
//! With colors, a terminal cell shows two runs of pieces: side by side in the strip, one above the other in the grid.
//! Without colors, it shows one run as a shade character. For very many pieces, a cell shows eight runs as braille
//! dots.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::widgets::Widget;

use crate::api::PieceMapCell;
use crate::ui::theme::style::{PieceShade, Theme};
use crate::ui::widgets::painter::Painter;

/// How a terminal cell shows the map.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mode {
    /// Two runs of pieces, one above the other, as half blocks.
    Half,
    /// Eight runs, as braille dots.
    Braille,
    /// One run, as a character.
    Char,
}

/// Geometry of the piece map: rows of slots, each showing a run of pieces.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct PieceGrid {
    /// Screen area of the map.
    pub area: Rect,
    pub mode: Mode,
    /// Total number of slots.
    pub slots: usize,
    /// Slots per row.
    pub per_row: usize,
    /// Dots per terminal cell: columns, rows.
    dots: (u16, u16),
    /// Dots per slot: columns, rows.
    size: (u16, u16),
    /// Number of map cells.
    count: usize,
    /// Pieces per map cell.
    per_cell: u32,
}

impl PieceGrid {
    /// Computes the geometry for a map in this area; `None` if either is empty.
    pub(crate) fn of(area: Rect, theme: &Theme, map: &[PieceMapCell]) -> Option<PieceGrid> {
        if map.is_empty() || area.is_empty() {
            return None;
        }
        let room = usize::from(area.width) * usize::from(area.height);
        let mode = match (theme.ascii, theme.coloured()) {
            (true, _) => Mode::Char,
            (_, true) if map.len() > room * 8 => Mode::Braille,
            (_, true) => Mode::Half,
            _ if map.len() > room * 2 => Mode::Braille,
            _ => Mode::Char,
        };
        let dots = match mode {
            Mode::Half => (1, 2),
            Mode::Braille => (2, 4),
            Mode::Char => (1, 1),
        };
        let fit = |size: (u16, u16)| {
            let per_row = usize::from(area.width * dots.0 / size.0);
            (per_row, per_row * usize::from(area.height * dots.1 / size.1))
        };
        // Few pieces are drawn larger, as long as all of them fit.
        let sizes: &[(u16, u16)] = match mode {
            Mode::Half => &[(4, 4), (4, 2), (2, 2), (2, 1), (1, 1)],
            Mode::Braille => &[(1, 1)],
            Mode::Char => &[(4, 2), (2, 1), (1, 1)],
        };
        let size = sizes.iter().copied().find(|size| fit(*size).1 >= map.len()).unwrap_or((1, 1));
        let (per_row, room) = fit(size);
        let slots = map.len().min(room);
        let per_cell = map.first().map_or(1, |cell| u32::from(cell.pieces.max(1)));
        (slots > 0).then_some(PieceGrid { area, mode, slots, per_row, dots, size, count: map.len(), per_cell })
    }

    /// Returns the map cells of a slot.
    pub(crate) fn cells(&self, slot: usize) -> std::ops::Range<usize> {
        let from = slot * self.count / self.slots;
        from..((slot + 1) * self.count / self.slots).max(from + 1).min(self.count)
    }

    /// Returns the slot that contains a dot.
    fn slot_of_dot(&self, x: u16, y: u16) -> Option<usize> {
        let (column, row) = (usize::from(x / self.size.0), usize::from(y / self.size.1));
        let slot = row * self.per_row + column;
        (column < self.per_row && slot < self.slots).then_some(slot)
    }

    /// Returns the slots of the terminal cell at this position of the area, its dots row by row.
    pub(crate) fn slots_at(&self, x: u16, y: u16) -> impl Iterator<Item = Option<usize>> + '_ {
        let dots = self.dots;
        (0..dots.1).flat_map(move |down| {
            (0..dots.0).map(move |across| self.slot_of_dot(x * dots.0 + across, y * dots.1 + down))
        })
    }

    /// Returns the slot of a piece.
    pub(crate) fn slot_of(&self, piece: u32) -> usize {
        let cell = ((piece / self.per_cell) as usize).min(self.count - 1);
        (((cell + 1) * self.slots).div_ceil(self.count)).saturating_sub(1).min(self.slots - 1)
    }

    /// Returns the first piece of a slot.
    pub(crate) fn piece_of(&self, slot: usize) -> u32 {
        let cell = self.cells(slot.min(self.slots - 1)).start;
        u32::try_from(cell).unwrap_or(u32::MAX).saturating_mul(self.per_cell)
    }

    /// Returns the piece at a screen position.
    pub(crate) fn piece_at(&self, x: u16, y: u16) -> Option<u32> {
        if !self.area.contains(ratatui::layout::Position::new(x, y)) {
            return None;
        }
        let mut slots = self.slots_at(x - self.area.x, y - self.area.y);
        slots.find_map(|slot| slot).map(|slot| self.piece_of(slot))
    }
}

/// Returns the piece `rows` rows further on the map.
pub(crate) fn by_rows(shape: &PieceGrid, piece: u32, rows: i64, pieces: u32) -> u32 {
    let last = pieces.saturating_sub(1);
    let by = rows.saturating_mul(i64::try_from(shape.per_row).unwrap_or(i64::MAX));
    let slot = i64::try_from(shape.slot_of(piece)).unwrap_or(0);
    let to = slot.saturating_add(by);
    match usize::try_from(to) {
        Err(_) => 0,
        Ok(to) if to >= shape.slots => last,
        Ok(to) => shape.piece_of(to).min(last),
    }
}

/// A piece map in lines, each of which continues the one above: two runs of pieces side by side in a cell, or one run
/// without colors.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PieceStrip<'a> {
    pub map: &'a [PieceMapCell],
    pub theme: &'a Theme,
}

impl Widget for PieceStrip<'_> {
    fn render(self, area: Rect, buf: &mut Buffer) {
        let rows = usize::from(area.height);
        for (row, area) in area.rows().enumerate() {
            let part = &self.map[row * self.map.len() / rows..(row + 1) * self.map.len() / rows];
            line(&mut Painter { buf, theme: self.theme }, area, part);
        }
    }
}

/// A piece map as a grid of slots, with a cursor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PieceMap<'a> {
    pub grid: PieceGrid,
    pub map: &'a [PieceMapCell],
    pub cursor: Option<u32>,
    pub theme: &'a Theme,
}

impl Widget for PieceMap<'_> {
    /// Draws the map into the area of its grid.
    fn render(self, _area: Rect, buf: &mut Buffer) {
        grid(&mut Painter { buf, theme: self.theme }, &self.grid, self.map, self.cursor);
    }
}

/// Folds the map into `count` runs, or fewer if the map has few cells.
fn shades(map: &[PieceMapCell], count: usize) -> Vec<PieceShade> {
    (0..count)
        .filter_map(|at| {
            let from = at * map.len() / count;
            let to = ((at + 1) * map.len() / count).max(from + 1);
            map.get(from..to).map(shade)
        })
        .collect()
}

fn shade(run: &[PieceMapCell]) -> PieceShade {
    let sum = |of: fn(&PieceMapCell) -> u16| run.iter().map(|cell| u32::from(of(cell))).sum::<u32>();
    let (pieces, have, active) = (sum(|c| c.pieces), sum(|c| c.have), sum(|c| c.active));
    if have >= pieces {
        return PieceShade::Have;
    }
    if active > 0 {
        return PieceShade::Active;
    }
    if have > 0 {
        return PieceShade::Part(((have * 3).div_ceil(pieces)).clamp(1, 3) as u8);
    }
    let rarest = run.iter().filter(|cell| cell.have < cell.pieces).map(|cell| cell.rarest).min().unwrap_or(0);
    PieceShade::Missing(match rarest {
        0 => 0,
        1 => 1,
        2..5 => 2,
        _ => 3,
    })
}

/// Draws the map in one line: two runs side by side in a cell, or one run without colors.
fn line(pen: &mut Painter<'_>, area: Rect, map: &[PieceMapCell]) {
    let coloured = pen.theme.coloured() && !pen.theme.ascii;
    let per_cell = if coloured { 2 } else { 1 };
    let count = usize::from(area.width) * per_cell;
    if map.is_empty() || count == 0 || area.height == 0 {
        return;
    }
    let shades = shades(map, count);
    for (x, pair) in (area.x..).zip(shades.chunks(per_cell)) {
        if coloured {
            let (left, right) = (pen.theme.piece(pair[0]), pen.theme.piece(*pair.last().unwrap_or(&pair[0])));
            let c = if left == right { '█' } else { '▌' };
            pen.fill(x, area.y, 1, c, Style::new().fg(left).bg(right));
        } else {
            let style = plain_style(pen, pair[0]);
            pen.fill(x, area.y, 1, pen.theme.piece_char(pair[0]), style);
        }
    }
}

fn plain_style(pen: &Painter<'_>, shade: PieceShade) -> Style {
    match shade {
        PieceShade::Missing(_) => pen.theme.dim,
        PieceShade::Active => pen.theme.warn,
        _ => pen.theme.text,
    }
}

/// Draws a grid of slots, with the cursor.
fn grid(pen: &mut Painter<'_>, shape: &PieceGrid, map: &[PieceMapCell], cursor: Option<u32>) {
    let theme = *pen.theme;
    let chosen = cursor.map(|piece| shape.slot_of(piece));
    let folded: Vec<PieceShade> = (0..shape.slots).map(|slot| shade(&map[shape.cells(slot)])).collect();
    let of = |slot: Option<usize>| slot.and_then(|slot| folded.get(slot).copied());
    for down in 0..shape.area.height {
        for across in 0..shape.area.width {
            let (x, y) = (shape.area.x + across, shape.area.y + down);
            let mut slots = [None; 8];
            for (at, slot) in shape.slots_at(across, down).enumerate().take(8) {
                slots[at] = slot;
            }
            let Some(first) = of(slots[0]) else { continue };
            let here = chosen.is_some() && slots.contains(&chosen);
            match shape.mode {
                Mode::Half => {
                    let color = |slot: Option<usize>| match of(slot) {
                        Some(_) if slot == chosen => Some(theme.cursor()),
                        Some(shade) => Some(theme.piece(shade)),
                        None => None,
                    };
                    let (above, below) = (color(slots[0]), color(slots[1]));
                    let c = if above == below { '█' } else { '▀' };
                    let style = above.map_or_else(Style::new, |color| Style::new().fg(color));
                    pen.fill(x, y, 1, c, below.map_or(style, |color| style.bg(color)));
                }
                Mode::Braille => {
                    let (c, shade) = dots(slots.map(of));
                    let style = match (theme.coloured(), shade) {
                        (true, shade) => Style::new()
                            .fg(theme.piece(shade))
                            .bg(theme.piece(PieceShade::Missing(if shade == PieceShade::Missing(0) { 0 } else { 2 }))),
                        (false, shade) => plain_style(pen, shade),
                    };
                    pen.fill(x, y, 1, c, if here { style.add_modifier(Modifier::REVERSED) } else { style });
                }
                Mode::Char => {
                    let style = plain_style(pen, first);
                    let style = if here { style.add_modifier(Modifier::REVERSED) } else { style };
                    pen.fill(x, y, 1, theme.piece_char(first), style);
                }
            }
        }
    }
}

/// Returns eight runs as a braille character, with dots for have and active runs, and the shade that needs most
/// attention.
fn dots(shades: [Option<PieceShade>; 8]) -> (char, PieceShade) {
    const BITS: [u32; 8] = [0x01, 0x08, 0x02, 0x10, 0x04, 0x20, 0x40, 0x80];
    let mut bits = 0;
    let mut lacking = false;
    let mut active = false;
    for (shade, bit) in shades.into_iter().zip(BITS) {
        match shade {
            Some(PieceShade::Have | PieceShade::Part(_)) => bits |= bit,
            Some(PieceShade::Active) => {
                bits |= bit;
                active = true;
            }
            Some(PieceShade::Missing(0)) => lacking = true,
            Some(PieceShade::Missing(_)) | None => {}
        }
    }
    let shade = match (active, lacking) {
        (true, _) => PieceShade::Active,
        (_, true) => PieceShade::Missing(0),
        _ => PieceShade::Have,
    };
    (char::from_u32(0x2800 + bits).unwrap_or(' '), shade)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::theme::style::ThemeName;

    fn map(count: usize, pieces: u16) -> Vec<PieceMapCell> {
        vec![PieceMapCell { pieces, ..PieceMapCell::default() }; count]
    }

    #[test]
    fn every_piece_has_its_slot_and_every_slot_its_pieces() {
        for ascii in [false, true] {
            for name in [ThemeName::Dark, ThemeName::Plain] {
                for (width, height) in [(1, 1), (20, 2), (78, 4), (118, 20)] {
                    for (count, pieces) in [(1, 1), (7, 1), (300, 1), (1996, 1), (4096, 25)] {
                        let theme = Theme::new(name, ascii);
                        let cells = map(count, pieces);
                        let shape = PieceGrid::of(Rect::new(3, 5, width, height), &theme, &cells).unwrap();
                        let mut covered = 0;
                        for slot in 0..shape.slots {
                            assert_eq!(shape.cells(slot).start, covered, "{shape:?}");
                            covered = shape.cells(slot).end;
                            assert_eq!(shape.slot_of(shape.piece_of(slot)), slot, "{shape:?}");
                        }
                        assert_eq!(covered, count, "{shape:?}");
                        let mut seen = std::collections::BTreeSet::new();
                        for y in 0..height {
                            for x in 0..width {
                                seen.extend(shape.slots_at(x, y).flatten());
                            }
                        }
                        assert_eq!(seen.len(), shape.slots, "{shape:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_cursor_moves_by_rows_and_stops_at_the_ends() {
        let theme = Theme::new(ThemeName::Dark, false);
        let shape = PieceGrid::of(Rect::new(0, 0, 10, 5), &theme, &map(100, 1)).unwrap();
        assert_eq!((shape.per_row, shape.slots), (10, 100));
        assert_eq!(by_rows(&shape, 5, 1, 100), 15);
        assert_eq!(by_rows(&shape, 5, -1, 100), 0);
        assert_eq!(by_rows(&shape, 95, 1, 100), 99);
        assert_eq!(by_rows(&shape, 5, i64::MAX / 2, 100), 99);
        assert_eq!(shape.piece_at(3, 1), Some(23));
        assert_eq!(shape.piece_at(30, 1), None);
    }

    #[test]
    fn many_pieces_become_dots_and_few_become_large() {
        let theme = Theme::new(ThemeName::Dark, false);
        let mode = |count| PieceGrid::of(Rect::new(0, 0, 40, 6), &theme, &map(count, 1)).unwrap();
        assert_eq!(mode(4096).mode, Mode::Braille);
        assert_eq!((mode(480).mode, mode(480).slots, mode(480).per_row), (Mode::Half, 480, 40));
        assert_eq!((mode(240).mode, mode(240).per_row), (Mode::Half, 20));
        assert_eq!((mode(20).mode, mode(20).per_row), (Mode::Half, 10));
    }

    fn cell(pieces: u16, have: u16, active: u16, rarest: u16) -> PieceMapCell {
        PieceMapCell { pieces, have, active, rarest }
    }

    #[test]
    fn runs_fold_into_the_cells_there_are() {
        let cells = [cell(1, 1, 0, 0), cell(1, 0, 0, 3), cell(1, 0, 1, 2), cell(1, 0, 0, 0)];
        let all = [PieceShade::Have, PieceShade::Missing(2), PieceShade::Active, PieceShade::Missing(0)];
        assert_eq!(shades(&cells, 4), all);
        assert_eq!(shades(&cells, 2), [PieceShade::Part(2), PieceShade::Active]);
        assert_eq!(shades(&cells, 8).len(), 8);
        assert_eq!(shades(&cells, 8)[0..2], [PieceShade::Have, PieceShade::Have]);
        assert_eq!(shades(&cells, 1), [PieceShade::Active]);
        assert!(shades(&[], 3).is_empty());
        assert_eq!(shades(&[cell(100, 99, 0, 9)], 1), [PieceShade::Part(3)], "nearly all is not all");
    }
}
