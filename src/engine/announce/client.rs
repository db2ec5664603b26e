//! HTTP client that checks every resolved address and redirect against a policy (SSRF protection). Redirects are
//! followed manually, so that an untrusted URL cannot reach hosts on the private network that it must not reach.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use ureq::config::{Config, IpFamily};
use ureq::http::{HeaderMap, Uri};
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{ConnectProxyConnector, Connector, NextTimeout, RustlsConnector};
use ureq::{Agent, Body};
use url::Url;

use super::bound::BoundConnector;
use super::error::{HttpError, RequestError};
use super::names::{HostResolver, ResolveError};
use crate::limits;
use crate::wire::address::is_internal;
use crate::wire::metainfo::urls;
use crate::wire::sanitize::sanitize;

pub(super) type Response = ureq::http::Response<Body>;

/// The maximum number of resolved addresses tried per host.
const ADDRESSES: usize = 16;

/// The HTTP client of one thread.
pub(super) struct Client {
    pub(super) agent: Agent,
    pub(super) rules: Arc<RequestPolicy>,
}

/// Cancels the current request of a [`Client`] and all later ones.
pub(super) struct CancelHandle {
    agent: Agent,
    rules: Arc<RequestPolicy>,
}

impl CancelHandle {
    pub(super) fn end(&self) {
        self.rules.ended.store(true, Ordering::Relaxed);
        self.agent.clone().shutdown();
    }
}

impl Client {
    pub(super) fn new(config: &Config, bind: Option<IpAddr>, names: &HostResolver) -> Self {
        let rules = Arc::new(RequestPolicy::default());
        let guard = CheckedResolver { names: names.clone(), rules: Arc::clone(&rules), bind };
        let bound = ().chain(ConnectProxyConnector::default()).chain(BoundConnector::new(bind));
        let agent = Agent::with_parts(config.clone(), bound.chain(RustlsConnector::default()), guard);
        Client { agent, rules }
    }

    pub(super) fn cancel_handle(&self) -> CancelHandle {
        CancelHandle { agent: self.agent.clone(), rules: Arc::clone(&self.rules) }
    }

    /// Returns whether the client has been canceled and can make no more requests.
    pub(super) fn ended(&self) -> bool {
        RequestPolicy::get(&self.rules.ended)
    }

    /// Sends a GET request and follows redirects, checking each hop against the policy. `range` holds the first and the
    /// last byte (inclusive) to request. All hops together must finish before `deadline`.
    ///
    /// # Errors
    /// If there is no response, or if a redirect leads to a magnet link.
    pub(super) fn get(
        &self,
        url: Url,
        range: Option<(u64, u64)>,
        deadline: Option<Instant>,
    ) -> Result<Response, HttpError> {
        match self.reach(url, range, deadline)? {
            Reached::Answer(response) => Ok(*response),
            Reached::Magnet(_) => Err(RequestError::RedirectToMagnet.into()),
        }
    }

    /// Same as [`get`](Self::get), but a redirect may lead to a magnet link.
    ///
    /// # Errors
    /// If there is no response.
    pub(super) fn reach(
        &self,
        mut url: Url,
        range: Option<(u64, u64)>,
        deadline: Option<Instant>,
    ) -> Result<Reached, HttpError> {
        self.rules.forbidden.store(false, Ordering::Relaxed);
        self.rules.public_only.store(false, Ordering::Relaxed);
        for _ in 0..=limits::REDIRECTS {
            let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Err(HttpError::late());
            }
            let mut request = self.agent.get(url.as_str());
            if let Some((first, last)) = range {
                // A byte range of a compressed representation would not be a range of the file.
                request =
                    request.header("range", format!("bytes={first}-{last}")).header("accept-encoding", "identity");
            }
            let request = request.config().ip_family(IpFamily::Any).timeout_global(left);
            let response = request.build().call()?;
            let status = response.status().as_u16();
            let to = response.headers().get("location").and_then(|to| std::str::from_utf8(to.as_bytes()).ok());
            let (300..=399, Some(to)) = (status, to) else { return Ok(Reached::Answer(Box::new(response))) };
            if to.trim_start().get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("magnet:")) {
                return Ok(Reached::Magnet(to.to_owned()));
            }
            // Once a public host has been visited, no redirect may lead back into a private network.
            if !RequestPolicy::get(&self.rules.private) {
                self.rules.public_only.store(true, Ordering::Relaxed);
            }
            let next = url.join(to).map_err(|_| RequestError::RedirectToNoUrl)?;
            let refused = || RequestError::RedirectToScheme(sanitize(next.scheme(), 20));
            url = parse(next.as_str()).map_err(|_| refused())?;
        }
        Err(RequestError::Redirects.into())
    }
}

/// Where a request and its redirects ended.
pub(super) enum Reached {
    Answer(Box<Response>),
    /// A redirect to a magnet link, as many indexers send.
    Magnet(String),
}

/// The policy for the current request and what was learned about its address. Shared with the [`CheckedResolver`].
#[derive(Debug, Default)]
pub(super) struct RequestPolicy {
    /// Refuse private addresses: a public host has redirected here.
    pub(super) public_only: AtomicBool,
    /// Allow any path on a private address, not only the paths of trackers.
    pub(super) any_path: AtomicBool,
    /// On a private address, allow only `.torrent` paths without a query.
    pub(super) torrents_only: AtomicBool,
    /// On a private address, refuse URLs with a query, which could be a command to a device.
    pub(super) no_query: AtomicBool,
    /// Try the addresses of both families one after the other, instead of choosing a family.
    pub(super) any_family: AtomicBool,
    /// The last resolved host has a private address.
    pub(super) private: AtomicBool,
    /// The policy refused the last request.
    pub(super) forbidden: AtomicBool,
    /// The client was canceled.
    pub(super) ended: AtomicBool,
    /// The address family of the request.
    pub(super) families: Mutex<Families>,
}

/// Selects the address family of a request whose host has both.
#[derive(Default)]
pub(super) struct Families {
    /// Use this family only: IPv6 if true, otherwise IPv4.
    pub(super) only: Option<bool>,
    /// IPv4 (index 0) or IPv6 (index 1) failed recently and is avoided.
    pub(super) rests: [bool; 2],
    /// Starts the same request over IPv6 too.
    pub(super) twin: Option<Box<dyn FnOnce() + Send>>,
    /// The family chosen when the host had both: IPv6 if true.
    pub(super) chosen: Option<bool>,
}

impl fmt::Debug for Families {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Families").field("only", &self.only).field("rests", &self.rests).finish_non_exhaustive()
    }
}

impl Families {
    /// Returns whether to use IPv6 for a host with both families. Also returns the callback that starts a second
    /// request, if there is to be one.
    fn choose(&mut self) -> (bool, Option<Box<dyn FnOnce() + Send>>) {
        let (v6, twin) = match (self.only, self.rests) {
            (Some(v6), _) => (v6, None),
            (None, [false, true]) => (false, None),
            (None, _) if !has_ipv6() => (false, None),
            (None, [true, false]) => (true, None),
            (None, _) => (false, self.twin.take()),
        };
        self.chosen = Some(v6);
        (v6, twin)
    }
}

impl RequestPolicy {
    pub(super) fn get(flag: &AtomicBool) -> bool {
        flag.load(Ordering::Relaxed)
    }

    pub(super) fn families(&self) -> MutexGuard<'_, Families> {
        self.families.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Resolves host names and checks the addresses against the [`RequestPolicy`].
pub(super) struct CheckedResolver {
    pub(super) names: HostResolver,
    pub(super) rules: Arc<RequestPolicy>,
    /// The local address of sockets; addresses of the other family are discarded.
    pub(super) bind: Option<IpAddr>,
}

impl fmt::Debug for CheckedResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Guard")
    }
}

impl CheckedResolver {
    fn look_up(&self, uri: &Uri, timeout: NextTimeout) -> Result<Vec<SocketAddr>, ureq::Error> {
        let name = uri.host().ok_or(ureq::Error::HostNotFound)?;
        let usual = if uri.scheme_str() == Some("https") { 443 } else { 80 };
        let time = timeout.not_zero().map_or(limits::TRACKER_CONNECT, |time| *time);
        let ended = || RequestPolicy::get(&self.rules.ended);
        let found = self.names.look_up(name, uri.port_u16().unwrap_or(usual), Instant::now() + time, &ended);
        found.map_err(|why| match why {
            ResolveError::NotFound => ureq::Error::HostNotFound,
            ResolveError::Timeout => ureq::Error::Timeout(ureq::Timeout::Resolve),
            ResolveError::Ended => ureq::Error::Io(io::ErrorKind::NotConnected.into()),
        })
    }

    /// Returns why the policy refuses this request, if it does.
    fn forbids(&self, uri: &Uri, private: bool) -> Option<&'static str> {
        let on = RequestPolicy::get;
        if private && on(&self.rules.public_only) {
            return Some("it redirects to a private address: refused");
        }
        if private && !on(&self.rules.any_path) && !urls::is_announce_path(uri.path()) {
            return Some(urls::LOCAL_RULE);
        }
        if private && on(&self.rules.torrents_only) && (uri.query().is_some() || !urls::is_torrent_path(uri.path())) {
            return Some("of a private address only a .torrent file is fetched, without a query");
        }
        (private && on(&self.rules.no_query) && uri.query().is_some())
            .then_some("nothing is asked of a private address with a query")
    }
}

impl Resolver for CheckedResolver {
    fn resolve(&self, uri: &Uri, config: &Config, timeout: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let mut found = self.look_up(uri, timeout)?;
        // With a proxy this is the proxy's address; the proxy resolves the target itself.
        if config.proxy().is_none() {
            let private = found.iter().any(|addr| is_internal(addr.ip()));
            self.rules.private.store(private, Ordering::Relaxed);
            if let Some(why) = self.forbids(uri, private) {
                self.rules.forbidden.store(true, Ordering::Relaxed);
                return Err(ureq::Error::Io(io::Error::other(why)));
            }
            let fits = |v6: bool| self.bind.is_none_or(|ip| ip.is_ipv6() == v6);
            let has = |v6: bool| fits(v6) && found.iter().any(|addr| addr.is_ipv6() == v6);
            if !RequestPolicy::get(&self.rules.any_family) {
                let (v4, v6) = (has(false), has(true));
                let mut families = self.rules.families();
                let (chosen, twin) = match families.only {
                    None if v4 && v6 => families.choose(),
                    Some(only) => {
                        families.chosen = Some(only);
                        (only, None)
                    }
                    None => (v6, None),
                };
                drop(families);
                twin.into_iter().for_each(|twin| twin());
                if v4 || v6 {
                    found.retain(|addr| addr.is_ipv6() == chosen);
                }
            }
        }
        let mut kept = self.empty();
        found.into_iter().take(ADDRESSES).for_each(|addr| kept.push(addr));
        if kept.is_empty() { Err(ureq::Error::HostNotFound) } else { Ok(kept) }
    }
}

/// Returns whether the host has a route to the IPv6 internet. Connects a UDP socket, which sends no packet.
fn has_ipv6() -> bool {
    let far: SocketAddr = ([0x2001, 0x0db8, 0, 0, 0, 0, 0, 1], 9).into();
    UdpSocket::bind("[::]:0").and_then(|socket| socket.connect(far)).is_ok()
}

/// Parses the `Retry-After` header (RFC 9110, section 10.2.3): seconds or an HTTP date.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("retry-after")?.to_str().ok()?.trim();
    let date = || httpdate::parse_http_date(text).ok();
    let until = |date: SystemTime| date.duration_since(SystemTime::now()).unwrap_or_default();
    text.parse().ok().map(Duration::from_secs).or_else(|| date().map(until))
}

/// Parses and checks an http or https URL.
///
/// # Errors
/// If the URL is malformed, too long or has another scheme.
pub(super) fn parse(text: &str) -> Result<Url, RequestError> {
    if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(RequestError::Characters);
    }
    if text.len() > 2 * limits::TRACKER_URL {
        return Err(RequestError::TooLong(text.len()));
    }
    let url = Url::parse(text)?;
    match (url.scheme(), url.port()) {
        ("http" | "https", Some(0)) => Err(RequestError::PortZero),
        ("http" | "https", _) => Ok(url),
        (other, _) => Err(RequestError::Scheme(other.to_owned())),
    }
}
