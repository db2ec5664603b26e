//! The list of torrents from one session to the next: each `.torrent` as it was received, and one file that says what
//! is to become of them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::kept::Kept;
use crate::disk::atomic;
use crate::disk::open::read_at_most;
use crate::limits::MIB;
use crate::wire::message::InfoHash;

/// The longest list that is read, in bytes.
const LIST: u64 = 16 * MIB as u64;

#[derive(Default, Serialize, Deserialize)]
struct File {
    #[serde(default)]
    torrent: Vec<Kept>,
}

/// Where the list is kept. Clones share it.
#[derive(Clone, Debug)]
pub struct Keep {
    folder: PathBuf,
    /// Lists taken so far, and the newest one that was written: writers may overtake each other.
    turns: Arc<Mutex<(u64, u64)>>,
}

/// A list to be written.
pub struct List {
    keep: Keep,
    turn: u64,
    torrents: Vec<Kept>,
}

impl Keep {
    /// In this state folder.
    #[must_use]
    pub fn new(state_dir: &Path) -> Self {
        Keep { folder: state_dir.to_path_buf(), turns: Arc::default() }
    }

    /// Where a `.torrent` is kept as it was received.
    #[must_use]
    pub fn torrent_path(&self, info_hash: &str) -> PathBuf {
        self.folder.join("torrents").join(format!("{info_hash}.torrent"))
    }

    /// Keeps a `.torrent` as it was received.
    ///
    /// # Errors
    /// One sentence, when it cannot be written.
    pub fn torrent(&self, info_hash: InfoHash, bytes: &[u8]) -> Result<(), String> {
        let path = self.torrent_path(&info_hash.to_string());
        if path.exists() {
            return Ok(());
        }
        let folder = self.folder.join("torrents");
        atomic::make_private(&folder)
            .and_then(|()| atomic::replace(&path, &path.with_extension("new"), None, bytes, true))
            .map_err(|why| {
                format!("it will be missing in the next session: {} cannot be written: {why}", path.display())
            })
    }

    /// Lets a `.torrent` go.
    pub fn forget(&self, info_hash: InfoHash) {
        // A file that stays behind is not in the list, and does no harm.
        let _ = atomic::remove(&self.torrent_path(&info_hash.to_string()));
    }

    /// Takes the list down; to be written on another thread.
    #[must_use]
    pub fn list(&self, torrents: Vec<Kept>) -> List {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        turns.0 += 1;
        List { keep: self.clone(), turn: turns.0, torrents }
    }

    /// The torrents of the last session in their order, and what a person should hear of them.
    #[must_use]
    pub fn load(&self) -> (Vec<Kept>, Vec<String>) {
        let mut notes = Vec::new();
        let list = ["session.toml", "session-before.toml"].into_iter().find_map(|name| {
            let path = self.folder.join(name);
            if !path.exists() {
                return None;
            }
            let text = read_at_most(&path, LIST).map_err(|why| why.to_string());
            let parsed = text.and_then(|bytes| decode_list(&bytes));
            parsed.map_err(|why| notes.push(self.set_aside(&path, &why))).ok()
        });
        let mut seen = BTreeSet::new();
        let new = |kept: &Kept| kept.hash().is_some_and(|hash| seen.insert(hash));
        (list.unwrap_or_default().into_iter().filter(new).collect(), notes)
    }

    fn set_aside(&self, path: &Path, why: &str) -> String {
        let aside = path.with_extension(format!("bad-{:08x}", fastrand::u32(..)));
        let moved = fs::rename(path, &aside);
        let to = if moved.is_ok() { format!("; it is now {}", aside.display()) } else { String::new() };
        format!("the list of torrents {} cannot be used, the one before it is tried: {why}{to}", path.display())
    }
}

/// Reads the list of torrents, in TOML.
///
/// # Errors
/// What is wrong with it.
pub fn decode_list(bytes: &[u8]) -> Result<Vec<Kept>, String> {
    let text = str::from_utf8(bytes).map_err(|why| why.to_string())?;
    toml::from_str::<File>(text).map(|file| file.torrent).map_err(|why| why.message().to_owned())
}

/// The list of torrents in TOML.
///
/// # Errors
/// When a value cannot be written in TOML.
pub fn encode_list(torrents: Vec<Kept>) -> Result<String, String> {
    toml::to_string(&File { torrent: torrents }).map_err(|why| why.to_string())
}

impl List {
    /// Writes the list, unless a newer one has been written.
    ///
    /// # Errors
    /// One sentence, when it cannot be written.
    pub fn write(self) -> Result<(), String> {
        let mut turns = self.keep.turns.lock().unwrap_or_else(PoisonError::into_inner);
        if turns.1 >= self.turn {
            return Ok(());
        }
        let path = self.keep.folder.join("session.toml");
        let fail = |why: String| format!("the list of torrents {} cannot be written: {why}", path.display());
        let text = encode_list(self.torrents).map_err(fail)?;
        let before = self.keep.folder.join("session-before.toml");
        atomic::make_private(&self.keep.folder)
            .and_then(|()| atomic::replace(&path, &path.with_extension("new"), Some(&before), text.as_bytes(), true))
            .map_err(|why| fail(why.to_string()))?;
        turns.1 = self.turn;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(n: u8) -> Kept {
        let info_hash = format!("{n:02x}").repeat(20);
        Kept { info_hash, dir: "/down load".into(), paused: n == 2, ..Kept::default() }
    }

    #[test]
    fn what_was_written_is_there_in_the_next_session() {
        let dir = tempfile::tempdir().unwrap();
        let keep = Keep::new(dir.path());
        assert!(keep.load().0.is_empty());
        let old = keep.list(vec![kept(1)]);
        keep.list(vec![kept(1), kept(2)]).write().unwrap();
        old.write().unwrap();
        let (all, notes) = Keep::new(dir.path()).load();
        assert_eq!(all, [kept(1), kept(2)]);
        assert!(notes.is_empty());
    }

    #[test]
    fn a_damaged_list_is_set_aside_and_the_one_before_is_used() {
        let dir = tempfile::tempdir().unwrap();
        let keep = Keep::new(dir.path());
        keep.list(vec![kept(1)]).write().unwrap();
        keep.list(vec![kept(1), kept(2)]).write().unwrap();
        fs::write(dir.path().join("session.toml"), b"\xff\x00 nonsense").unwrap();
        let (all, notes) = keep.load();
        assert_eq!(all, [kept(1)]);
        assert!(notes[0].contains("cannot be used"), "{notes:?}");
        assert!(!dir.path().join("session.toml").exists());
    }
}
