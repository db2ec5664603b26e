//! Handle of the engine to the storage of one torrent: submit jobs, read blocks, delete files, close.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

use crate::disk::check::Check;
use crate::disk::dispatch::Threads;
use crate::disk::error;
use crate::disk::layout::Layout;
use crate::disk::shard::{BarrierAction, OnClosed};
use crate::disk::torrent_disk::TorrentDisk;
use crate::limits::{LAST_ANNOUNCE, SHUTDOWN};
use crate::swarm::job::{DiskFault, DiskJob, Probe, Totals};
use crate::wire::message::Block;

pub use crate::disk::sys::Allocation;

/// Parameters for opening a storage.
#[derive(Clone, Debug)]
pub struct StorageSpec {
    /// Files, pieces and hashes of the torrent.
    pub layout: Arc<Layout>,
    /// The download folder. Created when the first byte is written.
    pub dir: PathBuf,
    /// The folder of resume data, ownership records and locks.
    pub state_dir: PathBuf,
    pub allocate: Allocation,
    /// Indices of the files that are not to be downloaded.
    pub unwanted: Vec<u32>,
    /// Whether existing files that do not belong to the torrent may be overwritten.
    pub overwrite: bool,
    /// Whether files that are missing get names that Windows takes, too.
    pub mend_names: bool,
    /// Whether the torrent is only seeded: every file counts as unwanted, and nothing in the folder is created, written
    /// or moved.
    pub read_only: bool,
}

/// The result of verifying the resume data when a storage is opened.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Resumed {
    /// Pieces present on disk, as a BEP 3 bitfield.
    pub have: Bytes,
    /// Pieces to hash before the torrent starts, in ascending order; disjoint from `have`.
    pub check: Vec<Range<u32>>,
    /// Totals of earlier sessions (downloaded, uploaded).
    pub totals: Totals,
    /// A message for the user: damaged resume data, missing or changed files, files under other names.
    pub note: Option<String>,
}

/// Shared handle to an open storage. Dropping the last clone closes it without waiting.
#[derive(Clone, Debug)]
pub struct Storage {
    handle: Arc<Handle>,
}

#[derive(Debug)]
struct Handle {
    place: Arc<TorrentDisk>,
    threads: Arc<Threads>,
}

impl Storage {
    pub(super) fn new(place: Arc<TorrentDisk>, threads: Arc<Threads>) -> Self {
        Storage { handle: Arc::new(Handle { place, threads }) }
    }

    /// Submits jobs to the disk threads; never blocks.
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
                    shares[block.piece.as_usize() % shards].push(job);
                    continue;
                }
                DiskJob::Forget(piece) => {
                    shares[piece.as_usize() % shards].push(job);
                    continue;
                }
                // A write probe is ordered after earlier writes to its piece, like a write.
                DiskJob::Probe(Probe::Write(piece)) => {
                    shares[piece.as_usize() % shards].push(job);
                    continue;
                }
                DiskJob::Probe(Probe::Read) | DiskJob::Totals(_) | DiskJob::ReadInfo => {
                    shares[0].push(job);
                    continue;
                }
                DiskJob::Select(_) | DiskJob::Finish if place.read_only => continue,
                DiskJob::Save => BarrierAction::Save,
                DiskJob::Select(unwanted) => {
                    // Applied immediately: no later write may go to an unwanted file. While a disk thread uses the part file,
                    // that would block, so it is applied again at the barrier.
                    place.files.parts().try_select(place.files.layout(), &unwanted);
                    BarrierAction::MoveWanted(Some(unwanted))
                }
                DiskJob::Finish => BarrierAction::CreateEmptyFiles,
                DiskJob::Compare => BarrierAction::Compare,
                DiskJob::Check(pieces) => {
                    BarrierAction::Check(threads.checks.clone(), Check { place: Arc::clone(place), pieces })
                }
            };
            // Jobs submitted before the barrier are queued before it.
            threads.dispatch(place, &mut shares);
            threads.barrier(place, then);
        }
        threads.dispatch(place, &mut shares);
    }

    /// Reads a block into `into`, which must have its length. Called from the threads that upload to peers.
    ///
    /// # Errors
    /// If the block does not exist or cannot be read: file missing, file too short, or the I/O error of the system.
    pub fn read(&self, at: Block, into: &mut [u8]) -> Result<(), DiskFault> {
        let geometry = self.handle.place.files.layout().geometry();
        if !geometry.contains(at) || into.len() != at.length as usize {
            return Err(error::other(format!(
                "piece {} has no block of {} bytes at {}",
                at.piece, at.length, at.begin
            )));
        }
        self.read_bytes(geometry.offset(at.piece, at.begin), into)
    }

    /// Reads bytes of the torrent from `offset` on, across blocks, pieces and files.
    ///
    /// Pad files read as zeros.
    ///
    /// Several consecutive blocks can be read with one call.
    ///
    /// # Errors
    /// As [`Storage::read`].
    pub fn read_bytes(&self, offset: u64, into: &mut [u8]) -> Result<(), DiskFault> {
        if self.handle.place.is_closed() {
            return Err(error::other("the torrent was closed".into()));
        }
        self.handle.place.read(offset, into)
    }

    /// Deletes the files that the torrent created, empty folders, resume data and ownership record.
    ///
    /// Existing files of the user and files of other torrents are kept; returns a message naming them. The storage
    /// can only be closed afterwards.
    ///
    /// # Errors
    /// If a file could not be deleted (the others are deleted), or the disk does not respond in time.
    pub fn delete_files(&self) -> Result<Option<String>, DiskFault> {
        let Handle { place, threads } = &*self.handle;
        place.end();
        let (done, wait) = crossbeam_channel::bounded(1);
        threads.barrier(place, BarrierAction::Delete(done));
        wait.recv_timeout(SHUTDOWN).unwrap_or_else(|_| {
            Err(error::other(format!("{} does not respond: files were not deleted yet", place.files.dir().display())))
        })
    }

    /// Closes the storage: finishes queued jobs, saves resume data, closes files, releases the claim.
    ///
    /// Waits for the disk threads, at most [`crate::limits::LAST_ANNOUNCE`]. No results are sent afterwards.
    pub fn close(self) {
        let (done, wait) = crossbeam_channel::bounded(1);
        self.begin_close(move || _ = done.send(()));
        let late = wait.recv_timeout(LAST_ANNOUNCE) == Err(crossbeam_channel::RecvTimeoutError::Timeout);
        self.end_close(late);
    }

    /// As [`Storage::close`], but returns at once. `done` is called when the storage is closed, from a disk thread, and
    /// must not block.
    pub(crate) fn begin_close(&self, done: impl Fn() + Send + Sync + 'static) {
        let Handle { place, threads } = &*self.handle;
        place.begin_closing();
        threads.barrier(place, BarrierAction::Close(Some(OnClosed(Box::new(done)))));
    }

    /// Ends what [`Storage::begin_close`] began; `late` if the disk threads were not waited for any longer.
    pub(crate) fn end_close(self, late: bool) {
        let place = &self.handle.place;
        if late {
            tracing::warn!("{} does not respond: closing goes on without waiting for it", place.files.dir().display());
        }
        place.end();
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if !self.place.begin_closing() {
            self.threads.barrier(&self.place, BarrierAction::Close(None));
        }
    }
}
