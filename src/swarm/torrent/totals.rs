//! What is counted over all runs of a torrent in its folder, and how much of it there is.

use std::ops::Range;
use std::time::{Duration, Instant};

use super::{Effect, Torrent, TorrentConfig};
use crate::swarm::data_map::DataMap;
use crate::swarm::job::{DiskJob, Totals};
use crate::swarm::view::Priority;

/// The time between two recordings of the totals while they change.
const RECORD: Duration = Duration::from_secs(60);

impl TorrentConfig {
    /// Which of its bytes are data and which are padding.
    #[must_use]
    pub fn data_map(&self) -> DataMap {
        let pads = self.files.iter().filter(|span| span.pad);
        DataMap::new(self.geometry, pads.map(|span| span.offset..span.offset + span.length).collect())
    }

    /// Bytes of all its files; padding is none.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.files.iter().filter(|span| !span.pad).map(|span| span.length).sum()
    }
}

impl Torrent {
    /// What it has received and sent over all runs, and whether it was whole once.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let before = self.config.totals;
        Totals {
            downloaded: before.downloaded.saturating_add(self.down.total()),
            uploaded: before.uploaded.saturating_add(self.up.total()),
            was_whole: before.was_whole,
        }
    }

    /// Takes in what was recorded of earlier runs. Several may tell of it, and the machine of this session may have run
    /// before: the most that anybody knows of counts.
    pub fn recall_totals(&mut self, recorded: Totals) {
        let known = self.totals();
        let it = &mut self.config.totals;
        it.downloaded = it.downloaded.saturating_add(recorded.downloaded.saturating_sub(known.downloaded));
        it.uploaded = it.uploaded.saturating_add(recorded.uploaded.saturating_sub(known.uploaded));
        it.was_whole |= recorded.was_whole;
        self.recorded = recorded;
    }

    /// Has the totals recorded when they have changed: at most once a minute, or at once.
    pub(super) fn record_totals(&mut self, now: Instant, at_once: bool, out: &mut Vec<Effect>) {
        let totals = self.totals();
        if !self.is_described() || totals == self.recorded {
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

    /// Everything is here, wanted or not, or it is not. Trackers hear `completed` when it comes to that for the first
    /// time in the torrent's life, and by a download: what was whole when it was found was completed by somebody else.
    pub(super) fn look_if_whole(&mut self, now: Instant, fetched: bool, out: &mut Vec<Effect>) {
        if self.picker.amounts().left() > 0 || !self.is_described() {
            return;
        }
        if !std::mem::replace(&mut self.config.totals.was_whole, true) {
            if fetched {
                self.trackers.completed(now);
            }
            self.record_totals(now, true, out);
        }
    }

    /// The bytes of files that are not wanted, in order.
    pub(super) fn unwanted(&self) -> Vec<Range<u64>> {
        let files = self.config.files.iter().zip(&self.files_wanted);
        let unwanted = files.filter(|(span, priority)| !span.pad && **priority == Priority::Skip);
        unwanted.map(|(span, _)| span.offset..span.offset + span.length).collect()
    }
}
