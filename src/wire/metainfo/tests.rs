//! Tests of [`super`] with valid, odd and hostile torrents.

use std::path::PathBuf;

use super::*;
use crate::wire::bencode::OwnedValue;

fn info(extra: &[(&str, OwnedValue)]) -> OwnedValue {
    let mut entries = vec![
        ("name", OwnedValue::from("file.bin")),
        ("length", OwnedValue::from(40_000)),
        ("piece length", OwnedValue::from(16_384)),
        ("pieces", OwnedValue::from(vec![7; 60])),
    ];
    entries.extend(extra.iter().cloned());
    OwnedValue::dictionary(entries)
}

fn folder(files: Vec<OwnedValue>, extra: &[(&str, OwnedValue)]) -> OwnedValue {
    let mut entries = vec![
        ("name", OwnedValue::from("folder")),
        ("files", OwnedValue::from(files)),
        ("piece length", OwnedValue::from(16_384)),
        ("pieces", OwnedValue::from(vec![7; 60])),
    ];
    entries.extend(extra.iter().cloned());
    OwnedValue::dictionary(entries)
}

fn file(path: &[&str], length: i64) -> OwnedValue {
    let path: Vec<OwnedValue> = path.iter().map(|p| OwnedValue::from(*p)).collect();
    OwnedValue::dictionary([("path", OwnedValue::from(path)), ("length", OwnedValue::from(length))])
}

fn torrent(info: OwnedValue, extra: &[(&str, OwnedValue)]) -> Vec<u8> {
    let mut entries = vec![("announce", OwnedValue::from("http://127.0.0.1:9/announce")), ("info", info)];
    entries.extend(extra.iter().cloned());
    OwnedValue::dictionary(entries).encode()
}

fn names(it: &Metainfo) -> Vec<&str> {
    it.files.iter().map(|f| f.name.as_str()).collect()
}

#[test]
fn a_single_file_is_read_whole() {
    let raw = info(&[("private", OwnedValue::from(1)), ("source", OwnedValue::from("here"))]);
    let it = Metainfo::parse(&torrent(
        raw.clone(),
        &[
            ("comment", OwnedValue::from("c")),
            ("created by", OwnedValue::from("me")),
            ("creation date", OwnedValue::from(5)),
        ],
    ))
    .unwrap();
    assert_eq!(it.info_hash.0, <[u8; 20]>::from(Sha1::digest(raw.encode())));
    assert_eq!(it.info, raw.encode());
    assert_eq!((it.name.as_str(), it.total, it.piece_length, it.hashes.len()), ("file.bin", 40_000, 16_384, 3));
    assert_eq!(names(&it), ["file.bin"]);
    assert!(it.private && !it.folder);
    assert_eq!(it.trackers, [["http://127.0.0.1:9/announce"]]);
    assert_eq!((it.comment.as_deref(), it.created_by.as_deref(), it.created), (Some("c"), Some("me"), Some(5)));
    assert_eq!(it.source.as_deref(), Some("here"));
    assert!(it.warnings.is_empty() && it.refused_trackers.is_empty());
    assert_eq!(Metainfo::from_info(&raw.encode()).unwrap().info_hash, it.info_hash);
}

#[test]
fn a_folder_keeps_its_order_its_offsets_and_its_padding() {
    let mut pad = file(&[".pad", "6384"], 6384);
    if let OwnedValue::Dictionary(entries) = &mut pad {
        entries.insert(b"attr".to_vec(), OwnedValue::from("p"));
    }
    let files = vec![file(&["a"], 10_000), pad.clone(), file(&["d", "e"], 0), file(&["d", "b"], 16_384), pad];
    let it = Metainfo::parse(&torrent(folder(files, &[]), &[])).unwrap();
    assert!(it.folder);
    assert_eq!(names(&it), ["folder/a", "folder/.pad/6384", "folder/d/e", "folder/d/b", "folder/.pad/6384"]);
    assert_eq!(
        it.files.iter().map(|f| (f.offset, f.pad)).collect::<Vec<_>>(),
        [(0, false), (10_000, true), (16_384, false), (16_384, false), (32_768, true)]
    );
    assert_eq!(it.files[3].path(), ["folder", "d", "b"].iter().collect::<PathBuf>());
    assert_eq!(it.total, 39_152);
}

#[test]
fn padding_is_known_by_its_name_where_it_fills_a_piece() {
    let files = vec![
        file(&["a"], 10_000),
        file(&["_____padding_file_0_if you see this file, please update to BitComet 0.85 or above____"], 6384),
        file(&["b"], 16_000),
        file(&[".pad", "384"], 384),
        file(&[".pad", "7"], 1000),
        file(&[".pad", "seven"], 15_384),
        file(&["d", "_____padding_file_1"], 384),
        file(&[".pad", "2", "x"], 16_000),
        file(&["_____padding_file_x"], 16_384),
        file(&["_____padding_file_3"], 16_384),
    ];
    let pieces = [("pieces", OwnedValue::from(vec![7; 6 * 20]))];
    let raw = folder(files, &pieces);
    let it = Metainfo::parse(&torrent(raw, &[])).unwrap();
    let pads: Vec<usize> = it.files.iter().enumerate().filter(|(_, f)| f.pad).map(|(n, _)| n).collect();
    assert_eq!(pads, [1, 3], "a file that does not end a piece, fills all of one, or is called otherwise is a file");
}

#[test]
fn names_are_bytes_on_disk_and_harmless_in_print() {
    let odd = |name: &[u8]| {
        OwnedValue::dictionary([
            ("path", OwnedValue::from(vec![OwnedValue::from(name)])),
            ("length", OwnedValue::from(8000)),
        ])
    };
    let files = vec![odd(b"caf\xe9"), odd(b"a\\b\x1b[2J"), odd("x\u{200b}".as_bytes()), odd(b"x"), odd(b"C:")];
    let it = Metainfo::parse(&torrent(folder(files, &[]), &[])).unwrap();
    let shown = ["folder/caf\u{fffd}", "folder/a_b_[2J", "folder/x", "folder/x (2)", "folder/C_"];
    let disk = [&b"caf\xe9"[..], b"a\\b\x1b[2J", "x\u{200b}".as_bytes(), b"x", b"C:"];
    assert_eq!(names(&it), shown);
    if cfg!(unix) {
        for (file, name) in it.files.iter().zip(disk) {
            assert_eq!(file.bytes(), [b"folder/", name].concat());
        }
        assert!(it.warnings.is_empty(), "{:?}", it.warnings);
        let web: Vec<_> = it.files.iter().map(|f| f.web.as_deref()).collect();
        let escaped = ["caf%E9", "a%5Cb%1B%5B2J", "x%E2%80%8B", "x", "C%3A"].map(|name| format!("folder/{name}"));
        assert_eq!(web, escaped.iter().map(|name| Some(name.as_str())).collect::<Vec<_>>());
    }
}

#[test]
fn what_is_said_of_many_files_does_not_make_them_too_many() {
    // More than two million bencode values each: deep paths, unknown keys, and both.
    let cases = [
        (80_000, "1:a".repeat(20), ""),
        (100_000, "2:bc".into(), "3:m5dl0:0:0:0:0:0:0:0:0:0:0:0:0:0:e"),
        (90_000, "1:d".repeat(9), "1:ai1e1:bi1e1:ci1e"),
    ];
    for (count, parts, more) in cases {
        let mut raw = b"d5:filesl".to_vec();
        for n in 0..count {
            raw.extend_from_slice(format!("d6:lengthi1e{more}4:pathl{parts}6:{n:06}ee").as_bytes());
        }
        raw.extend_from_slice(b"e4:name1:n12:piece lengthi1048576e6:pieces20:aaaaaaaaaaaaaaaaaaaae");
        assert_eq!(Metainfo::from_info(&raw).unwrap().files.len(), count);
    }
}

#[test]
fn links_are_left_out_and_equal_names_renamed_and_both_said() {
    let link = OwnedValue::dictionary([
        ("path", OwnedValue::from(vec![OwnedValue::from("d")])),
        ("length", OwnedValue::from(0)),
        ("attr", OwnedValue::from("l")),
        ("symlink path", OwnedValue::from(vec![OwnedValue::from("..")])),
    ]);
    let files = vec![link, file(&["d", "x"], 20_000), file(&["d", ".", "x"], 20_000)];
    let it = Metainfo::parse(&torrent(folder(files, &[]), &[])).unwrap();
    assert_eq!(names(&it), ["folder/d/x", "folder/d/x (2)"]);
    assert_eq!(it.warnings.len(), 2, "{:?}", it.warnings);
}

#[test]
fn files_may_all_be_empty_and_then_there_are_no_pieces() {
    let nothing = || ("pieces", OwnedValue::from(Vec::<u8>::new()));
    let one = Metainfo::parse(&torrent(info(&[nothing(), ("length", OwnedValue::from(0))]), &[])).unwrap();
    assert_eq!((one.total, one.hashes.len(), one.files.len()), (0, 0, 1));
    let files = || vec![file(&["a"], 0), file(&["b", "c"], 0)];
    let it = Metainfo::parse(&torrent(folder(files(), &[nothing()]), &[])).unwrap();
    assert_eq!((it.total, it.hashes.len(), it.files.len()), (0, 0, 2));
    let hash = ("pieces", OwnedValue::from(vec![0; 20]));
    let said = Metainfo::parse(&torrent(folder(files(), &[hash]), &[])).unwrap_err().to_string();
    assert_eq!(said, "`pieces` has 1 hash, and its 0 bytes in pieces of 16384 need 0");
}

#[test]
fn what_is_wrong_is_named() {
    let says = |raw: Vec<u8>| Metainfo::parse(&raw).unwrap_err().to_string();
    let one = |key: &str, value: OwnedValue| says(torrent(info(&[(key, value)]), &[]));
    assert_eq!(says(vec![]), "it is not a torrent file: it is empty");
    for page in ["<html>", "<!DOCTYPE html><html lang=en>", "\u{feff}\n  <!doctype HTML>", "<head><title>404"] {
        assert!(
            says(page.into()).starts_with("it is not a torrent file: it is a web page; give the address"),
            "{page}"
        );
    }
    assert_eq!(says(b"<rss>".to_vec()), "it is not a torrent file: it begins with \"<rss>\"");
    assert_eq!(says(b"d4:info".to_vec()), "the torrent is damaged: it ends in the middle (byte 7)");
    assert_eq!(says(b"de".to_vec()), "the torrent has no `info`");
    assert_eq!(one("piece length", OwnedValue::from(0)), "`piece length` is 0, and should be 1 byte to 512 MiB");
    assert_eq!(one("piece length", OwnedValue::from("x")), "`piece length` is a text, and should be a number");
    assert_eq!(one("length", OwnedValue::from(-1)), "`length` is -1, and should be 0 to 2^63 - 1");
    assert_eq!(
        one("pieces", OwnedValue::from(vec![0; 40])),
        "`pieces` has 2 hashes, and its 40000 bytes in pieces of 16384 need 3"
    );
    assert_eq!(one("pieces", OwnedValue::from(vec![0; 59])), "`pieces` has 59 bytes, which is no multiple of 20");
    assert_eq!(one("meta version", OwnedValue::from(99)), "its format (`meta version` 99) is newer than this program");
    let list = |files| says(torrent(folder(files, &[]), &[]));
    assert_eq!(
        list(vec![file(&["a"], 80_000), file(&["b"], -40_000)]),
        "`length` of file 2 is -40000, and should be 0 to 2^63 - 1"
    );
    assert_eq!(
        list(vec![OwnedValue::dictionary([("length", OwnedValue::from(1))])]),
        "the torrent has no `path` of file 1"
    );
    assert_eq!(list(vec![]), "it holds no data: the list of files is empty");
    let pad = |length| {
        let path = OwnedValue::from(vec![OwnedValue::from(".pad"), OwnedValue::from("0")]);
        OwnedValue::dictionary([("attr", OwnedValue::from("p")), ("length", OwnedValue::from(length)), ("path", path)])
    };
    for files in [vec![pad(40_000)], vec![file(&["a"], 0), pad(40_000)]] {
        assert_eq!(list(files), "it holds no data: there is nothing in it but padding");
    }
    let v2 = OwnedValue::dictionary([
        ("meta version", OwnedValue::from(2)),
        ("name", OwnedValue::from("v2")),
        ("piece length", OwnedValue::from(16_384)),
        ("file tree", OwnedValue::dictionary([("a", OwnedValue::from(1))])),
    ]);
    assert_eq!(says(torrent(v2, &[])), "version 2 torrents are not supported yet");
}

#[test]
fn trackers_keep_their_tiers_and_bad_ones_are_told() {
    let list = |urls: &[&str]| OwnedValue::from(urls.iter().map(|u| OwnedValue::from(*u)).collect::<Vec<_>>());
    let tiers = OwnedValue::from(vec![
        list(&["udp://a.example:1/announce", "file:///etc/passwd"]),
        OwnedValue::from(7),
        list(&["http://b.example/x"]),
        OwnedValue::from("http://c.example/announce"),
        list(&["udp://a.example:1/announce"]),
    ]);
    let it = Metainfo::parse(&torrent(info(&[]), &[("announce-list", tiers)])).unwrap();
    assert_eq!(it.trackers, [["udp://a.example:1/announce"], ["http://b.example/x"], ["http://c.example/announce"]]);
    assert_eq!(it.refused_trackers.len(), 1);
    assert_eq!(it.warnings.len(), 1);
    let many = (0..20_000).map(|n| list(&[&format!("http://t.example/{n}")])).collect::<Vec<_>>();
    let it = Metainfo::parse(&torrent(info(&[]), &[("announce-list", OwnedValue::from(many))])).unwrap();
    assert_eq!(it.trackers.len(), limits::TRACKERS);
    let bad = OwnedValue::from(vec![list(&["ws://x/"])]);
    let it = Metainfo::parse(&torrent(info(&[]), &[("announce-list", bad)])).unwrap();
    assert_eq!(it.trackers, [["http://127.0.0.1:9/announce"]], "`announce` where the list has nothing to ask");
}

#[test]
fn oddities_are_passed_over_and_said() {
    let raw = torrent(
        info(&[("private", OwnedValue::from("1"))]),
        &[
            ("creation date", OwnedValue::from("yesterday")),
            ("comment", OwnedValue::from(3)),
            ("url-list", OwnedValue::from(vec![OwnedValue::from(5), OwnedValue::from("http://s.example/f")])),
        ],
    );
    let it = Metainfo::parse(&[raw, b"\n trailing".to_vec()].concat()).unwrap();
    assert!(it.private);
    assert_eq!(it.web_seeds, ["http://s.example/f"]);
    assert_eq!(it.warnings.len(), 5, "{:?}", it.warnings);
}

#[test]
fn metadata_from_peers_make_a_torrent_file() {
    let info = info(&[]).encode();
    let trackers = [vec!["http://a.example/announce".to_owned()], vec!["udp://b.example:1".to_owned()]];
    let seeds = ["http://s.example/f".to_owned()];
    let it = Metainfo::parse(&super::encode_torrent(&info, &trackers, &seeds)).unwrap();
    assert_eq!((&it.trackers[..], &it.web_seeds[..]), (&trackers[..], &seeds[..]));
    assert_eq!(it.info, info);
    assert_eq!(it.info_hash, Metainfo::from_info(&info).unwrap().info_hash);
    assert!(Metainfo::parse(&super::encode_torrent(&info, &[], &[])).unwrap().trackers.is_empty());
}
