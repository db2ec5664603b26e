//! Tests of DHT lookups and announces, and of `port` messages.

use super::*;
use crate::swarm::dht::{LookupSummary, NoNodes};
use crate::swarm::reason::{DownloadReason, Reason};
use crate::swarm::status::{DhtOutcome, SourceStatus};

/// Connects an incoming peer that sends a `port` message.
fn calls(it: &mut Torrent, now: Instant, key: u64) -> Vec<Effect> {
    let addr = SocketAddr::from(([9, 0, 0, key as u8], 40_000));
    let reserved = Reserved([0, 0, 0, 0, 0, 0, 0, 1]);
    let hello = PeerInfo {
        addr,
        outgoing: false,
        utp: false,
        peer_id: PeerId([key as u8 + 10; 20]),
        reserved,
        encrypted: None,
    };
    let mut out = Vec::new();
    it.handle(now, Input::PeerConnected { peer: PeerKey(key), hello }, &mut out);
    says(it, now, key, vec![Message::Port(7), Message::Port(8), Message::Port(0)], &mut out);
    out
}

fn seeks(out: &[Effect]) -> Vec<Option<u16>> {
    out.iter().filter_map(|e| if let Effect::DhtGetPeers { announce } = e { Some(*announce) } else { None }).collect()
}

fn at(it: &mut Torrent, now: Instant) -> Vec<Effect> {
    let mut out = Vec::new();
    it.handle(now, Input::Tick, &mut out);
    out
}

#[test]
fn it_is_asked_at_once_and_again_and_told_where_nodes_are() {
    let (mut it, now, out) = torrent_with(1 << 20, |_| ());
    assert_eq!(seeks(&out), [Some(6881)]);
    let out = calls(&mut it, now, 1);
    assert!(out.iter().any(|e| matches!(e, Effect::Send { message: Message::Port(7000), .. })), "{out:?}");
    let met: Vec<_> =
        out.iter().filter_map(|e| if let Effect::DhtPing(addr) = e { Some(*addr) } else { None }).collect();
    assert_eq!(met, [SocketAddr::from(([9, 0, 0, 1], 7))], "one of each peer");
    it.handle(now, Input::DhtLookupDone(Err(NoNodes)), &mut Vec::new());
    let source = |it: &Torrent| {
        let sources = it.view(now, true).detail.unwrap().sources;
        sources.into_iter().find(|row| row.source == Source::Dht).unwrap().status
    };
    assert_eq!(source(&it), SourceStatus::DhtNoNodes);
    let later = now + Duration::from_secs(31);
    assert_eq!(seeks(&at(&mut it, later)), [Some(6881)]);
    let found = LookupSummary { nodes: 12, peers: 3, announced: 8 };
    it.handle(later, Input::DhtLookupDone(Ok(found)), &mut Vec::new());
    assert_eq!(source(&it), SourceStatus::DhtDone(found));
    assert_eq!(seeks(&at(&mut it, later + Duration::from_secs(600))), []);
    assert_eq!(seeks(&at(&mut it, later + Duration::from_secs(901))), [Some(6881)]);
    let mut out = Vec::new();
    it.handle(now, Input::Stop, &mut out);
    assert_eq!(it.dht.deadline(), None);
}

#[test]
fn while_nobody_is_there_it_is_asked_again_soon_and_then_less_often() {
    let (mut it, mut now, _) = torrent_with(1 << 20, |_| ());
    let nobody = Ok(LookupSummary { nodes: 12, peers: 0, announced: 8 });
    for wait in [20, 40, 80, 160, 180, 180] {
        it.handle(now, Input::DhtLookupDone(nobody), &mut Vec::new());
        assert_eq!(seeks(&at(&mut it, now + Duration::from_secs(wait - 1))), []);
        now += Duration::from_secs(wait);
        assert_eq!(seeks(&at(&mut it, now)), [Some(6881)], "after {wait} s");
    }
    it.handle(now, Input::DhtLookupDone(nobody), &mut Vec::new());
    let asked = now;
    calls(&mut it, now, 1);
    assert_eq!(seeks(&at(&mut it, asked + Duration::from_secs(899))), [], "somebody is there now");
    assert_eq!(seeks(&at(&mut it, asked + Duration::from_secs(900))), [Some(6881)]);
}

#[test]
fn why_there_is_nobody_names_the_dht() {
    let (mut it, now, _) = torrent_with(1 << 20, |_| ());
    for (result, outcome) in [
        (None, DhtOutcome::Searching),
        (Some(Err(NoNodes)), DhtOutcome::NoNodes),
        (Some(Ok(LookupSummary::default())), DhtOutcome::NoNewPeers),
    ] {
        result.into_iter().for_each(|result| it.handle(now, Input::DhtLookupDone(result), &mut Vec::new()));
        let why = it.view(now, false).why.reason;
        let Reason::Downloading(DownloadReason::NoPeers(nobody)) = why else { panic!("{why:?}") };
        assert_eq!(nobody.dht, Some(outcome));
    }
}

#[test]
fn it_knows_nothing_of_a_private_torrent() {
    for (private, dht) in [(true, Some(7000)), (false, None)] {
        let change = |config: &mut TorrentConfig| (config.private, config.dht) = (private, dht);
        let (mut it, now, mut out) = torrent_with(1 << 20, change);
        out.extend(calls(&mut it, now, 1));
        let addrs = vec![SocketAddr::from(([9, 9, 9, 9], 9))];
        it.handle(now, Input::PeersFound { source: Source::Dht, addrs }, &mut out);
        out.extend(at(&mut it, now + Duration::from_secs(4000)));
        let dht = |e: &Effect| {
            matches!(e, Effect::DhtGetPeers { .. } | Effect::DhtPing(_) | Effect::Dial { .. })
                || matches!(e, Effect::Send { message: Message::Port(_), .. })
        };
        assert!(!out.iter().any(dht), "{out:?}");
        assert!(it.view(now, true).detail.unwrap().sources.iter().all(|row| row.source != Source::Dht));
    }
}

#[test]
fn a_magnet_that_turns_out_to_be_private_is_forgotten_elsewhere() {
    let change = |config: &mut TorrentConfig| (config.geometry, config.lan) = (Geometry::new(0, 1), true);
    let (mut it, now, out) = torrent_with(1 << 20, change);
    assert!(seeks(&out).len() == 1 && out.iter().any(|e| matches!(e, Effect::AnnounceLsd)), "{out:?}");
    let found = |n| Input::PeersFound { source: Source::Dht, addrs: vec![SocketAddr::from(([9, 9, 9, n], 9))] };
    it.handle(now, found(1), &mut Vec::new());
    assert_eq!(it.view(now, true).known, 1);
    // Applied before the metadata is processed.
    let mut out = Vec::new();
    it.emit_metadata(now, bytes::Bytes::from_static(b"d7:privatei1ee"), &mut out);
    assert!(out.iter().any(|e| matches!(e, Effect::StopPublicDiscovery)), "{out:?}");
    it.handle(now, found(2), &mut out);
    out.extend(at(&mut it, now + Duration::from_secs(4000)));
    let tells = |e: &Effect| matches!(e, Effect::DhtGetPeers { .. } | Effect::AnnounceLsd | Effect::Dial { .. });
    assert!(!out.iter().any(tells) && it.view(now, true).known == 0, "{out:?}");
    assert!(!it.uses_pex());
    // A public torrent keeps PEX and DHT.
    let (mut it, now, _) = torrent_with(1 << 20, change);
    it.emit_metadata(now, bytes::Bytes::from_static(b"d7:privatei0ee"), &mut Vec::new());
    assert!(it.uses_pex() && it.uses_dht());
}
