//! Files that are not wanted: their bytes are in one hidden file, and theirs is the user's until they are wanted.

use std::fs;
use std::path::PathBuf;

use ttui::disk::moving::{Progress, bring};
use ttui::disk::part;
use ttui::disk::pool::DiskPool;
use ttui::disk::storage::Resumed;
use ttui::swarm::job::{DiskDone, DiskJob, FaultKind};

use super::torrent::{self, Home, Known, Open, pieces_in};

/// Four pieces over five files and padding: piece 0 holds a and b, 1 b, 2 b, tiny, padding and c, 3 c and an empty file.
const FILES: &[(Option<&str>, u64)] = &[
    (Some("t/a"), 20_000),
    (Some("t/b"), 50_000),
    (Some("t/tiny"), 7),
    (None, 11),
    (Some("t/c"), 60_000),
    (Some("t/e"), 0),
];

fn known() -> Known {
    Known::new(32_768, FILES)
}

fn pool() -> DiskPool {
    DiskPool::start(2).unwrap()
}

fn part_of(home: &Home, known: &Known) -> PathBuf {
    home.dir().join(part::name(known.layout.info_hash()))
}

fn open(home: &Home, pool: &DiskPool, known: &Known, unwanted: &[u32]) -> (Open, Resumed) {
    torrent::open(pool, ttui::disk::storage::StorageSpec { unwanted: unwanted.to_vec(), ..home.spec(known) }).unwrap()
}

/// Waits until all that was given is done.
fn settle(open: &Open) {
    open.storage.submit([DiskJob::Save]);
    for done in open.until(|done| matches!(done, DiskDone::Saved(_))) {
        assert!(matches!(done, DiskDone::Saved(Ok(())) | DiskDone::Wrote(_)), "{done:?}");
    }
}

/// The files below the download folder, with the hidden ones.
fn names(home: &Home) -> Vec<String> {
    let mut all = Vec::new();
    let mut folders = vec![home.dir()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            if entry.path().is_dir() {
                folders.push(entry.path());
            } else {
                all.push(entry.file_name().into_string().unwrap());
            }
        }
    }
    all.sort();
    all
}

/// Fails unless all bytes of a piece are read back.
fn assert_reads(open: &Open, known: &Known, piece: u32) {
    for block in known.blocks(piece) {
        let mut bytes = vec![0; block.length as usize];
        open.storage.read(block, &mut bytes).unwrap();
        assert!(bytes == known.bytes(block), "{block:?}");
    }
}

#[test]
fn only_wanted_files_appear_and_border_pieces_are_whole_all_the_same() {
    // Which are wanted, the pieces that this takes, and the names that appear.
    let cases: [(&[u32], &[u32], &[&str]); 5] = [
        (&[0, 2, 4, 5], &[0, 1, 2], &["b"]),
        (&[0, 1, 4], &[2], &["e", "tiny"]),
        (&[1, 2, 5], &[0, 2, 3], &["a", "c"]),
        (&[0, 1, 2, 5], &[2, 3], &["c"]),
        (&[1, 4], &[0, 2], &["a", "e", "tiny"]),
    ];
    for (unwanted, pieces, appear) in cases {
        let (known, home, pool) = (known(), Home::new(), pool());
        let (it, _) = open(&home, &pool, &known, unwanted);
        it.download(&known, pieces.iter().copied());
        it.storage.submit([DiskJob::Finish]);
        settle(&it);
        let hidden = part::name(known.layout.info_hash()).to_string_lossy().into_owned();
        let expected: Vec<String> =
            std::iter::once(hidden).chain(appear.iter().map(|name| (*name).to_owned())).collect();
        assert_eq!(names(&home), expected);
        pieces.iter().for_each(|piece| assert_reads(&it, &known, *piece));
        assert_eq!(it.check(vec![0..4]).0, pieces, "a check finds them");
        it.storage.close();
        // The record knows the part file.
        let (it, resumed) = open(&home, &pool, &known, unwanted);
        assert_eq!((pieces_in(&resumed.have), resumed.check, resumed.note), (pieces.to_vec(), vec![], None));
        pieces.iter().for_each(|piece| assert_reads(&it, &known, *piece));
        it.storage.close();
        // Without a record it is hashed, like a file.
        fs::remove_dir_all(home.state()).unwrap();
        let (it, resumed) = open(&home, &pool, &known, unwanted);
        assert_eq!(it.check(resumed.check).0, pieces);
        it.storage.close();
    }
}

#[test]
fn a_file_of_the_users_under_an_unwanted_name_is_never_touched() {
    // Shorter, as long, longer; a folder in its place.
    for size in [0, 1, 300, 20_000, 20_001, 90_000] {
        let (known, home, pool) = (known(), Home::new(), pool());
        let mine = vec![b'x'; size];
        fs::create_dir_all(home.dir().join("t/c")).unwrap();
        fs::write(home.dir().join("t/a"), &mine).unwrap();
        let (it, resumed) = open(&home, &pool, &known, &[0, 4]);
        it.check(resumed.check);
        it.download(&known, [0, 1, 2]);
        it.storage.submit([DiskJob::Finish]);
        settle(&it);
        assert_eq!(it.check(vec![0..4]), (vec![0, 1, 2], None));
        for piece in 0..3 {
            assert_reads(&it, &known, piece);
        }
        it.storage.close();
        let (it, resumed) = open(&home, &pool, &known, &[0, 4]);
        assert_eq!((pieces_in(&resumed.have), resumed.check, resumed.note), (vec![0, 1, 2], vec![], None));
        it.storage.close();
        // He goes on writing to it: that is nobody's business.
        fs::write(home.dir().join("t/a"), [&mine[..], b"more"].concat()).unwrap();
        let (it, resumed) = open(&home, &pool, &known, &[0, 4]);
        assert_eq!((pieces_in(&resumed.have), resumed.check, resumed.note), (vec![0, 1, 2], vec![], None));
        it.storage.close();
        assert!(fs::read(home.dir().join("t/a")).unwrap() == [&mine[..], b"more"].concat());
        assert!(fs::read_dir(home.dir().join("t/c")).unwrap().next().is_none());
    }
}

#[test]
fn what_is_wanted_after_all_moves_to_its_file() {
    for order in [[0_u32, 2, 4], [4, 2, 0], [2, 0, 4]] {
        let (known, home, pool) = (known(), Home::new(), pool());
        let mut unwanted = vec![0, 2, 4, 5];
        let (it, _) = open(&home, &pool, &known, &unwanted);
        it.download(&known, [0, 1, 2]);
        for file in order {
            unwanted.retain(|other| *other != file);
            it.storage.submit([DiskJob::Select(unwanted.clone())]);
            settle(&it);
            let path = home.dir().join(&known.layout.files()[file as usize].path);
            let there = fs::read(path).unwrap();
            let bytes = known.file(file as usize);
            // What came with the border is there; the rest of c is not.
            let come = if file == 4 { 28_275 } else { bytes.len() };
            assert!(there.len() == bytes.len() && there[..come] == bytes[..come], "{file}");
            (0..3).for_each(|piece| assert_reads(&it, &known, piece));
        }
        assert!(!part_of(&home, &known).exists(), "nothing is in it any more");
        it.download(&known, [3]);
        it.storage.submit([DiskJob::Select(vec![]), DiskJob::Finish]);
        settle(&it);
        known.assert_whole(&home.dir());
        it.storage.close();
        let (it, resumed) = open(&home, &pool, &known, &[]);
        assert_eq!((pieces_in(&resumed.have), resumed.check, resumed.note), (vec![0, 1, 2, 3], vec![], None));
        it.storage.close();
    }
}

#[test]
fn what_is_wanted_in_another_session_moves_too_also_after_a_kill() {
    let (known, home) = (known(), Home::new());
    {
        let pool = pool();
        let (it, _) = open(&home, &pool, &known, &[0, 2, 4, 5]);
        it.download(&known, [0, 1, 2]);
        it.storage.close();
    }
    let pool = pool();
    let (it, resumed) = open(&home, &pool, &known, &[]);
    assert_eq!(pieces_in(&resumed.have), [0, 1, 2]);
    settle(&it);
    assert!(!part_of(&home, &known).exists() && fs::read(home.dir().join("t/a")).unwrap() == known.file(0));
    it.download(&known, [3]);
    settle(&it);
    // Nobody closes it: the record is that of a process that was killed.
    let killed = fs::read_dir(home.state()).unwrap().map(|entry| entry.unwrap().path());
    let copies: Vec<_> = killed.map(|path| (path.clone(), fs::read(path).unwrap())).collect();
    it.storage.close();
    copies.into_iter().for_each(|(path, bytes)| fs::write(path, bytes).unwrap());
    let (it, resumed) = open(&home, &pool, &known, &[]);
    assert_eq!(pieces_in(&resumed.have), [0, 1, 2, 3], "{resumed:?}");
    it.storage.close();
}

#[test]
fn what_is_not_wanted_any_more_keeps_what_it_has() {
    let (known, home, pool) = (known(), Home::new(), pool());
    let (it, _) = open(&home, &pool, &known, &[]);
    it.download(&known, [1]);
    // Half of a border piece is on its way to b when b is not wanted any more.
    let blocks = known.blocks(0);
    it.storage.submit([known.write(blocks[1])]);
    settle(&it);
    let before = fs::read(home.dir().join("t/b")).unwrap();
    it.storage.submit([DiskJob::Select(vec![1])]);
    it.storage.submit([known.write(blocks[0])]);
    it.until(|done| matches!(done, DiskDone::Verified { .. }));
    settle(&it);
    (0..2).for_each(|piece| assert_reads(&it, &known, piece));
    it.storage.close();
    let (it, resumed) = open(&home, &pool, &known, &[1]);
    assert_eq!((pieces_in(&resumed.have), resumed.check, resumed.note), (vec![0, 1], vec![], None));
    assert_eq!(it.check(vec![0..4]).0, [0, 1]);
    assert!(fs::read(home.dir().join("t/b")).unwrap() == before, "not written to since");
    it.storage.submit([DiskJob::Select(vec![])]);
    it.download(&known, [2, 3]);
    it.storage.submit([DiskJob::Finish]);
    settle(&it);
    known.assert_whole(&home.dir());
    it.storage.close();
}

#[test]
fn a_part_file_that_vanishes_or_changes_costs_its_pieces_and_no_others() {
    let (known, home, pool) = (known(), Home::new(), pool());
    let (it, _) = open(&home, &pool, &known, &[0, 2, 4, 5]);
    it.download(&known, [0, 1, 2]);
    it.storage.close();
    let path = part_of(&home, &known);
    let whole = fs::read(&path).unwrap();
    // While we are away: cut, another byte, gone.
    for change in
        [Some(whole[..whole.len() - 1].to_vec()), Some([&whole[..60], &[!whole[60]], &whole[61..]].concat()), None]
    {
        match &change {
            Some(bytes) => fs::write(&path, bytes).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
        let (it, resumed) = open(&home, &pool, &known, &[0, 2, 4, 5]);
        assert!(resumed.note.is_some());
        let mut good = pieces_in(&resumed.have);
        good.extend(it.check(resumed.check).0);
        assert!(good.contains(&1) && good.len() < 3, "{good:?}");
        it.download(&known, (0..3).filter(|piece| !good.contains(piece)));
        assert_eq!(it.check(vec![0..4]).0, [0, 1, 2]);
        it.storage.close();
    }
    // While it is in use.
    let (it, _) = open(&home, &pool, &known, &[0, 2, 4, 5]);
    fs::remove_file(&path).unwrap();
    let mut bytes = vec![0; 16_384];
    let fault = it.storage.read(known.blocks(0)[0], &mut bytes).unwrap_err();
    assert!(fault.kind == FaultKind::Changed && fault.text.contains(".parts"), "{fault}");
    assert_eq!(it.check(vec![0..4]).0, [1]);
    it.storage.close();
}

#[test]
fn it_moves_and_goes_with_the_torrent() {
    let (known, home, pool) = (known(), Home::new(), pool());
    let (it, _) = open(&home, &pool, &known, &[0, 2, 4, 5]);
    it.download(&known, [0, 1, 2]);
    it.storage.close();
    let to = home.root.path().join("elsewhere");
    bring(&home.spec(&known), &to, &Progress::default()).unwrap().clear().unwrap();
    assert!(!home.dir().exists() || fs::read_dir(home.dir()).unwrap().next().is_none());
    let spec = ttui::disk::storage::StorageSpec { dir: to.clone(), unwanted: vec![0, 2, 4, 5], ..home.spec(&known) };
    let (it, resumed) = torrent::open(&pool, spec).unwrap();
    assert_eq!((pieces_in(&resumed.have), resumed.check), (vec![0, 1, 2], vec![]));
    assert_reads(&it, &known, 0);
    it.storage.delete_files().unwrap();
    assert!(fs::read_dir(&to).unwrap().next().is_none(), "nothing of it is left");
}

#[test]
fn wanted_files_without_bytes_are_there_when_all_is() {
    let files = [(Some("t/0"), 0), (Some("t/a"), 40_000), (Some("t/deep/er/1"), 0), (Some("t/skipped"), 0)];
    // Found whole by a check, fetched, and wanted later.
    for found in [true, false] {
        let (known, home, pool) = (Known::new(32_768, &files), Home::new(), pool());
        if found {
            fs::create_dir_all(home.dir().join("t")).unwrap();
            fs::write(home.dir().join("t/a"), known.file(1)).unwrap();
        }
        let (it, resumed) = open(&home, &pool, &known, &[3]);
        if found {
            assert_eq!(it.check(resumed.check).0, [0, 1]);
        } else {
            it.download(&known, [0, 1]);
        }
        it.storage.submit([DiskJob::Finish]);
        settle(&it);
        assert_eq!(names(&home), ["0", "1", "a"]);
        it.storage.submit([DiskJob::Select(vec![]), DiskJob::Finish]);
        settle(&it);
        known.assert_whole(&home.dir());
        // A folder in the place of one is told.
        fs::remove_file(home.dir().join("t/0")).unwrap();
        fs::create_dir(home.dir().join("t/0")).unwrap();
        it.storage.submit([DiskJob::Finish]);
        let told = it.until(|done| matches!(done, DiskDone::Unfinished(_)));
        assert!(matches!(told.last(), Some(DiskDone::Unfinished(fault)) if fault.text.contains("is a folder")));
        it.storage.close();
    }
}
