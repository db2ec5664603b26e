//! External IP address by majority vote of remote hosts (`yourip` of BEP 10, `ip` of BEP 42).

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::limits;
use crate::wire::address::can_be_host;

/// Votes of remote hosts on our external IP address; one vote per host.
#[derive(Clone, Debug, Default)]
pub(crate) struct ExternalIpVotes {
    /// Vote by voter: the sequence number (the lowest is the oldest) and the address voted for.
    voices: BTreeMap<IpAddr, (u64, IpAddr)>,
    heard: u64,
}

impl ExternalIpVotes {
    /// Records the vote of a host, replacing its earlier one. Keeps the newest [`limits::VOICES`] votes.
    pub(crate) fn add_vote(&mut self, who: IpAddr, ours: IpAddr) {
        let ours = ours.to_canonical();
        if !can_be_host(ours) {
            return;
        }
        self.heard += 1;
        self.voices.insert(who.to_canonical(), (self.heard, ours));
        if self.voices.len() > limits::VOICES
            && let Some(oldest) = self.voices.iter().min_by_key(|(_, (at, _))| *at).map(|(who, _)| *who)
        {
            self.voices.remove(&oldest);
        }
    }

    /// Returns the address with the most votes for each address family that has votes.
    #[must_use]
    pub(crate) fn all(&self) -> Vec<IpAddr> {
        [false, true].into_iter().filter_map(|six| self.of(six)).collect()
    }

    /// Returns the IPv4 address, or with `six` the IPv6 address, with the most votes.
    #[must_use]
    pub(crate) fn of(&self, six: bool) -> Option<IpAddr> {
        self.agreed(six).map(|(ip, _)| ip)
    }

    /// Returns the address with the most votes and the number of its votes.
    #[must_use]
    pub(crate) fn agreed(&self, six: bool) -> Option<(IpAddr, usize)> {
        let mut counts: BTreeMap<IpAddr, usize> = BTreeMap::new();
        for (_, ip) in self.voices.values().filter(|(_, ip)| ip.is_ipv6() == six) {
            *counts.entry(*ip).or_default() += 1;
        }
        counts.into_iter().max_by_key(|(ip, n)| (*n, std::cmp::Reverse(*ip)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(n: u8) -> IpAddr {
        IpAddr::from([9, 9, 9, n])
    }

    #[test]
    fn majority_wins_and_each_host_has_one_vote() {
        let mut it = ExternalIpVotes::default();
        assert!(it.all().is_empty());
        for _ in 0..10 {
            it.add_vote(ip(1), ip(66));
        }
        assert_eq!(it.all(), [ip(66)]);
        it.add_vote(ip(2), ip(7));
        it.add_vote(ip(3), "::ffff:9.9.9.7".parse().unwrap());
        it.add_vote(ip(4), "2001:db8::1".parse().unwrap());
        it.add_vote(ip(5), "0.0.0.0".parse().unwrap());
        assert_eq!(it.all(), [ip(7), "2001:db8::1".parse().unwrap()]);
        assert_eq!((it.of(false), it.of(true).is_some()), (Some(ip(7)), true));
    }

    #[test]
    fn old_voices_are_forgotten() {
        let mut it = ExternalIpVotes::default();
        for n in 0..3 * limits::VOICES as u32 {
            it.add_vote(IpAddr::V4((0x0909_0000 + n).into()), ip(u8::from(n < 2 * limits::VOICES as u32)));
        }
        assert!(it.voices.len() == limits::VOICES && it.of(false) == Some(ip(0)));
    }
}
