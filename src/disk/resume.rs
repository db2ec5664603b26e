//! Writes the resume data of an open torrent: a journal of changes, and periodically a new base.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::disk::atomic_bitfield::AtomicBitfield;
use crate::disk::file_cache::{FileCache, JOURNAL};
use crate::disk::files::Files;
use crate::disk::resume_check::CheckedResume;
use crate::disk::resume_format::{JournalEntry, JournalHeader, ResumeData};
use crate::disk::resume_store::{LoadedResume, ResumeStore};
use crate::swarm::job::Totals;

/// Maximum age of the journal's last entry when a write starts.
const HEARTBEAT: Duration = Duration::from_secs(3);
/// Minimum interval between log messages about resume data that cannot be written.
const COMPLAIN: Duration = Duration::from_secs(60);
/// Maximum number of journals kept for an older base.
///
/// Beyond it the next base is fsynced, and the old journals can be deleted.
const JOURNALS: u64 = 4;

/// How resume data are saved.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SaveMode {
    /// Fsynced: blocks as long as the disk takes.
    Durable,
    /// Without fsync: survives a crash of the process; a power loss leaves the last durable base.
    Quick,
    /// Without fsync, as the final state of a clean shutdown: nothing is written afterwards.
    Last,
}

/// Writes the resume data of an open torrent. Nothing is written before there is something to record.
#[derive(Debug)]
pub struct ResumeWriter {
    store: ResumeStore,
    boot: String,
    chain: u64,
    device: u64,
    /// The storage id in `handles`.
    id: u64,
    handles: Arc<FileCache>,
    /// Pieces that are verified and written.
    pub written: AtomicBitfield,
    /// The written pieces that are fsynced.
    pub synced: AtomicBitfield,
    /// Pieces that still have to be hashed.
    pub unverified: AtomicBitfield,
    began: Instant,
    /// Time of the last journal entry: milliseconds since `began`, plus 1; 0 if there is none.
    last: AtomicU64,
    lost: AtomicBool,
    begun: AtomicBool,
    /// Whether a write of resume data failed and must be repeated.
    behind: AtomicBool,
    journal: Mutex<Journal>,
    saving: Mutex<Saving>,
    complained: Mutex<Option<Instant>>,
}

#[derive(Debug, Default)]
struct Journal {
    /// Header of the current journal; `None` before the first base and after a write error.
    head: Option<JournalHeader>,
    /// Entries recorded while a base is being written: the first ones of the next journal.
    pending: Option<Vec<JournalEntry>>,
}

#[derive(Debug)]
struct Saving {
    generation: u64,
    keep_from: u64,
    /// Whether the base on disk was fsynced, and so is worth keeping as previous base.
    durable: bool,
    ended: bool,
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ResumeWriter {
    /// Continues the loaded resume data `found`. Writes nothing yet. `id` is the storage id in `handles`.
    #[must_use]
    pub fn from_loaded(
        store: ResumeStore,
        boot: String,
        device: u64,
        found: &LoadedResume,
        verdict: CheckedResume,
        (id, handles): (u64, Arc<FileCache>),
    ) -> Self {
        let unsure = AtomicBitfield::new(verdict.have.pieces());
        verdict.check.iter().for_each(|run| unsure.set_all(run.clone()));
        let saving = match &found.base {
            Some(base) => {
                Saving { generation: found.generation, keep_from: base.keep_from, durable: base.durable, ended: false }
            }
            None => Saving { generation: 0, keep_from: 0, durable: false, ended: false },
        };
        ResumeWriter {
            store,
            boot,
            chain: found.base.as_ref().map_or_else(|| fastrand::u64(1..), |b| b.chain),
            device,
            id,
            handles,
            written: verdict.have,
            synced: verdict.synced,
            unverified: unsure,
            began: Instant::now(),
            last: AtomicU64::new(0),
            lost: AtomicBool::new(false),
            begun: AtomicBool::new(false),
            behind: AtomicBool::new(false),
            journal: Mutex::default(),
            saving: Mutex::new(saving),
            complained: Mutex::new(None),
        }
    }

    /// Returns the path of the base, for messages.
    #[must_use]
    pub fn path(&self) -> std::path::PathBuf {
        self.store.record()
    }

    /// Writes the first base of this session, unless that was done or tried before.
    ///
    /// Must be called before a file is written to and before anything is recorded: from then on the resume data say
    /// that files may have been written to.
    ///
    /// # Errors
    /// The I/O error of the system. [`ResumeWriter::retry_save`] tries again.
    pub fn begin(&self, files: &Files) -> io::Result<()> {
        if self.begun.load(Ordering::Acquire) {
            return Ok(());
        }
        // A concurrent caller waits: a write finished before the base exists would be recorded nowhere, and after a
        // crash its file would look like one changed by another program.
        let mut saving = lock(&self.saving);
        if self.begun.load(Ordering::Acquire) {
            return Ok(());
        }
        let saved = self.save_locked(&mut saving, files, SaveMode::Quick);
        self.begun.store(true, Ordering::Release);
        saved
    }

    /// Saves resume data whose last write failed, if any.
    ///
    /// # Errors
    /// The I/O error of the system.
    pub fn retry_save(&self, files: &Files) -> io::Result<()> {
        if self.behind.load(Ordering::Acquire) { self.save(files, SaveMode::Quick) } else { Ok(()) }
    }

    /// Records a piece that was verified and written.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub fn piece_written(&self, piece: u32) -> io::Result<()> {
        self.written.set(piece);
        self.unverified.clear(piece);
        self.append_journal(&[JournalEntry::PieceWritten(piece)])
    }

    /// Records the results of a hash check for the pieces from `first` on.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub fn checked(&self, first: u32, good: &[bool]) -> io::Result<()> {
        let mut notes = Vec::with_capacity(good.len());
        for (piece, good) in (first..).zip(good) {
            self.unverified.clear(piece);
            if *good {
                self.written.set(piece);
                notes.push(JournalEntry::PieceWritten(piece));
                continue;
            }
            if self.written.clear(piece) | self.synced.clear(piece) {
                self.lost.store(true, Ordering::Release);
            }
            notes.push(JournalEntry::PieceInvalid(piece));
        }
        self.append_journal(&notes)
    }

    /// Records files changed by another program, whose pieces are not trusted before they are hashed.
    ///
    /// Blocks as long as the disk takes.
    ///
    /// # Errors
    /// If the resume data cannot be written.
    pub fn doubt(&self, files: &Files, changed: &[u32]) -> io::Result<()> {
        self.begin(files)?;
        // The journal entry survives a crash of the process, the durable base also a power loss.
        self.append_journal(&changed.iter().map(|file| JournalEntry::FileChanged(*file)).collect::<Vec<_>>())?;
        self.save(files, SaveMode::Durable)
    }

    /// Marks pieces as untrusted until they are hashed.
    ///
    /// # Errors
    /// If the resume data cannot be written.
    pub fn mark_unverified(&self, files: &Files, pieces: &[std::ops::Range<u32>]) -> io::Result<()> {
        if pieces.iter().cloned().flatten().all(|piece| self.unverified.has(piece)) {
            return Ok(());
        }
        pieces.iter().for_each(|run| self.unverified.set_all(run.clone()));
        let saved = self.save(files, SaveMode::Quick);
        self.begun.store(true, Ordering::Release);
        saved
    }

    /// Appends a heartbeat to the journal if its last entry is too old.
    ///
    /// Must be called before files are written to.
    ///
    /// After a crash, the mtimes of files are compared with that of the journal.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub fn heartbeat(&self) -> io::Result<()> {
        let now = self.began.elapsed().as_millis() as u64 + 1;
        let last = self.last.load(Ordering::Acquire);
        if last == 0 || now.saturating_sub(last) > HEARTBEAT.as_millis() as u64 {
            return self.append_journal(&[JournalEntry::Heartbeat]);
        }
        Ok(())
    }

    /// Appends entries to the journal.
    ///
    /// # Errors
    /// The I/O error of the system. The journal is abandoned then; the next base replaces it.
    pub fn append_journal(&self, notes: &[JournalEntry]) -> io::Result<()> {
        let mut journal = lock(&self.journal);
        if let Some(pending) = &mut journal.pending {
            pending.extend_from_slice(notes);
        }
        let Some(head) = &journal.head else { return Ok(()) };
        // A single append: a crash leaves it complete or torn at its end.
        let entries: Vec<u8> = notes.iter().flat_map(|n| head.entry(*n)).collect();
        let file = match self.handles.get((self.id, JOURNAL), true) {
            Some(file) => Ok(file),
            None => {
                let reopened = self.handles.making_room(|| self.store.open_journal(head.generation));
                reopened.map(|file| self.handles.put((self.id, JOURNAL), file, true))
            }
        };
        let written = file.and_then(|file| (&*file).write_all(&entries));
        self.last.store(self.began.elapsed().as_millis() as u64 + 1, Ordering::Release);
        if let Err(error) = &written {
            // Entries after a torn one would not be read.
            journal.head = None;
            drop(journal);
            self.handles.close((self.id, JOURNAL));
            self.behind.store(true, Ordering::Release);
            self.log_failure(error);
        }
        written
    }

    /// Logs, at most once a minute, that progress cannot be recorded.
    fn log_failure(&self, error: &io::Error) {
        let mut last = lock(&self.complained);
        if last.is_none_or(|at| at.elapsed() > COMPLAIN) {
            *last = Some(Instant::now());
            let path = self.path();
            tracing::warn!("progress cannot be recorded in {}, and would be checked again: {error}", path.display());
        }
    }

    /// Saves the complete state as a new base.
    ///
    /// [`SaveMode::Last`] writes nothing if nothing was recorded in this session.
    ///
    /// # Errors
    /// The I/O error of the system; the previous resume data remain.
    pub fn save(&self, files: &Files, manner: SaveMode) -> io::Result<()> {
        self.save_locked(&mut lock(&self.saving), files, manner)
    }

    fn save_locked(&self, saving: &mut Saving, files: &Files, manner: SaveMode) -> io::Result<()> {
        if saving.ended {
            return Ok(());
        }
        saving.ended = manner == SaveMode::Last;
        if saving.ended && !self.begun.load(Ordering::Acquire) {
            return Ok(());
        }
        // A lost piece must not reappear if this base is damaged later, so the previous base is replaced as well.
        let twice = self.lost.swap(false, Ordering::AcqRel);
        let keep_last = saving.durable || twice;
        let mut saved = self.write(saving, files, manner, keep_last);
        if twice {
            saved = saved.and_then(|()| self.write(saving, files, manner, true));
        }
        self.behind.store(saved.is_err(), Ordering::Release);
        if let Err(error) = &saved {
            self.lost.fetch_or(twice, Ordering::AcqRel);
            self.log_failure(error);
        }
        if manner == SaveMode::Last {
            lock(&self.journal).head = None;
            self.handles.close((self.id, JOURNAL));
        }
        saved
    }

    fn write(&self, saving: &mut Saving, files: &Files, manner: SaveMode, keep_last: bool) -> io::Result<()> {
        let generation = saving.generation + 1;
        let many = !keep_last && generation > saving.keep_from + JOURNALS;
        let durable = manner == SaveMode::Durable || (manner == SaveMode::Quick && many);
        // From here on changes are also collected for the next journal, because the base may not contain them.
        lock(&self.journal).pending = Some(Vec::new());
        let base = self.base(files, generation, manner, durable);
        let base = ResumeData { keep_from: if keep_last { saving.generation } else { saving.keep_from }, ..base };
        let outdated = saving.keep_from..base.keep_from;
        let written = self.store.write_new(&base.encode(files.layout()), durable);
        let mut journal = lock(&self.journal);
        let pending = journal.pending.take().unwrap_or_default();
        written?;
        let head = JournalHeader { chain: self.chain, generation, boot: self.boot.clone() };
        let begun = if manner == SaveMode::Last {
            self.store.drop_journals(generation..generation + 1);
            None
        } else {
            Some(self.handles.making_room(|| self.store.begin_journal(&head, &pending))?)
        };
        if let Err(error) = self.store.rename_new(keep_last) {
            self.store.drop_journals(generation..generation + 1);
            return Err(error);
        }
        self.last.store(self.began.elapsed().as_millis() as u64 + 1, Ordering::Release);
        journal.head = begun.as_ref().map(|_| head);
        match begun {
            Some(file) => drop(self.handles.put((self.id, JOURNAL), file, true)),
            None => self.handles.close((self.id, JOURNAL)),
        }
        drop(journal);
        (saving.generation, saving.keep_from, saving.durable) = (generation, base.keep_from, durable);
        self.store.drop_journals(outdated);
        if durable { self.store.sync_folder() } else { Ok(()) }
    }

    /// Returns the current state as a base. Queues entries for open and doubted files for the next journal.
    fn base(&self, files: &Files, generation: u64, manner: SaveMode, durable: bool) -> ResumeData {
        // A failure to journal the ends of bursts is harmless: the base contains the new stamps.
        let snapshot = files.stamps(&|note| drop(self.append_journal(&[note])));
        let doubted: Vec<u32> = files.doubted().collect();
        if let Some(pending) = &mut lock(&self.journal).pending {
            let writing = snapshot.open.iter().map(|file| JournalEntry::WriteStarted(*file));
            // Pieces completed later are not trusted either: parts of them may have been written before the change.
            pending.splice(0..0, writing.chain(doubted.iter().map(|file| JournalEntry::FileChanged(*file))));
        }
        for file in doubted {
            self.unverified.set_all(files.layout().doubtful(file));
        }
        ResumeData {
            chain: self.chain,
            generation,
            keep_from: 0,
            durable,
            clean: manner == SaveMode::Last,
            device: self.device,
            boot: self.boot.clone(),
            notes_writes: true,
            stamps: snapshot.stamps,
            written: self.written.to_bytes(),
            synced: self.synced.to_bytes(),
            unverified: self.unverified.to_bytes(),
        }
    }

    /// Writes the totals of all sessions. A failure is logged.
    pub fn keep_totals(&self, totals: &Totals) {
        // Totals must not be recreated after the resume data were deleted.
        let ended = lock(&self.saving).ended;
        if let Some(error) = (!ended).then(|| self.store.write_totals(totals).err()).flatten() {
            self.log_failure(&error);
        }
    }

    /// Fsyncs the files, then saves a durable base that marks the pieces written before as synced.
    ///
    /// # Errors
    /// If the resume data cannot be written.
    pub fn sync(&self, files: &Files) -> io::Result<()> {
        let before = self.written.to_bytes();
        files.sync();
        if let Some(before) = AtomicBitfield::from_bytes(&before, self.written.pieces()) {
            for piece in (0..before.pieces()).filter(|p| before.has(*p) && !self.synced.has(*p)) {
                let index = crate::wire::message::PieceIndex(piece);
                let bytes = files.layout().bytes_of(index);
                if files.layout().segments(bytes).all(|s| !files.sync_failed(files.holder(s.file, index))) {
                    self.synced.set(piece);
                }
                if !self.written.has(piece) {
                    self.synced.clear(piece);
                }
            }
        }
        self.begun.store(true, Ordering::Release);
        self.save(files, SaveMode::Durable)
    }

    /// Deletes the resume data and writes none afterwards.
    pub fn delete(&self) {
        lock(&self.saving).ended = true;
        *lock(&self.journal) = Journal::default();
        self.handles.close((self.id, JOURNAL));
        self.store.delete();
    }
}

#[cfg(test)]
mod tests;
