//! The end of the session: all torrents stop, and what has not ended in time is left behind.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::super::error::EngineError;
use super::entry::TorrentEntry;
use super::unfinished::Unfinished;
use super::{Session, SessionParts, TaskResult};
use crate::api::Event;

impl Session {
    /// As [`Session::spawn_task`], for work that only begins something: skipped if the session ends before its turn.
    pub(super) fn spawn_start_task(
        &mut self,
        work: impl FnOnce() -> TaskResult + Send + 'static,
        fault: impl FnOnce(EngineError) -> TaskResult + Clone + Send + 'static,
    ) {
        let (quitting, skipped) = (Arc::clone(&self.quitting), fault.clone());
        let work = move || if quitting.load(Ordering::Acquire) { skipped(EngineError::Stopping) } else { work() };
        self.spawn_task(work, fault);
    }

    /// Begins to stop all torrents; whatever only waits for an answer of the network is given up at once.
    pub(super) fn quit(&mut self, until: Instant) {
        if self.quit.is_some() {
            return;
        }
        self.quit = Some(until);
        self.quitting.store(true, Ordering::Release);
        // The port mapping is deleted while the torrents send their `stopped` announces.
        self.parts.ports = None;
        self.parts.world.greeter.stop();
        self.parts.world.announcer.stop_fetches();
        if let Some(datagrams) = &self.parts.world.datagrams {
            datagrams.stop();
        }
        self.stop_making();
        self.mark_list_dirty();
        self.order.clone().into_iter().for_each(|id| self.advance(id));
    }

    pub(super) fn at_rest(&mut self) -> bool {
        // Whoever has ended starts nothing any more, so the next look begins where this one ends.
        match self.table.range(self.ended_before..).find(|(_, entry)| !entry.is_at_rest()) {
            Some((id, _)) => {
                self.ended_before = *id;
                false
            }
            None => !self.list.due && !self.list.writing && self.table.values().all(TorrentEntry::is_at_rest),
        }
    }

    /// Sends the last snapshot and shuts down the disk pool. Returns what did not stop in time.
    pub(super) fn end(mut self, until: Instant) -> Unfinished {
        self.changed = true;
        self.send_snapshot();
        let torrents = self.table.values().filter(|entry| !entry.is_at_rest()).count();
        let SessionParts { world, disk, tasks, results, events, .. } = self.parts;
        // Dropping the last reference to these ends the announce threads and the task pool.
        drop((world, tasks, results));
        let threads = match Arc::into_inner(disk) {
            Some(disk) => disk.shutdown(until.saturating_duration_since(Instant::now())),
            None => vec!["disk".to_owned()],
        };
        let _ = events.send(Event::Stopped);
        Unfinished { torrents: Some(torrents as u64), threads }
    }
}
