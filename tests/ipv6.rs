//! A network without IPv4, made of namespaces: a tracker that answers with `peers6` (BEP 7), web seeds, and peers that are
//! found by nothing but peer exchange (`added6`), local discovery (`ff15::efc0:988f`) or the DHT (BEP 32); downloads and
//! seeds, with libtorrent and without.
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

use serde_json::{Value, json};
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
        run(switch, "ip link add lan type bridge mcast_snooping 0");
        run(switch, "ip addr add fd77::1/64 dev lan nodad");
        run(switch, "ip link set lan up");
        for (n, host) in places.iter().enumerate().skip(1) {
            assert!(wires.cable((switch, &format!("h{n}")), (host, "lan")));
            run(switch, &format!("ip link set h{n} master lan"));
            run(host, &format!("ip addr add fd77::{}/64 dev lan nodad", n + 1));
        }
        Some(World { wires, places })
    }

    /// `ttui` that learns of peers from trackers alone.
    fn ttui(&self, place: usize, home: &Path, args: &[&str]) -> Process {
        self.ttui_with("", place, home, args)
    }

    /// The same without one of the flags that switch the other ways off.
    fn ttui_with(&self, on: &str, place: usize, home: &Path, args: &[&str]) -> Process {
        fs::create_dir_all(home).unwrap();
        let state = home.join("state").display().to_string();
        let common = ["--state-dir", &state, "--no-dht", "--no-lsd", "--no-pex", "--no-port-map", "--headless"];
        let common: &[&str] = if args[0] == "tracker" { &[] } else { &common };
        let args = args.iter().chain(common).filter(|arg| **arg != on);
        let args: Vec<String> = args.map(|&arg| arg.to_owned()).collect();
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
        self.libtorrent_with(place, python, home, &json!({}), &json!({"torrent": torrent, "dir": dir}))
    }

    /// The same with settings of its own, and more to say of the torrent.
    fn libtorrent_with(&self, place: usize, python: &str, home: &Path, settings: &Value, add: &Value) -> Process {
        let mut it = self.lines(place, python, home);
        let ip = format!("[fd77::{}]", place + 1);
        say(&mut it, &json!({"op": "open", "ip": ip, "port": 7000, "settings": settings}));
        let mut add = add.clone();
        add["op"] = "add".into();
        say(&mut it, &add);
        it
    }

    /// Some DHT nodes of libtorrent in one place, and where the first is.
    fn nodes(&self, place: usize, python: &str, home: &Path) -> (Process, String) {
        let mut it = self.lines(place, python, home);
        let nodes: Vec<String> = (0..8).map(|n| format!("[fd77::{}]:{}", place + 1, 4000 + n)).collect();
        say(&mut it, &json!({"op": "dht", "nodes": nodes}));
        let log = it.log.clone();
        until(
            "the nodes to find each other",
            || tail(&log),
            || {
                say(&mut it, &json!({"op": "dht_counts"}));
                let told = tail(&log);
                let last = told.lines().rfind(|line| line.contains("counts")).unwrap_or_default();
                let counts: Value = serde_json::from_str(last).unwrap_or_default();
                counts["counts"].as_array().is_some_and(|all| all.iter().all(|n| n.as_u64() >= Some(4)))
            },
        );
        (it, nodes[0].clone())
    }

    /// A libtorrent that takes lines and answers into its log.
    fn lines(&self, place: usize, python: &str, home: &Path) -> Process {
        fs::create_dir_all(home).unwrap();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/lt.py");
        let mut command = self.places[place].command(python, &[script.to_owned()]);
        command.stdin(Stdio::piped());
        Process::start(command, home)
    }
}

/// Says something to a libtorrent.
fn say(it: &mut Process, what: &Value) {
    writeln!(it.child.stdin.as_mut().unwrap(), "{what}").unwrap();
}

fn name(path: &Path) -> String {
    path.display().to_string()
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

/// Everything that a test with libtorrent beside us needs; `None` where it cannot be had.
fn with_libtorrent(hosts: usize) -> Option<(String, World, tempfile::TempDir)> {
    let Some(python) = python_with_libtorrent() else {
        skip("no Python has libtorrent");
        return None;
    };
    if !installed("ip") {
        skip("iproute2 is not installed");
        return None;
    }
    let Some(world) = World::new(hosts) else {
        skip("there is no right to make network namespaces");
        return None;
    };
    Some((python, world, tempfile::tempdir().unwrap()))
}

/// Waits until a libtorrent has everything.
fn takes(payload: &Payload, dir: &Path, taker: &mut Process, giver: &mut Process) {
    let (taken, given) = (taker.log.clone(), giver.log.clone());
    until(
        "libtorrent to have it all",
        || format!("{}\n{}", tail(&taken), tail(&given)),
        || {
            taker.must_live();
            giver.must_live();
            payload.flaws(dir, true).is_none()
        },
    );
}

#[test]
fn peers_tell_of_peers_without_ipv4() {
    let Some((python, world, scratch)) = with_libtorrent(3) else { return };
    let folder = scratch.path();
    let (it, torrent) = payload(folder, "one.bin", 5, "");
    let (here, there, nothing) = (folder.join("here"), folder.join("there"), folder.join("nothing"));
    it.write_data(&here);
    let file = name(&torrent);
    let args = ["seed", &file, "--dir", &name(&here), "--port", "6881"];
    let mut seeder = world.ttui_with("--no-pex", 1, &folder.join("s"), &args);
    // At this pace its first piece takes ten minutes.
    let add = json!({"torrent": torrent, "dir": nothing, "pex": true, "down": 100});
    let mut common = world.libtorrent_with(2, &python, &folder.join("c"), &json!({}), &add);
    let meets = |common: &mut Process, to: &str| {
        let log = common.log.clone();
        until(
            "the common peer to have found the seeder",
            || tail(&log),
            || {
                say(common, &json!({"op": "connect", "to": to}));
                say(common, &json!({"op": "stat"}));
                tail(&log).lines().last().is_some_and(|line| line.contains(r#""peers": 1"#))
            },
        );
    };
    meets(&mut common, "[fd77::2]:6881");
    let args = ["download", &file, "--dir", &name(&there), "--port", "6881", "--exit-when-done"];
    let args = [&args[..], &["--peer", "[fd77::3]:7000"]].concat();
    let mut leecher = world.ttui_with("--no-pex", 3, &folder.join("l"), &args);
    assert!(leecher.wait().success(), "{}\n{}", leecher.tail(), seeder.tail());
    assert_eq!(it.flaws(&there, true), None);
    drop(common);
    // And the other way round: we are the one in between.
    let slow = ["download", &file, "--dir", &name(&nothing), "--port", "6881", "--peer", "[fd77::2]:6881"];
    let slow = [&slow[..], &["--down-limit", "100", "--up-limit", "100"]].concat();
    let mut common = world.ttui_with("--no-pex", 2, &folder.join("c"), &slow);
    let dir = folder.join("of libtorrent");
    let add = json!({"torrent": torrent, "dir": dir, "pex": true});
    let mut taker = world.libtorrent_with(3, &python, &folder.join("t"), &json!({}), &add);
    meets(&mut taker, "[fd77::3]:6881");
    takes(&it, &dir, &mut taker, &mut seeder);
    common.must_live();
}

#[test]
fn libtorrent_is_found_on_the_network_without_ipv4_and_finds_us() {
    let Some((python, world, scratch)) = with_libtorrent(2) else { return };
    let folder = scratch.path();
    let (it, torrent) = payload(folder, "one.bin", 6, "");
    let (here, there, dir) = (folder.join("here"), folder.join("there"), folder.join("of libtorrent"));
    it.write_data(&here);
    let (file, lsd) = (name(&torrent), json!({"enable_lsd": true}));
    let add = |dir: &Path| json!({"torrent": torrent, "dir": dir});
    let mut giver = world.libtorrent_with(2, &python, &folder.join("g"), &lsd, &add(&here));
    let args = ["download", &file, "--dir", &name(&there), "--port", "6881", "--exit-when-done"];
    let mut leecher = world.ttui_with("--no-lsd", 1, &folder.join("l"), &args);
    assert!(leecher.wait().success(), "{}\n{}", leecher.tail(), giver.tail());
    assert_eq!(it.flaws(&there, true), None);
    giver.must_live();
    drop(giver);
    let args = ["seed", &file, "--dir", &name(&here), "--port", "6881"];
    let mut seeder = world.ttui_with("--no-lsd", 1, &folder.join("s"), &args);
    let mut taker = world.libtorrent_with(2, &python, &folder.join("t"), &lsd, &add(&dir));
    takes(&it, &dir, &mut taker, &mut seeder);
}

#[test]
fn the_dht_leads_to_libtorrent_without_ipv4_and_back() {
    let Some((python, world, scratch)) = with_libtorrent(2) else { return };
    let folder = scratch.path();
    let (it, torrent) = payload(folder, "one.bin", 7, "");
    let (here, there, dir) = (folder.join("here"), folder.join("there"), folder.join("of libtorrent"));
    it.write_data(&here);
    let (_nodes, first) = world.nodes(0, &python, &folder.join("nodes"));
    let dht = json!({
        "enable_dht": true, "dht_bootstrap_nodes": "", "dht_restrict_routing_ips": false, "dht_announce_interval": 10,
        "dht_restrict_search_ips": false, "dht_ignore_dark_internet": false,
    });
    let link = format!("magnet:?xt=urn:btih:{}", it.hex());
    let meets = |it: &mut Process| say(it, &json!({"op": "dht_meet", "nodes": [first]}));
    let mut giver =
        world.libtorrent_with(2, &python, &folder.join("g"), &dht, &json!({"torrent": torrent, "dir": here}));
    meets(&mut giver);
    let args = ["download", &link, "--dir", &name(&there), "--port", "6881", "--exit-when-done", "--dht-nodes", &first];
    let mut leecher = world.ttui_with("--no-dht", 1, &folder.join("l"), &args);
    assert!(leecher.wait().success(), "{}\n{}", leecher.tail(), giver.tail());
    assert_eq!(it.flaws(&there, true), None);
    giver.must_live();
    drop(giver);
    let args = ["seed", &name(&torrent), "--dir", &name(&here), "--port", "6881", "--dht-nodes", &first];
    let mut seeder = world.ttui_with("--no-dht", 1, &folder.join("s"), &args);
    let mut taker = world.libtorrent_with(2, &python, &folder.join("t"), &dht, &json!({"torrent": link, "dir": dir}));
    meets(&mut taker);
    takes(&it, &dir, &mut taker, &mut seeder);
}
