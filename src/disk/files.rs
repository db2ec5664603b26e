//! The files of one torrent: reads and writes that cross their borders, and what is known of each.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use bytes::Bytes;

use crate::disk::fault::{self, Doing};
use crate::disk::handles::Handles;
use crate::disk::layout::{LaidFile, Layout};
use crate::disk::open;
use crate::disk::ownership::{self, Ownership};
use crate::disk::part::{self, Parts};
use crate::disk::paths::{self, Access};
use crate::disk::rawio;
use crate::disk::record::Note;
use crate::disk::stamps::{Stamp, Stamps};
use crate::disk::storage::Allocation;
use crate::swarm::job::DiskFault;
use crate::wire::metainfo::paths::folded;
use crate::wire::text::counted;

mod changes;
mod own;
mod parted;
mod probe;
mod sync;

/// It exists as far as we know; to make it anew would hide that it was lost.
const BEGUN: u8 = 1;
/// It has had its full length.
const SIZED: u8 = 2;
/// It was found missing, shorter or longer: nothing is read or written until it was checked.
const CHANGED: u8 = 4;
/// Written to since it was last synced.
const DIRTY: u8 = 8;
/// Another program has changed it: its pieces are hashed before the torrent is complete, and before any of them is
/// believed after a restart.
const DOUBTED: u8 = 16;
/// Its folder entry was not synced yet.
const NEW: u8 = 32;
/// The system could not sync it: what is in it is never vouched for across a restart of the machine.
const UNSYNCED: u8 = 64;
/// Its file system sets the modification time during the write call.
const EXACT: u8 = 128;

/// The files of one torrent in one folder.
#[derive(Debug)]
pub struct Files {
    id: u64,
    layout: Arc<Layout>,
    dir: PathBuf,
    allocate: Allocation,
    handles: Arc<Handles>,
    /// Of each file, and of the part file in the end.
    flags: Vec<AtomicU8>,
    parts: Parts,
    part_entry: LaidFile,
    begun: AtomicBool,
    needs: AtomicU64,
    /// Held while a file is opened for writing, so that none is made twice; which file each inode is.
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
    /// The files of a torrent below `dir`; nothing is touched. `id` is this storage's among the handles.
    #[must_use]
    pub fn new(id: u64, dir: PathBuf, allocate: Allocation, handles: Arc<Handles>, ownership: Arc<Ownership>) -> Self {
        let layout = Arc::clone(&ownership.layout);
        let flags: Vec<AtomicU8> = (0..=layout.files().len()).map(|_| AtomicU8::new(0)).collect();
        let stamps = Stamps::new(flags.len());
        let exact = rawio::is_exact(&dir);
        // It may be as long as it needs to be.
        let path = part::name(layout.info_hash());
        let part_entry = LaidFile { path, length: u64::MAX, offset: 0, pad: false };
        let needs = AtomicU64::new(layout.geometry().total());
        let (parts, owners, doubts) = (Parts::default(), Mutex::default(), Mutex::default());
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
            owners,
            writing: RwLock::default(),
            ownership,
            stamps,
            exact,
            doubts,
            has_doubts,
        }
    }

    /// Whose each file is.
    #[must_use]
    pub fn ownership(&self) -> &Ownership {
        &self.ownership
    }

    /// The torrent.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The download folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Says how many bytes are still to be written, for the sentence about a full disk.
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

    /// Takes flags down; tells which of them were up.
    fn lower(&self, file: u32, bits: u8) -> u8 {
        self.flags.get(file as usize).map_or(0, |f| f.fetch_and(!bits, Ordering::AcqRel) & bits)
    }

    fn file(&self, file: u32) -> Result<&LaidFile, DiskFault> {
        self.entry(file).ok_or_else(|| fault::other(format!("the torrent has no file {file}")))
    }

    fn entry(&self, file: u32) -> Option<&LaidFile> {
        if file == self.part() { Some(&self.part_entry) } else { self.layout.files().get(file as usize) }
    }

    /// The whole path of a file, for sentences and for looking at it.
    #[must_use]
    pub fn path(&self, file: u32) -> PathBuf {
        self.entry(file).map_or_else(PathBuf::new, |f| self.dir.join(&f.path))
    }

    /// Size and time of a file, `None` if it is not there.
    ///
    /// # Errors
    /// When something else than a plain file has its place, or it is longer than the torrent says.
    pub fn look(&self, file: u32) -> Result<Option<Stamp>, DiskFault> {
        let wanted = self.file(file)?.length;
        let path = self.path(file);
        let meta = match fs::symlink_metadata(&path) {
            Ok(meta) => meta,
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => return Ok(None),
            Err(error) => return Err(fault::system(Doing::Open, &path, &error, 0)),
        };
        if !meta.is_file() {
            let is = open::kind(meta.file_type());
            return Err(fault::other(format!(
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
    fn stamp(&self, meta: &fs::Metadata) -> Stamp {
        let stamp = Stamp::new(meta);
        if self.exact && rawio::names(meta) == 1 { stamp } else { Stamp { touched: 0, ..stamp } }
    }

    /// Takes note of a file that is there.
    pub fn found(&self, file: u32, stamp: Stamp) {
        self.stamps.set(file, Some(stamp));
        let sized = self.file(file).is_ok_and(|f| f.length == stamp.size);
        self.raise(file, if sized { BEGUN | SIZED } else { BEGUN });
    }

    /// Takes note that what was written to a file earlier may not be synced.
    pub fn unsynced(&self, file: u32) {
        self.raise(file, DIRTY | NEW);
    }

    /// Forgets what was known of a file, before it is checked: from now on it is what it is. The stamp is taken before
    /// the file is hashed, so that a change during the check is found later.
    pub fn start_over(&self, file: u32) {
        self.lower(file, BEGUN | SIZED | CHANGED | DOUBTED);
        self.handles.close((self.id, file));
        self.stamps.set(file, None);
        if file == self.part() {
            self.parts.load(&self.dir, &self.layout);
        }
        if let Ok(Some(stamp)) = self.look(file) {
            self.found(file, stamp);
            self.raise(file, DIRTY);
        }
    }

    /// The file, opened for reading.
    fn reader(&self, file: u32) -> Result<Arc<File>, DiskFault> {
        let key = (self.id, file);
        if self.flag(file, CHANGED) {
            return Err(fault::changed(&self.path(file), "is missing or was changed"));
        }
        if let Some(open) = self.handles.get(key, false) {
            return Ok(open);
        }
        let entry = self.file(file)?;
        let opened = self.open(&entry.path, Access::Read);
        let opened = opened.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => self.lost(file, "is missing"),
            _ => fault::system(Doing::Open, &self.path(file), &error, 0),
        })?;
        let size = opened.metadata().map_err(|e| fault::system(Doing::Open, &self.path(file), &e, 0))?.len();
        if size > entry.length || (size < entry.length && self.flag(file, SIZED)) {
            return Err(self.lost(file, &format!("is {} long instead of {}", counted(size, "byte"), entry.length)));
        }
        Ok(self.handles.put(key, opened, false))
    }

    fn lost(&self, file: u32, how: &str) -> DiskFault {
        self.doubt(file, CHANGED);
        fault::changed(&self.path(file), how)
    }

    /// Opens a file, making room among the handles if there is none.
    fn open(&self, path: &Path, access: Access) -> io::Result<File> {
        match paths::open(&self.dir, path, access) {
            Err(error) if fault::is_out_of_handles(&error) && self.handles.shed() => {
                paths::open(&self.dir, path, access)
            }
            other => other,
        }
    }

    /// The file, opened for writing; made with its full length if it was never there.
    fn writer(&self, file: u32) -> Result<Arc<File>, DiskFault> {
        let key = (self.id, file);
        if self.flag(file, CHANGED) {
            return Err(fault::changed(&self.path(file), "is missing or was changed"));
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
                (self.open(&entry.path, Access::Create).map_err(words(Doing::Open))?, true)
            }
            other => (other.map_err(words(Doing::Open))?, false),
        };
        let meta = opened.metadata().map_err(words(Doing::Open))?;
        self.own(&mut owners, file, &meta, made)?;
        if made {
            self.ownership.made(file);
        } else if !self.flag(file, BEGUN) {
            return Err(self.ownership.intruder(file));
        }
        if meta.len() > entry.length {
            return Err(larger(&self.path(file), meta.len(), entry.length));
        }
        let exact = rawio::has_exact_times(&opened);
        if !made && exact && !self.stamps.is_as_left(file, Some(Stamp::new(&meta))) {
            self.doubt(file, DOUBTED);
        }
        if meta.len() < entry.length {
            if self.flag(file, SIZED) {
                return Err(
                    self.lost(file, &format!("is {} long instead of {}", counted(meta.len(), "byte"), entry.length))
                );
            }
            let room = rawio::make_room(&opened, entry.length, self.allocate == Allocation::Full);
            if let Err(error) = room {
                self.undo(&entry.path, &opened, made, meta.len());
                return Err(words(Doing::Allocate)(error));
            }
        }
        if made || meta.len() < entry.length {
            let meta = opened.metadata().map_err(words(Doing::Open))?;
            self.stamps.set(file, Some(self.stamp(&meta)));
        }
        let exact = if exact { EXACT } else { 0 };
        self.raise(file, exact | if made { BEGUN | SIZED | NEW } else { BEGUN | SIZED });
        Ok(self.handles.put(key, opened, true))
    }

    /// Leaves a file as it was found when no room could be made for it.
    fn undo(&self, path: &Path, opened: &File, made: bool, size: u64) {
        let undone = if made { paths::remove_file(&self.dir, path) } else { opened.set_len(size) };
        if let Err(error) = undone {
            log::warn!("cannot undo the making of {}: {error}", path.display());
        }
    }

    /// Makes sure that no two files of the torrent are one on disk, as on file systems blind to case.
    fn own(
        &self,
        owners: &mut HashMap<(u64, u64), u32>,
        file: u32,
        meta: &fs::Metadata,
        made: bool,
    ) -> Result<(), DiskFault> {
        let name = |n: u32| folded(&self.path(n).to_string_lossy());
        // Where the system tells no inodes, it is one that is blind to case.
        let inode = rawio::inode(meta).unwrap_or_else(|| (u64::MAX, hash(&name(file))));
        if let Some(other) = owners.get(&inode).copied().filter(|o| *o != file && !made) {
            // An inode is used again after its file was deleted: only a path that still leads there counts.
            let there = fs::symlink_metadata(self.path(other)).ok().and_then(|m| rawio::inode(&m));
            if there == Some(inode) || (there.is_none() && inode.0 == u64::MAX && name(other) == name(file)) {
                // The same words whichever of them came first.
                let (first, second) = (file.min(other), file.max(other));
                return Err(ownership::one_file(&self.path(first), &self.path(second)));
            }
        }
        owners.insert(inode, file);
        Ok(())
    }

    /// The fault of a file that cannot be written.
    fn refused(&self, file: u32, doing: Doing, error: &io::Error) -> DiskFault {
        let path = self.path(file);
        let length = self.file(file).map_or(0, |f| f.length);
        fault::for_file(fault::system(doing, &path, error, self.still_needed()), &path, length)
    }

    fn still_needed(&self) -> u64 {
        self.needs.load(Ordering::Relaxed)
    }

    /// Reads bytes of the torrent, over the borders of files; pad files read as zeros.
    ///
    /// # Errors
    /// When a file is missing, shorter or cannot be read.
    pub fn read(&self, offset: u64, mut into: &mut [u8]) -> Result<(), DiskFault> {
        let end = offset + into.len() as u64;
        if end > self.layout.geometry().total() {
            return Err(fault::other("a block that the torrent does not have was to be read".into()));
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
        rawio::read_exact_at(&*self.reader(file)?, into, at).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => self.lost(file, "is shorter than it should be"),
            _ => fault::system(Doing::Read, &self.path(file), &error, 0),
        })
    }

    /// Writes slices that follow one another from `offset` of the torrent on; what falls into pad files is left out.
    /// `journal` hears of the files that are written to, before the write; how it left them, it hears from
    /// [`Files::end_bursts`].
    ///
    /// # Errors
    /// When the system refuses; a part may have been written by then.
    pub fn write(&self, offset: u64, slices: &[Bytes], journal: &dyn Fn(Note)) -> Result<(), DiskFault> {
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

    /// Writes to a file so many bytes of the slices after the first `skip`, unless they stand there already.
    fn write_file(
        &self,
        file: u32,
        slices: &[Bytes],
        (skip, length): (u64, u64),
        at: u64,
        journal: &dyn Fn(Note),
    ) -> Result<(), DiskFault> {
        if self.ownership.is_guarded(file) && !self.ownership.admit(file, at, rawio::parts(slices, skip, length))? {
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
        let written = rawio::write_all_at(&open, slices, skip, length, at);
        self.raise(file, DIRTY);
        self.stamps.end(file, &open);
        written.map_err(|error| self.refused(file, Doing::Write, &error))
    }

    /// Closes all handles.
    pub fn release(&self) {
        self.handles.close_all(self.id);
    }

    /// Deletes the files that the torrent made, and that nobody has changed since, and then the folders that are empty;
    /// nothing of anybody else's. Says in words which of its files stay.
    ///
    /// # Errors
    /// The first file that could not be deleted; the others are.
    pub fn delete(&self) -> Result<Option<String>, DiskFault> {
        self.release();
        let ours = self.ownership.deletable();
        let (mut first, mut kept) = (Ok(()), (0, None));
        let files = self.layout.files().iter().chain([&self.part_entry]);
        for (n, file) in files.enumerate().filter(|(_, f)| !f.pad) {
            let file_of_others = |n| !ours.contains(&n) || !self.is_ours(n);
            if n < self.layout.files().len() && file_of_others(n as u32) {
                let path = self.path(n as u32);
                if fs::symlink_metadata(&path).is_ok() {
                    kept = (kept.0 + 1, kept.1.or(Some(path)));
                }
                continue;
            }
            match paths::remove_file(&self.dir, &file.path) {
                Err(error) if !matches!(error.kind(), io::ErrorKind::NotFound) => {
                    let words = fault::system(Doing::Delete, &self.path(n as u32), &error, 0);
                    first = first.and(Err(words));
                }
                _ => {}
            }
        }
        remove_empty_folders(&self.layout, &self.dir);
        first.map(|()| kept.1.map(|path| ownership::stays(&path, kept.0)))
    }
}

/// Deletes the folders of a torrent that are empty, but not the download folder itself.
pub(super) fn remove_empty_folders(layout: &Layout, dir: &Path) {
    let of = |file: &'_ LaidFile| file.path.ancestors().skip(1).map(Path::to_path_buf).collect::<Vec<_>>();
    let mut folders: Vec<PathBuf> = layout.files().iter().filter(|f| !f.pad).flat_map(of).collect();
    folders.sort_unstable();
    folders.dedup();
    for folder in folders.iter().rev().filter(|folder| !folder.as_os_str().is_empty()) {
        // A folder that is not empty stays: that is all that an error here can tell us.
        let _ = paths::remove_folder(dir, folder);
    }
}

fn hash(name: &str) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish()
}

fn larger(path: &Path, is: u64, wanted: u64) -> DiskFault {
    fault::other(format!(
        "{} exists with {} and the torrent's file has {wanted}: move it away or choose another folder",
        path.display(),
        counted(is, "byte")
    ))
}
