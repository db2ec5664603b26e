//! State of the holepunch extension (BEP 55) of one torrent: rendezvous messages sent, and a limit on dials.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Instant;

use crate::limits;
use crate::swarm::rate::BurstLimiter;

/// Returns a full limiter of the rendezvous of one peer, or of the dials that connect messages cause.
pub(crate) fn limiter(now: Instant) -> BurstLimiter {
    BurstLimiter::new(now, limits::INTRODUCTIONS_BURST, limits::INTRODUCTIONS_RATE)
}

/// State of the holepunch extension for one torrent.
#[derive(Debug, Default)]
pub(crate) struct HolepunchState {
    /// Target addresses of the rendezvous messages that we sent, with the time.
    asked: BTreeMap<SocketAddr, Instant>,
    /// Limits the dials caused by connect messages, since a relaying peer can name any address.
    calls: Option<BurstLimiter>,
}

impl HolepunchState {
    /// Returns whether a rendezvous to this address may be sent: once per address and interval.
    pub(crate) fn may_ask(&mut self, now: Instant, addr: SocketAddr) -> bool {
        self.asked.retain(|_, at| now.saturating_duration_since(*at) < limits::INTRODUCTION_AGAIN);
        self.asked.len() < limits::INTRODUCTIONS_ASKED && !self.asked.contains_key(&addr)
    }

    /// Records that a rendezvous to this address was sent.
    pub(crate) fn on_asked(&mut self, now: Instant, addr: SocketAddr) {
        self.asked.insert(addr, now);
    }

    /// Returns whether a connect message may cause a dial now, and counts the dial.
    pub(crate) fn may_dial(&mut self, now: Instant) -> bool {
        self.calls.get_or_insert_with(|| limiter(now)).take(now)
    }
}
