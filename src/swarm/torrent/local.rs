//! Peers of the local network: heard of by multicast, dialled first, marked so, and, where the user says so, not limited.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::Torrent;
use crate::swarm::local::ANSWER;
use crate::swarm::view::{Source, SourceRow};

impl Torrent {
    /// Whether peers are looked for on the local network. Of a private torrent only its trackers may know (BEP 27).
    pub(super) const fn looks_local(&self) -> bool {
        self.config.lan && !self.config.private
    }

    /// Addresses were learnt otherwise than by an announce.
    pub(super) fn found(&mut self, now: Instant, source: Source, addrs: &[SocketAddr]) {
        if (source == Source::Dht && !self.uses_dht()) || !self.heeds(source) {
            return;
        }
        if source == Source::Lan {
            if !self.looks_local() {
                return;
            }
            let newcomer = addrs.iter().any(|addr| self.candidates.source(*addr).is_none());
            let chance = Duration::from_millis(self.rng.u64(..ANSWER.as_millis() as u64));
            self.local.heard(now, newcomer, chance);
        }
        for addr in addrs {
            self.candidates.learn(now, *addr, source);
            if matches!(source, Source::Manual | Source::Tracker) {
                self.outsiders.pardon(addr.ip());
            }
            if source == Source::Lan && self.candidates.source(*addr) == Some(Source::Lan) {
                self.mark_local(*addr);
            }
        }
    }

    /// Somebody who is connected has said so on the local network as well.
    fn mark_local(&mut self, addr: SocketAddr) {
        for peer in self.peers.values_mut() {
            // Whoever called us did so from another port than it listens on.
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

    /// Whether limits of rate hold for a peer found this way.
    pub(super) fn is_limited(&self, source: Source) -> bool {
        !(self.config.lan_unlimited && source == Source::Lan)
    }

    /// Tells of local discovery among the sources, also when it has brought nothing yet.
    pub(super) fn show_local(&self, now: Instant, rows: &mut Vec<SourceRow>) {
        if !self.looks_local() {
            return;
        }
        let row = SourceRow::among(rows, Source::Lan);
        row.last = self.local.last(now);
        row.next = self.local.next(now);
        row.status = match (row.next, row.last) {
            (None, _) => "not asked now".to_owned(),
            (_, None) => "nobody heard yet".to_owned(),
            (_, Some(_)) => match row.known {
                0 => "nobody here now".to_owned(),
                1 => "1 address known".to_owned(),
                n => format!("{n} addresses known"),
            },
        };
    }
}
