//! Local Service Discovery (LSD, BEP 14): announces to a multicast group by which clients in one network find peers.
//!
//! The format resembles HTTP. The decoder is lenient: it ignores unknown headers, accepts lines that end in a bare
//! line feed, and does not require the final empty line.
//! The crate `httparse` requires it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use thiserror::Error;

use crate::wire::magnet::info_hash;
use crate::wire::message::InfoHash;

/// IPv4 multicast group.
pub const GROUP_V4: Ipv4Addr = Ipv4Addr::new(239, 192, 152, 143);
/// IPv6 multicast group.
pub const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff15, 0, 0, 0, 0, 0, 0xefc0, 0x988f);
/// UDP port of both multicast groups.
pub const PORT: u16 = 6771;
/// Maximum size of a datagram that is sent, in bytes; small enough to avoid IP fragmentation.
pub const DATAGRAM: usize = 1400;
/// Maximum number of info-hashes per datagram; they fit into [`DATAGRAM`].
pub const HASHES: usize = 20;
/// Maximum length of a cookie in bytes; longer ones are ignored when received.
pub const COOKIE: usize = 64;

/// First word of the request line.
const METHOD: &str = "BT-SEARCH";

/// An LSD announce: the torrents of a client and its listen port.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LsdAnnounce {
    /// TCP listen port; never 0 when decoded.
    pub port: u16,
    pub info_hashes: Vec<InfoHash>,
    /// Identifies the sender, so that it can ignore its own announces; empty if absent.
    pub cookie: String,
}

/// Error of decoding an LSD announce.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum LsdError {
    /// The datagram does not start with a `BT-SEARCH` request line.
    #[error("it is no local announce")]
    NotBtSearch,
    /// `Port` is missing or not between 1 and 65535.
    #[error("it names no port")]
    Port,
    /// There is no `Infohash` of 40 hex digits.
    #[error("it names no torrent")]
    NoTorrent,
}

impl LsdAnnounce {
    /// Encodes the datagram for a multicast group.
    ///
    /// Includes only the first [`HASHES`] info-hashes. The cookie is reduced to its letters and digits and cut to
    /// [`COOKIE`] bytes.
    #[must_use]
    pub fn encode(&self, group: IpAddr) -> Vec<u8> {
        let host = match group {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        };
        let mut text = format!("{METHOD} * HTTP/1.1\r\nHost: {host}:{PORT}\r\nPort: {}\r\n", self.port);
        for hash in self.info_hashes.iter().take(HASHES) {
            text.push_str(&format!("Infohash: {hash}\r\n"));
        }
        let cookie: String = self.cookie.chars().filter(char::is_ascii_alphanumeric).take(COOKIE).collect();
        if !cookie.is_empty() {
            text.push_str(&format!("cookie: {cookie}\r\n"));
        }
        text.push_str("\r\n\r\n");
        text.into_bytes()
    }

    /// Decodes a datagram.
    ///
    /// Of several `Port` or `cookie` headers the first well-formed one wins. Duplicate and invalid info-hashes are
    /// ignored.
    ///
    /// # Errors
    /// If the datagram is no LSD announce, or has no valid port or no valid info-hash.
    pub fn decode(datagram: &[u8]) -> Result<LsdAnnounce, LsdError> {
        let text = String::from_utf8_lossy(datagram);
        let mut lines = text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
        let mut first = lines.next().unwrap_or_default().split_ascii_whitespace();
        let is_search = first.next().is_some_and(|word| word.eq_ignore_ascii_case(METHOD))
            && first.next_back().is_some_and(|word| word.get(..5).is_some_and(|w| w.eq_ignore_ascii_case("HTTP/")));
        if !is_search {
            return Err(LsdError::NotBtSearch);
        }
        let (mut port, mut cookie, mut info_hashes) = (None, None, Vec::new());
        for (name, value) in lines.take_while(|line| !line.is_empty()).filter_map(|line| line.split_once(':')) {
            let (name, value) = (name.trim(), value.trim());
            if name.eq_ignore_ascii_case("port") {
                port = port.or_else(|| value.parse::<u16>().ok());
            } else if name.eq_ignore_ascii_case("infohash") {
                let hash = Some(value).filter(|value| value.len() == 40).and_then(info_hash);
                info_hashes.extend(hash.filter(|hash| !info_hashes.contains(hash)));
            } else if name.eq_ignore_ascii_case("cookie") && value.len() <= COOKIE {
                cookie = cookie.or_else(|| Some(value.to_owned()));
            }
        }
        let port = port.filter(|port| *port != 0).ok_or(LsdError::Port)?;
        if info_hashes.is_empty() {
            return Err(LsdError::NoTorrent);
        }
        Ok(LsdAnnounce { port, info_hashes, cookie: cookie.unwrap_or_default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(n: u8) -> InfoHash {
        InfoHash([n; 20])
    }

    #[test]
    fn it_reads_as_the_specification_writes_it() {
        let search = LsdAnnounce { port: 6881, info_hashes: vec![of(1), of(0xab)], cookie: "c1".into() };
        let text = format!(
            "BT-SEARCH * HTTP/1.1\r\nHost: 239.192.152.143:6771\r\nPort: 6881\r\nInfohash: {}\r\nInfohash: {}\r\n\
             cookie: c1\r\n\r\n\r\n",
            "01".repeat(20),
            "ab".repeat(20)
        );
        assert_eq!(String::from_utf8_lossy(&search.encode(GROUP_V4.into())), text);
        assert_eq!(LsdAnnounce::decode(text.as_bytes()), Ok(search.clone()));
        let v6 = search.encode(GROUP_V6.into());
        assert!(String::from_utf8_lossy(&v6).contains("\r\nHost: [ff15::efc0:988f]:6771\r\n"));
        assert_eq!(LsdAnnounce::decode(&v6), Ok(search));
    }

    #[test]
    fn what_others_write_is_read() {
        let hash = "AB".repeat(20);
        for text in [
            format!("BT-SEARCH * HTTP/1.1\r\nHost: 239.192.152.143:6771\r\nPort: 1\r\nInfohash: {hash}\r\n\r\n\r\n"),
            format!("BT-SEARCH * HTTP/1.0\nPORT:1\nINFOHASH:{hash}\nX-New: thing\n\nPort: 2\n"),
            format!("bt-search * http/1.1\r\nPort: 1\r\nPort: 7\r\nInfohash: {hash}\r\nInfohash: {hash}"),
            format!(
                "BT-SEARCH * HTTP/1.1\r\nPort: 1\r\nno line\r\nInfohash: {}\r\nInfohash: {hash}\r\n\r\n",
                "z".repeat(40)
            ),
        ] {
            let read = LsdAnnounce { port: 1, info_hashes: vec![of(0xab)], cookie: String::new() };
            assert_eq!(LsdAnnounce::decode(text.as_bytes()), Ok(read), "{text}");
        }
    }

    #[test]
    fn what_is_of_no_use_is_refused() {
        let hash = "ab".repeat(20);
        let with = |lines: &str| format!("BT-SEARCH * HTTP/1.1\r\n{lines}\r\n\r\n");
        for (text, why) in [
            (String::new(), LsdError::NotBtSearch),
            (format!("M-SEARCH * HTTP/1.1\r\nPort: 1\r\nInfohash: {hash}\r\n\r\n"), LsdError::NotBtSearch),
            (format!("BT-SEARCH\r\nPort: 1\r\nInfohash: {hash}\r\n\r\n"), LsdError::NotBtSearch),
            (with(&format!("Infohash: {hash}")), LsdError::Port),
            (with(&format!("Port: 0\r\nInfohash: {hash}")), LsdError::Port),
            (with(&format!("Port: 65536\r\nInfohash: {hash}")), LsdError::Port),
            (with("Port: 1"), LsdError::NoTorrent),
            (with(&format!("Port: 1\r\nInfohash: {hash}00")), LsdError::NoTorrent),
            (with(&format!("Port: 1\r\n\r\nInfohash: {hash}")), LsdError::NoTorrent),
        ] {
            assert_eq!(LsdAnnounce::decode(text.as_bytes()), Err(why), "{text}");
        }
    }
}
