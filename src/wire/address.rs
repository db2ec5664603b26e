//! What kind of address an IP address is, and the network of a host.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The kind of an IP address, by the IANA registries of special-purpose addresses (RFC 6890) and of multicast.
///
/// An IPv4-mapped IPv6 address is of the kind of its IPv4 address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum AddrClass {
    /// Routed on the Internet.
    Global,
    /// This machine: 127.0.0.0/8, `::1`.
    Loopback,
    /// Private networks (RFC 1918), unique local (RFC 4193) and site-local addresses (deprecated by RFC 3879).
    Private,
    /// The link only: 169.254.0.0/16, fe80::/10.
    LinkLocal,
    /// Behind the NAT of a carrier: 100.64.0.0/10 (RFC 6598).
    Shared,
    /// No address of a host yet: 0.0.0.0/8, `::`.
    Unspecified,
    Multicast,
    /// 255.255.255.255.
    Broadcast,
    /// For examples in documents.
    Documentation,
    /// For measurements in laboratories: 198.18.0.0/15, 2001:2::/48. Some proxies answer every name with such an
    /// address.
    Benchmarking,
    /// 240.0.0.0/4: no host has such an address.
    Reserved,
    /// For other purposes, or not assigned: not reachable from the whole Internet.
    Special,
}

impl AddrClass {
    /// Returns the kind of an address.
    #[must_use]
    pub(crate) fn of(ip: IpAddr) -> AddrClass {
        match ip {
            IpAddr::V4(ip) => Self::of_v4(ip),
            IpAddr::V6(ip) => ip.to_ipv4_mapped().map_or_else(|| Self::of_v6(ip), Self::of_v4),
        }
    }

    const fn of_v4(ip: Ipv4Addr) -> AddrClass {
        match ip.octets() {
            [0, ..] => AddrClass::Unspecified,
            [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => AddrClass::Private,
            [100, 64..=127, ..] => AddrClass::Shared,
            [127, ..] => AddrClass::Loopback,
            [169, 254, ..] => AddrClass::LinkLocal,
            // The anycast addresses of PCP and TURN are exceptions in the block of protocol assignments.
            [192, 0, 0, 9 | 10] => AddrClass::Global,
            [192, 0, 0, _] | [192, 88, 99, 2] => AddrClass::Special,
            [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => AddrClass::Documentation,
            [198, 18 | 19, ..] => AddrClass::Benchmarking,
            [224..=239, ..] => AddrClass::Multicast,
            [255, 255, 255, 255] => AddrClass::Broadcast,
            [240..=255, ..] => AddrClass::Reserved,
            _ => AddrClass::Global,
        }
    }

    const fn of_v6(ip: Ipv6Addr) -> AddrClass {
        match ip.segments() {
            [0, 0, 0, 0, 0, 0, 0, 0] => AddrClass::Unspecified,
            [0, 0, 0, 0, 0, 0, 0, 1] => AddrClass::Loopback,
            [0xfe80..=0xfebf, ..] => AddrClass::LinkLocal,
            [0xfec0..=0xfeff | 0xfc00..=0xfdff, ..] => AddrClass::Private,
            [0xff00..=0xffff, ..] => AddrClass::Multicast,
            [0x2001, 0x0db8, ..] | [0x3fff, 0..=0x0fff, ..] => AddrClass::Documentation,
            [0x2001, 0x0002, 0, ..] => AddrClass::Benchmarking,
            // Teredo, anycast, AMT, AS112, ORCHIDv2 and drones are exceptions in the block of protocol assignments.
            [0x2001, 0x0000 | 0x0003 | 0x0020..=0x003f, ..] | [0x2001, 0x0004, 0x0112, ..] => AddrClass::Global,
            [0x2001, 0x0001, 0, 0, 0, 0, 0, 1..=3] => AddrClass::Global,
            [0x2001, 0x0000..=0x01ff, ..] => AddrClass::Special,
            // NAT64 (RFC 6052) and 6to4 lead to the IPv4 address that they hold, which may be none of the Internet.
            [0x0064, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => {
                match Self::of_v4(Ipv4Addr::from_bits((high as u32) << 16 | low as u32)) {
                    AddrClass::Global => AddrClass::Global,
                    _ => AddrClass::Special,
                }
            }
            [0x2000..=0x3fff, ..] => AddrClass::Global,
            _ => AddrClass::Special,
        }
    }
}

/// Returns whether a host is this one or in the local network: a loopback, private or link-local address.
#[must_use]
pub(crate) fn is_local(ip: IpAddr) -> bool {
    matches!(AddrClass::of(ip), AddrClass::Loopback | AddrClass::Private | AddrClass::LinkLocal)
}

/// Returns whether an address may lead to a machine that the Internet does not reach.
///
/// Requests that anybody on the Internet can cause are sent there with care only. Addresses for documents and
/// measurements are no such ones: proxies use them for public hosts.
#[must_use]
pub(crate) fn is_internal(ip: IpAddr) -> bool {
    !matches!(AddrClass::of(ip), AddrClass::Global | AddrClass::Documentation | AddrClass::Benchmarking)
}

/// Returns whether one host can have this address.
#[must_use]
pub(crate) fn can_be_host(ip: IpAddr) -> bool {
    use AddrClass::{Broadcast, Multicast, Reserved, Unspecified};
    !matches!(AddrClass::of(ip), Unspecified | Multicast | Broadcast | Reserved)
}

/// Returns the lowest and highest socket address of the subnet of a host: /24 for IPv4, /64 for IPv6.
///
/// Untrusted peers are grouped by this subnet.
#[must_use]
pub(crate) fn network(ip: IpAddr) -> (SocketAddr, SocketAddr) {
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
    use super::AddrClass::{
        Benchmarking, Broadcast, Documentation, Global, LinkLocal, Loopback, Multicast, Private, Reserved, Shared,
        Special, Unspecified,
    };
    use super::*;

    /// The first and the last address of every entry of the registries, and the neighbors of both.
    const TABLE: &[(AddrClass, &str)] = &[
        (Unspecified, "0.0.0.0 0.255.255.255 :: ::ffff:0.0.0.0"),
        (Private, "10.0.0.0 10.255.255.255 172.16.0.0 172.31.255.255 192.168.0.0 192.168.255.255"),
        (
            Private,
            "fc00:: fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff fec0:: feff:ffff::1 ::ffff:10.1.2.3 ::ffff:172.16.0.1",
        ),
        (Special, "64:ff9b::10.0.0.1 64:ff9b::127.0.0.1 64:ff9b::c0a8:101 2002:a00:1:: 2002:c0a8:101::1 2002:7f00:1::"),
        (Shared, "100.64.0.0 100.127.255.255 ::ffff:100.64.0.1"),
        (Loopback, "127.0.0.0 127.0.0.1 127.255.255.255 ::1 ::ffff:127.0.0.1"),
        (LinkLocal, "169.254.0.0 169.254.255.255 fe80:: febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff ::ffff:169.254.1.1"),
        (Special, "192.0.0.0 192.0.0.8 192.0.0.11 192.0.0.170 192.0.0.255 192.88.99.2"),
        (Documentation, "192.0.2.0 192.0.2.255 198.51.100.0 198.51.100.255 203.0.113.0 203.0.113.255"),
        (
            Documentation,
            "2001:db8:: 2001:db8:ffff:ffff:ffff:ffff:ffff:ffff 3fff:: 3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff",
        ),
        (Benchmarking, "198.18.0.0 198.19.255.255 2001:2:: 2001:2:0:ffff:ffff:ffff:ffff:ffff"),
        (Multicast, "224.0.0.0 239.255.255.255 ff00:: ff02::1 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        (Reserved, "240.0.0.0 255.255.255.254"),
        (Broadcast, "255.255.255.255 ::ffff:255.255.255.255"),
        (Global, "1.0.0.0 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0 169.253.255.255"),
        (Global, "169.255.0.0 172.15.255.255 172.32.0.0 191.255.255.255 192.0.0.9 192.0.0.10 192.0.1.0 192.0.3.0"),
        (Global, "192.31.196.1 192.52.193.1 192.88.99.1 192.167.255.255 192.169.0.0 192.175.48.1 198.17.255.255"),
        (Global, "198.20.0.0 198.51.99.255 198.51.101.0 203.0.112.255 203.0.114.0 223.255.255.255 8.8.8.8"),
        (Global, "2000:: 2001::1 2001:1::1 2001:1::2 2001:1::3 2001:3::1 2001:4:112::1 2001:20::1 2001:3f:ffff::1"),
        (Global, "2001:200:: 2001:db7:ffff::1 2001:db9:: 2606:4700::1111 2620:4f:8000::1 3ffe:ffff::1 3fff:1000::"),
        (Global, "64:ff9b::8.8.8.8 2002:808:808::1 ::ffff:8.8.8.8"),
        (
            Special,
            "2001:1:: 2001:1::4 2001:2:1:: 2001:4:111:: 2001:4:113:: 2001:10:: 2001:1f:: 2001:40:: 2001:1ff:ffff::1",
        ),
        (Special, "64:ff9b:1:: 64:ff9b:1::10.0.0.1 64:ff9b:0:1:: 100:: 100:0:0:1:: 5f00:: 4000:: 1fff:ffff::1 ::2"),
        (Special, "::8.8.8.8 200::1 fbff:ffff::1 fe00:: fe7f:ffff::1"),
    ];

    #[test]
    fn addresses_are_of_the_kind_that_the_registries_give_them() {
        for (class, addresses) in TABLE {
            for ip in addresses.split(' ') {
                assert_eq!(AddrClass::of(ip.parse().unwrap()), *class, "{ip}");
            }
        }
    }

    #[test]
    fn what_follows_from_the_kind() {
        let all = [
            Global,
            Loopback,
            Private,
            LinkLocal,
            Shared,
            Unspecified,
            Multicast,
            Broadcast,
            Documentation,
            Benchmarking,
            Reserved,
            Special,
        ];
        for class in all {
            let ips = TABLE.iter().filter(|(of, _)| *of == class).flat_map(|(_, ips)| ips.split(' '));
            for ip in ips.map(|ip| ip.parse::<IpAddr>().unwrap()) {
                assert_eq!(is_local(ip), [Loopback, Private, LinkLocal].contains(&class), "{ip}");
                assert_eq!(is_internal(ip), ![Global, Documentation, Benchmarking].contains(&class), "{ip}");
                assert_eq!(can_be_host(ip), ![Unspecified, Multicast, Broadcast, Reserved].contains(&class), "{ip}");
            }
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
