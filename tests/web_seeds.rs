//! Web seeds (BEP 19) from nginx: alone and beside peers, one file and a folder, broken off, damaged, refusing.
#![cfg(target_os = "linux")]
// A test whose surroundings fail has failed: saying so at once is all that is wanted. Every test file uses a part of
// what `support` offers.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::print_stderr, dead_code)]

mod support {
    pub mod clients;
    pub mod engine;
    pub mod network;
    pub mod process;
    pub mod torrents;
}

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use support::clients::{Client, Kind};
use support::engine::Peer;
use support::network::Place;
use support::process::{Process, command, installed, skip, until};
use support::torrents::Payload;
use ttui::api::{Command, Event, PeerRow, TorrentId};
use ttui::words::why::sentence;

const KIB: usize = 1024;

/// nginx with one folder of files.
struct Nginx {
    process: Process,
    place: Place,
    port: u16,
    home: PathBuf,
}

impl Nginx {
    /// `None`, said by name, where it is not installed.
    fn start(home: &Path, more: &str) -> Option<Nginx> {
        if !installed("nginx") {
            skip("nginx is not installed");
            return None;
        }
        let (place, home) = (Place::loopback(), home.join("nginx"));
        fs::create_dir_all(home.join("files")).unwrap();
        let port = place.port();
        let root = home.display();
        let config = format!(
            "daemon off; master_process off; pid {root}/pid; error_log {root}/errors;
             events {{ worker_connections 64; }}
             http {{
               default_type application/octet-stream;
               client_body_temp_path {root}/t1; proxy_temp_path {root}/t2; fastcgi_temp_path {root}/t3;
               uwsgi_temp_path {root}/t4; scgi_temp_path {root}/t5;
               log_format short '$status $request_uri $http_range $connection_requests $body_bytes_sent';
               access_log {root}/access short;
               server {{ listen {}:{port}; root {root}/files; {more} }}
             }}",
            place.ip
        );
        fs::write(home.join("nginx.conf"), config).unwrap();
        let process = Nginx::run(&home);
        let it = Nginx { process, place, port, home };
        it.wait();
        Some(it)
    }

    fn run(home: &Path) -> Process {
        let args = ["-c".to_owned(), home.join("nginx.conf").display().to_string()];
        Process::start(command("nginx", args), home)
    }

    fn wait(&self) {
        let addr = SocketAddr::from((self.place.ip, self.port));
        until("nginx to listen", || self.process.tail(), || std::net::TcpStream::connect(addr).is_ok());
    }

    fn files(&self) -> PathBuf {
        self.home.join("files")
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.host())
    }

    fn host(&self) -> String {
        format!("{}:{}", self.place.ip, self.port)
    }

    /// What was asked: status, path, range, number of the request on its connection, bytes.
    fn asked(&self) -> Vec<Vec<String>> {
        let text = fs::read_to_string(self.home.join("access")).unwrap_or_default();
        text.lines().map(|line| line.split(' ').map(str::to_owned).collect()).collect()
    }

    fn sent(&self) -> u64 {
        self.asked().iter().map(|line| line[4].parse::<u64>().unwrap()).sum()
    }
}

/// Makes a torrent of what lies at `data` as a person would.
fn create(data: &Path, torrent: &Path, piece_length: &str, seeds: &[String]) {
    let mut args =
        vec!["create".to_owned(), data.display().to_string(), "-o".to_owned(), torrent.display().to_string()];
    args.extend(["--piece-length".to_owned(), piece_length.to_owned()]);
    args.extend(seeds.iter().flat_map(|seed| ["--web-seed".to_owned(), seed.clone()]));
    let output = command(env!("CARGO_BIN_EXE_ttui"), args).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A download in an engine of its own, of which the screen shows everything.
struct Download {
    peer: Peer,
    id: TorrentId,
}

impl Download {
    fn start(torrent: &Path, peers: Vec<SocketAddr>, down: Option<u64>) -> Download {
        let peer = Peer::start_with(tempfile::tempdir().unwrap(), |config| config.limits.down = down);
        let id = peer.add(torrent, peers);
        peer.engine.send(Command::Focus(Some(id)));
        Download { peer, id }
    }

    /// Waits until the peer table has this.
    fn row(&self, what: &str, holds: impl Fn(&PeerRow) -> bool) {
        let detail = |view: &ttui::api::TorrentView| view.detail.as_ref().is_some_and(|d| d.peers.iter().any(&holds));
        self.peer.until(what, self.id, |view| view.is_some_and(detail));
    }

    fn why(&self, words: &str) {
        self.peer.until(words, self.id, |view| view.is_some_and(|view| sentence(&view.why).contains(words)));
    }

    fn must_be_whole(&self, payload: &Payload) {
        assert_eq!(payload.flaws(self.peer.folder.path(), true), None);
    }
}

#[test]
fn alone_it_gives_one_file_although_it_dies_in_between() {
    let scratch = tempfile::tempdir().unwrap();
    let Some(mut nginx) = Nginx::start(scratch.path(), "limit_rate 2m;") else { return };
    let payload = Payload::single("film.bin", 12_000 * KIB + 77, 256 * KIB, 1);
    payload.write_data(&nginx.files());
    let torrent = scratch.path().join("t.torrent");
    create(&nginx.files().join("film.bin"), &torrent, "256K", &[nginx.url("/film.bin")]);
    let it = Download::start(&torrent, Vec::new(), None);
    let host = nginx.host();
    it.row("the web seed to have a rate", |row| {
        row.host.as_deref() == Some(&host) && row.client == "web seed" && row.down > 0 && row.downloaded > 1_000_000
    });
    nginx.process.kill();
    assert!(nginx.sent() < payload.length() as u64, "it is in mid-flight");
    it.why(&format!("web seed {host}: "));
    nginx.process = Nginx::run(&nginx.home);
    it.peer.complete(it.id);
    it.must_be_whole(&payload);
    let asked = nginx.asked();
    assert!(asked.iter().all(|line| line[0] == "206"), "{asked:?}");
    assert!(asked.iter().any(|line| line[3] != "1"), "a connection is used for more than one request: {asked:?}");
    it.peer.stop();
}

#[test]
fn a_folder_comes_from_it_and_from_a_peer() {
    if let Some(why) = Kind::Libtorrent.missing() {
        return skip(&why);
    }
    let scratch = tempfile::tempdir().unwrap();
    let Some(nginx) = Nginx::start(scratch.path(), "limit_rate 1m;") else { return };
    let payload = Payload::folder("a folder", 400, 128 * KIB, 2);
    payload.write_data(&nginx.files());
    let torrent = scratch.path().join("t.torrent");
    create(&nginx.files().join("a folder"), &torrent, "128K", &[nginx.url("/")]);
    let data = scratch.path().join("seed");
    payload.write_data(&data);
    let home = scratch.path().join("libtorrent");
    fs::create_dir_all(&home).unwrap();
    let mut seeder = Client::libtorrent(&Place::loopback(), &home);
    seeder.add(&torrent, &data, 1024 * KIB as u64);
    let it = Download::start(&torrent, vec![seeder.addr().parse().unwrap()], None);
    it.peer.complete(it.id);
    it.must_be_whole(&payload);
    let (web, peer) = (nginx.sent(), seeder.uploaded());
    let all = payload.length() as u64;
    assert!(web > all / 10 && peer > all / 10, "of {all} bytes {web} came from the server, {peer} from the peer");
    assert!(web + peer < all + all / 4, "little came twice: {web} + {peer} of {all}");
    it.peer.stop();
}

#[test]
fn a_damaged_file_is_named_and_all_comes_whole_from_others() {
    let scratch = tempfile::tempdir().unwrap();
    let Some(nginx) = Nginx::start(scratch.path(), "") else { return };
    let payload = Payload::folder("t", 60, 64 * KIB, 3);
    payload.write_data(&nginx.files().join("bad"));
    payload.write_data(&nginx.files().join("good"));
    let torrent = scratch.path().join("t.torrent");
    let seeds = [nginx.url("/bad/"), nginx.url("/good/")];
    create(&nginx.files().join("good/t"), &torrent, "16K", &seeds[..1]);
    let (path, data) = payload.files.iter().max_by_key(|(_, data)| data.len()).unwrap();
    fs::write(nginx.files().join("bad/t").join(path), vec![0; data.len()]).unwrap();
    let it = Download::start(&torrent, Vec::new(), None);
    let said = it.peer.hears("banned web seed");
    assert!(said.contains(&nginx.host()) && said.contains(path.as_str()), "{said} names {path}");
    it.why(&format!("web seed {}: banned", nginx.host()));
    it.peer.stop();
    // With another one beside it.
    create(&nginx.files().join("good/t"), &scratch.path().join("both.torrent"), "16K", &seeds);
    let it = Download::start(&scratch.path().join("both.torrent"), Vec::new(), None);
    let mut said = None;
    it.peer.wait("it is complete", |event| {
        if let Event::Notice { text, .. } = event
            && text.contains("banned web seed")
        {
            said = Some(text.clone());
        }
        matches!(event, Event::Complete(_)).then_some(())
    });
    it.must_be_whole(&payload);
    // The good one may have been quicker with that file; it must not be blamed.
    assert!(said.is_none_or(|said| said.contains(path.as_str())));
    it.peer.stop();
}

#[test]
fn missing_files_and_files_of_another_size_are_named_and_the_others_taken() {
    let scratch = tempfile::tempdir().unwrap();
    let Some(nginx) = Nginx::start(scratch.path(), "") else { return };
    let payload = Payload::folder("t", 40, 32 * KIB, 4);
    payload.write_data(&nginx.files());
    let torrent = scratch.path().join("t.torrent");
    create(&nginx.files().join("t"), &torrent, "32K", &[nginx.url("/")]);
    let full = |n: &&(String, Vec<u8>)| n.1.len() > 32 * KIB;
    let mut large = payload.files.iter().filter(full);
    let (gone, short) = (large.next().unwrap(), large.next().unwrap());
    fs::remove_file(nginx.files().join("t").join(&gone.0)).unwrap();
    fs::write(nginx.files().join("t").join(&short.0), &short.1[1..]).unwrap();
    let it = Download::start(&torrent, Vec::new(), None);
    let mut wanted = vec![(gone.0.as_str(), "not to be had there"), (short.0.as_str(), "another file")];
    it.peer.wait("both to be named", |event| {
        if let Event::Notice { text, .. } = event {
            wanted.retain(|(path, words)| !(text.contains(path) && text.contains(words)));
        }
        wanted.is_empty().then_some(())
    });
    let lacking = |view: &ttui::api::TorrentView| {
        view.have < view.pieces
            && view.have + 12 > view.pieces
            && view.down == 0
            && sentence(&view.why).contains("web seed")
    };
    it.peer.until("all but these to be there", it.id, |view| view.is_some_and(lacking));
    payload.write_data(&nginx.files());
    it.peer.engine.send(Command::Pause(it.id));
    it.peer.engine.send(Command::Resume(it.id));
    it.peer.complete(it.id);
    it.must_be_whole(&payload);
    it.peer.stop();
}

#[test]
fn a_server_without_ranges_a_busy_one_and_redirects() {
    let scratch = tempfile::tempdir().unwrap();
    let locations = "location /whole/ { max_ranges 0; }
        location /busy/ { add_header Retry-After 1234 always; return 503; }
        location /moved/ { rewrite ^/moved/(.*)$ /whole/$1 redirect; }
        location /round/ { return 302 /round/x; }
        location /out/ { return 302 file:///etc/passwd; }";
    let Some(nginx) = Nginx::start(scratch.path(), locations) else { return };
    let payload = Payload::single("f", 1500 * KIB, 64 * KIB, 5);
    payload.write_data(&nginx.files().join("whole"));
    let data = nginx.files().join("whole/f");
    let torrent = |name: &str, path: &str| {
        let torrent = scratch.path().join(name);
        create(&data, &torrent, "64K", &[nginx.url(path)]);
        torrent
    };
    let it = Download::start(&torrent("moved.torrent", "/moved/"), Vec::new(), None);
    it.peer.complete(it.id);
    it.must_be_whole(&payload);
    it.peer.stop();
    // A long file, which is read once from the start since nobody else has it.
    let long = Payload::single("g", 12_000 * KIB + 5, 256 * KIB, 6);
    long.write_data(&nginx.files().join("whole"));
    let whole = scratch.path().join("long.torrent");
    create(&nginx.files().join("whole/g"), &whole, "256K", &[nginx.url("/whole/")]);
    let it = Download::start(&whole, Vec::new(), None);
    it.peer.complete(it.id);
    it.must_be_whole(&long);
    it.peer.stop();
    let of_it: Vec<_> = nginx.asked().into_iter().filter(|line| line[1] == "/whole/g").collect();
    assert!(of_it.len() <= 3 && of_it.iter().all(|line| line[0] == "200"), "{of_it:?}");
    for (path, words) in
        [("/busy/", "status 503"), ("/round/", "redirects more than 3 times"), ("/out/", "file URL: refused")]
    {
        let it = Download::start(&torrent(&format!("{}.torrent", path.replace('/', "")), path), Vec::new(), None);
        it.why(words);
        it.peer.stop();
    }
    let busy = nginx.asked().iter().filter(|line| line[1].starts_with("/busy/")).count();
    assert_eq!(busy, 1, "one that asks to be left alone is left alone");
}

/// A certificate that nobody vouches for is no reason to go on without one.
#[test]
fn a_bad_certificate_is_refused_in_words() {
    if !installed("openssl") {
        return skip("openssl is not installed");
    }
    let scratch = tempfile::tempdir().unwrap();
    let (key, cert) = (scratch.path().join("key.pem"), scratch.path().join("cert.pem"));
    let (k, c) = (key.display().to_string(), cert.display().to_string());
    let args = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", &k, "-out", &c, "-subj", "/CN=localhost"];
    assert!(command("openssl", args).output().unwrap().status.success());
    let port = Place::localhost().port();
    let tls = format!("listen 127.0.0.1:{port} ssl; ssl_certificate {c}; ssl_certificate_key {k};");
    let Some(nginx) = Nginx::start(scratch.path(), &tls) else { return };
    let payload = Payload::single("f", 100 * KIB, 64 * KIB, 7);
    payload.write_data(&nginx.files());
    let torrent = scratch.path().join("t.torrent");
    create(&nginx.files().join("f"), &torrent, "64K", &[format!("https://127.0.0.1:{port}/f")]);
    let it = Download::start(&torrent, Vec::new(), None);
    it.why("certificate");
    assert!(nginx.asked().is_empty(), "nothing was asked for");
    it.peer.stop();
}

/// A server that answers each path in a wrong way of its own.
struct Rude {
    addr: SocketAddr,
}

impl Rude {
    fn start(data: Vec<u8>) -> Rude {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let data = Arc::new(data);
        std::thread::spawn(move || {
            for socket in listener.incoming().map_while(Result::ok) {
                let data = Arc::clone(&data);
                // Whoever is asked has gone when this fails: that is what it is for.
                std::thread::spawn(move || drop(Rude::answer(socket, &data)));
            }
        });
        Rude { addr }
    }

    fn answer(mut socket: TcpStream, data: &[u8]) -> std::io::Result<()> {
        let mut head = String::new();
        let mut reader = BufReader::new(socket.try_clone()?);
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head)? == 0 {
                return Ok(());
            }
        }
        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
        let range = head.to_ascii_lowercase().split("range: bytes=").nth(1).unwrap_or("0-0").to_owned();
        let (first, last) = range.split_once('-').unwrap_or(("0", "0"));
        let last = last.split("\r\n").next().unwrap_or_default();
        let (first, last): (usize, usize) = (first.parse().unwrap(), last.parse().unwrap());
        let (wanted, all) = (&data[first..=last], data.len());
        let mut say = |head: String, body: &[u8]| {
            socket.write_all(format!("HTTP/1.1 {head}\r\n\r\n").as_bytes())?;
            socket.write_all(body)
        };
        let part = |more: usize| {
            let length = wanted.len() + more;
            format!("206 Partial Content\r\nContent-Range: bytes {first}-{last}/{all}\r\nContent-Length: {length}")
        };
        match path.as_str() {
            "/hangs" => std::thread::sleep(support::process::PATIENCE),
            "/drips" => {
                say(part(0), &wanted[..9])?;
                std::thread::sleep(support::process::PATIENCE);
            }
            "/short" => say(part(0), &wanted[..wanted.len() / 2])?,
            "/stingy" => {
                let some = &wanted[..wanted.len().min(20_000)];
                let last = first + some.len() - 1;
                let range = format!("Content-Range: bytes {first}-{last}/{all}\r\nContent-Length: {}", some.len());
                say(format!("206 Partial Content\r\n{range}"), some)?;
            }
            "/other" => say(part(0).replace(&format!("bytes {first}-"), "bytes 1-"), wanted)?,
            "/longer" => say(part(9), &[wanted, b"and more!"].concat())?,
            "/packed" => say(part(0) + "\r\nContent-Encoding: br", wanted)?,
            "/page" => say("200 OK\r\nContent-Type: text/html\r\nContent-Length: 5".to_owned(), b"hello")?,
            "/noise" => say("\x1b[2J nonsense".to_owned(), &[])?,
            _ => say("500 Broken\r\nContent-Length: 0".to_owned(), &[])?,
        }
        Ok(())
    }
}

#[test]
fn rude_servers_are_named_and_none_holds_up_the_end() {
    let scratch = tempfile::tempdir().unwrap();
    let payload = Payload::single("f", 300 * KIB, 32 * KIB, 8);
    payload.write_data(scratch.path());
    let rude = Rude::start(payload.files[0].1.clone());
    let start = |path: &str| {
        let torrent = scratch.path().join(format!("{path}.torrent"));
        create(&scratch.path().join("f"), &torrent, "32K", &[format!("http://{}/{path}", rude.addr)]);
        Download::start(&torrent, Vec::new(), None)
    };
    for (path, words) in [
        ("short", "f broke off"),
        ("other", "other bytes of f than were asked for"),
        ("packed", "comes packed"),
        ("page", "5 bytes there, not 307200: another file"),
        ("noise", "does not speak HTTP"),
        ("broken", "status 500"),
    ] {
        let it = start(path);
        it.why(words);
        it.peer.stop();
    }
    // Bytes beyond those that were asked for are nobody's.
    // And what is held back of them is asked for again.
    for path in ["longer", "stingy"] {
        let it = start(path);
        it.peer.complete(it.id);
        it.must_be_whole(&payload);
        it.peer.stop();
    }
    for path in ["hangs", "drips"] {
        let it = start(path);
        it.row("something to be asked for", |row| row.requests_out > 0);
        let left = it.peer.engine.shutdown(ttui::limits::SHUTDOWN);
        assert_eq!(left, Ok(()), "{path}");
    }
}

/// The link names the web seed; a peer has the metadata and nothing else.
#[test]
fn a_magnet_that_names_one_gets_its_data_there() {
    if let Some(why) = Kind::Libtorrent.missing() {
        return skip(&why);
    }
    let scratch = tempfile::tempdir().unwrap();
    let Some(nginx) = Nginx::start(scratch.path(), "") else { return };
    let payload = Payload::folder("t", 30, 32 * KIB, 9);
    payload.write_data(&nginx.files());
    let torrent = scratch.path().join("t.torrent");
    payload.write_torrent(&torrent, "");
    let empty = scratch.path().join("libtorrent");
    fs::create_dir_all(&empty).unwrap();
    let mut knows = Client::libtorrent(&Place::loopback(), &empty);
    knows.add(&torrent, &empty, 0);
    let url = nginx.url("/").replace(':', "%3A").replace('/', "%2F");
    let magnet = format!("magnet:?xt=urn:btih:{}&ws={url}&x.pe={}", payload.hex(), knows.addr());
    let peer = Peer::start();
    let id = peer.add(Path::new(&magnet), Vec::new());
    peer.complete(id);
    assert_eq!(payload.flaws(peer.folder.path(), true), None);
    assert!(nginx.sent() >= payload.length() as u64, "it all came from the server");
    peer.stop();
}
