//! Announces over HTTP and HTTPS, and the door to those over UDP.
//!
//! A few threads share one queue. No host may hold more than [`PER_HOST`] of them, and hosts that failed last time no
//! more than half of them together, so dead trackers delay each other and nobody else. Every request has a deadline
//! for all of it, a limit for its answer, and rules for the addresses that a redirect may lead to.

use std::collections::{HashMap, HashSet, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ureq::config::Config;
use ureq::http::Response;
use ureq::{Agent, Body, Proxy};
use url::Url;

use client::{Client, Reached, Rules, parse, words};

use crate::engine::greet::Routes;
use crate::engine::threads::Crew;
use crate::engine::udp::lan::{Lan, Sockets};
use crate::engine::udp::{LookedUp, UdpTrackers};
use crate::limits;
use crate::wire::host::HostPort;
use crate::wire::tracker::{Announce, AnnounceEvent, AnnounceReply, Asker, announce_url, decode_reply};

/// Threads that make requests; started when there is work for them.
const THREADS: usize = limits::ANNOUNCES;
/// Requests to one host at once.
const PER_HOST: usize = 2;
/// Requests waiting in all.
const QUEUE: usize = 4096;
/// Hosts remembered for having failed.
const FAILED_HOSTS: usize = 1000;
/// Time for a second announce over IPv6 to a tracker that has answered over IPv4.
const SECOND: Duration = Duration::from_secs(5);
/// What we call ourselves.
const USER_AGENT: &str = concat!("ttui/", env!("CARGO_PKG_VERSION"));

/// Gets the result of a job, on a thread of ours: it must not block.
pub type Done<T> = Box<dyn FnOnce(Result<T, String>) + Send>;

/// One announce to be made.
pub struct AnnounceJob {
    /// What to ask of whom.
    pub ask: Announce,
    /// Who asks.
    pub asker: Asker,
    /// Gets the reply, or a sentence that says why there is none.
    pub done: Done<AnnounceReply>,
}

/// How announces are to be made.
#[derive(Clone, Debug, Default)]
pub struct AnnouncerConfig {
    /// The URL of an HTTP proxy; none is taken from the environment.
    pub proxy: Option<String>,
    /// The only address that announces are made from.
    pub bind: Option<IpAddr>,
}

/// Who has named a place where something is to be fetched.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum NamedBy {
    /// The user: it may be any.
    User,
    /// A magnet link.
    Link,
}

/// What a thread takes from the queue.
enum Job {
    Announce(AnnounceJob, Instant),
    Fetch { url: String, max: u64, named_by: NamedBy, done: Done<Vec<u8>> },
}

impl Job {
    fn host(&self) -> String {
        let url = match self {
            Job::Announce(job, _) => &job.ask.url,
            Job::Fetch { url, .. } => url,
        };
        let rest = url.split_once("://").map_or("", |(_, rest)| rest);
        rest.split(['/', '?', '#']).next().unwrap_or("").to_ascii_lowercase()
    }

    fn fail(self, why: &str) {
        match self {
            Job::Announce(job, _) => (job.done)(Err(why.into())),
            Job::Fetch { done, .. } => done(Err(why.into())),
        }
    }
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<(String, Job)>,
    /// Requests under way, by host.
    busy: HashMap<String, usize>,
    /// Hosts whose last request failed.
    failed: HashSet<String>,
    idle: usize,
    threads: usize,
    closed: bool,
    /// One agent a thread, to end their requests.
    agents: Vec<Agent>,
}

impl Queue {
    /// The first job that may run now.
    fn take(&mut self) -> Option<(String, Job)> {
        let dubious: usize = self.busy.iter().filter(|(host, _)| self.failed.contains(*host)).map(|(_, n)| n).sum();
        let may_run = |(host, _): &(String, Job)| {
            let here = self.busy.get(host).copied().unwrap_or(0);
            here < PER_HOST && (dubious < THREADS / 2 || !self.failed.contains(host))
        };
        let at = self.jobs.iter().position(may_run)?;
        let job = self.jobs.remove(at)?;
        *self.busy.entry(job.0.clone()).or_default() += 1;
        Some(job)
    }

    fn finished(&mut self, host: &str, failed: bool) {
        if let Some(n) = self.busy.get_mut(host) {
            *n -= 1;
            if *n == 0 {
                self.busy.remove(host);
            }
        }
        if !failed {
            self.failed.remove(host);
        } else if self.failed.len() < FAILED_HOSTS {
            self.failed.insert(host.to_owned());
        }
    }
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes announces until it is dropped; those under way end then, and their jobs hear so.
pub struct Announcer {
    shared: Arc<Shared>,
    crew: Crew,
    config: Config,
    /// For web seeds.
    web: Config,
    bind: Option<IpAddr>,
    udp: UdpTrackers,
}

impl Announcer {
    /// Starts the UDP thread; the others come when there is work for them. `crew` knows all of them, and waiting for
    /// it is waiting for their end.
    ///
    /// # Errors
    /// When the proxy's URL is none, or the system gives no thread.
    pub fn start(crew: &Crew, config: &AnnouncerConfig) -> io::Result<Self> {
        let proxy = config.proxy.as_deref().map(Proxy::new).transpose();
        let proxy = proxy.map_err(|e| io::Error::new(io::ErrorKind::InvalidInput, format!("the proxy: {e}")))?;
        let http = Agent::config_builder()
            .http_status_as_error(false)
            .proxy(proxy)
            // Redirects are followed by hand, so that each address passes the rules.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .max_idle_connections(0)
            .user_agent(USER_AGENT)
            .timeout_resolve(Some(limits::TRACKER_CONNECT))
            .timeout_connect(Some(limits::TRACKER_CONNECT))
            .timeout_global(Some(limits::TRACKER))
            .build();
        let proxy = http.proxy().cloned();
        let web = Agent::config_builder()
            .http_status_as_error(false)
            .proxy(proxy)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .max_idle_connections(2)
            .user_agent(USER_AGENT)
            .timeout_resolve(Some(limits::TRACKER_CONNECT))
            .timeout_connect(Some(limits::WEB_SEED_READ))
            .timeout_recv_response(Some(limits::WEB_SEED_READ))
            // A body takes as long as it takes, while it goes on.
            .timeout_per_read(Some(limits::WEB_SEED_READ))
            .build();
        let udp = UdpTrackers::start(crew, config.bind)?;
        Ok(Announcer { shared: Arc::default(), crew: crew.clone(), config: http, web, bind: config.bind, udp })
    }

    /// Begins local discovery: torrents that are asked for there are told who else has them.
    #[must_use]
    pub fn discover(&self, sockets: Sockets, routes: Routes) -> Lan {
        self.udp.discover(sockets, routes)
    }

    /// Makes an announce, over whatever its URL says.
    pub fn announce(&self, job: AnnounceJob) {
        let scheme = job.ask.url.split_once("://").map_or("", |(scheme, _)| scheme).to_ascii_lowercase();
        match scheme.as_str() {
            "udp" => self.udp.announce(job),
            "http" | "https" => self.queue(Job::Announce(job, Instant::now())),
            _ => (job.done)(Err("not supported: only http, https and udp trackers are".into())),
        }
    }

    /// Fetches what lies at an http or https URL, at most `max` bytes of it. Where the URL redirects to a magnet link,
    /// that is what is fetched.
    pub fn fetch(&self, url: &str, max: u64, done: Done<Vec<u8>>) {
        self.queue(Job::Fetch { url: url.to_owned(), max, named_by: NamedBy::User, done });
    }

    /// Fetches the `.torrent` that a magnet link names (`xs`). Of the local network nothing else is fetched.
    pub fn fetch_torrent(&self, url: &str, done: Done<Vec<u8>>) {
        self.queue(Job::Fetch { url: url.to_owned(), max: limits::TORRENT_FILE, named_by: NamedBy::Link, done });
    }

    /// Looks up hosts of peers.
    pub fn look_up(&self, names: Vec<HostPort>, done: LookedUp) {
        self.udp.look_up(names, done);
    }

    fn queue(&self, job: Job) {
        let mut queue = self.shared.lock();
        if queue.closed || queue.jobs.len() >= QUEUE {
            drop(queue);
            return job.fail("too many announces are waiting");
        }
        // Last words cannot wait.
        match &job {
            Job::Announce(a, _) if a.ask.event == AnnounceEvent::Stopped => queue.jobs.push_front((job.host(), job)),
            _ => queue.jobs.push_back((job.host(), job)),
        }
        // Counted against the jobs: a thread that was called for an earlier one still looks idle.
        if queue.idle < queue.jobs.len() && queue.threads < THREADS {
            let name = format!("http{}", queue.threads);
            let (guarded, client) = Client::new(&self.config, self.bind);
            let worker = Worker(client);
            let shared = Arc::clone(&self.shared);
            match self.crew.spawn(name, move || worker.run(&shared), |_| ()) {
                Ok(()) => {
                    queue.threads += 1;
                    queue.agents.push(guarded);
                }
                Err(e) if queue.threads > 0 => log::warn!("no thread for an announce: {e}"),
                Err(e) => {
                    let jobs = std::mem::take(&mut queue.jobs);
                    drop(queue);
                    return jobs.into_iter().for_each(|(_, job)| job.fail(&format!("no thread for it: {e}")));
                }
            }
        }
        drop(queue);
        self.shared.changed.notify_one();
    }
}

impl Drop for Announcer {
    fn drop(&mut self) {
        let mut queue = self.shared.lock();
        queue.closed = true;
        let jobs = std::mem::take(&mut queue.jobs);
        let agents = std::mem::take(&mut queue.agents);
        drop(queue);
        self.shared.changed.notify_all();
        agents.into_iter().for_each(Agent::shutdown);
        jobs.into_iter().for_each(|(_, job)| job.fail("stopped"));
    }
}

/// One thread that makes announces.
struct Worker(Client);

/// An answer before it is understood.
struct Answer {
    status: u16,
    body: Vec<u8>,
}

impl Worker {
    fn run(self, shared: &Shared) {
        let mut queue = shared.lock();
        while !queue.closed {
            let Some((host, job)) = queue.take() else {
                queue.idle += 1;
                queue = shared.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
                queue.idle -= 1;
                continue;
            };
            drop(queue);
            let failed = self.perform(job);
            queue = shared.lock();
            queue.finished(&host, failed);
            // Places are free again, and waiting jobs may want them.
            shared.changed.notify_all();
        }
    }

    /// Does a job and says whether it failed.
    fn perform(&self, job: Job) -> bool {
        match job {
            Job::Announce(AnnounceJob { ask, asker, done }, since) => {
                let last = ask.event == AnnounceEvent::Stopped;
                let deadline = if last { since + limits::LAST_ANNOUNCE } else { Instant::now() + limits::TRACKER };
                let result = caught(|| self.announce(&ask, &asker, deadline));
                let failed = result.is_err();
                done(result);
                failed
            }
            Job::Fetch { url, max, named_by, done } => {
                self.0.rules.any_path.store(true, Ordering::Relaxed);
                self.0.rules.torrents_only.store(named_by == NamedBy::Link, Ordering::Relaxed);
                let result = caught(|| self.fetch(&url, max));
                self.0.rules.any_path.store(false, Ordering::Relaxed);
                self.0.rules.torrents_only.store(false, Ordering::Relaxed);
                let failed = result.is_err();
                done(result.and_then(|answer| match answer.status {
                    200..=299 => Ok(answer.body),
                    status => Err(format!("the server answers with status {status}")),
                }));
                failed
            }
        }
    }

    /// One announce, over both families where the host and this machine have both (BEP 7), so that peers of either
    /// learn of us.
    fn announce(&self, ask: &Announce, asker: &Asker, deadline: Instant) -> Result<AnnounceReply, String> {
        let url = parse(&ask.url)?;
        let url = Announce { url: url.into(), ..ask.clone() };
        let url = parse(&announce_url(&url, asker).map_err(|e| e.to_string())?)?;
        self.0.rules.second.store(false, Ordering::Relaxed);
        self.0.rules.both.store(false, Ordering::Relaxed);
        let first = self.ask(url.clone(), deadline);
        if !Rules::get(&self.0.rules.both) || !has_ipv6() {
            return first;
        }
        self.0.rules.second.store(true, Ordering::Relaxed);
        let short = if first.is_ok() { deadline.min(Instant::now() + SECOND) } else { deadline };
        match (first, self.ask(url, short)) {
            (Ok(mut reply), Ok(second)) => {
                let new: Vec<_> = second.peers.into_iter().filter(|peer| !reply.peers.contains(peer)).collect();
                reply.peers.extend(new);
                reply.peers.truncate(limits::PEERS_PER_REPLY);
                Ok(reply)
            }
            (Ok(reply), Err(_)) | (Err(_), Ok(reply)) => Ok(reply),
            (Err(why), Err(_)) => Err(why),
        }
    }

    fn ask(&self, url: Url, deadline: Instant) -> Result<AnnounceReply, String> {
        let answer = self.follow(url, limits::TRACKER_REPLY, deadline)?;
        decode_reply(&answer.body).map_err(|e| match answer.status {
            200..=299 => e.to_string(),
            status if e == crate::wire::tracker::ReplyError::NotATracker => {
                format!("it answers with status {status}")
            }
            status => format!("{e} (status {status})"),
        })
    }

    /// Makes a request and reads at most `max` bytes of what comes of it.
    fn follow(&self, url: Url, max: u64, deadline: Instant) -> Result<Answer, String> {
        Self::read(self.0.get(url, None, Some(deadline))?, max)
    }

    fn fetch(&self, url: &str, max: u64) -> Result<Answer, String> {
        match self.0.reach(parse(url)?, None, Some(Instant::now() + limits::TRACKER))? {
            Reached::Answer(response) => Self::read(*response, max),
            Reached::Magnet(link) => Ok(Answer { status: 200, body: link.into_bytes() }),
        }
    }

    fn read(mut response: Response<Body>, max: u64) -> Result<Answer, String> {
        let status = response.status().as_u16();
        let body = response.body_mut().with_config().limit(max).read_to_vec().map_err(|e| words(&e))?;
        Ok(Answer { status, body })
    }
}

/// Runs what may panic (code of others reads what strangers send), so that it costs one request and not the thread.
fn caught<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err("an error of ours, which the log tells".into()))
}

/// Whether this machine has a way to the IPv6 internet. Asks the routing table; nothing is sent.
fn has_ipv6() -> bool {
    let far: SocketAddr = ([0x2001, 0x0db8, 0, 0, 0, 0, 0, 1], 9).into();
    UdpSocket::bind("[::]:0").and_then(|socket| socket.connect(far)).is_ok()
}

mod bound;
mod client;
pub mod router;
pub mod web;

#[cfg(test)]
mod tests;
