//! When the `.torrent` URLs of a magnet link (`xs`, `as`) are fetched.

use std::time::{Duration, Instant};

/// First retry delay after a failed fetch of a `.torrent` URL; doubles each time.
const RETRY: Duration = Duration::from_secs(30);
/// Maximum retry delay.
const RETRY_MOST: Duration = Duration::from_secs(3600);

/// The fetch state of one URL.
#[derive(Debug)]
struct LinkSource {
    /// Failures in a row.
    failures: u32,
    /// The next attempt; `None` while a fetch is in progress.
    next: Option<Instant>,
}

/// Schedules the fetches of the `.torrent` URLs of a magnet link.
#[derive(Debug, Default)]
pub(crate) struct LinkSources(Vec<LinkSource>);

impl LinkSources {
    /// Schedules an immediate fetch of each of `count` URLs.
    pub(crate) fn start(&mut self, now: Instant, count: usize) {
        self.0 = (0..count).map(|_| LinkSource { failures: 0, next: Some(now) }).collect();
    }

    /// Returns when the next fetch is due.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.0.iter().filter_map(|source| source.next).min()
    }

    /// Returns the indices of the URLs that are to be fetched now, and marks them as being fetched.
    pub(crate) fn take_due(&mut self, now: Instant) -> Vec<usize> {
        let due = self.0.iter_mut().enumerate().filter(|(_, source)| source.next.is_some_and(|at| at <= now));
        due.map(|(index, source)| {
            source.next = None;
            index
        })
        .collect()
    }

    /// Schedules the retry of a failed fetch and returns the number of failures; `None` if there is no such URL.
    pub(crate) fn on_failed(&mut self, now: Instant, index: usize) -> Option<u32> {
        let LinkSource { failures, next } = self.0.get_mut(index)?;
        let wait = RETRY_MOST.min(RETRY * 2_u32.pow((*failures).min(10)));
        (*failures, *next) = (*failures + 1, Some(now + wait));
        Some(*failures)
    }
}
