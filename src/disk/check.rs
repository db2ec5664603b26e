//! Hashing what is on disk, on all cores.

use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::disk::hasher::Hasher;
use crate::disk::lanes::LANES;
use crate::disk::layout::Layout;
use crate::disk::part::Parts;
use crate::disk::place::Place;
use crate::disk::resume::Manner;
use crate::swarm::job::{DiskDone, DiskFault};
use crate::wire::message::PieceIndex;

/// The most bytes that a thread takes on at once.
const CHUNK: u64 = 16 << 20;

/// A check of a torrent at work.
#[derive(Clone, Debug)]
pub struct Check {
    /// Which torrent.
    pub place: Arc<Place>,
    /// Which pieces.
    pub pieces: Vec<Range<u32>>,
}

impl Check {
    /// Hashes the pieces, answers, and records what was found. Ends early when the place is closed or `stop` says so.
    pub fn run(&self, threads: usize, stop: &(dyn Fn() -> bool + Sync)) {
        let place = &self.place;
        let stop = || place.is_closing() || stop();
        let mut fault = None;
        // Before the files are looked at anew: a check that is cut short must not make them believed.
        place.suspect(&self.pieces);
        for n in files_of(place.files.layout(), &self.pieces) {
            if stop() {
                return;
            }
            if let Some(same) = place.files.is_changed(n as u32)
                && (!same || place.record.written.any_in(place.files.layout().pieces_of(n)))
            {
                place.files.ownership().question(n as u32, same);
            }
            place.files.start_over(n as u32);
            if matches!(place.files.look(n as u32), Ok(Some(_))) {
                place.files.ownership().appeared(n as u32);
            }
            // What lies in the place of a file that is not wanted is the user's affair.
            if !place.files.parts().is_unwanted(n as u32) {
                fault = fault.or(place.files.look(n as u32).err());
            }
        }
        place.files.start_over(place.files.part());
        let answer = |first: PieceIndex, good: &[bool]| {
            place.checked(first, good);
            place.answer(DiskDone::Checked { first, good: good.to_vec() });
        };
        let places = (place.files.dir(), place.files.parts());
        let found = hash_check(place.files.layout(), places, &self.pieces, threads, &stop, &answer);
        if stop() {
            return;
        }
        place.tell_needs();
        let parts = place.files.parts();
        let held = |n, piece| parts.find(n, PieceIndex(piece)).is_some();
        let occupied = place.files.ownership().judge(&place.record.written, &|n| parts.is_unwanted(n), &held, &stop);
        if stop() {
            return;
        }
        if occupied.is_none() {
            // What had to wait until it was known whose the files are.
            place.move_wanted();
        }
        place.files.ownership().save(false);
        place.save(Manner::Quick);
        place.answer(DiskDone::CheckDone(occupied.or(found).or(fault)));
    }
}

/// The files that hold bytes of any of these pieces.
fn files_of(layout: &Layout, pieces: &[Range<u32>]) -> Vec<usize> {
    let inside = |n: usize| {
        let of = layout.pieces_of(n);
        pieces.iter().any(|p| p.start < of.end && of.start < p.end)
    };
    (0..layout.files().len()).filter(|n| !layout.files()[*n].pad && inside(*n)).collect()
}

/// Hashes pieces below a folder, whose part file holds `parts`, with so many threads, this one among them. `found` hears,
/// from any of them and in any order, of runs of pieces: the first, and whether each is good. Pieces whose files are
/// absent, short or unreadable are not. Ends early when `stop` says so; no locks are taken and nothing is written.
///
/// Returns the first fault for another reason than absence.
pub fn hash_check(
    layout: &Layout,
    (dir, parts): (&Path, &Parts),
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
        let is_good = |(piece, hash): (u32, Option<[u8; 20]>)| {
            hash.as_ref().is_some_and(|hash| layout.hash(PieceIndex(piece)) == Some(hash))
        };
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
                log::warn!("checking with fewer threads: {error}");
                break;
            }
        }
        work();
    });
    first_fault.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// Cuts a run of pieces into parts that one core hashes at a time.
pub(super) fn in_lanes(chunk: &Range<u32>) -> impl Iterator<Item = Range<u32>> + use<> {
    let end = chunk.end;
    chunk.clone().step_by(LANES).map(move |start| start..end.min(start.saturating_add(LANES as u32)))
}

/// Cuts runs of pieces into parts that several threads can share evenly.
pub(super) fn chunks(layout: &Layout, pieces: &[Range<u32>], threads: u64) -> Vec<Range<u32>> {
    let length = u64::from(layout.geometry().piece_length());
    let all: u64 = pieces.iter().map(|p| p.len() as u64).sum();
    // Enough to fill the lanes of every thread comes before equal shares at the end.
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
