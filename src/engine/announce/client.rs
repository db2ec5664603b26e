//! HTTP requests under rules: names are looked up under them, and redirects are followed by hand, so that no URL of a
//! stranger leads to where it may not.

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

use super::bound::Bound;
use super::names::{Names, Unknown};
use crate::disk::fault;
use crate::limits;
use crate::wire::metainfo::urls;
use crate::wire::text;

/// A server's answer.
pub(super) type Response = ureq::http::Response<Body>;

/// Addresses of a host that are tried.
const ADDRESSES: usize = 16;

/// One thread's way to make requests.
pub(super) struct Client {
    pub(super) agent: Agent,
    pub(super) rules: Arc<Rules>,
}

/// Ends the request that a client makes, whatever it waits for, and all that it would make.
pub(super) struct Ender {
    agent: Agent,
    rules: Arc<Rules>,
}

impl Ender {
    pub(super) fn end(&self) {
        self.rules.ended.store(true, Ordering::Relaxed);
        self.agent.clone().shutdown();
    }
}

/// Why a request came to nothing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Fault {
    /// In words, safe to print.
    pub(super) words: String,
    /// Its host did not answer at all, so others need not ask it either.
    pub(super) dead: bool,
}

impl Fault {
    pub(super) fn new(words: impl Into<String>) -> Self {
        Fault { words: words.into(), dead: false }
    }

    pub(super) fn late() -> Self {
        Fault { words: "no answer in time".into(), dead: true }
    }
}

impl From<ureq::Error> for Fault {
    fn from(error: ureq::Error) -> Self {
        let dead = match &error {
            ureq::Error::Timeout(_) | ureq::Error::HostNotFound => true,
            // `Other` is what we refuse ourselves; and that files are open here says nothing of the host.
            ureq::Error::Io(e) => e.kind() != io::ErrorKind::Other && !fault::is_out_of_handles(e),
            _ => false,
        };
        Fault { words: words(&error), dead }
    }
}

impl Client {
    pub(super) fn new(config: &Config, bind: Option<IpAddr>, names: &Names) -> Self {
        let rules = Arc::new(Rules::default());
        let guard = Guard { names: names.clone(), rules: Arc::clone(&rules), bind };
        let bound = ().chain(ConnectProxyConnector::default()).chain(Bound::new(bind));
        let agent = Agent::with_parts(config.clone(), bound.chain(RustlsConnector::default()), guard);
        Client { agent, rules }
    }

    pub(super) fn ender(&self) -> Ender {
        Ender { agent: self.agent.clone(), rules: Arc::clone(&self.rules) }
    }

    /// Whether it can make no more requests.
    pub(super) fn ended(&self) -> bool {
        Rules::get(&self.rules.ended)
    }

    /// Makes a request and follows redirects, each hop under the rules; `range` is the first byte and the last that are
    /// wanted. The whole of it must be over by the deadline, if there is one.
    ///
    /// # Errors
    /// Why there is no answer.
    pub(super) fn get(
        &self,
        url: Url,
        range: Option<(u64, u64)>,
        deadline: Option<Instant>,
    ) -> Result<Response, Fault> {
        match self.reach(url, range, deadline)? {
            Reached::Answer(response) => Ok(*response),
            Reached::Magnet(_) => Err(Fault::new("it redirects to a magnet URL: refused")),
        }
    }

    /// The same, where a redirect may lead to a magnet link.
    ///
    /// # Errors
    /// Why there is no answer.
    pub(super) fn reach(
        &self,
        mut url: Url,
        range: Option<(u64, u64)>,
        deadline: Option<Instant>,
    ) -> Result<Reached, Fault> {
        self.rules.forbidden.store(false, Ordering::Relaxed);
        self.rules.public_only.store(false, Ordering::Relaxed);
        for _ in 0..=limits::REDIRECTS {
            let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Err(Fault::late());
            }
            let mut request = self.agent.get(url.as_str());
            if let Some((first, last)) = range {
                // Bytes of a range are bytes of the file, never of a packed one.
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
            // From a public host, and from anywhere after one, there is no way back into a private network.
            if !Rules::get(&self.rules.private) {
                self.rules.public_only.store(true, Ordering::Relaxed);
            }
            let next = url.join(to).map_err(|_| Fault::new("it redirects to something that is no URL"))?;
            url = parse(next.as_str()).map_err(|_| {
                Fault::new(format!("it redirects to a {} URL: refused", text::clean(next.scheme(), 20)))
            })?;
        }
        Err(Fault::new(format!("it redirects more than {} times", limits::REDIRECTS)))
    }
}

/// Where a request has led.
pub(super) enum Reached {
    /// To a server's answer.
    Answer(Box<Response>),
    /// To a magnet link, as a redirect of many indexers does.
    Magnet(String),
}

/// What is known of the address of the request under way, and what it must be. Shared with the resolver.
#[derive(Debug, Default)]
pub(super) struct Rules {
    /// The address must not be a private one: the redirect comes from a public host.
    pub(super) public_only: AtomicBool,
    /// The path need not look like a tracker's.
    pub(super) any_path: AtomicBool,
    /// A private address is asked for `.torrent` files only.
    pub(super) torrents_only: AtomicBool,
    /// A private address may be asked for what lies there, and not be told anything: no query.
    pub(super) no_query: AtomicBool,
    /// Addresses of both families are tried, one after the other.
    pub(super) any_family: AtomicBool,
    /// The last address was a private one.
    pub(super) private: AtomicBool,
    /// A rule forbade the last request.
    pub(super) forbidden: AtomicBool,
    /// No more requests are to be made.
    pub(super) ended: AtomicBool,
    /// Which family the request is to go over.
    pub(super) families: Mutex<Families>,
}

/// Which family of addresses a request goes over, where its host has both.
#[derive(Default)]
pub(super) struct Families {
    /// IPv6 and no other, or IPv4.
    pub(super) only: Option<bool>,
    /// IPv4 (first) or IPv6 did not work lately.
    pub(super) rests: [bool; 2],
    /// Makes the same request over IPv6 as well.
    pub(super) twin: Option<Box<dyn FnOnce() + Send>>,
    /// What was chosen where there was a choice.
    pub(super) chosen: Option<bool>,
}

impl fmt::Debug for Families {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Families").field("only", &self.only).field("rests", &self.rests).finish_non_exhaustive()
    }
}

impl Families {
    /// Whether the request goes over IPv6 now that its host has both, and what makes it over both.
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

impl Rules {
    pub(super) fn get(flag: &AtomicBool) -> bool {
        flag.load(Ordering::Relaxed)
    }

    pub(super) fn families(&self) -> MutexGuard<'_, Families> {
        self.families.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks names up and applies the rules to what comes out, so that no name can lead where its URL may not.
pub(super) struct Guard {
    pub(super) names: Names,
    pub(super) rules: Arc<Rules>,
    /// The address that connections are made from: those of the other family are of no use then.
    pub(super) bind: Option<IpAddr>,
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Guard")
    }
}

impl Guard {
    fn look_up(&self, uri: &Uri, timeout: NextTimeout) -> Result<Vec<SocketAddr>, ureq::Error> {
        let name = uri.host().ok_or(ureq::Error::HostNotFound)?;
        let usual = if uri.scheme_str() == Some("https") { 443 } else { 80 };
        let time = timeout.not_zero().map_or(limits::TRACKER_CONNECT, |time| *time);
        let ended = || Rules::get(&self.rules.ended);
        let found = self.names.look_up(name, uri.port_u16().unwrap_or(usual), Instant::now() + time, &ended);
        found.map_err(|why| match why {
            Unknown::NotFound => ureq::Error::HostNotFound,
            Unknown::Late => ureq::Error::Timeout(ureq::Timeout::Resolve),
            Unknown::Ended => ureq::Error::Io(io::ErrorKind::NotConnected.into()),
        })
    }

    /// Why a rule forbids this, if one does.
    fn forbids(&self, uri: &Uri, private: bool) -> Option<&'static str> {
        let on = Rules::get;
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

impl Resolver for Guard {
    fn resolve(&self, uri: &Uri, config: &Config, timeout: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let mut found = self.look_up(uri, timeout)?;
        // Where there is a proxy this is its address; the rest is its business.
        if config.proxy().is_none() {
            let private = found.iter().any(|addr| urls::is_private(addr.ip()));
            self.rules.private.store(private, Ordering::Relaxed);
            if let Some(why) = self.forbids(uri, private) {
                self.rules.forbidden.store(true, Ordering::Relaxed);
                return Err(ureq::Error::Io(io::Error::other(why)));
            }
            let fits = |v6: bool| self.bind.is_none_or(|ip| ip.is_ipv6() == v6);
            let has = |v6: bool| fits(v6) && found.iter().any(|addr| addr.is_ipv6() == v6);
            if !Rules::get(&self.rules.any_family) {
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

/// Whether this machine has a way to the IPv6 internet. Asks the routing table; nothing is sent.
fn has_ipv6() -> bool {
    let far: SocketAddr = ([0x2001, 0x0db8, 0, 0, 0, 0, 0, 1], 9).into();
    UdpSocket::bind("[::]:0").and_then(|socket| socket.connect(far)).is_ok()
}

/// How long a server wants to be left alone (`Retry-After`, RFC 9110, 10.2.3): seconds, or a date.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("retry-after")?.to_str().ok()?.trim();
    let date = || httpdate::parse_http_date(text).ok();
    let until = |date: SystemTime| date.duration_since(SystemTime::now()).unwrap_or_default();
    text.parse().ok().map(Duration::from_secs).or_else(|| date().map(until))
}

/// Reads an http or https URL and says in words what is wrong with it.
pub(super) fn parse(text: &str) -> Result<Url, Fault> {
    if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(Fault::new("the URL holds a character that no URL may have"));
    }
    if text.len() > 2 * limits::TRACKER_URL {
        return Err(Fault::new(format!("the URL is {} bytes long: too long", text.len())));
    }
    let url = Url::parse(text).map_err(|e| Fault::new(format!("the URL cannot be read: {e}")))?;
    match (url.scheme(), url.port()) {
        ("http" | "https", Some(0)) => Err(Fault::new("the URL names port 0, which nobody can listen on")),
        ("http" | "https", _) => Ok(url),
        (other, _) => Err(Fault::new(format!("{other} URLs are not supported here, only http and https"))),
    }
}

/// A failed request in words, harmless ones: parts of them may come from the other side.
pub(super) fn words(error: &ureq::Error) -> String {
    let plain = match error {
        ureq::Error::Timeout(ureq::Timeout::Resolve) => "its name was not found in time".into(),
        ureq::Error::Timeout(ureq::Timeout::Connect) => "no connection in time".into(),
        ureq::Error::Timeout(_) => "no answer in time".into(),
        ureq::Error::HostNotFound => "its name is not known".into(),
        ureq::Error::Io(e) if e.kind() == io::ErrorKind::ConnectionRefused => "connection refused".into(),
        // The library calls whoever it talks to a peer, and a peer is something else here.
        ureq::Error::Io(e) if e.kind() == io::ErrorKind::UnexpectedEof => "it closed the connection".into(),
        ureq::Error::Io(e) if e.kind() == io::ErrorKind::ConnectionReset => "it broke off the connection".into(),
        ureq::Error::Io(e) if fault::is_out_of_handles(e) => "too many files are open here".into(),
        ureq::Error::Io(e) => e.to_string(),
        ureq::Error::BodyExceedsLimit(max) => format!("its answer is longer than {max} bytes"),
        ureq::Error::LargeResponseHeader(..) => "the header of its answer is too long".into(),
        ureq::Error::Decompress(..) => "its answer is damaged (compression)".into(),
        ureq::Error::Protocol(_) | ureq::Error::Http(_) => "it does not speak HTTP".into(),
        ureq::Error::Rustls(e) => format!("its certificate or TLS is bad: {e}"),
        other => other.to_string(),
    };
    text::clean(&plain, limits::TRACKER_TEXT)
}
