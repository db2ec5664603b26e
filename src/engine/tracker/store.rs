//! The in-memory store of the embedded tracker: torrents and their peers. Time and randomness are passed in.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use thiserror::Error;

use super::shares::{Shares, host};
use crate::wire::message::{InfoHash, PeerId};
use crate::wire::tracker::server::ServerAnnounceResponse;
use crate::wire::tracker::{AnnounceEvent, ScrapeCounts, can_be_peer};

/// The maximum number of torrents.
const TORRENTS: usize = 100_000;
/// The maximum number of peers per torrent.
const PEERS_TORRENT: usize = 5_000;
/// The maximum number of peers in total: less than 100 MB with the maximum number of torrents.
const PEERS: usize = 300_000;
/// The maximum number of peers of one host per torrent. A host must not fill the responses with its ports.
const PEERS_TORRENT_HOST: usize = 500;
/// How many random entries are sampled for eviction: enough to find a network that holds 5 % of all.
const LOOKED_AT: usize = 64;
/// How long a peer is kept at least after its last announce. Some clients never announce more often than every five
/// minutes, whatever the interval (libtorrent): they must not be removed in between, even if one announce is lost.
const SILENT: Duration = Duration::from_secs(11 * 60);
/// Up to this number of peers a swarm is searched linearly, without an index.
const FEW: usize = 16;
/// The number of peers in a response if the client does not send `numwant`.
const WANTED: u32 = 50;
/// The maximum number of peers in a response.
pub(super) const WANTED_MAX: usize = 200;

/// An announce, from HTTP or UDP.
#[derive(Clone, Copy, Debug)]
pub(super) struct AnnounceCall {
    pub(super) info_hash: InfoHash,
    pub(super) peer_id: PeerId,
    /// The source IP address and the announced port.
    pub(super) addr: SocketAddr,
    pub(super) left: u64,
    pub(super) event: AnnounceEvent,
    pub(super) num_want: Option<u32>,
    /// Return only peers of the client's address family.
    pub(super) same_family: bool,
}

#[derive(Debug)]
struct TrackerPeer {
    addr: SocketAddr,
    id: PeerId,
    seed: bool,
    /// Time of the last announce, in seconds since the store was created.
    seen_s: u32,
}

/// The peers of one torrent.
#[derive(Debug)]
struct Swarm {
    members: Vec<TrackerPeer>,
    /// Index of `members` by address, once there are more than [`FEW`].
    #[expect(clippy::box_collection, reason = "most swarms have none: a pointer is a sixth of a table")]
    places: Option<Box<HashMap<SocketAddr, usize>>>,
    /// The number of seeds among `members`.
    seeds: u32,
    downloaded: u32,
    /// The address that announced the torrent first.
    owner: IpAddr,
    /// The index in the store's `list`.
    listed: usize,
}

impl Swarm {
    const fn new(owner: IpAddr, listed: usize) -> Self {
        Swarm { members: Vec::new(), places: None, seeds: 0, downloaded: 0, owner, listed }
    }

    fn find(&self, addr: &SocketAddr) -> Option<usize> {
        match &self.places {
            Some(places) => places.get(addr).copied(),
            None => self.members.iter().position(|member| member.addr == *addr),
        }
    }

    fn add(&mut self, member: TrackerPeer) {
        if let Some(places) = &mut self.places {
            places.insert(member.addr, self.members.len());
        }
        self.seeds += u32::from(member.seed);
        self.members.push(member);
        if self.places.is_none() && self.members.len() > FEW {
            let places = self.members.iter().enumerate().map(|(place, member)| (member.addr, place));
            self.places = Some(Box::new(places.collect()));
        }
    }

    fn remove(&mut self, place: usize) -> TrackerPeer {
        let gone = self.members.swap_remove(place);
        self.seeds -= u32::from(gone.seed);
        if let Some(places) = &mut self.places {
            places.remove(&gone.addr);
            if let Some(moved) = self.members.get(place) {
                places.insert(moved.addr, place);
            }
        }
        gone
    }

    const fn counts(&self) -> ScrapeCounts {
        let leechers = self.members.len() as u32 - self.seeds;
        ScrapeCounts { seeds: self.seeds, downloaded: self.downloaded, leechers }
    }
}

/// Why an announce is refused: the failure reason for the client.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub(super) enum StoreFull {
    #[error("this tracker has no room for more torrents")]
    Torrents,
    #[error("this tracker has no room for more peers")]
    Peers,
}

/// The store.
#[derive(Debug)]
pub(super) struct Store {
    swarms: HashMap<InfoHash, Swarm>,
    /// The keys of `swarms`, for random sampling.
    list: Vec<InfoHash>,
    peers: usize,
    peers_by: Shares,
    torrents_by: Shares,
    interval: Duration,
    began: Instant,
    swept: Instant,
    rng: fastrand::Rng,
}

impl Store {
    pub(super) fn new(interval: Duration, now: Instant, rng: fastrand::Rng) -> Self {
        Store {
            swarms: HashMap::new(),
            list: Vec::new(),
            peers: 0,
            peers_by: Shares::default(),
            torrents_by: Shares::default(),
            interval,
            began: now,
            swept: now,
            rng,
        }
    }

    /// Returns the `min interval` for clients.
    fn min_interval(&self) -> Duration {
        self.interval.min(Duration::from_secs(30))
    }

    /// Records an announce and builds the response.
    ///
    /// # Errors
    /// If the store is full.
    pub(super) fn announce(&mut self, now: Instant, call: &AnnounceCall) -> Result<ServerAnnounceResponse, StoreFull> {
        self.sweep(now);
        if call.event == AnnounceEvent::Stopped {
            self.leave(call);
        } else {
            self.join(now, call)?;
        }
        let mut answer = ServerAnnounceResponse {
            interval_s: self.interval.as_secs() as u32,
            min_interval_s: self.min_interval().as_secs() as u32,
            ..ServerAnnounceResponse::default()
        };
        if let Some(swarm) = self.swarms.get(&call.info_hash) {
            let counts = swarm.counts();
            (answer.seeds, answer.leechers) = (counts.seeds, counts.leechers);
            if call.event != AnnounceEvent::Stopped {
                answer.peers = choose(swarm, call, &mut self.rng);
            }
        }
        Ok(answer)
    }

    fn leave(&mut self, call: &AnnounceCall) {
        let place = self.swarms.get(&call.info_hash).and_then(|swarm| swarm.find(&call.addr));
        if let Some(place) = place {
            self.drop_member(call.info_hash, place);
        }
    }

    /// Removes a peer, and the torrent with its last peer, whatever its `downloaded` count.
    fn drop_member(&mut self, torrent: InfoHash, place: usize) {
        let Some(swarm) = self.swarms.get_mut(&torrent) else { return };
        let gone = swarm.remove(place);
        let empty = swarm.members.is_empty();
        self.peers -= 1;
        self.peers_by.remove(gone.addr.ip());
        if empty {
            self.drop_torrent(torrent);
        }
    }

    fn drop_torrent(&mut self, torrent: InfoHash) {
        let Some(swarm) = self.swarms.remove(&torrent) else { return };
        self.torrents_by.remove(swarm.owner);
        self.peers -= swarm.members.len();
        swarm.members.iter().for_each(|member| self.peers_by.remove(member.addr.ip()));
        self.list.swap_remove(swarm.listed);
        if let Some(moved) = self.list.get(swarm.listed).and_then(|moved| self.swarms.get_mut(moved)) {
            moved.listed = swarm.listed;
        }
    }

    fn join(&mut self, now: Instant, call: &AnnounceCall) -> Result<(), StoreFull> {
        let seed = call.left == 0;
        let seen_s = now.saturating_duration_since(self.began).as_secs() as u32;
        if let Some(swarm) = self.swarms.get_mut(&call.info_hash)
            && let Some(member) = swarm.find(&call.addr).and_then(|place| swarm.members.get_mut(place))
        {
            let completed = call.event == AnnounceEvent::Completed && !member.seed;
            swarm.seeds = swarm.seeds - u32::from(member.seed) + u32::from(seed);
            (member.id, member.seed, member.seen_s) = (call.peer_id, seed, seen_s);
            swarm.downloaded = swarm.downloaded.saturating_add(completed.into());
            return Ok(());
        }
        if !can_be_peer(&call.addr) {
            return Ok(());
        }
        let from = call.addr.ip();
        if let Some(swarm) = self.swarms.get(&call.info_hash) {
            let is = host(from);
            // A surplus peer gets peers like any other; it is just not listed.
            if swarm.members.len() >= PEERS_TORRENT
                || (self.peers_by.counts(from).1 >= PEERS_TORRENT_HOST as u32
                    && swarm.members.iter().filter(|m| host(m.addr.ip()) == is).count() >= PEERS_TORRENT_HOST)
            {
                return Ok(());
            }
        }
        if !self.swarms.contains_key(&call.info_hash) && self.swarms.len() >= TORRENTS && !self.evict_torrent(from) {
            return Err(StoreFull::Torrents);
        }
        if self.peers >= PEERS && !self.evict_peer(from) {
            return Err(StoreFull::Peers);
        }
        let swarm = self.swarms.entry(call.info_hash).or_insert_with(|| {
            self.torrents_by.add(from);
            self.list.push(call.info_hash);
            Swarm::new(from, self.list.len() - 1)
        });
        swarm.add(TrackerPeer { addr: call.addr, id: call.peer_id, seed, seen_s });
        swarm.downloaded = swarm.downloaded.saturating_add((call.event == AnnounceEvent::Completed).into());
        self.peers += 1;
        self.peers_by.add(from);
        Ok(())
    }

    /// Evicts a torrent of a network that has brought more torrents than the newcomer's. Returns whether it
    /// succeeded.
    fn evict_torrent(&mut self, newcomer: IpAddr) -> bool {
        let mut most: Option<(IpAddr, InfoHash)> = None;
        for _ in 0..LOOKED_AT {
            let Some(torrent) = self.rng.choice(&self.list).copied() else { return false };
            let Some(owner) = self.swarms.get(&torrent).map(|swarm| swarm.owner) else { continue };
            if self.torrents_by.has_more(owner, most.map_or(newcomer, |(ip, _)| ip)) {
                most = Some((owner, torrent));
            }
        }
        most.map(|(_, torrent)| self.drop_torrent(torrent)).is_some()
    }

    /// Evicts a peer of a network that has more peers than the newcomer's. Returns whether it succeeded.
    fn evict_peer(&mut self, newcomer: IpAddr) -> bool {
        let mut most: Option<(IpAddr, InfoHash, usize)> = None;
        for _ in 0..LOOKED_AT {
            let Some(torrent) = self.rng.choice(&self.list).copied() else { return false };
            let Some(swarm) = self.swarms.get(&torrent) else { continue };
            let place = self.rng.usize(..swarm.members.len());
            let ip = swarm.members[place].addr.ip();
            if self.peers_by.has_more(ip, most.map_or(newcomer, |(ip, ..)| ip)) {
                most = Some((ip, torrent, place));
            }
        }
        most.map(|(_, torrent, place)| self.drop_member(torrent, place)).is_some()
    }

    /// Removes the peers that were silent for two intervals and at least [`SILENT`]; runs at most once per half interval.
    fn sweep(&mut self, now: Instant) {
        if now < self.swept + self.interval / 2 {
            return;
        }
        self.swept = now;
        let now_s = now.saturating_duration_since(self.began).as_secs() as u32;
        let most = (2 * self.interval).max(SILENT).as_secs() as u32;
        for torrent in self.list.clone() {
            let count = self.swarms.get(&torrent).map_or(0, |swarm| swarm.members.len());
            for place in (0..count).rev() {
                let silent = |swarm: &Swarm| now_s.saturating_sub(swarm.members[place].seen_s) > most;
                if self.swarms.get(&torrent).is_some_and(silent) {
                    self.drop_member(torrent, place);
                }
            }
        }
    }

    /// Returns the scrape counts of a torrent, if it is known.
    pub(super) fn scrape(&self, info_hash: &InfoHash) -> Option<ScrapeCounts> {
        self.swarms.get(info_hash).map(Swarm::counts)
    }

    /// Returns the numbers of torrents, peers, and seeds among the peers.
    pub(super) fn totals(&self) -> (usize, usize, usize) {
        let seeds = self.swarms.values().map(|swarm| swarm.counts().seeds as usize).sum();
        (self.swarms.len(), self.peers, seeds)
    }
}

/// Selects random peers for a client. Leaves out the client itself, seeds for a seed unless the event is `started`,
/// and loopback addresses for other hosts.
fn choose(swarm: &Swarm, call: &AnnounceCall, rng: &mut fastrand::Rng) -> Vec<(SocketAddr, PeerId)> {
    let wanted = (call.num_want.unwrap_or(WANTED) as usize).min(WANTED_MAX);
    // A seed does not need seeds. But aria2 announces a magnet with `left=0` at first, so a client that has just
    // started gets seeds too.
    let seeds = call.left > 0 || call.event == AnnounceEvent::Started;
    let of_use = |m: &TrackerPeer| {
        m.addr != call.addr
            && (seeds || !m.seed)
            && !(call.same_family && m.addr.is_ipv4() != call.addr.is_ipv4())
            && (!m.addr.ip().is_loopback() || call.addr.ip().is_loopback())
    };
    // Steps from a random start by a random stride coprime to `n`, which visits every peer without a shuffle.
    let n = swarm.members.len();
    let mut out = Vec::with_capacity(wanted.min(n));
    if n == 0 || wanted == 0 {
        return out;
    }
    let step = loop {
        let step = rng.usize(1..=n);
        if gcd(step, n) == 1 {
            break step;
        }
    };
    let mut place = rng.usize(..n);
    for _ in 0..n {
        let member = &swarm.members[place];
        if of_use(member) {
            out.push((member.addr, member.id));
            if out.len() == wanted {
                break;
            }
        }
        place = (place + step) % n;
    }
    out
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests;
