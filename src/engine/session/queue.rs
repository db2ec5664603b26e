//! The torrent queue: which torrents may run, in which order, and how the global limits are shared.

use std::time::{Duration, Instant};

use super::super::bandwidth::{split_limit, weight};
use super::Session;
use super::entry::{DesiredState, Lifecycle, TorrentEntry};
use super::queue_state::QueueState;
use crate::api::{QueueMove, TorrentId};
use crate::limits;
use crate::swarm::event::Input;
use crate::swarm::quota::Quota;
use crate::swarm::reason::{QueuePosition, Reason};
use crate::swarm::view::{Priority, RateLimits, State};

/// Interval between two regular distributions of the global limits.
const SHARES: Duration = Duration::from_secs(1);
/// Minimum interval between two distributions: while hundreds of torrents start, each of them triggers one.
const RESHARE: Duration = Duration::from_millis(100);
/// Interval between two checks for stalled downloads while others wait in the queue.
const LOOK: Duration = Duration::from_secs(5);
/// Minimum interval between two looks at all torrents, for each torrent: many times what a look takes.
const LOOK_A_TORRENT: Duration = Duration::from_micros(2);
/// A download without any progress for this long no longer occupies an active slot: without peers, and with peers that send
/// nothing. It goes on, and has its slot back when somebody sends.
const STALLED_ALONE: Duration = Duration::from_secs(20);
const STALLED: Duration = Duration::from_secs(40);
/// Number of torrents that are checked at a time without an active slot.
const CHECKS: usize = 3;
/// Change of the disk load, in percent, that is reported to the torrents.
const BUSIER: u8 = 10;

impl TorrentEntry {
    /// Returns `true` if the torrent occupies an active slot: a download, or a torrent that may become one.
    fn occupies_slot(&self, now: Instant) -> bool {
        let patience = if self.view.peers == 0 { STALLED_ALONE } else { STALLED };
        let stalled = self.idle.is_some_and(|since| now >= since + patience);
        match (&self.lifecycle, self.view.state) {
            (Lifecycle::Running(_), State::Downloading) => !stalled,
            (Lifecycle::Running(_), State::Seeding | State::Error)
            | (Lifecycle::Moving(..) | Lifecycle::Deleting, _) => false,
            // A torrent that was complete at its last run will most likely seed.
            _ => !self.saved.whole,
        }
    }

    /// Returns `true` if there are data of which nothing is known: the torrent is checked even if all slots are occupied,
    /// because it may be complete and seed.
    fn may_be_complete(&self) -> bool {
        !self.seen && self.saved.have == 0 && self.spec.as_ref().is_some_and(|plan| plan.on_disk)
    }

    /// Returns `true` if the torrent shares the budget of requested and unwritten bytes.
    fn fetches(&self) -> bool {
        matches!(self.lifecycle, Lifecycle::Running(_)) && self.view.state == State::Downloading
    }

    fn wants_to_run(&self) -> bool {
        matches!(self.desired, DesiredState::Run) && self.may_try()
    }

    /// Returns when the error of the torrent is retried next.
    fn tried_at(&self) -> Option<Instant> {
        self.error.as_ref().filter(|_| self.desired == DesiredState::Run)?.at
    }

    /// Starts a due retry. Returns `true` if it was due.
    fn tries_again(&mut self, now: Instant) -> bool {
        let due = self.tried_at().is_some_and(|at| now >= at);
        if let Some(halt) = self.error.as_mut().filter(|_| due) {
            (halt.at, halt.trying) = (None, true);
        }
        due
    }
}

impl Session {
    /// Lets torrents run in queue order up to the active limit; torrents that occupy no slot run anyway.
    ///
    /// Looks at all torrents, so it does nothing before [`Session::turns_at`].
    pub(super) fn schedule(&mut self, now: Instant) {
        if self.turns_at().is_none_or(|at| at > now) {
            return;
        }
        let mut room = self.parts.max_active.map_or(usize::MAX, |most| most as usize);
        let (mut checks, mut altered) = (CHECKS, Vec::new());
        self.queue = QueueState { stale: false, ..QueueState::new(now) };
        for id in &self.order {
            let Some(entry) = self.table.get_mut(id) else { continue };
            entry.idle = match (&entry.lifecycle, entry.view.state, entry.view.down) {
                (Lifecycle::Running(_), State::Downloading, 0) => entry.idle.or(Some(now)),
                _ => None,
            };
            // Reading a `.torrent` file needs no active slot, so this retry starts at once.
            if entry.tries_again(now) && matches!(entry.lifecycle, Lifecycle::NotLoaded) {
                altered.push(*id);
            }
            let counts = entry.occupies_slot(now);
            let spare = if counts && room == 0 && entry.may_be_complete() { &mut checks } else { &mut room };
            let turn = entry.wants_to_run() && (!counts || *spare > 0);
            if turn && counts {
                *spare -= 1;
            }
            if turn != entry.scheduled {
                entry.scheduled = turn;
                altered.push(*id);
            }
            self.queue.waits |= entry.wants_to_run() && !turn;
            self.queue.retry_at = self.queue.retry_at.into_iter().chain(entry.tried_at()).min();
            self.queue.sharers += if entry.fetches() { weight(entry.saved.rank) } else { 0 };
        }
        altered.into_iter().for_each(|id| self.advance(id));
    }

    /// Returns when all torrents must be looked at again: soon after a change, and without any for stalled downloads and
    /// retries.
    pub(super) fn turns_at(&self) -> Option<Instant> {
        let of_torrent = u32::try_from(self.table.len()).map_or(Duration::ZERO, |torrents| LOOK_A_TORRENT * torrents);
        let stale = self.queue.stale.then(|| self.queue.at + of_torrent);
        let looks = (self.queue.waits && self.parts.max_active.is_some()).then(|| self.queue.at + LOOK);
        stale.into_iter().chain(looks).chain(self.queue.retry_at).min()
    }

    /// Moves a torrent within the queue.
    pub(super) fn step(&mut self, id: TorrentId, step: QueueMove) {
        let Some(at) = self.order.iter().position(|other| *other == id) else { return };
        let last = self.order.len() - 1;
        let to = match step {
            QueueMove::Up => at.saturating_sub(1),
            QueueMove::Down => (at + 1).min(last),
            QueueMove::First => 0,
            QueueMove::Last => last,
        };
        let id = self.order.remove(at);
        self.order.insert(to, id);
        self.queue.stale = true;
        self.mark_list_dirty();
    }

    /// Updates the queue position in the views of waiting torrents; it changes with the torrents before them.
    pub(super) fn show_waiting(&mut self) {
        let Some(most) = self.parts.max_active else { return };
        let mut before = 0;
        for id in &self.order {
            let Some(entry) = self.table.get_mut(id).filter(|entry| entry.wants_to_run() && !entry.scheduled) else {
                continue;
            };
            if entry.view.state == State::Queued && matches!(entry.lifecycle, Lifecycle::Paused(_)) {
                entry.view.why = Reason::Queued(Some(QueuePosition { ahead: before, max_active: most })).into();
            }
            before += 1;
        }
    }

    /// Sets the bandwidth priority of a torrent.
    pub(super) fn rank(&mut self, id: TorrentId, rank: Priority) {
        let Some(entry) = self.table.get_mut(&id) else { return };
        let rank = rank.max(Priority::Low);
        (entry.saved.rank, entry.view.rank) = (rank, rank);
        if let Some(plan) = &mut entry.spec {
            plan.config.quota.rank = rank;
        }
        (self.reshare, self.queue.stale) = (true, true);
        self.mark_list_dirty();
    }

    /// Returns when the global limits are distributed next, if at all.
    pub(super) fn shares_at(&self) -> Option<Instant> {
        match (self.reshare, self.parts.limits.is_unlimited()) {
            (true, _) => Some(self.shared + RESHARE),
            (false, true) => None,
            (false, false) => Some(self.shared + SHARES),
        }
    }

    /// Splits the global rate limits and the budget of unwritten bytes among the running torrents.
    pub(super) fn distribute_limits(&mut self, now: Instant) {
        let sharers = self.queue.sharers;
        self.reshare |= sharers != self.sharers;
        let late = now >= self.shared + SHARES;
        let disk_busy = (self.parts.disk.busy() * 100.0).round() as u8;
        let busier = late && disk_busy.abs_diff(self.disk_busy) >= BUSIER;
        let due = late && !self.parts.limits.is_unlimited();
        let anew = self.reshare && now >= self.shared + RESHARE;
        if !(due || busier || anew) {
            return;
        }
        (self.shared, self.sharers, self.disk_busy, self.reshare) = (now, sharers, disk_busy, false);
        let running = || {
            self.table.values().filter_map(|entry| match &entry.lifecycle {
                Lifecycle::Running(inbox) => Some((inbox, entry)),
                _ => None,
            })
        };
        let used = |rate: fn(&TorrentEntry) -> u64| -> Vec<(u64, u64)> {
            running().map(|(_, entry)| (rate(entry), weight(entry.saved.rank))).collect()
        };
        let (reach, outside) = (self.port.reach(), self.port.external());
        let down = split_limit(self.parts.limits.down, &used(|entry| entry.view.down));
        let up = split_limit(self.parts.limits.up, &used(|entry| entry.view.up));
        let max_peers = Some(self.parts.defaults.max_peers);
        let running = self.table.values_mut().filter(|entry| matches!(entry.lifecycle, Lifecycle::Running(_)));
        for ((entry, down), up) in running.zip(down).zip(up) {
            let Lifecycle::Running(inbox) = &entry.lifecycle else { continue };
            let rank = entry.saved.rank;
            // A torrent that does not download yet gets the share it would have as a download.
            let budget = budget(rank, if entry.fetches() { sharers } else { sharers + weight(rank) });
            // One that only seeds needs neither, so changes of others do not wake it.
            let (budget, disk_busy) = match entry.quota.filter(|_| entry.view.state == State::Seeding) {
                Some(known) => (known.budget, known.disk_busy),
                None => (budget, disk_busy),
            };
            let quota = Quota { down, up, budget, rank, disk_busy, reach, max_peers, outside };
            if entry.quota.replace(quota) != Some(quota) {
                inbox.send(Input::Quota(quota));
            }
        }
    }

    /// Returns the quota of one more running torrent if all shared equally.
    pub(super) fn even_share(&self, rank: Priority) -> Quota {
        let is_running = |entry: &&TorrentEntry| matches!(entry.lifecycle, Lifecycle::Running(_));
        let running = || self.table.values().filter(is_running).count() as u64 + 1;
        let even = |limit: Option<u64>| limit.map(|limit| (limit / running()).max(1));
        let RateLimits { down, up } = self.parts.limits;
        let budget = budget(rank, self.sharers + weight(rank));
        let (reach, outside) = (self.port.reach(), self.port.external());
        let disk_busy = self.disk_busy;
        let (down, up, max_peers) = (even(down), even(up), Some(self.parts.defaults.max_peers));
        Quota { down, up, budget, rank, disk_busy, reach, max_peers, outside }
    }
}

/// Returns the bytes that a download of this rank may have requested and not yet written; `weights` is the sum of all.
fn budget(rank: Priority, weights: u64) -> u64 {
    (limits::BUDGET * weight(rank) / weights.max(1)).max(limits::BUDGET_LEAST)
}

#[cfg(test)]
mod tests {
    use super::super::super::inbox::inbox;
    use super::super::super::saved_torrent::SavedTorrent;
    use super::*;
    use crate::wire::message::InfoHash;

    #[test]
    fn stalled_download_frees_its_slot() {
        let now = Instant::now();
        let mut entry = TorrentEntry::new(InfoHash([1; 20]), SavedTorrent::default());
        assert!(entry.occupies_slot(now), "whatever is not known to be whole will be a download");
        entry.lifecycle = Lifecycle::Running(inbox().0);
        entry.view.state = State::Downloading;
        entry.idle = Some(now);
        assert!(entry.occupies_slot(now) && !entry.occupies_slot(now + STALLED_ALONE));
        entry.view.peers = 1;
        assert!(entry.occupies_slot(now + STALLED_ALONE) && !entry.occupies_slot(now + STALLED));
        for state in [State::Seeding, State::Error] {
            entry.view.state = state;
            assert!(!entry.occupies_slot(now), "{state:?}");
        }
        entry.view.state = State::Checking;
        assert!(entry.occupies_slot(now));
        entry.saved.whole = true;
        assert!(!entry.occupies_slot(now));
    }
}
