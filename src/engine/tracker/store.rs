//! Who takes part in which torrent: the memory of the embedded tracker. Time and chance are arguments.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use crate::wire::message::{InfoHash, PeerId};
use crate::wire::tracker::server::Answer;
use crate::wire::tracker::{AnnounceEvent, ScrapeCounts, can_be_peer};

/// The most torrents remembered.
const TORRENTS: usize = 10_000;
/// The most peers remembered of one torrent.
const PEERS_TORRENT: usize = 5_000;
/// The most peers remembered in all: about 20 MiB.
const PEERS: usize = 100_000;
/// The most peers remembered of one address.
const PEERS_ADDRESS: u32 = 2_000;
/// The most peers remembered of one network of version 6 (/64), of which a single host has all addresses: half of all, so
/// that it never takes the room of everybody else, and a whole LAN still fits.
const PEERS_NET: u32 = PEERS as u32 / 2;
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
    seen: Instant,
}

/// The peers of one torrent.
#[derive(Debug, Default)]
struct Swarm {
    members: Vec<Member>,
    /// Where in `members` an address stands.
    places: HashMap<SocketAddr, usize>,
    /// Members that are seeds.
    seeds: u32,
    downloaded: u32,
}

impl Swarm {
    fn add(&mut self, member: Member) {
        self.places.insert(member.addr, self.members.len());
        self.seeds += u32::from(member.seed);
        self.members.push(member);
    }

    fn remove(&mut self, place: usize) -> Member {
        let gone = self.members.swap_remove(place);
        self.places.remove(&gone.addr);
        self.seeds -= u32::from(gone.seed);
        if let Some(moved) = self.members.get(place) {
            self.places.insert(moved.addr, place);
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
    /// Peers in all, and by host.
    peers: usize,
    by_host: HashMap<IpAddr, u32>,
    by_net: HashMap<u64, u32>,
    interval: Duration,
    swept: Instant,
    rng: fastrand::Rng,
}

impl Store {
    pub(super) fn new(interval: Duration, now: Instant, rng: fastrand::Rng) -> Self {
        Store {
            swarms: HashMap::new(),
            peers: 0,
            by_host: HashMap::new(),
            by_net: HashMap::new(),
            interval,
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
        let Some(swarm) = self.swarms.get_mut(&call.info_hash) else { return };
        let Some(place) = swarm.places.get(&call.addr).copied() else { return };
        let gone = swarm.remove(place);
        // However often it was downloaded: a torrent that nobody has takes the room of one that somebody brings.
        if swarm.members.is_empty() {
            self.swarms.remove(&call.info_hash);
        }
        self.forget(gone.addr.ip());
    }

    fn join(&mut self, now: Instant, call: &Call) -> Result<(), &'static str> {
        let seed = call.left == 0;
        if let Some(swarm) = self.swarms.get_mut(&call.info_hash)
            && let Some(member) = swarm.places.get(&call.addr).and_then(|&place| swarm.members.get_mut(place))
        {
            let completed = call.event == AnnounceEvent::Completed && !member.seed;
            swarm.seeds = swarm.seeds - u32::from(member.seed) + u32::from(seed);
            (member.id, member.seed, member.seen) = (call.peer_id, seed, now);
            swarm.downloaded = swarm.downloaded.saturating_add(completed.into());
            return Ok(());
        }
        if !can_be_peer(&call.addr) {
            return Ok(());
        }
        if !self.swarms.contains_key(&call.info_hash) && self.swarms.len() >= TORRENTS {
            return Err("this tracker has no room for more torrents");
        }
        let host = self.by_host.get(&call.addr.ip()).copied().unwrap_or(0);
        let crowded = net(call.addr.ip()).and_then(|net| self.by_net.get(&net)).is_some_and(|n| *n >= PEERS_NET);
        if self.peers >= PEERS || host >= PEERS_ADDRESS || crowded {
            return Err("this tracker has no room for more peers");
        }
        let swarm = self.swarms.entry(call.info_hash).or_default();
        // A member too many gets addresses like any other, it is only not handed out itself.
        if swarm.members.len() < PEERS_TORRENT {
            swarm.add(Member { addr: call.addr, id: call.peer_id, seed, seen: now });
            swarm.downloaded = swarm.downloaded.saturating_add((call.event == AnnounceEvent::Completed).into());
            self.peers += 1;
            self.by_host.insert(call.addr.ip(), host + 1);
            if let Some(net) = net(call.addr.ip()) {
                *self.by_net.entry(net).or_default() += 1;
            }
        }
        Ok(())
    }

    fn forget(&mut self, host: IpAddr) {
        self.peers -= 1;
        one_less(&mut self.by_host, &host);
        if let Some(net) = net(host) {
            one_less(&mut self.by_net, &net);
        }
    }

    /// Forgets the peers that have been silent for two intervals; looks at most once in half an interval.
    fn sweep(&mut self, now: Instant) {
        if now < self.swept + self.interval / 2 {
            return;
        }
        self.swept = now;
        let silent = |m: &Member| now.saturating_duration_since(m.seen) > 2 * self.interval;
        let mut gone = Vec::new();
        self.swarms.retain(|_, swarm| {
            for place in (0..swarm.members.len()).rev() {
                if silent(&swarm.members[place]) {
                    gone.push(swarm.remove(place).addr.ip());
                }
            }
            !swarm.members.is_empty()
        });
        gone.into_iter().for_each(|host| self.forget(host));
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

/// The network of an address of version 6.
fn net(ip: IpAddr) -> Option<u64> {
    match ip {
        IpAddr::V4(_) => None,
        IpAddr::V6(v6) => Some((v6.to_bits() >> 64) as u64),
    }
}

fn one_less<K: Eq + Hash>(counts: &mut HashMap<K, u32>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
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
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(100);

    fn store(now: Instant) -> Store {
        Store::new(INTERVAL, now, fastrand::Rng::with_seed(7))
    }

    fn call(addr: &str, left: u64) -> Call {
        Call {
            info_hash: InfoHash([1; 20]),
            peer_id: PeerId([2; 20]),
            addr: addr.parse().unwrap(),
            left,
            event: AnnounceEvent::None,
            num_want: None,
            same_family: false,
        }
    }

    fn addrs(answer: &Answer) -> Vec<String> {
        let mut all: Vec<String> = answer.peers.iter().map(|(addr, _)| addr.to_string()).collect();
        all.sort();
        all
    }

    #[test]
    fn peers_learn_of_each_other_and_not_of_themselves() {
        let now = Instant::now();
        let mut store = store(now);
        assert_eq!(addrs(&store.announce(now, &call("10.0.0.1:1", 5)).unwrap()), [""; 0]);
        assert_eq!(addrs(&store.announce(now, &call("10.0.0.2:2", 0)).unwrap()), ["10.0.0.1:1"]);
        let third = store.announce(now, &call("[fd00::1]:3", 0)).unwrap();
        // A seed has no use for a seed.
        assert_eq!(addrs(&third), ["10.0.0.1:1"]);
        assert_eq!((third.seeds, third.leechers), (2, 1));
        // One that has just begun may be a magnet of aria2.
        let begun = Call { event: AnnounceEvent::Started, ..call("[fd00::1]:3", 0) };
        assert_eq!(addrs(&store.announce(now, &begun).unwrap()), ["10.0.0.1:1", "10.0.0.2:2"]);
        let again = store.announce(now, &call("10.0.0.1:1", 5)).unwrap();
        assert_eq!(addrs(&again), ["10.0.0.2:2", "[fd00::1]:3"]);
        let only_v4 = Call { same_family: true, ..call("10.0.0.1:1", 5) };
        assert_eq!(addrs(&store.announce(now, &only_v4).unwrap()), ["10.0.0.2:2"]);
    }

    #[test]
    fn loopback_addresses_stay_on_their_machine() {
        let now = Instant::now();
        let mut store = store(now);
        store.announce(now, &call("127.0.0.1:1", 5)).unwrap();
        assert_eq!(addrs(&store.announce(now, &call("10.0.0.2:2", 5)).unwrap()), [""; 0]);
        assert_eq!(addrs(&store.announce(now, &call("127.0.0.1:3", 5)).unwrap()), ["10.0.0.2:2", "127.0.0.1:1"]);
    }

    #[test]
    fn who_leaves_or_falls_silent_is_forgotten() {
        let now = Instant::now();
        let mut store = store(now);
        for n in 1..=4 {
            store.announce(now, &call(&format!("10.0.0.{n}:1"), 5)).unwrap();
        }
        store.announce(now, &Call { event: AnnounceEvent::Stopped, ..call("10.0.0.2:1", 5) }).unwrap();
        assert_eq!(store.totals(), (1, 3, 0));
        let later = now + INTERVAL + INTERVAL / 2;
        store.announce(later, &call("10.0.0.3:1", 5)).unwrap();
        let answer = store.announce(now + 2 * INTERVAL + Duration::from_secs(1), &call("10.0.0.9:1", 5)).unwrap();
        assert_eq!(addrs(&answer), ["10.0.0.3:1"]);
        assert_eq!((store.peers, store.by_host.len()), (2, 2));
    }

    #[test]
    fn completion_counts_once() {
        let now = Instant::now();
        let mut store = store(now);
        store.announce(now, &call("10.0.0.1:1", 5)).unwrap();
        let done = Call { event: AnnounceEvent::Completed, ..call("10.0.0.1:1", 0) };
        store.announce(now, &done).unwrap();
        store.announce(now, &done).unwrap();
        let counts = ScrapeCounts { seeds: 1, downloaded: 1, leechers: 0 };
        assert_eq!(store.scrape(&done.info_hash), Some(counts));
        assert_eq!(store.scrape(&InfoHash([9; 20])), None);
    }

    /// Who comes whole and goes again, over and over, leaves no torrents behind that take the room of others.
    #[test]
    fn a_torrent_that_nobody_has_is_forgotten_however_often_it_was_downloaded() {
        let now = Instant::now();
        let mut store = store(now);
        for n in 0..3 * TORRENTS as u32 {
            let mut done = Call { event: AnnounceEvent::Completed, ..call("10.0.0.1:1", 0) };
            done.info_hash.0[..4].copy_from_slice(&n.to_be_bytes());
            store.announce(now, &done).unwrap();
            store.announce(now, &Call { event: AnnounceEvent::Stopped, ..done }).unwrap();
        }
        assert_eq!((store.totals(), store.swarms.len(), store.by_host.len()), ((0, 0, 0), 0, 0));
    }

    #[test]
    fn seeds_are_counted_as_they_come_change_and_go() {
        let now = Instant::now();
        let mut store = store(now);
        let counts = |store: &Store| store.scrape(&InfoHash([1; 20])).map(|c| (c.seeds, c.leechers));
        for (addr, left, event, after) in [
            ("10.0.0.1:1", 0, AnnounceEvent::Started, Some((1, 0))),
            ("10.0.0.2:1", 9, AnnounceEvent::Started, Some((1, 1))),
            ("10.0.0.2:1", 0, AnnounceEvent::Completed, Some((2, 0))),
            ("10.0.0.1:1", 9, AnnounceEvent::None, Some((1, 1))),
            ("10.0.0.2:1", 0, AnnounceEvent::Stopped, Some((0, 1))),
            ("10.0.0.1:1", 9, AnnounceEvent::Stopped, None),
        ] {
            store.announce(now, &Call { event, ..call(addr, left) }).unwrap();
            assert_eq!(counts(&store), after, "{addr} {event:?}");
        }
    }

    #[test]
    fn an_answer_is_as_long_as_wanted_and_differs_from_the_next() {
        let now = Instant::now();
        let mut store = store(now);
        for n in 0..1000u32 {
            store.announce(now, &call(&format!("10.0.{}.{}:1", n / 250, 1 + n % 250), 5)).unwrap();
        }
        let ask = |num_want| Call { num_want, ..call("10.0.0.1:1", 5) };
        let mut seen = Vec::new();
        for (wanted, got) in [(Some(0), 0), (Some(1), 1), (None, 50), (None, 50), (Some(u32::MAX), WANTED_MAX)] {
            let mut answer = addrs(&store.announce(now, &ask(wanted)).unwrap());
            assert_eq!(answer.len(), got);
            answer.dedup();
            assert_eq!(answer.len(), got);
            seen.push(answer);
        }
        assert_ne!(seen[2], seen[3]);
    }

    #[test]
    fn memory_is_bounded() {
        let now = Instant::now();
        let mut store = store(now);
        let flood = |n: u32| {
            let mut call = call("10.0.0.1:1", 5);
            call.info_hash.0[..4].copy_from_slice(&n.to_be_bytes());
            // Each address brings a few torrents.
            call.addr.set_ip(IpAddr::from((0x0a00_0000 + n / 100).to_be_bytes()));
            call
        };
        let refused = (0..TORRENTS as u32 + 50).filter(|n| store.announce(now, &flood(*n)).is_err()).count();
        assert_eq!((refused, store.totals().0), (50, TORRENTS));
        let one_host = (0..3000u16).filter(|n| {
            let addr = format!("10.9.9.9:{}", n + 1);
            store.announce(now, &Call { info_hash: flood(0).info_hash, ..call(&addr, 5) }).is_err()
        });
        assert_eq!(one_host.count(), 1000);
    }

    #[test]
    fn one_network_leaves_room_for_others_and_gives_its_own_back() {
        let now = Instant::now();
        let mut store = store(now);
        let of = |n: u32, net: &str| {
            let mut call = call(&format!("[{net}:{:x}:{:x}]:1", n >> 16, n & 0xffff), 5);
            call.info_hash.0[0] = (n % 16) as u8;
            call
        };
        let refused = (1..=PEERS_NET + 10).filter(|n| store.announce(now, &of(*n, "fd00:0:0:1:0:0")).is_err()).count();
        assert_eq!((refused, store.peers), (10, PEERS_NET as usize));
        assert!(
            store.announce(now, &of(1, "fd00:0:0:2:0:0")).is_ok()
                && store.announce(now, &call("10.0.0.1:1", 5)).is_ok()
        );
        for n in 1..=PEERS_NET {
            store.announce(now, &Call { event: AnnounceEvent::Stopped, ..of(n, "fd00:0:0:1:0:0") }).unwrap();
        }
        assert_eq!((store.peers, store.by_net.len(), store.by_host.len()), (2, 1, 2));
    }
}
