//! The piece map grid and its cursor, and the details of the piece under the cursor.

use ratatui::layout::Rect;

use crate::api::{Detail, PieceDetail, PieceMapCell};
use crate::ui::state::app::AppState;
use crate::ui::state::privacy::address;
use crate::ui::text::format::{cells as width_of, counted, grouped, piece_length, time};
use crate::ui::theme::style::Theme;
use crate::ui::widgets::painter::Painter;

/// How a terminal cell shows the map.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Two runs of pieces, one above the other, as half blocks.
    Half,
    /// Eight runs, as braille dots.
    Braille,
    /// One run, as a character.
    Char,
}

/// Geometry of the piece map: rows of slots, each showing a run of pieces.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PieceGrid {
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
    #[must_use]
    pub fn of(area: Rect, theme: &Theme, map: &[PieceMapCell]) -> Option<PieceGrid> {
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
    #[must_use]
    pub fn cells(&self, slot: usize) -> std::ops::Range<usize> {
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
    pub fn slots_at(&self, x: u16, y: u16) -> impl Iterator<Item = Option<usize>> + '_ {
        let dots = self.dots;
        (0..dots.1).flat_map(move |down| {
            (0..dots.0).map(move |across| self.slot_of_dot(x * dots.0 + across, y * dots.1 + down))
        })
    }

    /// Returns the slot of a piece.
    #[must_use]
    pub fn slot_of(&self, piece: u32) -> usize {
        let cell = ((piece / self.per_cell) as usize).min(self.count - 1);
        (((cell + 1) * self.slots).div_ceil(self.count)).saturating_sub(1).min(self.slots - 1)
    }

    /// Returns the first piece of a slot.
    #[must_use]
    pub fn piece_of(&self, slot: usize) -> u32 {
        let cell = self.cells(slot.min(self.slots - 1)).start;
        u32::try_from(cell).unwrap_or(u32::MAX).saturating_mul(self.per_cell)
    }

    /// Returns the piece at a screen position.
    #[must_use]
    pub fn piece_at(&self, x: u16, y: u16) -> Option<u32> {
        if !self.area.contains(ratatui::layout::Position::new(x, y)) {
            return None;
        }
        let mut slots = self.slots_at(x - self.area.x, y - self.area.y);
        slots.find_map(|slot| slot).map(|slot| self.piece_of(slot))
    }
}

/// Returns the initial cursor position: the first requested piece, else the first missing one, else the first piece.
#[must_use]
pub fn first(detail: &Detail) -> Option<u32> {
    let of = |wanted: fn(&PieceMapCell) -> bool| {
        let at = detail.cells.iter().position(wanted)?;
        Some(detail.cells[..at].iter().map(|cell| u32::from(cell.pieces)).sum())
    };
    of(|cell| cell.active > 0).or_else(|| of(|cell| cell.have < cell.pieces)).or_else(|| of(|_| true))
}

/// Returns the piece `rows` rows further on the map.
#[must_use]
pub fn by_rows(shape: &PieceGrid, piece: u32, rows: i64, pieces: u32) -> u32 {
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

/// Returns labels and values of the piece under the cursor. With `little` space, files are shown by their last path
/// component and listed before the peers.
fn told(piece: &PieceDetail, little: bool) -> Vec<(&'static str, String)> {
    let state = if piece.have {
        "verified".to_owned()
    } else {
        format!("{} of {} received", grouped(u64::from(piece.received)), counted(u64::from(piece.blocks), "block"))
    };
    let mut lines = vec![("state", state)];
    if !piece.have {
        if let Some(age) = piece.age {
            lines.push(("started", format!("{} ago", time(age))));
        }
        let peers = piece.asked.iter().map(|(addr, n)| format!("{} ({n})", address(*addr)));
        let asked: Vec<String> = peers.chain(piece.asked_web.iter().map(|(host, n)| format!("{host} ({n})"))).collect();
        lines.push(("from", if asked.is_empty() { "no peer".into() } else { asked.join(", ") }));
    }
    let some: Vec<String> = piece.fastest_holders.iter().map(|addr| address(*addr)).collect();
    let holders = match (piece.peers_with_piece, some.is_empty()) {
        (0, _) => "no connected peer".to_owned(),
        (n, true) => format!("{} peers", grouped(u64::from(n))),
        (1, _) => some.join(", "),
        (n, _) => format!("{} peers: {}", grouped(u64::from(n)), some.join(", ")),
    };
    lines.push(("held by", holders));
    let names: Vec<&str> = piece.files.iter().map(|path| if little { last_name(path) } else { path }).collect();
    let files = match names.as_slice() {
        [] => "-".to_owned(),
        [one] => (*one).to_owned(),
        several => format!("{} files: {}", several.len(), several.join(", ")),
    };
    lines.push(("file", files));
    if piece.fails > 0 {
        let times = if piece.fails == 1 { "once".to_owned() } else { format!("{} times", piece.fails) };
        lines.push(("bad hash", times));
    }
    if little {
        lines.sort_by_key(|(label, _)| match *label {
            "state" => 0,
            "file" => 1,
            "bad hash" => 2,
            _ => 3,
        });
    }
    lines
}

/// Returns the last component of a path.
fn last_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Draws the details of the piece under the cursor: in one column beside the map, or in lines below it.
pub fn draw(pen: &mut Painter<'_>, area: Rect, model: &AppState, detail: &Detail, pieces: u32) {
    let theme = *pen.theme;
    let Some(at) = model.panes.piece else {
        pen.put(area.x, area.y, area.width, "select a piece with the arrow keys or a click", theme.dim);
        return;
    };
    if area.is_empty() {
        return;
    }
    let piece = detail.piece.as_ref().filter(|piece| piece.index == at);
    let size = piece.map_or(0, |piece| u32::try_from(piece.size).unwrap_or(u32::MAX));
    let x = pen.put(area.x, area.y, area.width, &format!("piece {}", grouped(u64::from(at))), theme.strong);
    let rest = match size {
        0 => format!("  of {}", grouped(u64::from(pieces))),
        size => format!("  of {}, {}", grouped(u64::from(pieces)), piece_length(size)),
    };
    let x = pen.put(x, area.y, area.right().saturating_sub(x), &rest, theme.dim);
    let Some(piece) = piece else { return };
    let little = area.height <= 3;
    let lines = told(piece, little);
    if little {
        return in_lines(pen, area, x, &lines);
    }
    let mut y = area.y + 1;
    for (label, value) in &lines {
        let width = area.width.saturating_sub(12);
        for line in crate::ui::text::format::wrap(value, width).iter().take(6) {
            if y >= area.bottom() {
                return;
            }
            pen.put(area.x + 12, y, width, line, theme.text);
            y += 1;
        }
        let first = y.saturating_sub((crate::ui::text::format::wrap(value, width).len() as u16).min(6));
        pen.put(area.x, first, 11, label, theme.dim);
    }
}

/// Draws the details in few lines, as many pairs per line as fit.
fn in_lines(pen: &mut Painter<'_>, area: Rect, x: u16, lines: &[(&'static str, String)]) {
    let theme = *pen.theme;
    let (mut x, mut y) = (x + 3, area.y);
    for (label, value) in lines {
        let label = if *label == "state" { "" } else { label };
        let wanted = width_of(label) + 1 + width_of(value).min(area.width / 2);
        if x + wanted > area.right() {
            y += 1;
            x = area.x;
        }
        if y >= area.bottom() {
            return;
        }
        if !label.is_empty() {
            x = pen.put(x, y, area.right().saturating_sub(x), label, theme.dim) + 1;
        }
        x = pen.put(x, y, area.right().saturating_sub(x), value, theme.text) + 3;
    }
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
}
