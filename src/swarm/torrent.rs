//! One torrent as a machine: an input and the time go in, effects come out. It can neither block nor fail.

mod announces;
mod closer;
mod download;
mod extended;
mod introductions;
mod invariants;
mod lifecycle;
mod link;
mod local;
mod members;
mod metadata;
mod pex;
mod private;
mod recovery;
mod seeker;
mod show;
mod superseed;
mod totals;
mod upload;
mod web;
mod why;
mod wishes;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;

pub use crate::swarm::event::{
    Effect, Fetch, Given, Gone, Hello, Input, Method, Part, PeerKey, Quota, Reach, WebFault, Wish,
};
pub use crate::wire::tracker::{Announce, AnnounceError, AnnounceEvent, AnnounceReply};
pub use link::FromLink;

use crate::swarm::candidates::Candidates;
use crate::swarm::choker;
use crate::swarm::external::External;
use crate::swarm::geometry::Geometry;
use crate::swarm::job::{BlockHash, DiskDone, DiskFault, Totals};
use crate::swarm::local::Local;
use crate::swarm::metadata::Search;
use crate::swarm::peer::Peer;
use crate::swarm::picker::{Giver, Picker};
use crate::swarm::rate::{Allowance, Bucket, Meter};
use crate::swarm::trackers::Trackers;
use crate::swarm::view::{Departed, Meta, Priority, Source};
use crate::swarm::web_seeds::WebSeeds;
use crate::wire::message::{InfoHash, PeerId, PieceIndex};
use lifecycle::Comparison;

/// A file as the torrent needs to know it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Span {
    /// Its path below the download folder, safe to print.
    pub path: String,
    /// Where it begins in the torrent, in bytes.
    pub offset: u64,
    /// Its length in bytes.
    pub length: u64,
    /// Padding (BEP 47): no file, and nobody's choice.
    pub pad: bool,
    /// Its path as its maker wrote it, escaped for URLs, where `path` had to differ from that.
    pub web: Option<String>,
}

/// What a torrent is made from.
#[derive(Clone, Debug)]
pub struct TorrentConfig {
    /// Its name, safe to print.
    pub name: String,
    /// Its info-hash.
    pub info_hash: InfoHash,
    /// How we call ourselves in it.
    pub peer_id: PeerId,
    /// Its `info` dictionary as it stood, to be handed to peers; `None` for a magnet whose metadata are still to be
    /// fetched.
    pub info: Option<Bytes>,
    /// How it is cut into pieces: into none while that is not known.
    pub geometry: Geometry,
    /// Its files.
    pub files: Vec<Span>,
    /// How much each file is wanted, by index; `Normal` where nothing is said.
    pub priorities: Vec<(usize, Priority)>,
    /// Fetch pieces in order.
    pub sequential: bool,
    /// Only its trackers may know of it (BEP 27).
    pub private: bool,
    /// Its trackers, by tier.
    pub trackers: Vec<Vec<String>>,
    /// Its web seeds' URLs (BEP 19). They may hold secrets: not for a screen.
    pub web_seeds: Vec<String>,
    /// Whether it is a folder of files rather than one file.
    pub is_folder: bool,
    /// Peers that the user named.
    pub peers: Vec<SocketAddr>,
    /// What its magnet link names beside trackers and web seeds.
    pub link: FromLink,
    /// Peers tell each other of peers (BEP 11), unless it is private.
    pub pex: bool,
    /// uTP is spoken (BEP 29), and peers are introduced to each other by it (BEP 55).
    pub utp: bool,
    /// The port of our DHT node (BEP 5), where there is one.
    pub dht: Option<u16>,
    /// Our listening port, told to peers; 0 while there is none.
    pub port: u16,
    /// The download folder, safe to print.
    pub folder: String,
    /// The most peers connected at once.
    pub max_peers: usize,
    /// Look for peers on the local network (BEP 14), unless it is private.
    pub lan: bool,
    /// Limits of rate do not hold for peers that were found there.
    pub lan_unlimited: bool,
    /// What it may use of what all torrents have together, until it is told otherwise.
    pub quota: Quota,
    /// Seeds one piece at a time to each peer (BEP 16), as soon as everything is there.
    pub super_seed: bool,
    /// What its `.torrent` says beside its data.
    pub meta: Meta,
    /// When it was added, seconds since 1970; 0 where that is not known.
    pub added: u64,
    /// When it was completed, seconds since 1970.
    pub finished: Option<u64>,
    /// What is known of earlier runs.
    pub totals: Totals,
    /// Seeds its chance.
    pub seed: u64,
}

/// Where a torrent is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// Nobody runs it.
    Stopped,
    /// Its metadata are being fetched: it is not known what it is made of.
    Metadata,
    /// The disk is hashing.
    Checking,
    /// It takes part in the swarm.
    Active,
    /// Its last words are being said.
    Stopping { saved: bool, until: Instant },
}

/// The evidence of a piece that came out corrupt from several senders: who sent which block with which hash.
type Suspicion = Vec<(Giver, u32, BlockHash)>;

/// One torrent.
#[derive(Debug)]
pub struct Torrent {
    config: TorrentConfig,
    rng: fastrand::Rng,
    phase: Phase,
    started: Option<Instant>,
    picker: Picker,
    peers: BTreeMap<PeerKey, Peer>,
    candidates: Candidates,
    /// Addresses that are being dialed, and what brought each.
    dialing: BTreeMap<SocketAddr, Source>,
    outsiders: private::Outsiders,
    link_sources: link::LinkSources,
    web_seeds: WebSeeds,
    trackers: Trackers,
    local: Local,
    gossip: pex::Gossip,
    introductions: introductions::Introductions,
    seeker: seeker::Seeker,
    /// Where others see us.
    external: External,
    /// Bytes asked for and not here.
    outstanding: u64,
    /// Bytes here and not yet written.
    unwritten: u64,
    /// Peers that could ask for more, to be looked at before `handle` returns.
    hungry: BTreeSet<PeerKey>,
    /// Whose turn it is among them, when there is not enough for all.
    turn: PeerKey,
    /// Somebody was held back by the budget.
    starved: bool,
    /// Blocks became free: everybody may be hungry.
    freed: bool,
    /// Somebody was held back by a limit of rate.
    throttled_down: bool,
    throttled_up: bool,
    suspicions: BTreeMap<PieceIndex, Suspicion>,
    /// How often each piece failed its hash.
    fails: BTreeMap<PieceIndex, u32>,
    fault: Option<DiskFault>,
    recovery: recovery::Recovery,
    checked: u32,
    /// Something has been downloaded since it was last complete.
    fetched: bool,
    /// Whether the files were compared with how they were left since then.
    comparison: Comparison,
    complete: bool,
    /// The totals as they were recorded, and when they are to be recorded next.
    recorded: Totals,
    record_at: Option<Instant>,
    down: Meter,
    up: Meter,
    /// Payload in, over as long as a person looks at an ETA.
    pace: Meter,
    down_limit: [Bucket; 2],
    up_limit: [Bucket; 2],
    wasted: u64,
    slots: usize,
    round: u64,
    round_at: Option<Instant>,
    /// When those who have everything are told of the pieces that came.
    tell_at: Option<Instant>,
    files_wanted: Vec<Priority>,
    /// What the view tells more of.
    look: (Option<PeerKey>, Option<PieceIndex>),
    /// The peers that left, and when; the oldest first.
    left_us: VecDeque<(Instant, Departed)>,
    log: VecDeque<(Instant, String)>,
    /// Pieces of metadata that all peers together may still have of us.
    metadata_all: Option<Allowance>,
    /// Looks for its metadata, while they are not here.
    search: Option<Search>,
}

/// Sentences kept of a torrent's log.
const LOG: usize = 200;
/// How far back the rate goes that an ETA is made from. The rate of the last seconds would make it jump.
const PACE: Duration = Duration::from_secs(32);
/// Own limits and the share of the global ones.
const OWN: usize = 0;
const SHARE: usize = 1;

impl Torrent {
    /// A torrent that nobody runs yet.
    #[must_use]
    pub fn new(config: TorrentConfig) -> Self {
        let mut rng = fastrand::Rng::with_seed(config.seed);
        let picker = Picker::with_map(config.data_map(), &mut rng);
        let trackers = Trackers::new(&config.trackers, &mut rng);
        let files_wanted = vec![Priority::Normal; config.files.len()];
        let mut it = Torrent {
            rng,
            phase: Phase::Stopped,
            started: None,
            picker,
            peers: BTreeMap::new(),
            candidates: Candidates::new(config.seed),
            dialing: BTreeMap::new(),
            outsiders: private::Outsiders::default(),
            link_sources: link::LinkSources::default(),
            web_seeds: WebSeeds::new(&config.web_seeds),
            trackers,
            local: Local::default(),
            gossip: pex::Gossip::default(),
            introductions: introductions::Introductions::default(),
            seeker: seeker::Seeker::default(),
            external: External::default(),
            outstanding: 0,
            unwritten: 0,
            hungry: BTreeSet::new(),
            turn: PeerKey(0),
            starved: false,
            freed: false,
            throttled_down: false,
            throttled_up: false,
            suspicions: BTreeMap::new(),
            fails: BTreeMap::new(),
            fault: None,
            recovery: recovery::Recovery::default(),
            checked: 0,
            fetched: false,
            comparison: Comparison::default(),
            complete: false,
            recorded: Totals::default(),
            record_at: None,
            down: Meter::default(),
            up: Meter::default(),
            pace: Meter::over(PACE),
            down_limit: Default::default(),
            up_limit: Default::default(),
            wasted: 0,
            slots: choker::FIRST_SLOTS,
            round: 0,
            round_at: None,
            tell_at: None,
            files_wanted,
            look: (None, None),
            left_us: VecDeque::new(),
            log: VecDeque::new(),
            metadata_all: None,
            search: None,
            config,
        };
        it.picker.set_sequential(it.config.sequential);
        let priorities = std::mem::take(&mut it.config.priorities);
        it.set_priorities(&priorities);
        it.down_limit[SHARE].set(it.config.quota.down);
        it.up_limit[SHARE].set(it.config.quota.up);
        it
    }

    /// The torrent's info-hash.
    #[must_use]
    pub const fn info_hash(&self) -> InfoHash {
        self.config.info_hash
    }

    /// Whether a stop is over: the last words are said and the record is saved, or its time is up.
    #[must_use]
    pub fn stopped(&self) -> bool {
        self.phase == Phase::Stopped
    }

    /// Tells when it was completed, seconds since 1970: it has no clock of the day itself.
    pub const fn set_finished(&mut self, at: Option<u64>) {
        self.config.finished = at;
    }

    /// Tells that its data are in another folder now; how that is called, safe to print.
    pub fn set_folder(&mut self, folder: String) {
        self.config.folder = folder;
    }

    /// Whether everything that is wanted is there.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.complete
    }

    /// Its number of pieces; 0 while that is not known.
    #[must_use]
    pub const fn pieces(&self) -> u32 {
        self.config.geometry.pieces()
    }

    /// Whether it is known what it is made of.
    #[must_use]
    pub const fn is_described(&self) -> bool {
        // Where all files are empty there are no pieces, but there are files.
        self.config.geometry.pieces() > 0 || !self.config.files.is_empty()
    }

    /// Whether it has peers.
    const fn is_live(&self) -> bool {
        matches!(self.phase, Phase::Metadata | Phase::Active)
    }

    /// Something happened. Perform all of `out` before the next call.
    pub fn handle(&mut self, now: Instant, input: Input, out: &mut Vec<Effect>) {
        match input {
            Input::Start { have, check } => self.start(now, &have, check, out),
            Input::Described { config, have, check } => self.described(now, *config, &have, check, out),
            Input::Stop => self.stop(now, out),
            Input::Arrived { peer, hello } => self.arrived(now, peer, hello, out),
            Input::Wire { peer, batch } => self.wire(now, peer, batch, out),
            Input::Sent { peer, bytes } => self.sent(now, peer, bytes, out),
            Input::Unread { peer, blocks, fault } => self.unread(now, peer, &blocks, fault, out),
            Input::Gone { peer, why } => self.departed(now, peer, &why, out),
            Input::DialFailed { addr, why } => self.dial_failed(now, addr, &why, out),
            Input::Disk(done) => self.disk(now, done, out),
            Input::Found { source, addrs } => self.found(now, source, &addrs),
            Input::LookedUp { source, addrs, missing } => self.looked_up(now, source, &addrs, missing),
            Input::Given(given) => self.given(now, *given, out),
            Input::NotGiven { source, why } => self.not_given(now, source, &why),
            Input::Fetched { peer, result } => self.fetched(now, peer, result, out),
            Input::Sought(result) => self.sought(now, result),
            Input::Announced { tracker, result } => self.announced(now, tracker, result, out),
            Input::Wish(wish) => self.wish(now, wish, out),
            Input::Quota(quota) => self.take_quota(now, quota),
            Input::Tick => {}
        }
        self.settle(now, out);
    }

    /// What follows from anything: timers that ran out, peers that could ask for more, addresses to dial.
    fn settle(&mut self, now: Instant, out: &mut Vec<Effect>) {
        if self.is_live() || matches!(self.phase, Phase::Stopping { .. }) {
            self.poll_trackers(now, out);
        }
        if self.local.poll(now) {
            out.push(Effect::AnnounceLan);
        }
        self.poll_dht(now, out);
        if let Phase::Stopping { saved, until } = self.phase
            && ((saved && self.trackers.stopped(now)) || now >= until)
        {
            self.phase = Phase::Stopped;
        }
        if !self.is_live() {
            self.hungry.clear();
            return;
        }
        self.record_totals(now, false, out);
        self.search(now, out);
        self.expire(now, out);
        if self.round_at.is_some_and(|at| now >= at) {
            self.choke_round(now, out);
        }
        if self.tell_at.is_some_and(|at| now >= at) {
            self.tell_seeds(out);
        }
        if self.throttled_up {
            self.serve_all(now, out);
        }
        self.probe(now, out);
        if std::mem::take(&mut self.freed) || self.throttled_down {
            self.throttled_down = false;
            self.hungry.extend(self.peers.keys());
        }
        self.call_web_seeds(now);
        while let Some(key) = self.hungry.range(self.turn..).next().or(self.hungry.first()).copied() {
            self.hungry.remove(&key);
            self.refill(now, key, out);
        }
        self.gossip(now, out);
        self.dial(now, out);
    }

    /// When `handle(Tick)` is to be called at the latest.
    #[must_use]
    pub fn deadline(&self, now: Instant) -> Instant {
        let idle = now + Duration::from_secs(3600);
        let mut at = idle;
        let mut by = |t: Option<Instant>| at = at.min(t.unwrap_or(idle));
        match self.phase {
            Phase::Stopped | Phase::Checking => return at,
            Phase::Stopping { until, .. } => {
                by(Some(until));
                by(self.trackers.deadline());
                return at;
            }
            Phase::Metadata | Phase::Active => {}
        }
        by(self.trackers.deadline());
        by(self.local.deadline());
        by(self.search.as_ref().and_then(Search::deadline));
        by(self.sources_at());
        by(self.seek_at());
        by(self.recovery.at);
        by(self.record_at);
        by(self.tell_at);
        by(self.gossip_at());
        by(self.round_at.filter(|_| !self.peers.is_empty()));
        by(self.peers.values().filter_map(Peer::late_at).min());
        if self.may_dial() {
            by(self.candidates.deadline());
        }
        if self.may_call_web_seeds() {
            by(self.web_seeds.deadline());
        }
        let wait = |buckets: &[Bucket; 2]| buckets.iter().filter_map(Bucket::ready_in).max();
        if self.throttled_down {
            by(wait(&self.down_limit).map(|d| now + d));
        }
        if self.throttled_up {
            by(wait(&self.up_limit).map(|d| now + d));
        }
        at
    }

    /// Something a person should hear of at once.
    fn note(&mut self, now: Instant, text: String, out: &mut Vec<Effect>) {
        self.write_log(now, text.clone());
        out.push(Effect::Notice(text));
    }

    /// Something for whoever looks at the log.
    fn write_log(&mut self, now: Instant, text: String) {
        if self.log.len() == LOG {
            self.log.pop_front();
        }
        self.log.push_back((now, text));
    }

    fn disk(&mut self, now: Instant, done: DiskDone, out: &mut Vec<Effect>) {
        match done {
            DiskDone::Wrote(bytes) => {
                self.unwritten = self.unwritten.saturating_sub(bytes);
                if std::mem::take(&mut self.starved) {
                    self.freed = true;
                }
            }
            DiskDone::Verified { piece, blocks } => self.verified(now, piece, &blocks, out),
            DiskDone::Corrupt { piece, blocks } => self.corrupt(now, piece, &blocks, out),
            DiskDone::Failed { piece, fault } => self.unwritable(now, piece, fault, out),
            DiskDone::Checked { first, good } if self.is_rereading() => self.reread(now, first, &good, out),
            DiskDone::Checked { first, good } => self.checked(first, &good),
            DiskDone::CheckDone(fault) if self.is_rereading() => self.reread_all(now, fault, out),
            DiskDone::CheckDone(fault) => self.check_done(now, fault, out),
            DiskDone::Unplaced(fault) => self.unplaced(now, fault, out),
            DiskDone::Unfinished(fault) => self.note(now, fault.text, out),
            DiskDone::Lost(fault) => self.lost(now, fault, out),
            DiskDone::Room(Ok(())) => self.probed(now, out),
            DiskDone::Room(Err(fault)) => self.still_faulty(now, fault, out),
            DiskDone::Compared(result) => self.compared(now, result, out),
            DiskDone::Unrecorded(fault) => self.note(now, fault.text, out),
            DiskDone::Saved => self.saved(),
        }
    }
}

#[cfg(test)]
mod tests;
