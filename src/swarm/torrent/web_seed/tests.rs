use std::time::Duration;

use bytes::Bytes;

use super::super::tests::{PIECES, meets, says, torrent_with};
use super::super::*;
use crate::limits::{self, BLOCK};
use crate::swarm::job::{DiskDone, DiskJob};
use crate::swarm::reason::{DownloadReason, Reason};
use crate::swarm::status::WebSeedProblem;
use crate::wire::message::{Block, Message};

/// Two files, the second of which starts inside piece 4.
fn torrent(quota: Quota) -> (Torrent, Instant, Vec<(PeerKey, WebSeedFetch)>) {
    let (it, now, mut out) = torrent_with(quota.budget, |config| {
        config.quota = quota;
        config.sequential = true;
        let span = |path: &str, offset, length| FileSpan { path: path.into(), offset, length, pad: false, web: None };
        let middle = u64::from(4 * 4 * BLOCK + 100);
        config.files = vec![span("t/a b", 0, middle), span("t/c", middle, config.geometry.total() - middle)];
        config.is_folder = true;
        config.web_seeds = vec!["http://w.example/x".into()];
    });
    it.check_invariants().unwrap();
    (it, now, fetches(&mut out))
}

const ALL: Quota = Quota {
    down: None,
    up: None,
    budget: 1 << 20,
    rank: Priority::Normal,
    disk_busy: 0,
    reach: Reachability::Unknown,
    max_peers: None,
    outside: None,
};

fn fetches(out: &mut Vec<Effect>) -> Vec<(PeerKey, WebSeedFetch)> {
    let fetch = |effect| match effect {
        Effect::WebFetch { peer, fetch } => Some((peer, fetch)),
        _ => None,
    };
    std::mem::take(out).into_iter().filter_map(fetch).collect()
}

fn tick(it: &mut Torrent, now: Instant) -> Vec<(PeerKey, WebSeedFetch)> {
    let mut out = Vec::new();
    it.handle(now, Input::Tick, &mut out);
    it.check_invariants().unwrap();
    fetches(&mut out)
}

fn give(it: &mut Torrent, now: Instant, (peer, fetch): &(PeerKey, WebSeedFetch)) -> Vec<Effect> {
    let piece = |block: &Block| Message::Piece {
        piece: block.piece,
        begin: block.begin,
        data: Bytes::from(vec![0; block.length as usize]),
    };
    let mut out = Vec::new();
    says(it, now, peer.0, fetch.blocks.iter().map(piece).collect(), &mut out);
    it.handle(now, Input::WebFetchDone { peer: *peer, result: Ok(()) }, &mut out);
    out
}

fn dropped(out: &[Effect]) -> Vec<DisconnectReason> {
    let drop = |effect: &Effect| if let Effect::Disconnect { why, .. } = effect { Some(why.clone()) } else { None };
    out.iter().filter_map(drop).collect()
}

#[test]
fn alone_it_gives_everything_in_runs_and_leaves_when_that_is_done() {
    let (mut it, now, mut todo) = torrent(Quota { budget: 12 * u64::from(BLOCK), ..ALL });
    let row = it.view(now, true).detail.unwrap().peers.remove(0);
    assert_eq!((row.host.as_deref(), row.client.as_str(), row.source.word()), (Some("w.example"), "web seed", "web"));
    let mut given = 0;
    while !it.is_complete() {
        let fetch = todo.remove(0);
        let offset = |block: &Block| it.config.geometry.offset(block.piece, block.begin);
        let row = fetch.1.blocks.windows(2).all(|two| offset(&two[0]) + u64::from(two[0].length) == offset(&two[1]));
        assert!(row, "blocks of a fetch follow each other");
        assert_eq!(fetch.1.parts.iter().map(|p| p.length).sum::<u64>(), fetch.1.blocks.len() as u64 * u64::from(BLOCK));
        given += fetch.1.blocks.len();
        let mut out = give(&mut it, now, &fetch);
        for piece in (0..PIECES).map(PieceIndex).filter(|p| fetch.1.blocks.iter().any(|b| b.piece == *p)) {
            if it.picker.progress(piece).is_some_and(|(here, _)| here == 4) {
                it.handle(now, Input::Disk(DiskDone::Verified { piece, blocks: vec![] }), &mut out);
            }
        }
        it.handle(now, Input::Disk(DiskDone::Wrote(1 << 20)), &mut out);
        if out.iter().any(|effect| matches!(effect, Effect::Disk(DiskJob::Compare))) {
            it.handle(now, Input::Disk(DiskDone::Compared(Ok(vec![]))), &mut out);
        }
        it.check_invariants().unwrap();
        if it.is_complete() {
            assert_eq!(dropped(&out), [DisconnectReason::Useless]);
        }
        todo.extend(fetches(&mut out));
    }
    assert_eq!(given, 4 * PIECES as usize, "nothing was asked for twice");
}

#[test]
fn bytes_of_both_files_are_asked_for_where_they_lie() {
    let (mut it, now, mut all) = torrent(ALL);
    let mut out = give(&mut it, now, &all[0]);
    all.extend(fetches(&mut out));
    let all: Vec<FileRange> = all.into_iter().flat_map(|(_, fetch)| fetch.parts).collect();
    let first = all.iter().find(|part| part.file == 0).unwrap();
    assert_eq!(first.url.as_deref(), Some("http://w.example/x/t/a%20b"));
    let second = all.iter().find(|part| part.file == 1).unwrap();
    assert_eq!((second.url.as_deref(), second.from), (Some("http://w.example/x/t/c"), 0));
    assert_eq!((first.size, second.size), (u64::from(16 * BLOCK + 100), u64::from(16 * BLOCK - 100)));
}

#[test]
fn one_that_gives_bad_data_is_banned_and_the_file_named() {
    let (mut it, now, mut fetches) = torrent(ALL);
    let fetch = fetches.remove(0);
    let mut out = give(&mut it, now, &fetch);
    let piece = fetch.1.blocks[0].piece;
    it.handle(now, Input::Disk(DiskDone::Corrupt { piece, blocks: vec![[0; 20]; 4] }), &mut out);
    it.check_invariants().unwrap();
    let file = match piece.0 {
        0..4 => "t/a b",
        4 => "t/a b or t/c",
        _ => "t/c",
    };
    let words = format!("banned web seed w.example: sent bad data (piece {piece}, of {file})");
    assert!(out.iter().any(|e| matches!(e, Effect::Notice(text) if *text == words)), "{words}: {out:?}");
    assert!(matches!(dropped(&out)[..], [DisconnectReason::Banned(_)]));
    assert!(tick(&mut it, now + Duration::from_secs(90_000)).is_empty(), "it is not asked again");
    let problem = web_seed_problem(&it, now);
    assert!(matches!(&problem, WebSeedProblem::Banned(why) if why.starts_with("sent bad data")), "{problem:?}");
}

/// The last problem of the only web seed, as the reason for having no peers names it.
fn web_seed_problem(it: &Torrent, now: Instant) -> WebSeedProblem {
    let why = it.view(now, false).why.reason;
    let Reason::Downloading(DownloadReason::NoPeers(nobody)) = why else { panic!("{why:?}") };
    let seed = nobody.web_seed.unwrap();
    assert_eq!(seed.host, "w.example");
    seed.problem.unwrap()
}

#[test]
fn a_peer_that_shared_the_bad_piece_is_not_blamed_for_it() {
    let (mut it, now, mut fetches) = torrent(ALL);
    let fetch = fetches.remove(0);
    let bad = fetch.1.blocks[0].piece;
    // All blocks of the first piece but the last arrive, then the fetch fails and a peer sends the rest.
    let some = WebSeedFetch { blocks: fetch.1.blocks[..3].to_vec(), parts: vec![], whole: false };
    give(&mut it, now, &(fetch.0, some));
    let fault = WebSeedError { file: None, wait: None, whole: false, words: "it broke off".into() };
    it.handle(now, Input::WebFetchDone { peer: fetch.0, result: Err(fault) }, &mut Vec::new());
    it.check_invariants().unwrap();
    let asked = |out: &[Effect]| -> Vec<Block> {
        let request =
            |e: &Effect| if let Effect::Send { message: Message::Request(b), .. } = e { Some(*b) } else { None };
        out.iter().filter_map(request).collect()
    };
    let mut out = meets(&mut it, now, 1, vec![Message::Bitfield(Bytes::from_static(&[0xff])), Message::Unchoke]);
    let last = asked(&out).into_iter().find(|b| b.piece == bad).unwrap();
    let data = |byte| Bytes::from(vec![byte; BLOCK as usize]);
    says(&mut it, now, 1, vec![Message::Piece { piece: bad, begin: last.begin, data: data(7) }], &mut out);
    // Block hashes: 0 for the web seed's blocks, 7 for the peer's.
    let blocks = vec![[0; 20], [0; 20], [0; 20], [7; 20]];
    it.handle(now, Input::Disk(DiskDone::Corrupt { piece: bad, blocks }), &mut out);
    assert!(dropped(&out).is_empty(), "nobody can be blamed yet");
    it.handle(now, Input::Disk(DiskDone::Verified { piece: bad, blocks: vec![[7; 20]; 4] }), &mut out);
    it.check_invariants().unwrap();
    assert!(out.iter().any(|e| matches!(e, Effect::Notice(text) if text.starts_with("banned web seed w.example"))));
    assert_eq!(it.view(now, false).peers, 1, "the peer is still there");
}

#[test]
fn a_missing_file_leaves_the_others_and_a_busy_server_is_left_alone_for_a_while() {
    let (mut it, now, mut asked) = torrent(ALL);
    let (peer, _) = asked.remove(0);
    let words = "t/a b is not to be had there (status 404)".to_owned();
    let fault = WebSeedError { file: Some(0), wait: None, whole: false, words: words.clone() };
    let mut out = Vec::new();
    it.handle(now, Input::WebFetchDone { peer, result: Err(fault) }, &mut out);
    it.check_invariants().unwrap();
    assert!(out.iter().any(|e| matches!(e, Effect::Notice(text) if *text == format!("web seed w.example: {words}"))));
    let again = fetches(&mut out);
    assert!(!again.is_empty() && again.iter().flat_map(|(_, f)| &f.blocks).all(|b| b.piece.0 > 4), "{again:?}");
    let fault =
        WebSeedError { file: None, wait: Some(Duration::from_secs(77)), whole: false, words: "status 503".into() };
    it.handle(now, Input::WebFetchDone { peer: again[0].0, result: Err(fault) }, &mut out);
    assert_eq!(web_seed_problem(&it, now), WebSeedProblem::Failed("status 503".into()));
    assert_eq!(it.deadline(now), now + Duration::from_secs(77));
    assert!(tick(&mut it, now + Duration::from_secs(76)).is_empty());
    assert!(!tick(&mut it, now + Duration::from_secs(77)).is_empty());
}

#[test]
fn one_that_sends_nothing_more_is_left_and_peers_get_its_blocks() {
    let (mut it, now, asked) = torrent(ALL);
    assert!(!asked.is_empty());
    let late = now + limits::REQUEST;
    let mut out = Vec::new();
    it.handle(late, Input::Tick, &mut out);
    assert!(matches!(dropped(&out)[..], [DisconnectReason::TimedOut(_)]));
    let out = meets(&mut it, late, 1, vec![Message::Bitfield(Bytes::from_static(&[0xff])), Message::Unchoke]);
    let asked = out.iter().filter(|e| matches!(e, Effect::Send { message: Message::Request(_), .. })).count();
    assert_eq!(asked, 4 * PIECES as usize);
}

#[test]
fn what_a_peer_brings_first_ends_the_fetch() {
    let (mut it, now, all) = torrent(ALL);
    assert!(!all.is_empty());
    let mut out = meets(&mut it, now, 1, vec![Message::Bitfield(Bytes::from_static(&[0xff])), Message::Unchoke]);
    let mut stopped = false;
    for _ in 0..4 * PIECES {
        let request =
            |e: &Effect| if let Effect::Send { message: Message::Request(b), .. } = e { Some(*b) } else { None };
        for block in std::mem::take(&mut out).iter().filter_map(request) {
            let data = Bytes::from(vec![0; block.length as usize]);
            let piece = Message::Piece { piece: block.piece, begin: block.begin, data };
            says(&mut it, now, 1, vec![piece], &mut out);
        }
        stopped |= out.iter().any(|e| matches!(e, Effect::CancelWebFetch { peer } if *peer == all[0].0));
    }
    assert!(stopped, "the peer brought it all in the endgame");
}

#[test]
fn limits_hold_for_it_and_the_user_can_ban_it() {
    let (mut it, now, mut asked) = torrent(Quota { down: Some(4 * u64::from(BLOCK)), ..ALL });
    let mut at = now;
    let mut blocks = 0;
    for _ in 0..50 {
        for fetch in std::mem::take(&mut asked) {
            blocks += fetch.1.blocks.len();
            let mut out = give(&mut it, at, &fetch);
            asked.extend(fetches(&mut out));
        }
        at += Duration::from_millis(100);
        asked.extend(tick(&mut it, at));
    }
    assert!((16..=22).contains(&blocks), "four blocks a second for five seconds: {blocks}");
    let key = *it.peers.keys().next().unwrap();
    let mut out = Vec::new();
    it.handle(at, Input::Command(TorrentCommand::Ban(key)), &mut out);
    assert_eq!(dropped(&out), [DisconnectReason::Banned("by you".into())]);
}
