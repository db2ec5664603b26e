//! The session of an engine: what it knows before a torrent is added, who runs when, what it keeps, and how data move.

// A test that cannot go on says so by panicking, also in what tests share.
#![allow(clippy::unwrap_used, clippy::panic)]

mod support {
    #[allow(dead_code)]
    pub mod engine;
}

use std::fs;
use std::path::{Path, PathBuf};

use support::engine::{PIECE, Peer, content, torrent, torrent_of};
use ttui::api::{
    AddTorrent, Command, ConnectionCount, Event, Priority, QueueMove, RateLimits, Reason, Setting, State,
    TorrentCommand, TorrentId, TorrentPreview, TorrentView,
};
use ttui::wire::message::InfoHash;
use ttui::words::why::sentence;

fn state_of(peer: &Peer, id: TorrentId, state: State) {
    peer.until(state.word(), id, |view| view.is_some_and(|view| view.state == state));
}

fn view_of(peer: &Peer, id: TorrentId) -> TorrentView {
    let last = peer.last.borrow();
    last.as_ref().unwrap().torrents.iter().find(|(n, _)| *n == id).unwrap().1.clone()
}

/// Adds a torrent of one file whose data are there.
fn seed(peer: &Peer, name: &str, seed: u64) -> (TorrentId, InfoHash) {
    let data = content(seed, 3 * PIECE + 5);
    fs::write(peer.folder.path().join(name), &data).unwrap();
    let (path, hash) = torrent(peer.folder.path(), name, &data);
    let id = peer.add(&path, Vec::new());
    state_of(peer, id, State::Seeding);
    (id, hash)
}

/// Adds a torrent of one file that nobody has.
fn hopeless(peer: &Peer, name: &str, seed: u64) -> TorrentId {
    let source = tempfile::tempdir().unwrap();
    peer.add(&torrent(source.path(), name, &content(seed, 3 * PIECE)).0, Vec::new())
}

fn inspect(peer: &Peer, add: AddTorrent) -> Result<Box<TorrentPreview>, String> {
    let named = add.what.clone();
    peer.engine.send(Command::Inspect(add));
    peer.wait("it is inspected", |event| match event {
        Event::Inspected { what, contents } if *what == named => Some(contents.clone()),
        _ => None,
    })
}

#[test]
fn what_could_be_added_is_told_without_adding_it() {
    let peer = Peer::start();
    let data = content(1, 5 * PIECE);
    let files = [("a.txt", PIECE), ("b\u{1b}[1m.bin", 3 * PIECE), ("c.txt", PIECE)];
    let (path, hash) = torrent_of(peer.folder.path(), "things", &files, &data);
    let what = path.display().to_string();
    let add = AddTorrent {
        what: what.clone(),
        dir: Some(peer.folder.path().join("not/there/yet")),
        select: vec!["*.txt".into()],
        priorities: vec![(0, Priority::High)],
        ..AddTorrent::default()
    };
    let contents = inspect(&peer, add.clone()).unwrap();
    assert_eq!((contents.name.as_str(), contents.size, contents.present), ("things", data.len() as u64, false));
    assert_eq!(contents.info_hash, Some(hash));
    let wanted: Vec<_> = contents.files.iter().map(|file| (file.index, file.priority)).collect();
    assert_eq!(wanted, [(0, Priority::High), (1, Priority::Skip), (2, Priority::Normal)]);
    assert!(contents.files.iter().all(|file| !file.path.contains('\u{1b}')), "{:?}", contents.files);
    assert!(contents.folder.ends_with("yet") && (contents.free.is_some() || cfg!(not(unix))));
    assert!(peer.last.borrow().as_ref().is_none_or(|all| all.torrents.is_empty()));

    let id = peer.add_as(&path, add.clone());
    peer.until("what is wanted", id, |view| view.is_some_and(|view| view.wanted == 2 * PIECE as u64));
    assert!(inspect(&peer, add).unwrap().present);
    let refuse = |what: &str| inspect(&peer, AddTorrent { what: what.into(), ..AddTorrent::default() }).unwrap_err();
    assert!(refuse("/no/such.torrent").contains("/no/such.torrent"));
    assert!(refuse("magnet:?xt=urn:btih:01234567890123456789").contains("has 20"));
    peer.stop();
}

#[test]
fn settings_are_written_and_heeded_at_once() {
    let peer = Peer::start();
    let file = peer.folder.path().join("config.toml");
    fs::write(&file, "# mine\nup-limit = 5 # slow\n").unwrap();
    let set = |all: &[(&str, Option<&str>)]| {
        let all = all.iter().map(|(key, value)| Setting { key: (*key).to_owned(), value: value.map(str::to_owned) });
        let all = all.collect();
        peer.engine.send(Command::UpdateConfig(all));
    };
    set(&[("down-limit", Some("\"1M\"")), ("max-active", Some("3")), ("max-peers", Some("7")), ("up-limit", None)]);
    set(&[("dir", Some("\"/tmp\"")), ("port", Some("7000"))]);
    let said = peer.hears("port");
    assert!(said.contains("config.toml") && said.contains("port from the next start on"), "{said}");
    peer.sees("all of it", |all| {
        all.limits == (RateLimits { down: Some(1_000_000), up: None })
            && all.max_active == Some(3)
            && all.connections == (ConnectionCount { open: 0, max: 7 })
    });
    peer.sees("the folder", |all| all.folder == "/tmp" || cfg!(windows));
    assert_eq!(
        fs::read_to_string(&file).unwrap(),
        "# mine\ndown-limit = \"1M\"\nmax-active = 3\nmax-peers = 7\ndir = \"/tmp\"\nport = 7000\n"
    );
    set(&[("theme", Some("\"blue\""))]);
    let why = peer.hears("theme");
    assert!(why.contains("nothing was changed") && why.contains("\"contrast\""), "{why}");
    assert!(!fs::read_to_string(&file).unwrap().contains("theme"));
    peer.stop();
}

#[test]
fn so_many_downloads_run_and_the_others_wait_for_their_turn() {
    let peer = Peer::start_with(tempfile::tempdir().unwrap(), |config| config.max_active = Some(1));
    let (done, _) = seed(&peer, "done", 1);
    let ids = [2, 3, 4].map(|n| hopeless(&peer, &format!("file{n}"), n));
    state_of(&peer, ids[0], State::Downloading);
    state_of(&peer, ids[1], State::Queued);
    state_of(&peer, ids[2], State::Queued);
    state_of(&peer, done, State::Seeding);
    let why = view_of(&peer, ids[2]).why;
    assert!(matches!(why.reason, Reason::Queued(Some(place)) if place.ahead > 0), "{why:?}");

    let order =
        |peer: &Peer| peer.last.borrow().as_ref().unwrap().torrents.iter().map(|(id, _)| *id).collect::<Vec<_>>();
    peer.engine.send(Command::Queue(ids[2], QueueMove::First));
    state_of(&peer, ids[2], State::Downloading);
    state_of(&peer, ids[0], State::Queued);
    assert_eq!(order(&peer), [ids[2], done, ids[0], ids[1]]);
    peer.engine.send(Command::Queue(ids[2], QueueMove::Down));
    peer.engine.send(Command::Queue(ids[1], QueueMove::Up));
    peer.sees("the order", |all| all.torrents.iter().map(|(id, _)| *id).eq([done, ids[2], ids[1], ids[0]]));

    // What is paused, moved or gone keeps nobody waiting.
    peer.engine.send(Command::Pause(ids[2]));
    state_of(&peer, ids[1], State::Downloading);
    state_of(&peer, ids[2], State::Paused);
    peer.engine.send(Command::Remove { id: ids[1], data: false });
    state_of(&peer, ids[0], State::Downloading);
    peer.engine.send(Command::Resume(ids[2]));
    state_of(&peer, ids[2], State::Downloading);
    state_of(&peer, ids[0], State::Queued);
    peer.stop();
}

#[test]
fn what_is_complete_on_disk_seeds_though_a_dead_download_holds_the_only_slot() {
    let peer = Peer::start_with(tempfile::tempdir().unwrap(), |config| config.max_active = Some(1));
    let dead = hopeless(&peer, "dead", 1);
    state_of(&peer, dead, State::Downloading);
    let whole: Vec<TorrentId> = (10..18).map(|n| seed(&peer, &format!("whole{n}"), n).0).collect();
    // One of which only a part is there waits for its turn when that is known.
    let data = content(30, 3 * PIECE);
    fs::write(peer.folder.path().join("part"), &data[..PIECE]).unwrap();
    let source = tempfile::tempdir().unwrap();
    let part = peer.add(&torrent(source.path(), "part", &data).0, Vec::new());
    let more = hopeless(&peer, "more", 2);
    peer.until("it is checked and waits", part, |view| {
        view.is_some_and(|view| view.state == State::Queued && view.have == 1)
    });
    state_of(&peer, more, State::Queued);
    assert_eq!(view_of(&peer, dead).state, State::Downloading);
    assert!(whole.iter().all(|id| view_of(&peer, *id).state == State::Seeding));
    peer.stop();
}

#[test]
fn torrents_stand_in_the_order_in_which_they_were_named() {
    let peer = Peer::start_with(tempfile::tempdir().unwrap(), |config| config.max_active = Some(1));
    // The first take the longest to read.
    let named: Vec<String> = (0..30).map(|n| format!("file{n}")).collect();
    for (n, name) in named.iter().enumerate() {
        let data = content(n as u64, if n < 4 { 200 * PIECE } else { 10 });
        let what = torrent(peer.folder.path(), name, &data).0.display().to_string();
        peer.engine.send(Command::Add(AddTorrent { what, paused: n % 2 == 0, ..AddTorrent::default() }));
    }
    peer.sees("all in order", |all| all.torrents.iter().map(|(_, view)| &view.name).eq(&named));
    peer.stop();
}

/// Also where those that are named at the start are read before, or after, the list of the last session.
#[test]
fn torrents_of_the_last_session_stand_before_those_named_at_the_start() {
    let first = Peer::start_in(tempfile::tempdir().unwrap(), true);
    for n in 0..5 {
        seed(&first, &format!("old{n}"), n);
    }
    let folder = first.leave();
    let sources = tempfile::tempdir().unwrap();
    let named = (0..20).map(|n| torrent(sources.path(), &format!("new{n}"), &content(50 + n, 10)).0);
    let named: Vec<String> = named.map(|path| path.display().to_string()).collect();
    let second = Peer::start_with(folder, |config| config.keep = true);
    for what in named {
        second.engine.send(Command::Add(AddTorrent { what, ..AddTorrent::default() }));
    }
    let names = |range: std::ops::Range<u32>, word: &'static str| range.map(move |n| format!("{word}{n}"));
    let expected: Vec<String> = names(0..5, "old").chain(names(0..20, "new")).collect();
    second.sees("the old ones first", |all| all.torrents.iter().map(|(_, view)| &view.name).eq(&expected));
    second.stop();
}

#[test]
fn what_waits_fetches_all_the_same_when_its_turn_comes() {
    let seeder = Peer::start();
    let peer = Peer::start_with(tempfile::tempdir().unwrap(), |config| config.max_active = Some(1));
    let mut all = Vec::new();
    for n in 0..4 {
        let name = format!("file{n}");
        seed(&seeder, &name, n);
        all.push((peer.add(&seeder.folder.path().join(format!("{name}.torrent")), vec![seeder.addr()]), name));
    }
    for (id, name) in &all {
        state_of(&peer, *id, State::Seeding);
        // The day is written down when the word of the end comes, which may be after the view that shows it.
        peer.until("the day to be known", *id, |view| view.is_some_and(|view| view.finished >= Some(view.added)));
        assert!(view_of(&peer, *id).added > 0);
        assert!(fs::read(peer.folder.path().join(name)).unwrap() == fs::read(seeder.folder.path().join(name)).unwrap());
    }
    peer.stop();
    seeder.stop();
}

fn files_below(dir: &Path) -> Vec<PathBuf> {
    let mut out = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        match entry.path() {
            path if path.is_dir() => out.extend(files_below(&path)),
            path => out.push(path),
        }
    }
    out.sort();
    out
}

/// Moves a seed of two files to `to`, and looks that it goes on there.
fn move_to(to: &Path) {
    let peer = Peer::start();
    let data = content(9, 6 * PIECE + 100);
    let dir = peer.folder.path().join("downloads");
    fs::create_dir_all(dir.join("things")).unwrap();
    fs::write(dir.join("things/a"), &data[..PIECE + 7]).unwrap();
    fs::write(dir.join("things/b"), &data[PIECE + 7..]).unwrap();
    fs::write(dir.join("things/theirs"), b"not of the torrent").unwrap();
    let files = [("a", PIECE + 7), ("b", data.len() - PIECE - 7)];
    let (path, _) = torrent_of(peer.folder.path(), "things", &files, &data);
    let id = peer.add_as(&path, AddTorrent { dir: Some(dir.clone()), ..AddTorrent::default() });
    state_of(&peer, id, State::Seeding);
    peer.engine.send(Command::Focus(Some(id)));

    // What is in the way stays as it is, and so does the torrent.
    fs::create_dir_all(to.join("things")).unwrap();
    fs::write(to.join("things/b"), b"somebody else's").unwrap();
    peer.engine.send(Command::Move { id, to: to.to_owned() });
    let why = peer.hears("not moved");
    assert!(why.contains("things/b is there already") || cfg!(windows), "{why}");
    assert_eq!(fs::read(to.join("things/b")).unwrap(), b"somebody else's");
    assert!(!to.join("things/a").exists());
    state_of(&peer, id, State::Seeding);
    fs::remove_file(to.join("things/b")).unwrap();

    peer.engine.send(Command::Move { id, to: to.to_owned() });
    peer.hears("was moved to");
    let shown = to.display().to_string();
    peer.until("it seeds there", id, |view| {
        view.is_some_and(|view| {
            view.state == State::Seeding && view.detail.as_ref().is_some_and(|detail| detail.folder == shown)
        })
    });
    peer.wait("the old ones are gone", |_| (files_below(&dir) == [dir.join("things/theirs")]).then_some(()));
    assert_eq!(files_below(to), [to.join("things/a"), to.join("things/b")]);
    assert!([fs::read(to.join("things/a")).unwrap(), fs::read(to.join("things/b")).unwrap()].concat() == data);

    // And back, while it is paused: paused it stays.
    peer.engine.send(Command::Pause(id));
    state_of(&peer, id, State::Paused);
    peer.engine.send(Command::Move { id, to: dir.clone() });
    peer.hears("was moved to");
    state_of(&peer, id, State::Paused);
    peer.engine.send(Command::Move { id, to: dir.clone() });
    peer.hears("already");
    peer.engine.send(Command::Resume(id));
    state_of(&peer, id, State::Seeding);
    assert!(dir.join("things/a").exists());
    peer.stop();
}

#[test]
fn data_move_to_another_folder() {
    move_to(tempfile::tempdir().unwrap().path());
}

#[test]
#[cfg(target_os = "linux")]
fn data_move_to_another_file_system() {
    use std::os::unix::fs::MetadataExt;
    let (shm, here) = (Path::new("/dev/shm"), std::env::temp_dir());
    let device = |path: &Path| fs::metadata(path).ok().map(|meta| meta.dev());
    match tempfile::tempdir_in(shm) {
        Ok(dir) if device(shm) != device(&here) => move_to(dir.path()),
        // The only one that every system has; without it there is nothing to cross.
        _ => {}
    }
}

#[test]
fn a_torrent_file_is_exported_as_it_was_received() {
    for keep in [false, true] {
        let peer = Peer::start_in(tempfile::tempdir().unwrap(), keep);
        let (id, _) = seed(&peer, "film", 3);
        let received = fs::read(peer.folder.path().join("film.torrent")).unwrap();
        let to = peer.folder.path().join("exported");
        fs::create_dir(&to).unwrap();
        peer.engine.send(Command::Export { id, to: to.clone() });
        peer.hears("was exported to");
        assert_eq!(fs::read(to.join("film.torrent")).unwrap(), received);
        fs::write(to.join("film.torrent"), b"precious").unwrap();
        peer.engine.send(Command::Export { id, to: to.clone() });
        peer.hears("is there already");
        assert_eq!(fs::read(to.join("film.torrent")).unwrap(), b"precious");
        peer.stop();
    }
}

#[test]
fn what_was_sent_and_received_counts_over_all_runs_in_a_folder() {
    let size = 3 * PIECE as u64 + 5;
    let mut seeder = Peer::start();
    let (mut id, _) = seed(&seeder, "film", 3);
    let path = seeder.folder.path().join("film.torrent");
    let mut leecher = tempfile::tempdir().unwrap();
    for run in 1..=3 {
        // No list is kept: what is known of earlier runs is known by the folder.
        let taker = Peer::start_in(leecher, false);
        let its = taker.add(&path, vec![seeder.addr()]);
        taker.complete(its);
        seeder.until("all is sent", id, |view| view.is_some_and(|view| view.uploaded >= run * size));
        assert!((view_of(&seeder, id).ratio() - run as f64).abs() < 0.5, "{}", view_of(&seeder, id).ratio());
        taker.until("all is received", its, |view| view.is_some_and(|view| view.downloaded >= run * size));
        leecher = taker.leave();
        fs::remove_file(leecher.path().join("film")).unwrap();
        seeder = Peer::start_in(seeder.leave(), run == 2);
        id = seeder.add(&path, Vec::new());
        state_of(&seeder, id, State::Seeding);
    }
    seeder.until("its total", id, |view| view.is_some_and(|view| view.uploaded >= 3 * size));
    seeder.stop();
}

#[test]
fn what_the_user_wants_of_a_torrent_outlives_the_session() {
    let seeder = Peer::start();
    seed(&seeder, "film", 3);
    let path = seeder.folder.path().join("film.torrent");
    let first = Peer::start_in(tempfile::tempdir().unwrap(), true);
    let waiting = hopeless(&first, "other", 4);
    let id = first.add(&path, vec![seeder.addr()]);
    first.complete(id);
    first.engine.send(Command::SetBandwidthPriority(id, Priority::High));
    first.engine.send(Command::Torrent(id, TorrentCommand::Limits { down: Some(4_000_000), up: None }));
    first.engine.send(Command::Torrent(id, TorrentCommand::Sequential(true)));
    first.engine.send(Command::Torrent(waiting, TorrentCommand::Priority(vec![(0, Priority::Skip)])));
    first.engine.send(Command::Torrent(id, TorrentCommand::AddTracker("http://127.0.0.1:9/announce".into())));
    first.engine.send(Command::Queue(id, QueueMove::First));
    first.until("its rank", id, |view| view.is_some_and(|view| view.rank == Priority::High));
    let before = view_of(&first, id);
    let folder = first.leave();
    let list = fs::read_to_string(folder.path().join("state/session.toml")).unwrap();
    assert!(!list.contains("paused = true"), "{list}");

    let second = Peer::start_in(folder, true);
    let (id, waiting) = (TorrentId(1), TorrentId(2));
    second.engine.send(Command::Focus(Some(id)));
    state_of(&second, id, State::Seeding);
    second.until("its trackers", id, |view| {
        view.is_some_and(|view| view.detail.as_ref().is_some_and(|detail| detail.trackers.len() == 1))
    });
    let after = view_of(&second, id);
    assert_eq!((after.name.as_str(), after.rank, after.sequential), ("film", Priority::High, true));
    assert_eq!(after.limits, RateLimits { down: Some(4_000_000), up: None });
    assert_eq!((after.added, after.finished), (before.added, before.finished));
    assert!(after.downloaded >= 3 * PIECE as u64 && after.finished.is_some(), "{after:?}");
    second.until("nothing is wanted", waiting, |view| view.is_some_and(|view| view.wanted == 0));
    second.engine.send(Command::Torrent(id, TorrentCommand::RemoveTracker(0)));
    second.engine.send(Command::Pause(id));
    state_of(&second, id, State::Paused);

    let third = Peer::start_in(second.leave(), true);
    state_of(&third, id, State::Paused);
    third.engine.send(Command::Focus(Some(id)));
    third.until("no trackers, and how far it is", id, |view| {
        view.is_some_and(|view| {
            view.done == view.size
                && view.detail.as_ref().is_some_and(|detail| {
                    detail.trackers.is_empty() && detail.files.iter().all(|file| file.done == file.size)
                })
        })
    });
    third.stop();
    seeder.stop();
}

/// People paste the same link from several places: each may know other trackers and peers.
#[test]
fn a_torrent_that_is_named_again_takes_what_is_new() {
    let seeder = Peer::start();
    let (_, hash) = seed(&seeder, "film", 6);
    let peer = Peer::start();
    let id = peer.add(&seeder.folder.path().join("film.torrent"), Vec::new());
    peer.engine.send(Command::Focus(Some(id)));
    let again = |more: &str| {
        let what = format!("magnet:?xt=urn:btih:{hash}{more}");
        peer.engine.send(Command::Add(AddTorrent { what, ..AddTorrent::default() }));
        peer.wait("it is said", |event| match event {
            Event::Known { text, .. } => Some(text.clone()),
            Event::Added { .. } => panic!("it is there twice"),
            _ => None,
        })
    };
    let new = format!("&tr=http://127.0.0.1:9/announce&tr=udp://127.0.0.1:9/b&x.pe={}", seeder.addr());
    let why = again(&new);
    assert!(why.ends_with("is already there; its 2 new trackers were added"), "{why}");
    peer.complete(id);
    let trackers = |view: Option<&TorrentView>| view?.detail.as_ref().map(|detail| detail.trackers.len());
    peer.until("its trackers", id, |view| trackers(view) == Some(2));
    let why = again("&tr=udp://127.0.0.1:9/b");
    assert!(why.ends_with("is already there"), "{why}");
    peer.stop();
    seeder.stop();
}

/// Nobody has looked at the files of one that stays paused; its record tells which of its pieces were there.
#[test]
fn what_a_paused_torrent_had_is_on_its_map_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let data = content(5, 6 * PIECE);
    let (path, _) = torrent(folder.path(), "film", &data);
    // The first two pieces and the last one are right.
    let mut spoilt = data;
    spoilt[2 * PIECE..5 * PIECE].fill(0);
    fs::write(folder.path().join("film"), spoilt).unwrap();
    let first = Peer::start_in(folder, true);
    let id = first.add(&path, Vec::new());
    first.until("it has three pieces", id, |view| view.is_some_and(|view| view.have == 3));
    first.engine.send(Command::Pause(id));
    state_of(&first, id, State::Paused);

    let second = Peer::start_in(first.leave(), true);
    let id = TorrentId(1);
    second.engine.send(Command::Focus(Some(id)));
    second.until("its map", id, |view| {
        view.filter(|view| view.state == State::Paused).and_then(|view| view.detail.as_ref()).is_some_and(|detail| {
            let here: Vec<bool> = detail.cells.iter().map(|cell| cell.have == cell.pieces).collect();
            here == [true, true, false, false, false, true] && detail.files[0].done == 3 * PIECE as u64
        })
    });
    second.stop();
}

#[test]
fn all_torrents_of_the_last_session_are_in_the_first_snapshot() {
    const MANY: usize = 500;
    let folder = tempfile::tempdir().unwrap();
    let torrents = folder.path().join("state/torrents");
    fs::create_dir_all(&torrents).unwrap();
    let mut list = String::new();
    for n in 0..MANY {
        let (path, hash) = torrent(&torrents, &format!("file{n}"), &content(n as u64, 100));
        fs::rename(path, torrents.join(format!("{hash}.torrent"))).unwrap();
        list.push_str(&format!(
            "[[torrent]]\ninfo_hash = \"{hash}\"\nname = \"file{n}\"\ndir = {:?}\npaused = {}\n",
            folder.path().display().to_string(),
            n % 2 == 0
        ));
    }
    fs::write(folder.path().join("state/session.toml"), list).unwrap();
    let peer = Peer::start_with(folder, |config| (config.keep, config.max_active) = (true, Some(2)));
    let first = peer.wait("the first snapshot", |event| match event {
        Event::Snapshot(all) => Some(all.clone()),
        _ => None,
    });
    let names: Vec<_> = first.torrents.iter().map(|(_, view)| view.name.clone()).collect();
    assert_eq!(names, (0..MANY).map(|n| format!("file{n}")).collect::<Vec<_>>());
    assert!(
        first.torrents.iter().all(|(_, view)| matches!(view.state, State::Queued | State::Paused | State::Checking))
    );
    peer.sees("two of them run, the others wait", |all| {
        let count = |state| all.torrents.iter().filter(|(_, view)| view.state == state).count();
        (count(State::Downloading), count(State::Queued), count(State::Paused)) == (2, MANY / 2 - 2, MANY / 2)
            && all.torrents.iter().all(|(_, view)| view.size == 100)
    });
    peer.stop();
}

#[test]
fn a_torrent_whose_file_cannot_be_read_stays_until_it_can() {
    let first = Peer::start_in(tempfile::tempdir().unwrap(), true);
    let (id, hash) = seed(&first, "film", 3);
    let folder = first.leave();
    let file = folder.path().join(format!("state/torrents/{hash}.torrent"));
    let good = fs::read(&file).unwrap();
    fs::write(&file, b"rubbish").unwrap();

    let second = Peer::start_in(folder, true);
    state_of(&second, id, State::Error);
    assert_eq!(view_of(&second, id).name, "film");
    fs::write(&file, good).unwrap();
    second.engine.send(Command::Resume(id));
    state_of(&second, id, State::Seeding);
    second.sees("what happened is in the log", |all| {
        all.log.iter().any(|line| line.torrent == Some(id) && line.text.contains("cannot be used"))
    });
    second.stop();
}

/// A list of thousands is shown in two steps; what is added meanwhile comes after all of it.
#[test]
fn a_long_list_comes_whole_and_in_its_order() {
    const MANY: usize = 3000;
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("state")).unwrap();
    let kept = |n: usize| {
        let dir = folder.path().display().to_string();
        format!("[[torrent]]\ninfo_hash = \"{n:040x}\"\nname = \"file{n}\"\ndir = {dir:?}\npaused = true\n")
    };
    fs::write(folder.path().join("state/session.toml"), (0..MANY).map(kept).collect::<String>()).unwrap();
    let (path, _) = torrent(folder.path(), "new", &content(1, 100));
    let peer = Peer::start_in(folder, true);
    peer.engine.send(Command::Add(AddTorrent { what: path.display().to_string(), ..AddTorrent::default() }));
    peer.sees("all are there", |all| all.torrents.len() == MANY + 1);
    let all = peer.last.borrow().clone().unwrap();
    let names: Vec<_> = all.torrents.iter().map(|(_, view)| view.name.clone()).collect();
    let expected: Vec<_> = (0..MANY).map(|n| format!("file{n}")).chain(["new".to_owned()]).collect();
    assert!(names == expected, "{:?} .. {:?}", names.first(), names.last());
    peer.stop();
}

/// Whatever keeps a torrent from being opened is tried again by itself, and said once.
#[test]
fn what_is_in_the_way_of_opening_is_waited_for() {
    let peer = Peer::start();
    let folder = |name: &str| peer.folder.path().join(name);
    // Each in a folder of its own, with something else in the way.
    let begin = |name: &str, seed: u64, hinder: &dyn Fn(&Path)| {
        let dir = folder(&format!("{name}-dir"));
        fs::create_dir_all(&dir).unwrap();
        let data = content(seed, 2 * PIECE + 7);
        let (path, _) = torrent(peer.folder.path(), name, &data);
        hinder(&dir.join(name));
        let id = peer.add_as(&path, AddTorrent { dir: Some(dir.clone()), ..AddTorrent::default() });
        (id, dir.join(name), data)
    };
    let all = [
        begin("taken", 1, &|path| fs::create_dir(path).unwrap()),
        begin("longer", 2, &|path| fs::write(path, content(9, 9 * PIECE)).unwrap()),
        #[cfg(unix)]
        begin("linked", 3, &|path| std::os::unix::fs::symlink("/nowhere", path).unwrap()),
    ];
    for (id, ..) in &all {
        state_of(&peer, *id, State::Error);
        let view = view_of(&peer, *id);
        let why = sentence(&view.why);
        assert!(why.contains("tried again by itself"), "{why}");
        assert!(why.starts_with(view.error.as_deref().unwrap()) && view.fault.is_some());
    }
    // Another engine works on this one.
    let data = content(4, 2 * PIECE);
    let (path, _) = torrent(peer.folder.path(), "locked", &data);
    fs::write(folder("locked"), &data).unwrap();
    let id = peer.add(&path, Vec::new());
    state_of(&peer, id, State::Seeding);
    let state = peer.folder.path().join("state");
    let second = Peer::start_with(tempfile::tempdir().unwrap(), |config| config.state_dir = state);
    let dir = Some(peer.folder.path().to_owned());
    let waits = second.add_as(&path, AddTorrent { dir, ..AddTorrent::default() });
    second.until("the lock", waits, |view| {
        view.is_some_and(|view| view.error.as_deref().is_some_and(|why| why.contains("already running")))
    });
    for (_, path, data) in &all {
        if path.is_dir() {
            fs::remove_dir(path).unwrap();
        } else {
            fs::remove_file(path).unwrap();
        }
        fs::write(path, data).unwrap();
    }
    all.iter().for_each(|(id, ..)| state_of(&peer, *id, State::Seeding));
    peer.engine.send(Command::Pause(id));
    state_of(&second, waits, State::Seeding);
    peer.stop();
    second.stop();
}

#[test]
fn files_in_the_way_are_asked_about_and_those_of_another_torrent_are_not_to_be_had() {
    let peer = Peer::start();
    let dir = peer.folder.path().to_owned();
    let source = tempfile::tempdir().unwrap();
    let asked = |peer: &Peer, id| {
        peer.wait("it is told what is in the way", |event| match event {
            Event::Occupied { id: of, text, ask, .. } if *of == id => Some((text.clone(), *ask)),
            _ => None,
        })
    };
    // Somebody's file: nothing happens to it before the user says so.
    let diary = content(9, 3 * PIECE);
    fs::write(dir.join("mine"), &diary).unwrap();
    let id = peer.add(&torrent(source.path(), "mine", &content(1, 3 * PIECE)).0, Vec::new());
    let (text, ask) = asked(&peer, id);
    assert!(ask && text.contains("mine was there before"), "{text}");
    state_of(&peer, id, State::Error);
    assert_eq!(fs::read(dir.join("mine")).unwrap(), diary);
    peer.engine.send(Command::Overwrite(id));
    state_of(&peer, id, State::Downloading);
    // Another torrent's, of the same length and of another: the first one stays whole.
    let (first, _) = seed(&peer, "theirs", 2);
    let data = fs::read(dir.join("theirs")).unwrap();
    let same = peer.add(&torrent(source.path(), "theirs", &content(3, data.len())).0, Vec::new());
    let (text, ask) = asked(&peer, same);
    assert!(!ask && text.contains("belongs to the torrent theirs"), "{text}");
    let longer = peer.add(&torrent(source.path(), "theirs", &content(4, data.len() + 9)).0, Vec::new());
    let (text, ask) = asked(&peer, longer);
    assert!(!ask && text.contains("belongs to the torrent theirs"), "{text}");
    for id in [same, longer, first] {
        peer.engine.send(Command::Remove { id, data: true });
        peer.until("it goes", id, |view| view.is_none());
        assert_eq!(fs::read(dir.join("theirs")).unwrap(), data, "it was there before either of them");
    }
    peer.stop();
}
