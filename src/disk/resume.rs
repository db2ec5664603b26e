//! A torrent's resume record while it is at work: pieces are noted in the journal as they come, and now and then all
//! that is known is written anew.

use std::fs::File;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::disk::bits::PieceBits;
use crate::disk::files::{Files, Stamp};
use crate::disk::record::{Base, JournalHead, Note};
use crate::disk::store::{Found, Store};
use crate::disk::trust::Verdict;
use crate::swarm::job::Totals;

/// Before a write, the journal's last entry must be no older than this.
const HEARTBEAT: Duration = Duration::from_secs(3);
/// A failing record is spoken of this often.
const COMPLAIN: Duration = Duration::from_secs(60);

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

/// The record of a torrent at work.
#[derive(Debug)]
pub struct Record {
    store: Store,
    boot: String,
    chain: u64,
    device: u64,
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
    journal: Mutex<Option<(JournalHead, File)>>,
    saving: Mutex<Saving>,
    complained: Mutex<Option<Instant>>,
}

#[derive(Debug)]
struct Saving {
    generation: u64,
    keep_from: u64,
    /// Whether the base on disk is durable, and so worth keeping when the next one is written.
    durable: bool,
    stamps: Vec<Option<Stamp>>,
    ended: bool,
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Record {
    /// Goes on from what was found, with files that are as `stamps` tell. Nothing is written yet.
    #[must_use]
    pub fn go_on(
        store: Store,
        boot: String,
        device: u64,
        found: &Found,
        verdict: Verdict,
        stamps: Vec<Option<Stamp>>,
    ) -> Self {
        let unsure = PieceBits::new(verdict.have.pieces());
        verdict.check.iter().for_each(|run| unsure.set_all(run.clone()));
        let saving = match &found.base {
            Some(base) => Saving {
                generation: found.generation,
                keep_from: base.keep_from,
                durable: base.durable,
                stamps,
                ended: false,
            },
            None => Saving { generation: 0, keep_from: 0, durable: false, stamps, ended: false },
        };
        Record {
            store,
            boot,
            chain: found.base.as_ref().map_or_else(|| fastrand::u64(1..), |b| b.chain),
            device,
            written: verdict.have,
            synced: verdict.synced,
            unsure,
            began: Instant::now(),
            last: AtomicU64::new(0),
            lost: AtomicBool::new(false),
            journal: Mutex::new(None),
            saving: Mutex::new(saving),
            complained: Mutex::new(None),
        }
    }

    /// Takes note of a piece that was verified and is written.
    pub fn gained(&self, piece: u32) {
        self.written.set(piece);
        self.unsure.clear(piece);
        self.note(&[Note::Written(piece)]);
    }

    /// Takes note of pieces that were hashed, from `first` on: whether each is there.
    pub fn checked(&self, first: u32, good: &[bool]) {
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
        self.note(&notes);
    }

    /// To be called before files are written to: whoever looks after a kill must find the journal to be as late as
    /// the files.
    pub fn alive(&self) {
        let now = self.began.elapsed().as_millis() as u64 + 1;
        let last = self.last.load(Ordering::Acquire);
        if last == 0 || now.saturating_sub(last) > HEARTBEAT.as_millis() as u64 {
            self.note(&[Note::Alive]);
        }
    }

    fn note(&self, notes: &[Note]) {
        let mut journal = lock(&self.journal);
        if let Some((head, file)) = journal.as_mut() {
            // One write to a file opened for appending: whole or, at a kill, torn at its end.
            let entries: Vec<u8> = notes.iter().flat_map(|n| head.entry(*n)).collect();
            let written = file.write_all(&entries);
            self.last.store(self.began.elapsed().as_millis() as u64 + 1, Ordering::Release);
            drop(journal);
            if let Err(error) = written {
                self.complain(&error);
            }
        }
    }

    /// Says in the log, once a minute, that progress is not recorded.
    fn complain(&self, error: &io::Error) {
        let mut last = lock(&self.complained);
        if last.is_none_or(|at| at.elapsed() > COMPLAIN) {
            *last = Some(Instant::now());
            log::warn!("progress cannot be recorded, and would be checked again after a restart: {error}");
        }
    }

    /// Writes all that is known.
    ///
    /// # Errors
    /// The system's; what was recorded before stays.
    pub fn save(&self, files: &Files, manner: Manner) -> io::Result<()> {
        let mut saving = lock(&self.saving);
        if saving.ended {
            return Ok(());
        }
        // What is lost must not be believed again if this base is damaged one day: then it replaces both.
        let twice = self.lost.swap(false, Ordering::AcqRel);
        let keep_last = saving.durable || twice;
        let mut saved = self.write(&mut saving, files, manner, keep_last);
        if twice {
            saved = saved.and_then(|()| self.write(&mut saving, files, manner, true));
        }
        if manner == Manner::Last {
            saving.ended = true;
            *lock(&self.journal) = None;
        }
        if let Err(error) = &saved {
            self.complain(error);
        }
        saved
    }

    fn write(&self, saving: &mut Saving, files: &Files, manner: Manner, keep_last: bool) -> io::Result<()> {
        let generation = saving.generation + 1;
        let head = JournalHead { chain: self.chain, generation, boot: self.boot.clone() };
        // From here on pieces go to the new journal. Those of the old one are in the bits, and so in the base.
        let file = self.store.begin_journal(&head)?;
        *lock(&self.journal) = Some((head, file));
        files.stamp(&mut saving.stamps);
        let durable = manner == Manner::Durable;
        let base = Base {
            chain: self.chain,
            generation,
            keep_from: if keep_last { saving.generation } else { saving.keep_from },
            durable,
            clean: manner == Manner::Last,
            device: self.device,
            boot: self.boot.clone(),
            stamps: saving.stamps.clone(),
            written: self.written.to_bytes(),
            synced: self.synced.to_bytes(),
            unsure: self.unsure.to_bytes(),
        };
        let outdated = saving.keep_from..base.keep_from;
        let written = self.store.write_base(&base.encode(files.layout()), durable, keep_last);
        // The journal has begun: the next base is of the next generation, whether or not this one was written.
        saving.generation = generation;
        written?;
        saving.keep_from = base.keep_from;
        saving.durable = durable;
        self.store.drop_journals(outdated);
        Ok(())
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
        self.save(files, Manner::Durable)
    }

    /// Deletes the record, for ever.
    pub fn delete(&self) {
        lock(&self.saving).ended = true;
        *lock(&self.journal) = None;
        self.store.delete();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::handles::Handles;
    use crate::disk::layout::Layout;
    use crate::disk::layout::tests::layout;
    use crate::disk::owners::Owners;
    use crate::disk::storage::Allocation;
    use crate::disk::trust::judge;
    use std::sync::Arc;

    struct World {
        root: tempfile::TempDir,
        layout: Arc<Layout>,
    }

    impl World {
        fn new() -> World {
            let layout = Arc::new(layout(4, &[(Some("a"), 40)]));
            World { root: tempfile::tempdir().unwrap(), layout }
        }

        fn start(&self, boot: &str) -> (Record, Files, Found) {
            let dir = self.root.path().join("downloads");
            let store = Store::new(&self.root.path().join("state"), self.layout.info_hash(), &dir);
            std::fs::create_dir_all(self.root.path().join("state")).unwrap();
            let found = store.read(&self.layout, boot);
            let handles = Arc::new(Handles::new(4));
            let owners = Arc::new(Owners::new(&self.root.path().join("state")));
            let ownership = owners.enter(store.name(), &self.layout, &dir);
            let files = Files::new(1, dir, Allocation::Sparse, handles, ownership);
            let looks = vec![files.look(0).unwrap(), None];
            looks[0].into_iter().for_each(|look| files.found(0, look));
            let verdict = judge(&self.layout, &found, &looks, files.parts());
            (Record::go_on(store, boot.into(), 0, &found, verdict, looks), files, found)
        }

        fn state(&self, ending: &str) -> std::path::PathBuf {
            let all = std::fs::read_dir(self.root.path().join("state")).unwrap().map(|e| e.unwrap().path());
            all.into_iter().find(|p| p.extension().is_some_and(|e| e == ending)).unwrap()
        }
    }

    fn gain(record: &Record, files: &Files, piece: u32) {
        record.alive();
        files.write(u64::from(piece) * 4, &[bytes::Bytes::from_static(b"data")]).unwrap();
        record.gained(piece);
    }

    fn pieces(bits: &PieceBits) -> Vec<u32> {
        (0..bits.pieces()).filter(|p| bits.has(*p)).collect()
    }

    /// Three pieces of three generations: synced, saved, journalled; then the process is killed.
    fn killed() -> World {
        let world = World::new();
        let (record, files, _) = world.start("first");
        record.save(&files, Manner::Quick).unwrap();
        gain(&record, &files, 7);
        record.sync(&files).unwrap();
        gain(&record, &files, 1);
        record.save(&files, Manner::Quick).unwrap();
        gain(&record, &files, 4);
        world
    }

    #[test]
    fn after_a_kill_everything_recorded_is_believed() {
        let world = killed();
        let (record, _, found) = world.start("first");
        assert!(found.same_boot && found.notes.is_empty(), "{found:?}");
        assert_eq!((pieces(&record.written), pieces(&record.synced)), (vec![1, 4, 7], vec![7]));
        assert!(pieces(&record.unsure).is_empty());
    }

    #[test]
    fn after_another_boot_what_was_not_synced_is_hashed() {
        let (record, ..) = killed().start("second");
        assert_eq!((pieces(&record.written), pieces(&record.unsure)), (vec![7], vec![1, 4]));
    }

    #[test]
    fn the_base_before_and_all_journals_stand_in_for_a_damaged_base() {
        let world = killed();
        std::fs::write(world.state("resume"), b"rubbish").unwrap();
        let (record, files, found) = world.start("first");
        assert_eq!(found.notes.len(), 1);
        assert_eq!(pieces(&record.written), [1, 4, 7]);
        // And it goes on from there, whatever lay around.
        record.save(&files, Manner::Quick).unwrap();
        gain(&record, &files, 2);
        drop((record, files));
        assert_eq!(pieces(&world.start("first").0.written), [1, 2, 4, 7]);
    }

    #[test]
    fn a_kill_between_two_names_costs_nothing() {
        let world = killed();
        std::fs::remove_file(world.state("resume")).unwrap();
        let (record, _, found) = world.start("first");
        assert!(found.notes.is_empty());
        assert_eq!(pieces(&record.written), [1, 4, 7]);
    }

    #[test]
    fn what_was_found_bad_is_believed_by_no_base_ever_again() {
        let world = killed();
        let (record, files, _) = world.start("first");
        record.checked(7, &[false]);
        record.save(&files, Manner::Last).unwrap();
        drop((record, files));
        std::fs::write(world.state("resume"), b"rubbish").unwrap();
        assert_eq!(pieces(&world.start("first").0.written), [1, 4]);
    }

    #[test]
    fn a_journal_that_is_torn_anywhere_loses_only_its_end() {
        let world = killed();
        let base = std::fs::read_dir(world.root.path().join("state")).unwrap().map(|e| e.unwrap().path());
        let journal = base.filter(|p| p.to_string_lossy().contains("journal-")).max().unwrap();
        let whole = std::fs::read(&journal).unwrap();
        for n in 0..whole.len() {
            std::fs::write(&journal, &whole[..n]).unwrap();
            assert_eq!(pieces(&world.start("first").0.written), [1, 7], "cut at {n}");
        }
    }
}
