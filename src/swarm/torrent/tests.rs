use super::*;
use crate::limits::BLOCK;
use crate::wire::message::{Block, Message, Reserved};

const PIECES: u32 = 8;

fn torrent(budget: u64) -> (Torrent, Instant) {
    let geometry = Geometry::new(u64::from(PIECES * 4 * BLOCK), 4 * BLOCK);
    let mut it = Torrent::new(TorrentConfig {
        name: "t".into(),
        info_hash: InfoHash([1; 20]),
        peer_id: PeerId([2; 20]),
        geometry,
        files: vec![Span { path: "t".into(), offset: 0, length: geometry.total(), pad: false }],
        priorities: Vec::new(),
        sequential: false,
        private: false,
        trackers: Vec::new(),
        peers: Vec::new(),
        port: 0,
        folder: String::new(),
        max_peers: 50,
        quota: Quota { budget, ..Quota::default() },
        super_seed: false,
        meta: Meta::default(),
        added: 0,
        finished: None,
        totals: (0, 0),
        seed: 1,
    });
    let now = Instant::now();
    it.handle(now, Input::Start { have: Default::default(), check: Vec::new() }, &mut Vec::new());
    (it, now)
}

/// A peer that came in, and says these things in one read.
fn meets(it: &mut Torrent, now: Instant, key: u64, batch: Vec<Message>) -> Vec<Effect> {
    let addr = SocketAddr::from(([127, 0, 9, key as u8], 6881));
    let hello = Hello { addr, outgoing: false, peer_id: PeerId([key as u8; 20]), reserved: Reserved::default() };
    let mut out = Vec::new();
    it.handle(now, Input::Arrived { peer: PeerKey(key), hello }, &mut out);
    says(it, now, key, batch, &mut out);
    out
}

fn says(it: &mut Torrent, now: Instant, key: u64, batch: Vec<Message>, out: &mut Vec<Effect>) {
    it.handle(now, Input::Wire { peer: PeerKey(key), batch }, out);
    it.check_invariants().unwrap();
}

fn requests(out: &[Effect]) -> Vec<Block> {
    let request = |effect: &Effect| match effect {
        Effect::Send { message: Message::Request(block), .. } => Some(*block),
        _ => None,
    };
    out.iter().filter_map(request).collect()
}

fn bits(byte: u8) -> Message {
    Message::Bitfield(bytes::Bytes::copy_from_slice(&[byte]))
}

#[test]
fn a_late_bitfield_adds_to_what_a_peer_has_and_takes_nothing_away() {
    let (mut it, now) = torrent(1 << 20);
    let out = meets(&mut it, now, 1, vec![bits(0b1100_0000), Message::Unchoke]);
    assert_eq!(requests(&out).len(), 8, "two pieces of four blocks");
    let mut out = Vec::new();
    says(&mut it, now, 1, vec![bits(0b0010_0000)], &mut out);
    assert!(!out.iter().any(|effect| matches!(effect, Effect::Drop { .. })));
    let row = &it.view(now, true).detail.unwrap().peers[0];
    assert_eq!(row.done, 3.0 / 8.0);
    let mut out = Vec::new();
    says(&mut it, now, 1, vec![Message::Bitfield(bytes::Bytes::from_static(b"xy"))], &mut out);
    assert!(out.iter().any(|effect| matches!(effect, Effect::Drop { .. })), "a wrong size is still an offence");
}

#[test]
fn no_more_is_asked_for_than_the_budget_allows_and_a_larger_share_is_used_at_once() {
    let (mut it, now) = torrent(3 * u64::from(BLOCK));
    let out = meets(&mut it, now, 1, vec![bits(0xff), Message::Unchoke]);
    assert_eq!(requests(&out).len(), 3);
    let mut out = Vec::new();
    it.handle(now, Input::Quota(Quota { budget: 10 * u64::from(BLOCK), ..Quota::default() }), &mut out);
    assert_eq!(requests(&out).len(), 7);
    it.check_invariants().unwrap();
}

#[test]
fn a_stopped_torrent_has_no_rates() {
    let (mut it, now) = torrent(1 << 20);
    let out = meets(&mut it, now, 1, vec![bits(0xff), Message::Unchoke]);
    let Block { piece, begin, length } = requests(&out)[0];
    let data = bytes::Bytes::from(vec![0; length as usize]);
    says(&mut it, now, 1, vec![Message::Piece { piece, begin, data }], &mut Vec::new());
    assert!(it.view(now, false).down > 0);
    it.handle(now, Input::Stop, &mut Vec::new());
    it.handle(now, Input::Disk(DiskDone::Saved(Ok(()))), &mut Vec::new());
    assert!(it.stopped());
    assert_eq!(it.view(now, false).down, 0);
}
