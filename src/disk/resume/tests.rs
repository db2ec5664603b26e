use super::*;
use crate::disk::file_cache::FileCache;
use crate::disk::layout::Layout;
use crate::disk::layout::tests::layout;
use crate::disk::ownership::registry::OwnershipRegistry;
use crate::disk::ownership::torrent::Ownership;
use crate::disk::resume_check::verify_resume;
use crate::disk::storage::Allocation;
use std::sync::Arc;

struct World {
    root: tempfile::TempDir,
    layout: Arc<Layout>,
}

impl World {
    fn new() -> World {
        let layout = Arc::new(layout(4, &[(Some("a"), 40)]));
        World { root: tempfile::tempdir().unwrap(), layout }
    }

    fn start(&self, boot: &str) -> (ResumeWriter, Files, LoadedResume) {
        let dir = self.root.path().join("downloads");
        let store = ResumeStore::new(&self.root.path().join("state"), self.layout.info_hash(), &dir);
        std::fs::create_dir_all(self.root.path().join("state")).unwrap();
        let found = store.read(&self.layout, boot);
        let handles = Arc::new(FileCache::new(4));
        let owners = Arc::new(OwnershipRegistry::new(&self.root.path().join("state")));
        let ownership = Ownership::open(&owners, store.name(), &self.layout, &dir);
        let files = Files::new(1, dir, Allocation::Sparse, Arc::clone(&handles), ownership);
        let looks = vec![files.stat(0).unwrap(), None];
        looks[0].into_iter().for_each(|look| files.found(0, look));
        let verdict = verify_resume(&self.layout, &found, &looks, files.parts());
        looks.iter().flatten().for_each(|look| files.found(0, *look));
        (ResumeWriter::from_loaded(store, boot.into(), 0, &found, verdict, (1, handles)), files, found)
    }

    fn state(&self, ending: &str) -> std::path::PathBuf {
        let all = std::fs::read_dir(self.root.path().join("state")).unwrap().map(|e| e.unwrap().path());
        all.into_iter().find(|p| p.extension().is_some_and(|e| e == ending)).unwrap()
    }
}

fn gain(record: &ResumeWriter, files: &Files, piece: u32) {
    record.begin(files).unwrap();
    record.heartbeat().unwrap();
    let data = [bytes::Bytes::from_static(b"data")];
    files.write(u64::from(piece) * 4, &data, &|note| record.append_journal(&[note]).unwrap()).unwrap();
    record.piece_written(piece).unwrap();
}

fn pieces(bits: &AtomicBitfield) -> Vec<u32> {
    (0..bits.pieces()).filter(|p| bits.has(*p)).collect()
}

/// Three pieces in three states (synced, saved, only in the journal), after a crash of the process.
fn killed() -> World {
    let world = World::new();
    let (record, files, _) = world.start("first");
    record.save(&files, SaveMode::Quick).unwrap();
    gain(&record, &files, 7);
    record.sync(&files).unwrap();
    gain(&record, &files, 1);
    record.save(&files, SaveMode::Quick).unwrap();
    gain(&record, &files, 4);
    world
}

#[test]
fn after_a_kill_everything_recorded_is_believed() {
    let world = killed();
    let (record, _, found) = world.start("first");
    assert!(found.same_boot && found.notes.is_empty(), "{found:?}");
    assert_eq!((pieces(&record.written), pieces(&record.synced)), (vec![1, 4, 7], vec![7]));
    assert!(pieces(&record.unverified).is_empty());
}

#[test]
fn after_another_boot_what_was_not_synced_is_hashed() {
    let (record, ..) = killed().start("second");
    assert_eq!((pieces(&record.written), pieces(&record.unverified)), (vec![7], vec![1, 4]));
}

#[test]
fn the_base_before_and_all_journals_stand_in_for_a_damaged_base() {
    let world = killed();
    std::fs::write(world.state("resume"), b"rubbish").unwrap();
    let (record, files, found) = world.start("first");
    assert_eq!(found.notes.len(), 1);
    assert_eq!(pieces(&record.written), [1, 4, 7]);
    // Recording continues from there, in spite of the damaged base.
    record.save(&files, SaveMode::Quick).unwrap();
    gain(&record, &files, 2);
    drop((record, files));
    assert_eq!(pieces(&world.start("first").0.written), [1, 2, 4, 7]);
}

#[test]
fn a_kill_between_two_names_costs_nothing() {
    let world = killed();
    std::fs::remove_file(world.state("resume")).unwrap();
    let (record, _, found) = world.start("first");
    assert!(found.notes.is_empty());
    assert_eq!(pieces(&record.written), [1, 4, 7]);
}

#[test]
fn what_was_found_bad_is_believed_by_no_base_ever_again() {
    let world = killed();
    let (record, files, _) = world.start("first");
    record.begin(&files).unwrap();
    record.checked(7, &[false]).unwrap();
    record.save(&files, SaveMode::Last).unwrap();
    drop((record, files));
    std::fs::write(world.state("resume"), b"rubbish").unwrap();
    assert_eq!(pieces(&world.start("first").0.written), [1, 4]);
}

#[test]
fn a_journal_that_is_torn_anywhere_loses_only_its_end() {
    let world = killed();
    let base = std::fs::read_dir(world.root.path().join("state")).unwrap().map(|e| e.unwrap().path());
    let journal = base.filter(|p| p.to_string_lossy().contains("journal-")).max().unwrap();
    let whole = std::fs::read(&journal).unwrap();
    for n in 0..whole.len() {
        std::fs::write(&journal, &whole[..n]).unwrap();
        let (record, ..) = world.start("first");
        // A piece of the base is trusted, or hashed if the journal no longer contains the file's last mtime.
        let known = |piece: &u32| record.written.has(*piece) || record.unverified.has(*piece);
        assert!([1, 7].iter().all(known) && !record.written.has(4), "cut at {n}: {record:?}");
    }
}
