//! What we say to trackers and what they say: HTTP queries and replies (BEP 3, 7, 23), UDP packets (BEP 15), scrapes
//! (BEP 48). Both directions, since `ttui` is a tracker too.

use std::net::SocketAddr;
use std::time::Duration;

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
    /// Addresses.
    pub peers: Vec<SocketAddr>,
    /// What it warned of.
    pub warning: Option<String>,
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
