//! Magnet links (BEP 9, BEP 53): parser and formatter.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::RangeInclusive;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use thiserror::Error;

use crate::limits;
use crate::wire::address::can_be_host;
use crate::wire::bencode::Value;
use crate::wire::host::HostPort;
use crate::wire::link::embedded::magnets_in;
pub use crate::wire::link::info_hash;
use crate::wire::link::{self, Link};
use crate::wire::message::InfoHash;
use crate::wire::metainfo::Metainfo;
use crate::wire::metainfo::paths::{self, PathRules};
use crate::wire::metainfo::sources::{Refused, Sources, UrlKind};
use crate::wire::metainfo::urls::{self, UrlError};
use crate::wire::sanitize::sanitize;

/// Characters to percent-encode: all but the unreserved characters of RFC 3986.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// Maximum width of a value from the link in a warning, in columns.
const SHOWN: usize = 60;

/// The parameters of a magnet link.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Magnet {
    pub info_hash: InfoHash,
    /// Display name (`dn`), safe as a path component. The metadata may have a different name.
    pub name: Option<String>,
    /// Trackers (`tr`) with an acceptable URL, at most [`limits::TRACKERS`].
    pub trackers: Vec<String>,
    /// Peer addresses (`x.pe`), at most [`limits::PEERS_PER_REPLY`].
    pub peers: Vec<SocketAddr>,
    /// Peers (`x.pe`) whose host name must be resolved, at most [`limits::PEER_NAMES`].
    pub named_peers: Vec<HostPort>,
    /// Web seeds (`ws`), at most [`limits::TRACKERS`].
    pub web_seeds: Vec<String>,
    /// URLs of the `.torrent` file (`xs`, `as`), at most [`limits::EXACT_SOURCES`].
    pub sources: Vec<String>,
    /// Indices of the files to download (`so`, BEP 53); empty selects all files.
    pub select: Vec<RangeInclusive<u32>>,
    /// Rejected parameters.
    pub refused: Vec<Refused>,
}

/// Error of parsing a magnet link.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum MagnetError {
    /// The text contains no magnet link.
    #[error("it is no magnet link: those begin with `magnet:?`")]
    NoMagnet,
    /// A file contains several magnet links, of which only one can be used.
    #[error("it holds {0} magnet links where one is expected: name one of them")]
    Several(usize),
    /// Longer than [`limits::MAGNET`].
    #[error("the magnet link is {got} bytes long, at most {max} are taken")]
    TooLong { got: usize, max: usize },
    /// There is no `xt` with a BitTorrent info-hash.
    #[error("the magnet link names no torrent: it has no `xt=urn:btih:`")]
    NoHash,
    /// There is only a v2 info-hash (`urn:btmh:`).
    #[error("version 2 magnet links are not supported yet")]
    Version2,
    /// The info-hash is neither 40 hex digits nor 32 base32 digits.
    #[error("the info-hash of the magnet link is malformed: it needs 40 hex digits or 32 of base32, and has {got}")]
    BadHash {
        /// Its length in characters.
        got: usize,
    },
}

impl Magnet {
    /// Returns a magnet link that has an info-hash only.
    #[must_use]
    pub const fn from_info_hash(info_hash: InfoHash) -> Self {
        Magnet {
            info_hash,
            name: None,
            trackers: Vec::new(),
            peers: Vec::new(),
            named_peers: Vec::new(),
            web_seeds: Vec::new(),
            sources: Vec::new(),
            select: Vec::new(),
            refused: Vec::new(),
        }
    }

    /// Parses a magnet link or a bare info-hash; ignores surrounding text as [`Link::find`] does.
    ///
    /// # Errors
    /// If `text` is too long, or contains neither a magnet link nor an info-hash that is supported.
    pub fn parse(text: &str) -> Result<Self, MagnetError> {
        if text.len() > limits::MAGNET {
            return Err(MagnetError::TooLong { got: text.len(), max: limits::MAGNET });
        }
        let Some(Link::Magnet(link)) = Link::find(text) else { return Err(MagnetError::NoMagnet) };
        let query = link.strip_prefix(link::MAGNET).unwrap_or(&link);
        let pairs = || {
            query.split('&').filter_map(|pair| {
                let (key, value) = unescaped(pair).split_once('=')?;
                Some((plain_key(key.trim()), value))
            })
        };
        let mut it = Magnet::from_info_hash(hash_of(pairs().filter(|(key, _)| key == "xt").map(|(_, value)| value))?);
        for (key, value) in pairs() {
            let bytes: Vec<u8> = percent_decode_str(value).collect();
            match key.as_str() {
                "dn" if it.name.is_none() => {
                    let name: Vec<u8> = percent_decode_str(&value.replace('+', " ")).collect();
                    it.name = paths::printable(&name, PathRules::NATIVE);
                }
                "tr" => it.take_urls(UrlKind::Tracker, &bytes, urls::tracker, |it| &mut it.trackers),
                "ws" => it.take_urls(UrlKind::WebSeed, &bytes, urls::web_seed, |it| &mut it.web_seeds),
                // Other networks put their own hashes there.
                "xs" | "as" if bytes.starts_with(b"urn:") => {}
                "xs" | "as" if it.sources.len() >= limits::EXACT_SOURCES => {}
                "xs" | "as" => it.take_urls(UrlKind::Source, &bytes, urls::source, |it| &mut it.sources),
                "x.pe" => it.take_peer(&bytes),
                "so" => it.take_select(&bytes),
                _ => {}
            }
        }
        Ok(it)
    }

    /// Parses a magnet link in a file or HTTP response that was expected to be a `.torrent`.
    ///
    /// Accepts a text in which magnet links of one torrent can be read, such as a web page, a mail or the shortcut of a
    /// desktop, and the `.torrent` without `info` dictionary in which Transmission stores a magnet link (`magnet-info`).
    /// `None` if `bytes` are something else.
    ///
    /// # Errors
    /// If the link is invalid or there are links of several torrents.
    #[must_use]
    pub fn from_file(bytes: &[u8]) -> Option<Result<Self, MagnetError>> {
        if bytes.first() == Some(&b'd') {
            return Self::of_transmission(bytes).map(Ok);
        }
        if bytes.len() > limits::MAGNET_FILE {
            return None;
        }
        Self::in_text(&text_of(bytes))
    }

    /// Parses the links in a text, which all must be for one torrent; the longest of them is used. `None` for no links.
    fn in_text(text: &str) -> Option<Result<Self, MagnetError>> {
        let mut links = magnets_in(text);
        links.sort_by_key(|link| Reverse(link.len()));
        links.extend(Link::only_magnets(text).unwrap_or_default());
        let mut found: BTreeMap<InfoHash, Self> = BTreeMap::new();
        let mut first_error = None;
        for link in &links {
            match Magnet::parse(link) {
                Ok(it) => _ = found.entry(it.info_hash).or_insert(it),
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        match found.len() {
            0 => first_error.map(Err),
            1 => found.into_values().next().map(Ok),
            several => Some(Err(MagnetError::Several(several))),
        }
    }

    fn of_transmission(bytes: &[u8]) -> Option<Self> {
        let (top, _) = Value::parse_prefix(bytes).ok()?;
        let said = top.get(b"magnet-info").filter(|_| top.get(b"info").is_none())?;
        let hash = said.get(b"info_hash")?.as_bytes()?;
        let hash = <[u8; 20]>::try_from(hash).ok().map(InfoHash).or_else(|| info_hash(std::str::from_utf8(hash).ok()?));
        let mut it = Magnet::from_info_hash(hash?);
        let name = said.get(b"display-name").and_then(|name| name.as_bytes());
        it.name = name.and_then(|name| paths::printable(name, PathRules::NATIVE));
        let sources = Sources::read(top.get(b"announce"), top.get(b"announce-list"), top.get(b"url-list"));
        (it.trackers, it.web_seeds, it.refused) = (sources.trackers.concat(), sources.web_seeds, sources.refused);
        Some(it)
    }

    fn take_urls(
        &mut self,
        kind: UrlKind,
        raw: &[u8],
        judge: fn(&[u8]) -> Result<String, UrlError>,
        list: fn(&mut Self) -> &mut Vec<String>,
    ) {
        for raw in urls::split(raw) {
            if list(self).len() >= limits::TRACKERS {
                return;
            }
            match judge(raw) {
                Ok(url) if list(self).contains(&url) => {}
                Ok(url) => list(self).push(url),
                Err(why) => self.refuse(raw, |url| Refused::Url { kind, url, why }),
            }
        }
    }

    fn take_peer(&mut self, raw: &[u8]) {
        let text = String::from_utf8_lossy(raw);
        let text = text.trim_matches(link::is_blank);
        match text.parse::<SocketAddr>() {
            _ if self.peers.len() >= limits::PEERS_PER_REPLY => {}
            Ok(a) if a.port() == 0 || !can_be_host(a.ip()) => {
                self.refuse(raw, Refused::UnreachablePeer);
            }
            Ok(a) if self.peers.contains(&a) => {}
            Ok(a) => self.peers.push(a),
            Err(_) => match HostPort::parse(text) {
                Some(named) if self.named_peers.contains(&named) => {}
                Some(named) if self.named_peers.len() < limits::PEER_NAMES => self.named_peers.push(named),
                Some(_) => self.refuse(raw, Refused::TooManyNames),
                None => self.refuse(raw, Refused::NoPeer),
            },
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
                None => self.refuse(part, Refused::FileNumber),
            }
        }
    }

    fn refuse(&mut self, raw: &[u8], refused: impl FnOnce(String) -> Refused) {
        if self.refused.len() < limits::TRACKERS {
            self.refused.push(refused(sanitize(&String::from_utf8_lossy(raw), SHOWN)));
        }
    }
}

/// Decodes text in UTF-8, or in UTF-16 with a byte order mark, as some Windows programs write it. What is neither, such as
/// the binary property list of a `.webloc`, is text as far as it is ASCII.
fn text_of(bytes: &[u8]) -> String {
    let (unit, rest): (fn([u8; 2]) -> u16, _) = match bytes {
        [0xff, 0xfe, rest @ ..] => (u16::from_le_bytes, rest),
        [0xfe, 0xff, rest @ ..] => (u16::from_be_bytes, rest),
        _ => return std::str::from_utf8(bytes).map_or_else(|_| ascii_of(bytes), str::to_owned),
    };
    let units: Vec<u16> = rest.as_chunks::<2>().0.iter().map(|pair| unit(*pair)).collect();
    String::from_utf16_lossy(&units)
}

/// Returns the printable ASCII of bytes; other bytes end a line.
fn ascii_of(bytes: &[u8]) -> String {
    let char = |byte: &u8| if *byte == b' ' || byte.is_ascii_graphic() { char::from(*byte) } else { '\n' };
    bytes.iter().map(char).collect()
}

/// Removes the rest of an `&` that was HTML-escaped once or several times: `amp;tr=..` becomes `tr=..`.
fn unescaped(pair: &str) -> &str {
    let mut pair = pair;
    while let Some(rest) = ["amp;", "#38;", "#038;", "#x26;"].iter().find_map(|it| pair.strip_prefix(it)) {
        pair = rest;
    }
    pair
}

/// Normalizes a parameter name: lower case, without the index of a repeated parameter (`tr.2` is `tr`).
fn plain_key(key: &str) -> String {
    let key = key.to_ascii_lowercase();
    match key.rsplit_once('.') {
        Some((plain, n)) if !n.is_empty() && n.bytes().all(|c| c.is_ascii_digit()) => plain.to_owned(),
        _ => key,
    }
}

/// Returns the first valid v1 info-hash among the `xt` values.
fn hash_of<'a>(topics: impl Iterator<Item = &'a str>) -> Result<InfoHash, MagnetError> {
    let mut error = MagnetError::NoHash;
    for topic in topics {
        let topic = percent_decode_str(topic).decode_utf8_lossy();
        let begins = |prefix: &str| topic.get(..9).is_some_and(|t| t.eq_ignore_ascii_case(prefix));
        if begins("urn:btih:") {
            // Other text may follow the hash, or blanks may interrupt it.
            let bare = topic[9..].trim();
            let end = bare.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(bare.len());
            let whole: String = bare.chars().filter(|c| !link::is_blank(*c)).collect();
            match info_hash(&bare[..end]).or_else(|| info_hash(&whole)) {
                Some(hash) => return Ok(hash),
                None => error = MagnetError::BadHash { got: whole.chars().count() },
            }
        } else if begins("urn:btmh:") && error == MagnetError::NoHash {
            error = MagnetError::Version2;
        }
    }
    Err(error)
}

impl std::fmt::Display for Magnet {
    /// Writes the magnet link; rejected parameters are omitted.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "magnet:?xt=urn:btih:{}", self.info_hash)?;
        let escaped = |text: &str| utf8_percent_encode(text, ESCAPED).to_string();
        if let Some(name) = &self.name {
            write!(f, "&dn={}", escaped(name))?;
        }
        self.trackers.iter().try_for_each(|url| write!(f, "&tr={}", escaped(url)))?;
        self.web_seeds.iter().try_for_each(|url| write!(f, "&ws={}", escaped(url)))?;
        self.sources.iter().try_for_each(|url| write!(f, "&xs={}", escaped(url)))?;
        self.peers.iter().try_for_each(|addr| write!(f, "&x.pe={addr}"))?;
        self.named_peers.iter().try_for_each(|peer| write!(f, "&x.pe={peer}"))?;
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
            ..Magnet::from_info_hash(it.info_hash)
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
        assert_eq!(Magnet::parse(&HEX.to_uppercase()).unwrap(), Magnet::from_info_hash(info_hash(HEX).unwrap()));
        assert_eq!(info_hash(&HEX[1..]), None);
        assert_eq!(info_hash(&"é".repeat(20)), None);
        assert_eq!(info_hash(&"1".repeat(32)), None, "1 is no digit of base32");
    }

    #[test]
    fn all_parameters_are_parsed() {
        let link = format!(
            "MAGNET:?xt=urn:btih:{BASE32}&dn=a+b%20c%2F..&amp;tr=udp%3A%2F%2Ft.example%3A1&tr.2=http://u.example/announce\
             &x.pe=127.0.0.1:6881&x.pe=%5B::1%5D:7000&ws=http://w.example/f&so=0,2,4-6&xl=5&x.pe=host.example"
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
            ("magnet:", E::NoHash),
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
    fn blanks_and_escapes_around_values_do_no_harm() {
        for blank in ["%0A", "%0D%0A", "%20", "%09", "\n", "\u{a0}", "%EF%BB%BF"] {
            let link = format!(
                "magnet:?xt=urn:btih:{HEX}{blank}&amp;tr={blank}http://a.example/announce{blank}&amp;amp;ws=http://a.example/x y{blank}\
                 &#38;x.pe={blank}127.0.0.1:7{blank}&xs={blank}http://a.example/x.torrent{blank}"
            );
            let it = Magnet::parse(&link).unwrap();
            assert_eq!(it.trackers, ["http://a.example/announce"], "{blank}");
            assert_eq!(it.web_seeds, ["http://a.example/x%20y"], "{blank}");
            assert_eq!(it.peers, ["127.0.0.1:7".parse().unwrap()], "{blank}");
            assert_eq!(it.sources, ["http://a.example/x.torrent"], "{blank}");
            assert!(it.refused.is_empty(), "{blank}");
        }
        let spread = format!("magnet:?xt=urn:btih: {} {}&dn=x", &HEX[..20], &HEX[20..]);
        assert_eq!(Magnet::parse(&spread).unwrap().info_hash.to_string(), HEX);
        assert_eq!(Magnet::parse(&format!("magnet:?xt=urn:btih:{HEX} (a film)")).unwrap().info_hash.to_string(), HEX);
    }

    #[test]
    fn sources_and_peer_hosts_are_parsed() {
        let link = format!(
            "magnet:?xt=urn:btih:{HEX}&xs=urn:sha1:YNCKHTQCWBTRNJIV4WNAE52SJUQCZO5C&xs=https://a.example/x&as=http://b.example/y\
             &xs=file:///etc/passwd&as=http://192.168.1.1/reboot&x.pe=host.example:1&x.pe=Host.example:1&x.pe=host:0"
        );
        let it = Magnet::parse(&link).unwrap();
        assert_eq!(it.sources, ["https://a.example/x", "http://b.example/y"]);
        assert_eq!(it.named_peers, [HostPort::parse("host.example:1").unwrap()]);
        assert_eq!(it.refused.len(), 3, "{:?}", it.refused);
        assert_eq!(Magnet::parse(&it.to_string()).unwrap(), Magnet { refused: vec![], ..it });
        let many: String = (0..50).map(|n| format!("&xs=http://a.example/{n}&x.pe=h{n}.example:1")).collect();
        let it = Magnet::parse(&format!("magnet:?xt=urn:btih:{HEX}{many}")).unwrap();
        assert_eq!((it.sources.len(), it.named_peers.len()), (limits::EXACT_SOURCES, limits::PEER_NAMES));
    }

    #[test]
    fn a_file_may_hold_a_link_in_place_of_a_torrent() {
        let link = format!("magnet:?xt=urn:btih:{HEX}&dn=x&tr=http://a.example/announce");
        let utf16: Vec<u8> = [0xff, 0xfe].into_iter().chain(link.encode_utf16().flat_map(u16::to_le_bytes)).collect();
        for file in [
            link.clone().into_bytes(),
            format!("\u{feff}{link}\r\n").into_bytes(),
            format!("<{link}>\n\n").into_bytes(),
            format!("{}\n{}\n", &link[..50], &link[50..]).into_bytes(),
            utf16,
        ] {
            let it = Magnet::from_file(&file).unwrap().unwrap();
            assert_eq!((it.info_hash.to_string().as_str(), it.trackers.len()), (HEX, 1));
        }
        assert_eq!(Magnet::from_file(HEX.as_bytes()), Some(Ok(Magnet::from_info_hash(info_hash(HEX).unwrap()))));
        let two = format!("{link}\n{}\n", link.replace('c', "d"));
        assert_eq!(Magnet::from_file(two.as_bytes()), Some(Err(MagnetError::Several(2))));
        let page = format!("<html><a href='{link}'>x</a><a href='{HEX}'>{}</a>", &link[..60]);
        assert_eq!(Magnet::from_file(page.as_bytes()), Some(Magnet::parse(&link)), "both are for one torrent");
        assert_eq!(Magnet::from_file(format!("{page}{two}").as_bytes()), Some(Err(MagnetError::Several(2))));
        let plist =
            [b"bplist00\xd1\x01\x02SURL_\x10", &[link.len() as u8][..], link.as_bytes(), b"\x08\x0b\x0f\0\0"].concat();
        assert_eq!(Magnet::from_file(&plist), Some(Magnet::parse(&link)), "a .webloc of a newer system");
        for other in [&b""[..], b"\xff\xfe\x00", b"\xff", b"d4:infodee", b"d3:fooi1ee", b"please log in"] {
            assert_eq!(Magnet::from_file(other), None);
        }
        assert!(Magnet::from_file(b"magnet:?dn=x").is_some_and(|it| it == Err(MagnetError::NoHash)));
    }

    #[test]
    fn transmission_magnet_file_is_parsed() {
        let hash = info_hash(HEX).unwrap();
        let file = |middle: &str, hash: &[u8]| {
            let head = format!(
                "d8:announce26:http://a.example/announce\n{middle}11:magnet-infod12:display-name3:a/b9:info_hash"
            );
            let head = format!("{head}{}:", hash.len());
            [head.as_bytes(), hash, b"e8:url-listl20:http://a.example/x yee"].concat()
        };
        for hash in [hash.0.as_slice(), HEX.as_bytes(), HEX.to_uppercase().as_bytes()] {
            let it = Magnet::from_file(&file("", hash)).unwrap().unwrap();
            assert_eq!((it.info_hash.to_string().as_str(), it.name.as_deref()), (HEX, Some("a_b")));
            assert_eq!((it.trackers.len(), it.web_seeds.len(), it.refused.len()), (1, 1, 0));
        }
        assert_eq!(Magnet::from_file(&file("", b"short")), None);
        assert_eq!(Magnet::from_file(&file("4:infode", &hash.0)), None, "a torrent is a torrent");
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
            "xs=file:///etc/passwd",
            "as=http://127.0.0.1:80/admin",
            "x.pe=127.0.0.1",
        ] {
            let it = with(part);
            assert!(it.sources.is_empty() && it.named_peers.is_empty());
            assert!(it.trackers.is_empty() && it.peers.is_empty() && it.web_seeds.is_empty() && it.select.is_empty());
            assert_eq!(it.refused.len(), 1, "{part}");
        }
        let many: String = (0..2000).map(|n| format!("&tr=http://t.example/{n}")).collect();
        assert_eq!(with(&many).trackers.len(), limits::TRACKERS);
        assert_eq!(with("dn=%zz%1b%00%").name.as_deref(), Some("%zz__%"));
    }
}
