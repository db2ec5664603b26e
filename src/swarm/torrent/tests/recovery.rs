//! Tests of disk errors: requests stop, the disk is probed, and the download resumes.

use std::time::Duration;

use bytes::Bytes;

use super::*;
use crate::swarm::job::{DiskDone, DiskFault, DiskJob, FaultKind, Probe};
use crate::swarm::reason::Reason;
use crate::swarm::view::State;

const FULL: FaultKind = FaultKind::Full;
const PASSING: FaultKind = FaultKind::Temporary;
const OTHER: FaultKind = FaultKind::Other;

fn fault(kind: FaultKind, text: &str) -> DiskFault {
    DiskFault { kind, text: text.into() }
}

/// Returns a torrent with the pieces `have`, and a seed from which it has requested the others.
fn with_peer(have: u8) -> (Torrent, Instant) {
    let (mut it, now, _) = torrent_with(1 << 20, |_| ());
    if have > 0 {
        it.handle(now, Input::Stop, &mut Vec::new());
        it.handle(now, Input::Disk(DiskDone::Saved), &mut Vec::new());
        it.handle(now + Duration::from_secs(60), Input::Tick, &mut Vec::new());
        assert!(it.stopped());
        let have = Bytes::copy_from_slice(&[have]);
        it.handle(now, Input::Start { have, check: Vec::new() }, &mut Vec::new());
    }
    let out = meets(&mut it, now, 1, vec![bits(0xff), Message::Unchoke]);
    assert!(have == 0xff || !requests(&out).is_empty());
    (it, now)
}

fn does(it: &mut Torrent, now: Instant, done: DiskDone) -> Vec<Effect> {
    let mut out = Vec::new();
    it.handle(now, Input::Disk(done), &mut out);
    it.check_invariants().unwrap();
    out
}

fn jobs(out: &[Effect]) -> Vec<String> {
    let job = |effect: &Effect| match effect {
        Effect::Disk(DiskJob::Probe(probe)) => Some(format!("{probe:?}")),
        Effect::Disk(DiskJob::Compare) => Some("Compare".to_owned()),
        Effect::Disk(DiskJob::Check(runs)) => Some(format!("{runs:?}")),
        _ => None,
    };
    out.iter().filter_map(job).collect()
}

fn notices(out: &[Effect]) -> Vec<&str> {
    let text = |effect: &'_ Effect| matches!(effect, Effect::Notice(_));
    out.iter().filter(|e| text(e)).map(|e| if let Effect::Notice(text) = e { text.as_str() } else { "" }).collect()
}

/// Advances the time to the next disk job and returns the seconds passed.
fn wait(it: &mut Torrent, now: &mut Instant) -> (u64, Vec<Effect>) {
    let began = *now;
    loop {
        *now += Duration::from_secs(1);
        let mut out = Vec::new();
        it.handle(*now, Input::Tick, &mut out);
        assert!(requests(&out).is_empty(), "nothing is asked while the fault lasts");
        if !jobs(&out).is_empty() || (*now - began).as_secs() > 200 {
            return ((*now - began).as_secs(), out);
        }
    }
}

#[test]
fn after_a_fault_nothing_is_asked_before_a_write_at_the_same_place_has_succeeded() {
    for (kind, text, piece) in [(FULL, "disk full", 3), (PASSING, "an I/O error", 0), (OTHER, "read-only", 7)] {
        let (mut it, mut now) = with_peer(0);
        let failed = |text: &str| DiskDone::Failed { piece: PieceIndex(piece), fault: fault(kind, text) };
        let out = does(&mut it, now, failed(text));
        assert_eq!(notices(&out), [text]);
        let cancelled = out.iter().filter(|e| matches!(e, Effect::Send { message: Message::Cancel(_), .. })).count();
        assert!(cancelled > 0 && requests(&out).is_empty());
        // Further writes fail with the same error: no second notice, no earlier probe.
        assert!(notices(&does(&mut it, now, failed(text))).is_empty());
        let view = it.view(now, false);
        assert_eq!((view.state, view.fault, view.error.as_deref()), (State::Error, Some(kind), Some(text)));
        assert_eq!(view.why.reason, Reason::Fault(fault(kind, text)));
        for pause in [5, 10, 20, 40, 60, 60] {
            let (waited, out) = wait(&mut it, &mut now);
            assert_eq!((waited, jobs(&out)), (pause, vec![format!("{:?}", Probe::Write(PieceIndex(piece)))]));
            let out = does(&mut it, now, DiskDone::ProbeDone(Err(fault(kind, text))));
            assert!(notices(&out).is_empty() && requests(&out).is_empty());
            // Peers that connect meanwhile get no requests either.
            assert!(requests(&meets(&mut it, now, 2, vec![bits(0xff), Message::Unchoke])).is_empty());
            it.handle(
                now,
                Input::PeerDisconnected { peer: PeerKey(2), why: DisconnectReason::Closed },
                &mut Vec::new(),
            );
        }
        wait(&mut it, &mut now);
        let out = does(&mut it, now, DiskDone::ProbeDone(Ok(())));
        assert!(notices(&out)[0].contains("resuming") && !requests(&out).is_empty());
        assert_eq!(it.view(now, false).state, State::Downloading);
        // The pause stays long if the error returns at once; a verified piece resets the pause.
        does(&mut it, now, failed(text));
        assert_eq!(wait(&mut it, &mut now).0, 60);
        does(&mut it, now, DiskDone::ProbeDone(Ok(())));
        does(&mut it, now, DiskDone::Verified { piece: PieceIndex(1), blocks: Vec::new() });
        does(&mut it, now, failed(text));
        assert_eq!(wait(&mut it, &mut now).0, 5);
    }
}

#[test]
fn what_could_not_be_read_is_hashed_when_it_can_be_and_not_fetched() {
    for (kind, pieces, runs) in
        [(PASSING, vec![2], "[2..3]"), (OTHER, vec![0, 1, 7], "[0..2, 7..8]"), (FULL, vec![5], "[5..6]")]
    {
        let (mut it, mut now) = with_peer(0xff);
        assert_eq!(it.view(now, false).state, State::Seeding);
        meets(&mut it, now, 3, vec![bits(0), Message::Interested]);
        let blocks = pieces.iter().map(|n| Block { piece: PieceIndex(*n), begin: 0, length: BLOCK }).collect();
        let mut out = Vec::new();
        let words = fault(kind, "cannot read it");
        it.handle(now, Input::ReadFailed { peer: PeerKey(3), blocks, fault: words }, &mut out);
        assert_eq!((notices(&out), it.view(now, false).state), (vec!["cannot read it"], State::Error));
        assert_eq!(jobs(&wait(&mut it, &mut now).1), ["Read"]);
        assert_eq!(jobs(&does(&mut it, now, DiskDone::ProbeDone(Ok(())))), [runs]);
        // The first check fails, the second succeeds.
        does(&mut it, now, DiskDone::CheckDone(Some(fault(kind, "cannot read it"))));
        let (waited, out) = wait(&mut it, &mut now);
        assert_eq!((waited, jobs(&out)), (10, vec!["Read".to_owned()]));
        does(&mut it, now, DiskDone::ProbeDone(Ok(())));
        for piece in &pieces {
            does(&mut it, now, DiskDone::Checked { first: PieceIndex(*piece), good: vec![true] });
        }
        let out = does(&mut it, now, DiskDone::CheckDone(None));
        assert!(requests(&out).is_empty() && !out.iter().any(|e| matches!(e, Effect::Complete)), "nothing was fetched");
        let view = it.view(now, false);
        assert_eq!((view.state, view.have, view.error), (State::Seeding, PIECES, None));
    }
}

#[test]
fn a_check_that_meets_a_fault_is_made_up_for() {
    for (lost, asked) in [(vec![1], 4), (vec![6, 7], 8), (vec![], 0)] {
        let (mut it, mut now) = with_peer(0xff);
        it.handle(now, Input::Command(TorrentCommand::Verify), &mut Vec::new());
        let good = (0..PIECES).map(|n| n < 4).collect();
        does(&mut it, now, DiskDone::Checked { first: PieceIndex(0), good });
        does(&mut it, now, DiskDone::CheckDone(Some(fault(OTHER, "a folder is in its place"))));
        assert_eq!(it.view(now, false).state, State::Error);
        assert!(requests(&meets(&mut it, now, 4, vec![bits(0xff), Message::Unchoke])).is_empty());
        wait(&mut it, &mut now);
        assert_eq!(jobs(&does(&mut it, now, DiskDone::ProbeDone(Ok(())))), ["[4..8]"]);
        let good = (4..PIECES).map(|n| !lost.contains(&n)).collect();
        does(&mut it, now, DiskDone::Checked { first: PieceIndex(4), good });
        let out = does(&mut it, now, DiskDone::CheckDone(None));
        let lost = lost.iter().filter(|n| **n >= 4).count();
        assert_eq!(requests(&out).len(), if lost > 0 { asked } else { 0 });
    }
}

#[test]
fn what_is_final_is_not_tried() {
    let (mut it, mut now) = with_peer(0);
    does(&mut it, now, DiskDone::Failed { piece: PieceIndex(2), fault: fault(FaultKind::Final, "it cannot be") });
    let (_, out) = wait(&mut it, &mut now);
    assert!(jobs(&out).is_empty());
    assert_eq!(it.view(now, false).why.reason, Reason::Fault(fault(FaultKind::Final, "it cannot be")));
}

#[test]
fn files_that_others_remove_are_found_and_fetched_again() {
    let lost = |how: &str| fault(FaultKind::Changed, how);
    for end in ["piece", "watch", "read"] {
        let (mut it, mut now) = with_peer(0x0f);
        let tell = |it: &mut Torrent, now| match end {
            "piece" => does(it, now, DiskDone::Failed { piece: PieceIndex(2), fault: lost("a is missing") }),
            "watch" => does(it, now, DiskDone::Lost(lost("a was removed"))),
            _ => {
                let blocks = vec![Block { piece: PieceIndex(5), begin: 0, length: BLOCK }];
                let mut out = Vec::new();
                it.handle(now, Input::ReadFailed { peer: PeerKey(1), blocks, fault: lost("a is missing") }, &mut out);
                out
            }
        };
        assert!(requests(&tell(&mut it, now)).is_empty());
        assert_eq!(it.view(now, false).state, State::Error);
        // It may be that its disk is away: the pauses grow, but to no more than a minute.
        for seconds in [5, 10, 20, 40, 60] {
            let (after, out) = wait(&mut it, &mut now);
            assert_eq!((after, jobs(&out)), (seconds, vec!["Compare".to_owned()]), "{end}");
            let out = does(&mut it, now, DiskDone::Compared(Err(lost("its folder is not there"))));
            assert!(jobs(&out).is_empty() && requests(&out).is_empty());
        }
        let (_, out) = wait(&mut it, &mut now);
        assert_eq!(jobs(&out), ["Compare"]);
        let out = does(&mut it, now, DiskDone::Compared(Ok(std::iter::once(2..6).collect())));
        assert_eq!(jobs(&out), ["[2..6]"]);
        let view = it.view(now, false);
        assert_eq!((view.state, view.have, view.error), (State::Checking, 2, None), "{end}");
        does(&mut it, now, DiskDone::Checked { first: PieceIndex(2), good: vec![false, false, false, true] });
        does(&mut it, now, DiskDone::CheckDone(None));
        assert_eq!(it.view(now, false).have, 3);
        let out = meets(&mut it, now, 8, vec![bits(0xff), Message::Unchoke]);
        assert!(!requests(&out).is_empty(), "{end}");
        // Where nothing was found changed after all, it goes on as it was.
        tell(&mut it, now);
        let (_, out) = wait(&mut it, &mut now);
        assert_eq!(jobs(&out), ["Compare"]);
        let out = does(&mut it, now, DiskDone::Compared(Ok(Vec::new())));
        if end == "read" {
            assert_eq!(jobs(&out), ["[5..6]"]);
            does(&mut it, now, DiskDone::Checked { first: PieceIndex(5), good: vec![true] });
            does(&mut it, now, DiskDone::CheckDone(None));
        }
        assert_eq!((it.view(now, false).state, it.view(now, false).have), (State::Downloading, 3), "{end}");
    }
}

#[test]
fn a_name_that_is_refused_stops_the_torrent_so_that_it_is_opened_with_other_names() {
    for (have, done) in [
        (0, DiskDone::Failed { piece: PieceIndex(0), fault: fault(FaultKind::NameRefused, "no such name") }),
        (0, DiskDone::Unplaced(fault(FaultKind::NameRefused, "no such name"))),
        (0xff, DiskDone::Unfinished(fault(FaultKind::NameRefused, "no such name"))),
    ] {
        let (mut it, now) = with_peer(have);
        let out = does(&mut it, now, done.clone());
        let told = |effect: &Effect| matches!(effect, Effect::Occupied(fault) if fault.kind == FaultKind::NameRefused);
        assert_eq!(out.iter().filter(|effect| told(effect)).count(), 1, "{done:?}");
        assert_eq!(it.view(now, false).state, State::Paused, "{done:?}");
    }
}
