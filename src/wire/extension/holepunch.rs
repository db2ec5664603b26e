//! Introductions (BEP 55, `ut_holepunch`): a peer that is connected to two others that cannot call each other tells both
//! to call at the same time, by uTP, so that the routers of both let the other's packets in.

use std::net::{IpAddr, SocketAddr};

use thiserror::Error;

use super::address;

/// One message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Holepunch {
    /// What it says.
    pub word: Word,
    /// About whom: the address by which the one in between knows it.
    pub of: SocketAddr,
}

/// What is said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Word {
    /// Introduce us to each other.
    Rendezvous,
    /// Call each other now.
    Connect,
    /// It could not be done.
    Failed(Failure),
}

/// Why somebody could not be introduced.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum Failure {
    /// No such address.
    #[error("there is no such peer")]
    NoSuchPeer,
    /// The one in between is not connected to it.
    #[error("it is not connected to it")]
    NotConnected,
    /// The other side does not take introductions.
    #[error("the other side takes no introductions")]
    NoSupport,
    /// It was asked to introduce somebody to itself.
    #[error("it is that peer itself")]
    Itself,
}

/// Why bytes are no introduction.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("it is no introduction")]
pub struct NoHolepunch;

impl Holepunch {
    /// The message as the payload of an extended message.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let (word, code) = match self.word {
            Word::Rendezvous => (0, 0),
            Word::Connect => (1, 0),
            Word::Failed(why) => (2, why as u32 + 1),
        };
        let mut out = vec![word, u8::from(self.of.is_ipv6())];
        match self.of.ip() {
            IpAddr::V4(ip) => out.extend(ip.octets()),
            IpAddr::V6(ip) => out.extend(ip.octets()),
        }
        out.extend(self.of.port().to_be_bytes());
        out.extend(code.to_be_bytes());
        out
    }

    /// Reads the payload of an extended message. Some leave the error's number out where there is none.
    ///
    /// # Errors
    /// When it is none of these messages.
    pub fn decode(payload: &[u8]) -> Result<Holepunch, NoHolepunch> {
        let (&[word, family], rest) = payload.split_first_chunk().ok_or(NoHolepunch)?;
        let length = match family {
            0 => 4,
            1 => 16,
            _ => return Err(NoHolepunch),
        };
        let (ip, rest) = rest.split_at_checked(length).ok_or(NoHolepunch)?;
        let (port, code) = rest.split_first_chunk().ok_or(NoHolepunch)?;
        let code = code.first_chunk().map_or(0, |code| u32::from_be_bytes(*code));
        let word = match (word, code) {
            (0, _) => Word::Rendezvous,
            (1, _) => Word::Connect,
            (2, 2) => Word::Failed(Failure::NotConnected),
            (2, 3) => Word::Failed(Failure::NoSupport),
            (2, 4) => Word::Failed(Failure::Itself),
            (2, _) => Word::Failed(Failure::NoSuchPeer),
            _ => return Err(NoHolepunch),
        };
        let ip = address(ip).ok_or(NoHolepunch)?;
        Ok(Holepunch { word, of: SocketAddr::new(ip.to_canonical(), u16::from_be_bytes(*port)) })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_bytes_are_those_of_the_bep() {
        let of: SocketAddr = "9.8.7.6:258".parse().unwrap();
        let connect = Holepunch { word: Word::Connect, of };
        assert_eq!(connect.encode(), [1, 0, 9, 8, 7, 6, 1, 2, 0, 0, 0, 0]);
        // libtorrent leaves out what says nothing.
        assert_eq!(Holepunch::decode(&connect.encode()[..8]), Ok(connect));
        let failed = Holepunch { word: Word::Failed(Failure::NoSupport), of: "[2001:db8::1]:7".parse().unwrap() };
        let bytes = failed.encode();
        assert_eq!((bytes.len(), &bytes[20..]), (24, &[0, 0, 0, 3][..]));
        assert_eq!(Holepunch::decode(&bytes), Ok(failed));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..40), word in 0u8..4) {
            let mut bytes = bytes;
            if let [first, family, ..] = &mut bytes[..] {
                (*first, *family) = (word, *family % 3);
            }
            if let Ok(it) = Holepunch::decode(&bytes) {
                prop_assert_eq!(Holepunch::decode(&it.encode()), Ok(it));
            }
        }
    }
}
