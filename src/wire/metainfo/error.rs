//! Errors of parsing metainfo.

use thiserror::Error;

use crate::format::counted;
use crate::limits;
use crate::wire::bencode::{BencodeError, Kind};

/// Error of parsing a torrent. Displays as the end of a sentence that starts with the file name.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum MetainfoError {
    /// Larger than [`limits::TORRENT_FILE`] or [`limits::METADATA`].
    #[error("it is larger than {} MiB", .max / limits::MIB as u64)]
    TooLarge {
        /// The limit in bytes.
        max: u64,
    },
    /// The file is no bencoded dictionary.
    #[error("it is not a torrent file: it {begins}")]
    NotTorrent {
        /// Description of its first bytes, such as "begins with zero bytes".
        begins: String,
    },
    /// Invalid bencode.
    #[error("the torrent is damaged: {0}")]
    Damaged(#[from] BencodeError),
    /// A required key is missing.
    #[error("the torrent has no `{key}`{place}")]
    Missing { key: &'static str, place: KeyLocation },
    /// The value of a key has the wrong type.
    #[error("`{key}`{place} is {is}, and should be {wanted}")]
    WrongKind {
        key: &'static str,
        place: KeyLocation,
        /// The actual type.
        is: Kind,
        /// The required type.
        wanted: Kind,
    },
    /// An integer is out of range.
    #[error("`{key}`{place} is {value}, and should be {range}")]
    OutOfRange {
        key: &'static str,
        place: KeyLocation,
        /// The digits as written, truncated for display.
        value: String,
        /// Description of the allowed range.
        range: &'static str,
    },
    /// A v2-only torrent (BEP 52): there are no v1 piece hashes.
    #[error("version 2 torrents are not supported yet")]
    Version2,
    /// `meta version` is greater than 2.
    #[error("its format (`meta version` {version}) is newer than this program")]
    TooNew { version: i64 },
    /// The length of `pieces` is not a multiple of 20 bytes.
    #[error("`pieces` has {}, which is no multiple of 20", counted(*.got as u64, "byte"))]
    BrokenHashes {
        /// The length of `pieces` in bytes.
        got: usize,
    },
    /// The number of piece hashes does not match the total length.
    #[error(
        "`pieces` has {has} hash{}, and its {total} bytes in pieces of {piece_length} need {needs}",
        if *has == 1 { "" } else { "es" }
    )]
    HashCountMismatch {
        /// Number of piece hashes in `pieces`.
        has: u64,
        /// Number of piece hashes that `total` requires.
        needs: u64,
        /// Sum of all file lengths in bytes.
        total: u64,
        /// Length of a piece in bytes.
        piece_length: u32,
    },
    /// More than [`limits::PIECES`] pieces.
    #[error("it has {got} pieces, at most {max} are taken")]
    TooManyPieces { got: usize, max: u32 },
    /// More than [`limits::FILES`] files.
    #[error("it has more than {max} files")]
    TooManyFiles { max: usize },
    /// The sum of the file lengths exceeds 2^63 - 1 bytes.
    #[error("the lengths of its files add up to more than 2^63 bytes")]
    TotalTooLarge,
    /// The torrent has no data to download.
    #[error("it holds no data: {0}")]
    NoData(&'static str),
}

/// Where in a torrent a key is located, as part of an error message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyLocation {
    /// At the top level or in `info`; follows from the key.
    Plain,
    /// In a file of the `files` list, counted from 1.
    File(usize),
    /// An entry of a list, counted from 1.
    Entry(usize),
}

impl std::fmt::Display for KeyLocation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            KeyLocation::Plain => Ok(()),
            KeyLocation::File(n) => write!(f, " of file {n}"),
            KeyLocation::Entry(n) => write!(f, " (entry {n})"),
        }
    }
}
