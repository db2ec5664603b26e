//! Decides which URLs from untrusted input may be requested (protection against SSRF).
//!
//! A torrent can name any address as its tracker, including a router's web interface or a service on loopback that
//! acts on any request. A tracker in the local network, whether its host is an IP address or a name that resolves to
//! one, is therefore contacted only if the last path segment starts with `announce` and the query contains no
//! `info_hash`. Web seeds in the local network must have no query, and sources must be `.torrent` files, too.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use thiserror::Error;
use url::Url;

use crate::limits;
use crate::wire::address::is_internal;
use crate::wire::link::is_blank;
use crate::wire::tracker::names_torrent;

/// Reason why a URL is not requested.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum UrlError {
    #[error("it is not UTF-8")]
    NotUtf8,
    /// Longer than [`limits::TRACKER_URL`].
    #[error("it is {got} bytes long, at most {max} are taken")]
    TooLong { got: usize, max: usize },
    /// Contains a control character or an invisible character.
    #[error("it has line breaks or control characters inside")]
    Controls,
    #[error("it is malformed")]
    Malformed,
    /// The scheme of a tracker URL is not http, https or udp.
    #[error("only http, https and udp are spoken")]
    Scheme,
    /// The scheme of a web seed or source URL is not http or https.
    #[error("only http and https are spoken")]
    NotHttp,
    #[error("it names no host")]
    NoHost,
    /// Port 0, or no port in a UDP tracker URL.
    #[error("it names no port")]
    NoPort,
    /// A tracker in the local network whose query contains an `info_hash`.
    #[error("its query has an info_hash of its own")]
    OwnHash,
    /// A web seed in the local network whose URL has a query.
    #[error("nothing is asked of a server in the local network with a query")]
    LocalQuery,
    /// A tracker in the local network whose path is not an announce path.
    #[error("{LOCAL_RULE}")]
    Local,
    /// A source in the local network that has a query or does not end in `.torrent`.
    #[error("in the local network only a .torrent file is fetched, without a query")]
    LocalSource,
}

/// Explains [`is_announce_path`] to the user.
pub const LOCAL_RULE: &str =
    "a tracker in the local network is asked only if the last part of its path begins with announce";

/// Returns whether the last path segment starts with `announce`; slashes behind it do not count.
///
/// Trackers in the local network must satisfy this rule, so that a torrent cannot trigger commands of a router or of a
/// program on this machine. It applies to URLs with an IP address and to those with a host name.
#[must_use]
pub fn is_announce_path(path: &str) -> bool {
    path.trim_end_matches('/').rsplit('/').next().is_some_and(|last| last.starts_with("announce"))
}

/// Returns whether the host of a URL is an internal IP address or `localhost`.
///
/// Names that are looked up are judged by their addresses where they are looked up.
fn names_local(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let ip = bare.parse::<Ipv4Addr>().map(IpAddr::V4).or_else(|_| bare.parse::<Ipv6Addr>().map(IpAddr::V6));
    match ip {
        Ok(ip) => is_internal(ip),
        Err(_) => {
            let name = bare.trim_end_matches('.').to_ascii_lowercase();
            name == "localhost" || name.ends_with(".localhost")
        }
    }
}

/// Splits a value into URLs at white space if every word is a URL; otherwise yields the value itself.
///
/// Yields nothing if the value is blank.
pub fn split(raw: &[u8]) -> impl Iterator<Item = &[u8]> {
    let words = || raw.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let is_url = |word: &[u8]| word.windows(3).any(|run| run == b"://");
    let several = words().nth(1).is_some() && words().all(is_url);
    let one = (!several && words().next().is_some()).then_some(raw);
    one.into_iter().chain(words().filter(move |_| several))
}

/// Parses a URL and checks the rules that apply to all URLs.
///
/// These are the maximum length, no control characters, a host, and a port other than 0.
fn read(raw: &[u8]) -> Result<Url, UrlError> {
    let text = std::str::from_utf8(raw).map_err(|_| UrlError::NotUtf8)?.trim_matches(is_blank);
    if text.len() > limits::TRACKER_URL {
        return Err(UrlError::TooLong { got: text.len(), max: limits::TRACKER_URL });
    }
    // The URL parser percent-encodes plain spaces.
    if text.chars().any(|c| c != ' ' && (c.is_control() || is_blank(c))) {
        return Err(UrlError::Controls);
    }
    let url = Url::parse(text).map_err(|_| UrlError::Malformed)?;
    // Empty host: the URL parser would take the first path segment as the host.
    let rest = text.split_once(':').and_then(|(_, rest)| rest.strip_prefix("//"));
    let empty = rest.is_none_or(|rest| rest.starts_with(['/', '\\']));
    if (empty || url.host_str().is_none_or(str::is_empty)) && matches!(url.scheme(), "http" | "https" | "udp") {
        return Err(UrlError::NoHost);
    }
    if url.port() == Some(0) {
        return Err(UrlError::NoPort);
    }
    Ok(url)
}

/// Returns the normalized URL of a tracker (host names in punycode) if it may be contacted.
///
/// Must also be applied to the targets of redirects.
///
/// # Errors
/// The reason why the tracker must not be contacted.
pub fn tracker(raw: &[u8]) -> Result<String, UrlError> {
    let url = read(raw)?;
    match url.scheme() {
        "http" | "https" => {
            if names_local(&url) && !is_announce_path(url.path()) {
                return Err(UrlError::Local);
            }
            if names_local(&url) && url.query().is_some_and(names_torrent) {
                return Err(UrlError::OwnHash);
            }
        }
        // No rule for local UDP trackers: the first datagram is a connect request, which a torrent cannot influence.
        "udp" if url.port().is_none() => return Err(UrlError::NoPort),
        "udp" if !url.host_str().is_some_and(|h| h.is_ascii() && !h.contains('%')) => return Err(UrlError::Malformed),
        "udp" => {}
        _ => return Err(UrlError::Scheme),
    }
    Ok(url.into())
}

/// Returns the normalized URL of a web seed (BEP 19) if it may be contacted.
///
/// # Errors
/// The reason why the web seed must not be contacted.
pub fn web_seed(raw: &[u8]) -> Result<String, UrlError> {
    let url = read(raw)?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(UrlError::NotHttp);
    }
    if names_local(&url) && url.query().is_some() {
        return Err(UrlError::LocalQuery);
    }
    Ok(url.into())
}

/// Returns the normalized URL of a `.torrent` file if it may be fetched.
///
/// Such URLs come from magnet links (`xs`, `as`). In the local network the path must satisfy [`is_torrent_path`] and
/// there must be no query.
///
/// # Errors
/// The reason why the URL must not be fetched.
pub fn source(raw: &[u8]) -> Result<String, UrlError> {
    let url = read(raw)?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(UrlError::NotHttp);
    }
    if names_local(&url) && (url.query().is_some() || !is_torrent_path(url.path())) {
        return Err(UrlError::LocalSource);
    }
    Ok(url.into())
}

/// Returns whether a URL path names a `.torrent` file and not, for example, a page of a router.
#[must_use]
pub fn is_torrent_path(path: &str) -> bool {
    path.len() > "/.torrent".len() && path.to_ascii_lowercase().ends_with(".torrent")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trackers_that_exist_are_taken_as_they_are() {
        for url in [
            "http://127.0.0.1:6969/announce",
            "http://[::1]:6969/announce",
            "udp://127.0.0.1:6969",
            "udp://tracker.example.org:1337/announce",
            "https://tracker.example.org/abcdef0123456789/announce?passkey=x%20y&b=1",
            "http://localhost:8000/announce.php?a=b",
            "http://127.0.0.1:8080/0123456789abcdef/announce",
            "http://192.168.1.9/tracker/announce.php?passkey=k",
            "http://[fd00::1]:6969/a/b/c/announce",
            "http://10.1.2.3:8080/x/announce-all",
            "http://127.0.0.1:6969/announce/",
            "http://203.0.113.1/whatever?info_hash_is=not",
        ] {
            assert_eq!(tracker(url.as_bytes()).as_deref(), Ok(url));
        }
        for blank in [" ", "\r\n", "\t", "\u{a0}", "\u{feff}", "\u{200b} "] {
            let url = format!("{blank}http://a.example/announce{blank}");
            assert_eq!(tracker(url.as_bytes()).as_deref(), Ok("http://a.example/announce"), "{blank:?}");
        }
        assert_eq!(tracker(b"http://a.example/a?b=c d").as_deref(), Ok("http://a.example/a?b=c%20d"));
        assert_eq!(
            tracker("http://tr\u{430}cker.\u{435}xample.invalid:9/announce".as_bytes()).as_deref(),
            Ok("http://xn--trcker-4nf.xn--xample-2of.invalid:9/announce")
        );
    }

    #[test]
    fn urls_that_must_not_be_asked_are_refused() {
        use UrlError as E;
        for (url, error) in [
            ("file:///etc/passwd", E::Scheme),
            ("gopher://127.0.0.1:9/1", E::Scheme),
            ("ws://127.0.0.1:9/", E::Scheme),
            ("javascript:alert(1)", E::Scheme),
            ("http://127.0.0.1:9/admin/delete?all=1&info_hash=x", E::Local),
            ("http://127.0.0.1:9/announce?info_hash=x", E::OwnHash),
            ("http://127.0.0.1:9/key/announce.php?x=1&INFO%5fhash=x", E::OwnHash),
            ("http://127.0.0.1:9/announce/reboot", E::Local),
            ("http://10.0.0.1/reboot?to=/announce", E::Local),
            ("http://10.0.0.1/reboot%2fannounce", E::Local),
            ("http://192.168.0.1\\announce\\..\\reboot", E::Local),
            ("http://100.64.0.1/reboot", E::Local),
            ("http://192.168.1.1/", E::Local),
            ("http://[::ffff:10.0.0.1]/x", E::Local),
            ("http://[64:ff9b::10.0.0.1]/x", E::Local),
            ("http://[2002:c0a8:101::1]/x", E::Local),
            ("http://0.1.2.3/x", E::Local),
            ("http://0x7f.1/x", E::Local),
            ("http://localhost./x", E::Local),
            ("http://127.0.0.1:9/announce/../admin", E::Local),
            ("http://127.0.0.1:9/announce\r\nX-Evil: 1\r\n", E::Controls),
            ("http://127.0.0.1:9/announce?\x1b[2J\x07", E::Controls),
            ("http://127.0.0.1:0/announce", E::NoPort),
            ("http://127.0.0.1:99999/announce", E::Malformed),
            ("udp://tracker.example.org", E::NoPort),
            ("http://", E::Malformed),
            ("udp://", E::NoHost),
            ("http:///announce", E::NoHost),
            ("http:tracker.example.org/announce", E::NoHost),
            ("http:/tracker.example.org/announce", E::NoHost),
            ("https://\\/announce", E::NoHost),
        ] {
            assert_eq!(tracker(url.as_bytes()), Err(error), "{url}");
        }
        let long = format!("http://127.0.0.1:9/announce?{}", "a".repeat(65536));
        assert!(matches!(tracker(long.as_bytes()), Err(E::TooLong { .. })));
        assert_eq!(tracker(b"\xff"), Err(E::NotUtf8));
        assert_eq!(web_seed(b"file:///etc/"), Err(E::NotHttp));
        assert_eq!(web_seed(b"http://127.0.0.1:9/../../").as_deref(), Ok("http://127.0.0.1:9/"));
        for (url, error) in [
            ("file:///etc/x.torrent", E::NotHttp),
            ("udp://a.example:1/x.torrent", E::NotHttp),
            ("http://192.168.1.1/reboot.cgi", E::LocalSource),
            ("http://192.168.1.1/apply?x=.torrent", E::LocalSource),
            ("http://localhost/x.torrent?do=it", E::LocalSource),
            ("http://[::1]/.torrent", E::LocalSource),
            ("http://10.1/x.torrent/../reboot", E::LocalSource),
        ] {
            assert_eq!(source(url.as_bytes()), Err(error), "{url}");
        }
        for url in ["http://127.0.0.1:9/a%20b.TORRENT", "https://a.example/get?id=7"] {
            assert_eq!(source(url.as_bytes()).as_deref(), Ok(url));
        }
    }
}
