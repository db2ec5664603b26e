//! Moves the files of a closed torrent to another download folder (libtorrent: move_storage).
//!
//! First every file is created in the new folder: as a hard link if both folders are on one file system, as a copy if
//! not, or by renaming if the file system has no hard links. Until that is done the old folder remains the download
//! folder, and an error undoes the steps done. Then the resume data are moved to the new folder, which becomes the
//! download folder. Only then are the old files deleted. After a crash at any point one of the two folders is complete;
//! only if files are renamed can some be in each folder, and then moving again completes the move.
//!
//! Where the new folder's file system refuses names of the torrent, the files get the names there that a download into that
//! folder would give them ([`alias_paths`]).

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::disk::alias_paths;
use crate::disk::atomic_bitfield::AtomicBitfield;
use crate::disk::atomic_file;
use crate::disk::beneath::{self, Access};
use crate::disk::error::{self, DiskOp};
use crate::disk::file_stamp::FileStamp;
use crate::disk::folders::remove_empty_folders;
use crate::disk::layout::Layout;
use crate::disk::lock::claims::Claim;
use crate::disk::ownership::record::FileOwner;
use crate::disk::ownership::registry::OwnershipRegistry;
use crate::disk::ownership::torrent::Ownership;
use crate::disk::part;
use crate::disk::resume_store::ResumeStore;
use crate::disk::storage::StorageSpec;
use crate::disk::sys;
use crate::format::counted;
use crate::swarm::job::{DiskFault, FaultKind};

use recovery::{GRAIN, is_absent};

mod copy;
pub mod recovery;

/// Progress and cancellation of a move, shared between the moving thread and observers.
#[derive(Debug, Default)]
pub struct Progress {
    done: AtomicU64,
    all: AtomicU64,
    ended: AtomicBool,
}

impl Progress {
    /// Returns the bytes present in the new folder and the total.
    #[must_use]
    pub fn bytes(&self) -> (u64, u64) {
        (self.done.load(Ordering::Relaxed), self.all.load(Ordering::Relaxed))
    }

    /// Cancels the move; the steps done are undone.
    pub fn end(&self) {
        self.ended.store(true, Ordering::Release);
    }

    fn is_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    fn add(&self, bytes: u64) {
        self.done.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// How a file was transferred to the new folder.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum TransferMethod {
    /// Hard link: the old name exists too.
    Linked,
    /// Copied under a temporary name, until all copies are complete.
    Part,
    /// Copied under its final name: the old file exists too.
    Copied,
    /// Renamed: the old name does not exist any more.
    Renamed,
}

/// A torrent whose files are all in the new folder; the old files are to be deleted.
#[derive(Debug)]
pub struct Moved {
    layout: Arc<Layout>,
    part: PathBuf,
    from: PathBuf,
    /// Indices of the files left in the old folder.
    left: Vec<usize>,
    /// Path of the move note in the state folder; the next start uses it to finish the cleanup.
    note: PathBuf,
    /// The ownership records and the key of the old record, which lasts until the old files are deleted.
    owners: (Arc<OwnershipRegistry>, String),
    /// Held so that the torrent is not opened in the old folder before the cleanup.
    _claim: Claim,
}

/// Brings all files of a torrent to the folder `to`. Nobody may work on it meanwhile. Files that are somebody else's stay;
/// of those that another torrent uses too, it gets copies, and of those that another one owns where it has all of them.
///
/// # Errors
/// If a file of the same name exists in `to`, a path belongs to another torrent, the disk is full, or another I/O error
/// occurs. The steps done are undone then; the message names files that could not be moved back.
pub fn move_files(
    spec: &StorageSpec,
    to: &Path,
    owners: &Arc<OwnershipRegistry>,
    progress: &Progress,
) -> Result<Moved, DiskFault> {
    match move_named(spec, to, owners, progress, false) {
        // Its file system takes only mended names; which ones it refuses is known only by trying.
        Err(fault) if fault.kind == FaultKind::NameRefused => {
            tracing::info!("{fault}: such names are written in another way");
            progress.done.store(0, Ordering::Relaxed);
            move_named(spec, to, owners, progress, true)
        }
        other => other,
    }
}

/// As [`move_files`]; with `mend`, files whose names may be refused get other ones in the new folder.
fn move_named(
    spec: &StorageSpec,
    to: &Path,
    owners: &Arc<OwnershipRegistry>,
    progress: &Progress,
    mend: bool,
) -> Result<Moved, DiskFault> {
    let absolute = |dir: &Path| std::path::absolute(dir).unwrap_or_else(|_| dir.to_path_buf());
    let (from, to) = (absolute(&spec.dir), absolute(to));
    let store = |dir: &Path| ResumeStore::new(&spec.state_dir, spec.layout.info_hash(), dir);
    let (old, new) = (store(&from), store(&to));
    if old.is(&new) {
        return Err(error::other(format!("its data are in {} already", to.display())));
    }
    let ((claim, _), _new_claim) = (old.claim()?, new.claim()?);
    // Files found under other names keep these names, where they can.
    let (layout, _) = alias_paths::find_or_mend(&spec.layout, &from, spec.mend_names);
    let renamed = alias_paths::moved(&spec.layout, &layout, &to, mend);
    if let Some((path, owner)) = owners.first_conflict(new.name(), &renamed, &to) {
        return Err(error::other(format!("{} belongs to {owner}: choose another folder", path.display())));
    }
    let own = Ownership::open(owners, old.name(), &layout, &from);
    let shared = own.used_by_others();
    let part = part::name(layout.info_hash());
    let odd = if mend { BTreeSet::new() } else { alias_paths::mended(&spec.layout).into_keys().collect() };
    let (needs, done) = (0, Vec::new());
    let mut work =
        Work { layout: &layout, renamed: &renamed, part: &part, from: &from, to: &to, odd, progress, needs, done };
    let note = recovery::place(&spec.state_dir, &old);
    let have =
        old.load_bitfield(&layout).and_then(|have| AtomicBitfield::from_bytes(&have, layout.geometry().pieces()));
    let brought = work.look(&own, &shared, have.as_ref()).and_then(|found| {
        let item = |&Found { n, stays, .. }: &Found| {
            let (path, to) = (work.path(n).to_path_buf(), work.new_path(n).to_path_buf());
            recovery::Item { n, path, to, stays }
        };
        let items = found.iter().map(item).collect();
        let (from, to, torrent) = (from.clone(), to.clone(), layout.info_hash());
        recovery::Note { torrent, from, to, items }.write(&note)?;
        found.iter().try_for_each(|file| work.move_files(file)).map(|()| found)
    });
    let brought = brought.and_then(|found| work.name().map(|()| found)).and_then(|found| work.sync().map(|()| found));
    let found = match brought {
        Ok(found) => found,
        Err(fault) => {
            let fault = work.roll_back(fault);
            let _ = atomic_file::remove(&note);
            return Err(fault);
        }
    };
    own.end();
    old.move_to(&new);
    let metas: BTreeMap<usize, FileStamp> = found.iter().map(|file| (file.n, FileStamp::new(&file.meta))).collect();
    let as_left =
        |n, then: FileStamp| metas.get(&n).filter(|now| then.is_unchanged(**now)).map(|old| work.mtime(n, *old));
    if let Err(error) = new.has_moved(&layout, &as_left) {
        tracing::warn!("{} cannot be written, its files will be checked: {error}", new.record().display());
    }
    let came: BTreeSet<usize> = found.iter().map(|file| file.n).collect();
    owners.hand_over(old.name(), (new.name(), &to), &renamed, &|n| came.contains(&n));
    let stays = |n: usize| found.iter().any(|file| file.n == n && file.stays);
    let any = found.iter().any(|file| file.stays);
    let gone = work.done.iter().filter(|(n, how)| *how != TransferMethod::Renamed && !(any && stays(*n)));
    let left = gone.map(|(n, _)| *n).collect();
    let owners = (Arc::clone(owners), old.name().to_owned());
    Ok(Moved { layout, part, from, left, note, owners, _claim: claim })
}

impl Moved {
    /// Deletes the remaining files in the old folder, and its empty folders.
    ///
    /// # Errors
    /// The fault of the first file that could not be deleted; the others are deleted.
    pub fn delete_old_files(self) -> Result<(), DiskFault> {
        let mut first = Ok(());
        for path in self.left.iter().map(|n| path_of(&self.layout, &self.part, *n)) {
            if let Err(error) = beneath::remove_file(&self.from, path)
                && error.kind() != io::ErrorKind::NotFound
            {
                let fault = error::from_io(DiskOp::Delete, &self.from.join(path), &error, 0);
                first = first.and(Err(fault));
            }
        }
        remove_empty_folders(&self.layout, &self.from);
        if first.is_ok() {
            let _ = atomic_file::remove(&self.note);
        }
        self.owners.0.remove(&self.owners.1);
        first
    }
}

/// A file to be moved.
struct Found {
    n: usize,
    meta: fs::Metadata,
    /// Whether the new folder contains the same file already, from an interrupted move.
    there: bool,
    /// Whether another torrent uses the file: it is copied, and the old file is kept.
    stays: bool,
}

struct Work<'a> {
    /// With the paths of the files in the old folder.
    layout: &'a Layout,
    /// With the paths of the files in the new folder.
    renamed: &'a Layout,
    part: &'a Path,
    from: &'a Path,
    to: &'a Path,
    /// The files whose new name the file system may refuse.
    odd: BTreeSet<usize>,
    progress: &'a Progress,
    /// Disk space needed for copies of all files, in bytes.
    needs: u64,
    done: Vec<(usize, TransferMethod)>,
}

impl Work<'_> {
    fn path(&self, n: usize) -> &Path {
        path_of(self.layout, self.part, n)
    }

    fn new_path(&self, n: usize) -> &Path {
        path_of(self.renamed, self.part, n)
    }

    /// The files that are there, none of which has its new name taken by another one.
    fn look(
        &mut self,
        own: &Ownership,
        shared: &BTreeSet<u32>,
        have: Option<&AtomicBitfield>,
    ) -> Result<Vec<Found>, DiskFault> {
        let mut found = Vec::new();
        let mut bytes = 0;
        let files = self.layout.files();
        let named =
            files.iter().enumerate().filter(|(_, entry)| !entry.pad).map(|(n, entry)| (n, entry.path.as_path()));
        for (n, path) in named.chain([(files.len(), self.part)]) {
            let words = |dir: &Path, path: &Path| {
                let path = dir.join(path);
                move |error: io::Error| error::from_io(DiskOp::Move, &path, &error, 0)
            };
            let new_path = self.new_path(n);
            let whose = own.whose(n as u32);
            let whole = || have.is_some_and(|have| self.layout.pieces_of(n).all(|piece| have.has(piece)));
            if matches!(whose, FileOwner::Foreign | FileOwner::TakenOver) || (own.is_anothers(n as u32) && !whole()) {
                continue;
            }
            let stays = whose == FileOwner::OtherTorrent || shared.contains(&(n as u32));
            let file = match beneath::open(self.from, path, Access::Read) {
                Err(error) if is_absent(&error) => continue,
                other => other.map_err(words(self.from, path))?,
            };
            let meta = file.metadata().map_err(words(self.from, path))?;
            let there = match beneath::open(self.to, new_path, Access::Read) {
                Err(error) if is_absent(&error) => false,
                Err(error) => return Err(words(self.to, new_path)(error)),
                Ok(other) => {
                    let other = other.metadata().map_err(words(self.to, new_path))?;
                    if sys::inode(&other).is_none() || sys::inode(&other) != sys::inode(&meta) {
                        let taken = self.to.join(new_path);
                        return Err(error::other(format!("{} is there already: move it away first", taken.display())));
                    }
                    if self.is_one_folder(path, new_path) {
                        let text = format!("{} is the folder that its data are in already", self.to.display());
                        return Err(error::other(text));
                    }
                    true
                }
            };
            bytes += meta.len();
            self.needs += sys::disk_usage(&meta);
            found.push(Found { n, meta, there, stays });
        }
        self.progress.all.store(bytes, Ordering::Relaxed);
        // A name that is refused is met before anything else is copied.
        found.sort_by_key(|file| !self.odd.contains(&file.n));
        Ok(found)
    }

    /// Returns whether both download folders are the same folder, e.g. through a bind mount.
    ///
    /// Then the old name is the new one, and must not be deleted.
    fn is_one_folder(&self, path: &Path, new_path: &Path) -> bool {
        let folder = |dir: &Path, path: &Path| {
            let path = dir.join(path);
            fs::metadata(path.parent().unwrap_or(dir)).ok().and_then(|meta| sys::inode(&meta))
        };
        // Without inode numbers the folders count as one, so that nothing is deleted.
        folder(self.from, path).is_none_or(|old| folder(self.to, new_path).is_none_or(|new| old == new))
    }

    fn move_files(&mut self, found: &Found) -> Result<(), DiskFault> {
        let Found { n, meta, there, stays } = found;
        if self.progress.is_ended() {
            return Err(stopped());
        }
        let (old, new) = ((self.from, self.path(*n)), (self.to, self.new_path(*n)));
        let words = |error: io::Error| error::from_io(DiskOp::Move, &self.to.join(new.1), &error, self.left());
        let linked = match (there, stays) {
            (true, _) => Ok(()),
            // A file that is kept is copied, as if the folders were on different file systems.
            (false, true) => Err(io::Error::from(io::ErrorKind::CrossesDevices)),
            (false, false) => beneath::link(old, new),
        };
        let how = match linked {
            Ok(()) => TransferMethod::Linked,
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                self.is_there_room()?;
                self.copy(*n, meta)?;
                self.done.push((*n, TransferMethod::Part));
                return Ok(());
            }
            Err(error) if has_no_links(&error) => {
                beneath::rename(old, new).map_err(words)?;
                TransferMethod::Renamed
            }
            Err(error) => return Err(words(error)),
        };
        self.done.push((*n, how));
        self.progress.add(meta.len());
        Ok(())
    }

    /// Returns the mtime of a file in the new folder; that of the old one unless they differ only in how exact they are.
    fn mtime(&self, n: usize, old: FileStamp) -> i64 {
        let new = fs::symlink_metadata(self.to.join(self.new_path(n))).map(|meta| FileStamp::new(&meta).changed);
        new.ok().filter(|new| i128::from(new - old.changed).abs() <= GRAIN).unwrap_or(old.changed)
    }

    /// Returns the number of bytes still to be transferred.
    fn left(&self) -> u64 {
        let (done, all) = self.progress.bytes();
        all.saturating_sub(done)
    }

    /// Fsyncs the directories of the new files, before the old files are deleted.
    fn sync(&self) -> Result<(), DiskFault> {
        let folders: BTreeMap<&Path, &Path> = self
            .done
            .iter()
            .flat_map(|(n, _)| self.new_path(*n).ancestors())
            .filter_map(|path| Some((path.parent()?, path)))
            .collect();
        folders.values().try_for_each(|path| {
            beneath::sync_parent(self.to, path)
                .map_err(|error| error::from_io(DiskOp::Move, &self.to.join(path), &error, 0))
        })
    }

    /// Undoes the steps done, and adds to the message which files could not be moved back.
    fn roll_back(&self, mut fault: DiskFault) -> DiskFault {
        let mut stranded = Vec::new();
        for (n, how) in self.done.iter().rev() {
            let path = self.new_path(*n);
            match how {
                TransferMethod::Renamed => {
                    if let Err(error) = beneath::rename((self.to, path), (self.from, self.path(*n))) {
                        tracing::warn!("{} cannot be moved back: {error}", self.to.join(path).display());
                        stranded.push(path);
                    }
                }
                // The old folder still has the file: no data is lost if this deletion fails.
                TransferMethod::Linked | TransferMethod::Copied => drop(beneath::remove_file(self.to, path)),
                TransferMethod::Part => drop(beneath::remove_file(self.to, &self.part(*n))),
            }
        }
        remove_empty_folders(self.renamed, self.to);
        let from = self.from.display();
        match stranded.first() {
            None => fault.text = format!("{}; nothing was moved, its data are in {from}", fault.text),
            Some(path) => {
                let (first, count) = (self.to.join(path), counted(stranded.len() as u64, "file"));
                let first = first.display();
                fault.text =
                    format!("{}; {count} could not be moved back, {first} for one: move them to {from}", fault.text);
            }
        }
        fault
    }
}

/// Returns the relative path of file `n`; the part file has the index after the last file.
fn path_of<'a>(layout: &'a Layout, part: &'a Path, n: usize) -> &'a Path {
    layout.files().get(n).map_or(part, |file| &file.path)
}

fn stopped() -> DiskFault {
    error::other("the move was stopped".to_owned())
}

/// Returns whether a hard link was refused because the file system, or its policy, does not support it.
fn has_no_links(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidInput, PermissionDenied, TooManyLinks, Unsupported};
    matches!(error.kind(), PermissionDenied | Unsupported | TooManyLinks | InvalidInput)
}

#[cfg(test)]
mod tests;
