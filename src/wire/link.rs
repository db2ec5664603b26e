//! Links as people paste them: magnet links and URLs with what stood around them where they were copied.
//!
//! Browsers, mails, chats, shells and web pages wrap, escape and break links. What is found here is the link alone;
//! whether it names a torrent is for [`Magnet::parse`](crate::wire::magnet::Magnet::parse) to say.

use percent_encoding::percent_decode_str;

use crate::wire::message::InfoHash;

/// How every magnet link begins that [`Link::find`] returns.
pub const MAGNET: &str = "magnet:?";
/// What opens and closes a quotation.
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
/// Over how many lines a link may have been broken: a long one, in narrow columns.
const BROKEN: usize = 200;
/// How often a link may have been percent-encoded as a whole.
const ENCODED: usize = 3;

/// The info-hash that 40 hex digits or 32 of base32 stand for.
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

/// A link that was found in a text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Link {
    /// A magnet link, beginning with [`MAGNET`]. An info-hash alone is one too.
    Magnet(String),
    /// An http or https URL.
    Url(String),
}

/// Whether a character is white space or cannot be seen: such stand around links, never in them on purpose.
#[must_use]
pub const fn is_blank(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}')
}

/// Whether `text` begins with `start`, which is ASCII, in either case.
fn begins(text: &str, start: &str) -> bool {
    text.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start))
}

fn begins_any(text: &str, starts: &[&str]) -> bool {
    starts.iter().any(|start| begins(text, start))
}

impl Link {
    /// The link that a text is or holds: in brackets or quotes, as a Markdown or HTML link, percent-encoded as a whole,
    /// escaped for HTML, JSON or a shell, broken over lines, without `magnet:?`, or an info-hash alone.
    #[must_use]
    pub fn find(text: &str) -> Option<Link> {
        let bare = unwrapped(text);
        if begins_any(bare, &["http://", "https://"]) {
            return Some(Link::Url(joined(bare).replace("&amp;", "&").replace(' ', "%20")));
        }
        magnet(bare).or_else(|| magnet(inside(text)?)).map(Link::Magnet)
    }

    /// The links of a text that is nothing but one magnet link (or info-hash) or several, one after the other; `None`
    /// where it is something else, such as a page that holds links.
    #[must_use]
    pub fn only_magnets(text: &str) -> Option<Vec<String>> {
        let alone = |line: &str| magnet(unwrapped(line));
        let links: Option<Vec<String>> = lines(text).iter().map(|line| alone(line)).collect();
        links.filter(|links| !links.is_empty())
    }
}

/// The lines of a text, blank ones left out, in which a magnet link that was broken over several is one.
#[must_use]
pub fn lines(text: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut parts = 1;
    for line in text.split(['\n', '\r', '\u{2028}', '\u{2029}']).map(|line| line.trim_matches(is_blank)) {
        if line.is_empty() {
            continue;
        }
        match out.last_mut().filter(|before| parts < BROKEN && goes_on(before, line)) {
            Some(before) => {
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

/// Whether a line is the rest of the link in the line before it.
fn goes_on(before: &str, line: &str) -> bool {
    let bare = unwrapped(before);
    if !begins_any(bare, &["magnet:", "magnet%3a", "urn:btih:", "xt=urn:"]) || closed(before) {
        return false;
    }
    if begins_any(unwrapped(line), &["magnet:", "magnet%3a", "http://", "https://", "urn:"]) {
        return false;
    }
    // The hash itself may have been broken, or come in a line of its own.
    let whole = magnet(bare).is_none_or(|link| !hash_in(&link).is_empty() || link.contains("btmh:"));
    let path = begins_any(line, &["/", "~/", "./", "../", "file:", "\\\\"]) || line.get(1..3) == Some(":\\");
    let other = info_hash(line).is_some()
        || line.to_ascii_lowercase().ends_with(".torrent")
        || (path && !line.contains(['&', '=']));
    !whole || !(other || line.contains(' ') || opens(line))
}

/// Whether a text begins with a quotation mark or a bracket.
fn opens(text: &str) -> bool {
    QUOTES.iter().any(|(open, _)| text.starts_with(*open))
}

/// Whether a text ends the quotation that it begins with.
fn closed(text: &str) -> bool {
    QUOTES.iter().any(|(open, close)| text.len() > 1 && text.starts_with(*open) && text.ends_with(*close))
}

/// A text without the blanks, quotation marks and brackets around it. Of a Markdown or HTML link its target.
fn unwrapped(text: &str) -> &str {
    let mut text = text.trim_matches(is_blank);
    // Each turn takes something away.
    loop {
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
            return text;
        }
    }
}

/// What stands in quotation marks at the beginning of a text.
fn quoted(text: &str) -> Option<&str> {
    let (open, close) = QUOTES.iter().find(|(open, _)| text.starts_with(*open))?;
    let rest = &text[open.len_utf8()..];
    Some(rest.find(*close).map_or(rest, |at| &rest[..at]))
}

/// The part of a text from a magnet link in its midst on, up to the end of the quotation or element that the link
/// stands in.
fn inside(text: &str) -> Option<&str> {
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
        // The text of an element, or a word among others.
        (None, Some('>')) => link.find('<'),
        (None, _) => None,
    };
    Some(end.map_or(link, |end| &link[..end]))
}

/// A text in one line: line breaks, the indentation after them and what cannot be seen are left out.
fn joined(text: &str) -> String {
    let parts = text.split(|c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}'));
    let parts = parts.map(|part| part.trim_matches(is_blank));
    parts.flat_map(str::chars).filter(|c| *c == ' ' || !is_blank(*c)).collect()
}

/// The magnet link that a text is, once it is in one line, decoded, and with its scheme.
fn magnet(text: &str) -> Option<String> {
    let mut link = joined(text);
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

/// A text without backslashes that escape what follows them.
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

/// A query without what a sentence or a quotation left at its end.
fn trimmed(query: &str) -> &str {
    query.trim_end_matches(|c: char| {
        is_blank(c) || matches!(c, '>' | '"' | '\'' | '`' | ',' | ';' | '\u{201d}' | '\u{2019}' | '\u{bb}')
    })
}

/// The letters and digits of the first info-hash of version 1 that a magnet link names; empty where it is none.
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
