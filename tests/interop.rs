//! `ttui` and the clients that people use, both ways: each seeds to the other, one file and a folder of 200 files,
//! and they find each other through opentracker, over HTTP and over UDP, and through `ttui tracker`.
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
use std::os::unix::fs::PermissionsExt;

use support::clients::{Client, Given, Kind};
use support::network::{Cable, Net, Place, Speaks, Tongue, Tracker};
use support::process::{installed, skip, tail, until};
use support::torrents::Payload;

/// Whose tracker introduces the clients to each other.
#[derive(Clone, Copy, Debug)]
enum By {
    Opentracker(Tongue),
    Ttui(Tongue),
}

const ALL: [By; 4] =
    [By::Opentracker(Tongue::Http), By::Opentracker(Tongue::Udp), By::Ttui(Tongue::Http), By::Ttui(Tongue::Udp)];

#[test]
fn downloads_from_libtorrent() {
    on_loopback(Kind::Libtorrent, Kind::Ttui, &ALL);
}

#[test]
fn seeds_to_libtorrent() {
    on_loopback(Kind::Ttui, Kind::Libtorrent, &ALL);
}

#[test]
fn downloads_from_transmission() {
    on_loopback(Kind::Transmission, Kind::Ttui, &ALL);
}

/// Transmission calls nobody at a loopback address, so these two meet over a cable between two namespaces.
#[test]
fn seeds_to_transmission() {
    over_a_cable(Kind::Ttui, Kind::Transmission, &ALL);
}

#[test]
fn downloads_from_aria2() {
    on_loopback(Kind::Aria2, Kind::Ttui, &ALL);
}

#[test]
fn seeds_to_aria2() {
    on_loopback(Kind::Ttui, Kind::Aria2, &ALL);
}

#[test]
fn downloads_from_rtorrent() {
    on_loopback(Kind::Rtorrent, Kind::Ttui, &ALL);
}

#[test]
fn seeds_to_rtorrent() {
    on_loopback(Kind::Ttui, Kind::Rtorrent, &ALL);
}

#[test]
fn downloads_from_webtorrent() {
    on_loopback(Kind::Webtorrent, Kind::Ttui, &ALL);
}

#[test]
fn seeds_to_webtorrent() {
    on_loopback(Kind::Ttui, Kind::Webtorrent, &ALL);
}

/// Deluge and qBittorrent are libtorrent inside; how they add, check and start torrents is their own.
const EACH: [By; 2] = [By::Opentracker(Tongue::Udp), By::Ttui(Tongue::Http)];

#[test]
fn downloads_from_deluge() {
    on_loopback(Kind::Deluge, Kind::Ttui, &EACH);
}

#[test]
fn seeds_to_deluge() {
    on_loopback(Kind::Ttui, Kind::Deluge, &EACH);
}

#[test]
fn downloads_from_qbittorrent() {
    on_loopback(Kind::Qbittorrent, Kind::Ttui, &EACH);
}

#[test]
fn seeds_to_qbittorrent() {
    on_loopback(Kind::Ttui, Kind::Qbittorrent, &EACH);
}

#[test]
fn downloads_from_ttui() {
    on_loopback(Kind::Ttui, Kind::Ttui, &ALL);
}

/// All at once, half of them over HTTP and half over UDP, and then the other way round.
#[test]
fn all_meet_in_one_swarm_through_our_tracker() {
    let kinds = [Kind::Libtorrent, Kind::Transmission, Kind::Aria2, Kind::Rtorrent];
    if let Some(why) = kinds.iter().find_map(|kind| kind.missing()) {
        return skip(&why);
    }
    for odd in [Tongue::Http, Tongue::Udp] {
        let Some(net) = Net::bridge(2 + kinds.len(), Speaks::V4) else {
            return skip("no right to make network namespaces (ip netns add)");
        };
        net.inside(|places| one_swarm(places, &kinds, odd));
    }
}

fn one_swarm(places: &[Place], kinds: &[Kind], odd: Tongue) {
    let scratch = tempfile::tempdir().expect("a temporary folder");
    let at = |name: &str| {
        let path = scratch.path().join(name);
        fs::create_dir_all(&path).expect("folders can be made");
        path
    };
    let payload = Payload::single("one file.bin", 5_000_001, 65_536, 4);
    let hex = payload.hex();
    payload.write_data(&at("seed"));
    let mut tracker = Tracker::ttui(&places[0], &at("tracker"));
    let even = if odd == Tongue::Http { Tongue::Udp } else { Tongue::Http };
    let torrents = [even, odd].map(|tongue| {
        let path = scratch.path().join(format!("{tongue:?}.torrent"));
        payload.write_torrent(&path, &tracker.url(tongue));
        path
    });
    let given = |n: usize| Given { torrent: &torrents[n % 2], hex: &hex };
    let mut seeder = Client::seed(Kind::Ttui, &places[1], &at("seeder"), &at("seed"), &[given(0)]);
    tracker.wait_for(&payload.hash(), seeder.port, || seeder.state());
    let mut leechers: Vec<(Client, std::path::PathBuf)> = kinds
        .iter()
        .zip(&places[2..])
        .enumerate()
        .map(|(n, (kind, place))| {
            let dir = at(&format!("{kind:?}-data"));
            (Client::leech(*kind, place, &at(&format!("{kind:?}")), &dir, &[given(n)]), dir)
        })
        .collect();
    for (leecher, dir) in &mut leechers {
        let log = leecher.process.log.clone();
        until("the swarm to have it", || tail(&log), || leecher.is_done());
        let flaws = || payload.flaws(dir, true);
        until("whole files", || flaws().unwrap_or_default(), || flaws().is_none());
    }
    seeder.process.must_live();
}

fn on_loopback(seeder: Kind, leecher: Kind, trackers: &[By]) {
    if !something_is_missing(seeder, leecher) {
        for by in trackers {
            transfer((seeder, &place_of(seeder)), (leecher, &place_of(leecher)), *by, &Place::loopback());
        }
    }
}

/// `ttui` is where it is reached from its own announces, which leave by the usual address, and so is WebTorrent.
fn place_of(kind: Kind) -> Place {
    if matches!(kind, Kind::Ttui | Kind::Webtorrent) { Place::localhost() } else { Place::loopback() }
}

fn over_a_cable(seeder: Kind, leecher: Kind, trackers: &[By]) {
    if something_is_missing(seeder, leecher) {
        return;
    }
    let Some(cable) = Cable::new() else {
        return skip("no right to make network namespaces (ip netns add)");
    };
    cable.inside(|here, there| {
        for by in trackers {
            transfer((seeder, here), (leecher, there), *by, here);
        }
    });
}

fn something_is_missing(seeder: Kind, leecher: Kind) -> bool {
    let tracker = (!installed("opentracker")).then(|| "opentracker is not installed".to_owned());
    let why = tracker.or_else(|| seeder.missing()).or_else(|| leecher.missing());
    if let Some(why) = &why {
        skip(why);
    }
    why.is_some()
}

/// One seeds, the other downloads: one file and a folder of 200, at the same time.
fn transfer((seeder, s_place): (Kind, &Place), (leecher, l_place): (Kind, &Place), by: By, t_place: &Place) {
    let scratch = tempfile::tempdir().expect("a temporary folder");
    let at = |name: &str| {
        let path = scratch.path().join(name);
        fs::create_dir_all(&path).expect("folders can be made");
        path
    };
    // opentracker gives its rights away before it reads.
    fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o755)).expect("it is ours");

    let payloads = [Payload::single("one file.bin", 9_000_001, 65_536, 1), Payload::folder("a folder", 200, 32_768, 2)];
    let hexes = payloads.each_ref().map(Payload::hex);
    let (mut tracker, tongue) = match by {
        By::Opentracker(tongue) => (Tracker::opentracker(t_place, &hexes, &at("tracker")), tongue),
        By::Ttui(tongue) => (Tracker::ttui(t_place, &at("tracker")), tongue),
    };
    let paths = payloads.each_ref().map(|p| {
        let path = scratch.path().join(format!("{}.torrent", p.name));
        p.write_torrent(&path, &tracker.url(tongue));
        p.write_data(&at("seed"));
        path
    });
    let given: Vec<Given<'_>> = paths.iter().zip(&hexes).map(|(torrent, hex)| Given { torrent, hex }).collect();

    let mut from = Client::seed(seeder, s_place, &at("seeder"), &at("seed"), &given);
    for payload in &payloads {
        tracker.wait_for(&payload.hash(), from.port, || from.state());
    }
    let to_dir = at("leech");
    let mut to = Client::leech(leecher, l_place, &at("leecher"), &to_dir, &given);
    let waited_for = format!("{leecher:?} to download from {seeder:?}, introduced by {by:?}");
    let logs = [from.process.log.clone(), to.process.log.clone()];
    let both = || format!("seeder:\n{}\nleecher:\n{}", tail(&logs[0]), tail(&logs[1]));
    until(&waited_for, both, || to.is_done());
    from.process.must_live();
    // Written, not only verified: some clients say that they are done a moment before the last bytes are in the file.
    // Transmission 3 and WebTorrent make no empty files.
    let with_empty = !matches!(leecher, Kind::Transmission | Kind::Webtorrent);
    let flaws = || payloads.iter().find_map(|p| p.flaws(&to_dir, with_empty));
    until(&format!("whole files: {waited_for}"), || flaws().unwrap_or_default(), || flaws().is_none());
    let changed = payloads.iter().find_map(|p| p.flaws(&at("seed"), true));
    assert_eq!(changed, None, "{seeder:?} changed what it seeds");
}
