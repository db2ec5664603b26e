//! Atomic file replacement (write to a temporary name, fsync, rename) and files private to the user.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use super::sys;

/// Returns options for opening a file read-write, mode 0600 if created, never through a symbolic link.
///
/// On Unix `O_NOFOLLOW` makes opening a symbolic link fail; on Windows the link itself is opened, not its target.
pub(crate) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600).custom_flags(rustix::fs::OFlags::NOFOLLOW.bits() as i32);
    }
    #[cfg(windows)]
    {
        /// Opens a reparse point (symbolic link) itself instead of its target.
        const FILE_FLAG_OPEN_REPARSE_POINT: u32 = 0x0020_0000;
        std::os::windows::fs::OpenOptionsExt::custom_flags(&mut options, FILE_FLAG_OPEN_REPARSE_POINT);
    }
    options
}

/// Unlinks `path` if it is a symbolic link or one of several hard links. Returns whether it was.
///
/// A file created under that name afterwards cannot change the target of the link.
///
/// # Errors
/// The I/O error of the system if the name cannot be removed.
pub(crate) fn unlink_alias(path: &Path) -> io::Result<bool> {
    let alias = match fs::symlink_metadata(path) {
        Ok(meta) => meta.file_type().is_symlink() || (meta.is_file() && sys::names(&meta) > 1),
        Err(_) => false,
    };
    if alias {
        remove(path)?;
    }
    Ok(alias)
}

/// Creates a directory and its parents with mode 0700. An existing directory keeps its mode.
///
/// # Errors
/// The I/O error of the system.
pub(crate) fn make_private(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Creates the state directory with mode 0700, because its file names reveal what is downloaded.
///
/// An existing directory loses its group and other permissions only if `is_default`: the mode of a directory chosen
/// by the user is left alone.
///
/// # Errors
/// The I/O error of the system.
pub(crate) fn make_state_folder(folder: &Path, is_default: bool) -> io::Result<()> {
    make_private(folder)?;
    #[cfg(unix)]
    if is_default {
        use std::os::unix::fs::PermissionsExt;
        let rights = fs::metadata(folder)?.permissions();
        if rights.mode() & 0o077 != 0 {
            fs::set_permissions(folder, fs::Permissions::from_mode(rights.mode() & 0o700))?;
        }
    }
    let _ = is_default;
    Ok(())
}

/// Deletes a file. A missing file is not an error.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Atomically replaces or creates a file of the user and keeps its permissions.
///
/// Creates missing parent directories.
///
/// If `path` is a symbolic link, its target is replaced and the link stays.
///
/// # Errors
/// The I/O error of the system. The file then has its old content, or the new content with mode 0600.
pub(crate) fn rewrite(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    let rights = fs::metadata(&path).ok().map(|meta| meta.permissions());
    replace(&path, &new, None, bytes, true)?;
    // Permissions are widened only after the rename: a crash in between leaves a complete file with mode 0600.
    rights.map_or(Ok(()), |rights| fs::set_permissions(&path, rights))
}

/// Atomically replaces `path` by a file with mode 0600.
///
/// `new` is the temporary name until it is complete.
///
/// With `durable` the file is fsynced before the rename and its directory after the rename. The previous content is
/// kept under the name `before`, if given.
///
/// # Errors
/// The I/O error of the system. Unless the final directory fsync failed, the old content is at `path` or `before`.
pub(crate) fn replace(path: &Path, new: &Path, before: Option<&Path>, bytes: &[u8], durable: bool) -> io::Result<()> {
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
        // A crash between the two renames leaves the previous content under `before`: nothing is lost.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn nothing_is_written_through_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let (target, name, new) = (dir.path().join("diary"), dir.path().join("name"), dir.path().join("name-new"));
        fs::write(&target, b"mine").unwrap();
        let symlink = |path: &Path| std::os::unix::fs::symlink(&target, path).unwrap();
        let links: [&dyn Fn(&Path); 2] = [&symlink, &|path| fs::hard_link(&target, path).unwrap()];
        for link in links {
            link(&name);
            link(&new);
            replace(&name, &new, Some(&dir.path().join("name-before")), b"ours", true).unwrap();
            assert_eq!((fs::read(&target).unwrap(), fs::read(&name).unwrap()), (b"mine".to_vec(), b"ours".to_vec()));
            assert!(fs::symlink_metadata(&name).unwrap().is_file());
            remove(&name).unwrap();
            remove(&dir.path().join("name-before")).unwrap();
            link(&name);
            assert!(unlink_alias(&name).unwrap() && !name.exists() && target.exists());
        }
        symlink(&name);
        for create in [false, true] {
            assert!(private().create(create).append(true).open(&name).is_err());
            assert!(private().create(create).truncate(true).open(&name).is_err());
        }
        assert!(!unlink_alias(&target).unwrap() && !unlink_alias(&dir.path().join("none")).unwrap());
        assert_eq!(fs::read(&target).unwrap(), b"mine");
    }

    #[cfg(unix)]
    #[test]
    fn the_state_folder_is_made_for_its_owner_alone_and_one_of_the_users_own_is_left_alone() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let made = dir.path().join("a/b");
        make_state_folder(&made, false).unwrap();
        assert_eq!((mode(&made), mode(&dir.path().join("a"))), (0o700, 0o700));
        for (name, was, is_default, becomes) in [
            ("open", 0o755, true, 0o700),
            ("group", 0o770, true, 0o700),
            ("named", 0o755, false, 0o755),
            ("read-only", 0o500, true, 0o500),
            ("private", 0o700, true, 0o700),
        ] {
            let path = dir.path().join(name);
            fs::create_dir(&path).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(was)).unwrap();
            make_state_folder(&path, is_default).unwrap();
            assert_eq!(mode(&path), becomes, "{name}");
        }
    }

    #[test]
    fn a_file_of_the_users_keeps_its_rights_and_its_link() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b/c.toml");
        rewrite(&path, b"one").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"one");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let link = dir.path().join("link");
            std::os::unix::fs::symlink(&path, &link).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
            rewrite(&link, b"two").unwrap();
            assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o644);
            assert_eq!(fs::read(&path).unwrap(), b"two");
        }
        assert_eq!(fs::read_dir(dir.path().join("a/b")).unwrap().count(), 1);
    }
}
