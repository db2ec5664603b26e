//! The file list of an `info` dictionary: paths on disk, printable names, and padding files (BEP 47).

use std::borrow::Cow;
use std::path::PathBuf;

use super::error::{KeyLocation, MetainfoError};
use super::fields::{length, pick, require};
use super::paths::{self, PathRules, UsedPaths};
use super::warnings::ParseWarnings;
use crate::limits;
use crate::wire::bencode::{Items, Kind, Value};
use crate::wire::web_seed;

/// Name prefix of BitComet padding files; a number follows.
const BITCOMET_PAD: &[u8] = b"_____padding_file_";

/// A file of a torrent.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct File {
    /// Printable path below the download folder, including the root folder; components joined by `/`.
    ///
    /// Unique within the torrent except for padding files, and safe to join to a folder. The path on disk is
    /// [`File::path`].
    pub name: String,
    /// Length in bytes.
    pub length: u64,
    /// Offset of its data within the torrent in bytes.
    pub offset: u64,
    /// Whether this is a padding file (BEP 47): zeros that are hashed but never written or requested.
    ///
    /// The path of a padding file may equal that of another file.
    pub pad: bool,
    /// Percent-encoded original path for web seeds (BEP 19).
    ///
    /// `None` if it equals `name`, or has a component that is empty, `.` or `..`.
    pub web: Option<String>,
    /// Path on disk as bytes; `None` if it equals `name`.
    pub(super) disk: Option<Box<[u8]>>,
}

impl File {
    /// Returns the path below the download folder as bytes; components joined by `/`.
    ///
    /// There is at least one component, and no component is empty, `.` or `..`. UTF-8 on Windows.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.disk.as_deref().unwrap_or(self.name.as_bytes())
    }

    /// Returns the path below the download folder.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        paths::to_path(self.bytes())
    }
}

/// An entry of the `files` list as written in the torrent.
pub(super) struct Entry<'a> {
    /// Path components from `path.utf-8` if valid, otherwise from `path`.
    pub path: Value<'a>,
    /// Path components from `path`.
    pub raw: Value<'a>,
    length: u64,
    pad: bool,
}

/// Returns the byte strings in a list; skips elements of other types.
pub(super) fn texts(path: Value<'_>) -> impl Iterator<Item = &[u8]> + Clone {
    let list: Option<Items<'_>> = path.list();
    list.into_iter().flatten().filter_map(|part| part.as_bytes())
}

/// Parses entry `number` (from 1) of the `files` list; `None` for a symbolic link without data.
pub(super) fn read_entry<'a>(
    file: Value<'a>,
    number: usize,
    remarks: &mut ParseWarnings,
) -> Result<Option<Entry<'a>>, MetainfoError> {
    let place = KeyLocation::File(number);
    let file = require(Some(file), "files", KeyLocation::Entry(number), Kind::Dictionary)?;
    let [raw, utf8, size, attr] = pick(file, ["path", "path.utf-8", "length", "attr"]);
    let attr = remarks.optional(attr, "attr", Kind::ByteString).and_then(|v| v.as_bytes()).unwrap_or_default();
    let link = attr.contains(&b'l');
    let length = if link && size.is_none() { 0 } else { length(size, place)? };
    let raw = require(raw, "path", place, Kind::List)?;
    let plain = |v: &Value<'_>| {
        v.list().is_some_and(|mut l| {
            l.next().is_some() && l.all(|p| p.as_bytes().is_some_and(|t| std::str::from_utf8(t).is_ok()))
        })
    };
    let path = utf8.filter(plain).unwrap_or(raw);
    if let Some(part) = path.list().into_iter().flatten().find(|p| p.kind() != Kind::ByteString) {
        return Err(MetainfoError::WrongKind { key: "path", place, is: part.kind(), wanted: Kind::ByteString });
    }
    // A symbolic link with a length is treated as a regular file.
    Ok((!link || length > 0).then_some(Entry { path, raw, length, pad: attr.contains(&b'p') }))
}

/// Detects padding files by name, for torrents without the `attr` key.
///
/// A padding file must end at a piece boundary and be shorter than a piece.
fn is_named_pad(path: Value<'_>, length: u64, offset: u64, piece_length: u32) -> bool {
    let piece = u64::from(piece_length);
    if length == 0 || length >= piece || !offset.wrapping_add(length).is_multiple_of(piece) {
        return false;
    }
    let mut parts = texts(path);
    let (first, second, third) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
    let digits = |name: &[u8]| !name.is_empty() && name.iter().all(u8::is_ascii_digit);
    match (second, third) {
        (None, _) => first.strip_prefix(BITCOMET_PAD).is_some_and(|rest| rest.first().is_some_and(u8::is_ascii_digit)),
        (Some(second), None) => first == b".pad" && digits(second),
        _ => false,
    }
}

/// Parses the `files` list of a torrent with this root folder.
///
/// Adds the lengths of the files to `total`.
pub(super) fn read_files(
    files: Value<'_>,
    folder: &Folder<'_>,
    piece_length: u32,
    total: &mut u64,
    remarks: &mut ParseWarnings,
) -> Result<Vec<File>, MetainfoError> {
    let mut names = UsedPaths::default();
    let mut out = Vec::new();
    let (mut links, mut odd) = (0, folder.is_odd());
    let list = require(Some(files), "files", KeyLocation::Plain, Kind::List)?.list();
    for (n, file) in list.into_iter().flatten().enumerate() {
        if out.len() >= limits::FILES {
            return Err(MetainfoError::TooManyFiles { max: limits::FILES });
        }
        let Some(entry) = read_entry(file, n + 1, remarks)? else {
            links += 1;
            continue;
        };
        let (length, offset) = (entry.length, *total);
        *total = total.checked_add(length).filter(|t| *t <= i64::MAX as u64).ok_or(MetainfoError::TotalTooLarge)?;
        let pad = entry.pad || is_named_pad(entry.path, length, offset, piece_length);
        let parts = paths::path(texts(entry.path), PathRules::NATIVE);
        let given = if pad { parts.join(&b'/') } else { names.assign(parts) };
        let path = [&folder.disk, &b"/"[..], &given].concat();
        odd = odd || !paths::is_printable(&path);
        let web = as_written(&path, std::iter::once(folder.raw).chain(texts(entry.path)));
        let (name, disk) = match String::from_utf8(path) {
            Ok(name) => (name, None),
            Err(error) => (String::new(), Some(error.into_bytes().into())),
        };
        out.push(File { name, length, offset, pad, web, disk });
    }
    if out.is_empty() {
        return Err(MetainfoError::NoData("the list of files is empty"));
    }
    if links > 0 {
        remarks.add(|| format!("symbolic links are not made: {links} left out"));
    }
    if names.renamed() > 0 {
        remarks
            .add(|| format!("names that were taken already, and renamed to `name (2)` and so on: {}", names.renamed()));
    }
    drop(names);
    if odd {
        make_printable(files, folder, &mut out)?;
    }
    Ok(out)
}

/// Sets the printable name of each file, and its path on disk if it differs from the printable name.
fn make_printable(list: Value<'_>, folder: &Folder<'_>, out: &mut [File]) -> Result<(), MetainfoError> {
    let mut names = UsedPaths::default();
    // `read_files` has already reported the warnings.
    let mut remarks = ParseWarnings::default();
    let mut files = out.iter_mut();
    for (n, file) in list.list().into_iter().flatten().enumerate() {
        let Some(entry) = read_entry(file, n + 1, &mut remarks)? else { continue };
        let Some(file) = files.next() else { break };
        let parts = paths::printable_path(texts(entry.path), PathRules::NATIVE);
        let given = if file.pad { parts.join(&b'/') } else { names.assign(parts) };
        let name = format!("{}/{}", folder.name, String::from_utf8_lossy(&given));
        if name.as_bytes() == file.bytes() {
            continue;
        }
        let disk = file.disk.take().unwrap_or_else(|| std::mem::take(&mut file.name).into_bytes().into());
        file.web = file.web.take().or_else(|| web_seed::percent_encode_path(disk.split(|b| *b == b'/')));
        (file.name, file.disk) = (name, Some(disk));
    }
    Ok(())
}

/// The torrent's own name: the root folder of a multi-file torrent, or the only file.
pub(super) struct Folder<'a> {
    /// As written in the torrent.
    pub raw: &'a [u8],
    /// Name on disk.
    pub disk: Cow<'a, [u8]>,
    /// Printable name.
    pub name: String,
}

impl<'a> Folder<'a> {
    pub(super) fn new(raw: &'a [u8]) -> Self {
        let disk = paths::component(raw, PathRules::NATIVE).unwrap_or(Cow::Borrowed(b"_"));
        let name = paths::printable(raw, PathRules::NATIVE).unwrap_or_else(|| "_".to_owned());
        Folder { raw, disk, name }
    }

    fn is_odd(&self) -> bool {
        *self.disk != *self.name.as_bytes()
    }

    /// Returns the file of a single-file torrent.
    pub(super) fn file(&self, length: u64) -> File {
        let disk = self.is_odd().then(|| self.disk.clone().into());
        let web = as_written(self.name.as_bytes(), std::iter::once(self.raw));
        File { name: self.name.clone(), length, offset: 0, pad: false, web, disk }
    }
}

/// Returns the percent-encoded original path; `None` if it equals `path` or cannot be part of a URL.
fn as_written<'a>(path: &[u8], raw: impl Iterator<Item = &'a [u8]> + Clone) -> Option<String> {
    let same = path.split(|b| *b == b'/').eq(raw.clone());
    if same { None } else { web_seed::percent_encode_path(raw) }
}
