//! What is to be known of files before it is tried again what a fault has hindered.

use std::io;

use super::Files;
use crate::disk::fault::{self, Doing};
use crate::disk::paths::Access;
use crate::disk::rawio;
use crate::swarm::job::DiskFault;

impl Files {
    /// Reads bytes of the torrent as they stand, and zeros where nothing does. Files are opened anew: a handle that was
    /// kept may be of a file system that is there no more.
    ///
    /// # Errors
    /// When a file that is there cannot be read.
    pub fn standing(&self, offset: u64, mut into: &mut [u8]) -> Result<(), DiskFault> {
        into.fill(0);
        for segment in self.layout.segments(offset..offset + into.len() as u64) {
            let (part, rest) = into.split_at_mut(segment.length as usize);
            into = rest;
            let Some(entry) = self.layout.files().get(segment.file).filter(|f| !f.pad) else { continue };
            let file = segment.file as u32;
            // Its bytes go to the part file, whatever bears its name.
            if self.parts.is_unwanted(file) {
                continue;
            }
            self.handles.close((self.id, file));
            let words = |doing| move |error: io::Error| fault::system(doing, &self.path(file), &error, 0);
            let open = match self.open(&entry.path, Access::Read) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                other => other.map_err(words(Doing::Open))?,
            };
            match rawio::read_exact_at(&open, part, segment.at) {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {}
                other => other.map_err(words(Doing::Read))?,
            }
        }
        Ok(())
    }

    /// Opens every file that is there, for reading.
    ///
    /// # Errors
    /// The first that cannot be opened.
    pub fn probe_read(&self) -> Result<(), DiskFault> {
        for (n, file) in self.layout.files().iter().enumerate().filter(|(_, f)| !f.pad) {
            let n = n as u32;
            if self.parts.is_unwanted(n) {
                continue;
            }
            self.handles.close((self.id, n));
            if self.look(n)?.is_some() {
                self.open(&file.path, Access::Read).map_err(|e| fault::system(Doing::Open, &self.path(n), &e, 0))?;
            }
        }
        Ok(())
    }
}
