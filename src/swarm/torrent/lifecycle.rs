//! Lifecycle of a torrent: stopped, downloading metadata (magnets only), checking, active, stopping.

use std::ops::Range;
use std::time::Instant;

use bytes::Bytes;

use super::state::recovery::Comparison;
use super::{DisconnectReason, Effect, Phase, Torrent};
use crate::format::counted;
use crate::limits;
use crate::swarm::bitfield::Bitfield;
use crate::swarm::job::{DiskFault, DiskJob, FaultKind};
use crate::swarm::view::{Priority, Source};
use crate::wire::message::PieceIndex;

impl Torrent {
    /// Starts the torrent. `have` are the pieces listed in the resume data, `check` those that must be hashed first.
    pub(super) fn start(&mut self, now: Instant, have: &Bytes, check: Vec<Range<u32>>, out: &mut Vec<Effect>) {
        if self.phase != Phase::Stopped {
            return;
        }
        self.started = Some(now);
        self.forget_fault();
        self.peer_list.reset_backoff(now);
        self.web_seeds.reset();
        self.dialing.clear();
        self.info.reset();
        (self.outstanding, self.unwritten) = (0, 0);
        for addr in self.config.peers.clone() {
            self.peer_list.add(now, addr, Source::Manual);
        }
        self.begin_link(now, out);
        if self.has_metadata() { self.begin(now, have, check, out) } else { self.begin_search(now, out) }
    }

    /// Sets the pieces that we have from a BEP 3 bitfield; a bitfield of the wrong size counts as empty.
    ///
    /// For display before the start: [`Input::Start`](super::Input::Start) sets the pieces again.
    pub fn load_resume(&mut self, have: &Bytes) {
        let pieces = self.config.geometry.pieces();
        let have = Bitfield::from_wire(have, pieces).unwrap_or_else(|| Bitfield::new(pieces));
        if have.count() == pieces && self.picker.active() == 0 {
            return self.picker.mark_all_have();
        }
        for piece in self.config.geometry.all() {
            if have.has(piece) { self.picker.mark_have(piece) } else { self.picker.mark_lost(piece) }
        }
    }

    /// Starts a torrent whose metadata is known: hashes the pieces in `check`, or becomes active at once.
    pub(super) fn begin(&mut self, now: Instant, have: &Bytes, check: Vec<Range<u32>>, out: &mut Vec<Effect>) {
        self.load_resume(have);
        self.tell_selection(out);
        if check.iter().all(Range::is_empty) {
            self.go_active(now, out);
        } else {
            self.begin_check(check, out);
        }
    }

    fn begin_check(&mut self, ranges: Vec<Range<u32>>, out: &mut Vec<Effect>) {
        self.phase = Phase::Checking;
        if self.comparison == Comparison::UnderWay {
            self.comparison = Comparison::Due;
        }
        let named: u32 = ranges.iter().map(|r| r.end.saturating_sub(r.start)).sum();
        self.checked = self.config.geometry.pieces().saturating_sub(named);
        out.push(Effect::Disk(DiskJob::Check(ranges)));
    }

    /// Disconnects all peers and hashes all pieces again, at the user's request.
    pub(super) fn verify(&mut self, now: Instant, out: &mut Vec<Effect>) {
        if self.phase != Phase::Active {
            return;
        }
        if self.is_rereading() {
            return self.notify(
                now,
                "pieces that could not be read are being hashed: check all data after that".into(),
                out,
            );
        }
        for key in self.peers.keys().copied().collect::<Vec<_>>() {
            self.disconnect(now, key, DisconnectReason::Stopped, out);
        }
        for piece in self.config.geometry.all() {
            if self.picker.is_active(piece) {
                out.push(Effect::Disk(DiskJob::Forget(piece)));
            }
            self.picker.mark_lost(piece);
        }
        self.forget_fault();
        self.complete = false;
        self.fetched = false;
        self.local.stop();
        self.dht.stop();
        self.notify(now, "checking all data".into(), out);
        let all = 0..self.config.geometry.pieces();
        self.begin_check(std::iter::once(all).collect(), out);
    }

    /// Handles the result of the final comparison.
    ///
    /// Pieces of modified files are hashed before the torrent completes.
    pub(super) fn compared(&mut self, now: Instant, result: Result<Vec<Range<u32>>, DiskFault>, out: &mut Vec<Effect>) {
        let recovers = self.takes_comparison() && self.fault.is_some();
        if self.phase != Phase::Active || !(recovers || self.comparison == Comparison::UnderWay) {
            return;
        }
        self.comparison = Comparison::Done;
        match result {
            Ok(changed) if recovers && self.is_changed() && changed.iter().all(Range::is_empty) => {
                self.on_probe_succeeded(now, out);
            }
            Ok(changed) if changed.iter().all(Range::is_empty) => self.check_complete(now, out),
            Ok(changed) => {
                for key in self.peers.keys().copied().collect::<Vec<_>>() {
                    self.disconnect(now, key, DisconnectReason::Stopped, out);
                }
                self.drop_unfinished(out);
                changed.iter().cloned().flatten().for_each(|piece| self.picker.mark_lost(PieceIndex(piece)));
                if self.is_changed() {
                    self.begin_again();
                    self.complete = false;
                }
                self.local.stop();
                self.dht.stop();
                self.notify(now, "files changed by another program: checking them".into(), out);
                self.begin_check(changed, out);
            }
            Err(fault) => {
                self.comparison = Comparison::Due;
                if recovers { self.on_probe_failed(now, fault, out) } else { self.halt(now, fault, out) }
            }
        }
    }

    /// Handles the hash results of consecutive pieces, starting at `first`.
    pub(super) fn checked(&mut self, first: PieceIndex, good: &[bool]) {
        self.checked = (self.checked + good.len() as u32).min(self.config.geometry.pieces());
        for (n, good) in good.iter().enumerate() {
            let piece = PieceIndex(first.0 + n as u32);
            if *good { self.picker.mark_have(piece) } else { self.picker.mark_lost(piece) }
        }
    }

    /// Handles the end of a check.
    pub(super) fn check_done(&mut self, now: Instant, fault: Option<DiskFault>, out: &mut Vec<Effect>) {
        if self.phase != Phase::Checking {
            return;
        }
        if fault.as_ref().is_some_and(|fault| self.is_occupied(now, fault, out)) {
            return;
        }
        self.go_active(now, out);
        if let Some(fault) = fault {
            let lacking: Vec<_> = self.config.geometry.all().filter(|p| !self.picker.have().has(*p)).collect();
            self.unreadable(now, lacking, fault, out);
        }
    }

    /// Stops the torrent if foreign files occupy its paths or a name is refused, and returns whether that is the case.
    pub(super) fn is_occupied(&mut self, now: Instant, fault: &DiskFault, out: &mut Vec<Effect>) -> bool {
        let occupied = fault.kind.is_in_the_way() || fault.kind == FaultKind::NameRefused;
        if occupied {
            self.write_log(now, fault.text.clone());
            out.push(Effect::Occupied(fault.clone()));
            self.stop(now, out);
        }
        occupied
    }

    fn go_active(&mut self, now: Instant, out: &mut Vec<Effect>) {
        self.phase = Phase::Active;
        self.checked = self.config.geometry.pieces();
        self.complete = false;
        // A check caused by the final comparison is part of the download: keep `fetched`, so that completion is
        // reported.
        self.fetched &= self.comparison == Comparison::Done;
        if self.picker.missing() > 0 {
            self.peer_list.wanted_again(now);
        }
        self.check_complete(now, out);
        let (have, all) = (self.picker.have().count(), self.config.geometry.pieces());
        self.write_log(now, format!("started with {have} of {}", counted(all, "piece")));
        self.start_discovery(now);
        out.push(Effect::CheckDone);
    }

    /// Starts tracker announces, DHT and LSD, except for those already started.
    pub(super) fn start_discovery(&mut self, now: Instant) {
        self.trackers.start(now);
        self.start_dht(now);
        match (self.looks_local(), self.local.deadline()) {
            (true, None) => self.local.start(now),
            (true, Some(_)) => {}
            (false, _) => self.local.stop(),
        }
    }

    /// Begins to stop: disconnects all peers, sends `stopped` announces and saves the resume data.
    pub(super) fn stop(&mut self, now: Instant, out: &mut Vec<Effect>) {
        match self.phase {
            Phase::Stopped | Phase::Stopping { .. } => return,
            Phase::Metadata | Phase::Checking | Phase::Active => {}
        }
        self.search = None;
        for key in self.peers.keys().copied().collect::<Vec<_>>() {
            self.disconnect(now, key, DisconnectReason::Stopped, out);
        }
        self.drop_unfinished(out);
        self.dialing.clear();
        self.round_at = None;
        self.local.stop();
        self.dht.stop();
        if self.is_live() {
            self.trackers.stop(now);
        }
        self.record_totals(now, true, out);
        // Without metadata there is no resume data to save; if no tracker is waited for, the files are closed at once, which
        // saves it.
        let saved = !self.has_metadata() || self.trackers.stopped(now);
        self.phase = Phase::Stopping { saved, until: now + limits::LAST_ANNOUNCE };
        if !saved {
            out.push(Effect::Disk(DiskJob::Save));
        }
    }

    /// Gives up what is known of pieces that are not whole.
    fn drop_unfinished(&mut self, out: &mut Vec<Effect>) {
        for piece in self.config.geometry.all().filter(|p| self.picker.is_active(*p)).collect::<Vec<_>>() {
            self.picker.mark_lost(piece);
            out.push(Effect::Disk(DiskJob::Forget(piece)));
        }
    }

    /// Tells the disk which files are not wanted.
    pub(super) fn tell_selection(&self, out: &mut Vec<Effect>) {
        let files = self.config.files.iter().zip(&self.files_wanted).enumerate();
        let skipped = files.filter(|(_, (span, priority))| !span.pad && **priority == Priority::Skip);
        // A torrent has fewer than 2^32 files.
        out.push(Effect::Disk(DiskJob::Select(skipped.map(|(file, _)| file as u32).collect())));
    }

    /// Handles the completed save of the resume data, which a stop waits for.
    pub(super) const fn saved(&mut self) {
        if let Phase::Stopping { saved, .. } = &mut self.phase {
            *saved = true;
        }
    }

    /// Sets file priorities. A piece gets the highest priority of its files; a piece of padding only gets the default.
    /// Of a torrent that is only seeded, no piece is fetched whatever the priorities.
    pub(super) fn set_priorities(&mut self, files: &[(usize, Priority)]) {
        for (file, priority) in files {
            if let Some(wanted) = self.files_wanted.get_mut(*file) {
                *wanted = *priority;
            }
        }
        self.picker.set_unwanted(self.unwanted().into_iter());
        let mut pieces: Vec<Option<Priority>> = vec![None; self.config.geometry.pieces() as usize];
        for (span, priority) in self.config.files.iter().zip(&self.files_wanted).filter(|(span, _)| !span.pad) {
            for piece in self.config.geometry.pieces_of(span.offset..span.offset + span.length) {
                let slot = &mut pieces[piece as usize];
                *slot = (*slot).max(Some(*priority));
            }
        }
        for (piece, priority) in pieces.into_iter().enumerate() {
            let priority = if self.config.seed_only { Priority::Skip } else { priority.unwrap_or_default() };
            self.picker.set_priority(PieceIndex(piece as u32), priority);
        }
    }
}
