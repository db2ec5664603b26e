//! Tracker protocol codecs for both the client and the tracker side; `ttui` can run as a tracker, too.
//!
//! This module holds the types of an announce and the HTTP client side (BEP 3, 7, 23, 48). [`server`] is the HTTP
//! tracker side, [`udp`] has both sides of the UDP tracker protocol (BEP 15).

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use thiserror::Error;

use crate::limits;
use crate::wire::address::can_be_host;
use crate::wire::bencode::Value;
use crate::wire::extension::address;
use crate::wire::host::HostPort;
use crate::wire::message::{InfoHash, PeerId};
use crate::wire::sanitize;

pub mod server;
pub mod udp;

/// Parameters of an announce that depend on the tracker and on the progress of the torrent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Announce {
    /// Announce URL of the tracker.
    pub url: String,
    pub event: AnnounceEvent,
    /// Payload bytes sent since the `started` event.
    pub uploaded: u64,
    /// Payload bytes received since the `started` event.
    pub downloaded: u64,
    /// Bytes left to download.
    pub left: u64,
    /// Requested number of peers (`numwant`).
    pub num_want: u32,
    /// `tracker id` from an earlier response of this tracker.
    pub tracker_id: Option<Vec<u8>>,
}

/// Event of an announce (BEP 3).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum AnnounceEvent {
    /// A regular announce at the interval.
    #[default]
    None,
    /// The first announce.
    Started,
    /// The download is complete.
    Completed,
    /// The last announce.
    Stopped,
    /// A regular announce of a partial seed, which is not complete but does not download (BEP 21).
    Paused,
}

/// Response to an announce over HTTP or UDP; texts are sanitized and lists are bounded.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct AnnounceResponse {
    /// Time until the next regular announce; `None` if absent.
    pub interval: Option<Duration>,
    /// Minimum time between two announces.
    pub min_interval: Option<Duration>,
    pub seeds: Option<u32>,
    pub leechers: Option<u32>,
    /// Number of completed downloads; few trackers include it in an announce response.
    pub completed: Option<u32>,
    pub peers: Vec<SocketAddr>,
    /// Peers given by host name (BEP 3), to be resolved; at most [`limits::PEERS_PER_REPLY`].
    pub named_peers: Vec<HostPort>,
    pub warning: Option<String>,
    /// Our external address as the tracker sees it (BEP 24).
    pub external: Option<IpAddr>,
    /// To be repeated in the next announce to this tracker.
    pub tracker_id: Option<Vec<u8>>,
}

/// Returns a tracker URL for display, without credentials and passkeys.
///
/// Removes the user information and replaces the query, and path segments that may be a passkey, by `***`. Truncates
/// the result to 100 characters.
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
    // The URL is untrusted: replace everything that could affect a terminal.
    out.chars().map(|c| if c.is_ascii_graphic() { c } else { '?' }).take(100).collect()
}

/// Returns whether a path segment looks like a passkey.
fn may_be_secret(part: &str) -> bool {
    part.len() >= 24 || (part.len() >= 10 && part.bytes().any(|b| b.is_ascii_digit()))
}

/// Parameters of an announce that identify the torrent and the client.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AnnounceIdentity {
    pub info_hash: InfoHash,
    pub peer_id: PeerId,
    /// TCP listen port.
    pub port: u16,
    /// Value by which a tracker recognizes the client after its address has changed.
    pub key: u32,
}

/// Error of building a request URL from a tracker URL.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum UrlError {
    /// The URL contains a character that must not occur in an HTTP request line.
    #[error("the tracker's URL holds a character that no URL may have")]
    Character,
    #[error("the tracker's URL is {0} bytes long, at most {max} are allowed", max = limits::TRACKER_URL)]
    Long(usize),
    /// The query of the URL already contains an `info_hash`.
    #[error("the tracker's URL holds an info_hash of its own")]
    InfoHash,
    /// The announce URL does not follow the convention from which a scrape URL is derived (BEP 48).
    #[error("this tracker cannot be scraped: its URL does not end in /announce")]
    NoScrape,
}

/// Validates a tracker URL as part of an HTTP request line and removes its fragment.
fn check(url: &str) -> Result<&str, UrlError> {
    if url.len() > limits::TRACKER_URL {
        return Err(UrlError::Long(url.len()));
    }
    if !url.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'<' | b'>' | b'\\' | b'^' | b'`')) {
        return Err(UrlError::Character);
    }
    Ok(url.split_once('#').map_or(url, |(before, _)| before))
}

/// Returns whether a query contains an `info_hash` parameter, also if its name is percent-encoded.
pub(crate) fn names_torrent(query: &str) -> bool {
    url::form_urlencoded::parse(query.as_bytes()).any(|(key, _)| key.eq_ignore_ascii_case("info_hash"))
}

/// Appends parameters to a URL that may already have a query.
fn with_query(url: &str, query: &str) -> String {
    let glue = match url.split_once('?') {
        None => "?",
        Some((_, "")) => "",
        Some((_, own)) if own.ends_with('&') => "",
        Some(_) => "&",
    };
    format!("{url}{glue}{query}")
}

/// Returns the URL of an HTTP announce (BEP 3, 7, 23): the tracker URL with our parameters appended.
///
/// # Errors
/// If the tracker URL is invalid or already contains an `info_hash`.
pub fn announce_url(ask: &Announce, asker: &AnnounceIdentity) -> Result<String, UrlError> {
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

/// Returns the URL of an HTTP scrape of one torrent (BEP 48).
///
/// Replaces `announce` at the start of the last path segment by `scrape`.
///
/// # Errors
/// If the announce URL does not follow this convention or is invalid.
pub fn scrape_url(url: &str, info_hash: &InfoHash) -> Result<String, UrlError> {
    let url = check(url)?;
    let (path, query) = url.split_once('?').map_or((url, None), |(path, query)| (path, Some(query)));
    let slash = path.rfind('/').ok_or(UrlError::NoScrape)?;
    let rest = path[slash + 1..].strip_prefix("announce").ok_or(UrlError::NoScrape)?;
    let query = query.map_or(String::new(), |query| format!("?{query}"));
    let scrape = format!("{}scrape{rest}{query}", &path[..=slash]);
    Ok(with_query(&scrape, &format!("info_hash={}", escape(&info_hash.0))))
}

/// Returns the value of the `event` parameter.
const fn event_word(event: AnnounceEvent) -> Option<&'static str> {
    match event {
        AnnounceEvent::None => None,
        AnnounceEvent::Started => Some("started"),
        AnnounceEvent::Completed => Some("completed"),
        AnnounceEvent::Stopped => Some("stopped"),
        AnnounceEvent::Paused => Some("paused"),
    }
}

/// Percent-encodes all bytes but unreserved characters.
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

/// When to announce again to a tracker that refused an announce.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Retry {
    /// The tracker does not specify it.
    #[default]
    Unspecified,
    /// After this time: from `retry in` (BEP 31), otherwise the longer of `interval` and `min interval`.
    After(Duration),
    /// Never: `retry in` is `never` (BEP 31).
    Never,
}

/// Reason why an announce failed, and when to retry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AnnounceError {
    /// Error message, one sentence, sanitized.
    pub why: String,
    pub retry: Retry,
    /// The announce was not sent because a rule of this client forbids it.
    pub forbidden: bool,
}

impl AnnounceError {
    /// Returns an error with this message and default values.
    #[must_use]
    pub fn new(why: impl Into<String>) -> Self {
        AnnounceError { why: why.into(), retry: Retry::Unspecified, forbidden: false }
    }
}

/// Error of decoding a tracker response.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum ResponseError {
    /// The response is not a bencoded dictionary, or lacks what a response must contain.
    #[error("it does not answer as a tracker does")]
    NotATracker,
    /// The tracker returned a `failure reason`.
    #[error("it says: {reason}")]
    Refused {
        /// The failure reason, sanitized and truncated, with the warning message if there is one.
        reason: String,
        retry: Retry,
    },
}

impl From<ResponseError> for AnnounceError {
    fn from(error: ResponseError) -> Self {
        let why = error.to_string();
        match error {
            ResponseError::Refused { retry: Retry::Never, .. } => {
                AnnounceError { retry: Retry::Never, ..Self::new(why + " (and never to ask again)") }
            }
            ResponseError::Refused { retry, .. } => AnnounceError { retry, ..Self::new(why) },
            ResponseError::NotATracker => Self::new(why),
        }
    }
}

/// Decodes an HTTP announce response, in all variants that occur in practice.
///
/// Drops addresses that cannot belong to a peer and keeps at most [`limits::PEERS_PER_REPLY`].
///
/// # Errors
/// If the response is not a bencoded dictionary or contains a `failure reason`.
pub fn decode_announce_response(body: &[u8]) -> Result<AnnounceResponse, ResponseError> {
    // Tracker scripts may print line breaks before or after the response.
    let (value, _) = Value::parse_prefix(body.trim_ascii_start()).map_err(|_| ResponseError::NotATracker)?;
    let mut reply = AnnounceResponse::default();
    let (mut refused, mut retry) = (None, Retry::Unspecified);
    for (key, value) in value.dictionary().ok_or(ResponseError::NotATracker)? {
        match key {
            b"failure reason" => refused = Some(words(&value)),
            b"retry in" => retry = retry_in(&value),
            b"warning message" => reply.warning = Some(words(&value)).filter(|text| !text.is_empty()),
            b"interval" => reply.interval = seconds(&value),
            b"min interval" => reply.min_interval = seconds(&value),
            b"tracker id" => {
                reply.tracker_id =
                    value.as_bytes().filter(|id| id.len() <= limits::TRACKER_URL / 4).map(<[u8]>::to_vec);
            }
            b"complete" => reply.seeds = count(&value),
            b"incomplete" => reply.leechers = count(&value),
            b"downloaded" => reply.completed = count(&value),
            b"peers" => decode_peers(&value, false, &mut reply),
            b"external ip" => reply.external = value.as_bytes().and_then(address),
            b"peers6" => decode_peers(&value, true, &mut reply),
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
    if retry == Retry::Unspecified {
        retry = reply.interval.max(reply.min_interval).map_or(retry, Retry::After);
    }
    Err(ResponseError::Refused { reason, retry })
}

/// Parses `retry in` (BEP 31): a number of minutes or `never`.
fn retry_in(value: &Value<'_>) -> Retry {
    if value.as_bytes().is_some_and(|text| text.trim_ascii().eq_ignore_ascii_case(b"never")) {
        return Retry::Never;
    }
    let minutes = number(value).and_then(|minutes| u64::try_from(minutes).ok()).filter(|minutes| *minutes > 0);
    minutes.map_or(Retry::Unspecified, |minutes| Retry::After(Duration::from_secs(minutes.saturating_mul(60))))
}

/// Scrape counts of a torrent (BEP 48).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ScrapeCounts {
    pub seeds: u32,
    /// Number of completed downloads.
    pub downloaded: u32,
    pub leechers: u32,
}

/// Decodes an HTTP scrape response; `None` if the tracker does not know the torrent.
///
/// # Errors
/// As [`decode_announce_response`].
pub fn decode_scrape(body: &[u8], info_hash: &InfoHash) -> Result<Option<ScrapeCounts>, ResponseError> {
    let (value, _) = Value::parse_prefix(body.trim_ascii_start()).map_err(|_| ResponseError::NotATracker)?;
    if let Some(reason) = value.get(b"failure reason") {
        return Err(ResponseError::Refused { reason: words(&reason), retry: Retry::Unspecified });
    }
    let files = value.get(b"files").ok_or(ResponseError::NotATracker)?;
    let number = |file: &Value<'_>, key: &[u8]| file.get(key).and_then(|n| count(&n)).unwrap_or(0);
    Ok(files.get(&info_hash.0).map(|file| ScrapeCounts {
        seeds: number(&file, b"complete"),
        downloaded: number(&file, b"downloaded"),
        leechers: number(&file, b"incomplete"),
    }))
}

fn words(value: &Value<'_>) -> String {
    sanitize::sanitize_bytes(value.as_bytes().unwrap_or_default(), limits::TRACKER_TEXT)
}

/// Parses an integer, or a string that contains one.
fn number(value: &Value<'_>) -> Option<i64> {
    let text = || value.as_bytes().and_then(|t| std::str::from_utf8(t).ok()?.trim().parse().ok());
    value.as_integer().or_else(text)
}

fn seconds(value: &Value<'_>) -> Option<Duration> {
    number(value).and_then(|n| u64::try_from(n).ok()).map(Duration::from_secs)
}

fn count(value: &Value<'_>) -> Option<u32> {
    number(value).and_then(|n| u32::try_from(n).ok())
}

/// Decodes `peers` or `peers6`: a compact string (BEP 23, BEP 7), or a list of dictionaries (BEP 3).
///
/// The dictionaries may contain host names instead of addresses.
fn decode_peers(value: &Value<'_>, v6: bool, out: &mut AnnounceResponse) {
    if let Some(compact) = value.as_bytes() {
        return decode_compact(compact, v6, &mut out.peers);
    }
    for peer in value.list().into_iter().flatten() {
        let host = peer.get(b"ip").and_then(|ip| std::str::from_utf8(ip.as_bytes()?).ok());
        let port = peer.get(b"port").and_then(|port| u16::try_from(number(&port)?).ok());
        let (Some(host), Some(port)) = (host.map(str::trim), port) else { continue };
        match host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
            Ok(ip) => push_peer(SocketAddr::new(ip, port), &mut out.peers),
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

/// Decodes a compact peer list; ignores an incomplete address at the end.
pub(crate) fn decode_compact(bytes: &[u8], v6: bool, out: &mut Vec<SocketAddr>) {
    let mut take = |ip: IpAddr, port: [u8; 2]| push_peer(SocketAddr::new(ip, u16::from_be_bytes(port)), out);
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

fn push_peer(addr: SocketAddr, out: &mut Vec<SocketAddr>) {
    let addr = SocketAddr::new(addr.ip().to_canonical(), addr.port());
    if out.len() < limits::PEERS_PER_REPLY && can_be_peer(&addr) {
        out.push(addr);
    }
}

/// Returns whether `addr` can be the address of a peer.
///
/// Loopback addresses are allowed, for tests and for several clients on one machine.
#[must_use]
pub fn can_be_peer(addr: &SocketAddr) -> bool {
    // An IPv6 link-local address is useless without its interface.
    let reachable = !matches!(addr.ip(), IpAddr::V6(ip) if ip.is_unicast_link_local());
    can_be_host(addr.ip()) && reachable && addr.port() != 0
}

/// Appends an address in compact form: 6 bytes for IPv4, 18 bytes for IPv6.
pub(crate) fn encode_compact(addr: &SocketAddr, out: &mut Vec<u8>) {
    match addr.ip() {
        IpAddr::V4(ip) => out.extend_from_slice(&ip.octets()),
        IpAddr::V6(ip) => out.extend_from_slice(&ip.octets()),
    }
    out.extend_from_slice(&addr.port().to_be_bytes());
}

/// Decodes percent-encoding. `+` is kept: BitTorrent clients do not use it for a space.
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
