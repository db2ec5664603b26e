//! Size, times and identity of a file, by which a change of it is noticed.

use std::fs::Metadata;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::disk::sys;

/// Size, mtime and identity of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FileStamp {
    /// Length in bytes.
    pub size: u64,
    /// The mtime, in nanoseconds since 1970.
    pub changed: i64,
    /// Inode number, or creation time on systems without inodes; 0 if unknown.
    pub id: u64,
    /// When the file or what is known of it was last changed, which nobody can put back: nanoseconds since 1970; 0 where that
    /// is not known or tells nothing.
    pub touched: i64,
}

impl FileStamp {
    /// Returns the stamp of a file from its metadata.
    #[must_use]
    pub fn new(meta: &Metadata) -> Self {
        let created = || meta.created().map_or(0, nanos) as u64;
        let id = sys::inode(meta).map_or_else(created, |(_, inode)| inode);
        FileStamp { size: meta.len(), changed: meta.modified().map_or(0, nanos), id, touched: sys::touched(meta) }
    }

    /// Whether both are of one file that was not written to in between, as far as size and time tell.
    #[must_use]
    pub const fn is_same(self, other: FileStamp) -> bool {
        self.is_same_content(other) && self.id == other.id
    }

    /// Whether nobody else has touched a file since one of our own writes in this run: as [`Self::is_same`], but a time that
    /// was put back is noticed.
    #[must_use]
    pub const fn is_as_left(self, now: FileStamp) -> bool {
        let touched = self.touched != 0 && now.touched != 0 && self.touched != now.touched;
        self.is_same(now) && !touched
    }

    /// Whether a file that was left so is unchanged. Where times that can be put back are all that is known, a copy that
    /// keeps the time counts as the file.
    #[must_use]
    pub const fn is_unchanged(self, now: FileStamp) -> bool {
        let touched = self.touched != 0 && now.touched != 0 && self.touched != now.touched;
        self.is_same_content(now) && !touched && (self.touched == 0 || self.is_same_file(now))
    }

    /// Returns whether both stamps may be of one file: the identities are equal, or one is unknown.
    #[must_use]
    pub const fn is_same_file(self, other: FileStamp) -> bool {
        self.id == other.id || self.id == 0 || other.id == 0
    }

    /// Returns whether size and mtime are equal, regardless of identity (a copy may keep its mtime).
    #[must_use]
    pub const fn is_same_content(self, other: FileStamp) -> bool {
        self.size == other.size && self.changed == other.changed
    }
}

/// Returns a time as nanoseconds since 1970.
#[must_use]
pub(crate) fn nanos(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |n| -n),
    }
}
