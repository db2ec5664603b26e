//! Where the bytes of a torrent lie: files, pieces, hashes.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::path::{Component, PathBuf};

use sha1::{Digest, Sha1};
use thiserror::Error;

use crate::swarm::geometry::Geometry;
use crate::wire::message::{InfoHash, PieceIndex};
use crate::wire::metainfo::{Aliases, Metainfo};

/// One file of a torrent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LaidFile {
    /// Where it lies below the download folder; only plain components. Clean it before it is shown.
    pub path: PathBuf,
    /// Its length in bytes.
    pub length: u64,
    /// Where it begins in the torrent, in bytes.
    pub offset: u64,
    /// A pad file (BEP 47): zeros that are hashed and never written.
    pub pad: bool,
}

/// A part of a file, as a range of the torrent's bytes falls into it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Segment {
    /// Index of the file.
    pub file: usize,
    /// Where the part begins in the file, in bytes.
    pub at: u64,
    /// Its length in bytes, at least 1.
    pub length: u64,
}

/// A torrent as the disk sees it. Checked when made: files follow one another without gap and make up the whole.
#[derive(Clone, Debug)]
pub struct Layout {
    info_hash: InfoHash,
    geometry: Geometry,
    files: Vec<LaidFile>,
    hashes: Vec<[u8; 20]>,
    aliases: Option<Aliases>,
}

/// Why files, pieces and hashes make no torrent.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum LayoutError {
    /// A path is absolute, empty or climbs out of the folder.
    #[error("the path {0:?} is not a plain path below the download folder")]
    Path(PathBuf),
    /// Files leave gaps, overlap, or do not make up the torrent's length.
    #[error("file {0} does not begin where the one before it ends")]
    Gap(usize),
    /// The files' lengths do not add up to the torrent's.
    #[error("the files hold {files} bytes and the pieces {pieces}")]
    Total {
        /// Bytes of all files.
        files: u64,
        /// Bytes of all pieces.
        pieces: u64,
    },
    /// Not one hash for each piece.
    #[error("there are {hashes} hashes for {pieces} pieces")]
    Hashes {
        /// Hashes given.
        hashes: usize,
        /// Pieces there are.
        pieces: u32,
    },
}

impl Layout {
    /// Puts a torrent together.
    ///
    /// # Errors
    /// When a path could leave the folder, files do not follow one another, or hashes and pieces differ in number.
    pub fn new(
        info_hash: InfoHash,
        geometry: Geometry,
        files: Vec<LaidFile>,
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
        Ok(Layout { info_hash, geometry, files, hashes, aliases: None })
    }

    /// The layout of a torrent that was read from a `.torrent` file or from peers.
    ///
    /// # Errors
    /// As [`Layout::new`]; a metainfo that was judged gives none.
    pub fn of(meta: &Metainfo) -> Result<Layout, LayoutError> {
        let files = meta
            .files
            .iter()
            .map(|f| LaidFile { path: f.path(), length: f.length, offset: f.offset, pad: f.pad })
            .collect();
        let geometry = Geometry::new(meta.total, meta.piece_length);
        Ok(Layout::new(meta.info_hash, geometry, files, meta.hashes.clone())?.with_aliases(meta.aliases()))
    }

    /// The same torrent, whose files may lie under other names.
    #[must_use]
    pub fn with_aliases(self, aliases: Option<Aliases>) -> Layout {
        Layout { aliases, ..self }
    }

    /// The same torrent with other paths of some files, by their index.
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

    /// What the other names of its files are made from, where they can have any.
    #[must_use]
    pub const fn aliases(&self) -> Option<&Aliases> {
        self.aliases.as_ref()
    }

    /// The torrent's name for machines.
    #[must_use]
    pub const fn info_hash(&self) -> InfoHash {
        self.info_hash
    }

    /// Its cut into pieces.
    #[must_use]
    pub const fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// Its files in order.
    #[must_use]
    pub fn files(&self) -> &[LaidFile] {
        &self.files
    }

    /// The SHA-1 that a piece must have; `None` for one that does not exist.
    #[must_use]
    pub fn hash(&self, piece: PieceIndex) -> Option<&[u8; 20]> {
        self.hashes.get(piece.at())
    }

    /// The files that hold a range of the torrent's bytes, in order, pad files too, empty files never.
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

    /// The parts of a piece that are padding, in order and counted from its beginning.
    pub fn padding_of(&self, piece: PieceIndex) -> impl Iterator<Item = Range<u32>> + '_ {
        let bytes = self.bytes_of(piece);
        let start = bytes.start;
        self.segments(bytes).filter_map(move |segment| {
            let file = self.files.get(segment.file).filter(|file| file.pad)?;
            let from = (file.offset + segment.at - start) as u32;
            Some(from..from + segment.length as u32)
        })
    }

    /// Whether a piece is nothing but padding and its hash says so: then it is there without anybody sending it. All
    /// pieces of equal size have one such hash, which `zeros` keeps.
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
        self.hash(piece) == Some(&*hash)
    }

    /// The range of the torrent's bytes that a piece is.
    #[must_use]
    pub fn bytes_of(&self, piece: PieceIndex) -> Range<u64> {
        let start = self.geometry.offset(piece, 0);
        start..start + u64::from(self.geometry.piece_size(piece))
    }

    /// The pieces that hold bytes of a file.
    #[must_use]
    pub fn pieces_of(&self, file: usize) -> Range<u32> {
        self.files.get(file).map_or(0..0, |f| self.geometry.pieces_of(f.offset..f.offset + f.length))
    }

    /// The pieces that are in doubt when a file was changed by another program: those that hold bytes of it; all, where it
    /// is the part file, which comes after the others and holds bytes of any.
    #[must_use]
    pub fn doubtful(&self, file: u32) -> Range<u32> {
        if file as usize == self.files.len() { 0..self.geometry.pieces() } else { self.pieces_of(file as usize) }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A layout of these files (`None` as a path is a pad file) with made-up hashes.
    pub(crate) fn layout(piece_length: u32, files: &[(Option<&str>, u64)]) -> Layout {
        let mut offset = 0;
        let files: Vec<LaidFile> = files
            .iter()
            .map(|(path, length)| {
                let file =
                    LaidFile { path: path.unwrap_or_default().into(), length: *length, offset, pad: path.is_none() };
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
            let files = vec![LaidFile { path: path.into(), length: 1, offset: 0, pad: false }];
            let made = Layout::new(InfoHash([0; 20]), Geometry::new(1, 1), files, vec![[0; 20]]);
            assert!(matches!(made, Err(LayoutError::Path(_))), "{path}");
        }
    }

    #[test]
    fn files_hashes_and_pieces_must_agree() {
        let file = |offset| LaidFile { path: "a".into(), length: 4, offset, pad: false };
        let g = Geometry::new(4, 4);
        assert_eq!(Layout::new(InfoHash([0; 20]), g, vec![file(1)], vec![[0; 20]]).err(), Some(LayoutError::Gap(0)));
        assert!(Layout::new(InfoHash([0; 20]), g, vec![file(0)], vec![]).is_err());
        assert!(Layout::new(InfoHash([0; 20]), g, vec![], vec![[0; 20]]).is_err());
    }
}
