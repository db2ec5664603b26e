//! HTTP as a tracker speaks it: queries of clients to values, replies to bytes (BEP 3, 7, 23, 48).

use std::net::SocketAddr;

use thiserror::Error;

use super::{AnnounceEvent, ScrapeCounts, put_compact, unescape};
use crate::wire::bencode::Item;
use crate::wire::message::{InfoHash, PeerId};

/// The most torrents in one scrape over HTTP.
pub const SCRAPES: usize = 64;

/// What a client asks with `/announce`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AnnounceQuery {
    /// The torrent.
    pub info_hash: InfoHash,
    /// Who asks.
    pub peer_id: PeerId,
    /// Where it listens; never 0.
    pub port: u16,
    /// Bytes that it lacks.
    pub left: u64,
    /// What happened.
    pub event: AnnounceEvent,
    /// How many addresses it wants, if it says so.
    pub num_want: Option<u32>,
    /// Whether it takes addresses as a string.
    pub compact: bool,
    /// Whether the long form of an address may do without the peer id.
    pub no_peer_id: bool,
}

/// What is wrong with a client's query, as it reads it in `failure reason`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum QueryError {
    /// No `info_hash`, or not 20 bytes.
    #[error("info_hash is missing or not 20 bytes long")]
    InfoHash,
    /// No `peer_id`, or not 20 bytes.
    #[error("peer_id is missing or not 20 bytes long")]
    PeerId,
    /// No `port`, or one that nobody can listen on.
    #[error("port is missing or not between 1 and 65535")]
    Port,
    /// `left` is not a number.
    #[error("left is not a number")]
    Left,
}

impl AnnounceQuery {
    /// Reads what stands behind the `?` of an announce. The first value of a name counts; unknown names are passed
    /// over, and so is `ip`, since a tracker that believed it would send its clients to a victim.
    ///
    /// # Errors
    /// When something that is needed is missing or wrong.
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
            // Clients that do not know the size yet send nothing, -1 or 2^64 - 1.
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

/// The torrents that a scrape asks for, at most [`SCRAPES`].
#[must_use]
pub fn parse_scrape(query: &str) -> Vec<InfoHash> {
    let hashes = pairs(query).filter(|(name, _)| *name == "info_hash");
    hashes.filter_map(|(_, value)| Some(InfoHash(unescape(value).as_ref().try_into().ok()?))).take(SCRAPES).collect()
}

fn pairs(query: &str) -> impl Iterator<Item = (&str, &str)> {
    query.split('&').filter_map(|pair| pair.split_once('='))
}

/// A tracker's answer before it is bytes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Answer {
    /// Seconds to the next announce.
    pub interval_s: u32,
    /// Seconds before which nobody may come back.
    pub min_interval_s: u32,
    /// Seeds.
    pub seeds: u32,
    /// Leechers.
    pub leechers: u32,
    /// Addresses of both families, and who is there.
    pub peers: Vec<(SocketAddr, PeerId)>,
}

/// The answer to an announce over HTTP, in the form that the query asks for.
#[must_use]
pub fn encode_answer(answer: &Answer, query: &AnnounceQuery) -> Vec<u8> {
    let mut entries = vec![
        ("complete", Item::from(i64::from(answer.seeds))),
        ("incomplete", Item::from(i64::from(answer.leechers))),
        ("interval", Item::from(i64::from(answer.interval_s))),
        ("min interval", Item::from(i64::from(answer.min_interval_s))),
    ];
    if query.compact {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for (addr, _) in &answer.peers {
            put_compact(addr, if addr.is_ipv4() { &mut v4 } else { &mut v6 });
        }
        entries.push(("peers", v4.into()));
        if !v6.is_empty() {
            entries.push(("peers6", v6.into()));
        }
    } else {
        let peer = |(addr, id): &(SocketAddr, PeerId)| {
            let mut peer = vec![("ip", addr.ip().to_string().into()), ("port", Item::from(i64::from(addr.port())))];
            if !query.no_peer_id {
                peer.push(("peer id", id.0.to_vec().into()));
            }
            Item::dictionary(peer)
        };
        entries.push(("peers", answer.peers.iter().map(peer).collect::<Vec<_>>().into()));
    }
    Item::dictionary(entries).encode()
}

/// A refusal.
#[must_use]
pub fn encode_failure(reason: &str) -> Vec<u8> {
    Item::dictionary([("failure reason", Item::from(reason))]).encode()
}

/// The answer to a scrape over HTTP: of the torrents that are known.
#[must_use]
pub fn encode_scrape(files: &[(InfoHash, ScrapeCounts)]) -> Vec<u8> {
    let file = |(hash, counts): &(InfoHash, ScrapeCounts)| {
        let counts = [
            ("complete", Item::from(i64::from(counts.seeds))),
            ("downloaded", Item::from(i64::from(counts.downloaded))),
            ("incomplete", Item::from(i64::from(counts.leechers))),
        ];
        (hash.0.to_vec(), Item::dictionary(counts))
    };
    Item::dictionary([("files", Item::dictionary(files.iter().map(file)))]).encode()
}
