//! Two home networks, each behind its own router that masquerades, and a tracker outside, in network namespaces that
//! the test makes and removes. One router has miniupnpd, the other nothing.
#![cfg(target_os = "linux")]
// A test whose surroundings fail has failed: saying so at once is all that is wanted. Every test file uses a part of
// what `support` offers.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::print_stderr, dead_code)]

mod support {
    pub mod network;
    pub mod process;
    pub mod tmux;
    pub mod torrents;
}

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

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

/// The interface in a home.
fn interface(world: &World, home: usize, folder: &Path, torrents: &[PathBuf]) -> Terminal {
    let data = folder.join(format!("home{home}"));
    fs::create_dir_all(&data).unwrap();
    let terminal = Terminal::open(&format!("nat{home}-{}", folder.file_name().unwrap().display()), (160, 40), &data);
    let torrents: Vec<String> = torrents.iter().map(|path| path.display().to_string()).collect();
    let state = folder.join(format!("state{home}")).display().to_string();
    let args = ["--state-dir", &state, "--no-dht", "--no-lsd", "--no-pex"];
    let args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).chain(torrents).collect();
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
    let first = interface(&world, 0, folder, &torrents);
    first.until(&format!("port 6881 mapped ({words})"));
    let second = interface(&world, 1, folder, &torrents);
    second.until("port 6881 closed");
    let whole = |n: usize, home: usize| payloads[n].flaws(&folder.join(format!("home{home}")), true).is_none();
    until("both to have both", || format!("{}\n{}", first.screen(), second.screen()), || whole(1, 0) && whole(0, 1));
    first.until(&format!("port 6881 open ({words})"));
    second.until("port 6881 closed: no router answers PCP, NAT-PMP or UPnP");
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
