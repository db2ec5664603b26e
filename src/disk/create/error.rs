//! Why a `.torrent` file was not created.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::disk::error::{self, DiskOp};

/// Why a `.torrent` file was not created.
#[derive(Debug, Error)]
pub enum CreateError {
    /// Canceled by the user.
    #[error("stopped: nothing was written")]
    Stopped,
    /// The path is neither a regular file nor a folder.
    #[error("cannot make a torrent of {}: it is {what}, not a file or a folder", .path.display())]
    NotAFile {
        path: PathBuf,
        /// The file type, with its article.
        what: &'static str,
    },
    /// The path has no file name, such as `/`.
    #[error("cannot make a torrent of {}: it has no name; make one of a folder in it", .0.display())]
    NoName(PathBuf),
    /// A name cannot be represented in a torrent.
    #[error("{} cannot be shared under this name: {why}; rename it", .path.display())]
    Name {
        path: PathBuf,
        /// How other clients would read the name.
        why: String,
    },
    /// All files are empty, or there are none.
    #[error("there is nothing in {} to share{why}", .path.display())]
    Nothing {
        path: PathBuf,
        /// What was skipped, as the end of the sentence.
        why: String,
    },
    /// A limit of the format or of clients is exceeded.
    #[error("{} is too much for one torrent: {what}", .path.display())]
    TooMuch {
        path: PathBuf,
        /// Which limit, and the remedy.
        what: String,
    },
    /// A file changed after it was scanned.
    #[error("{} {how} while it was read: make the torrent when nothing changes it", .path.display())]
    Changed { path: PathBuf, how: &'static str },
    /// The output path is taken.
    #[error("{} is there already{advice}", .path.display())]
    Exists {
        path: PathBuf,
        /// The remedy, as the end of the sentence.
        advice: &'static str,
    },
    /// An I/O error, as a message.
    #[error("{0}")]
    System(String),
}

/// Returns the error of a path that cannot be read.
#[must_use]
pub fn unreadable(path: &Path, error: &io::Error) -> CreateError {
    CreateError::System(match error.kind() {
        io::ErrorKind::NotFound => format!("cannot read {}: it is not there", path.display()),
        _ => error::from_io(DiskOp::Read, path, error, 0).text,
    })
}
