//! Moving a torrent's data to another folder: the torrent stops, a thread moves the files, the torrent resumes.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use super::entry::Lifecycle;
use super::{Session, TaskResult, Uncleared};
use crate::api::TorrentId;
use crate::disk::move_storage::{Moved, Progress, move_files};

/// Interval between two progress updates.
const LOOK: Duration = Duration::from_millis(500);

impl Session {
    /// Requests a move of the torrent's data; the move starts once the torrent has stopped.
    pub(super) fn move_to(&mut self, id: TorrentId, to: PathBuf) {
        let Some(entry) = self.table.get_mut(&id) else { return };
        let name = entry.saved.name.clone();
        if entry.spec.is_none() {
            return self.notice(Some(id), format!("{name} cannot be moved: its .torrent file has not been read"));
        }
        if entry.moving.is_some() || entry.opening_files {
            return self.notice(Some(id), format!("{name} is being moved or opened already"));
        }
        let to = std::path::absolute(&to).unwrap_or(to);
        if to == entry.saved.dir {
            return self.notice(Some(id), format!("{name} is in {} already", to.display()));
        }
        if let Some(plan) = entry.spec.as_mut().filter(|plan| plan.layout.is_none()) {
            // Without metadata there are no files to move.
            plan.move_to(to.clone());
            entry.saved.dir.clone_from(&to);
            let hash = entry.hash;
            self.owners().set_session_dir(hash, Some(&to));
            self.notice(Some(id), format!("{name} will go to {}", to.display()));
            return self.mark_list_dirty();
        }
        entry.moving = Some(to);
        self.advance(id);
    }

    /// Starts the move of a stopped torrent on a thread of its own, since it may take hours.
    pub(super) fn begin_moving(&mut self, id: TorrentId) {
        let Some(entry) = self.table.get(&id) else { return };
        let Some(to) = entry.moving.clone() else { return };
        let Some(spec) = self.spec(id) else { return };
        let owners = self.owners();
        let results = self.parts.results.0.clone();
        let progress = Arc::new(Progress::default());
        let shared = Arc::clone(&progress);
        self.update_lifecycle(id, |life| match life {
            Lifecycle::Paused(torrent) => Lifecycle::Moving(torrent, shared),
            other => other,
        });
        let faults = results.clone();
        let work = move || {
            let (end, ended) = channel::<()>();
            let moved = std::thread::scope(|scope| {
                let told = results.clone();
                // Triggers a view update every half second until the move ends.
                scope.spawn(move || {
                    while ended.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
                        let _ = told.send(TaskResult::Moving(id));
                    }
                });
                let moved = move_files(&spec, &to, &owners, &progress);
                drop(end);
                moved
            });
            let _ = results.send(TaskResult::Moved(id, moved.map(Box::new).map_err(|fault| fault.text)));
        };
        let fault = move |words| {
            let why = format!("the move ended by a fault of ttui ({words}): its files may be in both folders");
            let _ = faults.send(TaskResult::Moved(id, Err(why)));
        };
        if let Err(error) = self.parts.world.crew.spawn(format!("move{}", id.0), work, fault) {
            self.moved(id, Err(format!("it cannot be moved: no thread for it: {error}")));
        }
        self.rest(id);
    }

    /// Handles the end of a move: on success all files are in the new folder, on error all are in the old one.
    pub(super) fn moved(&mut self, id: TorrentId, moved: Result<Box<Moved>, String>) {
        self.update_lifecycle(id, |life| match life {
            Lifecycle::Moving(torrent, _) => Lifecycle::Paused(torrent),
            other => other,
        });
        let Some(entry) = self.table.get_mut(&id) else { return };
        let to = entry.moving.take();
        let name = entry.saved.name.clone();
        match (moved, to, &mut entry.spec) {
            (Ok(moved), Some(to), Some(plan)) => {
                plan.move_to(to.clone());
                entry.saved.dir.clone_from(&to);
                if let Lifecycle::Paused(torrent) = &mut entry.lifecycle {
                    torrent.set_folder(plan.config.folder.clone());
                }
                let hash = entry.hash;
                // What was in its way was in the old folder.
                entry.error = None;
                entry.asked = false;
                self.owners().set_session_dir(hash, Some(&to));
                self.notice(Some(id), format!("{name} was moved to {}", to.display()));
                self.mark_list_dirty();
                // The old files are deleted only after the saved list names the new folder.
                match self.parts.keep {
                    Some(_) => self.list.uncleared.push((id, moved)),
                    None => self.clear(vec![(id, moved)]),
                }
            }
            (Err(why), ..) => self.notice(Some(id), format!("{name} was not moved: {why}")),
            (Ok(_), ..) => {}
        }
        self.advance(id);
    }

    /// Deletes the old files of completed moves.
    pub(super) fn clear(&mut self, moves: Uncleared) {
        for (id, moved) in moves {
            let work = move || match moved.delete_old_files() {
                Ok(()) => TaskResult::Done,
                Err(fault) => {
                    TaskResult::Notice(Some(id), format!("not all of the old files could be deleted: {}", fault.text))
                }
            };
            self.spawn_task(work, move |why| {
                TaskResult::Notice(Some(id), format!("the old files are still there: {why}"))
            });
        }
    }
}
