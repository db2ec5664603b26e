//! Peers stored for remote nodes by `announce_peer` (BEP 5), and the tokens that authorize it.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use sha1::{Digest, Sha1};

use crate::limits;
use crate::wire::message::InfoHash;

/// Lifetime of a token epoch; tokens of the previous epoch are accepted too.
const EPOCH: Duration = Duration::from_secs(5 * 60);

/// Issues and verifies tokens: proof that a host received a recent packet from us at its address.
///
/// Also derives the transaction ids of our queries.
#[derive(Debug)]
pub(crate) struct Tokens {
    secret: [u8; 32],
    began: Instant,
}

impl Tokens {
    /// Creates the token key. `secret` must come from the system's secure random source.
    #[must_use]
    pub(crate) const fn new(now: Instant, secret: [u8; 32]) -> Self {
        Tokens { secret, began: now }
    }

    fn epoch(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.began).as_secs() / EPOCH.as_secs()
    }

    /// Returns eight bytes of a keyed hash over the purpose, the number and the bytes.
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

    /// Returns the current token of a host.
    #[must_use]
    pub(crate) fn give(&self, now: Instant, ip: IpAddr) -> Vec<u8> {
        self.of(self.epoch(now), ip).to_vec()
    }

    /// Returns whether the token was issued to this host in the current or the previous epoch.
    #[must_use]
    pub(crate) fn good(&self, now: Instant, ip: IpAddr, token: &[u8]) -> bool {
        let epoch = self.epoch(now);
        token == self.of(epoch, ip) || (epoch > 0 && token == self.of(epoch - 1, ip))
    }

    /// Returns the transaction id of query `number`; unpredictable without the secret.
    #[must_use]
    pub(crate) fn transaction(&self, number: u64) -> [u8; 4] {
        let [a, b, c, d, ..] = self.seal(b'q', number, &[]);
        [a, b, c, d]
    }
}

#[derive(Debug, Default)]
struct Peers {
    /// Time of the last announce of each peer.
    since: BTreeMap<SocketAddr, Instant>,
    /// Time of the last announce of any peer.
    last: Option<Instant>,
}

/// Announced peers by torrent, with limits per torrent, per host and in total.
#[derive(Debug, Default)]
pub(crate) struct Store {
    torrents: BTreeMap<InfoHash, Peers>,
}

impl Store {
    /// Stores an announced peer; evicts the oldest peer or torrent if a limit is exceeded.
    pub(crate) fn keep(&mut self, now: Instant, torrent: InfoHash, peer: SocketAddr) {
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

    /// Returns up to `most` random peers of a torrent of one address family.
    #[must_use]
    pub(crate) fn some(
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

    /// Removes peers whose last announce is older than [`limits::DHT_PEER_AGE`].
    pub(crate) fn expire(&mut self, now: Instant) {
        let young = |at: &Instant| now.saturating_duration_since(*at) < limits::DHT_PEER_AGE;
        self.torrents.retain(|_, peers| {
            peers.since.retain(|_, at| young(at));
            !peers.since.is_empty()
        });
    }

    /// Returns the number of torrents and of all their peers.
    #[cfg(test)]
    pub(crate) fn len(&self) -> (usize, usize) {
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
