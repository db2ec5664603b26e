//! Write buffer of one incomplete piece: hashes blocks in order and writes them in long runs.
//!
//! ```text
//! 0            run starts        hashed                                       size
//! |-- on disk ----|-- run, in memory --|   gap   |-- ahead --|   gap  |-- ahead --|
//! ```
//! A block that arrives in order is hashed at once, while it is still in the CPU cache, and joins the run; a run that
//! is long enough is written in one call. Blocks that arrive out of order are buffered. When memory is short, or
//! after a time limit, they are written early and later read back for the hash. Padding (BEP 47) counts as out of
//! order from the start.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Instant;

use bytes::Bytes;
use sha1::{Digest, Sha1};

use crate::disk::torrent_disk::TorrentDisk;
use crate::limits::{BLOCK, WRITE_RUN};
use crate::swarm::job::{BlockHash, DiskFault};

/// Maximum number of bytes per read call when written blocks are read back.
const READ_BACK: usize = 256 * 1024;

/// Source of zeros for hashing padding.
static ZEROS: [u8; BLOCK as usize] = [0; BLOCK as usize];

/// A part of the piece beyond the hashed prefix.
#[derive(Debug)]
enum OutOfOrder {
    Held(Bytes),
    Written(u32),
    /// Padding (BEP 47): not received from peers and not written.
    Zeros(u32),
}

impl OutOfOrder {
    fn length(&self) -> u32 {
        match self {
            OutOfOrder::Held(data) => data.len() as u32,
            OutOfOrder::Written(length) | OutOfOrder::Zeros(length) => *length,
        }
    }
}

/// An incomplete piece: the hash state, buffered blocks, and what was written early.
#[derive(Debug)]
pub(crate) struct PieceBuffer {
    start: u64,
    size: u32,
    sha: Sha1,
    hashed: u32,
    run: Vec<Bytes>,
    run_bytes: u32,
    ahead: BTreeMap<u32, OutOfOrder>,
    held: u64,
    since: Option<Instant>,
    blocks: Option<Vec<Option<BlockHash>>>,
}

impl PieceBuffer {
    /// Creates an empty buffer for a piece of `size` bytes at offset `start` of the torrent.
    ///
    /// With `each_block` every block is also hashed on its own. `padding` lists the ranges of padding within the piece.
    #[must_use]
    pub(crate) fn new(start: u64, size: u32, each_block: bool, padding: impl Iterator<Item = Range<u32>>) -> Self {
        PieceBuffer {
            start,
            size,
            sha: Sha1::new(),
            hashed: 0,
            run: Vec::new(),
            run_bytes: 0,
            ahead: padding.map(|pad| (pad.start, OutOfOrder::Zeros(pad.end - pad.start))).collect(),
            held: 0,
            since: None,
            blocks: each_block.then(|| vec![None; size.div_ceil(BLOCK) as usize]),
        }
    }

    /// Returns the number of bytes in memory.
    #[must_use]
    pub(crate) const fn held(&self) -> u64 {
        self.held
    }

    /// Returns the time since which bytes have been buffered; `None` if nothing is buffered.
    #[must_use]
    pub(crate) const fn since(&self) -> Option<Instant> {
        self.since
    }

    /// Returns whether the whole piece was received and hashed.
    #[must_use]
    pub(crate) const fn is_complete(&self) -> bool {
        self.hashed == self.size
    }

    /// Buffers received bytes. Returns how many of them were duplicates and are dropped.
    pub(crate) fn add_block(&mut self, begin: u32, data: Bytes, now: Instant) -> u64 {
        let length = data.len() as u64;
        self.since.get_or_insert(now);
        if let Some(blocks) = &mut self.blocks
            && begin.is_multiple_of(BLOCK)
            && data.len() as u32 == BLOCK.min(self.size - begin)
            && let Some(slot) = blocks.get_mut((begin / BLOCK) as usize)
        {
            slot.get_or_insert_with(|| Sha1::digest(&data).into());
        }
        if begin == self.hashed && self.ahead.is_empty() {
            self.held += length;
            self.append(data);
            return 0;
        }
        let taken = self.insert(begin, &data);
        self.held += taken;
        length - taken
    }

    /// Buffers the parts of `data` that were not received before. Returns their length in bytes.
    fn insert(&mut self, begin: u32, data: &Bytes) -> u64 {
        let end = begin + data.len() as u32;
        let mut at = begin.max(self.hashed);
        let mut taken = 0;
        while at < end {
            let before = self.ahead.range(..=at).next_back().map_or(0, |(b, a)| b + a.length());
            if before > at {
                at = before;
                continue;
            }
            let next = self.ahead.range(at..).next().map_or(end, |(b, _)| (*b).min(end));
            self.ahead.insert(at, OutOfOrder::Held(data.slice((at - begin) as usize..(next - begin) as usize)));
            taken += u64::from(next - at);
            at = next;
        }
        taken
    }

    fn append(&mut self, data: Bytes) {
        self.sha.update(&data);
        self.hashed += data.len() as u32;
        self.run_bytes += data.len() as u32;
        self.run.push(data);
    }

    /// Hashes all contiguous data and writes the run if it is long enough or completes the piece.
    ///
    /// # Errors
    /// If a write or read fails; the buffer must be discarded then.
    pub(crate) fn advance(&mut self, place: &TorrentDisk, scratch: &mut Vec<u8>) -> Result<(), DiskFault> {
        while let Some(entry) = self.ahead.first_entry().filter(|e| *e.key() == self.hashed) {
            match entry.remove() {
                OutOfOrder::Held(data) => self.append(data),
                OutOfOrder::Written(length) => {
                    self.write_run(place)?;
                    self.read_back(place, length, scratch)?;
                }
                OutOfOrder::Zeros(length) => {
                    self.write_run(place)?;
                    self.hash_zeros(length);
                }
            }
            if self.run_bytes as usize >= WRITE_RUN {
                self.write_run(place)?;
            }
        }
        if self.run_bytes as usize >= WRITE_RUN || self.is_complete() {
            self.write_run(place)?;
        }
        Ok(())
    }

    /// Writes everything in memory to disk, including out-of-order blocks.
    ///
    /// # Errors
    /// As [`PieceBuffer::advance`].
    pub(crate) fn write_out(&mut self, place: &TorrentDisk) -> Result<(), DiskFault> {
        self.write_run(place)?;
        self.write_ahead(place)
    }

    fn write_run(&mut self, place: &TorrentDisk) -> Result<(), DiskFault> {
        if self.run.is_empty() {
            return Ok(());
        }
        place.write(self.start + u64::from(self.hashed - self.run_bytes), &self.run)?;
        let freed = u64::from(self.run_bytes);
        self.run.clear();
        self.run_bytes = 0;
        self.freed(freed);
        Ok(())
    }

    fn write_ahead(&mut self, place: &TorrentDisk) -> Result<(), DiskFault> {
        let mut freed = 0;
        let mut parts: BTreeMap<u32, OutOfOrder> = BTreeMap::new();
        let mut left = std::mem::take(&mut self.ahead).into_iter().peekable();
        let mut group = Vec::new();
        while let Some((begin, part)) = left.next() {
            let OutOfOrder::Held(data) = part else {
                parts.insert(begin, part);
                continue;
            };
            let mut length = data.len() as u32;
            group.push(data);
            while let Some((_, next)) =
                left.next_if(|(next, part)| *next == begin + length && matches!(part, OutOfOrder::Held(_)))
            {
                length += next.length();
                if let OutOfOrder::Held(data) = next {
                    group.push(data);
                }
            }
            place.write(self.start + u64::from(begin), &group)?;
            group.clear();
            freed += u64::from(length);
            parts.insert(begin, OutOfOrder::Written(length));
        }
        self.ahead = parts;
        self.freed(freed);
        Ok(())
    }

    fn freed(&mut self, bytes: u64) {
        self.held -= bytes;
        if self.held == 0 {
            self.since = None;
        }
    }

    /// Reads back and hashes a part that was written before its turn.
    fn read_back(&mut self, place: &TorrentDisk, length: u32, scratch: &mut Vec<u8>) -> Result<(), DiskFault> {
        let end = self.hashed + length;
        while self.hashed < end {
            let take = READ_BACK.min((end - self.hashed) as usize);
            scratch.resize(take, 0);
            place.read(self.start + u64::from(self.hashed), scratch)?;
            self.sha.update(&*scratch);
            self.hashed += take as u32;
        }
        Ok(())
    }

    fn hash_zeros(&mut self, length: u32) {
        let end = self.hashed + length;
        while self.hashed < end {
            let take = ZEROS.len().min((end - self.hashed) as usize);
            self.sha.update(&ZEROS[..take]);
            self.hashed += take as u32;
        }
    }

    /// Returns the SHA-1 of the piece, and of its blocks if requested and all arrived as whole blocks.
    #[must_use]
    pub(crate) fn finish(self) -> ([u8; 20], Option<Vec<BlockHash>>) {
        (self.sha.finalize().into(), self.blocks.and_then(|blocks| blocks.into_iter().collect()))
    }
}
