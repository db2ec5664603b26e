//! Local service discovery (BEP 14): the text by which clients of one network find each other, sent to a multicast
//! group.
//!
//! It looks like HTTP and is read with more patience than that: unknown lines are passed over, lines may end in a bare
//! line feed, and the empty line at the end may be missing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use thiserror::Error;

use crate::wire::magnet::info_hash;
use crate::wire::message::InfoHash;

/// The group of IPv4.
pub const GROUP_V4: Ipv4Addr = Ipv4Addr::new(239, 192, 152, 143);
/// The group of IPv6.
pub const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff15, 0, 0, 0, 0, 0, 0xefc0, 0x988f);
/// The port of both.
pub const PORT: u16 = 6771;
/// The largest datagram that is sent, in bytes: no network cuts it up.
pub const DATAGRAM: usize = 1400;
/// The most info-hashes of one datagram: so many fit with room to spare.
pub const HASHES: usize = 20;
/// The longest cookie that is sent or heeded, in bytes.
pub const COOKIE: usize = 64;

/// The first line's beginning.
const METHOD: &str = "BT-SEARCH";

/// What a client says of itself: the torrents that it has or wants, and the port that it listens on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Search {
    /// The TCP port on which it listens; never 0 in one that was decoded.
    pub port: u16,
    /// The torrents.
    pub info_hashes: Vec<InfoHash>,
    /// By this it knows its own words; empty where there is none.
    pub cookie: String,
}

/// Why a datagram is no announce of use.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum LsdError {
    /// It does not begin like one.
    #[error("it is no local announce")]
    NotASearch,
    /// No port, or one that nobody can listen on.
    #[error("it names no port")]
    Port,
    /// No info-hash of 40 hexadecimal digits.
    #[error("it names no torrent")]
    NoTorrent,
}

impl Search {
    /// The datagram for a group. Of more than [`HASHES`] torrents the first ones are named; a cookie is cut to
    /// [`COOKIE`] bytes of letters and digits.
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

    /// Reads a datagram. Of lines that say a port or a cookie more than once the first counts; a torrent that is named
    /// twice is named once; what is no info-hash of version 1 is passed over.
    ///
    /// # Errors
    /// What is missing.
    pub fn decode(datagram: &[u8]) -> Result<Search, LsdError> {
        let text = String::from_utf8_lossy(datagram);
        let mut lines = text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
        let mut first = lines.next().unwrap_or_default().split_ascii_whitespace();
        let is_search = first.next().is_some_and(|word| word.eq_ignore_ascii_case(METHOD))
            && first.next_back().is_some_and(|word| word.get(..5).is_some_and(|w| w.eq_ignore_ascii_case("HTTP/")));
        if !is_search {
            return Err(LsdError::NotASearch);
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
        Ok(Search { port, info_hashes, cookie: cookie.unwrap_or_default() })
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
        let search = Search { port: 6881, info_hashes: vec![of(1), of(0xab)], cookie: "c1".into() };
        let text = format!(
            "BT-SEARCH * HTTP/1.1\r\nHost: 239.192.152.143:6771\r\nPort: 6881\r\nInfohash: {}\r\nInfohash: {}\r\n\
             cookie: c1\r\n\r\n\r\n",
            "01".repeat(20),
            "ab".repeat(20)
        );
        assert_eq!(String::from_utf8_lossy(&search.encode(GROUP_V4.into())), text);
        assert_eq!(Search::decode(text.as_bytes()), Ok(search.clone()));
        let v6 = search.encode(GROUP_V6.into());
        assert!(String::from_utf8_lossy(&v6).contains("\r\nHost: [ff15::efc0:988f]:6771\r\n"));
        assert_eq!(Search::decode(&v6), Ok(search));
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
            let read = Search { port: 1, info_hashes: vec![of(0xab)], cookie: String::new() };
            assert_eq!(Search::decode(text.as_bytes()), Ok(read), "{text}");
        }
    }

    #[test]
    fn what_is_of_no_use_is_refused() {
        let hash = "ab".repeat(20);
        let with = |lines: &str| format!("BT-SEARCH * HTTP/1.1\r\n{lines}\r\n\r\n");
        for (text, why) in [
            (String::new(), LsdError::NotASearch),
            (format!("M-SEARCH * HTTP/1.1\r\nPort: 1\r\nInfohash: {hash}\r\n\r\n"), LsdError::NotASearch),
            (format!("BT-SEARCH\r\nPort: 1\r\nInfohash: {hash}\r\n\r\n"), LsdError::NotASearch),
            (with(&format!("Infohash: {hash}")), LsdError::Port),
            (with(&format!("Port: 0\r\nInfohash: {hash}")), LsdError::Port),
            (with(&format!("Port: 65536\r\nInfohash: {hash}")), LsdError::Port),
            (with("Port: 1"), LsdError::NoTorrent),
            (with(&format!("Port: 1\r\nInfohash: {hash}00")), LsdError::NoTorrent),
            (with(&format!("Port: 1\r\n\r\nInfohash: {hash}")), LsdError::NoTorrent),
        ] {
            assert_eq!(Search::decode(text.as_bytes()), Err(why), "{text}");
        }
    }
}
