//! Builds the detail part of the view: inspected peer and piece, disconnected peers, peer sources.

use std::collections::BTreeMap;
use std::time::Instant;

use super::{CryptoMethod, Torrent};
use crate::swarm::peer::Peer;
use crate::swarm::view::{
    Capability, DisconnectedPeer, Encryption, PeerDetail, PeerTransport, PieceDetail, RequestedBlocks, Source,
    SourceRow,
};
use crate::wire::message::PieceIndex;
use crate::wire::sanitize::sanitize_bytes;

/// Maximum number of peers listed for a piece.
const HOLDERS: usize = 8;
/// Maximum number of files listed for a piece.
const FILES: usize = 50;

impl Torrent {
    /// Returns the disconnected peers, newest last.
    pub(super) fn departures(&self, now: Instant) -> Vec<DisconnectedPeer> {
        let row = |(at, left): &(Instant, DisconnectedPeer)| DisconnectedPeer {
            ago: now.saturating_duration_since(*at),
            ..left.clone()
        };
        self.disconnected.iter().map(row).collect()
    }

    /// Returns one row per peer source: known and connected peers, last and next query, status.
    pub(super) fn sources(&self, now: Instant) -> Vec<SourceRow> {
        let mut connected: BTreeMap<Source, u32> = BTreeMap::new();
        for peer in self.peers.values() {
            *connected.entry(peer.source).or_default() += 1;
        }
        let mut rows = self.peer_list.sources(&connected);
        rows.retain(|row| row.source != Source::Web);
        self.show_local(now, &mut rows);
        self.show_pex(now, &mut rows);
        self.show_dht(now, &mut rows);
        rows.extend(self.web_seeds.row(now));
        rows
    }

    /// Returns the details of the inspected peer, if it is still connected.
    pub(super) fn peer_detail(&self, now: Instant) -> Option<PeerDetail> {
        let key = self.inspected.0?;
        let peer = self.peers.get(&key)?;
        Some(PeerDetail {
            key: key.0,
            peer_id: peer_id(peer),
            transport: transport(peer),
            capabilities: capabilities(peer),
            reqq: peer.reqq as u32,
            pipeline: peer.pipeline_depth(now) as u32,
            pieces: peer.has.count(),
            wanted: peer.wanted,
            failed: peer.failed,
            choked_us: peer.chokes.0.of(now),
            choked_it: peer.chokes.1.of(now),
            timeline: peer.history.entries(),
        })
    }

    /// Returns the details of the inspected piece.
    pub(super) fn piece_detail(&self, now: Instant) -> Option<PieceDetail> {
        let piece = self.inspected.1.filter(|piece| piece.0 < self.config.geometry.pieces())?;
        let have = self.picker.have().has(piece);
        let (here, since) = self.picker.progress(piece).unwrap_or_default();
        let blocks = self.picker.map().data_blocks(piece);
        let mut holders: Vec<&Peer> = self.peers.values().filter(|p| p.has.has(piece)).collect();
        let count = holders.len() as u32;
        holders.retain(|p| p.web.is_none());
        holders.sort_by_key(|p| (std::cmp::Reverse(p.down.rate(now)), p.peer_choking, p.hello.addr));
        holders.truncate(HOLDERS);
        let asked = |p: &Peer| p.inflight.iter().filter(|asked| asked.piece == piece).count() as u32;
        let (web, peers): (Vec<&Peer>, Vec<&Peer>) =
            self.peers.values().filter(|p| asked(p) > 0).partition(|p| p.web.is_some());
        Some(PieceDetail {
            index: piece.0,
            size: u64::from(self.config.geometry.piece_size(piece)),
            have,
            blocks,
            received: if have { blocks } else { here },
            files: self.files_of(piece),
            peers_with_piece: count,
            fastest_holders: holders.iter().map(|p| p.hello.addr).collect(),
            asked: peers.iter().map(|p| RequestedBlocks { peer: p.hello.addr, blocks: asked(p) }).collect(),
            asked_web: web.iter().map(|p| RequestedBlocks { peer: p.name(), blocks: asked(p) }).collect(),
            age: since.map(|at| now.saturating_duration_since(at)),
            fails: self.fails.get(&piece).copied().unwrap_or(0),
        })
    }

    /// Returns the paths of the first [`FILES`] files that overlap a piece.
    pub(super) fn files_of(&self, piece: PieceIndex) -> Vec<String> {
        let geometry = &self.config.geometry;
        let from = geometry.offset(piece, 0);
        let to = from + u64::from(geometry.piece_size(piece));
        // Files are sorted by their offset.
        let first = self.config.files.partition_point(|span| span.offset + span.length <= from);
        let inside = self.config.files[first..].iter().take_while(|span| span.offset < to);
        inside.filter(|span| !span.pad && span.length > 0).take(FILES).map(|span| span.path.clone()).collect()
    }
}

/// Returns the peer id, sanitized for display; `-` for a web seed.
fn peer_id(peer: &Peer) -> String {
    let id = peer.hello.peer_id.0;
    if peer.web.is_some() { "-".to_owned() } else { sanitize_bytes(&id, 4 * id.len()) }
}

const fn transport(peer: &Peer) -> PeerTransport {
    let encryption = match peer.hello.encrypted {
        Some(CryptoMethod::Rc4) => Encryption::Rc4,
        Some(CryptoMethod::Plaintext) => Encryption::Handshake,
        None => Encryption::Plain,
    };
    match peer.hello.utp {
        _ if peer.web.is_some() => PeerTransport::Http,
        false => PeerTransport::Tcp(encryption),
        true => PeerTransport::Utp(encryption),
    }
}

fn capabilities(peer: &Peer) -> Vec<Capability> {
    let reserved = peer.hello.reserved;
    let all = [
        (peer.web.is_some(), Capability::HttpRanges),
        (reserved.fast(), Capability::Fast),
        (reserved.extended(), Capability::Extended),
        (reserved.dht(), Capability::Dht),
        (peer.extension_ids.pex.is_some(), Capability::Pex),
        (peer.extension_ids.metadata.is_some(), Capability::Metadata),
        (peer.upload_only, Capability::UploadOnly),
    ];
    let listens = peer.listens.map(|addr| Capability::ListensOn(addr.port()));
    all.iter().filter(|(can, _)| *can).map(|(_, capability)| *capability).chain(listens).collect()
}
