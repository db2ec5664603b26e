//! Moves that a kill cut short. While files are moved, a note in the state folder says which and where to; the next start
//! takes away what such a move has left in the folder that is not the torrent's.
//!
//! ```text
//! magic, info-hash, old folder, new folder, then for each file its index (with a + behind it where the old file stays)
//! and its path; each ends in a zero byte
//! ```

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{is_absent, part_name};
use crate::disk::atomic;
use crate::disk::fault::{self, Doing};
use crate::disk::owners::Owners;
use crate::disk::paths::{self, Access};
use crate::disk::rawio;
use crate::disk::store::Store;
use crate::swarm::job::DiskFault;
use crate::wire::magnet::info_hash;
use crate::wire::message::InfoHash;

const MAGIC: &[u8] = b"ttui move 1";
/// How far apart the times of a file and its copy may be, in nanoseconds: some file systems know only every second one.
const GRAIN: i128 = 2_000_000_000;

/// A file of a move.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Item {
    pub n: usize,
    pub path: PathBuf,
    /// Whether the old file stays: another torrent uses it.
    pub stays: bool,
}

/// The note of a move.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Note {
    pub torrent: InfoHash,
    pub from: PathBuf,
    pub to: PathBuf,
    pub items: Vec<Item>,
}

/// Where the note of a move is; it is deleted when the move has come to its end.
pub(super) fn place(state_dir: &Path, old: &Store) -> PathBuf {
    state_dir.join("moves").join(old.name())
}

impl Note {
    /// Writes the note, before the first file is touched.
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
        }
        let words = |error: io::Error| fault::system(Doing::Record, place, &error, 4096);
        atomic::make_private(place.parent().unwrap_or(place)).map_err(words)?;
        atomic::replace(place, &place.with_extension("new"), None, &bytes, true).map_err(words)
    }

    fn parse(bytes: &[u8]) -> Option<Note> {
        let mut fields = bytes.strip_suffix(&[0])?.split(|byte| *byte == 0);
        if fields.next()? != MAGIC {
            return None;
        }
        let torrent = info_hash(std::str::from_utf8(fields.next()?).ok()?)?;
        let (from, to) = (path(fields.next()?)?, path(fields.next()?)?);
        let mut items = Vec::new();
        while let Some(index) = fields.next() {
            let index = std::str::from_utf8(index).ok()?;
            let (n, stays) = (index.trim_end_matches('+').parse().ok()?, index.ends_with('+'));
            items.push(Item { n, path: path(fields.next()?)?, stays });
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

/// Takes away what moves have left that were cut short. `dir_of` tells the download folder of a torrent of the list.
/// Returns what a person should hear.
#[must_use]
pub fn clear_up(state_dir: &Path, dir_of: &dyn Fn(InfoHash) -> Option<PathBuf>, owners: &Owners) -> Vec<String> {
    let notes = fs::read_dir(state_dir.join("moves")).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut said = Vec::new();
    for place in notes.filter(|path| path.extension().is_none_or(|ending| ending != "new")) {
        let Some(note) = fs::read(&place).ok().and_then(|bytes| Note::parse(&bytes)) else {
            said.push(format!("a note about a move cannot be read: {} is left as it is", place.display()));
            continue;
        };
        let store = |dir: &Path| Store::new(state_dir, note.torrent, dir);
        let (old, new) = (store(&note.from), store(&note.to));
        // Somebody moves it now, or works on it.
        let (Ok(_old_claim), Ok(_new_claim)) = (old.claim(), new.claim()) else { continue };
        let dir = dir_of(note.torrent);
        let (from, to) = (note.from.display(), note.to.display());
        let parts = note.remove_parts();
        let what = if dir.as_ref() == Some(&note.to) {
            let cleared = note.items.iter().filter(|item| !item.stays && is_removed(&note.from, &note.to, &item.path));
            let cleared = cleared.count();
            owners.remove(old.name());
            remove_folders(&note.from, &note.items);
            format!("{cleared} old copies in {from} were deleted")
        } else if dir.as_ref() == Some(&note.from) {
            if new.record().exists() && !old.record().exists() {
                new.hand_over(&old);
            }
            owners.remove(new.name());
            let back = note.items.iter().filter(|item| is_taken_back(&note, &item.path)).count() + parts;
            remove_folders(&note.to, &note.items);
            format!("{back} files that it had brought to {to} were taken back")
        } else {
            format!("the torrent {} is not in the list, and files of it may be in both folders", note.torrent)
        };
        said.push(format!("a move from {from} to {to} was cut short: {what}"));
        let _ = atomic::remove(&place);
    }
    said
}

impl Note {
    /// Deletes copies that were not whole yet; returns how many.
    fn remove_parts(&self) -> usize {
        let part = |item: &Item| part_name(&item.path, self.torrent, item.n);
        self.items.iter().filter(|item| paths::remove_file(&self.to, &part(item)).is_ok()).count()
    }
}

/// Deletes a file whose like is in the other folder; tells whether it did.
fn is_removed(here: &Path, there: &Path, path: &Path) -> bool {
    are_alike(here, there, path) && paths::remove_file(here, path).is_ok()
}

/// Takes a file back that was brought to the new folder.
fn is_taken_back(note: &Note, path: &Path) -> bool {
    match paths::open(&note.from, path, Access::Read) {
        Err(error) if is_absent(&error) => paths::rename((&note.to, path), (&note.from, path)).is_ok(),
        _ => is_removed(&note.to, &note.from, path),
    }
}

/// Whether the file is one and the same in both folders, or a copy with its length and time.
fn are_alike(a: &Path, b: &Path, path: &Path) -> bool {
    let meta = |dir: &Path| paths::open(dir, path, Access::Read).and_then(|file| file.metadata());
    let (Ok(a), Ok(b)) = (meta(a), meta(b)) else { return false };
    let time = |meta: &fs::Metadata| meta.modified().map_or(0, |time| i128::from(crate::disk::stamps::nanos(time)));
    let one = rawio::inode(&a).is_some_and(|inode| rawio::inode(&b) == Some(inode));
    one || (a.len() == b.len() && (time(&a) - time(&b)).abs() <= GRAIN)
}

/// Deletes folders that are empty now.
fn remove_folders(dir: &Path, items: &[Item]) {
    let folders: BTreeSet<&Path> = items.iter().flat_map(|item| item.path.ancestors().skip(1)).collect();
    for folder in folders.into_iter().rev().filter(|folder| !folder.as_os_str().is_empty()) {
        // A folder that is not empty stays: that is all that an error here can tell us.
        let _ = paths::remove_folder(dir, folder);
    }
}
