//! Peer exchange (PEX, BEP 11), lt_donthave (BEP 54) and upload-only announcements (BEP 21).

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Instant;

use bytes::Bytes;

use super::{DisconnectReason, Effect, PeerKey, Torrent};
use crate::format::counted;
use crate::swarm::peer::Peer;
use crate::swarm::pex::PexVerdict;
use crate::swarm::status::{PexReceived, Source, SourceRow, SourceStatus};
use crate::wire::address::is_local;
use crate::wire::extension::pex::{Pex, PexFlags};
use crate::wire::message::{Message, PieceIndex};

impl Torrent {
    /// Returns whether PEX is used; never for a private torrent (BEP 27).
    pub(super) const fn uses_pex(&self) -> bool {
        self.config.pex && !self.config.private
    }

    /// Announces to all peers whether we are upload-only (BEP 21).
    ///
    /// Repeats the full extension handshake, since some clients treat extensions missing from a later one as disabled.
    pub(super) fn send_upload_only(&mut self, out: &mut Vec<Effect>) {
        if self.super_seeds() {
            return;
        }
        let knows = self.peers.iter().filter(|(_, p)| p.hello.reserved.extended());
        for key in knows.map(|(key, _)| *key).collect::<Vec<_>>() {
            self.introduce_extensions(key, self.complete, out);
        }
    }

    /// Marks the set of advertised peers as changed.
    pub(super) fn swarm_changed(&mut self, now: Instant) {
        self.pex.version += 1;
        self.pex.next = self.uses_pex().then_some(now);
    }

    /// Schedules a check for due PEX messages now.
    pub(super) fn schedule_pex(&mut self, now: Instant) {
        self.pex.next = self.uses_pex().then_some(now);
    }

    /// Stops sending PEX messages.
    pub(super) const fn stop_pex(&mut self) {
        self.pex.next = None;
    }

    /// Returns when the next PEX message may be due.
    pub(super) const fn pex_deadline(&self) -> Option<Instant> {
        self.pex.next
    }

    /// Sends PEX messages with the added and dropped peers to each peer whose interval has passed.
    pub(super) fn send_pex(&mut self, now: Instant, out: &mut Vec<Effect>) {
        if self.pex.next.is_none_or(|at| now < at) {
            return;
        }
        let version = self.pex.version;
        let mut swarm = None;
        let due = |p: &Peer| p.pex.due(now, version).is_some_and(|at| at <= now);
        let turn: Vec<PeerKey> = self.peers.iter().filter(|(_, p)| due(p)).map(|(key, _)| *key).collect();
        for key in turn {
            let swarm = swarm.get_or_insert_with(|| self.advertised_peers());
            let Some(peer) = self.peers.get_mut(&key) else { continue };
            let to = [peer.hello.addr, peer.listens.unwrap_or(peer.hello.addr)];
            if let Some((id, message)) = peer.pex.next_message(now, version, swarm, to) {
                let message = Message::Extended { id, payload: Bytes::from(message.encode()) };
                out.push(Effect::Send { peer: key, message });
            }
        }
        self.pex.next = self.peers.values().filter_map(|p| p.pex.due(now, version)).min();
    }

    /// Returns the peers with a known listening address, with their PEX flags.
    fn advertised_peers(&self) -> BTreeMap<SocketAddr, PexFlags> {
        let row = |p: &Peer| {
            let addr = if p.hello.outgoing { Some(p.hello.addr) } else { p.listens };
            let flags = PexFlags::default().with(PexFlags::SEED, p.is_seed() || p.upload_only);
            let flags = flags.with(PexFlags::ENCRYPTED, p.hello.encrypted.is_some()).with(PexFlags::UTP, p.hello.utp);
            Some((addr?, flags.with(PexFlags::REACHABLE, p.hello.outgoing)))
        };
        self.peers.values().filter_map(row).collect()
    }

    /// Handles a PEX message: adds the new addresses to the peer list.
    pub(super) fn on_pex(&mut self, now: Instant, key: PeerKey, payload: &[u8], out: &mut Vec<Effect>) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        let most = match peer.pex.on_message(now) {
            PexVerdict::Accept(most) => most,
            PexVerdict::Early => return,
            PexVerdict::Flood => {
                let why = DisconnectReason::ProtocolViolation("peer sends PEX messages too often".into());
                return self.disconnect(now, key, why, out);
            }
        };
        let near = is_local(peer.hello.addr.ip());
        let told = match Pex::decode(payload, most) {
            Ok(told) => told,
            // Keep the peer: a malformed PEX message says nothing about the quality of its pieces.
            Err(why) => return self.write_log(now, format!("PEX message ignored: {why}")),
        };
        peer.pex.names(told.added.iter().map(|(addr, _)| *addr));
        let addr = peer.hello.addr;
        let mut fresh = 0;
        let here: BTreeSet<SocketAddr> =
            self.peers.values().flat_map(|p| [Some(p.hello.addr), p.listens]).flatten().collect();
        for (other, flags) in told.added.iter().filter(|(other, _)| near || !is_local(other.ip())) {
            if self.is_us(*other) || here.contains(other) || self.peer_list.source(*other).is_some() {
                continue;
            }
            self.peer_list.add(now, *other, Source::Pex);
            fresh += 1;
            if self.complete && flags.contains(PexFlags::SEED) {
                self.peer_list.useless(now, *other);
            }
        }
        self.pex.last = Some((now, told.added.len()));
        if fresh > 0 {
            self.write_log(
                now,
                format!("{addr} told of {}, {fresh} of them new", counted(told.added.len() as u64, "peer")),
            );
        }
    }

    /// Returns whether this is our own external address, as far as known.
    pub(super) fn is_us(&self, addr: SocketAddr) -> bool {
        addr.port() == self.port() && self.external.of(addr.is_ipv6()) == Some(addr.ip())
    }

    /// Handles `lt_donthave`: the peer lost a piece (BEP 54).
    pub(super) fn on_dont_have(&mut self, now: Instant, key: PeerKey, payload: &[u8], out: &mut Vec<Effect>) {
        let Ok(index) = <[u8; 4]>::try_from(payload) else { return };
        let piece = PieceIndex(u32::from_be_bytes(index));
        let Some(peer) = self.peers.get_mut(&key) else { return };
        if piece.0 >= peer.has.len() || !peer.has.remove(piece) {
            return;
        }
        self.picker.remove_copy(piece);
        if self.picker.wants(piece) {
            peer.wanted -= 1;
        }
        // Requests in flight for the piece time out or are rejected.
        self.update_interest(now, key, out);
    }

    /// Sends `lt_donthave` to all peers that support BEP 54.
    pub(super) fn send_dont_have(&self, piece: PieceIndex, out: &mut Vec<Effect>) {
        let payload = Bytes::copy_from_slice(&piece.0.to_be_bytes());
        for (key, id) in self.peers.iter().filter_map(|(key, p)| Some((*key, p.extension_ids.dont_have?))) {
            out.push(Effect::Send { peer: key, message: Message::Extended { id, payload: payload.clone() } });
        }
    }

    /// Fills the PEX row of the peer sources, and adds the row if PEX has found no peer yet.
    pub(super) fn show_pex(&self, now: Instant, rows: &mut Vec<SourceRow>) {
        if !self.uses_pex() {
            return;
        }
        let agreed = self.peers.values().filter(|p| p.pex.agreed()).count();
        let told = self.peers.values().filter(|p| p.pex.has_told()).count();
        let row = SourceRow::among(rows, Source::Pex);
        row.last = self.pex.last.map(|(at, _)| now.saturating_duration_since(at));
        row.status = match agreed {
            0 => SourceStatus::PexNoPeers,
            peers => {
                let received = self.pex.last.map(|(_, last)| PexReceived { senders: told, last });
                SourceStatus::Pex { peers, received }
            }
        };
    }
}
