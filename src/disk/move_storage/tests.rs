use std::io::{Seek, SeekFrom, Write};

use super::*;
use crate::disk::layout::tests::layout;
use crate::disk::storage::Allocation;
use crate::wire::message::InfoHash;

struct World {
    root: tempfile::TempDir,
    spec: StorageSpec,
    owners: Arc<OwnershipRegistry>,
    to: PathBuf,
}

/// Creates a torrent with two of its three files, next to an unrelated file.
fn world() -> World {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("old");
    fs::create_dir_all(dir.join("t/sub")).unwrap();
    fs::write(dir.join("t/a"), b"aaaa").unwrap();
    fs::write(dir.join("t/sub/b"), b"bbb").unwrap();
    fs::write(dir.join("theirs"), b"x").unwrap();
    fs::write(dir.join(part::name(InfoHash([1; 20]))), b"border").unwrap();
    let layout = Arc::new(layout(4, &[(Some("t/a"), 4), (None, 2), (Some("t/sub/b"), 3), (Some("t/c"), 5)]));
    let spec = StorageSpec {
        layout,
        dir,
        state_dir: root.path().join("state"),
        allocate: Allocation::Sparse,
        unwanted: vec![],
        overwrite: false,
        mend_names: false,
        read_only: false,
    };
    let to = root.path().join("new/deep");
    let owners = Arc::new(OwnershipRegistry::new(&spec.state_dir));
    World { root, spec, owners, to }
}

#[test]
fn its_own_files_move_and_nothing_else() {
    let w = world();
    let progress = Progress::default();
    let moved = move_files(&w.spec, &w.to, &w.owners, &progress).unwrap();
    assert_eq!(progress.bytes(), (13, 13));
    assert!(w.spec.dir.join("t/a").exists(), "the old names stay until the new folder is the torrent's place");
    moved.delete_old_files().unwrap();
    assert_eq!(fs::read(w.to.join("t/sub/b")).unwrap(), b"bbb");
    assert!(!w.spec.dir.join("t").exists() && w.spec.dir.join("theirs").exists());
    assert!(!w.to.join("theirs").exists() && !w.to.join("t/c").exists());
    let part = part::name(InfoHash([1; 20]));
    assert!(fs::read(w.to.join(&part)).unwrap() == b"border" && !w.spec.dir.join(part).exists());
}

#[test]
fn what_is_there_already_is_never_written_over() {
    let w = world();
    fs::create_dir_all(w.to.join("t/sub")).unwrap();
    fs::write(w.to.join("t/sub/b"), b"theirs").unwrap();
    let why = move_files(&w.spec, &w.to, &w.owners, &Progress::default()).unwrap_err().text;
    assert!(why.contains("t/sub/b is there already") && why.contains("nothing was moved"), "{why}");
    assert_eq!(fs::read(w.to.join("t/sub/b")).unwrap(), b"theirs");
    assert!(!w.to.join("t/a").exists() && w.spec.dir.join("t/a").exists());
    assert!(move_files(&w.spec, &w.spec.dir, &w.owners, &Progress::default()).unwrap_err().text.contains("already"));
}

#[test]
fn a_move_that_was_ended_leaves_everything_where_it_was() {
    let w = world();
    let progress = Progress::default();
    progress.end();
    let why = move_files(&w.spec, &w.to, &w.owners, &progress).unwrap_err().text;
    assert!(why.contains("stopped"), "{why}");
    assert!(w.spec.dir.join("t/a").exists() && !w.to.join("t").exists());
    // An interrupted move is completed by moving again.
    fs::create_dir_all(w.to.join("t")).unwrap();
    fs::hard_link(w.spec.dir.join("t/a"), w.to.join("t/a")).unwrap();
    let again = move_files(&w.spec, &w.to, &w.owners, &Progress::default());
    if cfg!(unix) {
        again.unwrap().delete_old_files().unwrap();
        assert!(!w.spec.dir.join("t").exists());
    }
}

#[cfg(unix)]
#[test]
fn a_folder_under_another_name_is_not_taken_for_a_second_one() {
    let w = world();
    let to = w.root.path().join("other name");
    std::os::unix::fs::symlink(&w.spec.dir, &to).unwrap();
    assert!(move_files(&w.spec, &to, &w.owners, &Progress::default()).unwrap_err().text.contains("already"));
    // The paths of a bind mount do not reveal that both folders are one.
    let progress = Progress::default();
    let (layout, from) = (&w.spec.layout, &w.spec.dir);
    let part = Path::new(".parts");
    let (needs, done) = (0, Vec::new());
    let mut work =
        Work { layout, renamed: layout, part, from, to: &to, odd: BTreeSet::new(), progress: &progress, needs, done };
    let own = Ownership::open(&w.owners, "any", layout, from);
    let why = work.look(&own, &BTreeSet::new(), None).err().unwrap().text;
    assert!(why.contains("is the folder that its data are in already"), "{why}");
    assert!(w.spec.dir.join("t/a").exists());
}

#[cfg(unix)]
#[test]
fn a_copy_has_holes_time_and_bytes_of_the_file() {
    use std::os::unix::fs::MetadataExt;
    let mut w = world();
    let path = w.spec.dir.join("t/a");
    let file = fs::File::create(&path).unwrap();
    file.set_len(8 << 20).unwrap();
    (&file).seek(SeekFrom::Start(5 << 20)).unwrap();
    (&file).write_all(b"here").unwrap();
    w.spec.layout = Arc::new(layout(4 << 20, &[(Some("t/a"), 8 << 20)]));
    let progress = Progress::default();
    let work = Work {
        layout: &w.spec.layout,
        renamed: &w.spec.layout,
        part: Path::new(".parts"),
        from: &w.spec.dir,
        to: &w.to,
        odd: BTreeSet::new(),
        progress: &progress,
        needs: 0,
        done: vec![(0, TransferMethod::Part)],
    };
    let meta = fs::metadata(&path).unwrap();
    work.copy(0, &meta).unwrap();
    let mut work = work;
    work.name().unwrap();
    let copy = fs::metadata(w.to.join("t/a")).unwrap();
    assert_eq!((copy.len(), copy.modified().unwrap()), (meta.len(), meta.modified().unwrap()));
    assert!(copy.blocks() <= meta.blocks() + 16, "{} {}", copy.blocks(), meta.blocks());
    assert!(fs::read(w.to.join("t/a")).unwrap() == fs::read(&path).unwrap());
    assert_eq!(progress.bytes().0, 8 << 20);
    assert!(w.root.path().exists());
}
