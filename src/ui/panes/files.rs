//! The files tab: a file tree with progress and priorities.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::StatefulWidget;

use crate::api::Priority;
use crate::ui::keys::context::Tab;
use crate::ui::panes::pane::{Pane, PaneContext, PaneRequest, clicked_row};
use crate::ui::text::format::{cells, counted, eta, percent, size};
use crate::ui::text::labels;
use crate::ui::theme::style::Theme;
use crate::ui::widgets::file_tree::Row;
use crate::ui::widgets::painter::{Painter, fit};
use crate::ui::widgets::table::{self, Column, Columns, DataTable, MARGIN, or_faint, text};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Col {
    Name,
    Size,
    Bar,
    Done,
    Eta,
    Priority,
}

const COLUMNS: [Column<Col>; 6] = [
    Column::left(Col::Name, "File", 16, 0).up_to(120),
    Column::right(Col::Size, "Size", 5, 2),
    Column::left(Col::Bar, "", 12, 5),
    Column::right(Col::Done, "Done", 4, 1),
    Column::right(Col::Eta, "ETA", 5, 4),
    Column::left(Col::Priority, "Priority", 8, 3),
];

/// The files tab.
pub(crate) struct FilesPane;

impl Pane for FilesPane {
    fn rows(&self, _area: Rect, cx: &PaneContext<'_>) -> usize {
        cx.state.panes.tree.len()
    }

    fn lines(&self, _area: Rect, cx: &PaneContext<'_>) -> usize {
        cx.state.panes.tree.len() + 1
    }

    fn texts(&self, cx: &PaneContext<'_>) -> Option<Vec<String>> {
        let tree = &cx.state.panes.tree;
        Some((0..tree.len()).filter_map(|row| tree.row(row)).map(|row| row.name.to_owned()).collect())
    }

    /// A click selects a row; on the selected folder, it acts like Enter.
    fn click(&self, at: Position, area: Rect, cx: &PaneContext<'_>) -> Option<PaneRequest> {
        let tree = &cx.state.panes.tree;
        let row = clicked_row(at, area, tree.len(), cx)?;
        let folder = tree.row(row)?.file.is_none();
        match row == cx.state.cursor[Tab::Files as usize] {
            true if folder => Some(PaneRequest::ToggleFolder(row)),
            true => None,
            false => Some(PaneRequest::SelectRow(row)),
        }
    }

    fn render(&self, area: Rect, buf: &mut Buffer, cx: &PaneContext<'_>) {
        let theme = &cx.state.theme;
        let tree = &cx.state.panes.tree;
        let cell = |row: usize, key, width| {
            tree.row(row).map_or_else(Line::default, |row| match key {
                Col::Name => name(&row, width, cx),
                key => field(key, width, &row, theme),
            })
        };
        let mut rows = cx.table_state(area.height - 1, tree.len());
        DataTable::new(theme, &Columns::place(COLUMNS, area), tree.len(), cell).render(area, buf, &mut rows);
        if tree.is_empty() && area.height > 1 {
            let mut pen = Painter { buf, theme };
            pen.put(area.x + MARGIN, area.y + 1, area.width - 4, "no file list yet", theme.dim);
        }
    }
}

fn field(key: Col, width: u16, row: &Row<'_>, theme: &Theme) -> Line<'static> {
    let sum = &row.sum;
    let skipped = sum.priority == Some(Priority::Skip);
    let plain = if skipped { theme.dim } else { theme.text };
    match key {
        Col::Name => Line::default(),
        Col::Size => table::number(size(sum.size), plain, theme),
        Col::Bar => {
            let style = match (skipped, sum.done >= sum.size) {
                (true, _) => theme.dim,
                (_, true) => theme.up,
                _ => theme.down,
            };
            table::bar(width, sum.done, sum.size, style, theme)
        }
        Col::Done => text(percent(sum.done, sum.size), plain),
        Col::Eta => or_faint(eta(sum.eta.filter(|_| sum.done < sum.size && !skipped)), plain, theme),
        Col::Priority => {
            let style = match sum.priority {
                Some(Priority::Skip | Priority::Low) | None => theme.dim,
                Some(Priority::Normal) => theme.text,
                Some(Priority::High) => theme.accent,
            };
            text(labels::file_priority(sum.priority), style)
        }
    }
}

/// Returns the name of a file; of a folder, whether it is folded, its name, and if there is room its number of files.
fn name<'a>(row: &Row<'a>, width: u16, cx: &PaneContext<'a>) -> Line<'a> {
    let theme = &cx.state.theme;
    // Limits the indent, so that part of the name is visible at any depth.
    let indent = row.depth.saturating_mul(2).min(width / 2);
    let indented = " ".repeat(usize::from(indent));
    let skipped = row.sum.priority == Some(Priority::Skip);
    let hidden = cx.state.panes.hidden.on();
    if let Some(at) = row.file {
        // In privacy mode the name comes from the masked list; otherwise from the tree.
        let hidden = cx.detail.files.get(at).filter(|_| hidden);
        let name = hidden.map_or(row.name, |file| file.path.as_str());
        let style = if skipped { theme.dim } else { theme.text };
        return Line::from(vec![Span::raw(indented + "  "), Span::styled(name, style)]);
    }
    let fold = match (theme.ascii, row.folded) {
        (false, true) => "▸ ",
        (false, false) => "▾ ",
        (true, true) => "+ ",
        (true, false) => "- ",
    };
    let style = if skipped { theme.dim } else { theme.strong };
    let name =
        if hidden { Span::styled(format!("folder {}", row.number + 1), style) } else { Span::styled(row.name, style) };
    let mut line = Line::from(vec![Span::raw(indented), Span::styled(fold, theme.dim), name]);
    line = fit(line, width, theme);
    let files = format!("  {}", counted(u64::from(row.sum.files), "file"));
    if line.spans.iter().map(|span| cells(&span.content)).sum::<u16>() + cells(&files) <= width {
        line.push_span(Span::styled(files, theme.faint));
    }
    line
}
