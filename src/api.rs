//! The words that engine and interface share: commands go down, events and snapshots come up.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use crate::swarm::dht::DhtState;
pub use crate::swarm::job::FaultKind;
pub use crate::swarm::torrent::{PeerKey, Wish};
pub use crate::swarm::view::{
    Cell, Departed, Detail, FileRow, Meta, PeerDetail, PeerRow, PieceDetail, Priority, Reason, Source, SourceRow,
    State, TorrentView, TrackerRow,
};
pub use crate::wire::message::InfoHash;

/// A link in what a user typed or pasted; see [`Link::find`].
pub use crate::wire::link::{Link, lines};

/// Names a torrent within one run of the engine.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TorrentId(pub u32);

/// A torrent to add and how.
#[derive(Clone, Debug, Default)]
pub struct AddTorrent {
    /// What to add: a path of a `.torrent`, a magnet, a 40-hex info-hash, or an http(s) URL of a `.torrent`.
    pub what: String,
    /// The download folder; the engine's default when `None`.
    pub dir: Option<PathBuf>,
    /// Files that were there before, and are not the torrent's, may be overwritten.
    pub overwrite: bool,
    /// Peers to connect to at once.
    pub peers: Vec<SocketAddr>,
    /// Only files that match one of these globs are wanted; all when empty.
    pub select: Vec<String>,
    /// How much each file is wanted, by its index in the torrent; `Normal` where nothing is said. Comes after `select`.
    pub priorities: Vec<(usize, Priority)>,
    /// Seed what is there, and fetch and write nothing.
    pub seed_only: bool,
    /// Fetch pieces in order.
    pub sequential: bool,
    /// Add it without starting it.
    pub paused: bool,
    /// Fetch nothing of a magnet before its files were chosen: `Event::Choose` asks, `Command::Choose` answers.
    pub choose: bool,
}

/// What is inside something that could be added.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Contents {
    /// Its name, safe to print.
    pub name: String,
    /// Its info-hash.
    pub info_hash: Option<InfoHash>,
    /// Bytes of all files.
    pub size: u64,
    /// Its files.
    pub files: Vec<FileRow>,
    /// The folder that it would go to, safe to print.
    pub folder: String,
    /// Free bytes there, if it can be told.
    pub free: Option<u64>,
    /// Whether it is in the list already.
    pub present: bool,
    /// What a person should hear of it: renamed files and the like.
    pub remarks: Vec<String>,
}

/// A torrent to be made of the user's own data.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct NewTorrent {
    /// The path of the file or folder.
    pub what: String,
    /// Its trackers, to be asked one after the other.
    pub trackers: Vec<String>,
    /// Only these are asked for peers.
    pub private: bool,
}

/// What a torrent to be made would be.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Planned {
    /// Its name, safe to print.
    pub name: String,
    /// How many files it has.
    pub files: u64,
    /// Bytes of all files.
    pub size: u64,
    /// Bytes of a piece.
    pub piece_length: u32,
    /// How many pieces it has.
    pub pieces: u64,
    /// Bytes of its `.torrent`.
    pub torrent: u64,
    /// What is left out, in words.
    pub left_out: Option<String>,
}

/// A torrent that was made.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Created {
    /// Where its `.torrent` is, safe to print.
    pub path: String,
    /// Its magnet link.
    pub magnet: String,
    /// Whether others on the local network find it by its info-hash alone.
    pub lan: bool,
}

/// Which way in the queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// Before the one that stands before it.
    Up,
    /// Behind the one that follows it.
    Down,
    /// Before all others.
    First,
    /// Behind all others.
    Last,
}

/// A key of the config file and its new value as it would stand there in TOML; `None` takes it out.
pub type Setting = (String, Option<String>);

/// What can be asked of the engine.
#[derive(Clone, Debug)]
pub enum Command {
    /// Add a torrent; answered by `Event::Added`, `Event::Known` or `Event::Refused`.
    Add(AddTorrent),
    /// Stop it, keep it in the list.
    Pause(TorrentId),
    /// Start it again.
    Resume(TorrentId),
    /// These files of a torrent that waits for that are wanted so much, the others normally; it goes on.
    Choose {
        /// Which.
        id: TorrentId,
        /// As in `AddTorrent::priorities`.
        priorities: Vec<(usize, Priority)>,
    },
    /// Take it out of the list.
    Remove {
        /// Which.
        id: TorrentId,
        /// Delete its files too.
        data: bool,
    },
    /// Tell the torrent something.
    Wish(TorrentId, Wish),
    /// Say what is inside, without adding it; answered by `Event::Inspected`.
    Inspect(AddTorrent),
    /// Move it in the queue.
    Queue(TorrentId, Step),
    /// How large its share of what all have together is: of the limits, and of the bytes under way. `High` is four times
    /// the usual one, `Low` a quarter of it; `Skip` counts as `Low`.
    Rank(TorrentId, Priority),
    /// Move its data to this folder, and go on there.
    Move {
        /// Which.
        id: TorrentId,
        /// The new download folder.
        to: PathBuf,
    },
    /// Write its `.torrent`, as it was received, to this path; a folder takes it under the torrent's name. Never
    /// overwrites.
    Export {
        /// Which.
        id: TorrentId,
        /// The path.
        to: PathBuf,
    },
    /// It may overwrite the files in its way that `Event::Occupied` told of; it starts again.
    Overwrite(TorrentId),
    /// Show its folder in the system's file manager.
    Open(TorrentId),
    /// Tell their magnet links; answered by `Event::Magnets`.
    Magnets(Vec<TorrentId>),
    /// Write these into the config file, and heed at once what can be heeded at once.
    Configure(Vec<Setting>),
    /// Connect to these peers.
    AddPeers(TorrentId, Vec<SocketAddr>),
    /// Limits of all torrents together, bytes a second.
    Limits {
        /// In.
        down: Option<u64>,
        /// Out.
        up: Option<u64>,
    },
    /// Say what a torrent of one's own data would be; answered by `Event::Surveyed`.
    Survey(NewTorrent),
    /// Make it, put its `.torrent` beside the data, add it and seed it; answered by `Event::Creating` while it is hashed,
    /// and by `Event::Created`. One at a time: this takes the place of what is being made or looked at.
    Create(NewTorrent),
    /// Stop what is being made or looked at, without an answer; nothing stays behind.
    StopCreating,
    /// The torrent whose [`Detail`] the snapshots are to carry.
    Focus(Option<TorrentId>),
}

/// What the engine tells.
#[derive(Clone, Debug)]
pub enum Event {
    /// The state of everything; at most four a second, only when something changed.
    Snapshot(Arc<Snapshot>),
    /// A torrent was added.
    Added {
        /// Its name from now on.
        id: TorrentId,
        /// What `AddTorrent::what` was.
        what: String,
    },
    /// A torrent that was to be added is in the list already; what it brought besides was worked in.
    Known {
        /// Its name.
        id: TorrentId,
        /// What `AddTorrent::what` was.
        what: String,
        /// One sentence: what was made of it.
        text: String,
    },
    /// A torrent was not added.
    Refused {
        /// What `AddTorrent::what` was.
        what: String,
        /// One sentence: what is wrong, where, what to do.
        why: String,
    },
    /// What is inside something that could be added, or one sentence why it cannot be.
    Inspected {
        /// What `AddTorrent::what` was.
        what: String,
        /// What is inside.
        contents: Result<Box<Contents>, String>,
    },
    /// The magnet links that were asked for: of those torrents that are known so far.
    Magnets {
        /// How many were asked for.
        asked: usize,
        /// The links.
        links: Vec<String>,
    },
    /// What a torrent of one's own data would be, or one sentence why it cannot be.
    Surveyed {
        /// What was asked about.
        of: NewTorrent,
        /// What it would be.
        planned: Result<Box<Planned>, String>,
    },
    /// How far the hashing of one's own data is.
    Creating {
        /// What `NewTorrent::what` was.
        what: String,
        /// Bytes hashed.
        done: u64,
        /// Bytes in all; 0 while the files are looked for.
        total: u64,
        /// Bytes a second.
        rate: u64,
    },
    /// A torrent was made and is being added, or one sentence why not.
    Created {
        /// What `NewTorrent::what` was.
        what: String,
        /// What was made.
        made: Result<Box<Created>, String>,
    },
    /// The metadata of a magnet are here, and its files are to be chosen: nothing is fetched before `Command::Choose`.
    Choose {
        /// Which.
        id: TorrentId,
        /// What is inside.
        contents: Box<Contents>,
    },
    /// Files are in the way of a torrent that are not its own: it has stopped. Told once until the user says something of it.
    Occupied {
        /// Which.
        id: TorrentId,
        /// Its name.
        name: String,
        /// The sentence.
        text: String,
        /// Whether `Command::Overwrite` lets it overwrite them; not where they belong to another torrent.
        ask: bool,
    },
    /// Its check is over.
    Ready(TorrentId),
    /// Everything wanted of it has been downloaded, verified and written.
    Complete(TorrentId),
    /// Something happened that a person should hear of.
    Notice {
        /// To which torrent, if to one.
        id: Option<TorrentId>,
        /// The sentence.
        text: String,
    },
    /// The engine has stopped; nothing follows.
    Stopped,
}

/// The state of everything a person can see, at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Time since the engine started.
    pub uptime: Duration,
    /// The torrents, in the order of the queue: as they were added until the user moves them.
    pub torrents: Vec<(TorrentId, TorrentView)>,
    /// The torrent whose view carries a [`Detail`].
    pub focus: Option<TorrentId>,
    /// Payload bytes a second in, all torrents.
    pub down: u64,
    /// Payload bytes a second out, all torrents.
    pub up: u64,
    /// The limits of all torrents together, bytes a second.
    pub limits: (Option<u64>, Option<u64>),
    /// The port that peers can reach us on; `None` while there is none.
    pub port: Option<u16>,
    /// What became of the port, in words: `listening`, `taken, using 6882` ..
    pub port_state: String,
    /// How our DHT node is doing; `None` where there is none.
    pub dht: Option<DhtState>,
    /// Free bytes on the disk of the default download folder.
    pub free: Option<u64>,
    /// Share of the last second in which the busiest disk thread was busy, 0 to 1.
    pub disk_busy: f32,
    /// Connections of all torrents together, and the most there may be.
    pub connections: (u32, u32),
    /// Downloads that may run at once; `None` is no limit.
    pub max_active: Option<u32>,
    /// The default download folder, safe to print.
    pub folder: String,
    /// The config file that settings are written to, safe to print; empty where there is none.
    pub config_file: String,
    /// What happened to all torrents, newest last: since the engine started, to which torrent, and the sentence. At
    /// most [`Snapshot::LOG`].
    pub log: Vec<(Duration, Option<TorrentId>, String)>,
}

impl Snapshot {
    /// The most sentences of the log.
    pub const LOG: usize = 200;
}
