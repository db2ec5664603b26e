//! Whether the disk of the download folder is still mounted: without it, other files would be created under its mount point.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::atomic::Ordering;

use super::{BEGUN, Files};
use crate::disk::beneath::Access;
use crate::disk::error;
use crate::disk::sys;
use crate::swarm::job::DiskFault;

impl Files {
    /// Takes note of the device that the download folder is on, once a file of the torrent is there.
    pub(super) fn note_device(&self) {
        if self.device.load(Ordering::Acquire) == 0 {
            self.device.store(sys::device(&self.dir), Ordering::Release);
        }
    }

    /// Checks that the files are still on their disk: one look at the folder, at every file only where its device differs.
    ///
    /// # Errors
    /// If the folder is on another device than before and none of the torrent's files is there.
    pub fn mounted(&self) -> Result<(), DiskFault> {
        let then = self.device.load(Ordering::Acquire);
        let now = if then == 0 { 0 } else { sys::device(&self.dir) };
        if then == now {
            return Ok(());
        }
        // A disk may have another number when it comes back.
        let there = |n: u32| self.flag(n, BEGUN) && fs::symlink_metadata(self.path(n)).is_ok();
        if (0..self.flags.len() as u32).any(there) {
            self.device.store(now, Ordering::Release);
            return Ok(());
        }
        Err(error::unmounted(&self.dir))
    }

    /// Creates a file, unless the disk of the folder is gone.
    ///
    /// # Errors
    /// The outer one if the disk is gone, the inner one if the file cannot be created.
    pub(super) fn create(&self, path: &Path) -> Result<io::Result<File>, DiskFault> {
        self.mounted()?;
        let created = self.open(path, Access::Create);
        if created.is_ok() {
            self.note_device();
        }
        Ok(created)
    }
}
