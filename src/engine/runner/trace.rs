//! Log lines about what happens to a torrent. They carry the span of the torrent.

use tracing::{Level, debug, enabled, error_span};

use crate::api::TorrentId;
use crate::swarm::event::{Input, PeerInfo};
use crate::swarm::job::DiskDone;
use crate::wire::message::InfoHash;

/// Returns the span of a torrent: its number in this run and the start of its info-hash.
pub(super) fn torrent_span(id: TorrentId, info_hash: InfoHash) -> tracing::Span {
    let hash = info_hash.to_string();
    error_span!("torrent", id = id.0, hash = hash.get(..8).unwrap_or(&hash))
}

/// Returns the span of the two threads of a connection, inside the span of their torrent.
pub(super) fn peer_span(hello: &PeerInfo) -> tracing::Span {
    error_span!("peer", addr = %hello.addr)
}

/// Logs an input of the state machine at the debug level: connections, failed dials, announces, disk errors. Payload
/// and messages of peers are not logged.
pub(super) fn log_input(input: &Input) {
    if !enabled!(Level::DEBUG) {
        return;
    }
    match input {
        Input::PeerConnected { peer, hello } => debug!(
            peer = peer.0,
            addr = %hello.addr,
            outgoing = hello.outgoing,
            utp = hello.utp,
            encrypted = hello.encrypted.is_some(),
            "connected"
        ),
        Input::PeerDisconnected { peer, why } => debug!(peer = peer.0, "disconnected: {why}"),
        Input::DialFailed { addr, why } => debug!(%addr, "dial failed: {why}"),
        Input::PeersFound { source, addrs } => debug!(?source, "{} addresses found", addrs.len()),
        Input::AnnounceDone { tracker, result: Ok(answer) } => {
            debug!(tracker, "announced: {} addresses", answer.peers.len());
        }
        Input::AnnounceDone { tracker, result: Err(error) } => debug!(tracker, "announce failed: {}", error.why),
        Input::DhtLookupDone(Ok(found)) => debug!("DHT lookup: {} nodes, {} peers", found.nodes, found.peers),
        Input::DhtLookupDone(Err(_)) => debug!("DHT lookup: no node answers"),
        Input::TorrentFetchFailed { why, .. } => debug!("fetching the .torrent failed: {why}"),
        Input::WebFetchDone { peer, result: Err(why) } => debug!(peer = peer.0, "web seed: {why:?}"),
        Input::Disk(DiskDone::Corrupt { piece, .. }) => debug!("piece {} failed its hash check", piece.0),
        Input::Disk(
            DiskDone::Failed { fault, .. }
            | DiskDone::ResumeSaveFailed(fault)
            | DiskDone::Unplaced(fault)
            | DiskDone::Unfinished(fault)
            | DiskDone::Lost(fault)
            | DiskDone::ProbeDone(Err(fault)),
        ) => debug!("disk: {fault}"),
        Input::Stop => debug!("stopping"),
        _ => (),
    }
}
