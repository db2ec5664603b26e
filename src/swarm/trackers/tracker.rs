//! One tracker of a torrent: what it was asked, what it said, and what it is owed.

use std::time::Instant;

use super::Phase;
use crate::wire::tracker::{AnnounceEvent, public_url};

/// One tracker and what is known of it.
#[derive(Debug)]
pub(super) struct Tracker {
    pub(super) url: String,
    pub(super) shown: String,
    pub(super) tier: u32,
    /// Whether its scheme is one that we speak.
    pub(super) usable: bool,
    /// The announce under way: since when, and with which event.
    pub(super) asked: Option<(Instant, AnnounceEvent)>,
    /// Failures since the last answer.
    pub(super) failures: u32,
    /// After a failure: not before this.
    pub(super) retry: Option<Instant>,
    /// Until when its last answer is good enough.
    pub(super) fresh: Option<Instant>,
    /// Not even a wish may come before this.
    pub(super) not_before: Option<Instant>,
    /// It counts us as a member: it answered `started` and was not told `stopped`.
    pub(super) heard: bool,
    /// It is to be told `completed`.
    pub(super) owes_completed: bool,
    /// The user wants it asked.
    pub(super) wished: bool,
    /// The user wants this one asked, and not all of them.
    pub(super) meant: bool,
    /// It asked never to be asked again (BEP 31).
    pub(super) never: bool,
    /// It came to know of us while we lacked something.
    pub(super) knew_incomplete: bool,
    /// It is to be told `stopped`, since the torrent stops.
    pub(super) leaving: bool,
    /// The user took it away: it is told `stopped` if it counts us, and is not asked again.
    pub(super) removed: bool,
    /// It failed when it was told of a partial seed: some know no event but those of BEP 3.
    pub(super) refused_paused: bool,
    pub(super) seeds: Option<u32>,
    pub(super) leechers: Option<u32>,
    pub(super) completed: Option<u32>,
    pub(super) peers: Option<u32>,
    /// When it last answered, or failed to.
    pub(super) last: Option<Instant>,
    pub(super) said: Option<String>,
    pub(super) failed: bool,
    pub(super) id: Option<Vec<u8>>,
}

impl Tracker {
    pub(super) fn new(url: String, tier: u32) -> Self {
        Tracker {
            shown: public_url(&url),
            usable: speaks(&url),
            url,
            tier,
            asked: None,
            failures: 0,
            retry: None,
            fresh: None,
            not_before: None,
            heard: false,
            owes_completed: false,
            wished: false,
            meant: false,
            never: false,
            knew_incomplete: false,
            leaving: false,
            removed: false,
            refused_paused: false,
            seeds: None,
            leechers: None,
            completed: None,
            peers: None,
            last: None,
            said: None,
            failed: false,
            id: None,
        }
    }

    /// Forgets everything that belongs to one run of the torrent.
    pub(super) fn reset(&mut self) {
        (self.asked, self.retry, self.fresh, self.not_before) = (None, None, None, None);
        (self.heard, self.owes_completed, self.wished, self.knew_incomplete) = (false, false, false, false);
        (self.meant, self.never, self.leaving, self.failures) = (false, false, false, 0);
    }

    pub(super) fn wish(&mut self, this_one: bool) {
        (self.wished, self.meant) = (true, this_one);
    }

    /// Whether it could be asked now, and was not lately.
    pub(super) fn is_spare(&self, now: Instant) -> bool {
        self.usable && !self.never && self.asked.is_none() && self.fresh.is_none_or(|at| at <= now)
    }

    /// Whether its last answer named at least one address.
    pub(super) fn gave(&self) -> bool {
        self.peers.is_some_and(|n| n > 0)
    }

    pub(super) fn status(&self, phase: Phase) -> String {
        match (&self.said, self.asked) {
            _ if !self.usable => "not supported: only http, https and udp trackers are".into(),
            (_, Some((_, AnnounceEvent::Stopped))) => "saying goodbye".into(),
            (Some(text), Some(_)) if self.failed => format!("asking again; last: {text}"),
            (_, Some(_)) => "asking".into(),
            (Some(text), None) if self.failed => text.clone(),
            (Some(text), None) => format!("warning: {text}"),
            (None, None) if self.heard => "working".into(),
            (None, None) if phase == Phase::Running => "not needed yet".into(),
            (None, None) => "not asked".into(),
        }
    }
}

/// Whether we speak the URL's scheme.
fn speaks(url: &str) -> bool {
    let scheme = url.split_once("://").map_or("", |(scheme, _)| scheme);
    ["http", "https", "udp"].iter().any(|known| scheme.eq_ignore_ascii_case(known))
}
