//! Encrypted connections (MSE) between `ttui` and the clients that people use: each of the three wishes of `ttui` against
//! each of the other side's, both calling. Between them lies a relay that keeps every byte, so that it is seen and not
//! believed what goes over the wire.
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
use std::time::{Duration, Instant};

use support::clients::{Cipher, Client, Given, Kind};
use support::network::{Cable, Place};
use support::process::{skip, tail, until};
use support::relay::{Relay, Tape, Teller};
use support::torrents::Payload;

const ALL: [Cipher; 3] = [Cipher::Off, Cipher::Either, Cipher::Forced];

#[test]
fn calls_libtorrent() {
    for_each(Kind::Libtorrent, we_call);
}

#[test]
fn is_called_by_libtorrent() {
    for_each(Kind::Libtorrent, they_call);
}

#[test]
fn calls_transmission() {
    for_each(Kind::Transmission, we_call);
}

#[test]
fn is_called_by_transmission() {
    for_each(Kind::Transmission, they_call);
}

#[test]
fn calls_aria2() {
    for_each(Kind::Aria2, we_call);
}

#[test]
fn is_called_by_aria2() {
    for_each(Kind::Aria2, they_call);
}

#[test]
fn calls_rtorrent() {
    for_each(Kind::Rtorrent, we_call);
}

#[test]
fn is_called_by_rtorrent() {
    for_each(Kind::Rtorrent, they_call);
}

#[test]
fn calls_qbittorrent() {
    for_each(Kind::Qbittorrent, we_call);
}

#[test]
fn is_called_by_qbittorrent() {
    for_each(Kind::Qbittorrent, they_call);
}

#[test]
fn calls_webtorrent() {
    for_each(Kind::Webtorrent, we_call);
}

#[test]
fn is_called_by_webtorrent() {
    for_each(Kind::Webtorrent, they_call);
}

#[test]
fn calls_ttui() {
    for_each(Kind::Ttui, we_call);
}

/// Every way of the other client to encrypt, one after the other.
fn for_each(kind: Kind, meet: fn(Kind, Cipher, &Place, &Place)) {
    if let Some(why) = kind.missing() {
        return skip(&why);
    }
    for theirs in ALL {
        // It calls plainly where an encrypted call has failed, and cannot be kept from it.
        if kind == Kind::Webtorrent && theirs == Cipher::Forced {
            continue;
        }
        // Transmission calls nobody at a loopback address.
        if kind == Kind::Transmission {
            let Some(cable) = Cable::new() else {
                return skip("no right to make network namespaces (ip netns add)");
            };
            cable.inside(|here, there| meet(kind, theirs, here, there));
        } else {
            meet(kind, theirs, &Place::loopback(), &Place::loopback());
        }
    }
}

/// What `ttui` wishes, of all that can come together with this.
fn compatible(theirs: Cipher) -> Vec<Cipher> {
    let never = |ours| matches!((ours, theirs), (Cipher::Off, Cipher::Forced) | (Cipher::Forced, Cipher::Off));
    ALL.into_iter().filter(|ours| !never(*ours)).collect()
}

/// One torrent for each wish, with the place for it.
struct Meeting {
    scratch: tempfile::TempDir,
    ours: Vec<Cipher>,
    payloads: Vec<Payload>,
    torrents: Vec<PathBuf>,
    hexes: Vec<String>,
}

impl Meeting {
    fn new(theirs: Cipher, teller: &Teller) -> Meeting {
        let scratch = tempfile::tempdir().expect("a temporary folder");
        let ours = compatible(theirs);
        let payload = |cipher: &Cipher| Payload::single(&format!("{cipher:?}.bin"), 700_001, 32_768, *cipher as u64);
        let payloads: Vec<Payload> = ours.iter().map(payload).collect();
        let torrents: Vec<PathBuf> =
            payloads.iter().map(|p| scratch.path().join(format!("{}.torrent", p.name))).collect();
        let hexes = payloads.iter().map(Payload::hex).collect();
        let it = Meeting { scratch, ours, payloads, torrents, hexes };
        for (payload, torrent) in it.payloads.iter().zip(&it.torrents) {
            payload.write_torrent(torrent, &teller.url());
            payload.write_data(&it.at("seed"));
        }
        it
    }

    fn at(&self, name: &str) -> PathBuf {
        let path = self.scratch.path().join(name);
        fs::create_dir_all(&path).expect("folders can be made");
        path
    }

    fn given(&self) -> Vec<Given<'_>> {
        self.torrents.iter().zip(&self.hexes).map(|(torrent, hex)| Given { torrent, hex }).collect()
    }

    fn check(&self, n: usize, dir: &Path) {
        let flaws = || self.payloads[n].flaws(dir, true);
        until("whole files", || flaws().unwrap_or_default(), || flaws().is_none());
    }
}

/// The other one seeds; we download, with each wish that can come to something.
fn we_call(kind: Kind, theirs: Cipher, here: &Place, there: &Place) {
    let teller = Teller::start(here.ip);
    let meeting = Meeting::new(theirs, &teller);
    let mut seeder =
        Client::seed_with(kind, theirs, there, &meeting.at("seeder"), &meeting.at("seed"), &meeting.given());
    for payload in &meeting.payloads {
        until("the other client to seed", || seeder.state(), || teller.knows(&payload.hash()));
    }
    for (n, ours) in meeting.ours.iter().enumerate() {
        let relay = Relay::start(here.ip, (there.ip, seeder.port).into());
        teller.tell(&meeting.payloads[n].hash(), relay.addr);
        let (home, dir) = (meeting.at(&format!("home-{n}")), meeting.at(&format!("leech-{n}")));
        let mut leecher = Client::leech_with(Kind::Ttui, *ours, here, &home, &dir, &meeting.given()[n..=n]);
        let what = format!("{ours:?} to download from {kind:?} that is {theirs:?}");
        let log = leecher.process.log.clone();
        until(&what, || format!("{}\n{:?}", tail(&log), relay.tapes()), || leecher.is_done());
        meeting.check(n, &dir);
        let tapes = relay.tapes();
        judge(*ours, &tapes, |tape| &tape.caller, &what);
        let carrier = carrier(&tapes, &what);
        // With two that take both, the first call is encrypted, and nothing speaks against it. What follows the
        // handshake may be plain then: aria2 wishes it so. It cannot be kept from taking encryption, either.
        let encrypted = *ours != Cipher::Off && (theirs != Cipher::Off || kind == Kind::Aria2);
        assert_eq!(Tape::names_itself(&tapes[0].caller), *ours == Cipher::Off, "{what}: {tapes:?}");
        // One that is too busy to answer in time is called once more, and that plainly.
        let plainly = Tape::names_itself(&carrier.caller);
        assert!(plainly != encrypted || tapes.len() > 1, "{what}: {tapes:?}");
        if *ours == Cipher::Forced || theirs == Cipher::Forced {
            assert!(carrier.is_encrypted(), "{what}: {tapes:?}");
        }
        seeder.process.must_live();
    }
}

/// We seed, with each wish that can come to something; the other one downloads.
fn they_call(kind: Kind, theirs: Cipher, here: &Place, there: &Place) {
    let teller = Teller::start(here.ip);
    let meeting = Meeting::new(theirs, &teller);
    let mut seeders = Vec::new();
    let mut relays = Vec::new();
    for (n, ours) in meeting.ours.iter().enumerate() {
        let home = meeting.at(&format!("home-{n}"));
        let seeder = Client::seed_with(Kind::Ttui, *ours, here, &home, &meeting.at("seed"), &meeting.given()[n..=n]);
        until("ttui to seed", || seeder.state(), || teller.knows(&meeting.payloads[n].hash()));
        let relay = Relay::start(here.ip, (here.ip, seeder.port).into());
        teller.tell(&meeting.payloads[n].hash(), relay.addr);
        relays.push(relay);
        seeders.push(seeder);
    }
    let what = format!("{kind:?} that is {theirs:?} to download from {:?}", meeting.ours);
    let tapes = || relays.iter().map(Relay::tapes).collect::<Vec<_>>();
    let begin = |n: usize| {
        let (home, dir) = (meeting.at(&format!("leecher-{n}")), meeting.at(&format!("leech-{n}")));
        (Client::leech_with(kind, theirs, there, &home, &dir, &meeting.given()), dir, Instant::now())
    };
    let (mut n, mut running) = (0, begin(0));
    let done = || {
        // One in a hundred times rtorrent reads the answer to its key, says nothing more, and calls nobody again.
        if kind == Kind::Rtorrent && running.2.elapsed() > Duration::from_secs(30) {
            n += 1;
            running = begin(n);
        }
        running.0.is_done()
    };
    until(&what, || format!("{:?}", tapes()), done);
    let dir = running.1;
    for (n, (ours, relay)) in meeting.ours.iter().zip(&relays).enumerate() {
        meeting.check(n, &dir);
        let tapes = relay.tapes();
        let what = format!("{what}, with {ours:?}");
        judge(*ours, &tapes, |tape| &tape.called, &what);
        let carrier = carrier(&tapes, &what);
        match (ours, theirs) {
            (Cipher::Forced, _) | (_, Cipher::Forced) => assert!(carrier.is_encrypted(), "{what}: {tapes:?}"),
            (Cipher::Off, _) => assert!(!carrier.is_encrypted(), "{what}: {tapes:?}"),
            _ => {}
        }
        seeders[n].process.must_live();
    }
}

/// Holds what `ttui` sent to its wish: no plain handshake where encryption is required, none but plain ones where it is
/// off.
fn judge(ours: Cipher, tapes: &[Tape], sent: fn(&Tape) -> &Vec<u8>, what: &str) {
    for tape in tapes {
        let sent = sent(tape);
        match ours {
            Cipher::Forced => assert!(!Tape::names_itself(sent), "{what}: a plain handshake: {tapes:?}"),
            Cipher::Off => assert!(sent.is_empty() || Tape::names_itself(sent), "{what}: {tapes:?}"),
            Cipher::Either => {}
        }
    }
}

/// The connection that the content went over.
fn carrier<'a>(tapes: &'a [Tape], what: &str) -> &'a Tape {
    let most = tapes.iter().max_by_key(|tape| tape.caller.len() + tape.called.len());
    most.filter(|tape| tape.caller.len() + tape.called.len() > 700_000)
        .unwrap_or_else(|| panic!("{what}: not over the relay: {tapes:?}"))
}
