//! Finds magnet links and URLs in pasted text.
//!
//! Browsers, mail clients, chats, shells and web pages wrap, escape and break links. This module extracts the bare
//! link; [`Magnet::parse`](crate::wire::magnet::Magnet::parse) validates it.

use percent_encoding::percent_decode_str;

use crate::wire::message::InfoHash;

use quoted_printable::{begins, decoded, goes_on, without_soft_break};

pub mod embedded;
mod quoted_printable;

/// Prefix of every magnet link that [`Link::find`] returns.
pub const MAGNET: &str = "magnet:?";
/// Pairs of quotation marks and brackets that are removed around a link.
const QUOTES: [(char, char); 12] = [
    ('<', '>'),
    ('"', '"'),
    ('\'', '\''),
    ('`', '`'),
    ('(', ')'),
    ('[', ']'),
    ('{', '}'),
    ('\u{201c}', '\u{201d}'),
    ('\u{201e}', '\u{201c}'),
    ('\u{2018}', '\u{2019}'),
    ('\u{ab}', '\u{bb}'),
    ('\u{2039}', '\u{203a}'),
];
/// Maximum number of quotation marks, brackets and other wrappings that are removed around a link.
const WRAPPED: usize = 32;
/// Maximum number of lines that are joined to one link.
const BROKEN: usize = 200;
/// Maximum number of times that a whole link is percent-decoded.
const ENCODED: usize = 3;

/// Parses an info-hash of 40 hex digits or 32 base32 digits.
#[must_use]
pub fn info_hash(text: &str) -> Option<InfoHash> {
    let bits = match text.len() {
        40 => 4,
        32 => 5,
        _ => return None,
    };
    let mut hash = [0_u8; 20];
    for (n, c) in text.bytes().enumerate() {
        let digit = match (bits, c) {
            (4, b'0'..=b'9') => c - b'0',
            (4, b'a'..=b'f') => c - b'a' + 10,
            (4, b'A'..=b'F') => c - b'A' + 10,
            (5, b'a'..=b'z') => c - b'a',
            (5, b'A'..=b'Z') => c - b'A',
            (5, b'2'..=b'7') => c - b'2' + 26,
            _ => return None,
        };
        for bit in 0..bits {
            let at = n * bits + bit;
            hash[at / 8] |= (digit >> (bits - 1 - bit) & 1) << (7 - at % 8);
        }
    }
    Some(InfoHash(hash))
}

/// A link found in text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Link {
    /// A magnet link, starting with [`MAGNET`]. A bare info-hash is converted to one.
    Magnet(String),
    Url(String),
}

/// Returns whether `c` is white space or invisible, and therefore not part of a link.
#[must_use]
pub const fn is_blank(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}')
}

fn begins_any(text: &str, starts: &[&str]) -> bool {
    starts.iter().any(|start| begins(text, start))
}

impl Link {
    /// Finds the link in `text`.
    ///
    /// Accepts links in brackets or quotes, Markdown and HTML links, links that are percent-encoded as a whole, escaped
    /// for HTML, JSON or a shell, broken over lines or without `magnet:?`, and bare info-hashes.
    #[must_use]
    pub fn find(text: &str) -> Option<Link> {
        let bare = strip_wrapping(text);
        if begins_any(bare, &["http://", "https://"]) {
            return Some(Link::Url(joined(bare).replace("&amp;", "&").replace(' ', "%20")));
        }
        magnet(bare).or_else(|| magnet(find_embedded(text)?)).map(Link::Magnet)
    }

    /// Returns the magnet links of a text that consists only of magnet links and info-hashes, one per line.
    ///
    /// `None` for an empty text and for any other text, such as a web page that contains links.
    #[must_use]
    pub fn only_magnets(text: &str) -> Option<Vec<String>> {
        let alone = |line: &str| magnet(strip_wrapping(line));
        let links: Option<Vec<String>> = lines(text).iter().map(|line| alone(line)).collect();
        links.filter(|links| !links.is_empty())
    }
}

/// Splits `text` into trimmed, non-empty lines and rejoins magnet links that were broken over lines.
#[must_use]
pub fn lines(text: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut parts = 1;
    for line in text.split(['\n', '\r', '\u{2028}', '\u{2029}']).map(|line| line.trim_matches(is_blank)) {
        if line.is_empty() {
            continue;
        }
        match out.last_mut().filter(|before| parts < BROKEN && continues_link(before, line)) {
            Some(before) => {
                before.truncate(without_soft_break(before, line).len());
                before.push_str(line);
                parts += 1;
            }
            None => {
                out.push(line.to_owned());
                parts = 1;
            }
        }
    }
    out
}

/// Returns whether `line` continues the magnet link in the line before.
fn continues_link(before: &str, line: &str) -> bool {
    let bare = strip_wrapping(before);
    if !begins_any(bare, &["magnet:", "magnet%3a", "urn:btih:", "xt=urn:"]) || is_quoted(before) {
        return false;
    }
    let next = strip_wrapping(line);
    if begins_any(next, &["magnet:", "magnet%3a"]) {
        return false;
    }
    if goes_on(before, line) {
        return true;
    }
    if begins_any(next, &["http://", "https://", "urn:"]) {
        return false;
    }
    // The line break may be inside the info-hash or directly before it.
    let whole = magnet(bare).is_none_or(|link| !hash_in(&link).is_empty() || link.contains("btmh:"));
    let path = begins_any(line, &["/", "~/", "./", "../", "file:", "\\\\"]) || line.get(1..3) == Some(":\\");
    let other = info_hash(line).is_some()
        || line.to_ascii_lowercase().ends_with(".torrent")
        || (path && !line.contains(['&', '=']));
    !whole || !(other || line.contains(' ') || opens(line))
}

/// Returns whether `text` starts with an opening quotation mark or bracket.
fn opens(text: &str) -> bool {
    QUOTES.iter().any(|(open, _)| text.starts_with(*open))
}

/// Returns whether `text` is enclosed in a matching pair of quotation marks or brackets.
fn is_quoted(text: &str) -> bool {
    QUOTES.iter().any(|(open, close)| text.len() > 1 && text.starts_with(*open) && text.ends_with(*close))
}

/// Strips blanks, quotation marks and brackets around `text`.
///
/// Of a Markdown or HTML link, returns the target.
fn strip_wrapping(text: &str) -> &str {
    let mut text = text.trim_matches(is_blank);
    for _ in 0..WRAPPED {
        let before = text.len();
        if let Some((_, target)) = text.split_once("](").filter(|_| text.starts_with('[') || text.starts_with("![")) {
            text = target.rsplit_once(')').map_or(target, |(target, _)| target);
        } else if begins(text, "<a ") {
            let target = text.find("href=").map(|at| &text[at + 5..]);
            text = target.map_or(text, |target| quoted(target).unwrap_or(target));
        } else if let Some((open, close)) = QUOTES.iter().find(|(open, _)| text.starts_with(*open)) {
            let rest = &text[open.len_utf8()..];
            text = rest.rfind(*close).map_or(rest, |at| &rest[..at]);
        } else if begins(text, "url:") {
            text = &text[4..];
        }
        text = text.trim_matches(is_blank);
        if text.len() == before {
            break;
        }
    }
    text
}

/// Returns the content of the quotation at the start of `text`; all the rest if it is not closed.
fn quoted(text: &str) -> Option<&str> {
    let (open, close) = QUOTES.iter().find(|(open, _)| text.starts_with(*open))?;
    let rest = &text[open.len_utf8()..];
    Some(rest.find(*close).map_or(rest, |at| &rest[..at]))
}

/// Finds a magnet link in the middle of `text`.
///
/// The link ends where the quotation or HTML element around it ends.
fn find_embedded(text: &str) -> Option<&str> {
    let lower = text.to_ascii_lowercase();
    let starts = lower.match_indices("magnet").map(|(at, _)| at);
    let at = starts.into_iter().find(|at| {
        let after = lower[at + 6..].trim_start_matches("%25").trim_start_matches("%3a").trim_start_matches(':');
        let word = lower[..*at].chars().next_back().is_none_or(|c| !c.is_alphanumeric());
        word && after.len() < lower.len() - at - 6 && after.contains("btih")
    })?;
    let before = text[..at].chars().next_back();
    let link = &text[at..];
    let close = QUOTES.iter().find(|(open, _)| Some(*open) == before).map(|(_, close)| *close);
    let end = match (close, before) {
        (Some(close), _) => link.find(close),
        // The link is the text of an HTML element.
        (None, Some('>')) => link.find('<'),
        (None, _) => None,
    };
    Some(end.map_or(link, |end| &link[..end]))
}

/// Joins the lines of `text`: removes line breaks, indentation, control and invisible characters.
fn joined(text: &str) -> String {
    let parts = text.split(|c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}'));
    let mut out = String::with_capacity(text.len());
    for part in parts.map(|part| part.trim_matches(is_blank)).filter(|part| !part.is_empty()) {
        out.truncate(without_soft_break(&out, part).len());
        out.extend(part.chars().filter(|c| *c == ' ' || !is_blank(*c)));
    }
    out
}

/// Normalizes `text` to a magnet link: one line, decoded, with its scheme.
///
/// `None` if `text` is no magnet link.
fn magnet(text: &str) -> Option<String> {
    let mut link = joined(text);
    if let Some(plain) = decoded(&link) {
        link = plain;
    }
    for _ in 0..ENCODED {
        if !begins_any(&link, &["magnet%", "urn%", "xt%3d"]) {
            break;
        }
        link = percent_decode_str(&link).decode_utf8().ok()?.into_owned();
    }
    if link.contains('\\') {
        link = unescaped(&link.replace("\\u0026", "&").replace("\\u003d", "="));
    }
    let query = match link.trim_start_matches('?') {
        it if begins(it, "magnet:") => {
            let query = it[7..].trim_start_matches(['/', '?']);
            if begins(query, "%3f") { &query[3..] } else { query }
        }
        it if begins(it, "xt=urn:") => it,
        it if begins(it, "urn:btih:") || begins(it, "urn:btmh:") => return Some(format!("{MAGNET}xt={}", trimmed(it))),
        it if begins(it, "btih:") => return Some(format!("{MAGNET}xt=urn:{}", trimmed(it))),
        it => return info_hash(it).map(|_| format!("{MAGNET}xt=urn:btih:{it}")),
    };
    let decoded = (!query.contains('=')).then(|| percent_decode_str(query).decode_utf8().ok()).flatten();
    Some(format!("{MAGNET}{}", trimmed(decoded.as_deref().unwrap_or(query))))
}

/// Removes each backslash that escapes the following punctuation character.
fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '\\' || !chars.peek().is_some_and(char::is_ascii_punctuation) {
            out.push(c);
        } else {
            out.extend(chars.next());
        }
    }
    out
}

/// Removes trailing blanks, quotation marks and punctuation that belong to the surrounding text.
fn trimmed(query: &str) -> &str {
    query.trim_end_matches(|c: char| {
        is_blank(c) || matches!(c, '>' | '"' | '\'' | '`' | ',' | ';' | '\u{201d}' | '\u{2019}' | '\u{bb}')
    })
}

/// Returns the v1 info-hash in a magnet link as written; empty if there is no valid one.
fn hash_in(link: &str) -> &str {
    let Some(at) = link.to_ascii_lowercase().find("btih:") else { return "" };
    let rest = &link[at + 5..];
    let end = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
    Some(&rest[..end]).filter(|hash| info_hash(hash).is_some()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "c12fe1c06bba254a9dc9f519b335aa7c1367a88a";

    fn found(text: &str) -> String {
        match Link::find(text) {
            Some(Link::Magnet(link)) => link,
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn a_magnet_link_is_found_in_whatever_it_was_copied_with() {
        let plain = format!("magnet:?xt=urn:btih:{HASH}&dn=a b");
        let encoded = plain.replace(':', "%3A").replace('?', "%3f").replace('=', "%3D").replace('&', "%26");
        let encoded = encoded.replace(' ', "%20");
        let half = encoded.replacen("magnet%3A%3f", "magnet:?", 1);
        let shell = plain.replace('?', "\\?").replace('=', "\\=").replace('&', "\\&");
        for text in [
            plain.clone(),
            format!("  {plain}\r\n"),
            format!("\u{feff}{plain}\u{200b}"),
            format!("<{plain}>"),
            format!("\"{plain}\""),
            format!("'{plain}'"),
            format!("\u{201c}{plain}\u{201d}"),
            format!("\u{201e}{plain}\u{201c}"),
            format!("(<{plain}>)"),
            format!("`{plain}`,"),
            format!("{plain}>"),
            format!("<URL:{plain}>"),
            format!("[the (best) film]({plain})"),
            format!("[x](<{plain}>)"),
            format!("<a class=\"x\" href=\"{plain}\">a film</a>"),
            format!("the link is: {plain}"),
            format!("see <{plain}> for more"),
            format!("<li>{plain}</li>"),
            plain.replace("magnet:?", "MAGNET://?"),
            plain.replace("magnet:?", "magnet:/?"),
            plain.replace("magnet:?", "Magnet:"),
            plain.replace("magnet:?", "magnet:%3F"),
            plain.replace("magnet:?", "?"),
            plain.replace("magnet:?", ""),
            plain.replace("magnet:?xt=", ""),
            plain.replace("magnet:?xt=urn:", ""),
            encoded.replace('%', "%25"),
            encoded,
            half,
            shell,
            plain.replace('&', "\\u0026"),
            format!("{}\r\n    {}\n{}", &plain[..25], &plain[25..50], &plain[50..]),
        ] {
            assert_eq!(found(&text), plain, "{text}");
        }
        assert_eq!(found(&format!("<{HASH}>")), format!("magnet:?xt=urn:btih:{HASH}"));
    }

    #[test]
    fn what_is_no_link_is_none() {
        let page = format!("<!DOCTYPE html><a href='magnet:?xt=urn:btih:{HASH}'>x</a>");
        assert_eq!(Link::only_magnets(&page), None);
        for text in [
            "",
            "magnet.torrent",
            "films/electromagnet:btih.torrent",
            "a magnet: it pulls",
            "x.torrent",
            "<>",
            "[](",
            "[a](b)",
        ] {
            assert_eq!(Link::find(text), None, "{text}");
        }
        assert_eq!(found("magnet:?"), "magnet:?");
        assert_eq!(found("magnet:garbage"), "magnet:?garbage");
    }

    #[test]
    fn a_url_is_found_in_whatever_it_was_copied_with() {
        let want = Some(Link::Url("https://a.example/x%20y?a=b&c=d".into()));
        for text in [
            "https://a.example/x y?a=b&c=d",
            " <https://a.example/x y?a=b&amp;c=d>\n",
            "\"https://a.example/x%20y?a=b&c=d\"",
            "[magnet:?xt=urn:btih](https://a.example/x%20y?a=b&c=d)",
            "https://a.example/x%20y\r\n?a=b&c=d",
            "<a href=\"https://a.example/x%20y?a=b&amp;c=d\">x</a>",
        ] {
            assert_eq!(Link::find(text), want, "{text}");
        }
        let holds = format!("HTTP://a.example/?u=magnet:?xt=urn:btih:{HASH}");
        assert_eq!(Link::find(&holds), Some(Link::Url(holds.clone())));
    }

    #[test]
    fn links_broken_over_lines_are_one_each_and_others_stay_apart() {
        let link = format!("magnet:?xt=urn:btih:{HASH}&tr=http%3A%2F%2Fa.example%2Fannounce");
        for broken in [
            format!("magnet:?xt=urn:btih:\n{HASH}&tr=http%3A%2F%2Fa.example%2Fannounce"),
            format!("{}\r\n{}\r\n{}\r\n", &link[..30], &link[30..70], &link[70..]),
            format!("\n{}\n  {}\n", &link[..62], &link[62..]),
        ] {
            assert_eq!(lines(&broken), [link.as_str()], "{broken}");
        }
        let other = link.replace('c', "d");
        let list = format!("{link}\n{other}\n<{link}>\n/films/a.torrent\n{HASH}\nhttp://a.example/b\nb.torrent\n~/c d");
        assert_eq!(lines(&list).len(), 8, "{:?}", lines(&list));
        assert_eq!(Link::only_magnets(&format!("{link}\n\n{other}\n")).map(|links| links.len()), Some(2));
        assert_eq!(Link::only_magnets(""), None);
    }
}
