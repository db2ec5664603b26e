//! The facts that a torrent's reason is made of.

use std::time::Instant;

use super::{OWN, Phase, SHARE, Torrent};
use crate::swarm::job::DiskFault;
use crate::swarm::metadata::Search;
use crate::swarm::reason::Facts;
use crate::swarm::view::Priority;

impl Torrent {
    /// The facts as they are now; those that only a closer look needs when `detail` is asked for.
    pub(super) fn facts(&self, now: Instant, detail: bool) -> Facts {
        let mut f = Facts {
            state: self.state(),
            fault: self.fault.as_ref().map(DiskFault::told),
            checked: self.checked,
            pieces: self.config.geometry.pieces(),
            have: self.picker.have().count(),
            lacking: self.picker.lacking(),
            missing: if self.phase == Phase::Active { self.picker.nowhere() } else { 0 },
            active: self.picker.active(),
            all_asked: self.picker.unasked() == 0,
            outstanding: self.outstanding,
            peers: self.peers.len() as u32,
            known: self.candidates.len() as u32,
            dialing: self.dialing.len() as u32,
            banned: self.candidates.bans() as u32,
            down: self.down.rate(now),
            up: self.up.rate(now),
            down_limits: (self.down_limit[OWN].limit(), self.down_limit[SHARE].limit()),
            up_limits: (self.up_limit[OWN].limit(), self.up_limit[SHARE].limit()),
            // The budget also fills with what is merely asked for: only what waits for the disk is its fault.
            waiting_for_disk: self.starved && self.unwritten * 4 >= self.config.quota.budget,
            unwritten: self.unwritten,
            disk_busy: self.config.quota.disk_busy,
            super_seed: self.super_seeds(),
            search: self.search.as_ref().map(Search::standing),
            local: self.looks_local(),
            dht: self.dht_words(),
            web_seeds: self.web_seeds.troubles(),
            reach: self.config.quota.reach,
            ..Facts::default()
        };
        for peer in self.peers.values() {
            f.seeds += u32::from(peer.is_seed());
            f.interesting += u32::from(peer.interesting);
            f.choking += u32::from(peer.interesting && peer.chokes_us);
            f.snubbed += u32::from(peer.snubbed && peer.interesting && !peer.chokes_us);
            f.asked += u32::from(!peer.inflight.is_empty());
            f.giving += u32::from(peer.down.rate(now) > 0);
            f.interested += u32::from(peer.interested);
            f.taking += u32::from(peer.up.rate(now) > 0);
        }
        for (_, priority) in self.config.files.iter().zip(&self.files_wanted).filter(|(span, _)| !span.pad) {
            f.files += 1;
            f.skipped += u32::from(*priority == Priority::Skip);
        }
        // Lists of addresses and trackers are long, and only told of where there is nobody, or to whoever looks closer.
        if detail || self.peers.is_empty() {
            f.failures = self.candidates.failures();
            let rows = self.tracker_rows(now);
            f.trackers = rows.into_iter().map(|t| (t.url, t.status, t.failed)).collect();
        }
        if detail {
            f.sources = self.sources(now);
        }
        f
    }
}
