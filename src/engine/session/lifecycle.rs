//! The lifecycle of a torrent in the session: adding, loading, opening, running, pausing and removing, step by step.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use super::super::add::TorrentSpec;
use super::super::error::EngineError;
use super::super::inbox::inbox;
use super::super::magnet::resolve_source;
use super::super::runner::Runner;
use super::super::saved_torrent::SavedTorrent;
use super::entry::{DesiredState, Lifecycle, TorrentEntry, TorrentError};
use super::{Opened, Session, TaskResult};
use crate::api::{AddTorrent, Event, TorrentId};
use crate::clock::unix_seconds;
use crate::disk::error::{other, transient};
use crate::disk::ownership::registry::OwnershipRegistry;
use crate::disk::resume_store::ResumeStore;
use crate::disk::storage::{Allocation, Resumed, Storage, StorageSpec};
use crate::swarm::event::Input;
use crate::swarm::job::{DiskFault, FaultKind};
use crate::swarm::torrent::Torrent;
use crate::swarm::view::State;
use crate::wire::message::InfoHash;
use crate::wire::tracker::AnnounceIdentity;

impl Session {
    /// Enters the first torrents of the last session into the table. They are only shown: nothing of them is read before
    /// all of the list is there.
    pub(super) fn first_loaded(&mut self, list: Vec<SavedTorrent>) {
        if list.is_empty() || self.list.loaded {
            return;
        }
        let ids = self.restore(list);
        ids.into_iter().for_each(|id| self.rest(id));
    }

    /// Enters the torrents of the last session into the table and starts loading them, unpaused torrents first.
    pub(super) fn loaded(&mut self, list: Vec<SavedTorrent>, notes: Vec<String>) {
        self.list.loaded = true;
        notes.into_iter().for_each(|note| self.notice(None, note));
        let mut restored: Vec<_> = self.list.restored.iter().cloned().flatten().map(TorrentId).collect();
        restored.extend(self.restore(list));
        // Torrents that will run are loaded first.
        let paused = |id: &TorrentId| self.table.get(id).is_some_and(|entry| entry.desired == DesiredState::Pause);
        let (later, first): (Vec<_>, Vec<_>) = restored.into_iter().partition(paused);
        first.into_iter().chain(later).for_each(|id| self.advance(id));
    }

    /// Enters torrents of the last session into the table, except those that are there.
    fn restore(&mut self, list: Vec<SavedTorrent>) -> Vec<TorrentId> {
        let first = self.next + 1;
        self.list.restored.push(first..u32::MAX);
        for kept in list {
            if let Some(hash) = kept.hash().filter(|hash| self.find(*hash).is_none()) {
                let id = self.name();
                self.enter(id, TorrentEntry::new(hash, kept));
            }
        }
        if let Some(last) = self.list.restored.last_mut() {
            last.end = self.next + 1;
        }
        (first..=self.next).map(TorrentId).collect()
    }

    fn is_restored(&self, id: TorrentId) -> bool {
        self.list.restored.iter().any(|ids| ids.contains(&id.0))
    }

    fn find(&self, hash: InfoHash) -> Option<TorrentId> {
        self.by_hash.get(&hash).copied()
    }

    /// Returns a new torrent id; ids are never reused.
    fn name(&mut self) -> TorrentId {
        self.next += 1;
        TorrentId(self.next)
    }

    /// Inserts a torrent into the table and the queue.
    ///
    /// Loads finish in any order, possibly before the saved list is read: the queue is ordered by id, with the torrents
    /// of the saved list first.
    fn enter(&mut self, id: TorrentId, entry: TorrentEntry) {
        self.owners().set_session_dir(entry.hash, Some(&entry.saved.dir));
        self.by_hash.insert(entry.hash, id);
        self.table.insert(id, entry);
        let rank = |id: TorrentId| (!self.is_restored(id), id);
        let later = self.order.iter().rev().take_while(|other| rank(**other) > rank(id)).count();
        self.order.insert(self.order.len() - later, id);
    }

    /// Starts the task that reads the saved `.torrent` file or magnet link of a torrent.
    fn start_loading(&mut self, id: TorrentId) {
        let Some(entry) = self.table.get_mut(&id) else { return };
        let Some(keep) = &self.parts.keep else { return };
        entry.lifecycle = Lifecycle::Loading;
        let kept = keep.torrent_path(&entry.saved.info_hash);
        // A magnet link without metadata has no `.torrent` file, only the link.
        let what = entry.saved.magnet.clone().unwrap_or_else(|| kept.to_string_lossy().into_owned());
        let (dir, select) = (Some(entry.saved.dir.clone()), entry.saved.select.clone());
        let add = AddTorrent { what, dir, select, ..AddTorrent::default() };
        let (defaults, world, hash) = (self.parts.defaults.clone(), Arc::clone(&self.parts.world), entry.hash);
        let keep = keep.clone();
        // A torrent that will run loads its resume data when its files are opened, so only a paused one needs it here.
        let state_dir = (entry.desired == DesiredState::Pause).then(|| self.parts.state_dir.clone());
        let work = move || {
            let recall = |plan: &TorrentSpec| {
                let (layout, state_dir) = (plan.layout.as_ref()?, state_dir.as_ref()?);
                ResumeStore::new(state_dir, plan.config.info_hash, &plan.dir).load_bitfield(layout).map(Bytes::from)
            };
            let plan = resolve_source(&add, &world.announcer, &keep, &defaults);
            let plan = plan.map(|plan| {
                if let Some(layout) = plan.layout.as_ref().filter(|_| kept.exists()) {
                    layout.set_kept(&kept);
                    // Until it is opened nothing is checked.
                    layout.release_hashes();
                }
                let mut plan = TorrentSpec { bytes: None, resume_bitfield: recall(&plan), ..plan };
                plan.release_info();
                plan
            });
            let plan = plan.and_then(|plan| match plan.config.info_hash == hash {
                true => Ok(Box::new(plan)),
                false => Err(EngineError::Replaced(add.what.clone())),
            });
            TaskResult::TorrentLoaded(id, plan)
        };
        self.spawn_start_task(work, move |why| TaskResult::TorrentLoaded(id, Err(why)));
    }

    /// Handles a loaded torrent. One that cannot be loaded stays in the session with an error.
    pub(super) fn on_loaded(&mut self, id: TorrentId, plan: Result<Box<TorrentSpec>, EngineError>) {
        let Some(entry) = self.table.get_mut(&id) else { return };
        match plan {
            Ok(plan) => {
                entry.store_metadata(&plan);
                entry.set_spec(plan);
                self.advance(id);
            }
            Err(why) => {
                entry.lifecycle = Lifecycle::NotLoaded;
                self.failed(id, other(why.to_string()));
            }
        }
        let named = self.table.get_mut(&id).map(|entry| std::mem::take(&mut entry.named_again));
        named.into_iter().flatten().for_each(|add| self.add(add));
    }

    pub(super) fn add(&mut self, add: AddTorrent) {
        let (defaults, world) = (self.parts.defaults.clone(), Arc::clone(&self.parts.world));
        let (keep, again, id) = (self.parts.keep.clone(), add.clone(), self.name());
        let kept = self.keeper();
        let work = move || {
            let planned = resolve_source(&add, &world.announcer, &kept, &defaults).map(|mut plan| {
                if let Some(keep) = keep
                    && let Some(bytes) = plan.bytes.take()
                {
                    let hash = plan.config.info_hash;
                    match (keep.save_torrent(hash, &bytes), &plan.layout) {
                        (Ok(()), Some(layout)) => layout.set_kept(&keep.torrent_path(&hash.to_string())),
                        (saved, _) => plan.remarks.extend(saved.err().map(|why| why.to_string())),
                    }
                }
                // Without metadata no file is opened that would tell.
                if plan.layout.is_none() {
                    plan.remarks.extend(plan.check_folder().err().map(|why| why.to_string()));
                }
                Box::new(plan)
            });
            TaskResult::Resolved(id, add, planned)
        };
        self.spawn_start_task(work, move |why| TaskResult::Resolved(id, again, Err(why)));
    }

    pub(super) fn planned(&mut self, id: TorrentId, add: AddTorrent, plan: Result<Box<TorrentSpec>, EngineError>) {
        let mut plan = match plan {
            Ok(plan) => plan,
            Err(why) => return self.event(Event::AddFailed { what: add.what, why: why.to_string() }),
        };
        let hash = plan.config.info_hash;
        if self.forgetting.contains(&hash) {
            return self.again.push(add);
        }
        if let Some(id) = self.find(hash) {
            return self.join(id, add, plan);
        }
        plan.release_info();
        let mut kept = SavedTorrent {
            info_hash: hash.to_string(),
            name: plan.config.name.clone(),
            dir: plan.dir.clone(),
            paused: add.paused,
            sequential: add.sequential,
            added: unix_seconds().unwrap_or_default(),
            size: plan.config.size(),
            magnet: plan.magnet.as_ref().map(|magnet| magnet.to_string()),
            choose: add.choose && plan.magnet.is_some(),
            ..SavedTorrent::default()
        };
        if plan.magnet.is_some() {
            kept.select.clone_from(&add.select);
        }
        kept.prioritise(&plan.config.priorities);
        kept.prioritise(&add.priorities);
        let remarks = plan.remarks.clone();
        self.enter(id, TorrentEntry::new(hash, kept));
        remarks.into_iter().for_each(|remark| self.notice(Some(id), remark));
        if let Some(entry) = self.table.get_mut(&id) {
            entry.set_spec(plan);
            entry.overwrite = add.overwrite;
            entry.adding = Some(add.what);
        }
        if add.paused {
            self.added(id);
        }
        self.advance(id);
    }

    /// Reports a new torrent as [`Event::Added`] and schedules saving the torrent list.
    fn added(&mut self, id: TorrentId) {
        let Some(entry) = self.table.get_mut(&id) else { return };
        let Some(what) = entry.adding.take() else { return };
        let text = format!("{}: added", entry.saved.name);
        self.write_log(Some(id), text);
        self.event(Event::Added { id, what });
        self.mark_list_dirty();
    }

    /// Moves the torrent one step from its current [`Lifecycle`] towards its [`DesiredState`].
    ///
    /// Called again when that step completes.
    pub(super) fn advance(&mut self, id: TorrentId) {
        (self.changed, self.queue.stale) = (true, true);
        let (quitting, restored) = (self.quit.is_some(), self.is_restored(id));
        let Some(entry) = self.table.get_mut(&id) else { return };
        let goal = match entry.desired {
            DesiredState::Run if quitting => DesiredState::Pause,
            goal => goal,
        };
        let leaves = matches!(goal, DesiredState::Remove { .. }) || quitting;
        match (&entry.lifecycle, goal) {
            // Until the whole list is read, its torrents are only shown.
            (Lifecycle::NotLoaded, _) if !self.list.loaded && restored => self.rest(id),
            // The file-opening task must end first; then the files are closed or handed to the torrent.
            (Lifecycle::Paused(_), _) if entry.opening_files => self.rest(id),
            (Lifecycle::Running(_), DesiredState::Run) if entry.scheduled && entry.moving.is_none() => (),
            (Lifecycle::Running(inbox), _) => {
                inbox.send(Input::Stop);
                self.parts.routes.close(entry.hash);
                entry.lifecycle = Lifecycle::Stopping;
            }
            (Lifecycle::Moving(_, progress), _) if leaves => progress.end(),
            (Lifecycle::NotLoaded, DesiredState::Remove { data: false }) => self.forget(id),
            (Lifecycle::NotLoaded, DesiredState::Remove { data: true }) if !entry.may_try() => {
                let text = format!("the files of {} are still there: it could not be read", entry.saved.name);
                self.notice(Some(id), text);
                self.forget(id);
            }
            (Lifecycle::NotLoaded, _) if entry.may_try() && !quitting => {
                self.start_loading(id);
                self.rest(id);
            }
            (Lifecycle::Paused(_), DesiredState::Remove { data: false }) => self.forget(id),
            (Lifecycle::Paused(torrent), DesiredState::Remove { data: true }) if !torrent.has_metadata() => {
                self.forget(id);
            }
            (Lifecycle::Paused(_), DesiredState::Remove { data: true }) => self.delete(id),
            (Lifecycle::Paused(_), _) if entry.moving.is_some() && !quitting => self.begin_moving(id),
            (Lifecycle::Paused(_), DesiredState::Run) if entry.scheduled && entry.may_try() && entry.is_choosing() => {
                self.ask_files(id);
                self.rest(id);
            }
            (Lifecycle::Paused(_), DesiredState::Run) if entry.scheduled && entry.may_try() => self.open(id),
            (Lifecycle::Stopping | Lifecycle::Deleting, _) => (),
            _ => self.rest(id),
        }
    }

    /// Rebuilds the view of a torrent that does not run.
    pub(super) fn rest(&mut self, id: TorrentId) {
        let detail = self.focus == Some(id);
        let Some(entry) = self.table.get_mut(&id) else { return };
        entry.rest(detail);
        // A torrent waiting in the queue is not opened yet, so it counts as added without that check.
        if entry.view.state == State::Queued && matches!(entry.lifecycle, Lifecycle::Paused(_)) && !entry.scheduled {
            self.added(id);
        }
    }

    /// Returns the registry of which torrent owns which paths.
    pub(super) fn owners(&self) -> Arc<OwnershipRegistry> {
        self.parts.disk.owners(&self.parts.state_dir)
    }

    pub(super) fn forget(&mut self, id: TorrentId) {
        self.order.retain(|other| *other != id);
        if let Some(entry) = self.table.get(&id) {
            self.owners().set_session_dir(entry.hash, None);
            self.by_hash.remove(&entry.hash);
        }
        self.queue.stale = true;
        if let Some(entry) = self.table.remove(&id)
            && let Some(keep) = self.parts.keep.clone()
        {
            let hash = entry.hash;
            self.forgetting.insert(hash);
            let work = move || {
                keep.forget(hash);
                TaskResult::Forgotten(hash)
            };
            self.spawn_task(work, move |_| TaskResult::Forgotten(hash));
        }
        if self.focus == Some(id) {
            self.focus = None;
        }
        self.mark_list_dirty();
    }

    /// Returns the storage parameters of a torrent; `None` for a magnet link without metadata.
    pub(super) fn spec(&self, id: TorrentId) -> Option<StorageSpec> {
        let entry = self.table.get(&id)?;
        let plan = entry.spec.as_ref()?;
        Some(StorageSpec {
            layout: Arc::clone(plan.layout.as_ref()?),
            dir: plan.dir.clone(),
            state_dir: self.parts.state_dir.clone(),
            allocate: Allocation::default(),
            unwanted: plan.unwanted(),
            overwrite: entry.overwrite,
            mend_names: entry.mend_names,
            read_only: plan.config.seed_only,
        })
    }

    fn open(&mut self, id: TorrentId) {
        if self.table.get(&id).is_none_or(|entry| entry.spec.is_none()) {
            return;
        }
        let (spec, disk) = (self.spec(id), Arc::clone(&self.parts.disk));
        self.update_lifecycle(id, |life| match life {
            Lifecycle::Paused(torrent) => Lifecycle::Opening(torrent),
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
            let opened = disk.open(spec, move |done| answers.send(Input::Disk(done)));
            let opened = opened.map(|(storage, resumed)| {
                let storage = Some(storage);
                Box::new(Opened { mail, inbox, storage, resumed })
            });
            TaskResult::Opened(id, opened)
        };
        self.spawn_start_task(work, move |why| TaskResult::Opened(id, Err(transient(why.to_string()))));
    }

    pub(super) fn update_lifecycle(&mut self, id: TorrentId, change: impl FnOnce(Lifecycle) -> Lifecycle) {
        if let Some(entry) = self.table.get_mut(&id) {
            let life = std::mem::replace(&mut entry.lifecycle, Lifecycle::Stopping);
            entry.lifecycle = change(life);
        }
    }

    /// Handles a start failure: a new torrent is rejected, an existing one gets an error with scheduled retries.
    pub(super) fn failed(&mut self, id: TorrentId, fault: DiskFault) {
        let Some(entry) = self.table.get_mut(&id) else { return };
        if let Some(what) = entry.adding.take() {
            self.event(Event::AddFailed { what, why: fault.text });
            return self.forget(id);
        }
        if fault.kind.is_in_the_way() {
            return self.occupied(id, fault);
        }
        let before = entry.error.take();
        let known = before.as_ref().is_some_and(|before| before.fault.text == fault.text);
        let text = fault.text.clone();
        entry.error = Some(TorrentError::new(fault, before.as_ref(), Instant::now()));
        self.advance(id);
        if !known {
            self.notice(Some(id), text);
        }
    }

    pub(super) fn opened(&mut self, id: TorrentId, opened: Result<Box<Opened>, DiskFault>) {
        let quitting = self.quit.is_some();
        let Some(entry) = self.table.get_mut(&id) else { return };
        let wanted = entry.desired == DesiredState::Run && entry.scheduled && entry.moving.is_none() && !quitting;
        let opened = match opened {
            Ok(opened) if wanted => opened,
            Ok(opened) => return self.close_files(id, opened.storage),
            Err(fault) => {
                self.update_lifecycle(id, |life| match life {
                    Lifecycle::Opening(torrent) => Lifecycle::Paused(torrent),
                    other => other,
                });
                return if wanted { self.failed(id, fault) } else { self.advance(id) };
            }
        };
        if matches!(entry.lifecycle, Lifecycle::Opening(_)) {
            self.start(id, *opened);
        }
    }

    /// Closes the files of a torrent that must no longer run. Until the task completes, the files must not be reopened.
    pub(super) fn close_files(&mut self, id: TorrentId, storage: Option<Storage>) {
        let work = move || {
            if let Some(storage) = storage {
                storage.close();
            }
            TaskResult::Closed(id)
        };
        self.spawn_task(work, move |_| TaskResult::Closed(id));
    }

    /// Runs a torrent whose files are open.
    fn start(&mut self, id: TorrentId, opened: Opened) {
        let detail = self.focus == Some(id);
        let Some(share) = self.table.get(&id).map(|entry| self.even_share(entry.saved.rank)) else { return };
        let Some(entry) = self.table.get_mut(&id) else { return };
        let Some(plan) = &entry.spec else { return };
        let torrent = match std::mem::replace(&mut entry.lifecycle, Lifecycle::Stopping) {
            Lifecycle::Opening(torrent) => torrent,
            _ => entry.build_torrent(plan),
        };
        let Opened { mail, inbox, storage, resumed } = opened;
        let config = &plan.config;
        inbox.offer_dht(config.dht.is_some() && !config.private);
        let (info_hash, peer_id, port) = (config.info_hash, config.peer_id, config.port);
        let asker = AnnounceIdentity { info_hash, peer_id, port, key: config.seed as u32 };
        let runner = Runner { id, torrent, storage, resumed, mail, inbox: inbox.clone(), asker, detail };
        runner.start(&self.parts.world);
        let over = entry.error.take();
        // An even share bounds the torrent until the next regular distribution.
        inbox.send(Input::Quota(share));
        entry.quota = Some(share);
        entry.lifecycle = Lifecycle::Running(inbox.clone());
        self.parts.routes.open(info_hash, inbox);
        if over.is_some() {
            self.notice(Some(id), "the error is resolved: resuming".to_owned());
        }
        self.added(id);
        self.reshare = true;
        self.advance(id);
    }

    fn delete(&mut self, id: TorrentId) {
        let Some(spec) = self.spec(id) else { return };
        // Whatever has the place of a file, the others go.
        let spec = StorageSpec { unwanted: (0..spec.layout.files().len() as u32).collect(), ..spec };
        let disk = Arc::clone(&self.parts.disk);
        self.update_lifecycle(id, |_| Lifecycle::Deleting);
        let work = move || {
            let deleted = disk.open(spec, |_| ()).and_then(|(storage, _)| {
                let deleted = storage.delete_files();
                storage.close();
                deleted
            });
            TaskResult::Deleted(id, deleted.map_err(|fault| fault.text))
        };
        self.spawn_task(work, move |why| TaskResult::Deleted(id, Err(format!("its files are still there: {why}"))));
    }

    pub(super) fn ended(&mut self, id: TorrentId, end: Result<Box<Torrent>, String>) {
        let Some(entry) = self.table.get_mut(&id) else { return };
        self.parts.routes.close(entry.hash);
        self.list.totals_changed = true;
        match end {
            Ok(torrent) => {
                entry.lifecycle = Lifecycle::Paused(torrent);
                entry.rebuild();
                self.mark_list_dirty();
                self.advance(id);
            }
            Err(words) => {
                if let Some(mut plan) = entry.spec.take() {
                    plan.apply_saved(&entry.saved);
                    entry.seen = false;
                    entry.lifecycle = Lifecycle::Paused(entry.build_torrent(&plan));
                    entry.spec = Some(plan);
                }
                let text = format!("internal error: {words}; resume the torrent to retry");
                self.failed(id, DiskFault { kind: FaultKind::Final, text });
            }
        }
    }
}
