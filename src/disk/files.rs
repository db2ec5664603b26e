//! The files of one torrent: reads and writes across file boundaries, and the state of each file.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use bytes::Bytes;

use crate::disk::beneath::{self, Access};
use crate::disk::error::{self, DiskOp};
use crate::disk::file_cache::FileCache;
use crate::disk::file_stamp::FileStamp;
use crate::disk::layout::{FileEntry, Layout};
use crate::disk::ownership::torrent::{Ownership, one_file};
use crate::disk::part::{self, PartFile};
use crate::disk::resume_format::JournalEntry;
use crate::disk::stamps::Stamps;
use crate::disk::sys::{self, Allocation};
use crate::disk::torrent_file;
use crate::format::counted;
use crate::swarm::job::{DiskFault, FaultKind};
use crate::wire::metainfo::paths::case_folded;

mod changes;
mod delete;
mod mounted;
mod own;
mod part_io;
mod probe;
mod sync;

/// What is said of a file that is not as it was left.
const OTHER_PROGRAM: &str = "was changed by another program";
/// The file exists as far as we know; recreating it would hide that it was lost.
const BEGUN: u8 = 1;
/// The file has had its full length.
const SIZED: u8 = 2;
/// The file was found missing, truncated or too long: not read or written until rechecked.
const CHANGED: u8 = 4;
/// The file was written to since the last fsync.
const DIRTY: u8 = 8;
/// The file was changed by another program and is not rechecked yet.
///
/// Its pieces are rehashed before the torrent counts as complete, and before any of them is trusted after a restart.
const DOUBTED: u8 = 16;
/// The directory entry of the file is not fsynced yet.
const NEW: u8 = 32;
/// Fsync of the file failed: its pieces are never trusted across a reboot.
const UNSYNCED: u8 = 64;
/// The file system updates the mtime during the write call.
const EXACT: u8 = 128;

/// The files of one torrent in one download folder.
#[derive(Debug)]
pub struct Files {
    id: u64,
    layout: Arc<Layout>,
    dir: PathBuf,
    allocate: Allocation,
    handles: Arc<FileCache>,
    /// The state bits of each file, and of the part file at the end.
    flags: Vec<AtomicU8>,
    parts: PartFile,
    part_entry: FileEntry,
    begun: AtomicBool,
    needs: AtomicU64,
    /// The device that the files are on; 0 as long as none is there.
    device: AtomicU64,
    /// File index by inode. Locked while a file is opened for writing, so that no file is created twice.
    owners: Mutex<HashMap<(u64, u64), u32>>,
    /// Held by all who write, and alone by whoever puts a copy in the place of a file.
    writing: RwLock<()>,
    /// Whose each file is.
    ownership: Arc<Ownership>,
    stamps: Stamps,
    /// Whether the download folder's file system is a local one, whose times and inodes can be relied on.
    exact: bool,
    /// Files that were found changed, until somebody takes note of them.
    doubts: Mutex<Vec<u32>>,
    has_doubts: AtomicBool,
}

impl Files {
    /// Creates the state of a torrent's files below `dir` without touching them.
    ///
    /// `id` is the storage id in `handles`.
    #[must_use]
    pub fn new(
        id: u64,
        dir: PathBuf,
        allocate: Allocation,
        handles: Arc<FileCache>,
        ownership: Arc<Ownership>,
    ) -> Self {
        let layout = Arc::clone(&ownership.layout);
        let flags: Vec<AtomicU8> = (0..=layout.files().len()).map(|_| AtomicU8::new(0)).collect();
        let stamps = Stamps::new(flags.len());
        let exact = sys::is_exact(&dir);
        // It may be as long as it needs to be.
        let path = part::name(layout.info_hash());
        let part_entry = FileEntry { path, length: u64::MAX, offset: 0, pad: false };
        let needs = AtomicU64::new(layout.geometry().total());
        let (parts, owners, doubts) = (PartFile::default(), Mutex::default(), Mutex::default());
        let device = AtomicU64::new(0);
        let (begun, has_doubts) = (AtomicBool::new(false), AtomicBool::new(false));
        Files {
            id,
            layout,
            dir,
            allocate,
            handles,
            flags,
            parts,
            part_entry,
            begun,
            needs,
            device,
            owners,
            writing: RwLock::default(),
            ownership,
            stamps,
            exact,
            doubts,
            has_doubts,
        }
    }

    /// Returns who owns each file.
    #[must_use]
    pub fn ownership(&self) -> &Ownership {
        &self.ownership
    }

    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Returns the download folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Sets the number of bytes still to be written, which the disk-full message shows.
    pub fn set_needs(&self, bytes: u64) {
        self.needs.store(bytes, Ordering::Relaxed);
    }

    fn flag(&self, file: u32, bit: u8) -> bool {
        self.flags.get(file as usize).is_some_and(|f| f.load(Ordering::Acquire) & bit != 0)
    }

    fn raise(&self, file: u32, bits: u8) {
        if let Some(flags) = self.flags.get(file as usize) {
            flags.fetch_or(bits, Ordering::AcqRel);
        }
    }

    /// Clears state bits; returns which of them were set.
    fn lower(&self, file: u32, bits: u8) -> u8 {
        self.flags.get(file as usize).map_or(0, |f| f.fetch_and(!bits, Ordering::AcqRel) & bits)
    }

    fn file(&self, file: u32) -> Result<&FileEntry, DiskFault> {
        self.entry(file).ok_or_else(|| error::other(format!("the torrent has no file {file}")))
    }

    fn entry(&self, file: u32) -> Option<&FileEntry> {
        if file == self.part() { Some(&self.part_entry) } else { self.layout.files().get(file as usize) }
    }

    /// Returns the full path of a file, for messages and `stat`.
    #[must_use]
    pub fn path(&self, file: u32) -> PathBuf {
        self.entry(file).map_or_else(PathBuf::new, |f| self.dir.join(&f.path))
    }

    /// Returns the stamp of a file; `None` if it does not exist.
    ///
    /// # Errors
    /// If something other than a regular file is at its path, something other than a folder above it, or the file is longer
    /// than in the torrent.
    pub fn stat(&self, file: u32) -> Result<Option<FileStamp>, DiskFault> {
        let wanted = self.file(file)?.length;
        let path = self.path(file);
        let meta = match fs::symlink_metadata(&path) {
            Ok(meta) => meta,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => return Err(not_a_folder(&path)),
            Err(error) => return Err(error::from_io(DiskOp::Open, &path, &error, 0)),
        };
        if !meta.is_file() {
            let is = torrent_file::kind(meta.file_type());
            return Err(error::other(format!(
                "{} is {is} and a file of the torrent should be there: move it away or choose another folder",
                path.display()
            )));
        }
        if meta.len() > wanted {
            return Err(larger(&path, meta.len(), wanted));
        }
        Ok(Some(self.stamp(&meta)))
    }

    /// The stamp of a file. That one of several names comes or goes touches a file, and says nothing.
    fn stamp(&self, meta: &fs::Metadata) -> FileStamp {
        let stamp = FileStamp::new(meta);
        if self.exact && sys::names(meta) == 1 { stamp } else { FileStamp { touched: 0, ..stamp } }
    }

    /// Records that a file exists with this stamp.
    pub fn found(&self, file: u32, stamp: FileStamp) {
        self.stamps.set(file, Some(stamp));
        let sized = self.file(file).is_ok_and(|f| f.length == stamp.size);
        self.raise(file, if sized { BEGUN | SIZED } else { BEGUN });
        self.note_device();
    }

    /// Records that earlier writes to a file may not have been fsynced.
    pub fn unsynced(&self, file: u32) {
        self.raise(file, DIRTY | NEW);
    }

    /// Resets the state of a file before it is rechecked, and accepts its current stamp.
    ///
    /// The stamp is taken before the file is hashed, so that a change during the check is detected later.
    pub fn start_over(&self, file: u32) {
        self.lower(file, BEGUN | SIZED | CHANGED | DOUBTED);
        self.handles.close((self.id, file));
        self.stamps.set(file, None);
        if file == self.part() {
            self.parts.load(&self.dir, &self.layout);
        }
        if let Ok(Some(stamp)) = self.stat(file) {
            self.found(file, stamp);
            self.raise(file, DIRTY);
        }
    }

    /// Returns a file opened for reading, from the cache if possible.
    fn reader(&self, file: u32) -> Result<Arc<File>, DiskFault> {
        let key = (self.id, file);
        if self.flag(file, CHANGED) {
            return Err(error::changed(&self.path(file), "is missing or was changed"));
        }
        if let Some(open) = self.handles.get(key, false) {
            return Ok(open);
        }
        let entry = self.file(file)?;
        let opened = self.open(&entry.path, Access::Read);
        let opened = opened.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => self.lost(file, "is missing"),
            _ => error::from_io(DiskOp::Open, &self.path(file), &error, 0),
        })?;
        let meta = opened.metadata().map_err(|e| error::from_io(DiskOp::Open, &self.path(file), &e, 0))?;
        let size = meta.len();
        if size > entry.length || (size < entry.length && self.flag(file, SIZED)) {
            return Err(self.lost(file, &format!("is {} long instead of {}", counted(size, "byte"), entry.length)));
        }
        // A file that is written to changes all the time; its changes are noticed at the next write.
        if self.exact && !self.flag(file, EXACT) && !self.stamps.is_as_left(file, Some(self.stamp(&meta))) {
            return Err(self.lost(file, OTHER_PROGRAM));
        }
        Ok(self.handles.put(key, opened, false))
    }

    fn lost(&self, file: u32, how: &str) -> DiskFault {
        if let Err(fault) = self.mounted() {
            return fault;
        }
        self.doubt(file, CHANGED);
        error::changed(&self.path(file), how)
    }

    /// Opens a file; if no descriptor is left, evicts cached files first.
    fn open(&self, path: &Path, access: Access) -> io::Result<File> {
        match beneath::open(&self.dir, path, access) {
            Err(error) if error::is_out_of_handles(&error) && self.handles.evict() => {
                beneath::open(&self.dir, path, access)
            }
            other => other,
        }
    }

    /// Returns a file opened for writing; creates it with its full length if it never existed.
    fn writer(&self, file: u32) -> Result<Arc<File>, DiskFault> {
        let key = (self.id, file);
        if self.flag(file, CHANGED) {
            return Err(error::changed(&self.path(file), "is missing or was changed"));
        }
        if let Some(open) = self.handles.get(key, true) {
            return Ok(open);
        }
        let mut owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = self.handles.get(key, true) {
            return Ok(open);
        }
        let entry = self.file(file)?;
        let words = |doing| move |error: io::Error| self.refused(file, doing, &error);
        let (opened, made) = match self.open(&entry.path, Access::Write) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if self.flag(file, BEGUN) {
                    return Err(self.lost(file, "is missing"));
                }
                (self.create(&entry.path)?.map_err(words(DiskOp::Open))?, true)
            }
            other => (other.map_err(words(DiskOp::Open))?, false),
        };
        let meta = opened.metadata().map_err(words(DiskOp::Open))?;
        self.own(&mut owners, file, &meta, made)?;
        if made {
            self.ownership.on_file_created(file);
        } else if !self.flag(file, BEGUN) {
            return Err(self.ownership.intruder(file));
        }
        if meta.len() > entry.length {
            return Err(larger(&self.path(file), meta.len(), entry.length));
        }
        let exact = sys::has_exact_times(&opened);
        if !made && exact && !self.stamps.is_untouched(file, Some(FileStamp::new(&meta))) {
            self.doubt(file, DOUBTED);
        }
        if meta.len() < entry.length {
            if self.flag(file, SIZED) {
                return Err(
                    self.lost(file, &format!("is {} long instead of {}", counted(meta.len(), "byte"), entry.length))
                );
            }
            let room = sys::make_room(&opened, entry.length, self.allocate);
            if let Err(error) = room {
                self.undo(&entry.path, &opened, made, meta.len());
                return Err(words(DiskOp::Allocate)(error));
            }
        }
        if made || meta.len() < entry.length {
            let meta = opened.metadata().map_err(words(DiskOp::Open))?;
            self.stamps.set(file, Some(self.stamp(&meta)));
        }
        let exact = if exact { EXACT } else { 0 };
        self.raise(file, exact | if made { BEGUN | SIZED | NEW } else { BEGUN | SIZED });
        Ok(self.handles.put(key, opened, true))
    }

    /// Restores a file to its previous state after its space could not be allocated.
    fn undo(&self, path: &Path, opened: &File, made: bool, size: u64) {
        let undone = if made { beneath::remove_file(&self.dir, path) } else { opened.set_len(size) };
        if let Err(error) = undone {
            tracing::warn!("cannot undo the making of {}: {error}", path.display());
        }
    }

    /// Ensures that two files of the torrent are not one file on disk (case-insensitive file systems).
    fn own(
        &self,
        owners: &mut HashMap<(u64, u64), u32>,
        file: u32,
        meta: &fs::Metadata,
        made: bool,
    ) -> Result<(), DiskFault> {
        let name = |n: u32| case_folded(&self.path(n).to_string_lossy());
        // Systems without inode numbers are assumed to be case-insensitive.
        let inode = sys::inode(meta).unwrap_or_else(|| (u64::MAX, hash(&name(file))));
        if let Some(other) = owners.get(&inode).copied().filter(|o| *o != file && !made) {
            // An inode number is reused after its file was deleted: it counts only if the path still leads to it.
            let there = fs::symlink_metadata(self.path(other)).ok().and_then(|m| sys::inode(&m));
            if there == Some(inode) || (there.is_none() && inode.0 == u64::MAX && name(other) == name(file)) {
                // The message does not depend on the order in which the files were opened.
                let (first, second) = (file.min(other), file.max(other));
                return Err(one_file(&self.path(first), &self.path(second)));
            }
        }
        owners.insert(inode, file);
        Ok(())
    }

    /// Returns the fault of a failed write to a file.
    fn refused(&self, file: u32, doing: DiskOp, error: &io::Error) -> DiskFault {
        let path = self.path(file);
        let length = self.file(file).map_or(0, |f| f.length);
        error::for_file(error::from_io(doing, &path, error, self.still_needed()), &path, length)
    }

    fn still_needed(&self) -> u64 {
        self.needs.load(Ordering::Relaxed)
    }

    /// Reads bytes of the torrent across file boundaries; pad files read as zeros.
    ///
    /// # Errors
    /// If a file is missing, too short or cannot be read.
    pub fn read(&self, offset: u64, mut into: &mut [u8]) -> Result<(), DiskFault> {
        let end = offset + into.len() as u64;
        if end > self.layout.geometry().total() {
            return Err(error::other("a block that the torrent does not have was to be read".into()));
        }
        if self.parts.is_used() {
            return self.read_parted(offset, into);
        }
        for segment in self.layout.segments(offset..end) {
            let (part, rest) = into.split_at_mut(segment.length as usize);
            into = rest;
            if self.layout.files().get(segment.file).is_some_and(|f| f.pad) {
                part.fill(0);
                continue;
            }
            self.read_file(segment.file as u32, part, segment.at)?;
        }
        Ok(())
    }

    fn read_file(&self, file: u32, into: &mut [u8], at: u64) -> Result<(), DiskFault> {
        sys::read_exact_at(&*self.reader(file)?, into, at).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => self.lost(file, "is shorter than it should be"),
            _ => error::from_io(DiskOp::Read, &self.path(file), &error, 0),
        })
    }

    /// Writes consecutive slices from `offset` of the torrent on; bytes of pad files are skipped.
    ///
    /// `journal` is called before a file is written to; [`Files::end_bursts`] reports the new mtime after the write.
    ///
    /// # Errors
    /// The fault of a failed write; some of the bytes may have been written.
    pub fn write(&self, offset: u64, slices: &[Bytes], journal: &dyn Fn(JournalEntry)) -> Result<(), DiskFault> {
        if !self.begun.swap(true, Ordering::AcqRel) {
            self.make_empty_files()?;
        }
        if self.parts.is_used() {
            return self.write_parted(offset, slices, journal);
        }
        let length: u64 = slices.iter().map(|s| s.len() as u64).sum();
        let mut done = 0;
        for segment in self.layout.segments(offset..offset + length) {
            if !self.layout.files().get(segment.file).is_some_and(|f| f.pad) {
                self.write_file(segment.file as u32, slices, (done, segment.length), segment.at, journal)?;
            }
            done += segment.length;
        }
        Ok(())
    }

    /// Writes `length` bytes of `slices` after the first `skip`, unless a guarded file has them already.
    fn write_file(
        &self,
        file: u32,
        slices: &[Bytes],
        (skip, length): (u64, u64),
        at: u64,
        journal: &dyn Fn(JournalEntry),
    ) -> Result<(), DiskFault> {
        if self.ownership.is_guarded(file) && !self.ownership.check_write(file, at, sys::parts(slices, skip, length))? {
            return Ok(());
        }
        self.detach(file)?;
        let _writing = self.writing.read().unwrap_or_else(PoisonError::into_inner);
        let open = self.writer(file)?;
        if self.stamps.begin(file, &open, self.flag(file, EXACT), journal) {
            self.doubt(file, DOUBTED);
            let length = self.file(file)?.length;
            if open.metadata().is_ok_and(|meta| meta.len() < length) {
                self.stamps.end(file, &open);
                return Err(self.lost(file, "is shorter than it should be"));
            }
        }
        let written = sys::write_all_at(&open, slices, skip, length, at);
        self.raise(file, DIRTY);
        if self.stamps.end(file, &open) {
            self.doubt(file, DOUBTED);
            return Err(self.lost(file, "is shorter than it should be"));
        }
        written.map_err(|error| self.refused(file, DiskOp::Write, &error))
    }

    /// Closes all cached handles of this storage.
    pub fn release(&self) {
        self.handles.close_all(self.id);
    }
}

fn hash(name: &str) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish()
}

/// Returns the fault of a path on which something lies where the torrent has a folder.
fn not_a_folder(path: &Path) -> DiskFault {
    let found = path.ancestors().skip(1).find_map(|at| Some((at, fs::symlink_metadata(at).ok()?.file_type())));
    let (at, what) = found.map_or((path, "no folder"), |(at, kind)| (at, torrent_file::kind(kind)));
    error::other(format!(
        "{} is {what} and a folder of the torrent should be there: move it away or choose another folder",
        at.display()
    ))
}

fn larger(path: &Path, is: u64, wanted: u64) -> DiskFault {
    let text = format!(
        "{} exists with {} and the torrent's file has {wanted}: move it away, choose another folder, or let it be overwritten \
         (--overwrite)",
        path.display(),
        counted(is, "byte")
    );
    DiskFault { kind: FaultKind::Longer, text }
}
