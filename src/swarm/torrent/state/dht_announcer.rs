//! When a torrent looks for peers in the DHT (BEP 5), and what the last lookup found.

use std::time::{Duration, Instant};

use crate::swarm::dht::{LookupSummary, NoNodes};

/// Announce interval: nodes expire a peer that does not announce itself again.
const EVERY: Duration = Duration::from_secs(15 * 60);
/// First interval while no peer is connected; doubles with each lookup.
///
/// Short, because a peer with the torrent may just be starting up.
const LONELY: Duration = Duration::from_secs(20);
/// Maximum interval while no peer is connected.
const LONELY_MOST: Duration = Duration::from_secs(3 * 60);
/// Retry interval while the routing table is empty.
const NO_NODES: Duration = Duration::from_secs(30);
/// Minimum time between two lookups, also when the user requests one.
const LEAST: Duration = Duration::from_secs(60);

/// Schedules the DHT announces of a torrent.
#[derive(Debug, Default)]
pub(crate) struct DhtAnnouncer {
    next: Option<Instant>,
    asked: Option<Instant>,
    /// Lookups in a row after which no peer was connected.
    lonely: u32,
    /// The result of the last lookup and when it arrived.
    last: Option<(Instant, Result<LookupSummary, NoNodes>)>,
}

impl DhtAnnouncer {
    /// Schedules the first lookup, unless announces are started already.
    pub(crate) fn start(&mut self, now: Instant) {
        if self.next.is_none() && self.asked.is_none() {
            self.next = Some(now);
        }
    }

    /// Schedules no further lookup; the next start begins at once.
    pub(crate) const fn stop(&mut self) {
        (self.next, self.asked) = (None, None);
    }

    /// Schedules no further lookup; the time of the last one is kept.
    pub(crate) const fn suspend(&mut self) {
        self.next = None;
    }

    /// Brings the next lookup forward, subject to [`LEAST`].
    pub(crate) fn announce_now(&mut self, now: Instant) {
        let at = self.asked.map_or(now, |asked| now.max(asked + LEAST));
        self.lonely = 0;
        self.next = self.next.map(|next| next.min(at));
    }

    /// Returns when the next lookup is due.
    pub(crate) const fn deadline(&self) -> Option<Instant> {
        self.next
    }

    /// Returns whether a lookup is to be started now.
    pub(crate) fn is_due(&mut self, now: Instant, has_peers: bool) -> bool {
        if self.next.is_none_or(|at| now < at) {
            return false;
        }
        // Addresses from the last lookup may have connected since: back to the normal interval.
        if self.lonely > 0 && has_peers {
            self.lonely = 0;
            self.next = self.asked.map(|asked| asked + EVERY);
            return false;
        }
        // The result reschedules this; the value set here applies if no result ever arrives.
        (self.next, self.asked) = (Some(now + EVERY), Some(now));
        true
    }

    /// Records the result of a lookup and schedules the next one.
    ///
    /// Returns whether lookups succeed now that failed before, or the reverse; `false` while announces are stopped.
    pub(crate) fn on_lookup_done(
        &mut self,
        now: Instant,
        result: Result<LookupSummary, NoNodes>,
        has_peers: bool,
    ) -> bool {
        if self.next.is_none() {
            return false;
        }
        let turned = self.last.is_none_or(|(_, last)| last.is_ok() != result.is_ok());
        self.last = Some((now, result));
        let wait = match result {
            Err(NoNodes) => NO_NODES,
            Ok(_) if !has_peers => {
                self.lonely += 1;
                LONELY_MOST.min(LONELY * 2_u32.pow((self.lonely - 1).min(8)))
            }
            Ok(_) => EVERY,
        };
        self.next = Some(now + wait);
        turned
    }

    /// Returns the result of the last lookup and when it arrived.
    pub(crate) const fn last(&self) -> Option<(Instant, Result<LookupSummary, NoNodes>)> {
        self.last
    }
}
