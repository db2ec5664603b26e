//! Canonical peer priority (BEP 40): ranks a connection by its addresses, equally from both ends.
//!
//! If all clients prefer connections of high priority, the swarm becomes a well-connected random graph, and no peer
//! can choose its neighbors.

use std::net::{IpAddr, SocketAddr};

use crate::swarm::crc32c::crc32c;

/// Returns the canonical priority of a connection between two addresses; higher is better.
#[must_use]
pub(crate) fn priority(a: SocketAddr, b: SocketAddr) -> u32 {
    let (a_ip, b_ip) = (a.ip().to_canonical(), b.ip().to_canonical());
    let mut parts = match (a_ip, b_ip) {
        (a_ip, b_ip) if a_ip == b_ip => [a.port(), b.port()].map(|port| port.to_be_bytes().to_vec()),
        (IpAddr::V4(a), IpAddr::V4(b)) => masked(a.octets(), b.octets(), 2),
        (IpAddr::V6(a), IpAddr::V6(b)) => masked(a.octets(), b.octets(), 6),
        // Different address families cannot be connected.
        _ => return 0,
    };
    parts.sort();
    crc32c(&parts.concat())
}

/// Masks both addresses with 0x55 beyond the first `whole` bytes or the first differing byte.
fn masked<const N: usize>(a: [u8; N], b: [u8; N], whole: usize) -> [Vec<u8>; 2] {
    let alike = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
    let whole = if alike < whole { whole } else { alike + 1 };
    [a, b].map(|ip| ip.iter().enumerate().map(|(n, byte)| if n < whole { *byte } else { byte & 0x55 }).collect())
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
