//! LRU cache of open files, shared by all torrents and bounded by the descriptor limit (`ulimit -n`).

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::disk::error;
use crate::limits;

/// Storage id and file index.
type Key = (u64, u32);

/// Pseudo file index of a storage's resume journal.
pub(crate) const JOURNAL: u32 = u32::MAX;

/// Partition of the process's file descriptor limit.
///
/// Data files and journals can be closed and reopened when a descriptor is needed elsewhere; sockets cannot. So files
/// get a fixed share.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Descriptors {
    /// Maximum number of open data files and journals together.
    pub files: usize,
    /// Maximum number of peer connections.
    pub peers: usize,
}

impl Descriptors {
    /// Partitions `all` descriptors: a reserve, a quarter of the rest for files, the remainder for peers.
    ///
    /// The reserve is [`DESCRIPTORS_KEPT`](limits::DESCRIPTORS_KEPT), for everything that is neither a torrent's file
    /// nor a peer connection. Files get at least [`limits::FILES_OPEN_LEAST`] and peers at least 1.
    #[must_use]
    pub(crate) fn of(all: usize) -> Self {
        let rest = all.saturating_sub(limits::DESCRIPTORS_KEPT);
        let files = (rest / 4).clamp(limits::FILES_OPEN_LEAST, limits::FILES_OPEN);
        Descriptors { files, peers: rest.saturating_sub(files).max(1) }
    }

    /// Partitions the current soft limit of the process (`RLIMIT_NOFILE`).
    #[must_use]
    pub(crate) fn of_this_process() -> Self {
        #[cfg(unix)]
        let most = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        #[cfg(not(unix))]
        let most = Some(8192_u64);
        Descriptors::of(most.and_then(|n| usize::try_from(n).ok()).unwrap_or(usize::MAX))
    }
}

/// LRU cache of open files.
#[derive(Debug)]
pub struct FileCache {
    limit: usize,
    cache: Mutex<Cache>,
}

#[derive(Debug, Default)]
struct Cache {
    open: HashMap<Key, Entry>,
    clock: u64,
}

#[derive(Debug)]
struct Entry {
    file: Arc<File>,
    writable: bool,
    used: u64,
}

impl FileCache {
    /// Creates a cache for `limit` open files, at least one.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        FileCache { limit: limit.max(1), cache: Mutex::default() }
    }

    /// Creates a cache with the file share of [`Descriptors::of_this_process`].
    #[must_use]
    pub fn of_this_process() -> Self {
        FileCache::new(Descriptors::of_this_process().files)
    }

    fn lock(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the cached handle of a file; with `write` only if it is open for writing.
    #[must_use]
    pub fn get(&self, key: Key, write: bool) -> Option<Arc<File>> {
        let mut cache = self.lock();
        cache.clock += 1;
        let now = cache.clock;
        let entry = cache.open.get_mut(&key).filter(|e| e.writable || !write)?;
        entry.used = now;
        Some(Arc::clone(&entry.file))
    }

    /// Caches a file that was just opened and returns its handle. May evict the least recently used files.
    ///
    /// A cached writable handle (opened by another thread meanwhile) is not replaced by a read-only one.
    pub fn put(&self, key: Key, file: File, writable: bool) -> Arc<File> {
        let mut cache = self.lock();
        cache.clock += 1;
        let used = cache.clock;
        let file = Arc::new(file);
        if !cache.open.get(&key).is_some_and(|e| e.writable && !writable) {
            cache.open.insert(key, Entry { file: Arc::clone(&file), writable, used });
        }
        while cache.open.len() > self.limit {
            cache.close_oldest();
        }
        file
    }

    pub fn close(&self, key: Key) {
        self.lock().open.remove(&key);
    }

    /// Closes a file that is open for writing.
    pub fn close_writer(&self, key: Key) {
        let mut cache = self.lock();
        if cache.open.get(&key).is_some_and(|entry| entry.writable) {
            cache.open.remove(&key);
        }
    }

    /// Opens a file; where descriptors have run out, others are closed first.
    ///
    /// # Errors
    /// The error of the last call of `open`.
    pub fn making_room(&self, open: impl Fn() -> io::Result<File>) -> io::Result<File> {
        match open() {
            Err(error) if error::is_out_of_handles(&error) && self.evict() => open(),
            other => other,
        }
    }

    /// Closes up to eight least recently used files to free descriptors. Returns whether any was closed.
    pub fn evict(&self) -> bool {
        let mut cache = self.lock();
        let before = cache.open.len();
        for _ in 0..8 {
            cache.close_oldest();
        }
        cache.open.len() < before
    }

    pub fn close_all(&self, storage: u64) {
        self.lock().open.retain(|key, _| key.0 != storage);
    }

    /// Returns the cached data files of a storage with their file indices, without the journal.
    #[must_use]
    pub fn of(&self, storage: u64) -> Vec<(u32, Arc<File>)> {
        let cache = self.lock();
        cache
            .open
            .iter()
            .filter(|(key, _)| key.0 == storage && key.1 != JOURNAL)
            .map(|(key, e)| (key.1, Arc::clone(&e.file)))
            .collect()
    }
}

impl Cache {
    fn close_oldest(&mut self) {
        if let Some(key) = self.open.iter().min_by_key(|(_, e)| e.used).map(|(key, _)| *key) {
            self.open.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_are_shared_out_within_what_there_is() {
        for all in [64, 128, 256, 1024, 4096, 65_536, usize::MAX] {
            let Descriptors { files, peers } = Descriptors::of(all);
            assert!(files >= limits::FILES_OPEN_LEAST && peers >= 1, "{all}");
            assert!(files + peers <= (all - limits::DESCRIPTORS_KEPT).max(limits::FILES_OPEN_LEAST + 1), "{all}");
        }
        assert_eq!(Descriptors::of(128).files, 20);
        assert_eq!(Descriptors::of(0), Descriptors { files: limits::FILES_OPEN_LEAST, peers: 1 });
    }

    #[test]
    fn the_longest_unused_is_closed_first() {
        let handles = FileCache::new(2);
        let file = || tempfile::tempfile().unwrap();
        handles.put((1, 0), file(), true);
        handles.put((1, 1), file(), false);
        assert!(handles.get((1, 0), true).is_some() && handles.get((1, 1), true).is_none());
        handles.put((2, 0), file(), true);
        assert!(handles.get((1, 1), false).is_none(), "the one that was not asked for since");
        assert_eq!(handles.of(1).len(), 1);
        handles.put((1, 0), file(), false);
        assert!(handles.get((1, 0), true).is_some(), "a reader does not push a writer out");
        handles.close_all(1);
        assert!(handles.get((1, 0), false).is_none() && handles.evict() && !handles.evict());
    }
}
