//! The inputs and effects of the torrent state machine ([`Torrent`](super::torrent::Torrent)).
//!
//! [`Input`] and [`Effect`] are the complete interface between a torrent and its driver, which performs all I/O.

use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;

use crate::swarm::dht::{LookupSummary, NoNodes};
pub use crate::swarm::disconnect::DisconnectReason;
use crate::swarm::job::{DiskDone, DiskFault, DiskJob};
use crate::swarm::quota::Quota;
use crate::swarm::torrent_config::TorrentConfig;
use crate::swarm::view::{Priority, Source};
use crate::wire::host::HostPort;
use crate::wire::message::{Block, Message, PeerId, Reserved};
pub use crate::wire::mse::CryptoMethod;
pub(crate) use crate::wire::tracker::{Announce, AnnounceError, AnnounceResponse};

/// Identifies a connection. Never reused, so an event that arrives after a disconnect finds no peer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PeerKey(pub u64);

/// What is known of a peer after a completed handshake.
#[derive(Clone, Copy, Debug)]
pub struct PeerInfo {
    /// Remote address; for an outgoing connection the address that was dialed.
    pub addr: SocketAddr,
    /// True if we dialed (after [`Effect::Dial`]).
    pub outgoing: bool,
    /// True for uTP (BEP 29), false for TCP.
    pub utp: bool,
    /// The peer id in the handshake; not authenticated.
    pub peer_id: PeerId,
    /// The reserved bytes of the handshake: supported extensions.
    pub reserved: Reserved,
    /// The method negotiated by MSE; `None` for a plain handshake.
    pub encrypted: Option<CryptoMethod>,
}

/// How an address was last reached.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct DialHint {
    /// Whether the connection was encrypted (MSE); `None` if unknown.
    pub encrypted: Option<bool>,
    /// Over uTP, because TCP failed.
    pub utp: bool,
}

/// An event or command that a torrent handles.
#[derive(Debug)]
pub enum Input {
    /// Start the torrent with the result of validating its resume data.
    Start {
        /// Pieces that are present, as a BEP 3 bitfield.
        have: Bytes,
        /// Pieces to hash first: all without resume data, none if the resume data is fully valid.
        check: Vec<Range<u32>>,
    },
    /// The processed metadata of a magnet, in response to [`Effect::MetadataComplete`].
    MetadataLoaded {
        /// The new configuration. Identity, trackers and settings of the running torrent stay unchanged.
        config: Box<TorrentConfig>,
        /// As in [`Input::Start`].
        have: Bytes,
        /// As in [`Input::Start`].
        check: Vec<Range<u32>>,
    },
    /// Stop: disconnect all peers, announce `stopped`, save the resume data. Complete once
    /// [`Torrent::stopped`](super::torrent::Torrent::stopped) returns true.
    Stop,
    /// A connection completed its handshake.
    PeerConnected { peer: PeerKey, hello: PeerInfo },
    /// All messages of one read from a peer, in order.
    Messages { peer: PeerKey, batch: Vec<Message> },
    /// Payload of piece messages was written to the socket and counts as uploaded.
    BytesSent {
        peer: PeerKey,
        /// Payload bytes.
        bytes: u64,
    },
    /// These blocks could not be read from disk and were not sent.
    ReadFailed { peer: PeerKey, blocks: Vec<Block>, fault: DiskFault },
    /// A connection ended. Not sent after [`Effect::Disconnect`] for the same peer.
    PeerDisconnected { peer: PeerKey, why: DisconnectReason },
    /// A dial failed before or during the handshake.
    DialFailed { addr: SocketAddr, why: DisconnectReason },
    /// A result from the disk threads.
    Disk(DiskDone),
    /// Peer addresses from a source other than an announce.
    PeersFound { source: Source, addrs: Vec<SocketAddr> },
    /// The result of an [`Effect::ResolveHosts`].
    HostsResolved {
        /// The source that named the hosts.
        source: Source,
        /// Resolved addresses: one of each address family per host.
        addrs: Vec<SocketAddr>,
        /// Number of hosts that could not be resolved.
        missing: usize,
    },
    /// The metadata of a magnet, from a `.torrent` file.
    ///
    /// Fetched by [`Effect::FetchTorrent`], or provided by the user.
    MetadataProvided(Box<ProvidedMetadata>),
    /// An [`Effect::FetchTorrent`] failed.
    TorrentFetchFailed {
        /// Index of the URL, as in [`Effect::FetchTorrent`].
        source: usize,
        /// The error, sanitized for display.
        why: String,
    },
    /// A web seed fetch ended; exactly one per [`Effect::WebFetch`], also after [`Effect::CancelWebFetch`].
    ///
    /// On success all its blocks have arrived as [`Input::Messages`] before.
    WebFetchDone { peer: PeerKey, result: Result<(), WebSeedError> },
    /// A DHT lookup started by [`Effect::DhtGetPeers`] ended.
    DhtLookupDone(Result<LookupSummary, NoNodes>),
    /// The result of an announce.
    AnnounceDone {
        /// The tracker's index, as in [`Effect::Announce`].
        tracker: usize,
        result: Result<AnnounceResponse, AnnounceError>,
    },
    /// A command from the user.
    Command(TorrentCommand),
    /// The torrent's new share of the session-wide limits.
    Quota(Quota),
    /// The time returned by [`Torrent::deadline`](super::torrent::Torrent::deadline) has come.
    Tick,
}

/// The contents of a `.torrent` file that provides the metadata of a magnet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProvidedMetadata {
    /// The raw `info` dictionary; its hash was checked.
    pub info: Bytes,
    /// Validated tracker URLs by tier.
    pub trackers: Vec<Vec<String>>,
    /// Validated web seed URLs.
    pub web_seeds: Vec<String>,
    /// True if the user provided the file, false if it came from the magnet link.
    pub by_user: bool,
}

/// A user's command to a running torrent.
#[derive(Clone, Debug)]
pub enum TorrentCommand {
    /// Hash all data again.
    Verify,
    /// Announce to all trackers now, or to one.
    ///
    /// The index is [`TrackerRow::index`](crate::swarm::view::TrackerRow::index).
    Announce(Option<usize>),
    AddTracker(String),
    /// Add web seed URLs, validated by [`web_seed`](crate::wire::metainfo::urls::web_seed).
    AddWebSeeds(Vec<String>),
    /// Remove a tracker by its [`TrackerRow::index`](crate::swarm::view::TrackerRow::index).
    RemoveTracker(usize),
    /// Enable or disable super-seeding (BEP 16).
    SuperSeed(bool),
    /// Select the peer and the piece that the view shows in detail.
    Inspect {
        peer: Option<PeerKey>,
        piece: Option<u32>,
    },
    /// Pick pieces in order rather than rarest first.
    Sequential(bool),
    /// Set file priorities by file index.
    Priority(Vec<(usize, Priority)>),
    /// Set the torrent's own rate limits, in bytes per second; `None` is unlimited.
    Limits {
        down: Option<u64>,
        up: Option<u64>,
    },
    /// Ban the peer's IP address, or the web seed.
    Ban(PeerKey),
    Kick(PeerKey),
}

/// A range of the torrent's data to fetch from a web seed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WebSeedFetch {
    /// Blocks in order; contiguous except for padding (BEP 47).
    pub blocks: Vec<Block>,
    /// The file ranges that hold the blocks, in order.
    pub parts: Vec<FileRange>,
    /// The server ignores range requests: data before the range has to be read and discarded.
    pub whole: bool,
}

/// The part of a web seed fetch that lies in one file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileRange {
    /// File index in the torrent.
    pub file: usize,
    /// Path in the torrent, for messages.
    pub path: String,
    /// The file's URL; `None` for padding, which is filled with zeros and not requested (BEP 47).
    pub url: Option<String>,
    /// Offset in the file.
    pub from: u64,
    /// Length in bytes; at least 1.
    pub length: u64,
    /// Length of the whole file.
    pub size: u64,
}

/// Why a web seed fetch failed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WebSeedError {
    /// The server lacks this file or has another one under its name; other files may be fine.
    pub file: Option<usize>,
    /// The delay requested by the server (`Retry-After`).
    pub wait: Option<Duration>,
    /// The server ignores range requests, and the requested range is far from the start of the file.
    pub whole: bool,
    /// The error message, sanitized for display.
    pub words: String,
}

/// An action that a torrent requests from its driver. Plain data: no sockets, channels or closures.
#[derive(Debug)]
#[must_use]
pub enum Effect {
    /// Send a message. The order of messages to one peer is kept; requests of one refill go out in one write.
    Send {
        peer: PeerKey,
        /// Never `Message::Piece`.
        message: Message,
    },
    /// Read a block from disk and send it; results in [`Input::BytesSent`] or [`Input::ReadFailed`].
    SendBlock { peer: PeerKey, block: Block },
    /// Close a connection. The torrent has already removed the peer.
    Disconnect { peer: PeerKey, why: DisconnectReason },
    /// Connect to an address; results in [`Input::PeerConnected`] or [`Input::DialFailed`].
    Dial { addr: SocketAddr, manner: DialHint },
    /// Fetch a range from a web seed (BEP 19), after the fetches already queued for it.
    ///
    /// The blocks arrive as [`Input::Messages`], followed by [`Input::WebFetchDone`].
    WebFetch { peer: PeerKey, fetch: WebSeedFetch },
    /// Fetch a `.torrent` named by the magnet link; results in [`Input::MetadataProvided`] or [`Input::TorrentFetchFailed`].
    FetchTorrent {
        /// Index of the URL in the link.
        source: usize,
        url: String,
    },
    /// Resolve host names of peers; results in [`Input::HostsResolved`].
    ResolveHosts { source: Source, names: Vec<HostPort> },
    /// Cancel all fetches of a web seed.
    CancelWebFetch { peer: PeerKey },
    /// A job for the disk threads.
    Disk(DiskJob),
    /// Announce to a tracker; results in [`Input::AnnounceDone`].
    Announce {
        /// Index of the tracker, repeated in the result.
        tracker: usize,
        ask: Announce,
    },
    /// Announce the torrent by local service discovery (LSD, BEP 14); replies arrive as [`Input::PeersFound`].
    AnnounceLsd,
    /// Cancel DHT lookups and LSD announces: the metadata of this magnet marks the torrent as private (BEP 27).
    StopPublicDiscovery,
    /// The `info` dictionary of a magnet. Only its hash was checked.
    ///
    /// Results in [`Input::MetadataLoaded`], or in [`Input::Stop`] if the metadata is unusable.
    MetadataComplete(Bytes),
    /// Run a DHT get_peers lookup (BEP 5); results in [`Input::PeersFound`]s and one [`Input::DhtLookupDone`].
    DhtGetPeers {
        /// The port for announce_peer; `None` looks up without announcing.
        announce: Option<u16>,
    },
    /// Ping a possible DHT node at this address.
    DhtPing(SocketAddr),
    /// A notice for the user, one sentence.
    Notice(String),
    /// The download is complete: every wanted piece is verified and written. Not sent if a check finds the data
    /// complete.
    Complete,
    /// The torrent stops, because its paths are occupied.
    ///
    /// By foreign files (`FaultKind::Occupied`) or by another torrent (`FaultKind::Taken`).
    Occupied(DiskFault),
    /// The check started by [`Input::Start`] ended, and the torrent is active.
    CheckDone,
}
