//! The addresses that may be peers: where they were learnt, when to try them next, whom to leave alone.

mod rest;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::time::{Duration, Instant};

use crate::limits;
use crate::swarm::address::{is_local, network};
use crate::swarm::event::{Gone, Manner};
use crate::swarm::priority::priority;
use crate::swarm::view::{Source, SourceRow};

use rest::{Ourselves, Rest};

/// The most dials under way for each place that is free.
const DIALS_A_PLACE: usize = 4;
/// How many addresses are forgotten at once where others need room.
const FORGOTTEN: usize = limits::KNOWN_PEERS / 16;
/// An address that may be dialed within this time is one to hope for.
const HOPE: Duration = Duration::from_secs(60);

/// How an attempt at an address came to nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Failure {
    /// Nothing came back in time.
    Silent,
    /// The network or the host refused.
    Refused,
    /// Somebody answered, and nothing came of it: it hung up, belongs to another torrent, speaks something else.
    HungUp,
}

impl Failure {
    /// What this departure says of the address; `None` where it says nothing, because it was us.
    const fn of(why: &Gone) -> Option<Failure> {
        match why {
            Gone::TimedOut(_) => Some(Failure::Silent),
            Gone::Network(_) | Gone::Offline(_) => Some(Failure::Refused),
            Gone::Closed | Gone::Misbehaved(_) | Gone::Banned(_) => Some(Failure::HungUp),
            _ => None,
        }
    }
}

/// How many addresses failed, in which way, when they were tried last.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Failures {
    /// Nothing came back.
    pub silent: u32,
    /// Refused by the network or the host.
    pub refused: u32,
    /// Answered, and hung up or was no peer of this torrent.
    pub hung_up: u32,
}

impl Failures {
    /// All of them.
    #[must_use]
    pub const fn all(&self) -> u32 {
        self.silent + self.refused + self.hung_up
    }
}

#[derive(Clone, Debug)]
struct Candidate {
    source: Source,
    /// How much it is preferred among equals: canonically, and by chance.
    priority: u32,
    lot: u32,
    /// Which word on an address it was that named it last: the higher, the later.
    heard: u64,
    /// Attempts in a row that came to nothing.
    fails: u32,
    /// How the last one did.
    failure: Option<Failure>,
    /// It has given us something once.
    good: bool,
    /// How it was spoken to the last time.
    manner: Manner,
    next: Instant,
    /// Why it is left alone until then, where it has not failed.
    rest: Option<Rest>,
    busy: bool,
}

impl Candidate {
    /// Named by the user or by his link, or on our network.
    const fn is_near(&self) -> bool {
        is_near(self.source)
    }
}

/// The turns that a source had.
#[derive(Clone, Copy, Debug, Default)]
struct Turns {
    /// Which turn of all was its last.
    last: u64,
    count: u64,
}

/// The known addresses of one torrent.
#[derive(Debug)]
pub struct Candidates {
    /// Our own addresses as others see them, by family; made up until they are told.
    ours: [SocketAddr; 2],
    told: [bool; 2],
    /// Of the lots.
    seed: u64,
    /// There are as many as there may be, and none is worth less than another.
    jammed: bool,
    /// Whether each of the last 32 dials was answered, as bits.
    answers: u32,
    /// The turns of each source and family.
    turns: BTreeMap<(Source, bool), Turns>,
    /// Words on addresses so far.
    words: u64,
    known: BTreeMap<SocketAddr, Candidate>,
    banned: BTreeMap<IpAddr, String>,
    ourselves: BTreeSet<SocketAddr>,
    /// Why the last address of each source failed, in words.
    last_failure: BTreeMap<Source, String>,
    us: Ourselves,
    /// No address may be dialled before this: spares a look at all of them.
    soonest: Option<Instant>,
}

impl Candidates {
    /// None yet. `seed` makes the order among equals until our own address is known.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let v4 = IpAddr::from(rng.u32(..).to_be_bytes());
        let v6 = IpAddr::from(rng.u128(..).to_be_bytes());
        Candidates {
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
            us: Ourselves::default(),
            soonest: None,
        }
    }

    /// Others see us at this address: from now on the order among equals is the canonical one (BEP 40). The first word
    /// on each family counts, so that nobody makes us sort again and again.
    pub fn we_are(&mut self, addr: SocketAddr) {
        let addr = canonical(addr);
        let family = usize::from(addr.is_ipv6());
        if !std::mem::replace(&mut self.told[family], true) {
            self.ours[family] = addr;
            for (known, c) in self.known.iter_mut().filter(|(known, _)| known.is_ipv6() == addr.is_ipv6()) {
                c.priority = priority(addr, *known);
            }
        }
    }

    /// The canonical priority of a connection to this address.
    #[must_use]
    pub fn priority(&self, addr: SocketAddr) -> u32 {
        let addr = canonical(addr);
        priority(self.ours[usize::from(addr.is_ipv6())], addr)
    }

    /// What chance says of an address: always the same, and nobody else can tell.
    fn lot(&self, addr: SocketAddr) -> u32 {
        let ip = match addr.ip() {
            IpAddr::V4(v4) => u128::from(v4.to_bits()),
            IpAddr::V6(v6) => v6.to_bits(),
        };
        let folded = (ip >> 64) as u64 ^ (ip as u64).rotate_left(32) ^ u64::from(addr.port());
        fastrand::Rng::with_seed(self.seed ^ folded).u32(..)
    }

    /// An address was learnt. There are never more than [`limits::KNOWN_PEERS`]: the worst make room, of the source that
    /// has brought most, so that a flood from one source pushes out nothing but itself. Of what other peers and the DHT
    /// name in one network only the first is called at once: they can name whom they like, and are not to make us call at
    /// every door of a stranger's house.
    pub fn learn(&mut self, now: Instant, addr: SocketAddr, source: Source) {
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
            self.jammed = self.jammed || !self.make_room(source);
            if self.jammed {
                return;
            }
        }
        let next = now + self.crowd(addr, source);
        self.words += 1;
        let fresh = Candidate {
            source,
            priority: self.priority(addr),
            lot: self.lot(addr),
            heard: self.words,
            fails: 0,
            failure: None,
            good: false,
            manner: Manner::default(),
            next,
            rest: None,
            busy: false,
        };
        self.known.insert(addr, fresh);
        self.sooner(next);
    }

    /// How long an address has to wait because of its neighbours that have not shown to be peers.
    fn crowd(&self, addr: SocketAddr, source: Source) -> Duration {
        if !matches!(source, Source::Pex | Source::Dht) || is_local(addr.ip()) {
            return Duration::ZERO;
        }
        let (low, high) = network(addr.ip());
        let neighbours = self.known.range(low..=high).filter(|(_, c)| !c.good).take(limits::NEIGHBOURS_WAIT).count();
        limits::NEIGHBOUR_WAIT * neighbours as u32
    }

    /// Forgets some addresses for others of this source; false when there is none to forget. They go by the dozen, so
    /// that a flood costs little: those that failed first, then those with the lowest lots, which leaves a fair sample.
    fn make_room(&mut self, source: Source) -> bool {
        let near = is_near(source);
        // What the user gave makes room only for what else the user gives, and only where it is dead.
        let spare = |c: &Candidate| !c.busy && !c.good && (!c.is_near() || near && c.fails > 0);
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

    /// Whether the local network, or this host of it, has named as many addresses as are taken from there: they come
    /// before others, so they may not take the place of all of those.
    fn is_crowded(&self, ip: IpAddr) -> bool {
        let local = || self.known.iter().filter(|(_, c)| c.source == Source::Lan);
        local().count() >= limits::LAN_PEERS || local().filter(|(a, _)| a.ip() == ip).count() >= limits::LAN_PER_HOST
    }

    /// Whether somebody at this host has said on the local network that it is here.
    #[must_use]
    pub fn is_local(&self, ip: IpAddr) -> bool {
        self.known.iter().any(|(addr, c)| c.source == Source::Lan && addr.ip() == ip)
    }

    fn sooner(&mut self, at: Instant) {
        self.soonest = Some(self.soonest.map_or(at, |soonest| soonest.min(at)));
    }

    /// How many addresses are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether no address is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Whether an address is known that has not failed and may be dialed soon, or is being dialed.
    #[must_use]
    pub fn hopeful(&self, now: Instant) -> bool {
        self.known.values().any(|c| c.fails == 0 && (c.busy || c.next <= now + HOPE))
    }

    /// How an address was learnt.
    #[must_use]
    pub fn source(&self, addr: SocketAddr) -> Option<Source> {
        self.known.get(&canonical(addr)).map(|c| c.source)
    }

    /// How many known addresses failed the last time they were tried, and how. One that is being tried again counts
    /// until it answers.
    #[must_use]
    pub fn failures(&self) -> Failures {
        let mut sum = Failures::default();
        for failure in self.known.values().filter_map(|c| c.failure) {
            match failure {
                Failure::Silent => sum.silent += 1,
                Failure::Refused => sum.refused += 1,
                Failure::HungUp => sum.hung_up += 1,
            }
        }
        sum
    }

    /// What each source has brought; `connected` says how many peers of each are here.
    #[must_use]
    pub fn sources(&self, connected: &BTreeMap<Source, u32>) -> Vec<SourceRow> {
        let mut rows: BTreeMap<Source, SourceRow> = BTreeMap::new();
        for c in self.known.values() {
            let row = rows.entry(c.source).or_insert_with(|| SourceRow::new(c.source));
            row.known += 1;
            row.failed += u32::from(c.failure.is_some());
        }
        for (source, n) in connected {
            let row = rows.entry(*source).or_insert_with(|| SourceRow::new(*source));
            // Who called us is not kept as an address to call.
            (row.connected, row.known) = (*n, row.known.max(*n));
        }
        for (source, words) in &self.last_failure {
            rows.entry(*source).or_insert_with(|| SourceRow::new(*source)).last_failure = Some(words.clone());
        }
        rows.into_values().collect()
    }

    /// The next address to dial, marked as being dialled: those that the user gave and those on our own network first,
    /// then those that were good, then those that failed least; among equals sources and families by turns, and of each
    /// by turns too the one of the highest priority (BEP 40), one by chance, and the one that was named last. With it
    /// comes how it was spoken to the last time.
    pub fn next(&mut self, now: Instant) -> Option<(SocketAddr, Manner)> {
        if self.deadline().is_none_or(|at| now < at) {
            return None;
        }
        // Sources and families take turns: many addresses of one do not hold off the few of another.
        let turns =
            |addr: &SocketAddr, c: &Candidate| self.turns.get(&(c.source, addr.is_ipv6())).copied().unwrap_or_default();
        let rank = |addr: &SocketAddr, c: &Candidate| {
            let turns = turns(addr, c);
            // Neighbours have like priorities, and a dead neighbourhood may have the highest. And behind a thousand that
            // nobody has tried yet, who has just been heard of would wait for long.
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
        *turns = Turns { last: latest + 1, count: turns.count + 1 };
        Some((addr, c.manner))
    }

    /// Whether an address took, or wishes, to be spoken to encrypted.
    pub fn speaks(&mut self, addr: SocketAddr, encrypted: bool) {
        if let Some(c) = self.known.get_mut(&canonical(addr)) {
            c.manner.encrypted = Some(encrypted);
        }
    }

    /// An address that we called was reached by uTP, or by TCP.
    pub fn reached(&mut self, addr: SocketAddr, utp: bool) {
        if let Some(c) = self.known.get_mut(&canonical(addr)) {
            c.manner.utp = utp;
        }
    }

    /// When the next address may be dialled; never too late, at times too early.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.soonest.map(|at| self.us.may_dial_at().map_or(at, |may| may.max(at)))
    }

    /// An address is connected: it is not dialled, and what failed before is past.
    pub fn hold(&mut self, addr: SocketAddr) {
        if let Some(c) = self.known.get_mut(&canonical(addr)) {
            (c.busy, c.failure, c.rest) = (true, None, None);
        }
    }

    /// A connection ended that brought payload either way, or an attempt came to nothing for this reason.
    pub fn release(&mut self, now: Instant, addr: SocketAddr, outcome: Result<(), &Gone>) {
        self.jammed = false;
        let ours = outcome.err().is_some_and(|why| self.is_ours(now, why));
        if outcome.err().and_then(Failure::of).is_some_and(|failure| failure != Failure::HungUp) {
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
                // By TCP it may have become possible.
                c.manner.utp = false;
                if c.failure.is_some() {
                    self.last_failure.insert(c.source, why.to_string());
                }
            }
        }
        c.next = match outcome {
            Err(_) if ours => now,
            // Trying costs nothing where there is no way out.
            Err(Gone::Offline(_)) => now + backoff(c.fails, c.source).min(rest::HOLD_LAST),
            _ => now + backoff(c.fails, c.source),
        };
        let next = c.next;
        self.sooner(next);
    }

    /// A dial was answered, or not.
    pub const fn dialled(&mut self, answered: bool) {
        self.answers = self.answers << 1 | answered as u32;
    }

    /// How many dials are worth while for each place that is free, by how many were answered of late: whoever answers
    /// first gets the place, and where all answer nobody is to be called in vain.
    #[must_use]
    pub fn dials_a_place(&self) -> usize {
        (32 / (self.answers.count_ones() as usize + 1)).clamp(1, DIALS_A_PLACE)
    }

    /// Never to be dialled again under this address: it is ourselves.
    pub fn is_ourselves(&mut self, addr: SocketAddr) {
        self.forget(addr);
        self.ourselves.insert(canonical(addr));
    }

    /// An address is of no use any more.
    pub fn forget(&mut self, addr: SocketAddr) {
        self.jammed = false;
        self.known.remove(&canonical(addr));
    }

    /// The addresses of some sources are of no use any more.
    pub fn forget_from(&mut self, sources: impl Fn(Source) -> bool) {
        self.known.retain(|_, c| !sources(c.source));
    }

    /// The hosts that these sources have named.
    #[must_use]
    pub fn hosts_from(&self, sources: impl Fn(Source) -> bool) -> BTreeSet<IpAddr> {
        self.known.iter().filter(|(_, c)| sources(c.source)).map(|(addr, _)| addr.ip()).collect()
    }

    /// Leaves this host alone for as long as the torrent lives, whatever its port.
    pub fn ban(&mut self, ip: IpAddr, why: String) {
        let ip = ip.to_canonical();
        self.known.retain(|addr, _| addr.ip() != ip);
        self.banned.insert(ip, why);
    }

    /// Why this host is banned, if it is.
    #[must_use]
    pub fn banned(&self, ip: IpAddr) -> Option<&str> {
        self.banned.get(&ip.to_canonical()).map(String::as_str)
    }

    /// How many hosts are banned.
    #[must_use]
    pub fn bans(&self) -> usize {
        self.banned.len()
    }

    /// Every connection is gone: nothing is being dialled, and nothing has failed as far as the next start knows.
    pub fn rest(&mut self, now: Instant) {
        for c in self.known.values_mut() {
            (c.busy, c.fails, c.failure, c.next, c.rest) = (false, 0, None, now, None);
        }
        self.us = Ourselves::default();
        self.soonest = Some(now);
    }
}

/// `::ffff:1.2.3.4` is 1.2.3.4. An address that only holds on one link keeps the number of its link.
#[must_use]
pub fn canonical(addr: SocketAddr) -> SocketAddr {
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
    let ip = addr.ip();
    let broadcast = matches!(ip, IpAddr::V4(v4) if v4.is_broadcast());
    addr.port() != 0 && !ip.is_unspecified() && !ip.is_multicast() && !broadcast
}

/// A second, then three times as long each time, to half an hour; peers of the user's own and of his link are tried at
/// least each half minute.
fn backoff(fails: u32, source: Source) -> Duration {
    let most = if matches!(source, Source::Manual | Source::Link) { 30 } else { 1800 };
    Duration::from_secs(3_u64.saturating_pow(fails.saturating_sub(1).min(8)).min(most))
}

#[cfg(test)]
mod tests;
