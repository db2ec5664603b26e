//! Platform-dependent file system calls: positional I/O, preallocation, inodes, holes, readahead hints.

use std::fs::{File, Metadata};
use std::io;

use bytes::Bytes;

/// Maximum number of buffers per `pwritev` call.
#[cfg(unix)]
const SLICES: usize = 512;

/// Fills `into` with the bytes of the file from offset `at` on.
///
/// # Errors
/// The I/O error of the system; `UnexpectedEof` if the file ends before `into` is full.
#[cfg(unix)]
pub fn read_exact_at(file: &File, into: &mut [u8], at: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, into, at)
}

/// Fills `into` with the bytes of the file from offset `at` on.
///
/// # Errors
/// The I/O error of the system; `UnexpectedEof` if the file ends before `into` is full.
#[cfg(windows)]
pub fn read_exact_at(file: &File, mut into: &mut [u8], mut at: u64) -> io::Result<()> {
    use std::os::windows::fs::FileExt;
    while !into.is_empty() {
        match file.seek_read(into, at) {
            Ok(0) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
            Ok(n) => {
                into = &mut into[n..];
                at += n as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Returns the slices that make up `length` bytes after skipping the first `skip` bytes.
pub(super) fn parts(slices: &[Bytes], skip: u64, length: u64) -> impl Iterator<Item = &[u8]> {
    let (mut skip, mut left) = (skip, length);
    slices.iter().filter_map(move |slice| {
        let from = skip.min(slice.len() as u64);
        skip -= from;
        let take = left.min(slice.len() as u64 - from);
        left -= take;
        (take > 0).then(|| &slice[from as usize..(from + take) as usize])
    })
}

/// Writes `length` bytes of `slices`, after skipping the first `skip` bytes, at file offset `at`.
///
/// Vectored I/O (`pwritev`): the buffers are not copied together, and one call is enough if the system accepts it.
///
/// # Errors
/// The I/O error of the system. Some of the bytes may have been written.
#[cfg(unix)]
pub fn write_all_at(file: &File, slices: &[Bytes], skip: u64, length: u64, mut at: u64) -> io::Result<()> {
    let mut parts = parts(slices, skip, length).map(io::IoSlice::new).peekable();
    let mut gathered: Vec<io::IoSlice<'_>> = Vec::with_capacity(slices.len().min(SLICES));
    while parts.peek().is_some() {
        gathered.clear();
        gathered.extend(parts.by_ref().take(SLICES));
        let mut left = gathered.as_mut_slice();
        while !left.is_empty() {
            match rustix::io::pwritev(file, left, at) {
                Ok(0) => return Err(io::Error::from(io::ErrorKind::WriteZero)),
                Ok(n) => {
                    at += n as u64;
                    io::IoSlice::advance_slices(&mut left, n);
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(())
}

/// Writes `length` bytes of `slices`, after skipping the first `skip` bytes, at file offset `at`.
///
/// # Errors
/// The I/O error of the system. Some of the bytes may have been written.
#[cfg(windows)]
pub fn write_all_at(file: &File, slices: &[Bytes], skip: u64, length: u64, mut at: u64) -> io::Result<()> {
    use std::os::windows::fs::FileExt;
    for mut part in parts(slices, skip, length) {
        while !part.is_empty() {
            match file.seek_write(part, at) {
                Ok(0) => return Err(io::Error::from(io::ErrorKind::WriteZero)),
                Ok(n) => {
                    at += n as u64;
                    part = &part[n..];
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

/// Disk space allocation mode.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Allocation {
    /// Sparse files: the full length is set at once, space is allocated as data is written.
    #[default]
    Sparse,
    /// Preallocation: the space of a file is reserved when its first byte is written.
    Full,
}

/// Sets the length of a file and, where supported, reserves its space for [`Allocation::Full`] (`fallocate`).
///
/// # Errors
/// The I/O error of the system.
pub fn make_room(file: &File, length: u64, allocation: Allocation) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if allocation == Allocation::Full {
        loop {
            match rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), 0, length) {
                Ok(()) => return Ok(()),
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => break,
                Err(error) => return Err(error.into()),
            }
        }
    }
    let _ = allocation;
    file.set_len(length)
}

/// Returns device and inode number, which identify a file whatever its name; `None` if not supported.
#[must_use]
pub fn inode(meta: &Metadata) -> Option<(u64, u64)> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        Some((meta.dev(), meta.ino()))
    }
    #[cfg(not(unix))]
    {
        let _ = meta;
        None
    }
}

/// Returns the device number of a folder or its nearest existing ancestor; 0 if unknown.
#[must_use]
pub fn device(dir: &std::path::Path) -> u64 {
    let there = dir.ancestors().find_map(|dir| std::fs::metadata(dir).ok());
    there.and_then(|meta| inode(&meta)).map_or(0, |(device, _)| device)
}

/// When a file, or what is known of it, was last changed (`st_ctime`): nanoseconds since 1970, 0 where the system does not
/// tell.
#[must_use]
pub fn touched(meta: &Metadata) -> i64 {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        meta.ctime().saturating_mul(1_000_000_000).saturating_add(meta.ctime_nsec())
    }
    #[cfg(not(unix))]
    {
        let _ = meta;
        0
    }
}

/// How many names (hard links) a file has; 1 where the system does not tell.
#[must_use]
pub fn names(meta: &Metadata) -> u64 {
    #[cfg(unix)]
    {
        std::os::unix::fs::MetadataExt::nlink(meta)
    }
    #[cfg(not(unix))]
    {
        let _ = meta;
        1
    }
}

/// The magic numbers of ext2 to ext4, XFS, Btrfs, tmpfs, ramfs, F2FS, overlayfs, ZFS and bcachefs (`statfs(2)`).
#[cfg(any(target_os = "linux", target_os = "android"))]
const EXACT: [u32; 9] =
    [0xEF53, 0x5846_5342, 0x9123_683E, 0x0102_1994, 0x8584_58F6, 0xF2F5_2010, 0x794C_7630, 0x2FC1_2FC1, 0xCA45_1A4E];

/// Whether the file system sets a file's modification time during the write call, and never later: local file systems
/// of Linux do, network and FUSE file systems need not.
#[must_use]
pub fn has_exact_times(file: &File) -> bool {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        rustix::fs::fstatfs(file).is_ok_and(|of| EXACT.contains(&(of.f_type as u32)))
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    {
        let _ = file;
        false
    }
}

/// As [`has_exact_times`], of the file system of a path, or of the nearest folder above it that exists.
#[must_use]
pub fn is_exact(path: &std::path::Path) -> bool {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        let there = path.ancestors().find_map(|path| rustix::fs::statfs(path).ok());
        there.is_some_and(|of| EXACT.contains(&(of.f_type as u32)))
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    {
        let _ = path;
        false
    }
}

/// Whether an open file has no name any more.
#[must_use]
pub fn is_deleted(meta: &Metadata) -> bool {
    #[cfg(unix)]
    {
        std::os::unix::fs::MetadataExt::nlink(meta) == 0
    }
    #[cfg(not(unix))]
    {
        let _ = meta;
        false
    }
}

/// Returns the next data range at or after `at` (`SEEK_DATA`); `None` if only a hole follows.
///
/// Where holes cannot be queried, everything counts as data: the range is then `at..u64::MAX`.
#[must_use]
pub fn next_data(file: &File, at: u64) -> Option<std::ops::Range<u64>> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        use rustix::fs::SeekFrom;
        match rustix::fs::seek(file, SeekFrom::Data(at)) {
            Ok(start) => Some(start..rustix::fs::seek(file, SeekFrom::Hole(start)).unwrap_or(u64::MAX)),
            Err(rustix::io::Errno::NXIO) => None,
            Err(_) => Some(at..u64::MAX),
        }
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    {
        let _ = file;
        Some(at..u64::MAX)
    }
}

/// Returns the bytes that a file occupies on disk: less than its length if the file is sparse.
#[must_use]
pub fn disk_usage(meta: &Metadata) -> u64 {
    #[cfg(unix)]
    {
        meta.len().min(std::os::unix::fs::MetadataExt::blocks(meta).saturating_mul(512))
    }
    #[cfg(not(unix))]
    {
        meta.len()
    }
}

/// Hints that the file will be read sequentially (`POSIX_FADV_SEQUENTIAL`).
pub fn will_read_through(file: &File) {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if let Err(error) = rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::Sequential) {
        tracing::debug!("the system takes no advice: {error}");
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let _ = file;
}

/// Hints that a range of the file will be read next (`POSIX_FADV_WILLNEED`).
pub fn will_need(file: &File, at: u64, length: u64) {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if let Err(error) = rustix::fs::fadvise(file, at, std::num::NonZero::new(length), rustix::fs::Advice::WillNeed) {
        tracing::debug!("the system takes no advice: {error}");
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let _ = (file, at, length);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_of_slices_is_cut_anywhere() {
        let slices = [Bytes::from_static(b"abc"), Bytes::from_static(b""), Bytes::from_static(b"defgh")];
        for skip in 0..=8_usize {
            for length in 0..=8 - skip {
                let got: Vec<u8> = parts(&slices, skip as u64, length as u64).flatten().copied().collect();
                assert_eq!(got, &b"abcdefgh"[skip..skip + length]);
            }
        }
    }

    #[test]
    fn more_slices_than_one_call_takes_are_written_in_order() {
        let file = tempfile::tempfile().unwrap();
        let whole: Vec<u8> = (0..5000_u32).map(|n| (n % 251) as u8).collect();
        let slices: Vec<Bytes> = whole.chunks(3).map(Bytes::copy_from_slice).collect();
        write_all_at(&file, &slices, 1, 4990, 7).unwrap();
        let mut back = vec![0; 4990];
        read_exact_at(&file, &mut back, 7).unwrap();
        assert_eq!(back, whole[1..4991]);
        assert_eq!(read_exact_at(&file, &mut back, 8).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn holes_are_told_where_the_file_system_knows_them() {
        let file = tempfile::tempfile().unwrap();
        make_room(&file, 1 << 20, Allocation::Sparse).unwrap();
        write_all_at(&file, &[Bytes::from_static(b"x")], 0, 1, 1 << 19).unwrap();
        let data = next_data(&file, 0).unwrap();
        assert!(data.contains(&(1 << 19)));
    }
}
