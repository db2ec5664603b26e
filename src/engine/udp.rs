//! UDP trackers (BEP 15), and local discovery in [`lan`]: one thread with all the asynchronous code there is.
//!
//! Each tracker address has one connected socket, so packets from anywhere else do not even arrive, and a refusal by
//! its host is told at once. A connection id is fetched once a minute and shared by all torrents.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::sync::{Mutex, Semaphore, mpsc, oneshot, watch};
use tokio::task::{AbortHandle, LocalSet, spawn_local};
use tokio::time::{Instant, timeout, timeout_at};
use url::{Host, Url};

use crate::engine::announce::AnnounceJob;
use crate::engine::greet::Routes;
use crate::engine::threads::Crew;
use crate::limits;
use crate::wire::host::HostPort;
use crate::wire::text;
use crate::wire::tracker::udp::{CONNECTION, PACKET, Reply, Request, UdpAnnounce};
use crate::wire::tracker::{AnnounceEvent, AnnounceReply};

pub mod lan;

/// Announces waiting or under way in all.
const QUEUE: usize = 4096;
/// Announces under way at once.
const UNDER_WAY: usize = 256;
/// Hosts of peers that are looked up at once: fewer than the threads that do it, so that trackers' names find one.
const LOOKUPS: usize = 4;
/// Time to look a name up.
const RESOLVE: Duration = Duration::from_secs(10);
/// The first wait for a packet; it doubles with each one that does not come (BEP 15).
const WAIT: Duration = Duration::from_secs(15);
/// The same for the last announce, for which there is little time.
const WAIT_LAST: Duration = Duration::from_secs(1);
/// After an answer over one family: the time for the other.
const SECOND: Duration = Duration::from_secs(2);
/// A rest after an unknown fault of a socket, so that a lasting one does not spin.
const BREATH: Duration = Duration::from_millis(50);

/// What the thread is asked to do.
enum Job {
    Announce(AnnounceJob),
    LookUp(Vec<HostPort>, LookedUp),
    Discover(Box<lan::Begun>),
}

/// Gets the addresses of hosts that were looked up, and how many were not found; on a thread of ours: it must not block.
pub type LookedUp = Box<dyn FnOnce(Vec<SocketAddr>, usize) + Send>;

/// The thread that talks to UDP trackers; it ends when this is dropped, and what is under way hears so.
pub struct UdpTrackers {
    jobs: mpsc::UnboundedSender<Job>,
    waiting: Arc<AtomicUsize>,
}

impl UdpTrackers {
    /// Starts the thread. `bind` is the local address to use; trackers of the other family cannot be reached then.
    ///
    /// # Errors
    /// When the system gives no thread or no event queue.
    pub fn start(crew: &Crew, bind: Option<IpAddr>) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(8).build()?;
        let (jobs, inbox) = mpsc::unbounded_channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&waiting);
        let body = move || {
            LocalSet::new().block_on(&runtime, serve(inbox, counter, bind));
            // A name that is still being looked up is left behind.
            runtime.shutdown_background();
        };
        crew.spawn("udp".into(), body, |_| ())?;
        Ok(UdpTrackers { jobs, waiting })
    }

    /// Makes an announce.
    pub fn announce(&self, job: AnnounceJob) {
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= QUEUE {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            return (job.done)(Err("too many announces are waiting".into()));
        }
        if let Err(mpsc::error::SendError(Job::Announce(job))) = self.jobs.send(Job::Announce(job)) {
            (job.done)(Err("stopped".into()));
        }
    }

    /// Looks up hosts of peers: one address of each family for each. Where too much waits already, none is found.
    pub fn look_up(&self, names: Vec<HostPort>, done: LookedUp) {
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= QUEUE {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            return done(Vec::new(), names.len());
        }
        // Where the thread has ended nobody waits for an answer.
        let _ = self.jobs.send(Job::LookUp(names, done));
    }

    /// Begins local discovery: torrents that are asked for there are told who else has them.
    #[must_use]
    pub fn discover(&self, sockets: lan::Sockets, routes: Routes) -> lan::Lan {
        let (lan, begun) = lan::begin(sockets, routes);
        // Where the thread has ended everything ends.
        let _ = self.jobs.send(Job::Discover(Box::new(begun)));
        lan
    }
}

/// Takes jobs until nobody can send any more.
async fn serve(mut inbox: mpsc::UnboundedReceiver<Job>, waiting: Arc<AtomicUsize>, bind: Option<IpAddr>) {
    let links = Rc::new(Links { bind, open: RefCell::default() });
    let places = Rc::new(Semaphore::new(UNDER_WAY));
    let lookups = Rc::new(Semaphore::new(LOOKUPS));
    let (close, closed) = watch::channel(false);
    let mut tasks = tokio::task::JoinSet::new();
    while let Some(job) = inbox.recv().await {
        while tasks.try_join_next().is_some() {}
        let job = match job {
            Job::Announce(job) => job,
            Job::LookUp(names, done) => {
                let (lookups, waiting, mut closed) = (Rc::clone(&lookups), Arc::clone(&waiting), closed.clone());
                tasks.spawn_local(async move {
                    tokio::select! {
                        (found, missing) = look_up(&names, &lookups) => done(found, missing),
                        _ = closed.wait_for(|closed| *closed) => {}
                    }
                    waiting.fetch_sub(1, Ordering::Relaxed);
                });
                continue;
            }
            Job::Discover(begun) => {
                tasks.spawn_local(lan::serve(*begun, closed.clone()));
                continue;
            }
        };
        let (links, places, mut closed) = (Rc::clone(&links), Rc::clone(&places), closed.clone());
        let waiting = Arc::clone(&waiting);
        tasks.spawn_local(async move {
            let AnnounceJob { ask, asker, done } = job;
            let last = ask.event == AnnounceEvent::Stopped;
            let deadline = Instant::now() + if last { limits::LAST_ANNOUNCE } else { limits::TRACKER };
            let work = async {
                // Last words cannot wait for others.
                let _place = if last { None } else { places.acquire().await.ok() };
                let target = Target::parse(&ask.url)?;
                let announce = UdpAnnounce::new(&ask, &asker, &target.data);
                links.announce(&target, &announce, last).await
            };
            let result = tokio::select! {
                result = timeout_at(deadline, work) => result.unwrap_or_else(|_| Err("no answer in time".into())),
                _ = closed.wait_for(|closed| *closed) => Err("stopped".into()),
            };
            waiting.fetch_sub(1, Ordering::Relaxed);
            done(result);
        });
    }
    let _ = close.send(true);
    while tasks.join_next().await.is_some() {}
    links.close();
}

/// Looks up hosts one after the other, so that those of one torrent hold off neither those of others nor trackers.
async fn look_up(names: &[HostPort], places: &Semaphore) -> (Vec<SocketAddr>, usize) {
    let (mut all, mut missing) = (Vec::new(), 0);
    for name in names {
        let _place = places.acquire().await.ok();
        let found = timeout(RESOLVE, tokio::net::lookup_host((name.host.as_str(), name.port))).await;
        let found: Vec<SocketAddr> = found.into_iter().flatten().flatten().collect();
        let first = |v6: bool| found.iter().copied().find(|addr| addr.ip().to_canonical().is_ipv6() == v6);
        missing += usize::from(found.is_empty());
        all.extend([first(false), first(true)].into_iter().flatten());
    }
    (all, missing)
}

/// Where an announce goes.
struct Target {
    host: Host<String>,
    port: u16,
    /// Path and query, unless they are nothing but a slash (BEP 41).
    data: String,
}

impl Target {
    fn parse(text: &str) -> Result<Self, String> {
        if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err("the URL holds a character that no URL may have".into());
        }
        if text.len() > limits::TRACKER_URL {
            return Err(format!("the URL is {} bytes long: too long", text.len()));
        }
        // The rules for names and ports are those of http; udp is not a scheme that URL readers know.
        let (_, rest) = text.split_once("://").ok_or("the URL has no scheme")?;
        let url = Url::parse(&format!("http://{rest}")).map_err(|e| format!("the URL cannot be read: {e}"))?;
        // 80 is what a URL reader leaves out for http, and a port that UDP trackers do use.
        let named = text_has_port(rest).then(|| url.port_or_known_default()).flatten();
        let port = named.ok_or("the URL of a UDP tracker must name a port")?;
        if port == 0 {
            return Err("the URL names port 0, which nobody can listen on".into());
        }
        let host = url.host().ok_or("the URL names no host")?.to_owned();
        let query = url.query().map_or(String::new(), |query| format!("?{query}"));
        let data = format!("{}{query}", url.path());
        Ok(Target { host, port, data: if data == "/" { String::new() } else { data } })
    }

    /// One address of each family at most.
    async fn resolve(&self) -> Result<Vec<SocketAddr>, String> {
        let found: Vec<SocketAddr> = match &self.host {
            Host::Ipv4(ip) => vec![(*ip, self.port).into()],
            Host::Ipv6(ip) => vec![(*ip, self.port).into()],
            Host::Domain(name) => {
                let lookup = tokio::net::lookup_host((name.as_str(), self.port));
                let found = timeout(RESOLVE, lookup).await.map_err(|_| "its name was not found in time")?;
                found.map_err(|_| "its name is not known")?.collect()
            }
        };
        let found = found.into_iter().map(|addr| SocketAddr::new(addr.ip().to_canonical(), addr.port()));
        let found: Vec<_> = found.filter(|addr| can_be_tracker(addr.ip())).collect();
        let first = |v6: bool| found.iter().copied().find(|addr| addr.is_ipv6() == v6);
        let chosen: Vec<_> = [first(false), first(true)].into_iter().flatten().collect();
        if chosen.is_empty() { Err("its address is none that a tracker can have".into()) } else { Ok(chosen) }
    }
}

/// Whether the host part of a URL without its scheme ends in a port.
fn text_has_port(rest: &str) -> bool {
    let authority = rest.split(['/', '?', '#']).next().unwrap_or("");
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let after_brackets = host.rsplit_once(']').map_or(host, |(_, after)| after);
    after_brackets.rsplit_once(':').is_some_and(|(_, port)| !port.is_empty())
}

fn can_be_tracker(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.octets()[0] != 0 && ip.octets()[0] < 224,
        IpAddr::V6(ip) => !ip.is_unspecified() && !ip.is_multicast(),
    }
}

/// The sockets, by the tracker's address.
struct Links {
    bind: Option<IpAddr>,
    open: RefCell<HashMap<SocketAddr, Rc<Link>>>,
}

impl Links {
    /// Announces over each family that the tracker has; one answer is enough.
    async fn announce(&self, target: &Target, announce: &UdpAnnounce, last: bool) -> Result<AnnounceReply, String> {
        let addrs = target.resolve().await?;
        let mut asks: Vec<_> = addrs.into_iter().map(|addr| Box::pin(self.ask(addr, announce, last))).collect();
        let Some(mut second) = asks.pop() else { return Err("its name is not known".into()) };
        let Some(mut first) = asks.pop() else { return second.await };
        let (early, late) = tokio::select! {
            early = &mut first => (early, second),
            early = &mut second => (early, first),
        };
        match early {
            Err(why) => late.await.map_err(|_| why),
            Ok(mut reply) => {
                if let Ok(Ok(other)) = timeout(SECOND, late).await {
                    reply.peers.extend(other.peers);
                    reply.peers.truncate(limits::PEERS_PER_REPLY);
                }
                Ok(reply)
            }
        }
    }

    async fn ask(&self, addr: SocketAddr, announce: &UdpAnnounce, last: bool) -> Result<AnnounceReply, String> {
        let link = self.link(addr).map_err(|e| fault(&e))?;
        let mut wait = if last { WAIT_LAST } else { WAIT };
        let mut renewed = false;
        loop {
            let since = link.used.get();
            match timeout(wait, link.announce(announce)).await {
                Err(_) => wait *= 2,
                Ok(Ok(reply)) => return Ok(reply),
                // A tracker that was started again does not know the connection id of before.
                Ok(Err(Refusal { old_connection: true, .. })) if !renewed => renewed = true,
                Ok(Err(refusal)) => return Err(refusal.why),
            }
            link.used.set(since.max(Instant::now()));
        }
    }

    /// The link to this address. Links that nobody has used for a while are closed on the way.
    fn link(&self, addr: SocketAddr) -> io::Result<Rc<Link>> {
        let now = Instant::now();
        let mut open = self.open.borrow_mut();
        open.retain(|_, link| {
            let keep = Rc::strong_count(link) > 1 || now < link.used.get() + CONNECTION;
            if !keep {
                link.close();
            }
            keep
        });
        if let Some(link) = open.get(&addr) {
            link.used.set(now);
            return Ok(Rc::clone(link));
        }
        let link = Rc::new(Link::open(addr, self.bind)?);
        open.insert(addr, Rc::clone(&link));
        Ok(link)
    }

    fn close(&self) {
        self.open.borrow_mut().drain().for_each(|(_, link)| link.close());
    }
}

/// Who waits for a packet: which kind it must be, and where it goes.
struct Waiting {
    connect: bool,
    to: oneshot::Sender<Result<Reply, String>>,
}

/// Those who wait, by transaction.
type Waiters = Rc<RefCell<HashMap<u32, Waiting>>>;

/// Why a tracker did not answer as wished.
struct Refusal {
    why: String,
    /// It was asked with a connection id from an earlier announce.
    old_connection: bool,
}

/// A socket connected to one tracker address.
struct Link {
    socket: Rc<UdpSocket>,
    waiters: Waiters,
    connection: Mutex<Option<(u64, Instant)>>,
    used: Cell<Instant>,
    reader: AbortHandle,
}

impl Link {
    fn open(addr: SocketAddr, bind: Option<IpAddr>) -> io::Result<Self> {
        let any: IpAddr = if addr.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let socket = std::net::UdpSocket::bind((bind.unwrap_or(any), 0))?;
        socket.set_nonblocking(true)?;
        socket.connect(addr)?;
        let socket = Rc::new(UdpSocket::from_std(socket)?);
        let waiters = Waiters::default();
        let reader = spawn_local(read(Rc::clone(&socket), Rc::clone(&waiters), addr.is_ipv6())).abort_handle();
        Ok(Link { socket, waiters, connection: Mutex::new(None), used: Cell::new(Instant::now()), reader })
    }

    fn close(&self) {
        self.reader.abort();
    }

    /// A connection id that is still good, and whether it was there before.
    async fn connection(&self) -> Result<(u64, bool), String> {
        // Held while a new one is fetched: the others wait for the same answer.
        let mut slot = self.connection.lock().await;
        if let Some((id, _)) = slot.filter(|(_, since)| since.elapsed() < CONNECTION) {
            return Ok((id, true));
        }
        *slot = None;
        let transaction = self.transaction();
        match self.exchange(transaction, true, &Request::Connect { transaction }).await? {
            Reply::Connect { connection, .. } => {
                *slot = Some((connection, Instant::now()));
                Ok((connection, false))
            }
            Reply::Error { message, .. } => Err(format!("it says: {message}")),
            _ => Err("it does not answer as a tracker does".into()),
        }
    }

    async fn announce(&self, announce: &UdpAnnounce) -> Result<AnnounceReply, Refusal> {
        let refuse = |why: String| Refusal { why, old_connection: false };
        let (connection, old_connection) = self.connection().await.map_err(refuse)?;
        let transaction = self.transaction();
        let request = Request::Announce { connection, transaction, announce: announce.clone() };
        match self.exchange(transaction, false, &request).await.map_err(refuse)? {
            Reply::Announce { reply, .. } => Ok(reply),
            Reply::Error { message, .. } => {
                let mut slot = self.connection.lock().await;
                // Unless somebody else has fetched a new one already.
                if slot.is_some_and(|(id, _)| id == connection) {
                    *slot = None;
                }
                Err(Refusal { why: format!("it says: {message}"), old_connection })
            }
            _ => Err(refuse("it does not answer as a tracker does".into())),
        }
    }

    /// A number that nobody waits for yet.
    fn transaction(&self) -> u32 {
        loop {
            let number = fastrand::u32(..);
            if !self.waiters.borrow().contains_key(&number) {
                return number;
            }
        }
    }

    /// Sends a packet and waits for the one that answers it.
    async fn exchange(&self, transaction: u32, connect: bool, request: &Request) -> Result<Reply, String> {
        /// Takes the place back when the wait is given up.
        struct Place<'a>(&'a Waiters, u32);
        impl Drop for Place<'_> {
            fn drop(&mut self) {
                self.0.borrow_mut().remove(&self.1);
            }
        }
        let (to, answer) = oneshot::channel();
        self.waiters.borrow_mut().insert(transaction, Waiting { connect, to });
        let _place = Place(&self.waiters, transaction);
        self.socket.send(&request.encode()).await.map_err(|e| fault(&e))?;
        answer.await.unwrap_or_else(|_| Err("stopped".into()))
    }
}

/// Hands packets to those who wait for them; whatever nobody waits for is passed over.
async fn read(socket: Rc<UdpSocket>, waiters: Waiters, v6: bool) {
    let mut packet = vec![0; PACKET];
    loop {
        let length = match socket.recv(&mut packet).await {
            Ok(length) => length,
            Err(e) if matches!(e.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset) => {
                // The tracker's host says that nobody listens there (ICMP): no need to wait any longer.
                for (_, waiting) in waiters.borrow_mut().drain() {
                    let _ = waiting.to.send(Err("connection refused".into()));
                }
                continue;
            }
            Err(_) => {
                tokio::time::sleep(BREATH).await;
                continue;
            }
        };
        let Some(reply) = Reply::decode(&packet[..length], v6) else { continue };
        let mut waiters = waiters.borrow_mut();
        let fits = waiters.get(&reply.transaction()).is_some_and(|waiting| match &reply {
            Reply::Connect { .. } => waiting.connect,
            Reply::Announce { .. } => !waiting.connect,
            Reply::Error { .. } => true,
            Reply::Scrape { .. } => false,
        });
        if fits && let Some(waiting) = waiters.remove(&reply.transaction()) {
            let _ = waiting.to.send(Ok(reply));
        }
    }
}

/// A socket's fault in words.
fn fault(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".into(),
        _ => text::clean(&error.to_string(), limits::TRACKER_TEXT),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_udp_trackers() {
        let read = |url| Target::parse(url).map(|t| (t.host.to_string(), t.port, t.data));
        let is = |host: &str, port, data: &str| Ok((host.to_owned(), port, data.to_owned()));
        assert_eq!(read("udp://t.example:80/announce"), is("t.example", 80, "/announce"));
        assert_eq!(read("UDP://t.example:1337"), is("t.example", 1337, ""));
        assert_eq!(read("udp://[::1]:6969/a?b=1#c"), is("[::1]", 6969, "/a?b=1"));
        assert_eq!(read("udp://127.0.0.1:6969/"), is("127.0.0.1", 6969, ""));
        for bad in ["udp://t.example/announce", "udp://[::1]/", "udp://t:0/", "udp://t:99999/", "udp://t:1/\r\n", "udp"]
        {
            assert!(read(bad).is_err(), "{bad:?}");
        }
    }
}
