//! The web seeds of a torrent (BEP 19): availability, back-off, missing files and bans.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::limits;
use crate::swarm::event::PeerKey;
use crate::swarm::status::{Source, SourceFailure, SourceRow, SourceStatus, WebSeedProblem, WebSeedState};
use crate::wire::web_seed::host;

/// First [`PeerKey`] of web seeds; keys of connections count up from 1.
const KEYS: u64 = 1 << 63;

/// A web seed.
#[derive(Clone, Debug)]
pub(crate) struct WebSeed {
    /// URL; may contain credentials, so it must not be displayed.
    pub url: String,
    /// Host name, safe to print.
    pub host: String,
    /// Indexes of files missing on the server.
    pub lacks: BTreeSet<usize>,
    /// The server ignores range requests: used in torrent order and only if no other source delivers.
    pub ignores_ranges: bool,
    asked: bool,
    banned: bool,
    /// Consecutive failures.
    fails: u32,
    /// Consecutive missing files.
    misses: u32,
    next: Option<Instant>,
    /// The last error.
    problem: Option<WebSeedProblem>,
}

/// The web seeds of a torrent.
#[derive(Debug)]
pub(crate) struct WebSeeds {
    all: Vec<WebSeed>,
    /// Last key issued.
    keys: u64,
}

impl WebSeeds {
    /// Creates the list from URLs; keeps at most [`limits::WEB_SEEDS`].
    #[must_use]
    pub(crate) fn new(urls: &[String]) -> Self {
        WebSeeds { all: urls.iter().take(limits::WEB_SEEDS).map(|url| WebSeed::new(url)).collect(), keys: KEYS }
    }

    /// Adds a web seed unless the list is full.
    pub(crate) fn add(&mut self, url: &str) {
        if self.all.len() < limits::WEB_SEEDS {
            self.all.push(WebSeed::new(url));
        }
    }

    /// Returns a web seed by index.
    #[must_use]
    pub(crate) fn get(&self, seed: u16) -> Option<&WebSeed> {
        self.all.get(usize::from(seed))
    }

    fn get_mut(&mut self, seed: u16) -> Option<&mut WebSeed> {
        self.all.get_mut(usize::from(seed))
    }

    /// Returns the next web seed to use, if any is due. `alone` means that no other source delivers now.
    #[must_use]
    pub(crate) fn next(&self, now: Instant, alone: bool) -> Option<u16> {
        if self.all.iter().filter(|seed| seed.asked).count() >= limits::WEB_SEEDS_AT_ONCE {
            return None;
        }
        let ready =
            |seed: &WebSeed| seed.is_free() && seed.next.is_none_or(|at| at <= now) && (alone || !seed.ignores_ranges);
        let ready = self.all.iter().enumerate().filter(|(_, seed)| ready(seed));
        ready.min_by_key(|(n, seed)| (seed.ignores_ranges, seed.fails, *n)).map(|(n, _)| n as u16)
    }

    /// Returns when a web seed may be used again.
    #[must_use]
    pub(crate) fn deadline(&self) -> Option<Instant> {
        if self.all.iter().filter(|seed| seed.asked).count() >= limits::WEB_SEEDS_AT_ONCE {
            return None;
        }
        self.all.iter().filter(|seed| seed.is_free()).filter_map(|seed| seed.next).min()
    }

    /// Marks a web seed as in use and returns its new key.
    pub(crate) fn take(&mut self, seed: u16) -> PeerKey {
        if let Some(seed) = self.get_mut(seed) {
            seed.asked = true;
        }
        self.keys += 1;
        PeerKey(self.keys)
    }

    /// Records that the server ignores range requests and releases it; returns whether that is new.
    pub(crate) fn sends_whole(&mut self, seed: u16) -> bool {
        let Some(seed) = self.get_mut(seed) else { return false };
        seed.asked = false;
        !std::mem::replace(&mut seed.ignores_ranges, true)
    }

    /// Records a success: clears failures and the last error.
    pub(crate) fn served(&mut self, seed: u16) {
        if let Some(seed) = self.get_mut(seed) {
            (seed.fails, seed.misses, seed.problem) = (0, 0, None);
        }
    }

    /// Releases a web seed for [`limits::WEB_SEED_BACKOFF`]: none of its files is wanted now.
    pub(crate) fn back_off(&mut self, now: Instant, seed: u16) {
        if let Some(seed) = self.get_mut(seed) {
            (seed.asked, seed.next) = (false, Some(now + limits::WEB_SEED_BACKOFF));
        }
    }

    /// Releases a web seed, after an error (`problem`) or by our own decision (`None`).
    ///
    /// Ignored if the web seed is not in use.
    ///
    /// After an error the back-off is the server's `wait` (`Retry-After`), or else triples with each failure.
    pub(crate) fn release(&mut self, now: Instant, seed: u16, error: Option<String>, wait: Option<Duration>) {
        let Some(seed) = self.get_mut(seed).filter(|seed| seed.asked) else { return };
        seed.asked = false;
        if let Some(error) = error {
            seed.fails = seed.fails.saturating_add(1);
            let growing = limits::WEB_SEED_BACKOFF * 3_u32.saturating_pow(seed.fails.saturating_sub(1).min(8));
            seed.next = Some(now + wait.unwrap_or(growing).min(limits::WEB_SEED_BACKOFF_MOST));
            seed.problem = Some(WebSeedProblem::Failed(error));
        }
    }

    /// Records a missing file and releases the web seed; returns whether that is new.
    ///
    /// Other files may be requested at once, unless many were missing in a row.
    pub(crate) fn on_missing_file(&mut self, now: Instant, seed: u16, file: usize, words: &str) -> bool {
        let Some(seed) = self.get_mut(seed) else { return false };
        seed.misses = seed.misses.saturating_add(1);
        let wait = if seed.misses < limits::WEB_SEED_LACKS { Duration::ZERO } else { limits::WEB_SEED_BACKOFF };
        let problem = WebSeedProblem::Failed(words.to_owned());
        (seed.asked, seed.next, seed.problem) = (false, Some(now + wait), Some(problem));
        seed.lacks.insert(file)
    }

    /// Bans a web seed for the lifetime of the torrent; returns whether that is new.
    pub(crate) fn ban(&mut self, seed: u16, why: &str) -> bool {
        let Some(seed) = self.get_mut(seed) else { return false };
        (seed.asked, seed.problem) = (false, Some(WebSeedProblem::Banned(why.to_owned())));
        !std::mem::replace(&mut seed.banned, true)
    }

    /// Releases all web seeds and clears failures, back-off and missing files, for the next start.
    pub(crate) fn reset(&mut self) {
        for seed in &mut self.all {
            (seed.asked, seed.fails, seed.misses, seed.next) = (false, 0, 0, None);
            seed.lacks.clear();
        }
    }

    /// Returns each web seed with its last error.
    #[must_use]
    pub(crate) fn states(&self) -> Vec<WebSeedState> {
        let state = |seed: &WebSeed| WebSeedState { host: seed.host.clone(), problem: seed.problem.clone() };
        self.all.iter().map(state).collect()
    }

    /// Returns the row of the source table; `None` if there are no web seeds.
    #[must_use]
    pub(crate) fn row(&self, now: Instant) -> Option<SourceRow> {
        let count = |of: fn(&WebSeed) -> bool| self.all.iter().filter(|seed| of(seed)).count() as u32;
        (!self.all.is_empty()).then(|| SourceRow {
            known: count(|_| true),
            failed: count(|seed| seed.banned || seed.fails > 0),
            connected: count(|seed| seed.asked),
            last_failure: self.all.iter().rev().find_map(|seed| seed.problem.clone()).map(SourceFailure::WebSeed),
            status: self.status(),
            next: self.deadline().map(|at| at.saturating_duration_since(now)),
            ..SourceRow::new(Source::Web)
        })
    }

    fn status(&self) -> SourceStatus {
        let problem = || self.all.iter().find_map(|seed| seed.problem.clone());
        match self.all.iter().filter(|seed| seed.asked).count() {
            0 => problem().map_or(SourceStatus::WebSeedsIdle, SourceStatus::WebSeedProblem),
            used => SourceStatus::WebSeedsInUse { used, all: self.all.len() },
        }
    }
}

impl WebSeed {
    fn new(url: &str) -> Self {
        WebSeed {
            url: url.to_owned(),
            host: host(url),
            lacks: BTreeSet::new(),
            ignores_ranges: false,
            asked: false,
            banned: false,
            fails: 0,
            misses: 0,
            next: None,
            problem: None,
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
        it.release(t0, 0, Some("connection refused".into()), None);
        assert_eq!(it.deadline(), Some(t0 + limits::WEB_SEED_BACKOFF));
        let t1 = t0 + limits::WEB_SEED_BACKOFF;
        assert_eq!(it.next(t1, false), Some(0));
        it.take(0);
        it.release(t1, 0, Some("connection refused".into()), None);
        assert_eq!(it.deadline(), Some(t1 + 3 * limits::WEB_SEED_BACKOFF));
        it.release(t1, 1, Some("busy".into()), Some(Duration::from_secs(2)));
        assert_eq!(it.deadline(), Some(t1 + Duration::from_secs(2)));
        it.take(1);
        it.release(t1, 1, Some("busy".into()), Some(Duration::from_secs(1 << 40)));
        it.take(0);
        assert_eq!(it.deadline(), Some(t1 + limits::WEB_SEED_BACKOFF_MOST), "no server is waited for for ever");
        it.release(t1, 0, Some("gone".into()), None);
        assert_eq!(it.row(t1).map(|row| (row.known, row.failed, row.connected)), Some((2, 2, 0)));
        it.reset();
        assert_eq!(it.next(t1, false), Some(0));
        assert!(it.ban(0, "bad data") && !it.ban(0, "bad data"));
        assert_eq!(it.next(t1, false), Some(1));
    }

    #[test]
    fn a_missing_file_is_remembered_until_the_next_start() {
        let t0 = Instant::now();
        let mut it = WebSeeds::new(&["http://a.example/x".into()]);
        it.take(0);
        assert!(it.on_missing_file(t0, 0, 3, "not there") && !it.on_missing_file(t0, 0, 3, "not there"));
        assert_eq!(it.next(t0, false), Some(0));
        assert!(it.get(0).is_some_and(|seed| seed.lacks.contains(&3)));
        it.reset();
        assert!(it.get(0).is_some_and(|seed| seed.lacks.is_empty()));
    }

    #[test]
    fn one_that_lacks_one_file_after_the_other_is_not_asked_for_all_of_them_at_once() {
        let t0 = Instant::now();
        let mut it = WebSeeds::new(&["http://a.example/x".into()]);
        let at_once = (0..1000)
            .take_while(|file| it.next(t0, false).is_some() && it.on_missing_file(t0, 0, *file, "not there"))
            .count();
        assert_eq!(at_once, limits::WEB_SEED_LACKS as usize);
        let later = t0 + limits::WEB_SEED_BACKOFF;
        assert_eq!((it.deadline(), it.next(later, false)), (Some(later), Some(0)));
        it.served(0);
        it.on_missing_file(later, 0, 2000, "not there");
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
        it.reset();
        assert!(it.get(0).is_some_and(|seed| seed.ignores_ranges), "what a server can do stays known");
    }
}
