//! Who takes part in which torrent: the memory of the embedded tracker. Time and chance are arguments.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use super::shares::{Shares, host};
use crate::wire::message::{InfoHash, PeerId};
use crate::wire::tracker::server::Answer;
use crate::wire::tracker::{AnnounceEvent, ScrapeCounts, can_be_peer};

/// The most torrents remembered.
const TORRENTS: usize = 100_000;
/// The most peers remembered of one torrent.
const PEERS_TORRENT: usize = 5_000;
/// The most peers remembered in all: with as many torrents as there may be, less than 100 MB.
const PEERS: usize = 300_000;
/// The most peers of one torrent remembered of one host: it must not fill the answers with its ports.
const PEERS_TORRENT_HOST: usize = 500;
/// Torrents or peers that are looked at to find one that makes room: enough to hit a network that has a twentieth of all.
const LOOKED_AT: usize = 64;
/// Up to so many members are found by looking at each.
const FEW: usize = 16;
/// Addresses in an answer where the client does not say how many it wants.
const WANTED: u32 = 50;
/// The most addresses in an answer.
pub(super) const WANTED_MAX: usize = 200;

/// One announce, however it came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    pub(super) info_hash: InfoHash,
    pub(super) peer_id: PeerId,
    /// The sender's host with the port it says it listens on.
    pub(super) addr: SocketAddr,
    pub(super) left: u64,
    pub(super) event: AnnounceEvent,
    pub(super) num_want: Option<u32>,
    /// Whether only addresses of the caller's family are of use to it.
    pub(super) same_family: bool,
}

#[derive(Debug)]
struct Member {
    addr: SocketAddr,
    id: PeerId,
    seed: bool,
    /// Seconds after the store's beginning.
    seen_s: u32,
}

/// The peers of one torrent.
#[derive(Debug)]
struct Swarm {
    members: Vec<Member>,
    /// Where in `members` an address stands, once they are many.
    #[expect(clippy::box_collection, reason = "most swarms have none: a pointer is a sixth of a table")]
    places: Option<Box<HashMap<SocketAddr, usize>>>,
    /// Members that are seeds.
    seeds: u32,
    downloaded: u32,
    /// Who brought it.
    owner: IpAddr,
    /// Where it stands in the store's list.
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

    fn add(&mut self, member: Member) {
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

    fn remove(&mut self, place: usize) -> Member {
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

/// All torrents.
#[derive(Debug)]
pub(super) struct Store {
    swarms: HashMap<InfoHash, Swarm>,
    /// All of them, to pick one by chance.
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

    /// The shortest time between two announces that clients are told.
    fn min_interval(&self) -> Duration {
        self.interval.min(Duration::from_secs(30))
    }

    /// Takes an announce in and answers it.
    ///
    /// # Errors
    /// With the sentence for the client, when there is no more room for torrents.
    pub(super) fn announce(&mut self, now: Instant, call: &Call) -> Result<Answer, &'static str> {
        self.sweep(now);
        if call.event == AnnounceEvent::Stopped {
            self.leave(call);
        } else {
            self.join(now, call)?;
        }
        let mut answer = Answer {
            interval_s: self.interval.as_secs() as u32,
            min_interval_s: self.min_interval().as_secs() as u32,
            ..Answer::default()
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

    fn leave(&mut self, call: &Call) {
        let place = self.swarms.get(&call.info_hash).and_then(|swarm| swarm.find(&call.addr));
        if let Some(place) = place {
            self.drop_member(call.info_hash, place);
        }
    }

    /// Forgets a peer. However often it was downloaded, a torrent that nobody has takes the room of one that somebody
    /// brings: it is forgotten with its last peer.
    fn drop_member(&mut self, torrent: InfoHash, place: usize) {
        let Some(swarm) = self.swarms.get_mut(&torrent) else { return };
        let gone = swarm.remove(place);
        let empty = swarm.members.is_empty();
        self.peers -= 1;
        self.peers_by.less(gone.addr.ip());
        if empty {
            self.drop_torrent(torrent);
        }
    }

    fn drop_torrent(&mut self, torrent: InfoHash) {
        let Some(swarm) = self.swarms.remove(&torrent) else { return };
        self.torrents_by.less(swarm.owner);
        self.peers -= swarm.members.len();
        swarm.members.iter().for_each(|member| self.peers_by.less(member.addr.ip()));
        self.list.swap_remove(swarm.listed);
        if let Some(moved) = self.list.get(swarm.listed).and_then(|moved| self.swarms.get_mut(moved)) {
            moved.listed = swarm.listed;
        }
    }

    fn join(&mut self, now: Instant, call: &Call) -> Result<(), &'static str> {
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
            // A member too many gets addresses like any other, it is only not handed out itself.
            if swarm.members.len() >= PEERS_TORRENT
                || (self.peers_by.of(from).1 >= PEERS_TORRENT_HOST as u32
                    && swarm.members.iter().filter(|m| host(m.addr.ip()) == is).count() >= PEERS_TORRENT_HOST)
            {
                return Ok(());
            }
        }
        if !self.swarms.contains_key(&call.info_hash) && self.swarms.len() >= TORRENTS && !self.free_torrent(from) {
            return Err("this tracker has no room for more torrents");
        }
        if self.peers >= PEERS && !self.free_peer(from) {
            return Err("this tracker has no room for more peers");
        }
        let swarm = self.swarms.entry(call.info_hash).or_insert_with(|| {
            self.torrents_by.more(from);
            self.list.push(call.info_hash);
            Swarm::new(from, self.list.len() - 1)
        });
        swarm.add(Member { addr: call.addr, id: call.peer_id, seed, seen_s });
        swarm.downloaded = swarm.downloaded.saturating_add((call.event == AnnounceEvent::Completed).into());
        self.peers += 1;
        self.peers_by.more(from);
        Ok(())
    }

    /// Forgets a torrent of one who has brought more than this one, if there is one.
    fn free_torrent(&mut self, newcomer: IpAddr) -> bool {
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

    /// Forgets a peer of a network that has more than this one's, if there is one.
    fn free_peer(&mut self, newcomer: IpAddr) -> bool {
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

    /// Forgets the peers that have been silent for two intervals; looks at most once in half an interval.
    fn sweep(&mut self, now: Instant) {
        if now < self.swept + self.interval / 2 {
            return;
        }
        self.swept = now;
        let now_s = now.saturating_duration_since(self.began).as_secs() as u32;
        let most = 2 * self.interval.as_secs() as u32;
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

    /// The counts of a torrent, if it is known.
    pub(super) fn scrape(&self, info_hash: &InfoHash) -> Option<ScrapeCounts> {
        self.swarms.get(info_hash).map(Swarm::counts)
    }

    /// Torrents, peers, and seeds among them.
    pub(super) fn totals(&self) -> (usize, usize, usize) {
        let seeds = self.swarms.values().map(|swarm| swarm.counts().seeds as usize).sum();
        (self.swarms.len(), self.peers, seeds)
    }
}

/// Picks addresses for a caller by chance: never its own, no seeds for a seed that has not just begun, no loopback address for another host.
fn choose(swarm: &Swarm, call: &Call, rng: &mut fastrand::Rng) -> Vec<(SocketAddr, PeerId)> {
    let wanted = (call.num_want.unwrap_or(WANTED) as usize).min(WANTED_MAX);
    // A seed has no use for a seed. But aria2 begins a magnet by saying that nothing of it is left, so whoever has just
    // begun is told of seeds too.
    let seeds = call.left > 0 || call.event == AnnounceEvent::Started;
    let of_use = |m: &Member| {
        m.addr != call.addr
            && (seeds || !m.seed)
            && !(call.same_family && m.addr.is_ipv4() != call.addr.is_ipv4())
            && (!m.addr.ip().is_loopback() || call.addr.ip().is_loopback())
    };
    // A walk from a random place with a random step that meets every place: chance without shuffling thousands.
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
