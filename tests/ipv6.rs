//! A network without IPv4, made of namespaces: a tracker that answers with `peers6` (BEP 7), downloads and seeds, with
//! libtorrent and without.
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
use std::io::Write;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use support::network::{Place, Wires};
use support::process::{Process, command, installed, python_with_libtorrent, skip, tail, until};
use support::torrents::Payload;

const KIB: usize = 1024;
const HTTP: &str = "http://[fd77::1]:6969/announce";
const UDP: &str = "udp://[fd77::1]:6969/announce";

/// A switch with the tracker at it, and some hosts: `fd77::1`, `fd77::2` and so on, and no other addresses.
struct World {
    wires: Wires,
    places: Vec<Place>,
}

impl World {
    fn new(hosts: usize) -> Option<World> {
        let mut wires = Wires::default();
        // They have none; nothing asks for it.
        let mut place = || wires.place(Ipv4Addr::UNSPECIFIED);
        let places: Option<Vec<Place>> = (0..=hosts).map(|_| place()).collect();
        let places = places?;
        let switch = &places[0];
        let run = |place: &Place, line: &str| assert!(wires.run(place, line), "{line}");
        run(switch, "ip link add lan type bridge");
        run(switch, "ip addr add fd77::1/64 dev lan nodad");
        run(switch, "ip link set lan up");
        for (n, host) in places.iter().enumerate().skip(1) {
            assert!(wires.cable((switch, &format!("h{n}")), (host, "lan")));
            run(switch, &format!("ip link set h{n} master lan"));
            run(host, &format!("ip addr add fd77::{}/64 dev lan nodad", n + 1));
        }
        Some(World { wires, places })
    }

    fn ttui(&self, place: usize, home: &Path, args: &[&str]) -> Process {
        fs::create_dir_all(home).unwrap();
        let state = home.join("state").display().to_string();
        let common = ["--state-dir", &state, "--no-dht", "--no-lsd", "--no-pex", "--no-port-map", "--headless"];
        let common: &[&str] = if args[0] == "tracker" { &[] } else { &common };
        let args: Vec<String> = args.iter().chain(common).map(|&arg| arg.to_owned()).collect();
        Process::start(self.places[place].command(env!("CARGO_BIN_EXE_ttui"), &args), home)
    }

    fn tracker(&self, folder: &Path) -> Process {
        let home = folder.join("tracker");
        let it = self.ttui(0, &home, &["tracker", "--listen", "[fd77::1]:6969", "--interval", "60"]);
        let log = it.log.clone();
        until("the tracker to listen", || tail(&log), || tail(&log).contains("6969"));
        it
    }

    /// libtorrent with one torrent.
    fn libtorrent(&self, place: usize, python: &str, home: &Path, torrent: &Path, dir: &Path) -> Process {
        fs::create_dir_all(home).unwrap();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/lt.py");
        let mut command = self.places[place].command(python, &[script.to_owned()]);
        command.stdin(Stdio::piped());
        let mut it = Process::start(command, home);
        let ip = format!("[fd77::{}]", place + 1);
        let open = serde_json::json!({"op": "open", "ip": ip, "port": 7000});
        let add = serde_json::json!({"op": "add", "torrent": torrent, "dir": dir});
        write!(it.child.stdin.as_mut().unwrap(), "{open}\n{add}\n").unwrap();
        it
    }
}

fn payload(folder: &Path, name: &str, seed: u64, announce: &str) -> (Payload, PathBuf) {
    let payload = Payload::single(name, 2000 * KIB + 5, 64 * KIB, seed);
    let torrent = folder.join(format!("{name}.torrent"));
    payload.write_torrent(&torrent, announce);
    (payload, torrent)
}

fn from_one_to_the_other(announce: &str) {
    if !installed("ip") {
        return skip("iproute2 is not installed");
    }
    let Some(world) = World::new(2) else { return skip("there is no right to make network namespaces") };
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    let _tracker = world.tracker(folder);
    let (payload, torrent) = payload(folder, "one.bin", 1, announce);
    let (here, there) = (folder.join("here"), folder.join("there"));
    payload.write_data(&here);
    let (torrent, here, there) =
        (torrent.display().to_string(), here.display().to_string(), there.display().to_string());
    let mut seeder = world.ttui(1, &folder.join("s"), &["seed", &torrent, "--dir", &here, "--port", "6881"]);
    let args = ["download", &torrent, "--dir", &there, "--port", "6881", "--exit-when-done"];
    let mut leecher = world.ttui(2, &folder.join("l"), &args);
    assert!(leecher.wait().success(), "{}\n{}", leecher.tail(), seeder.tail());
    seeder.must_live();
    assert_eq!(payload.flaws(Path::new(&there), true), None);
}

#[test]
fn it_seeds_and_downloads_without_ipv4() {
    from_one_to_the_other(HTTP);
}

#[test]
fn udp_trackers_answer_without_ipv4() {
    from_one_to_the_other(UDP);
}

#[test]
fn a_web_seed_gives_without_ipv4() {
    for program in ["ip", "nginx"] {
        if !installed(program) {
            return skip(&format!("{program} is not installed"));
        }
    }
    let Some(world) = World::new(1) else { return skip("there is no right to make network namespaces") };
    let scratch = tempfile::tempdir().unwrap();
    let (folder, home) = (scratch.path(), scratch.path().join("nginx"));
    let payload = Payload::single("one.bin", 2000 * KIB + 5, 64 * KIB, 4);
    payload.write_data(&home.join("files"));
    let root = home.display();
    let config = format!(
        "daemon off; master_process off; pid {root}/pid; error_log {root}/errors; events {{ worker_connections 64; }}
         http {{ client_body_temp_path {root}/t1; proxy_temp_path {root}/t2; fastcgi_temp_path {root}/t3;
         uwsgi_temp_path {root}/t4; scgi_temp_path {root}/t5; access_log off;
         server {{ listen [fd77::1]:8080; root {root}/files; }} }}"
    );
    fs::write(home.join("conf"), config).unwrap();
    let args = ["-c".to_owned(), home.join("conf").display().to_string()];
    let mut nginx = Process::start(world.places[0].command("nginx", &args), &home);
    let torrent = folder.join("one.torrent").display().to_string();
    let data = home.join("files/one.bin").display().to_string();
    let args = ["create", &data, "-o", &torrent, "--web-seed", "http://[fd77::1]:8080/one.bin"];
    assert!(command(env!("CARGO_BIN_EXE_ttui"), args).output().unwrap().status.success());
    let there = folder.join("there");
    let args = ["download", &torrent, "--dir", &there.display().to_string(), "--port", "6881", "--exit-when-done"];
    let mut leecher = world.ttui(1, &folder.join("l"), &args);
    assert!(leecher.wait().success(), "{}\n{}", leecher.tail(), nginx.tail());
    nginx.must_live();
    assert_eq!(payload.flaws(&there, true), None);
}

#[test]
fn libtorrent_gives_and_takes_without_ipv4() {
    let Some(python) = python_with_libtorrent() else { return skip("no Python has libtorrent") };
    if !installed("ip") {
        return skip("iproute2 is not installed");
    }
    let Some(world) = World::new(2) else { return skip("there is no right to make network namespaces") };
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    let _tracker = world.tracker(folder);
    let (ours, ours_torrent) = payload(folder, "ours.bin", 2, HTTP);
    let (theirs, theirs_torrent) = payload(folder, "theirs.bin", 3, HTTP);
    let (here, there) = (folder.join("here"), folder.join("there"));
    ours.write_data(&here);
    theirs.write_data(&there);
    let dir = here.display().to_string();
    let name = |path: &Path| path.display().to_string();
    let (seed, load) = (name(&ours_torrent), name(&theirs_torrent));
    let mut seeder = world.ttui(1, &folder.join("s"), &["seed", &seed, "--dir", &dir, "--port", "6881"]);
    let mut giver = world.libtorrent(2, &python, &folder.join("g"), &theirs_torrent, &there);
    let args = ["download", &load, "--dir", &dir, "--port", "6882", "--exit-when-done"];
    let mut leecher = world.ttui(1, &folder.join("l"), &args);
    assert!(leecher.wait().success(), "{}\n{}", leecher.tail(), giver.tail());
    assert_eq!(theirs.flaws(&here, true), None);
    giver.must_live();
    drop(giver);
    let mut taker = world.libtorrent(2, &python, &folder.join("t"), &ours_torrent, &there);
    until(
        "libtorrent to have it all",
        || format!("{}\n{}", taker.tail(), seeder.tail()),
        || ours.flaws(&there, true).is_none(),
    );
    taker.must_live();
    seeder.must_live();
}
