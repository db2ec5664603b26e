//! What can be wrong with a torrent.

use thiserror::Error;

use crate::limits;
use crate::wire::bencode::{BencodeError, Kind};
use crate::wire::text::counted;

/// Why bytes are no torrent that can be used. Reads as the end of a sentence that begins with the file's name.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum MetainfoError {
    /// More bytes than any torrent needs.
    #[error("it is larger than {} MiB", .max / limits::MIB as u64)]
    TooLarge {
        /// The most that is taken, in bytes.
        max: u64,
    },
    /// Something else than a torrent.
    #[error("it is not a torrent file: it {begins}")]
    NotTorrent {
        /// What it begins with instead.
        begins: String,
    },
    /// Broken bencode.
    #[error("the torrent is damaged: {0}")]
    Damaged(#[from] BencodeError),
    /// A key that must be there is not.
    #[error("the torrent has no `{key}`{place}")]
    Missing {
        /// The key.
        key: &'static str,
        /// Where it should be.
        place: Place,
    },
    /// The value of a key is of the wrong kind.
    #[error("`{key}`{place} is {is}, and should be {wanted}")]
    WrongKind {
        /// The key.
        key: &'static str,
        /// Where it is.
        place: Place,
        /// What it is.
        is: Kind,
        /// What it should be.
        wanted: Kind,
    },
    /// A number that is out of range.
    #[error("`{key}`{place} is {value}, and should be {range}")]
    OutOfRange {
        /// The key.
        key: &'static str,
        /// Where it is.
        place: Place,
        /// What it is, as it stands, cut to a line.
        value: String,
        /// What it may be.
        range: &'static str,
    },
    /// A version of the format that has no pieces of version 1.
    #[error("version 2 torrents are not supported yet")]
    Version2,
    /// A version of the format that is not known.
    #[error("its format (`meta version` {version}) is newer than this program")]
    TooNew {
        /// Its version.
        version: i64,
    },
    /// The hashes are no multiple of 20 bytes.
    #[error("`pieces` has {}, which is no multiple of 20", counted(*.got as u64, "byte"))]
    BrokenHashes {
        /// Its bytes.
        got: usize,
    },
    /// Hashes and data do not fit.
    #[error(
        "`pieces` has {has} hash{}, and its {total} bytes in pieces of {piece_length} need {needs}",
        if *has == 1 { "" } else { "es" }
    )]
    Hashes {
        /// Hashes it has.
        has: u64,
        /// Hashes it should have.
        needs: u64,
        /// Bytes of all files.
        total: u64,
        /// Bytes of a piece.
        piece_length: u32,
    },
    /// More pieces than are taken.
    #[error("it has {got} pieces, at most {max} are taken")]
    TooManyPieces {
        /// Pieces it has.
        got: usize,
        /// The most that are taken.
        max: u32,
    },
    /// More files than are taken.
    #[error("it has more than {max} files")]
    TooManyFiles {
        /// The most that are taken.
        max: usize,
    },
    /// The lengths of the files add up to more than can be.
    #[error("the lengths of its files add up to more than 2^63 bytes")]
    TooLong,
    /// No data at all.
    #[error("it holds no data: {0}")]
    NoData(&'static str),
}

/// Where in a torrent a key is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// At the top, or in `info`: the key says it.
    Plain,
    /// In this file of the list, counted from 1.
    File(usize),
    /// This entry of a list, counted from 1.
    Entry(usize),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Place::Plain => Ok(()),
            Place::File(n) => write!(f, " of file {n}"),
            Place::Entry(n) => write!(f, " (entry {n})"),
        }
    }
}
