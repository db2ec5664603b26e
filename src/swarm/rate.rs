//! Transfer rates: a sliding-window meter and token bucket limiters.
//!
//! The crate `governor` grants an amount as a whole or not at all; these buckets also say how much of it there is, and take
//! the time as an argument.

use std::time::{Duration, Instant};

/// A sliding-window rate meter, in bytes per second.
#[derive(Clone, Debug)]
pub struct RateMeter {
    slots: [u64; RateMeter::SLOTS],
    /// Length of a slot in milliseconds.
    slot_ms: u64,
    /// Index of the newest slot, counted from `epoch`.
    at: u64,
    epoch: Option<Instant>,
    total: u64,
}

impl Default for RateMeter {
    /// Creates a meter over four seconds.
    fn default() -> Self {
        RateMeter::over(Duration::from_secs(4))
    }
}

impl RateMeter {
    const SLOTS: usize = 16;
    /// Minimum time span in milliseconds that a rate is computed over.
    ///
    /// Otherwise a first block would yield a huge rate.
    const LEAST_MS: u64 = 250;

    /// Creates a meter over this window, at least 16 ms.
    #[must_use]
    pub fn over(window: Duration) -> Self {
        let slot_ms = (window.as_millis() as u64 / Self::SLOTS as u64).max(1);
        RateMeter { slots: [0; RateMeter::SLOTS], slot_ms, at: 0, epoch: None, total: 0 }
    }

    /// Adds transferred bytes.
    pub fn add(&mut self, now: Instant, bytes: u64) {
        self.epoch.get_or_insert(now);
        self.advance(now);
        self.slots[(self.at % Self::SLOTS as u64) as usize] += bytes;
        self.total += bytes;
    }

    /// Returns the total bytes since creation.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.total
    }

    /// Returns the time of the first `add`.
    #[must_use]
    pub const fn since(&self) -> Option<Instant> {
        self.epoch
    }

    fn since_epoch_ms(&self, now: Instant) -> u64 {
        self.epoch.map_or(0, |epoch| now.saturating_duration_since(epoch).as_millis() as u64)
    }

    fn slot_at(&self, now: Instant) -> u64 {
        self.since_epoch_ms(now) / self.slot_ms
    }

    fn advance(&mut self, now: Instant) {
        let to = self.slot_at(now);
        let steps = to.saturating_sub(self.at).min(Self::SLOTS as u64);
        for k in 0..steps {
            self.slots[((to - k) % Self::SLOTS as u64) as usize] = 0;
        }
        self.at = self.at.max(to);
    }

    /// Returns the rate in bytes per second over the window, or since the first byte if that is later.
    #[must_use]
    pub fn rate(&self, now: Instant) -> u64 {
        let slot_now = self.slot_at(now);
        let behind = slot_now.saturating_sub(self.at);
        if behind >= Self::SLOTS as u64 {
            return 0;
        }
        let live = Self::SLOTS as u64 - behind;
        let sum: u64 =
            (0..live.min(self.at + 1)).map(|k| self.slots[((self.at - k) % Self::SLOTS as u64) as usize]).sum();
        // The span starts at the oldest slot instead of a whole window ago: the newest slot is partial, and counting
        // it as full would make the rate oscillate.
        let oldest_ms = self.slot_ms * slot_now.saturating_sub(Self::SLOTS as u64 - 1);
        let span_ms = self.since_epoch_ms(now).saturating_sub(oldest_ms).max(self.slot_ms.min(Self::LEAST_MS));
        (u128::from(sum) * 1000 / u128::from(span_ms)) as u64
    }
}

/// A token bucket of bytes. The burst is a tenth of a second or one block, whichever is larger.
#[derive(Clone, Debug, Default)]
pub struct TokenBucket {
    rate: Option<u64>,
    tokens: i64,
    filled: Option<Instant>,
}

impl TokenBucket {
    /// Sets the rate in bytes per second; `None` means unlimited. A change empties the bucket.
    pub fn set(&mut self, rate: Option<u64>) {
        if self.rate != rate {
            self.rate = rate;
            self.tokens = 0;
        }
    }

    /// Returns the rate in bytes per second; `None` means unlimited.
    #[must_use]
    pub const fn limit(&self) -> Option<u64> {
        self.rate
    }

    fn burst(rate: u64) -> i64 {
        i64::try_from((rate / 10).max(u64::from(crate::limits::BLOCK))).unwrap_or(i64::MAX)
    }

    /// Takes `bytes` if any token is left. The balance may go negative, which delays the next take.
    pub fn take(&mut self, now: Instant, bytes: u64) -> bool {
        let Some(rate) = self.rate else { return true };
        let filled = *self.filled.get_or_insert(now);
        let gained = (u128::from(rate) * now.saturating_duration_since(filled).as_micros() / 1_000_000) as i64;
        if gained > 0 {
            self.tokens = self.tokens.saturating_add(gained).min(Self::burst(rate));
            self.filled = Some(now);
        }
        if rate == 0 || self.tokens <= 0 {
            return false;
        }
        self.tokens -= i64::try_from(bytes).unwrap_or(i64::MAX);
        true
    }

    /// Returns the time until the next take can succeed; `None` if it can now, or never (rate 0).
    #[must_use]
    pub fn ready_in(&self) -> Option<Duration> {
        let rate = self.rate.filter(|rate| *rate > 0)?;
        (self.tokens <= 0).then(|| Duration::from_micros((1 - self.tokens) as u64 * 1_000_000 / rate + 1_000))
    }
}

/// A rate limiter for events: a burst, refilled at a rate per second.
#[derive(Clone, Copy, Debug)]
pub struct BurstLimiter {
    burst: u32,
    rate: u32,
    left: u32,
    at: Instant,
}

impl BurstLimiter {
    /// Creates a limiter that allows `burst` events at once and `rate` per second after that.
    #[must_use]
    pub const fn new(now: Instant, burst: u32, rate: u32) -> Self {
        BurstLimiter { burst, rate, left: burst, at: now }
    }

    /// Takes one permit; returns false if none is left.
    pub fn take(&mut self, now: Instant) -> bool {
        let gained = now.saturating_duration_since(self.at).as_millis() * u128::from(self.rate) / 1000;
        if gained > 0 {
            self.at = now;
            let gained = u32::try_from(gained).unwrap_or(u32::MAX);
            self.left = self.left.saturating_add(gained).min(self.burst);
        }
        let left = self.left.checked_sub(1);
        self.left = left.unwrap_or(0);
        left.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_flow_is_measured_right_and_forgotten() {
        let t0 = Instant::now();
        let mut m = RateMeter::default();
        for ms in (0..8000).step_by(10) {
            m.add(t0 + Duration::from_millis(ms), 1000);
        }
        let rate = m.rate(t0 + Duration::from_millis(8000));
        assert!((90_000..=110_000).contains(&rate), "{rate}");
        assert_eq!(m.rate(t0 + Duration::from_secs(13)), 0);
        assert_eq!(m.total(), 800_000);
    }

    #[test]
    fn a_steady_flow_has_one_rate_in_every_part_of_a_slot() {
        let t0 = Instant::now();
        let mut m = RateMeter::over(Duration::from_secs(32));
        for ms in 0..100_000 {
            let now = t0 + Duration::from_millis(ms);
            m.add(now, 1000);
            if ms > 4_000 {
                let rate = m.rate(now);
                assert!((999_000..=1_001_000).contains(&rate), "{rate} after {ms} ms");
            }
        }
        // A pause of some seconds lowers the rate by its share of the window only.
        let rate = m.rate(t0 + Duration::from_secs(108));
        assert!((700_000..=800_000).contains(&rate), "{rate}");
    }

    #[test]
    fn a_bucket_never_gives_more_than_rate_and_burst() {
        let t0 = Instant::now();
        let mut b = TokenBucket::default();
        b.set(Some(100_000));
        let mut given = 0;
        for ms in 0..10_000 {
            while b.take(t0 + Duration::from_millis(ms), 16_384) {
                given += 16_384;
            }
        }
        assert!((960_000..=1_000_000 + 2 * 16_384).contains(&given), "{given}");
        assert!(b.ready_in().is_some());
        b.set(Some(0));
        assert!(!b.take(t0 + Duration::from_secs(20), 1));
        b.set(None);
        assert!(b.take(t0, u64::MAX) && b.ready_in().is_none());
    }

    #[test]
    fn an_allowance_is_a_burst_and_a_rate() {
        let t0 = Instant::now();
        let mut a = BurstLimiter::new(t0, 5, 10);
        assert_eq!((0..20).filter(|_| a.take(t0)).count(), 5);
        let later = t0 + Duration::from_millis(300);
        assert_eq!((0..20).filter(|_| a.take(later)).count(), 3);
        assert_eq!((0..20).filter(|_| a.take(later + Duration::from_secs(60))).count(), 5);
    }
}
