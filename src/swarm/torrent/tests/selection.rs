//! What the disk is told of files that are not wanted, and of files without bytes.

use super::*;
use crate::swarm::job::{DiskJob, FaultKind};

/// What the disk was told of the selection: files that are not wanted, and whether to finish.
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

/// Two files of half the pieces each, padding of none and a file without bytes.
fn files(config: &mut TorrentConfig) {
    let half = config.geometry.total() / 2;
    let span = |path: &str, offset, length, pad| Span { path: path.into(), offset, length, pad, web: None };
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
        it.handle(now, Input::Wish(Wish::Priority(wish)), &mut out);
        assert_eq!(told(&out).0, [unwanted]);
    }
}

#[test]
fn files_without_bytes_are_made_when_all_that_is_wanted_is_there() {
    // Found whole by the record.
    let (mut it, now, _) = torrent_with(u64::MAX, files);
    it.handle(now, Input::Stop, &mut Vec::new());
    it.handle(now, Input::Disk(DiskDone::Saved), &mut Vec::new());
    let mut out = Vec::new();
    it.handle(now + limits::LAST_ANNOUNCE, Input::Tick, &mut out);
    assert!(it.stopped());
    it.handle(now, Input::Start { have: vec![0xff].into(), check: Vec::new() }, &mut out);
    assert_eq!(told(&out), (vec![vec![]], 1));
    // Wanted anew while it is complete, and not once it lacks something.
    let mut out = Vec::new();
    it.handle(now, Input::Wish(Wish::Priority(vec![(3, Priority::High)])), &mut out);
    assert_eq!(told(&out).1, 1);
    // Found by a check, where a part of it is not wanted.
    let (mut it, now, _) = torrent_with(u64::MAX, |config| {
        files(config);
        config.priorities = vec![(2, Priority::Skip)];
    });
    let mut out = Vec::new();
    it.handle(now, Input::Wish(Wish::Verify), &mut out);
    let good = vec![true, true, true, true, false, false, false, false];
    it.handle(now, Input::Disk(DiskDone::Checked { first: PieceIndex(0), good }), &mut out);
    assert_eq!(told(&out).1, 0);
    it.handle(now, Input::Disk(DiskDone::CheckDone(None)), &mut out);
    assert_eq!(told(&out).1, 1);
    let mut out = Vec::new();
    it.handle(now, Input::Wish(Wish::Priority(vec![(2, Priority::Normal)])), &mut out);
    assert_eq!(told(&out), (vec![vec![]], 0));
}

#[test]
fn what_cannot_be_moved_to_its_file_is_tried_again() {
    let (mut it, now, _) = torrent_with(u64::MAX, files);
    for kind in [FaultKind::Full, FaultKind::Other, FaultKind::Passing] {
        let fault = DiskFault { kind, text: format!("{kind:?}") };
        it.handle(now, Input::Disk(DiskDone::Unplaced(fault)), &mut Vec::new());
        assert!(it.fault.is_some());
        let mut out = Vec::new();
        it.handle(now, Input::Disk(DiskDone::Room(Ok(()))), &mut out);
        assert!(it.fault.is_some() && told(&out).0.is_empty(), "not before it was probed");
        let later = now + std::time::Duration::from_secs(3600);
        it.handle(later, Input::Tick, &mut out);
        it.handle(later, Input::Disk(DiskDone::Room(Ok(()))), &mut out);
        assert!(it.fault.is_none());
        assert_eq!(told(&out).0, [Vec::<u32>::new()]);
    }
    // A file without bytes that cannot be made keeps nobody from the others.
    let fault = DiskFault { kind: FaultKind::Other, text: "read-only".into() };
    let mut out = Vec::new();
    it.handle(now, Input::Disk(DiskDone::Unfinished(fault)), &mut out);
    assert!(it.fault.is_none() && out.iter().any(|e| matches!(e, Effect::Notice(text) if text == "read-only")));
}
