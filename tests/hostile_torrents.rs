//! `ttui show` against every hostile torrent of the rig beside this repository: each gets the verdict that its
//! manifest wants, with no crash, no hang, the right info-hash, and nothing on the terminal that a terminal obeys.

// A test that cannot start the rig has failed: saying so at once is all that is wanted.
#![allow(clippy::expect_used, clippy::print_stderr)]

use std::path::{Path, PathBuf};
use std::process::Command;

/// The rig: beside the package, or beside the repository when this is a further working tree of it.
fn rig() -> Option<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().skip(1).take(2).map(|dir| dir.join("shared/hostile/make_torrents.py")).find(|rig| rig.is_file())
}

fn try_all(how: &str) {
    let Some(rig) = rig() else {
        eprintln!("skipped: ../shared/hostile/make_torrents.py is not here");
        return;
    };
    let dir = tempfile::tempdir().expect("a folder for the torrents");
    // Without it each error would read the symbols of the whole program for a trace that nobody sees.
    let output = Command::new("python3")
        .env("RUST_BACKTRACE", "0")
        .arg(rig)
        .arg("--strict")
        .arg("--out")
        .arg(dir.path())
        .arg("--try")
        .arg(format!("{} {how} {{torrent}}", env!("CARGO_BIN_EXE_ttui")))
        .output()
        .expect("python3 starts");
    let text = String::from_utf8_lossy(&output.stdout);
    let failed: Vec<&str> = text.lines().filter(|line| line.contains(" FAILED ")).collect();
    assert!(output.status.success(), "{}\n{}", failed.join("\n"), String::from_utf8_lossy(&output.stderr));
    let last = text.lines().last().unwrap_or_default();
    assert!(last.ends_with(" passed, 0 failed") && !last.starts_with("0 "), "{last}");
}

#[test]
fn show_gives_every_hostile_torrent_its_verdict() {
    try_all("show");
}

#[test]
fn show_as_json_gives_every_hostile_torrent_its_verdict() {
    try_all("show --json");
}

#[test]
fn magnet_gives_every_hostile_torrent_its_verdict() {
    try_all("magnet");
}
