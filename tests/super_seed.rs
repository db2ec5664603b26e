//! Super-seeding (BEP 16) among other people's clients: a lone seeder sends less than two copies to three of them.
#![cfg(target_os = "linux")]
// A test whose surroundings fail has failed: saying so at once is all that is wanted. Every test file uses a part of
// what `support` offers.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::print_stderr, dead_code)]

mod support {
    pub mod clients;
    pub mod network;
    pub mod process;
    pub mod torrents;
}

use std::fs;
use std::time::{Duration, Instant};

use support::clients::{Client, Given, Kind};
use support::network::{Place, Tongue, Tracker};
use support::process::{skip, until};
use support::torrents::Payload;
use ttui::api::{AddTorrent, Command, Event, State, TorrentCommand, TorrentId, TorrentView};
use ttui::engine::handle::{Engine, EngineConfig};

/// Far beyond what this takes.
const PATIENCE: Duration = Duration::from_secs(120);

/// What the next events show, until one is what is waited for.
fn wait<T>(engine: &Engine, what: &str, mut found: impl FnMut(&Event) -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    let events = engine.events();
    loop {
        let event = events.recv_deadline(deadline).unwrap_or_else(|_| panic!("waited in vain: {what}"));
        if let Some(it) = found(&event) {
            return it;
        }
    }
}

fn view(event: &Event, id: TorrentId) -> Option<&TorrentView> {
    let Event::Snapshot(all) = event else { return None };
    all.torrents.iter().find(|(n, _)| *n == id).map(|(_, view)| view)
}

#[test]
fn three_libtorrents_need_less_than_two_copies_of_a_super_seeder() {
    if let Some(why) = Kind::Libtorrent.missing() {
        return skip(&why);
    }
    let scratch = tempfile::tempdir().unwrap();
    let at = |name: &str| {
        let path = scratch.path().join(name);
        fs::create_dir_all(&path).unwrap();
        path
    };
    let payload = Payload::single("film", 8_000_001, 65_536, 5);
    let hex = payload.hex();
    let mut tracker = Tracker::ttui(&Place::loopback(), &at("tracker"));
    let path = scratch.path().join("film.torrent");
    payload.write_torrent(&path, &tracker.url(Tongue::Http));
    payload.write_data(&at("seed"));

    let engine = Engine::start(&EngineConfig { state_dir: at("state"), ..EngineConfig::loopback(at("seed")) }).unwrap();
    engine.send(Command::Add(AddTorrent { what: path.display().to_string(), paused: true, ..AddTorrent::default() }));
    let id = wait(&engine, "it is added", |event| if let Event::Added { id, .. } = event { Some(*id) } else { None });
    engine.send(Command::Torrent(id, TorrentCommand::SuperSeed(true)));
    engine.send(Command::Resume(id));
    wait(&engine, "it is ready", |event| matches!(event, Event::Checked(_)).then_some(()));
    tracker.wait_for(&payload.hash(), engine.port().unwrap(), String::new);

    let given = [Given { torrent: &path, hex: &hex }];
    let homes = ["a", "b", "c"].map(&at);
    let mut leechers =
        homes.each_ref().map(|home| Client::leech(Kind::Libtorrent, &Place::loopback(), home, home, &given));
    until("all have it", || "they do not".into(), || leechers.iter_mut().all(Client::is_done));
    for (leecher, home) in leechers.iter_mut().zip(&homes) {
        assert_eq!(payload.flaws(home, true), None, "{}", leecher.state());
    }
    // Snapshots of earlier still wait to be heard: one that shows it paused is of now.
    engine.send(Command::Pause(id));
    let paused =
        |event: &Event| view(event, id).filter(|view| view.state == State::Paused && view.uploaded > 0).cloned();
    let last = wait(&engine, "it is paused", paused);
    let copies = last.uploaded as f64 / last.size as f64;
    assert!((1.0..2.0).contains(&copies), "{copies} copies were sent");
    assert_eq!(engine.shutdown(PATIENCE), Ok(()));
}
