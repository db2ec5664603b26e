//! Disk jobs of a torrent, their results, and the kinds of disk errors.

use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;

use crate::wire::message::{Block, PieceIndex};

/// The SHA-1 hash of a block.
pub type BlockHash = [u8; 20];

/// A job for the disk threads.
///
/// Jobs for the same piece are executed in the order in which they were queued.
#[derive(Debug)]
pub enum DiskJob {
    /// Hashes and writes a block.
    ///
    /// No byte of a piece is written twice unless the piece was reported `Corrupt` or `Failed`, or dropped by
    /// `Forget`, in between.
    Write { block: Block, data: Bytes },
    /// Drops the buffered and hashed state of an incomplete piece.
    Forget(PieceIndex),
    /// Hashes these pieces from disk; answered by `Checked` per run of pieces and one final `CheckDone`.
    Check(Vec<Range<u32>>),
    /// Compares size and mtime of all files with the recorded ones; answered by `Compared`.
    Compare,
    /// Tests whether the disk works again; answered by `Room`.
    Probe(Probe),
    /// Saves these totals with the resume data.
    Totals(Totals),
    /// Reads the `info` dictionary that is not in memory; answered by `Info`.
    ReadInfo,
    /// Flushes incomplete pieces and saves the resume data; answered by `Saved`.
    Save,
    /// Sets the unwanted files; all others are wanted.
    ///
    /// Bytes of unwanted files are written to the part file. Bytes of wanted files are moved out of the part file; a
    /// failure is reported by `Unplaced`.
    Select(Vec<u32>),
    /// Creates wanted files of length 0 once the download is complete; `Unfinished` reports a failure.
    Finish,
}

/// The operation that failed, to be tested before the torrent resumes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Probe {
    /// Rewrites the bytes of this piece in place, missing ones as zeros. The piece must not be verified.
    Write(PieceIndex),
    /// Opens every file that exists.
    Read,
}

/// Lifetime transfer totals of a torrent in its download directory.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Totals {
    pub downloaded: u64,
    pub uploaded: u64,
    /// All files were complete once: the tracker event `completed` is not sent again.
    pub was_whole: bool,
}

/// A result or a notification of the disk threads.
#[derive(Clone, Debug)]
pub enum DiskDone {
    /// The `info` dictionary (BEP 9); `None` if it could not be read.
    Info(Option<Bytes>),
    /// Bytes of `Write` jobs that left memory and return to the write budget: written, failed or dropped.
    Wrote(u64),
    /// A piece passed its hash check and is on disk and recorded.
    ///
    /// `blocks` holds the SHA-1 of each block of [`crate::limits::BLOCK`] bytes if an earlier attempt at this piece
    /// was corrupt, else nothing.
    Verified { piece: PieceIndex, blocks: Vec<BlockHash> },
    /// A complete piece failed its hash check and was discarded.
    Corrupt {
        piece: PieceIndex,
        /// SHA-1 of each received block, to find the peer that sent the bad one.
        blocks: Vec<BlockHash>,
    },
    /// A piece could not be written or read back and was discarded.
    Failed { piece: PieceIndex, fault: DiskFault },
    /// Result of a check for one run of pieces.
    Checked {
        /// First piece of the run.
        first: PieceIndex,
        /// For each piece of the run, whether its hash matches.
        good: Vec<bool>,
    },
    /// The check is complete; with the error if a file exists but could not be read.
    CheckDone(Option<DiskFault>),
    /// The result of `Probe`.
    ProbeDone(Result<(), DiskFault>),
    /// The result of `Compare`: pieces of files that another program changed.
    ///
    /// They must be hashed before the torrent counts as complete. The error is that of a path not usable as a file.
    Compared(Result<Vec<Range<u32>>, DiskFault>),
    /// The result of `Save`.
    Saved,
    /// Resume data cannot be saved, for any torrent; reported once until it can be saved again.
    ResumeSaveFailed(DiskFault),
    /// Bytes of a wanted file could not be moved out of the part file; they remain there.
    Unplaced(DiskFault),
    /// A file of length 0 could not be created.
    Unfinished(DiskFault),
    /// A file was removed, replaced or cut by another program while it was open.
    Lost(DiskFault),
}

/// A disk error with its kind and its message for the user.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DiskFault {
    pub kind: FaultKind,
    /// One sentence for the user: operation, path, cause, remedy.
    pub text: String,
}

/// The kind of a [`DiskFault`]; decides what happens next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FaultKind {
    /// Disk full (or quota): retried automatically.
    Full,
    /// Temporary: out of descriptors or threads, a lock of another process, an absent or failing disk.
    Temporary,
    /// Existing files are not from this torrent: the user decides whether to overwrite them.
    Occupied,
    /// A file that was there before is longer than the torrent's: the user takes it away, or decides to overwrite it.
    Longer,
    /// The files belong to another torrent.
    Taken,
    /// The file system refuses the name of a file: the torrent is opened again with other names.
    NameRefused,
    /// A file is absent, shorter or changed: what is in doubt is hashed, and what is lost is fetched again.
    Changed,
    /// Needs user action: permission denied, a path conflict, a name that is too long.
    Other,
    /// Permanent, such as unusable metadata: a retry fails the same way.
    Final,
}

impl FaultKind {
    /// Returns whether the error may resolve without user action, so that automatic retries make sense.
    #[must_use]
    pub const fn may_pass(self) -> bool {
        matches!(self, FaultKind::Full | FaultKind::Temporary | FaultKind::Changed)
    }

    /// Returns whether files that do not belong to the torrent occupy its paths.
    #[must_use]
    pub const fn is_in_the_way(self) -> bool {
        matches!(self, FaultKind::Occupied | FaultKind::Taken)
    }

    /// Returns whether a retry is pointless without a new user command or invocation.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, FaultKind::Final | FaultKind::Occupied | FaultKind::Taken)
    }
}

/// First and maximum delay between retries after a disk error.
const PAUSE: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(60));

/// Returns the delay before the next retry after `tries` failed ones: 5 s, doubling up to 60 s.
#[must_use]
pub fn pause(tries: u32) -> Duration {
    PAUSE.0.saturating_mul(1 << tries.min(8)).min(PAUSE.1)
}

impl std::error::Error for DiskFault {}

impl std::fmt::Display for DiskFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_minute() {
        let seconds: Vec<u64> = [0, 1, 2, 3, 4, 5, 31, 32, u32::MAX].map(|n| pause(n).as_secs()).into();
        assert_eq!(seconds, [5, 10, 20, 40, 60, 60, 60, 60, 60]);
    }
}
