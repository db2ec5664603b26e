//! What can happen to a torrent, and what it can ask of the world. Closed on purpose: read [`Input`] and [`Effect`]
//! and you know it all.

use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;

use crate::swarm::dht::{NoNodes, Sought};
use crate::swarm::job::{DiskDone, DiskFault, DiskJob};
use crate::swarm::torrent::TorrentConfig;
use crate::swarm::view::{Priority, Source};
use crate::wire::host::HostPort;
use crate::wire::message::{Block, Message, PeerId, Reserved};
pub use crate::wire::mse::Method;
pub use crate::wire::tracker::{Announce, AnnounceError, AnnounceEvent, AnnounceReply};

/// Names one connection for ever: never given twice, so a late word about a peer that left finds nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PeerKey(pub u64);

/// A connection that is through its handshake.
#[derive(Clone, Copy, Debug)]
pub struct Hello {
    /// Its other end. For a connection that we made, the address that we dialled.
    pub addr: SocketAddr,
    /// Whether we made it (in answer to `Effect::Dial`).
    pub outgoing: bool,
    /// Whether it goes by uTP (BEP 29) rather than by TCP.
    pub utp: bool,
    /// Who it says it is.
    pub peer_id: PeerId,
    /// What it can do.
    pub reserved: Reserved,
    /// How it is encrypted, if its handshake was.
    pub encrypted: Option<Method>,
}

/// How an address was spoken to the last time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Manner {
    /// Encrypted, or not; `None` where it is not known.
    pub encrypted: Option<bool>,
    /// By uTP, since TCP did not reach it.
    pub utp: bool,
}

/// Everything that can happen to a torrent.
#[derive(Debug)]
pub enum Input {
    /// It runs (again), with what the resume record vouches for.
    Start {
        /// Pieces that are there, as a bitfield of BEP 3.
        have: Bytes,
        /// Pieces to hash before the torrent goes on: all of them when there was no record, none when it was whole.
        check: Vec<Range<u32>>,
    },
    /// What a magnet's metadata say, in answer to `Effect::Metadata`: it goes on as every other torrent.
    Described {
        /// What it is made from now. Who it is, its trackers and what the user wants of it while it runs stay as they are.
        config: Box<TorrentConfig>,
        /// As in `Start`.
        have: Bytes,
        /// As in `Start`.
        check: Vec<Range<u32>>,
    },
    /// It is to stop: peers are dropped, the trackers told, the record saved. Over when
    /// [`Torrent::stopped`](super::torrent::Torrent::stopped) says so.
    Stop,
    /// A connection is ready.
    Arrived {
        /// Its name from now on.
        peer: PeerKey,
        /// Its handshake.
        hello: Hello,
    },
    /// All messages of one read.
    Wire {
        /// From whom.
        peer: PeerKey,
        /// In order.
        batch: Vec<Message>,
    },
    /// The socket took these blocks; they count as uploaded.
    Sent {
        /// To whom.
        peer: PeerKey,
        /// Payload bytes.
        bytes: u64,
    },
    /// These blocks could not be read from disk, and were not sent.
    Unread {
        /// To whom they were to go.
        peer: PeerKey,
        /// The blocks.
        blocks: Vec<Block>,
        /// Why.
        fault: DiskFault,
    },
    /// A connection ended. Not told after `Effect::Drop` of the same peer.
    Gone {
        /// Which.
        peer: PeerKey,
        /// Why.
        why: Gone,
    },
    /// A dial came to nothing.
    DialFailed {
        /// The address.
        addr: SocketAddr,
        /// Why.
        why: Gone,
    },
    /// The disk has done something.
    Disk(DiskDone),
    /// Addresses were learnt otherwise than by an announce.
    Found {
        /// How.
        source: Source,
        /// Which.
        addrs: Vec<SocketAddr>,
    },
    /// Hosts of peers were looked up, in answer to `Effect::LookUp`.
    LookedUp {
        /// How they were learnt.
        source: Source,
        /// What was found: one address of each family for each host.
        addrs: Vec<SocketAddr>,
        /// Hosts that were not found.
        missing: usize,
    },
    /// The metadata of a magnet have come otherwise than from peers: in answer to `Effect::FetchTorrent`, or by the user.
    Given(Box<Given>),
    /// Nothing of use came of an `Effect::FetchTorrent`.
    NotGiven {
        /// Its source.
        source: usize,
        /// Why, in words, safe to print.
        why: String,
    },
    /// A fetch from a web seed is over (also when it was given up): all its blocks have come as `Wire` before, or this
    /// is why not. One answer for each `Effect::Fetch`.
    Fetched {
        /// Which web seed.
        peer: PeerKey,
        /// How it went.
        result: Result<(), WebFault>,
    },
    /// A search that `Effect::Seek` began is over.
    Sought(Result<Sought, NoNodes>),
    /// A tracker answered, or did not.
    Announced {
        /// Which tracker, as `Effect::Announce` named it.
        tracker: usize,
        /// The answer.
        result: Result<AnnounceReply, AnnounceError>,
    },
    /// The user's wish.
    Wish(Wish),
    /// The share of what all torrents have together that this one may use from now on.
    Quota(Quota),
    /// The deadline that [`Torrent::deadline`](super::torrent::Torrent::deadline) named has come.
    Tick,
}

/// A `.torrent` for a magnet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Given {
    /// Its `info` dictionary, whose hash is right.
    pub info: Bytes,
    /// Its trackers by tier, judged.
    pub trackers: Vec<Vec<String>>,
    /// Its web seeds, judged.
    pub web_seeds: Vec<String>,
    /// Whether it is the user who gave it, and not the link.
    pub by_user: bool,
}

/// A torrent's share of what all torrents have together, and how that is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Quota {
    /// Bytes a second in; `None` is no limit.
    pub down: Option<u64>,
    /// Bytes a second out; `None` is no limit.
    pub up: Option<u64>,
    /// Bytes that may be asked for and not yet written.
    pub budget: u64,
    /// How large the share is beside those of the others; only shown.
    pub rank: Priority,
    /// How busy the busiest disk thread is, in percent; only told as a reason.
    pub disk_busy: u8,
    /// Whether peers can call us; only told as a reason.
    pub reach: Reach,
    /// The most peers connected at once, where that has changed since the torrent was made.
    pub max_peers: Option<usize>,
    /// The port to tell others, where the router gives us another one outside than ours.
    pub outside: Option<u16>,
}

/// Whether peers outside can call us.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Reach {
    /// Nothing speaks for it or against it.
    #[default]
    Unknown,
    /// The router forwards our port.
    Mapped,
    /// Somebody from outside has called.
    Open,
    /// We are behind a router that does not forward it.
    Closed,
}

/// What a user can ask of a torrent that runs.
#[derive(Clone, Debug)]
pub enum Wish {
    /// Hash everything again.
    Verify,
    /// Ask all trackers now, or only this one, by [`TrackerRow::index`](crate::swarm::view::TrackerRow::index).
    Announce(Option<usize>),
    /// Ask this tracker too, from now on.
    AddTracker(String),
    /// Fetch from these web seeds too, from now on: URLs as [`web_seed`](crate::wire::metainfo::urls::web_seed) gives them.
    AddWebSeeds(Vec<String>),
    /// Do not ask this tracker any more.
    RemoveTracker(usize),
    /// Offer one piece at a time to each peer, so that a single seeder sends little more than one copy (BEP 16).
    SuperSeed(bool),
    /// What the view is to tell more of: one peer, one piece.
    Look {
        /// The peer.
        peer: Option<PeerKey>,
        /// The piece.
        piece: Option<u32>,
    },
    /// Fetch pieces in order, or rarest first.
    Sequential(bool),
    /// How much a file is wanted; files by their index.
    Priority(Vec<(usize, Priority)>),
    /// Own limits of this torrent, bytes a second.
    Limits {
        /// In.
        down: Option<u64>,
        /// Out.
        up: Option<u64>,
    },
    /// Ban the peer's address.
    Ban(PeerKey),
    /// Disconnect the peer.
    Kick(PeerKey),
}

/// A stretch of a torrent's data to be fetched from a web seed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fetch {
    /// Its blocks in their order; between two of them there is nothing but padding (BEP 47).
    pub blocks: Vec<Block>,
    /// Where the bytes of these blocks lie, in their order.
    pub parts: Vec<Part>,
    /// The server sends files only whole: what comes before the bytes is read too, however much that is.
    pub whole: bool,
}

/// Bytes of a fetch that lie in one file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Part {
    /// The file, by its index in the torrent.
    pub file: usize,
    /// Its path in the torrent, for messages.
    pub path: String,
    /// Its URL; `None` for padding, which is zeros and asked of nobody (BEP 47).
    pub url: Option<String>,
    /// The first byte in the file.
    pub from: u64,
    /// How many bytes; at least 1.
    pub length: u64,
    /// The file's length.
    pub size: u64,
}

/// Why a web seed did not give what it was asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WebFault {
    /// It does not have this file, or has another one under its name; others it may have.
    pub file: Option<usize>,
    /// How long it wants to be left alone.
    pub wait: Option<Duration>,
    /// It sends files only whole, and what was asked for lies far from the beginning.
    pub whole: bool,
    /// What happened, in words, safe to print.
    pub words: String,
}

/// Everything a torrent can ask of the world. Plain data: no sockets, no senders, no closures.
#[derive(Debug)]
#[must_use]
pub enum Effect {
    /// Send a message. Messages to one peer go out in this order; requests of one refill go out in one write.
    Send {
        /// To whom.
        peer: PeerKey,
        /// What; never `Message::Piece`.
        message: Message,
    },
    /// Read this block from disk and send it; answered by `Sent` or `Unread`.
    Upload {
        /// To whom.
        peer: PeerKey,
        /// Which.
        block: Block,
    },
    /// End a connection. The peer is gone as far as the torrent is concerned.
    Drop {
        /// Which.
        peer: PeerKey,
        /// Why.
        why: Gone,
    },
    /// Connect to this address; answered by `Arrived` or `DialFailed`.
    Dial {
        /// The address.
        addr: SocketAddr,
        /// How it was spoken to the last time.
        manner: Manner,
    },
    /// Fetch this from a web seed (BEP 19), after what was asked of it before; answered by `Wire` with its blocks and
    /// by `Fetched`.
    Fetch {
        /// Which.
        peer: PeerKey,
        /// What.
        fetch: Fetch,
    },
    /// Fetch the `.torrent` that a magnet link names; answered by `Given` or `NotGiven`.
    FetchTorrent {
        /// Which of those that the link names.
        source: usize,
        /// Where it lies.
        url: String,
    },
    /// Look up the hosts of peers; answered by `LookedUp`.
    LookUp {
        /// What named them.
        source: Source,
        /// The hosts.
        names: Vec<HostPort>,
    },
    /// Nothing that was to be fetched from this web seed is wanted any more.
    Unfetch {
        /// Which.
        peer: PeerKey,
    },
    /// Work for the disk.
    Disk(DiskJob),
    /// Ask a tracker; answered by `Announced`.
    Announce {
        /// Which: an index that the answer repeats.
        tracker: usize,
        /// What to ask.
        ask: Announce,
    },
    /// Say to the local network that the torrent is here (BEP 14); peers that say so are told by `Found`.
    AnnounceLan,
    /// The torrent has turned out to be private: what was begun for it at the DHT and on the local network is given up, so
    /// that neither hears of it any more (BEP 27).
    KeepPrivate,
    /// The `info` dictionary of a magnet, with the right hash and not judged otherwise; answered by `Described`, or by
    /// `Stop` when it cannot be used.
    Metadata(Bytes),
    /// Ask the DHT for peers, and tell it of us at this port; answered by `Found` as they come, and by one `Sought`.
    Seek {
        /// The port that peers reach us on.
        announce: Option<u16>,
    },
    /// There may be a node of the DHT at this address.
    Meet(SocketAddr),
    /// Something a person should hear of: a sentence for the log.
    Notice(String),
    /// Everything that is wanted is there, verified and written. Told once per completion, not for data that
    /// were found whole by a check.
    Complete,
    /// Files are in the way of the torrent, which stops: `Occupied` by somebody before, or `Taken` by another torrent.
    Occupied(DiskFault),
    /// The check that `Input::Start` began is over, and the torrent takes part in the swarm.
    Ready,
}

/// Why a connection ended or never began.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Gone {
    /// The other side ended it.
    Closed,
    /// The socket failed: the system's word.
    Network(String),
    /// This machine has no way to addresses of that kind now: the system's word.
    Offline(String),
    /// Nothing came in time.
    TimedOut(&'static str),
    /// It broke the protocol, or lied.
    Misbehaved(String),
    /// Its bytes were bad, and it is banned.
    Banned(String),
    /// It is ourselves.
    Ourselves,
    /// There is a connection to it already.
    Duplicate,
    /// Neither side can want anything of the other.
    Useless,
    /// It made room for another one.
    Replaced,
    /// It was found otherwise than by the trackers of a private torrent.
    Private,
    /// The torrent was stopped.
    Stopped,
    /// The user wished it.
    Kicked,
    /// A limit of ours: connections, threads, descriptors.
    Full,
}

impl std::fmt::Display for Gone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Gone::Closed => f.write_str("it closed the connection"),
            Gone::Network(word) | Gone::Offline(word) => f.write_str(word),
            Gone::TimedOut(what) => write!(f, "{what} took too long"),
            Gone::Misbehaved(what) => f.write_str(what),
            Gone::Banned(what) => write!(f, "banned: {what}"),
            Gone::Ourselves => f.write_str("it is ourselves"),
            Gone::Duplicate => f.write_str("already connected"),
            Gone::Useless => f.write_str("neither side wants anything"),
            Gone::Replaced => f.write_str("made room for another peer"),
            Gone::Private => f.write_str("the torrent is private, and it did not come by its trackers"),
            Gone::Stopped => f.write_str("the torrent was stopped"),
            Gone::Kicked => f.write_str("disconnected by you"),
            Gone::Full => f.write_str("no more connections (limit)"),
        }
    }
}
