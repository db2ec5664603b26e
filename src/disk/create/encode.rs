//! The bytes of a `.torrent` that is made: names stand in it as the file system has them, whatever their bytes are.

use std::ffi::OsStr;
use std::path::Path;

use super::{Draft, MAKER};
use crate::wire::bencode::Item;

fn text(out: &mut Vec<u8>, text: &[u8]) {
    out.extend_from_slice(format!("{}:", text.len()).as_bytes());
    out.extend_from_slice(text);
}

fn entry(out: &mut Vec<u8>, key: &str, value: &Item) {
    text(out, key.as_bytes());
    out.extend_from_slice(&value.encode());
}

fn number(n: u64) -> Item {
    Item::from(i64::try_from(n).unwrap_or(i64::MAX))
}

/// The components of a path below the torrent's folder. A path that cannot be told from others is kept whole, and is
/// found to be another one when the `.torrent` is read.
fn components(path: &Path) -> impl Iterator<Item = &[u8]> {
    path.iter().map(OsStr::as_encoded_bytes)
}

/// The `.torrent` of a draft; keys are in the order of their bytes (BEP 3).
pub(super) fn encode(draft: &Draft) -> Vec<u8> {
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
            entry(out, "length", &number(*length));
            text(out, b"path");
            out.push(b'l');
            components(path).for_each(|part| text(out, part));
            out.extend_from_slice(b"ee");
        }
        out.push(b'e');
    } else {
        entry(out, "length", &number(draft.files.iter().map(|(_, length)| length).sum()));
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
