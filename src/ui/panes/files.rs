//! The files tab: a file tree with progress and priorities.

use ratatui::layout::Rect;

use crate::api::{Detail, Priority};
use crate::ui::state::app::AppState;
use crate::ui::text::format::{eta, grouped, percent, size};
use crate::ui::widgets::file_tree::Row;
use crate::ui::widgets::painter::{Column, ColumnRect, Painter, Side, layout_columns};
use crate::ui::widgets::tab_bar::list;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Col {
    Name,
    Size,
    Bar,
    Done,
    Eta,
    Priority,
}

const fn column(key: Col, title: &'static str, width: u16, side: Side, rank: u8) -> Column<Col> {
    Column { key, title, width, side, rank }
}

const COLUMNS: [Column<Col>; 6] = [
    column(Col::Name, "File", 0, Side::Left, 0),
    column(Col::Size, "Size", 5, Side::Right, 2),
    column(Col::Bar, "", 12, Side::Left, 5),
    column(Col::Done, "Done", 4, Side::Right, 1),
    column(Col::Eta, "ETA", 5, Side::Right, 4),
    column(Col::Priority, "Priority", 8, Side::Left, 3),
];

/// Draws the files tab.
pub fn draw(pen: &mut Painter<'_>, area: Rect, model: &AppState, detail: &Detail) {
    let theme = *pen.theme;
    if area.is_empty() {
        return;
    }
    let slots = layout_columns(&COLUMNS, area.x + 3, area.width.saturating_sub(5), 16, 120);
    for slot in &slots {
        pen.title(slot, area.y, None, theme.dim);
    }
    let tree = &model.panes.tree;
    let body = Rect { y: area.y + 1, height: area.height - 1, ..area };
    if tree.is_empty() && !body.is_empty() {
        pen.put(body.x + 3, body.y, body.width - 4, "no file list yet", theme.dim);
    }
    list(pen, body, model, tree.len(), |pen, at, y| {
        if let Some(row) = tree.row(at) {
            for slot in &slots {
                field(pen, slot, y, &row, model, detail);
            }
        }
    });
}

/// Returns the label of a priority; `None` is a directory with mixed priorities.
#[must_use]
pub const fn word(priority: Option<Priority>) -> &'static str {
    match priority {
        Some(Priority::Skip) => "skip",
        Some(Priority::Low) => "low",
        Some(Priority::Normal) => "normal",
        Some(Priority::High) => "high",
        None => "mixed",
    }
}

fn field(pen: &mut Painter<'_>, slot: &ColumnRect<Col>, y: u16, row: &Row<'_>, model: &AppState, detail: &Detail) {
    let theme = *pen.theme;
    let right = slot.x + slot.width;
    let sum = &row.sum;
    let skipped = sum.priority == Some(Priority::Skip);
    let text = if skipped { theme.dim } else { theme.text };
    match slot.key {
        Col::Name => name(pen, slot, y, row, model, detail),
        Col::Size => pen.put_number(right, y, slot.width, &size(sum.size), text),
        Col::Bar => {
            let style = match (skipped, sum.done >= sum.size) {
                (true, _) => theme.dim,
                (_, true) => theme.up,
                _ => theme.down,
            };
            pen.bar(slot.x, y, slot.width, sum.done, sum.size, style);
        }
        Col::Done => pen.put_side(slot.x, y, slot.width, slot.side, &percent(sum.done, sum.size), text),
        Col::Eta => {
            let left = sum.eta.filter(|_| sum.done < sum.size && !skipped);
            let style = if left.is_some() { text } else { theme.faint };
            pen.put_side(slot.x, y, slot.width, slot.side, &eta(left), style);
        }
        Col::Priority => {
            let style = match sum.priority {
                Some(Priority::Skip | Priority::Low) | None => theme.dim,
                Some(Priority::Normal) => theme.text,
                Some(Priority::High) => theme.accent,
            };
            pen.put(slot.x, y, slot.width, word(sum.priority), style);
        }
    }
}

fn name(pen: &mut Painter<'_>, slot: &ColumnRect<Col>, y: u16, row: &Row<'_>, model: &AppState, detail: &Detail) {
    let theme = *pen.theme;
    // Limits the indent, so that part of the name is visible at any depth.
    let indent = row.depth.saturating_mul(2).min(slot.width / 2);
    let x = slot.x + indent;
    let room = slot.width - indent;
    let skipped = row.sum.priority == Some(Priority::Skip);
    let Some(at) = row.file else {
        let fold = match (theme.ascii, row.folded) {
            (false, true) => '▸',
            (false, false) => '▾',
            (true, true) => '+',
            (true, false) => '-',
        };
        pen.fill(x, y, 1, fold, theme.dim);
        let hidden = format!("folder {}", row.number + 1);
        let name = if model.panes.hidden.on() { hidden.as_str() } else { row.name };
        let end = pen.put(x + 2, y, room.saturating_sub(2), name, if skipped { theme.dim } else { theme.strong });
        let files = match row.sum.files {
            1 => "1 file".to_owned(),
            n => format!("{} files", grouped(u64::from(n))),
        };
        if end + 2 + files.len() as u16 <= slot.x + slot.width {
            pen.put(end + 2, y, 14, &files, theme.faint);
        }
        return;
    };
    // In privacy mode the name comes from the masked list; otherwise from the tree.
    let hidden = detail.files.get(at).filter(|_| model.panes.hidden.on());
    let name = hidden.map_or(row.name, |file| file.path.as_str());
    pen.put(x + 2, y, room.saturating_sub(2), name, if skipped { theme.dim } else { theme.text });
}
