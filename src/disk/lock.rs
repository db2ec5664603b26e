//! Lock files: one program at a time, and the others are told which.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Write};
use std::path::Path;

use super::fault::{self, Doing};
use super::rawio;
use crate::swarm::job::DiskFault;

/// Takes the lock file at `path`, made if need be, with our process id in it. It is held until the file is dropped, also
/// by a crash. `held` says what it means when somebody else has it. A link that bears its name is taken away, and never
/// written through.
///
/// # Errors
/// When somebody else holds it, with the number of their process; and when the file cannot be used.
pub fn claim(path: &Path, held: &str) -> Result<File, DiskFault> {
    let words = |error: io::Error| fault::system(Doing::Record, path, &error, 4096);
    if let Some(folder) = path.parent() {
        super::atomic::make_private(folder).map_err(words)?;
    }
    if fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_symlink()) {
        super::atomic::unlink_alias(path).map_err(words)?;
    }
    let open = || super::atomic::private().create(true).truncate(false).open(path).map_err(words);
    let mut file = open()?;
    // Where it has a second name (a copy of the folder by hard links), somebody may hold it all the same.
    if file.metadata().is_ok_and(|meta| rawio::names(&meta) > 1)
        && !matches!(file.try_lock(), Err(TryLockError::WouldBlock))
    {
        super::atomic::unlink_alias(path).map_err(words)?;
        file = open()?;
    }
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            let known = file.take(20).read_to_string(&mut pid).is_ok() && !pid.trim().is_empty();
            let pid = if known { pid.trim() } else { "unknown" };
            return Err(fault::passing(format!("already running (pid {pid}): {held}; stop that one first")));
        }
        // A file system without locks: better no lock than no download.
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
        let first = claim(&path, "one at a time").unwrap();
        let why = claim(&path, "one at a time").unwrap_err().text;
        assert!(why.contains(&format!("pid {}", std::process::id())) || cfg!(windows), "{why}");
        drop(first);
        claim(&path, "one at a time").unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn a_link_under_its_name_is_never_written_through() {
        let dir = tempfile::tempdir().unwrap();
        let (path, diary) = (dir.path().join("lock"), dir.path().join("diary"));
        fs::write(&diary, b"mine").unwrap();
        for target in [diary.clone(), dir.path().join("nothing"), dir.path().join("lock-of-lock")] {
            std::os::unix::fs::symlink(&target, &path).unwrap();
            let held = claim(&path, "one at a time").unwrap();
            assert!(claim(&path, "one at a time").is_err() && fs::symlink_metadata(&path).unwrap().is_file());
            drop(held);
            fs::remove_file(&path).unwrap();
        }
        fs::hard_link(&diary, &path).unwrap();
        let held = claim(&path, "one at a time").unwrap();
        // A second name of a lock that is held does not make it free.
        fs::hard_link(&path, dir.path().join("copy")).unwrap();
        assert!(claim(&path, "one at a time").unwrap_err().text.contains("already running"));
        drop(held);
        claim(&path, "one at a time").unwrap();
        assert_eq!(fs::read(&diary).unwrap(), b"mine");
        assert!(!dir.path().join("nothing").exists());
    }
}
