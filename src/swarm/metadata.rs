//! Metadata download of a magnet link (BEP 9, `ut_metadata`): scheduling and verification.
//!
//! The info-hash verifies the complete metadata only, and every peer states its size. Peers that state the same size
//! share one `MetadataAttempt`, so a false size delays only peers that state it too. An attempt that is complete but
//! fails the hash check is discarded: if a single peer sent all of it, that peer is at fault. With several senders the
//! culprit is unknown, and from then on each peer of that size gets an attempt of its own.
//!
//! Several pieces are requested from each peer, also pieces already requested from others: metadata is small, and a
//! duplicate costs less than waiting for a piece that never comes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use bytes::Bytes;
use sha1::{Digest, Sha1};

use crate::limits::{self, BLOCK};
use crate::swarm::event::PeerKey;
use crate::swarm::status::{MetadataProgress, PieceProgress};
use crate::wire::message::InfoHash;

/// Maximum number of in-flight requests per peer.
const PIPELINE: usize = 8;
/// Maximum number of recent requests for the same piece to different peers; see [`YOUNG`].
const ASKERS: usize = 3;
/// A request older than this no longer counts towards [`ASKERS`].
const YOUNG: Duration = Duration::from_millis(1500);
/// Fault points (changed size, wrong piece size, unrequested piece) at which a peer is dropped.
const FAULTS: u32 = 16;
/// Initial time that an attempt keeps its buffer while others wait; doubles with evictions by age.
const HOLD: Duration = Duration::from_secs(30);

/// Key of an attempt: the metadata size, and the peer if the attempt is not shared.
type Name = (u32, Option<PeerKey>);

#[derive(Debug)]
struct MetadataAttempt {
    pieces: Vec<Option<Bytes>>,
    have: u32,
    senders: BTreeSet<PeerKey>,
    /// When the attempt started to use memory.
    since: Instant,
}

#[derive(Debug)]
struct MetadataPeer {
    size: u32,
    /// In-flight requests by piece, with the time of the request.
    asked: BTreeMap<u32, Instant>,
    /// No requests before this time, after a reject or a timeout.
    rests_until: Option<Instant>,
    /// Consecutive back-offs.
    rests: u32,
    faults: u32,
    /// Requests given up whose pieces may still arrive.
    late: u32,
    /// The peer has sent a piece of the right size.
    good: bool,
}

/// The effect of a message from a peer on the metadata download.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum MetadataOutcome {
    /// The download continues.
    Nothing,
    /// The complete metadata; its hash matches the info-hash.
    Complete(Bytes),
    /// This peer alone sent metadata that failed the hash check.
    BadHash(PeerKey),
    /// This peer violates the protocol and is dropped; with the reason as text.
    Useless(PeerKey, &'static str),
}

/// The metadata download of one torrent.
#[derive(Debug)]
pub struct MetadataDownload {
    hash: InfoHash,
    holders: BTreeMap<PeerKey, MetadataPeer>,
    drafts: BTreeMap<Name, MetadataAttempt>,
    /// Sizes whose shared attempt failed the hash check: one attempt per peer from then on.
    alone: BTreeSet<u32>,
    wrong: u32,
    /// How long an attempt keeps its buffer while others wait for memory.
    hold: Duration,
    /// Peers to consider in the next poll; `None` means all.
    hungry: Option<BTreeSet<PeerKey>>,
    /// When all peers are considered again.
    next: Option<Instant>,
}

/// Number of recent requests for each piece, by attempt.
type Askers = BTreeMap<Name, BTreeMap<u32, usize>>;

impl MetadataDownload {
    /// Creates a download of the metadata with this info-hash.
    #[must_use]
    pub fn new(hash: InfoHash) -> Self {
        MetadataDownload {
            hash,
            holders: BTreeMap::new(),
            drafts: BTreeMap::new(),
            alone: BTreeSet::new(),
            wrong: 0,
            hold: HOLD,
            hungry: Some(BTreeSet::new()),
            next: None,
        }
    }

    /// Records that a peer offers metadata of this size.
    ///
    /// Ignored unless the size is 1 to [`limits::METADATA`] bytes. A changed size counts as a fault.
    pub fn offered(&mut self, key: PeerKey, size: u32) -> MetadataOutcome {
        if size == 0 || size as usize > limits::METADATA {
            return MetadataOutcome::Nothing;
        }
        let fresh =
            MetadataPeer { size, asked: BTreeMap::new(), rests_until: None, rests: 0, faults: 0, late: 0, good: false };
        if let Some(hungry) = &mut self.hungry {
            hungry.insert(key);
        }
        let holder = self.holders.entry(key).or_insert(fresh);
        if holder.size == size {
            return MetadataOutcome::Nothing;
        }
        holder.size = size;
        holder.give_up();
        holder.good = false;
        self.drafts.retain(|(_, owner), _| *owner != Some(key));
        self.fault(key, FAULTS / 4, "peer keeps changing the metadata size")
    }

    /// Removes a disconnected peer.
    pub fn on_disconnected(&mut self, key: PeerKey) {
        self.holders.remove(&key);
        self.drafts.retain(|(_, owner), _| *owner != Some(key));
        self.sweep();
        self.hungry = None;
    }

    /// Returns whether a peer offers the metadata and did not fail lately.
    #[must_use]
    pub fn hopes_for(&self, key: PeerKey) -> bool {
        self.holders.get(&key).is_some_and(|holder| holder.rests == 0)
    }

    /// Handles a `data` message; `total` is its `total_size`.
    pub fn data(&mut self, key: PeerKey, piece: u32, total: Option<u32>, data: &Bytes) -> MetadataOutcome {
        let Some(holder) = self.holders.get_mut(&key) else { return MetadataOutcome::Nothing };
        let size = holder.size;
        if holder.asked.remove(&piece).is_none() {
            if holder.late == 0 {
                return self.fault(key, 1, "peer sends metadata that was not requested");
            }
            // The answer to a request that was given up: late, but valid.
            holder.late -= 1;
        }
        if total.is_some_and(|total| total != size) {
            return self.fault(key, FAULTS / 2, "peer reports different metadata sizes");
        }
        if data.len() != length(size, piece) {
            return self.fault(key, FAULTS / 2, "metadata pieces of the wrong length");
        }
        (holder.good, holder.rests) = (true, 0);
        if let Some(hungry) = &mut self.hungry {
            hungry.insert(key);
        }
        let name = self.name(key, size);
        let Some(draft) = self.drafts.get_mut(&name) else { return MetadataOutcome::Nothing };
        match draft.pieces.get_mut(piece as usize) {
            // Copied so as not to keep the whole receive buffer alive.
            Some(slot @ None) => *slot = Some(Bytes::copy_from_slice(data)),
            _ => return MetadataOutcome::Nothing,
        }
        draft.have += 1;
        draft.senders.insert(key);
        if draft.have as usize == draft.pieces.len() { self.judge(name) } else { MetadataOutcome::Nothing }
    }

    /// Verifies the hash of a complete attempt.
    fn judge(&mut self, name: Name) -> MetadataOutcome {
        let Some(draft) = self.drafts.remove(&name) else { return MetadataOutcome::Nothing };
        let whole: Vec<u8> = draft.pieces.into_iter().flatten().flatten().collect();
        if Sha1::digest(&whole)[..] == self.hash.0 {
            return MetadataOutcome::Complete(whole.into());
        }
        self.wrong += 1;
        self.hungry = None;
        // Requests of this attempt are obsolete.
        let size = name.0;
        for holder in self.holders.values_mut().filter(|holder| holder.size == size) {
            holder.give_up();
        }
        match (draft.senders.len(), draft.senders.first()) {
            (1, Some(liar)) => {
                self.holders.remove(liar);
                MetadataOutcome::BadHash(*liar)
            }
            _ => {
                self.alone.insert(size);
                MetadataOutcome::Nothing
            }
        }
    }

    /// Handles a `reject` message: applies the back-off to the peer.
    pub fn rejected(&mut self, now: Instant, key: PeerKey, piece: u32) {
        if let Some(holder) = self.holders.get_mut(&key)
            && holder.asked.remove(&piece).is_some()
        {
            holder.give_up();
            holder.rest(now);
            self.hungry = None;
        }
    }

    fn fault(&mut self, key: PeerKey, weight: u32, why: &'static str) -> MetadataOutcome {
        let Some(holder) = self.holders.get_mut(&key) else { return MetadataOutcome::Nothing };
        holder.faults += weight.max(1);
        if holder.faults < FAULTS {
            return MetadataOutcome::Nothing;
        }
        self.on_disconnected(key);
        MetadataOutcome::Useless(key, why)
    }

    fn name(&self, key: PeerKey, size: u32) -> Name {
        (size, self.alone.contains(&size).then_some(key))
    }

    /// Pushes the requests to send. Call after every event and at [`Self::deadline`].
    pub fn poll(&mut self, now: Instant, asks: &mut Vec<(PeerKey, u32)>) {
        if self.next.is_some_and(|at| now >= at) {
            self.hungry = None;
        }
        let hungry = self.hungry.replace(BTreeSet::new());
        if hungry.as_ref().is_some_and(BTreeSet::is_empty) {
            return;
        }
        for holder in self.holders.values_mut() {
            let late = |at: &Instant| now >= *at + limits::METADATA_ANSWER;
            if holder.asked.values().any(late) {
                holder.give_up();
                holder.rest(now);
            }
            holder.rests_until = holder.rests_until.filter(|until| now < *until);
        }
        // Smallest size first: soonest complete, least memory.
        let meant = |key: &PeerKey| hungry.as_ref().is_none_or(|hungry| hungry.contains(key));
        let mut ready: Vec<(u32, bool, PeerKey)> = self
            .holders
            .iter()
            .filter(|(key, h)| meant(key) && h.rests_until.is_none() && h.asked.len() < PIPELINE)
            .map(|(key, h)| (h.size, !h.good, *key))
            .collect();
        ready.sort_unstable();
        let mut askers = self.askers(now);
        for (size, _, key) in ready {
            let name = self.name(key, size);
            if self.make_room(now, name) {
                self.ask(now, key, name, askers.entry(name).or_default(), asks);
            }
        }
        self.sweep();
        self.next = self.look_again_at(now);
    }

    /// Counts the recent requests per piece of the shared attempts.
    fn askers(&self, now: Instant) -> Askers {
        let mut all = Askers::new();
        for holder in self.holders.values() {
            let of = all.entry((holder.size, None)).or_default();
            for (piece, _) in holder.asked.iter().filter(|(_, at)| now < **at + YOUNG) {
                *of.entry(*piece).or_default() += 1;
            }
        }
        all
    }

    /// Requests missing pieces from a peer, those with the fewest recent requests first.
    fn ask(
        &mut self,
        now: Instant,
        key: PeerKey,
        name: Name,
        askers: &mut BTreeMap<u32, usize>,
        asks: &mut Vec<(PeerKey, u32)>,
    ) {
        let Some(draft) = self.drafts.get(&name) else { return };
        let Some(holder) = self.holders.get_mut(&key) else { return };
        let most = if holder.good { usize::MAX } else { ASKERS };
        let lacks = |piece: &u32| draft.pieces[*piece as usize].is_none() && !holder.asked.contains_key(piece);
        let asked = |piece: &u32| askers.get(piece).copied().unwrap_or(0);
        let mut wanted: Vec<u32> = (0..draft.pieces.len() as u32).filter(lacks).collect();
        wanted.sort_by_key(asked);
        wanted.retain(|piece| asked(piece) < most);
        wanted.truncate(PIPELINE - holder.asked.len().min(PIPELINE));
        for piece in wanted {
            *askers.entry(piece).or_default() += 1;
            holder.asked.insert(piece, now);
            asks.push((key, piece));
        }
    }

    /// Creates the attempt if needed; returns whether [`limits::METADATA_HELD`] allows it.
    ///
    /// An attempt may evict larger ones and those older than `hold`.
    fn make_room(&mut self, now: Instant, name: Name) -> bool {
        let held: u64 = self.drafts.keys().map(|(size, _)| u64::from(*size)).sum();
        if self.drafts.contains_key(&name) {
            return true;
        }
        let mut over = (held + u64::from(name.0)).saturating_sub(limits::METADATA_HELD as u64);
        if over > 0 {
            let hold = self.hold;
            let mut old: Vec<(bool, u32, Name)> = self
                .drafts
                .iter()
                .filter(|((size, _), draft)| *size > name.0 || now >= draft.since + hold)
                .map(|(name, draft)| (now < draft.since + hold, u32::MAX - name.0, *name))
                .collect();
            old.sort_unstable();
            let room: u64 = old.iter().map(|(.., (size, _))| u64::from(*size)).sum();
            if room < over {
                return false;
            }
            let tired = old.first().is_some_and(|(young, ..)| !young);
            for (.., (size, owner)) in old {
                if over == 0 {
                    break;
                }
                self.drafts.remove(&(size, owner));
                over = over.saturating_sub(u64::from(size));
                for holder in self.holders.values_mut().filter(|h| h.size == size) {
                    holder.give_up();
                    holder.rest(now);
                }
            }
            if tired {
                self.hold = (self.hold * 2).min(Duration::from_secs(3600));
            }
        }
        let pieces = name.0.div_ceil(BLOCK) as usize;
        let draft = MetadataAttempt { pieces: vec![None; pieces], have: 0, senders: BTreeSet::new(), since: now };
        self.drafts.insert(name, draft);
        true
    }

    /// Removes attempts that no peer can complete.
    fn sweep(&mut self) {
        let sizes: BTreeSet<u32> = self.holders.values().map(|holder| holder.size).collect();
        let alone = &self.alone;
        self.drafts.retain(|(size, owner), draft| {
            let lives = owner.is_none_or(|owner| self.holders.contains_key(&owner));
            let mode = owner.is_some() == alone.contains(size);
            lives && mode && (sizes.contains(size) || draft.have > 0)
        });
    }

    /// Returns when [`Self::poll`] must be called even if no event occurs.
    #[must_use]
    pub const fn deadline(&self) -> Option<Instant> {
        self.next
    }

    /// Returns the next time, after `now`, at which all peers are considered again.
    fn look_again_at(&self, now: Instant) -> Option<Instant> {
        let late = self.holders.values().filter_map(|h| h.asked.values().min()).map(|at| *at + limits::METADATA_ANSWER);
        let rested = self.holders.values().filter_map(|h| h.rests_until);
        // Idle peers may take over when requests are no longer recent or when an attempt may be evicted by age.
        let idle = self.holders.values().any(|h| h.rests_until.is_none() && h.asked.is_empty());
        let aged = self.holders.values().flat_map(|h| h.asked.values()).map(|at| *at + YOUNG);
        let held = self.drafts.values().map(|draft| draft.since + self.hold);
        late.chain(rested).chain(aged.chain(held).filter(|_| idle)).filter(|at| *at > now).min()
    }

    /// Returns the progress for the view.
    #[must_use]
    pub fn progress(&self) -> MetadataProgress {
        let furthest = self.drafts.values().max_by_key(|draft| (draft.have, std::cmp::Reverse(draft.pieces.len())));
        let count = |holds: fn(&MetadataPeer) -> bool| self.holders.values().filter(|h| holds(h)).count() as u32;
        MetadataProgress {
            holders: self.holders.len() as u32,
            asked: count(|h| !h.asked.is_empty()),
            resting: count(|h| h.rests_until.is_some()),
            pieces: furthest
                .map(|draft| PieceProgress { done: draft.have, total: draft.pieces.len() as u32 })
                .unwrap_or_default(),
            wrong: self.wrong,
        }
    }

    /// Checks the invariants; for tests.
    ///
    /// # Errors
    /// Describes the first violated invariant.
    pub fn check_invariants(&self) -> Result<(), String> {
        let held: u64 = self.drafts.values().flat_map(|d| d.pieces.iter().flatten()).map(|p| p.len() as u64).sum();
        if held > limits::METADATA_HELD as u64 {
            return Err(format!("{held} bytes of metadata are held"));
        }
        for ((size, _), draft) in &self.drafts {
            let here = draft.pieces.iter().flatten().count();
            if here != draft.have as usize || here == draft.pieces.len() {
                return Err(format!("a draft of {size} bytes has {here} pieces, {} are counted", draft.have));
            }
        }
        match self.holders.iter().find(|(_, h)| h.asked.len() > PIPELINE || h.faults >= FAULTS) {
            Some((key, holder)) => Err(format!("{key:?}: {holder:?}")),
            None => Ok(()),
        }
    }
}

impl MetadataPeer {
    /// Gives up all in-flight requests; their pieces may still arrive.
    fn give_up(&mut self) {
        self.late += self.asked.len() as u32;
        self.asked.clear();
    }

    /// Applies the back-off: 5 s, doubling up to 320 s.
    fn rest(&mut self, now: Instant) {
        let time = Duration::from_secs(5) * 2_u32.pow(self.rests.min(6));
        self.rests += 1;
        self.rests_until = Some(now + time);
    }
}

/// Returns the size of a metadata piece in bytes.
fn length(size: u32, piece: u32) -> usize {
    let begin = u64::from(piece) * u64::from(BLOCK);
    u64::from(size).saturating_sub(begin).min(u64::from(BLOCK)) as usize
}
