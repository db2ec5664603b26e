//! Scans the files for a new torrent, in a deterministic order.

use std::ffi::{OsStr, OsString};
use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::disk::create::error::{CreateError, unreadable};
use crate::disk::torrent_file::kind;
use crate::limits;

/// Files that operating systems create in folders.
const JUNK: [&str; 3] = [".DS_Store", "Thumbs.db", "desktop.ini"];

/// Which files to include.
#[derive(Clone, Debug, Default)]
pub struct ScanOptions {
    /// Whether to include hidden files and files created by operating systems.
    pub hidden: bool,
    /// A file to exclude: the `.torrent` file of an earlier run.
    pub except: Option<PathBuf>,
}

/// A file found by the scan.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ScannedFile {
    /// Path relative to [`FileScan::root`], separated by slashes; may be non-UTF-8.
    pub name: OsString,
    /// Length in bytes.
    pub length: u64,
    /// The mtime.
    pub(super) modified: Option<SystemTime>,
}

/// The result of a scan: the files of a new torrent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileScan {
    /// The folder that `files` are relative to: the torrent's own, or the parent of its only file.
    pub root: PathBuf,
    /// The torrent's name; may be non-UTF-8.
    pub name: OsString,
    /// Whether this is a multi-file torrent (a folder).
    pub folder: bool,
    /// The files, sorted by the bytes of their paths.
    pub files: Vec<ScannedFile>,
    /// Total length of all files, in bytes.
    pub total: u64,
    /// Numbers of files that were skipped.
    pub left_out: SkippedFiles,
}

/// Numbers of files that were skipped, by reason.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SkippedFiles {
    /// Hidden files and folders, and files created by operating systems.
    pub hidden: usize,
    /// Symbolic links.
    pub links: usize,
    /// FIFOs, sockets and devices.
    pub special: usize,
    /// The `.torrent` file of an earlier run.
    pub own: usize,
}

impl SkippedFiles {
    /// Describes the skipped files for the user; `None` if no file was skipped.
    #[must_use]
    pub fn words(&self) -> Option<String> {
        let parts = [
            (self.hidden, "hidden or of the system", "hidden or of the system"),
            (self.links, "symbolic link", "symbolic links"),
            (self.special, "pipe, socket or device", "pipes, sockets or devices"),
            (self.own, ".torrent that is written", ".torrent files that are written"),
        ];
        let parts = parts.into_iter().filter(|(count, ..)| *count > 0);
        let words: Vec<String> =
            parts.map(|(count, one, many)| format!("{count} {}", if count == 1 { one } else { many })).collect();
        (!words.is_empty()).then(|| format!("left out: {}", words.join(", ")))
    }
}

impl FileScan {
    /// Returns the path of the torrent's file or folder.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        match (self.folder, self.files.first()) {
            (false, Some(file)) => self.root.join(&file.name),
            _ => self.root.clone(),
        }
    }

    /// Returns the parent folder of the torrent's file or folder: its download folder.
    #[must_use]
    pub fn download_dir(&self) -> PathBuf {
        let path = self.path();
        path.parent().map_or_else(|| path.clone(), Path::to_path_buf)
    }

    /// Checks that all files still have the length and mtime found by the scan.
    ///
    /// # Errors
    /// [`CreateError::Changed`] for the first file that differs.
    pub fn check(&self) -> Result<(), CreateError> {
        self.files.iter().try_for_each(|file| self.check_file(file))
    }

    fn check_file(&self, file: &ScannedFile) -> Result<(), CreateError> {
        let path = self.root.join(&file.name);
        let how = match fs::symlink_metadata(&path) {
            Err(_) => "has gone",
            Ok(meta) if !meta.is_file() => "has become something else",
            Ok(meta) if meta.len() < file.length => "has become shorter",
            Ok(meta) if meta.len() > file.length => "has become longer",
            Ok(meta) if meta.modified().ok() != file.modified => "was written to",
            Ok(_) => return Ok(()),
        };
        Err(CreateError::Changed { path, how })
    }
}

/// Scans the file or folder `path` for a new torrent.
///
/// Symbolic links below `path` are skipped, because a client that seeds the data does not follow them either; `path`
/// itself may be a link. Returns [`CreateError::Stopped`] if `stop` returns true.
///
/// # Errors
/// If `path` cannot be read, is neither file nor folder, contains no bytes, or has too many files.
pub fn scan_files(path: &Path, choice: &ScanOptions, stop: &dyn Fn() -> bool) -> Result<FileScan, CreateError> {
    let real = real(path).map_err(|error| unreadable(path, &error))?;
    let meta = fs::metadata(&real).map_err(|error| unreadable(path, &error))?;
    let name = real.file_name().ok_or_else(|| CreateError::NoName(real.clone()))?;
    let name = fit(name, &real)?.to_owned();
    if !meta.is_dir() && !meta.is_file() {
        return Err(CreateError::NotAFile { path: path.to_owned(), what: kind(meta.file_type()) });
    }
    let mut found = FileScan {
        root: real.clone(),
        name: name.clone(),
        folder: meta.is_dir(),
        files: Vec::new(),
        total: 0,
        left_out: SkippedFiles::default(),
    };
    if meta.is_dir() {
        walk(&mut found, choice, stop)?;
        found.files.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    } else {
        found.root = real.parent().map_or_else(PathBuf::new, Path::to_path_buf);
        take(&mut found, name, &meta)?;
    }
    if found.total == 0 {
        let why = match (found.files.len(), found.left_out.words()) {
            (0, Some(words)) => format!(" ({words})"),
            (0, None) if found.folder => ": it is empty".to_owned(),
            (_, Some(words)) => format!(": all files are empty ({words})"),
            (_, None) => ": all that is there is empty".to_owned(),
        };
        return Err(CreateError::Nothing { path: path.to_owned(), why });
    }
    Ok(found)
}

/// Returns the real path of `path`, with all symbolic links resolved (on Windows the absolute path).
///
/// # Errors
/// The I/O error of the system if the path does not exist or cannot be accessed.
pub fn real(path: &Path) -> io::Result<PathBuf> {
    if cfg!(windows) {
        // `canonicalize` returns verbatim paths (`\\?\`) on Windows, which few programs understand.
        return fs::metadata(path).and_then(|_| std::path::absolute(path));
    }
    fs::canonicalize(path)
}

/// Adds all files below a folder.
fn walk(found: &mut FileScan, choice: &ScanOptions, stop: &dyn Fn() -> bool) -> Result<(), CreateError> {
    let too_much = |found: &FileScan, what: String| CreateError::TooMuch { path: found.root.clone(), what };
    let mut folders = vec![(found.root.clone(), OsString::new(), 1)];
    while let Some((folder, before, depth)) = folders.pop() {
        if depth > limits::PATH_DEPTH {
            return Err(too_much(found, format!("{} is too deep below it", folder.display())));
        }
        for entry in fs::read_dir(&folder).map_err(|error| unreadable(&folder, &error))? {
            if stop() {
                return Err(CreateError::Stopped);
            }
            let entry = entry.map_err(|error| unreadable(&folder, &error))?;
            let path = entry.path();
            let meta = match fs::symlink_metadata(&path) {
                Ok(meta) => meta,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    return Err(CreateError::Changed { path, how: "has gone" });
                }
                Err(error) => return Err(unreadable(&path, &error)),
            };
            let name = entry.file_name();
            if !choice.hidden && is_hidden(&name.to_string_lossy()) {
                found.left_out.hidden += 1;
            } else if meta.is_symlink() {
                found.left_out.links += 1;
            } else if choice.except.as_ref() == Some(&path) {
                found.left_out.own += 1;
            } else if meta.is_dir() || meta.is_file() {
                let mut whole = before.clone();
                whole.push(fit(&name, &path)?);
                let mut name = whole;
                if meta.is_dir() {
                    name.push("/");
                    folders.push((path, name, depth + 1));
                } else if found.files.len() >= limits::FILES {
                    return Err(too_much(found, format!("it holds more than {} files", limits::FILES)));
                } else {
                    readable(&path)?;
                    take(found, name, &meta)?;
                }
            } else {
                found.left_out.special += 1;
            }
        }
    }
    Ok(())
}

/// Checks read permission before hours of hashing rather than after them.
fn readable(path: &Path) -> Result<(), CreateError> {
    #[cfg(unix)]
    rustix::fs::access(path, rustix::fs::Access::READ_OK).map_err(|error| unreadable(path, &error.into()))?;
    #[cfg(not(unix))]
    std::fs::File::open(path).map_err(|error| unreadable(path, &error))?;
    Ok(())
}

/// Returns a name if a torrent can contain it: any name on Unix, only Unicode names elsewhere.
fn fit<'a>(name: &'a OsStr, path: &Path) -> Result<&'a OsStr, CreateError> {
    match cfg!(unix) || name.to_str().is_some() {
        true => Ok(name),
        false => Err(CreateError::Name { path: path.to_owned(), why: "it is not UTF-8".to_owned() }),
    }
}

fn take(found: &mut FileScan, name: OsString, meta: &Metadata) -> Result<(), CreateError> {
    let total = found.total.checked_add(meta.len()).filter(|total| i64::try_from(*total).is_ok());
    found.total = total.ok_or_else(|| CreateError::TooMuch {
        path: found.root.clone(),
        what: "its bytes cannot be counted".to_owned(),
    })?;
    found.files.push(ScannedFile { name, length: meta.len(), modified: meta.modified().ok() });
    Ok(())
}

fn is_hidden(name: &str) -> bool {
    name.starts_with('.') || JUNK.iter().any(|junk| junk.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(dir: &Path, choice: &ScanOptions) -> Result<FileScan, CreateError> {
        scan_files(dir, choice, &|| false)
    }

    fn names(survey: &FileScan) -> Vec<&str> {
        survey.files.iter().map(|file| file.name.to_str().unwrap()).collect()
    }

    #[test]
    fn files_are_found_in_one_order_and_the_rest_is_counted() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("album");
        for path in ["b/2", "b/10", "b.txt", "a/x", ".hidden", ".git/config", "a/Thumbs.db", "a/empty"] {
            let path = dir.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, if path.ends_with("empty") { &b""[..] } else { b"x" }).unwrap();
        }
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink("/", dir.join("out")).unwrap();
            std::os::unix::fs::symlink("b.txt", dir.join("in")).unwrap();
        }
        let all = found(&dir, &ScanOptions::default()).unwrap();
        assert_eq!(names(&all), ["a/empty", "a/x", "b.txt", "b/10", "b/2"]);
        assert_eq!((all.total, all.name.to_str(), all.left_out.hidden), (4, Some("album"), 3));
        #[cfg(unix)]
        assert_eq!(all.left_out.words().unwrap(), "left out: 3 hidden or of the system, 2 symbolic links");
        let real = fs::canonicalize(&dir).unwrap();
        let choice = ScanOptions { hidden: true, except: Some(real.join("b.txt")) };
        let most = found(&dir, &choice).unwrap();
        assert_eq!(names(&most), [".git/config", ".hidden", "a/Thumbs.db", "a/empty", "a/x", "b/10", "b/2"]);
        assert_eq!(most.left_out.own, 1);
        assert!(all.check().is_ok());
        fs::write(dir.join("b/2"), b"longer").unwrap();
        assert!(all.check().unwrap_err().to_string().contains("2 has become longer"));
    }

    #[test]
    fn what_cannot_be_shared_is_told_in_one_sentence() {
        let dir = tempfile::tempdir().unwrap();
        let says = |path: &Path| found(path, &ScanOptions::default()).unwrap_err().to_string();
        assert!(says(dir.path()).contains("it is empty"));
        fs::write(dir.path().join(".x"), b"x").unwrap();
        assert!(says(dir.path()).contains("1 hidden"));
        fs::write(dir.path().join("y"), b"").unwrap();
        assert!(says(dir.path()).contains("all files are empty"));
        assert!(says(&dir.path().join("y")).contains("all that is there is empty"));
        assert!(says(&dir.path().join("z")).starts_with("cannot read"));
        #[cfg(unix)]
        {
            let _bound = std::os::unix::net::UnixListener::bind(dir.path().join("s")).unwrap();
            assert!(says(&dir.path().join("s")).contains("a socket"));
            assert!(says(Path::new("/dev/null")).contains("a device"));
            assert!(says(Path::new("/")).contains("no name"));
        }
        assert!(matches!(scan_files(dir.path(), &ScanOptions::default(), &|| true), Err(CreateError::Stopped)));
    }
}
