//! Free space in the download folder, queried now and then.

use std::time::{Duration, Instant};

/// Interval between two queries of the free disk space.
const SPACE: Duration = Duration::from_secs(5);

/// Free space in the download folder, queried asynchronously.
#[derive(Default)]
pub(super) struct FreeSpace {
    asked: Option<Instant>,
    asking: bool,
    bytes: Option<u64>,
}

impl FreeSpace {
    /// Returns whether a query is to be started, because none is under way and the last result is too old.
    pub(super) fn begin_query(&mut self, now: Instant) -> bool {
        let begins = !self.asking && self.asked.is_none_or(|at| now >= at + SPACE);
        if begins {
            (self.asked, self.asking) = (Some(now), true);
        }
        begins
    }

    pub(super) const fn on_result(&mut self, bytes: Option<u64>) {
        (self.asking, self.bytes) = (false, bytes);
    }

    /// Handles a result of a folder that is no longer the download folder: the next query is due at once.
    pub(super) const fn on_stale_result(&mut self) {
        (self.asking, self.asked) = (false, None);
    }

    /// Discards what is known: the download folder has changed.
    pub(super) const fn forget(&mut self) {
        (self.asked, self.bytes) = (None, None);
    }

    /// Returns the free bytes, if known.
    pub(super) const fn bytes(&self) -> Option<u64> {
        self.bytes
    }
}
