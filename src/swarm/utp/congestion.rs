//! uTP congestion control (LEDBAT, RFC 6817) and retransmission timeout (RFC 6298).

use std::time::{Duration, Instant};

/// Maximum payload bytes per packet; with all headers it fits tunneled Ethernet.
pub const PAYLOAD: usize = 1380;
/// Target queuing delay in microseconds: above it the window shrinks in favor of other traffic.
const TARGET: f64 = 100_000.0;
/// Maximum growth of the window per round trip, in bytes.
const GAIN: f64 = 3000.0;
/// Initial, minimum and maximum window, in bytes.
const FIRST: f64 = 4.0 * PAYLOAD as f64;
const LEAST: f64 = 2.0 * PAYLOAD as f64;
const MOST: f64 = 1024.0 * 1024.0;
/// Initial retransmission timeout.
const WAIT_FIRST: Duration = Duration::from_secs(1);
/// Minimum (from BEP 29) and maximum retransmission timeout.
const WAIT_LEAST: Duration = Duration::from_millis(500);
const WAIT_MOST: Duration = Duration::from_secs(8);
/// Length of one base delay period; two are kept to follow clock drift and route changes.
const BASE: Duration = Duration::from_secs(60);

/// LEDBAT state of the sending direction.
#[derive(Debug)]
pub(crate) struct Ledbat {
    window: f64,
    /// Slow start threshold in bytes: below it the window doubles with each round trip.
    threshold: f64,
    /// Minimum one-way delay of this and the previous period, including the unknown clock offset.
    base: [Option<u32>; 2],
    base_began: Option<Instant>,
    /// The last delay samples; their minimum filters out random spikes.
    recent: [Option<u32>; 4],
    next: usize,
    /// Smoothed round-trip time and its variance (RFC 6298).
    trip: Option<(Duration, Duration)>,
    /// Consecutive retransmission timeouts.
    pub timeouts: u32,
}

impl Default for Ledbat {
    fn default() -> Self {
        Ledbat {
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

impl Ledbat {
    /// Returns the congestion window in bytes.
    #[must_use]
    pub(crate) const fn window(&self) -> usize {
        self.window as usize
    }

    /// Returns the retransmission timeout: doubles with each consecutive timeout.
    #[must_use]
    pub(crate) fn rto(&self) -> Duration {
        let wait = self.trip.map_or(WAIT_FIRST, |(trip, varies)| (trip + 4 * varies).max(WAIT_LEAST));
        (wait * (1 << self.timeouts.min(6))).min(WAIT_MOST.max(wait))
    }

    /// Returns the round-trip time plus four times its variance.
    #[must_use]
    pub(crate) fn trip(&self) -> Duration {
        self.trip.map_or(WAIT_FIRST, |(trip, varies)| trip + 4 * varies)
    }

    /// Adds a round-trip time sample, from a packet that was sent only once (Karn's algorithm).
    pub(crate) fn timed(&mut self, took: Duration) {
        let (trip, varies) = self.trip.unwrap_or((took, took / 2));
        let differs = trip.abs_diff(took);
        self.trip = Some(((trip * 7 + took) / 8, (varies * 3 + differs) / 4));
    }

    /// Updates the window after `bytes` were acknowledged out of `under_way` bytes in flight.
    ///
    /// `delay` is the one-way delay measured by the peer, in microseconds, including the clock offset.
    pub(crate) fn acked(&mut self, now: Instant, bytes: usize, under_way: usize, delay: u32) {
        self.timeouts = 0;
        let queued = self.queued(now, delay);
        // A window that is not used up must not grow.
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

    /// Halves the window after a packet loss; call at most once per round trip.
    pub(crate) fn lost(&mut self) {
        self.window = (self.window / 2.0).max(LEAST);
        self.threshold = self.window;
    }

    /// Shrinks the window to its minimum after a retransmission timeout.
    pub(crate) fn timed_out(&mut self) {
        self.timeouts += 1;
        if self.timeouts == 1 {
            self.threshold = (self.window / 2.0).max(LEAST);
        }
        self.window = LEAST;
    }

    /// Returns the current queuing delay in microseconds: recent minimum minus base delay.
    fn queued(&mut self, now: Instant, delay: u32) -> f64 {
        // 0 means that the peer has no measurement yet.
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

/// Returns the smaller of two values of a wrapping counter.
fn earlier(a: u32, b: u32) -> u32 {
    if a.wrapping_sub(b).cast_signed() < 0 { a } else { b }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_until_queues_do_and_gives_way_then() {
        let (mut pace, now) = (Ledbat::default(), Instant::now());
        // A clock offset at which the delays wrap around.
        let clocks = u32::MAX - 20_000;
        let after = |pace: &mut Ledbat, queued: u32, times: u32| {
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
        let (mut pace, now) = (Ledbat::default(), Instant::now());
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
        let mut pace = Ledbat::default();
        assert_eq!(pace.rto(), WAIT_FIRST);
        (0..50).for_each(|_| pace.timed(Duration::from_millis(20)));
        assert_eq!(pace.rto(), WAIT_LEAST);
        (0..50).for_each(|_| pace.timed(Duration::from_millis(900)));
        assert!(pace.rto() >= Duration::from_millis(880));
        let once = pace.rto();
        pace.timed_out();
        assert_eq!(pace.rto(), once * 2);
        (0..40).for_each(|_| pace.timed_out());
        assert_eq!(pace.rto(), WAIT_MOST);
    }
}
