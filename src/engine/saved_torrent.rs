//! The saved state of a torrent in the session list: settings, totals and what is displayed before it is loaded.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::limits;
use crate::swarm::view::{Priority, RateLimits, State, TorrentView};
use crate::wire::magnet::info_hash;
use crate::wire::message::InfoHash;

/// A torrent in the saved list. Fields missing in a list of an older version get their default.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SavedTorrent {
    /// Info-hash in hex; also names the saved `.torrent` file.
    pub info_hash: String,
    /// Name, displayed before the `.torrent` file is read.
    pub name: String,
    /// Download folder.
    #[serde(with = "folder")]
    pub dir: PathBuf,
    pub paused: bool,
    /// Whether pieces are downloaded in order.
    pub sequential: bool,
    /// Whether super-seeding (BEP 16) is on.
    pub super_seed: bool,
    /// Bandwidth priority.
    #[serde(with = "word")]
    pub rank: Priority,
    /// Download limit of this torrent in bytes per second.
    #[serde(serialize_with = "limit")]
    pub down_limit: Option<u64>,
    /// Upload limit of this torrent in bytes per second.
    #[serde(serialize_with = "limit")]
    pub up_limit: Option<u64>,
    /// Payload bytes downloaded in all sessions.
    #[serde(serialize_with = "number")]
    pub downloaded: u64,
    /// Payload bytes uploaded in all sessions.
    #[serde(serialize_with = "number")]
    pub uploaded: u64,
    /// Time of adding in Unix seconds; 0 if unknown.
    pub added: u64,
    /// Time of completion in Unix seconds.
    pub finished: Option<u64>,
    /// Whether all wanted pieces were on disk when the torrent last ran.
    pub whole: bool,
    /// Size of all files in bytes.
    #[serde(serialize_with = "number")]
    pub size: u64,
    /// Size of the wanted files in bytes.
    #[serde(serialize_with = "number")]
    pub wanted: u64,
    /// Verified bytes of the wanted files.
    #[serde(serialize_with = "number")]
    pub done: u64,
    /// Number of pieces.
    pub pieces: u32,
    /// Number of verified pieces.
    pub have: u32,
    /// Trackers by tier, if the user has changed those of the `.torrent` file.
    pub trackers: Option<Vec<Vec<String>>>,
    /// Web seeds that the user has added.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub web_seeds: Vec<String>,
    /// The magnet link that the torrent was added by; `None` once the metadata is known.
    pub magnet: Option<String>,
    /// Globs that select files, applied once the metadata is known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub select: Vec<String>,
    /// Whether the user selects files before the download starts.
    pub choose: bool,
    /// File priorities by file index, except `Normal`.
    #[serde(with = "files", skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<usize, Priority>,
}

impl SavedTorrent {
    /// Returns the info-hash; `None` if it is not 40 hex digits.
    #[must_use]
    pub fn hash(&self) -> Option<InfoHash> {
        info_hash(&self.info_hash).filter(|_| self.info_hash.len() == 40)
    }

    /// Sets the priorities of files.
    pub fn prioritise(&mut self, files: &[(usize, Priority)]) {
        for (file, priority) in files {
            match priority {
                Priority::Normal => drop(self.files.remove(file)),
                other => drop(self.files.insert(*file, *other)),
            }
        }
    }

    /// Updates name, totals and progress from the view of a running torrent. Returns whether anything changed.
    pub fn update_from_view(&mut self, view: &TorrentView) -> bool {
        let totals = (view.downloaded, view.uploaded);
        let mut changed = self.name != view.name || (self.downloaded, self.uploaded) != totals;
        if self.name != view.name {
            self.name.clone_from(&view.name);
        }
        (self.downloaded, self.uploaded) = totals;
        // During a check and after the torrent has stopped, the view's progress is not valid.
        if matches!(view.state, State::Downloading | State::Seeding | State::Error) {
            let whole = view.state == State::Seeding;
            let now = (whole, view.size, view.wanted, view.done, view.pieces, view.have);
            changed |= (self.whole, self.size, self.wanted, self.done, self.pieces, self.have) != now;
            (self.whole, self.size, self.wanted, self.done, self.pieces, self.have) = now;
        }
        changed
    }

    /// Fills a view with the saved values of a torrent that is not loaded.
    pub fn show(&self, view: &mut TorrentView) {
        view.name.clone_from(&self.name);
        (view.size, view.wanted, view.done) = (self.size, self.wanted, self.done);
        (view.pieces, view.have) = (self.pieces, self.have);
        (view.downloaded, view.uploaded) = (self.downloaded, self.uploaded);
        (view.sequential, view.super_seed) = (self.sequential, self.super_seed);
        view.limits = RateLimits { down: self.down_limit, up: self.up_limit };
    }
}

/// Serializes a byte count, capped at 2^63 - 1, the largest TOML integer.
fn number<S: Serializer>(n: &u64, file: S) -> Result<S::Ok, S::Error> {
    file.serialize_i64(i64::try_from(*n).unwrap_or(i64::MAX))
}

/// Serializes a limit with the same cap.
fn limit<S: Serializer>(limit: &Option<u64>, file: S) -> Result<S::Ok, S::Error> {
    limit.map(|n| n.min(i64::MAX as u64)).serialize(file)
}

/// (De)serializes a path as text, or as bytes if it is not UTF-8: one such path must not block saving the list.
mod folder {
    use super::{Deserialize, Deserializer, PathBuf, Serialize, Serializer};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Text(String),
        Bytes(Vec<u8>),
    }

    pub(super) fn serialize<S: Serializer>(dir: &std::path::Path, to: S) -> Result<S::Ok, S::Error> {
        match dir.to_str() {
            Some(text) => to.serialize_str(text),
            None => dir.as_os_str().as_encoded_bytes().serialize(to),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<PathBuf, D::Error> {
        Ok(match Written::deserialize(from)? {
            Written::Text(text) => text.into(),
            #[cfg(unix)]
            Written::Bytes(bytes) => {
                let name: std::ffi::OsString = std::os::unix::ffi::OsStringExt::from_vec(bytes);
                name.into()
            }
            #[cfg(not(unix))]
            Written::Bytes(bytes) => String::from_utf8_lossy(&bytes).into_owned().into(),
        })
    }
}

/// (De)serializes a priority as a word.
mod word {
    use super::{Deserialize, Deserializer, Priority, Serializer};

    pub(super) const WORDS: [(&str, Priority); 4] =
        [("skip", Priority::Skip), ("low", Priority::Low), ("normal", Priority::Normal), ("high", Priority::High)];

    pub(super) fn serialize<S: Serializer>(priority: &Priority, file: S) -> Result<S::Ok, S::Error> {
        let word = WORDS.iter().find(|(_, is)| is == priority).map_or("normal", |(word, _)| word);
        file.serialize_str(word)
    }

    // An unknown word becomes `Normal`, so that the rest of the list stays readable.
    pub(super) fn deserialize<'de, D: Deserializer<'de>>(file: D) -> Result<Priority, D::Error> {
        let text = String::deserialize(file)?;
        Ok(WORDS.iter().find(|(word, _)| *word == text).map_or(Priority::Normal, |(_, is)| *is))
    }
}

/// (De)serializes file priorities as runs of file indices, one string for each priority: `skip = "0-4 7"`.
mod files {
    use super::{BTreeMap, Deserialize, Deserializer, Priority, Serialize, Serializer, limits, word};

    pub(super) fn serialize<S: Serializer>(files: &BTreeMap<usize, Priority>, to: S) -> Result<S::Ok, S::Error> {
        let mut table = BTreeMap::new();
        for (word, priority) in word::WORDS {
            let runs = runs(files.iter().filter(|(_, is)| **is == priority).map(|(n, _)| *n));
            if !runs.is_empty() {
                table.insert(word, runs);
            }
        }
        table.serialize(to)
    }

    fn runs(all: impl Iterator<Item = usize>) -> String {
        let mut runs: Vec<(usize, usize)> = Vec::new();
        for n in all {
            match runs.last_mut() {
                Some((_, last)) if *last + 1 == n => *last = n,
                _ => runs.push((n, n)),
            }
        }
        let text = |(first, last): &(usize, usize)| match first == last {
            true => first.to_string(),
            false => format!("{first}-{last}"),
        };
        runs.iter().map(text).collect::<Vec<_>>().join(" ")
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<usize, Priority>, D::Error> {
        let table = BTreeMap::<String, String>::deserialize(from)?;
        let mut files = BTreeMap::new();
        for (word, priority) in word::WORDS {
            for run in table.get(word).into_iter().flat_map(|runs| runs.split_whitespace()) {
                let (first, last) = run.split_once('-').unwrap_or((run, run));
                if let (Ok(first), Ok(last)) = (first.parse::<usize>(), last.parse::<usize>()) {
                    files.extend((first..=last.min(limits::FILES)).map(|file| (file, priority)));
                }
            }
        }
        Ok(files)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_folder_that_is_no_text_keeps_nothing_from_being_written() {
        use std::os::unix::ffi::OsStrExt;
        let dir: PathBuf = std::ffi::OsStr::from_bytes(b"/d/caf\xe9").into();
        let kept = SavedTorrent { dir, down_limit: Some(u64::MAX), ..SavedTorrent::default() };
        let back: SavedTorrent = toml::from_str(&toml::to_string(&kept).unwrap()).unwrap();
        assert_eq!(back, SavedTorrent { down_limit: Some(i64::MAX as u64), ..kept });
    }

    #[test]
    fn settings_round_trip() {
        let mut kept = SavedTorrent {
            info_hash: "0f".repeat(20),
            rank: Priority::High,
            down_limit: Some(5),
            downloaded: u64::MAX,
            trackers: Some(vec![vec!["http://a/announce".into()], vec!["udp://b:1".into()]]),
            ..SavedTorrent::default()
        };
        let files = [(1, Priority::Skip), (2, Priority::Skip), (3, Priority::Skip), (9, Priority::Skip)];
        kept.prioritise(&files);
        kept.prioritise(&[(4, Priority::High), (2, Priority::Normal), (5, Priority::Low)]);
        let text = toml::to_string(&kept).unwrap();
        assert!(text.contains("skip = \"1 3 9\"") && text.contains("rank = \"high\""), "{text}");
        let back: SavedTorrent = toml::from_str(&text).unwrap();
        assert_eq!(back, SavedTorrent { downloaded: i64::MAX as u64, ..kept });
        assert_eq!(back.hash(), Some(InfoHash([0x0f; 20])));
    }

    #[test]
    fn a_list_of_an_older_version_is_understood() {
        let text =
            "info_hash = \"aa\"\ndir = \"/d\"\npaused = true\nrank = \"very\"\nfiles = { skip = \"3-1 x 2-2\" }\n";
        let kept: SavedTorrent = toml::from_str(text).unwrap();
        assert_eq!((kept.paused, kept.rank, kept.hash()), (true, Priority::Normal, None));
        assert_eq!(kept.files.into_iter().collect::<Vec<_>>(), [(2, Priority::Skip)]);
    }
}
