//! What is said to trackers and what they say, in both directions, since `ttui` is a tracker too.
//!
//! Here: the words of an announce, and HTTP as a client speaks it (BEP 3, 7, 23, 48). [`server`] is HTTP as a tracker
//! speaks it, [`udp`] is BEP 15 from both sides.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use thiserror::Error;

use crate::limits;
use crate::wire::bencode::Value;
use crate::wire::extension::address;
use crate::wire::host::HostPort;
use crate::wire::message::{InfoHash, PeerId};
use crate::wire::text;

pub mod server;
pub mod udp;

/// What is asked of a tracker.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Announce {
    /// The tracker's URL.
    pub url: String,
    /// What happened.
    pub event: AnnounceEvent,
    /// Payload bytes sent since `started`.
    pub uploaded: u64,
    /// Payload bytes received since `started`.
    pub downloaded: u64,
    /// Bytes still wanted.
    pub left: u64,
    /// How many addresses would be welcome.
    pub num_want: u32,
    /// What the tracker wants repeated.
    pub tracker_id: Option<Vec<u8>>,
}

/// The event of an announce (BEP 3).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum AnnounceEvent {
    /// The usual one, at the interval.
    #[default]
    None,
    /// The first.
    Started,
    /// The last byte has come.
    Completed,
    /// The last one.
    Stopped,
    /// The usual one of a partial seed (BEP 21): bytes are left, and nobody wants them here.
    Paused,
}

/// A tracker's answer, from HTTP and UDP alike, already cleaned and bounded.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct AnnounceReply {
    /// When to ask again; `None` where the tracker did not say.
    pub interval: Option<Duration>,
    /// The shortest time between two announces.
    pub min_interval: Option<Duration>,
    /// Seeds.
    pub seeds: Option<u32>,
    /// Leechers.
    pub leechers: Option<u32>,
    /// Downloads completed ever; only some trackers tell it in an announce.
    pub completed: Option<u32>,
    /// Addresses.
    pub peers: Vec<SocketAddr>,
    /// Peers that are named by host (BEP 3), to be looked up; at most [`limits::PEERS_PER_REPLY`].
    pub named_peers: Vec<HostPort>,
    /// What it warned of.
    pub warning: Option<String>,
    /// Our address as it sees it (BEP 24).
    pub external: Option<IpAddr>,
    /// What it wants repeated.
    pub tracker_id: Option<Vec<u8>>,
}

/// A tracker's URL as a person may see it: without user and password, without the query's values, and without
/// path parts long enough to be a passkey. What is left is enough to tell trackers apart.
#[must_use]
pub fn public_url(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let tail = tail.split('#').next().unwrap_or("");
    let (path, query) = tail.split_once('?').map_or((tail, None), |(p, q)| (p, Some(q)));
    let mut out = String::with_capacity(url.len().min(128));
    if !scheme.is_empty() {
        out.push_str(scheme);
        out.push_str("://");
    }
    out.push_str(host);
    for (n, part) in path.split('/').enumerate() {
        if n > 0 {
            out.push('/');
        }
        out.push_str(if may_be_secret(part) { "***" } else { part });
    }
    if query.is_some_and(|q| !q.is_empty()) {
        out.push_str("?***");
    }
    // Whatever is left may come from a stranger's torrent: nothing that a terminal would obey.
    out.chars().map(|c| if c.is_ascii_graphic() { c } else { '?' }).take(100).collect()
}

/// Whether a part of a path is long enough to be a key that names a user.
fn may_be_secret(part: &str) -> bool {
    part.len() >= 24 || (part.len() >= 10 && part.bytes().any(|b| b.is_ascii_digit()))
}

/// Who asks: what an announce says besides [`Announce`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Asker {
    /// The torrent.
    pub info_hash: InfoHash,
    /// Who we are.
    pub peer_id: PeerId,
    /// The TCP port on which we listen.
    pub port: u16,
    /// A number that stays the same while our address changes.
    pub key: u32,
}

/// Why a text is no URL of a tracker.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum UrlError {
    /// It has spaces, line breaks, control characters or the like.
    #[error("the tracker's URL holds a character that no URL may have")]
    Character,
    /// It is longer than [`limits::TRACKER_URL`].
    #[error("the tracker's URL is {0} bytes long, at most {max} are allowed", max = limits::TRACKER_URL)]
    Long(usize),
    /// It names a torrent by itself.
    #[error("the tracker's URL holds an info_hash of its own")]
    InfoHash,
    /// There is no known way from the announce URL to a scrape URL (BEP 48).
    #[error("this tracker cannot be scraped: its URL does not end in /announce")]
    NoScrape,
}

/// Refuses what would not be one clean line of an HTTP request.
fn check(url: &str) -> Result<&str, UrlError> {
    if url.len() > limits::TRACKER_URL {
        return Err(UrlError::Long(url.len()));
    }
    if !url.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'<' | b'>' | b'\\' | b'^' | b'`')) {
        return Err(UrlError::Character);
    }
    Ok(url.split_once('#').map_or(url, |(before, _)| before))
}

/// Whether a query has an `info_hash` of its own, however that is written.
pub(crate) fn names_torrent(query: &str) -> bool {
    url::form_urlencoded::parse(query.as_bytes()).any(|(key, _)| key.eq_ignore_ascii_case("info_hash"))
}

/// Appends a query to a URL that may have one already.
fn with_query(url: &str, query: &str) -> String {
    let glue = match url.split_once('?') {
        None => "?",
        Some((_, "")) => "",
        Some((_, own)) if own.ends_with('&') => "",
        Some(_) => "&",
    };
    format!("{url}{glue}{query}")
}

/// The URL of an announce over HTTP (BEP 3, 7, 23): the tracker's own with our query behind it.
///
/// # Errors
/// When the tracker's URL cannot be part of a request.
pub fn announce_url(ask: &Announce, asker: &Asker) -> Result<String, UrlError> {
    let url = check(&ask.url)?;
    if url.split_once('?').is_some_and(|(_, own)| names_torrent(own)) {
        return Err(UrlError::InfoHash);
    }
    let mut query = format!(
        "info_hash={}&peer_id={}&port={}&uploaded={}&downloaded={}&left={}&compact=1&no_peer_id=1&numwant={}&key={:08x}",
        escape(&asker.info_hash.0),
        escape(&asker.peer_id.0),
        asker.port,
        ask.uploaded,
        ask.downloaded,
        ask.left,
        ask.num_want,
        asker.key,
    );
    if let Some(word) = event_word(ask.event) {
        query.push_str("&event=");
        query.push_str(word);
    }
    if let Some(id) = &ask.tracker_id {
        query.push_str("&trackerid=");
        query.push_str(&escape(id));
    }
    Ok(with_query(url, &query))
}

/// The URL of a scrape of one torrent (BEP 48): `announce` at the start of the last path part becomes `scrape`.
///
/// # Errors
/// When the URL does not follow that convention, or cannot be part of a request.
pub fn scrape_url(url: &str, info_hash: &InfoHash) -> Result<String, UrlError> {
    let url = check(url)?;
    let (path, query) = url.split_once('?').map_or((url, None), |(path, query)| (path, Some(query)));
    let slash = path.rfind('/').ok_or(UrlError::NoScrape)?;
    let rest = path[slash + 1..].strip_prefix("announce").ok_or(UrlError::NoScrape)?;
    let query = query.map_or(String::new(), |query| format!("?{query}"));
    let scrape = format!("{}scrape{rest}{query}", &path[..=slash]);
    Ok(with_query(&scrape, &format!("info_hash={}", escape(&info_hash.0))))
}

/// The word of an event in a query.
const fn event_word(event: AnnounceEvent) -> Option<&'static str> {
    match event {
        AnnounceEvent::None => None,
        AnnounceEvent::Started => Some("started"),
        AnnounceEvent::Completed => Some("completed"),
        AnnounceEvent::Stopped => Some("stopped"),
        AnnounceEvent::Paused => Some("paused"),
    }
}

/// Percent-encodes everything but the unreserved characters.
fn escape(bytes: &[u8]) -> String {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut out = String::with_capacity(3 * bytes.len());
    for &b in bytes {
        if b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~') {
            out.push(b as char);
        } else {
            out.push('%');
            out.push(HEX[usize::from(b >> 4)] as char);
            out.push(HEX[usize::from(b & 15)] as char);
        }
    }
    out
}

/// When a tracker that refused may be asked again.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Retry {
    /// It does not say.
    #[default]
    Unsaid,
    /// After this time: `retry in` (BEP 31), or else the longer of `interval` and `min interval`.
    After(Duration),
    /// Not at all: `retry in` is `never`.
    Never,
}

/// Why an announce got no answer, and when its tracker may be asked again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AnnounceError {
    /// One sentence, safe to print.
    pub why: String,
    /// When it may be asked again.
    pub retry: Retry,
    /// A rule of ours forbids to ask it at all.
    pub forbidden: bool,
}

impl AnnounceError {
    /// An error of which nothing more is known than this sentence.
    #[must_use]
    pub fn new(why: impl Into<String>) -> Self {
        AnnounceError { why: why.into(), retry: Retry::Unsaid, forbidden: false }
    }
}

/// Why a reply is no answer.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum ReplyError {
    /// It is not a bencoded dictionary.
    #[error("it does not answer as a tracker does")]
    NotATracker,
    /// The tracker refused.
    #[error("it says: {reason}")]
    Refused {
        /// Its own words, cleaned and cut, with those of its warning if there is one.
        reason: String,
        /// When it may be asked again.
        retry: Retry,
    },
}

impl From<ReplyError> for AnnounceError {
    fn from(error: ReplyError) -> Self {
        let why = error.to_string();
        match error {
            ReplyError::Refused { retry: Retry::Never, .. } => {
                AnnounceError { retry: Retry::Never, ..Self::new(why + " (and never to ask again)") }
            }
            ReplyError::Refused { retry, .. } => AnnounceError { retry, ..Self::new(why) },
            ReplyError::NotATracker => Self::new(why),
        }
    }
}

/// Reads a reply to an announce over HTTP, in every shape seen in the wild. Addresses that no peer can have are left
/// out, and no more than [`limits::PEERS_PER_REPLY`] are kept.
///
/// # Errors
/// When it is not a tracker's reply, or a refusal.
pub fn decode_reply(body: &[u8]) -> Result<AnnounceReply, ReplyError> {
    // Some trackers are scripts that print a line break before or after their answer.
    let (value, _) = Value::parse_prefix(body.trim_ascii_start()).map_err(|_| ReplyError::NotATracker)?;
    let mut reply = AnnounceReply::default();
    let (mut refused, mut retry) = (None, Retry::Unsaid);
    for (key, value) in value.dictionary().ok_or(ReplyError::NotATracker)? {
        match key {
            b"failure reason" => refused = Some(words(&value)),
            b"retry in" => retry = retry_in(&value),
            b"warning message" => reply.warning = Some(words(&value)).filter(|text| !text.is_empty()),
            b"interval" => reply.interval = seconds(&value),
            b"min interval" => reply.min_interval = seconds(&value),
            b"tracker id" => {
                reply.tracker_id = value.text().filter(|id| id.len() <= limits::TRACKER_URL / 4).map(<[u8]>::to_vec);
            }
            b"complete" => reply.seeds = count(&value),
            b"incomplete" => reply.leechers = count(&value),
            b"downloaded" => reply.completed = count(&value),
            b"peers" => take_peers(&value, false, &mut reply),
            b"external ip" => reply.external = value.text().and_then(address),
            b"peers6" => take_peers(&value, true, &mut reply),
            _ => {}
        }
    }
    let Some(mut reason) = refused else { return Ok(reply) };
    if reason.is_empty() {
        reason.push_str("no (and gives no reason)");
    }
    if let Some(warning) = &reply.warning {
        reason = format!("{reason} (warning: {warning})");
    }
    if retry == Retry::Unsaid {
        retry = reply.interval.max(reply.min_interval).map_or(retry, Retry::After);
    }
    Err(ReplyError::Refused { reason, retry })
}

/// Reads `retry in` (BEP 31): minutes, or `never`.
fn retry_in(value: &Value<'_>) -> Retry {
    if value.text().is_some_and(|text| text.trim_ascii().eq_ignore_ascii_case(b"never")) {
        return Retry::Never;
    }
    let minutes = number(value).and_then(|minutes| u64::try_from(minutes).ok()).filter(|minutes| *minutes > 0);
    minutes.map_or(Retry::Unsaid, |minutes| Retry::After(Duration::from_secs(minutes.saturating_mul(60))))
}

/// What a tracker counts of a torrent (BEP 48).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ScrapeCounts {
    /// Seeds.
    pub seeds: u32,
    /// Times it was downloaded whole.
    pub downloaded: u32,
    /// Leechers.
    pub leechers: u32,
}

/// Reads a reply to a scrape over HTTP: the counts of this torrent, or `None` where the tracker does not know it.
///
/// # Errors
/// As [`decode_reply`].
pub fn decode_scrape(body: &[u8], info_hash: &InfoHash) -> Result<Option<ScrapeCounts>, ReplyError> {
    let (value, _) = Value::parse_prefix(body.trim_ascii_start()).map_err(|_| ReplyError::NotATracker)?;
    if let Some(reason) = value.get(b"failure reason") {
        return Err(ReplyError::Refused { reason: words(&reason), retry: Retry::Unsaid });
    }
    let files = value.get(b"files").ok_or(ReplyError::NotATracker)?;
    let number = |file: &Value<'_>, key: &[u8]| file.get(key).and_then(|n| count(&n)).unwrap_or(0);
    Ok(files.get(&info_hash.0).map(|file| ScrapeCounts {
        seeds: number(&file, b"complete"),
        downloaded: number(&file, b"downloaded"),
        leechers: number(&file, b"incomplete"),
    }))
}

fn words(value: &Value<'_>) -> String {
    text::clean_bytes(value.text().unwrap_or_default(), limits::TRACKER_TEXT)
}

/// A number, also where it was written as a string.
fn number(value: &Value<'_>) -> Option<i64> {
    let text = || value.text().and_then(|t| std::str::from_utf8(t).ok()?.trim().parse().ok());
    value.number().or_else(text)
}

fn seconds(value: &Value<'_>) -> Option<Duration> {
    number(value).and_then(|n| u64::try_from(n).ok()).map(Duration::from_secs)
}

fn count(value: &Value<'_>) -> Option<u32> {
    number(value).and_then(|n| u32::try_from(n).ok())
}

/// Takes the addresses of `peers` or `peers6`: a string of them (BEP 23, 7) or a list of dictionaries (BEP 3), which may
/// name hosts.
fn take_peers(value: &Value<'_>, v6: bool, out: &mut AnnounceReply) {
    if let Some(compact) = value.text() {
        return take_compact(compact, v6, &mut out.peers);
    }
    for peer in value.list().into_iter().flatten() {
        let host = peer.get(b"ip").and_then(|ip| std::str::from_utf8(ip.text()?).ok());
        let port = peer.get(b"port").and_then(|port| u16::try_from(number(&port)?).ok());
        let (Some(host), Some(port)) = (host.map(str::trim), port) else { continue };
        match host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
            Ok(ip) => keep(SocketAddr::new(ip, port), &mut out.peers),
            Err(_) if out.named_peers.len() < limits::PEERS_PER_REPLY => {
                out.named_peers.extend(HostPort::new(host, port).filter(|named| !out.named_peers.contains(named)));
            }
            Err(_) => {}
        }
        if out.peers.len() == limits::PEERS_PER_REPLY {
            return;
        }
    }
}

/// Takes the addresses of a compact string; a rest too short for an address is passed over.
pub(crate) fn take_compact(bytes: &[u8], v6: bool, out: &mut Vec<SocketAddr>) {
    let mut take = |ip: IpAddr, port: [u8; 2]| keep(SocketAddr::new(ip, u16::from_be_bytes(port)), out);
    if v6 {
        for chunk in bytes.as_chunks::<18>().0 {
            let mut ip = [0; 16];
            ip.copy_from_slice(&chunk[..16]);
            take(Ipv6Addr::from(ip).into(), [chunk[16], chunk[17]]);
        }
    } else {
        for &[a, b, c, d, hi, lo] in bytes.as_chunks::<6>().0 {
            take(Ipv4Addr::new(a, b, c, d).into(), [hi, lo]);
        }
    }
}

fn keep(addr: SocketAddr, out: &mut Vec<SocketAddr>) {
    let addr = SocketAddr::new(addr.ip().to_canonical(), addr.port());
    if out.len() < limits::PEERS_PER_REPLY && can_be_peer(&addr) {
        out.push(addr);
    }
}

/// Whether a peer can have this address: a port, and a host that is one (loopback included, for tests and for
/// several clients on one machine).
#[must_use]
pub fn can_be_peer(addr: &SocketAddr) -> bool {
    let host = match addr.ip() {
        IpAddr::V4(ip) => ip.octets()[0] != 0 && ip.octets()[0] < 224,
        // A link-local address means nothing without its interface.
        IpAddr::V6(ip) => !ip.is_unspecified() && !ip.is_multicast() && !ip.is_unicast_link_local(),
    };
    host && addr.port() != 0
}

/// Appends an address to a compact string of its family.
pub(crate) fn put_compact(addr: &SocketAddr, out: &mut Vec<u8>) {
    match addr.ip() {
        IpAddr::V4(ip) => out.extend_from_slice(&ip.octets()),
        IpAddr::V6(ip) => out.extend_from_slice(&ip.octets()),
    }
    out.extend_from_slice(&addr.port().to_be_bytes());
}

/// Undoes percent-encoding. `+` stays `+`: clients mean it so.
fn unescape(text: &str) -> Cow<'_, [u8]> {
    if !text.contains('%') {
        return Cow::Borrowed(text.as_bytes());
    }
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let digit = |at: usize| bytes.get(at).and_then(|b| (*b as char).to_digit(16));
        match (bytes[at], digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                at += 3;
            }
            (b, ..) => {
                out.push(b);
                at += 1;
            }
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests;
