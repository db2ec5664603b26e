//! Finding files that lie under another name than the torrent's: another Unicode form, another character set, the name
//! that an earlier version gave them, or one that the file system can take. Such a file is used where it is, and not
//! fetched a second time beside it.

#[cfg(any(target_os = "linux", target_os = "android"))]
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
#[cfg(any(target_os = "linux", target_os = "android"))]
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::layout::{LaidFile, Layout};
#[cfg(any(target_os = "linux", target_os = "android"))]
use crate::wire::metainfo::paths::{Rules, component};
use crate::wire::metainfo::paths::{is_printable, to_path};
use crate::wire::text::clean;

/// The longest path in the sentence about them, in columns.
const SHOWN: usize = 200;

/// The torrent with the paths that its files have in `dir`, and a sentence about those that differ. Looks only for
/// files that can have other names and are not under their own; makes nothing.
#[must_use]
pub fn find(layout: &Arc<Layout>, dir: &Path) -> (Arc<Layout>, Option<String>) {
    let mut paths = HashMap::new();
    // Nothing is found in a folder that is not there.
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
    let sentence = sentence(layout, &paths);
    if let Some(fitted) = fitting(dir) {
        let claimed: HashSet<&Path> = layout.files().iter().map(|f| f.path.as_path()).collect();
        for (n, file) in layout.files().iter().enumerate().filter(|(_, file)| !file.pad) {
            let allowed = fitted(&file.path);
            if allowed != file.path && !claimed.contains(allowed.as_path()) {
                paths.entry(n).or_insert(allowed);
            }
        }
    }
    match paths.is_empty() {
        true => (Arc::clone(layout), None),
        false => (Arc::new(layout.with_paths(paths)), sentence),
    }
}

/// Whether a file can have other names.
fn is_odd(file: &LaidFile) -> bool {
    let bytes = file.path.as_os_str().as_encoded_bytes();
    !file.pad && !(bytes.is_ascii() && (cfg!(windows) || is_printable(bytes)))
}

fn is_missing(dir: &Path, path: &Path) -> bool {
    let look = fs::symlink_metadata(dir.join(path));
    look.is_err_and(|e| matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory))
}

/// The components of a path, joined by `/`.
fn slashed(path: &Path) -> Vec<u8> {
    let parts: Vec<&[u8]> = path.iter().map(|part| part.as_encoded_bytes()).collect();
    parts.join(&b'/')
}

struct Search<'a> {
    layout: &'a Layout,
    dir: &'a Path,
    /// Paths of the torrent itself, and those that were found.
    claimed: HashSet<Vec<u8>>,
    folders: HashMap<Vec<u8>, bool>,
    found: HashMap<usize, PathBuf>,
    /// Where folders of the torrent are, by their own path.
    places: HashMap<Vec<u8>, Vec<u8>>,
}

impl<'a> Search<'a> {
    fn new(layout: &'a Layout, dir: &'a Path) -> Self {
        let claimed = layout.files().iter().filter(|f| !f.pad).map(|f| slashed(&f.path)).collect();
        let (folders, found, places) = Default::default();
        Search { layout, dir, claimed, folders, found, places }
    }

    /// Looks for a file that has these other paths. Each component may be that of any of them: folders and files can
    /// have been named by different programs.
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
        // One of another depth is not a mixture with others.
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

    /// Whether there is a path of these components, from the front of `options` on; then it is in `at`.
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

    /// Whether a file that is there can be the one that is looked for. One that is longer is another one.
    fn is_it(&self, path: &[u8], length: u64) -> bool {
        !self.claimed.contains(path)
            && fs::symlink_metadata(self.dir.join(to_path(path)))
                .is_ok_and(|meta| meta.is_file() && meta.len() <= length)
    }

    /// Takes note of where the folders of a file are.
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

    /// All paths that differ. A file that was not found goes to the others of its folder, where those were found.
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

/// What a person should hear of files that were found under other names.
fn sentence(layout: &Layout, paths: &HashMap<usize, PathBuf>) -> Option<String> {
    let first = *paths.keys().min()?;
    let shown = |path: &Path| clean(&path.display().to_string(), SHOWN);
    let more = match paths.len() {
        1 => String::new(),
        n => format!(", and {} more", n - 1),
    };
    let (own, is) = (shown(&layout.files()[first].path), shown(&paths[&first]));
    Some(format!("files are used that are there under other names: {is} for {own}{more}"))
}

/// Makes the path that a file system can take of one that it cannot.
type Fitted = fn(&Path) -> PathBuf;

/// What a folder's file system wants of names beyond the system's own rules: FAT those of Windows.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn fitting(dir: &Path) -> Option<Fitted> {
    const VFAT: i64 = 0x4d44;
    const EXFAT: i64 = 0x2011_bab0;
    let there = dir.ancestors().find(|dir| dir.is_dir())?;
    let kind = rustix::fs::statfs(there).ok()?.f_type;
    // Its type differs between architectures.
    #[allow(clippy::useless_conversion)]
    let kind = i64::from(kind);
    matches!(kind, VFAT | EXFAT).then_some(|path| {
        let part = |part: &OsStr| component(part.as_encoded_bytes(), Rules::Windows).map(Cow::into_owned);
        to_path(&path.iter().filter_map(part).collect::<Vec<_>>().join(&b'/'))
    })
}

/// What a folder's file system wants of names beyond the system's own rules: those of macOS take UTF-8 only.
#[cfg(target_vendor = "apple")]
fn fitting(_: &Path) -> Option<Fitted> {
    Some(|path| path.to_string_lossy().into_owned().into())
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
fn fitting(_: &Path) -> Option<Fitted> {
    None
}
