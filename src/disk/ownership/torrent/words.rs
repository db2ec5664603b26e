//! Sentences about files that are not a torrent's own.

use std::path::Path;

use crate::disk::error;
use crate::swarm::job::{DiskFault, FaultKind};

/// The fault of files that were there before, or that another program has put in the place of the torrent's.
pub(super) fn occupied(path: &Path, count: usize, changed: bool) -> DiskFault {
    let more = match count {
        0 | 1 => String::new(),
        2 => " (and one more file)".to_owned(),
        n => format!(" (and {} more files)", n - 1),
    };
    let how = if changed { "was changed or replaced by another program" } else { "was there before" };
    let text = format!(
        "{}{more} {how}, and nothing in it is known to be this torrent's: move it away, choose another folder, or let it be \
         overwritten (--overwrite)",
        path.display()
    );
    DiskFault { kind: FaultKind::Occupied, text }
}

/// The fault of two files that are one on a file system that is blind to case.
#[must_use]
pub(in crate::disk) fn one_file(a: &Path, b: &Path) -> DiskFault {
    error::other(format!(
        "{} and {} are one file here, and two in the torrent: choose a folder on a file system that tells their names apart",
        a.display(),
        b.display()
    ))
}

/// Says that files were not deleted with their torrent.
pub(in crate::disk) fn stays(path: &Path, count: usize) -> String {
    let path = path.display();
    let why = "there before the torrent, changed by another program, or another torrent's";
    match count {
        1 => format!("{path} was {why}: it stays"),
        2 => format!("{path} and one more file were {why}: they stay"),
        n => format!("{path} and {} more files were {why}: they stay", n - 1),
    }
}
