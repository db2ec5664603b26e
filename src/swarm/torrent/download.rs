//! The way in: requests, blocks, verdicts, blame.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::lifecycle::Comparison;
use super::{Effect, Gone, PeerKey, Phase, Torrent};
use crate::limits::{self, BLOCK};
use crate::swarm::history::Happened;
use crate::swarm::job::{BlockHash, DiskJob};
use crate::swarm::peer::{Asked, Peer};
use crate::swarm::picker::{Arrival, Giver};
use crate::wire::message::{Block, Message, PieceIndex};

/// Peers of unknown worth of which one block may be asked at once in the endgame. Peers that have delivered may join
/// in any case: a crowd of mutes must not keep them out.
const ENDGAME_ASKERS: u8 = 3;
/// Blocks that one peer may ask for again at a time in the endgame.
const ENDGAME_BLOCKS: usize = 4;
/// How long those who have everything wait at most to be told of a piece that came.
const TELL_SEEDS: Duration = Duration::from_secs(1);
/// Failures of one piece after which a person is told.
const HOPELESS: u32 = 5;

impl Torrent {
    /// Asks a peer for as much as it should be asked for.
    pub(super) fn refill(&mut self, now: Instant, key: PeerKey, out: &mut Vec<Effect>) {
        let Some(peer) = self.peers.get(&key) else { return };
        if peer.web.is_some() {
            return self.refill_web(now, key, out);
        }
        if self.fault.is_some() || peer.wanted == 0 || (peer.chokes_us && peer.allowed.is_empty()) {
            return;
        }
        let (depth, asked) = (peer.depth(now), peer.inflight.len());
        // A refill is worth its packet only when a good part of the pipeline is empty.
        if asked + (depth / 4).min(64) > depth.max(1) || asked >= depth {
            return;
        }
        let mut n = depth - asked;
        let room = self.config.quota.budget.saturating_sub(self.outstanding + self.unwritten) / u64::from(BLOCK);
        if room < n as u64 {
            self.starved = true;
            n = room as usize;
        }
        // Near the end nobody may take so much that others stand idle.
        let givers = self.peers.values().filter(|p| !p.chokes_us && p.wanted > 0 && !p.snubbed).count().max(1);
        let share = (self.picker.unasked() / givers as u64 + 1) as usize;
        n = n.min(share.max(8));
        if self.peers.get(&key).is_some_and(|peer| self.is_limited(peer.source)) {
            n = self.within_rate(now, n);
        }
        let mut picks = Vec::new();
        if let Some(peer) = self.peers.get(&key) {
            if peer.chokes_us {
                for piece in peer.allowed.iter().copied().filter(|p| peer.has.has(*p)).collect::<Vec<_>>() {
                    self.picker.pick_of(key, piece, n - picks.len().min(n), &mut picks);
                }
            } else {
                self.picker.pick(key, &peer.has, !peer.snubbed, n, &mut self.rng, &mut picks);
            }
        }
        if picks.is_empty() && asked == 0 && n > 0 {
            self.endgame(key, n.min(ENDGAME_BLOCKS), &mut picks);
        }
        if !picks.is_empty() && (self.starved || self.throttled_down) {
            // There is not enough for all: the others come first the next time.
            self.turn = PeerKey(key.0 + 1);
        }
        self.ask(now, key, &picks, out);
    }

    fn within_rate(&mut self, now: Instant, n: usize) -> usize {
        if self.down_limit.iter().all(|bucket| bucket.limit().is_none()) {
            return n;
        }
        let mut granted = 0;
        while granted < n {
            if !self.down_limit.iter_mut().all(|bucket| bucket.take(now, u64::from(BLOCK))) {
                self.throttled_down = true;
                break;
            }
            granted += 1;
        }
        granted
    }

    fn ask(&mut self, now: Instant, key: PeerKey, picks: &[(PieceIndex, u32)], out: &mut Vec<Effect>) {
        let blocks = self.note_asked(now, key, picks);
        out.extend(blocks.into_iter().map(|block| Effect::Send { peer: key, message: Message::Request(block) }));
    }

    /// Writes down what a peer is asked for from now on.
    pub(super) fn note_asked(&mut self, now: Instant, key: PeerKey, picks: &[(PieceIndex, u32)]) -> Vec<Block> {
        let Some(peer) = self.peers.get_mut(&key) else { return Vec::new() };
        if peer.inflight.is_empty() {
            peer.served = now;
        }
        let mut begun = None;
        let mut blocks = Vec::with_capacity(picks.len());
        for (piece, block) in picks {
            if begun.replace(*piece) != Some(*piece) {
                self.picker.begun(*piece, now);
            }
            let named = self.picker.block(*piece, *block);
            peer.inflight.push_back(Asked { piece: *piece, block: *block, at: now });
            self.outstanding += u64::from(named.length);
            blocks.push(named);
        }
        blocks
    }

    /// Everything is asked for: ask again for what others have owed the longest.
    pub(super) fn endgame(&mut self, key: PeerKey, n: usize, picks: &mut Vec<(PieceIndex, u32)>) {
        let Some(peer) = self.peers.get(&key).filter(|p| !p.snubbed) else { return };
        let most = if peer.down.total() > 0 { u8::MAX } else { ENDGAME_ASKERS };
        let others = || self.peers.iter().filter(|(k, _)| **k != key).map(|(_, p)| p);
        let peers = others().filter(|p| p.web.is_none()).flat_map(|p| &p.inflight);
        let mut owed: Vec<&Asked> = peers.filter(|a| peer.has.has(a.piece)).collect();
        owed.sort_by_key(|a| (a.at, a.piece, a.block));
        owed.dedup_by_key(|a| (a.piece, a.block));
        // A web seed sends in order what it was asked for: what it would send last is worth asking for elsewhere.
        let web = others().filter(|p| p.web.is_some()).flat_map(|p| p.inflight.iter().rev());
        owed.extend(web.filter(|a| peer.has.has(a.piece)));
        for asked in owed {
            if picks.len() >= n {
                break;
            }
            if !picks.contains(&(asked.piece, asked.block)) && self.picker.ask_again(asked.piece, asked.block, most) {
                picks.push((asked.piece, asked.block));
            }
        }
    }

    /// Bytes of a piece have come.
    pub(super) fn block(
        &mut self,
        now: Instant,
        key: PeerKey,
        piece: PieceIndex,
        begin: u32,
        data: Bytes,
        out: &mut Vec<Effect>,
    ) {
        let length = data.len() as u32;
        let n = begin / BLOCK;
        let named = Block { piece, begin, length };
        let Some(peer) = self.peers.get_mut(&key) else { return };
        let right = piece.0 < self.config.geometry.pieces() && self.picker.block(piece, n) == named;
        if !right || !peer.answered(now, piece, n) {
            self.unasked(now, key, u64::from(length), out);
            return;
        }
        if peer.down.total() == 0 {
            peer.history.add(now, Happened::FirstBlock);
        }
        peer.down.add(now, u64::from(length));
        let from = peer.giver();
        self.down.add(now, u64::from(length));
        self.pace.add(now, u64::from(length));
        self.outstanding -= u64::from(length);
        self.hungry.insert(key);
        match self.picker.arrived(piece, n, from) {
            Arrival::Fresh { askers, .. } => {
                self.unwritten += u64::from(length);
                self.fetched = true;
                self.comparison = Comparison::Due;
                out.push(Effect::Disk(DiskJob::Write { block: named, data }));
                if askers > 1 {
                    self.cancel_elsewhere(piece, n, out);
                }
            }
            Arrival::Useless => self.wasted += u64::from(length),
        }
    }

    fn unasked(&mut self, now: Instant, key: PeerKey, length: u64, out: &mut Vec<Effect>) {
        self.wasted += length;
        let Some(peer) = self.peers.get_mut(&key) else { return };
        if peer.late > 0 {
            peer.late -= 1;
            return;
        }
        peer.unasked += 1;
        if peer.unasked > limits::UNASKED_BLOCKS {
            self.expel(now, key, Gone::Misbehaved("it sends blocks that nobody asked for".into()), out);
        }
    }

    fn cancel_elsewhere(&mut self, piece: PieceIndex, n: u32, out: &mut Vec<Effect>) {
        let block = self.picker.block(piece, n);
        for (key, peer) in &mut self.peers {
            let Some(at) = peer.inflight.iter().position(|a| a.piece == piece && a.block == n) else { continue };
            peer.inflight.remove(at);
            peer.late += 1;
            self.outstanding -= u64::from(block.length);
            self.hungry.insert(*key);
            if peer.web.is_none() {
                out.push(Effect::Send { peer: *key, message: Message::Cancel(block) });
            } else if peer.inflight.is_empty() {
                out.push(Effect::Unfetch { peer: *key });
            }
        }
    }

    /// Takes back everything asked of a peer. `cancel` when it is to be told.
    pub(super) fn release(&mut self, key: PeerKey, cancel: bool, out: &mut Vec<Effect>) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        let asked = std::mem::take(&mut peer.inflight);
        peer.late += asked.len() as u32;
        for a in &asked {
            let block = self.picker.block(a.piece, a.block);
            self.outstanding -= u64::from(block.length);
            if cancel {
                out.push(Effect::Send { peer: key, message: Message::Cancel(block) });
            }
            self.picker.release(a.piece, a.block);
        }
        for piece in self.picker.disown(key) {
            out.push(Effect::Disk(DiskJob::Forget(piece)));
            self.release_piece(piece);
        }
        self.freed = true;
    }

    /// A piece begins anew: nobody is asked for any of it.
    pub(super) fn release_piece(&mut self, piece: PieceIndex) {
        for peer in self.peers.values_mut() {
            let before = peer.inflight.len();
            let picker = &self.picker;
            let outstanding = &mut self.outstanding;
            peer.inflight.retain(|a| {
                let keep = a.piece != piece;
                *outstanding -= if keep { 0 } else { u64::from(picker.block(a.piece, a.block).length) };
                keep
            });
            peer.late += (before - peer.inflight.len()) as u32;
        }
        self.freed = true;
    }

    /// A peer says that it will not send this block (BEP 6).
    pub(super) fn rejected(&mut self, now: Instant, key: PeerKey, block: Block) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        let n = block.begin / BLOCK;
        let Some(at) = peer.inflight.iter().position(|a| a.piece == block.piece && a.block == n) else { return };
        peer.inflight.remove(at);
        self.outstanding -= u64::from(self.picker.block(block.piece, n).length);
        self.picker.release(block.piece, n);
        self.freed = true;
        // One that rejects what it says it has is asked for one block at a time, and seldom.
        if !peer.chokes_us {
            peer.refused(now);
            if peer.snubbed {
                self.picker.disown(key);
            }
        }
    }

    /// Peers that let us wait too long for a block: it is asked elsewhere, and they for one at a time.
    pub(super) fn expire(&mut self, now: Instant, out: &mut Vec<Effect>) {
        let late: Vec<PeerKey> =
            self.peers.iter().filter(|(_, p)| p.late_at().is_some_and(|at| now >= at)).map(|(k, _)| *k).collect();
        for key in late {
            if self.peers.get(&key).is_some_and(|peer| peer.web.is_some()) {
                self.expel(now, key, Gone::TimedOut("its next block"), out);
                continue;
            }
            self.release(key, true, out);
            if let Some(peer) = self.peers.get_mut(&key) {
                peer.snub(now, Happened::Snubbed);
            }
        }
    }

    // --- verdicts ----------------------------------------------------------------------------------

    /// A piece is whole, written and recorded.
    pub(super) fn verified(&mut self, now: Instant, piece: PieceIndex, good: &[BlockHash], out: &mut Vec<Effect>) {
        if piece.0 >= self.config.geometry.pieces() || self.picker.have().has(piece) {
            return;
        }
        if let Some(suspicion) = self.suspicions.remove(&piece) {
            let guilty: BTreeSet<Giver> = suspicion
                .iter()
                .filter(|(_, n, hash)| good.get(*n as usize).is_some_and(|right| right != hash))
                .map(|(giver, ..)| *giver)
                .collect();
            for giver in guilty {
                self.blame(now, giver, piece, out);
            }
        }
        self.works();
        let wanted = self.picker.wants(piece);
        self.picker.mark_have(piece);
        let mut bored = Vec::new();
        for (key, peer) in &mut self.peers {
            if peer.has.has(piece) {
                peer.wanted -= u32::from(wanted);
                if peer.wanted == 0 {
                    bored.push(*key);
                }
            }
            // Also to those who have this piece, so that they see how far we are. Those who have everything can wait for
            // that: a packet to each of many seeds for each piece would cost more than it tells.
            if self.phase != Phase::Active || peer.web.is_some() {
                continue;
            }
            if peer.is_seed() {
                peer.untold.push(piece);
                self.tell_at.get_or_insert(now + TELL_SEEDS);
            } else {
                out.push(Effect::Send { peer: *key, message: Message::Have(piece) });
            }
        }
        for key in bored {
            self.show_interest(now, key, out);
        }
        self.look_if_complete(now, out);
    }

    /// Tells those who have everything which pieces came.
    pub(super) fn tell_seeds(&mut self, out: &mut Vec<Effect>) {
        self.tell_at = None;
        for (key, peer) in &mut self.peers {
            let news = peer.untold.drain(..);
            out.extend(news.map(|piece| Effect::Send { peer: *key, message: Message::Have(piece) }));
        }
    }

    /// Whether everything wanted is there, and what follows.
    pub(super) fn look_if_complete(&mut self, now: Instant, out: &mut Vec<Effect>) {
        let complete = self.picker.lacking() == 0;
        // Before what follows from all that is wanted being here, which forgets that it was fetched.
        self.look_if_whole(now, self.fetched, out);
        if complete == self.complete || !self.is_described() {
            return;
        }
        if complete && self.fetched && self.comparison != Comparison::Done {
            // Another program may have written to files that we had finished with.
            if self.comparison == Comparison::Due {
                self.comparison = Comparison::UnderWay;
                out.push(Effect::Disk(DiskJob::Compare));
            }
            return;
        }
        self.complete = complete;
        // Most of them part now, and count us as complete only when they have heard of every piece.
        self.tell_seeds(out);
        self.tell_whether_we_want(out);
        if !complete {
            self.freed = true;
            self.candidates.wanted_again(now);
            self.lift_masks(now, out);
            return;
        }
        out.push(Effect::Disk(DiskJob::Finish));
        if std::mem::take(&mut self.fetched) {
            self.write_log(now, "everything wanted is here, verified and written".into());
            out.push(Effect::Complete);
        }
        let done = |p: &Peer| p.wants_nothing() || p.web.is_some();
        let useless: Vec<PeerKey> = self.peers.iter().filter(|(_, p)| done(p)).map(|(k, _)| *k).collect();
        for key in useless {
            self.expel(now, key, Gone::Useless, out);
        }
    }

    /// All blocks of a piece came, and its hash is wrong.
    pub(super) fn corrupt(&mut self, now: Instant, piece: PieceIndex, blocks: &[BlockHash], out: &mut Vec<Effect>) {
        let senders = self.picker.senders(piece);
        self.wasted += self.picker.map().piece_data(piece);
        self.picker.set_parole(piece);
        self.picker.mark_lost(piece);
        self.freed = true;
        let givers: BTreeSet<Giver> = senders.iter().copied().flatten().collect();
        for peer in self.peers.values_mut() {
            let theirs = senders.iter().filter(|giver| **giver == Some(peer.giver())).count() as u32;
            if theirs > 0 {
                peer.failed += theirs;
                peer.history.add(now, Happened::Failed(piece));
            }
        }
        let fails = self.fails.entry(piece).or_insert(0);
        *fails += 1;
        let fails = *fails;
        if givers.len() > 1 {
            let evidence = senders.iter().zip(blocks).enumerate();
            let evidence = evidence.filter_map(|(n, (giver, hash))| Some(((*giver)?, n as u32, *hash)));
            self.suspicions.entry(piece).or_default().extend(evidence);
        }
        if fails == HOPELESS {
            self.note(now, format!("piece {piece} fails from every peer: torrent or peers are bad"), out);
        }
        if let (1, Some(giver)) = (givers.len(), givers.first()) {
            self.blame(now, *giver, piece, out);
        }
    }

    /// Leaves alone who gave bad data.
    fn blame(&mut self, now: Instant, giver: Giver, piece: PieceIndex, out: &mut Vec<Effect>) {
        match giver {
            Giver::Host(ip) => self.ban(now, ip, &format!("sent bad data (piece {piece})"), out),
            Giver::Web(seed) => self.ban_web_seed(now, seed, &self.bad_files(piece), out),
        }
    }
}
