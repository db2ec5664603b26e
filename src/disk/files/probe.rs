//! Probes of the files on disk, before an operation that failed is retried.

use std::io;

use super::Files;
use crate::disk::beneath::Access;
use crate::disk::error::{self, DiskOp};
use crate::disk::sys;
use crate::swarm::job::DiskFault;

impl Files {
    /// Reads bytes of the torrent as they are on disk; missing data read as zeros.
    ///
    /// Files are reopened: a cached handle may belong to a file system that is no longer mounted.
    ///
    /// # Errors
    /// If an existing file cannot be read.
    pub fn read_existing(&self, offset: u64, mut into: &mut [u8]) -> Result<(), DiskFault> {
        into.fill(0);
        for segment in self.layout.segments(offset..offset + into.len() as u64) {
            let (part, rest) = into.split_at_mut(segment.length as usize);
            into = rest;
            let Some(entry) = self.layout.files().get(segment.file).filter(|f| !f.pad) else { continue };
            let file = segment.file as u32;
            // The bytes of an unwanted file go to the part file, whatever is at its path.
            if self.parts.is_unwanted(file) {
                continue;
            }
            self.handles.close((self.id, file));
            let words = |doing| move |error: io::Error| error::from_io(doing, &self.path(file), &error, 0);
            let open = match self.open(&entry.path, Access::Read) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                other => other.map_err(words(DiskOp::Open))?,
            };
            match sys::read_exact_at(&open, part, segment.at) {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {}
                other => other.map_err(words(DiskOp::Read))?,
            }
        }
        Ok(())
    }

    /// Opens every existing wanted file for reading.
    ///
    /// # Errors
    /// For the first file that cannot be opened, or if the disk is gone.
    pub fn probe_read(&self) -> Result<(), DiskFault> {
        self.mounted()?;
        for (n, file) in self.layout.files().iter().enumerate().filter(|(_, f)| !f.pad) {
            let n = n as u32;
            if self.parts.is_unwanted(n) {
                continue;
            }
            self.handles.close((self.id, n));
            if self.stat(n)?.is_some() {
                self.open(&file.path, Access::Read).map_err(|e| error::from_io(DiskOp::Open, &self.path(n), &e, 0))?;
            }
        }
        Ok(())
    }
}
