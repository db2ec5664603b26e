//! Local discovery (BEP 14) as one torrent does it: when it is announced to the local network, and what came of that.

use std::time::{Duration, Instant};

/// The time between two announces.
pub const EVERY: Duration = Duration::from_secs(300);
/// The shortest time between two announces, whatever happens.
pub const LEAST: Duration = Duration::from_secs(60);
/// As long as nobody was heard, the first announces follow one another after [`LEAST`]: multicast gets lost, over the air
/// for one.
pub const EARLY: u8 = 3;
/// An answer to a newcomer waits this long and up to as much again: whoever is reached by our call needs none, and not
/// all of a network answer at once.
pub const ANSWER: Duration = Duration::from_secs(2);

/// When a torrent is announced to the local network.
#[derive(Clone, Copy, Debug, Default)]
pub struct Local {
    next: Option<Instant>,
    said: Option<Instant>,
    heard: Option<Instant>,
    /// Announces since the start.
    count: u8,
}

impl Local {
    /// The torrent takes part in its swarm from now on.
    pub const fn start(&mut self, now: Instant) {
        self.next = Some(now);
        self.count = 0;
    }

    /// It does not any more.
    pub const fn stop(&mut self) {
        self.next = None;
    }

    /// Whether it is to be announced now; the next time is set then.
    pub fn poll(&mut self, now: Instant) -> bool {
        let due = self.next.is_some_and(|at| now >= at);
        if due {
            self.said = Some(now);
            self.count = self.count.saturating_add(1);
            let early = self.count < EARLY && self.heard.is_none();
            self.next = Some(now + if early { LEAST } else { EVERY });
        }
        due
    }

    /// When it is to be announced next.
    #[must_use]
    pub const fn deadline(&self) -> Option<Instant> {
        self.next
    }

    /// Somebody was heard. A newcomer is answered after [`ANSWER`] and `chance`, for the case that we cannot call it.
    pub fn heard(&mut self, now: Instant, newcomer: bool, chance: Duration) {
        self.heard = Some(now);
        if newcomer {
            self.sooner(now + ANSWER + chance.min(ANSWER));
        }
    }

    /// The user wishes it now.
    pub fn wish(&mut self, now: Instant) {
        self.sooner(now);
    }

    fn sooner(&mut self, at: Instant) {
        let at = self.said.map_or(at, |said| at.max(said + LEAST));
        self.next = self.next.map(|next| next.min(at));
    }

    /// How long ago somebody was heard last.
    #[must_use]
    pub fn last(&self, now: Instant) -> Option<Duration> {
        self.heard.map(|at| now.saturating_duration_since(at))
    }

    /// How long it is until it is announced next.
    #[must_use]
    pub fn next(&self, now: Instant) -> Option<Duration> {
        self.next.map(|at| at.saturating_duration_since(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_announced_at_once_and_then_each_five_minutes() {
        let t0 = Instant::now();
        let mut it = Local::default();
        assert!(!it.poll(t0) && it.deadline().is_none());
        it.start(t0);
        assert!(it.poll(t0) && !it.poll(t0));
        // Twice more soon, for the case that it was lost.
        for n in 1..3 {
            assert_eq!(it.next(t0), Some(n * LEAST));
            assert!(!it.poll(t0 + n * LEAST - Duration::from_millis(1)) && it.poll(t0 + n * LEAST));
        }
        assert_eq!(it.next(t0), Some(2 * LEAST + EVERY));
        // Whoever was heard has heard us, or is called.
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
        let mut it = Local::default();
        it.start(t0);
        assert!(it.poll(t0));
        let mut said = 0;
        for s in 1..=600 {
            let now = t0 + Duration::from_secs(s);
            it.heard(now, true, Duration::from_secs(s % 9));
            it.wish(now);
            said += u32::from(it.poll(now));
        }
        assert_eq!(said, 10);
        assert_eq!(it.last(t0 + Duration::from_secs(601)), Some(Duration::from_secs(1)));
        // A known one needs no answer.
        let now = t0 + Duration::from_secs(700);
        it.wish(now);
        assert!(it.poll(now));
        it.heard(now + LEAST, false, Duration::ZERO);
        assert_eq!(it.deadline(), Some(now + EVERY));
        it.heard(now + LEAST, true, Duration::ZERO);
        assert_eq!(it.deadline(), Some(now + LEAST + ANSWER));
    }
}
