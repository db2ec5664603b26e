//! Sizes and modification times of a torrent's files as this program left them.
//!
//! A stamp is taken right after a write of our own, or before a file is hashed - never from a later look at the file,
//! which may be somebody else's work by then. So a file that differs from its stamp was changed by another program.
//!
//! That is exact where the file system sets the modification time during the write call, as local file systems of Linux
//! do. Network and FUSE file systems may set it later, and so does Windows when a handle is closed: files there are
//! compared by size and identity only while they are written to, and their time is read when the record is saved.

use std::collections::HashMap;
use std::fs::{File, Metadata};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::disk::rawio;
use crate::disk::record::Note;

/// How long after the last write the system may still change a time that it does not set at once.
const SETTLING: Duration = Duration::from_secs(60);

/// Size, modification time and identity of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stamp {
    /// The length in bytes.
    pub size: u64,
    /// When the file was last changed: nanoseconds since 1970.
    pub changed: i64,
    /// Inode number, or creation time where the system has no inodes; 0 where neither is known.
    pub id: u64,
}

impl Stamp {
    /// The stamp of a file from its metadata.
    #[must_use]
    pub fn new(meta: &Metadata) -> Self {
        let created = || meta.created().map_or(0, nanos) as u64;
        let id = rawio::inode(meta).map_or_else(created, |(_, inode)| inode);
        Stamp { size: meta.len(), changed: meta.modified().map_or(0, nanos), id }
    }

    /// Whether both may be of one file: the identities agree, or one of them is not known.
    #[must_use]
    pub const fn is_same_file(self, other: Stamp) -> bool {
        self.id == other.id || self.id == 0 || other.id == 0
    }

    /// Whether size and time agree, whichever file it is: a copy that keeps the time counts as the file.
    #[must_use]
    pub const fn is_same_content(self, other: Stamp) -> bool {
        self.size == other.size && self.changed == other.changed
    }
}

/// Nanoseconds since 1970.
#[must_use]
pub fn nanos(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |n| -n),
    }
}

/// The stamps at one moment.
#[derive(Debug)]
pub struct Snapshot {
    /// The stamp of each file, `None` for one that is not there.
    pub stamps: Vec<Option<Stamp>>,
    /// Files that are written to, or whose time may still change because of an earlier write.
    pub open: Vec<u32>,
    /// Files of which another file has taken the place.
    pub foreign: Vec<u32>,
}

/// The stamps of a torrent's files. Shared by all disk threads.
#[derive(Debug)]
pub struct Stamps {
    table: Mutex<Table>,
}

#[derive(Debug)]
struct Table {
    known: Vec<Option<Stamp>>,
    /// Files that are written to, and those written to where times are not exact.
    writing: HashMap<u32, Writing>,
}

#[derive(Debug)]
struct Writing {
    count: u32,
    exact: bool,
    /// Written to in ways of its own: its size and identity are whatever they are.
    free: bool,
    last: Instant,
}

impl Stamps {
    /// Nothing is known of so many files.
    #[must_use]
    pub fn new(files: usize) -> Self {
        Stamps { table: Mutex::new(Table { known: vec![None; files], writing: HashMap::new() }) }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a file to be as it was found, before anything of it is believed.
    pub fn set(&self, file: u32, stamp: Option<Stamp>) {
        let mut table = self.lock();
        if table.writing.get(&file).is_some_and(|w| w.count == 0) {
            table.writing.remove(&file);
        }
        if let Some(known) = table.known.get_mut(file as usize) {
            *known = stamp;
        }
    }

    /// A write begins; `exact` where the file system sets times at once. `journal` is told if no earlier write has told
    /// it: under the lock, so that no other write to the file can begin before that is noted. Returns whether another
    /// program has changed the file since our last write.
    pub fn begin(&self, file: u32, open: &File, exact: bool, journal: &dyn Fn(Note)) -> bool {
        let mut table = self.lock();
        let known = table.known.get(file as usize).copied().flatten();
        if let Some(writing) = table.writing.get_mut(&file) {
            writing.count += 1;
            return false;
        }
        table.writing.insert(file, Writing { count: 1, exact, free: false, last: Instant::now() });
        let now = open.metadata().ok().map(|meta| Stamp::new(&meta));
        journal(Note::Writing(file));
        exact && known.zip(now).is_some_and(|(known, now)| known != now)
    }

    /// A file is written to otherwise than between [`Stamps::begin`] and [`Stamps::end`]: its stamp is taken anew with
    /// the next snapshots.
    pub fn touch(&self, file: u32, journal: &dyn Fn(Note)) {
        let mut table = self.lock();
        let now = Instant::now();
        let writing = table.writing.entry(file).or_insert_with(|| {
            journal(Note::Writing(file));
            Writing { count: 0, exact: false, free: true, last: now }
        });
        (writing.exact, writing.free, writing.last) = (false, true, now);
    }

    /// A write is over, well or not. `journal` is told how it left the file, where that is exact and no other write is
    /// under way.
    pub fn end(&self, file: u32, open: &File, journal: &dyn Fn(Note)) {
        let mut table = self.lock();
        let Some(writing) = table.writing.get_mut(&file) else { return };
        writing.count = writing.count.saturating_sub(1);
        writing.last = Instant::now();
        if writing.count > 0 || !writing.exact {
            return;
        }
        table.writing.remove(&file);
        if let (Ok(meta), Some(known)) = (open.metadata(), table.known.get_mut(file as usize)) {
            let stamp = Stamp::new(&meta);
            *known = Some(stamp);
            journal(Note::Left(file, stamp.changed));
        }
    }

    /// Whether a file, as it is now, is as we left it. One that was never there may come to be.
    #[must_use]
    pub fn is_as_left(&self, file: u32, now: Option<Stamp>) -> bool {
        let table = self.lock();
        let Some(known) = table.known.get(file as usize).copied().flatten() else { return true };
        match (now, table.writing.get(&file)) {
            (None, _) => false,
            (Some(_), Some(writing)) if writing.count > 0 || writing.free => true,
            (Some(now), Some(_)) => known.size == now.size && known.is_same_file(now),
            (Some(now), None) => known == now,
        }
    }

    /// The stamps as they are now. `look` looks at files whose time was not exact when they were written to.
    pub fn snapshot(&self, look: impl Fn(u32) -> Option<Stamp>) -> Snapshot {
        let mut table = self.lock();
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn made() -> (tempfile::NamedTempFile, Stamps) {
        let file = tempfile::NamedTempFile::new().unwrap();
        let stamps = Stamps::new(1);
        stamps.set(0, Some(Stamp::new(&file.as_file().metadata().unwrap())));
        (file, stamps)
    }

    fn look(file: &tempfile::NamedTempFile) -> Option<Stamp> {
        std::fs::metadata(file.path()).ok().map(|meta| Stamp::new(&meta))
    }

    /// What the journal heard.
    #[derive(Default)]
    struct Heard(std::cell::RefCell<Vec<Note>>);

    impl Heard {
        fn by(&self) -> impl Fn(Note) {
            |note| self.0.borrow_mut().push(note)
        }

        fn take(&self) -> Vec<Note> {
            std::mem::take(&mut self.0.borrow_mut())
        }
    }

    #[test]
    fn own_writes_raise_no_alarm_and_those_of_others_do() {
        let (file, stamps) = made();
        let mut handle = file.as_file();
        let heard = Heard::default();
        for _ in 0..3 {
            assert!(!stamps.begin(0, handle, true, &heard.by()) && !stamps.begin(0, handle, true, &heard.by()));
            assert_eq!(heard.take(), [Note::Writing(0)]);
            handle.write_all(b"ours").unwrap();
            assert!(stamps.is_as_left(0, look(&file)), "nothing is judged while it is written to");
            stamps.end(0, handle, &heard.by());
            assert_eq!(heard.take(), []);
            stamps.end(0, handle, &heard.by());
            assert_eq!(heard.take(), [Note::Left(0, look(&file).unwrap().changed)]);
            assert!(stamps.is_as_left(0, look(&file)));
        }
        // Each other way to change it: longer, shorter, another time, another file, none.
        let left = look(&file).unwrap();
        for now in [
            Stamp { size: left.size + 1, ..left },
            Stamp { size: left.size - 1, ..left },
            Stamp { changed: left.changed + 1, ..left },
            Stamp { id: left.id + 1, ..left },
        ] {
            assert!(!stamps.is_as_left(0, Some(now)), "{now:?}");
        }
        assert!(!stamps.is_as_left(0, None));
        file.as_file().set_modified(SystemTime::UNIX_EPOCH).unwrap();
        assert!(stamps.begin(0, handle, true, &|_| ()));
        stamps.end(0, handle, &|_| ());
        assert!(!stamps.begin(0, handle, true, &|_| ()), "it is told once");
    }

    #[test]
    fn times_that_the_system_sets_late_raise_no_alarm() {
        let (file, stamps) = made();
        let handle = file.as_file();
        let heard = Heard::default();
        for round in 0..3_u64 {
            assert!(!stamps.begin(0, handle, false, &heard.by()));
            stamps.end(0, handle, &heard.by());
            assert_eq!(heard.take(), if round == 0 { vec![Note::Writing(0)] } else { vec![] });
            file.as_file().set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(round)).unwrap();
            assert!(stamps.is_as_left(0, look(&file)));
            let snapshot = stamps.snapshot(|_| look(&file));
            assert_eq!(snapshot.stamps, [look(&file)]);
            assert_eq!((snapshot.open, snapshot.foreign), (vec![0], vec![]));
        }
        // Another file in its place is told all the same, and so is one that is shorter or gone.
        let left = look(&file).unwrap();
        let (other, cut) = (Stamp { id: left.id + 1, ..left }, Stamp { size: left.size + 1, ..left });
        for now in [Some(other), Some(cut), None] {
            assert!(!stamps.is_as_left(0, now));
            let snapshot = stamps.snapshot(|_| now);
            assert_eq!((snapshot.stamps, snapshot.foreign), (vec![Some(left)], vec![0]));
        }
    }
}
