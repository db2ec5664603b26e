//! Properties of the search for metadata: whatever peers say, in whatever order, it stays within its bounds, blames nobody
//! who told the truth, and ends with the truth as soon as one who has it may speak.

// A generator that fails is a bug of the test itself.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use bytes::Bytes;
use proptest::prelude::*;
use sha1::{Digest, Sha1};
use ttui::limits;
use ttui::swarm::metadata::{MetadataDownload, MetadataOutcome};
use ttui::swarm::torrent::PeerKey;
use ttui::wire::message::InfoHash;

const BLOCK: usize = limits::BLOCK as usize;
/// Peers of the play; the last one is honest, comes last, and always answers.
const PEERS: u64 = 8;

/// How a peer answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Manner {
    Honest,
    /// Sends wrong bytes of the right length.
    Wrong,
    /// Sends wrong bytes for some of the pieces only.
    HalfWrong,
    /// Says another length, and sends bytes of that.
    Longer,
    Shorter,
    Short,
    WrongTotal,
    OtherPiece,
    Rejects,
    Silent,
    /// Names one length after the other.
    Fickle,
    Leaves,
}

fn manner() -> impl Strategy<Value = Manner> {
    use Manner::*;
    prop::sample::select(vec![
        Honest, Wrong, HalfWrong, Longer, Shorter, Short, WrongTotal, OtherPiece, Rejects, Silent, Fickle, Leaves,
    ])
}

struct Play {
    search: MetadataDownload,
    info: Bytes,
    now: Instant,
    manners: Vec<Manner>,
    asked: Vec<(PeerKey, u32)>,
    lied: BTreeSet<u64>,
    useless: BTreeSet<u64>,
    whole: Option<Bytes>,
}

impl Play {
    fn manner(&self, key: PeerKey) -> Manner {
        self.manners[key.0 as usize]
    }

    fn size(&self, key: PeerKey) -> u32 {
        let size = self.info.len() as u32;
        match self.manner(key) {
            Manner::Longer => size + 40_000,
            Manner::Shorter => (size / 2).max(1),
            _ => size,
        }
    }

    fn heard(&mut self, heard: MetadataOutcome) {
        match heard {
            MetadataOutcome::Nothing => {}
            MetadataOutcome::Complete(info) => self.whole = Some(info),
            MetadataOutcome::BadHash(key) => _ = self.lied.insert(key.0),
            MetadataOutcome::Useless(key, _) => _ = self.useless.insert(key.0),
        }
    }

    fn poll(&mut self) -> Result<(), TestCaseError> {
        let mut asks = Vec::new();
        self.search.poll(self.now, &mut asks);
        for (key, piece) in &asks {
            let pieces = self.info.len().max(self.size(*key) as usize + 7).div_ceil(BLOCK);
            prop_assert!((*piece as usize) < pieces, "{key:?} is asked for piece {piece}");
        }
        self.asked.extend(asks);
        self.search.check_invariants().map_err(TestCaseError::fail)
    }

    /// One of those that were asked answers, in its manner.
    fn answer(&mut self, at: usize) {
        let (key, piece) = self.asked.swap_remove(at % self.asked.len());
        if self.lied.contains(&key.0) || self.useless.contains(&key.0) {
            // It was shown the door.
            return;
        }
        let size = self.size(key) as usize;
        let begin = piece as usize * BLOCK;
        let length = size.saturating_sub(begin).min(BLOCK);
        let right = self.info.slice(begin.min(self.info.len())..(begin + length).min(self.info.len()));
        let wrong = Bytes::from(vec![key.0 as u8; length]);
        let (piece, total, data) = match self.manner(key) {
            Manner::Honest => (piece, size, right),
            Manner::HalfWrong if piece % 2 == 1 => (piece, size, right),
            Manner::Wrong | Manner::HalfWrong | Manner::Longer | Manner::Shorter => (piece, size, wrong),
            Manner::Short => (piece, size, right.slice(..right.len() / 2)),
            Manner::WrongTotal => (piece, size + 1, right),
            Manner::OtherPiece => (piece + 1, size, right),
            Manner::Rejects => return self.search.rejected(self.now, key, piece),
            Manner::Silent => return,
            Manner::Fickle => {
                let heard = self.search.offered(key, size as u32 + piece % 7 + 1);
                return self.heard(heard);
            }
            Manner::Leaves => return self.search.on_disconnected(key),
        };
        let heard = self.search.data(key, piece, Some(total as u32), &data);
        self.heard(heard);
    }
}

fn play(size: usize, manners: Vec<Manner>, order: &[usize]) -> Result<(), TestCaseError> {
    let info: Bytes = (0..size).map(|n| (n * 7 % 251) as u8 ^ 0x55).collect::<Vec<_>>().into();
    let hash = InfoHash(Sha1::digest(&info).into());
    let mut play = Play {
        search: MetadataDownload::new(hash),
        info,
        now: Instant::now(),
        manners,
        asked: Vec::new(),
        lied: BTreeSet::new(),
        useless: BTreeSet::new(),
        whole: None,
    };
    for key in (0..PEERS).map(PeerKey) {
        let heard = play.search.offered(key, play.size(key));
        play.heard(heard);
        play.poll()?;
    }
    let mut turns = order.iter().cycle();
    // The silent are waited for, so time goes on when nobody has anything to say.
    for _ in 0..4000 {
        if play.whole.is_some() {
            break;
        }
        if play.asked.is_empty() {
            let next = play.search.deadline();
            prop_assert!(next.is_some(), "nobody is asked and nothing will happen: {:?}", play.search.progress());
            play.now = next.unwrap().max(play.now + Duration::from_millis(1));
        } else {
            play.answer(*turns.next().unwrap());
            play.now += Duration::from_millis(3);
        }
        play.poll()?;
    }
    let right = play.whole.as_ref() == Some(&play.info);
    prop_assert!(right, "{:?}: {:?}", play.manners, play.search.progress());
    for key in play.lied.iter().chain(&play.useless) {
        prop_assert!(play.manners[*key as usize] != Manner::Honest, "peer {key} was honest: {:?}", play.manners);
    }
    for key in &play.lied {
        let manner = play.manners[*key as usize];
        let lies =
            [Manner::Wrong, Manner::HalfWrong, Manner::Longer, Manner::Shorter, Manner::Fickle, Manner::OtherPiece];
        prop_assert!(lies.contains(&manner), "{manner:?} is banned");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn one_honest_peer_is_enough(
        size in prop_oneof![1..200_usize, 16_000..17_000_usize, 30_000..200_000_usize],
        mut manners in prop::collection::vec(manner(), PEERS as usize - 1),
        order in prop::collection::vec(any::<usize>(), 60),
    ) {
        manners.push(Manner::Honest);
        play(size, manners, &order)?;
    }

    /// Whatever is said in whatever order, by whomever, it holds its bounds.
    #[test]
    fn nonsense_breaks_nothing(steps in prop::collection::vec((0..6_u8, 0..9_u64, 0..12_u32, any::<u32>()), 0..300)) {
        let mut search = MetadataDownload::new(InfoHash([1; 20]));
        let mut now = Instant::now();
        let mut asks = Vec::new();
        for (what, key, piece, number) in steps {
            let key = PeerKey(key);
            match what {
                0 => drop(search.offered(key, number % 31_000_000)),
                1 => {
                    let data = Bytes::from(vec![3; number as usize % 20_000]);
                    drop(search.data(key, piece, (number % 3 == 0).then_some(number), &data));
                }
                2 => search.rejected(now, key, piece),
                3 => search.on_disconnected(key),
                4 => now += Duration::from_millis(u64::from(number % 20_000)),
                _ => {
                    // What was asked for comes, and is wrong.
                    if let Some((key, piece)) = asks.pop() {
                        drop(search.data(key, piece, None, &Bytes::from(vec![9; BLOCK])));
                    }
                }
            }
            search.poll(now, &mut asks);
            asks.truncate(1000);
            search.check_invariants().map_err(TestCaseError::fail)?;
            let Some(at) = search.deadline() else { continue };
            prop_assert!(at > now, "it wants to be called at once, again and again");
        }
    }
}
