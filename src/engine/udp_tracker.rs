//! UDP trackers (BEP 15), and local service discovery in [`lsd`]. Both run on one thread with a single-threaded tokio
//! runtime; there is no other async code.
//!
//! Each tracker address has one connected socket, so the kernel drops packets from other addresses and reports ICMP
//! errors at once. A connection id is requested once a minute and shared by all torrents.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::{AbortHandle, LocalSet};
use tokio::time::{Instant, timeout, timeout_at};
use url::{Host, Url};

use error::UdpTrackerError;
use link::{RequestError, TrackerSocket};

use crate::engine::announce::answering::PendingAnnounce;
use crate::engine::announce::job::AnnounceJob;
use crate::engine::connector_config::TorrentRegistry;
use crate::engine::threads::ThreadGroup;
use crate::limits;
use crate::wire::address::can_be_host;
use crate::wire::host::HostPort;
use crate::wire::message::InfoHash;
use crate::wire::tracker::udp::{CONNECTION_ID_LIFETIME, UdpAnnounce};
use crate::wire::tracker::{Announce, AnnounceError, AnnounceEvent, AnnounceIdentity, AnnounceResponse};

mod error;
mod link;
pub(crate) mod lsd;

/// The maximum number of announces and lookups queued or in progress.
const QUEUE: usize = 16 * 1024;
/// The maximum number of concurrent announces, slow ones excluded (see [`GIVE_WAY`]).
const UNDER_WAY: usize = 256;
/// The maximum number of peers' hosts resolved at once. Less than [`LOOKUPS`], so that trackers' names are not
/// blocked.
const HOSTS: usize = 4;
/// An announce that takes longer releases its permit to others and continues to wait.
const GIVE_WAY: Duration = Duration::from_secs(2);
/// The maximum number of threads for name resolution; a name that hangs occupies one for about 30 s.
const LOOKUPS: usize = 256;
/// The stack size of such a thread: the system's resolver plug-ins may need more than our own threads.
const LOOKUP_STACK: usize = 1024 * 1024;
/// The timeout of a name resolution.
const RESOLVE: Duration = Duration::from_secs(10);
/// The first timeout for a response, doubled with each retransmission (BEP 15).
const WAIT: Duration = Duration::from_secs(15);
/// The first timeout of a `stopped` announce, which must finish soon.
const WAIT_LAST: Duration = Duration::from_secs(1);
/// How long an unresponsive address is avoided if its host has another one.
const REST: Duration = Duration::from_secs(15 * 60);
/// The maximum number of unresponsive addresses remembered.
const RESTING: usize = 1000;

/// A request to the UDP thread.
enum Job {
    Announce(AnnounceJob),
    LookUp(Vec<HostPort>, HostsCallback),
    Discover(Box<lsd::LsdTask>),
}

/// Callback for the resolved addresses of hosts and the number of hosts not found. Must not block, because the UDP
/// thread or the caller runs it.
pub(crate) type HostsCallback = Box<dyn FnOnce(Vec<SocketAddr>, usize) + Send>;

/// Handle of the UDP tracker thread. Dropping it ends the thread and fails the announces in progress.
pub(crate) struct UdpTrackers {
    jobs: mpsc::UnboundedSender<Job>,
    waiting: Arc<AtomicUsize>,
}

impl UdpTrackers {
    /// Starts the thread. `bind` is the local address of sockets; trackers of the other address family cannot be
    /// reached then.
    ///
    /// # Errors
    /// If the runtime or the thread cannot be created.
    pub(crate) fn start(crew: &ThreadGroup, bind: Option<IpAddr>) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(LOOKUPS)
            .thread_stack_size(LOOKUP_STACK)
            .build()?;
        let (jobs, inbox) = mpsc::unbounded_channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&waiting);
        let body = move || {
            LocalSet::new().block_on(&runtime, serve(inbox, counter, bind));
            // Does not wait for lookups that hang.
            runtime.shutdown_background();
        };
        crew.spawn("udp".into(), body, |_| ())?;
        Ok(UdpTrackers { jobs, waiting })
    }

    /// Queues an announce; fails it at once if the queue is full.
    pub(crate) fn announce(&self, job: AnnounceJob) {
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= QUEUE {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            return (job.done)(Err(AnnounceError::new("too many announces are waiting")));
        }
        if let Err(mpsc::error::SendError(Job::Announce(job))) = self.jobs.send(Job::Announce(job)) {
            (job.done)(Err(AnnounceError::new("stopped")));
        }
    }

    /// Resolves hosts of peers, to one address per family each. If the queue is full, all are reported as not found.
    pub(crate) fn look_up(&self, names: Vec<HostPort>, done: HostsCallback) {
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= QUEUE {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            return done(Vec::new(), names.len());
        }
        // Fails only if the thread has ended; then no result is expected.
        let _ = self.jobs.send(Job::LookUp(names, done));
    }

    /// Starts local service discovery (LSD) on the UDP thread.
    #[must_use]
    pub(crate) fn discover(&self, sockets: lsd::Sockets, routes: TorrentRegistry) -> lsd::LsdHandle {
        let (lan, begun) = lsd::begin(sockets, routes);
        // Fails only if the thread has ended.
        let _ = self.jobs.send(Job::Discover(Box::new(begun)));
        lan
    }
}

/// An announce in progress.
struct UnderWay {
    number: u64,
    /// No packet of it has been sent.
    unsent: Rc<Cell<bool>>,
    event: AnnounceEvent,
    answering: Arc<PendingAnnounce>,
    task: AbortHandle,
}

/// The announces in progress, by torrent and tracker URL.
type Tasks = Rc<RefCell<HashMap<(InfoHash, String), UnderWay>>>;

/// Handles jobs until all senders are dropped.
async fn serve(mut inbox: mpsc::UnboundedReceiver<Job>, waiting: Arc<AtomicUsize>, bind: Option<IpAddr>) {
    let links = Rc::new(TrackerSockets { bind, open: RefCell::default(), resting: RefCell::default() });
    let places = Rc::new(Semaphore::new(UNDER_WAY));
    let lookups = Rc::new(Semaphore::new(HOSTS));
    let (close, closed) = watch::channel(false);
    let mut tasks = tokio::task::JoinSet::new();
    let under_way = Tasks::default();
    let mut number = 0;
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
                tasks.spawn_local(lsd::serve(*begun, closed.clone()));
                continue;
            }
        };
        number += 1;
        let AnnounceJob { ask, identity: asker, done, more } = job;
        let (event, key) = (ask.event, (asker.info_hash, ask.url.clone()));
        let answering = PendingAnnounce::new(event, done, more);
        let place = Waiting(Arc::clone(&waiting));
        if event == AnnounceEvent::Stopped && cancel_pending(&under_way, &key) {
            answering.fail(AnnounceError::new("it was not asked before the end"));
            continue;
        }
        let unsent = Rc::new(Cell::new(true));
        let (it, sent, all) = (Arc::clone(&answering), Rc::clone(&unsent), Rc::clone(&under_way));
        let (links, places, mut closed, of) = (Rc::clone(&links), Rc::clone(&places), closed.clone(), key.clone());
        let task = tasks.spawn_local(async move {
            let _place = place;
            tokio::select! {
                () = announce(&links, &places, &ask, &asker, &it, &sent) => {}
                _ = closed.wait_for(|closed| *closed) => it.fail(AnnounceError::new("stopped")),
            }
            let mut all = all.borrow_mut();
            if all.get(&of).is_some_and(|it| it.number == number) {
                all.remove(&of);
            }
        });
        under_way.borrow_mut().insert(key, UnderWay { number, unsent, event, answering, task });
    }
    let _ = close.send(true);
    while tasks.join_next().await.is_some() {}
    links.close();
}

/// Resolves hosts one after the other. A torrent with many hosts delays neither other torrents nor trackers.
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

/// Counts a queued announce until dropped.
struct Waiting(Arc<AtomicUsize>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Cancels the pending announce of a torrent to a tracker. Returns whether that was a `started` announce of which
/// nothing had been sent, so that the tracker does not know the torrent.
fn cancel_pending(tasks: &Tasks, key: &(InfoHash, String)) -> bool {
    let Some(before) = tasks.borrow_mut().remove(key) else { return false };
    before.answering.mute();
    before.task.abort();
    before.unsent.get() && before.event == AnnounceEvent::Started
}

/// Performs one announce.
async fn announce(
    links: &TrackerSockets,
    places: &Semaphore,
    ask: &Announce,
    asker: &AnnounceIdentity,
    answering: &PendingAnnounce,
    unsent: &Cell<bool>,
) {
    let last = ask.event == AnnounceEvent::Stopped;
    // `stopped` announces need no permit, because they must not wait.
    let place = if last { None } else { places.acquire().await.ok() };
    unsent.set(false);
    let deadline = Instant::now() + if last { limits::LAST_ANNOUNCE } else { limits::TRACKER };
    let work = async {
        let target = match Target::parse(&ask.url) {
            Ok(target) => target,
            Err(why) => return answering.fail(AnnounceError::new(why.to_string())),
        };
        let announce = UdpAnnounce::new(ask, asker, &target.data);
        links.announce(&target, &announce, (last, deadline), answering).await;
    };
    tokio::pin!(work);
    if timeout(GIVE_WAY, &mut work).await.is_err() {
        drop(place);
        work.await;
    }
}

/// A parsed UDP tracker URL.
struct Target {
    host: Host<String>,
    port: u16,
    /// Path and query (BEP 41); empty if they are just a slash.
    data: String,
}

impl Target {
    fn parse(text: &str) -> Result<Self, UdpTrackerError> {
        if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(UdpTrackerError::Characters);
        }
        if text.len() > limits::TRACKER_URL {
            return Err(UdpTrackerError::TooLong(text.len()));
        }
        // Parsed as an http URL, because `url` applies the rules for host names and ports only to schemes it knows.
        let (_, rest) = text.split_once("://").ok_or(UdpTrackerError::NoScheme)?;
        let url = Url::parse(&format!("http://{rest}"))?;
        // `url` drops port 80 as the default of http, but for a UDP tracker it is significant.
        let named = text_has_port(rest).then(|| url.port_or_known_default()).flatten();
        let port = named.ok_or(UdpTrackerError::NoPort)?;
        if port == 0 {
            return Err(UdpTrackerError::PortZero);
        }
        let host = url.host().ok_or(UdpTrackerError::NoHost)?.to_owned();
        let query = url.query().map_or(String::new(), |query| format!("?{query}"));
        let data = format!("{}{query}", url.path());
        Ok(Target { host, port, data: if data == "/" { String::new() } else { data } })
    }

    /// Resolves the host to at most one address per family.
    async fn resolve(&self) -> Result<Vec<SocketAddr>, UdpTrackerError> {
        let found: Vec<SocketAddr> = match &self.host {
            Host::Ipv4(ip) => vec![(*ip, self.port).into()],
            Host::Ipv6(ip) => vec![(*ip, self.port).into()],
            Host::Domain(name) => {
                let lookup = tokio::net::lookup_host((name.as_str(), self.port));
                let found = timeout(RESOLVE, lookup).await.map_err(|_| UdpTrackerError::LookupTimeout)?;
                found.map_err(|_| UdpTrackerError::UnknownName)?.collect()
            }
        };
        let found = found.into_iter().map(|addr| SocketAddr::new(addr.ip().to_canonical(), addr.port()));
        let found: Vec<_> = found.filter(|addr| can_be_host(addr.ip())).collect();
        let first = |v6: bool| found.iter().copied().find(|addr| addr.is_ipv6() == v6);
        let chosen: Vec<_> = [first(false), first(true)].into_iter().flatten().collect();
        if chosen.is_empty() { Err(UdpTrackerError::UnusableAddress) } else { Ok(chosen) }
    }
}

/// Returns whether the authority of a URL without its scheme has an explicit port.
fn text_has_port(rest: &str) -> bool {
    let authority = rest.split(['/', '?', '#']).next().unwrap_or("");
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let after_brackets = host.rsplit_once(']').map_or(host, |(_, after)| after);
    after_brackets.rsplit_once(':').is_some_and(|(_, port)| !port.is_empty())
}

/// The open sockets, by tracker address.
struct TrackerSockets {
    bind: Option<IpAddr>,
    open: RefCell<HashMap<SocketAddr, Rc<TrackerSocket>>>,
    /// Unresponsive addresses of hosts that have another address, avoided until this time.
    resting: RefCell<HashMap<SocketAddr, Instant>>,
}

impl TrackerSockets {
    /// Announces concurrently over each address family that the tracker has (BEP 7).
    async fn announce(
        &self,
        target: &Target,
        announce: &UdpAnnounce,
        (last, deadline): (bool, Instant),
        answering: &PendingAnnounce,
    ) {
        let mut addrs = match timeout_at(deadline, target.resolve()).await {
            Ok(Ok(addrs)) => addrs,
            Ok(Err(why)) => return answering.fail(AnnounceError::new(why.to_string())),
            Err(_) => return answering.fail(AnnounceError::new(UdpTrackerError::LookupTimeout.to_string())),
        };
        let several = addrs.len() > 1;
        let rests = |addr: &SocketAddr| self.resting.borrow().get(addr).is_some_and(|until| *until > Instant::now());
        if !addrs.iter().all(rests) {
            addrs.retain(|addr| !rests(addr));
        }
        let attempt = |addr: SocketAddr| async move {
            let result = timeout_at(deadline, self.ask(addr, announce, last)).await;
            let result = result.unwrap_or(Err(UdpTrackerError::Timeout));
            if several && !last {
                self.judge(addr, result.is_ok());
            }
            answering.answer(result.map_err(|why| AnnounceError::new(why.to_string())));
        };
        match addrs[..] {
            [] => answering.fail(AnnounceError::new(UdpTrackerError::UnknownName.to_string())),
            [only] => attempt(only).await,
            [first, second, ..] => {
                answering.add_attempt();
                tokio::join!(attempt(first), attempt(second));
            }
        }
    }

    /// Records whether an address has responded.
    fn judge(&self, addr: SocketAddr, answered: bool) {
        let (now, mut resting) = (Instant::now(), self.resting.borrow_mut());
        resting.retain(|_, until| *until > now);
        if answered {
            resting.remove(&addr);
        } else if resting.len() < RESTING {
            resting.insert(addr, now + REST);
        }
    }

    async fn ask(
        &self,
        addr: SocketAddr,
        announce: &UdpAnnounce,
        last: bool,
    ) -> Result<AnnounceResponse, UdpTrackerError> {
        let link = self.link(addr)?;
        let mut wait = if last { WAIT_LAST } else { WAIT };
        let mut renewed = false;
        loop {
            let since = link.used.get();
            match timeout(wait, link.announce(announce)).await {
                Err(_) => wait *= 2,
                Ok(Ok(reply)) => return Ok(reply),
                // A restarted tracker does not accept old connection ids: request a new one, once.
                Ok(Err(RequestError { old_connection: true, .. })) if !renewed => renewed = true,
                Ok(Err(refusal)) => return Err(refusal.why),
            }
            link.used.set(since.max(Instant::now()));
        }
    }

    /// Returns the socket for this address. Also closes sockets that are idle and whose connection id has expired.
    fn link(&self, addr: SocketAddr) -> io::Result<Rc<TrackerSocket>> {
        let now = Instant::now();
        let mut open = self.open.borrow_mut();
        open.retain(|_, link| {
            let keep = Rc::strong_count(link) > 1 || now < link.used.get() + CONNECTION_ID_LIFETIME;
            if !keep {
                link.close();
            }
            keep
        });
        if let Some(link) = open.get(&addr) {
            link.used.set(now);
            return Ok(Rc::clone(link));
        }
        let link = Rc::new(TrackerSocket::open(addr, self.bind)?);
        open.insert(addr, Rc::clone(&link));
        Ok(link)
    }

    fn close(&self) {
        self.open.borrow_mut().drain().for_each(|(_, link)| link.close());
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
