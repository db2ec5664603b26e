//! The resume record of a torrent in a folder, as bytes: the base and the journal that goes on from it.
//!
//! ```text
//! base     magic, version, chain, generation, keep_from, info-hash, pieces, piece length, total, durable, clean,
//!          device, boot, a stamp (size, time, identity, when touched) for each file and the part file, bitfields written, synced,
//!          unsure, SHA-1 of all that
//! journal  magic, version, chain, generation, boot, checksum; then entries of 24 bytes: what, piece or file, time,
//!          checksum
//! ```
//! Version 3 had stamps that do not say when a file was touched, versions 1 and 2 stamps without identity and entries of 16
//! bytes, without time, version 1 no stamp of the part file; all are still read.
//! Numbers are little-endian. A base says how things stood, its journal (of the same chain and generation) what
//! became of pieces since. Journals of the generations after it go on from there, so that the base before the last
//! loses nothing when the last one is damaged.

use sha1::{Digest, Sha1};
use thiserror::Error;

use crate::disk::layout::Layout;
use crate::disk::stamps::Stamp;

const BASE_MAGIC: &[u8; 8] = b"TTUIBASE";
const JOURNAL_MAGIC: &[u8; 8] = b"TTUIJRNL";
const VERSION: u32 = 4;
/// The version before there was a part file.
const WITHOUT_PART: u32 = 1;
/// The last version without identities of files, and without times in journals.
const WITHOUT_TIMES: u32 = 2;
/// The last version whose stamps do not say when files were touched.
const WITHOUT_TOUCHED: u32 = 3;
/// The size that stands for a file that is not there.
const ABSENT: u64 = u64::MAX;
/// The longest name of a boot.
const BOOT: usize = 64;
/// Bytes of an entry of a journal.
pub const ENTRY: usize = 24;
/// Bytes of the checksum at its end.
const CHECKSUM: usize = 8;

/// A base record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Base {
    /// A random number that ties journals to the bases they belong to.
    pub chain: u64,
    /// Counts the bases of a chain.
    pub generation: u64,
    /// The journals of earlier generations are of no use any more.
    pub keep_from: u64,
    /// Whether it was synced before it took its name.
    pub durable: bool,
    /// Whether it was written when the torrent was closed, with nothing to come after.
    pub clean: bool,
    /// The device that the download folder lies on, where the system tells.
    pub device: u64,
    /// Which start of the machine it was written in; empty where the system does not tell.
    pub boot: String,
    /// Whether its journals note each write to a file: those of earlier versions did not.
    pub notes_writes: bool,
    /// Size, time and identity of each file as it was, and of the part file in the end; `None` for one that was not there.
    pub stamps: Vec<Option<Stamp>>,
    /// Pieces that were verified and written.
    pub written: Vec<u8>,
    /// Those of them that were synced.
    pub synced: Vec<u8>,
    /// Pieces that were still to be hashed.
    pub unsure: Vec<u8>,
}

/// Why a record cannot be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum RecordError {
    /// Cut, changed or of another kind.
    #[error("it is damaged")]
    Damaged,
    /// From another version of the program.
    #[error("it is from a newer ttui (version {0} of its format)")]
    Newer(u32),
    /// Of another torrent, or of one that is cut otherwise.
    #[error("it belongs to another torrent")]
    Other,
}

impl Base {
    /// The most bytes that the base of this torrent can have.
    #[must_use]
    pub fn longest(layout: &Layout) -> u64 {
        let pieces = u64::from(layout.geometry().pieces());
        512 + 32 * (layout.files().len() as u64 + 1) + 3 * pieces.div_ceil(8)
    }

    /// The record as bytes.
    #[must_use]
    pub fn encode(&self, layout: &Layout) -> Vec<u8> {
        let mut out = Vec::with_capacity(Self::longest(layout) as usize);
        out.extend_from_slice(BASE_MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        for n in [self.chain, self.generation, self.keep_from] {
            out.extend_from_slice(&n.to_le_bytes());
        }
        out.extend_from_slice(&identity(layout));
        out.extend_from_slice(&[u8::from(self.durable), u8::from(self.clean)]);
        out.extend_from_slice(&self.device.to_le_bytes());
        put_boot(&mut out, &self.boot);
        for n in 0..=layout.files().len() {
            let absent = Stamp { size: ABSENT, changed: 0, id: 0, touched: 0 };
            let stamp = self.stamps.get(n).copied().flatten().unwrap_or(absent);
            out.extend_from_slice(&stamp.size.to_le_bytes());
            out.extend_from_slice(&stamp.changed.to_le_bytes());
            out.extend_from_slice(&stamp.id.to_le_bytes());
            out.extend_from_slice(&stamp.touched.to_le_bytes());
        }
        for bits in [&self.written, &self.synced, &self.unsure] {
            out.extend_from_slice(bits);
        }
        let sum = Sha1::digest(&out);
        out.extend_from_slice(&sum);
        out
    }

    /// The record that bytes are.
    ///
    /// # Errors
    /// When they are damaged, from a newer version, or of another torrent.
    pub fn decode(bytes: &[u8], layout: &Layout) -> Result<Base, RecordError> {
        let mut at = Reader { left: bytes };
        let version = at.header(BASE_MAGIC)?;
        let body = bytes.len().checked_sub(20).ok_or(RecordError::Damaged)?;
        let (body, sum) = bytes.split_at(body);
        if Sha1::digest(body).as_slice() != sum {
            return Err(RecordError::Damaged);
        }
        let (chain, generation, keep_from) = (at.u64()?, at.u64()?, at.u64()?);
        if at.take(IDENTITY)? != identity(layout) {
            return Err(RecordError::Other);
        }
        let flags = at.take(2)?;
        let (durable, clean) = (flags[0] == 1, flags[1] == 1);
        let device = at.u64()?;
        let boot = at.boot()?;
        let mut stamps = Vec::with_capacity(layout.files().len());
        for _ in 0..layout.files().len() + usize::from(version > WITHOUT_PART) {
            let (size, changed) = (at.u64()?, at.u64()? as i64);
            let id = if version > WITHOUT_TIMES { at.u64()? } else { 0 };
            let touched = if version > WITHOUT_TOUCHED { at.u64()? as i64 } else { 0 };
            stamps.push((size != ABSENT).then_some(Stamp { size, changed, id, touched }));
        }
        stamps.resize(layout.files().len() + 1, None);
        let bits = layout.geometry().pieces().div_ceil(8) as usize;
        let mut bitfield = || Ok::<_, RecordError>(at.take(bits)?.to_vec());
        let (written, synced, unsure) = (bitfield()?, bitfield()?, bitfield()?);
        Ok(Base {
            chain,
            generation,
            keep_from,
            durable,
            clean,
            device,
            boot,
            notes_writes: version > WITHOUT_TIMES,
            stamps,
            written,
            synced,
            unsure,
        })
    }
}

const IDENTITY: usize = 20 + 4 + 4 + 8 + 4;

/// What tells one torrent, and one way to cut it, from others.
fn identity(layout: &Layout) -> [u8; IDENTITY] {
    let g = layout.geometry();
    let mut out = [0; IDENTITY];
    out[..20].copy_from_slice(&layout.info_hash().0);
    out[20..24].copy_from_slice(&g.pieces().to_le_bytes());
    out[24..28].copy_from_slice(&g.piece_length().to_le_bytes());
    out[28..36].copy_from_slice(&g.total().to_le_bytes());
    out[36..].copy_from_slice(&(layout.files().len() as u32).to_le_bytes());
    out
}

fn put_boot(out: &mut Vec<u8>, boot: &str) {
    let boot = &boot.as_bytes()[..boot.len().min(BOOT)];
    out.push(boot.len() as u8);
    out.extend_from_slice(boot);
}

struct Reader<'a> {
    left: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8], RecordError> {
        let (head, rest) = self.left.split_at_checked(n).ok_or(RecordError::Damaged)?;
        self.left = rest;
        Ok(head)
    }

    fn u64(&mut self) -> Result<u64, RecordError> {
        Ok(u64::from_le_bytes(self.take(8)?.try_into().map_err(|_| RecordError::Damaged)?))
    }

    /// The version of the format.
    fn header(&mut self, magic: &[u8; 8]) -> Result<u32, RecordError> {
        if self.take(8)? != magic {
            return Err(RecordError::Damaged);
        }
        match u32::from_le_bytes(self.take(4)?.try_into().map_err(|_| RecordError::Damaged)?) {
            0 => Err(RecordError::Damaged),
            version if version <= VERSION => Ok(version),
            newer => Err(RecordError::Newer(newer)),
        }
    }

    fn boot(&mut self) -> Result<String, RecordError> {
        let length = usize::from(self.take(1)?[0]);
        String::from_utf8(self.take(length)?.to_vec()).map_err(|_| RecordError::Damaged)
    }
}

/// What became of a piece or a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Note {
    /// It was verified and is written.
    Written(u32),
    /// It was hashed and is not what it should be.
    Lost(u32),
    /// Files are being written to: says no more than when.
    Alive,
    /// This file was found changed by another program: none of its pieces is believed before it is hashed.
    Doubt(u32),
    /// This file is about to be written to, once or in a burst.
    Writing(u32),
    /// A write to this file, or a burst of them, is over, and left it with this modification time: nanoseconds since 1970.
    Left(u32, i64),
}

impl Note {
    const fn parts(self) -> (u32, u32, i64) {
        match self {
            Note::Written(piece) => (1, piece, 0),
            Note::Lost(piece) => (2, piece, 0),
            Note::Alive => (3, 0, 0),
            Note::Doubt(file) => (4, file, 0),
            Note::Writing(file) => (5, file, 0),
            Note::Left(file, time) => (6, file, time),
        }
    }

    const fn of(what: u32, n: u32, time: i64) -> Option<Note> {
        Some(match what {
            1 => Note::Written(n),
            2 => Note::Lost(n),
            3 => Note::Alive,
            4 => Note::Doubt(n),
            5 => Note::Writing(n),
            6 => Note::Left(n, time),
            _ => return None,
        })
    }
}

/// The first bytes of a journal, and what its entries are told from others' by.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JournalHead {
    /// The chain of its base.
    pub chain: u64,
    /// The generation of its base.
    pub generation: u64,
    /// Which start of the machine it was written in.
    pub boot: String,
}

impl JournalHead {
    /// The head as bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(128);
        out.extend_from_slice(JOURNAL_MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&self.chain.to_le_bytes());
        out.extend_from_slice(&self.generation.to_le_bytes());
        put_boot(&mut out, &self.boot);
        let sum = Sha1::digest(&out);
        out.extend_from_slice(&sum[..8]);
        out
    }

    /// An entry as bytes.
    #[must_use]
    pub fn entry(&self, note: Note) -> [u8; ENTRY] {
        let (what, n, time) = note.parts();
        let mut out = [0; ENTRY];
        out[..4].copy_from_slice(&what.to_le_bytes());
        out[4..8].copy_from_slice(&n.to_le_bytes());
        out[8..16].copy_from_slice(&time.to_le_bytes());
        let sum = self.checksum(&out[..ENTRY - CHECKSUM]);
        out[ENTRY - CHECKSUM..].copy_from_slice(&sum);
        out
    }

    fn checksum(&self, entry: &[u8]) -> [u8; CHECKSUM] {
        let sum = Sha1::new_with_prefix(entry)
            .chain_update(self.chain.to_le_bytes())
            .chain_update(self.generation.to_le_bytes())
            .finalize();
        std::array::from_fn(|n| sum[n])
    }

    /// The head and the entries that bytes are, up to the first that is torn or damaged.
    ///
    /// # Errors
    /// When the head itself cannot be read.
    pub fn decode(bytes: &[u8]) -> Result<(JournalHead, Vec<Note>), RecordError> {
        let mut at = Reader { left: bytes };
        let version = at.header(JOURNAL_MAGIC)?;
        let head = JournalHead { chain: at.u64()?, generation: at.u64()?, boot: at.boot()? };
        let length = bytes.len() - at.left.len();
        if Sha1::digest(&bytes[..length])[..8] != *at.take(8)? {
            return Err(RecordError::Damaged);
        }
        let size = if version > WITHOUT_TIMES { ENTRY } else { 16 };
        let mut notes = Vec::with_capacity(at.left.len() / size);
        for entry in at.left.chunks_exact(size) {
            let (fields, sum) = entry.split_at(size - CHECKSUM);
            let number = |part: &[u8]| part.iter().rev().fold(0, |n, b| n << 8 | u64::from(*b));
            let (what, n, time) = (number(&fields[..4]), number(&fields[4..8]), number(&fields[8..]));
            match Note::of(what as u32, n as u32, time as i64) {
                Some(note) if head.checksum(fields) == sum => notes.push(note),
                _ => break,
            }
        }
        Ok((head, notes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::layout::tests::layout;

    fn base(layout: &Layout) -> Base {
        let bits = vec![0xa0; layout.geometry().pieces().div_ceil(8) as usize];
        Base {
            chain: 7,
            generation: 3,
            keep_from: 2,
            durable: true,
            clean: false,
            device: 9,
            boot: "a-boot".into(),
            notes_writes: true,
            stamps: vec![
                Some(Stamp { size: 5, changed: -3, id: 8, touched: 6 }),
                None,
                Some(Stamp { size: 9, changed: 4, id: 7, touched: 0 }),
            ],
            written: bits.clone(),
            synced: bits.clone(),
            unsure: bits,
        }
    }

    #[test]
    fn a_base_comes_back_whole_or_not_at_all() {
        let l = layout(4, &[(Some("a"), 5), (Some("b"), 6)]);
        let bytes = base(&l).encode(&l);
        assert!(bytes.len() as u64 <= Base::longest(&l));
        assert_eq!(Base::decode(&bytes, &l), Ok(base(&l)));
        for n in 0..bytes.len() {
            assert!(Base::decode(&bytes[..n], &l).is_err(), "cut at {n}");
            for bit in 0..8 {
                let mut bad = bytes.clone();
                bad[n] ^= 1 << bit;
                assert!(Base::decode(&bad, &l).is_err(), "bit {bit} of byte {n}");
            }
        }
        let other = layout(5, &[(Some("a"), 5), (Some("b"), 6)]);
        assert_eq!(Base::decode(&bytes, &other), Err(RecordError::Other));
        let mut newer = bytes;
        newer[8] = 5;
        assert_eq!(Base::decode(&newer, &l), Err(RecordError::Newer(5)));
    }

    #[test]
    fn what_the_first_version_wrote_is_read() {
        let l = layout(4, &[(Some("a"), 5), (Some("b"), 6)]);
        let mut old = base(&l).encode(&l);
        old.truncate(old.len() - 20);
        old[8] = 1;
        let stamps = old.len() - 3 - 3 * 32;
        // The part file goes, and of both files the identities and when they were touched.
        old.drain(stamps + 64..stamps + 96);
        old.drain(stamps + 48..stamps + 64);
        old.drain(stamps + 16..stamps + 32);
        old.extend_from_slice(&Sha1::digest(&old));
        let stamps = vec![Some(Stamp { size: 5, changed: -3, id: 0, touched: 0 }), None, None];
        assert_eq!(Base::decode(&old, &l), Ok(Base { stamps, notes_writes: false, ..base(&l) }));
        let head = JournalHead { chain: 1, generation: 2, boot: "b".into() };
        let mut old = head.encode();
        old.truncate(old.len() - 8);
        old[8] = 1;
        old.extend_from_slice(&Sha1::digest(&old)[..8]);
        for (what, n) in [(1_u32, 5_u32), (3, 0), (2, 70_000)] {
            let entry = [what.to_le_bytes(), n.to_le_bytes()].concat();
            old.extend_from_slice(&entry);
            old.extend_from_slice(&head.checksum(&entry));
        }
        old.extend_from_slice(&[1, 0, 0]);
        let notes = vec![Note::Written(5), Note::Alive, Note::Lost(70_000)];
        assert_eq!(JournalHead::decode(&old), Ok((head, notes)));
    }

    #[test]
    fn a_journal_is_read_up_to_its_torn_end() {
        let head = JournalHead { chain: 1, generation: 2, boot: "b".into() };
        let notes = [
            Note::Written(5),
            Note::Alive,
            Note::Lost(70_000),
            Note::Doubt(3),
            Note::Writing(0),
            Note::Left(0, -7),
            Note::Left(u32::MAX, i64::MAX),
            Note::Written(u32::MAX),
        ];
        let mut bytes = head.encode();
        let start = bytes.len();
        notes.iter().for_each(|n| bytes.extend_from_slice(&head.entry(*n)));
        for n in 0..=bytes.len() {
            match JournalHead::decode(&bytes[..n]) {
                Ok((h, got)) => assert!(h == head && got == notes[..(n - start) / ENTRY], "cut at {n}"),
                Err(error) => assert!(n < start && error == RecordError::Damaged, "cut at {n}"),
            }
        }
        bytes.extend_from_slice(&[0; 64]);
        assert_eq!(JournalHead::decode(&bytes).unwrap().1, notes, "zeros after a power cut");
        let stranger = JournalHead { generation: 3, ..head.clone() };
        bytes.truncate(start);
        bytes.extend_from_slice(&stranger.entry(Note::Written(1)));
        assert_eq!(JournalHead::decode(&bytes).unwrap().1, [], "an entry of another generation");
    }
}
