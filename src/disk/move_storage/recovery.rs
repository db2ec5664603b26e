//! Recovery of interrupted moves.
//!
//! During a move a note in the state folder lists its files and both folders; the next start deletes what an
//! interrupted move has left in the folder that is not the download folder.
//!
//! ```text
//! magic, info-hash, old folder, new folder, then for each file its index (followed by + if the old file is kept), its
//! path in the old folder and, since version 2, its path in the new folder; each field ends with a zero byte
//! ```

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::disk::atomic_file;
use crate::disk::beneath::{self, Access};
use crate::disk::error::{self, DiskOp};
use crate::disk::ownership::registry::OwnershipRegistry;
use crate::disk::resume_store::ResumeStore;
use crate::disk::sys;
use crate::format::counted;
use crate::swarm::job::DiskFault;
use crate::wire::magnet::info_hash;
use crate::wire::message::InfoHash;

const MAGIC: &[u8] = b"ttui move 2";
/// Files have one path, in both folders.
const MAGIC_1: &[u8] = b"ttui move 1";
/// Maximum mtime difference between a file and its copy, in nanoseconds: FAT resolves only 2 seconds.
pub(super) const GRAIN: i128 = 2_000_000_000;

/// A file of a move.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Item {
    pub n: usize,
    /// Its path in the old folder.
    pub path: PathBuf,
    /// Its path in the new folder.
    pub to: PathBuf,
    /// Whether the old file is kept, because another torrent uses it.
    pub stays: bool,
}

/// The note of a move in progress.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Note {
    pub torrent: InfoHash,
    pub from: PathBuf,
    pub to: PathBuf,
    pub items: Vec<Item>,
}

/// Returns the path of a move's note; the note is deleted when the move is complete.
pub(super) fn place(state_dir: &Path, old: &ResumeStore) -> PathBuf {
    state_dir.join("moves").join(old.name())
}

impl Note {
    /// Writes the note durably, before the first file is transferred.
    pub(super) fn write(&self, place: &Path) -> Result<(), DiskFault> {
        let mut bytes = Vec::new();
        let mut put = |field: &[u8]| {
            bytes.extend_from_slice(field);
            bytes.push(0);
        };
        put(MAGIC);
        put(self.torrent.to_string().as_bytes());
        put(self.from.as_os_str().as_encoded_bytes());
        put(self.to.as_os_str().as_encoded_bytes());
        for item in &self.items {
            put(format!("{}{}", item.n, if item.stays { "+" } else { "" }).as_bytes());
            put(item.path.as_os_str().as_encoded_bytes());
            put(item.to.as_os_str().as_encoded_bytes());
        }
        let words = |error: io::Error| error::from_io(DiskOp::Record, place, &error, 4096);
        atomic_file::make_private(place.parent().unwrap_or(place)).map_err(words)?;
        atomic_file::replace(place, &place.with_extension("new"), None, &bytes, true).map_err(words)
    }

    fn parse(bytes: &[u8]) -> Option<Note> {
        let mut fields = bytes.strip_suffix(&[0])?.split(|byte| *byte == 0);
        let magic = fields.next()?;
        if magic != MAGIC && magic != MAGIC_1 {
            return None;
        }
        let torrent = info_hash(std::str::from_utf8(fields.next()?).ok()?)?;
        let (from, to) = (path(fields.next()?)?, path(fields.next()?)?);
        let mut items = Vec::new();
        while let Some(index) = fields.next() {
            let index = std::str::from_utf8(index).ok()?;
            let (n, stays) = (index.trim_end_matches('+').parse().ok()?, index.ends_with('+'));
            let here = path(fields.next()?)?;
            let to = if magic == MAGIC { path(fields.next()?)? } else { here.clone() };
            items.push(Item { n, path: here, to, stays });
        }
        Some(Note { torrent, from, to, items })
    }
}

#[cfg(unix)]
fn path(bytes: &[u8]) -> Option<PathBuf> {
    let name: std::ffi::OsString = std::os::unix::ffi::OsStringExt::from_vec(bytes.to_vec());
    Some(name.into())
}

#[cfg(not(unix))]
fn path(bytes: &[u8]) -> Option<PathBuf> {
    String::from_utf8(bytes.to_vec()).ok().map(PathBuf::from)
}

/// Cleans up after interrupted moves. Returns messages for the user.
///
/// `dir_of` returns the download folder of a torrent in the session.
#[must_use]
pub fn recover_moves(
    state_dir: &Path,
    dir_of: &dyn Fn(InfoHash) -> Option<PathBuf>,
    owners: &OwnershipRegistry,
) -> Vec<String> {
    let notes = fs::read_dir(state_dir.join("moves")).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut said = Vec::new();
    for place in notes.filter(|path| path.extension().is_none_or(|ending| ending != "new")) {
        let Some(note) = fs::read(&place).ok().and_then(|bytes| Note::parse(&bytes)) else {
            said.push(format!("a note about a move cannot be read: {} is left as it is", place.display()));
            continue;
        };
        let store = |dir: &Path| ResumeStore::new(state_dir, note.torrent, dir);
        let (old, new) = (store(&note.from), store(&note.to));
        // A claimed torrent is open, or is being moved by another process.
        let (Ok(_old_claim), Ok(_new_claim)) = (old.claim(), new.claim()) else { continue };
        let dir = dir_of(note.torrent);
        let (from, to) = (note.from.display(), note.to.display());
        let parts = note.remove_parts();
        let what = if dir.as_ref() == Some(&note.to) {
            let old_file = |item: &Item| is_removed((&note.from, &item.path), (&note.to, &item.to));
            let cleared = note.items.iter().filter(|item| !item.stays && old_file(item)).count();
            owners.remove(old.name());
            remove_folders(&note.from, note.items.iter().map(|item| &*item.path));
            format!("the old copies in {from} were deleted ({})", counted(cleared as u64, "file"))
        } else if dir.as_ref() == Some(&note.from) {
            if new.record().exists() && !old.record().exists() {
                new.move_to(&old);
            }
            owners.remove(new.name());
            let back = note.items.iter().filter(|item| is_taken_back(&note, item)).count() + parts;
            remove_folders(&note.to, note.items.iter().map(|item| &*item.to));
            format!("what it had brought to {to} was taken back ({})", counted(back as u64, "file"))
        } else {
            format!("the torrent {} is not in the list, and files of it may be in both folders", note.torrent)
        };
        said.push(format!("a move from {from} to {to} was cut short: {what}"));
        let _ = atomic_file::remove(&place);
    }
    said
}

impl Note {
    /// Deletes incomplete copies; returns how many.
    fn remove_parts(&self) -> usize {
        let part = |item: &Item| part_name(&item.to, self.torrent, item.n);
        self.items.iter().filter(|item| beneath::remove_file(&self.to, &part(item)).is_ok()).count()
    }
}

/// A folder, and a path below it.
type Place<'a> = (&'a Path, &'a Path);

/// Deletes a file if the other folder has the same file. Returns whether it was deleted.
fn is_removed(here: Place<'_>, there: Place<'_>) -> bool {
    are_alike(here, there) && beneath::remove_file(here.0, here.1).is_ok()
}

/// Moves a file back from the new folder, or deletes it there if the old folder has it.
fn is_taken_back(note: &Note, item: &Item) -> bool {
    let (old, new): (Place<'_>, Place<'_>) = ((&note.from, &item.path), (&note.to, &item.to));
    match beneath::open(old.0, old.1, Access::Read) {
        Err(error) if is_absent(&error) => beneath::rename(new, old).is_ok(),
        _ => is_removed(new, old),
    }
}

/// Returns whether both folders have the file: as one inode, or as a copy with equal length and mtime.
fn are_alike(a: Place<'_>, b: Place<'_>) -> bool {
    let meta = |(dir, path): Place<'_>| beneath::open(dir, path, Access::Read).and_then(|file| file.metadata());
    let (Ok(a), Ok(b)) = (meta(a), meta(b)) else { return false };
    let time = |meta: &fs::Metadata| meta.modified().map_or(0, |time| i128::from(crate::disk::file_stamp::nanos(time)));
    let one = sys::inode(&a).is_some_and(|inode| sys::inode(&b) == Some(inode));
    one || (a.len() == b.len() && (time(&a) - time(&b)).abs() <= GRAIN)
}

/// Deletes the folders of these paths that are empty.
fn remove_folders<'a>(dir: &Path, paths: impl Iterator<Item = &'a Path>) {
    let folders: BTreeSet<&Path> = paths.flat_map(|path| path.ancestors().skip(1)).collect();
    for folder in folders.into_iter().rev().filter(|folder| !folder.as_os_str().is_empty()) {
        // The expected error is that the folder is not empty.
        let _ = beneath::remove_folder(dir, folder);
    }
}

/// Returns the temporary name of the copy of file `n`.
pub(super) fn part_name(path: &Path, torrent: InfoHash, n: usize) -> PathBuf {
    let hash = torrent.to_string();
    path.with_file_name(format!(".ttui-moving-{}-{n}", &hash[..8]))
}

/// Returns whether an error says that a file, or a folder above it, does not exist.
pub(super) fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}
