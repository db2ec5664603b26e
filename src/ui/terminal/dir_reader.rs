//! Reads directories for the UI on a thread of its own: a directory on a sleeping disk or an unreachable network
//! share must not block key input.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};

use crate::ui::text::format::clean_within;
use crate::ui::widgets::path_input::{DirListing, Entry};

/// Maximum number of directory entries shown.
const ENTRIES: usize = 20_000;
/// How long a drop waits for a directory that is still being read.
const PATIENCE: Duration = Duration::from_millis(200);

/// Handle of the thread that reads directories.
pub(crate) struct DirReader {
    /// `None` only during drop.
    asks: Option<Sender<(String, bool)>>,
    listings: Receiver<DirListing>,
    /// Carries no messages: disconnected when the thread has ended.
    ended: Receiver<()>,
    thread: Option<JoinHandle<()>>,
}

impl DirReader {
    /// Starts the thread.
    ///
    /// # Errors
    /// The thread cannot be spawned.
    pub(crate) fn start() -> io::Result<Self> {
        let (asks, asked) = unbounded::<(String, bool)>();
        let (tell, listings) = unbounded();
        let (ending, ended) = bounded(0);
        let thread = thread::Builder::new().name("picker".into()).spawn(move || {
            let _ending: Sender<()> = ending;
            while let Ok(first) = asked.recv() {
                // Only the latest of the waiting requests still matters.
                let (folder, all) = asked.try_iter().last().unwrap_or(first);
                if tell.send(list(&folder, all)).is_err() {
                    return;
                }
            }
        })?;
        Ok(DirReader { asks: Some(asks), listings, ended, thread: Some(thread) })
    }

    /// Requests the listing of a directory: all files with `all`, otherwise only `.torrent` files.
    pub(crate) fn ask(&self, folder: String, all: bool) {
        if let Some(asks) = &self.asks {
            // If the thread is gone there is no answer; the UI does not block on one.
            let _ = asks.send((folder, all));
        }
    }

    /// Returns the channel on which listings arrive.
    pub(crate) fn listings(&self) -> &Receiver<DirListing> {
        &self.listings
    }
}

impl Drop for DirReader {
    fn drop(&mut self) {
        self.asks = None;
        // A read that never returns keeps its thread; process exit must not wait for that thread.
        if self.ended.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
            tracing::warn!("a folder is still being read, and its thread with it");
            return;
        }
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that reads folders ended by a fault in the program");
        }
    }
}

/// Reads a directory: all files with `all`, otherwise only `.torrent` files.
pub(crate) fn list(folder: &str, all: bool) -> DirListing {
    let fits = |name: &std::ffi::OsStr| all || is_torrent_name(name.to_str());
    let path = std::path::absolute(folder).unwrap_or_else(|_| Path::new(folder).to_path_buf());
    // Rebuilding the path from its components drops a trailing slash.
    let path: PathBuf = path.components().collect();
    let above = path.parent().and_then(Path::to_str).map(str::to_owned);
    let shown = clean_within(&path.to_string_lossy(), false, u16::MAX - 1).into_owned();
    let mut listing = DirListing { folder: folder.to_owned(), path: shown, above, ..DirListing::default() };
    let read = match fs::read_dir(&path) {
        Ok(read) => read,
        Err(error) => {
            listing.fault = Some(format!("this folder cannot be read: {error}"));
            return listing;
        }
    };
    for entry in read.flatten() {
        let Ok(kind) = entry.file_type() else { continue };
        let name = entry.file_name();
        // Symlinks are resolved; dangling ones are skipped.
        let (folder, size) = match kind.is_dir() {
            true => (true, 0),
            false if !kind.is_symlink() && !fits(&name) => continue,
            false => match fs::metadata(entry.path()) {
                Ok(meta) if meta.is_dir() => (true, 0),
                Ok(meta) if meta.is_file() && fits(&name) => (false, meta.len()),
                _ => continue,
            },
        };
        match name.into_string() {
            Ok(name) if listing.entries.len() < ENTRIES && !name.chars().any(char::is_control) => {
                listing.entries.push(Entry { name, folder, size });
            }
            _ => listing.left_out += 1,
        }
    }
    listing.entries.sort_by_cached_key(|entry| (!entry.folder, entry.name.to_lowercase(), entry.name.clone()));
    listing
}

fn is_torrent_name(name: Option<&str>) -> bool {
    let end = name.and_then(|name| name.rsplit_once('.')).map(|(_, end)| end);
    end.is_some_and(|end| end.eq_ignore_ascii_case("torrent"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(listing: &DirListing) -> Vec<(&str, bool)> {
        listing.entries.iter().map(|entry| (entry.name.as_str(), entry.folder)).collect()
    }

    #[test]
    fn folders_come_first_and_only_torrents_follow() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b.torrent", "A.TORRENT", "notes.txt", "torrent"] {
            fs::write(dir.path().join(name), b"x").unwrap();
        }
        for name in ["zoo", "Alpha"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        let mut expected = vec![("Alpha", true), ("zoo", true), ("A.TORRENT", false), ("b.torrent", false)];
        let folder = dir.path().to_str().unwrap();
        let listing = list(folder, false);
        assert_eq!(names(&listing), expected);
        assert_eq!(list(folder, true).entries.len(), 6, "all files where they are wanted");
        assert_eq!(listing.above.as_deref(), dir.path().parent().and_then(Path::to_str));
        assert_eq!((listing.folder.as_str(), listing.left_out, &listing.fault), (folder, 0, &None));
        #[cfg(unix)]
        {
            use std::os::unix::ffi::OsStrExt;
            std::os::unix::fs::symlink(dir.path().join("zoo"), dir.path().join("link")).unwrap();
            std::os::unix::fs::symlink(dir.path().join("nowhere"), dir.path().join("dead.torrent")).unwrap();
            fs::write(dir.path().join(std::ffi::OsStr::from_bytes(b"\xff.torrent")), b"x").unwrap_or_default();
            fs::write(dir.path().join("a\x1bb.torrent"), b"x").unwrap();
            expected.insert(1, ("link", true));
            let listing = list(folder, false);
            assert_eq!(names(&listing), expected);
            assert!(listing.left_out >= 1);
        }
        let _ = expected;
    }

    #[test]
    fn the_thread_answers_and_ends() {
        let picker = DirReader::start().unwrap();
        picker.ask("/there/is/no/such/folder".into(), false);
        let listing = picker.listings().recv_timeout(Duration::from_secs(20)).unwrap();
        assert!(listing.entries.is_empty());
        assert!(listing.fault.unwrap().starts_with("this folder cannot be read"));
    }
}
