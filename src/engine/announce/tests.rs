use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ureq::unversioned::resolver::Resolver;
use ureq::unversioned::transport::NextTimeout;

use super::client::{CheckedResolver, Client, RequestPolicy};
use super::error::describe_error;
use super::queue::{FailedAnnounces, Job, Queue, Turn};
use super::*;
use crate::wire::message::{InfoHash, PeerId};
use crate::wire::metainfo::urls;
use crate::wire::tracker::{Announce, AnnounceEvent, AnnounceIdentity, AnnounceResponse};

#[test]
fn a_server_that_closes_is_not_called_a_peer() {
    for kind in [io::ErrorKind::UnexpectedEof, io::ErrorKind::ConnectionReset, io::ErrorKind::ConnectionRefused] {
        let said = describe_error(&ureq::Error::Io(io::Error::new(kind, "Peer disconnected")));
        assert!(said.contains("connection") && !said.to_lowercase().contains("peer"), "{said}");
    }
}

#[test]
fn a_redirect_from_a_public_host_does_not_reach_a_private_address() {
    let client = Client::new(&Agent::config_builder().proxy(None).build(), None, &HostResolver::default());
    let guard = CheckedResolver { names: HostResolver::default(), rules: Arc::clone(&client.rules), bind: None };
    let resolve = |uri: &str| {
        let timeout = NextTimeout { after: Duration::from_secs(60).into(), ..NextTimeout::default() };
        guard.resolve(&uri.parse().unwrap(), client.agent.config(), timeout).map(|found| found.to_vec())
    };
    let local = "http://127.0.0.1:80/announce";
    assert_eq!(resolve(local).unwrap(), [SocketAddr::from(([127, 0, 0, 1], 80))]);
    assert!(RequestPolicy::get(&client.rules.private));
    assert!(resolve("http://8.8.8.8/x").is_ok());
    assert!(!RequestPolicy::get(&client.rules.private));
    client.rules.public_only.store(true, Ordering::Relaxed);
    assert!(resolve(local).is_err_and(|e| describe_error(&e).contains("private address: refused")));
    assert!(resolve("http://8.8.8.8/x").is_ok());
    client.rules.public_only.store(false, Ordering::Relaxed);
    assert!(resolve("http://127.0.0.1/admin").is_err());
    // The policy of web seeds.
    client.rules.any_path.store(true, Ordering::Relaxed);
    client.rules.no_query.store(true, Ordering::Relaxed);
    assert!(resolve("http://127.0.0.1/files/a").is_ok() && resolve("http://8.8.8.8/x?y").is_ok());
    assert!(resolve("http://127.0.0.1/reboot?now=1").is_err_and(|e| describe_error(&e).contains("with a query")));
}

/// The rule for trackers in the local network is one, where the URL is read and where its name is looked up.
#[test]
fn a_local_tracker_is_asked_by_the_end_of_its_path_by_address_and_by_name_alike() {
    let client = Client::new(&Agent::config_builder().proxy(None).build(), None, &HostResolver::default());
    let guard = CheckedResolver { names: HostResolver::default(), rules: Arc::clone(&client.rules), bind: None };
    let paths = [
        ("/announce", true),
        ("/announce.php?passkey=k", true),
        ("/0123456789abcdef/announce?a=1", true),
        ("/x/announce-all", true),
        ("/", false),
        ("/announce/reboot", false),
        ("/reboot?to=/announce", false),
        ("/re-announce", false),
        ("/Announce", false),
    ];
    for host in ["127.0.0.1", "[::1]", "localhost", "[::ffff:127.0.0.1]"] {
        for (path, asked) in paths {
            let url = format!("http://{host}:6969{path}");
            assert_eq!(urls::tracker(url.as_bytes()).is_ok(), asked, "{url}");
            let timeout = NextTimeout { after: Duration::from_secs(60).into(), ..NextTimeout::default() };
            let found = guard.resolve(&url.parse().unwrap(), client.agent.config(), timeout);
            let why = found.as_ref().err().map(describe_error);
            assert!(found.is_ok() == asked && why.is_none_or(|why| why.contains(urls::LOCAL_RULE)), "{url}");
        }
    }
}

/// Linux only: other systems accept no 127.0.0.0/8 address but 127.0.0.1 by default.
#[cfg(target_os = "linux")]
#[test]
fn requests_come_from_the_address_that_is_bound() {
    use std::io::{Read, Write};
    let crew = ThreadGroup::default();
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
    let why = fetch("http://[::1]:9/x".to_owned()).recv().unwrap().unwrap_err().to_string();
    assert!(why.contains("cannot be reached from 127.0.0.2"), "{why}");
    // A request that hangs is canceled when the announcer is dropped.
    let told = fetch(format!("http://{}/y", server.local_addr().unwrap()));
    let _hangs = server.accept().unwrap();
    drop(announcer);
    assert!(told.recv().unwrap().is_err());
    assert_eq!(crew.wait(Instant::now() + Duration::from_secs(60)), Vec::<String>::new());
}

/// A request queue with a simulated clock.
struct Story {
    queue: Queue,
    now: Instant,
    client: Client,
}

type Told = std::sync::mpsc::Receiver<String>;

impl Story {
    fn new() -> Self {
        let client = Client::new(&Agent::config_builder().proxy(None).build(), None, &HostResolver::default());
        Story { queue: Queue::default(), now: Instant::now(), client }
    }

    fn push(&mut self, host: &str, torrent: u8, event: AnnounceEvent) -> Told {
        let (hear, told) = std::sync::mpsc::channel();
        let url = format!("http://{host}/announce");
        let ask = Announce { url, event, uploaded: 0, downloaded: 0, left: 1, num_want: 9, tracker_id: None };
        let asker = AnnounceIdentity { info_hash: InfoHash([torrent; 20]), peer_id: PeerId([1; 20]), port: 1, key: 1 };
        let done = move |result: Result<AnnounceResponse, AnnounceError>| drop(hear.send(result.unwrap_err().why));
        let answering = PendingAnnounce::new(event, Box::new(done), Box::new(|_| ()));
        let mut telling = FailedAnnounces::new();
        let attempt = Attempt { ask, asker, answering, since: self.now, twin: false };
        assert!(self.queue.push(attempt, &mut telling).is_ok());
        report_failures(telling);
        told
    }

    /// Takes all available jobs and returns their hosts and tickets.
    fn takes(&mut self) -> Vec<(String, u64)> {
        let mut all = Vec::new();
        loop {
            let mut telling = FailedAnnounces::new();
            let turn = self.queue.take(self.now, self.client.cancel_handle(), &mut telling);
            report_failures(telling);
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
        let mut telling = FailedAnnounces::new();
        let dead = dead.map(AnnounceError::new);
        let wanted = self.queue.finished(ticket, self.now, dead.as_ref(), None, &mut telling);
        report_failures(telling);
        wanted
    }
}

#[test]
fn a_dead_host_occupies_one_slot_and_a_responsive_one_gets_more() {
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
        // The failed announce itself is reported by its own thread.
        let told = waiting.iter().filter(|told| told.try_recv().is_ok_and(|why| why == "no route")).count();
        assert_eq!(told, usize::from(torrents) - 1);
        assert_eq!(s.hosts(), ["good"; 4]);
        drop(good);
    }
}

#[test]
fn newest_announce_is_sent_soon_and_hanging_ones_are_aborted() {
    for dead in [queue::MAX_IN_FLIGHT, 2 * queue::MAX_IN_FLIGHT, 1000] {
        let mut s = Story::new();
        let waiting: Vec<Told> =
            (0..dead).map(|n| s.push(&format!("dead{n}"), n as u8, AnnounceEvent::Started)).collect();
        assert_eq!(s.takes().len(), queue::MAX_IN_FLIGHT);
        s.now += Duration::from_secs(1);
        let _new = s.push("new", 7, AnnounceEvent::Started);
        assert_eq!(s.hosts(), [""; 0], "none has let us wait for long");
        let Turn::Wait(Some(at)) = s.queue.take(s.now, s.client.cancel_handle(), &mut FailedAnnounces::new()) else {
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
fn stopped_announce_bypasses_the_queue_and_cancels_a_queued_started() {
    let mut s = Story::new();
    let _others: Vec<Told> =
        (0..queue::MAX_IN_FLIGHT + 9).map(|n| s.push(&format!("dead{n}"), 9, AnnounceEvent::Started)).collect();
    let taken = s.takes();
    // Three cases: the `started` announce is queued, is in progress, or has finished.
    let first = taken.first().unwrap().clone();
    let waits =
        (0..queue::MAX_IN_FLIGHT + 9).map(|n| format!("dead{n}")).find(|host| !taken.iter().any(|(h, _)| h == host));
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
