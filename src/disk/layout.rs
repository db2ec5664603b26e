//! Storage layout of a torrent: mapping between files, pieces and byte offsets, and the piece hashes.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use sha1::{Digest, Sha1};
use thiserror::Error;

use crate::disk::piece_hashes::PieceHashes;
use crate::swarm::geometry::Geometry;
use crate::swarm::job::DiskFault;
use crate::wire::message::{InfoHash, PieceIndex};
use crate::wire::metainfo::{Aliases, Metainfo};

/// A file of a torrent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileEntry {
    /// Path relative to the download folder; normal components only. Sanitize before display.
    pub path: PathBuf,
    /// Length in bytes.
    pub length: u64,
    /// Offset of the first byte within the torrent.
    pub offset: u64,
    /// Whether this is a pad file (BEP 47): zeros that are hashed but never written.
    pub pad: bool,
}

/// The part of a byte range of the torrent that lies in one file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Segment {
    pub file: usize,
    /// Offset of the segment within the file, in bytes.
    pub at: u64,
    /// Length in bytes, at least 1.
    pub length: u64,
}

/// Files, pieces and hashes of a torrent.
///
/// Validated: the files are contiguous and add up to the total length.
#[derive(Clone, Debug)]
pub struct Layout {
    info_hash: InfoHash,
    geometry: Geometry,
    files: Vec<FileEntry>,
    hashes: Arc<PieceHashes>,
    aliases: Option<Aliases>,
}

/// Why files, pieces and hashes do not form a valid layout.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum LayoutError {
    /// A path is empty, absolute, or contains `.` or `..`.
    #[error("the path {0:?} is not a plain path below the download folder")]
    Path(PathBuf),
    /// A file does not start where the previous one ends, or the offsets overflow.
    #[error("file {0} does not begin where the one before it ends")]
    Gap(usize),
    /// The file lengths do not add up to the length of the torrent.
    #[error("the files hold {files} bytes and the pieces {pieces}")]
    Total { files: u64, pieces: u64 },
    /// The number of hashes differs from the number of pieces.
    #[error("there are {hashes} hashes for {pieces} pieces")]
    Hashes { hashes: usize, pieces: u32 },
}

impl Layout {
    /// Validates and creates a layout.
    ///
    /// # Errors
    /// If a path could leave the download folder, the files are not contiguous, or the numbers of hashes and pieces
    /// differ.
    pub fn new(
        info_hash: InfoHash,
        geometry: Geometry,
        files: Vec<FileEntry>,
        hashes: Vec<[u8; 20]>,
    ) -> Result<Layout, LayoutError> {
        let mut end = 0_u64;
        for (n, file) in files.iter().enumerate() {
            let plain = file.path.components().all(|c| matches!(c, Component::Normal(_)));
            if !file.pad && (!plain || file.path.as_os_str().is_empty()) {
                return Err(LayoutError::Path(file.path.clone()));
            }
            if file.offset != end {
                return Err(LayoutError::Gap(n));
            }
            end = end.checked_add(file.length).ok_or(LayoutError::Gap(n))?;
        }
        if end != geometry.total() {
            return Err(LayoutError::Total { files: end, pieces: geometry.total() });
        }
        if hashes.len() != geometry.pieces() as usize {
            return Err(LayoutError::Hashes { hashes: hashes.len(), pieces: geometry.pieces() });
        }
        let hashes = Arc::new(PieceHashes::new(info_hash, hashes));
        Ok(Layout { info_hash, geometry, files, hashes, aliases: None })
    }

    /// Creates the layout of a torrent from its metainfo.
    ///
    /// # Errors
    /// As [`Layout::new`]; a `Metainfo` that was parsed successfully causes none.
    pub fn of(meta: &Metainfo) -> Result<Layout, LayoutError> {
        let files = meta
            .files
            .iter()
            .map(|f| FileEntry { path: f.path(), length: f.length, offset: f.offset, pad: f.pad })
            .collect();
        let geometry = Geometry::new(meta.total, meta.piece_length);
        Ok(Layout::new(meta.info_hash, geometry, files, meta.hashes.clone())?.with_aliases(meta.aliases()))
    }

    /// Sets the source of alias names of the files.
    #[must_use]
    pub fn with_aliases(self, aliases: Option<Aliases>) -> Layout {
        Layout { aliases, ..self }
    }

    /// Returns a copy in which some files, given by index, have other paths.
    #[must_use]
    pub fn with_paths(&self, paths: HashMap<usize, PathBuf>) -> Layout {
        let mut other = self.clone();
        for (n, path) in paths {
            if let Some(file) = other.files.get_mut(n) {
                file.path = path;
            }
        }
        other
    }

    /// Returns the source of alias names of the files, if they can have any.
    #[must_use]
    pub const fn aliases(&self) -> Option<&Aliases> {
        self.aliases.as_ref()
    }

    #[must_use]
    pub const fn info_hash(&self) -> InfoHash {
        self.info_hash
    }

    /// Returns the division of the torrent into pieces and blocks.
    #[must_use]
    pub const fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// Returns all files in torrent order, including pad files.
    #[must_use]
    pub fn files(&self) -> &[FileEntry] {
        &self.files
    }

    /// Returns the expected SHA-1 of a piece; `None` if the piece does not exist or the hashes are released.
    #[must_use]
    pub fn hash(&self, piece: PieceIndex) -> Option<[u8; 20]> {
        self.hashes.get(piece)
    }

    /// Names the kept `.torrent` file, which the hashes can be loaded from again.
    pub(crate) fn set_kept(&self, path: &Path) {
        self.hashes.set_kept(path);
    }

    /// Returns whether a `.torrent` file of the torrent is kept.
    #[must_use]
    pub(crate) fn is_kept(&self) -> bool {
        self.hashes.is_kept()
    }

    /// Loads the hashes unless they are in memory. Blocks on disk.
    ///
    /// # Errors
    /// If the kept `.torrent` file cannot be read.
    pub(crate) fn load_hashes(&self) -> Result<(), DiskFault> {
        self.hashes.load()
    }

    /// Drops the hashes from memory, if a `.torrent` file is kept.
    pub(crate) fn release_hashes(&self) {
        self.hashes.release();
    }

    /// Reads the `info` dictionary from the kept `.torrent` file. Blocks on disk.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(crate) fn read_info(&self) -> Result<Bytes, DiskFault> {
        self.hashes.read_info()
    }

    /// Splits a byte range of the torrent into file segments; includes pad files, skips empty files.
    pub fn segments(&self, bytes: Range<u64>) -> impl Iterator<Item = Segment> + '_ {
        let first = self.files.partition_point(|f| f.offset + f.length <= bytes.start);
        self.files[first..]
            .iter()
            .enumerate()
            .take_while({
                let end = bytes.end;
                move |(_, f)| f.offset < end
            })
            .filter_map(move |(n, f)| {
                let from = f.offset.max(bytes.start);
                let to = (f.offset + f.length).min(bytes.end);
                (from < to).then(|| Segment { file: first + n, at: from - f.offset, length: to - from })
            })
    }

    /// Returns the padding (BEP 47) within a piece, in order, as ranges of offsets within the piece.
    pub fn padding_of(&self, piece: PieceIndex) -> impl Iterator<Item = Range<u32>> + '_ {
        let bytes = self.bytes_of(piece);
        let start = bytes.start;
        self.segments(bytes).filter_map(move |segment| {
            let file = self.files.get(segment.file).filter(|file| file.pad)?;
            let from = (file.offset + segment.at - start) as u32;
            Some(from..from + segment.length as u32)
        })
    }

    /// Returns whether a piece is padding only and its hash matches: then it need not be downloaded.
    ///
    /// `zeros` caches the SHA-1 of all-zero pieces by their size.
    pub fn is_padding(&self, piece: PieceIndex, zeros: &mut BTreeMap<u32, [u8; 20]>) -> bool {
        let size = self.geometry.piece_size(piece);
        if size == 0 || self.padding_of(piece).map(|pad| pad.end - pad.start).sum::<u32>() < size {
            return false;
        }
        let hash = zeros.entry(size).or_insert_with(|| {
            let chunk = [0; 1 << 14];
            let mut sha = Sha1::new();
            for at in (0..size as usize).step_by(chunk.len()) {
                sha.update(&chunk[..chunk.len().min(size as usize - at)]);
            }
            sha.finalize().into()
        });
        self.hash(piece) == Some(*hash)
    }

    /// Returns the byte range of a piece within the torrent.
    #[must_use]
    pub fn bytes_of(&self, piece: PieceIndex) -> Range<u64> {
        let start = self.geometry.offset(piece, 0);
        start..start + u64::from(self.geometry.piece_size(piece))
    }

    /// Returns the pieces that contain bytes of a file; an empty range for an empty file.
    #[must_use]
    pub fn pieces_of(&self, file: usize) -> Range<u32> {
        self.files.get(file).map_or(0..0, |f| self.geometry.pieces_of(f.offset..f.offset + f.length))
    }

    /// Returns the pieces to recheck after another program changed a file: those with bytes of the file.
    ///
    /// For the part file, whose index follows the last file, these are all pieces of the torrent.
    #[must_use]
    pub fn doubtful(&self, file: u32) -> Range<u32> {
        if file as usize == self.files.len() { 0..self.geometry.pieces() } else { self.pieces_of(file as usize) }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Returns a layout of these files (path `None` is a pad file) with made-up hashes.
    pub(crate) fn layout(piece_length: u32, files: &[(Option<&str>, u64)]) -> Layout {
        let mut offset = 0;
        let files: Vec<FileEntry> = files
            .iter()
            .map(|(path, length)| {
                let file =
                    FileEntry { path: path.unwrap_or_default().into(), length: *length, offset, pad: path.is_none() };
                offset += length;
                file
            })
            .collect();
        let geometry = Geometry::new(offset, piece_length);
        let hashes = vec![[7; 20]; geometry.pieces() as usize];
        Layout::new(InfoHash([1; 20]), geometry, files, hashes).unwrap()
    }

    #[test]
    fn a_range_falls_into_files_in_order() {
        let l = layout(10, &[(Some("a"), 5), (Some("empty"), 0), (None, 3), (Some("d/b"), 20), (Some("end"), 0)]);
        let all: Vec<_> = l.segments(3..10).map(|s| (s.file, s.at, s.length)).collect();
        assert_eq!(all, [(0, 3, 2), (2, 0, 3), (3, 0, 2)]);
        assert_eq!(l.segments(28..40).count(), 0);
        assert_eq!(l.segments(5..5).count(), 0);
        assert_eq!(l.segments(0..28).map(|s| s.length).sum::<u64>(), 28);
        assert_eq!(l.pieces_of(3), 0..3);
        assert_eq!(l.pieces_of(1), 0..0);
        assert_eq!(l.bytes_of(PieceIndex(2)), 20..28);
    }

    #[test]
    fn paths_that_leave_the_folder_make_no_layout() {
        for path in ["", "/etc/x", "../x", "a/../../x", "./a"] {
            let files = vec![FileEntry { path: path.into(), length: 1, offset: 0, pad: false }];
            let made = Layout::new(InfoHash([0; 20]), Geometry::new(1, 1), files, vec![[0; 20]]);
            assert!(matches!(made, Err(LayoutError::Path(_))), "{path}");
        }
    }

    #[test]
    fn files_hashes_and_pieces_must_agree() {
        let file = |offset| FileEntry { path: "a".into(), length: 4, offset, pad: false };
        let g = Geometry::new(4, 4);
        assert_eq!(Layout::new(InfoHash([0; 20]), g, vec![file(1)], vec![[0; 20]]).err(), Some(LayoutError::Gap(0)));
        assert!(Layout::new(InfoHash([0; 20]), g, vec![file(0)], vec![]).is_err());
        assert!(Layout::new(InfoHash([0; 20]), g, vec![], vec![[0; 20]]).is_err());
    }
}
