//! The embedded tracker: HTTP and UDP over both address families, everything in memory, enough for a LAN.
//!
//! It believes no address but the one that a packet comes from, and every list of it has an end. HTTP connections are
//! answered by a fixed number of threads; one that does not come to the point stands behind those that wait.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};

use self::store::{Call, Store};
use crate::wire::tracker::server::Answer;

mod http;
mod shares;
mod store;
mod udp;

/// Where trackers listen by custom.
pub const PORT: u16 = 6969;
/// The stack of a thread of the tracker.
const STACK: usize = 256 * 1024;
/// How often a port is looked for that is free for TCP and UDP alike, where any will do.
const PORT_TRIES: usize = 16;

/// How a tracker is to run.
#[derive(Clone, Debug)]
pub struct TrackerConfig {
    /// Where it listens, with HTTP and UDP alike; `[::]` is every address of this machine, of version 4 too. Port 0 takes any that is free for both.
    pub listen: Vec<SocketAddr>,
    /// The time between two announces that it tells clients. A peer silent for twice as long is forgotten.
    pub interval: Duration,
}

impl TrackerConfig {
    /// The interval where none is wished.
    pub const INTERVAL: Duration = Duration::from_secs(120);

    /// A tracker for this machine alone, on any free port.
    #[must_use]
    pub fn loopback() -> Self {
        TrackerConfig { listen: vec![SocketAddr::from(([127, 0, 0, 1], 0))], interval: Self::INTERVAL }
    }
}

/// What a tracker has done and knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TrackerStats {
    /// Torrents known.
    pub torrents: usize,
    /// Peers known, each once for each of its torrents.
    pub peers: usize,
    /// Seeds among them.
    pub seeds: usize,
    /// Announces answered.
    pub announces: u64,
    /// Scrapes answered.
    pub scrapes: u64,
    /// Requests refused, malformed or too slow.
    pub refused: u64,
}

/// What the threads share.
#[derive(Debug)]
struct Shared {
    store: Mutex<Store>,
    /// Connections over HTTP that wait to be read.
    crowd: http::Crowd,
    stop: AtomicBool,
    announces: AtomicU64,
    scrapes: AtomicU64,
    refused: AtomicU64,
}

impl Shared {
    fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stopping(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Takes an announce in, however it came.
    fn announce(&self, call: &Call) -> Result<Answer, &'static str> {
        let answer = self.store().announce(Instant::now(), call);
        let Call { info_hash, addr, event, left, .. } = call;
        match &answer {
            Ok(answer) => {
                Shared::count(&self.announces);
                log::debug!("{info_hash}: {addr} announces {event:?}, {left} left, and is told {}", answer.peers.len());
            }
            Err(why) => log::debug!("{info_hash}: {addr} is refused: {why}"),
        }
        answer
    }

    fn stats(&self) -> TrackerStats {
        let (torrents, peers, seeds) = self.store().totals();
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        TrackerStats {
            torrents,
            peers,
            seeds,
            announces: read(&self.announces),
            scrapes: read(&self.scrapes),
            refused: read(&self.refused),
        }
    }
}

/// A tracker that runs until it is dropped.
#[derive(Debug)]
pub struct Tracker {
    shared: Arc<Shared>,
    addrs: Vec<SocketAddr>,
    missing: Vec<String>,
    threads: Vec<JoinHandle<()>>,
}

impl Tracker {
    /// Starts it.
    ///
    /// # Errors
    /// When it can listen on none of the addresses, or the system gives no threads. With several addresses, one that
    /// the system does not have (IPv6, say) is passed over.
    pub fn start(config: &TrackerConfig) -> io::Result<Self> {
        let (mut sockets, mut missing) = (Vec::new(), Vec::new());
        let mut fault = io::Error::new(io::ErrorKind::InvalidInput, "no address to listen on");
        let mut try_to = |addr: SocketAddr| match listen(addr) {
            Ok(pair) => {
                let port = pair.0.local_addr().map_or(addr.port(), |addr| addr.port());
                sockets.push(pair);
                Some(port)
            }
            Err(e) => {
                log::warn!("the tracker cannot listen on {addr}: {e}");
                fault = io::Error::new(e.kind(), format!("cannot listen on {addr}: {e}"));
                missing.push(fault.to_string());
                None
            }
        };
        for addr in &config.listen {
            let port = try_to(*addr);
            // All addresses of this machine are those of version 4 too, as everywhere else.
            let all = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port.unwrap_or_default()));
            if port.is_some() && addr.ip() == Ipv6Addr::UNSPECIFIED && !config.listen.contains(&all) {
                try_to(all);
            }
        }
        if sockets.is_empty() {
            return Err(fault);
        }
        let shared = Arc::new(Shared {
            store: Mutex::new(Store::new(config.interval, Instant::now(), fastrand::Rng::new())),
            crowd: http::Crowd::default(),
            stop: AtomicBool::new(false),
            announces: AtomicU64::new(0),
            scrapes: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        });
        let mut it = Tracker { shared, addrs: Vec::new(), missing, threads: Vec::new() };
        let (hand_over, connections) = crossbeam_channel::bounded(http::WAITING);
        for n in 0..http::THREADS {
            let (shared, line) = (Arc::clone(&it.shared), (hand_over.clone(), connections.clone()));
            it.spawn(format!("tracker.h{n}"), move || http::serve(&shared, &line))?;
        }
        for (n, (tcp, udp)) in sockets.into_iter().enumerate() {
            it.addrs.push(tcp.local_addr()?);
            let (shared, hand_over) = (Arc::clone(&it.shared), hand_over.clone());
            it.spawn(format!("tracker.a{n}"), move || http::accept(&shared, &tcp, &hand_over))?;
            let shared = Arc::clone(&it.shared);
            it.spawn(format!("tracker.u{n}"), move || udp::serve(&shared, &udp))?;
        }
        Ok(it)
    }

    fn spawn(&mut self, name: String, body: impl FnOnce() + Send + 'static) -> io::Result<()> {
        self.threads.push(std::thread::Builder::new().name(name).stack_size(STACK).spawn(body)?);
        Ok(())
    }

    /// The addresses on which it listens, with HTTP and UDP alike.
    #[must_use]
    pub fn addrs(&self) -> &[SocketAddr] {
        &self.addrs
    }

    /// On which addresses it does not listen although it was to, and why: one sentence each.
    #[must_use]
    pub fn missing(&self) -> &[String] {
        &self.missing
    }

    /// Its announce URLs over HTTP, one for each address.
    #[must_use]
    pub fn http_urls(&self) -> Vec<String> {
        self.addrs.iter().map(|addr| format!("http://{addr}/announce")).collect()
    }

    /// Its announce URLs over UDP, one for each address.
    #[must_use]
    pub fn udp_urls(&self) -> Vec<String> {
        self.addrs.iter().map(|addr| format!("udp://{addr}/announce")).collect()
    }

    /// What it has done so far.
    #[must_use]
    pub fn stats(&self) -> TrackerStats {
        self.shared.stats()
    }
}

impl Drop for Tracker {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        for addr in &self.addrs {
            // Whoever waits for a connection or a packet gets one, and sees that it is over.
            let to = reachable(*addr);
            let _ = TcpStream::connect_timeout(&to, Duration::from_secs(1));
            let here = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
            let _ = UdpSocket::bind(here).and_then(|socket| socket.send_to(&[0], to));
        }
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                log::error!("a thread of the tracker panicked");
            }
        }
    }
}

/// Where a listener on this address can be reached from its own machine.
fn reachable(addr: SocketAddr) -> SocketAddr {
    let mut to = addr;
    if addr.ip().is_unspecified() {
        to.set_ip(if addr.is_ipv4() { [127, 0, 0, 1].into() } else { [0, 0, 0, 0, 0, 0, 0, 1].into() });
    }
    to
}

/// Listens with TCP and UDP on the same port.
fn listen(addr: SocketAddr) -> io::Result<(TcpListener, UdpSocket)> {
    let mut tries = if addr.port() == 0 { PORT_TRIES } else { 1 };
    loop {
        let tcp = bind(addr, Type::STREAM, Protocol::TCP)?;
        tcp.listen(128)?;
        let tcp = TcpListener::from(tcp);
        tries -= 1;
        match bind(tcp.local_addr()?, Type::DGRAM, Protocol::UDP) {
            Ok(udp) => return Ok((tcp, UdpSocket::from(udp))),
            Err(e) if tries == 0 => return Err(e),
            Err(_) => {}
        }
    }
}

fn bind(addr: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(addr), kind, Some(protocol))?;
    if addr.is_ipv6() {
        // Version 4 has its own socket, so no address ever comes in the mapped form.
        socket.set_only_v6(true)?;
    }
    // On Windows this would let two programs share the port.
    if cfg!(unix) && kind == Type::STREAM {
        socket.set_reuse_address(true)?;
    }
    socket.bind(&addr.into())?;
    Ok(socket)
}
