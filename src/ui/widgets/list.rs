//! Selection and scroll position of a list of rows.

use crate::ui::keys::key::Key;

/// Returns the first line to show so that line `chosen` of `count` is within `height` lines, as close to `top` as
/// possible.
#[must_use]
pub fn first_visible(top: usize, chosen: Option<usize>, height: usize, count: usize) -> usize {
    let top = top.min(count.saturating_sub(height));
    match chosen {
        Some(at) if at < top => at,
        Some(at) if height > 0 && at >= top + height => at + 1 - height,
        _ => top,
    }
}

/// Selection and scroll position of a list.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ListState {
    /// Selected row.
    pub at: usize,
    top: usize,
}

impl ListState {
    /// Moves the selection by a key in a list of `count` rows, `height` of them visible; returns `false` for other
    /// keys.
    pub fn key(&mut self, key: Key, count: usize, height: usize) -> bool {
        let page = height.max(2) - 1;
        let last = count.saturating_sub(1);
        self.at = match key {
            Key::Up => self.at.saturating_sub(1),
            Key::Down => self.at.saturating_add(1),
            Key::PageUp | Key::Ctrl('b') => self.at.saturating_sub(page),
            Key::PageDown | Key::Ctrl('f') => self.at.saturating_add(page),
            Key::Home => 0,
            Key::End => last,
            _ => return false,
        }
        .min(last);
        self.top = self.first(count, height);
        true
    }

    /// Moves the selection by a number of rows.
    pub fn by(&mut self, by: i32, count: usize, height: usize) {
        self.at = self.at.saturating_add_signed(by as isize).min(count.saturating_sub(1));
        self.top = self.first(count, height);
    }

    /// Returns the first visible row.
    #[must_use]
    pub fn first(&self, count: usize, height: usize) -> usize {
        first_visible(self.top, Some(self.at), height, count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chosen_row_is_always_seen() {
        let mut rows = ListState::default();
        for (key, at, first) in [
            (Key::Up, 0, 0),
            (Key::PageDown, 4, 0),
            (Key::Down, 5, 1),
            (Key::End, 99, 95),
            (Key::Up, 98, 95),
            (Key::PageUp, 94, 94),
            (Key::Home, 0, 0),
        ] {
            assert!(rows.key(key, 100, 5));
            assert_eq!((rows.at, rows.first(100, 5)), (at, first), "{key:?}");
        }
        assert!(rows.key(Key::End, 0, 5) && rows.at == 0, "an empty list has no rows");
        assert!(!rows.key(Key::Enter, 100, 5));
    }
}
