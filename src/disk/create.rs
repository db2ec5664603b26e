//! Making `.torrent` files: [`walk`] finds the files, [`hashing`] hashes them on all cores, `encode` puts the
//! `.torrent` together with lava_torrent, and [`output`] gives it its name when it is whole.

mod encode;
pub mod hashing;
pub mod kept;
pub mod output;
pub mod walk;

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

use sha1::{Digest, Sha1};
use thiserror::Error;

use crate::disk::create::hashing::{Progress, hash};
use crate::disk::create::walk::Survey;
use crate::disk::fault::{self, Doing};
use crate::limits;
use crate::wire::metainfo::Metainfo;

/// The smallest piece, in bytes.
pub const PIECE_LEAST: u32 = 16 * limits::KIB as u32;
/// The largest piece that is chosen, in bytes; a larger one can be asked for.
pub const PIECE_CHOSEN: u32 = 16 * limits::MIB as u32;
/// The largest piece that can be asked for, in bytes: other clients refuse more.
pub const PIECE_MOST: u32 = 128 * limits::MIB as u32;
/// Pieces that a torrent should have: fewer make progress coarse, more make the `.torrent` large.
const PIECES: u64 = 1500;
/// Who makes it.
const MAKER: &str = concat!("ttui/", env!("CARGO_PKG_VERSION"));

/// Why a `.torrent` was not made.
#[derive(Debug, Error)]
pub enum CreateError {
    /// The user stopped it.
    #[error("stopped: nothing was written")]
    Stopped,
    /// It is neither a file nor a folder.
    #[error("cannot make a torrent of {}: it is {what}, not a file or a folder", .path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// It has no name, such as `/`.
    #[error("cannot make a torrent of {}: it has no name; make one of a folder in it", .0.display())]
    NoName(PathBuf),
    /// A name cannot stand in a torrent.
    #[error("{} cannot be shared under this name: {why}; rename it", .path.display())]
    Name {
        /// The file or folder.
        path: PathBuf,
        /// What others would make of it.
        why: String,
    },
    /// There are no bytes.
    #[error("there is nothing in {} to share{why}", .path.display())]
    Nothing {
        /// The path.
        path: PathBuf,
        /// What was left out, as the end of the sentence.
        why: String,
    },
    /// It is too much for a torrent.
    #[error("{} is too much for one torrent: {what}", .path.display())]
    TooMuch {
        /// The path.
        path: PathBuf,
        /// What there is too much of, and what to do.
        what: String,
    },
    /// A file is not what it was when it was found.
    #[error("{} {how} while it was read: make the torrent when nothing changes it", .path.display())]
    Changed {
        /// The file.
        path: PathBuf,
        /// How.
        how: &'static str,
    },
    /// The name of the `.torrent` is taken.
    #[error("{} is there already{advice}", .path.display())]
    Exists {
        /// The path.
        path: PathBuf,
        /// What to do, as the end of the sentence.
        advice: &'static str,
    },
    /// The system refused.
    #[error("{0}")]
    System(String),
}

/// Hashes bytes that come in any portions as the pieces of a torrent.
pub struct PieceHasher {
    piece_length: u32,
    filled: u32,
    hash: Sha1,
    hashes: Vec<Vec<u8>>,
}

impl PieceHasher {
    /// A hasher for pieces of this many bytes (at least 1).
    #[must_use]
    pub fn new(piece_length: u32) -> Self {
        PieceHasher { piece_length: piece_length.max(1), filled: 0, hash: Sha1::new(), hashes: Vec::new() }
    }

    /// Takes in the next bytes of the torrent.
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

    /// The hashes of all pieces, the last one of what was left.
    #[must_use]
    pub fn finish(mut self) -> Vec<Vec<u8>> {
        if self.filled > 0 {
            self.end_piece();
        }
        self.hashes
    }
}

/// What its maker says of a torrent.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Terms {
    /// URLs of trackers: groups that are asked one after the other.
    pub trackers: Vec<Vec<String>>,
    /// URLs of web seeds.
    pub web_seeds: Vec<String>,
    /// Only its trackers may be asked for peers.
    pub private: bool,
    /// A remark.
    pub comment: Option<String>,
    /// Where it comes from: gives the same data another info-hash.
    pub source: Option<String>,
    /// When it was made, in seconds since 1970.
    pub date: Option<i64>,
}

/// What a `.torrent` is made of.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    /// The name of its file or its folder, of any bytes.
    pub name: OsString,
    /// Whether it is a folder of files rather than one file.
    pub folder: bool,
    /// Its files in the order in which they were hashed: path below the folder, bytes.
    pub files: Vec<(PathBuf, u64)>,
    /// Bytes of a piece.
    pub piece_length: u32,
    /// The SHA-1 of each piece, as [`PieceHasher::finish`] gives them.
    pub hashes: Vec<Vec<u8>>,
    /// What its maker says.
    pub terms: Terms,
}

impl Draft {
    /// The bytes of its `.torrent`.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        encode::encode(self)
    }
}

/// The bytes of a piece that suit so many bytes: about 1,500 pieces, none smaller than [`PIECE_LEAST`] or larger than
/// [`PIECE_CHOSEN`].
#[must_use]
pub const fn piece_length(total: u64) -> u32 {
    let mut length = PIECE_LEAST;
    // From the geometric middle between two powers on, the larger one is nearer.
    while length < PIECE_CHOSEN && total > length as u64 * PIECES * 141 / 100 {
        length *= 2;
    }
    length
}

/// A `.torrent` that was made, and is nowhere yet.
#[derive(Clone, Debug)]
pub struct Made {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// What others read in it.
    pub meta: Metainfo,
}

/// The number of bytes that the `.torrent` will have.
///
/// # Errors
/// As [`make`], as far as that is known before anything is hashed.
pub fn size(survey: &Survey, piece_length: u32, terms: &Terms) -> Result<u64, CreateError> {
    judge(survey, piece_length, terms)
}

/// Whether others will find the very same files in the `.torrent`: what we would not read ourselves, or under other
/// names, is not hashed for hours first. Returns the size that it will have.
fn judge(survey: &Survey, piece_length: u32, terms: &Terms) -> Result<u64, CreateError> {
    let pieces = pieces(survey, piece_length)?;
    let bytes = encode(survey, piece_length, vec![[0; 20]; pieces as usize], terms)?;
    let meta = Metainfo::parse(&bytes)
        .map_err(|why| CreateError::System(format!("{} cannot be shared: {why}", survey.path().display())))?;
    let name = |file: &OsStr| match survey.folder {
        true => [survey.name.as_encoded_bytes(), b"/", file.as_encoded_bytes()].concat(),
        false => survey.name.as_encoded_bytes().to_vec(),
    };
    // As many, since a link cannot be written into it.
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

/// The number of pieces, where it is no more than clients take.
fn pieces(survey: &Survey, piece_length: u32) -> Result<u32, CreateError> {
    let pieces = survey.total.div_ceil(u64::from(piece_length));
    u32::try_from(pieces).ok().filter(|pieces| *pieces <= limits::PIECES).ok_or_else(|| CreateError::TooMuch {
        path: survey.path(),
        what: format!(
            "it would have {pieces} pieces; choose larger ones, so that there are at most {}",
            limits::PIECES
        ),
    })
}

/// Hashes what was found with so many threads, and makes a `.torrent` of it.
///
/// # Errors
/// One sentence that names the file: it cannot be read, or has changed; or the user has stopped it.
pub fn make(
    survey: &Survey,
    piece_length: u32,
    terms: &Terms,
    threads: usize,
    progress: &Progress,
) -> Result<Made, CreateError> {
    judge(survey, piece_length, terms)?;
    let hashes = hash(survey, piece_length, threads, progress)?;
    let bytes = encode(survey, piece_length, hashes, terms)?;
    // What we would not read ourselves is not given to others.
    let meta = Metainfo::parse(&bytes)
        .map_err(|why| CreateError::System(format!("{} cannot be shared: {why}", survey.path().display())))?;
    Ok(Made { bytes, meta })
}

fn encode(survey: &Survey, piece_length: u32, hashes: Vec<[u8; 20]>, terms: &Terms) -> Result<Vec<u8>, CreateError> {
    let draft = Draft {
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

/// How a path that cannot be read is told.
#[must_use]
pub fn unreadable(path: &Path, error: &io::Error) -> CreateError {
    CreateError::System(match error.kind() {
        io::ErrorKind::NotFound => format!("cannot read {}: it is not there", path.display()),
        _ => fault::system(Doing::Read, path, error, 0).text,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_read_and_its_hashes_are_right() {
        let mut hasher = PieceHasher::new(100);
        let data: Vec<u8> = (0..250u8).collect();
        data.chunks(33).for_each(|portion| hasher.update(portion));
        let draft = Draft {
            name: "folder".into(),
            folder: true,
            files: vec![("a".into(), 130), ("b/c".into(), 120)],
            piece_length: 100,
            hashes: hasher.finish(),
            terms: Terms {
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
