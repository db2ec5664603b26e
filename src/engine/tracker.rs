//! The embedded tracker: HTTP (BEP 3, BEP 23, BEP 48) and UDP (BEP 15), IPv4 and IPv6. All state is in memory; it is
//! made for a LAN.
//!
//! Peers are listed under the source address of their announce only, and all state is bounded. A fixed number of
//! threads serves HTTP connections; a slow connection goes to the end of the queue.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};

pub use shared::TrackerStats;

use crate::wire::message::{InfoHash, PeerId};
use crate::wire::tracker::AnnounceEvent;
use shared::{PendingConnections, Shared};
use store::{AnnounceCall, Store};

mod http;
mod shared;
mod shares;
mod store;
mod udp;

/// The conventional tracker port.
pub const PORT: u16 = 6969;
/// The stack size of a tracker thread.
const STACK: usize = 256 * 1024;
/// How many random ports are tried to find one that is free for both TCP and UDP.
const PORT_TRIES: usize = 16;

/// Configuration of a [`Tracker`].
#[derive(Clone, Debug)]
pub struct TrackerConfig {
    /// The addresses to listen on, over HTTP and UDP. `[::]` means all addresses, IPv4 included. Port 0 chooses a
    /// port that is free for both.
    pub listen: Vec<SocketAddr>,
    /// The announce interval for clients. A peer that is silent for two intervals, and at least 11 minutes, is removed.
    pub interval: Duration,
}

impl TrackerConfig {
    /// The default announce interval.
    pub const INTERVAL: Duration = Duration::from_secs(120);

    /// Returns the configuration of a tracker on 127.0.0.1 and any free port.
    #[must_use]
    pub fn loopback() -> Self {
        TrackerConfig { listen: vec![SocketAddr::from(([127, 0, 0, 1], 0))], interval: Self::INTERVAL }
    }
}

/// A running tracker; dropping it stops the threads.
#[derive(Debug)]
pub struct Tracker {
    shared: Arc<Shared>,
    addrs: Vec<SocketAddr>,
    missing: Vec<String>,
    threads: Vec<JoinHandle<()>>,
}

impl Tracker {
    /// Starts the tracker.
    ///
    /// # Errors
    /// If no address can be listened on or a thread cannot be spawned. Addresses that fail while others work are
    /// reported by [`missing`](Self::missing).
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
                tracing::warn!("the tracker cannot listen on {addr}: {e}");
                fault = io::Error::new(e.kind(), format!("cannot listen on {addr}: {e}"));
                missing.push(fault.to_string());
                None
            }
        };
        for addr in &config.listen {
            let port = try_to(*addr);
            // `[::]` includes IPv4, as in other programs; the IPv6 socket is IPv6-only, so IPv4 gets its own.
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
            crowd: PendingConnections::default(),
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

    /// Returns the addresses it listens on, over both HTTP and UDP.
    #[must_use]
    pub fn addrs(&self) -> &[SocketAddr] {
        &self.addrs
    }

    /// Returns the configured addresses it does not listen on, as one error message each.
    #[must_use]
    pub fn missing(&self) -> &[String] {
        &self.missing
    }

    /// Returns the HTTP announce URLs, one per address.
    #[must_use]
    pub fn http_urls(&self) -> Vec<String> {
        self.addrs.iter().map(|addr| format!("http://{addr}/announce")).collect()
    }

    /// Returns the UDP announce URLs, one per address.
    #[must_use]
    pub fn udp_urls(&self) -> Vec<String> {
        self.addrs.iter().map(|addr| format!("udp://{addr}/announce")).collect()
    }

    /// Lists a peer as if it had announced itself.
    pub(crate) fn list_peer(&self, info_hash: InfoHash, peer_id: PeerId, addr: SocketAddr, left: u64) {
        let event = AnnounceEvent::Started;
        let call = AnnounceCall { info_hash, peer_id, addr, left, event, num_want: Some(0), same_family: false };
        // A full tracker refuses it, which the tracker counts.
        let _ = self.shared.store().announce(Instant::now(), &call);
    }

    /// Returns the counters so far.
    #[must_use]
    pub fn stats(&self) -> TrackerStats {
        self.shared.stats()
    }
}

impl Drop for Tracker {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        for addr in &self.addrs {
            // Wakes the threads that block in accept or recv, so that they see the stop flag.
            let to = reachable(*addr);
            let _ = TcpStream::connect_timeout(&to, Duration::from_secs(1));
            let here = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
            let _ = UdpSocket::bind(here).and_then(|socket| socket.send_to(&[0], to));
        }
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the tracker panicked");
            }
        }
    }
}

/// Returns the address at which a listener can be reached from the same host.
fn reachable(addr: SocketAddr) -> SocketAddr {
    let mut to = addr;
    if addr.ip().is_unspecified() {
        to.set_ip(if addr.is_ipv4() { [127, 0, 0, 1].into() } else { [0, 0, 0, 0, 0, 0, 0, 1].into() });
    }
    to
}

/// Binds TCP and UDP to the same port.
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
        // IPv4 has its own socket, so addresses are never IPv4-mapped.
        socket.set_only_v6(true)?;
    }
    // On Windows, SO_REUSEADDR would let two programs share the port.
    if cfg!(unix) && kind == Type::STREAM {
        socket.set_reuse_address(true)?;
    }
    socket.bind(&addr.into())?;
    Ok(socket)
}
