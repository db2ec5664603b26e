//! Moving a torrent's data: it stops, its files move on a thread of their own, and it goes on as before.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use super::super::kept::Kept;
use super::entry::Life;
use super::{Desk, Errand, Uncleared};
use crate::api::TorrentId;
use crate::disk::moving::cut_short::clear_up;
use crate::disk::moving::{Moved, Progress, bring};
use crate::disk::owners::Owners;

/// The time between two looks at how far a move is.
const LOOK: Duration = Duration::from_millis(500);

/// Clears up after moves that were cut short, in which these torrents were; returns what a person should hear.
pub(super) fn cut_short(state_dir: &Path, list: &[Kept], owners: &Owners) -> Vec<String> {
    let of = |hash| list.iter().find(|kept| kept.hash() == Some(hash)).map(|kept| kept.dir.clone());
    clear_up(state_dir, &of, owners)
}

impl Desk {
    /// Moves a torrent's data to another folder, as soon as nobody works on them.
    pub(super) fn move_to(&mut self, id: TorrentId, to: PathBuf) {
        let Some(entry) = self.table.get_mut(&id) else { return };
        let name = entry.kept.name.clone();
        if entry.plan.is_none() {
            return self.notice(Some(id), format!("{name} cannot be moved: its .torrent file has not been read"));
        }
        if entry.moving.is_some() || entry.unpacking {
            return self.notice(Some(id), format!("{name} is being moved or opened already"));
        }
        let to = std::path::absolute(&to).unwrap_or(to);
        if to == entry.kept.dir {
            return self.notice(Some(id), format!("{name} is in {} already", to.display()));
        }
        if let Some(plan) = entry.plan.as_mut().filter(|plan| plan.layout.is_none()) {
            // There is nothing to be moved yet.
            plan.move_to(to.clone());
            entry.kept.dir.clone_from(&to);
            let hash = entry.hash;
            self.owners().list(hash, Some(&to));
            self.notice(Some(id), format!("{name} will go to {}", to.display()));
            return self.keep();
        }
        entry.moving = Some(to);
        self.settle(id);
    }

    /// Nobody works on the files: a thread of their own moves them, since that may take hours.
    pub(super) fn begin_moving(&mut self, id: TorrentId) {
        let Some(entry) = self.table.get(&id) else { return };
        let Some(to) = entry.moving.clone() else { return };
        let Some(spec) = self.spec(id) else { return };
        let owners = self.owners();
        let results = self.it.results.0.clone();
        let progress = Arc::new(Progress::default());
        let shared = Arc::clone(&progress);
        self.alter(id, |life| match life {
            Life::Paused(torrent) => Life::Moving(torrent, shared),
            other => other,
        });
        let faults = results.clone();
        let work = move || {
            let (end, ended) = channel::<()>();
            let moved = std::thread::scope(|scope| {
                let told = results.clone();
                // Says every half second that there is more to see, until the move is over.
                scope.spawn(move || {
                    while ended.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
                        let _ = told.send(Errand::Moving(id));
                    }
                });
                let moved = bring(&spec, &to, &owners, &progress);
                drop(end);
                moved
            });
            let _ = results.send(Errand::Moved(id, moved.map(Box::new).map_err(|fault| fault.text)));
        };
        let fault = move |words| {
            let why = format!("the move ended by a fault of ttui ({words}): its files may be in both folders");
            let _ = faults.send(Errand::Moved(id, Err(why)));
        };
        if let Err(error) = self.it.world.crew.spawn(format!("move{}", id.0), work, fault) {
            self.moved(id, Err(format!("it cannot be moved: no thread for it: {error}")));
        }
        self.rest(id);
    }

    /// All files are in the new folder, or all are where they were.
    pub(super) fn moved(&mut self, id: TorrentId, moved: Result<Box<Moved>, String>) {
        self.alter(id, |life| match life {
            Life::Moving(torrent, _) => Life::Paused(torrent),
            other => other,
        });
        let Some(entry) = self.table.get_mut(&id) else { return };
        let to = entry.moving.take();
        let name = entry.kept.name.clone();
        match (moved, to, &mut entry.plan) {
            (Ok(moved), Some(to), Some(plan)) => {
                plan.move_to(to.clone());
                entry.kept.dir.clone_from(&to);
                if let Life::Paused(torrent) = &mut entry.life {
                    torrent.set_folder(plan.config.folder.clone());
                }
                let hash = entry.hash;
                // What was in its way was in the old folder.
                entry.error = None;
                entry.asked = false;
                self.owners().list(hash, Some(&to));
                self.notice(Some(id), format!("{name} was moved to {}", to.display()));
                self.keep();
                // What is left of it in the old folder goes when the list tells the next session of the new one.
                match self.it.keep {
                    Some(_) => self.list.uncleared.push((id, moved)),
                    None => self.clear(vec![(id, moved)]),
                }
            }
            (Err(why), ..) => self.notice(Some(id), format!("{name} was not moved: {why}")),
            (Ok(_), ..) => {}
        }
        self.settle(id);
    }

    /// Deletes what moves have left in old folders.
    pub(super) fn clear(&mut self, moves: Uncleared) {
        for (id, moved) in moves {
            let work = move || match moved.clear() {
                Ok(()) => Errand::Done,
                Err(fault) => {
                    Errand::Said(Some(id), format!("not all of the old files could be deleted: {}", fault.text))
                }
            };
            self.errand(work, move |why| Errand::Said(Some(id), format!("the old files are still there: {why}")));
        }
    }
}
