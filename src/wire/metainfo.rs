//! What a `.torrent` file says (BEP 3), and the `info` dictionary that peers send for a magnet (BEP 9).
//!
//! Both come from strangers and pass through the same judgement. What is wrong with data, pieces or names is an
//! error that names the key; what is wrong with anything that a download can do without is left out and
//! remarked upon. Torrents that are odd but exist are taken: unsorted or unknown keys, Latin-1 names, bytes after
//! the end, trackers that are no URLs.

mod aliases;
mod error;
mod files;
pub mod paths;
mod remarks;
pub mod sources;
pub mod urls;

use bytes::Bytes;
use sha1::{Digest, Sha1};

use crate::limits;
use crate::wire::bencode::{Item, Kind, Value};
use crate::wire::message::InfoHash;
use crate::wire::metainfo::remarks::{Remarks, SHOWN};
use crate::wire::metainfo::sources::Sources;
use crate::wire::text::{clean_bytes, counted};

pub use aliases::Aliases;
pub use error::{MetainfoError, Place};
pub use files::File;

use files::{Folder, read_files};

/// A torrent as its metainfo describes it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Metainfo {
    /// The SHA-1 of the `info` dictionary as it stood.
    pub info_hash: InfoHash,
    /// The printable name of the file or folder, safe as one path component; on disk it may be called otherwise
    /// ([`File::path`]). For a screen, clean it with [`clean`](crate::wire::text::clean).
    pub name: String,
    /// Bytes of every piece but the last: 1 to [`limits::PIECE_LENGTH`].
    pub piece_length: u32,
    /// The SHA-1 of each piece: as many as `total` needs, none where all files are empty.
    pub hashes: Vec<[u8; 20]>,
    /// The files in the order of their data; no two have one path (but for padding, which is never written).
    pub files: Vec<File>,
    /// Bytes of all files with padding; 0 where all files are empty.
    pub total: u64,
    /// Whether it is a folder of files rather than one file.
    pub folder: bool,
    /// Whether peers may be learnt from its own trackers only (BEP 27).
    pub private: bool,
    /// Trackers that may be asked, by tier (BEP 12); at most [`limits::TRACKERS`], none twice.
    pub trackers: Vec<Vec<String>>,
    /// Trackers and web seeds that are not asked, and why: one sentence each.
    pub refused_trackers: Vec<String>,
    /// Web seeds (BEP 19).
    pub web_seeds: Vec<String>,
    /// The maker's remark; raw, clean it before it is shown.
    pub comment: Option<String>,
    /// The program that made it; raw, clean it before it is shown.
    pub created_by: Option<String>,
    /// Where it was published; raw, clean it before it is shown.
    pub source: Option<String>,
    /// When it was made, in seconds since 1970; any value can occur.
    pub created: Option<i64>,
    /// The character set that its names are in where they are not UTF-8, as the maker says (`encoding`).
    pub encoding: Option<String>,
    /// What is odd about it and was passed over: one sentence each.
    pub remarks: Vec<String>,
    /// The `info` dictionary as it stood.
    pub info: Bytes,
}

/// The value of a key that must be there and of this kind.
fn need<'a>(
    value: Option<Value<'a>>,
    key: &'static str,
    place: Place,
    wanted: Kind,
) -> Result<Value<'a>, MetainfoError> {
    let value = value.ok_or(MetainfoError::Missing { key, place })?;
    match value.kind() {
        is if is == wanted => Ok(value),
        is => Err(MetainfoError::WrongKind { key, place, is, wanted }),
    }
}

/// A length that must be there, must not be negative and must fit 63 bits.
fn length(value: Option<Value<'_>>, place: Place) -> Result<u64, MetainfoError> {
    let value = need(value, "length", place, Kind::Number)?;
    value
        .number()
        .and_then(|n| u64::try_from(n).ok())
        .ok_or_else(|| out_of_range(value, "length", place, "0 to 2^63 - 1"))
}

fn out_of_range(value: Value<'_>, key: &'static str, place: Place, range: &'static str) -> MetainfoError {
    let digits = value.raw().strip_prefix(b"i").and_then(|v| v.strip_suffix(b"e")).unwrap_or_default();
    MetainfoError::OutOfRange { key, place, value: clean_bytes(digits, SHOWN), range }
}

/// What a file that is no torrent begins with.
fn begins(bytes: &[u8]) -> String {
    match bytes {
        [] => "is empty".to_owned(),
        [0, ..] => "begins with zero bytes".to_owned(),
        [0x1f, 0x8b, ..] => "begins like gzip data".to_owned(),
        [b'P', b'K', 3, 4, ..] => "begins like a zip archive".to_owned(),
        [b'l', ..] => "begins with a list".to_owned(),
        [b'i', b'0'..=b'9' | b'-', ..] => "begins with a number".to_owned(),
        _ => format!("begins with \"{}\"", clean_bytes(&bytes[..bytes.len().min(24)], SHOWN)),
    }
}

/// The values of these keys in a dictionary, found in one walk; of equal keys the first counts.
fn pick<'a, const N: usize>(dictionary: Value<'a>, keys: [&str; N]) -> [Option<Value<'a>>; N] {
    let mut found = [None; N];
    for (key, value) in dictionary.dictionary().into_iter().flatten() {
        if let Some(n) = keys.iter().position(|k| k.as_bytes() == key) {
            found[n] = found[n].or(Some(value));
        }
    }
    found
}

impl Metainfo {
    /// Reads a `.torrent` file.
    ///
    /// # Errors
    /// What is wrong with it, as the end of a sentence.
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
        let info = need(info, "info", Place::Plain, Kind::Dictionary)?;
        let mut it = Self::judge(info)?;
        let mut remarks = Remarks(std::mem::take(&mut it.remarks));
        if !rest.iter().all(u8::is_ascii_whitespace) {
            remarks.add(|| format!("there is more after the end: {}", counted(rest.len() as u64, "byte")));
        }
        let sources = Sources::judge(announce, tiers, seeds, &mut remarks);
        (it.trackers, it.web_seeds, it.refused_trackers) = (sources.trackers, sources.web_seeds, sources.refused);
        it.comment = remarks.text(comment, "comment");
        it.created_by = remarks.text(created_by, "created by");
        it.encoding = remarks.text(encoding, "encoding");
        it.created = remarks.wish(created, "creation date", Kind::Number).and_then(|v| v.number());
        it.remarks = remarks.0;
        Ok(it)
    }

    /// Reads an `info` dictionary as it came from peers. Whether its hash is the one that was wanted is the
    /// caller's to compare.
    ///
    /// # Errors
    /// What is wrong with it, as the end of a sentence.
    pub fn from_info(bytes: &[u8]) -> Result<Self, MetainfoError> {
        if bytes.len() > limits::METADATA {
            return Err(MetainfoError::TooLarge { max: limits::METADATA as u64 });
        }
        let info = Value::parse(bytes)?;
        Self::judge(need(Some(info), "info", Place::Plain, Kind::Dictionary)?)
    }

    /// Whether an `info` dictionary that nobody has judged is a private torrent's (BEP 27); it is read as
    /// [`Metainfo::from_info`] does. One that cannot be read is not.
    #[must_use]
    pub fn is_private(info: &[u8]) -> bool {
        let Ok(info) = Value::parse(info) else { return false };
        let [private] = pick(info, ["private"]);
        Self::read_private(private, &mut Remarks::default())
    }

    /// Judges the `info` dictionary.
    fn judge(info: Value<'_>) -> Result<Self, MetainfoError> {
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
        let mut remarks = Remarks::default();
        if let Some(version) = remarks.wish(version, "meta version", Kind::Number).and_then(|v| v.number())
            && version > 2
        {
            return Err(MetainfoError::TooNew { version });
        }
        if pieces.is_none() && tree.is_some() {
            return Err(MetainfoError::Version2);
        }
        let own = Folder::new(Self::read_name(name, name_utf8, &mut remarks)?);
        let piece_length = Self::read_piece_length(piece_length)?;
        let hashes = Self::read_hashes(pieces)?;
        let folder = files.is_some();
        let mut total = 0;
        let files = match files {
            Some(files) => read_files(files, &own, piece_length, &mut total, &mut remarks)?,
            None => {
                total = length(single, Place::Plain)?;
                vec![own.file(total)]
            }
        };
        let (has, needs) = (hashes.len() as u64, total.div_ceil(u64::from(piece_length)));
        if has != needs {
            return Err(MetainfoError::Hashes { has, needs, total, piece_length });
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
            remarks: remarks.0,
            info: Bytes::copy_from_slice(info.raw()),
        })
    }

    /// The name as it was written.
    fn read_name<'a>(
        name: Option<Value<'a>>,
        utf8: Option<Value<'a>>,
        remarks: &mut Remarks,
    ) -> Result<&'a [u8], MetainfoError> {
        let name = need(name, "name", Place::Plain, Kind::Text)?.text().unwrap_or_default();
        let utf8 = remarks.wish(utf8, "name.utf-8", Kind::Text).and_then(|v| v.text());
        Ok(utf8.filter(|n| !n.is_empty() && std::str::from_utf8(n).is_ok()).unwrap_or(name))
    }

    fn read_piece_length(value: Option<Value<'_>>) -> Result<u32, MetainfoError> {
        let value = need(value, "piece length", Place::Plain, Kind::Number)?;
        value
            .number()
            .and_then(|n| u32::try_from(n).ok())
            .filter(|n| *n > 0 && u64::from(*n) <= limits::PIECE_LENGTH)
            .ok_or_else(|| out_of_range(value, "piece length", Place::Plain, "1 byte to 512 MiB"))
    }

    fn read_hashes(value: Option<Value<'_>>) -> Result<Vec<[u8; 20]>, MetainfoError> {
        let bytes = need(value, "pieces", Place::Plain, Kind::Text)?.text().unwrap_or_default();
        let (hashes, []) = bytes.as_chunks::<20>() else {
            return Err(MetainfoError::BrokenHashes { got: bytes.len() });
        };
        if hashes.len() > limits::PIECES as usize {
            return Err(MetainfoError::TooManyPieces { got: hashes.len(), max: limits::PIECES });
        }
        Ok(hashes.to_vec())
    }

    fn read_private(value: Option<Value<'_>>, remarks: &mut Remarks) -> bool {
        match value {
            None => false,
            Some(value) if value.kind() == Kind::Number => value.number() != Some(0),
            // Whoever wrote something here meant something by it: the careful reading is the right one.
            Some(value) => {
                let private = value.text() != Some(b"0");
                let word = if private { "private" } else { "not private" };
                remarks.add(|| format!("`private` is {}, and should be a number: taken as {word}", value.kind()));
                private
            }
        }
    }
}

/// The bytes of a `.torrent` file with this `info` dictionary, as it came from peers, these trackers by tier, and these
/// web seeds.
#[must_use]
pub fn torrent(info: &[u8], trackers: &[Vec<String>], web_seeds: &[String]) -> Vec<u8> {
    let texts = |texts: &[String]| Item::List(texts.iter().map(|text| Item::from(text.as_str())).collect());
    let entry = |out: &mut Vec<u8>, key: &str, value: &[u8]| {
        out.extend_from_slice(&Item::from(key).encode());
        out.extend_from_slice(value);
    };
    let mut out = vec![b'd'];
    if let Some(first) = trackers.iter().flatten().next() {
        entry(&mut out, "announce", &Item::from(first.as_str()).encode());
        let tiers = Item::List(trackers.iter().map(|tier| texts(tier)).collect());
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
