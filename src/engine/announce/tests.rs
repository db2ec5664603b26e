use ureq::unversioned::resolver::{DefaultResolver, Resolver};
use ureq::unversioned::transport::NextTimeout;

use super::client::{Guard, is_private};
use super::*;

#[test]
fn a_server_that_closes_is_not_called_a_peer() {
    for kind in [io::ErrorKind::UnexpectedEof, io::ErrorKind::ConnectionReset, io::ErrorKind::ConnectionRefused] {
        let said = words(&ureq::Error::Io(io::Error::new(kind, "Peer disconnected")));
        assert!(said.contains("connection") && !said.to_lowercase().contains("peer"), "{said}");
    }
}

#[test]
fn private_addresses_are_known() {
    for ip in ["127.0.0.1", "10.1.2.3", "192.168.0.1", "172.16.0.1", "169.254.1.1", "100.64.0.1", "0.0.0.0", "::1"] {
        assert!(is_private(ip.parse().unwrap()), "{ip}");
    }
    for ip in ["::ffff:10.0.0.1", "fd00::1", "fe80::1", "::"] {
        assert!(is_private(ip.parse().unwrap()), "{ip}");
    }
    for ip in ["8.8.8.8", "172.32.0.1", "100.128.0.1", "2001:db8::1", "::ffff:8.8.8.8"] {
        assert!(!is_private(ip.parse().unwrap()), "{ip}");
    }
}

#[test]
fn a_redirect_from_a_public_host_does_not_reach_a_private_address() {
    let (agent, client) = Client::new(&Agent::config_builder().proxy(None).build(), None);
    let guard = Guard { inner: DefaultResolver::default(), rules: Arc::clone(&client.rules), bind: None };
    let resolve = |uri: &str| {
        let timeout = NextTimeout { after: Duration::from_secs(60).into(), ..NextTimeout::default() };
        guard.resolve(&uri.parse().unwrap(), agent.config(), timeout).map(|found| found.to_vec())
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

#[test]
fn a_host_holds_few_places_and_failing_hosts_not_all_of_them() {
    let mut queue = Queue::default();
    let job = |host: &str| {
        let url = format!("http://{host}/");
        (host.to_owned(), Job::Fetch { url, max: 0, named_by: NamedBy::User, done: Box::new(|_| ()) })
    };
    for n in 0..THREADS {
        queue.failed.insert(format!("dead{n}"));
        queue.jobs.push_back(job(&format!("dead{n}")));
    }
    queue.jobs.extend((0..5).map(|_| job("good")));
    let mut taken = Vec::new();
    while let Some((host, _)) = queue.take() {
        taken.push(host);
    }
    let good = taken.iter().filter(|host| *host == "good").count();
    assert_eq!((good, taken.len() - good), (PER_HOST, THREADS / 2));
    queue.finished("good", false);
    assert_eq!(queue.take().unwrap().0, "good");
    // A host that answers again is no longer held back.
    queue.finished("dead0", false);
    assert!(!queue.failed.contains("dead0"));
}
