//! Reads the sources as text, for the tests that hold them to their rules.

use std::fs;
use std::path::{Path, PathBuf};

/// A source file, named by its path below `src/`.
pub struct Source {
    pub name: String,
    /// The code outside its test module, with comments and literals blanked out.
    pub code: String,
    pub lines: usize,
}

/// The folder of the package.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// All files below `src/`, in order.
pub fn sources() -> Vec<Source> {
    let src = root().join("src");
    let mut paths = Vec::new();
    files_below(&src, &mut paths);
    paths.retain(|p| p.extension().is_some_and(|e| e == "rs"));
    paths.sort();
    assert!(paths.len() > 5, "the sources lie in src/");
    let read = |path: &PathBuf| {
        let text = fs::read_to_string(path).expect("a source file is UTF-8");
        let name = path.strip_prefix(&src).expect("below src").to_string_lossy().replace('\\', "/");
        let code = match path.file_name().is_some_and(|file| file == "tests.rs") {
            // The test module of the file that its folder is named after.
            true => String::new(),
            false => blanked(&text).split("#[cfg(test)]\nmod ").next().unwrap_or_default().to_owned(),
        };
        Source { name, code, lines: text.lines().count() }
    };
    paths.iter().map(read).collect()
}

/// The files of the repository that people read.
pub fn published() -> Vec<PathBuf> {
    let mut out = Vec::new();
    for dir in ["src", "tests", "assets", ".ci"] {
        files_below(&root().join(dir), &mut out);
    }
    out.extend(["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "Cargo.toml", "clippy.toml"].map(|f| root().join(f)));
    out
}

fn files_below(dir: &Path, out: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for path in entries.flatten().map(|e| e.path()) {
        if path.is_dir() {
            files_below(&path, out);
        } else {
            out.push(path);
        }
    }
}

/// Whether `word` stands in `line` and is not a part of a longer name. `fastrand::u` stands for `fastrand::u8` and
/// its kin.
pub fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let inside = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        let starts = word.starts_with('.') || !inside(line[..at].chars().next_back());
        let ends = word.ends_with("::u") || word.ends_with(')') || !inside(line[at + word.len()..].chars().next());
        starts && ends
    })
}

/// Every path that follows `crate::`, with groups in braces taken apart.
pub fn crate_paths(code: &str) -> Vec<String> {
    let mut out = Vec::new();
    for (at, word) in code.match_indices("crate::") {
        if !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$') {
            expand(&code[at + word.len()..], "", &mut out);
        }
    }
    out
}

/// Reads one use tree from the start of `text`; returns how long it is.
pub fn expand(text: &str, prefix: &str, out: &mut Vec<String>) -> usize {
    let part = |c: &char| c.is_alphanumeric() || ['_', ':', '*'].contains(c);
    let name: String = text.chars().take_while(part).collect();
    let mut at = name.len();
    if !text[at..].starts_with('{') {
        out.push(format!("{prefix}{}", name.trim_end_matches(':')));
        return at;
    }
    at += 1;
    while at < text.len() {
        match text.as_bytes()[at] {
            b'}' => return at + 1,
            b',' | b' ' | b'\n' => at += 1,
            _ => {
                at += expand(&text[at..], &format!("{prefix}{name}"), out).max(1);
                // The rest of a renamed import: `as name`.
                at += text[at..].find([',', '}']).unwrap_or(0);
            }
        }
    }
    at
}

/// Name, line and length in lines of every function.
pub fn functions(code: &str) -> Vec<(String, usize, usize)> {
    let lines: Vec<&str> = code.lines().collect();
    let mut out = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        let Some((before, after)) = line.split_once("fn ") else { continue };
        if !before.split(' ').all(|w| w.is_empty() || w == "const" || w == "async" || w.starts_with("pub")) {
            continue;
        }
        let name = after.split(['(', '<']).next().unwrap_or_default().to_owned();
        let (mut depth, mut opened) = (0i32, false);
        for (offset, body) in lines[number..].iter().enumerate() {
            for c in body.chars() {
                match c {
                    '{' => (depth, opened) = (depth + 1, true),
                    '}' => depth -= 1,
                    _ => {}
                }
            }
            if (opened && depth <= 0) || (!opened && body.trim_end().ends_with(';')) {
                out.push((name, number + 1, offset + 1));
                break;
            }
        }
    }
    out
}

/// The text with comments and literals turned into blanks; every line stays where it was.
pub fn blanked(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        let in_name = at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_');
        let length = match rest {
            [b'/', b'/', ..] => rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len()),
            [b'/', b'*', ..] => find(rest, b"*/").map_or(rest.len(), |n| n + 2),
            [b'"', ..] => string_length(rest),
            [b'\'', ..] => char_length(rest),
            [b'r' | b'b', ..] if !in_name => raw_string_length(rest),
            _ => 0,
        };
        for b in out[at..at + length].iter_mut().filter(|b| **b != b'\n') {
            *b = b' ';
        }
        at += length.max(1);
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn find(hay: &[u8], needle: &[u8]) -> Option<usize> {
    hay.windows(needle.len()).position(|w| w == needle)
}

fn string_length(rest: &[u8]) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// 0 where a lifetime begins, not a character.
fn char_length(rest: &[u8]) -> usize {
    if rest.get(1) == Some(&b'\\') {
        return rest.iter().skip(3).position(|b| *b == b'\'').map_or(0, |n| n + 4);
    }
    // A character is at most four bytes long.
    (2..=5).find(|n| rest.get(*n) == Some(&b'\'')).filter(|n| *n == 2 || rest[1] >= 0x80).map_or(0, |n| n + 1)
}

/// 0 where no raw string begins.
fn raw_string_length(rest: &[u8]) -> usize {
    let start = if rest.starts_with(b"br") { 2 } else { 1 };
    let hashes = rest[start..].iter().take_while(|b| **b == b'#').count();
    if rest[start - 1] != b'r' || rest.get(start + hashes) != Some(&b'"') {
        return 0;
    }
    let close = [b"\"".as_slice(), &vec![b'#'; hashes]].concat();
    let body = start + hashes + 1;
    find(&rest[body..], &close).map_or(rest.len(), |n| body + n + close.len())
}

#[test]
fn the_reader_of_sources_reads() {
    let code = "use crate::{wire::{a, b::C as D}, swarm::*};\nfn f<'a>(c: char) -> &'a str { // crate::no\n  \
                if c == '\"' || c == '\\'' { r#\"crate::no\"# } else { \"crate::no\" }\n}\nlet x = crate::ui::y(1);";
    let blank = blanked(code);
    assert_eq!(crate_paths(&blank), ["wire::a", "wire::b::C", "swarm::*", "ui::y"]);
    assert_eq!(functions(&blank), [("f".to_owned(), 2, 3)]);
    assert!(has_word("let t = Instant::now();", "Instant") && !has_word("an InstantMessage", "Instant"));
    assert!(has_word("fastrand::u32(..)", "fastrand::u") && !has_word("fastrand::Rng", "fastrand::u"));
}
