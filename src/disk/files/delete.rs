//! Deletes the files of a torrent.

use std::fs;
use std::io;

use super::Files;
use crate::disk::beneath;
use crate::disk::error::{self, DiskOp};
use crate::disk::folders::remove_empty_folders;
use crate::disk::ownership::torrent::stays;
use crate::swarm::job::DiskFault;

impl Files {
    /// Deletes the files that the torrent made, and that nobody has changed since, and then the folders that are empty;
    /// nothing of anybody else's. Says in words which of its files stay.
    ///
    /// # Errors
    /// The fault of the first file that could not be deleted; the others are deleted.
    pub fn delete(&self) -> Result<Option<String>, DiskFault> {
        self.release();
        let ours = self.ownership.deletable();
        let (mut first, mut kept) = (Ok(()), (0, None));
        let files = self.layout.files().iter().chain([&self.part_entry]);
        for (n, file) in files.enumerate().filter(|(_, f)| !f.pad) {
            let file_of_others = |n| !ours.contains(&n) || !self.is_ours(n);
            if n < self.layout.files().len() && file_of_others(n as u32) {
                let path = self.path(n as u32);
                if fs::symlink_metadata(&path).is_ok() {
                    kept = (kept.0 + 1, kept.1.or(Some(path)));
                }
                continue;
            }
            match beneath::remove_file(&self.dir, &file.path) {
                Err(error) if !matches!(error.kind(), io::ErrorKind::NotFound) => {
                    let words = error::from_io(DiskOp::Delete, &self.path(n as u32), &error, 0);
                    first = first.and(Err(words));
                }
                _ => {}
            }
        }
        remove_empty_folders(&self.layout, &self.dir);
        first.map(|()| kept.1.map(|path| stays(&path, kept.0)))
    }
}
