//! Sizes and modification times of a torrent's files as this program left them.
//!
//! A stamp is taken right after a write of our own, or before a file is hashed - never from a later look at the file,
//! which may be somebody else's work by then. So a file that differs from its stamp was changed by another program.
//!
//! That is exact where the file system sets the modification time during the write call, as local file systems of Linux
//! do. Network and FUSE file systems may set it later, and so does Windows when a handle is closed: files there are
//! compared by size and identity only while they are written to, and their time is read when the record is saved.
//!
//! The journal notes writes that follow each other closely as one, a burst: an entry before and after each of thousands
//! of writes a second would cost more than it tells. Within a burst each write is compared with the one before all the
//! same. Only after a kill in the midst of a burst is the file taken as after a kill in the midst of a write.

use std::collections::HashMap;
use std::fs::{File, Metadata};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::disk::rawio;
use crate::disk::record::Note;

/// How long after the last write the system may still change a time that it does not set at once.
const SETTLING: Duration = Duration::from_secs(60);

/// Exact writes to a file that follow each other within this time are one burst.
pub const BURST_GAP: Duration = Duration::from_millis(20);

/// Size, modification time and identity of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stamp {
    /// The length in bytes.
    pub size: u64,
    /// When the file was last changed: nanoseconds since 1970.
    pub changed: i64,
    /// Inode number, or creation time where the system has no inodes; 0 where neither is known.
    pub id: u64,
    /// When the file or what is known of it was last changed, which nobody can put back: nanoseconds since 1970; 0 where that
    /// is not known or tells nothing.
    pub touched: i64,
}

impl Stamp {
    /// The stamp of a file from its metadata.
    #[must_use]
    pub fn new(meta: &Metadata) -> Self {
        let created = || meta.created().map_or(0, nanos) as u64;
        let id = rawio::inode(meta).map_or_else(created, |(_, inode)| inode);
        Stamp { size: meta.len(), changed: meta.modified().map_or(0, nanos), id, touched: rawio::touched(meta) }
    }

    /// Whether both are of one file that was not written to in between, as far as size and time tell.
    #[must_use]
    pub const fn is_same(self, other: Stamp) -> bool {
        self.is_same_content(other) && self.id == other.id
    }

    /// Whether a file that was left so is unchanged. Where times that can be put back are all that is known, a copy that
    /// keeps the time counts as the file.
    #[must_use]
    pub const fn is_unchanged(self, now: Stamp) -> bool {
        let touched = self.touched != 0 && now.touched != 0 && self.touched != now.touched;
        self.is_same_content(now) && !touched && (self.touched == 0 || self.is_same_file(now))
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
    /// Files that are written to or in a burst of writes, and those written to where times are not exact.
    writing: HashMap<u32, Writing>,
}

#[derive(Debug)]
struct Writing {
    /// Writes under way.
    count: u32,
    exact: bool,
    /// The modification time that the last exact write left.
    left: Option<i64>,
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
        // That a burst of exact writes ends is still to be noted.
        if table.writing.get(&file).is_some_and(|w| w.count == 0 && !w.exact) {
            table.writing.remove(&file);
        }
        if let Some(known) = table.known.get_mut(file as usize) {
            *known = stamp;
        }
    }

    /// A write begins; `exact` where the file system sets times at once. `journal` is told if no earlier write has told
    /// it, as in a burst: under the lock, so that no other write to the file can begin before that is noted. Returns
    /// whether another program has changed the file since our last write.
    pub fn begin(&self, file: u32, open: &File, exact: bool, journal: &dyn Fn(Note)) -> bool {
        let mut table = self.lock();
        let Table { known, writing } = &mut *table;
        let known = known.get(file as usize).copied().flatten();
        let writing = writing.entry(file).or_insert_with(|| {
            journal(Note::Writing(file));
            Writing { count: 0, exact, left: None, free: false, last: Instant::now() }
        });
        writing.count += 1;
        if writing.count > 1 || !writing.exact {
            return false;
        }
        let now = open.metadata().ok().map(|meta| Stamp::new(&meta));
        known.zip(now).is_some_and(|(known, now)| !known.is_same(now))
    }

    /// A file is written to otherwise than between [`Stamps::begin`] and [`Stamps::end`]: its stamp is taken anew with
    /// the next snapshots.
    pub fn touch(&self, file: u32, journal: &dyn Fn(Note)) {
        let mut table = self.lock();
        let now = Instant::now();
        let writing = table.writing.entry(file).or_insert_with(|| {
            journal(Note::Writing(file));
            Writing { count: 0, exact: false, left: None, free: true, last: now }
        });
        (writing.exact, writing.free, writing.last) = (false, true, now);
    }

    /// A write is over, well or not. How it left the file is kept, where that is exact and no other write is under way;
    /// [`Stamps::end_bursts`] has it noted.
    pub fn end(&self, file: u32, open: &File) {
        let mut table = self.lock();
        let Table { known, writing } = &mut *table;
        let Some(writing) = writing.get_mut(&file) else { return };
        writing.count = writing.count.saturating_sub(1);
        writing.last = Instant::now();
        if writing.count > 0 || !writing.exact {
            return;
        }
        let stamp = open.metadata().ok().map(|meta| Stamp::new(&meta));
        writing.left = stamp.map(|stamp| stamp.changed);
        if let Some(known) = known.get_mut(file as usize).filter(|_| stamp.is_some()) {
            *known = stamp;
        }
    }

    /// Ends the bursts of which the last write is [`BURST_GAP`] old: `journal` is told how they left their files. Returns
    /// when to look again, if there are others that no write is under way in.
    pub fn end_bursts(&self, now: Instant, journal: &dyn Fn(Note)) -> Option<Instant> {
        let mut table = self.lock();
        table.end_bursts(|writing| now >= writing.last + BURST_GAP, journal);
        table.writing.values().filter(|writing| writing.is_resting()).map(|writing| writing.last + BURST_GAP).min()
    }

    /// How a file was left, as far as that is known.
    #[must_use]
    pub fn known(&self, file: u32) -> Option<Stamp> {
        self.lock().known.get(file as usize).copied().flatten()
    }

    /// Whether a file, as it is now, is as we left it. One that was never there may come to be.
    #[must_use]
    pub fn is_as_left(&self, file: u32, now: Option<Stamp>) -> bool {
        let table = self.lock();
        let Some(known) = table.known.get(file as usize).copied().flatten() else { return true };
        match (now, table.writing.get(&file)) {
            (None, _) => false,
            (Some(_), Some(writing)) if writing.count > 0 || writing.free => true,
            (Some(now), Some(writing)) if !writing.exact => known.size == now.size && known.is_same_file(now),
            (Some(now), _) => known.is_same(now),
        }
    }

    /// The stamps as they are now. `look` looks at files whose time was not exact when they were written to. Bursts that
    /// no write is under way in end, and `journal` is told.
    pub fn snapshot(&self, look: impl Fn(u32) -> Option<Stamp>, journal: &dyn Fn(Note)) -> Snapshot {
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
    /// Ends the bursts that are over, but for those in which a write is under way.
    fn end_bursts(&mut self, is_over: impl Fn(&Writing) -> bool, journal: &dyn Fn(Note)) {
        self.writing.retain(|file, writing| {
            if !writing.is_resting() || !is_over(writing) {
                return true;
            }
            if let Some(left) = writing.left {
                journal(Note::Left(*file, left));
            }
            false
        });
    }
}

impl Writing {
    /// Whether it is a burst in which no write is under way.
    const fn is_resting(&self) -> bool {
        self.exact && self.count == 0
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

    /// What the journal hears when the last write is long over.
    fn end_bursts(stamps: &Stamps, heard: &Heard) -> Vec<Note> {
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
            assert_eq!(heard.take(), [Note::Writing(0)]);
            handle.write_all(b"ours").unwrap();
            assert!(stamps.is_as_left(0, look(&file)), "nothing is judged while it is written to");
            stamps.end(0, handle);
            assert_eq!(end_bursts(&stamps, &heard), [], "another write is under way");
            stamps.end(0, handle);
            assert_eq!(end_bursts(&stamps, &heard), [Note::Left(0, look(&file).unwrap().changed)]);
            assert_eq!(end_bursts(&stamps, &heard), [], "it is told once");
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
        stamps.end(0, handle);
        assert!(!stamps.begin(0, handle, true, &|_| ()), "it is told once");
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
        assert_eq!(heard.take(), [Note::Writing(0)]);
        change();
        assert!(!stamps.is_as_left(0, look(&file)), "it is compared also within a burst");
        write(true);
        assert!(stamps.is_as_left(0, look(&file)));
        let left = look(&file).unwrap();
        // Changed once more by another program: what is noted is how our last write left it, not how it is.
        change();
        let again = stamps.end_bursts(start, &heard.by()).unwrap();
        assert!(again >= start + BURST_GAP && heard.take().is_empty(), "another write may follow");
        assert_eq!(stamps.end_bursts(again, &heard.by()), None);
        assert_eq!(heard.take(), [Note::Left(0, left.changed)]);
        assert!(!stamps.is_as_left(0, look(&file)));
        write(true);
        assert_eq!(heard.take(), [Note::Writing(0)], "the next burst");
        // A record ends it at once, and says the same; also of a file that was taken anew meanwhile.
        let left = look(&file).unwrap();
        change();
        stamps.set(0, look(&file));
        let snapshot = stamps.snapshot(|_| unreachable!("no file is looked at whose time is exact"), &heard.by());
        assert_eq!((snapshot.stamps, snapshot.open), (vec![look(&file)], vec![]));
        assert_eq!(heard.take(), [Note::Left(0, left.changed)]);
    }

    #[test]
    fn a_write_that_is_under_way_at_a_record_is_told_to_be() {
        let (file, stamps) = made();
        let heard = Heard::default();
        stamps.begin(0, file.as_file(), true, &heard.by());
        let snapshot = stamps.snapshot(|_| unreachable!("no file is looked at whose time is exact"), &heard.by());
        assert_eq!((snapshot.open, snapshot.foreign), (vec![0], vec![]));
        assert_eq!(heard.take(), [Note::Writing(0)]);
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
            assert_eq!(heard.take(), if round == 0 { vec![Note::Writing(0)] } else { vec![] });
            file.as_file().set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(round)).unwrap();
            assert!(stamps.is_as_left(0, look(&file)));
            let snapshot = stamps.snapshot(|_| look(&file), &heard.by());
            assert_eq!(snapshot.stamps, [look(&file)]);
            assert_eq!((snapshot.open, snapshot.foreign), (vec![0], vec![]));
        }
        // Another file in its place is told all the same, and so is one that is shorter or gone.
        let left = look(&file).unwrap();
        let (other, cut) = (Stamp { id: left.id + 1, ..left }, Stamp { size: left.size + 1, ..left });
        for now in [Some(other), Some(cut), None] {
            assert!(!stamps.is_as_left(0, now));
            let snapshot = stamps.snapshot(|_| now, &heard.by());
            assert_eq!((snapshot.stamps, snapshot.foreign), (vec![Some(left)], vec![0]));
        }
    }
}
