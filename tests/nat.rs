//! Two home networks, each behind its own router that masquerades, and a tracker outside, in network namespaces that
//! the test makes and removes. One router has miniupnpd, the other nothing.
#![cfg(target_os = "linux")]
// A test whose surroundings fail has failed: saying so at once is all that is wanted. Every test file uses a part of
// what `support` offers.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::print_stderr, dead_code)]

mod support {
    pub mod clients;
    pub mod network;
    pub mod process;
    pub mod tmux;
    pub mod torrents;
}

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use serde_json::json;
use support::clients::{Client, Given, Kind, Manner, ttui_flags};
use support::network::{Place, Wires};
use support::process::{Process, installed, skip, tail, until};
use support::tmux::Terminal;
use support::torrents::Payload;

const KIB: usize = 1024;
/// Outside. The addresses of documentation would do, but miniupnpd takes them for private ones; these are only known in
/// the namespaces.
const OUTSIDE: Ipv4Addr = Ipv4Addr::new(11, 0, 0, 1);
const ROUTERS: [Ipv4Addr; 2] = [Ipv4Addr::new(11, 0, 0, 10), Ipv4Addr::new(11, 0, 0, 20)];

/// The Internet, two routers and two homes.
struct World {
    wires: Wires,
    outside: Place,
    routers: [Place; 2],
    homes: [Place; 2],
}

impl World {
    fn new() -> Option<World> {
        let mut wires = Wires::default();
        let outside = wires.place(OUTSIDE)?;
        let routers = [wires.place(ROUTERS[0])?, wires.place(ROUTERS[1])?];
        let homes = [wires.place(Ipv4Addr::new(192, 168, 1, 2))?, wires.place(Ipv4Addr::new(192, 168, 2, 2))?];
        let run = |place: &Place, line: &str| wires.run(place, line);
        let mut steps = run(&outside, "ip link add wan type bridge")
            && run(&outside, "ip addr add 11.0.0.1/24 dev wan")
            && run(&outside, "ip link set wan up");
        for (n, (router, home)) in routers.iter().zip(&homes).enumerate() {
            let lan = format!("192.168.{}", n + 1);
            steps = steps
                && wires.cable((&outside, &format!("r{n}")), (router, "wan"))
                && run(&outside, &format!("ip link set r{n} master wan"))
                && run(router, &format!("ip addr add {}/24 dev wan", ROUTERS[n]))
                && wires.cable((router, "lan"), (home, "lan"))
                && run(router, &format!("ip addr add {lan}.1/24 dev lan"))
                && run(home, &format!("ip addr add {lan}.2/24 dev lan"))
                && run(home, &format!("ip route add default via {lan}.1"))
                && run(router, "sysctl -qw net.ipv4.ip_forward=1");
        }
        steps.then_some(World { wires, outside, routers, homes })
    }

    /// What a home router does: everything from inside goes out under its own address, and nothing comes in unless it
    /// answers that, or miniupnpd lets it.
    fn masquerade(&self, router: usize, folder: &Path, pcp: bool) {
        // A router that only knows the older NAT-PMP: what begins with version 2 is lost.
        let older = if pcp { "" } else { "udp dport 5351 @th,64,8 2 drop" };
        let rules = "table inet filter {
            chain miniupnpd { }
            chain prerouting_miniupnpd { }
            chain postrouting_miniupnpd { }
            chain forward { type filter hook forward priority 0; policy drop;
                iifname lan accept
                ct state established,related accept
                jump miniupnpd
            }
            chain input { type filter hook input priority 0; policy accept;
                iifname wan ct state new drop
                OLDER
            }
            chain prerouting { type nat hook prerouting priority -100; policy accept; jump prerouting_miniupnpd; }
            chain postrouting { type nat hook postrouting priority 100; policy accept;
                jump postrouting_miniupnpd
                oifname wan masquerade
            }
        }";
        let path = folder.join(format!("nft{router}"));
        fs::write(&path, rules.replace("OLDER", older)).unwrap();
        let done = self.routers[router].command("nft", &["-f".to_owned(), path.display().to_string()]);
        let done = { done }.output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }

    /// miniupnpd on the first router.
    fn miniupnpd(&self, folder: &Path, upnp: bool) -> Process {
        let home = folder.join("miniupnpd");
        fs::create_dir_all(&home).unwrap();
        let yes = |on: bool| if on { "yes" } else { "no" };
        let lines = format!(
            "ext_ifname=wan\nlistening_ip=lan\nenable_upnp={}\nenable_natpmp={}\n\
             upnp_table_name=filter\nupnp_nat_table_name=filter\nupnp_forward_chain=miniupnpd\n\
             upnp_nat_chain=prerouting_miniupnpd\nupnp_nat_postrouting_chain=postrouting_miniupnpd\nsecure_mode=yes\n\
             system_uptime=yes\nuuid=769b264e-d164-4186-b816-4d49c3905ef5\nlease_file={}\n\
             allow 1024-65535 192.168.1.0/24 1024-65535\ndeny 0-65535 0.0.0.0/0 0-65535\n",
            yes(upnp),
            yes(!upnp),
            home.join("leases").display()
        );
        fs::write(home.join("conf"), lines).unwrap();
        let args =
            ["-d", "-f", &home.join("conf").display().to_string(), "-P", &home.join("pid").display().to_string()];
        let process = Process::start(self.routers[0].command("miniupnpd", &args.map(str::to_owned)), &home);
        let log = process.log.clone();
        until("miniupnpd to be ready", || tail(&log), || tail(&log).contains("istening "));
        process
    }

    fn leases(&self, folder: &Path) -> String {
        fs::read_to_string(folder.join("miniupnpd/leases")).unwrap_or_default()
    }
}

fn missing() -> bool {
    let programs = ["nft", "miniupnpd", "tmux", "ip"];
    let missing: Vec<&str> = programs.into_iter().filter(|program| !installed(program)).collect();
    if !missing.is_empty() {
        skip(&format!("{} are not installed", missing.join(", ")));
    }
    !missing.is_empty()
}

/// The interface in a home, with these switches.
fn interface(world: &World, home: usize, folder: &Path, torrents: &[PathBuf], more: &[&str]) -> Terminal {
    let data = folder.join(format!("home{home}"));
    fs::create_dir_all(&data).unwrap();
    let terminal = Terminal::open(&format!("nat{home}-{}", folder.file_name().unwrap().display()), (160, 40), &data);
    let torrents: Vec<String> = torrents.iter().map(|path| path.display().to_string()).collect();
    let state = folder.join(format!("state{home}")).display().to_string();
    let args = ["--state-dir", &state, "--no-dht", "--no-lsd"];
    let args: Vec<String> = args.iter().chain(more).map(|&arg| arg.to_owned()).chain(torrents).collect();
    terminal.line(&world.wires.line(&world.homes[home], env!("CARGO_BIN_EXE_ttui"), &args));
    terminal
}

/// Each home has what the other lacks; only the first one can be called.
fn both_ways(upnp: bool, pcp: bool, words: &str) {
    if missing() {
        return;
    }
    let Some(world) = World::new() else { return skip("there is no right to make network namespaces") };
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    (0..2).for_each(|router| world.masquerade(router, folder, pcp));
    let mut daemon = world.miniupnpd(folder, upnp);
    let home = folder.join("tracker");
    fs::create_dir_all(&home).unwrap();
    let args = ["tracker", "--listen", "11.0.0.1:6969", "--interval", "60"].map(str::to_owned);
    let tracker = Process::start(world.outside.command(env!("CARGO_BIN_EXE_ttui"), &args), &home);
    until("the tracker to listen", || tracker.tail(), || tracker.tail().contains("6969"));
    let payloads = [
        Payload::single("first.bin", 3000 * KIB + 1, 64 * KIB, 1),
        Payload::single("second.bin", 3000 * KIB + 2, 64 * KIB, 2),
    ];
    let torrents: Vec<PathBuf> = (0..2).map(|n| folder.join(format!("{n}.torrent"))).collect();
    for (n, payload) in payloads.iter().enumerate() {
        payload.write_torrent(&torrents[n], "http://11.0.0.1:6969/announce");
        payload.write_data(&folder.join(format!("home{n}")));
    }
    let first = interface(&world, 0, folder, &torrents, &["--no-pex"]);
    first.until(&format!("port 6881 mapped ({words})"));
    let second = interface(&world, 1, folder, &torrents, &["--no-pex"]);
    second.until("port 6881 closed");
    let whole = |n: usize, home: usize| payloads[n].flaws(&folder.join(format!("home{home}")), true).is_none();
    until("both to have both", || format!("{}\n{}", first.screen(), second.screen()), || whole(1, 0) && whole(0, 1));
    first.until(&format!("port 6881 open ({words})"));
    second.until("port 6881 closed: no PCP, NAT-PMP or UPnP gateway found");
    daemon.must_live();
    assert!(world.leases(folder).contains("TCP:6881:192.168.1.2:6881"), "{}", world.leases(folder));
    first.keys("q");
    until(
        "the first to end",
        || first.screen(),
        || {
            if first.screen().contains("y yes") {
                first.keys("y");
            }
            !first.screen().contains("ttui  ")
        },
    );
    until("the mapping to be gone", || world.leases(folder), || !world.leases(folder).contains(":6881:"));
    second.keys("q");
}

#[test]
fn upnp_lets_the_other_side_in() {
    both_ways(true, true, "UPnP");
}

#[test]
fn without_upnp_pcp_does() {
    both_ways(false, true, "PCP");
}

#[test]
fn without_pcp_nat_pmp_does() {
    both_ways(false, false, "NAT-PMP");
}

/// Both homes are hidden, and nobody forwards anything: each is known to a peer outside only, which has nothing to give
/// and introduces them to each other (BEP 55).
fn introduced(between: Kind, seeder: Kind) {
    if missing() {
        return;
    }
    if let Some(why) = between.missing().or_else(|| seeder.missing()) {
        return skip(&why);
    }
    let Some(world) = World::new() else { return skip("there is no right to make network namespaces") };
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    (0..2).for_each(|router| world.masquerade(router, folder, true));
    let payload = Payload::single("hidden.bin", 3000 * KIB + 3, 64 * KIB, 55);
    let (torrent, hex) = (folder.join("it.torrent"), payload.hex());
    payload.write_torrent(&torrent, "http://11.0.0.1:9/announce");
    payload.write_data(&folder.join("home0"));
    let manner = || Manner { pex: true, utp: true, ..Manner::default() };
    let slow = ["--down-limit", "100", "--up-limit", "100"];

    let mut common = Common::start(between, &world, folder, &torrent, &slow);
    let at = common.at();
    // So that both come by uTP, as they would once they know that they cannot be called.
    let rules = [
        "nft add table inet no-tcp".to_owned(),
        "nft add chain inet no-tcp in { type filter hook input priority 0 ; }".to_owned(),
        format!("nft add rule inet no-tcp in tcp dport {} reject with tcp reset", at.rsplit_once(':').unwrap().1),
    ];
    assert!(rules.iter().all(|rule| world.wires.run(&world.outside, rule)));
    let (given, home) = ([Given { torrent: &torrent, hex: &hex }], folder.join("state0"));
    fs::create_dir_all(&home).unwrap();
    let seed = || Client::seed_with(seeder, manner(), &world.homes[0], &home, &folder.join("home0"), &given);
    let (mut hidden, mut client) = match seeder {
        Kind::Libtorrent => (None, Some(seed())),
        _ => (Some(hidden_ttui("seed", &world, 0, folder, &torrent, &at)), None),
    };
    common.must_know_a_peer(|| {
        // Not before it has looked at its data.
        client.iter_mut().for_each(|it| drop(it.say(&json!({"op": "connect", "to": at}))));
    });
    let link = PathBuf::from(format!("magnet:?xt=urn:btih:{hex}&dn=hidden&x.pe={at}"));
    let leech = interface(&world, 1, folder, &[link], &[]);
    let whole = || payload.flaws(&folder.join("home1"), true).is_none();
    until("the hidden one to be reached", || format!("{}\n{}", common.tail(), leech.screen()), whole);
    // That somebody came through the hole that our own call made does not open the port.
    leech.until("port 6881 closed: no PCP, NAT-PMP or UPnP gateway found");
    leech.keys("q");
    hidden.iter_mut().for_each(Process::must_live);
}

/// The peer outside.
enum Common {
    Ttui(Process, String),
    Libtorrent(Box<Client>),
}

impl Common {
    fn start(kind: Kind, world: &World, folder: &Path, torrent: &Path, slow: &[&str]) -> Common {
        let home = folder.join("common");
        fs::create_dir_all(&home).unwrap();
        if kind == Kind::Libtorrent {
            let manner = Manner { pex: true, utp: true, ..Manner::default() };
            let mut client = Client::libtorrent_with(manner, &world.outside, &home);
            client.say(&json!({"op": "add", "torrent": torrent, "dir": home, "pex": true, "down": 1000}));
            return Common::Libtorrent(Box::new(client));
        }
        let args = ttui_args("download", OUTSIDE, 6881, &home, &home.join("state"), torrent);
        let args: Vec<String> = args.into_iter().chain(slow.iter().map(|&arg| arg.to_owned())).collect();
        let process = Process::start(world.outside.command(env!("CARGO_BIN_EXE_ttui"), &args), &home);
        until("it to listen", || process.tail(), || process.tail().contains("progress"));
        Common::Ttui(process, format!("{OUTSIDE}:6881"))
    }

    fn at(&self) -> String {
        match self {
            Common::Ttui(_, at) => at.clone(),
            Common::Libtorrent(client) => client.addr(),
        }
    }

    fn must_know_a_peer(&mut self, mut poke: impl FnMut()) {
        let knows = |it: &mut Common| match it {
            Common::Ttui(it, _) => it.tail().contains("peers=1/"),
            Common::Libtorrent(it) => it.stat()[0]["peers"].as_u64() == Some(1),
        };
        until("a peer", String::new, || {
            poke();
            knows(self)
        });
    }

    fn tail(&self) -> String {
        match self {
            Common::Ttui(it, _) => it.tail(),
            Common::Libtorrent(it) => it.state(),
        }
    }
}

fn hidden_ttui(verb: &str, world: &World, home: usize, folder: &Path, torrent: &Path, common: &str) -> Process {
    let (dir, state) = (folder.join(format!("home{home}")), folder.join(format!("state{home}")));
    [&dir, &state].iter().for_each(|path| fs::create_dir_all(path).unwrap());
    let mut args = ttui_args(verb, world.homes[home].ip, 6881, &dir, &state, torrent);
    args.extend(["--peer", common].map(str::to_owned));
    Process::start(world.homes[home].command(env!("CARGO_BIN_EXE_ttui"), &args), &state)
}

fn ttui_args(verb: &str, ip: Ipv4Addr, port: u16, dir: &Path, state: &Path, torrent: &Path) -> Vec<String> {
    let flags = ttui_flags(ip, port, dir, state);
    let flags = flags.into_iter().filter(|flag| flag != "--no-pex" && flag != "--no-utp");
    [verb.to_owned(), torrent.display().to_string()].into_iter().chain(flags).collect()
}

#[test]
fn two_hidden_ones_are_introduced() {
    introduced(Kind::Ttui, Kind::Ttui);
}

#[test]
fn a_hidden_libtorrent_is_introduced() {
    introduced(Kind::Ttui, Kind::Libtorrent);
}

#[test]
fn libtorrent_introduces() {
    introduced(Kind::Libtorrent, Kind::Ttui);
}
