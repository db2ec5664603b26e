//! What holds for all bytes that a stranger may send: nothing panics, what is accepted keeps its promises, and what
//! is written reads back.

// A test that cannot prepare its case has failed: saying so at once is all that is wanted.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::path::{Component, Path};

use bytes::Bytes;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use sha1::{Digest, Sha1};
use ttui::limits;
use ttui::wire::bencode::{Kind, OwnedValue, Value};
use ttui::wire::extension;
use ttui::wire::extension::metadata::MetadataMessage;
use ttui::wire::magnet::Magnet;
use ttui::wire::message::{
    Block, Frame, Handshake, InfoHash, Message, PeerId, PieceIndex, Reserved, decode, frame_length,
};
use ttui::wire::metainfo::paths::{self, PathRules, UsedPaths};
use ttui::wire::metainfo::{Metainfo, urls};
use ttui::wire::peer_id;
use ttui::wire::sanitize::{CharHazard, hazard, sanitize, sanitize_bytes};
use ttui::wire::tracker::can_be_peer;
use unicode_width::UnicodeWidthStr;

// --- material -----------------------------------------------------------------------------------

fn single(extra: &[(&str, OwnedValue)]) -> OwnedValue {
    let mut entries = vec![
        ("name", OwnedValue::from("file.bin")),
        ("length", OwnedValue::from(40_000)),
        ("piece length", OwnedValue::from(16_384)),
        ("pieces", OwnedValue::from(vec![7; 60])),
        ("private", OwnedValue::from(0)),
        ("source", OwnedValue::from("here")),
        ("name.utf-8", OwnedValue::from("f.bin")),
    ];
    entries.extend(extra.iter().cloned());
    OwnedValue::dictionary(entries)
}

fn file(path: Vec<OwnedValue>, length: i64) -> OwnedValue {
    OwnedValue::dictionary([
        ("path", OwnedValue::from(path.clone())),
        ("path.utf-8", OwnedValue::from(path)),
        ("length", OwnedValue::from(length)),
        ("attr", OwnedValue::from("x")),
    ])
}

fn folder(files: Vec<OwnedValue>) -> OwnedValue {
    OwnedValue::dictionary([
        ("name", OwnedValue::from("folder")),
        ("files", OwnedValue::from(files)),
        ("piece length", OwnedValue::from(16_384)),
        ("pieces", OwnedValue::from(vec![7; 60])),
    ])
}

fn torrent(info: OwnedValue) -> OwnedValue {
    let tier =
        OwnedValue::from(vec![OwnedValue::from("udp://127.0.0.1:9"), OwnedValue::from("http://t.example/announce")]);
    OwnedValue::dictionary([
        ("announce", OwnedValue::from("http://127.0.0.1:9/announce")),
        ("announce-list", OwnedValue::from(vec![tier])),
        ("comment", OwnedValue::from("a remark")),
        ("created by", OwnedValue::from("a program")),
        ("creation date", OwnedValue::from(1_700_000_000)),
        ("info", info),
        ("url-list", OwnedValue::from(vec![OwnedValue::from("http://w.example/")])),
    ])
}

fn two_files() -> OwnedValue {
    folder(vec![file(vec!["a".into()], 20_000), file(vec!["d".into(), "b".into()], 20_000)])
}

fn items() -> impl Strategy<Value = OwnedValue> {
    let leaf = prop_oneof![
        any::<i64>().prop_map(OwnedValue::Integer),
        vec(any::<u8>(), 0..20).prop_map(OwnedValue::ByteString),
        "[a-z]{0,8}".prop_map(OwnedValue::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(OwnedValue::List),
            btree_map(vec(any::<u8>(), 0..6), inner, 0..6).prop_map(OwnedValue::Dictionary),
        ]
    })
}

/// Bytes that look like bencode more often than not.
fn soup() -> impl Strategy<Value = Vec<u8>> {
    let words: &[&[u8]] = &[
        b"d",
        b"l",
        b"e",
        b"i",
        b"i5e",
        b"i-0e",
        b"0:",
        b"1:a",
        b"4:info",
        b"4:name",
        b"6:length",
        b"5:files",
        b"4:path",
        b"12:piece length",
        b"6:pieces",
        b"20:aaaaaaaaaaaaaaaaaaaa",
        b"9999:",
        b"4294967295:",
        b"-1:",
        b"i16384e",
        b"1:m",
        b"1:v",
        b":",
        b"18446744073709551619:",
    ];
    let word = prop_oneof![
        8 => proptest::sample::select(words).prop_map(<[u8]>::to_vec),
        1 => vec(any::<u8>(), 0..6),
    ];
    vec(word, 0..40).prop_map(|words| words.concat())
}

/// A torrent with a few bytes changed, taken out, put in, or cut off.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let edits = vec((any::<prop::sample::Index>(), 0..4_u8, any::<u8>()), 1..6);
    (any::<bool>(), edits).prop_map(|(one, edits)| {
        let mut bytes = torrent(if one { single(&[]) } else { two_files() }).encode();
        for (at, what, byte) in edits {
            let at = at.index(bytes.len().max(1)).min(bytes.len().saturating_sub(1));
            match what {
                _ if bytes.is_empty() => {}
                0 => bytes[at] = byte,
                1 => {
                    bytes.remove(at);
                }
                2 => bytes.insert(at, byte),
                _ => bytes[at] = b"deil0123456789:"[usize::from(byte) % 15],
            }
        }
        bytes
    })
}

/// A name as a stranger may write it.
fn evil_names() -> impl Strategy<Value = Vec<u8>> {
    let bits: &[&str] = &[
        "..",
        ".",
        "/",
        "\\",
        "a",
        "b",
        "C:",
        "CON",
        "nul",
        "\0",
        "\n",
        "\u{1b}[2J",
        "\u{202e}",
        "\u{200b}",
        "\u{200d}",
        "e\u{301}",
        "\u{e9}",
        "雪",
        " ",
        "~",
        ":",
        "?",
        ".txt",
        " (2)",
        "\u{9b}",
    ];
    prop_oneof![
        6 => vec(proptest::sample::select(bits), 0..6).prop_map(|bits| bits.concat().into_bytes()),
        1 => vec(any::<u8>(), 0..600),
        1 => "\\PC{0,400}".prop_map(String::into_bytes),
        1 => proptest::sample::select(&[".", "..", "", "/", "//", "/etc/passwd", "a/../..", "a"][..])
            .prop_map(|name| name.as_bytes().to_vec()),
    ]
}

// --- what must hold -----------------------------------------------------------------------------

/// Whether a path below the download folder stays there.
fn assert_stays_inside(path: &Path) {
    assert!(path.components().all(|c| matches!(c, Component::Normal(_))), "{path:?}");
    assert!(path.components().count() >= 1, "{path:?}");
    assert!(Path::new("down").join(path).starts_with("down"), "{path:?}");
    assert!(path.iter().all(|part| part.len() <= limits::PATH_COMPONENT), "{path:?}");
}

/// Whether a name is one that can be shown.
fn assert_printable(name: &str) {
    assert_stays_inside(Path::new(name));
    assert!(
        !name.contains('\\') && name.chars().all(|c| !matches!(hazard(c), CharHazard::Control | CharHazard::Direction)),
        "{name:?}"
    );
}

/// What everybody may rely on once a torrent has been accepted.
fn assert_sound(it: &Metainfo) {
    assert_eq!(it.info_hash.0, <[u8; 20]>::from(Sha1::digest(&it.info)));
    assert!((1..=limits::PIECE_LENGTH).contains(&u64::from(it.piece_length)));
    assert_eq!(it.hashes.len() as u64, it.total.div_ceil(u64::from(it.piece_length)));
    assert!(it.total >= 1 && !it.hashes.is_empty());
    let mut offset = 0;
    let mut seen = HashSet::new();
    let mut shown = HashSet::new();
    let mut folders = HashSet::new();
    for file in &it.files {
        assert_eq!(file.offset, offset);
        offset += file.length;
        let path = file.path();
        assert_stays_inside(&path);
        assert_printable(&file.name);
        assert!(path.iter().count() <= limits::PATH_DEPTH);
        if !file.pad {
            assert!(seen.insert(path.clone()), "{path:?} twice");
            assert!(shown.insert(&file.name), "{:?} twice", file.name);
            folders.extend(path.ancestors().skip(1).map(Path::to_path_buf));
        }
    }
    assert_eq!(offset, it.total);
    assert!(seen.is_disjoint(&folders), "a file is a folder too");
    for url in it.trackers.iter().flatten() {
        assert_eq!(urls::tracker(url.as_bytes()).as_deref(), Ok(url.as_str()));
    }
}

/// Walks all of a value.
fn walk(value: Value<'_>) -> usize {
    let mut todo = vec![value];
    let mut seen = 0;
    while let Some(value) = todo.pop() {
        seen += 1;
        match value.kind() {
            Kind::Integer => {
                let _ = value.as_integer();
            }
            Kind::ByteString => assert!(value.as_bytes().is_some()),
            Kind::List => todo.extend(value.list().unwrap()),
            Kind::Dictionary => todo.extend(value.dictionary().unwrap().map(|(_, v)| v)),
        }
    }
    seen
}

/// The item that a value stands for.
fn item(value: Value<'_>) -> OwnedValue {
    match value.kind() {
        Kind::Integer => OwnedValue::Integer(value.as_integer().unwrap()),
        Kind::ByteString => OwnedValue::from(value.as_bytes().unwrap()),
        Kind::List => OwnedValue::List(value.list().unwrap().map(item).collect()),
        Kind::Dictionary => OwnedValue::dictionary(value.dictionary().unwrap().map(|(k, v)| (k, item(v)))),
    }
}

proptest! {
    #[test]
    fn no_bytes_surprise_the_bencode_reader(bytes in prop_oneof![soup(), damaged(), vec(any::<u8>(), 0..200)]) {
        if let Ok((value, rest)) = Value::parse_prefix(&bytes) {
            prop_assert_eq!(value.raw().len() + rest.len(), bytes.len());
            prop_assert!(walk(value) >= 1);
            prop_assert_eq!(Value::parse(value.raw()), Ok(value));
        }
    }

    #[test]
    fn bencode_survives_the_way_there_and_back(it in items(), cut in any::<prop::sample::Index>()) {
        let bytes = it.encode();
        prop_assert_eq!(&item(Value::parse(&bytes).unwrap()), &it);
        prop_assert!(Value::parse(&bytes[..cut.index(bytes.len())]).is_err(), "cut");
    }

    #[test]
    fn what_is_accepted_as_a_torrent_is_sound(bytes in prop_oneof![damaged(), soup()]) {
        if let Ok(it) = Metainfo::parse(&bytes) {
            assert_sound(&it);
        }
        if let Ok(it) = Metainfo::from_info(&bytes) {
            assert_sound(&it);
        }
    }

    #[test]
    fn no_names_lead_out_of_the_folder_or_to_one_file_twice(
        name in evil_names(),
        names in vec((vec(evil_names(), 0..5), 0..3_u8), 1..12),
    ) {
        let kind = |n: &u8| ["x", "p", "l"][usize::from(*n)];
        let each = |(path, attr): &(Vec<Vec<u8>>, u8)| OwnedValue::dictionary([
            ("path", OwnedValue::from(path.iter().map(|p| OwnedValue::from(p.clone())).collect::<Vec<_>>())),
            ("length", OwnedValue::from(if *attr == 2 { 0 } else { 5 })),
            ("attr", OwnedValue::from(kind(attr))),
        ]);
        let info = OwnedValue::dictionary([
            ("name", OwnedValue::from(name)),
            ("files", OwnedValue::from(names.iter().map(each).collect::<Vec<_>>())),
            ("piece length", OwnedValue::from(16_384)),
            ("pieces", OwnedValue::from(vec![0; 20])),
        ]);
        if let Ok(it) = Metainfo::from_info(&info.encode()) {
            assert_sound(&it);
            prop_assert_eq!(it.files.len(), names.iter().filter(|(_, attr)| *attr != 2).count());
        } else {
            prop_assert!(names.iter().all(|(_, attr)| *attr != 0), "a torrent with data is taken, whatever its names");
        }
    }

    #[test]
    fn components_are_safe_under_both_rules(raw in evil_names()) {
        for rules in [PathRules::Unix, PathRules::Windows] {
            let Some(name) = paths::printable(&raw, rules) else { continue };
            assert_printable(&name);
            prop_assert!(!name.contains('/') && name != "." && name != "..");
            if rules == PathRules::Windows {
                prop_assert!(!name.contains(['<', '>', ':', '"', '|', '?', '*']) && !paths::is_reserved(&name));
            }
            prop_assert_eq!(paths::printable(name.as_bytes(), rules), Some(name), "cleaning twice changes nothing");
            let disk = paths::component(&raw, rules).expect("what can be shown has a name");
            prop_assert!(!disk.contains(&b'/') && !disk.contains(&0) && disk.len() <= limits::PATH_COMPONENT);
            prop_assert!(!matches!(&disk[..], b"" | b"." | b".."));
            prop_assert_eq!(paths::component(&disk, rules), Some(disk.clone()), "and here");
        }
    }

    #[test]
    fn names_are_given_once(wanted in vec(vec("[abA]( \\([23]\\))?", 1..4), 1..40)) {
        let mut names = UsedPaths::default();
        let mut files = HashSet::new();
        let mut folders = HashSet::new();
        for path in wanted {
            let given = names.assign(path.into_iter().map(|part: String| Cow::Owned(part.into_bytes())).collect());
            let given = String::from_utf8(given).expect("of texts");
            folders.extend(given.match_indices('/').map(|(at, _)| given[..at].to_owned()));
            prop_assert!(files.insert(given.clone()), "{} twice", given);
        }
        prop_assert!(files.is_disjoint(&folders));
    }

    /// Row A8 of the threats: the hash of what was accepted is that of the bytes as they stand, whatever else is in
    /// there. Where another reader accepts a torrent that keeps the rules of BEP 3, it finds the same.
    #[test]
    fn the_info_hash_is_that_of_the_bytes(extra in btree_map("[a-z]{1,12}", items(), 0..6), one in any::<bool>()) {
        let known = ["name", "length", "pieces", "files", "private", "source"];
        let mut info = if one { single(&[]) } else { two_files() };
        if let OwnedValue::Dictionary(entries) = &mut info {
            let extra = extra.into_iter().filter(|(k, _)| !known.contains(&k.as_str()));
            entries.extend(extra.map(|(k, v)| (k.into_bytes(), v)));
        }
        let raw = info.encode();
        let bytes = torrent(info).encode();
        let it = Metainfo::parse(&bytes).unwrap();
        prop_assert_eq!(it.info_hash.0, <[u8; 20]>::from(Sha1::digest(&raw)));
        if let Ok(other) = lava_torrent::torrent::v1::Torrent::read_from_bytes(&bytes) {
            prop_assert_eq!(it.info_hash.to_string(), other.info_hash());
            prop_assert_eq!(it.total as i64, other.length);
            prop_assert_eq!(it.hashes.len(), other.pieces.len());
        }
    }

    #[test]
    fn no_bytes_surprise_the_message_reader(bytes in vec(any::<u8>(), 0..60), small in any::<bool>(), pieces in 0..9_u32) {
        let mut bytes = bytes;
        if small && bytes.len() > 4 {
            // Mostly lengths that may be right.
            bytes[..3].fill(0);
            bytes[3] %= 20;
            bytes[4] %= 24;
        }
        let buf = Bytes::from(bytes);
        for pieces in [Some(pieces), None] {
            let _ = frame_length(&buf, pieces);
            match decode(&buf, pieces) {
                Ok(Frame::Message(message, taken)) => {
                    let mut again = Vec::new();
                    message.encode(&mut again);
                    prop_assert_eq!(&again[..], &buf[..taken]);
                }
                Ok(Frame::Incomplete(n)) => prop_assert!(n > buf.len()),
                Ok(Frame::Skip(n)) => prop_assert!(n >= 5),
                Err(_) => {}
            }
        }
    }

    #[test]
    fn messages_survive_the_way_there_and_back(
        words in any::<[u32; 3]>(), data in vec(any::<u8>(), 0..100), id in any::<u8>(), rest in vec(any::<u8>(), 0..9),
    ) {
        let [piece, begin, length] = words;
        let (piece, block) = (PieceIndex(piece), Block { piece: PieceIndex(piece), begin, length });
        let data = Bytes::from(data);
        let pieces = data.len() as u32 * 8;
        for message in [
            Message::Have(piece),
            Message::Bitfield(data.clone()),
            Message::Request(block),
            Message::Piece { piece, begin, data: data.clone() },
            Message::Cancel(block),
            Message::Reject(block),
            Message::Suggest(piece),
            Message::AllowedFast(piece),
            Message::Port(length as u16),
            Message::Extended { id, payload: data.clone() },
        ] {
            let mut bytes = Vec::new();
            message.encode(&mut bytes);
            let whole = bytes.len();
            bytes.extend_from_slice(&rest);
            prop_assert_eq!(decode(&Bytes::from(bytes), Some(pieces)), Ok(Frame::Message(message, whole)));
        }
    }

    #[test]
    fn handshakes_survive_the_way_there_and_back(reserved in any::<[u8; 8]>(), hash in any::<[u8; 20]>(), id in any::<[u8; 20]>()) {
        let it = Handshake { reserved: Reserved(reserved), info_hash: InfoHash(hash), peer_id: PeerId(id) };
        prop_assert_eq!(Handshake::decode(&it.encode()), Ok(it));
        let name = peer_id::client_name(&PeerId(id));
        prop_assert!(name.chars().all(|c| hazard(c) == CharHazard::None) && name.width() <= limits::CLIENT_NAME);
    }

    #[test]
    fn extended_handshakes_keep_their_bounds(bytes in prop_oneof![soup(), items().prop_map(|it| it.encode())]) {
        if let Ok(it) = extension::Handshake::decode(&bytes) {
            prop_assert!(it.reqq.is_none_or(|n| (1..=limits::REQUESTS_OUT as u32).contains(&n)));
            prop_assert!(it.metadata_size.is_none_or(|n| n >= 1 && n as usize <= limits::METADATA));
            prop_assert_ne!(it.port, Some(0));
        }
    }

    #[test]
    fn extended_handshakes_survive_the_way_there_and_back(
        client in "[a-zA-Z][a-zA-Z0-9 .]{0,30}[0-9]",
        numbers in any::<(Option<bool>, Option<u16>, Option<u8>, Option<u8>, Option<u8>, Option<u8>)>(),
        reqq in proptest::option::of(1..=limits::REQUESTS_OUT as u32),
        size in proptest::option::of(1..=limits::METADATA as u32),
        your_ip in any::<Option<IpAddr>>(),
    ) {
        let (upload_only, port, ut_metadata, ut_pex, lt_donthave, ut_holepunch) = numbers;
        let it = extension::Handshake {
            client: Some(client),
            reqq,
            upload_only,
            port: port.filter(|p| *p != 0),
            ut_metadata,
            ut_pex,
            lt_donthave,
            ut_holepunch,
            metadata_size: size,
            your_ip: your_ip.map(|ip| ip.to_canonical()),
        };
        prop_assert_eq!(extension::Handshake::decode(&it.encode()), Ok(it));
    }

    #[test]
    fn metadata_messages_keep_their_bounds(bytes in prop_oneof![soup(), items().prop_map(|it| it.encode())]) {
        let read = MetadataMessage::decode(&Bytes::from(bytes));
        if let Ok(message) = read && message != MetadataMessage::Unknown {
            prop_assert_eq!(MetadataMessage::decode(&message.encode()), Ok(message));
        }
    }

    #[test]
    fn metadata_messages_survive_the_way_there_and_back(
        piece in any::<u32>(), total in any::<Option<u32>>(), data in vec(any::<u8>(), 0..300),
    ) {
        for message in [
            MetadataMessage::Request(piece),
            MetadataMessage::Data { piece, total, data: data.into() },
            MetadataMessage::Reject(piece),
        ] {
            prop_assert_eq!(MetadataMessage::decode(&message.encode()), Ok(message));
        }
    }

    #[test]
    fn no_text_surprises_the_magnet_reader(text in "(magnet:\\?)?\\PC{0,200}", bits in vec("(xt|dn|tr|ws|so|x\\.pe|tr\\.1)=\\PC{0,20}", 0..8)) {
        let _ = Magnet::parse(&text);
        let link = format!("magnet:?xt=urn:btih:{}&{}", "ab".repeat(20), bits.join("&"));
        let it = Magnet::parse(&link).unwrap();
        let again = Magnet::parse(&it.to_string()).unwrap();
        prop_assert_eq!(again, Magnet { refused: Vec::new(), ..it });
    }

    #[test]
    fn magnets_survive_the_way_there_and_back(
        hash in any::<[u8; 20]>(), name in "[^/\\\\\\PC]{1,40}", peers in vec(any::<SocketAddr>(), 0..5), n in any::<[u16; 3]>(),
    ) {
        let [from, length, path] = n;
        let plain = |a: SocketAddr| SocketAddr::new(a.ip(), a.port());
        let mut it = Magnet::from_info_hash(InfoHash(hash));
        it.name = paths::printable(name.as_bytes(), PathRules::NATIVE);
        it.trackers = vec![format!("http://t.example/{path}?a=b%20c"), format!("udp://[::1]:{}", path.max(1))];
        it.web_seeds = vec![format!("https://w.example/{path}/")];
        it.select = vec![u32::from(from)..=u32::from(from) + u32::from(length)];
        for addr in peers.into_iter().filter(can_be_peer).map(plain) {
            if !it.peers.contains(&addr) {
                it.peers.push(addr);
            }
        }
        prop_assert_eq!(Magnet::parse(&it.to_string()).unwrap(), it);
    }

    #[test]
    fn clean_text_harms_no_screen(text in any::<String>(), bytes in vec(any::<u8>(), 0..300), max in 0..50_usize) {
        for cleaned in [sanitize(&text, max), sanitize_bytes(&bytes, max)] {
            prop_assert!(cleaned.chars().all(|c| hazard(c) == CharHazard::None));
            prop_assert!(cleaned.width() <= max, "{} columns, not {}", cleaned.width(), max);
            prop_assert!(cleaned.len() <= max * 4 * 5 + 3);
        }
    }
}

/// Row A2: a torrent cut anywhere is refused in words.
#[test]
fn a_torrent_cut_anywhere_is_refused_in_words() {
    let path = |n: usize| (0..n).map(|i| OwnedValue::from(format!("p{i}"))).collect::<Vec<_>>();
    let mut torrents = Vec::new();
    for n in 1..11_i64 {
        torrents.push(torrent(single(&[("x", OwnedValue::from(vec![0; n as usize * 7]))])));
        let sizes = [40_000 / n + 40_000 % n].into_iter().chain((1..n).map(|_| 40_000 / n));
        torrents.push(torrent(folder(sizes.map(|size| file(path(n as usize), size)).collect())));
    }
    assert_eq!(torrents.len(), 20);
    for bytes in torrents.iter().map(OwnedValue::encode) {
        assert!(Metainfo::parse(&bytes).is_ok());
        for cut in 1..bytes.len() {
            let words = Metainfo::parse(&bytes[..cut]).unwrap_err().to_string();
            assert!(words.contains("ends in the middle"), "cut at {cut}: {words}");
        }
    }
}

/// Row A15: every key with every wrong kind of value. What a download needs is an error that names the key; what it
/// can do without is passed over in a remark that names the key. A nested key is told with the file it is in.
#[test]
fn a_wrong_kind_of_value_is_named_by_its_key() {
    let kinds = || {
        [
            OwnedValue::from(7),
            OwnedValue::from("text"),
            OwnedValue::List(vec![]),
            OwnedValue::Dictionary(BTreeMap::new()),
            OwnedValue::from(vec![OwnedValue::from(7)]),
        ]
    };
    let right = |key: &str, kind: usize| match key {
        "length" | "piece length" | "creation date" | "private" | "meta version" => kind == 0,
        "comment" | "created by" | "name" | "name.utf-8" | "pieces" | "source" | "attr" => kind == 1,
        "files" | "path" | "path.utf-8" => kind == 2 || kind == 4,
        // What stands alone is a list of one, and a list a tier.
        "announce" | "announce-list" | "url-list" => kind == 1 || kind == 2 || kind == 4,
        _ => kind == 3,
    };
    let set = |of: &OwnedValue, key: &str, value: OwnedValue| {
        let OwnedValue::Dictionary(mut entries) = of.clone() else { panic!("no dictionary") };
        entries.insert(key.as_bytes().to_vec(), value);
        OwnedValue::Dictionary(entries)
    };
    let mut cases = 0;
    let mut check = |key: &str, kind: usize, whole: OwnedValue| {
        if right(key, kind) {
            return;
        }
        cases += 1;
        let said = match Metainfo::parse(&whole.encode()) {
            Ok(it) => it.warnings.join("; "),
            Err(error) => error.to_string(),
        };
        assert!(said.contains(&format!("`{key}`")), "{key} as {kind}: {said}");
    };
    for (kind, value) in kinds().into_iter().enumerate() {
        let top = torrent(single(&[]));
        for key in ["info", "announce-list", "comment", "created by", "creation date", "url-list"] {
            check(key, kind, set(&top, key, value.clone()));
        }
        let OwnedValue::Dictionary(mut bare) = top.clone() else { panic!("no dictionary") };
        bare.remove(&b"announce-list"[..]);
        check("announce", kind, set(&OwnedValue::Dictionary(bare), "announce", value.clone()));
        for key in ["name", "piece length", "pieces", "length", "private", "source", "meta version"] {
            check(key, kind, torrent(single(&[(key, value.clone())])));
        }
        check("name.utf-8", kind, torrent(single(&[("name.utf-8", value.clone())])));
        check("files", kind, torrent(set(&two_files(), "files", value.clone())));
        for key in ["path", "length", "attr"] {
            let bad = set(&file(vec!["a".into()], 20_000), key, value.clone());
            check(key, kind, torrent(folder(vec![bad, file(vec!["b".into()], 20_000)])));
        }
    }
    assert!(cases >= 60, "{cases}");
}
