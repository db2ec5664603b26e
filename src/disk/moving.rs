//! Moving the files of a torrent that nobody works on to another folder.
//!
//! First every file gets its name in the new folder: as a second name (a hard link) where both folders are on one file
//! system, as a copy where they are not, and by renaming where the file system has no links. Until that is done the old
//! folder is the torrent's place, and a fault takes back what was done. Then the record is handed over, and the new folder
//! is the torrent's place. Only then do the old names go. Whatever happens in between, one of the two folders has all;
//! only where files are renamed can a kill leave some in each, and then moving once more brings the rest.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::disk::atomic;
use crate::disk::bits::PieceBits;
use crate::disk::claims::Claim;
use crate::disk::fault::{self, Doing};
use crate::disk::files::remove_empty_folders;
use crate::disk::layout::Layout;
use crate::disk::names;
use crate::disk::owners::{Owners, Whose};
use crate::disk::ownership::Ownership;
use crate::disk::part;
use crate::disk::paths::{self, Access};
use crate::disk::rawio;
use crate::disk::stamps::Stamp;
use crate::disk::storage::StorageSpec;
use crate::disk::store::Store;
use crate::limits::MIB;
use crate::swarm::job::{DiskFault, FaultKind};
use crate::wire::message::InfoHash;
use crate::wire::text::counted;

pub mod cut_short;

/// Bytes copied in one go, and between two looks at whether to go on.
const CHUNK: usize = MIB;

/// How far a move is, and whether it is to go on. Written by the one who moves, read by any.
#[derive(Debug, Default)]
pub struct Progress {
    done: AtomicU64,
    all: AtomicU64,
    ended: AtomicBool,
}

impl Progress {
    /// Bytes that are in the new folder, and bytes that are to be there.
    #[must_use]
    pub fn bytes(&self) -> (u64, u64) {
        (self.done.load(Ordering::Relaxed), self.all.load(Ordering::Relaxed))
    }

    /// Ends the move: what was done is taken back.
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

/// How a file came to the new folder.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum How {
    /// The old name is there too.
    Linked,
    /// A copy is there, under a name of its own until all are.
    Part,
    /// The old file is there too.
    Copied,
    /// Only the new name is there.
    Renamed,
}

/// A torrent whose files are all in the new folder; names and files that are left in the old one are of no more use.
#[derive(Debug)]
pub struct Moved {
    layout: Arc<Layout>,
    part: PathBuf,
    from: PathBuf,
    /// What is left in the old folder.
    left: Vec<usize>,
    /// Says that there is something left to clear, should it not come to that.
    note: PathBuf,
    /// Who owns the old files, until they are gone: the records, and the name of the torrent's.
    owners: (Arc<Owners>, String),
    /// Nobody works in the old folder before it is cleared.
    _claim: Claim,
}

/// Brings all files of a torrent to the folder `to`. Nobody may work on it meanwhile. Files that are somebody else's stay;
/// of those that another torrent uses too, it gets copies, and of those that another one owns where it has all of them.
///
/// # Errors
/// When a file of the same name is there already or would be another torrent's, when there is no room, and whatever else the system refuses: the files
/// are then where they were.
pub fn bring(spec: &StorageSpec, to: &Path, owners: &Arc<Owners>, progress: &Progress) -> Result<Moved, DiskFault> {
    let absolute = |dir: &Path| std::path::absolute(dir).unwrap_or_else(|_| dir.to_path_buf());
    let (from, to) = (absolute(&spec.dir), absolute(to));
    let store = |dir: &Path| Store::new(&spec.state_dir, spec.layout.info_hash(), dir);
    let (old, new) = (store(&from), store(&to));
    if old.is(&new) {
        return Err(fault::other(format!("its data are in {} already", to.display())));
    }
    let ((claim, _), _new_claim) = (old.claim()?, new.claim()?);
    // Files that lie under other names keep these.
    let (layout, _) = names::find(&spec.layout, &from);
    if let Some((path, owner)) = owners.taken(new.name(), &layout, &to) {
        return Err(fault::other(format!("{} belongs to {owner}: choose another folder", path.display())));
    }
    let own = owners.enter(old.name(), &layout, &from);
    let shared = owners.used(&own);
    let part = part::name(layout.info_hash());
    let mut work = Work { layout: &layout, part: &part, from: &from, to: &to, progress, needs: 0, done: Vec::new() };
    let note = cut_short::place(&spec.state_dir, &old);
    let have = old.recall(&layout).and_then(|have| PieceBits::from_bytes(&have, layout.geometry().pieces()));
    let brought = work.look(&own, &shared, have.as_ref()).and_then(|found| {
        let item =
            |file: &Found| cut_short::Item { n: file.n, path: work.path(file.n).to_path_buf(), stays: file.stays };
        let items = found.iter().map(item).collect();
        let (from, to, torrent) = (from.clone(), to.clone(), layout.info_hash());
        cut_short::Note { torrent, from, to, items }.write(&note)?;
        found.iter().try_for_each(|file| work.bring(file)).map(|()| found)
    });
    let brought = brought.and_then(|found| work.name().map(|()| found)).and_then(|found| work.sync().map(|()| found));
    let found = match brought {
        Ok(found) => found,
        Err(fault) => {
            let fault = work.take_back(fault);
            let _ = atomic::remove(&note);
            return Err(fault);
        }
    };
    own.end();
    old.hand_over(&new);
    let metas: BTreeMap<usize, Stamp> = found.iter().map(|file| (file.n, Stamp::new(&file.meta))).collect();
    let as_left = |n, then: Stamp| metas.get(&n).is_some_and(|now| then.is_unchanged(*now));
    if let Err(error) = new.has_moved(&layout, &as_left) {
        log::warn!("{} cannot be written, its files will be checked: {error}", new.record().display());
    }
    let came: BTreeSet<usize> = found.iter().map(|file| file.n).collect();
    owners.hand_over(old.name(), (new.name(), &to), &layout, &|n| came.contains(&n));
    let stays = |n: usize| found.iter().any(|file| file.n == n && file.stays);
    let any = found.iter().any(|file| file.stays);
    let gone = work.done.iter().filter(|(n, how)| *how != How::Renamed && !(any && stays(*n)));
    let left = gone.map(|(n, _)| *n).collect();
    let owners = (Arc::clone(owners), old.name().to_owned());
    Ok(Moved { layout, part, from, left, note, owners, _claim: claim })
}

impl Moved {
    /// Deletes what is left in the old folder, and its folders that are empty.
    ///
    /// # Errors
    /// The first file that could not be deleted; the others are.
    pub fn clear(self) -> Result<(), DiskFault> {
        let mut first = Ok(());
        for path in self.left.iter().map(|n| path_of(&self.layout, &self.part, *n)) {
            if let Err(error) = paths::remove_file(&self.from, path)
                && error.kind() != io::ErrorKind::NotFound
            {
                let fault = fault::system(Doing::Delete, &self.from.join(path), &error, 0);
                first = first.and(Err(fault));
            }
        }
        remove_empty_folders(&self.layout, &self.from);
        if first.is_ok() {
            let _ = atomic::remove(&self.note);
        }
        self.owners.0.remove(&self.owners.1);
        first
    }
}

/// A file that is to be moved.
struct Found {
    n: usize,
    meta: fs::Metadata,
    /// It is in the new folder already, from a move that did not come to its end.
    there: bool,
    /// Another torrent uses it: it is copied, and stays.
    stays: bool,
}

struct Work<'a> {
    layout: &'a Layout,
    part: &'a Path,
    from: &'a Path,
    to: &'a Path,
    progress: &'a Progress,
    /// Bytes that copies of all files take up.
    needs: u64,
    done: Vec<(usize, How)>,
}

impl Work<'_> {
    fn path(&self, n: usize) -> &Path {
        path_of(self.layout, self.part, n)
    }

    /// The files that are there, none of which has its new name taken by another one.
    fn look(
        &mut self,
        own: &Ownership,
        shared: &BTreeSet<u32>,
        have: Option<&PieceBits>,
    ) -> Result<Vec<Found>, DiskFault> {
        let mut found = Vec::new();
        let mut bytes = 0;
        let files = self.layout.files();
        let named =
            files.iter().enumerate().filter(|(_, entry)| !entry.pad).map(|(n, entry)| (n, entry.path.as_path()));
        for (n, path) in named.chain([(files.len(), self.part)]) {
            let words = |dir: &Path| {
                let path = dir.join(path);
                move |error: io::Error| fault::system(Doing::Move, &path, &error, 0)
            };
            let whose = own.whose(n as u32);
            let whole = || have.is_some_and(|have| self.layout.pieces_of(n).all(|piece| have.has(piece)));
            if matches!(whose, Whose::Foreign | Whose::Lost) || (own.is_anothers(n as u32) && !whole()) {
                continue;
            }
            let stays = whose == Whose::Shared || shared.contains(&(n as u32));
            let file = match paths::open(self.from, path, Access::Read) {
                Err(error) if is_absent(&error) => continue,
                other => other.map_err(words(self.from))?,
            };
            let meta = file.metadata().map_err(words(self.from))?;
            let there = match paths::open(self.to, path, Access::Read) {
                Err(error) if is_absent(&error) => false,
                Err(error) => return Err(words(self.to)(error)),
                Ok(other) => {
                    let other = other.metadata().map_err(words(self.to))?;
                    if rawio::inode(&other).is_none() || rawio::inode(&other) != rawio::inode(&meta) {
                        let taken = self.to.join(path);
                        return Err(fault::other(format!("{} is there already: move it away first", taken.display())));
                    }
                    if self.is_one_folder(path) {
                        let text = format!("{} is the folder that its data are in already", self.to.display());
                        return Err(fault::other(text));
                    }
                    true
                }
            };
            bytes += meta.len();
            self.needs += rawio::taken(&meta);
            found.push(Found { n, meta, there, stays });
        }
        self.progress.all.store(bytes, Ordering::Relaxed);
        Ok(found)
    }

    /// Whether both folders are one under two names, by a mount for one: then the old name is the new one, and must not
    /// go.
    fn is_one_folder(&self, path: &Path) -> bool {
        let folder = |dir: &Path| {
            let path = dir.join(path);
            fs::metadata(path.parent().unwrap_or(dir)).ok().and_then(|meta| rawio::inode(&meta))
        };
        // Where that cannot be told, nothing may be deleted.
        folder(self.from).is_none_or(|old| folder(self.to).is_none_or(|new| old == new))
    }

    fn bring(&mut self, found: &Found) -> Result<(), DiskFault> {
        let Found { n, meta, there, stays } = found;
        if self.progress.is_ended() {
            return Err(stopped());
        }
        let path = self.path(*n);
        let (old, new) = ((self.from, path), (self.to, path));
        let words = |error: io::Error| fault::system(Doing::Move, &self.to.join(path), &error, self.left());
        let linked = match (there, stays) {
            (true, _) => Ok(()),
            // As where both folders are on different disks.
            (false, true) => Err(io::Error::from(io::ErrorKind::CrossesDevices)),
            (false, false) => paths::link(old, new),
        };
        let how = match linked {
            Ok(()) => How::Linked,
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                self.is_there_room()?;
                self.copy(*n, meta)?;
                self.done.push((*n, How::Part));
                return Ok(());
            }
            Err(error) if has_no_links(&error) => {
                paths::rename(old, new).map_err(words)?;
                How::Renamed
            }
            Err(error) => return Err(words(error)),
        };
        self.done.push((*n, how));
        self.progress.add(meta.len());
        Ok(())
    }

    /// Bytes that are still to come.
    fn left(&self) -> u64 {
        let (done, all) = self.progress.bytes();
        all.saturating_sub(done)
    }

    /// Before the first copy: better to hear now than after an hour that they do not fit.
    fn is_there_room(&self) -> Result<(), DiskFault> {
        match fault::free_space(self.to) {
            Some(free) if self.done.is_empty() && free < self.needs => {
                let (to, needs) = (self.to.display(), fault::size(self.needs));
                let text = format!("disk full: {to} needs {needs}, {} free", fault::size(free));
                Err(DiskFault { kind: FaultKind::Full, text })
            }
            _ => Ok(()),
        }
    }

    /// The name of a copy until all are whole: a move that was killed leaves none that could be taken for the file.
    fn part(&self, n: usize) -> PathBuf {
        part_name(self.path(n), self.layout.info_hash(), n)
    }

    /// Copies a file.
    fn copy(&self, n: usize, meta: &fs::Metadata) -> Result<(), DiskFault> {
        let part = self.part(n);
        // What a move left behind that was killed.
        let _ = paths::remove_file(self.to, &part);
        let copied = self.copy_to(self.path(n), &part, meta);
        if copied.is_err() {
            let _ = paths::remove_file(self.to, &part);
        }
        copied
    }

    /// All copies are whole: they get their names.
    fn name(&mut self) -> Result<(), DiskFault> {
        for at in 0..self.done.len() {
            let (n, how) = self.done[at];
            if how == How::Part {
                let (part, path) = (self.part(n), self.path(n));
                paths::rename((self.to, &part), (self.to, path))
                    .map_err(|error| fault::system(Doing::Move, &self.to.join(path), &error, 0))?;
                self.done[at].1 = How::Copied;
            }
        }
        Ok(())
    }

    fn copy_to(&self, path: &Path, part: &Path, meta: &fs::Metadata) -> Result<(), DiskFault> {
        let read = |error: io::Error| fault::system(Doing::Read, &self.from.join(path), &error, 0);
        let write = |error: io::Error| fault::system(Doing::Move, &self.to.join(path), &error, self.left());
        let source = paths::open(self.from, path, Access::Read).map_err(read)?;
        let copy = paths::open(self.to, part, Access::Create).map_err(write)?;
        copy.set_len(meta.len()).map_err(write)?;
        let mut buffer = vec![0; CHUNK];
        let mut at = 0;
        // Holes stay holes: what was never downloaded takes no room there either.
        while let Some(data) = rawio::next_data(&source, at).filter(|data| data.start < meta.len()) {
            self.progress.add(data.start - at);
            let end = data.end.min(meta.len());
            at = data.start;
            while at < end {
                if self.progress.is_ended() {
                    return Err(stopped());
                }
                let chunk = &mut buffer[..(end - at).min(CHUNK as u64) as usize];
                rawio::read_exact_at(&source, chunk, at).map_err(read)?;
                (&copy).seek(SeekFrom::Start(at)).and_then(|_| (&copy).write_all(chunk)).map_err(write)?;
                at += chunk.len() as u64;
                self.progress.add(chunk.len() as u64);
            }
        }
        self.progress.add(meta.len() - at);
        // The record knows files by their time.
        if let Ok(changed) = meta.modified() {
            copy.set_modified(changed).map_err(write)?;
        }
        #[cfg(unix)]
        copy.set_permissions(meta.permissions()).map_err(write)?;
        copy.sync_all().map_err(write)
    }

    /// Makes sure that the new names survive a power cut, before the old ones go.
    fn sync(&self) -> Result<(), DiskFault> {
        let folders: BTreeMap<&Path, &Path> = self
            .done
            .iter()
            .flat_map(|(n, _)| self.path(*n).ancestors())
            .filter_map(|path| Some((path.parent()?, path)))
            .collect();
        folders.values().try_for_each(|path| {
            paths::sync_parent(self.to, path)
                .map_err(|error| fault::system(Doing::Move, &self.to.join(path), &error, 0))
        })
    }

    /// Undoes what was done, and adds to the fault what could not be undone.
    fn take_back(&self, mut fault: DiskFault) -> DiskFault {
        let mut stranded = Vec::new();
        for (n, how) in self.done.iter().rev() {
            let path = self.path(*n);
            match how {
                How::Renamed => {
                    if let Err(error) = paths::rename((self.to, path), (self.from, path)) {
                        log::warn!("{} cannot be moved back: {error}", self.to.join(path).display());
                        stranded.push(path);
                    }
                }
                // Its like is in the old folder: nothing is lost where it stays.
                How::Linked | How::Copied => drop(paths::remove_file(self.to, path)),
                How::Part => drop(paths::remove_file(self.to, &self.part(*n))),
            }
        }
        remove_empty_folders(self.layout, self.to);
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

/// The path of a file below its folder; the part file comes after all others.
fn path_of<'a>(layout: &'a Layout, part: &'a Path, n: usize) -> &'a Path {
    layout.files().get(n).map_or(part, |file| &file.path)
}

/// The name of the copy of a file until it is whole.
fn part_name(path: &Path, torrent: InfoHash, n: usize) -> PathBuf {
    let hash = torrent.to_string();
    path.with_file_name(format!(".ttui-moving-{}-{n}", &hash[..8]))
}

fn stopped() -> DiskFault {
    fault::other("the move was stopped".to_owned())
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Whether a second name was refused because the file system, or its rules, know no such thing.
fn has_no_links(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidInput, PermissionDenied, TooManyLinks, Unsupported};
    matches!(error.kind(), PermissionDenied | Unsupported | TooManyLinks | InvalidInput)
}

#[cfg(test)]
mod tests;
