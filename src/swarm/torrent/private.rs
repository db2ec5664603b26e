//! What it means for a torrent to be private (BEP 27): only its trackers and the user may bring peers. A magnet learns
//! that late, when its metadata come; what was begun under the other rule until then ends under this one.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Instant;

use super::{Effect, Gone, Hello, PeerKey, Torrent};
use crate::limits;
use crate::swarm::view::Source;

/// Hosts that came to know of a torrent otherwise than by its trackers, before it was known to be private.
#[derive(Debug, Default)]
pub(super) struct Outsiders {
    /// At most [`limits::KNOWN_PEERS`].
    hosts: BTreeSet<IpAddr>,
    /// They have been sent away.
    expelled: bool,
}

impl Outsiders {
    fn add(&mut self, ip: IpAddr) {
        if self.hosts.len() < limits::KNOWN_PEERS {
            self.hosts.insert(ip.to_canonical());
        }
    }

    /// The trackers or the user name this host: it belongs here.
    pub(super) fn pardon(&mut self, ip: IpAddr) {
        self.hosts.remove(&ip.to_canonical());
    }
}

/// Whether addresses from there may be used for a private torrent.
const fn may_bring(source: Source) -> bool {
    matches!(source, Source::Manual | Source::Tracker)
}

impl Torrent {
    /// Whether addresses from there are of use.
    pub(super) const fn heeds(&self, source: Source) -> bool {
        !self.config.private || may_bring(source)
    }

    /// Whether a connection that was found this way, or that came to us, may stay in a private torrent.
    pub(super) fn is_outsider(&self, hello: &Hello, source: Source) -> bool {
        match hello.outgoing {
            true => !self.heeds(source),
            false => self.config.private && self.outsiders.hosts.contains(&hello.addr.ip().to_canonical()),
        }
    }

    /// Only its trackers may know of a private torrent: who came otherwise goes, and is not let in again before they name
    /// it. While it was looked for elsewhere too, nobody can tell how those that called us had found us.
    pub(super) fn keep_to_trackers(&mut self, now: Instant, out: &mut Vec<Effect>) {
        out.push(Effect::KeepPrivate);
        if std::mem::replace(&mut self.outsiders.expelled, true) {
            return;
        }
        let shown_elsewhere = self.config.dht.is_some() || self.config.lan || self.config.pex;
        let named = self.candidates.hosts_from(may_bring);
        let stays = |source: Source, ip: IpAddr| match source {
            Source::Incoming => !shown_elsewhere || named.contains(&ip.to_canonical()),
            source => may_bring(source),
        };
        let leaving: Vec<(PeerKey, IpAddr)> = self
            .peers
            .iter()
            .filter(|(_, peer)| peer.web.is_none() && !stays(peer.source, peer.ip()))
            .map(|(key, peer)| (*key, peer.ip()))
            .collect();
        for ip in self.candidates.hosts_from(|source| !may_bring(source)).difference(&named) {
            self.outsiders.add(*ip);
        }
        for (key, ip) in leaving {
            if !named.contains(&ip.to_canonical()) {
                self.outsiders.add(ip);
            }
            self.expel(now, key, Gone::Private, out);
        }
        self.candidates.forget_from(|source| !may_bring(source));
    }
}
