//! Properties of the torrents that are made: whatever the files are, their info-hash is the one that lava_torrent finds
//! by itself, and the one of an encoder that shares nothing with either.

#![allow(clippy::unwrap_used, clippy::expect_used, dead_code)]

mod support {
    pub mod torrents;
}

use std::collections::BTreeMap;
use std::path::Path;

use lava_torrent::torrent::v1::TorrentBuilder;
use proptest::collection::btree_map;
use proptest::prelude::*;
use support::torrents::Payload;
use ttui::disk::create::hashing::Progress;
use ttui::disk::create::scan::{ScanOptions, scan_files};
use ttui::disk::create::{BuiltTorrent, CreateOptions, PIECE_LEAST, make};

const PIECE: usize = PIECE_LEAST as usize;

/// Lengths where mistakes live: nothing, around pieces and their multiples, and any.
fn length() -> impl Strategy<Value = usize> {
    let near = (0..4_usize, -1..=1_isize).prop_map(|(n, off)| (n * PIECE).saturating_add_signed(off));
    prop_oneof![near, 0..200_usize, 0..5 * PIECE]
}

/// Names in several scripts. No character of them comes before the slash: lava_torrent sorts parts of paths, we whole ones.
fn path() -> impl Strategy<Value = String> {
    let part = "[0-9A-Za-z\u{e4}\u{301}\u{3b1}-\u{3c9}\u{410}-\u{44f}\u{5d0}-\u{5ea}\u{4e00}-\u{4e20}\u{1f4c0}]{1,12}";
    proptest::collection::vec(part, 1..4).prop_map(|parts| parts.join("/"))
}

/// Files with bytes of their own, none of which is a folder of another.
fn files() -> impl Strategy<Value = Vec<(String, Vec<u8>)>> {
    let content = (length(), any::<u64>()).prop_map(|(length, seed)| {
        let mut data = vec![0; length];
        fastrand::Rng::with_seed(seed).fill(&mut data);
        data
    });
    btree_map(path(), content, 1..9).prop_map(|all: BTreeMap<String, Vec<u8>>| {
        let is_folder = |path: &str| all.keys().any(|other| other.starts_with(&format!("{path}/")));
        all.iter().filter(|(path, _)| !is_folder(path)).map(|(path, data)| (path.clone(), data.clone())).collect()
    })
}

fn made(path: &Path, piece: usize, threads: usize) -> BuiltTorrent {
    let found = scan_files(path, &ScanOptions::default(), &|| false).unwrap();
    make(&found, piece as u32, &CreateOptions::default(), threads, &Progress::default()).unwrap()
}

/// Makes a torrent of what was written, and compares it with what the others find.
fn agree(payload: &Payload, threads: usize) {
    let home = tempfile::tempdir().unwrap();
    payload.write_data(home.path());
    let path = home.path().join(&payload.name);
    let ours = made(&path, payload.piece_length, threads);
    assert_eq!(ours.meta.info_hash.to_string(), payload.hex(), "the encoder of the tests");
    let oracle = TorrentBuilder::new(&path, payload.piece_length as i64).build().unwrap();
    assert_eq!(ours.meta.info_hash.to_string(), oracle.info_hash().to_lowercase(), "lava_torrent");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_folder_is_what_others_make_of_it(files in files(), shift in 0..4_usize, threads in 1..5_usize) {
        prop_assume!(files.iter().any(|(_, data)| !data.is_empty()));
        agree(&Payload::of("ein Ordner \u{6f22}", files, PIECE << shift), threads);
    }

    #[test]
    fn a_file_is_what_others_make_of_it(length in length(), shift in 0..4_usize, threads in 1..5_usize) {
        prop_assume!(length > 0);
        agree(&Payload::single("file", length, PIECE << shift, length as u64), threads);
    }
}
