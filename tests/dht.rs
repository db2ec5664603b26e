//! The DHT with the clients that people use: downloads whose only source is named by a DHT of 30 libtorrent nodes, and
//! uploads to those that find us there.
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
use std::path::{Path, PathBuf};

use serde_json::json;
use support::clients::{Client, Given, Kind, Manner, ttui, ttui_flags};
use support::network::{Island, Place};
use support::process::{Process, skip, tail, until};
use support::torrents::Payload;

/// Thirty nodes, each on an address of its own.
struct Net {
    session: Client,
    nodes: Vec<String>,
}

impl Net {
    fn start(place: impl Fn() -> Place, home: &Path) -> Net {
        let mut session = Client::libtorrent(&place(), home);
        let places: Vec<Place> = (0..30).map(|_| place()).collect();
        let nodes: Vec<String> = places.iter().map(|place| format!("{}:{}", place.ip, place.port())).collect();
        session.say(&json!({"op": "dht", "nodes": nodes}));
        let mut net = Net { session, nodes };
        let log = net.session.process.log.clone();
        until("the nodes to find each other", || tail(&log), || net.counts().iter().all(|n| *n >= 8));
        net
    }

    fn counts(&mut self) -> Vec<u64> {
        let answer = self.session.say(&json!({"op": "dht_counts"}));
        answer["counts"].as_array().into_iter().flatten().filter_map(serde_json::Value::as_u64).collect()
    }

    /// How a client is that is in it.
    fn manner(&self) -> Manner {
        Manner { dht: self.nodes[3..10].to_vec(), ..Manner::default() }
    }

    /// The flags of a `ttui` that is in it.
    fn flags(&self, place: &Place, scene: &Scene, name: &str) -> Vec<String> {
        let flags = ttui_flags(place.ip, place.port(), &scene.at(name), &scene.at(&format!("state of {name}")));
        let flags = flags.into_iter().filter(|flag| flag != "--no-dht");
        flags.chain(["--dht-nodes".to_owned(), self.nodes[..3].join(",")]).collect()
    }
}

struct Scene {
    scratch: tempfile::TempDir,
    payload: Payload,
    torrent: PathBuf,
}

impl Scene {
    fn new(seed: u64) -> Scene {
        let scratch = tempfile::tempdir().expect("a temporary folder");
        let payload = Payload::single("a film.bin", 6_000_001, 65_536, seed);
        let torrent = scratch.path().join("film.torrent");
        // Nobody listens there; rtorrent takes no torrent without a tracker.
        payload.write_torrent(&torrent, "http://127.0.0.1:9/announce");
        let scene = Scene { scratch, payload, torrent };
        scene.payload.write_data(&scene.at("seed"));
        scene
    }

    fn at(&self, name: &str) -> PathBuf {
        let path = self.scratch.path().join(name);
        fs::create_dir_all(&path).expect("folders can be made");
        path
    }

    /// Its link, which names nobody.
    fn magnet(&self) -> PathBuf {
        format!("magnet:?xt=urn:btih:{}", self.payload.hex()).into()
    }
}

#[test]
fn magnets_lead_to_libtorrent_and_back() {
    both_ways(Kind::Libtorrent);
}

#[test]
fn magnets_lead_to_transmission_and_back() {
    both_ways(Kind::Transmission);
}

#[test]
fn magnets_lead_to_aria2_and_back() {
    both_ways(Kind::Aria2);
}

#[test]
fn magnets_lead_to_rtorrent_and_back() {
    both_ways(Kind::Rtorrent);
}

/// A magnet link that names nobody, once to the other client and once from it, on addresses that nobody shuns.
fn both_ways(other: Kind) {
    if let Some(why) = Kind::Libtorrent.missing().or_else(|| other.missing()) {
        return skip(&why);
    }
    let Some(island) = Island::new() else { return skip("no right to make network namespaces (ip netns add)") };
    island.inside(|| {
        let scene = Scene::new(25);
        let net = Net::start(|| island.place(), &scene.at("net"));
        for (seeder, leecher) in [(other, Kind::Ttui), (Kind::Ttui, other)] {
            let at = |what: &str| scene.at(&format!("{what}-{seeder:?}"));
            let (hex, link) = (scene.payload.hex(), scene.magnet());
            let [whole, named] = [&scene.torrent, &link].map(|torrent| [Given { torrent, hex: &hex }]);
            let manner = net.manner();
            let mut from = Client::seed_with(seeder, manner, &island.place(), &at("from"), &scene.at("seed"), &whole);
            let manner = net.manner();
            let mut to = Client::leech_with(leecher, manner, &island.place(), &at("to"), &at("leech"), &named);
            let logs = [from.process.log.clone(), to.process.log.clone()];
            let both = || format!("seeder:\n{}\nleecher:\n{}", tail(&logs[0]), tail(&logs[1]));
            until(&format!("{leecher:?} to join by {seeder:?}"), both, || to.is_done());
            from.process.must_live();
            let flaws = || scene.payload.flaws(&at("leech"), true);
            until("a whole file", || flaws().unwrap_or_default(), || flaws().is_none());
        }
    });
}

#[test]
fn downloads_what_the_dht_alone_names() {
    if let Some(why) = Kind::Libtorrent.missing() {
        return skip(&why);
    }
    let scene = Scene::new(21);
    let net = Net::start(Place::loopback, &scene.at("net"));
    let mut from = Client::libtorrent_with(net.manner(), &Place::loopback(), &scene.at("seeder"));
    from.add(&scene.torrent, &scene.at("seed"), 0);
    for (name, what) in [("by torrent", scene.torrent.clone()), ("by magnet", scene.magnet())] {
        let flags = net.flags(&Place::loopback(), &scene, name);
        let mut to =
            Process::start(ttui("download", &what, flags, &["--exit-when-done"]), &scene.at(&format!("home {name}")));
        let log = to.log.clone();
        until(&format!("a download {name}"), || tail(&log), || to.ended().is_some_and(|status| status.success()));
        assert_eq!(scene.payload.flaws(&scene.at(name), true), None);
        let kept = fs::read(scene.at(&format!("state of {name}")).join("dht")).expect("the nodes are kept");
        assert!(kept.len() > 6 * 8, "{} bytes", kept.len());
    }
}

#[test]
fn is_found_by_libtorrent_through_the_dht_alone() {
    if let Some(why) = Kind::Libtorrent.missing() {
        return skip(&why);
    }
    let scene = Scene::new(22);
    let net = Net::start(Place::loopback, &scene.at("net"));
    let place = Place::loopback();
    let mut from =
        Process::start(ttui("seed", &scene.torrent, net.flags(&place, &scene, "seed"), &[]), &scene.at("seeder"));
    let mut to = Client::libtorrent_with(net.manner(), &Place::loopback(), &scene.at("leecher"));
    to.add(&scene.magnet(), &scene.at("leech"), 0);
    let log = from.log.clone();
    until(
        "libtorrent to complete",
        || tail(&log),
        || {
            from.must_live();
            to.is_done()
        },
    );
    assert_eq!(scene.payload.flaws(&scene.at("leech"), true), None);
}

/// A peer that is given tells where its node is: whoever has no node to begin with is in the DHT by that.
#[test]
fn a_peer_leads_into_the_dht() {
    if let Some(why) = Kind::Libtorrent.missing() {
        return skip(&why);
    }
    let scene = Scene::new(23);
    let net = Net::start(Place::loopback, &scene.at("net"));
    let mut from = Client::libtorrent_with(net.manner(), &Place::loopback(), &scene.at("seeder"));
    from.add(&scene.torrent, &scene.at("seed"), 2_000_000);
    let place = Place::loopback();
    let mut flags = net.flags(&place, &scene, "leech");
    let named = flags.len() - 1;
    flags[named] = format!("{}:9", place.ip);
    let addr = from.addr();
    let mut to = Process::start(ttui("download", &scene.torrent, flags, &["--peer", &addr]), &scene.at("home"));
    let kept = scene.at("state of leech").join("dht");
    until("the download", || to.tail(), || scene.payload.flaws(&scene.at("leech"), true).is_none());
    to.must_live();
    to.signal(rustix::process::Signal::TERM);
    to.wait();
    assert!(fs::read(kept).is_ok_and(|kept| kept.len() > 6 * 8), "it found the others by that one");
}

#[test]
fn is_not_there_when_switched_off_and_says_when_nobody_answers() {
    let scene = Scene::new(24);
    let place = Place::loopback();
    let sockets = |pid: u32| {
        let all = std::process::Command::new("ss").args(["-Hnulp"]).output().expect("ss runs");
        String::from_utf8_lossy(&all.stdout).lines().filter(|line| line.contains(&format!("pid={pid},"))).count()
    };
    if !support::process::installed("ss") {
        return skip("ss is not installed");
    }
    for (off, count) in [(true, 0), (false, 1)] {
        let mut flags = ttui_flags(place.ip, place.port(), &scene.at("d"), &scene.at(&format!("state {off}")));
        if !off {
            flags.retain(|flag| flag != "--no-dht");
            flags.extend(["--dht-nodes".to_owned(), format!("{}:9", place.ip)]);
        }
        let mut it = Process::start(ttui("download", &scene.torrent, flags, &[]), &scene.at(&format!("home {off}")));
        until("it to run", || it.tail(), || it.output().contains("state=downloading"));
        it.must_live();
        assert_eq!(sockets(it.child.id()), count, "{}", it.tail());
    }
}
