//! The [`TorrentView`], a snapshot of a torrent for display. Holds durations in place of instants, and no secrets.
//!
//! Built by [`Torrent::view`](super::torrent::Torrent::view).

use std::net::SocketAddr;
use std::time::Duration;

use crate::swarm::disconnect::DisconnectReason;
use crate::swarm::job::FaultKind;
use crate::swarm::reason::Diagnosis;
pub use crate::swarm::status::{
    Failures, PieceProgress, Source, SourceFailure, SourceRow, SourceStatus, State, TrackerRow, TrackerStatus,
    WebSeedProblem,
};
use crate::swarm::timeline::TimelineEntry;
use crate::wire::message::InfoHash;
use crate::wire::metainfo::urls::UrlError;

/// Rate limits in bytes per second; `None` is unlimited.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RateLimits {
    pub down: Option<u64>,
    pub up: Option<u64>,
}

impl RateLimits {
    /// Returns whether neither direction is limited.
    #[must_use]
    pub const fn is_unlimited(self) -> bool {
        self.down.is_none() && self.up.is_none()
    }
}

/// A snapshot of one torrent, as shown in the torrent list.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct TorrentView {
    /// Sanitized for display.
    pub name: String,
    /// Name of the file or folder on disk if it differs; not for display.
    pub name_on_disk: Option<String>,
    /// `None` in a view of which nothing is known and in a view with hidden names.
    pub info_hash: Option<InfoHash>,
    /// Bytes of all files. Here and below padding does not count.
    pub size: u64,
    /// Bytes of all wanted files.
    pub wanted: u64,
    /// Bytes of wanted files in verified pieces.
    pub done: u64,
    pub pieces: u32,
    /// Metadata pieces received during the metadata download; zeros until the size is known.
    pub metadata: PieceProgress,
    /// Number of verified pieces.
    pub have: u32,
    /// Pieces hashed so far during a check.
    pub checked: u32,
    pub state: State,
    /// The disk error that halted the torrent, one sentence; [`TorrentView::why`] adds what happens next.
    pub error: Option<String>,
    /// The kind of `error`.
    pub fault: Option<FaultKind>,
    /// Payload download rate in bytes per second.
    pub down: u64,
    /// Payload upload rate in bytes per second.
    pub up: u64,
    /// Payload bytes received over all runs of the torrent in its folder.
    pub downloaded: u64,
    /// Payload bytes sent over all runs of the torrent in its folder.
    pub uploaded: u64,
    /// Payload bytes discarded: corrupt, unrequested or duplicate.
    pub wasted: u64,
    /// Number of connected peers.
    pub peers: u32,
    /// Number of connected seeds.
    pub seeds: u32,
    /// Number of known peer addresses.
    pub known: u32,
    /// Time to completion at the rate of about the last half minute; `None` if unknown.
    pub eta: Option<Duration>,
    /// Time since the torrent was started.
    pub active: Duration,
    /// Whether pieces are picked in order.
    pub sequential: bool,
    /// Whether the torrent is private (BEP 27).
    pub private: bool,
    /// Whether super-seeding (BEP 16) is enabled.
    pub super_seed: bool,
    /// Priority of this torrent in the distribution of the session-wide limits.
    pub rank: Priority,
    /// The torrent's own rate limits.
    pub limits: RateLimits,
    /// When the torrent was added, in seconds since 1970; 0 if unknown.
    pub added: u64,
    /// When the torrent was completed, in seconds since 1970.
    pub finished: Option<u64>,
    /// How long before the snapshot these numbers were taken.
    pub age: Duration,
    /// Why the torrent is not faster.
    pub why: Diagnosis,
    /// Only filled for the focused torrent.
    pub detail: Option<Box<Detail>>,
}

impl TorrentView {
    /// Returns the size the ratio is based on: bytes of the wanted files, or of all files if none is wanted.
    #[must_use]
    pub const fn ratio_of(&self) -> u64 {
        if self.wanted > 0 { self.wanted } else { self.size }
    }

    /// Returns the share ratio: bytes uploaded over all runs divided by [`Self::ratio_of`].
    #[must_use]
    pub fn ratio(&self) -> f64 {
        self.uploaded as f64 / self.ratio_of().max(1) as f64
    }
}

/// The part of the view that is built only for the focused torrent.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Detail {
    /// The piece map: at most [`Detail::CELLS`] cells, each for one piece or for a range of equal length.
    pub cells: Vec<PieceMapCell>,
    /// Distributed copies of the torrent among the connected peers and us.
    ///
    /// The copies of the rarest piece, plus the fraction of pieces that have more copies.
    pub copies: f32,
    /// Pieces that neither we nor any connected peer has.
    pub missing: u32,
    /// The connected peers, sorted by address.
    pub peers: Vec<PeerRow>,
    /// Disconnected peers, newest last; at most [`Detail::DEPARTED`].
    pub disconnected: Vec<DisconnectedPeer>,
    /// Peer sources and their results.
    pub sources: Vec<SourceRow>,
    /// The peer selected by [`TorrentCommand::Inspect`](crate::swarm::event::TorrentCommand::Inspect).
    pub peer: Option<PeerDetail>,
    /// The piece selected by [`TorrentCommand::Inspect`](crate::swarm::event::TorrentCommand::Inspect).
    pub piece: Option<PieceDetail>,
    pub meta: TorrentMeta,
    pub files: Vec<FileRow>,
    /// The trackers, by tier.
    pub trackers: Vec<TrackerRow>,
    /// In bytes.
    pub piece_length: u32,
    /// The download folder, sanitized for display.
    pub folder: String,
    /// The log, newest last.
    pub log: Vec<LogLine>,
}

impl Detail {
    /// Maximum number of cells in the piece map.
    pub const CELLS: usize = 4096;
    /// Maximum number of disconnected peers kept.
    pub const DEPARTED: usize = 50;
}

/// A line of a torrent's log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogLine {
    /// Time since then.
    pub ago: Duration,
    pub text: String,
}

/// Descriptive fields of the `.torrent`. Untrusted text, sanitized for display.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TorrentMeta {
    pub comment: Option<String>,
    /// The program that created the `.torrent`.
    pub created_by: Option<String>,
    /// The creation date, in seconds since 1970.
    pub created: Option<i64>,
    /// The `source` field: the tracker for which the `.torrent` was made.
    pub source: Option<String>,
    /// Web seed URLs (BEP 19).
    pub web_seeds: Vec<String>,
    pub magnet: String,
    pub refused_trackers: Vec<RefusedTracker>,
}

/// A tracker that is not used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RefusedTracker {
    /// URL without secrets, sanitized for display.
    pub url: String,
    pub why: UrlError,
}

/// A peer that disconnected.
#[derive(Clone, PartialEq, Debug)]
pub struct DisconnectedPeer {
    /// Meaningless for a web seed (`host` is set).
    pub addr: SocketAddr,
    /// Host name of a web seed, sanitized for display.
    pub host: Option<String>,
    /// Client name, sanitized for display; empty if unknown.
    pub client: String,
    pub source: Source,
    /// Time since the disconnect.
    pub ago: Duration,
    /// How long the peer was connected.
    pub connected_for: Duration,
    /// Payload bytes received from the peer.
    pub downloaded: u64,
    /// Payload bytes sent to the peer.
    pub uploaded: u64,
    pub why: DisconnectReason,
}

/// Details of one connected peer.
#[derive(Clone, PartialEq, Debug)]
pub struct PeerDetail {
    /// The connection, as in [`PeerRow::key`].
    pub key: u64,
    /// Sanitized for display.
    pub peer_id: String,
    pub transport: PeerTransport,
    pub capabilities: Vec<Capability>,
    /// Maximum outstanding requests that the peer accepts (`reqq`, BEP 10).
    pub reqq: u32,
    /// Number of requests that we keep in flight (pipeline depth).
    pub pipeline: u32,
    /// Number of pieces that the peer has.
    pub pieces: u32,
    /// Of these, pieces that we want.
    pub wanted: u32,
    /// Blocks from this peer in pieces that failed their hash check.
    pub failed: u32,
    /// Fraction of the connected time during which the peer choked us, 0 to 1.
    pub choked_us: f32,
    /// Fraction of the connected time during which we choked the peer, 0 to 1.
    pub choked_it: f32,
    /// Events of this connection, newest last.
    pub timeline: Vec<TimelineEntry>,
}

/// How a peer is connected.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PeerTransport {
    Tcp(Encryption),
    Utp(Encryption),
    /// A web seed.
    Http,
}

/// How far the messages of a connection are encrypted (MSE).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Encryption {
    Plain,
    /// Only the handshake is encrypted.
    Handshake,
    /// All messages are encrypted, with RC4.
    Rc4,
}

/// What a peer supports beyond the plain protocol.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Capability {
    /// A web seed: serves ranges of files by HTTP.
    HttpRanges,
    /// The fast extension (BEP 6).
    Fast,
    /// The extension protocol (BEP 10).
    Extended,
    /// A DHT node (BEP 5).
    Dht,
    /// Peer exchange (BEP 11).
    Pex,
    /// Metadata exchange (BEP 9).
    Metadata,
    /// Partial seed (BEP 21).
    UploadOnly,
    /// Listens for connections on this port.
    ListensOn(u16),
}

/// Details of one piece.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct PieceDetail {
    pub index: u32,
    /// In bytes.
    pub size: u64,
    /// Whether the piece is verified.
    pub have: bool,
    /// Number of blocks.
    pub blocks: u32,
    /// Number of blocks received.
    pub received: u32,
    /// Files that overlap the piece.
    pub files: Vec<String>,
    /// Number of connected peers that have the piece.
    pub peers_with_piece: u32,
    /// Some of these peers, fastest first.
    pub fastest_holders: Vec<SocketAddr>,
    /// Peers with requests in flight for this piece.
    pub asked: Vec<RequestedBlocks<SocketAddr>>,
    /// The same for web seeds, by host name.
    pub asked_web: Vec<RequestedBlocks<String>>,
    /// Time since the first block was requested.
    pub age: Option<Duration>,
    /// Number of hash failures.
    pub fails: u32,
}

/// Blocks of a piece that are requested from one peer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RequestedBlocks<P> {
    pub peer: P,
    pub blocks: u32,
}

/// One cell of the piece map: a range of pieces.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PieceMapCell {
    pub pieces: u16,
    /// Number of verified pieces.
    pub have: u16,
    /// Number of pieces partly received or requested.
    pub active: u16,
    /// Lowest availability among connected peers of any missing piece; 0 if none is missing.
    pub rarest: u16,
}

/// A connected peer, as shown in the peer list.
#[derive(Clone, PartialEq, Debug)]
pub struct PeerRow {
    /// Identifies the connection in commands.
    pub key: u64,
    /// Meaningless for a web seed (`host` is set).
    pub addr: SocketAddr,
    /// Host name of a web seed, sanitized for display.
    pub host: Option<String>,
    /// Client name from the extension handshake or the peer id, sanitized for display.
    pub client: String,
    /// Status flags as in other clients: `D d U u K ? O S I E e P L X H`. `E` is an encrypted connection, `e` one with
    /// only an encrypted handshake, `P` uTP.
    pub flags: String,
    /// Fraction of the torrent that the peer has, 0 to 1.
    pub done: f32,
    /// Payload download rate in bytes per second.
    pub down: u64,
    /// Payload upload rate in bytes per second.
    pub up: u64,
    /// Payload bytes received from the peer.
    pub downloaded: u64,
    /// Payload bytes sent to the peer.
    pub uploaded: u64,
    /// Number of our requests in flight.
    pub requests_out: u32,
    /// Number of queued requests of the peer.
    pub requests_in: u32,
    pub source: Source,
    /// Time since the peer connected.
    pub age: Duration,
    /// The peer chokes us.
    pub peer_choking: bool,
    /// We choke the peer.
    pub am_choking: bool,
    /// We are interested in the peer.
    pub am_interested: bool,
    /// The peer is interested in us.
    pub peer_interested: bool,
    /// The peer took too long to send a requested block.
    pub snubbed: bool,
    /// Blocks from this peer in pieces that failed their hash check.
    pub failed: u32,
}

/// Priority of a file, or of a torrent among others.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Hash)]
pub enum Priority {
    /// Not downloaded.
    Skip,
    Low,
    #[default]
    Normal,
    High,
}

/// A file, as shown in the file list.
#[derive(Clone, PartialEq, Debug)]
pub struct FileRow {
    /// File index, counting padding files.
    ///
    /// Identifies the file in [`TorrentCommand::Priority`](crate::swarm::event::TorrentCommand::Priority).
    pub index: usize,
    /// Path below the download folder with `/` as separator, sanitized for display.
    pub path: String,
    /// In bytes.
    pub size: u64,
    /// Bytes of the file in verified pieces.
    pub done: u64,
    pub priority: Priority,
    /// Time to completion; `None` if unknown.
    pub eta: Option<Duration>,
}
