//! What a person may see of a torrent.

use std::time::{Duration, Instant};

use super::{Phase, Torrent};
use crate::swarm::rate::Meter;
use crate::swarm::reason::{Facts, reason};
use crate::swarm::view::{Cell, Detail, FileRow, PeerRow, Priority, State, TorrentView};
use crate::wire::message::PieceIndex;

impl Torrent {
    /// The torrent as its row shows it, and with all its parts when `detail` is asked for.
    #[must_use]
    pub fn view(&self, now: Instant, detail: bool) -> TorrentView {
        let geometry = &self.config.geometry;
        let size_of = |p: PieceIndex| u64::from(geometry.piece_size(p));
        let done: u64 = self.done_bytes();
        let left = self.left();
        // Nobody runs a stopped torrent: its last rates are no rates.
        let rate = |meter: &Meter| if self.phase == Phase::Stopped { 0 } else { meter.rate(now) };
        let (down, up) = (rate(&self.down), rate(&self.up));
        let eta = (left > 0 && down > 0).then(|| Duration::from_secs(left.div_ceil(down)));
        let mut view = TorrentView {
            name: self.config.name.clone(),
            size: geometry.total(),
            wanted: done + left,
            done,
            pieces: geometry.pieces(),
            have: self.picker.have().count(),
            checked: self.checked,
            state: self.state(),
            error: self.fault.as_ref().map(|f| f.text.clone()),
            down,
            up,
            downloaded: self.down.total(),
            uploaded: self.up.total(),
            wasted: self.wasted,
            peers: self.peers.len() as u32,
            seeds: self.peers.values().filter(|p| p.is_seed()).count() as u32,
            known: self.candidates.len() as u32,
            eta,
            active: self.started.map_or(Duration::ZERO, |at| now.saturating_duration_since(at)),
            sequential: self.picker.sequential(),
            private: self.config.private,
            super_seed: false,
            rank: Priority::Normal,
            limits: (self.down_limit[super::OWN].limit(), self.up_limit[super::OWN].limit()),
            added: 0,
            finished: None,
            why: reason(&self.facts(now)),
            detail: None,
        };
        if detail {
            view.detail = Some(Box::new(self.detail(now, size_of)));
        }
        view
    }

    fn done_bytes(&self) -> u64 {
        let have = self.picker.have();
        let last = PieceIndex(self.config.geometry.pieces().saturating_sub(1));
        let full = u64::from(have.count()) * u64::from(self.config.geometry.piece_length());
        let short = self.config.geometry.piece_length() - self.config.geometry.piece_size(last);
        full - if have.has(last) { u64::from(short) } else { 0 }
    }

    fn state(&self) -> State {
        match self.phase {
            Phase::Stopped | Phase::Stopping { .. } => State::Paused,
            Phase::Checking => State::Checking,
            Phase::Active if self.fault.is_some() => State::Error,
            Phase::Active if self.complete => State::Seeding,
            Phase::Active => State::Downloading,
        }
    }

    fn facts(&self, now: Instant) -> Facts {
        let peers = || self.peers.values();
        let limit = |buckets: &[crate::swarm::rate::Bucket; 2]| buckets.iter().filter_map(|b| b.limit()).min();
        let missing = if self.phase == Phase::Active && !peers().any(|p| p.is_seed()) {
            let lacking = self.config.geometry.all().filter(|p| self.picker.wants(*p));
            lacking.filter(|p| self.picker.copies(*p) == 0).count() as u32
        } else {
            0
        };
        Facts {
            state: self.state(),
            fault: self.fault.as_ref().map(|f| f.text.clone()),
            checked: self.checked,
            pieces: self.config.geometry.pieces(),
            lacking: self.picker.lacking(),
            missing,
            peers: self.peers.len() as u32,
            seeds: peers().filter(|p| p.is_seed()).count() as u32,
            interesting: peers().filter(|p| p.interesting).count() as u32,
            choking: peers().filter(|p| p.interesting && p.chokes_us).count() as u32,
            snubbed: peers().filter(|p| p.snubbed).count() as u32,
            giving: peers().filter(|p| p.down.rate(now) > 0).count() as u32,
            interested: peers().filter(|p| p.interested).count() as u32,
            taking: peers().filter(|p| p.up.rate(now) > 0).count() as u32,
            known: self.candidates.len() as u32,
            dead: self.candidates.dead() as u32,
            dialing: self.dialing.len() as u32,
            banned: self.candidates.bans() as u32,
            trackers: self.trackers.rows(now).iter().map(|t| (t.url.clone(), t.status.clone(), t.failed)).collect(),
            down: self.down.rate(now),
            up: self.up.rate(now),
            down_limit: limit(&self.down_limit),
            up_limit: limit(&self.up_limit),
            // The budget also fills with what is merely asked for: only what waits for the disk is its fault.
            waiting_for_disk: self.starved && self.unwritten * 4 >= self.config.budget,
            unwritten: self.unwritten,
        }
    }

    fn detail(&self, now: Instant, size_of: impl Fn(PieceIndex) -> u64) -> Detail {
        let start = self.started.unwrap_or(now);
        let pieces = self.config.geometry.pieces();
        let (rarest, above) = self.rarity();
        Detail {
            cells: self.cells(),
            copies: f32::from(rarest) + if pieces == 0 { 0.0 } else { above as f32 / pieces as f32 },
            missing: self.facts(now).missing,
            peers: self.peer_rows(now),
            departed: Vec::new(),
            sources: Vec::new(),
            peer: None,
            piece: None,
            meta: crate::swarm::view::Meta::default(),
            files: self.file_rows(size_of),
            trackers: self.trackers.rows(now),
            info_hash: Some(self.config.info_hash),
            piece_length: self.config.geometry.piece_length(),
            folder: self.config.folder.clone(),
            log: self.log.iter().map(|(at, text)| (at.saturating_duration_since(start), text.clone())).collect(),
        }
    }

    /// Copies of the rarest piece among peers and us, and how many pieces have more.
    fn rarity(&self) -> (u16, u32) {
        let all = || {
            let have = self.picker.have();
            self.config.geometry.all().map(move |p| self.picker.copies(p) + u16::from(have.has(p)))
        };
        let rarest = all().min().unwrap_or(0);
        (rarest, all().filter(|n| *n > rarest).count() as u32)
    }

    fn cells(&self) -> Vec<Cell> {
        let pieces = self.config.geometry.pieces();
        let run = pieces.div_ceil(Detail::CELLS as u32).max(1);
        let cell = |first: u32| {
            let mut cell = Cell { rarest: u16::MAX, ..Cell::default() };
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
            chokes_us: p.chokes_us,
            choked: p.choked,
            interesting: p.interesting,
            interested: p.interested,
            snubbed: p.snubbed,
            failed: 0,
        };
        let mut rows: Vec<PeerRow> = self.peers.iter().map(row).collect();
        rows.sort_by_key(|r| (r.addr, r.key));
        rows
    }

    fn file_rows(&self, size_of: impl Fn(PieceIndex) -> u64) -> Vec<FileRow> {
        let geometry = &self.config.geometry;
        let row = |(index, (span, priority)): (usize, (&super::Span, &Priority))| {
            let end = span.offset + span.length;
            let mut done = 0;
            for piece in geometry.pieces_of(span.offset..end).map(PieceIndex).filter(|p| self.picker.have().has(*p)) {
                let start = geometry.offset(piece, 0);
                done += (start + size_of(piece)).min(end) - start.max(span.offset);
            }
            FileRow { index, path: span.path.clone(), size: span.length, done, priority: *priority, eta: None }
        };
        let files = self.config.files.iter().zip(&self.files_wanted).enumerate();
        files.filter(|(_, (span, _))| !span.pad).map(row).collect()
    }
}
