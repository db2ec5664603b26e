//! What we look for: first nodes, peers of our torrents, nodes that keep the table fresh.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::lookup::Lookup;
use super::table::K;
use super::{Dht, DhtEffect, ENOUGH, Family, NoNodes, Purpose, Sought, id};
use crate::limits;
use crate::wire::krpc::{NodeId, Query};
use crate::wire::message::InfoHash;

/// How long a search waits for first nodes.
const PATIENCE: Duration = Duration::from_secs(30);

/// A search that has not begun.
#[derive(Debug)]
pub(super) struct Seek {
    info_hash: InfoHash,
    announce: Option<u16>,
    since: Instant,
}

/// A search for peers of a torrent, in all families.
#[derive(Debug)]
pub(super) struct Job {
    /// Our port, to be told to the nearest nodes.
    announce: Option<u16>,
    found: BTreeSet<SocketAddr>,
    searches: u32,
    sum: Sought,
}

impl Dht {
    /// Looks for peers of a torrent, and tells the nearest nodes that we are one, at this port. Answered by any number of
    /// [`DhtEffect::Peers`] and one [`DhtEffect::Sought`].
    pub fn seek(&mut self, now: Instant, info_hash: InfoHash, announce: Option<u16>, out: &mut Vec<DhtEffect>) {
        if self.jobs.contains_key(&info_hash) || self.waiting.iter().any(|seek| seek.info_hash == info_hash) {
            return;
        }
        if self.waiting.len() >= limits::DHT_LOOKUPS_WAITING {
            return out.push(DhtEffect::Sought(info_hash, Err(NoNodes)));
        }
        self.waiting.push_back(Seek { info_hash, announce, since: now });
        self.go_on(now, out);
    }

    /// Does not look for peers of this torrent any more.
    pub fn forget(&mut self, info_hash: InfoHash) {
        self.waiting.retain(|seek| seek.info_hash != info_hash);
        self.jobs.remove(&info_hash);
        self.searches.retain(|_, search| !search.peers || search.target != info_hash.into());
    }

    // --- first nodes ---------------------------------------------------------------------------------

    /// A try to come by first nodes: with those of the last session, then with those that everybody begins with.
    pub(super) fn try_to_begin(&mut self, now: Instant, out: &mut Vec<DhtEffect>) {
        self.begin.at = None;
        if self.begin.tries == 0 && !self.entries.is_empty() {
            let known = std::mem::take(&mut self.entries);
            return self.search_ourselves(now, &known, out);
        }
        self.begin.resolving = true;
        out.push(DhtEffect::Resolve);
    }

    /// Where to begin, as far as that could be found out.
    pub fn begin_at(&mut self, now: Instant, entries: Vec<SocketAddr>, out: &mut Vec<DhtEffect>) {
        self.begin.resolving = false;
        self.entries = entries;
        self.search_ourselves(now, &self.entries.clone(), out);
    }

    /// Looks for those next to ourselves, beginning at these addresses.
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
        self.go_on(now, out);
    }

    /// A try is over: there are nodes now, or it is made again later.
    fn began(&mut self, now: Instant, out: &mut Vec<DhtEffect>) {
        self.begin.tries += 1;
        if self.nodes() >= ENOUGH {
            self.begin.tries = 0;
            return;
        }
        if self.begin.tries == 1 && self.entries.is_empty() {
            // Those of the last session were not enough.
            return self.try_to_begin(now, out);
        }
        let wait = limits::DHT_RETRY * 2_u32.saturating_pow(self.begin.tries.saturating_sub(2).min(8));
        self.begin.at = Some(now + wait.min(limits::DHT_RETRY_MOST));
        if self.nodes() > 0 {
            // A small network, perhaps, or one that is just coming up: it is asked all the same.
            return;
        }
        for seek in std::mem::take(&mut self.waiting) {
            out.push(DhtEffect::Sought(seek.info_hash, Err(NoNodes)));
        }
    }

    /// Keeps the table fresh: who is next to us, and who is somewhere.
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

    // --- going on ------------------------------------------------------------------------------------

    /// Begins what waits, asks what can be asked, ends what is over.
    pub(super) fn go_on(&mut self, now: Instant, out: &mut Vec<DhtEffect>) {
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
        let hopeless = !self.begins() && self.nodes() == 0;
        if hopeless || self.nodes() == 0 {
            let late = |seek: &Seek| hopeless || now.saturating_duration_since(seek.since) >= PATIENCE;
            let began = self.begin.tries > 0;
            self.waiting.retain(|seek| {
                let gives_up = began && late(seek);
                if gives_up {
                    out.push(DhtEffect::Sought(seek.info_hash, Err(NoNodes)));
                }
                !gives_up
            });
            return;
        }
        while self.jobs.len() < limits::DHT_LOOKUPS {
            let Some(seek) = self.waiting.pop_front() else { return };
            let target = NodeId::from(seek.info_hash);
            let mut job = Job { announce: seek.announce, found: BTreeSet::new(), searches: 0, sum: Sought::default() };
            let Dht { families, searches, asked, .. } = self;
            for Family { table, .. } in families.iter().flatten() {
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
                self.ask(now, to, Purpose::Search(number), out);
            }
        }
    }

    /// A search has found peers.
    pub(super) fn found(&mut self, number: u64, values: Vec<SocketAddr>, out: &mut Vec<DhtEffect>) {
        let Some(search) = self.searches.get(&number).filter(|search| search.peers) else { return };
        let hash = InfoHash(search.target.0);
        let ours: Vec<_> = self.external.all();
        let Some(job) = self.jobs.get_mut(&hash) else { return };
        let is_us = |addr: &SocketAddr| job.announce == Some(addr.port()) && ours.contains(&addr.ip());
        let mut fresh = Vec::new();
        for addr in values {
            // On our own machine others may have our address and another port.
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
            for (to, token) in search.to_tell().map(|(to, token)| (to, token.to_vec())).collect::<Vec<_>>() {
                // Our port means nothing to somebody who sees us from another network than those who would call.
                let query = Query::AnnouncePeer { info_hash: hash, port: Some(port), token };
                self.put(now, to, Purpose::Announce, query, out);
                told += 1;
            }
        }
        let Some(job) = self.jobs.get_mut(&hash) else { return };
        job.sum.nodes += search.answered;
        job.sum.told += told;
        job.searches = job.searches.saturating_sub(1);
        if job.searches == 0 {
            let sum = Sought { peers: job.found.len() as u32, ..job.sum };
            self.jobs.remove(&hash);
            let result = if sum.nodes == 0 { Err(NoNodes) } else { Ok(sum) };
            out.push(DhtEffect::Sought(hash, result));
        }
    }
}
