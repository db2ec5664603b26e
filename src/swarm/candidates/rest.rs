//! Addresses that are left alone for a reason that is not theirs, and what ends that.
//!
//! A back-off punishes an address for what it did. Where the reason lies with us - nothing is wanted of it, we are
//! connected to its peer by another address, there is no place or no network - it ends with the reason.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::{Candidates, Failure, canonical};
use crate::swarm::event::Gone;
use crate::wire::message::PeerId;

/// After so long without anybody who was reached, the network is taken to have been away.
const DROUGHT: Duration = Duration::from_secs(30);
/// How long an address rests at most whose reason nobody sees end.
const REST: Duration = Duration::from_secs(1800);
/// The first time without dials where we ourselves are in the way; it doubles up to the last.
const HOLD_FIRST: Duration = Duration::from_secs(1);
pub(super) const HOLD_LAST: Duration = Duration::from_secs(60);

/// Why an address is not dialled although it has not failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Rest {
    /// Neither side wants anything.
    Useless,
    /// This peer is connected by another address.
    Duplicate(PeerId),
}

/// A time without dials, because they cannot come to anything.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hold {
    until: Instant,
    length: Duration,
}

/// What is known of ourselves as far as it concerns all addresses.
#[derive(Debug, Default)]
pub(super) struct Ourselves {
    /// There is no place for a connection more.
    full: Option<Hold>,
    /// Since when nobody was reached who was dialled.
    drought: Option<Instant>,
}

impl Ourselves {
    /// When we may dial; `None` is now.
    pub(super) fn may_dial_at(&self) -> Option<Instant> {
        self.full.map(|hold| hold.until)
    }

    /// There was no place for a connection. Several dials that were under way together lengthen the time once.
    fn is_full(&mut self, now: Instant) {
        if self.full.is_none_or(|hold| now >= hold.until) {
            let length = self.full.map_or(HOLD_FIRST, |hold| (hold.length * 2).min(HOLD_LAST));
            self.full = Some(Hold { until: now + length, length });
        }
    }
}

impl Candidates {
    /// A peer of which nothing can be wanted for a good while: it has everything, as we do.
    pub fn useless(&mut self, now: Instant, addr: SocketAddr) {
        self.lay_to_rest(now, addr, Rest::Useless);
    }

    /// A peer that is connected already, by another address.
    pub fn duplicate(&mut self, now: Instant, addr: SocketAddr, peer: PeerId) {
        self.lay_to_rest(now, addr, Rest::Duplicate(peer));
    }

    fn lay_to_rest(&mut self, now: Instant, addr: SocketAddr, why: Rest) {
        if let Some(c) = self.known.get_mut(&canonical(addr)) {
            (c.busy, c.next, c.rest) = (false, now + REST, Some(why));
        }
    }

    /// Something is wanted again: peers that were let go for want of that may be dialled at once.
    pub fn wanted_again(&mut self, now: Instant) {
        self.wake(now, |rest| rest == Rest::Useless);
    }

    /// A peer has left: its other addresses may be dialled at once.
    pub fn twin_left(&mut self, now: Instant, peer: PeerId) {
        self.wake(now, |rest| rest == Rest::Duplicate(peer));
    }

    fn wake(&mut self, now: Instant, whom: impl Fn(Rest) -> bool) {
        let mut woken = false;
        for c in self.known.values_mut().filter(|c| c.rest.is_some_and(&whom)) {
            (c.next, c.rest, woken) = (now, None, true);
        }
        if woken {
            self.sooner(now);
        }
    }

    /// There are places for more connections again.
    pub fn places_again(&mut self, now: Instant) {
        if self.us.full.take().is_some() {
            self.sooner(now);
        }
    }

    /// Somebody answers while nobody is connected. After a time in which nobody was reached, that tells that the network
    /// is back: whom it did not reach meanwhile is tried again at once.
    pub fn answered(&mut self, now: Instant) {
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

    /// Somebody was reached, and there was a place for that.
    pub fn reached_somebody(&mut self, now: Instant) {
        self.us.drought = None;
        self.places_again(now);
    }

    /// Nobody was reached at an address.
    pub(super) fn is_unreached(&mut self, now: Instant) {
        self.us.drought.get_or_insert(now);
    }

    /// Whether a connection came to nothing by our own fault alone, which says nothing of the address.
    pub(super) fn is_ours(&mut self, now: Instant, why: &Gone) -> bool {
        if *why == Gone::Full {
            self.us.is_full(now);
        }
        matches!(why, Gone::Full | Gone::Stopped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::swarm::view::Source;

    fn addr(n: u8) -> SocketAddr {
        SocketAddr::from(([8, 8, n, 1], 6881))
    }

    fn known(now: Instant, n: u8) -> Candidates {
        let mut c = Candidates::new(1);
        (1..=n).for_each(|n| c.learn(now, addr(n), Source::Tracker));
        c
    }

    fn ready(c: &mut Candidates, now: Instant) -> Vec<SocketAddr> {
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
        c.release(now, addr(4), Err(&Gone::TimedOut("connecting")));
        c.release(now, addr(4), Err(&Gone::TimedOut("connecting")));
        assert!(ready(&mut c, now).is_empty());
        c.twin_left(now, b);
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
            ready(&mut c, now).iter().for_each(|addr| c.release(now, *addr, Err(&Gone::Full)));
            now += HOLD_FIRST;
        }
        now += HOLD_LAST;
        assert_eq!(ready(&mut c, now).len(), 3, "after hours of that they wait a minute at most");
        (1..=3).for_each(|n| c.release(now, addr(n), Err(&Gone::Full)));
        assert!(ready(&mut c, now).is_empty() && c.failures().all() == 0);
        c.places_again(now);
        assert_eq!(ready(&mut c, now).len(), 3);
        c.release(now, addr(1), Err(&Gone::Stopped));
        assert_eq!(ready(&mut c, now), [addr(1)], "we stopped, and go on");
    }

    #[test]
    fn without_a_network_nobody_waits_for_long_and_its_return_is_heeded_at_once() {
        let mut now = Instant::now();
        let mut c = known(now, 3);
        for _ in 0..20 {
            ready(&mut c, now).iter().for_each(|addr| c.release(now, *addr, Err(&Gone::Offline(String::new()))));
            now += HOLD_LAST;
        }
        assert_eq!(ready(&mut c, now).len(), 3);
        (1..=3).for_each(|n| c.release(now, addr(n), Err(&Gone::Offline(String::new()))));
        assert!(ready(&mut c, now).is_empty());
        c.answered(now);
        assert_eq!(ready(&mut c, now).len(), 3);
    }
}
