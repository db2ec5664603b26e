//! Writes a new `.torrent` file atomically and without overwriting other files.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::disk::atomic_file;
use crate::disk::beneath;
use crate::disk::create::error::CreateError;
use crate::disk::create::scan::FileScan;
use crate::disk::error::{self, DiskOp};
use crate::disk::sys;
use crate::disk::torrent_file::read_torrent;
use crate::limits;
use crate::wire::metainfo::Metainfo;
use crate::wire::metainfo::paths::{PathRules, printable};

/// File name extension.
const ENDING: &str = ".torrent";
/// Maximum number of file names to try.
const NAMES: u32 = 1000;

/// Returns the file name of the `.torrent` for content `name`; a `number` of 2 or more is appended.
#[must_use]
pub(crate) fn file_name(name: &str, number: u32) -> String {
    let name = printable(name.as_bytes(), PathRules::NATIVE).unwrap_or_else(|| "_".to_owned());
    let end = if number < 2 { ENDING.to_owned() } else { format!(" {number}{ENDING}") };
    let mut cut = name.len().min(limits::PATH_COMPONENT - end.len());
    while !name.is_char_boundary(cut) {
        cut -= 1;
    }
    format!("{}{end}", &name[..cut])
}

/// Checks that a `.torrent` may be written to `path`: it is free, or a file and `replace` is set.
///
/// # Errors
/// [`CreateError::Exists`] with the remedy.
pub(crate) fn may_write(path: &Path, replace: bool) -> Result<(), CreateError> {
    let exists = |advice| Err(CreateError::Exists { path: path.to_owned(), advice });
    match fs::metadata(path).or_else(|_| fs::symlink_metadata(path)) {
        Ok(meta) if meta.is_dir() => exists(", and is a folder: name a file with --output"),
        Ok(meta) if !meta.is_file() && !meta.is_symlink() => exists(", and is no file: name another one with --output"),
        Ok(_) if !replace => exists(": name another file with --output, or replace it with --force"),
        Ok(meta) if meta.is_file() && meta.len() > 0 && !is_torrent(path) => {
            exists(", and is no .torrent, which alone is replaced: name another file with --output")
        }
        _ => Ok(()),
    }
}

fn is_torrent(path: &Path) -> bool {
    read_torrent(path).is_ok_and(|bytes| Metainfo::parse(&bytes).is_ok())
}

/// Looks whether a `.torrent` would take the place of a file that it is made of, also under another name of it.
///
/// # Errors
/// One sentence, where it would.
pub(crate) fn spares(path: &Path, found: &FileScan) -> Result<(), CreateError> {
    let inode = |path: &Path| fs::metadata(path).ok().and_then(|meta| sys::inode(&meta));
    let Ok(meta) = fs::metadata(path) else { return Ok(()) };
    let target = sys::inode(&meta);
    let real = fs::canonicalize(path).ok();
    let is_it = |file: &Path| match target {
        Some(_) => inode(file) == target,
        None => fs::canonicalize(file).ok() == real,
    };
    match found.files.iter().any(|file| is_it(&found.root.join(&file.name))) {
        true => {
            let advice = ", and is what the torrent is made of: name another file with --output";
            Err(CreateError::Exists { path: path.to_owned(), advice })
        }
        false => Ok(()),
    }
}

/// Writes a `.torrent` of the user's, if [`may_write`] says so.
///
/// # Errors
/// If the path is taken or the file cannot be written; no temporary file is left behind then.
pub(crate) fn write(path: &Path, bytes: &[u8], replace: bool) -> Result<(), CreateError> {
    may_write(path, replace)?;
    let exists = |advice| CreateError::Exists { path: path.to_owned(), advice };
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let Some(name) = path.file_name() else {
        return Err(CreateError::System(format!("{} is no name for a file", path.display())));
    };
    let new = format!(".ttui-{}-{:08x}.new", std::process::id(), fastrand::u32(..));
    let temporary = folder.join(&new);
    let failed = |error: &io::Error| {
        let _ = atomic_file::remove(&temporary);
        match error.kind() {
            io::ErrorKind::AlreadyExists => exists(""),
            io::ErrorKind::NotFound => {
                CreateError::System(format!("cannot write {}: there is no folder {}", path.display(), folder.display()))
            }
            _ => CreateError::System(error::from_io(DiskOp::Write, path, error, bytes.len() as u64).text),
        }
    };
    let written = OpenOptions::new().write(true).create_new(true).open(&temporary).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.map_err(|error| failed(&error))?;
    let named = if replace {
        fs::rename(&temporary, path)
    } else {
        beneath::rename((folder, Path::new(&new)), (folder, Path::new(name)))
    };
    named.map_err(|error| failed(&error))
}

/// Writes a `.torrent` into a folder under the first free name. Returns its path.
///
/// # Errors
/// If the file cannot be written; no temporary file is left behind then.
pub(crate) fn write_free(folder: &Path, name: &str, bytes: &[u8]) -> Result<PathBuf, CreateError> {
    let mut number = 1;
    loop {
        let path = folder.join(file_name(name, number));
        match write(&path, bytes, false) {
            Err(CreateError::Exists { .. }) if number < NAMES => number += 1,
            Err(error) => return Err(error),
            Ok(()) => return Ok(path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_overwritten_unless_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = write_free(dir.path(), "a/b", b"one").unwrap();
        assert_eq!(path, dir.path().join(file_name("a/b", 1)));
        let second = write_free(dir.path(), "a/b", b"two").unwrap();
        assert_ne!(path, second);
        assert_eq!((fs::read(&path).unwrap(), fs::read(&second).unwrap()), (b"one".to_vec(), b"two".to_vec()));
        let taken = write(&path, b"three", false).unwrap_err().to_string();
        assert!(taken.contains("--force"), "{taken}");
        // What is no .torrent is somebody's data.
        let data = write(&path, b"three", true).unwrap_err().to_string();
        assert!(data.contains("is no .torrent") && fs::read(&path).unwrap() == b"one", "{data}");
        let torrent = b"d4:infod6:lengthi1e4:name1:a12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaaee";
        for before in [&torrent[..], b""] {
            fs::write(&path, before).unwrap();
            write(&path, b"three", true).unwrap();
            assert_eq!(fs::read(&path).unwrap(), b"three");
        }
        assert!(write(dir.path(), b"x", true).unwrap_err().to_string().contains("is a folder"));
        let nowhere = write(&dir.path().join("no/x.torrent"), b"x", false).unwrap_err().to_string();
        assert!(nowhere.contains("there is no folder"), "{nowhere}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "nothing is left behind");
        #[cfg(target_os = "linux")]
        {
            let full = write(Path::new("/dev/full"), b"x", true).unwrap_err().to_string();
            assert!(full.contains("no file"), "{full}");
        }
        assert!((250..=255).contains(&file_name(&"é".repeat(300), 12).len()));
    }
}
