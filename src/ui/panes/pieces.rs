//! The pieces tab and the piece strip: have, requested and missing pieces, and their availability.
//!
//! With colors, a terminal cell shows two runs of pieces: side by side in the strip, one above the other in the map.
//! Without colors, it shows one run as a shade character. For very many pieces, a cell shows eight runs as braille
//! dots.

use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

use crate::api::{Detail, PieceMapCell, State, TorrentView};
use crate::ui::state::app::AppState;
use crate::ui::text::format::{cells, counted, grouped, percent};
use crate::ui::theme::style::PieceShade;
use crate::ui::widgets::painter::Painter;
use crate::ui::widgets::piece_map;
use crate::ui::widgets::piece_map::{Mode, PieceGrid};

/// Folds the map into `count` runs, or fewer if the map has few cells.
#[must_use]
pub fn shades(map: &[PieceMapCell], count: usize) -> Vec<PieceShade> {
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
pub fn line(pen: &mut Painter<'_>, area: Rect, map: &[PieceMapCell]) {
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

/// Draws the map in several lines; each line continues the one above.
fn lines(pen: &mut Painter<'_>, area: Rect, map: &[PieceMapCell]) {
    let rows = usize::from(area.height);
    for row in 0..rows {
        let part = &map[row * map.len() / rows..(row + 1) * map.len() / rows];
        line(pen, Rect { y: area.y + row as u16, height: 1, ..area }, part);
    }
}

/// Draws the map of the pieces tab as a grid of slots, with the cursor.
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

/// Returns the caption of the strip.
fn caption(width: u16, view: &TorrentView, detail: Option<&Detail>) -> String {
    let wide = width >= 76;
    match view.state {
        State::Checking => format!("checking {}", percent(u64::from(view.checked), u64::from(view.pieces))),
        State::Metadata => match view.metadata {
            (_, 0) => "fetching metadata".into(),
            (here, all) => format!("metadata {here}/{all}"),
        },
        _ => match detail {
            Some(detail) if view.have < view.pieces && detail.missing > 0 => {
                format!("{}/{}  {} unavailable", view.have, view.pieces, grouped(u64::from(detail.missing)))
            }
            Some(detail) if wide && view.have < view.pieces => {
                let lacking = detail.cells.iter().filter(|cell| cell.have < cell.pieces);
                let rarest = lacking.map(|cell| cell.rarest).min().unwrap_or(0);
                match width >= BESIDE {
                    true => {
                        format!("{}/{}  availability {:.2} (rarest {rarest})", view.have, view.pieces, detail.copies)
                    }
                    false => format!("{}/{}  avail {:.2}  rarest {rarest}", view.have, view.pieces, detail.copies),
                }
            }
            Some(detail) => format!("{}/{}  avail {:.2}", view.have, view.pieces, detail.copies),
            None => format!("{}/{}", view.have, view.pieces),
        },
    }
}

/// Returns the map area of the strip, and the line of its caption.
fn strip_parts(area: Rect, words: &str) -> (Rect, u16) {
    let inner = Rect { x: area.x + 1, width: area.width - 2, ..area };
    if area.height == 1 {
        return (Rect { width: inner.width.saturating_sub(cells(words).max(22) + 2), ..inner }, inner.y);
    }
    (Rect { height: area.height - 1, ..inner }, area.bottom() - 1)
}

/// Draws the strip: one row with the caption beside the map, or several rows with the caption below.
pub fn strip(pen: &mut Painter<'_>, area: Rect, model: &AppState, view: &TorrentView, detail: Option<&Detail>) {
    if area.is_empty() {
        return;
    }
    let theme = *pen.theme;
    let words = caption(area.width, view, detail);
    let style = if detail.is_some_and(|d| d.missing > 0) && view.have < view.pieces { theme.warn } else { theme.dim };
    let (rows, y) = strip_parts(area, &words);
    let right = area.right() - 1;
    if area.height == 1 {
        pen.put_right(right, y, area.width - 2, &words, style);
    } else {
        let end = pen.put(rows.x, y, rows.width, &words, style);
        legend(pen, Rect { x: end + 3, y, width: right.saturating_sub(end + 3), height: 1 });
    }
    match detail {
        Some(detail) if rows.height >= 6 && detail.files.len() > 1 && !detail.cells.is_empty() => {
            ruled(pen, rows, model, detail);
        }
        Some(detail) if !detail.cells.is_empty() => lines(pen, rows, &detail.cells),
        // The detail has not arrived yet: draws the share of verified pieces.
        _ => {
            let whole = PieceMapCell { pieces: 1, have: 1, ..PieceMapCell::default() };
            let none = PieceMapCell { pieces: 1, rarest: 2, ..PieceMapCell::default() };
            let count = usize::from(rows.width) * usize::from(rows.height) * 2;
            let have = (u64::from(view.have) * count as u64 / u64::from(view.pieces.max(1))) as usize;
            let cells: Vec<PieceMapCell> = (0..count).map(|at| if at < have { whole } else { none }).collect();
            lines(pen, rows, &cells);
        }
    }
}

/// Meaning of the colors.
const LEGEND: [(PieceShade, &str); 5] = [
    (PieceShade::Have, "have"),
    (PieceShade::Part(2), "partial"),
    (PieceShade::Active, "requested"),
    (PieceShade::Missing(3), "missing"),
    (PieceShade::Missing(0), "unavailable"),
];

/// Returns the width of the legend in cells.
fn legend_width() -> u16 {
    LEGEND.iter().map(|(_, word)| cells(word) + 4).sum::<u16>() - 2
}

/// Draws the legend, right-aligned, if it fits.
fn legend(pen: &mut Painter<'_>, area: Rect) {
    if legend_width() > area.width {
        return;
    }
    let mut x = area.right() - legend_width();
    for (shade, word) in LEGEND {
        let c = if pen.theme.coloured() && !pen.theme.ascii { '█' } else { pen.theme.piece_char(shade) };
        let style = if pen.theme.coloured() { pen.theme.text.fg(pen.theme.piece(shade)) } else { pen.theme.text };
        pen.fill(x, area.y, 1, c, style);
        x = pen.put(x + 2, area.y, cells(word), word, pen.theme.dim) + 2;
    }
}

/// Minimum pane width for showing the piece details beside the map.
const BESIDE: u16 = 110;

/// Regions of the pieces tab.
struct Parts {
    ruler: Rect,
    map: Rect,
    piece: Rect,
    words: Rect,
}

fn parts(area: Rect, ruled: bool) -> Parts {
    let mut rest = Rect { x: area.x + 1, width: area.width.saturating_sub(2), ..area };
    let none = Rect { height: 0, ..rest };
    let mut parts = Parts { ruler: none, map: none, piece: none, words: none };
    if ruled && area.height >= 5 {
        parts.ruler = Rect { height: 1, ..rest };
        rest.y += 1;
        rest.height -= 1;
    }
    if area.width >= BESIDE && area.height >= 6 {
        let width = (area.width / 3).clamp(38, 60);
        parts.piece = Rect { x: rest.right() - width, width, ..rest };
        rest.width -= width + 3;
    } else {
        let height = match area.height {
            0..4 => 0,
            4..7 => 1,
            7..10 => 2,
            _ => 3,
        };
        rest.height -= height;
        parts.piece = Rect { y: rest.bottom(), height, ..rest };
    }
    if area.height >= 3 {
        rest.height -= 1;
        parts.words = Rect { y: rest.bottom(), height: 1, ..rest };
    }
    parts.map = rest;
    parts
}

/// Returns the grid of the map in the pieces tab.
#[must_use]
pub fn shape(area: Rect, model: &AppState, detail: &Detail) -> Option<PieceGrid> {
    PieceGrid::of(parts(area, detail.files.len() > 1).map, &model.theme, &detail.cells)
}

/// Draws the pieces tab: a file ruler below the strip, the map, the details of the piece under the cursor, a caption.
pub fn draw(pen: &mut Painter<'_>, area: Rect, strip: Rect, model: &AppState, view: &TorrentView, detail: &Detail) {
    if area.height < 1 || area.width < 20 {
        return;
    }
    let theme = *pen.theme;
    let parts = parts(area, detail.files.len() > 1);
    if !parts.ruler.is_empty() {
        let (rows, _) = strip_parts(strip, &caption(strip.width, view, Some(detail)));
        ruler(pen, Rect { x: rows.x, width: rows.width, ..parts.ruler }, (0.0, 1.0), model, detail);
    }
    match PieceGrid::of(parts.map, &theme, &detail.cells) {
        Some(shape) => grid(pen, &shape, &detail.cells, model.panes.piece),
        None => {
            let text = if view.state == State::Metadata { "no piece list yet" } else { "no pieces" };
            pen.put(parts.map.x, parts.map.y, parts.map.width, text, theme.dim);
        }
    }
    if !parts.words.is_empty() {
        let y = parts.words.y;
        let active = detail.cells.iter().map(|cell| u64::from(cell.active)).sum::<u64>();
        let way = format!("{} requested", grouped(active));
        let each = format!("{} each, {way}", crate::ui::text::format::piece_length(detail.piece_length));
        let whole = format!("{} of {each}", counted(u64::from(view.pieces), "piece")).replace(" each", "");
        let rare = format!("{whole}; {}", rarest(view, detail));
        // The longest caption that leaves space for the legend.
        let fits = |room: u16| [&rare, &whole, &each, &way].into_iter().find(|words| cells(words) <= room);
        let words = fits(parts.words.width.saturating_sub(legend_width() + 3)).unwrap_or(&way);
        let end = pen.put(parts.words.x, y, parts.words.width, words, theme.dim);
        legend(pen, Rect { x: end + 3, width: parts.words.right().saturating_sub(end + 3), ..parts.words });
    }
    if !parts.piece.is_empty() {
        piece_map::draw(pen, parts.piece, model, detail, view.pieces);
    }
}

/// Describes the availability of the rarest missing piece.
fn rarest(view: &TorrentView, detail: &Detail) -> String {
    let copies = format!("availability {:.2}", detail.copies);
    if view.have >= view.pieces {
        return copies;
    }
    let lacking = detail.cells.iter().filter(|cell| cell.have < cell.pieces);
    match lacking.map(|cell| cell.rarest).min() {
        Some(0) => format!("{copies}, {} unavailable", counted(u64::from(detail.missing.max(1)), "piece")),
        Some(1) => format!("{copies}, rarest piece: 1 copy"),
        Some(n) => format!("{copies}, rarest piece: {n} copies"),
        None => copies,
    }
}

/// Draws the map with a file ruler below each row.
fn ruled(pen: &mut Painter<'_>, area: Rect, model: &AppState, detail: &Detail) {
    let rows = usize::from((area.height / 2).max(1));
    for row in 0..rows {
        let at = Rect { y: area.y + row as u16 * 2, height: 1, ..area };
        let from = row * detail.cells.len() / rows;
        let to = (row + 1) * detail.cells.len() / rows;
        line(pen, at, &detail.cells[from..to]);
        let share = (row as f64 / rows as f64, (row + 1) as f64 / rows as f64);
        ruler(pen, Rect { y: at.y + 1, ..at }, share, model, detail);
    }
}

/// Draws a ruler with file ends and, if they fit, file names, for the fraction `share` of all bytes.
fn ruler(pen: &mut Painter<'_>, area: Rect, share: (f64, f64), model: &AppState, detail: &Detail) {
    let theme = *pen.theme;
    pen.fill(area.x, area.y, area.width, theme.glyphs.rule, theme.faint);
    let size = model.panes.tree.size();
    let cell_of = |bytes: u64| {
        let part = (bytes as f64 / size.max(1) as f64 - share.0) / (share.1 - share.0);
        (part * f64::from(area.width)).round().clamp(0.0, f64::from(area.width)) as u16
    };
    // Uses the byte in the middle of a cell: the next step skips all files that end within the cell.
    let byte_of = |cell: f64| ((share.0 + cell / f64::from(area.width) * (share.1 - share.0)) * size as f64) as u64;
    let (first, last) = (byte_of(0.0), byte_of(f64::from(area.width)));
    let mut byte = first;
    while let Some((at, start, end)) = model.panes.tree.at(byte).filter(|_| byte < last) {
        let (left, right) = (cell_of(start), cell_of(end));
        byte = end.max(byte_of(f64::from(right) + 0.5));
        if right < area.width {
            pen.fill(area.x + right.max(1) - 1, area.y, 1, theme.glyphs.tick, theme.dim);
        }
        let room = right.saturating_sub(left);
        // A name is drawn once: where its file begins, or on the first row.
        if room < 8 || (start < first && share.0 > 0.0) {
            continue;
        }
        let Some(file) = detail.files.get(at) else { continue };
        let name = file.path.rsplit('/').next().unwrap_or(&file.path);
        let width = (room - 4).min(cells(&crate::ui::text::format::clean_within(name, theme.ascii, room)));
        let end = pen.put(area.x + left + 1, area.y, width, name, theme.dim);
        pen.fill(area.x + left, area.y, 1, ' ', theme.dim);
        pen.fill(end, area.y, 1, ' ', theme.dim);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
