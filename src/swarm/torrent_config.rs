//! What a torrent is made from: its metadata or its magnet link, and its settings.

use std::net::SocketAddr;

use bytes::Bytes;

use crate::swarm::data_map::DataMap;
use crate::swarm::geometry::Geometry;
use crate::swarm::job::Totals;
use crate::swarm::quota::Quota;
use crate::swarm::view::{Priority, TorrentMeta};
use crate::wire::host::HostPort;
use crate::wire::message::{InfoHash, PeerId};

/// A file of the torrent: its path and its byte range in the torrent's data.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileSpan {
    /// Path below the download folder, sanitized for display.
    pub path: String,
    /// Offset of the first byte in the torrent, in bytes.
    pub offset: u64,
    /// In bytes.
    pub length: u64,
    /// Padding file (BEP 47): not created on disk, and has no priority of its own.
    pub pad: bool,
    /// The original path, percent-encoded for web seed URLs; `None` if `path` is the same.
    pub web: Option<String>,
}

/// The configuration and initial state of a [`Torrent`](super::torrent::Torrent).
#[derive(Clone, Debug)]
pub struct TorrentConfig {
    /// Display name, sanitized.
    pub name: String,
    /// Name of the file or folder on disk, if it differs from `name`.
    pub name_on_disk: Option<String>,
    pub info_hash: InfoHash,
    pub peer_id: PeerId,
    /// The raw bencoded `info` dictionary, served to peers (BEP 9); `None` for a magnet without metadata.
    pub info: Option<Bytes>,
    /// The length of the `info` dictionary if it is not in memory but can be read with `DiskJob::ReadInfo`; 0 otherwise.
    pub kept_info: usize,
    /// The division into pieces; has no pieces until the metadata is known.
    pub geometry: Geometry,
    pub files: Vec<FileSpan>,
    /// Priorities by file index; a file that is not listed has priority `Normal`.
    pub priorities: Vec<(usize, Priority)>,
    /// Download the pieces in order.
    pub sequential: bool,
    /// Seed the pieces that are there and download nothing.
    pub seed_only: bool,
    /// Private torrent (BEP 27): peers come from its trackers only.
    pub private: bool,
    /// Tracker URLs by tier (BEP 12). They may hold passkeys: not for display.
    pub trackers: Vec<Vec<String>>,
    /// Web seed URLs (BEP 19). They may hold passwords: not for display.
    pub web_seeds: Vec<String>,
    /// True for a multi-file torrent, whose files are in a folder of their own.
    pub is_folder: bool,
    /// Peer addresses entered by the user.
    pub peers: Vec<SocketAddr>,
    /// Peers and `.torrent` URLs from the magnet link.
    pub link: MagnetExtras,
    /// Exchange peers with PEX (BEP 11), unless the torrent is private.
    pub pex: bool,
    /// uTP (BEP 29) is enabled, and with it the holepunch extension (BEP 55).
    pub utp: bool,
    /// The UDP port of our DHT node (BEP 5); `None` if the DHT is disabled.
    pub dht: Option<u16>,
    /// Our listening port, sent to peers and trackers; 0 if there is none.
    pub port: u16,
    /// The download folder, sanitized for display.
    pub folder: String,
    /// Maximum number of connected peers.
    pub max_peers: usize,
    /// Use local service discovery (LSD, BEP 14), unless the torrent is private.
    pub lan: bool,
    /// Rate limits do not apply to peers found by LSD.
    pub lan_unlimited: bool,
    /// The initial share of the session-wide limits; replaced by [`Input::Quota`](super::event::Input::Quota).
    pub quota: Quota,
    /// Super-seed (BEP 16) once the download is complete.
    pub super_seed: bool,
    /// Descriptive fields of the `.torrent` file.
    pub meta: TorrentMeta,
    /// When the torrent was added, in seconds since 1970; 0 if unknown.
    pub added: u64,
    /// When the download completed, in seconds since 1970.
    pub finished: Option<u64>,
    /// Totals saved by earlier runs.
    pub totals: Totals,
    pub seed: u64,
}

impl TorrentConfig {
    /// Returns the map of data bytes and padding bytes.
    #[must_use]
    pub fn data_map(&self) -> DataMap {
        let pads = self.files.iter().filter(|span| span.pad);
        DataMap::new(self.geometry, pads.map(|span| span.offset..span.offset + span.length).collect())
    }

    /// Returns the size of all files in bytes, without padding.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.files.iter().filter(|span| !span.pad).map(|span| span.length).sum()
    }
}

/// Peers and `.torrent` URLs from a magnet link. Not used once the torrent is known to be private (BEP 27).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct MagnetExtras {
    /// Peer addresses (`x.pe`).
    pub peers: Vec<SocketAddr>,
    /// Peers given by host name, which have to be resolved.
    pub named_peers: Vec<HostPort>,
    /// URLs of the `.torrent` (`xs`, `as`). They may hold secrets: not for display.
    pub sources: Vec<String>,
}
