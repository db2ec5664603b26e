//! Hole punching (`ut_holepunch`, BEP 55).
//!
//! A relay that is connected to two peers tells both to dial each other over uTP at the same time, so that the NAT of
//! each peer lets the packets of the other peer in.

use std::net::{IpAddr, SocketAddr};

use thiserror::Error;

use super::address;

/// A hole punch message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Holepunch {
    pub kind: HolepunchKind,
    /// The address of the other peer, as the relay sees it.
    pub addr: SocketAddr,
}

/// Message type of a hole punch message, with its error code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HolepunchKind {
    /// Request to the relay: connect the sender and the peer at `addr`.
    Rendezvous,
    /// Request of the relay: dial the peer at `addr` now.
    Connect,
    /// The rendezvous failed.
    Failed(HolepunchErrorCode),
}

/// Error code of a failed rendezvous (BEP 55).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum HolepunchErrorCode {
    /// The address is invalid. Unknown codes are decoded as this one, too.
    #[error("there is no such peer")]
    NoSuchPeer,
    /// The relay is not connected to the target.
    #[error("it is not connected to it")]
    NotConnected,
    /// The target does not support hole punching.
    #[error("the other side takes no introductions")]
    NoSupport,
    /// The target is the relay itself or the sender.
    #[error("it is that peer itself")]
    NoSelf,
}

/// Error of decoding a hole punch message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("it is no introduction")]
pub struct HolepunchError;

impl Holepunch {
    /// Encodes the payload of an extended message.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let (word, code) = match self.kind {
            HolepunchKind::Rendezvous => (0, 0),
            HolepunchKind::Connect => (1, 0),
            HolepunchKind::Failed(why) => (2, why as u32 + 1),
        };
        let mut out = vec![word, u8::from(self.addr.is_ipv6())];
        match self.addr.ip() {
            IpAddr::V4(ip) => out.extend(ip.octets()),
            IpAddr::V6(ip) => out.extend(ip.octets()),
        }
        out.extend(self.addr.port().to_be_bytes());
        out.extend(code.to_be_bytes());
        out
    }

    /// Decodes the payload of an extended message.
    ///
    /// The error code may be missing, because some clients omit it when it is 0.
    ///
    /// # Errors
    /// If the payload is too short or its message type or address type is unknown.
    pub fn decode(payload: &[u8]) -> Result<Holepunch, HolepunchError> {
        let (&[word, family], rest) = payload.split_first_chunk().ok_or(HolepunchError)?;
        let length = match family {
            0 => 4,
            1 => 16,
            _ => return Err(HolepunchError),
        };
        let (ip, rest) = rest.split_at_checked(length).ok_or(HolepunchError)?;
        let (port, code) = rest.split_first_chunk().ok_or(HolepunchError)?;
        let code = code.first_chunk().map_or(0, |code| u32::from_be_bytes(*code));
        let word = match (word, code) {
            (0, _) => HolepunchKind::Rendezvous,
            (1, _) => HolepunchKind::Connect,
            (2, 2) => HolepunchKind::Failed(HolepunchErrorCode::NotConnected),
            (2, 3) => HolepunchKind::Failed(HolepunchErrorCode::NoSupport),
            (2, 4) => HolepunchKind::Failed(HolepunchErrorCode::NoSelf),
            (2, _) => HolepunchKind::Failed(HolepunchErrorCode::NoSuchPeer),
            _ => return Err(HolepunchError),
        };
        let ip = address(ip).ok_or(HolepunchError)?;
        Ok(Holepunch { kind: word, addr: SocketAddr::new(ip.to_canonical(), u16::from_be_bytes(*port)) })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_bytes_are_those_of_the_bep() {
        let of: SocketAddr = "9.8.7.6:258".parse().unwrap();
        let connect = Holepunch { kind: HolepunchKind::Connect, addr: of };
        assert_eq!(connect.encode(), [1, 0, 9, 8, 7, 6, 1, 2, 0, 0, 0, 0]);
        // libtorrent omits the error code when it is 0.
        assert_eq!(Holepunch::decode(&connect.encode()[..8]), Ok(connect));
        let failed = Holepunch {
            kind: HolepunchKind::Failed(HolepunchErrorCode::NoSupport),
            addr: "[2001:db8::1]:7".parse().unwrap(),
        };
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
