//! Open files of all torrents together: as many as the system's limit allows, the longest unused closed first.

use std::collections::HashMap;
use std::fs::File;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A file: the number of its storage and its index there.
type Key = (u64, u32);

/// The open files.
#[derive(Debug)]
pub struct Handles {
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

impl Handles {
    /// Room for `limit` files, at least one.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Handles { limit: limit.max(1), cache: Mutex::default() }
    }

    /// A quarter of the descriptors that the process may have, 4 to 1,024: sockets need the rest.
    #[must_use]
    pub fn of_this_process() -> Self {
        #[cfg(unix)]
        let most = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(4096);
        #[cfg(not(unix))]
        let most = 2048_u64;
        Handles::new(((most / 4) as usize).clamp(4, 1024))
    }

    fn lock(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The open file, if it is open, and for writing where that is asked.
    #[must_use]
    pub fn get(&self, key: Key, write: bool) -> Option<Arc<File>> {
        let mut cache = self.lock();
        cache.clock += 1;
        let now = cache.clock;
        let entry = cache.open.get_mut(&key).filter(|e| e.writable || !write)?;
        entry.used = now;
        Some(Arc::clone(&entry.file))
    }

    /// Keeps a file open that was just opened. Where another thread was faster, the one that can write stays.
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

    /// Closes a file.
    pub fn close(&self, key: Key) {
        self.lock().open.remove(&key);
    }

    /// Closes some files, because descriptors have run out. Tells whether there were any.
    pub fn shed(&self) -> bool {
        let mut cache = self.lock();
        let before = cache.open.len();
        for _ in 0..8 {
            cache.close_oldest();
        }
        cache.open.len() < before
    }

    /// Closes all files of a storage.
    pub fn close_all(&self, storage: u64) {
        self.lock().open.retain(|key, _| key.0 != storage);
    }

    /// The files of a storage that are open.
    #[must_use]
    pub fn of(&self, storage: u64) -> Vec<(u32, Arc<File>)> {
        let cache = self.lock();
        cache.open.iter().filter(|(key, _)| key.0 == storage).map(|(key, e)| (key.1, Arc::clone(&e.file))).collect()
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
    fn the_longest_unused_is_closed_first() {
        let handles = Handles::new(2);
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
        assert!(handles.get((1, 0), false).is_none() && handles.shed() && !handles.shed());
    }
}
