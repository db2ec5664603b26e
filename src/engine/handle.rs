//! The engine from outside: start it, tell it, listen to it, stop it.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU16;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

use super::add::{Defaults, Errands};
use super::announce::{Announcer, AnnouncerConfig};
use super::buffers::Pool;
use super::datagrams::{Datagrams, Wishes};
use super::dht::{Dht, NodeConfig};
use super::greet::{Greeter, Greeting, Routes};
use super::inbox::Seats;
use super::keep::Keep;
use super::listen::listen;
use super::ports::{PortNews, Ports, is_sensible};
use super::runner::World;
use super::session::{Desk, Errand, Order, Session};
use super::threads::Crew;
use super::udp::lan::Sockets;
use crate::api::{Command, Event};
use crate::config::{Config, Encryption};
#[cfg(unix)]
use crate::disk::handles::Descriptors;
use crate::disk::pool::DiskPool;
use crate::limits;
use crate::wire::message::PeerId;

/// How our peer ids begin (BEP 20).
const PEER_ID: &[u8; 8] = b"-TU0100-";
/// How an engine is to work.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// The default download folder.
    pub dir: PathBuf,
    /// Where resume records are kept.
    pub state_dir: PathBuf,
    /// The port to listen on; 0 lets the system choose.
    pub port: u16,
    /// The only address to listen on and connect from.
    pub bind: Option<IpAddr>,
    /// Whether connections are encrypted.
    pub encryption: Encryption,
    /// Have the router forward the port (UPnP, NAT-PMP, PCP).
    pub port_map: bool,
    /// Take up the torrents of the last session, and keep this one's for the next.
    pub keep: bool,
    /// Let peers tell each other of peers (BEP 11).
    pub pex: bool,
    /// Use the DHT, beginning with these nodes (`host:port`).
    pub dht: Option<Vec<String>>,
    /// Reach peers by uTP too, and be reached by it.
    pub utp: bool,
    /// The most connections of all torrents together.
    pub max_peers: usize,
    /// Look for peers on the local network.
    pub lsd: bool,
    /// Limits do not hold for those.
    pub lan_unlimited: bool,
    /// Limits of all torrents together, bytes a second: in and out.
    pub limits: (Option<u64>, Option<u64>),
    /// Downloads that may run at once; `None` is no limit.
    pub max_active: Option<u32>,
    /// Where settings are written to, if they are.
    pub config_file: Option<PathBuf>,
}

impl EngineConfig {
    /// An engine that keeps to this machine, with everything in this folder: it listens on loopback, on a port that the
    /// system chooses, and looks for nobody by itself but at trackers.
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
            limits: (None, None),
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
            limits: (config.down_limit, config.up_limit),
            max_active: config.max_active.filter(|most| *most > 0),
            config_file: config.file.clone(),
        }
    }
}

/// A running engine. Dropping it stops it as [`Engine::shutdown`] does.
pub struct Engine {
    crew: Crew,
    orders: Sender<Order>,
    events: Receiver<Event>,
    left: Receiver<Vec<String>>,
    port: Option<u16>,
    port_trouble: Option<String>,
    over: bool,
}

impl Engine {
    /// Starts an engine without torrents.
    ///
    /// # Errors
    /// One sentence, when the system gives no thread or no means to wait for sockets. That peers cannot reach us is
    /// no error: the snapshots say so.
    pub fn start(config: &EngineConfig) -> Result<Engine, String> {
        let fail = |what: &str, error: &std::io::Error| format!("the engine cannot start: no {what}: {error}");
        let (crew, routes) = (Crew::default(), Routes::default());
        let (orders, todo) = unbounded();
        let (events, heard) = unbounded();
        let (tell_left, left) = bounded(1);
        let (news, news_heard) = unbounded();
        let max_peers = affordable(config.max_peers);
        let peer_id = peer_id();
        let listeners = listen(config.bind, config.port);
        let (port, port_state) = (listeners.port, listeners.state.clone());
        let port_trouble = listeners.troubled.then(|| port_state.clone());
        let results = unbounded();
        let seats = Seats::new(max_peers);
        let greeting = greeting(config, peer_id, routes.clone(), seats.clone(), &results.0);
        let greeter = Greeter::start(&crew, listeners, greeting).map_err(|e| fail("way to wait for peers", &e))?;
        let announcing = AnnouncerConfig { bind: config.bind, ..AnnouncerConfig::default() };
        let announcer = Announcer::start(&crew, &announcing).map_err(|e| {
            greeter.stop();
            fail("thread for announces", &e)
        })?;
        let lan = sockets(config, &results.0).map(|sockets| announcer.discover(sockets, routes.clone()));
        let datagrams = datagrams(&crew, config, port, &greeter, &results.0);
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let disk = DiskPool::start(cores.min(4)).map_err(|e| {
            greeter.stop();
            fail("disk thread", &e)
        })?;
        let defaults = Defaults {
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
        let world = World {
            crew: crew.clone(),
            greeter,
            pool: Pool::default(),
            announcer,
            lan,
            datagrams,
            seats: seats.clone(),
            outside: AtomicU16::new(0),
            news,
        };
        let session = Session {
            world: Arc::new(world),
            routes,
            seats,
            disk: Arc::new(disk),
            defaults,
            state_dir: config.state_dir.clone(),
            errands: Errands::new(crew.clone()),
            results,
            orders: todo,
            news: news_heard,
            events,
            keep: config.keep.then(|| Keep::new(&config.state_dir)),
            port_state,
            ports,
            limits: config.limits,
            max_active: config.max_active,
            config_file: config.config_file.clone(),
        };
        let work = move || {
            let _ = tell_left.send(Desk::new(session).run());
        };
        crew.spawn("session".to_owned(), work, |_| ()).map_err(|e| fail("thread", &e))?;
        Ok(Engine { crew, orders, events: heard, left, port, port_trouble, over: false })
    }

    /// Asks for something. Answers come as events.
    pub fn send(&self, command: Command) {
        // An engine that has stopped has said so.
        let _ = self.orders.send(Order::Command(command));
    }

    /// Asks for things without holding the engine.
    pub fn sender(&self) -> impl Fn(Command) + Send + 'static + use<> {
        let orders = self.orders.clone();
        move |command| drop(orders.send(Order::Command(command)))
    }

    /// What happens. The channel ends when the engine has stopped.
    #[must_use]
    pub fn events(&self) -> Receiver<Event> {
        self.events.clone()
    }

    /// The port that peers can reach us on.
    #[must_use]
    pub const fn port(&self) -> Option<u16> {
        self.port
    }

    /// What is wrong with that port: another one than was wished for, or none.
    #[must_use]
    pub fn port_trouble(&self) -> Option<&str> {
        self.port_trouble.as_deref()
    }

    /// Stops all torrents (records saved, trackers told), then everything else. Returns the names of what did not
    /// stop in time; nothing of it can hold the program.
    #[must_use]
    pub fn shutdown(mut self, time: Duration) -> Vec<String> {
        self.stop(time)
    }

    fn stop(&mut self, time: Duration) -> Vec<String> {
        if std::mem::replace(&mut self.over, true) {
            return Vec::new();
        }
        let until = Instant::now() + time;
        let _ = self.orders.send(Order::Quit(until));
        let mut left = self.left.recv_deadline(until).unwrap_or_default();
        left.extend(self.crew.wait(until));
        left
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let left = self.stop(limits::SHUTDOWN);
        if !left.is_empty() {
            log::warn!("did not stop in time: {}", left.join(", "));
        }
    }
}

/// How connections are made; what the greeter has to say goes to the session.
fn greeting(
    config: &EngineConfig,
    peer_id: PeerId,
    routes: Routes,
    seats: Seats,
    results: &Sender<Errand>,
) -> Greeting {
    let (notices, calls) = (results.clone(), results.clone());
    let notice = Box::new(move |text| drop(notices.send(Errand::Said(None, text))));
    let called = Box::new(move || drop(calls.send(Errand::Port(PortNews::Called))));
    Greeting { peer_id, bind: config.bind, encryption: config.encryption, routes, seats, notice, called }
}

/// The sockets of local discovery, if it is wished; that there are none is told.
fn sockets(config: &EngineConfig, notices: &Sender<Errand>) -> Option<Sockets> {
    let opened = config.lsd.then(|| Sockets::open(config.bind))?;
    let tell = |why| drop(notices.send(Errand::Said(None, format!("no peers of the local network are found: {why}"))));
    opened.map_err(tell).ok()
}

/// Has the router forward the port, where that is wished for and can be.
fn ports(crew: &Crew, config: &EngineConfig, port: Option<u16>, results: &Sender<Errand>) -> Option<Ports> {
    let port = port.filter(|_| config.port_map && is_sensible(config.bind))?;
    let tell = results.clone();
    let started = Ports::start(crew, config.bind, port, move |news| drop(tell.send(Errand::Port(news))));
    started.map_err(|error| log::warn!("no thread for the router: {error}")).ok()
}

/// The UDP port, where the DHT or uTP is wished for. That there is none is told and holds nothing else up.
fn datagrams(
    crew: &Crew,
    config: &EngineConfig,
    port: Option<u16>,
    greeter: &Greeter,
    results: &Sender<Errand>,
) -> Option<Datagrams> {
    let tell = results.clone();
    let changed = Box::new(move || drop(tell.send(Errand::Done)));
    let file = config.state_dir.join("dht");
    let dht = config.dht.clone().map(|nodes| NodeConfig { nodes, file, changed });
    let utp = config.utp.then(|| greeter.clone());
    let what = match (&dht, &utp) {
        (None, None) => return None,
        (Some(_), None) => "DHT",
        (None, Some(_)) => "uTP",
        (Some(_), Some(_)) => "DHT and no uTP",
    };
    match Datagrams::start(crew, Wishes { bind: config.bind, port: port.unwrap_or(config.port), dht, utp }) {
        Ok(datagrams) => {
            datagrams.utp.iter().for_each(|utp| greeter.speak(utp.clone()));
            Some(datagrams)
        }
        Err(error) => {
            let _ = results.send(Errand::Said(None, format!("there is no {what}: {error}")));
            None
        }
    }
}

/// A peer id that nobody else has.
fn peer_id() -> PeerId {
    let mut id = [0; 20];
    id[..8].copy_from_slice(PEER_ID);
    id[8..].fill_with(|| fastrand::alphanumeric() as u8);
    PeerId(id)
}

/// How many connections the system lets us have, at most as many as wished for.
#[cfg(unix)]
pub(super) fn affordable(wished: usize) -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    // The soft limit is a habit for programs that use `select`; the hard one is what we may have.
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum.map(|n| n.min(1 << 16)), maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        log::debug!("the limit of open files stays as it is: {error}");
    }
    wished.min(Descriptors::of_this_process().peers).max(1)
}

/// How many connections the system lets us have, at most as many as wished for.
#[cfg(not(unix))]
pub(super) const fn affordable(wished: usize) -> usize {
    wished
}
