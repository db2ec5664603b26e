//! Classification of IP addresses: local or global, and the subnet of a host.

use std::net::{IpAddr, SocketAddr};

/// Returns whether the address is local: loopback, private, link-local or unique local.
#[must_use]
pub fn is_local(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

/// Returns the lowest and highest socket address of the subnet of a host: /24 for IPv4, /64 for IPv6.
///
/// Untrusted peers are grouped by this subnet.
#[must_use]
pub fn network(ip: IpAddr) -> (SocketAddr, SocketAddr) {
    let (low, high) = match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let base = ip.to_bits() & !0xff;
            (IpAddr::V4(base.into()), IpAddr::V4((base | 0xff).into()))
        }
        IpAddr::V6(ip) => {
            let base = ip.to_bits() >> 64 << 64;
            (IpAddr::V6(base.into()), IpAddr::V6((base | u128::from(u64::MAX)).into()))
        }
    };
    (SocketAddr::new(low, 0), SocketAddr::new(high, u16::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_and_far_are_told_apart() {
        for near in
            ["127.0.0.9", "10.1.2.3", "192.168.0.1", "169.254.3.4", "::1", "fd00::1", "fe80::1", "::ffff:10.0.0.1"]
        {
            assert!(is_local(near.parse().unwrap()), "{near}");
        }
        for far in ["8.8.8.8", "172.32.0.1", "2001:db8::1", "::ffff:9.9.9.9"] {
            assert!(!is_local(far.parse().unwrap()), "{far}");
        }
    }

    #[test]
    fn a_network_holds_its_neighbours() {
        let (low, high) = network("192.0.2.77".parse().unwrap());
        assert_eq!((low.to_string(), high.to_string()), ("192.0.2.0:0".into(), "192.0.2.255:65535".into()));
        let (low, high) = network("2001:db8:0:1::5".parse().unwrap());
        let within: SocketAddr = "[2001:db8:0:1:ffff::1]:9".parse().unwrap();
        assert!(low <= within && within <= high && "[2001:db8:0:2::]:1".parse::<SocketAddr>().unwrap() > high);
    }
}
