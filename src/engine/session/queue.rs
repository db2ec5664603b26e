//! Who may run, in which order, and how large each one's share is of what all have together.

use std::time::{Duration, Instant};

use super::super::share::{shares, weight};
use super::Desk;
use super::entry::{Entry, Goal, Life};
use crate::api::{Step, TorrentId};
use crate::limits;
use crate::swarm::event::{Input, Quota};
use crate::swarm::reason;
use crate::swarm::view::{Priority, State};

/// The time between two looks at how the limits of all are used.
const SHARES: Duration = Duration::from_secs(1);
/// The shortest time between two divisions of what all have together: while hundreds start, each of them changes it.
const RESHARE: Duration = Duration::from_millis(100);
/// The time between two looks at who has got nothing for long, while others wait.
const LOOK: Duration = Duration::from_secs(5);
/// A download that has got nothing for this long keeps nobody waiting.
const STALLED: Duration = Duration::from_secs(120);
/// A change of the disk's load, in percent, that torrents are told of.
const BUSIER: u8 = 10;

impl Entry {
    /// Whether it is one of those of whom only so many may run: a download, or what will turn out to be one.
    fn counts(&self, now: Instant) -> bool {
        let stalled = self.idle.is_some_and(|since| now >= since + STALLED);
        match (&self.life, self.view.state) {
            (Life::Running(_), State::Downloading) => !stalled,
            (Life::Running(_), State::Seeding | State::Error) | (Life::Moving(..) | Life::Deleting, _) => false,
            // One that was whole will most likely be found to be so.
            _ => !self.kept.whole,
        }
    }

    /// Whether it shares the bytes asked for and unwritten.
    fn fetches(&self) -> bool {
        matches!(self.life, Life::Running(_)) && self.view.state == State::Downloading
    }

    fn wants_to_run(&self) -> bool {
        matches!(self.goal, Goal::Run) && self.may_try()
    }

    /// When what keeps it from running is tried again.
    fn tried_at(&self) -> Option<Instant> {
        self.error.as_ref().filter(|_| self.goal == Goal::Run)?.at
    }

    /// Begins to try again what keeps it from running, if it is time; tells whether it does.
    fn tries_again(&mut self, now: Instant) -> bool {
        let due = self.tried_at().is_some_and(|at| now >= at);
        if let Some(halt) = self.error.as_mut().filter(|_| due) {
            (halt.at, halt.trying) = (None, true);
        }
        due
    }
}

impl Desk {
    /// Lets the first of the queue run, and those that do not count; the others wait.
    pub(super) fn take_turns(&mut self, now: Instant) {
        let mut room = self.it.max_active.map_or(usize::MAX, |most| most as usize);
        let mut altered = Vec::new();
        for id in &self.order {
            let Some(entry) = self.table.get_mut(id) else { continue };
            entry.idle = match (&entry.life, entry.view.state, entry.view.down) {
                (Life::Running(_), State::Downloading, 0) => entry.idle.or(Some(now)),
                _ => None,
            };
            // One whose `.torrent` could not be read needs no turn for that.
            if entry.tries_again(now) && matches!(entry.life, Life::Unread) {
                altered.push(*id);
            }
            let counts = entry.counts(now);
            let turn = entry.wants_to_run() && (!counts || room > 0);
            if turn && counts {
                room -= 1;
            }
            if turn != entry.turn {
                entry.turn = turn;
                altered.push(*id);
            }
        }
        altered.into_iter().for_each(|id| self.settle(id));
    }

    /// When the turns are to be looked at again although nothing has happened.
    pub(super) fn turns_at(&self) -> Option<Instant> {
        let waits = |entry: &Entry| entry.wants_to_run() && !entry.turn;
        let looks = self.it.max_active.is_some() && self.table.values().any(waits);
        let tried = self.table.values().filter_map(Entry::tried_at).min();
        looks.then(|| Instant::now() + LOOK).into_iter().chain(tried).min()
    }

    /// Moves a torrent in the queue.
    pub(super) fn step(&mut self, id: TorrentId, step: Step) {
        let Some(at) = self.order.iter().position(|other| *other == id) else { return };
        let last = self.order.len() - 1;
        let to = match step {
            Step::Up => at.saturating_sub(1),
            Step::Down => (at + 1).min(last),
            Step::First => 0,
            Step::Last => last,
        };
        let id = self.order.remove(at);
        self.order.insert(to, id);
        self.keep();
    }

    /// Says to those that wait how many wait before them: others move on without their doing anything.
    pub(super) fn show_waiting(&mut self) {
        let Some(most) = self.it.max_active else { return };
        let mut before = 0;
        for id in &self.order {
            let Some(entry) = self.table.get_mut(id).filter(|entry| entry.wants_to_run() && !entry.turn) else {
                continue;
            };
            if entry.view.state == State::Queued && matches!(entry.life, Life::Paused(_)) {
                entry.view.why = reason::queued(before, most);
            }
            before += 1;
        }
    }

    /// Changes how large a torrent's share is.
    pub(super) fn rank(&mut self, id: TorrentId, rank: Priority) {
        let Some(entry) = self.table.get_mut(&id) else { return };
        let rank = rank.max(Priority::Low);
        (entry.kept.rank, entry.view.rank) = (rank, rank);
        if let Some(plan) = &mut entry.plan {
            plan.config.quota.rank = rank;
        }
        self.reshare = true;
        self.keep();
    }

    /// When what all have together is to be divided anew, if that is to be expected.
    pub(super) fn shares_at(&self) -> Option<Instant> {
        match (self.reshare, self.it.limits) {
            (true, _) => Some(self.shared + RESHARE),
            (false, (None, None)) => None,
            (false, _) => Some(self.shared + SHARES),
        }
    }

    /// Splits what all torrents have together among those that run: the limits, and the bytes asked for and unwritten.
    pub(super) fn share(&mut self, now: Instant) {
        let sharers: u64 = self.table.values().filter(|e| e.fetches()).map(|e| weight(e.kept.rank)).sum();
        self.reshare |= sharers != self.sharers;
        let late = now >= self.shared + SHARES;
        let disk_busy = (self.it.disk.busy() * 100.0).round() as u8;
        let busier = late && disk_busy.abs_diff(self.disk_busy) >= BUSIER;
        let due = late && self.it.limits != (None, None);
        let anew = self.reshare && now >= self.shared + RESHARE;
        if !(due || busier || anew) {
            return;
        }
        (self.shared, self.sharers, self.disk_busy, self.reshare) = (now, sharers, disk_busy, false);
        let running = || {
            self.table.values().filter_map(|entry| match &entry.life {
                Life::Running(inbox) => Some((inbox, entry)),
                _ => None,
            })
        };
        let used = |rate: fn(&Entry) -> u64| -> Vec<(u64, u64)> {
            running().map(|(_, entry)| (rate(entry), weight(entry.kept.rank))).collect()
        };
        let (reach, outside) = (self.port.reach(), self.port.outside());
        let down = shares(self.it.limits.0, &used(|entry| entry.view.down));
        let up = shares(self.it.limits.1, &used(|entry| entry.view.up));
        for (((inbox, entry), down), up) in running().zip(down).zip(up) {
            let rank = entry.kept.rank;
            // One that fetches nothing yet is given what it would have if it did.
            let budget = budget(rank, if entry.fetches() { sharers } else { sharers + weight(rank) });
            let max_peers = Some(self.it.defaults.max_peers);
            inbox.tell(Input::Quota(Quota { down, up, budget, rank, disk_busy, reach, max_peers, outside }));
        }
    }

    /// The share of one more torrent if all had the same.
    pub(super) fn even_share(&self, rank: Priority) -> Input {
        let running = self.table.values().filter(|entry| matches!(entry.life, Life::Running(_))).count() as u64 + 1;
        let even = |limit: Option<u64>| limit.map(|limit| (limit / running).max(1));
        let (down, up) = self.it.limits;
        let budget = budget(rank, self.sharers + weight(rank));
        let (reach, outside) = (self.port.reach(), self.port.outside());
        let disk_busy = self.disk_busy;
        let (down, up, max_peers) = (even(down), even(up), Some(self.it.defaults.max_peers));
        Input::Quota(Quota { down, up, budget, rank, disk_busy, reach, max_peers, outside })
    }
}

/// Bytes that a download of this rank may have asked for and not yet written, where all weigh this much together.
fn budget(rank: Priority, weights: u64) -> u64 {
    (limits::BUDGET * weight(rank) / weights.max(1)).max(limits::BUDGET_LEAST)
}

#[cfg(test)]
mod tests {
    use super::super::super::inbox::inbox;
    use super::super::super::kept::Kept;
    use super::*;
    use crate::wire::message::InfoHash;

    #[test]
    fn a_download_that_gets_nothing_for_long_keeps_nobody_waiting() {
        let now = Instant::now();
        let mut entry = Entry::new(InfoHash([1; 20]), Kept::default());
        assert!(entry.counts(now), "whatever is not known to be whole will be a download");
        entry.life = Life::Running(inbox().0);
        entry.view.state = State::Downloading;
        entry.idle = Some(now);
        assert!(entry.counts(now) && !entry.counts(now + STALLED));
        for state in [State::Seeding, State::Error] {
            entry.view.state = state;
            assert!(!entry.counts(now), "{state:?}");
        }
        entry.view.state = State::Checking;
        assert!(entry.counts(now));
        entry.kept.whole = true;
        assert!(!entry.counts(now));
    }
}
