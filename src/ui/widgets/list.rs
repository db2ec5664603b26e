//! Selection and scroll position of a list of rows, and scroll position of a text.

use crate::ui::keys::action::NavAction;

/// Returns the first line to show so that line `chosen` of `count` is within `height` lines, as close to `top` as
/// possible.
pub(crate) fn first_visible(top: usize, chosen: Option<usize>, height: usize, count: usize) -> usize {
    let top = top.min(count.saturating_sub(height));
    match chosen {
        Some(at) if at < top => at,
        Some(at) if height > 0 && at >= top + height => at + 1 - height,
        _ => top,
    }
}

/// Selection and scroll position of a list.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct ListState {
    /// Selected row.
    pub at: usize,
    top: usize,
}

impl ListState {
    /// Moves the selection in a list of `count` rows, `height` of them visible.
    pub(crate) fn navigate(&mut self, action: NavAction, count: usize, height: usize) {
        self.move_by(action.rows(height.max(2) - 1), count, height);
    }

    /// Moves the selection by a number of rows.
    pub(crate) fn move_by(&mut self, rows: isize, count: usize, height: usize) {
        self.at = self.at.saturating_add_signed(rows).min(count.saturating_sub(1));
        self.top = self.first(count, height);
    }

    /// Returns the first visible row.
    pub(crate) fn first(&self, count: usize, height: usize) -> usize {
        first_visible(self.top, Some(self.at), height, count)
    }
}

/// Scroll position of a text that may be longer than the screen.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ScrollState {
    top: usize,
}

impl ScrollState {
    /// Scrolls a text of `count` lines, `height` of them visible.
    pub fn navigate(&mut self, action: NavAction, count: usize, height: usize) {
        self.move_by(action.rows(height), count, height);
    }

    /// Scrolls by a number of lines.
    pub fn move_by(&mut self, rows: isize, count: usize, height: usize) {
        self.top = self.top.saturating_add_signed(rows).min(count.saturating_sub(height));
    }

    /// Returns the first visible line.
    #[must_use]
    pub const fn top(&self) -> usize {
        self.top
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chosen_row_is_always_seen() {
        let mut rows = ListState::default();
        for (action, at, first) in [
            (NavAction::Up, 0, 0),
            (NavAction::PageDown, 4, 0),
            (NavAction::Down, 5, 1),
            (NavAction::Last, 99, 95),
            (NavAction::Up, 98, 95),
            (NavAction::PageUp, 94, 94),
            (NavAction::First, 0, 0),
        ] {
            rows.navigate(action, 100, 5);
            assert_eq!((rows.at, rows.first(100, 5)), (at, first), "{action:?}");
        }
        rows.navigate(NavAction::Last, 0, 5);
        assert_eq!(rows.at, 0, "an empty list has no rows");
    }
}
