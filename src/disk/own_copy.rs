//! Files that have other names (hard links), which may be anybody's: before such a file is written to, its name gets a
//! copy, and the other names keep their bytes.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use sha1::{Digest, Sha1};

use crate::disk::beneath::{self, Access};
use crate::disk::sys;

/// Puts a copy of the first `length` bytes of an open file in the place of its name, below a folder. The copy has the
/// file's time, rights and owner, and holes where the file has them. Returns it, open for writing.
///
/// # Errors
/// The system's; the file is then as it was.
pub(crate) fn replace(dir: &Path, path: &Path, open: &File, length: u64) -> io::Result<File> {
    let new = name(path);
    // What was left by a copy that a kill cut short.
    let _ = beneath::remove_file(dir, &new);
    let copy = beneath::open(dir, &new, Access::Create)?;
    let whole = fill(&copy, open, length).and_then(|()| beneath::replace(dir, &new, path));
    if let Err(error) = whole {
        let _ = beneath::remove_file(dir, &new);
        return Err(error);
    }
    Ok(copy)
}

/// The name of a copy until it is whole.
fn name(path: &Path) -> PathBuf {
    let of = Sha1::digest(path.file_name().unwrap_or_default().as_encoded_bytes());
    path.with_file_name(format!(".ttui-copy-{:02x}{:02x}{:02x}{:02x}", of[0], of[1], of[2], of[3]))
}

fn fill(copy: &File, open: &File, length: u64) -> io::Result<()> {
    let meta = open.metadata()?;
    let length = length.min(meta.len());
    copy.set_len(length)?;
    let mut at = 0;
    while let Some(data) = sys::next_data(open, at).filter(|data| data.start < length) {
        let end = data.end.min(length);
        let (mut from, mut to) = (open, copy);
        from.seek(SeekFrom::Start(data.start))?;
        to.seek(SeekFrom::Start(data.start))?;
        // Where the file system can, both files share these bytes on the disk.
        io::copy(&mut from.take(end - data.start), &mut to)?;
        at = end;
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        // Only the system's administrator may give files away.
        let _ = std::os::unix::fs::fchown(copy, Some(meta.uid()), Some(meta.gid()));
        copy.set_permissions(meta.permissions())?;
    }
    // Records know files by their time.
    meta.modified().map_or(Ok(()), |changed| copy.set_modified(changed))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_name_gets_a_copy_and_the_other_names_keep_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let (path, other) = (dir.path().join("d/x"), dir.path().join("y"));
        fs::create_dir(dir.path().join("d")).unwrap();
        fs::write(&path, b"0123456789").unwrap();
        fs::hard_link(&path, &other).unwrap();
        fs::write(dir.path().join("d").join(name(Path::new("x"))), b"left by a kill").unwrap();
        let was = fs::metadata(&path).unwrap();
        for length in [20, 10, 4] {
            let open = beneath::open(dir.path(), Path::new("d/x"), Access::Write).unwrap();
            let copy = replace(dir.path(), Path::new("d/x"), &open, length).unwrap();
            let now = fs::metadata(&path).unwrap();
            assert_eq!(sys::inode(&now), sys::inode(&copy.metadata().unwrap()));
            assert!(sys::inode(&now) != sys::inode(&was) && now.modified().unwrap() == was.modified().unwrap());
            assert_eq!(fs::read(&path).unwrap(), &b"0123456789"[..length.min(10) as usize]);
            assert_eq!(fs::read(&other).unwrap(), b"0123456789");
            assert_eq!(fs::read_dir(dir.path().join("d")).unwrap().count(), 1);
        }
    }
}
