//! The disk layer with real files: what is written is read back, what is wrong is told, what was recorded is believed
//! after whatever end, and nothing that is not ours is touched.

// A list of runs of pieces may well have one; and a test that cannot go on has failed.
#![allow(clippy::single_range_in_vec_init, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support {
    pub mod parts;
    pub mod torrent;
}

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use bytes::Bytes;
use sha1::{Digest, Sha1};
use support::torrent::{Home, Known, pieces_in};
use ttui::disk::layout::Layout;
use ttui::disk::pool::DiskPool;
use ttui::disk::storage::Allocation;
use ttui::disk::storage::StorageSpec;
use ttui::limits::SHUTDOWN;
use ttui::swarm::data_map::DataMap;
use ttui::swarm::job::{DiskDone, DiskFault, DiskJob, FaultKind, Probe};
use ttui::wire::message::{Block, PieceIndex};

/// Files of every awkward kind: nested, empty, ending within pieces and blocks, with padding between.
const MANY: &[(Option<&str>, u64)] = &[
    (Some("t/first"), 100_001),
    (Some("t/empty at the start"), 0),
    (Some("t/sub/one byte"), 1),
    (None, 30_000),
    (Some("t/sub/deep/long"), 700_000),
    (Some("t/whole pieces"), 131_072),
    (None, 5),
    (Some("t/last is empty"), 0),
];

fn pool() -> DiskPool {
    DiskPool::start(2).unwrap()
}

#[test]
fn blocks_in_any_order_make_the_files() {
    for seed in 0..8 {
        let known = Known::new(1 << [15, 16, 17, 14][seed as usize % 4], MANY);
        let (home, pool) = (Home::new(), pool());
        let (open, resumed) = home.open(&pool, &known);
        assert_eq!((pieces_in(&resumed.have), resumed.check, resumed.note), (vec![], vec![], None));
        assert!(!home.dir().exists(), "opening makes nothing");
        let mut blocks = known.all_blocks();
        fastrand::Rng::with_seed(seed).shuffle(&mut blocks);
        for batch in blocks.chunks(7) {
            open.storage.submit(batch.iter().map(|b| known.write(*b)));
        }
        let (mut verified, mut wrote) = (Vec::new(), 0);
        while verified.len() < known.pieces() as usize || wrote < known.data.len() as u64 {
            match open.next() {
                DiskDone::Verified { piece, blocks } => {
                    assert!(blocks.is_empty());
                    verified.push(piece.0);
                }
                DiskDone::Wrote(bytes) => wrote += bytes,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(wrote, known.data.len() as u64, "every byte is given back once");
        let mut back = vec![0; known.data.len()];
        open.storage.read_bytes(0, &mut back).unwrap();
        assert!(back == known.data, "what is read is what was written");
        let odd = Block { piece: PieceIndex(1), begin: 777, length: 9_999 };
        let mut part = vec![0; 9_999];
        open.storage.read(odd, &mut part).unwrap();
        assert_eq!(part, known.bytes(odd));
        open.storage.close();
        known.assert_whole(&home.dir());
    }
}

#[test]
fn late_and_foreign_blocks_do_no_harm() {
    let known = Known::new(65_536, &[(Some("f"), 200_000)]);
    let (home, pool) = (Home::new(), pool());
    let (open, _) = home.open(&pool, &known);
    let blocks = known.blocks(0);
    let outside = Block { piece: PieceIndex(3), begin: 16_384, length: 16_384 };
    let nowhere = Block { piece: PieceIndex(99), begin: 0, length: 16_384 };
    let junk = || Bytes::from(vec![1; 16_384]);
    open.storage.submit([
        DiskJob::Write { block: outside, data: junk() },
        DiskJob::Write { block: nowhere, data: junk() },
        DiskJob::Write { block: blocks[0], data: Bytes::from_static(b"too short") },
        known.write(blocks[2]),
        DiskJob::Write { block: blocks[2], data: junk() },
        known.write(blocks[0]),
        DiskJob::Write { block: blocks[0], data: junk() },
        known.write(blocks[3]),
        known.write(blocks[1]),
        DiskJob::Write { block: blocks[1], data: junk() },
    ]);
    let told = open.until(|d| matches!(d, DiskDone::Verified { .. }));
    assert!(!told.iter().any(|d| matches!(d, DiskDone::Corrupt { .. })), "{told:?}");
    let mut out = [0; 10];
    assert!(open.storage.read(nowhere, &mut out).is_err());
    assert!(open.storage.read_bytes(199_995, &mut out).is_err());
}

#[test]
fn a_corrupt_piece_tells_which_blocks_came() {
    // The second piece lies in a pad file in part: that is zeros, whatever a peer sends for it.
    let known = Known::new(65_536, &[(Some("a"), 100_000), (None, 31_072), (Some("b"), 10_000)]);
    for (piece, lie) in [(0, 3), (1, 1)] {
        let (home, pool) = (Home::new(), pool());
        let (open, _) = home.open(&pool, &known);
        let blocks = known.blocks(piece);
        let bad = Bytes::from(vec![0xee; 16_384]);
        let sent: Vec<Bytes> =
            blocks.iter().enumerate().map(|(n, b)| if n == lie { bad.clone() } else { known.bytes(*b) }).collect();
        open.storage.submit(blocks.iter().zip(&sent).map(|(b, d)| DiskJob::Write { block: *b, data: d.clone() }));
        let hashes = |all: &[Bytes]| all.iter().map(|b| Sha1::digest(b).into()).collect::<Vec<[u8; 20]>>();
        match open.until(|d| !matches!(d, DiskDone::Wrote(_))).pop() {
            Some(DiskDone::Corrupt { piece: p, blocks }) => {
                assert_eq!((p.0, blocks), (piece, hashes(&sent)));
            }
            other => panic!("{other:?}"),
        }
        open.storage.submit(known.write_piece(piece));
        let right: Vec<Bytes> = blocks.iter().map(|b| known.bytes(*b)).collect();
        match open.until(|d| !matches!(d, DiskDone::Wrote(_))).pop() {
            Some(DiskDone::Verified { piece: p, blocks }) => assert_eq!((p.0, blocks), (piece, hashes(&right))),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn padding_is_there_without_anybody_sending_it() {
    let block = 16_384;
    let layouts: [&[(Option<&str>, u64)]; 5] = [
        // A tail of padding in each piece, as makers align files.
        &[(Some("a"), 100), (None, 4 * block - 100), (Some("b"), 5 * block + 1), (None, 3 * block - 1), (Some("c"), 9)],
        // Padding before data, in the middle of a block, and two runs of it that touch.
        &[(None, block + 7), (Some("a"), 3 * block), (None, 5), (None, 2 * block), (Some("b"), 3 * block)],
        // Whole pieces of padding, and the last piece is one.
        &[(Some("a"), 4 * block), (None, 8 * block), (Some("b"), 1), (None, 5 * block)],
        MANY,
        &[(None, 40_000)],
    ];
    for (seed, files) in (0..).zip(layouts) {
        let known = Known::new(4 * block as u32, files);
        let (home, pool) = (Home::new(), pool());
        let (open, resumed) = home.open(&pool, &known);
        let mut offset = 0;
        let pads = files.iter().map(|(name, length)| {
            offset += length;
            (name.is_none(), offset - length..offset)
        });
        let padding = pads.filter(|(pad, _)| *pad).map(|(_, range)| range).collect();
        let map = DataMap::new(known.layout.geometry(), padding);
        let of = |piece| (0..map.geometry().blocks(piece)).map(move |n| (piece, n));
        let blocks = map.geometry().all().flat_map(of).map(|(piece, n)| map.block(piece, n));
        let mut blocks: Vec<Block> = blocks.filter(|block| block.length > 0).collect();
        let there: Vec<u32> = (0..known.pieces()).filter(|p| blocks.iter().all(|block| block.piece.0 != *p)).collect();
        assert_eq!((pieces_in(&resumed.have), resumed.check), (there.clone(), vec![]), "layout {seed}");
        fastrand::Rng::with_seed(seed).shuffle(&mut blocks);
        open.storage.submit(blocks.iter().map(|block| known.write(*block)));
        let mut left = known.pieces() as usize - there.len();
        while left > 0 {
            match open.next() {
                DiskDone::Verified { .. } => left -= 1,
                DiskDone::Wrote(_) => {}
                other => panic!("layout {seed}: {other:?}"),
            }
        }
        known.assert_whole(&home.dir());
        open.storage.close();
        let (open, resumed) = home.open(&pool, &known);
        assert_eq!(pieces_in(&resumed.have), (0..known.pieces()).collect::<Vec<_>>());
        assert_eq!(open.check(vec![0..known.pieces()]).0.len(), known.pieces() as usize);
    }
}

#[test]
fn a_piece_of_padding_whose_hash_says_otherwise_is_not_there() {
    let known = Known::new(16_384, &[(Some("a"), 16_384), (None, 16_384)]);
    let hashes = vec![known.layout.hash(PieceIndex(0)).unwrap(), [9; 20]];
    let (info_hash, geometry) = (known.layout.info_hash(), known.layout.geometry());
    let layout = Layout::new(info_hash, geometry, known.layout.files().to_vec(), hashes).unwrap();
    let known = Known { layout: std::sync::Arc::new(layout), ..known };
    let (home, pool) = (Home::new(), pool());
    assert!(pieces_in(&home.open(&pool, &known).1.have).is_empty());
}

#[test]
fn forgotten_pieces_begin_anew_and_give_their_bytes_back() {
    let known = Known::new(65_536, &[(Some("f"), 65_536)]);
    let (home, pool) = (Home::new(), pool());
    let (open, _) = home.open(&pool, &known);
    let junk = DiskJob::Write { block: known.blocks(0)[0], data: Bytes::from(vec![3; 16_384]) };
    open.storage.submit([junk, DiskJob::Forget(PieceIndex(0))]);
    assert!(matches!(open.next(), DiskDone::Wrote(16_384)));
    open.download(&known, [0]);
}

#[test]
fn bytes_that_wait_too_long_are_written_and_read_back() {
    let known = Known::new(1 << 20, &[(Some("f"), 3 << 20)]);
    let (home, pool) = (Home::new(), pool());
    let (open, _) = home.open(&pool, &known);
    let blocks = known.blocks(1);
    // All but the first, so that nothing can be hashed; the disk gives them back by itself after a while.
    open.storage.submit(blocks[1..].iter().map(|b| known.write(*b)));
    let mut wrote = 0;
    while wrote < (1 << 20) - 16_384 {
        match open.next() {
            DiskDone::Wrote(bytes) => wrote += bytes,
            other => panic!("{other:?}"),
        }
    }
    open.storage.submit([known.write(blocks[0])]);
    assert!(matches!(open.until(|d| !matches!(d, DiskDone::Wrote(_))).pop(), Some(DiskDone::Verified { .. })));
}

#[test]
fn memory_is_bounded_however_blocks_come() {
    let known = Known::new(4 << 20, &[(Some("f"), 64 << 20)]);
    let (home, pool) = (Home::new(), pool());
    let (open, _) = home.open(&pool, &known);
    // Every second block of everything: no run ever grows.
    let (odd, even): (Vec<Block>, Vec<Block>) = known.all_blocks().into_iter().partition(|b| b.begin / 16_384 % 2 == 1);
    let mut wrote = 0;
    for batch in odd.chunks(32) {
        open.storage.submit(batch.iter().map(|b| known.write(*b)));
    }
    while wrote < (32 << 20) - ttui::limits::BUDGET / 4 {
        match open.next() {
            DiskDone::Wrote(bytes) => wrote += bytes,
            other => panic!("{other:?}"),
        }
    }
    open.storage.submit(even.iter().map(|b| known.write(*b)));
    let mut left = known.pieces();
    while left > 0 {
        left -= u32::from(matches!(open.next(), DiskDone::Verified { .. }));
    }
    open.storage.close();
    known.assert_whole(&home.dir());
}

#[test]
fn a_closed_download_goes_on_where_it_was() {
    let known = Known::new(32_768, MANY);
    let (home, pool) = (Home::new(), pool());
    let (open, _) = home.open(&pool, &known);
    open.download(&known, 0..10);
    open.storage.close();
    let (open, resumed) = home.open(&pool, &known);
    assert_eq!((pieces_in(&resumed.have), resumed.check), ((0..10).collect(), vec![]));
    open.download(&known, 10..known.pieces());
    open.storage.submit([DiskJob::Save]);
    assert!(matches!(open.until(|d| !matches!(d, DiskDone::Wrote(_))).pop(), Some(DiskDone::Saved)));
    drop(pool);
    let pool = self::pool();
    let (_, resumed) = home.open(&pool, &known);
    assert_eq!(pieces_in(&resumed.have).len() as u32, known.pieces(), "{resumed:?}");
    known.assert_whole(&home.dir());
}

#[test]
fn a_session_that_writes_nothing_leaves_everything_believed() {
    let known = Known::new(32_768, &[(Some("a"), 65_536), (Some("b"), 65_536)]);
    let (home, pool) = (Home::new(), pool());
    let (open, _) = home.open(&pool, &known);
    open.download(&known, 0..4);
    open.storage.close();
    for _ in 0..3 {
        let (open, resumed) = home.open(&pool, &known);
        assert_eq!((pieces_in(&resumed.have), resumed.check, resumed.note), ((0..4).collect(), vec![], None));
        open.storage.close();
    }
}

#[test]
fn files_that_changed_while_we_were_away_are_hashed_again_and_no_others() {
    let known = Known::new(32_768, &[(Some("d/a"), 100_000), (Some("d/b"), 100_000), (Some("d/c"), 100_000)]);
    let (home, pool) = (Home::new(), pool());
    let (open, _) = home.open(&pool, &known);
    open.download(&known, 0..known.pieces());
    open.storage.close();
    let mut bytes = fs::read(home.dir().join("d/b")).unwrap();
    bytes[50_000] ^= 1;
    fs::write(home.dir().join("d/b"), bytes).unwrap();
    let (open, resumed) = home.open(&pool, &known);
    assert_eq!(resumed.check, [3..7]);
    assert!(resumed.note.as_ref().is_some_and(|n| n.contains("1 file")), "{resumed:?}");
    let (good, fault) = open.check(resumed.check);
    assert_eq!((good, fault), (vec![3, 5, 6], None));
    open.storage.close();
    fs::remove_file(home.dir().join("d/c")).unwrap();
    let (open, resumed) = home.open(&pool, &known);
    assert_eq!((pieces_in(&resumed.have), resumed.check), (vec![0, 1, 2, 3, 5], vec![]));
    open.download(&known, [4, 6, 7, 8, 9]);
    open.storage.close();
    known.assert_whole(&home.dir());
}

#[test]
fn what_is_replaced_while_it_is_seeded_is_not_sent() {
    let known = Known::new(32_768, &[(Some("d/a"), 100_000), (Some("d/b"), 100_000)]);
    let (home, pool) = (Home::new(), pool());
    known.put(&home.dir());
    let (open, resumed) = home.open(&pool, &known);
    open.check(resumed.check);
    let read = |piece| {
        let mut block = vec![0; 16_384];
        let at = Block { piece: PieceIndex(piece), begin: 0, length: 16_384 };
        open.storage.read(at, &mut block).map(|()| block)
    };
    let whole = read(0).unwrap();
    let other = home.dir().join("other");
    fs::write(&other, vec![7; 100_000]).unwrap();
    fs::rename(&other, home.dir().join("d/b")).unwrap();
    let fault = read(4).unwrap_err();
    assert!(fault.text.contains("d/b was changed by another program"), "{}", fault.text);
    assert_eq!(read(0).unwrap(), whole, "others are sent as before");
    open.storage.close();
}

#[test]
fn what_lies_there_without_a_record_is_hashed_not_overwritten() {
    let known = Known::new(32_768, MANY);
    let (home, pool) = (Home::new(), pool());
    known.put(&home.dir());
    fs::write(home.dir().join("t/first"), vec![0; 50_000]).unwrap();
    fs::remove_file(home.dir().join("t/whole pieces")).unwrap();
    let (open, resumed) = home.open(&pool, &known);
    let (good, fault) = open.check(resumed.check);
    assert_eq!((good.first(), good.last(), fault), (Some(&4), Some(&24), None));
    assert_eq!(fs::read(home.dir().join("t/first")).unwrap(), vec![0; 50_000], "a check changes nothing");
    assert!(!home.dir().join("t/whole pieces").exists());
    open.download(&known, (0..known.pieces()).filter(|p| !good.contains(p)));
    open.storage.close();
    known.assert_whole(&home.dir());
}

#[test]
fn a_check_that_was_broken_off_goes_on_where_it_was() {
    let known = Known::new(16_384, &[(Some("f"), 40 << 20)]);
    let (home, pool) = (Home::new(), pool());
    known.put(&home.dir());
    let (open, resumed) = home.open(&pool, &known);
    assert_eq!(resumed.check, vec![0..known.pieces()]);
    open.storage.submit([DiskJob::Check(resumed.check)]);
    open.next();
    open.storage.close();
    let (open, resumed) = home.open(&pool, &known);
    let have = pieces_in(&resumed.have);
    let left: u32 = resumed.check.iter().map(|r| r.end - r.start).sum();
    assert!(!have.is_empty() && have.len() as u32 + left == known.pieces(), "{} and {left}", have.len());
    let (good, _) = open.check(resumed.check);
    assert_eq!(good.len() as u32, left);
}

#[test]
fn a_larger_file_or_a_folder_in_the_place_of_a_file_is_not_touched() {
    let known = Known::new(32_768, &[(Some("d/f"), 100_000)]);
    let (home, pool) = (Home::new(), pool());
    fs::create_dir_all(home.dir().join("d")).unwrap();
    fs::write(home.dir().join("d/f"), vec![5; 100_001]).unwrap();
    let fault = home.try_open(&pool, &known).err().unwrap();
    assert!(fault.text.contains("exists with 100001 bytes"), "{fault}");
    fs::remove_file(home.dir().join("d/f")).unwrap();
    fs::create_dir(home.dir().join("d/f")).unwrap();
    let fault = home.try_open(&pool, &known).err().unwrap();
    assert!(fault.text.contains("is a folder"), "{fault}");
}

#[test]
fn the_second_to_open_a_torrent_here_is_refused_and_elsewhere_is_not() {
    let known = Known::new(32_768, &[(Some("f"), 1)]);
    let (home, pool) = (Home::new(), pool());
    let (open, _) = home.open(&pool, &known);
    let fault = home.try_open(&pool, &known).err().unwrap();
    assert!(fault.text.starts_with("already running (pid "), "{fault}");
    let mut elsewhere = home.spec(&known);
    elsewhere.dir = home.root.path().join("elsewhere");
    assert!(support::torrent::open(&pool, elsewhere).is_ok());
    open.storage.close();
    assert!(home.try_open(&pool, &known).is_ok());
}

/// A probe does what a write would, where it would, and leaves the bytes that are there.
#[test]
fn a_probe_fails_as_a_write_would_and_changes_nothing() {
    let known = Known::new(32_768, &[(Some("d/a"), 40_000), (None, 25_536), (Some("d/b"), 70_000), (Some("c"), 10)]);
    let probe = |open: &support::torrent::Open, probe: Probe| {
        open.storage.submit([DiskJob::Probe(probe)]);
        match open.until(|done| matches!(done, DiskDone::ProbeDone(_))).pop() {
            Some(DiskDone::ProbeDone(result)) => result.map_err(|fault| (fault.kind, fault.text)),
            other => panic!("{other:?}"),
        }
    };
    let write = |piece| Probe::Write(PieceIndex(piece));
    let (home, pool) = (Home::new(), pool());
    let (open, _) = home.open(&pool, &known);
    // Half a piece is there, of which nobody knows yet.
    open.storage.submit([known.write(known.blocks(0)[0])]);
    probe(&open, write(0)).unwrap();
    probe(&open, Probe::Read).unwrap();
    open.storage.submit([known.write(known.blocks(0)[1])]);
    loop {
        match open.next() {
            DiskDone::Verified { piece, .. } => break assert_eq!(piece.0, 0),
            DiskDone::Wrote(_) => {}
            other => panic!("{other:?}"),
        }
    }
    let dir = home.dir();
    let hinder: [(&str, u32); 3] = [("d/b", 2), ("d/b", 3), ("c", 4)];
    for (name, piece) in hinder {
        let _ = fs::remove_file(dir.join(name));
        fs::create_dir(dir.join(name)).unwrap();
        let told = probe(&open, write(piece)).unwrap_err();
        assert!(told.0 == FaultKind::Other && told.1.contains("folder"), "{told:?}");
        let told = probe(&open, Probe::Read).unwrap_err();
        assert!(told.0 == FaultKind::Other && told.1.contains("folder"), "{told:?}");
        fs::remove_dir(dir.join(name)).unwrap();
        let (good, fault) = open.check(vec![0..known.pieces()]);
        assert_eq!((good, fault), (vec![0], None));
        probe(&open, write(piece)).unwrap();
        probe(&open, Probe::Read).unwrap();
    }
    open.download(&known, 1..known.pieces());
    // What is there is never written over.
    for piece in 0..known.pieces() {
        probe(&open, write(piece)).unwrap();
    }
    open.storage.close();
    known.assert_whole(&dir);
}

#[test]
fn files_that_vanish_or_shrink_under_us_are_noticed() {
    let known = Known::new(32_768, &[(Some("d/a"), 65_536), (Some("d/b"), 65_536)]);
    let (home, pool) = (Home::new(), pool());
    let (open, _) = home.open(&pool, &known);
    open.download(&known, 0..4);
    open.storage.close();
    let (open, _) = home.open(&pool, &known);
    fs::remove_file(home.dir().join("d/a")).unwrap();
    fs::File::options().write(true).open(home.dir().join("d/b")).unwrap().set_len(40_000).unwrap();
    let mut into = vec![0; 16_384];
    for piece in [0, 3] {
        let fault = open.storage.read(known.blocks(piece)[0], &mut into).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Changed, "{fault}");
        assert!(fault.text.contains("put it back"), "{fault}");
    }
    let (good, fault) = open.check(vec![0..4]);
    assert_eq!((good, fault), (vec![2], None));
    open.download(&known, [0, 1, 3]);
    open.storage.close();
    known.assert_whole(&home.dir());
}

/// How another program may change a file that a torrent works on.
#[cfg(unix)]
type Harm = fn(&Path);

#[cfg(unix)]
const HARMS: &[(&str, Harm)] = &[
    ("overwritten in place", |path| overwrite(path, 70_000)),
    ("one byte of it", |path| {
        let file = fs::File::options().write(true).open(path).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, b"x", 100).unwrap();
    }),
    ("cut and made long again", |path| {
        let (file, length) = (fs::File::options().write(true).open(path).unwrap(), fs::metadata(path).unwrap().len());
        file.set_len(10).unwrap();
        file.set_len(length).unwrap();
    }),
    ("replaced by one of the same size", |path| {
        let other = path.with_extension("other");
        fs::write(&other, vec![7; fs::metadata(path).unwrap().len() as usize]).unwrap();
        fs::rename(&other, path).unwrap();
    }),
];

#[cfg(unix)]
fn overwrite(path: &Path, bytes: usize) {
    let file = fs::File::options().write(true).open(path).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &vec![0xee; bytes], 0).unwrap();
}

#[cfg(unix)]
#[test]
fn what_another_program_changes_during_a_download_is_told_before_it_is_complete_and_hashed() {
    let known = Known::new(32_768, &[(Some("d/a"), 100_000), (Some("d/b"), 200_000), (Some("d/c"), 50_000)]);
    let compare = |open: &support::torrent::Open| {
        open.storage.submit([DiskJob::Compare]);
        match open.until(|d| !matches!(d, DiskDone::Wrote(_))).pop() {
            Some(DiskDone::Compared(result)) => result,
            other => panic!("{other:?}"),
        }
    };
    for (name, harm) in HARMS {
        let (home, pool) = (Home::new(), pool());
        let (open, _) = home.open(&pool, &known);
        open.download(&known, 0..6);
        assert_eq!(compare(&open), Ok(vec![]), "{name}: our own writes are no alarm");
        harm(&home.dir().join("d/a"));
        // What we write afterwards, to this file and to others, must not hide it.
        open.download(&known, 6..known.pieces());
        assert_eq!(compare(&open), Ok(vec![0..4]), "{name}");
        let (good, fault) = open.check(vec![0..4]);
        // Where nothing in the file is the torrent's any more, it is somebody's, and the user is asked.
        let asked = good.is_empty();
        assert_eq!(fault.map(|fault| fault.kind), asked.then_some(FaultKind::Occupied), "{name}");
        assert!(good.len() < 4, "{name}: {good:?}");
        if asked {
            open.storage.close();
            continue;
        }
        open.download(&known, (0..4).filter(|piece| !good.contains(piece)));
        assert_eq!(compare(&open), Ok(vec![]), "{name}: what was hashed is believed");
        open.storage.close();
        let (open, resumed) = home.open(&pool, &known);
        assert_eq!((pieces_in(&resumed.have).len() as u32, resumed.check), (known.pieces(), vec![]), "{name}");
        known.assert_whole(&home.dir());
        fs::File::options().write(true).open(home.dir().join("d/b")).unwrap().set_len(200_001).unwrap();
        let fault = compare(&open).unwrap_err();
        assert!(fault.text.contains("exists with 200001 bytes"), "{fault}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_time_that_was_put_back_hides_nothing_and_another_name_costs_nothing() {
    let known = Known::new(32_768, &[(Some("d/a"), 100_000), (Some("d/b"), 200_000)]);
    let harms: [(&str, Harm, bool); 3] = [
        ("changed in place", |path| overwrite(path, 40_000), true),
        (
            "replaced",
            |path| {
                let other = path.with_extension("other");
                fs::write(&other, vec![7; fs::metadata(path).unwrap().len() as usize]).unwrap();
                fs::rename(&other, path).unwrap();
            },
            true,
        ),
        ("linked", |path| fs::hard_link(path, path.with_extension("link")).unwrap(), false),
    ];
    for (name, harm, harms) in harms {
        let (home, pool) = (Home::new(), pool());
        let path = home.dir().join("d/a");
        let (open, _) = home.open(&pool, &known);
        open.download(&known, 0..known.pieces());
        open.storage.close();
        if !ttui::disk::sys::is_exact(&path) {
            return;
        }
        let time = fs::metadata(&path).unwrap().modified().unwrap();
        harm(&path);
        fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
        let (open, resumed) = home.open(&pool, &known);
        let check = if harms { vec![0..4] } else { vec![] };
        assert_eq!(resumed.check, check, "{name}");
        open.storage.close();
    }
}

#[cfg(unix)]
#[test]
fn what_was_found_changed_is_never_believed_again_unhashed() {
    let known = Known::new(32_768, &[(Some("d/a"), 100_000), (Some("d/b"), 200_000)]);
    let mut bytes = vec![0; 16_384];
    for (name, harm) in HARMS {
        for by in ["a write", "a comparison"] {
            let (home, pool) = (Home::new(), pool());
            let (open, _) = home.open(&pool, &known);
            open.download(&known, [0, 1, 2, 5]);
            harm(&home.dir().join("d/a"));
            if by == "a write" {
                // Piece 3 lies in both files.
                open.download_what_can_be(&known, [3]);
            }
            if by == "a comparison" || name.contains("replaced") {
                open.storage.submit([DiskJob::Compare]);
                open.until(|d| matches!(d, DiskDone::Compared(_)));
            }
            // As a kill would leave it.
            let (killed, told) = (copy_of(&home.state()), format!("{name}, found by {by}"));
            open.storage.close();
            for state in ["closed", "killed"] {
                if state == "killed" {
                    put_back(&home.state(), &killed);
                }
                let (open, resumed) = home.open(&pool, &known);
                let have = pieces_in(&resumed.have);
                assert!(have.iter().all(|piece| *piece > 3), "{told}, {state}: {resumed:?}");
                assert_eq!(resumed.check.first().map(|run| run.start), Some(0), "{told}, {state}");
                // Nothing is hashed yet: however often it ends now, that stays.
                open.storage.close();
                let (open, resumed) = home.open(&pool, &known);
                assert!(pieces_in(&resumed.have).iter().all(|piece| *piece > 3), "{told}, {state}, again");
                open.storage.read(known.blocks(5)[0], &mut bytes).unwrap();
                open.storage.close();
            }
        }
    }
}

/// After a kill only a file in a burst of writes may be later than the journal says; the end of a burst is noted without
/// anything else happening.
#[cfg(target_os = "linux")]
#[test]
fn what_another_program_changes_after_a_kill_is_hashed_once_the_last_write_is_noted() {
    use ttui::disk::resume_format::{JournalEntry, JournalHeader};
    let known = Known::new(32_768, &[(Some("d/a"), 100_000), (Some("d/b"), 200_000)]);
    let (home, pool) = (Home::new(), pool());
    let (open, _) = home.open(&pool, &known);
    // Piece 3 lies in both files.
    open.download(&known, 0..5);
    let noted = || {
        let (mut open, mut left) = (0, 0);
        for path in home.records("journal") {
            for note in JournalHeader::decode(&fs::read(path).unwrap()).unwrap().1 {
                open += i32::from(matches!(note, JournalEntry::WriteStarted(_)));
                left += i32::from(matches!(note, JournalEntry::WriteEnded(..)));
            }
        }
        (open, left)
    };
    let mut looks = 0;
    while noted().0 != noted().1 {
        assert!(looks < 3_000, "the end of a burst was never noted");
        std::thread::sleep(std::time::Duration::from_millis(10));
        looks += 1;
    }
    assert!(noted().1 >= 2, "there are two files");
    let killed = copy_of(&home.state());
    open.storage.close();
    for changed in [false, true] {
        put_back(&home.state(), &killed);
        if changed {
            overwrite(&home.dir().join("d/a"), 100);
        }
        let (open, resumed) = home.open(&pool, &known);
        let expected = if changed { (vec![4], vec![0..4]) } else { ((0..5).collect(), vec![]) };
        assert_eq!((pieces_in(&resumed.have), resumed.check), expected);
        open.storage.close();
    }
}

/// The files of a folder, as they are now.
fn copy_of(folder: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.is_file()).map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

fn put_back(folder: &Path, files: &[(std::path::PathBuf, Vec<u8>)]) {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .for_each(|path| fs::remove_file(path).unwrap());
    files.iter().for_each(|(path, bytes)| fs::write(path, bytes).unwrap());
}

#[test]
fn a_check_of_what_was_whole_that_is_cut_short_leaves_the_rest_in_doubt() {
    let known = Known::new(16_384, &[(Some("f"), 40 << 20)]);
    let (home, pool) = (Home::new(), pool());
    known.put(&home.dir());
    let (open, resumed) = home.open(&pool, &known);
    assert_eq!(open.check(resumed.check).0.len() as u32, known.pieces());
    let mut bytes = fs::read(home.dir().join("f")).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(home.dir().join("f"), bytes).unwrap();
    open.storage.submit([DiskJob::Check(vec![0..known.pieces()])]);
    open.storage.close();
    let (open, resumed) = home.open(&pool, &known);
    assert!(!pieces_in(&resumed.have).contains(&(known.pieces() - 1)), "{:?}", resumed.check);
    open.check(resumed.check);
    open.storage.close();
    let (_, resumed) = home.open(&pool, &known);
    assert_eq!((pieces_in(&resumed.have).len() as u32, resumed.check), (known.pieces() - 1, vec![]));
}

#[test]
fn records_are_written_when_there_is_something_to_say_and_never_pile_up() {
    let known = Known::new(32_768, &[(Some("f"), 1_000_000)]);
    let (home, pool) = (Home::new(), pool());
    let (open, _) = home.open(&pool, &known);
    open.storage.close();
    assert!(copy_of(&home.state()).is_empty(), "nothing was done");
    for piece in 0..20 {
        let (open, _) = home.open(&pool, &known);
        open.download(&known, [piece]);
        open.storage.submit([DiskJob::Save]);
        open.until(|d| matches!(d, DiskDone::Saved));
        open.storage.close();
        assert!(home.records("journal").len() <= 8, "{:?}", home.records("journal"));
    }
    let before = copy_of(&home.state());
    for _ in 0..3 {
        let (open, resumed) = home.open(&pool, &known);
        assert_eq!(pieces_in(&resumed.have).len(), 20);
        open.storage.close();
    }
    assert!(copy_of(&home.state()) == before, "a start that changes nothing writes nothing");
}

#[cfg(target_os = "linux")]
#[test]
fn descriptors_do_not_grow_with_the_torrents() {
    let open_files = || fs::read_dir("/proc/self/fd").unwrap().count();
    let known: Vec<Known> = (1..200).map(|n| Known::new(16_384, &[(Some("f"), n * 100)])).collect();
    let (home, pool) = (Home::new(), pool());
    let before = open_files();
    let all: Vec<_> = (0..known.len())
        .map(|n| {
            let mut spec = home.spec(&known[n]);
            spec.dir = home.root.path().join(n.to_string());
            support::torrent::open(&pool, spec).unwrap().0
        })
        .collect();
    // Other tests of this process open files meanwhile, far fewer than one for each torrent.
    assert!(open_files() < before + 100, "{before}, then {}", open_files());
    drop(all);
}

#[test]
fn deleting_takes_our_files_and_leaves_everybody_elses() {
    let known = Known::new(32_768, MANY);
    let (home, pool) = (Home::new(), pool());
    let (open, _) = home.open(&pool, &known);
    open.download(&known, 0..known.pieces());
    // An unfinished piece in memory must not bring files back.
    let (other, dir) = (home.dir().join("t/sub/theirs.txt"), home.dir());
    fs::write(&other, b"theirs").unwrap();
    fs::write(dir.join("beside"), b"theirs").unwrap();
    open.storage.delete_files().unwrap();
    open.storage.close();
    let mut left = Vec::new();
    let mut folders = vec![dir.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            left.push(path.strip_prefix(&dir).unwrap().to_path_buf());
            if path.is_dir() {
                folders.push(path);
            }
        }
    }
    left.sort();
    let expected = ["beside", "t", "t/sub", "t/sub/theirs.txt"].map(|p| Path::new(p).to_path_buf());
    assert_eq!(left, expected);
    assert!(home.records("resume").is_empty() && home.records("journal").is_empty());
}

#[test]
fn a_damaged_record_costs_a_check_and_never_the_start() {
    type Damage = fn(&Path);
    let damages: &[(&str, Damage)] = &[
        ("nothing left", |p| fs::write(p, b"").unwrap()),
        ("half of it", |p| {
            let bytes = fs::read(p).unwrap();
            fs::write(p, &bytes[..bytes.len() / 2]).unwrap();
        }),
        ("a bit flipped", |p| {
            let mut bytes = fs::read(p).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 4;
            fs::write(p, bytes).unwrap();
        }),
        ("another version", |p| {
            let mut bytes = fs::read(p).unwrap();
            bytes[8] = 9;
            fs::write(p, bytes).unwrap();
        }),
        ("zeros", |p| {
            let length = fs::metadata(p).unwrap().len();
            fs::write(p, vec![0; length as usize]).unwrap();
        }),
        ("something else", |p| fs::write(p, b"{\"json\": true}").unwrap()),
        ("a gigabyte", |p| fs::File::options().write(true).open(p).unwrap().set_len(1 << 30).unwrap()),
        ("a folder", |p| {
            fs::remove_file(p).unwrap();
            fs::create_dir(p).unwrap();
        }),
        ("gone", |p| fs::remove_file(p).unwrap()),
    ];
    let known = Known::new(32_768, &[(Some("f"), 300_000)]);
    for (name, damage) in damages {
        let (home, pool) = (Home::new(), pool());
        let (open, _) = home.open(&pool, &known);
        open.download(&known, 0..6);
        open.storage.close();
        let base = home.records("resume").into_iter().find(|p| p.extension().unwrap() == "resume").unwrap();
        damage(&base);
        let (open, resumed) = home.open(&pool, &known);
        assert_eq!((pieces_in(&resumed.have), resumed.check.clone()), (vec![], vec![0..10]), "{name}");
        let aside = home.records("bad-").len();
        assert_eq!((resumed.note.is_some(), aside == 1), (*name != "gone", *name != "gone"), "{name}: {resumed:?}");
        let (good, _) = open.check(resumed.check);
        assert_eq!(good, (0..6).collect::<Vec<_>>(), "{name}");
        open.storage.close();
        let (_, resumed) = home.open(&pool, &known);
        assert_eq!(pieces_in(&resumed.have), good, "{name}");
    }
}

#[test]
fn the_disk_in_full_allocation_takes_its_room_at_once() {
    let known = Known::new(32_768, &[(Some("f"), 1 << 20)]);
    let (home, pool) = (Home::new(), pool());
    let mut spec = home.spec(&known);
    spec.allocate = Allocation::Full;
    let (open, _) = support::torrent::open(&pool, spec).unwrap();
    open.download(&known, [3]);
    let meta = fs::metadata(home.dir().join("f")).unwrap();
    assert_eq!(meta.len(), 1 << 20);
    #[cfg(target_os = "linux")]
    assert!(std::os::unix::fs::MetadataExt::blocks(&meta) * 512 >= 1 << 20);
    open.storage.close();
}

#[test]
fn many_torrents_share_few_threads_and_end_together() {
    let known: Vec<Known> = (1..20).map(|n| Known::new(16_384, &[(Some("f"), n * 50_000)])).collect();
    let (homes, pool): (Vec<Home>, _) = (known.iter().map(|_| Home::new()).collect(), pool());
    let open: Vec<_> = known.iter().zip(&homes).map(|(k, h)| h.open(&pool, k).0).collect();
    for (k, o) in known.iter().zip(&open) {
        o.storage.submit((0..k.pieces()).flat_map(|p| k.write_piece(p)));
    }
    assert_eq!(pool.shutdown(SHUTDOWN), Vec::<String>::new());
    for (k, h) in known.iter().zip(&homes) {
        k.assert_whole(&h.dir());
    }
    drop(open);
    let pool = self::pool();
    for (k, h) in known.iter().zip(&homes) {
        assert_eq!(pieces_in(&h.open(&pool, k).1.have).len() as u32, k.pieces());
    }
}

#[test]
fn verify_tells_what_is_wrong_by_file() {
    let known = Known::new(32_768, &[(Some("t/a"), 100_000), (Some("t/b"), 100_000), (Some("t/c"), 70_000)]);
    let home = Home::new();
    let torrent = home.root.path().join("t.torrent");
    let mut bytes = b"d4:infod5:filesl".to_vec();
    for file in known.layout.files() {
        let name = file.path.file_name().unwrap().to_str().unwrap();
        bytes.extend_from_slice(format!("d6:lengthi{}e4:pathl1:{name}ee", file.length).as_bytes());
    }
    bytes.extend_from_slice(format!("e4:name1:t12:piece lengthi32768e6:pieces{}:", 20 * known.pieces()).as_bytes());
    bytes.extend((0..known.pieces()).flat_map(|p| known.layout.hash(PieceIndex(p)).unwrap()));
    bytes.extend_from_slice(b"ee");
    fs::write(&torrent, bytes).unwrap();
    known.put(&home.dir());
    let verify = |json: bool| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_ttui"));
        command.arg("verify").arg(&torrent).arg("--dir").arg(home.dir());
        let out = if json { command.arg("--json") } else { &mut command }.output().unwrap();
        (out.status.code(), String::from_utf8(out.stdout).unwrap())
    };
    let (code, text) = verify(false);
    assert!(code == Some(0) && text.starts_with("whole: t, "), "{text}");
    let mut bytes = fs::read(home.dir().join("t/b")).unwrap();
    bytes[40_000] ^= 1;
    fs::write(home.dir().join("t/b"), bytes).unwrap();
    fs::remove_file(home.dir().join("t/c")).unwrap();
    let (code, text) = verify(false);
    assert_eq!(code, Some(1));
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    assert_eq!(
        lines,
        ["not whole: t: 5 of 9 pieces are good", "bad t/b; bad pieces 4, 6", "missing t/c; missing pieces 6-8"]
    );
    let (code, text) = verify(true);
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, &json["whole"], &json["good"]), (Some(1), &false.into(), &5.into()));
    assert_eq!(json["files"][2]["missing"], serde_json::json!([6, 7, 8]));
}

#[cfg(unix)]
mod unix {
    use super::*;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    #[test]
    fn a_planted_link_leads_nowhere() {
        let known = Known::new(32_768, &[(Some("d/a"), 65_536), (Some("d/sub/b"), 65_536), (Some("d/c"), 65_536)]);
        let (home, pool) = (Home::new(), pool());
        let outside = tempfile::tempdir().unwrap();
        fs::create_dir_all(home.dir().join("d")).unwrap();
        symlink(outside.path(), home.dir().join("d/sub")).unwrap();
        let (open, _) = home.open(&pool, &known);
        open.storage.submit((0..6).flat_map(|p| known.write_piece(p)));
        let mut outcome = BTreeMap::new();
        while outcome.len() < 6 {
            match open.next() {
                DiskDone::Verified { piece, .. } => drop(outcome.insert(piece.0, None)),
                DiskDone::Failed { piece, fault } => drop(outcome.insert(piece.0, Some(fault))),
                _ => {}
            }
        }
        for (piece, fault) in outcome {
            assert_eq!(fault.is_some(), [2, 3].contains(&piece), "piece {piece}: {fault:?}");
            assert!(fault.is_none_or(|f| f.text.contains("sub is a symbolic link")));
        }
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
        let (good, fault) = open.check(vec![0..6]);
        assert_eq!(good, [0, 1, 4, 5]);
        assert!(fault.is_some_and(|f| f.text.contains("symbolic link")));
        assert_eq!(
            open.storage.delete_files().unwrap(),
            None,
            "what it made goes, and nothing behind the link is its own"
        );
        open.storage.close();
        symlink(outside.path().join("x"), home.dir().join("d/a")).unwrap();
        assert!(home.try_open(&pool, &known).err().unwrap().text.contains("is a symbolic link"));
    }

    #[test]
    fn two_paths_to_one_file_are_told_apart() {
        let known = Known::new(32_768, &[(Some("a"), 32_768), (Some("A"), 32_768)]);
        let (home, pool) = (Home::new(), pool());
        let (open, _) = home.open(&pool, &known);
        open.download(&known, [0]);
        // As a file system blind to case would show it.
        fs::hard_link(home.dir().join("a"), home.dir().join("A")).unwrap();
        open.storage.submit(known.write_piece(1));
        match open.until(|d| !matches!(d, DiskDone::Wrote(_))).pop() {
            Some(DiskDone::Failed { fault, .. }) => assert!(fault.text.contains("are one file here"), "{fault}"),
            other => panic!("{other:?}"),
        }
        assert_eq!(fs::read(home.dir().join("a")).unwrap(), known.file(0));
    }

    #[test]
    fn records_are_for_their_owner_only() {
        let known = Known::new(32_768, &[(Some("a"), 100_000)]);
        let (home, pool) = (Home::new(), pool());
        let (open, _) = home.open(&pool, &known);
        open.download(&known, [0]);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let mut seen = 0;
        for folder in [home.state(), home.state().join("running"), home.state().join("owners")] {
            assert_eq!(mode(&folder), 0o700, "{folder:?}");
            for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file())
            {
                assert_eq!(mode(&entry), 0o600, "{entry:?}");
                seen += 1;
            }
        }
        assert!(seen >= 5, "base, journal, gate, lock, list: {seen}");
        assert!(fs::metadata(home.dir().join("a")).unwrap().blocks() * 512 < 100_000, "sparse until it is written");
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_told_in_words() {
        let known = Known::new(32_768, &[(Some("sub/a"), 100_000)]);
        let (home, pool) = (Home::new(), pool());
        // A file where the torrent has a folder: refused for everybody, the administrator too.
        fs::create_dir_all(home.dir()).unwrap();
        fs::write(home.dir().join("sub"), b"theirs").unwrap();
        let fault = home.try_open(&pool, &known).err().unwrap();
        assert!(fault.text.contains("sub is a file and a folder of the torrent should be there"), "{fault}");
        assert_eq!(fs::read(home.dir().join("sub")).unwrap(), b"theirs");
        // One that comes later is met when it is written.
        fs::remove_file(home.dir().join("sub")).unwrap();
        let (open, _) = home.open(&pool, &known);
        fs::write(home.dir().join("sub"), b"theirs").unwrap();
        open.storage.submit(known.write_piece(0));
        match open.until(|d| !matches!(d, DiskDone::Wrote(_))).pop() {
            Some(DiskDone::Failed { fault, .. }) => {
                assert!(fault.text.contains("a part of its path is no folder"), "{fault}");
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(fs::read(home.dir().join("sub")).unwrap(), b"theirs");
    }
}

/// Ends that nobody plans: the process is killed, the disk is full.
#[cfg(target_os = "linux")]
mod ends {
    use super::*;
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    fn story() -> Known {
        Known::new(65_536, &[(Some("d/a"), 3_000_001), (Some("d/none"), 0), (None, 17), (Some("d/b"), 5_000_000)])
    }

    /// Not a test of its own: what `kill_at_any_moment_loses_nothing` starts and kills.
    #[test]
    #[ignore = "started by another test, with folders to work in"]
    fn downloads_until_it_is_killed() {
        let Some(root) = std::env::var_os("TTUI_TEST_ROOT") else { return };
        let (known, pool) = (story(), pool());
        let spec = ttui::disk::storage::StorageSpec {
            layout: std::sync::Arc::clone(&known.layout),
            dir: Path::new(&root).join("downloads"),
            state_dir: Path::new(&root).join("state"),
            allocate: Allocation::Sparse,
            unwanted: Vec::new(),
            overwrite: false,
            mend_names: false,
            read_only: false,
        };
        let (open, resumed) = support::torrent::open(&pool, spec).unwrap();
        println!("check {}", resumed.check.len());
        let have = pieces_in(&resumed.have);
        have.iter().for_each(|p| println!("have {p}"));
        let mut blocks: Vec<Block> = known.all_blocks().into_iter().filter(|b| !have.contains(&b.piece.0)).collect();
        fastrand::shuffle(&mut blocks);
        let mut left = known.pieces() - have.len() as u32;
        let mut hear = |done| {
            if let DiskDone::Verified { piece, .. } = done {
                println!("verified {piece}");
                left -= 1;
            }
            left > 0
        };
        for batch in blocks.chunks(4) {
            open.storage.submit(batch.iter().map(|b| known.write(*b)));
            for done in open.told.try_iter() {
                hear(done);
            }
        }
        while hear(DiskDone::Wrote(0)) && hear(open.next()) {}
        println!("through");
    }

    #[test]
    fn kill_at_any_moment_loses_nothing() {
        let (known, home) = (story(), Home::new());
        let mut told: std::collections::BTreeSet<u32> = Default::default();
        let mut random = fastrand::Rng::with_seed(11);
        for round in 0..12 {
            let mut child = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "ends::downloads_until_it_is_killed", "--ignored", "--nocapture"])
                .env("TTUI_TEST_ROOT", home.root.path())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
            let mut have = std::collections::BTreeSet::new();
            let mut more = random.u32(0..20);
            for line in lines.by_ref() {
                let mut words = line.split(' ');
                match (words.next(), words.next().and_then(|n| n.parse::<u32>().ok())) {
                    (Some("check"), Some(runs)) => assert_eq!(runs, 0, "round {round}: nothing is hashed again"),
                    (Some("have"), Some(piece)) => drop(have.insert(piece)),
                    (Some("verified"), Some(piece)) => {
                        told.insert(piece);
                        if more == 0 {
                            break;
                        }
                        more -= 1;
                    }
                    _ => {}
                }
            }
            child.kill().unwrap();
            for line in lines {
                told.extend(line.strip_prefix("verified ").and_then(|n| n.parse::<u32>().ok()));
            }
            child.wait().unwrap();
            assert!(round == 0 || !have.is_empty());
        }
        let pool = pool();
        let (open, resumed) = home.open(&pool, &known);
        let have = pieces_in(&resumed.have);
        assert!(told.iter().all(|p| have.contains(p)), "what was told is kept");
        assert_eq!((resumed.check, resumed.note), (vec![], None));
        let (good, _) = open.check(vec![0..known.pieces()]);
        assert!(have.iter().all(|p| good.contains(p)), "what is believed is there");
        open.download(&known, (0..known.pieces()).filter(|p| !good.contains(p)));
        open.storage.close();
        known.assert_whole(&home.dir());
    }

    /// A small disk of our own, if we may have one.
    struct Tmpfs<'a>(&'a Path);

    impl Tmpfs<'_> {
        fn mount(at: &Path, kib: u32) -> Option<Tmpfs<'_>> {
            fs::create_dir_all(at).unwrap();
            let mounted = Command::new("mount")
                .args(["-t", "tmpfs", "-o", &format!("size={kib}k"), "ttui-test"])
                .arg(at)
                .stderr(Stdio::null())
                .status();
            mounted.is_ok_and(|s| s.success()).then_some(Tmpfs(at))
        }
    }

    impl Drop for Tmpfs<'_> {
        fn drop(&mut self) {
            let _ = Command::new("umount").arg("-l").arg(self.0).status();
        }
    }

    /// A disk that is mounted at the download folder, taken away with files open, and brought back.
    #[test]
    fn a_disk_that_is_taken_away_is_waited_for_and_nothing_is_written_under_its_mount_point() {
        let bind = |from: &Path, at: &Path| {
            let mounted = Command::new("mount").arg("--bind").args([from, at]).stderr(Stdio::null()).status();
            assert!(mounted.unwrap().success(), "what has mounted a tmpfs can bind it");
        };
        let is_gone =
            |fault: &DiskFault| fault.kind == FaultKind::Temporary && fault.text.ends_with("is its disk mounted?");
        for (files, have, next) in [
            (&[(Some("a"), 65_536), (Some("b"), 65_536)][..], vec![0], 2),
            (&[(Some("t/x/a"), 65_536), (Some("t/e"), 0), (Some("t/y/b"), 65_536)], vec![0, 1], 3),
            (&[(Some("a"), 40_000), (None, 25_536), (Some("b"), 1), (Some("c"), 90_000)], vec![1], 4),
        ] {
            let (known, home, pool) = (Known::new(32_768, files), Home::new(), pool());
            let (dir, disk) = (home.dir(), home.root.path().join("disk"));
            let Some(_disk) = Tmpfs::mount(&disk, 10 << 10) else {
                println!("skipped: no tmpfs can be mounted here");
                return;
            };
            fs::create_dir_all(&dir).unwrap();
            bind(&disk, &dir);
            let mount = Tmpfs(&dir);
            let (open, _) = home.open(&pool, &known);
            open.download(&known, have.iter().copied());
            drop(mount);
            open.storage.submit(known.write_piece(next));
            let told = open.until(|done| matches!(done, DiskDone::Failed { .. }));
            assert!(matches!(told.last(), Some(DiskDone::Failed { fault, .. }) if is_gone(fault)), "{told:?}");
            open.storage.submit([DiskJob::Compare]);
            let told = open.until(|done| matches!(done, DiskDone::Compared(_)));
            assert!(matches!(told.last(), Some(DiskDone::Compared(Err(fault))) if is_gone(fault)), "{told:?}");
            let (good, fault) = open.check(vec![0..known.pieces()]);
            assert!(good.is_empty() && fault.as_ref().is_some_and(is_gone), "{good:?} {fault:?}");
            for probe in [Probe::Read, Probe::Write(PieceIndex(next))] {
                open.storage.submit([DiskJob::Probe(probe)]);
                let told = open.next();
                assert!(matches!(&told, DiskDone::ProbeDone(Err(fault)) if is_gone(fault)), "{told:?}");
            }
            assert_eq!(fs::read_dir(&dir).unwrap().count(), 0);
            bind(&disk, &dir);
            let _mount = Tmpfs(&dir);
            open.storage.submit([DiskJob::Probe(Probe::Read)]);
            assert!(matches!(open.next(), DiskDone::ProbeDone(Ok(()))));
            assert_eq!(open.check(vec![0..known.pieces()]), (have.clone(), None));
            open.download(&known, (0..known.pieces()).filter(|piece| !have.contains(piece)));
            open.storage.close();
            known.assert_whole(&dir);
        }
    }

    /// The same folder under two paths, which no path tells: its files have one owner all the same.
    #[test]
    fn a_folder_that_is_mounted_twice_has_one_owner_for_each_file() {
        let bind = |from: &Path, at: &Path| {
            fs::create_dir_all(at).unwrap();
            let mounted = Command::new("mount").arg("--bind").args([from, at]).stderr(Stdio::null()).status();
            mounted.is_ok_and(|status| status.success())
        };
        // Whether the first is still open; whether the mount comes before or after the original in the alphabet.
        for (stays_open, other) in [(true, "a mount"), (false, "a mount"), (true, "z mount"), (false, "z mount")] {
            let (home, pool) = (Home::new(), pool());
            let (first, second) =
                (Known::new(32_768, &[(Some("t/x"), 90_000)]), Known::new(32_768, &[(Some("t/x"), 70_000)]));
            let (open, _) = home.open(&pool, &first);
            open.download(&first, 0..first.pieces());
            let open = if stays_open {
                Some(open)
            } else {
                open.storage.close();
                None
            };
            let place = home.root.path().join(other);
            if !bind(&home.dir(), &place) {
                println!("skipped: nothing can be mounted here");
                return;
            }
            let _mount = Tmpfs(&place);
            for _ in 0..2 {
                let spec = StorageSpec { dir: place.clone(), ..home.spec(&second) };
                let fault = support::torrent::open(&pool, spec).err().unwrap();
                assert!(fault.text.contains("t/x belongs to the torrent"), "{fault}");
            }
            first.assert_whole(&home.dir());
            // A file of its own is nobody else's, and from then on its own under both paths.
            let third = Known::new(32_768, &[(Some("u"), 60_000)]);
            let (mine, _) =
                support::torrent::open(&pool, StorageSpec { dir: place.clone(), ..home.spec(&third) }).unwrap();
            mine.download(&third, 0..third.pieces());
            mine.storage.close();
            let fourth = Known::new(32_768, &[(Some("u"), 50_000)]);
            let fault = home.try_open(&pool, &fourth).err().unwrap();
            assert!(fault.text.contains("u belongs to the torrent"), "{fault}");
            drop(open);
        }
    }

    #[test]
    fn a_state_folder_that_is_full_is_told_once_and_written_when_there_is_room() {
        let known = Known::new(32_768, &[(Some("f"), 500_000)]);
        let (home, pool) = (Home::new(), pool());
        let state = home.state();
        let Some(disk) = Tmpfs::mount(&state, 256) else {
            println!("skipped: no tmpfs can be mounted here");
            return;
        };
        while fs::write(state.join(format!("ballast{}", fastrand::u32(..))), vec![1; 4096]).is_ok() {}
        let (open, _) = home.open(&pool, &known);
        open.storage.submit((0..10).flat_map(|p| known.write_piece(p)));
        let (mut verified, mut told) = (0, Vec::new());
        while verified < 10 {
            match open.next() {
                DiskDone::Verified { .. } => verified += 1,
                DiskDone::ResumeSaveFailed(fault) => told.push(fault),
                DiskDone::Wrote(_) => {}
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(told.len(), 1, "{told:?}");
        let (text, state) = (&told[0].text, state.display().to_string());
        assert!(text.contains(&state) && text.contains("--state-dir"), "{text}");
        assert!(!text.contains(&home.dir().display().to_string()), "{text}");
        for entry in fs::read_dir(&state).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.file_name().is_some_and(|name| name.to_string_lossy().starts_with("ballast")) {
                fs::remove_file(entry).unwrap();
            }
        }
        // By itself, within a few seconds.
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
        while home.records("resume").is_empty() {
            assert!(std::time::Instant::now() < deadline, "it was never written");
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        open.download(&known, [10]);
        open.storage.close();
        let (open, resumed) = home.open(&pool, &known);
        assert_eq!((pieces_in(&resumed.have).len(), resumed.check), (11, vec![]));
        open.storage.close();
        drop(disk);
    }

    #[test]
    fn a_full_disk_is_told_and_lived_through() {
        let known = Known::new(262_144, &[(Some("f"), 8 << 20)]);
        let (home, pool) = (Home::new(), pool());
        let dir = home.dir();
        let Some(disk) = Tmpfs::mount(&dir, 10 << 10) else {
            println!("skipped a_full_disk_is_told_and_lived_through: no tmpfs can be mounted here");
            return;
        };
        fs::write(dir.join("ballast"), vec![1; 5 << 20]).unwrap();
        let (open, _) = home.open(&pool, &known);
        open.storage.submit((0..32).flat_map(|p| known.write_piece(p)));
        let (mut good, mut failed, mut wrote) = (Vec::new(), Vec::new(), 0);
        while good.len() + failed.len() < 32 || wrote < 8 << 20 {
            match open.next() {
                DiskDone::Verified { piece, .. } => good.push(piece.0),
                DiskDone::Failed { piece, fault } => {
                    assert_eq!(fault.kind, FaultKind::Full);
                    assert!(fault.text.starts_with("disk full: ") && fault.text.contains(" needs "), "{fault}");
                    failed.push(piece.0);
                }
                DiskDone::Wrote(bytes) => wrote += bytes,
                other => panic!("{other:?}"),
            }
        }
        assert!(!good.is_empty() && !failed.is_empty());
        open.storage.submit([DiskJob::Probe(Probe::Write(PieceIndex(failed[0])))]);
        match open.next() {
            DiskDone::ProbeDone(Err(fault)) => assert_eq!(fault.kind, FaultKind::Full),
            other => panic!("{other:?}"),
        }
        let mut into = vec![0; 16_384];
        open.storage.read(known.blocks(good[0])[0], &mut into).unwrap();
        assert_eq!(into, known.bytes(known.blocks(good[0])[0]), "what is there is served on");
        fs::remove_file(dir.join("ballast")).unwrap();
        open.storage.submit([DiskJob::Probe(Probe::Write(PieceIndex(failed[0])))]);
        assert!(matches!(open.next(), DiskDone::ProbeDone(Ok(()))));
        failed.dedup();
        open.download(&known, failed);
        open.storage.close();
        known.assert_whole(&dir);
        drop(disk);
        let fault = home.try_open(&pool, &known).err().unwrap();
        assert!(fault.text.contains("is its disk mounted?"), "{fault}");
    }
}

/// Figures, for whoever asks: `cargo test --release --test disk figures -- --ignored --nocapture`.
#[cfg(target_os = "linux")]
mod figures {
    use super::*;
    use std::sync::Arc;
    use std::time::Instant;

    const GIB: usize = 1 << 30;
    const PIECE: usize = 1 << 20;

    /// CPU time of this process, in seconds.
    fn cpu() -> f64 {
        let stat = fs::read_to_string("/proc/self/stat").unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        (fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()) as f64 / 100.0
    }

    fn peak() -> String {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        status.lines().find(|l| l.starts_with("VmHWM")).unwrap_or_default().replace(char::is_whitespace, "")
    }

    /// A GiB that repeats every 64 MiB: larger than the caches, smaller than memory.
    fn gib() -> (Known, Bytes) {
        let mut data = vec![0; 64 << 20];
        fastrand::fill(&mut data);
        let once: Vec<[u8; 20]> = data.chunks(PIECE).map(|p| Sha1::digest(p).into()).collect();
        let hashes: Vec<[u8; 20]> = once.iter().copied().cycle().take(GIB / PIECE).collect();
        let file = ttui::disk::layout::FileEntry { path: "gib".into(), length: GIB as u64, offset: 0, pad: false };
        let geometry = ttui::swarm::geometry::Geometry::new(GIB as u64, PIECE as u32);
        let hash = ttui::wire::message::InfoHash([9; 20]);
        let layout = ttui::disk::layout::Layout::new(hash, geometry, vec![file], hashes).unwrap();
        (Known { layout: Arc::new(layout), data: Bytes::new() }, data.into())
    }

    #[test]
    #[ignore = "measures"]
    fn write_and_check() {
        let ((known, data), home, pool) = (gib(), Home::new(), pool());
        let (open, _) = home.open(&pool, &known);
        let mut blocks = Vec::new();
        // Four peers, each with a piece of its own.
        for pieces in (0..known.pieces()).collect::<Vec<_>>().chunks(4) {
            for run in 0..4 {
                blocks.extend(pieces.iter().map(|p| known.blocks(*p)[run * 16..(run + 1) * 16].to_vec()));
            }
        }
        let (began, cpu_then) = (Instant::now(), cpu());
        let (mut asked, mut wrote, mut verified) = (0_u64, 0_u64, 0);
        let mut batches = blocks.into_iter();
        while verified < known.pieces() {
            while asked < wrote + (16 << 20) {
                let Some(batch) = batches.next() else { break };
                asked += batch.iter().map(|b| u64::from(b.length)).sum::<u64>();
                open.storage.submit(batch.into_iter().map(|block| {
                    let at = (block.piece.as_usize() * PIECE + block.begin as usize) % data.len();
                    DiskJob::Write { block, data: data.slice(at..at + block.length as usize) }
                }));
            }
            match open.next() {
                DiskDone::Wrote(bytes) => wrote += bytes,
                DiskDone::Verified { .. } => verified += 1,
                other => panic!("{other:?}"),
            }
        }
        let seconds = began.elapsed().as_secs_f64();
        println!("write {:.0} MiB/s, {:.2} CPU-s/GiB, peak {}", 1024.0 / seconds, cpu() - cpu_then, peak());
        for round in 0..3 {
            let (began, cpu_then) = (Instant::now(), cpu());
            let (good, _) = open.check(vec![0..known.pieces()]);
            assert_eq!(good.len() as u32, known.pieces());
            let seconds = began.elapsed().as_secs_f64();
            println!("check {round}: {:.0} MiB/s, {:.2} CPU-s/GiB", 1024.0 / seconds, cpu() - cpu_then);
        }
        open.storage.close();
    }
}
