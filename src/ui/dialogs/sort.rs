//! The sort menu: all columns by which the focused list can be sorted, also those that are not shown. The list is sorted
//! at once by the selected one.

use ratatui::layout::Rect;

use crate::ui::dialogs::dialog::{CLOSE, CONFIRM, Dialog, DialogContext, Outcome, Request};
use crate::ui::keys::action::{Action, AppAction, NavAction, ViewAction};
use crate::ui::keys::context::{KeyContext, Tab};
use crate::ui::state::app::{AppState, Focus};
use crate::ui::state::columns::{PEER_COLUMNS, SortBy, TORRENT_COLUMNS};
use crate::ui::widgets::list::ListState;
use crate::ui::widgets::panel::{HitTarget, Panel, bold, room};
use crate::ui::widgets::table;

/// The most rows that are shown at once, so that the list above is seen.
const ROWS: usize = 8;

/// A column to sort by: title, description.
type Entry = (SortBy, &'static str, &'static str);

/// The sort menu.
#[derive(Debug)]
pub(crate) struct SortDialog {
    entries: Vec<Entry>,
    rows: ListState,
}

impl SortDialog {
    /// Creates the menu for the list that has the focus, with its sort order selected.
    pub(crate) fn new(state: &AppState) -> Self {
        let peers = state.pane == Focus::Detail && state.tab == Tab::Peers;
        let entries: Vec<Entry> = if peers {
            let sorts = PEER_COLUMNS.iter().filter(|column| column.sorts);
            sorts.map(|column| (SortBy::Peers(column.key), column.title, column.help)).collect()
        } else {
            let sorts = TORRENT_COLUMNS.iter().filter(|column| column.sorts);
            sorts.map(|column| (SortBy::Torrents(column.key), column.title, column.help)).collect()
        };
        let now = if peers { SortBy::Peers(state.peer_sort) } else { SortBy::Torrents(state.sort) };
        let at = entries.iter().position(|entry| entry.0 == now).unwrap_or(0);
        let mut rows = ListState::default();
        rows.move_by(at as isize, entries.len(), ROWS);
        SortDialog { entries, rows }
    }

    fn height(size: (u16, u16)) -> usize {
        room(size.1, ROWS).into()
    }

    /// Selects the column after the selected one, or the first.
    fn next(&mut self, size: (u16, u16)) -> Outcome {
        let last = self.rows.at + 1 >= self.entries.len();
        let step = if last { NavAction::First } else { NavAction::Down };
        self.rows.navigate(step, self.entries.len(), Self::height(size));
        self.sort()
    }

    fn sort(&self) -> Outcome {
        self.entries.get(self.rows.at).map_or(Outcome::Stay, |entry| Outcome::Do(Request::Sort(entry.0)))
    }
}

impl Dialog for SortDialog {
    fn contexts(&self) -> &'static [KeyContext] {
        &[KeyContext::Dialogs, KeyContext::Torrents, KeyContext::Everywhere]
    }

    fn action(&mut self, action: Action, cx: &DialogContext<'_>) -> Outcome {
        match action {
            CLOSE | CONFIRM | Action::App(AppAction::Quit) => Outcome::Close,
            Action::View(ViewAction::Sort) => self.next(cx.state.size),
            Action::View(ViewAction::Reverse) => Outcome::Do(Request::Run(action)),
            Action::Nav(action) => {
                self.rows.navigate(action, self.entries.len(), Self::height(cx.state.size));
                self.sort()
            }
            _ => Outcome::Ignored,
        }
    }

    fn click_row(&mut self, row: usize, _cx: &DialogContext<'_>) -> Outcome {
        if std::mem::replace(&mut self.rows.at, row) == row { Outcome::Close } else { self.sort() }
    }

    fn scroll(&mut self, rows: isize, cx: &DialogContext<'_>) {
        self.rows.move_by(rows, self.entries.len(), Self::height(cx.state.size));
    }

    fn draw(&self, panel: &mut Panel<'_, '_>, cx: &DialogContext<'_>) {
        let theme = &cx.state.theme;
        let count = self.entries.len();
        let reverse = Action::View(ViewAction::Reverse);
        let next = Action::View(ViewAction::Sort);
        let room = panel.open("sort by", ROWS, &[(next, "next"), (reverse, "reverse"), (CONFIRM, "close")]);
        let first = self.rows.first(count, room.height.into());
        for ((at, (by, title, help)), y) in self.entries.iter().enumerate().skip(first).zip(room.y..room.bottom()) {
            let chosen = at == self.rows.at;
            if chosen {
                panel.choose(room, y);
            }
            panel.hit(Rect { y, height: 1, ..room }, HitTarget::Row(at));
            let style = if chosen { theme.text.patch(bold()) } else { theme.text };
            panel.pen.put(room.x + 2, y, 9, &table::title(title, theme), style);
            panel.pen.put(room.x + 12, y, room.width.saturating_sub(13), help, theme.dim);
            if chosen {
                let reversed = match by {
                    SortBy::Torrents(_) => cx.state.reverse,
                    SortBy::Peers(_) => cx.state.peer_reverse,
                };
                let mark = theme.glyphs.sorted[usize::from(reversed)].to_string();
                panel.pen.put_right(room.right().saturating_sub(2), y, 1, &mark, theme.accent);
            }
        }
        panel.pen.scrollbar(Rect { width: room.width + 1, ..room }, first, count);
    }
}
