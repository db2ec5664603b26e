//! One torrent's place on disk, as the disk threads share it: its files, its record, and whom to answer.

use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;

use crate::disk::fault::{self, Doing};
use crate::disk::files::Files;
use crate::disk::resume::{Manner, Record};
use crate::limits::BLOCK;
use crate::swarm::job::{BlockHash, DiskDone, DiskFault, FaultKind, Probe};
use crate::wire::message::PieceIndex;

use std::sync::{Mutex, PoisonError};

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
    lock: Mutex<Option<std::fs::File>>,
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Place").field("id", &self.id).field("dir", &self.files.dir()).finish_non_exhaustive()
    }
}

impl Place {
    /// Puts a place together; `lock` is held until it is over.
    #[must_use]
    pub fn new(
        id: u64,
        files: Files,
        record: Record,
        answer: Box<dyn Fn(DiskDone) + Send + Sync>,
        lock: std::fs::File,
    ) -> Self {
        let (closing, closed) = (AtomicBool::new(false), AtomicBool::new(false));
        let place = Place { id, files, record, answer, closing, closed, lock: Mutex::new(Some(lock)) };
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
        self.files.read(offset, into)
    }

    /// Writes slices that follow one another.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn write(&self, offset: u64, slices: &[Bytes]) -> Result<(), DiskFault> {
        self.record.alive();
        self.files.write(offset, slices)
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
        self.record.gained(piece.0);
        self.files.ownership().proved(piece.0);
        self.tell_needs();
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
        self.record.alive();
        match self.files.move_wanted() {
            // Soon: files and record tell the same again. One that cannot be written is complained of in the log.
            Ok(true) => drop(self.save(Manner::Quick)),
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

    /// Writes the record.
    ///
    /// # Errors
    /// When the state folder cannot be written to.
    pub fn save(&self, manner: Manner) -> Result<(), DiskFault> {
        self.record.save(&self.files, manner).map_err(|e| fault::system(Doing::Record, self.files.dir(), &e, 4096))
    }

    /// Gives back handles and the lock.
    pub fn release(&self) {
        self.files.release();
        self.files.ownership().end();
        drop(self.lock.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}
