//! Tests of the holepunch extension (BEP 55).

use super::*;
use crate::swarm::event::DialHint;
use crate::swarm::quota::Reachability;
use crate::wire::extension::holepunch::{Holepunch, HolepunchErrorCode, HolepunchKind};
use crate::wire::extension::pex::{Pex, PexFlags};
use crate::wire::extension::{Handshake, ours};

/// The extension id that the test peers assign to ut_holepunch.
const TAKES: u8 = 7;

/// Connects an incoming peer whose listening port differs from its source port.
fn calls(it: &mut Torrent, now: Instant, key: u64, utp: bool, handshake: Handshake) -> Vec<Effect> {
    let addr = addr(key, 40_000);
    let (peer_id, reserved) = (PeerId([key as u8 + 10; 20]), Reserved([0, 0, 0, 0, 0, 0x10, 0, 0]));
    let hello = PeerInfo { addr, outgoing: false, utp, peer_id, reserved, encrypted: None };
    let mut out = Vec::new();
    it.handle(now, Input::PeerConnected { peer: PeerKey(key), hello }, &mut out);
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

/// Sends a holepunch message as a peer and returns the effects.
fn hear(it: &mut Torrent, now: Instant, key: u64, word: HolepunchKind, of: SocketAddr) -> Vec<Effect> {
    let mut out = Vec::new();
    says(it, now, key, vec![message(ours::UT_HOLEPUNCH, Holepunch { kind: word, addr: of }.encode())], &mut out);
    out
}

/// Returns the holepunch messages that were sent: receiver, kind, target address.
fn told(out: &[Effect]) -> Vec<(u64, HolepunchKind, SocketAddr)> {
    let words = |effect: &Effect| match effect {
        Effect::Send { peer, message: Message::Extended { id: TAKES, payload } } => {
            let it = Holepunch::decode(payload).unwrap();
            Some((peer.0, it.kind, it.addr))
        }
        _ => None,
    };
    out.iter().filter_map(words).collect()
}

fn dialled(out: &[Effect]) -> Vec<(SocketAddr, DialHint)> {
    let dial = |effect: &Effect| if let Effect::Dial { addr, manner } = effect { Some((*addr, *manner)) } else { None };
    out.iter().filter_map(dial).collect()
}

#[test]
fn two_peers_are_introduced_to_each_other() {
    let (mut it, now) = torrent(1 << 20);
    calls(&mut it, now, 1, true, takes());
    calls(&mut it, now, 2, false, takes());
    calls(&mut it, now, 3, false, Handshake::default());
    // A uTP peer is known by its source address, a TCP peer by its listening port.
    let out = hear(&mut it, now, 1, HolepunchKind::Rendezvous, addr(2, 6881));
    assert_eq!(told(&out), [(2, HolepunchKind::Connect, addr(1, 40_000)), (1, HolepunchKind::Connect, addr(2, 6881))]);
    let out = hear(&mut it, now, 2, HolepunchKind::Rendezvous, addr(1, 40_000));
    assert_eq!(told(&out), [(1, HolepunchKind::Connect, addr(2, 6881)), (2, HolepunchKind::Connect, addr(1, 40_000))]);

    let nobody = SocketAddr::from(([0, 0, 0, 0], 1));
    for (of, why) in [
        (addr(3, 6881), HolepunchErrorCode::NoSupport),
        (addr(4, 6881), HolepunchErrorCode::NotConnected),
        (addr(1, 6881), HolepunchErrorCode::NoSelf),
        (nobody, HolepunchErrorCode::NoSuchPeer),
    ] {
        assert_eq!(told(&hear(&mut it, now, 1, HolepunchKind::Rendezvous, of)), [(1, HolepunchKind::Failed(why), of)]);
    }
    // No reply to a peer without support, and requests beyond the rate limit are ignored.
    assert_eq!(told(&hear(&mut it, now, 3, HolepunchKind::Rendezvous, addr(1, 6881))), []);
    let answers =
        (0..100).filter(|_| !told(&hear(&mut it, now, 1, HolepunchKind::Rendezvous, addr(4, 1))).is_empty()).count();
    assert!(answers < limits::INTRODUCTIONS_BURST as usize, "{answers}");
}

#[test]
fn whom_we_are_introduced_to_is_called_by_utp() {
    let (mut it, now) = torrent(1 << 20);
    calls(&mut it, now, 1, true, takes());
    let out = hear(&mut it, now, 1, HolepunchKind::Connect, addr(5, 6881));
    assert_eq!(dialled(&out), [(addr(5, 6881), DialHint { encrypted: None, utp: true })]);
    // No dial to an address already being dialed, to a connected peer, or to a local address.
    for of in [addr(5, 6881), addr(1, 40_000), addr(1, 6881), SocketAddr::from(([192, 168, 0, 9], 6881))] {
        assert_eq!(dialled(&hear(&mut it, now, 1, HolepunchKind::Connect, of)), [], "{of}");
    }
    // The number of dials that one peer can cause is limited.
    let calls = (10..200).flat_map(|n| dialled(&hear(&mut it, now, 1, HolepunchKind::Connect, addr(n, 6881)))).count();
    assert!(calls < limits::INTRODUCTIONS_BURST as usize, "{calls}");
}

#[test]
fn who_named_an_address_that_is_not_reached_is_asked_once() {
    let (mut it, now) = torrent(1 << 20);
    calls(&mut it, now, 1, true, takes());
    calls(&mut it, now, 2, true, takes());
    let added = vec![(addr(5, 6881), PexFlags::default())];
    let mut out = Vec::new();
    says(&mut it, now, 2, vec![message(ours::UT_PEX, Pex { added, dropped: Vec::new() }.encode())], &mut out);
    assert_eq!(dialled(&out), [(addr(5, 6881), DialHint::default())]);
    let fail = |it: &mut Torrent, addr| {
        let mut out = Vec::new();
        it.handle(now, Input::DialFailed { addr, why: DisconnectReason::TimedOut("connecting") }, &mut out);
        told(&out)
    };
    assert_eq!(fail(&mut it, addr(5, 6881)), [(2, HolepunchKind::Rendezvous, addr(5, 6881))]);
    let out = hear(&mut it, now, 2, HolepunchKind::Connect, addr(5, 6881));
    assert_eq!(dialled(&out).len(), 1);
    assert_eq!(fail(&mut it, addr(5, 6881)), []);
    // No connected peer has named this address by PEX.
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
        assert_eq!(told(&hear(&mut it, now, 1, HolepunchKind::Rendezvous, addr(2, 6881))), []);
        assert_eq!(dialled(&hear(&mut it, now, 1, HolepunchKind::Connect, addr(5, 6881))), []);
    }
}

/// A peer with a closed port dials over uTP first, since uTP peers can relay a hole punch.
#[test]
fn behind_a_closed_port_utp_comes_first() {
    let (mut it, now) = torrent(1 << 20);
    for (reach, utp) in [(Reachability::Unknown, false), (Reachability::Closed, true), (Reachability::Open, false)] {
        let mut out = Vec::new();
        it.handle(now, Input::Quota(Quota { reach, budget: 1 << 20, ..Quota::default() }), &mut out);
        let addr = addr(20 + u64::from(utp) + reach as u64, 6881);
        it.handle(now, Input::PeersFound { source: Source::Tracker, addrs: vec![addr] }, &mut out);
        assert_eq!(dialled(&out), [(addr, DialHint { encrypted: None, utp })], "{reach:?}");
    }
}
