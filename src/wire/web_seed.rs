//! What a web seed (BEP 19) is asked for, and what the heads of its answers mean.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use url::Url;

use crate::wire::text::clean;

/// What stands for itself in a path (RFC 3986, 2.3).
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// The longest host shown, in columns.
const HOST: usize = 60;

/// The components of a path as they stand in a URL, joined by `/`; `None` where one of them would not lead downwards.
pub fn escaped<'a>(components: impl Iterator<Item = &'a [u8]>) -> Option<String> {
    let mut out = String::new();
    for component in components {
        if matches!(component, b"" | b"." | b"..") {
            return None;
        }
        if !out.is_empty() {
            out.push('/');
        }
        out.extend(percent_encode(component, ESCAPED));
    }
    (!out.is_empty()).then_some(out)
}

/// Where a file lies: below the URL that the torrent names, under its own path there (already escaped, with the
/// torrent's name in front). Of a torrent that is one file, the URL itself is the file's unless it ends with a slash.
#[must_use]
pub fn file_url(base: &str, folder: bool, path: &str) -> String {
    match (base.ends_with('/'), folder) {
        (true, _) => format!("{base}{path}"),
        (false, true) => format!("{base}/{path}"),
        (false, false) => base.to_owned(),
    }
}

/// Its host, and its port where that is not the usual one; safe to print, and without what may be a secret.
#[must_use]
pub fn host(url: &str) -> String {
    let Ok(url) = Url::parse(url) else { return "?".to_owned() };
    let host = url.host_str().unwrap_or("?");
    let shown = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    clean(&shown, HOST)
}

/// The first byte, the last byte and the length of the whole that a `Content-Range` tells of (RFC 9110, 14.4); the length is
/// `None` where it is not known.
#[must_use]
pub fn content_range(value: &str) -> Option<(u64, u64, Option<u64>)> {
    let (range, total) = value.trim().strip_prefix("bytes")?.trim_start().split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last): (u64, u64) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    let total = match total.trim() {
        "*" => None,
        total => Some(total.parse().ok()?),
    };
    (first <= last && total.is_none_or(|total| last < total)).then_some((first, last, total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_component_is_escaped_on_its_own() {
        let path = |parts: &[&[u8]]| escaped(parts.iter().copied());
        assert_eq!(path(&[b"a b", b"50% off?#1", "\u{e9}".as_bytes()]).unwrap(), "a%20b/50%25%20off%3F%231/%C3%A9");
        assert_eq!(path(&[b"a/b", b"c-1.2_3~x"]).unwrap(), "a%2Fb/c-1.2_3~x");
        assert_eq!(path(&[b"\xff\r\n"]).unwrap(), "%FF%0D%0A");
        for odd in [b"..".as_slice(), b".", b""] {
            assert_eq!(path(&[b"a", odd, b"b"]), None);
        }
        assert_eq!(path(&[]), None);
    }

    #[test]
    fn a_file_lies_where_the_torrent_says() {
        assert_eq!(file_url("http://h/x.iso", false, "name"), "http://h/x.iso");
        assert_eq!(file_url("http://h/dir/", false, "name"), "http://h/dir/name");
        assert_eq!(file_url("http://h/dir", true, "name/a"), "http://h/dir/name/a");
        assert_eq!(file_url("http://h/dir/", true, "name/a"), "http://h/dir/name/a");
    }

    #[test]
    fn hosts_are_shown_without_secrets() {
        assert_eq!(host("https://user:pass@h.example/x?key=1"), "h.example");
        assert_eq!(host("http://[::1]:8080/"), "[::1]:8080");
        assert_eq!(host("no url"), "?");
    }

    #[test]
    fn ranges_are_read_as_they_are_written() {
        assert_eq!(content_range("bytes 0-499/1234"), Some((0, 499, Some(1234))));
        assert_eq!(content_range("bytes 7-7/*"), Some((7, 7, None)));
        for bad in ["bytes */1234", "bytes 9-8/10", "bytes 0-10/10", "0-1/2", "bytes a-b/c", "bytes 0-1"] {
            assert_eq!(content_range(bad), None, "{bad}");
        }
    }
}
