//! `ttui` as people call it, against swarms on loopback: seeders that die, a program that is killed at any moment,
//! crowds of dead addresses.
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

use std::collections::BTreeSet;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use support::clients::{Client, Kind, ttui, ttui_flags};
use support::network::{Place, Tongue, Tracker};
use support::process::{Process, skip, tail, until};
use support::torrents::Payload;

const KIB: usize = 1024;

/// A torrent, its content in the folder `seed`, and room for everything else.
struct Scene {
    scratch: tempfile::TempDir,
    payload: Payload,
    torrent: PathBuf,
}

impl Scene {
    fn new(length: usize, piece_length: usize, announce: &str) -> Scene {
        let scratch = tempfile::tempdir().expect("a temporary folder");
        let payload = Payload::single("content.bin", length, piece_length, length as u64);
        let torrent = scratch.path().join("content.torrent");
        payload.write_torrent(&torrent, announce);
        let scene = Scene { scratch, payload, torrent };
        scene.payload.write_data(&scene.at("seed"));
        scene
    }

    /// A folder of the scene, made when first asked for.
    fn at(&self, name: &str) -> PathBuf {
        let path = self.scratch.path().join(name);
        fs::create_dir_all(&path).expect("folders can be made");
        path
    }

    /// A libtorrent that seeds, at most `up` bytes a second.
    fn seeder(&self, name: &str, up: usize) -> Client {
        let mut seeder = Client::libtorrent(&Place::loopback(), &self.at(name));
        seeder.add(&self.torrent, &self.at("seed"), up as u64);
        seeder
    }

    /// A `ttui` that downloads into the folder `NAME-data`.
    fn download(&self, name: &str, more: &[&str]) -> Process {
        let home = self.at(name);
        let place = Place::localhost();
        let flags = ttui_flags(place.ip, place.port(), &self.data(name), &home.join("state"));
        Process::start(ttui("download", &self.torrent, flags, more), &home)
    }

    /// The same under a limit, which the shell sets.
    fn limited(&self, name: &str, limit: &str, more: &[&str]) -> Process {
        let home = self.at(name);
        let place = Place::localhost();
        let flags = ttui_flags(place.ip, place.port(), &self.data(name), &home.join("state"));
        let download = ttui("download", &self.torrent, flags, more);
        let mut command = Command::new("sh");
        command.args(["-c", &format!("{limit}; exec \"$@\""), "sh"]).arg(download.get_program());
        command.args(download.get_args());
        Process::start(command, &home)
    }

    fn data(&self, name: &str) -> PathBuf {
        self.at(&format!("{name}-data"))
    }

    fn must_be_whole(&self, name: &str) {
        assert_eq!(self.payload.flaws(&self.data(name), true), None);
    }
}

fn no_libtorrent() -> bool {
    let missing = Kind::Libtorrent.missing();
    if let Some(why) = &missing {
        skip(why);
    }
    missing.is_some()
}

fn peers<'a>(addrs: impl IntoIterator<Item = &'a String>) -> Vec<&'a str> {
    addrs.into_iter().flat_map(|addr| ["--peer", addr.as_str()]).collect()
}

#[test]
fn eight_seeders_serve_and_seven_of_them_may_die() {
    if no_libtorrent() {
        return;
    }
    let scene = Scene::new(24_000 * KIB + 17, 256 * KIB, "");
    let mut seeders: Vec<Client> = (0..8).map(|n| scene.seeder(&format!("seeder{n}"), 512 * KIB)).collect();
    let addrs: Vec<String> = seeders.iter().map(Client::addr).collect();
    let mut more = peers(&addrs);
    more.push("--exit-when-done");
    let mut leecher = scene.download("leecher", &more);
    let log = leecher.log.clone();
    until(
        "each of the eight to serve a block",
        || tail(&log),
        || {
            leecher.must_live();
            seeders.iter_mut().all(|s| s.uploaded() >= 16 * 1024)
        },
    );
    assert!(
        seeders.iter_mut().map(Client::uploaded).sum::<u64>() < scene.payload.length() as u64,
        "it is in mid-flight"
    );
    // The eighth alone has to do the rest.
    seeders.drain(..7).for_each(|mut s| s.process.kill());
    assert!(leecher.wait().success(), "{}", leecher.tail());
    scene.must_be_whole("leecher");
}

#[test]
fn one_seeder_feeds_eight_leechers_with_less_than_two_copies() {
    let home = tempfile::tempdir().expect("a temporary folder");
    let mut tracker = Tracker::ttui(&Place::loopback(), home.path());
    let scene = Scene::new(16_000 * KIB + 5, 64 * KIB, &tracker.url(Tongue::Http));
    let place = Place::localhost();
    let port = place.port();
    let flags = ttui_flags(place.ip, port, &scene.at("seed"), &scene.at("seeder").join("state"));
    let command = ttui("seed", &scene.torrent, flags, &["--up-limit", "4M"]);
    let mut seeder = Process::start(command, &scene.at("seeder"));
    tracker.wait_for(&scene.payload.hash(), port, || seeder.tail());
    let read_to_check = bytes_read(&seeder);
    let names: Vec<String> = (0..8).map(|n| format!("leecher{n}")).collect();
    let mut leechers: Vec<Process> = names.iter().map(|name| scene.download(name, &[])).collect();
    let log = leechers[0].log.clone();
    until(
        "all eight to complete",
        || tail(&log),
        || {
            seeder.must_live();
            leechers.iter_mut().for_each(Process::must_live);
            leechers.iter().all(|l| l.output().contains("complete name="))
        },
    );
    names.iter().for_each(|name| scene.must_be_whole(name));
    // What it sends, it reads from the file first.
    let sent = bytes_read(&seeder) - read_to_check;
    let size = scene.payload.length();
    eprintln!("the seeder sent {:.2} copies to eight leechers", sent as f64 / size as f64);
    assert!(sent >= size, "every piece came from the seeder once: {sent} of {size}");
    assert!(sent < 2 * size, "{sent} bytes sent of a torrent of {size}");
}

/// Killed twenty times, started again each time: nothing that was whole is fetched or hashed again.
#[test]
fn a_download_that_is_killed_goes_on_where_it_was() {
    if no_libtorrent() {
        return;
    }
    const KILLS: usize = 20;
    /// Pieces that may be whole on disk and yet unfinished at a kill: written a moment ago, their hash not yet known.
    const UNFINISHED: usize = 2;
    let scene = Scene::new(24_000 * KIB + 1234, 32 * KIB, "");
    let mut seeder = scene.seeder("seeder", 2_000 * KIB);
    let addrs = [seeder.addr()];
    let mut more = peers(&addrs);
    more.push("--exit-when-done");
    let data = scene.data("leecher");
    let mut rng = fastrand::Rng::with_seed(42);
    let mut whole = BTreeSet::new();
    let mut fetched_again = 0;
    let mut ever_sent = BTreeSet::new();
    for kill in 0..=KILLS {
        let sent_before = seeder.uploaded();
        let mut leecher = scene.download("leecher", &more);
        let log = leecher.log.clone();
        if kill < KILLS {
            let more = rng.u64(1..1_000 * KIB as u64);
            let enough = || leecher.ended().is_some() || seeder.uploaded() >= sent_before + more;
            until(&format!("it to download before kill {kill}"), || tail(&log), enough);
            leecher.must_live();
            // Hashing what was there means reading it.
            let (read, there) = (bytes_read(&leecher), whole.len() * 32 * KIB);
            assert!(
                read < (there / 2).max(2_000 * KIB),
                "run {kill} read {read} bytes, having {there}: {}",
                leecher.tail()
            );
            leecher.kill();
        } else {
            assert!(leecher.wait().success(), "{}", leecher.tail());
        }
        until("the seeder to see it go", String::new, || seeder.stat()[0]["peers"] == 0);
        let sent = seeder.pieces_sent();
        let again = sent.intersection(&whole).count();
        ever_sent.extend(sent);
        assert!(
            again <= UNFINISHED,
            "run {kill} fetched {again} of {} whole pieces again: {}",
            whole.len(),
            tail(&log)
        );
        fetched_again += again;
        let now = scene.payload.whole_pieces(&data);
        assert!(whole.is_subset(&now), "run {kill} spoilt pieces that were whole");
        whole = now;
    }
    scene.must_be_whole("leecher");
    assert_eq!(ever_sent.len(), scene.payload.pieces(), "the seeder tells of every piece that it sends");
    let (sent, size) = (seeder.uploaded(), scene.payload.length());
    eprintln!("{KILLS} kills: {sent} bytes sent for {size}; {fetched_again} whole pieces fetched again");
}

/// Bytes that it has read from files so far: sockets are read by another call.
fn bytes_read(process: &Process) -> usize {
    let io = fs::read_to_string(format!("/proc/{}/io", process.child.id())).expect("it lives");
    let line = io.lines().find_map(|l| l.strip_prefix("rchar: ")).expect("the kernel counts");
    line.parse().expect("a number")
}

/// Twenty addresses refuse, twenty take the connection and never say a word.
#[test]
fn forty_dead_addresses_do_not_hide_the_one_seeder() {
    if no_libtorrent() {
        return;
    }
    let scene = Scene::new(4_000 * KIB, 64 * KIB, "");
    let mute: Vec<TcpListener> = (0..20).map(|_| listen(Place::loopback().ip)).collect();
    let mut addrs: Vec<String> = mute.iter().map(|l| l.local_addr().expect("it has one").to_string()).collect();
    addrs.extend((0..20).map(|_| Place::loopback()).map(|place| format!("{}:{}", place.ip, place.port())));
    let mut seeder = scene.seeder("seeder", 0);
    addrs.push(seeder.addr());
    let mut more = peers(&addrs);
    more.push("--exit-when-done");
    let start = Instant::now();
    let mut leecher = scene.download("leecher", &more);
    let log = leecher.log.clone();
    until("the first byte", || tail(&log), || seeder.uploaded() > 0);
    eprintln!("40 dead addresses and one seeder: first byte after {:?}", start.elapsed());
    assert!(leecher.wait().success(), "{}", leecher.tail());
    scene.must_be_whole("leecher");
}

/// What a call for scripts says of faults, and when it ends with them: what only a person can put right is not waited for
/// when all others are done, a limit on the size of files is no death, and each sentence is said once.
#[test]
fn a_call_that_can_never_be_done_ends_and_says_why_once() {
    let scene = Scene::new(600 * KIB, 64 * KIB, "");
    let good = Payload::single("gu\u{301}t \"1\".bin", 100 * KIB, 16 * KIB, 1);
    let other = scene.scratch.path().join("good.torrent");
    good.write_torrent(&other, "");
    let other = other.display().to_string();
    let place = Place::loopback();
    let taken = TcpListener::bind((place.ip, 0)).expect("a free port");
    let port = taken.local_addr().expect("it has one").port();
    let mut runs = Vec::new();
    for (name, goal) in [("folder", "--exit-when-done"), ("longer", "--seed-ratio"), ("linked", "--seed-time")] {
        let data = scene.data(name);
        good.write_data(&data);
        let inside = data.join("content.bin");
        match name {
            "folder" => fs::create_dir(&inside).expect("a folder"),
            "longer" => fs::write(&inside, vec![1; 601 * KIB]).expect("a file"),
            _ => std::os::unix::fs::symlink("/nowhere", &inside).expect("a link"),
        }
        let goal = if goal == "--exit-when-done" { vec![goal] } else { vec![goal, "0"] };
        let flags = ttui_flags(place.ip, port, &data, &scene.at(name).join("state"));
        let more = [vec![other.as_str()], goal].concat();
        runs.push((name, Process::start(ttui("download", &scene.torrent, flags, &more), &scene.at(name))));
    }
    for (name, mut run) in runs {
        assert_eq!(run.wait().code(), Some(1), "{name}: {}", run.tail());
        let said = run.output();
        let complaints: Vec<&str> = said.lines().filter(|line| line.starts_with("ttui: ")).collect();
        let (port, fault): (Vec<_>, Vec<_>) = complaints.into_iter().partition(|line| line.contains("is taken"));
        assert_eq!((port.len(), fault.len()), (1, 1), "{name}: {said}");
        assert!(fault[0].contains("content.bin") && fault[0].contains("choose another folder"), "{said}");
        assert!(said.contains("complete name=\"gu\u{301}t \\\"1\\\".bin\" bytes=102400"), "{said}");
        let mut errors = said.lines().filter(|line| line.contains("state=error"));
        let right = |line: &str| line.contains("eta=- why=\"") && line.contains("tried again by itself");
        assert!(errors.next().is_some_and(right), "{said}");
    }
    // Beyond what `ulimit -f` allows.
    let place = Place::loopback();
    let port = place.port();
    let addr = format!("{}:{port}", place.ip);
    let flags = ttui_flags(place.ip, port, &scene.at("seed"), &scene.at("seeder").join("state"));
    let mut seeder = Process::start(ttui("seed", &scene.torrent, flags, &[]), &scene.at("seeder"));
    let mut limited = scene.limited("limited", "ulimit -f 600", &["--peer", &addr, "--exit-when-done"]);
    assert_eq!(limited.wait().code(), Some(1), "{}", limited.tail());
    let said = limited.output();
    let told = said.lines().filter(|line| line.starts_with("ttui: ") && line.contains("takes no files of this size"));
    assert_eq!(told.count(), 1, "{said}");
    seeder.must_live();
}

fn listen(ip: Ipv4Addr) -> TcpListener {
    TcpListener::bind((ip, 0)).expect("a loopback address can be bound")
}

/// Asked to stop, it stops in order: what it has is recorded, and another start fetches only the rest.
#[test]
fn sigterm_saves_and_ends_within_the_deadline() {
    if no_libtorrent() {
        return;
    }
    let scene = Scene::new(6_000 * KIB, 64 * KIB, "");
    let mut seeder = scene.seeder("seeder", 2_000 * KIB);
    let addrs = [seeder.addr()];
    let more = peers(&addrs);
    let mut leecher = scene.download("leecher", &more);
    until("a third to come", String::new, || seeder.uploaded() > 2_000 * KIB as u64);
    leecher.signal(rustix::process::Signal::TERM);
    let status = leecher.wait();
    assert_eq!(status.code(), Some(130), "{}", leecher.tail());
    let whole = scene.payload.whole_pieces(&scene.data("leecher"));
    until("the seeder to see it go", String::new, || seeder.stat()[0]["peers"] == 0);
    assert!(!seeder.pieces_sent().is_empty());
    let mut more = more;
    more.push("--exit-when-done");
    assert!(scene.download("leecher", &more).wait().success());
    scene.must_be_whole("leecher");
    let again = seeder.pieces_sent().intersection(&whole).count();
    assert_eq!(again, 0, "of {} pieces that were whole when it stopped", whole.len());
}

/// What `ttui bench` says is what scripts compare; whatever ends it, its data are gone.
#[test]
fn bench_measures_every_part_and_leaves_nothing() {
    let scratch = tempfile::tempdir().expect("a temporary folder");
    let bench = |size: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ttui"));
        command.args(["bench", "--json", "--size", size]).env("TMPDIR", scratch.path());
        command
    };
    let left = || fs::read_dir(scratch.path()).expect("the folder is there").count();
    let said = bench("8MiB").output().expect("it runs");
    let words = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(said.status.success() && said.stderr.is_empty(), "{words}");
    let said: serde_json::Value = serde_json::from_slice(&said.stdout).expect("one JSON object");
    assert_eq!(said["bytes"], 8 * 1024 * 1024);
    for part in ["create", "hash", "download", "seed"] {
        for value in ["mib_per_second", "cpu_seconds_per_gib", "peak_bytes"] {
            assert!(said[part][value].as_f64().is_some_and(|value| value > 0.0), "{part} {value}: {said}");
        }
    }
    assert_eq!(left(), 0);
    let home = tempfile::tempdir().expect("a temporary folder");
    let mut stopped = Process::start(bench("1GiB"), home.path());
    until("its folder", String::new, || left() > 0);
    stopped.signal(rustix::process::Signal::TERM);
    assert_eq!(stopped.wait().code(), Some(130), "{}", stopped.tail());
    assert_eq!(left(), 0, "{}", stopped.tail());
}

/// A torrent whose files are all empty has no pieces: nothing is fetched, and the files are made.
#[test]
fn files_that_are_all_empty_are_made_checked_and_seeded() {
    let empty = |path: &str| (path.to_owned(), Vec::new());
    let payloads = [Payload::of("one.bin", vec![empty("")], 16 * KIB), {
        let files = ["a", "b/c", "b/d/e"].map(empty).to_vec();
        Payload::of("folder", files, 16 * KIB)
    }];
    for payload in payloads {
        let mut scene = Scene::new(1, 16 * KIB, "");
        payload.write_torrent(&scene.torrent, "");
        scene.payload = payload;
        let mut first = scene.download("first", &["--exit-when-done"]);
        assert!(first.wait().success(), "{}", first.tail());
        assert!(first.output().contains("complete name="), "{}", first.output());
        scene.must_be_whole("first");
        let run = |verb: &str, more: &[&str]| {
            Command::new(env!("CARGO_BIN_EXE_ttui")).arg(verb).arg(&scene.torrent).args(more).output().expect("it runs")
        };
        let dir = scene.data("first").display().to_string();
        for (verb, more) in [("verify", &["--dir", &dir][..]), ("show", &[])] {
            let ran = run(verb, more);
            assert!(ran.status.success(), "{verb}: {}", String::from_utf8_lossy(&ran.stderr));
        }
        // Once more, by what was recorded, and by its metadata from one who seeds it.
        let mut again = scene.download("first", &["--exit-when-done"]);
        assert!(again.wait().success(), "{}", again.tail());
        let (home, place) = (scene.at("seeder"), Place::localhost());
        let port = place.port();
        let flags = ttui_flags(place.ip, port, &scene.data("first"), &home.join("state"));
        let mut seeder = Process::start(ttui("seed", &scene.torrent, flags, &[]), &home);
        until("it to seed", || seeder.tail(), || seeder.output().contains("state=seeding"));
        assert!(seeder.output().contains("done=100.0%"), "{}", seeder.output());
        let magnet = PathBuf::from(format!("magnet:?xt=urn:btih:{}", scene.payload.hex()));
        let (home, peer) = (scene.at("by magnet"), format!("{}:{port}", place.ip));
        let flags = ttui_flags(place.ip, place.port(), &scene.data("by magnet"), &home.join("state"));
        let mut by = Process::start(ttui("download", &magnet, flags, &["--exit-when-done", "--peer", &peer]), &home);
        assert!(by.wait().success(), "{}\n{}", by.tail(), seeder.tail());
        scene.must_be_whole("by magnet");
        seeder.must_live();
        fs::remove_file(scene.data("first").join(match scene.payload.name.as_str() {
            "folder" => "folder/b/d/e",
            name => name,
        }))
        .expect("it is there");
        assert!(!run("verify", &["--dir", &dir]).status.success());
    }
}

/// Who seeds has nothing fetched and nothing written: what he has edited stays, and a folder that is not there is not made.
#[test]
fn seeding_writes_nothing_of_what_others_have() {
    let scene = Scene::new(600 * KIB, 64 * KIB, "");
    let place = Place::loopback();
    let port = place.port();
    let addr = format!("{}:{port}", place.ip);
    let flags = ttui_flags(place.ip, port, &scene.at("seed"), &scene.at("whole").join("state"));
    let mut whole = Process::start(ttui("seed", &scene.torrent, flags, &[]), &scene.at("whole"));
    let data = scene.data("edited");
    scene.payload.write_data(&data);
    let file = data.join("content.bin");
    let mut edited = fs::read(&file).expect("it is there");
    edited[..10].copy_from_slice(b"EDITED TAG");
    fs::write(&file, &edited).expect("it can be written");
    let place = Place::loopback();
    let flags = ttui_flags(place.ip, place.port(), &data, &scene.at("edited").join("state"));
    let mut seeder = Process::start(ttui("seed", &scene.torrent, flags, &["--peer", &addr]), &scene.at("edited"));
    let said = "9 of 10 pieces are good, and only they are seeded";
    let why = "why=\"seeding 9 of 10 pieces: nothing is downloaded; `ttui download` fetches the rest";
    let output = |text| seeder.output().contains(text);
    until("it to seed what is good", || seeder.tail(), || output(said) && output(why));
    assert!(!seeder.output().contains("complete name="), "{}", seeder.output());
    seeder.must_live();
    seeder.kill();
    assert!(fs::read(&file).expect("it is there") == edited);
    let nowhere = scene.scratch.path().join("no/such/folder");
    let place = Place::loopback();
    let flags = ttui_flags(place.ip, place.port(), &nowhere, &scene.at("lost").join("state"));
    let mut lost = Process::start(ttui("seed", &scene.torrent, flags, &["--peer", &addr]), &scene.at("lost"));
    assert_eq!(lost.wait().code(), Some(1), "{}", lost.tail());
    assert!(lost.output().contains("none of its pieces is there") && !nowhere.exists(), "{}", lost.output());
    whole.must_live();
}

/// A link in the place of a file is named and left alone.
#[cfg(unix)]
#[test]
fn seeding_names_a_link_in_the_place_of_a_file() {
    let scene = Scene::new(600 * KIB, 64 * KIB, "");
    let (data, elsewhere) = (scene.data("linked"), scene.data("elsewhere"));
    scene.payload.write_data(&elsewhere);
    let link = data.join("content.bin");
    std::os::unix::fs::symlink(elsewhere.join("content.bin"), &link).expect("a link can be made");
    let place = Place::loopback();
    let flags = ttui_flags(place.ip, place.port(), &data, &scene.at("linked").join("state"));
    let mut seeder = Process::start(ttui("seed", &scene.torrent, flags, &[]), &scene.at("linked"));
    assert_eq!(seeder.wait().code(), Some(1), "{}", seeder.tail());
    assert!(seeder.output().contains("content.bin is a symbolic link: move it away"), "{}", seeder.output());
    assert!(link.is_symlink());
}

/// What another program removes or cuts while it is downloaded is noticed and fetched again, without a word of anybody.
#[test]
fn a_file_that_is_lost_in_the_middle_is_fetched_again() {
    if no_libtorrent() {
        return;
    }
    let scene = Scene::new(6_000 * KIB, 64 * KIB, "");
    let mut seeder = scene.seeder("seeder", 1_000 * KIB);
    let more = ["--exit-when-done", "--peer", &seeder.addr()];
    let mut running = ["removed", "cut"].map(|how| (how, scene.download(how, &more)));
    for (how, download) in &mut running {
        let file = scene.data(how).join(&scene.payload.name);
        let begun = || download.output().lines().any(|line| line.starts_with("progress") && !line.contains(" have=0/"));
        until("a first piece", || download.tail(), || begun() && file.exists());
        match *how {
            "removed" => fs::remove_file(&file).expect("it is there"),
            _ => fs::File::options()
                .write(true)
                .open(&file)
                .and_then(|file| file.set_len(5_900 * KIB as u64))
                .expect("it is there"),
        }
    }
    for (how, mut download) in running {
        assert!(download.wait().success(), "{how}: {}", download.tail());
        scene.must_be_whole(how);
        assert!(download.output().contains("put it back"), "{how}: {}", download.tail());
    }
    seeder.process.must_live();
}
