//! A disk thread: collects the blocks of its pieces, hashes and writes them, and answers.
//!
//! All jobs of a piece come to one thread, in order. A thread takes in all that waits for it before it answers, so
//! that neither it nor the torrent is woken block by block.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use crate::disk::busy::Busy;
use crate::disk::check::Check;
use crate::disk::partial::Partial;
use crate::disk::place::Place;
use crate::disk::resume::Manner;
use crate::disk::stamps::BURST_GAP;
use crate::swarm::job::{DiskDone, DiskFault, DiskJob};
use crate::wire::message::{Block, PieceIndex};

/// Bytes wait in memory no longer than this.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often waiting bytes are looked at.
const LOOK: Duration = Duration::from_millis(500);
/// Messages taken in before answers go out.
const BATCH: usize = 64;
/// Bytes written before the torrent is told, within a batch.
const TELL: u64 = 1 << 20;

/// What comes to a disk thread.
#[derive(Debug)]
pub enum Work {
    /// Jobs of a torrent for pieces of this thread, and those that name no piece.
    Jobs(Arc<Place>, Vec<DiskJob>),
    /// Something that is to happen after all jobs before it, in all threads.
    Turn(Arc<Turn>),
    /// There will be no more.
    Stop,
}

/// Something that happens when every disk thread has come to it; the last one does it.
#[derive(Debug)]
pub struct Turn {
    place: Arc<Place>,
    left: AtomicUsize,
    then: Then,
}

/// What happens then.
#[derive(Debug)]
pub enum Then {
    /// The record is saved.
    Save,
    /// What the part file holds of files that are wanted moves to them.
    Move,
    /// The wanted files that have no bytes are made.
    Finish,
    /// The files are compared with how they were left.
    Compare,
    /// A check is handed to the thread for checks.
    Check(Sender<Option<Check>>, Check),
    /// The place is closed.
    Close(Option<Sender<()>>),
    /// The place is closed and its files are deleted.
    Delete(Sender<Result<Option<String>, DiskFault>>),
}

impl Turn {
    /// A turn for this many threads.
    #[must_use]
    pub fn new(place: Arc<Place>, threads: usize, then: Then) -> Arc<Self> {
        Arc::new(Turn { place, left: AtomicUsize::new(threads), then })
    }

    /// One thread has come to it.
    pub fn come(&self) {
        if self.left.fetch_sub(1, Ordering::AcqRel) > 1 {
            return;
        }
        match &self.then {
            Then::Save => {
                self.place.save(Manner::Quick);
                self.place.answer(DiskDone::Saved);
            }
            Then::Compare => self.place.answer(DiskDone::Compared(self.place.compare())),
            Then::Move => self.place.move_wanted(),
            Then::Finish => self.place.finish(),
            Then::Check(to, check) => {
                // Only a pool that is shutting down takes no more checks.
                let _ = to.send(Some(check.clone()));
            }
            Then::Close(done) => {
                finish(&self.place);
                if let Some(done) = done {
                    let _ = done.send(());
                }
            }
            Then::Delete(done) => {
                let deleted = self.place.files.delete();
                self.place.record.delete();
                self.place.files.ownership().delete();
                let _ = done.send(deleted);
            }
        }
    }
}

/// Writes the last record of a place and gives back what it holds.
pub fn finish(place: &Place) {
    place.end();
    // Some systems set a file's time when it is closed: the last record comes after that.
    place.files.release();
    place.save(Manner::Last);
    place.files.ownership().save(true);
    place.release();
}

/// A disk thread's own.
pub struct Shard {
    inbox: Receiver<Work>,
    limit: u64,
    busy: Arc<Busy>,
    held: u64,
    looked: Instant,
    scratch: Vec<u8>,
    torrents: HashMap<u64, Mine>,
}

/// What a thread keeps of a torrent.
struct Mine {
    place: Arc<Place>,
    pieces: HashMap<u32, Partial>,
    /// Pieces that were corrupt once: the hashes of their blocks are told when they are whole.
    corrupt: HashSet<u32>,
    freed: u64,
    /// When to see whether bursts of writes are over.
    bursts_at: Option<Instant>,
}

impl Shard {
    /// A thread's state; it holds at most about `limit` bytes in memory.
    #[must_use]
    pub fn new(inbox: Receiver<Work>, limit: u64, busy: Arc<Busy>) -> Self {
        let looked = Instant::now();
        Shard { inbox, limit, busy, held: 0, looked, scratch: Vec::new(), torrents: HashMap::new() }
    }

    /// Works until it is told to stop.
    pub fn run(mut self) {
        loop {
            let first = match self.deadline() {
                Some(deadline) => self.inbox.recv_deadline(deadline),
                None => self.inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            self.busy.begin();
            let mut go_on = match first {
                Ok(work) => self.take(work),
                Err(RecvTimeoutError::Timeout) => true,
                Err(RecvTimeoutError::Disconnected) => false,
            };
            for _ in 1..BATCH {
                let Some(work) = self.inbox.try_recv().ok().filter(|_| go_on) else { break };
                go_on = self.take(work);
            }
            self.write_old();
            self.torrents.values_mut().for_each(Mine::tell);
            self.end_bursts();
            self.busy.end();
            if !go_on {
                return;
            }
        }
    }

    /// When there is something to do though nothing comes.
    fn deadline(&self) -> Option<Instant> {
        let bursts = self.torrents.values().filter_map(|mine| mine.bursts_at).min();
        bursts.into_iter().chain((self.held > 0).then(|| self.looked + LOOK)).min()
    }

    /// Has the journals note the ends of bursts of writes.
    fn end_bursts(&mut self) {
        if self.torrents.values().all(|mine| mine.bursts_at.is_none()) {
            return;
        }
        let now = Instant::now();
        for mine in self.torrents.values_mut().filter(|mine| mine.bursts_at.is_some_and(|at| at <= now)) {
            mine.bursts_at = mine.place.end_bursts(now);
        }
    }

    /// Takes in one message; tells whether to go on.
    fn take(&mut self, work: Work) -> bool {
        match work {
            Work::Jobs(place, jobs) => {
                let mut mine = self.torrents.remove(&place.id).unwrap_or_else(|| Mine::new(Arc::clone(&place)));
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
                    self.relieve();
                }
            }
            Work::Turn(turn) => {
                let id = turn.place.id;
                match turn.then {
                    Then::Save | Then::Check(..) | Then::Compare => self.write_out(id),
                    Then::Move | Then::Finish => {}
                    Then::Close(_) | Then::Delete(_) => {
                        // Bytes of unfinished pieces are fetched again anyhow: nobody knows them after a restart.
                        self.held -= self.torrents.remove(&id).map_or(0, |mine| mine.held());
                    }
                }
                if let Some(mine) = self.torrents.get_mut(&id) {
                    mine.tell();
                }
                turn.come();
            }
            Work::Stop => return false,
        }
        true
    }

    fn job(&mut self, mine: &mut Mine, job: DiskJob, now: Instant) {
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
                mine.place.answer(DiskDone::Room(done));
            }
            DiskJob::Totals(totals) => mine.place.record.keep_totals(&totals),
            // These are turns, and come as such.
            DiskJob::Check(_) | DiskJob::Compare | DiskJob::Save | DiskJob::Select(_) | DiskJob::Finish => {}
        }
    }

    fn write(&mut self, mine: &mut Mine, block: Block, data: Bytes, now: Instant) {
        let layout = mine.place.files.layout();
        let geometry = layout.geometry();
        let length = data.len() as u64;
        let fits = geometry.contains(block) && u64::from(block.length) == length;
        if !fits || mine.place.record.written.has(block.piece.0) {
            mine.freed += length;
            return;
        }
        let partial = mine.pieces.entry(block.piece.0).or_insert_with(|| {
            let mut padding = layout.padding_of(block.piece).peekable();
            // Of a piece with padding not every block comes: where one lied, all are read back to tell.
            let each_block = padding.peek().is_none() && mine.corrupt.contains(&block.piece.0);
            Partial::new(geometry.offset(block.piece, 0), geometry.piece_size(block.piece), each_block, padding)
        });
        let before = partial.held();
        mine.freed += partial.take(block.begin, data, now);
        let with = partial.held();
        self.held += with - before;
        let advanced = partial.advance(&mine.place, &mut self.scratch);
        let freed = with - partial.held();
        self.held -= freed;
        mine.freed += freed;
        let whole = partial.is_whole();
        if freed > 0 || advanced.is_err() {
            mine.has_written(now);
        }
        match advanced {
            Ok(()) if whole => mine.conclude(block.piece),
            Ok(()) => {}
            Err(fault) => self.fail(mine, block.piece, fault),
        }
        if mine.freed >= TELL {
            mine.tell();
        }
    }

    fn fail(&mut self, mine: &mut Mine, piece: PieceIndex, fault: DiskFault) {
        if let Some(partial) = mine.pieces.remove(&piece.0) {
            self.held -= partial.held().min(self.held);
            mine.freed += partial.held();
        }
        mine.place.answer(DiskDone::Failed { piece, fault });
    }

    /// Writes out what has waited long enough.
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
            let late = |p: &Partial| p.since().is_some_and(|since| now.duration_since(since) >= PATIENCE);
            old.extend(mine.pieces.iter().filter(|(_, p)| late(p)).map(|(n, _)| (*id, *n)));
        }
        old.into_iter().for_each(|(id, piece)| self.write_out_piece(id, piece));
    }

    /// Writes out the largest holdings until half the limit is left.
    fn relieve(&mut self) {
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

    /// Writes out all that is held of a torrent.
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

impl Mine {
    fn new(place: Arc<Place>) -> Self {
        Mine { place, pieces: HashMap::new(), corrupt: HashSet::new(), freed: 0, bursts_at: None }
    }

    /// Something may have been written.
    fn has_written(&mut self, now: Instant) {
        self.bursts_at.get_or_insert(now + BURST_GAP);
    }

    fn held(&self) -> u64 {
        self.pieces.values().map(Partial::held).sum()
    }

    /// Tells the torrent what is in memory no more.
    fn tell(&mut self) {
        if self.freed > 0 {
            self.place.answer(DiskDone::Wrote(std::mem::take(&mut self.freed)));
        }
    }

    /// Judges a piece that is all there and written.
    fn conclude(&mut self, piece: PieceIndex) {
        let Some(partial) = self.pieces.remove(&piece.0) else { return };
        let (hash, blocks) = partial.finish();
        let good = self.place.files.layout().hash(piece) == Some(&hash);
        let hashes = |asked: bool| match blocks {
            _ if !asked => Ok(Vec::new()),
            Some(blocks) => Ok(blocks),
            None => self.place.block_hashes(piece),
        };
        if good {
            // The piece is there: that hashes for blame could not be read back takes nothing from it.
            let blocks = hashes(self.corrupt.contains(&piece.0)).unwrap_or_default();
            self.place.gained(piece);
            self.corrupt.remove(&piece.0);
            self.place.answer(DiskDone::Verified { piece, blocks });
        } else {
            match hashes(true) {
                Ok(blocks) => {
                    self.corrupt.insert(piece.0);
                    self.place.answer(DiskDone::Corrupt { piece, blocks });
                }
                Err(fault) => self.place.answer(DiskDone::Failed { piece, fault }),
            }
        }
    }
}
