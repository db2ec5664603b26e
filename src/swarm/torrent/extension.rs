//! The extension protocol (BEP 10): sends and handles extension handshakes, dispatches extended messages.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use bytes::Bytes;

use super::{DisconnectReason, Effect, PeerKey, Torrent};
use crate::limits;
use crate::swarm::peer::{ExtensionIds, Peer};
use crate::swarm::timeline::PeerEvent;
use crate::wire::address::is_local;
use crate::wire::extension::metadata::MetadataMessage;
use crate::wire::extension::{Handshake, ours};
use crate::wire::message::Message;

impl Torrent {
    /// Sends the extension handshake (BEP 10).
    ///
    /// Contains our message ids, the metadata size if known, and the address of the peer (`yourip`).
    pub(super) fn introduce_extensions(&mut self, key: PeerKey, upload_only: bool, out: &mut Vec<Effect>) {
        let size = Some(self.info_length()).filter(|length| *length > 0).and_then(|length| u32::try_from(length).ok());
        let handshake = Handshake {
            metadata_size: size,
            ut_pex: self.uses_pex().then_some(ours::UT_PEX),
            ut_holepunch: self.supports_holepunch().then_some(ours::UT_HOLEPUNCH),
            your_ip: self.peers.get(&key).map(Peer::ip),
            ..Handshake::ours(self.port(), upload_only)
        };
        out.push(Effect::Send { peer: key, message: Message::Extended { id: 0, payload: handshake.encode().into() } });
    }

    /// Records our external address as reported by a tracker or peer, so that it is not dialed.
    pub(super) fn seen_at(&mut self, ip: IpAddr) {
        if !is_local(ip) {
            self.peer_list.set_own_address(SocketAddr::new(ip, self.port()));
        }
    }

    /// Returns the port on which peers reach us: that of a port mapping, or else the listening port.
    pub(super) fn port(&self) -> u16 {
        self.config.quota.outside.unwrap_or(self.config.port)
    }

    /// Handles an extended message. Id 0 is the handshake; the other ids are those assigned in our handshake.
    pub(super) fn extended(&mut self, now: Instant, key: PeerKey, id: u8, payload: &Bytes, out: &mut Vec<Effect>) {
        match id {
            0 => self.extended_handshake(now, key, payload, out),
            ours::UT_METADATA => self.metadata_message(now, key, payload, out),
            ours::UT_PEX if self.uses_pex() => self.on_pex(now, key, payload, out),
            ours::UT_HOLEPUNCH if self.supports_holepunch() => self.introduction(now, key, payload, out),
            ours::LT_DONTHAVE => self.on_dont_have(now, key, payload, out),
            _ => {}
        }
    }

    fn extended_handshake(&mut self, now: Instant, key: PeerKey, payload: &[u8], out: &mut Vec<Effect>) {
        let handshake = match Handshake::decode(payload) {
            Ok(handshake) => handshake,
            Err(why) => {
                let why = DisconnectReason::ProtocolViolation(format!("invalid extended handshake: {why}"));
                self.disconnect(now, key, why, out);
                return;
            }
        };
        let Some(peer) = self.peers.get_mut(&key) else { return };
        if let Some(client) = handshake.client.filter(|name| !name.is_empty()) {
            peer.client = client;
            peer.history.add(now, PeerEvent::Named);
        }
        if let Some(reqq) = handshake.reqq {
            peer.reqq = (reqq as usize).clamp(1, limits::REQUESTS_OUT);
        }
        // Handshakes are incremental (BEP 10): an id that is not listed is unchanged, and 0 disables the extension.
        peer.upload_only = handshake.upload_only.unwrap_or(peer.upload_only);
        let id = |said: Option<u8>, before| said.map_or(before, |id| Some(id).filter(|id| *id > 0));
        let ExtensionIds { metadata, pex, dont_have, holepunch } = peer.extension_ids;
        peer.extension_ids = ExtensionIds {
            metadata: id(handshake.ut_metadata, metadata),
            pex: id(handshake.ut_pex, pex),
            dont_have: id(handshake.lt_donthave, dont_have),
            holepunch: id(handshake.ut_holepunch, holepunch),
        };
        peer.pex.set_message_id(peer.extension_ids.pex);
        peer.metadata_size = handshake.metadata_size.or(peer.metadata_size);
        let (host, outgoing, encrypted) = (peer.ip(), peer.hello.outgoing, peer.hello.encrypted.is_some());
        if let Some(port) = handshake.port {
            // Replaces the port only: a link-local IPv6 address keeps its scope id.
            let mut addr = peer.hello.addr;
            addr.set_port(port);
            if peer.listens.replace(addr) != Some(addr) && !outgoing {
                self.peer_list.mark_connected(addr);
                // An incoming encrypted connection proves that the peer supports MSE; a plain one proves nothing.
                if encrypted {
                    self.peer_list.set_encryption_hint(addr, true);
                }
                self.swarm_changed(now);
            }
        }
        if let Some(ours) = handshake.your_ip {
            self.external.add_vote(host, ours);
            // An incoming peer may have forged its reports; an outgoing one was at least dialed at its own address.
            if outgoing {
                self.seen_at(ours);
            }
        }
        self.schedule_pex(now);
        self.refill_queue.insert(key);
        self.offers_metadata(now, key, out);
        self.disconnect_if_useless(now, key, out);
    }

    fn metadata_message(&mut self, now: Instant, key: PeerKey, payload: &Bytes, out: &mut Vec<Effect>) {
        match MetadataMessage::decode(payload) {
            Ok(MetadataMessage::Request(piece)) => self.on_metadata_request(now, key, piece, out),
            Ok(MetadataMessage::Data { piece, total, data }) => {
                self.on_metadata_data(now, key, piece, total, &data, out);
            }
            Ok(MetadataMessage::Reject(piece)) => self.on_metadata_reject(now, key, piece),
            Ok(MetadataMessage::Unknown) => {}
            Err(why) => self.disconnect(now, key, DisconnectReason::ProtocolViolation(why.to_string()), out),
        }
    }
}
