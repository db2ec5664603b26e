//! Creates `.torrent` files: [`scan`] finds the files, [`hashing`] hashes them on all cores.
//!
//! `encode` bencodes the metainfo, [`torrent_writer`] writes the file, [`cache`] avoids hashing unchanged files again.

pub mod cache;
mod encode;
mod error;
pub mod hashing;
pub mod scan;
pub(crate) mod torrent_writer;

use std::ffi::OsStr;
use std::path::PathBuf;

use sha1::{Digest, Sha1};

use crate::disk::create::hashing::{Progress, hash};
use crate::disk::create::scan::FileScan;
use crate::limits;
use crate::wire::metainfo::Metainfo;

pub use encode::{CreateOptions, TorrentBuilder};
pub use error::{CreateError, unreadable};

/// Minimum piece length, in bytes.
pub const PIECE_LEAST: u32 = 16 * limits::KIB as u32;
/// Maximum piece length chosen automatically, in bytes.
pub const PIECE_CHOSEN: u32 = 16 * limits::MIB as u32;
/// Maximum piece length that can be requested, in bytes: other clients reject larger ones.
pub const PIECE_MOST: u32 = 128 * limits::MIB as u32;
/// Target number of pieces: fewer make progress coarse, more make the `.torrent` file large.
const PIECES: u64 = 1500;
/// Incremental piece hasher: accepts bytes in portions of any length.
pub struct PieceHasher {
    piece_length: u32,
    filled: u32,
    hash: Sha1,
    hashes: Vec<Vec<u8>>,
}

impl PieceHasher {
    /// Creates a hasher for pieces of `piece_length` bytes (at least 1).
    #[must_use]
    pub fn new(piece_length: u32) -> Self {
        PieceHasher { piece_length: piece_length.max(1), filled: 0, hash: Sha1::new(), hashes: Vec::new() }
    }

    /// Hashes the next bytes of the torrent.
    pub fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = (self.piece_length - self.filled) as usize;
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.hash.update(now);
            self.filled += now.len() as u32;
            if self.filled == self.piece_length {
                self.end_piece();
            }
            bytes = later;
        }
    }

    fn end_piece(&mut self) {
        self.hashes.push(self.hash.finalize_reset().to_vec());
        self.filled = 0;
    }

    /// Returns the hashes of all pieces; the last piece may be shorter.
    #[must_use]
    pub fn finish(mut self) -> Vec<Vec<u8>> {
        if self.filled > 0 {
            self.end_piece();
        }
        self.hashes
    }
}

/// Returns the automatic piece length for `total` bytes, aiming at about 1,500 pieces.
///
/// A power of two between [`PIECE_LEAST`] and [`PIECE_CHOSEN`].
#[must_use]
pub const fn piece_length(total: u64) -> u32 {
    let mut length = PIECE_LEAST;
    // Beyond the geometric mean of two powers of two, the larger one is closer.
    while length < PIECE_CHOSEN && total > length as u64 * PIECES * 141 / 100 {
        length *= 2;
    }
    length
}

/// A `.torrent` in memory that is not written to disk yet.
#[derive(Clone, Debug)]
pub struct BuiltTorrent {
    pub bytes: Vec<u8>,
    /// The metainfo as other clients parse it.
    pub meta: Metainfo,
}

/// Returns the size in bytes that the `.torrent` file will have.
///
/// # Errors
/// As [`make`], as far as an error is known before hashing.
pub fn size(survey: &FileScan, piece_length: u32, terms: &CreateOptions) -> Result<u64, CreateError> {
    judge(survey, piece_length, terms)
}

/// Checks, before hours of hashing, that the `.torrent` can be read back with the same files.
///
/// Returns its size.
fn judge(survey: &FileScan, piece_length: u32, terms: &CreateOptions) -> Result<u64, CreateError> {
    let pieces = pieces(survey, piece_length)?;
    let bytes = encode(survey, piece_length, vec![[0; 20]; pieces as usize], terms)?;
    let meta = Metainfo::parse(&bytes)
        .map_err(|why| CreateError::System(format!("{} cannot be shared: {why}", survey.path().display())))?;
    let name = |file: &OsStr| match survey.folder {
        true => [survey.name.as_encoded_bytes(), b"/", file.as_encoded_bytes()].concat(),
        false => survey.name.as_encoded_bytes().to_vec(),
    };
    // Both lists have equal length: parsing drops only BEP 47 symlinks, which are never encoded.
    for (read, found) in meta.files.iter().zip(&survey.files) {
        let path = || survey.root.join(&found.name);
        if read.pad {
            return Err(CreateError::Name { path: path(), why: "it is the name of padding".to_owned() });
        }
        if *read.bytes() != *name(&found.name) {
            let why = format!("others would call it {}", String::from_utf8_lossy(read.bytes()));
            return Err(CreateError::Name { path: path(), why });
        }
    }
    Ok(bytes.len() as u64)
}

/// Returns the number of pieces, or an error if it exceeds the limit of clients.
fn pieces(survey: &FileScan, piece_length: u32) -> Result<u32, CreateError> {
    let pieces = survey.total.div_ceil(u64::from(piece_length));
    u32::try_from(pieces).ok().filter(|pieces| *pieces <= limits::PIECES).ok_or_else(|| CreateError::TooMuch {
        path: survey.path(),
        what: format!(
            "it would have {pieces} pieces; choose larger ones, so that there are at most {}",
            limits::PIECES
        ),
    })
}

/// Hashes the scanned files on up to `threads` threads and builds a `.torrent`.
///
/// # Errors
/// If a file cannot be read or has changed, or hashing was stopped; the message names the file.
pub fn make(
    survey: &FileScan,
    piece_length: u32,
    terms: &CreateOptions,
    threads: usize,
    progress: &Progress,
) -> Result<BuiltTorrent, CreateError> {
    judge(survey, piece_length, terms)?;
    let hashes = hash(survey, piece_length, threads, progress)?;
    let bytes = encode(survey, piece_length, hashes, terms)?;
    // A `.torrent` that this program could not read must not be written.
    let meta = Metainfo::parse(&bytes)
        .map_err(|why| CreateError::System(format!("{} cannot be shared: {why}", survey.path().display())))?;
    Ok(BuiltTorrent { bytes, meta })
}

fn encode(
    survey: &FileScan,
    piece_length: u32,
    hashes: Vec<[u8; 20]>,
    terms: &CreateOptions,
) -> Result<Vec<u8>, CreateError> {
    let draft = TorrentBuilder {
        name: survey.name.clone(),
        folder: survey.folder,
        files: survey.files.iter().map(|file| (PathBuf::from(&file.name), file.length)).collect(),
        piece_length,
        hashes: hashes.into_iter().map(Vec::from).collect(),
        terms: terms.clone(),
    };
    let bytes = draft.encode();
    if bytes.len() as u64 > limits::TORRENT_FILE || bytes.len() > limits::METADATA {
        let what = "its .torrent would be larger than clients take; choose larger pieces or fewer files".to_owned();
        return Err(CreateError::TooMuch { path: survey.path(), what });
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::encode::MAKER;
    use super::*;

    #[test]
    fn what_is_written_can_be_read_and_its_hashes_are_right() {
        let mut hasher = PieceHasher::new(100);
        let data: Vec<u8> = (0..250u8).collect();
        data.chunks(33).for_each(|portion| hasher.update(portion));
        let draft = TorrentBuilder {
            name: "folder".into(),
            folder: true,
            files: vec![("a".into(), 130), ("b/c".into(), 120)],
            piece_length: 100,
            hashes: hasher.finish(),
            terms: CreateOptions {
                trackers: vec![
                    vec!["http://127.0.0.1:6969/announce".into(), "udp://127.0.0.1:6969".into()],
                    vec!["http://tracker.example.org/announce".into()],
                ],
                web_seeds: vec!["https://example.org/a/".into()],
                private: true,
                comment: Some("ours".into()),
                source: Some("here".into()),
                date: Some(7),
            },
        };
        let meta = Metainfo::parse(&draft.encode()).unwrap();
        assert_eq!((meta.total, meta.files.len(), meta.hashes.len()), (250, 2, 3));
        for (piece, hash) in data.chunks(100).zip(&meta.hashes) {
            assert_eq!(Sha1::digest(piece)[..], hash[..]);
        }
        assert_eq!(meta.trackers, draft.terms.trackers);
        assert_eq!(meta.web_seeds, draft.terms.web_seeds);
        assert_eq!((meta.private, meta.created, meta.created_by.as_deref()), (true, Some(7), Some(MAKER)));
        assert_eq!((meta.comment.as_deref(), meta.source.as_deref()), (Some("ours"), Some("here")));
    }

    #[test]
    fn there_are_about_fifteen_hundred_pieces() {
        const MIB: u64 = 1 << 20;
        for (total, piece) in [(1, 16), (34 * MIB, 32), (700 * MIB, 512), (4096 * MIB, 2048), (1 << 44, 16 * 1024)] {
            assert_eq!(piece_length(total), piece * 1024, "{total}");
        }
        for total in [64 * MIB, 1000 * MIB, 1023 * MIB, 9999 * MIB] {
            let pieces = total.div_ceil(u64::from(piece_length(total)));
            assert!((1000..2200).contains(&pieces), "{total}: {pieces}");
        }
    }
}
