//! What the list of torrents says of each: what the user wants of it, and what is known of it before it is read.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::limits;
use crate::swarm::view::{Priority, State, TorrentView};
use crate::wire::magnet::info_hash;
use crate::wire::message::InfoHash;

/// A torrent of the list. What a list of an older version does not say is as if nothing had been wished.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Kept {
    /// Its info-hash in hex: names its `.torrent`.
    pub info_hash: String,
    /// Its name, so that it can be shown before its `.torrent` is read.
    pub name: String,
    /// Its download folder.
    #[serde(with = "folder")]
    pub dir: PathBuf,
    /// Whether it is paused.
    pub paused: bool,
    /// Whether its pieces are fetched in order.
    pub sequential: bool,
    /// Whether it offers one piece at a time to each peer.
    pub super_seed: bool,
    /// How large its share of what all have together is.
    #[serde(with = "word")]
    pub rank: Priority,
    /// Its own limit in, bytes a second.
    #[serde(serialize_with = "limit")]
    pub down_limit: Option<u64>,
    /// Its own limit out, bytes a second.
    #[serde(serialize_with = "limit")]
    pub up_limit: Option<u64>,
    /// Payload bytes received ever.
    #[serde(serialize_with = "number")]
    pub downloaded: u64,
    /// Payload bytes sent ever.
    #[serde(serialize_with = "number")]
    pub uploaded: u64,
    /// When it was added, seconds since 1970; 0 where that is not known.
    pub added: u64,
    /// When it was completed, seconds since 1970.
    pub finished: Option<u64>,
    /// Whether everything wanted was there when it was last seen.
    pub whole: bool,
    /// Bytes of all its files.
    #[serde(serialize_with = "number")]
    pub size: u64,
    /// Bytes of the files that are wanted.
    #[serde(serialize_with = "number")]
    pub wanted: u64,
    /// Bytes of verified pieces among them.
    #[serde(serialize_with = "number")]
    pub done: u64,
    /// Its pieces.
    pub pieces: u32,
    /// Those of them that are verified.
    pub have: u32,
    /// Its trackers by tier, where the user has changed what its `.torrent` says.
    pub trackers: Option<Vec<Vec<String>>>,
    /// Web seeds that the user has added to those of its `.torrent`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub web_seeds: Vec<String>,
    /// The magnet link that it was added by, until its metadata are here.
    pub magnet: Option<String>,
    /// Only files that match one of these globs are wanted; heeded when it is known which files there are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub select: Vec<String>,
    /// The user wants to choose among its files before any of them is fetched.
    pub choose: bool,
    /// How much each file is wanted, by its index, where that is not `Normal`.
    #[serde(with = "files", skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<usize, Priority>,
}

impl Kept {
    /// Its info-hash; `None` if the list says none that could be one.
    #[must_use]
    pub fn hash(&self) -> Option<InfoHash> {
        info_hash(&self.info_hash).filter(|_| self.info_hash.len() == 40)
    }

    /// Takes down how much files are wanted.
    pub fn prioritise(&mut self, files: &[(usize, Priority)]) {
        for (file, priority) in files {
            match priority {
                Priority::Normal => drop(self.files.remove(file)),
                other => drop(self.files.insert(*file, *other)),
            }
        }
    }

    /// Takes down what a person sees of it while it runs.
    pub fn note(&mut self, view: &TorrentView) {
        self.name.clone_from(&view.name);
        (self.downloaded, self.uploaded) = (view.downloaded, view.uploaded);
        // While it is being checked, and after its thread was stopped, nobody knows what is there.
        if matches!(view.state, State::Downloading | State::Seeding | State::Error) {
            self.whole = view.state == State::Seeding;
            (self.size, self.wanted, self.done) = (view.size, view.wanted, view.done);
            (self.pieces, self.have) = (view.pieces, view.have);
        }
    }

    /// Shows what is known of it before anything of it is read.
    pub fn show(&self, view: &mut TorrentView) {
        view.name.clone_from(&self.name);
        (view.size, view.wanted, view.done) = (self.size, self.wanted, self.done);
        (view.pieces, view.have) = (self.pieces, self.have);
        (view.downloaded, view.uploaded) = (self.downloaded, self.uploaded);
        (view.sequential, view.super_seed) = (self.sequential, self.super_seed);
        view.limits = (self.down_limit, self.up_limit);
    }
}

/// Writes a number of bytes; TOML has none above 2^63.
fn number<S: Serializer>(n: &u64, file: S) -> Result<S::Ok, S::Error> {
    file.serialize_i64(i64::try_from(*n).unwrap_or(i64::MAX))
}

/// Writes a limit, in the same bounds.
fn limit<S: Serializer>(limit: &Option<u64>, file: S) -> Result<S::Ok, S::Error> {
    limit.map(|n| n.min(i64::MAX as u64)).serialize(file)
}

/// A folder as text, or as its bytes where it is none: one such folder must not keep the list from being written.
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

/// A priority as one word.
mod word {
    use super::{Deserialize, Deserializer, Priority, Serializer};

    pub(super) const WORDS: [(&str, Priority); 4] =
        [("skip", Priority::Skip), ("low", Priority::Low), ("normal", Priority::Normal), ("high", Priority::High)];

    pub(super) fn serialize<S: Serializer>(priority: &Priority, file: S) -> Result<S::Ok, S::Error> {
        let word = WORDS.iter().find(|(_, is)| is == priority).map_or("normal", |(word, _)| word);
        file.serialize_str(word)
    }

    /// A word that is not known stands for nothing special: the rest of the list is worth more than it.
    pub(super) fn deserialize<'de, D: Deserializer<'de>>(file: D) -> Result<Priority, D::Error> {
        let text = String::deserialize(file)?;
        Ok(WORDS.iter().find(|(word, _)| *word == text).map_or(Priority::Normal, |(_, is)| *is))
    }
}

/// Priorities of files as runs of their indices, one text for each priority: `skip = "0-4 7"`.
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
        let kept = Kept { dir, down_limit: Some(u64::MAX), ..Kept::default() };
        let back: Kept = toml::from_str(&toml::to_string(&kept).unwrap()).unwrap();
        assert_eq!(back, Kept { down_limit: Some(i64::MAX as u64), ..kept });
    }

    #[test]
    fn what_was_wished_comes_back() {
        let mut kept = Kept {
            info_hash: "0f".repeat(20),
            rank: Priority::High,
            down_limit: Some(5),
            downloaded: u64::MAX,
            trackers: Some(vec![vec!["http://a/announce".into()], vec!["udp://b:1".into()]]),
            ..Kept::default()
        };
        let files = [(1, Priority::Skip), (2, Priority::Skip), (3, Priority::Skip), (9, Priority::Skip)];
        kept.prioritise(&files);
        kept.prioritise(&[(4, Priority::High), (2, Priority::Normal), (5, Priority::Low)]);
        let text = toml::to_string(&kept).unwrap();
        assert!(text.contains("skip = \"1 3 9\"") && text.contains("rank = \"high\""), "{text}");
        let back: Kept = toml::from_str(&text).unwrap();
        assert_eq!(back, Kept { downloaded: i64::MAX as u64, ..kept });
        assert_eq!(back.hash(), Some(InfoHash([0x0f; 20])));
    }

    #[test]
    fn a_list_of_an_older_version_is_understood() {
        let text =
            "info_hash = \"aa\"\ndir = \"/d\"\npaused = true\nrank = \"very\"\nfiles = { skip = \"3-1 x 2-2\" }\n";
        let kept: Kept = toml::from_str(text).unwrap();
        assert_eq!((kept.paused, kept.rank, kept.hash()), (true, Priority::Normal, None));
        assert_eq!(kept.files.into_iter().collect::<Vec<_>>(), [(2, Priority::Skip)]);
    }
}
