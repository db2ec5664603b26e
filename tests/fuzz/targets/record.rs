//! Resume records and their journals: a damaged one is refused, and one whose checksums are right but whose fields are not
//! never claims a piece or a file that the torrent does not have.

use std::path::PathBuf;

use sha1::{Digest, Sha1};
use ttui::disk::layout::{FileEntry, Layout};
use ttui::disk::resume_format::{JournalHeader, ResumeData};
use ttui::swarm::geometry::Geometry;
use ttui::wire::message::InfoHash;

fn layout() -> Layout {
    let file = |name: &str, length, offset| FileEntry { path: PathBuf::from(name), length, offset, pad: false };
    let files = vec![file("a", 50, 0), file("b", 0, 50), file("c", 30, 50)];
    Layout::new(InfoHash([1; 20]), Geometry::new(80, 8), files, vec![[2; 20]; 10]).unwrap()
}

fn check(bytes: &[u8], layout: &Layout) {
    if let Ok(base) = ResumeData::decode(bytes, layout) {
        assert_eq!(base.stamps.len(), layout.files().len());
        let bits = [&base.written, &base.synced, &base.unverified];
        assert!(bits.iter().all(|bits| bits.len() == 2));
        assert!(ResumeData::decode(&base.encode(layout), layout).is_ok());
    }
    if let Ok((_, notes)) = JournalHeader::decode(bytes) {
        assert!(notes.len() <= bytes.len());
    }
}

/// One input.
pub fn run(bytes: &[u8]) {
    let layout = layout();
    check(bytes, &layout);
    // No fuzzer finds a checksum: with the right one behind them the fields themselves are read.
    let sum = Sha1::digest(bytes);
    check(&[bytes, &sum[..]].concat(), &layout);
    check(&[bytes, &sum[..8]].concat(), &layout);
}
