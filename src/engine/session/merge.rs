//! Adding a torrent that the session already has: peers, trackers, web seeds and metadata of the new source are merged.

use super::super::add::TorrentSpec;
use super::entry::Lifecycle;
use super::{Input, Session};
use crate::api::{AddTorrent, Event, TorrentCommand, TorrentId};
use crate::limits;
use crate::swarm::event::ProvidedMetadata;
use crate::swarm::view::Source;

/// Maximum number of adds queued for a torrent whose `.torrent` file is still being read.
const NAMED_AGAIN: usize = 16;

impl Session {
    /// Merges a second source into a torrent and reports the result as [`Event::Known`].
    pub(super) fn join(&mut self, id: TorrentId, add: AddTorrent, plan: Box<TorrentSpec>) {
        let Some(entry) = self.table.get_mut(&id) else { return };
        // While the `.torrent` file is being read, the add is queued.
        let unreadable = matches!(entry.lifecycle, Lifecycle::NotLoaded) && entry.error.is_some();
        let what = add.what.clone();
        let text = match entry.spec.is_some() || unreadable {
            true => self.merge(id, plan),
            false if entry.named_again.len() < NAMED_AGAIN => return entry.named_again.push(add),
            false => format!("{} is already there", entry.saved.name),
        };
        self.write_log(Some(id), text.clone());
        self.event(Event::Known { id, what, text });
    }

    fn merge(&mut self, id: TorrentId, plan: Box<TorrentSpec>) -> String {
        let Some(entry) = self.table.get_mut(&id) else { return String::new() };
        let name = entry.saved.name.clone();
        let Some(known) = &entry.spec else {
            // The saved `.torrent` file could not be read: the new source replaces it.
            entry.error = None;
            self.on_loaded(id, Ok(plan));
            return format!("{name} is already there, and is made from this again");
        };
        let private = known.config.private || plan.config.private;
        let waits = known.layout.is_none();
        // Peers named by the user are allowed for a private torrent too (BEP 27).
        self.input(id, Input::PeersFound { source: Source::Manual, addrs: plan.config.peers.clone() });
        if let Some(info) = plan.config.info.clone().filter(|_| waits) {
            let (trackers, web_seeds) = (plan.config.trackers.clone(), plan.config.web_seeds.clone());
            self.provide_metadata(id, ProvidedMetadata { info, trackers, web_seeds, by_user: true });
            return format!("{name} is already there, and gets its metadata from this");
        }
        if private {
            return format!("{name} is already there; it is private, and keeps to the trackers that it has");
        }
        let Some(known) = self.table.get(&id).and_then(|entry| entry.spec.as_ref()) else { return String::new() };
        let new = |all: Vec<String>, has: &[&String]| -> Vec<String> {
            all.into_iter().filter(|url| !has.contains(&url)).collect()
        };
        let trackers = new(plan.config.trackers.concat(), &known.config.trackers.iter().flatten().collect::<Vec<_>>());
        let seeds = new(plan.config.web_seeds, &known.config.web_seeds.iter().collect::<Vec<_>>());
        let count = |n: usize, one: &str| match n {
            0 => None,
            1 => Some(format!("new {one}")),
            n => Some(format!("{n} new {one}s")),
        };
        let brought = [count(trackers.len(), "tracker"), count(seeds.len(), "web seed")];
        let brought: Vec<String> = brought.into_iter().flatten().collect();
        let were = if trackers.len() + seeds.len() == 1 { "was" } else { "were" };
        for url in trackers {
            self.on_torrent_command(id, TorrentCommand::AddTracker(url));
        }
        if !seeds.is_empty() {
            self.on_torrent_command(id, TorrentCommand::AddWebSeeds(seeds));
        }
        self.input(id, Input::PeersFound { source: Source::Link, addrs: plan.config.link.peers });
        match brought.is_empty() {
            true => format!("{name} is already there"),
            false => format!("{name} is already there; its {} {were} added", brought.join(" and ")),
        }
    }

    /// Passes the contents of a `.torrent` file to a magnet link with the same info-hash.
    fn provide_metadata(&mut self, id: TorrentId, mut given: ProvidedMetadata) {
        let Some(entry) = self.table.get_mut(&id) else { return };
        if let Lifecycle::Running(inbox) = &entry.lifecycle {
            return inbox.send(Input::MetadataProvided(Box::new(given)));
        }
        let Some(plan) = &entry.spec else { return };
        let private = crate::wire::metainfo::Metainfo::is_private(&given.info);
        let own = &plan.config.trackers;
        if !private {
            let new = given.trackers.concat().into_iter().filter(|url| !own.iter().flatten().any(|own| own == url));
            let new: Vec<Vec<String>> = new.map(|url| vec![url]).collect();
            given.trackers = own.iter().cloned().chain(new).take(limits::TRACKERS).collect();
        } else if given.trackers.is_empty() {
            given.trackers.clone_from(own);
        }
        let seeds = plan.config.web_seeds.iter().filter(|url| !given.web_seeds.contains(url)).cloned();
        given.web_seeds = seeds.collect::<Vec<_>>().into_iter().chain(given.web_seeds).collect();
        if let Some(trackers) = &mut entry.saved.trackers {
            trackers.clone_from(&given.trackers);
        }
        self.on_metadata(id, Box::new(given));
    }
}
