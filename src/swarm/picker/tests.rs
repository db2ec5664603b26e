use super::*;
use crate::limits::BLOCK;
use std::net::{IpAddr, Ipv4Addr};

pub(super) const A: PeerKey = PeerKey(1);
pub(super) const B: PeerKey = PeerKey(2);
const IP: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

pub(super) fn picker(pieces: u32, blocks: u32) -> (Picker, fastrand::Rng) {
    let mut rng = fastrand::Rng::with_seed(7);
    let g = Geometry::new(u64::from(pieces * blocks * BLOCK), blocks * BLOCK);
    (Picker::new(g, &mut rng), rng)
}

fn pick(p: &mut Picker, rng: &mut fastrand::Rng, who: PeerKey, has: &Bitfield, n: usize) -> Vec<(PieceIndex, u32)> {
    let mut out = Vec::new();
    p.pick(who, has, true, n, rng, &mut out);
    p.check().unwrap();
    out
}

#[test]
fn the_rarest_comes_first_once_there_is_something_to_trade() {
    let (mut p, mut rng) = picker(20, 2);
    for piece in 0..4 {
        p.mark_have(PieceIndex(piece));
    }
    for piece in (0..20).filter(|n| *n != 13) {
        p.add_copy(PieceIndex(piece));
    }
    let got = pick(&mut p, &mut rng, A, &Bitfield::full(20), 2);
    assert_eq!(got, [(PieceIndex(13), 0), (PieceIndex(13), 1)]);
    p.remove_copy(PieceIndex(7));
    assert_eq!(pick(&mut p, &mut rng, A, &Bitfield::full(20), 1)[0].0, PieceIndex(7));
}

#[test]
fn a_peer_goes_on_with_its_own_piece_and_others_help_last() {
    let (mut p, mut rng) = picker(2, 4);
    let full = Bitfield::full(2);
    let a = pick(&mut p, &mut rng, A, &full, 1)[0].0;
    let b = pick(&mut p, &mut rng, B, &full, 1)[0].0;
    assert_ne!(a, b);
    assert!(pick(&mut p, &mut rng, A, &full, 3).iter().all(|(piece, _)| *piece == a));
    assert_eq!(pick(&mut p, &mut rng, A, &full, 9).len(), 3, "A helps with B's piece");
    assert_eq!(p.unrequested(), 0);
    assert!(p.request_duplicate(b, 0, 2) && !p.request_duplicate(b, 0, 2));
    p.release(b, 0);
    p.release(b, 0);
    assert_eq!(p.unrequested(), 1);
    assert!(p.abandon_owner(B).is_empty());
    p.check().unwrap();
    assert_eq!(pick(&mut p, &mut rng, A, &full, 9), [(b, 0)]);
}

#[test]
fn a_piece_on_parole_has_one_sender() {
    let (mut p, mut rng) = picker(1, 4);
    let full = Bitfield::full(1);
    p.set_parole(PieceIndex(0));
    assert_eq!(pick(&mut p, &mut rng, A, &full, 2).len(), 2);
    assert!(pick(&mut p, &mut rng, B, &full, 2).is_empty());
    assert_eq!(p.on_block(PieceIndex(0), 0, IP), BlockOutcome::Fresh { whole: false, askers: 1 });
    assert_eq!(p.abandon_owner(A), [PieceIndex(0)]);
    p.check().unwrap();
    let got = pick(&mut p, &mut rng, B, &full, 9);
    assert_eq!(got.len(), 4);
    for (piece, block) in got {
        p.on_block(piece, block, IP);
    }
    assert_eq!(p.senders(PieceIndex(0)), [Some(BlockSource::Host(IP)); 4]);
    p.mark_have(PieceIndex(0));
    p.check().unwrap();
    assert_eq!(p.missing(), 0);
}

#[test]
fn skipped_pieces_are_left_alone_and_high_ones_come_first() {
    let (mut p, mut rng) = picker(10, 1);
    for piece in 0..10 {
        let priority = if piece == 4 {
            Priority::High
        } else if piece < 8 {
            Priority::Skip
        } else {
            Priority::Low
        };
        p.set_priority(PieceIndex(piece), priority);
    }
    p.check().unwrap();
    assert_eq!(p.missing(), 3);
    let got = pick(&mut p, &mut rng, A, &Bitfield::full(10), 10);
    assert_eq!(got[0].0, PieceIndex(4));
    assert_eq!(got.len(), 3);
    p.set_priority(PieceIndex(0), Priority::Normal);
    assert_eq!(pick(&mut p, &mut rng, A, &Bitfield::full(10), 10), [(PieceIndex(0), 0)]);
}

#[test]
fn in_order_means_in_order() {
    let (mut p, mut rng) = picker(6, 2);
    p.set_sequential(true);
    let got = pick(&mut p, &mut rng, A, &Bitfield::full(6), 12);
    assert!(got.is_sorted() && got.len() == 12);
}
