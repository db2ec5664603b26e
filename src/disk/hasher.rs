//! Reading pieces from disk and hashing them, several at a time, on one core.

use std::borrow::Cow;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::disk::aligned::Aligned;
use crate::disk::fault::{self, Doing};
use crate::disk::lanes::{self, LANES, Lane};
use crate::disk::layout::{Layout, Segment};
use crate::disk::part::{self, Parts};
use crate::disk::paths::{self, Access};
use crate::disk::rawio;
use crate::swarm::job::DiskFault;
use crate::wire::message::PieceIndex;

/// Bytes read in one call: they are hashed while they are in the cache of the core that read them. Four times as many
/// are no faster; what counts is that the buffer is [`Aligned`].
const READ: usize = 64 * 1024;
/// Bytes of a piece that the system is asked for in one go where reads wait for a disk: it goes to their place once, not
/// once for each of the reads that the lanes take in turn.
const AHEAD: u64 = 4 << 20;
/// A read that takes longer was no copy from memory.
const COPY: Duration = Duration::from_micros(300);

/// One thread's hasher: a reader for each of the pieces that it has at work at a time.
pub(super) struct Hasher<'a> {
    layout: &'a Layout,
    readers: [Reader<'a>; LANES],
    zeros: Option<(u32, [u8; 20])>,
}

impl<'a> Hasher<'a> {
    pub(super) fn new(layout: &'a Layout, dir: &'a Path, parts: &'a Parts) -> Self {
        Hasher { layout, readers: std::array::from_fn(|_| Reader::new(layout, dir, parts)), zeros: None }
    }

    /// The hashes of so many pieces, of which one that is not all there has none; [`LANES`] of them at most. Nothing where
    /// `stop` says so.
    pub(super) fn hash(&mut self, pieces: &Range<u32>, stop: &dyn Fn() -> bool) -> Option<Vec<Option<[u8; 20]>>> {
        debug_assert!(pieces.len() <= LANES);
        let mut hashes = vec![None; pieces.len()];
        let mut work: Vec<Option<Lane>> = vec![None; pieces.len()];
        for (n, piece) in pieces.clone().enumerate() {
            hashes[n] = self.hash_of_hole(n, PieceIndex(piece));
            work[n] = hashes[n].is_none().then(Lane::default);
        }
        let mut at = 0;
        loop {
            if stop() {
                return None;
            }
            if at % AHEAD == 0 {
                self.begin(pieces, &work, at);
            }
            let mut streams = Vec::with_capacity(LANES);
            for ((piece, reader), slot) in pieces.clone().zip(&mut self.readers).zip(&mut work) {
                let bytes = self.layout.bytes_of(PieceIndex(piece));
                let start = bytes.start + at;
                if slot.is_none() || start >= bytes.end {
                    continue;
                }
                let part = reader.read(start..bytes.end.min(start + READ as u64));
                if part.is_none() {
                    *slot = None;
                }
                streams.extend(slot.as_mut().zip(part));
            }
            if streams.is_empty() {
                break;
            }
            lanes::update(&mut streams);
            at += READ as u64;
        }
        for (hash, lane) in hashes.iter_mut().zip(work) {
            *hash = hash.or_else(|| lane.map(Lane::finish));
        }
        Some(hashes)
    }

    /// Says what of each piece is read next, from so many bytes within it on.
    fn begin(&mut self, pieces: &Range<u32>, work: &[Option<Lane>], at: u64) {
        let at_work = pieces.clone().zip(&mut self.readers).zip(work).filter(|(_, lane)| lane.is_some());
        for ((piece, reader), _) in at_work {
            let bytes = self.layout.bytes_of(PieceIndex(piece));
            let start = bytes.end.min(bytes.start + at);
            reader.begin(start..bytes.end.min(start + AHEAD));
        }
    }

    /// Why something could not be read, for another reason than absence: the first that was met.
    pub(super) fn fault(&mut self) -> Option<DiskFault> {
        self.readers.iter_mut().find_map(|reader| reader.fault.take())
    }

    /// The hash of a piece that was never written, and so need not be read.
    fn hash_of_hole(&mut self, reader: usize, piece: PieceIndex) -> Option<[u8; 20]> {
        let mut segments = self.layout.segments(self.layout.bytes_of(piece));
        let (Some(only), None) = (segments.next(), segments.next()) else { return None };
        if self.readers[reader].parts.find(only.file as u32, piece).is_some() {
            return None;
        }
        self.readers[reader].is_hole(only).then(|| self.hash_of_zeros(only.length as u32))
    }

    fn hash_of_zeros(&mut self, length: u32) -> [u8; 20] {
        if let Some((known, hash)) = self.zeros
            && known == length
        {
            return hash;
        }
        let mut lane = Lane::default();
        let zeros = [0; 4096];
        let mut left = length as usize;
        while left > 0 {
            let take = left.min(zeros.len());
            lane.update(&zeros[..take]);
            left -= take;
        }
        let hash = lane.finish();
        self.zeros = Some((length, hash));
        hash
    }
}

/// Reads one piece after the other: its own handle, so that the system reads ahead for it, and its own buffer.
struct Reader<'a> {
    layout: &'a Layout,
    dir: &'a Path,
    parts: &'a Parts,
    /// By its index; the part file comes after all others.
    open: Option<(usize, Option<File>)>,
    /// The last range of the open file that was found to be no hole.
    data: Range<u64>,
    buffer: Aligned,
    /// When the read began that tells whether reads wait for a disk.
    asked: Option<Instant>,
    waits: bool,
    fault: Option<DiskFault>,
}

impl<'a> Reader<'a> {
    fn new(layout: &'a Layout, dir: &'a Path, parts: &'a Parts) -> Self {
        Reader {
            layout,
            dir,
            parts,
            open: None,
            data: 0..0,
            buffer: Aligned::new(READ),
            asked: None,
            waits: false,
            fault: None,
        }
    }

    /// Says that these bytes of a piece are read next.
    fn begin(&mut self, bytes: Range<u64>) {
        if self.waits
            && let Some(segment) = self.layout.segments(bytes).next()
            && !self.layout.files()[segment.file].pad
            && !self.parts.is_used()
            && let Some(file) = self.file(segment.file)
        {
            rawio::will_need(file, segment.at, segment.length);
        }
        self.asked = Some(Instant::now());
    }

    /// A range of the torrent's bytes, no longer than [`READ`]; `None` if it is not all there.
    fn read(&mut self, bytes: Range<u64>) -> Option<&[u8]> {
        let mut filled = 0;
        let start = bytes.start;
        let piece = PieceIndex((start / u64::from(self.layout.geometry().piece_length())) as u32);
        for segment in self.layout.segments(bytes) {
            let end = filled + segment.length as usize;
            if self.layout.files()[segment.file].pad {
                self.buffer[filled..end].fill(0);
            } else {
                let (n, at) = match self.parts.find(segment.file as u32, piece) {
                    Some(slot) => (self.layout.files().len(), slot.position(start + filled as u64)),
                    None => (segment.file, segment.at),
                };
                self.file(n)?;
                if let Some((_, Some(file))) = &self.open
                    && let Err(error) = rawio::read_exact_at(file, &mut self.buffer[filled..end], at)
                {
                    if error.kind() != io::ErrorKind::UnexpectedEof {
                        self.complain(Doing::Read, n, &error);
                    }
                    return None;
                }
            }
            filled = end;
        }
        if let Some(asked) = self.asked.take() {
            self.waits = asked.elapsed() > COPY;
        }
        Some(&self.buffer[..filled])
    }

    /// The file, which stays open until another is asked for; `None` if it cannot be opened.
    fn file(&mut self, n: usize) -> Option<&File> {
        if self.open.as_ref().is_none_or(|(open, _)| *open != n) {
            self.data = 0..0;
            let opened = match paths::open(self.dir, &self.path(n), Access::Read) {
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

    /// The path of a file below the folder.
    fn path(&self, n: usize) -> Cow<'a, Path> {
        match self.layout.files().get(n) {
            Some(file) => Cow::Borrowed(&file.path),
            None => Cow::Owned(part::name(self.layout.info_hash())),
        }
    }

    fn complain(&mut self, doing: Doing, file: usize, error: &io::Error) {
        // What lies in the place of a file that is not wanted is the user's affair.
        if self.parts.is_unwanted(file as u32) {
            return;
        }
        let path = self.dir.join(self.path(file));
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
}
