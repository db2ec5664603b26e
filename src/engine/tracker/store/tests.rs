use super::*;

const INTERVAL: Duration = Duration::from_secs(100);

fn store(now: Instant) -> Store {
    Store::new(INTERVAL, now, fastrand::Rng::with_seed(7))
}

fn call(addr: &str, left: u64) -> AnnounceCall {
    AnnounceCall {
        info_hash: InfoHash([1; 20]),
        peer_id: PeerId([2; 20]),
        addr: addr.parse().unwrap(),
        left,
        event: AnnounceEvent::None,
        num_want: None,
        same_family: false,
    }
}

fn addrs(answer: &ServerAnnounceResponse) -> Vec<String> {
    let mut all: Vec<String> = answer.peers.iter().map(|(addr, _)| addr.to_string()).collect();
    all.sort();
    all
}

#[test]
fn peers_learn_of_each_other_and_not_of_themselves() {
    let now = Instant::now();
    let mut store = store(now);
    assert_eq!(addrs(&store.announce(now, &call("10.0.0.1:1", 5)).unwrap()), [""; 0]);
    assert_eq!(addrs(&store.announce(now, &call("10.0.0.2:2", 0)).unwrap()), ["10.0.0.1:1"]);
    let third = store.announce(now, &call("[fd00::1]:3", 0)).unwrap();
    // A seed gets no seeds.
    assert_eq!(addrs(&third), ["10.0.0.1:1"]);
    assert_eq!((third.seeds, third.leechers), (2, 1));
    // A client that has just started may be aria2 with a magnet link.
    let begun = AnnounceCall { event: AnnounceEvent::Started, ..call("[fd00::1]:3", 0) };
    assert_eq!(addrs(&store.announce(now, &begun).unwrap()), ["10.0.0.1:1", "10.0.0.2:2"]);
    let again = store.announce(now, &call("10.0.0.1:1", 5)).unwrap();
    assert_eq!(addrs(&again), ["10.0.0.2:2", "[fd00::1]:3"]);
    let only_v4 = AnnounceCall { same_family: true, ..call("10.0.0.1:1", 5) };
    assert_eq!(addrs(&store.announce(now, &only_v4).unwrap()), ["10.0.0.2:2"]);
}

#[test]
fn loopback_addresses_stay_on_their_machine() {
    let now = Instant::now();
    let mut store = store(now);
    store.announce(now, &call("127.0.0.1:1", 5)).unwrap();
    assert_eq!(addrs(&store.announce(now, &call("10.0.0.2:2", 5)).unwrap()), [""; 0]);
    assert_eq!(addrs(&store.announce(now, &call("127.0.0.1:3", 5)).unwrap()), ["10.0.0.2:2", "127.0.0.1:1"]);
}

#[test]
fn who_leaves_or_falls_silent_is_forgotten() {
    let now = Instant::now();
    let mut store = store(now);
    for n in 1..=4 {
        store.announce(now, &call(&format!("10.0.0.{n}:1"), 5)).unwrap();
    }
    store.announce(now, &AnnounceCall { event: AnnounceEvent::Stopped, ..call("10.0.0.2:1", 5) }).unwrap();
    assert_eq!(store.totals(), (1, 3, 0));
    let later = now + INTERVAL + INTERVAL / 2;
    store.announce(later, &call("10.0.0.3:1", 5)).unwrap();
    let answer = store.announce(now + SILENT + Duration::from_secs(1), &call("10.0.0.9:1", 5)).unwrap();
    assert_eq!(addrs(&answer), ["10.0.0.3:1"]);
    assert_eq!((store.peers, store.peers_by.hosts()), (2, 2));
}

#[test]
fn who_announces_every_five_minutes_stays_though_one_announce_is_lost() {
    let now = Instant::now();
    let mut store = store(now);
    store.announce(now, &call("10.0.0.1:1", 5)).unwrap();
    for minutes in [1, 4, 6, 10] {
        let answer = store.announce(now + Duration::from_secs(60 * minutes), &call("10.0.0.2:1", 5)).unwrap();
        assert_eq!(addrs(&answer), ["10.0.0.1:1"], "after {minutes} minutes");
    }
}

#[test]
fn completion_counts_once() {
    let now = Instant::now();
    let mut store = store(now);
    store.announce(now, &call("10.0.0.1:1", 5)).unwrap();
    let done = AnnounceCall { event: AnnounceEvent::Completed, ..call("10.0.0.1:1", 0) };
    store.announce(now, &done).unwrap();
    store.announce(now, &done).unwrap();
    let counts = ScrapeCounts { seeds: 1, downloaded: 1, leechers: 0 };
    assert_eq!(store.scrape(&done.info_hash), Some(counts));
    assert_eq!(store.scrape(&InfoHash([9; 20])), None);
}

/// Completing and stopping over and over must not fill the store with empty torrents.
#[test]
fn a_torrent_that_nobody_has_is_forgotten_however_often_it_was_downloaded() {
    let now = Instant::now();
    let mut store = store(now);
    for n in 0..3 * TORRENTS as u32 {
        let mut done = AnnounceCall { event: AnnounceEvent::Completed, ..call("10.0.0.1:1", 0) };
        done.info_hash.0[..4].copy_from_slice(&n.to_be_bytes());
        store.announce(now, &done).unwrap();
        store.announce(now, &AnnounceCall { event: AnnounceEvent::Stopped, ..done }).unwrap();
    }
    assert_eq!(
        (store.totals(), store.list.len(), store.peers_by.hosts(), store.torrents_by.hosts()),
        ((0, 0, 0), 0, 0, 0)
    );
}

#[test]
fn seeds_are_counted_as_they_come_change_and_go() {
    let now = Instant::now();
    let mut store = store(now);
    let counts = |store: &Store| store.scrape(&InfoHash([1; 20])).map(|c| (c.seeds, c.leechers));
    for (addr, left, event, after) in [
        ("10.0.0.1:1", 0, AnnounceEvent::Started, Some((1, 0))),
        ("10.0.0.2:1", 9, AnnounceEvent::Started, Some((1, 1))),
        ("10.0.0.2:1", 0, AnnounceEvent::Completed, Some((2, 0))),
        ("10.0.0.1:1", 9, AnnounceEvent::None, Some((1, 1))),
        ("10.0.0.2:1", 0, AnnounceEvent::Stopped, Some((0, 1))),
        ("10.0.0.1:1", 9, AnnounceEvent::Stopped, None),
    ] {
        store.announce(now, &AnnounceCall { event, ..call(addr, left) }).unwrap();
        assert_eq!(counts(&store), after, "{addr} {event:?}");
    }
}

#[test]
fn an_answer_is_as_long_as_wanted_and_differs_from_the_next() {
    let now = Instant::now();
    let mut store = store(now);
    for n in 0..1000u32 {
        store.announce(now, &call(&format!("10.0.{}.{}:1", n / 250, 1 + n % 250), 5)).unwrap();
    }
    let ask = |num_want| AnnounceCall { num_want, ..call("10.0.0.1:1", 5) };
    let mut seen = Vec::new();
    for (wanted, got) in [(Some(0), 0), (Some(1), 1), (None, 50), (None, 50), (Some(u32::MAX), WANTED_MAX)] {
        let mut answer = addrs(&store.announce(now, &ask(wanted)).unwrap());
        assert_eq!(answer.len(), got);
        answer.dedup();
        assert_eq!(answer.len(), got);
        seen.push(answer);
    }
    assert_ne!(seen[2], seen[3]);
}

fn of(addr: &str, torrent: u32) -> AnnounceCall {
    let mut call = call(addr, 5);
    call.info_hash.0[..4].copy_from_slice(&torrent.to_be_bytes());
    call
}

#[test]
fn one_host_does_not_fill_a_torrent_with_its_ports() {
    let now = Instant::now();
    for (one, other) in
        [("10.9.9.9", "10.9.9.8:1"), ("[fd00:1::9]", "[fd00:1:0:1::9]:1"), ("203.0.113.1", "[2001:db8::1]:1")]
    {
        let mut store = store(now);
        for port in 1..=2 * PEERS_TORRENT_HOST {
            store.announce(now, &call(&format!("{one}:{port}"), 5)).unwrap();
        }
        assert_eq!(store.peers, PEERS_TORRENT_HOST);
        store.announce(now, &call(other, 5)).unwrap();
        assert_eq!(store.peers, PEERS_TORRENT_HOST + 1);
    }
}

#[test]
fn one_network_fills_the_torrents_and_others_get_theirs_all_the_same() {
    let now = Instant::now();
    // Flood from a /64, a /48 and a /24.
    let floods: [fn(u32) -> String; 3] = [
        |n| format!("[2001:db8:0:1:0:0:{:x}:{:x}]:1", n >> 16, n & 0xffff),
        |n| format!("[2001:db8:0:{:x}::{:x}:{:x}]:1", n % 60_000, n >> 16, n & 0xffff),
        |n| format!("198.51.100.{}:{}", n % 250, 1 + n / 250),
    ];
    for flood in floods {
        let mut store = store(now);
        for n in 0..TORRENTS as u32 {
            store.announce(now, &of(&flood(n), n)).unwrap();
        }
        // At the limit, other networks are not refused: torrents of the flooding network make room.
        assert_eq!(store.totals().0, TORRENTS);
        for n in 0..50 {
            let honest = of(&format!("10.0.{n}.1:6881"), 1 << 30 | n);
            store.announce(now, &honest).unwrap();
            assert!(store.scrape(&honest.info_hash).is_some());
        }
        assert_eq!((store.totals().0, store.list.len()), (TORRENTS, TORRENTS));
        let kept = (0..50).filter(|n| store.scrape(&of("10.0.0.1:1", 1 << 30 | n).info_hash).is_some()).count();
        assert_eq!(kept, 50, "what few have brought stays");
        store.list.iter().enumerate().for_each(|(n, hash)| assert_eq!(store.swarms[hash].listed, n));
    }
}

#[test]
fn one_network_fills_the_peers_and_others_get_in_and_all_is_given_back() {
    let now = Instant::now();
    let mut store = store(now);
    let flood = |n: u32| of(&format!("[2001:db8:0:1:0:0:{:x}:{:x}]:1", n >> 16, n & 0xffff), n % 1000);
    // One /64 fills the store, within the limit per host and torrent.
    for n in 0..(1000 * PEERS_TORRENT_HOST as u32).min(PEERS as u32) {
        store.announce(now, &flood(n)).unwrap();
    }
    assert_eq!(store.peers, PEERS);
    assert!(store.announce(now, &of("[2001:db8:0:1::ffff:9]:2", 3)).is_err(), "the same network makes no room");
    for n in 1..100 {
        store.announce(now, &of(&format!("192.168.{n}.1:1"), n % 7)).unwrap();
    }
    assert_eq!(store.peers, PEERS);
    assert_eq!(store.swarms.values().map(|swarm| swarm.members.len()).sum::<usize>(), PEERS);
    store.announce(now + SILENT + INTERVAL, &of("10.0.0.1:1", 1)).unwrap();
    assert_eq!((store.totals(), store.peers_by.hosts(), store.torrents_by.hosts()), ((1, 1, 0), 1, 1));
}
