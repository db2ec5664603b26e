//! What a torrent asks of the disk, and what it hears back.

use std::ops::Range;

use bytes::Bytes;

use crate::wire::message::{Block, PieceIndex};

/// The SHA-1 of a block.
pub type BlockHash = [u8; 20];

/// Work for the disk threads. All jobs that name one piece are done in the order in which they were given.
#[derive(Debug)]
pub enum DiskJob {
    /// Take in these bytes of a piece: hash them, write them. No byte of a piece is given twice, but for a piece
    /// that was reported `Corrupt`, `Failed` or given up by `Forget` in between.
    Write {
        /// Where it belongs.
        block: Block,
        /// The bytes.
        data: Bytes,
    },
    /// Give up what is known of an unfinished piece.
    Forget(PieceIndex),
    /// Hash these pieces from disk; answered by `Checked` for each run of pieces and one `CheckDone` in the end.
    Check(Vec<Range<u32>>),
    /// Tell, by `Room`, whether this many bytes could be written now.
    Probe(u64),
    /// Write out all that is held of unfinished pieces and save the resume record; answered by `Saved`.
    Save,
}

/// What the disk tells a torrent.
#[derive(Clone, Debug)]
pub enum DiskDone {
    /// Bytes of `Write` jobs that are in memory no more (written, failed or forgotten): the budget has them back.
    Wrote(u64),
    /// A piece is whole: its hash is right, it is written and recorded. `blocks` are the hashes of its blocks of
    /// [`crate::limits::BLOCK`] bytes, told when an earlier try at this piece was corrupt.
    Verified {
        /// The piece.
        piece: PieceIndex,
        /// Hashes of its blocks, or none.
        blocks: Vec<BlockHash>,
    },
    /// All blocks came and the hash is wrong; nothing of it is kept.
    Corrupt {
        /// The piece.
        piece: PieceIndex,
        /// The hash of each block that came.
        blocks: Vec<BlockHash>,
    },
    /// A piece could not be written or read back; nothing of it is kept.
    Failed {
        /// The piece.
        piece: PieceIndex,
        /// What went wrong.
        fault: DiskFault,
    },
    /// A run of checked pieces: the first one, and for each whether its hash is right.
    Checked {
        /// The first piece of the run.
        first: PieceIndex,
        /// Whether each piece from there on is whole.
        good: Vec<bool>,
    },
    /// The check is over. A fault is told where files could not be read for another reason than being absent.
    CheckDone(Option<DiskFault>),
    /// The answer to `Probe`.
    Room(Result<(), DiskFault>),
    /// The answer to `Save`.
    Saved(Result<(), DiskFault>),
}

/// What the disk could not do, in words.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DiskFault {
    /// The kind, for decisions.
    pub kind: FaultKind,
    /// One sentence for a person: operation, path, reason, what to do.
    pub text: String,
}

/// Kinds of [`DiskFault`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FaultKind {
    /// No room: goes on by itself when there is some.
    Full,
    /// A file is absent, shorter or changed: the torrent should be checked again.
    Changed,
    /// Anything else: permission, I/O error, name too long ..
    Other,
}

impl std::fmt::Display for DiskFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}
