//! The interface as people use it: in a terminal (tmux), with real swarms on loopback. The ordinary tests drive it with
//! keys and read the screen; those that are ignored paint what they see:
//! `cargo test --release --test live -- --ignored` writes the pictures `screenshots/live-*.png` and `screenshots/demo.gif`.
#![cfg(target_os = "linux")]
// A test whose surroundings fail has failed: saying so at once is all that is wanted. Every test file uses a part of
// what `support` offers.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::print_stderr, dead_code)]

mod support {
    pub mod animation;
    pub mod clients;
    pub mod network;
    pub mod paint;
    pub mod process;
    pub mod tmux;
    pub mod torrents;
}

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use support::animation::gif;
use support::clients::{Client, Given, Kind};
use support::network::{Place, Tongue, Tracker};
use support::paint::{DARK, Picture, paint};
use support::process::{Process, command, installed, skip, until};
use support::tmux::Terminal;
use support::torrents::Payload;

const MIB: usize = 1 << 20;

/// A swarm to look at: a tracker, a torrent, and whoever is asked to join.
struct Scene {
    scratch: tempfile::TempDir,
    payload: Payload,
    torrent: PathBuf,
    tracker: Tracker,
    clients: Vec<Client>,
}

impl Scene {
    fn new(payload: Payload, name: &str) -> Scene {
        let scratch = tempfile::tempdir().expect("a temporary folder");
        let home = scratch.path().join("tracker");
        fs::create_dir_all(&home).expect("folders can be made");
        let tracker = Tracker::ttui(&Place::localhost(), &home);
        let torrent = scratch.path().join(format!("{name}.torrent"));
        payload.write_torrent(&torrent, &tracker.url(Tongue::Http));
        let scene = Scene { scratch, payload, torrent, tracker, clients: Vec::new() };
        scene.payload.write_data(&scene.at("seed"));
        scene
    }

    fn at(&self, name: &str) -> PathBuf {
        let path = self.scratch.path().join(name);
        fs::create_dir_all(&path).expect("folders can be made");
        path
    }

    /// Lets a client join that has the content.
    fn seed(&mut self, kind: Kind) {
        let (home, dir) = (self.at(&format!("c{}", self.clients.len())), self.at("seed"));
        let hex = self.payload.hex();
        let given = [Given { torrent: &self.torrent, hex: &hex }];
        self.clients.push(Client::seed(kind, &Place::loopback(), &home, &dir, &given));
        self.known();
    }

    /// Lets a libtorrent join that sends at most so many bytes a second of what is in the folder.
    fn slow(&mut self, folder: &str, up: usize) {
        let mut client = Client::libtorrent(&Place::loopback(), &self.at(&format!("c{}", self.clients.len())));
        client.add(&self.torrent, &self.at(folder), up as u64);
        self.clients.push(client);
        self.known();
    }

    /// Lets a client join that has nothing yet.
    fn leech(&mut self, kind: Kind) {
        let n = self.clients.len();
        let (home, dir) = (self.at(&format!("c{n}")), self.at(&format!("d{n}")));
        let hex = self.payload.hex();
        let given = [Given { torrent: &self.torrent, hex: &hex }];
        self.clients.push(Client::leech(kind, &Place::loopback(), &home, &dir, &given));
    }

    /// Waits until the tracker knows the one that joined last.
    fn known(&mut self) {
        let Some(client) = self.clients.last() else { return };
        self.tracker.wait_for(&self.payload.hash(), client.port, || client.state());
    }

    /// The interface in a terminal, with its downloads in the folder `dl`.
    fn open(&self, name: &str, size: (u16, u16), flags: &str) -> Terminal {
        let terminal = Terminal::open(name, size, &self.at("dl"));
        terminal.line(&self.command(flags));
        terminal
    }

    fn command(&self, flags: &str) -> String {
        let home = self.at("home");
        format!(
            "clear; HOME={} {} --state-dir {} --no-dht --no-lsd --no-pex --no-port-map {flags}",
            home.display(),
            env!("CARGO_BIN_EXE_ttui"),
            home.join("state").display()
        )
    }
}

fn missing() -> bool {
    let why = match (installed("tmux"), Kind::Libtorrent.missing()) {
        (false, _) => Some("tmux is not installed".to_owned()),
        (true, why) => why,
    };
    if let Some(why) = &why {
        skip(why);
    }
    why.is_some()
}

#[test]
fn a_person_adds_watches_pauses_comes_back_and_removes_with_data() {
    if missing() {
        return;
    }
    let mut scene = Scene::new(Payload::single("holiday film.mkv", 48 * MIB, 256 << 10, 5), "film");
    scene.slow("seed", 6 * MIB);
    let terminal = scene.open("story", (80, 24), "");
    terminal.until("No torrents yet");
    terminal.keys("a");
    terminal.until("add a torrent ─");
    terminal.type_text(&scene.torrent.display().to_string());
    terminal.keys("Enter");
    terminal.until("holiday film.mkv");
    terminal.until(" down");
    terminal.until("127.");
    terminal.keys("p");
    terminal.until("paused");
    terminal.keys("p");
    terminal.until(" down");
    // Quitting keeps it, and the next session goes on with it.
    terminal.keys("q");
    terminal.until("quit?");
    terminal.keys("Enter");
    terminal.until_shell();
    terminal.line("stty -a | grep -c ' echo '");
    terminal.until("\n1\n");
    terminal.line(&scene.command(""));
    terminal.until("holiday film.mkv");
    terminal.until("complete;");
    assert_eq!(scene.payload.flaws(&scene.at("dl"), true), None);
    terminal.keys("d Down");
    terminal.until("> delete the data");
    terminal.keys("Enter");
    terminal.until("No torrents yet");
    until("the data to go", || terminal.screen(), || !scene.at("dl").join("holiday film.mkv").exists());
    terminal.keys("q");
    terminal.until_shell();
}

#[test]
fn sigterm_gives_the_terminal_back() {
    if missing() {
        return;
    }
    let scene = Scene::new(Payload::single("x", 1000, 16 << 10, 1), "x");
    let terminal = scene.open("term", (80, 24), "");
    terminal.until("No torrents yet");
    let home = scene.at("home").display().to_string();
    assert!(command("pkill", ["-TERM", "-f", &home]).status().is_ok_and(|s| s.success()));
    terminal.until_shell();
    terminal.line("echo $?; stty -a | grep -c ' icanon '");
    terminal.until("130\n1\n");
}

#[test]
fn old_text_does_not_shine_through_text_is_no_keys_and_the_shell_is_one_key_away() {
    if missing() {
        return;
    }
    let scene = Scene::new(Payload::single("x", 1000, 16 << 10, 1), "x");
    let terminal = Terminal::open("shell", (80, 24), &scene.at("dl"));
    // As after a program that was killed: the second screen, full of text.
    let command = scene.command(&scene.torrent.display().to_string());
    terminal
        .line(&format!("printf '\\033[?1049h'; yes old-text | head -22; {}", command.trim_start_matches("clear; ")));
    terminal.until(" x ");
    assert!(!terminal.screen().contains("old-text"), "{}", terminal.screen());
    // Without the marks of a paste; `m` alone asks for a folder, and Enter moves the data there.
    terminal.type_text("magnet:?xt=urn:btih:c12fe1c06bba254a9dc9f519b335aa7c1367a88a&dn=typed-by-nobody");
    terminal.until("add a torrent ─");
    terminal.keys("Escape");
    terminal.until("q quit");
    terminal.keys("C-z");
    terminal.until("Stopped");
    terminal.line("fg");
    terminal.until("q quit");
    terminal.keys("q");
    terminal.until("quit?");
    terminal.keys("Enter");
    terminal.until_shell();
}

#[test]
fn mouse_reports_under_way_do_not_reach_the_shell() {
    if missing() {
        return;
    }
    let scene = Scene::new(Payload::single("x", 1000, 16 << 10, 1), "x");
    for (name, report) in
        [("motion", "\x1b[<35;10;10M"), ("wheel", "\x1b[<64;80;24M"), ("drag", "\x1b[<32;7;5M\x1b[<0;7;5m")]
    {
        let terminal = scene.open(name, (80, 24), "");
        terminal.until("No torrents yet");
        // tmux takes at most 16 KiB in one call.
        terminal.type_text(&format!("q{}", report.repeat(12_000 / report.len())));
        terminal.until_shell();
        terminal.line("echo $((2+3))");
        terminal.until("\n5\n");
        let screen = terminal.screen();
        assert!(!screen.contains("[<") && !screen.contains(";5"), "{screen}");
        assert!(!screen.contains("0;10") && !screen.contains("0;24"), "{screen}");
    }
}

/// A folder that passes everything on to another one, until it is told to stop answering (bindfs, over FUSE).
struct Stalling {
    at: PathBuf,
    process: Process,
}

impl Stalling {
    fn mount(back: &Path, at: PathBuf, home: &Path) -> Stalling {
        let paths = [back, &at].map(|path| path.display().to_string());
        let args = std::iter::once("-f".to_owned()).chain(paths);
        let process = Process::start(command("bindfs", args), home);
        until(
            "the folder to be mounted",
            || process.tail(),
            || fs::read_to_string("/proc/mounts").is_ok_and(|mounts| mounts.contains(&at.display().to_string())),
        );
        Stalling { at, process }
    }
}

impl Drop for Stalling {
    fn drop(&mut self) {
        self.process.signal(Signal::CONT);
        let _ = command("umount", ["-l".to_owned(), self.at.display().to_string()]).status();
    }
}

#[test]
fn keys_are_answered_while_the_disk_is_stalled() {
    if missing() {
        return;
    }
    if !installed("bindfs") || !Path::new("/dev/fuse").exists() {
        return skip("bindfs is not installed, or there is no /dev/fuse");
    }
    let mut scene = Scene::new(Payload::single("big.bin", 64 * MIB, 256 << 10, 4), "big");
    scene.slow("seed", 4 * MIB);
    let disk = Stalling::mount(&scene.at("back"), scene.at("dl"), &scene.at("bindfs"));
    let terminal = scene.open("stall", (80, 24), &scene.torrent.display().to_string());
    terminal.until(" down");
    terminal.until("127.");
    until("a piece on disk", || terminal.screen(), || scene.at("back").join("big.bin").exists());
    disk.process.signal(Signal::STOP);
    for (key, shown) in [("1", "[1 Info]"), ("6", "[6 Log]"), ("2", "[2 Pieces]"), ("w", "what limits big.bin")] {
        terminal.keys(key);
        terminal.until(shown);
    }
    terminal.until("disk 100% busy");
    disk.process.signal(Signal::CONT);
    terminal.keys("Escape");
    terminal.until("complete;");
    assert_eq!(scene.payload.flaws(&scene.at("back"), true), None);
    terminal.keys("q");
    terminal.until_shell();
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("screenshots")
}

fn keep(name: &str, picture: &Picture) {
    fs::write(folder().join(name), picture.png()).unwrap();
}

#[test]
#[ignore = "writes screenshots/live-download.png: a download from many peers of all kinds"]
fn write_a_download_from_many_peers() {
    let mut scene = Scene::new(Payload::single("night-sky-8k.mkv", 280 * MIB, 1 << 20, 9), "sky");
    for kind in [Kind::Transmission, Kind::Aria2, Kind::Rtorrent, Kind::Libtorrent, Kind::Ttui] {
        scene.seed(kind);
    }
    for _ in 0..6 {
        scene.slow("seed", 700 << 10);
    }
    let terminal = scene.open("download", (120, 36), "--down-limit 9M");
    terminal.until("No torrents yet");
    for _ in 0..2 {
        scene.leech(Kind::Ttui);
    }
    terminal.paste(&scene.torrent.display().to_string());
    terminal.keys("Enter");
    terminal.until("night-sky");
    terminal.until("Transm");
    std::thread::sleep(Duration::from_secs(14));
    keep("live-download.png", &paint(&terminal.cells(), DARK, None));
}

#[test]
#[ignore = "writes screenshots/live-seeding.png: seeding to several clients"]
fn write_seeding() {
    let mut scene = Scene::new(Payload::single("lecture-12.webm", 400 * MIB, 1 << 20, 3), "lecture");
    fs::create_dir_all(scene.at("dl")).unwrap();
    scene.payload.write_data(&scene.at("dl"));
    let terminal = scene.open("seeding", (80, 24), "--up-limit 5M");
    terminal.until("No torrents yet");
    terminal.paste(&scene.torrent.display().to_string());
    terminal.keys("Enter");
    terminal.until("seed");
    for kind in [Kind::Transmission, Kind::Libtorrent, Kind::Rtorrent, Kind::Ttui, Kind::Aria2] {
        scene.leech(kind);
    }
    terminal.until(" 5/5 ");
    std::thread::sleep(Duration::from_secs(6));
    keep("live-seeding.png", &paint(&terminal.cells(), DARK, None));
}

#[test]
#[ignore = "writes screenshots/live-stuck.png: a torrent that nobody has all of, and why"]
fn write_a_stuck_torrent() {
    let mut scene = Scene::new(Payload::single("rare-recording.flac", 24 * MIB, 256 << 10, 7), "rare");
    // Two peers have the first half, and nobody the rest.
    for half in ["half1", "half2"] {
        scene.payload.write_data(&scene.at(half));
        let path = scene.at(half).join("rare-recording.flac");
        fs::File::options().write(true).open(path).unwrap().set_len(12 * MIB as u64 + 77).unwrap();
        scene.slow(half, 0);
    }
    let terminal = scene.open("stuck", (80, 24), "");
    terminal.until("No torrents yet");
    terminal.paste(&scene.torrent.display().to_string());
    terminal.keys("Enter");
    terminal.until("50%");
    std::thread::sleep(Duration::from_secs(3));
    terminal.keys("w");
    std::thread::sleep(Duration::from_secs(2));
    keep("live-stuck.png", &paint(&terminal.cells(), DARK, None));
}

#[test]
#[ignore = "writes screenshots/demo.gif: the demo from its start to its end"]
fn write_the_demo() {
    let scratch = tempfile::tempdir().unwrap();
    let terminal = Terminal::open("demo", (100, 28), scratch.path());
    terminal.line(&format!("clear; HOME={} {} demo", scratch.path().display(), env!("CARGO_BIN_EXE_ttui")));
    terminal.until("ETA");
    let began = Instant::now();
    // What the guide of the demo asks for, and the log of the peer that lied.
    let script = [(4.0, "2"), (8.0, "3"), (14.0, "w"), (17.0, "Escape"), (18.0, "6"), (22.0, "Tab"), (23.0, "End")];
    let mut pressed = 0;
    let mut frames: Vec<(Picture, u16)> = Vec::new();
    while began.elapsed() < Duration::from_secs(27) {
        if let Some((at, key)) = script.get(pressed)
            && began.elapsed().as_secs_f32() >= *at
        {
            terminal.keys(key);
            pressed += 1;
        }
        let picture = paint(&terminal.cells(), DARK, None);
        match frames.last_mut() {
            Some((last, time)) if last.pixels == picture.pixels => *time += 25,
            _ => frames.push((picture, 25)),
        }
        std::thread::sleep(Duration::from_millis(250));
    }
    if let Some((_, time)) = frames.last_mut() {
        *time += 200;
    }
    fs::write(folder().join("demo.gif"), gif(&frames)).unwrap();
}
