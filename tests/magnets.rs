//! Magnet links: joined from each of the clients that people use and by each of them, from a tracker in the link and
//! from the peers that it names; files chosen before the first byte; kept from one session to the next; and metadata
//! that have the right hash and mean harm.
#![cfg(target_os = "linux")]
// A test whose surroundings fail has failed: saying so at once is all that is wanted. Every test file uses a part of
// what `support` offers.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::print_stderr, dead_code)]

mod support {
    pub mod clients;
    pub mod engine;
    pub mod metadata;
    pub mod network;
    pub mod process;
    pub mod torrents;
}

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command as Program;

use sha1::{Digest, Sha1};
use support::clients::{Client, Given, Kind};
use support::engine::{PIECE, Peer, content, torrent, torrent_of};
use support::metadata::Giver;
use support::network::{Cable, Place, Tongue, Tracker};
use support::process::{skip, tail, until};
use support::torrents::Payload;
use ttui::api::{AddTorrent, Command, Event, PieceProgress, Priority, Reason, State};
use ttui::wire::bencode::Value;
use ttui::wire::metainfo::Metainfo;

// --- with other clients -------------------------------------------------------------------------

#[test]
fn joins_by_libtorrent() {
    joins(Kind::Libtorrent);
}

#[test]
fn joins_by_transmission() {
    joins(Kind::Transmission);
}

#[test]
fn joins_by_aria2() {
    joins(Kind::Aria2);
}

#[test]
fn joins_by_rtorrent() {
    joins(Kind::Rtorrent);
}

#[test]
fn joins_by_ttui() {
    joins(Kind::Ttui);
}

#[test]
fn libtorrent_joins_by_us() {
    joined_by(Kind::Libtorrent);
}

#[test]
fn aria2_joins_by_us() {
    joined_by(Kind::Aria2);
}

#[test]
fn rtorrent_joins_by_us() {
    joined_by(Kind::Rtorrent);
}

/// Transmission calls nobody at a loopback address, so these two meet over a cable between two namespaces.
#[test]
fn transmission_joins_by_us() {
    if missing(Kind::Transmission) {
        return;
    }
    let Some(cable) = Cable::new() else {
        return skip("no right to make network namespaces (ip netns add)");
    };
    cable.inside(|here, there| transfer((Kind::Ttui, here), (Kind::Transmission, there), here, By::Tracker));
}

/// Where a magnet link leads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum By {
    Tracker,
    Peer,
}

fn missing(kind: Kind) -> bool {
    let why = kind.missing();
    if let Some(why) = &why {
        skip(why);
    }
    why.is_some()
}

fn joins(seeder: Kind) {
    if !missing(seeder) {
        let place = if seeder == Kind::Ttui { Place::localhost() } else { Place::loopback() };
        for by in [By::Tracker, By::Peer] {
            transfer((seeder, &place), (Kind::Ttui, &Place::localhost()), &Place::loopback(), by);
        }
    }
}

fn joined_by(leecher: Kind) {
    if !missing(leecher) {
        transfer((Kind::Ttui, &Place::localhost()), (leecher, &Place::loopback()), &Place::loopback(), By::Tracker);
    }
}

/// One seeds from a `.torrent`, the other joins by a link: one file, and a folder of 200 whose metadata are several
/// pieces.
fn transfer((seeder, s_place): (Kind, &Place), (leecher, l_place): (Kind, &Place), t_place: &Place, by: By) {
    let scratch = tempfile::tempdir().expect("a temporary folder");
    let at = |name: &str| {
        let path = scratch.path().join(name);
        fs::create_dir_all(&path).expect("folders can be made");
        path
    };
    let payloads = [Payload::single("one file.bin", 3_000_001, 16_384, 1), Payload::folder("a folder", 200, 16_384, 2)];
    let hexes = payloads.each_ref().map(Payload::hex);
    let mut tracker = Tracker::ttui(t_place, &at("tracker"));
    let paths = payloads.each_ref().map(|p| {
        let path = scratch.path().join(format!("{}.torrent", p.name));
        p.write_torrent(&path, &tracker.url(Tongue::Http));
        p.write_data(&at("seed"));
        path
    });
    let given: Vec<Given<'_>> = paths.iter().zip(&hexes).map(|(torrent, hex)| Given { torrent, hex }).collect();
    let mut from = Client::seed(seeder, s_place, &at("seeder"), &at("seed"), &given);
    for payload in &payloads {
        tracker.wait_for(&payload.hash(), from.port, || from.state());
    }

    let lead = match by {
        By::Tracker => format!("tr={}", tracker.url(Tongue::Http)),
        By::Peer => format!("x.pe={}", from.addr()),
    };
    let links = hexes.each_ref().map(|hex| PathBuf::from(format!("magnet:?xt=urn:btih:{hex}&dn=a%20name&{lead}")));
    let given: Vec<Given<'_>> = links.iter().zip(&hexes).map(|(torrent, hex)| Given { torrent, hex }).collect();
    let to_dir = at("leech");
    let mut to = Client::leech(leecher, l_place, &at("leecher"), &to_dir, &given);
    let waited_for = format!("{leecher:?} to join by {seeder:?}, through {lead}");
    let logs = [from.process.log.clone(), to.process.log.clone()];
    let both = || format!("seeder:\n{}\nleecher:\n{}", tail(&logs[0]), tail(&logs[1]));
    until(&waited_for, both, || to.is_done());
    from.process.must_live();
    // Transmission 3 makes no empty files.
    let with_empty = leecher != Kind::Transmission;
    let flaws = || payloads.iter().find_map(|p| p.flaws(&to_dir, with_empty));
    until(&format!("whole files: {waited_for}"), || flaws().unwrap_or_default(), || flaws().is_none());
    if leecher == Kind::Ttui {
        for (payload, hex) in payloads.iter().zip(&hexes) {
            let kept = fs::read(at("leecher").join(format!("state/torrents/{hex}.torrent"))).unwrap();
            let kept = Metainfo::parse(&kept).unwrap();
            assert_eq!(kept.info_hash.0, payload.hash());
            let trackers = if by == By::Tracker { vec![tracker.url(Tongue::Http)] } else { Vec::new() };
            assert_eq!(kept.trackers.concat(), trackers);
        }
    }
}

// --- the engine ---------------------------------------------------------------------------------

/// Each begins with a piece of its own: no file is begun for the sake of another one.
const FILES: [(&str, usize); 3] = [("a.txt", PIECE), ("b.mkv", 4 * PIECE), ("c.txt", PIECE + 9)];

/// A seed of a folder of three files, and its info-hash in hex.
fn seed() -> (Peer, String) {
    let peer = Peer::start();
    let data = content(7, FILES.iter().map(|(_, length)| length).sum());
    let (path, hash) = torrent_of(peer.folder.path(), "three", &FILES, &data);
    let mut from = 0;
    fs::create_dir(peer.folder.path().join("three")).unwrap();
    for (name, length) in FILES {
        fs::write(peer.folder.path().join("three").join(name), &data[from..from + length]).unwrap();
        from += length;
    }
    let id = peer.add(&path, Vec::new());
    peer.until("it seeds", id, |view| view.is_some_and(|view| view.state == State::Seeding));
    (peer, hash.to_string())
}

fn link(hex: &str, more: &str) -> PathBuf {
    PathBuf::from(format!("magnet:?xt=urn:btih:{hex}{more}"))
}

/// The files below `three` that are there.
fn files(peer: &Peer) -> Vec<String> {
    let entries = fs::read_dir(peer.folder.path().join("three")).map(|entries| entries.flatten().collect::<Vec<_>>());
    let mut names: Vec<String> =
        entries.unwrap_or_default().iter().map(|e| e.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn files_are_selected_before_the_first_byte() {
    let (seed, hex) = seed();
    let from = vec![seed.addr()];
    let whole: usize = FILES.iter().map(|(_, length)| length).sum();
    let added = |what: PathBuf, select: &[&str]| {
        let peer = Peer::start();
        let select = select.iter().map(|glob| (*glob).to_owned()).collect();
        let id = peer.add_as(&what, AddTorrent { peers: from.clone(), select, ..AddTorrent::default() });
        peer.complete(id);
        peer.until("it is seen", id, |view| view.is_some_and(|view| view.state == State::Seeding));
        let view = peer.last.borrow().as_ref().unwrap().torrents[0].1.clone();
        assert_eq!((view.name.as_str(), view.size), ("three", whole as u64));
        let names = files(&peer);
        peer.stop();
        (names, view.downloaded < whole as u64)
    };
    assert_eq!(added(link(&hex, "&so=0"), &[]), (vec!["a.txt".to_owned()], true));
    assert_eq!(added(link(&hex, ""), &["b.*"]), (vec!["b.mkv".to_owned()], true));
    // What the user says comes before what the link says; a link that selects nothing that exists selects nothing.
    assert_eq!(added(link(&hex, "&so=1"), &["c.txt"]).0, ["c.txt"]);
    assert_eq!(added(link(&hex, "&so=7-9"), &[]).0, ["a.txt", "b.mkv", "c.txt"]);
    assert_eq!(added(PathBuf::from(&hex), &[]).0, ["a.txt", "b.mkv", "c.txt"]);
    seed.stop();
}

#[test]
fn files_can_be_chosen_when_they_are_known() {
    let (seed, hex) = seed();
    let folder = tempfile::tempdir().unwrap();
    let peer = Peer::start_in(folder, true);
    let add = AddTorrent { peers: vec![seed.addr()], choose: true, ..AddTorrent::default() };
    let id = peer.add_as(&link(&hex, ""), add);
    let asks = |peer: &Peer| {
        peer.wait("it asks", |event| match event {
            Event::FilesKnown { id, contents } => Some((*id, contents.files.len())),
            _ => None,
        })
    };
    assert_eq!(asks(&peer), (id, 3));
    peer.until("it waits, and says how large it is", id, |view| {
        let whole = |it: PieceProgress| it.done == it.total && it.total > 0;
        view.is_some_and(|view| matches!(view.why.reason, Reason::SelectFiles) && whole(view.metadata) && view.size > 0)
    });
    assert!(files(&peer).is_empty(), "nothing is fetched before");
    // It asks again in the next session, and after a pause.
    let peer = Peer::start_in(peer.leave(), true);
    let (id, _) = asks(&peer);
    peer.engine.send(Command::Pause(id));
    peer.until("it is paused", id, |view| view.is_some_and(|view| view.state == State::Paused));
    peer.engine.send(Command::Resume(id));
    asks(&peer);
    peer.engine.send(Command::SelectFiles { id, priorities: vec![(1, Priority::Skip), (2, Priority::Skip)] });
    peer.until("it looks for peers", id, |view| view.is_some_and(|view| view.state == State::Downloading));
    peer.engine.send(Command::AddPeers(id, vec![seed.addr()]));
    peer.complete(id);
    assert_eq!(files(&peer), ["a.txt"]);
    peer.stop();
    seed.stop();
}

#[test]
fn chosen_files_come_from_the_peers_that_are_there() {
    let (seed, hex) = seed();
    let peer = Peer::start();
    let add = AddTorrent { peers: vec![seed.addr()], choose: true, ..AddTorrent::default() };
    let id = peer.add_as(&link(&hex, ""), add);
    peer.wait("it asks", |event| matches!(event, Event::FilesKnown { .. }).then_some(()));
    peer.engine.send(Command::SelectFiles { id, priorities: vec![(0, Priority::Skip), (1, Priority::Skip)] });
    peer.complete(id);
    assert_eq!(files(&peer), ["c.txt"]);
    peer.stop();
    seed.stop();
}

#[test]
fn a_magnet_that_still_looks_goes_on_looking_in_the_next_session() {
    let (seed, hex) = seed();
    let peer = Peer::start_in(tempfile::tempdir().unwrap(), true);
    let id = peer.add(&link(&hex, "&dn=some%20name&so=2"), Vec::new());
    let looks = |peer: &Peer, id| {
        peer.until("it looks", id, |view| {
            view.is_some_and(|v| v.state == State::Metadata && v.name == "some name" && v.pieces == 0)
        });
    };
    looks(&peer, id);
    let peer = Peer::start_in(peer.leave(), true);
    peer.sees("it is there", |all| !all.torrents.is_empty());
    let id = peer.last.borrow().as_ref().unwrap().torrents[0].0;
    looks(&peer, id);
    peer.engine.send(Command::AddPeers(id, vec![seed.addr()]));
    peer.complete(id);
    assert_eq!(files(&peer), ["c.txt"]);
    // From now on it is a torrent as every other one.
    let peer = Peer::start_in(peer.leave(), true);
    peer.sees("it is whole", |all| all.torrents.iter().any(|(_, v)| v.state == State::Seeding && v.name == "three"));
    peer.stop();
    seed.stop();
}

#[test]
fn what_is_there_already_is_found_and_the_rest_fetched() {
    let (seed, hex) = seed();
    let peer = Peer::start();
    fs::create_dir(peer.folder.path().join("three")).unwrap();
    fs::copy(seed.folder.path().join("three/b.mkv"), peer.folder.path().join("three/b.mkv")).unwrap();
    let id = peer.add(&link(&hex, ""), vec![seed.addr()]);
    peer.complete(id);
    peer.until("it is seen", id, |view| view.is_some_and(|v| v.state == State::Seeding));
    let view = peer.last.borrow().as_ref().unwrap().torrents[0].1.clone();
    assert!(view.downloaded < view.size * 3 / 4, "{} of {} were fetched", view.downloaded, view.size);
    peer.stop();
    seed.stop();
}

#[test]
fn a_magnet_can_be_paused_moved_and_removed_while_it_looks() {
    let peer = Peer::start_in(tempfile::tempdir().unwrap(), true);
    let hex = "0123456789012345678901234567890123456789";
    let id = peer.add(&link(hex, ""), Vec::new());
    let state = |id, state| peer.until("its state", id, |view| view.is_some_and(|view| view.state == state));
    state(id, State::Metadata);
    peer.engine.send(Command::Pause(id));
    state(id, State::Paused);
    peer.engine.send(Command::Move { id, to: peer.folder.path().join("elsewhere") });
    peer.hears("will go to");
    peer.engine.send(Command::Export { id, to: peer.folder.path().join("x.torrent") });
    peer.hears("cannot be exported yet");
    peer.engine.send(Command::Resume(id));
    state(id, State::Metadata);
    peer.engine.send(Command::Torrent(id, ttui::api::TorrentCommand::Priority(vec![(0, Priority::Skip)])));
    peer.engine.send(Command::Torrent(id, ttui::api::TorrentCommand::Verify));
    peer.engine.send(Command::Remove { id, data: true });
    peer.until("it is gone", id, |view| view.is_none());
    peer.stop();
}

// --- metadata that mean harm --------------------------------------------------------------------

/// The rig: beside the package, or beside the repository when this is a further working tree of it.
fn rig() -> Option<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().skip(1).take(2).map(|dir| dir.join("shared/hostile/make_torrents.py")).find(|rig| rig.is_file())
}

/// Every `info` dictionary of the rig's hostile torrents that a peer could send at all.
fn hostile_infos() -> BTreeMap<String, Vec<u8>> {
    let Some(rig) = rig() else { return BTreeMap::new() };
    let dir = tempfile::tempdir().unwrap();
    assert!(Program::new("python3").arg(rig).arg("--out").arg(dir.path()).output().unwrap().status.success());
    let mut infos = BTreeMap::new();
    for entry in
        fs::read_dir(dir.path()).unwrap().flatten().filter(|e| e.path().extension() == Some("torrent".as_ref()))
    {
        let bytes = fs::read(entry.path()).unwrap();
        let Ok((top, _)) = Value::parse_prefix(&bytes) else { continue };
        // Dangerous by their size alone: they are judged as files in other tests.
        if let Some(info) = top.get(b"info").filter(|info| info.raw().len() < 1_000_000) {
            infos.insert(entry.file_name().to_string_lossy().into_owned(), info.raw().to_vec());
        }
    }
    infos
}

#[test]
fn hostile_metadata_with_the_right_hash_end_in_one_sentence() {
    let infos = hostile_infos();
    if infos.is_empty() {
        return eprintln!("skipped: ../shared/hostile/make_torrents.py is not here");
    }
    assert!(infos.len() > 100);
    let giver = Giver::start(infos.values().cloned());
    let peer = Peer::start();
    let mut judged = (0, 0);
    let mut seen = std::collections::BTreeSet::new();
    for (name, info) in infos {
        let hex: String = Sha1::digest(&info).iter().map(|byte| format!("{byte:02x}")).collect();
        if !seen.insert(hex.clone()) {
            continue;
        }
        let verdict = Metainfo::from_info(&info);
        let id = peer.add(&link(&hex, ""), vec![giver.addr]);
        let ended = |v: &ttui::api::TorrentView| matches!(v.state, State::Error | State::Seeding) || v.pieces > 0;
        peer.until(&name, id, |view| view.is_some_and(ended));
        let view = peer.last.borrow().as_ref().unwrap().torrents.iter().find(|(n, _)| *n == id).unwrap().1.clone();
        match verdict {
            Err(why) => {
                judged.1 += 1;
                let said = view.error.unwrap_or_default();
                assert!(
                    said.contains("its metadata cannot be used") && said.contains(&why.to_string()),
                    "{name}: {said}"
                );
                assert!(!said.contains('\n') && !said.chars().any(char::is_control), "{name}: {said}");
            }
            Ok(_) => judged.0 += 1,
        }
        peer.engine.send(Command::Remove { id, data: false });
        peer.until("it is gone", id, |view| view.is_none());
    }
    assert!(judged.0 > 20 && judged.1 > 20, "{judged:?}");
    peer.stop();
}

/// A program that is given hostile metadata says so and ends.
#[test]
fn the_command_line_ends_with_the_sentence() {
    let info = b"d6:lengthi5e4:name1:x12:piece lengthi0e6:pieces20:aaaaaaaaaaaaaaaaaaaae".to_vec();
    let hex: String = Sha1::digest(&info).iter().map(|byte| format!("{byte:02x}")).collect();
    let giver = Giver::start([info]);
    let dir = tempfile::tempdir().unwrap();
    let flags = support::clients::ttui_flags(
        std::net::Ipv4Addr::LOCALHOST,
        Place::localhost().port(),
        dir.path(),
        &dir.path().join("state"),
    );
    let peer = giver.addr.to_string();
    let mut command = support::clients::ttui("download", Path::new(&hex), flags, &["--peer", &peer]);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("its metadata cannot be used") && said.contains("piece length"), "{said}");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("state=error"), "{said}");
}

/// One file of one piece, and nobody but the one who lies: the magnet stays, and says whom it banned.
#[test]
fn a_liar_is_banned_by_name_and_an_honest_peer_is_heard() {
    let data = content(3, 50_000);
    let peer = Peer::start();
    let (path, hash) = torrent(peer.folder.path(), "one", &data);
    let metainfo = Metainfo::parse(&fs::read(&path).unwrap()).unwrap();
    let mut wrong = metainfo.info.to_vec();
    wrong[5] ^= 1;
    let liar = Giver::lying(hash.0, wrong);
    let id = peer.add(&link(&hash.to_string(), ""), vec![liar.addr]);
    assert!(peer.hears("banned").contains("sent metadata that are not this torrent's"));
    // Another host: bans are by address.
    let honest = Giver::start_at(std::net::Ipv4Addr::new(127, 0, 0, 2), [metainfo.info.to_vec()]);
    peer.engine.send(Command::AddPeers(id, vec![honest.addr]));
    peer.until("it is known", id, |view| view.is_some_and(|v| v.pieces == 1 && v.name == "one"));
    peer.stop();
}
