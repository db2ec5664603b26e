//! How much may be under way at once (LEDBAT, RFC 6817), and how long to wait for an acknowledgement (RFC 6298).

use std::time::{Duration, Instant};

/// The most bytes of payload in a packet: with all headers it passes where Ethernet is tunnelled.
pub const PAYLOAD: usize = 1380;
/// The delay that we allow ourselves to cause, in microseconds: beyond it others' packets come first.
const TARGET: f64 = 100_000.0;
/// Bytes by which the window grows in a round trip, at most.
const GAIN: f64 = 3000.0;
/// The first, the least and the largest window, in bytes.
const FIRST: f64 = 4.0 * PAYLOAD as f64;
const LEAST: f64 = 2.0 * PAYLOAD as f64;
const MOST: f64 = 1024.0 * 1024.0;
/// The time to wait for the first acknowledgement of all.
const WAIT_FIRST: Duration = Duration::from_secs(1);
/// The least and the longest time to wait for one (BEP 29 names the least).
const WAIT_LEAST: Duration = Duration::from_millis(500);
const WAIT_MOST: Duration = Duration::from_secs(8);
/// The least delay is that of so much time: clocks drift, and routes change.
const BASE: Duration = Duration::from_secs(60);

/// The pace of one direction.
#[derive(Debug)]
pub struct Pace {
    window: f64,
    /// Below this it doubles with each round trip.
    threshold: f64,
    /// The least delays of this and of the last time, whose clocks' distance nobody knows.
    base: [Option<u32>; 2],
    base_began: Option<Instant>,
    /// The last delays: the least of them counts, since one packet may have waited by chance.
    recent: [Option<u32>; 4],
    next: usize,
    /// The round trip and how much it varies.
    trip: Option<(Duration, Duration)>,
    /// Acknowledgements waited for in vain, one after the other.
    pub timeouts: u32,
}

impl Default for Pace {
    fn default() -> Self {
        Pace {
            window: FIRST,
            threshold: MOST,
            base: [None; 2],
            base_began: None,
            recent: [None; 4],
            next: 0,
            trip: None,
            timeouts: 0,
        }
    }
}

impl Pace {
    /// Bytes that may be under way.
    #[must_use]
    pub const fn window(&self) -> usize {
        self.window as usize
    }

    /// The time to wait for an acknowledgement.
    #[must_use]
    pub fn wait(&self) -> Duration {
        let wait = self.trip.map_or(WAIT_FIRST, |(trip, varies)| (trip + 4 * varies).max(WAIT_LEAST));
        (wait * (1 << self.timeouts.min(6))).min(WAIT_MOST.max(wait))
    }

    /// The time of a round trip, with some room.
    #[must_use]
    pub fn trip(&self) -> Duration {
        self.trip.map_or(WAIT_FIRST, |(trip, varies)| trip + 4 * varies)
    }

    /// A packet that was sent once was acknowledged after this time.
    pub fn timed(&mut self, took: Duration) {
        let (trip, varies) = self.trip.unwrap_or((took, took / 2));
        let differs = trip.abs_diff(took);
        self.trip = Some(((trip * 7 + took) / 8, (varies * 3 + differs) / 4));
    }

    /// So many bytes were acknowledged, of `under_way` before. `delay` is how long the other side says that our last
    /// packet took, in microseconds by two clocks.
    pub fn acked(&mut self, now: Instant, bytes: usize, under_way: usize, delay: u32) {
        self.timeouts = 0;
        let queued = self.queued(now, delay);
        // A window that is not used says nothing about whether it could be larger.
        let used = (under_way + 2 * PAYLOAD) as f64 >= self.window;
        let room = ((TARGET - queued) / TARGET).clamp(-1.0, 1.0);
        if self.window < self.threshold && queued < TARGET / 2.0 {
            self.window += if used { bytes as f64 } else { 0.0 };
        } else {
            self.threshold = self.threshold.min(self.window);
            let step = GAIN * room * (bytes as f64 / self.window).min(1.0);
            self.window += if used || step < 0.0 { step } else { 0.0 };
        }
        self.window = self.window.clamp(LEAST, MOST);
    }

    /// A packet was lost: once in a round trip this halves the window.
    pub fn lost(&mut self) {
        self.window = (self.window / 2.0).max(LEAST);
        self.threshold = self.window;
    }

    /// Nothing was acknowledged in time.
    pub fn timed_out(&mut self) {
        self.timeouts += 1;
        if self.timeouts == 1 {
            self.threshold = (self.window / 2.0).max(LEAST);
        }
        self.window = LEAST;
    }

    /// How long our packets wait in queues, in microseconds.
    fn queued(&mut self, now: Instant, delay: u32) -> f64 {
        // Nobody has measured one yet.
        if delay == 0 {
            return 0.0;
        }
        let began = *self.base_began.get_or_insert(now);
        if now >= began + BASE {
            (self.base, self.base_began) = ([None, self.base[0]], Some(now));
        }
        self.base[0] = Some(self.base[0].map_or(delay, |base| earlier(base, delay)));
        self.recent[self.next] = Some(delay);
        self.next = (self.next + 1) % self.recent.len();
        let least = |delays: &[Option<u32>]| delays.iter().flatten().copied().reduce(earlier).unwrap_or(delay);
        let (base, recent) = (least(&self.base), least(&self.recent));
        f64::from(recent.wrapping_sub(base).cast_signed().max(0))
    }
}

/// The smaller one of two values of a counter that wraps.
fn earlier(a: u32, b: u32) -> u32 {
    if a.wrapping_sub(b).cast_signed() < 0 { a } else { b }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_until_queues_do_and_gives_way_then() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        // The clocks' distance is such that delays wrap.
        let clocks = u32::MAX - 20_000;
        let after = |pace: &mut Pace, queued: u32, times: u32| {
            (0..times).for_each(|_| pace.acked(now, PAYLOAD, MOST as usize, clocks.wrapping_add(queued)));
            pace.window()
        };
        let first = pace.window();
        let doubled = after(&mut pace, 0, 8);
        assert!(doubled >= 2 * first, "{first} {doubled}");
        let held = after(&mut pace, 100_000, 100);
        assert!(held.abs_diff(doubled) <= 4 * PAYLOAD, "{doubled} {held}");
        let less = after(&mut pace, 200_000, 200);
        assert!(less < held, "{held} {less}");
        let slowly = after(&mut pace, 0, 50);
        assert!(slowly > less && slowly < less + 50 * 3000, "{less} {slowly}");
        assert_eq!(after(&mut pace, 3_000_000, 5000), LEAST as usize);
    }

    #[test]
    fn a_window_that_is_not_used_does_not_grow_and_a_loss_halves_it() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        (0..100).for_each(|_| pace.acked(now, PAYLOAD, 60 * PAYLOAD, 5));
        let (grown, idle) = (pace.window(), PAYLOAD);
        (0..100).for_each(|_| pace.acked(now, PAYLOAD, idle, 5));
        assert_eq!(pace.window(), grown);
        pace.lost();
        assert_eq!(pace.window(), grown / 2);
        pace.timed_out();
        assert_eq!(pace.window(), LEAST as usize);
    }

    #[test]
    fn the_wait_follows_the_round_trip_and_doubles() {
        let mut pace = Pace::default();
        assert_eq!(pace.wait(), WAIT_FIRST);
        (0..50).for_each(|_| pace.timed(Duration::from_millis(20)));
        assert_eq!(pace.wait(), WAIT_LEAST);
        (0..50).for_each(|_| pace.timed(Duration::from_millis(900)));
        assert!(pace.wait() >= Duration::from_millis(880));
        let once = pace.wait();
        pace.timed_out();
        assert_eq!(pace.wait(), once * 2);
        (0..40).for_each(|_| pace.timed_out());
        assert_eq!(pace.wait(), WAIT_MOST);
    }
}
