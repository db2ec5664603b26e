//! What is shown while there are no torrents: how to begin.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::widgets::Widget;

use crate::api::{Listening, Snapshot};
use crate::ui::keys::action::{Action, AppAction};
use crate::ui::state::app::AppState;
use crate::ui::text::format::cells;
use crate::ui::widgets::painter::Painter;

/// The keys to begin with.
pub(crate) struct Welcome<'a> {
    pub state: &'a AppState,
    pub snapshot: &'a Snapshot,
}

impl Widget for Welcome<'_> {
    fn render(self, area: Rect, buf: &mut Buffer) {
        let (state, snapshot, theme) = (self.state, self.snapshot, &self.state.theme);
        let mut pen = Painter { buf, theme };
        let width = area.width.min(58);
        let x = area.x + (area.width - width) / 2 + 1;
        let mut y = area.y + area.height.saturating_sub(8) * 2 / 5;
        pen.put(x, y, width, "No torrents yet", theme.strong);
        y += 2;
        let rows = [
            (state.keymap.shown(Action::App(AppAction::Add)), "add a torrent: a .torrent file, a URL, a magnet link"),
            ("", "or paste it here, one per line"),
            (state.keymap.shown(Action::App(AppAction::Palette)), "command palette"),
            (state.keymap.shown(Action::App(AppAction::Settings)), "settings"),
            (state.keymap.shown(Action::App(AppAction::Help)), "all keys"),
            (state.keymap.shown(Action::App(AppAction::Quit)), "quit"),
        ];
        let column = rows.iter().map(|(key, _)| cells(key)).max().unwrap_or(1) + 2;
        for (key, text) in rows {
            if y + 1 >= area.bottom() {
                return;
            }
            pen.put(x, y, column, key, theme.accent);
            let style = if key.is_empty() { theme.dim } else { theme.text };
            pen.put(x + column, y, width.saturating_sub(column + 1), text, style);
            y += 1;
        }
        if snapshot.port.listening == Listening::Starting && y + 1 < area.bottom() {
            pen.put(x, y + 1, width, "starting", theme.faint);
        }
    }
}
