//! Node ids derived from the IP address (BEP 42), a defense against Sybil attacks.

use std::net::IpAddr;

use crate::swarm::crc32c::crc32c;
use crate::wire::address::is_local;
use crate::wire::krpc::NodeId;

/// Returns the required first 21 bits of a node id of this host; `chance` is the last byte of the id.
fn prefix(ip: IpAddr, chance: u8) -> [u8; 3] {
    let mut bytes = [0; 8];
    let used = match ip {
        IpAddr::V4(ip) => {
            let masked = ip.to_bits() & 0x030f_3fff;
            bytes[..4].copy_from_slice(&masked.to_be_bytes());
            4
        }
        IpAddr::V6(ip) => {
            let masked = ((ip.to_bits() >> 64) as u64) & 0x0103_070f_1f3f_7fff;
            bytes.copy_from_slice(&masked.to_be_bytes());
            8
        }
    };
    bytes[0] |= (chance & 7) << 5;
    let [a, b, c, _] = crc32c(&bytes[..used]).to_be_bytes();
    [a, b, c & 0xf8]
}

/// Returns whether a node id is valid for an IP address (BEP 42); always true for local addresses.
#[must_use]
pub(crate) fn fits(id: NodeId, ip: IpAddr) -> bool {
    let ip = ip.to_canonical();
    let [a, b, c] = prefix(ip, id.0[19]);
    is_local(ip) || (id.0[0], id.0[1], id.0[2] & 0xf8) == (a, b, c)
}

/// Generates a random node id, valid for the external IP if that is known.
#[must_use]
pub(crate) fn make(ip: Option<IpAddr>, rng: &mut fastrand::Rng) -> NodeId {
    let mut id = NodeId([0; 20]);
    rng.fill(&mut id.0);
    if let Some(ip) = ip {
        let [a, b, c] = prefix(ip.to_canonical(), id.0[19]);
        (id.0[0], id.0[1], id.0[2]) = (a, b, c | (id.0[2] & 7));
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_standard() {
        for (ip, chance, expected) in [
            ("124.31.75.21", 1, [0x5f, 0xbf, 0xb8]),
            ("21.75.31.124", 86, [0x5a, 0x3c, 0xe8]),
            ("65.23.51.170", 22, [0xa5, 0xd4, 0x30]),
            ("84.124.73.14", 65, [0x1b, 0x03, 0x20]),
            ("43.213.53.83", 90, [0xe5, 0x6f, 0x68]),
        ] {
            assert_eq!(prefix(ip.parse().unwrap(), chance), expected, "{ip}");
        }
    }

    #[test]
    fn what_is_made_fits_and_little_else_does() {
        let mut rng = fastrand::Rng::with_seed(7);
        for ip in ["8.8.4.4", "2001:db8::1"] {
            let ip = ip.parse().unwrap();
            assert!((0..50).all(|_| fits(make(Some(ip), &mut rng), ip)));
            assert!((0..50).all(|_| !fits(make(None, &mut rng), ip)));
        }
        assert!(fits(make(None, &mut rng), "192.168.0.3".parse().unwrap()));
    }
}
