//! The words that engine and interface share: commands go down, events and snapshots come up.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use crate::swarm::torrent::{PeerKey, Wish};
pub use crate::swarm::view::{
    Cell, Detail, FileRow, PeerRow, Priority, Reason, Source, State, TorrentView, TrackerRow,
};
pub use crate::wire::message::InfoHash;

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
    /// Peers to connect to at once.
    pub peers: Vec<SocketAddr>,
    /// Only files that match one of these globs are wanted; all when empty.
    pub select: Vec<String>,
    /// Fetch pieces in order.
    pub sequential: bool,
    /// Add it without starting it.
    pub paused: bool,
}

/// What can be asked of the engine.
#[derive(Clone, Debug)]
pub enum Command {
    /// Add a torrent; answered by `Event::Added` or `Event::Refused`.
    Add(AddTorrent),
    /// Stop it, keep it in the list.
    Pause(TorrentId),
    /// Start it again.
    Resume(TorrentId),
    /// Take it out of the list.
    Remove {
        /// Which.
        id: TorrentId,
        /// Delete its files too.
        data: bool,
    },
    /// Tell the torrent something.
    Wish(TorrentId, Wish),
    /// Connect to these peers.
    AddPeers(TorrentId, Vec<SocketAddr>),
    /// Limits of all torrents together, bytes a second.
    Limits {
        /// In.
        down: Option<u64>,
        /// Out.
        up: Option<u64>,
    },
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
    /// A torrent was not added.
    Refused {
        /// What `AddTorrent::what` was.
        what: String,
        /// One sentence: what is wrong, where, what to do.
        why: String,
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
    /// The torrents, in the order in which they were added.
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
    /// Free bytes on the disk of the default download folder.
    pub free: Option<u64>,
    /// Share of the last second in which the busiest disk thread was busy, 0 to 1.
    pub disk_busy: f32,
}
