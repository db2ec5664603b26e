//! Tests of the peer list: dial order, eviction, back-off and bans.

use super::*;

fn addr(n: u16) -> SocketAddr {
    SocketAddr::from(([127, 1, (n >> 8) as u8, n as u8], 6881))
}

/// Returns whether the list is full, give or take one eviction batch.
fn is_full(c: &PeerList) -> bool {
    (limits::KNOWN_PEERS - FORGOTTEN..=limits::KNOWN_PEERS).contains(&c.len())
}

#[test]
fn dead_addresses_wait_longer_each_time_and_good_ones_come_first() {
    let t0 = Instant::now();
    let mut c = PeerList::new(1);
    c.add(t0, addr(1), Source::Tracker);
    c.add(t0, addr(2), Source::Manual);
    assert_eq!(c.next(t0), Some((addr(2), DialHint::default())));
    assert_eq!(c.next(t0), Some((addr(1), DialHint::default())));
    assert_eq!(c.next(t0), None);
    c.mark_disconnected(t0, addr(1), Err(&DisconnectReason::TimedOut("connecting")));
    c.mark_disconnected(t0, addr(2), Ok(()));
    assert_eq!(c.next(t0), None);
    let t1 = t0 + Duration::from_secs(1);
    assert_eq!(c.next(t1), Some((addr(2), DialHint::default())));
    assert_eq!(c.next(t1), Some((addr(1), DialHint::default())));
    c.mark_disconnected(t1, addr(1), Err(&DisconnectReason::Closed));
    assert_eq!(c.next(t1), None);
    assert_eq!(c.deadline(), Some(t1 + Duration::from_secs(3)));
}

#[test]
fn each_source_tells_what_became_of_its_addresses() {
    let t0 = Instant::now();
    let mut c = PeerList::new(1);
    for (n, source) in [(1, Source::Tracker), (2, Source::Tracker), (3, Source::Tracker), (4, Source::Manual)] {
        c.add(t0, addr(n), source);
    }
    c.mark_disconnected(t0, addr(1), Err(&DisconnectReason::TimedOut("connecting")));
    c.mark_disconnected(t0, addr(2), Err(&DisconnectReason::Network("connection refused".into())));
    c.mark_disconnected(t0, addr(3), Err(&DisconnectReason::TooManyConnections));
    c.mark_disconnected(t0, addr(4), Err(&DisconnectReason::Closed));
    assert_eq!(c.failures(), Failures { silent: 1, refused: 1, hung_up: 1 });
    let rows = c.sources(&BTreeMap::from([(Source::Incoming, 2), (Source::Tracker, 1)]));
    let row = |source, known, failed, connected, why: Option<DisconnectReason>| SourceRow {
        source,
        known,
        failed,
        connected,
        last_failure: why.map(SourceFailure::Peer),
        ..SourceRow::new(source)
    };
    assert_eq!(
        rows,
        [
            row(Source::Manual, 1, 1, 0, Some(DisconnectReason::Closed)),
            row(Source::Incoming, 2, 0, 2, None),
            row(Source::Tracker, 3, 2, 1, Some(DisconnectReason::Network("connection refused".into()))),
        ]
    );
    let t1 = t0 + Duration::from_secs(1);
    assert!(c.next(t1).is_some() && c.failures().all() == 3, "being called again it has not answered yet");
    c.mark_connected(addr(1));
    assert_eq!(c.failures().silent, 0);
}

#[test]
fn the_list_is_bounded_and_strangers_cannot_push_out_the_users_own() {
    let t0 = Instant::now();
    let mut c = PeerList::new(1);
    for n in 0..5000 {
        c.add(t0, addr(n), Source::Tracker);
    }
    assert!(is_full(&c));
    c.add(t0, addr(6000), Source::Manual);
    assert_eq!(c.next(t0), Some((addr(6000), DialHint::default())));
    c.add(t0, SocketAddr::from(([127, 0, 0, 1], 0)), Source::Manual);
    c.add(t0, SocketAddr::from(([224, 0, 0, 1], 9)), Source::Manual);
    assert!(is_full(&c));
}

#[test]
fn the_local_network_has_its_part_of_the_list_and_no_more() {
    let t0 = Instant::now();
    let mut c = PeerList::new(1);
    for n in 0..5000 {
        c.add(t0, addr(n), Source::Tracker);
    }
    let local = |host: u16, port: u16| SocketAddr::from(([10, 0, (host >> 8) as u8, host as u8], port));
    for port in 1..100 {
        c.add(t0, local(1, port), Source::Lan);
    }
    let known = |c: &PeerList| c.sources(&BTreeMap::new())[0].known as usize;
    assert_eq!(known(&c), limits::LAN_PER_HOST);
    for host in 2..1000 {
        c.add(t0, local(host, 1), Source::Lan);
    }
    assert_eq!((known(&c), is_full(&c)), (limits::LAN_PEERS, true));
    assert!(c.is_local(local(1, 9).ip()) && !c.is_local(addr(1).ip()));
}

#[test]
fn an_address_of_one_link_keeps_its_link() {
    let on = |scope| SocketAddr::V6(SocketAddrV6::new("fe80::7".parse().unwrap(), 5, 9, scope));
    assert_eq!(canonical(on(3)).to_string(), "[fe80::7%3]:5");
    assert_ne!(canonical(on(3)), canonical(on(4)));
    let wide = SocketAddrV6::new("2001:db8::7".parse().unwrap(), 5, 9, 3);
    assert_eq!(canonical(wide.into()), "[2001:db8::7]:5".parse().unwrap());
    assert_eq!(canonical("[::ffff:1.2.3.4]:5".parse().unwrap()), "1.2.3.4:5".parse().unwrap());
}

#[test]
fn a_flood_from_one_source_pushes_out_nothing_but_itself() {
    let t0 = Instant::now();
    let mut c = PeerList::new(1);
    (0..200).for_each(|n| c.add(t0, addr(n), Source::Tracker));
    (1000..9000).for_each(|n| c.add(t0, addr(n), Source::Pex));
    let of = |c: &PeerList, source| c.known.values().filter(|c| c.source == source).count();
    assert_eq!((is_full(&c), of(&c, Source::Tracker)), (true, 200));
    // Sources take turns, so the flood does not starve the other sources.
    let picks: Vec<_> = (0..100).map(|_| c.next(t0).and_then(|(addr, _)| c.source(addr))).collect();
    assert_eq!(picks.iter().filter(|s| **s == Some(Source::Tracker)).count(), 50);
    (9000..9400).for_each(|n| c.add(t0, addr(n), Source::Dht));
    assert_eq!((is_full(&c), of(&c, Source::Dht)), (true, 400));
}

#[test]
fn of_a_flood_a_fair_sample_is_kept_and_dead_ones_go_first() {
    let t0 = Instant::now();
    let mut c = PeerList::new(1);
    (0..6000).for_each(|n| c.add(t0, addr(n), Source::Pex));
    let late = c.known.keys().filter(|known| **known >= addr(3000)).count();
    assert!((1300..1800).contains(&late), "{late} of 3,000 come from the second half");
    let (dead, _) = c.next(t0).unwrap();
    c.mark_disconnected(t0, dead, Err(&DisconnectReason::TimedOut("connecting")));
    (6000..6400).for_each(|n| c.add(t0, addr(n), Source::Pex));
    assert!(c.source(dead).is_none(), "it had its chance");
}

#[test]
fn what_the_user_gave_makes_room_only_for_what_else_the_user_gives_and_only_when_dead() {
    let t0 = Instant::now();
    let mut c = PeerList::new(1);
    (0..4000).for_each(|n| c.add(t0, addr(n), Source::Manual));
    c.add(t0, addr(5000), Source::Tracker);
    c.add(t0, addr(5001), Source::Manual);
    assert_eq!((c.len(), c.source(addr(5000)), c.source(addr(5001))), (limits::KNOWN_PEERS, None, None));
    let (dead, _) = c.next(t0).unwrap();
    c.mark_disconnected(t0, dead, Err(&DisconnectReason::TimedOut("connecting")));
    c.add(t0, addr(5000), Source::Tracker);
    assert_eq!(c.source(addr(5000)), None);
    c.mark_disconnected(t0, dead, Err(&DisconnectReason::TimedOut("connecting")));
    c.add(t0, addr(5001), Source::Manual);
    assert_eq!((c.source(addr(5001)), c.source(dead)), (Some(Source::Manual), None));
}

#[test]
fn families_take_turns_and_the_network_at_hand_is_first() {
    let t0 = Instant::now();
    let mut c = PeerList::new(1);
    let v6 = |n: u16| SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, n], 6881));
    (0..8).for_each(|n| c.add(t0, addr(n), Source::Tracker));
    (0..8).for_each(|n| c.add(t0, v6(n), Source::Tracker));
    c.add(t0, addr(100), Source::Lan);
    let picks: Vec<bool> = (0..9).map(|_| c.next(t0).unwrap().0.is_ipv6()).collect();
    assert_eq!(picks.iter().filter(|v6| **v6).count(), 4);
    assert!(picks[1..].windows(2).all(|two| two[0] != two[1]), "{picks:?}");
}

#[test]
fn among_equals_the_canonical_priority_decides_once_we_know_who_we_are() {
    let t0 = Instant::now();
    let mut c = PeerList::new(1);
    (0..50).for_each(|n| c.add(t0, addr(n), Source::Tracker));
    let us = SocketAddr::from(([198, 51, 100, 7], 6881));
    c.set_own_address(us);
    c.set_own_address(SocketAddr::from(([198, 51, 100, 8], 6881)));
    let picks: Vec<u32> = (0..50).map(|_| priority(us, c.next(t0).unwrap().0)).collect();
    let canonical: Vec<u32> = picks.into_iter().step_by(3).collect();
    assert!(canonical.is_sorted_by(|a, b| a >= b), "{canonical:?}");
}

#[test]
fn new_announcements_are_not_starved_by_old_ones() {
    let t0 = Instant::now();
    let mut c = PeerList::new(1);
    (0..2000).for_each(|n| c.add(t0, addr(n), Source::Pex));
    (2000..2010).for_each(|n| c.add(t0, addr(n), Source::Tracker));
    (0..40).for_each(|_| _ = c.next(t0));
    (3000..3050).for_each(|n| c.add(t0, addr(n), Source::Pex));
    c.add(t0, addr(7), Source::Pex);
    let picks: Vec<SocketAddr> = (0..60).filter_map(|_| c.next(t0)).map(|(addr, _)| addr).collect();
    let fresh = picks.iter().filter(|pick| **pick >= addr(3000) || **pick == addr(7)).count();
    assert!((20..30).contains(&fresh), "{fresh} of 60");
    assert!(picks[..8].contains(&addr(7)), "named again: {picks:?}");
}

#[test]
fn dials_per_slot_follow_the_answer_rate() {
    let mut c = PeerList::new(1);
    assert_eq!(c.dials_per_free_slot(), 4);
    (0..32).for_each(|_| c.dialled(true));
    assert_eq!(c.dials_per_free_slot(), 1);
    (0..30).for_each(|_| c.dialled(false));
    assert_eq!(c.dials_per_free_slot(), 4);
}

#[test]
fn how_an_address_was_spoken_to_is_told_with_it() {
    let t0 = Instant::now();
    let mut c = PeerList::new(1);
    c.add(t0, addr(1), Source::Tracker);
    assert_eq!(c.next(t0), Some((addr(1), DialHint::default())));
    c.set_encryption_hint(addr(1), true);
    c.mark_disconnected(t0, addr(1), Ok(()));
    assert_eq!(c.next(t0 + Duration::from_secs(1)), Some((addr(1), DialHint { encrypted: Some(true), utp: false })));
}

#[test]
fn a_ban_is_for_the_host_in_every_spelling() {
    let t0 = Instant::now();
    let mut c = PeerList::new(1);
    c.add(t0, addr(1), Source::Tracker);
    c.ban("::ffff:127.1.0.1".parse().unwrap(), "sent bad data".into());
    assert!(c.len() == 0 && c.banned(addr(1).ip()).is_some());
    c.add(t0, addr(1), Source::Manual);
    assert_eq!(c.len(), 0);
}

#[test]
fn pex_and_dht_addresses_of_one_subnet_are_delayed() {
    let t0 = Instant::now();
    let mut c = PeerList::new(1);
    let at = |a, b| SocketAddr::from(([9, 9, a, b], 6881));
    for (a, b) in [(1, 1), (1, 2), (1, 3), (2, 1)] {
        c.add(t0, at(a, b), Source::Pex);
    }
    let all = |c: &mut PeerList, now| {
        let mut all: Vec<SocketAddr> = std::iter::from_fn(|| c.next(now)).map(|(addr, _)| addr).collect();
        all.sort_unstable();
        all
    };
    assert_eq!(all(&mut c, t0), [at(1, 1), at(2, 1)]);
    assert_eq!(all(&mut c, t0 + limits::NEIGHBOUR_WAIT), [at(1, 2)]);
    c.add(t0, at(1, 9), Source::Tracker);
    assert_eq!(all(&mut c, t0), [at(1, 9)], "a tracker is believed");
    for n in 0..9 {
        c.add(t0, SocketAddr::from(([192, 168, 0, n], 1)), Source::Pex);
    }
    assert_eq!(all(&mut c, t0).len(), 9, "whoever is near may be many");
}
