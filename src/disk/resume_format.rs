//! File format of resume data: a base (snapshot) and journals (append-only logs of changes since).
//!
//! ```text
//! base     magic, version, chain, generation, keep_from, info-hash, pieces, piece length, total, durable, clean,
//!          device, boot, a stamp (size, time, identity, when touched) for each file and the part file, bitfields written, synced,
//!          unverified, SHA-1 of all that
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

use crate::disk::file_stamp::FileStamp;
use crate::disk::layout::Layout;

const BASE_MAGIC: &[u8; 8] = b"TTUIBASE";
const JOURNAL_MAGIC: &[u8; 8] = b"TTUIJRNL";
const VERSION: u32 = 4;
/// The version before there was a part file.
const WITHOUT_PART: u32 = 1;
/// The last version without file identities in stamps and without mtimes in journal entries.
const WITHOUT_TIMES: u32 = 2;
/// The last version whose stamps do not say when files were touched.
const WITHOUT_TOUCHED: u32 = 3;
/// The size that stands for a file that is not there.
const ABSENT: u64 = u64::MAX;
/// Maximum length of a boot id, in bytes.
const BOOT: usize = 64;
/// Length of a journal entry, in bytes.
pub const ENTRY: usize = 24;
/// Length of the checksum at the end of a journal entry, in bytes.
const CHECKSUM: usize = 8;

/// The resume data of a torrent in one download folder: the content of a base.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ResumeData {
    /// A random number that ties journals to their base.
    pub chain: u64,
    /// Number of this base within its chain, ascending.
    pub generation: u64,
    /// Journals of generations before this one are obsolete.
    pub keep_from: u64,
    /// Whether the file was fsynced before it was renamed to its final name.
    pub durable: bool,
    /// Whether the torrent was closed cleanly: no file was written to afterwards.
    pub clean: bool,
    /// The device number of the download folder; 0 if unknown.
    pub device: u64,
    /// The boot id of the system when this was written; empty if unknown.
    pub boot: String,
    /// Whether the journals record every write to a file, as they do since version 3.
    pub notes_writes: bool,
    /// Size, mtime and identity of each file, and of the part file at the end; `None` for a missing file.
    pub stamps: Vec<Option<FileStamp>>,
    /// Pieces that were verified and written, as a BEP 3 bitfield.
    pub written: Vec<u8>,
    /// The written pieces that were fsynced.
    pub synced: Vec<u8>,
    /// Pieces that still have to be hashed.
    pub unverified: Vec<u8>,
}

/// Why resume data cannot be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum ResumeDataError {
    /// Truncated, corrupt, or not resume data.
    #[error("it is damaged")]
    Damaged,
    /// Written by a newer version of the program.
    #[error("it is from a newer ttui (version {0} of its format)")]
    Newer(u32),
    /// Of another torrent, or of other piece lengths or files.
    #[error("it belongs to another torrent")]
    Other,
}

impl ResumeData {
    /// Returns the maximum encoded length of the resume data of this torrent, in bytes.
    #[must_use]
    pub fn longest(layout: &Layout) -> u64 {
        let pieces = u64::from(layout.geometry().pieces());
        512 + 32 * (layout.files().len() as u64 + 1) + 3 * pieces.div_ceil(8)
    }

    /// Serializes the resume data.
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
            let absent = FileStamp { size: ABSENT, changed: 0, id: 0, touched: 0 };
            let stamp = self.stamps.get(n).copied().flatten().unwrap_or(absent);
            out.extend_from_slice(&stamp.size.to_le_bytes());
            out.extend_from_slice(&stamp.changed.to_le_bytes());
            out.extend_from_slice(&stamp.id.to_le_bytes());
            out.extend_from_slice(&stamp.touched.to_le_bytes());
        }
        for bits in [&self.written, &self.synced, &self.unverified] {
            out.extend_from_slice(bits);
        }
        let sum = Sha1::digest(&out);
        out.extend_from_slice(&sum);
        out
    }

    /// Parses the resume data of the torrent `layout`.
    ///
    /// # Errors
    /// If the data are damaged, of a newer version, or of another torrent.
    pub fn decode(bytes: &[u8], layout: &Layout) -> Result<ResumeData, ResumeDataError> {
        let mut at = Reader { left: bytes };
        let version = at.header(BASE_MAGIC)?;
        let body = bytes.len().checked_sub(20).ok_or(ResumeDataError::Damaged)?;
        let (body, sum) = bytes.split_at(body);
        if Sha1::digest(body).as_slice() != sum {
            return Err(ResumeDataError::Damaged);
        }
        let (chain, generation, keep_from) = (at.u64()?, at.u64()?, at.u64()?);
        if at.take(IDENTITY)? != identity(layout) {
            return Err(ResumeDataError::Other);
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
            stamps.push((size != ABSENT).then_some(FileStamp { size, changed, id, touched }));
        }
        stamps.resize(layout.files().len() + 1, None);
        let bits = layout.geometry().pieces().div_ceil(8) as usize;
        let mut bitfield = || Ok::<_, ResumeDataError>(at.take(bits)?.to_vec());
        let (written, synced, unsure) = (bitfield()?, bitfield()?, bitfield()?);
        Ok(ResumeData {
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
            unverified: unsure,
        })
    }
}

const IDENTITY: usize = 20 + 4 + 4 + 8 + 4;

/// Returns the bytes that identify a torrent and its division into pieces and files.
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
    fn take(&mut self, n: usize) -> Result<&'a [u8], ResumeDataError> {
        let (head, rest) = self.left.split_at_checked(n).ok_or(ResumeDataError::Damaged)?;
        self.left = rest;
        Ok(head)
    }

    fn u64(&mut self) -> Result<u64, ResumeDataError> {
        Ok(u64::from_le_bytes(self.take(8)?.try_into().map_err(|_| ResumeDataError::Damaged)?))
    }

    /// Reads magic and version; returns the version.
    fn header(&mut self, magic: &[u8; 8]) -> Result<u32, ResumeDataError> {
        if self.take(8)? != magic {
            return Err(ResumeDataError::Damaged);
        }
        match u32::from_le_bytes(self.take(4)?.try_into().map_err(|_| ResumeDataError::Damaged)?) {
            0 => Err(ResumeDataError::Damaged),
            version if version <= VERSION => Ok(version),
            newer => Err(ResumeDataError::Newer(newer)),
        }
    }

    fn boot(&mut self) -> Result<String, ResumeDataError> {
        let length = usize::from(self.take(1)?[0]);
        String::from_utf8(self.take(length)?.to_vec()).map_err(|_| ResumeDataError::Damaged)
    }
}

/// A change recorded in the journal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum JournalEntry {
    /// The piece was verified and written.
    PieceWritten(u32),
    /// The piece failed a hash check.
    PieceInvalid(u32),
    /// Heartbeat while files are written to; carries no data, only the journal's mtime matters.
    Heartbeat,
    /// The file was found changed by another program: none of its pieces is trusted before it is hashed.
    FileChanged(u32),
    /// A write to the file, or a burst of writes, is about to start.
    WriteStarted(u32),
    /// A write to the file, or a burst of writes, has ended and left this mtime, in nanoseconds since 1970.
    WriteEnded(u32, i64),
}

impl JournalEntry {
    const fn parts(self) -> (u32, u32, i64) {
        match self {
            JournalEntry::PieceWritten(piece) => (1, piece, 0),
            JournalEntry::PieceInvalid(piece) => (2, piece, 0),
            JournalEntry::Heartbeat => (3, 0, 0),
            JournalEntry::FileChanged(file) => (4, file, 0),
            JournalEntry::WriteStarted(file) => (5, file, 0),
            JournalEntry::WriteEnded(file, time) => (6, file, time),
        }
    }

    const fn of(what: u32, n: u32, time: i64) -> Option<JournalEntry> {
        Some(match what {
            1 => JournalEntry::PieceWritten(n),
            2 => JournalEntry::PieceInvalid(n),
            3 => JournalEntry::Heartbeat,
            4 => JournalEntry::FileChanged(n),
            5 => JournalEntry::WriteStarted(n),
            6 => JournalEntry::WriteEnded(n, time),
            _ => return None,
        })
    }
}

/// The header of a journal; its entries are checksummed together with chain and generation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JournalHeader {
    pub chain: u64,
    pub generation: u64,
    /// The boot id of the system when the journal was started.
    pub boot: String,
}

impl JournalHeader {
    /// Serializes the header.
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

    /// Serializes an entry.
    #[must_use]
    pub fn entry(&self, note: JournalEntry) -> [u8; ENTRY] {
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

    /// Parses a journal: the header, and the entries up to the first torn or damaged one.
    ///
    /// # Errors
    /// If the header cannot be read.
    pub fn decode(bytes: &[u8]) -> Result<(JournalHeader, Vec<JournalEntry>), ResumeDataError> {
        let mut at = Reader { left: bytes };
        let version = at.header(JOURNAL_MAGIC)?;
        let head = JournalHeader { chain: at.u64()?, generation: at.u64()?, boot: at.boot()? };
        let length = bytes.len() - at.left.len();
        if Sha1::digest(&bytes[..length])[..8] != *at.take(8)? {
            return Err(ResumeDataError::Damaged);
        }
        let size = if version > WITHOUT_TIMES { ENTRY } else { 16 };
        let mut notes = Vec::with_capacity(at.left.len() / size);
        for entry in at.left.chunks_exact(size) {
            let (fields, sum) = entry.split_at(size - CHECKSUM);
            let number = |part: &[u8]| part.iter().rev().fold(0, |n, b| n << 8 | u64::from(*b));
            let (what, n, time) = (number(&fields[..4]), number(&fields[4..8]), number(&fields[8..]));
            match JournalEntry::of(what as u32, n as u32, time as i64) {
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

    fn base(layout: &Layout) -> ResumeData {
        let bits = vec![0xa0; layout.geometry().pieces().div_ceil(8) as usize];
        ResumeData {
            chain: 7,
            generation: 3,
            keep_from: 2,
            durable: true,
            clean: false,
            device: 9,
            boot: "a-boot".into(),
            notes_writes: true,
            stamps: vec![
                Some(FileStamp { size: 5, changed: -3, id: 8, touched: 6 }),
                None,
                Some(FileStamp { size: 9, changed: 4, id: 7, touched: 0 }),
            ],
            written: bits.clone(),
            synced: bits.clone(),
            unverified: bits,
        }
    }

    #[test]
    fn a_base_comes_back_whole_or_not_at_all() {
        let l = layout(4, &[(Some("a"), 5), (Some("b"), 6)]);
        let bytes = base(&l).encode(&l);
        assert!(bytes.len() as u64 <= ResumeData::longest(&l));
        assert_eq!(ResumeData::decode(&bytes, &l), Ok(base(&l)));
        for n in 0..bytes.len() {
            assert!(ResumeData::decode(&bytes[..n], &l).is_err(), "cut at {n}");
            for bit in 0..8 {
                let mut bad = bytes.clone();
                bad[n] ^= 1 << bit;
                assert!(ResumeData::decode(&bad, &l).is_err(), "bit {bit} of byte {n}");
            }
        }
        let other = layout(5, &[(Some("a"), 5), (Some("b"), 6)]);
        assert_eq!(ResumeData::decode(&bytes, &other), Err(ResumeDataError::Other));
        let mut newer = bytes;
        newer[8] = 5;
        assert_eq!(ResumeData::decode(&newer, &l), Err(ResumeDataError::Newer(5)));
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
        let stamps = vec![Some(FileStamp { size: 5, changed: -3, id: 0, touched: 0 }), None, None];
        assert_eq!(ResumeData::decode(&old, &l), Ok(ResumeData { stamps, notes_writes: false, ..base(&l) }));
        let head = JournalHeader { chain: 1, generation: 2, boot: "b".into() };
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
        let notes = vec![JournalEntry::PieceWritten(5), JournalEntry::Heartbeat, JournalEntry::PieceInvalid(70_000)];
        assert_eq!(JournalHeader::decode(&old), Ok((head, notes)));
    }

    #[test]
    fn a_journal_is_read_up_to_its_torn_end() {
        let head = JournalHeader { chain: 1, generation: 2, boot: "b".into() };
        let notes = [
            JournalEntry::PieceWritten(5),
            JournalEntry::Heartbeat,
            JournalEntry::PieceInvalid(70_000),
            JournalEntry::FileChanged(3),
            JournalEntry::WriteStarted(0),
            JournalEntry::WriteEnded(0, -7),
            JournalEntry::WriteEnded(u32::MAX, i64::MAX),
            JournalEntry::PieceWritten(u32::MAX),
        ];
        let mut bytes = head.encode();
        let start = bytes.len();
        notes.iter().for_each(|n| bytes.extend_from_slice(&head.entry(*n)));
        for n in 0..=bytes.len() {
            match JournalHeader::decode(&bytes[..n]) {
                Ok((h, got)) => assert!(h == head && got == notes[..(n - start) / ENTRY], "cut at {n}"),
                Err(error) => assert!(n < start && error == ResumeDataError::Damaged, "cut at {n}"),
            }
        }
        bytes.extend_from_slice(&[0; 64]);
        assert_eq!(JournalHeader::decode(&bytes).unwrap().1, notes, "zeros after a power cut");
        let stranger = JournalHeader { generation: 3, ..head.clone() };
        bytes.truncate(start);
        bytes.extend_from_slice(&stranger.entry(JournalEntry::PieceWritten(1)));
        assert_eq!(JournalHeader::decode(&bytes).unwrap().1, [], "an entry of another generation");
    }
}
