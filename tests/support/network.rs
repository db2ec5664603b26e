//! Where the clients of a test live: on loopback addresses of their own, or in network namespaces that the test
//! makes and removes. Nothing here reaches any other machine.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::process::{Process, command, until};

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A place where a client may run: an address, and the namespace that it lies in if not in ours.
#[derive(Clone)]
pub struct Place {
    pub ip: Ipv4Addr,
    namespace: Option<String>,
}

impl Place {
    /// A loopback address that no other test of this run has.
    pub fn loopback() -> Place {
        let run = std::process::id() % 128;
        let [_, _, a, b] = (NEXT.fetch_add(1, Ordering::Relaxed) + 1).to_be_bytes();
        Place { ip: Ipv4Addr::new(127, 64 + run as u8, a, b), namespace: None }
    }

    /// The usual loopback address.
    pub fn localhost() -> Place {
        Place { ip: Ipv4Addr::LOCALHOST, namespace: None }
    }

    /// A port that was free a moment ago. Only in our own namespace.
    pub fn port(&self) -> u16 {
        if self.namespace.is_some() {
            // Nobody else lives there.
            return 20_000 + (NEXT.fetch_add(1, Ordering::Relaxed) % 10_000) as u16;
        }
        let listener = TcpListener::bind((self.ip, 0)).expect("a loopback address can be bound");
        listener.local_addr().expect("it has an address").port()
    }

    /// A command that runs there.
    pub fn command(&self, program: &str, args: &[String]) -> Command {
        match &self.namespace {
            None => command(program, args),
            Some(name) => {
                let head = ["netns", "exec", name, program].map(str::to_owned);
                command("ip", head.iter().chain(args))
            }
        }
    }
}

/// Two network namespaces with a cable between them, gone when dropped.
pub struct Cable {
    names: [String; 2],
    pub ends: [Place; 2],
}

impl Cable {
    /// `None` where the test has no right to make namespaces.
    pub fn new() -> Option<Cable> {
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let names = ["a", "b"].map(|end| format!("ttui-{}-{n}{end}", std::process::id()));
        let [ip_a, ip_b] = [Ipv4Addr::new(10, 77, 0, 1), Ipv4Addr::new(10, 77, 0, 2)];
        let place = |ip, name: &String| Place { ip, namespace: Some(name.clone()) };
        let cable = Cable { ends: [place(ip_a, &names[0]), place(ip_b, &names[1])], names };
        let [a, b] = &cable.names;
        let steps = [
            format!("netns add {a}"),
            format!("netns add {b}"),
            format!("-n {a} link add cable type veth peer name cable netns {b}"),
            format!("-n {a} addr add {ip_a}/24 dev cable"),
            format!("-n {b} addr add {ip_b}/24 dev cable"),
            format!("-n {a} link set lo up"),
            format!("-n {b} link set lo up"),
            format!("-n {a} link set cable up"),
            format!("-n {b} link set cable up"),
        ];
        steps.iter().all(|step| ip(step)).then_some(cable)
    }

    /// Runs `work` with this thread moved to the first end; children that it starts live there too.
    #[cfg(target_os = "linux")]
    pub fn inside(&self, work: impl FnOnce(&Place, &Place) + Send) {
        moved_to(&self.names[0], || work(&self.ends[0], &self.ends[1]));
    }
}

/// A network namespace in which all of 10.77.0.0/16 is this machine, gone when dropped. Clients that shun loopback
/// addresses call and heed these.
pub struct Island {
    name: String,
}

impl Island {
    /// `None` where the test has no right to make namespaces.
    pub fn new() -> Option<Island> {
        let name = format!("ttui-{}-{}i", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let island = ip(&format!("netns add {name}")).then_some(Island { name })?;
        let steps = ["link set lo up", "addr add 10.77.0.1/16 dev lo"];
        steps.iter().all(|step| ip(&format!("-n {} {step}", island.name))).then_some(island)
    }

    /// An address there that no other test has. It is good on a thread that is [`inside`](Self::inside).
    pub fn place(&self) -> Place {
        let [_, _, a, b] = (NEXT.fetch_add(1, Ordering::Relaxed) + 2).to_be_bytes();
        Place { ip: Ipv4Addr::new(10, 77, a, b), namespace: None }
    }

    /// Runs `work` with this thread moved there; children that it starts live there too.
    #[cfg(target_os = "linux")]
    pub fn inside(&self, work: impl FnOnce() + Send) {
        moved_to(&self.name, work);
    }
}

impl Drop for Island {
    fn drop(&mut self) {
        ip(&format!("netns del {}", self.name));
    }
}

/// Does something on a thread that lives in a namespace.
#[cfg(target_os = "linux")]
fn moved_to(name: &str, work: impl FnOnce() + Send) {
    use std::os::fd::AsFd;
    std::thread::scope(|scope| {
        let moved = scope.spawn(|| {
            let namespace = std::fs::File::open(Path::new("/run/netns").join(name)).expect("it is named");
            let network = Some(rustix::thread::LinkNameSpaceType::Network);
            rustix::thread::move_into_link_name_space(namespace.as_fd(), network).expect("root may move");
            work();
        });
        if let Err(panic) = moved.join() {
            std::panic::resume_unwind(panic);
        }
    });
}

impl Drop for Cable {
    fn drop(&mut self) {
        for name in &self.names {
            ip(&format!("netns del {name}"));
        }
    }
}

/// What a network of the test speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Speaks {
    V4,
    /// IPv6 alone, with addresses that are good beyond one link.
    V6,
    /// IPv6 alone, with none but those of the link.
    Link,
}

/// Namespaces that are joined by bridges, gone when dropped.
pub struct Net {
    names: Vec<String>,
    pub places: Vec<Place>,
}

impl Net {
    /// So many places on one bridge. `None` where the test has no right to make namespaces.
    pub fn bridge(places: usize, speaks: Speaks) -> Option<Net> {
        let mut net = Net { names: Vec::new(), places: Vec::new() };
        let hub = net.add("hub")?;
        net.run(&format!("-n {hub} link add bridge type bridge mcast_snooping 0"))?;
        net.run(&format!("-n {hub} link set bridge up"))?;
        for n in 1..=places {
            let name = net.join(&hub, "bridge", n, &format!("10.77.0.{n}"), speaks)?;
            if speaks == Speaks::V4 {
                // Clients that choose no interface for multicast need it.
                net.run(&format!("-n {name} route add default dev eth0"))?;
            }
        }
        Some(net)
    }

    /// Two bridges with a router between, and a place on each.
    pub fn routed() -> Option<Net> {
        let mut net = Net { names: Vec::new(), places: Vec::new() };
        let hub = net.add("router")?;
        net.run(&format!("netns exec {hub} sysctl -qw net.ipv4.ip_forward=1"))?;
        for side in 1..=2 {
            let bridge = format!("bridge{side}");
            net.run(&format!("-n {hub} link add {bridge} type bridge"))?;
            net.run(&format!("-n {hub} addr add 10.78.{side}.254/24 dev {bridge}"))?;
            net.run(&format!("-n {hub} link set {bridge} up"))?;
            let name = net.join(&hub, &bridge, side, &format!("10.78.{side}.1"), Speaks::V4)?;
            net.run(&format!("-n {name} route add default via 10.78.{side}.254"))?;
        }
        Some(net)
    }

    /// Where the bridges are, which all pass.
    pub fn hub(&self) -> Place {
        Place { ip: Ipv4Addr::UNSPECIFIED, namespace: self.names.first().cloned() }
    }

    /// Runs `work` with this thread moved to the first place, from where it reaches the others.
    #[cfg(target_os = "linux")]
    pub fn inside(&self, work: impl FnOnce(&[Place]) + Send) {
        if let Some(name) = &self.places[0].namespace {
            moved_to(name, || work(&self.places));
        }
    }

    fn add(&mut self, what: &str) -> Option<String> {
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("ttui-{}-{n}{what}", std::process::id());
        self.names.push(name.clone());
        self.run(&format!("netns add {name}")).map(|()| name)
    }

    fn run(&self, args: &str) -> Option<()> {
        ip(args).then_some(())
    }

    /// Makes a place with a cable to a bridge.
    fn join(&mut self, hub: &str, bridge: &str, n: usize, addr: &str, speaks: Speaks) -> Option<String> {
        let name = self.add("")?;
        self.run(&format!("-n {name} link set lo up"))?;
        self.run(&format!("-n {name} link add eth0 type veth peer name port{n} netns {hub}"))?;
        self.run(&format!("-n {hub} link set port{n} master {bridge}"))?;
        self.run(&format!("-n {hub} link set port{n} up"))?;
        match speaks {
            Speaks::V4 => self.run(&format!("-n {name} addr add {addr}/24 dev eth0"))?,
            Speaks::V6 => self.run(&format!("-n {name} addr add fd77::{n}/64 dev eth0 nodad"))?,
            Speaks::Link => self.run(&format!("netns exec {name} sysctl -qw net.ipv6.conf.eth0.accept_dad=0"))?,
        }
        self.run(&format!("-n {name} link set eth0 up"))?;
        let ip = if speaks == Speaks::V4 { addr.parse().ok()? } else { Ipv4Addr::UNSPECIFIED };
        self.places.push(Place { ip, namespace: Some(name.clone()) });
        Some(name)
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        for name in &self.names {
            ip(&format!("netns del {name}"));
        }
    }
}

fn ip(args: &str) -> bool {
    command("ip", args.split(' ')).output().is_ok_and(|o| o.status.success())
}

/// How clients speak to a tracker.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tongue {
    Http,
    Udp,
}

/// A tracker that the test started.
pub struct Tracker {
    at: SocketAddrV4,
    process: Process,
}

impl Tracker {
    /// opentracker, for these info-hashes (Debian's knows a whitelist only).
    pub fn opentracker(place: &Place, hashes: &[String], home: &Path) -> Tracker {
        let white = home.join("whitelist");
        std::fs::write(&white, hashes.join("\n") + "\n").expect("the whitelist can be written");
        let (ip, port) = (place.ip.to_string(), place.port().to_string());
        let white = white.to_string_lossy().into_owned();
        let args = ["-i", &ip, "-p", &port, "-P", &port, "-d", "/", "-u", "nobody", "-w", &white].map(str::to_owned);
        Tracker::start(place, &port, place.command("opentracker", &args), home)
    }

    /// `ttui tracker`.
    pub fn ttui(place: &Place, home: &Path) -> Tracker {
        let port = place.port().to_string();
        let args = ["tracker", "--listen", &format!("{}:{port}", place.ip), "--interval", "60"].map(str::to_owned);
        Tracker::start(place, &port, place.command(env!("CARGO_BIN_EXE_ttui"), &args), home)
    }

    fn start(place: &Place, port: &str, command: Command, home: &Path) -> Tracker {
        let at = SocketAddrV4::new(place.ip, port.parse().expect("a port"));
        let mut tracker = Tracker { at, process: Process::start(command, home) };
        until("the tracker to listen", String::new, || {
            tracker.process.must_live();
            TcpStream::connect(at).is_ok()
        });
        tracker
    }

    /// The URL to announce to.
    pub fn url(&self, tongue: Tongue) -> String {
        match tongue {
            Tongue::Http => format!("http://{}/announce", self.at),
            Tongue::Udp => format!("udp://{}/announce", self.at),
        }
    }

    /// Waits until the tracker tells others of a peer at `port`. The asker leaves no trace in the swarm.
    pub fn wait_for(&mut self, hash: &[u8; 20], port: u16, state: impl Fn() -> String) {
        until(&format!("the tracker to know the peer at port {port}"), state, || {
            self.process.must_live();
            let peers = self.ask(hash, "started").unwrap_or_default();
            let _ = self.ask(hash, "stopped");
            peers.chunks_exact(6).any(|p| p[4..] == port.to_be_bytes())
        });
    }

    /// The peers in compact form (BEP 23).
    fn ask(&self, hash: &[u8; 20], event: &str) -> std::io::Result<Vec<u8>> {
        let hash: String = hash.iter().map(|b| format!("%{b:02x}")).collect();
        let mut socket = TcpStream::connect(self.at)?;
        socket.set_read_timeout(Some(Duration::from_secs(5)))?;
        write!(
            socket,
            "GET /announce?info_hash={hash}&peer_id=-TEST00-000000000000&port=9&uploaded=0&downloaded=0&left=1\
             &compact=1&numwant=200&event={event} HTTP/1.0\r\nHost: {}\r\n\r\n",
            self.at
        )?;
        let mut reply = Vec::new();
        socket.read_to_end(&mut reply)?;
        let key = b"5:peers";
        let at = reply.windows(key.len()).position(|w| w == key).map_or(reply.len(), |n| n + key.len());
        let mut rest = reply[at..].splitn(2, |b| *b == b':');
        let length = rest.next().and_then(|n| std::str::from_utf8(n).ok()?.parse().ok()).unwrap_or(0);
        Ok(rest.next().and_then(|peers| peers.get(..length)).unwrap_or_default().to_vec())
    }
}

/// Any number of network namespaces with cables between them, gone when dropped.
#[derive(Default)]
pub struct Wires {
    names: Vec<String>,
}

impl Wires {
    /// A namespace with nothing but a loopback; `ip` is what it is known by. `None` where the test has no right to make
    /// one.
    pub fn place(&mut self, at: Ipv4Addr) -> Option<Place> {
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("ttui-{}-{n}w", std::process::id());
        if !ip(&format!("netns add {name}")) {
            return None;
        }
        self.names.push(name.clone());
        ip(&format!("-n {name} link set lo up")).then_some(Place { ip: at, namespace: Some(name) })
    }

    /// A cable from one to the other, by the names of its ends.
    pub fn cable(&self, (a, end_a): (&Place, &str), (b, end_b): (&Place, &str)) -> bool {
        let (Some(a), Some(b)) = (&a.namespace, &b.namespace) else { return false };
        ip(&format!("-n {a} link add {end_a} type veth peer name {end_b} netns {b}"))
            && ip(&format!("-n {a} link set {end_a} up"))
            && ip(&format!("-n {b} link set {end_b} up"))
    }

    /// Runs a command there, written with spaces between its words; whether it succeeds.
    pub fn run(&self, place: &Place, line: &str) -> bool {
        let mut words = line.split(' ').map(str::to_owned);
        let program = words.next().unwrap_or_default();
        let args: Vec<String> = words.collect();
        place.command(&program, &args).output().is_ok_and(|o| o.status.success())
    }

    /// The line that a shell would run a program there with.
    pub fn line(&self, place: &Place, program: &str, args: &[String]) -> String {
        let command = place.command(program, args);
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        words.map(|word| format!("'{}'", word.to_string_lossy())).collect::<Vec<_>>().join(" ")
    }
}

impl Drop for Wires {
    fn drop(&mut self) {
        for name in &self.names {
            ip(&format!("netns del {name}"));
        }
    }
}
