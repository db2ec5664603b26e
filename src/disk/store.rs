//! Where a torrent's resume record lies: base, previous base and journals in the state folder.
//!
//! Reading never fails: what is damaged is set aside under another name and said, and what came before it is used.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use sha1::{Digest, Sha1};

use crate::disk::atomic::{self, make_private, private, remove};
use crate::disk::claims::{self, Claim};
use crate::disk::fault::{self, Doing};
use crate::disk::layout::Layout;
use crate::disk::record::{Base, JournalHead, Note, RecordError};
use crate::disk::stamps::nanos;
use crate::swarm::job::{DiskFault, Totals};
use crate::wire::message::InfoHash;

mod moved;

/// The most bytes of a journal that are read: it is begun anew every half minute.
const JOURNAL: u64 = 64 << 20;
/// The ending of the file that tells what is counted over all runs.
const TOTALS: &str = "totals";

/// The names of a torrent's record in the state folder.
#[derive(Clone, Debug)]
pub struct Store {
    folder: PathBuf,
    name: String,
}

/// What was found of a record.
#[derive(Debug, Default)]
pub struct Found {
    /// The base, with what the journals told since worked in.
    pub base: Option<Base>,
    /// The generation of the last journal, or of the base if it has none.
    pub generation: u64,
    /// The time of the last entry: nanoseconds since 1970.
    pub last: i64,
    /// Entries in the journals after the base.
    pub entries: usize,
    /// Whether base and journals were all written since the machine was started.
    pub same_boot: bool,
    /// Files that were written to since the base.
    pub writes: BTreeMap<u32, Writes>,
    /// What a person should hear.
    pub notes: Vec<String>,
    /// Why it could not be read, where that may pass: too many open files, an I/O error.
    pub fault: Option<DiskFault>,
}

/// What the journals say of the writes to a file since the base.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Writes {
    /// Writes that were begun and whose end is not noted.
    pub open: u32,
    /// The modification time that the last write left: nanoseconds since 1970.
    pub left: Option<i64>,
}

impl Store {
    /// The record of a torrent in a download folder.
    #[must_use]
    pub fn new(folder: &Path, torrent: InfoHash, dir: &Path) -> Self {
        let place = Sha1::digest(resolved(dir).as_os_str().as_encoded_bytes());
        let place: String = place[..6].iter().map(|b| format!("{b:02x}")).collect();
        Store { folder: folder.to_path_buf(), name: format!("{torrent}-{place}") }
    }

    fn path(&self, ending: &str) -> PathBuf {
        self.folder.join(format!("{}.{ending}", self.name))
    }

    /// The path of the record, for sentences.
    #[must_use]
    pub fn record(&self) -> PathBuf {
        self.path("resume")
    }

    fn journal(&self, generation: u64) -> PathBuf {
        self.path(&format!("journal-{generation}"))
    }

    /// Claims this torrent in this folder, until the claim is dropped.
    ///
    /// # Errors
    /// When another process has it, with its number. That the state folder cannot be written is no error: the second
    /// value says why nothing is protected then.
    pub fn claim(&self) -> Result<(Claim, Option<io::Error>), DiskFault> {
        claims::claim(&self.folder, &self.name)
    }

    /// Reads what there is of a record; sets aside what is damaged.
    #[must_use]
    pub fn read(&self, layout: &Layout, boot: &str) -> Found {
        let mut found = Found::default();
        for ending in ["resume", "resume-before"] {
            let path = self.path(ending);
            match self.read_base(&path, layout) {
                Ok(Some((base, time))) => {
                    found.generation = base.generation;
                    found.base = Some(base);
                    found.last = time;
                    break;
                }
                Ok(None) => {}
                Err(Unread::Damaged(why)) => found.notes.push(self.set_aside(&path, &why)),
                // There is nothing wrong with it: nothing less may be believed in its place.
                Err(Unread::Fault(fault)) => {
                    found.fault = Some(fault);
                    return found;
                }
            }
        }
        found.same_boot = found.base.as_ref().is_some_and(|b| !boot.is_empty() && b.boot == boot);
        self.replay(&mut found, boot, layout);
        found
    }

    /// The pieces that are there by the record alone, as a bitfield of BEP 3: nobody looks at the files, and nothing is
    /// changed. `None` where there is no record that can be read.
    #[must_use]
    pub fn recall(&self, layout: &Layout) -> Option<Vec<u8>> {
        let (base, _) = self.read_base(&self.record(), layout).ok()??;
        let mut found = Found { base: Some(base), ..Found::default() };
        self.replay(&mut found, "", layout);
        let base = found.base?;
        Some(base.written.iter().zip(&base.unsure).map(|(written, unsure)| written & !unsure).collect())
    }

    fn read_base(&self, path: &Path, layout: &Layout) -> Result<Option<(Base, i64)>, Unread> {
        let meta = match fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(|e| Unread::new(path, &e))?,
        };
        if !meta.is_file() {
            return Err(Unread::Damaged("it is not a file".into()));
        }
        if meta.len() > Base::longest(layout) {
            return Err(Unread::Damaged(RecordError::Damaged.to_string()));
        }
        let bytes = fs::read(path).map_err(|e| Unread::new(path, &e))?;
        let base = Base::decode(&bytes, layout).map_err(|e| Unread::Damaged(e.to_string()))?;
        Ok(Some((base, meta.modified().map_or(0, nanos))))
    }

    /// Works in what the journals of this base and of those that came after it tell.
    fn replay(&self, found: &mut Found, boot: &str, layout: &Layout) {
        let Some(base) = &mut found.base else { return };
        let pieces = layout.geometry().pieces();
        let mut doubted = Vec::new();
        let set = |bits: &mut Vec<u8>, piece: u32, on: bool| {
            if let Some(byte) = bits.get_mut((piece / 8) as usize).filter(|_| piece < pieces) {
                let bit = 0x80_u8 >> (piece % 8);
                *byte = if on { *byte | bit } else { *byte & !bit };
            }
        };
        for generation in base.generation.. {
            let path = self.journal(generation);
            let (bytes, time) = match read_bounded(&path) {
                Ok(Some(read)) => read,
                Ok(None) => break,
                Err(error) => {
                    if let Unread::Fault(fault) = Unread::new(&path, &error) {
                        found.fault = Some(fault);
                    }
                    break;
                }
            };
            let Ok((head, notes)) = JournalHead::decode(&bytes) else { break };
            if (head.chain, head.generation) != (base.chain, generation) {
                break;
            }
            found.generation = generation;
            found.same_boot &= head.boot == boot;
            found.last = found.last.max(time);
            found.entries += notes.len();
            for note in notes {
                match note {
                    Note::Written(piece) => {
                        set(&mut base.written, piece, true);
                        set(&mut base.unsure, piece, false);
                    }
                    Note::Lost(piece) => {
                        set(&mut base.written, piece, false);
                        set(&mut base.synced, piece, false);
                        set(&mut base.unsure, piece, false);
                    }
                    Note::Alive => {}
                    Note::Doubt(file) => doubted.push(file),
                    Note::Writing(file) => found.writes.entry(file).or_default().open += 1,
                    Note::Left(file, time) => {
                        let writes = found.writes.entry(file).or_default();
                        writes.open = writes.open.saturating_sub(1);
                        writes.left = writes.left.max(Some(time));
                    }
                }
            }
        }
        // Whether a piece came before or after its file was changed: only its hash can tell.
        for file in doubted {
            layout.doubtful(file).for_each(|piece| set(&mut base.unsure, piece, true));
        }
    }

    /// Gives a damaged record another name, so that a person can look at it and it is in nobody's way.
    fn set_aside(&self, path: &Path, why: &str) -> String {
        let ending = path.extension().unwrap_or_default().to_string_lossy().into_owned();
        let date = date(SystemTime::now());
        let free = |n: u32| {
            let ending = if n == 0 { format!("{ending}.bad-{date}") } else { format!("{ending}.bad-{date}-{n}") };
            Some(self.path(&ending)).filter(|p| fs::symlink_metadata(p).is_err())
        };
        let moved = (0..100).find_map(free).map(|aside| fs::rename(path, &aside).map(|()| aside));
        match moved {
            Some(Ok(aside)) => {
                format!("the resume record could not be used ({why}); it is kept as {}", aside.display())
            }
            _ => format!("the resume record {} could not be used ({why})", path.display()),
        }
    }

    /// Begins a journal with these notes.
    ///
    /// # Errors
    /// The system's. There is no such journal then.
    pub fn begin_journal(&self, head: &JournalHead, notes: &[Note]) -> io::Result<File> {
        let path = self.journal(head.generation);
        remove(&path)?;
        let mut file = private().append(true).create_new(true).open(&path)?;
        let mut bytes = head.encode();
        notes.iter().for_each(|note| bytes.extend_from_slice(&head.entry(*note)));
        file.write_all(&bytes).inspect_err(|_| drop(remove(&path)))?;
        Ok(file)
    }

    /// Opens a journal that was begun, to go on.
    ///
    /// # Errors
    /// The system's.
    pub fn open_journal(&self, generation: u64) -> io::Result<File> {
        private().append(true).open(self.journal(generation))
    }

    /// Deletes the journals of these generations.
    pub fn drop_journals(&self, generations: std::ops::Range<u64>) {
        for generation in generations {
            let _ = remove(&self.journal(generation));
        }
    }

    /// Writes a base under a name of its own, synced if it is to be `durable`. Makes the state folder if need be.
    ///
    /// # Errors
    /// The system's. The records are then as they were.
    pub fn write_new(&self, bytes: &[u8], durable: bool) -> io::Result<()> {
        let path = self.path("resume-new");
        let made = || private().create_new(true).open(&path);
        remove(&path)?;
        let file = match made() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                make_private(&self.folder)?;
                made()
            }
            other => other,
        };
        let written = file.and_then(|mut file| {
            file.write_all(bytes)?;
            if durable { file.sync_all() } else { Ok(()) }
        });
        written.inspect_err(|_| drop(remove(&path)))
    }

    /// Makes the base that was written last the record; with `keep_last` the one that was the record is kept as the one
    /// before.
    ///
    /// # Errors
    /// The system's. The records are then as they were.
    pub fn rename_new(&self, keep_last: bool) -> io::Result<()> {
        if keep_last {
            // A kill between the two leaves the one before: nothing is lost.
            match fs::rename(self.path("resume"), self.path("resume-before")) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        fs::rename(self.path("resume-new"), self.path("resume"))
    }

    /// Makes sure that the names in the state folder survive a power cut.
    ///
    /// # Errors
    /// The system's.
    pub fn sync_folder(&self) -> io::Result<()> {
        #[cfg(unix)]
        File::open(&self.folder)?.sync_all()?;
        Ok(())
    }

    /// Writes what is counted over all runs. A power cut may leave what was written before.
    ///
    /// # Errors
    /// The system's. What was written before is then as it was.
    pub fn write_totals(&self, totals: &Totals) -> io::Result<()> {
        let most = |n: u64| n.min(i64::MAX as u64);
        let (down, up) = (most(totals.downloaded), most(totals.uploaded));
        let text = format!("downloaded = {down}\nuploaded = {up}\nwas-whole = {}\n", totals.was_whole);
        atomic::replace(&self.path(TOTALS), &self.path("totals-new"), None, text.as_bytes(), false)
    }

    /// Reads what was counted in earlier runs: nothing where there is no record of it, or a damaged one.
    ///
    /// # Errors
    /// The system's, where the record is there and cannot be read now: it must not be taken for none, and written over.
    pub fn read_totals(&self) -> io::Result<Totals> {
        let text = read_bounded(&self.path(TOTALS))?.and_then(|(bytes, _)| String::from_utf8(bytes).ok());
        let table = text.and_then(|text| text.parse::<toml::Table>().ok()).unwrap_or_default();
        let number = |key: &str| table.get(key).and_then(toml::Value::as_integer).map_or(0, |n| n.max(0) as u64);
        Ok(Totals {
            downloaded: number("downloaded"),
            uploaded: number("uploaded"),
            was_whole: table.get("was-whole").and_then(toml::Value::as_bool).unwrap_or(false),
        })
    }

    /// Deletes all of the record.
    pub fn delete(&self) {
        for ending in self.endings() {
            let _ = remove(&self.path(&ending));
        }
    }

    /// Makes this the record of the same torrent in another folder, in place of what is known of it there. Both must be
    /// claimed. What cannot be handed over costs a check, no more.
    pub fn hand_over(&self, to: &Store) {
        to.delete();
        for ending in self.endings() {
            if let Err(error) = fs::rename(self.path(&ending), to.path(&ending)) {
                log::warn!("{} cannot be handed over: {error}", self.path(&ending).display());
            }
        }
    }

    /// The name that its files in the state folder begin with.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether this is the record of the same folder.
    #[must_use]
    pub fn is(&self, other: &Store) -> bool {
        self.name == other.name
    }

    /// The endings of the files that the record consists of, without what was set aside.
    fn endings(&self) -> Vec<String> {
        let prefix = format!("{}.", self.name);
        let mine =
            |e: &str| e == TOTALS || e.starts_with("journal-") || (e.starts_with("resume") && !e.contains("bad-"));
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let ending = |entry: fs::DirEntry| entry.file_name().to_str()?.strip_prefix(&prefix).map(str::to_owned);
        entries.filter_map(ending).filter(|e| mine(e)).collect()
    }
}

/// Why a record was not read.
enum Unread {
    /// The system could not read it, and may be able to later.
    Fault(DiskFault),
    /// It can never be read.
    Damaged(String),
}

impl Unread {
    fn new(path: &Path, error: &io::Error) -> Self {
        match fault::system(Doing::Read, path, error, 0) {
            fault if fault.kind.may_pass() => Unread::Fault(fault),
            _ => Unread::Damaged(error.to_string()),
        }
    }
}

/// The beginning of a plain file and its time of change; `None` where there is none.
fn read_bounded(path: &Path) -> io::Result<Option<(Vec<u8>, i64)>> {
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_file() => {}
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => return Ok(None),
    }
    let file = File::open(path)?;
    let time = file.metadata()?.modified().map_or(0, nanos);
    let mut bytes = Vec::new();
    file.take(JOURNAL).read_to_end(&mut bytes)?;
    Ok(Some((bytes, time)))
}

/// A folder's one name: links resolved as far as it exists.
pub(super) fn resolved(dir: &Path) -> PathBuf {
    let whole = std::path::absolute(dir).unwrap_or_else(|_| dir.to_path_buf());
    for there in whole.ancestors() {
        if let (Ok(real), Ok(rest)) = (fs::canonicalize(there), whole.strip_prefix(there)) {
            return if rest.as_os_str().is_empty() { real } else { real.join(rest) };
        }
    }
    whole
}

/// Whether somebody works on the torrent and in the folder whose record has this name.
pub(super) fn is_at_work(folder: &Path, name: &str) -> bool {
    claims::is_claimed(folder, name)
}

/// Which start of the machine this is; empty where the system does not tell.
#[must_use]
pub fn boot() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map_or(String::new(), |id| id.trim().chars().take(64).collect())
}

/// A moment as `20260131-235959`, UTC.
fn date(now: SystemTime) -> String {
    let seconds = now.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let (mut days, time) = (seconds / 86_400, seconds % 86_400);
    let mut year = 1970;
    let leap = |y: u64| y.is_multiple_of(4) && (!y.is_multiple_of(100) || y.is_multiple_of(400));
    while days >= 365 + u64::from(leap(year)) {
        days -= 365 + u64::from(leap(year));
        year += 1;
    }
    let months = [31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while days >= months[month] {
        days -= months[month];
        month += 1;
    }
    let (hour, minute, second) = (time / 3600, time / 60 % 60, time % 60);
    format!("{year}{:02}{:02}-{hour:02}{minute:02}{second:02}", month + 1, days + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn dates_are_those_of_the_calendar() {
        let at = |seconds| date(UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(0), "19700101-000000");
        assert_eq!(at(951_827_696), "20000229-123456");
        assert_eq!(at(1_798_761_599), "20261231-235959");
    }

    #[test]
    fn a_folder_has_one_record_by_whatever_name_it_is_called() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("real")).unwrap();
        let name = |p: PathBuf| Store::new(dir.path(), InfoHash([1; 20]), &p).name;
        let real = name(dir.path().join("real"));
        assert_eq!(name(dir.path().join("real/.")), real);
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(dir.path().join("real"), dir.path().join("link")).unwrap();
            assert_eq!(name(dir.path().join("link")), real);
        }
        assert_ne!(name(dir.path().join("other")), real);
    }

    #[cfg(unix)]
    #[test]
    fn a_record_that_cannot_be_read_for_now_is_neither_set_aside_nor_passed_over() {
        use crate::disk::layout::tests::layout;
        use rustix::io::Errno;
        for errno in [Errno::MFILE, Errno::NFILE, Errno::IO, Errno::STALE, Errno::LOOP] {
            assert!(matches!(Unread::new(Path::new("/x"), &errno.into()), Unread::Fault(_)), "{errno:?}");
        }
        for errno in [Errno::ACCESS, Errno::ISDIR, Errno::NAMETOOLONG] {
            assert!(matches!(Unread::new(Path::new("/x"), &errno.into()), Unread::Damaged(_)), "{errno:?}");
        }
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("loop", dir.path().join("loop")).unwrap();
        let store = Store::new(&dir.path().join("loop"), InfoHash([1; 20]), dir.path());
        let found = store.read(&layout(4, &[(Some("a"), 40)]), "");
        assert!(found.fault.is_some() && found.notes.is_empty(), "{found:?}");
    }

    #[test]
    fn totals_come_back_go_with_the_record_and_end_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let store = |name: &str| Store::new(dir.path(), InfoHash([1; 20]), &dir.path().join(name));
        let (here, there) = (store("a"), store("b"));
        assert_eq!(here.read_totals().unwrap(), Totals::default());
        for n in [0, 5, i64::MAX as u64] {
            let totals = Totals { downloaded: n, uploaded: n / 2, was_whole: n > 0 };
            here.write_totals(&totals).unwrap();
            assert_eq!(here.read_totals().unwrap(), totals);
        }
        let last = here.read_totals().unwrap();
        here.hand_over(&there);
        assert_eq!((here.read_totals().unwrap(), there.read_totals().unwrap()), (Totals::default(), last));
        for damaged in [&b""[..], b"\xff\xfe", b"uploaded = -7", b"uploaded = \"x\""] {
            fs::write(here.path(TOTALS), damaged).unwrap();
            assert_eq!(here.read_totals().unwrap(), Totals::default());
        }
        there.delete();
        assert_eq!(there.read_totals().unwrap(), Totals::default());
    }
}
