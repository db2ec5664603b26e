//! Peer exchange (PEX, BEP 11) with one peer: addresses sent, send schedule, receive rate limit.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Instant;

use crate::limits;
use crate::wire::address::is_local;
use crate::wire::extension::pex::{Pex, PexFlags};

/// What to do with a PEX message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum PexVerdict {
    /// Accept up to this many of its addresses.
    Accept(usize),
    /// Ignore: it comes too soon after the previous one.
    Early,
    /// Too many early messages: disconnect.
    Flood,
}

/// PEX state of one peer.
#[derive(Debug, Default)]
pub(crate) struct PexState {
    /// Extended message id of `ut_pex` at the peer (BEP 10).
    id: Option<u8>,
    /// Addresses sent as added and not yet as dropped.
    told: BTreeSet<SocketAddr>,
    /// When the last message was sent.
    told_at: Option<Instant>,
    /// Version of the swarm that the peer knows completely.
    version: u64,
    /// Addresses received from the peer, up to [`limits::PEX_NAMED`].
    named: BTreeSet<SocketAddr>,
    /// When the last accepted message arrived.
    heard_at: Option<Instant>,
    /// Messages ignored since then.
    early: u32,
}

impl PexState {
    /// Sets the extended message id; `None` if the peer does not support PEX.
    pub(crate) const fn set_message_id(&mut self, id: Option<u8>) {
        self.id = id;
    }

    /// Returns whether the peer supports PEX.
    #[must_use]
    pub(crate) const fn agreed(&self) -> bool {
        self.id.is_some()
    }

    /// Returns whether a PEX message was received.
    #[must_use]
    pub(crate) const fn has_told(&self) -> bool {
        self.heard_at.is_some()
    }

    /// Records addresses received from the peer.
    pub(crate) fn names(&mut self, others: impl Iterator<Item = SocketAddr>) {
        let room = limits::PEX_NAMED.saturating_sub(self.named.len());
        self.named.extend(others.take(room));
    }

    /// Returns whether the peer has sent this address.
    #[must_use]
    pub(crate) fn has_named(&self, addr: SocketAddr) -> bool {
        self.named.contains(&addr)
    }

    /// Returns when the next message may be sent; `None` if the peer knows this version of the swarm.
    #[must_use]
    pub(crate) fn due(&self, now: Instant, version: u64) -> Option<Instant> {
        let news = self.id.is_some() && self.version != version;
        news.then(|| self.told_at.map_or(now, |at| at + limits::PEX_INTERVAL))
    }

    /// Builds the next message and returns it with its extended message id; `None` if there is nothing new.
    ///
    /// `swarm` holds the dialable peers. `to` are the addresses of the receiver itself, which are left out; the first
    /// one is that of the connection. Local addresses are sent to local peers only.
    pub(crate) fn next_message(
        &mut self,
        now: Instant,
        version: u64,
        swarm: &BTreeMap<SocketAddr, PexFlags>,
        to: [SocketAddr; 2],
    ) -> Option<(u8, Pex)> {
        let id = self.id?;
        let near = is_local(to[0].ip());
        let most = if self.told_at.is_none() { limits::PEX_FIRST } else { limits::PEX_LATER };
        let fits = |addr: &SocketAddr| !to.contains(addr) && (near || !is_local(addr.ip()));
        let fresh = swarm.iter().filter(|(addr, _)| fits(addr) && !self.told.contains(addr));
        let added: Vec<_> = fresh.take(most).map(|(addr, flags)| (*addr, *flags)).collect();
        let gone = self.told.iter().filter(|addr| !swarm.contains_key(addr));
        let dropped: Vec<_> = gone.take(limits::PEX_LATER).copied().collect();
        // The rest follows in the next message.
        let whole = added.len() < most && dropped.len() < limits::PEX_LATER;
        if whole {
            self.version = version;
        }
        if added.is_empty() && dropped.is_empty() {
            return None;
        }
        self.told_at = Some(now);
        self.told.extend(added.iter().map(|(addr, _)| *addr));
        dropped.iter().for_each(|addr| _ = self.told.remove(addr));
        Some((id, Pex { added, dropped }))
    }

    /// Applies the rate limit to a received message.
    pub(crate) fn on_message(&mut self, now: Instant) -> PexVerdict {
        if self.heard_at.is_some_and(|at| now < at + limits::PEX_EARLY) {
            self.early += 1;
            return if self.early > limits::PEX_STORM { PexVerdict::Flood } else { PexVerdict::Early };
        }
        let first = self.heard_at.replace(now).is_none();
        self.early = 0;
        PexVerdict::Accept(if first { limits::PEX_FIRST } else { limits::PEX_LATER })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn addr(n: u16) -> SocketAddr {
        SocketAddr::from(([9, 1, (n >> 8) as u8, n as u8], 6881))
    }

    fn swarm(of: std::ops::Range<u16>) -> BTreeMap<SocketAddr, PexFlags> {
        of.map(|n| (addr(n), PexFlags::SEED)).collect()
    }

    #[test]
    fn a_peer_is_told_what_is_new_once_a_minute_and_never_of_itself() {
        let (now, me) = (Instant::now(), [addr(0), addr(0)]);
        let mut it = PexState::default();
        assert_eq!((it.due(now, 1), it.next_message(now, 1, &swarm(0..3), me)), (None, None));
        it.set_message_id(Some(7));
        assert_eq!(it.due(now, 1), Some(now));
        let (id, first) = it.next_message(now, 1, &swarm(0..3), me).unwrap();
        let told: Vec<_> = first.added.iter().map(|(addr, _)| *addr).collect();
        assert_eq!((id, told, first.dropped), (7, vec![addr(1), addr(2)], vec![]));
        assert_eq!(it.due(now, 1), None);
        assert_eq!(it.due(now, 2), Some(now + MINUTE));
        let (_, second) = it.next_message(now + MINUTE, 2, &swarm(2..4), me).unwrap();
        assert_eq!((second.added, second.dropped), (vec![(addr(3), PexFlags::SEED)], vec![addr(1)]));
        assert_eq!(it.next_message(now + 2 * MINUTE, 3, &swarm(2..4), me), None, "nobody came or went");
        assert_eq!(it.due(now, 3), None);
        it.set_message_id(None);
        assert_eq!(it.due(now, 4), None);
    }

    #[test]
    fn nobody_is_told_more_at_once_than_fits_and_all_in_the_end() {
        let (mut now, me) = (Instant::now(), [addr(9000), addr(9000)]);
        let mut it = PexState::default();
        it.set_message_id(Some(1));
        let mut counts = Vec::new();
        while let Some((_, message)) = it.next_message(now, 1, &swarm(0..310), me) {
            counts.push(message.added.len());
            assert_eq!(it.due(now, 1).is_some(), counts.len() < 4);
            now += MINUTE;
        }
        assert_eq!(counts, [200, 50, 50, 10]);
        let gone = it.next_message(now, 2, &swarm(0..0), me).unwrap().1;
        assert_eq!(gone.dropped.len(), limits::PEX_LATER);
    }

    #[test]
    fn hosts_of_a_local_network_are_told_there_only() {
        let now = Instant::now();
        let near = SocketAddr::from(([192, 168, 0, 4], 1));
        let all = BTreeMap::from([(near, PexFlags::default()), (addr(1), PexFlags::default())]);
        for (to, told) in [([192, 168, 0, 9], 2), ([8, 8, 8, 8], 1)] {
            let mut it = PexState::default();
            it.set_message_id(Some(1));
            let to = SocketAddr::from((to, 5));
            assert_eq!(it.next_message(now, 1, &all, [to, to]).unwrap().1.added.len(), told);
        }
    }

    #[test]
    fn what_comes_too_soon_is_passed_over_and_a_storm_ends_it() {
        let now = Instant::now();
        let mut it = PexState::default();
        assert_eq!(it.on_message(now), PexVerdict::Accept(limits::PEX_FIRST));
        for _ in 0..limits::PEX_STORM {
            assert_eq!(it.on_message(now + Duration::from_secs(1)), PexVerdict::Early);
        }
        assert_eq!(it.on_message(now + Duration::from_secs(2)), PexVerdict::Flood);
        assert_eq!(it.on_message(now + MINUTE), PexVerdict::Accept(limits::PEX_LATER));
        assert_eq!(it.on_message(now + MINUTE), PexVerdict::Early);
    }
}
