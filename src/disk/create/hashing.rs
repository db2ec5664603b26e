//! Hashes the pieces of a new torrent on all cores.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::disk::check::{chunks, in_lanes};
use crate::disk::create::error::CreateError;
use crate::disk::create::scan::FileScan;
use crate::disk::hasher::Hasher;
use crate::disk::layout::{FileEntry, Layout};
use crate::disk::part::PartFile;
use crate::swarm::geometry::Geometry;
use crate::wire::message::{InfoHash, PieceIndex};

/// Progress and cancellation of hashing, shared between the hash threads and observers.
#[derive(Debug, Default)]
pub struct Progress {
    done: AtomicU64,
    all: AtomicU64,
    stopped: AtomicBool,
}

impl Progress {
    /// Returns the bytes hashed and the total; the total is 0 while files are being scanned.
    #[must_use]
    pub fn bytes(&self) -> (u64, u64) {
        (self.done.load(Ordering::Relaxed), self.all.load(Ordering::Relaxed))
    }

    /// Requests cancellation.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
    }

    /// Returns whether cancellation was requested.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }
}

/// Returns the SHA-1 of each piece, computed on up to `threads` threads, including the calling one.
///
/// Each thread takes runs of pieces and reads them sequentially, so that kernel readahead works.
///
/// # Errors
/// If a file cannot be read or has changed since the scan, or if hashing was stopped.
pub fn hash(
    survey: &FileScan,
    piece_length: u32,
    threads: usize,
    progress: &Progress,
) -> Result<Vec<[u8; 20]>, CreateError> {
    let layout = lay(survey, piece_length)?;
    progress.all.store(survey.total, Ordering::Relaxed);
    let pieces = layout.geometry().pieces();
    let all = 0..pieces;
    let chunks = chunks(&layout, std::slice::from_ref(&all), threads.max(1) as u64);
    // A new torrent has no part file.
    let parts = PartFile::default();
    let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let (hashes, fault) = (Mutex::new(vec![[0; 20]; pieces as usize]), Mutex::new(None));
    let work = || {
        let mut hasher = Hasher::new(&layout, &survey.root, &parts);
        let stop = || progress.is_stopped() || failed.load(Ordering::Relaxed);
        while let Some(chunk) = chunks.get(next.fetch_add(1, Ordering::Relaxed)) {
            let mut done = Vec::with_capacity(chunk.len());
            for part in in_lanes(chunk) {
                let Some(hashes) = hasher.hash(&part, &stop) else { return };
                for (piece, hash) in part.zip(hashes) {
                    let Some(hash) = hash else {
                        let words = hasher.fault().map(|fault| fault.text);
                        failed.store(true, Ordering::Relaxed);
                        fault.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(words);
                        return;
                    };
                    done.push(hash);
                    let size = layout.geometry().piece_size(PieceIndex(piece));
                    progress.done.fetch_add(u64::from(size), Ordering::Relaxed);
                }
            }
            let first = chunk.start as usize;
            hashes.lock().unwrap_or_else(PoisonError::into_inner)[first..first + done.len()].copy_from_slice(&done);
        }
    };
    thread::scope(|scope| {
        for n in 1..threads.min(chunks.len()) {
            let spawned = thread::Builder::new().name(format!("create{n}")).spawn_scoped(scope, work);
            if let Err(error) = spawned {
                tracing::warn!("hashing with fewer threads: {error}");
                break;
            }
        }
        work();
    });
    if progress.is_stopped() {
        return Err(CreateError::Stopped);
    }
    // A changed file explains a read error, and makes the torrent wrong even without one.
    survey.check()?;
    match fault.into_inner().unwrap_or_else(PoisonError::into_inner) {
        None => Ok(hashes.into_inner().unwrap_or_else(PoisonError::into_inner)),
        Some(Some(words)) => Err(CreateError::System(words)),
        Some(None) => Err(CreateError::Changed { path: survey.path(), how: "was not all there" }),
    }
}

/// Returns the layout of the scanned files, with placeholder hashes.
fn lay(survey: &FileScan, piece_length: u32) -> Result<Layout, CreateError> {
    let mut offset = 0;
    let mut files = Vec::with_capacity(survey.files.len());
    for file in &survey.files {
        files.push(FileEntry { path: PathBuf::from(&file.name), length: file.length, offset, pad: false });
        offset += file.length;
    }
    let geometry = Geometry::new(survey.total, piece_length);
    let unknown = vec![[0; 20]; geometry.pieces() as usize];
    Layout::new(InfoHash([0; 20]), geometry, files, unknown)
        .map_err(|why| CreateError::System(format!("{} cannot be shared: {why}", survey.path().display())))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use sha1::{Digest, Sha1};

    use super::*;
    use crate::disk::create::scan::{ScanOptions, scan_files};

    #[test]
    fn pieces_span_files_and_any_number_of_threads_finds_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let mut random = fastrand::Rng::with_seed(4);
        let mut whole = Vec::new();
        for (n, length) in [100_000, 0, 1, 16_384, 70_001, 0].into_iter().enumerate() {
            let mut data = vec![0; length];
            random.fill(&mut data);
            fs::write(dir.path().join(format!("f{n}")), &data).unwrap();
            whole.extend(data);
        }
        let found = scan_files(dir.path(), &ScanOptions::default(), &|| false).unwrap();
        let expected: Vec<[u8; 20]> = whole.chunks(16_384).map(|piece| Sha1::digest(piece).into()).collect();
        for threads in [1, 2, 7] {
            let progress = Progress::default();
            assert_eq!(hash(&found, 16_384, threads, &progress).unwrap(), expected);
            assert_eq!(progress.bytes(), (whole.len() as u64, whole.len() as u64));
        }
        let stopped = Progress::default();
        stopped.stop();
        assert!(matches!(hash(&found, 16_384, 2, &stopped), Err(CreateError::Stopped)));
        fs::remove_file(dir.path().join("f3")).unwrap();
        let gone = hash(&found, 16_384, 2, &Progress::default()).unwrap_err().to_string();
        assert!(gone.contains("f3 has gone"), "{gone}");
        fs::write(dir.path().join("f3"), vec![7; 16_384]).unwrap();
        let touched = hash(&found, 16_384, 2, &Progress::default());
        assert!(touched.unwrap_err().to_string().contains("f3 was written to"));
    }
}
