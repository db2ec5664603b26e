//! The part file of a torrent: data of unwanted files that was downloaded as part of wanted pieces.
//!
//! A piece that spans two files contains bytes of both. If only one of the files is wanted, the bytes of the other one
//! are stored in one hidden file in the download folder: no unwanted file is created, and an existing file of the
//! user at its path is not overwritten. When the file becomes wanted, its bytes are moved from the part file to the
//! file.
//!
//! ```text
//! header   magic, version, info-hash
//! slot     magic, file, piece, length, in use (0 or 1); then `length` bytes: the part of the file within the piece
//! slot ..
//! ```
//! Integers are little-endian. A slot that is no longer in use stays reserved for the same part of the same file.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, TryLockError};

use bytes::Bytes;

use crate::disk::beneath::{self, Access};
use crate::disk::layout::Layout;
use crate::disk::sys;
use crate::wire::message::{InfoHash, PieceIndex};

const MAGIC: &[u8; 8] = b"TTUIPART";
const VERSION: u32 = 1;
/// Length of the file header, in bytes.
const HEAD: u64 = 8 + 4 + 20;
const SLOT_MAGIC: &[u8; 4] = b"SLOT";
/// Length of a slot header, in bytes.
const SLOT_HEAD: u64 = 4 * 5;

/// Returns the name of the part file in the download folder.
///
/// Other clients store part files of their own formats as `.<info-hash>.parts`.
#[must_use]
pub fn name(torrent: InfoHash) -> PathBuf {
    PathBuf::from(format!(".{torrent}.ttui.parts"))
}

/// The location of a part of a file in the part file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Slot {
    /// Offset of the bytes in the part file.
    at: u64,
    /// Offset of the bytes in the torrent.
    start: u64,
    /// Number of bytes.
    length: u64,
    in_use: bool,
}

impl Slot {
    /// Returns the position in the part file of the byte at `offset` of the torrent.
    #[must_use]
    pub const fn position(&self, offset: u64) -> u64 {
        self.at + (offset - self.start)
    }

    /// Returns the range of the torrent that the slot holds.
    #[must_use]
    pub const fn bytes(&self) -> Range<u64> {
        self.start..self.start + self.length
    }
}

/// Which files of a torrent are unwanted, and the index of the part file.
#[derive(Debug, Default)]
pub struct PartFile {
    /// Whether any file is unwanted or any slot is in use; if not, the table need not be consulted.
    used: AtomicBool,
    unwanted_bytes: AtomicU64,
    table: RwLock<Table>,
}

/// The index of the part file.
///
/// Locked for reading during I/O on unwanted files, for writing while slots are moved.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// Whether each file is unwanted; empty if all files are wanted.
    unwanted: Vec<bool>,
    /// Slots by file index and piece index.
    slots: BTreeMap<(u32, u32), Slot>,
    /// Offset at which the next slot is appended; 0 if the part file has no header yet.
    end: u64,
}

/// Where bytes of a file are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Target {
    /// To the file itself.
    Own,
    /// To a slot of the part file.
    Slot(Slot),
    /// To a slot that must be allocated first.
    NewSlot,
}

impl Table {
    pub(super) fn is_unwanted(&self, file: u32) -> bool {
        self.unwanted.get(file as usize).is_some_and(|unwanted| *unwanted)
    }

    /// Returns the slot in use for the bytes of a file within a piece.
    pub(super) fn find(&self, file: u32, piece: PieceIndex) -> Option<Slot> {
        self.slots.get(&(file, piece.0)).copied().filter(|slot| slot.in_use)
    }

    /// Returns where bytes of a file within a piece are written.
    ///
    /// A slot in use keeps receiving the bytes of its part.
    pub(super) fn target(&self, file: u32, piece: PieceIndex) -> Target {
        match self.find(file, piece) {
            Some(slot) => Target::Slot(slot),
            None if self.is_unwanted(file) => Target::NewSlot,
            None => Target::Own,
        }
    }

    /// Returns the wanted files that have data in the part file.
    pub(super) fn wanted_files(&self) -> Vec<u32> {
        let counts = self.slots.iter().filter(|(_, slot)| slot.in_use);
        let mut files: Vec<u32> = counts.map(|((file, _), _)| *file).filter(|file| !self.is_unwanted(*file)).collect();
        files.dedup();
        files
    }

    /// Returns the slots in use of a file, with their pieces.
    pub(super) fn slots_of(&self, file: u32) -> Vec<(PieceIndex, Slot)> {
        let all = self.slots.range((file, 0)..=(file, u32::MAX)).filter(|(_, slot)| slot.in_use);
        all.map(|((_, piece), slot)| (PieceIndex(*piece), *slot)).collect()
    }

    /// Returns whether no slot is in use.
    pub(super) fn is_empty(&self) -> bool {
        !self.slots.values().any(|slot| slot.in_use)
    }

    /// Allocates a slot in the open part file for the bytes of a file within a piece.
    ///
    /// A new slot is filled with zeros.
    ///
    /// # Errors
    /// The I/O error of the system. The slot is not allocated then.
    pub(super) fn make(&mut self, part: &File, layout: &Layout, file: u32, piece: PieceIndex) -> io::Result<Slot> {
        let bytes = bytes_of(layout, file, piece);
        let at = match self.slots.get(&(file, piece.0)) {
            Some(slot) => slot.at,
            None => self.end.max(HEAD) + SLOT_HEAD,
        };
        let slot = Slot { at, start: bytes.start, length: bytes.end - bytes.start, in_use: true };
        if self.end == 0 {
            part.set_len(0)?;
            let mut head = MAGIC.to_vec();
            head.extend_from_slice(&VERSION.to_le_bytes());
            head.extend_from_slice(&layout.info_hash().0);
            write(part, head, 0)?;
        }
        let end = self.end.max(at + slot.length);
        // The length is set first: a slot that extends beyond the end of the file is torn and ignored.
        if part.metadata()?.len() < end {
            part.set_len(end)?;
        }
        write(part, slot_head(file, piece, &slot), at - SLOT_HEAD)?;
        self.end = end;
        self.slots.insert((file, piece.0), slot);
        Ok(slot)
    }

    /// Marks a slot as no longer in use.
    ///
    /// # Errors
    /// The I/O error of the system; the slot is then in use again after a restart.
    pub(super) fn drop_slot(&mut self, part: &File, file: u32, piece: PieceIndex) -> io::Result<()> {
        if let Some(slot) = self.slots.get_mut(&(file, piece.0)) {
            slot.in_use = false;
            write(part, slot_head(file, piece, slot), slot.at - SLOT_HEAD)?;
        }
        Ok(())
    }

    /// Returns whether a valid part file exists, even one without slots in use.
    pub(super) const fn has_file(&self) -> bool {
        self.end > 0
    }

    /// Forgets all slots, after the part file was deleted or before it is loaded.
    pub(super) fn clear(&mut self) {
        self.slots.clear();
        self.end = 0;
    }
}

impl PartFile {
    /// Returns whether any file is unwanted or any slot is in use.
    #[must_use]
    pub fn is_used(&self) -> bool {
        self.used.load(Ordering::Acquire)
    }

    pub(super) fn read(&self) -> RwLockReadGuard<'_, Table> {
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn write(&self) -> RwLockWriteGuard<'_, Table> {
        self.table.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Updates the result of [`PartFile::is_used`].
    pub(super) fn settled(&self, table: &Table) {
        let used = !table.is_empty() || table.unwanted.iter().any(|unwanted| *unwanted);
        self.used.store(used, Ordering::Release);
    }

    /// Sets the unwanted files; all others are wanted. Moves no data yet. Waits for I/O on unwanted files.
    pub fn select(&self, layout: &Layout, unwanted: &[u32]) {
        self.set_unwanted(&mut self.write(), layout, unwanted);
    }

    /// As [`PartFile::select`], but never blocks: does nothing if there is I/O on unwanted files.
    pub(crate) fn try_select(&self, layout: &Layout, unwanted: &[u32]) {
        match self.table.try_write() {
            Ok(mut table) => self.set_unwanted(&mut table, layout, unwanted),
            Err(TryLockError::Poisoned(table)) => self.set_unwanted(&mut table.into_inner(), layout, unwanted),
            Err(TryLockError::WouldBlock) => {}
        }
    }

    fn set_unwanted(&self, table: &mut Table, layout: &Layout, unwanted: &[u32]) {
        table.unwanted = if unwanted.is_empty() { Vec::new() } else { vec![false; layout.files().len()] };
        let mut bytes = 0;
        for file in unwanted {
            if let (Some(slot), Some(entry)) =
                (table.unwanted.get_mut(*file as usize), layout.files().get(*file as usize))
            {
                bytes += if *slot { 0 } else { entry.length };
                *slot = true;
            }
        }
        self.unwanted_bytes.store(bytes, Ordering::Relaxed);
        self.settled(table);
    }

    /// Returns the total length in bytes of the unwanted files.
    #[must_use]
    pub fn unwanted_bytes(&self) -> u64 {
        self.unwanted_bytes.load(Ordering::Relaxed)
    }

    #[must_use]
    pub fn is_unwanted(&self, file: u32) -> bool {
        self.is_used() && self.read().is_unwanted(file)
    }

    /// Returns the slot that holds the bytes of a file within a piece, if they are in the part file.
    #[must_use]
    pub fn find(&self, file: u32, piece: PieceIndex) -> Option<Slot> {
        if self.is_used() { self.read().find(file, piece) } else { None }
    }

    /// Returns the number of bytes of a file that are in the part file.
    #[must_use]
    pub fn bytes_of(&self, file: u32) -> u64 {
        if self.is_used() { self.read().slots_of(file).iter().map(|(_, slot)| slot.length).sum() } else { 0 }
    }

    /// Returns the pieces that have data in the part file; a piece may occur more than once.
    #[must_use]
    pub fn pieces(&self) -> Vec<u32> {
        self.read().slots.iter().filter(|(_, slot)| slot.in_use).map(|((_, piece), _)| *piece).collect()
    }

    /// Loads the part file of a download folder.
    ///
    /// A damaged part file is read up to the damage. A missing or foreign file counts as empty.
    pub fn load(&self, dir: &Path, layout: &Layout) {
        let mut table = self.write();
        table.clear();
        match beneath::open(dir, &name(layout.info_hash()), Access::Read) {
            Ok(part) => (table.slots, table.end) = slots(&part, layout),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
            Err(error) => tracing::warn!("cannot read {}: {error}", dir.join(name(layout.info_hash())).display()),
        }
        self.settled(&table);
    }
}

/// Returns the range of the torrent that a file covers within a piece.
fn bytes_of(layout: &Layout, file: u32, piece: PieceIndex) -> Range<u64> {
    let bytes = layout.bytes_of(piece);
    let file = &layout.files()[file as usize];
    bytes.start.max(file.offset)..bytes.end.min(file.offset + file.length)
}

fn write(part: &File, bytes: Vec<u8>, at: u64) -> io::Result<()> {
    let length = bytes.len() as u64;
    sys::write_all_at(part, &[Bytes::from(bytes)], 0, length, at)
}

fn slot_head(file: u32, piece: PieceIndex, slot: &Slot) -> Vec<u8> {
    let mut head = SLOT_MAGIC.to_vec();
    // A piece is shorter than 2^32 bytes.
    for number in [file, piece.0, slot.length as u32, u32::from(slot.in_use)] {
        head.extend_from_slice(&number.to_le_bytes());
    }
    head
}

/// Parses the slots of a part file up to its end or the first damage.
///
/// Also returns the offset for the next slot.
fn slots(part: &File, layout: &Layout) -> (BTreeMap<(u32, u32), Slot>, u64) {
    let mut found = BTreeMap::new();
    let long = part.metadata().map_or(0, |meta| meta.len());
    let mut head = [0; HEAD as usize];
    let ours = sys::read_exact_at(part, &mut head, 0).is_ok()
        && head[..8] == *MAGIC
        && head[8..12] == VERSION.to_le_bytes()
        && head[12..] == layout.info_hash().0;
    if !ours {
        return (found, 0);
    }
    let mut end = HEAD;
    let mut head = [0; SLOT_HEAD as usize];
    while end + SLOT_HEAD <= long && sys::read_exact_at(part, &mut head, end).is_ok() {
        let (words, _) = head.as_chunks::<4>();
        let [file, piece, length, counts] = [1, 2, 3, 4].map(|n| u32::from_le_bytes(words[n]));
        let known = layout.files().get(file as usize).is_some_and(|f| !f.pad)
            && layout.pieces_of(file as usize).contains(&piece);
        if words[0] != *SLOT_MAGIC || !known || counts > 1 {
            break;
        }
        let bytes = bytes_of(layout, file, PieceIndex(piece));
        let slot = Slot { at: end + SLOT_HEAD, start: bytes.start, length: u64::from(length), in_use: counts == 1 };
        if slot.bytes() != bytes || slot.at + slot.length > long {
            break;
        }
        end = slot.at + slot.length;
        found.insert((file, piece), slot);
    }
    (found, end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::layout::tests::layout;

    fn open(dir: &Path, layout: &Layout) -> File {
        let path = name(layout.info_hash());
        beneath::open(dir, &path, Access::Create).or_else(|_| beneath::open(dir, &path, Access::Write)).unwrap()
    }

    #[test]
    fn what_is_made_is_found_again_up_to_the_first_damage() {
        // Pieces of 10: a in 0 and 1, b in 1, c in 1 to 3, d in 3.
        let l = layout(10, &[(Some("a"), 12), (Some("b"), 3), (Some("c"), 20), (None, 2), (Some("d"), 3)]);
        let dir = tempfile::tempdir().unwrap();
        let parts = PartFile::default();
        parts.load(dir.path(), &l);
        assert!(!parts.is_used() && parts.pieces().is_empty());
        let made = [(0, 1), (1, 1), (2, 1), (2, 3), (4, 3)];
        let part = open(dir.path(), &l);
        for (file, piece) in made {
            let slot = parts.write().make(&part, &l, file, PieceIndex(piece)).unwrap();
            write(&part, vec![file as u8 + 1; slot.length as usize], slot.at).unwrap();
        }
        let expected = [10..12, 12..15, 15..20, 30..35, 37..40];
        let check = |parts: &PartFile, left: usize| {
            for (n, (file, piece)) in made.into_iter().enumerate() {
                let slot = parts.find(file, PieceIndex(piece));
                assert_eq!(slot.map(|slot| slot.bytes()), (n < left).then(|| expected[n].clone()), "{file} {piece}");
                let Some(slot) = slot else { continue };
                let mut bytes = vec![0; slot.length as usize];
                sys::read_exact_at(&part, &mut bytes, slot.position(slot.start)).unwrap();
                assert!(bytes.iter().all(|byte| *byte == file as u8 + 1));
            }
        };
        let again = || {
            let parts = PartFile::default();
            parts.load(dir.path(), &l);
            parts
        };
        check(&again(), 5);
        assert_eq!(again().pieces(), [1, 1, 1, 3, 3]);
        assert_eq!((again().bytes_of(2), again().bytes_of(3), again().bytes_of(4)), (10, 0, 3));
        let whole = std::fs::read(dir.path().join(name(l.info_hash()))).unwrap();
        let path = dir.path().join(name(l.info_hash()));
        for cut in 0..whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let left = again().read().slots.len();
            assert!(left < 5, "cut at {cut}");
        }
        // A part file of another torrent, of another version, or a file that is no part file.
        for at in [0, 8, 12] {
            let mut other = whole.clone();
            other[at] ^= 1;
            std::fs::write(&path, other).unwrap();
            assert!(again().read().is_empty());
        }
        // A slot with a wrong length, of a pad file, or of a piece outside of its file.
        for (at, byte) in [(HEAD + 12, 200), (HEAD + 4, 3), (HEAD + 8, 2), (HEAD + 16, 2)] {
            let mut other = whole.clone();
            other[at as usize] = byte;
            std::fs::write(&path, other).unwrap();
            assert!(again().read().is_empty(), "byte {at}");
        }
    }

    #[test]
    fn a_slot_that_counts_no_more_keeps_its_place() {
        let l = layout(10, &[(Some("a"), 12), (Some("b"), 30)]);
        let dir = tempfile::tempdir().unwrap();
        let (parts, part) = (PartFile::default(), open(dir.path(), &l));
        parts.load(dir.path(), &l);
        parts.select(&l, &[0]);
        assert!(parts.is_used() && parts.is_unwanted(0) && !parts.is_unwanted(1));
        assert_eq!(parts.unwanted_bytes(), 12);
        assert_eq!(parts.read().target(0, PieceIndex(1)), Target::NewSlot);
        let first = parts.write().make(&part, &l, 0, PieceIndex(1)).unwrap();
        assert_eq!(parts.read().target(0, PieceIndex(1)), Target::Slot(first));
        assert!(parts.read().wanted_files().is_empty());
        parts.select(&l, &[1]);
        assert_eq!(parts.read().target(0, PieceIndex(1)), Target::Slot(first), "what began there stays together");
        assert_eq!(parts.read().target(1, PieceIndex(1)), Target::NewSlot);
        assert_eq!(parts.read().wanted_files(), [0]);
        parts.write().drop_slot(&part, 0, PieceIndex(1)).unwrap();
        parts.load(dir.path(), &l);
        assert!(parts.read().is_empty() && parts.read().has_file());
        assert_eq!(parts.read().target(0, PieceIndex(1)), Target::Own);
        let second = parts.write().make(&part, &l, 1, PieceIndex(1)).unwrap();
        let again = parts.write().make(&part, &l, 0, PieceIndex(1)).unwrap();
        assert!(again == first && second.at > first.at);
        parts.select(&l, &[]);
        assert_eq!(parts.read().wanted_files(), [0, 1]);
    }
}
