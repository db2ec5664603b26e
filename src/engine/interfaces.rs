//! The network interfaces of this host. Lists the interfaces for LSD multicast, tells which addresses are local, and
//! finds our own addresses.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

use if_addrs::{IfAddr, IfOperStatus};

use crate::wire::address::{self, AddrClass};

/// A network interface.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Interface {
    /// The interface index.
    pub index: u32,
    /// An IPv4 address of the interface.
    pub v4: Option<Ipv4Addr>,
    /// An IPv6 address of the interface.
    pub v6: Option<Ipv6Addr>,
    /// The networks of the interface: address and prefix length.
    nets: Vec<(IpAddr, u8)>,
}

impl Interface {
    /// Returns whether both describe the same interface for the purpose of multicast group membership.
    #[must_use]
    pub(crate) fn same(&self, other: &Interface) -> bool {
        self.index == other.index && self.v4 == other.v4 && self.v6.is_some() == other.v6.is_some()
    }

    /// Returns whether LSD uses IPv6 on this interface. Next to an IPv4 address, a link-local IPv6 address is not
    /// used, because it reaches the same hosts.
    #[must_use]
    pub(crate) fn speaks_v6(&self) -> bool {
        self.v6.is_some_and(|ip| self.v4.is_none() || !ip.is_unicast_link_local())
    }

    /// Returns whether an address is local. That is private, link-local or loopback, or within a network of this
    /// interface.
    #[must_use]
    pub(crate) fn is_local(&self, ip: IpAddr) -> bool {
        address::is_local(ip) || self.nets.iter().any(|(net, length)| within(ip, *net, *length))
    }
}

/// Returns whether an address lies in a network. A prefix length of 0 matches nothing.
fn within(ip: IpAddr, net: IpAddr, length: u8) -> bool {
    match (ip, net) {
        (IpAddr::V4(a), IpAddr::V4(b)) if (1..=32).contains(&length) => {
            (a.to_bits() ^ b.to_bits()) >> (32 - length) == 0
        }
        (IpAddr::V6(a), IpAddr::V6(b)) if (1..=128).contains(&length) => {
            (a.to_bits() ^ b.to_bits()) >> (128 - length) == 0
        }
        _ => false,
    }
}

/// Lists the interfaces that are up: the one with the address `bind`, or all. Loopback is included only if it is
/// bound to, or if there is no other interface.
///
/// # Errors
/// If the system cannot list the interfaces.
pub(crate) fn list(bind: Option<IpAddr>) -> io::Result<Vec<Interface>> {
    let all = if_addrs::get_if_addrs()?;
    let up = |it: &if_addrs::Interface| !matches!(it.oper_status, IfOperStatus::Down | IfOperStatus::NotPresent);
    let mut found: BTreeMap<u32, (Interface, bool)> = BTreeMap::new();
    for it in all.iter().filter(|it| up(it)) {
        let Some(index) = it.index else { continue };
        let (interface, wanted) = found.entry(index).or_default();
        interface.index = index;
        *wanted |= match bind {
            // Every address of 127.0.0.0/8 is an address of the loopback interface.
            Some(bind) => it.ip() == bind || (bind.is_loopback() && it.is_loopback()),
            None => !it.is_loopback(),
        };
        let length = match &it.addr {
            IfAddr::V4(v4) => {
                // A link-local address is used only if there is no other.
                interface.v4 = interface.v4.filter(|ip| !ip.is_link_local()).or(Some(v4.ip));
                v4.prefixlen
            }
            IfAddr::V6(v6) => {
                interface.v6 = interface.v6.filter(|ip| !ip.is_unicast_link_local()).or(Some(v6.ip));
                v6.prefixlen
            }
        };
        interface.nets.push((it.ip(), length));
    }
    let alone = bind.is_none() && found.values().all(|(_, wanted)| !wanted);
    let mut chosen: Vec<Interface> =
        found.into_values().filter(|(_, wanted)| *wanted || alone).map(|(interface, _)| interface).collect();
    for interface in &mut chosen {
        match bind {
            Some(IpAddr::V4(ip)) => (interface.v4, interface.v6) = (Some(ip), None),
            Some(IpAddr::V6(ip)) => (interface.v4, interface.v6) = (None, Some(ip)),
            None => {}
        }
    }
    Ok(chosen)
}

/// Returns the addresses of this host on its networks, without loopback and link-local addresses. IPv4 comes before
/// IPv6, and the source address of the default route first.
#[must_use]
pub(crate) fn local_addresses(bind: Option<IpAddr>) -> Vec<IpAddr> {
    if let Some(ip) = bind {
        return vec![ip];
    }
    let usable = |ip: &IpAddr| !matches!(AddrClass::of(*ip), AddrClass::Loopback | AddrClass::LinkLocal);
    let main = main_address();
    let all = if_addrs::get_if_addrs().unwrap_or_default();
    let up = all.iter().filter(|it| !matches!(it.oper_status, IfOperStatus::Down | IfOperStatus::NotPresent));
    let mut found: Vec<(u32, IpAddr)> =
        up.map(|it| (it.index.unwrap_or(0), it.ip())).filter(|(_, ip)| usable(ip)).collect();
    found.sort_by_key(|(index, ip)| (ip.is_ipv6(), Some(*ip) != main, *index));
    let mut addresses: Vec<IpAddr> = found.into_iter().map(|(_, ip)| ip).collect();
    addresses.dedup();
    addresses
}

/// Returns the source address of the default IPv4 route. Connects a UDP socket, which sends no packet.
fn main_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect((Ipv4Addr::new(198, 51, 100, 1), 9)).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_is_who_has_a_local_address_or_one_of_our_networks() {
        let nets = [("203.0.113.9", 24), ("2001:db8:1::9", 64), ("198.51.100.1", 0)];
        let nets = nets.map(|(ip, length)| (ip.parse().unwrap(), length)).to_vec();
        let interface = Interface { index: 2, nets, ..Interface::default() };
        for (ip, near) in [
            ("192.168.1.2", true),
            ("10.1.2.3", true),
            ("172.31.0.1", true),
            ("172.32.0.1", false),
            ("169.254.3.4", true),
            ("127.0.0.5", true),
            ("203.0.113.200", true),
            ("203.0.114.1", false),
            ("8.8.8.8", false),
            ("0.0.0.0", false),
            ("fe80::1", true),
            ("fd00::1", true),
            ("::1", true),
            ("2001:db8:1::1", true),
            ("2001:db8:2::1", false),
        ] {
            assert_eq!(interface.is_local(ip.parse().unwrap()), near, "{ip}");
        }
    }

    #[test]
    fn the_loopback_is_listed_where_it_is_bound_to() {
        let bind = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 7));
        let found = list(Some(bind)).unwrap();
        assert!(found.len() == 1 && found[0].v4 == Some(Ipv4Addr::new(127, 0, 0, 7)) && found[0].v6.is_none());
        assert!(list(Some("203.0.113.7".parse().unwrap())).unwrap().is_empty());
        assert!(list(None).unwrap().iter().all(|it| it.index > 0));
        let (v4, link, wide) = (Some(Ipv4Addr::LOCALHOST), "fe80::1".parse().ok(), "fd00::1".parse().ok());
        for (v4, v6, speaks) in
            [(v4, link, false), (v4, wide, true), (None, link, true), (None, wide, true), (v4, None, false)]
        {
            assert_eq!(Interface { v4, v6, ..Interface::default() }.speaks_v6(), speaks, "{v4:?} {v6:?}");
        }
        assert_eq!(local_addresses(Some(bind)), [bind]);
        assert!(local_addresses(None).iter().all(|ip| !ip.is_loopback()));
    }
}
