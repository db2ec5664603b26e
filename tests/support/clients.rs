//! The clients that the tests set against each other, `ttui` among them, all behind the same few words.
//!
//! Every one runs with TCP that is not encrypted, without DHT, local discovery, peer exchange or port mapping unless a
//! test says otherwise: it learns of peers from the tracker alone.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use super::network::Place;
use super::process::{Process, installed, python_with_libtorrent, until};

/// A kind of client.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Ttui,
    Libtorrent,
    Transmission,
    Aria2,
    Rtorrent,
    Qbittorrent,
    Webtorrent,
    Deluge,
}

/// Whether a client encrypts (MSE).
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Cipher {
    /// It neither offers nor takes it.
    #[default]
    Off,
    /// As it comes.
    Either,
    /// It takes nothing else.
    Forced,
}

/// How a client comes by its peers and speaks with them; by default it asks its trackers alone, and speaks plainly.
#[derive(Clone, Default, Debug)]
pub struct Manner {
    pub cipher: Cipher,
    /// Nodes that lead into a DHT, as `IP:PORT`; with none it takes no part in any.
    pub dht: Vec<String>,
    /// Whether it exchanges peers (PEX).
    pub pex: bool,
    /// Whether it speaks uTP beside TCP.
    pub utp: bool,
}

impl From<Cipher> for Manner {
    fn from(cipher: Cipher) -> Manner {
        Manner { cipher, ..Manner::default() }
    }
}

impl Manner {
    /// What a libtorrent session is told beside the usual.
    fn libtorrent(&self) -> serde_json::Value {
        let utp = self.utp;
        if self.dht.is_empty() {
            return serde_json::json!({"enable_incoming_utp": utp, "enable_outgoing_utp": utp});
        }
        serde_json::json!({
            "enable_incoming_utp": utp, "enable_outgoing_utp": utp,
            "enable_dht": true, "dht_bootstrap_nodes": "", "dht_restrict_routing_ips": false,
            "dht_restrict_search_ips": false, "dht_ignore_dark_internet": false, "dht_announce_interval": 10,
        })
    }
}

impl Kind {
    /// Why it cannot run here; `None` if it can.
    pub fn missing(self) -> Option<String> {
        let program = match self {
            Kind::Ttui => return None,
            Kind::Libtorrent => {
                let why = "no Python with libtorrent (pip install libtorrent; TTUI_TEST_PYTHON names the Python)";
                return python_with_libtorrent().is_none().then(|| why.to_owned());
            }
            Kind::Transmission => "transmission-daemon",
            Kind::Aria2 => "aria2c",
            Kind::Rtorrent => "rtorrent",
            Kind::Qbittorrent => "qbittorrent-nox",
            Kind::Deluge => "deluged",
            Kind::Webtorrent if installed("node") => {
                let why = "no webtorrent (npm install --prefix target/ci-node webtorrent@1.9.7)";
                return (!node_modules().join("webtorrent").is_dir()).then(|| why.to_owned());
            }
            Kind::Webtorrent => "node",
        };
        (!installed(program)).then(|| format!("{program} is not installed"))
    }
}

/// A torrent to hand to a client.
pub struct Given<'a> {
    /// The path of its `.torrent`, or a magnet link.
    pub torrent: &'a Path,
    pub hex: &'a str,
}

/// A client at work on some torrents.
pub struct Client {
    kind: Kind,
    manner: Manner,
    place: Place,
    pub port: u16,
    home: PathBuf,
    pub process: Process,
    hashes: Vec<String>,
    channel: Channel,
}

/// How a client is spoken to.
enum Channel {
    /// Not at all: it ends when it is done.
    Exit,
    /// JSON lines to `lt.py` or `deluge.py`.
    Lines(ChildStdin, BufReader<ChildStdout>),
    /// JSON over HTTP at this port.
    Rpc(u16),
    /// XML-RPC over SCGI at this socket.
    Scgi(PathBuf),
    /// qBittorrent's web interface at this port.
    Web(u16),
    /// Not at all: it writes a line when it is done, and runs on.
    Line,
}

impl Client {
    /// A libtorrent session without torrents.
    pub fn libtorrent(place: &Place, home: &Path) -> Client {
        Client::libtorrent_with(Manner::default(), place, home)
    }

    /// The same for one that behaves like this.
    pub fn libtorrent_with(manner: impl Into<Manner>, place: &Place, home: &Path) -> Client {
        Client::start(Kind::Libtorrent, manner.into(), place, home, home, &[], false)
    }

    fn open(&mut self) {
        let (ip, policy) = (self.place.ip.to_string(), self.manner.cipher.pick([2, 1, 0]));
        let open = serde_json::json!({
            "op": "open", "ip": ip, "port": self.port, "encryption": policy, "settings": self.manner.libtorrent(),
        });
        self.say(&open);
        if !self.manner.dht.is_empty() {
            self.say(&serde_json::json!({"op": "dht_meet", "nodes": self.manner.dht}));
        }
    }

    /// Gives a libtorrent session the torrent and the folder of its content; it sends no more than `up` bytes a second
    /// of it, where that is not 0.
    pub fn add(&mut self, torrent: &Path, dir: &Path, up: u64) {
        let pex = self.manner.pex;
        self.say(&serde_json::json!({"op": "add", "torrent": torrent, "dir": dir, "up": up, "pex": pex}));
    }

    /// Where others reach it.
    pub fn addr(&self) -> String {
        format!("{}:{}", self.place.ip, self.port)
    }

    /// Starts a client that has the content in `dir`.
    pub fn seed(kind: Kind, place: &Place, home: &Path, dir: &Path, given: &[Given<'_>]) -> Client {
        Client::start(kind, Manner::default(), place, home, dir, given, true)
    }

    /// The same for one that behaves like this.
    pub fn seed_with(
        kind: Kind,
        manner: impl Into<Manner>,
        place: &Place,
        home: &Path,
        dir: &Path,
        given: &[Given<'_>],
    ) -> Client {
        Client::start(kind, manner.into(), place, home, dir, given, true)
    }

    /// Starts a client that downloads into `dir`.
    pub fn leech(kind: Kind, place: &Place, home: &Path, dir: &Path, given: &[Given<'_>]) -> Client {
        Client::start(kind, Manner::default(), place, home, dir, given, false)
    }

    /// The same for one that behaves like this.
    pub fn leech_with(
        kind: Kind,
        manner: impl Into<Manner>,
        place: &Place,
        home: &Path,
        dir: &Path,
        given: &[Given<'_>],
    ) -> Client {
        Client::start(kind, manner.into(), place, home, dir, given, false)
    }

    fn start(
        kind: Kind,
        manner: Manner,
        place: &Place,
        home: &Path,
        dir: &Path,
        given: &[Given<'_>],
        seed: bool,
    ) -> Client {
        let port = place.port();
        let start = Start { manner: &manner, place, port, home, dir, given, seed };
        let (process, channel) = match kind {
            Kind::Ttui => (start.ttui(), Channel::Exit),
            Kind::Aria2 => (start.aria2(), Channel::Exit),
            Kind::Libtorrent => start.libtorrent(),
            Kind::Transmission => start.transmission(),
            Kind::Rtorrent => start.rtorrent(),
            Kind::Qbittorrent => start.qbittorrent(),
            Kind::Webtorrent => (start.webtorrent(), Channel::Line),
            Kind::Deluge => start.deluge(),
        };
        let hashes = given.iter().map(|g| g.hex.to_owned()).collect();
        let (place, home) = (place.clone(), home.to_owned());
        let mut client = Client { kind, manner, place, port, home, process, hashes, channel };
        client.introduce(dir, given, seed);
        client
    }

    /// What there is to say about it when a test fails.
    pub fn state(&self) -> String {
        format!("{:?} at {}:{}, {}:\n{}", self.kind, self.place.ip, self.port, self.home.display(), self.process.tail())
    }

    /// Whether it says that everything is downloaded and verified.
    pub fn is_done(&mut self) -> bool {
        if let Channel::Exit = self.channel {
            let Some(status) = self.process.ended() else { return false };
            assert!(status.success(), "it ended with {status}: {}", self.state());
            return true;
        }
        self.process.must_live();
        match &mut self.channel {
            Channel::Exit => false,
            Channel::Line => self.process.output().lines().any(|line| line == "all is here"),
            Channel::Lines(..) => {
                let rows = self.stat();
                // More, if torrents were added later.
                rows.len() >= self.hashes.len().max(1) && rows.iter().all(|row| row["done"] == true)
            }
            Channel::Rpc(port) => {
                let fields = ["sizeWhenDone", "haveValid", "metadataPercentComplete"];
                let ask = serde_json::json!({"method": "torrent-get", "arguments": {"fields": fields}}).to_string();
                let Some(answer) = transmission_rpc(self.place.ip, *port, &ask) else { return false };
                let rows = answer["arguments"]["torrents"].as_array().cloned().unwrap_or_default();
                let whole = |row: &serde_json::Value| {
                    row["metadataPercentComplete"] == 1.0 && row["sizeWhenDone"] == row["haveValid"]
                };
                rows.len() == self.hashes.len() && rows.iter().all(whole)
            }
            Channel::Web(port) => {
                let answer = web(*port, "torrents/info", None).unwrap_or_default();
                let rows: Vec<serde_json::Value> = serde_json::from_str(&answer).unwrap_or_default();
                let up = |row: &serde_json::Value| row["state"].as_str().is_some_and(|state| state.ends_with("UP"));
                rows.len() == self.hashes.len() && rows.iter().all(|row| row["progress"] == 1 && up(row))
            }
            Channel::Scgi(socket) => self.hashes.iter().all(|hash| {
                let hash = hash.to_uppercase();
                scgi(socket, "d.complete", &[&hash]).is_some_and(|n| n.contains(">1<"))
                    && scgi(socket, "d.hashing", &[&hash]).is_some_and(|n| n.contains(">0<"))
            }),
        }
    }

    /// The torrents of a libtorrent session, in the order in which they were given; those of Deluge in any order.
    pub fn stat(&mut self) -> Vec<serde_json::Value> {
        let answer = self.say(&serde_json::json!({"op": "stat"}));
        let rows = answer["torrents"].as_array().cloned().unwrap_or_default();
        for row in &rows {
            assert_eq!(row["error"], "", "{}", self.state());
        }
        rows
    }

    /// Payload bytes that a libtorrent session has sent.
    pub fn uploaded(&mut self) -> u64 {
        self.stat().iter().filter_map(|row| row["up"].as_u64()).sum()
    }

    /// The pieces of which a libtorrent session has sent a block since this was asked last.
    pub fn pieces_sent(&mut self) -> BTreeSet<u64> {
        let answer = self.say(&serde_json::json!({"op": "sent"}));
        answer["pieces"].as_array().into_iter().flatten().filter_map(serde_json::Value::as_u64).collect()
    }

    /// Says something to a libtorrent session, or to Deluge, and returns its answer.
    pub fn say(&mut self, ask: &serde_json::Value) -> serde_json::Value {
        let Channel::Lines(to, from) = &mut self.channel else { panic!("only libtorrent and Deluge take lines") };
        let mut line = String::new();
        writeln!(to, "{ask}").expect("it listens");
        from.read_line(&mut line).expect("it answers");
        let answer: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
        assert!(answer.is_object() && answer["error"].is_null(), "{ask} -> {line}: {}", self.state());
        answer
    }

    /// Gives its torrents to a client that is told by a channel.
    fn introduce(&mut self, dir: &Path, given: &[Given<'_>], seed: bool) {
        match &self.channel {
            Channel::Exit | Channel::Line => {}
            Channel::Lines(..) => {
                self.open();
                for g in given {
                    self.add(g.torrent, dir, 0);
                }
            }
            Channel::Rpc(port) => {
                let (ip, port) = (self.place.ip, *port);
                until(
                    "transmission's RPC",
                    || self.state(),
                    || transmission_rpc(ip, port, r#"{"method":"session-get"}"#).is_some(),
                );
                for g in given {
                    let arguments = serde_json::json!({"filename": g.torrent, "download-dir": dir});
                    let ask = serde_json::json!({"method": "torrent-add", "arguments": arguments});
                    let answer = transmission_rpc(ip, port, &ask.to_string()).unwrap_or_default();
                    assert_eq!(answer["result"], "success", "{answer}: {}", self.state());
                }
                if seed {
                    // It looks at what is there only when it is told to.
                    transmission_rpc(ip, port, r#"{"method":"torrent-verify"}"#);
                }
            }
            Channel::Scgi(socket) => {
                until("rtorrent's socket", || self.state(), || scgi(socket, "system.client_version", &[]).is_some());
                for node in &self.manner.dht {
                    scgi(socket, "dht.add_node", &["", node]);
                }
                // What it announces before any node has answered reaches nobody, and it does not try again soon.
                let met = || {
                    let told = scgi(socket, "dht.statistics", &[""]).unwrap_or_default().replace(['\r', '\n'], "");
                    told.contains("<name>nodes</name>") && !told.contains("<name>nodes</name><value><i8>0</i8>")
                };
                if !self.manner.dht.is_empty() {
                    until("a node to answer rtorrent", || self.state(), met);
                }
                for g in given {
                    let folder = format!("d.directory.set=\"{}\"", dir.display());
                    let torrent = g.torrent.to_string_lossy();
                    let torrent = torrent.replace('&', "&amp;");
                    let answer = scgi(socket, "load.start_verbose", &["", &torrent, &folder]);
                    assert!(answer.is_some_and(|a| !a.contains("faultCode")), "{}", self.state());
                }
            }
            Channel::Web(port) => {
                let port = *port;
                until("qBittorrent's web interface", || self.state(), || web(port, "app/version", None).is_some());
                for g in given {
                    let answer = web(port, "torrents/add", Some((dir, g.torrent)));
                    assert_eq!(answer.as_deref(), Some("Ok."), "{}", self.state());
                }
            }
        }
    }
}

/// What is needed to start a client.
struct Start<'a> {
    manner: &'a Manner,
    place: &'a Place,
    port: u16,
    home: &'a Path,
    dir: &'a Path,
    given: &'a [Given<'a>],
    seed: bool,
}

impl Cipher {
    /// One of three: for off, either, forced.
    fn pick<T: Copy>(self, of: [T; 3]) -> T {
        of[self as usize]
    }
}

impl Start<'_> {
    fn ttui(&self) -> Process {
        let mut args: Vec<String> = vec![if self.seed { "seed" } else { "download" }.to_owned()];
        args.extend(self.given.iter().map(|g| g.torrent.display().to_string()));
        let flags = ttui_flags(self.place.ip, self.port, self.dir, &self.home.join("state"));
        let encryption = self.manner.cipher.pick(["off", "prefer", "require"]);
        let wanted = |flag: &String| match flag.as_str() {
            "--no-dht" => self.manner.dht.is_empty(),
            "--no-pex" => !self.manner.pex,
            "--no-utp" => !self.manner.utp,
            _ => true,
        };
        let flags = flags.into_iter().filter(wanted);
        args.extend(flags.map(|flag| if flag == "off" { encryption.to_owned() } else { flag }));
        if !self.manner.dht.is_empty() {
            args.extend(["--dht-nodes".to_owned(), self.manner.dht.join(",")]);
        }
        if !self.seed {
            args.push("--exit-when-done".to_owned());
        }
        Process::start(self.place.command(env!("CARGO_BIN_EXE_ttui"), &args), self.home)
    }

    fn aria2(&self) -> Process {
        let list = self.home.join("list");
        let lines: String = self.given.iter().map(|g| format!("{}\n", g.torrent.display())).collect();
        fs::write(&list, lines).expect("the list can be written");
        let mut args = vec![
            "--no-conf".to_owned(),
            format!("--interface={}", self.place.ip),
            format!("--listen-port={}", self.port),
            format!("--dht-listen-port={}", self.port),
            format!("--dir={}", self.dir.display()),
            format!("--input-file={}", list.display()),
            // Its UDP trackers come with the DHT only. Where that is given no node, nobody tells it of any.
            "--enable-dht=true".to_owned(),
            format!("--dht-file-path={}", self.home.join("dht").display()),
            format!("--enable-peer-exchange={}", self.manner.pex),
        ];
        // It takes one.
        args.extend(self.manner.dht.first().map(|node| format!("--dht-entry-point={node}")));
        let off = ["enable-dht6", "bt-enable-lpd", "show-console-readout"];
        args.extend(off.map(|name| format!("--{name}=false")));
        let rest = ["--disable-ipv6=true", "--file-allocation=none", "--summary-interval=0", "--follow-torrent=mem"];
        args.extend(rest.map(str::to_owned));
        args.push("--console-log-level=notice".to_owned());
        if self.manner.cipher == Cipher::Forced {
            args.push("--bt-force-encryption=true".to_owned());
        }
        if self.seed {
            args.extend(["--check-integrity=true", "--seed-ratio=0.0"].map(str::to_owned));
        } else {
            args.push("--seed-time=0".to_owned());
        }
        Process::start(self.place.command("aria2c", &args), self.home)
    }

    fn libtorrent(&self) -> (Process, Channel) {
        let python = python_with_libtorrent().expect("the test has looked for it");
        self.python(&python, "lt.py", &[])
    }

    fn deluge(&self) -> (Process, Channel) {
        let task = self.home.join("task.json");
        let task_is = serde_json::json!({
            "home": self.home, "ip": self.place.ip.to_string(), "port": self.port, "dir": self.dir,
            "rpc": Place::localhost().port(), "encryption": self.manner.cipher.pick([2, 1, 0]),
        });
        fs::write(&task, task_is.to_string()).expect("the task can be written");
        // Debian's own Python has what Deluge is made of.
        self.python("/usr/bin/python3", "deluge.py", &[task.display().to_string()])
    }

    /// A script that is driven by lines.
    fn python(&self, python: &str, script: &str, args: &[String]) -> (Process, Channel) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support").join(script);
        let args = [&[script.display().to_string()], args].concat();
        let mut command = self.place.command(python, &args);
        let log = fs::File::create(self.home.join("log")).expect("the log can be made");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log);
        let mut process = Process::with_output(command, self.home);
        let to = process.child.stdin.take().expect("it is piped");
        let from = process.child.stdout.take().expect("it is piped");
        (process, Channel::Lines(to, BufReader::new(from)))
    }

    fn transmission(&self) -> (Process, Channel) {
        let rpc = self.place.port();
        let ip = self.place.ip.to_string();
        let settings = serde_json::json!({
            "bind-address-ipv4": ip, "peer-port": self.port, "peer-port-random-on-start": false,
            "rpc-enabled": true, "rpc-bind-address": ip, "rpc-port": rpc, "rpc-authentication-required": false,
            "rpc-whitelist-enabled": false, "rpc-host-whitelist-enabled": false,
            "dht-enabled": !self.manner.dht.is_empty(), "lpd-enabled": false, "pex-enabled": self.manner.pex, "utp-enabled": self.manner.utp,
            "port-forwarding-enabled": false, "encryption": self.manner.cipher.pick([0, 1, 2]), "download-queue-enabled": false,
            "seed-queue-enabled": false, "ratio-limit-enabled": false, "rename-partial-files": false,
            "incomplete-dir-enabled": false, "message-level": 2,
        });
        fs::write(self.home.join("settings.json"), settings.to_string()).expect("settings can be written");
        let nodes: String = self.manner.dht.iter().map(|node| node.replace(':', " ") + "\n").collect();
        fs::write(self.home.join("dht.bootstrap"), nodes).expect("the nodes can be written");
        let args = ["-f".to_owned(), "-g".to_owned(), self.home.display().to_string()];
        (Process::start(self.place.command("transmission-daemon", &args), self.home), Channel::Rpc(rpc))
    }

    fn qbittorrent(&self) -> (Process, Channel) {
        let port = Place::localhost().port();
        let folder = self.home.join("qBittorrent/config");
        fs::create_dir_all(&folder).expect("folders can be made");
        let session = [
            ("Port", self.port.to_string()),
            ("Interface", "lo".to_owned()),
            ("InterfaceName", "lo".to_owned()),
            ("InterfaceAddress", self.place.ip.to_string()),
            ("BTProtocol", if self.manner.utp { "Both" } else { "TCP" }.to_owned()),
            ("Encryption", self.manner.cipher.pick(["2", "0", "1"]).to_owned()),
            ("MaxConnections", "-1".to_owned()),
            ("MaxUploads", "-1".to_owned()),
            ("DisableAutoTMMByDefault", "true".to_owned()),
        ];
        let off = ["DHTEnabled", "LSDEnabled", "PeXEnabled", "QueueingSystemEnabled", "AddTorrentPaused"];
        let mut text =
            "[LegalNotice]\nAccepted=true\n[Network]\nPortForwardingEnabled=false\n[BitTorrent]\n".to_owned();
        session.iter().for_each(|(key, value)| text += &format!("Session\\{key}={value}\n"));
        off.iter().for_each(|key| text += &format!("Session\\{key}=false\n"));
        text += &format!("[Preferences]\nWebUI\\Enabled=true\nWebUI\\Address=127.0.0.1\nWebUI\\Port={port}\n");
        for key in ["LocalHostAuth", "CSRFProtection", "UseUPnP", "HostHeaderValidation"] {
            text += &format!("WebUI\\{key}=false\n");
        }
        fs::write(folder.join("qBittorrent.conf"), text).expect("settings can be written");
        let mut command = self.place.command("qbittorrent-nox", &[format!("--profile={}", self.home.display())]);
        command.env("QT_QPA_PLATFORM", "offscreen");
        (Process::start(command, self.home), Channel::Web(port))
    }

    fn webtorrent(&self) -> Process {
        let task = self.home.join("task.json");
        let torrents: Vec<_> = self.given.iter().map(|g| g.torrent).collect();
        // It has two ways: all plain, or encrypted first and plain where that fails.
        let task_is = serde_json::json!({
            "ip": self.place.ip.to_string(), "port": self.port, "secure": self.manner.cipher.pick([false, true, true]),
            "dir": self.dir, "torrents": torrents,
        });
        fs::write(&task, task_is.to_string()).expect("the task can be written");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/webtorrent.js");
        let args = [script, node_modules(), task].map(|path| path.display().to_string());
        Process::start(self.place.command("node", &args), self.home)
    }

    fn rtorrent(&self) -> (Process, Channel) {
        let socket = self.home.join("s");
        let session = self.home.join("session");
        fs::create_dir_all(&session).expect("folders can be made");
        let lines = [
            "system.daemon.set = true".to_owned(),
            format!("session.path.set = {}", session.display()),
            format!("network.port_range.set = {0}-{0}", self.port),
            "network.port_random.set = no".to_owned(),
            format!("network.bind_address.set = {}", self.place.ip),
            // What is made of a magnet link forgets the folder that it was given.
            format!("directory.default.set = {}", self.dir.display()),
            format!("network.scgi.open_local = {}", socket.display()),
            format!("dht.mode.set = {}", if self.manner.dht.is_empty() { "disable" } else { "on" }),
            format!("dht.port.set = {}", self.port),
            format!("protocol.pex.set = {}", if self.manner.pex { "yes" } else { "no" }),
            "trackers.use_udp.set = yes".to_owned(),
            format!(
                "protocol.encryption.set = {}",
                self.manner.cipher.pick(["none", "allow_incoming,try_outgoing,enable_retry", "require,require_RC4",])
            ),
        ];
        let rc = self.home.join("rc");
        fs::write(&rc, lines.join("\n") + "\n").expect("settings can be written");
        let args = ["-n".to_owned(), "-o".to_owned(), format!("import={}", rc.display())];
        (Process::start(self.place.command("rtorrent", &args), self.home), Channel::Scgi(socket))
    }
}

/// Where npm puts what it is asked for.
fn node_modules() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/ci-node/node_modules")
}

/// Asks qBittorrent's web interface; with a folder and a torrent, adds that. `None` while it does not answer.
fn web(port: u16, path: &str, add: Option<(&Path, &Path)>) -> Option<String> {
    let config = ureq::Agent::config_builder().proxy(None).timeout_global(Some(Duration::from_secs(20)));
    let agent = config.build().new_agent();
    let url = format!("http://127.0.0.1:{port}/api/v2/{path}");
    let Some((dir, torrent)) = add else { return agent.get(&url).call().ok()?.body_mut().read_to_string().ok() };
    let edge = "ttui-tests-boundary";
    let mut body = Vec::new();
    for (name, value) in [("savepath", &*dir.to_string_lossy()), ("autoTMM", "false"), ("contentLayout", "Original")] {
        let part = format!("--{edge}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        body.extend(part.bytes());
    }
    let head = "Content-Disposition: form-data; name=\"torrents\"; filename=\"it.torrent\"";
    body.extend(format!("--{edge}\r\n{head}\r\nContent-Type: application/x-bittorrent\r\n\r\n").bytes());
    body.extend(fs::read(torrent).ok()?);
    body.extend(format!("\r\n--{edge}--\r\n").bytes());
    let kind = format!("multipart/form-data; boundary={edge}");
    agent.post(&url).header("Content-Type", kind).send(&body).ok()?.body_mut().read_to_string().ok()
}

/// The flags that every `ttui` of the tests has.
pub fn ttui_flags(ip: Ipv4Addr, port: u16, dir: &Path, state: &Path) -> Vec<String> {
    let (dir, state) = (dir.display().to_string(), state.display().to_string());
    let (ip, port) = (ip.to_string(), port.to_string());
    let named = ["--dir", &dir, "--state-dir", &state, "--bind", &ip, "--port", &port, "--encryption", "off"];
    let plain = ["--no-dht", "--no-lsd", "--no-pex", "--no-utp", "--no-port-map", "--headless"];
    named.iter().chain(&plain).map(|&flag| flag.to_owned()).collect()
}

/// A `ttui` with some more flags, as a command.
pub fn ttui(verb: &str, torrent: &Path, flags: Vec<String>, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ttui"));
    command.arg(verb).arg(torrent).args(flags).args(more).stdin(Stdio::null());
    command
}

/// Asks transmission; `None` while it does not answer.
fn transmission_rpc(ip: Ipv4Addr, port: u16, ask: &str) -> Option<serde_json::Value> {
    let config = ureq::Agent::config_builder().proxy(None).http_status_as_error(false);
    let agent = config.timeout_global(Some(Duration::from_secs(20))).build().new_agent();
    let url = format!("http://{}/transmission/rpc", SocketAddr::from((ip, port)));
    let header = "X-Transmission-Session-Id";
    let mut answer = agent.post(&url).send(ask).ok()?;
    if answer.status() == 409 {
        let id = answer.headers().get(header)?.to_str().ok()?.to_owned();
        answer = agent.post(&url).header(header, id).send(ask).ok()?;
    }
    serde_json::from_str(&answer.body_mut().read_to_string().ok()?).ok()
}

/// Calls a method of rtorrent; the answer in XML, `None` while it does not answer.
fn scgi(socket: &Path, method: &str, args: &[&str]) -> Option<String> {
    let params: String = args.iter().map(|a| format!("<param><value><string>{a}</string></value></param>")).collect();
    let body = format!(
        "<?xml version=\"1.0\"?><methodCall><methodName>{method}</methodName><params>{params}</params></methodCall>"
    );
    let head = format!("CONTENT_LENGTH\0{}\0SCGI\x001\0", body.len());
    let mut stream = UnixStream::connect(socket).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(20))).ok()?;
    write!(stream, "{}:{head},{body}", head.len()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    (!answer.is_empty()).then_some(answer)
}
