//! File format of ownership records: the paths of a torrent in a download folder, with their owners.
//!
//! ```text
//! magic, version, clean, info-hash, then name, folder and root as strings with their length, number of twins, number
//! of files, twins (pairs of files whose paths differ only in case), and for each file: hash of its path, hash of its
//! case-folded path, owner; SHA-1 of all that
//! ```
//! Integers are little-endian.

use sha1::{Digest, Sha1};

use crate::wire::message::InfoHash;

const MAGIC: &[u8; 8] = b"TTUIOWNR";
const VERSION: u32 = 1;
/// Number of bytes from the start of a record that are sure to contain its head.
pub(in crate::disk) const HEAD: u64 = 64 * 1024;
/// Maximum length of a string in the head, in bytes.
const TEXT: usize = 16 * 1024;
/// Length of a file entry, in bytes.
const FILE: usize = 17;

/// Who owns the file at a path of a torrent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum FileOwner {
    /// The file does not exist: the torrent will create it.
    Absent = 0,
    /// The torrent created the file, or the user allowed it to be overwritten.
    Created = 1,
    /// An existing file that contains data of the torrent, or only zeros. Written to, but never deleted.
    Existing = 2,
    /// An existing file of which it is not known yet whether it contains data of the torrent.
    ///
    /// Only zeros in it are overwritten.
    Undecided = 3,
    /// An existing file without data of the torrent. Not written to.
    Foreign = 4,
    /// A file that belongs to another torrent. Read, but not written to.
    OtherTorrent = 5,
    /// A file whose path was taken over by another torrent. Not written to.
    TakenOver = 6,
}

impl FileOwner {
    pub(in crate::disk) const fn of(byte: u8) -> Option<FileOwner> {
        Some(match byte {
            0 => FileOwner::Absent,
            1 => FileOwner::Created,
            2 => FileOwner::Existing,
            3 => FileOwner::Undecided,
            4 => FileOwner::Foreign,
            5 => FileOwner::OtherTorrent,
            6 => FileOwner::TakenOver,
            _ => return None,
        })
    }

    /// Returns whether the path belongs to the torrent, so that no other torrent may use it.
    pub(in crate::disk) const fn owns(self) -> bool {
        matches!(self, FileOwner::Absent | FileOwner::Created | FileOwner::Existing)
    }
}

/// The part of an ownership record before its files.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::disk) struct Head {
    /// Whether the record was saved when the torrent was closed.
    pub clean: bool,
    pub torrent: InfoHash,
    pub name: String,
    /// The download folder as given by the user.
    pub dir: Vec<u8>,
    /// Root of all files: their only top-level path or the download folder; canonical and case-folded.
    pub root: String,
}

/// A path of a torrent, as hashes, and its owner.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::disk) struct OwnedPath {
    pub exact: u64,
    /// Equal for paths that differ only in case or Unicode normalization.
    pub folded: u64,
    pub whose: FileOwner,
}

/// The ownership record of a torrent in a download folder.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::disk) struct OwnershipRecord {
    pub head: Head,
    /// Pairs of file indices, lower first, whose paths differ only in case or Unicode normalization.
    pub twins: Vec<(u32, u32)>,
    pub paths: Vec<OwnedPath>,
}

/// Returns the first eight bytes of the SHA-1 of `bytes`, big-endian.
pub(in crate::disk) fn digest(bytes: &[u8]) -> u64 {
    Sha1::digest(bytes)[..8].iter().fold(0, |n, byte| n << 8 | u64::from(*byte))
}

impl OwnershipRecord {
    pub(in crate::disk) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(256 + self.paths.len() * FILE);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.push(u8::from(self.head.clean));
        out.extend_from_slice(&self.head.torrent.0);
        for text in [self.head.name.as_bytes(), &self.head.dir, self.head.root.as_bytes()] {
            let text = &text[..text.len().min(TEXT)];
            out.extend_from_slice(&(text.len() as u32).to_le_bytes());
            out.extend_from_slice(text);
        }
        out.extend_from_slice(&(self.twins.len() as u32).to_le_bytes());
        out.extend_from_slice(&(self.paths.len() as u32).to_le_bytes());
        for (a, b) in &self.twins {
            out.extend_from_slice(&a.to_le_bytes());
            out.extend_from_slice(&b.to_le_bytes());
        }
        for path in &self.paths {
            out.extend_from_slice(&path.exact.to_le_bytes());
            out.extend_from_slice(&path.folded.to_le_bytes());
            out.push(path.whose as u8);
        }
        let sum = Sha1::digest(&out);
        out.extend_from_slice(&sum);
        out
    }

    /// Parses a record; `None` if it is damaged or of another version.
    pub(in crate::disk) fn decode(bytes: &[u8]) -> Option<OwnershipRecord> {
        let (body, sum) = bytes.split_at_checked(bytes.len().checked_sub(20)?)?;
        if Sha1::digest(body).as_slice() != sum {
            return None;
        }
        let mut at = Reader { left: body };
        let head = at.head()?;
        let (twins, paths) = (at.u32()? as usize, at.u32()? as usize);
        if at.left.len() != twins.checked_mul(8)?.checked_add(paths.checked_mul(FILE)?)? {
            return None;
        }
        let twins = (0..twins).map(|_| Some((at.u32()?, at.u32()?))).collect::<Option<_>>()?;
        let path = |at: &mut Reader<'_>| {
            Some(OwnedPath { exact: at.u64()?, folded: at.u64()?, whose: FileOwner::of(at.take(1)?[0])? })
        };
        let paths = (0..paths).map(|_| path(&mut at)).collect::<Option<_>>()?;
        Some(OwnershipRecord { head, twins, paths })
    }
}

impl Head {
    /// Parses the head of a record from its first bytes.
    pub(in crate::disk) fn decode(bytes: &[u8]) -> Option<Head> {
        Reader { left: bytes }.head()
    }
}

struct Reader<'a> {
    left: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.left.split_at_checked(n)?;
        self.left = rest;
        Some(head)
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    fn u64(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.take(8)?.try_into().ok()?))
    }

    fn text(&mut self) -> Option<&'a [u8]> {
        let length = self.u32()? as usize;
        self.take(length)
    }

    fn head(&mut self) -> Option<Head> {
        if self.take(8)? != MAGIC || self.u32()? != VERSION {
            return None;
        }
        let clean = self.take(1)?[0] == 1;
        let torrent = InfoHash(self.take(20)?.try_into().ok()?);
        let mut text = || Some(self.text()?.to_vec());
        let (name, dir, root) = (text()?, text()?, text()?);
        let string = |text| String::from_utf8(text).ok();
        Some(Head { clean, torrent, name: string(name)?, dir, root: string(root)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_comes_back_whole_or_not_at_all() {
        let head = Head {
            clean: true,
            torrent: InfoHash([7; 20]),
            name: "caf\u{e9}".into(),
            dir: b"/d\xff".to_vec(),
            root: "/d/caf\u{e9}".into(),
        };
        let path = |n: u8| OwnedPath { exact: u64::from(n), folded: u64::MAX, whose: FileOwner::of(n).unwrap() };
        let entry = OwnershipRecord { head, twins: vec![(0, 6), (2, 3)], paths: (0..7).map(path).collect() };
        let bytes = entry.encode();
        assert_eq!(OwnershipRecord::decode(&bytes).as_ref(), Some(&entry));
        assert_eq!(Head::decode(&bytes[..80]).as_ref(), Some(&entry.head));
        for n in 0..bytes.len() {
            assert_eq!(OwnershipRecord::decode(&bytes[..n]), None, "cut at {n}");
            let mut bad = bytes.clone();
            bad[n] ^= 0x11;
            assert_eq!(OwnershipRecord::decode(&bad), None, "byte {n}");
        }
        assert_eq!(FileOwner::of(7), None);
    }
}
