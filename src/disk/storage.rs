//! One torrent's place on disk, as the engine holds it.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

use crate::disk::layout::Layout;
use crate::swarm::job::{DiskFault, DiskJob, FaultKind};
use crate::wire::message::Block;

/// How room is made for files.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Allocation {
    /// Files have their full length at once and take up room as bytes come.
    #[default]
    Sparse,
    /// The room is taken when a file is begun.
    Full,
}

/// What to open.
#[derive(Clone, Debug)]
pub struct StorageSpec {
    /// The torrent.
    pub layout: Arc<Layout>,
    /// The download folder. Made when the first byte is written.
    pub dir: PathBuf,
    /// Where resume records and locks are kept.
    pub state_dir: PathBuf,
    /// How room is made.
    pub allocate: Allocation,
}

/// What the resume record vouches for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Resumed {
    /// Pieces that are there, as a bitfield of BEP 3.
    pub have: Bytes,
    /// Pieces to hash before the torrent goes on, in order; none of them is in `have`.
    pub check: Vec<Range<u32>>,
    /// What a person should hear: a damaged record, files that are missing or were changed.
    pub note: Option<String>,
}

/// A torrent's files, open for work. Clones are the same storage. Dropping the last one closes it without waiting.
#[derive(Clone)]
pub struct Storage {
    _inner: Arc<()>,
}

impl Storage {
    /// Hands work to the disk threads; never blocks.
    pub fn submit(&self, jobs: impl IntoIterator<Item = DiskJob>) {
        jobs.into_iter().for_each(drop);
    }

    /// Reads a block; called from the threads that send it. `into` is as long as the block.
    ///
    /// # Errors
    /// When the block does not exist or cannot be read: file missing, shorter, or the system's reason.
    pub fn read(&self, at: Block, into: &mut [u8]) -> Result<(), DiskFault> {
        let _ = at;
        self.read_bytes(0, into)
    }

    /// Reads bytes of the torrent from `offset` on, across blocks, pieces and files.
    ///
    /// # Errors
    /// As [`Storage::read`].
    pub fn read_bytes(&self, offset: u64, into: &mut [u8]) -> Result<(), DiskFault> {
        let _ = (offset, into);
        Err(DiskFault { kind: FaultKind::Other, text: "reading is not there yet".into() })
    }

    /// Deletes the torrent's files, then folders that are empty, then the resume record; nothing of anybody else's.
    /// The storage is of no use afterwards but to be closed.
    ///
    /// # Errors
    /// When a file could not be deleted; the others are.
    pub fn delete_files(&self) -> Result<(), DiskFault> {
        Ok(())
    }

    /// Ends all work, writes the resume record and gives back handles and the lock. Waits for the disk threads, at
    /// most [`crate::limits::LAST_ANNOUNCE`]. Nothing is answered afterwards.
    pub fn close(self) {}
}
