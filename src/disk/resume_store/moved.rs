//! The record of a torrent that was moved.

use std::io;

use super::ResumeStore;
use crate::disk::file_stamp::FileStamp;
use crate::disk::layout::Layout;

impl ResumeStore {
    /// Takes files that were as left before they were moved to be so in their new place: a move touches them, and not every
    /// file system keeps times to the nanosecond. `as_left` returns the mtime of such a file in its new place.
    ///
    /// # Errors
    /// The system's. The record is then as it was, and the files are checked.
    pub fn has_moved(&self, layout: &Layout, as_left: &dyn Fn(usize, FileStamp) -> Option<i64>) -> io::Result<()> {
        let Ok(Some((mut base, _))) = self.read_base(&self.record(), layout) else { return Ok(()) };
        for (n, stamp) in base.stamps.iter_mut().enumerate() {
            if let Some(stamp) = stamp.as_mut()
                && let Some(changed) = as_left(n, *stamp)
            {
                (stamp.changed, stamp.touched) = (changed, 0);
            }
        }
        self.write_new(&base.encode(layout), true)?;
        self.rename_new(false)
    }
}
