//! A path on disk has one owner: torrents do not write over each other, nor over what was there before them, and only what
//! a torrent made goes with it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, dead_code)]
#![allow(clippy::single_range_in_vec_init)]

mod support {
    pub mod process;
    pub mod torrent;
}

use std::fs;
use std::path::Path;
use std::sync::Arc;

use sha1::{Digest, Sha1};
#[cfg(target_os = "linux")]
use support::process::skip;
use support::torrent::{Home, Known, Open, open, pieces_in};
use ttui::disk::layout::{FileEntry, Layout};
use ttui::disk::move_storage::{Progress, move_files, recovery};
use ttui::disk::pool::DiskPool;
use ttui::disk::storage::StorageSpec;
use ttui::swarm::geometry::Geometry;
use ttui::swarm::job::{DiskDone, DiskFault, FaultKind};
use ttui::wire::message::InfoHash;

const PIECE: u32 = 16_384;

/// A torrent of these bytes.
fn torrent(files: &[(&str, &[u8])]) -> Known {
    let mut data = Vec::new();
    let mut laid = Vec::new();
    for (path, bytes) in files {
        let (offset, length) = (data.len() as u64, bytes.len() as u64);
        laid.push(FileEntry { path: path.into(), length, offset, pad: false });
        data.extend_from_slice(bytes);
    }
    let hashes = data.chunks(PIECE as usize).map(|p| Sha1::digest(p).into()).collect();
    let names: String = files.iter().map(|(path, _)| *path).collect();
    let hash = Sha1::new_with_prefix(&data).chain_update(names).finalize().into();
    let layout = Layout::new(InfoHash(hash), Geometry::new(data.len() as u64, PIECE), laid, hashes).unwrap();
    Known { layout: Arc::new(layout), data: data.into() }
}

fn random(seed: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    fastrand::Rng::with_seed(seed).fill(&mut bytes);
    bytes
}

fn one(seed: u64, length: usize) -> Known {
    torrent(&[("x.bin", &random(seed, length))])
}

/// Opens a torrent and does the check that it needs. Returns what it has then, and what it cannot go on for.
fn start(home: &Home, pool: &DiskPool, known: &Known, overwrite: bool) -> Result<(Open, Vec<u32>), DiskFault> {
    let mut spec = home.spec(known);
    spec.overwrite = overwrite;
    let (opened, resumed) = open(pool, spec)?;
    let mut have = pieces_in(&resumed.have);
    if !resumed.check.is_empty() {
        let (good, fault) = opened.check(resumed.check);
        if let Some(fault) = fault {
            opened.storage.close();
            return Err(fault);
        }
        have.extend(good);
    }
    Ok((opened, have))
}

/// Downloads all of a torrent that is not there.
fn fetch(home: &Home, pool: &DiskPool, known: &Known, overwrite: bool) -> Result<Open, DiskFault> {
    let (opened, have) = start(home, pool, known, overwrite)?;
    opened.download(known, (0..known.pieces()).filter(|piece| !have.contains(piece)));
    Ok(opened)
}

fn pool() -> DiskPool {
    DiskPool::start(2).unwrap()
}

fn refused(result: Result<impl Sized, DiskFault>) -> DiskFault {
    result.err().expect("it is refused")
}

#[test]
fn a_second_torrent_of_one_name_is_refused_and_told_of_the_first() {
    for (first, second) in [(100_000, 150_000), (150_000, 100_000), (100_000, 100_000)] {
        let (home, pool) = (Home::new(), pool());
        let (a, b) = (one(1, first), one(2, second));
        let name = format!("the torrent x.bin ({})", &a.layout.info_hash().to_string()[..8]);
        // Before the first one has written anything, at work, and when it is only remembered.
        let (at_work, _) = start(&home, &pool, &a, false).unwrap();
        let fault = refused(start(&home, &pool, &b, false));
        assert!(fault.text.contains(&name), "{fault}");
        assert!(!home.dir().exists());
        at_work.download(&a, 0..a.pieces());
        let fault = refused(fetch(&home, &pool, &b, true));
        assert!(fault.kind == FaultKind::Taken && fault.text.contains(&name), "{fault}");
        at_work.storage.close();
        for pool in [&pool, &self::pool()] {
            let fault = refused(fetch(&home, pool, &b, false));
            assert!(fault.kind == FaultKind::Occupied && fault.text.contains(&name), "{fault}");
        }
        a.assert_whole(&home.dir());
        // In the list, it is not for the second one to take, whatever the user says.
        pool.owners(&home.state()).set_session_dir(a.layout.info_hash(), Some(&home.dir()));
        assert_eq!(refused(fetch(&home, &pool, &b, true)).kind, FaultKind::Taken);
        pool.owners(&home.state()).set_session_dir(a.layout.info_hash(), None);
        fetch(&home, &pool, &b, true).unwrap().storage.close();
        b.assert_whole(&home.dir());
        // It has changed hands.
        let fault = refused(fetch(&home, &pool, &a, false));
        assert!(fault.text.contains(&b.layout.info_hash().to_string()[..8]), "{fault}");
        b.assert_whole(&home.dir());
    }
}

#[test]
fn folders_that_have_a_file_in_common_share_it_or_keep_apart() {
    let same = random(3, 60_000);
    let other = random(4, 60_000);
    let note = random(9, 700);
    for (mine, fits) in [(&same, true), (&other, false)] {
        let (home, pool) = (Home::new(), pool());
        let a = torrent(&[("show/e1", &random(1, 50_000)), ("show/same", &same), ("show/a.nfo", &note)]);
        let b = torrent(&[("show/e2", &random(2, 40_000)), ("show/same", mine), ("show/a.nfo", &note)]);
        fetch(&home, &pool, &a, false).unwrap().storage.close();
        let second = fetch(&home, &pool, &b, false);
        a.assert_whole(&home.dir());
        if !fits {
            assert!(refused(second).text.contains("show/same"));
            continue;
        }
        b.assert_whole(&home.dir());
        // What one of them made and the other one uses goes with neither.
        let second = second.unwrap();
        let stays = second.storage.delete_files().unwrap().unwrap();
        second.storage.close();
        assert!(stays.contains("show/same and one more file"), "{stays}");
        a.assert_whole(&home.dir());
        assert!(!home.dir().join("show/e2").exists());
        let again = fetch(&home, &pool, &b, false).unwrap();
        let stays = fetch(&home, &pool, &a, false).unwrap().storage.delete_files().unwrap().unwrap();
        assert!(stays.contains("stay") && !home.dir().join("show/e1").exists(), "{stays}");
        b.assert_whole(&home.dir());
        again.storage.close();
    }
}

#[test]
fn what_was_there_before_is_written_to_only_when_the_user_says_so() {
    let known = one(1, 100_000);
    let diaries = [b"my diary\n".repeat(1000), vec![b'z'; 100_000], random(5, 20), random(6, 99_999)];
    for (n, diary) in diaries.iter().enumerate() {
        let (home, pool) = (Home::new(), pool());
        let path = home.dir().join("x.bin");
        fs::create_dir_all(home.dir()).unwrap();
        fs::write(&path, diary).unwrap();
        if n == 1 {
            // Another name of it elsewhere makes no difference.
            fs::hard_link(&path, home.root.path().join("elsewhere")).unwrap();
        }
        // However often it is tried: the answer is not forgotten.
        for _ in 0..3 {
            let fault = refused(fetch(&home, &pool, &known, false));
            assert!(fault.kind == FaultKind::Occupied && fault.text.contains("x.bin was there before"), "{fault}");
            assert_eq!(&fs::read(&path).unwrap(), diary);
        }
        let (spec, mut yes) = (home.spec(&known), home.spec(&known));
        let (opened, _) = open(&pool, spec).unwrap();
        let stays = opened.storage.delete_files().unwrap().unwrap();
        assert!(stays.contains("stays") && fs::read(&path).unwrap() == *diary, "{stays}");
        opened.storage.close();
        yes.overwrite = true;
        let opened = fetch(&home, &pool, &known, yes.overwrite).unwrap();
        known.assert_whole(&home.dir());
        opened.storage.close();
        // From then on it is the torrent's own.
        assert_eq!(fetch(&home, &pool, &known, false).unwrap().storage.delete_files().unwrap(), None);
        assert!(!path.exists());
    }
    let (home, pool) = (Home::new(), pool());
    fs::create_dir_all(home.dir()).unwrap();
    fs::write(home.dir().join("x.bin"), random(7, 100_001)).unwrap();
    assert!(refused(fetch(&home, &pool, &known, false)).text.contains("x.bin"));
    fetch(&home, &pool, &known, true).unwrap().storage.close();
    known.assert_whole(&home.dir());
}

#[test]
fn what_is_the_torrents_or_nothing_goes_on_without_a_question() {
    let known = torrent(&[("t/a", &random(1, 70_000)), ("t/small", &random(2, 300)), ("t/b", &random(3, 50_000))]);
    let a = known.file(0).to_vec();
    let zeros = |length| vec![0; length];
    let mut half = a.clone();
    half[30_000..].fill(0);
    let mut sprinkled = a.clone();
    sprinkled[..20_000].fill(7);
    // Cut short, empty, preallocated, with holes, with damage, whole; with a neighbor that cannot be told.
    let there = [a[..30_000].to_vec(), Vec::new(), zeros(70_000), half, sprinkled, a.clone()];
    for bytes in &there {
        for small in [None, Some(known.file(1)), Some(&zeros(300)[..])] {
            let (home, pool) = (Home::new(), pool());
            fs::create_dir_all(home.dir().join("t")).unwrap();
            fs::write(home.dir().join("t/a"), bytes).unwrap();
            if let Some(small) = small {
                fs::write(home.dir().join("t/small"), small).unwrap();
            }
            let (opened, have) = start(&home, &pool, &known, false).unwrap();
            opened.download(&known, (0..known.pieces()).filter(|piece| !have.contains(piece)));
            known.assert_whole(&home.dir());
            opened.storage.close();
            let (opened, have) = start(&home, &pool, &known, false).unwrap();
            assert_eq!(have.len() as u32, known.pieces());
            opened.storage.delete_files().unwrap().expect("what was there before stays");
            assert!(home.dir().join("t/a").exists() && !home.dir().join("t/b").exists());
        }
    }
}

#[test]
fn a_small_file_of_somebody_else_among_the_torrents_own_is_not_written_over() {
    let known = torrent(&[("t/a", &random(1, 40_000)), ("t/small", &random(2, 300)), ("t/b", &random(3, 50_000))]);
    for diary in [&b"dear diary"[..], &random(8, 300), &random(9, 299)] {
        let (home, pool) = (Home::new(), pool());
        fs::create_dir_all(home.dir().join("t")).unwrap();
        fs::write(home.dir().join("t/a"), known.file(0)).unwrap();
        fs::write(home.dir().join("t/small"), diary).unwrap();
        let (opened, have) = start(&home, &pool, &known, false).unwrap();
        assert_eq!(have, [0, 1]);
        opened.storage.submit(known.write_piece(2));
        let told = opened.until(|done| !matches!(done, DiskDone::Wrote(_)));
        let Some(DiskDone::Failed { fault, .. }) = told.last() else { panic!("{told:?}") };
        assert!(fault.kind == FaultKind::Occupied && fault.text.contains("t/small"), "{fault}");
        assert_eq!(fs::read(home.dir().join("t/small")).unwrap(), diary);
        opened.storage.close();
    }
}

/// Files that share all of their pieces with neighbors, and of the whole torrent nothing else is there.
#[test]
fn small_files_alone_are_compared_with_the_torrents_bytes_as_these_come() {
    let known = torrent(&[
        ("t/a", &random(1, 20_000)),
        ("t/s1", &random(2, 300)),
        ("t/s2", &random(3, 9_000)),
        ("t/b", &random(4, 50_000)),
    ]);
    let part = |n: usize, from: usize| {
        let mut bytes = known.file(n).to_vec();
        bytes[from..].fill(0);
        bytes
    };
    // What an earlier download left, of which nothing is recorded: one of them, both, some of their bytes.
    for (s1, s2) in [
        (Some(part(1, 300)), None),
        (None, Some(part(2, 9_000))),
        (Some(part(1, 300)), Some(part(2, 9_000))),
        (Some(part(1, 10)), Some(part(2, 4_000))),
        (Some(Vec::new()), Some(part(2, 1))),
    ] {
        let (home, pool) = (Home::new(), pool());
        fs::create_dir_all(home.dir().join("t")).unwrap();
        for (name, bytes) in [("t/s1", &s1), ("t/s2", &s2)] {
            bytes.iter().for_each(|bytes| fs::write(home.dir().join(name), bytes).unwrap());
        }
        fetch(&home, &pool, &known, false).unwrap().storage.close();
        known.assert_whole(&home.dir());
    }
    // Somebody's file of the very length is asked about when its bytes come, and one of another length at once.
    for (length, at_once) in [(300, false), (299, true), (5, true)] {
        let (home, pool) = (Home::new(), pool());
        let diary = random(8, length);
        fs::create_dir_all(home.dir().join("t")).unwrap();
        fs::write(home.dir().join("t/s1"), &diary).unwrap();
        let fault = match start(&home, &pool, &known, false) {
            Err(fault) if at_once => fault,
            Ok((opened, _)) if !at_once => {
                opened.download(&known, [0, 2, 3, 4]);
                opened.storage.submit(known.write_piece(1));
                let told = opened.until(|done| !matches!(done, DiskDone::Wrote(_)));
                let Some(DiskDone::Failed { fault, .. }) = told.last() else { panic!("{told:?}") };
                let fault = fault.clone();
                opened.storage.close();
                fault
            }
            other => panic!("{length}: {:?}", other.err()),
        };
        assert!(fault.kind == FaultKind::Occupied && fault.text.contains("t/s1"), "{fault}");
        assert_eq!(fs::read(home.dir().join("t/s1")).unwrap(), diary);
        fetch(&home, &pool, &known, true).unwrap().storage.close();
        known.assert_whole(&home.dir());
    }
}

#[test]
fn zeros_that_the_torrent_has_too_prove_nothing() {
    let mut data = random(1, 6 * PIECE as usize);
    data[..2 * PIECE as usize].fill(0);
    let known = torrent(&[("x.bin", &data)]);
    for keep in [1, 5, 6] {
        let (home, pool) = (Home::new(), pool());
        let mut diary = vec![0; data.len()];
        diary[keep * PIECE as usize - 9..keep * PIECE as usize].copy_from_slice(b"my words!");
        fs::create_dir_all(home.dir()).unwrap();
        fs::write(home.dir().join("x.bin"), &diary).unwrap();
        assert_eq!(refused(fetch(&home, &pool, &known, false)).kind, FaultKind::Occupied);
        assert_eq!(fs::read(home.dir().join("x.bin")).unwrap(), diary);
    }
}

#[test]
fn a_file_that_appears_while_a_torrent_is_at_work_is_not_written_to() {
    let known = torrent(&[("t/a", &random(1, 40_000)), ("t/b", &random(2, 40_000))]);
    for diary in [&b"dear diary"[..], &random(8, 40_000), &random(9, 20_000)] {
        let (home, pool) = (Home::new(), pool());
        let (opened, _) = start(&home, &pool, &known, false).unwrap();
        opened.download(&known, 0..1);
        fs::write(home.dir().join("t/b"), diary).unwrap();
        opened.storage.submit(known.write_piece(3));
        let told = opened.until(|done| !matches!(done, DiskDone::Wrote(_)));
        assert!(matches!(told.last(), Some(DiskDone::Failed { .. })), "{told:?}");
        assert_eq!(fs::read(home.dir().join("t/b")).unwrap(), diary);
        assert_eq!(opened.check(vec![0..known.pieces()]).1.unwrap().kind, FaultKind::Occupied);
        opened.storage.close();
    }
}

#[test]
fn what_the_user_puts_in_the_place_of_a_file_is_written_over_only_when_he_says_so() {
    let known = torrent(&[("t/x", &random(1, 100_000)), ("t/y", &random(2, 40_000))]);
    let mine = [random(3, 100_000), random(4, 10), known.file(0)[..50_000].to_vec()];
    for (n, new) in mine.iter().enumerate() {
        for (in_place, at_work) in [(false, true), (true, true), (false, false), (true, false)] {
            let (home, pool) = (Home::new(), pool());
            let path = home.dir().join("t/x");
            let fetched = fetch(&home, &pool, &known, false).unwrap();
            let at_work = if at_work {
                Some(fetched)
            } else {
                fetched.storage.close();
                None
            };
            if !in_place {
                fs::remove_file(&path).unwrap();
            }
            fs::write(&path, new).unwrap();
            let Some(opened) = at_work else {
                // Removed with its data: what is somebody else's stays.
                let opened = open(&pool, home.spec(&known)).unwrap().0;
                let stays = opened.storage.delete_files().unwrap().unwrap();
                opened.storage.close();
                assert!(stays.contains("t/x was") && &fs::read(&path).unwrap() == new, "{stays}");
                assert!(!home.dir().join("t/y").exists());
                continue;
            };
            let (good, fault) = opened.check(vec![0..known.pieces()]);
            // Some of it is the torrent's: what is damaged is mended.
            if n == 2 {
                assert_eq!(fault, None);
                opened.download(&known, (0..known.pieces()).filter(|piece| !good.contains(piece)));
                opened.storage.close();
                known.assert_whole(&home.dir());
                continue;
            }
            let fault = fault.unwrap();
            assert!(fault.kind == FaultKind::Occupied && fault.text.contains("t/x was changed"), "{fault}");
            opened.storage.close();
            for _ in 0..2 {
                assert_eq!(refused(fetch(&home, &pool, &known, false)).kind, FaultKind::Occupied);
                assert_eq!(&fs::read(&path).unwrap(), new);
            }
            fetch(&home, &pool, &known, true).unwrap().storage.close();
            known.assert_whole(&home.dir());
        }
    }
}

#[test]
fn what_is_in_another_shape_keeps_no_other_file_from_being_deleted() {
    let known = torrent(&[("t/x", &random(1, 100_000)), ("t/y", &random(2, 40_000)), ("t/z", &random(3, 10))]);
    let (home, pool) = (Home::new(), pool());
    let opened = fetch(&home, &pool, &known, false).unwrap();
    let grown = [known.file(1), b"more"].concat();
    fs::write(home.dir().join("t/y"), &grown).unwrap();
    fs::remove_file(home.dir().join("t/z")).unwrap();
    fs::create_dir(home.dir().join("t/z")).unwrap();
    let stays = opened.storage.delete_files().unwrap().unwrap();
    opened.storage.close();
    assert!(stays.contains("t/y and one more file"), "{stays}");
    assert_eq!(fs::read(home.dir().join("t/y")).unwrap(), grown);
    assert!(!home.dir().join("t/x").exists() && home.dir().join("t/z").is_dir());
}

/// Two names of one file stand for a file system that is blind to case.
#[cfg(unix)]
#[test]
fn names_that_are_one_file_get_the_same_sentence_at_each_start() {
    for (small, large) in [("t/read.me", "t/READ.me"), ("t/caf\u{e9}", "t/cafe\u{301}"), ("t/x", "t/X")] {
        let known = torrent(&[(small, &random(1, 40_000)), (large, &random(2, 20_000))]);
        let (home, pool) = (Home::new(), pool());
        let (opened, _) = start(&home, &pool, &known, false).unwrap();
        opened.download(&known, 0..2);
        fs::hard_link(home.dir().join(small), home.dir().join(large)).unwrap();
        opened.storage.submit(known.write_piece(3));
        let told = opened.until(|done| !matches!(done, DiskDone::Wrote(_)));
        let Some(DiskDone::Failed { fault, .. }) = told.last() else { panic!("{told:?}") };
        opened.storage.close();
        for _ in 0..2 {
            assert_eq!(refused(start(&home, &pool, &known, false)).text, fault.text);
        }
        assert!(fault.text.contains("are one file here"), "{fault}");
    }
}

#[test]
fn a_torrent_moves_beside_nobody_and_takes_nothing_of_others() {
    let (home, pool) = (Home::new(), pool());
    let owners = pool.owners(&home.state());
    let same = random(3, 60_000);
    let a = torrent(&[("show/e1", &random(1, 50_000)), ("show/same", &same)]);
    let b = torrent(&[("show/e2", &random(2, 40_000)), ("show/same", &same)]);
    fetch(&home, &pool, &a, false).unwrap().storage.close();
    fetch(&home, &pool, &b, false).unwrap().storage.close();
    let to = home.root.path().join("elsewhere");
    // A torrent at work there that has written nothing yet.
    let mut spec = home.spec(&torrent(&[("show/e2", &random(7, 90_000))]));
    spec.dir.clone_from(&to);
    let (there, _) = open(&pool, spec).unwrap();
    let fault = refused(move_files(&home.spec(&b), &to, &owners, &Progress::default()));
    assert!(fault.text.contains("show/e2 belongs to the torrent show"), "{fault}");
    there.storage.close();
    move_files(&home.spec(&b), &to, &owners, &Progress::default()).unwrap().delete_old_files().unwrap();
    a.assert_whole(&home.dir());
    b.assert_whole(&to);
    assert!(!home.dir().join("show/e2").exists());
    // It has all of its own there, and goes with it.
    let mut spec = home.spec(&b);
    spec.dir.clone_from(&to);
    let (moved, resumed) = open(&pool, spec).unwrap();
    assert_eq!(pieces_in(&resumed.have).len() as u32, b.pieces());
    assert_eq!(moved.storage.delete_files().unwrap(), None);
    assert!(!to.join("show").exists());
    a.assert_whole(&home.dir());
}

/// A file system that takes no name that Windows does not take, gone when dropped.
#[cfg(target_os = "linux")]
struct Ntfs(std::path::PathBuf);

#[cfg(target_os = "linux")]
impl Ntfs {
    fn mount(root: &Path) -> Option<Ntfs> {
        let (image, at) = (root.join("image"), root.join("disk"));
        fs::File::create(&image).unwrap().set_len(64 << 20).unwrap();
        fs::create_dir(&at).unwrap();
        let run = |program: &str, args: &[&std::ffi::OsStr]| {
            let done = std::process::Command::new(program).args(args).output();
            done.is_ok_and(|done| done.status.success())
        };
        let (image, place) = (image.as_os_str(), at.as_os_str());
        let made = run("mkntfs", &["-F".as_ref(), "-Q".as_ref(), image]);
        (made && run("lowntfs-3g", &["-o".as_ref(), "windows_names".as_ref(), image, place])).then_some(Ntfs(at))
    }
}

#[cfg(target_os = "linux")]
impl Drop for Ntfs {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg(&self.0).status();
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_torrent_moves_onto_a_disk_that_refuses_its_names_and_back() {
    let root = tempfile::tempdir().unwrap();
    let Some(disk) = Ntfs::mount(root.path()) else {
        return skip("no NTFS can be mounted (ntfs-3g, FUSE)");
    };
    let known = torrent(&[
        ("t: x/plain", &random(1, 50_000)),
        ("t: x/Part 1: why?", &random(2, 40_000)),
        ("t: x/ends.", &random(3, 20_000)),
        ("t: x/sub/plain", b""),
    ]);
    let (home, pool) = (Home::new(), pool());
    let owners = pool.owners(&home.state());
    fetch(&home, &pool, &known, false).unwrap().storage.close();
    let to = disk.0.join("deep/er");
    let there = ["t_ x/plain", "t_ x/Part 1_ why_", "t_ x/ends_", "t_ x/sub/plain"];
    let whole = |dir: &Path| (0..4).all(|n| fs::read(dir.join(there[n])).is_ok_and(|bytes| bytes == known.file(n)));
    let spec_in = |dir: &Path| {
        let mut spec = home.spec(&known);
        spec.dir = dir.to_path_buf();
        spec
    };
    let moved = |spec: &StorageSpec, to: &Path| move_files(spec, to, &owners, &Progress::default()).unwrap();
    // Cut short before the old files went, and the old folder counts: everything is as it was.
    drop(moved(&home.spec(&known), &to));
    assert!(whole(&to));
    let from = home.dir();
    assert_eq!(recovery::recover_moves(&home.state(), &|_| Some(from.clone()), &owners).len(), 1);
    known.assert_whole(&home.dir());
    assert!(!to.join("t_ x").exists());
    // Cut short, and the new folder counts.
    drop(moved(&home.spec(&known), &to));
    assert_eq!(recovery::recover_moves(&home.state(), &|_| Some(to.clone()), &owners).len(), 1);
    assert!(whole(&to) && !home.dir().join("t: x").exists());
    let (opened, resumed) = open(&pool, spec_in(&to)).unwrap();
    assert_eq!(pieces_in(&resumed.have).len() as u32, known.pieces(), "its record came along: {resumed:?}");
    opened.storage.close();
    // Back to where every name is taken: it keeps those that it has.
    let back = root.path().join("back");
    moved(&spec_in(&to), &back).delete_old_files().unwrap();
    assert!(whole(&back) && !to.join("t_ x").exists());
    let (opened, resumed) = open(&pool, spec_in(&back)).unwrap();
    assert_eq!(pieces_in(&resumed.have).len() as u32, known.pieces(), "{resumed:?}");
    assert_eq!(opened.storage.delete_files().unwrap(), None, "all of it is its own");
    assert!(!back.join("t_ x").exists());
}

#[test]
fn the_next_start_clears_what_a_move_left_that_was_cut_short() {
    let known = torrent(&[("t/a", &random(1, 40_000)), ("t/d/b", &random(2, 40_000)), ("t/c", &random(3, 10))]);
    let list = |dir: &Path| {
        let dir = dir.to_path_buf();
        move |_: InfoHash| Some(dir.clone())
    };
    // Cut short after everything was brought, before the old files went: the list tells which folder counts.
    for new_counts in [true, false] {
        let (home, pool) = (Home::new(), pool());
        let owners = pool.owners(&home.state());
        fetch(&home, &pool, &known, false).unwrap().storage.close();
        let to = home.root.path().join("elsewhere");
        drop(move_files(&home.spec(&known), &to, &owners, &Progress::default()).unwrap());
        fs::write(to.join("t/.ttui-moving-theirs"), b"not ours").unwrap();
        let (stays, goes) = if new_counts { (to.clone(), home.dir()) } else { (home.dir(), to.clone()) };
        let said = recovery::recover_moves(&home.state(), &list(&stays), &owners);
        assert!(said.len() == 1 && said[0].contains("was cut short"), "{said:?}");
        known.assert_whole(&stays);
        assert!(known.layout.files().iter().all(|file| !goes.join(&file.path).exists()));
        assert!(to.join("t/.ttui-moving-theirs").exists());
        assert!(recovery::recover_moves(&home.state(), &list(&stays), &owners).is_empty());
        let mut spec = home.spec(&known);
        spec.dir = stays;
        let (opened, resumed) = open(&pool, spec).unwrap();
        assert_eq!(pieces_in(&resumed.have).len() as u32, known.pieces(), "its record is where it is");
        assert_eq!(opened.storage.delete_files().unwrap(), None);
    }
    // One that is in no list is named.
    let (home, pool) = (Home::new(), pool());
    let owners = pool.owners(&home.state());
    fetch(&home, &pool, &known, false).unwrap().storage.close();
    let to = home.root.path().join("elsewhere");
    drop(move_files(&home.spec(&known), &to, &owners, &Progress::default()).unwrap());
    let said = recovery::recover_moves(&home.state(), &|_| None, &owners);
    assert!(said[0].contains("in both folders"), "{said:?}");
    known.assert_whole(&to);
}

#[test]
fn bytes_that_stand_there_already_are_not_written_again() {
    // A border piece of a file that another torrent owns: equal bytes pass, others do not.
    let (small, big) = (random(1, 500), random(2, 30_000));
    let (home, pool) = (Home::new(), pool());
    let a = torrent(&[("t/small", &small), ("t/a", &big)]);
    let b = torrent(&[("t/small", &small), ("t/b", &random(3, 30_000))]);
    let c = torrent(&[("t/small", &random(4, 500)), ("t/c", &big)]);
    fetch(&home, &pool, &a, false).unwrap().storage.close();
    fetch(&home, &pool, &b, false).unwrap().storage.close();
    b.assert_whole(&home.dir());
    let (opened, _) = start(&home, &pool, &c, false).unwrap();
    opened.storage.submit(c.write_piece(0));
    let told = opened.until(|done| !matches!(done, DiskDone::Wrote(_)));
    let Some(DiskDone::Failed { fault, .. }) = told.last() else { panic!("{told:?}") };
    assert!(fault.text.contains("t/small belongs to the torrent t"), "{fault}");
    a.assert_whole(&home.dir());
}

#[cfg(unix)]
#[test]
fn other_names_of_a_file_keep_their_bytes() {
    let old = random(1, 100_000);
    let new = [&old[..65_536], &random(2, 34_464)[..]].concat();
    let (a, b, short) = (torrent(&[("x.bin", &old)]), torrent(&[("x.bin", &new)]), one(3, 50_000));
    let (first, pool) = (Home::new(), pool());
    fetch(&first, &pool, &a, false).unwrap().storage.close();
    for (known, overwrite) in [(&b, false), (&b, true), (&short, true)] {
        let home = Home::new();
        fs::create_dir_all(home.dir()).unwrap();
        fs::hard_link(first.dir().join("x.bin"), home.dir().join("x.bin")).unwrap();
        fetch(&home, &pool, known, overwrite).unwrap().storage.close();
        a.assert_whole(&first.dir());
        known.assert_whole(&home.dir());
        assert_eq!(fs::read_dir(home.dir()).unwrap().count(), 1);
        let (_, resumed) = open(&pool, home.spec(known)).unwrap();
        assert_eq!((pieces_in(&resumed.have).len() as u32, resumed.check), (known.pieces(), vec![]));
    }
    // One of the torrent's own making, of which somebody has kept what was there by then.
    let home = Home::new();
    let (opened, _) = start(&home, &pool, &a, false).unwrap();
    opened.download(&a, 0..2);
    opened.storage.close();
    let (path, kept) = (home.dir().join("x.bin"), home.root.path().join("kept"));
    let bytes = fs::read(&path).unwrap();
    fs::hard_link(&path, &kept).unwrap();
    fetch(&home, &pool, &a, false).unwrap().storage.close();
    a.assert_whole(&home.dir());
    assert!(fs::read(&kept).unwrap() == bytes);
}
