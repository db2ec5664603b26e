//! Which tracker to ask when, and with which event: tiers (BEP 12), intervals, back-off, the last word.
//!
//! The trackers form one list: tier after tier, in each tier the one that answered last at the front. A walk down
//! this list ends at the first tracker whose answer is still fresh, unless nobody is known who could be a peer: then it
//! goes on. A tracker that fails, or that does not answer within [`PATIENCE`], lets the walk go on to the next one, so a
//! dead tracker costs seconds and not its time-out; it is tried again with back-off, after those that were never asked.

use std::time::{Duration, Instant};

use tracker::Tracker;

use crate::limits;
use crate::swarm::view::TrackerRow;
use crate::wire::tracker::{Announce, AnnounceError, AnnounceEvent, AnnounceReply, Retry};

/// The most trackers that one torrent may ever have had: removed ones keep their index.
const EVER: usize = 10 * limits::TRACKERS;
/// How long a tracker may take before the next one is asked as well. Where several are silent, each gets its part of
/// this, and at least [`PATIENCE_LEAST`].
pub const PATIENCE: Duration = Duration::from_secs(4);
/// The least time of a tracker before the next one is asked as well.
pub const PATIENCE_LEAST: Duration = Duration::from_secs(1);
/// Trackers of one torrent that are asked at once: most of them are dead where there are so many.
const AT_ONCE: usize = 32;
/// While nobody is connected: how often is looked whether anybody is left who could be.
const LOOK: Duration = Duration::from_secs(10);
/// How long the end waits for a tracker that has never answered: it may be slow, and count us all the same.
const DOUBTFUL: Duration = Duration::from_secs(1);
/// The time after a first failure; it doubles with each further one.
const BACK_OFF_FIRST: Duration = Duration::from_secs(5);
/// The longest time between two tries.
const BACK_OFF_MAX: Duration = Duration::from_secs(30 * 60);
/// The shortest time between two announces to one tracker, whatever it allows and the user wishes.
const GAP: Duration = Duration::from_secs(5);

/// What an announce tells of the transfer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// Payload bytes sent since the torrent was started.
    pub uploaded: u64,
    /// Payload bytes received since the torrent was started.
    pub downloaded: u64,
    /// Bytes of the whole torrent that are not here, wanted or not.
    pub left: u64,
    /// Everything that is wanted is here: with bytes left that is a partial seed (BEP 21).
    pub partial_seed: bool,
    /// How many addresses would be welcome.
    pub num_want: u32,
    /// Whether nobody is connected.
    pub alone: bool,
    /// Whether, besides, no address is known that could still turn out to be a peer's.
    pub hopeless: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// Nothing is asked.
    Idle,
    Running,
    /// The last words are being said, at most until then.
    Stopping(Instant),
}

/// The trackers of one torrent.
#[derive(Debug)]
pub struct Trackers {
    all: Vec<Tracker>,
    /// Indices into `all`; the first of a tier is asked first.
    tiers: Vec<Vec<usize>>,
    phase: Phase,
    next: Option<Instant>,
}

impl Trackers {
    /// Takes the tiers of a metainfo file (BEP 12) and shuffles each. A URL that comes twice counts once; at most
    /// [`limits::TRACKERS`] are kept, and none longer than [`limits::TRACKER_URL`].
    #[must_use]
    pub fn new(tiers: &[Vec<String>], rng: &mut fastrand::Rng) -> Self {
        let mut it = Trackers { all: Vec::new(), tiers: Vec::new(), phase: Phase::Idle, next: None };
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

    /// Whether there is no tracker at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tiers.is_empty()
    }

    /// The URLs, by tier, in the order in which they are asked.
    #[must_use]
    pub fn urls(&self) -> Vec<Vec<String>> {
        self.tiers.iter().map(|tier| tier.iter().map(|i| self.all[*i].url.clone()).collect()).collect()
    }

    /// Whether this one is among those that are asked.
    #[must_use]
    pub fn lists(&self, index: usize) -> bool {
        self.all.get(index).is_some_and(|t| !t.removed)
    }

    /// Asks one more tracker from now on, in a last tier of its own. It is asked at once: whoever adds it wants to see
    /// what it says.
    ///
    /// # Errors
    /// Why it is not added. One that is in the list already is asked all the same.
    pub fn add(&mut self, now: Instant, url: &str) -> Result<(), &'static str> {
        if let Some(index) = self.all.iter().position(|t| !t.removed && t.url == url) {
            self.announce_now(now, Some(index));
            return Err("it is in the list already");
        }
        if self.tiers.iter().flatten().count() >= limits::TRACKERS || self.all.len() >= EVER {
            return Err("there are too many trackers");
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

    /// Does not ask a tracker any more; whether it was in the list. Its index is not given again.
    pub fn remove(&mut self, now: Instant, index: usize) -> bool {
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

    /// Does not ask any but these any more.
    pub fn keep_only(&mut self, now: Instant, urls: &[Vec<String>]) {
        for index in 0..self.all.len() {
            if !urls.iter().flatten().any(|url| *url == self.all[index].url) {
                self.remove(now, index);
            }
        }
    }

    /// Begins to ask: every tracker hears `started` first.
    pub fn start(&mut self, now: Instant) {
        if self.phase == Phase::Running {
            return;
        }
        self.all.iter_mut().for_each(Tracker::reset);
        self.phase = Phase::Running;
        self.next = Some(now);
    }

    /// The last wanted byte has come: every tracker that knew us without it is told, once.
    pub fn completed(&mut self, now: Instant) {
        for tracker in &mut self.all {
            tracker.owes_completed =
                !tracker.removed && tracker.knew_incomplete && (tracker.heard || tracker.asked.is_some());
        }
        self.next = Some(now);
    }

    /// The user's wish to ask all trackers, or this one. A tracker is asked as soon as its `min interval` allows it.
    pub fn announce_now(&mut self, now: Instant, which: Option<usize>) {
        if self.phase == Phase::Running {
            for (index, tracker) in self.all.iter_mut().enumerate() {
                let meant = which.is_none_or(|which| which == index);
                if meant && tracker.usable && !tracker.removed && tracker.asked.is_none() {
                    tracker.wish(which.is_some());
                }
            }
            self.next = Some(now);
        }
    }

    /// The torrent stops: every tracker that counts us as a member, or that may once it has done what it is doing, hears
    /// `stopped`, all at once and whatever else it has been asked. Over when [`stopped`](Self::stopped) says so, at the
    /// latest after [`limits::LAST_ANNOUNCE`].
    pub fn stop(&mut self, now: Instant) {
        if self.phase == Phase::Running {
            self.phase = Phase::Stopping(now + limits::LAST_ANNOUNCE);
            self.next = Some(now);
            for tracker in &mut self.all {
                let leaves_already = tracker.asked.is_some_and(|(_, event)| event == AnnounceEvent::Stopped);
                tracker.leaving = (tracker.heard || tracker.asked.is_some()) && !leaves_already;
            }
        }
    }

    /// Whether nothing is left to say after [`stop`](Self::stop).
    #[must_use]
    pub fn stopped(&self, now: Instant) -> bool {
        match self.phase {
            Phase::Idle => true,
            Phase::Running => false,
            Phase::Stopping(until) => {
                let doubtful = until - limits::LAST_ANNOUNCE + DOUBTFUL;
                let hopeful = |t: &Tracker| t.asked.is_some() && (t.heard || now < doubtful);
                now >= until || !self.all.iter().any(|t| t.leaving || hopeful(t))
            }
        }
    }

    /// When [`poll`](Self::poll) is to be called at the latest.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.next
    }

    /// Says whom to ask now: pairs of a tracker's index, which its answer repeats, and the question.
    pub fn poll(&mut self, now: Instant, counters: &Counters, out: &mut Vec<(usize, Announce)>) {
        self.next = None;
        match self.phase {
            Phase::Idle => {}
            Phase::Running => {
                self.settle_debts(now, counters, out);
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
                    // What was completed is told before, where the tracker answers soon.
                    let hurries = now >= doubtful || tracker.failures > 0;
                    match tracker.asked {
                        Some((_, event))
                            if !hurries && (tracker.owes_completed || event == AnnounceEvent::Completed) => {}
                        None if !hurries && tracker.owes_completed && tracker.heard => {
                            self.ask(index, AnnounceEvent::Completed, now, counters, out);
                        }
                        _ => {
                            self.all[index].leaving = false;
                            self.ask(index, AnnounceEvent::Stopped, now, counters, out);
                        }
                    }
                }
                self.wake(if now < doubtful { doubtful } else { until });
            }
        }
    }

    /// `completed`, and the user's wishes.
    fn settle_debts(&mut self, now: Instant, counters: &Counters, out: &mut Vec<(usize, Announce)>) {
        for index in 0..self.all.len() {
            let tracker = &self.all[index];
            if tracker.asked.is_some() || (self.under_way() >= AT_ONCE && !tracker.meant) {
                continue;
            }
            let (from, event) = match tracker {
                t if t.removed && t.heard => (None, AnnounceEvent::Stopped),
                t if t.owes_completed && t.heard => (t.retry, AnnounceEvent::Completed),
                t if t.wished => (t.not_before, AnnounceEvent::None),
                _ => continue,
            };
            match from {
                Some(from) if from > now => self.wake(from),
                _ => self.ask(index, event, now, counters, out),
            }
        }
    }

    /// The regular announce: down the list to the first tracker whose answer is fresh or may still come. Of those that
    /// are due on the way one is asked: the first that has not failed, or else the first.
    fn walk(&mut self, now: Instant, counters: &Counters, out: &mut Vec<(usize, Announce)>) {
        let order: Vec<usize> = self.tiers.iter().flatten().copied().collect();
        let under_way = self.under_way();
        let patience = (PATIENCE / u32::try_from(under_way).unwrap_or(u32::MAX).max(1)).max(PATIENCE_LEAST);
        let mut due: Option<usize> = None;
        // Behind a tracker that answers, though with nobody: those that count us as a member are kept up, and no others.
        let mut members_only = false;
        for (at, &index) in order.iter().enumerate() {
            let tracker = &self.all[index];
            if !tracker.usable || tracker.never || (members_only && !tracker.heard) {
                continue;
            }
            if let Some((since, _)) = tracker.asked {
                if now < since + patience {
                    return self.wake(since + patience);
                }
                continue;
            }
            if let Some(fresh) = tracker.fresh.filter(|&at| at > now) {
                let gave = tracker.gave();
                self.wake(fresh);
                if counters.alone && !counters.hopeless && order[at + 1..].iter().any(|i| self.all[*i].is_spare(now)) {
                    self.wake(now + LOOK);
                }
                match (counters.hopeless, gave) {
                    (true, _) => {}
                    (false, true) => break,
                    (false, false) => members_only = true,
                }
                continue;
            }
            if let Some(retry) = tracker.retry.filter(|&at| at > now) {
                self.wake(retry);
                continue;
            }
            if due.is_none_or(|due| self.all[due].failures > 0 && tracker.failures == 0) {
                due = Some(index);
            }
        }
        // When too many are under way, the first answer or failure calls `poll` again.
        if let Some(index) = due.filter(|_| under_way < AT_ONCE) {
            self.ask(index, AnnounceEvent::None, now, counters, out);
            self.wake(now + PATIENCE_LEAST.max(PATIENCE / (under_way as u32 + 1)));
        }
    }

    fn under_way(&self) -> usize {
        self.all.iter().filter(|t| t.asked.is_some()).count()
    }

    fn wake(&mut self, at: Instant) {
        self.next = Some(self.next.map_or(at, |next| next.min(at)));
    }

    fn ask(
        &mut self,
        index: usize,
        event: AnnounceEvent,
        now: Instant,
        counters: &Counters,
        out: &mut Vec<(usize, Announce)>,
    ) {
        let tracker = &mut self.all[index];
        // What a tracker hears first is always `started`; it tells `left` too, so nothing is lost.
        let last = event == AnnounceEvent::Stopped;
        let event = match event {
            AnnounceEvent::Stopped => event,
            _ if !tracker.heard => AnnounceEvent::Started,
            AnnounceEvent::None if counters.partial_seed && counters.left > 0 && !tracker.refused_paused => {
                AnnounceEvent::Paused
            }
            event => event,
        };
        tracker.asked = Some((now, event));
        (tracker.wished, tracker.meant) = (false, false);
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

    /// A tracker answered, or did not. An answer to a question of an earlier run finds nothing.
    pub fn announced(&mut self, now: Instant, index: usize, result: Result<&AnnounceReply, &AnnounceError>) {
        let Some(tracker) = self.all.get_mut(index) else { return };
        let Some((_, event)) = tracker.asked.take() else { return };
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
                tracker.heard = event != AnnounceEvent::Stopped;
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
                    Retry::Unsaid | Retry::Never => back_off(tracker.failures),
                };
                tracker.retry = (!tracker.never).then_some(now + wait);
                tracker.not_before = Some(now + GAP);
                tracker.fresh = None;
                tracker.heard &= event != AnnounceEvent::Stopped;
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

    /// Whether a tracker failed when it was asked last.
    #[must_use]
    pub fn is_failing(&self, index: usize) -> bool {
        self.all.get(index).is_some_and(|tracker| tracker.failures > 0)
    }

    /// A tracker's address as a person may see it.
    #[must_use]
    pub fn url(&self, index: usize) -> &str {
        self.all.get(index).map_or("a tracker", |t| &t.shown)
    }

    /// The trackers as the screen shows them, by tier, in the order in which they are asked.
    #[must_use]
    pub fn rows(&self, now: Instant) -> Vec<TrackerRow> {
        let row = |&index: &usize| {
            let t = &self.all[index];
            let running = self.phase == Phase::Running && t.asked.is_none();
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

/// 5 s, 10 s, 20 s .. half an hour.
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
