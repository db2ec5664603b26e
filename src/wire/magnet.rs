//! Magnet links (BEP 9, BEP 53): a torrent by its info-hash, and where to begin to look for it.

use std::net::SocketAddr;
use std::ops::RangeInclusive;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use thiserror::Error;

use crate::limits;
use crate::wire::message::InfoHash;
use crate::wire::metainfo::Metainfo;
use crate::wire::metainfo::paths::{self, Rules};
use crate::wire::metainfo::urls::{self, UrlError};
use crate::wire::text::clean;

/// Everything but what RFC 3986 calls unreserved.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// The longest text shown of a stranger's value in a sentence, in columns.
const SHOWN: usize = 60;

/// What a magnet link says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Magnet {
    /// The torrent.
    pub info_hash: InfoHash,
    /// What it is called (`dn`), safe as a path component; the metadata may say otherwise.
    pub name: Option<String>,
    /// Trackers that may be asked (`tr`), at most [`limits::TRACKERS`].
    pub trackers: Vec<String>,
    /// Peers to begin with (`x.pe`), at most [`limits::PEERS_PER_REPLY`].
    pub peers: Vec<SocketAddr>,
    /// Web seeds (`ws`), at most [`limits::TRACKERS`].
    pub web_seeds: Vec<String>,
    /// The files that are wanted, by their place in the metadata (`so`, BEP 53); all when empty.
    pub select: Vec<RangeInclusive<u32>>,
    /// What is not used of it, and why: one sentence each.
    pub refused: Vec<String>,
}

/// Why a text is no magnet link that can be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum MagnetError {
    /// Something else.
    #[error("it is no magnet link: those begin with `magnet:?`")]
    NoMagnet,
    /// Longer than any link need be.
    #[error("the magnet link is {got} bytes long, at most {max} are taken")]
    TooLong {
        /// Its bytes.
        got: usize,
        /// The most that is taken.
        max: usize,
    },
    /// No `xt` of BitTorrent.
    #[error("the magnet link names no torrent: it has no `xt=urn:btih:`")]
    NoHash,
    /// Only the hash of version 2.
    #[error("version 2 magnet links are not supported yet")]
    Version2,
    /// Neither 40 hex digits nor 32 of base32.
    #[error("the info-hash of the magnet link is malformed: it needs 40 hex digits or 32 of base32, and has {got}")]
    BadHash {
        /// Its characters.
        got: usize,
    },
}

/// The info-hash that 40 hex digits or 32 of base32 stand for.
#[must_use]
pub fn info_hash(text: &str) -> Option<InfoHash> {
    let bits = match text.len() {
        40 => 4,
        32 => 5,
        _ => return None,
    };
    let mut hash = [0_u8; 20];
    for (n, c) in text.bytes().enumerate() {
        let digit = match (bits, c) {
            (4, b'0'..=b'9') => c - b'0',
            (4, b'a'..=b'f') => c - b'a' + 10,
            (4, b'A'..=b'F') => c - b'A' + 10,
            (5, b'a'..=b'z') => c - b'a',
            (5, b'A'..=b'Z') => c - b'A',
            (5, b'2'..=b'7') => c - b'2' + 26,
            _ => return None,
        };
        for bit in 0..bits {
            let at = n * bits + bit;
            hash[at / 8] |= (digit >> (bits - 1 - bit) & 1) << (7 - at % 8);
        }
    }
    Some(InfoHash(hash))
}

impl Magnet {
    /// A link that names nothing but the torrent.
    #[must_use]
    pub const fn bare(info_hash: InfoHash) -> Self {
        Magnet {
            info_hash,
            name: None,
            trackers: Vec::new(),
            peers: Vec::new(),
            web_seeds: Vec::new(),
            select: Vec::new(),
            refused: Vec::new(),
        }
    }

    /// Reads a magnet link, or an info-hash alone.
    ///
    /// # Errors
    /// When it is neither.
    pub fn parse(text: &str) -> Result<Self, MagnetError> {
        let text = text.trim();
        if text.len() > limits::MAGNET {
            return Err(MagnetError::TooLong { got: text.len(), max: limits::MAGNET });
        }
        if let Some(hash) = info_hash(text) {
            return Ok(Magnet::bare(hash));
        }
        let query = match text.split_at_checked(8) {
            Some((begin, query)) if begin.eq_ignore_ascii_case("magnet:?") => query,
            _ => return Err(MagnetError::NoMagnet),
        };
        let pairs = || {
            query.split('&').filter_map(|pair| {
                // Links that were copied out of a page's source have `&amp;` between their parts.
                let (key, value) = pair.strip_prefix("amp;").unwrap_or(pair).split_once('=')?;
                Some((plain_key(key), value))
            })
        };
        let mut it = Magnet::bare(hash_of(pairs().filter(|(key, _)| key == "xt").map(|(_, value)| value))?);
        for (key, value) in pairs() {
            let bytes: Vec<u8> = percent_decode_str(value).collect();
            match key.as_str() {
                "dn" if it.name.is_none() => {
                    let name: Vec<u8> = percent_decode_str(&value.replace('+', " ")).collect();
                    it.name = paths::component(&name, Rules::HERE);
                }
                "tr" => it.take_url("tracker", &bytes, urls::tracker, |it| &mut it.trackers),
                "ws" => it.take_url("web seed", &bytes, urls::web_seed, |it| &mut it.web_seeds),
                "x.pe" => it.take_peer(&bytes),
                "so" => it.take_select(&bytes),
                _ => {}
            }
        }
        Ok(it)
    }

    fn take_url(
        &mut self,
        what: &str,
        raw: &[u8],
        judge: fn(&[u8]) -> Result<String, UrlError>,
        list: fn(&mut Self) -> &mut Vec<String>,
    ) {
        if raw.is_empty() || list(self).len() >= limits::TRACKERS {
            return;
        }
        match judge(raw) {
            Ok(url) if list(self).contains(&url) => {}
            Ok(url) => list(self).push(url),
            Err(why) => self.refuse(what, raw, &format!("is not asked: {why}")),
        }
    }

    fn take_peer(&mut self, raw: &[u8]) {
        if self.peers.len() >= limits::PEERS_PER_REPLY {
            return;
        }
        let addr = std::str::from_utf8(raw).ok().and_then(|text| text.parse::<SocketAddr>().ok());
        match addr {
            Some(a) if a.port() == 0 || a.ip().is_unspecified() || a.ip().is_multicast() => {
                self.refuse("peer", raw, "is not asked: nobody can be reached there");
            }
            Some(a) if self.peers.contains(&a) => {}
            Some(a) => self.peers.push(a),
            None => self.refuse("peer", raw, "is not asked: it is no IP address with a port"),
        }
    }

    fn take_select(&mut self, raw: &[u8]) {
        for part in raw.split(|c| *c == b',').take(limits::MAGNET_SELECT) {
            let number = |text: &str| text.parse::<u32>().ok();
            let range = std::str::from_utf8(part).ok().and_then(|part| match part.split_once('-') {
                Some((from, to)) => Some(number(from)?..=number(to)?),
                None => number(part).map(|n| n..=n),
            });
            match range.filter(|r| r.start() <= r.end()) {
                Some(range) => self.select.push(range),
                None => self.refuse("file number", part, "is passed over"),
            }
        }
    }

    fn refuse(&mut self, what: &str, raw: &[u8], why: &str) {
        if self.refused.len() < limits::TRACKERS {
            self.refused.push(format!("{what} {} {why}", clean(&String::from_utf8_lossy(raw), SHOWN)));
        }
    }
}

/// A key without case and without the number that tells repeated keys apart: `tr.2` is `tr`.
fn plain_key(key: &str) -> String {
    let key = key.to_ascii_lowercase();
    match key.rsplit_once('.') {
        Some((plain, n)) if !n.is_empty() && n.bytes().all(|c| c.is_ascii_digit()) => plain.to_owned(),
        _ => key,
    }
}

/// The hash of version 1 among the topics.
fn hash_of<'a>(topics: impl Iterator<Item = &'a str>) -> Result<InfoHash, MagnetError> {
    let mut error = MagnetError::NoHash;
    for topic in topics {
        let topic = percent_decode_str(topic).decode_utf8_lossy();
        let begins = |prefix: &str| topic.get(..9).is_some_and(|t| t.eq_ignore_ascii_case(prefix));
        if begins("urn:btih:") {
            match info_hash(&topic[9..]) {
                Some(hash) => return Ok(hash),
                None => error = MagnetError::BadHash { got: topic[9..].chars().count() },
            }
        } else if begins("urn:btmh:") && error == MagnetError::NoHash {
            error = MagnetError::Version2;
        }
    }
    Err(error)
}

impl std::fmt::Display for Magnet {
    /// The link, ready to be pasted.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "magnet:?xt=urn:btih:{}", self.info_hash)?;
        let escaped = |text: &str| utf8_percent_encode(text, ESCAPED).to_string();
        if let Some(name) = &self.name {
            write!(f, "&dn={}", escaped(name))?;
        }
        self.trackers.iter().try_for_each(|url| write!(f, "&tr={}", escaped(url)))?;
        self.web_seeds.iter().try_for_each(|url| write!(f, "&ws={}", escaped(url)))?;
        self.peers.iter().try_for_each(|addr| write!(f, "&x.pe={addr}"))?;
        for (n, range) in self.select.iter().enumerate() {
            f.write_str(if n == 0 { "&so=" } else { "," })?;
            match range.start() == range.end() {
                true => write!(f, "{}", range.start())?,
                false => write!(f, "{}-{}", range.start(), range.end())?,
            }
        }
        Ok(())
    }
}

impl From<&Metainfo> for Magnet {
    fn from(it: &Metainfo) -> Self {
        Magnet {
            name: Some(it.name.clone()),
            trackers: it.trackers.concat(),
            web_seeds: it.web_seeds.clone(),
            ..Magnet::bare(it.info_hash)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "c12fe1c06bba254a9dc9f519b335aa7c1367a88a";
    const BASE32: &str = "yex6dqdlxisuvhoj6um3gnnkpqjwpkek";

    #[test]
    fn a_hash_is_read_in_both_spellings() {
        assert_eq!(info_hash(HEX), info_hash(BASE32));
        assert_eq!(info_hash(BASE32).unwrap().to_string(), HEX);
        assert_eq!(Magnet::parse(&HEX.to_uppercase()).unwrap(), Magnet::bare(info_hash(HEX).unwrap()));
        assert_eq!(info_hash(&HEX[1..]), None);
        assert_eq!(info_hash(&"é".repeat(20)), None);
        assert_eq!(info_hash(&"1".repeat(32)), None, "1 is no digit of base32");
    }

    #[test]
    fn a_link_says_all_that_it_says() {
        let link = format!(
            "MAGNET:?xt=urn:btih:{BASE32}&dn=a+b%20c%2F..&amp;tr=udp%3A%2F%2Ft.example%3A1&tr.2=http://u.example/announce\
             &x.pe=127.0.0.1:6881&x.pe=%5B::1%5D:7000&ws=http://w.example/f&so=0,2,4-6&xl=5&x.pe=host.example:1"
        );
        let it = Magnet::parse(&link).unwrap();
        assert_eq!(it.info_hash.to_string(), HEX);
        assert_eq!(it.name.as_deref(), Some("a b c_.."));
        assert_eq!(it.trackers, ["udp://t.example:1", "http://u.example/announce"]);
        assert_eq!(it.peers, ["127.0.0.1:6881".parse().unwrap(), "[::1]:7000".parse().unwrap()]);
        assert_eq!(it.web_seeds, ["http://w.example/f"]);
        assert_eq!(it.select, [0..=0, 2..=2, 4..=6]);
        assert_eq!(it.refused.len(), 1);
        let again = Magnet::parse(&it.to_string()).unwrap();
        assert_eq!(again, Magnet { refused: vec![], ..it });
    }

    #[test]
    fn what_is_no_link_is_refused_in_words() {
        use MagnetError as E;
        let x = "x".repeat(40);
        for (text, error) in [
            ("", E::NoMagnet),
            ("http://a/", E::NoMagnet),
            ("magnet:", E::NoMagnet),
            ("magnet:?", E::NoHash),
            ("magnet:?dn=x", E::NoHash),
            ("magnet:?xt=urn:sha1:YNCKHTQCWBTRNJIV4WNAE52SJUQCZO5C", E::NoHash),
            ("magnet:?xt=urn:btih:", E::BadHash { got: 0 }),
            ("magnet:?xt=urn:btih:abc", E::BadHash { got: 3 }),
            (&format!("magnet:?xt=urn:btih:{x}"), E::BadHash { got: 40 }),
            ("magnet:?xt=urn:btmh:1220caf1e1c30e81cb361b9ee167c4aa64228a7fa4fa9f6105232b28ad099f3a302e", E::Version2),
        ] {
            assert_eq!(Magnet::parse(text), Err(error), "{text}");
        }
        let long = format!("magnet:?xt=urn:btih:{HEX}&dn={}", "a".repeat(1 << 20));
        assert!(matches!(Magnet::parse(&long), Err(E::TooLong { .. })));
    }

    #[test]
    fn hostile_parts_are_left_out() {
        let with = |part: &str| Magnet::parse(&format!("magnet:?xt=urn:btih:{HEX}&{part}")).unwrap();
        for part in [
            "tr=file:///etc/passwd",
            "ws=file:///etc/",
            "tr=http://127.0.0.1:80/admin?x",
            "tr=http://a.example/%0d%0aX",
            "x.pe=127.0.0.1:0",
            "x.pe=224.0.0.1:80",
            "so=5-2",
            "so=x",
            "tr=%ff%fe",
        ] {
            let it = with(part);
            assert!(it.trackers.is_empty() && it.peers.is_empty() && it.web_seeds.is_empty() && it.select.is_empty());
            assert_eq!(it.refused.len(), 1, "{part}");
        }
        let many: String = (0..2000).map(|n| format!("&tr=http://t.example/{n}")).collect();
        assert_eq!(with(&many).trackers.len(), limits::TRACKERS);
        assert_eq!(with("dn=%zz%1b%00%").name.as_deref(), Some("%zz__%"));
    }
}
