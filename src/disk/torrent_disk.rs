//! Per-torrent disk state shared by the disk threads: files, resume data, and the channel for results.

use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;

use crate::disk::atomic_bitfield::{AtomicBitfield, runs};
use crate::disk::error;
use crate::disk::files::Files;
use crate::disk::lock::claims::Claim;
use crate::disk::resume::{ResumeWriter, SaveMode};
use crate::format;
use crate::limits::BLOCK;
use crate::swarm::job::{BlockHash, DiskDone, DiskFault, FaultKind, Probe};
use crate::wire::message::PieceIndex;

/// Bytes that a probe writes per call.
const PROBE: usize = 256 << 10;

/// The disk state of an open torrent.
pub struct TorrentDisk {
    /// Storage id, unique within the process.
    pub id: u64,
    pub files: Files,
    /// Nothing in the download folder is created, written or moved.
    pub read_only: bool,
    /// Writer of the resume data.
    pub resume: ResumeWriter,
    answer: Box<dyn Fn(DiskDone) + Send + Sync>,
    closing: AtomicBool,
    closed: AtomicBool,
    claim: Mutex<Option<Claim>>,
    /// Shared by all torrents, so that an unwritable state folder is reported to the user only once.
    save_error_reported: Arc<AtomicBool>,
}

impl std::fmt::Debug for TorrentDisk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Place").field("id", &self.id).field("dir", &self.files.dir()).finish_non_exhaustive()
    }
}

impl TorrentDisk {
    /// Creates the disk state of a torrent. `claim` is held until [`TorrentDisk::release`].
    #[must_use]
    pub fn new(
        id: u64,
        (files, read_only): (Files, bool),
        record: ResumeWriter,
        answer: Box<dyn Fn(DiskDone) + Send + Sync>,
        claim: Claim,
        complained: Arc<AtomicBool>,
    ) -> Self {
        let (closing, closed) = (AtomicBool::new(false), AtomicBool::new(false));
        let claim = Mutex::new(Some(claim));
        let place = TorrentDisk {
            id,
            files,
            read_only,
            resume: record,
            answer,
            closing,
            closed,
            claim,
            save_error_reported: complained,
        };
        place.tell_needs();
        place
    }

    /// Sends a result to the torrent, unless its storage is closed.
    pub fn send_result(&self, done: DiskDone) {
        if !self.is_closed() {
            (self.answer)(done);
        }
    }

    /// Returns whether the storage is closed: no job is executed and no result is sent any more.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Returns whether new jobs are refused: the storage is closed or closing.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// Refuses new jobs from now on. Returns whether closing had begun before.
    pub fn begin_closing(&self) -> bool {
        self.closing.swap(true, Ordering::AcqRel)
    }

    /// Closes the storage: from now on no job is executed and no result is sent.
    pub fn end(&self) {
        self.closing.store(true, Ordering::Release);
        self.closed.store(true, Ordering::Release);
    }

    /// Reads bytes of the torrent from `offset` on.
    ///
    /// # Errors
    /// If a file is missing, too short or cannot be read.
    pub fn read(&self, offset: u64, into: &mut [u8]) -> Result<(), DiskFault> {
        self.files.read(offset, into).inspect_err(|_| self.keep_doubts())
    }

    /// Writes consecutive slices from `offset` of the torrent on, and journals which files are written to.
    ///
    /// # Errors
    /// The fault of a failed write, or of any write to a read-only storage. A failure to write the journal is only reported.
    pub fn write(&self, offset: u64, slices: &[Bytes]) -> Result<(), DiskFault> {
        if self.read_only {
            return Err(error::other(format!("{} is only read: the torrent is seeded", self.files.dir().display())));
        }
        self.report_save_error(self.resume.begin(&self.files).and_then(|()| self.resume.heartbeat()));
        let written =
            self.files.write(offset, slices, &|note| self.report_save_error(self.resume.append_journal(&[note])));
        self.keep_doubts();
        written
    }

    /// Journals the ends of bursts of writes that are over.
    ///
    /// Returns when to call this again, if there are other bursts.
    pub fn end_bursts(&self, now: Instant) -> Option<Instant> {
        self.files.end_bursts(now, &|note| self.report_save_error(self.resume.append_journal(&[note])))
    }

    /// Retries the kind of operation that failed before, without changing the data on disk.
    ///
    /// # Errors
    /// If the operation still fails.
    pub fn probe(&self, probe: Probe) -> Result<(), DiskFault> {
        let Probe::Write(piece) = probe else { return self.files.probe_read() };
        let geometry = self.files.layout().geometry();
        let bytes = u64::from(geometry.piece_size(piece));
        let dir = self.files.dir();
        // Written only if that leaves the disk no fuller than the piece itself would.
        if let Some(free) = error::free_space(dir).filter(|free| *free < bytes) {
            let needs = (format::size_rounded(bytes), format::size_rounded(free));
            let text = format!("disk full: {} needs {}, {} free", dir.display(), needs.0, needs.1);
            return Err(DiskFault { kind: FaultKind::Full, text });
        }
        if self.resume.written.has(piece.0) {
            return Ok(());
        }
        let (mut at, end) = (geometry.offset(piece, 0), geometry.offset(piece, 0) + bytes);
        while at < end {
            let mut standing = vec![0; PROBE.min((end - at) as usize)];
            self.files.read_existing(at, &mut standing)?;
            let length = standing.len() as u64;
            self.write(at, &[Bytes::from(standing)])?;
            at += length;
        }
        Ok(())
    }

    /// Drops the hashes of the pieces from memory if nothing is left to be checked.
    pub(crate) fn release_hashes(&self) {
        let pieces = self.resume.written.pieces();
        if self.resume.written.count() == pieces && self.resume.unverified.count() == 0 {
            self.files.layout().release_hashes();
        }
    }

    /// Takes note of a piece that is whole and written.
    pub fn on_piece_verified(&self, piece: PieceIndex) {
        self.report_save_error(self.resume.begin(&self.files).and_then(|()| self.resume.piece_written(piece.0)));
        self.files.ownership().on_piece_verified(piece.0, &|n| self.files.parts().find(n, piece).is_some());
        self.tell_needs();
    }

    /// Records the results of a hash check for the pieces from `first` on.
    pub fn checked(&self, first: PieceIndex, good: &[bool]) {
        let begun = self.resume.begin(&self.files);
        self.report_save_error(self.resume.checked(first.0, good));
        self.report_save_error(begun);
    }

    /// Marks pieces as untrusted in the resume data until they are hashed, even across a crash.
    pub fn mark_unverified(&self, pieces: &[Range<u32>]) {
        self.report_save_error(self.resume.mark_unverified(&self.files, pieces));
    }

    /// Detects open files changed by other programs, and retries a failed write of resume data.
    ///
    /// Reports deleted, replaced or truncated files to the torrent ([`DiskDone::Lost`]).
    pub fn watch(&self) {
        let lost = self.files.watch();
        self.keep_doubts();
        lost.into_iter().for_each(|fault| self.send_result(DiskDone::Lost(fault)));
        self.report_save_error(self.resume.retry_save(&self.files));
    }

    /// Returns the pieces to rehash because another program changed or deleted their files.
    ///
    /// # Errors
    /// If a path holds something other than a regular file, or a file is longer than in the torrent.
    pub fn compare(&self) -> Result<Vec<Range<u32>>, DiskFault> {
        let changed = self.files.compare();
        self.keep_doubts();
        let pieces = AtomicBitfield::new(self.files.layout().geometry().pieces());
        for file in changed? {
            pieces.set_all(self.files.layout().doubtful(file));
        }
        Ok(runs((0..pieces.pieces()).filter(|piece| pieces.has(*piece))))
    }

    /// Records newly doubted files in the resume data, so that they are rehashed even after a crash.
    fn keep_doubts(&self) {
        let changed = self.files.take_doubts();
        if !changed.is_empty() {
            self.report_save_error(self.resume.doubt(&self.files, &changed));
        }
    }

    /// Reports that resume data cannot be written, once until a sync succeeds again.
    ///
    /// Each error is also logged elsewhere.
    pub fn report_save_error(&self, recorded: io::Result<()>) {
        let Err(error) = recorded else { return };
        if !self.save_error_reported.swap(true, Ordering::AcqRel) {
            self.send_result(DiskDone::ResumeSaveFailed(error::unrecorded(&self.resume.path(), &error)));
        }
    }

    /// Updates the number of bytes still to be written, which the disk-full message shows.
    pub fn tell_needs(&self) {
        let geometry = self.files.layout().geometry();
        let have = u64::from(self.resume.written.count()) * u64::from(geometry.piece_length());
        let wanted = geometry.total() - self.files.parts().unwanted_bytes();
        self.files.set_needs(wanted.saturating_sub(have));
    }

    /// Moves data of wanted files from the part file to these files. Sends a result only on failure.
    pub fn move_wanted(&self) {
        self.tell_needs();
        if !self.files.parts().is_used() {
            return;
        }
        if !self.files.parts().read().wanted_files().is_empty() {
            self.report_save_error(self.resume.begin(&self.files).and_then(|()| self.resume.heartbeat()));
        }
        match self.files.move_wanted(&|note| self.report_save_error(self.resume.append_journal(&[note]))) {
            // Saved right away, so that the resume data agree with the files again.
            Ok(true) => self.save(SaveMode::Quick),
            Ok(false) => {}
            Err(fault) => self.send_result(DiskDone::Unplaced(fault)),
        }
    }

    /// Creates the wanted files of length 0. Sends a result only on failure.
    pub fn create_empty_files(&self) {
        if let Err(fault) = self.files.make_empty_files() {
            self.send_result(DiskDone::Unfinished(fault));
        }
    }

    /// Reads a piece back from disk and returns the SHA-1 of each of its blocks.
    ///
    /// # Errors
    /// If the piece cannot be read.
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

    /// Saves the resume data. A failure is reported to the torrent.
    pub fn save(&self, manner: SaveMode) {
        self.report_save_error(self.resume.save(&self.files, manner));
    }

    /// Fsyncs the files, then saves durable resume data that mark the pieces written before as synced.
    pub fn sync(&self) {
        let synced = self.resume.sync(&self.files);
        if synced.is_ok() {
            self.save_error_reported.store(false, Ordering::Release);
        }
        self.report_save_error(synced);
    }

    /// Closes the file handles and releases the claim.
    pub fn release(&self) {
        self.files.release();
        self.files.ownership().end();
        drop(self.claim.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}
