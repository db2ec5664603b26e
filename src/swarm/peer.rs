//! One connected peer as the torrent sees it: flags, requests in flight, how deep its pipeline is.

use std::collections::{BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use thiserror::Error;

use crate::limits;
use crate::swarm::bitfield::Bitfield;
use crate::swarm::exchange::Exchange;
use crate::swarm::history::{Happened, History, Share};
use crate::swarm::picker::Giver;
use crate::swarm::rate::{Allowance, Meter};
use crate::swarm::torrent::{Hello, Method};
use crate::swarm::view::Source;
use crate::wire::message::{Block, PeerId, PieceIndex, Reserved};

/// A block asked of a peer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Asked {
    /// Its piece.
    pub piece: PieceIndex,
    /// Its number within the piece.
    pub block: u32,
    /// When it was asked for.
    pub at: Instant,
}

/// What a peer is told while we super-seed (BEP 16): nothing but the pieces offered to it, one after the other.
#[derive(Debug)]
pub struct Mask {
    /// What it was told of.
    pub told: Bitfield,
    /// When it last told of a piece that it has got, from us or from others.
    pub moved: Option<Instant>,
    /// The piece on offer, and since when.
    pub offer: Option<(PieceIndex, Instant)>,
    /// It is being told of everything: the next piece to tell.
    pub lifted: Option<u32>,
}

/// The ids by which a peer takes extended messages (BEP 10); `None` where it does not.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Takes {
    /// Metadata exchange (BEP 9).
    pub metadata: Option<u8>,
    /// Peer exchange (BEP 11).
    pub pex: Option<u8>,
    /// Word that we do not have a piece any more (BEP 54).
    pub dont_have: Option<u8>,
    /// Introductions (BEP 55).
    pub holepunch: Option<u8>,
}

/// What a peer says that it has while nobody knows how many pieces there are.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Early {
    /// Everything (BEP 6).
    all: bool,
    /// Pieces as in a bitfield, as long as they need.
    bits: Vec<u8>,
    /// Bytes of the bitfield that it sent: tells whether that was one of this torrent.
    length: Option<usize>,
    /// It has said something.
    said: bool,
}

/// What was said cannot be true of this torrent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("what it said that it has is of another torrent")]
pub struct OtherTorrent;

impl Early {
    /// It has everything.
    pub const fn has_all(&mut self) {
        (self.all, self.said) = (true, true);
    }

    /// It has nothing.
    pub const fn has_none(&mut self) {
        self.said = true;
    }

    /// It has this piece, one of the first [`limits::PIECES`].
    pub fn has(&mut self, piece: PieceIndex) {
        let at = piece.at() / 8;
        if self.bits.len() <= at {
            self.bits.resize(at + 1, 0);
        }
        self.bits[at] |= 0x80 >> (piece.0 % 8);
        self.said = true;
    }

    /// It has what this bitfield says, besides what it had.
    pub fn has_these(&mut self, bits: &[u8]) {
        if self.bits.len() < bits.len() {
            self.bits.resize(bits.len(), 0);
        }
        self.bits.iter_mut().zip(bits).for_each(|(old, new)| *old |= new);
        (self.length, self.said) = (Some(bits.len()), true);
    }

    /// Bytes that it takes up.
    #[must_use]
    pub const fn held(&self) -> usize {
        self.bits.len()
    }

    /// What that means where there are so many pieces: `None` when it said nothing, an error when it cannot be true.
    ///
    /// # Errors
    /// When it has pieces that do not exist.
    pub fn of(mut self, pieces: u32) -> Result<Option<Bitfield>, OtherTorrent> {
        let length = pieces.div_ceil(8) as usize;
        if self.bits.len() > length || self.length.is_some_and(|told| told != length) {
            return Err(OtherTorrent);
        }
        if !self.said {
            return Ok(None);
        }
        self.bits.resize(length, 0);
        let told = Bitfield::from_wire(&self.bits, pieces).ok_or(OtherTorrent)?;
        Ok(Some(if self.all { Bitfield::full(pieces) } else { told }))
    }
}

/// What only a web seed has (BEP 19).
#[derive(Debug)]
pub struct Web {
    /// Which, by its place among those of the torrent.
    pub seed: u16,
    /// Its host, safe to print.
    pub host: String,
    /// Fetches that are not over.
    pub fetches: usize,
    /// The piece after the last one asked for.
    pub after: Option<PieceIndex>,
}

/// One connected peer, or a web seed, which is asked for blocks like one.
#[derive(Debug)]
pub struct Peer {
    /// Its handshake.
    pub hello: Hello,
    /// Since when it is connected.
    pub since: Instant,
    /// How we learnt of it.
    pub source: Source,
    /// The program's name, safe to print.
    pub client: String,
    /// What it has.
    pub has: Bitfield,
    /// What it said that it has before it was known how many pieces there are.
    pub early: Early,
    /// Whether it has said what it has: from then on a bitfield only adds to that.
    pub told: bool,
    /// How many pieces that we lack and want it has.
    pub wanted: u32,
    /// It chokes us.
    pub chokes_us: bool,
    /// We choke it.
    pub choked: bool,
    /// Since when we choke or unchoke it.
    pub turned: Instant,
    /// We told it that we are interested.
    pub interesting: bool,
    /// It is interested.
    pub interested: bool,
    /// It says that it only uploads (BEP 21).
    pub upload_only: bool,
    /// Where it listens, by its own word.
    pub listens: Option<SocketAddr>,
    /// Introductions that it may ask for.
    pub introductions: Option<Allowance>,
    /// Blocks asked of it, oldest first.
    pub inflight: VecDeque<Asked>,
    /// Blocks that may still come although they were given up, before the next one counts as unasked.
    pub late: u32,
    /// Blocks that came without being asked for.
    pub unasked: u32,
    /// Pieces that it may be asked for while it chokes us (BEP 6).
    pub allowed: BTreeSet<PieceIndex>,
    /// It let us wait too long, and no block has come since.
    pub snubbed: bool,
    /// The last round unchoked it because it was its turn (optimistic unchoke).
    pub in_turn: bool,
    /// When the last block that was asked for came, or the first was asked.
    pub served: Instant,
    /// How many requests it takes at once.
    pub reqq: usize,
    /// Depth of the pipeline in its first second.
    ramp: usize,
    /// Blocks it asked for.
    pub queue: VecDeque<Block>,
    /// Payload bytes in its writer's hands.
    pub handed: u64,
    /// Requests that came while the queue was full.
    pub excess: usize,
    /// Payload from it.
    pub down: Meter,
    /// Payload to it.
    pub up: Meter,
    /// Blocks of its host that were in pieces that failed their hash.
    pub failed: u32,
    /// The ids by which it takes extended messages, as it says.
    pub takes: Takes,
    /// Bytes of its metadata, as it says (BEP 9).
    pub metadata_size: Option<u32>,
    /// Pieces of metadata that it may still have of us.
    pub metadata: Allowance,
    /// Peer exchange with it.
    pub exchange: Exchange,
    /// Pieces that came to us and that it has not been told of: it has everything, and only likes to see how far we are.
    pub untold: Vec<PieceIndex>,
    /// It has told where its DHT node is (BEP 5).
    pub told_node: bool,
    /// It does not know of everything that we have (BEP 16).
    pub mask: Option<Mask>,
    /// It is a web seed.
    pub web: Option<Web>,
    /// What happened between us.
    pub history: History,
    /// Of the time: it choked us, we choked it.
    pub chokes: (Share, Share),
    chatter: Allowance,
    /// Blocks refused since it last gave one.
    refusals: u32,
    /// It is not asked for anything before.
    patience: Instant,
}

impl Peer {
    /// A peer that has just shaken hands, of a torrent of `pieces` pieces.
    #[must_use]
    pub fn new(now: Instant, hello: Hello, source: Source, pieces: u32) -> Self {
        Peer {
            hello,
            since: now,
            source,
            client: crate::wire::client::name(&hello.peer_id),
            has: Bitfield::new(pieces),
            early: Early::default(),
            told: false,
            wanted: 0,
            chokes_us: true,
            choked: true,
            turned: now,
            interesting: false,
            interested: false,
            upload_only: false,
            listens: None,
            introductions: None,
            inflight: VecDeque::new(),
            late: 0,
            unasked: 0,
            allowed: BTreeSet::new(),
            snubbed: false,
            in_turn: false,
            served: now,
            reqq: limits::REQUESTS_OUT_UNTOLD,
            ramp: 64,
            queue: VecDeque::new(),
            handed: 0,
            excess: 0,
            down: Meter::default(),
            up: Meter::default(),
            failed: 0,
            takes: Takes::default(),
            metadata_size: None,
            metadata: Allowance::new(now, limits::METADATA_BURST, limits::METADATA_RATE),
            exchange: Exchange::default(),
            untold: Vec::new(),
            told_node: false,
            mask: None,
            web: None,
            history: History::new(now, if hello.outgoing { Happened::Called } else { Happened::Came }),
            chokes: (Share::new(now, true), Share::new(now, true)),
            chatter: Allowance::new(now, limits::CHATTER_BURST, limits::CHATTER_RATE),
            refusals: 0,
            patience: now,
        }
    }

    /// A web seed of a torrent of `pieces` pieces: one that never chokes and never asks for anything.
    #[must_use]
    pub fn web(now: Instant, seed: u16, host: String, pieces: u32) -> Self {
        // It has no address that would mean anything: names are looked up anew for each connection.
        let addr = SocketAddr::from(([0, 0, 0, 0], 0));
        let (peer_id, reserved) = (PeerId([0; 20]), Reserved::default());
        let hello = Hello { addr, outgoing: true, utp: false, peer_id, reserved, encrypted: None };
        Peer {
            client: "web seed".into(),
            told: true,
            chokes_us: false,
            upload_only: true,
            chokes: (Share::new(now, false), Share::new(now, true)),
            reqq: 2 * limits::WEB_SEED_RUN,
            // A slow one is not to hold much before that is known of it.
            ramp: 16,
            web: Some(Web { seed, host, fetches: 0, after: None }),
            history: History::new(now, Happened::Asked),
            ..Peer::new(now, hello, Source::Web, pieces)
        }
    }

    /// How it is called in sentences: its address, or its host if it is a web seed.
    #[must_use]
    pub fn name(&self) -> String {
        self.web.as_ref().map_or_else(|| self.hello.addr.to_string(), |web| web.host.clone())
    }

    /// Who is to blame for what it sends.
    #[must_use]
    pub fn giver(&self) -> Giver {
        self.web.as_ref().map_or_else(|| Giver::Host(self.ip()), |web| Giver::Web(web.seed))
    }

    /// Its host.
    #[must_use]
    pub fn ip(&self) -> IpAddr {
        self.hello.addr.ip().to_canonical()
    }

    /// The address by which others can be introduced to it (BEP 55): the one that its router has for it where it came by
    /// uTP, else where it listens.
    #[must_use]
    pub fn known_as(&self) -> SocketAddr {
        let called_us_by_tcp = !self.hello.outgoing && !self.hello.utp;
        self.listens.filter(|_| called_us_by_tcp).unwrap_or(self.hello.addr)
    }

    /// Whether it has every piece.
    #[must_use]
    pub fn is_seed(&self) -> bool {
        !self.has.is_empty() && self.has.is_full()
    }

    /// Whether it has every piece, or says that it wants none (BEP 21).
    #[must_use]
    pub fn wants_nothing(&self) -> bool {
        self.is_seed() || (self.upload_only && !self.interested)
    }

    /// How many blocks should be asked of it at once: two seconds' worth at its present rate, so that a link of any
    /// length stays full; in its first second twice as many for each batch that came.
    #[must_use]
    pub fn depth(&self, now: Instant) -> usize {
        if self.snubbed {
            return usize::from(now >= self.patience);
        }
        let young = self.down.since().is_none_or(|first| now.saturating_duration_since(first) < Duration::from_secs(1));
        let blocks = (2 * self.down.rate(now) / u64::from(limits::BLOCK)) as usize;
        if self.web.is_some() {
            // A request of a web seed is worth its head only when it brings more than that.
            let run = if young { self.ramp.max(2 * blocks) } else { (2 * blocks).max(16) };
            return run.min(limits::WEB_SEED_RUN);
        }
        let depth = if young { self.ramp.max(blocks) } else { blocks.max(4) };
        depth.min(self.reqq).min(limits::REQUESTS_OUT)
    }

    /// Finds and takes out the request that these bytes answer.
    pub fn answered(&mut self, now: Instant, piece: PieceIndex, block: u32) -> bool {
        let Some(at) = self.inflight.iter().position(|a| a.piece == piece && a.block == block) else { return false };
        self.inflight.remove(at);
        self.ramp = (self.ramp + 1).min(limits::REQUESTS_OUT);
        self.served = now;
        if std::mem::take(&mut self.snubbed) {
            self.history.add(now, Happened::Delivers);
        }
        self.refusals = 0;
        true
    }

    /// It chokes us from now on, or serves us; whether that is new.
    pub fn set_chokes_us(&mut self, now: Instant, chokes: bool) -> bool {
        if self.chokes_us == chokes {
            return false;
        }
        self.chokes_us = chokes;
        self.chokes.0.set(now, chokes);
        self.history.add(now, if chokes { Happened::ChokesUs } else { Happened::ServesUs });
        true
    }

    /// We choke it from now on, or serve it; whether that is new.
    pub fn set_choked(&mut self, now: Instant, choked: bool) -> bool {
        if self.choked == choked {
            return false;
        }
        (self.choked, self.turned) = (choked, now);
        self.chokes.1.set(now, choked);
        self.history.add(now, if choked { Happened::Choked } else { Happened::Served });
        true
    }

    /// We are interested in it from now on, or not; whether that is new.
    pub fn set_interesting(&mut self, now: Instant, interesting: bool) -> bool {
        if self.interesting == interesting {
            return false;
        }
        self.interesting = interesting;
        self.history.add(now, if interesting { Happened::WeWant } else { Happened::WeWantNothing });
        true
    }

    /// It is interested in us from now on, or not; whether that is new.
    pub fn set_interested(&mut self, now: Instant, interested: bool) -> bool {
        if self.interested == interested {
            return false;
        }
        self.interested = interested;
        self.history.add(now, if interested { Happened::ItWants } else { Happened::ItWantsNothing });
        true
    }

    /// It let us wait too long, or refuses what it says it has.
    pub fn snub(&mut self, now: Instant, why: Happened) {
        if !std::mem::replace(&mut self.snubbed, true) {
            self.history.add(now, why);
        }
    }

    /// It refused a block that it has: after several in a row it counts as one that does not deliver.
    pub fn refused(&mut self, now: Instant) {
        self.refusals += 1;
        if self.refusals > 16 {
            self.snub(now, Happened::Refuses);
            self.patience = now + Duration::from_secs(10);
        }
    }

    /// When this peer is late, if nothing that it was asked for comes before.
    #[must_use]
    pub fn late_at(&self) -> Option<Instant> {
        self.inflight.front().map(|first| first.at.max(self.served) + limits::REQUEST)
    }

    /// Counts a message that is neither a block nor a request; false when there were too many.
    pub fn chat(&mut self, now: Instant) -> bool {
        self.chatter.take(now)
    }

    /// The flag letters that people know from other clients.
    #[must_use]
    pub fn flags(&self) -> String {
        let mut flags = String::new();
        match (self.interesting, self.chokes_us) {
            (true, false) => flags.push('D'),
            (true, true) => flags.push('d'),
            (false, false) => flags.push('K'),
            _ => {}
        }
        match (self.interested, self.choked) {
            (true, false) => flags.push('U'),
            (true, true) => flags.push('u'),
            (false, false) => flags.push('?'),
            _ => {}
        }
        flags.extend((self.in_turn && !self.choked).then_some('O'));
        flags.extend(self.snubbed.then_some('S'));
        flags.extend((!self.hello.outgoing).then_some('I'));
        flags.extend(self.hello.encrypted.map(|method| match method {
            Method::Rc4 => 'E',
            Method::Plaintext => 'e',
        }));
        flags.extend(self.hello.utp.then_some('P'));
        match self.source {
            Source::Lan => flags.push('L'),
            Source::Pex => flags.push('X'),
            Source::Dht => flags.push('H'),
            _ => {}
        }
        flags
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_early_holds_later_or_was_a_lie() {
        let of = |say: fn(&mut Early), pieces| {
            let mut early = Early::default();
            say(&mut early);
            early.of(pieces).map(|has| has.map(|has| has.count()))
        };
        assert_eq!(of(|_| (), 9), Ok(None));
        assert_eq!(of(Early::has_none, 9), Ok(Some(0)));
        assert_eq!(of(Early::has_all, 9), Ok(Some(9)));
        assert_eq!(of(|it| it.has(PieceIndex(8)), 9), Ok(Some(1)));
        assert_eq!(of(|it| it.has(PieceIndex(9)), 9), Err(OtherTorrent), "a spare bit");
        assert_eq!(of(|it| it.has(PieceIndex(800)), 9), Err(OtherTorrent));
        assert_eq!(of(|it| it.has_these(&[0xff, 0x80]), 9), Ok(Some(9)));
        assert_eq!(of(|it| it.has_these(&[0xff]), 9), Err(OtherTorrent));
        let both = |it: &mut Early| {
            it.has_these(&[0x80, 0]);
            it.has(PieceIndex(8));
        };
        assert_eq!(of(both, 9), Ok(Some(2)));
    }
}
