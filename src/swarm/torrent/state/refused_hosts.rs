//! Hosts that a private torrent (BEP 27) does not let in.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::limits;

/// Hosts found other than by trackers or the user, before the torrent was known to be private.
#[derive(Debug, Default)]
pub(crate) struct RefusedHosts {
    /// At most [`limits::KNOWN_PEERS`].
    hosts: BTreeSet<IpAddr>,
    /// Peers from other sources were already disconnected.
    expelled: bool,
}

impl RefusedHosts {
    pub(crate) fn add(&mut self, ip: IpAddr) {
        if self.hosts.len() < limits::KNOWN_PEERS {
            self.hosts.insert(ip.to_canonical());
        }
    }

    /// Readmits a host that a tracker or the user named.
    pub(crate) fn allow_host(&mut self, ip: IpAddr) {
        self.hosts.remove(&ip.to_canonical());
    }

    pub(crate) fn contains(&self, ip: IpAddr) -> bool {
        self.hosts.contains(&ip.to_canonical())
    }

    /// Returns `true` the first time: peers from other sources are to be disconnected.
    pub(crate) const fn begin_expulsion(&mut self) -> bool {
        !std::mem::replace(&mut self.expelled, true)
    }
}
