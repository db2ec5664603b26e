//! Web seeds (HTTP seeding, BEP 19): request URLs and `Content-Range` headers.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use url::Url;

use crate::wire::sanitize::sanitize;

/// Characters to percent-encode in a path segment: all but the unreserved characters (RFC 3986, 2.3).
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// Maximum width of a displayed host in columns.
const HOST: usize = 60;

/// Percent-encodes path components and joins them by `/`; `None` if one is empty, `.` or `..`.
pub fn percent_encode_path<'a>(components: impl Iterator<Item = &'a [u8]>) -> Option<String> {
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

/// Returns the URL of a file on a web seed (BEP 19).
///
/// `path` is the percent-encoded path of the file, including the torrent name. `base` itself is the URL of the file of
/// a single-file torrent, unless it ends with a slash.
#[must_use]
pub fn file_url(base: &str, folder: bool, path: &str) -> String {
    match (base.ends_with('/'), folder) {
        (true, _) => format!("{base}{path}"),
        (false, true) => format!("{base}/{path}"),
        (false, false) => base.to_owned(),
    }
}

/// Returns the host of a URL for display, sanitized; with the port if it is not the default.
///
/// Credentials, path and query are omitted because they may contain secrets.
#[must_use]
pub fn host(url: &str) -> String {
    let Ok(url) = Url::parse(url) else { return "?".to_owned() };
    let host = url.host_str().unwrap_or("?");
    let shown = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    sanitize(&shown, HOST)
}

/// The value of a `Content-Range` header (RFC 9110, 14.4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ContentRange {
    /// The first and the last byte, both included.
    pub first: u64,
    pub last: u64,
    /// The length of the whole file; `None` if the server does not know it (`*`).
    pub total: Option<u64>,
}

/// Parses a `Content-Range` header.
#[must_use]
pub fn content_range(value: &str) -> Option<ContentRange> {
    let (range, total) = value.trim().strip_prefix("bytes")?.trim_start().split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last): (u64, u64) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    let total = match total.trim() {
        "*" => None,
        total => Some(total.parse().ok()?),
    };
    (first <= last && total.is_none_or(|total| last < total)).then_some(ContentRange { first, last, total })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_component_is_escaped_on_its_own() {
        let path = |parts: &[&[u8]]| percent_encode_path(parts.iter().copied());
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
        assert_eq!(content_range("bytes 0-499/1234"), Some(ContentRange { first: 0, last: 499, total: Some(1234) }));
        assert_eq!(content_range("bytes 7-7/*"), Some(ContentRange { first: 7, last: 7, total: None }));
        for bad in ["bytes */1234", "bytes 9-8/10", "bytes 0-10/10", "0-1/2", "bytes a-b/c", "bytes 0-1"] {
            assert_eq!(content_range(bad), None, "{bad}");
        }
    }
}
