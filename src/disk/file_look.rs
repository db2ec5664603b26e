//! What is at the path of a file, as the hasher sees it: symbolic links are not followed and only regular files count.

use std::path::Path;

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
/// If a file or a device is at its path, or at that of a folder above it.
pub(crate) fn check_folder(dir: &Path) -> Result<(), DiskFault> {
    let there = dir.ancestors().find_map(|dir| Some((dir, std::fs::metadata(dir).ok()?)));
    match there.filter(|(_, meta)| !meta.is_dir()) {
        Some((at, meta)) => {
            let what = if meta.is_file() { "a file" } else { kind(meta.file_type()) };
            Err(error::other(format!("{} is {what}, not a folder: choose another folder", at.display())))
        }
        None => Ok(()),
    }
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
        std::os::unix::fs::symlink(dir.path(), at("link")).unwrap();
        for (path, refused) in [
            (at("file"), Some("is a file, not a folder")),
            (at("file/below/it"), Some("is a file, not a folder")),
            ("/dev/null".into(), Some("/dev/null is a device, not a folder")),
            (at("none/at/all"), None),
            (at("link"), None),
            (at("link/x"), None),
        ] {
            let text = check_folder(&path).err().map(|fault| fault.text);
            assert_eq!(text.is_some(), refused.is_some(), "{}: {text:?}", path.display());
            assert!(text.is_none_or(|text| refused.is_some_and(|words| text.contains(words))), "{}", path.display());
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
