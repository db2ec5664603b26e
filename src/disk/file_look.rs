//! What is at the path of a file, as the hasher sees it: symbolic links are not followed and only regular files count.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::disk::atomic_bitfield::AtomicBitfield;
use crate::disk::beneath::{self, Access, EntryKind};
use crate::disk::error::{self, reason};
use crate::disk::layout::{FileEntry, Layout};
use crate::disk::torrent_file::kind;
use crate::format::counted;
use crate::swarm::job::DiskFault;

/// Maximum number of unusable files that are named one by one.
const NAMED: usize = 3;

/// The result of looking at the path of a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum FileLook {
    Missing,
    /// A file that can be read, with its length in bytes.
    Usable(u64),
    /// Something else: one word for its state, and a sentence that names it.
    Unusable(&'static str, String),
}

/// Looks at the path of a file below a download folder.
#[must_use]
pub(crate) fn look(dir: &Path, path: &Path) -> FileLook {
    match beneath::entry_kind(dir, path) {
        Ok(EntryKind::Missing) => FileLook::Missing,
        Ok(EntryKind::File(length)) => match beneath::open(dir, path, Access::Read) {
            Ok(_) => FileLook::Usable(length),
            Err(error) => FileLook::Unusable("unread", format!("it cannot be read: {}", reason(&error))),
        },
        Ok(EntryKind::Other(at, what)) => {
            let state = if what == "a symbolic link" { "link" } else { "no file" };
            let at = at.strip_prefix(dir).map(Path::to_path_buf).unwrap_or(at);
            FileLook::Unusable(state, format!("{} is {what}: move it away", at.display()))
        }
        Err(error) => FileLook::Unusable("unread", format!("it cannot be looked at: {}", reason(&error))),
    }
}

/// Checks that a download folder is a folder, or can become one.
///
/// # Errors
/// If a file, a device or a link that leads nowhere is at its path, or at that of a folder above it.
pub(crate) fn check_folder(dir: &Path) -> Result<(), DiskFault> {
    for at in dir.ancestors() {
        let refusal = match fs::metadata(at) {
            Ok(meta) if meta.is_dir() => return Ok(()),
            Ok(meta) => format!("{} is {}, not a folder: choose another folder", at.display(), kind(meta.file_type())),
            Err(error) => {
                let Ok(to) = fs::read_link(at) else { continue };
                let (at, to) = (at.display(), to.display());
                match error.kind() {
                    io::ErrorKind::NotFound => {
                        format!(
                            "{at} is a link to {to}, which is not there: mount or create it, or choose another folder"
                        )
                    }
                    _ => format!("{at} is a link to {to}: {}; choose another folder", reason(&error)),
                }
            }
        };
        return Err(error::other(refusal));
    }
    Ok(())
}

/// Checks that files can be created in a download folder, or in the one that is to be made there, by creating something that
/// is gone again at once.
///
/// # Errors
/// If the system refuses for a reason that does not pass: permissions, a read-only or a virtual file system. A full disk is
/// no such reason.
pub(crate) fn check_writable(dir: &Path) -> Result<(), DiskFault> {
    let Some(there) = dir.ancestors().find(|dir| dir.is_dir()) else { return Ok(()) };
    let tried = if there == dir { try_file(there) } else { try_folder(there) };
    let Err(error) = tried else { return Ok(()) };
    let why = match error.kind() {
        io::ErrorKind::PermissionDenied => "permission denied",
        io::ErrorKind::ReadOnlyFilesystem => "the file system is read-only",
        io::ErrorKind::NotFound | io::ErrorKind::Unsupported => "its file system takes no files",
        _ => return Ok(()),
    };
    let what = if there == dir { "written" } else { "created" };
    Err(error::other(format!("nothing can be {what} in {}: {why}; choose another folder", there.display())))
}

/// Creates a file, without a name where the file system can do that.
fn try_file(dir: &Path) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        use rustix::fs::{Mode, OFlags, open};
        let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
        if open(dir, flags, Mode::RUSR | Mode::WUSR).is_ok() {
            return Ok(());
        }
    }
    let path = dir.join(probe_name());
    let made = fs::File::create_new(&path);
    made.and_then(|_| fs::remove_file(&path))
}

fn try_folder(dir: &Path) -> io::Result<()> {
    let path = dir.join(probe_name());
    fs::create_dir(&path).and_then(|()| fs::remove_dir(&path))
}

/// Returns a hidden name that nothing else has.
fn probe_name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!(".ttui-probe-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Describes the files that seeding cannot use: links and other special files in the place of a file, and missing empty
/// files, which no piece tells of. Files of which all pieces are in `have` are not looked at.
#[must_use]
pub(crate) fn describe_unusable(layout: &Layout, dir: &Path, have: &AtomicBitfield) -> Vec<String> {
    let in_doubt = |(n, file): &(usize, &FileEntry)| {
        let mut pieces = layout.pieces_of(*n);
        !file.pad && (file.length == 0 || !pieces.all(|piece| have.has(piece)))
    };
    let (mut unusable, mut others, mut missing) = (Vec::new(), 0_u64, 0_u64);
    for (_, file) in layout.files().iter().enumerate().filter(in_doubt) {
        match look(dir, &file.path) {
            FileLook::Unusable(_, why) if unusable.len() < NAMED => unusable.push(why),
            FileLook::Unusable(..) => others += 1,
            FileLook::Missing if file.length == 0 => missing += 1,
            FileLook::Missing | FileLook::Usable(_) => {}
        }
    }
    if others > 0 {
        unusable.push(format!("{others} more are no files either"));
    }
    if missing > 0 {
        unusable.push(format!("{} missing: ttui download creates them", counted(missing, "empty file")));
    }
    unusable
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::layout::tests::layout;

    #[cfg(unix)]
    #[test]
    fn a_file_or_a_device_is_no_folder_and_what_is_missing_may_become_one() {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| dir.path().join(path);
        std::fs::write(at("file"), "").unwrap();
        for (to, name) in [(dir.path(), "link"), (Path::new("none/x"), "lost"), (Path::new("loop"), "loop")] {
            std::os::unix::fs::symlink(to, at(name)).unwrap();
        }
        for (path, refused) in [
            (at("file"), Some("is a file, not a folder")),
            (at("file/below/it"), Some("is a file, not a folder")),
            ("/dev/null".into(), Some("/dev/null is a device, not a folder")),
            (at("none/at/all"), None),
            (at("link"), None),
            (at("link/x"), None),
            (at("lost"), Some("lost is a link to none/x, which is not there: mount or create it")),
            (at("lost/x"), Some("lost is a link to none/x, which is not there")),
            (at("loop/x"), Some("loop is a link to loop: too many levels of symbolic links; choose another folder")),
        ] {
            let text = check_folder(&path).err().map(|fault| fault.text);
            assert_eq!(text.is_some(), refused.is_some(), "{}: {text:?}", path.display());
            assert!(text.is_none_or(|text| refused.is_some_and(|words| text.contains(words))), "{}", path.display());
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_folder_in_which_nothing_can_be_created_is_told_and_the_probe_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        for path in [dir.path().to_owned(), dir.path().join("none/at/all"), "/dev/shm".into()] {
            assert_eq!(check_writable(&path).err(), None, "{}", path.display());
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        try_folder(dir.path()).unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        for (path, told) in [
            ("/proc/x", "nothing can be created in /proc: "),
            ("/proc", "nothing can be written in /proc: "),
            ("/proc/self/net/y/z", "nothing can be created in /proc/self/net: "),
            ("/sys/x", "nothing can be created in /sys: "),
        ] {
            let text = check_writable(Path::new(path)).unwrap_err().text;
            assert!(text.starts_with(told) && text.ends_with("; choose another folder"), "{path}: {text}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn what_is_no_file_is_named_and_what_is_whole_is_not_looked_at() {
        use std::os::unix::fs::symlink;
        let names = ["whole", "link", "folder", "link 2", "link 3", "link 4", "missing"];
        let mut files: Vec<(Option<&str>, u64)> = names.iter().map(|name| (Some(*name), 10)).collect();
        files.extend([(Some("empty"), 0), (Some("empty 2"), 0)]);
        let l = layout(10, &files);
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::create_dir(at("folder")).unwrap();
        std::fs::write(at("empty"), "").unwrap();
        for name in names.iter().filter(|name| name.starts_with("link") || **name == "whole") {
            symlink("/dev/null", at(name)).unwrap();
        }
        let have = AtomicBitfield::new(l.geometry().pieces());
        have.set(0);
        assert_eq!(
            describe_unusable(&l, dir.path(), &have),
            [
                "link is a symbolic link: move it away",
                "folder is a folder: move it away",
                "link 2 is a symbolic link: move it away",
                "2 more are no files either",
                "1 empty file missing: ttui download creates them",
            ]
        );
    }
}
