//! Peer exchange with the clients that people use: a download whose only source is named by a peer that has nothing
//! itself, and `ttui` as that peer.
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
use std::path::PathBuf;

use serde_json::json;
use support::clients::{Client, Given, Kind, Manner, ttui, ttui_flags};
use support::network::Place;
use support::process::{Process, skip, tail, until};
use support::torrents::Payload;

#[test]
fn finds_libtorrent_through_a_common_peer() {
    through_a_common_peer(Kind::Libtorrent);
}

#[test]
fn finds_transmission_through_a_common_peer() {
    through_a_common_peer(Kind::Transmission);
}

#[test]
fn finds_aria2_through_a_common_peer() {
    through_a_common_peer(Kind::Aria2);
}

#[test]
fn finds_rtorrent_through_a_common_peer() {
    through_a_common_peer(Kind::Rtorrent);
}

#[test]
fn finds_itself_through_a_common_peer() {
    through_a_common_peer(Kind::Ttui);
}

struct Scene {
    scratch: tempfile::TempDir,
    payload: Payload,
    torrent: PathBuf,
    hex: String,
}

impl Scene {
    fn new(seed: u64) -> Scene {
        let scratch = tempfile::tempdir().expect("a temporary folder");
        let payload = Payload::single("a film.bin", 6_000_001, 65_536, seed);
        let (torrent, hex) = (scratch.path().join("film.torrent"), payload.hex());
        // Nobody listens there; rtorrent takes no torrent without a tracker.
        payload.write_torrent(&torrent, "http://127.0.0.1:9/announce");
        let scene = Scene { scratch, payload, torrent, hex };
        scene.payload.write_data(&scene.at("seed"));
        scene
    }

    fn at(&self, name: &str) -> PathBuf {
        let path = self.scratch.path().join(name);
        fs::create_dir_all(&path).expect("folders can be made");
        path
    }

    fn given(&self) -> [Given<'_>; 1] {
        [Given { torrent: &self.torrent, hex: &self.hex }]
    }
}

fn pex() -> Manner {
    Manner { pex: true, ..Manner::default() }
}

/// `ttui` is given a magnet link that names one peer, which has the metadata, no piece, and a connection to the seeder.
fn through_a_common_peer(seeder: Kind) {
    if let Some(why) = Kind::Libtorrent.missing().or_else(|| seeder.missing()) {
        return skip(&why);
    }
    let scene = Scene::new(11);
    let home = scene.at("seeder");
    let from = Client::seed_with(seeder, pex(), &Place::loopback(), &home, &scene.at("seed"), &scene.given());
    let mut common = Client::libtorrent_with(pex(), &Place::loopback(), &scene.at("common"));
    // At this pace its first piece takes ten minutes.
    let slow = json!({"op": "add", "torrent": scene.torrent, "dir": scene.at("nothing"), "pex": true, "down": 100});
    common.say(&slow);
    let seeder_at = from.addr();
    until(
        "the common peer to have found the seeder",
        || from.state(),
        || {
            common.say(&json!({"op": "connect", "to": seeder_at}));
            common.stat()[0]["peers"].as_u64() > Some(0)
        },
    );
    let link = PathBuf::from(format!("magnet:?xt=urn:btih:{}&x.pe={}", scene.hex, common.addr()));
    let given = [Given { torrent: &link, hex: &scene.hex }];
    let leech = scene.at("leech");
    let mut to = Client::leech_with(Kind::Ttui, pex(), &Place::loopback(), &scene.at("leecher"), &leech, &given);
    let log = to.process.log.clone();
    until(&format!("a download from {seeder:?}"), || tail(&log), || to.is_done());
    assert_eq!(scene.payload.flaws(&leech, true), None);
    assert_eq!(common.uploaded(), 0, "the common peer has nothing to give");
}

/// A libtorrent peer knows only a slow `ttui`, which is connected to the seeder.
#[test]
fn names_its_peers_to_libtorrent() {
    if let Some(why) = Kind::Libtorrent.missing() {
        return skip(&why);
    }
    let scene = Scene::new(12);
    let from =
        Client::seed(Kind::Libtorrent, &Place::loopback(), &scene.at("seeder"), &scene.at("seed"), &scene.given());
    let (place, port) = (Place::loopback(), Place::loopback().port());
    let flags = ttui_flags(place.ip, port, &scene.at("slow"), &scene.at("state"));
    let flags = flags.into_iter().filter(|flag| flag != "--no-pex").collect();
    let seeder_at = from.addr();
    // At this pace it would need a day, and would give a day's worth.
    let more = ["--down-limit", "100", "--up-limit", "100", "--peer", &seeder_at];
    let mut slow = Process::start(ttui("download", &scene.torrent, flags, &more), &scene.at("slow ttui"));
    let mut to = Client::libtorrent_with(pex(), &Place::loopback(), &scene.at("leecher"));
    to.add(&scene.torrent, &scene.at("leech"), 0);
    let log = slow.log.clone();
    until(
        "libtorrent to complete",
        || tail(&log),
        || {
            slow.must_live();
            to.say(&json!({"op": "connect", "to": format!("{}:{port}", place.ip)}));
            to.is_done()
        },
    );
    assert_eq!(scene.payload.flaws(&scene.at("leech"), true), None);
}
