//! The TCP listening sockets for incoming peer connections.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};

use socket2::{Domain, Protocol, Socket, Type};

use crate::api::Listening;

/// How many ports after the configured one are tried.
const NEXT_PORTS: u16 = 10;
/// The accept backlog.
const BACKLOG: i32 = 512;

/// Non-blocking listening sockets that share one port.
pub(crate) struct Listeners {
    /// The sockets: IPv4, IPv6 or both.
    pub sockets: Vec<TcpListener>,
    /// Whether and where they listen.
    pub listening: Listening,
}

/// Listens on `port` of all addresses, or of `bind` only. If the port is taken, tries the next ten and then a port
/// chosen by the system. Port 0 lets the system choose at once. With `udp`, a port that is taken for UDP counts as taken,
/// so that the UDP endpoint can have the same one.
#[must_use]
pub(crate) fn listen(bind: Option<IpAddr>, port: u16, udp: bool) -> Listeners {
    let hosts = match bind {
        Some(ip) => vec![ip],
        None => vec![IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)],
    };
    let mut failed = None;
    let wished = (0..=NEXT_PORTS).map_while(|n| port.checked_add(n)).chain([0]);
    for candidate in wished {
        match on_port(&hosts, candidate, udp) {
            Ok((sockets, got)) => {
                let instead_of = Some(port).filter(|port| *port != 0 && *port != got);
                return Listeners { sockets, listening: Listening::On { port: got, instead_of } };
            }
            // The reason for the wished port is the one that the user can do something about.
            Err(error) => _ = failed.get_or_insert(Listening::Failed { port: candidate, error: error.to_string() }),
        }
    }
    Listeners { sockets: Vec::new(), listening: failed.unwrap_or(Listening::Starting) }
}

/// Listens on this port of all available hosts. Fails if the port is taken on one of them, or if no host works.
fn on_port(hosts: &[IpAddr], port: u16, udp: bool) -> io::Result<(Vec<TcpListener>, u16)> {
    let mut sockets = Vec::new();
    let mut port = port;
    let mut failed = None;
    for &host in hosts {
        match one(SocketAddr::new(host, port)) {
            Ok(socket) => {
                port = socket.local_addr()?.port();
                sockets.push(socket);
                if udp {
                    match UdpSocket::bind((host, port)) {
                        Err(error) if error.kind() == io::ErrorKind::AddrInUse => return Err(error),
                        _ => {}
                    }
                }
            }
            // One address family may be unavailable; a port that is taken in one family is not used at all.
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => return Err(error),
            Err(error) => failed = Some(error),
        }
    }
    match (sockets.is_empty(), failed) {
        (true, Some(error)) => Err(error),
        _ => Ok((sockets, port)),
    }
}

fn one(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    if addr.is_ipv6() {
        // So that an IPv4 socket can be bound to the same port.
        socket.set_only_v6(true)?;
    }
    // On Windows, SO_REUSEADDR would let two programs share the port.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_gives_the_next_and_says_so() {
        let host = Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let first = listen(host, 0, true);
        let taken = first.listening.port().unwrap();
        let second = listen(host, taken, true);
        let Listening::On { port, instead_of } = second.listening else { panic!("{:?}", second.listening) };
        assert!(port != taken && instead_of == Some(taken));
        assert!(second.listening.is_degraded() && !first.listening.is_degraded());
    }

    #[test]
    fn a_port_that_is_taken_for_udp_is_taken_if_udp_is_used() {
        let host = Ipv4Addr::LOCALHOST;
        let other = UdpSocket::bind((host, 0)).unwrap();
        let taken = other.local_addr().unwrap().port();
        assert_eq!(listen(Some(host.into()), taken, false).listening.port(), Some(taken));
        let Listening::On { port, instead_of } = listen(Some(host.into()), taken, true).listening else { panic!() };
        assert!(port != taken && instead_of == Some(taken));
    }

    #[test]
    fn both_families_share_a_port() {
        let all = listen(None, 0, true);
        let port = all.listening.port().unwrap();
        assert!(all.sockets.iter().all(|s| s.local_addr().unwrap().port() == port));
    }

    #[test]
    fn an_address_that_is_not_ours_is_said() {
        let foreign = listen(Some(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7))), 0, true);
        assert!(foreign.listening.port().is_none());
        assert!(matches!(&foreign.listening, Listening::Failed { error, .. } if !error.is_empty()));
    }
}
