//! Registry of file ownership: which torrent owns which path on disk.
//!
//! Each torrent has an ownership record in the state folder, one per download folder: the files it created, files that
//! existed before, files of other torrents. When a torrent is opened, the records of all torrents of the state folder
//! are consulted, including those open in this and other processes, so that no path gets two owners.
//!
//! A record is loaded completely only if the folders of two torrents overlap; otherwise only its head is loaded.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant, SystemTime};

use crate::disk::atomic_file;
use crate::disk::layout::Layout;
use crate::disk::ownership::record::{FileOwner, HEAD, Head, OwnedPath, OwnershipRecord, digest};
use crate::disk::resume_store::resolved;
use crate::disk::sys;
use crate::wire::message::InfoHash;
use crate::wire::metainfo::paths::{case_folded, to_path};

/// Maximum length of a record, in bytes.
const LONGEST: u64 = 64 << 20;

/// Minimum time between two scans of the records that this process has changed, in multiples of what one takes.
const SCAN_SHARE: u32 = 20;

/// Another torrent that owns a path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Owner {
    pub name: String,
    pub torrent: InfoHash,
    /// Whether the torrent is in the session or open now: then its path cannot be taken over.
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

/// The ownership records of a state folder.
#[derive(Debug)]
pub struct OwnershipRegistry {
    state_dir: PathBuf,
    folder: PathBuf,
    index: Mutex<Index>,
}

/// A torrent that is open in this process, as the registry sees it.
pub(super) trait OpenTorrent: std::fmt::Debug + Send + Sync {
    /// Returns the torrent's paths with their owners.
    fn paths(&self) -> Vec<OwnedPath>;
    /// Returns whether the torrent was closed.
    fn has_ended(&self) -> bool;
}

/// What the registry knows of a torrent that is being opened.
pub(super) struct Entry {
    /// The canonical path of the download folder.
    pub(super) place: PathBuf,
    pub(super) head: Head,
    /// The torrent's own record, if there is one.
    pub(super) recorded: Option<OwnershipRecord>,
    /// The other torrents that own paths of this one, by file index.
    pub(super) others: HashMap<u32, Owner>,
}

#[derive(Debug, Default)]
struct Index {
    /// The mtime of the records folder when it was last scanned.
    seen: Option<SystemTime>,
    /// When the next scan may come if only this process is known to have changed the folder since.
    scan_at: Option<Instant>,
    /// How long the last scan took.
    scan_time: Duration,
    /// All known records, by name.
    known: HashMap<String, Known>,
    /// Names of records by the root of their files; sorted, for finding overlaps.
    roots: BTreeMap<PathBuf, BTreeSet<String>>,
    /// The torrents in the session, with their download folders.
    listed: HashMap<InfoHash, PathBuf>,
}

#[derive(Debug)]
struct Known {
    head: Head,
    /// The torrent, while it is open in this process.
    open: Option<Weak<dyn OpenTorrent>>,
    saved: bool,
}

impl Known {
    fn open(&self) -> Option<Arc<dyn OpenTorrent>> {
        self.open.as_ref()?.upgrade()
    }

    fn is_open(&self) -> bool {
        self.open.as_ref().is_some_and(|open| open.strong_count() > 0)
    }
}

impl Index {
    fn put(&mut self, key: &str, head: Head, open: Option<Weak<dyn OpenTorrent>>, saved: bool) {
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

    /// Takes note of a change of the folder by this process, which alone is no reason for a scan: while thousands of torrents
    /// are opened, each would scan the records of all. A change by another process is seen a moment later then.
    fn put_off_scan(&mut self) {
        let wait = self.scan_time * SCAN_SHARE;
        self.scan_at.get_or_insert_with(|| Instant::now() + wait);
    }

    /// Returns the path by which the records know a folder that has another path here, as through a bind mount; `None` if
    /// they know it by this one, or not at all.
    fn same_folder(&self, place: &Path) -> Option<PathBuf> {
        let is_known = |dir: &Path| {
            let folded = PathBuf::from(case_folded(&dir.to_string_lossy()));
            self.roots.range(folded.clone()..).next().is_some_and(|(root, _)| root.starts_with(&folded))
        };
        let inode = |dir: &Path| fs::metadata(dir).ok().and_then(|meta| sys::inode(&meta));
        let own = inode(place).filter(|_| !is_known(place))?;
        let dirs: BTreeSet<&[u8]> = self.known.values().map(|known| &known.head.dir[..]).collect();
        let same = dirs.into_iter().map(to_path).filter(|dir| inode(dir) == Some(own));
        same.map(|dir| resolved(&dir)).find(|dir| is_known(dir))
    }

    /// Returns the other records whose root contains `root` or lies below it.
    fn overlapping(&self, root: &Path, but: &str) -> Vec<String> {
        let above = root.ancestors().skip(1).filter_map(|path| self.roots.get(path));
        let below = self.roots.range(root.to_path_buf()..).take_while(|(path, _)| path.starts_with(root));
        let keys = above.chain(below.map(|(_, keys)| keys)).flatten();
        keys.filter(|key| *key != but).cloned().collect()
    }
}

impl OwnershipRegistry {
    /// Creates the registry of a state folder without reading any record.
    #[must_use]
    pub fn new(state_dir: &Path) -> Self {
        let folder = state_dir.join("owners");
        OwnershipRegistry { state_dir: state_dir.to_path_buf(), folder, index: Mutex::default() }
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn path(&self, key: &str) -> PathBuf {
        self.folder.join(key)
    }

    /// Registers a torrent of the session with its download folder, or removes it if `dir` is `None`.
    pub fn set_session_dir(&self, torrent: InfoHash, dir: Option<&Path>) {
        let mut index = self.index();
        match dir {
            Some(dir) => drop(index.listed.insert(torrent, dir.to_path_buf())),
            None => drop(index.listed.remove(&torrent)),
        }
    }

    /// Enters a torrent that `open` opens in a download folder, with what is known of it and its paths.
    ///
    /// `key` is the name of its record. The torrent counts as open until the last clone is dropped or it has ended.
    pub(super) fn enter<T: OpenTorrent + 'static>(
        &self,
        key: &str,
        layout: &Layout,
        dir: &Path,
        open: impl FnOnce(Entry) -> T,
    ) -> Arc<T> {
        let fits = |entry: &OwnershipRecord| {
            entry.head.torrent == layout.info_hash() && entry.paths.len() == layout.files().len()
        };
        let recorded = self.read(key).filter(fits);
        let mut index = self.index();
        self.refresh(&mut index);
        let place = resolved(dir);
        let place = index.same_folder(&place).unwrap_or(place);
        let head = head(layout, dir, &place);
        let others = self.conflicts(&index, key, layout, &place, &head.root);
        let saved = recorded.is_some();
        let torrent = Arc::new(open(Entry { place, head: head.clone(), recorded, others }));
        let weak: Weak<T> = Arc::downgrade(&torrent);
        index.put(key, head, Some(weak), saved);
        torrent
    }

    /// Returns the files of a torrent whose paths belong to other torrents.
    fn conflicts(&self, index: &Index, key: &str, layout: &Layout, place: &Path, root: &str) -> HashMap<u32, Owner> {
        let mut found: HashMap<u32, Owner> = HashMap::new();
        let keys = index.overlapping(Path::new(root), key);
        if keys.is_empty() {
            return found;
        }
        let mine = paths(layout, place);
        for key in keys {
            let Some((owner, theirs)) = self.theirs(index, &key) else { continue };
            let owned = theirs.iter().filter(|p| p.whose.owns() || (owner.present && p.whose == FileOwner::Undecided));
            let owned: HashMap<u64, u64> = owned.map(|p| (p.folded, p.exact)).collect();
            for (n, (exact, folded)) in mine.iter().enumerate().filter(|(n, _)| !layout.files()[*n].pad) {
                let Some(other) = owned.get(folded) else { continue };
                let one = other == exact || is_blind(place, &layout.files()[n].path);
                // A torrent that is present takes precedence over one that only has a record.
                if one && found.get(&(n as u32)).is_none_or(|known| !known.present) {
                    found.insert(n as u32, owner.clone());
                }
            }
        }
        found
    }

    /// Returns the torrent of a record and its paths.
    fn theirs(&self, index: &Index, key: &str) -> Option<(Owner, Vec<OwnedPath>)> {
        let known = index.known.get(key)?;
        let open = known.open().filter(|open| !open.has_ended());
        let listed = index.listed.get(&known.head.torrent);
        let present = open.is_some()
            || listed.is_some_and(|dir| dir.as_os_str().as_encoded_bytes() == known.head.dir)
            || crate::disk::resume_store::is_at_work(&self.state_dir, key);
        let owner = Owner { name: known.head.name.clone(), torrent: known.head.torrent, present, key: key.to_owned() };
        let paths = match open {
            Some(open) => open.paths(),
            None => self.read(key)?.paths,
        };
        Some((owner, paths))
    }

    /// Returns the files of a torrent that other torrents use too, and that must not be deleted with it.
    ///
    /// `key` is the name of its record, `root` that of its files; `mine` are its paths.
    pub(super) fn used(&self, key: &str, root: &str, layout: &Layout, mine: &[OwnedPath]) -> BTreeSet<u32> {
        let mut index = self.index();
        self.refresh(&mut index);
        let keys = index.overlapping(Path::new(root), key);
        if keys.is_empty() {
            return BTreeSet::new();
        }
        let uses = |whose| !matches!(whose, FileOwner::Foreign | FileOwner::TakenOver);
        let theirs = keys.iter().filter_map(|key| self.theirs(&index, key)).flat_map(|(_, paths)| paths);
        let used: BTreeSet<u64> = theirs.filter(|p| uses(p.whose)).map(|p| p.exact).collect();
        let mine = mine.iter().enumerate().filter(|(n, _)| !layout.files()[*n].pad);
        mine.filter(|(_, p)| used.contains(&p.exact)).map(|(n, _)| n as u32).collect()
    }

    /// Takes paths from torrents that only have a record: marks them as lost in these records.
    pub(super) fn take_over(&self, taken: &[(Owner, u64)]) {
        let keys: BTreeSet<&str> = taken.iter().map(|(owner, _)| owner.key.as_str()).collect();
        let _index = self.index();
        for key in keys {
            let Some(mut entry) = self.read(key) else { continue };
            let lost: BTreeSet<u64> = taken.iter().filter(|(o, _)| o.key == key).map(|(_, folded)| *folded).collect();
            entry.paths.iter_mut().filter(|p| lost.contains(&p.folded)).for_each(|p| p.whose = FileOwner::TakenOver);
            if let Err(error) = self.write(key, &entry) {
                tracing::warn!("cannot take down who owns a path in {}: {error}", self.path(key).display());
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
                _ if !layout.files()[n].pad && !brought(n) => FileOwner::Absent,
                // It has a copy of its own there.
                FileOwner::OtherTorrent => FileOwner::Created,
                FileOwner::Foreign | FileOwner::TakenOver => FileOwner::Absent,
                whose => whose,
            };
        }
        entry.head = Head { clean: entry.head.clean, ..head(layout, to, &place) };
        let mut index = self.index();
        let rivals = self.conflicts(&index, key, layout, &place, &entry.head.root);
        if let Err(error) = self.write(key, &entry) {
            tracing::warn!("cannot take down who owns the files in {}: {error}", to.display());
        }
        index.put(key, entry.head.clone(), None, true);
        drop(index);
        let taken = rivals.into_iter().map(|(n, owner)| (owner, entry.paths[n as usize].folded));
        self.take_over(&taken.collect::<Vec<_>>());
    }

    /// Returns the first path of a torrent in a folder that is owned by another torrent that is present.
    ///
    /// A torrent is present while it is in the session or open.
    pub(in crate::disk) fn first_conflict(&self, key: &str, layout: &Layout, dir: &Path) -> Option<(PathBuf, Owner)> {
        let place = resolved(dir);
        let mut index = self.index();
        self.refresh(&mut index);
        let rivals = self.conflicts(&index, key, layout, &place, &head(layout, dir, &place).root);
        let first = rivals.into_iter().filter(|(_, owner)| owner.present).min_by_key(|(n, _)| *n)?;
        Some((dir.join(&layout.files()[first.0 as usize].path), first.1))
    }

    /// Rescans the records folder if it changed.
    fn refresh(&self, index: &mut Index) {
        let changed = fs::metadata(&self.folder).and_then(|meta| meta.modified()).ok();
        let began = Instant::now();
        if changed == index.seen || index.scan_at.is_some_and(|at| began < at) {
            return;
        }
        (index.seen, index.scan_at) = (changed, None);
        let names = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let names: BTreeSet<String> = names.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        let gone: Vec<String> = index
            .known
            .iter()
            .filter(|(key, known)| known.saved && !names.contains(*key))
            .map(|(key, _)| key.clone())
            .collect();
        for key in gone {
            // An open torrent saves its record again.
            if index.known.get(&key).is_some_and(|known| !known.is_open()) {
                index.take(&key);
            }
        }
        for key in names {
            if !index.known.contains_key(&key)
                && let Some(head) = self.read_head(&key)
            {
                index.put(&key, head, None, true);
            }
        }
        index.scan_time = began.elapsed();
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

    /// Loads a record; `None` if it is missing or unusable.
    pub(super) fn read(&self, key: &str) -> Option<OwnershipRecord> {
        OwnershipRecord::decode(&self.read_bytes(key, LONGEST)?)
    }

    fn write(&self, key: &str, entry: &OwnershipRecord) -> io::Result<()> {
        atomic_file::make_private(&self.folder)?;
        let new = self.state_dir.join(format!("{key}.owner-new"));
        atomic_file::replace(&self.path(key), &new, None, &entry.encode(), false)
    }

    /// Saves the record of an open torrent.
    pub(super) fn save(&self, key: &str, entry: &OwnershipRecord) -> io::Result<()> {
        let mut index = self.index();
        self.write(key, entry)?;
        index.put_off_scan();
        if let Some(known) = index.known.get_mut(key) {
            known.saved = true;
        }
        Ok(())
    }

    /// Deletes a record after its files were deleted or moved.
    pub fn remove(&self, key: &str) {
        let mut index = self.index();
        let _ = atomic_file::remove(&self.path(key));
        index.put_off_scan();
        index.take(key);
    }

    /// Removes a torrent without record from the index when its ownership is dropped.
    pub(super) fn leave(&self, key: &str) {
        // The index may be locked by the thread that drops the last reference; a leftover entry without record is
        // harmless.
        let Ok(mut index) = self.index.try_lock() else { return };
        if index.known.get(key).is_some_and(|known| !known.saved && !known.is_open()) {
            index.take(key);
        }
    }
}

/// Returns the head of a torrent's record in a folder.
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

/// Returns a path case-folded and with normalized Unicode.
fn fold(path: &Path) -> String {
    let text = path.to_string_lossy();
    if text.is_ascii() { text.to_ascii_lowercase() } else { case_folded(&text) }
}

/// Hashes a torrent's paths below a canonical folder: exact and case-folded; (0, 0) for pad files.
pub(super) fn paths(layout: &Layout, place: &Path) -> Vec<(u64, u64)> {
    let of = |path: &Path| {
        let path = place.join(path);
        (digest(path.as_os_str().as_encoded_bytes()), digest(fold(&path).as_bytes()))
    };
    layout.files().iter().map(|file| if file.pad { (0, 0) } else { of(&file.path) }).collect()
}

/// Returns whether a path exists only in another case, so that the file system is case-insensitive.
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
