//! A connected peer: choke and interest flags, in-flight requests, pipeline depth, rates.

use std::collections::{BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use thiserror::Error;

use crate::limits;
use crate::swarm::bitfield::Bitfield;
use crate::swarm::event::{CryptoMethod, PeerInfo};
use crate::swarm::pex::PexState;
use crate::swarm::picker::BlockSource;
use crate::swarm::rate::{BurstLimiter, RateMeter};
use crate::swarm::timeline::{PeerEvent, TimeShare, Timeline};
use crate::swarm::view::Source;
use crate::wire::message::{Block, PeerId, PieceIndex, Reserved};

/// A block request sent to a peer and not yet answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct InFlightRequest {
    pub piece: PieceIndex,
    /// Block index within the piece.
    pub block: u32,
    /// When the request was sent.
    pub at: Instant,
}

/// Super-seeding state of one peer (BEP 16): the pieces announced and the piece on offer.
#[derive(Debug)]
pub(crate) struct SuperSeedState {
    /// Pieces announced to the peer.
    pub told: Bitfield,
    /// When the peer last announced a new piece, whatever its origin.
    pub moved: Option<Instant>,
    /// The offered piece and when it was offered.
    pub offer: Option<(PieceIndex, Instant)>,
    /// Super-seeding to the peer is ending: the next piece to announce.
    pub lifted: Option<u32>,
}

/// Extended message ids of a peer (BEP 10); `None` if it does not support the extension.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct ExtensionIds {
    /// `ut_metadata` (BEP 9).
    pub metadata: Option<u8>,
    /// `ut_pex` (BEP 11).
    pub pex: Option<u8>,
    /// `lt_donthave` (BEP 54).
    pub dont_have: Option<u8>,
    /// `ut_holepunch` (BEP 55).
    pub holepunch: Option<u8>,
}

/// The pieces of a peer as received before the metadata: the number of pieces is still unknown.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct PendingBitfield {
    /// `have all` (BEP 6) was received.
    all: bool,
    /// Announced pieces in bitfield order, grown as needed.
    bits: Vec<u8>,
    /// Length in bytes of the received bitfield, to be checked against the metadata.
    length: Option<usize>,
    /// Any bitfield, `have`, `have all` or `have none` was received.
    said: bool,
}

/// The announced pieces do not fit the piece count of this torrent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("what it said that it has is of another torrent")]
pub(crate) struct BitfieldMismatch;

impl PendingBitfield {
    /// Records `have all`.
    pub(crate) const fn on_have_all(&mut self) {
        (self.all, self.said) = (true, true);
    }

    /// Records `have none`.
    pub(crate) const fn on_have_none(&mut self) {
        self.said = true;
    }

    /// Records `have`; the caller checks that the index is below [`limits::PIECES`].
    pub(crate) fn has(&mut self, piece: PieceIndex) {
        let at = piece.as_usize() / 8;
        if self.bits.len() <= at {
            self.bits.resize(at + 1, 0);
        }
        self.bits[at] |= 0x80 >> (piece.0 % 8);
        self.said = true;
    }

    /// Merges a received bitfield.
    pub(crate) fn on_bitfield(&mut self, bits: &[u8]) {
        if self.bits.len() < bits.len() {
            self.bits.resize(bits.len(), 0);
        }
        self.bits.iter_mut().zip(bits).for_each(|(old, new)| *old |= new);
        (self.length, self.said) = (Some(bits.len()), true);
    }

    /// Returns the bytes of memory in use.
    #[must_use]
    pub(crate) const fn held(&self) -> usize {
        self.bits.len()
    }

    /// Converts into a bitfield of `pieces` pieces; `None` if nothing was received.
    ///
    /// # Errors
    /// If an announced piece does not exist or the bitfield has the wrong length.
    pub(crate) fn into_bitfield(mut self, pieces: u32) -> Result<Option<Bitfield>, BitfieldMismatch> {
        let length = pieces.div_ceil(8) as usize;
        if self.bits.len() > length || self.length.is_some_and(|told| told != length) {
            return Err(BitfieldMismatch);
        }
        if !self.said {
            return Ok(None);
        }
        self.bits.resize(length, 0);
        let told = Bitfield::from_wire(&self.bits, pieces).ok_or(BitfieldMismatch)?;
        Ok(Some(if self.all { Bitfield::full(pieces) } else { told }))
    }
}

/// State that only a web seed has (BEP 19).
#[derive(Debug)]
pub(crate) struct WebSeedPeer {
    /// Index among the web seeds of the torrent.
    pub seed: u16,
    /// Host name, safe to print.
    pub host: String,
    /// Number of unfinished fetches.
    pub fetches: usize,
    /// The piece after the last one requested.
    pub after: Option<PieceIndex>,
}

/// A connected peer, or a web seed modeled as one.
#[derive(Debug)]
pub(crate) struct Peer {
    /// The result of the handshake.
    pub hello: PeerInfo,
    /// Time of the connection.
    pub since: Instant,
    /// How the address was found.
    pub source: Source,
    /// Client name, safe to print.
    pub client: String,
    /// Pieces of the peer.
    pub has: Bitfield,
    /// Pieces announced before the metadata was known.
    pub early: PendingBitfield,
    /// The peer has announced its pieces: a later bitfield is merged instead of replacing them.
    pub told: bool,
    /// Number of pieces of the peer that we want and do not have.
    pub wanted: u32,
    pub peer_choking: bool,
    pub am_choking: bool,
    /// Time of the last change of `am_choking`.
    pub turned: Instant,
    pub am_interested: bool,
    pub peer_interested: bool,
    /// The peer is upload-only (BEP 21).
    pub upload_only: bool,
    /// Listen address, from the extension handshake.
    pub listens: Option<SocketAddr>,
    /// Rate limit of the rendezvous requests of the peer (BEP 55).
    pub introductions: Option<BurstLimiter>,
    /// In-flight requests, oldest first.
    pub inflight: VecDeque<InFlightRequest>,
    /// Given-up requests whose blocks may still arrive; further blocks count as `unasked`.
    pub late: u32,
    /// Number of unrequested blocks received.
    pub unasked: u32,
    /// Allowed fast pieces: requestable while the peer chokes us (BEP 6).
    pub allowed: BTreeSet<PieceIndex>,
    /// Requests timed out, and no block has arrived since.
    pub snubbed: bool,
    /// Unchoked by the optimistic unchoke of the last round.
    pub optimistic: bool,
    /// Time of the last requested block, or of the first request.
    pub served: Instant,
    /// Maximum number of in-flight requests the peer accepts (`reqq`, BEP 10).
    pub reqq: usize,
    /// Pipeline depth during the first second.
    ramp: usize,
    /// Blocks requested by the peer.
    pub queue: VecDeque<Block>,
    /// Payload bytes handed to the writer and not yet sent.
    pub handed: u64,
    /// Requests received while `queue` was full.
    pub excess: usize,
    /// Payload download meter.
    pub down: RateMeter,
    /// Payload upload meter.
    pub up: RateMeter,
    /// Blocks of this host in pieces that failed their hash check.
    pub failed: u32,
    /// Extended message ids of the peer.
    pub extension_ids: ExtensionIds,
    /// `metadata_size` of the peer in bytes (BEP 9).
    pub metadata_size: Option<u32>,
    /// Rate limit of the metadata pieces sent to the peer.
    pub metadata: BurstLimiter,
    /// PEX state.
    pub pex: PexState,
    /// Received pieces not announced to the peer yet. Used for seeds, which need `have` for display only.
    pub unannounced: Vec<PieceIndex>,
    /// The peer has sent its DHT port (`port`, BEP 5).
    pub sent_dht_port: bool,
    /// Super-seeding state; `None` if all pieces are announced (BEP 16).
    pub super_seed: Option<SuperSeedState>,
    /// Set for a web seed.
    pub web: Option<WebSeedPeer>,
    /// Events of the connection for the view.
    pub history: Timeline,
    /// Share of the time that the peer choked us, and that we choked the peer.
    pub chokes: (TimeShare, TimeShare),
    chatter: BurstLimiter,
    /// Consecutive rejected requests since the last block.
    refusals: u32,
    /// No requests to the snubbed peer before this time.
    snub_backoff_until: Instant,
}

impl Peer {
    /// Creates a peer after its handshake, for a torrent of `pieces` pieces.
    #[must_use]
    pub(crate) fn new(now: Instant, hello: PeerInfo, source: Source, pieces: u32) -> Self {
        Peer {
            hello,
            since: now,
            source,
            client: crate::wire::peer_id::client_name(&hello.peer_id),
            has: Bitfield::new(pieces),
            early: PendingBitfield::default(),
            told: false,
            wanted: 0,
            peer_choking: true,
            am_choking: true,
            turned: now,
            am_interested: false,
            peer_interested: false,
            upload_only: false,
            listens: None,
            introductions: None,
            inflight: VecDeque::new(),
            late: 0,
            unasked: 0,
            allowed: BTreeSet::new(),
            snubbed: false,
            optimistic: false,
            served: now,
            reqq: limits::REQUESTS_OUT_UNTOLD,
            ramp: 64,
            queue: VecDeque::new(),
            handed: 0,
            excess: 0,
            down: RateMeter::default(),
            up: RateMeter::default(),
            failed: 0,
            extension_ids: ExtensionIds::default(),
            metadata_size: None,
            metadata: BurstLimiter::new(now, limits::METADATA_BURST, limits::METADATA_RATE),
            pex: PexState::default(),
            unannounced: Vec::new(),
            sent_dht_port: false,
            super_seed: None,
            web: None,
            history: Timeline::new(now, if hello.outgoing { PeerEvent::Dialled } else { PeerEvent::AcceptedIncoming }),
            chokes: (TimeShare::new(now, true), TimeShare::new(now, true)),
            chatter: BurstLimiter::new(now, limits::CHATTER_BURST, limits::CHATTER_RATE),
            refusals: 0,
            snub_backoff_until: now,
        }
    }

    /// Creates a web seed, which never chokes and never sends requests.
    #[must_use]
    pub(crate) fn web(now: Instant, seed: u16, host: String, pieces: u32) -> Self {
        // Placeholder address: the host name is resolved for each connection.
        let addr = SocketAddr::from(([0, 0, 0, 0], 0));
        let (peer_id, reserved) = (PeerId([0; 20]), Reserved::default());
        let hello = PeerInfo { addr, outgoing: true, utp: false, peer_id, reserved, encrypted: None };
        Peer {
            client: "web seed".into(),
            told: true,
            peer_choking: false,
            upload_only: true,
            chokes: (TimeShare::new(now, false), TimeShare::new(now, true)),
            reqq: 2 * limits::WEB_SEED_RUN,
            // Few requests at first, so that a slow web seed does not reserve many blocks.
            ramp: 16,
            web: Some(WebSeedPeer { seed, host, fetches: 0, after: None }),
            history: Timeline::new(now, PeerEvent::Asked),
            ..Peer::new(now, hello, Source::Web, pieces)
        }
    }

    /// Returns the display name: the address, or the host of a web seed.
    #[must_use]
    pub(crate) fn name(&self) -> String {
        self.web.as_ref().map_or_else(|| self.hello.addr.to_string(), |web| web.host.clone())
    }

    /// Returns the source to blame for bad blocks.
    #[must_use]
    pub(crate) fn block_source(&self) -> BlockSource {
        self.web.as_ref().map_or_else(|| BlockSource::Host(self.ip()), |web| BlockSource::Web(web.seed))
    }

    /// Returns the IP address in canonical form.
    #[must_use]
    pub(crate) fn ip(&self) -> IpAddr {
        self.hello.addr.ip().to_canonical()
    }

    /// Returns the address for hole punching to this peer (BEP 55).
    ///
    /// An incoming TCP connection has an ephemeral source port: its listen address is used instead, if known.
    /// Otherwise the address of the connection, which over uTP is also the one mapped by the peer's NAT.
    #[must_use]
    pub(crate) fn holepunch_addr(&self) -> SocketAddr {
        let called_us_by_tcp = !self.hello.outgoing && !self.hello.utp;
        self.listens.filter(|_| called_us_by_tcp).unwrap_or(self.hello.addr)
    }

    /// Returns whether the peer has every piece.
    #[must_use]
    pub(crate) fn is_seed(&self) -> bool {
        !self.has.is_empty() && self.has.is_full()
    }

    /// Returns whether the peer is a seed, or upload-only (BEP 21) and not interested.
    #[must_use]
    pub(crate) fn wants_nothing(&self) -> bool {
        self.is_seed() || (self.upload_only && !self.peer_interested)
    }

    /// Returns the target number of in-flight requests.
    ///
    /// Two seconds' worth of blocks at the current rate keep a link of any latency busy. During the first second the
    /// depth grows by one per received block, like slow start. A snubbed peer gets at most one request.
    #[must_use]
    pub(crate) fn pipeline_depth(&self, now: Instant) -> usize {
        if self.snubbed {
            return usize::from(now >= self.snub_backoff_until);
        }
        let young = self.down.since().is_none_or(|first| now.saturating_duration_since(first) < Duration::from_secs(1));
        let blocks = (2 * self.down.rate(now) / u64::from(limits::BLOCK)) as usize;
        if self.web.is_some() {
            // A range request is worth its HTTP overhead only if it is large.
            let run = if young { self.ramp.max(2 * blocks) } else { (2 * blocks).max(16) };
            return run.min(limits::WEB_SEED_RUN);
        }
        let depth = if young { self.ramp.max(blocks) } else { blocks.max(4) };
        depth.min(self.reqq).min(limits::REQUESTS_OUT)
    }

    /// Removes the in-flight request of a received block; returns false if the block was not requested.
    pub(crate) fn answered(&mut self, now: Instant, piece: PieceIndex, block: u32) -> bool {
        let Some(at) = self.inflight.iter().position(|a| a.piece == piece && a.block == block) else { return false };
        self.inflight.remove(at);
        self.ramp = (self.ramp + 1).min(limits::REQUESTS_OUT);
        self.served = now;
        if std::mem::take(&mut self.snubbed) {
            self.history.add(now, PeerEvent::Delivers);
        }
        self.refusals = 0;
        true
    }

    /// Records `choke` or `unchoke` from the peer; returns whether the state changed.
    pub(crate) fn set_peer_choking(&mut self, now: Instant, chokes: bool) -> bool {
        if self.peer_choking == chokes {
            return false;
        }
        self.peer_choking = chokes;
        self.chokes.0.set(now, chokes);
        self.history.add(now, if chokes { PeerEvent::ChokedUs } else { PeerEvent::UnchokedUs });
        true
    }

    /// Sets whether we choke the peer; returns whether the state changed.
    pub(crate) fn set_am_choking(&mut self, now: Instant, choked: bool) -> bool {
        if self.am_choking == choked {
            return false;
        }
        (self.am_choking, self.turned) = (choked, now);
        self.chokes.1.set(now, choked);
        self.history.add(now, if choked { PeerEvent::Choked } else { PeerEvent::Unchoked });
        true
    }

    /// Sets whether we are interested; returns whether the state changed.
    pub(crate) fn set_am_interested(&mut self, now: Instant, interesting: bool) -> bool {
        if self.am_interested == interesting {
            return false;
        }
        self.am_interested = interesting;
        self.history.add(now, if interesting { PeerEvent::AmInterested } else { PeerEvent::AmNotInterested });
        true
    }

    /// Records `interested` or `not interested` from the peer; returns whether the state changed.
    pub(crate) fn set_peer_interested(&mut self, now: Instant, interested: bool) -> bool {
        if self.peer_interested == interested {
            return false;
        }
        self.peer_interested = interested;
        self.history.add(now, if interested { PeerEvent::PeerInterested } else { PeerEvent::PeerNotInterested });
        true
    }

    /// Marks the peer as snubbed; `why` goes to the timeline.
    pub(crate) fn snub(&mut self, now: Instant, why: PeerEvent) {
        if !std::mem::replace(&mut self.snubbed, true) {
            self.history.add(now, why);
        }
    }

    /// Records a rejected request; more than 16 in a row mark the peer as snubbed for 10 s.
    pub(crate) fn refused(&mut self, now: Instant) {
        self.refusals += 1;
        if self.refusals > 16 {
            self.snub(now, PeerEvent::Refuses);
            self.snub_backoff_until = now + Duration::from_secs(10);
        }
    }

    /// Returns when the oldest in-flight request times out.
    #[must_use]
    pub(crate) fn late_at(&self) -> Option<Instant> {
        self.inflight.front().map(|first| first.at.max(self.served) + limits::REQUEST)
    }

    /// Counts a message other than a block or a request; returns false above the rate limit.
    pub(crate) fn count_control_message(&mut self, now: Instant) -> bool {
        self.chatter.take(now)
    }

    /// Returns the flag letters of the peer list as used by other clients.
    #[must_use]
    pub(crate) fn flags(&self) -> String {
        let mut flags = String::new();
        match (self.am_interested, self.peer_choking) {
            (true, false) => flags.push('D'),
            (true, true) => flags.push('d'),
            (false, false) => flags.push('K'),
            _ => {}
        }
        match (self.peer_interested, self.am_choking) {
            (true, false) => flags.push('U'),
            (true, true) => flags.push('u'),
            (false, false) => flags.push('?'),
            _ => {}
        }
        flags.extend((self.optimistic && !self.am_choking).then_some('O'));
        flags.extend(self.snubbed.then_some('S'));
        flags.extend((!self.hello.outgoing).then_some('I'));
        flags.extend(self.hello.encrypted.map(|method| match method {
            CryptoMethod::Rc4 => 'E',
            CryptoMethod::Plaintext => 'e',
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
        let of = |say: fn(&mut PendingBitfield), pieces| {
            let mut early = PendingBitfield::default();
            say(&mut early);
            early.into_bitfield(pieces).map(|has| has.map(|has| has.count()))
        };
        assert_eq!(of(|_| (), 9), Ok(None));
        assert_eq!(of(PendingBitfield::on_have_none, 9), Ok(Some(0)));
        assert_eq!(of(PendingBitfield::on_have_all, 9), Ok(Some(9)));
        assert_eq!(of(|it| it.has(PieceIndex(8)), 9), Ok(Some(1)));
        assert_eq!(of(|it| it.has(PieceIndex(9)), 9), Err(BitfieldMismatch), "a spare bit");
        assert_eq!(of(|it| it.has(PieceIndex(800)), 9), Err(BitfieldMismatch));
        assert_eq!(of(|it| it.on_bitfield(&[0xff, 0x80]), 9), Ok(Some(9)));
        assert_eq!(of(|it| it.on_bitfield(&[0xff]), 9), Err(BitfieldMismatch));
        let both = |it: &mut PendingBitfield| {
            it.on_bitfield(&[0x80, 0]);
            it.has(PieceIndex(8));
        };
        assert_eq!(of(both, 9), Ok(Some(2)));
    }
}
