//! Whose the files of one torrent at work are: its own, somebody's who was there before, another torrent's. What is not its
//! own is not written to, and only what it made is ever deleted.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::disk::bits::PieceBits;
use crate::disk::fault;
use crate::disk::layout::{LaidFile, Layout};
use crate::disk::own_copy;
use crate::disk::owners::entry::{self, Entry, Head};
use crate::disk::owners::{Owner, Owners, Whose, paths};
use crate::disk::paths::{self as below, Access};
use crate::disk::rawio;
use crate::disk::stamps::Stamp;
use crate::swarm::job::{DiskFault, FaultKind};
use crate::wire::message::PieceIndex;

use words::occupied;
pub(super) use words::{one_file, stays};
use zeros::Zeros;

mod guard;
mod words;
mod zeros;

/// Bytes read in one go.
const READ: usize = 256 * 1024;

/// What is to be known of a torrent when its files have been looked at.
pub struct Opening<'a> {
    /// It has a resume record in this folder.
    pub known: bool,
    /// The user lets it write over files that were there before.
    pub overwrite: bool,
    /// Whether a file is not wanted.
    pub unwanted: &'a dyn Fn(u32) -> bool,
    /// Whether the torrent may have written to a file when it was at work here last.
    pub wrote: &'a dyn Fn(u32) -> bool,
}

/// Whose the files of a torrent are, while it is at work in a folder.
#[derive(Debug)]
pub struct Ownership {
    owners: Arc<Owners>,
    pub(super) key: String,
    pub(super) layout: Arc<Layout>,
    dir: PathBuf,
    /// The folder with its links resolved.
    place: PathBuf,
    pub(super) head: Head,
    whose: Vec<AtomicU8>,
    /// What the record said.
    recorded: Option<Entry>,
    /// Those to whom paths belong that are not ours.
    others: Mutex<HashMap<u32, Owner>>,
    /// Files of its own that another program has changed, with whether the torrent made them.
    changed: Mutex<BTreeMap<u32, bool>>,
    twins: Vec<(u32, u32)>,
    overwrite: AtomicBool,
    /// Whether anything is to be looked at before a write.
    guarded: AtomicBool,
    /// Whether a check is to come that tells whose files are.
    unjudged: AtomicBool,
    /// The states and the end that were saved last.
    saved: Mutex<Option<(Vec<u8>, bool)>>,
    ended: AtomicBool,
}

impl Ownership {
    pub(super) fn new(
        owners: Arc<Owners>,
        key: &str,
        layout: Arc<Layout>,
        (dir, place): (&Path, PathBuf),
        head: Head,
        recorded: Option<Entry>,
        others: HashMap<u32, Owner>,
    ) -> Self {
        let twins = recorded.as_ref().map_or_else(|| twins(&paths(&layout, &place)), |entry| entry.twins.clone());
        let states = |entry: &Entry| -> Vec<u8> { entry.paths.iter().map(|path| path.whose as u8).collect() };
        let saved = recorded.as_ref().map(|entry| (states(entry), entry.head.clean));
        // Until its files have been looked at it claims what it had.
        let whose = match &saved {
            Some((states, _)) => states.iter().copied().map(AtomicU8::new).collect(),
            // Padding is never written, and nobody's.
            None => {
                let none = |file: &LaidFile| if file.pad { Whose::Made } else { Whose::Absent };
                layout.files().iter().map(|file| AtomicU8::new(none(file) as u8)).collect()
            }
        };
        Ownership {
            owners,
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

    /// Whose a file is.
    #[must_use]
    pub fn whose(&self, file: u32) -> Whose {
        let byte = self.whose.get(file as usize).map_or(0, |whose| whose.load(Ordering::Acquire));
        Whose::of(byte).unwrap_or(Whose::Foreign)
    }

    fn set(&self, file: u32, whose: Whose) {
        if let Some(slot) = self.whose.get(file as usize) {
            slot.store(whose as u8, Ordering::Release);
        }
        if matches!(whose, Whose::Unproven | Whose::Foreign | Whose::Shared | Whose::Lost) {
            self.guarded.store(true, Ordering::Release);
        }
    }

    fn file(&self, n: u32) -> Option<&LaidFile> {
        self.layout.files().get(n as usize)
    }

    fn path(&self, n: u32) -> PathBuf {
        self.file(n).map_or_else(PathBuf::new, |file| self.dir.join(&file.path))
    }

    /// Whether a path belongs to another torrent.
    #[must_use]
    pub fn is_anothers(&self, n: u32) -> bool {
        !matches!(self.whose(n), Whose::Made | Whose::Found) && self.owner(n).is_some()
    }

    fn owner(&self, n: u32) -> Option<Owner> {
        self.others.lock().unwrap_or_else(PoisonError::into_inner).get(&n).cloned()
    }

    /// Its paths as others are to see them.
    pub(super) fn paths(&self) -> Vec<entry::Path> {
        let paths = paths(&self.layout, &self.place).into_iter().zip(0_u32..);
        paths.map(|((exact, folded), n)| entry::Path { exact, folded, whose: self.whose(n) }).collect()
    }

    /// Judges what was found in the places of its files (`None` for nothing, a fault for what cannot be used), and takes the
    /// paths. Files that are longer than they should be are cut where the user lets them be overwritten.
    ///
    /// # Errors
    /// When a path belongs to another torrent, two files are one here, or something cannot be used.
    pub fn settle(
        &self,
        opening: &Opening<'_>,
        looks: Vec<Result<Option<Stamp>, DiskFault>>,
    ) -> Result<Vec<Option<Stamp>>, DiskFault> {
        self.overwrite.store(opening.overwrite, Ordering::Release);
        self.tell_twins(&looks)?;
        let mut taken = Vec::new();
        let mut stamps = Vec::with_capacity(looks.len());
        for (look, n) in looks.into_iter().zip(0..) {
            let Some(file) = self.file(n).filter(|file| !file.pad) else {
                stamps.push(look?);
                continue;
            };
            let owner = self.owner(n).filter(|_| !matches!(self.recorded(n), Some(Whose::Made | Whose::Found)));
            let unwanted = (opening.unwanted)(n);
            let look = match (look, &owner) {
                (Err(_), _) if unwanted => Ok(None),
                (Err(fault), Some(owner)) if owner.present || !opening.overwrite => {
                    log::info!("{fault}");
                    return Err(self.refusal(n, owner));
                }
                (Err(fault), _) if opening.overwrite => self.cut(n, file).map_err(|_| fault),
                (look, _) => look,
            };
            let look = look?;
            let whose = match (owner, look) {
                (Some(_), None) if unwanted => Whose::Shared,
                (Some(owner), None) if owner.present => return Err(self.refusal(n, &owner)),
                (Some(owner), look) if look.is_none() || (opening.overwrite && !owner.present) => {
                    taken.push((owner, n));
                    self.others.lock().unwrap_or_else(PoisonError::into_inner).remove(&n);
                    if look.is_some() { Whose::Unproven } else { Whose::Absent }
                }
                (Some(owner), Some(stamp)) if stamp.size != file.length && owner.present && !unwanted => {
                    return Err(self.refusal(n, &owner));
                }
                (Some(_), _) => Whose::Shared,
                (None, None) => Whose::Absent,
                (None, Some(stamp)) => self.found(n, stamp, opening),
            };
            self.set(n, whose);
            stamps.push(look);
        }
        if !taken.is_empty() {
            let mine = paths(&self.layout, &self.place);
            let taken: Vec<_> = taken.into_iter().map(|(owner, n)| (owner, mine[n as usize].1)).collect();
            self.owners.take_over(&taken);
        }
        Ok(stamps)
    }

    /// Whose a file is that is there and belongs to no other torrent.
    fn found(&self, n: u32, stamp: Stamp, opening: &Opening<'_>) -> Whose {
        let empty = self.file(n).is_none_or(|file| file.length == 0);
        let nothing = stamp.size == 0 || empty;
        let clean = self.recorded.as_ref().is_some_and(|entry| entry.head.clean);
        match self.recorded(n) {
            Some(whose @ (Whose::Made | Whose::Found)) => whose,
            // Made after the record was written, which the end of the program cut short. One that the torrent did not write
            // to was put there by somebody else since.
            Some(Whose::Absent) if !clean && (empty || (opening.wrote)(n)) => Whose::Made,
            // A record of an older version of the program says nothing of owners.
            None if opening.known => Whose::Made,
            _ if nothing => Whose::Found,
            _ => Whose::Unproven,
        }
    }

    fn recorded(&self, n: u32) -> Option<Whose> {
        self.recorded.as_ref()?.paths.get(n as usize).map(|path| path.whose)
    }

    /// Gives a file that is too long its length.
    fn cut(&self, n: u32, file: &LaidFile) -> Result<Option<Stamp>, DiskFault> {
        let words = |error: std::io::Error| fault::system(fault::Doing::Write, &self.path(n), &error, 0);
        let open = below::open(&self.dir, &file.path, Access::Write).map_err(words)?;
        let length = open.metadata().map_err(words)?.len();
        if length > file.length {
            log::warn!("{} is cut from {length} to {} bytes, to be overwritten", self.path(n).display(), file.length);
            let meta = open.metadata().map_err(words)?;
            if rawio::names(&meta) > 1 {
                // Its other names keep what is in it.
                let copy = own_copy::replace(&self.dir, &file.path, &open, file.length).map_err(words)?;
                return Ok(Some(Stamp::new(&copy.metadata().map_err(words)?)));
            }
            open.set_len(file.length).map_err(words)?;
        }
        let meta = open.metadata().map_err(words)?;
        Ok(Some(Stamp::new(&meta)))
    }

    /// Says so where two files of the torrent are one on this file system.
    fn tell_twins(&self, looks: &[Result<Option<Stamp>, DiskFault>]) -> Result<(), DiskFault> {
        let there = |n: u32| !matches!(looks.get(n as usize), None | Some(Ok(None)));
        let inode = |n: u32| std::fs::symlink_metadata(self.path(n)).ok().and_then(|meta| rawio::inode(&meta));
        for (a, b) in self.twins.iter().filter(|(a, b)| there(*a) && there(*b)) {
            // Where the system tells no inodes, it is one that is blind to case.
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

    /// Files whose pieces have to be hashed before it is known whose they are.
    pub fn in_question(&self) -> impl Iterator<Item = u32> + '_ {
        let asked = |n: &u32| matches!(self.whose(*n), Whose::Unproven | Whose::Foreign | Whose::Shared);
        let any = self.guarded.load(Ordering::Acquire);
        (0..self.whose.len() as u32).filter(move |n| any && asked(n))
    }

    /// Another program has changed a file, or put another one in its place: what is in it decides whose it is. `same` where
    /// it may still be the file that it was.
    pub fn question(&self, n: u32, same: bool) {
        let whose = self.whose(n);
        if matches!(whose, Whose::Made | Whose::Found) {
            let mut changed = self.changed.lock().unwrap_or_else(PoisonError::into_inner);
            changed.insert(n, same && whose == Whose::Made);
            self.set(n, Whose::Unproven);
        }
    }

    /// Whether another program has changed a file since it was the torrent's, and whether the torrent made it.
    fn was_changed(&self, n: u32) -> Option<bool> {
        self.changed.lock().unwrap_or_else(PoisonError::into_inner).get(&n).copied()
    }

    /// Takes note of files that have appeared since it was opened, before they are checked.
    pub fn appeared(&self, n: u32) {
        if self.whose(n) == Whose::Absent {
            self.set(n, if self.file(n).is_some_and(|file| file.length == 0) { Whose::Found } else { Whose::Unproven });
        }
    }

    /// Judges the files in question by the pieces that are there, after a check. Tells why the torrent cannot go on, if so.
    /// Bytes of a file that are `held` in the part file say nothing of what lies in the file's place.
    pub fn judge(
        &self,
        written: &PieceBits,
        unwanted: &dyn Fn(u32) -> bool,
        held: &dyn Fn(u32, u32) -> bool,
        stop: &dyn Fn() -> bool,
    ) -> Option<DiskFault> {
        let mut zeros = Zeros::default();
        let all = 0..self.layout.geometry().pieces();
        let mut evidence = None;
        let (mut refused, mut foreign) = (None, Vec::new());
        for n in self.in_question().collect::<Vec<_>>() {
            if stop() {
                return None;
            }
            let pieces = self.layout.pieces_of(n as usize);
            let stands = |piece| written.has(piece) && !held(n, piece);
            let whole = pieces.clone().all(stands);
            let bad = pieces.clone().any(|piece| self.is_inside(n, piece) && !written.has(piece));
            if self.whose(n) == Whose::Shared {
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
                if self.was_changed(n) == Some(true) { Whose::Made } else { Whose::Found }
            } else if self.overwrite.load(Ordering::Acquire) {
                Whose::Made
            } else if bad || !*evidence.get_or_insert_with(|| all.clone().any(|piece| proves(&mut zeros, piece))) {
                Whose::Foreign
            } else {
                Whose::Unproven
            };
            self.set(n, whose);
            if whose == Whose::Foreign && !unwanted(n) {
                foreign.push(n);
            }
        }
        self.guarded.store(self.in_question().next().is_some(), Ordering::Release);
        self.unjudged.store(false, Ordering::Release);
        refused.or_else(|| {
            let first = *foreign.first()?;
            Some(occupied(&self.path(first), foreign.len(), self.was_changed(first).is_some()))
        })
    }

    /// Whether a piece has bytes of this file alone.
    fn is_inside(&self, n: u32, piece: u32) -> bool {
        let bytes = self.layout.bytes_of(PieceIndex(piece));
        self.file(n).is_some_and(|file| file.offset <= bytes.start && bytes.end <= file.offset + file.length)
    }

    /// Whether a file holds nothing but zeros, and has no other name under which somebody keeps them.
    fn is_blank(&self, n: u32, stop: &dyn Fn() -> bool) -> bool {
        let Some(file) = self.file(n) else { return false };
        let Ok(open) = below::open(&self.dir, &file.path, Access::Read) else { return true };
        let Ok(meta) = open.metadata() else { return false };
        if rawio::names(&meta) > 1 {
            return false;
        }
        let (mut at, mut buffer) = (0, vec![0; READ]);
        while let Some(data) = rawio::next_data(&open, at).filter(|data| data.start < meta.len()) {
            at = data.start;
            let end = data.end.min(meta.len());
            while at < end {
                let part = &mut buffer[..(end - at).min(READ as u64) as usize];
                if stop() || rawio::read_exact_at(&open, part, at).is_err() || part.iter().any(|byte| *byte != 0) {
                    return false;
                }
                at += part.len() as u64;
            }
        }
        true
    }

    /// Takes note of a file that the torrent made.
    pub fn made(&self, n: u32) {
        self.set(n, Whose::Made);
    }

    /// The fault of a file that was not there when the torrent was opened, and is now, made by somebody else.
    #[must_use]
    pub fn intruder(&self, n: u32) -> DiskFault {
        let path = self.path(n);
        match self.owners.taken(&self.key, &self.layout, &self.dir).filter(|(taken, _)| *taken == path) {
            Some((_, owner)) => self.refusal(n, &owner),
            None => fault::changed(&path, "was made by somebody else meanwhile"),
        }
    }

    /// Which files may be deleted with the torrent: those that it made and nobody else uses.
    #[must_use]
    pub fn deletable(&self) -> BTreeSet<u32> {
        let used = self.owners.used(self);
        (0..self.whose.len() as u32).filter(|n| self.whose(*n) == Whose::Made && !used.contains(n)).collect()
    }

    /// Writes the record, if it has anything new to say; `last` where the torrent is closed. Where it cannot be written, the
    /// log says so.
    pub fn save(&self, last: bool) {
        let states: Vec<u8> = self.whose.iter().map(|whose| whose.load(Ordering::Acquire)).collect();
        let mut saved = self.saved.lock().unwrap_or_else(PoisonError::into_inner);
        // Whether it came to its end counts for files that are still to be made.
        let clean = last || !states.contains(&(Whose::Absent as u8));
        if self.ended.load(Ordering::Acquire) || saved.as_ref().is_some_and(|it| it.0 == states && it.1 == clean) {
            return;
        }
        let head = Head { clean, ..self.head.clone() };
        let entry = Entry { head, twins: self.twins.clone(), paths: self.paths() };
        match self.owners.save(&self.key, &entry) {
            Ok(()) => *saved = Some((states, clean)),
            Err(error) => log::warn!("cannot take down whose the files in {} are: {error}", self.dir.display()),
        }
    }

    /// The torrent is not at work any more.
    pub fn end(&self) {
        self.ended.store(true, Ordering::Release);
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Deletes the record: the torrent's files are gone.
    pub fn delete(&self) {
        self.end();
        self.owners.remove(&self.key);
    }
}

impl Drop for Ownership {
    fn drop(&mut self) {
        self.owners.leave(&self.key);
    }
}

/// Pairs of files whose paths differ in case or Unicode form alone.
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
