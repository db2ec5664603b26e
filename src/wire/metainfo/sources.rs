//! The trackers and web seeds that a `.torrent` names (BEP 3, 12, 19), in every shape in which makers write them.

use std::collections::HashSet;

use crate::limits;
use crate::wire::bencode::{Kind, Value};
use crate::wire::metainfo::remarks::{REMARKS, Remarks, SHOWN};
use crate::wire::metainfo::urls;
use crate::wire::text::clean_bytes;

/// Where a `.torrent` says that peers and data are to be had.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Sources {
    /// Trackers that may be asked, by tier; at most [`limits::TRACKERS`], none twice, no tier empty.
    pub trackers: Vec<Vec<String>>,
    /// Web seeds that may be asked; at most [`limits::TRACKERS`], none twice.
    pub web_seeds: Vec<String>,
    /// What is not asked, and why: one sentence each.
    pub refused: Vec<String>,
    seen: HashSet<String>,
}

impl Sources {
    /// Reads the values of `announce`, `announce-list` and `url-list`.
    #[must_use]
    pub fn read(announce: Option<Value<'_>>, tiers: Option<Value<'_>>, seeds: Option<Value<'_>>) -> Self {
        Self::judge(announce, tiers, seeds, &mut Remarks::default())
    }

    /// The same; what is odd is remarked upon.
    pub(super) fn judge(
        announce: Option<Value<'_>>,
        tiers: Option<Value<'_>>,
        seeds: Option<Value<'_>>,
        remarks: &mut Remarks,
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

    /// Takes a list of tiers, each a list of URLs. Some makers leave out the inner list: in `announce-list` each URL is a
    /// tier then, in `announce`, which should be one URL, all of them are one.
    fn take_tiers(&mut self, value: Value<'_>, key: &str, remarks: &mut Remarks) {
        if value.kind() == Kind::Text {
            return self.take_tier([value].into_iter(), key, remarks);
        }
        let Some(list) = remarks.wish(Some(value), key, Kind::List).and_then(|list| list.list()) else { return };
        let mut flat = Vec::new();
        for tier in list {
            match tier.kind() {
                Kind::List => self.take_tier(tier.list().into_iter().flatten(), key, remarks),
                Kind::Text if key == "announce" => flat.push(tier),
                Kind::Text => self.take_tier([tier].into_iter(), key, remarks),
                kind => remarks.add(|| format!("`{key}` holds {kind}: passed over")),
            }
            if self.seen.len() >= limits::TRACKERS {
                break;
            }
        }
        self.take_tier(flat.into_iter(), key, remarks);
    }

    fn take_tier<'a>(&mut self, urls: impl Iterator<Item = Value<'a>>, key: &str, remarks: &mut Remarks) {
        let mut tier = Vec::new();
        for url in urls {
            if self.seen.len() >= limits::TRACKERS {
                break;
            }
            let text = remarks.wish(Some(url), key, Kind::Text).and_then(|url| url.text());
            for raw in urls::split(text.unwrap_or_default()) {
                match urls::tracker(raw) {
                    Ok(_) if self.seen.len() >= limits::TRACKERS => break,
                    Ok(url) if self.seen.insert(url.clone()) => tier.push(url),
                    Ok(_) => {}
                    Err(why) => self.refuse("tracker", raw, why),
                }
            }
        }
        if !tier.is_empty() {
            self.trackers.push(tier);
        }
    }

    fn take_web_seeds(&mut self, seeds: Value<'_>, remarks: &mut Remarks) {
        if matches!(seeds.kind(), Kind::Number | Kind::Dictionary) {
            remarks.wish(Some(seeds), "url-list", Kind::List);
        }
        let each = seeds.list().into_iter().flatten().chain((seeds.kind() == Kind::Text).then_some(seeds));
        for seed in each.take(limits::TRACKERS) {
            let Some(text) = remarks.wish(Some(seed), "url-list", Kind::Text).and_then(|v| v.text()) else { continue };
            for raw in urls::split(text) {
                match urls::web_seed(raw) {
                    Ok(_) if self.web_seeds.len() >= limits::TRACKERS => break,
                    Ok(url) if self.web_seeds.contains(&url) => {}
                    Ok(url) => self.web_seeds.push(url),
                    Err(why) => self.refuse("web seed", raw, why),
                }
            }
        }
    }

    fn refuse(&mut self, what: &str, raw: &[u8], why: urls::UrlError) {
        if self.refused.len() < REMARKS {
            self.refused.push(format!("{what} {} is not asked: {why}", clean_bytes(raw, SHOWN)));
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
