//! The torrents of the demo. Their data are computed, not stored: the same for the same seed.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::disk::create::{CreateOptions, PieceHasher, TorrentBuilder};
use crate::limits::KIB;
use crate::wire::message::{InfoHash, PieceIndex};
use crate::wire::metainfo::Metainfo;

const PIECE: u32 = 256 * KIB as u32;

/// A torrent with made-up data.
pub(super) struct Sample {
    pub info_hash: InfoHash,
    pub piece_length: u32,
    /// The bytes of the `.torrent` file.
    pub torrent: Vec<u8>,
    size: u64,
    seed: u64,
}

impl Sample {
    /// Makes up a torrent of these files (path, size in bytes): a folder if there are several.
    ///
    /// # Errors
    /// The files are no valid torrent.
    pub(super) fn new(name: &str, files: &[(&str, u64)], tracker: &str, seed: u64) -> io::Result<Sample> {
        let size = files.iter().map(|(_, size)| size).sum();
        let mut sample = Sample { info_hash: InfoHash([0; 20]), piece_length: PIECE, torrent: Vec::new(), size, seed };
        let mut hasher = PieceHasher::new(PIECE);
        (0..sample.pieces()).for_each(|piece| hasher.update(&sample.piece(PieceIndex(piece))));
        let terms = CreateOptions { trackers: vec![vec![tracker.to_owned()]], ..CreateOptions::default() };
        let folder = files.len() > 1;
        let files = files.iter().map(|(path, size)| (PathBuf::from(path), *size)).collect();
        let hashes = hasher.finish();
        sample.torrent =
            TorrentBuilder { name: name.into(), folder, files, piece_length: PIECE, hashes, terms }.encode();
        sample.info_hash = Metainfo::parse(&sample.torrent).map_err(io::Error::other)?.info_hash;
        Ok(sample)
    }

    fn pieces(&self) -> u32 {
        self.size.div_ceil(PIECE.into()) as u32
    }

    /// Returns the length of a piece in bytes.
    pub(super) fn length(&self, piece: PieceIndex) -> u32 {
        (self.size - u64::from(piece.0) * u64::from(PIECE)).min(PIECE.into()) as u32
    }

    /// Returns the data of a piece.
    pub(super) fn piece(&self, piece: PieceIndex) -> Vec<u8> {
        let mut data = vec![0; self.length(piece) as usize];
        fastrand::Rng::with_seed(self.seed << 32 | u64::from(piece.0)).fill(&mut data);
        data
    }

    /// Returns which pieces a peer has: `share` percent of them, after the first `from` percent.
    pub(super) fn share(&self, from: u32, share: u32) -> Vec<bool> {
        let pieces = self.pieces();
        let (first, end) = (pieces * from / 100, (pieces * (from + share)).div_ceil(100));
        (0..pieces).map(|piece| (first..end).contains(&piece)).collect()
    }

    /// Writes the data of a torrent of one file.
    ///
    /// # Errors
    /// An I/O error, such as a full disk.
    pub(super) fn write(&self, path: &Path) -> io::Result<()> {
        let mut file = fs::File::create_new(path)?;
        (0..self.pieces()).try_for_each(|piece| file.write_all(&self.piece(PieceIndex(piece))))
    }
}
