//! The tab bar, and the scrollable row list shared by the tabs.

use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::api::{Detail, Snapshot, TorrentView};
use crate::ui::keys::context::Tab;
use crate::ui::panes::{files, info, log, peers, pieces, trackers};
use crate::ui::state::app::{AppState, Focus};
use crate::ui::state::layout::Regions;
use crate::ui::text::format::{cells, clean_within};
use crate::ui::widgets::list::first_visible;
use crate::ui::widgets::painter::Painter;

/// Minimum width at which every tab shows its title.
const NAMED: u16 = 58;

/// Returns the first cell and the width of each tab.
fn places(area: Rect, open: Option<Tab>) -> impl Iterator<Item = (Tab, u16, u16)> {
    let mut x = area.x + 2;
    Tab::ALL.into_iter().map(move |tab| {
        let named = area.width >= NAMED || open == Some(tab);
        let width = if named { tab.title().len() as u16 + 4 } else { 3 };
        x += width;
        (tab, x - width, width)
    })
}

/// Returns the tab at cell `x` of the tab bar.
#[must_use]
pub fn tab_at(area: Rect, x: u16) -> Option<Tab> {
    places(area, None).find(|(_, start, width)| x >= *start && x < start + width).map(|(tab, ..)| tab)
}

/// Draws the tab bar.
pub fn bar(pen: &mut Painter<'_>, area: Rect, model: &AppState, chosen: Option<&TorrentView>) {
    let theme = *pen.theme;
    pen.rule(area, "", theme.faint);
    let mut end = area.x;
    for (tab, x, width) in places(area, Some(model.tab)) {
        let open = tab == model.tab;
        let title =
            if width > 3 { format!("{} {}", tab as usize + 1, tab.title()) } else { (tab as usize + 1).to_string() };
        let style = match (open, model.pane) {
            (true, Focus::Detail) => theme.accent.patch(Style::new().add_modifier(ratatui::style::Modifier::BOLD)),
            (true, Focus::List) => theme.strong,
            (false, _) => theme.dim,
        };
        let text = if open { format!("[{title}]") } else { format!(" {title} ") };
        end = pen.put(x, area.y, width, &text, style);
    }
    if let Some(view) = chosen
        && area.right() > end + 24
    {
        let room = area.right() - end - 6;
        let name = clean_within(&view.name, theme.ascii, room);
        let width = cells(&name).min(room);
        let x = area.right() - 2 - width;
        pen.put(x, area.y, width, &name, theme.dim);
        pen.fill(x - 1, area.y, 1, ' ', theme.dim);
        pen.fill(x + width, area.y, 1, ' ', theme.dim);
    }
}

/// Returns the number of selectable rows of the active tab.
#[must_use]
pub fn lines(model: &AppState, snapshot: &Snapshot, pane: Rect, view: &TorrentView, detail: &Detail) -> usize {
    match model.tab {
        Tab::Files => model.panes.tree.len(),
        Tab::Trackers => trackers::len(detail),
        Tab::Log => log::len(model, snapshot, detail),
        Tab::Info => info::len(pane, view, detail),
        Tab::Peers | Tab::Pieces => 0,
    }
}

/// Draws the active tab, except for the peers tab.
pub fn draw(
    pen: &mut Painter<'_>,
    r: &Regions,
    model: &AppState,
    snapshot: &Snapshot,
    view: &TorrentView,
    detail: &Detail,
) {
    let area = r.pane;
    if area.is_empty() {
        return;
    }
    match model.tab {
        Tab::Info => info::draw(pen, area, model, view, detail, r.graph.is_empty()),
        Tab::Pieces => pieces::draw(pen, area, r.strip, model, view, detail),
        Tab::Peers => peers::draw(pen, area, model, view, detail),
        Tab::Files => files::draw(pen, area, model, detail),
        Tab::Trackers => trackers::draw(pen, area, model, detail),
        Tab::Log => log::draw(pen, area, model, snapshot, detail),
    }
}

/// Returns the first visible row of a list, such that the selected row is about in the middle.
#[must_use]
pub fn top(model: &AppState, height: usize, count: usize) -> usize {
    let chosen = model.cursor[model.tab as usize].min(count.saturating_sub(1));
    first_visible(chosen.saturating_sub(height / 2), Some(chosen), height, count)
}

/// Draws a list with a selected row while the pane has the focus; `line` draws one row.
pub fn list(
    pen: &mut Painter<'_>,
    area: Rect,
    model: &AppState,
    count: usize,
    mut line: impl FnMut(&mut Painter<'_>, usize, u16),
) {
    let has_keys = model.pane == Focus::Detail;
    let chosen = model.cursor[model.tab as usize].min(count.saturating_sub(1));
    let height = usize::from(area.height);
    let top = top(model, height, count);
    for (row, at) in (top..count.min(top + height)).enumerate() {
        let y = area.y + row as u16;
        if has_keys && at == chosen {
            pen.restyle(Rect::new(area.x, y, area.width, 1), model.theme.chosen);
            pen.put(area.x + 1, y, 1, ">", model.theme.accent);
        }
        line(pen, at, y);
    }
    pen.scrollbar(area, top, count);
}
