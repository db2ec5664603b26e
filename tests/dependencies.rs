//! Holds the crates that this one depends on to rules: licenses that go with ours, one registry, no second version that
//! nobody has looked at, and no crate that needs a newer compiler than `rust-version` promises.

// A test that cannot read its facts has failed: saying so at once is all that is wanted.
#![allow(clippy::expect_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// Licenses that a program under the MIT license can be distributed with. MPL-2.0 covers only the files of its crate.
const LICENSES: [&str; 14] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-3-Clause",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MPL-2.0",
    "Unicode-3.0",
    "Unicode-DFS-2016",
    "WTFPL",
    "Zlib",
    // Fonts that only a test draws with.
    "OFL-1.1",
    "Ubuntu-font-1.0",
];

/// Crates of which the lock file holds several versions, because those who use them are not of one mind. Each costs time
/// to build; a new one is looked at before it comes in here.
const SEVERAL_VERSIONS: [&str; 19] = [
    "base64",
    "bitflags",
    "block-buffer",
    "cpufeatures",
    "crypto-common",
    "digest",
    "getrandom",
    "itertools",
    "miniz_oxide",
    "nix",
    "object",
    "r-efi",
    "rand",
    "rand_core",
    "sha1",
    "syn",
    "thiserror",
    "thiserror-impl",
    "windows-sys",
];

/// The platform that `rustc` builds for: the packages of others need not be there.
fn host() -> String {
    let out = Command::new("rustc").arg("-vV").output().expect("rustc runs");
    let text = String::from_utf8(out.stdout).expect("rustc writes text");
    text.lines().find_map(|line| line.strip_prefix("host: ")).expect("rustc names its host").to_owned()
}

/// All packages that are built on this platform.
fn packages() -> Vec<Value> {
    let out = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--locked", "--offline", "--filter-platform", &host()])
        .args(["--manifest-path", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")])
        .output()
        .expect("cargo runs");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let all: Value = serde_json::from_slice(&out.stdout).expect("cargo writes JSON");
    let packages = all["packages"].as_array().expect("there are packages").clone();
    assert!(packages.len() > 100, "all packages are listed");
    packages
}

fn text<'a>(package: &'a Value, key: &str) -> &'a str {
    package[key].as_str().unwrap_or_default()
}

/// Returns whether a license expression can be met by the licenses above. Handles `A OR B`, `A AND B` and groups of
/// alternatives in parentheses, which are all that occur.
fn is_free(expression: &str) -> bool {
    let known = |license: &str| LICENSES.contains(&license.trim_matches(|c: char| c == '(' || c == ')' || c == ' '));
    let alternatives = |part: &str| part.replace('/', " OR ").split(" OR ").any(known);
    !expression.is_empty() && expression.split(" AND ").all(alternatives)
}

#[test]
fn licenses_are_judged_by_their_parts() {
    for (expression, free) in [
        ("MIT", true),
        ("MIT/Apache-2.0", true),
        ("GPL-3.0-only OR Zlib", true),
        ("(MIT OR Apache-2.0) AND Unicode-3.0", true),
        ("GPL-3.0-only", false),
        ("MIT AND GPL-3.0-only", false),
        ("(GPL-2.0-only OR GPL-3.0-only) AND MIT", false),
        ("", false),
    ] {
        assert_eq!(is_free(expression), free, "{expression}");
    }
}

#[test]
fn every_dependency_has_a_license_that_goes_with_ours() {
    let wrong: Vec<String> = packages()
        .iter()
        .filter(|package| !is_free(text(package, "license")))
        .map(|package| format!("{}: {}", text(package, "name"), text(package, "license")))
        .collect();
    assert!(wrong.is_empty(), "licenses that are not in the list: {wrong:?}");
}

#[test]
fn every_dependency_is_from_the_registry() {
    let registry = "registry+https://github.com/rust-lang/crates.io-index";
    let others: Vec<String> = packages()
        .iter()
        .filter(|package| text(package, "name") != env!("CARGO_PKG_NAME") && text(package, "source") != registry)
        .map(|package| format!("{} from {}", text(package, "name"), package["source"]))
        .collect();
    assert!(others.is_empty(), "{others:?}");
}

#[test]
fn only_crates_that_are_known_for_it_come_in_several_versions() {
    let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in packages() {
        versions.entry(text(&package, "name").to_owned()).or_default().insert(text(&package, "version").to_owned());
    }
    versions.retain(|_, versions| versions.len() > 1);
    let new: Vec<_> = versions.iter().filter(|(name, _)| !SEVERAL_VERSIONS.contains(&name.as_str())).collect();
    assert!(new.is_empty(), "more than one version: {new:?}");
}

/// `clippy` checks the standard library's part of the promise (`incompatible_msrv`), this the dependencies' part.
#[test]
fn no_dependency_needs_a_newer_compiler_than_is_promised() {
    let number = |version: &str| version.split('.').map(|part| part.parse().unwrap_or(0)).collect::<Vec<u32>>();
    let promised = number(env!("CARGO_PKG_RUST_VERSION"));
    assert!(promised.len() >= 2, "Cargo.toml has a rust-version");
    let newer =
        |package: &&Value| number(text(package, "rust_version")).into_iter().take(2).gt(promised.iter().copied());
    let wrong: Vec<String> = packages()
        .iter()
        .filter(newer)
        .map(|package| format!("{} needs {}", text(package, "name"), text(package, "rust_version")))
        .collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}
