//! What `ttui create` makes is what the clients of others take: each of them downloads all of it from `ttui`, and has the
//! very bytes afterwards.
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

use std::fs;
use std::path::{Path, PathBuf};

use support::clients::{Client, Given, Kind};
use support::network::{Cable, Place, Tongue, Tracker};
use support::process::{command, skip, tail, until};
use support::torrents::Payload;

const PIECE: usize = 32 * 1024;

#[test]
fn libtorrent_downloads_what_was_made() {
    all_of_it(Kind::Libtorrent);
}

#[test]
fn transmission_downloads_what_was_made() {
    all_of_it(Kind::Transmission);
}

#[test]
fn aria2_downloads_what_was_made() {
    all_of_it(Kind::Aria2);
}

#[test]
fn rtorrent_downloads_what_was_made() {
    all_of_it(Kind::Rtorrent);
}

/// What others get wrong: a single byte, ends of pieces, an empty file at the end, many files, names in many scripts.
fn payloads() -> Vec<Payload> {
    let bytes = |length: usize, seed: u64| {
        let mut data = vec![0; length];
        fastrand::Rng::with_seed(seed).fill(&mut data);
        data
    };
    let named = |name: &str, length: usize| (name.to_owned(), bytes(length, length as u64));
    let scripts = ["\u{6f22}\u{5b57}", "\u{420}\u{443}\u{441}", "\u{627}\u{644}", "\u{e9}te\u{301}", "\u{1f4c0} disc"];
    let mut many: Vec<_> =
        (0..1000).map(|n| named(&format!("{0}/{0} {n:03}", scripts[n % scripts.len()]), n + 1)).collect();
    many.sort();
    vec![
        Payload::single("one byte", 1, PIECE, 1),
        Payload::single("exactly one piece", PIECE, PIECE, 2),
        Payload::single("a multiple", 3 * PIECE, PIECE, 3),
        Payload::of("last is empty", vec![named("a", 2 * PIECE), named("b", 5), named("z", 0)], PIECE),
        Payload::of("ends with a piece", vec![named("a", PIECE - 5), named("b", 5), named("z", 0)], PIECE),
        Payload::of("a thousand names", many, PIECE),
    ]
}

fn create(home: &Path, data: &Path, payload: &Payload, tracker: &str) -> PathBuf {
    let out = home.join(format!("{}.torrent", payload.name));
    let piece = payload.piece_length.to_string();
    let (path, to) = (data.join(&payload.name).display().to_string(), out.display().to_string());
    let args = ["create", &path, "-o", &to, "--piece-length", &piece, "--tracker", tracker];
    let said = command(env!("CARGO_BIN_EXE_ttui"), args).current_dir(home).output().expect("ttui starts");
    let words = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.status.success() && words.contains(&payload.hex()), "{}: {words}", payload.name);
    out
}

fn all_of_it(kind: Kind) {
    if let Some(why) = kind.missing() {
        return skip(&why);
    }
    let Some(cable) = Cable::new() else {
        return skip("no right to make network namespaces (ip netns add)");
    };
    cable.inside(|here, there| transfer(kind, here, there));
}

fn transfer(kind: Kind, here: &Place, there: &Place) {
    let scratch = tempfile::tempdir().expect("a temporary folder");
    let at = |name: &str| {
        let path = scratch.path().join(name);
        fs::create_dir_all(&path).expect("folders can be made");
        path
    };
    let payloads = payloads();
    let mut tracker = Tracker::ttui(here, &at("tracker"));
    let torrents: Vec<PathBuf> = payloads
        .iter()
        .map(|payload| {
            payload.write_data(&at("data"));
            create(scratch.path(), &at("data"), payload, &tracker.url(Tongue::Http))
        })
        .collect();
    let hexes: Vec<String> = payloads.iter().map(Payload::hex).collect();
    let given: Vec<Given<'_>> = torrents.iter().zip(&hexes).map(|(torrent, hex)| Given { torrent, hex }).collect();
    let mut seeder = Client::seed(Kind::Ttui, here, &at("seeder"), &at("data"), &given);
    for payload in &payloads {
        tracker.wait_for(&payload.hash(), seeder.port, || seeder.state());
    }
    let dir = at("leech");
    let mut leecher = Client::leech(kind, there, &at("leecher"), &dir, &given);
    let log = leecher.process.log.clone();
    until(&format!("{kind:?} to have it all"), || tail(&log), || leecher.is_done());
    seeder.process.must_live();
    // Transmission 3 makes no empty files.
    let flaws = || payloads.iter().find_map(|payload| payload.flaws(&dir, kind != Kind::Transmission));
    until("whole files", || flaws().unwrap_or_default(), || flaws().is_none());
}
