//! The public handle of the engine: start, send commands, receive events, shut down.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU16;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

use super::add::{TaskPool, TorrentDefaults};
use super::announce::{Announcer, AnnouncerConfig};
use super::buffers::BufferPool;
use super::connector::Connector;
use super::connector_config::{ConnectorConfig, TorrentRegistry};
use super::context::EngineContext;
use super::dht::{Dht, NodeConfig};
use super::error::EngineError;
use super::inbox::ConnectionLimit;
use super::listen::listen;
use super::port_mapper::{PortEvent, PortMapper, is_sensible};
use super::scheduler::{MachineCount, Scheduler};
use super::session::unfinished::Unfinished;
use super::session::{Session, SessionMessage, SessionParts, TaskResult};
use super::session_store::SessionStore;
use super::threads::ThreadGroup;
use super::udp_endpoint::{UdpConfig, UdpEndpoint};
use super::udp_tracker::lsd::Sockets;
use crate::api::{Command, Event, Listening, RateLimits};
use crate::config::{Config, Encryption};
#[cfg(unix)]
use crate::disk::file_cache::Descriptors;
use crate::disk::pool::DiskPool;
use crate::limits;
use crate::wire::message::PeerId;

/// Peer id prefix: client and version in the Azureus style (BEP 20).
const PEER_ID: &[u8; 8] = b"-TU0100-";
/// Configuration of an [`Engine`].
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// The default download folder.
    pub dir: PathBuf,
    /// The folder for resume data and the saved session.
    pub state_dir: PathBuf,
    /// The TCP and UDP port to listen on; 0 lets the system choose.
    pub port: u16,
    /// The only local address to listen on and connect from.
    pub bind: Option<IpAddr>,
    pub encryption: Encryption,
    /// Map the port on the router (PCP, NAT-PMP, UPnP).
    pub port_map: bool,
    /// Restore the torrents of the last session and save those of this one.
    pub keep: bool,
    /// Exchange peer addresses with peers (PEX, BEP 11).
    pub pex: bool,
    /// Run a DHT node (BEP 5), bootstrapping from these `host:port` nodes; `None` disables the DHT.
    pub dht: Option<Vec<String>>,
    /// Use uTP (BEP 29) for outgoing and incoming connections.
    pub utp: bool,
    /// Maximum number of connections of all torrents together.
    pub max_peers: usize,
    /// Discover peers on the local network (LSD, BEP 14).
    pub lsd: bool,
    /// Exempt peers on the local network from rate limits.
    pub lan_unlimited: bool,
    /// Global rate limits.
    pub limits: RateLimits,
    /// Maximum number of active downloads; `None` is unlimited.
    pub max_active: Option<u32>,
    /// The config file that changed settings are written to, if any.
    pub config_file: Option<PathBuf>,
}

impl EngineConfig {
    /// Returns a configuration for tests and demos: everything in `dir`, loopback only, a port chosen by the system.
    ///
    /// Trackers are the only peer discovery that is enabled.
    #[must_use]
    pub fn loopback(dir: PathBuf) -> Self {
        EngineConfig {
            state_dir: dir.join("state"),
            dir,
            port: 0,
            bind: Some(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST)),
            encryption: Encryption::default(),
            port_map: false,
            keep: false,
            pex: false,
            dht: None,
            utp: false,
            max_peers: limits::PEERS_ALL,
            lsd: false,
            lan_unlimited: false,
            limits: RateLimits::default(),
            max_active: None,
            config_file: None,
        }
    }
}

impl From<&Config> for EngineConfig {
    fn from(config: &Config) -> Self {
        EngineConfig {
            dir: config.dir.clone(),
            state_dir: config.state_dir.clone(),
            port: config.port,
            bind: config.bind,
            encryption: config.encryption,
            port_map: config.port_map,
            keep: false,
            pex: config.pex,
            dht: config.dht.then(|| config.dht_nodes.clone()),
            utp: config.utp,
            max_peers: config.max_peers,
            lsd: config.lsd,
            lan_unlimited: config.lan_unlimited,
            limits: RateLimits { down: config.down_limit, up: config.up_limit },
            max_active: config.max_active.filter(|most| *most > 0),
            config_file: config.file.clone(),
        }
    }
}

/// A running engine. Dropping it shuts it down like [`Engine::shutdown`].
pub struct Engine {
    crew: ThreadGroup,
    torrents: MachineCount,
    orders: Sender<SessionMessage>,
    events: Receiver<Event>,
    left: Receiver<Unfinished>,
    listening: Listening,
    over: bool,
}

impl Engine {
    /// Starts an engine without torrents.
    ///
    /// # Errors
    /// Fails if threads or the socket poll cannot be created. A failure to listen is not an
    /// error; the snapshots report it.
    pub fn start(config: &EngineConfig) -> Result<Engine, EngineError> {
        let fail = |what, source| EngineError::Start { what, source };
        let (crew, routes) = (ThreadGroup::default(), TorrentRegistry::default());
        let (orders, todo) = unbounded();
        let (events, heard) = unbounded();
        let (tell_left, left) = bounded(1);
        let (news, news_heard) = unbounded();
        let max_peers = affordable(config.max_peers);
        let peer_id = peer_id();
        let listeners = listen(config.bind, config.port, config.utp || config.dht.is_some());
        let listening = listeners.listening.clone();
        let port = listening.port();
        let results = unbounded();
        let seats = ConnectionLimit::new(max_peers);
        let greeting = greeting(config, peer_id, routes.clone(), seats.clone(), &results.0);
        let greeter = Connector::start(&crew, listeners, greeting).map_err(|e| fail("way to wait for peers", e))?;
        let announcing = AnnouncerConfig { bind: config.bind, ..AnnouncerConfig::default() };
        let announcer = Announcer::start(&crew, &announcing).map_err(|e| {
            greeter.stop();
            fail("thread for announces", e)
        })?;
        let lan = sockets(config, &results.0).map(|sockets| announcer.discover(sockets, routes.clone()));
        let datagrams = datagrams(&crew, config, port, &greeter, &results.0);
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let disk = DiskPool::start(cores.min(4)).map_err(|e| {
            greeter.stop();
            fail("disk thread", e)
        })?;
        let scheduler = Scheduler::start(&crew, cores.min(4)).map_err(|e| {
            greeter.stop();
            fail("thread for torrents", e)
        })?;
        let torrents = scheduler.count();
        let defaults = TorrentDefaults {
            dir: config.dir.clone(),
            peer_id,
            port,
            pex: config.pex,
            utp: datagrams.as_ref().is_some_and(|it| it.utp.is_some()),
            dht: datagrams.as_ref().and_then(|it| it.dht.as_ref()).map(|dht| dht.port()),
            max_peers: max_peers.min(limits::PEERS_TORRENT),
            lan: lan.is_some(),
            lan_unlimited: config.lan_unlimited,
        };
        let ports = ports(&crew, config, port, &results.0);
        let world = EngineContext {
            crew: crew.clone(),
            scheduler,
            greeter,
            pool: BufferPool::default(),
            announcer,
            lan,
            datagrams,
            seats: seats.clone(),
            outside: AtomicU16::new(0),
            news,
        };
        let session = SessionParts {
            world: Arc::new(world),
            routes,
            seats,
            disk: Arc::new(disk),
            defaults,
            state_dir: config.state_dir.clone(),
            tasks: TaskPool::new(crew.clone()),
            results,
            orders: todo,
            news: news_heard,
            events,
            keep: config.keep.then(|| SessionStore::new(&config.state_dir)),
            listening: listening.clone(),
            ports,
            limits: config.limits,
            max_active: config.max_active,
            config_file: config.config_file.clone(),
        };
        let work = move || {
            let _ = tell_left.send(Session::new(session).run());
        };
        crew.spawn("session".to_owned(), work, |_| ()).map_err(|e| fail("thread", e))?;
        Ok(Engine { crew, torrents, orders, events: heard, left, listening, over: false })
    }

    /// Sends a command. Results arrive as events.
    pub fn send(&self, command: Command) {
        // Fails only after the engine has stopped, which `Event::Stopped` has reported.
        let _ = self.orders.send(SessionMessage::Command(command));
    }

    /// Returns a function that sends commands without borrowing the engine.
    pub fn sender(&self) -> impl Fn(Command) + Send + 'static + use<> {
        let orders = self.orders.clone();
        move |command| drop(orders.send(SessionMessage::Command(command)))
    }

    /// Returns the event channel. It disconnects when the engine has stopped.
    #[must_use]
    pub fn events(&self) -> Receiver<Event> {
        self.events.clone()
    }

    /// Returns the port that the engine listens on.
    #[must_use]
    pub const fn port(&self) -> Option<u16> {
        self.listening.port()
    }

    /// Returns whether and where the engine listens for peers.
    #[must_use]
    pub const fn listening(&self) -> &Listening {
        &self.listening
    }

    /// Stops all torrents (resume data saved, `stopped` announced), then all threads.
    ///
    /// # Errors
    /// What did not stop in time; none of it keeps the process alive.
    pub fn shutdown(mut self, time: Duration) -> Result<(), Unfinished> {
        self.stop(time)
    }

    fn stop(&mut self, time: Duration) -> Result<(), Unfinished> {
        if std::mem::replace(&mut self.over, true) {
            return Ok(());
        }
        let until = Instant::now() + time;
        let _ = self.orders.send(SessionMessage::Quit(until));
        let mut left = self.left.recv_deadline(until).unwrap_or_default();
        left.threads.extend(self.crew.wait(until));
        left.count_torrents(self.torrents.get());
        if left.torrents == Some(0) && left.threads.is_empty() {
            return Ok(());
        }
        tracing::warn!("{left}");
        Err(left)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // What did not stop in time is in the log.
        let _ = self.stop(limits::SHUTDOWN);
    }
}

/// Builds the configuration of the connector; its notices go to the session.
fn greeting(
    config: &EngineConfig,
    peer_id: PeerId,
    routes: TorrentRegistry,
    seats: ConnectionLimit,
    results: &Sender<TaskResult>,
) -> ConnectorConfig {
    let (notices, calls) = (results.clone(), results.clone());
    let notice = Box::new(move |text| drop(notices.send(TaskResult::Notice(None, text))));
    let called = Box::new(move || drop(calls.send(TaskResult::Port(PortEvent::Reachable))));
    ConnectorConfig {
        peer_id,
        bind: config.bind,
        encryption: config.encryption,
        routes,
        seats,
        notice,
        on_reachable: called,
    }
}

/// Opens the LSD sockets, if enabled. A failure is reported as a notice.
fn sockets(config: &EngineConfig, notices: &Sender<TaskResult>) -> Option<Sockets> {
    let opened = config.lsd.then(|| Sockets::open(config.bind))?;
    let tell =
        |why| drop(notices.send(TaskResult::Notice(None, format!("no peers of the local network are found: {why}"))));
    opened.map_err(tell).ok()
}

/// Starts the port mapper, if enabled and useful for the bound address.
fn ports(
    crew: &ThreadGroup,
    config: &EngineConfig,
    port: Option<u16>,
    results: &Sender<TaskResult>,
) -> Option<PortMapper> {
    let port = port.filter(|_| config.port_map && is_sensible(config.bind))?;
    let tell = results.clone();
    let started = PortMapper::start(crew, config.bind, port, move |news| drop(tell.send(TaskResult::Port(news))));
    started.map_err(|error| tracing::warn!("no thread for the router: {error}")).ok()
}

/// Opens the UDP endpoint if the DHT or uTP is enabled. A failure is reported as a notice and is not fatal.
fn datagrams(
    crew: &ThreadGroup,
    config: &EngineConfig,
    port: Option<u16>,
    greeter: &Connector,
    results: &Sender<TaskResult>,
) -> Option<UdpEndpoint> {
    let tell = results.clone();
    let changed = Box::new(move || drop(tell.send(TaskResult::Done)));
    let file = config.state_dir.join("dht");
    let dht = config.dht.clone().map(|nodes| NodeConfig { nodes, file, changed });
    let utp = config.utp.then(|| greeter.utp_events());
    let what = match (&dht, &utp) {
        (None, None) => return None,
        (Some(_), None) => "DHT",
        (None, Some(_)) => "uTP",
        (Some(_), Some(_)) => "DHT and no uTP",
    };
    match UdpEndpoint::start(crew, UdpConfig { bind: config.bind, port: port.unwrap_or(config.port), dht, utp }) {
        Ok(datagrams) => {
            datagrams.utp.iter().for_each(|utp| greeter.set_utp(utp.clone()));
            Some(datagrams)
        }
        Err(error) => {
            let _ = results.send(TaskResult::Notice(None, format!("there is no {what}: {error}")));
            None
        }
    }
}

/// Returns a random peer id with our prefix.
fn peer_id() -> PeerId {
    let mut id = [0; 20];
    id[..8].copy_from_slice(PEER_ID);
    id[8..].fill_with(|| fastrand::alphanumeric() as u8);
    PeerId(id)
}

/// Returns the requested number of connections, capped by the file descriptors available to this process.
#[cfg(unix)]
pub(super) fn affordable(wished: usize) -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    // The soft limit is kept low only for programs that use `select`, so it is raised towards the hard limit.
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum.map(|n| n.min(1 << 16)), maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::debug!("the limit of open files stays as it is: {error}");
    }
    wished.min(Descriptors::of_this_process().peers).max(1)
}

/// Returns the requested number of connections: only Unix limits the number of sockets.
#[cfg(not(unix))]
pub(super) const fn affordable(wished: usize) -> usize {
    wished
}
