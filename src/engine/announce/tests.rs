use std::net::SocketAddr;
use std::sync::atomic::Ordering;

use ureq::unversioned::resolver::Resolver;
use ureq::unversioned::transport::NextTimeout;

use super::client::{Client, Guard, Rules, words};
use super::queue::{Job, Turn};
use super::*;
use crate::wire::message::{InfoHash, PeerId};
use crate::wire::tracker::AnnounceEvent;

#[test]
fn a_server_that_closes_is_not_called_a_peer() {
    for kind in [io::ErrorKind::UnexpectedEof, io::ErrorKind::ConnectionReset, io::ErrorKind::ConnectionRefused] {
        let said = words(&ureq::Error::Io(io::Error::new(kind, "Peer disconnected")));
        assert!(said.contains("connection") && !said.to_lowercase().contains("peer"), "{said}");
    }
}

#[test]
fn a_redirect_from_a_public_host_does_not_reach_a_private_address() {
    let client = Client::new(&Agent::config_builder().proxy(None).build(), None, &Names::default());
    let guard = Guard { names: Names::default(), rules: Arc::clone(&client.rules), bind: None };
    let resolve = |uri: &str| {
        let timeout = NextTimeout { after: Duration::from_secs(60).into(), ..NextTimeout::default() };
        guard.resolve(&uri.parse().unwrap(), client.agent.config(), timeout).map(|found| found.to_vec())
    };
    let local = "http://127.0.0.1:80/announce";
    assert_eq!(resolve(local).unwrap(), [SocketAddr::from(([127, 0, 0, 1], 80))]);
    assert!(Rules::get(&client.rules.private));
    assert!(resolve("http://8.8.8.8/x").is_ok());
    assert!(!Rules::get(&client.rules.private));
    client.rules.public_only.store(true, Ordering::Relaxed);
    assert!(resolve(local).is_err_and(|e| words(&e).contains("private address: refused")));
    assert!(resolve("http://8.8.8.8/x").is_ok());
    client.rules.public_only.store(false, Ordering::Relaxed);
    assert!(resolve("http://127.0.0.1/admin").is_err());
    // What holds for web seeds.
    client.rules.any_path.store(true, Ordering::Relaxed);
    client.rules.no_query.store(true, Ordering::Relaxed);
    assert!(resolve("http://127.0.0.1/files/a").is_ok() && resolve("http://8.8.8.8/x?y").is_ok());
    assert!(resolve("http://127.0.0.1/reboot?now=1").is_err_and(|e| words(&e).contains("with a query")));
}

/// Only there is every address of 127.0.0.0/8 one's own.
#[cfg(target_os = "linux")]
#[test]
fn requests_come_from_the_address_that_is_bound() {
    use std::io::{Read, Write};
    let crew = Crew::default();
    let bind = Some(IpAddr::from([127, 0, 0, 2]));
    let announcer = Announcer::start(&crew, &AnnouncerConfig { bind, ..AnnouncerConfig::default() }).unwrap();
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let fetch = |url: String| {
        let (tell, told) = std::sync::mpsc::channel();
        announcer.fetch(&url, 100, Box::new(move |result| tell.send(result).unwrap()));
        told
    };
    let told = fetch(format!("http://{}/x", server.local_addr().unwrap()));
    let (mut socket, from) = server.accept().unwrap();
    assert_eq!(Some(from.ip()), bind);
    let mut asked = [0; 4];
    socket.read_exact(&mut asked).unwrap();
    socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi").unwrap();
    assert_eq!(told.recv().unwrap().unwrap(), b"hi");
    let why = fetch("http://[::1]:9/x".to_owned()).recv().unwrap().unwrap_err();
    assert!(why.contains("cannot be reached from 127.0.0.2"), "{why}");
    // One that hangs is ended with the announcer.
    let told = fetch(format!("http://{}/y", server.local_addr().unwrap()));
    let _hangs = server.accept().unwrap();
    drop(announcer);
    assert!(told.recv().unwrap().is_err());
    assert_eq!(crew.wait(Instant::now() + Duration::from_secs(60)), Vec::<String>::new());
}

/// A queue and a clock that only we move.
struct Story {
    queue: Queue,
    now: Instant,
    client: Client,
}

type Told = std::sync::mpsc::Receiver<String>;

impl Story {
    fn new() -> Self {
        let client = Client::new(&Agent::config_builder().proxy(None).build(), None, &Names::default());
        Story { queue: Queue::default(), now: Instant::now(), client }
    }

    fn push(&mut self, host: &str, torrent: u8, event: AnnounceEvent) -> Told {
        let (hear, told) = std::sync::mpsc::channel();
        let url = format!("http://{host}/announce");
        let ask = Announce { url, event, uploaded: 0, downloaded: 0, left: 1, num_want: 9, tracker_id: None };
        let asker = Asker { info_hash: InfoHash([torrent; 20]), peer_id: PeerId([1; 20]), port: 1, key: 1 };
        let done = move |result: Result<AnnounceReply, AnnounceError>| drop(hear.send(result.unwrap_err().why));
        let answering = Answering::new(event, Box::new(done), Box::new(|_| ()));
        let mut telling = Telling::new();
        let attempt = Attempt { ask, asker, answering, since: self.now, twin: false };
        assert!(self.queue.push(attempt, &mut telling).is_ok());
        tell(telling);
        told
    }

    /// The hosts whose jobs are taken, and their tickets.
    fn takes(&mut self) -> Vec<(String, u64)> {
        let mut all = Vec::new();
        loop {
            let mut telling = Telling::new();
            let turn = self.queue.take(self.now, self.client.ender(), &mut telling);
            tell(telling);
            let Turn::Job(taken) = turn else { return all };
            let Job::Announce(attempt) = taken.job else { panic!("nothing is fetched") };
            let host = attempt.ask.url.split('/').nth(2).unwrap().to_owned();
            let word = if attempt.ask.event == AnnounceEvent::Stopped { " stopped" } else { "" };
            all.push((host + word, taken.ticket));
        }
    }

    fn hosts(&mut self) -> Vec<String> {
        self.takes().into_iter().map(|(host, _)| host).collect()
    }

    fn over(&mut self, ticket: u64, dead: Option<&str>) -> bool {
        let mut telling = Telling::new();
        let dead = dead.map(AnnounceError::new);
        let wanted = self.queue.finished(ticket, self.now, dead.as_ref(), None, &mut telling);
        tell(telling);
        wanted
    }
}

#[test]
fn a_dead_host_costs_one_place_and_one_try_and_a_good_one_gets_more() {
    for torrents in [2, 50, 250] {
        let mut s = Story::new();
        let waiting: Vec<Told> = (0..torrents).map(|n| s.push("dead", n, AnnounceEvent::Started)).collect();
        let good: Vec<Told> = (0..20).map(|n| s.push("good", n, AnnounceEvent::Started)).collect();
        let taken = s.takes();
        let mut hosts: Vec<&str> = taken.iter().map(|(host, _)| host.as_str()).collect();
        hosts.sort_unstable();
        assert_eq!(hosts, ["dead", "good"], "of which nobody knows yet what they are");
        let ticket = |of: &str| taken.iter().find(|(host, _)| host == of).unwrap().1;
        assert!(s.over(ticket("good"), None) && s.over(ticket("dead"), Some("no route")));
        // The one that asked hears it from its own thread.
        let told = waiting.iter().filter(|told| told.try_recv().is_ok_and(|why| why == "no route")).count();
        assert_eq!(told, usize::from(torrents) - 1);
        assert_eq!(s.hosts(), ["good"; 4]);
        drop(good);
    }
}

#[test]
fn what_comes_last_is_asked_soon_and_who_hangs_gives_way() {
    for dead in [queue::PLACES, 2 * queue::PLACES, 1000] {
        let mut s = Story::new();
        let waiting: Vec<Told> =
            (0..dead).map(|n| s.push(&format!("dead{n}"), n as u8, AnnounceEvent::Started)).collect();
        assert_eq!(s.takes().len(), queue::PLACES);
        s.now += Duration::from_secs(1);
        let _new = s.push("new", 7, AnnounceEvent::Started);
        assert_eq!(s.hosts(), [""; 0], "none has let us wait for long");
        let Turn::Wait(Some(at)) = s.queue.take(s.now, s.client.ender(), &mut Telling::new()) else {
            panic!("somebody will give way")
        };
        s.now = at;
        let next = s.hosts();
        assert!(next.iter().take(2).any(|host| host == "new"), "{next:?}");
        let gave_way = waiting.iter().filter(|told| told.try_recv().is_ok_and(|why| why == "no answer in time"));
        assert_eq!(gave_way.count(), next.len());
        assert!(s.client.ended());
    }
}

#[test]
fn a_last_word_waits_for_nobody_and_is_not_said_where_nothing_was() {
    let mut s = Story::new();
    let _others: Vec<Told> =
        (0..queue::PLACES + 9).map(|n| s.push(&format!("dead{n}"), 9, AnnounceEvent::Started)).collect();
    let taken = s.takes();
    // Its `started` waits, is under way, is over.
    let first = taken.first().unwrap().clone();
    let waits = (0..queue::PLACES + 9).map(|n| format!("dead{n}")).find(|host| !taken.iter().any(|(h, _)| h == host));
    let told = s.push(&waits.unwrap(), 9, AnnounceEvent::Stopped);
    assert_eq!(told.try_recv().unwrap(), "it was not asked before the end");
    assert_eq!(s.hosts(), [""; 0]);
    let told = s.push(&first.0, 9, AnnounceEvent::Stopped);
    assert!(told.try_recv().is_err() && s.client.ended(), "what it was asked before is given up");
    assert_eq!(s.takes().iter().filter(|(host, _)| host.ends_with("stopped")).count(), 1);
    assert!(!s.over(first.1, None), "nobody waits for the other answer");
    for torrent in 0..3 {
        let _told = s.push("good", torrent, AnnounceEvent::Stopped);
        assert_eq!(s.hosts(), ["good stopped"]);
    }
}
