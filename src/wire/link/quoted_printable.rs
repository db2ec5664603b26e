//! Links in quoted-printable mail (RFC 2045), whole or half decoded: soft line breaks and `=3D`.

/// Parameters of magnet links; a number may follow, as in `tr.2`.
const KEYS: [&str; 13] = ["xt", "dn", "tr", "ws", "xs", "as", "x.pe", "so", "xl", "kt", "mt", "br", "xe"];

/// Maximum number of lines that are joined to one.
const JOINED: usize = 200;
/// Maximum length of the name of a parameter with its number.
const KEY: usize = 12;

/// Returns whether a text ends with the name of a parameter.
fn is_key(text: &str) -> bool {
    let start = text.bytes().rev().take(KEY).position(|byte| b"&?;".contains(&byte));
    let pair = match start {
        Some(length) => &text[text.len() - length..],
        None if text.len() <= KEY => text,
        None => return false,
    };
    let name = pair.rsplit_once('.').map_or(pair, |(name, number)| {
        if !number.is_empty() && number.bytes().all(|c| c.is_ascii_digit()) { name } else { pair }
    });
    KEYS.iter().any(|key| name.eq_ignore_ascii_case(key))
}

/// Removes the `=` of a soft line break from the end of `before`, a link that continues with `line`.
///
/// An `=` that belongs to the link stays: directly behind the name of a parameter.
pub(super) fn without_soft_break<'a>(before: &'a str, line: &str) -> &'a str {
    match before.strip_suffix('=') {
        Some(rest) if !is_key(rest) || line.starts_with(['=', '.']) => rest,
        _ => before,
    }
}

/// Returns whether a link that ends with `before` certainly goes on in the next line.
pub(super) fn goes_on(before: &str, line: &str) -> bool {
    without_soft_break(before, line).len() < before.len() || before.strip_suffix('=').is_some_and(is_key)
}

/// Joins the lines of a text that end with a soft line break behind the beginning of a magnet link.
pub(super) fn unfolded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut start, mut parts) = (0, 1);
    let mut lines = text.split('\n').map(|line| line.trim_end_matches('\r')).peekable();
    while let Some(line) = lines.next() {
        out.push_str(line);
        let Some(next) = lines.peek() else { break };
        let link =
            out[start..].ends_with('=') && parts < JOINED && out[start..].to_ascii_lowercase().contains("magnet:");
        let kept = start + without_soft_break(&out[start..], next).len();
        if link && kept < out.len() {
            out.truncate(kept);
            parts += 1;
        } else {
            out.push('\n');
            (start, parts) = (out.len(), 1);
        }
    }
    out
}

/// Decodes a magnet link in which each `=` is written `=3D`; `None` for all other links.
pub(super) fn decoded(link: &str) -> Option<String> {
    let at = link.find('=')?;
    let encoded = begins(link, "magnet:") || begins(link, "xt=");
    if !encoded || !begins(&link[at..], "=3d") {
        return None;
    }
    unquoted(link)
}

/// Decodes every `=XX` and removes soft line breaks; `None` if the result is not UTF-8.
pub(super) fn unquoted(text: &str) -> Option<String> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match (byte, after) {
            (b'=', [b'\r', b'\n', after @ ..] | [b'\n', after @ ..]) => rest = after,
            (b'=', [high, low, after @ ..]) if digit(high).is_some() && digit(low).is_some() => {
                out.push((digit(high)? * 16 + digit(low)?) as u8);
                rest = after;
            }
            _ => out.push(*byte),
        }
    }
    String::from_utf8(out).ok()
}

/// Returns whether `text` starts with the ASCII string `start`, ignoring case.
pub(super) fn begins(text: &str, start: &str) -> bool {
    text.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::link::{Link, lines};

    const HASH: &str = "c12fe1c06bba254a9dc9f519b335aa7c1367a88a";

    #[test]
    fn a_link_of_a_mail_is_read_wherever_its_lines_were_cut() {
        let link =
            format!("magnet:?xt=urn:btih:{HASH}&dn=x&tr=http%3A%2F%2Ft.example%2Fannounce&tr.2=udp://u.example:1");
        let quoted = link.replace('=', "=3D");
        for (text, what) in [(&link, "half decoded"), (&quoted, "as it was sent")] {
            for at in 1..text.len() {
                for end in ["=\n", "=\r\n"] {
                    // Mail programs cut between the characters of a text, not within `=3D`.
                    if what == "as it was sent" && (text[..at].ends_with('=') || text[..at].ends_with("=3")) {
                        continue;
                    }
                    // Before that the cut text is no link yet.
                    let cut = format!("{}{end}{}", &text[..at], &text[at..]);
                    if at >= "magnet:".len() {
                        assert_eq!(Link::find(&cut), Some(Link::Magnet(link.clone())), "{what}: {cut}");
                        let joined = lines(&cut);
                        assert_eq!(joined.len(), 1, "{what}: {joined:?}");
                        assert_eq!(Link::find(&joined[0]), Some(Link::Magnet(link.clone())), "{what}: {joined:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_line_that_ends_behind_the_name_of_a_parameter_keeps_it() {
        for (before, line, kept) in [
            ("magnet:?xt=", "urn:btih:x", true),
            ("magnet:?xt=urn:btih:1&tr=", "http://a/", true),
            ("magnet:?xt=urn:btih:1&tr.12=", "http://a/", true),
            ("magnet:?xt=urn:btih:1&x.pe=", "1.2.3.4:5", true),
            ("magnet:?xt=urn:btih:1&tr=", "=3Dhttp://a/", false),
            ("magnet:?xt=urn:btih:12=", "34", false),
            ("magnet:?xt=urn:btih:1&t=", "r=http://a/", false),
            ("magnet:?xt=urn:btih:1&tr=http://a/b=", "c", false),
        ] {
            assert_eq!(without_soft_break(before, line).ends_with('='), kept, "{before}");
            assert!(goes_on(before, line), "{before}");
        }
        assert!(!goes_on("magnet:?xt=urn:btih:1", "&dn=x"), "nothing is known of it");
    }
}
