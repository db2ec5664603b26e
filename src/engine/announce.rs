//! Announces over HTTP and HTTPS, and the door to those over UDP.
//!
//! A bounded number of threads shares one [queue], in which dead trackers delay each other and nobody else. Every
//! request has a deadline for all of it, a limit for its answer, and rules for the addresses that a redirect may lead to; it
//! can be ended at any moment.

use std::io;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ureq::config::Config;
use ureq::{Agent, Proxy};

use answering::{Answering, More};
use names::Names;
use queue::{Attempt, Fetch, Queue, THREADS, Telling};
use work::Worker;

use crate::engine::greet::Routes;
use crate::engine::threads::Crew;
use crate::engine::udp::lan::{Lan, Sockets};
use crate::engine::udp::{LookedUp, UdpTrackers};
use crate::limits;
use crate::wire::host::HostPort;
use crate::wire::tracker::{Announce, AnnounceError, AnnounceReply, Asker};

/// A thread that has had nothing to do for so long ends.
const IDLE: Duration = Duration::from_secs(20);
/// What we call ourselves.
const USER_AGENT: &str = concat!("ttui/", env!("CARGO_PKG_VERSION"));

/// Gets the result of a job, on a thread of ours: it must not block.
pub type Done<T, E> = Box<dyn FnOnce(Result<T, E>) + Send>;

/// One announce to be made.
pub struct AnnounceJob {
    /// What to ask of whom.
    pub ask: Announce,
    /// Who asks.
    pub asker: Asker,
    /// Gets the reply that comes first, or why there is none.
    pub done: Done<AnnounceReply, AnnounceError>,
    /// Gets the addresses of a reply over the other family of addresses.
    pub more: More,
}

/// How announces are to be made.
#[derive(Clone, Debug, Default)]
pub struct AnnouncerConfig {
    /// The URL of an HTTP proxy; none is taken from the environment.
    pub proxy: Option<String>,
    /// The only address that announces are made from.
    pub bind: Option<IpAddr>,
}

/// What all threads share.
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
    crew: Crew,
    config: Config,
    bind: Option<IpAddr>,
    names: Names,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(self: &Arc<Self>, attempt: Attempt) {
        let mut queue = self.lock();
        let mut telling = Telling::new();
        let pushed = if queue.closed { Err(Box::new(attempt)) } else { queue.push(attempt, &mut telling) };
        self.staff(queue);
        tell(telling);
        if let Err(attempt) = pushed {
            attempt.answering.answer(Err(AnnounceError::new("too many announces are waiting")));
        }
    }

    /// Sees to it that there is a thread for what waits.
    fn staff(self: &Arc<Self>, mut queue: MutexGuard<'_, Queue>) {
        if queue.wants_thread() && queue.threads < THREADS {
            let worker = Worker::new(Arc::clone(self));
            match self.crew.spawn(format!("http{}", queue.threads), move || worker.run(), |_| ()) {
                Ok(()) => queue.threads += 1,
                Err(e) if queue.threads > 0 => log::warn!("no thread for an announce: {e}"),
                Err(e) => {
                    let (telling, fetches) = queue.close();
                    queue.closed = false;
                    drop(queue);
                    let why = format!("no thread for it: {e}");
                    telling.into_iter().for_each(|(to, _)| to.answer(Err(AnnounceError::new(why.clone()))));
                    return fetches.into_iter().for_each(|fetch| (fetch.done)(Err(why.clone())));
                }
            }
        }
        drop(queue);
        self.changed.notify_one();
    }
}

/// Tells those who wait that there will be no answer. The queue must not be locked.
fn tell(telling: Telling) {
    telling.into_iter().for_each(|(answering, error)| answering.answer(Err(error)));
}

/// Makes announces until it is dropped; those under way end then, and their jobs hear so.
pub struct Announcer {
    shared: Arc<Shared>,
    /// For web seeds.
    web: Config,
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
        let shared = Shared {
            queue: Mutex::default(),
            changed: Condvar::new(),
            crew: crew.clone(),
            config: http,
            bind: config.bind,
            names: Names::default(),
        };
        Ok(Announcer { shared: Arc::new(shared), web, udp })
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
            "http" | "https" => {
                let AnnounceJob { ask, asker, done, more } = job;
                let answering = Answering::new(ask.event, done, more);
                self.shared.push(Attempt { ask, asker, answering, since: Instant::now(), twin: false });
            }
            _ => (job.done)(Err(AnnounceError::new("not supported: only http, https and udp trackers are"))),
        }
    }

    /// Fetches what lies at an http or https URL, at most `max` bytes of it. Where the URL redirects to a magnet link,
    /// that is what is fetched.
    pub fn fetch(&self, url: &str, max: u64, done: Done<Vec<u8>, String>) {
        self.begin(Fetch { url: url.to_owned(), max, torrents_only: false, done });
    }

    /// Fetches the `.torrent` that a magnet link names (`xs`). Of the local network nothing else is fetched.
    pub fn fetch_torrent(&self, url: &str, done: Done<Vec<u8>, String>) {
        self.begin(Fetch { url: url.to_owned(), max: limits::TORRENT_FILE, torrents_only: true, done });
    }

    /// Looks up hosts of peers.
    pub fn look_up(&self, names: Vec<HostPort>, done: LookedUp) {
        self.udp.look_up(names, done);
    }

    fn begin(&self, fetch: Fetch) {
        let mut queue = self.shared.lock();
        if queue.closed {
            drop(queue);
            return (fetch.done)(Err("stopped".into()));
        }
        queue.push_fetch(fetch);
        self.shared.staff(queue);
    }
}

impl Drop for Announcer {
    fn drop(&mut self) {
        let (telling, fetches) = self.shared.lock().close();
        self.shared.changed.notify_all();
        tell(telling);
        fetches.into_iter().for_each(|fetch| (fetch.done)(Err("stopped".into())));
    }
}

/// Runs what may panic (code of others reads what strangers send), so that it costs one request and not the thread.
///
/// # Errors
/// In words.
fn caught<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| "an error of ours, which the log tells".into())
}

pub mod answering;
mod bound;
mod client;
mod names;
mod queue;
pub mod router;
pub mod web;
mod work;

#[cfg(test)]
mod tests;
