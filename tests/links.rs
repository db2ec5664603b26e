//! What people give as a torrent: addresses of indexers that lead to magnet links, files that hold one, links that name
//! their `.torrent`, the same torrent twice, peers that are named by host.

// A test whose surroundings fail has failed: saying so at once is all that is wanted. Every test file uses a part of
// what `support` offers.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::print_stderr, dead_code)]

mod support {
    pub mod engine;
}

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Command as Program, Output};
use std::sync::{Arc, Mutex};
use std::thread;

use support::engine::{Peer, content, torrent};
use ttui::api::{AddTorrent, Command, Event, State, TorrentId};
use ttui::wire::message::InfoHash;

/// What a server answers for a path: status, one header, body.
type Answer = (u16, String, Vec<u8>);

/// A server of a few paths that takes down what it is asked for. It ends with the test.
struct Server {
    addr: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn start(answer: impl Fn(&str, SocketAddr) -> Answer + Send + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (addr, asked) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(Vec::new())));
        let log = Arc::clone(&asked);
        thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
                let Some(first) = lines.next() else { continue };
                let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
                let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
                log.lock().unwrap().push(path.clone());
                let (mut status, mut header, mut body) = answer(&path, addr);
                let range = head
                    .iter()
                    .find_map(|line| line.to_ascii_lowercase().strip_prefix("range: bytes=").map(str::to_owned));
                if let Some((from, to)) =
                    range.as_deref().and_then(|range| range.split_once('-')).filter(|_| status == 200)
                {
                    let (from, to): (usize, usize) = (from.parse().unwrap(), to.parse().unwrap());
                    header = format!("Content-Range: bytes {from}-{to}/{}\r\n", body.len());
                    (status, body) = (206, body[from..=to].to_vec());
                }
                let head = format!(
                    "HTTP/1.1 {status} x\r\n{header}Content-Length: {}\r\nConnection: close\r\n\r\n",
                    body.len()
                );
                let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
            }
        });
        Server { addr, asked }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }

    fn was_asked(&self, path: &str) -> bool {
        self.asked.lock().unwrap().iter().any(|asked| asked == path)
    }
}

/// A torrent of one file and a server's bytes of both.
struct Known {
    folder: tempfile::TempDir,
    data: Vec<u8>,
    file: Vec<u8>,
    hash: InfoHash,
}

impl Known {
    fn new(seed: u64) -> Known {
        let folder = tempfile::tempdir().unwrap();
        let data = content(seed, 200_000);
        let (path, hash) = torrent(folder.path(), "film", &data);
        std::fs::write(folder.path().join("film"), &data).unwrap();
        Known { file: std::fs::read(path).unwrap(), folder, data, hash }
    }

    fn seeder(&self) -> Peer {
        let peer = Peer::start();
        let dir = Some(self.folder.path().to_owned());
        let id = peer.add_as(&self.folder.path().join("film.torrent"), AddTorrent { dir, ..AddTorrent::default() });
        peer.until("it seeds", id, |view| view.is_some_and(|view| view.state == State::Seeding));
        peer
    }
}

fn inspect(peer: &Peer, what: &str) -> Result<Option<InfoHash>, String> {
    peer.engine.send(Command::Inspect(AddTorrent { what: what.to_owned(), ..AddTorrent::default() }));
    peer.wait("it is looked into", |event| match event {
        Event::Inspected { what: named, contents } if named == what => {
            Some(contents.as_ref().map(|contents| contents.info_hash).map_err(Clone::clone))
        }
        _ => None,
    })
}

fn add(peer: &Peer, what: &str) -> TorrentId {
    peer.add(Path::new(what), Vec::new())
}

fn again(peer: &Peer, add: AddTorrent) -> String {
    peer.engine.send(Command::Add(add));
    peer.wait("it is known", |event| match event {
        Event::Known { text, .. } => Some(text.clone()),
        Event::Added { .. } => panic!("it is there twice"),
        Event::AddFailed { why, .. } => panic!("refused: {why}"),
        _ => None,
    })
}

#[test]
fn addresses_and_files_may_lead_to_a_magnet_link() {
    let known = Known::new(1);
    let seeder = known.seeder();
    let link = format!("magnet:?xt=urn:btih:{}&dn=a b\u{e4}&x.pe={}", known.hash, seeder.addr());
    let (say, file) = (link.clone(), known.file.clone());
    let server = Server::start(move |path, here| {
        let to = |to: &str| (302, format!("Location: {to}\r\n"), b"moved".to_vec());
        match path {
            "/302" => to(&say),
            "/upper?a=1" => to(&say.replacen("magnet", "MAGNET", 1)),
            "/two" => to("/302"),
            "/three" => to(&format!("http://{here}/two")),
            "/loop" => to("/loop"),
            "/ftp" => to("ftp://127.0.0.1/x"),
            "/file" => to("file:///etc/hostname"),
            "/body" => (200, "Content-Type: text/plain\r\n".into(), format!("\u{feff}{say}\r\n").into_bytes()),
            "/torrent" => (200, "Content-Type: text/html\r\n".into(), file.clone()),
            "/page" => (200, String::new(), format!("<!DOCTYPE html><a href=\"{say}\">a film</a>").into_bytes()),
            "/login" => (200, String::new(), b"<!DOCTYPE html><a href=\"/login\">log in</a>".to_vec()),
            "/many" => (
                200,
                String::new(),
                format!("<a href=\"{say}\"><a href=\"{}\">", "magnet:?xt=urn:btih:".to_owned() + &"ab".repeat(20))
                    .into_bytes(),
            ),
            "/deflate" => (200, "Content-Encoding: deflate\r\n".into(), vec![0x78, 0x9c, 1, 2]),
            "/br" => (200, "Content-Encoding: BR\r\n".into(), vec![0x8b, 0x02, 0x80]),
            "/zstd" => (200, "Content-Encoding: zstd\r\n".into(), vec![0x28, 0xb5, 0x2f, 0xfd]),
            "/said" => (200, "Content-Encoding: deflate\r\n".into(), file.clone()),
            "/empty" => (200, String::new(), Vec::new()),
            _ => (404, String::new(), say.clone().into_bytes()),
        }
    });
    let peer = Peer::start();
    let folder = known.folder.path();
    std::fs::write(folder.join("x.magnet"), format!("{link}\n")).unwrap();
    std::fs::write(folder.join("y.torrent"), format!("\n<{link}>\n")).unwrap();
    let hash = [b"d11:magnet-infod9:info_hash20:", known.hash.0.as_slice(), b"ee"].concat();
    std::fs::write(folder.join("z.torrent"), hash).unwrap();
    let paths = ["x.magnet", "y.torrent", "z.torrent"].map(|name| folder.join(name).display().to_string());
    let urls = ["/302", "/upper?a=1", "/two", "/three", "/body", "/torrent", "/page"].map(|path| server.url(path));
    for what in paths.iter().chain(&urls).chain([&format!("<{}>", server.url("/302"))]) {
        assert_eq!(inspect(&peer, what), Ok(Some(known.hash)), "{what}");
    }
    for path in ["/loop", "/ftp", "/file", "/login", "/many", "/empty", "/404"] {
        assert!(inspect(&peer, &server.url(path)).is_err(), "{path}");
    }
    for how in ["deflate", "br", "zstd"] {
        let why = inspect(&peer, &server.url(&format!("/{how}"))).unwrap_err();
        assert!(why.contains(&format!("compresses its answer with {how}")), "{why}");
    }
    assert_eq!(inspect(&peer, &server.url("/said")), Ok(Some(known.hash)), "it is not compressed");
    let id = add(&peer, &server.url("/three"));
    peer.complete(id);
    assert_eq!(std::fs::read(peer.folder.path().join("film")).unwrap(), known.data);
    peer.stop();
    seeder.stop();
}

#[test]
fn an_engine_stops_while_a_server_does_not_answer() {
    // One that takes the request and is silent, one that stops in the middle, one that nobody listens to.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let half = TcpListener::bind("127.0.0.1:0").unwrap();
    let addrs = [&silent, &half].map(|listener| listener.local_addr().unwrap());
    let (tell, told) = crossbeam_channel::unbounded();
    for (listener, begin) in [(silent, ""), (half, "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nd4:info")] {
        let tell = tell.clone();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(begin.as_bytes()).unwrap();
            tell.send(()).unwrap();
            // Until the other side closes it.
            let _ = std::io::copy(&mut stream, &mut std::io::sink());
        });
    }
    let peer = Peer::start();
    for addr in addrs {
        let what = format!("http://{addr}/x.torrent");
        peer.engine.send(Command::Add(AddTorrent { what, ..AddTorrent::default() }));
        told.recv_timeout(support::engine::PATIENCE).unwrap();
    }
    peer.engine
        .send(Command::Inspect(AddTorrent { what: "http://192.0.2.7/x.torrent".into(), ..AddTorrent::default() }));
    assert_eq!(peer.engine.shutdown(ttui::limits::SHUTDOWN), Ok(()));
}

#[test]
fn the_torrent_that_a_link_names_is_fetched_and_its_web_seeds_count() {
    let (known, other) = (Known::new(2), Known::new(3));
    let (file, wrong, data) = (known.file.clone(), other.file, known.data.clone());
    let server = Server::start(move |path, _| match path {
        "/film.torrent" => (200, String::new(), file.clone()),
        "/other.torrent" => (200, String::new(), wrong.clone()),
        "/films/film" => (200, String::new(), data.clone()),
        "/moved.torrent" => (302, "Location: /reboot\r\n".into(), Vec::new()),
        _ => (200, String::new(), b"rebooting".to_vec()),
    });
    for key in ["xs", "as", "xs.1"] {
        let peer = Peer::start();
        let bad =
            ["/other.torrent", "/moved.torrent", "/missing.torrent"].map(|path| format!("&{key}={}", server.url(path)));
        // What is in the local network must look like a torrent, by address or by name.
        let pages = ["/reboot", "/reboot?x=.torrent"].map(|path| format!("&{key}={}", server.url(path)));
        let named = format!("&{key}=http://localhost:{}/reboot", server.addr.port());
        let link = format!(
            "magnet:?xt=urn:btih:{}&ws={}{}{}{named}&{key}={}",
            known.hash,
            server.url("/films/"),
            bad.concat(),
            pages.concat(),
            server.url("/film.torrent")
        );
        let id = add(&peer, &link);
        peer.complete(id);
        assert_eq!(std::fs::read(peer.folder.path().join("film")).unwrap(), known.data);
        peer.stop();
    }
    assert!(server.was_asked("/other.torrent") && server.was_asked("/moved.torrent"));
    assert!(!server.asked.lock().unwrap().iter().any(|path| path.starts_with("/reboot")));
}

#[test]
fn a_torrent_that_is_given_for_a_waiting_magnet_is_its_metadata() {
    let known = Known::new(4);
    let seeder = known.seeder();
    let file = known.folder.path().join("film.torrent").display().to_string();
    let link = format!("magnet:?xt=urn:btih:{}", known.hash);
    for paused in [false, true] {
        let peer = Peer::start();
        let id = peer.add_as(Path::new(&link), AddTorrent { paused, ..AddTorrent::default() });
        if !paused {
            peer.until("it waits", id, |view| view.is_some_and(|view| view.state == State::Metadata));
        }
        let text = again(&peer, AddTorrent { what: file.clone(), peers: vec![seeder.addr()], ..AddTorrent::default() });
        assert!(text.contains("metadata"), "{text}");
        if paused {
            peer.until("it has pieces", id, |view| view.is_some_and(|view| view.pieces > 0));
            peer.engine.send(Command::Resume(id));
            peer.engine.send(Command::AddPeers(id, vec![seeder.addr()]));
        }
        peer.complete(id);
        let text = again(&peer, AddTorrent { what: file.clone(), ..AddTorrent::default() });
        assert!(text.ends_with("is already there"), "{text}");
        peer.stop();
    }
    seeder.stop();
}

/// A private torrent keeps to its own trackers, and a public one takes web seeds too, also for the next session.
#[test]
fn a_second_source_brings_its_web_seeds() {
    let known = Known::new(5);
    let data = known.data.clone();
    let server = Server::start(move |path, _| match path {
        "/film" => (200, String::new(), data.clone()),
        _ => (404, String::new(), Vec::new()),
    });
    let folder = tempfile::tempdir().unwrap();
    let peer = Peer::start_in(folder, true);
    let add = AddTorrent { paused: true, ..AddTorrent::default() };
    let id = peer.add_as(&known.folder.path().join("film.torrent"), add);
    let what = format!("magnet:?xt=urn:btih:{}&ws={}&tr=http://127.0.0.1:9/announce", known.hash, server.url("/film"));
    let text = again(&peer, AddTorrent { what: what.clone(), ..AddTorrent::default() });
    assert!(text.ends_with("its new tracker and new web seed were added"), "{text}");
    let text = again(&peer, AddTorrent { what, ..AddTorrent::default() });
    assert!(text.ends_with("is already there"), "{text}");
    peer.until("it is paused", id, |view| view.is_some_and(|view| view.state == State::Paused));
    let peer = Peer::start_in(peer.leave(), true);
    peer.sees("it is back", |all| all.torrents.len() == 1 && all.torrents[0].1.state == State::Paused);
    let id = peer.last.borrow().as_ref().unwrap().torrents[0].0;
    peer.engine.send(Command::Resume(id));
    peer.complete(id);
    peer.stop();
}

#[test]
fn peers_that_a_tracker_names_by_host_are_called() {
    let known = Known::new(6);
    let seeder = known.seeder();
    let port = seeder.addr().port();
    let server = Server::start(move |path, _| match path.starts_with("/announce?") {
        true => {
            (200, String::new(), format!("d8:intervali1800e5:peersld2:ip9:localhost4:porti{port}eeee").into_bytes())
        }
        false => (404, String::new(), Vec::new()),
    });
    for link in [format!("&tr={}", server.url("/announce")), format!("&x.pe=localhost:{port}")] {
        let peer = Peer::start();
        let id = add(&peer, &format!("magnet:?xt=urn:btih:{}{link}", known.hash));
        peer.complete(id);
        peer.stop();
    }
    seeder.stop();
}

fn ttui(folder: &Path, args: &[&str]) -> Output {
    let program =
        Program::new(env!("CARGO_BIN_EXE_ttui")).args(args).arg("--state-dir").arg(folder.join("state")).output();
    program.unwrap()
}

#[test]
fn the_command_line_takes_addresses_and_the_same_torrent_twice() {
    let known = Known::new(7);
    let file = known.file.clone();
    let server = Server::start(move |path, _| match path {
        "/film" => (200, String::new(), file.clone()),
        _ => (404, String::new(), Vec::new()),
    });
    let (folder, url) = (known.folder.path(), server.url("/film"));
    let text = |output: &Output| String::from_utf8_lossy(&output.stdout).into_owned();
    for verb in ["show", "magnet"] {
        let output = ttui(folder, &[verb, &url]);
        assert!(output.status.success() && text(&output).contains(&known.hash.to_string()), "{output:?}");
    }
    assert!(ttui(folder, &["verify", &url, "--dir", &folder.display().to_string()]).status.success());
    let output = ttui(folder, &["show", &server.url("/missing")]);
    assert!(output.status.code() == Some(1) && String::from_utf8_lossy(&output.stderr).contains("404"), "{output:?}");
    let (path, dir) = (folder.join("film.torrent").display().to_string(), folder.display().to_string());
    let quiet = ["--no-dht", "--no-lsd", "--no-port-map", "--headless", "--exit-when-done", "--bind", "127.0.0.1"];
    let twice = [&["download", &path, &path, &url, "--dir", &dir, "--port", "0"], &quiet[..]].concat();
    let output = ttui(folder, &twice);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(text(&output).lines().filter(|line| line.starts_with("complete")).count(), 1, "{output:?}");
}
