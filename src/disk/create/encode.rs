//! The bytes of a `.torrent` that is made: names stand in it as the file system has them, whatever their bytes are.
//!
//! There are two ways with the same result. `lava_torrent` encodes a torrent whose names are all UTF-8, as nearly all are.
//! Its type keeps names as texts and would replace what is not UTF-8, so that the files could not be found again by the
//! names in the torrent: a torrent with such a name, which Linux allows, is encoded here. So is one of very many files, for
//! each of which the type takes half a kilobyte of memory.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use lava_torrent::bencode::BencodeElem;
use lava_torrent::torrent::v1::{File, Torrent};

use super::{Draft, MAKER, Terms};
use crate::wire::bencode::Item;

fn text(out: &mut Vec<u8>, text: &[u8]) {
    out.extend_from_slice(format!("{}:", text.len()).as_bytes());
    out.extend_from_slice(text);
}

fn entry(out: &mut Vec<u8>, key: &str, value: &Item) {
    text(out, key.as_bytes());
    out.extend_from_slice(&value.encode());
}

fn integer(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// The components of a path below the torrent's folder. A path that cannot be told from others is kept whole, and is
/// found to be another one when the `.torrent` is read.
fn components(path: &Path) -> impl Iterator<Item = &[u8]> {
    path.iter().map(OsStr::as_encoded_bytes)
}

/// The most files that `lava_torrent` is given.
const LAVA_FILES: usize = 100_000;

/// Returns the `.torrent` of a draft.
pub(super) fn encode(draft: &Draft) -> Vec<u8> {
    match lava(draft).map(Torrent::encode) {
        Some(Ok(bytes)) => bytes,
        Some(Err(_)) | None => by_bytes(draft),
    }
}

/// Returns the draft as `lava_torrent` has it, or `None` where that type cannot hold it.
fn lava(draft: &Draft) -> Option<Torrent> {
    let name = draft.name.to_str().filter(|_| draft.files.len() <= LAVA_FILES)?.to_owned();
    let file = |(path, length): &(PathBuf, u64)| {
        path.to_str().map(|_| File { length: integer(*length), path: path.clone(), extra_fields: None })
    };
    let files = match draft.folder {
        true => Some(draft.files.iter().map(file).collect::<Option<Vec<_>>>()?),
        false => None,
    };
    let Terms { trackers, web_seeds, private, comment, source, date } = draft.terms.clone();
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

/// Returns the `.torrent` of a draft with names of any bytes; keys are in the order of their bytes (BEP 3).
fn by_bytes(draft: &Draft) -> Vec<u8> {
    let terms = &draft.terms;
    let texts = |texts: &[String]| Item::from(texts.iter().map(|t| Item::from(t.as_str())).collect::<Vec<_>>());
    let mut out = vec![b'd'];
    if let Some(first) = terms.trackers.iter().flatten().next() {
        entry(&mut out, "announce", &Item::from(first.as_str()));
        if terms.trackers.iter().flatten().count() > 1 {
            let tiers = terms.trackers.iter().map(|tier| texts(tier)).collect::<Vec<_>>();
            entry(&mut out, "announce-list", &Item::from(tiers));
        }
    }
    if let Some(comment) = &terms.comment {
        entry(&mut out, "comment", &Item::from(comment.as_str()));
    }
    entry(&mut out, "created by", &Item::from(MAKER));
    if let Some(date) = terms.date {
        entry(&mut out, "creation date", &Item::from(date));
    }
    text(&mut out, b"info");
    info(&mut out, draft);
    if !terms.web_seeds.is_empty() {
        entry(&mut out, "url-list", &texts(&terms.web_seeds));
    }
    out.push(b'e');
    out
}

fn info(out: &mut Vec<u8>, draft: &Draft) {
    out.push(b'd');
    if draft.folder {
        text(out, b"files");
        out.push(b'l');
        // Written one by one: there may be a million of them.
        for (path, length) in &draft.files {
            out.push(b'd');
            entry(out, "length", &Item::from(integer(*length)));
            text(out, b"path");
            out.push(b'l');
            components(path).for_each(|part| text(out, part));
            out.extend_from_slice(b"ee");
        }
        out.push(b'e');
    } else {
        entry(out, "length", &Item::from(integer(draft.files.iter().map(|(_, length)| length).sum())));
    }
    text(out, b"name");
    text(out, draft.name.as_encoded_bytes());
    entry(out, "piece length", &Item::from(i64::from(draft.piece_length)));
    text(out, b"pieces");
    text(out, &draft.hashes.concat());
    if draft.terms.private {
        entry(out, "private", &Item::from(1));
    }
    if let Some(source) = &draft.terms.source {
        entry(out, "source", &Item::from(source.as_str()));
    }
    out.push(b'e');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::metainfo::Metainfo;

    fn draft(folder: bool, terms: Terms) -> Draft {
        let files: &[(&str, u64)] = match folder {
            true => &[("a", 0), ("b/\u{e4} \u{6f22}.bin", 300), ("b/c d/e", 40_000), ("z", 1 << 41)],
            false => &[("it", 40_300)],
        };
        let files: Vec<_> = files.iter().map(|(path, length)| (path.into(), *length)).collect();
        let pieces = files.iter().map(|(_, length)| length).sum::<u64>().div_ceil(1 << 28);
        let hashes = (0..pieces).map(|n| vec![n as u8 ^ 0xa5; 20]).collect();
        Draft { name: "N\u{e4}me".into(), folder, files, piece_length: 1 << 28, hashes, terms }
    }

    /// Terms in which each kind of term is there and not there, with each other kind there and not there.
    fn terms() -> impl Iterator<Item = Terms> {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        (0..3 * 32).map(move |n: u32| Terms {
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
        let mut file = draft(true, Terms::default());
        file.files[1].0 = Path::new("b").join(odd);
        let mut folder = draft(true, Terms::default());
        folder.name = odd.to_owned();
        let mut single = draft(false, Terms::default());
        single.name = odd.to_owned();
        for draft in [file, folder, single] {
            assert!(lava(&draft).is_none());
            assert!(encode(&draft).windows(6).any(|part| part == b"4:caf\xe9"));
            assert!(Metainfo::parse(&encode(&draft)).is_ok());
        }
    }
}
