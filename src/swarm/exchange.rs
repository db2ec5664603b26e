//! Peer exchange with one peer (BEP 11): what it was told, when it is told again, and what of its own words is heeded.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Instant;

use crate::limits;
use crate::swarm::address::is_local;
use crate::wire::extension::pex::{Flags, Pex};

/// What to do with a message of peer exchange.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Heed so many of its addresses.
    Heed(usize),
    /// It comes too soon after the one before: pass it over.
    Early,
    /// It is one of far too many.
    Storm,
}

/// The exchange with one peer.
#[derive(Debug, Default)]
pub struct Exchange {
    /// The id by which it takes our messages.
    id: Option<u8>,
    /// Whom it was told of, and not told that they are gone.
    told: BTreeSet<SocketAddr>,
    /// When it was told last.
    told_at: Option<Instant>,
    /// The state of the swarm that it was told of.
    version: u64,
    /// Whom it has named, as far as it is kept.
    named: BTreeSet<SocketAddr>,
    /// When the last message that was heeded came.
    heard_at: Option<Instant>,
    /// Messages passed over since.
    early: u32,
}

impl Exchange {
    /// It takes our messages by this id from now on, or not at all.
    pub const fn agree(&mut self, id: Option<u8>) {
        self.id = id;
    }

    /// Whether it takes our messages.
    #[must_use]
    pub const fn agreed(&self) -> bool {
        self.id.is_some()
    }

    /// Whether it has told us something.
    #[must_use]
    pub const fn has_told(&self) -> bool {
        self.heard_at.is_some()
    }

    /// It names others.
    pub fn names(&mut self, others: impl Iterator<Item = SocketAddr>) {
        let room = limits::PEX_NAMED.saturating_sub(self.named.len());
        self.named.extend(others.take(room));
    }

    /// Whether it has named this address.
    #[must_use]
    pub fn has_named(&self, addr: SocketAddr) -> bool {
        self.named.contains(&addr)
    }

    /// When it may be told of the swarm as it is in this version; `None` where there is nothing to tell.
    #[must_use]
    pub fn due(&self, now: Instant, version: u64) -> Option<Instant> {
        let news = self.id.is_some() && self.version != version;
        news.then(|| self.told_at.map_or(now, |at| at + limits::PEX_INTERVAL))
    }

    /// The message that is due, and the id to send it by; `None` where there is no news for this peer. `swarm` is
    /// everybody whom others can call; `to` are the addresses of the peer itself, the first the one that we know it by.
    /// Hosts of local networks are told to those that are in one themselves.
    pub fn tell(
        &mut self,
        now: Instant,
        version: u64,
        swarm: &BTreeMap<SocketAddr, Flags>,
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
        // What does not fit is told in the next message.
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

    /// A message of it has come.
    pub fn hear(&mut self, now: Instant) -> Verdict {
        if self.heard_at.is_some_and(|at| now < at + limits::PEX_EARLY) {
            self.early += 1;
            return if self.early > limits::PEX_STORM { Verdict::Storm } else { Verdict::Early };
        }
        let first = self.heard_at.replace(now).is_none();
        self.early = 0;
        Verdict::Heed(if first { limits::PEX_FIRST } else { limits::PEX_LATER })
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

    fn swarm(of: std::ops::Range<u16>) -> BTreeMap<SocketAddr, Flags> {
        of.map(|n| (addr(n), Flags::SEED)).collect()
    }

    #[test]
    fn a_peer_is_told_what_is_new_once_a_minute_and_never_of_itself() {
        let (now, me) = (Instant::now(), [addr(0), addr(0)]);
        let mut it = Exchange::default();
        assert_eq!((it.due(now, 1), it.tell(now, 1, &swarm(0..3), me)), (None, None));
        it.agree(Some(7));
        assert_eq!(it.due(now, 1), Some(now));
        let (id, first) = it.tell(now, 1, &swarm(0..3), me).unwrap();
        let told: Vec<_> = first.added.iter().map(|(addr, _)| *addr).collect();
        assert_eq!((id, told, first.dropped), (7, vec![addr(1), addr(2)], vec![]));
        assert_eq!(it.due(now, 1), None);
        assert_eq!(it.due(now, 2), Some(now + MINUTE));
        let (_, second) = it.tell(now + MINUTE, 2, &swarm(2..4), me).unwrap();
        assert_eq!((second.added, second.dropped), (vec![(addr(3), Flags::SEED)], vec![addr(1)]));
        assert_eq!(it.tell(now + 2 * MINUTE, 3, &swarm(2..4), me), None, "nobody came or went");
        assert_eq!(it.due(now, 3), None);
        it.agree(None);
        assert_eq!(it.due(now, 4), None);
    }

    #[test]
    fn nobody_is_told_more_at_once_than_fits_and_all_in_the_end() {
        let (mut now, me) = (Instant::now(), [addr(9000), addr(9000)]);
        let mut it = Exchange::default();
        it.agree(Some(1));
        let mut counts = Vec::new();
        while let Some((_, message)) = it.tell(now, 1, &swarm(0..310), me) {
            counts.push(message.added.len());
            assert_eq!(it.due(now, 1).is_some(), counts.len() < 4);
            now += MINUTE;
        }
        assert_eq!(counts, [200, 50, 50, 10]);
        let gone = it.tell(now, 2, &swarm(0..0), me).unwrap().1;
        assert_eq!(gone.dropped.len(), limits::PEX_LATER);
    }

    #[test]
    fn hosts_of_a_local_network_are_told_there_only() {
        let now = Instant::now();
        let near = SocketAddr::from(([192, 168, 0, 4], 1));
        let all = BTreeMap::from([(near, Flags::default()), (addr(1), Flags::default())]);
        for (to, told) in [([192, 168, 0, 9], 2), ([8, 8, 8, 8], 1)] {
            let mut it = Exchange::default();
            it.agree(Some(1));
            let to = SocketAddr::from((to, 5));
            assert_eq!(it.tell(now, 1, &all, [to, to]).unwrap().1.added.len(), told);
        }
    }

    #[test]
    fn what_comes_too_soon_is_passed_over_and_a_storm_ends_it() {
        let now = Instant::now();
        let mut it = Exchange::default();
        assert_eq!(it.hear(now), Verdict::Heed(limits::PEX_FIRST));
        for _ in 0..limits::PEX_STORM {
            assert_eq!(it.hear(now + Duration::from_secs(1)), Verdict::Early);
        }
        assert_eq!(it.hear(now + Duration::from_secs(2)), Verdict::Storm);
        assert_eq!(it.hear(now + MINUTE), Verdict::Heed(limits::PEX_LATER));
        assert_eq!(it.hear(now + MINUTE), Verdict::Early);
    }
}
