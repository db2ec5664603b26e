//! The snapshot sent to the user interface, and the torrent list saved for the next session.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::add::display_path;
use super::super::inbox::TorrentMessage;
use super::super::saved_torrent::SavedTorrent;
use super::entry::{DesiredState, Lifecycle, TorrentEntry};
use super::{FIRST, MIN_SNAPSHOT_INTERVAL, SNAPSHOT, Session, TOTALS, TaskResult};
use crate::api::{ConnectionCount, Event, Snapshot, TorrentId, TorrentView};
use crate::disk::error::free_space;

/// Snapshots are held back while this many events are unread.
const UNHEARD: usize = 8;

impl Session {
    /// Sets the torrent whose view carries details; the previous one loses them.
    pub(super) fn focus(&mut self, focus: Option<TorrentId>) {
        let old = std::mem::replace(&mut self.focus, focus);
        if old == focus {
            return;
        }
        for (id, on) in [(old, false), (focus, true)] {
            let Some((id, entry)) = id.and_then(|id| Some((id, self.table.get_mut(&id)?))) else { continue };
            match &entry.lifecycle {
                Lifecycle::Running(inbox) => drop(inbox.try_send(TorrentMessage::Detail(on))),
                _ => self.advance(id),
            }
            if !on && let Some(entry) = self.table.get_mut(&id) {
                entry.view.detail = None;
            }
        }
    }

    /// Returns when the next snapshot is due, if anything has changed.
    pub(super) fn snapshot_at(&self, now: Instant) -> Option<Instant> {
        let waiting = !self.pending_events.is_empty();
        // Grows with the list that each snapshot holds.
        let all = u32::try_from(self.table.len()).unwrap_or(u32::MAX);
        let soon = (MIN_SNAPSHOT_INTERVAL + Duration::from_micros(u64::from(all) * 10)).min(SNAPSHOT);
        let next = match self.sent {
            Some(at) => at + if waiting { soon } else { SNAPSHOT },
            None if self.list.loaded || !self.list.restored.is_empty() || waiting => now,
            None => self.began + FIRST,
        };
        (waiting || self.changed).then_some(next)
    }

    pub(super) fn snapshot(&mut self, now: Instant) {
        let due = self.snapshot_at(now).is_some_and(|at| now >= at);
        if due && (!self.pending_events.is_empty() || self.parts.events.len() < UNHEARD) {
            self.send_snapshot();
        } else if due {
            // The receiver is behind: the next snapshot replaces this one.
            self.sent = Some(now);
        }
    }

    pub(super) fn send_snapshot(&mut self) {
        let now = Instant::now();
        self.ask_room(now);
        self.show_waiting();
        let view = |id| {
            let entry = self.table.get(id)?;
            Some((*id, TorrentView { age: now.saturating_duration_since(entry.viewed), ..entry.view.clone() }))
        };
        let torrents: Vec<_> = self.order.iter().filter_map(view).collect();
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let snapshot = Snapshot {
            uptime: now.duration_since(self.began),
            focus: self.focus,
            down: torrents.iter().map(|(_, view)| view.down).sum(),
            up: torrents.iter().map(|(_, view)| view.up).sum(),
            limits: self.parts.limits,
            port: self.port.clone(),
            dht: self.parts.world.dht().map(crate::engine::dht::Dht::state),
            free: self.room.bytes(),
            disk_busy: self.parts.disk.busy(),
            connections: ConnectionCount { open: count(self.parts.seats.taken()), max: count(self.parts.seats.most()) },
            max_active: self.parts.max_active,
            folder: display_path(&self.folder()),
            config_file: self.parts.config_file.as_deref().map(display_path).unwrap_or_default(),
            log: self.log.iter().cloned().collect(),
            torrents,
        };
        self.event(Event::Snapshot(Arc::new(snapshot)));
        std::mem::take(&mut self.pending_events).into_iter().for_each(|event| self.event(event));
        (self.changed, self.sent) = (false, Some(now));
    }

    /// Returns the absolute default download folder.
    fn folder(&self) -> PathBuf {
        let dir = &self.parts.defaults.dir;
        std::path::absolute(dir).unwrap_or_else(|_| dir.clone())
    }

    /// Queries the free disk space if the last result is too old.
    fn ask_room(&mut self, now: Instant) {
        if !self.room.begin_query(now) {
            return;
        }
        let dir = self.parts.defaults.dir.clone();
        let asked = dir.clone();
        self.spawn_task(
            move || TaskResult::Room(dir.clone(), free_space(&dir)),
            move |_| TaskResult::Room(asked, None),
        );
    }

    pub(super) fn know_room(&mut self, dir: &Path, bytes: Option<u64>) {
        if dir == self.parts.defaults.dir {
            self.room.on_result(bytes);
        } else {
            // The folder was changed during the query.
            self.room.on_stale_result();
        }
    }

    /// Marks the torrent list as changed, so that it is written soon.
    pub(super) fn mark_list_dirty(&mut self) {
        self.list.due = self.parts.keep.is_some();
    }

    /// Writes the torrent list for the next session, one write at a time.
    ///
    /// Changes made during a write are written afterwards.
    pub(super) fn write_list(&mut self, now: Instant) {
        if self.list.totals_changed && now >= self.list.at + TOTALS {
            self.mark_list_dirty();
        }
        let Some(keep) = self.parts.keep.clone() else {
            self.list.totals_changed = false;
            return;
        };
        if !self.list.due || self.list.writing || !self.list.loaded {
            return;
        }
        (self.list.due, self.list.writing, self.list.totals_changed, self.list.at) = (false, true, false, now);
        let kept =
            |entry: &TorrentEntry| SavedTorrent { paused: entry.desired == DesiredState::Pause, ..entry.saved.clone() };
        let staying =
            |entry: &&TorrentEntry| entry.adding.is_none() && !matches!(entry.desired, DesiredState::Remove { .. });
        let entries = self.order.iter().filter_map(|id| self.table.get(id));
        let list = keep.list(entries.filter(staying).map(kept).collect());
        let moves = std::mem::take(&mut self.list.uncleared);
        self.spawn_task(
            move || TaskResult::ListWritten(list.write(), moves),
            |why| TaskResult::ListWritten(Err(why), Vec::new()),
        );
    }
}
