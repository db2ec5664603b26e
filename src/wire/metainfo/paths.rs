//! Turns the untrusted path components of a torrent into safe paths.
//!
//! [`path`] returns the path on disk, which keeps the bytes of the torrent as far as the file system allows.
//! [`printable_path`] returns the path to display. Neither can leave the folder that it is joined to, and [`UsedPaths`]
//! makes the paths of a torrent unique.
//!
//! Names that differ only by case, Unicode normalization or invisible characters count as different here. The disk
//! layer handles file systems that cannot distinguish them (`case_folded`).

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::PathBuf;

use unicode_normalization::UnicodeNormalization;

use crate::limits;
use crate::wire::sanitize::{CharHazard, hazard};

/// Naming rules of a file system.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PathRules {
    /// Everything is allowed but `/` and NUL.
    Unix,
    /// No `<>:"|?*`, no reserved device names, no dot or space at the end.
    Windows,
}

impl PathRules {
    /// The rules of the target platform.
    pub const NATIVE: PathRules = if cfg!(windows) { PathRules::Windows } else { PathRules::Unix };
}

/// Maximum length of a file extension that survives truncation, in bytes, including the dot.
const EXTENSION: usize = 16;

/// Returns the name on disk for a path component; `None` for an empty component and for `.`.
///
/// On Unix the bytes are kept, but `/` and NUL are replaced by `_`, `..` becomes `_`, and the name is truncated to
/// [`limits::PATH_COMPONENT`] bytes. On Windows the name is also made UTF-8 without control characters, `<>:"/\|?*`,
/// reserved device names, and trailing dots or spaces.
#[must_use]
pub fn component(raw: &[u8], rules: PathRules) -> Option<Cow<'_, [u8]>> {
    match raw {
        b"" | b"." => return None,
        b".." => return Some(Cow::Borrowed(b"_")),
        _ => {}
    }
    if rules == PathRules::Windows {
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

/// Returns the name of a component on Windows; never empty, `.` or `..`.
fn windows(raw: &[u8]) -> String {
    let allowed = |c: char| match c {
        '\0'..='\u{1f}' | '<' | '>' | ':' | '"' | '/' | '\\' | '|' | '?' | '*' => '_',
        c => c,
    };
    reserved(String::from_utf8_lossy(raw).chars().map(allowed).collect())
}

/// Truncates a name and changes it if Windows would interpret it differently.
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

/// Returns the printable form of a path component; `None` if nothing printable is left.
///
/// The result is UTF-8 without separators, control characters, drive letters, bidirectional overrides and (except for
/// joiners and variation selectors) invisible characters. Earlier versions used this name on disk.
#[must_use]
pub fn printable(raw: &[u8], rules: PathRules) -> Option<String> {
    let text = String::from_utf8_lossy(raw);
    let mut name: String = text
        .chars()
        .filter_map(|c| match hazard(c) {
            CharHazard::Control => Some('_'),
            CharHazard::Direction => None,
            // Joiners and variation selectors are part of emoji and of the spelling of some scripts.
            CharHazard::Invisible => is_joiner_or_selector(c).then_some(c),
            CharHazard::None if matches!(c, '/' | '\\') => Some('_'),
            CharHazard::None if rules == PathRules::Windows && matches!(c, '<' | '>' | ':' | '"' | '|' | '?' | '*') => {
                Some('_')
            }
            CharHazard::None => Some(c),
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
    Some(if rules == PathRules::Windows { reserved(name) } else { cut_text(name) })
}

/// Returns whether [`printable`] leaves each component of a path unchanged.
///
/// The components are joined by `/`.
#[must_use]
pub fn is_printable(path: &[u8]) -> bool {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b' ' | b'.' | b'-' | b'_' | b'(' | b')');
    // Fast path for plain ASCII names.
    path.iter().all(plain) && PathRules::NATIVE == PathRules::Unix
        || path
            .split(|b| *b == b'/')
            .all(|part| printable(part, PathRules::NATIVE).is_some_and(|p| p.as_bytes() == part))
}

/// Converts bytes to a path; components are joined by `/`. On Windows the bytes are UTF-8.
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

/// Returns whether an invisible character is a joiner or a variation selector.
fn is_joiner_or_selector(c: char) -> bool {
    matches!(c, '\u{200c}' | '\u{200d}' | '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}')
}

/// Returns whether a name starts with a drive letter: `C:` alone or before a separator that became `_`.
fn has_drive(name: &str) -> bool {
    matches!(name.as_bytes(), [letter, b':', rest @ ..]
        if letter.is_ascii_alphabetic() && matches!(rest.first(), None | Some(b'_')))
}

/// Returns whether a name is a reserved device name on Windows.
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

/// Returns the extension of a name including the dot; empty if there is none or it is too long to keep.
fn extension(name: &[u8]) -> &[u8] {
    match name.iter().rposition(|b| *b == b'.') {
        Some(dot) if dot > 0 && name.len() - dot <= EXTENSION => &name[dot..],
        _ => b"",
    }
}

/// Truncates the stem of a name at a character boundary so that the name has at most `max` bytes.
fn cut(name: &[u8], max: usize) -> Vec<u8> {
    let extension = extension(name);
    let stem = floor(&name[..name.len() - extension.len()], max - extension.len());
    [stem, extension].concat()
}

/// Truncates a name to [`limits::PATH_COMPONENT`] bytes and keeps it valid UTF-8.
fn cut_text(name: String) -> String {
    if name.len() <= limits::PATH_COMPONENT {
        return name;
    }
    String::from_utf8_lossy(&cut(name.as_bytes(), limits::PATH_COMPONENT)).into_owned()
}

/// Returns the longest prefix of at most `max` bytes that ends at a UTF-8 character boundary.
///
/// If `name` is not UTF-8, the prefix may end anywhere.
fn floor(name: &[u8], max: usize) -> &[u8] {
    let mut at = max.min(name.len());
    // A UTF-8 character has at most three continuation bytes.
    let least = at.saturating_sub(3);
    while at < name.len() && at > least && name[at] & 0xc0 == 0x80 {
        at -= 1;
    }
    &name[..at]
}

/// Returns `name (n).ext`, truncated to [`limits::PATH_COMPONENT`] bytes.
fn numbered(name: &[u8], n: u32) -> Vec<u8> {
    let extension = extension(name);
    let suffix = [format!(" ({n})").as_bytes(), extension].concat();
    let stem = floor(&name[..name.len() - extension.len()], limits::PATH_COMPONENT - suffix.len());
    [stem, &suffix].concat()
}

/// Returns the components of a path on disk.
///
/// If the path is too deep or too long, folders in the middle are dropped.
#[must_use]
pub fn path<'a>(raw: impl Iterator<Item = &'a [u8]>, rules: PathRules) -> Vec<Cow<'a, [u8]>> {
    shortened(raw.filter_map(|part| component(part, rules)))
}

/// Returns the components of a printable path, shortened like [`path`].
#[must_use]
pub fn printable_path<'a>(raw: impl Iterator<Item = &'a [u8]>, rules: PathRules) -> Vec<Cow<'a, [u8]>> {
    shortened(raw.filter_map(|part| printable(part, rules)).map(|part| Cow::Owned(part.into_bytes())))
}

fn shortened<'a>(all: impl Iterator<Item = Cow<'a, [u8]>>) -> Vec<Cow<'a, [u8]>> {
    let mut parts: Vec<Cow<'a, [u8]>> = Vec::new();
    let mut length = 0;
    let mut last: Option<Cow<'a, [u8]>> = None;
    for part in all {
        // One level is reserved for the root folder, one for the file name.
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

/// Returns the path in lower case and Unicode normalization form C.
///
/// Two paths with the same result are the same file on file systems that ignore case or normalize names.
#[must_use]
pub fn case_folded(path: &str) -> String {
    path.nfc().flat_map(char::to_lowercase).nfc().collect()
}

/// The paths assigned so far in one torrent, used to make all of them unique.
///
/// Names are borrowed from the torrent where possible, because a torrent may have a million files.
#[derive(Debug, Default)]
pub struct UsedPaths<'a> {
    // Maps (folder id, name) to the id of the folder with this name, or 0 if it is a file. The root folder has id 0.
    taken: HashMap<(u32, Cow<'a, [u8]>), u32>,
    // Actual names of folders that were renamed because a file has the same name.
    other_names: HashMap<u32, Vec<u8>>,
    // Last number that was appended to this name.
    namesakes: HashMap<(u32, Cow<'a, [u8]>), u32>,
    folders: u32,
    renamed: u32,
}

impl<'a> UsedPaths<'a> {
    /// Assigns the desired path to a file, or a numbered one if it is taken.
    ///
    /// Returns the path with components joined by `/`.
    pub fn assign(&mut self, wanted: Vec<Cow<'a, [u8]>>) -> Vec<u8> {
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

    /// Returns the number of files and folders that were renamed.
    #[must_use]
    pub const fn renamed(&self) -> u32 {
        self.renamed
    }

    /// Returns the id of a subfolder of `parent` and appends its actual name to `out`.
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
                // A file has the same name: the folder is renamed for all files in it.
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

    /// Reserves the first free `name (n)` in a folder, for a file (`id` 0) or for the folder `id`.
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
        printable(raw, PathRules::Unix)
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
            assert_eq!(component(raw, PathRules::Unix).as_deref(), Some(*raw), "{}", raw.escape_ascii());
        }
        let changed: &[(&[u8], Option<&[u8]>)] = &[
            (b"", None),
            (b".", None),
            (b"..", Some(b"_")),
            (b"../../x", Some(b".._.._x")),
            (b"/etc/x\0", Some(b"_etc_x_")),
        ];
        for (raw, want) in changed {
            assert_eq!(component(raw, PathRules::Unix).as_deref(), *want, "{}", raw.escape_ascii());
        }
        let windows = |raw: &[u8]| String::from_utf8(component(raw, PathRules::Windows).unwrap().into_owned()).unwrap();
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
        let long = component(&[0xe9; 300], PathRules::Unix).unwrap().into_owned();
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
            assert_eq!(printable(raw.as_bytes(), PathRules::Windows).as_deref(), Some(want));
        }
    }

    #[test]
    fn a_long_name_is_cut_at_a_character_and_keeps_its_extension() {
        let name = unix(format!("{}.torrent", "雪".repeat(200)).as_bytes()).unwrap();
        assert!(name.len() <= 255 && name.len() > 250 && name.ends_with("雪.torrent"), "{name}");
        assert_eq!(unix(&[b'n'; 300]).unwrap().len(), 255);
        let dots = printable(&[b'.'; 300], PathRules::Windows).unwrap();
        assert!(dots.len() == 255 && dots.ends_with("._"), "cutting leaves no dot at the end");
        assert_eq!(numbered(&[b'n'; 255], 12).len(), 255);
    }

    #[test]
    fn a_deep_or_long_path_loses_its_middle() {
        let deep = vec![&b"d"[..]; 2000];
        assert_eq!(path(deep.into_iter(), PathRules::Unix).len(), limits::PATH_DEPTH - 1);
        let long = path([[b'e'; 200]; 45].iter().map(|e| &e[..]).chain([&b"end"[..]]), PathRules::Unix);
        assert!(long.iter().map(|p| p.len() + 1).sum::<usize>() + 256 <= limits::PATH_LENGTH);
        assert_eq!(**long.last().unwrap(), *b"end");
        assert_eq!(path([&b""[..], b".", b""].into_iter(), PathRules::Unix), [&b"_"[..]]);
    }

    #[test]
    fn no_two_files_get_one_path() {
        let mut names = UsedPaths::default();
        let mut give = |path: &str| {
            let parts = path.split('/').map(|part| Cow::Owned(part.as_bytes().to_vec()));
            String::from_utf8(names.assign(parts.collect())).unwrap()
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
        assert_eq!(case_folded("CAFE\u{301}"), case_folded("caf\u{e9}"));
    }
}
