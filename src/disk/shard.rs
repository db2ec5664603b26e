//! A disk thread (shard): buffers the blocks of its pieces, hashes and writes them, sends the results.
//!
//! All jobs of a piece go to the same thread, in order. The thread handles a batch of queued messages before it sends
//! results, so that neither the thread nor the torrent is woken once per block.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use crate::disk::check::Check;
use crate::disk::piece_buffer::PieceBuffer;
use crate::disk::resume::SaveMode;
use crate::disk::stamps::BURST_GAP;
use crate::disk::torrent_disk::TorrentDisk;
use crate::disk::utilization::BusyMeter;
use crate::swarm::job::{DiskDone, DiskFault, DiskJob};
use crate::wire::message::{Block, PieceIndex};

/// Maximum time that bytes stay buffered in memory.
const PATIENCE: Duration = Duration::from_secs(2);
/// Interval for checking the age of buffered bytes.
const LOOK: Duration = Duration::from_millis(500);
/// Maximum number of messages handled before results are sent.
const BATCH: usize = 64;
/// Bytes written before they are reported to the torrent, within a batch.
const TELL: u64 = 1 << 20;

/// A message to a disk thread.
#[derive(Debug)]
pub(crate) enum Work {
    /// Jobs of one torrent for pieces of this thread, or without a piece.
    Jobs(Arc<TorrentDisk>, Vec<DiskJob>),
    /// A barrier across all disk threads.
    Barrier(Arc<Barrier>),
    /// Ends the thread.
    Stop,
}

/// A barrier across all disk threads: [`BarrierAction`] runs once, on the thread that arrives last.
#[derive(Debug)]
pub(crate) struct Barrier {
    place: Arc<TorrentDisk>,
    left: AtomicUsize,
    then: BarrierAction,
}

/// What runs when all disk threads have arrived at a barrier.
#[derive(Debug)]
pub(crate) enum BarrierAction {
    /// Save the resume data.
    Save,
    /// Move data of wanted files from the part file to these files, after setting the unwanted ones if given.
    MoveWanted(Option<Vec<u32>>),
    /// Create the wanted files of length 0.
    CreateEmptyFiles,
    /// Compare the files with their stamps to find external changes.
    Compare,
    /// Hand a hash check to the check thread.
    Check(Sender<Option<Check>>, Check),
    /// Close the storage.
    Close(Option<OnClosed>),
    /// Delete the files of the torrent; sends a message naming files that were kept.
    Delete(Sender<Result<Option<String>, DiskFault>>),
}

/// Called when a storage is closed.
pub(crate) struct OnClosed(pub(crate) Box<dyn Fn() + Send + Sync>);

impl std::fmt::Debug for OnClosed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OnClosed")
    }
}

impl Barrier {
    /// Creates a barrier for this many threads.
    #[must_use]
    pub(crate) fn new(place: Arc<TorrentDisk>, threads: usize, then: BarrierAction) -> Arc<Self> {
        Arc::new(Barrier { place, left: AtomicUsize::new(threads), then })
    }

    /// Registers the arrival of one thread; the last arrival runs the action.
    pub(crate) fn arrive(&self) {
        if self.left.fetch_sub(1, Ordering::AcqRel) > 1 {
            return;
        }
        match &self.then {
            BarrierAction::Save => {
                self.place.save(SaveMode::Quick);
                self.place.send_result(DiskDone::Saved);
            }
            BarrierAction::Compare => self.place.send_result(DiskDone::Compared(self.place.compare())),
            BarrierAction::MoveWanted(unwanted) => {
                let files = &self.place.files;
                unwanted.iter().for_each(|unwanted| files.parts().select(files.layout(), unwanted));
                self.place.move_wanted();
            }
            BarrierAction::CreateEmptyFiles => {
                self.place.create_empty_files();
                self.place.release_hashes();
            }
            BarrierAction::Check(to, check) => {
                // The send fails only if the pool is shutting down.
                let _ = to.send(Some(check.clone()));
            }
            BarrierAction::Close(done) => {
                close_storage(&self.place);
                if let Some(OnClosed(done)) = done {
                    done();
                }
            }
            BarrierAction::Delete(done) => {
                let deleted = self.place.files.delete();
                self.place.resume.delete();
                self.place.files.ownership().delete();
                let _ = done.send(deleted);
            }
        }
    }
}

/// Closes a storage: saves the final resume data and ownership record, then releases handles and claim.
pub(crate) fn close_storage(place: &TorrentDisk) {
    place.end();
    // Some systems update the mtime when a file is closed, so the resume data are saved after that.
    place.files.release();
    place.save(SaveMode::Last);
    place.files.ownership().save(true);
    place.release();
}

/// The state of one disk thread.
pub(crate) struct Shard {
    inbox: Receiver<Work>,
    limit: u64,
    busy: Arc<BusyMeter>,
    held: u64,
    looked: Instant,
    scratch: Vec<u8>,
    torrents: HashMap<u64, ShardTorrent>,
}

/// The state of one torrent within a disk thread.
struct ShardTorrent {
    place: Arc<TorrentDisk>,
    pieces: HashMap<u32, PieceBuffer>,
    /// Pieces that failed a hash check: their block hashes are reported on success, to find the bad block.
    corrupt: HashSet<u32>,
    freed: u64,
    /// When to check whether bursts of writes are over; `None` if there are none.
    bursts_at: Option<Instant>,
}

impl Shard {
    /// Creates the state of a disk thread that buffers at most about `limit` bytes.
    #[must_use]
    pub(crate) fn new(inbox: Receiver<Work>, limit: u64, busy: Arc<BusyMeter>) -> Self {
        let looked = Instant::now();
        Shard { inbox, limit, busy, held: 0, looked, scratch: Vec::new(), torrents: HashMap::new() }
    }

    /// Handles messages until [`Work::Stop`].
    pub(crate) fn run(mut self) {
        loop {
            let first = match self.deadline() {
                Some(deadline) => self.inbox.recv_deadline(deadline),
                None => self.inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            self.busy.begin();
            let mut go_on = match first {
                Ok(work) => self.handle_message(work),
                Err(RecvTimeoutError::Timeout) => true,
                Err(RecvTimeoutError::Disconnected) => false,
            };
            for _ in 1..BATCH {
                let Some(work) = self.inbox.try_recv().ok().filter(|_| go_on) else { break };
                go_on = self.handle_message(work);
            }
            self.write_old();
            self.torrents.values_mut().for_each(ShardTorrent::report_freed);
            self.end_bursts();
            self.busy.end();
            if !go_on {
                return;
            }
        }
    }

    /// Returns the time of the next timer: writing out old bytes, or ending bursts of writes.
    fn deadline(&self) -> Option<Instant> {
        let bursts = self.torrents.values().filter_map(|mine| mine.bursts_at).min();
        bursts.into_iter().chain((self.held > 0).then(|| self.looked + LOOK)).min()
    }

    /// Journals the ends of bursts of writes.
    fn end_bursts(&mut self) {
        if self.torrents.values().all(|mine| mine.bursts_at.is_none()) {
            return;
        }
        let now = Instant::now();
        for mine in self.torrents.values_mut().filter(|mine| mine.bursts_at.is_some_and(|at| at <= now)) {
            mine.bursts_at = mine.place.end_bursts(now);
        }
    }

    /// Handles one message. Returns whether to continue.
    fn handle_message(&mut self, work: Work) -> bool {
        match work {
            Work::Jobs(place, jobs) => {
                let mut mine = self.torrents.remove(&place.id).unwrap_or_else(|| ShardTorrent::new(Arc::clone(&place)));
                let now = Instant::now();
                for job in jobs {
                    self.job(&mut mine, job, now);
                }
                if !place.is_closed() {
                    self.torrents.insert(place.id, mine);
                } else {
                    self.held -= mine.held();
                }
                if self.held > self.limit {
                    self.flush_largest();
                }
            }
            Work::Barrier(turn) => {
                let id = turn.place.id;
                match turn.then {
                    BarrierAction::Save | BarrierAction::Check(..) | BarrierAction::Compare => self.write_out(id),
                    BarrierAction::MoveWanted(_) | BarrierAction::CreateEmptyFiles => {}
                    BarrierAction::Close(_) | BarrierAction::Delete(_) => {
                        // Buffered blocks of incomplete pieces are discarded: they are downloaded again after a
                        // restart anyway.
                        self.held -= self.torrents.remove(&id).map_or(0, |mine| mine.held());
                    }
                }
                if let Some(mine) = self.torrents.get_mut(&id) {
                    mine.report_freed();
                }
                turn.arrive();
            }
            Work::Stop => return false,
        }
        true
    }

    fn job(&mut self, mine: &mut ShardTorrent, job: DiskJob, now: Instant) {
        if mine.place.is_closed() {
            return;
        }
        match job {
            DiskJob::Write { block, data } => self.write(mine, block, data, now),
            DiskJob::Forget(piece) => {
                if let Some(partial) = mine.pieces.remove(&piece.0) {
                    self.held -= partial.held();
                    mine.freed += partial.held();
                }
            }
            DiskJob::Probe(probe) => {
                let done = mine.place.probe(probe);
                mine.has_written(now);
                mine.place.send_result(DiskDone::ProbeDone(done));
            }
            DiskJob::Totals(totals) => mine.place.resume.keep_totals(&totals),
            DiskJob::ReadInfo => {
                let info = mine.place.files.layout().read_info();
                let info = info.inspect_err(|fault| tracing::warn!("metadata cannot be sent to peers: {fault}"));
                mine.place.send_result(DiskDone::Info(info.ok()));
            }
            // These jobs are barriers and arrive as `Work::Turn`.
            DiskJob::Check(_) | DiskJob::Compare | DiskJob::Save | DiskJob::Select(_) | DiskJob::Finish => {}
        }
    }

    fn write(&mut self, mine: &mut ShardTorrent, block: Block, data: Bytes, now: Instant) {
        let layout = mine.place.files.layout();
        let geometry = layout.geometry();
        let length = data.len() as u64;
        let fits = geometry.contains(block) && u64::from(block.length) == length;
        if !fits || mine.place.resume.written.has(block.piece.0) {
            mine.freed += length;
            return;
        }
        let partial = mine.pieces.entry(block.piece.0).or_insert_with(|| {
            let mut padding = layout.padding_of(block.piece).peekable();
            // With padding not every block is received, so the block hashes of a corrupt piece are read back instead.
            let each_block = padding.peek().is_none() && mine.corrupt.contains(&block.piece.0);
            PieceBuffer::new(geometry.offset(block.piece, 0), geometry.piece_size(block.piece), each_block, padding)
        });
        let before = partial.held();
        mine.freed += partial.add_block(block.begin, data, now);
        let with = partial.held();
        self.held += with - before;
        let advanced = partial.advance(&mine.place, &mut self.scratch);
        let freed = with - partial.held();
        self.held -= freed;
        mine.freed += freed;
        let whole = partial.is_complete();
        if freed > 0 || advanced.is_err() {
            mine.has_written(now);
        }
        match advanced {
            Ok(()) if whole => mine.finish_piece(block.piece),
            Ok(()) => {}
            Err(fault) => self.fail(mine, block.piece, fault),
        }
        if mine.freed >= TELL {
            mine.report_freed();
        }
    }

    fn fail(&mut self, mine: &mut ShardTorrent, piece: PieceIndex, fault: DiskFault) {
        if let Some(partial) = mine.pieces.remove(&piece.0) {
            self.held -= partial.held().min(self.held);
            mine.freed += partial.held();
        }
        mine.place.send_result(DiskDone::Failed { piece, fault });
    }

    /// Writes out pieces whose bytes have been buffered for longer than [`PATIENCE`].
    fn write_old(&mut self) {
        let now = Instant::now();
        if self.held == 0 || now < self.looked + LOOK {
            if self.held == 0 {
                self.looked = now;
            }
            return;
        }
        self.looked = now;
        let mut old = Vec::new();
        for (id, mine) in &self.torrents {
            let late = |p: &PieceBuffer| p.since().is_some_and(|since| now.duration_since(since) >= PATIENCE);
            old.extend(mine.pieces.iter().filter(|(_, p)| late(p)).map(|(n, _)| (*id, *n)));
        }
        old.into_iter().for_each(|(id, piece)| self.write_out_piece(id, piece));
    }

    /// Writes out the pieces with most buffered bytes until half the limit is left.
    fn flush_largest(&mut self) {
        let mut all: Vec<(u64, u64, u32)> = Vec::new();
        for (id, mine) in &self.torrents {
            all.extend(mine.pieces.iter().filter(|(_, p)| p.held() > 0).map(|(n, p)| (p.held(), *id, *n)));
        }
        all.sort_unstable_by_key(|(held, ..)| std::cmp::Reverse(*held));
        for (_, id, piece) in all {
            if self.held <= self.limit / 2 {
                break;
            }
            self.write_out_piece(id, piece);
        }
    }

    /// Writes out all buffered bytes of a torrent.
    fn write_out(&mut self, id: u64) {
        let pieces: Vec<u32> = self.torrents.get(&id).map_or(Vec::new(), |m| m.pieces.keys().copied().collect());
        pieces.into_iter().for_each(|piece| self.write_out_piece(id, piece));
    }

    fn write_out_piece(&mut self, id: u64, piece: u32) {
        let Some(mut mine) = self.torrents.remove(&id) else { return };
        if let Some(partial) = mine.pieces.get_mut(&piece) {
            let before = partial.held();
            let written = partial.write_out(&mine.place);
            let freed = before - partial.held();
            self.held -= freed;
            mine.freed += freed;
            mine.has_written(Instant::now());
            if let Err(fault) = written {
                self.fail(&mut mine, PieceIndex(piece), fault);
            }
        }
        self.torrents.insert(id, mine);
    }
}

impl ShardTorrent {
    fn new(place: Arc<TorrentDisk>) -> Self {
        ShardTorrent { place, pieces: HashMap::new(), corrupt: HashSet::new(), freed: 0, bursts_at: None }
    }

    /// Schedules the end of the burst, after something may have been written.
    fn has_written(&mut self, now: Instant) {
        self.bursts_at.get_or_insert(now + BURST_GAP);
    }

    fn held(&self) -> u64 {
        self.pieces.values().map(PieceBuffer::held).sum()
    }

    /// Reports to the torrent how many bytes were released from memory.
    fn report_freed(&mut self) {
        if self.freed > 0 {
            self.place.send_result(DiskDone::Wrote(std::mem::take(&mut self.freed)));
        }
    }

    /// Verifies the hash of a piece that is complete and written, and reports the result.
    fn finish_piece(&mut self, piece: PieceIndex) {
        let Some(partial) = self.pieces.remove(&piece.0) else { return };
        let (hash, blocks) = partial.finish();
        let good = self.place.files.layout().hash(piece) == Some(hash);
        let hashes = |asked: bool| match blocks {
            _ if !asked => Ok(Vec::new()),
            Some(blocks) => Ok(blocks),
            None => self.place.block_hashes(piece),
        };
        if good {
            // The piece is valid even if the block hashes used to find the bad block could not be read back.
            let blocks = hashes(self.corrupt.contains(&piece.0)).unwrap_or_default();
            self.place.on_piece_verified(piece);
            self.corrupt.remove(&piece.0);
            self.place.send_result(DiskDone::Verified { piece, blocks });
        } else {
            match hashes(true) {
                Ok(blocks) => {
                    self.corrupt.insert(piece.0);
                    self.place.send_result(DiskDone::Corrupt { piece, blocks });
                }
                Err(fault) => self.place.send_result(DiskDone::Failed { piece, fault }),
            }
        }
    }
}
