//! What the session does for magnets: their metadata are judged, kept, and their files opened while their peers wait.

use std::sync::Arc;

use super::super::add::Plan;
use super::super::inbox::{Described, Post};
use super::super::join;
use super::super::keep::Keep;
use super::entry::{Entry, Goal, Life};
use super::{Desk, Errand};
use crate::api::{AddTorrent, Event, Priority, TorrentId};
use crate::disk::fault::passing;
use crate::disk::storage::{Resumed, Storage};
use crate::swarm::event::{Given, Input};
use crate::swarm::job::{DiskFault, FaultKind};

impl Entry {
    /// Takes down what is known of it by now. The files that the link or the user selects are those of the plan.
    pub(super) fn knows(&mut self, plan: &Plan) {
        if plan.layout.is_none() || self.kept.magnet.is_none() {
            return;
        }
        self.kept.magnet = None;
        self.kept.select.clear();
        self.kept.name.clone_from(&plan.config.name);
        self.kept.size = plan.config.size();
        // What the user has said of files comes last.
        let said: Vec<_> = self.kept.files.iter().map(|(file, priority)| (*file, *priority)).collect();
        self.kept.prioritise(&plan.config.priorities);
        self.kept.prioritise(&said);
        let files = plan.config.files.iter().filter(|file| !file.pad).count();
        self.kept.choose &= files > 1;
    }
}

impl Desk {
    /// Where `.torrent` files are kept: those of magnets also where no list is.
    pub(super) fn keeper(&self) -> Keep {
        self.it.keep.clone().unwrap_or_else(|| Keep::new(&self.it.state_dir))
    }

    /// The metadata of a magnet have come: whether they can be used is found out by an errand.
    pub(super) fn metadata(&mut self, id: TorrentId, given: Box<Given>) {
        let Some(entry) = self.table.get(&id) else { return };
        let Some(before) = entry.plan.clone().filter(|plan| plan.layout.is_none()) else { return };
        let add = AddTorrent {
            what: before.config.name.clone(),
            dir: Some(before.dir.clone()),
            select: entry.kept.select.clone(),
            sequential: entry.kept.sequential,
            seed_only: entry.seed_only,
            ..AddTorrent::default()
        };
        let (keep, defaults) = (self.keeper(), self.it.defaults.clone());
        let work = move || {
            let plan = join::described(&add, &before, &given, &keep, &defaults);
            // They are the same whenever they come.
            let judged =
                |why| DiskFault { kind: FaultKind::Final, text: format!("its metadata cannot be used: {why}") };
            Errand::Described(id, plan.map(Box::new).map_err(judged))
        };
        self.errand(work, move |why| Errand::Described(id, Err(passing(why))));
    }

    /// They were judged.
    pub(super) fn described(&mut self, id: TorrentId, plan: Result<Box<Plan>, DiskFault>) {
        let keeps = self.it.keep.is_some();
        let Some(entry) = self.table.get_mut(&id) else { return };
        let mut plan = match plan {
            Ok(plan) => plan,
            Err(fault) => return self.failed(id, fault),
        };
        entry.knows(&plan);
        plan.wished(&entry.kept);
        if keeps {
            plan.bytes = None;
        }
        let remarks = plan.remarks.clone();
        entry.plan = Some(plan);
        entry.seen = false;
        entry.renew();
        self.keep();
        remarks.into_iter().for_each(|remark| self.notice(Some(id), remark));
        self.unpack(id);
        self.settle(id);
    }

    /// Looks at the files of a magnet that runs, unless they are still to be chosen.
    fn unpack(&mut self, id: TorrentId) {
        let Some(entry) = self.table.get(&id) else { return };
        let (Life::Running(inbox), Some(_)) = (&entry.life, &entry.plan) else { return };
        if entry.is_choosing() {
            return self.ask_files(id);
        }
        if entry.unpacking {
            return;
        }
        let Some(spec) = self.spec(id) else { return };
        let (disk, answers) = (Arc::clone(&self.it.disk), inbox.clone());
        let work = move || {
            let opened = disk.open(spec, move |done| answers.tell(Input::Disk(done)));
            Errand::Unpacked(id, opened.map(Box::new))
        };
        if let Some(entry) = self.table.get_mut(&id) {
            entry.unpacking = true;
        }
        self.errand(work, move |why| Errand::Unpacked(id, Err(passing(why))));
    }

    /// Its files were looked at: it is told of them, if it still runs.
    pub(super) fn unpacked(&mut self, id: TorrentId, files: Result<Box<(Storage, Resumed)>, DiskFault>) {
        let Some(entry) = self.table.get_mut(&id) else { return };
        match (files, &entry.life, &entry.plan) {
            (Ok(files), Life::Running(inbox), Some(plan)) => {
                let (storage, resumed) = *files;
                let described = Described { config: plan.config.clone(), storage, resumed };
                let _ = inbox.post(Post::Described(Box::new(described)));
                entry.unpacking = false;
                self.settle(id);
            }
            // Until they are closed nobody else may open them.
            (Ok(files), ..) => self.shut(id, Some(files.0)),
            (Err(fault), Life::Running(_), _) => {
                entry.unpacking = false;
                self.failed(id, fault);
            }
            (Err(_), ..) => {
                entry.unpacking = false;
                self.settle(id);
            }
        }
    }

    /// Its files are closed.
    pub(super) fn packed(&mut self, id: TorrentId) {
        if let Some(entry) = self.table.get_mut(&id) {
            entry.unpacking = false;
        }
    }

    /// Asks the user which files he wants, once until he says something of the torrent.
    pub(super) fn ask_files(&mut self, id: TorrentId) {
        let Some(entry) = self.table.get_mut(&id) else { return };
        let Some(plan) = entry.plan.clone().filter(|_| !std::mem::replace(&mut entry.asked, true)) else { return };
        // That asks the disk how much room there is.
        let work = move || Errand::Told(Event::Choose { id, contents: Box::new(plan.contents()) });
        self.errand(work, move |why| Errand::Said(Some(id), why));
    }

    /// The user has chosen among its files.
    pub(super) fn chosen(&mut self, id: TorrentId, priorities: &[(usize, Priority)]) {
        let Some(entry) = self.table.get_mut(&id).filter(|entry| entry.is_choosing()) else { return };
        entry.kept.choose = false;
        entry.kept.files.clear();
        entry.kept.prioritise(priorities);
        if let Some(plan) = &mut entry.plan {
            plan.wished(&entry.kept);
        }
        if let (Life::Paused(_), Some(plan)) = (&entry.life, &entry.plan) {
            entry.life = Life::Paused(entry.machine(plan));
        }
        if entry.goal == Goal::Pause {
            entry.goal = Goal::Run;
        }
        self.keep();
        self.unpack(id);
        self.settle(id);
    }
}
