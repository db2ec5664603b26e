//! Metainfo: parser for `.torrent` files (BEP 3) and for `info` dictionaries fetched from peers (BEP 9).
//!
//! Both are untrusted input and pass the same validation. An invalid value that a download depends on (data, piece
//! hashes, names) is an error that names the key. An invalid optional value is dropped and reported as a warning.
//! Accepted although malformed, because such torrents exist: unsorted or unknown keys, names that are not UTF-8, bytes
//! after the end, tracker URLs that cannot be parsed.

mod aliases;
mod error;
mod fields;
mod files;
pub mod paths;
pub(crate) mod sources;
pub mod urls;
mod warnings;

use bytes::Bytes;
use sha1::{Digest, Sha1};

use crate::format::counted;
use crate::limits;
use crate::wire::bencode::{Kind, OwnedValue, Value};
use crate::wire::message::InfoHash;
use crate::wire::metainfo::sources::{Refused, Sources};
use crate::wire::metainfo::warnings::{ParseWarnings, SHOWN};
use crate::wire::sanitize::sanitize_bytes;

pub use aliases::Aliases;
pub use error::{KeyLocation, MetainfoError};
pub use files::File;

use fields::{length, pick, read_name, read_piece_length, require};
use files::{Folder, read_files};

/// The parsed contents of a `.torrent` file or `info` dictionary.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Metainfo {
    /// SHA-1 of the `info` dictionary exactly as encoded in the input.
    pub info_hash: InfoHash,
    /// Printable name of the file or root folder, safe as a single path component.
    ///
    /// The name on disk may differ, see [`File::path`]. Sanitize it before it is drawn.
    pub name: String,
    /// Length of a piece in bytes, 1 to [`limits::PIECE_LENGTH`]; the last piece may be shorter.
    pub piece_length: u32,
    /// The SHA-1 of each piece: as many as `total` needs, none where all files are empty.
    pub hashes: Vec<[u8; 20]>,
    /// Files in the order of their data.
    ///
    /// Paths are unique except those of padding files, which are never written.
    pub files: Vec<File>,
    /// Bytes of all files with padding; 0 where all files are empty.
    pub total: u64,
    /// Whether this is a multi-file torrent, whose files are in a folder.
    pub folder: bool,
    /// Whether the torrent is private: no DHT, PEX or LSD (BEP 27).
    pub private: bool,
    /// Tracker URLs by tier (BEP 12), without duplicates; at most [`limits::TRACKERS`].
    pub trackers: Vec<Vec<String>>,
    /// Rejected trackers and web seeds and the reason, one sentence each.
    pub refused_trackers: Vec<Refused>,
    /// Web seed URLs (BEP 19).
    pub web_seeds: Vec<String>,
    /// Comment of the author; must be sanitized before it is shown.
    pub comment: Option<String>,
    /// Program that created the torrent; must be sanitized before it is shown.
    pub created_by: Option<String>,
    /// The `source` key; must be sanitized before it is shown.
    pub source: Option<String>,
    /// Creation date in seconds since the Unix epoch; not validated, so any value can occur.
    pub created: Option<i64>,
    /// Character set of names that are not UTF-8, from the `encoding` key.
    pub encoding: Option<String>,
    /// Warnings about invalid values that were ignored, one sentence each.
    pub warnings: Vec<String>,
    /// The `info` dictionary exactly as encoded in the input.
    pub info: Bytes,
}

/// Returns whether a file begins like a web page.
fn is_web_page(bytes: &[u8]) -> bool {
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start();
    let begins = |with: &[u8]| text.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with));
    begins(b"<!doctype html") || begins(b"<html") || begins(b"<head") || begins(b"<body")
}

/// Describes the first bytes of a file that is not a torrent, for the error message.
fn begins(bytes: &[u8]) -> String {
    match bytes {
        [] => "is empty".to_owned(),
        [0, ..] => "begins with zero bytes".to_owned(),
        [0x1f, 0x8b, ..] => "begins like gzip data".to_owned(),
        [b'P', b'K', 3, 4, ..] => "begins like a zip archive".to_owned(),
        _ if is_web_page(bytes) => {
            "is a web page; give the address of the .torrent itself, or its magnet link".to_owned()
        }
        [b'l', ..] => "begins with a list".to_owned(),
        [b'i', b'0'..=b'9' | b'-', ..] => "begins with a number".to_owned(),
        _ => format!("begins with \"{}\"", sanitize_bytes(&bytes[..bytes.len().min(24)], SHOWN)),
    }
}

impl Metainfo {
    /// Parses a `.torrent` file.
    ///
    /// # Errors
    /// If a required value is missing or invalid; the error text is the end of a sentence.
    pub fn parse(bytes: &[u8]) -> Result<Self, MetainfoError> {
        if bytes.len() as u64 > limits::TORRENT_FILE {
            return Err(MetainfoError::TooLarge { max: limits::TORRENT_FILE });
        }
        if bytes.first() != Some(&b'd') {
            return Err(MetainfoError::NotTorrent { begins: begins(bytes) });
        }
        let (top, rest) = Value::parse_prefix(bytes)?;
        let keys =
            ["info", "announce", "announce-list", "url-list", "comment", "created by", "creation date", "encoding"];
        let [info, announce, tiers, seeds, comment, created_by, created, encoding] = pick(top, keys);
        let info = require(info, "info", KeyLocation::Plain, Kind::Dictionary)?;
        let mut it = Self::parse_info(info)?;
        let mut remarks = ParseWarnings(std::mem::take(&mut it.warnings));
        if !rest.iter().all(u8::is_ascii_whitespace) {
            remarks.add(|| format!("there is more after the end: {}", counted(rest.len() as u64, "byte")));
        }
        let sources = Sources::read_with_warnings(announce, tiers, seeds, &mut remarks);
        (it.trackers, it.web_seeds, it.refused_trackers) = (sources.trackers, sources.web_seeds, sources.refused);
        it.comment = remarks.text(comment, "comment");
        it.created_by = remarks.text(created_by, "created by");
        it.encoding = remarks.text(encoding, "encoding");
        it.created = remarks.optional(created, "creation date", Kind::Integer).and_then(|v| v.as_integer());
        it.warnings = remarks.0;
        Ok(it)
    }

    /// Parses an `info` dictionary that was received from peers.
    ///
    /// The caller must compare the info-hash of the result with the expected one.
    ///
    /// # Errors
    /// If a required value is missing or invalid; the error text is the end of a sentence.
    pub fn from_info(bytes: &[u8]) -> Result<Self, MetainfoError> {
        if bytes.len() > limits::METADATA {
            return Err(MetainfoError::TooLarge { max: limits::METADATA as u64 });
        }
        let info = Value::parse(bytes)?;
        Self::parse_info(require(Some(info), "info", KeyLocation::Plain, Kind::Dictionary)?)
    }

    /// Returns whether an `info` dictionary is marked as private (BEP 27), without further validation.
    ///
    /// Gives the same result as [`Metainfo::from_info`]; `false` if `info` is not valid bencode.
    #[must_use]
    pub fn is_private(info: &[u8]) -> bool {
        let Ok(info) = Value::parse(info) else { return false };
        let [private] = pick(info, ["private"]);
        Self::read_private(private, &mut ParseWarnings::default())
    }

    /// Returns the generator of alternative paths; `None` if no file can have any.
    #[must_use]
    pub fn aliases(&self) -> Option<Aliases> {
        Aliases::new(&self.info, &self.files, self.encoding.as_deref())
    }

    /// Parses and validates the `info` dictionary.
    fn parse_info(info: Value<'_>) -> Result<Self, MetainfoError> {
        let keys = [
            "name",
            "name.utf-8",
            "piece length",
            "pieces",
            "length",
            "files",
            "private",
            "source",
            "meta version",
            "file tree",
        ];
        let [name, name_utf8, piece_length, pieces, single, files, private, source, version, tree] = pick(info, keys);
        let mut remarks = ParseWarnings::default();
        if let Some(version) = remarks.optional(version, "meta version", Kind::Integer).and_then(|v| v.as_integer())
            && version > 2
        {
            return Err(MetainfoError::TooNew { version });
        }
        if pieces.is_none() && tree.is_some() {
            return Err(MetainfoError::Version2);
        }
        let own = Folder::new(read_name(name, name_utf8, &mut remarks)?);
        let piece_length = read_piece_length(piece_length)?;
        let hashes = Self::read_hashes(pieces)?;
        let folder = files.is_some();
        let mut total = 0;
        let files = match files {
            Some(files) => read_files(files, &own, piece_length, &mut total, &mut remarks)?,
            None => {
                total = length(single, KeyLocation::Plain)?;
                vec![own.file(total)]
            }
        };
        let (has, needs) = (hashes.len() as u64, total.div_ceil(u64::from(piece_length)));
        if has != needs {
            return Err(MetainfoError::HashCountMismatch { has, needs, total, piece_length });
        }
        // Files without bytes are files: they are made, and there is nothing to fetch.
        if files.iter().all(|f| f.pad) || total > 0 && files.iter().all(|f| f.pad || f.length == 0) {
            return Err(MetainfoError::NoData("there is nothing in it but padding"));
        }
        let private = Self::read_private(private, &mut remarks);
        let source = remarks.text(source, "source");
        Ok(Metainfo {
            info_hash: InfoHash(Sha1::digest(info.raw()).into()),
            name: own.name,
            piece_length,
            hashes,
            files,
            total,
            folder,
            private,
            trackers: Vec::new(),
            refused_trackers: Vec::new(),
            web_seeds: Vec::new(),
            comment: None,
            created_by: None,
            source,
            created: None,
            encoding: None,
            warnings: remarks.0,
            info: Bytes::copy_from_slice(info.raw()),
        })
    }

    fn read_hashes(value: Option<Value<'_>>) -> Result<Vec<[u8; 20]>, MetainfoError> {
        let bytes = require(value, "pieces", KeyLocation::Plain, Kind::ByteString)?.as_bytes().unwrap_or_default();
        let (hashes, []) = bytes.as_chunks::<20>() else {
            return Err(MetainfoError::BrokenHashes { got: bytes.len() });
        };
        if hashes.len() > limits::PIECES as usize {
            return Err(MetainfoError::TooManyPieces { got: hashes.len(), max: limits::PIECES });
        }
        Ok(hashes.to_vec())
    }

    fn read_private(value: Option<Value<'_>>, remarks: &mut ParseWarnings) -> bool {
        match value {
            None => false,
            Some(value) if value.kind() == Kind::Integer => value.as_integer() != Some(0),
            // Not an integer: the author probably meant to mark the torrent as private, so assume so unless it is "0".
            Some(value) => {
                let private = value.as_bytes() != Some(b"0");
                let word = if private { "private" } else { "not private" };
                remarks.add(|| format!("`private` is {}, and should be a number: taken as {word}", value.kind()));
                private
            }
        }
    }
}

/// Encodes a `.torrent` file from an unmodified `info` dictionary, trackers by tier and web seeds.
#[must_use]
pub fn encode_torrent(info: &[u8], trackers: &[Vec<String>], web_seeds: &[String]) -> Vec<u8> {
    let texts = |texts: &[String]| OwnedValue::List(texts.iter().map(|text| OwnedValue::from(text.as_str())).collect());
    let entry = |out: &mut Vec<u8>, key: &str, value: &[u8]| {
        out.extend_from_slice(&OwnedValue::from(key).encode());
        out.extend_from_slice(value);
    };
    let mut out = vec![b'd'];
    if let Some(first) = trackers.iter().flatten().next() {
        entry(&mut out, "announce", &OwnedValue::from(first.as_str()).encode());
        let tiers = OwnedValue::List(trackers.iter().map(|tier| texts(tier)).collect());
        entry(&mut out, "announce-list", &tiers.encode());
    }
    entry(&mut out, "info", info);
    if !web_seeds.is_empty() {
        entry(&mut out, "url-list", &texts(web_seeds).encode());
    }
    out.push(b'e');
    out
}

#[cfg(test)]
mod tests;
