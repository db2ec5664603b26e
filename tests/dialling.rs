//! Ten thousand addresses, of which one in twenty leads to a peer: the others refuse, or swallow what is sent to them.
//! In a network namespace that the test makes, so that silence is real. Once given by the user, and once named by a
//! tracker, by peers and by the DHT together.
#![cfg(target_os = "linux")]
// A test whose surroundings fail has failed: saying so at once is all that is wanted. Every test file uses a part of
// what `support` offers.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::print_stderr, dead_code)]

mod support {
    pub mod crowd;
    pub mod engine;
    pub mod network;
    pub mod process;
}

use std::collections::HashSet;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use support::crowd::{self, Named};
use support::engine::{PIECE, Peer, content, torrent};
use support::network::Cable;
use support::process::{Process, command, installed, skip};
use ttui::api::{Command, State};
use ttui::limits;

/// Addresses of each kind.
const SILENT: u32 = 4_750;
const REFUSED: u32 = 4_750;
const LIVE: u32 = 500;

fn addresses(net: u8, count: u32, port: u16) -> Vec<SocketAddr> {
    let addr = |n: u32| SocketAddr::from(([127, net, (n >> 8) as u8, n as u8], port));
    (1..=count).map(addr).collect()
}

/// Whoever sends anything to this network hears nothing.
fn swallow(network: &str) -> bool {
    let rules = [
        "add table inet silence".to_owned(),
        "add chain inet silence in { type filter hook input priority 0 ; }".to_owned(),
        format!("add rule inet silence in ip daddr {network} drop"),
    ];
    rules.iter().all(|rule| command("nft", rule.split(' ')).status().is_ok_and(|status| status.success()))
}

/// Sockets of this thread's network that wait for the first answer of whom they dial, by their numbers in the kernel: the
/// table is read piece by piece, and where others come and go meanwhile one may stand in it twice.
fn half_open() -> HashSet<u64> {
    let table = fs::read_to_string("/proc/thread-self/net/tcp").expect("it can be read");
    const SYN_SENT: &str = "02";
    let fields = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    fields.filter(|fields| fields.get(3) == Some(&SYN_SENT)).filter_map(|fields| fields.get(9)?.parse().ok()).collect()
}

/// The sockets that a process holds, by their numbers in the kernel.
fn sockets(process: &str) -> HashSet<u64> {
    let held = fs::read_dir(format!("/proc/{process}/fd")).into_iter().flatten().flatten();
    let number = |link: &Path| link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok();
    held.filter_map(|fd| number(&fs::read_link(fd.path()).ok()?)).collect()
}

/// Resident memory of a process, MiB.
fn resident(process: &str) -> usize {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("it can be read");
    let line = status.lines().find(|line| line.starts_with("VmRSS")).expect("it is told");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<usize>().ok()).expect("a number") / 1024
}

#[test]
fn a_live_address_is_found_among_ten_thousand() {
    if !installed("nft") {
        return skip("nft is not installed (nftables)");
    }
    let Some(cable) = Cable::new() else {
        return skip("no right to make network namespaces (ip netns add)");
    };
    cable.inside(|_, _| {
        if !swallow("127.1.0.0/16") {
            return skip("no right to filter packets (nft)");
        }
        for live_come_late in [false, true] {
            search(live_come_late);
        }
    });
}

fn search(live_come_late: bool) {
    let everywhere = |config: &mut ttui::engine::handle::EngineConfig| config.bind = None;
    let (here, there) = [0, 1].map(|_| Peer::start_with(tempfile::tempdir().unwrap(), everywhere)).into();
    let data = content(1, 20 * PIECE);
    fs::write(there.folder.path().join("needle"), &data).unwrap();
    let (path, _) = torrent(there.folder.path(), "needle", &data);
    let seed = there.add(&path, Vec::new());
    there.until("it seeds", seed, |view| view.is_some_and(|v| v.state == State::Seeding));

    let live = addresses(3, LIVE, there.engine.port().unwrap());
    let mut dead = [addresses(1, SILENT, 7001), addresses(2, REFUSED, 7002)].concat();
    let mut rng = fastrand::Rng::with_seed(5);
    let (over, most) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                most.fetch_max(half_open().len(), Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        let before = resident("self");
        let id = here.add(&path, Vec::new());
        if !live_come_late {
            dead.extend(&live);
        }
        rng.shuffle(&mut dead);
        let began = Instant::now();
        here.engine.send(Command::AddPeers(id, dead));
        if live_come_late {
            // The whole list is dead, and all places are taken by addresses that do not answer.
            here.until("silent ones", id, |view| view.is_some_and(|v| v.known as usize >= limits::KNOWN_PEERS * 7 / 8));
            std::thread::sleep(Duration::from_secs(4));
            here.engine.send(Command::AddPeers(id, live));
        }
        let known = Instant::now();
        here.until("the first payload", id, |view| view.is_some_and(|v| v.downloaded > 0));
        eprintln!(
            "live ones late: {live_come_late}; first payload {:.2} s after the first address, {:.2} s after the first live one",
            began.elapsed().as_secs_f32(),
            known.elapsed().as_secs_f32()
        );
        here.until("all of it", id, |view| view.is_some_and(|v| v.state == State::Seeding));
        let after = resident("self");
        over.store(true, Ordering::Relaxed);
        eprintln!("at most {} half-open, memory {before} -> {after} MiB", most.load(Ordering::Relaxed));
        assert!(after <= before + 40, "memory {before} -> {after} MiB");
    });
    assert_eq!(fs::read(here.folder.path().join("needle")).unwrap(), data);
    let most = most.into_inner();
    // The table is no picture of one moment: while it is read, some that gave way are still in it beside their
    // successors. The greeter itself counts to the dot in programs built for tests.
    assert!((1..limits::HALF_OPEN_OUT * 3 / 2).contains(&most), "{most} dials were half-open at once");
    here.stop();
    there.stop();
}

/// Peers that name others, and how many each.
const GOSSIPS: usize = 45;
/// Addresses that the tracker, and that the DHT names.
const OTHERS: usize = 500;
/// Where we are, where those are who name others, and DHT nodes.
const US: Ipv4Addr = Ipv4Addr::new(11, 255, 0, 1);
const PORT: u16 = 6881;

/// The n-th of the ten thousand, each in a network of its own: one in twenty is alive where `live` says so, half of the
/// others swallow what they get, half refuse.
fn stranger(n: usize, live: bool, port: u16) -> SocketAddrV4 {
    let at = |network: usize, port| SocketAddrV4::new(Ipv4Addr::new(11, (network + (n >> 8)) as u8, n as u8, 1), port);
    match n % 40 {
        0 | 1 if live => at(128, port),
        n if n % 2 == 0 => at(0, 7001),
        _ => at(64, 7002),
    }
}

#[test]
fn a_live_address_is_found_among_those_that_tracker_peers_and_dht_name() {
    for program in ["nft", "ip"] {
        if !installed(program) {
            return skip(&format!("{program} is not installed"));
        }
    }
    for live_come_late in [false, true] {
        let Some(cable) = Cable::new() else {
            return skip("no right to make network namespaces (ip netns add)");
        };
        cable.inside(|_, _| {
            // Addresses of the wide world, which lead nowhere but here.
            let steps = ["addr add 11.255.0.1/32 dev lo", "route add local 11.0.0.0/8 dev lo src 11.255.0.1"];
            for step in steps {
                assert!(command("ip", step.split(' ')).status().is_ok_and(|status| status.success()), "{step}");
            }
            if !swallow("11.0.0.0/10") {
                return skip("no right to filter packets (nft)");
            }
            named_by_all(live_come_late);
        });
    }
}

fn named_by_all(live_come_late: bool) {
    let there = Peer::start_with(tempfile::tempdir().unwrap(), |config| config.bind = None);
    let (data, home) = (content(1, 20 * PIECE), tempfile::tempdir().unwrap());
    fs::write(there.folder.path().join("needle"), &data).unwrap();
    let (path, hash) = torrent(there.folder.path(), "needle", &data);
    let seed = there.add(&path, Vec::new());
    there.until("it seeds", seed, |view| view.is_some_and(|v| v.state == State::Seeding));
    let port = there.engine.port().unwrap();

    let named = Named::default();
    let mut all: Vec<_> = (0..10_000).map(|n| stranger(n, !live_come_late, port)).collect();
    fastrand::Rng::with_seed(6).shuffle(&mut all);
    let (by_peers, others) = all.split_at(all.len() - 2 * OTHERS);
    let url = crowd::tracker(&others[..OTHERS], &named);
    let nodes: Vec<_> = (0..8).map(|n| SocketAddrV4::new(Ipv4Addr::new(11, 251, n, 1), 4000)).collect();
    crowd::nodes(&nodes, &others[OTHERS..], &named);
    let gossips: Vec<_> = (0..GOSSIPS).map(|n| SocketAddrV4::new(Ipv4Addr::new(11, 250, n as u8, 1), 6000)).collect();
    for (at, addrs) in gossips.iter().zip(by_peers.chunks(by_peers.len() / GOSSIPS)) {
        crowd::gossip(*at, hash, addrs, &named);
    }
    let original = fs::read(&path).unwrap();
    let announce = format!("d8:announce{}:{url}", url.len());
    fs::write(&path, [announce.as_bytes(), &original[1..]].concat()).unwrap();

    let began = Instant::now();
    let mut it = downloads(home.path(), &path, &gossips, &nodes);
    let pid = Pid::from_raw(it.child.id().cast_signed()).unwrap();
    let watched = Watched::default();
    std::thread::scope(|scope| {
        scope.spawn(|| watched.watch(pid));
        let mut since = Instant::now();
        if live_come_late {
            support::process::until("all to be named", || it.tail(), || named.load(Ordering::Relaxed) >= all.len());
            // The list is full of dead ones, and all places are taken by those that do not answer.
            std::thread::sleep(Duration::from_secs(8));
            let fresh: Vec<_> = (10_000..10_200).map(|n| stranger(n, true, port)).collect();
            since = Instant::now();
            crowd::gossip_to(SocketAddr::from((US, PORT)), hash, &fresh, &named);
        }
        there.until("the first payload", seed, |view| view.is_some_and(|v| v.uploaded > 0));
        eprintln!(
            "live ones late: {live_come_late}; first payload {:.2} s after the start, {:.2} s after the first live one",
            began.elapsed().as_secs_f32(),
            since.elapsed().as_secs_f32()
        );
        assert!(it.wait().success(), "{}", it.tail());
        watched.over.store(true, Ordering::Relaxed);
    });
    assert_eq!(fs::read(home.path().join("needle")).unwrap(), data);
    let (most, memory) = (watched.most.into_inner(), watched.memory.into_inner());
    eprintln!("{} named, at most {most} half-open, memory at most {memory} MiB", named.load(Ordering::Relaxed));
    // A live one may be found before anybody has looked at the dials.
    let least = usize::from(live_come_late);
    assert!((least..=limits::HALF_OPEN_OUT).contains(&most), "{most} dials were half-open at once");
    assert!(memory < 100, "memory {memory} MiB");
    there.stop();
}

/// `ttui` that knows those who name others.
fn downloads(home: &Path, torrent: &Path, gossips: &[SocketAddrV4], nodes: &[SocketAddrV4]) -> Process {
    let (state, dir) = (home.join("state").display().to_string(), home.display().to_string());
    let (torrent, nodes) = (torrent.display().to_string(), nodes[0].to_string());
    let port = PORT.to_string();
    let flags = ["download", &torrent, "--dir", &dir, "--state-dir", &state, "--port", &port, "--dht-nodes", &nodes];
    let more = ["--no-lsd", "--no-port-map", "--headless", "--exit-when-done"];
    let peers = gossips.iter().flat_map(|peer| ["--peer".to_owned(), peer.to_string()]);
    let args = flags.iter().chain(&more).map(|&arg| arg.to_owned()).chain(peers);
    Process::start(command(env!("CARGO_BIN_EXE_ttui"), args), home)
}

/// What is seen of a program from outside, a few times a second.
#[derive(Default)]
struct Watched {
    over: AtomicBool,
    most: AtomicUsize,
    memory: AtomicUsize,
}

impl Watched {
    fn watch(&self, it: Pid) {
        let process = it.as_raw_nonzero().to_string();
        while !self.over.load(Ordering::Relaxed) {
            // It holds still meanwhile: the table is read piece by piece.
            let _ = kill_process(it, Signal::STOP);
            if holds_still(&process) {
                self.most.fetch_max(half_open().intersection(&sockets(&process)).count(), Ordering::Relaxed);
                self.memory.fetch_max(resident(&process), Ordering::Relaxed);
            }
            let _ = kill_process(it, Signal::CONT);
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Waits until none of its threads runs; false when it has ended.
fn holds_still(process: &str) -> bool {
    loop {
        let Ok(threads) = fs::read_dir(format!("/proc/{process}/task")) else { return false };
        let state = |thread: fs::DirEntry| fs::read_to_string(thread.path().join("status")).unwrap_or_default();
        let states: Vec<String> = threads.flatten().map(state).collect();
        if states.iter().any(|state| state.contains("State:\tZ")) {
            return false;
        }
        if states.iter().all(|state| state.is_empty() || state.contains("State:\tT")) {
            return true;
        }
        std::thread::yield_now();
    }
}
