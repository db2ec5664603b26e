//! Sanitizes untrusted text before it is displayed.
//!
//! Names, comments, tracker messages, client names and URLs from the network end up on a terminal, in a window title or
//! in a log. Control characters, escape sequences and bidirectional overrides are replaced by a visible mark, invisible
//! characters are removed, and runs of combining marks are truncated.

use std::borrow::Cow;

use unicode_normalization::char::is_combining_mark;
use unicode_width::UnicodeWidthChar;

/// Replacement for a removed control character or bidirectional override.
pub const MARK: char = '\u{fffd}';
/// Ellipsis at the end of truncated text.
pub const CUT: char = '…';
/// Maximum number of combining marks on one character.
pub const MARKS: usize = 4;

/// Effect of a character on a terminal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CharHazard {
    /// Harmless.
    None,
    /// Moves the cursor, starts an escape sequence or breaks the line: C0, DEL, C1, line separators.
    Control,
    /// Changes the direction of the surrounding text.
    Direction,
    /// Is invisible, or changes the width of the character before it.
    Invisible,
}

/// Classifies a character by its effect on a terminal.
#[must_use]
pub fn hazard(c: char) -> CharHazard {
    match c {
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' => CharHazard::Control,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
            CharHazard::Direction
        }
        '\u{ad}'
        | '\u{34f}'
        | '\u{115f}'
        | '\u{1160}'
        | '\u{17b4}'
        | '\u{17b5}'
        | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200d}'
        | '\u{2060}'..='\u{2065}'
        | '\u{206a}'..='\u{206f}'
        | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}'
        | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}'
        | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}' => CharHazard::Invisible,
        _ => CharHazard::None,
    }
}

/// Returns `text` as one harmless line of at most `max` columns.
///
/// Line breaks and tabs become spaces, other control characters and overrides become [`MARK`], invisible characters are
/// removed. Truncated text ends in [`CUT`].
#[must_use]
pub fn sanitize(text: &str, max: usize) -> String {
    let mut out = String::new();
    let mut columns = 0;
    let mut marks = 0;
    // Length of the longest prefix that leaves a column for `CUT`.
    let mut fits = 0;
    for c in text.chars() {
        let c = match hazard(c) {
            CharHazard::None => c,
            CharHazard::Control if matches!(c, '\n' | '\r' | '\t') => ' ',
            CharHazard::Control | CharHazard::Direction => MARK,
            CharHazard::Invisible => continue,
        };
        let width = c.width().unwrap_or(0);
        if width == 0 {
            marks += 1;
            // A mark at the start would be drawn on the character to the left of the text on the screen.
            if marks > MARKS || out.is_empty() {
                continue;
            }
        } else {
            marks = 0;
        }
        if columns + width > max {
            out.truncate(fits);
            if max > 0 {
                out.push(CUT);
            }
            return out;
        }
        out.push(c);
        columns += width;
        if columns < max {
            fits = out.len();
        }
    }
    out
}

/// Sanitizes bytes as [`sanitize`] does; invalid UTF-8 becomes [`MARK`].
#[must_use]
pub fn sanitize_bytes(bytes: &[u8], max: usize) -> String {
    // A character takes at most four bytes and a column at most `MARKS` + 1 characters; the margin is for characters
    // that are removed.
    let most = max.saturating_mul(4 * (MARKS + 1)).saturating_add(4096);
    sanitize(&String::from_utf8_lossy(&bytes[..bytes.len().min(most)]), max)
}

/// Sanitizes text of any length for a terminal.
///
/// Control characters and overrides become [`MARK`], invisible characters are removed, tabs are kept. Line feeds are
/// kept if `lines` is set; otherwise line breaks become spaces, so that the text cannot fake another line of output.
#[must_use]
pub fn sanitize_for_terminal(text: &str, lines: bool) -> Cow<'_, str> {
    let stays = |c: char| c == '\t' || c == '\n' && lines;
    if text.chars().all(|c| stays(c) || hazard(c) == CharHazard::None) {
        return Cow::Borrowed(text);
    }
    let shown = |c: char| match hazard(c) {
        CharHazard::None => Some(c),
        _ if stays(c) => Some(c),
        CharHazard::Control if matches!(c, '\n' | '\r') => Some(' '),
        CharHazard::Control | CharHazard::Direction => Some(MARK),
        CharHazard::Invisible => None,
    };
    Cow::Owned(text.chars().filter_map(shown).collect())
}

/// Escapes characters in JSON that could affect a terminal.
///
/// JSON allows C1 controls and bidirectional overrides to be unescaped. The values of the strings do not change.
#[must_use]
pub fn escape_json_for_terminal(json: &str) -> Cow<'_, str> {
    if json.chars().all(|c| hazard(c) == CharHazard::None) {
        return Cow::Borrowed(json);
    }
    let mut out = String::with_capacity(json.len() + 64);
    for c in json.chars() {
        match hazard(c) {
            CharHazard::None => out.push(c),
            _ => c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04x}"))),
        }
    }
    Cow::Owned(out)
}

/// Returns whether this is a combining mark, drawn on the character before it.
#[must_use]
pub fn is_mark(c: char) -> bool {
    is_combining_mark(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_is_left() {
        let evil = "\x1b]0;pwned\x07\u{9b}31m a\tb\nc\u{202e}gnp.exe\u{2066}\u{200b}\u{feff}\u{7f}";
        let clean = sanitize(evil, 200);
        assert_eq!(clean, "\u{fffd}]0;pwned\u{fffd}\u{fffd}31m a b c\u{fffd}gnp.exe\u{fffd}\u{fffd}");
        for c in (0..=0x0010_ffff_u32).filter_map(char::from_u32) {
            let text = super::sanitize(&format!("a{c}b"), 10);
            assert!(
                !text
                    .chars()
                    .any(|c| c.is_control() || matches!(hazard(c), CharHazard::Direction | CharHazard::Invisible))
            );
        }
    }

    #[test]
    fn a_text_of_many_lines_keeps_them_and_nothing_else_that_a_terminal_obeys() {
        let evil = "a\nb\r\x1b[2J\u{9b}m\u{202e}\u{200b}\t\u{e9}\x07";
        assert_eq!(sanitize_for_terminal(evil, true), "a\nb \u{fffd}[2J\u{fffd}m\u{fffd}\t\u{e9}\u{fffd}");
        assert_eq!(sanitize_for_terminal("x\nprogress name=\"y\"", false), "x progress name=\"y\"");
        assert!(matches!(sanitize_for_terminal("plain text", false), Cow::Borrowed(_)));
        assert_eq!(escape_json_for_terminal("\"a\u{9b}\u{202e}\u{e0001}\""), "\"a\\u009b\\u202e\\udb40\\udc01\"");
    }

    #[test]
    fn piles_of_marks_are_cut_and_do_not_begin_a_text() {
        let pile = format!("a{}b", "\u{301}".repeat(3000));
        assert_eq!(sanitize(&pile, 10), format!("a{}b", "\u{301}".repeat(MARKS)));
        assert_eq!(sanitize("\u{301}a", 10), "a");
    }

    #[test]
    fn what_is_too_wide_is_cut_by_columns() {
        assert_eq!(sanitize("abcdef", 6), "abcdef");
        assert_eq!(sanitize("abcdefg", 6), "abcde…");
        assert_eq!(sanitize("雪雪雪雪", 6), "雪雪…");
        assert_eq!(sanitize("雪雪雪", 6), "雪雪雪");
        assert_eq!(sanitize("\u{263a}\u{fe0f}", 1), "\u{263a}", "a selector would make it two columns wide");
        assert_eq!(sanitize("abc", 0), "");
        assert_eq!(sanitize_bytes(b"caf\xe9", 10), "caf\u{fffd}");
        assert_eq!(sanitize_bytes(&vec![b'x'; 1 << 20], 3), "xx…");
    }
}
