use super::*;
use crate::swarm::diagnosis::diagnose;
use crate::swarm::disconnect::DisconnectReason;
use crate::swarm::reason::MoveProgress;
use crate::swarm::status::{
    DhtOutcome, Source, SourceFailure, SourceRow, State, TrackerState, TrackerStatus, WebSeedProblem,
};

fn tracker(url: &str, status: TrackerStatus) -> TrackerState {
    let failed = matches!(status, TrackerStatus::Failed(_));
    TrackerState { url: url.into(), status, failed }
}

fn failed(why: &str) -> TrackerStatus {
    TrackerStatus::Failed(why.into())
}

fn numbers_of(f: &Facts) -> Vec<Labeled> {
    numbers(&diagnose(f.clone(), true))
}

fn value<'a>(numbers: &'a [Labeled], label: &str) -> Option<&'a str> {
    numbers.iter().find(|line| line.label == label).map(|line| line.value.as_str())
}

/// A running download: eight peers have wanted pieces, three of them send.
fn facts() -> Facts {
    Facts {
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
        ..Facts::default()
    }
}

fn seeding() -> Facts {
    Facts { state: State::Seeding, have: 10, lacking: 0, active: 0, interesting: 0, giving: 0, ..facts() }
}

#[track_caller]
fn says(f: &Facts, sentence: &str) {
    assert_eq!(super::sentence(&diagnose(f.clone(), true)), sentence);
}

#[test]
fn paused() {
    says(&Facts { state: State::Paused, ..facts() }, "paused");
}

#[test]
fn queued_behind_others() {
    let queued = |ahead, max_active| Diagnosis::from(Reason::Queued(Some(QueuePosition { ahead, max_active })));
    assert_eq!(sentence(&queued(0, 3)), "queued: at most 3 active downloads, next in line");
    assert_eq!(sentence(&queued(1, 3)), "queued: at most 3 active downloads, 1 ahead of it");
    assert_eq!(sentence(&queued(4, 1)), "queued: at most 1 active download, 4 ahead of it");
    assert_eq!(value(&numbers(&queued(4, 1)), "ahead in the queue"), Some("4"));
    says(&Facts { state: State::Queued, ..facts() }, "queued: the limit of active downloads is reached");
}

#[test]
fn being_checked() {
    let f = Facts { state: State::Checking, checked: 450, pieces: 1000, ..facts() };
    says(&f, "checking data: 45%, 450 of 1000 pieces hashed");
}

#[test]
fn being_moved() {
    says(&Facts { state: State::Moving, ..facts() }, "moving files to another folder");
    let moving = Reason::Moving(Some(MoveProgress { to: "/a/b".into(), done: 12, total: 100 })).into();
    assert_eq!(sentence(&moving), "moving files to /a/b: 12%");
    assert_eq!(value(&numbers(&moving), "moved"), Some("12 B of 100 B"));
}

#[test]
fn waiting_for_metadata() {
    let wants = |search: MetadataProgress| Facts { state: State::Metadata, search: Some(search), ..facts() };
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
    let alone = Facts { peers: 0, known: 0, ..wants(none) };
    says(&alone, "fetching metadata, no peers: no trackers and no peer address given");
    says(&Facts { search: None, ..wants(none) }, "metadata received, checking for existing files");
    assert_eq!(value(&numbers_of(&wants(search)), "metadata pieces"), Some("2 of 7"));
}

#[test]
fn a_fault_and_what_happens_by_itself() {
    use FaultKind::{Changed, Final, Full, NameRefused, Occupied, Other, Taken, Temporary};
    let again = "; it is tried again by itself, at least once a minute";
    for (kind, note) in [
        (Full, again),
        (Temporary, again),
        (Other, again),
        (NameRefused, again),
        (Changed, "; its data are checked by themselves, within a minute"),
        (Final, ""),
        (Occupied, ""),
        (Taken, ""),
    ] {
        let text = "disk full: nothing can be written to /x".to_owned();
        let told = format!("{text}{note}");
        let f = Facts { state: State::Error, fault: Some(DiskFault { kind, text }), ..facts() };
        says(&f, &told);
        assert_eq!(numbers_of(&f)[0], Labeled { label: "error".into(), value: told });
    }
}

#[test]
fn nobody_known() {
    let f = Facts { peers: 0, known: 0, ..facts() };
    says(&f, "no peers: no trackers and no peer address given");
    let trackers = vec![
        tracker("http://a/announce", TrackerStatus::Working),
        tracker("http://t/announce", failed("connection refused")),
    ];
    says(&Facts { trackers, ..f }, "no peers known; tracker: connection refused (http://t/announce)");
}

#[test]
fn nobody_answers() {
    let f = Facts { peers: 0, known: 40, failures: Failures { silent: 31, refused: 5, hung_up: 1 }, ..facts() };
    says(&f, "no peers: 31 of 40 addresses did not answer, 5 refused, 1 hung up");
    let f = Facts { failures: Failures { silent: 0, refused: 1, hung_up: 0 }, known: 1, ..f };
    says(&f, "no peers: 1 of 1 address refused");
    says(&Facts { dialing: 9, ..f.clone() }, "connecting to 9 peers; 1 of 1 address refused");
    says(
        &Facts { dialing: 9, known: 20, failures: Failures::default(), ..f.clone() },
        "connecting to 9 of 20 known peers",
    );
    says(&Facts { failures: Failures::default(), ..f }, "no peers: 1 known address, in back-off");
}

#[test]
fn what_is_missing_is_with_nobody() {
    let f = Facts { missing: 4, interesting: 0, seeds: 0, ..facts() };
    says(&f, "4 pieces unavailable: none of 8 connected peers has them (0 seeds)");
    let f = Facts { missing: 1, ..facts() };
    says(&f, "3 of 8 peers sending; 1 piece unavailable; disk 2% busy, no rate limit");
}

#[test]
fn choked() {
    let f = Facts { choking: 8, giving: 0, ..facts() };
    says(&f, "choked by all 8 peers that have missing pieces; disk 2% busy, no rate limit");
    let f = Facts { peers: 40, interesting: 38, choking: 31, ..facts() };
    says(&f, "choked by 31 of 38 peers; disk 2% busy, no rate limit");
    let f = Facts { choking: 1, ..facts() };
    says(&f, "3 of 8 peers sending, 1 choking us; disk 2% busy, no rate limit");
}

#[test]
fn limited_by_its_own_limit_or_by_that_of_all() {
    let own = DirectionLimits { own: Some(102_400), share: Some(200_000) };
    says(&Facts { down: 99_000, down_limits: own, ..facts() }, "limited by the torrent's rate limit: 102.40 kB/s");
    let all = DirectionLimits { own: Some(102_400), share: Some(51_200) };
    let f = Facts { down: 50_000, down_limits: all, ..facts() };
    says(&f, "limited by its share of the global limit: 51.20 kB/s");
    let f = Facts { down: 10_000, down_limits: own, ..facts() };
    says(&f, "3 of 8 peers sending at full speed; disk 2% busy, rate limit not reached");
}

#[test]
fn the_disk_is_busy() {
    let f = Facts { waiting_for_disk: true, unwritten: 12 << 20, disk_busy: 97, ..facts() };
    says(&f, "disk 97% busy: 12.58 MB waiting to be written");
    says(&Facts { waiting_for_disk: false, ..f }, "disk 97% busy: 12.58 MB waiting to be written");
}

#[test]
fn snubbed() {
    let f = Facts { choking: 6, snubbed: 2, giving: 0, ..facts() };
    says(&f, "2 unchoked peers do not send (snubbed); 6 choke us");
    let f = Facts { choking: 7, snubbed: 1, giving: 0, ..facts() };
    says(&f, "1 unchoked peer does not send (snubbed); 7 choke us");
    let f = Facts { snubbed: 2, ..facts() };
    says(&f, "3 of 8 peers sending, 2 snubbed; disk 2% busy, no rate limit");
}

#[test]
fn peers_give_what_they_have() {
    says(&facts(), "3 of 8 peers sending at full speed; disk 2% busy, no rate limit");
    says(&Facts { giving: 0, ..facts() }, "8 peers unchoked us, no blocks yet; disk 2% busy, no rate limit");
}

#[test]
fn the_end_of_it() {
    let f = Facts { all_asked: true, outstanding: 9 * 16_384, ..facts() };
    says(&f, "last 2 pieces: 9 blocks requested from 4 peers");
}

#[test]
fn all_that_is_wanted_is_here() {
    let f = Facts { have: 6, skipped: 2, interested: 0, ..seeding() };
    says(&f, "selected files complete, 2 of 5 files skipped; none of 8 peers is interested");
    says(&Facts { skipped: 5, ..f }, "all files are skipped: select files to download");
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
        let f = Facts { seed_only: true, have, pieces, skipped, peers, interested: 0, ..seeding() };
        says(&f, told);
    }
}

#[test]
fn whole() {
    says(&seeding(), "complete; none of 8 peers is interested");
    let f = Facts { interested: 5, taking: 3, ..seeding() };
    says(&f, "complete; uploading to 3 of 5 interested peers");
    says(&Facts { super_seed: true, ..f.clone() }, "super-seeding: 8 peers are offered one piece at a time");
    let f = Facts { up: 100_000, up_limits: DirectionLimits { own: Some(102_400), share: None }, ..f };
    says(&f, "complete; limited by the torrent's rate limit: 102.40 kB/s");
    says(&Facts { peers: 0, ..f }, "complete; no peers connected");
}

#[test]
fn nobody_on_the_local_network_is_a_reason_where_nobody_else_is_asked() {
    let f = Facts { state: State::Downloading, lacking: 1, pieces: 1, local: true, ..Facts::default() };
    says(&f, "no peers: no trackers, none found on the local network");
}

#[test]
fn what_the_dht_says_is_told_where_there_is_nobody() {
    let dht = |outcome| Facts { dht: Some(outcome), ..Facts::default() };
    let none = DhtOutcome::NoNodes;
    says(&dht(none), "no peers: DHT has no nodes, no trackers");
    let nobody_near = "no trackers, none found on the local network";
    says(&Facts { local: true, ..dht(none) }, &format!("no peers: DHT has no nodes, {nobody_near}"));
    assert_eq!(value(&numbers_of(&dht(none)), "DHT"), Some("DHT has no nodes"));
    let magnet = Facts { state: State::Metadata, search: Some(MetadataProgress::default()), ..dht(none) };
    says(&magnet, "fetching metadata, no peers: DHT has no nodes, no trackers");
    let f = Facts { known: 12, failures: Failures { silent: 9, refused: 3, hung_up: 0 }, ..dht(DhtOutcome::Searching) };
    says(&f, "no peers: 9 of 12 addresses did not answer, 3 refused; DHT lookup in progress");
    let closed = "port closed and not mapped: no incoming connections";
    let trackers = vec![tracker("udp://t", failed("no answer"))];
    let f = Facts { reach: Reachability::Closed, trackers, ..dht(DhtOutcome::NoNewPeers) };
    says(&f, &format!("no peers known; {closed}; tracker: no answer; DHT found no new peers"));
    // Not mentioned if a peer is connected.
    says(&Facts { dht: Some(none), ..facts() }, "3 of 8 peers sending at full speed; disk 2% busy, no rate limit");
}

#[test]
fn web_seeds_in_trouble_are_named() {
    let host = "w.example:8080".to_owned();
    let f = Facts {
        web_seeds: vec![WebSeedState {
            host: host.clone(),
            problem: Some(WebSeedProblem::Failed("connection refused".into())),
        }],
        ..Facts::default()
    };
    says(&f, "no peers known, no trackers; web seed w.example:8080: connection refused");
    let trackers = vec![tracker("http://t/announce", failed("no answer"))];
    let f = Facts { trackers, ..f };
    says(&f, "no peers known; web seed w.example:8080: connection refused; tracker: no answer");
    let f = Facts { state: State::Metadata, search: Some(Default::default()), ..f };
    says(&f, "fetching metadata, no peers known; tracker: no answer");
    let banned = "sent bad data (piece 7, of a/b)";
    let seed = WebSeedState { host, problem: Some(WebSeedProblem::Banned(banned.into())) };
    let f = Facts { missing: 4, lacking: 4, web_seeds: vec![seed], ..facts() };
    says(
        &f,
        &format!(
            "4 pieces unavailable: none of 8 connected peers has them (0 seeds); web seed w.example:8080: banned: {banned}"
        ),
    );
}

#[test]
fn a_closed_port_is_told_where_nobody_comes() {
    let f = Facts { peers: 0, interested: 0, reach: Reachability::Closed, ..seeding() };
    let closed = "port closed and not mapped: no incoming connections";
    says(&f, &format!("complete; no peers connected; {closed}"));
    says(&Facts { reach: Reachability::Mapped, ..f }, "complete; no peers connected");
    let f = Facts {
        trackers: vec![tracker("http://t", TrackerStatus::Warning("0 peers".into()))],
        reach: Reachability::Closed,
        ..Facts::default()
    };
    says(&f, &format!("no peers known; {closed}; tracker: warning: 0 peers"));
    assert_eq!(value(&numbers_of(&f), "port"), Some("closed: not mapped"));
}

#[test]
fn the_numbers_tell_of_every_source_and_tracker() {
    let row = SourceRow {
        known: 20,
        failed: 12,
        connected: 8,
        last_failure: Some(SourceFailure::Peer(DisconnectReason::Network("connection refused".into()))),
        ..SourceRow::new(Source::Tracker)
    };
    let trackers = vec![tracker("http://t/announce", TrackerStatus::Working)];
    let all = numbers_of(&Facts { sources: vec![row], trackers, ..facts() });
    let told = |label: &str| value(&all, label);
    let words = "20 known, 8 connected, 12 failed; last failure: connection refused";
    assert_eq!(told("from trk"), Some(words));
    assert_eq!(told("http://t/announce"), Some("working"));
    assert!(numbers(&diagnose(facts(), false)).is_empty());
}

/// Counts of zero are left out, because the panel is narrow.
#[test]
fn the_numbers_name_the_parts_that_there_are() {
    let told = |f: &Facts, label: &str| value(&numbers_of(f), label).unwrap_or_default().to_owned();
    let none = Facts { choking: 0, snubbed: 0, missing: 0, unwritten: 0, known: 8, dialing: 0, banned: 0, ..facts() };
    let some = Facts { choking: 1, snubbed: 2, missing: 4, unwritten: 3000, dialing: 5, banned: 6, ..none.clone() };
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
