//! Tests of magnets whose metadata marks them as private (BEP 27).

use super::*;

/// All sources that a private torrent must not use.
const ELSEWHERE: [Source; 4] = [Source::Dht, Source::Pex, Source::Lan, Source::Link];
const OWN: [Source; 2] = [Source::Tracker, Source::Manual];

fn magnet() -> (Torrent, Instant) {
    let (it, now, _) = torrent_with(1 << 20, |config| {
        (config.geometry, config.lan) = (Geometry::new(0, 1), true);
        config.link.peers = vec![addr(90)];
    });
    (it, now)
}

fn addr(n: u8) -> SocketAddr {
    SocketAddr::from(([9, n, 0, 1], 6881))
}

fn found(it: &mut Torrent, now: Instant, source: Source, n: u8) -> Vec<Effect> {
    let mut out = Vec::new();
    it.handle(now, Input::PeersFound { source, addrs: vec![addr(n)] }, &mut out);
    out
}

fn turns_private(it: &mut Torrent, now: Instant) -> Vec<Effect> {
    let mut out = Vec::new();
    it.emit_metadata(now, bytes::Bytes::from_static(b"d7:privatei1ee"), &mut out);
    out
}

/// Connects a peer from or to the host of `addr` and returns why it was refused, if it was.
fn connects(it: &mut Torrent, now: Instant, n: u8, outgoing: bool, utp: bool) -> Option<DisconnectReason> {
    let mut addr = addr(n);
    if !outgoing {
        addr.set_port(40_000);
    }
    let hello = PeerInfo {
        addr,
        outgoing,
        utp,
        peer_id: PeerId([n + 100; 20]),
        reserved: Reserved::default(),
        encrypted: None,
    };
    let mut out = Vec::new();
    it.handle(now, Input::PeerConnected { peer: PeerKey(u64::from(n)), hello }, &mut out);
    it.check_invariants().unwrap();
    out.into_iter().find_map(|e| if let Effect::Disconnect { why, .. } = e { Some(why) } else { None })
}

fn dials(out: &[Effect], n: u8) -> bool {
    out.iter().any(|e| matches!(e, Effect::Dial { addr: to, .. } if *to == addr(n)))
}

#[test]
fn a_dial_that_is_under_way_ends_under_the_rule_of_private_torrents() {
    for utp in [false, true] {
        for (n, source) in (1..).zip(ELSEWHERE) {
            let (mut it, now) = magnet();
            assert!(dials(&found(&mut it, now, source, n), n), "{source:?}");
            turns_private(&mut it, now);
            assert_eq!(connects(&mut it, now, n, true, utp), Some(DisconnectReason::Private), "{source:?}");
            assert_eq!(it.view(now, true).peers, 0);
        }
        for (n, source) in (1..).zip(OWN) {
            let (mut it, now) = magnet();
            assert!(dials(&found(&mut it, now, source, n), n), "{source:?}");
            turns_private(&mut it, now);
            assert_eq!(connects(&mut it, now, n, true, utp), None, "{source:?}");
        }
    }
}

#[test]
fn a_dial_that_a_tracker_vouches_for_meanwhile_is_welcome() {
    for source in ELSEWHERE {
        let (mut it, now) = magnet();
        found(&mut it, now, source, 1);
        turns_private(&mut it, now);
        found(&mut it, now, Source::Tracker, 1);
        assert_eq!(connects(&mut it, now, 1, true, false), None, "{source:?}");
    }
    // The magnet link's own peer, dialed at the start, is refused like one from the DHT.
    let (mut it, now) = magnet();
    turns_private(&mut it, now);
    assert_eq!(connects(&mut it, now, 90, true, false), Some(DisconnectReason::Private));
}

#[test]
fn peers_that_are_here_go_unless_a_tracker_names_them() {
    for outgoing in [true, false] {
        let (mut it, now) = magnet();
        let all: Vec<(u8, Source)> = (1..).zip(ELSEWHERE.into_iter().chain(OWN)).collect();
        for (n, source) in &all {
            found(&mut it, now, *source, *n);
            assert_eq!(connects(&mut it, now, *n, outgoing, false), None);
        }
        // An incoming peer that no source has named may have found us anywhere.
        assert_eq!(connects(&mut it, now, 70, false, false), None);
        let out = turns_private(&mut it, now);
        let gone: Vec<u64> = out
            .iter()
            .filter_map(|e| {
                if let Effect::Disconnect { peer, why: DisconnectReason::Private } = e { Some(peer.0) } else { None }
            })
            .collect();
        assert_eq!(gone, [1, 2, 3, 4, 70], "outgoing {outgoing}");
        it.check_invariants().unwrap();
    }
}

#[test]
fn those_that_were_sent_away_are_not_let_in_again_before_a_tracker_names_them() {
    let (mut it, now) = magnet();
    for (n, source) in (1..).zip(ELSEWHERE) {
        found(&mut it, now, source, n);
    }
    assert_eq!(connects(&mut it, now, 70, false, true), None);
    turns_private(&mut it, now);
    for n in [1, 2, 3, 4, 70, 90] {
        assert_eq!(connects(&mut it, now, n, false, n % 2 == 0), Some(DisconnectReason::Private), "{n}");
    }
    // A new incoming peer may come from a tracker.
    assert_eq!(connects(&mut it, now, 71, false, false), None);
    for (n, source) in [(1, Source::Tracker), (70, Source::Tracker), (3, Source::Manual)] {
        found(&mut it, now, source, n);
        assert_eq!(connects(&mut it, now, n, false, false), None, "{n}");
    }
}

#[test]
fn what_is_heard_later_is_not_heeded_and_those_who_came_under_the_rule_stay() {
    let (mut it, now) = magnet();
    turns_private(&mut it, now);
    for (n, source) in (1..).zip(ELSEWHERE) {
        assert!(!dials(&found(&mut it, now, source, n), n), "{source:?}");
    }
    let mut out = Vec::new();
    let late = Input::HostsResolved { source: Source::Link, addrs: vec![addr(5)], missing: 0 };
    it.handle(now, late, &mut out);
    assert!(!dials(&out, 5));
    assert_eq!(connects(&mut it, now, 6, false, false), None);
    let out = turns_private(&mut it, now);
    assert!(!out.iter().any(|e| matches!(e, Effect::Disconnect { .. })), "said twice, done once");
}

#[test]
fn where_nobody_else_could_know_of_it_callers_stay() {
    let (mut it, now, _) = torrent_with(1 << 20, |config| {
        config.geometry = Geometry::new(0, 1);
        (config.dht, config.pex, config.lan) = (None, false, false);
    });
    assert_eq!(connects(&mut it, now, 1, false, false), None);
    let out = turns_private(&mut it, now);
    assert!(!out.iter().any(|e| matches!(e, Effect::Disconnect { .. })), "{out:?}");
    assert_eq!(connects(&mut it, now, 2, false, false), None);
}

#[test]
fn an_introduction_that_is_under_way_is_given_up_too() {
    let (mut it, now) = magnet();
    it.dialing.insert(addr(1), Source::Pex);
    turns_private(&mut it, now);
    assert_eq!(connects(&mut it, now, 1, true, true), Some(DisconnectReason::Private));
    // In a public torrent a dialed peer whose source was forgotten does not count as entered by the user.
    let (mut it, now) = magnet();
    assert_eq!(connects(&mut it, now, 2, true, false), None);
    let source = it.view(now, true).detail.unwrap().peers[0].source;
    assert_eq!(source, Source::Resume);
}
