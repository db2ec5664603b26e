//! Payload totals over all runs of a torrent, and the amount of data in its files.

use std::ops::Range;
use std::time::{Duration, Instant};

use super::{Effect, Torrent};
use crate::swarm::job::{DiskJob, Totals};
use crate::swarm::view::Priority;

/// Interval at which changed totals are saved.
const RECORD: Duration = Duration::from_secs(60);

impl Torrent {
    /// Returns the payload received and sent over all runs, and whether the torrent was ever complete.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let before = self.config.totals;
        Totals {
            downloaded: before.downloaded.saturating_add(self.down.total()),
            uploaded: before.uploaded.saturating_add(self.up.total()),
            was_whole: before.was_whole,
        }
    }

    /// Merges saved totals: the larger value of each counter counts.
    ///
    /// Several records of one torrent may exist, and this state machine may have run before in this session.
    pub fn recall_totals(&mut self, recorded: Totals) {
        let known = self.totals();
        let it = &mut self.config.totals;
        it.downloaded = it.downloaded.saturating_add(recorded.downloaded.saturating_sub(known.downloaded));
        it.uploaded = it.uploaded.saturating_add(recorded.uploaded.saturating_sub(known.uploaded));
        it.was_whole |= recorded.was_whole;
        self.recorded = recorded;
    }

    /// Saves the totals if they changed: at most once per [`RECORD`], or at once if `at_once` is set.
    pub(super) fn record_totals(&mut self, now: Instant, at_once: bool, out: &mut Vec<Effect>) {
        let totals = self.totals();
        if !self.has_metadata() || totals == self.recorded {
            self.record_at = None;
            return;
        }
        let due = *self.record_at.get_or_insert(now + RECORD);
        if at_once || now >= due {
            self.recorded = totals;
            self.record_at = None;
            out.push(Effect::Disk(DiskJob::Totals(totals)));
        }
    }

    /// Checks whether all data is complete, wanted or not.
    ///
    /// The first time in the torrent's life, and only after a download, `completed` is announced to the trackers.
    pub(super) fn look_if_whole(&mut self, now: Instant, fetched: bool, out: &mut Vec<Effect>) {
        if self.picker.amounts().left() > 0 || !self.has_metadata() {
            return;
        }
        if !std::mem::replace(&mut self.config.totals.was_whole, true) {
            if fetched {
                self.trackers.completed(now);
            }
            self.record_totals(now, true, out);
        }
    }

    /// Returns the byte ranges of skipped files, in order.
    pub(super) fn unwanted(&self) -> Vec<Range<u64>> {
        let files = self.config.files.iter().zip(&self.files_wanted);
        let unwanted = files.filter(|(span, priority)| !span.pad && **priority == Priority::Skip);
        unwanted.map(|(span, _)| span.offset..span.offset + span.length).collect()
    }
}
