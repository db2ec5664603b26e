//! The metainfo reader: what it accepts stays in its folder, adds up, and has the hash of its bytes.

use std::collections::HashSet;
use std::path::Component;

use sha1::{Digest, Sha1};
use ttui::wire::metainfo::Metainfo;

/// One input.
pub fn run(bytes: &[u8]) {
    for it in [Metainfo::parse(bytes), Metainfo::from_info(bytes)].into_iter().flatten() {
        assert_eq!(it.info_hash.0, <[u8; 20]>::from(Sha1::digest(&it.info)));
        assert_eq!(it.hashes.len() as u64, it.total.div_ceil(u64::from(it.piece_length)));
        assert_eq!(it.files.iter().map(|f| f.length).sum::<u64>(), it.total);
        let mut seen = HashSet::new();
        for file in &it.files {
            let path = file.path();
            assert!(path.components().all(|c| matches!(c, Component::Normal(_))), "{path:?}");
            assert!(file.pad || seen.insert(path), "one path twice");
        }
    }
}
