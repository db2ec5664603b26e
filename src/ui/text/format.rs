//! Text for terminal cells: sanitizing, measuring and truncating untrusted text, and numbers of bounded width.
//!
//! Text from the engine is already sanitized. It is sanitized again here because the terminal executes any escape
//! sequence that reaches it, and because columns align only if every character is as wide as measured.

use std::borrow::Cow;
use std::time::Duration;

use humansize::{DECIMAL, FormatSizeOptions, format_size};
use unicode_width::UnicodeWidthChar;

use crate::format;
pub(crate) use crate::format::{date_to_minute as clock_date, size as size_long, time_of_day};

/// Maximum number of combining marks (accents and the like) on one character.
const MARKS: usize = 4;

/// Placeholder for a control character. Not U+FFFD, which some terminals draw two cells wide and others omit.
const UNSHOWN: char = '?';

/// What to do with one character of an untrusted text.
enum Fate {
    Keep,
    Drop,
    Replace(char),
}

fn fate(c: char, marks: usize, ascii: bool) -> Fate {
    if c.is_ascii_graphic() || c == ' ' {
        return Fate::Keep;
    }
    if ascii {
        return if c.width() == Some(0) && !c.is_control() { Fate::Drop } else { Fate::Replace('?') };
    }
    match c {
        c if c.is_control() => Fate::Replace(UNSHOWN),
        // Line and paragraph separators, which some terminals execute, and characters that were replaced before.
        '\u{2028}' | '\u{2029}' | '\u{fffd}' => Fate::Replace(UNSHOWN),
        // Regional indicators combine into flags on some terminals only: plain letters do not.
        '\u{1f1e6}'..='\u{1f1ff}' => {
            let letter = c as u32 - 0x1f1e6 + u32::from(b'A');
            Fate::Replace(char::from_u32(letter).unwrap_or('?'))
        }
        // Skin tones and variation selectors change the width of the character before them.
        '\u{1f3fb}'..='\u{1f3ff}' | '\u{fe00}'..='\u{fe0f}' | '\u{e0000}'..='\u{e0fff}' => Fate::Drop,
        // Joiners, zero-width spaces, bidi controls and the like.
        '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' => {
            Fate::Drop
        }
        '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}' => Fate::Drop,
        '\u{fff0}'..='\u{fffb}' => Fate::Drop,
        c => match c.width() {
            None => Fate::Replace(UNSHOWN),
            Some(0) if marks >= MARKS => Fate::Drop,
            Some(_) => Fate::Keep,
        },
    }
}

/// Returns the text without control characters and characters of ambiguous width. With `ascii`, also without non-ASCII
/// characters.
pub(crate) fn clean(text: &str, ascii: bool) -> Cow<'_, str> {
    clean_within(text, ascii, u16::MAX)
}

/// Like [`clean`], but may stop once the text is wider than `width` cells.
pub(crate) fn clean_within(text: &str, ascii: bool, width: u16) -> Cow<'_, str> {
    let seen = usize::from(width) + 1;
    let head = text.get(..seen).unwrap_or(text);
    if head.len() == text.len().min(seen) && head.bytes().all(|b| b.is_ascii_graphic() || b == b' ') {
        return Cow::Borrowed(head);
    }
    let mut out = String::new();
    let mut marks = MARKS;
    let mut used = 0;
    for c in text.chars().take(seen * 16) {
        match fate(c, marks, ascii) {
            Fate::Keep => {
                marks = if c.width() == Some(0) { marks + 1 } else { 0 };
                used += usize::from(char_cells(c));
                out.push(c);
            }
            Fate::Replace(shown) => {
                marks = 0;
                used += 1;
                out.push(shown);
            }
            Fate::Drop => {}
        }
        if used > usize::from(width) {
            break;
        }
    }
    Cow::Owned(out)
}

/// Returns the text as it is drawn in at most `width` cells: cleaned, with the truncation mark `cut` if it is longer.
pub(crate) fn fit(text: Cow<'_, str>, width: u16, ascii: bool, cut: char) -> Cow<'_, str> {
    let text = match text {
        Cow::Borrowed(text) => clean_within(text, ascii, width),
        Cow::Owned(text) => {
            let changed = match clean_within(&text, ascii, width) {
                Cow::Borrowed(head) if head.len() == text.len() => None,
                cleaned => Some(cleaned.into_owned()),
            };
            Cow::Owned(changed.unwrap_or(text))
        }
    };
    if cells(&text) <= width {
        return text;
    }
    let Some(room) = width.checked_sub(1) else { return Cow::Borrowed("") };
    let mut head = prefix(&text, room).0.trim_end().to_owned();
    head.push(cut);
    Cow::Owned(head)
}

/// Returns the width of a character in cells: 0, 1 or 2.
pub(crate) fn char_cells(c: char) -> u16 {
    u16::try_from(c.width().unwrap_or(0)).unwrap_or(0)
}

/// Returns the width of a cleaned text in cells.
pub(crate) fn cells(text: &str) -> u16 {
    if text.is_ascii() {
        return u16::try_from(text.len()).unwrap_or(u16::MAX);
    }
    text.chars().fold(0_u16, |sum, c| sum.saturating_add(char_cells(c)))
}

/// Returns the longest prefix of `text` that fits in `width` cells, and its width.
pub(crate) fn prefix(text: &str, width: u16) -> (&str, u16) {
    if text.is_ascii() {
        let used = text.len().min(usize::from(width));
        return (&text[..used], used as u16);
    }
    let mut used = 0_u16;
    for (at, c) in text.char_indices() {
        let w = char_cells(c);
        if used + w > width {
            return (&text[..at], used);
        }
        used += w;
    }
    (text, used)
}

/// Wraps a text at spaces into lines of at most `width` cells; longer words are split.
pub(crate) fn wrap(text: &str, width: u16) -> Vec<String> {
    let width = width.max(1);
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut used = 0;
    for word in text.split_whitespace() {
        let mut rest = word;
        loop {
            let gap = u16::from(used > 0);
            let (head, w) = prefix(rest, width.saturating_sub(used + gap));
            if head.len() == rest.len() && used + gap <= width {
                if gap > 0 {
                    line.push(' ');
                }
                line.push_str(rest);
                used += gap + w;
                break;
            }
            if used > 0 {
                lines.push(std::mem::take(&mut line));
                used = 0;
                continue;
            }
            let (head, _) = prefix(rest, width);
            // A character is wider than the line: nothing fits.
            if head.is_empty() {
                return lines;
            }
            lines.push(head.to_owned());
            rest = &rest[head.len()..];
        }
    }
    if !line.is_empty() || lines.is_empty() {
        lines.push(line);
    }
    lines
}

/// Shortens the paths in a sentence that is wider than `width`: each keeps its beginning and its end. What else the
/// sentence says, such as the reason, is more useful than the folders in between.
pub(crate) fn shorten_paths(text: &str, width: u16) -> Cow<'_, str> {
    const HEAD: usize = 6;
    const LEAST: usize = 16;
    let mut over = usize::from(cells(text).saturating_sub(width));
    if over == 0 {
        return Cow::Borrowed(text);
    }
    let mut words: Vec<Cow<'_, str>> = text.split(' ').map(Cow::Borrowed).collect();
    for word in &mut words {
        let count = word.chars().count();
        if over == 0 || count <= LEAST || !word.contains(['/', '\\']) || word.contains("://") {
            continue;
        }
        let cut = (over + 1).min(count - LEAST);
        let head: String = word.chars().take(HEAD).collect();
        let tail: String = word.chars().skip(HEAD + cut).collect();
        *word = format!("{head}…{tail}").into();
        over = over.saturating_sub(cut - 1);
    }
    words.join(" ").into()
}

/// Formats a byte count in at most five characters: `3.9G`, `812M`, `0`. Decimal units.
pub(crate) fn size(bytes: u64) -> String {
    let short = |places| {
        let options = FormatSizeOptions::from(DECIMAL).decimal_places(places).space_after_value(false);
        let mut text = format_size(bytes, options);
        text.pop();
        text.replace('k', "K")
    };
    let text = short(1);
    if text.len() > 5 || bytes < 1000 { short(0) } else { text }
}

/// Formats a piece length, which is a power of two: `256 KiB`.
pub(crate) fn piece_length(bytes: u32) -> String {
    format::binary_size(bytes.into())
}

/// Formats bytes per second in at most five characters: `10.9M`, `612K`, `-` for zero. Decimal units.
pub(crate) fn rate(bytes: u64) -> String {
    if bytes == 0 {
        return "-".into();
    }
    let mut value = bytes as f64 / 1e3;
    for unit in ["K", "M", "G"] {
        if value < 99.95 {
            return format!("{:.1}{unit}", value.max(0.1));
        }
        if value < 999.5 {
            return format!("{value:.0}{unit}");
        }
        value /= 1e3;
    }
    if value < 99.95 { format!("{value:.1}T") } else { format!("{value:.0}T") }
}

/// Formats bytes per second with the unit, in at most nine characters: `10.9 MB/s`.
pub(crate) fn rate_long(bytes: u64) -> String {
    let short = rate(bytes);
    match short.strip_suffix(|c: char| c.is_ascii_alphabetic()) {
        Some(number) => format!("{number} {}B/s", short[number.len()..].replace('K', "k")),
        None => "0.0 kB/s".into(),
    }
}

/// Formats a duration in at most five characters: `42s`, `2m14`, `58m`, `1h05`, `22h`, `3d`.
pub(crate) fn time(time: Duration) -> String {
    let s = time.as_secs();
    match s {
        0..60 => format!("{s}s"),
        60..600 => format!("{}m{:02}", s / 60, s % 60),
        600..3600 => format!("{}m", s / 60),
        3600..36_000 => format!("{}h{:02}", s / 3600, s % 3600 / 60),
        36_000..172_800 => format!("{}h", s / 3600),
        172_800..86_400_000 => format!("{}d", s / 86_400),
        _ => "long".into(),
    }
}

/// Formats an ETA, `-` if unknown. Rounded in steps, because an estimate need not change every second.
pub(crate) fn eta(left: Option<Duration>) -> String {
    let Some(left) = left else { return "-".into() };
    let step = match left.as_secs() {
        0..20 => 1,
        20..60 => 5,
        60..600 => 10,
        600..3600 => 60,
        3600..36_000 => 300,
        _ => 3600,
    };
    time(Duration::from_secs(left.as_secs().next_multiple_of(step)))
}

/// Formats an elapsed time: `0:12:03`.
pub(crate) fn clock(time: Duration) -> String {
    let s = time.as_secs();
    format!("{}:{:02}:{:02}", s / 3600, s % 3600 / 60, s % 60)
}

/// Formats a share in whole percent. `100%` only if complete, `0%` only if empty.
pub(crate) fn percent(part: u64, whole: u64) -> String {
    if whole == 0 || part >= whole {
        return "100%".into();
    }
    format!("{}%", if part > 0 { format::percent(part, whole).max(1) } else { 0 })
}

/// Formats the share ratio: bytes sent divided by `size`, `-` while either is zero.
pub(crate) fn ratio(up: u64, size: u64) -> String {
    if size == 0 || up == 0 {
        return "-".into();
    }
    let ratio = up as f64 / size as f64;
    if ratio < 10.0 { format!("{ratio:.2}") } else { format!("{ratio:.0}") }
}

/// Formats a count: `1 piece`, `12,040 pieces`. Only for nouns whose plural adds an `s`.
pub(crate) fn counted(n: u64, thing: &str) -> String {
    format!("{} {thing}{}", grouped(n), if n == 1 { "" } else { "s" })
}

/// Formats an integer with thousands separators: `12,040`.
pub(crate) fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_in_their_columns() {
        let mut n = 1_u64;
        // No disk or link reaches a petabyte (per second); larger values would still be cut at the column.
        while n < 1 << 50 {
            for n in [n - 1, n, n + 1, n * 999 / 1000, n * 19 / 2] {
                assert!(size(n).len() <= 6, "{n}: {}", size(n));
                assert!(rate(n).len() <= 6, "{n}: {}", rate(n));
                assert!(time(Duration::from_secs(n)).len() <= 5, "{n}");
            }
            n = n.saturating_mul(10);
        }
        for n in (0..2_000_000).step_by(37) {
            assert!(size(n).len() <= 5 && rate(n).len() <= 5, "{n}: {} {}", size(n), rate(n));
        }
        let table = [(0, "-"), (1, "0.1K"), (999, "1.0K"), (10_900_000, "10.9M"), (99_960, "100K"), (999_600, "1.0M")];
        for (n, said) in table {
            assert_eq!(rate(n), said);
        }
        assert_eq!(rate_long(11_200_000), "11.2 MB/s");
        let table = [(0, "0"), (512, "512"), (3_900_000_000, "3.9G"), (812_400_000, "812M"), (41_200_000_000, "41.2G")];
        for (n, said) in table {
            assert_eq!(size(n), said);
        }
        let table = [(42, "42s"), (134, "2m14"), (3500, "58m"), (3900, "1h05"), (79_200, "22h"), (300_000, "3d")];
        for (n, said) in table {
            assert_eq!(time(Duration::from_secs(n)), said);
        }
    }

    #[test]
    fn paths_give_way_before_reasons() {
        let text = "cannot move film to /data/archive/2026/films/a very/long-folder-name/inner: permission denied";
        let short = shorten_paths(text, 80);
        assert!(short.ends_with("inner: permission denied") && short.contains('…') && cells(&short) <= 80, "{short}");
        assert_eq!(shorten_paths("a/b: no", 80), "a/b: no");
        assert_eq!(shorten_paths("no path here, but long", 5), "no path here, but long");
    }

    #[test]
    fn percent_is_honest_at_both_ends() {
        assert_eq!(percent(0, 1000), "0%");
        assert_eq!(percent(1, 1000), "1%");
        assert_eq!(percent(999, 1000), "99%");
        assert_eq!(percent(1000, 1000), "100%");
        assert_eq!(percent(u64::MAX - 1, u64::MAX), "99%");
    }

    #[test]
    fn a_guess_moves_in_steps() {
        let shown = |seconds| eta(Some(Duration::from_secs(seconds)));
        assert_eq!((eta(None), shown(0), shown(7)), ("-".into(), "0s".into(), "7s".into()));
        assert_eq!([shown(41), shown(45)], ["45s", "45s"]);
        assert_eq!([shown(58), shown(131), shown(140)], ["1m00", "2m20", "2m20"]);
        assert_eq!([shown(3541), shown(3661), shown(40_000)], ["1h00", "1h05", "12h"]);
    }

    #[test]
    fn nothing_is_left_for_the_terminal_to_obey() {
        assert_eq!(clean("\x1b]0;x\x07\u{9b}2Jok", false), "?]0;x??2Jok");
        assert_eq!(clean("a\u{202e}b\u{200d}c\u{feff}", false), "abc");
        assert_eq!(clean("\u{1f1e9}\u{1f1ea} \u{1f44d}\u{1f3fd}", false), "DE \u{1f44d}");
        let zalgo: String = std::iter::once('e').chain(std::iter::repeat_n('\u{301}', 3000)).collect();
        assert_eq!(clean(&zalgo, false).chars().count(), 1 + MARKS);
        assert_eq!(clean("\u{301}x", false), "x", "a mark needs a character to stand on");
        assert_eq!(clean("na\u{ef}ve \u{4e2d}", true), "na?ve ?");
    }

    #[test]
    fn a_text_that_is_longer_than_its_place_ends_with_a_mark() {
        let fitted = |text: &str, width| fit(Cow::Borrowed(text), width, false, '…').into_owned();
        assert_eq!(fitted("abc", 3), "abc");
        assert_eq!(fitted("abcd", 3), "ab…");
        assert_eq!(fitted("a bcd", 3), "a…", "no space before the mark");
        assert_eq!(fitted("\u{4e2d}\u{6587}\u{4e2d}", 4), "\u{4e2d}…");
        assert_eq!(fitted("abc", 0), "");
        assert_eq!(fitted("a\x1b[2J", 9), "a?[2J");
        assert_eq!(fit(Cow::Owned("a\u{301}b".to_owned()), 2, true, '~'), "ab");
    }

    #[test]
    fn wide_characters_are_never_halved() {
        assert_eq!(prefix("\u{4e2d}\u{6587}", 3), ("\u{4e2d}", 2));
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("abcdefgh", 3), ["abc", "def", "gh"]);
        assert_eq!(wrap("", 3), [""]);
    }
}
