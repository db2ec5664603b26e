//! A torrent that is there already and is named once more: what the second source brings is worked in.

use super::super::add::Plan;
use super::entry::Life;
use super::{Desk, Input};
use crate::api::{AddTorrent, Event, TorrentId, Wish};
use crate::limits;
use crate::swarm::event::Given;
use crate::swarm::view::Source;

/// Times that a torrent may be named before it is read.
const NAMED_AGAIN: usize = 16;

impl Desk {
    /// Takes what a second source brings, and tells what has come of that.
    pub(super) fn join(&mut self, id: TorrentId, add: AddTorrent, plan: Box<Plan>) {
        let Some(entry) = self.table.get_mut(&id) else { return };
        // What it is made of is being found out: then comes its turn.
        let unreadable = matches!(entry.life, Life::Unread) && entry.error.is_some();
        let what = add.what.clone();
        let text = match entry.plan.is_some() || unreadable {
            true => self.merge(id, plan),
            false if entry.named_again.len() < NAMED_AGAIN => return entry.named_again.push(add),
            false => format!("{} is already there", entry.kept.name),
        };
        self.note(Some(id), text.clone());
        self.event(Event::Known { id, what, text });
    }

    fn merge(&mut self, id: TorrentId, plan: Box<Plan>) -> String {
        let Some(entry) = self.table.get_mut(&id) else { return String::new() };
        let name = entry.kept.name.clone();
        let Some(known) = &entry.plan else {
            // Its own `.torrent` could not be read: this one takes its place.
            entry.error = None;
            self.read(id, Ok(plan));
            return format!("{name} is already there, and is made from this again");
        };
        let private = known.config.private || plan.config.private;
        let waits = known.layout.is_none();
        // Who the user names belongs to a private torrent too.
        self.input(id, Input::Found { source: Source::Manual, addrs: plan.config.peers.clone() });
        if let Some(info) = plan.config.info.clone().filter(|_| waits) {
            let (trackers, web_seeds) = (plan.config.trackers.clone(), plan.config.web_seeds.clone());
            self.give(id, Given { info, trackers, web_seeds, by_user: true });
            return format!("{name} is already there, and gets its metadata from this");
        }
        if private {
            return format!("{name} is already there; it is private, and keeps to the trackers that it has");
        }
        let Some(known) = self.table.get(&id).and_then(|entry| entry.plan.as_ref()) else { return String::new() };
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
            self.wish(id, Wish::AddTracker(url));
        }
        if !seeds.is_empty() {
            self.wish(id, Wish::AddWebSeeds(seeds));
        }
        self.input(id, Input::Found { source: Source::Link, addrs: plan.config.link.peers });
        match brought.is_empty() {
            true => format!("{name} is already there"),
            false => format!("{name} is already there; its {} {were} added", brought.join(" and ")),
        }
    }

    /// Hands a magnet the `.torrent` that the user gave for it.
    fn give(&mut self, id: TorrentId, mut given: Given) {
        let Some(entry) = self.table.get_mut(&id) else { return };
        if let Life::Running(inbox) = &entry.life {
            return inbox.tell(Input::Given(Box::new(given)));
        }
        let Some(plan) = &entry.plan else { return };
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
        if let Some(trackers) = &mut entry.kept.trackers {
            trackers.clone_from(&given.trackers);
        }
        self.metadata(id, Box::new(given));
    }
}
