//! Bencodes a new `.torrent` file. File names are written as raw bytes, without conversion to UTF-8.
//!
//! Two encoders produce the same bytes. `lava_torrent` encodes a torrent whose names are all UTF-8. It stores names as
//! strings and would replace invalid UTF-8, so that the files would no longer match the names in the torrent; such a
//! torrent is encoded by this module. So is one with very many files, because `lava_torrent` needs half a kilobyte of
//! memory per file.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use lava_torrent::bencode::BencodeElem;
use lava_torrent::torrent::v1::{File, Torrent};

use crate::wire::bencode::OwnedValue;

/// Value of the key `created by`.
pub(super) const MAKER: &str = concat!("ttui/", env!("CARGO_PKG_VERSION"));

/// Metadata of a new torrent, chosen by its creator.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct CreateOptions {
    /// Tracker URLs by tier (BEP 12).
    pub trackers: Vec<Vec<String>>,
    /// Web seed URLs (BEP 19).
    pub web_seeds: Vec<String>,
    /// Whether the torrent is private (BEP 27).
    pub private: bool,
    pub comment: Option<String>,
    /// The key `source` of the info dictionary; gives the same data another info-hash.
    pub source: Option<String>,
    /// The key `creation date`, in seconds since 1970.
    pub date: Option<i64>,
}

/// The content of a `.torrent` file.
#[derive(Clone, Debug, Default)]
pub struct TorrentBuilder {
    /// Name of the file or folder; may be non-UTF-8.
    pub name: OsString,
    /// Whether this is a multi-file torrent (a folder).
    pub folder: bool,
    /// The files in hash order: path below the folder, length in bytes.
    pub files: Vec<(PathBuf, u64)>,
    /// Piece length, in bytes.
    pub piece_length: u32,
    /// The SHA-1 of each piece, as returned by [`PieceHasher::finish`](super::PieceHasher::finish).
    pub hashes: Vec<Vec<u8>>,
    pub terms: CreateOptions,
}

impl TorrentBuilder {
    /// Bencodes the `.torrent` file.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }
}

fn text(out: &mut Vec<u8>, text: &[u8]) {
    out.extend_from_slice(format!("{}:", text.len()).as_bytes());
    out.extend_from_slice(text);
}

fn entry(out: &mut Vec<u8>, key: &str, value: &OwnedValue) {
    text(out, key.as_bytes());
    out.extend_from_slice(&value.encode());
}

fn integer(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// Returns the components of a path below the torrent's folder.
///
/// A name that would be read back differently is written unchanged; it is detected when the `.torrent` is parsed.
fn components(path: &Path) -> impl Iterator<Item = &[u8]> {
    path.iter().map(OsStr::as_encoded_bytes)
}

/// Maximum number of files of a torrent that `lava_torrent` encodes.
const LAVA_FILES: usize = 100_000;

/// Bencodes a `.torrent` file, with the encoder that supports its names and number of files.
fn encode(draft: &TorrentBuilder) -> Vec<u8> {
    match lava(draft).map(Torrent::encode) {
        Some(Ok(bytes)) => bytes,
        Some(Err(_)) | None => by_bytes(draft),
    }
}

/// Converts to the type of `lava_torrent`; `None` if a name is not UTF-8 or there are too many files.
fn lava(draft: &TorrentBuilder) -> Option<Torrent> {
    let name = draft.name.to_str().filter(|_| draft.files.len() <= LAVA_FILES)?.to_owned();
    let file = |(path, length): &(PathBuf, u64)| {
        path.to_str().map(|_| File { length: integer(*length), path: path.clone(), extra_fields: None })
    };
    let files = match draft.folder {
        true => Some(draft.files.iter().map(file).collect::<Option<Vec<_>>>()?),
        false => None,
    };
    let CreateOptions { trackers, web_seeds, private, comment, source, date } = draft.terms.clone();
    let mut extra = HashMap::from([("created by".to_owned(), BencodeElem::String(MAKER.to_owned()))]);
    extra.extend(comment.map(|comment| ("comment".to_owned(), BencodeElem::String(comment))));
    extra.extend(date.map(|date| ("creation date".to_owned(), BencodeElem::Integer(date))));
    if !web_seeds.is_empty() {
        let urls = web_seeds.into_iter().map(BencodeElem::String).collect();
        extra.insert("url-list".to_owned(), BencodeElem::List(urls));
    }
    let mut info = HashMap::new();
    info.extend(private.then(|| ("private".to_owned(), BencodeElem::Integer(1))));
    info.extend(source.map(|source| ("source".to_owned(), BencodeElem::String(source))));
    Some(Torrent {
        announce: trackers.iter().flatten().next().cloned(),
        announce_list: (trackers.iter().flatten().count() > 1).then_some(trackers),
        length: integer(draft.files.iter().map(|(_, length)| length).sum()),
        files,
        name,
        piece_length: i64::from(draft.piece_length),
        pieces: draft.hashes.clone(),
        extra_fields: Some(extra),
        extra_info_fields: Some(info),
    })
}

/// Bencodes a `.torrent` file whose names may be non-UTF-8, with its keys in byte order (BEP 3).
fn by_bytes(draft: &TorrentBuilder) -> Vec<u8> {
    let terms = &draft.terms;
    let texts =
        |texts: &[String]| OwnedValue::from(texts.iter().map(|t| OwnedValue::from(t.as_str())).collect::<Vec<_>>());
    let mut out = vec![b'd'];
    if let Some(first) = terms.trackers.iter().flatten().next() {
        entry(&mut out, "announce", &OwnedValue::from(first.as_str()));
        if terms.trackers.iter().flatten().count() > 1 {
            let tiers = terms.trackers.iter().map(|tier| texts(tier)).collect::<Vec<_>>();
            entry(&mut out, "announce-list", &OwnedValue::from(tiers));
        }
    }
    if let Some(comment) = &terms.comment {
        entry(&mut out, "comment", &OwnedValue::from(comment.as_str()));
    }
    entry(&mut out, "created by", &OwnedValue::from(MAKER));
    if let Some(date) = terms.date {
        entry(&mut out, "creation date", &OwnedValue::from(date));
    }
    text(&mut out, b"info");
    info(&mut out, draft);
    if !terms.web_seeds.is_empty() {
        entry(&mut out, "url-list", &texts(&terms.web_seeds));
    }
    out.push(b'e');
    out
}

fn info(out: &mut Vec<u8>, draft: &TorrentBuilder) {
    out.push(b'd');
    if draft.folder {
        text(out, b"files");
        out.push(b'l');
        // Written directly, without an intermediate value tree: there may be a million files.
        for (path, length) in &draft.files {
            out.push(b'd');
            entry(out, "length", &OwnedValue::from(integer(*length)));
            text(out, b"path");
            out.push(b'l');
            components(path).for_each(|part| text(out, part));
            out.extend_from_slice(b"ee");
        }
        out.push(b'e');
    } else {
        entry(out, "length", &OwnedValue::from(integer(draft.files.iter().map(|(_, length)| length).sum())));
    }
    text(out, b"name");
    text(out, draft.name.as_encoded_bytes());
    entry(out, "piece length", &OwnedValue::from(i64::from(draft.piece_length)));
    text(out, b"pieces");
    text(out, &draft.hashes.concat());
    if draft.terms.private {
        entry(out, "private", &OwnedValue::from(1));
    }
    if let Some(source) = &draft.terms.source {
        entry(out, "source", &OwnedValue::from(source.as_str()));
    }
    out.push(b'e');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::metainfo::Metainfo;

    fn draft(folder: bool, terms: CreateOptions) -> TorrentBuilder {
        let files: &[(&str, u64)] = match folder {
            true => &[("a", 0), ("b/\u{e4} \u{6f22}.bin", 300), ("b/c d/e", 40_000), ("z", 1 << 41)],
            false => &[("it", 40_300)],
        };
        let files: Vec<_> = files.iter().map(|(path, length)| (path.into(), *length)).collect();
        let pieces = files.iter().map(|(_, length)| length).sum::<u64>().div_ceil(1 << 28);
        let hashes = (0..pieces).map(|n| vec![n as u8 ^ 0xa5; 20]).collect();
        TorrentBuilder { name: "N\u{e4}me".into(), folder, files, piece_length: 1 << 28, hashes, terms }
    }

    /// Returns options in all combinations of present and absent fields.
    fn terms() -> impl Iterator<Item = CreateOptions> {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        (0..3 * 32).map(move |n: u32| CreateOptions {
            trackers: match n % 3 {
                0 => Vec::new(),
                1 => vec![texts(&["http://127.0.0.1:6969/announce"])],
                _ => vec![texts(&["http://a.example/announce", "udp://b.example:80"]), texts(&["http://c.example/x"])],
            },
            web_seeds: if (n / 3) & 1 == 1 {
                texts(&["https://a.example/", "http://b.example/\u{fc}"])
            } else {
                Vec::new()
            },
            private: (n / 6) & 1 == 1,
            comment: ((n / 12) & 1 == 1).then(|| "a \u{201c}remark\u{201d}".to_owned()),
            source: ((n / 24) & 1 == 1).then(|| "here".to_owned()),
            date: ((n / 48) & 1 == 1).then_some(1_700_000_000),
        })
    }

    #[test]
    fn both_ways_give_the_same_bytes() {
        for (folder, terms) in terms().flat_map(|terms| [(true, terms.clone()), (false, terms)]) {
            let draft = draft(folder, terms);
            let bytes = by_bytes(&draft);
            let torrent = lava(&draft).unwrap();
            let hash = torrent.info_hash();
            assert!(torrent.encode().unwrap() == bytes, "{:?}", draft.terms);
            assert!(encode(&draft) == bytes);
            let meta = Metainfo::parse(&bytes).unwrap();
            assert_eq!(meta.info_hash.to_string(), hash, "{:?}", draft.terms);
            assert_eq!((meta.private, meta.created), (draft.terms.private, draft.terms.date));
        }
    }

    #[cfg(unix)]
    #[test]
    fn names_that_are_not_utf8_are_kept_as_they_are() {
        use std::os::unix::ffi::OsStrExt;

        let odd = OsStr::from_bytes(b"caf\xe9");
        let mut file = draft(true, CreateOptions::default());
        file.files[1].0 = Path::new("b").join(odd);
        let mut folder = draft(true, CreateOptions::default());
        folder.name = odd.to_owned();
        let mut single = draft(false, CreateOptions::default());
        single.name = odd.to_owned();
        for draft in [file, folder, single] {
            assert!(lava(&draft).is_none());
            assert!(encode(&draft).windows(6).any(|part| part == b"4:caf\xe9"));
            assert!(Metainfo::parse(&encode(&draft)).is_ok());
        }
    }
}
