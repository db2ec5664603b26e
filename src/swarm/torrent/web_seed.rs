//! Web seeds (BEP 19): when to use one, which ranges to fetch, how to handle the result.
//!
//! A web seed is a [`Peer`], so that the picker, bans, rate limits and views treat it like one. It is asked for
//! contiguous blocks, whole pieces if possible, a few seconds' worth at a time.

use std::ops::Range;
use std::time::Instant;

use super::{DisconnectReason, Effect, FileRange, PeerKey, Phase, Torrent, WebSeedError, WebSeedFetch};
use crate::limits::BLOCK;
use crate::swarm::bitfield::Bitfield;
use crate::swarm::data_map::ByteRanges;
use crate::swarm::peer::Peer;
use crate::wire::message::{Block, PieceIndex};
use crate::wire::web_seed::{file_url, percent_encode_path};

/// Concurrent fetches per web seed: one in progress and one queued, so that the connection does not idle.
const FETCHES: usize = 2;
/// Maximum number of files named in a ban reason.
const NAMED: usize = 4;
/// Minimum blocks per fetch while other requests are in flight.
const WORTH: usize = 16;

impl Torrent {
    /// Returns whether web seeds may be used now.
    pub(super) fn may_call_web_seeds(&self) -> bool {
        self.phase == Phase::Active && !self.complete && self.fault.is_none()
    }

    /// Adds web seeds that are due as peers.
    pub(super) fn connect_web_seeds(&mut self, now: Instant) {
        while self.may_call_web_seeds()
            && let Some(n) = self.web_seeds.next(now, !self.peers.values().any(|p| p.wanted > 0 && !p.peer_choking))
        {
            let (host, has) = match self.web_seeds.get(n) {
                Some(seed) => (seed.host.clone(), self.pieces_without(&seed.lacks)),
                None => return,
            };
            let wanted = has.iter().filter(|piece| self.picker.wants(*piece)).count() as u32;
            if wanted == 0 {
                self.web_seeds.back_off(now, n);
                continue;
            }
            let mut peer = Peer::web(now, n, host, self.config.geometry.pieces());
            has.iter().for_each(|piece| self.picker.add_copy(piece));
            (peer.has, peer.wanted) = (has, wanted);
            peer.set_am_interested(now, true);
            let key = self.web_seeds.take(n);
            self.write_log(now, format!("web seed {} in use", peer.name()));
            self.peers.insert(key, peer);
            self.refill_queue.insert(key);
        }
    }

    /// Returns all pieces except those that overlap the given files.
    fn pieces_without(&self, files: &std::collections::BTreeSet<usize>) -> Bitfield {
        let mut has = Bitfield::full(self.config.geometry.pieces());
        for span in files.iter().filter_map(|file| self.config.files.get(*file)) {
            for piece in self.config.geometry.pieces_of(span.offset..span.offset + span.length) {
                has.remove(PieceIndex(piece));
            }
        }
        has
    }

    /// Fetches the next run of blocks from a web seed, within the memory budget and the rate limits.
    pub(super) fn refill_web(&mut self, now: Instant, key: PeerKey, out: &mut Vec<Effect>) {
        let Some(peer) = self.peers.get(&key) else { return };
        let Some(web) = &peer.web else { return };
        let (run, asked, after) = (peer.pipeline_depth(now), peer.inflight.len(), web.after);
        let whole = self.web_seeds.get(web.seed).is_some_and(|seed| seed.ignores_ranges);
        if self.fault.is_some() || peer.wanted == 0 || web.fetches >= FETCHES || asked > run / 4 {
            return;
        }
        let room = self.config.quota.budget.saturating_sub(self.outstanding + self.unwritten) / u64::from(BLOCK);
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        let mut n = run.min(room);
        if n < run {
            self.budget_exhausted = true;
            if n < WORTH && self.outstanding + self.unwritten > 0 {
                return;
            }
        }
        n = n.min(self.web_share(now, key));
        n = self.run_within_rate(now, n);
        let mut picks = Vec::new();
        if let Some(peer) = self.peers.get(&key).filter(|_| n > 0) {
            self.picker.pick_run(key, &peer.has, (after, whole), n, &mut self.rng, &mut picks);
        }
        if picks.is_empty() && asked == 0 && n > 0 {
            self.endgame(key, 1, &mut picks);
        }
        if !picks.is_empty() && (self.budget_exhausted || self.throttled_down) {
            self.turn = PeerKey(key.0 + 1);
        }
        self.fetch(now, key, &picks, out);
    }

    /// Returns the web seed's share of the unrequested blocks, by its share of the download rate.
    ///
    /// Near the end this keeps it from holding blocks that other peers would deliver sooner.
    fn web_share(&self, now: Instant, key: PeerKey) -> usize {
        let givers = self.peers.values().filter(|p| !p.peer_choking && p.wanted > 0 && !p.snubbed);
        let (count, all) = givers.fold((0, 0), |(count, all), p| (count + 1, all + p.down.rate(now)));
        let unasked = self.picker.unrequested();
        let own = self.peers.get(&key).map_or(0, |p| p.down.rate(now));
        let share = match all {
            0 => unasked / count.max(1),
            all => (u128::from(unasked) * u128::from(own) / u128::from(all)) as u64,
        };
        usize::try_from(share).unwrap_or(usize::MAX).max(WORTH)
    }

    /// Returns how many of `n` blocks the rate limits allow.
    ///
    /// A response cannot be paused, so the tokens of a whole run are taken at once; a run lasts half a second at most.
    fn run_within_rate(&mut self, now: Instant, n: usize) -> usize {
        let Some(limit) = self.down_limit.iter().filter_map(crate::swarm::rate::TokenBucket::limit).min() else {
            return n;
        };
        let n = n.min((limit / 2 / u64::from(BLOCK)).max(1) as usize);
        let bytes = n as u64 * u64::from(BLOCK);
        if n == 0 || self.down_limit.iter_mut().all(|bucket| bucket.take(now, bytes)) {
            return n;
        }
        self.throttled_down = true;
        0
    }

    fn fetch(&mut self, now: Instant, key: PeerKey, picks: &[(PieceIndex, u32)], out: &mut Vec<Effect>) {
        let Some(last) = picks.last() else { return };
        let blocks = self.add_in_flight(now, key, picks);
        let Some(web) = self.peers.get_mut(&key).and_then(|peer| peer.web.as_mut()) else { return };
        web.fetches += 1;
        web.after = Some(PieceIndex(last.0.0.saturating_add(1)));
        let seed = web.seed;
        let whole = self.web_seeds.get(seed).is_some_and(|seed| seed.ignores_ranges);
        let parts = self.file_ranges(seed, &blocks);
        out.push(Effect::WebFetch { peer: key, fetch: WebSeedFetch { blocks, parts, whole } });
    }

    /// Maps blocks to the file ranges of a web seed. Padding between blocks is left out.
    fn file_ranges(&self, seed: u16, blocks: &[Block]) -> Vec<FileRange> {
        let Some(seed) = self.web_seeds.get(seed) else { return Vec::new() };
        let mut parts = Vec::new();
        let bytes = blocks.iter().map(|block| {
            let from = self.config.geometry.offset(block.piece, block.begin);
            from..from + u64::from(block.length)
        });
        for Range { start, end } in bytes.collect::<ByteRanges>().runs_in(0..self.config.geometry.total()) {
            let first = self.config.files.partition_point(|span| span.offset + span.length <= start);
            let inside = self.config.files.iter().enumerate().skip(first).take_while(|(_, span)| span.offset < end);
            let part = |(file, span): (usize, &super::FileSpan)| {
                let begin = start.max(span.offset);
                let path = || {
                    let plain = || percent_encode_path(span.path.split('/').map(str::as_bytes)).unwrap_or_default();
                    span.web.clone().unwrap_or_else(plain)
                };
                FileRange {
                    file,
                    path: span.path.clone(),
                    url: (!span.pad).then(|| file_url(&seed.url, self.config.is_folder, &path())),
                    from: begin - span.offset,
                    length: end.min(span.offset + span.length) - begin,
                    size: span.length,
                }
            };
            parts.extend(inside.filter(|(_, span)| span.length > 0).map(part));
        }
        parts
    }

    /// Handles the result of a fetch.
    pub(super) fn on_web_fetch_done(
        &mut self,
        now: Instant,
        key: PeerKey,
        result: Result<(), WebSeedError>,
        out: &mut Vec<Effect>,
    ) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        let Some(web) = &mut peer.web else { return };
        let (seed, host) = (web.seed, web.host.clone());
        let fault = match result {
            Ok(()) => {
                web.fetches = web.fetches.saturating_sub(1);
                self.web_seeds.served(seed);
                self.refill_queue.insert(key);
                return;
            }
            Err(fault) => fault,
        };
        if fault.whole {
            if self.web_seeds.sends_whole(seed) {
                self.notify(now, format!("web seed {host}: {}", fault.words), out);
            }
        } else if let Some(file) = fault.file {
            if self.web_seeds.on_missing_file(now, seed, file, &fault.words) {
                self.notify(now, format!("web seed {host}: {}", fault.words), out);
            }
        } else {
            self.web_seeds.release(now, seed, Some(fault.words.clone()), fault.wait);
        }
        self.disconnect(now, key, DisconnectReason::Network(fault.words), out);
    }

    /// Records the disconnect of a web seed and its cause.
    pub(super) fn web_seed_left(&mut self, now: Instant, seed: u16, why: &DisconnectReason) {
        let trouble = match why {
            DisconnectReason::Stopped | DisconnectReason::Useless => None,
            other => Some(other.to_string()),
        };
        self.web_seeds.release(now, seed, trouble, None);
    }

    /// Bans a web seed and disconnects it.
    pub(super) fn ban_web_seed(&mut self, now: Instant, seed: u16, why: &str, out: &mut Vec<Effect>) {
        if !self.web_seeds.ban(seed, why) {
            return;
        }
        let host = self.web_seeds.get(seed).map_or_else(String::new, |seed| seed.host.clone());
        self.notify(now, format!("banned web seed {host}: {why}"), out);
        let is = |peer: &Peer| peer.web.as_ref().is_some_and(|web| web.seed == seed);
        let key = self.peers.iter().find(|(_, peer)| is(peer)).map(|(key, _)| *key);
        if let Some(key) = key {
            self.disconnect(now, key, DisconnectReason::Banned(why.to_owned()), out);
        }
    }

    /// Describes bad data from a web seed, with the files of the piece, one of which differs on the server.
    pub(super) fn bad_files(&self, piece: PieceIndex) -> String {
        let files = self.files_of(piece);
        let (named, rest) = files.split_at(files.len().min(NAMED));
        let rest = if rest.is_empty() { String::new() } else { format!(" or {} more files", rest.len()) };
        format!("sent bad data (piece {piece}, of {}{rest})", named.join(" or "))
    }
}

#[cfg(test)]
mod tests;
