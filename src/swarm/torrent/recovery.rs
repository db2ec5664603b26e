//! Recovery from disk errors: downloading pauses, uploading continues, and the disk is probed at intervals.
//!
//! Nothing is asked of anybody until a write has succeeded at the very place that failed, or until the pieces that could
//! not be read have been hashed. Where another program has removed or changed files, the pieces of these files are hashed.

use std::collections::BTreeSet;
use std::ops::Range;
use std::time::Instant;

use super::state::recovery::Recovery;
use super::{Effect, PeerKey, Phase, Torrent};
use crate::swarm::job::{DiskFault, DiskJob, FaultKind, Probe, pause};
use crate::wire::message::PieceIndex;

impl Torrent {
    /// Handles a failed write of a piece.
    pub(super) fn on_write_failed(&mut self, now: Instant, piece: PieceIndex, fault: DiskFault, out: &mut Vec<Effect>) {
        self.picker.mark_lost(piece);
        self.release_piece(piece);
        if self.is_occupied(now, &fault, out) {
            return;
        }
        self.recovery.unwritten = Some(piece);
        self.halt(now, fault, out);
    }

    /// What the part file holds of wanted files could not be moved to them.
    pub(super) fn unplaced(&mut self, now: Instant, fault: DiskFault, out: &mut Vec<Effect>) {
        if !self.is_occupied(now, &fault, out) {
            self.halt(now, fault, out);
        }
    }

    /// These pieces could not be read.
    pub(super) fn unreadable(
        &mut self,
        now: Instant,
        pieces: impl IntoIterator<Item = PieceIndex>,
        fault: DiskFault,
        out: &mut Vec<Effect>,
    ) {
        self.recovery.unread.extend(pieces);
        self.halt(now, fault, out);
    }

    /// Halts the download because of a disk error and schedules a probe, unless the error is permanent.
    pub(super) fn halt(&mut self, now: Instant, fault: DiskFault, out: &mut Vec<Effect>) {
        let before = self.fault.replace(fault.clone());
        match fault.kind {
            FaultKind::Final => self.recovery.at = None,
            // One that is under way already is enough.
            _ if before.is_some() && (self.recovery.at.is_some() || self.recovery.hashing) => {}
            _ => self.recovery.at = Some(now + pause(self.recovery.tries)),
        }
        if before.is_none() {
            for key in self.peers.keys().copied().collect::<Vec<PeerKey>>() {
                self.release_requests(key, true, out);
            }
        }
        if before.is_none_or(|before| before.text != fault.text) {
            self.notify(now, fault.text, out);
        }
    }

    /// Starts a probe if one is due.
    pub(super) fn probe(&mut self, now: Instant, out: &mut Vec<Effect>) {
        if self.recovery.at.is_none_or(|at| now < at) {
            return;
        }
        self.recovery.at = None;
        if self.is_changed() {
            self.recovery.comparing = true;
            out.push(Effect::Disk(DiskJob::Compare));
            return;
        }
        out.push(Effect::Disk(DiskJob::Probe(self.recovery.unwritten.map_or(Probe::Read, Probe::Write))));
    }

    /// Another program has removed, replaced or cut a file that is worked on.
    pub(super) fn lost(&mut self, now: Instant, fault: DiskFault, out: &mut Vec<Effect>) {
        if self.phase == Phase::Active {
            self.halt(now, fault, out);
        }
    }

    /// Whether a comparison of the files that it has asked for has been answered.
    pub(super) const fn takes_comparison(&mut self) -> bool {
        std::mem::replace(&mut self.recovery.comparing, false)
    }

    /// Whether the fault is that files were changed.
    pub(super) fn is_changed(&self) -> bool {
        self.fault.as_ref().is_some_and(|fault| fault.kind == FaultKind::Changed)
    }

    /// What the files were changed in is going to be hashed: the fault is over, but for the pauses, which go on growing
    /// until a piece is verified.
    pub(super) fn begin_again(&mut self) {
        let tries = self.recovery.tries.saturating_add(1);
        self.forget_fault();
        self.recovery.tries = tries;
    }

    /// The probe has gone well.
    pub(super) fn on_probe_succeeded(&mut self, now: Instant, out: &mut Vec<Effect>) {
        if self.fault.is_none() || self.recovery.at.is_some() {
            return;
        }
        self.recovery.unwritten = None;
        if self.recovery.unread.is_empty() {
            self.recovered(now, out);
        } else {
            self.recovery.hashing = true;
            out.push(Effect::Disk(DiskJob::Check(runs(&self.recovery.unread))));
        }
    }

    /// Handles a failed probe: increases the pause and schedules the next probe.
    pub(super) fn on_probe_failed(&mut self, now: Instant, fault: DiskFault, out: &mut Vec<Effect>) {
        self.recovery.hashing = false;
        if self.fault.is_some() {
            self.recovery.tries = self.recovery.tries.saturating_add(1);
            self.recovery.at = None;
            self.halt(now, fault, out);
        }
    }

    /// Handles the hash results of unreadable pieces while the torrent is halted.
    pub(super) fn reread(&mut self, now: Instant, first: PieceIndex, good: &[bool], out: &mut Vec<Effect>) {
        for (piece, _) in (first.0..).map(PieceIndex).zip(good).filter(|(_, good)| **good) {
            self.on_piece_verified(now, piece, &[], out);
        }
    }

    /// Handles the end of hashing the unreadable pieces.
    pub(super) fn reread_all(&mut self, now: Instant, fault: Option<DiskFault>, out: &mut Vec<Effect>) {
        if !self.recovery.hashing {
            return;
        }
        match fault {
            Some(fault) if self.is_occupied(now, &fault, out) => self.recovery.hashing = false,
            Some(fault) => self.on_probe_failed(now, fault, out),
            None => {
                self.recovery.hashing = false;
                self.recovery.unread.clear();
                self.recovered(now, out);
            }
        }
    }

    fn recovered(&mut self, now: Instant, out: &mut Vec<Effect>) {
        self.fault = None;
        // The pauses keep growing until a piece is verified: an error that returns before that is the same one.
        self.recovery.tries = self.recovery.tries.saturating_add(1);
        self.freed = true;
        self.notify(now, "the disk works again: resuming".into(), out);
        // Data that could not be moved to newly wanted files may be movable now.
        self.tell_selection(out);
        self.check_complete(now, out);
    }

    /// Returns whether unreadable pieces are being hashed while the torrent is active.
    pub(super) const fn is_rereading(&self) -> bool {
        matches!(self.phase, Phase::Active) && self.recovery.hashing
    }

    /// Resets the pause between probes, because a piece was verified.
    pub(super) const fn reset_probe_pause(&mut self) {
        self.recovery.tries = 0;
    }

    /// Clears the disk error and the recovery state.
    pub(super) fn forget_fault(&mut self) {
        self.fault = None;
        self.recovery = Recovery::default();
    }
}

/// Groups piece indices into ranges.
fn runs(pieces: &BTreeSet<PieceIndex>) -> Vec<Range<u32>> {
    let mut runs: Vec<Range<u32>> = Vec::new();
    for piece in pieces {
        match runs.last_mut().filter(|run| run.end == piece.0) {
            Some(run) => run.end += 1,
            None => runs.push(piece.0..piece.0 + 1),
        }
    }
    runs
}
