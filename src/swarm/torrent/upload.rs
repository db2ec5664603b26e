//! Upload side: incoming requests, send queues, choke rounds.

use std::collections::BTreeSet;
use std::time::Instant;

use super::{DisconnectReason, Effect, PeerKey, Torrent};
use crate::limits;
use crate::swarm::choker::{self, ChokeCandidate};
use crate::swarm::job::DiskFault;
use crate::swarm::timeline::PeerEvent;
use crate::wire::message::{Block, Message};

impl Torrent {
    /// Handles a `request`: queues the block, or rejects the request (BEP 6).
    pub(super) fn on_request(&mut self, now: Instant, key: PeerKey, block: Block, out: &mut Vec<Effect>) {
        let have = self.picker.have().has(block.piece);
        let exists = self.config.geometry.contains(block) && block.length <= limits::BLOCK_SERVED;
        let Some(peer) = self.peers.get_mut(&key) else { return };
        // While super-seeding, a piece not announced to the peer is treated as missing (BEP 16).
        let have = have && peer.super_seed.as_ref().is_none_or(|mask| mask.told.has(block.piece));
        if !exists {
            let text =
                format!("invalid request: piece {}, offset {}, {} bytes", block.piece, block.begin, block.length);
            self.disconnect(now, key, DisconnectReason::ProtocolViolation(text), out);
            return;
        }
        let full = peer.queue.len() >= limits::REQUESTS_IN;
        if peer.am_choking || !have || full {
            if peer.hello.reserved.fast() {
                out.push(Effect::Send { peer: key, message: Message::Reject(block) });
            }
            peer.excess += usize::from(full || peer.am_choking);
            if peer.excess > limits::REQUESTS_IN_EXCESS {
                self.disconnect(
                    now,
                    key,
                    DisconnectReason::ProtocolViolation("peer sends too many requests".into()),
                    out,
                );
            }
            return;
        }
        peer.queue.push_back(block);
    }

    /// Handles a `cancel`: removes the block from the send queue.
    pub(super) fn on_cancel(&mut self, key: PeerKey, block: Block, out: &mut Vec<Effect>) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        if let Some(at) = peer.queue.iter().position(|b| *b == block) {
            peer.queue.remove(at);
            if peer.hello.reserved.fast() {
                out.push(Effect::Send { peer: key, message: Message::Reject(block) });
            }
        }
    }

    /// Hands blocks to the peer's writer up to [`limits::SEND_WINDOW`] bytes, within the rate limits.
    pub(super) fn fill_send_queue(&mut self, now: Instant, key: PeerKey, out: &mut Vec<Effect>) {
        let limited = self.peers.get(&key).is_some_and(|peer| self.is_limited(peer.source));
        let Some(peer) = self.peers.get_mut(&key) else { return };
        while peer.handed < limits::SEND_WINDOW as u64 {
            let Some(block) = peer.queue.front() else { break };
            let bytes = u64::from(block.length);
            if limited && !self.up_limit.iter_mut().all(|bucket| bucket.take(now, bytes)) {
                self.throttled_up = true;
                break;
            }
            peer.handed += bytes;
            out.extend(peer.queue.pop_front().map(|block| Effect::SendBlock { peer: key, block }));
        }
    }

    /// Serves all peers with queued requests, the lowest upload rate first.
    pub(super) fn serve_all(&mut self, now: Instant, out: &mut Vec<Effect>) {
        self.throttled_up = false;
        let waiting = self.peers.iter().filter(|(_, p)| !p.queue.is_empty());
        let mut waiting: Vec<(u64, PeerKey)> = waiting.map(|(key, p)| (p.up.rate(now), *key)).collect();
        waiting.sort_unstable();
        for (_, key) in waiting {
            if self.throttled_up {
                break;
            }
            self.fill_send_queue(now, key, out);
        }
    }

    /// Handles payload bytes written to the socket.
    pub(super) fn on_bytes_sent(&mut self, now: Instant, key: PeerKey, bytes: u64, out: &mut Vec<Effect>) {
        self.up.add(now, bytes);
        let Some(peer) = self.peers.get_mut(&key) else { return };
        peer.handed = peer.handed.saturating_sub(bytes);
        if peer.up.total() == 0 && bytes > 0 {
            peer.history.add(now, PeerEvent::FirstSent);
        }
        peer.up.add(now, bytes);
        self.fill_send_queue(now, key, out);
    }

    /// Handles blocks that could not be read: rejects the requests and marks their pieces as lost.
    pub(super) fn on_read_failed(
        &mut self,
        now: Instant,
        key: PeerKey,
        blocks: &[Block],
        fault: DiskFault,
        out: &mut Vec<Effect>,
    ) {
        if let Some(peer) = self.peers.get_mut(&key) {
            for block in blocks {
                peer.handed = peer.handed.saturating_sub(u64::from(block.length));
                if peer.hello.reserved.fast() {
                    out.push(Effect::Send { peer: key, message: Message::Reject(*block) });
                }
            }
        }
        let pieces: BTreeSet<_> = blocks.iter().map(|b| b.piece).filter(|p| self.picker.have().has(*p)).collect();
        if pieces.is_empty() {
            return;
        }
        for piece in pieces.iter().copied() {
            self.picker.mark_lost(piece);
            self.send_dont_have(piece, out);
        }
        self.unreadable(now, pieces, fault, out);
        self.recompute_wanted();
        self.check_complete(now, out);
        for key in self.peers.keys().copied().collect::<Vec<_>>() {
            self.update_interest(now, key, out);
        }
    }

    /// Unchokes a newly interested peer if an upload slot is free, without waiting for the next choke round.
    pub(super) fn unchoke_if_slot_free(&mut self, now: Instant, key: PeerKey, out: &mut Vec<Effect>) {
        let used = self.peers.values().filter(|p| !p.am_choking && p.peer_interested).count();
        if used <= self.slots {
            self.set_choked(now, key, false, out);
        }
    }

    /// Chokes or unchokes a peer. Choking rejects the queued requests (BEP 6).
    fn set_choked(&mut self, now: Instant, key: PeerKey, choke: bool, out: &mut Vec<Effect>) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        if !peer.set_am_choking(now, choke) {
            return;
        }
        out.push(Effect::Send { peer: key, message: if choke { Message::Choke } else { Message::Unchoke } });
        if choke {
            let queue = std::mem::take(&mut peer.queue);
            if peer.hello.reserved.fast() {
                out.extend(queue.into_iter().map(|b| Effect::Send { peer: key, message: Message::Reject(b) }));
            }
        } else {
            peer.excess = 0;
        }
    }

    /// Runs the choking algorithm and applies its decision.
    pub(super) fn choke_round(&mut self, now: Instant, out: &mut Vec<Effect>) {
        self.offer_all(now, out);
        self.round += 1;
        self.round_at = Some(now + choker::ROUND);
        let used = self.peers.values().filter(|p| !p.am_choking && p.peer_interested).count();
        let limits = self.up_limit.iter().filter_map(crate::swarm::rate::TokenBucket::limit).min();
        self.slots = choker::slots(self.slots, limits, used, self.up.rate(now));
        let contenders: Vec<ChokeCandidate<PeerKey>> = self
            .peers
            .iter()
            .filter(|(_, p)| p.web.is_none())
            .map(|(key, p)| ChokeCandidate {
                key: *key,
                interested: p.peer_interested,
                unchoked: !p.am_choking,
                snubbed: p.snubbed,
                down: p.down.rate(now),
                up: p.up.rate(now),
                waiting: if p.am_choking { now.saturating_duration_since(p.turned) } else { std::time::Duration::ZERO },
            })
            .collect();
        let choker::ChokeDecision { regular: worthy, optimistic: in_turn } =
            choker::choose(&contenders, self.slots, self.complete, self.round);
        let chosen: BTreeSet<PeerKey> = worthy.into_iter().chain(in_turn.iter().copied()).collect();
        for (key, peer) in &mut self.peers {
            peer.optimistic = in_turn.contains(key);
        }
        // Choke first, so that the number of unchoked peers never exceeds the slots.
        for c in contenders.iter().filter(|c| c.unchoked && c.interested && !chosen.contains(&c.key)) {
            self.set_choked(now, c.key, true, out);
        }
        for key in chosen {
            self.set_choked(now, key, false, out);
        }
    }
}
