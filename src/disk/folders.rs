//! The folders that a torrent's files lie in.

use std::path::{Path, PathBuf};

use crate::disk::beneath;
use crate::disk::layout::{FileEntry, Layout};

/// Deletes the empty folders of a torrent, but not the download folder itself.
pub(in crate::disk) fn remove_empty_folders(layout: &Layout, dir: &Path) {
    let of = |file: &'_ FileEntry| file.path.ancestors().skip(1).map(Path::to_path_buf).collect::<Vec<_>>();
    let mut folders: Vec<PathBuf> = layout.files().iter().filter(|f| !f.pad).flat_map(of).collect();
    folders.sort_unstable();
    folders.dedup();
    for folder in folders.iter().rev().filter(|folder| !folder.as_os_str().is_empty()) {
        // The expected error is that the folder is not empty.
        let _ = beneath::remove_folder(dir, folder);
    }
}
