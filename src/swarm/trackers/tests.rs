use super::*;
use crate::swarm::status::TrackerStatus;

const LEFT: TransferCounters = TransferCounters {
    uploaded: 1,
    downloaded: 2,
    left: 3,
    partial_seed: false,
    num_want: 50,
    alone: false,
    hopeless: false,
};
const DONE: TransferCounters = TransferCounters { downloaded: 5, left: 0, ..LEFT };
/// No peer is connected and no known address can become one.
const ALONE: TransferCounters = TransferCounters { alone: true, hopeless: true, ..LEFT };

/// A torrent's trackers with a manual clock.
struct Story {
    it: Trackers,
    now: Instant,
}

impl Story {
    fn new(tiers: &[&[&str]]) -> Self {
        let tiers: Vec<Vec<String>> = tiers.iter().map(|t| t.iter().map(|url| (*url).to_owned()).collect()).collect();
        let mut it = Trackers::new(&tiers, &mut fastrand::Rng::with_seed(1));
        let now = Instant::now();
        it.start(now);
        Story { it, now }
    }

    /// Returns the announces that are due now, with their events.
    fn asks(&mut self, counters: &TransferCounters) -> Vec<(usize, AnnounceEvent)> {
        let mut out = Vec::new();
        self.it.poll(self.now, counters, &mut out);
        out.into_iter().map(|(index, ask)| (index, ask.event)).collect()
    }

    fn wait(&mut self, time: Duration) {
        self.now += time;
    }

    /// Advances the time to the deadline and returns the time passed.
    fn wait_for_deadline(&mut self) -> Duration {
        let at = self.it.deadline().expect("something is to come");
        let time = at.saturating_duration_since(self.now);
        self.now += time;
        time
    }

    /// Answers an announce with one peer.
    fn answers(&mut self, index: usize, interval_s: u64) {
        self.gives(index, interval_s, 1);
    }

    fn gives(&mut self, index: usize, interval_s: u64, peers: u16) {
        let peers = (0..peers).map(|n| std::net::SocketAddr::from(([10, 0, 0, 1], 1 + n))).collect();
        let interval = Some(Duration::from_secs(interval_s));
        self.it.announced(self.now, index, Ok(&AnnounceResponse { interval, peers, ..AnnounceResponse::default() }));
    }

    fn fails(&mut self, index: usize) {
        self.it.announced(self.now, index, Err(&AnnounceError::new("no route")));
    }

    fn refuses(&mut self, index: usize, retry: Retry) {
        self.it.announced(self.now, index, Err(&AnnounceError { retry, ..AnnounceError::new("it says: busy") }));
    }
}

use AnnounceEvent::{Completed, None as Regular, Started, Stopped};

#[test]
fn one_tracker_hears_started_then_regular_then_completed_then_stopped() {
    let mut s = Story::new(&[&["http://a/announce"]]);
    assert_eq!(s.asks(&LEFT), [(0, Started)]);
    assert_eq!(s.asks(&LEFT), []);
    s.answers(0, 120);
    assert_eq!(s.asks(&LEFT), []);
    assert_eq!(s.wait_for_deadline(), Duration::from_secs(120));
    assert_eq!(s.asks(&LEFT), [(0, Regular)]);
    s.answers(0, 120);
    s.it.completed(s.now);
    assert_eq!(s.asks(&DONE), [(0, Completed)]);
    s.answers(0, 120);
    assert_eq!(s.asks(&DONE), []);
    s.it.stop(s.now);
    assert!(!s.it.stopped(s.now));
    assert_eq!(s.asks(&DONE), [(0, Stopped)]);
    assert!(!s.it.stopped(s.now));
    s.answers(0, 120);
    assert!(s.it.stopped(s.now));
    assert_eq!(s.asks(&DONE), []);
}

#[test]
fn a_seed_never_says_completed() {
    let mut s = Story::new(&[&["http://a/announce"]]);
    assert_eq!(s.asks(&DONE), [(0, Started)]);
    s.answers(0, 120);
    s.it.completed(s.now);
    assert_eq!(s.asks(&DONE), []);
}

#[test]
fn completion_during_started_is_told_after_it() {
    let mut s = Story::new(&[&["http://a/announce"]]);
    assert_eq!(s.asks(&LEFT), [(0, Started)]);
    s.it.completed(s.now);
    assert_eq!(s.asks(&DONE), []);
    s.answers(0, 120);
    assert_eq!(s.asks(&DONE), [(0, Completed)]);
}

#[test]
fn a_failure_goes_on_to_the_next_tracker_and_the_next_tier_at_once() {
    let mut s = Story::new(&[&["http://a/", "http://b/"], &["udp://c/"]]);
    let first = s.asks(&LEFT)[0].0;
    let second = 1 - first;
    s.fails(first);
    assert_eq!(s.asks(&LEFT), [(second, Started)]);
    s.fails(second);
    assert_eq!(s.asks(&LEFT), [(2, Started)]);
    s.answers(2, 1800);
    // The first tier is retried with back-off; the tracker that responded stays at the front of its own tier.
    assert_eq!(s.asks(&LEFT), []);
    assert_eq!(s.wait_for_deadline(), BACK_OFF_FIRST);
    assert_eq!(s.asks(&LEFT), [(first, Started)]);
    s.fails(first);
    assert_eq!(s.asks(&LEFT), [(second, Started)]);
    s.answers(second, 1800);
    assert_eq!(s.it.tiers[0], [second, first]);
    assert_eq!(s.asks(&LEFT), []);
    assert_eq!(s.wait_for_deadline(), Duration::from_secs(1800));
    assert_eq!(s.asks(&LEFT), [(second, Regular)]);
    // Only trackers that list us get `stopped`.
    s.answers(second, 1800);
    s.it.stop(s.now);
    assert_eq!(s.asks(&LEFT), [(second, Stopped), (2, Stopped)]);
}

#[test]
fn trackers_that_hang_delay_the_next_one_less_the_more_there_are() {
    let urls: Vec<String> = (0..40).map(|n| format!("http://{n}/")).collect();
    let tiers: Vec<&str> = urls.iter().map(String::as_str).collect();
    let mut s = Story::new(&[&tiers]);
    let mut at = Vec::new();
    for second in 0..60 {
        at.extend(s.asks(&LEFT).iter().map(|_| second));
        s.wait(Duration::from_secs(1));
    }
    assert_eq!(at.len(), AT_ONCE, "no more are asked at once");
    assert_eq!(at[..4], [0, PATIENCE.as_secs(), PATIENCE.as_secs() + 2, PATIENCE.as_secs() + 4]);
    assert!(at[20] < 30, "the 21st is asked after {} s", at[20]);
}

#[test]
fn those_never_asked_come_before_those_that_failed() {
    let mut s = Story::new(&[&["http://a/"], &["http://b/"], &["http://c/"], &["http://d/"]]);
    for (index, wait) in [(0, 0), (1, 20), (2, 20), (3, 20)] {
        // Independent of how long ago the other trackers failed.
        s.wait(Duration::from_secs(wait));
        assert_eq!(s.asks(&LEFT), [(index, Started)]);
        s.fails(index);
    }
    s.wait(Duration::from_secs(30));
    assert_eq!(s.asks(&LEFT), [(0, Started)]);
}

#[test]
fn while_nobody_is_known_the_walk_goes_on_past_trackers_that_help_nobody() {
    for tiers in [&[&["http://a/"][..], &["http://b/"], &["udp://c/"]][..], &[&["http://a/", "http://b/", "udp://c/"]]]
    {
        let mut s = Story::new(tiers);
        let first = s.asks(&ALONE)[0].0;
        s.gives(first, 1800, 0);
        let second = s.asks(&ALONE)[0].0;
        s.gives(second, 1800, 0);
        let third = s.asks(&ALONE)[0].0;
        assert!(first != second && second != third && third != first);
        s.gives(third, 100, 2);
        assert_eq!(s.asks(&LEFT), []);
        // The tracker with peers is kept up, behind those without.
        assert_eq!(s.wait_for_deadline(), Duration::from_secs(100));
        assert_eq!(s.asks(&LEFT), [(third, Regular)]);
    }
    // Peers are known from elsewhere: no other tracker is needed.
    let mut s = Story::new(&[&["http://a/"], &["http://b/"]]);
    assert_eq!(s.asks(&LEFT), [(0, Started)]);
    s.gives(0, 1800, 0);
    assert_eq!(s.asks(&LEFT), []);
    assert_eq!(s.wait_for_deadline(), Duration::from_secs(1800));
    // If the returned peers turn out to be useless, the walk continues despite the response.
    let mut s = Story::new(&[&["http://a/"], &["http://b/"]]);
    let trying = TransferCounters { hopeless: false, ..ALONE };
    assert_eq!(s.asks(&trying), [(0, Started)]);
    s.gives(0, 1800, 5);
    assert_eq!(s.asks(&trying), []);
    assert_eq!(s.wait_for_deadline(), LOOK);
    assert_eq!(s.asks(&ALONE), [(1, Started)]);
}

#[test]
fn a_refusal_says_when_to_ask_again() {
    for (retry, wait) in [
        (Retry::Unspecified, Some(BACK_OFF_FIRST)),
        (Retry::After(Duration::from_secs(120)), Some(Duration::from_secs(120))),
        (Retry::After(Duration::from_secs(1)), Some(limits::INTERVAL_MIN)),
        (Retry::After(Duration::from_secs(u64::MAX)), Some(limits::INTERVAL_MAX)),
        (Retry::Never, None),
    ] {
        let mut s = Story::new(&[&["http://a/"]]);
        assert_eq!(s.asks(&LEFT), [(0, Started)]);
        s.refuses(0, retry);
        assert_eq!(s.asks(&LEFT), []);
        assert_eq!(s.it.deadline().map(|at| at - s.now), wait, "{retry:?}");
        assert_eq!(s.it.rows(s.now)[0].next, wait);
        s.wait(GAP);
        // The user's request overrides this, and so does the next start.
        s.it.announce_now(s.now, Some(0));
        assert_eq!(s.asks(&LEFT), [(0, Started)]);
        s.it.stop(s.now);
        s.wait(limits::LAST_ANNOUNCE);
        let _ = s.asks(&LEFT);
        s.it.start(s.now);
        assert_eq!(s.asks(&LEFT), [(0, Started)]);
    }
    // The other trackers are announced to meanwhile.
    let mut s = Story::new(&[&["http://a/"], &["http://b/"]]);
    assert_eq!(s.asks(&LEFT), [(0, Started)]);
    s.refuses(0, Retry::Never);
    assert_eq!(s.asks(&LEFT), [(1, Started)]);
}

#[test]
fn failures_back_off_up_to_half_an_hour_and_an_answer_ends_it() {
    let mut s = Story::new(&[&["http://a/"]]);
    let mut waits = Vec::new();
    for _ in 0..12 {
        assert_eq!(s.asks(&LEFT).len(), 1);
        s.fails(0);
        assert_eq!(s.asks(&LEFT), []);
        waits.push(s.wait_for_deadline().as_secs());
    }
    assert_eq!(waits, [5, 10, 20, 40, 80, 160, 320, 640, 1280, 1800, 1800, 1800]);
    assert_eq!(s.asks(&LEFT).len(), 1);
    s.answers(0, 60);
    assert_eq!(s.asks(&LEFT), []);
    assert_eq!(s.wait_for_deadline(), limits::INTERVAL_MIN);
}

#[test]
fn intervals_are_clamped() {
    for (told, used) in [
        (Some(0), limits::INTERVAL_MIN),
        (Some(u64::from(u32::MAX)), limits::INTERVAL_MAX),
        (None, limits::INTERVAL_DEFAULT),
    ] {
        let mut s = Story::new(&[&["http://a/"]]);
        let _ = s.asks(&LEFT);
        let reply = AnnounceResponse { interval: told.map(Duration::from_secs), ..AnnounceResponse::default() };
        s.it.announced(s.now, 0, Ok(&reply));
        assert_eq!(s.asks(&LEFT), []);
        assert_eq!(s.wait_for_deadline(), used);
    }
}

#[test]
fn a_wish_waits_for_the_min_interval() {
    let mut s = Story::new(&[&["http://a/"], &["http://b/"]]);
    let _ = s.asks(&LEFT);
    let reply = AnnounceResponse { min_interval: Some(Duration::from_secs(20)), ..AnnounceResponse::default() };
    s.it.announced(s.now, 0, Ok(&reply));
    s.it.announce_now(s.now, None);
    assert_eq!(s.asks(&LEFT), [(1, Started)]);
    s.fails(1);
    assert_eq!(s.asks(&LEFT), []);
    assert_eq!(s.wait_for_deadline(), Duration::from_secs(20));
    assert_eq!(s.asks(&LEFT), [(0, Regular)]);
}

#[test]
fn the_end_waits_for_a_hanging_tracker_no_longer_than_allowed() {
    let mut s = Story::new(&[&["http://a/"]]);
    let _ = s.asks(&LEFT);
    s.answers(0, 60);
    s.it.stop(s.now);
    assert_eq!(s.asks(&LEFT), [(0, Stopped)]);
    assert!(!s.it.stopped(s.now));
    assert_eq!(s.wait_for_deadline(), DOUBTFUL);
    assert_eq!(s.asks(&LEFT), []);
    assert!(!s.it.stopped(s.now), "it has answered before");
    assert_eq!(s.wait_for_deadline(), limits::LAST_ANNOUNCE - DOUBTFUL);
    assert!(s.it.stopped(s.now));
    assert_eq!(s.asks(&LEFT), []);
    s.answers(0, 60);
    assert_eq!(s.it.deadline(), None);
}

#[test]
fn a_tracker_that_is_still_answering_hears_that_we_leave_and_is_not_waited_for_long() {
    // No response yet: `started` may have reached the tracker.
    let mut s = Story::new(&[&["http://a/"]]);
    assert_eq!(s.asks(&LEFT), [(0, Started)]);
    s.it.stop(s.now);
    assert!(!s.it.stopped(s.now));
    assert_eq!(s.asks(&LEFT), [(0, Stopped)]);
    assert_eq!(s.wait_for_deadline(), DOUBTFUL);
    assert!(s.it.stopped(s.now));
    // The tracker lists us, and a regular announce is in flight.
    let mut s = Story::new(&[&["http://a/"]]);
    assert_eq!(s.asks(&LEFT), [(0, Started)]);
    s.answers(0, 60);
    s.wait(Duration::from_secs(60));
    assert_eq!(s.asks(&LEFT), [(0, Regular)]);
    s.it.stop(s.now);
    assert_eq!(s.asks(&LEFT), [(0, Stopped)]);
    s.wait(DOUBTFUL);
    assert!(!s.it.stopped(s.now));
    s.answers(0, 60);
    assert!(s.it.stopped(s.now));
    assert_eq!(s.asks(&LEFT), [], "it is told once");
    // A `completed` that is in flight or pending comes first if the tracker responds soon.
    for answers in [true, false] {
        let mut s = Story::new(&[&["http://a/"], &["http://b/"]]);
        assert_eq!(s.asks(&LEFT), [(0, Started)]);
        s.answers(0, 60);
        s.it.add(s.now, "http://c/").unwrap();
        assert_eq!(s.asks(&LEFT), [(2, Started)]);
        s.it.completed(s.now);
        assert_eq!(s.asks(&DONE), [(0, Completed)]);
        s.it.stop(s.now);
        assert_eq!(s.asks(&DONE), []);
        if answers {
            s.answers(2, 60);
            assert_eq!(s.asks(&DONE), [(2, Completed)]);
            s.answers(0, 60);
            s.answers(2, 60);
        } else {
            s.wait(DOUBTFUL);
        }
        assert!(!s.it.stopped(s.now));
        assert_eq!(s.asks(&DONE), [(0, Stopped), (2, Stopped)]);
    }
    // A removed tracker whose `stopped` is already in flight.
    let mut s = Story::new(&[&["http://a/"]]);
    assert_eq!(s.asks(&LEFT), [(0, Started)]);
    s.answers(0, 60);
    s.it.remove(s.now, 0);
    assert_eq!(s.asks(&LEFT), [(0, Stopped)]);
    s.it.stop(s.now);
    assert_eq!(s.asks(&LEFT), []);
    assert!(!s.it.stopped(s.now));
    s.fails(0);
    assert!(s.it.stopped(s.now));
}

#[test]
fn rows_hide_secrets_and_say_what_cannot_be_asked() {
    let secret = "0123456789abcdef0123456789abcdef";
    let url = format!("https://user:word@t.example/{secret}/announce?key={secret}");
    let mut s = Story::new(&[&[&url], &["wss://w.example/"]]);
    let _ = s.asks(&LEFT);
    s.fails(0);
    let rows = s.it.rows(s.now);
    assert_eq!(rows[0].url, "https://t.example/***/announce?***");
    assert_eq!((&rows[0].status, rows[0].failed), (&TrackerStatus::Failed("no route".into()), true));
    assert_eq!(rows[0].next, Some(BACK_OFF_FIRST));
    assert_eq!(rows[1].status, TrackerStatus::Unsupported);
    assert!(!format!("{rows:?}").contains(secret));
}

#[test]
fn floods_of_trackers_are_cut_and_repeated_ones_count_once() {
    let many: Vec<String> = (0..20_000).map(|n| format!("http://h{}/", n / 2)).collect();
    let it = Trackers::new(&[many], &mut fastrand::Rng::with_seed(3));
    assert_eq!(it.all.len(), limits::TRACKERS);
    assert!(!it.urls().is_empty());
}

#[test]
fn an_added_tracker_is_asked_at_once_and_a_removed_one_hears_stopped_and_no_more() {
    let mut s = Story::new(&[&["http://a/announce"], &["http://b/announce"]]);
    assert_eq!(s.asks(&LEFT), [(0, Started)]);
    s.answers(0, 120);
    assert_eq!(s.it.add(s.now, "http://c/announce"), Ok(()));
    assert!(s.it.add(s.now, "http://c/announce").is_err(), "it is in the list");
    assert_eq!(s.asks(&LEFT), [(2, Started)]);
    s.answers(2, 120);
    let rows = s.it.rows(s.now);
    assert_eq!(rows.iter().map(|r| (r.index, r.tier)).collect::<Vec<_>>(), [(0, 0), (1, 1), (2, 2)]);
    assert_eq!((rows[2].last, rows[1].last), (Some(Duration::ZERO), None));

    assert!(s.it.remove(s.now, 0) && !s.it.remove(s.now, 0));
    // The next tracker takes over.
    assert_eq!(s.asks(&LEFT), [(0, Stopped), (1, Started)]);
    s.answers(0, 120);
    s.answers(1, 120);
    assert_eq!(s.it.urls(), [["http://b/announce"], ["http://c/announce"]]);
    s.it.announce_now(s.now, None);
    s.wait(Duration::from_secs(60));
    assert_eq!(s.asks(&LEFT), [(1, Regular), (2, Regular)]);
    assert_eq!(s.it.add(s.now, "http://a/announce"), Ok(()), "again, under another index");
    assert_eq!(s.it.rows(s.now).last().map(|r| (r.index, r.tier)), Some((3, 3)));
}

#[test]
fn one_tracker_alone_can_be_wished_for() {
    let mut s = Story::new(&[&["http://a/announce"], &["http://b/announce"]]);
    assert_eq!(s.asks(&LEFT), [(0, Started)]);
    s.answers(0, 120);
    s.it.announce_now(s.now, Some(1));
    assert_eq!(s.asks(&LEFT), [(1, Started)]);
    s.it.announce_now(s.now, Some(7));
    assert_eq!(s.asks(&LEFT), []);
}

#[test]
fn a_torrent_has_a_bounded_number_of_trackers() {
    let mut s = Story::new(&[]);
    let url = |n| format!("http://t{n}/announce");
    let added = (0..150).filter(|n| s.it.add(s.now, &url(*n)).is_ok()).count();
    assert_eq!(added, limits::TRACKERS);
    let turns = (0..5000).filter(|n| s.it.remove(s.now, *n) && s.it.add(s.now, &url(n + 1000)).is_ok()).count();
    assert_eq!(turns, EVER - limits::TRACKERS);
}

#[test]
fn a_partial_seed_says_so_unless_that_makes_the_tracker_fail() {
    let part = TransferCounters { partial_seed: true, ..LEFT };
    let mut s = Story::new(&[&["http://a/announce"]]);
    assert_eq!(s.asks(&part), [(0, Started)]);
    for (counters, event) in [(&part, AnnounceEvent::Paused), (&LEFT, Regular), (&part, AnnounceEvent::Paused)] {
        s.answers(0, 120);
        s.wait(Duration::from_secs(120));
        assert_eq!(s.asks(counters), [(0, event)]);
    }
    s.fails(0);
    s.wait(BACK_OFF_FIRST);
    assert_eq!(s.asks(&part), [(0, Regular)]);
    let whole = TransferCounters { partial_seed: true, ..DONE };
    let mut s = Story::new(&[&["http://a/announce"]]);
    s.asks(&whole);
    s.answers(0, 120);
    s.wait(Duration::from_secs(120));
    assert_eq!(s.asks(&whole), [(0, Regular)], "a whole one is a seed");
}

#[test]
fn what_the_user_adds_is_asked_at_once_whatever_hangs_and_whatever_answered() {
    // Many trackers hang.
    let urls: Vec<String> = (0..40).map(|n| format!("http://{n}/")).collect();
    let tiers: Vec<&str> = urls.iter().map(String::as_str).collect();
    let mut s = Story::new(&[&tiers]);
    for _ in 0..60 {
        let _ = s.asks(&LEFT);
        s.wait(Duration::from_secs(1));
    }
    assert_eq!(s.it.add(s.now, "http://new/announce"), Ok(()));
    assert_eq!(s.asks(&LEFT), [(40, Started)]);
    // The others respond; adding a tracker that was listed but not needed triggers an announce to it.
    for known in [LEFT, DONE, ALONE] {
        let mut s = Story::new(&[&["http://a/"], &["http://b/"], &["http://c/"]]);
        assert_eq!(s.asks(&known), [(0, Started)]);
        s.answers(0, 1800);
        assert!(s.it.add(s.now, "http://c/").is_err());
        assert!(s.asks(&known).contains(&(2, Started)));
    }
}
