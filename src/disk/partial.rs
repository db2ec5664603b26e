//! A piece that is being collected: hashed as far as it has come without a gap, and written in long runs.
//!
//! ```text
//! 0            run starts        hashed                                       size
//! |-- on disk ----|-- run, in memory --|   gap   |-- ahead --|   gap  |-- ahead --|
//! ```
//! Blocks that come in order are hashed at once, while they are warm, and join the run; when it is long enough it
//! is written in one call. Blocks that come too early wait. They may be written before their turn, when memory is
//! short or they have waited long; then they are read back for the hash, and only they. Padding lies ahead from the
//! start.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Instant;

use bytes::Bytes;
use sha1::{Digest, Sha1};

use crate::disk::place::Place;
use crate::limits::{BLOCK, WRITE_RUN};
use crate::swarm::job::{BlockHash, DiskFault};

/// The longest part that is read back in one call.
const READ_BACK: usize = 256 * 1024;

/// Padding is hashed from here.
static ZEROS: [u8; BLOCK as usize] = [0; BLOCK as usize];

/// A part of a piece that came before its turn.
#[derive(Debug)]
enum Ahead {
    Held(Bytes),
    Written(u32),
    /// Padding (BEP 47): nobody sends it and it is not written.
    Zeros(u32),
}

impl Ahead {
    fn length(&self) -> u32 {
        match self {
            Ahead::Held(data) => data.len() as u32,
            Ahead::Written(length) | Ahead::Zeros(length) => *length,
        }
    }
}

/// A piece that is being collected.
#[derive(Debug)]
pub struct Partial {
    start: u64,
    size: u32,
    sha: Sha1,
    hashed: u32,
    run: Vec<Bytes>,
    run_bytes: u32,
    ahead: BTreeMap<u32, Ahead>,
    held: u64,
    since: Option<Instant>,
    blocks: Option<Vec<Option<BlockHash>>>,
}

impl Partial {
    /// An empty piece of `size` bytes that begins at `start` of the torrent. With `each_block` every block is hashed
    /// on its own, too. What of it is padding is there from the start.
    #[must_use]
    pub fn new(start: u64, size: u32, each_block: bool, padding: impl Iterator<Item = Range<u32>>) -> Self {
        Partial {
            start,
            size,
            sha: Sha1::new(),
            hashed: 0,
            run: Vec::new(),
            run_bytes: 0,
            ahead: padding.map(|pad| (pad.start, Ahead::Zeros(pad.end - pad.start))).collect(),
            held: 0,
            since: None,
            blocks: each_block.then(|| vec![None; size.div_ceil(BLOCK) as usize]),
        }
    }

    /// Bytes of it that are in memory.
    #[must_use]
    pub const fn held(&self) -> u64 {
        self.held
    }

    /// Since when bytes of it have been waiting in memory.
    #[must_use]
    pub const fn since(&self) -> Option<Instant> {
        self.since
    }

    /// Whether all of it has come and is hashed.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.hashed == self.size
    }

    /// Takes in bytes; those that came before are left out. Returns how many were.
    pub fn take(&mut self, begin: u32, data: Bytes, now: Instant) -> u64 {
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

    /// Puts what is new of some bytes among those that wait.
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
            self.ahead.insert(at, Ahead::Held(data.slice((at - begin) as usize..(next - begin) as usize)));
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

    /// Hashes what follows without a gap, and writes runs that are long enough or the piece's last.
    ///
    /// # Errors
    /// When the disk refuses; the piece is of no use then.
    pub fn advance(&mut self, place: &Place, scratch: &mut Vec<u8>) -> Result<(), DiskFault> {
        while let Some(entry) = self.ahead.first_entry().filter(|e| *e.key() == self.hashed) {
            match entry.remove() {
                Ahead::Held(data) => self.append(data),
                Ahead::Written(length) => {
                    self.write_run(place)?;
                    self.read_back(place, length, scratch)?;
                }
                Ahead::Zeros(length) => {
                    self.write_run(place)?;
                    self.hash_zeros(length);
                }
            }
            if self.run_bytes as usize >= WRITE_RUN {
                self.write_run(place)?;
            }
        }
        if self.run_bytes as usize >= WRITE_RUN || self.is_whole() {
            self.write_run(place)?;
        }
        Ok(())
    }

    /// Writes all that is in memory, in order or not.
    ///
    /// # Errors
    /// As [`Partial::advance`].
    pub fn write_out(&mut self, place: &Place) -> Result<(), DiskFault> {
        self.write_run(place)?;
        self.write_ahead(place)
    }

    fn write_run(&mut self, place: &Place) -> Result<(), DiskFault> {
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

    fn write_ahead(&mut self, place: &Place) -> Result<(), DiskFault> {
        let mut freed = 0;
        let mut parts: BTreeMap<u32, Ahead> = BTreeMap::new();
        let mut left = std::mem::take(&mut self.ahead).into_iter().peekable();
        let mut group = Vec::new();
        while let Some((begin, part)) = left.next() {
            let Ahead::Held(data) = part else {
                parts.insert(begin, part);
                continue;
            };
            let mut length = data.len() as u32;
            group.push(data);
            while let Some((_, next)) =
                left.next_if(|(next, part)| *next == begin + length && matches!(part, Ahead::Held(_)))
            {
                length += next.length();
                if let Ahead::Held(data) = next {
                    group.push(data);
                }
            }
            place.write(self.start + u64::from(begin), &group)?;
            group.clear();
            freed += u64::from(length);
            parts.insert(begin, Ahead::Written(length));
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

    /// Hashes a part that was written before its turn.
    fn read_back(&mut self, place: &Place, length: u32, scratch: &mut Vec<u8>) -> Result<(), DiskFault> {
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

    /// The hash of the whole, and of each block where that was asked and they came block by block.
    #[must_use]
    pub fn finish(self) -> ([u8; 20], Option<Vec<BlockHash>>) {
        (self.sha.finalize().into(), self.blocks.and_then(|blocks| blocks.into_iter().collect()))
    }
}
