//! Collects the [`Facts`] from which the reason for a torrent's state is derived.

use std::time::Instant;

use super::{OWN, Phase, SHARE, Torrent};
use crate::swarm::metadata::MetadataDownload;
use crate::swarm::reason::Facts;
use crate::swarm::status::{DirectionLimits, TrackerState};
use crate::swarm::view::{Priority, TrackerRow};

impl Torrent {
    /// Collects the current facts; `detail` adds the peer sources, the failure counts and the trackers.
    pub(super) fn facts(&self, now: Instant, detail: bool) -> Facts {
        let mut f = Facts {
            state: self.state(),
            fault: self.fault.clone(),
            checked: self.checked,
            pieces: self.config.geometry.pieces(),
            have: self.picker.have().count(),
            lacking: self.picker.missing(),
            missing: if self.phase == Phase::Active { self.picker.unavailable() } else { 0 },
            active: self.picker.active(),
            all_asked: self.picker.unrequested() == 0,
            outstanding: self.outstanding,
            peers: self.peers.len() as u32,
            known: self.peer_list.len() as u32,
            dialing: self.dialing.len() as u32,
            banned: self.peer_list.bans() as u32,
            down: self.down.rate(now),
            up: self.up.rate(now),
            down_limits: DirectionLimits { own: self.down_limit[OWN].limit(), share: self.down_limit[SHARE].limit() },
            up_limits: DirectionLimits { own: self.up_limit[OWN].limit(), share: self.up_limit[SHARE].limit() },
            // The budget also counts outstanding requests: blame the disk only if unwritten data is a quarter of it.
            waiting_for_disk: self.budget_exhausted && self.unwritten * 4 >= self.config.quota.budget,
            unwritten: self.unwritten,
            disk_busy: self.config.quota.disk_busy,
            super_seed: self.super_seeds(),
            seed_only: self.config.seed_only,
            search: self.search.as_ref().map(MetadataDownload::progress),
            local: self.looks_local(),
            dht: self.dht_outcome(),
            web_seeds: self.web_seeds.states(),
            reach: self.config.quota.reach,
            ..Facts::default()
        };
        for peer in self.peers.values() {
            f.seeds += u32::from(peer.is_seed());
            f.interesting += u32::from(peer.am_interested);
            f.choking += u32::from(peer.am_interested && peer.peer_choking);
            f.snubbed += u32::from(peer.snubbed && peer.am_interested && !peer.peer_choking);
            f.asked += u32::from(!peer.inflight.is_empty());
            f.giving += u32::from(peer.down.rate(now) > 0);
            f.interested += u32::from(peer.peer_interested);
            f.taking += u32::from(peer.up.rate(now) > 0);
        }
        for (_, priority) in self.config.files.iter().zip(&self.files_wanted).filter(|(span, _)| !span.pad) {
            f.files += 1;
            f.skipped += u32::from(*priority == Priority::Skip);
        }
        // Failure counts and trackers are long lists: needed only without peers, or for the detail view.
        if detail || self.peers.is_empty() {
            f.failures = self.peer_list.failures();
            let rows = self.tracker_rows(now);
            let state = |row: TrackerRow| TrackerState { url: row.url, status: row.status, failed: row.failed };
            f.trackers = rows.into_iter().map(state).collect();
        }
        if detail {
            f.sources = self.sources(now);
        }
        f
    }
}
