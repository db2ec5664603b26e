//! Hash check (force recheck): verifies the pieces on disk against their SHA-1 on all cores.

use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::disk::hasher::Hasher;
use crate::disk::layout::Layout;
use crate::disk::part::PartFile;
use crate::disk::resume::SaveMode;
use crate::disk::sha1_interleaved::LANES;
use crate::disk::torrent_disk::TorrentDisk;
use crate::swarm::job::{DiskDone, DiskFault};
use crate::wire::message::PieceIndex;

/// Maximum number of bytes that a thread takes from the work queue at once.
const CHUNK: u64 = 16 << 20;

/// A hash check of some pieces of one torrent.
#[derive(Clone, Debug)]
pub struct Check {
    pub place: Arc<TorrentDisk>,
    /// The pieces to hash, as ranges of piece indices.
    pub pieces: Vec<Range<u32>>,
}

impl Check {
    /// Hashes the pieces, reports each result to the torrent and saves the resume data.
    ///
    /// Returns early, without [`DiskDone::CheckDone`], if the torrent is closing or `stop` returns true.
    pub fn run(&self, threads: usize, stop: &(dyn Fn() -> bool + Sync)) {
        let place = &self.place;
        let stop = || place.is_closing() || stop();
        if let Err(fault) = place.files.mounted() {
            // Nothing is known of the files, so nothing that is recorded of them changes.
            return place.send_result(DiskDone::CheckDone(Some(fault)));
        }
        if let Err(fault) = place.files.layout().load_hashes() {
            return place.send_result(DiskDone::CheckDone(Some(fault)));
        }
        let mut fault = None;
        // Before the file stamps are reset: an interrupted check must not leave the pieces trusted.
        place.mark_unverified(&self.pieces);
        for n in files_of(place.files.layout(), &self.pieces) {
            if stop() {
                return;
            }
            if let Some(same) = place.files.is_changed(n as u32)
                && (!same || place.resume.written.any_in(place.files.layout().pieces_of(n)))
            {
                place.files.ownership().question(n as u32, same);
            }
            place.files.start_over(n as u32);
            if matches!(place.files.stat(n as u32), Ok(Some(_))) {
                place.files.ownership().on_file_appeared(n as u32);
            }
            // A foreign file at the path of an unwanted file is not a fault.
            if !place.files.parts().is_unwanted(n as u32) {
                fault = fault.or(place.files.stat(n as u32).err());
            }
        }
        place.files.start_over(place.files.part());
        let answer = |first: PieceIndex, good: &[bool]| {
            place.checked(first, good);
            place.send_result(DiskDone::Checked { first, good: good.to_vec() });
        };
        let places = (place.files.dir(), place.files.parts());
        let found = hash_check(place.files.layout(), places, &self.pieces, threads, &stop, &answer);
        if stop() {
            return;
        }
        place.tell_needs();
        let parts = place.files.parts();
        let held = |n, piece| parts.find(n, PieceIndex(piece)).is_some();
        let occupied = place.files.ownership().judge(&place.resume.written, &|n| parts.is_unwanted(n), &held, &stop);
        if stop() {
            return;
        }
        if occupied.is_none() {
            // What had to wait until it was known whose the files are.
            place.move_wanted();
        }
        place.files.ownership().save(false);
        place.save(SaveMode::Quick);
        place.release_hashes();
        let gone = place.files.mounted().err();
        place.send_result(DiskDone::CheckDone(gone.or(occupied).or(found).or(fault)));
    }
}

/// Returns the indices of the files that contain bytes of any of these pieces, without pad files.
fn files_of(layout: &Layout, pieces: &[Range<u32>]) -> Vec<usize> {
    let inside = |n: usize| {
        let of = layout.pieces_of(n);
        pieces.iter().any(|p| p.start < of.end && of.start < p.end)
    };
    (0..layout.files().len()).filter(|n| !layout.files()[*n].pad && inside(*n)).collect()
}

/// Hashes pieces below a folder on up to `threads` threads, including the calling one.
///
/// Takes no locks, writes nothing.
///
/// `parts` describes the part file of the folder. `found` is called from any thread and in any order with runs of
/// pieces: the index of the first piece, and whether each piece is valid. A piece whose file is missing, too short or
/// unreadable is invalid. Returns early if `stop` returns true.
///
/// Returns the first read fault other than a missing or short file.
pub fn hash_check(
    layout: &Layout,
    (dir, parts): (&Path, &PartFile),
    pieces: &[Range<u32>],
    threads: usize,
    stop: &(dyn Fn() -> bool + Sync),
    found: &(dyn Fn(PieceIndex, &[bool]) + Sync),
) -> Option<DiskFault> {
    let chunks = chunks(layout, pieces, threads.max(1) as u64);
    let next = AtomicUsize::new(0);
    let first_fault = Mutex::new(None);
    let work = || {
        let mut hasher = Hasher::new(layout, dir, parts);
        let is_good = |(piece, hash): (u32, Option<[u8; 20]>)| hash.is_some() && layout.hash(PieceIndex(piece)) == hash;
        while let Some(chunk) = chunks.get(next.fetch_add(1, Ordering::Relaxed)) {
            let mut good = Vec::with_capacity(chunk.len());
            for part in in_lanes(chunk) {
                let Some(hashes) = hasher.hash(&part, stop) else { break };
                good.extend(part.zip(hashes).map(is_good));
            }
            if !good.is_empty() {
                found(PieceIndex(chunk.start), &good);
            }
            if good.len() < chunk.len() {
                break;
            }
        }
        if let Some(fault) = hasher.fault() {
            first_fault.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(fault);
        }
    };
    thread::scope(|scope| {
        for n in 1..threads.min(chunks.len()) {
            let spawned = thread::Builder::new().name(format!("check{n}")).spawn_scoped(scope, work);
            if let Err(error) = spawned {
                tracing::warn!("checking with fewer threads: {error}");
                break;
            }
        }
        work();
    });
    first_fault.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// Splits a range of pieces into groups of at most [`LANES`], which one core hashes concurrently.
pub(super) fn in_lanes(chunk: &Range<u32>) -> impl Iterator<Item = Range<u32>> + use<> {
    let end = chunk.end;
    chunk.clone().step_by(LANES).map(move |start| start..end.min(start.saturating_add(LANES as u32)))
}

/// Splits ranges of pieces into chunks for a work queue that `threads` threads share evenly.
pub(super) fn chunks(layout: &Layout, pieces: &[Range<u32>], threads: u64) -> Vec<Range<u32>> {
    let length = u64::from(layout.geometry().piece_length());
    let all: u64 = pieces.iter().map(|p| p.len() as u64).sum();
    // Filling the hash lanes of every thread takes precedence over equal shares at the end.
    let least = all.div_ceil(threads).clamp(1, LANES as u64);
    let step = (CHUNK / length).min(all / (threads * 8)).max(least);
    let step = (step / LANES as u64 * LANES as u64).max(least) as u32;
    let last = layout.geometry().pieces();
    let mut out = Vec::new();
    for run in pieces {
        let end = run.end.min(last);
        let mut start = run.start;
        while start < end {
            let next = start.saturating_add(step).min(end);
            out.push(start..next);
            start = next;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::layout::tests::layout;

    #[test]
    fn chunks_are_all_pieces_once_and_enough_for_all_threads() {
        let l = layout(1 << 20, &[(Some("a"), 100 << 20)]);
        let cut = chunks(&l, &[3..40, 50..51, 90..200], 2);
        let all: Vec<u32> = cut.iter().cloned().flatten().collect();
        assert_eq!(all, (3..40).chain(50..51).chain(90..100).collect::<Vec<_>>());
        assert!(cut.len() > 4 && cut.iter().all(|c| c.len() as u64 <= CHUNK >> 20));
    }
}
