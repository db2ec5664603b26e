//! What a person may see of a torrent. Plain numbers and words: durations instead of instants, no secrets of the
//! machine. Built by [`Torrent::view`](super::torrent::Torrent::view).

use std::net::SocketAddr;
use std::time::Duration;

use crate::swarm::job::FaultKind;
use crate::wire::message::InfoHash;

/// What a torrent is doing, in one word.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum State {
    /// Its data are being hashed.
    Checking,
    /// A magnet's metadata is being fetched.
    Metadata,
    /// Pieces are being fetched.
    #[default]
    Downloading,
    /// Everything wanted is there.
    Seeding,
    /// Stopped by the user.
    Paused,
    /// Waiting for its turn.
    Queued,
    /// Its data are being moved to another folder.
    Moving,
    /// Stopped by a fault; [`TorrentView::error`] says which.
    Error,
}

impl State {
    /// The word shown to people and scripts.
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

/// One torrent as its row shows it.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct TorrentView {
    /// Its name, safe to print.
    pub name: String,
    /// Bytes of all files. Padding is no file, here and below.
    pub size: u64,
    /// Bytes of the files that are wanted.
    pub wanted: u64,
    /// Bytes of the files that are wanted, in verified pieces.
    pub done: u64,
    /// Number of pieces.
    pub pieces: u32,
    /// Pieces of the metadata that are here, and all of them, while they are fetched; zeros before their length is known.
    pub metadata: (u32, u32),
    /// Number of verified pieces.
    pub have: u32,
    /// Pieces hashed so far, while checking.
    pub checked: u32,
    /// What it is doing.
    pub state: State,
    /// The fault that stopped it, as a sentence; [`TorrentView::why`] adds what happens by itself.
    pub error: Option<String>,
    /// Of which kind it is.
    pub fault: Option<FaultKind>,
    /// Payload bytes a second, in.
    pub down: u64,
    /// Payload bytes a second, out.
    pub up: u64,
    /// Payload bytes received over all runs of the torrent in its folder.
    pub downloaded: u64,
    /// Payload bytes sent over all runs of the torrent in its folder.
    pub uploaded: u64,
    /// Payload bytes thrown away: of corrupt pieces, unasked or twice.
    pub wasted: u64,
    /// Peers connected.
    pub peers: u32,
    /// Connected peers that have everything.
    pub seeds: u32,
    /// Addresses known.
    pub known: u32,
    /// Time until done at the rate of the last half minute or so, if it can be told.
    pub eta: Option<Duration>,
    /// Time since it was started.
    pub active: Duration,
    /// Whether pieces are fetched in order.
    pub sequential: bool,
    /// Whether only its own trackers may be told of it (BEP 27).
    pub private: bool,
    /// Whether it seeds one piece at a time to each peer (BEP 16).
    pub super_seed: bool,
    /// How large its share of what all torrents have together is.
    pub rank: Priority,
    /// Its own limits in and out, bytes a second.
    pub limits: (Option<u64>, Option<u64>),
    /// When it was added, seconds since 1970; 0 where that is not known.
    pub added: u64,
    /// When it was completed, seconds since 1970.
    pub finished: Option<u64>,
    /// Why it is no faster.
    pub why: Reason,
    /// What only the focused torrent carries.
    pub detail: Option<Box<Detail>>,
}

impl TorrentView {
    /// The bytes that a ratio is counted in: those of the wanted files, or of all where none is wanted.
    #[must_use]
    pub const fn ratio_of(&self) -> u64 {
        if self.wanted > 0 { self.wanted } else { self.size }
    }

    /// Bytes sent over all runs for each byte that is wanted; 0 where there is none.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        self.uploaded as f64 / self.ratio_of().max(1) as f64
    }
}

/// Why a torrent is no faster, in one sentence and the numbers behind it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Reason {
    /// The sentence.
    pub sentence: String,
    /// Label and value, most telling first; only of the torrent that carries a [`Detail`].
    pub numbers: Vec<(String, String)>,
}

/// What only the focused torrent carries.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Detail {
    /// The pieces, at most [`Detail::CELLS`] cells: each stands for one piece or for a run of equal length.
    pub cells: Vec<Cell>,
    /// Copies of the whole torrent among the connected peers and us: the rarest piece's count, and the share of
    /// pieces that have more.
    pub copies: f32,
    /// Pieces of which no connected peer has a copy and that we lack.
    pub missing: u32,
    /// The connected peers, by address.
    pub peers: Vec<PeerRow>,
    /// Peers that left, newest last; at most [`Detail::DEPARTED`].
    pub departed: Vec<Departed>,
    /// What each way of finding peers has brought.
    pub sources: Vec<SourceRow>,
    /// The peer that was looked at (`Wish::Look`).
    pub peer: Option<PeerDetail>,
    /// The piece that was looked at (`Wish::Look`).
    pub piece: Option<PieceDetail>,
    /// What its `.torrent` says beside its data.
    pub meta: Meta,
    /// The files.
    pub files: Vec<FileRow>,
    /// The trackers, by tier.
    pub trackers: Vec<TrackerRow>,
    /// The torrent's info-hash.
    pub info_hash: Option<InfoHash>,
    /// Bytes of a piece.
    pub piece_length: u32,
    /// The folder that the data are in.
    pub folder: String,
    /// What happened, newest last: seconds since the start, and the sentence.
    pub log: Vec<(Duration, String)>,
}

impl Detail {
    /// The most cells of a piece map.
    pub const CELLS: usize = 4096;
    /// The most peers kept that left.
    pub const DEPARTED: usize = 50;
}

/// What a `.torrent` says beside its data. All of it is a stranger's text, safe to print.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Meta {
    /// A remark.
    pub comment: Option<String>,
    /// The program that made it.
    pub created_by: Option<String>,
    /// When, seconds since 1970.
    pub created: Option<i64>,
    /// The tracker it was made for.
    pub source: Option<String>,
    /// Addresses of web seeds (BEP 19).
    pub web_seeds: Vec<String>,
    /// Its magnet link.
    pub magnet: String,
    /// Trackers that are not asked, without what may be a secret, each with the reason.
    pub refused_trackers: Vec<(String, String)>,
}

/// A peer that left.
#[derive(Clone, PartialEq, Debug)]
pub struct Departed {
    /// Its address; says nothing where `host` is known instead.
    pub addr: SocketAddr,
    /// The host of a web seed, safe to print.
    pub host: Option<String>,
    /// Its program, safe to print; empty where it did not come that far.
    pub client: String,
    /// How we learnt of it.
    pub source: Source,
    /// How long ago it left.
    pub ago: Duration,
    /// How long it was connected.
    pub stayed: Duration,
    /// Payload bytes from it.
    pub downloaded: u64,
    /// Payload bytes to it.
    pub uploaded: u64,
    /// Why, in words.
    pub why: String,
}

/// What one way of finding peers has brought.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SourceRow {
    /// Which.
    pub source: Source,
    /// Addresses known from it.
    pub known: u32,
    /// Of them, those that failed when they were tried last.
    pub failed: u32,
    /// Of them, those connected.
    pub connected: u32,
    /// Why the last of them failed, in words.
    pub last_failure: Option<String>,
    /// What it is doing or last said, in words; empty where it is nothing that is asked.
    pub status: String,
    /// Time since its last answer.
    pub last: Option<Duration>,
    /// Time until it is asked next.
    pub next: Option<Duration>,
}

impl SourceRow {
    /// The row of this source among others, put there where it is missing; they stand in the order of the sources.
    pub fn among(rows: &mut Vec<SourceRow>, source: Source) -> &mut SourceRow {
        let at = rows.iter().position(|row| row.source >= source).unwrap_or(rows.len());
        if rows.get(at).is_none_or(|row| row.source != source) {
            rows.insert(at, SourceRow::new(source));
        }
        &mut rows[at]
    }

    /// One that has brought nothing yet.
    #[must_use]
    pub const fn new(source: Source) -> Self {
        SourceRow {
            source,
            known: 0,
            failed: 0,
            connected: 0,
            last_failure: None,
            status: String::new(),
            last: None,
            next: None,
        }
    }
}

/// One connected peer, looked at closely.
#[derive(Clone, PartialEq, Debug)]
pub struct PeerDetail {
    /// Which: [`PeerRow::key`].
    pub key: u64,
    /// Its peer id, safe to print.
    pub peer_id: String,
    /// How bytes go to and fro, in words: `TCP, encrypted (RC4)`, ..
    pub transport: &'static str,
    /// What it can do, in words: `fast extension`, `extension protocol` ..
    pub abilities: Vec<String>,
    /// The requests that it takes at once, as it says.
    pub reqq: u32,
    /// Requests that we keep on their way to it.
    pub pipeline: u32,
    /// Pieces that it has.
    pub pieces: u32,
    /// Of them, pieces that we want.
    pub wanted: u32,
    /// Blocks of it that were in pieces that failed their hash.
    pub failed: u32,
    /// Of the time connected, the share in which it choked us, 0 to 1.
    pub choked_us: f32,
    /// Of the time connected, the share in which we choked it, 0 to 1.
    pub choked_it: f32,
    /// What happened between us, newest last: since it connected, and the sentence.
    pub timeline: Vec<(Duration, String)>,
}

/// One piece, looked at closely.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct PieceDetail {
    /// Which.
    pub index: u32,
    /// Its bytes.
    pub size: u64,
    /// Whether it is here and verified.
    pub have: bool,
    /// Blocks in it.
    pub blocks: u32,
    /// Of them, blocks that are here.
    pub here: u32,
    /// The files that it has bytes of.
    pub files: Vec<String>,
    /// Connected peers that have it.
    pub holders: u32,
    /// Some of them, the fastest first.
    pub some_holders: Vec<SocketAddr>,
    /// Who is asked for how many of its blocks.
    pub asked: Vec<(SocketAddr, u32)>,
    /// The same of web seeds, by host.
    pub asked_web: Vec<(String, u32)>,
    /// Time since its first block was asked for.
    pub age: Option<Duration>,
    /// How often it failed its hash.
    pub fails: u32,
}

/// A run of pieces on the piece map.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Cell {
    /// Pieces in it.
    pub pieces: u16,
    /// Of them verified.
    pub have: u16,
    /// Of them partly here or asked for.
    pub active: u16,
    /// The fewest copies among connected peers of any piece in it that we lack; 0 when we have all.
    pub rarest: u16,
}

/// One connected peer.
#[derive(Clone, PartialEq, Debug)]
pub struct PeerRow {
    /// Names the connection in commands.
    pub key: u64,
    /// Its address; says nothing where `host` is known instead.
    pub addr: SocketAddr,
    /// The host of a web seed, safe to print.
    pub host: Option<String>,
    /// Its program, from the extended handshake or the peer id; safe to print.
    pub client: String,
    /// The flag letters people know: `D d U u K ? O S I E e P L X H`; `E` is a connection that is
    /// encrypted, `e` one of which only the handshake was, `P` one by uTP.
    pub flags: String,
    /// The share of the torrent that it has, 0 to 1.
    pub done: f32,
    /// Payload bytes a second from it.
    pub down: u64,
    /// Payload bytes a second to it.
    pub up: u64,
    /// Payload bytes from it.
    pub downloaded: u64,
    /// Payload bytes to it.
    pub uploaded: u64,
    /// Blocks asked of it and not yet here.
    pub requests_out: u32,
    /// Blocks it asked for and has not got.
    pub requests_in: u32,
    /// How we learnt of it.
    pub source: Source,
    /// Since when it is connected.
    pub age: Duration,
    /// It chokes us.
    pub chokes_us: bool,
    /// We choke it.
    pub choked: bool,
    /// We want something of it.
    pub interesting: bool,
    /// It wants something of us.
    pub interested: bool,
    /// It let us wait too long for a block.
    pub snubbed: bool,
    /// Blocks of it that were in pieces that failed their hash.
    pub failed: u32,
}

/// How an address was learnt.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub enum Source {
    /// Given by the user.
    Manual,
    /// It called us.
    Incoming,
    /// Local discovery (BEP 14).
    Lan,
    /// A tracker.
    Tracker,
    /// The magnet link (`x.pe`).
    Link,
    /// Peer exchange (BEP 11).
    Pex,
    /// The DHT (BEP 5).
    Dht,
    /// Known from an earlier run.
    Resume,
    /// The torrent names it as a web seed (BEP 19).
    Web,
}

impl Source {
    /// The short word of the peer table.
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

/// How much a file is wanted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Hash)]
pub enum Priority {
    /// Not at all.
    Skip,
    /// After the others.
    Low,
    /// As the others.
    #[default]
    Normal,
    /// Before the others.
    High,
}

/// One file.
#[derive(Clone, PartialEq, Debug)]
pub struct FileRow {
    /// Which it is in the torrent, padding counted too: names it in `Wish::Priority`.
    pub index: usize,
    /// Its path below the download folder, with `/`; safe to print.
    pub path: String,
    /// Its bytes.
    pub size: u64,
    /// Bytes of verified pieces in it.
    pub done: u64,
    /// How much it is wanted.
    pub priority: Priority,
    /// Time until it is done, if that can be told.
    pub eta: Option<Duration>,
}

/// One tracker.
#[derive(Clone, PartialEq, Debug)]
pub struct TrackerRow {
    /// Names it in `Wish::Announce` and `Wish::RemoveTracker`; never given twice.
    pub index: usize,
    /// Its tier, from 0 (BEP 12).
    pub tier: u32,
    /// Its address without what may be a secret, safe to print.
    pub url: String,
    /// What it is doing or last said, in words.
    pub status: String,
    /// Whether the last answer was an error.
    pub failed: bool,
    /// Seeds, as it counts.
    pub seeds: Option<u32>,
    /// Leechers, as it counts.
    pub leechers: Option<u32>,
    /// Downloads completed ever, as it counts.
    pub completed: Option<u32>,
    /// Time since its last answer.
    pub last: Option<Duration>,
    /// Time until the next announce.
    pub next: Option<Duration>,
    /// Peers in its last answer.
    pub peers: Option<u32>,
}

impl TrackerRow {
    /// A tracker that is not asked at all, for this reason. No wish reaches it.
    #[must_use]
    pub fn refused(tier: u32, url: String, why: &str) -> Self {
        TrackerRow {
            index: usize::MAX,
            tier,
            url,
            status: format!("not asked: {why}"),
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
