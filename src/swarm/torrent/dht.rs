//! DHT lookups of one torrent (BEP 5): when to run get_peers and announce_peer, and the last result.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::{Effect, PeerKey, Torrent};
use crate::swarm::dht::{LookupSummary, NoNodes};
use crate::swarm::view::{Source, SourceRow};

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
pub(super) struct DhtAnnouncer {
    next: Option<Instant>,
    asked: Option<Instant>,
    /// Lookups in a row after which no peer was connected.
    lonely: u32,
    /// The result of the last lookup and when it arrived.
    last: Option<(Instant, Result<LookupSummary, NoNodes>)>,
}

impl Torrent {
    /// Returns whether the torrent uses the DHT; private torrents may not (BEP 27).
    pub(super) const fn uses_dht(&self) -> bool {
        self.config.dht.is_some() && !self.config.private
    }

    /// Starts DHT announces unless already started; stops them if the torrent may not use the DHT.
    pub(super) fn start_dht(&mut self, now: Instant) {
        if !self.uses_dht() {
            self.dht.next = None;
        } else if self.dht.next.is_none() && self.dht.asked.is_none() {
            self.dht.next = Some(now);
        }
    }

    /// Stops DHT announces.
    pub(super) const fn stop_dht(&mut self) {
        (self.dht.next, self.dht.asked) = (None, None);
    }

    /// Brings the next lookup forward at the user's request, subject to [`LEAST`].
    pub(super) fn announce_now(&mut self, now: Instant) {
        let at = self.dht.asked.map_or(now, |asked| now.max(asked + LEAST));
        self.dht.lonely = 0;
        self.dht.next = self.dht.next.map(|next| next.min(at));
    }

    /// Returns when the next lookup is due.
    pub(super) const fn dht_deadline(&self) -> Option<Instant> {
        self.dht.next
    }

    /// Starts a lookup if one is due.
    pub(super) fn poll_dht(&mut self, now: Instant, out: &mut Vec<Effect>) {
        if self.dht.next.is_none_or(|at| now < at) {
            return;
        }
        // Addresses from the last lookup may have connected since: back to the normal interval.
        if self.dht.lonely > 0 && !self.peers.is_empty() {
            self.dht.lonely = 0;
            self.dht.next = self.dht.asked.map(|asked| asked + EVERY);
            return;
        }
        // The result reschedules this; the value set here applies if no result ever arrives.
        (self.dht.next, self.dht.asked) = (Some(now + EVERY), Some(now));
        if self.uses_dht() {
            let port = self.port();
            out.push(Effect::DhtGetPeers { announce: (port != 0).then_some(port) });
        }
    }

    /// Handles the result of a lookup and schedules the next one.
    pub(super) fn on_dht_lookup_done(&mut self, now: Instant, result: Result<LookupSummary, NoNodes>) {
        if self.dht.next.is_none() {
            return;
        }
        if self.dht.last.is_none_or(|(_, last)| last.is_ok() != result.is_ok()) {
            let text = match result {
                Ok(sum) => format!("DHT: {}", asked(sum)),
                Err(NoNodes) => "DHT: no nodes".to_owned(),
            };
            self.write_log(now, text);
        }
        self.dht.last = Some((now, result));
        let wait = match result {
            Err(NoNodes) => NO_NODES,
            Ok(_) if self.peers.is_empty() => {
                self.dht.lonely += 1;
                LONELY_MOST.min(LONELY * 2_u32.pow((self.dht.lonely - 1).min(8)))
            }
            Ok(_) => EVERY,
        };
        self.dht.next = Some(now + wait);
    }

    /// Handles a `port` message, which holds the UDP port of the peer's DHT node (BEP 5).
    pub(super) fn on_port_message(&mut self, key: PeerKey, port: u16, out: &mut Vec<Effect>) {
        let uses = self.uses_dht();
        let Some(peer) = self.peers.get_mut(&key) else { return };
        // A peer has one DHT node: ping only for the first message.
        if uses && port != 0 && !std::mem::replace(&mut peer.sent_dht_port, true) {
            out.push(Effect::DhtPing(SocketAddr::new(peer.ip(), port)));
        }
    }

    /// Describes the DHT for the diagnosis of a torrent without peers; `None` if the DHT is not used.
    pub(super) const fn dht_words(&self) -> Option<&'static str> {
        match self.dht.last {
            _ if !self.uses_dht() => None,
            Some((_, Err(NoNodes))) => Some("DHT has no nodes"),
            Some((_, Ok(_))) => Some("DHT found no new peers"),
            None => Some("DHT lookup in progress"),
        }
    }

    /// Fills the DHT row of the peer sources, and adds the row if the DHT has found no peer yet.
    pub(super) fn show_dht(&self, now: Instant, rows: &mut Vec<SourceRow>) {
        if !self.uses_dht() {
            return;
        }
        let row = SourceRow::among(rows, Source::Dht);
        row.last = self.dht.last.map(|(at, _)| now.saturating_duration_since(at));
        row.next = self.dht.next.map(|at| at.saturating_duration_since(now));
        row.status = match (self.dht.next, self.dht.last) {
            (None, _) => "not asked while it does not run".to_owned(),
            (_, None) => "being asked".to_owned(),
            (_, Some((_, Err(NoNodes)))) => "no nodes".to_owned(),
            (_, Some((_, Ok(sum)))) => format!("{}; announced to {}", asked(sum), sum.announced),
        };
    }
}

/// Describes a lookup: nodes queried and addresses found.
fn asked(sum: LookupSummary) -> String {
    let count = |n: u32, one: &str, several: &str| if n == 1 { format!("1 {one}") } else { format!("{n} {several}") };
    format!("{} queried, {}", count(sum.nodes, "node", "nodes"), count(sum.peers, "peer", "peers"))
}
