//! The DHT's end of the UDP port ([`super::datagrams`]): packets and orders for the machine of [`crate::swarm::dht`].
//!
//! Bound to a loopback address it speaks to nobody else, and asks no name server.

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::datagrams::{Orders, Sockets};
use super::inbox::Inbox;
use super::threads::Crew;
use crate::disk::atomic::replace;
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
}

/// How a node is to work.
pub struct NodeConfig {
    /// Nodes to begin with: `host:port`.
    pub nodes: Vec<String>,
    /// Where nodes are kept for the next session.
    pub file: PathBuf,
    /// Called now and then when its state has changed.
    pub changed: Box<dyn Fn() + Send>,
}

/// What the node is asked to do.
pub(super) enum Order {
    Seek(InfoHash, Option<u16>, Inbox),
    Forget(InfoHash),
    Meet(SocketAddr),
    /// Where to begin, as far as it could be found out.
    Begin(Vec<SocketAddr>),
}

/// The way to our node.
pub struct Node {
    orders: Orders,
    state: Arc<Mutex<DhtState>>,
    port: u16,
}

/// The time between two writings of the nodes that are known.
const SAVE: Duration = Duration::from_secs(10 * 60);
/// The shortest time between two calls of [`NodeConfig::changed`].
const TELL: Duration = Duration::from_secs(1);
/// The names of the file's entries, by family.
const NODES: [&str; 2] = ["nodes", "nodes6"];
const IDS: [&str; 2] = ["id", "id6"];

impl Dht for Node {
    fn seek(&self, torrent: InfoHash, announce: Option<u16>, inbox: &Inbox) {
        self.orders.dht(Order::Seek(torrent, announce, inbox.clone()));
    }

    fn forget(&self, torrent: InfoHash) {
        self.orders.dht(Order::Forget(torrent));
    }

    fn meet(&self, addr: SocketAddr) {
        self.orders.dht(Order::Meet(addr));
    }

    fn state(&self) -> DhtState {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn port(&self) -> u16 {
        self.port
    }
}

/// Our node, on the thread of the port.
pub(super) struct Tenant {
    machine: Machine,
    orders: Orders,
    crew: Crew,
    config: NodeConfig,
    seekers: BTreeMap<InfoHash, Inbox>,
    state: Arc<Mutex<DhtState>>,
    told: Instant,
    saved: Instant,
    out: Vec<DhtEffect>,
}

impl Tenant {
    /// Makes it, and the way to it.
    ///
    /// # Errors
    /// When there is no source of chance.
    pub(super) fn new(
        crew: &Crew,
        config: NodeConfig,
        sockets: &Sockets,
        orders: Orders,
    ) -> io::Result<(Tenant, Node)> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).map_err(io::Error::from)?;
        let (ids, known) = read(&config.file);
        let now = Instant::now();
        let families = sockets.families();
        let machine = Machine::new(now, DhtConfig { families, ids, known, secret, seed: fastrand::u64(..) });
        let state = Arc::new(Mutex::new(machine.state(now)));
        let node = Node { orders: orders.clone(), state: Arc::clone(&state), port: sockets.port() };
        let (crew, out) = (crew.clone(), Vec::new());
        let seekers = BTreeMap::new();
        Ok((Tenant { machine, orders, crew, config, seekers, state, told: now, saved: now, out }, node))
    }

    /// Takes in an order.
    pub(super) fn obey(&mut self, now: Instant, order: Order) {
        match order {
            Order::Seek(torrent, announce, inbox) => {
                self.seekers.insert(torrent, inbox);
                self.machine.seek(now, torrent, announce, &mut self.out);
            }
            Order::Forget(torrent) => {
                self.seekers.remove(&torrent);
                self.machine.forget(torrent);
            }
            Order::Meet(addr) => self.machine.meet(now, addr, &mut self.out),
            Order::Begin(addrs) => self.machine.begin_at(now, addrs, &mut self.out),
        }
    }

    /// A packet has come.
    pub(super) fn received(&mut self, now: Instant, from: SocketAddr, packet: &[u8]) {
        self.machine.received(now, from, packet, &mut self.out);
    }

    /// When there is something to do even if nothing comes.
    pub(super) fn deadline(&self) -> Instant {
        self.machine.deadline().min(self.saved + SAVE)
    }

    /// Does what is due, and sends what there is to be sent.
    pub(super) fn work(&mut self, now: Instant, sockets: &Sockets) {
        if self.machine.deadline() <= now {
            self.machine.tick(now, &mut self.out);
        }
        for effect in std::mem::take(&mut self.out) {
            match effect {
                // One that does not leave counts as one that was lost.
                DhtEffect::Send { to, packet } => _ = sockets.send(to, &packet),
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
                DhtEffect::Resolve => self.resolve(sockets.is_local()),
            }
        }
        self.tell(now);
    }

    /// Finds out where to begin. Names are asked for on a thread of their own: that may take long.
    fn resolve(&self, local: bool) {
        let orders = self.orders.clone();
        let names = self.config.nodes.clone();
        let begin = move |addrs: Vec<SocketAddr>| orders.dht(Order::Begin(addrs));
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
    pub(super) fn save(&self) {
        let (ids, nodes) = self.machine.to_keep();
        if nodes.is_empty() {
            return;
        }
        if let Err(error) = write(&self.config.file, &encode_nodes(ids, &nodes)) {
            log::warn!("the nodes of the DHT were not written down: {error}");
        }
    }
}

/// Writes the file anew; where its name is a link, the link goes, and what it leads to stays.
fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    replace(path, &path.with_extension("new"), None, bytes, true)
}

/// The file of nodes for the next session, bencoded: our node ids of both families, and addresses in compact form.
#[must_use]
pub fn encode_nodes(ids: [Option<NodeId>; 2], nodes: &[SocketAddr]) -> Vec<u8> {
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
    decode_nodes(&bytes).unwrap_or_default()
}

/// Reads the file of nodes: at most [`limits::DHT_FILE_NODES`] addresses that can be one. `None` where it is damaged.
#[must_use]
pub fn decode_nodes(bytes: &[u8]) -> Option<([Option<NodeId>; 2], Vec<SocketAddr>)> {
    let value = Value::parse(bytes).ok()?;
    let ids = IDS.map(|key| value.get(key.as_bytes()).and_then(|id| id.text()?.try_into().ok()).map(NodeId));
    let list = |key: &str| value.get(key.as_bytes()).and_then(|list| list.text()).unwrap_or_default();
    let nodes = list(NODES[0]).chunks(6).chain(list(NODES[1]).chunks(18));
    let nodes = nodes.filter_map(one_address).filter(can_be_peer).take(limits::DHT_FILE_NODES);
    Some((ids, nodes.collect()))
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
        let good = encode_nodes(ids, &nodes);
        write(&path, &good).unwrap();
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
