//! The kept `.torrent` of a share: reused only where it is of the very same files, and then the result is a valid torrent.

use std::path::PathBuf;

use ttui::disk::create::CreateOptions;
use ttui::disk::create::cache::reuse;
use ttui::disk::create::scan::{FileScan, SkippedFiles};
use ttui::wire::metainfo::Metainfo;

/// One input.
pub fn run(bytes: &[u8]) {
    let Ok(old) = Metainfo::parse(bytes) else { return };
    // A folder that would give such a torrent, as far as its name and its piece length go.
    let survey = FileScan {
        root: PathBuf::from("/nowhere"),
        name: old.name.clone().into(),
        folder: old.folder,
        files: Vec::new(),
        total: 0,
        left_out: SkippedFiles::default(),
    };
    if let Some(made) = reuse(bytes, &survey, old.piece_length, &CreateOptions::default()) {
        assert!(old.files.is_empty());
        assert_eq!(Metainfo::parse(&made.bytes).unwrap().info_hash, old.info_hash);
    }
}
