//! One tracker of a torrent: announce in flight, last response, pending events, back-off.

use std::time::Instant;

use crate::swarm::status::TrackerStatus;
use crate::wire::tracker::{AnnounceEvent, public_url};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Phase {
    /// No announces.
    Idle,
    Running,
    /// Sending `stopped` announces, at most until this time.
    Stopping(Instant),
}

/// A tracker and its announce state.
#[derive(Debug)]
pub(super) struct Tracker {
    pub(super) url: String,
    pub(super) shown: String,
    pub(super) tier: u32,
    /// Whether the URL scheme is supported.
    pub(super) usable: bool,
    /// The announce in flight: when it was sent and its event.
    pub(super) in_flight: Option<(Instant, AnnounceEvent)>,
    /// Failures since the last response.
    pub(super) failures: u32,
    /// End of the back-off after a failure.
    pub(super) retry: Option<Instant>,
    /// When the announce interval of the last response ends.
    pub(super) fresh: Option<Instant>,
    /// Earliest next announce, also for one requested by the user (`min interval`).
    pub(super) not_before: Option<Instant>,
    /// The tracker lists us as a peer: it responded to `started`, and no `stopped` was sent since.
    pub(super) lists_us: bool,
    /// A `completed` event has to be sent.
    pub(super) owes_completed: bool,
    /// The user requested an announce.
    pub(super) wished: bool,
    /// The user requested this tracker in particular, not all trackers.
    pub(super) wished_alone: bool,
    /// The tracker asked never to be contacted again (BEP 31, `retry in: never`).
    pub(super) never: bool,
    /// An announce with `left` > 0 was sent.
    pub(super) knew_incomplete: bool,
    /// A `stopped` event has to be sent because the torrent stops.
    pub(super) leaving: bool,
    /// Removed by the user: gets a last `stopped` if it lists us, and no other announce.
    pub(super) removed: bool,
    /// The tracker rejected the `paused` event (BEP 21): some trackers know only the events of BEP 3.
    pub(super) refused_paused: bool,
    pub(super) seeds: Option<u32>,
    pub(super) leechers: Option<u32>,
    pub(super) completed: Option<u32>,
    pub(super) peers: Option<u32>,
    /// When the last announce succeeded or failed.
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
            in_flight: None,
            failures: 0,
            retry: None,
            fresh: None,
            not_before: None,
            lists_us: false,
            owes_completed: false,
            wished: false,
            wished_alone: false,
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

    /// Clears the state that belongs to one run of the torrent.
    pub(super) fn reset(&mut self) {
        (self.in_flight, self.retry, self.fresh, self.not_before) = (None, None, None, None);
        (self.lists_us, self.owes_completed, self.wished, self.knew_incomplete) = (false, false, false, false);
        (self.wished_alone, self.never, self.leaving, self.failures) = (false, false, false, 0);
    }

    pub(super) fn wish(&mut self, this_one: bool) {
        (self.wished, self.wished_alone) = (true, this_one);
    }

    /// Returns whether the tracker could be announced to now and has no fresh response.
    pub(super) fn is_spare(&self, now: Instant) -> bool {
        self.usable && !self.never && self.in_flight.is_none() && self.fresh.is_none_or(|at| at <= now)
    }

    /// Returns whether the last response contained at least one peer.
    pub(super) fn gave(&self) -> bool {
        self.peers.is_some_and(|n| n > 0)
    }

    pub(super) fn status(&self, phase: Phase) -> TrackerStatus {
        let error = || self.said.clone().filter(|_| self.failed);
        match (&self.said, self.in_flight) {
            _ if !self.usable => TrackerStatus::Unsupported,
            (_, Some((_, AnnounceEvent::Stopped))) => TrackerStatus::Stopping,
            (_, Some(_)) => TrackerStatus::Announcing { last_error: error() },
            (Some(text), None) if self.failed => TrackerStatus::Failed(text.clone()),
            (Some(text), None) => TrackerStatus::Warning(text.clone()),
            (None, None) if self.lists_us => TrackerStatus::Working,
            (None, None) if phase == Phase::Running => TrackerStatus::NotNeeded,
            (None, None) => TrackerStatus::NotContacted,
        }
    }
}

/// Returns whether the URL's scheme is supported.
fn speaks(url: &str) -> bool {
    let scheme = url.split_once("://").map_or("", |(scheme, _)| scheme);
    ["http", "https", "udp"].iter().any(|known| scheme.eq_ignore_ascii_case(known))
}
