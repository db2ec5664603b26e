//! Files that are replaced as a whole: whoever reads one finds the old content or the new, never a part.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

/// Opens for writing what nobody else may read.
pub(crate) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Removes a file that need not be there.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Replaces `path`, readable by its owner alone. `new` is the name that it has until it is whole. If it is to be
/// `durable` it is synced first, and so is its name. The last content is kept under the name `before`, if one is given.
///
/// # Errors
/// The system's. The files are then as they were.
pub fn replace(path: &Path, new: &Path, before: Option<&Path>, bytes: &[u8], durable: bool) -> io::Result<()> {
    remove(new)?;
    let written = private().create_new(true).open(new).and_then(|mut file| {
        file.write_all(bytes)?;
        if durable { file.sync_all() } else { Ok(()) }
    });
    if let Err(error) = written {
        let _ = remove(new);
        return Err(error);
    }
    if let Some(before) = before {
        // A kill between the two leaves the one before: nothing is lost.
        match fs::rename(path, before) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    fs::rename(new, path)?;
    #[cfg(unix)]
    if durable && let Some(folder) = path.parent() {
        fs::File::open(folder)?.sync_all()?;
    }
    Ok(())
}
