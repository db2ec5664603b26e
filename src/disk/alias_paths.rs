//! Finds files that exist under another name than the torrent's, so that they are not downloaded again.
//!
//! The name may differ in Unicode normalization, in character encoding, in the sanitizing rules of an earlier version
//! of this program, or because a file system (FAT, exFAT, NTFS) does not allow the original name.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::layout::{FileEntry, Layout};
use crate::disk::sys;
use crate::wire::metainfo::paths::{is_printable, to_path};
use crate::wire::sanitize::sanitize;

pub use mended::mended;

mod mended;

/// Maximum width of a path in the message about alias names, in columns.
const SHOWN: usize = 200;

/// Returns the layout with the paths of the files in `dir`, and a message about those that differ.
///
/// Looks only for files that can have alias names and are missing under their own name. Creates nothing.
#[must_use]
pub fn find(layout: &Arc<Layout>, dir: &Path) -> (Arc<Layout>, Option<String>) {
    find_or_mend(layout, dir, false)
}

/// As [`find`]; with `mend`, files that are missing get a [`mended()`] name where the file system may not take theirs.
#[must_use]
pub fn find_or_mend(layout: &Arc<Layout>, dir: &Path, mend: bool) -> (Arc<Layout>, Option<String>) {
    let mut paths = HashMap::new();
    // A missing folder contains no files.
    if let Some(aliases) = layout.aliases().filter(|_| dir.is_dir()) {
        let files = layout.files().iter().enumerate();
        let missing = files.filter(|(_, f)| is_odd(f) && is_missing(dir, &f.path));
        let missing: Vec<usize> = missing.map(|(n, _)| n).collect();
        if !missing.is_empty() {
            let mut search = Search::new(layout, dir);
            aliases.each(&missing, |n, others| search.look(n, others));
            paths = search.end(&missing);
        }
    }
    let mut notes = Vec::from_iter(sentence("files are used that are there under other names", layout, &paths));
    let fitted = fitted(layout, dir, mend, &paths);
    notes.extend(sentence("the file system does not take all names; files are written under others", layout, &fitted));
    paths.extend(fitted);
    match paths.is_empty() {
        true => (Arc::clone(layout), None),
        false => (Arc::new(layout.with_paths(paths)), (!notes.is_empty()).then(|| notes.join("; "))),
    }
}

/// Returns the layout with the paths that the files of `current`, a layout of the same torrent, get in another folder.
///
/// They keep their paths, but for a [`mended()`] name for every file of `original` that needs one: with `mend`, or where the
/// file system of `dir` is known to refuse such names.
#[must_use]
pub(crate) fn moved(original: &Layout, current: &Arc<Layout>, dir: &Path, mend: bool) -> Arc<Layout> {
    if !mend && !refuses_names(dir) {
        return Arc::clone(current);
    }
    match mended(original) {
        mended if mended.is_empty() => Arc::clone(current),
        mended => Arc::new(current.with_paths(mended.into_iter().collect())),
    }
}

/// Returns mended names for files that are not in `found` and missing under their own name: for all of them where the file
/// system refuses such names, otherwise for those that are there under a mended name.
fn fitted(layout: &Layout, dir: &Path, mend: bool, found: &HashMap<usize, PathBuf>) -> HashMap<usize, PathBuf> {
    let mut mended = mended(layout);
    mended.retain(|n, _| !found.contains_key(n) && is_missing(dir, &layout.files()[*n].path));
    if mended.is_empty() || mend || refuses_names(dir) {
        return mended.into_iter().collect();
    }
    // A file system that takes every name has such a file only if it came from another one, with its length.
    let exact = sys::is_exact(dir);
    let is_there = |(n, path): (&usize, &PathBuf)| {
        let length = layout.files()[*n].length;
        fs::symlink_metadata(dir.join(path))
            .is_ok_and(|meta| meta.is_file() && (meta.len() == length || (!exact && meta.len() < length)))
    };
    if !exact && mended.iter().any(is_there) {
        return mended.into_iter().collect();
    }
    // The file systems of macOS take UTF-8 only.
    let never = |n: usize| cfg!(target_vendor = "apple") && layout.files()[n].path.to_str().is_none();
    mended.into_iter().filter(|(n, path)| is_there((n, path)) || never(*n)).collect()
}

/// Returns whether a file can have alias names: its path is not plain printable ASCII.
fn is_odd(file: &FileEntry) -> bool {
    let bytes = file.path.as_os_str().as_encoded_bytes();
    !file.pad && !(bytes.is_ascii() && (cfg!(windows) || is_printable(bytes)))
}

fn is_missing(dir: &Path, path: &Path) -> bool {
    let look = fs::symlink_metadata(dir.join(path));
    look.is_err_and(|e| matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory))
}

/// Returns the components of a path joined by `/`.
fn slashed(path: &Path) -> Vec<u8> {
    let parts: Vec<&[u8]> = path.iter().map(|part| part.as_encoded_bytes()).collect();
    parts.join(&b'/')
}

struct Search<'a> {
    layout: &'a Layout,
    dir: &'a Path,
    /// Paths that belong to a file already: those of the torrent, and alias paths found so far.
    claimed: HashSet<Vec<u8>>,
    folders: HashMap<Vec<u8>, bool>,
    found: HashMap<usize, PathBuf>,
    /// Alias paths found for folders of the torrent, by the original path of the folder.
    places: HashMap<Vec<u8>, Vec<u8>>,
}

impl<'a> Search<'a> {
    fn new(layout: &'a Layout, dir: &'a Path) -> Self {
        let claimed = layout.files().iter().filter(|f| !f.pad).map(|f| slashed(&f.path)).collect();
        let (folders, found, places) = Default::default();
        Search { layout, dir, claimed, folders, found, places }
    }

    /// Searches for file `n` under the alias paths `others`.
    ///
    /// Every component may come from a different alias, because folders and files may have been named by different
    /// programs.
    fn look(&mut self, n: usize, others: &[Vec<u8>]) {
        let Some(file) = self.layout.files().get(n) else { return };
        let own = slashed(&file.path);
        let depth = own.split(|b| *b == b'/').count();
        let mut options: Vec<Vec<&[u8]>> = vec![Vec::new(); depth];
        let same = others.iter().filter(|other| other.split(|b| *b == b'/').count() == depth);
        for path in std::iter::once(&own).chain(same) {
            for (options, part) in options.iter_mut().zip(path.split(|b| *b == b'/')) {
                if !options.contains(&part) {
                    options.push(part);
                }
            }
        }
        let mut at = Vec::new();
        // An alias of another depth is tried only as a whole, not component by component.
        let depth_of = |path: &[u8]| path.split(|b| *b == b'/').count();
        let found = self.seek(&mut at, &options, file.length)
            || others.iter().filter(|other| depth_of(other) != depth).any(|other| {
                at.clone_from(other);
                self.is_it(other, file.length)
            });
        if found {
            self.remember(&own, &at);
            self.found.insert(n, to_path(&at));
            self.claimed.insert(at);
        }
    }

    /// Searches depth-first for an existing path made of one option per component; leaves it in `at`.
    fn seek(&mut self, at: &mut Vec<u8>, options: &[Vec<&[u8]>], length: u64) -> bool {
        let Some((first, rest)) = options.split_first() else { return false };
        let before = at.len();
        for part in first {
            at.truncate(before);
            if before > 0 {
                at.push(b'/');
            }
            at.extend_from_slice(part);
            let found = match rest {
                [] => self.is_it(at, length),
                rest => self.is_folder(at) && self.seek(at, rest, length),
            };
            if found {
                return true;
            }
        }
        at.truncate(before);
        false
    }

    fn is_folder(&mut self, path: &[u8]) -> bool {
        if let Some(is) = self.folders.get(path) {
            return *is;
        }
        let is = fs::symlink_metadata(self.dir.join(to_path(path))).is_ok_and(|meta| meta.is_dir());
        self.folders.insert(path.to_vec(), is);
        is
    }

    /// Returns whether `path` can be the file searched for: unclaimed, regular, not longer than `length`.
    fn is_it(&self, path: &[u8], length: u64) -> bool {
        !self.claimed.contains(path)
            && fs::symlink_metadata(self.dir.join(to_path(path)))
                .is_ok_and(|meta| meta.is_file() && meta.len() <= length)
    }

    /// Records the alias paths of the parent folders of a file that was found.
    fn remember(&mut self, own: &[u8], found: &[u8]) {
        let ends = |path: &[u8]| -> Vec<usize> {
            path.iter().enumerate().filter(|(_, b)| **b == b'/').map(|(at, _)| at).collect()
        };
        let (own_ends, found_ends) = (ends(own), ends(found));
        if own_ends.len() != found_ends.len() {
            return;
        }
        for (a, b) in own_ends.into_iter().zip(found_ends) {
            if own[..a] != found[..b] {
                self.places.entry(own[..a].to_vec()).or_insert_with(|| found[..b].to_vec());
            }
        }
    }

    /// Returns all paths that differ.
    ///
    /// A missing file gets the alias path of its nearest known parent folder.
    fn end(mut self, missing: &[usize]) -> HashMap<usize, PathBuf> {
        if !self.places.is_empty() {
            for n in missing.iter().filter(|n| !self.found.contains_key(n)).copied().collect::<Vec<_>>() {
                let own = slashed(&self.layout.files()[n].path);
                let ends = own.iter().enumerate().rev().filter(|(_, b)| **b == b'/').map(|(at, _)| at);
                let mut known = ends.filter_map(|end| Some((end, self.places.get(&own[..end])?.clone())));
                if let Some((end, place)) = known.next()
                    && !self.is_folder(&own[..end])
                {
                    let path = [&place[..], &own[end..]].concat();
                    if self.claimed.insert(path.clone()) {
                        self.found.insert(n, to_path(&path));
                    }
                }
            }
        }
        self.found
    }
}

/// Returns a message for the user that begins with `what` and names a file; `None` for no files.
fn sentence(what: &str, layout: &Layout, paths: &HashMap<usize, PathBuf>) -> Option<String> {
    let first = *paths.keys().min()?;
    let shown = |path: &Path| sanitize(&path.display().to_string(), SHOWN);
    let more = match paths.len() {
        1 => String::new(),
        n => format!(", and {} more", n - 1),
    };
    let (own, is) = (shown(&layout.files()[first].path), shown(&paths[&first]));
    Some(format!("{what}: {is} for {own}{more}"))
}

/// Returns whether the file system of `dir` is known to refuse names that Windows does not take: FAT and exFAT.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn refuses_names(dir: &Path) -> bool {
    const VFAT: i64 = 0x4d44;
    const EXFAT: i64 = 0x2011_bab0;
    let there = dir.ancestors().find(|dir| dir.is_dir());
    there.and_then(|dir| rustix::fs::statfs(dir).ok()).is_some_and(|stat| {
        // The type of `f_type` differs between architectures.
        #[allow(clippy::useless_conversion)]
        let kind = i64::from(stat.f_type);
        matches!(kind, VFAT | EXFAT)
    })
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn refuses_names(_: &Path) -> bool {
    false
}
