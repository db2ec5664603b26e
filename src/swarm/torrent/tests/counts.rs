use super::*;
use crate::swarm::job::DiskJob;
use crate::wire::tracker::AnnounceEvent;

const B: u64 = BLOCK as u64;

/// Creates consecutive files from pairs of length and padding flag.
fn files(of: &[(u64, bool)]) -> Vec<FileSpan> {
    let mut offset = 0;
    let span = |(n, (length, pad)): (usize, &(u64, bool))| {
        offset += length;
        FileSpan { path: format!("t/{n}"), offset: offset - length, length: *length, pad: *pad, web: None }
    };
    of.iter().enumerate().map(span).collect()
}

/// Creates a torrent of these files with pieces of four blocks and one tracker.
fn of_files(of: &[(u64, bool)], change: impl FnOnce(&mut TorrentConfig)) -> (Torrent, Instant, Vec<Effect>) {
    torrent_with(1 << 30, |config| {
        config.files = files(of);
        config.geometry = Geometry::new(of.iter().map(|(length, _)| length).sum(), 4 * BLOCK);
        config.trackers = vec![vec!["http://t.example/announce".into()]];
        change(config);
    })
}

/// Connects a seed that sends every requested block, and returns the requests.
fn fetch(it: &mut Torrent, now: Instant, key: u64, out: &mut Vec<Effect>) -> Vec<Block> {
    let all = crate::swarm::bitfield::Bitfield::full(it.pieces());
    out.extend(meets(it, now, key, vec![Message::Bitfield(all.to_wire()), Message::Unchoke]));
    let mut asked = Vec::new();
    let mut seen = 0;
    while seen < out.len() {
        let new = requests(&out[seen..]);
        seen = out.len();
        for block in new {
            let data = bytes::Bytes::from(vec![0; block.length as usize]);
            says(it, now, key, vec![Message::Piece { piece: block.piece, begin: block.begin, data }], out);
            let whole = it
                .picker
                .progress(block.piece)
                .is_some_and(|(here, _)| here == it.picker.map().data_blocks(block.piece));
            if whole {
                it.handle(now, Input::Disk(DiskDone::Verified { piece: block.piece, blocks: Vec::new() }), out);
                it.check_invariants().unwrap();
            }
            asked.push(block);
        }
        if out.iter().any(|effect| matches!(effect, Effect::Disk(DiskJob::Compare))) {
            out.retain(|effect| !matches!(effect, Effect::Disk(DiskJob::Compare)));
            it.handle(now, Input::Disk(DiskDone::Compared(Ok(Vec::new()))), out);
        }
    }
    asked.sort_unstable_by_key(|block| (block.piece, block.begin));
    asked
}

/// Answers all announces and returns their events and `left`.
fn told(it: &mut Torrent, now: Instant, out: &mut Vec<Effect>) -> Vec<(AnnounceEvent, u64)> {
    let mut all = Vec::new();
    let mut todo = std::mem::take(out);
    while !todo.is_empty() {
        let mut next = Vec::new();
        for effect in todo {
            if let Effect::Announce { tracker, ask } = effect {
                all.push((ask.event, ask.left));
                it.handle(now, Input::AnnounceDone { tracker, result: Ok(AnnounceResponse::default()) }, &mut next);
            }
        }
        todo = next;
    }
    all
}

#[test]
fn padding_is_asked_of_nobody_and_counted_nowhere() {
    /// Files (length, padding flag), bytes that count, and number of blocks requested.
    type Case = (&'static [(u64, bool)], u64, usize);
    let cases: [Case; 4] = [
        (&[(1000, false), (4 * B - 1000, true), (2000, false)], 3000, 2),
        (&[(5 * B, false), (3 * B, true), (B, false), (3 * B, true), (10, false)], 6 * B + 10, 7),
        (&[(4 * B, false), (12 * B, true), (7, false), (B, true)], 4 * B + 7, 5),
        (&[(B / 2, true), (B / 2 + 1, false), (3 * B - 1, true), (B, false)], 3 * B / 2 + 1, 3),
    ];
    for (of, size, blocks) in cases {
        let (mut it, now, mut out) = of_files(of, |_| ());
        let before = it.view(now, false);
        assert_eq!((before.size, before.wanted, before.done), (size, size, 0), "{of:?}");
        let asked = fetch(&mut it, now, 1, &mut out);
        assert_eq!(asked.len(), blocks, "{asked:?}");
        let bytes: u64 = asked.iter().map(|block| u64::from(block.length)).sum();
        assert!((size..=size + B).contains(&bytes), "{bytes} asked for, {size} are data");
        let after = it.view(now, false);
        assert_eq!((after.wanted, after.done, it.is_complete()), (size, size, true));
        assert_eq!(told(&mut it, now, &mut out)[0], (AnnounceEvent::Started, size));
    }
}

#[test]
fn padding_is_served_to_whoever_asks_for_it() {
    let (mut it, now, mut out) = of_files(&[(1000, false), (4 * B - 1000, true), (4 * B, false)], |_| ());
    fetch(&mut it, now, 1, &mut out);
    meets(&mut it, now, 12, vec![Message::Interested]);
    let mut out = Vec::new();
    for n in 0..4 {
        let block = Block { piece: PieceIndex(0), begin: n * BLOCK, length: BLOCK };
        says(&mut it, now, 12, vec![Message::Request(block)], &mut out);
    }
    let served = out.iter().filter(|effect| matches!(effect, Effect::SendBlock { .. })).count();
    assert_eq!(served, 4);
}

#[test]
fn a_web_seed_is_asked_for_files_and_not_for_what_lies_between_them() {
    let of = [(B + 9, false), (3 * B - 9, true), (3 * B, false), (B, true), (5, false)];
    let (mut it, now, mut out) = of_files(&of, |config| {
        config.web_seeds = vec!["http://w.example/x/".into()];
        config.is_folder = true;
    });
    let mut bytes = vec![0; of.len()];
    let mut at = 0;
    while at < out.len() {
        let Effect::WebFetch { peer, fetch } = &out[at] else {
            at += 1;
            continue;
        };
        let (peer, fetch) = (*peer, fetch.clone());
        at += 1;
        assert!(fetch.parts.iter().all(|part| part.url.is_some()), "{:?}", fetch.parts);
        fetch.parts.iter().for_each(|part| bytes[part.file] += part.length);
        let length = |all: &mut dyn Iterator<Item = u64>| all.sum::<u64>();
        let of_blocks = length(&mut fetch.blocks.iter().map(|block| u64::from(block.length)));
        assert_eq!(of_blocks, length(&mut fetch.parts.iter().map(|part| part.length)));
        let piece = |block: &Block| Message::Piece {
            piece: block.piece,
            begin: block.begin,
            data: vec![0; block.length as usize].into(),
        };
        says(&mut it, now, peer.0, fetch.blocks.iter().map(piece).collect(), &mut out);
        it.handle(now, Input::WebFetchDone { peer, result: Ok(()) }, &mut out);
    }
    assert_eq!(bytes, [B + 9, 0, 3 * B, 0, 5]);
}

#[test]
fn a_tracker_hears_what_of_the_whole_is_missing_and_completed_once_in_a_life() {
    use AnnounceEvent::{Completed, None, Paused, Started};
    let want = |it: &mut Torrent, now: Instant, files: &[(usize, Priority)]| {
        it.handle(now, Input::Command(TorrentCommand::Priority(files.to_vec())), &mut Vec::new());
    };
    let later = |it: &mut Torrent, now: &mut Instant| {
        *now += Duration::from_secs(3600);
        let mut out = Vec::new();
        it.handle(*now, Input::Command(TorrentCommand::Announce(Option::None)), &mut out);
        told(it, *now, &mut out)
    };
    let skip = vec![(1, Priority::Skip)];
    let (mut it, mut now, mut out) =
        of_files(&[(4 * B, false), (8 * B, false), (4 * B, false)], |config| config.priorities = skip);
    fetch(&mut it, now, 1, &mut out);
    let heard = told(&mut it, now, &mut out);
    assert_eq!((heard, it.is_complete()), (vec![(Started, 16 * B)], true), "what is wanted is here, not all");
    assert_eq!(later(&mut it, &mut now), [(Paused, 8 * B)]);
    want(&mut it, now, &[(1, Priority::Normal)]);
    assert_eq!(later(&mut it, &mut now), [(None, 8 * B)]);
    fetch(&mut it, now, 12, &mut out);
    assert_eq!(told(&mut it, now, &mut out), [(Completed, 0)]);
    // A lost and refetched piece, priority changes and a restart cause no second `completed`.
    let fault = DiskFault { kind: crate::swarm::job::FaultKind::Changed, text: "lost".into() };
    let block = Block { piece: PieceIndex(2), begin: 0, length: BLOCK };
    it.handle(now, Input::ReadFailed { peer: PeerKey(12), blocks: vec![block], fault }, &mut out);
    assert_eq!(later(&mut it, &mut now), [(None, 4 * B)]);
    it.fault = Option::None;
    fetch(&mut it, now, 13, &mut out);
    want(&mut it, now, &[(0, Priority::Skip)]);
    want(&mut it, now, &[(0, Priority::Normal)]);
    assert!(it.is_complete() && told(&mut it, now, &mut out).iter().all(|(event, _)| *event != Completed));
    assert_eq!(later(&mut it, &mut now), [(None, 0)]);
    // `was_whole` is saved across runs. Data found complete by a check causes no `completed` either.
    for (recorded, have) in [(it.totals(), vec![0xe0]), (Totals::default(), vec![0xf0])] {
        let (mut next, now, _) = of_files(&[(16 * B, false)], |config| config.totals = recorded);
        let mut out = Vec::new();
        next.handle(now, Input::Stop, &mut out);
        next.handle(now, Input::Disk(DiskDone::Saved), &mut out);
        next.handle(now + Duration::from_secs(60), Input::Tick, &mut out);
        out.clear();
        next.handle(now, Input::Start { have: have.into(), check: Vec::new() }, &mut out);
        fetch(&mut next, now, 1, &mut out);
        assert!(told(&mut next, now, &mut out).iter().all(|(event, _)| *event != Completed));
        assert!(next.totals().was_whole);
    }
}

#[test]
fn totals_go_on_from_what_is_known_at_most_and_are_recorded_when_they_change() {
    let (mut it, now, mut out) = of_files(&[(16 * B, false)], |config| config.totals.uploaded = 7 * B);
    let known = |it: &Torrent| (it.totals().downloaded, it.totals().uploaded);
    for (recorded, is) in [((0, 0), (0, 7 * B)), ((3, 9 * B), (3, 9 * B)), ((2, 10), (3, 9 * B))] {
        it.recall_totals(Totals { downloaded: recorded.0, uploaded: recorded.1, was_whole: false });
        assert_eq!(known(&it), is);
    }
    fetch(&mut it, now, 1, &mut out);
    assert_eq!(known(&it), (16 * B + 3, 9 * B));
    let recorded = |out: &mut Vec<Effect>| {
        let totals = |effect: Effect| if let Effect::Disk(DiskJob::Totals(it)) = effect { Some(it) } else { None };
        std::mem::take(out).into_iter().filter_map(totals).last()
    };
    assert!(recorded(&mut out).is_some_and(|it| it.was_whole), "that it was whole is recorded at once");
    it.handle(now, Input::BytesSent { peer: PeerKey(1), bytes: B }, &mut out);
    assert_eq!(recorded(&mut out), None);
    it.handle(now + Duration::from_secs(61), Input::Tick, &mut out);
    assert_eq!(recorded(&mut out).map(|it| it.uploaded), Some(10 * B));
    it.handle(now + Duration::from_secs(200), Input::BytesSent { peer: PeerKey(1), bytes: B }, &mut out);
    it.handle(now + Duration::from_secs(201), Input::Stop, &mut out);
    assert_eq!(recorded(&mut out).map(|it| it.uploaded), Some(11 * B));
    // A second run of the same state machine does not count its own saved totals twice.
    let before = it.totals();
    it.recall_totals(before);
    assert_eq!(it.totals(), before);
}

#[test]
fn who_was_let_go_is_called_at_once_when_something_is_wanted_again() {
    let seed: SocketAddr = "8.8.4.4:6881".parse().unwrap();
    let dials = |out: &[Effect]| out.iter().filter(|e| matches!(e, Effect::Dial { addr, .. } if *addr == seed)).count();
    for case in 0..3 {
        let skip = vec![(1, Priority::Skip)];
        let (mut it, now, mut out) = of_files(&[(8 * B, false), (8 * B, false)], |config| config.priorities = skip);
        it.handle(now, Input::PeersFound { source: Source::Tracker, addrs: vec![seed] }, &mut out);
        assert_eq!(dials(&out), 1);
        let hello = PeerInfo {
            addr: seed,
            outgoing: true,
            utp: false,
            peer_id: PeerId([9; 20]),
            reserved: Reserved::default(),
            encrypted: None,
        };
        it.handle(now, Input::PeerConnected { peer: PeerKey(9), hello }, &mut out);
        says(&mut it, now, 9, vec![bits(0xf0)], &mut out);
        fetch(&mut it, now, 1, &mut out);
        let gone = |e: &Effect| matches!(e, Effect::Disconnect { peer: PeerKey(9), why: DisconnectReason::Useless });
        assert!(it.is_complete() && out.iter().any(gone));
        let mut out = Vec::new();
        let soon = now + Duration::from_secs(20);
        it.handle(soon, Input::Tick, &mut out);
        assert_eq!(dials(&out), 0);
        match case {
            0 => it.handle(soon, Input::Command(TorrentCommand::Priority(vec![(1, Priority::Low)])), &mut out),
            1 => {
                it.handle(soon, Input::Command(TorrentCommand::Verify), &mut out);
                it.handle(
                    soon,
                    Input::Disk(DiskDone::Checked { first: PieceIndex(0), good: vec![false; 4] }),
                    &mut out,
                );
                it.handle(soon, Input::Disk(DiskDone::CheckDone(None)), &mut out);
            }
            _ => {
                let fault = DiskFault { kind: crate::swarm::job::FaultKind::Changed, text: "lost".into() };
                let block = Block { piece: PieceIndex(0), begin: 0, length: BLOCK };
                it.handle(soon, Input::ReadFailed { peer: PeerKey(7), blocks: vec![block], fault }, &mut out);
            }
        }
        it.handle(soon, Input::Tick, &mut out);
        assert_eq!(dials(&out), 1, "case {case}");
    }
}
