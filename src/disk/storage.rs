//! One torrent's place on disk, as the engine holds it.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

use crate::disk::check::Check;
use crate::disk::fault;
use crate::disk::layout::Layout;
use crate::disk::place::Place;
use crate::disk::pool::Threads;
use crate::disk::shard::Then;
use crate::limits::{LAST_ANNOUNCE, SHUTDOWN};
use crate::swarm::job::{DiskFault, DiskJob, Probe, Totals};
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
    /// The files that are not wanted, by their index.
    pub unwanted: Vec<u32>,
    /// Whether files that were there before, and are not the torrent's, may be overwritten.
    pub overwrite: bool,
}

/// What the resume record vouches for.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Resumed {
    /// Pieces that are there, as a bitfield of BEP 3.
    pub have: Bytes,
    /// Pieces to hash before the torrent goes on, in order; none of them is in `have`.
    pub check: Vec<Range<u32>>,
    /// What was counted in earlier runs.
    pub totals: Totals,
    /// What a person should hear: a damaged record, files that are missing or were changed.
    pub note: Option<String>,
}

/// A torrent's files, open for work. Clones are the same storage. Dropping the last one closes it without waiting.
#[derive(Clone, Debug)]
pub struct Storage {
    handle: Arc<Handle>,
}

#[derive(Debug)]
struct Handle {
    place: Arc<Place>,
    threads: Arc<Threads>,
}

impl Storage {
    pub(super) fn new(place: Arc<Place>, threads: Arc<Threads>) -> Self {
        Storage { handle: Arc::new(Handle { place, threads }) }
    }

    /// Hands work to the disk threads; never blocks.
    pub fn submit(&self, jobs: impl IntoIterator<Item = DiskJob>) {
        let Handle { place, threads } = &*self.handle;
        if place.is_closing() {
            return;
        }
        let shards = threads.shards.len();
        let mut shares: Vec<Vec<DiskJob>> = Vec::new();
        shares.resize_with(shards, Vec::new);
        for job in jobs {
            let then = match job {
                DiskJob::Write { block, .. } => {
                    shares[block.piece.at() % shards].push(job);
                    continue;
                }
                DiskJob::Forget(piece) => {
                    shares[piece.at() % shards].push(job);
                    continue;
                }
                // One that writes comes after what is written to its piece, as a write would.
                DiskJob::Probe(Probe::Write(piece)) => {
                    shares[piece.at() % shards].push(job);
                    continue;
                }
                DiskJob::Probe(Probe::Read) | DiskJob::Totals(_) => {
                    shares[0].push(job);
                    continue;
                }
                DiskJob::Save => Then::Save,
                DiskJob::Select(unwanted) => {
                    // At once: nothing is written from now on to a file that is not wanted.
                    place.files.parts().select(place.files.layout(), &unwanted);
                    Then::Move
                }
                DiskJob::Finish => Then::Finish,
                DiskJob::Compare => Then::Compare,
                DiskJob::Check(pieces) => {
                    Then::Check(threads.checks.clone(), Check { place: Arc::clone(place), pieces })
                }
            };
            // What was given before comes before.
            threads.hand_out(place, &mut shares);
            threads.turn(place, then);
        }
        threads.hand_out(place, &mut shares);
    }

    /// Reads a block; called from the threads that send it. `into` is as long as the block.
    ///
    /// # Errors
    /// When the block does not exist or cannot be read: file missing, shorter, or the system's reason.
    pub fn read(&self, at: Block, into: &mut [u8]) -> Result<(), DiskFault> {
        let geometry = self.handle.place.files.layout().geometry();
        if !geometry.contains(at) || into.len() != at.length as usize {
            return Err(fault::other(format!(
                "piece {} has no block of {} bytes at {}",
                at.piece, at.length, at.begin
            )));
        }
        self.read_bytes(geometry.offset(at.piece, at.begin), into)
    }

    /// Reads bytes of the torrent from `offset` on, across blocks, pieces and files: several blocks that follow one
    /// another can be read in one call. Pad files read as zeros.
    ///
    /// # Errors
    /// As [`Storage::read`].
    pub fn read_bytes(&self, offset: u64, into: &mut [u8]) -> Result<(), DiskFault> {
        if self.handle.place.is_closed() {
            return Err(fault::other("the torrent was closed".into()));
        }
        self.handle.place.read(offset, into)
    }

    /// Deletes the files that the torrent made, then folders that are empty, then the records; nothing of anybody else's,
    /// and nothing that was there before. Says in words what stays. The storage is of no use afterwards but to be closed.
    ///
    /// # Errors
    /// When a file could not be deleted; the others are.
    pub fn delete_files(&self) -> Result<Option<String>, DiskFault> {
        let Handle { place, threads } = &*self.handle;
        place.end();
        let (done, wait) = crossbeam_channel::bounded(1);
        threads.turn(place, Then::Delete(done));
        wait.recv_timeout(SHUTDOWN).unwrap_or_else(|_| {
            Err(fault::other(format!("{} does not respond: files were not deleted yet", place.files.dir().display())))
        })
    }

    /// Ends all work, writes the resume record and gives back handles and the claim. Waits for the disk threads, at
    /// most [`crate::limits::LAST_ANNOUNCE`]. Nothing is answered afterwards.
    pub fn close(self) {
        let Handle { place, threads } = &*self.handle;
        place.begin_closing();
        let (done, wait) = crossbeam_channel::bounded(1);
        threads.turn(place, Then::Close(Some(done)));
        if wait.recv_timeout(LAST_ANNOUNCE) == Err(crossbeam_channel::RecvTimeoutError::Timeout) {
            log::warn!("{} does not respond: closing goes on without waiting for it", place.files.dir().display());
        }
        place.end();
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if !self.place.begin_closing() {
            self.threads.turn(&self.place, Then::Close(None));
        }
    }
}
