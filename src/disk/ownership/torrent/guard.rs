//! What may be written to files that are not known to be the torrent's own.

use std::sync::atomic::Ordering;

use super::Ownership;
use super::words::occupied;
use crate::disk::beneath::{self as below, Access};
use crate::disk::error;
use crate::disk::ownership::record::FileOwner;
use crate::disk::sys;
use crate::swarm::job::DiskFault;
use crate::wire::message::PieceIndex;

impl Ownership {
    /// A check is to come, which tells whose the files in question are.
    pub fn await_judgement(&self) {
        self.unjudged.store(true, Ordering::Release);
    }

    /// Whether nothing at all may be written to a file before a check has told whose it is.
    #[must_use]
    pub fn is_unjudged(&self, file: u32) -> bool {
        self.unjudged.load(Ordering::Acquire) && self.is_guarded(file)
    }

    /// Whether anything has to be asked before this file is written to.
    #[must_use]
    pub fn is_guarded(&self, file: u32) -> bool {
        self.guarded.load(Ordering::Acquire)
            && matches!(
                self.whose(file),
                FileOwner::Undecided | FileOwner::Foreign | FileOwner::OtherTorrent | FileOwner::TakenOver
            )
    }

    /// Whether these bytes are to be written at a place in a guarded file: not where they stand there already.
    ///
    /// # Errors
    /// When they must not: something else stands there.
    pub fn check_write<'a>(&self, n: u32, at: u64, bytes: impl Iterator<Item = &'a [u8]>) -> Result<bool, DiskFault> {
        let whose = self.whose(n);
        let no = || match self.owner(n) {
            Some(owner) => self.refusal(n, &owner),
            None => occupied(&self.path(n), 1, self.was_changed(n).is_some()),
        };
        let Some(file) = self.file(n).filter(|_| matches!(whose, FileOwner::Undecided | FileOwner::OtherTorrent))
        else {
            return Err(no());
        };
        let Ok(open) = below::open(&self.dir, &file.path, Access::Read) else {
            return if whose == FileOwner::Undecided { Ok(true) } else { Err(no()) };
        };
        let length = open.metadata().map_or(0, |meta| meta.len());
        // Of a file that is shorter than it should be, but not empty, nobody knows what its owner means to write to it.
        let (mut at, mut equal, mut blank) = (at, true, length == 0 || length >= file.length);
        let mut there = Vec::new();
        for part in bytes {
            there.clear();
            there.resize(part.len(), 0);
            // What is behind its end is nobody's.
            let known = length.saturating_sub(at).min(part.len() as u64) as usize;
            sys::read_exact_at(&open, &mut there[..known], at)
                .map_err(|error| error::from_io(error::DiskOp::Read, &self.path(n), &error, 0))?;
            equal &= known == part.len() && there == part;
            // Byte by byte: each is the one that comes, or nobody's.
            blank &= there.iter().zip(part).all(|(is, comes)| *is == 0 || is == comes);
            at += part.len() as u64;
        }
        match (equal, blank && whose == FileOwner::Undecided) {
            (true, _) => Ok(false),
            (false, _) if whose == FileOwner::Undecided && self.overwrite.load(Ordering::Acquire) => {
                self.set(n, FileOwner::Created);
                Ok(true)
            }
            (false, true) => Ok(true),
            (false, false) => Err(no()),
        }
    }

    /// Takes note of a piece that is whole: what was in question in it is the torrent's, but for files whose bytes of it are
    /// `held` in the part file.
    pub fn on_piece_verified(&self, piece: u32, held: &dyn Fn(u32) -> bool) {
        if !self.guarded.load(Ordering::Acquire) {
            return;
        }
        for segment in self.layout.segments(self.layout.bytes_of(PieceIndex(piece))) {
            let n = segment.file as u32;
            if self.whose(n) == FileOwner::Undecided && !held(n) {
                self.set(n, FileOwner::Existing);
            }
        }
    }
}
