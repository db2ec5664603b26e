//! Commands that concern one torrent: applied at once and saved for the next session.

use std::time::Instant;

use super::super::runner::changes_trackers;
use super::Session;
use super::entry::{DesiredState, Lifecycle};
use crate::api::{TorrentCommand, TorrentId};
use crate::clock::unix_seconds;
use crate::limits;
use crate::swarm::event::Input;

impl Session {
    /// Sets the desired state of a torrent and clears its error. Ignored once the torrent is being removed.
    pub(super) fn set_desired(&mut self, id: TorrentId, goal: DesiredState) {
        let Some(entry) = self.table.get_mut(&id) else { return };
        if matches!(entry.desired, DesiredState::Remove { .. }) {
            return;
        }
        let what = match goal {
            DesiredState::Run => "started by user",
            DesiredState::Pause => "paused by user",
            DesiredState::Remove { data: false } => "removed by user, data kept",
            DesiredState::Remove { data: true } => "removed by user, data deleted",
        };
        let text = format!("{}: {what}", entry.saved.name);
        entry.desired = goal;
        // The user has seen the error, so the torrent is tried again.
        entry.error = None;
        entry.asked = false;
        self.write_log(Some(id), text);
        self.mark_list_dirty();
        self.advance(id);
    }

    /// Saves the persistent part of a torrent command and forwards the command to the torrent.
    pub(super) fn on_torrent_command(&mut self, id: TorrentId, wish: TorrentCommand) {
        let Some(entry) = self.table.get_mut(&id) else { return };
        let kept = &mut entry.saved;
        let before = kept.clone();
        match &wish {
            TorrentCommand::Sequential(on) => kept.sequential = *on,
            TorrentCommand::SuperSeed(on) => kept.super_seed = *on,
            TorrentCommand::Limits { down, up } => (kept.down_limit, kept.up_limit) = (*down, *up),
            TorrentCommand::Priority(files) => kept.prioritise(files),
            TorrentCommand::AddWebSeeds(urls) => {
                let new: Vec<String> = urls.iter().filter(|url| !kept.web_seeds.contains(url)).cloned().collect();
                kept.web_seeds.extend(new);
                kept.web_seeds.truncate(limits::WEB_SEEDS);
            }
            // The torrent merges the tracker list itself and reports it as `TorrentEvent::Trackers`.
            TorrentCommand::AddTracker(_) | TorrentCommand::RemoveTracker(_) => {}
            TorrentCommand::Verify
            | TorrentCommand::Announce(_)
            | TorrentCommand::Inspect { .. }
            | TorrentCommand::Ban(_)
            | TorrentCommand::Kick(_) => {}
        }
        if entry.saved != before {
            // A torrent that is rebuilt is rebuilt from this spec.
            if let Some(plan) = &mut entry.spec {
                plan.apply_saved(&entry.saved);
            }
            self.mark_list_dirty();
        }
        // Whatever kept it from running is looked at anew.
        if matches!(wish, TorrentCommand::Verify)
            && let Some(entry) = self.table.get_mut(&id)
            && entry.error.take().is_some()
        {
            entry.asked = false;
        }
        self.input(id, Input::Command(wish));
    }

    /// Passes an input to a torrent, running or paused.
    pub(super) fn input(&mut self, id: TorrentId, input: Input) {
        let Some(entry) = self.table.get_mut(&id) else { return };
        match &mut entry.lifecycle {
            Lifecycle::Running(inbox) => inbox.send(input),
            Lifecycle::Paused(torrent) | Lifecycle::Opening(torrent) | Lifecycle::Moving(torrent, _) => {
                let trackers = changes_trackers(&input);
                // The effects are dropped: a paused torrent has nobody to execute them.
                torrent.handle(Instant::now(), input, &mut Vec::new());
                let trackers = trackers.then(|| torrent.trackers());
                if let Some(trackers) = trackers {
                    self.tracked(id, trackers);
                }
                self.advance(id);
            }
            Lifecycle::NotLoaded | Lifecycle::Loading => self.advance(id),
            Lifecycle::Stopping | Lifecycle::Deleting => (),
        }
    }

    /// Saves the complete tracker list of a torrent after the user has changed it.
    pub(super) fn tracked(&mut self, id: TorrentId, trackers: Vec<Vec<String>>) {
        let Some(entry) = self.table.get_mut(&id) else { return };
        entry.saved.trackers = Some(trackers);
        if let Some(plan) = &mut entry.spec {
            plan.apply_saved(&entry.saved);
        }
        self.mark_list_dirty();
    }

    /// Marks a torrent as complete: all wanted pieces are on disk.
    pub(super) fn complete(&mut self, id: TorrentId) {
        let Some(entry) = self.table.get_mut(&id) else { return };
        let finished = *entry.saved.finished.get_or_insert_with(|| unix_seconds().unwrap_or_default());
        entry.saved.whole = true;
        self.queue.stale = true;
        entry.view.finished = Some(finished);
        if let Some(plan) = &mut entry.spec {
            plan.config.finished = Some(finished);
        }
        let text = format!("{} is complete", entry.saved.name);
        self.write_log(Some(id), text);
        self.mark_list_dirty();
    }
}
