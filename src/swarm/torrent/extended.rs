//! The extension protocol (BEP 10): both handshakes, and who gets which message.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use bytes::Bytes;

use super::{Effect, Gone, PeerKey, Torrent};
use crate::limits;
use crate::swarm::address::is_local;
use crate::swarm::history::Happened;
use crate::swarm::peer::{Peer, Takes};
use crate::wire::extension::metadata::MetadataMessage;
use crate::wire::extension::{Handshake, ours};
use crate::wire::message::Message;

impl Torrent {
    /// Says what we take, how long the metadata are where they are here, and where we see the peer.
    pub(super) fn introduce_extensions(&mut self, key: PeerKey, upload_only: bool, out: &mut Vec<Effect>) {
        let size = self.config.info.as_ref().and_then(|info| u32::try_from(info.len()).ok());
        let handshake = Handshake {
            metadata_size: size,
            ut_pex: self.exchanges().then_some(ours::UT_PEX),
            ut_holepunch: self.introduces().then_some(ours::UT_HOLEPUNCH),
            your_ip: self.peers.get(&key).map(Peer::ip),
            ..Handshake::ours(self.port(), upload_only)
        };
        out.push(Effect::Send { peer: key, message: Message::Extended { id: 0, payload: handshake.encode().into() } });
    }

    /// Somebody tells the address that it sees us at.
    pub(super) fn seen_at(&mut self, ip: IpAddr) {
        if !is_local(ip) {
            self.candidates.we_are(SocketAddr::new(ip, self.port()));
        }
    }

    /// The port that others reach us on.
    pub(super) fn port(&self) -> u16 {
        self.config.quota.outside.unwrap_or(self.config.port)
    }

    /// An extended message: 0 is the handshake, the others are what ours named.
    pub(super) fn extended(&mut self, now: Instant, key: PeerKey, id: u8, payload: &Bytes, out: &mut Vec<Effect>) {
        match id {
            0 => self.extended_handshake(now, key, payload, out),
            ours::UT_METADATA => self.metadata_message(now, key, payload, out),
            ours::UT_PEX if self.exchanges() => self.heard_of(now, key, payload, out),
            ours::UT_HOLEPUNCH if self.introduces() => self.introduction(now, key, payload, out),
            ours::LT_DONTHAVE => self.has_no_more(now, key, payload, out),
            _ => {}
        }
    }

    fn extended_handshake(&mut self, now: Instant, key: PeerKey, payload: &[u8], out: &mut Vec<Effect>) {
        let handshake = match Handshake::decode(payload) {
            Ok(handshake) => handshake,
            Err(why) => {
                let why = Gone::Misbehaved(format!("its extended handshake is broken: {why}"));
                self.expel(now, key, why, out);
                return;
            }
        };
        let Some(peer) = self.peers.get_mut(&key) else { return };
        if let Some(client) = handshake.client.filter(|name| !name.is_empty()) {
            peer.client = client;
            peer.history.add(now, Happened::Named);
        }
        if let Some(reqq) = handshake.reqq {
            peer.reqq = (reqq as usize).clamp(1, limits::REQUESTS_OUT);
        }
        // What a later handshake does not name stays as it was; an id of 0 switches it off.
        peer.upload_only = handshake.upload_only.unwrap_or(peer.upload_only);
        let id = |said: Option<u8>, before| said.map_or(before, |id| Some(id).filter(|id| *id > 0));
        let Takes { metadata, pex, dont_have, holepunch } = peer.takes;
        peer.takes = Takes {
            metadata: id(handshake.ut_metadata, metadata),
            pex: id(handshake.ut_pex, pex),
            dont_have: id(handshake.lt_donthave, dont_have),
            holepunch: id(handshake.ut_holepunch, holepunch),
        };
        peer.exchange.agree(peer.takes.pex);
        peer.metadata_size = handshake.metadata_size.or(peer.metadata_size);
        let (host, outgoing, encrypted) = (peer.ip(), peer.hello.outgoing, peer.hello.encrypted.is_some());
        if let Some(port) = handshake.port {
            // An address of one link keeps its link.
            let mut addr = peer.hello.addr;
            addr.set_port(port);
            if peer.listens.replace(addr) != Some(addr) && !outgoing {
                self.candidates.hold(addr);
                // Who calls encrypted can be called encrypted; who calls plainly may do so without need.
                if encrypted {
                    self.candidates.speaks(addr, true);
                }
                self.swarm_changed(now);
            }
        }
        if let Some(ours) = handshake.your_ip {
            self.external.says(host, ours);
            // Who called us may have made up its address; whom we called is where we called it.
            if outgoing {
                self.seen_at(ours);
            }
        }
        self.gossip_soon(now);
        self.hungry.insert(key);
        self.offers_metadata(now, key, out);
        self.look_if_useless(now, key, out);
    }

    fn metadata_message(&mut self, now: Instant, key: PeerKey, payload: &Bytes, out: &mut Vec<Effect>) {
        match MetadataMessage::decode(payload) {
            Ok(MetadataMessage::Request(piece)) => self.metadata_asked(now, key, piece, out),
            Ok(MetadataMessage::Data { piece, total, data }) => self.metadata_came(now, key, piece, total, &data, out),
            Ok(MetadataMessage::Reject(piece)) => self.metadata_refused(now, key, piece),
            Ok(MetadataMessage::Unknown) => {}
            Err(why) => self.expel(now, key, Gone::Misbehaved(why.to_string()), out),
        }
    }
}
