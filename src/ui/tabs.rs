//! The bar of tabs, and what the tabs have in common: lines that are walked through, of which one is chosen.

use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::api::{Detail, Snapshot, TorrentView};
use crate::ui::keys::Tab;
use crate::ui::layout::Regions;
use crate::ui::model::{Model, Pane, scroll};
use crate::ui::pen::Pen;
use crate::ui::text::{cells, clean_within};
use crate::ui::{files, info, log, peers, pieces, trackers};

/// The narrowest bar in which every tab has its name.
const NAMED: u16 = 58;

/// The first cell and the width of each tab.
fn places(area: Rect, open: Option<Tab>) -> impl Iterator<Item = (Tab, u16, u16)> {
    let mut x = area.x + 2;
    Tab::ALL.into_iter().map(move |tab| {
        let named = area.width >= NAMED || open == Some(tab);
        let width = if named { tab.title().len() as u16 + 4 } else { 3 };
        x += width;
        (tab, x - width, width)
    })
}

/// The tab that is in this cell of the bar.
#[must_use]
pub fn tab_at(area: Rect, x: u16) -> Option<Tab> {
    places(area, None).find(|(_, start, width)| x >= *start && x < start + width).map(|(tab, ..)| tab)
}

/// Draws the rule with the tabs.
pub fn bar(pen: &mut Pen<'_>, area: Rect, model: &Model, chosen: Option<&TorrentView>) {
    let theme = *pen.theme;
    pen.rule(area, "", theme.faint);
    let mut end = area.x;
    for (tab, x, width) in places(area, Some(model.tab)) {
        let open = tab == model.tab;
        let title =
            if width > 3 { format!("{} {}", tab as usize + 1, tab.title()) } else { (tab as usize + 1).to_string() };
        let style = match (open, model.pane) {
            (true, Pane::Detail) => theme.accent.patch(Style::new().add_modifier(ratatui::style::Modifier::BOLD)),
            (true, Pane::List) => theme.strong,
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

/// How many lines of a tab can be walked through.
#[must_use]
pub fn lines(model: &Model, snapshot: &Snapshot, pane: Rect, view: &TorrentView, detail: &Detail) -> usize {
    match model.tab {
        Tab::Files => model.panes.tree.len(),
        Tab::Trackers => trackers::len(detail),
        Tab::Log => log::len(model, snapshot, detail),
        Tab::Info => info::len(pane, view, detail),
        Tab::Peers | Tab::Pieces => 0,
    }
}

/// Draws an open tab that is not the table of peers.
pub fn draw(pen: &mut Pen<'_>, r: &Regions, model: &Model, snapshot: &Snapshot, view: &TorrentView, detail: &Detail) {
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

/// The first line of a list of `count` lines that is drawn in `height` of them, with the chosen one about the middle.
#[must_use]
pub fn top(model: &Model, height: usize, count: usize) -> usize {
    let chosen = model.cursor[model.tab as usize].min(count.saturating_sub(1));
    scroll(chosen.saturating_sub(height / 2), Some(chosen), height, count)
}

/// Draws a list of lines of which one is chosen while the pane has the keys; `line` draws one of them.
pub fn list(
    pen: &mut Pen<'_>,
    area: Rect,
    model: &Model,
    count: usize,
    mut line: impl FnMut(&mut Pen<'_>, usize, u16),
) {
    let has_keys = model.pane == Pane::Detail;
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
    pen.thumb(area, top, count);
}
