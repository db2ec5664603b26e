//! Files of the torrent that have other names (hard links): the torrent gets a copy of its own before it writes.

use std::sync::PoisonError;

use super::{BEGUN, CHANGED, DOUBTED, Files};
use crate::disk::beneath::Access;
use crate::disk::error::DiskOp;
use crate::disk::file_stamp::FileStamp;
use crate::disk::own_copy;
use crate::disk::sys;
use crate::swarm::job::DiskFault;

impl Files {
    /// Sees to it that a file which is about to be opened for writing has no other name. What cannot be written to for
    /// other reasons is left to [`Files::writer`].
    ///
    /// # Errors
    /// When two files of the torrent are one, or no copy can be made.
    pub(super) fn detach(&self, file: u32) -> Result<(), DiskFault> {
        let linked = || std::fs::symlink_metadata(self.path(file)).is_ok_and(|meta| sys::names(&meta) > 1);
        if self.handles.get((self.id, file), true).is_some() || self.flag(file, CHANGED) || !linked() {
            return Ok(());
        }
        // Nothing is written meanwhile: it would be missing in the copy.
        let _alone = self.writing.write().unwrap_or_else(PoisonError::into_inner);
        let entry = self.file(file)?;
        let Ok(open) = self.open(&entry.path, Access::Write) else { return Ok(()) };
        let words = |error: std::io::Error| self.refused(file, DiskOp::Write, &error);
        let meta = open.metadata().map_err(words)?;
        let part = file == self.part();
        if sys::names(&meta) < 2 || meta.len() > entry.length || !(part || self.flag(file, BEGUN)) {
            return Ok(());
        }
        if !part {
            let mut owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
            self.own(&mut owners, file, &meta, false)?;
        }
        if sys::has_exact_times(&open) && !self.stamps.is_as_left(file, Some(FileStamp::new(&meta))) {
            self.doubt(file, DOUBTED);
        }
        let path = self.path(file);
        tracing::info!(
            "{} has other names (hard links): the torrent gets a copy of its own to write to",
            path.display()
        );
        let copy = own_copy::replace(&self.dir, &entry.path, &open, meta.len()).map_err(words)?;
        self.handles.close((self.id, file));
        self.stamps.set(file, Some(self.stamp(&copy.metadata().map_err(words)?)));
        Ok(())
    }
}
