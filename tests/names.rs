//! Names as they are: whatever a file system takes comes back from a torrent, files are found under the names that
//! other programs gave them, and what is printed is harmless.

#![cfg(unix)]
// A test that cannot make its files has failed: saying so at once is all that is wanted.
#![allow(clippy::unwrap_used, clippy::expect_used)]
// Only here may names be any bytes.
#![cfg(target_os = "linux")]

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use proptest::collection::vec;
use proptest::prelude::*;
use sha1::{Digest, Sha1};
use ttui::disk::alias_paths::{find, find_or_mend};
use ttui::disk::check::hash_check;
use ttui::disk::create::hashing::Progress;
use ttui::disk::create::scan::{ScanOptions, scan_files};
use ttui::disk::create::{CreateError, CreateOptions, PIECE_LEAST, make};
use ttui::disk::layout::Layout;
use ttui::disk::part::PartFile;
use ttui::wire::bencode::OwnedValue;
use ttui::wire::metainfo::Metainfo;
use ttui::wire::sanitize::{CharHazard, hazard};

/// How many pieces of a torrent are found whole below a folder, and of how many.
fn whole(layout: &Layout, dir: &Path) -> (u32, u32) {
    let pieces = layout.geometry().pieces();
    let good = AtomicU32::new(0);
    let count = |_, run: &[bool]| {
        good.fetch_add(run.iter().filter(|g| **g).count() as u32, Ordering::Relaxed);
    };
    hash_check(layout, (dir, &PartFile::default()), std::slice::from_ref(&(0..pieces)), 1, &|| false, &count);
    (good.into_inner(), pieces)
}

/// Any name that Linux takes.
fn name() -> impl Strategy<Value = Vec<u8>> {
    let odd = "[a-z\\\\:\u{1}-\u{1f}\u{7f}\u{85}\u{ad}\u{61c}\u{180e}\u{200b}-\u{200f}\u{2028}-\u{202e}\u{2060}-\u{2066}\u{3164}\u{feff}\u{e0041}]{1,12}";
    let all = prop_oneof![
        2 => odd.prop_map(String::into_bytes),
        2 => vec(any::<char>(), 1..60).prop_map(|name| name.into_iter().collect::<String>().into_bytes()),
        2 => vec(any::<u8>(), 1..256),
        1 => "[Aa]\u{308}?[.]?( \\([23]\\))?".prop_map(String::into_bytes),
    ];
    all.prop_map(|mut name| {
        name.retain(|b| !matches!(b, b'/' | 0));
        name.truncate(255);
        if matches!(&name[..], b"" | b"." | b"..") { b"x".to_vec() } else { name }
    })
}

fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(32)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn whatever_create_takes_is_whole_where_it_lies(own in name(), paths in vec(vec(name(), 1..4), 1..16), one in any::<bool>()) {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join(OsStr::from_bytes(&own));
        let mut made = 0;
        if one {
            fs::write(&path, vec![7; 20_000]).unwrap();
        } else {
            fs::create_dir(&path).unwrap();
            for (n, parts) in paths.iter().enumerate() {
                let file = path.join(OsStr::from_bytes(&parts.join(&b'/')));
                // A name can be taken by a folder already, or the other way round.
                let folder = fs::create_dir_all(file.parent().unwrap());
                if folder.is_ok() && !file.exists() {
                    made += usize::from(fs::write(&file, vec![n as u8; 1 + n * 3000]).is_ok());
                }
            }
        }
        let choice = ScanOptions { hidden: true, except: None };
        let found = scan_files(&path, &choice, &|| false).unwrap();
        let it = make(&found, PIECE_LEAST, &CreateOptions::default(), 1, &Progress::default()).unwrap();
        prop_assert_eq!(it.meta.files.len(), if one { 1 } else { made });
        let layout = Layout::of(&it.meta).unwrap();
        let (good, pieces) = whole(&layout, home.path());
        prop_assert_eq!(good, pieces);
        for file in &it.meta.files {
            let shown = file.name.chars().all(|c| !matches!(hazard(c), CharHazard::Control | CharHazard::Direction));
            prop_assert!(shown, "{:?}", &file.name);
        }
        // The same from the bytes alone, by whoever gets them.
        prop_assert_eq!(Metainfo::parse(&it.bytes).unwrap(), it.meta);
    }
}

#[test]
fn what_would_not_be_read_is_refused_before_hashing() {
    let home = tempfile::tempdir().unwrap();
    let refused = |path: &Path| {
        let found = scan_files(path, &ScanOptions { hidden: true, except: None }, &|| false)?;
        let progress = Progress::default();
        let made = make(&found, PIECE_LEAST, &CreateOptions::default(), 1, &progress);
        assert_eq!(progress.bytes().0, 0, "nothing was hashed");
        made.map(|_| ())
    };
    let deep = home.path().join("deep");
    let long = home.path().join("long");
    let pad = home.path().join("pad");
    let mut below = deep.clone();
    (0..99).for_each(|_| below.push("d"));
    fs::create_dir_all(&below).unwrap();
    fs::write(below.join("f"), "hello").unwrap();
    let mut below = long.clone();
    (0..15).for_each(|_| below.push("n".repeat(200)));
    fs::create_dir_all(&below).unwrap();
    fs::write(below.join("f"), "hello").unwrap();
    fs::create_dir_all(pad.join(".pad")).unwrap();
    fs::write(pad.join(".pad/1"), [0; 6384]).unwrap();
    fs::write(pad.join(".a"), [1; 10_000]).unwrap();
    for path in [&deep, &long, &pad] {
        let made = refused(path);
        assert!(matches!(made, Err(CreateError::Name { .. })), "{made:?}");
    }
}

/// A file's path in bytes, and its `path.utf-8`.
type File<'a> = (&'a [&'a [u8]], Option<&'a [&'a str]>);

/// A torrent of a folder with these names and files, and the layout that the disk makes of it.
fn torrent(name: (&[u8], Option<&str>), files: &[File<'_>], encoding: &str) -> Metainfo {
    let texts = |parts: &[&[u8]]| OwnedValue::from(parts.iter().map(|p| OwnedValue::from(*p)).collect::<Vec<_>>());
    let data: Vec<u8> = (0..files.len()).flat_map(|n| [n as u8; 1000]).collect();
    let each = |(path, utf8): &File<'_>| {
        let mut entries = vec![("length", OwnedValue::from(1000)), ("path", texts(path))];
        let utf8 = utf8.map(|parts| parts.iter().map(|p| p.as_bytes()).collect::<Vec<_>>());
        entries.extend(utf8.map(|parts| ("path.utf-8", texts(&parts))));
        OwnedValue::dictionary(entries)
    };
    let mut info = vec![
        ("name", OwnedValue::from(name.0)),
        ("files", OwnedValue::from(files.iter().map(each).collect::<Vec<_>>())),
        ("piece length", OwnedValue::from(1000)),
        ("pieces", OwnedValue::from(data.chunks(1000).flat_map(|p| Sha1::digest(p).to_vec()).collect::<Vec<u8>>())),
    ];
    info.extend(name.1.map(|name| ("name.utf-8", OwnedValue::from(name))));
    let mut top = vec![("info", OwnedValue::dictionary(info))];
    top.extend((!encoding.is_empty()).then(|| ("encoding", OwnedValue::from(encoding))));
    Metainfo::parse(&OwnedValue::dictionary(top).encode()).unwrap()
}

#[test]
fn files_are_used_where_other_programs_put_them() {
    let e = "\u{e9}";
    let files: &[File<'_>] = &[(&[b"plain"], None), (&[e.as_bytes(), e.as_bytes()], None)];
    let forms = torrent((e.as_bytes(), None), files, "");
    let files: &[File<'_>] = &[(&[b"\xb2\xe2"], Some(&["\u{6d4b}"])), (&[b"\xca\xd4", b"a"], Some(&["\u{8bd5}", "a"]))];
    let gbk = torrent((b"\xce\xc4", Some("\u{6587}")), files, "GBK");
    let raw: &[File<'_>] = &[(&[b"\xb2\xe2"], None), (&[b"\xca\xd4", b"a"], None)];
    let bytes = torrent((b"\xce\xc4", None), raw, "");
    let files: &[File<'_>] = &[(&[b"a\\b\x01"], None), (&["x\u{200b}".as_bytes(), b"C:"], None)];
    let old = torrent((b"own\x7f", None), files, "");
    let cases: [(&Metainfo, [&[u8]; 2]); 7] = [
        (&forms, ["e\u{301}/plain".as_bytes(), "e\u{301}/e\u{301}/\u{e9}".as_bytes()]),
        (&forms, ["\u{e9}/plain".as_bytes(), "\u{e9}/\u{e9}/e\u{301}".as_bytes()]),
        (&gbk, ["\u{6587}/\u{6d4b}".as_bytes(), b"\xce\xc4/\xca\xd4/a"]),
        (&gbk, [b"\xce\xc4/\xb2\xe2", b"\xce\xc4/\xca\xd4/a"]),
        (&bytes, ["\u{6587}/\u{6d4b}".as_bytes(), "\u{6587}/\u{8bd5}/a".as_bytes()]),
        (
            &bytes,
            ["\u{fffd}\u{fffd}/\u{fffd}\u{fffd}".as_bytes(), "\u{fffd}\u{fffd}/\u{fffd}\u{fffd} (2)/a".as_bytes()],
        ),
        (&old, [b"own_/a_b_", b"own_/x/C_"]),
    ];
    for (meta, paths) in cases {
        let home = tempfile::tempdir().unwrap();
        let layout = Arc::new(Layout::of(meta).unwrap());
        assert!(find(&layout, home.path()).1.is_none(), "nothing is there");
        for (n, path) in paths.iter().enumerate() {
            let path = home.path().join(OsStr::from_bytes(path));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, [n as u8; 1000]).unwrap();
        }
        let (found, sentence) = find(&layout, home.path());
        assert_eq!(whole(&found, home.path()), (2, 2), "{}: {sentence:?}", paths[0].escape_ascii());
        assert!(sentence.unwrap().chars().all(|c| hazard(c) == CharHazard::None));
    }
}

#[test]
fn no_file_of_the_torrent_is_taken_for_another_one() {
    let files: &[File<'_>] = &[
        (&["x\u{200b}".as_bytes()], None),
        (&[b"x"], None),
        (&["\u{e9}".as_bytes()], None),
        (&["e\u{301}".as_bytes()], None),
    ];
    let layout = Arc::new(Layout::of(&torrent((b"t", None), files, "")).unwrap());
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join("t")).unwrap();
    fs::write(home.path().join("t/x"), [1; 1000]).unwrap();
    fs::write(home.path().join("t/\u{e9}"), [2; 1000]).unwrap();
    let (found, sentence) = find(&layout, home.path());
    assert!(sentence.is_none(), "{sentence:?}");
    assert_eq!(found.files(), layout.files());
    // A longer file is another one, and so is a folder.
    fs::remove_file(home.path().join("t/\u{e9}")).unwrap();
    let other: &[File<'_>] = &[(&["\u{e9}".as_bytes()], None), (&["\u{f6}".as_bytes()], None)];
    let layout = Arc::new(Layout::of(&torrent((b"t", None), other, "")).unwrap());
    fs::write(home.path().join("t/e\u{301}"), [2; 1001]).unwrap();
    fs::create_dir(home.path().join("t/o\u{308}")).unwrap();
    assert!(find(&layout, home.path()).1.is_none());
    // What is still to come goes to the folder in which the others were found.
    let more: &[File<'_>] = &[(&["\u{e9}".as_bytes(), b"a"], None), (&["\u{e9}".as_bytes(), b"b"], None)];
    let layout = Arc::new(Layout::of(&torrent((b"u", None), more, "")).unwrap());
    fs::create_dir_all(home.path().join("u/e\u{301}")).unwrap();
    fs::write(home.path().join("u/e\u{301}/a"), [0; 1000]).unwrap();
    let (found, _) = find(&layout, home.path());
    assert_eq!(found.files()[1].path, Path::new("u/e\u{301}/b"));
}

#[test]
fn names_that_a_file_system_refuses_are_mended_and_found_again() {
    let files: &[File<'_>] = &[
        (&[b"Part 1: why?"], None),
        (&[b"plain"], None),
        (&[b"a|b"], None),
        (&[b"a_b"], None),
        (&[b"nul", b"x. "], None),
    ];
    let layout = Arc::new(Layout::of(&torrent((b"t", None), files, "")).unwrap());
    let paths = |layout: &Layout| layout.files().iter().map(|file| file.path.display().to_string()).collect::<Vec<_>>();
    let own = paths(&layout);
    let mended = ["t/Part 1_ why_", "t/plain", "t/a_b (2)", "t/a_b", "t/_nul/x._"];
    let home = tempfile::tempdir().unwrap();
    let at = |path: &str| home.path().join(path);
    fs::create_dir_all(at("t/_nul")).unwrap();
    assert_eq!((paths(&find(&layout, home.path()).0), find(&layout, home.path()).1), (own.clone(), None));
    let (refused, sentence) = find_or_mend(&layout, home.path(), true);
    assert_eq!(paths(&refused), mended);
    let sentence = sentence.unwrap();
    assert!(sentence.contains("t/Part 1_ why_ for t/Part 1: why?, and 2 more"), "{sentence}");
    // What another file system has made them is found again, where it has the length of the file.
    fs::write(at("t/Part 1_ why_"), [0; 999]).unwrap();
    fs::write(at("t/a_b (2)"), [0; 1000]).unwrap();
    let (found, sentence) = find(&layout, home.path());
    assert_eq!(paths(&found), ["t/Part 1: why?", "t/plain", "t/a_b (2)", "t/a_b", "t/nul/x. "]);
    assert!(sentence.unwrap().contains("t/a_b (2) for t/a|b"));
    // What is there under its own name keeps it.
    fs::write(at("t/Part 1: why?"), [1; 10]).unwrap();
    let (refused, _) = find_or_mend(&layout, home.path(), true);
    assert_eq!(paths(&refused)[0], own[0]);
    assert_eq!(paths(&refused)[2..], mended[2..]);
}

fn ttui(home: &Path, args: &[&OsStr]) -> Output {
    let ttui = Command::new(env!("CARGO_BIN_EXE_ttui")).args(args).current_dir(home).env("HOME", home).output();
    ttui.expect("ttui starts")
}

#[test]
fn nothing_that_is_printed_is_obeyed_by_a_terminal_and_a_refusal_is_one_sentence() {
    let home = tempfile::tempdir().unwrap();
    let evil = OsStr::from_bytes(b"x\x1b]52;c;QUJD\x07y\xc2\x9bz\xe2\x80\xae\nttui: feigned.torrent");
    let os = OsStr::new;
    let files: &[File<'_>] = &[(&["a\x1b[2J\u{9b}\u{202e}\u{2066}b".as_bytes()], None)];
    let meta = torrent((b"own\x07\nname", None), files, "");
    let good = ttui::wire::metainfo::encode_torrent(&meta.info, &[], &[]);
    fs::write(home.path().join("good.torrent"), good).unwrap();
    let quiet = ["--no-dht", "--no-lsd", "--no-port-map", "--bind", "127.0.7.1", "--state-dir", "s"].map(os);
    let seed = [&[os("download"), evil], &quiet[..]].concat();
    let calls: [(&[&OsStr], i32); 7] = [
        (&seed, 1),
        (&[os("show"), evil], 1),
        (&[os("create"), evil], 1),
        (&[os("tracker"), evil], 2),
        (&[os("show"), os("good.torrent")], 0),
        (&[os("show"), os("--json"), os("good.torrent")], 0),
        (&[os("verify"), os("--json"), os("good.torrent")], 1),
    ];
    for (args, code) in calls {
        let out = ttui(home.path(), args);
        assert_eq!(out.status.code(), Some(code), "{args:?}: {out:?}");
        for stream in [&out.stdout, &out.stderr] {
            let text = String::from_utf8(stream.clone()).expect("UTF-8");
            let harmful =
                text.chars().find(|c| *c != '\n' && matches!(hazard(*c), CharHazard::Control | CharHazard::Direction));
            assert!(harmful.is_none(), "{args:?}: {text:?}");
        }
        if code == 1 && !args.contains(&os("--json")) {
            assert_eq!(String::from_utf8_lossy(&out.stderr).lines().count(), 1, "{args:?}: {out:?}");
        }
    }
    let out = ttui(home.path(), &[os("show"), os("--json"), os("good.torrent")]);
    let said: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(said["files"][0]["path"], "own\x07\nname/a\x1b[2J\u{9b}\u{202e}\u{2066}b", "programs get the true name");
}
