//! What the user wants of one torrent: done at once, and kept for when it is made anew.

use std::time::{Instant, SystemTime};

use super::super::runner::changes_trackers;
use super::Desk;
use super::entry::{Goal, Life};
use crate::api::{TorrentId, Wish};
use crate::limits;
use crate::swarm::event::Input;

/// Seconds since 1970, by the system's clock.
pub(super) fn today() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

impl Desk {
    /// Aims at what the user wants.
    pub(super) fn wished(&mut self, id: TorrentId, goal: Goal) {
        let Some(entry) = self.table.get_mut(&id) else { return };
        if matches!(entry.goal, Goal::Remove { .. }) {
            return;
        }
        let what = match goal {
            Goal::Run => "started by you",
            Goal::Pause => "paused by you",
            Goal::Remove { data: false } => "removed by you, its data stay",
            Goal::Remove { data: true } => "removed by you, with its data",
        };
        let text = format!("{}: {what}", entry.kept.name);
        entry.goal = goal;
        // Whatever kept it from running, the user has seen it.
        entry.error = None;
        entry.asked = false;
        self.note(Some(id), text);
        self.keep();
        self.settle(id);
    }

    /// Takes down what the next session is to find of a wish, and hands it on.
    pub(super) fn wish(&mut self, id: TorrentId, wish: Wish) {
        let Some(entry) = self.table.get_mut(&id) else { return };
        let kept = &mut entry.kept;
        let before = kept.clone();
        match &wish {
            Wish::Sequential(on) => kept.sequential = *on,
            Wish::SuperSeed(on) => kept.super_seed = *on,
            Wish::Limits { down, up } => (kept.down_limit, kept.up_limit) = (*down, *up),
            Wish::Priority(files) => kept.prioritise(files),
            Wish::AddWebSeeds(urls) => {
                let new: Vec<String> = urls.iter().filter(|url| !kept.web_seeds.contains(url)).cloned().collect();
                kept.web_seeds.extend(new);
                kept.web_seeds.truncate(limits::WEB_SEEDS);
            }
            // Which they are then, only the machine knows: it says so.
            Wish::AddTracker(_) | Wish::RemoveTracker(_) => {}
            Wish::Verify | Wish::Announce(_) | Wish::Look { .. } | Wish::Ban(_) | Wish::Kick(_) => {}
        }
        if entry.kept != before {
            // A machine that is made anew is made from this.
            if let Some(plan) = &mut entry.plan {
                plan.wished(&entry.kept);
            }
            self.keep();
        }
        // Whatever kept it from running is looked at anew.
        if matches!(wish, Wish::Verify)
            && let Some(entry) = self.table.get_mut(&id)
            && entry.error.take().is_some()
        {
            entry.asked = false;
        }
        self.input(id, Input::Wish(wish));
    }

    /// Hands an input to a torrent, whether it runs or not.
    pub(super) fn input(&mut self, id: TorrentId, input: Input) {
        let Some(entry) = self.table.get_mut(&id) else { return };
        match &mut entry.life {
            Life::Running(inbox) => inbox.tell(input),
            Life::Paused(torrent) | Life::Opening(torrent) | Life::Moving(torrent, _) => {
                let trackers = changes_trackers(&input);
                // What it would do about it can only be done by one that runs.
                torrent.handle(Instant::now(), input, &mut Vec::new());
                let trackers = trackers.then(|| torrent.trackers());
                if let Some(trackers) = trackers {
                    self.tracked(id, trackers);
                }
                self.settle(id);
            }
            Life::Unread | Life::Reading => self.settle(id),
            Life::Stopping | Life::Deleting => (),
        }
    }

    /// The user has changed a torrent's trackers: these are all.
    pub(super) fn tracked(&mut self, id: TorrentId, trackers: Vec<Vec<String>>) {
        let Some(entry) = self.table.get_mut(&id) else { return };
        entry.kept.trackers = Some(trackers);
        if let Some(plan) = &mut entry.plan {
            plan.wished(&entry.kept);
        }
        self.keep();
    }

    /// Everything wanted is there.
    pub(super) fn complete(&mut self, id: TorrentId) {
        let Some(entry) = self.table.get_mut(&id) else { return };
        let finished = *entry.kept.finished.get_or_insert_with(today);
        entry.kept.whole = true;
        entry.view.finished = Some(finished);
        if let Some(plan) = &mut entry.plan {
            plan.config.finished = Some(finished);
        }
        let text = format!("{} is complete", entry.kept.name);
        self.note(Some(id), text);
        self.keep();
    }
}
