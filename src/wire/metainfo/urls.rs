//! Which URLs of strangers are asked at all.
//!
//! A torrent may name any address as its tracker, also one inside our own network: a router's page or a service on
//! loopback that obeys whoever asks. So an address in the local network, written as one or found under a name, is asked
//! only where the last part of the path begins with `announce`, and never with a query that carries an `info_hash` of its
//! own.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use thiserror::Error;
use url::Url;

use crate::limits;
use crate::wire::link::is_blank;
use crate::wire::tracker::names_torrent;

/// Why a URL is not asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum UrlError {
    /// Not UTF-8.
    #[error("it is not UTF-8")]
    NotUtf8,
    /// Longer than any URL need be.
    #[error("it is {got} bytes long, at most {max} are taken")]
    TooLong {
        /// Its bytes.
        got: usize,
        /// The most that is taken.
        max: usize,
    },
    /// It holds a line break, a tab or another control character.
    #[error("it has line breaks or control characters inside")]
    Controls,
    /// It cannot be read.
    #[error("it is malformed")]
    Malformed,
    /// The scheme is another one.
    #[error("only http, https and udp are spoken")]
    Scheme,
    /// The scheme is another one than http and https.
    #[error("only http and https are spoken")]
    NotHttp,
    /// There is no host.
    #[error("it names no host")]
    NoHost,
    /// Port 0, or none where there is no usual one.
    #[error("it names no port")]
    NoPort,
    /// An address of the local network, and a query with an `info_hash` of its own.
    #[error("its query has an info_hash of its own")]
    OwnHash,
    /// An address of the local network, and a web seed's URL with a query.
    #[error("nothing is asked of a server in the local network with a query")]
    LocalQuery,
    /// An address of the local network, and not what a tracker there looks like.
    #[error("{LOCAL_RULE}")]
    Local,
    /// An address of the local network, and not what a `.torrent` there looks like.
    #[error("in the local network only a .torrent file is fetched, without a query")]
    LocalSource,
}

/// What holds for trackers in the local network.
pub const LOCAL_RULE: &str =
    "a tracker in the local network is asked only if the last part of its path begins with announce";

/// Whether a path is a tracker's and not, say, a command of a router or of a program on this machine. The one rule for
/// trackers in the local network, whether their URLs have addresses or names.
#[must_use]
pub fn is_announce_path(path: &str) -> bool {
    path.rsplit('/').next().is_some_and(|last| last.starts_with("announce"))
}

/// Whether this address is our own machine or lies in a network that cannot be reached from outside: [`is_local`], or
/// behind a provider's NAT (RFC 6598), or no address at all.
#[must_use]
pub fn is_private(ip: IpAddr) -> bool {
    is_local(ip)
        || match ip.to_canonical() {
            IpAddr::V4(v4) => {
                let [a, b, ..] = v4.octets();
                a == 0 || (a == 100 && b & 0xc0 == 64)
            }
            IpAddr::V6(_) => false,
        }
}

/// Whether this address is our own machine or lies in the local network.
#[must_use]
pub fn is_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => {
            v4.is_loopback() || v4.is_private() || v4.is_link_local() || v4.is_unspecified() || v4.is_broadcast()
        }
        IpAddr::V6(v6) => {
            v6.to_ipv4_mapped().map(IpAddr::V4).is_some_and(is_local)
                || v6.is_loopback()
                || v6.is_unspecified()
                || v6.is_unique_local()
                || v6.is_unicast_link_local()
        }
    }
}

/// Whether the URL's host is an address of the local network, or a name that always means our own machine.
fn names_local(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let ip = bare.parse::<Ipv4Addr>().map(IpAddr::V4).or_else(|_| bare.parse::<Ipv6Addr>().map(IpAddr::V6));
    match ip {
        Ok(ip) => is_private(ip),
        Err(_) => {
            let name = bare.trim_end_matches('.').to_ascii_lowercase();
            name == "localhost" || name.ends_with(".localhost")
        }
    }
}

/// The URLs of a value that should be one: several where each of its words is one. None where it is blank.
pub fn split(raw: &[u8]) -> impl Iterator<Item = &[u8]> {
    let words = || raw.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let is_url = |word: &[u8]| word.windows(3).any(|run| run == b"://");
    let several = words().nth(1).is_some() && words().all(is_url);
    let one = (!several && words().next().is_some()).then_some(raw);
    one.into_iter().chain(words().filter(move |_| several))
}

/// What all URLs must be: short, clean, with a host and a port.
fn read(raw: &[u8]) -> Result<Url, UrlError> {
    let text = std::str::from_utf8(raw).map_err(|_| UrlError::NotUtf8)?.trim_matches(is_blank);
    if text.len() > limits::TRACKER_URL {
        return Err(UrlError::TooLong { got: text.len(), max: limits::TRACKER_URL });
    }
    // A plain space is escaped by what reads the URL.
    if text.chars().any(|c| c != ' ' && (c.is_control() || is_blank(c))) {
        return Err(UrlError::Controls);
    }
    let url = Url::parse(text).map_err(|_| UrlError::Malformed)?;
    // Where the host should stand is nothing: a browser would take the first part of the path for it.
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

/// The URL of a tracker as it is to be asked (host names in punycode), if it may be asked at all. Judge redirects
/// by it too.
///
/// # Errors
/// Why it is not asked.
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
        // A datagram carries no path, and what a service would take it for is not in the torrent's hands.
        "udp" if url.port().is_none() => return Err(UrlError::NoPort),
        "udp" if !url.host_str().is_some_and(|h| h.is_ascii() && !h.contains('%')) => return Err(UrlError::Malformed),
        "udp" => {}
        _ => return Err(UrlError::Scheme),
    }
    Ok(url.into())
}

/// The URL of a web seed (BEP 19) as it is to be asked, if it may be asked at all.
///
/// # Errors
/// Why it is not asked.
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

/// The URL of a `.torrent` that a magnet link names (`xs`, `as`), if it may be asked at all. In the local network it must
/// look like one, and carry nothing to whatever is there: see [`is_torrent_path`].
///
/// # Errors
/// Why it is not asked.
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

/// Whether the path of a URL is that of a `.torrent` file, and not, say, a page of a router.
#[must_use]
pub fn is_torrent_path(path: &str) -> bool {
    path.len() > "/.torrent".len() && path.to_ascii_lowercase().ends_with(".torrent")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_addresses_are_known() {
        for ip in ["127.0.0.1", "10.1.2.3", "192.168.0.1", "172.16.0.1", "169.254.1.1", "100.64.0.1", "0.0.0.0", "::1"]
        {
            assert!(is_private(ip.parse().unwrap()), "{ip}");
        }
        for ip in ["::ffff:10.0.0.1", "fd00::1", "fe80::1", "::", "::ffff:100.64.0.1", "0.1.2.3"] {
            assert!(is_private(ip.parse().unwrap()), "{ip}");
        }
        for ip in ["8.8.8.8", "172.32.0.1", "100.128.0.1", "2001:db8::1", "::ffff:8.8.8.8"] {
            assert!(!is_private(ip.parse().unwrap()), "{ip}");
        }
    }

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
