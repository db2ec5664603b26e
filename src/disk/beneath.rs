//! File access beneath a directory that never follows symbolic links (as openat2 `RESOLVE_BENEATH`).
//!
//! The download directory is chosen by the user and may itself be a symbolic link. Below it every path component is
//! opened with `O_NOFOLLOW` and must be a directory, the last one a regular file, so that a planted link cannot
//! redirect reads or writes to a path outside the download directory.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use crate::disk::torrent_file as opening;

/// Access mode of [`open()`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Access {
    /// Read only.
    Read,
    /// Read and write an existing file.
    Write,
    /// Create a file and its parent directories; fails with `AlreadyExists` if the file exists.
    Create,
}

/// The type of the directory entry at a path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum EntryKind {
    /// The path does not exist.
    Missing,
    /// A regular file, with its size in bytes.
    File(u64),
    /// The path or one of its parents is neither a regular file nor a directory: its path and its kind.
    Other(PathBuf, &'static str),
}

/// Returns what is at a path below a directory. Opens no file and follows no symbolic link.
///
/// # Errors
/// The error of `lstat` other than `NotFound` and `NotADirectory`.
pub(crate) fn entry_kind(dir: &Path, path: &Path) -> io::Result<EntryKind> {
    let mut at = dir.to_path_buf();
    let mut parts = path.components().peekable();
    while let Some(part) = parts.next() {
        at.push(part);
        let meta = match std::fs::symlink_metadata(&at) {
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(EntryKind::Missing);
            }
            other => other?,
        };
        let last = parts.peek().is_none();
        match meta.file_type() {
            kind if kind.is_dir() && !last => {}
            kind if kind.is_file() && last => return Ok(EntryKind::File(meta.len())),
            kind if kind.is_file() => return Ok(EntryKind::Other(at, "a file")),
            kind => return Ok(EntryKind::Other(at, opening::kind(kind))),
        }
    }
    Ok(EntryKind::Missing)
}

/// Returns the error for an entry that is neither a regular file nor a directory.
fn not_plain(what: &str) -> io::Error {
    io::Error::other(format!("{what}; it is not followed: move it away or choose another folder"))
}

#[cfg(unix)]
mod system {
    use std::os::fd::OwnedFd;
    use std::path::Component;

    use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags};
    use rustix::io::Errno;

    use super::{Access, File, Path, io, not_plain};

    const FOLDER: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC).union(OFlags::RDONLY);

    /// Opens the parent directory of `path`; with `make` creates missing directories.
    fn parent(dir: &Path, path: &Path, make: bool) -> io::Result<OwnedFd> {
        if make {
            std::fs::create_dir_all(dir)?;
        }
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::RDONLY;
        let mut at = rustix::fs::openat(CWD, dir, flags, Mode::empty())?;
        for part in path.parent().unwrap_or(Path::new("")).components() {
            let Component::Normal(name) = part else {
                return Err(io::Error::from(io::ErrorKind::InvalidInput));
            };
            let next = match rustix::fs::openat(&at, name, FOLDER, Mode::empty()) {
                Err(Errno::NOENT) if make => {
                    match rustix::fs::mkdirat(&at, name, Mode::from_raw_mode(0o777)) {
                        Ok(()) | Err(Errno::EXIST) => {}
                        Err(error) => return Err(error.into()),
                    }
                    rustix::fs::openat(&at, name, FOLDER, Mode::empty())
                }
                other => other,
            };
            at = next.map_err(|error| in_the_way(&at, name.as_ref(), error))?;
        }
        Ok(at)
    }

    /// Returns an error that names the file type which prevented the open, or `error` itself.
    fn in_the_way(at: &OwnedFd, name: &Path, error: Errno) -> io::Error {
        let stat = rustix::fs::statat(at, name, AtFlags::SYMLINK_NOFOLLOW);
        let what = match stat.map(|stat| FileType::from_raw_mode(stat.st_mode)) {
            Ok(FileType::Symlink) => "a symbolic link",
            Ok(FileType::Fifo) => "a pipe",
            Ok(FileType::Socket) => "a socket",
            Ok(FileType::BlockDevice | FileType::CharacterDevice) => "a device",
            _ => return error.into(),
        };
        not_plain(&format!("{} is {what}", name.display()))
    }

    pub(super) fn open(dir: &Path, path: &Path, access: Access) -> io::Result<File> {
        let at = parent(dir, path, access == Access::Create)?;
        let name = Path::new(path.file_name().unwrap_or_default());
        // Without O_NONBLOCK, opening a FIFO planted at this path would block forever.
        let flags = OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let flags = match access {
            Access::Read => flags | OFlags::RDONLY,
            Access::Write => flags | OFlags::RDWR,
            Access::Create => flags | OFlags::RDWR | OFlags::CREATE | OFlags::EXCL,
        };
        let file = rustix::fs::openat(&at, name, flags, Mode::from_raw_mode(0o666))
            .map_err(|error| if error == Errno::EXIST { error.into() } else { in_the_way(&at, name, error) })?;
        let file = File::from(file);
        let meta = file.metadata()?;
        if meta.is_dir() {
            return Err(io::Error::from(io::ErrorKind::IsADirectory));
        }
        if !meta.is_file() {
            return Err(not_plain("something that is not a file is in its place"));
        }
        Ok(file)
    }

    pub(super) fn remove(dir: &Path, path: &Path, folder: bool) -> io::Result<()> {
        let at = parent(dir, path, false)?;
        let name = Path::new(path.file_name().unwrap_or_default());
        let is = FileType::from_raw_mode(rustix::fs::statat(&at, name, AtFlags::SYMLINK_NOFOLLOW)?.st_mode);
        if is != (if folder { FileType::Directory } else { FileType::RegularFile }) {
            return Ok(());
        }
        let flags = if folder { AtFlags::REMOVEDIR } else { AtFlags::empty() };
        Ok(rustix::fs::unlinkat(&at, name, flags)?)
    }

    pub(super) fn sync_parent(dir: &Path, path: &Path) -> io::Result<()> {
        Ok(rustix::fs::fsync(parent(dir, path, false)?)?)
    }

    pub(super) fn link(from: (&Path, &Path), to: (&Path, &Path)) -> io::Result<()> {
        let (old, new) = (parent(from.0, from.1, false)?, parent(to.0, to.1, true)?);
        let name = |path: &Path| path.file_name().unwrap_or_default().to_owned();
        // Without AT_SYMLINK_FOLLOW a link as last component is not followed; an existing new name is an error.
        Ok(rustix::fs::linkat(&old, name(from.1), &new, name(to.1), AtFlags::empty())?)
    }

    pub(super) fn replace(dir: &Path, new: &Path, path: &Path) -> io::Result<()> {
        let at = parent(dir, path, false)?;
        let name = |path: &Path| path.file_name().unwrap_or_default().to_owned();
        Ok(rustix::fs::renameat(&at, name(new), &at, name(path))?)
    }

    pub(super) fn rename(from: (&Path, &Path), to: (&Path, &Path)) -> io::Result<()> {
        let (old, new) = (parent(from.0, from.1, false)?, parent(to.0, to.1, true)?);
        let name = |path: &Path| path.file_name().unwrap_or_default().to_owned();
        #[cfg(any(target_os = "linux", target_os = "android"))]
        {
            let flags = rustix::fs::RenameFlags::NOREPLACE;
            match rustix::fs::renameat_with(&old, name(from.1), &new, name(to.1), flags) {
                // Some file systems do not support RENAME_NOREPLACE.
                Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {}
                other => return Ok(other?),
            }
        }
        if rustix::fs::statat(&new, name(to.1), AtFlags::SYMLINK_NOFOLLOW).is_ok() {
            return Err(io::Error::from(io::ErrorKind::AlreadyExists));
        }
        Ok(rustix::fs::renameat(&old, name(from.1), &new, name(to.1))?)
    }
}

#[cfg(not(unix))]
mod system {
    use std::fs::{self, OpenOptions};

    use super::{Access, File, Path, io, not_plain};

    fn check_parents(dir: &Path, path: &Path) -> io::Result<()> {
        let mut at = dir.to_path_buf();
        for part in path.parent().unwrap_or(Path::new("")).components() {
            at.push(part);
            match fs::symlink_metadata(&at) {
                Ok(meta) if meta.file_type().is_symlink() => {
                    return Err(not_plain(&format!("{} is a symbolic link", at.display())));
                }
                Ok(meta) if !meta.is_dir() => return Err(io::Error::from(io::ErrorKind::NotADirectory)),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    pub(super) fn open(dir: &Path, path: &Path, access: Access) -> io::Result<File> {
        check_parents(dir, path)?;
        let whole = dir.join(path);
        if access == Access::Create {
            fs::create_dir_all(whole.parent().unwrap_or(dir))?;
        } else {
            let meta = fs::symlink_metadata(&whole)?;
            if meta.is_dir() {
                return Err(io::Error::from(io::ErrorKind::IsADirectory));
            }
            if !meta.is_file() {
                return Err(not_plain("something that is not a file is in its place"));
            }
        }
        OpenOptions::new().read(true).write(access != Access::Read).create_new(access == Access::Create).open(&whole)
    }

    pub(super) fn remove(dir: &Path, path: &Path, folder: bool) -> io::Result<()> {
        check_parents(dir, path)?;
        let whole = dir.join(path);
        let meta = fs::symlink_metadata(&whole)?;
        match (folder, meta.is_dir(), meta.is_file()) {
            (true, true, _) => fs::remove_dir(&whole),
            (false, _, true) => fs::remove_file(&whole),
            _ => Ok(()),
        }
    }

    pub(super) fn sync_parent(_: &Path, _: &Path) -> io::Result<()> {
        Ok(())
    }

    /// Returns both full paths after checking their parents; creates the parent directories of the second.
    fn whole(from: (&Path, &Path), to: (&Path, &Path)) -> io::Result<(std::path::PathBuf, std::path::PathBuf)> {
        check_parents(from.0, from.1)?;
        check_parents(to.0, to.1)?;
        let new = to.0.join(to.1);
        fs::create_dir_all(new.parent().unwrap_or(to.0))?;
        Ok((from.0.join(from.1), new))
    }

    pub(super) fn link(from: (&Path, &Path), to: (&Path, &Path)) -> io::Result<()> {
        let (old, new) = whole(from, to)?;
        fs::hard_link(old, new)
    }

    pub(super) fn replace(dir: &Path, new: &Path, path: &Path) -> io::Result<()> {
        check_parents(dir, path)?;
        fs::rename(dir.join(new), dir.join(path))
    }

    pub(super) fn rename(from: (&Path, &Path), to: (&Path, &Path)) -> io::Result<()> {
        let (old, new) = whole(from, to)?;
        if fs::symlink_metadata(&new).is_ok() {
            return Err(io::Error::from(io::ErrorKind::AlreadyExists));
        }
        fs::rename(old, new)
    }
}

/// Opens a regular file below a directory without following symbolic links.
///
/// # Errors
/// The I/O error of the system, or an error naming the link, FIFO, socket or device that is in the way.
pub(crate) fn open(dir: &Path, path: &Path, access: Access) -> io::Result<File> {
    system::open(dir, path, access)
}

/// Deletes a regular file; an entry of another type is left alone and is not an error.
///
/// # Errors
/// The I/O error of the system, including `NotFound`.
pub(crate) fn remove_file(dir: &Path, path: &Path) -> io::Result<()> {
    system::remove(dir, path, false)
}

/// Deletes an empty directory; an entry of another type is left alone and is not an error.
///
/// # Errors
/// The I/O error of the system, including `DirectoryNotEmpty`.
pub(crate) fn remove_folder(dir: &Path, path: &Path) -> io::Result<()> {
    system::remove(dir, path, true)
}

/// Fsyncs the parent directory of a file, so that its directory entry survives a power loss.
///
/// No-op on Windows.
///
/// # Errors
/// The I/O error of the system.
pub(crate) fn sync_parent(dir: &Path, path: &Path) -> io::Result<()> {
    system::sync_parent(dir, path)
}

/// Puts a file in the place of another one in the same folder.
///
/// # Errors
/// The system's.
pub(crate) fn replace(dir: &Path, new: &Path, path: &Path) -> io::Result<()> {
    system::replace(dir, new, path)
}

/// Gives a file a second name; both are a folder and a path below it. Folders of the new name are made.
///
/// # Errors
/// `AlreadyExists` if `to` exists, `CrossesDevices`, or another I/O error, e.g. of a file system without hard links.
pub(crate) fn link(from: (&Path, &Path), to: (&Path, &Path)) -> io::Result<()> {
    system::link(from, to)
}

/// Renames a file and creates missing parents of `to`.
///
/// Both arguments are a base directory and a relative path.
///
/// An existing file at `to` is not replaced. Where the system lacks `RENAME_NOREPLACE` this check is not atomic.
///
/// # Errors
/// `AlreadyExists` if `to` exists, `CrossesDevices`, or another I/O error.
pub(crate) fn rename(from: (&Path, &Path), to: (&Path, &Path)) -> io::Result<()> {
    system::rename(from, to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_taken_is_not_given_again() {
        let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let path = Path::new("x/y");
        open(a.path(), path, Access::Create).unwrap();
        link((a.path(), path), (b.path(), path)).unwrap();
        let taken = link((a.path(), path), (b.path(), path)).unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(rename((a.path(), path), (b.path(), path)).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        remove_file(b.path(), path).unwrap();
        rename((a.path(), path), (b.path(), path)).unwrap();
        assert!(b.path().join(path).exists() && !a.path().join(path).exists());
    }

    #[test]
    fn a_file_is_made_with_its_folders_and_never_twice() {
        let dir = tempfile::tempdir().unwrap();
        let path = Path::new("a/b/c.txt");
        assert_eq!(open(dir.path(), path, Access::Read).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert!(!dir.path().join("a").exists(), "looking makes no folder");
        open(dir.path(), path, Access::Create).unwrap();
        assert_eq!(open(dir.path(), path, Access::Create).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        open(dir.path(), path, Access::Write).unwrap();
        assert_eq!(open(dir.path(), Path::new("a/b"), Access::Read).unwrap_err().kind(), io::ErrorKind::IsADirectory);
        remove_file(dir.path(), Path::new("a/b")).unwrap();
        assert!(dir.path().join("a/b").exists(), "a folder is no file");
        remove_file(dir.path(), path).unwrap();
        remove_folder(dir.path(), Path::new("a/b")).unwrap();
        assert!(!dir.path().join("a/b").exists());
    }

    #[cfg(unix)]
    #[test]
    fn links_and_pipes_are_not_followed() {
        use std::os::unix::fs::symlink;
        let dir = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("x"), b"theirs").unwrap();
        symlink(outside.path(), dir.path().join("folder")).unwrap();
        symlink(outside.path().join("x"), dir.path().join("file")).unwrap();
        symlink(outside.path().join("new"), dir.path().join("dangling")).unwrap();
        for (path, access) in [
            ("folder/x", Access::Write),
            ("folder/y", Access::Create),
            ("file", Access::Read),
            ("dangling", Access::Write),
        ] {
            let error = open(dir.path(), Path::new(path), access).unwrap_err();
            assert!(error.to_string().contains("symbolic link"), "{path}: {error}");
        }
        assert!(open(dir.path(), Path::new("dangling"), Access::Create).is_err());
        assert!(!outside.path().join("y").exists() && !outside.path().join("new").exists());
        remove_file(dir.path(), Path::new("file")).unwrap();
        assert!(remove_file(dir.path(), Path::new("folder/x")).is_err());
        assert_eq!(std::fs::read(outside.path().join("x")).unwrap(), b"theirs");
        let pipe = rustix::fs::mknodat(
            rustix::fs::CWD,
            dir.path().join("pipe"),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::from_raw_mode(0o600),
            0,
        );
        if pipe.is_ok() {
            assert!(open(dir.path(), Path::new("pipe"), Access::Read).is_err());
        }
    }
}
