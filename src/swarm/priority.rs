//! Canonical peer priority (BEP 40): how much two addresses ought to be connected, the same seen from both ends.
//!
//! Whoever keeps those of the highest priority when there are too many to keep, and calls them first, gets a swarm that
//! is connected evenly and in which nobody can choose whose neighbour to be.

use std::net::{IpAddr, SocketAddr};

/// The priority of a connection between these two; the higher the better.
#[must_use]
pub fn priority(a: SocketAddr, b: SocketAddr) -> u32 {
    let (a_ip, b_ip) = (a.ip().to_canonical(), b.ip().to_canonical());
    let mut parts = match (a_ip, b_ip) {
        (a_ip, b_ip) if a_ip == b_ip => [a.port(), b.port()].map(|port| port.to_be_bytes().to_vec()),
        (IpAddr::V4(a), IpAddr::V4(b)) => masked(a.octets(), b.octets(), 2),
        (IpAddr::V6(a), IpAddr::V6(b)) => masked(a.octets(), b.octets(), 6),
        // Two that cannot be connected have the lowest.
        _ => return 0,
    };
    parts.sort();
    crc32c(&parts.concat())
}

/// Both addresses with all but the first bytes masked: `whole` bytes stay as they are, one more for each byte beyond
/// them in which they agree.
fn masked<const N: usize>(a: [u8; N], b: [u8; N], whole: usize) -> [Vec<u8>; 2] {
    let alike = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
    let whole = if alike < whole { whole } else { alike + 1 };
    [a, b].map(|ip| ip.iter().enumerate().map(|(n, byte)| if n < whole { *byte } else { byte & 0x55 }).collect())
}

/// The CRC of iSCSI, bit by bit: it is of at most 32 bytes, once for each address that is learnt.
fn crc32c(bytes: &[u8]) -> u32 {
    let bit = |crc: u32| if crc & 1 == 1 { (crc >> 1) ^ 0x82f6_3b78 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| bit(crc)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(a: &str, b: &str) -> u32 {
        priority(a.parse().unwrap(), b.parse().unwrap())
    }

    /// The examples of BEP 40.
    #[test]
    fn it_is_as_in_the_specification() {
        assert_eq!(of("123.213.32.10:0", "98.76.54.32:0"), 0xec2d_7224);
        assert_eq!(of("123.213.32.10:0", "123.213.32.234:0"), 0x9956_8189);
    }

    #[test]
    fn both_ends_see_the_same() {
        for (a, b) in [
            ("1.2.3.4:5", "6.7.8.9:10"),
            ("1.2.3.4:5", "1.2.3.4:6"),
            ("1.2.3.4:5", "[::ffff:1.2.3.4]:6"),
            ("[2001:db8::1]:1", "[2001:db8:0:7::2]:9"),
            ("[2001:db8::1]:1", "[2001:db8::2]:1"),
        ] {
            assert_eq!(of(a, b), of(b, a), "{a} {b}");
        }
        assert_eq!(of("1.2.3.4:5", "[2001:db8::1]:1"), 0);
    }
}
