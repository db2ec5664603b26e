//! Caches the results of hashing for torrent creation, so that unchanged files are not hashed again.
//!
//! The `.torrent` of a share is stored in the state folder, and resume data record that the files were hashed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha1::{Digest, Sha1};
use thiserror::Error;

use crate::disk::atomic_file;
use crate::disk::create::scan::FileScan;
use crate::disk::create::torrent_writer::file_name;
use crate::disk::create::{BuiltTorrent, CreateError, CreateOptions, encode};
use crate::disk::error::{self, DiskOp};
use crate::disk::file_stamp::{FileStamp, nanos};
use crate::disk::layout::{Layout, LayoutError};
use crate::disk::resume_format::ResumeData;
use crate::disk::resume_store::{self, ResumeStore};
use crate::disk::sys;
use crate::disk::torrent_file::read_torrent;
use crate::swarm::job::DiskFault;
use crate::wire::metainfo::Metainfo;

/// Maximum number of cached torrents; the oldest ones are deleted.
const KEPT: usize = 100;

/// Returns the cache path of the `.torrent` of these files; it changes when any of the files changes.
#[must_use]
pub fn cache_path(state_dir: &Path, survey: &FileScan, piece_length: u32) -> PathBuf {
    let mut hash = Sha1::new();
    let mut text = |text: &[u8]| {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    };
    text(survey.root.as_os_str().as_encoded_bytes());
    text(survey.name.as_encoded_bytes());
    text(&piece_length.to_le_bytes());
    for file in &survey.files {
        text(file.name.as_encoded_bytes());
        text(&file.length.to_le_bytes());
        text(&file.modified.map_or(i64::MIN, nanos).to_le_bytes());
    }
    let key: String = hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    folder(state_dir).join(key).join(file_name(&survey.name.to_string_lossy(), 1))
}

fn folder(state_dir: &Path) -> PathBuf {
    state_dir.join("share")
}

/// Loads a cached `.torrent` and applies `terms`; `None` if it is missing or of other files.
#[must_use]
pub fn load_cached(place: &Path, survey: &FileScan, piece_length: u32, terms: &CreateOptions) -> Option<BuiltTorrent> {
    reuse(&read_torrent(place).ok()?, survey, piece_length, terms)
}

/// Rebuilds a torrent with other options, reusing its piece hashes.
///
/// Returns `None` if it does not have the same files, as far as names and lengths tell.
#[must_use]
pub fn reuse(torrent: &[u8], survey: &FileScan, piece_length: u32, terms: &CreateOptions) -> Option<BuiltTorrent> {
    let old = Metainfo::parse(torrent).ok()?;
    let same = old.piece_length == piece_length
        && old.folder == survey.folder
        && old.files.len() == survey.files.len()
        && old.files.iter().zip(&survey.files).all(|(old, new)| old.length == new.length);
    if !same {
        return None;
    }
    let bytes = encode(survey, piece_length, old.hashes.clone(), terms).ok()?;
    let meta = Metainfo::parse(&bytes).ok()?;
    (meta.info_hash == old.info_hash).then_some(BuiltTorrent { bytes, meta })
}

/// Caches a `.torrent` and deletes the oldest ones beyond the limit.
///
/// # Errors
/// If the file cannot be written.
pub fn keep(state_dir: &Path, place: &Path, made: &BuiltTorrent) -> Result<(), CreateError> {
    let system = |error: &std::io::Error| {
        CreateError::System(error::from_io(DiskOp::Write, place, error, made.bytes.len() as u64).text)
    };
    let parent = place.parent().unwrap_or(Path::new("."));
    atomic_file::make_private(parent).map_err(|error| system(&error))?;
    let new = parent.join(".new");
    atomic_file::replace(place, &new, None, &made.bytes, false).map_err(|error| system(&error))?;
    forget_old(&folder(state_dir), parent);
    Ok(())
}

fn forget_old(folder: &Path, but: &Path) {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let age = |path: &Path| fs::metadata(path).and_then(|meta| meta.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
    let mut all: Vec<_> = entries.map(|entry| entry.path()).filter(|path| path != but).collect();
    if all.len() < KEPT {
        return;
    }
    all.sort_by_key(|path| age(path));
    for old in &all[..all.len() - (KEPT - 1)] {
        if let Err(error) = fs::remove_dir_all(old) {
            tracing::debug!("{} cannot be removed: {error}", old.display());
        }
    }
}

/// Writes resume data for files that were just hashed, so that seeding starts without a hash check.
///
/// A failure is only logged: it costs another hash check.
pub fn write_resume(state_dir: &Path, survey: &FileScan, meta: &Metainfo) {
    if let Err(why) = try_write_resume(state_dir, survey, meta) {
        tracing::debug!("{} will be hashed again: {why}", meta.name);
    }
}

/// Why no resume data can be written for files that were just hashed.
#[derive(Debug, Error)]
enum NoResume {
    #[error(transparent)]
    Layout(#[from] LayoutError),
    #[error("its files are laid out in another way")]
    OtherFiles,
    /// Other resume data of the torrent are in use.
    #[error(transparent)]
    Claim(#[from] DiskFault),
    #[error(transparent)]
    Write(#[from] io::Error),
}

fn try_write_resume(state_dir: &Path, survey: &FileScan, meta: &Metainfo) -> Result<(), NoResume> {
    let layout = Layout::of(meta)?;
    let stamps = survey.files.iter().map(|file| file.modified.map(nanos).map(|at| (file.length, at)));
    let stamps: Vec<Option<FileStamp>> =
        stamps.map(|it| it.map(|(size, changed)| FileStamp { size, changed, id: 0, touched: 0 })).collect();
    let same = layout.files().len() == stamps.len()
        && layout.files().iter().zip(&survey.files).all(|(laid, found)| laid.length == found.length);
    if !same {
        return Err(NoResume::OtherFiles);
    }
    let dir = survey.download_dir();
    let store = ResumeStore::new(state_dir, meta.info_hash, &dir);
    let _claim = store.claim()?;
    let pieces = layout.geometry().pieces();
    let all = crate::disk::atomic_bitfield::AtomicBitfield::new(pieces);
    let none = all.to_bytes();
    all.set_all(0..pieces);
    let base = ResumeData {
        chain: fastrand::u64(1..),
        generation: 1,
        keep_from: 0,
        durable: false,
        clean: true,
        device: sys::device(&dir),
        boot: resume_store::boot_id(),
        notes_writes: true,
        stamps,
        written: all.to_bytes(),
        // It is unknown whether the files are on disk already: after a reboot they are hashed again.
        synced: none.clone(),
        unverified: none,
    };
    // Older resume data of the same torrent are obsolete.
    store.delete();
    store.write_new(&base.encode(&layout), false)?;
    store.rename_new(false)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::create::hashing::Progress;
    use crate::disk::create::make;
    use crate::disk::create::scan::{ScanOptions, ScannedFile, scan_files};
    use crate::disk::part::PartFile;
    use crate::disk::resume_check::verify_resume;

    struct World {
        root: tempfile::TempDir,
    }

    impl World {
        fn new() -> World {
            let root = tempfile::tempdir().unwrap();
            let data = root.path().join("data");
            fs::create_dir_all(data.join("sub")).unwrap();
            fs::write(data.join("a"), vec![7; 40_000]).unwrap();
            fs::write(data.join("sub/b"), vec![8; 50_000]).unwrap();
            World { root }
        }

        fn state(&self) -> PathBuf {
            self.root.path().join("state")
        }

        fn survey(&self) -> FileScan {
            scan_files(&self.root.path().join("data"), &ScanOptions::default(), &|| false).unwrap()
        }
    }

    const PIECE: u32 = 16 << 10;

    #[test]
    fn a_torrent_is_found_again_as_long_as_its_files_are_the_same() {
        let world = World::new();
        let found = world.survey();
        let at = cache_path(&world.state(), &found, PIECE);
        let terms = |url: &str| CreateOptions { trackers: vec![vec![url.to_owned()]], ..CreateOptions::default() };
        assert!(load_cached(&at, &found, PIECE, &terms("http://a/announce")).is_none());
        let made = make(&found, PIECE, &terms("http://a/announce"), 1, &Progress::default()).unwrap();
        keep(&world.state(), &at, &made).unwrap();
        let other = load_cached(&at, &world.survey(), PIECE, &terms("http://b/announce")).unwrap();
        assert_eq!((other.meta.info_hash, &other.meta.hashes), (made.meta.info_hash, &made.meta.hashes));
        assert_eq!(other.meta.trackers, [["http://b/announce"]]);
        assert_ne!(cache_path(&world.state(), &found, 2 * PIECE), at);
        fs::write(world.root.path().join("data/a"), vec![9; 40_000]).unwrap();
        assert_ne!(cache_path(&world.state(), &world.survey(), PIECE), at, "it was written to");
        // The cached file is not a torrent of these files.
        fs::write(&at, b"de").unwrap();
        assert!(load_cached(&at, &found, PIECE, &CreateOptions::default()).is_none());
    }

    #[test]
    fn old_ones_go() {
        let world = World::new();
        let found = world.survey();
        let made = make(&found, PIECE, &CreateOptions::default(), 1, &Progress::default()).unwrap();
        for n in 0..KEPT + 5 {
            keep(&world.state(), &folder(&world.state()).join(format!("{n}")).join("x.torrent"), &made).unwrap();
        }
        assert_eq!(fs::read_dir(folder(&world.state())).unwrap().count(), KEPT);
        assert!(folder(&world.state()).join(format!("{}", KEPT + 4)).exists(), "the last one stays");
    }

    #[test]
    fn what_was_hashed_is_believed_until_a_file_is_written_to() {
        let world = World::new();
        let found = world.survey();
        let made = make(&found, PIECE, &CreateOptions::default(), 1, &Progress::default()).unwrap();
        write_resume(&world.state(), &found, &made.meta);
        let layout = Layout::of(&made.meta).unwrap();
        let store = ResumeStore::new(&world.state(), made.meta.info_hash, &found.download_dir());
        let have = |found: &FileScan, boot: &str| {
            let stamp = |file: &ScannedFile| FileStamp {
                size: file.length,
                changed: file.modified.map_or(0, nanos),
                id: 1,
                touched: 0,
            };
            let looks: Vec<_> = found.files.iter().map(|file| Some(stamp(file))).chain([None]).collect();
            let verdict = verify_resume(&layout, &store.read(&layout, boot), &looks, &PartFile::default());
            (verdict.have.count(), verdict.check)
        };
        assert_eq!(have(&found, &resume_store::boot_id()), (6, Vec::new()));
        let mut changed = found.clone();
        changed.files[0].modified = Some(std::time::SystemTime::now() + std::time::Duration::from_secs(9));
        assert_eq!(have(&changed, &resume_store::boot_id()).1.len(), 1);
        // After a reboot the files are hashed: it is unknown which data had reached the disk.
        let (count, check) = have(&found, "another");
        assert!(count == 0 && check.len() == 1 && check[0] == (0..6));
    }
}
