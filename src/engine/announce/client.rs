//! HTTP requests under rules: names are looked up under them, and redirects are followed by hand, so that no URL of a
//! stranger leads to where it may not.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use ureq::config::{Config, IpFamily};
use ureq::http::{Response, Uri};
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{ConnectProxyConnector, Connector, DefaultConnector, NextTimeout, RustlsConnector};
use ureq::{Agent, Body};
use url::Url;

use super::bound::Bound;
use crate::disk::fault;
use crate::limits;
use crate::wire::metainfo::urls::is_torrent_path;
use crate::wire::text;

/// One thread's way to make requests.
pub(super) struct Client {
    pub(super) agent: Agent,
    pub(super) rules: Arc<Rules>,
}

impl Client {
    /// A client, and its agent to end its requests with.
    pub(super) fn new(config: &Config, bind: Option<IpAddr>) -> (Agent, Self) {
        let rules = Arc::new(Rules::default());
        let guard = Guard { inner: DefaultResolver::default(), rules: Arc::clone(&rules), bind };
        let agent = match bind {
            Some(ip) => {
                let bound = ().chain(ConnectProxyConnector::default()).chain(Bound(ip));
                Agent::with_parts(config.clone(), bound.chain(RustlsConnector::default()), guard)
            }
            None => Agent::with_parts(config.clone(), DefaultConnector::new(), guard),
        };
        (agent.clone(), Client { agent, rules })
    }

    /// Makes a request and follows redirects, each hop under the rules; `range` is the first byte and the last that are
    /// wanted. The whole of it must be over by the deadline, if there is one.
    ///
    /// # Errors
    /// In words, safe to print.
    pub(super) fn get(
        &self,
        url: Url,
        range: Option<(u64, u64)>,
        deadline: Option<Instant>,
    ) -> Result<Response<Body>, String> {
        match self.reach(url, range, deadline)? {
            Reached::Answer(response) => Ok(*response),
            Reached::Magnet(_) => Err("it redirects to a magnet URL: refused".into()),
        }
    }

    /// The same, where a redirect may lead to a magnet link.
    ///
    /// # Errors
    /// In words, safe to print.
    pub(super) fn reach(
        &self,
        mut url: Url,
        range: Option<(u64, u64)>,
        deadline: Option<Instant>,
    ) -> Result<Reached, String> {
        self.rules.public_only.store(false, Ordering::Relaxed);
        for _ in 0..=limits::REDIRECTS {
            let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Err("no answer in time".into());
            }
            let mut request = self.agent.get(url.as_str());
            if let Some((first, last)) = range {
                // Bytes of a range are bytes of the file, never of a packed one.
                request =
                    request.header("range", format!("bytes={first}-{last}")).header("accept-encoding", "identity");
            }
            let request = request.config().ip_family(IpFamily::Any).timeout_global(left);
            let response = request.build().call().map_err(|e| words(&e))?;
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
            let next = url.join(to).map_err(|_| "it redirects to something that is no URL".to_owned())?;
            url = parse(next.as_str())
                .map_err(|_| format!("it redirects to a {} URL: refused", text::clean(next.scheme(), 20)))?;
        }
        Err(format!("it redirects more than {} times", limits::REDIRECTS))
    }
}

/// Where a request has led.
pub(super) enum Reached {
    /// To a server's answer.
    Answer(Box<Response<Body>>),
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
    /// The request goes over IPv6, where the host has both families and the other one was used.
    pub(super) second: AtomicBool,
    /// The host has addresses of both families.
    pub(super) both: AtomicBool,
}

impl Rules {
    pub(super) fn get(flag: &AtomicBool) -> bool {
        flag.load(Ordering::Relaxed)
    }
}

/// Looks names up and applies the rules to what comes out, so that no name can lead where its URL may not.
pub(super) struct Guard {
    pub(super) inner: DefaultResolver,
    pub(super) rules: Arc<Rules>,
    /// The address that connections are made from: those of the other family are of no use then.
    pub(super) bind: Option<IpAddr>,
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Guard")
    }
}

impl Resolver for Guard {
    fn resolve(&self, uri: &Uri, config: &Config, timeout: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let mut found = self.inner.resolve(uri, config, timeout)?;
        if config.proxy().is_some() {
            // It is the proxy's address; the rest is its business.
            return Ok(found);
        }
        let refuse = |why: &str| Err(ureq::Error::Io(io::Error::other(why)));
        let private = found.iter().any(|addr| is_private(addr.ip()));
        self.rules.private.store(private, Ordering::Relaxed);
        if private && Rules::get(&self.rules.public_only) {
            return refuse("it redirects to a private address: refused");
        }
        if private && !Rules::get(&self.rules.any_path) && !looks_like_announce(uri.path()) {
            return refuse("a tracker at a private address must have a path that begins with /announce");
        }
        if private && Rules::get(&self.rules.torrents_only) && (uri.query().is_some() || !is_torrent_path(uri.path())) {
            return refuse("of a private address only a .torrent file is fetched, without a query");
        }
        if private && Rules::get(&self.rules.no_query) && uri.query().is_some() {
            return refuse("nothing is asked of a private address with a query");
        }
        let fits = |v6: bool| self.bind.is_none_or(|ip| ip.is_ipv6() == v6);
        let v6 = found.iter().any(SocketAddr::is_ipv6) && fits(true);
        let v4 = found.iter().any(SocketAddr::is_ipv4) && fits(false);
        self.rules.both.store(v4 && v6, Ordering::Relaxed);
        if v4 && v6 && !Rules::get(&self.rules.any_family) {
            let want_v6 = Rules::get(&self.rules.second);
            let mut kept = self.inner.empty();
            found.iter().filter(|addr| addr.is_ipv6() == want_v6).for_each(|addr| kept.push(*addr));
            found = kept;
        }
        Ok(found)
    }
}

/// Whether the address is of this machine or of a network without access from outside.
pub(super) fn is_private(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            let shared = a == 100 && b & 0xc0 == 64;
            ip.is_loopback() || ip.is_private() || ip.is_link_local() || a == 0 || shared
        }
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unspecified() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

/// Whether a path is a tracker's and not, say, a command of a router or of a program on this machine.
fn looks_like_announce(path: &str) -> bool {
    let last = path.rsplit('/').next().unwrap_or(path);
    path.starts_with("/announce") || last.starts_with("announce")
}

/// Reads an http or https URL and says in words what is wrong with it.
pub(super) fn parse(text: &str) -> Result<Url, String> {
    if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err("the URL holds a character that no URL may have".into());
    }
    if text.len() > 2 * limits::TRACKER_URL {
        return Err(format!("the URL is {} bytes long: too long", text.len()));
    }
    let url = Url::parse(text).map_err(|e| format!("the URL cannot be read: {e}"))?;
    match (url.scheme(), url.port()) {
        ("http" | "https", Some(0)) => Err("the URL names port 0, which nobody can listen on".into()),
        ("http" | "https", _) => Ok(url),
        (other, _) => Err(format!("{other} URLs are not supported here, only http and https")),
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
