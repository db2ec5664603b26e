//! Lock files: exclusive locks between processes that report the pid of the holder.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Write};
use std::path::Path;

use crate::disk::atomic_file::{make_private, private, unlink_alias};
use crate::disk::error::{self, DiskOp};
use crate::disk::sys;
use crate::swarm::job::DiskFault;

/// Locks the file at `path`, creating it if needed, and writes our process id into it.
///
/// The lock is released when the returned file is dropped or the process ends. `held` is the part of the error message
/// that says what the lock protects. A symbolic link at `path` is unlinked, never written through. A file system
/// without lock support counts as unlocked.
///
/// # Errors
/// If another process holds the lock, with its pid; or the fault of creating, locking or writing the file.
pub(crate) fn acquire(path: &Path, held: &str) -> Result<File, DiskFault> {
    let words = |error: io::Error| error::from_io(DiskOp::Record, path, &error, 4096);
    if let Some(folder) = path.parent() {
        make_private(folder).map_err(words)?;
    }
    if fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_symlink()) {
        unlink_alias(path).map_err(words)?;
    }
    let open = || private().create(true).truncate(false).open(path).map_err(words);
    let mut file = open()?;
    // A file with a second hard link (a copy of the state directory) may still be locked by another process.
    if file.metadata().is_ok_and(|meta| sys::names(&meta) > 1)
        && !matches!(file.try_lock(), Err(TryLockError::WouldBlock))
    {
        unlink_alias(path).map_err(words)?;
        file = open()?;
    }
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            let known = file.take(20).read_to_string(&mut pid).is_ok() && !pid.trim().is_empty();
            let pid = if known { pid.trim() } else { "unknown" };
            return Err(error::transient(format!("already running (pid {pid}): {held}; stop that one first")));
        }
        // The file system has no locks: running without a lock is better than not downloading.
        Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {}
        Err(TryLockError::Error(error)) => return Err(words(error)),
    }
    file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())).map_err(words)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_one_is_told_who_was_first() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state").join("lock");
        let first = acquire(&path, "one at a time").unwrap();
        let why = acquire(&path, "one at a time").unwrap_err().text;
        assert!(why.contains(&format!("pid {}", std::process::id())) || cfg!(windows), "{why}");
        drop(first);
        acquire(&path, "one at a time").unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn a_link_under_its_name_is_never_written_through() {
        let dir = tempfile::tempdir().unwrap();
        let (path, diary) = (dir.path().join("lock"), dir.path().join("diary"));
        fs::write(&diary, b"mine").unwrap();
        for target in [diary.clone(), dir.path().join("nothing"), dir.path().join("lock-of-lock")] {
            std::os::unix::fs::symlink(&target, &path).unwrap();
            let held = acquire(&path, "one at a time").unwrap();
            assert!(acquire(&path, "one at a time").is_err() && fs::symlink_metadata(&path).unwrap().is_file());
            drop(held);
            fs::remove_file(&path).unwrap();
        }
        fs::hard_link(&diary, &path).unwrap();
        let held = acquire(&path, "one at a time").unwrap();
        // A second hard link to a lock that is held does not make it free.
        fs::hard_link(&path, dir.path().join("copy")).unwrap();
        assert!(acquire(&path, "one at a time").unwrap_err().text.contains("already running"));
        drop(held);
        acquire(&path, "one at a time").unwrap();
        assert_eq!(fs::read(&diary).unwrap(), b"mine");
        assert!(!dir.path().join("nothing").exists());
    }
}
