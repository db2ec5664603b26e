//! A pool of read buffers in size classes. Received blocks are slices of a buffer, which returns to the pool with its
//! last slice, so a block costs neither an allocation nor zeroing of memory.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use crate::disk::aligned_buf::AlignedBuf;
use crate::limits::KIB;

/// Buffer sizes in bytes, ascending: for an idle peer, one block, a medium and a fast peer.
pub(crate) const CLASSES: [usize; 4] = [4 * KIB, 20 * KIB, 64 * KIB, 256 * KIB];

/// Maximum number of idle buffers kept per class; about 11 MiB in total.
const KEPT: [usize; 4] = [64, 64, 24, 32];

/// The pool of idle buffers. Clones share it.
#[derive(Clone, Default)]
pub struct BufferPool {
    shelves: Arc<[Mutex<Vec<AlignedBuf>>; CLASSES.len()]>,
}

impl BufferPool {
    /// Returns an empty buffer of this class; larger numbers mean the largest class.
    #[must_use]
    pub fn take(&self, class: usize) -> Buffer {
        let class = class.min(CLASSES.len() - 1);
        let idle = self.shelves[class].lock().unwrap_or_else(PoisonError::into_inner).pop();
        let bytes = idle.unwrap_or_else(|| AlignedBuf::new(CLASSES[class]));
        Buffer { bytes, filled: 0, home: Some((self.clone(), class)) }
    }

    /// Returns a buffer of at least `bytes` capacity; one larger than all classes is not pooled.
    #[must_use]
    pub fn take_for(&self, bytes: usize) -> Buffer {
        match CLASSES.iter().position(|&size| size >= bytes) {
            Some(class) => self.take(class),
            None => Buffer { bytes: AlignedBuf::new(bytes), filled: 0, home: None },
        }
    }

    /// Returns the total size of the idle buffers in bytes.
    #[must_use]
    pub fn idle(&self) -> usize {
        let shelf = |n: usize| self.shelves[n].lock().unwrap_or_else(PoisonError::into_inner).len();
        (0..CLASSES.len()).map(|n| shelf(n) * CLASSES[n]).sum()
    }
}

/// A read buffer, filled from the front.
pub struct Buffer {
    bytes: AlignedBuf,
    filled: usize,
    home: Option<(BufferPool, usize)>,
}

impl Buffer {
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.bytes.len()
    }

    /// Returns the bytes filled so far.
    #[must_use]
    pub fn filled(&self) -> &[u8] {
        &self.bytes[..self.filled]
    }

    /// Returns the unfilled rest of the buffer.
    pub fn space(&mut self) -> &mut [u8] {
        &mut self.bytes[self.filled..]
    }

    /// Marks the first `n` bytes of [`Buffer::space`] as filled.
    pub fn advance(&mut self, n: usize) {
        self.filled = (self.filled + n).min(self.bytes.len());
    }

    /// Appends bytes; they must fit into [`Buffer::space`].
    pub fn put(&mut self, bytes: &[u8]) {
        self.space()[..bytes.len()].copy_from_slice(bytes);
        self.filled += bytes.len();
    }

    /// Converts the filled bytes into [`Bytes`]; the buffer returns to its pool with the last slice.
    #[must_use]
    pub fn freeze(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        self.filled()
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if let Some((pool, class)) = self.home.take() {
            let mut shelf = pool.shelves[class].lock().unwrap_or_else(PoisonError::into_inner);
            if shelf.len() < KEPT[class] {
                shelf.push(std::mem::take(&mut self.bytes));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_with_its_last_slice_and_not_before() {
        let pool = BufferPool::default();
        let mut buffer = pool.take(1);
        buffer.put(b"a block and another");
        let whole = buffer.freeze();
        let slice = whole.slice(2..7);
        drop(whole);
        assert_eq!(pool.idle(), 0);
        assert_eq!(&slice[..], b"block");
        drop(slice);
        assert_eq!(pool.idle(), CLASSES[1]);
        assert!(pool.take(1).filled().is_empty());
    }

    #[test]
    fn the_pool_keeps_no_more_than_its_bound() {
        let pool = BufferPool::default();
        let many: Vec<_> = (0..1000).map(|_| pool.take(0)).collect();
        drop(many);
        assert_eq!(pool.idle(), KEPT[0] * CLASSES[0]);
        drop(pool.take_for(10 * CLASSES[3]));
        assert_eq!(pool.idle(), KEPT[0] * CLASSES[0]);
    }
}
