//! A made-up torrent on disk: data, layout, and a pool to work on it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use crossbeam_channel::{Receiver, unbounded};
use sha1::{Digest, Sha1};
use tempfile::TempDir;
use ttui::disk::layout::{FileEntry, Layout};
use ttui::disk::pool::DiskPool;
use ttui::disk::storage::{Allocation, Resumed, Storage, StorageSpec};
use ttui::swarm::geometry::Geometry;
use ttui::swarm::job::{DiskDone, DiskFault, DiskJob};
use ttui::wire::message::{Block, InfoHash, PieceIndex};

/// Longer than anything here takes; a test that waits so long has failed.
const LONG: Duration = Duration::from_secs(60);

/// A torrent whose every byte is known. Pad files (no name) are zeros.
pub struct Known {
    pub layout: Arc<Layout>,
    pub data: Bytes,
}

impl Known {
    pub fn new(piece_length: u32, files: &[(Option<&str>, u64)]) -> Known {
        let mut random = fastrand::Rng::with_seed(7);
        let mut data = Vec::new();
        let mut laid = Vec::new();
        for (n, (name, length)) in files.iter().enumerate() {
            let path = name.map_or_else(|| PathBuf::from(format!(".pad/{n}")), PathBuf::from);
            laid.push(FileEntry { path, length: *length, offset: data.len() as u64, pad: name.is_none() });
            let from = data.len();
            data.resize(from + *length as usize, 0);
            if name.is_some() {
                random.fill(&mut data[from..]);
            }
        }
        let geometry = Geometry::new(data.len() as u64, piece_length);
        let hashes = data.chunks(piece_length as usize).map(|p| Sha1::digest(p).into()).collect();
        let hash = Sha1::digest(&data).into();
        let layout = Layout::new(InfoHash(hash), geometry, laid, hashes).unwrap();
        Known { layout: Arc::new(layout), data: data.into() }
    }

    pub fn pieces(&self) -> u32 {
        self.layout.geometry().pieces()
    }

    pub fn blocks(&self, piece: u32) -> Vec<Block> {
        let g = self.layout.geometry();
        (0..g.blocks(PieceIndex(piece))).map(|n| g.block(PieceIndex(piece), n)).collect()
    }

    pub fn all_blocks(&self) -> Vec<Block> {
        (0..self.pieces()).flat_map(|p| self.blocks(p)).collect()
    }

    pub fn bytes(&self, block: Block) -> Bytes {
        let at = self.layout.geometry().offset(block.piece, block.begin) as usize;
        self.data.slice(at..at + block.length as usize)
    }

    pub fn write(&self, block: Block) -> DiskJob {
        DiskJob::Write { block, data: self.bytes(block) }
    }

    pub fn write_piece(&self, piece: u32) -> Vec<DiskJob> {
        self.blocks(piece).into_iter().map(|b| self.write(b)).collect()
    }

    /// The bytes of a file.
    pub fn file(&self, n: usize) -> &[u8] {
        let file = &self.layout.files()[n];
        &self.data[file.offset as usize..(file.offset + file.length) as usize]
    }

    /// Puts all files into a folder, as somebody else might have.
    pub fn put(&self, dir: &Path) {
        for (n, file) in self.layout.files().iter().enumerate().filter(|(_, f)| !f.pad) {
            let path = dir.join(&file.path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, self.file(n)).unwrap();
        }
    }

    /// Fails unless the folder holds exactly the torrent.
    pub fn assert_whole(&self, dir: &Path) {
        for (n, file) in self.layout.files().iter().enumerate() {
            if file.pad {
                assert!(!dir.join(&file.path).exists(), "a pad file was written");
            } else {
                assert!(
                    std::fs::read(dir.join(&file.path)).unwrap() == self.file(n),
                    "{} differs",
                    file.path.display()
                );
            }
        }
    }
}

/// A download folder and a state folder.
pub struct Home {
    pub root: TempDir,
}

impl Home {
    pub fn new() -> Home {
        Home { root: tempfile::tempdir().unwrap() }
    }

    pub fn dir(&self) -> PathBuf {
        self.root.path().join("downloads")
    }

    pub fn state(&self) -> PathBuf {
        self.root.path().join("state")
    }

    pub fn spec(&self, known: &Known) -> StorageSpec {
        StorageSpec {
            layout: Arc::clone(&known.layout),
            dir: self.dir(),
            state_dir: self.state(),
            allocate: Allocation::Sparse,
            unwanted: Vec::new(),
            overwrite: false,
            mend_names: false,
            read_only: false,
        }
    }

    pub fn open(&self, pool: &DiskPool, known: &Known) -> (Open, Resumed) {
        self.try_open(pool, known).unwrap()
    }

    pub fn try_open(&self, pool: &DiskPool, known: &Known) -> Result<(Open, Resumed), DiskFault> {
        open(pool, self.spec(known))
    }

    /// The resume record's files, newest base first.
    pub fn records(&self, ending: &str) -> Vec<PathBuf> {
        let all = std::fs::read_dir(self.state()).unwrap().map(|e| e.unwrap().path());
        all.filter(|p| p.extension().is_some_and(|e| e.to_string_lossy().starts_with(ending))).collect()
    }
}

pub fn open(pool: &DiskPool, spec: StorageSpec) -> Result<(Open, Resumed), DiskFault> {
    let (tell, told) = unbounded();
    let (storage, resumed) = pool.open(spec, move |done| drop(tell.send(done)))?;
    Ok((Open { storage, told }, resumed))
}

/// An open storage and what it answers.
pub struct Open {
    pub storage: Storage,
    pub told: Receiver<DiskDone>,
}

impl Open {
    pub fn next(&self) -> DiskDone {
        self.told.recv_timeout(LONG).expect("an answer")
    }

    /// Answers up to and with the first for which `last` holds.
    pub fn until(&self, mut last: impl FnMut(&DiskDone) -> bool) -> Vec<DiskDone> {
        let mut all = Vec::new();
        loop {
            all.push(self.next());
            if last(all.last().unwrap()) {
                return all;
            }
        }
    }

    /// Writes pieces and waits until each is verified.
    pub fn download(&self, known: &Known, pieces: impl IntoIterator<Item = u32>) {
        let pieces: Vec<u32> = pieces.into_iter().collect();
        self.storage.submit(pieces.iter().flat_map(|p| known.write_piece(*p)));
        let mut left = pieces.len();
        while left > 0 {
            match self.next() {
                DiskDone::Verified { .. } => left -= 1,
                DiskDone::Wrote(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// Writes pieces and waits until each is verified or failed.
    pub fn download_what_can_be(&self, known: &Known, pieces: impl IntoIterator<Item = u32>) {
        let pieces: Vec<u32> = pieces.into_iter().collect();
        self.storage.submit(pieces.iter().flat_map(|p| known.write_piece(*p)));
        let mut left = pieces.len();
        while left > 0 {
            left -= usize::from(matches!(self.next(), DiskDone::Verified { .. } | DiskDone::Failed { .. }));
        }
    }

    /// Hashes pieces; tells which are good, and the fault.
    pub fn check(&self, pieces: Vec<std::ops::Range<u32>>) -> (Vec<u32>, Option<DiskFault>) {
        self.storage.submit([DiskJob::Check(pieces)]);
        let mut good = Vec::new();
        loop {
            match self.next() {
                DiskDone::Checked { first, good: run } => {
                    good.extend(run.iter().enumerate().filter(|(_, g)| **g).map(|(n, _)| first.0 + n as u32));
                }
                DiskDone::CheckDone(fault) => {
                    good.sort_unstable();
                    return (good, fault);
                }
                DiskDone::Wrote(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

/// The pieces of a bitfield.
pub fn pieces_in(bitfield: &[u8]) -> Vec<u32> {
    (0..bitfield.len() as u32 * 8).filter(|p| bitfield[(*p / 8) as usize] & (0x80 >> (p % 8)) != 0).collect()
}
