//! Properties of the pure machines: the picker against a naive model, token buckets against the clock.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use ttui::limits::BLOCK;
use ttui::swarm::bitfield::Bitfield;
use ttui::swarm::geometry::Geometry;
use ttui::swarm::picker::{BlockOutcome, Picker};
use ttui::swarm::rate::TokenBucket;
use ttui::swarm::torrent::PeerKey;
use ttui::swarm::view::Priority;
use ttui::wire::message::PieceIndex;

const PIECES: u32 = 9;
const IP: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

#[derive(Clone, Copy, Debug)]
enum Op {
    Copy(u32, bool),
    Pick { who: u64, has: u16, n: usize },
    Arrive(usize),
    Release(usize),
    Disown(u64),
    Again(usize, u64),
    Judge(u32, bool),
    Parole(u32),
    Want(u32, u8),
    Lose(u32),
    Sequential(bool),
}

fn op() -> impl Strategy<Value = Op> {
    let piece = 0..PIECES;
    prop_oneof![
        (piece.clone(), any::<bool>()).prop_map(|(p, more)| Op::Copy(p, more)),
        (0..4u64, any::<u16>(), 1..12usize).prop_map(|(who, has, n)| Op::Pick { who, has, n }),
        any::<usize>().prop_map(Op::Arrive),
        any::<usize>().prop_map(Op::Arrive),
        any::<usize>().prop_map(Op::Release),
        (0..4u64).prop_map(Op::Disown),
        (any::<usize>(), 0..4u64).prop_map(|(n, who)| Op::Again(n, who)),
        (piece.clone(), any::<bool>()).prop_map(|(p, good)| Op::Judge(p, good)),
        piece.clone().prop_map(Op::Parole),
        (piece.clone(), 0..4u8).prop_map(|(p, n)| Op::Want(p, n)),
        piece.prop_map(Op::Lose),
        any::<bool>().prop_map(Op::Sequential),
    ]
}

/// What anybody would keep track of with two sets and no cleverness.
#[derive(Default)]
struct Naive {
    asked: Vec<(u64, PieceIndex, u32)>,
    here: BTreeMap<PieceIndex, BTreeSet<u32>>,
    have: BTreeSet<PieceIndex>,
    /// What each peer has: it only grows.
    theirs: [u16; 4],
}

impl Naive {
    fn forget(&mut self, piece: PieceIndex) {
        self.asked.retain(|(_, p, _)| *p != piece);
        self.here.remove(&piece);
    }
}

fn play(ops: Vec<Op>) -> Result<(), TestCaseError> {
    let geometry = Geometry::new(u64::from(PIECES * 3 * BLOCK) - 20_000, 3 * BLOCK);
    let mut rng = fastrand::Rng::with_seed(3);
    let mut picker = Picker::new(geometry, &mut rng);
    let mut naive = Naive::default();
    for op in ops {
        step(&mut picker, &mut naive, geometry, &mut rng, &op)?;
        picker.check().map_err(TestCaseError::fail)?;
        for piece in geometry.all() {
            prop_assert_eq!(picker.have().has(piece), naive.have.contains(&piece));
        }
    }
    Ok(())
}

fn step(
    picker: &mut Picker,
    naive: &mut Naive,
    geometry: Geometry,
    rng: &mut fastrand::Rng,
    op: &Op,
) -> Result<(), TestCaseError> {
    match *op {
        Op::Copy(piece, true) => picker.add_copy(PieceIndex(piece)),
        Op::Copy(piece, false) => picker.remove_copy(PieceIndex(piece)),
        Op::Pick { who, has, n } => {
            naive.theirs[who as usize] |= has;
            let has = naive.theirs[who as usize];
            let mut set = Bitfield::new(PIECES);
            (0..PIECES).filter(|p| has & (1 << p) != 0).for_each(|p| _ = set.insert(PieceIndex(p)));
            let mut out = Vec::new();
            picker.pick(PeerKey(who), &set, true, n, rng, &mut out);
            prop_assert!(out.len() <= n);
            for (piece, block) in out {
                prop_assert!(set.has(piece), "picked a piece that the peer has not");
                prop_assert!(!naive.have.contains(&piece), "picked a piece that is there");
                prop_assert!(!naive.asked.iter().any(|(_, p, b)| (*p, *b) == (piece, block)), "asked twice");
                prop_assert!(!naive.here.get(&piece).is_some_and(|h| h.contains(&block)), "asked for what is here");
                prop_assert!(block < geometry.blocks(piece));
                naive.asked.push((who, piece, block));
            }
        }
        Op::Arrive(n) if !naive.asked.is_empty() => {
            let (_, piece, block) = naive.asked[n % naive.asked.len()];
            naive.asked.retain(|(_, p, b)| (*p, *b) != (piece, block));
            let here = naive.here.entry(piece).or_default();
            here.insert(block);
            let whole = here.len() == geometry.blocks(piece) as usize;
            let arrival = picker.on_block(piece, block, IP);
            prop_assert!(matches!(arrival, BlockOutcome::Fresh { whole: w, .. } if w == whole), "{arrival:?}");
            prop_assert_eq!(picker.on_block(piece, block, IP), BlockOutcome::Useless);
        }
        Op::Release(n) if !naive.asked.is_empty() => {
            let (_, piece, block) = naive.asked.swap_remove(n % naive.asked.len());
            picker.release(piece, block);
        }
        Op::Disown(who) => {
            let (theirs, rest) = naive.asked.drain(..).partition(|(w, ..)| *w == who);
            naive.asked = rest;
            let theirs: Vec<(u64, PieceIndex, u32)> = theirs;
            theirs.iter().for_each(|(_, piece, block)| picker.release(*piece, *block));
            for piece in picker.abandon_owner(PeerKey(who)) {
                naive.forget(piece);
            }
        }
        Op::Again(n, who) if !naive.asked.is_empty() => {
            let (_, piece, block) = naive.asked[n % naive.asked.len()];
            let twice = naive.asked.iter().any(|(w, p, b)| (*w, *p, *b) == (who, piece, block));
            if !twice && picker.request_duplicate(piece, block, 3) {
                naive.asked.push((who, piece, block));
            }
        }
        Op::Judge(piece, good) => {
            let piece = PieceIndex(piece);
            if naive.here.get(&piece).is_some_and(|h| h.len() == geometry.blocks(piece) as usize) {
                prop_assert_eq!(picker.senders(piece).len(), geometry.blocks(piece) as usize);
                naive.forget(piece);
                if good {
                    picker.mark_have(piece);
                    naive.have.insert(piece);
                } else {
                    picker.mark_lost(piece);
                }
            }
        }
        Op::Parole(piece) if !picker.is_active(PieceIndex(piece)) => picker.set_parole(PieceIndex(piece)),
        Op::Want(piece, n) => {
            let priority = [Priority::Skip, Priority::Low, Priority::Normal, Priority::High][usize::from(n)];
            picker.set_priority(PieceIndex(piece), priority);
        }
        Op::Lose(piece) => {
            picker.mark_lost(PieceIndex(piece));
            naive.forget(PieceIndex(piece));
            naive.have.remove(&PieceIndex(piece));
        }
        Op::Sequential(on) => picker.set_sequential(on),
        Op::Arrive(_) | Op::Release(_) | Op::Again(..) | Op::Parole(_) => {}
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_picker_agrees_with_a_naive_one(ops in prop::collection::vec(op(), 1..120)) {
        play(ops)?;
    }

    #[test]
    fn a_bucket_never_exceeds_its_rate(rate in 1u64..10_000_000, steps in prop::collection::vec((0u64..400, 1u64..40_000), 1..200)) {
        let start = Instant::now();
        let mut bucket = TokenBucket::default();
        bucket.set(Some(rate));
        let (mut now, mut given, mut largest) = (start, 0, 0);
        for (ms, bytes) in steps {
            now += Duration::from_millis(ms);
            if bucket.take(now, bytes) {
                given += bytes;
                largest = largest.max(bytes);
            }
            let burst = (rate / 10).max(u64::from(BLOCK));
            let most = rate as f64 * (now - start).as_secs_f64() + burst as f64 + largest as f64;
            prop_assert!(given as f64 <= most + 1.0, "{given} bytes by {:?} at {rate}/s", now - start);
        }
    }
}
