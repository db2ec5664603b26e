//! A line that is being typed.

use crate::ui::keys::Key;
use crate::ui::text::{cells, char_cells, clean, prefix};

/// The most bytes that are taken from a paste or into a line.
pub const LONGEST: usize = 64 * 1024;

/// A line of text with a cursor. Holds no control characters.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Edit {
    text: String,
    /// In bytes; always between two characters, never before a mark.
    at: usize,
}

impl Edit {
    /// A line with the cursor at its end.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let mut edit = Edit::default();
        edit.insert(text);
        edit
    }

    /// What was typed.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether nothing was typed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Puts text at the cursor.
    pub fn insert(&mut self, text: &str) {
        let room = LONGEST.saturating_sub(self.text.len());
        let mut end = text.len().min(room);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let text: String = text[..end].chars().filter(|c| !c.is_control()).collect();
        self.text.insert_str(self.at, &text);
        self.at += text.len();
    }

    fn before(&self) -> usize {
        let mut at = self.at;
        for (start, c) in self.text[..self.at].char_indices().rev() {
            at = start;
            if char_cells(c) > 0 {
                break;
            }
        }
        at
    }

    fn after(&self) -> usize {
        let mut chars = self.text[self.at..].char_indices();
        chars.next();
        chars.find(|(_, c)| char_cells(*c) > 0).map_or(self.text.len(), |(at, _)| self.at + at)
    }

    fn word_before(&self) -> usize {
        let head = self.text[..self.at].trim_end_matches(['/', ' ', '\\']);
        head.rfind(['/', ' ', '\\']).map_or(0, |at| at + 1)
    }

    /// Does what a key means to a line; false if it means nothing to it.
    pub fn key(&mut self, key: Key) -> bool {
        match key {
            Key::Char(c) => self.insert(c.encode_utf8(&mut [0; 4])),
            Key::Left | Key::Ctrl('b') => self.at = self.before(),
            Key::Right | Key::Ctrl('f') => self.at = self.after(),
            Key::Home | Key::Ctrl('a') => self.at = 0,
            Key::End | Key::Ctrl('e') => self.at = self.text.len(),
            Key::Backspace => self.cut(self.before(), self.at),
            Key::Delete | Key::Ctrl('d') => self.cut(self.at, self.after()),
            Key::Ctrl('w') => self.cut(self.word_before(), self.at),
            Key::Ctrl('u') => self.cut(0, self.at),
            Key::Ctrl('k') => self.cut(self.at, self.text.len()),
            _ => return false,
        }
        true
    }

    fn cut(&mut self, from: usize, to: usize) {
        self.text.replace_range(from..to, "");
        self.at = from;
    }

    /// The part to show in `width` cells so that the cursor is in it, and the cursor's cell within it.
    #[must_use]
    pub fn window(&self, width: u16) -> (String, u16) {
        let width = width.max(1);
        let head = clean(&self.text[..self.at], false);
        let tail = clean(&self.text[self.at..], false).into_owned();
        let mut start = 0;
        let mut used = cells(&head);
        for (at, c) in head.char_indices() {
            if used < width {
                break;
            }
            used -= char_cells(c);
            start = at + c.len_utf8();
        }
        let (tail, _) = prefix(&tail, width - used);
        (format!("{}{tail}", &head[start..]), used)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_do_what_hands_expect() {
        let table: &[(&str, &[Key], &str, usize)] = &[
            ("abc", &[Key::Left, Key::Backspace], "ac", 1),
            ("abc", &[Key::Home, Key::Delete], "bc", 0),
            ("a/b/cd", &[Key::Ctrl('w')], "a/b/", 4),
            ("a/b/", &[Key::Ctrl('w')], "a/", 2),
            ("abc", &[Key::Left, Key::Ctrl('k')], "ab", 2),
            ("abc", &[Key::Left, Key::Ctrl('u')], "c", 0),
            ("e\u{301}x", &[Key::Left, Key::Backspace], "x", 0),
            ("中", &[Key::Left, Key::Right, Key::Char('!')], "中!", 4),
            ("", &[Key::Left, Key::Backspace, Key::Right, Key::Delete], "", 0),
        ];
        for (before, keys, after, at) in table {
            let mut edit = Edit::new(before);
            for key in *keys {
                assert!(edit.key(*key));
            }
            assert_eq!((edit.text(), edit.at), (*after, *at), "{before} {keys:?}");
        }
    }

    #[test]
    fn the_cursor_is_always_in_the_window() {
        let mut edit = Edit::new("0123456789中文");
        assert_eq!(edit.window(8), ("789中文".into(), 7));
        edit.key(Key::Home);
        assert_eq!(edit.window(4), ("0123".into(), 0));
        assert_eq!(Edit::new(&"x".repeat(1 << 20)).text().len(), LONGEST);
        assert_eq!(Edit::new("a\x1b\u{9b}\nb").text(), "ab");
    }
}
