//! Download side: block requests, endgame, received blocks, hash results, bans for bad data.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::state::recovery::Comparison;
use super::{DisconnectReason, Effect, PeerKey, Phase, Torrent};
use crate::limits::{self, BLOCK};
use crate::swarm::job::{BlockHash, DiskJob};
use crate::swarm::peer::{InFlightRequest, Peer};
use crate::swarm::picker::{BlockOutcome, BlockSource};
use crate::swarm::timeline::PeerEvent;
use crate::wire::message::{Block, Message, PieceIndex};

/// Maximum requesters of a block in the endgame, for a peer that has sent no payload yet. A peer that has sent payload
/// is not subject to this limit: silent peers must not keep it out.
const ENDGAME_ASKERS: u8 = 3;
/// Maximum duplicate requests to one peer at a time in the endgame.
const ENDGAME_BLOCKS: usize = 4;
/// Maximum delay of `have` messages to seeds, which are batched.
const TELL_SEEDS: Duration = Duration::from_secs(1);
/// Hash failures of one piece after which the user is notified.
const HOPELESS: u32 = 5;

impl Torrent {
    /// Fills a peer's request pipeline, within the memory budget and the rate limits.
    pub(super) fn request_blocks(&mut self, now: Instant, key: PeerKey, out: &mut Vec<Effect>) {
        let Some(peer) = self.peers.get(&key) else { return };
        if peer.web.is_some() {
            return self.refill_web(now, key, out);
        }
        if self.fault.is_some() || peer.wanted == 0 || (peer.peer_choking && peer.allowed.is_empty()) {
            return;
        }
        let (depth, asked) = (peer.pipeline_depth(now), peer.inflight.len());
        // Refill only when a good part of the pipeline is empty, so that requests share packets.
        if asked + (depth / 4).min(64) > depth.max(1) || asked >= depth {
            return;
        }
        let mut n = depth - asked;
        let room = self.config.quota.budget.saturating_sub(self.outstanding + self.unwritten) / u64::from(BLOCK);
        if room < n as u64 {
            self.budget_exhausted = true;
            n = room as usize;
        }
        // Near the end each peer gets only its share of the blocks, so that no other peer idles.
        let givers = self.peers.values().filter(|p| !p.peer_choking && p.wanted > 0 && !p.snubbed).count().max(1);
        let share = (self.picker.unrequested() / givers as u64 + 1) as usize;
        n = n.min(share.max(8));
        if self.peers.get(&key).is_some_and(|peer| self.is_limited(peer.source)) {
            n = self.within_rate(now, n);
        }
        let mut picks = Vec::new();
        if let Some(peer) = self.peers.get(&key) {
            if peer.peer_choking {
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
        if !picks.is_empty() && (self.budget_exhausted || self.throttled_down) {
            // Not enough for all peers: the next refill starts with the following peer.
            self.turn = PeerKey(key.0 + 1);
        }
        self.send_requests(now, key, &picks, out);
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

    fn send_requests(&mut self, now: Instant, key: PeerKey, picks: &[(PieceIndex, u32)], out: &mut Vec<Effect>) {
        let blocks = self.add_in_flight(now, key, picks);
        out.extend(blocks.into_iter().map(|block| Effect::Send { peer: key, message: Message::Request(block) }));
    }

    /// Records the picked blocks as in-flight requests of a peer and returns them.
    pub(super) fn add_in_flight(&mut self, now: Instant, key: PeerKey, picks: &[(PieceIndex, u32)]) -> Vec<Block> {
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
            peer.inflight.push_back(InFlightRequest { piece: *piece, block: *block, at: now });
            self.outstanding += u64::from(named.length);
            blocks.push(named);
        }
        blocks
    }

    /// Endgame: picks blocks already requested from other peers, those waiting longest first.
    pub(super) fn endgame(&mut self, key: PeerKey, n: usize, picks: &mut Vec<(PieceIndex, u32)>) {
        let Some(peer) = self.peers.get(&key).filter(|p| !p.snubbed) else { return };
        let most = if peer.down.total() > 0 { u8::MAX } else { ENDGAME_ASKERS };
        let others = || self.peers.iter().filter(|(k, _)| **k != key).map(|(_, p)| p);
        let peers = others().filter(|p| p.web.is_none()).flat_map(|p| &p.inflight);
        let mut owed: Vec<&InFlightRequest> = peers.filter(|a| peer.has.has(a.piece)).collect();
        owed.sort_by_key(|a| (a.at, a.piece, a.block));
        owed.dedup_by_key(|a| (a.piece, a.block));
        // A web seed sends blocks in request order: duplicate its last ones first.
        let web = others().filter(|p| p.web.is_some()).flat_map(|p| p.inflight.iter().rev());
        owed.extend(web.filter(|a| peer.has.has(a.piece)));
        for asked in owed {
            if picks.len() >= n {
                break;
            }
            if !picks.contains(&(asked.piece, asked.block))
                && self.picker.request_duplicate(asked.piece, asked.block, most)
            {
                picks.push((asked.piece, asked.block));
            }
        }
    }

    /// Handles a received block.
    pub(super) fn on_block(
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
            self.on_unrequested_block(now, key, u64::from(length), out);
            return;
        }
        if peer.down.total() == 0 {
            peer.history.add(now, PeerEvent::FirstBlock);
        }
        peer.down.add(now, u64::from(length));
        let from = peer.block_source();
        self.down.add(now, u64::from(length));
        self.display_rate.add(now, u64::from(length));
        self.outstanding -= u64::from(length);
        self.refill_queue.insert(key);
        match self.picker.on_block(piece, n, from) {
            BlockOutcome::Fresh { askers, .. } => {
                self.unwritten += u64::from(length);
                self.fetched = true;
                self.comparison = Comparison::Due;
                out.push(Effect::Disk(DiskJob::Write { block: named, data }));
                if askers > 1 {
                    self.cancel_elsewhere(piece, n, out);
                }
            }
            BlockOutcome::Useless => self.wasted += u64::from(length),
        }
    }

    fn on_unrequested_block(&mut self, now: Instant, key: PeerKey, length: u64, out: &mut Vec<Effect>) {
        self.wasted += length;
        let Some(peer) = self.peers.get_mut(&key) else { return };
        if peer.late > 0 {
            peer.late -= 1;
            return;
        }
        peer.unasked += 1;
        if peer.unasked > limits::UNASKED_BLOCKS {
            self.disconnect(
                now,
                key,
                DisconnectReason::ProtocolViolation("peer sends blocks that were not requested".into()),
                out,
            );
        }
    }

    fn cancel_elsewhere(&mut self, piece: PieceIndex, n: u32, out: &mut Vec<Effect>) {
        let block = self.picker.block(piece, n);
        for (key, peer) in &mut self.peers {
            let Some(at) = peer.inflight.iter().position(|a| a.piece == piece && a.block == n) else { continue };
            peer.inflight.remove(at);
            peer.late += 1;
            self.outstanding -= u64::from(block.length);
            self.refill_queue.insert(*key);
            if peer.web.is_none() {
                out.push(Effect::Send { peer: *key, message: Message::Cancel(block) });
            } else if peer.inflight.is_empty() {
                out.push(Effect::CancelWebFetch { peer: *key });
            }
        }
    }

    /// Releases all in-flight requests of a peer; `cancel` also sends `cancel` messages.
    pub(super) fn release_requests(&mut self, key: PeerKey, cancel: bool, out: &mut Vec<Effect>) {
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
        for piece in self.picker.abandon_owner(key) {
            out.push(Effect::Disk(DiskJob::Forget(piece)));
            self.release_piece(piece);
        }
        self.freed = true;
    }

    /// Releases all in-flight requests for a piece that has to be downloaded again.
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

    /// Handles a `reject` (BEP 6) of one of our requests.
    pub(super) fn on_reject(&mut self, now: Instant, key: PeerKey, block: Block) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        let n = block.begin / BLOCK;
        let Some(at) = peer.inflight.iter().position(|a| a.piece == block.piece && a.block == n) else { return };
        peer.inflight.remove(at);
        self.outstanding -= u64::from(self.picker.block(block.piece, n).length);
        self.picker.release(block.piece, n);
        self.freed = true;
        // A peer that rejects while it unchokes us is treated as snubbed: one request at a time.
        if !peer.peer_choking {
            peer.refused(now);
            if peer.snubbed {
                self.picker.abandon_owner(key);
            }
        }
    }

    /// Handles request timeouts: releases the blocks of late peers and marks these peers as snubbed.
    pub(super) fn expire_requests(&mut self, now: Instant, out: &mut Vec<Effect>) {
        let late: Vec<PeerKey> =
            self.peers.iter().filter(|(_, p)| p.late_at().is_some_and(|at| now >= at)).map(|(k, _)| *k).collect();
        for key in late {
            if self.peers.get(&key).is_some_and(|peer| peer.web.is_some()) {
                self.disconnect(now, key, DisconnectReason::TimedOut("next block"), out);
                continue;
            }
            self.release_requests(key, true, out);
            if let Some(peer) = self.peers.get_mut(&key) {
                peer.snub(now, PeerEvent::Snubbed);
            }
        }
    }

    // --- hash results ------------------------------------------------------------------------------

    /// Handles a piece that passed its hash check and is written and recorded.
    pub(super) fn on_piece_verified(
        &mut self,
        now: Instant,
        piece: PieceIndex,
        good: &[BlockHash],
        out: &mut Vec<Effect>,
    ) {
        if piece.0 >= self.config.geometry.pieces() || self.picker.have().has(piece) {
            return;
        }
        if let Some(suspicion) = self.suspicions.remove(&piece) {
            let guilty: BTreeSet<BlockSource> = suspicion
                .iter()
                .filter(|(_, n, hash)| good.get(*n as usize).is_some_and(|right| right != hash))
                .map(|(giver, ..)| *giver)
                .collect();
            for giver in guilty {
                self.ban_source(now, giver, piece, out);
            }
        }
        self.reset_probe_pause();
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
            // Sent even to peers that have the piece, so that they know our progress. For seeds the messages are
            // batched: one packet per piece to each of many seeds would cost too much.
            if self.phase != Phase::Active || peer.web.is_some() {
                continue;
            }
            if peer.is_seed() {
                peer.unannounced.push(piece);
                self.send_have_at.get_or_insert(now + TELL_SEEDS);
            } else {
                out.push(Effect::Send { peer: *key, message: Message::Have(piece) });
            }
        }
        for key in bored {
            self.update_interest(now, key, out);
        }
        self.check_complete(now, out);
    }

    /// Sends the batched `have` messages to seeds.
    pub(super) fn send_have_to_seeds(&mut self, out: &mut Vec<Effect>) {
        self.send_have_at = None;
        for (key, peer) in &mut self.peers {
            let news = peer.unannounced.drain(..);
            out.extend(news.map(|piece| Effect::Send { peer: *key, message: Message::Have(piece) }));
        }
    }

    /// Updates `complete` and does what follows from a change.
    pub(super) fn check_complete(&mut self, now: Instant, out: &mut Vec<Effect>) {
        let complete = self.picker.missing() == 0;
        // Must come first: uses `fetched`, which is cleared below.
        self.look_if_whole(now, self.fetched, out);
        if complete == self.complete || !self.has_metadata() {
            return;
        }
        if complete && self.fetched && self.comparison != Comparison::Done {
            // Another program may have modified finished files meanwhile.
            if self.comparison == Comparison::Due {
                self.comparison = Comparison::UnderWay;
                out.push(Effect::Disk(DiskJob::Compare));
            }
            return;
        }
        self.complete = complete;
        // Most seeds are disconnected below, and count us as complete only after a `have` for every piece.
        self.send_have_to_seeds(out);
        self.send_upload_only(out);
        if !complete {
            self.freed = true;
            self.peer_list.wanted_again(now);
            self.end_super_seed(now, out);
            return;
        }
        out.push(Effect::Disk(DiskJob::Finish));
        if std::mem::take(&mut self.fetched) {
            self.write_log(now, "download complete, verified and written".into());
            out.push(Effect::Complete);
        }
        let done = |p: &Peer| p.wants_nothing() || p.web.is_some();
        let useless: Vec<PeerKey> = self.peers.iter().filter(|(_, p)| done(p)).map(|(k, _)| *k).collect();
        for key in useless {
            self.disconnect(now, key, DisconnectReason::Useless, out);
        }
    }

    /// Handles a piece whose hash is wrong. Bans the sender if all blocks came from one.
    pub(super) fn on_hash_failed(
        &mut self,
        now: Instant,
        piece: PieceIndex,
        blocks: &[BlockHash],
        out: &mut Vec<Effect>,
    ) {
        let senders = self.picker.senders(piece);
        self.wasted += self.picker.map().piece_data(piece);
        self.picker.set_parole(piece);
        self.picker.mark_lost(piece);
        self.freed = true;
        let givers: BTreeSet<BlockSource> = senders.iter().copied().flatten().collect();
        for peer in self.peers.values_mut() {
            let theirs = senders.iter().filter(|giver| **giver == Some(peer.block_source())).count() as u32;
            if theirs > 0 {
                peer.failed += theirs;
                peer.history.add(now, PeerEvent::Failed(piece));
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
            self.notify(now, format!("piece {piece} fails from every peer: torrent or peers are bad"), out);
        }
        if let (1, Some(giver)) = (givers.len(), givers.first()) {
            self.ban_source(now, *giver, piece, out);
        }
    }

    /// Bans a peer or web seed that sent bad data.
    fn ban_source(&mut self, now: Instant, giver: BlockSource, piece: PieceIndex, out: &mut Vec<Effect>) {
        match giver {
            BlockSource::Host(ip) => self.ban(now, ip, &format!("sent bad data (piece {piece})"), out),
            BlockSource::Web(seed) => self.ban_web_seed(now, seed, &self.bad_files(piece), out),
        }
    }
}
