//! A single-line text input.

use crate::ui::keys::key::Key;
use crate::ui::text::format::{cells, char_cells, clean, prefix};

/// Maximum length in bytes of the text and of a paste.
pub const LONGEST: usize = 64 * 1024;

/// A single-line text input with a cursor. Contains no control characters.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TextInput {
    text: String,
    /// Cursor position in bytes; always between two characters, never before a combining mark.
    at: usize,
}

impl TextInput {
    /// Creates an input with the cursor at the end of `text`.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let mut edit = TextInput::default();
        edit.insert(text);
        edit
    }

    /// Returns the typed text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns whether the text is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Inserts text at the cursor.
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

    /// Handles an editing key; returns `false` for other keys.
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

    /// Returns the part of the text to show in `width` cells so that the cursor is visible, and the cursor's cell in
    /// it.
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
            let mut edit = TextInput::new(before);
            for key in *keys {
                assert!(edit.key(*key));
            }
            assert_eq!((edit.text(), edit.at), (*after, *at), "{before} {keys:?}");
        }
    }

    #[test]
    fn the_cursor_is_always_in_the_window() {
        let mut edit = TextInput::new("0123456789中文");
        assert_eq!(edit.window(8), ("789中文".into(), 7));
        edit.key(Key::Home);
        assert_eq!(edit.window(4), ("0123".into(), 0));
        assert_eq!(TextInput::new(&"x".repeat(1 << 20)).text().len(), LONGEST);
        assert_eq!(TextInput::new("a\x1b\u{9b}\nb").text(), "ab");
    }
}
