//! What was hashed before is not hashed again while the files are as they were: of a share the `.torrent` is kept, and
//! of anything that was hashed, a resume record vouches for the data.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha1::{Digest, Sha1};

use crate::disk::atomic;
use crate::disk::create::output::file_name;
use crate::disk::create::walk::Survey;
use crate::disk::create::{CreateError, Made, Terms, encode};
use crate::disk::fault::{self, Doing};
use crate::disk::layout::Layout;
use crate::disk::open::read_torrent;
use crate::disk::pool::device;
use crate::disk::record::Base;
use crate::disk::stamps::{Stamp, nanos};
use crate::disk::store::{self, Store};
use crate::wire::metainfo::Metainfo;

/// Torrents that are kept; beyond that the oldest go.
const KEPT: usize = 100;

/// Where the `.torrent` of these files is kept: another place as soon as one of them has changed.
#[must_use]
pub fn place(state_dir: &Path, survey: &Survey, piece_length: u32) -> PathBuf {
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

/// The `.torrent` that is kept there, with these terms instead of those of before; `None` where there is none of the very
/// same files.
#[must_use]
pub fn again(place: &Path, survey: &Survey, piece_length: u32, terms: &Terms) -> Option<Made> {
    reuse(&read_torrent(place).ok()?, survey, piece_length, terms)
}

/// The torrent of these bytes with these terms; `None` where it is not of the very same files, as far as names and lengths
/// tell.
#[must_use]
pub fn reuse(torrent: &[u8], survey: &Survey, piece_length: u32, terms: &Terms) -> Option<Made> {
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
    (meta.info_hash == old.info_hash).then_some(Made { bytes, meta })
}

/// Keeps a `.torrent` there, and lets go of the oldest ones where there are many.
///
/// # Errors
/// One sentence, when it cannot be written.
pub fn keep(state_dir: &Path, place: &Path, made: &Made) -> Result<(), CreateError> {
    let system = |error: &std::io::Error| {
        CreateError::System(fault::system(Doing::Write, place, error, made.bytes.len() as u64).text)
    };
    let parent = place.parent().unwrap_or(Path::new("."));
    atomic::make_private(parent).map_err(|error| system(&error))?;
    let new = parent.join(".new");
    atomic::replace(place, &new, None, &made.bytes, false).map_err(|error| system(&error))?;
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
            log::debug!("{} cannot be removed: {error}", old.display());
        }
    }
}

/// Writes the resume record of a torrent whose data were hashed just now, so that they are not hashed again before they
/// are seeded. Without one they are; that is all that a failure costs.
pub fn vouch(state_dir: &Path, survey: &Survey, meta: &Metainfo) {
    if let Err(why) = try_vouch(state_dir, survey, meta) {
        log::debug!("{} will be hashed again: {why}", meta.name);
    }
}

fn try_vouch(state_dir: &Path, survey: &Survey, meta: &Metainfo) -> Result<(), String> {
    let layout = Layout::of(meta).map_err(|why| why.to_string())?;
    let stamps = survey.files.iter().map(|file| file.modified.map(nanos).map(|at| (file.length, at)));
    let stamps: Vec<Option<Stamp>> =
        stamps.map(|it| it.map(|(size, changed)| Stamp { size, changed, id: 0, touched: 0 })).collect();
    let same = layout.files().len() == stamps.len()
        && layout.files().iter().zip(&survey.files).all(|(laid, found)| laid.length == found.length);
    if !same {
        return Err("its files are laid out in another way".to_owned());
    }
    let dir = survey.around();
    let store = Store::new(state_dir, meta.info_hash, &dir);
    let _claim = store.claim().map_err(|fault| fault.text)?;
    let pieces = layout.geometry().pieces();
    let all = crate::disk::bits::PieceBits::new(pieces);
    let none = all.to_bytes();
    all.set_all(0..pieces);
    let base = Base {
        chain: fastrand::u64(1..),
        generation: 1,
        keep_from: 0,
        durable: false,
        clean: true,
        device: device(&dir),
        boot: store::boot(),
        notes_writes: true,
        stamps,
        written: all.to_bytes(),
        // Who knows when they were written: after a power cut they are hashed all the same.
        synced: none.clone(),
        unsure: none,
    };
    // What was known before is older.
    store.delete();
    let written = store.write_new(&base.encode(&layout), false).and_then(|()| store.rename_new(false));
    written.map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::create::hashing::Progress;
    use crate::disk::create::make;
    use crate::disk::create::walk::{Choice, Found, survey};
    use crate::disk::part::Parts;
    use crate::disk::trust::judge;

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

        fn survey(&self) -> Survey {
            survey(&self.root.path().join("data"), &Choice::default(), &|| false).unwrap()
        }
    }

    const PIECE: u32 = 16 << 10;

    #[test]
    fn a_torrent_is_found_again_as_long_as_its_files_are_the_same() {
        let world = World::new();
        let found = world.survey();
        let at = place(&world.state(), &found, PIECE);
        let terms = |url: &str| Terms { trackers: vec![vec![url.to_owned()]], ..Terms::default() };
        assert!(again(&at, &found, PIECE, &terms("http://a/announce")).is_none());
        let made = make(&found, PIECE, &terms("http://a/announce"), 1, &Progress::default()).unwrap();
        keep(&world.state(), &at, &made).unwrap();
        let other = again(&at, &world.survey(), PIECE, &terms("http://b/announce")).unwrap();
        assert_eq!((other.meta.info_hash, &other.meta.hashes), (made.meta.info_hash, &made.meta.hashes));
        assert_eq!(other.meta.trackers, [["http://b/announce"]]);
        assert_ne!(place(&world.state(), &found, 2 * PIECE), at);
        fs::write(world.root.path().join("data/a"), vec![9; 40_000]).unwrap();
        assert_ne!(place(&world.state(), &world.survey(), PIECE), at, "it was written to");
        // What stands there is no torrent of these files.
        fs::write(&at, b"de").unwrap();
        assert!(again(&at, &found, PIECE, &Terms::default()).is_none());
    }

    #[test]
    fn old_ones_go() {
        let world = World::new();
        let found = world.survey();
        let made = make(&found, PIECE, &Terms::default(), 1, &Progress::default()).unwrap();
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
        let made = make(&found, PIECE, &Terms::default(), 1, &Progress::default()).unwrap();
        vouch(&world.state(), &found, &made.meta);
        let layout = Layout::of(&made.meta).unwrap();
        let store = Store::new(&world.state(), made.meta.info_hash, &found.around());
        let have = |found: &Survey, boot: &str| {
            let stamp =
                |file: &Found| Stamp { size: file.length, changed: file.modified.map_or(0, nanos), id: 1, touched: 0 };
            let looks: Vec<_> = found.files.iter().map(|file| Some(stamp(file))).chain([None]).collect();
            let verdict = judge(&layout, &store.read(&layout, boot), &looks, &Parts::default());
            (verdict.have.count(), verdict.check)
        };
        assert_eq!(have(&found, &store::boot()), (6, Vec::new()));
        let mut changed = found.clone();
        changed.files[0].modified = Some(std::time::SystemTime::now() + std::time::Duration::from_secs(9));
        assert_eq!(have(&changed, &store::boot()).1.len(), 1);
        // After the machine was started anew it is hashed: nobody knows what had reached the disk.
        let (count, check) = have(&found, "another");
        assert!(count == 0 && check.len() == 1 && check[0] == (0..6));
    }
}
