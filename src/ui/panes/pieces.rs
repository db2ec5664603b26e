//! The pieces tab and the piece strip: the map, its caption and legend, and a ruler of the files below it.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::widgets::Widget;

use crate::api::{Detail, PieceMapCell, PieceProgress, State, TorrentView};
use crate::ui::panes::pane::{Pane, PaneContext, PaneRequest};
use crate::ui::panes::piece_detail;
use crate::ui::state::app::AppState;
use crate::ui::text::format::{cells, counted, grouped, percent};
use crate::ui::theme::style::PieceShade;
use crate::ui::widgets::painter::Painter;
use crate::ui::widgets::piece_map::{self, PieceGrid, PieceMap, PieceStrip};

/// Returns the caption of the strip.
fn caption(width: u16, view: &TorrentView, detail: Option<&Detail>) -> String {
    let wide = width >= 76;
    match view.state {
        State::Checking => format!("checking {}", percent(u64::from(view.checked), u64::from(view.pieces))),
        State::Metadata => match view.metadata {
            PieceProgress { total: 0, .. } => "fetching metadata".into(),
            PieceProgress { done: here, total: all } => format!("metadata {here}/{all}"),
        },
        _ => match detail {
            Some(detail) if view.done < view.wanted && detail.missing > 0 => {
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
pub(crate) fn strip(pen: &mut Painter<'_>, area: Rect, state: &AppState, view: &TorrentView, detail: Option<&Detail>) {
    if area.is_empty() {
        return;
    }
    let theme = pen.theme;
    let words = caption(area.width, view, detail);
    let style = if detail.is_some_and(|d| d.missing > 0) && view.done < view.wanted { theme.warn } else { theme.dim };
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
            ruled(pen, rows, state, detail);
        }
        Some(detail) if !detail.cells.is_empty() => PieceStrip { map: &detail.cells, theme }.render(rows, pen.buf),
        // The detail has not arrived yet: draws the share of verified pieces.
        _ => {
            let whole = PieceMapCell { pieces: 1, have: 1, ..PieceMapCell::default() };
            let none = PieceMapCell { pieces: 1, rarest: 2, ..PieceMapCell::default() };
            let count = usize::from(rows.width) * usize::from(rows.height) * 2;
            let have = (u64::from(view.have) * count as u64 / u64::from(view.pieces.max(1))) as usize;
            let cells: Vec<PieceMapCell> = (0..count).map(|at| if at < have { whole } else { none }).collect();
            PieceStrip { map: &cells, theme }.render(rows, pen.buf);
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
fn shape(area: Rect, cx: &PaneContext<'_>) -> Option<PieceGrid> {
    PieceGrid::of(parts(area, cx.detail.files.len() > 1).map, &cx.state.theme, &cx.detail.cells)
}

/// The pieces tab: a file ruler below the strip, the map, the details of the piece under the cursor, a caption.
pub(crate) struct PiecesPane;

impl Pane for PiecesPane {
    fn rows(&self, area: Rect, cx: &PaneContext<'_>) -> usize {
        shape(area, cx).map_or(0, |shape| shape.slots.div_ceil(shape.per_row.max(1)))
    }

    fn move_by(&self, rows: i64, area: Rect, cx: &PaneContext<'_>) -> Option<PaneRequest> {
        let (shape, piece) = (shape(area, cx)?, cx.state.panes.piece?);
        Some(PaneRequest::SelectPiece(piece_map::by_rows(&shape, piece, rows, cx.torrent.pieces)))
    }

    fn click(&self, at: Position, area: Rect, cx: &PaneContext<'_>) -> Option<PaneRequest> {
        let piece = shape(area, cx)?.piece_at(at.x, at.y)?;
        Some(PaneRequest::SelectPiece(piece.min(cx.torrent.pieces.saturating_sub(1))))
    }

    fn wheel_rows(&self) -> i64 {
        1
    }

    fn render(&self, area: Rect, buf: &mut Buffer, cx: &PaneContext<'_>) {
        let mut pen = Painter { buf, theme: &cx.state.theme };
        draw(&mut pen, area, cx.regions.strip, cx.state, cx.torrent, cx.detail);
    }
}

fn draw(pen: &mut Painter<'_>, area: Rect, strip: Rect, state: &AppState, view: &TorrentView, detail: &Detail) {
    if area.width < 20 {
        return;
    }
    let theme = pen.theme;
    let parts = parts(area, detail.files.len() > 1);
    if !parts.ruler.is_empty() {
        let (rows, _) = strip_parts(strip, &caption(strip.width, view, Some(detail)));
        ruler(pen, Rect { x: rows.x, width: rows.width, ..parts.ruler }, (0.0, 1.0), state, detail);
    }
    match PieceGrid::of(parts.map, theme, &detail.cells) {
        Some(grid) => {
            PieceMap { grid, map: &detail.cells, cursor: state.panes.piece, theme }.render(parts.map, pen.buf);
        }
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
    piece_detail::draw(parts.piece, pen.buf, theme, state.panes.piece, detail, view.pieces);
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
fn ruled(pen: &mut Painter<'_>, area: Rect, state: &AppState, detail: &Detail) {
    let rows = usize::from((area.height / 2).max(1));
    for row in 0..rows {
        let at = Rect { y: area.y + row as u16 * 2, height: 1, ..area };
        let from = row * detail.cells.len() / rows;
        let to = (row + 1) * detail.cells.len() / rows;
        PieceStrip { map: &detail.cells[from..to], theme: pen.theme }.render(at, pen.buf);
        let share = (row as f64 / rows as f64, (row + 1) as f64 / rows as f64);
        ruler(pen, Rect { y: at.y + 1, ..at }, share, state, detail);
    }
}

/// Draws a ruler with file ends and, if they fit, file names, for the fraction `share` of all bytes.
fn ruler(pen: &mut Painter<'_>, area: Rect, share: (f64, f64), state: &AppState, detail: &Detail) {
    let theme = pen.theme;
    pen.rule(area, "", theme.faint);
    let size = state.panes.tree.size();
    let cell_of = |bytes: u64| {
        let part = (bytes as f64 / size.max(1) as f64 - share.0) / (share.1 - share.0);
        (part * f64::from(area.width)).round().clamp(0.0, f64::from(area.width)) as u16
    };
    // Uses the byte in the middle of a cell: the next step skips all files that end within the cell.
    let byte_of = |cell: f64| ((share.0 + cell / f64::from(area.width) * (share.1 - share.0)) * size as f64) as u64;
    let (first, last) = (byte_of(0.0), byte_of(f64::from(area.width)));
    let mut byte = first;
    while let Some((at, start, end)) = state.panes.tree.at(byte).filter(|_| byte < last) {
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
