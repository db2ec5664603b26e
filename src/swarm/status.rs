//! What a torrent, its peer sources and its trackers are doing, as values. [`crate::words`] makes texts of them.

use std::time::Duration;

use crate::swarm::dht::LookupSummary;
use crate::swarm::disconnect::DisconnectReason;
use crate::wire::metainfo::urls::UrlError;

/// What a torrent is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum State {
    /// Existing data is being hashed.
    Checking,
    /// The metadata of a magnet is being downloaded.
    Metadata,
    #[default]
    Downloading,
    /// All wanted files are complete.
    Seeding,
    Paused,
    /// Waiting for a slot among the active downloads.
    Queued,
    /// The data is being moved to another folder.
    Moving,
    /// Halted by a disk error; see [`TorrentView::error`](crate::swarm::view::TorrentView::error).
    Error,
}

impl State {
    /// Returns the state's name, for display and for scripts.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            State::Checking => "checking",
            State::Metadata => "metadata",
            State::Downloading => "downloading",
            State::Seeding => "seeding",
            State::Paused => "paused",
            State::Queued => "queued",
            State::Moving => "moving",
            State::Error => "error",
        }
    }
}

/// Pieces of which some are done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PieceProgress {
    pub done: u32,
    /// 0 if not known yet.
    pub total: u32,
}

/// Progress of the metadata download.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct MetadataProgress {
    /// Connected peers that offer the metadata.
    pub holders: u32,
    /// Of `holders`, peers with in-flight requests.
    pub asked: u32,
    /// Of `holders`, peers in back-off after a reject or a timeout.
    pub resting: u32,
    /// Received pieces of the most advanced attempt; zeros if there is none.
    pub pieces: PieceProgress,
    /// Attempts that were complete but failed the hash check.
    pub wrong: u32,
}

/// Whether peers outside the local network can connect to us.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Reachability {
    /// No evidence either way.
    #[default]
    Unknown,
    /// The router forwards our port (port mapping).
    Mapped,
    /// An incoming connection from outside was accepted.
    Open,
    /// Behind a NAT that does not forward our port.
    Closed,
}

/// The rate limits of one direction in bytes per second; `None` is unlimited.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct DirectionLimits {
    /// The torrent's own limit.
    pub own: Option<u64>,
    /// Its share of the global limit.
    pub share: Option<u64>,
}

/// Number of addresses whose last attempt failed, by kind of failure.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Failures {
    pub silent: u32,
    pub refused: u32,
    /// Answered, then closed the connection or violated the protocol.
    pub hung_up: u32,
}

impl Failures {
    /// Returns the number of failed addresses of all kinds.
    #[must_use]
    pub const fn all(&self) -> u32 {
        self.silent + self.refused + self.hung_up
    }
}

/// Where a peer address comes from. Ordered: the smaller value is the better source.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub enum Source {
    /// Entered by the user.
    Manual,
    /// An incoming connection.
    Incoming,
    /// Local service discovery (LSD, BEP 14).
    Lan,
    Tracker,
    /// The magnet link (`x.pe`).
    Link,
    /// Peer exchange (PEX, BEP 11).
    Pex,
    /// The DHT (BEP 5).
    Dht,
    /// Saved by an earlier run.
    Resume,
    /// A web seed of the torrent (BEP 19).
    Web,
}

impl Source {
    /// Returns the abbreviation used in the peer list.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Source::Manual => "user",
            Source::Incoming => "in",
            Source::Lan => "LAN",
            Source::Tracker => "trk",
            Source::Link => "link",
            Source::Pex => "PEX",
            Source::Dht => "DHT",
            Source::Resume => "old",
            Source::Web => "web",
        }
    }
}

/// A peer source and what it has found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SourceRow {
    pub source: Source,
    /// Number of known addresses from this source.
    pub known: u32,
    /// Of these, addresses whose last dial failed.
    pub failed: u32,
    /// Of these, connected peers.
    pub connected: u32,
    /// Why the last of them failed.
    pub last_failure: Option<SourceFailure>,
    /// Current activity or last result.
    pub status: SourceStatus,
    /// Time since the last response.
    pub last: Option<Duration>,
    /// Time to the next query.
    pub next: Option<Duration>,
}

impl SourceFailure {
    /// Returns the texts in it that come from a peer, a server or the operating system.
    pub fn texts(&mut self) -> impl Iterator<Item = &mut String> {
        let (peer, web) = match self {
            SourceFailure::Peer(why) => (Some(why.texts()), None),
            SourceFailure::WebSeed(problem) => (None, Some(problem.text())),
        };
        peer.into_iter().flatten().chain(web)
    }
}

impl SourceRow {
    /// Returns the texts in it that come from a peer, a server or the operating system.
    pub fn texts(&mut self) -> impl Iterator<Item = &mut String> {
        let status = match &mut self.status {
            SourceStatus::WebSeedProblem(problem) => Some(problem.text()),
            _ => None,
        };
        self.last_failure.iter_mut().flat_map(SourceFailure::texts).chain(status)
    }

    /// Returns the row of `source`, inserting it in source order if missing.
    pub fn among(rows: &mut Vec<SourceRow>, source: Source) -> &mut SourceRow {
        let at = rows.iter().position(|row| row.source >= source).unwrap_or(rows.len());
        if rows.get(at).is_none_or(|row| row.source != source) {
            rows.insert(at, SourceRow::new(source));
        }
        &mut rows[at]
    }

    /// Creates a row without any results.
    #[must_use]
    pub const fn new(source: Source) -> Self {
        SourceRow {
            source,
            known: 0,
            failed: 0,
            connected: 0,
            last_failure: None,
            status: SourceStatus::NotQueried,
            last: None,
            next: None,
        }
    }
}

/// Why an address of a source failed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SourceFailure {
    Peer(DisconnectReason),
    WebSeed(WebSeedProblem),
}

/// What a peer source is doing, or its last result.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum SourceStatus {
    /// A source that is not queried, such as incoming connections.
    #[default]
    NotQueried,
    /// LSD does not run.
    LsdInactive,
    /// LSD runs, and no announcement has been received.
    LsdNothingHeard,
    /// LSD has found this many addresses.
    LsdFound(u32),
    /// No connected peer exchanges peers.
    PexNoPeers,
    Pex {
        /// Connected peers that exchange peers.
        peers: usize,
        /// Of these, peers that have sent addresses, and the number of addresses in the last message.
        received: Option<PexReceived>,
    },
    /// The torrent does not run, so that the DHT is not asked.
    DhtStopped,
    /// The first lookup is in progress.
    DhtLookup,
    DhtNoNodes,
    /// The last lookup.
    DhtDone(LookupSummary),
    WebSeedsIdle,
    WebSeedsInUse {
        used: usize,
        all: usize,
    },
    /// No web seed is in use, and this one has failed.
    WebSeedProblem(WebSeedProblem),
}

/// What peers have sent by PEX.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PexReceived {
    /// Peers that have sent addresses.
    pub senders: usize,
    /// Number of addresses in the last message.
    pub last: usize,
}

/// The state of the DHT for one torrent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DhtOutcome {
    /// The first lookup is in progress.
    Searching,
    NoNodes,
    /// The last lookup has found no peer that is not known.
    NoNewPeers,
}

/// Why a web seed is not used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum WebSeedProblem {
    /// The last request failed; a clause from the HTTP client.
    Failed(String),
    /// Banned, with the reason.
    Banned(String),
}

impl WebSeedProblem {
    /// Returns the text in it.
    pub const fn text(&mut self) -> &mut String {
        match self {
            WebSeedProblem::Failed(text) | WebSeedProblem::Banned(text) => text,
        }
    }
}

/// A web seed and its last problem.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WebSeedState {
    /// Host name, sanitized for display.
    pub host: String,
    pub problem: Option<WebSeedProblem>,
}

/// What a tracker is doing, or the result of the last announce.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum TrackerStatus {
    #[default]
    NotContacted,
    /// The torrent runs, and its other trackers suffice.
    NotNeeded,
    /// The tracker lists us.
    Working,
    /// The scheme of the URL is not supported.
    Unsupported,
    /// The URL may not be used.
    Refused(UrlError),
    Announcing {
        /// Why the announce before failed.
        last_error: Option<String>,
    },
    /// `stopped` is being announced.
    Stopping,
    /// The last announce failed, with the reason.
    Failed(String),
    /// The tracker answered with this warning.
    Warning(String),
}

impl TrackerStatus {
    /// Returns the text in it that comes from the tracker or the operating system.
    pub const fn text(&mut self) -> Option<&mut String> {
        match self {
            TrackerStatus::Failed(text) | TrackerStatus::Warning(text) => Some(text),
            TrackerStatus::Announcing { last_error } => last_error.as_mut(),
            _ => None,
        }
    }
}

/// A tracker of a torrent with its status.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TrackerState {
    /// URL without secrets, sanitized for display.
    pub url: String,
    pub status: TrackerStatus,
    /// Whether the last announce failed.
    pub failed: bool,
}

/// A tracker, as shown in the tracker list.
#[derive(Clone, PartialEq, Debug)]
pub struct TrackerRow {
    /// Identifies the tracker in commands; never reused.
    pub index: usize,
    /// Tier from 0 (BEP 12).
    pub tier: u32,
    /// URL without secrets, sanitized for display.
    pub url: String,
    /// Current activity or last result.
    pub status: TrackerStatus,
    /// Whether the last announce failed.
    pub failed: bool,
    /// Seeds reported by the tracker.
    pub seeds: Option<u32>,
    /// Leechers reported by the tracker.
    pub leechers: Option<u32>,
    /// Completed downloads reported by the tracker.
    pub completed: Option<u32>,
    /// Time since the last response.
    pub last: Option<Duration>,
    /// Time to the next announce.
    pub next: Option<Duration>,
    /// Number of peers in the last response.
    pub peers: Option<u32>,
}

impl TrackerRow {
    /// Creates the row of an unusable tracker. Its index matches no command.
    #[must_use]
    pub const fn refused(tier: u32, url: String, why: UrlError) -> Self {
        TrackerRow {
            index: usize::MAX,
            tier,
            url,
            status: TrackerStatus::Refused(why),
            failed: true,
            seeds: None,
            leechers: None,
            completed: None,
            last: None,
            next: None,
            peers: None,
        }
    }
}
