//! Names of strangers made safe, in two ways: [`path`] gives the path on disk, which holds the bytes of the torrent
//! wherever a file system takes them, and [`printable_path`] the one that can be shown. No path made here can leave
//! the folder that it is joined to, and no two files get one path.
//!
//! Two names that differ only by case, by Unicode form or by a character that cannot be seen are two files here; where
//! a file system cannot tell them apart, that is for the disk layer to see ([`folded`]).

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::PathBuf;

use unicode_normalization::UnicodeNormalization;

use crate::limits;
use crate::wire::text::{Harm, harm};

/// Which names a file system takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rules {
    /// Everything but the separator and NUL.
    Unix,
    /// No `<>:"|?*`, no reserved names, no dot or space at the end.
    Windows,
}

impl Rules {
    /// The rules of the system that this program was built for.
    pub const HERE: Rules = if cfg!(windows) { Rules::Windows } else { Rules::Unix };
}

/// The longest extension that survives when a name is cut, in bytes.
const EXTENSION: usize = 16;

/// The name on disk for one component of a torrent's path; nothing for an empty one and for `.`, which name no file.
///
/// On Unix these are the bytes themselves: only `/` and NUL are replaced, `..` too, and what is longer than
/// [`limits::PATH_COMPONENT`] is cut. Windows takes UTF-8 only, without controls and `<>:"/\|?*`, reserved names, and
/// dots or spaces at the end.
#[must_use]
pub fn component(raw: &[u8], rules: Rules) -> Option<Cow<'_, [u8]>> {
    match raw {
        b"" | b"." => return None,
        b".." => return Some(Cow::Borrowed(b"_")),
        _ => {}
    }
    if rules == Rules::Windows {
        return Some(Cow::Owned(windows(raw).into_bytes()));
    }
    let mut name = Cow::Borrowed(raw);
    if raw.iter().any(|b| matches!(b, b'/' | 0)) {
        name.to_mut().iter_mut().filter(|b| matches!(b, b'/' | 0)).for_each(|b| *b = b'_');
    }
    if name.len() > limits::PATH_COMPONENT {
        name = Cow::Owned(cut(&name, limits::PATH_COMPONENT));
    }
    Some(name)
}

/// The name of a component on Windows, neither empty nor `.` nor `..`.
fn windows(raw: &[u8]) -> String {
    let allowed = |c: char| match c {
        '\0'..='\u{1f}' | '<' | '>' | ':' | '"' | '/' | '\\' | '|' | '?' | '*' => '_',
        c => c,
    };
    reserved(String::from_utf8_lossy(raw).chars().map(allowed).collect())
}

/// The name, cut and changed where Windows would take it for another one.
fn reserved(name: String) -> String {
    let mut name = cut_text(name);
    if is_reserved(&name) {
        name = cut_text(format!("_{name}"));
    }
    if name.ends_with(['.', ' ']) {
        name.pop();
        name.push('_');
    }
    name
}

/// The component as it can be shown, and as earlier versions named it on disk: UTF-8 without separators, controls,
/// drive letters and characters that change the direction of text or cannot be seen. Nothing for one of which nothing
/// is left.
#[must_use]
pub fn printable(raw: &[u8], rules: Rules) -> Option<String> {
    // A name is cut to 255 bytes; what lies far beyond need not be looked at, but the extension at the end is kept.
    let text = String::from_utf8_lossy(raw);
    let mut name: String = text
        .chars()
        .filter_map(|c| match harm(c) {
            Harm::Control => Some('_'),
            Harm::Direction => None,
            // Joiners and variation selectors make emoji and letters of some scripts: they belong to the name.
            Harm::Invisible => belongs(c).then_some(c),
            Harm::None if matches!(c, '/' | '\\') => Some('_'),
            Harm::None if rules == Rules::Windows && matches!(c, '<' | '>' | ':' | '"' | '|' | '?' | '*') => Some('_'),
            Harm::None => Some(c),
        })
        .collect();
    if has_drive(&name) {
        name.replace_range(1..2, "_");
    }
    match name.as_str() {
        "" | "." => return None,
        ".." => name = "_".to_owned(),
        _ => {}
    }
    Some(if rules == Rules::Windows { reserved(name) } else { cut_text(name) })
}

/// Whether the components of a path joined by `/` are what [`printable`] makes of them.
#[must_use]
pub fn is_printable(path: &[u8]) -> bool {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b' ' | b'.' | b'-' | b'_' | b'(' | b')');
    // Nearly all names are spared the second look.
    path.iter().all(plain) && Rules::HERE == Rules::Unix
        || path.split(|b| *b == b'/').all(|part| printable(part, Rules::HERE).is_some_and(|p| p.as_bytes() == part))
}

/// The path of these bytes, components joined by `/`; on Windows they are UTF-8.
#[must_use]
pub fn to_path(bytes: &[u8]) -> PathBuf {
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt;
        PathBuf::from(std::ffi::OsStr::from_bytes(bytes))
    }
    #[cfg(not(unix))]
    String::from_utf8_lossy(bytes).split('/').collect()
}

/// Whether an invisible character is a joiner or a variation selector.
fn belongs(c: char) -> bool {
    matches!(c, '\u{200c}' | '\u{200d}' | '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}')
}

/// Whether it begins with a drive letter: `C:` or `C:..`.
fn has_drive(name: &str) -> bool {
    matches!(name.as_bytes(), [letter, b':', rest @ ..]
        if letter.is_ascii_alphabetic() && matches!(rest.first(), None | Some(b'_')))
}

/// Whether Windows takes this name for a device.
#[must_use]
pub fn is_reserved(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or(name).trim_end().to_ascii_uppercase();
    match stem.as_bytes() {
        b"CON" | b"PRN" | b"AUX" | b"NUL" | b"CONIN$" | b"CONOUT$" => true,
        [b'C', b'O', b'M', rest @ ..] | [b'L', b'P', b'T', rest @ ..] => {
            matches!(rest, [b'0'..=b'9'] | [0xc2, 0xb9 | 0xb2 | 0xb3])
        }
        _ => false,
    }
}

/// The extension of a name with its dot, if it is one worth keeping.
fn extension(name: &[u8]) -> &[u8] {
    match name.iter().rposition(|b| *b == b'.') {
        Some(dot) if dot > 0 && name.len() - dot <= EXTENSION => &name[dot..],
        _ => b"",
    }
}

/// The name with its stem cut, at a character, so that all of it takes at most `max` bytes.
fn cut(name: &[u8], max: usize) -> Vec<u8> {
    let extension = extension(name);
    let stem = floor(&name[..name.len() - extension.len()], max - extension.len());
    [stem, extension].concat()
}

/// A text as [`cut`] leaves it: bytes that were UTF-8 are so afterwards.
fn cut_text(name: String) -> String {
    if name.len() <= limits::PATH_COMPONENT {
        return name;
    }
    String::from_utf8_lossy(&cut(name.as_bytes(), limits::PATH_COMPONENT)).into_owned()
}

/// The front of `name` that takes at most `max` bytes and ends at a character, as far as it consists of such.
fn floor(name: &[u8], max: usize) -> &[u8] {
    let mut at = max.min(name.len());
    // No character has more than three bytes after its first.
    let least = at.saturating_sub(3);
    while at < name.len() && at > least && name[at] & 0xc0 == 0x80 {
        at -= 1;
    }
    &name[..at]
}

/// `name (n).ext`, cut to what a file system takes.
fn numbered(name: &[u8], n: u32) -> Vec<u8> {
    let extension = extension(name);
    let suffix = [format!(" ({n})").as_bytes(), extension].concat();
    let stem = floor(&name[..name.len() - extension.len()], limits::PATH_COMPONENT - suffix.len());
    [stem, &suffix].concat()
}

/// The components of a path on disk. What is too deep or too long loses folders in its middle.
#[must_use]
pub fn path<'a>(raw: impl Iterator<Item = &'a [u8]>, rules: Rules) -> Vec<Cow<'a, [u8]>> {
    shortened(raw.filter_map(|part| component(part, rules)))
}

/// The components of a path as [`printable`] makes them; shortened as [`path`] does.
#[must_use]
pub fn printable_path<'a>(raw: impl Iterator<Item = &'a [u8]>, rules: Rules) -> Vec<Cow<'a, [u8]>> {
    shortened(raw.filter_map(|part| printable(part, rules)).map(|part| Cow::Owned(part.into_bytes())))
}

fn shortened<'a>(all: impl Iterator<Item = Cow<'a, [u8]>>) -> Vec<Cow<'a, [u8]>> {
    let mut parts: Vec<Cow<'a, [u8]>> = Vec::new();
    let mut length = 0;
    let mut last: Option<Cow<'a, [u8]>> = None;
    for part in all {
        // One place is the torrent's own folder, one the file's name.
        if let Some(folder) = last.replace(part)
            && parts.len() + 2 < limits::PATH_DEPTH
            && length + folder.len() < limits::PATH_LENGTH - 2 * (limits::PATH_COMPONENT + 1)
        {
            length += folder.len() + 1;
            parts.push(folder);
        }
    }
    parts.push(last.unwrap_or(Cow::Borrowed(b"_")));
    parts
}

/// What is left of a name where neither case nor Unicode form is told apart. Two paths that are equal after this are
/// one file on many systems.
#[must_use]
pub fn folded(path: &str) -> String {
    path.nfc().flat_map(char::to_lowercase).nfc().collect()
}

/// Names given out so far in one torrent. They are borrowed from its bytes as far as they are those: a torrent may have
/// a million of them.
#[derive(Debug, Default)]
pub struct Names<'a> {
    // What stands under a name in a folder: the number of the folder of this name, 0 if there is none. The torrent's
    // own folder is 0.
    taken: HashMap<(u32, Cow<'a, [u8]>), u32>,
    // What a folder is called, where a file has the name already.
    other_names: HashMap<u32, Vec<u8>>,
    // The number that was given to the last namesake.
    namesakes: HashMap<(u32, Cow<'a, [u8]>), u32>,
    folders: u32,
    renamed: u32,
}

impl<'a> Names<'a> {
    /// Gives a file the path that it asks for, or the nearest one that is free; the components joined by `/`.
    pub fn give(&mut self, wanted: Vec<Cow<'a, [u8]>>) -> Vec<u8> {
        let mut parts = wanted;
        let file = parts.pop().unwrap_or(Cow::Borrowed(b"_"));
        let mut out = Vec::with_capacity(parts.iter().map(|part| part.len() + 1).sum::<usize>() + file.len());
        let mut folder = 0;
        for part in parts {
            folder = self.enter(folder, part, &mut out);
            out.push(b'/');
        }
        match self.taken.entry((folder, file)) {
            Entry::Vacant(free) => {
                out.extend_from_slice(&free.key().1);
                free.insert(0);
            }
            Entry::Occupied(held) => {
                let name = held.key().1.clone();
                out.extend_from_slice(&self.free_name(folder, name, 0));
            }
        }
        out
    }

    /// How many files and folders did not get the name that they asked for.
    #[must_use]
    pub const fn renamed(&self) -> u32 {
        self.renamed
    }

    /// The number of the folder of this name in that folder; the name that it really has goes to `out`.
    fn enter(&mut self, parent: u32, name: Cow<'a, [u8]>, out: &mut Vec<u8>) -> u32 {
        match self.taken.entry((parent, name)) {
            Entry::Vacant(free) => {
                self.folders += 1;
                out.extend_from_slice(&free.key().1);
                free.insert(self.folders);
                self.folders
            }
            Entry::Occupied(mut held) => {
                let name = held.key().1.clone();
                let known = *held.get();
                if known != 0 {
                    out.extend_from_slice(self.other_names.get(&known).map_or(&name[..], |other| other));
                    return known;
                }
                // A file is called like this folder: the folder gets another name, for all that lies in it.
                self.folders += 1;
                let id = self.folders;
                held.insert(id);
                let other = self.free_name(parent, name, id);
                out.extend_from_slice(&other);
                self.other_names.insert(id, other);
                id
            }
        }
    }

    /// Takes the first free `name (n)` in a folder, for a file (0) or for folder number `id`.
    fn free_name(&mut self, parent: u32, name: Cow<'a, [u8]>, id: u32) -> Vec<u8> {
        self.renamed = self.renamed.saturating_add(1);
        let mut n = self.namesakes.get(&(parent, name.clone())).copied().unwrap_or(1);
        loop {
            n += 1;
            if let Entry::Vacant(free) = self.taken.entry((parent, Cow::Owned(numbered(&name, n)))) {
                let found = free.key().1.to_vec();
                free.insert(id);
                self.namesakes.insert((parent, name), n);
                return found;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unix(raw: &[u8]) -> Option<String> {
        printable(raw, Rules::Unix)
    }

    #[test]
    fn on_disk_a_name_is_what_the_torrent_says() {
        let same: &[&[u8]] = &[
            b"a\\b.bin",
            b"x\r\n\x01\x7f\x1b[2J",
            b"caf\xe9",
            b"\xed\xa0\x80",
            b"C:",
            b"...",
            b"NUL",
            b" . ",
            "x\u{200e}\u{202e}\u{61c}\u{200b}\u{ad}\u{feff}\u{3164}\u{2060}\u{180e}\u{2028}\u{e0041}\u{85}".as_bytes(),
        ];
        for raw in same {
            assert_eq!(component(raw, Rules::Unix).as_deref(), Some(*raw), "{}", raw.escape_ascii());
        }
        let changed: &[(&[u8], Option<&[u8]>)] = &[
            (b"", None),
            (b".", None),
            (b"..", Some(b"_")),
            (b"../../x", Some(b".._.._x")),
            (b"/etc/x\0", Some(b"_etc_x_")),
        ];
        for (raw, want) in changed {
            assert_eq!(component(raw, Rules::Unix).as_deref(), *want, "{}", raw.escape_ascii());
        }
        let windows = |raw: &[u8]| String::from_utf8(component(raw, Rules::Windows).unwrap().into_owned()).unwrap();
        for (raw, want) in [
            (&b"C:\\x"[..], "C__x"),
            (b"a\x01b?", "a_b_"),
            (b"con", "_con"),
            (b"x. ", "x._"),
            (b"caf\xe9", "caf\u{fffd}"),
            ("a\u{200b}".as_bytes(), "a\u{200b}"),
        ] {
            assert_eq!(windows(raw), want);
        }
        let long = component(&[0xe9; 300], Rules::Unix).unwrap().into_owned();
        assert!((252..=255).contains(&long.len()), "bytes that are no characters are cut, too");
        assert!(is_printable(b"a (2)/b-c_d.txt") && is_printable("\u{e9}/\u{96ea}".as_bytes()));
        assert!(![&b"a\\b"[..], b"\xff", b"C:", "\u{200b}".as_bytes()].into_iter().any(is_printable));
    }

    #[test]
    fn no_component_leads_anywhere() {
        let cases: &[(&[u8], Option<&str>)] = &[
            (b"", None),
            (b".", None),
            (b"..", Some("_")),
            (b"...", Some("...")),
            (b"/", Some("_")),
            (b"/etc/passwd", Some("_etc_passwd")),
            (b"../../x", Some(".._.._x")),
            (b"..\\..\\x", Some(".._.._x")),
            (b"C:\\x", Some("C__x")),
            (b"C:", Some("C_")),
            (b"Part 1: x", Some("Part 1: x")),
            (b"a\0b\nc", Some("a_b_c")),
            (b"caf\xe9", Some("caf\u{fffd}")),
            (b"\xc0\xae\xc0\xae", Some("\u{fffd}\u{fffd}\u{fffd}\u{fffd}")),
            ("a\u{202e}b\u{200b}.".as_bytes(), Some("ab.")),
            ("\u{200b}.\u{202e}.".as_bytes(), Some("_")),
            (b"CON.txt", Some("CON.txt")),
            (b"~", Some("~")),
            (b"-rf", Some("-rf")),
        ];
        for (raw, want) in cases {
            assert_eq!(unix(raw).as_deref(), *want, "{}", raw.escape_ascii());
        }
    }

    #[test]
    fn names_of_windows_are_avoided_there() {
        for (raw, want) in [
            ("CON.txt", "_CON.txt"),
            ("nul", "_nul"),
            ("com1.x", "_com1.x"),
            ("COM\u{b9}", "_COM\u{b9}"),
            ("community", "community"),
            ("a. ", "a._"),
            ("b.", "b_"),
            ("a:b?*", "a_b__"),
            ("con.", "_con_"),
        ] {
            assert_eq!(printable(raw.as_bytes(), Rules::Windows).as_deref(), Some(want));
        }
    }

    #[test]
    fn a_long_name_is_cut_at_a_character_and_keeps_its_extension() {
        let name = unix(format!("{}.torrent", "雪".repeat(200)).as_bytes()).unwrap();
        assert!(name.len() <= 255 && name.len() > 250 && name.ends_with("雪.torrent"), "{name}");
        assert_eq!(unix(&[b'n'; 300]).unwrap().len(), 255);
        let dots = printable(&[b'.'; 300], Rules::Windows).unwrap();
        assert!(dots.len() == 255 && dots.ends_with("._"), "cutting leaves no dot at the end");
        assert_eq!(numbered(&[b'n'; 255], 12).len(), 255);
    }

    #[test]
    fn a_deep_or_long_path_loses_its_middle() {
        let deep = vec![&b"d"[..]; 2000];
        assert_eq!(path(deep.into_iter(), Rules::Unix).len(), limits::PATH_DEPTH - 1);
        let long = path([[b'e'; 200]; 45].iter().map(|e| &e[..]).chain([&b"end"[..]]), Rules::Unix);
        assert!(long.iter().map(|p| p.len() + 1).sum::<usize>() + 256 <= limits::PATH_LENGTH);
        assert_eq!(**long.last().unwrap(), *b"end");
        assert_eq!(path([&b""[..], b".", b""].into_iter(), Rules::Unix), [&b"_"[..]]);
    }

    #[test]
    fn no_two_files_get_one_path() {
        let mut names = Names::default();
        let mut give = |path: &str| {
            let parts = path.split('/').map(|part| Cow::Owned(part.as_bytes().to_vec()));
            String::from_utf8(names.give(parts.collect())).unwrap()
        };
        assert_eq!(give("a"), "a");
        assert_eq!(give("a"), "a (2)");
        assert_eq!(give("a/b"), "a (3)/b", "a file is called like the folder");
        assert_eq!(give("a/c"), "a (3)/c", "all of a folder stays together");
        assert_eq!(give("d/e.txt"), "d/e.txt");
        assert_eq!(give("d/e.txt"), "d/e (2).txt");
        assert_eq!(give("d"), "d (2)", "a folder is called like the file");
        assert_eq!(give("d (2)/x"), "d (2) (2)/x");
        assert_eq!(give("A"), "A", "case is told apart");
        assert_eq!(folded("CAFE\u{301}"), folded("caf\u{e9}"));
    }
}
