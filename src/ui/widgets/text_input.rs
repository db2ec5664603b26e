//! A single-line text input. The crate `tui-input` has neither the limit of the length nor the word that ends at a `/`,
//! and a wrapper that adds them and maps the actions is as long as this.

use crate::ui::keys::action::EditAction;
use crate::ui::text::format::{cells, char_cells, clean, prefix};

/// Maximum length in bytes of the text and of a paste.
pub(crate) const MAX_BYTES: usize = 64 * 1024;

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
        let room = MAX_BYTES.saturating_sub(self.text.len());
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

    /// Inserts a character at the cursor.
    pub fn type_char(&mut self, c: char) {
        self.insert(c.encode_utf8(&mut [0; 4]));
    }

    /// Moves the cursor or deletes text.
    pub fn edit(&mut self, action: EditAction) {
        match action {
            EditAction::Left => self.at = self.before(),
            EditAction::Right => self.at = self.after(),
            EditAction::Start => self.at = 0,
            EditAction::End => self.at = self.text.len(),
            EditAction::DeleteLeft => self.cut(self.before(), self.at),
            EditAction::DeleteRight => self.cut(self.at, self.after()),
            EditAction::DeleteWord => self.cut(self.word_before(), self.at),
            EditAction::DeleteToStart => self.cut(0, self.at),
            EditAction::DeleteToEnd => self.cut(self.at, self.text.len()),
        }
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
        use EditAction::{DeleteLeft, DeleteRight, DeleteToEnd, DeleteToStart, DeleteWord, Left, Right, Start};
        let table: &[(&str, &[EditAction], &str, usize)] = &[
            ("abc", &[Left, DeleteLeft], "ac", 1),
            ("abc", &[Start, DeleteRight], "bc", 0),
            ("a/b/cd", &[DeleteWord], "a/b/", 4),
            ("a/b/", &[DeleteWord], "a/", 2),
            ("abc", &[Left, DeleteToEnd], "ab", 2),
            ("abc", &[Left, DeleteToStart], "c", 0),
            ("e\u{301}x", &[Left, DeleteLeft], "x", 0),
            ("中", &[Left, Right], "中", 3),
            ("", &[Left, DeleteLeft, Right, DeleteRight], "", 0),
        ];
        for (before, actions, after, at) in table {
            let mut input = TextInput::new(before);
            for action in *actions {
                input.edit(*action);
            }
            assert_eq!((input.text(), input.at), (*after, *at), "{before} {actions:?}");
        }
        let mut input = TextInput::new("中");
        input.type_char('!');
        assert_eq!((input.text(), input.at), ("中!", 4));
    }

    #[test]
    fn the_cursor_is_always_in_the_window() {
        let mut edit = TextInput::new("0123456789中文");
        assert_eq!(edit.window(8), ("789中文".into(), 7));
        edit.edit(EditAction::Start);
        assert_eq!(edit.window(4), ("0123".into(), 0));
        assert_eq!(TextInput::new(&"x".repeat(1 << 20)).text().len(), MAX_BYTES);
        assert_eq!(TextInput::new("a\x1b\u{9b}\nb").text(), "ab");
    }
}
