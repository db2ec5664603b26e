//! What a private torrent (BEP 27) leaves on the wire: with everything switched on, and a public torrent beside it that is
//! found by all of the DHT, local discovery and peer exchange, not one byte about it but to its tracker and its peers.
#![cfg(target_os = "linux")]
// A test whose surroundings fail has failed: saying so at once is all that is wanted. Every test file uses a part of
// what `support` offers.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::print_stderr, dead_code)]

mod support {
    pub mod capture;
    pub mod network;
    pub mod process;
    pub mod torrents;
}

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use support::capture::{Capture, Datagram, Stream, Time, Traffic};
use support::network::{Net, Place, Speaks, Tongue, Tracker};
use support::process::{Process, installed, skip, until};
use support::torrents::Payload;

const PSTR: &[u8] = b"\x13BitTorrent protocol";
const LSD: &[u8] = b"BT-SEARCH";

/// A torrent as the wire shows it.
struct Torrent {
    payload: Payload,
    file: PathBuf,
}

impl Torrent {
    fn new(payload: Payload, folder: &Path, announce: &str) -> Torrent {
        let file = folder.join(format!("{}.torrent", payload.name));
        payload.write_torrent(&file, announce);
        Torrent { payload, file }
    }

    /// Whether these bytes name it, in either form.
    fn is_in(&self, data: &[u8]) -> bool {
        let hex = self.payload.hex();
        has(data, &self.payload.hash()) || has(&data.to_ascii_lowercase(), hex.as_bytes())
    }

    /// Datagrams that name it.
    fn datagrams<'a>(&'a self, traffic: &'a Traffic) -> impl Iterator<Item = &'a Datagram> {
        traffic.datagrams.iter().filter(|datagram| self.is_in(&datagram.data))
    }

    /// Connections that are about it.
    fn streams<'a>(&'a self, traffic: &'a Traffic) -> impl Iterator<Item = &'a Stream> {
        let ours =
            |stream: &&Stream| stream.data.starts_with(PSTR) && stream.data.get(28..48) == Some(&self.payload.hash());
        traffic.streams.iter().filter(ours)
    }
}

fn has(data: &[u8], what: &[u8]) -> bool {
    data.windows(what.len()).any(|window| window == what)
}

/// The messages of a connection: when each passed, its id, what follows.
fn messages(stream: &Stream) -> Vec<(Time, u8, &[u8])> {
    let (mut at, mut out) = (68, Vec::new());
    while let Some(head) = stream.data.get(at..at + 4) {
        let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let Some(body) = stream.data.get(at + 4..at + 4 + length) else { break };
        if let Some((id, rest)) = body.split_first() {
            out.push((stream.at(at), *id, rest));
        }
        at += 4 + length;
    }
    out
}

const REQUEST: u8 = 6;
const PORT: u8 = 9;
const EXTENDED: u8 = 20;

/// Whether this is peer exchange: no other extended message has such a key.
fn is_pex(id: u8, payload: &[u8]) -> bool {
    id == EXTENDED && payload.first() != Some(&0) && has(payload, b"5:added")
}

/// `ttui` with everything switched on, without encryption so that the capture can be read.
fn ttui(place: &Place, node: &Place, home: &Path, verb: &str, what: &[String], dir: &Path) -> Process {
    fs::create_dir_all(home).unwrap();
    let (state, dir) = (home.join("state").display().to_string(), dir.display().to_string());
    let node = format!("{}:6881", node.ip);
    let flags = ["--port", "6881", "--dir", &dir, "--state-dir", &state, "--dht-nodes", &node, "--encryption", "off"];
    let args = [verb, "--headless"].into_iter().chain(flags).map(str::to_owned);
    let args: Vec<String> = args.chain(what.iter().cloned()).collect();
    Process::start(place.command(env!("CARGO_BIN_EXE_ttui"), &args), home)
}

#[test]
fn nobody_but_its_tracker_and_its_peers_hears_of_it() {
    if !installed("tcpdump") {
        return skip("tcpdump is not installed");
    }
    let Some(net) = Net::bridge(4, Speaks::V4) else {
        return skip("no right to make network namespaces (ip netns add)");
    };
    let scratch = tempfile::tempdir().unwrap();
    net.inside(|places| scene(&net, places, scratch.path()));
}

fn scene(net: &Net, places: &[Place], folder: &Path) {
    let home = |name: &str| {
        let home = folder.join(name);
        fs::create_dir_all(&home).unwrap();
        home
    };
    let mut capture = Capture::start(net, &home("tcpdump"));
    let tracker = Tracker::ttui(&places[0], &home("tracker"));
    let announce = tracker.url(Tongue::Http);
    let secret = Payload::single("secret.bin", 3_000_001, 16_384, 51).private();
    let secret = Torrent::new(secret, folder, &announce);
    let open = Torrent::new(Payload::single("open.bin", 3_000_001, 16_384, 52), folder, "");
    let data = home("data");
    [&secret, &open].iter().for_each(|torrent| torrent.payload.write_data(&data));
    let files = [&secret, &open].map(|torrent| torrent.file.display().to_string());
    let links = [
        format!("magnet:?xt=urn:btih:{}&tr={announce}", secret.payload.hex()),
        format!("magnet:?xt=urn:btih:{}", open.payload.hex()),
    ];
    let mut all = vec![ttui(&places[0], &places[1], &home("seeder"), "seed", &files, &data)];
    // The last one comes when all others are here and know what they have.
    for (n, what) in [&files, &links, &files].into_iter().enumerate() {
        let name = format!("peer {n}");
        let dir = home(&format!("data of {n}"));
        all.push(ttui(&places[n + 1], &places[0], &home(&name), "download", what, &dir));
        until(
            &format!("{name} to have it all"),
            || all[n + 1].tail(),
            || [&secret, &open].iter().all(|torrent| torrent.payload.flaws(&dir, true).is_none()),
        );
    }
    let mut traffic = Traffic::default();
    let magnet = IpAddr::from(places[2].ip);
    let alive = |traffic: &Traffic| {
        let lsd = open.datagrams(traffic).any(|it| it.data.starts_with(LSD));
        let dht = open.datagrams(traffic).any(|it| has(&it.data, b"13:announce_peer"));
        let pex = open.streams(traffic).any(|it| messages(it).iter().any(|(_, id, rest)| is_pex(*id, rest)));
        // Whoever came by the link has shaken hands since with one who came later.
        let knew = knew(traffic, &secret, magnet);
        let late = |stream: &Stream| stream.from.ip() == magnet && knew.is_some_and(|knew| stream.at(0) > knew);
        lsd && dht && pex && secret.streams(traffic).any(late)
    };
    until(
        "the public torrent to be told of by all ways",
        || all.iter().map(Process::tail).collect(),
        || {
            traffic = capture.look();
            alive(&traffic)
        },
    );
    all.iter_mut().for_each(Process::must_live);
    hold(&traffic, &secret, magnet);
}

/// When whoever came by the link had the metadata at the latest: it asked for pieces then.
fn knew(traffic: &Traffic, secret: &Torrent, magnet: IpAddr) -> Option<Time> {
    let requests = |stream: &Stream| messages(stream).iter().find(|(_, id, _)| *id == REQUEST).map(|(at, ..)| *at);
    let mine = secret.streams(traffic).filter(|stream| stream.from.ip() == magnet);
    mine.filter_map(requests).min_by(f64::total_cmp)
}

/// `magnet` is who came by the link: until it has the metadata it cannot know that the torrent is private.
fn hold(traffic: &Traffic, secret: &Torrent, magnet: IpAddr) {
    let knew = knew(traffic, secret, magnet).expect("it asked for pieces");
    for datagram in secret.datagrams(traffic) {
        let text = String::from_utf8_lossy(&datagram.data);
        assert!(datagram.from.ip() == magnet && datagram.at < knew, "{}: {text}", datagram.from);
    }
    let mut connections = 0;
    for stream in secret.streams(traffic) {
        connections += 1;
        let (from, to) = (stream.from, stream.to);
        let may = |at: Time| from.ip() == magnet && at < knew;
        let offers = stream.data[27] & 1 != 0;
        assert!(!offers || may(stream.at(0)), "{from} -> {to}: the handshake offers the DHT");
        for (at, id, rest) in messages(stream) {
            assert!(!is_pex(id, rest), "{from} -> {to}: peer exchange");
            assert!(id != PORT, "{from} -> {to}: the port of the DHT");
            let names = id == EXTENDED && rest.first() == Some(&0) && has(rest, b"6:ut_pexi1e");
            assert!(!names || may(at), "{from} -> {to}: peer exchange is offered");
        }
    }
    assert!(connections >= 6, "{connections}");
}
