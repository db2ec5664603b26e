//! The real engine on real sockets of this machine: torrents complete, stop, go on and leave nothing behind.

// A test that cannot go on says so by panicking, also in what tests share.
#![allow(clippy::unwrap_used, clippy::panic)]

mod support {
    #[allow(dead_code)]
    pub mod engine;
}

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use support::engine::{PATIENCE, PIECE, Peer, content, torrent};
use ttui::api::{AddTorrent, Command, Event, State, TorrentCommand, TorrentView};
use ttui::disk::resume_store::ResumeStore;
use ttui::limits;
use ttui::wire::message::{Handshake, InfoHash, Message, PeerId, Reserved};

/// Threads and descriptors belong to the process, so these tests run one at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(target_os = "linux")]
fn threads_and_descriptors() -> (usize, usize) {
    let list = |what| std::fs::read_dir(format!("/proc/self/{what}")).unwrap().map(|entry| entry.unwrap().path());
    // Threads of tests bear the names of tests, which come and go as they please; none of ours has such a name. One that
    // has ended between the two looks is none.
    let name = |task: PathBuf| std::fs::read_to_string(task.join("comm")).unwrap_or("_".into());
    (list("task").map(name).filter(|name| !name.contains('_')).count(), list("fd").count())
}

/// Waits until threads and descriptors are no more than they were: the system takes a thread off its list a moment after
/// the thread's last word.
#[cfg(target_os = "linux")]
fn assert_back_to(before: (usize, usize)) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let now = threads_and_descriptors();
        if now.0 <= before.0 && now.1 <= before.1 {
            return;
        }
        assert!(Instant::now() < deadline, "threads and descriptors were {before:?} and are {now:?}");
        std::thread::yield_now();
    }
}

#[test]
fn a_torrent_goes_from_one_to_the_other_whole() {
    let _alone = alone();
    let (seeder, leecher) = (Peer::start(), Peer::start());
    let data = content(1, 40 * PIECE + 777);
    std::fs::write(seeder.folder.path().join("film"), &data).unwrap();
    let (path, _) = torrent(seeder.folder.path(), "film", &data);
    let seed = seeder.add(&path, Vec::new());
    seeder.until("it seeds", seed, |view| view.is_some_and(|v| v.state == State::Seeding));
    let leech = leecher.add(&path, vec![seeder.addr()]);
    leecher.complete(leech);
    assert!(std::fs::read(leecher.folder.path().join("film")).unwrap() == data);
    leecher.until("it says so", leech, |view| view.is_some_and(|v| v.state == State::Seeding && v.have == v.pieces));
    leecher.stop();
    seeder.stop();
}

#[test]
fn what_cannot_be_added_is_refused_in_words() {
    let _alone = alone();
    let peer = Peer::start();
    let folder = peer.folder.path();
    let (path, _) = torrent(folder, "one", &content(1, 10));
    std::fs::write(folder.join("noise"), content(2, 500)).unwrap();
    peer.add(&path, Vec::new());
    let refuse = |what: String, select: Vec<String>| {
        peer.engine.send(Command::Add(AddTorrent { what: what.clone(), select, ..AddTorrent::default() }));
        peer.wait("it is refused", |event| match event {
            Event::AddFailed { what: named, why } if *named == what => Some(why.clone()),
            Event::Known { what: named, text, .. } if *named == what => Some(text.clone()),
            _ => None,
        })
    };
    let name = |file: &str| folder.join(file).display().to_string();
    assert!(refuse(path.display().to_string(), Vec::new()).contains("already there"));
    assert!(refuse(name("nothing"), Vec::new()).contains("nothing"));
    assert!(refuse(name("noise"), Vec::new()).contains("noise"));
    assert!(refuse(name("."), Vec::new()).contains("folder"));
    assert!(refuse("magnet:?xt=urn:btih:01234567890123456789".into(), Vec::new()).contains("has 20"));
    let (other, _) = torrent(folder, "two", &content(3, 10));
    assert!(refuse(other.display().to_string(), vec!["*.txt".into()]).contains("*.txt"));
    peer.stop();
}

#[test]
#[cfg(target_os = "linux")]
fn fifty_torrents_start_pause_resume_and_go_without_a_trace() {
    let _alone = alone();
    let before_all = threads_and_descriptors();
    let peer = Peer::start();
    let source = tempfile::tempdir().unwrap();
    let add_all = |range: std::ops::Range<u64>| {
        let add = |n: u64| {
            let data = content(n, 3 * PIECE);
            let name = format!("file{n}");
            std::fs::write(peer.folder.path().join(&name), &data).unwrap();
            let id = peer.add(&torrent(source.path(), &name, &data).0, Vec::new());
            peer.until("it seeds", id, |view| view.is_some_and(|v| v.state == State::Seeding));
            (id, name)
        };
        range.map(add).collect::<Vec<_>>()
    };
    let remove = |id, data| {
        peer.engine.send(Command::Remove { id, data });
        peer.until("it is gone", id, |view| view.is_none());
    };
    // The first ones start what is started once, such as threads for errands.
    add_all(100..108).into_iter().for_each(|(id, _)| remove(id, true));
    let before = threads_and_descriptors();
    let all = add_all(0..50);
    assert!(threads_and_descriptors().0 <= before.0, "a torrent has no thread of its own");
    for (id, _) in &all {
        peer.engine.send(Command::Pause(*id));
    }
    for (id, _) in &all {
        peer.until("it is paused", *id, |view| view.is_some_and(|v| v.state == State::Paused));
    }
    assert_back_to(before);
    for (id, _) in &all {
        peer.engine.send(Command::Resume(*id));
    }
    for (id, _) in &all {
        peer.until("it seeds again", *id, |view| view.is_some_and(|v| v.state == State::Seeding));
    }
    for (n, (id, name)) in all.iter().enumerate() {
        remove(*id, n % 2 == 0);
        assert!(peer.folder.path().join(name).exists(), "it was there before");
    }
    assert_back_to(before);
    peer.stop();
    assert_back_to(before_all);
}

/// What a complete torrent needs only at times is not in memory: the hashes for a check, the metadata for a peer.
#[test]
fn a_complete_torrent_is_checked_and_described_from_the_torrent_file_that_was_kept() {
    let _alone = alone();
    let (seeder, leecher) = (Peer::start_in(tempfile::tempdir().unwrap(), true), Peer::start());
    let data = content(8, 30 * PIECE + 5);
    std::fs::write(seeder.folder.path().join("film"), &data).unwrap();
    let (path, hash) = torrent(seeder.folder.path(), "film", &data);
    let seed = seeder.add(&path, Vec::new());
    std::fs::remove_file(path).unwrap();
    let checked = || seeder.wait("it is checked", |event| matches!(event, Event::Checked(_)).then_some(()));
    checked();
    seeder.engine.send(Command::Torrent(seed, TorrentCommand::Verify));
    checked();
    let whole = |view: Option<&TorrentView>| view.is_some_and(|v| v.state == State::Seeding && v.have == v.pieces);
    seeder.until("all is found good again", seed, whole);
    let what = format!("magnet:?xt=urn:btih:{hash}");
    let add = AddTorrent { what: what.clone(), peers: vec![seeder.addr()], ..AddTorrent::default() };
    let leech = leecher.add_as(std::path::Path::new(&what), add);
    leecher.complete(leech);
    assert!(std::fs::read(leecher.folder.path().join("film")).unwrap() == data);
    leecher.stop();
    seeder.stop();
}

/// Shakes hands as a peer of the test's own.
fn call(addr: SocketAddr, info_hash: InfoHash, n: u32) -> TcpStream {
    let mut socket = TcpStream::connect(addr).unwrap();
    let mut peer_id = *b"-XX0100-000000000000";
    peer_id[12..16].copy_from_slice(&n.to_be_bytes());
    let hello = Handshake { reserved: Reserved::OURS, info_hash, peer_id: PeerId(peer_id) };
    socket.write_all(&hello.encode()).unwrap();
    socket
}

#[test]
#[cfg(target_os = "linux")]
fn peers_that_come_and_go_leave_nothing() {
    let _alone = alone();
    let peer = Peer::start();
    let data = content(5, 64 * PIECE);
    std::fs::write(peer.folder.path().join("film"), &data).unwrap();
    let (path, hash) = torrent(peer.folder.path(), "film", &data);
    let id = peer.add(&path, Vec::new());
    peer.until("it seeds", id, |view| view.is_some_and(|v| v.state == State::Seeding));
    let before = threads_and_descriptors();
    let resident = || {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap().to_owned();
        line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap()
    };
    let round = |n: u32| {
        let callers: Vec<_> = (0..200).map(|k| call(peer.addr(), hash, n * 1000 + k)).collect();
        for mut socket in callers {
            // It answers, and hears from us; then we leave without a word.
            let mut answer = [0; Handshake::LENGTH];
            if socket.read_exact(&mut answer).is_ok() {
                let mut words = Vec::new();
                Message::HaveNone.encode(&mut words);
                Message::Interested.encode(&mut words);
                let _ = socket.write_all(&words);
            }
        }
        assert_back_to(before);
    };
    (0..3).for_each(round);
    let settled = resident();
    (3..12).for_each(round);
    let grown = resident().saturating_sub(settled);
    assert!(grown < 16 * 1024, "{grown} KiB more than before");
    peer.stop();
}

#[test]
fn it_stops_in_time_while_peers_hang() {
    let _alone = alone();
    let peer = Peer::start();
    let data = content(6, 200 * PIECE);
    std::fs::write(peer.folder.path().join("film"), &data).unwrap();
    let (path, hash) = torrent(peer.folder.path(), "film", &data);
    let id = peer.add(&path, Vec::new());
    peer.until("it seeds", id, |view| view.is_some_and(|v| v.state == State::Seeding));
    // Some say nothing; some ask for everything and never read.
    let mut callers: Vec<_> = (0..10).map(|n| call(peer.addr(), hash, n)).collect();
    for socket in &mut callers[..5] {
        let mut words = Vec::new();
        Message::HaveNone.encode(&mut words);
        Message::Interested.encode(&mut words);
        socket.write_all(&words).unwrap();
    }
    peer.until("they are connected", id, |view| view.is_some_and(|v| v.peers == 10));
    let began = Instant::now();
    assert_eq!(peer.engine.shutdown(limits::SHUTDOWN), Ok(()));
    assert!(began.elapsed() <= limits::SHUTDOWN + Duration::from_secs(1));
}

#[test]
fn the_next_session_has_the_torrents_of_this_one_whatever_befalls_them() {
    let _alone = alone();
    let data = content(77, 5 * PIECE + 3);
    let first = Peer::start_in(tempfile::tempdir().unwrap(), true);
    let (path, hash) = torrent(first.folder.path(), "kept", &data);
    std::fs::write(first.folder.path().join("kept"), &data).unwrap();
    let id = first.add(&path, Vec::new());
    first.until("it seeds", id, |view| view.is_some_and(|v| v.state == State::Seeding));
    let folder = first.leave();
    std::fs::remove_file(path).unwrap();

    // Another program works on it: the torrent is shown with the reason, and stays.
    let state = folder.path().join("state");
    let held = ResumeStore::new(&state, hash, folder.path()).claim().unwrap();
    let second = Peer::start_in(folder, true);
    second.until("it says who has it", id, |view| {
        view.is_some_and(|v| v.error.as_deref().is_some_and(|why| why.contains("already running")))
    });
    let folder = second.leave();
    drop(held);

    let third = Peer::start_in(folder, true);
    third.until("it seeds again", id, |view| view.is_some_and(|v| v.state == State::Seeding));
    third.engine.send(Command::Remove { id, data: false });
    third.until("it is gone", id, |view| view.is_none());
    let fourth = Peer::start_in(third.leave(), true);
    fourth.until("nothing is left", id, |view| view.is_none());
    assert!(fourth.folder.path().join("kept").exists());
    fourth.stop();
}
