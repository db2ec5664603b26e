//! The record of a torrent's files in a download folder, as bytes: which paths they are, and whose.
//!
//! ```text
//! magic, version, clean, info-hash, then name, folder and root as texts with their length, pairs of files whose names
//! differ in case alone, and for each file: hash of its path, hash of its path without regard to case, whose it is;
//! SHA-1 of all that
//! ```
//! Numbers are little-endian.

use sha1::{Digest, Sha1};

use crate::wire::message::InfoHash;

const MAGIC: &[u8; 8] = b"TTUIOWNR";
const VERSION: u32 = 1;
/// Bytes from the beginning of a record that hold all but the pairs and the files, whatever the names.
pub(super) const HEAD: u64 = 64 * 1024;
/// The longest text of a head, in bytes.
const TEXT: usize = 16 * 1024;
/// Bytes of a file.
const FILE: usize = 17;

/// Whose the file at a path of a torrent is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Whose {
    /// It is not there: the torrent will make it.
    Absent = 0,
    /// The torrent made it, or the user let it be overwritten.
    Made = 1,
    /// It was there before the torrent, and bytes of it are the torrent's, or it has none but zeros. It is written to, and
    /// never deleted.
    Found = 2,
    /// It was there before the torrent, and nothing tells yet whether it is the torrent's. Only zeros in it are written
    /// over.
    Unproven = 3,
    /// It was there before the torrent, and nothing in it is the torrent's. It is not written to.
    Foreign = 4,
    /// Another torrent owns it. It is read, and not written to.
    Shared = 5,
    /// Another torrent has taken the path since.
    Lost = 6,
}

impl Whose {
    pub(in crate::disk) const fn of(byte: u8) -> Option<Whose> {
        Some(match byte {
            0 => Whose::Absent,
            1 => Whose::Made,
            2 => Whose::Found,
            3 => Whose::Unproven,
            4 => Whose::Foreign,
            5 => Whose::Shared,
            6 => Whose::Lost,
            _ => return None,
        })
    }

    /// Whether the path belongs to the torrent, so that no other may have it.
    pub(in crate::disk) const fn owns(self) -> bool {
        matches!(self, Whose::Absent | Whose::Made | Whose::Found)
    }
}

/// What a record says before its files.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::disk) struct Head {
    /// Whether it was written when the torrent was closed.
    pub clean: bool,
    pub torrent: InfoHash,
    /// The torrent's name.
    pub name: String,
    /// The download folder as the user named it.
    pub dir: Vec<u8>,
    /// The path that all its files are, or are below: links resolved, case folded.
    pub root: String,
}

/// A path of a torrent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::disk) struct Path {
    pub exact: u64,
    /// The same for all paths that differ in case or Unicode form alone.
    pub folded: u64,
    pub whose: Whose,
}

/// A record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::disk) struct Entry {
    pub head: Head,
    /// Pairs of files of the torrent whose paths differ in case or Unicode form alone, the first of each before the second.
    pub twins: Vec<(u32, u32)>,
    pub paths: Vec<Path>,
}

/// The first eight bytes of the SHA-1 of some bytes.
pub(in crate::disk) fn digest(bytes: &[u8]) -> u64 {
    Sha1::digest(bytes)[..8].iter().fold(0, |n, byte| n << 8 | u64::from(*byte))
}

impl Entry {
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

    /// The record that bytes are; `None` where they are damaged or of another version.
    pub(in crate::disk) fn decode(bytes: &[u8]) -> Option<Entry> {
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
        let path =
            |at: &mut Reader<'_>| Some(Path { exact: at.u64()?, folded: at.u64()?, whose: Whose::of(at.take(1)?[0])? });
        let paths = (0..paths).map(|_| path(&mut at)).collect::<Option<_>>()?;
        Some(Entry { head, twins, paths })
    }
}

impl Head {
    /// The head of the record that begins with these bytes.
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
        let path = |n: u8| Path { exact: u64::from(n), folded: u64::MAX, whose: Whose::of(n).unwrap() };
        let entry = Entry { head, twins: vec![(0, 6), (2, 3)], paths: (0..7).map(path).collect() };
        let bytes = entry.encode();
        assert_eq!(Entry::decode(&bytes).as_ref(), Some(&entry));
        assert_eq!(Head::decode(&bytes[..80]).as_ref(), Some(&entry.head));
        for n in 0..bytes.len() {
            assert_eq!(Entry::decode(&bytes[..n]), None, "cut at {n}");
            let mut bad = bytes.clone();
            bad[n] ^= 0x11;
            assert_eq!(Entry::decode(&bad), None, "byte {n}");
        }
        assert_eq!(Whose::of(7), None);
    }
}
