//! The torrent state machine (sans-IO): takes an [`Input`] and the current time, emits [`Effect`]s.
//!
//! [`Torrent::handle`] neither blocks nor fails. The driver executes the effects, feeds their results back as inputs
//! and calls `handle(Tick)` no later than [`Torrent::deadline`].

mod announce;
mod commands;
mod detail;
mod dht;
mod diagnosis;
mod download;
mod extension;
mod holepunch;
mod invariants;
mod lifecycle;
mod link;
mod local;
mod metadata;
mod peers;
mod pex;
mod private;
mod recovery;
mod state {
    //! The parts of a torrent that change together.
    pub(super) mod dht_announcer;
    pub(super) mod holepunch;
    pub(super) mod info_on_demand;
    pub(super) mod link_sources;
    pub(super) mod pex_schedule;
    pub(super) mod recovery;
    pub(super) mod refused_hosts;
}
mod superseed;
mod totals;
mod upload;
mod view;
mod web_seed;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

pub use crate::swarm::event::{
    CryptoMethod, DisconnectReason, Effect, FileRange, Input, PeerInfo, PeerKey, ProvidedMetadata, TorrentCommand,
    WebSeedError, WebSeedFetch,
};
pub use crate::swarm::quota::{Quota, Reachability};
pub use crate::swarm::torrent_config::{FileSpan, MagnetExtras, TorrentConfig};
pub use crate::wire::tracker::{Announce, AnnounceError, AnnounceEvent, AnnounceResponse};

use crate::swarm::choker;
use crate::swarm::external_ip::ExternalIpVotes;
use crate::swarm::job::{BlockHash, DiskDone, DiskFault, Totals};
use crate::swarm::lsd::LsdSchedule;
use crate::swarm::metadata::MetadataDownload;
use crate::swarm::peer::Peer;
use crate::swarm::peer_list::PeerList;
use crate::swarm::picker::{BlockSource, Picker};
use crate::swarm::rate::{BurstLimiter, RateMeter, TokenBucket};
use crate::swarm::trackers::Trackers;
use crate::swarm::view::{DisconnectedPeer, Priority, Source};
use crate::swarm::web_seeds::WebSeeds;
use crate::wire::message::{InfoHash, PieceIndex};
use state::dht_announcer::DhtAnnouncer;
use state::holepunch::HolepunchState;
use state::info_on_demand::InfoOnDemand;
use state::link_sources::LinkSources;
use state::pex_schedule::PexSchedule;
use state::recovery::{Comparison, Recovery};
use state::refused_hosts::RefusedHosts;

/// The lifecycle phase of a torrent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Stopped,
    /// Downloading the metadata (BEP 9); piece count and files are unknown.
    Metadata,
    /// The disk threads are hashing existing data; there are no peers.
    Checking,
    /// Connected to the swarm: downloading or seeding.
    Active,
    /// Sending `stopped` announces and saving resume data, at the latest until `until`.
    Stopping {
        saved: bool,
        until: Instant,
    },
}

/// Evidence from a corrupt piece with several senders: sender, block index and hash of each block.
type Suspicion = Vec<(BlockSource, u32, BlockHash)>;

/// The state machine of one torrent.
#[derive(Debug)]
pub struct Torrent {
    config: TorrentConfig,
    rng: fastrand::Rng,
    phase: Phase,
    started: Option<Instant>,
    picker: Picker,
    peers: BTreeMap<PeerKey, Peer>,
    peer_list: PeerList,
    /// Addresses being dialed, with the source that named each.
    dialing: BTreeMap<SocketAddr, Source>,
    refused_hosts: RefusedHosts,
    link_sources: LinkSources,
    web_seeds: WebSeeds,
    trackers: Trackers,
    local: LsdSchedule,
    pex: PexSchedule,
    holepunch: HolepunchState,
    dht: DhtAnnouncer,
    /// Votes of trackers and peers on our external IP address.
    external: ExternalIpVotes,
    /// Bytes requested and not yet received.
    outstanding: u64,
    /// Bytes received and not yet written to disk.
    unwritten: u64,
    /// Peers that may take more requests; drained before `handle` returns.
    refill_queue: BTreeSet<PeerKey>,
    /// The peer that comes first in the refill queue (round robin) when the budget does not suffice for all.
    turn: PeerKey,
    /// Requests to some peer were held back by the memory budget.
    budget_exhausted: bool,
    /// Blocks became requestable again: every peer is queued for a refill.
    freed: bool,
    /// Requests to, or uploads to, some peer were held back by a rate limit.
    throttled_down: bool,
    throttled_up: bool,
    suspicions: BTreeMap<PieceIndex, Suspicion>,
    /// Hash failures by piece.
    fails: BTreeMap<PieceIndex, u32>,
    fault: Option<DiskFault>,
    recovery: Recovery,
    checked: u32,
    /// Payload was received since the download was last complete.
    fetched: bool,
    /// State of the check that no other program modified the files since then.
    comparison: Comparison,
    complete: bool,
    /// The totals last saved, and when they are due to be saved again.
    recorded: Totals,
    record_at: Option<Instant>,
    down: RateMeter,
    up: RateMeter,
    /// Download rate over [`PACE`], from which the displayed ETA is computed.
    display_rate: RateMeter,
    down_limit: [TokenBucket; 2],
    up_limit: [TokenBucket; 2],
    wasted: u64,
    slots: usize,
    round: u64,
    round_at: Option<Instant>,
    /// When the batched `have` messages are sent to seeds.
    send_have_at: Option<Instant>,
    files_wanted: Vec<Priority>,
    /// The inspected peer and piece, which the view shows in detail.
    inspected: (Option<PeerKey>, Option<PieceIndex>),
    /// Disconnected peers with the time of the disconnect, oldest first.
    disconnected: VecDeque<(Instant, DisconnectedPeer)>,
    log: VecDeque<(Instant, String)>,
    /// Limits the metadata pieces (BEP 9) served to all peers together.
    metadata_all: Option<BurstLimiter>,
    info: InfoOnDemand,
    /// The metadata download of a magnet; `None` once it is complete.
    search: Option<MetadataDownload>,
}

/// Maximum number of entries in a torrent's log.
const LOG: usize = 200;
/// Averaging window of the rate behind the ETA. A window of few seconds would make the ETA jump.
const PACE: Duration = Duration::from_secs(32);
/// Index of the torrent's own limit, and of its share of the global one, in `down_limit` and `up_limit`.
const OWN: usize = 0;
const SHARE: usize = 1;

impl Torrent {
    /// Creates a torrent in the stopped phase.
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
            peer_list: PeerList::new(config.seed),
            dialing: BTreeMap::new(),
            refused_hosts: RefusedHosts::default(),
            link_sources: LinkSources::default(),
            web_seeds: WebSeeds::new(&config.web_seeds),
            trackers,
            local: LsdSchedule::default(),
            pex: PexSchedule::default(),
            holepunch: HolepunchState::default(),
            dht: DhtAnnouncer::default(),
            external: ExternalIpVotes::default(),
            outstanding: 0,
            unwritten: 0,
            refill_queue: BTreeSet::new(),
            turn: PeerKey(0),
            budget_exhausted: false,
            freed: false,
            throttled_down: false,
            throttled_up: false,
            suspicions: BTreeMap::new(),
            fails: BTreeMap::new(),
            fault: None,
            recovery: Recovery::default(),
            checked: 0,
            fetched: false,
            comparison: Comparison::default(),
            complete: false,
            recorded: Totals::default(),
            record_at: None,
            down: RateMeter::default(),
            up: RateMeter::default(),
            display_rate: RateMeter::over(PACE),
            down_limit: Default::default(),
            up_limit: Default::default(),
            wasted: 0,
            slots: choker::FIRST_SLOTS,
            round: 0,
            round_at: None,
            send_have_at: None,
            files_wanted,
            inspected: (None, None),
            disconnected: VecDeque::new(),
            log: VecDeque::new(),
            metadata_all: None,
            info: InfoOnDemand::default(),
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

    #[must_use]
    pub const fn info_hash(&self) -> InfoHash {
        self.config.info_hash
    }

    /// Returns whether a stop is complete.
    ///
    /// Announces are sent and the resume data is saved, or the time limit has passed.
    #[must_use]
    pub fn stopped(&self) -> bool {
        self.phase == Phase::Stopped
    }

    /// Sets the completion time, in seconds since 1970. Comes from the caller: the state machine has no wall clock.
    pub const fn set_finished(&mut self, at: Option<u64>) {
        self.config.finished = at;
    }

    /// Sets the download folder shown in the view, sanitized for display. Does not move any data.
    pub fn set_folder(&mut self, folder: String) {
        self.config.folder = folder;
    }

    /// Returns whether every wanted piece is downloaded and verified.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.complete
    }

    /// Returns the number of pieces; 0 until the metadata is known.
    #[must_use]
    pub const fn pieces(&self) -> u32 {
        self.config.geometry.pieces()
    }

    /// Returns whether the metadata is known.
    #[must_use]
    pub const fn has_metadata(&self) -> bool {
        // Where all files are empty there are no pieces, but there are files.
        self.config.geometry.pieces() > 0 || !self.config.files.is_empty()
    }

    /// Returns whether the torrent may have peers.
    const fn is_live(&self) -> bool {
        matches!(self.phase, Phase::Metadata | Phase::Active)
    }

    /// Handles one input. The caller must execute all effects in `out` before the next call.
    pub fn handle(&mut self, now: Instant, input: Input, out: &mut Vec<Effect>) {
        match input {
            Input::Start { have, check } => self.start(now, &have, check, out),
            Input::MetadataLoaded { config, have, check } => self.on_metadata_loaded(now, *config, &have, check, out),
            Input::Stop => self.stop(now, out),
            Input::PeerConnected { peer, hello } => self.on_peer_connected(now, peer, hello, out),
            Input::Messages { peer, batch } => self.on_messages(now, peer, batch, out),
            Input::BytesSent { peer, bytes } => self.on_bytes_sent(now, peer, bytes, out),
            Input::ReadFailed { peer, blocks, fault } => self.on_read_failed(now, peer, &blocks, fault, out),
            Input::PeerDisconnected { peer, why } => self.on_peer_disconnected(now, peer, &why, out),
            Input::DialFailed { addr, why } => self.on_dial_failed(now, addr, &why, out),
            Input::Disk(done) => self.on_disk_done(now, done, out),
            Input::PeersFound { source, addrs } => self.on_peers_found(now, source, &addrs),
            Input::HostsResolved { source, addrs, missing } => self.on_hosts_resolved(now, source, &addrs, missing),
            Input::MetadataProvided(given) => self.on_metadata_provided(now, *given, out),
            Input::TorrentFetchFailed { source, why } => self.on_torrent_fetch_failed(now, source, &why, out),
            Input::WebFetchDone { peer, result } => self.on_web_fetch_done(now, peer, result, out),
            Input::DhtLookupDone(result) => self.on_dht_lookup_done(now, result),
            Input::AnnounceDone { tracker, result } => self.on_announce_done(now, tracker, result, out),
            Input::Command(wish) => self.on_command(now, wish, out),
            Input::Quota(quota) => self.set_quota(now, quota),
            Input::Tick => {}
        }
        self.poll(now, out);
    }

    /// Does what is due: expired timers, requests to peers in the refill queue, dials.
    fn poll(&mut self, now: Instant, out: &mut Vec<Effect>) {
        if self.is_live() || matches!(self.phase, Phase::Stopping { .. }) {
            self.poll_trackers(now, out);
        }
        if self.local.poll(now) {
            out.push(Effect::AnnounceLsd);
        }
        self.poll_dht(now, out);
        if let Phase::Stopping { saved, until } = self.phase
            && ((saved && self.trackers.stopped(now)) || now >= until)
        {
            self.phase = Phase::Stopped;
        }
        if !self.is_live() {
            self.refill_queue.clear();
            return;
        }
        self.record_totals(now, false, out);
        self.drop_unused_info(now);
        self.search(now, out);
        self.expire_requests(now, out);
        if self.round_at.is_some_and(|at| now >= at) {
            self.choke_round(now, out);
        }
        if self.send_have_at.is_some_and(|at| now >= at) {
            self.send_have_to_seeds(out);
        }
        if self.throttled_up {
            self.serve_all(now, out);
        }
        self.probe(now, out);
        if std::mem::take(&mut self.freed) || self.throttled_down {
            self.throttled_down = false;
            self.refill_queue.extend(self.peers.keys());
        }
        self.connect_web_seeds(now);
        while let Some(key) = self.refill_queue.range(self.turn..).next().or(self.refill_queue.first()).copied() {
            self.refill_queue.remove(&key);
            self.request_blocks(now, key, out);
        }
        self.send_pex(now, out);
        self.dial(now, out);
    }

    /// Returns the latest time at which the caller must call `handle(Tick)`.
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
        by(self.search.as_ref().and_then(MetadataDownload::deadline));
        by(self.sources_at());
        by(self.dht.deadline());
        by(self.recovery.at);
        by(self.info.deadline());
        by(self.record_at);
        by(self.send_have_at);
        by(self.pex_deadline());
        by(self.round_at.filter(|_| !self.peers.is_empty()));
        by(self.peers.values().filter_map(Peer::late_at).min());
        if self.may_dial() {
            by(self.peer_list.deadline());
        }
        if self.may_call_web_seeds() {
            by(self.web_seeds.deadline());
        }
        let wait = |buckets: &[TokenBucket; 2]| buckets.iter().filter_map(TokenBucket::ready_in).max();
        if self.throttled_down {
            by(wait(&self.down_limit).map(|d| now + d));
        }
        if self.throttled_up {
            by(wait(&self.up_limit).map(|d| now + d));
        }
        at
    }

    /// Logs the text and emits it as a notice to the user.
    fn notify(&mut self, now: Instant, text: String, out: &mut Vec<Effect>) {
        self.write_log(now, text.clone());
        out.push(Effect::Notice(text));
    }

    /// Appends a line to the torrent's log, dropping the oldest of [`LOG`] lines.
    fn write_log(&mut self, now: Instant, text: String) {
        if self.log.len() == LOG {
            self.log.pop_front();
        }
        self.log.push_back((now, text));
    }

    fn on_disk_done(&mut self, now: Instant, done: DiskDone, out: &mut Vec<Effect>) {
        match done {
            DiskDone::Wrote(bytes) => {
                self.unwritten = self.unwritten.saturating_sub(bytes);
                if std::mem::take(&mut self.budget_exhausted) {
                    self.freed = true;
                }
            }
            DiskDone::Verified { piece, blocks } => self.on_piece_verified(now, piece, &blocks, out),
            DiskDone::Corrupt { piece, blocks } => self.on_hash_failed(now, piece, &blocks, out),
            DiskDone::Failed { piece, fault } => self.on_write_failed(now, piece, fault, out),
            DiskDone::Checked { first, good } if self.is_rereading() => self.reread(now, first, &good, out),
            DiskDone::Checked { first, good } => self.checked(first, &good),
            DiskDone::CheckDone(fault) if self.is_rereading() => self.reread_all(now, fault, out),
            DiskDone::CheckDone(fault) => self.check_done(now, fault, out),
            DiskDone::Unplaced(fault) => self.unplaced(now, fault, out),
            DiskDone::Unfinished(fault) if self.is_occupied(now, &fault, out) => {}
            DiskDone::Unfinished(fault) => self.notify(now, fault.text, out),
            DiskDone::Lost(fault) => self.lost(now, fault, out),
            DiskDone::ProbeDone(Ok(())) => self.on_probe_succeeded(now, out),
            DiskDone::ProbeDone(Err(fault)) => self.on_probe_failed(now, fault, out),
            DiskDone::Compared(result) => self.compared(now, result, out),
            DiskDone::Info(info) => self.on_info_read(now, info, out),
            DiskDone::ResumeSaveFailed(fault) => self.notify(now, fault.text, out),
            DiskDone::Saved => self.saved(),
        }
    }
}

#[cfg(test)]
mod tests;
