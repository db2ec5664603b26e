//! The peer list: known addresses of one torrent with their sources, back-off, dial order and bans.

mod dial_gate;
mod suppression;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::time::{Duration, Instant};

use crate::limits;
use crate::swarm::canonical_priority::priority;
use crate::swarm::event::{DialHint, DisconnectReason};
use crate::swarm::status::{Failures, Source, SourceFailure, SourceRow};
use crate::wire::address::{can_be_host, is_local, network};

use dial_gate::{DialGate, HOLD_LAST, SuppressReason};

/// Maximum number of dials in progress per free connection slot.
const DIALS_A_PLACE: usize = 4;
/// Number of addresses evicted at once when the list is full.
const FORGOTTEN: usize = limits::KNOWN_PEERS / 16;
/// An untried address that may be dialed within this time makes the list `hopeful`.
const HOPE: Duration = Duration::from_secs(60);

/// The kind of failure of the last dial or connection of an address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Failure {
    /// The address did not answer in time.
    Silent,
    /// The host or the network refused the connection, or there is no route.
    Refused,
    /// The peer answered but closed the connection, violated the protocol or is banned.
    Disconnected,
}

impl Failure {
    /// Classifies a disconnect reason; `None` if the reason lies with this client and not with the address.
    const fn of(why: &DisconnectReason) -> Option<Failure> {
        match why {
            DisconnectReason::TimedOut(_) => Some(Failure::Silent),
            DisconnectReason::Network(_) | DisconnectReason::Offline(_) => Some(Failure::Refused),
            DisconnectReason::Closed | DisconnectReason::ProtocolViolation(_) | DisconnectReason::Banned(_) => {
                Some(Failure::Disconnected)
            }
            _ => None,
        }
    }
}

#[derive(Clone, Debug)]
struct KnownPeer {
    source: Source,
    /// Canonical priority (BEP 40). Ranks equals together with `lot`, a pseudo-random number.
    priority: u32,
    lot: u32,
    /// Sequence number of the last announcement of this address; higher is more recent.
    heard: u64,
    /// Consecutive failed attempts.
    fails: u32,
    failure: Option<Failure>,
    /// Payload was exchanged with this address at least once.
    good: bool,
    /// Transport and encryption that worked last.
    dial_hint: DialHint,
    next: Instant,
    /// Why the address is not dialed before `next`, other than a failure.
    rest: Option<SuppressReason>,
    busy: bool,
}

impl KnownPeer {
    /// Returns whether the address was given by the user, by the magnet link, or found on the LAN.
    const fn is_near(&self) -> bool {
        is_near(self.source)
    }
}

/// Round-robin state of one source and address family.
#[derive(Clone, Copy, Debug, Default)]
struct SourceTurns {
    /// Sequence number of the last turn, counted over all sources.
    last: u64,
    count: u64,
}

/// The peer list of one torrent.
#[derive(Debug)]
pub(crate) struct PeerList {
    /// Own external addresses (IPv4, IPv6); random until `set_own_address`.
    ours: [SocketAddr; 2],
    told: [bool; 2],
    /// Seed of the `lot` of every address.
    seed: u64,
    /// The list is full and no entry can be evicted; cleared when an entry is freed.
    jammed: bool,
    /// Bit history of the last 32 dials: 1 = answered.
    answers: u32,
    /// Round-robin state by source and family (`true` = IPv6).
    turns: BTreeMap<(Source, bool), SourceTurns>,
    /// Counter behind `KnownPeer::heard`.
    words: u64,
    known: BTreeMap<SocketAddr, KnownPeer>,
    banned: BTreeMap<IpAddr, String>,
    ourselves: BTreeSet<SocketAddr>,
    /// Text of the last failure of each source.
    last_failure: BTreeMap<Source, DisconnectReason>,
    us: DialGate,
    /// No address is due before this time; avoids a scan of the whole list.
    soonest: Option<Instant>,
}

impl PeerList {
    /// Creates an empty list. `seed` decides the order among equals until the external address is known.
    #[must_use]
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let v4 = IpAddr::from(rng.u32(..).to_be_bytes());
        let v6 = IpAddr::from(rng.u128(..).to_be_bytes());
        PeerList {
            ours: [v4, v6].map(|ip| SocketAddr::new(ip, rng.u16(1..))),
            told: [false; 2],
            seed: rng.u64(..),
            jammed: false,
            answers: 0,
            turns: BTreeMap::new(),
            words: 0,
            known: BTreeMap::new(),
            banned: BTreeMap::new(),
            ourselves: BTreeSet::new(),
            last_failure: BTreeMap::new(),
            us: DialGate::default(),
            soonest: None,
        }
    }

    /// Sets the external address and recomputes canonical priorities (BEP 40).
    ///
    /// Only the first address of each family is accepted, so that remote peers cannot force repeated sorting.
    pub(crate) fn set_own_address(&mut self, addr: SocketAddr) {
        let addr = canonical(addr);
        let family = usize::from(addr.is_ipv6());
        if !std::mem::replace(&mut self.told[family], true) {
            self.ours[family] = addr;
            for (known, c) in self.known.iter_mut().filter(|(known, _)| known.is_ipv6() == addr.is_ipv6()) {
                c.priority = priority(addr, *known);
            }
        }
    }

    /// Returns the canonical priority (BEP 40) of a connection to this address.
    #[must_use]
    pub(crate) fn priority(&self, addr: SocketAddr) -> u32 {
        let addr = canonical(addr);
        priority(self.ours[usize::from(addr.is_ipv6())], addr)
    }

    /// Returns a pseudo-random number for an address: stable, and unpredictable without the seed.
    fn lot(&self, addr: SocketAddr) -> u32 {
        let ip = match addr.ip() {
            IpAddr::V4(v4) => u128::from(v4.to_bits()),
            IpAddr::V6(v6) => v6.to_bits(),
        };
        let folded = (ip >> 64) as u64 ^ (ip as u64).rotate_left(32) ^ u64::from(addr.port());
        fastrand::Rng::with_seed(self.seed ^ folded).u32(..)
    }

    /// Adds an address, or refreshes it if already known.
    ///
    /// The list holds at most [`limits::KNOWN_PEERS`] entries. When full, the worst entries of the source with the most
    /// entries are evicted, so a flood from one source only evicts its own entries. Addresses from PEX and the DHT in a
    /// network with unproven neighbors are delayed: those sources are untrusted and could aim our dials at one victim.
    pub(crate) fn add(&mut self, now: Instant, addr: SocketAddr, source: Source) {
        let addr = canonical(addr);
        if !dialable(addr) || self.ourselves.contains(&addr) || self.banned.contains_key(&addr.ip()) {
            return;
        }
        if let Some(known) = self.known.get_mut(&addr) {
            known.source = known.source.min(source);
            self.words += 1;
            known.heard = self.words;
            return;
        }
        if source == Source::Lan && self.is_crowded(addr.ip()) {
            return;
        }
        if self.known.len() >= limits::KNOWN_PEERS {
            self.jammed = self.jammed || !self.evict(source);
            if self.jammed {
                return;
            }
        }
        let next = now + self.crowd(addr, source);
        self.words += 1;
        let fresh = KnownPeer {
            source,
            priority: self.priority(addr),
            lot: self.lot(addr),
            heard: self.words,
            fails: 0,
            failure: None,
            good: false,
            dial_hint: DialHint::default(),
            next,
            rest: None,
            busy: false,
        };
        self.known.insert(addr, fresh);
        self.sooner(next);
    }

    /// Returns the initial dial delay of an address that has neighbors which never exchanged payload.
    fn crowd(&self, addr: SocketAddr, source: Source) -> Duration {
        if !matches!(source, Source::Pex | Source::Dht) || is_local(addr.ip()) {
            return Duration::ZERO;
        }
        let (low, high) = network(addr.ip());
        let neighbours = self.known.range(low..=high).filter(|(_, c)| !c.good).take(limits::NEIGHBOURS_WAIT).count();
        limits::NEIGHBOUR_WAIT * neighbours as u32
    }

    /// Evicts up to `FORGOTTEN` entries for an address of `source`; returns false if none may be evicted.
    ///
    /// Evicting in batches keeps a flood cheap. Most failures first, then lowest `lot`: a random sample remains.
    fn evict(&mut self, source: Source) -> bool {
        let near = is_near(source);
        // User-given entries are evicted only for other user-given ones, and only after a failure.
        let spare = |c: &KnownPeer| !c.busy && !c.good && (!c.is_near() || near && c.fails > 0);
        let mut queues: BTreeMap<Source, Vec<_>> = BTreeMap::new();
        for (addr, c) in self.known.iter().filter(|(_, c)| spare(c)) {
            queues.entry(c.source).or_default().push((c.fails, std::cmp::Reverse(c.lot), *addr));
        }
        queues.values_mut().for_each(|queue| queue.sort_unstable());
        let before = self.known.len();
        for _ in 0..FORGOTTEN {
            let longest = queues.values_mut().max_by_key(|queue| queue.len());
            let Some((.., worst)) = longest.and_then(Vec::pop) else { break };
            self.known.remove(&worst);
        }
        self.known.len() < before
    }

    /// Returns whether the LAN, or this host, has reached its quota of addresses.
    ///
    /// The quota exists because LAN peers are dialed before all others.
    fn is_crowded(&self, ip: IpAddr) -> bool {
        let local = || self.known.iter().filter(|(_, c)| c.source == Source::Lan);
        local().count() >= limits::LAN_PEERS || local().filter(|(a, _)| a.ip() == ip).count() >= limits::LAN_PER_HOST
    }

    /// Returns whether LSD has announced a peer at this host.
    #[must_use]
    pub(crate) fn is_local(&self, ip: IpAddr) -> bool {
        self.known.iter().any(|(addr, c)| c.source == Source::Lan && addr.ip() == ip)
    }

    fn sooner(&mut self, at: Instant) {
        self.soonest = Some(self.soonest.map_or(at, |soonest| soonest.min(at)));
    }

    #[must_use]
    pub(crate) fn len(&self) -> usize {
        self.known.len()
    }

    /// Returns whether an address without failures is due soon or is being dialed.
    #[must_use]
    pub(crate) fn has_candidate(&self, now: Instant) -> bool {
        self.known.values().any(|c| c.fails == 0 && (c.busy || c.next <= now + HOPE))
    }

    /// Returns the best source that has announced an address.
    #[must_use]
    pub(crate) fn source(&self, addr: SocketAddr) -> Option<Source> {
        self.known.get(&canonical(addr)).map(|c| c.source)
    }

    /// Returns the number of addresses whose last attempt failed, including those being retried.
    #[must_use]
    pub(crate) fn failures(&self) -> Failures {
        let mut sum = Failures::default();
        for failure in self.known.values().filter_map(|c| c.failure) {
            match failure {
                Failure::Silent => sum.silent += 1,
                Failure::Refused => sum.refused += 1,
                Failure::Disconnected => sum.hung_up += 1,
            }
        }
        sum
    }

    /// Returns one row per source; `connected` gives the connected peers of each source.
    #[must_use]
    pub(crate) fn sources(&self, connected: &BTreeMap<Source, u32>) -> Vec<SourceRow> {
        let mut rows: BTreeMap<Source, SourceRow> = BTreeMap::new();
        for c in self.known.values() {
            let row = rows.entry(c.source).or_insert_with(|| SourceRow::new(c.source));
            row.known += 1;
            row.failed += u32::from(c.failure.is_some());
        }
        for (source, n) in connected {
            let row = rows.entry(*source).or_insert_with(|| SourceRow::new(*source));
            // Incoming peers are not stored as dialable addresses.
            (row.connected, row.known) = (*n, row.known.max(*n));
        }
        for (source, why) in &self.last_failure {
            rows.entry(*source).or_insert_with(|| SourceRow::new(*source)).last_failure =
                Some(SourceFailure::Peer(why.clone()));
        }
        rows.into_values().collect()
    }

    /// Returns the next address to dial with its dial hint, and marks it busy.
    ///
    /// Order: user-given and LAN addresses, then addresses that worked before, then fewest failures. Among equals,
    /// sources and families alternate (round robin), and within one of them the choice alternates between highest
    /// canonical priority (BEP 40), random, and most recently announced.
    pub(crate) fn next(&mut self, now: Instant) -> Option<(SocketAddr, DialHint)> {
        if self.deadline().is_none_or(|at| now < at) {
            return None;
        }
        // Round robin over sources and families: many addresses of one source do not starve another.
        let turns =
            |addr: &SocketAddr, c: &KnownPeer| self.turns.get(&(c.source, addr.is_ipv6())).copied().unwrap_or_default();
        let rank = |addr: &SocketAddr, c: &KnownPeer| {
            let turns = turns(addr, c);
            // Neighbors have similar priorities, so a dead subnet may rank highest; and behind a thousand
            // untried addresses a newly announced one would wait too long.
            let worth = match turns.count % 3 {
                0 => u64::from(c.priority),
                1 => u64::from(c.lot),
                _ => c.heard,
            };
            (!c.is_near(), !c.good, c.fails, turns.last, std::cmp::Reverse(worth))
        };
        let ready = self.known.iter().filter(|(_, c)| !c.busy && c.next <= now);
        let Some(addr) = ready.min_by_key(|(addr, c)| rank(addr, c)).map(|(addr, _)| *addr) else {
            self.soonest = self.known.values().filter(|c| !c.busy).map(|c| c.next).min();
            return None;
        };
        let latest = self.turns.values().map(|turns| turns.last).max().unwrap_or(0);
        let c = self.known.get_mut(&addr)?;
        c.busy = true;
        let turns = self.turns.entry((c.source, addr.is_ipv6())).or_default();
        *turns = SourceTurns { last: latest + 1, count: turns.count + 1 };
        Some((addr, c.dial_hint))
    }

    /// Records whether a peer accepted, or asked for, an encrypted handshake (MSE).
    pub(crate) fn set_encryption_hint(&mut self, addr: SocketAddr, encrypted: bool) {
        if let Some(c) = self.known.get_mut(&canonical(addr)) {
            c.dial_hint.encrypted = Some(encrypted);
        }
    }

    /// Records the transport that reached this address: uTP or TCP.
    pub(crate) fn set_transport_hint(&mut self, addr: SocketAddr, utp: bool) {
        if let Some(c) = self.known.get_mut(&canonical(addr)) {
            c.dial_hint.utp = utp;
        }
    }

    /// Returns when the next address is due; may be too early, never too late.
    #[must_use]
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.soonest.map(|at| self.us.may_dial_at().map_or(at, |may| may.max(at)))
    }

    /// Marks the address as connected and clears its last failure.
    pub(crate) fn mark_connected(&mut self, addr: SocketAddr) {
        if let Some(c) = self.known.get_mut(&canonical(addr)) {
            (c.busy, c.failure, c.rest) = (true, None, None);
        }
    }

    /// Marks the address as disconnected and applies the back-off; `Ok` if payload was exchanged.
    pub(crate) fn mark_disconnected(&mut self, now: Instant, addr: SocketAddr, outcome: Result<(), &DisconnectReason>) {
        self.jammed = false;
        let ours = outcome.err().is_some_and(|why| self.is_ours(now, why));
        if outcome.err().and_then(Failure::of).is_some_and(|failure| failure != Failure::Disconnected) {
            self.is_unreached(now);
        }
        let Some(c) = self.known.get_mut(&canonical(addr)) else { return };
        (c.busy, c.rest) = (false, None);
        match outcome {
            Err(_) if ours => {}
            Ok(()) => (c.good, c.fails, c.failure) = (true, 0, None),
            Err(why) => {
                c.fails = c.fails.saturating_add(1);
                c.failure = Failure::of(why);
                // TCP may work by now.
                c.dial_hint.utp = false;
                if c.failure.is_some() {
                    self.last_failure.insert(c.source, why.clone());
                }
            }
        }
        c.next = match outcome {
            Err(_) if ours => now,
            // Dials are cheap without a network route, so the back-off stays short.
            Err(DisconnectReason::Offline(_)) => now + backoff(c.fails, c.source).min(HOLD_LAST),
            _ => now + backoff(c.fails, c.source),
        };
        let next = c.next;
        self.sooner(next);
    }

    /// Records whether a dial was answered.
    pub(crate) const fn dialled(&mut self, answered: bool) {
        self.answers = self.answers << 1 | answered as u32;
    }

    /// Returns how many dials to run per free connection slot: the lower the recent answer rate, the more.
    #[must_use]
    pub(crate) fn dials_per_free_slot(&self) -> usize {
        (32 / (self.answers.count_ones() as usize + 1)).clamp(1, DIALS_A_PLACE)
    }

    /// Removes the address for good: it is our own.
    pub(crate) fn add_own_address(&mut self, addr: SocketAddr) {
        self.forget(addr);
        self.ourselves.insert(canonical(addr));
    }

    pub(crate) fn forget(&mut self, addr: SocketAddr) {
        self.jammed = false;
        self.known.remove(&canonical(addr));
    }

    pub(crate) fn forget_from(&mut self, sources: impl Fn(Source) -> bool) {
        self.known.retain(|_, c| !sources(c.source));
    }

    /// Returns the hosts of all addresses from these sources.
    #[must_use]
    pub(crate) fn hosts_from(&self, sources: impl Fn(Source) -> bool) -> BTreeSet<IpAddr> {
        self.known.iter().filter(|(_, c)| sources(c.source)).map(|(addr, _)| addr.ip()).collect()
    }

    /// Bans a host, on all ports, for the lifetime of the torrent.
    pub(crate) fn ban(&mut self, ip: IpAddr, why: String) {
        let ip = ip.to_canonical();
        self.known.retain(|addr, _| addr.ip() != ip);
        self.banned.insert(ip, why);
    }

    /// Returns the reason if this host is banned.
    #[must_use]
    pub(crate) fn banned(&self, ip: IpAddr) -> Option<&str> {
        self.banned.get(&ip.to_canonical()).map(String::as_str)
    }

    /// Returns the number of banned hosts.
    #[must_use]
    pub(crate) fn bans(&self) -> usize {
        self.banned.len()
    }

    /// Clears busy marks, failures and back-off of all addresses; called when every connection is closed.
    pub(crate) fn reset_backoff(&mut self, now: Instant) {
        for c in self.known.values_mut() {
            (c.busy, c.fails, c.failure, c.next, c.rest) = (false, 0, None, now, None);
        }
        self.us = DialGate::default();
        self.soonest = Some(now);
    }
}

/// Converts IPv4-mapped addresses to IPv4 and drops the scope id unless link-local.
#[must_use]
pub(crate) fn canonical(addr: SocketAddr) -> SocketAddr {
    match addr {
        SocketAddr::V6(v6) if v6.ip().is_unicast_link_local() => {
            SocketAddr::V6(SocketAddrV6::new(*v6.ip(), v6.port(), 0, v6.scope_id()))
        }
        _ => SocketAddr::new(addr.ip().to_canonical(), addr.port()),
    }
}

const fn is_near(source: Source) -> bool {
    matches!(source, Source::Manual | Source::Link | Source::Lan)
}

fn dialable(addr: SocketAddr) -> bool {
    addr.port() != 0 && can_be_host(addr.ip())
}

/// Returns the back-off: 1 s, tripled per failure, up to 30 min (30 s for user-given peers).
fn backoff(fails: u32, source: Source) -> Duration {
    let most = if matches!(source, Source::Manual | Source::Link) { 30 } else { 1800 };
    Duration::from_secs(3_u64.saturating_pow(fails.saturating_sub(1).min(8)).min(most))
}

#[cfg(test)]
mod tests;
