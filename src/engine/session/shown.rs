//! What people see of the session: the snapshot, and the list that the next session finds.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::add::shown;
use super::super::inbox::Post;
use super::super::kept::Kept;
use super::entry::{Entry, Goal, Life};
use super::{Desk, Errand, FIRST, SNAPSHOT, TELL, TOTALS};
use crate::api::{Event, Snapshot, TorrentId};
use crate::disk::fault::free_space;

/// The time between two looks at the free space.
const SPACE: Duration = Duration::from_secs(5);
/// Events that wait unheard before snapshots are held back.
const UNHEARD: usize = 8;

/// What is known of the room in the download folder.
#[derive(Default)]
pub(super) struct Room {
    asked: Option<Instant>,
    asking: bool,
    bytes: Option<u64>,
}

impl Desk {
    /// Has the views tell more of this torrent than of the others, and no more of the one before.
    pub(super) fn focus(&mut self, focus: Option<TorrentId>) {
        let old = std::mem::replace(&mut self.focus, focus);
        if old == focus {
            return;
        }
        for (id, on) in [(old, false), (focus, true)] {
            let Some((id, entry)) = id.and_then(|id| Some((id, self.table.get_mut(&id)?))) else { continue };
            match &entry.life {
                Life::Running(inbox) => drop(inbox.post(Post::Detail(on))),
                _ => self.settle(id),
            }
            if !on && let Some(entry) = self.table.get_mut(&id) {
                entry.view.detail = None;
            }
        }
    }

    /// When there is to be a snapshot, if there is anything to be seen.
    pub(super) fn snapshot_at(&self, now: Instant) -> Option<Instant> {
        let waiting = !self.untold.is_empty();
        let next = match self.sent {
            Some(at) => at + if waiting { TELL } else { SNAPSHOT },
            None if self.list.loaded || waiting => now,
            None => self.began + FIRST,
        };
        (waiting || self.changed).then_some(next)
    }

    pub(super) fn snapshot(&mut self, now: Instant) {
        let due = self.snapshot_at(now).is_some_and(|at| now >= at);
        if due && (!self.untold.is_empty() || self.it.events.len() < UNHEARD) {
            self.show();
        } else if due {
            // Nobody listens at the moment; the next one will do.
            self.sent = Some(now);
        }
    }

    pub(super) fn show(&mut self) {
        let now = Instant::now();
        self.ask_room(now);
        self.show_waiting();
        let view = |id| self.table.get(id).map(|entry| (*id, entry.view.clone()));
        let torrents: Vec<_> = self.order.iter().filter_map(view).collect();
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let snapshot = Snapshot {
            uptime: now.duration_since(self.began),
            focus: self.focus,
            down: torrents.iter().map(|(_, view)| view.down).sum(),
            up: torrents.iter().map(|(_, view)| view.up).sum(),
            limits: self.it.limits,
            port: self.it.defaults.port,
            port_state: self.port.words(&self.it.port_state),
            dht: self.it.world.dht().map(crate::engine::dht::Dht::state),
            free: self.room.bytes,
            disk_busy: self.it.disk.busy(),
            connections: (count(self.it.seats.taken()), count(self.it.seats.most())),
            max_active: self.it.max_active,
            folder: shown(&self.folder()),
            config_file: self.it.config_file.as_deref().map(shown).unwrap_or_default(),
            log: self.log.iter().cloned().collect(),
            torrents,
        };
        self.event(Event::Snapshot(Arc::new(snapshot)));
        std::mem::take(&mut self.untold).into_iter().for_each(|event| self.event(event));
        (self.changed, self.sent) = (false, Some(now));
    }

    /// The default download folder, whole.
    fn folder(&self) -> PathBuf {
        let dir = &self.it.defaults.dir;
        std::path::absolute(dir).unwrap_or_else(|_| dir.clone())
    }

    /// Asks how much room there is, now and then. The answer comes when the disk gives it.
    fn ask_room(&mut self, now: Instant) {
        if self.room.asking || self.room.asked.is_some_and(|at| now < at + SPACE) {
            return;
        }
        (self.room.asked, self.room.asking) = (Some(now), true);
        let dir = self.it.defaults.dir.clone();
        let asked = dir.clone();
        self.errand(move || Errand::Room(dir.clone(), free_space(&dir)), move |_| Errand::Room(asked, None));
    }

    pub(super) fn know_room(&mut self, dir: &Path, bytes: Option<u64>) {
        self.room.asking = false;
        if dir == self.it.defaults.dir {
            self.room.bytes = bytes;
        } else {
            // The folder was changed meanwhile.
            self.room.asked = None;
        }
    }

    /// Asks for the room anew: it is another folder's.
    pub(super) fn forget_room(&mut self) {
        (self.room.asked, self.room.bytes) = (None, None);
    }

    /// The list is to be written: something in it has changed.
    pub(super) fn keep(&mut self) {
        self.list.due = self.it.keep.is_some();
    }

    /// Writes down what the session holds, for the next one. One writing at a time: what changes meanwhile is written
    /// after it.
    pub(super) fn write_list(&mut self, now: Instant) {
        if self.list.moved_on && now >= self.list.at + TOTALS {
            self.keep();
        }
        let Some(keep) = self.it.keep.clone() else {
            self.list.moved_on = false;
            return;
        };
        if !self.list.due || self.list.writing || !self.list.loaded {
            return;
        }
        (self.list.due, self.list.writing, self.list.moved_on, self.list.at) = (false, true, false, now);
        let kept = |entry: &Entry| Kept { paused: entry.goal == Goal::Pause, ..entry.kept.clone() };
        let staying = |entry: &&Entry| entry.adding.is_none() && !matches!(entry.goal, Goal::Remove { .. });
        let entries = self.order.iter().filter_map(|id| self.table.get(id));
        let list = keep.list(entries.filter(staying).map(kept).collect());
        let moves = std::mem::take(&mut self.list.uncleared);
        self.errand(move || Errand::Listed(list.write(), moves), |why| Errand::Listed(Err(why), Vec::new()));
    }
}
