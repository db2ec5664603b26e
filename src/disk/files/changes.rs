//! Files that other programs change while a torrent works on them: finding them, and keeping them in doubt until checked.

use std::fs;
use std::io;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::{BEGUN, CHANGED, DOUBTED, EXACT, Files, SIZED};
use crate::disk::fault;
use crate::disk::rawio;
use crate::disk::record::Note;
use crate::disk::stamps::{Snapshot, Stamp};
use crate::swarm::job::DiskFault;

impl Files {
    /// Raises `CHANGED` or `DOUBTED`, and keeps the file for [`Files::take_doubts`] if it was not doubted before.
    pub(super) fn doubt(&self, file: u32, flag: u8) {
        let Some(flags) = self.flags.get(file as usize) else { return };
        if flags.fetch_or(flag | DOUBTED, Ordering::AcqRel) & DOUBTED == 0 {
            log::warn!("{} was changed by another program: its pieces will be checked", self.path(file).display());
            self.doubts.lock().unwrap_or_else(PoisonError::into_inner).push(file);
            self.has_doubts.store(true, Ordering::Release);
        }
    }

    /// Files that were found changed since the last call. They stay doubted until they are checked.
    #[must_use]
    pub fn take_doubts(&self) -> Vec<u32> {
        if !self.has_doubts.swap(false, Ordering::AcqRel) {
            return Vec::new();
        }
        std::mem::take(&mut self.doubts.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Files that were found changed and not checked since.
    pub fn doubted(&self) -> impl Iterator<Item = u32> {
        (0..self.flags.len() as u32).filter(|n| self.flag(*n, DOUBTED))
    }

    /// Has the journal note how files were left that nothing was written to for a moment. Returns when to call it again,
    /// if there are others.
    pub fn end_bursts(&self, now: Instant, journal: &dyn Fn(Note)) -> Option<Instant> {
        self.stamps.end_bursts(now, journal)
    }

    /// The stamps of all files, for the record. Files that another one has taken the place of are doubted.
    pub fn stamps(&self, journal: &dyn Fn(Note)) -> Snapshot {
        let snapshot = self.stamps.snapshot(|n| self.look(n).ok().flatten(), journal);
        snapshot.foreign.iter().for_each(|n| self.doubt(*n, DOUBTED));
        snapshot
    }

    /// Looks whether files that are open were changed by others. Those that were deleted, replaced or cut are not read
    /// or written again until checked; the first that was not known to be tells the fault.
    pub fn watch(&self) -> Option<DiskFault> {
        let mut lost = None;
        for (n, open) in self.handles.of(self.id) {
            let Ok(meta) = open.metadata() else { continue };
            let short = self.flag(n, SIZED) && self.file(n).is_ok_and(|f| meta.len() < f.length);
            let replaced = match fs::symlink_metadata(self.path(n)) {
                Ok(there) => rawio::inode(&there) != rawio::inode(&meta),
                Err(error) => error.kind() == io::ErrorKind::NotFound,
            };
            if rawio::is_deleted(&meta) || short || replaced {
                if !self.flag(n, CHANGED) {
                    let how = if short { "was cut short" } else { "was removed or replaced" };
                    lost = lost.or_else(|| Some(fault::changed(&self.path(n), how)));
                }
                self.doubt(n, CHANGED);
                self.handles.close((self.id, n));
                continue;
            }
            if rawio::names(&meta) > 1 {
                // The next write looks, before it opens it again, whether the torrent needs a copy of its own.
                self.handles.close_writer((self.id, n));
            }
            if self.flag(n, EXACT) && !self.stamps.is_as_left(n, Some(Stamp::new(&meta))) {
                self.doubt(n, DOUBTED);
            }
        }
        lost
    }

    /// Whether a file is there and is not as it was left; the inner value tells whether it may still be the same file.
    #[must_use]
    pub fn is_changed(&self, file: u32) -> Option<bool> {
        let now = self.look(file).ok().flatten()?;
        let Some(then) = self.stamps.known(file) else {
            // It was gone, as far as is known, and somebody has made one of this name.
            return (!self.flag(file, BEGUN)).then_some(false);
        };
        let as_left = !self.flag(file, CHANGED | DOUBTED) && self.stamps.is_as_left(file, Some(now));
        (!as_left).then(|| then.is_same_file(now) && then.size == now.size)
    }

    /// Whether a file is there and is what the torrent left there, nobody else.
    #[must_use]
    pub fn is_ours(&self, file: u32) -> bool {
        let ours = |now| !self.flag(file, CHANGED | DOUBTED) && self.stamps.is_as_left(file, Some(now));
        self.look(file).is_ok_and(|now| now.is_none_or(ours))
    }

    /// Compares all files with how they were left: one look at each, no byte is read. Returns those that another program
    /// has changed or removed; they are doubted from then on.
    ///
    /// # Errors
    /// When something else than a plain file has the place of one, or it is longer than the torrent says.
    pub fn compare(&self) -> Result<Vec<u32>, DiskFault> {
        for (n, _) in self.layout.files().iter().enumerate().filter(|(_, f)| !f.pad && f.length > 0) {
            let n = n as u32;
            if !self.flag(n, DOUBTED) && (!self.flag(n, BEGUN) || self.stamps.is_as_left(n, self.look(n)?)) {
                continue;
            }
            self.doubt(n, DOUBTED);
        }
        Ok(self.doubted().collect())
    }
}
