//! Copies of files, for a new folder on another file system.

use std::fs;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::recovery::part_name;
use super::{TransferMethod, Work, stopped};
use crate::disk::beneath::{self, Access};
use crate::disk::error::{self, DiskOp};
use crate::disk::sys;
use crate::format;
use crate::limits::MIB;
use crate::swarm::job::{DiskFault, FaultKind};

/// Bytes copied at once; cancellation is checked in between.
const CHUNK: usize = MIB;

impl Work<'_> {
    /// Checks the free space before the first copy, rather than failing after an hour.
    pub(super) fn is_there_room(&self) -> Result<(), DiskFault> {
        match error::free_space(self.to) {
            Some(free) if self.done.is_empty() && free < self.needs => {
                let (to, needs) = (self.to.display(), format::size_rounded(self.needs));
                let text = format!("disk full: {to} needs {needs}, {} free", format::size_rounded(free));
                Err(DiskFault { kind: FaultKind::Full, text })
            }
            _ => Ok(()),
        }
    }

    /// Returns the temporary name of the copy of file `n`.
    ///
    /// An interrupted move thus leaves no incomplete file under its final name.
    pub(super) fn part(&self, n: usize) -> PathBuf {
        part_name(self.new_path(n), self.layout.info_hash(), n)
    }

    /// Copies a file to its temporary name.
    pub(super) fn copy(&self, n: usize, meta: &fs::Metadata) -> Result<(), DiskFault> {
        let part = self.part(n);
        // Left behind by an interrupted move.
        let _ = beneath::remove_file(self.to, &part);
        if self.odd.contains(&n) {
            self.try_name(n)?;
        }
        let copied = self.copy_to(n, &part, meta);
        if copied.is_err() {
            let _ = beneath::remove_file(self.to, &part);
        }
        copied
    }

    /// Renames all copies to their final names, once all are complete.
    pub(super) fn name(&mut self) -> Result<(), DiskFault> {
        for at in 0..self.done.len() {
            let (n, how) = self.done[at];
            if how == TransferMethod::Part {
                let (part, path) = (self.part(n), self.new_path(n));
                beneath::rename((self.to, &part), (self.to, path))
                    .map_err(|error| error::from_io(DiskOp::Move, &self.to.join(path), &error, 0))?;
                self.done[at].1 = TransferMethod::Copied;
            }
        }
        Ok(())
    }

    fn copy_to(&self, n: usize, part: &Path, meta: &fs::Metadata) -> Result<(), DiskFault> {
        let (path, new_path) = (self.path(n), self.new_path(n));
        let read = |error: io::Error| error::from_io(DiskOp::Read, &self.from.join(path), &error, 0);
        let write = |error: io::Error| error::from_io(DiskOp::Move, &self.to.join(new_path), &error, self.left());
        let source = beneath::open(self.from, path, Access::Read).map_err(read)?;
        let copy = beneath::open(self.to, part, Access::Create).map_err(write)?;
        copy.set_len(meta.len()).map_err(write)?;
        let mut buffer = vec![0; CHUNK];
        let mut at = 0;
        // Holes stay holes: missing data takes no space in the copy either.
        while let Some(data) = sys::next_data(&source, at).filter(|data| data.start < meta.len()) {
            self.progress.add(data.start - at);
            let end = data.end.min(meta.len());
            at = data.start;
            while at < end {
                if self.progress.is_ended() {
                    return Err(stopped());
                }
                let chunk = &mut buffer[..(end - at).min(CHUNK as u64) as usize];
                sys::read_exact_at(&source, chunk, at).map_err(read)?;
                (&copy).seek(SeekFrom::Start(at)).and_then(|_| (&copy).write_all(chunk)).map_err(write)?;
                at += chunk.len() as u64;
                self.progress.add(chunk.len() as u64);
            }
        }
        self.progress.add(meta.len() - at);
        // The resume data identify files by their mtime.
        if let Ok(changed) = meta.modified() {
            copy.set_modified(changed).map_err(write)?;
        }
        // FAT and exFAT have no permissions to set, and refuse it.
        #[cfg(unix)]
        if let Err(error) = copy.set_permissions(meta.permissions())
            && !matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported)
        {
            return Err(write(error));
        }
        copy.sync_all().map_err(write)
    }

    /// Creates a file under its final name and deletes it again, to learn before hours of copying whether the file system
    /// takes the name.
    fn try_name(&self, n: usize) -> Result<(), DiskFault> {
        let path = self.new_path(n);
        let tried = beneath::open(self.to, path, Access::Create).and_then(|_| beneath::remove_file(self.to, path));
        tried.map_err(|error| error::from_io(DiskOp::Move, &self.to.join(path), &error, self.left()))
    }
}
