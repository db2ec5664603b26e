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
    says(&DiagnosisInput { state: State::Paused, ..facts() }, "paused");
}

#[test]
fn queued_behind_others() {
    assert_eq!(queued(0, 3).sentence, "queued: at most 3 active downloads, next in line");
    assert_eq!(queued(1, 3).sentence, "queued: at most 3 active downloads, 1 ahead of it");
    let reason = queued(4, 1);
    assert_eq!(reason.sentence, "queued: at most 1 active download, 4 ahead of it");
    assert_eq!(reason.numbers[0], ("ahead in the queue".into(), "4".into()));
    says(&DiagnosisInput { state: State::Queued, ..facts() }, "queued: the limit of active downloads is reached");
}

#[test]
fn being_checked() {
    let f = DiagnosisInput { state: State::Checking, checked: 450, pieces: 1000, ..facts() };
    says(&f, "checking data: 45%, 450 of 1000 pieces hashed");
}

#[test]
fn being_moved() {
    says(&DiagnosisInput { state: State::Moving, ..facts() }, "moving files to another folder");
    assert_eq!(moving(Path::new("/a/b"), (12, 100)).sentence, "moving files to /a/b: 12%");
    assert!(!moving(Path::new("/a\x1b[2J"), (0, 0)).sentence.contains('\x1b'));
}

#[test]
fn waiting_for_metadata() {
    let wants = |search: MetadataProgress| DiagnosisInput { state: State::Metadata, search: Some(search), ..facts() };
    let search = MetadataProgress {
        holders: 3,
        asked: 2,
        pieces: PieceProgress { done: 2, total: 7 },
        ..MetadataProgress::default()
    };
    says(&wants(search), "fetching metadata from 3 peers: 2 of 7 pieces received");
    let wrong = MetadataProgress { wrong: 1, ..search };
    let sentence = "fetching metadata from 3 peers: 2 of 7 pieces received; 1 earlier copy was invalid";
    says(&wants(wrong), sentence);
    let none = MetadataProgress::default();
    says(&wants(none), "fetching metadata: none of 8 connected peers has it");
    let silent = MetadataProgress { resting: 3, asked: 0, ..search };
    says(&wants(silent), "fetching metadata from 3 peers: refused or no answer, will retry");
    let alone = DiagnosisInput { peers: 0, known: 0, ..wants(none) };
    says(&alone, "fetching metadata, no peers: no trackers and no peer address given");
    says(&DiagnosisInput { search: None, ..wants(none) }, "metadata received, checking for existing files");
    let numbers = reason(&wants(search), true).numbers;
    assert!(numbers.contains(&("metadata pieces".into(), "2 of 7".into())), "{numbers:?}");
}

#[test]
fn a_fault() {
    let fault = Some("disk full: nothing can be written to /x".to_owned());
    let f = DiagnosisInput { state: State::Error, fault, ..facts() };
    says(&f, "disk full: nothing can be written to /x");
    assert_eq!(reason(&f, true).numbers[0].0, "error");
}

#[test]
fn nobody_known() {
    let f = DiagnosisInput { peers: 0, known: 0, ..facts() };
    says(&f, "no peers: no trackers and no peer address given");
    let trackers = vec![
        ("http://a/announce".into(), "working".into(), false),
        ("http://t/announce".into(), "connection refused".into(), true),
    ];
    says(&DiagnosisInput { trackers, ..f }, "no peers known; tracker: connection refused (http://t/announce)");
}

#[test]
fn nobody_answers() {
    let f =
        DiagnosisInput { peers: 0, known: 40, failures: Failures { silent: 31, refused: 5, hung_up: 1 }, ..facts() };
    says(&f, "no peers: 31 of 40 addresses did not answer, 5 refused, 1 hung up");
    let f = DiagnosisInput { failures: Failures { silent: 0, refused: 1, hung_up: 0 }, known: 1, ..f };
    says(&f, "no peers: 1 of 1 address refused");
    says(&DiagnosisInput { dialing: 9, ..f.clone() }, "connecting to 9 peers; 1 of 1 address refused");
    says(
        &DiagnosisInput { dialing: 9, known: 20, failures: Failures::default(), ..f.clone() },
        "connecting to 9 of 20 known peers",
    );
    says(&DiagnosisInput { failures: Failures::default(), ..f }, "no peers: 1 known address, in back-off");
}

#[test]
fn what_is_missing_is_with_nobody() {
    let f = DiagnosisInput { missing: 4, interesting: 0, seeds: 0, ..facts() };
    says(&f, "4 pieces unavailable: none of 8 connected peers has them (0 seeds)");
    let f = DiagnosisInput { missing: 1, ..facts() };
    says(&f, "3 of 8 peers sending; 1 piece unavailable; disk 2% busy, no rate limit");
}

#[test]
fn choked() {
    let f = DiagnosisInput { choking: 8, giving: 0, ..facts() };
    says(&f, "choked by all 8 peers that have missing pieces; disk 2% busy, no rate limit");
    let f = DiagnosisInput { peers: 40, interesting: 38, choking: 31, ..facts() };
    says(&f, "choked by 31 of 38 peers; disk 2% busy, no rate limit");
    let f = DiagnosisInput { choking: 1, ..facts() };
    says(&f, "3 of 8 peers sending, 1 choking us; disk 2% busy, no rate limit");
}

#[test]
fn limited_by_its_own_limit_or_by_that_of_all() {
    let own = DirectionLimits { own: Some(102_400), share: Some(200_000) };
    says(
        &DiagnosisInput { down: 99_000, down_limits: own, ..facts() },
        "limited by the torrent's rate limit: 102.40 kB/s",
    );
    let all = DirectionLimits { own: Some(102_400), share: Some(51_200) };
    let f = DiagnosisInput { down: 50_000, down_limits: all, ..facts() };
    says(&f, "limited by its share of the global limit: 51.20 kB/s");
    let f = DiagnosisInput { down: 10_000, down_limits: own, ..facts() };
    says(&f, "3 of 8 peers sending at full speed; disk 2% busy, rate limit not reached");
}

#[test]
fn the_disk_is_busy() {
    let f = DiagnosisInput { waiting_for_disk: true, unwritten: 12 << 20, disk_busy: 97, ..facts() };
    says(&f, "disk 97% busy: 12.58 MB waiting to be written");
    says(&DiagnosisInput { waiting_for_disk: false, ..f }, "disk 97% busy: 12.58 MB waiting to be written");
}

#[test]
fn snubbed() {
    let f = DiagnosisInput { choking: 6, snubbed: 2, giving: 0, ..facts() };
    says(&f, "2 unchoked peers do not send (snubbed); 6 choke us");
    let f = DiagnosisInput { choking: 7, snubbed: 1, giving: 0, ..facts() };
    says(&f, "1 unchoked peer does not send (snubbed); 7 choke us");
    let f = DiagnosisInput { snubbed: 2, ..facts() };
    says(&f, "3 of 8 peers sending, 2 snubbed; disk 2% busy, no rate limit");
}

#[test]
fn peers_give_what_they_have() {
    says(&facts(), "3 of 8 peers sending at full speed; disk 2% busy, no rate limit");
    says(&DiagnosisInput { giving: 0, ..facts() }, "8 peers unchoked us, no blocks yet; disk 2% busy, no rate limit");
}

#[test]
fn the_end_of_it() {
    let f = DiagnosisInput { all_asked: true, outstanding: 9 * 16_384, ..facts() };
    says(&f, "last 2 pieces: 9 blocks requested from 4 peers");
}

#[test]
fn all_that_is_wanted_is_here() {
    let f = DiagnosisInput { have: 6, skipped: 2, interested: 0, ..seeding() };
    says(&f, "selected files complete, 2 of 5 files skipped; none of 8 peers is interested");
    says(&DiagnosisInput { skipped: 5, ..f }, "all files are skipped: select files to download");
    for (have, pieces, skipped, peers, told) in [
        (
            4,
            7,
            0,
            8,
            "seeding 4 of 7 pieces: nothing is downloaded; `ttui download` fetches the rest; none of 8 peers is interested",
        ),
        (
            0,
            1,
            5,
            0,
            "seeding 0 of 1 piece: nothing is downloaded; `ttui download` fetches the rest; no peers connected",
        ),
        (7, 7, 2, 8, "complete; none of 8 peers is interested"),
    ] {
        let f = DiagnosisInput { seed_only: true, have, pieces, skipped, peers, interested: 0, ..seeding() };
        says(&f, told);
    }
}

#[test]
fn whole() {
    says(&seeding(), "complete; none of 8 peers is interested");
    let f = DiagnosisInput { interested: 5, taking: 3, ..seeding() };
    says(&f, "complete; uploading to 3 of 5 interested peers");
    says(&DiagnosisInput { super_seed: true, ..f.clone() }, "super-seeding: 8 peers are offered one piece at a time");
    let f = DiagnosisInput { up: 100_000, up_limits: DirectionLimits { own: Some(102_400), share: None }, ..f };
    says(&f, "complete; limited by the torrent's rate limit: 102.40 kB/s");
    says(&DiagnosisInput { peers: 0, ..f }, "complete; no peers connected");
}

#[test]
fn nobody_on_the_local_network_is_a_reason_where_nobody_else_is_asked() {
    let f =
        DiagnosisInput { state: State::Downloading, lacking: 1, pieces: 1, local: true, ..DiagnosisInput::default() };
    says(&f, "no peers: no trackers, none found on the local network");
}

#[test]
fn what_the_dht_says_is_told_where_there_is_nobody() {
    let dht = |words| DiagnosisInput { dht: Some(words), ..DiagnosisInput::default() };
    let none = "DHT has no nodes";
    says(&dht(none), "no peers: DHT has no nodes, no trackers");
    let nobody_near = "no trackers, none found on the local network";
    says(&DiagnosisInput { local: true, ..dht(none) }, &format!("no peers: {none}, {nobody_near}"));
    assert!(reason(&dht(none), true).numbers.contains(&("DHT".into(), none.into())));
    let magnet = DiagnosisInput { state: State::Metadata, search: Some(MetadataProgress::default()), ..dht(none) };
    says(&magnet, "fetching metadata, no peers: DHT has no nodes, no trackers");
    let f = DiagnosisInput {
        known: 12,
        failures: Failures { silent: 9, refused: 3, hung_up: 0 },
        ..dht("DHT lookup in progress")
    };
    says(&f, "no peers: 9 of 12 addresses did not answer, 3 refused; DHT lookup in progress");
    let closed = "port closed and not mapped: no incoming connections";
    let trackers = vec![("udp://t".into(), "no answer".into(), true)];
    let f = DiagnosisInput { reach: Reachability::Closed, trackers, ..dht("DHT found no new peers") };
    says(&f, &format!("no peers known; {closed}; tracker: no answer; DHT found no new peers"));
    // Not mentioned if a peer is connected.
    says(
        &DiagnosisInput { dht: Some(none), ..facts() },
        "3 of 8 peers sending at full speed; disk 2% busy, no rate limit",
    );
}

#[test]
fn web_seeds_in_trouble_are_named() {
    let host = "w.example:8080".to_owned();
    let f = DiagnosisInput {
        web_seeds: vec![(host.clone(), Some("connection refused".into()))],
        ..DiagnosisInput::default()
    };
    says(&f, "no peers known, no trackers; web seed w.example:8080: connection refused");
    let trackers = vec![("http://t/announce".into(), "no answer".into(), true)];
    let f = DiagnosisInput { trackers, ..f };
    says(&f, "no peers known; web seed w.example:8080: connection refused; tracker: no answer");
    let f = DiagnosisInput { state: State::Metadata, search: Some(Default::default()), ..f };
    says(&f, "fetching metadata, no peers known; tracker: no answer");
    let banned = "banned: sent bad data (piece 7, of a/b)".to_owned();
    let f = DiagnosisInput { missing: 4, lacking: 4, web_seeds: vec![(host, Some(banned.clone()))], ..facts() };
    says(
        &f,
        &format!(
            "4 pieces unavailable: none of 8 connected peers has them (0 seeds); web seed w.example:8080: {banned}"
        ),
    );
}

#[test]
fn a_closed_port_is_told_where_nobody_comes() {
    let f = DiagnosisInput { peers: 0, interested: 0, reach: Reachability::Closed, ..seeding() };
    let closed = "port closed and not mapped: no incoming connections";
    says(&f, &format!("complete; no peers connected; {closed}"));
    says(&DiagnosisInput { reach: Reachability::Mapped, ..f }, "complete; no peers connected");
    let f = DiagnosisInput {
        trackers: vec![("http://t".into(), "0 peers".into(), false)],
        reach: Reachability::Closed,
        ..DiagnosisInput::default()
    };
    says(&f, &format!("no peers known; {closed}; tracker: 0 peers"));
    let numbers = reason(&f, true).numbers;
    assert!(numbers.contains(&("port".into(), "closed: not mapped".into())));
}

#[test]
fn the_numbers_tell_of_every_source_and_tracker() {
    let row = SourceRow {
        known: 20,
        failed: 12,
        connected: 8,
        last_failure: Some("connection refused".into()),
        ..SourceRow::new(Source::Tracker)
    };
    let trackers = vec![("http://t/announce".into(), "working".into(), false)];
    let numbers = reason(&DiagnosisInput { sources: vec![row], trackers, ..facts() }, true).numbers;
    let told = |label: &str| numbers.iter().find(|(l, _)| l == label).map(|(_, value)| value.as_str());
    let words = "20 known, 8 connected, 12 failed; last failure: connection refused";
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
        ("have pieces we need", format!("{wanted}"), format!("{wanted}, 1 choking us, 2 snubbed")),
        ("pieces missing", format!("{}", none.lacking), format!("{}, 4 unavailable", none.lacking)),
        ("disk", "2% busy".into(), "2% busy, 3 kB not yet written".into()),
        ("addresses known", "8".into(), "8, 5 connecting, 6 banned".into()),
    ] {
        assert_eq!((told(&none, label), told(&some, label)), (without, with), "{label}");
    }
}
