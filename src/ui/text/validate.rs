//! Checks typed text.

use crate::config::size::size;

/// Maximum length of a tracker URL in bytes.
const MAX_URL: usize = 2048;

/// Parses a rate limit in bytes per second.
///
/// # Errors
/// One clause that says what is wrong; also for a number without a unit, which may mean bytes or kilobytes.
pub(crate) fn rate_limit(text: &str) -> Result<u64, String> {
    if text.len() < 6 && text.bytes().all(|byte| byte.is_ascii_digit()) && text != "0" {
        return Err(format!("{text} of what? {text}K is {text} kB/s, {text}M is {text} MB/s"));
    }
    size(text).map_err(|_| format!("{text} is invalid: enter a rate such as 512K or 10MB/s"))
}

/// Checks a tracker URL.
///
/// # Errors
/// One clause that says what is wrong.
pub(crate) fn tracker_url(text: &str) -> Result<String, String> {
    let small = text.get(..8).unwrap_or(text).to_ascii_lowercase();
    let rest = ["http://", "https://", "udp://"].iter().find(|scheme| small.starts_with(**scheme));
    match rest.map(|scheme| &text[scheme.len()..]) {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => Err("the tracker URL has no host".to_owned()),
        Some(_) if text.len() > MAX_URL => Err(format!("the URL is longer than {MAX_URL} bytes")),
        Some(_) if text.contains(char::is_whitespace) => Err("enter one tracker, without spaces".to_owned()),
        Some(_) => Ok(text.to_owned()),
        None => Err("the URL must begin with http://, https:// or udp://".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tracker_has_a_scheme_and_a_host() {
        for right in ["http://a/announce", "UDP://a:1", "https://a"] {
            assert_eq!(tracker_url(right), Ok(right.to_owned()));
        }
        for wrong in ["a", "udp://", "http:///x", "ftp://a", "udp://a b", "\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}"] {
            assert!(tracker_url(wrong).is_err(), "{wrong}");
        }
        assert!(tracker_url(&format!("http://{}", "x".repeat(MAX_URL))).is_err());
    }
}
