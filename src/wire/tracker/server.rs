//! HTTP tracker, server side: decodes announce and scrape queries and encodes responses (BEP 3, 7, 23, 48).

use std::net::SocketAddr;

use thiserror::Error;

use super::{AnnounceEvent, ScrapeCounts, encode_compact, unescape};
use crate::wire::bencode::OwnedValue;
use crate::wire::message::{InfoHash, PeerId};

/// Maximum number of torrents in an HTTP scrape.
pub const SCRAPES: usize = 64;

/// Parameters of an HTTP announce.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AnnounceQuery {
    pub info_hash: InfoHash,
    pub peer_id: PeerId,
    /// TCP listen port of the client; never 0.
    pub port: u16,
    /// Bytes left to download; `u64::MAX` if unknown.
    pub left: u64,
    pub event: AnnounceEvent,
    /// Requested number of peers; `None` if absent.
    pub num_want: Option<u32>,
    /// Whether the client accepts a compact peer list (BEP 23); the default.
    pub compact: bool,
    /// Whether peer ids can be omitted from a non-compact peer list.
    pub no_peer_id: bool,
}

/// Error in a client's query; its text is sent as `failure reason`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum QueryError {
    #[error("info_hash is missing or not 20 bytes long")]
    InfoHash,
    #[error("peer_id is missing or not 20 bytes long")]
    PeerId,
    #[error("port is missing or not between 1 and 65535")]
    Port,
    #[error("left is not a number")]
    Left,
}

impl AnnounceQuery {
    /// Parses the query string of an announce.
    ///
    /// The first value of a parameter wins, unknown parameters are ignored. `ip` is ignored, too, because otherwise a
    /// client could direct the peers of a swarm to a victim's address.
    ///
    /// # Errors
    /// If a required parameter is missing or invalid.
    pub fn parse(query: &str) -> Result<Self, QueryError> {
        let [mut info_hash, mut peer_id, mut port, mut left] = [None; 4];
        let (mut event, mut num_want, mut compact, mut no_peer_id) = (None, None, None, None);
        for (name, value) in pairs(query) {
            let slot = match name {
                "info_hash" => &mut info_hash,
                "peer_id" => &mut peer_id,
                "port" => &mut port,
                "left" => &mut left,
                "event" => &mut event,
                "numwant" => &mut num_want,
                "compact" => &mut compact,
                "no_peer_id" => &mut no_peer_id,
                _ => continue,
            };
            slot.get_or_insert(value);
        }
        let twenty = |text: Option<&str>| <[u8; 20]>::try_from(&*unescape(text?)).ok();
        Ok(AnnounceQuery {
            info_hash: InfoHash(twenty(info_hash).ok_or(QueryError::InfoHash)?),
            peer_id: PeerId(twenty(peer_id).ok_or(QueryError::PeerId)?),
            port: port.and_then(|p| p.parse().ok()).filter(|p| *p != 0).ok_or(QueryError::Port)?,
            // Clients that do not know the size yet omit `left` or send -1 or 2^64 - 1.
            left: match left {
                None | Some("" | "-1") => u64::MAX,
                Some(text) => text.parse().map_err(|_| QueryError::Left)?,
            },
            event: match event {
                Some("started") => AnnounceEvent::Started,
                Some("completed") => AnnounceEvent::Completed,
                Some("stopped") => AnnounceEvent::Stopped,
                Some("paused") => AnnounceEvent::Paused,
                _ => AnnounceEvent::None,
            },
            num_want: num_want.and_then(|n| n.parse().ok()),
            compact: compact != Some("0"),
            no_peer_id: no_peer_id == Some("1"),
        })
    }
}

/// Returns the info-hashes in the query string of a scrape, at most [`SCRAPES`].
#[must_use]
pub fn parse_scrape(query: &str) -> Vec<InfoHash> {
    let hashes = pairs(query).filter(|(name, _)| *name == "info_hash");
    hashes.filter_map(|(_, value)| Some(InfoHash(unescape(value).as_ref().try_into().ok()?))).take(SCRAPES).collect()
}

fn pairs(query: &str) -> impl Iterator<Item = (&str, &str)> {
    query.split('&').filter_map(|pair| pair.split_once('='))
}

/// Response of the tracker to an announce.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ServerAnnounceResponse {
    /// Seconds until the next announce.
    pub interval_s: u32,
    /// Minimum number of seconds between two announces.
    pub min_interval_s: u32,
    pub seeds: u32,
    pub leechers: u32,
    /// Peers of both address families.
    pub peers: Vec<(SocketAddr, PeerId)>,
}

/// Encodes an HTTP announce response, with a compact peer list if the query asks for it.
#[must_use]
pub fn encode_announce_response(answer: &ServerAnnounceResponse, query: &AnnounceQuery) -> Vec<u8> {
    let mut entries = vec![
        ("complete", OwnedValue::from(i64::from(answer.seeds))),
        ("incomplete", OwnedValue::from(i64::from(answer.leechers))),
        ("interval", OwnedValue::from(i64::from(answer.interval_s))),
        ("min interval", OwnedValue::from(i64::from(answer.min_interval_s))),
    ];
    if query.compact {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for (addr, _) in &answer.peers {
            encode_compact(addr, if addr.is_ipv4() { &mut v4 } else { &mut v6 });
        }
        entries.push(("peers", v4.into()));
        if !v6.is_empty() {
            entries.push(("peers6", v6.into()));
        }
    } else {
        let peer = |(addr, id): &(SocketAddr, PeerId)| {
            let mut peer =
                vec![("ip", addr.ip().to_string().into()), ("port", OwnedValue::from(i64::from(addr.port())))];
            if !query.no_peer_id {
                peer.push(("peer id", id.0.to_vec().into()));
            }
            OwnedValue::dictionary(peer)
        };
        entries.push(("peers", answer.peers.iter().map(peer).collect::<Vec<_>>().into()));
    }
    OwnedValue::dictionary(entries).encode()
}

/// Encodes an error response.
#[must_use]
pub fn encode_failure(reason: &str) -> Vec<u8> {
    OwnedValue::dictionary([("failure reason", OwnedValue::from(reason))]).encode()
}

/// Encodes an HTTP scrape response for known torrents.
#[must_use]
pub fn encode_scrape(files: &[(InfoHash, ScrapeCounts)]) -> Vec<u8> {
    let file = |(hash, counts): &(InfoHash, ScrapeCounts)| {
        let counts = [
            ("complete", OwnedValue::from(i64::from(counts.seeds))),
            ("downloaded", OwnedValue::from(i64::from(counts.downloaded))),
            ("incomplete", OwnedValue::from(i64::from(counts.leechers))),
        ];
        (hash.0.to_vec(), OwnedValue::dictionary(counts))
    };
    OwnedValue::dictionary([("files", OwnedValue::dictionary(files.iter().map(file)))]).encode()
}
