//! Super-seeding (BEP 16): a lone seeder that shows nobody what it has. Each peer is offered one piece, and the next
//! one only when somebody else has got that piece too, so that little more than one copy has to be sent.

use std::time::{Duration, Instant};

use super::{Effect, PeerKey, Torrent};
use crate::swarm::bitfield::Bitfield;
use crate::swarm::history::Happened;
use crate::swarm::peer::{Mask, Peer};
use crate::wire::message::{Message, PieceIndex};

/// How long a peer that has its piece waits for the next one while nobody else gets that piece. Some can pass nothing
/// on: they are served slowly rather than not at all.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a piece is on offer to a peer that does not want it.
const UNWANTED: Duration = Duration::from_secs(10);
/// How long a peer that was offered a piece may let us wait before it is taken for one that does nothing.
const UNTRIED: Duration = Duration::from_secs(10);
/// Pieces that a peer is told of at once when its mask is lifted: its writer holds a bounded number of messages.
const HELPING: usize = 10_000;

impl Torrent {
    /// Whether newcomers are to see one piece at a time.
    pub(super) const fn super_seeds(&self) -> bool {
        self.config.super_seed && self.complete && self.picker.have().is_full()
    }

    /// The user's wish. It holds from the moment on in which everything is there, and for peers that come after that:
    /// those who are here know already what we have.
    pub(super) fn set_super_seed(&mut self, now: Instant, on: bool, out: &mut Vec<Effect>) {
        if self.config.super_seed == on {
            return;
        }
        self.config.super_seed = on;
        let text = match (on, self.super_seeds()) {
            (false, _) => "super-seeding is off",
            (true, true) => "super-seeding: peers that come from now on are offered one piece at a time",
            (true, false) => "super-seeding begins when everything is here",
        };
        self.note(now, text.into(), out);
        if !on {
            self.lift_masks(now, out);
        }
    }

    /// Hides from a newcomer what we have.
    pub(super) fn put_mask(&mut self, key: PeerKey) {
        let pieces = self.config.geometry.pieces();
        if let Some(peer) = self.peers.get_mut(&key) {
            peer.mask = Some(Mask { told: Bitfield::new(pieces), moved: None, offer: None, lifted: None });
        }
    }

    /// A peer has got this piece: those to whom it was offered may get another one.
    pub(super) fn spread(&mut self, now: Instant, piece: PieceIndex, out: &mut Vec<Effect>) {
        if !self.config.super_seed {
            return;
        }
        let offered = |mask: &Mask| mask.offer.is_some_and(|(p, _)| p == piece);
        let keys = self.peers.iter().filter(|(_, p)| p.mask.as_ref().is_some_and(offered)).map(|(key, _)| *key);
        for key in keys.collect::<Vec<_>>() {
            self.offer(now, key, out);
        }
    }

    /// Looks after all masks, once a round.
    pub(super) fn offer_all(&mut self, now: Instant, out: &mut Vec<Effect>) {
        let masked = self.peers.iter().filter(|(_, p)| p.mask.is_some()).map(|(key, _)| *key);
        for key in masked.collect::<Vec<_>>() {
            match self.super_seeds() {
                true => self.offer(now, key, out),
                false => self.lift(now, key, out),
            }
        }
    }

    /// Nobody is deceived any more.
    pub(super) fn lift_masks(&mut self, now: Instant, out: &mut Vec<Effect>) {
        let masked = self.peers.iter().filter(|(_, p)| p.mask.is_some()).map(|(key, _)| *key);
        for key in masked.collect::<Vec<_>>() {
            self.lift(now, key, out);
        }
    }

    /// Offers a peer its next piece, if it is time for that.
    pub(super) fn offer(&mut self, now: Instant, key: PeerKey, out: &mut Vec<Effect>) {
        let Some(peer) = self.peers.get(&key) else { return };
        let Some(mask) = peer.mask.as_ref().filter(|mask| mask.lifted.is_none()) else { return };
        let due = mask.offer.is_none_or(|(piece, since)| {
            let age = now.saturating_duration_since(since);
            let copies = usize::from(self.picker.copies(piece));
            // With two copies somebody passed it on.
            match peer.has.has(piece) {
                true => copies >= 2 || age >= PATIENCE || !self.is_passed_on(now, piece),
                false => !peer.interested && age >= UNWANTED,
            }
        });
        if !due {
            return;
        }
        let next = self.choose_offer(key);
        let Some(peer) = self.peers.get_mut(&key) else { return };
        let Some(mask) = &mut peer.mask else { return };
        mask.offer = next.map(|piece| (piece, now));
        if let Some(piece) = next {
            mask.told.insert(piece);
            peer.history.add(now, Happened::Offered(piece));
            out.push(Effect::Send { peer: key, message: Message::Have(piece) });
        }
    }

    /// Whether anybody is left who may get this piece from others: a peer that lacks it and takes what it is offered,
    /// or was offered something only now. Who does nothing with its own piece is not to hold up those who do.
    fn is_passed_on(&self, now: Instant, piece: PieceIndex) -> bool {
        let moves = |p: &Peer| {
            let within = |at: Option<Instant>, time| at.is_some_and(|at| now.saturating_duration_since(at) < time);
            let mask = p.mask.as_ref();
            within(mask.and_then(|mask| mask.moved), PATIENCE)
                || within(mask.and_then(|mask| mask.offer).map(|(_, since)| since), UNTRIED)
                || p.up.rate(now) > 0
        };
        // Whoever has got its piece wants nothing of ours until the next one is offered: interest says nothing here.
        self.peers.values().any(|p| !p.has.has(piece) && moves(p))
    }

    /// The piece that is rarest among the peers, counting those that it is on offer to.
    fn choose_offer(&mut self, key: PeerKey) -> Option<PieceIndex> {
        let pieces = self.config.geometry.pieces();
        let mut on_offer = vec![0_u16; pieces as usize];
        for (piece, _) in self.peers.values().filter_map(|p| p.mask.as_ref()?.offer.filter(|(o, _)| !p.has.has(*o))) {
            on_offer[piece.at()] = on_offer[piece.at()].saturating_add(1);
        }
        let peer = self.peers.get(&key)?;
        let mask = peer.mask.as_ref()?;
        let from = if pieces == 0 { 0 } else { self.rng.u32(0..pieces) };
        let mut best: Option<(u32, PieceIndex)> = None;
        for piece in (from..pieces).chain(0..from).map(PieceIndex) {
            if peer.has.has(piece) || mask.told.has(piece) {
                continue;
            }
            let rarity = u32::from(self.picker.copies(piece)) + u32::from(on_offer[piece.at()]);
            if best.is_none_or(|(least, _)| rarity < least) {
                best = Some((rarity, piece));
            }
            if rarity == 0 {
                break;
            }
        }
        best.map(|(_, piece)| piece)
    }

    /// Tells a peer of what was hidden from it, a helping at a time.
    fn lift(&mut self, now: Instant, key: PeerKey, out: &mut Vec<Effect>) {
        let pieces = self.config.geometry.pieces();
        let Some(peer) = self.peers.get_mut(&key) else { return };
        let Some(mask) = &mut peer.mask else { return };
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
        peer.mask = None;
        peer.history.add(now, Happened::Unmasked);
    }
}
