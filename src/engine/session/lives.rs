//! A torrent's life in the session: added, opened, run, paused, removed, one step at a time.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use super::super::add::Plan;
use super::super::inbox::inbox;
use super::super::join::named;
use super::super::kept::Kept;
use super::super::runner::Runner;
use super::entry::{Entry, Goal, Halt, Life};
use super::wishes::today;
use super::{Desk, Errand, Opened};
use crate::api::{AddTorrent, Event, TorrentId};
use crate::disk::fault::{other, passing};
use crate::disk::owners::Owners;
use crate::disk::storage::{Allocation, Resumed, Storage, StorageSpec};
use crate::disk::store::Store;
use crate::swarm::event::Input;
use crate::swarm::job::{DiskFault, FaultKind};
use crate::swarm::torrent::Torrent;
use crate::swarm::view::State;
use crate::wire::message::InfoHash;
use crate::wire::tracker::Asker;

impl Desk {
    /// The torrents of the last session: they are shown at once, and read one after the other.
    pub(super) fn loaded(&mut self, list: Vec<Kept>, notes: Vec<String>) {
        self.list.loaded = true;
        notes.into_iter().for_each(|note| self.notice(None, note));
        let mut restored = Vec::new();
        self.list.restored = self.next + 1..u32::MAX;
        for kept in list {
            let Some(hash) = kept.hash().filter(|hash| self.find(*hash).is_none()) else { continue };
            let id = self.name();
            self.enter(id, Entry::new(hash, kept));
            restored.push(id);
        }
        self.list.restored.end = self.next + 1;
        // Those that are to run are read first.
        let paused = |id: &TorrentId| self.table.get(id).is_some_and(|entry| entry.goal == Goal::Pause);
        let (later, first): (Vec<_>, Vec<_>) = restored.into_iter().partition(paused);
        first.into_iter().chain(later).for_each(|id| self.settle(id));
    }

    fn find(&self, hash: InfoHash) -> Option<TorrentId> {
        self.table.iter().find(|(_, entry)| entry.hash == hash).map(|(id, _)| *id)
    }

    /// A name that no torrent had before.
    fn name(&mut self) -> TorrentId {
        self.next += 1;
        TorrentId(self.next)
    }

    /// Puts a torrent at the end of the queue. Several that are added at once are read in any order, and before the list
    /// of the last session or after it: each comes before those that were named after it, those of the list before all.
    fn enter(&mut self, id: TorrentId, entry: Entry) {
        self.owners().list(entry.hash, Some(&entry.kept.dir));
        self.table.insert(id, entry);
        let rank = |id: TorrentId| (!self.list.restored.contains(&id.0), id);
        let later = self.order.iter().rev().take_while(|other| rank(**other) > rank(id)).count();
        self.order.insert(self.order.len() - later, id);
    }

    /// Reads the `.torrent` of one of the list.
    fn begin_reading(&mut self, id: TorrentId) {
        let Some(entry) = self.table.get_mut(&id) else { return };
        let Some(keep) = &self.it.keep else { return };
        entry.life = Life::Reading;
        let path = keep.torrent_path(&entry.kept.info_hash).to_string_lossy().into_owned();
        // Of a magnet whose metadata have not come there is only the link.
        let what = entry.kept.magnet.clone().unwrap_or(path);
        let (dir, select) = (Some(entry.kept.dir.clone()), entry.kept.select.clone());
        let add = AddTorrent { what, dir, select, ..AddTorrent::default() };
        let (defaults, world, hash) = (self.it.defaults.clone(), Arc::clone(&self.it.world), entry.hash);
        let keep = keep.clone();
        // Those that are to run are told soon by whoever looks at their files.
        let state_dir = (entry.goal == Goal::Pause).then(|| self.it.state_dir.clone());
        let work = move || {
            let recall = |plan: &Plan| {
                let (layout, state_dir) = (plan.layout.as_ref()?, state_dir.as_ref()?);
                Store::new(state_dir, plan.config.info_hash, &plan.dir).recall(layout).map(Bytes::from)
            };
            let plan = named(&add, &world.announcer, &keep, &defaults);
            let plan = plan.map(|plan| Plan { bytes: None, recalled: recall(&plan), ..plan });
            let plan = plan.and_then(|plan| match plan.config.info_hash == hash {
                true => Ok(Box::new(plan)),
                false => Err(format!("{} is another torrent's: remove this one and add it again", add.what)),
            });
            Errand::Read(id, plan)
        };
        self.errand(work, move |why| Errand::Read(id, Err(why)));
    }

    /// The `.torrent` of one of the list was read, or could not be: then it stays all the same.
    pub(super) fn read(&mut self, id: TorrentId, plan: Result<Box<Plan>, String>) {
        let Some(entry) = self.table.get_mut(&id) else { return };
        match plan {
            Ok(plan) => {
                entry.knows(&plan);
                entry.adopt(plan);
                self.settle(id);
            }
            Err(why) => {
                entry.life = Life::Unread;
                self.failed(id, other(why));
            }
        }
        let named = self.table.get_mut(&id).map(|entry| std::mem::take(&mut entry.named_again));
        named.into_iter().flatten().for_each(|add| self.add(add));
    }

    pub(super) fn add(&mut self, add: AddTorrent) {
        let (defaults, world) = (self.it.defaults.clone(), Arc::clone(&self.it.world));
        let (keep, again, id) = (self.it.keep.clone(), add.clone(), self.name());
        let kept = self.keeper();
        let work = move || {
            let planned = named(&add, &world.announcer, &kept, &defaults).map(|mut plan| {
                if let (Some(keep), Some(bytes)) = (keep, &plan.bytes) {
                    plan.remarks.extend(keep.torrent(plan.config.info_hash, bytes).err());
                    plan.bytes = None;
                }
                Box::new(plan)
            });
            Errand::Planned(id, add, planned)
        };
        self.errand(work, move |why| Errand::Planned(id, again, Err(why)));
    }

    pub(super) fn planned(&mut self, id: TorrentId, add: AddTorrent, plan: Result<Box<Plan>, String>) {
        let plan = match plan {
            Ok(plan) => plan,
            Err(why) => return self.event(Event::Refused { what: add.what, why }),
        };
        let hash = plan.config.info_hash;
        if self.forgetting.contains(&hash) {
            return self.again.push(add);
        }
        if let Some(id) = self.find(hash) {
            return self.join(id, add, plan);
        }
        let mut kept = Kept {
            info_hash: hash.to_string(),
            name: plan.config.name.clone(),
            dir: plan.dir.clone(),
            paused: add.paused,
            sequential: add.sequential,
            added: today(),
            size: plan.config.size(),
            magnet: plan.magnet.as_ref().map(|magnet| magnet.to_string()),
            choose: add.choose && plan.magnet.is_some(),
            ..Kept::default()
        };
        if plan.magnet.is_some() {
            kept.select.clone_from(&add.select);
        }
        kept.prioritise(&plan.config.priorities);
        kept.prioritise(&add.priorities);
        let remarks = plan.remarks.clone();
        self.enter(id, Entry::new(hash, kept));
        remarks.into_iter().for_each(|remark| self.notice(Some(id), remark));
        if let Some(entry) = self.table.get_mut(&id) {
            entry.adopt(plan);
            entry.overwrite = add.overwrite;
            entry.seed_only = add.seed_only;
            entry.adding = Some(add.what);
        }
        if add.paused {
            self.added(id);
        }
        self.settle(id);
    }

    /// It is in the list from now on.
    fn added(&mut self, id: TorrentId) {
        let Some(entry) = self.table.get_mut(&id) else { return };
        let Some(what) = entry.adding.take() else { return };
        let text = format!("{}: added", entry.kept.name);
        self.note(Some(id), text);
        self.event(Event::Added { id, what });
        self.keep();
    }

    /// Takes the next step from what a torrent is to what it shall be.
    pub(super) fn settle(&mut self, id: TorrentId) {
        self.changed = true;
        let quitting = self.quit.is_some();
        let Some(entry) = self.table.get_mut(&id) else { return };
        let goal = match entry.goal {
            Goal::Run if quitting => Goal::Pause,
            goal => goal,
        };
        let leaves = matches!(goal, Goal::Remove { .. }) || quitting;
        match (&entry.life, goal) {
            // Its files are being looked at: when that is over they are closed, or it is told of them.
            (Life::Paused(_), _) if entry.unpacking => self.rest(id),
            (Life::Running(_), Goal::Run) if entry.turn && entry.moving.is_none() => (),
            (Life::Running(inbox), _) => {
                inbox.tell(Input::Stop);
                self.it.routes.close(entry.hash);
                entry.life = Life::Stopping;
            }
            (Life::Moving(_, progress), _) if leaves => progress.end(),
            (Life::Unread, Goal::Remove { data: false }) => self.forget(id),
            (Life::Unread, Goal::Remove { data: true }) if !entry.may_try() => {
                let text = format!("the files of {} are still there: it could not be read", entry.kept.name);
                self.notice(Some(id), text);
                self.forget(id);
            }
            (Life::Unread, _) if entry.may_try() && !quitting => {
                self.begin_reading(id);
                self.rest(id);
            }
            (Life::Paused(_), Goal::Remove { data: false }) => self.forget(id),
            (Life::Paused(torrent), Goal::Remove { data: true }) if !torrent.is_described() => self.forget(id),
            (Life::Paused(_), Goal::Remove { data: true }) => self.delete(id),
            (Life::Paused(_), _) if entry.moving.is_some() && !quitting => self.begin_moving(id),
            (Life::Paused(_), Goal::Run) if entry.turn && entry.may_try() && entry.is_choosing() => {
                self.ask_files(id);
                self.rest(id);
            }
            (Life::Paused(_), Goal::Run) if entry.turn && entry.may_try() => self.open(id),
            (Life::Stopping | Life::Deleting, _) => (),
            _ => self.rest(id),
        }
    }

    /// Shows one that does not run.
    pub(super) fn rest(&mut self, id: TorrentId) {
        let detail = self.focus == Some(id);
        let Some(entry) = self.table.get_mut(&id) else { return };
        entry.rest(detail);
        // It waits for its turn: that it can be added is all that is to be known for now.
        if entry.view.state == State::Queued && matches!(entry.life, Life::Paused(_)) && !entry.turn {
            self.added(id);
        }
    }

    /// Who owns which paths.
    pub(super) fn owners(&self) -> Arc<Owners> {
        self.it.disk.owners(&self.it.state_dir)
    }

    pub(super) fn forget(&mut self, id: TorrentId) {
        self.order.retain(|other| *other != id);
        if let Some(entry) = self.table.get(&id) {
            self.owners().list(entry.hash, None);
        }
        if let Some(entry) = self.table.remove(&id)
            && let Some(keep) = self.it.keep.clone()
        {
            let hash = entry.hash;
            self.forgetting.insert(hash);
            let work = move || {
                keep.forget(hash);
                Errand::Forgotten(hash)
            };
            self.errand(work, move |_| Errand::Forgotten(hash));
        }
        if self.focus == Some(id) {
            self.focus = None;
        }
        self.keep();
    }

    /// Where the files of a torrent are; `None` for a magnet that has none yet.
    pub(super) fn spec(&self, id: TorrentId) -> Option<StorageSpec> {
        let entry = self.table.get(&id)?;
        let plan = entry.plan.as_ref()?;
        Some(StorageSpec {
            layout: Arc::clone(plan.layout.as_ref()?),
            dir: plan.dir.clone(),
            state_dir: self.it.state_dir.clone(),
            allocate: Allocation::default(),
            unwanted: plan.unwanted(),
            overwrite: entry.overwrite,
        })
    }

    fn open(&mut self, id: TorrentId) {
        if self.table.get(&id).is_none_or(|entry| entry.plan.is_none()) {
            return;
        }
        let (spec, disk) = (self.spec(id), Arc::clone(&self.it.disk));
        self.alter(id, |life| match life {
            Life::Paused(torrent) => Life::Opening(torrent),
            other => other,
        });
        let (inbox, mail) = inbox();
        let Some(spec) = spec else {
            let opened = Opened { mail, inbox, storage: None, resumed: Resumed::default() };
            return self.opened(id, Ok(Box::new(opened)));
        };
        self.rest(id);
        let work = move || {
            let answers = inbox.clone();
            let opened = disk.open(spec, move |done| answers.tell(Input::Disk(done)));
            let opened = opened.map(|(storage, resumed)| {
                let storage = Some(storage);
                Box::new(Opened { mail, inbox, storage, resumed })
            });
            Errand::Opened(id, opened)
        };
        self.errand(work, move |why| Errand::Opened(id, Err(passing(why))));
    }

    pub(super) fn alter(&mut self, id: TorrentId, change: impl FnOnce(Life) -> Life) {
        if let Some(entry) = self.table.get_mut(&id) {
            let life = std::mem::replace(&mut entry.life, Life::Stopping);
            entry.life = change(life);
        }
    }

    /// A torrent could not be started: it is not added, or stays as one that is tried again.
    pub(super) fn failed(&mut self, id: TorrentId, fault: DiskFault) {
        let Some(entry) = self.table.get_mut(&id) else { return };
        if let Some(what) = entry.adding.take() {
            self.event(Event::Refused { what, why: fault.text });
            return self.forget(id);
        }
        if fault.kind.is_in_the_way() {
            return self.occupied(id, fault);
        }
        let before = entry.error.take();
        let known = before.as_ref().is_some_and(|before| before.fault.text == fault.text);
        let text = fault.text.clone();
        entry.error = Some(Halt::new(fault, before.as_ref(), Instant::now()));
        self.settle(id);
        if !known {
            self.notice(Some(id), text);
        }
    }

    pub(super) fn opened(&mut self, id: TorrentId, opened: Result<Box<Opened>, DiskFault>) {
        let quitting = self.quit.is_some();
        let Some(entry) = self.table.get_mut(&id) else { return };
        let wanted = entry.goal == Goal::Run && entry.turn && entry.moving.is_none() && !quitting;
        let opened = match opened {
            Ok(opened) if wanted => opened,
            Ok(opened) => return self.shut(id, opened.storage),
            Err(fault) => {
                self.alter(id, |life| match life {
                    Life::Opening(torrent) => Life::Paused(torrent),
                    other => other,
                });
                return if wanted { self.failed(id, fault) } else { self.settle(id) };
            }
        };
        if matches!(entry.life, Life::Opening(_)) {
            self.start(id, *opened);
        }
    }

    /// Closes files whose turn has gone. That waits for the disk, and until it is done nobody else may open them.
    pub(super) fn shut(&mut self, id: TorrentId, storage: Option<Storage>) {
        let work = move || {
            if let Some(storage) = storage {
                storage.close();
            }
            Errand::Shut(id)
        };
        self.errand(work, move |_| Errand::Shut(id));
    }

    /// Gives a torrent whose files are open its thread.
    fn start(&mut self, id: TorrentId, opened: Opened) {
        let detail = self.focus == Some(id);
        let Some(share) = self.table.get(&id).map(|entry| self.even_share(entry.kept.rank)) else { return };
        let Some(entry) = self.table.get_mut(&id) else { return };
        let Some(plan) = &entry.plan else { return };
        let torrent = match std::mem::replace(&mut entry.life, Life::Stopping) {
            Life::Opening(torrent) => torrent,
            _ => entry.machine(plan),
        };
        let Opened { mail, inbox, storage, resumed } = opened;
        let config = &plan.config;
        inbox.offer_dht(config.dht.is_some() && !config.private);
        let (info_hash, peer_id, port) = (config.info_hash, config.peer_id, config.port);
        let asker = Asker { info_hash, peer_id, port, key: config.seed as u32 };
        let runner = Runner { id, torrent, storage, resumed, mail, inbox: inbox.clone(), asker, detail };
        if let Err(error) = runner.start(&self.it.world) {
            let torrent = entry.machine(plan);
            entry.life = Life::Paused(torrent);
            return self.failed(id, passing(format!("no thread for it: {error}; allow more (ulimit -u)")));
        }
        let over = entry.error.take();
        // It gets an even share before it asks for much, and its own with the next division.
        inbox.tell(share);
        entry.life = Life::Running(inbox.clone());
        self.it.routes.open(info_hash, inbox);
        if over.is_some() {
            self.notice(Some(id), "what kept it from running is over: going on".to_owned());
        }
        self.added(id);
        self.reshare = true;
        self.settle(id);
    }

    fn delete(&mut self, id: TorrentId) {
        let Some(spec) = self.spec(id) else { return };
        // Whatever has the place of a file, the others go.
        let spec = StorageSpec { unwanted: (0..spec.layout.files().len() as u32).collect(), ..spec };
        let disk = Arc::clone(&self.it.disk);
        self.alter(id, |_| Life::Deleting);
        let work = move || {
            let deleted = disk.open(spec, |_| ()).and_then(|(storage, _)| {
                let deleted = storage.delete_files();
                storage.close();
                deleted
            });
            Errand::Deleted(id, deleted.map_err(|fault| fault.text))
        };
        self.errand(work, move |why| Errand::Deleted(id, Err(format!("its files are still there: {why}"))));
    }

    pub(super) fn ended(&mut self, id: TorrentId, end: Result<Box<Torrent>, String>) {
        let Some(entry) = self.table.get_mut(&id) else { return };
        self.it.routes.close(entry.hash);
        self.list.moved_on = true;
        match end {
            Ok(torrent) => {
                entry.life = Life::Paused(torrent);
                entry.renew();
                self.keep();
                self.settle(id);
            }
            Err(words) => {
                if let Some(mut plan) = entry.plan.take() {
                    plan.wished(&entry.kept);
                    entry.seen = false;
                    entry.life = Life::Paused(entry.machine(&plan));
                    entry.plan = Some(plan);
                }
                let text = format!("it was stopped by a fault of ttui: {words}; resume it to go on");
                self.failed(id, DiskFault { kind: FaultKind::Final, text });
            }
        }
    }
}
