//! Host name and port of a peer that a tracker or a magnet link gives by name instead of by IP address.

use std::fmt;

/// Maximum length of a DNS name in bytes.
const LONGEST: usize = 253;

/// A host name that has not been resolved yet, and a port.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct HostPort {
    /// Lower case ASCII.
    pub host: String,
    /// Never 0.
    pub port: u16,
}

impl HostPort {
    /// Validates a host name and a port; `None` if either is invalid.
    ///
    /// Labels consist of letters, digits, `-` and `_`, and have 1 to 63 bytes. A name whose last label is numeric is
    /// rejected because resolvers read it as an IPv4 address (`0x7f.1`, `2130706433`).
    #[must_use]
    pub fn new(host: &str, port: u16) -> Option<Self> {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let good = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_'))
                && !label.starts_with('-')
        };
        let last = host.rsplit('.').next().unwrap_or_default();
        let numeric = last.starts_with("0x") || last.bytes().all(|c| c.is_ascii_digit());
        let named = host.len() <= LONGEST && host.split('.').all(good) && !numeric;
        (named && port != 0).then_some(HostPort { host, port })
    }

    /// Parses `host:port`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        HostPort::new(host, port.parse().ok()?)
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_hosts_are_taken() {
        for good in ["localhost:1", "a.example:65535", "xn--trcker-4nf.example:6881", "my_host-2.lan:9"] {
            assert_eq!(HostPort::parse(good).map(|it| it.to_string()).as_deref(), Some(good));
        }
        assert_eq!(HostPort::parse("Host.Example.:7").map(|it| it.to_string()).as_deref(), Some("host.example:7"));
        let long = format!("{}:1", "a.".repeat(130) + "b");
        for bad in [
            "",
            ":1",
            "a",
            "a:",
            "a:0",
            "a:65536",
            "a b:1",
            "a..b:1",
            "-a:1",
            "1.2.3.4:5",
            "2130706433:1",
            "0x7f.1:1",
            "a/b:1",
            "a@b:1",
            "0x7f:1",
            "a\r\nb:1",
            "\u{e4}.example:1",
            &long,
        ] {
            assert_eq!(HostPort::parse(bad), None, "{bad}");
        }
    }
}
