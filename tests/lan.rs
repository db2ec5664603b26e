//! From one machine's screen to another's on the same network: `ttui share` and `ttui download` in network namespaces that
//! are joined by bridges, found by local discovery alone, by the embedded tracker alone, and across a router.
#![cfg(target_os = "linux")]
// A test whose surroundings fail has failed: saying so at once is all that is wanted. Every test file uses a part of
// what `support` offers.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::print_stderr, dead_code)]

mod support {
    pub mod network;
    pub mod process;
    pub mod torrents;
}

use std::fs;
use std::path::{Path, PathBuf};

use support::network::{Net, Place, Speaks};
use support::process::{Process, installed, skip, until};
use support::torrents::Payload;

const TTUI: &str = env!("CARGO_BIN_EXE_ttui");

/// Data to share, and room for everything else.
struct Scene {
    scratch: tempfile::TempDir,
    payload: Payload,
}

impl Scene {
    fn new() -> Scene {
        let scene = Scene {
            scratch: tempfile::tempdir().expect("a temporary folder"),
            // The piece length that is chosen for so much.
            payload: Payload::single("one file.bin", 9_000_001, 16 * 1024, 3),
        };
        scene.payload.write_data(&scene.at("data"));
        scene
    }

    /// A folder of the scene, made when first asked for.
    fn at(&self, name: &str) -> PathBuf {
        let path = self.scratch.path().join(name);
        fs::create_dir_all(&path).expect("folders can be made");
        path
    }

    /// `ttui share`, once it seeds.
    fn share(&self, place: &Place, more: &[&str]) -> Share {
        let home = self.at("sharer");
        let data = self.at("data").join(&self.payload.name);
        let state = self.at("sharer-state");
        let mut args = vec!["share", data.to_str().unwrap(), "--state-dir", state.to_str().unwrap(), "--headless"];
        args.extend(["--no-dht", "--no-port-map"].iter().chain(more));
        let mut process = Process::start(command(place, &args), &home);
        let log = process.log.clone();
        let output = || fs::read_to_string(&log).unwrap_or_default();
        until("the share to be seeded", output, || {
            process.must_live();
            output().contains("state=seeding")
        });
        let told = output();
        let line = |label: &str| {
            let line =
                told.lines().find(|line| line.starts_with(label)).unwrap_or_else(|| panic!("no {label}: {told}"));
            line[label.len()..].trim().to_owned()
        };
        assert_eq!(line("magnet").split(['=', '&', ':']).nth(4), Some(self.payload.hex().as_str()), "{told}");
        Share { torrent: line("torrent").into(), tracker: line("tracker"), magnet: line("magnet"), process }
    }

    /// A `.torrent` of the same data that names no tracker.
    fn bare(&self) -> PathBuf {
        let path = self.scratch.path().join("bare.torrent");
        self.payload.write_torrent(&path, "");
        path
    }

    /// A `ttui` that ends when it has downloaded.
    fn download(&self, name: &str, place: &Place, what: &str, more: &[&str]) -> Process {
        let (home, dir, state) = (self.at(name), self.at(&format!("{name}-data")), self.at(&format!("{name}-state")));
        let mut args = vec!["download", what, "--dir", dir.to_str().unwrap(), "--state-dir", state.to_str().unwrap()];
        args.extend(["--no-dht", "--no-port-map", "--headless", "--exit-when-done"].iter().chain(more));
        Process::start(command(place, &args), &home)
    }

    fn must_have(&self, name: &str, process: &mut Process) {
        assert!(process.wait().success(), "{name}: {}", process.tail());
        assert_eq!(self.payload.flaws(&self.at(&format!("{name}-data")), true), None);
    }
}

fn command(place: &Place, args: &[&str]) -> std::process::Command {
    place.command(TTUI, &args.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>())
}

/// A share, and what it says of itself.
struct Share {
    torrent: PathBuf,
    tracker: String,
    magnet: String,
    process: Process,
}

fn text(path: &Path) -> &str {
    path.to_str().expect("our own paths are UTF-8")
}

/// `None`, said loudly, where the test has no right to make networks.
fn net(made: Option<Net>) -> Option<Net> {
    if made.is_none() {
        skip("no right to make network namespaces (ip netns add)");
    }
    made
}

#[test]
fn found_by_local_discovery_alone() {
    for speaks in [Speaks::V4, Speaks::V6, Speaks::Link] {
        let Some(net) = net(Net::bridge(3, speaks)) else { return };
        let scene = Scene::new();
        let mut share = scene.share(&net.places[0], &[]);
        // Two at once, of whom one may also get it from the other. Nothing that they are given names anybody.
        let (bare, hash) = (scene.bare(), scene.payload.hex());
        let mut others: Vec<(&str, Process)> = [("second", text(&bare)), ("third", hash.as_str())]
            .into_iter()
            .zip(&net.places[1..])
            .map(|((name, what), place)| (name, scene.download(name, place, what, &[])))
            .collect();
        for (name, process) in &mut others {
            scene.must_have(name, process);
        }
        share.process.must_live();
        let named = share.tracker.starts_with("http://");
        assert_eq!(named, speaks != Speaks::Link, "{speaks:?}: {}", share.tracker);
    }
}

#[test]
fn found_by_the_tracker_alone() {
    for speaks in [Speaks::V4, Speaks::V6] {
        let Some(net) = net(Net::bridge(2, speaks)) else { return };
        let scene = Scene::new();
        let share = scene.share(&net.places[0], &["--no-lsd"]);
        for (name, what) in [("second", text(&share.torrent)), ("third", &share.magnet)] {
            let mut other = scene.download(name, &net.places[1], what, &["--no-lsd"]);
            scene.must_have(name, &mut other);
        }
    }
}

#[test]
fn found_across_a_router_by_the_trackers_address() {
    let Some(net) = net(Net::routed()) else { return };
    let scene = Scene::new();
    let share = scene.share(&net.places[0], &[]);
    assert_eq!(share.tracker, "http://10.78.1.1:6969/announce");
    for (name, what) in [("second", text(&share.torrent)), ("third", &share.magnet)] {
        let mut other = scene.download(name, &net.places[1], what, &[]);
        scene.must_have(name, &mut other);
    }
}

#[test]
fn without_local_discovery_there_is_no_socket_for_it() {
    let Some(net) = net(Net::bridge(1, Speaks::V4)) else { return };
    for (flag, open) in [(Some("--no-lsd"), false), (None, true)] {
        let scene = Scene::new();
        let share = scene.share(&net.places[0], flag.as_slice());
        let sockets = fs::read_to_string(format!("/proc/{}/net/udp", share.process.child.id())).unwrap();
        // 6771 in hexadecimal digits.
        assert_eq!(sockets.contains(":1A73 "), open, "{sockets}");
    }
}

#[test]
fn what_was_hashed_before_is_not_hashed_again() {
    let Some(net) = net(Net::bridge(1, Speaks::V4)) else { return };
    let scene = Scene::new();
    let told = |share: &mut Share| share.process.output();
    let mut first = scene.share(&net.places[0], &[]);
    assert!(told(&mut first).contains("hashed in "), "{}", told(&mut first));
    let torrent = first.torrent.clone();
    drop(first);
    fs::remove_file(scene.at("sharer").join("log")).unwrap();
    let mut second = scene.share(&net.places[0], &[]);
    assert!(told(&mut second).contains("as it was hashed before"), "{}", told(&mut second));
    assert_eq!(second.torrent, torrent);
    drop(second);
    fs::remove_file(scene.at("sharer").join("log")).unwrap();
    // The same bytes, written anew.
    scene.payload.write_data(&scene.at("data"));
    let mut third = scene.share(&net.places[0], &[]);
    assert!(told(&mut third).contains("hashed in ") && third.torrent != torrent, "{}", told(&mut third));
}

/// Not only we hear ourselves: aria2 finds us, and we find aria2.
#[test]
fn other_clients_are_found_and_find_us() {
    if !installed("aria2c") {
        return skip("aria2c is not installed");
    }
    let Some(net) = net(Net::bridge(2, Speaks::V4)) else { return };
    let scene = Scene::new();
    let bare = scene.bare();
    let aria2 = |name: &str, dir: &Path, more: &str| {
        let flags = ["--no-conf", "--enable-dht=false", "--enable-dht6=false", "--enable-peer-exchange=false"];
        let rest = ["--bt-enable-lpd=true", "--file-allocation=none", "--summary-interval=0", "--check-integrity=true"];
        let named = [format!("--dir={}", dir.display()), more.to_owned(), bare.display().to_string()];
        let args: Vec<String> = flags.iter().chain(&rest).map(|&flag| flag.to_owned()).chain(named).collect();
        Process::start(net.places[1].command("aria2c", &args), &scene.at(name))
    };
    let share = scene.share(&net.places[0], &[]);
    let mut leecher = aria2("leecher", &scene.at("leecher-data"), "--seed-time=0");
    scene.must_have("leecher", &mut leecher);
    drop(share);
    let mut seeder = aria2("seeder", &scene.at("data"), "--seed-ratio=0.0");
    let mut other = scene.download("second", &net.places[0], text(&bare), &[]);
    scene.must_have("second", &mut other);
    seeder.must_live();
}
