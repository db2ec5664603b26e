//! The sockets of the UDP endpoint (`super::udp_endpoint`), and the requests to its thread.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, unbounded};
use mio::Waker;
use mio::net::UdpSocket;
use socket2::{Domain, Protocol, Socket, Type};

use super::inbox::TorrentHandle;
use crate::limits;
use crate::wire::message::InfoHash;

/// The requested size of a socket's send and receive buffers, in bytes.
const BUFFER: usize = 2 * limits::MIB;

/// A request to the endpoint's thread.
pub(super) enum UdpRequest {
    Dht(DhtRequest),
    Utp(UtpDialRequest),
    Stop,
}

/// Sends requests to the endpoint's thread.
#[derive(Clone)]
pub(super) struct UdpHandle {
    queue: Sender<UdpRequest>,
    waker: Arc<Waker>,
}

impl UdpHandle {
    /// Returns the handle and the queue that the thread behind `waker` reads.
    pub(super) fn new(waker: Arc<Waker>) -> (UdpHandle, Receiver<UdpRequest>) {
        let (queue, todo) = unbounded();
        (UdpHandle { queue, waker }, todo)
    }

    pub(super) fn dht(&self, order: DhtRequest) {
        self.give(UdpRequest::Dht(order));
    }

    pub(super) fn utp(&self, order: UtpDialRequest) {
        self.give(UdpRequest::Utp(order));
    }

    pub(super) fn give(&self, order: UdpRequest) {
        if self.queue.send(order).is_ok() {
            let _ = self.waker.wake();
        }
    }
}

/// A request to the DHT node.
pub(super) enum DhtRequest {
    Seek(InfoHash, Option<u16>, TorrentHandle),
    Forget(InfoHash),
    AddNode(SocketAddr),
    /// The addresses of the bootstrap nodes that could be resolved.
    Begin(Vec<SocketAddr>),
}

/// A request to connect to an address; `ticket` identifies the dial in the answer to the connector.
#[derive(Clone, Copy)]
pub(super) struct UtpDialRequest {
    pub(super) ticket: u64,
    pub(super) addr: SocketAddr,
}

/// One socket per available address family, on the same port.
pub(super) struct Sockets {
    pub(super) sockets: [Option<UdpSocket>; 2],
    port: u16,
    /// Only loopback addresses are contacted.
    local: bool,
}

impl Sockets {
    /// Opens the sockets on this port, or on a port chosen by the system if it is taken.
    pub(super) fn open(bind: Option<IpAddr>, port: u16) -> io::Result<Sockets> {
        let hosts = match bind {
            Some(ip) => vec![ip],
            None => vec![IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)],
        };
        let local = bind.is_some_and(|ip| ip.is_loopback());
        let mut why = io::Error::from(ErrorKind::AddrNotAvailable);
        for port in [port, 0] {
            let (mut sockets, mut port) = ([None, None], port);
            for host in &hosts {
                match open(SocketAddr::new(*host, port)) {
                    Ok(socket) => {
                        port = socket.local_addr()?.port();
                        sockets[usize::from(host.is_ipv6())] = Some(socket);
                    }
                    Err(error) => why = error,
                }
            }
            if sockets.iter().any(Option::is_some) {
                return Ok(Sockets { sockets, port, local });
            }
        }
        Err(why)
    }

    /// Returns which address families are available: IPv4, IPv6.
    pub(super) fn families(&self) -> [bool; 2] {
        self.sockets.each_ref().map(Option::is_some)
    }

    pub(super) const fn port(&self) -> u16 {
        self.port
    }

    /// Returns whether only loopback addresses are contacted.
    pub(super) const fn is_local(&self) -> bool {
        self.local
    }

    pub(super) fn may(&self, addr: SocketAddr) -> bool {
        !self.local || addr.ip().is_loopback()
    }

    /// Sends a packet; returns false if the address cannot be reached.
    pub(super) fn send(&self, to: SocketAddr, packet: &[u8]) -> bool {
        let socket = self.sockets[usize::from(to.is_ipv6())].as_ref().filter(|_| self.may(to));
        socket.is_some_and(|socket| match socket.send_to(packet, to) {
            Ok(_) => true,
            // A full send buffer loses the packet, as the network may lose any other.
            Err(error) => matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted),
        })
    }
}

fn open(addr: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP))?;
    if addr.is_ipv6() {
        // So that an IPv4 socket can be bound to the same port.
        socket.set_only_v6(true)?;
    }
    // Best effort: the system may limit the size.
    let _ = socket.set_recv_buffer_size(BUFFER).and_then(|()| socket.set_send_buffer_size(BUFFER));
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    Ok(UdpSocket::from_std(socket.into()))
}
