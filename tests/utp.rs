//! uTP (BEP 29) with the clients that people use, in a network that lets no TCP through to them: both calling, plain and
//! encrypted.
#![cfg(target_os = "linux")]
// A test whose surroundings fail has failed: saying so at once is all that is wanted. Every test file uses a part of
// what `support` offers.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::print_stderr, dead_code)]

mod support {
    pub mod clients;
    pub mod network;
    pub mod process;
    pub mod relay;
    pub mod torrents;
}

use std::fs;
use std::path::{Path, PathBuf};

use support::clients::{Cipher, Client, Given, Kind, Manner};
use support::network::{Island, Place};
use support::process::{command, installed, skip, tail, until};
use support::relay::Teller;
use support::torrents::Payload;

#[test]
fn calls_libtorrent() {
    both(Kind::Libtorrent, |island, cipher| we_call(Kind::Libtorrent, island, cipher));
}

#[test]
fn is_called_by_libtorrent() {
    both(Kind::Libtorrent, |island, cipher| they_call(Kind::Libtorrent, island, cipher));
}

#[test]
fn calls_transmission() {
    both(Kind::Transmission, |island, cipher| we_call(Kind::Transmission, island, cipher));
}

#[test]
fn is_called_by_transmission() {
    both(Kind::Transmission, |island, cipher| they_call(Kind::Transmission, island, cipher));
}

#[test]
fn calls_qbittorrent() {
    both(Kind::Qbittorrent, |island, cipher| we_call(Kind::Qbittorrent, island, cipher));
}

#[test]
fn is_called_by_qbittorrent() {
    both(Kind::Qbittorrent, |island, cipher| they_call(Kind::Qbittorrent, island, cipher));
}

#[test]
fn calls_ttui() {
    both(Kind::Ttui, |island, cipher| we_call(Kind::Ttui, island, cipher));
}

#[test]
fn a_line_that_loses_packets_gives_the_same_bytes() {
    for (kind, meet) in [(Kind::Ttui, we_call as Meet), (Kind::Libtorrent, we_call), (Kind::Libtorrent, they_call)] {
        both(kind, |island, cipher| {
            // Every 33rd packet, not at random: libtorrent gives up uTP to an address whose first SYN is not answered.
            let rule = "add rule inet no-tcp in meta l4proto udp numgen inc mod 33 == 32 drop";
            assert!(nft(rule), "{rule}");
            meet(kind, island, cipher);
        });
    }
}

type Meet = fn(Kind, &Island, Cipher);

/// Plain and encrypted, each in a network of its own.
fn both(kind: Kind, meet: impl Fn(&Island, Cipher) + Sync) {
    if let Some(why) = kind.missing() {
        return skip(&why);
    }
    if !installed("nft") {
        return skip("nft is not installed (nftables)");
    }
    for cipher in [Cipher::Off, Cipher::Forced] {
        let Some(island) = Island::new() else {
            return skip("no right to make network namespaces (ip netns add)");
        };
        island.inside(|| {
            let rules = ["add table inet no-tcp", "add chain inet no-tcp in { type filter hook input priority 0 ; }"];
            match rules.iter().all(|rule| nft(rule)) {
                true => meet(&island, cipher),
                false => skip("no right to filter packets (nft)"),
            }
        });
    }
}

fn nft(rule: &str) -> bool {
    command("nft", rule.split(' ')).status().is_ok_and(|status| status.success())
}

/// Nobody reaches it by TCP from now on.
fn no_tcp_to(client: &Client) {
    let rule = format!("add rule inet no-tcp in tcp dport {} reject with tcp reset", client.port);
    assert!(nft(&rule), "{rule}");
}

struct Meeting {
    scratch: tempfile::TempDir,
    teller: Teller,
    payload: Payload,
    torrent: PathBuf,
    hex: String,
}

impl Meeting {
    fn new(place: &Place) -> Meeting {
        let (scratch, teller) = (tempfile::tempdir().expect("a temporary folder"), Teller::start(place.ip));
        let payload = Payload::single("a film.bin", 6_000_001, 65_536, 29);
        let (torrent, hex) = (scratch.path().join("film.torrent"), payload.hex());
        payload.write_torrent(&torrent, &teller.url());
        let it = Meeting { scratch, teller, payload, torrent, hex };
        it.payload.write_data(&it.at("seed"));
        it
    }

    fn at(&self, name: &str) -> PathBuf {
        let path = self.scratch.path().join(name);
        fs::create_dir_all(&path).expect("folders can be made");
        path
    }

    /// One seeds, the other one hears of it by the tracker, and gets all of it.
    fn run(&self, island: &Island, seeds: Kind, leeches: Kind, cipher: Cipher) {
        let given = [Given { torrent: &self.torrent, hex: &self.hex }];
        let manner = || Manner { cipher, utp: true, ..Manner::default() };
        let place = island.place();
        let mut seeder = Client::seed_with(seeds, manner(), &place, &self.at("seeder"), &self.at("seed"), &given);
        no_tcp_to(&seeder);
        until("somebody to seed", || seeder.state(), || self.teller.knows(&self.payload.hash()));
        self.teller.tell(&self.payload.hash(), (place.ip, seeder.port).into());
        let dir = self.at("leech");
        let mut leecher = Client::leech_with(leeches, manner(), &island.place(), &self.at("leecher"), &dir, &given);
        no_tcp_to(&leecher);
        let log = leecher.process.log.clone();
        let what = format!("{leeches:?} to download from {seeds:?}, {cipher:?}");
        until(&what, || format!("{}\n{}", seeder.state(), tail(&log)), || leecher.is_done());
        self.check(&dir);
        seeder.process.must_live();
    }

    fn check(&self, dir: &Path) {
        let flaws = || self.payload.flaws(dir, true);
        until("whole files", || flaws().unwrap_or_default(), || flaws().is_none());
    }
}

fn we_call(kind: Kind, island: &Island, cipher: Cipher) {
    Meeting::new(&island.place()).run(island, kind, Kind::Ttui, cipher);
}

fn they_call(kind: Kind, island: &Island, cipher: Cipher) {
    Meeting::new(&island.place()).run(island, Kind::Ttui, kind, cipher);
}
