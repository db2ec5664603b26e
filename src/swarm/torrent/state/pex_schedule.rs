//! When a torrent sends PEX messages (BEP 11), and what the last received one held.

use std::time::Instant;

/// PEX state of the whole torrent; [`PexState`](crate::swarm::pex::PexState) is that of one peer.
#[derive(Debug, Default)]
pub(crate) struct PexSchedule {
    /// Incremented whenever the set of advertised peers may have changed.
    pub version: u64,
    /// When the next PEX message may be due.
    pub next: Option<Instant>,
    /// When the last accepted PEX message arrived, and its number of addresses.
    pub last: Option<(Instant, usize)>,
}
