//! I/O while some files are unwanted: their bytes are in the part file (see [`crate::disk::part`]).

use std::fs::File;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use bytes::Bytes;

use super::{BEGUN, CHANGED, DIRTY, Files, NEW, SIZED};
use crate::disk::beneath::{self, Access};
use crate::disk::error::{self, DiskOp};
use crate::disk::part::{PartFile, Slot, Table, Target};
use crate::disk::resume_format::JournalEntry;
use crate::disk::sys;
use crate::swarm::job::DiskFault;
use crate::wire::message::PieceIndex;

/// Bytes copied at once when data are moved out of the part file.
const CHUNK: u64 = 256 * 1024;

/// The bytes of one file within one piece.
#[derive(Clone, Copy)]
struct Span {
    file: u32,
    piece: PieceIndex,
    /// Offset within the torrent.
    offset: u64,
    /// Offset within the file.
    at: u64,
    length: u64,
}

impl Files {
    /// Returns which files are unwanted, and the index of the part file.
    #[must_use]
    pub fn parts(&self) -> &PartFile {
        &self.parts
    }

    /// Returns the index that stands for the part file: the one after the last file.
    #[must_use]
    pub fn part(&self) -> u32 {
        self.layout.files().len() as u32
    }

    /// Splits a range of the torrent into spans that lie in one file and one piece.
    fn spans(&self, offset: u64, length: u64) -> impl Iterator<Item = Span> + '_ {
        let (size, end) = (u64::from(self.layout.geometry().piece_length()), offset + length);
        let pieces = offset / size..end.div_ceil(size);
        pieces.flat_map(move |piece| {
            let start = offset.max(piece * size);
            let mut at = start;
            self.layout.segments(start..end.min((piece + 1) * size)).map(move |segment| {
                let offset = at;
                at += segment.length;
                // The number of pieces fits into 32 bits.
                let piece = PieceIndex(piece as u32);
                Span { file: segment.file as u32, piece, offset, at: segment.at, length: segment.length }
            })
        })
    }

    /// Returns the index of the file that stores a file's bytes within a piece: its own or the part file's.
    #[must_use]
    pub fn holder(&self, file: usize, piece: PieceIndex) -> u32 {
        let file = file as u32;
        if self.parts.find(file, piece).is_some() { self.part() } else { file }
    }

    fn is_pad(&self, file: u32) -> bool {
        self.layout.files().get(file as usize).is_some_and(|f| f.pad)
    }

    /// As [`Files::read`], but reads bytes from the part file where they are stored there.
    pub(super) fn read_parted(&self, offset: u64, mut into: &mut [u8]) -> Result<(), DiskFault> {
        for span in self.spans(offset, into.len() as u64) {
            let (bytes, rest) = into.split_at_mut(span.length as usize);
            into = rest;
            if self.is_pad(span.file) {
                bytes.fill(0);
                continue;
            }
            // Locked during the read, so that no slot is moved meanwhile.
            let table = self.parts.read();
            match table.find(span.file, span.piece) {
                Some(slot) => self.read_file(self.part(), bytes, slot.position(span.offset))?,
                None => self.read_file(span.file, bytes, span.at)?,
            }
        }
        Ok(())
    }

    /// As [`Files::write`], but writes bytes of unwanted files to the part file.
    pub(super) fn write_parted(
        &self,
        offset: u64,
        slices: &[Bytes],
        journal: &dyn Fn(JournalEntry),
    ) -> Result<(), DiskFault> {
        let length: u64 = slices.iter().map(|s| s.len() as u64).sum();
        let mut done = 0;
        for span in self.spans(offset, length) {
            if !self.is_pad(span.file) {
                self.write_span(span, slices, done, journal)?;
            }
            done += span.length;
        }
        Ok(())
    }

    fn write_span(
        &self,
        span: Span,
        slices: &[Bytes],
        done: u64,
        journal: &dyn Fn(JournalEntry),
    ) -> Result<(), DiskFault> {
        let run = (done, span.length);
        {
            let table = self.parts.read();
            match table.target(span.file, span.piece) {
                Target::Own => return self.write_file(span.file, slices, run, span.at, journal),
                Target::Slot(slot) => return self.write_slot(slot, span, slices, done, journal),
                Target::NewSlot => {}
            }
        }
        let slot = self.make_slot(&mut self.parts.write(), span.file, span.piece, journal)?;
        // Between the locks the slot can only disappear if the file became wanted and its slots were moved to it.
        let table = self.parts.read();
        match table.target(span.file, span.piece) {
            Target::Own => self.write_file(span.file, slices, run, span.at, journal),
            _ => self.write_slot(slot, span, slices, done, journal),
        }
    }

    fn write_slot(
        &self,
        slot: Slot,
        span: Span,
        slices: &[Bytes],
        done: u64,
        journal: &dyn Fn(JournalEntry),
    ) -> Result<(), DiskFault> {
        self.detach(self.part())?;
        let _writing = self.writing.read().unwrap_or_else(PoisonError::into_inner);
        let part = self.part_writer()?;
        self.touch(self.part(), journal);
        let written = sys::write_all_at(&part, slices, done, span.length, slot.position(span.offset));
        written.map_err(|error| self.part_fault(DiskOp::Write, &error))
    }

    /// Records that a file is about to be written to without `Stamps::begin` and `Stamps::end`.
    fn touch(&self, file: u32, journal: &dyn Fn(JournalEntry)) {
        self.raise(file, DIRTY);
        self.stamps.touch(file, journal);
    }

    fn part_fault(&self, doing: DiskOp, error: &io::Error) -> DiskFault {
        error::from_io(doing, &self.path(self.part()), error, self.still_needed())
    }

    /// Returns the part file opened for writing; creates it if it never existed.
    fn part_writer(&self) -> Result<Arc<File>, DiskFault> {
        let (n, key) = (self.part(), (self.id, self.part()));
        if self.flag(n, CHANGED) {
            return Err(error::changed(&self.path(n), "is missing or was changed"));
        }
        if let Some(open) = self.handles.get(key, true) {
            return Ok(open);
        }
        let path = &self.part_entry.path;
        let opened = match self.open(path, Access::Write) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if self.flag(n, BEGUN) {
                    return Err(self.lost(n, "is missing"));
                }
                match self.create(path)? {
                    // Another thread has created it meanwhile.
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => self.open(path, Access::Write),
                    other => other,
                }
            }
            other => other,
        };
        let opened = opened.map_err(|error| self.part_fault(DiskOp::Open, &error))?;
        self.raise(n, BEGUN | NEW);
        Ok(self.handles.put(key, opened, true))
    }

    /// Allocates a slot for the bytes of a file within a piece, unless there is one.
    ///
    /// Copies the bytes that the file itself has there, because from now on they are read from the slot.
    fn make_slot(
        &self,
        table: &mut Table,
        file: u32,
        piece: PieceIndex,
        journal: &dyn Fn(JournalEntry),
    ) -> Result<Slot, DiskFault> {
        if let Some(slot) = table.find(file, piece) {
            return Ok(slot);
        }
        self.detach(self.part())?;
        let part = self.part_writer()?;
        self.touch(self.part(), journal);
        let made = table.make(&part, &self.layout, file, piece);
        let slot = made.map_err(|error| self.part_fault(DiskOp::Allocate, &error))?;
        self.parts.settled(table);
        let entry = self.file(file)?;
        let Ok(own) = self.open(&entry.path, Access::Read) else { return Ok(slot) };
        let there = own.metadata().map_or(0, |meta| meta.len());
        let bytes = slot.bytes();
        let end = bytes.end.min(entry.offset + there.min(entry.length));
        if bytes.start < end {
            let from = (bytes.start - entry.offset, slot.position(bytes.start));
            copy(&own, &part, from, end - bytes.start).map_err(|error| self.part_fault(DiskOp::Write, &error))?;
        }
        Ok(slot)
    }

    /// Moves data of wanted files from the part file to these files.
    ///
    /// Returns whether there was anything to move.
    ///
    /// # Errors
    /// The first fault; data that could not be moved stay in the part file and are read from there.
    pub fn move_wanted(&self, journal: &dyn Fn(JournalEntry)) -> Result<bool, DiskFault> {
        if !self.parts.is_used() {
            return Ok(false);
        }
        let files = self.parts.read().wanted_files();
        let mut first = Ok(!files.is_empty());
        for file in files {
            // Locked per file, so that other threads can do I/O in between.
            let mut table = self.parts.write();
            if let Err(fault) = self.move_to_own(&mut table, file, journal) {
                first = first.and(Err(fault));
            }
        }
        let mut table = self.parts.write();
        if table.is_empty() && (table.has_file() || self.flag(self.part(), BEGUN)) {
            self.remove_part(&mut table)?;
        }
        self.parts.settled(&table);
        first
    }

    fn move_to_own(&self, table: &mut Table, file: u32, journal: &dyn Fn(JournalEntry)) -> Result<(), DiskFault> {
        if table.is_unwanted(file) || self.ownership.is_unjudged(file) {
            return Ok(());
        }
        self.detach(self.part())?;
        let part = self.part_writer()?;
        let offset = self.file(file)?.offset;
        let slots = table.slots_of(file);
        let mut moving = Vec::new();
        for (_, slot) in &slots {
            if self.is_to_move(&part, file, slot, offset)? {
                moving.push(*slot);
            }
        }
        self.touch(self.part(), journal);
        if !moving.is_empty() {
            self.move_slots(&part, file, &moving, journal)?;
        }
        for (piece, _) in slots {
            let dropped = table.drop_slot(&part, file, piece);
            dropped.map_err(|error| self.part_fault(DiskOp::Write, &error))?;
        }
        Ok(())
    }

    /// Whether the bytes of a slot are to be written to their file: not where they stand there already.
    ///
    /// # Errors
    /// When they must not be: the file is not the torrent's, and something else stands there.
    fn is_to_move(&self, part: &File, file: u32, slot: &Slot, offset: u64) -> Result<bool, DiskFault> {
        if !self.ownership.is_guarded(file) {
            return Ok(true);
        }
        let (mut at, end) = (slot.bytes().start, slot.bytes().end);
        let (mut buffer, mut differs) = (Vec::new(), false);
        while at < end {
            buffer.resize((end - at).min(CHUNK) as usize, 0);
            let read = sys::read_exact_at(part, &mut buffer, slot.position(at));
            read.map_err(|error| self.part_fault(DiskOp::Read, &error))?;
            differs |= self.ownership.check_write(file, at - offset, std::iter::once(&buffer[..]))?;
            at += buffer.len() as u64;
        }
        Ok(differs)
    }

    /// Copies what slots hold to their file.
    fn move_slots(
        &self,
        part: &File,
        file: u32,
        slots: &[Slot],
        journal: &dyn Fn(JournalEntry),
    ) -> Result<(), DiskFault> {
        self.detach(file)?;
        let own = self.writer(file)?;
        self.touch(file, journal);
        let words = |error: io::Error| error::from_io(DiskOp::Write, &self.path(file), &error, self.still_needed());
        let offset = self.file(file)?.offset;
        for slot in slots {
            let bytes = slot.bytes();
            let from = (slot.position(bytes.start), bytes.start - offset);
            let copied = copy(part, &own, from, bytes.end - bytes.start);
            copied.map_err(words)?;
        }
        // The slots must not be gone after a power cut, and the bytes neither here nor there.
        own.sync_data().map_err(words)
    }

    /// Makes the wanted files that have no bytes and so would never be written.
    ///
    /// # Errors
    /// If a file cannot be created, or something else is at its path.
    pub fn make_empty_files(&self) -> Result<(), DiskFault> {
        for (n, file) in self.layout.files().iter().enumerate().filter(|(_, f)| f.length == 0 && !f.pad) {
            let n = n as u32;
            if self.parts.is_unwanted(n) {
                continue;
            }
            match self.create(&file.path).inspect_err(|_| self.begun.store(false, Ordering::Release))? {
                Ok(_) => {
                    self.raise(n, BEGUN | SIZED | NEW | DIRTY);
                    self.ownership.on_file_created(n);
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => drop(self.stat(n)?),
                Err(error) => {
                    self.begun.store(false, Ordering::Release);
                    return Err(error::from_io(DiskOp::Open, &self.path(n), &error, self.still_needed()));
                }
            }
        }
        Ok(())
    }

    /// Deletes the part file, which has no slots in use any more.
    fn remove_part(&self, table: &mut Table) -> Result<(), DiskFault> {
        let n = self.part();
        self.handles.close((self.id, n));
        match beneath::remove_file(&self.dir, &self.part_entry.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(self.part_fault(DiskOp::Delete, &error)),
            _ => {
                self.lower(n, BEGUN | SIZED | DIRTY | NEW);
                self.stamps.set(n, None);
                table.clear();
                Ok(())
            }
        }
    }
}

/// Copies `length` bytes from one file offset to an offset in another file.
fn copy(from: &File, to: &File, (mut at, mut there): (u64, u64), mut length: u64) -> io::Result<()> {
    let mut buffer = Vec::new();
    while length > 0 {
        let take = length.min(CHUNK);
        buffer.resize(take as usize, 0);
        sys::read_exact_at(from, &mut buffer, at)?;
        sys::write_all_at(to, &[Bytes::from(std::mem::take(&mut buffer))], 0, take, there)?;
        (at, there, length) = (at + take, there + take, length - take);
    }
    Ok(())
}
