//! The web seeds of a torrent (BEP 19): when each may be asked, what it lacks, and which are left alone.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::limits;
use crate::swarm::torrent::PeerKey;
use crate::swarm::view::{Source, SourceRow};
use crate::wire::web_seed::host;

/// Keys of web seeds begin here: those of connections are counted from 1.
const KEYS: u64 = 1 << 63;

/// One web seed.
#[derive(Clone, Debug)]
pub struct WebSeed {
    /// Its URL. It may hold secrets: not for a screen.
    pub url: String,
    /// Its host, safe to print.
    pub host: String,
    /// Files that it does not have, by index.
    pub lacks: BTreeSet<usize>,
    /// It sends files only whole: it is asked in order, and where nobody else gives anything.
    pub whole: bool,
    asked: bool,
    banned: bool,
    /// Failures in a row.
    fails: u32,
    /// Files in a row that it did not have.
    misses: u32,
    next: Option<Instant>,
    /// What was last wrong with it, in words.
    trouble: Option<String>,
}

/// All of a torrent.
#[derive(Debug)]
pub struct WebSeeds {
    all: Vec<WebSeed>,
    /// Keys given so far.
    keys: u64,
}

impl WebSeeds {
    /// Those with these URLs.
    #[must_use]
    pub fn new(urls: &[String]) -> Self {
        WebSeeds { all: urls.iter().take(limits::WEB_SEEDS).map(|url| WebSeed::new(url)).collect(), keys: KEYS }
    }

    /// One more.
    pub fn add(&mut self, url: &str) {
        if self.all.len() < limits::WEB_SEEDS {
            self.all.push(WebSeed::new(url));
        }
    }

    /// One of them.
    #[must_use]
    pub fn get(&self, seed: u16) -> Option<&WebSeed> {
        self.all.get(usize::from(seed))
    }

    fn get_mut(&mut self, seed: u16) -> Option<&mut WebSeed> {
        self.all.get_mut(usize::from(seed))
    }

    /// The next one to be asked, if one may be asked now. `alone` says that nobody gives anything now.
    #[must_use]
    pub fn next(&self, now: Instant, alone: bool) -> Option<u16> {
        if self.all.iter().filter(|seed| seed.asked).count() >= limits::WEB_SEEDS_AT_ONCE {
            return None;
        }
        let ready = |seed: &WebSeed| seed.is_free() && seed.next.is_none_or(|at| at <= now) && (alone || !seed.whole);
        let ready = self.all.iter().enumerate().filter(|(_, seed)| ready(seed));
        ready.min_by_key(|(n, seed)| (seed.whole, seed.fails, *n)).map(|(n, _)| n as u16)
    }

    /// When one may be asked again.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        if self.all.iter().filter(|seed| seed.asked).count() >= limits::WEB_SEEDS_AT_ONCE {
            return None;
        }
        self.all.iter().filter(|seed| seed.is_free()).filter_map(|seed| seed.next).min()
    }

    /// This one is asked from now on, under this name.
    pub fn take(&mut self, seed: u16) -> PeerKey {
        if let Some(seed) = self.get_mut(seed) {
            seed.asked = true;
        }
        self.keys += 1;
        PeerKey(self.keys)
    }

    /// It sends files only whole; whether that is new. It is not asked any more for now.
    pub fn sends_whole(&mut self, seed: u16) -> bool {
        let Some(seed) = self.get_mut(seed) else { return false };
        seed.asked = false;
        !std::mem::replace(&mut seed.whole, true)
    }

    /// It has given what it was asked for.
    pub fn served(&mut self, seed: u16) {
        if let Some(seed) = self.get_mut(seed) {
            (seed.fails, seed.misses, seed.trouble) = (0, 0, None);
        }
    }

    /// It is not asked before a while has gone: nothing that it has is wanted now.
    pub fn rest_one(&mut self, now: Instant, seed: u16) {
        if let Some(seed) = self.get_mut(seed) {
            (seed.asked, seed.next) = (false, Some(now + limits::WEB_SEED_BACKOFF));
        }
    }

    /// It is not asked any more: it failed, in these words, or it was us (`None`); nothing where that is known
    /// already. It is asked again when it says itself (`wait`), else after a time that grows with its failures.
    pub fn left(&mut self, now: Instant, seed: u16, trouble: Option<String>, wait: Option<Duration>) {
        let Some(seed) = self.get_mut(seed).filter(|seed| seed.asked) else { return };
        seed.asked = false;
        if trouble.is_some() {
            seed.fails = seed.fails.saturating_add(1);
            let growing = limits::WEB_SEED_BACKOFF * 3_u32.saturating_pow(seed.fails.saturating_sub(1).min(8));
            seed.next = Some(now + wait.unwrap_or(growing).min(limits::WEB_SEED_BACKOFF_MOST));
            seed.trouble = trouble;
        }
    }

    /// It does not have this file; it may be asked for others at once, unless it lacked many in a row. Whether that is
    /// new.
    pub fn lacks(&mut self, now: Instant, seed: u16, file: usize, words: &str) -> bool {
        let Some(seed) = self.get_mut(seed) else { return false };
        seed.misses = seed.misses.saturating_add(1);
        let wait = if seed.misses < limits::WEB_SEED_LACKS { Duration::ZERO } else { limits::WEB_SEED_BACKOFF };
        (seed.asked, seed.next, seed.trouble) = (false, Some(now + wait), Some(words.to_owned()));
        seed.lacks.insert(file)
    }

    /// It is left alone for as long as the torrent lives; whether that is new.
    pub fn ban(&mut self, seed: u16, why: &str) -> bool {
        let Some(seed) = self.get_mut(seed) else { return false };
        (seed.asked, seed.trouble) = (false, Some(format!("banned: {why}")));
        !std::mem::replace(&mut seed.banned, true)
    }

    /// Nobody is asked, and nothing has failed as far as the next start knows.
    pub fn rest(&mut self) {
        for seed in &mut self.all {
            (seed.asked, seed.fails, seed.misses, seed.next) = (false, 0, 0, None);
            seed.lacks.clear();
        }
    }

    /// Each one's host, and what was last wrong with it.
    #[must_use]
    pub fn troubles(&self) -> Vec<(String, Option<String>)> {
        self.all.iter().map(|seed| (seed.host.clone(), seed.trouble.clone())).collect()
    }

    /// What they have brought, if there are any.
    #[must_use]
    pub fn row(&self, now: Instant) -> Option<SourceRow> {
        let count = |of: fn(&WebSeed) -> bool| self.all.iter().filter(|seed| of(seed)).count() as u32;
        (!self.all.is_empty()).then(|| SourceRow {
            known: count(|_| true),
            failed: count(|seed| seed.banned || seed.fails > 0),
            connected: count(|seed| seed.asked),
            last_failure: self.all.iter().rev().find_map(|seed| seed.trouble.clone()),
            status: self.status(),
            next: self.deadline().map(|at| at.saturating_duration_since(now)),
            ..SourceRow::new(Source::Web)
        })
    }

    fn status(&self) -> String {
        let asked = self.all.iter().filter(|seed| seed.asked).count();
        let trouble = || self.all.iter().find_map(|seed| seed.trouble.clone());
        match asked {
            0 => trouble().unwrap_or_else(|| "not asked now".to_owned()),
            n => format!("{n} of {} asked", self.all.len()),
        }
    }
}

impl WebSeed {
    fn new(url: &str) -> Self {
        WebSeed {
            url: url.to_owned(),
            host: host(url),
            lacks: BTreeSet::new(),
            whole: false,
            asked: false,
            banned: false,
            fails: 0,
            misses: 0,
            next: None,
            trouble: None,
        }
    }

    const fn is_free(&self) -> bool {
        !self.asked && !self.banned
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_fails_waits_longer_each_time_or_as_long_as_it_says() {
        let t0 = Instant::now();
        let mut it = WebSeeds::new(&["http://a.example/x".into(), "http://b.example/x".into()]);
        assert_eq!(it.next(t0, false), Some(0));
        let first = it.take(0);
        assert_ne!(first, it.take(1));
        assert_eq!((it.next(t0, false), it.deadline()), (None, None));
        it.left(t0, 0, Some("connection refused".into()), None);
        assert_eq!(it.deadline(), Some(t0 + limits::WEB_SEED_BACKOFF));
        let t1 = t0 + limits::WEB_SEED_BACKOFF;
        assert_eq!(it.next(t1, false), Some(0));
        it.take(0);
        it.left(t1, 0, Some("connection refused".into()), None);
        assert_eq!(it.deadline(), Some(t1 + 3 * limits::WEB_SEED_BACKOFF));
        it.left(t1, 1, Some("busy".into()), Some(Duration::from_secs(2)));
        assert_eq!(it.deadline(), Some(t1 + Duration::from_secs(2)));
        it.take(1);
        it.left(t1, 1, Some("busy".into()), Some(Duration::from_secs(1 << 40)));
        it.take(0);
        assert_eq!(it.deadline(), Some(t1 + limits::WEB_SEED_BACKOFF_MOST), "no server is waited for for ever");
        it.left(t1, 0, Some("gone".into()), None);
        assert_eq!(it.row(t1).map(|row| (row.known, row.failed, row.connected)), Some((2, 2, 0)));
        it.rest();
        assert_eq!(it.next(t1, false), Some(0));
        assert!(it.ban(0, "bad data") && !it.ban(0, "bad data"));
        assert_eq!(it.next(t1, false), Some(1));
    }

    #[test]
    fn a_missing_file_is_remembered_until_the_next_start() {
        let t0 = Instant::now();
        let mut it = WebSeeds::new(&["http://a.example/x".into()]);
        it.take(0);
        assert!(it.lacks(t0, 0, 3, "not there") && !it.lacks(t0, 0, 3, "not there"));
        assert_eq!(it.next(t0, false), Some(0));
        assert!(it.get(0).is_some_and(|seed| seed.lacks.contains(&3)));
        it.rest();
        assert!(it.get(0).is_some_and(|seed| seed.lacks.is_empty()));
    }

    #[test]
    fn one_that_lacks_one_file_after_the_other_is_not_asked_for_all_of_them_at_once() {
        let t0 = Instant::now();
        let mut it = WebSeeds::new(&["http://a.example/x".into()]);
        let at_once =
            (0..1000).take_while(|file| it.next(t0, false).is_some() && it.lacks(t0, 0, *file, "not there")).count();
        assert_eq!(at_once, limits::WEB_SEED_LACKS as usize);
        let later = t0 + limits::WEB_SEED_BACKOFF;
        assert_eq!((it.deadline(), it.next(later, false)), (Some(later), Some(0)));
        it.served(0);
        it.lacks(later, 0, 2000, "not there");
        assert_eq!(it.next(later, false), Some(0), "it has others");
    }

    #[test]
    fn one_that_sends_only_whole_files_is_asked_where_nobody_else_gives() {
        let t0 = Instant::now();
        let mut it = WebSeeds::new(&["http://a.example/x".into(), "http://b.example/x".into()]);
        it.take(0);
        assert!(it.sends_whole(0) && !it.sends_whole(0));
        assert_eq!((it.next(t0, true), it.next(t0, false)), (Some(1), Some(1)), "the other one comes first");
        it.take(1);
        assert_eq!((it.next(t0, false), it.next(t0, true)), (None, Some(0)));
        it.rest();
        assert!(it.get(0).is_some_and(|seed| seed.whole), "what a server can do stays known");
    }
}
