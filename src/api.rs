//! The engine API: commands to the engine, events and snapshots from it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

pub use crate::swarm::dht::DhtState;
pub use crate::swarm::disconnect::DisconnectReason;
pub use crate::swarm::job::DiskFault;
pub use crate::swarm::job::FaultKind;
pub use crate::swarm::reason::{Diagnosis, Facts, Reason};
pub use crate::swarm::status::{Reachability, SourceFailure, SourceStatus, TrackerStatus, WebSeedProblem};
pub use crate::swarm::timeline::{PeerEvent, TimelineEntry};
pub use crate::swarm::torrent::{PeerKey, TorrentCommand};
pub use crate::swarm::view::{
    Capability, Detail, DisconnectedPeer, Encryption, FileRow, PeerDetail, PeerRow, PeerTransport, PieceDetail,
    PieceMapCell, PieceProgress, Priority, RateLimits, Source, SourceRow, State, TorrentMeta, TorrentView, TrackerRow,
};
pub use crate::wire::message::InfoHash;

/// Links found in text that the user typed or pasted; see [`Link::find`].
pub use crate::wire::link::{Link, lines};

/// Identifies a torrent within one run of the engine.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TorrentId(pub u32);

/// A torrent to add, with its options.
#[derive(Clone, Debug, Default)]
pub struct AddTorrent {
    /// Path or http(s) URL of a `.torrent` file, magnet link, or 40-hex info-hash.
    pub what: String,
    /// Download directory; `None` means the engine's default.
    pub dir: Option<PathBuf>,
    /// Overwrite existing files that are not from this torrent.
    pub overwrite: bool,
    /// Peers to dial immediately.
    pub peers: Vec<SocketAddr>,
    /// Globs of wanted files; empty means all files.
    pub select: Vec<String>,
    /// File priorities by file index; unlisted files are `Normal`. Applied after `select`.
    pub priorities: Vec<(usize, Priority)>,
    /// Seed the pieces that are there; download and write nothing.
    pub seed_only: bool,
    /// Fetch pieces in order.
    pub sequential: bool,
    /// Add without starting.
    pub paused: bool,
    /// Wait for a file selection before downloading.
    ///
    /// `Event::FilesKnown` asks for the selection, `Command::SelectFiles` answers.
    pub choose: bool,
}

/// Preview of a torrent that could be added.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct TorrentPreview {
    /// Torrent name, safe to print.
    pub name: String,
    pub info_hash: Option<InfoHash>,
    /// Bytes of all files.
    pub size: u64,
    pub files: Vec<FileRow>,
    /// Download directory, safe to print.
    pub folder: String,
    /// Free bytes in the download directory, if known.
    pub free: Option<u64>,
    /// The torrent is already in the session.
    pub present: bool,
    /// Remarks for the user, such as renamed files.
    pub remarks: Vec<String>,
}

/// A torrent to create from local data.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct CreateRequest {
    /// Path of the file or directory.
    pub what: String,
    /// Tracker URLs, one per tier.
    pub trackers: Vec<String>,
    /// Set the private flag (BEP 27): peers come from the trackers only.
    pub private: bool,
}

/// Preview of a torrent to create.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct CreatePreview {
    /// Torrent name, safe to print.
    pub name: String,
    /// Number of files.
    pub files: u64,
    /// Bytes of all files.
    pub size: u64,
    /// Piece length in bytes.
    pub piece_length: u32,
    /// Number of pieces.
    pub pieces: u64,
    /// Size of the `.torrent` file in bytes.
    pub torrent: u64,
    /// Text that describes files left out.
    pub left_out: Option<String>,
}

/// A created torrent.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Created {
    /// Path of the `.torrent` file, safe to print.
    pub path: String,
    pub magnet: String,
    /// Peers on the local network can find it by LSD.
    pub lan: bool,
}

/// A move within the queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum QueueMove {
    /// One position up.
    Up,
    /// One position down.
    Down,
    /// To the front.
    First,
    /// To the back.
    Last,
}

/// A change of the config file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Setting {
    pub key: String,
    /// The new value as TOML text; `None` removes the key.
    pub value: Option<String>,
}

/// A command to the engine.
#[derive(Clone, Debug)]
pub enum Command {
    /// Adds a torrent; answered by `Event::Added`, `Event::Known` or `Event::AddFailed`.
    Add(AddTorrent),
    /// Stops a torrent and keeps it in the session.
    Pause(TorrentId),
    /// Starts a paused torrent.
    Resume(TorrentId),
    /// Sets the file priorities of a torrent that waits for a file selection, and starts the download.
    SelectFiles {
        id: TorrentId,
        /// As in `AddTorrent::priorities`.
        priorities: Vec<(usize, Priority)>,
    },
    /// Removes a torrent from the session.
    Remove {
        id: TorrentId,
        /// Delete its files as well.
        data: bool,
    },
    /// Forwards a command to a running torrent.
    Torrent(TorrentId, TorrentCommand),
    /// Previews a torrent without adding it; answered by `Event::Inspected`.
    Inspect(AddTorrent),
    /// Moves a torrent in the queue.
    Queue(TorrentId, QueueMove),
    /// Sets the bandwidth priority: the torrent's share of the rate limits and of the write budget.
    ///
    /// `High` weighs four times `Normal`, `Low` a quarter of it; `Skip` counts as `Low`.
    SetBandwidthPriority(TorrentId, Priority),
    /// Moves the data of a torrent to another directory and resumes there.
    Move {
        id: TorrentId,
        /// The new download directory.
        to: PathBuf,
    },
    /// Writes the `.torrent` file, as received, to a path. Never overwrites a file.
    ///
    /// If the path is a directory, the file is named after the torrent.
    Export { id: TorrentId, to: PathBuf },
    /// Restarts a torrent with permission to overwrite the files reported by `Event::Occupied`.
    Overwrite(TorrentId),
    /// Opens the download directory in the system's file manager.
    Open(TorrentId),
    /// Requests the magnet links of torrents; answered by `Event::MagnetLinks`.
    Magnets(Vec<TorrentId>),
    /// Writes settings to the config file and applies those that can change at run time.
    UpdateConfig(Vec<Setting>),
    /// Dials these peers.
    AddPeers(TorrentId, Vec<SocketAddr>),
    /// Sets the global rate limits in bytes per second; `None` means unlimited.
    Limits {
        /// Download limit.
        down: Option<u64>,
        /// Upload limit.
        up: Option<u64>,
    },
    /// Previews a torrent to create; answered by `Event::CreatePreview`.
    PreviewCreate(CreateRequest),
    /// Creates a torrent: hashes the data, writes the `.torrent` next to it, adds and seeds it.
    ///
    /// Answered by `Event::CreateProgress` during hashing and by `Event::Created`. Replaces a creation or preview in
    /// progress.
    Create(CreateRequest),
    /// Cancels the creation or preview in progress, without an answer; leaves no files behind.
    StopCreating,
    /// Selects the torrent whose [`Detail`] is included in snapshots.
    Focus(Option<TorrentId>),
}

/// An event from the engine.
#[derive(Clone, Debug)]
pub enum Event {
    /// The current state; at most four per second, and only after a change.
    Snapshot(Arc<Snapshot>),
    Added {
        id: TorrentId,
        /// The `AddTorrent::what` of the command.
        what: String,
    },
    /// The torrent is already in the session; its new trackers, peers and other additions were merged.
    Known {
        id: TorrentId,
        /// The `AddTorrent::what` of the command.
        what: String,
        /// One sentence that describes the merge.
        text: String,
    },
    /// A torrent could not be added.
    AddFailed {
        /// The `AddTorrent::what` of the command.
        what: String,
        /// One sentence: error, location, remedy.
        why: String,
    },
    /// The preview of a torrent, or the error as one sentence.
    Inspected {
        /// The `AddTorrent::what` of the command.
        what: String,
        contents: Result<Box<TorrentPreview>, String>,
    },
    /// The requested magnet links, for torrents whose link is known by now.
    MagnetLinks {
        /// Number of torrents requested.
        asked: usize,
        links: Vec<String>,
    },
    /// The preview of a torrent to create, or the error as one sentence.
    CreatePreview {
        /// The request.
        of: CreateRequest,
        planned: Result<Box<CreatePreview>, String>,
    },
    /// Hashing progress of a torrent creation.
    CreateProgress {
        /// The `CreateRequest::what` of the command.
        what: String,
        /// Bytes hashed.
        done: u64,
        /// Bytes in total; 0 while the files are being listed.
        total: u64,
        /// Bytes per second.
        rate: u64,
    },
    /// A torrent was created and is being added, or the error as one sentence.
    Created {
        /// The `CreateRequest::what` of the command.
        what: String,
        made: Result<Box<Created>, String>,
    },
    /// The metadata of a magnet link is complete; the download waits for `Command::SelectFiles`.
    FilesKnown { id: TorrentId, contents: Box<TorrentPreview> },
    /// A torrent stopped because files of other origin occupy its paths.
    ///
    /// Sent once until the user reacts.
    Occupied {
        id: TorrentId,
        /// Torrent name.
        name: String,
        /// One sentence for the user.
        text: String,
        /// Whether `Command::Overwrite` is possible; false if the files belong to another torrent.
        ask: bool,
    },
    /// The hash check of a torrent is complete.
    Checked(TorrentId),
    /// All wanted data of a torrent is downloaded, verified and written.
    Complete(TorrentId),
    /// A message for the user.
    Notice {
        /// The torrent concerned, if any.
        id: Option<TorrentId>,
        text: String,
    },
    /// The engine has stopped; no further events follow.
    Stopped,
}

/// The state of the engine and all torrents at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Time since the engine started.
    pub uptime: Duration,
    /// All torrents in queue order: the order of adding until the user moves them.
    pub torrents: Vec<(TorrentId, TorrentView)>,
    /// The torrent whose view includes a [`Detail`].
    pub focus: Option<TorrentId>,
    /// Payload download rate of all torrents, in bytes per second.
    pub down: u64,
    /// Payload upload rate of all torrents, in bytes per second.
    pub up: u64,
    /// Global rate limits.
    pub limits: RateLimits,
    /// The port for incoming peers.
    pub port: PortStatus,
    /// Status of the DHT node; `None` if disabled.
    pub dht: Option<DhtState>,
    /// Free bytes on the disk of the default download directory.
    pub free: Option<u64>,
    /// Utilization of the busiest disk thread during the last second, 0 to 1.
    pub disk_busy: f32,
    /// Connections of all torrents.
    pub connections: ConnectionCount,
    /// Maximum number of active downloads; `None` means unlimited.
    pub max_active: Option<u32>,
    /// Default download directory, safe to print.
    pub folder: String,
    /// Path of the config file, safe to print; empty if there is none.
    pub config_file: String,
    /// Log of all torrents, newest last; at most [`Snapshot::LOG`] entries.
    pub log: Vec<LogEntry>,
}

/// A line of the engine's log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogEntry {
    /// Time since the engine started.
    pub at: Duration,
    /// The torrent concerned, if any.
    pub torrent: Option<TorrentId>,
    pub text: String,
}

/// The state of the port for incoming peers.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PortStatus {
    pub listening: Listening,
    /// The port on the router.
    pub mapping: PortMapping,
    /// A peer outside the local network has connected.
    pub reached: bool,
}

impl PortStatus {
    /// Returns whether peers outside the local network can connect.
    #[must_use]
    pub const fn reach(&self) -> Reachability {
        match self.mapping {
            _ if self.reached => Reachability::Open,
            PortMapping::Mapped { .. } => Reachability::Mapped,
            PortMapping::Failed(_) => Reachability::Closed,
            PortMapping::None => Reachability::Unknown,
        }
    }

    /// Returns the external port to announce, if a router maps one.
    #[must_use]
    pub const fn external(&self) -> Option<u16> {
        match self.mapping {
            PortMapping::Mapped { external, .. } => Some(external),
            PortMapping::None | PortMapping::Failed(_) => None,
        }
    }
}

/// Whether the engine listens for incoming peers.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Listening {
    #[default]
    Starting,
    On {
        port: u16,
        /// The configured port, if it is taken.
        instead_of: Option<u16>,
    },
    /// The port tried last, and the message of the operating system.
    Failed { port: u16, error: String },
}

impl Listening {
    /// Returns the port, if the engine listens.
    #[must_use]
    pub const fn port(&self) -> Option<u16> {
        match self {
            Listening::On { port, .. } => Some(*port),
            Listening::Starting | Listening::Failed { .. } => None,
        }
    }

    /// Returns whether listening failed or another port than the configured one is used.
    #[must_use]
    pub const fn is_degraded(&self) -> bool {
        matches!(self, Listening::Failed { .. } | Listening::On { instead_of: Some(_), .. })
    }
}

/// The port mapping on the router.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum PortMapping {
    /// Not requested, not needed, or not answered yet.
    #[default]
    None,
    /// The router forwards its port `external`.
    Mapped {
        protocol: MappingProtocol,
        external: u16,
    },
    Failed(MappingFailure),
}

/// A protocol for port mappings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MappingProtocol {
    /// RFC 6887.
    Pcp,
    /// RFC 6886.
    NatPmp,
    /// UPnP IGD.
    Upnp,
}

impl std::fmt::Display for MappingProtocol {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            MappingProtocol::Pcp => "PCP",
            MappingProtocol::NatPmp => "NAT-PMP",
            MappingProtocol::Upnp => "UPnP",
        })
    }
}

/// Why no router forwards the port.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum MappingFailure {
    #[error("no PCP, NAT-PMP or UPnP gateway found")]
    NoGateway,
    /// A request failed; the message is safe to print.
    #[error("{protocol}: {message}")]
    Refused { protocol: MappingProtocol, message: String },
    /// The engine stops.
    #[error("stopped")]
    Stopped,
}

/// Open connections and how many there may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ConnectionCount {
    pub open: u32,
    pub max: u32,
}

impl Snapshot {
    /// Maximum number of log entries.
    pub const LOG: usize = 200;

    /// Returns the view of a torrent.
    #[must_use]
    pub fn torrent(&self, id: TorrentId) -> Option<&TorrentView> {
        self.torrents.iter().find(|(other, _)| *other == id).map(|(_, view)| view)
    }
}
