//! Peers are introduced to each other, and we to them.

use super::*;
use crate::swarm::event::{Manner, Reach};
use crate::wire::extension::holepunch::{Failure, Holepunch, Word};
use crate::wire::extension::pex::{Flags, Pex};
use crate::wire::extension::{Handshake, ours};

/// The id by which those of the tests take introductions.
const TAKES: u8 = 7;

/// Somebody who calls from a port of its own and listens on another one.
fn calls(it: &mut Torrent, now: Instant, key: u64, utp: bool, handshake: Handshake) -> Vec<Effect> {
    let addr = addr(key, 40_000);
    let (peer_id, reserved) = (PeerId([key as u8 + 10; 20]), Reserved([0, 0, 0, 0, 0, 0x10, 0, 0]));
    let hello = Hello { addr, outgoing: false, utp, peer_id, reserved, encrypted: None };
    let mut out = Vec::new();
    it.handle(now, Input::Arrived { peer: PeerKey(key), hello }, &mut out);
    let handshake = Handshake { port: Some(6881), ut_pex: Some(9), ..handshake };
    says(it, now, key, vec![message(0, handshake.encode())], &mut out);
    out
}

fn takes() -> Handshake {
    Handshake { ut_holepunch: Some(TAKES), ..Handshake::default() }
}

fn addr(host: u64, port: u16) -> SocketAddr {
    SocketAddr::from(([9, host as u8, 0, 1], port))
}

fn message(id: u8, payload: Vec<u8>) -> Message {
    Message::Extended { id, payload: payload.into() }
}

/// What comes of a peer's word.
fn hear(it: &mut Torrent, now: Instant, key: u64, word: Word, of: SocketAddr) -> Vec<Effect> {
    let mut out = Vec::new();
    says(it, now, key, vec![message(ours::UT_HOLEPUNCH, Holepunch { word, of }.encode())], &mut out);
    out
}

/// Who is told what about whom.
fn told(out: &[Effect]) -> Vec<(u64, Word, SocketAddr)> {
    let words = |effect: &Effect| match effect {
        Effect::Send { peer, message: Message::Extended { id: TAKES, payload } } => {
            let it = Holepunch::decode(payload).unwrap();
            Some((peer.0, it.word, it.of))
        }
        _ => None,
    };
    out.iter().filter_map(words).collect()
}

fn dialled(out: &[Effect]) -> Vec<(SocketAddr, Manner)> {
    let dial = |effect: &Effect| if let Effect::Dial { addr, manner } = effect { Some((*addr, *manner)) } else { None };
    out.iter().filter_map(dial).collect()
}

#[test]
fn two_peers_are_introduced_to_each_other() {
    let (mut it, now) = torrent(1 << 20);
    calls(&mut it, now, 1, true, takes());
    calls(&mut it, now, 2, false, takes());
    calls(&mut it, now, 3, false, Handshake::default());
    // By uTP it is known as its router has it, else as it says that it listens.
    let out = hear(&mut it, now, 1, Word::Rendezvous, addr(2, 6881));
    assert_eq!(told(&out), [(2, Word::Connect, addr(1, 40_000)), (1, Word::Connect, addr(2, 6881))]);
    let out = hear(&mut it, now, 2, Word::Rendezvous, addr(1, 40_000));
    assert_eq!(told(&out), [(1, Word::Connect, addr(2, 6881)), (2, Word::Connect, addr(1, 40_000))]);

    let nobody = SocketAddr::from(([0, 0, 0, 0], 1));
    for (of, why) in [
        (addr(3, 6881), Failure::NoSupport),
        (addr(4, 6881), Failure::NotConnected),
        (addr(1, 6881), Failure::Itself),
        (nobody, Failure::NoSuchPeer),
    ] {
        assert_eq!(told(&hear(&mut it, now, 1, Word::Rendezvous, of)), [(1, Word::Failed(why), of)]);
    }
    // Who does not take introductions gets none, and a storm of questions is passed over.
    assert_eq!(told(&hear(&mut it, now, 3, Word::Rendezvous, addr(1, 6881))), []);
    let answers = (0..100).filter(|_| !told(&hear(&mut it, now, 1, Word::Rendezvous, addr(4, 1))).is_empty()).count();
    assert!(answers < limits::INTRODUCTIONS_BURST as usize, "{answers}");
}

#[test]
fn whom_we_are_introduced_to_is_called_by_utp() {
    let (mut it, now) = torrent(1 << 20);
    calls(&mut it, now, 1, true, takes());
    let out = hear(&mut it, now, 1, Word::Connect, addr(5, 6881));
    assert_eq!(dialled(&out), [(addr(5, 6881), Manner { encrypted: None, utp: true })]);
    // Not again while it is called, nobody who is here, and nobody of our own network.
    for of in [addr(5, 6881), addr(1, 40_000), addr(1, 6881), SocketAddr::from(([192, 168, 0, 9], 6881))] {
        assert_eq!(dialled(&hear(&mut it, now, 1, Word::Connect, of)), [], "{of}");
    }
    // One peer cannot have us call the whole world.
    let calls = (10..200).flat_map(|n| dialled(&hear(&mut it, now, 1, Word::Connect, addr(n, 6881)))).count();
    assert!(calls < limits::INTRODUCTIONS_BURST as usize, "{calls}");
}

#[test]
fn who_named_an_address_that_is_not_reached_is_asked_once() {
    let (mut it, now) = torrent(1 << 20);
    calls(&mut it, now, 1, true, takes());
    calls(&mut it, now, 2, true, takes());
    let added = vec![(addr(5, 6881), Flags::default())];
    let mut out = Vec::new();
    says(&mut it, now, 2, vec![message(ours::UT_PEX, Pex { added, dropped: Vec::new() }.encode())], &mut out);
    assert_eq!(dialled(&out), [(addr(5, 6881), Manner::default())]);
    let fail = |it: &mut Torrent, addr| {
        let mut out = Vec::new();
        it.handle(now, Input::DialFailed { addr, why: Gone::TimedOut("connecting") }, &mut out);
        told(&out)
    };
    assert_eq!(fail(&mut it, addr(5, 6881)), [(2, Word::Rendezvous, addr(5, 6881))]);
    let out = hear(&mut it, now, 2, Word::Connect, addr(5, 6881));
    assert_eq!(dialled(&out).len(), 1);
    assert_eq!(fail(&mut it, addr(5, 6881)), []);
    // Nobody has named this one.
    assert_eq!(fail(&mut it, addr(6, 6881)), []);
}

#[test]
fn nobody_is_introduced_where_peers_are_not_exchanged() {
    for change in [
        (|config: &mut TorrentConfig| config.private = true) as fn(&mut TorrentConfig),
        |config| config.pex = false,
        |config| config.utp = false,
    ] {
        let (mut it, now, _) = torrent_with(1 << 20, change);
        let out = calls(&mut it, now, 1, true, takes());
        let said = out.iter().find_map(|effect| match effect {
            Effect::Send { message: Message::Extended { id: 0, payload }, .. } => Handshake::decode(payload).ok(),
            _ => None,
        });
        assert_eq!(said.map(|handshake| handshake.ut_holepunch), Some(None));
        calls(&mut it, now, 2, true, takes());
        assert_eq!(told(&hear(&mut it, now, 1, Word::Rendezvous, addr(2, 6881))), []);
        assert_eq!(dialled(&hear(&mut it, now, 1, Word::Connect, addr(5, 6881))), []);
    }
}

/// Who cannot be called calls by uTP first: by it others can be introduced.
#[test]
fn behind_a_closed_port_utp_comes_first() {
    let (mut it, now) = torrent(1 << 20);
    for (reach, utp) in [(Reach::Unknown, false), (Reach::Closed, true), (Reach::Open, false)] {
        let mut out = Vec::new();
        it.handle(now, Input::Quota(Quota { reach, budget: 1 << 20, ..Quota::default() }), &mut out);
        let addr = addr(20 + u64::from(utp) + reach as u64, 6881);
        it.handle(now, Input::Found { source: Source::Tracker, addrs: vec![addr] }, &mut out);
        assert_eq!(dialled(&out), [(addr, Manner { encrypted: None, utp })], "{reach:?}");
    }
}
