//! Page-aligned heap buffers for disk and socket I/O.

use std::ops::{Deref, DerefMut};

/// Alignment of the buffers, in bytes: one memory page.
///
/// The allocator places large allocations 16 bytes after a page boundary, and the kernel's copy between the page cache
/// or a socket and such an address takes about twice the CPU time.
const PAGE: usize = 4096;

/// A byte buffer of fixed length that starts at a page boundary.
#[derive(Debug, Default)]
pub(crate) struct AlignedBuf {
    bytes: Vec<u8>,
    start: usize,
    len: usize,
}

impl AlignedBuf {
    /// Allocates a zeroed buffer of `len` bytes.
    #[must_use]
    pub(crate) fn new(len: usize) -> Self {
        let bytes = vec![0; len + PAGE];
        // `align_offset` may fail by returning `usize::MAX`; an unaligned buffer still works, only slower.
        let start = bytes.as_ptr().align_offset(PAGE).min(PAGE);
        AlignedBuf { bytes, start, len }
    }
}

impl Deref for AlignedBuf {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[self.start..self.start + self.len]
    }
}

impl DerefMut for AlignedBuf {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.start + self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_begins_at_a_page_and_has_the_length_asked_for() {
        for len in [0, 1, 16 << 10, 256 << 10] {
            let mut it = AlignedBuf::new(len);
            assert_eq!((it.len(), it.as_ptr().align_offset(PAGE)), (len, 0));
            it.fill(7);
            assert!(it.iter().all(|byte| *byte == 7));
        }
    }
}
