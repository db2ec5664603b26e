//! DHT lookups of one torrent (BEP 5): get_peers and announce_peer, and how they are shown.

use std::net::SocketAddr;
use std::time::Instant;

use super::{Effect, PeerKey, Torrent};
use crate::swarm::dht::{LookupSummary, NoNodes};
use crate::swarm::status::{DhtOutcome, Source, SourceRow, SourceStatus};

impl Torrent {
    /// Returns whether the torrent uses the DHT; private torrents may not (BEP 27).
    pub(super) const fn uses_dht(&self) -> bool {
        self.config.dht.is_some() && !self.config.private
    }

    /// Starts DHT announces unless already started; stops them if the torrent may not use the DHT.
    pub(super) fn start_dht(&mut self, now: Instant) {
        if self.uses_dht() { self.dht.start(now) } else { self.dht.suspend() }
    }

    /// Starts a lookup if one is due.
    pub(super) fn poll_dht(&mut self, now: Instant, out: &mut Vec<Effect>) {
        if self.dht.is_due(now, !self.peers.is_empty()) && self.uses_dht() {
            let port = self.port();
            out.push(Effect::DhtGetPeers { announce: (port != 0).then_some(port) });
        }
    }

    /// Handles the result of a lookup.
    pub(super) fn on_dht_lookup_done(&mut self, now: Instant, result: Result<LookupSummary, NoNodes>) {
        if self.dht.on_lookup_done(now, result, !self.peers.is_empty()) {
            let text = match result {
                Ok(sum) => format!("DHT: {sum}"),
                Err(NoNodes) => "DHT: no nodes".to_owned(),
            };
            self.write_log(now, text);
        }
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

    /// Returns the state of the DHT for the diagnosis of a torrent without peers; `None` if the DHT is not used.
    pub(super) const fn dht_outcome(&self) -> Option<DhtOutcome> {
        match self.dht.last() {
            _ if !self.uses_dht() => None,
            Some((_, Err(NoNodes))) => Some(DhtOutcome::NoNodes),
            Some((_, Ok(_))) => Some(DhtOutcome::NoNewPeers),
            None => Some(DhtOutcome::Searching),
        }
    }

    /// Fills the DHT row of the peer sources, and adds the row if the DHT has found no peer yet.
    pub(super) fn show_dht(&self, now: Instant, rows: &mut Vec<SourceRow>) {
        if !self.uses_dht() {
            return;
        }
        let row = SourceRow::among(rows, Source::Dht);
        row.last = self.dht.last().map(|(at, _)| now.saturating_duration_since(at));
        row.next = self.dht.deadline().map(|at| at.saturating_duration_since(now));
        row.status = match (self.dht.deadline(), self.dht.last()) {
            (None, _) => SourceStatus::DhtStopped,
            (_, None) => SourceStatus::DhtLookup,
            (_, Some((_, Err(NoNodes)))) => SourceStatus::DhtNoNodes,
            (_, Some((_, Ok(sum)))) => SourceStatus::DhtDone(sum),
        };
    }
}
