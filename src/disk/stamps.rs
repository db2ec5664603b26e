//! File stamps (size, mtime, identity) of a torrent's files, used to detect changes by other programs.
//!
//! A stamp is taken right after one of our own writes, or before a file is hashed, never at a later time, when another
//! program may have changed the file already. So a file that differs from its stamp was changed by another program.
//!
//! This is exact if the file system updates the mtime during the write call, as local file systems of Linux do. Network
//! and FUSE file systems may update it later, and so does Windows when a handle is closed. On these, only size and
//! identity are compared while a file is written to, and the mtime is read when the resume data are saved.
//!
//! The journal records writes in quick succession as one burst, because two entries for each of thousands of writes per
//! second would be too expensive. External changes between the writes of a burst are still detected. After a crash
//! during a burst the file is treated like one with a write in progress.

use std::collections::HashMap;
use std::fs::File;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::disk::file_stamp::FileStamp;
use crate::disk::resume_format::JournalEntry;

/// Time after the last write during which a file system with delayed mtimes may still change the mtime.
const SETTLING: Duration = Duration::from_secs(60);

/// Maximum time between two writes of a burst, on a file system with exact mtimes.
pub(crate) const BURST_GAP: Duration = Duration::from_millis(20);

/// A snapshot of all stamps.
#[derive(Debug)]
pub struct Snapshot {
    /// The stamp of each file; `None` for a missing file.
    pub stamps: Vec<Option<FileStamp>>,
    /// Files being written to, or whose mtime may still change because of an earlier write.
    pub open: Vec<u32>,
    /// Files that were replaced by another file.
    pub foreign: Vec<u32>,
}

/// The stamps of a torrent's files, shared by all disk threads.
#[derive(Debug)]
pub(crate) struct Stamps {
    table: Mutex<Table>,
}

#[derive(Debug)]
struct Table {
    known: Vec<Option<FileStamp>>,
    /// Files in a burst of writes, and recently written files on file systems with delayed mtimes.
    writing: HashMap<u32, Writing>,
}

#[derive(Debug)]
struct Writing {
    /// Number of writes in progress.
    count: u32,
    exact: bool,
    /// The mtime after the last write, if mtimes are exact.
    left: Option<i64>,
    /// Written to with [`Stamps::touch`]: size and identity are not checked.
    free: bool,
    last: Instant,
}

impl Stamps {
    /// Creates a table for `files` files without stamps.
    #[must_use]
    pub(crate) fn new(files: usize) -> Self {
        Stamps { table: Mutex::new(Table { known: vec![None; files], writing: HashMap::new() }) }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the stamp of a file, before any of its content is trusted.
    pub(crate) fn set(&self, file: u32, stamp: Option<FileStamp>) {
        let mut table = self.lock();
        // A burst stays in the table, because its end is still to be journaled.
        if table.writing.get(&file).is_some_and(|w| w.count == 0 && !w.exact) {
            table.writing.remove(&file);
        }
        if let Some(known) = table.known.get_mut(file as usize) {
            *known = stamp;
        }
    }

    /// Starts a write. Returns whether another program has changed the file since our last write.
    ///
    /// `exact` tells whether the file system updates mtimes during the write call. `journal` is called for the first
    /// write of a burst, under the lock, so that no other write to the file can start before it is recorded.
    pub(crate) fn begin(&self, file: u32, open: &File, exact: bool, journal: &dyn Fn(JournalEntry)) -> bool {
        let mut table = self.lock();
        let Table { known, writing } = &mut *table;
        let known = known.get(file as usize).copied().flatten();
        let writing = writing.entry(file).or_insert_with(|| {
            journal(JournalEntry::WriteStarted(file));
            Writing { count: 0, exact, left: None, free: false, last: Instant::now() }
        });
        writing.count += 1;
        if writing.count > 1 || !writing.exact {
            return false;
        }
        let now = open.metadata().ok().map(|meta| FileStamp::new(&meta));
        known.zip(now).is_some_and(|(known, now)| !known.is_as_left(now))
    }

    /// Records a write that is not enclosed by [`Stamps::begin`] and [`Stamps::end`].
    ///
    /// The following snapshots read a new stamp from the file.
    pub(crate) fn touch(&self, file: u32, journal: &dyn Fn(JournalEntry)) {
        let mut table = self.lock();
        let now = Instant::now();
        let writing = table.writing.entry(file).or_insert_with(|| {
            journal(JournalEntry::WriteStarted(file));
            Writing { count: 0, exact: false, left: None, free: true, last: now }
        });
        (writing.exact, writing.free, writing.last) = (false, true, now);
    }

    /// Ends a write, successful or not. Returns whether another program cut the file short meanwhile: our own writes do not.
    ///
    /// If no other write is in progress and mtimes are exact, the new stamp is stored; [`Stamps::end_bursts`] reports
    /// it to the journal.
    pub(crate) fn end(&self, file: u32, open: &File) -> bool {
        let mut table = self.lock();
        let Table { known, writing } = &mut *table;
        let Some(writing) = writing.get_mut(&file) else { return false };
        writing.count = writing.count.saturating_sub(1);
        writing.last = Instant::now();
        if writing.count > 0 || !writing.exact {
            return false;
        }
        let stamp = open.metadata().ok().map(|meta| FileStamp::new(&meta));
        writing.left = stamp.map(|stamp| stamp.changed);
        let Some((known, stamp)) = known.get_mut(file as usize).zip(stamp) else { return false };
        let cut = known.is_some_and(|known| stamp.size < known.size);
        *known = Some(stamp);
        cut
    }

    /// Ends the bursts whose last write is [`BURST_GAP`] old, and reports the mtimes to `journal`.
    ///
    /// Returns when to call this again, if there are other bursts without a write in progress.
    pub(crate) fn end_bursts(&self, now: Instant, journal: &dyn Fn(JournalEntry)) -> Option<Instant> {
        let mut table = self.lock();
        table.end_bursts(|writing| now >= writing.last + BURST_GAP, journal);
        table.writing.values().filter(|writing| writing.is_resting()).map(|writing| writing.last + BURST_GAP).min()
    }

    /// How a file was left, as far as that is known.
    #[must_use]
    pub(crate) fn known(&self, file: u32) -> Option<FileStamp> {
        self.lock().known.get(file as usize).copied().flatten()
    }

    /// Whether a file, as it is now, is as we left it. One that was never there may come to be.
    #[must_use]
    pub(crate) fn is_as_left(&self, file: u32, now: Option<FileStamp>) -> bool {
        let table = self.lock();
        let Some(known) = table.known.get(file as usize).copied().flatten() else { return true };
        match (now, table.writing.get(&file)) {
            (None, _) => false,
            (Some(_), Some(writing)) if writing.count > 0 || writing.free => true,
            (Some(now), Some(writing)) if !writing.exact => known.size == now.size && known.is_same_file(now),
            (Some(now), _) => known.is_same(now),
        }
    }

    /// Like [`Self::is_as_left`], but also notices a time that was put back. Whoever changes the permissions or the names of a
    /// file touches it, too: only for files whose bytes are hashed then, at no cost for the user.
    #[must_use]
    pub(crate) fn is_untouched(&self, file: u32, now: Option<FileStamp>) -> bool {
        let touched = match (self.known(file), now) {
            (Some(known), Some(now)) => known.is_same(now) && !known.is_as_left(now),
            _ => false,
        };
        self.is_as_left(file, now) && !touched
    }

    /// Returns all stamps, after ending all bursts without a write in progress.
    ///
    /// `look` stats files that were written to on a file system with delayed mtimes. `journal` receives the ends of
    /// bursts.
    pub(crate) fn snapshot(&self, look: impl Fn(u32) -> Option<FileStamp>, journal: &dyn Fn(JournalEntry)) -> Snapshot {
        let mut table = self.lock();
        table.end_bursts(|_| true, journal);
        let Table { known, writing } = &mut *table;
        let open = writing.keys().copied().collect();
        let mut foreign = Vec::new();
        writing.retain(|file, writing| {
            let Some(known) = known.get_mut(*file as usize).filter(|_| writing.count == 0) else { return true };
            let now = look(*file);
            match (*known, now) {
                (Some(then), Some(now)) if then.size == now.size && then.is_same_file(now) => *known = Some(now),
                (_, now) if writing.free => *known = now,
                (None, now) => *known = now,
                _ => foreign.push(*file),
            }
            writing.last.elapsed() < SETTLING
        });
        Snapshot { stamps: known.clone(), open, foreign }
    }
}

impl Table {
    /// Ends the bursts for which `is_over` returns true, except those with a write in progress.
    fn end_bursts(&mut self, is_over: impl Fn(&Writing) -> bool, journal: &dyn Fn(JournalEntry)) {
        self.writing.retain(|file, writing| {
            if !writing.is_resting() || !is_over(writing) {
                return true;
            }
            if let Some(left) = writing.left {
                journal(JournalEntry::WriteEnded(*file, left));
            }
            false
        });
    }
}

impl Writing {
    /// Returns whether this is a burst without a write in progress.
    const fn is_resting(&self) -> bool {
        self.exact && self.count == 0
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use std::io::Write;

    fn made() -> (tempfile::NamedTempFile, Stamps) {
        let file = tempfile::NamedTempFile::new().unwrap();
        let stamps = Stamps::new(1);
        stamps.set(0, Some(FileStamp::new(&file.as_file().metadata().unwrap())));
        (file, stamps)
    }

    fn look(file: &tempfile::NamedTempFile) -> Option<FileStamp> {
        std::fs::metadata(file.path()).ok().map(|meta| FileStamp::new(&meta))
    }

    /// The recorded journal entries.
    #[derive(Default)]
    struct Heard(std::cell::RefCell<Vec<JournalEntry>>);

    impl Heard {
        fn by(&self) -> impl Fn(JournalEntry) {
            |note| self.0.borrow_mut().push(note)
        }

        fn take(&self) -> Vec<JournalEntry> {
            std::mem::take(&mut self.0.borrow_mut())
        }
    }

    /// Returns the journal entries reported long after the last write.
    fn end_bursts(stamps: &Stamps, heard: &Heard) -> Vec<JournalEntry> {
        assert_eq!(stamps.end_bursts(Instant::now() + BURST_GAP, &heard.by()), None);
        heard.take()
    }

    #[test]
    fn own_writes_raise_no_alarm_and_those_of_others_do() {
        let (file, stamps) = made();
        let mut handle = file.as_file();
        let heard = Heard::default();
        for _ in 0..3 {
            assert!(!stamps.begin(0, handle, true, &heard.by()) && !stamps.begin(0, handle, true, &heard.by()));
            assert_eq!(heard.take(), [JournalEntry::WriteStarted(0)]);
            handle.write_all(b"ours").unwrap();
            assert!(stamps.is_as_left(0, look(&file)), "nothing is judged while it is written to");
            stamps.end(0, handle);
            assert_eq!(end_bursts(&stamps, &heard), [], "another write is under way");
            stamps.end(0, handle);
            assert_eq!(end_bursts(&stamps, &heard), [JournalEntry::WriteEnded(0, look(&file).unwrap().changed)]);
            assert_eq!(end_bursts(&stamps, &heard), [], "it is told once");
            assert!(stamps.is_as_left(0, look(&file)));
        }
        // Every way to change a file: longer, shorter, another mtime, another file, deleted.
        let left = look(&file).unwrap();
        for now in [
            FileStamp { size: left.size + 1, ..left },
            FileStamp { size: left.size - 1, ..left },
            FileStamp { changed: left.changed + 1, ..left },
            FileStamp { id: left.id + 1, ..left },
        ] {
            assert!(!stamps.is_as_left(0, Some(now)), "{now:?}");
        }
        assert!(!stamps.is_as_left(0, None));
        let touched = Some(FileStamp { touched: left.touched + 1, ..left });
        assert!(stamps.is_as_left(0, touched) && (left.touched == 0 || !stamps.is_untouched(0, touched)));
        assert!(stamps.is_untouched(0, Some(left)));
        file.as_file().set_modified(SystemTime::UNIX_EPOCH).unwrap();
        assert!(stamps.begin(0, handle, true, &|_| ()));
        stamps.end(0, handle);
        assert!(!stamps.begin(0, handle, true, &|_| ()), "it is told once");
        assert!(!stamps.end(0, handle));
    }

    #[test]
    fn a_file_that_is_cut_during_a_write_is_noticed_at_its_end() {
        let (file, stamps) = made();
        let handle = file.as_file();
        handle.set_len(100).unwrap();
        stamps.set(0, look(&file));
        assert!(!stamps.begin(0, handle, true, &|_| ()));
        handle.set_len(40).unwrap();
        assert!(stamps.end(0, handle));
        assert!(!stamps.begin(0, handle, true, &|_| ()) && !stamps.end(0, handle), "it is told once");
    }

    #[test]
    fn a_burst_of_writes_is_noted_as_one_and_hides_no_change_between_them() {
        let (file, stamps) = made();
        let mut handle = file.as_file();
        let (heard, start) = (Heard::default(), Instant::now());
        let mut write = |changed_before: bool| {
            assert_eq!(stamps.begin(0, handle, true, &heard.by()), changed_before);
            handle.write_all(b"ours").unwrap();
            stamps.end(0, handle);
        };
        let change = || file.as_file().set_modified(SystemTime::UNIX_EPOCH).unwrap();
        (0..4).for_each(|_| write(false));
        assert_eq!(heard.take(), [JournalEntry::WriteStarted(0)]);
        change();
        assert!(!stamps.is_as_left(0, look(&file)), "it is compared also within a burst");
        write(true);
        assert!(stamps.is_as_left(0, look(&file)));
        let left = look(&file).unwrap();
        // After another external change the journal still records the mtime of our last write.
        change();
        let again = stamps.end_bursts(start, &heard.by()).unwrap();
        assert!(again >= start + BURST_GAP && heard.take().is_empty(), "another write may follow");
        assert_eq!(stamps.end_bursts(again, &heard.by()), None);
        assert_eq!(heard.take(), [JournalEntry::WriteEnded(0, left.changed)]);
        assert!(!stamps.is_as_left(0, look(&file)));
        write(true);
        assert_eq!(heard.take(), [JournalEntry::WriteStarted(0)], "the next burst");
        // A snapshot ends the burst at once with the same entry, even if the stamp was set meanwhile.
        let left = look(&file).unwrap();
        change();
        stamps.set(0, look(&file));
        let snapshot = stamps.snapshot(|_| unreachable!("no file is looked at whose time is exact"), &heard.by());
        assert_eq!((snapshot.stamps, snapshot.open), (vec![look(&file)], vec![]));
        assert_eq!(heard.take(), [JournalEntry::WriteEnded(0, left.changed)]);
    }

    #[test]
    fn a_write_that_is_under_way_at_a_record_is_told_to_be() {
        let (file, stamps) = made();
        let heard = Heard::default();
        stamps.begin(0, file.as_file(), true, &heard.by());
        let snapshot = stamps.snapshot(|_| unreachable!("no file is looked at whose time is exact"), &heard.by());
        assert_eq!((snapshot.open, snapshot.foreign), (vec![0], vec![]));
        assert_eq!(heard.take(), [JournalEntry::WriteStarted(0)]);
    }

    #[test]
    fn times_that_the_system_sets_late_raise_no_alarm() {
        let (file, stamps) = made();
        let handle = file.as_file();
        let heard = Heard::default();
        for round in 0..3_u64 {
            assert!(!stamps.begin(0, handle, false, &heard.by()));
            stamps.end(0, handle);
            assert_eq!(stamps.end_bursts(Instant::now() + BURST_GAP, &heard.by()), None);
            assert_eq!(heard.take(), if round == 0 { vec![JournalEntry::WriteStarted(0)] } else { vec![] });
            file.as_file().set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(round)).unwrap();
            assert!(stamps.is_as_left(0, look(&file)));
            let snapshot = stamps.snapshot(|_| look(&file), &heard.by());
            assert_eq!(snapshot.stamps, [look(&file)]);
            assert_eq!((snapshot.open, snapshot.foreign), (vec![0], vec![]));
        }
        // A replaced, truncated or deleted file is still detected.
        let left = look(&file).unwrap();
        let (other, cut) = (FileStamp { id: left.id + 1, ..left }, FileStamp { size: left.size + 1, ..left });
        for now in [Some(other), Some(cut), None] {
            assert!(!stamps.is_as_left(0, now));
            let snapshot = stamps.snapshot(|_| now, &heard.by());
            assert_eq!((snapshot.stamps, snapshot.foreign), (vec![Some(left)], vec![0]));
        }
    }
}
