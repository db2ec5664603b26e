//! What each network has of something that there is only so much of: whoever has most makes room for whoever has less.
//!
//! Counted twice: by site (a /24 of version 4, a /48 of version 6), and within a site by host (an address of version 4, and
//! of version 6 a /64, of which a single host has all addresses).

use std::collections::HashMap;
use std::net::IpAddr;

/// A network: whether it is one of version 6, and its bits.
type Net = (bool, u64);

/// The host of an address.
pub(super) fn host(ip: IpAddr) -> Net {
    match ip {
        IpAddr::V4(v4) => (false, u64::from(v4.to_bits())),
        IpAddr::V6(v6) => (true, (v6.to_bits() >> 64) as u64),
    }
}

fn site(ip: IpAddr) -> Net {
    let (v6, bits) = host(ip);
    (v6, bits >> if v6 { 16 } else { 8 })
}

/// How much each has.
#[derive(Debug, Default)]
pub(super) struct Shares {
    sites: HashMap<Net, u32>,
    hosts: HashMap<Net, u32>,
}

impl Shares {
    pub(super) fn more(&mut self, ip: IpAddr) {
        *self.sites.entry(site(ip)).or_default() += 1;
        *self.hosts.entry(host(ip)).or_default() += 1;
    }

    pub(super) fn less(&mut self, ip: IpAddr) {
        for (counts, net) in [(&mut self.sites, site(ip)), (&mut self.hosts, host(ip))] {
            if let Some(count) = counts.get_mut(&net) {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    counts.remove(&net);
                }
            }
        }
    }

    /// What its site has, and its host.
    pub(super) fn of(&self, ip: IpAddr) -> (u32, u32) {
        let count = |counts: &HashMap<Net, u32>, net| counts.get(&net).copied().unwrap_or(0);
        (count(&self.sites, site(ip)), count(&self.hosts, host(ip)))
    }

    /// Whether the one has more than the other: its site, or its host where they are of one site.
    pub(super) fn has_more(&self, one: IpAddr, other: IpAddr) -> bool {
        let ((site_one, host_one), (site_other, host_other)) = (self.of(one), self.of(other));
        if site(one) == site(other) { host_one > host_other } else { site_one > site_other }
    }

    /// How many hosts have something.
    #[cfg(test)]
    pub(super) fn hosts(&self) -> usize {
        self.hosts.len()
    }
}
