//! Magnet links within the text of a file: web pages, shortcuts of desktops, mails, notes.

use super::quoted_printable::{begins, unfolded, unquoted};
use super::{QUOTES, is_blank, lines, magnet};

/// Maximum number of links that are taken from one text.
const LINKS: usize = 1000;

/// Returns the magnet links within a text, in order; one that occurs again is returned again.
///
/// A link ends with the quotation, the HTML element or the line that it stands in, or where another one begins. A bare
/// info-hash is no link here: too many other things have 40 hex digits.
#[must_use]
pub fn magnets_in(text: &str) -> Vec<String> {
    let text = match is_quoted_printable(text) {
        true => unquoted(text).unwrap_or_else(|| text.to_owned()),
        false => unfolded(text),
    };
    let mut links = Vec::new();
    for line in lines(&text) {
        // The letters have the same places as in `line`.
        let lower = line.to_ascii_lowercase();
        let is_start = |at: &usize| {
            let word = line[..*at].chars().next_back().is_none_or(|c| !c.is_alphanumeric());
            word && ["magnet:", "magnet%3a", "magnet%253a"].iter().any(|start| lower[*at..].starts_with(start))
        };
        let starts: Vec<usize> = lower.match_indices("magnet").map(|(at, _)| at).filter(is_start).collect();
        let alone = starts.len() == 1 && !line.contains('<');
        for (n, at) in starts.iter().enumerate() {
            if links.len() == LINKS {
                return links;
            }
            let rest = &line[*at..starts.get(n + 1).copied().unwrap_or(line.len())];
            let link = magnet(link_at_start(rest, line[..*at].chars().next_back(), alone));
            // Other networks have magnet links, too, and people write of magnets.
            links.extend(link.filter(|link| ["xt=", "xt."].iter().any(|key| link.to_ascii_lowercase().contains(key))));
        }
    }
    links
}

/// Returns the link at the start of `text`. `before` is the character before it; `alone` tells that nothing but the link
/// is expected in the rest of the line, so that it may contain blanks.
fn link_at_start(text: &str, before: Option<char>, alone: bool) -> &str {
    let close = QUOTES.iter().find(|(open, _)| Some(*open) == before).map(|(_, close)| *close);
    let is_encoded = !begins(text, "magnet:");
    let is_end = |c: char| match close {
        Some(close) => c == close || c == '<',
        // The value of a parameter in another address.
        None if is_encoded => matches!(c, '&' | '<' | '>' | '"' | '\'') || is_blank(c),
        None if before == Some('>') => c == '<',
        None => matches!(c, '<' | '>' | '"') || (!alone && is_blank(c)),
    };
    text.find(is_end).map_or(text, |end| &text[..end])
}

/// Returns whether a text is quoted-printable mail with a magnet link: the first `=` of one is written `=3D`.
fn is_quoted_printable(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let quoted = |(at, _)| lower[at..].find('=').is_some_and(|equal| begins(&lower[at + equal..], "=3d"));
    lower.match_indices("magnet:?").take(LINKS).any(quoted)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "c12fe1c06bba254a9dc9f519b335aa7c1367a88a";

    fn link(n: u32) -> String {
        format!("magnet:?xt=urn:btih:{n:08x}{}&dn=film{n}&tr=http%3A%2F%2Ft.example%2Fannounce", &HASH[8..])
    }

    #[test]
    fn a_link_is_read_out_of_whatever_programs_wrap_it_in() {
        let plain = link(1);
        let html = plain.replace('&', "&amp;");
        let quoted = plain.replace('=', "=3D");
        let encoded = plain.replace('%', "%25").replace(':', "%3A").replace('?', "%3F").replace('=', "%3D");
        let encoded = encoded.replace('&', "%26");
        for text in [
            format!("[InternetShortcut]\r\nURL={plain}\r\nIconIndex=0\r\nHotKey=0\r\n"),
            format!(
                "[{{000214A0-0000-0000-C000-000000000046}}]\r\nProp3=19,2\r\n[InternetShortcut]\r\nIDList=\r\nURL={plain}\r\n"
            ),
            format!("[Desktop Entry]\nType=Link\nName=a film\nURL={plain}\nIcon=text-html\n"),
            format!("[Desktop Entry]\nType=Application\nExec=ttui \"{plain}\"\nTerminal=true\n"),
            format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \
                 \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n<plist version=\"1.0\">\n<dict>\n\t<key>URL</key>\n\
                 \t<string>{html}</string>\n</dict>\n</plist>\n"
            ),
            format!(
                "<!DOCTYPE html><html><head><title>a</title></head><body><a href='{html}'>get it</a></body></html>"
            ),
            format!("<p><a class=x href={html}>get it</a><p>{HASH}"),
            format!("<td><a href=\"{html}\"><img src=\"magnet.png\"></a></td><td>{html}</td>"),
            format!("<a href=\"https://r.example/?to={encoded}&amp;x=1\">magnet: get it</a>"),
            format!("# my films\n# magnet links\n{plain}\n"),
            format!("; x\n\n{plain}"),
            format!("Hello,\nthe film is at <{plain}>.\nBye\n"),
            format!("Hello,\nthe film is at {plain}\nBye\n"),
            format!("{{\"name\": \"film\", \"link\": \"{}\"}}", plain.replace('&', "\\u0026")),
            format!("| film | [get]({plain}) | 3 |"),
            format!(
                "Subject: x\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nsee {}=\r\n{}\r\n=C3=A4\r\n",
                &quoted[..70],
                &quoted[70..]
            ),
            format!("see {}=\n{}\n", &plain[..30], &plain[30..]),
            format!("see {}=\r\n{}=\r\n{}\r\n", &plain[..30], &plain[30..60], &plain[60..]),
        ] {
            let found = magnets_in(&text);
            assert!(!found.is_empty(), "{text}");
            for link in found {
                assert_eq!(link.replace("&amp;", "&"), plain, "{text}");
            }
        }
    }

    #[test]
    fn several_links_are_several() {
        for separator in ["\n", " ", "\r\n\r\n", " and ", "</a><a href=\"", "\", \"", "<br>"] {
            let text = format!("x {}", [1, 2, 3].map(link).join(separator));
            assert_eq!(magnets_in(&text), [1, 2, 3].map(link), "{text}");
        }
    }

    #[test]
    fn what_is_no_link_is_not_taken_for_one() {
        for text in [
            "",
            "please log in",
            HASH,
            "a magnet: it pulls",
            "electromagnet:?xt=urn:btih:x",
            "magnet:?dn=x",
            "magnets?xt=urn:btih",
            "<a href=\"magnet.html\">xt=1</a>",
        ] {
            assert_eq!(magnets_in(text), [""; 0], "{text}");
        }
    }

    #[test]
    fn long_texts_are_read_in_one_go() {
        for part in ["magnet:?xt=", "magnet:=\n", "=\n", "magnet:?xt=urn:btih:\n", "a&tr=\n", "<", "\u{e4}"] {
            let text = part.repeat((1 << 18) / part.len());
            assert!(magnets_in(&text).len() <= LINKS, "{part}");
            assert!(magnets_in(&format!("{text}\n{text}")).len() <= LINKS, "{part}");
        }
    }
}
