//! The way out: whom to serve, and what is on its way to whom.

use std::collections::BTreeSet;
use std::time::Instant;

use super::{Effect, Gone, PeerKey, Torrent};
use crate::limits;
use crate::swarm::choker::{self, Contender};
use crate::swarm::history::Happened;
use crate::swarm::job::DiskFault;
use crate::wire::message::{Block, Message};

impl Torrent {
    /// A peer asks for a block.
    pub(super) fn requested(&mut self, now: Instant, key: PeerKey, block: Block, out: &mut Vec<Effect>) {
        let have = self.picker.have().has(block.piece);
        let exists = self.config.geometry.contains(block) && block.length <= limits::BLOCK_SERVED;
        let Some(peer) = self.peers.get_mut(&key) else { return };
        // What it was not told of does not exist for it (BEP 16).
        let have = have && peer.mask.as_ref().is_none_or(|mask| mask.told.has(block.piece));
        if !exists {
            let text = format!("it asks for piece {} from {}, {} bytes", block.piece, block.begin, block.length);
            self.expel(now, key, Gone::Misbehaved(text), out);
            return;
        }
        let full = peer.queue.len() >= limits::REQUESTS_IN;
        if peer.choked || !have || full {
            if peer.hello.reserved.fast() {
                out.push(Effect::Send { peer: key, message: Message::Reject(block) });
            }
            peer.excess += usize::from(full || peer.choked);
            if peer.excess > limits::REQUESTS_IN_EXCESS {
                self.expel(now, key, Gone::Misbehaved("it asks for far more than it may".into()), out);
            }
            return;
        }
        peer.queue.push_back(block);
    }

    /// A peer does not want a block any more.
    pub(super) fn cancelled(&mut self, key: PeerKey, block: Block, out: &mut Vec<Effect>) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        if let Some(at) = peer.queue.iter().position(|b| *b == block) {
            peer.queue.remove(at);
            if peer.hello.reserved.fast() {
                out.push(Effect::Send { peer: key, message: Message::Reject(block) });
            }
        }
    }

    /// Hands a peer's writer as much as it should have in hand.
    pub(super) fn serve(&mut self, now: Instant, key: PeerKey, out: &mut Vec<Effect>) {
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
            out.extend(peer.queue.pop_front().map(|block| Effect::Upload { peer: key, block }));
        }
    }

    /// Serves everybody who waits, the one with the least first.
    pub(super) fn serve_all(&mut self, now: Instant, out: &mut Vec<Effect>) {
        self.throttled_up = false;
        let waiting = self.peers.iter().filter(|(_, p)| !p.queue.is_empty());
        let mut waiting: Vec<(u64, PeerKey)> = waiting.map(|(key, p)| (p.up.rate(now), *key)).collect();
        waiting.sort_unstable();
        for (_, key) in waiting {
            if self.throttled_up {
                break;
            }
            self.serve(now, key, out);
        }
    }

    /// The socket has taken payload.
    pub(super) fn sent(&mut self, now: Instant, key: PeerKey, bytes: u64, out: &mut Vec<Effect>) {
        self.up.add(now, bytes);
        let Some(peer) = self.peers.get_mut(&key) else { return };
        peer.handed = peer.handed.saturating_sub(bytes);
        if peer.up.total() == 0 && bytes > 0 {
            peer.history.add(now, Happened::FirstSent);
        }
        peer.up.add(now, bytes);
        self.serve(now, key, out);
    }

    /// Blocks could not be read: they are refused, and their pieces are not there any more.
    pub(super) fn unread(
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
            self.tell_loss(piece, out);
        }
        self.unreadable(now, pieces, fault, out);
        self.recount();
        self.look_if_complete(now, out);
        for key in self.peers.keys().copied().collect::<Vec<_>>() {
            self.show_interest(now, key, out);
        }
    }

    /// A peer became interested: it need not wait for the next round while there is a free slot.
    pub(super) fn welcome(&mut self, now: Instant, key: PeerKey, out: &mut Vec<Effect>) {
        let used = self.peers.values().filter(|p| !p.choked && p.interested).count();
        if used <= self.slots {
            self.turn(now, key, false, out);
        }
    }

    /// Chokes or unchokes a peer. What a choked one had asked for is refused.
    fn turn(&mut self, now: Instant, key: PeerKey, choke: bool, out: &mut Vec<Effect>) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        if !peer.set_choked(now, choke) {
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

    /// Decides anew who is served.
    pub(super) fn choke_round(&mut self, now: Instant, out: &mut Vec<Effect>) {
        self.offer_all(now, out);
        self.round += 1;
        self.round_at = Some(now + choker::ROUND);
        let used = self.peers.values().filter(|p| !p.choked && p.interested).count();
        let limits = self.up_limit.iter().filter_map(crate::swarm::rate::Bucket::limit).min();
        self.slots = choker::slots(self.slots, limits, used, self.up.rate(now));
        let contenders: Vec<Contender<PeerKey>> = self
            .peers
            .iter()
            .filter(|(_, p)| p.web.is_none())
            .map(|(key, p)| Contender {
                key: *key,
                interested: p.interested,
                unchoked: !p.choked,
                snubbed: p.snubbed,
                down: p.down.rate(now),
                up: p.up.rate(now),
                waiting: if p.choked { now.saturating_duration_since(p.turned) } else { std::time::Duration::ZERO },
            })
            .collect();
        let choker::Chosen { worthy, in_turn } = choker::choose(&contenders, self.slots, self.complete, self.round);
        let chosen: BTreeSet<PeerKey> = worthy.into_iter().chain(in_turn.iter().copied()).collect();
        for (key, peer) in &mut self.peers {
            peer.in_turn = in_turn.contains(key);
        }
        // Those who lose their slot first, so that there never are more than the slots.
        for c in contenders.iter().filter(|c| c.unchoked && c.interested && !chosen.contains(&c.key)) {
            self.turn(now, c.key, true, out);
        }
        for key in chosen {
            self.turn(now, key, false, out);
        }
    }
}
