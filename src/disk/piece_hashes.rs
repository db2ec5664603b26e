//! The hashes of the pieces of a torrent: in memory, or only in a `.torrent` file that was kept.

use std::path::{Path, PathBuf};
use std::sync::{OnceLock, PoisonError, RwLock};

use bytes::Bytes;

use crate::disk::error::transient;
use crate::disk::torrent_file::read_torrent;
use crate::swarm::job::DiskFault;
use crate::wire::message::{InfoHash, PieceIndex};
use crate::wire::metainfo::Metainfo;

/// The SHA-1 hashes of the pieces of a torrent.
///
/// They are in memory until [`PieceHashes::release`], which needs a kept `.torrent` file to load them from again.
#[derive(Debug)]
pub(super) struct PieceHashes {
    torrent: InfoHash,
    pieces: usize,
    kept: OnceLock<PathBuf>,
    /// `None` while they are only in the file.
    hashes: RwLock<Option<Vec<[u8; 20]>>>,
}

impl PieceHashes {
    pub(super) fn new(torrent: InfoHash, hashes: Vec<[u8; 20]>) -> Self {
        let pieces = hashes.len();
        PieceHashes { torrent, pieces, kept: OnceLock::new(), hashes: RwLock::new(Some(hashes)) }
    }

    /// Names the `.torrent` file that has the hashes, too.
    pub(super) fn set_kept(&self, path: &Path) {
        let _ = self.kept.set(path.to_path_buf());
    }

    pub(super) fn is_kept(&self) -> bool {
        self.kept.get().is_some()
    }

    /// Returns the hash of a piece; `None` if there is no such piece, or the hashes are not in memory.
    pub(super) fn get(&self, piece: PieceIndex) -> Option<[u8; 20]> {
        let hashes = self.hashes.read().unwrap_or_else(PoisonError::into_inner);
        hashes.as_ref()?.get(piece.as_usize()).copied()
    }

    /// Loads the hashes unless they are in memory. Blocks on disk.
    pub(super) fn load(&self) -> Result<(), DiskFault> {
        let mut hashes = self.hashes.write().unwrap_or_else(PoisonError::into_inner);
        if hashes.is_none() {
            *hashes = Some(self.read()?.hashes);
        }
        Ok(())
    }

    /// Drops the hashes from memory if they can be loaded again.
    pub(super) fn release(&self) {
        if self.is_kept() {
            *self.hashes.write().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }

    /// Reads the `info` dictionary from the kept file. Blocks on disk.
    pub(super) fn read_info(&self) -> Result<Bytes, DiskFault> {
        // A copy of its own: it must not keep the rest of the file in memory.
        self.read().map(|meta| Bytes::copy_from_slice(&meta.info))
    }

    fn read(&self) -> Result<Metainfo, DiskFault> {
        let Some(path) = self.kept.get() else { return Err(transient("its .torrent file was not kept".to_owned())) };
        let bytes = read_torrent(path).map_err(|why| transient(why.to_string()))?;
        let meta = Metainfo::parse(&bytes).map_err(|why| transient(format!("{}: {why}", path.display())))?;
        if (meta.info_hash, meta.hashes.len()) != (self.torrent, self.pieces) {
            return Err(transient(format!("{} is of another torrent", path.display())));
        }
        Ok(meta)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_go_only_if_they_can_come_back() {
        let dir = tempfile::tempdir().unwrap();
        let hashes = [[1; 20], [2; 20], [3; 20]];
        let text =
            [&b"d4:infod6:lengthi40e4:name1:a12:piece lengthi16e6:pieces60:"[..], &hashes.concat(), b"ee"].concat();
        let meta = Metainfo::parse(&text).unwrap();
        let it = PieceHashes::new(meta.info_hash, meta.hashes.clone());
        it.release();
        assert_eq!(it.get(PieceIndex(2)), Some([3; 20]), "there is no file");
        assert!(it.read_info().is_err());
        let path = dir.path().join("a.torrent");
        it.set_kept(&path);
        it.release();
        assert_eq!(it.get(PieceIndex(0)), None);
        assert!(it.load().is_err(), "the file is not there");
        std::fs::write(&path, &text).unwrap();
        it.load().unwrap();
        assert_eq!(
            (0..4).map(|n| it.get(PieceIndex(n))).collect::<Vec<_>>(),
            [Some([1; 20]), Some([2; 20]), Some([3; 20]), None]
        );
        assert_eq!(it.read_info().unwrap(), meta.info);
        let other = PieceHashes::new(InfoHash([9; 20]), meta.hashes);
        other.set_kept(&path);
        other.release();
        assert!(other.load().unwrap_err().text.contains("another torrent"));
    }
}
