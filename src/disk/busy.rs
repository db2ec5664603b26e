//! How busy a thread is.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Instant;

/// The length of the window that is measured, in microseconds.
const WINDOW: u64 = 1_000_000;

/// Written by one thread, read by any.
#[derive(Debug)]
pub struct Busy {
    began: Instant,
    /// When the work at hand began, plus 1; 0 when there is none.
    since: AtomicU64,
    /// When the window began that is being filled, and how much work there was in it.
    window: AtomicU64,
    worked: AtomicU64,
    /// The share of the window before, in thousandths.
    last: AtomicU32,
}

impl Default for Busy {
    fn default() -> Self {
        let zero = || AtomicU64::new(0);
        Busy { began: Instant::now(), since: zero(), window: zero(), worked: zero(), last: AtomicU32::new(0) }
    }
}

impl Busy {
    fn now(&self) -> u64 {
        self.began.elapsed().as_micros() as u64
    }

    /// Work begins.
    pub fn begin(&self) {
        self.since.store(self.now() + 1, Ordering::Relaxed);
    }

    /// Work ends.
    pub fn end(&self) {
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

    /// The share of the last second or so that was work: 0 to 1.
    #[must_use]
    pub fn share(&self) -> f32 {
        let now = self.now();
        let since = self.since.load(Ordering::Relaxed);
        if since > 0 && now.saturating_sub(since) > WINDOW {
            return 1.0;
        }
        let window = now.saturating_sub(self.window.load(Ordering::Relaxed));
        if window > 2 * WINDOW {
            // Nothing ended a window for long: what was measured since is all there was.
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
        let busy = Busy::default();
        assert!(busy.share() <= f32::EPSILON);
        busy.begin();
        busy.end();
        assert!((0.0..=1.0).contains(&busy.share()));
    }
}
