//! Private torrents (BEP 27): only their trackers and the user may provide peers.
//!
//! A magnet learns this from its metadata. DHT, LSD and PEX, which were allowed until then, stop at that point.

use std::net::IpAddr;
use std::time::Instant;

use super::{DisconnectReason, Effect, PeerInfo, PeerKey, Torrent};
use crate::swarm::view::Source;

/// Returns whether a private torrent may use peers from this source.
const fn allowed_if_private(source: Source) -> bool {
    matches!(source, Source::Manual | Source::Tracker)
}

impl Torrent {
    /// Returns whether peers from this source may be used.
    pub(super) const fn accepts_source(&self, source: Source) -> bool {
        !self.config.private || allowed_if_private(source)
    }

    /// Returns whether a private torrent must refuse this connection.
    pub(super) fn refuses_peer(&self, hello: &PeerInfo, source: Source) -> bool {
        match hello.outgoing {
            true => !self.accepts_source(source),
            false => self.config.private && self.refused_hosts.contains(hello.addr.ip()),
        }
    }

    /// Stops public discovery and disconnects all peers that came neither from a tracker nor from the user.
    ///
    /// Their hosts are refused until a tracker or the user names them. Incoming peers are disconnected too if DHT,
    /// LSD or PEX was enabled, since they may have found us there.
    pub(super) fn enforce_private(&mut self, now: Instant, out: &mut Vec<Effect>) {
        out.push(Effect::StopPublicDiscovery);
        if !self.refused_hosts.begin_expulsion() {
            return;
        }
        let shown_elsewhere = self.config.dht.is_some() || self.config.lan || self.config.pex;
        let named = self.peer_list.hosts_from(allowed_if_private);
        let stays = |source: Source, ip: IpAddr| match source {
            Source::Incoming => !shown_elsewhere || named.contains(&ip.to_canonical()),
            source => allowed_if_private(source),
        };
        let leaving: Vec<(PeerKey, IpAddr)> = self
            .peers
            .iter()
            .filter(|(_, peer)| peer.web.is_none() && !stays(peer.source, peer.ip()))
            .map(|(key, peer)| (*key, peer.ip()))
            .collect();
        for ip in self.peer_list.hosts_from(|source| !allowed_if_private(source)).difference(&named) {
            self.refused_hosts.add(*ip);
        }
        for (key, ip) in leaving {
            if !named.contains(&ip.to_canonical()) {
                self.refused_hosts.add(ip);
            }
            self.disconnect(now, key, DisconnectReason::Private, out);
        }
        self.peer_list.forget_from(|source| !allowed_if_private(source));
    }
}
