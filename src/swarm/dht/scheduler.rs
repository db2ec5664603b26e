//! Lookup scheduling of the DHT node: bootstrap, peer lookups of torrents, routing table refresh.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::jobs::{Job, LookupSummary, NoNodes, QueuedLookup};
use super::lookup::Lookup;
use super::routing_table::K;
use super::{AddressFamily, Dht, DhtEffect, ENOUGH, QueryPurpose, id};
use crate::limits;
use crate::wire::krpc::{NodeId, Query};
use crate::wire::message::InfoHash;

/// How long a queued lookup waits for the bootstrap.
const PATIENCE: Duration = Duration::from_secs(30);

impl Dht {
    /// Queues a `get_peers` lookup for a torrent, followed by `announce_peer` if a port is given.
    ///
    /// Answered by any number of [`DhtEffect::Peers`] and one [`DhtEffect::LookupDone`]. Ignored if the torrent already has
    /// a lookup queued or running.
    pub fn seek(&mut self, now: Instant, info_hash: InfoHash, announce: Option<u16>, out: &mut Vec<DhtEffect>) {
        if self.jobs.contains_key(&info_hash) || self.waiting.iter().any(|seek| seek.info_hash == info_hash) {
            return;
        }
        if self.waiting.len() >= limits::DHT_LOOKUPS_WAITING {
            return out.push(DhtEffect::LookupDone(info_hash, Err(NoNodes)));
        }
        self.waiting.push_back(QueuedLookup { info_hash, announce, since: now });
        self.advance_lookups(now, out);
    }

    /// Cancels the peer lookup of a torrent.
    pub fn forget(&mut self, info_hash: InfoHash) {
        self.waiting.retain(|seek| seek.info_hash != info_hash);
        self.jobs.remove(&info_hash);
        self.searches.retain(|_, search| !search.peers || search.target != info_hash.into());
    }

    // --- bootstrap -----------------------------------------------------------------------------------

    /// Starts a bootstrap attempt: first from the saved nodes, later from the resolved bootstrap nodes.
    pub(super) fn start_bootstrap(&mut self, now: Instant, out: &mut Vec<DhtEffect>) {
        self.begin.at = None;
        if self.begin.tries == 0 && !self.entries.is_empty() {
            let known = std::mem::take(&mut self.entries);
            return self.search_ourselves(now, &known, out);
        }
        self.begin.resolving = true;
        out.push(DhtEffect::Resolve);
    }

    /// Continues the bootstrap from the resolved addresses; the answer to [`DhtEffect::Resolve`].
    pub fn on_resolved(&mut self, now: Instant, entries: Vec<SocketAddr>, out: &mut Vec<DhtEffect>) {
        self.begin.resolving = false;
        self.entries = entries;
        self.search_ourselves(now, &self.entries.clone(), out);
    }

    /// Starts a `find_node` lookup of our own node id from these addresses.
    fn search_ourselves(&mut self, now: Instant, entries: &[SocketAddr], out: &mut Vec<DhtEffect>) {
        for six in [false, true] {
            let Some(family) = &self.families[usize::from(six)] else { continue };
            let nodes = family.table.closest(family.own, K);
            let entries: Vec<SocketAddr> = entries.iter().filter(|addr| addr.is_ipv6() == six).copied().collect();
            if !nodes.is_empty() || !entries.is_empty() {
                let search = Lookup::new(family.own, false, nodes, entries);
                self.asked += 1;
                self.searches.insert(self.asked, search);
                self.begin.searches.insert(self.asked);
            }
        }
        if self.begin.searches.is_empty() {
            self.began(now, out);
        }
        self.advance_lookups(now, out);
    }

    /// Ends a bootstrap attempt and schedules the next one if there are too few nodes.
    fn began(&mut self, now: Instant, out: &mut Vec<DhtEffect>) {
        self.begin.tries += 1;
        if self.nodes() >= ENOUGH {
            self.begin.tries = 0;
            return;
        }
        if self.begin.tries == 1 && self.entries.is_empty() {
            // The saved nodes were not enough: continue with the bootstrap nodes.
            return self.start_bootstrap(now, out);
        }
        let wait = limits::DHT_RETRY * 2_u32.saturating_pow(self.begin.tries.saturating_sub(2).min(8));
        self.begin.at = Some(now + wait.min(limits::DHT_RETRY_MOST));
        if self.nodes() > 0 {
            // The network may be small or just starting: queued lookups use the few nodes there are.
            return;
        }
        for seek in std::mem::take(&mut self.waiting) {
            out.push(DhtEffect::LookupDone(seek.info_hash, Err(NoNodes)));
        }
    }

    /// Refreshes the routing tables with lookups of our own node id and of a random one.
    pub(super) fn refresh(&mut self) {
        let Dht { families, searches, rng, asked, .. } = self;
        for family in families.iter().flatten() {
            for target in [family.own, id::make(None, rng)] {
                let nodes = family.table.closest(target, K);
                if !nodes.is_empty() {
                    *asked += 1;
                    searches.insert(*asked, Lookup::new(target, false, nodes, Vec::new()));
                }
            }
        }
    }

    // --- running lookups -----------------------------------------------------------------------------

    /// Starts queued lookups, sends the next queries and completes finished lookups.
    pub(super) fn advance_lookups(&mut self, now: Instant, out: &mut Vec<DhtEffect>) {
        loop {
            self.begin_seeks(now, out);
            self.ask_on(now, out);
            let over: Vec<u64> = self.searches.iter().filter(|(_, it)| it.is_over()).map(|(n, _)| *n).collect();
            if over.is_empty() {
                return;
            }
            for number in over {
                if let Some(search) = self.searches.remove(&number) {
                    self.ended(now, number, &search, out);
                }
            }
        }
    }

    fn begin_seeks(&mut self, now: Instant, out: &mut Vec<DhtEffect>) {
        let hopeless = !self.is_bootstrapping() && self.nodes() == 0;
        if hopeless || self.nodes() == 0 {
            let late = |seek: &QueuedLookup| hopeless || now.saturating_duration_since(seek.since) >= PATIENCE;
            let began = self.begin.tries > 0;
            self.waiting.retain(|seek| {
                let gives_up = began && late(seek);
                if gives_up {
                    out.push(DhtEffect::LookupDone(seek.info_hash, Err(NoNodes)));
                }
                !gives_up
            });
            return;
        }
        while self.jobs.len() < limits::DHT_LOOKUPS {
            let Some(seek) = self.waiting.pop_front() else { return };
            let target = NodeId::from(seek.info_hash);
            let mut job =
                Job { announce: seek.announce, found: BTreeSet::new(), searches: 0, sum: LookupSummary::default() };
            let Dht { families, searches, asked, .. } = self;
            for AddressFamily { table, .. } in families.iter().flatten() {
                let nodes = table.closest(target, 2 * K);
                if !nodes.is_empty() {
                    *asked += 1;
                    searches.insert(*asked, Lookup::new(target, true, nodes, Vec::new()));
                    job.searches += 1;
                }
            }
            self.jobs.insert(seek.info_hash, job);
        }
    }

    fn ask_on(&mut self, now: Instant, out: &mut Vec<DhtEffect>) {
        for number in self.searches.keys().copied().collect::<Vec<_>>() {
            while self.questions.len() < limits::DHT_QUESTIONS {
                let Some(to) = self.searches.get_mut(&number).and_then(Lookup::next_to_ask) else { break };
                self.ask(now, to, QueryPurpose::Search(number), out);
            }
        }
    }

    /// Reports new peers found by a lookup, without duplicates and our own address.
    pub(super) fn found(&mut self, number: u64, values: Vec<SocketAddr>, out: &mut Vec<DhtEffect>) {
        let Some(search) = self.searches.get(&number).filter(|search| search.peers) else { return };
        let hash = InfoHash(search.target.0);
        let ours: Vec<_> = self.external.all();
        let Some(job) = self.jobs.get_mut(&hash) else { return };
        let is_us = |addr: &SocketAddr| job.announce == Some(addr.port()) && ours.contains(&addr.ip());
        let mut fresh = Vec::new();
        for addr in values {
            // Another client on this host has our IP address but another port.
            if job.found.len() < limits::DHT_VALUES && !is_us(&addr) && job.found.insert(addr) {
                fresh.push(addr);
            }
        }
        if !fresh.is_empty() {
            out.push(DhtEffect::Peers(hash, fresh));
        }
    }

    fn ended(&mut self, now: Instant, number: u64, search: &Lookup, out: &mut Vec<DhtEffect>) {
        if !search.peers {
            if self.begin.searches.remove(&number) && self.begin.searches.is_empty() {
                self.began(now, out);
            }
            return;
        }
        let hash = InfoHash(search.target.0);
        let Some(announce) = self.jobs.get(&hash).map(|job| job.announce) else { return };
        let mut told = 0;
        if let Some(port) = announce {
            for (to, token) in search.announce_targets().map(|(to, token)| (to, token.to_vec())).collect::<Vec<_>>() {
                // No `implied_port`: the source port that the node sees may be a NAT mapping that others cannot reach.
                let query = Query::AnnouncePeer { info_hash: hash, port: Some(port), token };
                self.put(now, to, QueryPurpose::Announce, query, out);
                told += 1;
            }
        }
        let Some(job) = self.jobs.get_mut(&hash) else { return };
        job.sum.nodes += search.answered;
        job.sum.announced += told;
        job.searches = job.searches.saturating_sub(1);
        if job.searches == 0 {
            let sum = LookupSummary { peers: job.found.len() as u32, ..job.sum };
            self.jobs.remove(&hash);
            let result = if sum.nodes == 0 { Err(NoNodes) } else { Ok(sum) };
            out.push(DhtEffect::LookupDone(hash, result));
        }
    }
}
