//! Tests of local service discovery (LSD).

use super::*;
use crate::swarm::status::SourceStatus;

/// Returns a torrent with LSD enabled, and the effects of its start.
fn local(change: impl FnOnce(&mut TorrentConfig)) -> (Torrent, Instant, Vec<Effect>) {
    let (it, now) = torrent(1 << 20);
    let mut config = TorrentConfig { lan: true, ..it.config };
    change(&mut config);
    let (mut it, mut out) = (Torrent::new(config), Vec::new());
    it.handle(now, Input::Start { have: Default::default(), check: Vec::new() }, &mut out);
    (it, now, out)
}

fn said_local(out: &[Effect]) -> usize {
    out.iter().filter(|effect| matches!(effect, Effect::AnnounceLsd)).count()
}

#[test]
fn it_is_announced_to_the_local_network_while_it_runs() {
    let (mut it, now, out) = local(|_| ());
    assert_eq!(said_local(&out), 1);
    let tick = |it: &mut Torrent, now, input| {
        let mut out = Vec::new();
        it.handle(now, input, &mut out);
        said_local(&out)
    };
    assert_eq!(it.deadline(now + Duration::from_secs(59)), now + Duration::from_secs(60), "it may have been lost");
    assert_eq!(tick(&mut it, now + Duration::from_secs(60), Input::Tick), 1);
    assert_eq!(tick(&mut it, now + Duration::from_secs(120), Input::Tick), 1);
    let now = now + Duration::from_secs(120);
    assert_eq!(tick(&mut it, now + Duration::from_secs(299), Input::Tick), 0);
    assert_eq!(tick(&mut it, now + Duration::from_secs(300), Input::Tick), 1);
    assert_eq!(tick(&mut it, now + Duration::from_secs(310), Input::Command(TorrentCommand::Announce(None))), 0);
    assert_eq!(tick(&mut it, now + Duration::from_secs(360), Input::Tick), 1, "a wish waits for its minute");
    it.handle(now + Duration::from_secs(361), Input::Stop, &mut Vec::new());
    assert_eq!(tick(&mut it, now + Duration::from_secs(9000), Input::Tick), 0);
}

#[test]
fn peers_of_the_local_network_are_called_first_and_marked() {
    let (mut it, now, _) = local(|_| ());
    let addr = |n: u8| SocketAddr::from(([192, 168, 0, n], 6881));
    it.peer_list.add(now, addr(1), Source::Tracker);
    let mut out = Vec::new();
    it.handle(now, Input::PeersFound { source: Source::Lan, addrs: vec![addr(7), addr(8), addr(7)] }, &mut out);
    let dialled: Vec<u8> = out
        .iter()
        .filter_map(|effect| match effect {
            Effect::Dial { addr: SocketAddr::V4(addr), .. } => Some(addr.ip().octets()[3]),
            _ => None,
        })
        .collect();
    assert!(matches!(dialled[..], [7, 8, 1] | [8, 7, 1]), "{dialled:?}");
    let hello = |n, outgoing, addr| PeerInfo {
        addr,
        outgoing,
        peer_id: PeerId([n; 20]),
        reserved: Reserved::default(),
        utp: false,
        encrypted: None,
    };
    let arrived = Input::PeerConnected { peer: PeerKey(1), hello: hello(9, true, addr(8)) };
    it.handle(now, arrived, &mut Vec::new());
    let source = |it: &Torrent| it.view(now, true).detail.unwrap().peers[0].source;
    assert_eq!(source(&it), Source::Lan);
    let view = it.view(now, true).detail.unwrap();
    let row = view.sources.iter().find(|row| row.source == Source::Lan).unwrap();
    assert_eq!((row.known, row.connected, &row.status), (2, 1, &SourceStatus::LsdFound(2)));
    assert_eq!((row.last, row.next.is_some()), (Some(Duration::ZERO), true));

    // An incoming peer with another source port is matched by its host, before and after its LSD announce.
    let (mut it, now, _) = local(|_| ());
    let from = SocketAddr::from(([192, 168, 0, 8], 40_000));
    it.handle(now, Input::PeerConnected { peer: PeerKey(1), hello: hello(9, false, from) }, &mut Vec::new());
    assert_eq!(source(&it), Source::Incoming);
    it.handle(now, Input::PeersFound { source: Source::Lan, addrs: vec![addr(8)] }, &mut Vec::new());
    assert_eq!(source(&it), Source::Lan);
    it.handle(now, Input::PeerDisconnected { peer: PeerKey(1), why: DisconnectReason::Closed }, &mut Vec::new());
    it.handle(now, Input::PeersFound { source: Source::Lan, addrs: vec![addr(8)] }, &mut Vec::new());
    it.handle(now, Input::PeerConnected { peer: PeerKey(2), hello: hello(9, false, from) }, &mut Vec::new());
    assert_eq!(source(&it), Source::Lan);
}

#[test]
fn a_private_torrent_neither_speaks_nor_listens_there() {
    let (mut it, now, out) = local(|config| config.private = true);
    assert_eq!(said_local(&out), 0);
    let addrs = vec![SocketAddr::from(([192, 168, 0, 7], 6881))];
    let mut out = Vec::new();
    it.handle(now, Input::PeersFound { source: Source::Lan, addrs }, &mut out);
    assert!(out.is_empty() && it.view(now, true).known == 0);
    assert!(it.view(now, true).detail.unwrap().sources.is_empty());
}

#[test]
fn limits_hold_for_the_local_network_unless_the_user_says_otherwise() {
    for (unlimited, source, all) in
        [(false, Source::Lan, false), (true, Source::Lan, true), (true, Source::Tracker, false)]
    {
        let (mut it, now, _) = local(|config| config.lan_unlimited = unlimited);
        let limits = TorrentCommand::Limits { down: Some(1 << 10), up: Some(1 << 10) };
        it.handle(now, Input::Command(limits), &mut Vec::new());
        let addr = SocketAddr::from(([192, 168, 0, 7], 6881));
        it.handle(now, Input::PeersFound { source, addrs: vec![addr] }, &mut Vec::new());
        let hello = PeerInfo {
            addr,
            outgoing: true,
            utp: false,
            peer_id: PeerId([9; 20]),
            reserved: Reserved::default(),
            encrypted: None,
        };
        it.handle(now, Input::PeerConnected { peer: PeerKey(1), hello }, &mut Vec::new());
        // A token bucket starts empty and grants a request once it holds any token.
        let now = now + Duration::from_secs(1);
        let (mut out, mut now) = (Vec::new(), now);
        says(&mut it, now, 1, vec![bits(0xc0), Message::Unchoke], &mut out);
        for _ in 0..2 {
            now += Duration::from_secs(8);
            it.handle(now, Input::Tick, &mut out);
        }
        assert_eq!(requests(&out).len() == 8, all, "{unlimited} {source:?}: {}", requests(&out).len());
    }
}
