//! The sentence that says what limits the selected torrent; on a large screen with the numbers behind it.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::{Paragraph, Widget};

use crate::api::TorrentView;
use crate::ui::keys::action::{Action, TorrentAction};
use crate::ui::state::app::AppState;
use crate::ui::text::format::{shorten_paths, wrap};
use crate::ui::widgets::key_values::{Arrangement, KeyValues, Pair};
use crate::ui::widgets::painter::{Painter, fit};
use crate::words::why;

/// What limits the selected torrent, below a rule if there is room for it.
pub(crate) struct WhyLine<'a> {
    pub state: &'a AppState,
    /// The selected torrent.
    pub torrent: Option<&'a TorrentView>,
}

impl Widget for WhyLine<'_> {
    fn render(self, area: Rect, buf: &mut Buffer) {
        let theme = &self.state.theme;
        let mut pen = Painter { buf, theme };
        let mut inner = Rect { x: area.x + 1, width: area.width.saturating_sub(2), ..area };
        if area.height > 1 {
            pen.rule(area, "why", theme.dim);
            inner.y += 1;
            inner.height -= 1;
        }
        let Some(view) = self.torrent.filter(|_| !inner.is_empty()) else { return };
        let sentence = self.state.why_text(view);
        let numbers = why::numbers(&view.why);
        let style = if view.error.is_some() { theme.bad } else { theme.text };
        if inner.height == 1 {
            let more = format!("[{}] more", self.state.keymap.shown(Action::Torrent(TorrentAction::Why)));
            let mut right = inner.right();
            if area.width >= 60 && !numbers.is_empty() {
                right = pen.put_right(right, inner.y, 12, &more, theme.dim) - 2;
            }
            let room = right.saturating_sub(inner.x);
            pen.put(inner.x, inner.y, room, &shorten_paths(&sentence, room), style);
            return;
        }
        let mut lines = wrap(&sentence, inner.width);
        let room = usize::from(inner.height / 2).max(3);
        if lines.len() > room {
            lines.truncate(room);
            lines.iter_mut().skip(room - 1).for_each(|line| line.push(theme.glyphs.cut));
        }
        let used = (lines.len() as u16).min(inner.height);
        let lines: Vec<Line<'_>> = lines.into_iter().map(|line| fit(Line::from(line), inner.width, theme)).collect();
        Paragraph::new(lines).style(style).render(inner, buf);
        let pairs: Vec<Pair<'_>> =
            numbers.iter().map(|line| Pair::new(line.label.as_str(), line.value.as_str())).collect();
        let below = Rect { y: inner.y + used, height: inner.height - used, ..inner };
        KeyValues { pairs: &pairs, theme, arrangement: Arrangement::Right { wrap: true } }.render(below, buf);
    }
}
