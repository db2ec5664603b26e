//! Which source file imports which, and the circles in that.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::source::{Source, expand};

/// The files that each file imports from, by their names below `src/`.
pub type Imports = BTreeMap<String, BTreeSet<String>>;

/// Every import between files: paths from `crate`, `super`, `self` or a child module, in `use` and elsewhere.
pub fn imports(sources: &[Source]) -> Imports {
    let files: BTreeMap<Vec<&str>, &str> =
        sources.iter().map(|s| (module(&s.name), s.name.as_str())).filter(|(module, _)| !module.is_empty()).collect();
    let mut all = Imports::new();
    for source in sources {
        let own = module(&source.name);
        for path in paths(&source.code) {
            let Some(file) = absolute(&own, &path, &files).and_then(|path| file_of(&path, &files)) else { continue };
            if file != source.name {
                all.entry(source.name.clone()).or_default().insert(file.to_owned());
            }
        }
    }
    all
}

/// The module of a file; none for the roots of the library and of the program.
fn module(name: &str) -> Vec<&str> {
    match name.strip_suffix(".rs").unwrap_or(name) {
        "lib" | "main" => Vec::new(),
        name => name.split('/').collect(),
    }
}

/// Every path of several parts in the code, with groups in braces taken apart.
fn paths(code: &str) -> Vec<String> {
    let (mut out, mut at) = (Vec::new(), 0);
    while let Some(next) = code[at..].find(|c: char| c.is_alphanumeric() || c == '_') {
        at += next;
        let word = code[at..].find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(code.len() - at);
        // What follows `::` is the name of another crate, or an item of a type.
        if code[at + word..].starts_with("::") && !code[..at].ends_with("::") {
            at += expand(&code[at..], "", &mut out);
        } else {
            at += word;
        }
    }
    out
}

/// The path from the root of the crate; `None` for one that leads out of it, or to what a file has imported already.
fn absolute<'a>(own: &[&'a str], path: &'a str, files: &BTreeMap<Vec<&str>, &str>) -> Option<Vec<&'a str>> {
    let mut base = own.to_vec();
    let parts: Vec<&str> = path.split("::").collect();
    let ups = parts.iter().take_while(|part| **part == "super").count();
    let rest = match parts[0] {
        "crate" => {
            base.clear();
            &parts[1..]
        }
        "super" => {
            base.truncate(own.len().checked_sub(ups)?);
            &parts[ups..]
        }
        "self" => &parts[1..],
        child => {
            // A path that begins with a child of this module, in a file or in a folder of its own.
            base.push(child);
            files.keys().any(|file| file.starts_with(&base)).then_some(())?;
            &parts[1..]
        }
    };
    base.extend(rest);
    Some(base)
}

/// The file that holds what a path names: that of the longest beginning that is a module.
fn file_of<'a>(path: &[&str], files: &BTreeMap<Vec<&str>, &'a str>) -> Option<&'a str> {
    (1..=path.len()).rev().find_map(|length| files.get(&path[..length]).copied())
}

/// The circles among imports, one for each knot of files: the shortest, from the file that comes first and back to it.
pub fn circles(imports: &Imports) -> Vec<Vec<&str>> {
    let mut found: Vec<Vec<&str>> = Vec::new();
    let mut knotted: BTreeSet<&str> = BTreeSet::new();
    for start in imports.keys() {
        if !knotted.contains(start.as_str())
            && let Some(circle) = way(imports, start, start)
        {
            let meets = |other: &&String| way(imports, start, other).is_some() && way(imports, other, start).is_some();
            knotted.extend(imports.keys().filter(meets).map(String::as_str));
            found.push(circle);
        }
    }
    found
}

/// The shortest way from one file to another along imports, of one step at least.
fn way<'a>(imports: &'a Imports, from: &'a str, to: &str) -> Option<Vec<&'a str>> {
    let mut before: BTreeMap<&str, &str> = BTreeMap::new();
    let mut queue = VecDeque::from([from]);
    while let Some(file) = queue.pop_front() {
        for next in imports.get(file).into_iter().flatten() {
            if next.as_str() == to {
                let mut way = vec![next.as_str(), file];
                while let Some(previous) = before.get(way[way.len() - 1]).filter(|_| way[way.len() - 1] != from) {
                    way.push(previous);
                }
                way.reverse();
                return Some(way);
            }
            if next != from && !before.contains_key(next.as_str()) {
                before.insert(next, file);
                queue.push_back(next);
            }
        }
    }
    None
}

#[test]
fn imports_are_found_however_they_are_written() {
    let file = |name: &str, code: &str| Source { name: name.to_owned(), code: code.to_owned(), lines: 1 };
    let sources = [
        file("lib.rs", "pub mod a; pub mod b { pub mod c; }"),
        file(
            "a.rs",
            "mod part; mod deep { pub mod er; } use part::X; use std::fs; fn f() { deep::er::g(); ::part::h() }",
        ),
        file("a/part.rs", "use super::{Y, part as p}; use crate::b::c::{self, Z};"),
        file("a/deep/er.rs", "fn g() { super::super::part::i(); b::j() }"),
        file("b/c.rs", "use crate::{a::{deep::er, Y}, d};"),
    ];
    let found = imports(&sources);
    let of = |name: &str| found.get(name).into_iter().flatten().map(String::as_str).collect::<Vec<_>>();
    assert_eq!(of("a.rs"), ["a/deep/er.rs", "a/part.rs"]);
    assert_eq!(of("a/part.rs"), ["a.rs", "b/c.rs"]);
    assert_eq!(of("a/deep/er.rs"), ["a/part.rs"]);
    assert_eq!(of("b/c.rs"), ["a.rs", "a/deep/er.rs"]);
    assert_eq!(circles(&found), [["a.rs", "a/part.rs", "a.rs"]], "one for all four, which are one knot");
}

#[test]
fn each_knot_of_files_is_told_once_and_a_line_of_files_is_none() {
    let edges = |pairs: &[(&str, &str)]| {
        let mut all = Imports::new();
        for (from, to) in pairs {
            all.entry((*from).to_owned()).or_default().insert((*to).to_owned());
        }
        all
    };
    assert!(circles(&edges(&[("a", "b"), ("b", "c"), ("a", "c"), ("d", "a")])).is_empty());
    let two = edges(&[("x", "a"), ("a", "b"), ("b", "c"), ("c", "a"), ("c", "m"), ("m", "n"), ("n", "m")]);
    assert_eq!(circles(&two), [vec!["a", "b", "c", "a"], vec!["m", "n", "m"]]);
}
