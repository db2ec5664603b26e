//! Our announces against real trackers, our own among them, and against bad ones.

// A test that cannot set its scene has failed: saying so at once is all that is wanted.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use ttui::engine::announce::{AnnounceJob, Announcer, AnnouncerConfig};
use ttui::engine::threads::ThreadGroup;
use ttui::engine::tracker::{Tracker, TrackerConfig};
use ttui::limits;
use ttui::wire::message::{InfoHash, PeerId};
use ttui::wire::tracker::udp::{Reply, Request};
use ttui::wire::tracker::{
    Announce, AnnounceError, AnnounceEvent, AnnounceIdentity, AnnounceResponse, Retry, ScrapeCounts, decode_scrape,
    scrape_url,
};

#[path = "support/bad_trackers.rs"]
mod bad;

use bad::{BadHttp, bad_udp, gzip_of_zeros, send};

use AnnounceEvent::{Completed, None as Regular, Started, Stopped};

/// Longer than anything here takes; only a hang reaches it.
const LONG: Duration = Duration::from_secs(120);

/// A client without a torrent: it only announces.
struct Client {
    crew: ThreadGroup,
    announcer: Option<Announcer>,
}

type Answered = mpsc::Receiver<Result<AnnounceResponse, String>>;

impl Client {
    fn new() -> Self {
        let crew = ThreadGroup::default();
        let announcer = Announcer::start(&crew, &AnnouncerConfig::default()).unwrap();
        Client { crew, announcer: Some(announcer) }
    }

    /// Asks for the torrent, as the peer that listens on `port`.
    fn begin(&self, url: &str, hash: InfoHash, port: u16, event: AnnounceEvent, left: u64) -> Answered {
        let (tell, told) = mpsc::channel();
        let mut id = *b"-TU0100-000000000000";
        id[8..10].copy_from_slice(&port.to_be_bytes());
        let ask = Announce { url: url.into(), event, uploaded: 0, downloaded: 0, left, num_want: 50, tracker_id: None };
        let asker = AnnounceIdentity { info_hash: hash, peer_id: PeerId(id), port, key: u32::from(port) };
        let done = Box::new(move |result: Result<_, AnnounceError>| drop(tell.send(result.map_err(|e| e.why))));
        self.announcer.as_ref().unwrap().announce(AnnounceJob { ask, identity: asker, done, more: Box::new(|_| ()) });
        told
    }

    /// The error of an announce, whole.
    fn error(&self, url: &str) -> AnnounceError {
        let (tell, told) = mpsc::channel();
        let ask = Announce {
            url: url.into(),
            event: Started,
            uploaded: 0,
            downloaded: 0,
            left: 1,
            num_want: 50,
            tracker_id: None,
        };
        let asker = AnnounceIdentity {
            info_hash: InfoHash([5; 20]),
            peer_id: PeerId(*b"-TU0100-000000000000"),
            port: 1,
            key: 1,
        };
        let done = Box::new(move |result| drop(tell.send(result)));
        self.announcer.as_ref().unwrap().announce(AnnounceJob { ask, identity: asker, done, more: Box::new(|_| ()) });
        told.recv_timeout(LONG).unwrap().unwrap_err()
    }

    fn ask(&self, url: &str, hash: InfoHash, port: u16, event: AnnounceEvent, left: u64) -> AnnounceResponse {
        let result = self.begin(url, hash, port, event, left).recv_timeout(LONG).expect("an announce always ends");
        result.unwrap_or_else(|why| panic!("{url}: {why}"))
    }

    /// The last word to a tracker, which has the shortest deadline.
    fn last_word(&self, url: &str) -> Answered {
        self.begin(url, InfoHash([7; 20]), 1, Stopped, 0)
    }

    fn scrape(&self, url: &str, hash: InfoHash) -> Option<ScrapeCounts> {
        let (tell, told) = mpsc::channel();
        let url = scrape_url(url, &hash).unwrap();
        self.announcer.as_ref().unwrap().fetch(&url, 10_000, Box::new(move |result| drop(tell.send(result))));
        decode_scrape(&told.recv_timeout(LONG).unwrap().unwrap(), &hash).unwrap()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        drop(self.announcer.take());
        let left = self.crew.wait(Instant::now() + LONG);
        if !std::thread::panicking() {
            assert!(left.is_empty(), "still there: {left:?}");
        }
    }
}

fn ports(reply: &AnnounceResponse) -> Vec<u16> {
    let mut ports: Vec<u16> = reply.peers.iter().map(SocketAddr::port).collect();
    ports.sort_unstable();
    ports
}

/// The life of a small swarm, seen through one tracker.
fn live_through_a_swarm(url: &str, hash: InfoHash) {
    let client = Client::new();
    let others = |reply: &AnnounceResponse, own: u16| {
        // Some trackers hand out the caller's own address.
        ports(reply).into_iter().filter(|port| *port != own).collect::<Vec<_>>()
    };
    let first = client.ask(url, hash, 1001, Started, 500);
    assert!(others(&first, 1001).is_empty());
    assert!(first.interval.is_some_and(|interval| !interval.is_zero()));
    let second = client.ask(url, hash, 1002, Started, 0);
    assert_eq!(others(&second, 1002), [1001]);
    assert_eq!((second.seeds, second.leechers), (Some(1), Some(1)));
    let host: SocketAddr = url.split('/').nth(2).unwrap().parse().unwrap();
    assert!(second.peers.iter().all(|peer| peer.ip() == host.ip()));
    let third = client.ask(url, hash, 1001, Regular, 300);
    assert_eq!(others(&third, 1001), [1002]);
    let done = client.ask(url, hash, 1001, Completed, 0);
    assert_eq!((done.seeds, done.leechers), (Some(2), Some(0)));
    if url.starts_with("http") {
        assert_eq!(client.scrape(url, hash), Some(ScrapeCounts { seeds: 2, downloaded: 1, leechers: 0 }));
    }
    client.ask(url, hash, 1002, Stopped, 0);
    let alone = client.ask(url, hash, 1003, Started, 500);
    assert_eq!(others(&alone, 1003), [1001]);
    client.ask(url, hash, 1001, Stopped, 0);
    client.ask(url, hash, 1003, Stopped, 500);
}

fn has_ipv6() -> bool {
    let has = TcpListener::bind("[::1]:0").is_ok();
    if !has {
        eprintln!("skipped: this machine has no IPv6 loopback");
    }
    has
}

fn tracker_at(addr: &str) -> Tracker {
    let config = TrackerConfig { listen: vec![addr.parse().unwrap()], ..TrackerConfig::loopback() };
    Tracker::start(&config).unwrap()
}

#[test]
fn our_tracker_serves_our_client_over_both_protocols_and_families() {
    for addr in ["127.0.0.1:0", "[::1]:0"] {
        if addr.starts_with('[') && !has_ipv6() {
            continue;
        }
        let tracker = tracker_at(addr);
        live_through_a_swarm(&tracker.http_urls()[0], InfoHash([1; 20]));
        live_through_a_swarm(&tracker.udp_urls()[0], InfoHash([2; 20]));
        let stats = tracker.stats();
        assert_eq!((stats.peers, stats.announces, stats.scrapes, stats.refused), (0, 16, 1, 0));
    }
}

#[test]
fn families_and_protocols_meet_in_one_swarm() {
    if !has_ipv6() {
        return;
    }
    // The ports are another's until they are free for both families, so the second one is asked for by number.
    let tracker = (0..20).find_map(|_| {
        let port = tracker_at("127.0.0.1:0").addrs()[0].port();
        let listen = vec![SocketAddr::from(([127, 0, 0, 1], port)), format!("[::1]:{port}").parse().unwrap()];
        let tracker = Tracker::start(&TrackerConfig { listen, ..TrackerConfig::loopback() }).unwrap();
        (tracker.addrs().len() == 2).then_some(tracker)
    });
    let tracker = tracker.expect("a port that is free for both families");
    let (http, udp) = (tracker.http_urls(), tracker.udp_urls());
    let client = Client::new();
    let hash = InfoHash([3; 20]);
    client.ask(&http[0], hash, 2001, Started, 9);
    client.ask(&udp[1], hash, 2002, Started, 9);
    // HTTP has room for both families, UDP for the caller's own (BEP 15).
    assert_eq!(ports(&client.ask(&http[1], hash, 2003, Started, 9)), [2001, 2002]);
    assert!(ports(&client.ask(&udp[0], hash, 2001, Regular, 9)).is_empty());
    assert_eq!(ports(&client.ask(&udp[1], hash, 2002, Regular, 9)), [2003]);
}

/// A program that the test started and ends.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
#[cfg(unix)]
fn opentracker_serves_our_client() {
    let Some(path) =
        ["/usr/bin/opentracker", "/usr/sbin/opentracker"].map(PathBuf::from).into_iter().find(|p| p.exists())
    else {
        eprintln!("skipped: opentracker is not installed");
        return;
    };
    let [http, udp] = [InfoHash([4; 20]), InfoHash([5; 20])];
    // It gives up its rights before it reads, so everybody must be able to.
    let dir = tempfile::Builder::new().permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755)).tempdir();
    let dir = dir.unwrap();
    let list = dir.path().join("whitelist");
    std::fs::write(&list, format!("{http}\n{udp}\n")).unwrap();
    let port = tracker_at("127.0.0.1:0").addrs()[0].port().to_string();
    let mut command = Command::new(path);
    command.args(["-i", "127.0.0.1", "-p", &port, "-P", &port, "-d", "/", "-w"]).arg(&list);
    let mut program = Program(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    let addr = format!("127.0.0.1:{port}");
    // It listens before it has read its list, to which it does not hold those who only leave.
    let url = format!("http://{addr}/announce");
    let client = Client::new();
    let deadline = Instant::now() + LONG;
    while let Err(why) = client.begin(&url, http, 1, Started, 0).recv_timeout(LONG).unwrap() {
        assert!(program.0.try_wait().unwrap().is_none(), "opentracker ended");
        assert!(Instant::now() < deadline, "opentracker does not serve: {why}");
        std::thread::yield_now();
    }
    client.ask(&url, http, 1, Stopped, 0);
    drop(client);
    live_through_a_swarm(&url, http);
    live_through_a_swarm(&format!("udp://{addr}/announce"), udp);
}

#[test]
fn a_refusal_by_our_tracker_comes_in_words() {
    let tracker = tracker_at("127.0.0.1:0");
    let client = Client::new();
    for url in [&tracker.http_urls()[0], &tracker.udp_urls()[0]] {
        let why = client.begin(url, InfoHash([6; 20]), 0, Started, 1).recv_timeout(LONG).unwrap().unwrap_err();
        assert!(why.starts_with("it says: ") && why.contains("port"), "{why}");
    }
    assert_eq!(tracker.stats().torrents, 0);
}

fn http(addr: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    // The tracker may have seen enough before it has seen all.
    let _ = stream.write_all(request);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn bad_requests_cost_our_tracker_nothing() {
    let tracker = tracker_at("127.0.0.1:0");
    let addr = tracker.addrs()[0];
    let get = |target: &str| http(addr, format!("GET {target} HTTP/1.1\r\nHost: t\r\n\r\n").as_bytes());
    let hash = "%01".repeat(20);
    let id = "-XX0000-abcdefghijkl";
    for target in [
        "/announce".to_owned(),
        "/announce?info_hash=short&peer_id=short&port=1".to_owned(),
        format!("/announce?info_hash={hash}&peer_id={id}"),
        format!("/announce?info_hash={hash}&peer_id={id}&port=0"),
        format!("/announce?info_hash={hash}&peer_id={id}&port=65536"),
        format!("/announce?info_hash={hash}&peer_id={id}&port=1&left=much"),
    ] {
        assert!(get(&target).contains("d14:failure reason"), "{target}");
    }
    assert!(get("/x").starts_with("HTTP/1.1 404"));
    assert!(get("/").contains("0 torrents"));
    assert!(get("/stats").contains("\"torrents\":0"));
    assert!(http(addr, b"POST /announce HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 405"));
    assert!(http(addr, b"\x16\x03\x01\x02\x00garbage\r\n\r\n").starts_with("HTTP/1.1 400"));
    assert!(http(addr, &vec![b'G'; 20_000]).is_empty() || tracker.stats().refused > 0);
    let long = format!("GET /announce?{} HTTP/1.1\r\n", "a".repeat(20_000));
    let answer = http(addr, long.as_bytes());
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    for packet in [&[][..], &[0; 15], &[0; 16], &[255; 98], &[1; 2000]] {
        udp.send_to(packet, addr).unwrap();
    }
    assert_eq!(tracker.stats().peers, 0);
    live_through_a_swarm(&tracker.http_urls()[0], InfoHash([8; 20]));
    live_through_a_swarm(&tracker.udp_urls()[0], InfoHash([9; 20]));
}

#[test]
fn those_who_send_half_a_request_do_not_lock_others_out() {
    let tracker = tracker_at("127.0.0.1:0");
    let halves: Vec<TcpStream> = (0..60)
        .map(|_| {
            let mut stream = TcpStream::connect(tracker.addrs()[0]).unwrap();
            stream.write_all(b"GET /announce?info_").unwrap();
            stream
        })
        .collect();
    live_through_a_swarm(&tracker.http_urls()[0], InfoHash([10; 20]));
    drop(halves);
}

/// The longest answer there is, to one who has hardly room for it and does not read: it is held for it, whole.
#[test]
fn who_reads_slowly_gets_a_long_answer_whole_and_keeps_no_thread() {
    let tracker = tracker_at("127.0.0.1:0");
    let addr = tracker.addrs()[0];
    let hash = "%02".repeat(20);
    let query = |port: u16| format!("GET /announce?info_hash={hash}&peer_id=-XX0000-abcdefghijkl&port={port}&left=1");
    for port in 1..=201 {
        assert!(http(addr, format!("{} HTTP/1.1\r\n\r\n", query(port)).as_bytes()).contains("8:complete"));
    }
    let slow: Vec<TcpStream> = (0..24)
        .map(|_| {
            let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
            socket.set_recv_buffer_size(1).unwrap();
            socket.connect(&addr.into()).unwrap();
            let mut stream = TcpStream::from(socket);
            let request = format!("{}&compact=0&numwant=500 HTTP/1.1\r\n\r\n", query(1));
            stream.write_all(request.as_bytes()).unwrap();
            stream
        })
        .collect();
    live_through_a_swarm(&tracker.http_urls()[0], InfoHash([11; 20]));
    for mut stream in slow {
        stream.set_read_timeout(Some(LONG)).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(answer.matches("7:peer id20:").count() == 200 && answer.ends_with('e'), "{} bytes", answer.len());
    }
}

#[test]
fn a_udp_announce_needs_a_connection_id_of_its_own_address() {
    let tracker = tracker_at("127.0.0.1:0");
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    udp.set_read_timeout(Some(LONG)).unwrap();
    let scrape = Request::Scrape { connection: 5, transaction: 9, info_hashes: vec![InfoHash([1; 20])] };
    udp.send_to(&scrape.encode(), tracker.addrs()[0]).unwrap();
    let mut packet = [0; 100];
    let length = udp.recv(&mut packet).unwrap();
    assert!(matches!(Reply::decode(&packet[..length], false), Some(Reply::Error { transaction: 9, .. })));
    assert!(length <= scrape.encode().len() + 16, "an answer that a forged address would get is no longer than asked");
}

/// A redirect to `to`.
fn redirect(to: String) -> BadHttp {
    BadHttp::start(move |stream, _| send(stream, "302 Found", &format!("Location: {to}\r\n"), b""))
}

#[test]
fn twelve_bad_answers_over_http_end_in_words_and_in_time() {
    let hang = |_: &mut TcpStream, hold: &mpsc::Receiver<()>| {
        let _ = hold.recv();
    };
    let endless = |stream: &mut TcpStream, _: &mpsc::Receiver<()>| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nd5:peers");
        while stream.write_all(&vec![b'9'; 65536]).is_ok() {}
    };
    let escapes = |stream: &mut TcpStream, _: &mpsc::Receiver<()>| {
        send(stream, "200 OK", "", b"d14:failure reason19:\x1b]0;x\x07\xc2\x9bno\x1b[2Jabcdee");
    };
    let refusal = |stream: &mut TcpStream, _: &mpsc::Receiver<()>| {
        send(stream, "500 Oops", "", b"d14:failure reason9:not todaye");
    };
    let gigabyte = |stream: &mut TcpStream, hold: &mpsc::Receiver<()>| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\nd8:intervali5e5:peers0:e");
        let _ = hold.recv();
    };
    let stalls = |stream: &mut TcpStream, hold: &mpsc::Receiver<()>| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nd8:interval");
        let _ = hold.recv();
    };
    let own = BadHttp::start(|stream, _| send(stream, "302 Found", "Location: /announce?again\r\n", b""));
    let bomb = gzip_of_zeros(4_000_000);
    let cases: Vec<(&str, BadHttp, &str)> = vec![
        (
            "gzip bomb",
            BadHttp::start(move |s, _| send(s, "200 OK", "Content-Encoding: gzip\r\n", &bomb)),
            "longer than",
        ),
        ("endless body", BadHttp::start(endless), "longer than"),
        ("1 GB of length", BadHttp::start(gigabyte), "in time"),
        ("redirect loop", own, "redirects more than 3 times"),
        ("redirect to a file", redirect("file:///etc/passwd".into()), "redirects to a file URL: refused"),
        ("hang in the header", BadHttp::start(hang), "in time"),
        ("hang in the body", BadHttp::start(stalls), "in time"),
        ("500 with a reason", BadHttp::start(refusal), "it says: not today (status 500)"),
        ("escapes", BadHttp::start(escapes), "it says: "),
        ("not bencode", BadHttp::start(|s, _| send(s, "200 OK", "", b"<html>")), "does not answer as a tracker"),
        ("wrong types", BadHttp::start(|s, _| send(s, "200 OK", "", b"l8:intervale")), "does not answer as a tracker"),
        ("no HTTP", BadHttp::start(|s, _| drop(s.write_all(b"SSH-2.0-x\r\n\r\n"))), "does not speak HTTP"),
    ];
    let client = Client::new();
    let answers: Vec<_> = cases.iter().map(|(_, tracker, _)| client.last_word(&tracker.url())).collect();
    for ((name, tracker, words), answer) in cases.iter().zip(answers) {
        let why = answer.recv_timeout(LONG).expect("an announce always ends").expect_err(name);
        assert!(why.contains(words), "{name}: {why}");
        assert!(!why.contains(char::is_control), "{name}: {why:?}");
        assert!(tracker.requests.load(Ordering::SeqCst) <= 1 + limits::REDIRECTS as usize, "{name}");
    }
}

#[test]
fn a_huge_list_of_peers_is_cut() {
    let tracker = BadHttp::start(|stream, _| {
        let mut body = b"d8:intervali-1e5:peers600000:".to_vec();
        (0..100_000u32).for_each(|n| body.extend_from_slice(&[10, (n >> 16) as u8, (n >> 8) as u8, n as u8, 26, 225]));
        body.push(b'e');
        send(stream, "200 OK", "", &body);
    });
    let reply = Client::new().ask(&tracker.url(), InfoHash([1; 20]), 1, Started, 1);
    assert_eq!((reply.peers.len(), reply.interval), (limits::PEERS_PER_REPLY, None));
}

#[test]
fn trackers_that_hang_do_not_delay_another() {
    let mut hanging: Vec<BadHttp> = (0..3).map(|_| BadHttp::start(|_, hold| assert!(hold.recv().is_err()))).collect();
    let client = Client::new();
    let hash = InfoHash([11; 20]);
    // More than all threads together, were it not for the bound of each host.
    let stuck: Vec<_> = (0..60).map(|n| client.begin(&hanging[n % 3].url(), hash, 1, Started, 1)).collect();
    let tracker = tracker_at("127.0.0.1:0");
    client.ask(&tracker.http_urls()[0], hash, 1, Started, 1);
    client.ask(&tracker.udp_urls()[0], hash, 1, Started, 1);
    // Nobody has let go of the others.
    assert!(stuck.iter().all(|answer| answer.try_recv() == Err(mpsc::TryRecvError::Empty)));
    // Leaving ends those under way and those in the queue, each with a word.
    drop(client);
    for answer in stuck {
        assert!(answer.recv_timeout(LONG).expect("every job hears of its end").is_err());
    }
    hanging.iter_mut().for_each(BadHttp::release);
}

/// What is bencoded counts, whatever the status says; and a server that wants to be left alone is heard.
#[test]
fn refusals_are_heard_whatever_the_status() {
    let client = Client::new();
    let minutes = |n: u64| Retry::After(Duration::from_secs(60 * n));
    let date = "Retry-After: Fri, 31 Dec 1999 23:59:59 GMT\r\n";
    for (status, headers, body, why, retry) in [
        (
            "400 Bad Request",
            "",
            "d14:failure reason12:unregisterede",
            "it says: unregistered (status 400)",
            Retry::Unspecified,
        ),
        (
            "403 Forbidden",
            "",
            "d14:failure reason3:bad8:retry in5:nevere",
            "it says: bad (and never to ask again) (status 403)",
            Retry::Never,
        ),
        ("404 Not Found", "", "d14:failure reason4:gone8:intervali600ee", "it says: gone (status 404)", minutes(10)),
        (
            "503 Busy",
            "Retry-After: 7\r\n",
            "d14:failure reason4:busy8:retry in1:2e",
            "it says: busy (status 503)",
            minutes(2),
        ),
        ("429 Slow Down", "Retry-After: 120\r\n", "slow down", "it answers with status 429", minutes(2)),
        ("503 Busy", date, "", "it answers with status 503", Retry::After(Duration::ZERO)),
        ("500 Oops", "", "<html>", "it answers with status 500", Retry::Unspecified),
    ] {
        let tracker = BadHttp::start(move |stream, _| send(stream, status, headers, body.as_bytes()));
        let error = client.error(&tracker.url());
        assert_eq!((error.why.as_str(), error.retry), (why, retry), "{status}");
    }
    for status in ["400 Bad Request", "404 Not Found", "500 Oops"] {
        let tracker =
            BadHttp::start(move |stream, _| send(stream, status, "", b"d8:intervali99e5:peers6:\x0a\0\0\x01\0\x07e"));
        assert_eq!(ports(&client.ask(&tracker.url(), InfoHash([1; 20]), 1, Started, 1)), [7], "{status}");
    }
}

/// Many more than there are places for, all of which take connections and say nothing.
#[test]
fn silent_trackers_however_many_delay_nobody() {
    let silent: Vec<TcpListener> = (0..200).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let quiet: Vec<UdpSocket> = (0..20).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
    let http = silent.iter().map(|it| format!("http://{}/announce", it.local_addr().unwrap()));
    let udp = quiet.iter().map(|it| format!("udp://{}/announce", it.local_addr().unwrap()));
    let client = Client::new();
    let hash = InfoHash([12; 20]);
    let urls: Vec<String> = http.chain(udp).collect();
    let stuck: Vec<_> = urls.iter().map(|url| client.begin(url, hash, 1, Started, 1)).collect();
    let tracker = tracker_at("127.0.0.1:0");
    let (good, udp) = (&tracker.http_urls()[0], &tracker.udp_urls()[0]);
    client.ask(good, hash, 1, Started, 1);
    client.ask(udp, hash, 2, Started, 1);
    assert_eq!(client.scrape(good, hash), Some(ScrapeCounts { seeds: 0, downloaded: 0, leechers: 2 }));
    client.ask(good, hash, 1, Completed, 0);
    // All say their last words; the silent ones keep nobody from being heard.
    let last: Vec<_> = urls.iter().map(|url| client.begin(url, hash, 1, Stopped, 1)).collect();
    client.ask(good, hash, 1, Stopped, 0);
    client.ask(udp, hash, 2, Stopped, 0);
    assert_eq!((tracker.stats().peers, tracker.stats().announces), (0, 5));
    let pending = |answers: &[Answered]| answers.iter().any(|it| it.try_recv() == Err(mpsc::TryRecvError::Empty));
    assert!(pending(&last), "the others are still waited for");
    drop(client);
    // What a last word took the place of is heard of no more; the last words all end.
    assert!(last.into_iter().all(|answer| answer.recv_timeout(LONG).is_ok_and(|result| result.is_err())));
    drop((silent, quiet, stuck));
}

/// `started` hangs: the tracker has it, and has not answered. It hears `stopped` too, and once.
#[test]
fn a_tracker_that_is_still_answering_hears_stopped_too() {
    let (tell, heard) = mpsc::channel();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/announce", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let mut held = Vec::new();
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut line = [0; 700];
            let n = stream.read(&mut line).unwrap_or(0);
            let line = String::from_utf8_lossy(&line[..n]).into_owned();
            let event = line.split("event=").nth(1).and_then(|rest| rest.split([' ', '&']).next()).unwrap_or("");
            if tell.send(event.to_owned()).is_err() {
                return;
            }
            held.push(stream);
        }
    });
    let client = Client::new();
    for n in 1..=3 {
        let first = client.begin(&url, InfoHash([n; 20]), 1, Started, 1);
        assert_eq!(heard.recv_timeout(LONG).unwrap(), "started");
        let last = client.begin(&url, InfoHash([n; 20]), 1, Stopped, 1);
        assert_eq!(heard.recv_timeout(LONG).unwrap(), "stopped");
        assert!(first.recv_timeout(LONG).is_err(), "nobody waits for the other answer");
        assert!(last.recv_timeout(LONG).unwrap().is_err());
    }
    drop(client);
    assert!(heard.try_recv().is_err());
}

#[test]
fn all_addresses_are_those_of_both_families() {
    if !has_ipv6() {
        return;
    }
    let tracker = (0..20).map(|_| tracker_at("[::]:0")).find(|it| it.addrs().len() == 2).expect("a port free for both");
    assert_eq!(tracker.missing(), [""; 0]);
    let port = tracker.addrs()[0].port();
    for (n, host) in ["127.0.0.1", "[::1]"].into_iter().enumerate() {
        for scheme in ["http", "udp"] {
            let hash = InfoHash([20 + n as u8; 20]);
            Client::new().ask(&format!("{scheme}://{host}:{port}/announce"), hash, 1001, Started, 1);
        }
    }
    // Where another one has version 4 already it says so.
    let other = tracker_at("0.0.0.0:0");
    let alone = tracker_at(&format!("[::]:{}", other.addrs()[0].port()));
    assert_eq!(alone.addrs().len(), 1);
    assert!(alone.missing()[0].contains("cannot listen on 0.0.0.0"), "{:?}", alone.missing());
}

#[test]
fn urls_that_lead_nowhere_are_refused_in_words() {
    let client = Client::new();
    for (url, words) in [
        ("http://127.0.0.1:9/announce\r\nX-Evil: 1", "character"),
        ("http://127.0.0.1:9/announce?\x1b[2J", "character"),
        ("udp://127.0.0.1:9/announce\n", "character"),
        ("http://127.0.0.1:0/announce", "port 0"),
        ("udp://127.0.0.1:0/announce", "port 0"),
        ("http://127.0.0.1:99999/announce", "cannot be read"),
        ("udp://127.0.0.1:99999/announce", "cannot be read"),
        ("udp://127.0.0.1/announce", "must name a port"),
        ("udp://0.0.0.0:5/announce", "none that a tracker can have"),
        ("file:///etc/passwd", "not supported"),
        ("gopher://127.0.0.1:9/1", "not supported"),
        ("http://127.0.0.1:9/admin/delete?all=1", "last part of its path begins with announce"),
        ("http://127.0.0.1:9/announce?info_hash=x", "info_hash of its own"),
    ] {
        let why = client.last_word(url).recv_timeout(LONG).unwrap().unwrap_err();
        assert!(why.contains(words), "{url:?}: {why}");
    }
    let long = format!("http://127.0.0.1:9/announce?{}", "a".repeat(65536));
    assert!(client.last_word(&long).recv_timeout(LONG).unwrap().unwrap_err().contains("bytes long"));
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for scheme in ["http", "udp"] {
        let why = client.last_word(&format!("{scheme}://{closed}/announce")).recv_timeout(LONG).unwrap();
        assert_eq!(why.unwrap_err(), "connection refused", "{scheme}");
    }
}

/// What a right tracker would answer: a connection id, or one peer at this port.
fn right(packet: &[u8], port: u16) -> Reply {
    match Request::decode(packet).expect("we send what BEP 15 says") {
        Request::Connect { transaction } => Reply::Connect { transaction, connection: 77 },
        Request::Announce { transaction, connection, .. } => {
            assert_eq!(connection, 77);
            let peers = vec![SocketAddr::from(([127, 0, 0, 1], port))];
            Reply::Announce { transaction, reply: AnnounceResponse { peers, ..AnnounceResponse::default() } }
        }
        Request::Scrape { .. } => panic!("nobody asked for a scrape"),
    }
}

fn transaction(packet: &[u8]) -> u32 {
    right(packet, 1).transaction()
}

#[test]
fn bad_packets_are_passed_over_and_the_right_one_is_taken() {
    let other = UdpSocket::bind("127.0.0.1:0").unwrap();
    type Mischief = Box<dyn FnMut(&UdpSocket, &[u8], SocketAddr) + Send>;
    let say = |bytes: fn(&[u8]) -> Vec<u8>| -> Mischief {
        Box::new(move |socket, packet, to| drop(socket.send_to(&bytes(packet), to)))
    };
    let cases: Vec<(&str, Mischief)> = vec![
        (
            "another transaction",
            say(|packet| {
                let mut bytes = right(packet, 666).encode(false);
                bytes[7] ^= 1;
                bytes
            }),
        ),
        (
            "another sender",
            Box::new(move |_, packet, to| {
                let _ = other.send_to(&right(packet, 666).encode(false), to);
            }),
        ),
        ("too short", say(|packet| right(packet, 666).encode(false)[..15].to_vec())),
        ("nothing", say(|_| Vec::new())),
        (
            "another action",
            say(|packet| match Request::decode(packet) {
                Some(Request::Connect { transaction }) => {
                    Reply::Announce { transaction, reply: AnnounceResponse::default() }.encode(false)
                }
                _ => Reply::Connect { transaction: transaction(packet), connection: 5 }.encode(false),
            }),
        ),
        (
            "a scrape",
            say(|packet| {
                Reply::Scrape { transaction: transaction(packet), counts: vec![ScrapeCounts::default()] }.encode(false)
            }),
        ),
        ("an unknown action", say(|packet| [&[0, 0, 0, 9], &packet[12..16], &[0; 40]].concat())),
        ("noise of 2,048 bytes", say(|_| vec![0xff; 2048])),
    ];
    let client = Client::new();
    for (name, mut mischief) in cases {
        let tracker = bad_udp(move |socket, packet, to| {
            mischief(socket, packet, to);
            let _ = socket.send_to(&right(packet, 4242).encode(false), to);
        });
        let reply = client.ask(&format!("udp://{tracker}"), InfoHash([1; 20]), 1, Started, 1);
        assert_eq!(ports(&reply), [4242], "{name}");
    }
}

#[test]
fn a_udp_tracker_that_refuses_or_keeps_silent_ends_in_words() {
    let client = Client::new();
    let refuses = bad_udp(|socket, packet, to| {
        let text = "\x1b]0;x\x07gone".repeat(100);
        let error =
            Reply::Error { transaction: u32::from_be_bytes(*packet[12..].first_chunk().unwrap()), message: text };
        let _ = socket.send_to(&error.encode(false), to);
    });
    let why = client.last_word(&format!("udp://{refuses}")).recv_timeout(LONG).unwrap().unwrap_err();
    assert!(why.starts_with("it says: ") && why.chars().count() <= limits::TRACKER_TEXT + 20, "{why}");
    assert!(!why.contains(char::is_control));
    let silent = bad_udp(|_, _, _| ());
    let why = client.last_word(&format!("udp://{silent}")).recv_timeout(LONG).unwrap().unwrap_err();
    assert_eq!(why, "no answer in time");
}

#[test]
fn a_connection_id_is_kept_and_renewed_when_the_tracker_has_forgotten_it() {
    let mut good = 77;
    let mut connects = 0;
    let mut announces = 0;
    let tracker = bad_udp(move |socket, packet, to| {
        let reply = match Request::decode(packet).unwrap() {
            Request::Connect { transaction } => {
                connects += 1;
                Reply::Connect { transaction, connection: good }
            }
            Request::Announce { transaction, connection, .. } if connection == good => {
                announces += 1;
                // After two announces it is started again and forgets.
                good += u64::from(announces == 2);
                let reply = AnnounceResponse { seeds: Some(connects), ..AnnounceResponse::default() };
                Reply::Announce { transaction, reply }
            }
            other => Reply::Error {
                transaction: match other {
                    Request::Announce { transaction, .. } => transaction,
                    _ => 0,
                },
                message: "who are you?".into(),
            },
        };
        let _ = socket.send_to(&reply.encode(false), to);
    });
    let client = Client::new();
    let connects: Vec<_> = (0..4)
        .map(|_| client.ask(&format!("udp://{tracker}"), InfoHash([1; 20]), 1, Regular, 1).seeds.unwrap())
        .collect();
    assert_eq!(connects, [1, 1, 2, 2]);
}

#[test]
#[cfg(unix)]
fn the_verb_says_where_it_listens_and_ends_when_told() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ttui"));
    command.args(["tracker", "--listen", "127.0.0.1:0", "--interval", "60"]).stdout(Stdio::piped());
    let mut program = Program(command.spawn().unwrap());
    let mut line = String::new();
    let mut out = std::io::BufReader::new(program.0.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut out, &mut line).unwrap();
    let urls: Vec<&str> = line.split_whitespace().collect();
    let ["tracker", http, udp] = urls[..] else { panic!("{line:?}") };
    live_through_a_swarm(http, InfoHash([1; 20]));
    live_through_a_swarm(udp, InfoHash([2; 20]));
    let pid = rustix::process::Pid::from_child(&program.0);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(program.0.wait().unwrap().code(), Some(130));
}
