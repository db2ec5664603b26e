//! Fair-share accounting by network. When the tracker is full, an entry of the network with the most entries is
//! evicted.
//!
//! Entries are counted per site (IPv4 /24, IPv6 /48) and, within a site, per host (IPv4 address, IPv6 /64, because a
//! single host usually owns a whole /64).

use std::collections::HashMap;
use std::net::IpAddr;

/// A network: whether it is IPv6, and its prefix bits.
type Net = (bool, u64);

/// Returns the host part of an address: the IPv4 address or the IPv6 /64.
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

/// Entry counts by network.
#[derive(Debug, Default)]
pub(super) struct Shares {
    sites: HashMap<Net, u32>,
    hosts: HashMap<Net, u32>,
}

impl Shares {
    pub(super) fn add(&mut self, ip: IpAddr) {
        *self.sites.entry(site(ip)).or_default() += 1;
        *self.hosts.entry(host(ip)).or_default() += 1;
    }

    pub(super) fn remove(&mut self, ip: IpAddr) {
        for (counts, net) in [(&mut self.sites, site(ip)), (&mut self.hosts, host(ip))] {
            if let Some(count) = counts.get_mut(&net) {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    counts.remove(&net);
                }
            }
        }
    }

    /// Returns the counts of the address's site and host.
    pub(super) fn counts(&self, ip: IpAddr) -> (u32, u32) {
        let count = |counts: &HashMap<Net, u32>, net| counts.get(&net).copied().unwrap_or(0);
        (count(&self.sites, site(ip)), count(&self.hosts, host(ip)))
    }

    /// Returns whether `one` has more entries than `other`. Hosts are compared within the same site, otherwise sites.
    pub(super) fn has_more(&self, one: IpAddr, other: IpAddr) -> bool {
        let ((site_one, host_one), (site_other, host_other)) = (self.counts(one), self.counts(other));
        if site(one) == site(other) { host_one > host_other } else { site_one > site_other }
    }

    /// Returns the number of hosts with entries.
    #[cfg(test)]
    pub(super) fn hosts(&self) -> usize {
        self.hosts.len()
    }
}
