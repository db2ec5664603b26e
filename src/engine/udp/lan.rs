//! Local discovery (BEP 14) on the UDP thread: torrents are announced to the multicast groups of every interface, and who
//! is heard there is told to the torrent that is meant.
//!
//! A datagram a second at most goes out on an interface, whatever the torrents ask for. Of what comes in, our own words
//! are passed over by their cookie, senders beyond the local network are not believed, and each address is told once a
//! minute at most.

use std::collections::{BTreeMap, VecDeque};
use std::future::pending;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::time::Duration;

use socket2::{Domain, InterfaceIndexOrAddress, Protocol, SockRef, Socket, Type};
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use super::link::BREATH;
use crate::engine::greet::Routes;
use crate::engine::interfaces::{Interface, list};
use crate::limits;
use crate::swarm::candidates::canonical;
use crate::swarm::torrent::Input;
use crate::swarm::view::Source;
use crate::wire::lsd::{COOKIE, GROUP_V4, GROUP_V6, HASHES, PORT, Search};
use crate::wire::message::InfoHash;

/// Announces that may wait to be heard by the thread.
const WAITING: usize = 4096;
/// The time between two datagrams on an interface.
const PACE: Duration = Duration::from_secs(1);
/// Up to so many torrents have a datagram each: clients of old read one info-hash only.
const ALONE: usize = 5;
/// The time between two looks at the interfaces.
const LOOK: Duration = Duration::from_secs(30);
/// The time in which an address is told once.
const ONCE: Duration = Duration::from_secs(60);
/// A datagram of others may be longer than ours.
const BUFFER: usize = 2048;
/// The window in which incoming datagrams are counted.
const WINDOW: Duration = Duration::from_secs(1);

/// The way to announce torrents to the local network.
#[derive(Clone)]
pub struct Lan(mpsc::Sender<Ask>);

/// A torrent, and the port to announce it with; `None` where it is not to be spoken of any more.
type Ask = (InfoHash, Option<u16>);

impl Lan {
    /// Announces a torrent, soon, as one of a peer that listens on this port.
    pub fn announce(&self, torrent: InfoHash, port: u16) {
        // Where thousands wait there is nothing lost: it will ask again.
        if port != 0 && self.0.try_send((torrent, Some(port))).is_err() {
            log::debug!("a local announce was left out: too many wait");
        }
    }

    /// Does not speak of a torrent any more, also where it was about to.
    pub fn forget(&self, torrent: InfoHash) {
        if self.0.try_send((torrent, None)).is_err() {
            log::warn!("{torrent} may be announced to the local network once more: too many wait");
        }
    }
}

/// Sockets on the port of local discovery, and the torrents that may be spoken of there.
pub struct Sockets {
    v4: Option<Socket>,
    v6: Option<Socket>,
    /// What is bound to is what is sent from. IPv4 chooses that with the interface; IPv6 needs a socket for it.
    mouth: Option<Socket>,
    bind: Option<IpAddr>,
}

impl Sockets {
    /// Opens them, for the address that is to be bound to or for all. Other clients on this machine may have the same
    /// port open.
    ///
    /// # Errors
    /// When neither family can be had.
    pub fn open(bind: Option<IpAddr>) -> io::Result<Sockets> {
        let wanted = |v6: bool| bind.is_none_or(|ip| ip.is_ipv6() == v6);
        let mut fault = io::Error::new(io::ErrorKind::Unsupported, "no address family for it");
        let mut one = |v6: bool| match wanted(v6).then(|| socket(v6)).transpose() {
            Ok(socket) => socket,
            Err(error) => {
                fault = error;
                None
            }
        };
        let (v4, v6) = (one(false), one(true));
        if v4.is_none() && v6.is_none() {
            return Err(fault);
        }
        let mouth = bind.filter(IpAddr::is_ipv6).map(|ip| bound((ip, 0).into())).transpose()?;
        Ok(Sockets { v4, v6, mouth, bind })
    }
}

/// A socket that only sends.
fn bound(addr: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_multicast_loop_v6(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    Ok(socket)
}

fn socket(v6: bool) -> io::Result<Socket> {
    let any: SocketAddr = if v6 { (Ipv6Addr::UNSPECIFIED, PORT).into() } else { (Ipv4Addr::UNSPECIFIED, PORT).into() };
    let socket = Socket::new(Domain::for_address(any), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_address(true)?;
    #[cfg(all(unix, not(any(target_os = "solaris", target_os = "illumos", target_os = "cygwin"))))]
    socket.set_reuse_port(true)?;
    if v6 {
        socket.set_only_v6(true)?;
        socket.set_multicast_loop_v6(true)?;
    } else {
        // Others on this machine are to hear it too.
        socket.set_multicast_loop_v4(true)?;
    }
    // Only what comes by an interface that we joined on, whatever other programs have joined.
    #[cfg(target_os = "linux")]
    let _ = if v6 { socket.set_multicast_all_v6(false) } else { socket.set_multicast_all_v4(false) };
    socket.set_nonblocking(true)?;
    socket.bind(&any.into())?;
    Ok(socket)
}

/// Begins: returns the way to announce and what is to run on the UDP thread.
pub(super) fn begin(sockets: Sockets, routes: Routes) -> (Lan, Begun) {
    let (to, asks) = mpsc::channel(WAITING);
    (Lan(to), Begun { sockets, routes, asks })
}

/// What was begun.
pub(super) struct Begun {
    sockets: Sockets,
    routes: Routes,
    asks: mpsc::Receiver<Ask>,
}

/// Runs until told that it is over.
pub(super) async fn serve(begun: Begun, mut closed: watch::Receiver<bool>) {
    let work = async {
        match Work::new(begun) {
            Ok(work) => work.run().await,
            Err(error) => log::warn!("local discovery cannot begin: {error}"),
        }
    };
    tokio::select! {
        () = work => (),
        _ = closed.wait_for(|closed| *closed) => (),
    }
}

struct Work {
    v4: Option<UdpSocket>,
    v6: Option<UdpSocket>,
    mouth: Option<UdpSocket>,
    bind: Option<IpAddr>,
    routes: Routes,
    asks: mpsc::Receiver<Ask>,
    interfaces: Vec<Interface>,
    cookie: String,
    /// Torrents to be announced, the first one first.
    queue: VecDeque<(InfoHash, u16)>,
    /// Torrents that were announced since the start: they are announced again where an interface comes.
    known: BTreeMap<InfoHash, u16>,
    /// When something may be said again.
    free: Instant,
    told: Told,
    /// Datagrams that came since the beginning of the window.
    counted: (Instant, u32),
}

impl Work {
    fn new(begun: Begun) -> io::Result<Work> {
        let Begun { sockets, routes, asks } = begun;
        let open = |socket: Option<Socket>| socket.map(|s| UdpSocket::from_std(s.into())).transpose();
        let now = Instant::now();
        Ok(Work {
            v4: open(sockets.v4)?,
            v6: open(sockets.v6)?,
            mouth: open(sockets.mouth)?,
            bind: sockets.bind,
            routes,
            asks,
            interfaces: Vec::new(),
            cookie: (0..8).map(|_| fastrand::alphanumeric()).collect(),
            queue: VecDeque::new(),
            known: BTreeMap::new(),
            free: now,
            told: Told::default(),
            counted: (now, 0),
        })
    }

    async fn run(mut self) {
        let (mut buffer_v4, mut buffer_v6) = (vec![0; BUFFER], vec![0; BUFFER]);
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        // Before anything is announced.
        look.tick().await;
        self.look().await;
        loop {
            let due = (!self.queue.is_empty()).then_some(self.free);
            let quiet = self.quiet_until();
            tokio::select! {
                ask = self.asks.recv() => match ask {
                    Some((torrent, Some(port))) => self.ask((torrent, port)),
                    Some((torrent, None)) => self.forget(torrent),
                    None => return,
                },
                got = receive(self.v4.as_ref(), quiet, &mut buffer_v4) => self.received(&buffer_v4, got).await,
                got = receive(self.v6.as_ref(), quiet, &mut buffer_v6) => self.received(&buffer_v6, got).await,
                () = wait(due) => self.say().await,
                _ = look.tick() => self.look().await,
            }
        }
    }

    fn ask(&mut self, (torrent, port): (InfoHash, u16)) {
        if self.queue.iter().all(|(queued, _)| *queued != torrent) {
            self.queue.push_back((torrent, port));
        }
    }

    fn forget(&mut self, torrent: InfoHash) {
        self.queue.retain(|(queued, _)| *queued != torrent);
        self.known.remove(&torrent);
    }

    /// Joins on interfaces that are new. What was announced before is announced there too.
    async fn look(&mut self) {
        // The system may take its time for the list.
        let bind = self.bind;
        let found = tokio::task::spawn_blocking(move || list(bind)).await;
        let Ok(Ok(found)) = found else { return log::debug!("the interfaces cannot be listed: {found:?}") };
        let new: Vec<&Interface> = found.iter().filter(|it| !self.interfaces.iter().any(|old| old.same(it))).collect();
        for interface in &new {
            self.join(interface);
        }
        if !new.is_empty() && !self.interfaces.is_empty() {
            let known: Vec<_> = self.known.iter().map(|(torrent, port)| (*torrent, *port)).collect();
            known.into_iter().for_each(|ask| self.ask(ask));
        }
        self.interfaces = found;
    }

    fn join(&self, interface: &Interface) {
        let joined = |what: &str, done: io::Result<()>| match done {
            Ok(()) => log::debug!("local discovery on interface {} over {what}", interface.index),
            Err(error) => log::debug!("no local discovery on interface {} over {what}: {error}", interface.index),
        };
        if let (Some(socket), Some(ip)) = (&self.v4, interface.v4) {
            let at = InterfaceIndexOrAddress::Address(ip);
            joined("IPv4", SockRef::from(socket).join_multicast_v4_n(&GROUP_V4, &at));
        }
        if let (Some(socket), true) = (&self.v6, interface.v6.is_some()) {
            joined("IPv6", SockRef::from(socket).join_multicast_v6(&GROUP_V6, interface.index));
        }
    }

    /// Says what is first in the queue, on every interface.
    async fn say(&mut self) {
        let routes = &self.routes;
        self.queue.retain(|(torrent, _)| routes.find(*torrent).is_some());
        let Some(port) = self.queue.front().map(|(_, port)| *port) else { return };
        let most = if self.queue.len() <= ALONE { 1 } else { HASHES };
        let same = self.queue.iter().take(most).take_while(|(_, other)| *other == port).count();
        let info_hashes: Vec<InfoHash> = self.queue.drain(..same).map(|(torrent, _)| torrent).collect();
        self.known.retain(|torrent, _| routes.find(*torrent).is_some());
        self.known.extend(info_hashes.iter().map(|torrent| (*torrent, port)));
        let search = Search { port, info_hashes, cookie: self.cookie.clone() };
        for interface in &self.interfaces {
            if let (Some(socket), Some(ip)) = (&self.v4, interface.v4) {
                let chosen = SockRef::from(socket).set_multicast_if_v4(&ip);
                send(socket, chosen, &search, (GROUP_V4, PORT).into()).await;
            }
            if let (Some(socket), true) = (self.mouth.as_ref().or(self.v6.as_ref()), interface.speaks_v6()) {
                let chosen = SockRef::from(socket).set_multicast_if_v6(interface.index);
                let to = SocketAddrV6::new(GROUP_V6, PORT, 0, interface.index);
                send(socket, chosen, &search, to.into()).await;
            }
        }
        self.free = Instant::now() + PACE;
    }

    /// Until when nothing is read, because too much came.
    fn quiet_until(&mut self) -> Option<Instant> {
        let now = Instant::now();
        if now >= self.counted.0 + WINDOW {
            self.counted = (now, 0);
        }
        (self.counted.1 >= limits::LAN_DATAGRAMS).then(|| self.counted.0 + WINDOW)
    }

    async fn received(&mut self, buffer: &[u8], got: io::Result<Option<(usize, SocketAddr)>>) {
        match got {
            Ok(Some((length, from))) => {
                self.counted.1 += 1;
                self.heard(&buffer[..length], canonical(from));
            }
            Ok(None) => (),
            Err(error) => {
                log::debug!("local discovery cannot read: {error}");
                tokio::time::sleep(BREATH).await;
            }
        }
    }

    fn heard(&mut self, datagram: &[u8], from: SocketAddr) {
        let Ok(search) = Search::decode(datagram) else { return };
        let ours = search.cookie == self.cookie;
        if ours || !self.interfaces.iter().any(|interface| interface.is_near(from.ip())) {
            return;
        }
        let mut addr = from;
        addr.set_port(search.port);
        for torrent in search.info_hashes {
            let Some(inbox) = self.routes.find(torrent) else { continue };
            if self.told.first(torrent, addr, Instant::now()) {
                inbox.tell(Input::Found { source: Source::Lan, addrs: vec![addr] });
            }
        }
    }
}

/// What was told in the last minute.
#[derive(Default)]
struct Told(BTreeMap<(InfoHash, SocketAddr), Instant>);

impl Told {
    /// How many addresses of the host of this one were told to a torrent.
    fn of_host(&self, torrent: InfoHash, mut addr: SocketAddr) -> usize {
        addr.set_port(0);
        self.0.range((torrent, addr)..).take_while(|((of, at), _)| *of == torrent && at.ip() == addr.ip()).count()
    }

    /// Whether this has not been told in the last minute, and may be.
    fn first(&mut self, torrent: InfoHash, addr: SocketAddr, now: Instant) -> bool {
        let late = |at: &Instant| now >= *at + ONCE;
        if self.0.len() >= limits::LAN_TOLD {
            self.0.retain(|_, at| !late(at));
        }
        match self.0.get(&(torrent, addr)) {
            Some(at) if !late(at) => return false,
            None if self.0.len() >= limits::LAN_TOLD => return false,
            // A host that floods takes its own places, not those of others.
            None if self.of_host(torrent, addr) >= limits::LAN_PER_HOST => return false,
            _ => {}
        }
        self.0.insert((torrent, addr), now);
        true
    }
}

/// Waits for this time, or for ever.
async fn wait(until: Option<Instant>) {
    match until {
        Some(at) => sleep_until(at).await,
        None => pending().await,
    }
}

/// The next datagram, where there is a socket; nothing when the time to be quiet is over.
async fn receive(
    socket: Option<&UdpSocket>,
    quiet: Option<Instant>,
    buffer: &mut [u8],
) -> io::Result<Option<(usize, SocketAddr)>> {
    let Some(socket) = socket else { return pending().await };
    if let Some(until) = quiet {
        sleep_until(until).await;
        return Ok(None);
    }
    socket.recv_from(buffer).await.map(Some)
}

async fn send(socket: &UdpSocket, chosen: io::Result<()>, search: &Search, to: SocketAddr) {
    let sent = match chosen {
        Ok(()) => socket.send_to(&search.encode(to.ip()), to).await.map(drop),
        Err(error) => Err(error),
    };
    if let Err(error) = sent {
        log::debug!("a local announce to {to} failed: {error}");
    }
}

// A cookie of ours must be one that others send back whole.
const _: () = assert!(COOKIE >= 8);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_told_once_a_minute_and_a_flood_has_an_end() {
        let t0 = Instant::now();
        let mut told = Told::default();
        let addr = |n: u16| SocketAddr::from(([10, 0, 0, 1], n));
        let torrent = InfoHash([1; 20]);
        assert!(told.first(torrent, addr(1), t0) && !told.first(torrent, addr(1), t0));
        assert!(told.first(InfoHash([2; 20]), addr(1), t0));
        let more = (2..6000).filter(|n| told.first(torrent, addr(*n), t0)).count();
        assert_eq!(more, limits::LAN_PER_HOST - 1, "one host has its own places");
        let host = |n: u16| SocketAddr::from(([10, 1, (n >> 8) as u8, n as u8], 1));
        assert!((0..6000).filter(|n| told.first(torrent, host(*n), t0)).count() > 900);
        assert_eq!(told.0.len(), limits::LAN_TOLD);
        assert!(told.first(torrent, addr(9000), t0 + ONCE) && told.0.len() == 1);
    }
}
