//! The DHT: one thread with a socket for each family, around the machine of [`crate::swarm::dht`].
//!
//! Bound to a loopback address it speaks to nobody else, and asks no name server.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, unbounded};
use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token, Waker};
use socket2::{Domain, Protocol, Socket, Type};

use super::inbox::Inbox;
use super::threads::Crew;
use crate::disk::atomic::rewrite;
use crate::limits;
use crate::swarm::dht::{Dht as Machine, DhtConfig, DhtEffect, DhtState};
use crate::swarm::event::Input;
use crate::swarm::view::Source;
use crate::wire::bencode::{Item, Value};
use crate::wire::krpc::{NodeId, one_address};
use crate::wire::message::InfoHash;
use crate::wire::tracker::{can_be_peer, put_compact};

/// Finds peers of torrents without a tracker.
pub trait Dht: Send + Sync {
    /// Looks for peers of a torrent, and tells of us at this port. The inbox hears [`Input::Found`] and, at the end,
    /// [`Input::Sought`].
    fn seek(&self, torrent: InfoHash, announce: Option<u16>, inbox: &Inbox);
    /// Stops looking.
    fn forget(&self, torrent: InfoHash);
    /// There may be a node at this address.
    fn meet(&self, addr: SocketAddr);
    /// How it is doing.
    fn state(&self) -> DhtState;
    /// Its port.
    fn port(&self) -> u16;
    /// Ends it.
    fn stop(&self);
}

/// How a node is to work.
pub struct NodeConfig {
    /// The only address to use.
    pub bind: Option<IpAddr>,
    /// The port that is wished for; another one where it is taken.
    pub port: u16,
    /// Nodes to begin with: `host:port`.
    pub nodes: Vec<String>,
    /// Where nodes are kept for the next session.
    pub file: PathBuf,
    /// Called now and then when its state has changed.
    pub changed: Box<dyn Fn() + Send>,
}

enum Order {
    Seek(InfoHash, Option<u16>, Inbox),
    Forget(InfoHash),
    Meet(SocketAddr),
    /// Where to begin, as far as it could be found out.
    Begin(Vec<SocketAddr>),
    Stop,
}

/// Our node.
pub struct Node {
    orders: Sender<Order>,
    waker: Arc<Waker>,
    state: Arc<Mutex<DhtState>>,
    port: u16,
    over: AtomicBool,
}

/// The time between two writings of the nodes that are known.
const SAVE: Duration = Duration::from_secs(10 * 60);
/// The shortest time between two calls of [`NodeConfig::changed`].
const TELL: Duration = Duration::from_secs(1);
/// Packets read of one socket before other things get their turn.
const AT_ONCE: usize = 256;
const WAKE: Token = Token(9);
/// The names of the file's entries, by family.
const NODES: [&str; 2] = ["nodes", "nodes6"];
const IDS: [&str; 2] = ["id", "id6"];

impl Node {
    /// Starts it.
    ///
    /// # Errors
    /// When there is no socket, no thread or no source of chance.
    pub fn start(crew: &Crew, config: NodeConfig) -> io::Result<Node> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKE)?);
        let (mut sockets, port) = sockets(config.bind, config.port)?;
        for (at, socket) in sockets.iter_mut().enumerate() {
            if let Some(socket) = socket {
                poll.registry().register(socket, Token(at), Interest::READABLE)?;
            }
        }
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).map_err(io::Error::from)?;
        let (ids, known) = read(&config.file);
        let families = [sockets[0].is_some(), sockets[1].is_some()];
        let now = Instant::now();
        let machine = Machine::new(now, DhtConfig { families, ids, known, secret, seed: fastrand::u64(..) });
        let (orders, todo) = unbounded();
        let state = Arc::new(Mutex::new(machine.state(now)));
        let work = Work {
            poll,
            waker: Arc::clone(&waker),
            sockets,
            machine,
            todo,
            orders: orders.clone(),
            crew: crew.clone(),
            local: config.bind.is_some_and(|ip| ip.is_loopback()),
            config,
            seekers: BTreeMap::new(),
            state: Arc::clone(&state),
            told: now,
            saved: now,
        };
        crew.spawn("dht".to_owned(), move || work.run(), |_| ())?;
        Ok(Node { orders, waker, state, port, over: AtomicBool::new(false) })
    }

    fn order(&self, order: Order) {
        if self.orders.send(order).is_ok() {
            let _ = self.waker.wake();
        }
    }
}

impl Dht for Node {
    fn seek(&self, torrent: InfoHash, announce: Option<u16>, inbox: &Inbox) {
        self.order(Order::Seek(torrent, announce, inbox.clone()));
    }

    fn forget(&self, torrent: InfoHash) {
        self.order(Order::Forget(torrent));
    }

    fn meet(&self, addr: SocketAddr) {
        self.order(Order::Meet(addr));
    }

    fn state(&self) -> DhtState {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn port(&self) -> u16 {
        self.port
    }

    fn stop(&self) {
        if !self.over.swap(true, Ordering::Relaxed) {
            self.order(Order::Stop);
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.stop();
    }
}

struct Work {
    poll: Poll,
    waker: Arc<Waker>,
    sockets: [Option<UdpSocket>; 2],
    machine: Machine,
    todo: Receiver<Order>,
    orders: Sender<Order>,
    crew: Crew,
    config: NodeConfig,
    /// It stays on this machine.
    local: bool,
    seekers: BTreeMap<InfoHash, Inbox>,
    state: Arc<Mutex<DhtState>>,
    told: Instant,
    saved: Instant,
}

impl Work {
    fn run(mut self) {
        let mut events = Events::with_capacity(16);
        let mut out = Vec::new();
        loop {
            let now = Instant::now();
            for order in self.todo.try_iter().collect::<Vec<_>>() {
                match order {
                    Order::Stop => return self.save(),
                    Order::Seek(torrent, announce, inbox) => {
                        self.seekers.insert(torrent, inbox);
                        self.machine.seek(now, torrent, announce, &mut out);
                    }
                    Order::Forget(torrent) => {
                        self.seekers.remove(&torrent);
                        self.machine.forget(torrent);
                    }
                    Order::Meet(addr) => self.machine.meet(now, addr, &mut out),
                    Order::Begin(addrs) => self.machine.begin_at(now, addrs, &mut out),
                }
            }
            for at in [0, 1] {
                self.read(at, now, &mut out);
            }
            if self.machine.deadline() <= now {
                self.machine.tick(now, &mut out);
            }
            self.perform(&mut out);
            self.tell(now);
            let wait = self.machine.deadline().saturating_duration_since(Instant::now());
            if let Err(error) = self.poll.poll(&mut events, Some(wait.clamp(Duration::from_millis(1), SAVE)))
                && error.kind() != ErrorKind::Interrupted
            {
                log::error!("the DHT cannot wait for its sockets: {error}");
                return self.save();
            }
        }
    }

    /// Packets that have come by one socket.
    fn read(&mut self, at: usize, now: Instant, out: &mut Vec<DhtEffect>) {
        let Some(socket) = &self.sockets[at] else { return };
        let mut buffer = [0; limits::DHT_PACKET + 1];
        for _ in 0..AT_ONCE {
            match socket.recv_from(&mut buffer) {
                Ok((n, from)) => {
                    if !self.local || from.ip().is_loopback() {
                        self.machine.received(now, from, &buffer[..n], out);
                    }
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => return,
                // What became of an earlier packet says nothing of the socket.
                Err(e) => log::trace!("a packet of the DHT came back: {e}"),
            }
        }
        // There may be more, and nobody will say so again.
        let _ = self.waker.wake();
    }

    fn perform(&mut self, out: &mut Vec<DhtEffect>) {
        for effect in out.drain(..) {
            match effect {
                DhtEffect::Send { to, packet } => {
                    let socket = self.sockets[usize::from(to.is_ipv6())].as_ref();
                    if let Some(socket) = socket.filter(|_| !self.local || to.ip().is_loopback()) {
                        // One that does not leave counts as one that was lost.
                        let _ = socket.send_to(&packet, to);
                    }
                }
                DhtEffect::Peers(torrent, addrs) => {
                    if let Some(inbox) = self.seekers.get(&torrent) {
                        inbox.tell(Input::Found { source: Source::Dht, addrs });
                    }
                }
                DhtEffect::Sought(torrent, result) => {
                    if let Some(inbox) = self.seekers.remove(&torrent) {
                        inbox.tell(Input::Sought(result));
                    }
                }
                DhtEffect::Resolve => self.resolve(),
            }
        }
    }

    /// Finds out where to begin. Names are asked for on a thread of their own: that may take long.
    fn resolve(&self) {
        let (orders, waker, local) = (self.orders.clone(), Arc::clone(&self.waker), self.local);
        let names = self.config.nodes.clone();
        let begin = move |addrs: Vec<SocketAddr>| {
            if orders.send(Order::Begin(addrs)).is_ok() {
                let _ = waker.wake();
            }
        };
        let literal: Vec<SocketAddr> = names.iter().filter_map(|name| name.parse().ok()).collect();
        if local || literal.len() == names.len() {
            return begin(literal);
        }
        let instead = begin.clone();
        let work = move || {
            let found = names.iter().filter_map(|name| name.to_socket_addrs().ok()).flatten();
            begin(found.filter(can_be_peer).collect());
        };
        if let Err(error) = self.crew.spawn("dht-names".to_owned(), work, |_| ()) {
            log::warn!("no thread to look for nodes: {error}");
            instead(literal);
        }
    }

    /// Tells how it is doing, and writes down the nodes now and then.
    fn tell(&mut self, now: Instant) {
        let state = self.machine.state(now);
        let before = std::mem::replace(&mut *self.state.lock().unwrap_or_else(PoisonError::into_inner), state);
        let differs = (before.nodes, before.beginning) != (state.nodes, state.beginning);
        if differs && (now >= self.told + TELL || before.nodes == [0, 0] || state.nodes == [0, 0]) {
            self.told = now;
            (self.config.changed)();
        }
        if now >= self.saved + SAVE {
            self.saved = now;
            self.save();
        }
    }

    /// Writes down the nodes for the next session. A session that found nobody keeps what the one before has found.
    fn save(&self) {
        let (ids, nodes) = self.machine.to_keep();
        if nodes.is_empty() {
            return;
        }
        if let Err(error) = rewrite(&self.config.file, &encode(ids, &nodes)) {
            log::warn!("the nodes of the DHT were not written down: {error}");
        }
    }
}

fn encode(ids: [Option<NodeId>; 2], nodes: &[SocketAddr]) -> Vec<u8> {
    let mut lists = [Vec::new(), Vec::new()];
    nodes.iter().for_each(|addr| put_compact(addr, &mut lists[usize::from(addr.is_ipv6())]));
    let ids = IDS.into_iter().zip(ids).filter_map(|(key, id)| Some((key, Item::from(&id?.0[..]))));
    let lists = NODES.into_iter().zip(lists).map(|(key, list)| (key, Item::from(list)));
    Item::dictionary(ids.chain(lists)).encode()
}

/// What the last session found; nothing where the file is not there, too large or damaged.
fn read(path: &Path) -> ([Option<NodeId>; 2], Vec<SocketAddr>) {
    let fits = std::fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.len() <= limits::DHT_FILE);
    let bytes = if fits { std::fs::read(path).unwrap_or_default() } else { Vec::new() };
    decode(&bytes).unwrap_or_default()
}

fn decode(bytes: &[u8]) -> Option<([Option<NodeId>; 2], Vec<SocketAddr>)> {
    let value = Value::parse(bytes).ok()?;
    let ids = IDS.map(|key| value.get(key.as_bytes()).and_then(|id| id.text()?.try_into().ok()).map(NodeId));
    let list = |key: &str| value.get(key.as_bytes()).and_then(|list| list.text()).unwrap_or_default();
    let nodes = list(NODES[0]).chunks(6).chain(list(NODES[1]).chunks(18));
    let nodes = nodes.filter_map(one_address).filter(can_be_peer).take(limits::DHT_FILE_NODES);
    Some((ids, nodes.collect()))
}

/// A socket for each family that there is, on one port; another one where that is taken.
fn sockets(bind: Option<IpAddr>, port: u16) -> io::Result<([Option<UdpSocket>; 2], u16)> {
    let hosts = match bind {
        Some(ip) => vec![ip],
        None => vec![IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)],
    };
    let mut why = io::Error::from(ErrorKind::AddrNotAvailable);
    for port in [port, 0] {
        let (mut found, mut port) = ([None, None], port);
        for host in &hosts {
            match open(SocketAddr::new(*host, port)) {
                Ok(socket) => {
                    port = socket.local_addr()?.port();
                    found[usize::from(host.is_ipv6())] = Some(socket);
                }
                Err(error) => why = error,
            }
        }
        if found.iter().any(Option::is_some) {
            return Ok((found, port));
        }
    }
    Err(why)
}

fn open(addr: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP))?;
    if addr.is_ipv6() {
        // So that IPv4 can have the same port on a socket of its own.
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    Ok(UdpSocket::from_std(socket.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_found_again_and_a_damaged_file_is_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dht");
        let nodes: Vec<SocketAddr> = vec!["9.8.7.6:5".parse().unwrap(), "[2001:db8::1]:7".parse().unwrap()];
        let ids = [Some(NodeId([3; 20])), None];
        let good = encode(ids, &nodes);
        rewrite(&path, &good).unwrap();
        assert_eq!(read(&path), (ids, nodes));
        for at in 0..good.len() {
            std::fs::write(&path, &good[..at]).unwrap();
            assert_eq!(read(&path).1, [], "cut after {at}");
            let mut bent = good.clone();
            bent[at] ^= 0x55;
            std::fs::write(&path, bent).unwrap();
            assert!(read(&path).1.len() <= 3);
        }
        std::fs::write(&path, vec![b'l'; 100 << 20]).unwrap();
        assert_eq!(read(&path), Default::default());
        assert_eq!(read(folder.path()), Default::default());
    }
}
