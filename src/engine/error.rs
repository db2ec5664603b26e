//! Errors of the engine. The display text of each is one sentence for the user, or a clause that follows the name of the
//! torrent.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::config::error::{ConfigError, EditError};
use crate::disk::error::reason;
use crate::disk::torrent_file::OpenError;
use crate::engine::announce::error::FetchError;
use crate::engine::threads::Panicked;
use crate::swarm::job::DiskFault;
use crate::wire::magnet::MagnetError;

/// Why the engine could not do what was asked.
#[derive(Debug, Error)]
pub enum EngineError {
    /// A thread or a socket poll could not be created.
    #[error("the engine cannot start: no {what}: {}", reason(.source))]
    Start { what: &'static str, source: io::Error },
    /// The system has no thread for a task.
    #[error("no thread for it: {}", reason(.0))]
    NoThread(io::Error),
    /// A `.torrent` file cannot be read.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The user named neither a file nor a link, but hex digits of another number than an info-hash has.
    #[error("there is no file {0}, and an info-hash has 40 hex digits: these are {n}", n = .0.len())]
    HashLength(String),
    /// A magnet link is malformed.
    #[error(transparent)]
    Magnet(#[from] MagnetError),
    /// What the user named was read, but is no torrent that can be used.
    #[error("{what} cannot be used: {why}")]
    Unusable { what: String, why: Box<dyn std::error::Error + Send + Sync> },
    /// A URL cannot be fetched.
    #[error("{url} cannot be fetched: {source}")]
    Fetch { url: String, source: FetchError },
    /// A saved or fetched `.torrent` file has another info-hash.
    #[error("{} is another torrent's", .0.display())]
    OtherTorrent(PathBuf),
    /// The saved `.torrent` file of a torrent, named here, has another info-hash.
    #[error("{0} is another torrent's: remove this one and add it again")]
    Replaced(String),
    /// The engine stops before the task began.
    #[error("stopped")]
    Stopping,
    /// A task ended by a panic.
    #[error("a fault of ttui: {0}")]
    Fault(Panicked),
    /// No file of a torrent matches the patterns of the user.
    #[error("no file matches {}: see the names with `ttui show`", .0.join(", "))]
    NoMatch(Vec<String>),
    /// The path of the download folder cannot be made absolute.
    #[error("the folder {} cannot be used: {}", .path.display(), reason(.source))]
    Folder { path: PathBuf, source: io::Error },
    /// Nothing can be written in the download folder.
    #[error("{0}")]
    Unwritable(DiskFault),
    /// A folder cannot be created.
    #[error("the folder {} cannot be made: {}", .path.display(), reason(.source))]
    MakeFolder { path: PathBuf, source: io::Error },
    /// A `.torrent` file cannot be saved in the state directory.
    #[error("it will be missing in the next session: {} cannot be written: {}", .path.display(), reason(.source))]
    SaveTorrent { path: PathBuf, source: io::Error },
    /// The list of torrents cannot be written.
    #[error("the list of torrents {} cannot be written: {why}", path.display())]
    SaveList { path: PathBuf, why: Box<dyn std::error::Error + Send + Sync> },
    /// A torrent has no `.torrent` file to export.
    #[error("it was not kept")]
    NotKept,
    /// The target of an export exists.
    #[error("{} is there already; name another file", .0.display())]
    Exists(PathBuf),
    /// The folder of a target does not exist.
    #[error("{} cannot be written: its folder is not there", .0.display())]
    NoFolder(PathBuf),
    /// A file cannot be written.
    #[error("{} cannot be written: {}", .path.display(), reason(.source))]
    Write { path: PathBuf, source: io::Error },
    /// No file manager could be started.
    #[error("{} cannot be shown: {why}", path.display())]
    FileManager { path: PathBuf, why: String },
    /// The config file has no such key.
    #[error("there is no key {key} of the config file {}", path.display())]
    NoSetting { path: PathBuf, key: String },
    /// The config file is missing or invalid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A setting cannot be put into the text of the config file.
    #[error("the config file {} cannot be changed: {source}", path.display())]
    EditConfig { path: PathBuf, source: EditError },
    /// With a new value the config file would be invalid; it is not changed.
    #[error("nothing was changed: with that, {0}")]
    RejectedSetting(ConfigError),
    /// The config file cannot be written.
    #[error("the config file {} cannot be written: {source}", path.display())]
    WriteConfig { path: PathBuf, source: io::Error },
}
