//! A torrent's life in the session: added, opened, run, paused, removed, one step at a time.

use std::sync::Arc;
use std::time::Instant;

use super::super::add::{Plan, bytes, plan};
use super::super::inbox::{Inbox, Mail, inbox};
use super::super::keep::Kept;
use super::super::runner::Runner;
use super::{Desk, Errand};
use crate::api::{AddTorrent, Event, TorrentId};
use crate::disk::storage::{Allocation, Resumed, Storage, StorageSpec};
use crate::swarm::event::Input;
use crate::swarm::job::DiskFault;
use crate::swarm::torrent::Torrent;
use crate::swarm::view::{State, TorrentView};
use crate::wire::tracker::Asker;

/// What becomes of a torrent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Goal {
    Run,
    Pause,
    Remove { data: bool },
}

/// What a torrent is, to the session.
pub(super) enum Life {
    /// A value that nobody runs.
    Paused(Box<Torrent>),
    /// An errand looks at its files.
    Opening(Box<Torrent>),
    /// A thread runs it.
    Running(Inbox),
    /// Its thread says its last words.
    Stopping,
    /// An errand deletes its files.
    Deleting,
}

/// A torrent of the session.
pub(super) struct Entry {
    pub(super) plan: Box<Plan>,
    pub(super) goal: Goal,
    pub(super) life: Life,
    pub(super) view: TorrentView,
    /// What it was added as, until it is known whether that worked.
    pub(super) adding: Option<String>,
}

impl Desk {
    pub(super) fn add(&mut self, add: AddTorrent) {
        let (defaults, results) = (self.it.defaults.clone(), self.it.results.0.clone());
        let (world, what) = (Arc::clone(&self.it.world), add.what.clone());
        let keep = self.it.keep.clone();
        let errand = move || {
            let planned = bytes(&add.what, &world.announcer).and_then(|bytes| {
                let mut plan = plan(&add, &bytes, &defaults)?;
                plan.remarks.extend(keep.and_then(|keep| keep.torrent(plan.config.info_hash, &bytes).err()));
                Ok(Box::new(plan))
            });
            let _ = results.send(Errand::Planned(add, planned));
        };
        if let Err(why) = self.it.errands.run(errand) {
            self.event(Event::Refused { what, why });
        }
    }

    fn planned(&mut self, add: AddTorrent, plan: Result<Box<Plan>, String>) {
        let what = add.what;
        let plan = match plan {
            Ok(plan) => plan,
            Err(why) => return self.event(Event::Refused { what, why }),
        };
        let hash = plan.config.info_hash;
        if self.table.values().any(|entry| entry.plan.config.info_hash == hash) {
            return self.event(Event::Refused { what, why: format!("{} is already there", plan.config.name) });
        }
        let id = TorrentId(self.next);
        self.next += 1;
        plan.remarks.iter().for_each(|remark| self.notice(Some(id), remark.clone()));
        let torrent = Box::new(Torrent::new(plan.config.clone()));
        let view = torrent.view(Instant::now(), false);
        let goal = if add.paused { Goal::Pause } else { Goal::Run };
        // One of the last session stays in the list even if it cannot be started now.
        let restored = self.restoring.remove(&what).is_some();
        let adding = Some(what);
        self.table.insert(id, Entry { plan, goal, life: Life::Paused(torrent), view, adding });
        if add.paused || restored {
            self.added(id);
        }
        self.settle(id);
    }

    fn added(&mut self, id: TorrentId) {
        if let Some(what) = self.table.get_mut(&id).and_then(|entry| entry.adding.take()) {
            self.event(Event::Added { id, what });
            self.keep();
        }
    }

    /// Writes down what the session holds, for the next one.
    pub(super) fn keep(&mut self) {
        let Some(keep) = self.it.keep.clone() else { return };
        let kept = |entry: &Entry| Kept {
            info_hash: entry.plan.config.info_hash.to_string(),
            dir: entry.plan.dir.clone(),
            // One that a fault has stopped is tried again.
            paused: entry.goal == Goal::Pause && entry.view.state != State::Error,
            sequential: entry.plan.config.sequential,
        };
        let staying = self.table.values().filter(|e| e.adding.is_none() && !matches!(e.goal, Goal::Remove { .. }));
        let list = keep.list(staying.map(kept).chain(self.restoring.values().cloned()).collect());
        let notices = self.it.events.clone();
        let errand = move || {
            if let Err(text) = list.write() {
                let _ = notices.send(Event::Notice { id: None, text });
            }
        };
        if let Err(text) = self.it.errands.run(errand) {
            self.notice(None, text);
        }
    }

    pub(super) fn aim(&mut self, id: TorrentId, goal: Goal) {
        if let Some(entry) = self.table.get_mut(&id)
            && !matches!(entry.goal, Goal::Remove { .. })
        {
            entry.goal = goal;
            self.settle(id);
        }
    }

    /// Takes the next step from what a torrent is to what it shall be.
    pub(super) fn settle(&mut self, id: TorrentId) {
        self.changed = true;
        let Some(entry) = self.table.get_mut(&id) else { return };
        match (&entry.life, entry.goal) {
            (Life::Running(inbox), Goal::Pause | Goal::Remove { .. }) => {
                inbox.tell(Input::Stop);
                self.it.routes.close(entry.plan.config.info_hash);
                entry.life = Life::Stopping;
            }
            (Life::Paused(_), Goal::Run) => self.open(id),
            (Life::Paused(_), Goal::Remove { data: false }) => self.forget(id),
            (Life::Paused(_), Goal::Remove { data: true }) => self.delete(id),
            (Life::Paused(torrent), Goal::Pause) => {
                let mut view = torrent.view(Instant::now(), self.focus == Some(id));
                view.state = State::Paused;
                entry.view = view;
            }
            _ => (),
        }
    }

    fn forget(&mut self, id: TorrentId) {
        let gone = self.table.remove(&id);
        if let (Some(keep), Some(entry)) = (&self.it.keep, gone) {
            keep.forget(entry.plan.config.info_hash);
        }
        if self.focus == Some(id) {
            self.focus = None;
        }
    }

    fn spec(&self, plan: &Plan) -> StorageSpec {
        StorageSpec {
            layout: Arc::clone(&plan.layout),
            dir: plan.dir.clone(),
            state_dir: self.it.state_dir.clone(),
            allocate: Allocation::default(),
        }
    }

    fn open(&mut self, id: TorrentId) {
        let Some(entry) = self.table.get(&id) else { return };
        let (spec, results) = (self.spec(&entry.plan), self.it.results.0.clone());
        let disk = Arc::clone(&self.it.disk);
        let errand = move || {
            let (inbox, mail) = inbox();
            let answers = inbox.clone();
            let opened = disk.open(spec, move |done| answers.tell(Input::Disk(done)));
            let _ = results.send(Errand::Opened(id, mail, inbox, opened));
        };
        match self.it.errands.run(errand) {
            Ok(()) => self.alter(id, |life| match life {
                Life::Paused(torrent) => Life::Opening(torrent),
                other => other,
            }),
            Err(why) => self.failed(id, why),
        }
    }

    fn alter(&mut self, id: TorrentId, change: impl FnOnce(Life) -> Life) {
        if let Some(entry) = self.table.get_mut(&id) {
            let life = std::mem::replace(&mut entry.life, Life::Stopping);
            entry.life = change(life);
        }
    }

    /// A torrent could not be started: it is not added, or stays as one that needs the user.
    fn failed(&mut self, id: TorrentId, why: String) {
        let Some(entry) = self.table.get_mut(&id) else { return };
        if let Some(what) = entry.adding.take() {
            self.event(Event::Refused { what, why });
            return self.forget(id);
        }
        if entry.goal == Goal::Run {
            entry.goal = Goal::Pause;
        }
        self.settle(id);
        if let Some(entry) = self.table.get_mut(&id) {
            entry.view.state = State::Error;
            entry.view.error = Some(why.clone());
            self.notice(Some(id), why);
        }
    }

    fn opened(&mut self, id: TorrentId, mail: Mail, inbox: Inbox, opened: Result<(Storage, Resumed), DiskFault>) {
        let (quitting, share) = (self.quit.is_some(), self.even_share(id));
        let Some(entry) = self.table.get_mut(&id) else { return };
        let Life::Opening(torrent) = std::mem::replace(&mut entry.life, Life::Stopping) else { return };
        let (storage, resumed) = match opened {
            Ok(opened) if entry.goal == Goal::Run && !quitting => opened,
            other => {
                entry.life = Life::Paused(torrent);
                return match other {
                    Ok(_) => self.settle(id),
                    Err(fault) => self.failed(id, fault.text),
                };
            }
        };
        let config = &entry.plan.config;
        let (info_hash, peer_id, port) = (config.info_hash, config.peer_id, config.port);
        let asker = Asker { info_hash, peer_id, port, key: config.seed as u32 };
        let pieces = config.geometry.pieces();
        let detail = self.focus == Some(id);
        let runner = Runner { id, torrent, storage, resumed, mail, inbox: inbox.clone(), asker, pieces, detail };
        if let Err(error) = runner.start(&self.it.world) {
            entry.life = Life::Paused(Box::new(Torrent::new(entry.plan.config.clone())));
            return self.failed(id, format!("no thread for it: {error}"));
        }
        // It gets an even share before it asks for much, and its own with the next division.
        inbox.tell(share);
        entry.life = Life::Running(inbox.clone());
        self.it.routes.open(info_hash, inbox);
        self.added(id);
        self.reshare = true;
        self.settle(id);
    }

    fn delete(&mut self, id: TorrentId) {
        let Some(entry) = self.table.get(&id) else { return };
        let (spec, results) = (self.spec(&entry.plan), self.it.results.0.clone());
        let disk = Arc::clone(&self.it.disk);
        let errand = move || {
            let deleted = disk.open(spec, |_| ()).and_then(|(storage, _)| {
                let deleted = storage.delete_files();
                storage.close();
                deleted
            });
            let _ = results.send(Errand::Deleted(id, deleted));
        };
        match self.it.errands.run(errand) {
            Ok(()) => self.alter(id, |_| Life::Deleting),
            Err(why) => {
                self.notice(Some(id), format!("its files are still there: {why}"));
                self.forget(id);
            }
        }
    }

    pub(super) fn result(&mut self, result: Errand) {
        self.changed = true;
        match result {
            Errand::Planned(..) if self.quit.is_some() => (),
            Errand::Planned(add, plan) => self.planned(add, plan),
            Errand::Opened(id, mail, inbox, opened) => self.opened(id, mail, inbox, opened),
            Errand::Deleted(id, deleted) => {
                if let Err(fault) = deleted {
                    self.notice(Some(id), fault.text);
                }
                self.forget(id);
            }
        }
    }

    pub(super) fn ended(&mut self, id: TorrentId, end: Result<Box<Torrent>, String>) {
        let Some(entry) = self.table.get_mut(&id) else { return };
        self.it.routes.close(entry.plan.config.info_hash);
        match end {
            Ok(torrent) => {
                entry.life = Life::Paused(torrent);
                self.settle(id);
            }
            Err(words) => {
                entry.life = Life::Paused(Box::new(Torrent::new(entry.plan.config.clone())));
                self.failed(id, format!("it was stopped by a fault of ttui: {words}; resume it to go on"));
            }
        }
    }
}
