//! Utilization of a thread: the share of wall-clock time during which it is busy.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Instant;

/// Length of the measuring window, in microseconds.
const WINDOW: u64 = 1_000_000;

/// Measures the utilization of one thread. Written by that thread, read by any thread.
#[derive(Debug)]
pub(crate) struct BusyMeter {
    began: Instant,
    /// Start of the current busy period plus 1, in microseconds after `began`; 0 while the thread is idle.
    since: AtomicU64,
    /// Start of the current window, in microseconds after `began`; `worked` is the busy time since then.
    window: AtomicU64,
    worked: AtomicU64,
    /// Utilization of the previous window, in thousandths.
    last: AtomicU32,
}

impl Default for BusyMeter {
    fn default() -> Self {
        let zero = || AtomicU64::new(0);
        BusyMeter { began: Instant::now(), since: zero(), window: zero(), worked: zero(), last: AtomicU32::new(0) }
    }
}

impl BusyMeter {
    fn now(&self) -> u64 {
        self.began.elapsed().as_micros() as u64
    }

    /// Marks the thread as busy.
    pub(crate) fn begin(&self) {
        self.since.store(self.now() + 1, Ordering::Relaxed);
    }

    /// Marks the thread as idle and adds the busy period to the current window.
    pub(crate) fn end(&self) {
        let now = self.now();
        let since = self.since.swap(0, Ordering::Relaxed);
        let worked = self.worked.load(Ordering::Relaxed) + (now + 1).saturating_sub(since.max(1));
        let window = now - self.window.load(Ordering::Relaxed).min(now);
        if window >= WINDOW {
            self.last.store((worked.min(window) * 1000 / window) as u32, Ordering::Relaxed);
            self.worked.store(0, Ordering::Relaxed);
            self.window.store(now, Ordering::Relaxed);
        } else {
            self.worked.store(worked, Ordering::Relaxed);
        }
    }

    /// Returns the utilization over about the last second, from 0 to 1.
    #[must_use]
    pub(crate) fn share(&self) -> f32 {
        let now = self.now();
        let since = self.since.load(Ordering::Relaxed);
        if since > 0 && now.saturating_sub(since) > WINDOW {
            return 1.0;
        }
        let window = now.saturating_sub(self.window.load(Ordering::Relaxed));
        if window > 2 * WINDOW {
            // No window was completed for a long time: `worked` holds all busy time since its start.
            return self.worked.load(Ordering::Relaxed).min(window) as f32 / window as f32;
        }
        self.last.load(Ordering::Relaxed) as f32 / 1000.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_never_worked_is_idle() {
        let busy = BusyMeter::default();
        assert!(busy.share() <= f32::EPSILON);
        busy.begin();
        busy.end();
        assert!((0.0..=1.0).contains(&busy.share()));
    }
}
