//! uTP's end of the UDP port ([`super::datagrams`]): a [`Link`] for each connection, and a local pair of sockets that
//! makes it look like any other to the greeter and to the threads of a peer.
//!
//! A caller gets its pair when it has shown that it has its address. Who calls costs little until then, and the oldest
//! one gives way.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

use super::datagrams::{Orders, Sockets};
use super::greet::Greeter;
use crate::limits;
use crate::swarm::rate::Allowance;
use crate::swarm::torrent::Gone;
use crate::swarm::utp::{End, Link, Phase};
use crate::wire::utp::{Header, Kind, Packet};

/// Bytes read of a pair at once.
const READ: usize = 64 * limits::KIB;

/// Connect to an address; the greeter hears of it by this ticket.
#[derive(Clone, Copy)]
pub(super) struct Order {
    ticket: u64,
    addr: SocketAddr,
}

/// The way to those who are reached by uTP. Clones lead to the same thread.
#[derive(Clone)]
pub struct Utp(Orders);

impl Utp {
    pub(super) const fn new(orders: Orders) -> Utp {
        Utp(orders)
    }

    /// Connects to an address; the greeter hears what came of it by this ticket.
    pub(super) fn call(&self, ticket: u64, addr: SocketAddr) {
        self.0.utp(Order { ticket, addr });
    }
}

/// The other end's address, and the number of the connection in packets that come from it.
type Key = (SocketAddr, u16);

/// A connection.
struct Pipe {
    link: Link,
    began: Instant,
    /// Where the greeter waits to hear of it.
    ticket: Option<u64>,
    near: Option<Near>,
}

/// Our end of the pair; the other one is the peer's threads'.
struct Near {
    socket: TcpStream,
    token: usize,
    /// It may have something to say, or room.
    readable: bool,
    writable: bool,
    /// Nobody listens any more.
    deaf: bool,
    /// It was told that nothing more will come.
    told: bool,
}

/// All connections, on the thread of the port.
pub(super) struct Tenant {
    greeter: Greeter,
    epoch: Instant,
    pipes: BTreeMap<Key, Pipe>,
    tokens: BTreeMap<usize, Key>,
    first: usize,
    next: usize,
    /// Connections of which something is to be looked at.
    stirred: BTreeSet<Key>,
    resets: Allowance,
    /// Packets that go without a connection.
    loose: Vec<(SocketAddr, Vec<u8>)>,
    buffer: Vec<u8>,
}

impl Tenant {
    /// `first` is the first token that is ours.
    pub(super) fn new(greeter: Greeter, first: usize) -> Tenant {
        let now = Instant::now();
        Tenant {
            greeter,
            epoch: now,
            pipes: BTreeMap::new(),
            tokens: BTreeMap::new(),
            first,
            next: first,
            stirred: BTreeSet::new(),
            resets: Allowance::new(now, limits::UTP_RESETS, limits::UTP_RESETS),
            loose: Vec::new(),
            buffer: vec![0; READ],
        }
    }

    /// Takes in an order.
    pub(super) fn obey(&mut self, now: Instant, Order { ticket, addr }: Order) {
        let free = |number: &u16| !self.pipes.contains_key(&(addr, *number));
        let Some(number) = (0..16).map(|_| fastrand::u16(..)).find(free) else {
            return self.greeter.unreached(ticket, Gone::Full);
        };
        let link = Link::call(now, self.epoch, number, fastrand::u16(..));
        self.pipes.insert((addr, number), Pipe { link, began: now, ticket: Some(ticket), near: None });
        self.stirred.insert((addr, number));
    }

    /// A packet has come.
    pub(super) fn received(&mut self, now: Instant, from: SocketAddr, bytes: &[u8]) {
        let Ok(packet) = Packet::decode(bytes) else { return };
        let header = packet.header;
        if header.kind == Kind::Syn {
            return self.called(now, from, &packet);
        }
        // Some name the connection in a refusal as they know it themselves.
        let numbers = [header.connection, header.connection.wrapping_sub(1), header.connection.wrapping_add(1)];
        let numbers = if header.kind == Kind::Reset { &numbers[..] } else { &numbers[..1] };
        let key = numbers.iter().map(|number| (from, *number)).find(|key| self.pipes.contains_key(key));
        match key.and_then(|key| Some((key, self.pipes.get_mut(&key)?))) {
            Some((key, pipe)) => {
                pipe.link.received(now, &packet);
                self.stirred.insert(key);
            }
            None if header.kind != Kind::Reset => self.refuse(now, from, &header),
            None => (),
        }
    }

    fn called(&mut self, now: Instant, from: SocketAddr, packet: &Packet<'_>) {
        let key = (from, packet.header.connection.wrapping_add(1));
        if let Some(pipe) = self.pipes.get_mut(&key) {
            pipe.link.received(now, packet);
            self.stirred.insert(key);
            return;
        }
        let callers = self.pipes.iter().filter(|(_, pipe)| pipe.link.phase() == Phase::Called);
        let (count, oldest) = callers.fold((0, None::<(Instant, Key)>), |(count, oldest), (key, pipe)| {
            (count + 1, oldest.into_iter().chain([(pipe.began, *key)]).min())
        });
        if count >= limits::UTP_CALLERS
            && let Some((_, oldest)) = oldest
        {
            self.pipes.remove(&oldest);
            self.stirred.remove(&oldest);
        }
        if self.pipes.len() >= limits::UTP_LINKS {
            return;
        }
        let link = Link::answer(now, self.epoch, &packet.header, fastrand::u16(..));
        self.pipes.insert(key, Pipe { link, began: now, ticket: None, near: None });
        self.stirred.insert(key);
    }

    /// Tells somebody that its connection is not known here.
    fn refuse(&mut self, now: Instant, to: SocketAddr, theirs: &Header) {
        if self.resets.take(now) {
            let (connection, ack) = (theirs.connection, theirs.seq);
            let seq = fastrand::u16(..);
            let header = Header { kind: Kind::Reset, connection, sent: 0, delay: 0, window: 0, seq, ack };
            self.loose.push((to, header.encode(&[], &[])));
        }
    }

    /// Something has changed at our end of a pair.
    pub(super) fn stirred(&mut self, token: usize, readable: bool, writable: bool) {
        let Some(key) = self.tokens.get(&token) else { return };
        if let Some(near) = self.pipes.get_mut(key).and_then(|pipe| pipe.near.as_mut()) {
            near.readable |= readable;
            near.writable |= writable;
            self.stirred.insert(*key);
        }
    }

    /// When there is something to do even if nothing comes.
    pub(super) fn deadline(&self, now: Instant) -> Instant {
        let at = |pipe: &Pipe| match pipe.link.phase() {
            Phase::Called => pipe.link.deadline().min(pipe.began + limits::UTP_CALLER),
            _ => pipe.link.deadline(),
        };
        self.pipes.values().map(at).min().unwrap_or(now + Duration::from_secs(60))
    }

    /// Carries bytes to and fro, and does what is due.
    pub(super) fn work(&mut self, now: Instant, sockets: &Sockets, registry: &Registry) {
        let due = self.pipes.iter().filter(|(_, pipe)| pipe.link.deadline() <= now).map(|(key, _)| *key);
        let mut todo = std::mem::take(&mut self.stirred);
        todo.extend(due);
        for key in todo {
            self.look(now, key, sockets, registry);
        }
        let early = |pipe: &Pipe| pipe.link.phase() == Phase::Called && now >= pipe.began + limits::UTP_CALLER;
        self.pipes.retain(|_, pipe| !early(pipe));
        for (to, packet) in self.loose.drain(..) {
            sockets.send(to, &packet);
        }
    }

    fn look(&mut self, now: Instant, key: Key, sockets: &Sockets, registry: &Registry) {
        let Some(pipe) = self.pipes.get_mut(&key) else { return };
        if pipe.link.phase() == Phase::Open && pipe.near.is_none() {
            let token = self.next;
            match joined(registry, token) {
                Ok((near, far)) => {
                    pipe.near = Some(near);
                    self.tokens.insert(token, key);
                    self.next = if token >= usize::MAX - 1 { self.first } else { token + 1 };
                    match pipe.ticket.take() {
                        Some(ticket) => self.greeter.reached(ticket, far),
                        None => self.greeter.came(far, key.0),
                    }
                }
                Err(error) => {
                    log::warn!("no sockets for a peer by uTP: {error}");
                    pipe.link.reset();
                }
            }
        }
        let mut out = Vec::new();
        pipe.carry(now, &mut self.buffer, &mut out);
        let sent = out.iter().all(|packet| sockets.send(key.0, packet));
        if !sent && pipe.link.phase() == Phase::Calling {
            // There is no way to it: it need not be waited for.
            pipe.link.reset();
        }
        if let Phase::Over(end) = pipe.link.phase()
            && let Some(mut pipe) = self.pipes.remove(&key)
        {
            if let Some(near) = &mut pipe.near {
                let _ = registry.deregister(&mut near.socket);
                self.tokens.remove(&near.token);
            }
            if let Some(ticket) = pipe.ticket {
                let why = match end {
                    End::Silent => Gone::TimedOut("connecting"),
                    End::Reset | End::Finished => Gone::Network("it refused the connection".to_owned()),
                };
                self.greeter.unreached(ticket, why);
            }
        }
    }

    /// Tells all others that we go.
    pub(super) fn end(&mut self, now: Instant, sockets: &Sockets) {
        for ((addr, _), pipe) in &mut self.pipes {
            let mut out = Vec::new();
            pipe.link.finish(now);
            pipe.link.flush(now, &mut out);
            for packet in out {
                sockets.send(*addr, &packet);
            }
        }
    }
}

impl Pipe {
    /// Carries bytes both ways, as far as they can go.
    fn carry(&mut self, now: Instant, buffer: &mut [u8], out: &mut Vec<Vec<u8>>) {
        loop {
            if let Some(near) = &mut self.near {
                near.give(&mut self.link);
                near.collect(now, &mut self.link, buffer);
            }
            self.link.flush(now, out);
            // A window may be larger than a read, and time may have opened one.
            if self.near.as_ref().is_none_or(|near| !near.readable) || self.link.allows() == 0 {
                return;
            }
        }
    }
}

impl Near {
    /// What has come goes to the peer's threads.
    fn give(&mut self, link: &mut Link) {
        while !link.ready().is_empty() && (self.writable || self.deaf) {
            let ready = link.ready();
            if self.deaf {
                let all = ready.len();
                link.take(all);
                continue;
            }
            match self.socket.write(ready) {
                Ok(n) => link.take(n),
                Err(e) if e.kind() == ErrorKind::Interrupted => (),
                Err(e) if e.kind() == ErrorKind::WouldBlock => self.writable = false,
                Err(_) => self.deaf = true,
            }
        }
        if link.ended() && !self.told {
            self.told = true;
            let _ = self.socket.shutdown(Shutdown::Write);
        }
    }

    /// What they say goes out.
    fn collect(&mut self, now: Instant, link: &mut Link, buffer: &mut [u8]) {
        while self.readable {
            let most = link.allows().min(buffer.len());
            if most == 0 {
                return;
            }
            match self.socket.read(&mut buffer[..most]) {
                Ok(n) if n > 0 => link.send(now, &buffer[..n]),
                Err(e) if e.kind() == ErrorKind::Interrupted => (),
                Err(e) if e.kind() == ErrorKind::WouldBlock => self.readable = false,
                // They have gone.
                Ok(_) | Err(_) => {
                    (self.readable, self.deaf) = (false, true);
                    link.finish(now);
                }
            }
        }
    }
}

/// A pair of sockets, of which ours is waited for.
fn joined(registry: &Registry, token: usize) -> io::Result<(Near, std::net::TcpStream)> {
    let (near, far) = pair()?;
    near.set_nonblocking(true)?;
    let mut socket = TcpStream::from_std(near);
    registry.register(&mut socket, Token(token), Interest::READABLE | Interest::WRITABLE)?;
    Ok((Near { socket, token, readable: true, writable: true, deaf: false, told: false }, far))
}

/// Two ends of one local connection.
#[cfg(unix)]
fn pair() -> io::Result<(std::net::TcpStream, std::net::TcpStream)> {
    use std::os::fd::OwnedFd;
    let (near, far) = std::os::unix::net::UnixStream::pair()?;
    // To those who read and write, one stream socket is like another.
    Ok((OwnedFd::from(near).into(), OwnedFd::from(far).into()))
}

/// Two ends of one local connection.
#[cfg(not(unix))]
fn pair() -> io::Result<(std::net::TcpStream, std::net::TcpStream)> {
    let door = std::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0))?;
    let near = std::net::TcpStream::connect(door.local_addr()?)?;
    let ours = near.local_addr()?;
    // Another program may have been quicker.
    for _ in 0..16 {
        let (far, from) = door.accept()?;
        if from == ours {
            near.set_nodelay(true)?;
            return Ok((near, far));
        }
    }
    Err(ErrorKind::ConnectionRefused.into())
}

#[cfg(test)]
mod tests;
