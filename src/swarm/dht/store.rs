//! What others ask us to keep: who is a peer of which torrent (BEP 5), for those only who have shown that they are where
//! they say.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use sha1::{Digest, Sha1};

use crate::limits;
use crate::wire::message::InfoHash;

/// How long a token is given; the one before is taken as well.
const EPOCH: Duration = Duration::from_secs(5 * 60);

/// Tokens: proof that who repeats one has got a packet of ours at its address a short time ago.
#[derive(Debug)]
pub struct Tokens {
    secret: [u8; 32],
    began: Instant,
}

impl Tokens {
    /// `secret` is from the system's source of chance: nobody can guess it.
    #[must_use]
    pub const fn new(now: Instant, secret: [u8; 32]) -> Self {
        Tokens { secret, began: now }
    }

    fn epoch(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.began).as_secs() / EPOCH.as_secs()
    }

    /// Eight bytes that follow from the secret and these words.
    fn seal(&self, purpose: u8, number: u64, words: &[u8]) -> [u8; 8] {
        let mut hash = Sha1::new();
        hash.update(self.secret);
        hash.update([purpose]);
        hash.update(number.to_be_bytes());
        hash.update(words);
        let mut out = [0; 8];
        out.copy_from_slice(&hash.finalize()[..8]);
        out
    }

    fn of(&self, epoch: u64, ip: IpAddr) -> [u8; 8] {
        match ip.to_canonical() {
            IpAddr::V4(ip) => self.seal(b't', epoch, &ip.octets()),
            IpAddr::V6(ip) => self.seal(b't', epoch, &ip.octets()),
        }
    }

    /// The token for this host.
    #[must_use]
    pub fn give(&self, now: Instant, ip: IpAddr) -> Vec<u8> {
        self.of(self.epoch(now), ip).to_vec()
    }

    /// Whether this host was given this token, not too long ago.
    #[must_use]
    pub fn good(&self, now: Instant, ip: IpAddr, token: &[u8]) -> bool {
        let epoch = self.epoch(now);
        token == self.of(epoch, ip) || (epoch > 0 && token == self.of(epoch - 1, ip))
    }

    /// The transaction of the question with this number: nobody who has seen others can tell the next.
    #[must_use]
    pub fn transaction(&self, number: u64) -> [u8; 4] {
        let [a, b, c, d, ..] = self.seal(b'q', number, &[]);
        [a, b, c, d]
    }
}

#[derive(Debug, Default)]
struct Peers {
    /// When each announced itself last.
    since: BTreeMap<SocketAddr, Instant>,
    /// When the last of them did.
    last: Option<Instant>,
}

/// Peers that announced themselves to us.
#[derive(Debug, Default)]
pub struct Store {
    torrents: BTreeMap<InfoHash, Peers>,
}

impl Store {
    /// A peer has announced itself. Beyond the limits the oldest make room.
    pub fn keep(&mut self, now: Instant, torrent: InfoHash, peer: SocketAddr) {
        if !self.torrents.contains_key(&torrent) && self.torrents.len() >= limits::DHT_TORRENTS {
            let oldest = self.torrents.iter().min_by_key(|(_, peers)| peers.last).map(|(hash, _)| *hash);
            oldest.map(|hash| self.torrents.remove(&hash));
        }
        let peers = self.torrents.entry(torrent).or_default();
        peers.last = Some(now);
        peers.since.insert(peer, now);
        let oldest = |peers: &Peers, of: &dyn Fn(&SocketAddr) -> bool| {
            peers.since.iter().filter(|(addr, _)| of(addr)).min_by_key(|(_, at)| **at).map(|(addr, _)| *addr)
        };
        let same = |addr: &SocketAddr| addr.ip() == peer.ip();
        let too_many = if peers.since.keys().filter(|addr| same(addr)).count() > limits::DHT_PEERS_HOST {
            oldest(peers, &same)
        } else if peers.since.len() > limits::DHT_PEERS {
            oldest(peers, &|_| true)
        } else {
            None
        };
        too_many.map(|addr| peers.since.remove(&addr));
    }

    /// Some peers of a torrent, of one family, at most so many.
    #[must_use]
    pub fn some(
        &self,
        now: Instant,
        torrent: InfoHash,
        six: bool,
        most: usize,
        rng: &mut fastrand::Rng,
    ) -> Vec<SocketAddr> {
        let Some(peers) = self.torrents.get(&torrent) else { return Vec::new() };
        let young = |at: Instant| now.saturating_duration_since(at) < limits::DHT_PEER_AGE;
        let fitting = peers.since.iter().filter(|(addr, at)| addr.is_ipv6() == six && young(**at));
        let mut all: Vec<SocketAddr> = fitting.map(|(addr, _)| *addr).collect();
        rng.shuffle(&mut all);
        all.truncate(most);
        all
    }

    /// Forgets what is too old.
    pub fn expire(&mut self, now: Instant) {
        let young = |at: &Instant| now.saturating_duration_since(*at) < limits::DHT_PEER_AGE;
        self.torrents.retain(|_, peers| {
            peers.since.retain(|_, at| young(at));
            !peers.since.is_empty()
        });
    }

    /// Torrents, and peers of all of them.
    #[must_use]
    pub fn len(&self) -> (usize, usize) {
        (self.torrents.len(), self.torrents.values().map(|peers| peers.since.len()).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_for_one_host_and_for_a_short_time() {
        let now = Instant::now();
        let it = Tokens::new(now, [7; 32]);
        let (host, other): (IpAddr, IpAddr) = ([9, 9, 9, 9].into(), [9, 9, 9, 8].into());
        let token = it.give(now, host);
        assert!(it.good(now, host, &token) && it.good(now + EPOCH, host, &token));
        assert!(!it.good(now + 2 * EPOCH, host, &token), "old");
        assert!(!it.good(now, other, &token), "of another host");
        assert!(!it.good(now, host, &[0; 8]) && !it.good(now, host, &token[..7]), "made up");
        assert!(!Tokens::new(now, [8; 32]).good(now, host, &token));
        assert!(it.transaction(1) != it.transaction(2));
    }

    #[test]
    fn a_flood_of_announces_ends_at_the_limits() {
        let (mut now, mut rng) = (Instant::now(), fastrand::Rng::with_seed(1));
        let mut it = Store::default();
        let hash = |n: u32| {
            let mut hash = InfoHash([0; 20]);
            hash.0[..4].copy_from_slice(&n.to_be_bytes());
            hash
        };
        let peer = |n: u32| SocketAddr::from(((0x0900_0000 + n).to_be_bytes(), 6881));
        for n in 0..20_000 {
            now += Duration::from_millis(1);
            it.keep(now, hash(n), peer(n));
        }
        assert_eq!(it.len(), (limits::DHT_TORRENTS, limits::DHT_TORRENTS));
        for n in 0..5_000 {
            it.keep(now, hash(19_999), peer(n));
            it.keep(now, hash(19_998), SocketAddr::from(([9, 0, 0, 1], n as u16 + 1)));
        }
        assert_eq!(it.len().1, limits::DHT_TORRENTS - 2 + limits::DHT_PEERS + limits::DHT_PEERS_HOST + 1);
        assert_eq!(it.some(now, hash(19_999), false, 50, &mut rng).len(), 50);
        assert_eq!(it.some(now, hash(19_999), true, 50, &mut rng), []);
        assert_eq!(it.some(now, hash(0), false, 50, &mut rng), [], "the oldest made room");
        let later = now + limits::DHT_PEER_AGE;
        assert_eq!(it.some(later, hash(19_999), false, 50, &mut rng), []);
        it.expire(later);
        assert_eq!(it.len(), (0, 0));
    }
}
