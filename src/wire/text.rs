//! The one place where strangers' text is made harmless before anybody sees it.
//!
//! Names, comments, tracker messages, client names and URLs come from strangers and end on a terminal, in a window
//! title, in a log. Controls, escapes and bidirectional overrides become a visible mark, invisible characters go, and
//! piles of combining marks are cut.

use std::borrow::Cow;

use unicode_normalization::char::is_combining_mark;
use unicode_width::UnicodeWidthChar;

/// What stands where a harmful character was.
pub const MARK: char = '\u{fffd}';
/// What ends a text that was cut.
pub const CUT: char = '…';
/// The most combining marks left on one character.
pub const MARKS: usize = 4;

/// A number of things: `1 piece`, `2 pieces`. For words that get an `s`.
#[must_use]
pub fn counted(n: impl Into<u64>, thing: &str) -> String {
    let n = n.into();
    format!("{n} {thing}{}", if n == 1 { "" } else { "s" })
}

/// What a character would do on a screen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Harm {
    /// Nothing.
    None,
    /// It moves the cursor, begins an escape sequence or breaks the line: C0, DEL, C1, line separators.
    Control,
    /// It changes the direction of the text around it.
    Direction,
    /// It cannot be seen, or changes how wide the character before it is drawn.
    Invisible,
}

/// What this character would do on a screen.
#[must_use]
pub fn harm(c: char) -> Harm {
    match c {
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' => Harm::Control,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => Harm::Direction,
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
        | '\u{e0000}'..='\u{e0fff}' => Harm::Invisible,
        _ => Harm::None,
    }
}

/// One line of harmless text, at most `max` columns wide. Line breaks and tabs become spaces, other controls and
/// overrides [`MARK`], invisible characters go; what is too long is cut and ends in [`CUT`].
#[must_use]
pub fn clean(text: &str, max: usize) -> String {
    let mut out = String::new();
    let mut columns = 0;
    let mut marks = 0;
    // Where to cut to make room for the mark of a cut.
    let mut fits = 0;
    for c in text.chars() {
        let c = match harm(c) {
            Harm::None => c,
            Harm::Control if matches!(c, '\n' | '\r' | '\t') => ' ',
            Harm::Control | Harm::Direction => MARK,
            Harm::Invisible => continue,
        };
        let width = c.width().unwrap_or(0);
        if width == 0 {
            marks += 1;
            // A mark with nothing before it would stick to whatever stands to its left on the screen.
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

/// [`clean`] for bytes that should be UTF-8; what is not becomes [`MARK`].
#[must_use]
pub fn clean_bytes(bytes: &[u8], max: usize) -> String {
    // No character takes more than four bytes, and no column more than `MARKS` + 1 characters; the margin is for
    // characters that are left out.
    let most = max.saturating_mul(4 * (MARKS + 1)).saturating_add(4096);
    clean(&String::from_utf8_lossy(&bytes[..bytes.len().min(most)]), max)
}

/// A text of any length for a terminal: as it is, but for controls and overrides, which become [`MARK`], and invisible
/// characters, which go. Tabs stay, and line breaks where `lines` says so; otherwise a break becomes a space, so that
/// nobody can feign a line.
#[must_use]
pub fn harmless(text: &str, lines: bool) -> Cow<'_, str> {
    let stays = |c: char| c == '\t' || c == '\n' && lines;
    if text.chars().all(|c| stays(c) || harm(c) == Harm::None) {
        return Cow::Borrowed(text);
    }
    let shown = |c: char| match harm(c) {
        Harm::None => Some(c),
        _ if stays(c) => Some(c),
        Harm::Control if matches!(c, '\n' | '\r') => Some(' '),
        Harm::Control | Harm::Direction => Some(MARK),
        Harm::Invisible => None,
    };
    Cow::Owned(text.chars().filter_map(shown).collect())
}

/// JSON in which what a terminal might obey is escaped: C1 controls and overrides may stand in JSON as they are, but not
/// on a screen. Its texts stay the same.
#[must_use]
pub fn harmless_json(json: &str) -> Cow<'_, str> {
    if json.chars().all(|c| harm(c) == Harm::None) {
        return Cow::Borrowed(json);
    }
    let mut out = String::with_capacity(json.len() + 64);
    for c in json.chars() {
        match harm(c) {
            Harm::None => out.push(c),
            _ => c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04x}"))),
        }
    }
    Cow::Owned(out)
}

/// Whether this character is drawn upon the one before it.
#[must_use]
pub fn is_mark(c: char) -> bool {
    is_combining_mark(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_one_and_all_other_numbers_are_several() {
        let all = [0, 1, 2, 21, 1000].map(|n: u64| counted(n, "piece"));
        assert_eq!(all, ["0 pieces", "1 piece", "2 pieces", "21 pieces", "1000 pieces"]);
        assert_eq!((counted(1_u32, "byte"), counted(11_u8, "peer")), ("1 byte".into(), "11 peers".into()));
    }

    #[test]
    fn nothing_that_a_terminal_obeys_is_left() {
        let evil = "\x1b]0;pwned\x07\u{9b}31m a\tb\nc\u{202e}gnp.exe\u{2066}\u{200b}\u{feff}\u{7f}";
        let clean = clean(evil, 200);
        assert_eq!(clean, "\u{fffd}]0;pwned\u{fffd}\u{fffd}31m a b c\u{fffd}gnp.exe\u{fffd}\u{fffd}");
        for c in (0..=0x0010_ffff_u32).filter_map(char::from_u32) {
            let text = super::clean(&format!("a{c}b"), 10);
            assert!(!text.chars().any(|c| c.is_control() || matches!(harm(c), Harm::Direction | Harm::Invisible)));
        }
    }

    #[test]
    fn a_text_of_many_lines_keeps_them_and_nothing_else_that_a_terminal_obeys() {
        let evil = "a\nb\r\x1b[2J\u{9b}m\u{202e}\u{200b}\t\u{e9}\x07";
        assert_eq!(harmless(evil, true), "a\nb \u{fffd}[2J\u{fffd}m\u{fffd}\t\u{e9}\u{fffd}");
        assert_eq!(harmless("x\nprogress name=\"y\"", false), "x progress name=\"y\"");
        assert!(matches!(harmless("plain text", false), Cow::Borrowed(_)));
        assert_eq!(harmless_json("\"a\u{9b}\u{202e}\u{e0001}\""), "\"a\\u009b\\u202e\\udb40\\udc01\"");
    }

    #[test]
    fn piles_of_marks_are_cut_and_do_not_begin_a_text() {
        let pile = format!("a{}b", "\u{301}".repeat(3000));
        assert_eq!(clean(&pile, 10), format!("a{}b", "\u{301}".repeat(MARKS)));
        assert_eq!(clean("\u{301}a", 10), "a");
    }

    #[test]
    fn what_is_too_wide_is_cut_by_columns() {
        assert_eq!(clean("abcdef", 6), "abcdef");
        assert_eq!(clean("abcdefg", 6), "abcde…");
        assert_eq!(clean("雪雪雪雪", 6), "雪雪…");
        assert_eq!(clean("雪雪雪", 6), "雪雪雪");
        assert_eq!(clean("\u{263a}\u{fe0f}", 1), "\u{263a}", "a selector would make it two columns wide");
        assert_eq!(clean("abc", 0), "");
        assert_eq!(clean_bytes(b"caf\xe9", 10), "caf\u{fffd}");
        assert_eq!(clean_bytes(&vec![b'x'; 1 << 20], 3), "xx…");
    }
}
