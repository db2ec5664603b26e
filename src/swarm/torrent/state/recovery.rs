//! State of the recovery from a disk error, and of the comparison that comes before completion.

use std::collections::BTreeSet;
use std::time::Instant;

use crate::wire::message::PieceIndex;

/// State of the recovery from a disk error.
#[derive(Debug, Default)]
pub(crate) struct Recovery {
    /// When the next probe is due.
    pub at: Option<Instant>,
    /// The piece whose write failed.
    pub unwritten: Option<PieceIndex>,
    /// Pieces that could not be read; hashed again after a successful probe.
    pub unread: BTreeSet<PieceIndex>,
    /// The `unread` pieces are being hashed.
    pub hashing: bool,
    /// Files are being compared with how they were left, to find those that were changed.
    pub comparing: bool,
    /// Tries since a piece was last verified.
    pub tries: u32,
}

/// State of the final check before completion: whether the files still have their recorded sizes and times.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Comparison {
    /// The files must be compared before the torrent counts as complete.
    #[default]
    Due,
    /// The disk is comparing the files.
    UnderWay,
    /// The files are unchanged, or the changed ones were hashed again.
    Done,
}
