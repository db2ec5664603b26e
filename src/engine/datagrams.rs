//! The UDP port that the DHT and uTP share: one thread waits for its packets, and for what peers' threads say to those
//! who are reached by uTP.
//!
//! Off means off: where neither is wished for there is no socket.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, unbounded};
use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token, Waker};
use socket2::{Domain, Protocol, Socket, Type};

use super::dht::{self, Node, NodeConfig};
use super::greet::Greeter;
use super::threads::Crew;
use super::utp::{self, Utp};
use crate::limits;

/// Packets read of one socket before other things get their turn.
const AT_ONCE: usize = 256;
const WAKE: Token = Token(2);
/// Tokens from here on are connections of uTP.
const FIRST: usize = 16;
/// What a socket may hold in each direction, in bytes, where the system gives so much.
const BUFFER: usize = 2 * limits::MIB;
/// The longest wait.
const LOOK: Duration = Duration::from_secs(60);

/// What is wished for.
pub struct Wishes {
    /// The only address to use.
    pub bind: Option<IpAddr>,
    /// The port; another one where it is taken.
    pub port: u16,
    /// Be a node of the DHT.
    pub dht: Option<NodeConfig>,
    /// Speak uTP: who comes by it is greeted there.
    pub utp: Option<Greeter>,
}

/// The thread of the port. It ends when this is dropped.
pub struct Datagrams {
    orders: Orders,
    over: AtomicBool,
    /// The way to our DHT node, if there is one.
    pub dht: Option<Node>,
    /// The way to those who are reached by uTP, if it is spoken.
    pub utp: Option<Utp>,
}

enum Order {
    Dht(dht::Order),
    Utp(utp::Order),
    Stop,
}

/// The way to the thread.
#[derive(Clone)]
pub(super) struct Orders {
    queue: Sender<Order>,
    waker: Arc<Waker>,
}

impl Orders {
    pub(super) fn dht(&self, order: dht::Order) {
        self.give(Order::Dht(order));
    }

    pub(super) fn utp(&self, order: utp::Order) {
        self.give(Order::Utp(order));
    }

    fn give(&self, order: Order) {
        if self.queue.send(order).is_ok() {
            let _ = self.waker.wake();
        }
    }
}

impl Datagrams {
    /// Starts it.
    ///
    /// # Errors
    /// When there is no socket, no thread or no source of chance.
    pub fn start(crew: &Crew, wishes: Wishes) -> io::Result<Datagrams> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKE)?);
        let mut sockets = Sockets::open(wishes.bind, wishes.port)?;
        for (at, socket) in sockets.sockets.iter_mut().enumerate() {
            if let Some(socket) = socket {
                poll.registry().register(socket, Token(at), Interest::READABLE)?;
            }
        }
        let (queue, todo) = unbounded();
        let orders = Orders { queue, waker: Arc::clone(&waker) };
        let (node, dht) = match wishes.dht {
            Some(config) => {
                let (tenant, node) = dht::Tenant::new(crew, config, &sockets, orders.clone())?;
                (Some(tenant), Some(node))
            }
            None => (None, None),
        };
        let utp = wishes.utp.is_some().then(|| Utp::new(orders.clone()));
        let peers = wishes.utp.map(|greeter| utp::Tenant::new(greeter, FIRST));
        let work = Work { poll, waker, sockets, todo, dht: node, utp: peers };
        crew.spawn("datagrams".to_owned(), move || work.run(), |_| ())?;
        Ok(Datagrams { orders, over: AtomicBool::new(false), dht, utp })
    }

    /// Ends it. Those who are reached by uTP are told so.
    pub fn stop(&self) {
        if !self.over.swap(true, Ordering::Relaxed) {
            self.orders.give(Order::Stop);
        }
    }
}

impl Drop for Datagrams {
    fn drop(&mut self) {
        self.stop();
    }
}

struct Work {
    poll: Poll,
    waker: Arc<Waker>,
    sockets: Sockets,
    todo: Receiver<Order>,
    dht: Option<dht::Tenant>,
    utp: Option<utp::Tenant>,
}

impl Work {
    fn run(mut self) {
        let mut events = Events::with_capacity(256);
        let mut buffer = vec![0; limits::UTP_PACKET + 1];
        loop {
            let now = Instant::now();
            if self.obey(now).is_err() {
                return self.end(now);
            }
            for at in [0, 1] {
                self.read(at, now, &mut buffer);
            }
            let mut next = now + LOOK;
            if let Some(dht) = &mut self.dht {
                dht.work(now, &self.sockets);
                next = next.min(dht.deadline());
            }
            if let Some(utp) = &mut self.utp {
                utp.work(now, &self.sockets, self.poll.registry());
                next = next.min(utp.deadline(now));
            }
            let wait = next.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            if let Err(error) = self.poll.poll(&mut events, Some(wait))
                && error.kind() != ErrorKind::Interrupted
            {
                log::error!("the UDP port cannot wait for its sockets: {error}");
                return self.end(now);
            }
            if let Some(utp) = &mut self.utp {
                events.iter().filter(|event| event.token().0 >= FIRST).for_each(|event| {
                    utp.stirred(event.token().0, event.is_readable(), event.is_writable());
                });
            }
        }
    }

    /// Takes in orders; an error means to stop.
    fn obey(&mut self, now: Instant) -> Result<(), ()> {
        for order in self.todo.try_iter() {
            match (order, &mut self.dht, &mut self.utp) {
                (Order::Stop, ..) => return Err(()),
                (Order::Dht(order), Some(dht), _) => dht.obey(now, order),
                (Order::Utp(order), _, Some(utp)) => utp.obey(now, order),
                (Order::Dht(_) | Order::Utp(_), ..) => (),
            }
        }
        Ok(())
    }

    /// Packets that have come by one socket.
    fn read(&mut self, at: usize, now: Instant, buffer: &mut [u8]) {
        let Some(socket) = &self.sockets.sockets[at] else { return };
        for _ in 0..AT_ONCE {
            match socket.recv_from(buffer) {
                Ok((n, from)) if self.sockets.may(from) => match (&buffer[..n], &mut self.utp, &mut self.dht) {
                    (packet, Some(utp), _) if crate::wire::utp::begins(packet) => utp.received(now, from, packet),
                    (packet, _, Some(dht)) if n <= limits::DHT_PACKET => dht.received(now, from, packet),
                    _ => (),
                },
                Ok(_) => (),
                Err(e) if e.kind() == ErrorKind::WouldBlock => return,
                // What became of an earlier packet says nothing of the socket.
                Err(e) => log::trace!("a packet came back: {e}"),
            }
        }
        // There may be more, and nobody will say so again.
        let _ = self.waker.wake();
    }

    fn end(mut self, now: Instant) {
        if let Some(dht) = &self.dht {
            dht.save();
        }
        if let Some(utp) = &mut self.utp {
            utp.end(now, &self.sockets);
        }
    }
}

/// A socket for each family that there is, on one port.
pub(super) struct Sockets {
    sockets: [Option<UdpSocket>; 2],
    port: u16,
    /// They stay on this machine.
    local: bool,
}

impl Sockets {
    /// On this port, or another one where that is taken.
    fn open(bind: Option<IpAddr>, port: u16) -> io::Result<Sockets> {
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

    /// Which families there are: IPv4, IPv6.
    pub(super) fn families(&self) -> [bool; 2] {
        self.sockets.each_ref().map(Option::is_some)
    }

    pub(super) const fn port(&self) -> u16 {
        self.port
    }

    /// Whether only this machine is spoken to.
    pub(super) const fn is_local(&self) -> bool {
        self.local
    }

    fn may(&self, addr: SocketAddr) -> bool {
        !self.local || addr.ip().is_loopback()
    }

    /// Sends a packet; false when there is no way to that address.
    pub(super) fn send(&self, to: SocketAddr, packet: &[u8]) -> bool {
        let socket = self.sockets[usize::from(to.is_ipv6())].as_ref().filter(|_| self.may(to));
        socket.is_some_and(|socket| match socket.send_to(packet, to) {
            Ok(_) => true,
            // One for which there is no room is lost, as any other may be.
            Err(error) => matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted),
        })
    }
}

fn open(addr: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP))?;
    if addr.is_ipv6() {
        // So that IPv4 can have the same port on a socket of its own.
        socket.set_only_v6(true)?;
    }
    // As much as the system gives.
    let _ = socket.set_recv_buffer_size(BUFFER).and_then(|()| socket.set_send_buffer_size(BUFFER));
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    Ok(UdpSocket::from_std(socket.into()))
}
