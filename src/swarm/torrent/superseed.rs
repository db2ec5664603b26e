//! Super-seeding (BEP 16): a lone seed claims to have no pieces and offers each peer one piece at a time.
//!
//! A peer is offered its next piece once another peer has obtained the previous one, so that little more than one copy
//! has to be uploaded.

use std::time::{Duration, Instant};

use super::{Effect, PeerKey, Torrent};
use crate::swarm::bitfield::Bitfield;
use crate::swarm::peer::{Peer, SuperSeedState};
use crate::swarm::timeline::PeerEvent;
use crate::wire::message::{Message, PieceIndex};

/// How long a peer with its offered piece waits for the next while no other peer obtains the piece. Some peers cannot
/// upload to others: they are served slowly rather than not at all.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a piece stays on offer to a peer that is not interested.
const UNWANTED: Duration = Duration::from_secs(10);
/// How long after an offer a peer counts as active without having received anything.
const UNTRIED: Duration = Duration::from_secs(10);
/// Maximum `have` messages per peer and round when super-seeding ends: the writer's queue is bounded.
const HELPING: usize = 10_000;

impl Torrent {
    /// Returns whether super-seeding applies to new peers: enabled, complete, and all pieces present.
    pub(super) const fn super_seeds(&self) -> bool {
        self.config.super_seed && self.complete && self.picker.have().is_full()
    }

    /// Enables or disables super-seeding. Applies to peers that connect while the torrent is complete.
    ///
    /// Connected peers already know our pieces and are not affected.
    pub(super) fn set_super_seed(&mut self, now: Instant, on: bool, out: &mut Vec<Effect>) {
        if self.config.super_seed == on {
            return;
        }
        self.config.super_seed = on;
        let text = match (on, self.super_seeds()) {
            (false, _) => "super-seeding is off",
            (true, true) => "super-seeding: new peers are offered one piece at a time",
            (true, false) => "super-seeding starts when the torrent is complete",
        };
        self.notify(now, text.into(), out);
        if !on {
            self.end_super_seed(now, out);
        }
    }

    /// Starts super-seeding to a new peer.
    pub(super) fn begin_super_seed_to(&mut self, key: PeerKey) {
        let pieces = self.config.geometry.pieces();
        if let Some(peer) = self.peers.get_mut(&key) {
            peer.super_seed =
                Some(SuperSeedState { told: Bitfield::new(pieces), moved: None, offer: None, lifted: None });
        }
    }

    /// Handles that some peer obtained a piece: peers to which it was offered may be offered the next one.
    pub(super) fn on_piece_spread(&mut self, now: Instant, piece: PieceIndex, out: &mut Vec<Effect>) {
        if !self.config.super_seed {
            return;
        }
        let offered = |mask: &SuperSeedState| mask.offer.is_some_and(|(p, _)| p == piece);
        let keys = self.peers.iter().filter(|(_, p)| p.super_seed.as_ref().is_some_and(offered)).map(|(key, _)| *key);
        for key in keys.collect::<Vec<_>>() {
            self.offer(now, key, out);
        }
    }

    /// Renews the offers of all super-seeded peers, once per choke round.
    pub(super) fn offer_all(&mut self, now: Instant, out: &mut Vec<Effect>) {
        let masked = self.peers.iter().filter(|(_, p)| p.super_seed.is_some()).map(|(key, _)| *key);
        for key in masked.collect::<Vec<_>>() {
            match self.super_seeds() {
                true => self.offer(now, key, out),
                false => self.announce_hidden_pieces(now, key, out),
            }
        }
    }

    /// Ends super-seeding: announces the hidden pieces to all peers.
    pub(super) fn end_super_seed(&mut self, now: Instant, out: &mut Vec<Effect>) {
        let masked = self.peers.iter().filter(|(_, p)| p.super_seed.is_some()).map(|(key, _)| *key);
        for key in masked.collect::<Vec<_>>() {
            self.announce_hidden_pieces(now, key, out);
        }
    }

    /// Offers a peer its next piece if due.
    pub(super) fn offer(&mut self, now: Instant, key: PeerKey, out: &mut Vec<Effect>) {
        let Some(peer) = self.peers.get(&key) else { return };
        let Some(mask) = peer.super_seed.as_ref().filter(|mask| mask.lifted.is_none()) else { return };
        let due = mask.offer.is_none_or(|(piece, since)| {
            let age = now.saturating_duration_since(since);
            let copies = usize::from(self.picker.copies(piece));
            // Two copies mean that the peer uploaded the piece to another one.
            match peer.has.has(piece) {
                true => copies >= 2 || age >= PATIENCE || !self.can_spread(now, piece),
                false => !peer.peer_interested && age >= UNWANTED,
            }
        });
        if !due {
            return;
        }
        let next = self.choose_offer(key);
        let Some(peer) = self.peers.get_mut(&key) else { return };
        let Some(mask) = &mut peer.super_seed else { return };
        mask.offer = next.map(|piece| (piece, now));
        if let Some(piece) = next {
            mask.told.insert(piece);
            peer.history.add(now, PeerEvent::Offered(piece));
            out.push(Effect::Send { peer: key, message: Message::Have(piece) });
        }
    }

    /// Returns whether some active peer still lacks this piece and may obtain it from other peers.
    ///
    /// Inactive peers do not count, so that they do not delay those that pass pieces on.
    fn can_spread(&self, now: Instant, piece: PieceIndex) -> bool {
        let moves = |p: &Peer| {
            let within = |at: Option<Instant>, time| at.is_some_and(|at| now.saturating_duration_since(at) < time);
            let mask = p.super_seed.as_ref();
            within(mask.and_then(|mask| mask.moved), PATIENCE)
                || within(mask.and_then(|mask| mask.offer).map(|(_, since)| since), UNTRIED)
                || p.up.rate(now) > 0
        };
        // Interest is no criterion: a peer that has its piece is not interested until the next offer.
        self.peers.values().any(|p| !p.has.has(piece) && moves(p))
    }

    /// Returns the rarest piece among the peers, counting pending offers as copies.
    fn choose_offer(&mut self, key: PeerKey) -> Option<PieceIndex> {
        let pieces = self.config.geometry.pieces();
        let mut on_offer = vec![0_u16; pieces as usize];
        for (piece, _) in
            self.peers.values().filter_map(|p| p.super_seed.as_ref()?.offer.filter(|(o, _)| !p.has.has(*o)))
        {
            on_offer[piece.as_usize()] = on_offer[piece.as_usize()].saturating_add(1);
        }
        let peer = self.peers.get(&key)?;
        let mask = peer.super_seed.as_ref()?;
        let from = if pieces == 0 { 0 } else { self.rng.u32(0..pieces) };
        let mut best: Option<(u32, PieceIndex)> = None;
        for piece in (from..pieces).chain(0..from).map(PieceIndex) {
            if peer.has.has(piece) || mask.told.has(piece) {
                continue;
            }
            let rarity = u32::from(self.picker.copies(piece)) + u32::from(on_offer[piece.as_usize()]);
            if best.is_none_or(|(least, _)| rarity < least) {
                best = Some((rarity, piece));
            }
            if rarity == 0 {
                break;
            }
        }
        best.map(|(_, piece)| piece)
    }

    /// Announces the hidden pieces to a peer, at most [`HELPING`] per call.
    fn announce_hidden_pieces(&mut self, now: Instant, key: PeerKey, out: &mut Vec<Effect>) {
        let pieces = self.config.geometry.pieces();
        let Some(peer) = self.peers.get_mut(&key) else { return };
        let Some(mask) = &mut peer.super_seed else { return };
        let have = self.picker.have();
        let mut helping = HELPING;
        for piece in (mask.lifted.unwrap_or(0)..pieces).map(PieceIndex) {
            if mask.told.has(piece) || peer.has.has(piece) || !have.has(piece) {
                continue;
            }
            if helping == 0 {
                mask.lifted = Some(piece.0);
                return;
            }
            helping -= 1;
            mask.told.insert(piece);
            out.push(Effect::Send { peer: key, message: Message::Have(piece) });
        }
        peer.super_seed = None;
        peer.history.add(now, PeerEvent::SuperSeedEnded);
    }
}
