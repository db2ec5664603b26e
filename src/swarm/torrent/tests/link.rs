//! Tests of magnet links: `.torrent` URLs and peers given by host name.

use super::*;
use crate::wire::host::HostPort;

const PLACES: [&str; 2] = ["http://a.example/x.torrent", "https://b.example/get?id=7"];

fn magnet() -> (Torrent, Instant, Vec<Effect>) {
    torrent_with(1 << 20, |config| {
        config.geometry = Geometry::new(0, 1);
        config.link.sources = PLACES.map(str::to_owned).to_vec();
        config.trackers = vec![vec!["http://old.example/announce".into()]];
        config.web_seeds = vec!["http://seed.example/".into()];
    })
}

fn asked(out: &[Effect]) -> Vec<usize> {
    let source = |e: &Effect| if let Effect::FetchTorrent { source, .. } = e { Some(*source) } else { None };
    out.iter().filter_map(source).collect()
}

fn tick(it: &mut Torrent, now: Instant) -> Vec<Effect> {
    let mut out = Vec::new();
    it.handle(now, Input::Tick, &mut out);
    out
}

fn given(info: &'static [u8], by_user: bool) -> Input {
    Input::MetadataProvided(Box::new(ProvidedMetadata {
        info: bytes::Bytes::from_static(info),
        trackers: vec![vec!["http://new.example/announce".into(), "http://old.example/announce".into()]],
        web_seeds: vec!["http://seed.example/".into(), "http://more.example/".into()],
        by_user,
    }))
}

#[test]
fn all_places_of_the_torrent_are_asked_at_once_and_again_after_a_while() {
    let (mut it, mut now, out) = magnet();
    assert_eq!(asked(&out), [0, 1]);
    assert!(it.search.is_some(), "peers are asked beside them");
    let fails = |it: &mut Torrent, now, source| {
        it.handle(now, Input::TorrentFetchFailed { source, why: "it is another torrent's".into() }, &mut Vec::new());
    };
    for wait in [30, 60, 120, 240, 480, 960, 1920, 3600, 3600] {
        fails(&mut it, now, 1);
        assert!(it.deadline(now) <= now + Duration::from_secs(wait));
        assert_eq!(asked(&tick(&mut it, now + Duration::from_secs(wait - 1))), [0_usize; 0]);
        now += Duration::from_secs(wait);
        assert_eq!(asked(&tick(&mut it, now)), [1]);
    }
    fails(&mut it, now, 7);
    it.handle(now, Input::Stop, &mut Vec::new());
    it.handle(now, Input::Tick, &mut Vec::new());
    assert_eq!(asked(&tick(&mut it, now + Duration::from_secs(4000))), [0_usize; 0]);
}

#[test]
fn the_first_that_gives_the_metadata_is_believed_and_brings_its_sources() {
    for (by_user, from) in [(false, "its link"), (true, "your .torrent")] {
        let (mut it, now, _) = magnet();
        let mut out = Vec::new();
        it.handle(now, given(b"d4:name1:xe", by_user), &mut out);
        assert!(out.iter().any(|e| matches!(e, Effect::MetadataComplete(info) if info.as_ref() == b"d4:name1:xe")));
        assert!(out.iter().any(|e| matches!(e, Effect::Notice(text) if text.contains(from))), "{out:?}");
        assert_eq!(it.trackers().concat(), ["http://old.example/announce", "http://new.example/announce"]);
        assert_eq!(it.web_seeds(), ["http://seed.example/", "http://more.example/"]);
        let mut out = Vec::new();
        it.handle(now, given(b"d4:name1:ye", by_user), &mut out);
        assert!(!out.iter().any(|e| matches!(e, Effect::MetadataComplete(_))), "the second one is late");
        assert_eq!(asked(&tick(&mut it, now + Duration::from_secs(4000))), [0_usize; 0]);
    }
}

#[test]
fn of_a_private_torrent_only_the_user_s_own_word_counts() {
    for (by_user, trackers, seeds) in [
        (false, vec!["http://old.example/announce"], 1),
        (true, vec!["http://old.example/announce", "http://new.example/announce"], 2),
    ] {
        let (mut it, now, _) = magnet();
        it.handle(
            now,
            Input::Command(TorrentCommand::AddTracker("http://third.example/announce".into())),
            &mut Vec::new(),
        );
        it.handle(now, given(b"d7:privatei1ee", by_user), &mut Vec::new());
        let has = it.trackers().concat();
        assert_eq!(it.web_seeds().len(), seeds);
        assert_eq!(has.contains(&"http://third.example/announce".to_owned()), !by_user);
        assert!(trackers.iter().all(|url| has.contains(&(*url).to_owned())), "{has:?}");
        assert_eq!(has.contains(&"http://new.example/announce".to_owned()), by_user);
    }
}

#[test]
fn hosts_of_peers_are_looked_up_a_few_at_a_time_and_judged_as_addresses_are() {
    let hosts: Vec<HostPort> =
        (1..=15).map(|n| HostPort::new(&format!("h{n}.example"), 6881)).collect::<Option<_>>().unwrap();
    let named = hosts.clone();
    let (mut it, now, out) = torrent_with(1 << 20, |config| {
        config.link.named_peers = named[..2].to_vec();
        config.trackers = vec![vec!["http://t.example/announce".into()]];
    });
    let names = |out: &[Effect]| -> Vec<(Source, usize)> {
        let named = |e: &Effect| {
            if let Effect::ResolveHosts { source, names } = e { Some((*source, names.len())) } else { None }
        };
        out.iter().filter_map(named).collect()
    };
    assert_eq!(names(&out), [(Source::Link, 2)]);
    let mut out = Vec::new();
    let reply = AnnounceResponse { named_peers: hosts, ..AnnounceResponse::default() };
    it.handle(now, Input::AnnounceDone { tracker: 0, result: Ok(reply) }, &mut out);
    assert_eq!(names(&out), [(Source::Tracker, limits::PEER_NAMES)]);
    let addrs: Vec<SocketAddr> =
        ["127.0.0.1:5", "9.9.9.9:6", "0.0.0.0:7", "224.0.0.1:8", "[fe80::1]:9"].map(|a| a.parse().unwrap()).to_vec();
    let mut out = Vec::new();
    it.handle(now, Input::HostsResolved { source: Source::Tracker, addrs, missing: 3 }, &mut out);
    let called: Vec<u16> =
        out.iter().filter_map(|e| if let Effect::Dial { addr, .. } = e { Some(addr.port()) } else { None }).collect();
    assert_eq!((called.len(), called.contains(&5), called.contains(&6)), (2, true, true));
}

#[test]
fn web_seeds_that_are_added_are_asked_once_each() {
    let (mut it, now, _) = torrent_with(1 << 20, |config| config.web_seeds = vec!["http://a.example/".into()]);
    let more = ["http://a.example/", "http://b.example/", "http://b.example/"].map(str::to_owned).to_vec();
    it.handle(now, Input::Command(TorrentCommand::AddWebSeeds(more)), &mut Vec::new());
    assert_eq!(it.web_seeds(), ["http://a.example/", "http://b.example/"]);
    let row = it.view(now, true).detail.unwrap().sources.into_iter().find(|row| row.source == Source::Web).unwrap();
    assert_eq!((row.known, row.connected), (2, 2));
}
