//! What peers tell of the swarm and of themselves beside pieces: peer exchange (BEP 11), what they lost (BEP 54), where
//! they see us.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Instant;

use bytes::Bytes;

use super::{Effect, Gone, PeerKey, Torrent};
use crate::swarm::address::is_local;
use crate::swarm::exchange::Verdict;
use crate::swarm::peer::Peer;
use crate::swarm::view::{Source, SourceRow};
use crate::wire::extension::pex::{Flags, Pex};
use crate::wire::message::{Message, PieceIndex};
use crate::wire::text::counted;

/// What the torrent knows of its exchanges as a whole.
#[derive(Debug, Default)]
pub(super) struct Gossip {
    /// Changes whenever others could call somebody else than before.
    version: u64,
    /// When there may be something to tell.
    next: Option<Instant>,
    /// When a message came last that was heeded, and how many addresses were in it.
    last: Option<(Instant, usize)>,
}

impl Torrent {
    /// Whether peers may be exchanged at all (BEP 27: not in a private torrent).
    pub(super) const fn exchanges(&self) -> bool {
        self.config.pex && !self.config.private
    }

    /// Tells everybody that we want nothing, or something again (BEP 21): by the whole handshake, since there are programs
    /// that take what it does not name as switched off.
    pub(super) fn tell_whether_we_want(&mut self, out: &mut Vec<Effect>) {
        if self.super_seeds() {
            return;
        }
        let knows = self.peers.iter().filter(|(_, p)| p.hello.reserved.extended());
        for key in knows.map(|(key, _)| *key).collect::<Vec<_>>() {
            self.introduce_extensions(key, self.complete, out);
        }
    }

    /// Others could call somebody else than before.
    pub(super) fn swarm_changed(&mut self, now: Instant) {
        self.gossip.version += 1;
        self.gossip.next = self.exchanges().then_some(now);
    }

    /// A peer may have something to be told of.
    pub(super) fn gossip_soon(&mut self, now: Instant) {
        self.gossip.next = self.exchanges().then_some(now);
    }

    /// Nobody is told any more.
    pub(super) const fn stop_gossip(&mut self) {
        self.gossip.next = None;
    }

    /// When there may be something to tell.
    pub(super) const fn gossip_at(&self) -> Option<Instant> {
        self.gossip.next
    }

    /// Tells those whose turn has come who has come and gone.
    pub(super) fn gossip(&mut self, now: Instant, out: &mut Vec<Effect>) {
        if self.gossip.next.is_none_or(|at| now < at) {
            return;
        }
        let version = self.gossip.version;
        let mut swarm = None;
        let due = |p: &Peer| p.exchange.due(now, version).is_some_and(|at| at <= now);
        let turn: Vec<PeerKey> = self.peers.iter().filter(|(_, p)| due(p)).map(|(key, _)| *key).collect();
        for key in turn {
            let swarm = swarm.get_or_insert_with(|| self.callable());
            let Some(peer) = self.peers.get_mut(&key) else { continue };
            let to = [peer.hello.addr, peer.listens.unwrap_or(peer.hello.addr)];
            if let Some((id, message)) = peer.exchange.tell(now, version, swarm, to) {
                let message = Message::Extended { id, payload: Bytes::from(message.encode()) };
                out.push(Effect::Send { peer: key, message });
            }
        }
        self.gossip.next = self.peers.values().filter_map(|p| p.exchange.due(now, version)).min();
    }

    /// Everybody here whom others can call.
    fn callable(&self) -> BTreeMap<SocketAddr, Flags> {
        let row = |p: &Peer| {
            let addr = if p.hello.outgoing { Some(p.hello.addr) } else { p.listens };
            let flags = Flags::default().with(Flags::SEED, p.is_seed() || p.upload_only);
            let flags = flags.with(Flags::ENCRYPTED, p.hello.encrypted.is_some()).with(Flags::UTP, p.hello.utp);
            Some((addr?, flags.with(Flags::REACHABLE, p.hello.outgoing)))
        };
        self.peers.values().filter_map(row).collect()
    }

    /// A peer tells whom it is connected to.
    pub(super) fn heard_of(&mut self, now: Instant, key: PeerKey, payload: &[u8], out: &mut Vec<Effect>) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        let most = match peer.exchange.hear(now) {
            Verdict::Heed(most) => most,
            Verdict::Early => return,
            Verdict::Storm => {
                let why = Gone::Misbehaved("it storms us with peer exchange".into());
                return self.expel(now, key, why, out);
            }
        };
        let near = is_local(peer.hello.addr.ip());
        let told = match Pex::decode(payload, most) {
            Ok(told) => told,
            // Not worth losing a peer over: what it says of others says nothing of its pieces.
            Err(why) => return self.write_log(now, format!("a peer's word of others was passed over: {why}")),
        };
        peer.exchange.names(told.added.iter().map(|(addr, _)| *addr));
        let addr = peer.hello.addr;
        let mut fresh = 0;
        let here: BTreeSet<SocketAddr> =
            self.peers.values().flat_map(|p| [Some(p.hello.addr), p.listens]).flatten().collect();
        for (other, flags) in told.added.iter().filter(|(other, _)| near || !is_local(other.ip())) {
            if self.is_us(*other) || here.contains(other) || self.candidates.source(*other).is_some() {
                continue;
            }
            self.candidates.learn(now, *other, Source::Pex);
            fresh += 1;
            if self.complete && flags.has(Flags::SEED) {
                self.candidates.useless(now, *other);
            }
        }
        self.gossip.last = Some((now, told.added.len()));
        if fresh > 0 {
            self.write_log(
                now,
                format!("{addr} told of {}, {fresh} of them new", counted(told.added.len() as u64, "peer")),
            );
        }
    }

    /// Whether this is the address that others reach us at, as far as it is known.
    pub(super) fn is_us(&self, addr: SocketAddr) -> bool {
        addr.port() == self.port() && self.external.of(addr.is_ipv6()) == Some(addr.ip())
    }

    /// A peer does not have a piece any more (BEP 54).
    pub(super) fn has_no_more(&mut self, now: Instant, key: PeerKey, payload: &[u8], out: &mut Vec<Effect>) {
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
        // What was asked of the piece is left to its time, or to the peer's word that it will not come.
        self.show_interest(now, key, out);
    }

    /// Tells those who heed it that we do not have a piece any more (BEP 54).
    pub(super) fn tell_loss(&self, piece: PieceIndex, out: &mut Vec<Effect>) {
        let payload = Bytes::copy_from_slice(&piece.0.to_be_bytes());
        for (key, id) in self.peers.iter().filter_map(|(key, p)| Some((*key, p.takes.dont_have?))) {
            out.push(Effect::Send { peer: key, message: Message::Extended { id, payload: payload.clone() } });
        }
    }

    /// Tells of peer exchange among the sources, also when it has brought nothing yet.
    pub(super) fn show_pex(&self, now: Instant, rows: &mut Vec<SourceRow>) {
        if !self.exchanges() {
            return;
        }
        let agreed = self.peers.values().filter(|p| p.exchange.agreed()).count();
        let told = self.peers.values().filter(|p| p.exchange.has_told()).count();
        let row = SourceRow::among(rows, Source::Pex);
        row.last = self.gossip.last.map(|(at, _)| now.saturating_duration_since(at));
        let peers = |n: usize| if n == 1 { "1 peer exchanges".to_owned() } else { format!("{n} peers exchange") };
        row.status = match (agreed, self.gossip.last) {
            (0, _) => "no connected peer exchanges".to_owned(),
            (n, None) => format!("{}, nobody was named yet", peers(n)),
            (n, Some((_, of))) => format!("{}, {told} named others, the last {of}", peers(n)),
        };
    }
}
