//! Alternative paths under which the files of a torrent may already exist on disk: other Unicode normalization forms,
//! other character sets, and the names that earlier versions of `ttui` used.

use std::borrow::Cow;

use bytes::Bytes;
use encoding_rs::{BIG5, EUC_KR, Encoding, GBK, SHIFT_JIS, WINDOWS_1251, WINDOWS_1252};
use unicode_normalization::UnicodeNormalization;

use super::error::{KeyLocation, MetainfoError};
use super::fields::{pick, read_name, read_piece_length, require};
use super::files::{File, Folder, read_entry, read_files, texts};
use super::paths::{self, PathRules};
use super::warnings::ParseWarnings;
use crate::wire::bencode::{Kind, Value};

/// Character sets that are tried for names that are not UTF-8, in addition to the `encoding` key.
const SETS: [&Encoding; 6] = [GBK, WINDOWS_1251, WINDOWS_1252, SHIFT_JIS, BIG5, EUC_KR];

/// Generates the alternative paths of a torrent's files on demand.
#[derive(Clone, Debug)]
pub struct Aliases {
    info: Bytes,
    encoding: Option<&'static Encoding>,
}

/// The alternative paths of one file; components joined by `/`.
struct Paths {
    own: Vec<u8>,
    all: Vec<Vec<u8>>,
}

impl Paths {
    fn add(&mut self, path: Vec<u8>) {
        if path != self.own && !self.all.contains(&path) {
            self.all.push(path);
        }
    }

    /// Adds a path in Unicode normalization forms C and D.
    fn add_forms(&mut self, path: &str) {
        self.add(path.nfc().collect::<String>().into_bytes());
        self.add(path.nfd().collect::<String>().into_bytes());
    }

    /// Adds a path as written in the torrent, and the same bytes decoded with each of the character sets.
    fn add_written(&mut self, parts: &[&[u8]], sets: &[&'static Encoding]) {
        self.add(disk_path(parts.iter().copied()));
        for set in sets {
            let texts = parts.iter().map(|part| set.decode_without_bom_handling_and_without_replacement(part));
            if let Some(texts) = texts.collect::<Option<Vec<Cow<'_, str>>>>() {
                let path = disk_path(texts.iter().map(|text| text.as_bytes()));
                self.add_forms(&String::from_utf8_lossy(&path));
                self.add(path);
            }
        }
    }
}

/// Returns the path on disk for raw components, of which the first one is the torrent's name.
fn disk_path<'a>(mut parts: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let own = Folder::new(parts.next().unwrap_or_default()).disk.into_owned();
    let mut rest = parts.peekable();
    match rest.peek() {
        None => own,
        Some(_) => [own, paths::path(rest, PathRules::NATIVE).join(&b'/')].join(&b'/'),
    }
}

impl Aliases {
    /// Returns the generator for a validated `info` dictionary; `None` if none of its files can have another path.
    ///
    /// `encoding` is the character set that the torrent names for its texts.
    pub(super) fn new(info: &Bytes, files: &[File], encoding: Option<&str>) -> Option<Self> {
        let odd = |file: &File| !file.pad && (file.bytes() != file.name.as_bytes() || !file.name.is_ascii());
        let encoding = encoding.and_then(|label| Encoding::for_label(label.as_bytes()));
        files.iter().any(odd).then(|| Aliases { info: info.clone(), encoding })
    }

    /// Calls a callback with the alternative paths of each file in `wanted`, the most likely path first.
    ///
    /// `wanted` holds file indices in ascending order. Paths are safe, as [`File::bytes`] are, but not unique: two
    /// files can have the same alternative path.
    pub fn each(&self, wanted: &[usize], mut tell: impl FnMut(usize, &[Vec<u8>])) {
        // `info` was validated when the torrent was parsed, so this cannot fail.
        let _ = self.walk(wanted, &mut tell);
    }

    fn walk(&self, wanted: &[usize], tell: &mut dyn FnMut(usize, &[Vec<u8>])) -> Result<(), MetainfoError> {
        let info = Value::parse(&self.info)?;
        let keys = ["name", "name.utf-8", "files", "piece length"];
        let [name, utf8, list, piece_length] = pick(info, keys);
        let mut remarks = ParseWarnings::default();
        let own = Folder::new(read_name(name, utf8, &mut remarks)?);
        let raw_name = require(name, "name", KeyLocation::Plain, Kind::ByteString)?.as_bytes().unwrap_or_default();
        let Some(list) = list else {
            tell(0, &self.paths(&own.file(0), &[raw_name]));
            return Ok(());
        };
        let piece_length = read_piece_length(piece_length)?;
        let files = read_files(list, &own, piece_length, &mut 0, &mut remarks)?;
        let mut wanted = wanted.iter().copied().peekable();
        let mut files = files.into_iter().enumerate();
        for (n, entry) in list.list().into_iter().flatten().enumerate() {
            let Some(entry) = read_entry(entry, n + 1, &mut remarks)? else { continue };
            let Some((n, file)) = files.next() else { break };
            if wanted.next_if_eq(&n).is_some() {
                let parts: Vec<&[u8]> = std::iter::once(raw_name).chain(texts(entry.raw)).collect();
                tell(n, &self.paths(&file, &parts));
            }
        }
        Ok(())
    }

    fn paths(&self, file: &File, written: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut paths = Paths { own: file.bytes().to_vec(), all: Vec::new() };
        if let Ok(path) = std::str::from_utf8(file.bytes()) {
            paths.add_forms(path);
        }
        paths.add(file.name.clone().into_bytes());
        let sets: Vec<&'static Encoding> = match written.iter().all(|part| std::str::from_utf8(part).is_ok()) {
            true => self.encoding.into_iter().collect(),
            false => self.encoding.into_iter().chain(SETS).collect(),
        };
        paths.add_written(written, &sets);
        paths.all
    }
}

#[cfg(test)]
mod tests {
    use crate::wire::bencode::OwnedValue;
    use crate::wire::metainfo::Metainfo;

    fn torrent(info: Vec<(&str, OwnedValue)>, encoding: &str) -> Metainfo {
        let mut info = info;
        info.extend([("piece length", OwnedValue::from(16_384)), ("pieces", OwnedValue::from(vec![7; 20]))]);
        let top = [("info", OwnedValue::dictionary(info)), ("encoding", OwnedValue::from(encoding))];
        Metainfo::parse(&OwnedValue::dictionary(top).encode()).unwrap()
    }

    fn others(it: &Metainfo) -> Vec<String> {
        let mut all = Vec::new();
        it.aliases().unwrap().each(&[0], |_, paths| all.extend(paths.iter().map(|p| p.escape_ascii().to_string())));
        all
    }

    fn escaped(text: &str) -> String {
        text.as_bytes().escape_ascii().to_string()
    }

    #[test]
    fn a_file_is_also_looked_for_in_other_forms_and_character_sets() {
        let single = |name: &[u8]| vec![("name", OwnedValue::from(name)), ("length", OwnedValue::from(9))];
        let cases: [(&[u8], &str, &str); 7] = [
            (b"\xd6\xd0\xce\xc4.txt", "GBK", "\u{4e2d}\u{6587}.txt"),
            (b"\xcf\xf0\xe8\xe2\xe5\xf2", "windows-1251", "\u{41f}\u{440}\u{438}\u{432}\u{435}\u{442}"),
            (b"caf\xe9", "ISO-8859-1", "caf\u{e9}"),
            (b"\x93\xfa\x96{", "", "\u{65e5}\u{672c}"),
            (b"\xa4\xa4\xa4\xe5", "Big5", "\u{4e2d}\u{6587}"),
            (b"\xc7\xd1\xb1\xdb", "", "\u{d55c}\u{ae00}"),
            ("caf\u{e9}".as_bytes(), "UTF-8", "cafe\u{301}"),
        ];
        for (raw, encoding, wanted) in cases {
            let all = others(&torrent(single(raw), encoding));
            assert!(all.contains(&escaped(wanted)), "{wanted}: {all:?}");
        }
    }

    #[test]
    fn the_name_in_bytes_and_the_one_of_earlier_versions_are_among_them() {
        let file = OwnedValue::dictionary([
            ("length", OwnedValue::from(9)),
            ("path", OwnedValue::from(vec![OwnedValue::from(&b"\xb2\xe2"[..]), OwnedValue::from("a")])),
            ("path.utf-8", OwnedValue::from(vec![OwnedValue::from("\u{6d4b}"), OwnedValue::from("a")])),
        ]);
        let info = vec![
            ("name", OwnedValue::from(&b"\xca\xd4"[..])),
            ("name.utf-8", OwnedValue::from("\u{8bd5}")),
            ("files", OwnedValue::from(vec![file])),
        ];
        let all = others(&torrent(info, "GBK"));
        assert!(all.contains(&r"\xca\xd4/\xb2\xe2/a".to_owned()), "{all:?}");
        let info = vec![("name", OwnedValue::from("a\u{200b}b\\c\u{202e}d")), ("length", OwnedValue::from(9))];
        assert!(others(&torrent(info, "")).contains(&escaped("ab_cd")));
        let plain = torrent(vec![("name", OwnedValue::from("a b.txt")), ("length", OwnedValue::from(9))], "GBK");
        assert!(plain.aliases().is_none());
    }
}
