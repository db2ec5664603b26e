//! Buffers that the kernel copies to and from at full speed.

use std::ops::{Deref, DerefMut};

/// Where buffers begin: at a multiple of this. An allocator puts large ones 16 bytes behind a page's border, and the
/// kernel's copy between the page cache or a socket and such a place takes about twice the processor time.
const PAGE: usize = 4096;

/// Bytes of fixed number that begin at a page's border.
#[derive(Debug, Default)]
pub struct Aligned {
    bytes: Vec<u8>,
    start: usize,
    len: usize,
}

impl Aligned {
    /// So many zeros.
    #[must_use]
    pub fn new(len: usize) -> Self {
        let bytes = vec![0; len + PAGE];
        // Nothing promises that there is an aligned place; a slow buffer is still a buffer.
        let start = bytes.as_ptr().align_offset(PAGE).min(PAGE);
        Aligned { bytes, start, len }
    }
}

impl Deref for Aligned {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[self.start..self.start + self.len]
    }
}

impl DerefMut for Aligned {
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
            let mut it = Aligned::new(len);
            assert_eq!((it.len(), it.as_ptr().align_offset(PAGE)), (len, 0));
            it.fill(7);
            assert!(it.iter().all(|byte| *byte == 7));
        }
    }
}
