//! Local service discovery (LSD, BEP 14): announces torrents by multicast on every network interface. Peers that
//! announce one of our torrents are reported to the torrent.
//!
//! At most one datagram per second is sent on an interface. Incoming datagrams with our own cookie, or from a sender
//! outside the local networks, are ignored; each address is reported at most once a minute.

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
use crate::engine::connector_config::TorrentRegistry;
use crate::engine::interfaces::{Interface, list};
use crate::limits;
use crate::swarm::peer_list::canonical;
use crate::swarm::torrent::Input;
use crate::swarm::view::Source;
use crate::wire::lsd::{COOKIE, GROUP_V4, GROUP_V6, HASHES, LsdAnnounce, PORT};
use crate::wire::message::InfoHash;

/// The capacity of the request channel.
const WAITING: usize = 4096;
/// The minimum time between two datagrams on an interface.
const PACE: Duration = Duration::from_secs(1);
/// Up to this number of queued torrents, each gets its own datagram. Old clients read only one info-hash.
const ALONE: usize = 5;
/// How often the interfaces are listed.
const LOOK: Duration = Duration::from_secs(30);
/// The time during which an address is reported only once.
const ONCE: Duration = Duration::from_secs(60);
/// The receive buffer size, in bytes; other clients' datagrams may be longer than ours.
const BUFFER: usize = 2048;
/// The window of the rate limit for incoming datagrams.
const WINDOW: Duration = Duration::from_secs(1);

/// Handle for announcing torrents on the local network. Clones refer to the same task.
#[derive(Clone)]
pub struct LsdHandle(mpsc::Sender<Ask>);

/// A torrent and the port to announce, or `None` to stop announcing it.
type Ask = (InfoHash, Option<u16>);

impl LsdHandle {
    /// Queues an announce of a torrent with our listening port.
    pub fn announce(&self, torrent: InfoHash, port: u16) {
        // A full channel loses nothing: the torrent announces again later.
        if port != 0 && self.0.try_send((torrent, Some(port))).is_err() {
            tracing::debug!("a local announce was left out: too many wait");
        }
    }

    /// Stops announcing a torrent and removes its queued announce.
    pub fn forget(&self, torrent: InfoHash) {
        if self.0.try_send((torrent, None)).is_err() {
            tracing::warn!("{torrent} may be announced to the local network once more: too many wait");
        }
    }
}

/// The multicast sockets on the LSD port.
pub struct Sockets {
    v4: Option<Socket>,
    v6: Option<Socket>,
    /// The sending socket if an IPv6 address is bound. For IPv4, choosing the interface also sets the source address.
    sender: Option<Socket>,
    bind: Option<IpAddr>,
}

impl Sockets {
    /// Opens the sockets for the bound address, or for both address families. The port may be shared with other
    /// clients on this host.
    ///
    /// # Errors
    /// If a socket can be opened for neither address family.
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
        let sender = bind.filter(IpAddr::is_ipv6).map(|ip| bound((ip, 0).into())).transpose()?;
        Ok(Sockets { v4, v6, sender, bind })
    }
}

/// Opens a socket bound to `addr` that only sends.
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
        // Other clients on this host must receive our datagrams too.
        socket.set_multicast_loop_v4(true)?;
    }
    // Receive only from interfaces that this socket has joined on, not from memberships of other processes.
    #[cfg(target_os = "linux")]
    let _ = if v6 { socket.set_multicast_all_v6(false) } else { socket.set_multicast_all_v4(false) };
    socket.set_nonblocking(true)?;
    socket.bind(&any.into())?;
    Ok(socket)
}

/// Creates the handle and the task to run on the UDP thread.
pub(super) fn begin(sockets: Sockets, routes: TorrentRegistry) -> (LsdHandle, LsdTask) {
    let (to, asks) = mpsc::channel(WAITING);
    (LsdHandle(to), LsdTask { sockets, routes, asks })
}

/// The LSD task before it runs.
pub(super) struct LsdTask {
    sockets: Sockets,
    routes: TorrentRegistry,
    asks: mpsc::Receiver<Ask>,
}

/// Runs the LSD task until `closed` is true or all handles are dropped.
pub(super) async fn serve(begun: LsdTask, mut closed: watch::Receiver<bool>) {
    let work = async {
        match Work::new(begun) {
            Ok(work) => work.run().await,
            Err(error) => tracing::warn!("local discovery cannot begin: {error}"),
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
    sender: Option<UdpSocket>,
    bind: Option<IpAddr>,
    routes: TorrentRegistry,
    asks: mpsc::Receiver<Ask>,
    interfaces: Vec<Interface>,
    cookie: String,
    /// The torrents to be announced next, in order.
    queue: VecDeque<(InfoHash, u16)>,
    /// The torrents announced so far, which are announced again when an interface is added.
    known: BTreeMap<InfoHash, u16>,
    /// When the next datagram may be sent.
    free: Instant,
    told: RecentReports,
    /// Start of the current window and the number of datagrams received in it.
    counted: (Instant, u32),
}

impl Work {
    fn new(begun: LsdTask) -> io::Result<Work> {
        let LsdTask { sockets, routes, asks } = begun;
        let open = |socket: Option<Socket>| socket.map(|s| UdpSocket::from_std(s.into())).transpose();
        let now = Instant::now();
        Ok(Work {
            v4: open(sockets.v4)?,
            v6: open(sockets.v6)?,
            sender: open(sockets.sender)?,
            bind: sockets.bind,
            routes,
            asks,
            interfaces: Vec::new(),
            cookie: (0..8).map(|_| fastrand::alphanumeric()).collect(),
            queue: VecDeque::new(),
            known: BTreeMap::new(),
            free: now,
            told: RecentReports::default(),
            counted: (now, 0),
        })
    }

    async fn run(mut self) {
        let (mut buffer_v4, mut buffer_v6) = (vec![0; BUFFER], vec![0; BUFFER]);
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        // Joins the groups before anything is announced.
        look.tick().await;
        self.update_interfaces().await;
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
                () = wait(due) => self.send_next().await,
                _ = look.tick() => self.update_interfaces().await,
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

    /// Joins the multicast groups on new interfaces and queues the known torrents again for them.
    async fn update_interfaces(&mut self) {
        // Listing the interfaces may block.
        let bind = self.bind;
        let found = tokio::task::spawn_blocking(move || list(bind)).await;
        let Ok(Ok(found)) = found else { return tracing::debug!("the interfaces cannot be listed: {found:?}") };
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
            Ok(()) => tracing::debug!("local discovery on interface {} over {what}", interface.index),
            Err(error) => tracing::debug!("no local discovery on interface {} over {what}: {error}", interface.index),
        };
        if let (Some(socket), Some(ip)) = (&self.v4, interface.v4) {
            let at = InterfaceIndexOrAddress::Address(ip);
            joined("IPv4", SockRef::from(socket).join_multicast_v4_n(&GROUP_V4, &at));
        }
        if let (Some(socket), true) = (&self.v6, interface.v6.is_some()) {
            joined("IPv6", SockRef::from(socket).join_multicast_v6(&GROUP_V6, interface.index));
        }
    }

    /// Sends the next datagram on every interface.
    async fn send_next(&mut self) {
        let routes = &self.routes;
        self.queue.retain(|(torrent, _)| routes.find(*torrent).is_some());
        let Some(port) = self.queue.front().map(|(_, port)| *port) else { return };
        let most = if self.queue.len() <= ALONE { 1 } else { HASHES };
        let same = self.queue.iter().take(most).take_while(|(_, other)| *other == port).count();
        let info_hashes: Vec<InfoHash> = self.queue.drain(..same).map(|(torrent, _)| torrent).collect();
        self.known.retain(|torrent, _| routes.find(*torrent).is_some());
        self.known.extend(info_hashes.iter().map(|torrent| (*torrent, port)));
        let search = LsdAnnounce { port, info_hashes, cookie: self.cookie.clone() };
        for interface in &self.interfaces {
            if let (Some(socket), Some(ip)) = (&self.v4, interface.v4) {
                let chosen = SockRef::from(socket).set_multicast_if_v4(&ip);
                send(socket, chosen, &search, (GROUP_V4, PORT).into()).await;
            }
            if let (Some(socket), true) = (self.sender.as_ref().or(self.v6.as_ref()), interface.speaks_v6()) {
                let chosen = SockRef::from(socket).set_multicast_if_v6(interface.index);
                let to = SocketAddrV6::new(GROUP_V6, PORT, 0, interface.index);
                send(socket, chosen, &search, to.into()).await;
            }
        }
        self.free = Instant::now() + PACE;
    }

    /// Returns until when no datagrams are read, if the rate limit is exceeded.
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
                self.on_announce(&buffer[..length], canonical(from));
            }
            Ok(None) => (),
            Err(error) => {
                tracing::debug!("local discovery cannot read: {error}");
                tokio::time::sleep(BREATH).await;
            }
        }
    }

    fn on_announce(&mut self, datagram: &[u8], from: SocketAddr) {
        let Ok(search) = LsdAnnounce::decode(datagram) else { return };
        let ours = search.cookie == self.cookie;
        if ours || !self.interfaces.iter().any(|interface| interface.is_local(from.ip())) {
            return;
        }
        let mut addr = from;
        addr.set_port(search.port);
        for torrent in search.info_hashes {
            let Some(inbox) = self.routes.find(torrent) else { continue };
            if self.told.first(torrent, addr, Instant::now()) {
                inbox.send(Input::PeersFound { source: Source::Lan, addrs: vec![addr] });
            }
        }
    }
}

/// The addresses reported recently, with the time of the report.
#[derive(Default)]
struct RecentReports(BTreeMap<(InfoHash, SocketAddr), Instant>);

impl RecentReports {
    /// Returns how many ports of this host were reported to a torrent.
    fn of_host(&self, torrent: InfoHash, mut addr: SocketAddr) -> usize {
        addr.set_port(0);
        self.0.range((torrent, addr)..).take_while(|((of, at), _)| *of == torrent && at.ip() == addr.ip()).count()
    }

    /// Records an address; returns whether it may be reported now.
    fn first(&mut self, torrent: InfoHash, addr: SocketAddr, now: Instant) -> bool {
        let late = |at: &Instant| now >= *at + ONCE;
        if self.0.len() >= limits::LAN_TOLD {
            self.0.retain(|_, at| !late(at));
        }
        match self.0.get(&(torrent, addr)) {
            Some(at) if !late(at) => return false,
            None if self.0.len() >= limits::LAN_TOLD => return false,
            // A flood from one host is limited by itself and does not displace other hosts.
            None if self.of_host(torrent, addr) >= limits::LAN_PER_HOST => return false,
            _ => {}
        }
        self.0.insert((torrent, addr), now);
        true
    }
}

/// Sleeps until this time, or forever.
async fn wait(until: Option<Instant>) {
    match until {
        Some(at) => sleep_until(at).await,
        None => pending().await,
    }
}

/// Receives the next datagram; `None` when the pause of the rate limit is over. Never returns without a socket.
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

async fn send(socket: &UdpSocket, chosen: io::Result<()>, search: &LsdAnnounce, to: SocketAddr) {
    let sent = match chosen {
        Ok(()) => socket.send_to(&search.encode(to.ip()), to).await.map(drop),
        Err(error) => Err(error),
    };
    if let Err(error) = sent {
        tracing::debug!("a local announce to {to} failed: {error}");
    }
}

// Our cookie of 8 characters must not be truncated by `LsdAnnounce::encode`.
const _: () = assert!(COOKIE >= 8);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_told_once_a_minute_and_a_flood_has_an_end() {
        let t0 = Instant::now();
        let mut told = RecentReports::default();
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
