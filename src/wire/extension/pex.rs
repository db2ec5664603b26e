//! Peer exchange (`ut_pex`, BEP 11): addresses of peers that the sender has connected to or disconnected from.

use std::net::SocketAddr;

use thiserror::Error;

use crate::limits;
use crate::wire::bencode::{BencodeError, OwnedValue, Value};
use crate::wire::tracker::{can_be_peer, encode_compact};

/// Flags of an added peer (`added.f`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct PexFlags(pub u8);

impl PexFlags {
    /// Prefers encryption.
    pub const ENCRYPTED: PexFlags = PexFlags(0x01);
    /// Seed or partial seed (`upload_only`, BEP 21).
    pub const SEED: PexFlags = PexFlags(0x02);
    /// Supports uTP.
    pub const UTP: PexFlags = PexFlags(0x04);
    /// Reachable: the sender of the message dialed this peer.
    pub const REACHABLE: PexFlags = PexFlags(0x10);

    /// Returns the union of both sets of flags.
    #[must_use]
    pub const fn union(self, other: PexFlags) -> PexFlags {
        PexFlags(self.0 | other.0)
    }

    /// Returns the union of both sets if `on` is true, otherwise `self`.
    #[must_use]
    pub const fn with(self, other: PexFlags, on: bool) -> PexFlags {
        if on { self.union(other) } else { self }
    }

    /// Returns whether `self` contains all flags of `other`.
    #[must_use]
    pub const fn contains(self, other: PexFlags) -> bool {
        self.0 & other.0 == other.0
    }
}

/// A PEX message.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Pex {
    /// Peers that the sender connected to since its last message.
    pub added: Vec<(SocketAddr, PexFlags)>,
    /// Peers that the sender disconnected from since its last message.
    pub dropped: Vec<SocketAddr>,
}

/// Error of decoding a PEX message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum PexError {
    /// Longer than [`limits::PEX_MESSAGE`].
    #[error("its peer exchange is {got} bytes long, at most {max} are taken", max = limits::PEX_MESSAGE)]
    TooLong { got: usize },
    /// Invalid bencode.
    #[error("its peer exchange is damaged: {0}")]
    Damaged(#[from] BencodeError),
    #[error("its peer exchange is no dictionary")]
    NoDictionary,
}

impl Pex {
    /// Encodes the payload of an extended message.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        // Index 0 is IPv4, index 1 is IPv6.
        let mut added = [Vec::new(), Vec::new()];
        let mut flags = [Vec::new(), Vec::new()];
        let mut dropped = [Vec::new(), Vec::new()];
        for (addr, flag) in &self.added {
            let family = usize::from(addr.is_ipv6());
            encode_compact(addr, &mut added[family]);
            flags[family].push(flag.0);
        }
        for addr in &self.dropped {
            encode_compact(addr, &mut dropped[usize::from(addr.is_ipv6())]);
        }
        let ([added, added6], [flags, flags6], [dropped, dropped6]) = (added, flags, dropped);
        let mut entries = vec![("added", added), ("added.f", flags), ("dropped", dropped)];
        let six = [("added6", added6), ("added6.f", flags6), ("dropped6", dropped6)];
        entries.extend(six.into_iter().filter(|(_, bytes)| !bytes.is_empty()));
        OwnedValue::dictionary(entries.into_iter().map(|(key, bytes)| (key, OwnedValue::from(bytes)))).encode()
    }

    /// Decodes the payload of an extended message.
    ///
    /// Keeps at most `most` addresses of each list, IPv4 before IPv6, and drops addresses that cannot belong to a peer.
    /// Ignores values of the wrong type and incomplete entries at the end of a list.
    ///
    /// # Errors
    /// If the payload is too long, invalid bencode or not a dictionary.
    pub fn decode(payload: &[u8], most: usize) -> Result<Self, PexError> {
        if payload.len() > limits::PEX_MESSAGE {
            return Err(PexError::TooLong { got: payload.len() });
        }
        let (value, _) = Value::parse_prefix(payload)?;
        let (mut added, mut flags, mut dropped) = ([&[][..]; 2], [&[][..]; 2], [&[][..]; 2]);
        for (key, value) in value.dictionary().ok_or(PexError::NoDictionary)? {
            let Some(bytes) = value.as_bytes() else { continue };
            match key {
                b"added" => added[0] = bytes,
                b"added6" => added[1] = bytes,
                b"added.f" => flags[0] = bytes,
                b"added6.f" => flags[1] = bytes,
                b"dropped" => dropped[0] = bytes,
                b"dropped6" => dropped[1] = bytes,
                _ => {}
            }
        }
        let flag = |family: usize, n: usize| PexFlags(flags[family].get(n).copied().unwrap_or(0));
        let added = compact_addresses(added).map(|(family, n, addr)| (addr, flag(family, n)));
        let (added, dropped) =
            (added.take(most).collect(), compact_addresses(dropped).map(|(.., addr)| addr).take(most).collect());
        Ok(Pex { added, dropped })
    }
}

/// Returns (family, index in its list, address) for each address of an IPv4 and an IPv6 compact list.
fn compact_addresses<'a>([four, six]: [&'a [u8]; 2]) -> impl Iterator<Item = (usize, usize, SocketAddr)> + 'a {
    let four = four.as_chunks::<6>().0.iter().enumerate().map(|(n, bytes)| {
        let (ip, port) = ([bytes[0], bytes[1], bytes[2], bytes[3]], [bytes[4], bytes[5]]);
        (0, n, SocketAddr::from((ip, u16::from_be_bytes(port))))
    });
    let six = six.as_chunks::<18>().0.iter().enumerate().map(|(n, bytes)| {
        let mut ip = [0; 16];
        ip.copy_from_slice(&bytes[..16]);
        let addr = SocketAddr::from((ip, u16::from_be_bytes([bytes[16], bytes[17]])));
        (1, n, SocketAddr::new(addr.ip().to_canonical(), addr.port()))
    });
    four.chain(six).filter(|(.., addr)| can_be_peer(addr))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_families_round_trip() {
        let it = Pex {
            added: vec![
                ("10.0.0.1:6881".parse().unwrap(), PexFlags::SEED.union(PexFlags::REACHABLE)),
                ("[2001:db8::7]:51413".parse().unwrap(), PexFlags::UTP),
            ],
            dropped: vec!["10.0.0.2:1".parse().unwrap()],
        };
        let raw = it.encode();
        let expected =
            b"d5:added6:\x0a\0\0\x01\x1a\xe17:added.f1:\x126:added618:\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07\
            \xc8\xd58:added6.f1:\x047:dropped6:\x0a\0\0\x02\0\x01e";
        assert_eq!(raw, expected);
        assert_eq!(Pex::decode(&raw, 10), Ok(it.clone()));
        assert_eq!(Pex::decode(&raw, 1).unwrap().added, it.added[..1]);
        assert_eq!(Pex::default().encode(), b"d5:added0:7:added.f0:7:dropped0:e");
    }

    #[test]
    fn what_no_peer_can_have_and_nonsense_are_passed_over() {
        let raw = b"d5:added26:\x0a\0\0\x01\0\0\xff\xff\xff\xff\0\x01\xe0\0\0\x01\0\x01\x0a\0\0\x09\0\x05xx7:added.f4:\x01\x02\x03\x04\
            6:added6i5e7:dropped1:\x7fe";
        let it = Pex::decode(raw, 50).unwrap();
        assert_eq!(it.added, [("10.0.0.9:5".parse().unwrap(), PexFlags(4))], "flags go by the place in the list");
        assert!(it.dropped.is_empty());
        assert_eq!(Pex::decode(b"le", 50), Err(PexError::NoDictionary));
        assert!(matches!(Pex::decode(b"d5:added", 50), Err(PexError::Damaged(_))));
        assert!(matches!(Pex::decode(&vec![b'd'; 70_000], 50), Err(PexError::TooLong { got: 70_000 })));
    }
}
