//! Trackers and web seeds in a `.torrent` file (BEP 3, 12, 19), in all variants that occur in practice.

use std::collections::HashSet;
use std::fmt;

use thiserror::Error;

use crate::limits;
use crate::wire::bencode::{Kind, Value};
use crate::wire::metainfo::urls::{self, UrlError};
use crate::wire::metainfo::warnings::{MAX_WARNINGS, ParseWarnings, SHOWN};
use crate::wire::sanitize::sanitize_bytes;

/// What a URL of a torrent is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UrlKind {
    Tracker,
    WebSeed,
    /// A `.torrent` file (`xs`, `as`).
    Source,
}

impl fmt::Display for UrlKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            UrlKind::Tracker => "tracker",
            UrlKind::WebSeed => "web seed",
            UrlKind::Source => "source",
        })
    }
}

/// A part of a torrent or link that is passed over. The texts in it are sanitized and shortened.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum Refused {
    #[error("{kind} {url} is not asked: {why}")]
    Url { kind: UrlKind, url: String, why: UrlError },
    #[error("peer {0} is not asked: nobody can be reached there")]
    UnreachablePeer(String),
    #[error("peer {0} is not asked: no more host names are looked up")]
    TooManyNames(String),
    #[error("peer {0} is not asked: it is no host with a port")]
    NoPeer(String),
    #[error("file number {0} is passed over")]
    FileNumber(String),
}

/// The trackers and web seeds of a torrent.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Sources {
    /// Accepted tracker URLs by tier, without duplicates and empty tiers; at most [`limits::TRACKERS`].
    pub trackers: Vec<Vec<String>>,
    /// Accepted web seed URLs without duplicates; at most [`limits::TRACKERS`].
    pub web_seeds: Vec<String>,
    /// Rejected URLs.
    pub refused: Vec<Refused>,
    seen: HashSet<String>,
}

impl Sources {
    /// Parses the values of `announce`, `announce-list` and `url-list`.
    #[must_use]
    pub(crate) fn read(announce: Option<Value<'_>>, tiers: Option<Value<'_>>, seeds: Option<Value<'_>>) -> Self {
        Self::read_with_warnings(announce, tiers, seeds, &mut ParseWarnings::default())
    }

    /// Parses the same values as [`Sources::read`] and adds warnings about invalid ones to `remarks`.
    pub(super) fn read_with_warnings(
        announce: Option<Value<'_>>,
        tiers: Option<Value<'_>>,
        seeds: Option<Value<'_>>,
        remarks: &mut ParseWarnings,
    ) -> Self {
        let mut it = Sources::default();
        if let Some(tiers) = tiers {
            it.take_tiers(tiers, "announce-list", remarks);
        }
        if let Some(announce) = announce.filter(|_| it.trackers.is_empty()) {
            it.take_tiers(announce, "announce", remarks);
        }
        if it.seen.len() >= limits::TRACKERS {
            remarks.add(|| format!("only the first {} trackers are kept", limits::TRACKERS));
        }
        if let Some(seeds) = seeds {
            it.take_web_seeds(seeds, remarks);
        }
        it
    }

    /// Adds the URLs of a list of tiers, each of which is a list of URLs.
    ///
    /// Some torrents lack the inner lists. Then each URL in `announce-list` is a tier of its own, and all URLs in
    /// `announce`, which should be a single URL, form one tier.
    fn take_tiers(&mut self, value: Value<'_>, key: &str, remarks: &mut ParseWarnings) {
        if value.kind() == Kind::ByteString {
            return self.take_tier([value].into_iter(), key, remarks);
        }
        let Some(list) = remarks.optional(Some(value), key, Kind::List).and_then(|list| list.list()) else { return };
        let mut flat = Vec::new();
        for tier in list {
            match tier.kind() {
                Kind::List => self.take_tier(tier.list().into_iter().flatten(), key, remarks),
                Kind::ByteString if key == "announce" => flat.push(tier),
                Kind::ByteString => self.take_tier([tier].into_iter(), key, remarks),
                kind => remarks.add(|| format!("`{key}` holds {kind}: passed over")),
            }
            if self.seen.len() >= limits::TRACKERS {
                break;
            }
        }
        self.take_tier(flat.into_iter(), key, remarks);
    }

    fn take_tier<'a>(&mut self, urls: impl Iterator<Item = Value<'a>>, key: &str, remarks: &mut ParseWarnings) {
        let mut tier = Vec::new();
        for url in urls {
            if self.seen.len() >= limits::TRACKERS {
                break;
            }
            let text = remarks.optional(Some(url), key, Kind::ByteString).and_then(|url| url.as_bytes());
            for raw in urls::split(text.unwrap_or_default()) {
                match urls::tracker(raw) {
                    Ok(_) if self.seen.len() >= limits::TRACKERS => break,
                    Ok(url) if self.seen.insert(url.clone()) => tier.push(url),
                    Ok(_) => {}
                    Err(why) => self.refuse(UrlKind::Tracker, raw, why),
                }
            }
        }
        if !tier.is_empty() {
            self.trackers.push(tier);
        }
    }

    fn take_web_seeds(&mut self, seeds: Value<'_>, remarks: &mut ParseWarnings) {
        if matches!(seeds.kind(), Kind::Integer | Kind::Dictionary) {
            remarks.optional(Some(seeds), "url-list", Kind::List);
        }
        let each = seeds.list().into_iter().flatten().chain((seeds.kind() == Kind::ByteString).then_some(seeds));
        for seed in each.take(limits::TRACKERS) {
            let Some(text) = remarks.optional(Some(seed), "url-list", Kind::ByteString).and_then(|v| v.as_bytes())
            else {
                continue;
            };
            for raw in urls::split(text) {
                match urls::web_seed(raw) {
                    Ok(_) if self.web_seeds.len() >= limits::TRACKERS => break,
                    Ok(url) if self.web_seeds.contains(&url) => {}
                    Ok(url) => self.web_seeds.push(url),
                    Err(why) => self.refuse(UrlKind::WebSeed, raw, why),
                }
            }
        }
    }

    fn refuse(&mut self, kind: UrlKind, raw: &[u8], why: UrlError) {
        if self.refused.len() < MAX_WARNINGS {
            self.refused.push(Refused::Url { kind, url: sanitize_bytes(raw, SHOWN), why });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bencoded: &str) -> Sources {
        let bytes = bencoded.as_bytes();
        let it = Value::parse(bytes).unwrap();
        Sources::read(it.get(b"announce"), it.get(b"announce-list"), it.get(b"url-list"))
    }

    fn text(text: &str) -> String {
        format!("{}:{text}", text.len())
    }

    #[test]
    fn trackers_are_taken_in_every_shape() {
        let [a, b, c] = ["http://a.example/announce", "udp://b.example:1", "https://c.example/x"];
        let (ta, tb, tc) = (text(a), text(b), text(c));
        for (announce, tiers) in [
            (format!("l{ta}{tb}e"), vec![vec![a, b]]),
            (format!("ll{ta}el{tb}{tc}ee"), vec![vec![a], vec![b, c]]),
            (text(&format!("{a}\r\n{b}\n")), vec![vec![a, b]]),
            (text(&format!("\u{a0}{a}\t")), vec![vec![a]]),
            (format!("l{}e", text(&format!("\u{feff}{c} "))), vec![vec![c]]),
            (format!("li7e{ta}e"), vec![vec![a]]),
            (text(&format!("{a} {b} {c}")), vec![vec![a, b, c]]),
        ] {
            let it = read(&format!("d8:announce{announce}e"));
            assert_eq!((it.trackers, it.refused), (tiers_of(&tiers), vec![]), "{announce}");
        }
        for (list, tiers) in [
            (format!("l{ta}{tb}e"), vec![vec![a], vec![b]]),
            (ta.clone(), vec![vec![a]]),
            (format!("ll{}e{tc}e", text(&format!("{a}\n{b}"))), vec![vec![a, b], vec![c]]),
            ("l0:le4:\r\n\r\ne".to_owned(), vec![vec![b]]),
        ] {
            let it = read(&format!("d8:announce{tb}13:announce-list{list}e"));
            assert_eq!((it.trackers, it.refused), (tiers_of(&tiers), vec![]), "{list}");
        }
    }

    fn tiers_of(tiers: &[Vec<&str>]) -> Vec<Vec<String>> {
        tiers.iter().map(|tier| tier.iter().map(|url| (*url).to_owned()).collect()).collect()
    }

    #[test]
    fn a_url_that_is_broken_in_its_midst_is_no_tracker() {
        for broken in ["http://a.exam\nple/announce", "http://a.example/\r\nannounce", "http://a.example/announce\0"] {
            let it = read(&format!("d8:announce{}e", text(broken)));
            assert_eq!((it.trackers.len(), it.refused.len()), (0, 1), "{broken}");
        }
    }

    #[test]
    fn web_seeds_are_taken_with_blanks_around_and_spaces_inside() {
        let list =
            ["http://a.example/dir x/", " http://a.example/y\n", "", "\r\n", "http://a.example/1\nhttp://a.example/2"];
        let list: String = list.map(text).concat();
        let it = read(&format!("d8:url-listl{list}ee"));
        let want = ["dir%20x/", "y", "1", "2"].map(|path| format!("http://a.example/{path}"));
        assert_eq!((it.web_seeds, it.refused.len()), (want.to_vec(), 0));
    }
}
