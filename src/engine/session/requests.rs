//! Commands that run as tasks and belong to no lifecycle step: previewing and exporting torrents, opening folders,
//! writing settings.

use std::path::PathBuf;
use std::sync::Arc;

use super::super::error::EngineError;
use super::super::file_actions::{export, open_folder, write_settings};
use super::super::magnet::resolve_source;
use super::{Session, TaskResult};
use crate::api::{AddTorrent, Event, Setting, TorrentId, TorrentPreview};
use crate::config::Settings;
use crate::engine::handle::affordable;
use crate::limits;

/// Settings that the user interface applies itself.
const OF_THE_INTERFACE: [&str; 6] = ["theme", "ascii", "no-mouse", "frames", "notify", "title"];

impl Session {
    /// Starts a preview of what could be added.
    pub(super) fn inspect(&mut self, add: AddTorrent) {
        let (defaults, world) = (self.parts.defaults.clone(), Arc::clone(&self.parts.world));
        let what = add.what.clone();
        let keep = self.keeper();
        let work = move || {
            let plan = resolve_source(&add, &world.announcer, &keep, &defaults);
            let plan = plan.and_then(|plan| plan.check_folder().map(|()| plan));
            TaskResult::Inspected(add.what, plan.map(|plan| Box::new(plan.contents())))
        };
        self.spawn_start_task(work, move |why| TaskResult::Inspected(what, Err(why)));
    }

    pub(super) fn inspected(&mut self, what: String, contents: Result<Box<TorrentPreview>, EngineError>) {
        let mut contents = contents.map_err(|why| why.to_string());
        if let Ok(contents) = &mut contents {
            contents.present = self.table.values().any(|entry| Some(entry.hash) == contents.info_hash);
        }
        self.event(Event::Inspected { what, contents });
    }

    /// Sends the magnet links of these torrents; torrents without one are omitted.
    pub(super) fn tell_magnets(&self, ids: &[TorrentId]) {
        let link = |id| Some(self.table.get(id)?.spec.as_ref()?.config.meta.magnet.clone());
        let links = ids.iter().filter_map(link).filter(|link| !link.is_empty()).collect();
        self.event(Event::MagnetLinks { asked: ids.len(), links });
    }

    /// Copies the `.torrent` file of a torrent to a path.
    pub(super) fn export(&mut self, id: TorrentId, to: PathBuf) {
        let Some(entry) = self.table.get(&id) else { return };
        if entry.saved.magnet.is_some() {
            let text = format!("{} cannot be exported yet: its metadata have not come", entry.saved.name);
            return self.notice(Some(id), text);
        }
        let held = entry.spec.as_ref().and_then(|plan| plan.bytes.clone());
        let path = self.parts.keep.as_ref().map(|keep| keep.torrent_path(&entry.saved.info_hash));
        let name = entry.saved.name.clone();
        let failed = format!("the .torrent of {name} was not exported");
        let work = move || {
            let text = match export(held, path.as_deref(), &name, &to) {
                Ok(path) => format!("the .torrent of {name} was exported to {}", path.display()),
                Err(why) => format!("the .torrent of {name} was not exported: {why}"),
            };
            TaskResult::Notice(Some(id), text)
        };
        self.spawn_task(work, move |why| TaskResult::Notice(Some(id), format!("{failed}: {why}")));
    }

    /// Opens a torrent's folder in the system's file manager.
    pub(super) fn open_folder(&mut self, id: TorrentId) {
        let Some(entry) = self.table.get(&id) else { return };
        let mut folder = entry.saved.dir.clone();
        let layout = entry.spec.as_ref().filter(|plan| plan.folder).and_then(|plan| plan.layout.as_ref());
        if let Some(own) = layout.and_then(|layout| layout.files().first()?.path.iter().next()) {
            folder.push(own);
        }
        let shown = folder.display().to_string();
        let work = move || match open_folder(&folder) {
            Ok(()) => TaskResult::Done,
            Err(why) => TaskResult::Notice(Some(id), why.to_string()),
        };
        self.spawn_task(work, move |why| TaskResult::Notice(Some(id), format!("{shown} cannot be shown: {why}")));
    }

    /// Writes settings to the config file, one write at a time; settings that arrive meanwhile are written next.
    pub(super) fn configure(&mut self, settings: Vec<Setting>) {
        self.settings.waiting.extend(settings);
        if self.settings.writing || self.settings.waiting.is_empty() {
            return;
        }
        let settings = std::mem::take(&mut self.settings.waiting);
        let Some(path) = self.parts.config_file.clone() else {
            let text = "settings cannot be written: there is no home folder to keep them in; name a file with --config";
            return self.notice(None, text.to_owned());
        };
        self.settings.writing = true;
        let named = settings.clone();
        let work = move || {
            let now = write_settings(&path, &settings);
            TaskResult::Configured(settings, now.map(Box::new))
        };
        self.spawn_task(work, move |why| TaskResult::Configured(named, Err(why)));
    }

    /// Applies written settings that need no restart and lists the others in a notice.
    pub(super) fn configured(&mut self, settings: &[Setting], now: Result<Box<Settings>, EngineError>) {
        self.settings.writing = false;
        match now {
            Err(why) => self.notice(None, why.to_string()),
            Ok(now) => {
                let mut later = Vec::new();
                for setting in settings {
                    match setting.key.as_str() {
                        "down-limit" => self.parts.limits.down = now.down_limit.filter(|limit| *limit > 0),
                        "up-limit" => self.parts.limits.up = now.up_limit.filter(|limit| *limit > 0),
                        "max-active" => {
                            self.queue.stale = true;
                            self.parts.max_active =
                                Some(now.max_active.unwrap_or(limits::ACTIVE)).filter(|most| *most > 0);
                        }
                        "dir" => {
                            self.parts.defaults.dir = now.dir.clone().unwrap_or_else(|| PathBuf::from("."));
                            self.room.forget();
                        }
                        "max-peers" => {
                            let most = now.max_peers.map_or(limits::PEERS_ALL, |most| most as usize);
                            let most = affordable(most);
                            self.parts.seats.set_most(most);
                            self.parts.defaults.max_peers = most.min(limits::PEERS_TORRENT);
                        }
                        key if OF_THE_INTERFACE.contains(&key) || key.starts_with("keys") => {}
                        key => later.push(key),
                    }
                }
                self.reshare = true;
                let file = self.parts.config_file.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
                let later = match later.as_slice() {
                    [] => String::new(),
                    keys => format!("; {} from the next start on", keys.join(", ")),
                };
                self.notice(None, format!("written to {file}{later}"));
            }
        }
        // Writes the settings that arrived meanwhile.
        self.configure(Vec::new());
    }
}
