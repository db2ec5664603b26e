//! Read buffers that are used again: a socket is read into one, its blocks are slices of it, and it comes back here
//! when the last slice is gone. So the way of a block costs neither an allocation nor the clearing of memory.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use crate::disk::aligned::Aligned;
use crate::limits::KIB;

/// Sizes of buffers, small to large: a quiet peer, one block, a brisk peer, a fast one.
pub const CLASSES: [usize; 4] = [4 * KIB, 20 * KIB, 64 * KIB, 256 * KIB];

/// How many idle buffers of each class are kept; together about 11 MiB.
const KEPT: [usize; 4] = [64, 64, 24, 32];

/// The idle buffers. Clones share them.
#[derive(Clone, Default)]
pub struct Pool {
    shelves: Arc<[Mutex<Vec<Aligned>>; CLASSES.len()]>,
}

impl Pool {
    /// A buffer of this class (the largest for any number beyond).
    #[must_use]
    pub fn take(&self, class: usize) -> Buffer {
        let class = class.min(CLASSES.len() - 1);
        let idle = self.shelves[class].lock().unwrap_or_else(PoisonError::into_inner).pop();
        let bytes = idle.unwrap_or_else(|| Aligned::new(CLASSES[class]));
        Buffer { bytes, filled: 0, home: Some((self.clone(), class)) }
    }

    /// A buffer that holds at least this many bytes: from the pool while a class is large enough, else its own.
    #[must_use]
    pub fn take_for(&self, bytes: usize) -> Buffer {
        match CLASSES.iter().position(|&size| size >= bytes) {
            Some(class) => self.take(class),
            None => Buffer { bytes: Aligned::new(bytes), filled: 0, home: None },
        }
    }

    /// Idle bytes kept.
    #[must_use]
    pub fn idle(&self) -> usize {
        let shelf = |n: usize| self.shelves[n].lock().unwrap_or_else(PoisonError::into_inner).len();
        (0..CLASSES.len()).map(|n| shelf(n) * CLASSES[n]).sum()
    }
}

/// One buffer, filled from the front.
pub struct Buffer {
    bytes: Aligned,
    filled: usize,
    home: Option<(Pool, usize)>,
}

impl Buffer {
    /// All bytes it can hold.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.bytes.len()
    }

    /// What is in it.
    #[must_use]
    pub fn filled(&self) -> &[u8] {
        &self.bytes[..self.filled]
    }

    /// Where more can be put.
    pub fn space(&mut self) -> &mut [u8] {
        &mut self.bytes[self.filled..]
    }

    /// Says that the first `n` bytes of [`Buffer::space`] are filled now.
    pub fn advance(&mut self, n: usize) {
        self.filled = (self.filled + n).min(self.bytes.len());
    }

    /// Puts these bytes in; they must fit into [`Buffer::space`].
    pub fn put(&mut self, bytes: &[u8]) {
        self.space()[..bytes.len()].copy_from_slice(bytes);
        self.filled += bytes.len();
    }

    /// What is in it as shared bytes; the buffer goes back to its pool with the last slice of them.
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
        let pool = Pool::default();
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
        let pool = Pool::default();
        let many: Vec<_> = (0..1000).map(|_| pool.take(0)).collect();
        drop(many);
        assert_eq!(pool.idle(), KEPT[0] * CLASSES[0]);
        drop(pool.take_for(10 * CLASSES[3]));
        assert_eq!(pool.idle(), KEPT[0] * CLASSES[0]);
    }
}
