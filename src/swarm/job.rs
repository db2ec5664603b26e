//! What a torrent asks of the disk, and what it hears back.

use std::ops::Range;
use std::time::Duration;

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
    /// Compare sizes and times of all files with how they were left; answered by `Compared`.
    Compare,
    /// Tell, by `Room`, whether the disk works again.
    Probe(Probe),
    /// Record these totals beside the resume record.
    Totals(Totals),
    /// Write out all that is held of unfinished pieces and save the resume record; answered by `Saved`.
    Save,
    /// From now on these files are not wanted, and all others are. What is written of them goes to the part file; what it
    /// holds of others moves to them, and where it cannot, `Unplaced` says so.
    Select(Vec<u32>),
    /// All that is wanted is there: make the wanted files that have no bytes. Where that cannot be, `Unfinished` says so.
    Finish,
}

/// What a fault has hindered, and is tried before the torrent goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Probe {
    /// Write: all bytes of this piece are written where they belong, as they stand there or as zeros. The torrent must
    /// not have it.
    Write(PieceIndex),
    /// Read: every file that is there is opened.
    Read,
}

/// What is counted over all runs of a torrent in its folder.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Totals {
    /// Payload bytes received.
    pub downloaded: u64,
    /// Payload bytes sent.
    pub uploaded: u64,
    /// Everything was here once, whatever is wanted: trackers are not told `completed` any more.
    pub was_whole: bool,
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
    /// The answer to `Compare`: pieces of files that another program has changed, to be hashed before the torrent is
    /// complete; or what has the place of a file and cannot be one.
    Compared(Result<Vec<Range<u32>>, DiskFault>),
    /// The answer to `Save`.
    Saved,
    /// Progress cannot be recorded, in whichever torrent: told once until it can be again.
    Unrecorded(DiskFault),
    /// Bytes of a file that is wanted could not be moved to it; they are not lost.
    Unplaced(DiskFault),
    /// A file without bytes could not be made.
    Unfinished(DiskFault),
    /// A file was removed, replaced or cut by another program while it was open.
    Lost(DiskFault),
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
    /// Passes by itself, or when others end: no descriptors or threads, another process, a disk that is not there.
    Passing,
    /// Files were there before and are not the torrent's: the user says whether they may be overwritten.
    Occupied,
    /// Files belong to another torrent.
    Taken,
    /// A file is absent, shorter or changed: what is in doubt is hashed, and what is lost is fetched again.
    Changed,
    /// Lasts until a person does something: permission, another file in the way, a name that is too long ..
    Other,
    /// The same however often it is tried: metadata that cannot be used.
    Final,
}

impl FaultKind {
    /// Whether time alone may heal it; the others need a person.
    #[must_use]
    pub const fn may_pass(self) -> bool {
        matches!(self, FaultKind::Full | FaultKind::Passing | FaultKind::Changed)
    }

    /// Whether files are in the way that are not the torrent's.
    #[must_use]
    pub const fn is_in_the_way(self) -> bool {
        matches!(self, FaultKind::Occupied | FaultKind::Taken)
    }

    /// Whether trying again does not help: only another call, or another word of the user.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, FaultKind::Final | FaultKind::Occupied | FaultKind::Taken)
    }
}

/// The time between two tries at what a fault hinders: at first, and at most.
const PAUSE: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(60));

/// The time until the next try at what a fault hinders, after so many that were in vain; it doubles up to a minute.
#[must_use]
pub fn pause(tries: u32) -> Duration {
    PAUSE.0.saturating_mul(1 << tries.min(8)).min(PAUSE.1)
}

impl DiskFault {
    /// The sentence for whoever asks how it goes on: what is wrong, and what happens by itself.
    #[must_use]
    pub fn told(&self) -> String {
        match self.kind {
            FaultKind::Full | FaultKind::Passing | FaultKind::Other => {
                format!("{}; it is tried again by itself, at least once a minute", self.text)
            }
            FaultKind::Changed => format!("{}; its data are checked by themselves, within a minute", self.text),
            FaultKind::Final | FaultKind::Occupied | FaultKind::Taken => self.text.clone(),
        }
    }
}

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

    #[test]
    fn the_sentence_says_what_happens_by_itself() {
        use FaultKind::{Changed, Final, Full, Other, Passing};
        for (kind, goes_on, passes) in [
            (Full, true, true),
            (Passing, true, true),
            (Other, true, false),
            (Changed, true, true),
            (Final, false, false),
        ] {
            let fault = DiskFault { kind, text: "it broke".into() };
            assert_eq!((fault.told() != fault.text, kind.may_pass()), (goes_on, passes), "{kind:?}");
        }
    }
}
