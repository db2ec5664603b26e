//! Piece hasher: reads pieces from disk and hashes several of them at a time on one core.

use std::borrow::Cow;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::disk::aligned_buf::AlignedBuf;
use crate::disk::beneath::{self, Access};
use crate::disk::error::{self, DiskOp};
use crate::disk::layout::{Layout, Segment};
use crate::disk::part::{self, PartFile};
use crate::disk::sha1_interleaved::{self, LANES, Sha1Lane};
use crate::disk::sys;
use crate::swarm::job::DiskFault;
use crate::wire::message::PieceIndex;

/// Bytes per read call, small enough that the data is hashed while still in the CPU cache.
///
/// Reads of four times this size are no faster; what matters is that the buffer is an [`AlignedBuf`].
const READ: usize = 64 * 1024;
/// Bytes of a piece for which readahead (`POSIX_FADV_WILLNEED`) is requested at once.
///
/// The lanes read their pieces in turn. Without readahead a hard disk would seek for every read call.
const AHEAD: u64 = 4 << 20;
/// A read call that takes longer than this was not served from the page cache.
const COPY: Duration = Duration::from_micros(300);

/// The hasher of one thread, with one reader for each piece that is hashed concurrently.
pub(super) struct Hasher<'a> {
    layout: &'a Layout,
    readers: [Reader<'a>; LANES],
    zeros: Option<(u32, [u8; 20])>,
}

impl<'a> Hasher<'a> {
    pub(super) fn new(layout: &'a Layout, dir: &'a Path, parts: &'a PartFile) -> Self {
        Hasher { layout, readers: std::array::from_fn(|_| Reader::new(layout, dir, parts)), zeros: None }
    }

    /// Hashes up to [`LANES`] pieces. A piece that is incomplete on disk has the hash `None`.
    ///
    /// Returns `None` if `stop` returns true.
    pub(super) fn hash(&mut self, pieces: &Range<u32>, stop: &dyn Fn() -> bool) -> Option<Vec<Option<[u8; 20]>>> {
        debug_assert!(pieces.len() <= LANES);
        let mut hashes = vec![None; pieces.len()];
        let mut work: Vec<Option<Sha1Lane>> = vec![None; pieces.len()];
        for (n, piece) in pieces.clone().enumerate() {
            hashes[n] = self.hash_of_hole(n, PieceIndex(piece));
            work[n] = hashes[n].is_none().then(Sha1Lane::default);
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
            sha1_interleaved::update(&mut streams);
            at += READ as u64;
        }
        for (hash, lane) in hashes.iter_mut().zip(work) {
            *hash = hash.or_else(|| lane.map(Sha1Lane::finish));
        }
        Some(hashes)
    }

    /// Announces the next reads of each piece to the readers, starting `at` bytes into the piece.
    fn begin(&mut self, pieces: &Range<u32>, work: &[Option<Sha1Lane>], at: u64) {
        let at_work = pieces.clone().zip(&mut self.readers).zip(work).filter(|(_, lane)| lane.is_some());
        for ((piece, reader), _) in at_work {
            let bytes = self.layout.bytes_of(PieceIndex(piece));
            let start = bytes.end.min(bytes.start + at);
            reader.begin(start..bytes.end.min(start + AHEAD));
        }
    }

    /// Takes the first read fault other than a missing or short file.
    pub(super) fn fault(&mut self) -> Option<DiskFault> {
        self.readers.iter_mut().find_map(|reader| reader.fault.take())
    }

    /// Returns the hash of a piece that lies in a hole of a sparse file, without reading it.
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
        let mut lane = Sha1Lane::default();
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

/// Reads one piece at a time, with its own buffer and its own file handle (for kernel readahead).
struct Reader<'a> {
    layout: &'a Layout,
    dir: &'a Path,
    parts: &'a PartFile,
    /// The open file and its index; the part file has the index after the last file.
    open: Option<(usize, Option<File>)>,
    /// The last range of the open file that is known to be data, not a hole.
    data: Range<u64>,
    buffer: AlignedBuf,
    /// Start of a read that measures whether reads are served from the page cache.
    asked: Option<Instant>,
    waits: bool,
    fault: Option<DiskFault>,
}

impl<'a> Reader<'a> {
    fn new(layout: &'a Layout, dir: &'a Path, parts: &'a PartFile) -> Self {
        Reader {
            layout,
            dir,
            parts,
            open: None,
            data: 0..0,
            buffer: AlignedBuf::new(READ),
            asked: None,
            waits: false,
            fault: None,
        }
    }

    /// Requests readahead of `bytes` if the last measured read had to wait for the disk.
    fn begin(&mut self, bytes: Range<u64>) {
        if self.waits
            && let Some(segment) = self.layout.segments(bytes).next()
            && !self.layout.files()[segment.file].pad
            && !self.parts.is_used()
            && let Some(file) = self.file(segment.file)
        {
            sys::will_need(file, segment.at, segment.length);
        }
        self.asked = Some(Instant::now());
    }

    /// Reads a range of the torrent, at most [`READ`] bytes. Returns `None` if it is missing or unreadable.
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
                    && let Err(error) = sys::read_exact_at(file, &mut self.buffer[filled..end], at)
                {
                    if error.kind() != io::ErrorKind::UnexpectedEof {
                        self.complain(DiskOp::Read, n, &error);
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

    /// Returns file `n`, opened and cached until another file is requested; `None` if it cannot be opened.
    fn file(&mut self, n: usize) -> Option<&File> {
        if self.open.as_ref().is_none_or(|(open, _)| *open != n) {
            self.data = 0..0;
            let opened = match beneath::open(self.dir, &self.path(n), Access::Read) {
                Ok(file) => {
                    sys::will_read_through(&file);
                    Some(file)
                }
                Err(error) => {
                    if error.kind() != io::ErrorKind::NotFound {
                        self.complain(DiskOp::Open, n, &error);
                    }
                    None
                }
            };
            self.open = Some((n, opened));
        }
        self.open.as_ref().and_then(|(_, file)| file.as_ref())
    }

    /// Returns the path of file `n`, or of the part file, relative to the download directory.
    fn path(&self, n: usize) -> Cow<'a, Path> {
        match self.layout.files().get(n) {
            Some(file) => Cow::Borrowed(&file.path),
            None => Cow::Owned(part::name(self.layout.info_hash())),
        }
    }

    fn complain(&mut self, doing: DiskOp, file: usize, error: &io::Error) {
        // A foreign file at the path of an unwanted file is not a fault.
        if self.parts.is_unwanted(file as u32) {
            return;
        }
        let path = self.dir.join(self.path(file));
        self.fault.get_or_insert_with(|| error::from_io(doing, &path, error, 0));
    }

    /// Returns whether a segment lies completely in a hole of its file.
    fn is_hole(&mut self, part: Segment) -> bool {
        let end = part.at + part.length;
        if self.layout.files()[part.file].pad || (self.data.start <= part.at && part.at < self.data.end) {
            return false;
        }
        let Some(file) = self.file(part.file) else { return false };
        // A truncated file has missing data there, not a hole.
        if !file.metadata().is_ok_and(|m| m.len() >= end) {
            return false;
        }
        match sys::next_data(file, part.at) {
            None => true,
            Some(data) if data.start >= end => true,
            Some(data) => {
                self.data = data;
                false
            }
        }
    }
}
