//! Tests of PEX and lt_donthave.

use super::*;
use crate::swarm::status::{PexReceived, SourceStatus};
use crate::wire::extension::pex::{Pex, PexFlags};
use crate::wire::extension::{Handshake, ours};

/// Connects an incoming peer that supports PEX and announces a listening port.
fn calls(it: &mut Torrent, now: Instant, key: u64, at: [u8; 4]) -> Vec<Effect> {
    let reserved = Reserved([0, 0, 0, 0, 0, 0x10, 0, 0]);
    let hello = PeerInfo {
        addr: (at, 40_000).into(),
        outgoing: false,
        peer_id: PeerId([key as u8 + 10; 20]),
        reserved,
        utp: false,
        encrypted: None,
    };
    let mut out = Vec::new();
    it.handle(now, Input::PeerConnected { peer: PeerKey(key), hello }, &mut out);
    let handshake = Handshake { port: Some(6881), ut_pex: Some(9), ..Handshake::default() };
    says(it, now, key, vec![message(0, handshake.encode())], &mut out);
    out
}

fn message(id: u8, payload: Vec<u8>) -> Message {
    Message::Extended { id, payload: payload.into() }
}

/// Returns the PEX messages that were sent: receiver and addresses.
fn told(out: &[Effect]) -> Vec<(u64, Vec<String>)> {
    let words = |effect: &Effect| match effect {
        Effect::Send { peer, message: Message::Extended { id: 9, payload } } => {
            let it = Pex::decode(payload, 200).unwrap();
            Some((peer.0, it.added.iter().map(|(addr, _)| addr.to_string()).collect()))
        }
        _ => None,
    };
    out.iter().filter_map(words).collect()
}

fn dialled(out: &[Effect]) -> Vec<String> {
    let dial = |effect: &Effect| if let Effect::Dial { addr, .. } = effect { Some(addr.to_string()) } else { None };
    out.iter().filter_map(dial).collect()
}

fn pex(addrs: &[&str]) -> Message {
    let added = addrs.iter().map(|addr| (addr.parse().unwrap(), PexFlags::default())).collect();
    message(ours::UT_PEX, Pex { added, dropped: Vec::new() }.encode())
}

#[test]
fn peers_are_told_of_each_other_and_their_word_is_followed() {
    let (mut it, now) = torrent(1 << 20);
    let first = calls(&mut it, now, 1, [9, 0, 0, 1]);
    let said = first.iter().find_map(|effect| match effect {
        Effect::Send { message: Message::Extended { id: 0, payload }, .. } => Handshake::decode(payload).ok(),
        _ => None,
    });
    assert_eq!(said.map(|h| (h.ut_pex, h.your_ip)), Some((Some(ours::UT_PEX), Some([9, 0, 0, 1].into()))));
    assert_eq!(told(&first), []);
    let second = calls(&mut it, now, 2, [9, 0, 1, 2]);
    assert_eq!(told(&second), [(1, vec!["9.0.1.2:6881".to_owned()]), (2, vec!["9.0.0.1:6881".to_owned()])]);
    assert_eq!(told(&calls(&mut it, now, 3, [9, 0, 2, 3])).len(), 1, "only the newcomer: a minute has not passed");
    assert_eq!(it.deadline(now).saturating_duration_since(now), limits::PEX_INTERVAL.min(crate::swarm::choker::ROUND));
    let mut out = Vec::new();
    it.handle(now + limits::PEX_INTERVAL, Input::Tick, &mut out);
    assert_eq!(told(&out).len(), 2);

    let mut out = Vec::new();
    let words = pex(&["9.0.3.4:1000", "192.168.0.9:1000", "9.0.0.1:6881"]);
    says(&mut it, now, 2, vec![words], &mut out);
    assert_eq!(dialled(&out), ["9.0.3.4:1000"], "nobody near, nobody who is here");
    let sources = it.view(now, true).detail.unwrap().sources;
    let row = sources.iter().find(|row| row.source == Source::Pex).unwrap();
    let received = Some(PexReceived { senders: 1, last: 3 });
    assert_eq!((&row.status, row.last), (&SourceStatus::Pex { peers: 3, received }, Some(Duration::ZERO)));
    let mut out = Vec::new();
    says(&mut it, now, 2, (0..60).map(|_| pex(&["9.0.7.7:7"])).collect(), &mut out);
    assert!(dialled(&out).is_empty());
    assert!(
        out.iter()
            .any(|effect| matches!(effect, Effect::Disconnect { why: DisconnectReason::ProtocolViolation(_), .. }))
    );
}

#[test]
fn we_do_not_call_ourselves_at_the_address_that_peers_see() {
    let (mut it, now) = torrent(1 << 20);
    calls(&mut it, now, 1, [9, 0, 0, 1]);
    let ours = Handshake { your_ip: Some([9, 9, 9, 9].into()), ..Handshake::default() };
    let mut out = Vec::new();
    says(&mut it, now, 1, vec![message(0, ours.encode()), pex(&["9.9.9.9:6881", "9.9.9.9:6882"])], &mut out);
    assert_eq!(dialled(&out), ["9.9.9.9:6882"]);
}

#[test]
fn a_private_torrent_tells_nobody_and_heeds_nobody() {
    for (private, on) in [(true, true), (false, false)] {
        let (mut it, now) = torrent(1 << 20);
        (it.config.private, it.config.pex) = (private, on);
        let mut out = calls(&mut it, now, 1, [9, 0, 0, 1]);
        out.extend(calls(&mut it, now, 2, [9, 0, 1, 1]));
        says(&mut it, now, 1, vec![pex(&["9.0.3.4:1000"])], &mut out);
        it.handle(now + limits::PEX_INTERVAL, Input::Tick, &mut out);
        assert_eq!((told(&out), dialled(&out)), (Vec::new(), Vec::new()));
        for effect in &out {
            if let Effect::Send { message: Message::Extended { id: 0, payload }, .. } = effect {
                assert_eq!(Handshake::decode(payload).unwrap().ut_pex, None);
            }
        }
    }
}

/// PEX messages due within the next minute are not sent any more.
#[test]
fn a_magnet_that_turns_out_to_be_private_tells_nobody_any_more() {
    let (mut it, now, _) = torrent_with(1 << 20, |config| config.geometry = Geometry::new(0, 1));
    calls(&mut it, now, 1, [9, 0, 0, 1]);
    assert_eq!(told(&calls(&mut it, now, 2, [9, 0, 1, 2])).len(), 2);
    calls(&mut it, now, 3, [9, 0, 2, 3]);
    let mut out = Vec::new();
    it.emit_metadata(now, bytes::Bytes::from_static(b"d7:privatei1ee"), &mut out);
    it.handle(now + limits::PEX_INTERVAL, Input::Tick, &mut out);
    out.extend(calls(&mut it, now + limits::PEX_INTERVAL, 4, [9, 0, 3, 4]));
    it.handle(now + 2 * limits::PEX_INTERVAL, Input::Tick, &mut out);
    assert_eq!(told(&out), []);
}

#[test]
fn a_piece_that_a_peer_lost_is_not_asked_of_it() {
    let (mut it, now) = torrent(1 << 20);
    calls(&mut it, now, 1, [9, 0, 0, 1]);
    let mut out = Vec::new();
    let lost = |piece: u8| message(ours::LT_DONTHAVE, vec![0, 0, 0, piece]);
    says(&mut it, now, 1, vec![bits(0b1000_0000), lost(0), lost(0), lost(7), lost(200), Message::Unchoke], &mut out);
    assert_eq!(requests(&out), []);
    let row = &it.view(now, true).detail.unwrap().peers[0];
    assert!(row.done == 0.0 && !row.am_interested);
}

#[test]
fn two_that_want_nothing_part() {
    let (mut it, now) = torrent(1 << 20);
    let all = (0..8).map(|_| Priority::Skip).enumerate().collect();
    it.handle(now, Input::Command(TorrentCommand::Priority(all)), &mut Vec::new());
    assert!(it.is_complete());
    let mut out = calls(&mut it, now, 1, [9, 0, 0, 1]);
    assert!(!out.iter().any(|effect| matches!(effect, Effect::Disconnect { .. })));
    let only = Handshake { upload_only: Some(true), ..Handshake::default() };
    says(&mut it, now, 1, vec![message(0, only.encode())], &mut out);
    assert!(out.iter().any(|effect| matches!(effect, Effect::Disconnect { why: DisconnectReason::Useless, .. })));
}
