//! Validates resume data against the files on disk.
//!
//! A piece is accepted without rehashing only if the resume data list it and every file it spans is as this program
//! left it. After a clean shutdown, size and mtime must be those recorded. After a crash they must be those left by the
//! last write recorded in the journal; if a write or a burst of writes was in progress, the mtime may be as late as the
//! journal's last entry plus a slack (before any write, the journal has an entry that is at most a few seconds old).
//! The pieces of a file that was found changed are rehashed whatever its mtime. After a reboot only pieces that were
//! fsynced are accepted; other written pieces are rehashed.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::disk::atomic_bitfield::{AtomicBitfield, runs};
use crate::disk::file_stamp::FileStamp;
use crate::disk::layout::Layout;
use crate::disk::part::PartFile;
use crate::disk::resume_store::LoadedResume;
use crate::wire::message::PieceIndex;

/// Maximum time by which a file's mtime may exceed the journal's last entry, in nanoseconds.
const SLACK: i64 = 10_000_000_000;
/// The same after a reboot, when the last entries of the journal may be lost.
const SLACK_BOOT: i64 = 120_000_000_000;

/// The result of validating resume data.
#[derive(Debug)]
pub struct CheckedResume {
    /// Pieces accepted as present.
    pub have: AtomicBitfield,
    /// The accepted pieces that were fsynced.
    pub synced: AtomicBitfield,
    /// Pieces to hash, as ranges in ascending order.
    pub check: Vec<Range<u32>>,
    /// Number of missing files.
    pub missing: usize,
    /// Number of files changed since the resume data were saved.
    pub changed: usize,
    /// Those of them in which nothing may be the torrent's any more, with whether each may still be the same file.
    pub in_question: Vec<(u32, bool)>,
}

/// State of a file compared with the resume data.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Unchanged,
    Changed,
    Absent,
}

/// Validates resume data against the files. Returns the accepted pieces and those to hash.
///
/// `files` holds the stamp of each file (`None` if missing) and of the part file at the end; `parts` is the content of
/// the part file. Pieces that consist of padding only are always accepted: zeros need not be downloaded.
#[must_use]
pub(crate) fn verify_resume(
    layout: &Layout,
    found: &LoadedResume,
    files: &[Option<FileStamp>],
    parts: &PartFile,
) -> CheckedResume {
    let mut verdict = judge_files(layout, found, files, parts);
    let mut zeros = BTreeMap::new();
    let pieces = layout.files().iter().enumerate().filter(|(_, f)| f.pad).flat_map(|(n, _)| layout.pieces_of(n));
    let padding: BTreeSet<u32> = pieces.filter(|p| layout.is_padding(PieceIndex(*p), &mut zeros)).collect();
    for piece in &padding {
        verdict.have.set(*piece);
        verdict.synced.set(*piece);
    }
    if !padding.is_empty() {
        let rest = verdict.check.iter().cloned().flatten().filter(|piece| !padding.contains(piece));
        verdict.check = runs(rest);
    }
    verdict
}

fn judge_files(layout: &Layout, found: &LoadedResume, files: &[Option<FileStamp>], parts: &PartFile) -> CheckedResume {
    let pieces = layout.geometry().pieces();
    let bits = |bytes: &[u8]| AtomicBitfield::from_bytes(bytes, pieces).unwrap_or_else(|| AtomicBitfield::new(pieces));
    let Some(base) = &found.base else {
        let check = AtomicBitfield::new(pieces);
        for (n, _) in files.iter().enumerate().filter(|(_, f)| f.is_some_and(|s| s.size > 0)) {
            check.set_all(layout.pieces_of(n));
        }
        parts.pieces().into_iter().for_each(|piece| _ = check.set(piece));
        let check = runs((0..pieces).filter(|p| check.has(*p)));
        let (have, synced) = (AtomicBitfield::new(pieces), AtomicBitfield::new(pieces));
        return CheckedResume { have, synced, check, missing: 0, changed: 0, in_question: Vec::new() };
    };
    let (written, was_synced, unsure) = (bits(&base.written), bits(&base.synced), bits(&base.unverified));
    let (have, synced, check) = (AtomicBitfield::new(pieces), AtomicBitfield::new(pieces), AtomicBitfield::new(pieces));
    let own = layout.files().len();
    let states: Vec<State> = (0..own).map(|n| state(layout, found, files, n)).collect();
    let part = part_state(found, files.get(own).copied().flatten(), own);
    let (mut missing, mut changed) = (0, 0);
    // Whether any written piece has its data of this file in the file itself, not in the part file.
    let counts = |n: usize| {
        let held = |piece| parts.find(n as u32, PieceIndex(piece)).is_some();
        written.any_in(layout.pieces_of(n)) && layout.pieces_of(n).any(|p| written.has(p) && !held(p))
    };
    for (n, state) in states.iter().enumerate() {
        match state {
            // A foreign file at the path of an unwanted file is not a change.
            State::Changed if !parts.is_unwanted(n as u32) || counts(n) => {
                changed += 1;
                check.set_all(layout.pieces_of(n));
            }
            State::Absent if counts(n) && !(part == State::Absent && parts.is_unwanted(n as u32)) => missing += 1,
            _ => {}
        }
    }
    match part {
        State::Unchanged => {}
        State::Changed => changed += 1,
        State::Absent => missing += 1,
    }
    for piece in 0..pieces {
        let mut whole = true;
        for segment in layout.segments(layout.bytes_of(PieceIndex(piece))) {
            let held = parts.find(segment.file as u32, PieceIndex(piece)).is_some();
            match states.get(segment.file).filter(|_| !held) {
                Some(State::Absent) => {
                    whole = false;
                    check.clear(piece);
                    break;
                }
                Some(State::Changed) => whole = false,
                _ => {}
            }
        }
        let here = whole && written.has(piece);
        // After a change of the part file it is unknown which pieces it held.
        if here && part == State::Unchanged && (found.same_boot || was_synced.has(piece)) && !unsure.has(piece) {
            have.set(piece);
            if was_synced.has(piece) {
                synced.set(piece);
            }
        } else if here || (whole && unsure.has(piece)) {
            check.set(piece);
        }
    }
    let check = runs((0..pieces).filter(|p| check.has(*p)));
    let in_question = states.iter().enumerate().filter(|(_, state)| **state == State::Changed).filter_map(|(n, _)| {
        let (then, now) = (base.stamps.get(n).copied().flatten(), files.get(n).copied().flatten()?);
        let same = then.is_some_and(|then| then.is_same_file(now) && then.size == now.size);
        (!same || written.any_in(layout.pieces_of(n))).then_some((n as u32, same))
    });
    let in_question = in_question.collect();
    CheckedResume { have, synced, check, missing, changed, in_question }
}

fn state(layout: &Layout, found: &LoadedResume, files: &[Option<FileStamp>], n: usize) -> State {
    let Some(file) = layout.files().get(n).filter(|f| !f.pad && f.length > 0) else { return State::Unchanged };
    // An empty file was created before a crash but not yet set to its length.
    let Some(now) = files.get(n).copied().flatten().filter(|f| f.size > 0) else { return State::Absent };
    let then = found.base.as_ref().and_then(|b| b.stamps.get(n).copied().flatten());
    if then.is_some_and(|then| then.is_unchanged(now)) {
        return State::Unchanged;
    }
    let clean = found.base.as_ref().is_some_and(|b| b.clean) && found.entries == 0;
    let as_left = !clean && now.size == file.length && is_ours(found, then, now, n);
    if as_left { State::Unchanged } else { State::Changed }
}

/// Returns the state of the part file. Its size is not fixed.
fn part_state(found: &LoadedResume, now: Option<FileStamp>, index: usize) -> State {
    let Some(base) = &found.base else { return State::Unchanged };
    let then = base.stamps.get(index).copied().flatten();
    let clean = base.clean && found.entries == 0;
    match (then, now) {
        (None, None) => State::Unchanged,
        (Some(then), Some(now)) if then.is_unchanged(now) => State::Unchanged,
        (then, Some(now)) if !clean && is_ours(found, then, now, index) => State::Unchanged,
        (_, Some(_)) => State::Changed,
        (_, None) => State::Absent,
    }
}

/// Returns whether our own writes since the base explain a stamp that differs from the base.
fn is_ours(found: &LoadedResume, then: Option<FileStamp>, now: FileStamp, file: usize) -> bool {
    // A write leaves a file touched at the very time at which it is changed; whoever puts a file here, or puts a time back,
    // touches it later.
    if then.is_some_and(|then| !then.is_same_file(now)) || (now.touched != 0 && now.touched != now.changed) {
        return false;
    }
    let slack = if found.same_boot { SLACK } else { SLACK_BOOT };
    let in_time = now.changed <= found.last.saturating_add(slack) && then.is_none_or(|t| now.changed >= t.changed);
    let notes_writes = found.same_boot && found.base.as_ref().is_some_and(|b| b.notes_writes);
    match found.writes.get(&(file as u32)) {
        Some(writes) if notes_writes && writes.open == 0 => writes.left == Some(now.changed),
        // The file may have been created just before the crash.
        None if notes_writes => then.is_none() && in_time,
        _ => in_time,
    }
}

/// Whether the torrent may have written to a file when it was at work last, as far as its record knows.
#[must_use]
pub(crate) fn may_have_written(found: &LoadedResume, file: u32) -> bool {
    let Some(base) = &found.base else { return !found.notes.is_empty() };
    let vouched = found.same_boot && base.notes_writes;
    let there = base.stamps.get(file as usize).is_some_and(Option::is_some);
    !vouched || there || found.writes.contains_key(&file)
}

/// What a person should hear of a verdict, if anything.
#[must_use]
pub(crate) fn describe(verdict: &CheckedResume, dir: &std::path::Path) -> Option<String> {
    let count = |n: usize| if n == 1 { "1 file".to_owned() } else { format!("{n} files") };
    let dir = dir.display();
    match (verdict.missing, verdict.changed) {
        (0, 0) => None,
        (0, changed) => Some(format!("{} in {dir} changed since the last time: checking", count(changed))),
        (missing, 0) => Some(format!("{} missing in {dir}: to be downloaded again", count(missing))),
        (missing, changed) => Some(format!(
            "{} missing in {dir}, to be downloaded again; {} changed since the last time: checking",
            count(missing),
            count(changed)
        )),
    }
}

#[cfg(test)]
// Lists with a single range are intended.
#[allow(clippy::single_range_in_vec_init)]
mod tests {
    use super::*;
    use crate::disk::layout::tests::layout;
    use crate::disk::resume_format::ResumeData;
    use crate::disk::resume_store::Writes;

    const T: i64 = 1_000_000_000_000;

    /// Returns a torrent of two files (5 and 7 bytes) with 3 pieces: 0 in a, 1 in both, 2 in b.
    fn story(clean: bool, same_boot: bool, entries: usize) -> (Layout, LoadedResume) {
        let l = layout(4, &[(Some("a"), 5), (Some("b"), 7)]);
        let base = ResumeData {
            chain: 1,
            generation: 1,
            keep_from: 1,
            durable: true,
            clean,
            device: 0,
            boot: "x".into(),
            notes_writes: true,
            stamps: vec![at(5, 0), at(7, 0)],
            written: vec![0xe0],
            synced: vec![0x80],
            unverified: vec![0],
        };
        (l, LoadedResume { base: Some(base), generation: 1, last: T, entries, same_boot, ..LoadedResume::default() })
    }

    fn at(size: u64, seconds: i64) -> Option<FileStamp> {
        Some(FileStamp { size, changed: T + seconds * 1_000_000_000, id: 9, touched: 0 })
    }

    #[test]
    fn what_was_touched_since_is_not_believed() {
        let touched = |at: Option<FileStamp>, seconds: i64, id: u64| {
            at.map(|stamp| FileStamp { touched: T + seconds * 1_000_000_000, id, ..stamp })
        };
        let mut s = story(true, true, 0);
        s.1.base.as_mut().unwrap().stamps = vec![touched(at(5, 0), 0, 9), touched(at(7, 0), 0, 9)];
        let (a, b) = (touched(at(5, 0), 0, 9), touched(at(7, 0), 0, 9));
        verdict(&s, a, b, 0xe0, &[]);
        // Its time was put back; another file of its time is in its place; one whose times tell nothing.
        verdict(&s, a, touched(at(7, 0), 1, 9), 0x80, &[1..3]);
        verdict(&s, a, touched(at(7, 0), 0, 8), 0x80, &[1..3]);
        verdict(&s, a, at(7, 0), 0xe0, &[]);
        // After a kill as well.
        let mut s = story(false, true, 3);
        s.1.writes.insert(1, writes(3, 1));
        verdict(&s, at(5, 0), touched(at(7, 3), 3, 9), 0xe0, &[]);
        verdict(&s, at(5, 0), touched(at(7, 3), 4, 9), 0x80, &[1..3]);
    }

    /// Returns writes that left a file with an mtime of `seconds` after T, and `open` unfinished ones.
    fn writes(seconds: i64, open: u32) -> Writes {
        Writes { open, left: Some(T + seconds * 1_000_000_000) }
    }

    #[track_caller]
    fn verdict(
        story: &(Layout, LoadedResume),
        a: Option<FileStamp>,
        b: Option<FileStamp>,
        have: u8,
        check: &[Range<u32>],
    ) {
        let v = verify_resume(&story.0, &story.1, &[a, b, None], &PartFile::default());
        assert_eq!((v.have.to_bytes(), v.check.as_slice()), (vec![have], check), "{v:?}");
    }

    #[test]
    fn after_a_clean_end_size_and_time_are_those_recorded() {
        let s = story(true, true, 0);
        verdict(&s, at(5, 0), at(7, 0), 0xe0, &[]);
        verdict(&s, at(5, 0), at(7, 1), 0x80, &[1..3]);
        verdict(&s, at(5, 0), at(6, 0), 0x80, &[1..3]);
        verdict(&s, at(5, 0), None, 0x80, &[]);
        verdict(&s, at(5, 0), at(0, 9), 0x80, &[]);
        verdict(&s, None, None, 0, &[]);
    }

    #[test]
    fn after_a_kill_files_may_be_as_late_as_the_journal() {
        let mut s = story(false, true, 3);
        s.1.writes.extend([(0, writes(3, 1)), (1, writes(3, 2))]);
        verdict(&s, at(5, 9), at(7, 9), 0xe0, &[]);
        verdict(&s, at(5, 11), at(7, 0), 0x20, &[0..2]);
        verdict(&s, at(5, -1), at(7, 0), 0x20, &[0..2]);
        // Resume data without write records can only be checked by time.
        let mut old = story(true, true, 1);
        old.1.base.as_mut().unwrap().notes_writes = false;
        verdict(&old, at(5, 9), at(7, 9), 0xe0, &[]);
        verdict(&old, at(5, 11), at(7, 9), 0x20, &[0..2]);
    }

    #[test]
    fn after_a_kill_a_file_that_nobody_was_writing_to_is_as_its_last_write_left_it() {
        let mut s = story(false, true, 5);
        s.1.writes.insert(0, writes(3, 0));
        verdict(&s, at(5, 3), at(7, 0), 0xe0, &[]);
        verdict(&s, at(5, 0), at(7, 0), 0xe0, &[]);
        for changed_at in [1, 4, 9, 500] {
            verdict(&s, at(5, changed_at), at(7, 0), 0x20, &[0..2]);
            // The other file was not written to.
            verdict(&s, at(5, 3), at(7, changed_at), 0x80, &[1..3]);
        }
        verdict(&s, at(4, 3), at(7, 0), 0x20, &[0..2]);
        // Another file of the same size has replaced this one during the write.
        s.1.writes.insert(0, writes(3, 1));
        verdict(&s, at(5, 4).map(|stamp| FileStamp { id: 10, ..stamp }), at(7, 0), 0x20, &[0..2]);
    }

    #[test]
    fn after_another_boot_only_what_was_synced_is_believed() {
        let s = story(false, false, 3);
        verdict(&s, at(5, 60), at(7, 60), 0x80, &[1..3]);
        verdict(&s, at(5, 500), at(7, 0), 0, &[0..3]);
    }

    #[test]
    fn without_a_record_everything_that_is_there_is_hashed() {
        let (l, _) = story(true, true, 0);
        let s = (l, LoadedResume::default());
        verdict(&s, None, None, 0, &[]);
        verdict(&s, at(5, 0), None, 0, &[0..2]);
        verdict(&s, None, at(3, 0), 0, &[1..3]);
        verdict(&s, at(0, 0), None, 0, &[]);
    }

    #[test]
    fn a_check_that_was_cut_short_goes_on() {
        let mut s = story(true, true, 0);
        s.1.base.as_mut().unwrap().written = vec![0x80];
        s.1.base.as_mut().unwrap().unverified = vec![0x20];
        verdict(&s, at(5, 0), at(7, 0), 0x80, &[2..3]);
    }
}
