//! Conversion of I/O errors to user-facing disk faults: operation, path, reason and remedy.
//!
//! Also free disk space.

use std::io;
use std::path::Path;

use crate::format::size_rounded;
use crate::swarm::job::{DiskFault, FaultKind};

/// The disk operation that failed; gives the verb of the error message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum DiskOp {
    /// Opening or creating a file.
    Open,
    Read,
    Write,
    /// Setting the length of a file or reserving its space (`fallocate`).
    Allocate,
    Delete,
    Move,
    /// Writing resume data or a lock file.
    Record,
}

impl DiskOp {
    const fn word(self) -> &'static str {
        match self {
            DiskOp::Open => "open",
            DiskOp::Read => "read",
            DiskOp::Write => "write",
            DiskOp::Allocate => "make room for",
            DiskOp::Delete => "delete",
            DiskOp::Move => "move",
            DiskOp::Record => "record progress in",
        }
    }
}

/// Converts an I/O error to a [`DiskFault`] with a message for the user.
///
/// `needs` is the number of bytes that the torrent still has to write; it appears in the disk-full message.
#[must_use]
pub(crate) fn from_io(doing: DiskOp, path: &Path, error: &io::Error, needs: u64) -> DiskFault {
    let shown = path.display();
    if error.kind() == io::ErrorKind::StorageFull && takes_no_files(path) {
        let text =
            format!("the file system of {shown} takes no more files: delete some there, or choose another folder");
        return DiskFault { kind: FaultKind::Full, text };
    }
    if is_full(error) {
        let quota = if error.kind() == io::ErrorKind::QuotaExceeded { " (your quota is used up)" } else { "" };
        let free = free_space(path).map_or(String::new(), |free| format!(", {} free", size_rounded(free)));
        let text = format!("disk full: {shown} needs {}{free}{quota}", size_rounded(needs));
        return DiskFault { kind: FaultKind::Full, text };
    }
    let (kind, reason, advice) = match error.kind() {
        _ if is_out_of_handles(error) => {
            (FaultKind::Temporary, "too many files are open", "allow more (ulimit -n) or run fewer torrents")
        }
        io::ErrorKind::NotFound => (FaultKind::Changed, "it is not there", "put it back, or it is downloaded again"),
        io::ErrorKind::PermissionDenied => (FaultKind::Other, "permission denied", "give yourself access to it"),
        io::ErrorKind::ReadOnlyFilesystem => {
            (FaultKind::Other, "the file system is read-only", "choose another folder")
        }
        io::ErrorKind::FileTooLarge => {
            let reason = "the file system, or the limit of ulimit -f, takes no files of this size";
            (FaultKind::Other, reason, "choose another folder")
        }
        io::ErrorKind::InvalidFilename => (FaultKind::Other, "the name is too long", "choose a shorter folder"),
        io::ErrorKind::InvalidInput
            if matches!(doing, DiskOp::Open | DiskOp::Move) && error.raw_os_error().is_some() =>
        {
            (
                FaultKind::NameRefused,
                "the file system takes no such name",
                "choose another folder, or leave the file out",
            )
        }
        io::ErrorKind::AlreadyExists => (FaultKind::Other, "something of this name is there already", "move it away"),
        io::ErrorKind::NotADirectory => (FaultKind::Other, "a part of its path is no folder", "move it away"),
        io::ErrorKind::IsADirectory => (FaultKind::Other, "a folder of this name is in its place", "move it away"),
        io::ErrorKind::StaleNetworkFileHandle => {
            (FaultKind::Temporary, "the network folder lost it", "see whether its server is there")
        }
        _ if is_hardware(error) => (FaultKind::Temporary, "the disk reports an error", "see whether it is failing"),
        kind => {
            // Our own refusals (no OS error code) and invalid names are permanent; any other OS error may be transient.
            let lasts = error.raw_os_error().is_none()
                || matches!(kind, io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported)
                || (doing == DiskOp::Open && is_loop(error));
            let kind = if lasts { FaultKind::Other } else { FaultKind::Temporary };
            return DiskFault { kind, text: format!("cannot {} {shown}: {}", doing.word(), reason(error)) };
        }
    };
    DiskFault { kind, text: format!("cannot {} {shown}: {reason}; {advice}", doing.word()) }
}

/// Returns the reason of an I/O error in words, without the number of the system.
#[must_use]
pub(crate) fn reason(error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::NotFound && error.raw_os_error().is_some() {
        return "there is no such file or folder".to_owned();
    }
    let text = error.to_string();
    let text = text.rsplit_once(" (os error ").map_or(text.as_str(), |(text, _)| text);
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some(first), Some(second)) if second.is_lowercase() || second == ' ' => {
            format!("{}{}", first.to_lowercase(), &text[first.len_utf8()..])
        }
        _ => text.to_owned(),
    }
}

/// Returns the fault of resume data that cannot be written; it names the resume file.
#[must_use]
pub(crate) fn unrecorded(record: &Path, error: &io::Error) -> DiskFault {
    let kind = from_io(DiskOp::Record, record, error, 4096).kind;
    let room = if is_full(error) { "make room there, or " } else { "" };
    let text = format!(
        "cannot write the record {}: {}; without it what is here is checked again at the next start: {room}name \
         another folder with --state-dir",
        record.display(),
        reason(error),
    );
    DiskFault { kind, text }
}

/// Returns the fault of a file that was changed by another program or deleted.
#[must_use]
pub(crate) fn changed(path: &Path, how: &str) -> DiskFault {
    let text = format!("{} {how}: put it back, or what is lost of it is downloaded again", path.display());
    DiskFault { kind: FaultKind::Changed, text }
}

/// Returns the fault of a download folder whose disk is gone.
#[must_use]
pub(crate) fn unmounted(dir: &Path) -> DiskFault {
    transient(format!("none of the torrent's files is in {} any more: is its disk mounted?", dir.display()))
}

/// Returns a transient fault: the operation may succeed if it is retried later.
#[must_use]
pub(crate) const fn transient(text: String) -> DiskFault {
    DiskFault { kind: FaultKind::Temporary, text }
}

/// Returns a permanent fault that needs an action of the user.
#[must_use]
pub(crate) const fn other(text: String) -> DiskFault {
    DiskFault { kind: FaultKind::Other, text }
}

/// Returns whether the disk is full or the quota is exceeded.
#[must_use]
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

#[cfg(unix)]
fn is_hardware(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error())
}

#[cfg(not(unix))]
fn is_hardware(_: &io::Error) -> bool {
    false
}

/// Returns whether symbolic links lead in a circle.
#[cfg(unix)]
fn is_loop(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error())
}

#[cfg(not(unix))]
fn is_loop(_: &io::Error) -> bool {
    false
}

/// Returns whether no file descriptor is left, in the process (EMFILE) or in the system (ENFILE).
#[cfg(unix)]
#[must_use]
pub(crate) fn is_out_of_handles(error: &io::Error) -> bool {
    use rustix::io::Errno;
    [Errno::MFILE, Errno::NFILE].iter().any(|e| error.raw_os_error() == Some(e.raw_os_error()))
}

/// Returns whether no file handle is left. Always `false` on this system.
#[cfg(not(unix))]
#[must_use]
pub(crate) fn is_out_of_handles(_: &io::Error) -> bool {
    false
}

/// Returns the free bytes available to the user on the file system of `path`; `None` if unknown.
///
/// If `path` does not exist, its nearest existing ancestor is used.
#[cfg(unix)]
#[must_use]
pub(crate) fn free_space(path: &Path) -> Option<u64> {
    let there = path.ancestors().find_map(|p| rustix::fs::statvfs(p).ok())?;
    Some(there.f_bavail.saturating_mul(there.f_frsize))
}

/// Whether the file system of a path (or of the nearest folder above it that exists) has no room for one more file, however
/// many bytes are free.
#[cfg(unix)]
fn takes_no_files(path: &Path) -> bool {
    let there = path.ancestors().find_map(|p| rustix::fs::statvfs(p).ok());
    // Some file systems do not count files at all.
    there.is_some_and(|there| there.f_files > 0 && there.f_favail == 0)
}

#[cfg(not(unix))]
fn takes_no_files(_: &Path) -> bool {
    false
}

/// Bytes of all that the file system of a path (or of the nearest folder above it that exists) can ever hold; `None`
/// where the from_io does not tell.
#[cfg(unix)]
#[must_use]
pub(crate) fn capacity(path: &Path) -> Option<u64> {
    let there = path.ancestors().find_map(|p| rustix::fs::statvfs(p).ok())?;
    Some(there.f_blocks.saturating_mul(there.f_frsize)).filter(|bytes| *bytes > 0)
}

/// Returns the total size of the file system. Always `None` on this system.
#[cfg(not(unix))]
#[must_use]
pub(crate) fn capacity(_: &Path) -> Option<u64> {
    None
}

/// Makes a disk-full fault permanent if a file of `length` bytes exceeds the size of the file system.
#[must_use]
pub(crate) fn for_file(fault: DiskFault, path: &Path, length: u64) -> DiskFault {
    match capacity(path) {
        Some(all) if fault.kind == FaultKind::Full && all < length => other(format!(
            "disk full: {} is {} long, and its whole disk has only {}; choose another folder",
            path.display(),
            size_rounded(length),
            size_rounded(all)
        )),
        _ => fault,
    }
}

/// Returns the free bytes on the file system. Always `None` on this system.
#[cfg(not(unix))]
#[must_use]
pub(crate) fn free_space(_: &Path) -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_name_that_the_file_system_refuses_is_told_with_what_to_do() {
        let error = io::Error::from_raw_os_error(rustix::io::Errno::INVAL.raw_os_error());
        let fault = from_io(DiskOp::Open, Path::new("/x/why?"), &error, 0);
        assert!(fault.text.contains("takes no such name; choose another folder, or leave the file out"), "{fault}");
        assert!(!from_io(DiskOp::Read, Path::new("/x/why?"), &error, 0).text.contains("name"));
    }

    #[test]
    fn a_full_disk_is_told_with_figures() {
        let error = io::Error::from(io::ErrorKind::StorageFull);
        let fault = from_io(DiskOp::Write, Path::new("/nowhere/film.mkv"), &error, 1_200_000_000);
        assert_eq!(fault.kind, FaultKind::Full);
        assert!(fault.text.starts_with("disk full: /nowhere/film.mkv needs 1.2 GB"), "{}", fault.text);
    }

    #[test]
    fn a_refusal_names_operation_path_reason_and_way_out() {
        let error = io::Error::from(io::ErrorKind::PermissionDenied);
        let fault = from_io(DiskOp::Open, Path::new("/x/y"), &error, 0);
        assert_eq!(fault.text, "cannot open /x/y: permission denied; give yourself access to it");
        let gone = from_io(DiskOp::Read, Path::new("/x/y"), &io::Error::from(io::ErrorKind::NotFound), 0);
        assert_eq!(gone.kind, FaultKind::Changed);
    }

    #[cfg(unix)]
    #[test]
    fn what_passes_is_told_from_what_a_person_must_put_right() {
        use rustix::io::Errno;
        let kind = |error: io::Error| from_io(DiskOp::Write, Path::new("/x/y"), &error, 10).kind;
        for errno in [Errno::MFILE, Errno::NFILE, Errno::IO, Errno::NXIO, Errno::TIMEDOUT, Errno::STALE, Errno::NOMEM] {
            assert_eq!(kind(errno.into()), FaultKind::Temporary, "{errno:?}");
        }
        for errno in [Errno::NOSPC, Errno::DQUOT] {
            assert_eq!(kind(errno.into()), FaultKind::Full, "{errno:?}");
        }
        for errno in
            [Errno::ACCESS, Errno::PERM, Errno::ROFS, Errno::FBIG, Errno::NAMETOOLONG, Errno::ISDIR, Errno::OPNOTSUPP]
        {
            assert_eq!(kind(errno.into()), FaultKind::Other, "{errno:?}");
        }
        assert_eq!(kind(io::Error::other("a link; it is not followed")), FaultKind::Other);
        let opened = |errno: Errno| from_io(DiskOp::Open, Path::new("/x/y"), &errno.into(), 10).kind;
        assert_eq!((opened(Errno::LOOP), kind(Errno::LOOP.into())), (FaultKind::Other, FaultKind::Temporary));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_disk_too_small_for_a_file_is_not_waited_for() {
        let full = || from_io(DiskOp::Write, Path::new("/dev/shm/x"), &io::Error::from(io::ErrorKind::StorageFull), 10);
        assert_eq!(for_file(full(), Path::new("/dev/shm/x"), 1000).kind, FaultKind::Full);
        let hopeless = for_file(full(), Path::new("/dev/shm/x"), u64::MAX);
        assert_eq!(hopeless.kind, FaultKind::Other);
        assert!(hopeless.text.contains("its whole disk has only"), "{hopeless}");
    }
}
