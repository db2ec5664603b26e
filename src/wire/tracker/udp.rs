//! UDP tracker protocol (BEP 15) with URL data (BEP 41), client and tracker side.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::BufMut;

use super::{
    Announce, AnnounceEvent, AnnounceIdentity, AnnounceResponse, ScrapeCounts, decode_compact, encode_compact,
};
use crate::limits;
use crate::wire::message::{InfoHash, PeerId};
use crate::wire::sanitize;

/// Protocol id at the start of each connect request.
pub const PROTOCOL_ID: u64 = 0x0417_2710_1980;
/// Time for which a client may use a connection id.
pub const CONNECTION_ID_LIFETIME: Duration = Duration::from_secs(60);
/// Maximum number of torrents in a scrape.
pub const SCRAPES: usize = 74;
/// Maximum size of a received packet in bytes.
pub const PACKET: usize = 2048;
/// Size of an announce request without options, in bytes.
const ANNOUNCE: usize = 98;

mod action {
    pub(super) const CONNECT: u32 = 0;
    pub(super) const ANNOUNCE: u32 = 1;
    pub(super) const SCRAPE: u32 = 2;
    pub(super) const ERROR: u32 = 3;
}

/// A packet from a client to a tracker.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Request {
    /// Requests a connection id.
    Connect {
        /// Transaction id, repeated in the response.
        transaction: u32,
    },
    Announce {
        /// Connection id from the connect response.
        connection: u64,
        /// Transaction id, repeated in the response.
        transaction: u32,
        announce: UdpAnnounce,
    },
    Scrape {
        /// Connection id from the connect response.
        connection: u64,
        /// Transaction id, repeated in the response.
        transaction: u32,
        /// At most [`SCRAPES`].
        info_hashes: Vec<InfoHash>,
    },
}

/// Parameters of a UDP announce.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UdpAnnounce {
    pub info_hash: InfoHash,
    pub peer_id: PeerId,
    /// Payload bytes received.
    pub downloaded: u64,
    /// Bytes left to download.
    pub left: u64,
    /// Payload bytes sent.
    pub uploaded: u64,
    pub event: AnnounceEvent,
    /// Value by which a tracker recognizes the client after its address has changed.
    pub key: u32,
    /// Requested number of peers; `None` leaves it to the tracker.
    pub num_want: Option<u32>,
    /// TCP listen port of the client. Not validated: the tracker must refuse 0.
    pub port: u16,
    /// Path and query of the tracker URL (BEP 41); empty if there is none.
    pub url_data: Vec<u8>,
}

impl UdpAnnounce {
    /// Combines the parameters of an announce.
    #[must_use]
    pub fn new(ask: &Announce, asker: &AnnounceIdentity, url_data: &str) -> Self {
        UdpAnnounce {
            info_hash: asker.info_hash,
            peer_id: asker.peer_id,
            downloaded: ask.downloaded,
            left: ask.left,
            uploaded: ask.uploaded,
            event: ask.event,
            key: asker.key,
            num_want: Some(ask.num_want),
            port: asker.port,
            url_data: url_data.as_bytes().to_vec(),
        }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.put_slice(&self.info_hash.0);
        out.put_slice(&self.peer_id.0);
        out.put_u64(self.downloaded);
        out.put_u64(self.left);
        out.put_u64(self.uploaded);
        out.put_u32(match self.event {
            // BEP 15 has no event for partial seeds (BEP 21).
            AnnounceEvent::None | AnnounceEvent::Paused => 0,
            AnnounceEvent::Completed => 1,
            AnnounceEvent::Started => 2,
            AnnounceEvent::Stopped => 3,
        });
        // IP address 0: the tracker uses the source address of the packet.
        out.put_u32(0);
        out.put_u32(self.key);
        out.put_u32(self.num_want.map_or(u32::MAX, |n| n.min(i32::MAX as u32)));
        out.put_u16(self.port);
        for part in self.url_data.chunks(255) {
            out.put_u8(2);
            out.put_u8(part.len() as u8);
            out.put_slice(part);
        }
    }

    fn decode(packet: &[u8]) -> Option<Self> {
        let fixed = packet.get(..ANNOUNCE)?;
        Some(UdpAnnounce {
            info_hash: InfoHash(array(fixed, 16)?),
            peer_id: PeerId(array(fixed, 36)?),
            downloaded: u64::from_be_bytes(array(fixed, 56)?),
            left: u64::from_be_bytes(array(fixed, 64)?),
            uploaded: u64::from_be_bytes(array(fixed, 72)?),
            event: match u32::from_be_bytes(array(fixed, 80)?) {
                1 => AnnounceEvent::Completed,
                2 => AnnounceEvent::Started,
                3 => AnnounceEvent::Stopped,
                _ => AnnounceEvent::None,
            },
            key: u32::from_be_bytes(array(fixed, 88)?),
            num_want: Some(u32::from_be_bytes(array(fixed, 92)?)).filter(|n| i32::try_from(*n).is_ok()),
            port: u16::from_be_bytes(array(fixed, 96)?),
            url_data: url_data(&packet[ANNOUNCE..]),
        })
    }
}

/// Returns the URL data in the options after an announce request (BEP 41).
fn url_data(mut options: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    loop {
        match options {
            [1, rest @ ..] => options = rest,
            [2, length, rest @ ..] if rest.len() >= usize::from(*length) => {
                let (part, rest) = rest.split_at(usize::from(*length));
                out.extend_from_slice(part);
                options = rest;
            }
            _ => return out,
        }
    }
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

impl Request {
    /// Encodes the packet.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(ANNOUNCE);
        let mut head = |connection: u64, action: u32, transaction: u32| {
            out.put_u64(connection);
            out.put_u32(action);
            out.put_u32(transaction);
        };
        match self {
            Request::Connect { transaction } => head(PROTOCOL_ID, action::CONNECT, *transaction),
            Request::Announce { connection, transaction, announce } => {
                head(*connection, action::ANNOUNCE, *transaction);
                announce.encode(&mut out);
            }
            Request::Scrape { connection, transaction, info_hashes } => {
                head(*connection, action::SCRAPE, *transaction);
                info_hashes.iter().take(SCRAPES).for_each(|hash| out.put_slice(&hash.0));
            }
        }
        out
    }

    /// Decodes a packet from a client; `None` if it is invalid.
    ///
    /// The tracker must not answer an invalid packet, because its source address may be forged.
    #[must_use]
    pub fn decode(packet: &[u8]) -> Option<Self> {
        let connection = u64::from_be_bytes(array(packet, 0)?);
        let transaction = u32::from_be_bytes(array(packet, 12)?);
        match u32::from_be_bytes(array(packet, 8)?) {
            action::CONNECT if connection == PROTOCOL_ID => Some(Request::Connect { transaction }),
            action::ANNOUNCE => {
                Some(Request::Announce { connection, transaction, announce: UdpAnnounce::decode(packet)? })
            }
            action::SCRAPE => {
                let hashes = packet[16..].as_chunks::<20>().0.iter().take(SCRAPES);
                let info_hashes: Vec<_> = hashes.map(|hash| InfoHash(*hash)).collect();
                (!info_hashes.is_empty()).then_some(Request::Scrape { connection, transaction, info_hashes })
            }
            _ => None,
        }
    }
}

/// A packet from a tracker to a client.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reply {
    Connect {
        transaction: u32,
        /// Connection id for announce and scrape requests.
        connection: u64,
    },
    Announce {
        transaction: u32,
        /// Only the interval, the counts and the peers are transmitted.
        reply: AnnounceResponse,
    },
    Scrape {
        transaction: u32,
        /// In the order of the request.
        counts: Vec<ScrapeCounts>,
    },
    Error {
        transaction: u32,
        /// Error message, sanitized and truncated when decoded.
        message: String,
    },
}

impl Reply {
    /// Returns the transaction id, which identifies the request.
    #[must_use]
    pub const fn transaction(&self) -> u32 {
        match self {
            Reply::Connect { transaction, .. }
            | Reply::Announce { transaction, .. }
            | Reply::Scrape { transaction, .. }
            | Reply::Error { transaction, .. } => *transaction,
        }
    }

    /// Decodes a packet from a tracker; `None` if it is invalid.
    ///
    /// `v6` is whether it was received over IPv6, which determines the address format.
    #[must_use]
    pub fn decode(packet: &[u8], v6: bool) -> Option<Self> {
        let transaction = u32::from_be_bytes(array(packet, 4)?);
        match u32::from_be_bytes(array(packet, 0)?) {
            action::CONNECT => Some(Reply::Connect { transaction, connection: u64::from_be_bytes(array(packet, 8)?) }),
            action::ANNOUNCE => {
                // Trackers written with signed integers may send negative numbers; these are ignored.
                let word = |at| Some(u32::from_be_bytes(array(packet, at)?));
                let count = |n: u32| Some(n).filter(|n| i32::try_from(*n).is_ok());
                let (interval, leechers, seeds) = (count(word(8)?), count(word(12)?), count(word(16)?));
                let interval = interval.map(|s| Duration::from_secs(s.into()));
                let mut reply = AnnounceResponse { interval, leechers, seeds, ..AnnounceResponse::default() };
                decode_compact(&packet[20..], v6, &mut reply.peers);
                Some(Reply::Announce { transaction, reply })
            }
            action::SCRAPE => {
                let counts = |chunk: &[u8; 12]| {
                    let word = |at| u32::from_be_bytes([chunk[at], chunk[at + 1], chunk[at + 2], chunk[at + 3]]);
                    ScrapeCounts { seeds: word(0), downloaded: word(4), leechers: word(8) }
                };
                let counts = packet[8..].as_chunks::<12>().0.iter().take(SCRAPES).map(counts).collect();
                Some(Reply::Scrape { transaction, counts })
            }
            action::ERROR => {
                let message = sanitize::sanitize_bytes(&packet[8..], limits::TRACKER_TEXT);
                Some(Reply::Error { transaction, message })
            }
            _ => None,
        }
    }

    /// Encodes the packet. Only peers of the address family selected by `v6` are included.
    #[must_use]
    pub fn encode(&self, v6: bool) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        let mut head = |action: u32, transaction: u32| {
            out.put_u32(action);
            out.put_u32(transaction);
        };
        match self {
            Reply::Connect { transaction, connection } => {
                head(action::CONNECT, *transaction);
                out.put_u64(*connection);
            }
            Reply::Announce { transaction, reply } => {
                head(action::ANNOUNCE, *transaction);
                let seconds = reply.interval.map_or(0, |i| i.as_secs());
                out.put_u32(u32::try_from(seconds).unwrap_or(u32::MAX));
                out.put_u32(reply.leechers.unwrap_or(0));
                out.put_u32(reply.seeds.unwrap_or(0));
                let same = |addr: &&SocketAddr| addr.is_ipv6() == v6;
                reply.peers.iter().filter(same).for_each(|addr| encode_compact(addr, &mut out));
            }
            Reply::Scrape { transaction, counts } => {
                head(action::SCRAPE, *transaction);
                for counts in counts.iter().take(SCRAPES) {
                    out.put_u32(counts.seeds);
                    out.put_u32(counts.downloaded);
                    out.put_u32(counts.leechers);
                }
            }
            Reply::Error { transaction, message } => {
                head(action::ERROR, *transaction);
                out.put_slice(message.as_bytes());
            }
        }
        out
    }
}
