//! Tracker announces of one torrent: which tracker, when, which event. Tiers (BEP 12), intervals, back-off, `stopped`.
//!
//! The trackers form one list, tier after tier; in each tier the one that answered last is at the front. The list is
//! walked up to the first tracker whose response is still fresh; if no known address can become a peer, the walk
//! continues behind it. The walk also continues past a tracker that failed or did not respond within [`PATIENCE`], so
//! a dead tracker costs seconds rather than its time-out. A failed tracker is retried with back-off, after those not
//! tried yet.

use std::time::{Duration, Instant};

use tracker::{Phase, Tracker};

use crate::limits;
use crate::swarm::view::TrackerRow;
use crate::wire::tracker::{Announce, AnnounceError, AnnounceEvent, AnnounceResponse, Retry};

/// Maximum number of trackers ever added to one torrent: removed trackers keep their index.
const EVER: usize = 10 * limits::TRACKERS;
/// How long a tracker may take before the next one is announced to as well.
///
/// Divided by the number of announces in flight, but at least [`PATIENCE_LEAST`].
pub(crate) const PATIENCE: Duration = Duration::from_secs(4);
/// Minimum time before the next tracker is announced to as well.
pub(crate) const PATIENCE_LEAST: Duration = Duration::from_secs(1);
/// Maximum announces in flight per torrent: in a long list most trackers are dead.
const AT_ONCE: usize = 32;
/// How often, while no peer is connected, to check whether any known address can still become a peer.
const LOOK: Duration = Duration::from_secs(10);
/// How long a stop waits for a tracker that has never responded: it may be slow, and list us anyway.
const DOUBTFUL: Duration = Duration::from_secs(1);
/// Back-off after the first failure; doubles with each further failure.
const BACK_OFF_FIRST: Duration = Duration::from_secs(5);
/// Maximum back-off.
const BACK_OFF_MAX: Duration = Duration::from_secs(30 * 60);
/// Minimum time between announces to one tracker, whatever the tracker allows and the user requests.
const GAP: Duration = Duration::from_secs(5);

/// Transfer statistics for an announce.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct TransferCounters {
    /// Payload bytes sent since the torrent was started.
    pub uploaded: u64,
    /// Payload bytes received since the torrent was started.
    pub downloaded: u64,
    /// Missing bytes of the whole torrent, wanted or not.
    pub left: u64,
    /// All wanted files are complete; if bytes are left this is a partial seed (BEP 21).
    pub partial_seed: bool,
    /// Number of peers to request (`numwant`).
    pub num_want: u32,
    /// True if no peer is connected.
    pub alone: bool,
    /// True if, in addition, no known address can still become a peer.
    pub hopeless: bool,
}

/// The trackers of one torrent and their announce schedule.
#[derive(Debug)]
pub(crate) struct Trackers {
    all: Vec<Tracker>,
    /// Indices into `all` by tier, in announce order.
    tiers: Vec<Vec<usize>>,
    phase: Phase,
    next: Option<Instant>,
    /// That every tracker has failed was reported.
    said_failed: bool,
}

impl Trackers {
    /// Creates the list from the tiers of a metainfo file and shuffles each tier (BEP 12).
    ///
    /// Duplicate and overlong URLs ([`limits::TRACKER_URL`]) are skipped; at most [`limits::TRACKERS`] are kept.
    #[must_use]
    pub(crate) fn new(tiers: &[Vec<String>], rng: &mut fastrand::Rng) -> Self {
        let mut it =
            Trackers { all: Vec::new(), tiers: Vec::new(), phase: Phase::Idle, next: None, said_failed: false };
        for tier in tiers {
            let mut members = Vec::new();
            for url in tier.iter().map(|url| url.trim()) {
                let known = it.all.iter().any(|t| t.url == url);
                if known || url.is_empty() || url.len() > limits::TRACKER_URL || it.all.len() == limits::TRACKERS {
                    continue;
                }
                members.push(it.all.len());
                it.all.push(Tracker::new(url.to_owned(), it.tiers.len() as u32));
            }
            rng.shuffle(&mut members);
            if !members.is_empty() {
                it.tiers.push(members);
            }
        }
        it
    }

    /// Returns the URLs by tier, in announce order.
    #[must_use]
    pub(crate) fn urls(&self) -> Vec<Vec<String>> {
        self.tiers.iter().map(|tier| tier.iter().map(|i| self.all[*i].url.clone()).collect()).collect()
    }

    /// Returns whether the index belongs to a tracker that was not removed.
    #[must_use]
    pub(crate) fn is_listed(&self, index: usize) -> bool {
        self.all.get(index).is_some_and(|t| !t.removed)
    }

    /// Adds a tracker in a new last tier and announces to it at once, so that the user sees its response.
    ///
    /// # Errors
    /// Why the tracker was not added. A tracker that is already listed is announced to nevertheless.
    pub(crate) fn add(&mut self, now: Instant, url: &str) -> Result<(), &'static str> {
        if let Some(index) = self.all.iter().position(|t| !t.removed && t.url == url) {
            self.announce_now(now, Some(index));
            return Err("it is already in the list");
        }
        if self.tiers.iter().flatten().count() >= limits::TRACKERS || self.all.len() >= EVER {
            return Err("too many trackers");
        }
        let tier = self.tiers.iter().flatten().map(|i| self.all[*i].tier + 1).max().unwrap_or(0);
        let mut tracker = Tracker::new(url.to_owned(), tier);
        if self.phase == Phase::Running && tracker.usable {
            tracker.wish(true);
        }
        self.tiers.push(vec![self.all.len()]);
        self.all.push(tracker);
        if self.phase == Phase::Running {
            self.next = Some(now);
        }
        Ok(())
    }

    /// Removes a tracker and returns whether it was listed. Its index is not reused.
    pub(crate) fn remove(&mut self, now: Instant, index: usize) -> bool {
        let Some(tracker) = self.all.get_mut(index).filter(|t| !t.removed) else { return false };
        tracker.removed = true;
        (tracker.wished, tracker.owes_completed) = (false, false);
        for tier in &mut self.tiers {
            tier.retain(|i| *i != index);
        }
        self.tiers.retain(|tier| !tier.is_empty());
        if self.phase == Phase::Running {
            self.next = Some(now);
        }
        true
    }

    /// Removes all trackers except those with the given URLs.
    pub(crate) fn keep_only(&mut self, now: Instant, urls: &[Vec<String>]) {
        for index in 0..self.all.len() {
            if !urls.iter().flatten().any(|url| *url == self.all[index].url) {
                self.remove(now, index);
            }
        }
    }

    /// Returns whether the list has this tracker, also if the user removed it.
    #[must_use]
    pub(crate) fn has(&self, url: &str) -> bool {
        self.all.iter().any(|tracker| tracker.url == url)
    }

    /// Returns whether every tracker has failed; once, until one works again.
    pub(crate) fn have_all_failed(&mut self) -> bool {
        let failed = self.all.iter().filter(|tracker| !tracker.removed).all(|tracker| tracker.failures > 0);
        let first = failed && !self.said_failed;
        self.said_failed = failed;
        first
    }

    /// Starts announcing: the first event for each tracker is `started`.
    pub(crate) fn start(&mut self, now: Instant) {
        if self.phase == Phase::Running {
            return;
        }
        self.all.iter_mut().for_each(Tracker::reset);
        self.phase = Phase::Running;
        self.next = Some(now);
    }

    /// Schedules one `completed` for each tracker that was announced to while data was missing.
    pub(crate) fn completed(&mut self, now: Instant) {
        for tracker in &mut self.all {
            tracker.owes_completed =
                !tracker.removed && tracker.knew_incomplete && (tracker.lists_us || tracker.in_flight.is_some());
        }
        self.next = Some(now);
    }

    /// Schedules an announce to all trackers or to one, at the user's request, once `min interval` allows it.
    pub(crate) fn announce_now(&mut self, now: Instant, which: Option<usize>) {
        if self.phase == Phase::Running {
            for (index, tracker) in self.all.iter_mut().enumerate() {
                let meant = which.is_none_or(|which| which == index);
                if meant && tracker.usable && !tracker.removed && tracker.in_flight.is_none() {
                    tracker.wish(which.is_some());
                }
            }
            self.next = Some(now);
        }
    }

    /// Begins to stop: sends `stopped` to every tracker that lists us.
    ///
    /// This includes trackers that may list us because of an announce in flight.
    ///
    /// All `stopped` announces go out in parallel. Over when [`stopped`](Self::stopped) returns true, at the latest
    /// after [`limits::LAST_ANNOUNCE`].
    pub(crate) fn stop(&mut self, now: Instant) {
        if self.phase == Phase::Running {
            self.phase = Phase::Stopping(now + limits::LAST_ANNOUNCE);
            self.next = Some(now);
            for tracker in &mut self.all {
                let leaves_already = tracker.in_flight.is_some_and(|(_, event)| event == AnnounceEvent::Stopped);
                tracker.leaving = (tracker.lists_us || tracker.in_flight.is_some()) && !leaves_already;
            }
        }
    }

    /// Returns whether a stop is over: all `stopped` announces have ended or timed out.
    #[must_use]
    pub(crate) fn stopped(&self, now: Instant) -> bool {
        match self.phase {
            Phase::Idle => true,
            Phase::Running => false,
            Phase::Stopping(until) => {
                let doubtful = until - limits::LAST_ANNOUNCE + DOUBTFUL;
                let hopeful = |t: &Tracker| t.in_flight.is_some() && (t.lists_us || now < doubtful);
                now >= until || !self.all.iter().any(|t| t.leaving || hopeful(t))
            }
        }
    }

    /// Returns the latest time for the next call of [`poll`](Self::poll).
    #[must_use]
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.next
    }

    /// Appends the announces that are due, each with the tracker's index for [`announced`](Self::announced).
    pub(crate) fn poll(&mut self, now: Instant, counters: &TransferCounters, out: &mut Vec<(usize, Announce)>) {
        self.next = None;
        match self.phase {
            Phase::Idle => {}
            Phase::Running => {
                self.send_pending(now, counters, out);
                self.walk(now, counters, out);
            }
            Phase::Stopping(until) if now >= until => {
                self.phase = Phase::Idle;
                self.all.iter_mut().for_each(Tracker::reset);
            }
            Phase::Stopping(until) => {
                let doubtful = until - limits::LAST_ANNOUNCE + DOUBTFUL;
                for index in (0..self.all.len()).filter(|&index| self.all[index].leaving).collect::<Vec<_>>() {
                    let tracker = &self.all[index];
                    // Send a pending `completed` before `stopped` if the tracker is likely to respond soon.
                    let hurries = now >= doubtful || tracker.failures > 0;
                    match tracker.in_flight {
                        Some((_, event))
                            if !hurries && (tracker.owes_completed || event == AnnounceEvent::Completed) => {}
                        None if !hurries && tracker.owes_completed && tracker.lists_us => {
                            self.ask(index, AnnounceEvent::Completed, now, counters, out);
                        }
                        _ => {
                            self.all[index].leaving = false;
                            self.ask(index, AnnounceEvent::Stopped, now, counters, out);
                        }
                    }
                }
                self.schedule_now(if now < doubtful { doubtful } else { until });
            }
        }
    }

    /// Sends the announces that do not depend on the walk.
    ///
    /// These are `completed`, `stopped` to removed trackers, and announces requested by the user.
    fn send_pending(&mut self, now: Instant, counters: &TransferCounters, out: &mut Vec<(usize, Announce)>) {
        for index in 0..self.all.len() {
            let tracker = &self.all[index];
            if tracker.in_flight.is_some() || (self.in_flight() >= AT_ONCE && !tracker.wished_alone) {
                continue;
            }
            let (from, event) = match tracker {
                t if t.removed && t.lists_us => (None, AnnounceEvent::Stopped),
                t if t.owes_completed && t.lists_us => (t.retry, AnnounceEvent::Completed),
                t if t.wished => (t.not_before, AnnounceEvent::None),
                _ => continue,
            };
            match from {
                Some(from) if from > now => self.schedule_now(from),
                _ => self.ask(index, event, now, counters, out),
            }
        }
    }

    /// Makes the regular announce.
    ///
    /// Walks the list to the first tracker with a fresh response or a pending announce.
    ///
    /// Of the due trackers on the way one is announced to: the first without failures, or else the first.
    fn walk(&mut self, now: Instant, counters: &TransferCounters, out: &mut Vec<(usize, Announce)>) {
        let order: Vec<usize> = self.tiers.iter().flatten().copied().collect();
        let under_way = self.in_flight();
        let patience = (PATIENCE / u32::try_from(under_way).unwrap_or(u32::MAX).max(1)).max(PATIENCE_LEAST);
        let mut due: Option<usize> = None;
        // Set behind a fresh response without peers: only trackers that already list us are announced to.
        let mut members_only = false;
        for (at, &index) in order.iter().enumerate() {
            let tracker = &self.all[index];
            if !tracker.usable || tracker.never || (members_only && !tracker.lists_us) {
                continue;
            }
            if let Some((since, _)) = tracker.in_flight {
                if now < since + patience {
                    return self.schedule_now(since + patience);
                }
                continue;
            }
            if let Some(fresh) = tracker.fresh.filter(|&at| at > now) {
                let gave = tracker.gave();
                self.schedule_now(fresh);
                if counters.alone && !counters.hopeless && order[at + 1..].iter().any(|i| self.all[*i].is_spare(now)) {
                    self.schedule_now(now + LOOK);
                }
                match (counters.hopeless, gave) {
                    (true, _) => {}
                    (false, true) => break,
                    (false, false) => members_only = true,
                }
                continue;
            }
            if let Some(retry) = tracker.retry.filter(|&at| at > now) {
                self.schedule_now(retry);
                continue;
            }
            if due.is_none_or(|due| self.all[due].failures > 0 && tracker.failures == 0) {
                due = Some(index);
            }
        }
        // At the limit of announces in flight, the next result triggers a `poll`.
        if let Some(index) = due.filter(|_| under_way < AT_ONCE) {
            self.ask(index, AnnounceEvent::None, now, counters, out);
            self.schedule_now(now + PATIENCE_LEAST.max(PATIENCE / (under_way as u32 + 1)));
        }
    }

    fn in_flight(&self) -> usize {
        self.all.iter().filter(|t| t.in_flight.is_some()).count()
    }

    fn schedule_now(&mut self, at: Instant) {
        self.next = Some(self.next.map_or(at, |next| next.min(at)));
    }

    fn ask(
        &mut self,
        index: usize,
        event: AnnounceEvent,
        now: Instant,
        counters: &TransferCounters,
        out: &mut Vec<(usize, Announce)>,
    ) {
        let tracker = &mut self.all[index];
        // The first event is always `started`. It carries `left`, so skipping `completed` loses nothing.
        let last = event == AnnounceEvent::Stopped;
        let event = match event {
            AnnounceEvent::Stopped => event,
            _ if !tracker.lists_us => AnnounceEvent::Started,
            AnnounceEvent::None if counters.partial_seed && counters.left > 0 && !tracker.refused_paused => {
                AnnounceEvent::Paused
            }
            event => event,
        };
        tracker.in_flight = Some((now, event));
        (tracker.wished, tracker.wished_alone) = (false, false);
        tracker.knew_incomplete |= counters.left > 0;
        let ask = Announce {
            url: tracker.url.clone(),
            event,
            uploaded: counters.uploaded,
            downloaded: counters.downloaded,
            left: counters.left,
            num_want: if last { 0 } else { counters.num_want },
            tracker_id: tracker.id.clone(),
        };
        out.push((index, ask));
    }

    /// Handles the result of an announce. Results of announces from an earlier run are ignored.
    pub(crate) fn announced(&mut self, now: Instant, index: usize, result: Result<&AnnounceResponse, &AnnounceError>) {
        let Some(tracker) = self.all.get_mut(index) else { return };
        let Some((_, event)) = tracker.in_flight.take() else { return };
        self.next = Some(now);
        tracker.last = Some(now);
        match result {
            Ok(reply) => {
                let clamp = |d: Duration, least| d.clamp(least, limits::INTERVAL_MAX);
                let least = reply.min_interval.map_or(limits::INTERVAL_MIN, |d| clamp(d, GAP));
                let interval = clamp(reply.interval.unwrap_or(limits::INTERVAL_DEFAULT), limits::INTERVAL_MIN);
                tracker.fresh = Some(now + interval.max(least));
                tracker.not_before = Some(now + least);
                (tracker.failures, tracker.retry, tracker.failed, tracker.never) = (0, None, false, false);
                tracker.lists_us = event != AnnounceEvent::Stopped;
                tracker.owes_completed &= event != AnnounceEvent::Completed;
                tracker.said = reply.warning.as_deref().map(cut);
                (tracker.seeds, tracker.leechers) = (reply.seeds, reply.leechers);
                tracker.completed = reply.completed.or(tracker.completed);
                tracker.peers = Some(u32::try_from(reply.peers.len()).unwrap_or(u32::MAX));
                if reply.tracker_id.is_some() {
                    tracker.id.clone_from(&reply.tracker_id);
                }
                self.promote(index);
            }
            Err(error) => {
                tracker.failures = tracker.failures.saturating_add(1);
                tracker.never = error.retry == Retry::Never;
                let wait = match error.retry {
                    Retry::After(wait) => wait.clamp(limits::INTERVAL_MIN, limits::INTERVAL_MAX),
                    Retry::Unspecified | Retry::Never => back_off(tracker.failures),
                };
                tracker.retry = (!tracker.never).then_some(now + wait);
                tracker.not_before = Some(now + GAP);
                tracker.fresh = None;
                tracker.lists_us &= event != AnnounceEvent::Stopped;
                tracker.refused_paused |= event == AnnounceEvent::Paused;
                (tracker.said, tracker.failed) = (Some(cut(&error.why)), true);
            }
        }
    }

    /// Moves a tracker to the front of its tier (BEP 12).
    fn promote(&mut self, index: usize) {
        for tier in &mut self.tiers {
            if let Some(at) = tier.iter().position(|&i| i == index) {
                tier[..=at].rotate_right(1);
            }
        }
    }

    /// Returns whether the last announce to a tracker failed.
    #[must_use]
    pub(crate) fn is_failing(&self, index: usize) -> bool {
        self.all.get(index).is_some_and(|tracker| tracker.failures > 0)
    }

    /// Returns the tracker's URL without secrets.
    #[must_use]
    pub(crate) fn url(&self, index: usize) -> &str {
        self.all.get(index).map_or("a tracker", |t| &t.shown)
    }

    /// Returns the tracker rows of the view, by tier, in announce order.
    #[must_use]
    pub(crate) fn rows(&self, now: Instant) -> Vec<TrackerRow> {
        let row = |&index: &usize| {
            let t = &self.all[index];
            let running = self.phase == Phase::Running && t.in_flight.is_none();
            TrackerRow {
                index,
                tier: t.tier,
                url: t.shown.clone(),
                status: t.status(self.phase),
                failed: t.failed || !t.usable,
                seeds: t.seeds,
                leechers: t.leechers,
                completed: t.completed,
                last: t.last.map(|at| now.saturating_duration_since(at)),
                next: t.retry.or(t.fresh).filter(|_| running).map(|at| at.saturating_duration_since(now)),
                peers: t.peers,
            }
        };
        self.tiers.iter().flatten().map(row).collect()
    }
}

/// Returns the back-off after a number of failures: 5 s, 10 s, 20 s .. 30 min.
fn back_off(failures: u32) -> Duration {
    let doubled = BACK_OFF_FIRST.saturating_mul(1 << failures.saturating_sub(1).min(16));
    doubled.min(BACK_OFF_MAX)
}

fn cut(text: &str) -> String {
    text.chars().take(limits::TRACKER_TEXT).collect()
}

mod tracker;

#[cfg(test)]
mod tests;
