//! Reads `.torrent` files from disk, with a size limit and without blocking on FIFOs or devices.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;

use crate::disk::error::{is_out_of_handles, reason};
use crate::limits;

/// Number of attempts to open a file while no file descriptor is left, and the delay between them.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(250);

/// Why a file could not be read as a `.torrent` file.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The file cannot be opened or read.
    #[error("cannot read {}: {}", .path.display(), reason(.error))]
    Io { path: PathBuf, error: io::Error },
    /// The path is a folder, FIFO, socket or device.
    #[error("cannot read {}: it is {what}, not a file", .path.display())]
    NotAFile {
        path: PathBuf,
        /// The file type, with its article.
        what: &'static str,
    },
    /// The file exceeds the size limit.
    #[error("{} is larger than {} MiB, too large for a .torrent file", .path.display(), .max / limits::MIB as u64)]
    TooLarge {
        path: PathBuf,
        /// Maximum size, in bytes.
        max: u64,
    },
}

/// Reads a `.torrent` file.
///
/// Checks file type and size first, so a FIFO or an endless device cannot block the caller.
///
/// # Errors
/// If `path` is no regular file, is larger than [`limits::TORRENT_FILE`], or cannot be read.
pub(crate) fn read_torrent(path: &Path) -> Result<Vec<u8>, OpenError> {
    read_at_most(path, limits::TORRENT_FILE)
}

/// Reads a regular file of at most `max` bytes.
///
/// # Errors
/// As [`read_torrent`].
pub(crate) fn read_at_most(path: &Path, max: u64) -> Result<Vec<u8>, OpenError> {
    let failed = |error| OpenError::Io { path: path.to_owned(), error };
    let file = wait_and_open(path).map_err(failed)?;
    let meta = file.metadata().map_err(failed)?;
    if !meta.is_file() {
        return Err(OpenError::NotAFile { path: path.to_owned(), what: kind(meta.file_type()) });
    }
    let too_large = || OpenError::TooLarge { path: path.to_owned(), max };
    if meta.len() > max {
        return Err(too_large());
    }
    let mut bytes = Vec::with_capacity(meta.len() as usize);
    // The file may have grown since `metadata`.
    file.take(max + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > max {
        return Err(too_large());
    }
    Ok(bytes)
}

/// Opens a file for reading. Retries for a few seconds while no file descriptor is left.
fn wait_and_open(path: &Path) -> io::Result<File> {
    for _ in 0..TRIES {
        match open(path) {
            Err(error) if is_out_of_handles(&error) => std::thread::sleep(PAUSE),
            other => return other,
        }
    }
    open(path)
}

/// Opens a file for reading; `O_NONBLOCK` keeps the open of a FIFO without a writer from blocking.
#[cfg(unix)]
fn open(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;

    OpenOptions::new().read(true).custom_flags(rustix::fs::OFlags::NONBLOCK.bits() as i32).open(path)
}

/// Opens a file for reading. Opening a folder fails, because `FILE_FLAG_BACKUP_SEMANTICS` is not set.
#[cfg(not(unix))]
fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).open(path)
}

#[cfg(unix)]
pub(super) fn kind(kind: std::fs::FileType) -> &'static str {
    use std::os::unix::fs::FileTypeExt;

    match kind {
        k if k.is_file() => "a file",
        k if k.is_dir() => "a folder",
        k if k.is_symlink() => "a symbolic link",
        k if k.is_fifo() => "a pipe",
        k if k.is_socket() => "a socket",
        _ => "a device",
    }
}

#[cfg(not(unix))]
pub(super) fn kind(kind: std::fs::FileType) -> &'static str {
    match kind {
        k if k.is_file() => "a file",
        k if k.is_dir() => "a folder",
        k if k.is_symlink() => "a symbolic link",
        _ => "a device",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_files_of_a_sane_size_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.torrent");
        std::fs::write(&path, b"de").unwrap();
        assert_eq!(read_torrent(&path).unwrap(), b"de");
        for (path, why) in [
            ("none", "there is no such file or folder"),
            ("a.torrent/x", "not a directory"),
            (&"x".repeat(300), "file name too long"),
        ] {
            let path = dir.path().join(path);
            let text = read_torrent(&path).unwrap_err().to_string();
            if cfg!(unix) {
                assert_eq!(text, format!("cannot read {}: {why}", path.display()));
            }
        }
        assert!(matches!(read_at_most(&path, 1), Err(OpenError::TooLarge { .. })));
        let huge = File::create(&path).unwrap();
        huge.set_len(limits::TORRENT_FILE + 1).unwrap();
        assert!(matches!(read_torrent(&path), Err(OpenError::TooLarge { .. })));
    }

    #[cfg(unix)]
    #[test]
    fn what_is_no_file_does_not_hold_us_up() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        for (path, what) in [(pipe.as_path(), "a pipe"), (dir.path(), "a folder"), (Path::new("/dev/zero"), "a device")]
        {
            assert!(matches!(read_torrent(path), Err(OpenError::NotAFile { what: w, .. }) if w == what), "{what}");
        }
    }
}
