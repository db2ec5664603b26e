//! The fuzz targets as ordinary tests: each gets its seeds and thousands of inputs that are made from them, the same ones
//! at each run. `.ci/fuzz` runs the targets with libFuzzer and the address sanitizer, which finds more and takes longer.

// A target that finds something panics.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, unreachable_pub)]

use std::fs;
use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

#[path = "fuzz/targets/bencode.rs"]
mod bencode;
#[path = "fuzz/targets/client_name.rs"]
mod client_name;
#[path = "fuzz/targets/config.rs"]
mod config;
#[path = "fuzz/targets/create_cache.rs"]
mod create_cache;
#[path = "fuzz/targets/dht.rs"]
mod dht;
#[path = "fuzz/targets/dht_nodes.rs"]
mod dht_nodes;
#[path = "fuzz/targets/extension.rs"]
mod extension;
#[path = "fuzz/targets/handshake.rs"]
mod handshake;
#[path = "fuzz/targets/holepunch.rs"]
mod holepunch;
#[path = "fuzz/targets/lsd.rs"]
mod lsd;
#[path = "fuzz/targets/magnet.rs"]
mod magnet;
#[path = "fuzz/targets/message.rs"]
mod message;
#[path = "fuzz/targets/metainfo.rs"]
mod metainfo;
#[path = "fuzz/targets/mse.rs"]
mod mse;
#[path = "fuzz/targets/pex.rs"]
mod pex;
#[path = "fuzz/targets/record.rs"]
mod record;
#[path = "fuzz/targets/router.rs"]
mod router;
#[path = "fuzz/targets/session_list.rs"]
mod session_list;
#[path = "fuzz/targets/tracker.rs"]
mod tracker;
#[path = "fuzz/targets/tracker_server.rs"]
mod tracker_server;
#[path = "fuzz/targets/utp.rs"]
mod utp;
#[path = "fuzz/targets/web_seed.rs"]
mod web_seed;

/// Inputs that a target gets beside its seeds, times the number in `TTUI_FUZZ_TIMES`, where that is set.
const ROUNDS: usize = 4000;
/// The most bytes of an input that is made.
const MOST: usize = 4096;
/// Bytes that mean something to one of the readers.
const TELLING: &[&[u8]] = &[
    b"d",
    b"l",
    b"i",
    b"e",
    b":",
    b"0",
    b"-",
    b"i-1e",
    b"le",
    b"de",
    b"1:a",
    b"20:",
    b"999999999999:",
    b"i9223372036854775807e",
    b"\0",
    b"\xff",
    b"\xff\xff\xff\xff",
    b"\x7f\xff\xff\xff",
    b"/",
    b"..",
    b"%",
    b"%00",
    b"&",
    b"=",
    b"?",
    b"\r\n",
    b"\"",
    b"\xc3\xa4",
    b"4:info",
    b"5:filesl",
    b"6:pieces",
    b"1:q",
    b"1:y1:r",
    b"magnet:?xt=urn:btih:",
    b"\x13BitTorrent protocol",
    b"HTTP/1.1 200 OK\r\n",
];

/// Shows the input that a target panicked at.
struct Input<'a>(&'a str, &'a [u8]);

impl Drop for Input<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{} panicked at this input (base64): {}", self.0, BASE64_STANDARD.encode(self.1));
        }
    }
}

fn text(bytes: &[u8], run: fn(&str)) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        run(text);
    }
}

/// The seeds of a target, in the order of their names.
fn seeds(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/seeds").join(name);
    let mut paths: Vec<_> = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).expect("a seed can be read")).collect()
}

/// Changes an input in one of the ways that readers stumble over.
fn mutate(rng: &mut fastrand::Rng, input: &mut Vec<u8>, seeds: &[Vec<u8>]) {
    let at = rng.usize(0..=input.len());
    let part = |rng: &mut fastrand::Rng, of: &[u8]| {
        let from = rng.usize(0..=of.len());
        of[from..from + rng.usize(0..=(of.len() - from).min(300))].to_vec()
    };
    let piece = match rng.u8(0..9) {
        0 => return input.truncate(at),
        1 | 2 if at < input.len() => return input[at] = rng.u8(..),
        3 if at < input.len() => return input[at] ^= 1 << rng.u8(0..8),
        4 => {
            let end = (at + rng.usize(1..40)).min(input.len());
            input.drain(at..end);
            return;
        }
        5 => part(rng, &input.clone()),
        6 => {
            let other = rng.choice(seeds).cloned().unwrap_or_default();
            part(rng, &other)
        }
        7 => (0..rng.usize(1..40)).map(|_| rng.u8(..)).collect(),
        _ => rng.choice(TELLING).map(|piece| piece.to_vec()).unwrap_or_default(),
    };
    input.splice(at..at, piece);
    input.truncate(MOST.max(at));
}

fn feed(name: &str, rounds: usize, run: impl Fn(&[u8])) {
    let seeds = seeds(name);
    let give = |bytes: &[u8]| {
        let _shown = Input(name, bytes);
        run(bytes);
    };
    seeds.iter().for_each(|seed| give(seed));
    let mut rng = fastrand::Rng::with_seed(7);
    let times = std::env::var("TTUI_FUZZ_TIMES").ok().and_then(|times| times.parse().ok()).unwrap_or(1);
    for _ in 0..rounds * times {
        let mut input = rng.choice(&seeds).cloned().unwrap_or_default();
        (0..rng.usize(1..8)).for_each(|_| mutate(&mut rng, &mut input, &seeds));
        give(&input);
    }
}

#[test]
fn bencode_takes_anything() {
    feed("bencode", ROUNDS, bencode::run);
}

#[test]
fn client_name_takes_anything() {
    feed("client_name", ROUNDS, |bytes| bytes.first_chunk().into_iter().for_each(|id| client_name::run(*id)));
}

#[test]
fn config_takes_anything() {
    feed("config", ROUNDS, |bytes| text(bytes, config::run));
}

#[test]
fn create_cache_takes_anything() {
    feed("create_cache", ROUNDS, create_cache::run);
}

#[test]
fn dht_takes_anything() {
    feed("dht", ROUNDS / 20, dht::run);
}

#[test]
fn dht_nodes_takes_anything() {
    feed("dht_nodes", ROUNDS, dht_nodes::run);
}

#[test]
fn extension_takes_anything() {
    feed("extension", ROUNDS, extension::run);
}

#[test]
fn handshake_takes_anything() {
    feed("handshake", ROUNDS, handshake::run);
}

#[test]
fn holepunch_takes_anything() {
    feed("holepunch", ROUNDS, holepunch::run);
}

#[test]
fn lsd_takes_anything() {
    feed("lsd", ROUNDS, lsd::run);
}

#[test]
fn magnet_takes_anything() {
    feed("magnet", ROUNDS, |bytes| text(bytes, magnet::run));
}

#[test]
fn message_takes_anything() {
    feed("message", ROUNDS, message::run);
}

#[test]
fn metainfo_takes_anything() {
    feed("metainfo", ROUNDS, metainfo::run);
}

#[test]
fn mse_takes_anything() {
    feed("mse", ROUNDS / 20, mse::run);
}

#[test]
fn pex_takes_anything() {
    feed("pex", ROUNDS, pex::run);
}

#[test]
fn record_takes_anything() {
    feed("record", ROUNDS, record::run);
}

#[test]
fn router_takes_anything() {
    feed("router", ROUNDS, router::run);
}

#[test]
fn session_list_takes_anything() {
    feed("session_list", ROUNDS, session_list::run);
}

#[test]
fn tracker_takes_anything() {
    feed("tracker", ROUNDS, tracker::run);
}

#[test]
fn tracker_server_takes_anything() {
    feed("tracker_server", ROUNDS, |bytes| text(bytes, tracker_server::run));
}

#[test]
fn utp_takes_anything() {
    feed("utp", ROUNDS / 20, utp::run);
}

#[test]
fn web_seed_takes_anything() {
    feed("web_seed", ROUNDS, web_seed::run);
}
