//! Hashing what is on disk, on all cores.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use sha1::{Digest, Sha1};

use crate::disk::aligned::Aligned;
use crate::disk::fault::{self, Doing};
use crate::disk::layout::{Layout, Segment};
use crate::disk::paths::{self, Access};
use crate::disk::place::Place;
use crate::disk::rawio;
use crate::disk::resume::Manner;
use crate::swarm::job::{DiskDone, DiskFault};
use crate::wire::message::PieceIndex;

/// Bytes read in one call: they are hashed while they are in the cache of the core that read them. Four times as many
/// are no faster; what counts is that the buffer is [`Aligned`].
const READ: usize = 64 * 1024;
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
        for n in files_of(place.files.layout(), &self.pieces) {
            if stop() {
                return;
            }
            place.files.start_over(n as u32);
            fault = fault.or(place.files.look(n as u32).err());
        }
        let answer = |first: PieceIndex, good: &[bool]| {
            place.record.checked(first.0, good);
            place.answer(DiskDone::Checked { first, good: good.to_vec() });
        };
        let found = hash_check(place.files.layout(), place.files.dir(), &self.pieces, threads, &stop, &answer);
        if stop() {
            return;
        }
        place.tell_needs();
        // A record that cannot be written is complained of in the log; the check itself was done.
        let _ = place.save(Manner::Quick);
        place.answer(DiskDone::CheckDone(found.or(fault)));
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

/// Hashes pieces below `dir` with so many threads, this one among them. `found` hears, from any of them and in any
/// order, of runs of pieces: the first, and whether each is good. Pieces whose files are absent, short or unreadable
/// are not. Ends early when `stop` says so; no locks are taken and nothing is written.
///
/// Returns the first fault for another reason than absence.
pub fn hash_check(
    layout: &Layout,
    dir: &Path,
    pieces: &[Range<u32>],
    threads: usize,
    stop: &(dyn Fn() -> bool + Sync),
    found: &(dyn Fn(PieceIndex, &[bool]) + Sync),
) -> Option<DiskFault> {
    let chunks = chunks(layout, pieces, threads.max(1) as u64);
    let next = AtomicUsize::new(0);
    let first_fault = Mutex::new(None);
    let work = || {
        let mut reader = Reader::new(layout, dir);
        while let Some(chunk) = chunks.get(next.fetch_add(1, Ordering::Relaxed)) {
            let mut good = Vec::with_capacity(chunk.len());
            for piece in chunk.clone() {
                if stop() {
                    break;
                }
                good.push(reader.is_good(PieceIndex(piece)));
            }
            if !good.is_empty() {
                found(PieceIndex(chunk.start), &good);
            }
            if stop() {
                break;
            }
        }
        if let Some(fault) = reader.fault {
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

/// Cuts runs of pieces into parts that several threads can share evenly.
pub(super) fn chunks(layout: &Layout, pieces: &[Range<u32>], threads: u64) -> Vec<Range<u32>> {
    let length = u64::from(layout.geometry().piece_length());
    let all: u64 = pieces.iter().map(|p| p.len() as u64).sum();
    let step = (CHUNK / length).min(all / (threads * 8)).max(1) as u32;
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

/// One thread's reader: its own handle, so that the system reads ahead for it, and its own buffer.
pub(super) struct Reader<'a> {
    layout: &'a Layout,
    dir: &'a Path,
    open: Option<(usize, Option<File>)>,
    /// The last range of the open file that was found to be no hole.
    data: Range<u64>,
    buffer: Aligned,
    zeros: Option<(u32, [u8; 20])>,
    /// Why something could not be read, for another reason than absence.
    pub(super) fault: Option<DiskFault>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(layout: &'a Layout, dir: &'a Path) -> Self {
        Reader { layout, dir, open: None, data: 0..0, buffer: Aligned::new(READ), zeros: None, fault: None }
    }

    fn is_good(&mut self, piece: PieceIndex) -> bool {
        self.hash(piece).is_some_and(|hash| self.layout.hash(piece) == Some(&hash))
    }

    /// The hash of a piece; `None` if it is not all there.
    pub(super) fn hash(&mut self, piece: PieceIndex) -> Option<[u8; 20]> {
        let segments: Vec<Segment> = self.layout.segments(self.layout.bytes_of(piece)).collect();
        if let [only] = segments.as_slice()
            && self.is_hole(*only)
        {
            return Some(self.hash_of_zeros(only.length as u32));
        }
        let mut sha = Sha1::new();
        for segment in segments {
            let pad = self.layout.files()[segment.file].pad;
            if !pad && self.file(segment.file).is_none() {
                return None;
            }
            let mut at = segment.at;
            let end = segment.at + segment.length;
            while at < end {
                let take = READ.min((end - at) as usize);
                let part = &mut self.buffer[..take];
                if pad {
                    part.fill(0);
                } else if let Some((_, Some(file))) = &self.open
                    && let Err(error) = rawio::read_exact_at(file, part, at)
                {
                    if error.kind() != io::ErrorKind::UnexpectedEof {
                        self.complain(Doing::Read, segment.file, &error);
                    }
                    return None;
                }
                sha.update(&*part);
                at += take as u64;
            }
        }
        Some(sha.finalize().into())
    }

    /// The file, which stays open until another is asked for; `None` if it cannot be opened.
    fn file(&mut self, n: usize) -> Option<&File> {
        if self.open.as_ref().is_none_or(|(open, _)| *open != n) {
            self.data = 0..0;
            let opened = match paths::open(self.dir, &self.layout.files()[n].path, Access::Read) {
                Ok(file) => {
                    rawio::will_read_through(&file);
                    Some(file)
                }
                Err(error) => {
                    if error.kind() != io::ErrorKind::NotFound {
                        self.complain(Doing::Open, n, &error);
                    }
                    None
                }
            };
            self.open = Some((n, opened));
        }
        self.open.as_ref().and_then(|(_, file)| file.as_ref())
    }

    fn complain(&mut self, doing: Doing, file: usize, error: &io::Error) {
        let path = self.dir.join(&self.layout.files()[file].path);
        self.fault.get_or_insert_with(|| fault::system(doing, &path, error, 0));
    }

    /// Whether a part of a file was never written, and so need not be read.
    fn is_hole(&mut self, part: Segment) -> bool {
        let end = part.at + part.length;
        if self.layout.files()[part.file].pad || (self.data.start <= part.at && part.at < self.data.end) {
            return false;
        }
        let Some(file) = self.file(part.file) else { return false };
        // A file that is cut short ends in nothing, not in a hole.
        if !file.metadata().is_ok_and(|m| m.len() >= end) {
            return false;
        }
        match rawio::next_data(file, part.at) {
            None => true,
            Some(data) if data.start >= end => true,
            Some(data) => {
                self.data = data;
                false
            }
        }
    }

    fn hash_of_zeros(&mut self, length: u32) -> [u8; 20] {
        if let Some((known, hash)) = self.zeros
            && known == length
        {
            return hash;
        }
        self.buffer.fill(0);
        let mut sha = Sha1::new();
        let mut left = length as usize;
        while left > 0 {
            let take = left.min(READ);
            sha.update(&self.buffer[..take]);
            left -= take;
        }
        let hash = sha.finalize().into();
        self.zeros = Some((length, hash));
        hash
    }
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
