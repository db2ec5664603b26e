//! Dial suppression for reasons other than a failure of the address, and the events that end it.
//!
//! A back-off follows from what an address did. If the reason is ours (nothing to exchange, a duplicate connection,
//! no free connection slot, no network), the suppression is lifted as soon as the reason no longer holds.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::dial_gate::SuppressReason;
use super::{Failure, PeerList, canonical};
use crate::swarm::event::DisconnectReason;
use crate::wire::message::PeerId;

/// If no dial reached a peer for this long, the network is assumed to have been down.
const DROUGHT: Duration = Duration::from_secs(30);
/// Maximum suppression of one address if no event lifts it earlier.
const REST: Duration = Duration::from_secs(1800);
impl PeerList {
    /// Suppresses a peer with which nothing can be exchanged: both sides are seeds.
    pub(crate) fn useless(&mut self, now: Instant, addr: SocketAddr) {
        self.suppress(now, addr, SuppressReason::Useless);
    }

    /// Suppresses the address of a peer that is already connected through another address.
    pub(crate) fn duplicate(&mut self, now: Instant, addr: SocketAddr, peer: PeerId) {
        self.suppress(now, addr, SuppressReason::Duplicate(peer));
    }

    fn suppress(&mut self, now: Instant, addr: SocketAddr, why: SuppressReason) {
        if let Some(c) = self.known.get_mut(&canonical(addr)) {
            (c.busy, c.next, c.rest) = (false, now + REST, Some(why));
        }
    }

    /// Lifts the suppression of useless peers: data is wanted again.
    pub(crate) fn wanted_again(&mut self, now: Instant) {
        self.wake(now, |rest| rest == SuppressReason::Useless);
    }

    /// Lifts the suppression of the other addresses of a peer that disconnected.
    pub(crate) fn on_duplicate_disconnected(&mut self, now: Instant, peer: PeerId) {
        self.wake(now, |rest| rest == SuppressReason::Duplicate(peer));
    }

    fn wake(&mut self, now: Instant, whom: impl Fn(SuppressReason) -> bool) {
        let mut woken = false;
        for c in self.known.values_mut().filter(|c| c.rest.is_some_and(&whom)) {
            (c.next, c.rest, woken) = (now, None, true);
        }
        if woken {
            self.sooner(now);
        }
    }

    /// Lifts the hold: connection slots are free again.
    pub(crate) fn places_again(&mut self, now: Instant) {
        if self.us.full.take().is_some() {
            self.sooner(now);
        }
    }

    /// Records an answer while no peer is connected.
    ///
    /// After `DROUGHT` without a reachable peer this means the network is back: unreachable addresses are retried now.
    pub(crate) fn answered(&mut self, now: Instant) {
        if self.us.drought.take_if(|since| now.saturating_duration_since(*since) >= DROUGHT).is_some() {
            self.network_again(now);
        }
    }

    fn network_again(&mut self, now: Instant) {
        let unreached = |failure| matches!(failure, Failure::Silent | Failure::Refused);
        for c in self.known.values_mut().filter(|c| c.failure.is_some_and(unreached)) {
            c.next = c.next.min(now);
        }
        self.sooner(now);
    }

    /// Records a completed connection: ends the drought and the hold.
    pub(crate) fn reached_somebody(&mut self, now: Instant) {
        self.us.drought = None;
        self.places_again(now);
    }

    /// Records a dial that reached no host; the first one starts the drought.
    pub(super) fn is_unreached(&mut self, now: Instant) {
        self.us.drought.get_or_insert(now);
    }

    /// Returns whether an attempt failed for a local reason, which must not count against the address.
    pub(super) fn is_ours(&mut self, now: Instant, why: &DisconnectReason) -> bool {
        if *why == DisconnectReason::TooManyConnections {
            self.us.is_full(now);
        }
        matches!(why, DisconnectReason::TooManyConnections | DisconnectReason::Stopped)
    }
}

#[cfg(test)]
mod tests {
    use super::super::dial_gate::{HOLD_FIRST, HOLD_LAST};
    use super::*;
    use crate::swarm::view::Source;

    fn addr(n: u8) -> SocketAddr {
        SocketAddr::from(([8, 8, n, 1], 6881))
    }

    fn known(now: Instant, n: u8) -> PeerList {
        let mut c = PeerList::new(1);
        (1..=n).for_each(|n| c.add(now, addr(n), Source::Tracker));
        c
    }

    fn ready(c: &mut PeerList, now: Instant) -> Vec<SocketAddr> {
        let mut all: Vec<_> = std::iter::from_fn(|| c.next(now)).map(|(addr, _)| addr).collect();
        all.sort_unstable();
        all
    }

    #[test]
    fn a_rest_ends_with_its_reason_and_no_other() {
        let (now, a, b) = (Instant::now(), PeerId([1; 20]), PeerId([2; 20]));
        let mut c = known(now, 4);
        assert_eq!(ready(&mut c, now).len(), 4);
        c.useless(now, addr(1));
        c.duplicate(now, addr(2), a);
        c.duplicate(now, addr(3), b);
        c.mark_disconnected(now, addr(4), Err(&DisconnectReason::TimedOut("connecting")));
        c.mark_disconnected(now, addr(4), Err(&DisconnectReason::TimedOut("connecting")));
        assert!(ready(&mut c, now).is_empty());
        c.on_duplicate_disconnected(now, b);
        assert_eq!((ready(&mut c, now), c.deadline().is_some()), (vec![addr(3)], true));
        c.wanted_again(now);
        assert_eq!(ready(&mut c, now), [addr(1)]);
        c.answered(now + DROUGHT / 2);
        assert!(ready(&mut c, now).is_empty(), "too soon to tell anything of the network");
        c.answered(now + DROUGHT);
        assert_eq!(ready(&mut c, now + DROUGHT), [addr(4)]);
        assert_eq!(ready(&mut c, now + REST), [addr(2)], "at the latest then");
    }

    #[test]
    fn without_a_place_no_address_is_to_blame() {
        let mut now = Instant::now();
        let mut c = known(now, 3);
        for _ in 0..20 {
            ready(&mut c, now)
                .iter()
                .for_each(|addr| c.mark_disconnected(now, *addr, Err(&DisconnectReason::TooManyConnections)));
            now += HOLD_FIRST;
        }
        now += HOLD_LAST;
        assert_eq!(ready(&mut c, now).len(), 3, "after hours of that they wait a minute at most");
        (1..=3).for_each(|n| c.mark_disconnected(now, addr(n), Err(&DisconnectReason::TooManyConnections)));
        assert!(ready(&mut c, now).is_empty() && c.failures().all() == 0);
        c.places_again(now);
        assert_eq!(ready(&mut c, now).len(), 3);
        c.mark_disconnected(now, addr(1), Err(&DisconnectReason::Stopped));
        assert_eq!(ready(&mut c, now), [addr(1)], "we stopped, and go on");
    }

    #[test]
    fn offline_backoff_is_short_and_ends_with_the_outage() {
        let mut now = Instant::now();
        let mut c = known(now, 3);
        for _ in 0..20 {
            ready(&mut c, now)
                .iter()
                .for_each(|addr| c.mark_disconnected(now, *addr, Err(&DisconnectReason::Offline(String::new()))));
            now += HOLD_LAST;
        }
        assert_eq!(ready(&mut c, now).len(), 3);
        (1..=3).for_each(|n| c.mark_disconnected(now, addr(n), Err(&DisconnectReason::Offline(String::new()))));
        assert!(ready(&mut c, now).is_empty());
        c.answered(now);
        assert_eq!(ready(&mut c, now).len(), 3);
    }
}
