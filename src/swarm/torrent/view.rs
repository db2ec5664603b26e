//! Builds the [`TorrentView`], the snapshot of a torrent for display.

use std::time::{Duration, Instant};

use super::{Phase, Torrent};
use crate::swarm::data_map::Amounts;
use crate::swarm::diagnosis::diagnose;
use crate::swarm::rate::RateMeter;
use crate::swarm::view::{Detail, FileRow, LogLine, PeerRow, PieceMapCell, Priority, RateLimits, State, TorrentView};
use crate::wire::message::PieceIndex;

impl Torrent {
    /// Returns a snapshot of the torrent, with all details if `detail` is set.
    #[must_use]
    pub fn view(&self, now: Instant, detail: bool) -> TorrentView {
        let facts = self.facts(now, detail);
        let missing = facts.missing;
        let Amounts { size, wanted, done, to_fetch, .. } = self.picker.amounts();
        let totals = self.totals();
        // Meters of a stopped torrent are not updated: show rates of zero.
        let rate = |meter: &RateMeter| if self.phase == Phase::Stopped { 0 } else { meter.rate(now) };
        let (down, up, pace) = (rate(&self.down), rate(&self.up), rate(&self.display_rate));
        // From the rate of the last half minute: with that of the last seconds the ETA would jump.
        let moves = to_fetch > 0 && pace > 0 && down > 0 && self.fault.is_none();
        let eta = moves.then(|| Duration::from_secs(to_fetch.div_ceil(pace)));
        let mut view = TorrentView {
            age: Duration::ZERO,
            name: self.config.name.clone(),
            name_on_disk: self.config.name_on_disk.clone(),
            info_hash: Some(self.config.info_hash),
            size,
            wanted,
            done,
            pieces: self.config.geometry.pieces(),
            metadata: self.search.as_ref().map(|search| search.progress().pieces).unwrap_or_default(),
            have: self.picker.have().count(),
            checked: self.checked,
            state: self.state(),
            error: self.fault.as_ref().map(|f| f.text.clone()),
            fault: self.fault.as_ref().map(|f| f.kind),
            down,
            up,
            downloaded: totals.downloaded,
            uploaded: totals.uploaded,
            wasted: self.wasted,
            peers: self.peers.len() as u32,
            seeds: facts.seeds,
            known: self.peer_list.len() as u32,
            eta,
            active: self.started.map_or(Duration::ZERO, |at| now.saturating_duration_since(at)),
            sequential: self.picker.sequential(),
            private: self.config.private,
            super_seed: self.config.super_seed,
            rank: self.config.quota.rank,
            limits: RateLimits { down: self.down_limit[super::OWN].limit(), up: self.up_limit[super::OWN].limit() },
            added: self.config.added,
            finished: self.config.finished,
            why: diagnose(facts, detail),
            detail: None,
        };
        if detail {
            view.detail = Some(Box::new(self.detail(now, missing, pace)));
        }
        view
    }

    pub(super) fn state(&self) -> State {
        match self.phase {
            Phase::Stopped | Phase::Stopping { .. } => State::Paused,
            Phase::Metadata => State::Metadata,
            Phase::Checking => State::Checking,
            Phase::Active if self.fault.is_some() => State::Error,
            Phase::Active if self.complete => State::Seeding,
            Phase::Active => State::Downloading,
        }
    }

    fn detail(&self, now: Instant, missing: u32, pace: u64) -> Detail {
        let line =
            |(at, text): &(Instant, String)| LogLine { ago: now.saturating_duration_since(*at), text: text.clone() };
        let pieces = self.config.geometry.pieces();
        let (rarest, above) = self.distributed_copies();
        Detail {
            cells: self.cells(),
            copies: f32::from(rarest) + if pieces == 0 { 0.0 } else { above as f32 / pieces as f32 },
            missing,
            peers: self.peer_rows(now),
            disconnected: self.departures(now),
            sources: self.sources(now),
            peer: self.peer_detail(now),
            piece: self.piece_detail(now),
            meta: self.config.meta.clone(),
            files: self.file_rows(pace),
            trackers: self.tracker_rows(now),
            piece_length: self.config.geometry.piece_length(),
            folder: self.config.folder.clone(),
            log: self.log.iter().map(line).collect(),
        }
    }

    /// Returns the number of copies of the rarest piece, including ours, and how many pieces have more copies.
    fn distributed_copies(&self) -> (u16, u32) {
        let have = self.picker.have();
        let (mut rarest, mut as_rare, pieces) = (u16::MAX, 0, self.config.geometry.pieces());
        for piece in self.config.geometry.all() {
            let copies = self.picker.copies(piece).saturating_add(u16::from(have.has(piece)));
            match copies.cmp(&rarest) {
                std::cmp::Ordering::Less => (rarest, as_rare) = (copies, 1),
                std::cmp::Ordering::Equal => as_rare += 1,
                std::cmp::Ordering::Greater => {}
            }
        }
        if pieces == 0 { (0, 0) } else { (rarest, pieces - as_rare) }
    }

    fn cells(&self) -> Vec<PieceMapCell> {
        let pieces = self.config.geometry.pieces();
        let run = pieces.div_ceil(Detail::CELLS as u32).max(1);
        let cell = |first: u32| {
            let mut cell = PieceMapCell { rarest: u16::MAX, ..PieceMapCell::default() };
            for piece in (first..(first + run).min(pieces)).map(PieceIndex) {
                cell.pieces += 1;
                if self.picker.have().has(piece) {
                    cell.have += 1;
                } else {
                    cell.active += u16::from(self.picker.is_active(piece));
                    cell.rarest = cell.rarest.min(self.picker.copies(piece));
                }
            }
            if cell.have == cell.pieces {
                cell.rarest = 0;
            }
            cell
        };
        (0..pieces).step_by(run as usize).map(cell).collect()
    }

    fn peer_rows(&self, now: Instant) -> Vec<PeerRow> {
        let row = |(key, p): (&super::PeerKey, &crate::swarm::peer::Peer)| PeerRow {
            key: key.0,
            addr: p.hello.addr,
            host: p.web.as_ref().map(|web| web.host.clone()),
            client: p.client.clone(),
            flags: p.flags(),
            done: p.has.count() as f32 / p.has.len().max(1) as f32,
            down: p.down.rate(now),
            up: p.up.rate(now),
            downloaded: p.down.total(),
            uploaded: p.up.total(),
            requests_out: p.inflight.len() as u32,
            requests_in: p.queue.len() as u32,
            source: p.source,
            age: now.saturating_duration_since(p.since),
            peer_choking: p.peer_choking,
            am_choking: p.am_choking,
            am_interested: p.am_interested,
            peer_interested: p.peer_interested,
            snubbed: p.snubbed,
            failed: p.failed,
        };
        let mut rows: Vec<PeerRow> = self.peers.iter().map(row).collect();
        rows.sort_by_key(|r| (r.addr, r.key));
        rows
    }

    fn file_rows(&self, pace: u64) -> Vec<FileRow> {
        let geometry = &self.config.geometry;
        let row = |(index, (span, priority)): (usize, (&super::FileSpan, &Priority))| {
            let end = span.offset + span.length;
            let mut done = 0;
            for piece in geometry.pieces_of(span.offset..end).map(PieceIndex).filter(|p| self.picker.have().has(*p)) {
                let start = geometry.offset(piece, 0);
                done += (start + u64::from(geometry.piece_size(piece))).min(end) - start.max(span.offset);
            }
            FileRow { index, path: span.path.clone(), size: span.length, done, priority: *priority, eta: None }
        };
        let files = self.config.files.iter().zip(&self.files_wanted).enumerate();
        let mut rows: Vec<FileRow> = files.filter(|(_, (span, _))| !span.pad).map(row).collect();
        if pace > 0 {
            estimate_file_etas(&mut rows, pace, self.picker.sequential());
        }
        rows
    }
}

/// Estimates the ETA of each file.
///
/// Files of one priority finish together, since the rarest pieces are picked across files, and after all files of a
/// higher priority. In sequential mode a file finishes after all files before it.
fn estimate_file_etas(rows: &mut [FileRow], pace: u64, in_order: bool) {
    let mut before = 0;
    for priority in [Priority::High, Priority::Normal, Priority::Low] {
        let these = || rows.iter().filter(|row| row.priority == priority);
        let all: u64 = before + these().map(|row| row.size - row.done).sum::<u64>();
        for row in rows.iter_mut().filter(|row| row.priority == priority && row.done < row.size) {
            before += row.size - row.done;
            let until = if in_order { before } else { all };
            row.eta = Some(Duration::from_secs(until.div_ceil(pace)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(size: u64, done: u64, priority: Priority) -> FileRow {
        FileRow { index: 0, path: String::new(), size, done, priority, eta: None }
    }

    #[test]
    fn files_are_done_with_those_that_are_wanted_as_much_and_after_those_wanted_more() {
        let files = [
            file(100, 0, Priority::Normal),
            file(100, 50, Priority::High),
            file(100, 0, Priority::Skip),
            file(200, 0, Priority::Normal),
            file(100, 100, Priority::Normal),
            file(10, 0, Priority::Low),
        ];
        let told = |in_order| {
            let mut rows = files.clone();
            estimate_file_etas(&mut rows, 10, in_order);
            rows.map(|row| row.eta.map(|eta| eta.as_secs()))
        };
        assert_eq!(told(false), [Some(35), Some(5), None, Some(35), None, Some(36)]);
        assert_eq!(told(true), [Some(15), Some(5), None, Some(35), None, Some(36)]);
    }
}
