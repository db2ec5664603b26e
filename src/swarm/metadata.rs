//! The search for a magnet's metadata (BEP 9): who is asked for which piece, what is made of the answers, and who is
//! to blame when they make no sense.
//!
//! What is searched for has one hash, and every peer says how long it is. Peers that name one length put it together in
//! one [`Draft`]; so a liar about the length keeps nobody waiting but those who say what it says. A draft that is
//! whole and has the wrong hash is thrown away: if one peer alone gave it, that peer lied. If several did, nobody can
//! tell who, and from then on each peer of that length has a draft of its own, where there is no doubt.
//!
//! Every peer is asked for several pieces at once, also for those that others owe: the whole is mostly small, and an
//! answer that comes twice costs less than waiting for one that never comes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use bytes::Bytes;
use sha1::{Digest, Sha1};

use crate::limits::{self, BLOCK};
use crate::swarm::event::PeerKey;
use crate::wire::message::InfoHash;

/// Pieces asked of one peer at once.
const PIPELINE: usize = 8;
/// Peers that are asked for the same piece at once, while they are young askers: see [`YOUNG`].
const ASKERS: usize = 3;
/// An asker that has waited for this long does not keep others from being asked for the same piece.
const YOUNG: Duration = Duration::from_millis(1500);
/// Faults of a peer (other lengths, pieces of a wrong size, unasked pieces) before it is asked no more.
const FAULTS: u32 = 16;
/// How long a draft may hold its room while others wait for some, at first; twice as long each time.
const HOLD: Duration = Duration::from_secs(30);

/// The length of a draft, and the peer that fills it alone where that is so.
type Name = (u32, Option<PeerKey>);

#[derive(Debug)]
struct Draft {
    pieces: Vec<Option<Bytes>>,
    have: u32,
    senders: BTreeSet<PeerKey>,
    /// Since when it holds room.
    since: Instant,
}

#[derive(Debug)]
struct Holder {
    size: u32,
    /// Pieces asked of it, and when.
    asked: BTreeMap<u32, Instant>,
    /// It is not asked before: it refused or was silent.
    rests_until: Option<Instant>,
    /// Rests in a row.
    rests: u32,
    faults: u32,
    /// Pieces that were asked of it and given up: they may still come.
    late: u32,
    /// It has sent a piece of the right size.
    good: bool,
}

/// What became of an answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Heard {
    /// The search goes on.
    Nothing,
    /// The metadata: their hash is right.
    Whole(Bytes),
    /// This peer gave all of it, and it is not what was searched for.
    Lied(PeerKey),
    /// This peer is of no use and does not keep to the protocol; why, in words.
    Useless(PeerKey, &'static str),
}

/// How the search stands, for people.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Standing {
    /// Connected peers that say that they have the metadata.
    pub holders: u32,
    /// Of them, those that are being asked.
    pub asked: u32,
    /// Of them, those that refused or were silent, and are left alone for a while.
    pub resting: u32,
    /// Pieces here of the draft that has come furthest, and all of it; zeros while there is none.
    pub pieces: (u32, u32),
    /// Drafts that were whole and wrong.
    pub wrong: u32,
}

/// The search for one torrent's metadata.
#[derive(Debug)]
pub struct Search {
    hash: InfoHash,
    holders: BTreeMap<PeerKey, Holder>,
    drafts: BTreeMap<Name, Draft>,
    /// Lengths of which several peers together gave something wrong: from then on each has a draft of its own.
    alone: BTreeSet<u32>,
    wrong: u32,
    /// How long a draft may hold its room while others wait.
    hold: Duration,
    /// Peers that could be asked for more, to be looked at by the next poll; `None` is all of them.
    hungry: Option<BTreeSet<PeerKey>>,
    /// When all of them are to be looked at again.
    next: Option<Instant>,
}

/// How many are being asked for each piece of a draft.
type Askers = BTreeMap<Name, BTreeMap<u32, usize>>;

impl Search {
    /// A search for metadata with this hash.
    #[must_use]
    pub fn new(hash: InfoHash) -> Self {
        Search {
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

    /// A peer says that it has the metadata, and how long they are (1 to [`limits::METADATA`]). Another length than
    /// before counts as a fault.
    pub fn offered(&mut self, key: PeerKey, size: u32) -> Heard {
        if size == 0 || size as usize > limits::METADATA {
            return Heard::Nothing;
        }
        let fresh =
            Holder { size, asked: BTreeMap::new(), rests_until: None, rests: 0, faults: 0, late: 0, good: false };
        if let Some(hungry) = &mut self.hungry {
            hungry.insert(key);
        }
        let holder = self.holders.entry(key).or_insert(fresh);
        if holder.size == size {
            return Heard::Nothing;
        }
        holder.size = size;
        holder.give_up();
        holder.good = false;
        self.drafts.retain(|(_, owner), _| *owner != Some(key));
        self.fault(key, FAULTS / 4, "it names one length of the metadata after the other")
    }

    /// A peer left.
    pub fn gone(&mut self, key: PeerKey) {
        self.holders.remove(&key);
        self.drafts.retain(|(_, owner), _| *owner != Some(key));
        self.sweep();
        self.hungry = None;
    }

    /// Whether a peer may still give metadata.
    #[must_use]
    pub fn hopes_for(&self, key: PeerKey) -> bool {
        self.holders.get(&key).is_some_and(|holder| holder.rests == 0)
    }

    /// A peer sent a piece. `total` is the length of the whole that it says with it.
    pub fn data(&mut self, key: PeerKey, piece: u32, total: Option<u32>, data: &Bytes) -> Heard {
        let Some(holder) = self.holders.get_mut(&key) else { return Heard::Nothing };
        let size = holder.size;
        if holder.asked.remove(&piece).is_none() {
            if holder.late == 0 {
                return self.fault(key, 1, "it sends metadata that nobody asked for");
            }
            // It was given up, and is as good as one that came in time.
            holder.late -= 1;
        }
        if total.is_some_and(|total| total != size) {
            return self.fault(key, FAULTS / 2, "it names several lengths of the metadata");
        }
        if data.len() != length(size, piece) {
            return self.fault(key, FAULTS / 2, "its pieces of the metadata are of the wrong length");
        }
        (holder.good, holder.rests) = (true, 0);
        if let Some(hungry) = &mut self.hungry {
            hungry.insert(key);
        }
        let name = self.name(key, size);
        let Some(draft) = self.drafts.get_mut(&name) else { return Heard::Nothing };
        match draft.pieces.get_mut(piece as usize) {
            // A copy: the buffer that it came in holds other messages too.
            Some(slot @ None) => *slot = Some(Bytes::copy_from_slice(data)),
            _ => return Heard::Nothing,
        }
        draft.have += 1;
        draft.senders.insert(key);
        if draft.have as usize == draft.pieces.len() { self.judge(name) } else { Heard::Nothing }
    }

    /// All pieces of a draft are here.
    fn judge(&mut self, name: Name) -> Heard {
        let Some(draft) = self.drafts.remove(&name) else { return Heard::Nothing };
        let whole: Vec<u8> = draft.pieces.into_iter().flatten().flatten().collect();
        if Sha1::digest(&whole)[..] == self.hash.0 {
            return Heard::Whole(whole.into());
        }
        self.wrong += 1;
        self.hungry = None;
        // What else was asked for that draft is of no use any more.
        let size = name.0;
        for holder in self.holders.values_mut().filter(|holder| holder.size == size) {
            holder.give_up();
        }
        match (draft.senders.len(), draft.senders.first()) {
            (1, Some(liar)) => {
                self.holders.remove(liar);
                Heard::Lied(*liar)
            }
            _ => {
                self.alone.insert(size);
                Heard::Nothing
            }
        }
    }

    /// A peer will not send a piece: it is left alone for a while.
    pub fn rejected(&mut self, now: Instant, key: PeerKey, piece: u32) {
        if let Some(holder) = self.holders.get_mut(&key)
            && holder.asked.remove(&piece).is_some()
        {
            holder.give_up();
            holder.rest(now);
            self.hungry = None;
        }
    }

    fn fault(&mut self, key: PeerKey, weight: u32, why: &'static str) -> Heard {
        let Some(holder) = self.holders.get_mut(&key) else { return Heard::Nothing };
        holder.faults += weight.max(1);
        if holder.faults < FAULTS {
            return Heard::Nothing;
        }
        self.gone(key);
        Heard::Useless(key, why)
    }

    fn name(&self, key: PeerKey, size: u32) -> Name {
        (size, self.alone.contains(&size).then_some(key))
    }

    /// Asks: pushes who is to be asked for which piece. Call it after anything that happened, and at [`Self::deadline`].
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
        // The shortest first: what can be judged soon is judged soon, and needs the least room.
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

    /// How many have been asked just now for each piece of the drafts that several fill.
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

    /// Asks a peer for what its draft lacks: what the fewest others are being asked for first.
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

    /// Whether a draft may be filled: all that are being filled fit into [`limits::METADATA_HELD`]. A shorter one takes
    /// the room of longer ones, and one that waits takes that of those that had theirs for long.
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
        let draft = Draft { pieces: vec![None; pieces], have: 0, senders: BTreeSet::new(), since: now };
        self.drafts.insert(name, draft);
        true
    }

    /// Lets go of drafts that nobody can fill.
    fn sweep(&mut self) {
        let sizes: BTreeSet<u32> = self.holders.values().map(|holder| holder.size).collect();
        let alone = &self.alone;
        self.drafts.retain(|(size, owner), draft| {
            let lives = owner.is_none_or(|owner| self.holders.contains_key(&owner));
            let mode = owner.is_some() == alone.contains(size);
            lives && mode && (sizes.contains(size) || draft.have > 0)
        });
    }

    /// When [`Self::poll`] is to be called although nothing has happened.
    #[must_use]
    pub const fn deadline(&self) -> Option<Instant> {
        self.next
    }

    /// When all are to be looked at again; after `now`.
    fn look_again_at(&self, now: Instant) -> Option<Instant> {
        let late = self.holders.values().filter_map(|h| h.asked.values().min()).map(|at| *at + limits::METADATA_ANSWER);
        let rested = self.holders.values().filter_map(|h| h.rests_until);
        // Those who are asked for nothing may join when others have waited for long, or held their room for long.
        let idle = self.holders.values().any(|h| h.rests_until.is_none() && h.asked.is_empty());
        let aged = self.holders.values().flat_map(|h| h.asked.values()).map(|at| *at + YOUNG);
        let held = self.drafts.values().map(|draft| draft.since + self.hold);
        late.chain(rested).chain(aged.chain(held).filter(|_| idle)).filter(|at| *at > now).min()
    }

    /// How it stands.
    #[must_use]
    pub fn standing(&self) -> Standing {
        let furthest = self.drafts.values().max_by_key(|draft| (draft.have, std::cmp::Reverse(draft.pieces.len())));
        let count = |holds: fn(&Holder) -> bool| self.holders.values().filter(|h| holds(h)).count() as u32;
        Standing {
            holders: self.holders.len() as u32,
            asked: count(|h| !h.asked.is_empty()),
            resting: count(|h| h.rests_until.is_some()),
            pieces: furthest.map_or((0, 0), |draft| (draft.have, draft.pieces.len() as u32)),
            wrong: self.wrong,
        }
    }

    /// Checks what must always hold, and says what does not. For tests.
    ///
    /// # Errors
    /// The first broken invariant, in words.
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

impl Holder {
    /// What was asked of it need not come any more.
    fn give_up(&mut self) {
        self.late += self.asked.len() as u32;
        self.asked.clear();
    }

    /// Leaves it alone: 5 seconds, then twice as long each time, to five minutes.
    fn rest(&mut self, now: Instant) {
        let time = Duration::from_secs(5) * 2_u32.pow(self.rests.min(6));
        self.rests += 1;
        self.rests_until = Some(now + time);
    }
}

/// Bytes of a piece of metadata of this length.
fn length(size: u32, piece: u32) -> usize {
    let begin = u64::from(piece) * u64::from(BLOCK);
    u64::from(size).saturating_sub(begin).min(u64::from(BLOCK)) as usize
}
