//! Magnet links in the session: fetched metadata is validated and saved, then the files are opened.
//!
//! Peers stay connected meanwhile.

use std::sync::Arc;

use super::super::add::TorrentSpec;
use super::super::inbox::{MetadataLoaded, TorrentMessage};
use super::super::magnet;
use super::super::session_store::SessionStore;
use super::entry::{DesiredState, Lifecycle, TorrentEntry};
use super::{Session, TaskResult};
use crate::api::{AddTorrent, Event, Priority, TorrentId};
use crate::disk::error::transient;
use crate::disk::storage::{Resumed, Storage};
use crate::swarm::event::{Input, ProvidedMetadata};
use crate::swarm::job::{DiskFault, FaultKind};

impl TorrentEntry {
    /// Replaces the saved magnet link by its metadata. File selection by the link or the user is taken from the spec.
    pub(super) fn store_metadata(&mut self, plan: &TorrentSpec) {
        if plan.layout.is_none() || self.saved.magnet.is_none() {
            return;
        }
        self.saved.magnet = None;
        self.saved.select.clear();
        self.saved.name.clone_from(&plan.config.name);
        self.saved.size = plan.config.size();
        // Priorities set by the user override those of the spec.
        let said: Vec<_> = self.saved.files.iter().map(|(file, priority)| (*file, *priority)).collect();
        self.saved.prioritise(&plan.config.priorities);
        self.saved.prioritise(&said);
        let files = plan.config.files.iter().filter(|file| !file.pad).count();
        self.saved.choose &= files > 1;
    }
}

impl Session {
    /// Returns the store of `.torrent` files. A session that is not saved still stores the metadata of magnet links.
    pub(super) fn keeper(&self) -> SessionStore {
        self.parts.keep.clone().unwrap_or_else(|| SessionStore::new(&self.parts.state_dir))
    }

    /// Starts the task that validates the metadata of a magnet link.
    pub(super) fn on_metadata(&mut self, id: TorrentId, given: Box<ProvidedMetadata>) {
        let Some(entry) = self.table.get(&id) else { return };
        let Some(before) = entry.spec.clone().filter(|plan| plan.layout.is_none()) else { return };
        let add = AddTorrent {
            what: before.config.name.clone(),
            dir: Some(before.dir.clone()),
            select: entry.saved.select.clone(),
            sequential: entry.saved.sequential,
            seed_only: before.config.seed_only,
            ..AddTorrent::default()
        };
        let (keep, defaults) = (self.keeper(), self.parts.defaults.clone());
        let work = move || {
            let plan = magnet::from_metadata(&add, &before, &given, &keep, &defaults);
            // Final, because the same metadata would arrive again.
            let judged =
                |why| DiskFault { kind: FaultKind::Final, text: format!("its metadata cannot be used: {why}") };
            TaskResult::MetadataResolved(id, plan.map(Box::new).map_err(judged))
        };
        self.spawn_task(work, move |why| TaskResult::MetadataResolved(id, Err(transient(why.to_string()))));
    }

    /// Handles validated metadata: stores it in the entry and opens the files.
    pub(super) fn on_metadata_resolved(&mut self, id: TorrentId, plan: Result<Box<TorrentSpec>, DiskFault>) {
        let keeps = self.parts.keep.is_some();
        let Some(entry) = self.table.get_mut(&id) else { return };
        // The metadata came twice: from a peer and from a `.torrent`.
        if entry.spec.as_ref().is_some_and(|plan| plan.layout.is_some()) {
            return;
        }
        let mut plan = match plan {
            Ok(plan) => plan,
            Err(fault) => return self.failed(id, fault),
        };
        entry.store_metadata(&plan);
        plan.apply_saved(&entry.saved);
        if keeps {
            plan.bytes = None;
        }
        let remarks = plan.remarks.clone();
        entry.spec = Some(plan);
        entry.seen = false;
        entry.rebuild();
        self.mark_list_dirty();
        remarks.into_iter().for_each(|remark| self.notice(Some(id), remark));
        self.unpack(id);
        self.advance(id);
    }

    /// Opens the files of a running magnet link, or asks the user to select files first.
    fn unpack(&mut self, id: TorrentId) {
        let Some(entry) = self.table.get(&id) else { return };
        let (Lifecycle::Running(inbox), Some(_)) = (&entry.lifecycle, &entry.spec) else { return };
        if entry.is_choosing() {
            return self.ask_files(id);
        }
        if entry.opening_files {
            return;
        }
        let Some(spec) = self.spec(id) else { return };
        let (disk, answers) = (Arc::clone(&self.parts.disk), inbox.clone());
        let work = move || {
            let opened = disk.open(spec, move |done| answers.send(Input::Disk(done)));
            TaskResult::MetadataOpened(id, opened.map(Box::new))
        };
        if let Some(entry) = self.table.get_mut(&id) {
            entry.opening_files = true;
        }
        self.spawn_task(work, move |why| TaskResult::MetadataOpened(id, Err(transient(why.to_string()))));
    }

    /// Passes the opened files to the torrent if it still runs, otherwise closes them.
    pub(super) fn unpacked(&mut self, id: TorrentId, files: Result<Box<(Storage, Resumed)>, DiskFault>) {
        let Some(entry) = self.table.get_mut(&id) else { return };
        match (files, &entry.lifecycle, &entry.spec) {
            (Ok(files), Lifecycle::Running(inbox), Some(plan)) => {
                let (storage, resumed) = *files;
                let described = MetadataLoaded { config: plan.config.clone(), storage, resumed };
                let _ = inbox.try_send(TorrentMessage::MetadataLoaded(Box::new(described)));
                entry.opening_files = false;
                self.advance(id);
            }
            // The files must not be reopened until they are closed.
            (Ok(files), ..) => self.close_files(id, Some(files.0)),
            (Err(fault), Lifecycle::Running(_), _) => {
                entry.opening_files = false;
                self.failed(id, fault);
            }
            (Err(_), ..) => {
                entry.opening_files = false;
                self.advance(id);
            }
        }
    }

    /// Records that files opened for a running magnet link are closed again.
    pub(super) fn packed(&mut self, id: TorrentId) {
        if let Some(entry) = self.table.get_mut(&id) {
            entry.opening_files = false;
        }
    }

    /// Asks the user to select files. Not repeated until the user acts on the torrent.
    pub(super) fn ask_files(&mut self, id: TorrentId) {
        let Some(entry) = self.table.get_mut(&id) else { return };
        let Some(plan) = entry.spec.clone().filter(|_| !std::mem::replace(&mut entry.asked, true)) else { return };
        // The preview queries the free disk space, so it is built by a task.
        let work = move || TaskResult::Event(Event::FilesKnown { id, contents: Box::new(plan.contents()) });
        self.spawn_task(work, move |why| TaskResult::Notice(Some(id), why.to_string()));
    }

    /// Applies the user's file selection and starts the torrent.
    pub(super) fn chosen(&mut self, id: TorrentId, priorities: &[(usize, Priority)]) {
        let Some(entry) = self.table.get_mut(&id).filter(|entry| entry.is_choosing()) else { return };
        entry.saved.choose = false;
        entry.saved.files.clear();
        entry.saved.prioritise(priorities);
        if let Some(plan) = &mut entry.spec {
            plan.apply_saved(&entry.saved);
        }
        if let (Lifecycle::Paused(_), Some(plan)) = (&entry.lifecycle, &entry.spec) {
            entry.lifecycle = Lifecycle::Paused(entry.build_torrent(plan));
        }
        if entry.desired == DesiredState::Pause {
            entry.desired = DesiredState::Run;
        }
        self.mark_list_dirty();
        self.unpack(id);
        self.advance(id);
    }
}
