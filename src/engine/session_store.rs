//! Persistence of the session: `session.toml` with the torrent list, and the `.torrent` files as received.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::error::EngineError;
use super::saved_torrent::SavedTorrent;
use crate::disk::atomic_file;
use crate::disk::torrent_file::{OpenError, read_at_most};
use crate::limits::MIB;
use crate::wire::message::InfoHash;

/// Maximum size of a list that is read, in bytes: hundreds of thousands of torrents.
const LIST: u64 = 256 * MIB as u64;
/// Number of torrents of a long list that are shown before all of it is read: more than a screen has rows.
const FIRST: usize = 200;
/// Number of torrents of a list that takes too long to be read before anything is shown.
const LONG: usize = 2000;
/// The line that begins a torrent of the list.
const BEGINS: &str = "\n[[torrent]]\n";

#[derive(Default, Serialize, Deserialize)]
struct File {
    #[serde(default)]
    torrent: Vec<SavedTorrent>,
}

/// The state folder of a session. Clones share the write order.
#[derive(Clone, Debug)]
pub struct SessionStore {
    folder: PathBuf,
    /// Number of the latest snapshot taken and of the latest one written; writers may overtake each other.
    turns: Arc<Mutex<(u64, u64)>>,
}

/// A torrent list to be written, possibly on another thread.
pub struct SessionSnapshot {
    keep: SessionStore,
    turn: u64,
    torrents: Vec<SavedTorrent>,
}

impl SessionStore {
    /// Creates a store in this state folder.
    #[must_use]
    pub fn new(state_dir: &Path) -> Self {
        SessionStore { folder: state_dir.to_path_buf(), turns: Arc::default() }
    }

    /// Returns the path of a saved `.torrent` file; `info_hash` is in hex.
    #[must_use]
    pub fn torrent_path(&self, info_hash: &str) -> PathBuf {
        self.folder.join("torrents").join(format!("{info_hash}.torrent"))
    }

    /// Saves a `.torrent` file as received, unless it is saved already.
    ///
    /// # Errors
    /// Fails if the file cannot be written.
    pub fn save_torrent(&self, info_hash: InfoHash, bytes: &[u8]) -> Result<(), EngineError> {
        let path = self.torrent_path(&info_hash.to_string());
        if path.exists() {
            return Ok(());
        }
        let folder = self.folder.join("torrents");
        let saved = atomic_file::make_private(&folder)
            .and_then(|()| atomic_file::replace(&path, &path.with_extension("new"), None, bytes, true));
        match saved {
            // Another task saved the same file meanwhile.
            Err(_) if path.exists() => Ok(()),
            saved => saved.map_err(|source| EngineError::SaveTorrent { path, source }),
        }
    }

    /// Deletes a saved `.torrent` file.
    pub fn forget(&self, info_hash: InfoHash) {
        // A leftover file is harmless: it is not in the list.
        let _ = atomic_file::remove(&self.torrent_path(&info_hash.to_string()));
    }

    /// Takes a snapshot of the torrent list, to be written on another thread.
    #[must_use]
    pub fn list(&self, torrents: Vec<SavedTorrent>) -> SessionSnapshot {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        turns.0 += 1;
        SessionSnapshot { keep: self.clone(), turn: turns.0, torrents }
    }

    /// Loads the first torrents of a long list, to be shown at once. Empty for a list that is short or damaged.
    #[must_use]
    pub fn load_first(&self) -> Vec<SavedTorrent> {
        let bytes = read_at_most(&self.folder.join("session.toml"), LIST).unwrap_or_default();
        let text = str::from_utf8(&bytes).unwrap_or_default();
        let mut begins = text.match_indices(BEGINS).map(|(at, _)| at);
        let first = begins.nth(FIRST).map(|at| &text[..at]).filter(|_| begins.nth(LONG - FIRST).is_some());
        first.and_then(|first| decode_list(first.as_bytes()).ok()).unwrap_or_default()
    }

    /// Loads the torrent list in queue order, with notices for the user.
    ///
    /// An unreadable `session.toml` is renamed and `session-before.toml` is used instead.
    #[must_use]
    pub fn load(&self) -> (Vec<SavedTorrent>, Vec<String>) {
        let mut notes = Vec::new();
        let list = ["session.toml", "session-before.toml"].into_iter().find_map(|name| {
            let path = self.folder.join(name);
            if !path.exists() {
                return None;
            }
            let parsed = read_at_most(&path, LIST).map_err(ListError::from).and_then(|bytes| decode_list(&bytes));
            parsed.map_err(|why| notes.push(self.set_aside(&path, &why))).ok()
        });
        let mut seen = BTreeSet::new();
        let new = |kept: &SavedTorrent| kept.hash().is_some_and(|hash| seen.insert(hash));
        (list.unwrap_or_default().into_iter().filter(new).collect(), notes)
    }

    fn set_aside(&self, path: &Path, why: &ListError) -> String {
        let aside = path.with_extension(format!("bad-{:08x}", fastrand::u32(..)));
        let moved = fs::rename(path, &aside);
        let to = if moved.is_ok() { format!("; it is now {}", aside.display()) } else { String::new() };
        format!("the list of torrents {} cannot be used, the one before it is tried: {why}{to}", path.display())
    }
}

/// Why a list of torrents cannot be read.
#[derive(Debug, Error)]
pub enum ListError {
    #[error(transparent)]
    Read(#[from] OpenError),
    #[error(transparent)]
    Text(#[from] std::str::Utf8Error),
    #[error("{}", .0.message())]
    Toml(#[from] toml::de::Error),
}

/// Parses the torrent list from TOML.
///
/// # Errors
/// Fails if the text is no list of torrents.
pub fn decode_list(bytes: &[u8]) -> Result<Vec<SavedTorrent>, ListError> {
    let text = str::from_utf8(bytes)?;
    Ok(toml::from_str::<File>(text)?.torrent)
}

/// Serializes the torrent list to TOML.
///
/// # Errors
/// Fails if a value cannot be represented in TOML.
pub fn encode_list(torrents: Vec<SavedTorrent>) -> Result<String, toml::ser::Error> {
    toml::to_string(&File { torrent: torrents })
}

impl SessionSnapshot {
    /// Writes the list, unless a newer snapshot has been written.
    ///
    /// # Errors
    /// Fails if the file cannot be written.
    pub fn write(self) -> Result<(), EngineError> {
        let mut turns = self.keep.turns.lock().unwrap_or_else(PoisonError::into_inner);
        if turns.1 >= self.turn {
            return Ok(());
        }
        let path = self.keep.folder.join("session.toml");
        let fail = |why| EngineError::SaveList { path: path.clone(), why };
        let text = encode_list(self.torrents).map_err(|why| fail(why.into()))?;
        let before = self.keep.folder.join("session-before.toml");
        atomic_file::make_private(&self.keep.folder)
            .and_then(|()| {
                atomic_file::replace(&path, &path.with_extension("new"), Some(&before), text.as_bytes(), true)
            })
            .map_err(|why| fail(why.into()))?;
        turns.1 = self.turn;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(n: u8) -> SavedTorrent {
        let info_hash = format!("{n:02x}").repeat(20);
        SavedTorrent { info_hash, dir: "/down load".into(), paused: n == 2, ..SavedTorrent::default() }
    }

    #[test]
    fn what_was_written_is_there_in_the_next_session() {
        let dir = tempfile::tempdir().unwrap();
        let keep = SessionStore::new(dir.path());
        assert!(keep.load().0.is_empty());
        let old = keep.list(vec![kept(1)]);
        keep.list(vec![kept(1), kept(2)]).write().unwrap();
        old.write().unwrap();
        let (all, notes) = SessionStore::new(dir.path()).load();
        assert_eq!(all, [kept(1), kept(2)]);
        assert!(notes.is_empty());
    }

    #[test]
    fn the_beginning_of_a_long_list_is_read_first() {
        let dir = tempfile::tempdir().unwrap();
        let keep = SessionStore::new(dir.path());
        let many =
            |n: usize| (0..n).map(|n| SavedTorrent { info_hash: format!("{n:040x}"), ..kept(1) }).collect::<Vec<_>>();
        assert!(keep.load_first().is_empty());
        keep.list(many(LONG)).write().unwrap();
        assert!(keep.load_first().is_empty(), "it is read at once");
        keep.list(many(LONG + 10)).write().unwrap();
        let first = keep.load_first();
        assert!(first.len() >= FIRST && first.len() < 2 * FIRST);
        assert_eq!(first[..], keep.load().0[..first.len()]);
        fs::write(dir.path().join("session.toml"), b"\xff".repeat(100)).unwrap();
        assert!(keep.load_first().is_empty());
    }

    #[test]
    fn a_damaged_list_is_set_aside_and_the_one_before_is_used() {
        let dir = tempfile::tempdir().unwrap();
        let keep = SessionStore::new(dir.path());
        keep.list(vec![kept(1)]).write().unwrap();
        keep.list(vec![kept(1), kept(2)]).write().unwrap();
        fs::write(dir.path().join("session.toml"), b"\xff\x00 nonsense").unwrap();
        let (all, notes) = keep.load();
        assert_eq!(all, [kept(1)]);
        assert!(notes[0].contains("cannot be used"), "{notes:?}");
        assert!(!dir.path().join("session.toml").exists());
    }
}
