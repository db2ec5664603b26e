//! The list of files in an `info` dictionary: their paths on disk, their printable names, and padding.

use std::borrow::Cow;
use std::path::PathBuf;

use super::error::{MetainfoError, Place};
use super::paths::{self, Names, Rules};
use super::remarks::Remarks;
use super::{length, need, pick};
use crate::limits;
use crate::wire::bencode::{Items, Kind, Value};
use crate::wire::web_seed;

/// How BitComet calls the files that fill up a piece; the number follows.
const BITCOMET_PAD: &[u8] = b"_____padding_file_";

/// One file of a torrent.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct File {
    /// Its printable path below the download folder, with the torrent's own folder, components joined by `/`. No two
    /// files have one, and it can be joined to a folder; the data lie under [`File::path`].
    pub name: String,
    /// Its bytes.
    pub length: u64,
    /// Where its data begin in the torrent.
    pub offset: u64,
    /// Whether it is padding (BEP 47): zeros that are hashed, never written and never asked for. Its path may be
    /// another file's too.
    pub pad: bool,
    /// Its path as the maker wrote it, escaped for URLs (BEP 19), where `name` had to be another one.
    pub web: Option<String>,
    /// The bytes of its path on disk, where they differ from `name`.
    pub(super) disk: Option<Box<[u8]>>,
}

impl File {
    /// The bytes of its path below the download folder, components joined by `/`: at least one, none of them empty, `.`
    /// or `..`. On Windows they are UTF-8.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.disk.as_deref().unwrap_or(self.name.as_bytes())
    }

    /// Its path below the download folder.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        paths::to_path(self.bytes())
    }
}

/// One entry of the list as it was written; symbolic links that would be left out are no entries.
pub(super) struct Entry<'a> {
    /// Its components, of which `path.utf-8` is preferred.
    pub path: Value<'a>,
    /// The components of `path`.
    pub raw: Value<'a>,
    length: u64,
    pad: bool,
}

/// The texts of a list that holds nothing else.
pub(super) fn texts(path: Value<'_>) -> impl Iterator<Item = &[u8]> + Clone {
    let list: Option<Items<'_>> = path.list();
    list.into_iter().flatten().filter_map(|part| part.text())
}

/// Reads entry `number` (from 1) of the list; nothing for a link without data, which is never made.
pub(super) fn read_entry<'a>(
    file: Value<'a>,
    number: usize,
    remarks: &mut Remarks,
) -> Result<Option<Entry<'a>>, MetainfoError> {
    let place = Place::File(number);
    let file = need(Some(file), "files", Place::Entry(number), Kind::Dictionary)?;
    let [raw, utf8, size, attr] = pick(file, ["path", "path.utf-8", "length", "attr"]);
    let attr = remarks.wish(attr, "attr", Kind::Text).and_then(|v| v.text()).unwrap_or_default();
    let link = attr.contains(&b'l');
    let length = if link && size.is_none() { 0 } else { length(size, place)? };
    let raw = need(raw, "path", place, Kind::List)?;
    let plain = |v: &Value<'_>| {
        v.list().is_some_and(|mut l| {
            l.next().is_some() && l.all(|p| p.text().is_some_and(|t| std::str::from_utf8(t).is_ok()))
        })
    };
    let path = utf8.filter(plain).unwrap_or(raw);
    if let Some(part) = path.list().into_iter().flatten().find(|p| p.kind() != Kind::Text) {
        return Err(MetainfoError::WrongKind { key: "path", place, is: part.kind(), wanted: Kind::Text });
    }
    // One that claims data is a plain file.
    Ok((!link || length > 0).then_some(Entry { path, raw, length, pad: attr.contains(&b'p') }))
}

/// Whether a file that fills a piece to its end bears the name of padding: makers that know no `attr` tell it so.
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

/// Reads the list of files of a torrent whose folder has these names; their sum goes to `total`.
pub(super) fn read_files(
    files: Value<'_>,
    folder: &Folder<'_>,
    piece_length: u32,
    total: &mut u64,
    remarks: &mut Remarks,
) -> Result<Vec<File>, MetainfoError> {
    let mut names = Names::default();
    let mut out = Vec::new();
    let (mut links, mut odd) = (0, folder.is_odd());
    let list = need(Some(files), "files", Place::Plain, Kind::List)?.list();
    for (n, file) in list.into_iter().flatten().enumerate() {
        if out.len() >= limits::FILES {
            return Err(MetainfoError::TooManyFiles { max: limits::FILES });
        }
        let Some(entry) = read_entry(file, n + 1, remarks)? else {
            links += 1;
            continue;
        };
        let (length, offset) = (entry.length, *total);
        *total = total.checked_add(length).filter(|t| *t <= i64::MAX as u64).ok_or(MetainfoError::TooLong)?;
        let pad = entry.pad || is_named_pad(entry.path, length, offset, piece_length);
        let parts = paths::path(texts(entry.path), Rules::HERE);
        let given = if pad { parts.join(&b'/') } else { names.give(parts) };
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

/// Gives each file its printable name, and its path on disk where that is another one.
fn make_printable(list: Value<'_>, folder: &Folder<'_>, out: &mut [File]) -> Result<(), MetainfoError> {
    let mut names = Names::default();
    // All was remarked upon before.
    let mut remarks = Remarks::default();
    let mut files = out.iter_mut();
    for (n, file) in list.list().into_iter().flatten().enumerate() {
        let Some(entry) = read_entry(file, n + 1, &mut remarks)? else { continue };
        let Some(file) = files.next() else { break };
        let parts = paths::printable_path(texts(entry.path), Rules::HERE);
        let given = if file.pad { parts.join(&b'/') } else { names.give(parts) };
        let name = format!("{}/{}", folder.name, String::from_utf8_lossy(&given));
        if name.as_bytes() == file.bytes() {
            continue;
        }
        let disk = file.disk.take().unwrap_or_else(|| std::mem::take(&mut file.name).into_bytes().into());
        file.web = file.web.take().or_else(|| web_seed::escaped(disk.split(|b| *b == b'/')));
        (file.name, file.disk) = (name, Some(disk));
    }
    Ok(())
}

/// The torrent's own name: what it was made from, how it is called on disk, and how it is shown.
pub(super) struct Folder<'a> {
    /// As the maker wrote it.
    pub raw: &'a [u8],
    /// On disk.
    pub disk: Cow<'a, [u8]>,
    /// Printable.
    pub name: String,
}

impl<'a> Folder<'a> {
    pub fn new(raw: &'a [u8]) -> Self {
        let disk = paths::component(raw, Rules::HERE).unwrap_or(Cow::Borrowed(b"_"));
        let name = paths::printable(raw, Rules::HERE).unwrap_or_else(|| "_".to_owned());
        Folder { raw, disk, name }
    }

    fn is_odd(&self) -> bool {
        *self.disk != *self.name.as_bytes()
    }

    /// The file of a torrent that has only one.
    pub fn file(&self, length: u64) -> File {
        let disk = self.is_odd().then(|| self.disk.clone().into());
        let web = as_written(self.name.as_bytes(), std::iter::once(self.raw));
        File { name: self.name.clone(), length, offset: 0, pad: false, web, disk }
    }
}

/// A path as its maker wrote it, escaped for URLs, if it is another one than `path`.
fn as_written<'a>(path: &[u8], raw: impl Iterator<Item = &'a [u8]> + Clone) -> Option<String> {
    let same = path.split(|b| *b == b'/').eq(raw.clone());
    if same { None } else { web_seed::escaped(raw) }
}
