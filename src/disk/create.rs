//! Writing `.torrent` files of our own: the pieces are hashed by us, lava_torrent puts the file together.

use std::path::PathBuf;

use lava_torrent::LavaTorrentError;
use lava_torrent::torrent::v1::{File, Torrent};
use sha1::{Digest, Sha1};

/// Hashes bytes that come in any portions as the pieces of a torrent.
pub struct PieceHasher {
    piece_length: u32,
    filled: u32,
    hash: Sha1,
    hashes: Vec<Vec<u8>>,
}

impl PieceHasher {
    /// A hasher for pieces of this many bytes (at least 1).
    #[must_use]
    pub fn new(piece_length: u32) -> Self {
        PieceHasher { piece_length: piece_length.max(1), filled: 0, hash: Sha1::new(), hashes: Vec::new() }
    }

    /// Takes in the next bytes of the torrent.
    pub fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = (self.piece_length - self.filled) as usize;
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.hash.update(now);
            self.filled += now.len() as u32;
            if self.filled == self.piece_length {
                self.end_piece();
            }
            bytes = later;
        }
    }

    fn end_piece(&mut self) {
        self.hashes.push(self.hash.finalize_reset().to_vec());
        self.filled = 0;
    }

    /// The hashes of all pieces, the last one of what was left.
    #[must_use]
    pub fn finish(mut self) -> Vec<Vec<u8>> {
        if self.filled > 0 {
            self.end_piece();
        }
        self.hashes
    }
}

/// What a `.torrent` of a folder is made of.
#[derive(Clone, Debug)]
pub struct Folder {
    /// The folder's name.
    pub name: String,
    /// Its files in the order in which they were hashed: path below the folder, bytes.
    pub files: Vec<(PathBuf, u64)>,
    /// Bytes of a piece.
    pub piece_length: u32,
    /// The SHA-1 of each piece, as [`PieceHasher::finish`] gives them.
    pub hashes: Vec<Vec<u8>>,
    /// The tracker's URL.
    pub tracker: Option<String>,
}

impl Folder {
    /// The bytes of its `.torrent`.
    ///
    /// # Errors
    /// When a path is not UTF-8 or a length does not fit: lava_torrent's word.
    pub fn encode(self) -> Result<Vec<u8>, LavaTorrentError> {
        let length = self.files.iter().map(|(_, n)| *n).sum::<u64>();
        let file = |(path, length): (PathBuf, u64)| File { length: integer(length), path, extra_fields: None };
        Torrent {
            announce: self.tracker,
            announce_list: None,
            length: integer(length),
            files: Some(self.files.into_iter().map(file).collect()),
            name: self.name,
            piece_length: i64::from(self.piece_length),
            pieces: self.hashes,
            extra_fields: None,
            extra_info_fields: None,
        }
        .encode()
    }
}

fn integer(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::metainfo::Metainfo;

    #[test]
    fn what_is_written_can_be_read_and_its_hashes_are_right() {
        let mut hasher = PieceHasher::new(100);
        let data: Vec<u8> = (0..250u8).collect();
        data.chunks(33).for_each(|portion| hasher.update(portion));
        let folder = Folder {
            name: "folder".into(),
            files: vec![("a".into(), 130), ("b/c".into(), 120)],
            piece_length: 100,
            hashes: hasher.finish(),
            tracker: Some("http://127.0.0.1:6969/announce".into()),
        };
        let meta = Metainfo::parse(&folder.encode().unwrap()).unwrap();
        assert_eq!((meta.total, meta.files.len(), meta.hashes.len()), (250, 2, 3));
        for (piece, hash) in data.chunks(100).zip(&meta.hashes) {
            assert_eq!(Sha1::digest(piece)[..], hash[..]);
        }
    }
}
