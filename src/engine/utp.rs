//! uTP (BEP 29) on the shared UDP endpoint (`super::udp_endpoint`). Drives a [`Connection`] state machine per stream
//! and bridges each stream to a local socket pair, which looks like a TCP connection to the connector and to the
//! peer's threads.
//!
//! An incoming connection gets its socket pair only after its second packet has proven the source address. Until then
//! it costs little, and at the limit the oldest such connection is dropped.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

use super::udp_socket::{Sockets, UdpHandle, UtpDialRequest};
use crate::limits;
use crate::swarm::rate::BurstLimiter;
use crate::swarm::torrent::DisconnectReason;
use crate::swarm::utp::{CloseReason, Connection, Phase};
use crate::wire::utp::{Header, Kind, Packet};

/// The maximum number of bytes read from a socket pair at once.
const READ: usize = 64 * limits::KIB;

/// Handle for uTP dials. Clones refer to the same thread.
#[derive(Clone)]
pub(crate) struct Utp(UdpHandle);

impl Utp {
    pub(super) const fn new(orders: UdpHandle) -> Utp {
        Utp(orders)
    }

    /// Dials an address over uTP; a [`UtpEvent`] with this ticket is the result.
    pub(super) fn call(&self, ticket: u64, addr: SocketAddr) {
        self.0.utp(UtpDialRequest { ticket, addr });
    }
}

/// What becomes of uTP connections. A `socket` is the local end for the peer's threads.
pub(crate) enum UtpEvent {
    /// The dial with this ticket has connected.
    Connected { ticket: u64, socket: std::net::TcpStream },
    /// The dial with this ticket has failed.
    Failed { ticket: u64, why: DisconnectReason },
    /// A peer has connected.
    Accepted { socket: std::net::TcpStream, addr: SocketAddr },
}

/// Receives the events on the thread of the UDP endpoint; must not block.
pub(crate) type UtpEventHandler = Box<dyn Fn(UtpEvent) + Send>;

/// The peer's address and the connection id of packets received from the peer.
type Key = (SocketAddr, u16);

/// A uTP connection.
struct UtpStream {
    link: Connection,
    began: Instant,
    /// The ticket of an outgoing connection until its result is reported.
    ticket: Option<u64>,
    local: Option<LocalEnd>,
}

/// Our end of a socket pair; the other end belongs to the peer's threads.
struct LocalEnd {
    socket: TcpStream,
    token: usize,
    /// Whether the socket may be readable or writable.
    readable: bool,
    writable: bool,
    /// The peer's threads have closed their end or no longer read from it.
    read_closed: bool,
    /// The end of the stream was passed on (write shutdown).
    shutdown_sent: bool,
}

/// Drives all uTP connections on the thread of the UDP endpoint.
pub(super) struct UtpDriver {
    on_event: UtpEventHandler,
    epoch: Instant,
    streams: BTreeMap<Key, UtpStream>,
    tokens: BTreeMap<usize, Key>,
    first: usize,
    next: usize,
    /// Connections to be processed by the next `work`.
    ready: BTreeSet<Key>,
    resets: BurstLimiter,
    /// Packets to send that belong to no connection.
    loose: Vec<(SocketAddr, Vec<u8>)>,
    buffer: Vec<u8>,
}

impl UtpDriver {
    /// Creates the driver; `first` is the first poll token it may use.
    pub(super) fn new(on_event: UtpEventHandler, first: usize) -> UtpDriver {
        let now = Instant::now();
        UtpDriver {
            on_event,
            epoch: now,
            streams: BTreeMap::new(),
            tokens: BTreeMap::new(),
            first,
            next: first,
            ready: BTreeSet::new(),
            resets: BurstLimiter::new(now, limits::UTP_RESETS, limits::UTP_RESETS),
            loose: Vec::new(),
            buffer: vec![0; READ],
        }
    }

    /// Starts an outgoing connection.
    pub(super) fn start_dial(&mut self, now: Instant, UtpDialRequest { ticket, addr }: UtpDialRequest) {
        let free = |number: &u16| !self.streams.contains_key(&(addr, *number));
        let Some(number) = (0..16).map(|_| fastrand::u16(..)).find(free) else {
            let why = DisconnectReason::TooManyConnections;
            return (self.on_event)(UtpEvent::Failed { ticket, why });
        };
        let link = Connection::connect(now, self.epoch, number, fastrand::u16(..));
        self.streams.insert((addr, number), UtpStream { link, began: now, ticket: Some(ticket), local: None });
        self.ready.insert((addr, number));
    }

    /// Passes a packet to its connection, accepts a SYN, or answers an unknown connection with a reset.
    pub(super) fn received(&mut self, now: Instant, from: SocketAddr, bytes: &[u8]) {
        let Ok(packet) = Packet::decode(bytes) else { return };
        let header = packet.header;
        if header.kind == Kind::Syn {
            return self.on_syn(now, from, &packet);
        }
        // Some implementations send ST_RESET with their own receive id, which is ours plus or minus one.
        let numbers = [header.connection, header.connection.wrapping_sub(1), header.connection.wrapping_add(1)];
        let numbers = if header.kind == Kind::Reset { &numbers[..] } else { &numbers[..1] };
        let key = numbers.iter().map(|number| (from, *number)).find(|key| self.streams.contains_key(key));
        match key.and_then(|key| Some((key, self.streams.get_mut(&key)?))) {
            Some((key, stream)) => {
                stream.link.received(now, &packet);
                self.ready.insert(key);
            }
            None if header.kind != Kind::Reset => self.refuse(now, from, &header),
            None => (),
        }
    }

    fn on_syn(&mut self, now: Instant, from: SocketAddr, packet: &Packet<'_>) {
        let key = (from, packet.header.connection.wrapping_add(1));
        if let Some(stream) = self.streams.get_mut(&key) {
            stream.link.received(now, packet);
            self.ready.insert(key);
            return;
        }
        let pending = self.streams.iter().filter(|(_, stream)| stream.link.phase() == Phase::SynReceived);
        let (count, oldest) = pending.fold((0, None::<(Instant, Key)>), |(count, oldest), (key, stream)| {
            (count + 1, oldest.into_iter().chain([(stream.began, *key)]).min())
        });
        if count >= limits::UTP_CALLERS
            && let Some((_, oldest)) = oldest
        {
            self.streams.remove(&oldest);
            self.ready.remove(&oldest);
        }
        if self.streams.len() >= limits::UTP_LINKS {
            return;
        }
        let link = Connection::accept(now, self.epoch, &packet.header, fastrand::u16(..));
        self.streams.insert(key, UtpStream { link, began: now, ticket: None, local: None });
        self.ready.insert(key);
    }

    /// Queues an `ST_RESET` for a packet of an unknown connection, subject to a rate limit.
    fn refuse(&mut self, now: Instant, to: SocketAddr, theirs: &Header) {
        if self.resets.take(now) {
            let (connection, ack) = (theirs.connection, theirs.seq);
            let seq = fastrand::u16(..);
            let header = Header { kind: Kind::Reset, connection, sent: 0, delay: 0, window: 0, seq, ack };
            self.loose.push((to, header.encode(&[], &[])));
        }
    }

    /// Records that our end of a socket pair has become readable or writable.
    pub(super) fn on_socket_event(&mut self, token: usize, readable: bool, writable: bool) {
        let Some(key) = self.tokens.get(&token) else { return };
        if let Some(local) = self.streams.get_mut(key).and_then(|stream| stream.local.as_mut()) {
            local.readable |= readable;
            local.writable |= writable;
            self.ready.insert(*key);
        }
    }

    /// Returns when [`work`](Self::work) must be called even without a packet or a socket event.
    pub(super) fn deadline(&self, now: Instant) -> Instant {
        let at = |stream: &UtpStream| match stream.link.phase() {
            Phase::SynReceived => stream.link.deadline().min(stream.began + limits::UTP_CALLER),
            _ => stream.link.deadline(),
        };
        self.streams.values().map(at).min().unwrap_or(now + Duration::from_secs(60))
    }

    /// Runs due timers and transfers bytes between uTP connections and socket pairs.
    pub(super) fn work(&mut self, now: Instant, sockets: &Sockets, registry: &Registry) {
        let due = self.streams.iter().filter(|(_, stream)| stream.link.deadline() <= now).map(|(key, _)| *key);
        let mut todo = std::mem::take(&mut self.ready);
        todo.extend(due);
        for key in todo {
            self.process(now, key, sockets, registry);
        }
        let early =
            |stream: &UtpStream| stream.link.phase() == Phase::SynReceived && now >= stream.began + limits::UTP_CALLER;
        self.streams.retain(|_, stream| !early(stream));
        for (to, packet) in self.loose.drain(..) {
            sockets.send(to, &packet);
        }
    }

    fn process(&mut self, now: Instant, key: Key, sockets: &Sockets, registry: &Registry) {
        let Some(stream) = self.streams.get_mut(&key) else { return };
        if stream.link.phase() == Phase::Connected && stream.local.is_none() {
            let token = self.next;
            match socket_pair(registry, token) {
                Ok((local, remote)) => {
                    stream.local = Some(local);
                    self.tokens.insert(token, key);
                    self.next = if token >= usize::MAX - 1 { self.first } else { token + 1 };
                    match stream.ticket.take() {
                        Some(ticket) => (self.on_event)(UtpEvent::Connected { ticket, socket: remote }),
                        None => (self.on_event)(UtpEvent::Accepted { socket: remote, addr: key.0 }),
                    }
                }
                Err(error) => {
                    tracing::warn!("no sockets for a peer by uTP: {error}");
                    stream.link.reset();
                }
            }
        }
        let mut out = Vec::new();
        stream.carry(now, &mut self.buffer, &mut out);
        let sent = out.iter().all(|packet| sockets.send(key.0, packet));
        if !sent && stream.link.phase() == Phase::SynSent {
            // The address is unreachable: fail at once instead of waiting for the timeout.
            stream.link.reset();
        }
        if let Phase::Closed(end) = stream.link.phase()
            && let Some(mut stream) = self.streams.remove(&key)
        {
            if let Some(local) = &mut stream.local {
                let _ = registry.deregister(&mut local.socket);
                self.tokens.remove(&local.token);
            }
            if let Some(ticket) = stream.ticket {
                let why = match end {
                    CloseReason::Silent => DisconnectReason::TimedOut("connecting"),
                    CloseReason::Reset | CloseReason::Finished => {
                        DisconnectReason::Network("connection refused".to_owned())
                    }
                };
                (self.on_event)(UtpEvent::Failed { ticket, why });
            }
        }
    }

    /// Sends `ST_FIN` on all connections before shutdown.
    pub(super) fn end(&mut self, now: Instant, sockets: &Sockets) {
        for ((addr, _), stream) in &mut self.streams {
            let mut out = Vec::new();
            stream.link.finish(now);
            stream.link.flush(now, &mut out);
            for packet in out {
                sockets.send(*addr, &packet);
            }
        }
    }
}

impl UtpStream {
    /// Transfers bytes in both directions until neither can make progress.
    fn carry(&mut self, now: Instant, buffer: &mut [u8], out: &mut Vec<Vec<u8>>) {
        loop {
            if let Some(local) = &mut self.local {
                local.write_received(&mut self.link);
                local.collect(now, &mut self.link, buffer);
            }
            self.link.flush(now, out);
            // The window may be larger than one read, and a timer may have opened it.
            if self.local.as_ref().is_none_or(|local| !local.readable) || self.link.allows() == 0 {
                return;
            }
        }
    }
}

impl LocalEnd {
    /// Writes received data to the peer's threads.
    fn write_received(&mut self, link: &mut Connection) {
        while !link.ready().is_empty() && (self.writable || self.read_closed) {
            let ready = link.ready();
            if self.read_closed {
                let all = ready.len();
                link.take(all);
                continue;
            }
            match self.socket.write(ready) {
                Ok(n) => link.take(n),
                Err(e) if e.kind() == ErrorKind::Interrupted => (),
                Err(e) if e.kind() == ErrorKind::WouldBlock => self.writable = false,
                Err(_) => self.read_closed = true,
            }
        }
        if link.ended() && !self.shutdown_sent {
            self.shutdown_sent = true;
            let _ = self.socket.shutdown(Shutdown::Write);
        }
    }

    /// Reads data from the peer's threads and passes it to the connection.
    fn collect(&mut self, now: Instant, link: &mut Connection, buffer: &mut [u8]) {
        while self.readable {
            let most = link.allows().min(buffer.len());
            if most == 0 {
                return;
            }
            match self.socket.read(&mut buffer[..most]) {
                Ok(n) if n > 0 => link.send(now, &buffer[..n]),
                Err(e) if e.kind() == ErrorKind::Interrupted => (),
                Err(e) if e.kind() == ErrorKind::WouldBlock => self.readable = false,
                // The peer's threads have closed their end.
                Ok(_) | Err(_) => {
                    (self.readable, self.read_closed) = (false, true);
                    link.finish(now);
                }
            }
        }
    }
}

/// Creates a socket pair and registers our end with the poll.
fn socket_pair(registry: &Registry, token: usize) -> io::Result<(LocalEnd, std::net::TcpStream)> {
    let (local, remote) = pair()?;
    local.set_nonblocking(true)?;
    let mut socket = TcpStream::from_std(local);
    registry.register(&mut socket, Token(token), Interest::READABLE | Interest::WRITABLE)?;
    Ok((LocalEnd { socket, token, readable: true, writable: true, read_closed: false, shutdown_sent: false }, remote))
}

/// Creates a connected pair of local stream sockets.
#[cfg(unix)]
fn pair() -> io::Result<(std::net::TcpStream, std::net::TcpStream)> {
    use std::os::fd::OwnedFd;
    let (local, remote) = std::os::unix::net::UnixStream::pair()?;
    // Read, write and shutdown work the same on any stream socket, so a `TcpStream` may wrap a Unix one.
    Ok((OwnedFd::from(local).into(), OwnedFd::from(remote).into()))
}

/// Creates a connected pair of local stream sockets.
#[cfg(not(unix))]
fn pair() -> io::Result<(std::net::TcpStream, std::net::TcpStream)> {
    let door = std::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0))?;
    let local = std::net::TcpStream::connect(door.local_addr()?)?;
    let ours = local.local_addr()?;
    // Another process may have connected first.
    for _ in 0..16 {
        let (remote, from) = door.accept()?;
        if from == ours {
            local.set_nodelay(true)?;
            return Ok((local, remote));
        }
    }
    Err(ErrorKind::ConnectionRefused.into())
}

#[cfg(test)]
mod tests;
