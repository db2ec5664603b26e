//! Local service discovery (LSD, BEP 14): marks local peers, and exempts them from rate limits if configured.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::Torrent;
use crate::swarm::lsd::ANSWER;
use crate::swarm::status::{Source, SourceRow, SourceStatus};

impl Torrent {
    /// Returns whether LSD is used; never for a private torrent (BEP 27).
    pub(super) const fn looks_local(&self) -> bool {
        self.config.lan && !self.config.private
    }

    /// Adds peer addresses from any source but PEX to the peer list, if the torrent may use the source.
    pub(super) fn on_peers_found(&mut self, now: Instant, source: Source, addrs: &[SocketAddr]) {
        if (source == Source::Dht && !self.uses_dht()) || !self.accepts_source(source) {
            return;
        }
        if source == Source::Lan {
            if !self.looks_local() {
                return;
            }
            let newcomer = addrs.iter().any(|addr| self.peer_list.source(*addr).is_none());
            let chance = Duration::from_millis(self.rng.u64(..ANSWER.as_millis() as u64));
            self.local.heard(now, newcomer, chance);
        }
        for addr in addrs {
            self.peer_list.add(now, *addr, source);
            if matches!(source, Source::Manual | Source::Tracker) {
                self.refused_hosts.allow_host(addr.ip());
            }
            if source == Source::Lan && self.peer_list.source(*addr) == Some(Source::Lan) {
                self.mark_local(*addr);
            }
        }
    }

    /// Changes the source of a connected peer to LSD when its LSD announce is received.
    fn mark_local(&mut self, addr: SocketAddr) {
        for peer in self.peers.values_mut() {
            // An incoming peer connects from another port than the one it listens on.
            let same = if peer.hello.outgoing {
                peer.hello.addr == addr
            } else {
                peer.listens == Some(addr) || (peer.listens.is_none() && peer.hello.addr.ip() == addr.ip())
            };
            if same && peer.source != Source::Manual {
                peer.source = Source::Lan;
            }
        }
    }

    /// Returns whether the rate limits apply to peers from this source.
    pub(super) fn is_limited(&self, source: Source) -> bool {
        !(self.config.lan_unlimited && source == Source::Lan)
    }

    /// Fills the LSD row of the peer sources, and adds the row if LSD has found no peer yet.
    pub(super) fn show_local(&self, now: Instant, rows: &mut Vec<SourceRow>) {
        if !self.looks_local() {
            return;
        }
        let row = SourceRow::among(rows, Source::Lan);
        row.last = self.local.last(now);
        row.next = self.local.next(now);
        row.status = match (row.next, row.last) {
            (None, _) => SourceStatus::LsdInactive,
            (_, None) => SourceStatus::LsdNothingHeard,
            (_, Some(_)) => SourceStatus::LsdFound(row.known),
        };
    }
}
