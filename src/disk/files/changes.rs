//! Detects files changed by other programs while a torrent is open; they are doubted until rechecked.

use std::fs;
use std::io;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::{BEGUN, CHANGED, DOUBTED, EXACT, Files, OTHER_PROGRAM, SIZED};
use crate::disk::error;
use crate::disk::file_stamp::FileStamp;
use crate::disk::resume_format::JournalEntry;
use crate::disk::stamps::Snapshot;
use crate::disk::sys;
use crate::swarm::job::DiskFault;

impl Files {
    /// Sets `CHANGED` or `DOUBTED`; queues a newly doubted file for [`Files::take_doubts`].
    pub(super) fn doubt(&self, file: u32, flag: u8) {
        let Some(flags) = self.flags.get(file as usize) else { return };
        if flags.fetch_or(flag | DOUBTED, Ordering::AcqRel) & DOUBTED == 0 {
            tracing::warn!("{} was changed by another program: its pieces will be checked", self.path(file).display());
            self.doubts.lock().unwrap_or_else(PoisonError::into_inner).push(file);
            self.has_doubts.store(true, Ordering::Release);
        }
    }

    /// Takes the files found changed since the last call. They stay doubted until they are rechecked.
    #[must_use]
    pub fn take_doubts(&self) -> Vec<u32> {
        if !self.has_doubts.swap(false, Ordering::AcqRel) {
            return Vec::new();
        }
        std::mem::take(&mut self.doubts.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns the files found changed and not rechecked since.
    pub fn doubted(&self) -> impl Iterator<Item = u32> {
        (0..self.flags.len() as u32).filter(|n| self.flag(*n, DOUBTED))
    }

    /// Ends the bursts of writes that are over, and reports the mtimes of their files to `journal`.
    ///
    /// Returns when to call this again, if there are other bursts.
    pub fn end_bursts(&self, now: Instant, journal: &dyn Fn(JournalEntry)) -> Option<Instant> {
        self.stamps.end_bursts(now, journal)
    }

    /// Returns the stamps of all files, for the resume data.
    ///
    /// Doubts files that were replaced by another file.
    pub fn stamps(&self, journal: &dyn Fn(JournalEntry)) -> Snapshot {
        let snapshot = self.stamps.snapshot(|n| self.stat(n).ok().flatten(), journal);
        snapshot.foreign.iter().for_each(|n| self.doubt(*n, DOUBTED));
        snapshot
    }

    /// Checks whether open files were changed by other programs.
    ///
    /// Deleted, replaced or truncated files are not read or written again until they are rechecked. Returns the fault
    /// of the first one that is newly found, or that of a disk that is gone: its files are as they were.
    pub fn watch(&self) -> Option<DiskFault> {
        let mut lost = None;
        let open = self.handles.of(self.id);
        if !open.is_empty()
            && let Err(fault) = self.mounted()
        {
            // A file that stays open would keep its disk busy, and take what is lost with it.
            self.release();
            return Some(fault);
        }
        for (n, open) in open {
            let Ok(meta) = open.metadata() else { continue };
            let short = self.flag(n, SIZED) && self.file(n).is_ok_and(|f| meta.len() < f.length);
            let replaced = match fs::symlink_metadata(self.path(n)) {
                Ok(there) => sys::inode(&there) != sys::inode(&meta),
                Err(error) => error.kind() == io::ErrorKind::NotFound,
            };
            if sys::is_deleted(&meta) || short || replaced {
                if !self.flag(n, CHANGED) {
                    let how = if short { "was cut short" } else { "was removed or replaced" };
                    lost = lost.or_else(|| Some(error::changed(&self.path(n), how)));
                }
                self.doubt(n, CHANGED);
                self.handles.close((self.id, n));
                continue;
            }
            if sys::names(&meta) > 1 {
                // The next write looks, before it opens it again, whether the torrent needs a copy of its own.
                self.handles.close_writer((self.id, n));
            }
            if self.stamps.is_as_left(n, Some(FileStamp::new(&meta))) {
                continue;
            }
            if self.flag(n, EXACT) {
                self.doubt(n, DOUBTED);
            } else if self.exact && !self.flag(n, CHANGED) {
                // Read only: what was changed must not be sent to anybody.
                lost = lost.or_else(|| Some(error::changed(&self.path(n), OTHER_PROGRAM)));
                self.doubt(n, CHANGED);
                self.handles.close((self.id, n));
            }
        }
        lost
    }

    /// Whether a file is there and is not as it was left; the inner value tells whether it may still be the same file.
    #[must_use]
    pub fn is_changed(&self, file: u32) -> Option<bool> {
        let now = self.stat(file).ok().flatten()?;
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
        self.stat(file).is_ok_and(|now| now.is_none_or(ours))
    }

    /// Compares all files with how they were left: one look at each, no byte is read. Returns those that another program
    /// has changed or removed; they are doubted from then on.
    ///
    /// # Errors
    /// If a path holds something other than a regular file, a file is longer than in the torrent, or the disk is gone.
    pub fn compare(&self) -> Result<Vec<u32>, DiskFault> {
        self.mounted()?;
        for (n, _) in self.layout.files().iter().enumerate().filter(|(_, f)| !f.pad && f.length > 0) {
            let n = n as u32;
            if !self.flag(n, DOUBTED) && (!self.flag(n, BEGUN) || self.stamps.is_untouched(n, self.stat(n)?)) {
                continue;
            }
            self.doubt(n, DOUBTED);
        }
        Ok(self.doubted().collect())
    }
}
