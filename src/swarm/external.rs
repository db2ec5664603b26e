//! Our own address as others see it: what most of them say (BEP 10's `yourip`, BEP 42's `ip`).

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::limits;

/// What others say of our address. One voice for each host, so that one liar counts once.
#[derive(Clone, Debug, Default)]
pub struct External {
    /// Who said what; the place in time of a voice tells which is the oldest.
    voices: BTreeMap<IpAddr, (u64, IpAddr)>,
    heard: u64,
}

impl External {
    /// A host says that this is our address. Beyond [`limits::VOICES`] the oldest voice is forgotten.
    pub fn says(&mut self, who: IpAddr, ours: IpAddr) {
        let ours = ours.to_canonical();
        if ours.is_unspecified() || ours.is_multicast() {
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

    /// The address that most name, of each family that is named.
    #[must_use]
    pub fn all(&self) -> Vec<IpAddr> {
        [false, true].into_iter().filter_map(|six| self.of(six)).collect()
    }

    /// The IPv4 address, or the IPv6 address, that most name.
    #[must_use]
    pub fn of(&self, six: bool) -> Option<IpAddr> {
        self.agreed(six).map(|(ip, _)| ip)
    }

    /// The same, and how many name it.
    #[must_use]
    pub fn agreed(&self, six: bool) -> Option<(IpAddr, usize)> {
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
    fn the_many_are_believed_and_a_liar_has_one_voice() {
        let mut it = External::default();
        assert!(it.all().is_empty());
        for _ in 0..10 {
            it.says(ip(1), ip(66));
        }
        assert_eq!(it.all(), [ip(66)]);
        it.says(ip(2), ip(7));
        it.says(ip(3), "::ffff:9.9.9.7".parse().unwrap());
        it.says(ip(4), "2001:db8::1".parse().unwrap());
        it.says(ip(5), "0.0.0.0".parse().unwrap());
        assert_eq!(it.all(), [ip(7), "2001:db8::1".parse().unwrap()]);
        assert_eq!((it.of(false), it.of(true).is_some()), (Some(ip(7)), true));
    }

    #[test]
    fn old_voices_are_forgotten() {
        let mut it = External::default();
        for n in 0..3 * limits::VOICES as u32 {
            it.says(IpAddr::V4((0x0909_0000 + n).into()), ip(u8::from(n < 2 * limits::VOICES as u32)));
        }
        assert!(it.voices.len() == limits::VOICES && it.of(false) == Some(ip(0)));
    }
}
