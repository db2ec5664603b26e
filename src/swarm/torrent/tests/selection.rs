//! Tests of file selection: skipped files and empty files.

use super::*;
use crate::swarm::job::{DiskJob, FaultKind};
use crate::swarm::reason::{HeldData, Reason, SeedingReason};
use crate::swarm::view::State;

/// Returns what was sent to the disk: the skipped files, and the number of `Finish` jobs.
fn told(out: &[Effect]) -> (Vec<Vec<u32>>, usize) {
    let mut selected = Vec::new();
    let mut finished = 0;
    for effect in out {
        match effect {
            Effect::Disk(DiskJob::Select(files)) => selected.push(files.clone()),
            Effect::Disk(DiskJob::Finish) => finished += 1,
            _ => {}
        }
    }
    (selected, finished)
}

/// Two files of half the pieces each, padding of length zero and an empty file.
fn files(config: &mut TorrentConfig) {
    let half = config.geometry.total() / 2;
    let span = |path: &str, offset, length, pad| FileSpan { path: path.into(), offset, length, pad, web: None };
    config.files = vec![
        span("a", 0, half, false),
        span("pad", half, 0, true),
        span("b", half, half, false),
        span("empty", 2 * half, 0, false),
    ];
}

#[test]
fn the_disk_is_told_which_files_are_not_wanted_at_the_start_and_at_each_change() {
    let (mut it, now, out) = torrent_with(u64::MAX, |config| {
        files(config);
        config.priorities = vec![(1, Priority::Skip), (2, Priority::Skip)];
    });
    assert_eq!(told(&out), (vec![vec![2]], 0));
    for (wish, unwanted) in [
        (vec![(0, Priority::Skip)], vec![0, 2]),
        (vec![(2, Priority::High), (3, Priority::Skip)], vec![0, 3]),
        (vec![(0, Priority::Low), (3, Priority::Normal)], vec![]),
    ] {
        let mut out = Vec::new();
        it.handle(now, Input::Command(TorrentCommand::Priority(wish)), &mut out);
        assert_eq!(told(&out).0, [unwanted]);
    }
}

#[test]
fn a_torrent_that_is_only_seeded_wants_no_piece_whatever_is_selected() {
    for have in [vec![0_u8], vec![0x40], vec![0xff]] {
        let (mut it, now, _) = torrent_with(u64::MAX, |config| {
            files(config);
            config.seed_only = true;
        });
        it.handle(now, Input::Stop, &mut Vec::new());
        it.handle(now, Input::Disk(DiskDone::Saved), &mut Vec::new());
        it.handle(now + limits::LAST_ANNOUNCE, Input::Tick, &mut Vec::new());
        it.handle(now, Input::Start { have: have.clone().into(), check: Vec::new() }, &mut Vec::new());
        for wish in [vec![], vec![(0, Priority::High), (2, Priority::Low)], vec![(2, Priority::Skip)]] {
            it.handle(now, Input::Command(TorrentCommand::Priority(wish)), &mut Vec::new());
            let view = it.view(now, false);
            assert_eq!((view.state, it.picker.missing(), it.picker.amounts().to_fetch), (State::Seeding, 0, 0));
            let some = view.have < view.pieces;
            let Reason::Seeding(SeedingReason { held, .. }) = view.why.reason else { panic!("{:?}", view.why) };
            let part = HeldData::SeedOnly { have: view.have, pieces: view.pieces };
            assert_eq!(held, if some { part } else { HeldData::Complete });
        }
    }
}

#[test]
fn files_without_bytes_are_made_when_all_that_is_wanted_is_there() {
    // Complete according to the resume data.
    let (mut it, now, _) = torrent_with(u64::MAX, files);
    it.handle(now, Input::Stop, &mut Vec::new());
    it.handle(now, Input::Disk(DiskDone::Saved), &mut Vec::new());
    let mut out = Vec::new();
    it.handle(now + limits::LAST_ANNOUNCE, Input::Tick, &mut out);
    assert!(it.stopped());
    it.handle(now, Input::Start { have: vec![0xff].into(), check: Vec::new() }, &mut out);
    assert_eq!(told(&out), (vec![vec![]], 1));
    // The priority is raised again: a `Finish` while complete, none once a piece is missing.
    let mut out = Vec::new();
    it.handle(now, Input::Command(TorrentCommand::Priority(vec![(3, Priority::High)])), &mut out);
    assert_eq!(told(&out).1, 1);
    // Found by a check, with a part of the torrent skipped.
    let (mut it, now, _) = torrent_with(u64::MAX, |config| {
        files(config);
        config.priorities = vec![(2, Priority::Skip)];
    });
    let mut out = Vec::new();
    it.handle(now, Input::Command(TorrentCommand::Verify), &mut out);
    let good = vec![true, true, true, true, false, false, false, false];
    it.handle(now, Input::Disk(DiskDone::Checked { first: PieceIndex(0), good }), &mut out);
    assert_eq!(told(&out).1, 0);
    it.handle(now, Input::Disk(DiskDone::CheckDone(None)), &mut out);
    assert_eq!(told(&out).1, 1);
    let mut out = Vec::new();
    it.handle(now, Input::Command(TorrentCommand::Priority(vec![(2, Priority::Normal)])), &mut out);
    assert_eq!(told(&out), (vec![vec![]], 0));
}

#[test]
fn what_cannot_be_moved_to_its_file_is_tried_again() {
    let (mut it, now, _) = torrent_with(u64::MAX, files);
    for kind in [FaultKind::Full, FaultKind::Other, FaultKind::Temporary] {
        let fault = DiskFault { kind, text: format!("{kind:?}") };
        it.handle(now, Input::Disk(DiskDone::Unplaced(fault)), &mut Vec::new());
        assert!(it.fault.is_some());
        let mut out = Vec::new();
        it.handle(now, Input::Disk(DiskDone::ProbeDone(Ok(()))), &mut out);
        assert!(it.fault.is_some() && told(&out).0.is_empty(), "not before it was probed");
        let later = now + std::time::Duration::from_secs(3600);
        it.handle(later, Input::Tick, &mut out);
        it.handle(later, Input::Disk(DiskDone::ProbeDone(Ok(()))), &mut out);
        assert!(it.fault.is_none());
        assert_eq!(told(&out).0, [Vec::<u32>::new()]);
    }
    // An empty file that cannot be created does not stop the torrent.
    let fault = DiskFault { kind: FaultKind::Other, text: "read-only".into() };
    let mut out = Vec::new();
    it.handle(now, Input::Disk(DiskDone::Unfinished(fault)), &mut out);
    assert!(it.fault.is_none() && out.iter().any(|e| matches!(e, Effect::Notice(text) if text == "read-only")));
}
