//! Why no address, or one address in particular, is not dialed although it has not failed.

use std::time::{Duration, Instant};

use crate::wire::message::PeerId;

/// First hold of all dials while the connection limit is reached; doubles up to `HOLD_LAST`.
pub(super) const HOLD_FIRST: Duration = Duration::from_secs(1);
pub(super) const HOLD_LAST: Duration = Duration::from_secs(60);

/// Why an address is not dialed although it has not failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum SuppressReason {
    /// Neither side needs data from the other.
    Useless,
    /// The peer with this peer id is connected through another address.
    Duplicate(PeerId),
}

/// A period in which no address is dialed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hold {
    until: Instant,
    length: Duration,
}

/// Local conditions that affect the dials of all addresses.
#[derive(Debug, Default)]
pub(super) struct DialGate {
    /// The connection limit is reached.
    pub(super) full: Option<Hold>,
    /// When the first of the current series of unreachable dials failed.
    pub(super) drought: Option<Instant>,
}

impl DialGate {
    /// Returns when dials are allowed again; `None` means now.
    pub(super) fn may_dial_at(&self) -> Option<Instant> {
        self.full.map(|hold| hold.until)
    }

    /// Starts or doubles the hold. Concurrent dials that fail together lengthen it only once.
    pub(super) fn is_full(&mut self, now: Instant) {
        if self.full.is_none_or(|hold| now >= hold.until) {
            let length = self.full.map_or(HOLD_FIRST, |hold| (hold.length * 2).min(HOLD_LAST));
            self.full = Some(Hold { until: now + length, length });
        }
    }
}
