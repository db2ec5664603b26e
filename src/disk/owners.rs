//! Who owns a path on disk. Each torrent has a record in the state folder, one for each download folder, of the files that
//! are its own, those that were there before it, and those that another torrent owns. The records of all torrents of a
//! state folder, those at work in this process and in others among them, are looked at when a torrent is opened: no path
//! gets two owners.
//!
//! A record is read as a whole only where the folders of two torrents overlap. Of the others only the head is known.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::SystemTime;

use crate::disk::atomic;
use crate::disk::layout::Layout;
use crate::disk::ownership::Ownership;
use crate::disk::store::resolved;
use crate::wire::message::InfoHash;
use crate::wire::metainfo::paths::folded;

pub use entry::Whose;
use entry::{Entry, HEAD, Head, digest};

pub(super) mod entry;

/// The longest record that is read, in bytes.
const LONGEST: u64 = 64 << 20;

/// Another torrent, to which a path belongs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Owner {
    /// Its name.
    pub name: String,
    /// Its info-hash.
    pub torrent: InfoHash,
    /// Whether it is in the list or at work now: then the path cannot be had.
    pub present: bool,
    /// The name of its record.
    key: String,
}

impl std::fmt::Display for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let hash = self.torrent.to_string();
        write!(f, "the torrent {} ({})", self.name, hash.get(..8).unwrap_or(&hash))
    }
}

/// The records of a state folder.
#[derive(Debug)]
pub struct Owners {
    state_dir: PathBuf,
    folder: PathBuf,
    index: Mutex<Index>,
}

#[derive(Debug, Default)]
struct Index {
    /// When the folder was changed last, as far as it was looked at.
    seen: Option<SystemTime>,
    /// All records by their names.
    known: HashMap<String, Known>,
    /// Their names by the path that all files of each are, or are below.
    roots: BTreeMap<PathBuf, BTreeSet<String>>,
    /// The torrents of the list, with their download folders.
    listed: HashMap<InfoHash, PathBuf>,
}

#[derive(Debug)]
struct Known {
    head: Head,
    /// The torrent, while it is at work in this process.
    open: Weak<Ownership>,
    saved: bool,
}

impl Index {
    fn put(&mut self, key: &str, head: Head, open: Weak<Ownership>, saved: bool) {
        self.take(key);
        self.roots.entry(PathBuf::from(&head.root)).or_default().insert(key.to_owned());
        self.known.insert(key.to_owned(), Known { head, open, saved });
    }

    fn take(&mut self, key: &str) {
        let Some(known) = self.known.remove(key) else { return };
        let root = PathBuf::from(known.head.root);
        if let Some(keys) = self.roots.get_mut(&root) {
            keys.remove(key);
            if keys.is_empty() {
                self.roots.remove(&root);
            }
        }
    }

    /// The other records whose paths may be paths of one with this root.
    fn overlapping(&self, root: &Path, but: &str) -> Vec<String> {
        let above = root.ancestors().skip(1).filter_map(|path| self.roots.get(path));
        let below = self.roots.range(root.to_path_buf()..).take_while(|(path, _)| path.starts_with(root));
        let keys = above.chain(below.map(|(_, keys)| keys)).flatten();
        keys.filter(|key| *key != but).cloned().collect()
    }
}

impl Owners {
    /// The records of this state folder; none is read yet.
    #[must_use]
    pub fn new(state_dir: &Path) -> Self {
        let folder = state_dir.join("owners");
        Owners { state_dir: state_dir.to_path_buf(), folder, index: Mutex::default() }
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn path(&self, key: &str) -> PathBuf {
        self.folder.join(key)
    }

    /// Says that a torrent is in the list of torrents, with this download folder; or, with none, that it is not any more.
    pub fn list(&self, torrent: InfoHash, dir: Option<&Path>) {
        let mut index = self.index();
        match dir {
            Some(dir) => drop(index.listed.insert(torrent, dir.to_path_buf())),
            None => drop(index.listed.remove(&torrent)),
        }
    }

    /// Takes up a torrent in a download folder, as the record named `key` says. From now on it counts as at work, until the
    /// last clone is dropped or [`Ownership::end`] is called. Paths that belong to others are known from now on.
    #[must_use]
    pub fn enter(self: &Arc<Self>, key: &str, layout: &Arc<Layout>, dir: &Path) -> Arc<Ownership> {
        let fits =
            |entry: &Entry| entry.head.torrent == layout.info_hash() && entry.paths.len() == layout.files().len();
        let mine = self.read(key).filter(fits);
        let place = resolved(dir);
        let head = head(layout, dir, &place);
        let mut index = self.index();
        self.refresh(&mut index);
        let others = self.rivals(&index, key, layout, &place, &head.root);
        let saved = mine.is_some();
        let own = Arc::new(Ownership::new(
            Arc::clone(self),
            key,
            Arc::clone(layout),
            (dir, place),
            head.clone(),
            mine,
            others,
        ));
        index.put(key, head, Arc::downgrade(&own), saved);
        own
    }

    /// Which paths of a torrent belong to others.
    fn rivals(&self, index: &Index, key: &str, layout: &Layout, place: &Path, root: &str) -> HashMap<u32, Owner> {
        let mut found: HashMap<u32, Owner> = HashMap::new();
        let keys = index.overlapping(Path::new(root), key);
        if keys.is_empty() {
            return found;
        }
        let mine = paths(layout, place);
        for key in keys {
            let Some((owner, theirs)) = self.theirs(index, &key) else { continue };
            let owned = theirs.iter().filter(|p| p.whose.owns() || (owner.present && p.whose == Whose::Unproven));
            let owned: HashMap<u64, u64> = owned.map(|p| (p.folded, p.exact)).collect();
            for (n, (exact, folded)) in mine.iter().enumerate().filter(|(n, _)| !layout.files()[*n].pad) {
                let Some(other) = owned.get(folded) else { continue };
                let one = other == exact || is_blind(place, &layout.files()[n].path);
                // One that is there now says more than one that is only remembered.
                if one && found.get(&(n as u32)).is_none_or(|known| !known.present) {
                    found.insert(n as u32, owner.clone());
                }
            }
        }
        found
    }

    /// A torrent and its paths.
    fn theirs(&self, index: &Index, key: &str) -> Option<(Owner, Vec<entry::Path>)> {
        let known = index.known.get(key)?;
        let open = known.open.upgrade().filter(|open| !open.has_ended());
        let listed = index.listed.get(&known.head.torrent);
        let present = open.is_some()
            || listed.is_some_and(|dir| dir.as_os_str().as_encoded_bytes() == known.head.dir)
            || crate::disk::store::is_at_work(&self.state_dir, key);
        let owner = Owner { name: known.head.name.clone(), torrent: known.head.torrent, present, key: key.to_owned() };
        let paths = match open {
            Some(open) => open.paths(),
            None => self.read(key)?.paths,
        };
        Some((owner, paths))
    }

    /// Which of a torrent's paths others use as well, so that their files must stay when it goes.
    pub(super) fn used(&self, own: &Ownership) -> BTreeSet<u32> {
        let mut index = self.index();
        self.refresh(&mut index);
        let keys = index.overlapping(Path::new(&own.head.root), &own.key);
        if keys.is_empty() {
            return BTreeSet::new();
        }
        let uses = |whose| !matches!(whose, Whose::Foreign | Whose::Lost);
        let theirs = keys.iter().filter_map(|key| self.theirs(&index, key)).flat_map(|(_, paths)| paths);
        let used: BTreeSet<u64> = theirs.filter(|p| uses(p.whose)).map(|p| p.exact).collect();
        let mine = own.paths();
        let mine = mine.iter().enumerate().filter(|(n, _)| !own.layout.files()[*n].pad);
        mine.filter(|(_, p)| used.contains(&p.exact)).map(|(n, _)| n as u32).collect()
    }

    /// Takes a path from a torrent that is only remembered.
    pub(super) fn take_over(&self, taken: &[(Owner, u64)]) {
        let keys: BTreeSet<&str> = taken.iter().map(|(owner, _)| owner.key.as_str()).collect();
        let _index = self.index();
        for key in keys {
            let Some(mut entry) = self.read(key) else { continue };
            let lost: BTreeSet<u64> = taken.iter().filter(|(o, _)| o.key == key).map(|(_, folded)| *folded).collect();
            entry.paths.iter_mut().filter(|p| lost.contains(&p.folded)).for_each(|p| p.whose = Whose::Lost);
            if let Err(error) = self.write(key, &entry) {
                log::warn!("cannot take down who owns a path in {}: {error}", self.path(key).display());
            }
        }
    }

    /// Makes the record of a torrent that was moved the one of its new folder. The old one stays until the old files go.
    /// Files that were not `brought` there are still to be made.
    pub fn hand_over(&self, from: &str, (key, to): (&str, &Path), layout: &Layout, brought: &dyn Fn(usize) -> bool) {
        let Some(mut entry) = self.read(from).filter(|entry| entry.paths.len() == layout.files().len()) else { return };
        let place = resolved(to);
        for (n, (path, (exact, folded))) in entry.paths.iter_mut().zip(paths(layout, &place)).enumerate() {
            (path.exact, path.folded) = (exact, folded);
            path.whose = match path.whose {
                _ if !layout.files()[n].pad && !brought(n) => Whose::Absent,
                // It has a copy of its own there.
                Whose::Shared => Whose::Made,
                Whose::Foreign | Whose::Lost => Whose::Absent,
                whose => whose,
            };
        }
        entry.head = Head { clean: entry.head.clean, ..head(layout, to, &place) };
        let mut index = self.index();
        let rivals = self.rivals(&index, key, layout, &place, &entry.head.root);
        if let Err(error) = self.write(key, &entry) {
            log::warn!("cannot take down who owns the files in {}: {error}", to.display());
        }
        index.put(key, entry.head.clone(), Weak::new(), true);
        drop(index);
        let taken = rivals.into_iter().map(|(n, owner)| (owner, entry.paths[n as usize].folded));
        self.take_over(&taken.collect::<Vec<_>>());
    }

    /// The first path that a torrent would have in a folder and that belongs to one that is in the list or at work.
    pub(super) fn taken(&self, key: &str, layout: &Layout, dir: &Path) -> Option<(PathBuf, Owner)> {
        let place = resolved(dir);
        let mut index = self.index();
        self.refresh(&mut index);
        let rivals = self.rivals(&index, key, layout, &place, &head(layout, dir, &place).root);
        let first = rivals.into_iter().filter(|(_, owner)| owner.present).min_by_key(|(n, _)| *n)?;
        Some((dir.join(&layout.files()[first.0 as usize].path), first.1))
    }

    /// Brings what is known of the records up to date.
    fn refresh(&self, index: &mut Index) {
        let changed = fs::metadata(&self.folder).and_then(|meta| meta.modified()).ok();
        if changed == index.seen {
            return;
        }
        index.seen = changed;
        let names = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let names: BTreeSet<String> = names.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        let gone: Vec<String> = index
            .known
            .iter()
            .filter(|(key, known)| known.saved && !names.contains(*key))
            .map(|(key, _)| key.clone())
            .collect();
        for key in gone {
            // One that is at work has its record written anew.
            if index.known.get(&key).is_some_and(|known| known.open.strong_count() == 0) {
                index.take(&key);
            }
        }
        for key in names {
            if !index.known.contains_key(&key)
                && let Some(head) = self.read_head(&key)
            {
                index.put(&key, head, Weak::new(), true);
            }
        }
    }

    fn read_bytes(&self, key: &str, most: u64) -> Option<Vec<u8>> {
        let path = self.path(key);
        if !fs::symlink_metadata(&path).ok()?.is_file() {
            return None;
        }
        let mut bytes = Vec::new();
        File::open(&path).ok()?.take(most).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }

    fn read_head(&self, key: &str) -> Option<Head> {
        Head::decode(&self.read_bytes(key, HEAD)?)
    }

    /// A record; `None` where there is none that can be used.
    pub(super) fn read(&self, key: &str) -> Option<Entry> {
        Entry::decode(&self.read_bytes(key, LONGEST)?)
    }

    fn write(&self, key: &str, entry: &Entry) -> io::Result<()> {
        atomic::make_private(&self.folder)?;
        let new = self.state_dir.join(format!("{key}.owner-new"));
        atomic::replace(&self.path(key), &new, None, &entry.encode(), false)
    }

    /// Writes the record of a torrent at work.
    pub(super) fn save(&self, key: &str, entry: &Entry) -> io::Result<()> {
        let mut index = self.index();
        self.write(key, entry)?;
        if let Some(known) = index.known.get_mut(key) {
            known.saved = true;
        }
        Ok(())
    }

    /// Deletes a record: its files are gone, or elsewhere.
    pub fn remove(&self, key: &str) {
        let mut index = self.index();
        let _ = atomic::remove(&self.path(key));
        index.take(key);
    }

    /// A torrent that was not taken up after all leaves nothing behind.
    pub(super) fn leave(&self, key: &str) {
        // Somebody who looks at the index may be the last one to drop a torrent; what stays then is no record, and harmless.
        let Ok(mut index) = self.index.try_lock() else { return };
        if index.known.get(key).is_some_and(|known| !known.saved && known.open.strong_count() == 0) {
            index.take(key);
        }
    }
}

/// What the record of a torrent in a folder begins with.
fn head(layout: &Layout, dir: &Path, place: &Path) -> Head {
    let first = |path: &Path| path.components().next().map(|c| c.as_os_str().to_owned());
    let mut names = layout.files().iter().filter(|f| !f.pad).filter_map(|f| first(&f.path));
    let name = names.next();
    let one = name.as_ref().filter(|name| names.all(|other| other == **name));
    let root = one.map_or_else(|| place.to_path_buf(), |name| place.join(name));
    Head {
        clean: false,
        torrent: layout.info_hash(),
        name: name.map_or_else(|| "?".to_owned(), |name| name.to_string_lossy().into_owned()),
        dir: dir.as_os_str().as_encoded_bytes().to_vec(),
        root: fold(&root),
    }
}

/// A path without regard to case and Unicode form.
fn fold(path: &Path) -> String {
    let text = path.to_string_lossy();
    if text.is_ascii() { text.to_ascii_lowercase() } else { folded(&text) }
}

/// The paths of a torrent below a folder whose links are resolved: exact, and without regard to case.
pub(super) fn paths(layout: &Layout, place: &Path) -> Vec<(u64, u64)> {
    let of = |path: &Path| {
        let path = place.join(path);
        (digest(path.as_os_str().as_encoded_bytes()), digest(fold(&path).as_bytes()))
    };
    layout.files().iter().map(|file| if file.pad { (0, 0) } else { of(&file.path) }).collect()
}

/// Whether a path leads to something that does not bear exactly this name: the file system is blind to case.
fn is_blind(place: &Path, path: &Path) -> bool {
    if fs::symlink_metadata(place.join(path)).is_err() {
        return false;
    }
    let mut at = place.to_path_buf();
    path.components().any(|part| {
        let listed =
            fs::read_dir(&at).into_iter().flatten().flatten().any(|entry| entry.file_name() == part.as_os_str());
        at.push(part);
        !listed
    })
}
