//! Files that are not wanted: their bytes are in one hidden file, and theirs is the user's until they are wanted.

use std::fs;
use std::path::PathBuf;

use ttui::disk::move_storage::{Progress, move_files};
use ttui::disk::part;
use ttui::disk::pool::DiskPool;
use ttui::disk::storage::{Resumed, StorageSpec};
use ttui::swarm::job::{DiskDone, DiskFault, DiskJob, FaultKind, Probe};
use ttui::wire::message::PieceIndex;

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
    let spec = || ttui::disk::storage::StorageSpec { unwanted: unwanted.to_vec(), ..home.spec(known) };
    // A process that another test is just starting holds, for a moment, all locks that we had.
    for _ in 0..500 {
        match torrent::open(pool, spec()) {
            Err(fault) if fault.text.starts_with("already running") => {
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
            other => return other.unwrap(),
        }
    }
    panic!("the lock was never given back");
}

/// Waits until all that was given is done.
fn settle(open: &Open) {
    open.storage.submit([DiskJob::Save]);
    for done in open.until(|done| matches!(done, DiskDone::Saved)) {
        assert!(matches!(done, DiskDone::Saved | DiskDone::Wrote(_)), "{done:?}");
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

/// Opens a torrent all of which is wanted; returns it with the fault of the files that are in its way.
fn all_wanted(home: &Home, pool: &DiskPool, known: &Known, overwrite: bool) -> (Open, Option<DiskFault>) {
    let (it, resumed) = torrent::open(pool, StorageSpec { overwrite, ..home.spec(known) }).unwrap();
    // As a torrent does when it starts.
    it.storage.submit([DiskJob::Select(Vec::new())]);
    if !resumed.check.is_empty() {
        let fault = it.check(resumed.check).1;
        return (it, fault);
    }
    it.storage.submit([DiskJob::Save]);
    let told = it.until(|done| matches!(done, DiskDone::Saved));
    let fault = told.into_iter().find_map(|done| if let DiskDone::Unplaced(fault) = done { Some(fault) } else { None });
    (it, fault)
}

#[test]
fn a_file_of_the_users_is_asked_about_before_what_the_part_file_holds_moves_to_it() {
    // Of b the border pieces have come, and all of tiny.
    let cases = [(1, vec![0, 2, 3], 50_000), (1, vec![0, 2, 3], 5), (2, vec![0, 1, 2, 3], 7), (2, vec![2], 3)];
    for (n, come, size) in cases {
        // There before the first run, put there after it, and put there after one that was killed.
        for when in 0..3 {
            let (known, home, pool) = (known(), Home::new(), pool());
            let path = home.dir().join(&known.layout.files()[n as usize].path);
            let mine = vec![b'x'; size];
            fs::create_dir_all(home.dir().join("t")).unwrap();
            if when == 0 {
                fs::write(&path, &mine).unwrap();
            }
            let (it, resumed) = open(&home, &pool, &known, &[n]);
            it.check(resumed.check);
            it.download(&known, come.clone());
            settle(&it);
            let state = [home.state(), home.state().join("owners")];
            let files = state.iter().flat_map(|folder| fs::read_dir(folder).unwrap()).map(|e| e.unwrap().path());
            let files: Vec<_> =
                files.filter(|path| path.is_file()).map(|path| (fs::read(&path).unwrap(), path)).collect();
            it.storage.close();
            if when == 2 {
                files.into_iter().for_each(|(bytes, path)| fs::write(path, bytes).unwrap());
            }
            fs::write(&path, &mine).unwrap();
            for _ in 0..2 {
                let (it, fault) = all_wanted(&home, &pool, &known, false);
                assert_eq!(fault.map(|fault| fault.kind), Some(FaultKind::Occupied), "{n} {size} {when}");
                it.storage.close();
                assert!(fs::read(&path).unwrap() == mine);
            }
            let (it, fault) = all_wanted(&home, &pool, &known, true);
            assert_eq!(fault, None);
            it.download(&known, (0..4).filter(|piece| !come.contains(piece)));
            settle(&it);
            assert!(fs::read(&path).unwrap() == known.file(n as usize));
            it.storage.close();
        }
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
            let come = if file == 4 { 28_286 } else { bytes.len() };
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
fn what_is_only_seeded_is_never_written_to() {
    let contents = |home: &Home| -> Vec<(PathBuf, Vec<u8>)> {
        let folders = [home.dir(), home.dir().join("t")];
        let files = folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()));
        let mut all: Vec<_> =
            files.filter(|path| path.is_file()).map(|path| (path.clone(), fs::read(path).unwrap())).collect();
        all.sort();
        all
    };
    for (unwanted, pieces) in [(vec![0, 2, 4, 5], vec![0, 1, 2]), (vec![], vec![1, 3]), (vec![1], vec![0])] {
        let (known, home, pool) = (known(), Home::new(), pool());
        let (it, _) = open(&home, &pool, &known, &unwanted);
        it.download(&known, pieces.iter().copied());
        it.storage.close();
        let before = contents(&home);
        let (it, resumed) = torrent::open(&pool, StorageSpec { read_only: true, ..home.spec(&known) }).unwrap();
        assert_eq!(pieces_in(&resumed.have), pieces);
        it.storage.submit([DiskJob::Select(vec![]), DiskJob::Finish, DiskJob::Probe(Probe::Write(PieceIndex(2)))]);
        it.storage.submit(known.write_piece(2));
        it.storage.submit([DiskJob::Save]);
        let told = it.until(|done| matches!(done, DiskDone::Saved));
        let verified = told.iter().any(|done| matches!(done, DiskDone::Verified { .. } | DiskDone::ProbeDone(Ok(()))));
        assert!(!verified || pieces.contains(&2), "{told:?}");
        assert_eq!(it.check(vec![0..4]).0, pieces);
        pieces.iter().for_each(|piece| assert_reads(&it, &known, *piece));
        it.storage.close();
        assert_eq!(contents(&home), before);
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
    let copies: Vec<_> =
        killed.filter(|path| path.is_file()).map(|path| (path.clone(), fs::read(path).unwrap())).collect();
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
    move_files(&home.spec(&known), &to, &pool.owners(&home.state()), &Progress::default())
        .unwrap()
        .delete_old_files()
        .unwrap();
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

/// A `.torrent` of these files.
fn described(known: &Known) -> Vec<u8> {
    let mut bytes = b"d4:infod5:filesl".to_vec();
    for file in known.layout.files() {
        let name = file.path.file_name().unwrap().to_str().unwrap();
        let attr = if file.pad { "4:attr1:p" } else { "" };
        bytes.extend_from_slice(format!("d{attr}6:lengthi{}e4:pathl{}:{name}ee", file.length, name.len()).as_bytes());
    }
    bytes.extend_from_slice(format!("e4:name1:t12:piece lengthi32768e6:pieces{}:", 20 * known.pieces()).as_bytes());
    let all = (0..known.pieces()).map(ttui::wire::message::PieceIndex);
    bytes.extend(all.flat_map(|piece| known.layout.hash(piece).unwrap()));
    bytes.extend_from_slice(b"ee");
    bytes
}

/// What `verify` says of a folder: its exit status, and what stands on its standard output.
fn verify(home: &Home, known: &Known, json: bool) -> (Option<i32>, String) {
    let torrent = home.root.path().join("t.torrent");
    fs::write(&torrent, described(known)).unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_ttui"));
    command.arg("verify").arg(&torrent).arg("--dir").arg(home.dir());
    let out = if json { command.arg("--json") } else { &mut command }.output().unwrap();
    (out.status.code(), String::from_utf8(out.stdout).unwrap())
}

#[cfg(unix)]
#[test]
fn verify_judges_links_and_what_is_no_file_as_the_hasher_does() {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    use std::os::unix::fs::symlink;
    let files: Vec<(Option<&str>, u64)> =
        ["t/in", "t/out", "t/pipe", "t/socket", "t/folder", "t/none", "t/good"].map(|name| (Some(name), 32_768)).into();
    let (known, home) = (Known::new(32_768, &files), Home::new());
    fs::create_dir_all(home.dir().join("t/folder")).unwrap();
    let at = |name: &str| home.dir().join("t").join(name);
    fs::write(at("good"), known.file(6)).unwrap();
    // What the links lead to would be right.
    fs::write(at("other"), known.file(0)).unwrap();
    fs::write(home.root.path().join("outside"), known.file(1)).unwrap();
    symlink(at("other"), at("in")).unwrap();
    symlink(home.root.path().join("outside"), at("out")).unwrap();
    symlink(home.root.path().join("nowhere"), at("none")).unwrap();
    mknodat(CWD, at("pipe"), FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
    let (code, text) = verify(&home, &known, true);
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, &json["good"]), (Some(1), &1.into()));
    let states: Vec<&str> = (0..7).map(|n| json["files"][n]["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["link", "link", "no file", "no file", "no file", "link", "whole"]);
    for (n, what) in ["a symbolic link", "a symbolic link", "a pipe", "a socket", "a folder"].into_iter().enumerate() {
        assert!(json["files"][n]["why"].as_str().unwrap().contains(what), "{}", json["files"][n]);
        assert_eq!(json["files"][n]["missing"], serde_json::json!([n]));
    }
    // A folder that is a link.
    fs::rename(home.dir().join("t"), home.root.path().join("t")).unwrap();
    symlink(home.root.path().join("t"), home.dir().join("t")).unwrap();
    let (code, text) = verify(&home, &known, false);
    assert!(code == Some(1) && text.matches("t is a symbolic link").count() == 7, "{text}");
}

#[test]
fn verify_knows_the_part_file() {
    let (known, home, pool) = (known(), Home::new(), pool());
    // Under the info-hash that its description has.
    let meta = ttui::wire::metainfo::Metainfo::parse(&described(&known)).unwrap();
    let layout = ttui::disk::layout::Layout::of(&meta).unwrap();
    let known = Known { layout: std::sync::Arc::new(layout), data: known.data };
    let (it, _) = open(&home, &pool, &known, &[0, 2, 4, 5]);
    it.download(&known, [0, 1, 2]);
    it.storage.close();
    let (code, text) = verify(&home, &known, true);
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, &json["good"], &json["pieces"]), (Some(1), &3.into(), &4.into()));
    let of = |what: &str| (0..5).map(|n| json["files"][n][what].clone()).collect::<Vec<_>>();
    assert_eq!(of("state"), ["missing", "whole", "missing", "missing", "missing"]);
    assert_eq!(of("parted"), [20_000, 0, 7, 28_286, 0]);
    assert!(of("bad").iter().all(|bad| bad.as_array().unwrap().is_empty()));
    let (_, text) = verify(&home, &known, false);
    assert!(text.contains("20000 bytes of 20000 in .") && text.contains("7 bytes of 7 in ."), "{text}");
}
