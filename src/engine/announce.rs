//! HTTP and HTTPS announces and downloads; the entry point of UDP announces. UDP is implemented in `udp_tracker`.
//!
//! A bounded number of worker threads shares one request `queue`, in which a dead tracker delays only its own requests.
//! Every request has an overall deadline, a size limit for the response, and a policy for the addresses that the URL or
//! a redirect may lead to. A request can be canceled at any time.

use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;

use ureq::config::Config;
use ureq::{Agent, Proxy};

pub use job::{AnnounceJob, Callback};

use answering::PendingAnnounce;
use error::FetchError;
use names::HostResolver;
use queue::{Attempt, Fetch};
use work::{Shared, report_failures};

use crate::engine::connector_config::TorrentRegistry;
use crate::engine::threads::ThreadGroup;
use crate::engine::udp_tracker::lsd::{LsdHandle, Sockets};
use crate::engine::udp_tracker::{HostsCallback, UdpTrackers};
use crate::limits;
use crate::wire::host::HostPort;
use crate::wire::tracker::AnnounceError;

const USER_AGENT: &str = concat!("ttui/", env!("CARGO_PKG_VERSION"));

/// Network settings of the [`Announcer`].
#[derive(Clone, Debug, Default)]
pub struct AnnouncerConfig {
    /// The URL of an HTTP proxy. The environment (`http_proxy`) is not consulted.
    pub proxy: Option<String>,
    /// The local address that sockets are bound to; requests over the other address family then fail.
    pub bind: Option<IpAddr>,
}

/// Handle of the announce workers. Dropping it cancels all requests; their callbacks receive an error.
pub struct Announcer {
    shared: Arc<Shared>,
    /// HTTP settings for web seeds.
    web: Config,
    udp: UdpTrackers,
}

impl Announcer {
    /// Starts the UDP thread; HTTP workers are spawned on demand. All threads belong to `crew`, whose `wait` joins
    /// them.
    ///
    /// # Errors
    /// If the proxy URL is invalid or a thread cannot be spawned.
    pub fn start(crew: &ThreadGroup, config: &AnnouncerConfig) -> io::Result<Self> {
        let proxy = config.proxy.as_deref().map(Proxy::new).transpose();
        let proxy = proxy.map_err(|e| io::Error::new(io::ErrorKind::InvalidInput, format!("the proxy: {e}")))?;
        let http = Agent::config_builder()
            .http_status_as_error(false)
            .proxy(proxy)
            // Redirects are followed by `client`, so that the address of each hop is checked against the policy.
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
            // No global timeout: a large body may take any time as long as each read makes progress.
            .timeout_per_read(Some(limits::WEB_SEED_READ))
            .build();
        let udp = UdpTrackers::start(crew, config.bind)?;
        let shared = Shared {
            queue: Mutex::default(),
            changed: Condvar::new(),
            crew: crew.clone(),
            config: http,
            bind: config.bind,
            names: HostResolver::default(),
        };
        Ok(Announcer { shared: Arc::new(shared), web, udp })
    }

    /// Starts local service discovery (LSD, BEP 14). Discovered peers are passed to the torrents in `routes`.
    #[must_use]
    pub fn discover(&self, sockets: Sockets, routes: TorrentRegistry) -> LsdHandle {
        self.udp.discover(sockets, routes)
    }

    /// Queues an announce; the URL scheme selects HTTP, HTTPS or UDP.
    pub fn announce(&self, job: AnnounceJob) {
        let scheme = job.ask.url.split_once("://").map_or("", |(scheme, _)| scheme).to_ascii_lowercase();
        match scheme.as_str() {
            "udp" => self.udp.announce(job),
            "http" | "https" => {
                let AnnounceJob { ask, identity: asker, done, more } = job;
                let answering = PendingAnnounce::new(ask.event, done, more);
                self.shared.push(Attempt { ask, asker, answering, since: Instant::now(), twin: false });
            }
            _ => (job.done)(Err(AnnounceError::new("not supported: only http, https and udp trackers are"))),
        }
    }

    /// Downloads an http or https URL, at most `max` bytes. If the URL redirects to a magnet link, the result is that
    /// link.
    pub fn fetch(&self, url: &str, max: u64, done: Callback<Vec<u8>, FetchError>) {
        self.begin(Fetch { url: url.to_owned(), max, torrents_only: false, done });
    }

    /// Downloads the `.torrent` of a magnet link's `xs` parameter. Private addresses are allowed only for `.torrent`
    /// paths.
    pub fn fetch_torrent(&self, url: &str, done: Callback<Vec<u8>, FetchError>) {
        self.begin(Fetch { url: url.to_owned(), max: limits::TORRENT_FILE, torrents_only: true, done });
    }

    /// Resolves host names of peers.
    pub fn look_up(&self, names: Vec<HostPort>, done: HostsCallback) {
        self.udp.look_up(names, done);
    }

    /// Cancels all downloads, queued or in progress, and refuses later ones; announces go on. Their callbacks receive an
    /// error.
    pub fn stop_fetches(&self) {
        let fetches = self.shared.lock().stop_fetches();
        fetches.into_iter().for_each(|fetch| (fetch.done)(Err(FetchError::Stopped)));
    }

    fn begin(&self, fetch: Fetch) {
        let mut queue = self.shared.lock();
        if queue.refuses_fetches() {
            drop(queue);
            return (fetch.done)(Err(FetchError::Stopped));
        }
        queue.push_fetch(fetch);
        self.shared.ensure_worker(queue);
    }
}

impl Drop for Announcer {
    fn drop(&mut self) {
        let (telling, fetches) = self.shared.lock().close();
        self.shared.changed.notify_all();
        report_failures(telling);
        fetches.into_iter().for_each(|fetch| (fetch.done)(Err(FetchError::Stopped)));
    }
}

pub(crate) mod answering;
mod bound;
mod client;
pub(crate) mod error;
pub(crate) mod job;
mod names;
mod queue;
pub(crate) mod router;
pub(crate) mod web_seed;
mod work;

#[cfg(test)]
mod tests;
