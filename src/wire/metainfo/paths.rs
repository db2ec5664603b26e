//! Names of strangers made safe: no path made here can leave the folder that it is joined to, and no two files get
//! one path.
//!
//! What a file system takes is kept as it is, so that data made by other programs are found under their names. Two
//! names that differ only by case or by Unicode form are two files here; where a file system cannot tell them apart,
//! that is for the disk layer to see ([`folded`]).

use std::collections::HashMap;
use std::collections::hash_map::Entry;

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

/// One safe path component of a stranger's bytes; nothing for an empty one and for `.`, which name no file.
#[must_use]
pub fn component(raw: &[u8], rules: Rules) -> Option<String> {
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
    name = cut(name, limits::PATH_COMPONENT);
    if rules == Rules::Windows {
        if is_reserved(&name) {
            name = cut(format!("_{name}"), limits::PATH_COMPONENT);
        }
        if name.ends_with(['.', ' ']) {
            name.pop();
            name.push('_');
        }
    }
    Some(name)
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
fn extension(name: &str) -> &str {
    match name.rfind('.') {
        Some(dot) if dot > 0 && name.len() - dot <= EXTENSION => &name[dot..],
        _ => "",
    }
}

/// The name with its stem cut, at a character, so that all of it takes at most `max` bytes.
fn cut(name: String, max: usize) -> String {
    if name.len() <= max {
        return name;
    }
    let extension = extension(&name);
    let stem = floor(&name[..name.len() - extension.len()], max - extension.len());
    format!("{stem}{extension}")
}

/// The front of `text` that takes at most `max` bytes.
fn floor(text: &str, max: usize) -> &str {
    let mut at = max.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    &text[..at]
}

/// `name (n).ext`, cut to what a file system takes.
fn numbered(name: &str, n: u32) -> String {
    let extension = extension(name);
    let suffix = format!(" ({n}){extension}");
    let stem = floor(&name[..name.len() - extension.len()], limits::PATH_COMPONENT - suffix.len());
    format!("{stem}{suffix}")
}

/// The safe components of a path. What is too deep or too long loses folders in its middle.
#[must_use]
pub fn path<'a>(raw: impl Iterator<Item = &'a [u8]>, rules: Rules) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    let mut length = 0;
    let mut last = None;
    for raw in raw {
        let Some(part) = component(raw, rules) else { continue };
        // One place is the torrent's own folder, one the file's name.
        if let Some(folder) = last.replace(part)
            && parts.len() + 2 < limits::PATH_DEPTH
            && length + folder.len() < limits::PATH_LENGTH - 2 * (limits::PATH_COMPONENT + 1)
        {
            length += folder.len() + 1;
            parts.push(folder);
        }
    }
    parts.push(last.unwrap_or_else(|| "_".to_owned()));
    parts
}

/// What is left of a name where neither case nor Unicode form is told apart. Two paths that are equal after this are
/// one file on many systems.
#[must_use]
pub fn folded(path: &str) -> String {
    path.nfc().flat_map(char::to_lowercase).nfc().collect()
}

/// Names given out so far in one torrent.
#[derive(Debug, Default)]
pub struct Names {
    // What stands under a name in a folder; folders are numbered, the torrent's own is 0.
    taken: HashMap<(u32, String), Taken>,
    folders: u32,
    renamed: u32,
}

#[derive(Debug)]
struct Taken {
    // The folder of this name, if there is one.
    folder: Option<u32>,
    // What the folder is called, where a file has the name already.
    other_name: Option<String>,
    // The number that was given to the last namesake.
    namesakes: u32,
}

impl Names {
    /// Gives a file the path that it asks for, or the nearest one that is free; the components joined by `/`.
    pub fn give(&mut self, wanted: Vec<String>) -> String {
        let mut parts = wanted;
        let file = parts.pop().unwrap_or_else(|| "_".to_owned());
        let mut out = String::new();
        let mut folder = 0;
        for part in parts {
            let (id, name) = self.enter(folder, part);
            folder = id;
            out.push_str(&name);
            out.push('/');
        }
        let name = match self.taken.entry((folder, file)) {
            Entry::Vacant(free) => {
                let name = free.key().1.clone();
                free.insert(Taken { folder: None, other_name: None, namesakes: 1 });
                name
            }
            Entry::Occupied(held) => {
                let name = held.key().1.clone();
                self.free_name(folder, &name, None)
            }
        };
        out.push_str(&name);
        out
    }

    /// How many files and folders did not get the name that they asked for.
    #[must_use]
    pub const fn renamed(&self) -> u32 {
        self.renamed
    }

    /// The folder of this name in that folder: its number and the name that it really has.
    fn enter(&mut self, parent: u32, name: String) -> (u32, String) {
        match self.taken.entry((parent, name)) {
            Entry::Vacant(free) => {
                self.folders += 1;
                let name = free.key().1.clone();
                free.insert(Taken { folder: Some(self.folders), other_name: None, namesakes: 1 });
                (self.folders, name)
            }
            Entry::Occupied(held) => {
                let name = held.key().1.clone();
                if let Some(id) = held.get().folder {
                    return (id, held.get().other_name.clone().unwrap_or(name));
                }
                // A file is called like this folder: the folder gets another name, for all that lies in it.
                self.folders += 1;
                let id = self.folders;
                let other = self.free_name(parent, &name, Some(id));
                if let Some(taken) = self.taken.get_mut(&(parent, name)) {
                    taken.folder = Some(id);
                    taken.other_name = Some(other.clone());
                }
                (id, other)
            }
        }
    }

    /// Takes the first free `name (n)` in a folder, for a file or for folder number `id`.
    fn free_name(&mut self, parent: u32, name: &str, id: Option<u32>) -> String {
        self.renamed = self.renamed.saturating_add(1);
        let mut n = self.taken.get(&(parent, name.to_owned())).map_or(1, |taken| taken.namesakes);
        loop {
            n += 1;
            if let Entry::Vacant(free) = self.taken.entry((parent, numbered(name, n))) {
                let found = free.key().1.clone();
                free.insert(Taken { folder: id, other_name: None, namesakes: 1 });
                if let Some(taken) = self.taken.get_mut(&(parent, name.to_owned())) {
                    taken.namesakes = n;
                }
                return found;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unix(raw: &[u8]) -> Option<String> {
        component(raw, Rules::Unix)
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
            assert_eq!(component(raw.as_bytes(), Rules::Windows).as_deref(), Some(want));
        }
    }

    #[test]
    fn a_long_name_is_cut_at_a_character_and_keeps_its_extension() {
        let name = unix(format!("{}.torrent", "雪".repeat(200)).as_bytes()).unwrap();
        assert!(name.len() <= 255 && name.len() > 250 && name.ends_with("雪.torrent"), "{name}");
        assert_eq!(unix(&[b'n'; 300]).unwrap().len(), 255);
        let dots = component(&[b'.'; 300], Rules::Windows).unwrap();
        assert!(dots.len() == 255 && dots.ends_with("._"), "cutting leaves no dot at the end");
        assert_eq!(numbered(&"n".repeat(255), 12).len(), 255);
    }

    #[test]
    fn a_deep_or_long_path_loses_its_middle() {
        let deep = vec![&b"d"[..]; 2000];
        assert_eq!(path(deep.into_iter(), Rules::Unix).len(), limits::PATH_DEPTH - 1);
        let long = path([[b'e'; 200]; 45].iter().map(|e| &e[..]).chain([&b"end"[..]]), Rules::Unix);
        assert!(long.iter().map(|p| p.len() + 1).sum::<usize>() + 256 <= limits::PATH_LENGTH);
        assert_eq!(long.last().unwrap(), "end");
        assert_eq!(path([&b""[..], b".", b""].into_iter(), Rules::Unix), ["_"]);
    }

    #[test]
    fn no_two_files_get_one_path() {
        let mut names = Names::default();
        let mut give = |path: &str| names.give(path.split('/').map(str::to_owned).collect());
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
