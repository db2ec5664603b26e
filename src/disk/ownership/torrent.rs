//! File ownership of one open torrent: files it created, existing files, files of other torrents.
//!
//! Files that are not the torrent's own are not written to, and only files that the torrent created are ever deleted.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::disk::atomic_bitfield::AtomicBitfield;
use crate::disk::beneath::{self as below, Access};
use crate::disk::error;
use crate::disk::file_stamp::FileStamp;
use crate::disk::layout::{FileEntry, Layout};
use crate::disk::own_copy;
use crate::disk::ownership::record::{FileOwner, Head, OwnedPath, OwnershipRecord};
use crate::disk::ownership::registry::{Entry, OpenTorrent, Owner, OwnershipRegistry, paths};
use crate::disk::sys;
use crate::swarm::job::{DiskFault, FaultKind};
use crate::wire::message::PieceIndex;

use words::occupied;
pub(in crate::disk) use words::{one_file, stays};
use zeros::Zeros;

mod guard;
mod words;
mod zeros;

/// Bytes read in one go.
const READ: usize = 256 * 1024;

/// Context for classifying the existing files when a torrent is opened.
pub struct OpenContext<'a> {
    /// Whether the torrent has resume data in this folder.
    pub known: bool,
    pub overwrite: bool,
    pub unwanted: &'a dyn Fn(u32) -> bool,
    /// Whether the torrent may have written to a file when it was at work here last.
    pub wrote: &'a dyn Fn(u32) -> bool,
}

/// Who owns each file of a torrent, while it is open in a folder.
#[derive(Debug)]
pub struct Ownership {
    registry: Arc<OwnershipRegistry>,
    key: String,
    pub(in crate::disk) layout: Arc<Layout>,
    dir: PathBuf,
    /// The canonical path of the download folder.
    place: PathBuf,
    head: Head,
    whose: Vec<AtomicU8>,
    /// The ownership record loaded when the torrent was opened.
    recorded: Option<OwnershipRecord>,
    /// The other torrents that own paths of this one, by file index.
    others: Mutex<HashMap<u32, Owner>>,
    /// Files of its own that another program has changed, with whether the torrent made them.
    changed: Mutex<BTreeMap<u32, bool>>,
    twins: Vec<(u32, u32)>,
    overwrite: AtomicBool,
    /// Whether any file must be checked before it is written to.
    guarded: AtomicBool,
    /// Whether a check is to come that tells whose files are.
    unjudged: AtomicBool,
    /// The states and the end that were saved last.
    saved: Mutex<Option<(Vec<u8>, bool)>>,
    ended: AtomicBool,
}

impl Ownership {
    /// Opens the ownership of a torrent in a download folder, from the record named `key` if there is one.
    ///
    /// The torrent counts as open until the last clone is dropped or [`Ownership::end`] is called. The paths that
    /// belong to other torrents are determined here.
    #[must_use]
    pub fn open(registry: &Arc<OwnershipRegistry>, key: &str, layout: &Arc<Layout>, dir: &Path) -> Arc<Ownership> {
        registry.enter(key, layout, dir, |entry| Self::new(Arc::clone(registry), key, Arc::clone(layout), dir, entry))
    }

    fn new(registry: Arc<OwnershipRegistry>, key: &str, layout: Arc<Layout>, dir: &Path, entry: Entry) -> Self {
        let Entry { place, head, recorded, others } = entry;
        let twins = recorded.as_ref().map_or_else(|| twins(&paths(&layout, &place)), |entry| entry.twins.clone());
        let states = |entry: &OwnershipRecord| -> Vec<u8> { entry.paths.iter().map(|path| path.whose as u8).collect() };
        let saved = recorded.as_ref().map(|entry| (states(entry), entry.head.clean));
        // Until its files have been classified, the torrent claims what its record says.
        let whose = match &saved {
            Some((states, _)) => states.iter().copied().map(AtomicU8::new).collect(),
            // Pad files are never written and have no owner.
            None => {
                let none = |file: &FileEntry| if file.pad { FileOwner::Created } else { FileOwner::Absent };
                layout.files().iter().map(|file| AtomicU8::new(none(file) as u8)).collect()
            }
        };
        Ownership {
            registry,
            key: key.to_owned(),
            layout,
            dir: dir.to_path_buf(),
            place,
            head,
            whose,
            recorded,
            others: Mutex::new(others),
            changed: Mutex::default(),
            twins,
            overwrite: AtomicBool::new(false),
            guarded: AtomicBool::new(false),
            unjudged: AtomicBool::new(false),
            saved: Mutex::new(saved),
            ended: AtomicBool::new(false),
        }
    }

    #[must_use]
    pub fn whose(&self, file: u32) -> FileOwner {
        let byte = self.whose.get(file as usize).map_or(0, |whose| whose.load(Ordering::Acquire));
        FileOwner::of(byte).unwrap_or(FileOwner::Foreign)
    }

    fn set(&self, file: u32, whose: FileOwner) {
        if let Some(slot) = self.whose.get(file as usize) {
            slot.store(whose as u8, Ordering::Release);
        }
        if matches!(whose, FileOwner::Undecided | FileOwner::Foreign | FileOwner::OtherTorrent | FileOwner::TakenOver) {
            self.guarded.store(true, Ordering::Release);
        }
    }

    fn file(&self, n: u32) -> Option<&FileEntry> {
        self.layout.files().get(n as usize)
    }

    fn path(&self, n: u32) -> PathBuf {
        self.file(n).map_or_else(PathBuf::new, |file| self.dir.join(&file.path))
    }

    /// Whether a path belongs to another torrent.
    #[must_use]
    pub fn is_anothers(&self, n: u32) -> bool {
        !matches!(self.whose(n), FileOwner::Created | FileOwner::Existing) && self.owner(n).is_some()
    }

    fn owner(&self, n: u32) -> Option<Owner> {
        self.others.lock().unwrap_or_else(PoisonError::into_inner).get(&n).cloned()
    }

    /// Classifies the files found at the torrent's paths and claims the paths.
    ///
    /// `looks` holds the result of `stat` per file: `None` for a missing file, a fault for an unusable one. If the user
    /// allows overwriting, files that are too long are truncated.
    ///
    /// # Errors
    /// If a path belongs to another torrent, two files of the torrent are the same file on disk, or a path is unusable.
    pub fn classify_files(
        &self,
        opening: &OpenContext<'_>,
        looks: Vec<Result<Option<FileStamp>, DiskFault>>,
    ) -> Result<Vec<Option<FileStamp>>, DiskFault> {
        self.overwrite.store(opening.overwrite, Ordering::Release);
        self.tell_twins(&looks)?;
        let mut taken = Vec::new();
        let mut stamps = Vec::with_capacity(looks.len());
        for (look, n) in looks.into_iter().zip(0..) {
            let Some(file) = self.file(n).filter(|file| !file.pad) else {
                stamps.push(look?);
                continue;
            };
            let owner =
                self.owner(n).filter(|_| !matches!(self.recorded(n), Some(FileOwner::Created | FileOwner::Existing)));
            let unwanted = (opening.unwanted)(n);
            let look = match (look, &owner) {
                (Err(_), _) if unwanted => Ok(None),
                (Err(fault), Some(owner)) if owner.present || !opening.overwrite => {
                    tracing::info!("{fault}");
                    return Err(self.refusal(n, owner));
                }
                (Err(fault), _) if opening.overwrite => self.cut(n, file).map_err(|_| fault),
                (look, _) => look,
            };
            let look = look?;
            let whose = match (owner, look) {
                (Some(_), None) if unwanted => FileOwner::OtherTorrent,
                (Some(owner), None) if owner.present => return Err(self.refusal(n, &owner)),
                (Some(owner), look) if look.is_none() || (opening.overwrite && !owner.present) => {
                    taken.push((owner, n));
                    self.others.lock().unwrap_or_else(PoisonError::into_inner).remove(&n);
                    if look.is_some() { FileOwner::Undecided } else { FileOwner::Absent }
                }
                (Some(owner), Some(stamp)) if stamp.size != file.length && owner.present && !unwanted => {
                    return Err(self.refusal(n, &owner));
                }
                (Some(_), _) => FileOwner::OtherTorrent,
                (None, None) => FileOwner::Absent,
                (None, Some(stamp)) => self.found(n, stamp, opening),
            };
            self.set(n, whose);
            stamps.push(look);
        }
        if !taken.is_empty() {
            let mine = paths(&self.layout, &self.place);
            let taken: Vec<_> = taken.into_iter().map(|(owner, n)| (owner, mine[n as usize].1)).collect();
            self.registry.take_over(&taken);
        }
        Ok(stamps)
    }

    /// Whose a file is that is there and belongs to no other torrent.
    fn found(&self, n: u32, stamp: FileStamp, opening: &OpenContext<'_>) -> FileOwner {
        let empty = self.file(n).is_none_or(|file| file.length == 0);
        let nothing = stamp.size == 0 || empty;
        let clean = self.recorded.as_ref().is_some_and(|entry| entry.head.clean);
        match self.recorded(n) {
            Some(whose @ (FileOwner::Created | FileOwner::Existing)) => whose,
            // Made after the record was written, which the end of the program cut short. One that the torrent did not write
            // to was put there by somebody else since.
            Some(FileOwner::Absent) if !clean && (empty || (opening.wrote)(n)) => FileOwner::Created,
            // A record of an older version of the program says nothing of owners.
            None if opening.known => FileOwner::Created,
            _ if nothing => FileOwner::Existing,
            _ => FileOwner::Undecided,
        }
    }

    fn recorded(&self, n: u32) -> Option<FileOwner> {
        self.recorded.as_ref()?.paths.get(n as usize).map(|path| path.whose)
    }

    /// Truncates a file that is too long to its length in the torrent.
    fn cut(&self, n: u32, file: &FileEntry) -> Result<Option<FileStamp>, DiskFault> {
        let words = |error: std::io::Error| error::from_io(error::DiskOp::Write, &self.path(n), &error, 0);
        let open = below::open(&self.dir, &file.path, Access::Write).map_err(words)?;
        let length = open.metadata().map_err(words)?.len();
        if length > file.length {
            tracing::warn!(
                "{} is cut from {length} to {} bytes, to be overwritten",
                self.path(n).display(),
                file.length
            );
            let meta = open.metadata().map_err(words)?;
            if sys::names(&meta) > 1 {
                // Its other names keep what is in it.
                let copy = own_copy::replace(&self.dir, &file.path, &open, file.length).map_err(words)?;
                return Ok(Some(FileStamp::new(&copy.metadata().map_err(words)?)));
            }
            open.set_len(file.length).map_err(words)?;
        }
        let meta = open.metadata().map_err(words)?;
        Ok(Some(FileStamp::new(&meta)))
    }

    /// Returns an error if two files of the torrent are the same file on this file system.
    fn tell_twins(&self, looks: &[Result<Option<FileStamp>, DiskFault>]) -> Result<(), DiskFault> {
        let there = |n: u32| !matches!(looks.get(n as usize), None | Some(Ok(None)));
        let inode = |n: u32| std::fs::symlink_metadata(self.path(n)).ok().and_then(|meta| sys::inode(&meta));
        for (a, b) in self.twins.iter().filter(|(a, b)| there(*a) && there(*b)) {
            // Systems without inode numbers are assumed to be case-insensitive.
            if inode(*a) == inode(*b) {
                return Err(one_file(&self.path(*a), &self.path(*b)));
            }
        }
        Ok(())
    }

    fn refusal(&self, n: u32, owner: &Owner) -> DiskFault {
        let path = self.path(n);
        let text = match owner.present {
            true => {
                format!("{} belongs to {owner}: choose another folder, or remove that torrent first", path.display())
            }
            false => {
                format!(
                    "{} belongs to {owner}: move it away, choose another folder, or let it be overwritten (--overwrite)",
                    path.display()
                )
            }
        };
        let kind = if owner.present { FaultKind::Taken } else { FaultKind::Occupied };
        DiskFault { kind, text }
    }

    /// Returns the files whose pieces must be hashed to decide who owns them.
    pub fn undecided(&self) -> impl Iterator<Item = u32> + '_ {
        let asked =
            |n: &u32| matches!(self.whose(*n), FileOwner::Undecided | FileOwner::Foreign | FileOwner::OtherTorrent);
        let any = self.guarded.load(Ordering::Acquire);
        (0..self.whose.len() as u32).filter(move |n| any && asked(n))
    }

    /// Another program has changed a file, or put another one in its place: what is in it decides whose it is. `same` where
    /// it may still be the file that it was.
    pub fn question(&self, n: u32, same: bool) {
        let whose = self.whose(n);
        if matches!(whose, FileOwner::Created | FileOwner::Existing) {
            let mut changed = self.changed.lock().unwrap_or_else(PoisonError::into_inner);
            changed.insert(n, same && whose == FileOwner::Created);
            self.set(n, FileOwner::Undecided);
        }
    }

    /// Whether another program has changed a file since it was the torrent's, and whether the torrent made it.
    fn was_changed(&self, n: u32) -> Option<bool> {
        self.changed.lock().unwrap_or_else(PoisonError::into_inner).get(&n).copied()
    }

    /// Takes note of files that have appeared since it was opened, before they are checked.
    pub fn on_file_appeared(&self, n: u32) {
        if self.whose(n) == FileOwner::Absent {
            self.set(
                n,
                if self.file(n).is_some_and(|file| file.length == 0) {
                    FileOwner::Existing
                } else {
                    FileOwner::Undecided
                },
            );
        }
    }

    /// Judges the files in question by the pieces that are there, after a check. Tells why the torrent cannot go on, if so.
    /// Bytes of a file that are `held` in the part file say nothing of what lies in the file's place.
    pub fn judge(
        &self,
        written: &AtomicBitfield,
        unwanted: &dyn Fn(u32) -> bool,
        held: &dyn Fn(u32, u32) -> bool,
        stop: &dyn Fn() -> bool,
    ) -> Option<DiskFault> {
        let mut zeros = Zeros::default();
        let all = 0..self.layout.geometry().pieces();
        let mut evidence = None;
        let (mut refused, mut foreign) = (None, Vec::new());
        for n in self.undecided().collect::<Vec<_>>() {
            if stop() {
                return None;
            }
            let pieces = self.layout.pieces_of(n as usize);
            let stands = |piece| written.has(piece) && !held(n, piece);
            let whole = pieces.clone().all(stands);
            let bad = pieces.clone().any(|piece| self.is_inside(n, piece) && !written.has(piece));
            if self.whose(n) == FileOwner::OtherTorrent {
                if !whole && bad && !unwanted(n) {
                    refused = refused.or_else(|| self.owner(n).map(|owner| self.refusal(n, &owner)));
                }
                continue;
            }
            let proves = |zeros: &mut Zeros, piece| written.has(piece) && !zeros.is(&self.layout, piece);
            let whose = if whole
                || pieces.clone().any(|piece| stands(piece) && proves(&mut zeros, piece))
                || self.is_blank(n, stop)
            {
                if self.was_changed(n) == Some(true) { FileOwner::Created } else { FileOwner::Existing }
            } else if self.overwrite.load(Ordering::Acquire) {
                FileOwner::Created
            } else if bad {
                FileOwner::Foreign
            } else if self.has_full_length(n)
                || *evidence.get_or_insert_with(|| all.clone().any(|piece| proves(&mut zeros, piece)))
            {
                // No piece lies within it, so its bytes are compared with those of the torrent as they come.
                FileOwner::Undecided
            } else {
                FileOwner::Foreign
            };
            self.set(n, whose);
            if whose == FileOwner::Foreign && !unwanted(n) {
                foreign.push(n);
            }
        }
        self.guarded.store(self.undecided().next().is_some(), Ordering::Release);
        self.unjudged.store(false, Ordering::Release);
        refused.or_else(|| {
            let first = *foreign.first()?;
            Some(occupied(&self.path(first), foreign.len(), self.was_changed(first).is_some()))
        })
    }

    /// Returns whether a piece lies completely within this file.
    fn is_inside(&self, n: u32, piece: u32) -> bool {
        let bytes = self.layout.bytes_of(PieceIndex(piece));
        self.file(n).is_some_and(|file| file.offset <= bytes.start && bytes.end <= file.offset + file.length)
    }

    /// Returns whether a file has the length that it has in the torrent, as one has that was downloaded in part.
    fn has_full_length(&self, n: u32) -> bool {
        let length = self.file(n).map(|file| file.length);
        std::fs::symlink_metadata(self.path(n)).is_ok_and(|meta| Some(meta.len()) == length)
    }

    /// Returns whether a file contains only zeros and has no other hard link.
    fn is_blank(&self, n: u32, stop: &dyn Fn() -> bool) -> bool {
        let Some(file) = self.file(n) else { return false };
        let Ok(open) = below::open(&self.dir, &file.path, Access::Read) else { return true };
        let Ok(meta) = open.metadata() else { return false };
        if sys::names(&meta) > 1 {
            return false;
        }
        let (mut at, mut buffer) = (0, vec![0; READ]);
        while let Some(data) = sys::next_data(&open, at).filter(|data| data.start < meta.len()) {
            at = data.start;
            let end = data.end.min(meta.len());
            while at < end {
                let part = &mut buffer[..(end - at).min(READ as u64) as usize];
                if stop() || sys::read_exact_at(&open, part, at).is_err() || part.iter().any(|byte| *byte != 0) {
                    return false;
                }
                at += part.len() as u64;
            }
        }
        true
    }

    /// Takes note of a file that the torrent on_file_created.
    pub fn on_file_created(&self, n: u32) {
        self.set(n, FileOwner::Created);
    }

    /// Returns the fault of a file that another program created after the torrent was opened.
    #[must_use]
    pub fn intruder(&self, n: u32) -> DiskFault {
        let path = self.path(n);
        match self.registry.first_conflict(&self.key, &self.layout, &self.dir).filter(|(taken, _)| *taken == path) {
            Some((_, owner)) => self.refusal(n, &owner),
            None => error::changed(&path, "was made by somebody else meanwhile"),
        }
    }

    /// Returns the files to delete with the torrent: it created them and no other torrent uses them.
    #[must_use]
    pub fn deletable(&self) -> BTreeSet<u32> {
        let used = self.used_by_others();
        (0..self.whose.len() as u32).filter(|n| self.whose(*n) == FileOwner::Created && !used.contains(n)).collect()
    }

    /// Returns the files that other torrents use too, and that must not be deleted with this one.
    pub(in crate::disk) fn used_by_others(&self) -> BTreeSet<u32> {
        self.registry.used(&self.key, &self.head.root, &self.layout, &self.paths())
    }

    /// Saves the ownership record if it changed. `last` marks a clean shutdown. A failure is logged.
    pub fn save(&self, last: bool) {
        let states: Vec<u8> = self.whose.iter().map(|whose| whose.load(Ordering::Acquire)).collect();
        let mut saved = self.saved.lock().unwrap_or_else(PoisonError::into_inner);
        // A clean shutdown only matters for files that may still be created.
        let clean = last || !states.contains(&(FileOwner::Absent as u8));
        if self.ended.load(Ordering::Acquire) || saved.as_ref().is_some_and(|it| it.0 == states && it.1 == clean) {
            return;
        }
        let head = Head { clean, ..self.head.clone() };
        let entry = OwnershipRecord { head, twins: self.twins.clone(), paths: self.paths() };
        match self.registry.save(&self.key, &entry) {
            Ok(()) => *saved = Some((states, clean)),
            Err(error) => tracing::warn!("cannot take down whose the files in {} are: {error}", self.dir.display()),
        }
    }

    /// Marks the torrent as closed; the record is not saved any more.
    pub fn end(&self) {
        self.ended.store(true, Ordering::Release);
    }

    /// Deletes the ownership record, after the torrent's files were deleted.
    pub fn delete(&self) {
        self.end();
        self.registry.remove(&self.key);
    }
}

impl OpenTorrent for Ownership {
    fn paths(&self) -> Vec<OwnedPath> {
        let paths = paths(&self.layout, &self.place).into_iter().zip(0_u32..);
        paths.map(|((exact, folded), n)| OwnedPath { exact, folded, whose: self.whose(n) }).collect()
    }

    fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }
}

impl Drop for Ownership {
    fn drop(&mut self) {
        self.registry.leave(&self.key);
    }
}

/// Returns pairs of files whose paths differ only in case or Unicode normalization.
fn twins(paths: &[(u64, u64)]) -> Vec<(u32, u32)> {
    let mut first: HashMap<u64, u32> = HashMap::with_capacity(paths.len());
    let mut pairs = Vec::new();
    for ((_, folded), n) in paths.iter().zip(0..).filter(|((exact, _), _)| *exact != 0) {
        match first.get(folded) {
            Some(twin) => pairs.push((*twin, n)),
            None => drop(first.insert(*folded, n)),
        }
    }
    pairs
}
