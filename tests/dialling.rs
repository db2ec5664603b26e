//! Ten thousand addresses, of which one in twenty leads to a peer: the others refuse, or swallow what is sent to them.
//! In a network namespace that the test makes, so that silence is real.
#![cfg(target_os = "linux")]
// A test whose surroundings fail has failed: saying so at once is all that is wanted. Every test file uses a part of
// what `support` offers.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::print_stderr, dead_code)]

mod support {
    pub mod engine;
    pub mod network;
    pub mod process;
}

use std::fs;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use support::engine::{PIECE, Peer, content, torrent};
use support::network::Cable;
use support::process::{command, installed, skip};
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

/// Whoever sends anything to 127.1.0.0/16 hears nothing.
fn swallow() -> bool {
    let rules = [
        "add table inet silence",
        "add chain inet silence in { type filter hook input priority 0 ; }",
        "add rule inet silence in ip daddr 127.1.0.0/16 drop",
    ];
    rules.iter().all(|rule| command("nft", rule.split(' ')).status().is_ok_and(|status| status.success()))
}

/// Connections of this thread's network that wait for their first answer.
fn half_open() -> usize {
    let table = fs::read_to_string("/proc/thread-self/net/tcp").expect("it can be read");
    const SYN_SENT: &str = "02";
    table.lines().filter(|line| line.split_whitespace().nth(3) == Some(SYN_SENT)).count()
}

/// Resident memory of this process, MiB.
fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").expect("it can be read");
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
        if !swallow() {
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
                most.fetch_max(half_open(), Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        let before = resident();
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
        let after = resident();
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
