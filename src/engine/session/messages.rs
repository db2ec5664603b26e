//! Messages to the session thread: commands of the user, and results of tasks that ran elsewhere.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use super::super::add::TorrentSpec;
use super::super::error::EngineError;
use super::super::inbox::{TorrentHandle, TorrentInbox};
use super::super::port_mapper::PortEvent;
use super::super::saved_torrent::SavedTorrent;
use crate::api::{AddTorrent, Command, CreatePreview, CreateRequest, Event, Setting, TorrentId, TorrentPreview};
use crate::config::Settings;
use crate::disk::create::hashing::Progress;
use crate::disk::move_storage::Moved;
use crate::disk::storage::{Resumed, Storage};
use crate::swarm::job::DiskFault;
use crate::wire::message::InfoHash;

/// A message to the session thread from the engine handle.
pub(crate) enum SessionMessage {
    Command(Command),
    /// Stop all torrents and end the thread by this time.
    Quit(Instant),
}

/// Completed moves whose old files are not deleted yet.
pub(super) type Uncleared = Vec<(TorrentId, Box<Moved>)>;

/// A torrent whose files are open; `storage` is `None` for a magnet link without metadata.
pub(crate) struct Opened {
    pub(super) mail: TorrentInbox,
    pub(super) inbox: TorrentHandle,
    pub(super) storage: Option<Storage>,
    pub(super) resumed: Resumed,
}

/// The result of a task that ran off the session thread.
pub(crate) enum TaskResult {
    /// The first torrents of the saved list, to be shown before all of it is read.
    FirstLoaded(Vec<SavedTorrent>),
    /// The saved torrent list and notices for the user.
    Loaded(Vec<SavedTorrent>, Vec<String>),
    /// The list was written or failed; carries the moves whose new folders it contains.
    ListWritten(Result<(), EngineError>, Uncleared),
    /// The torrent source of an `add` was resolved; the torrent will have this id.
    Resolved(TorrentId, AddTorrent, Result<Box<TorrentSpec>, EngineError>),
    /// The `.torrent` file of a saved torrent was read.
    TorrentLoaded(TorrentId, Result<Box<TorrentSpec>, EngineError>),
    /// The preview of a torrent that the user may add.
    Inspected(String, Result<Box<TorrentPreview>, EngineError>),
    /// The preview of a torrent to be created.
    Surveyed(CreateRequest, Result<Box<CreatePreview>, String>),
    /// The creation of a torrent ended.
    Created(CreateRequest, Arc<Progress>, Result<Box<WrittenTorrent>, String>),
    /// The port mapper or the listener reports a change.
    Port(PortEvent),
    /// The files of a torrent were opened before it starts.
    Opened(TorrentId, Result<Box<Opened>, DiskFault>),
    /// The metadata of a magnet link was validated.
    MetadataResolved(TorrentId, Result<Box<TorrentSpec>, DiskFault>),
    /// The files of a running magnet link were opened after its metadata arrived.
    MetadataOpened(TorrentId, Result<Box<(Storage, Resumed)>, DiskFault>),
    /// Files that were opened for a torrent that must no longer run are closed.
    Closed(TorrentId),
    /// The files of a torrent were deleted; `Ok(Some(_))` is a remark, `Err` a failure.
    Deleted(TorrentId, Result<Option<String>, String>),
    /// The saved `.torrent` file of a removed torrent is deleted.
    Forgotten(InfoHash),
    /// A move has progressed.
    Moving(TorrentId),
    /// A move ended; after an error the files are in the old folder.
    Moved(TorrentId, Result<Box<Moved>, String>),
    /// Free bytes on the file system of this folder.
    Room(PathBuf, Option<u64>),
    /// The config file was written or could not be written.
    Configured(Vec<Setting>, Result<Box<Settings>, EngineError>),
    /// A notice for the user, of this torrent or of the session.
    Notice(Option<TorrentId>, String),
    /// An event to be sent as it is.
    Event(Event),
    Done,
}

/// A `.torrent` file that was created.
pub(crate) struct WrittenTorrent {
    pub(super) path: PathBuf,
    /// The folder that contains the data.
    pub(super) dir: PathBuf,
    pub(super) magnet: String,
}
