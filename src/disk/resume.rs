//! A torrent's resume record while it is at work: pieces are noted in the journal as they come, and now and then all
//! that is known is written anew.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::disk::bits::PieceBits;
use crate::disk::files::Files;
use crate::disk::handles::{Handles, JOURNAL};
use crate::disk::record::{Base, JournalHead, Note};
use crate::disk::store::{Found, Store};
use crate::disk::trust::Verdict;
use crate::swarm::job::Totals;

/// Before a write, the journal's last entry must be no older than this.
const HEARTBEAT: Duration = Duration::from_secs(3);
/// A failing record is logged this often.
const COMPLAIN: Duration = Duration::from_secs(60);
/// Journals that are kept for a base that is not the last one. More of them make the next base a durable one, after which
/// the old ones can go.
const JOURNALS: u64 = 4;

/// How a record is to be written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Manner {
    /// Synced: it may take as long as the disk does.
    Durable,
    /// At once: it survives a kill, and a power cut leaves the last durable one.
    Quick,
    /// At once, and the last one: nothing comes after.
    Last,
}

/// The record of a torrent at work. Nothing is written before there is something to say.
#[derive(Debug)]
pub struct Record {
    store: Store,
    boot: String,
    chain: u64,
    device: u64,
    /// The number of the storage among the handles.
    id: u64,
    handles: Arc<Handles>,
    /// Pieces that are verified and written.
    pub written: PieceBits,
    /// Those of them that are synced.
    pub synced: PieceBits,
    /// Pieces that are still to be hashed.
    pub unsure: PieceBits,
    began: Instant,
    /// When the journal had its last entry: milliseconds since `began`, plus 1; 0 for never.
    last: AtomicU64,
    lost: AtomicBool,
    begun: AtomicBool,
    /// Something is known that could not be written.
    behind: AtomicBool,
    journal: Mutex<Journal>,
    saving: Mutex<Saving>,
    complained: Mutex<Option<Instant>>,
}

#[derive(Debug, Default)]
struct Journal {
    /// The journal that is written to, `None` before the first base and after a fault.
    head: Option<JournalHead>,
    /// What is noted while a base is being written: the next journal begins with it.
    pending: Option<Vec<Note>>,
}

#[derive(Debug)]
struct Saving {
    generation: u64,
    keep_from: u64,
    /// Whether the base on disk is durable, and so worth keeping when the next one is written.
    durable: bool,
    ended: bool,
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Record {
    /// Goes on from what was found. Nothing is written yet. `id` is the storage's number among the handles.
    #[must_use]
    pub fn go_on(
        store: Store,
        boot: String,
        device: u64,
        found: &Found,
        verdict: Verdict,
        (id, handles): (u64, Arc<Handles>),
    ) -> Self {
        let unsure = PieceBits::new(verdict.have.pieces());
        verdict.check.iter().for_each(|run| unsure.set_all(run.clone()));
        let saving = match &found.base {
            Some(base) => {
                Saving { generation: found.generation, keep_from: base.keep_from, durable: base.durable, ended: false }
            }
            None => Saving { generation: 0, keep_from: 0, durable: false, ended: false },
        };
        Record {
            store,
            boot,
            chain: found.base.as_ref().map_or_else(|| fastrand::u64(1..), |b| b.chain),
            device,
            id,
            handles,
            written: verdict.have,
            synced: verdict.synced,
            unsure,
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

    /// The path of the record, for messages.
    #[must_use]
    pub fn path(&self) -> std::path::PathBuf {
        self.store.record()
    }

    /// Writes the first base of this run, unless that was done or tried before: from then on the record says that files
    /// may have been written to. To be called before a file is, and before anything is noted.
    ///
    /// # Errors
    /// The system's. It is then tried again with the next [`Record::catch_up`].
    pub fn begin(&self, files: &Files) -> io::Result<()> {
        if self.begun.load(Ordering::Acquire) {
            return Ok(());
        }
        // Whoever comes second waits: a write that is done before the base is there would be noted nowhere, and after a kill
        // its file would be taken for changed by another program.
        let mut saving = lock(&self.saving);
        if self.begun.load(Ordering::Acquire) {
            return Ok(());
        }
        let saved = self.save_locked(&mut saving, files, Manner::Quick);
        self.begun.store(true, Ordering::Release);
        saved
    }

    /// Writes what could not be written before, if there is any.
    ///
    /// # Errors
    /// The system's.
    pub fn catch_up(&self, files: &Files) -> io::Result<()> {
        if self.behind.load(Ordering::Acquire) { self.save(files, Manner::Quick) } else { Ok(()) }
    }

    /// Takes note of a piece that was verified and is written.
    ///
    /// # Errors
    /// When that cannot be recorded.
    pub fn gained(&self, piece: u32) -> io::Result<()> {
        self.written.set(piece);
        self.unsure.clear(piece);
        self.note(&[Note::Written(piece)])
    }

    /// Takes note of pieces that were hashed, from `first` on: whether each is there.
    ///
    /// # Errors
    /// When that cannot be recorded.
    pub fn checked(&self, first: u32, good: &[bool]) -> io::Result<()> {
        let mut notes = Vec::with_capacity(good.len());
        for (piece, good) in (first..).zip(good) {
            self.unsure.clear(piece);
            if *good {
                self.written.set(piece);
                notes.push(Note::Written(piece));
                continue;
            }
            if self.written.clear(piece) | self.synced.clear(piece) {
                self.lost.store(true, Ordering::Release);
            }
            notes.push(Note::Lost(piece));
        }
        self.note(&notes)
    }

    /// Records that files were found changed: whatever comes, none of their pieces is believed before it is hashed. Takes
    /// as long as the disk does.
    ///
    /// # Errors
    /// When that cannot be recorded.
    pub fn doubt(&self, files: &Files, changed: &[u32]) -> io::Result<()> {
        self.begin(files)?;
        // The journal says so in case of a kill, the base also in case of a power cut.
        self.note(&changed.iter().map(|file| Note::Doubt(*file)).collect::<Vec<_>>())?;
        self.save(files, Manner::Durable)
    }

    /// These pieces are going to be hashed: until they are, they are not believed.
    ///
    /// # Errors
    /// When that cannot be recorded.
    pub fn suspect(&self, files: &Files, pieces: &[std::ops::Range<u32>]) -> io::Result<()> {
        if pieces.iter().cloned().flatten().all(|piece| self.unsure.has(piece)) {
            return Ok(());
        }
        pieces.iter().for_each(|run| self.unsure.set_all(run.clone()));
        let saved = self.save(files, Manner::Quick);
        self.begun.store(true, Ordering::Release);
        saved
    }

    /// To be called before files are written to: whoever looks after a kill must find the journal to be as late as
    /// the files.
    ///
    /// # Errors
    /// When that cannot be recorded.
    pub fn alive(&self) -> io::Result<()> {
        let now = self.began.elapsed().as_millis() as u64 + 1;
        let last = self.last.load(Ordering::Acquire);
        if last == 0 || now.saturating_sub(last) > HEARTBEAT.as_millis() as u64 {
            return self.note(&[Note::Alive]);
        }
        Ok(())
    }

    /// Adds to the journal.
    ///
    /// # Errors
    /// The system's. The journal is of no use then: the next base says all that it would have said.
    pub fn note(&self, notes: &[Note]) -> io::Result<()> {
        let mut journal = lock(&self.journal);
        if let Some(pending) = &mut journal.pending {
            pending.extend_from_slice(notes);
        }
        let Some(head) = &journal.head else { return Ok(()) };
        // One write to a file opened for appending: whole or, at a kill, torn at its end.
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
            // What follows a torn entry would not be read.
            journal.head = None;
            drop(journal);
            self.handles.close((self.id, JOURNAL));
            self.behind.store(true, Ordering::Release);
            self.complain(error);
        }
        written
    }

    /// Says in the log, once a minute, that progress is not recorded.
    fn complain(&self, error: &io::Error) {
        let mut last = lock(&self.complained);
        if last.is_none_or(|at| at.elapsed() > COMPLAIN) {
            *last = Some(Instant::now());
            let path = self.path();
            log::warn!("progress cannot be recorded in {}, and would be checked again: {error}", path.display());
        }
    }

    /// Writes all that is known. What was not begun has nothing to say, and is as it was.
    ///
    /// # Errors
    /// The system's; what was recorded before stays.
    pub fn save(&self, files: &Files, manner: Manner) -> io::Result<()> {
        self.save_locked(&mut lock(&self.saving), files, manner)
    }

    fn save_locked(&self, saving: &mut Saving, files: &Files, manner: Manner) -> io::Result<()> {
        if saving.ended {
            return Ok(());
        }
        saving.ended = manner == Manner::Last;
        if saving.ended && !self.begun.load(Ordering::Acquire) {
            return Ok(());
        }
        // What is lost must not be believed again if this base is damaged one day: then it replaces both.
        let twice = self.lost.swap(false, Ordering::AcqRel);
        let keep_last = saving.durable || twice;
        let mut saved = self.write(saving, files, manner, keep_last);
        if twice {
            saved = saved.and_then(|()| self.write(saving, files, manner, true));
        }
        self.behind.store(saved.is_err(), Ordering::Release);
        if let Err(error) = &saved {
            self.lost.fetch_or(twice, Ordering::AcqRel);
            self.complain(error);
        }
        if manner == Manner::Last {
            lock(&self.journal).head = None;
            self.handles.close((self.id, JOURNAL));
        }
        saved
    }

    fn write(&self, saving: &mut Saving, files: &Files, manner: Manner, keep_last: bool) -> io::Result<()> {
        let generation = saving.generation + 1;
        let many = !keep_last && generation > saving.keep_from + JOURNALS;
        let durable = manner == Manner::Durable || (manner == Manner::Quick && many);
        // From here on the next journal says what the base may not know yet.
        lock(&self.journal).pending = Some(Vec::new());
        let base = self.base(files, generation, manner, durable);
        let base = Base { keep_from: if keep_last { saving.generation } else { saving.keep_from }, ..base };
        let outdated = saving.keep_from..base.keep_from;
        let written = self.store.write_new(&base.encode(files.layout()), durable);
        let mut journal = lock(&self.journal);
        let pending = journal.pending.take().unwrap_or_default();
        written?;
        let head = JournalHead { chain: self.chain, generation, boot: self.boot.clone() };
        let begun = if manner == Manner::Last {
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

    /// The base as things stand. That files are written to just now, or in doubt, is among what is pending.
    fn base(&self, files: &Files, generation: u64, manner: Manner, durable: bool) -> Base {
        // Where that cannot be noted, the base says it.
        let snapshot = files.stamps(&|note| drop(self.note(&[note])));
        let doubted: Vec<u32> = files.doubted().collect();
        if let Some(pending) = &mut lock(&self.journal).pending {
            let writing = snapshot.open.iter().map(|file| Note::Writing(*file));
            // Also pieces that are gained later are not believed: parts of them may have been written before.
            pending.splice(0..0, writing.chain(doubted.iter().map(|file| Note::Doubt(*file))));
        }
        for file in doubted {
            self.unsure.set_all(files.layout().doubtful(file));
        }
        Base {
            chain: self.chain,
            generation,
            keep_from: 0,
            durable,
            clean: manner == Manner::Last,
            device: self.device,
            boot: self.boot.clone(),
            notes_writes: true,
            stamps: snapshot.stamps,
            written: self.written.to_bytes(),
            synced: self.synced.to_bytes(),
            unsure: self.unsure.to_bytes(),
        }
    }

    /// Records what is counted over all runs. Where that cannot be written it is complained of in the log.
    pub fn keep_totals(&self, totals: &Totals) {
        // After the end a deleted record must not come back.
        let ended = lock(&self.saving).ended;
        if let Some(error) = (!ended).then(|| self.store.write_totals(totals).err()).flatten() {
            self.complain(&error);
        }
    }

    /// Syncs the files and records, for ever, what was written to them before.
    ///
    /// # Errors
    /// When the record cannot be written.
    pub fn sync(&self, files: &Files) -> io::Result<()> {
        let before = self.written.to_bytes();
        files.sync();
        if let Some(before) = PieceBits::from_bytes(&before, self.written.pieces()) {
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
        self.save(files, Manner::Durable)
    }

    /// Deletes the record, for ever.
    pub fn delete(&self) {
        lock(&self.saving).ended = true;
        *lock(&self.journal) = Journal::default();
        self.handles.close((self.id, JOURNAL));
        self.store.delete();
    }
}

#[cfg(test)]
mod tests;
