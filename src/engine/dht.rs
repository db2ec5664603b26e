//! The DHT node (BEP 5) on the shared UDP endpoint (`super::udp_endpoint`). Drives the state machine of
//! [`crate::swarm::dht`] with packets, requests and timers, and saves the routing table.
//!
//! If bound to a loopback address, the node contacts loopback addresses only and resolves no host names.

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::inbox::TorrentHandle;
use super::threads::ThreadGroup;
use super::udp_socket::{DhtRequest, Sockets, UdpHandle};
use crate::disk::atomic_file::replace;
use crate::limits;
use crate::swarm::dht::{Dht as Machine, DhtConfig, DhtEffect, DhtState};
use crate::swarm::event::Input;
use crate::swarm::view::Source;
use crate::wire::bencode::{OwnedValue, Value};
use crate::wire::krpc::{NodeId, parse_compact_address};
use crate::wire::message::InfoHash;
use crate::wire::tracker::{can_be_peer, encode_compact};

/// The DHT as seen by torrents: peer discovery without a tracker.
pub trait Dht: Send + Sync {
    /// Looks up peers of a torrent (`get_peers`). If `announce` is given, announces that port (`announce_peer`). The
    /// torrent receives [`Input::PeersFound`] and finally [`Input::DhtLookupDone`].
    fn seek(&self, torrent: InfoHash, announce: Option<u16>, inbox: &TorrentHandle);
    /// Cancels the lookup of a torrent.
    fn forget(&self, torrent: InfoHash);
    /// Adds the address of a possible node, for example from a `PORT` message.
    fn meet(&self, addr: SocketAddr);
    /// Returns the state for display.
    fn state(&self) -> DhtState;
    /// Returns the node's UDP port.
    fn port(&self) -> u16;
}

/// Configuration of our DHT node.
pub struct NodeConfig {
    /// Bootstrap nodes as `host:port`.
    pub nodes: Vec<String>,
    /// The file in which the routing table is saved for the next session.
    pub file: PathBuf,
    /// Called after the state has changed, usually at most once per second.
    pub changed: Box<dyn Fn() + Send>,
}

/// Handle of our DHT node.
pub struct DhtHandle {
    orders: UdpHandle,
    state: Arc<Mutex<DhtState>>,
    port: u16,
}

/// How often the routing table is saved.
const SAVE: Duration = Duration::from_secs(10 * 60);
/// The minimum time between two calls of [`NodeConfig::changed`]. Does not apply if the node count becomes or was
/// zero.
const TELL: Duration = Duration::from_secs(1);
/// The dictionary keys of the node file: IPv4, IPv6.
const NODES: [&str; 2] = ["nodes", "nodes6"];
const IDS: [&str; 2] = ["id", "id6"];

impl Dht for DhtHandle {
    fn seek(&self, torrent: InfoHash, announce: Option<u16>, inbox: &TorrentHandle) {
        self.orders.dht(DhtRequest::Seek(torrent, announce, inbox.clone()));
    }

    fn forget(&self, torrent: InfoHash) {
        self.orders.dht(DhtRequest::Forget(torrent));
    }

    fn meet(&self, addr: SocketAddr) {
        self.orders.dht(DhtRequest::AddNode(addr));
    }

    fn state(&self) -> DhtState {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn port(&self) -> u16 {
        self.port
    }
}

/// Drives the DHT state machine on the thread of the UDP endpoint.
pub(super) struct DhtDriver {
    machine: Machine,
    orders: UdpHandle,
    crew: ThreadGroup,
    config: NodeConfig,
    seekers: BTreeMap<InfoHash, TorrentHandle>,
    state: Arc<Mutex<DhtState>>,
    told: Instant,
    saved: Instant,
    out: Vec<DhtEffect>,
}

impl DhtDriver {
    /// Loads the saved nodes and creates the driver and its handle.
    ///
    /// # Errors
    /// If the system provides no secure randomness.
    pub(super) fn new(
        crew: &ThreadGroup,
        config: NodeConfig,
        sockets: &Sockets,
        orders: UdpHandle,
    ) -> io::Result<(DhtDriver, DhtHandle)> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).map_err(io::Error::from)?;
        let (ids, known) = read(&config.file);
        let now = Instant::now();
        let families = sockets.families();
        let machine = Machine::new(now, DhtConfig { families, ids, known, secret, seed: fastrand::u64(..) });
        let state = Arc::new(Mutex::new(machine.state(now)));
        let node = DhtHandle { orders: orders.clone(), state: Arc::clone(&state), port: sockets.port() };
        let (crew, out) = (crew.clone(), Vec::new());
        let seekers = BTreeMap::new();
        Ok((DhtDriver { machine, orders, crew, config, seekers, state, told: now, saved: now, out }, node))
    }

    pub(super) fn on_request(&mut self, now: Instant, order: DhtRequest) {
        match order {
            DhtRequest::Seek(torrent, announce, inbox) => {
                self.seekers.insert(torrent, inbox);
                self.machine.seek(now, torrent, announce, &mut self.out);
            }
            DhtRequest::Forget(torrent) => {
                self.seekers.remove(&torrent);
                self.machine.forget(torrent);
            }
            DhtRequest::AddNode(addr) => self.machine.add_node_hint(now, addr, &mut self.out),
            DhtRequest::Begin(addrs) => self.machine.on_resolved(now, addrs, &mut self.out),
        }
    }

    pub(super) fn received(&mut self, now: Instant, from: SocketAddr, packet: &[u8]) {
        self.machine.received(now, from, packet, &mut self.out);
    }

    /// Returns when [`work`](Self::work) must be called even without a packet or a request.
    pub(super) fn deadline(&self) -> Instant {
        self.machine.deadline().min(self.saved + SAVE)
    }

    /// Runs due timers, performs the effects of the state machine and publishes its state.
    pub(super) fn work(&mut self, now: Instant, sockets: &Sockets) {
        if self.machine.deadline() <= now {
            self.machine.poll(now, &mut self.out);
        }
        for effect in std::mem::take(&mut self.out) {
            match effect {
                // A packet that cannot be sent counts as lost.
                DhtEffect::Send { to, packet } => _ = sockets.send(to, &packet),
                DhtEffect::Peers(torrent, addrs) => {
                    if let Some(inbox) = self.seekers.get(&torrent) {
                        inbox.send(Input::PeersFound { source: Source::Dht, addrs });
                    }
                }
                DhtEffect::LookupDone(torrent, result) => {
                    if let Some(inbox) = self.seekers.remove(&torrent) {
                        inbox.send(Input::DhtLookupDone(result));
                    }
                }
                DhtEffect::Resolve => self.resolve(sockets.is_local()),
            }
        }
        self.tell(now);
    }

    /// Resolves the bootstrap nodes. Host names are resolved on a separate thread, because that may block for long.
    fn resolve(&self, local: bool) {
        let orders = self.orders.clone();
        let names = self.config.nodes.clone();
        let begin = move |addrs: Vec<SocketAddr>| orders.dht(DhtRequest::Begin(addrs));
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
            tracing::warn!("no thread to look for nodes: {error}");
            instead(literal);
        }
    }

    /// Publishes the state, notifies of changes and saves the routing table periodically.
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

    /// Saves the routing table for the next session. An empty table does not overwrite the saved one.
    pub(super) fn save(&self) {
        let (ids, nodes) = self.machine.saved_nodes();
        if nodes.is_empty() {
            return;
        }
        if let Err(error) = write(&self.config.file, &encode_nodes(ids, &nodes)) {
            tracing::warn!("the nodes of the DHT were not written down: {error}");
        }
    }
}

/// Replaces the file atomically. If the path is a symbolic link, the link is replaced and its target left unchanged.
fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    replace(path, &path.with_extension("new"), None, bytes, true)
}

/// Encodes the node file. It is a bencoded dictionary of our node ids and the nodes' compact addresses, by address
/// family.
#[must_use]
pub fn encode_nodes(ids: [Option<NodeId>; 2], nodes: &[SocketAddr]) -> Vec<u8> {
    let mut lists = [Vec::new(), Vec::new()];
    nodes.iter().for_each(|addr| encode_compact(addr, &mut lists[usize::from(addr.is_ipv6())]));
    let ids = IDS.into_iter().zip(ids).filter_map(|(key, id)| Some((key, OwnedValue::from(&id?.0[..]))));
    let lists = NODES.into_iter().zip(lists).map(|(key, list)| (key, OwnedValue::from(list)));
    OwnedValue::dictionary(ids.chain(lists)).encode()
}

/// Reads the node file; returns nothing if it is missing, too large or damaged.
fn read(path: &Path) -> ([Option<NodeId>; 2], Vec<SocketAddr>) {
    let fits = std::fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.len() <= limits::DHT_FILE);
    let bytes = if fits { std::fs::read(path).unwrap_or_default() } else { Vec::new() };
    decode_nodes(&bytes).unwrap_or_default()
}

/// Decodes the node file: at most [`limits::DHT_FILE_NODES`] valid addresses. Returns `None` if it is not bencoded.
#[must_use]
pub fn decode_nodes(bytes: &[u8]) -> Option<([Option<NodeId>; 2], Vec<SocketAddr>)> {
    let value = Value::parse(bytes).ok()?;
    let ids = IDS.map(|key| value.get(key.as_bytes()).and_then(|id| id.as_bytes()?.try_into().ok()).map(NodeId));
    let list = |key: &str| value.get(key.as_bytes()).and_then(|list| list.as_bytes()).unwrap_or_default();
    let nodes = list(NODES[0]).chunks(6).chain(list(NODES[1]).chunks(18));
    let nodes = nodes.filter_map(parse_compact_address).filter(can_be_peer).take(limits::DHT_FILE_NODES);
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
