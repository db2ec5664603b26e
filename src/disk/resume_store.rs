//! Storage of resume data in the state folder: base, previous base, journals, and totals.
//!
//! Damaged resume data do not make loading fail: the file is renamed, reported to the user, and the previous base is
//! used.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use sha1::{Digest, Sha1};

use crate::clock::unix_seconds;
use crate::disk::atomic_file::{self, make_private, private, remove};
use crate::disk::error::{self, DiskOp};
use crate::disk::file_stamp::nanos;
use crate::disk::layout::Layout;
use crate::disk::lock::claims::{self, Claim};
use crate::disk::resume_format::{JournalEntry, JournalHeader, ResumeData, ResumeDataError};
use crate::format;
use crate::swarm::job::{DiskFault, Totals};
use crate::wire::message::InfoHash;

mod moved;

/// The most bytes of a journal that are read: it is begun anew every half minute.
const JOURNAL: u64 = 64 << 20;
/// Extension of the file with the totals of all sessions.
const TOTALS: &str = "totals";

/// The resume files of one torrent in one download folder.
#[derive(Clone, Debug)]
pub struct ResumeStore {
    folder: PathBuf,
    name: String,
}

/// The result of loading resume data.
#[derive(Debug, Default)]
pub struct LoadedResume {
    /// The base with its journals replayed; `None` if there are no usable resume data.
    pub base: Option<ResumeData>,
    /// The generation of the last journal, or of the base if it has no journal.
    pub generation: u64,
    /// The mtime of the base or of its latest journal, in nanoseconds since 1970.
    pub last: i64,
    /// Number of journal entries replayed on the base.
    pub entries: usize,
    /// Whether base and journals were all written since the last reboot.
    pub same_boot: bool,
    /// Writes recorded since the base, by file index.
    pub writes: BTreeMap<u32, Writes>,
    /// Messages for the user about damaged resume data.
    pub notes: Vec<String>,
    /// A transient error that prevented loading: too many open files, an I/O error.
    pub fault: Option<DiskFault>,
}

/// The writes to a file recorded in the journals since the base.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Writes {
    /// Number of writes that were started and whose end is not recorded.
    pub open: u32,
    /// The mtime left by the last finished write, in nanoseconds since 1970.
    pub left: Option<i64>,
}

impl ResumeStore {
    /// Returns the store of a torrent in download folder `dir`; its files are in the state folder `folder`.
    #[must_use]
    pub fn new(folder: &Path, torrent: InfoHash, dir: &Path) -> Self {
        let place = Sha1::digest(resolved(dir).as_os_str().as_encoded_bytes());
        let place: String = place[..6].iter().map(|b| format!("{b:02x}")).collect();
        ResumeStore { folder: folder.to_path_buf(), name: format!("{torrent}-{place}") }
    }

    fn path(&self, ending: &str) -> PathBuf {
        self.folder.join(format!("{}.{ending}", self.name))
    }

    /// Returns the path of the base, for messages.
    #[must_use]
    pub fn record(&self) -> PathBuf {
        self.path("resume")
    }

    fn journal(&self, generation: u64) -> PathBuf {
        self.path(&format!("journal-{generation}"))
    }

    /// Claims the torrent in this download folder until the claim is dropped.
    ///
    /// An unwritable state folder is not an error: the second value is then the reason why nothing is protected.
    ///
    /// # Errors
    /// If the torrent is claimed already, with the pid of the process.
    pub fn claim(&self) -> Result<(Claim, Option<io::Error>), DiskFault> {
        claims::claim(&self.folder, &self.name)
    }

    /// Loads the resume data; renames damaged files. `boot` is the current boot id.
    #[must_use]
    pub fn read(&self, layout: &Layout, boot: &str) -> LoadedResume {
        let mut found = LoadedResume::default();
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
                Err(LoadError::Damaged(why)) => found.notes.push(self.set_aside(&path, &why)),
                // The base may be intact: an older one must not be used in its place.
                Err(LoadError::Fault(fault)) => {
                    found.fault = Some(fault);
                    return found;
                }
            }
        }
        found.same_boot = found.base.as_ref().is_some_and(|b| !boot.is_empty() && b.boot == boot);
        self.replay(&mut found, boot, layout);
        found
    }

    /// Returns the pieces present according to the resume data alone, as a BEP 3 bitfield.
    ///
    /// Neither looks at the torrent's files nor changes anything. Returns `None` if there are no readable resume data.
    #[must_use]
    pub fn load_bitfield(&self, layout: &Layout) -> Option<Vec<u8>> {
        let (base, _) = self.read_base(&self.record(), layout).ok()??;
        let mut found = LoadedResume { base: Some(base), ..LoadedResume::default() };
        self.replay(&mut found, "", layout);
        let base = found.base?;
        Some(base.written.iter().zip(&base.unverified).map(|(written, unsure)| written & !unsure).collect())
    }

    fn read_base(&self, path: &Path, layout: &Layout) -> Result<Option<(ResumeData, i64)>, LoadError> {
        let meta = match fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(|e| LoadError::new(path, &e))?,
        };
        if !meta.is_file() {
            return Err(LoadError::Damaged("it is not a file".into()));
        }
        if meta.len() > ResumeData::longest(layout) {
            return Err(LoadError::Damaged(ResumeDataError::Damaged.to_string()));
        }
        let bytes = fs::read(path).map_err(|e| LoadError::new(path, &e))?;
        let base = ResumeData::decode(&bytes, layout).map_err(|e| LoadError::Damaged(e.to_string()))?;
        Ok(Some((base, meta.modified().map_or(0, nanos))))
    }

    /// Replays the journal of the base and those of later generations.
    fn replay(&self, found: &mut LoadedResume, boot: &str, layout: &Layout) {
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
                    if let LoadError::Fault(fault) = LoadError::new(&path, &error) {
                        found.fault = Some(fault);
                    }
                    break;
                }
            };
            let Ok((head, notes)) = JournalHeader::decode(&bytes) else { break };
            if (head.chain, head.generation) != (base.chain, generation) {
                break;
            }
            found.generation = generation;
            found.same_boot &= head.boot == boot;
            found.last = found.last.max(time);
            found.entries += notes.len();
            for note in notes {
                match note {
                    JournalEntry::PieceWritten(piece) => {
                        set(&mut base.written, piece, true);
                        set(&mut base.unverified, piece, false);
                    }
                    JournalEntry::PieceInvalid(piece) => {
                        set(&mut base.written, piece, false);
                        set(&mut base.synced, piece, false);
                        set(&mut base.unverified, piece, false);
                    }
                    JournalEntry::Heartbeat => {}
                    JournalEntry::FileChanged(file) => doubted.push(file),
                    JournalEntry::WriteStarted(file) => found.writes.entry(file).or_default().open += 1,
                    JournalEntry::WriteEnded(file, time) => {
                        let writes = found.writes.entry(file).or_default();
                        writes.open = writes.open.saturating_sub(1);
                        writes.left = writes.left.max(Some(time));
                    }
                }
            }
        }
        // It is unknown whether a piece was written before or after the file was changed: the piece must be hashed.
        for file in doubted {
            layout.doubtful(file).for_each(|piece| set(&mut base.unverified, piece, true));
        }
    }

    /// Renames a damaged file so that the user can inspect it. Returns the message for the user.
    fn set_aside(&self, path: &Path, why: &str) -> String {
        let ending = path.extension().unwrap_or_default().to_string_lossy().into_owned();
        let now = unix_seconds().and_then(|now| i64::try_from(now).ok());
        let date = now.and_then(format::date_in_file_name).unwrap_or_else(|| "undated".to_owned());
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

    /// Starts a journal with these entries.
    ///
    /// # Errors
    /// The I/O error of the system. The journal does not exist then.
    pub fn begin_journal(&self, head: &JournalHeader, notes: &[JournalEntry]) -> io::Result<File> {
        let path = self.journal(head.generation);
        remove(&path)?;
        let mut file = private().append(true).create_new(true).open(&path)?;
        let mut bytes = head.encode();
        notes.iter().for_each(|note| bytes.extend_from_slice(&head.entry(*note)));
        file.write_all(&bytes).inspect_err(|_| drop(remove(&path)))?;
        Ok(file)
    }

    /// Opens an existing journal for appending.
    ///
    /// # Errors
    /// The I/O error of the system.
    pub fn open_journal(&self, generation: u64) -> io::Result<File> {
        private().append(true).open(self.journal(generation))
    }

    pub fn drop_journals(&self, generations: std::ops::Range<u64>) {
        for generation in generations {
            let _ = remove(&self.journal(generation));
        }
    }

    /// Writes a base under a temporary name, fsynced if `durable`. Creates the state folder if needed.
    ///
    /// # Errors
    /// The I/O error of the system. The current resume data are unchanged then.
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

    /// Renames the temporary base to its final name; with `keep_last` the current base is kept as previous.
    ///
    /// # Errors
    /// The I/O error of the system. A failure of the second rename leaves only the previous base.
    pub fn rename_new(&self, keep_last: bool) -> io::Result<()> {
        if keep_last {
            // A crash between the two renames leaves the previous base: nothing is lost.
            match fs::rename(self.path("resume"), self.path("resume-before")) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        fs::rename(self.path("resume-new"), self.path("resume"))
    }

    /// Fsyncs the state folder, so that the renames survive a power loss. No-op on Windows.
    ///
    /// # Errors
    /// The I/O error of the system.
    pub fn sync_folder(&self) -> io::Result<()> {
        #[cfg(unix)]
        File::open(&self.folder)?.sync_all()?;
        Ok(())
    }

    /// Writes the totals of all sessions, without fsync: a power loss may leave the previous totals.
    ///
    /// # Errors
    /// The I/O error of the system. The previous totals are unchanged then.
    pub fn write_totals(&self, totals: &Totals) -> io::Result<()> {
        let most = |n: u64| n.min(i64::MAX as u64);
        let (down, up) = (most(totals.downloaded), most(totals.uploaded));
        let text = format!("downloaded = {down}\nuploaded = {up}\nwas-whole = {}\n", totals.was_whole);
        atomic_file::replace(&self.path(TOTALS), &self.path("totals-new"), None, text.as_bytes(), false)
    }

    /// Reads the totals of earlier sessions; zeros if the file is missing or damaged.
    ///
    /// # Errors
    /// The I/O error if the file exists but cannot be read now: treating it as missing would overwrite the totals.
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

    /// Deletes base, previous base, journals and totals; keeps damaged files that were renamed.
    pub fn delete(&self) {
        for ending in self.endings() {
            let _ = remove(&self.path(&ending));
        }
    }

    /// Makes this the resume data of another download folder, replacing what is stored for that folder.
    ///
    /// Both must be claimed. A failure only costs a recheck.
    pub fn move_to(&self, to: &ResumeStore) {
        to.delete();
        for ending in self.endings() {
            if let Err(error) = fs::rename(self.path(&ending), to.path(&ending)) {
                tracing::warn!("{} cannot be handed over: {error}", self.path(&ending).display());
            }
        }
    }

    /// Returns the file name prefix of this store: info-hash and a hash of the download folder.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns whether both stores have the same torrent and download folder.
    #[must_use]
    pub fn is(&self, other: &ResumeStore) -> bool {
        self.name == other.name
    }

    /// Returns the extensions of the existing resume files, without damaged ones that were renamed.
    fn endings(&self) -> Vec<String> {
        let prefix = format!("{}.", self.name);
        let mine =
            |e: &str| e == TOTALS || e.starts_with("journal-") || (e.starts_with("resume") && !e.contains("bad-"));
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let ending = |entry: fs::DirEntry| entry.file_name().to_str()?.strip_prefix(&prefix).map(str::to_owned);
        entries.filter_map(ending).filter(|e| mine(e)).collect()
    }
}

/// Why a base was not loaded.
enum LoadError {
    /// A transient error; reading may succeed later.
    Fault(DiskFault),
    /// Damaged, or permanently unreadable.
    Damaged(String),
}

impl LoadError {
    fn new(path: &Path, error: &io::Error) -> Self {
        match error::from_io(DiskOp::Read, path, error, 0) {
            fault if fault.kind.may_pass() => LoadError::Fault(fault),
            _ => LoadError::Damaged(error.to_string()),
        }
    }
}

/// Reads up to [`JOURNAL`] bytes of a regular file. Returns content and mtime; `None` if it is missing.
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

/// Returns the canonical path of a folder: symbolic links are resolved as far as the path exists.
pub(super) fn resolved(dir: &Path) -> PathBuf {
    let whole = std::path::absolute(dir).unwrap_or_else(|_| dir.to_path_buf());
    for there in whole.ancestors() {
        if let (Ok(real), Ok(rest)) = (fs::canonicalize(there), whole.strip_prefix(there)) {
            return if rest.as_os_str().is_empty() { real } else { real.join(rest) };
        }
    }
    whole
}

/// Returns whether a process has the torrent with this store name open.
pub(super) fn is_at_work(folder: &Path, name: &str) -> bool {
    claims::is_claimed(folder, name)
}

/// Returns the boot id of the system (Linux); empty if unknown.
#[must_use]
pub fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map_or(String::new(), |id| id.trim().chars().take(64).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_record_by_whatever_name_it_is_called() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("real")).unwrap();
        let name = |p: PathBuf| ResumeStore::new(dir.path(), InfoHash([1; 20]), &p).name;
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
            assert!(matches!(LoadError::new(Path::new("/x"), &errno.into()), LoadError::Fault(_)), "{errno:?}");
        }
        for errno in [Errno::ACCESS, Errno::ISDIR, Errno::NAMETOOLONG] {
            assert!(matches!(LoadError::new(Path::new("/x"), &errno.into()), LoadError::Damaged(_)), "{errno:?}");
        }
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("loop", dir.path().join("loop")).unwrap();
        let store = ResumeStore::new(&dir.path().join("loop"), InfoHash([1; 20]), dir.path());
        let found = store.read(&layout(4, &[(Some("a"), 40)]), "");
        assert!(found.fault.is_some() && found.notes.is_empty(), "{found:?}");
    }

    #[test]
    fn totals_come_back_go_with_the_record_and_end_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let store = |name: &str| ResumeStore::new(dir.path(), InfoHash([1; 20]), &dir.path().join(name));
        let (here, there) = (store("a"), store("b"));
        assert_eq!(here.read_totals().unwrap(), Totals::default());
        for n in [0, 5, i64::MAX as u64] {
            let totals = Totals { downloaded: n, uploaded: n / 2, was_whole: n > 0 };
            here.write_totals(&totals).unwrap();
            assert_eq!(here.read_totals().unwrap(), totals);
        }
        let last = here.read_totals().unwrap();
        here.move_to(&there);
        assert_eq!((here.read_totals().unwrap(), there.read_totals().unwrap()), (Totals::default(), last));
        for damaged in [&b""[..], b"\xff\xfe", b"uploaded = -7", b"uploaded = \"x\""] {
            fs::write(here.path(TOTALS), damaged).unwrap();
            assert_eq!(here.read_totals().unwrap(), Totals::default());
        }
        there.delete();
        assert_eq!(there.read_totals().unwrap(), Totals::default());
    }
}
