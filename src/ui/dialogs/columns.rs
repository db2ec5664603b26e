//! The columns dialog: which columns a list shows, and in which order. Each change is seen and saved at once.

use ratatui::layout::Rect;

use crate::ui::dialogs::dialog::{CLOSE, CONFIRM, Dialog, DialogContext, Outcome, Request};
use crate::ui::keys::action::{Action, AppAction, DialogAction};
use crate::ui::keys::context::{KeyContext, Tab};
use crate::ui::state::app::{AppState, Focus};
use crate::ui::state::columns::{PEER_COLUMNS, PEER_KEY, TORRENT_COLUMNS, TORRENT_KEY, names, usual};
use crate::ui::state::settings::strings;
use crate::ui::widgets::list::ListState;
use crate::ui::widgets::panel::{HitTarget, Panel, bold, room};
use crate::ui::widgets::table::{self, Column};

/// A column and whether it is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Entry {
    name: &'static str,
    title: &'static str,
    help: &'static str,
    shown: bool,
}

/// The columns dialog.
#[derive(Debug)]
pub(crate) struct ColumnsDialog {
    /// Whether it is about the peer list rather than the torrent list.
    peers: bool,
    /// The columns in their order.
    entries: Vec<Entry>,
    rows: ListState,
    error: Option<&'static str>,
}

/// Returns the chosen columns in their order, and then the others.
fn entries<K: Copy + PartialEq>(chosen: &[K], all: &'static [Column<K>]) -> Vec<Entry> {
    let entry = |column: &Column<K>, shown| Entry { name: column.name, title: column.title, help: column.help, shown };
    let shown = table::chosen(chosen, all).map(|column| entry(&column, true));
    let others = all.iter().filter(|column| !chosen.contains(&column.key)).map(|column| entry(column, false));
    shown.chain(others).collect()
}

impl ColumnsDialog {
    /// Creates the dialog for the list that has the focus.
    pub(crate) fn new(state: &AppState) -> Self {
        ColumnsDialog::of(state.pane == Focus::Detail && state.tab == Tab::Peers, state)
    }

    fn of(peers: bool, state: &AppState) -> Self {
        let entries = if peers {
            entries(&state.options.peer_columns, PEER_COLUMNS)
        } else {
            entries(&state.options.torrent_columns, TORRENT_COLUMNS)
        };
        ColumnsDialog { peers, entries, rows: ListState::default(), error: None }
    }

    /// Returns the number of visible rows.
    fn height(&self, size: (u16, u16)) -> usize {
        usize::from(room(size.1, self.entries.len() + 1)).saturating_sub(1).max(1)
    }

    /// Returns the request that saves the columns as they are now.
    fn save(&self) -> Outcome {
        let chosen: Vec<&str> = self.entries.iter().filter(|entry| entry.shown).map(|entry| entry.name).collect();
        let (key, usual) = if self.peers {
            (PEER_KEY, names(&usual(PEER_COLUMNS), PEER_COLUMNS))
        } else {
            (TORRENT_KEY, names(&usual(TORRENT_COLUMNS), TORRENT_COLUMNS))
        };
        let value = (chosen != usual).then(|| strings(chosen.into_iter()));
        Outcome::Do(Request::Configure(key, value))
    }

    /// Shows or hides the selected column; the last one that is shown stays.
    fn toggle(&mut self) -> Outcome {
        let shown = self.entries.iter().filter(|entry| entry.shown).count();
        let Some(entry) = self.entries.get_mut(self.rows.at) else { return Outcome::Stay };
        if entry.shown && shown == 1 {
            self.error = Some("at least one column has to be shown");
            return Outcome::Stay;
        }
        entry.shown = !entry.shown;
        self.save()
    }

    /// Moves the selected column by a row.
    fn shift(&mut self, by: isize, cx: &DialogContext<'_>) -> Outcome {
        let from = self.rows.at;
        let Some(to) = from.checked_add_signed(by).filter(|to| *to < self.entries.len()) else { return Outcome::Stay };
        self.entries.swap(from, to);
        let height = self.height(cx.state.size);
        self.rows.move_by(by, self.entries.len(), height);
        self.save()
    }

    /// Goes back to the usual columns.
    fn reset(&mut self) -> Outcome {
        self.entries = if self.peers {
            entries(&usual(PEER_COLUMNS), PEER_COLUMNS)
        } else {
            entries(&usual(TORRENT_COLUMNS), TORRENT_COLUMNS)
        };
        self.save()
    }
}

impl Dialog for ColumnsDialog {
    fn contexts(&self) -> &'static [KeyContext] {
        &[KeyContext::Columns, KeyContext::Dialogs, KeyContext::Everywhere]
    }

    fn action(&mut self, action: Action, cx: &DialogContext<'_>) -> Outcome {
        self.error = None;
        match action {
            CLOSE | CONFIRM | Action::App(AppAction::Quit | AppAction::Columns) => Outcome::Close,
            Action::Dialog(DialogAction::ToggleOption) => self.toggle(),
            Action::Dialog(DialogAction::ColumnUp) => self.shift(-1, cx),
            Action::Dialog(DialogAction::ColumnDown) => self.shift(1, cx),
            Action::Dialog(DialogAction::ResetValue) => self.reset(),
            Action::Dialog(DialogAction::Complete) => {
                *self = ColumnsDialog::of(!self.peers, cx.state);
                Outcome::Stay
            }
            Action::Nav(action) => {
                let height = self.height(cx.state.size);
                self.rows.navigate(action, self.entries.len(), height);
                Outcome::Stay
            }
            _ => Outcome::Ignored,
        }
    }

    fn click_row(&mut self, row: usize, _cx: &DialogContext<'_>) -> Outcome {
        self.error = None;
        if std::mem::replace(&mut self.rows.at, row) == row { self.toggle() } else { Outcome::Stay }
    }

    fn scroll(&mut self, rows: isize, cx: &DialogContext<'_>) {
        let height = self.height(cx.state.size);
        self.rows.move_by(rows, self.entries.len(), height);
    }

    fn draw(&self, panel: &mut Panel<'_, '_>, cx: &DialogContext<'_>) {
        let theme = &cx.state.theme;
        let (title, other) =
            if self.peers { ("columns of the peers", "torrents") } else { ("columns of the torrents", "peers") };
        let buttons = [
            (Action::Dialog(DialogAction::ToggleOption), "show or hide"),
            (Action::Dialog(DialogAction::ColumnUp), "up"),
            (Action::Dialog(DialogAction::ColumnDown), "down"),
            (Action::Dialog(DialogAction::Complete), other),
            (Action::Dialog(DialogAction::ResetValue), "default"),
            (CLOSE, "close"),
        ];
        let room = panel.open(title, self.entries.len() + 1, &buttons);
        let height = usize::from(room.height).saturating_sub(1).max(1);
        let first = self.rows.first(self.entries.len(), height);
        for ((at, entry), y) in self.entries.iter().enumerate().skip(first).take(height).zip(room.y..) {
            let chosen = at == self.rows.at;
            if chosen {
                panel.choose(room, y);
            }
            panel.hit(Rect { y, height: 1, ..room }, HitTarget::Row(at));
            let style = if entry.shown { theme.text } else { theme.dim };
            let style = if chosen { style.patch(bold()) } else { style };
            let mark = if entry.shown { "[x]" } else { "[ ]" };
            panel.pen.put(room.x + 2, y, 3, mark, if entry.shown { theme.accent } else { theme.dim });
            panel.pen.put(room.x + 6, y, 8, &table::title(entry.title, theme), style);
            panel.pen.put(room.x + 15, y, 15, entry.name, style);
            panel.pen.put(room.x + 31, y, room.width.saturating_sub(32), entry.help, theme.dim);
        }
        let list = Rect { height: height as u16, width: room.width + 1, ..room };
        panel.pen.scrollbar(list, first, self.entries.len());
        let foot = Rect { y: room.y + height as u16, height: 1, ..room }.intersection(room);
        match self.error {
            Some(error) => panel.line(foot, foot.y, error, theme.bad),
            None => panel.line(foot, foot.y, "what does not fit is left out, the least important first", theme.dim),
        }
    }
}
