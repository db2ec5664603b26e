use super::*;
use crate::swarm::view::Source;

/// A running download: eight peers have wanted pieces, three of them send.
fn facts() -> DiagnosisInput {
    DiagnosisInput {
        pieces: 10,
        have: 6,
        lacking: 4,
        active: 2,
        files: 5,
        peers: 8,
        known: 20,
        interesting: 8,
        asked: 4,
        giving: 3,
        disk_busy: 2,
        down: 50_000,
        ..DiagnosisInput::default()
    }
}

fn seeding() -> DiagnosisInput {
    DiagnosisInput { state: State::Seeding, have: 10, lacking: 0, active: 0, interesting: 0, giving: 0, ..facts() }
}

#[track_caller]
fn says(f: &DiagnosisInput, sentence: &str) {
    assert_eq!(reason(f, true).sentence, sentence);
}

#[test]
fn paused() {
    says(&DiagnosisInput { state: State::Paused, ..facts() }, "paused by you: p goes on");
}

#[test]
fn queued_behind_others() {
    assert_eq!(queued(0, 3).sentence, "waiting for its turn: 3 downloads run at once, it is next");
    assert_eq!(queued(1, 3).sentence, "waiting for its turn: 3 downloads run at once, one waits before it");
    let reason = queued(4, 1);
    assert_eq!(reason.sentence, "waiting for its turn: one download runs at a time, 4 wait before it");
    assert_eq!(reason.numbers[0], ("waiting before it".into(), "4".into()));
    says(&DiagnosisInput { state: State::Queued, ..facts() }, "waiting for its turn: as many downloads run as may");
}

#[test]
fn being_checked() {
    let f = DiagnosisInput { state: State::Checking, checked: 450, pieces: 1000, ..facts() };
    says(&f, "checking its data: 45%, 450 of 1000 pieces hashed");
}

#[test]
fn being_moved() {
    says(&DiagnosisInput { state: State::Moving, ..facts() }, "its data are being moved to another folder");
    assert_eq!(moving(Path::new("/a/b"), (12, 100)).sentence, "its data are being moved: 12%, to /a/b");
    assert!(!moving(Path::new("/a\x1b[2J"), (0, 0)).sentence.contains('\x1b'));
}

#[test]
fn waiting_for_metadata() {
    let wants = |search: MetadataProgress| DiagnosisInput { state: State::Metadata, search: Some(search), ..facts() };
    let search = MetadataProgress { holders: 3, asked: 2, pieces: (2, 7), ..MetadataProgress::default() };
    says(&wants(search), "metadata wanted from 3 peers: 2 of 7 pieces here");
    let wrong = MetadataProgress { wrong: 1, ..search };
    let sentence = "metadata wanted from 3 peers: 2 of 7 pieces here; what came before was not this torrent's";
    says(&wants(wrong), sentence);
    let none = MetadataProgress::default();
    says(&wants(none), "no peer has the metadata: none of 8 that are here offers them");
    let silent = MetadataProgress { resting: 3, asked: 0, ..search };
    says(&wants(silent), "metadata wanted from 3 peers: refused or not answered, asked again soon");
    let alone = DiagnosisInput { peers: 0, known: 0, ..wants(none) };
    says(&alone, "metadata wanted, no peers: no tracker is named and no address was given");
    says(&DiagnosisInput { search: None, ..wants(none) }, "its metadata are here, and its files are being looked at");
    let numbers = reason(&wants(search), true).numbers;
    assert!(numbers.contains(&("pieces of the metadata".into(), "2 of 7".into())), "{numbers:?}");
}

#[test]
fn a_fault() {
    let fault = Some("disk full: nothing can be written to /x".to_owned());
    let f = DiagnosisInput { state: State::Error, fault, ..facts() };
    says(&f, "disk full: nothing can be written to /x");
    assert_eq!(reason(&f, true).numbers[0].0, "fault");
}

#[test]
fn nobody_known() {
    let f = DiagnosisInput { peers: 0, known: 0, ..facts() };
    says(&f, "no peers: no tracker is named and no address was given");
    let trackers = vec![
        ("http://a/announce".into(), "working".into(), false),
        ("http://t/announce".into(), "connection refused".into(), true),
    ];
    says(&DiagnosisInput { trackers, ..f }, "no peers are known; tracker: connection refused (http://t/announce)");
}

#[test]
fn nobody_answers() {
    let f =
        DiagnosisInput { peers: 0, known: 40, failures: Failures { silent: 31, refused: 5, hung_up: 1 }, ..facts() };
    says(&f, "no peers: 31 of 40 addresses do not answer, 5 refuse, 1 hung up");
    let f = DiagnosisInput { failures: Failures { silent: 0, refused: 1, hung_up: 0 }, known: 1, ..f };
    says(&f, "no peers: 1 of 1 address refuses");
    says(&DiagnosisInput { dialing: 9, ..f.clone() }, "calling 9 addresses; 1 of 1 address refuses");
    says(
        &DiagnosisInput { dialing: 9, known: 20, failures: Failures::default(), ..f.clone() },
        "calling 9 of 20 addresses",
    );
    says(&DiagnosisInput { failures: Failures::default(), ..f }, "no peers: none of 1 address is to be called now");
}

#[test]
fn what_is_missing_is_with_nobody() {
    let f = DiagnosisInput { missing: 4, interesting: 0, seeds: 0, ..facts() };
    says(&f, "nobody has the 4 missing pieces: not one of 8 peers, 0 complete");
    let f = DiagnosisInput { missing: 1, ..facts() };
    says(&f, "3 of 8 peers send; nobody has 1 piece; disk 2% busy, no limiter");
}

#[test]
fn choked() {
    let f = DiagnosisInput { choking: 8, giving: 0, ..facts() };
    says(&f, "all 8 peers that have what we want choke us; disk 2% busy, no limiter");
    let f = DiagnosisInput { peers: 40, interesting: 38, choking: 31, ..facts() };
    says(&f, "31 of 38 peers choke us; disk 2% busy, no limiter");
    let f = DiagnosisInput { choking: 1, ..facts() };
    says(&f, "3 of 8 peers send, 1 chokes us; disk 2% busy, no limiter");
}

#[test]
fn limited_by_its_own_limit_or_by_that_of_all() {
    let own = (Some(102_400), Some(200_000));
    says(&DiagnosisInput { down: 99_000, down_limits: own, ..facts() }, "limited to its own limit: 102.40 kB/s");
    let all = (Some(102_400), Some(51_200));
    let f = DiagnosisInput { down: 50_000, down_limits: all, ..facts() };
    says(&f, "limited to its share of the limit: 51.20 kB/s");
    let f = DiagnosisInput { down: 10_000, down_limits: own, ..facts() };
    says(&f, "3 of 8 peers send what they can; disk 2% busy, limit not reached");
}

#[test]
fn the_disk_is_busy() {
    let f = DiagnosisInput { waiting_for_disk: true, unwritten: 12 << 20, disk_busy: 97, ..facts() };
    says(&f, "disk busy 97%: 12.58 MB are not yet written");
    says(&DiagnosisInput { waiting_for_disk: false, ..f }, "disk busy 97%: 12.58 MB are not yet written");
}

#[test]
fn snubbed() {
    let f = DiagnosisInput { choking: 6, snubbed: 2, giving: 0, ..facts() };
    says(&f, "2 peers serve us and let us wait for blocks; 6 choke us");
    let f = DiagnosisInput { choking: 7, snubbed: 1, giving: 0, ..facts() };
    says(&f, "1 peer serves us and lets us wait for blocks; 7 choke us");
    let f = DiagnosisInput { snubbed: 2, ..facts() };
    says(&f, "3 of 8 peers send, 2 let us wait; disk 2% busy, no limiter");
}

#[test]
fn peers_give_what_they_have() {
    says(&facts(), "3 of 8 peers send what they can; disk 2% busy, no limiter");
    says(
        &DiagnosisInput { giving: 0, ..facts() },
        "8 peers serve us, and no block has come yet; disk 2% busy, no limiter",
    );
}

#[test]
fn the_end_of_it() {
    let f = DiagnosisInput { all_asked: true, outstanding: 9 * 16_384, ..facts() };
    says(&f, "the last 2 pieces are under way: 9 blocks are asked of 4 peers");
}

#[test]
fn all_that_is_wanted_is_here() {
    let f = DiagnosisInput { have: 6, skipped: 2, interested: 0, ..seeding() };
    says(&f, "all that is wanted is here, 2 of 5 files not wanted; none of 8 peers wants anything now");
    says(&DiagnosisInput { skipped: 5, ..f }, "no file is wanted: choose some among its files");
}

#[test]
fn whole() {
    says(&seeding(), "everything is here; none of 8 peers wants anything now");
    let f = DiagnosisInput { interested: 5, taking: 3, ..seeding() };
    says(&f, "everything is here; 3 of 5 interested peers are taking");
    says(&DiagnosisInput { super_seed: true, ..f.clone() }, "super-seeding: 8 peers are offered one piece at a time");
    let f = DiagnosisInput { up: 100_000, up_limits: (Some(102_400), None), ..f };
    says(&f, "everything is here; limited to its own limit: 102.40 kB/s");
    says(&DiagnosisInput { peers: 0, ..f }, "everything is here; nobody is connected");
}

#[test]
fn nobody_on_the_local_network_is_a_reason_where_nobody_else_is_asked() {
    let f =
        DiagnosisInput { state: State::Downloading, lacking: 1, pieces: 1, local: true, ..DiagnosisInput::default() };
    says(&f, "no peers: no tracker is named, and nobody on the local network has said that it is here");
}

#[test]
fn what_the_dht_says_is_told_where_there_is_nobody() {
    let dht = |words| DiagnosisInput { dht: Some(words), ..DiagnosisInput::default() };
    let none = "the DHT has no nodes to ask";
    says(&dht(none), "no peers: the DHT has no nodes to ask, and no tracker is named");
    let nobody_near = "no tracker is named, and nobody on the local network has said that it is here";
    says(&DiagnosisInput { local: true, ..dht(none) }, &format!("no peers: {none}, {nobody_near}"));
    assert!(reason(&dht(none), true).numbers.contains(&("DHT".into(), none.into())));
    let magnet = DiagnosisInput { state: State::Metadata, search: Some(MetadataProgress::default()), ..dht(none) };
    says(&magnet, "metadata wanted, no peers: the DHT has no nodes to ask, and no tracker is named");
    let f = DiagnosisInput {
        known: 12,
        failures: Failures { silent: 9, refused: 3, hung_up: 0 },
        ..dht("the DHT is being asked")
    };
    says(&f, "no peers: 9 of 12 addresses do not answer, 3 refuse; the DHT is being asked");
    let closed = "the port is closed and no router maps it: peers cannot call us";
    let trackers = vec![("udp://t".into(), "no answer".into(), true)];
    let f = DiagnosisInput { reach: Reachability::Closed, trackers, ..dht("the DHT names nobody new") };
    says(&f, &format!("no peers are known; {closed}; tracker: no answer; the DHT names nobody new"));
    // Not mentioned if a peer is connected.
    says(&DiagnosisInput { dht: Some(none), ..facts() }, "3 of 8 peers send what they can; disk 2% busy, no limiter");
}

#[test]
fn web_seeds_in_trouble_are_named() {
    let host = "w.example:8080".to_owned();
    let f = DiagnosisInput {
        web_seeds: vec![(host.clone(), Some("connection refused".into()))],
        ..DiagnosisInput::default()
    };
    says(&f, "no peers, and no tracker is named; web seed w.example:8080: connection refused");
    let trackers = vec![("http://t/announce".into(), "no answer".into(), true)];
    let f = DiagnosisInput { trackers, ..f };
    says(&f, "no peers are known; web seed w.example:8080: connection refused; tracker: no answer");
    let f = DiagnosisInput { state: State::Metadata, search: Some(Default::default()), ..f };
    says(&f, "metadata wanted, no peers are known; tracker: no answer");
    let banned = "banned: sent bad data (piece 7, of a/b)".to_owned();
    let f = DiagnosisInput { missing: 4, lacking: 4, web_seeds: vec![(host, Some(banned.clone()))], ..facts() };
    says(
        &f,
        &format!("nobody has the 4 missing pieces: not one of 8 peers, 0 complete; web seed w.example:8080: {banned}"),
    );
}

#[test]
fn a_closed_port_is_told_where_nobody_comes() {
    let f = DiagnosisInput { peers: 0, interested: 0, reach: Reachability::Closed, ..seeding() };
    let closed = "the port is closed and no router maps it: peers cannot call us";
    says(&f, &format!("everything is here; nobody is connected; {closed}"));
    says(&DiagnosisInput { reach: Reachability::Mapped, ..f }, "everything is here; nobody is connected");
    let f = DiagnosisInput {
        trackers: vec![("http://t".into(), "0 peers".into(), false)],
        reach: Reachability::Closed,
        ..DiagnosisInput::default()
    };
    says(&f, &format!("no peers are known; {closed}; tracker: 0 peers"));
    let numbers = reason(&f, true).numbers;
    assert!(numbers.contains(&("port".into(), "closed: no router maps it".into())));
}

#[test]
fn the_numbers_tell_of_every_source_and_tracker() {
    let row = SourceRow {
        known: 20,
        failed: 12,
        connected: 8,
        last_failure: Some("it refused the connection".into()),
        ..SourceRow::new(Source::Tracker)
    };
    let trackers = vec![("http://t/announce".into(), "working".into(), false)];
    let numbers = reason(&DiagnosisInput { sources: vec![row], trackers, ..facts() }, true).numbers;
    let told = |label: &str| numbers.iter().find(|(l, _)| l == label).map(|(_, value)| value.as_str());
    let words = "20 known, 8 connected, 12 failed; the last that failed: it refused the connection";
    assert_eq!(told("from trk"), Some(words));
    assert_eq!(told("http://t/announce"), Some("working"));
    assert!(reason(&facts(), false).numbers.is_empty());
}

/// Counts of zero are left out, because the panel is narrow.
#[test]
fn the_numbers_name_the_parts_that_there_are() {
    let told = |f: &DiagnosisInput, label: &str| {
        let numbers = reason(f, true).numbers;
        numbers.into_iter().find(|(l, _)| l == label).map(|(_, value)| value).unwrap_or_default()
    };
    let none =
        DiagnosisInput { choking: 0, snubbed: 0, missing: 0, unwritten: 0, known: 8, dialing: 0, banned: 0, ..facts() };
    let some =
        DiagnosisInput { choking: 1, snubbed: 2, missing: 4, unwritten: 3000, dialing: 5, banned: 6, ..none.clone() };
    let wanted = none.interesting;
    for (label, without, with) in [
        ("have what we want", format!("{wanted}"), format!("{wanted}, 1 chokes us, 2 let us wait")),
        ("pieces missing", format!("{}", none.lacking), format!("{}, 4 that nobody here has", none.lacking)),
        ("disk", "2% busy".into(), "2% busy, 3 kB not yet written".into()),
        ("addresses known", "8".into(), "8, 5 being called, 6 banned".into()),
    ] {
        assert_eq!((told(&none, label), told(&some, label)), (without, with), "{label}");
    }
}
