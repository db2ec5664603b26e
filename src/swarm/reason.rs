//! Why a torrent is not faster: the reason and the facts behind it, as values.

use crate::swarm::job::DiskFault;
use crate::swarm::status::{
    DhtOutcome, DirectionLimits, Failures, MetadataProgress, PieceProgress, Reachability, SourceFailure, SourceRow,
    State, TrackerState, WebSeedProblem, WebSeedState,
};

/// Why a torrent is not faster.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Diagnosis {
    pub reason: Reason,
    /// Only filled along with [`Detail`](crate::swarm::view::Detail).
    pub facts: Option<Box<Facts>>,
}

impl From<Reason> for Diagnosis {
    fn from(reason: Reason) -> Self {
        Diagnosis { reason, facts: None }
    }
}

impl Diagnosis {
    /// Returns the texts in it that come from outside: names, addresses, messages of trackers and of the system.
    pub fn texts(&mut self) -> Vec<&mut String> {
        let mut all = self.reason.texts();
        if let Some(facts) = &mut self.facts {
            all.extend(facts.fault.as_mut().map(|fault| &mut fault.text));
            all.extend(facts.trackers.iter_mut().flat_map(tracker_texts));
            all.extend(facts.web_seeds.iter_mut().flat_map(web_seed_texts));
            let failures = facts.sources.iter_mut().filter_map(|row| row.last_failure.as_mut());
            all.extend(failures.flat_map(SourceFailure::texts));
        }
        all
    }
}

fn tracker_texts(tracker: &mut TrackerState) -> impl Iterator<Item = &mut String> {
    [Some(&mut tracker.url), tracker.status.text()].into_iter().flatten()
}

fn web_seed_texts(seed: &mut WebSeedState) -> impl Iterator<Item = &mut String> {
    [Some(&mut seed.host), seed.problem.as_mut().map(WebSeedProblem::text)].into_iter().flatten()
}

/// The numbers from which a reason is derived.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Facts {
    pub state: State,
    /// The disk error that halted the torrent.
    pub fault: Option<DiskFault>,
    /// Pieces hashed so far during a check.
    pub checked: u32,
    /// Number of pieces of the torrent.
    pub pieces: u32,
    /// Verified pieces.
    pub have: u32,
    /// Wanted pieces that are not verified.
    pub lacking: u32,
    /// Of these, pieces that no connected peer has.
    pub missing: u32,
    /// Of the `lacking` pieces, those partly received or requested.
    pub active: u32,
    /// Every wanted block is received or requested.
    pub all_asked: bool,
    /// Bytes requested and not yet received.
    pub outstanding: u64,
    /// Number of files, without padding.
    pub files: u32,
    /// Of these, files with priority `Skip`.
    pub skipped: u32,
    /// Connected peers.
    pub peers: u32,
    /// Connected seeds.
    pub seeds: u32,
    /// Peers that we are interested in.
    pub interesting: u32,
    /// Of these, peers that choke us.
    pub choking: u32,
    /// Peers that we are interested in, that do not choke us, and that took too long to send a block.
    pub snubbed: u32,
    /// Peers with requests in flight.
    pub asked: u32,
    /// Peers that send payload to us.
    pub giving: u32,
    /// Peers that are interested in us.
    pub interested: u32,
    /// Peers that receive payload from us.
    pub taking: u32,
    /// Known peer addresses.
    pub known: u32,
    /// Known addresses whose last dial failed, by cause.
    pub failures: Failures,
    /// Dials in progress.
    pub dialing: u32,
    /// Banned hosts.
    pub banned: u32,
    /// Peer sources and their results.
    pub sources: Vec<SourceRow>,
    pub trackers: Vec<TrackerState>,
    /// Payload download rate in bytes per second.
    pub down: u64,
    /// Payload upload rate in bytes per second.
    pub up: u64,
    pub down_limits: DirectionLimits,
    pub up_limits: DirectionLimits,
    /// Requests are held back because received data is not yet written.
    pub waiting_for_disk: bool,
    /// Bytes received and not yet written.
    pub unwritten: u64,
    /// Load of the busiest disk thread in percent.
    pub disk_busy: u8,
    pub web_seeds: Vec<WebSeedState>,
    pub reach: Reachability,
    /// Super-seeding (BEP 16) is in effect.
    pub super_seed: bool,
    /// The torrent is only seeded: nothing is downloaded.
    pub seed_only: bool,
    /// Progress of the metadata download; `None` if the metadata is known.
    pub search: Option<MetadataProgress>,
    /// Local service discovery (LSD) is in use.
    pub local: bool,
    /// `None` if the DHT is not used.
    pub dht: Option<DhtOutcome>,
}

/// The reason for the state and the rate of a torrent.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Reason {
    #[default]
    Unknown,
    Paused,
    /// Paused before the user has selected files.
    PausedUnselected,
    /// The metadata of a magnet link is complete, and the user has to select files.
    SelectFiles,
    /// Waiting for a slot among the active downloads, with the position if it is known.
    Queued(Option<QueuePosition>),
    /// The `.torrent` file is being read.
    ReadingTorrent,
    /// Loaded and allowed to run.
    Starting,
    /// The files in this folder are being opened.
    OpeningFiles {
        folder: String,
    },
    /// The data is being moved.
    Moving(Option<MoveProgress>),
    /// Existing data is being hashed.
    Checking(PieceProgress),
    Metadata(MetadataReason),
    /// Halted by a disk error.
    Fault(DiskFault),
    Seeding(SeedingReason),
    Downloading(DownloadReason),
}

/// The position of a waiting torrent in the queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct QueuePosition {
    /// Waiting torrents ahead of it.
    pub ahead: usize,
    /// Maximum number of active downloads.
    pub max_active: u32,
}

/// Progress of a move to another folder.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MoveProgress {
    /// The new folder, sanitized for display.
    pub to: String,
    /// Bytes moved.
    pub done: u64,
    /// Bytes in total.
    pub total: u64,
}

/// Why the metadata of a magnet link is not complete.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum MetadataReason {
    /// It is complete, and existing files are being looked for.
    Received,
    Fetching {
        from: MetadataSource,
        /// Complete copies that failed the hash check.
        invalid: u32,
    },
}

/// From whom metadata is being fetched.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum MetadataSource {
    Nobody(NoPeers),
    /// None of the connected peers offers it.
    NoHolder {
        peers: u32,
    },
    /// All peers that offer it refused or did not answer.
    NoAnswer {
        holders: u32,
    },
    Holders {
        holders: u32,
        pieces: PieceProgress,
    },
}

/// Why no peer is connected.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct NoPeers {
    /// Known addresses.
    pub known: u32,
    /// Dials in progress.
    pub dialing: u32,
    /// Addresses whose last dial failed.
    pub failures: Failures,
    /// Banned hosts.
    pub banned: u32,
    /// Peers cannot connect to us.
    pub port_closed: bool,
    /// Local service discovery (LSD) is in use.
    pub local: bool,
    /// `None` if the DHT is not used.
    pub dht: Option<DhtOutcome>,
    pub tracker: Option<ExampleTracker>,
    /// A web seed, preferably one with a problem.
    pub web_seed: Option<WebSeedState>,
}

/// A tracker that stands for all of a torrent, preferably a failing one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ExampleTracker {
    pub tracker: TrackerState,
    /// The torrent has no other.
    pub only: bool,
}

/// What of a torrent is seeded, and why not faster.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SeedingReason {
    pub held: HeldData,
    pub upload: UploadReason,
}

/// The part of a torrent that is there, of one that downloads nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HeldData {
    Complete,
    /// The torrent is only seeded: what is missing is not downloaded.
    SeedOnly {
        have: u32,
        pieces: u32,
    },
    /// Everything but the skipped files.
    Selected {
        skipped: u32,
        files: u32,
    },
    /// All files are skipped.
    Nothing,
}

/// Why nothing more is uploaded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum UploadReason {
    NoPeers {
        port_closed: bool,
        tracker: Option<ExampleTracker>,
    },
    Limited(LimitReached),
    /// No peer is interested.
    NoInterest {
        peers: u32,
    },
    SuperSeeding {
        peers: u32,
    },
    Uploading {
        receiving: u32,
        interested: u32,
    },
}

/// The rate limit that is reached, in bytes per second.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LimitReached {
    /// The torrent's own limit.
    Own(u64),
    /// Its share of the global limit.
    Share(u64),
}

/// Why nothing more is downloaded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DownloadReason {
    NoPeers(NoPeers),
    /// No connected peer has a missing piece.
    Unavailable {
        pieces: u32,
        peers: u32,
        seeds: u32,
        /// A web seed, preferably one with a problem.
        web_seed: Option<WebSeedState>,
    },
    Limited(LimitReached),
    /// The disk is slower than the peers.
    Disk {
        /// Load in percent.
        busy: u8,
        /// Bytes received and not yet written.
        unwritten: u64,
    },
    /// All peers that have missing pieces choke us.
    AllChoking {
        choking: u32,
        spare: Spare,
    },
    /// The peers that do not choke us do not send.
    Snubbed {
        unchoked: u32,
        choking: u32,
    },
    /// Everything that is missing is requested.
    LastPieces {
        pieces: u32,
        /// Bytes requested and not yet received.
        outstanding: u64,
        peers: u32,
    },
    /// Most of the peers that have missing pieces choke us.
    MostChoking {
        choking: u32,
        interesting: u32,
        spare: Spare,
    },
    /// Unchoked, and no block has arrived yet.
    NoBlocksYet {
        unchoked: u32,
        spare: Spare,
    },
    Sending {
        sending: u32,
        peers: u32,
        choking: u32,
        snubbed: u32,
        /// Missing pieces that no connected peer has.
        unavailable: u32,
        spare: Spare,
    },
}

/// What does not limit the download on our side.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Spare {
    /// Load of the busiest disk thread in percent.
    pub disk_busy: u8,
    /// There is a rate limit, and it is not reached.
    pub limited: bool,
}

impl Reason {
    fn texts(&mut self) -> Vec<&mut String> {
        let (mut all, mut tracker, mut web) = (Vec::new(), None, None);
        match self {
            Reason::OpeningFiles { folder } => all.push(folder),
            Reason::Moving(Some(progress)) => all.push(&mut progress.to),
            Reason::Fault(fault) => all.push(&mut fault.text),
            Reason::Metadata(MetadataReason::Fetching { from: MetadataSource::Nobody(nobody), .. })
            | Reason::Downloading(DownloadReason::NoPeers(nobody)) => {
                (tracker, web) = (nobody.tracker.as_mut(), nobody.web_seed.as_mut());
            }
            Reason::Downloading(DownloadReason::Unavailable { web_seed, .. }) => web = web_seed.as_mut(),
            Reason::Seeding(SeedingReason { upload: UploadReason::NoPeers { tracker: example, .. }, .. }) => {
                tracker = example.as_mut();
            }
            _ => {}
        }
        all.extend(tracker.into_iter().flat_map(|example| tracker_texts(&mut example.tracker)));
        all.extend(web.into_iter().flat_map(web_seed_texts));
        all
    }
}
