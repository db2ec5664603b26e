//! What a running torrent tells the session.

use crate::api::TorrentId;
use crate::swarm::event::ProvidedMetadata;
use crate::swarm::job::DiskFault;
use crate::swarm::torrent::Torrent;
use crate::swarm::view::TorrentView;

/// An event that a running torrent sends to the session.
pub(crate) enum TorrentEvent {
    /// The current view.
    View(TorrentId, Box<TorrentView>),
    /// A notice for the user.
    Notice(TorrentId, String),
    /// Fetched metadata of a magnet link, not validated yet, with the torrent's trackers and web seeds.
    Metadata(TorrentId, Box<ProvidedMetadata>),
    /// The complete tracker list by tier, after a change by the user.
    Trackers(TorrentId, Vec<Vec<String>>),
    /// Existing files are in the way; the torrent stops.
    Occupied(TorrentId, DiskFault),
    /// The check of the files is done.
    Ready(TorrentId),
    /// All wanted pieces are on disk.
    Complete(TorrentId),
    /// The torrent has ended: the state machine, or the message of a panic.
    Ended(TorrentId, Result<Box<Torrent>, String>),
}
