//! One torrent's place on disk, as the disk threads share it: its files, its record, and whom to answer.

use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;

use crate::disk::bits::{PieceBits, runs};
use crate::disk::claims::Claim;
use crate::disk::fault;
use crate::disk::files::Files;
use crate::disk::resume::{Manner, Record};
use crate::limits::BLOCK;
use crate::swarm::job::{BlockHash, DiskDone, DiskFault, FaultKind, Probe};
use crate::wire::message::PieceIndex;

/// Bytes that a probe writes at once.
const PROBE: usize = 256 << 10;

/// A torrent's place on disk.
pub struct Place {
    /// Its number, never given twice in a process.
    pub id: u64,
    /// Its files.
    pub files: Files,
    /// Its resume record.
    pub record: Record,
    answer: Box<dyn Fn(DiskDone) + Send + Sync>,
    closing: AtomicBool,
    closed: AtomicBool,
    claim: Mutex<Option<Claim>>,
    /// Shared by all places: a state folder that cannot be written is complained of once, not by each torrent.
    complained: Arc<AtomicBool>,
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Place").field("id", &self.id).field("dir", &self.files.dir()).finish_non_exhaustive()
    }
}

impl Place {
    /// Puts a place together; `claim` is held until it is over.
    #[must_use]
    pub fn new(
        id: u64,
        files: Files,
        record: Record,
        answer: Box<dyn Fn(DiskDone) + Send + Sync>,
        claim: Claim,
        complained: Arc<AtomicBool>,
    ) -> Self {
        let (closing, closed) = (AtomicBool::new(false), AtomicBool::new(false));
        let claim = Mutex::new(Some(claim));
        let place = Place { id, files, record, answer, closing, closed, claim, complained };
        place.tell_needs();
        place
    }

    /// Answers the torrent, if it is still there to hear it.
    pub fn answer(&self, done: DiskDone) {
        if !self.is_closed() {
            (self.answer)(done);
        }
    }

    /// Whether nothing is to be done here any more.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Whether no new work is taken: it is closed, or will be when the work that waits is done.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// Takes no new work; tells whether that was so before.
    pub fn begin_closing(&self) -> bool {
        self.closing.swap(true, Ordering::AcqRel)
    }

    /// Ends the place: nothing is done or answered any more.
    pub fn end(&self) {
        self.closing.store(true, Ordering::Release);
        self.closed.store(true, Ordering::Release);
    }

    /// Reads bytes of the torrent.
    ///
    /// # Errors
    /// When files are missing, shorter or cannot be read.
    pub fn read(&self, offset: u64, into: &mut [u8]) -> Result<(), DiskFault> {
        self.files.read(offset, into).inspect_err(|_| self.keep_doubts())
    }

    /// Writes slices that follow one another.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn write(&self, offset: u64, slices: &[Bytes]) -> Result<(), DiskFault> {
        self.heed(self.record.begin(&self.files).and_then(|()| self.record.alive()));
        let written = self.files.write(offset, slices, &|note| self.heed(self.record.note(&[note])));
        self.keep_doubts();
        written
    }

    /// Records how files were left that nothing was written to for a moment. Returns when to call it again, if there are
    /// others.
    pub fn end_bursts(&self, now: Instant) -> Option<Instant> {
        self.files.end_bursts(now, &|note| self.heed(self.record.note(&[note])))
    }

    /// Tries what a fault has hindered.
    ///
    /// # Errors
    /// When it is still hindered.
    pub fn probe(&self, probe: Probe) -> Result<(), DiskFault> {
        let Probe::Write(piece) = probe else { return self.files.probe_read() };
        let geometry = self.files.layout().geometry();
        let bytes = u64::from(geometry.piece_size(piece));
        let dir = self.files.dir();
        // It is written only where it leaves the disk no fuller than a piece would.
        if let Some(free) = fault::free_space(dir).filter(|free| *free < bytes) {
            let needs = (fault::size(bytes), fault::size(free));
            let text = format!("disk full: {} needs {}, {} free", dir.display(), needs.0, needs.1);
            return Err(DiskFault { kind: FaultKind::Full, text });
        }
        if self.record.written.has(piece.0) {
            return Ok(());
        }
        let (mut at, end) = (geometry.offset(piece, 0), geometry.offset(piece, 0) + bytes);
        while at < end {
            let mut standing = vec![0; PROBE.min((end - at) as usize)];
            self.files.standing(at, &mut standing)?;
            let length = standing.len() as u64;
            self.write(at, &[Bytes::from(standing)])?;
            at += length;
        }
        Ok(())
    }

    /// Takes note of a piece that is whole and written.
    pub fn gained(&self, piece: PieceIndex) {
        self.heed(self.record.begin(&self.files).and_then(|()| self.record.gained(piece.0)));
        self.files.ownership().proved(piece.0, &|n| self.files.parts().find(n, piece).is_some());
        self.tell_needs();
    }

    /// Takes note of pieces that were hashed, from `first` on.
    pub fn checked(&self, first: PieceIndex, good: &[bool]) {
        let begun = self.record.begin(&self.files);
        self.heed(self.record.checked(first.0, good));
        self.heed(begun);
    }

    /// These pieces are going to be hashed, and not believed before, whatever comes between.
    pub fn suspect(&self, pieces: &[Range<u32>]) {
        self.heed(self.record.suspect(&self.files, pieces));
    }

    /// Looks whether open files were changed by others, and writes what could not be recorded before. The torrent is told
    /// of files that are lost.
    pub fn watch(&self) {
        let lost = self.files.watch();
        self.keep_doubts();
        lost.into_iter().for_each(|fault| self.answer(DiskDone::Lost(fault)));
        self.heed(self.record.catch_up(&self.files));
    }

    /// Pieces of files that another program has changed since we left them; they are to be hashed.
    ///
    /// # Errors
    /// When something that is not the torrent's has the place of a file.
    pub fn compare(&self) -> Result<Vec<Range<u32>>, DiskFault> {
        let changed = self.files.compare();
        self.keep_doubts();
        let pieces = PieceBits::new(self.files.layout().geometry().pieces());
        for file in changed? {
            pieces.set_all(self.files.layout().doubtful(file));
        }
        Ok(runs((0..pieces.pieces()).filter(|piece| pieces.has(*piece))))
    }

    /// Records which files were found changed, so that nothing can make us believe them unhashed.
    fn keep_doubts(&self) {
        let changed = self.files.take_doubts();
        if !changed.is_empty() {
            self.heed(self.record.doubt(&self.files, &changed));
        }
    }

    /// Tells the torrent that nothing can be recorded, once until it can be again. The log hears of each record.
    pub fn heed(&self, recorded: io::Result<()>) {
        let Err(error) = recorded else { return };
        if !self.complained.swap(true, Ordering::AcqRel) {
            self.answer(DiskDone::Unrecorded(fault::unrecorded(&self.record.path(), &error)));
        }
    }

    /// Says how much is still to be written, for the sentence about a full disk.
    pub fn tell_needs(&self) {
        let geometry = self.files.layout().geometry();
        let have = u64::from(self.record.written.count()) * u64::from(geometry.piece_length());
        let wanted = geometry.total() - self.files.parts().unwanted_bytes();
        self.files.set_needs(wanted.saturating_sub(have));
    }

    /// Moves what the part file holds of files that are wanted to them; answers only where that fails.
    pub fn move_wanted(&self) {
        self.tell_needs();
        if !self.files.parts().is_used() {
            return;
        }
        if !self.files.parts().read().misplaced().is_empty() {
            self.heed(self.record.begin(&self.files).and_then(|()| self.record.alive()));
        }
        match self.files.move_wanted(&|note| self.heed(self.record.note(&[note]))) {
            // Soon: files and record tell the same again.
            Ok(true) => self.save(Manner::Quick),
            Ok(false) => {}
            Err(fault) => self.answer(DiskDone::Unplaced(fault)),
        }
    }

    /// Makes the wanted files that have no bytes; answers only where that fails.
    pub fn finish(&self) {
        if let Err(fault) = self.files.make_empty_files() {
            self.answer(DiskDone::Unfinished(fault));
        }
    }

    /// The hash of each block of a piece, as it is on disk.
    ///
    /// # Errors
    /// When it cannot be read back.
    pub fn block_hashes(&self, piece: PieceIndex) -> Result<Vec<BlockHash>, DiskFault> {
        use sha1::{Digest, Sha1};
        let geometry = self.files.layout().geometry();
        let mut bytes = vec![0; BLOCK as usize];
        (0..geometry.blocks(piece))
            .map(|n| {
                let block = geometry.block(piece, n);
                let part = &mut bytes[..block.length as usize];
                self.read(geometry.offset(piece, block.begin), part)?;
                Ok(Sha1::digest(part).into())
            })
            .collect()
    }

    /// Writes the record. That it cannot be written is complained of.
    pub fn save(&self, manner: Manner) {
        self.heed(self.record.save(&self.files, manner));
    }

    /// Syncs the files, and records what was written to them before for ever.
    pub fn sync(&self) {
        let synced = self.record.sync(&self.files);
        if synced.is_ok() {
            self.complained.store(false, Ordering::Release);
        }
        self.heed(synced);
    }

    /// Gives back handles and the claim.
    pub fn release(&self) {
        self.files.release();
        self.files.ownership().end();
        drop(self.claim.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}
