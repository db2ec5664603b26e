//! Local service discovery (LSD, BEP 14): the multicast announce schedule of one torrent.

use std::time::{Duration, Instant};

/// Interval between announces.
pub(crate) const EVERY: Duration = Duration::from_secs(300);
/// Minimum interval between announces, whatever the trigger.
pub(crate) const LEAST: Duration = Duration::from_secs(60);
/// Number of first announces at the [`LEAST`] interval while no peer has been heard.
///
/// Multicast is lossy, above all on Wi-Fi.
pub(crate) const EARLY: u8 = 3;
/// Minimum delay of the reply to a newcomer; a random delay up to the same again is added.
///
/// A newcomer that connects on our announce needs no reply, and the hosts of a network must not reply all at once.
pub(crate) const ANSWER: Duration = Duration::from_secs(2);

/// When to announce a torrent on the local network.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LsdSchedule {
    next: Option<Instant>,
    said: Option<Instant>,
    heard: Option<Instant>,
    /// Announces since `start`, saturating.
    count: u8,
}

impl LsdSchedule {
    /// Starts the schedule; the first announce is due now.
    pub(crate) const fn start(&mut self, now: Instant) {
        self.next = Some(now);
        self.count = 0;
    }

    /// Stops all announces.
    pub(crate) const fn stop(&mut self) {
        self.next = None;
    }

    /// Returns whether an announce is due, and schedules the next one.
    pub(crate) fn poll(&mut self, now: Instant) -> bool {
        let due = self.next.is_some_and(|at| now >= at);
        if due {
            self.said = Some(now);
            self.count = self.count.saturating_add(1);
            let early = self.count < EARLY && self.heard.is_none();
            self.next = Some(now + if early { LEAST } else { EVERY });
        }
        due
    }

    /// Returns the time of the next announce.
    #[must_use]
    pub(crate) const fn deadline(&self) -> Option<Instant> {
        self.next
    }

    /// Records an announce of another peer.
    ///
    /// A newcomer gets a reply after [`ANSWER`] plus `chance`, in case we cannot dial the newcomer.
    pub(crate) fn heard(&mut self, now: Instant, newcomer: bool, chance: Duration) {
        self.heard = Some(now);
        if newcomer {
            self.sooner(now + ANSWER + chance.min(ANSWER));
        }
    }

    /// Schedules an announce as soon as allowed, on behalf of the user.
    pub(crate) fn announce_soon(&mut self, now: Instant) {
        self.sooner(now);
    }

    fn sooner(&mut self, at: Instant) {
        let at = self.said.map_or(at, |said| at.max(said + LEAST));
        self.next = self.next.map(|next| next.min(at));
    }

    /// Returns the time since the last announce of another peer.
    #[must_use]
    pub(crate) fn last(&self, now: Instant) -> Option<Duration> {
        self.heard.map(|at| now.saturating_duration_since(at))
    }

    /// Returns the time until the next announce.
    #[must_use]
    pub(crate) fn next(&self, now: Instant) -> Option<Duration> {
        self.next.map(|at| at.saturating_duration_since(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_announced_at_once_and_then_each_five_minutes() {
        let t0 = Instant::now();
        let mut it = LsdSchedule::default();
        assert!(!it.poll(t0) && it.deadline().is_none());
        it.start(t0);
        assert!(it.poll(t0) && !it.poll(t0));
        // Two more announces soon, in case the first was lost.
        for n in 1..3 {
            assert_eq!(it.next(t0), Some(n * LEAST));
            assert!(!it.poll(t0 + n * LEAST - Duration::from_millis(1)) && it.poll(t0 + n * LEAST));
        }
        assert_eq!(it.next(t0), Some(2 * LEAST + EVERY));
        // No early repeats once a peer has been heard.
        it.start(t0);
        it.heard(t0, false, Duration::ZERO);
        assert!(it.poll(t0) && it.next(t0) == Some(EVERY));
        assert!(!it.poll(t0 + EVERY - Duration::from_millis(1)) && it.poll(t0 + EVERY));
        it.stop();
        assert!(!it.poll(t0 + 9 * EVERY) && it.next(t0).is_none());
    }

    #[test]
    fn newcomers_and_wishes_are_answered_once_a_minute_at_most() {
        let t0 = Instant::now();
        let mut it = LsdSchedule::default();
        it.start(t0);
        assert!(it.poll(t0));
        let mut said = 0;
        for s in 1..=600 {
            let now = t0 + Duration::from_secs(s);
            it.heard(now, true, Duration::from_secs(s % 9));
            it.announce_soon(now);
            said += u32::from(it.poll(now));
        }
        assert_eq!(said, 10);
        assert_eq!(it.last(t0 + Duration::from_secs(601)), Some(Duration::from_secs(1)));
        // A known peer gets no reply.
        let now = t0 + Duration::from_secs(700);
        it.announce_soon(now);
        assert!(it.poll(now));
        it.heard(now + LEAST, false, Duration::ZERO);
        assert_eq!(it.deadline(), Some(now + EVERY));
        it.heard(now + LEAST, true, Duration::ZERO);
        assert_eq!(it.deadline(), Some(now + LEAST + ANSWER));
    }
}
