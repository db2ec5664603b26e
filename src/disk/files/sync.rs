//! Fsyncs written files and their folders, so that they survive a power loss.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{DIRTY, Files, NEW, UNSYNCED};
use crate::disk::beneath::{self, Access};

impl Files {
    /// Fsyncs the files written since the last sync, and the folders of new files.
    ///
    /// Blocks as long as the disk takes.
    pub fn sync(&self) {
        for n in 0..self.flags.len() as u32 {
            let was = self.lower(n, DIRTY | NEW);
            let Some(file) = self.entry(n).filter(|f| was != 0 && !f.pad) else { continue };
            let open = self.handles.get((self.id, n), true).map_or_else(
                || self.open(&file.path, Access::Write).or_else(|_| self.open(&file.path, Access::Read)).map(Arc::new),
                Ok,
            );
            let mut synced = open.and_then(|open| open.sync_data());
            if was & NEW != 0 && synced.is_ok() {
                synced = self.sync_folders(&file.path);
            }
            if let Err(error) = synced {
                self.raise(n, UNSYNCED);
                tracing::warn!("cannot sync {}: {error}", self.path(n).display());
            }
        }
    }

    fn sync_folders(&self, path: &Path) -> io::Result<()> {
        path.ancestors().filter(|p| !p.as_os_str().is_empty()).try_for_each(|p| beneath::sync_parent(&self.dir, p))
    }

    /// Returns whether any file was written to since the last sync.
    #[must_use]
    pub fn is_dirty(&self) -> bool {
        self.flags.iter().any(|f| f.load(Ordering::Acquire) & DIRTY != 0)
    }

    /// Returns whether the last sync of this file failed.
    #[must_use]
    pub fn sync_failed(&self, file: u32) -> bool {
        self.flag(file, UNSYNCED)
    }
}
