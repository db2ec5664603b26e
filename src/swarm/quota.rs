//! What the session grants a torrent, and tells it of the network.

pub use crate::swarm::status::Reachability;
use crate::swarm::view::Priority;

/// A torrent's share of the session-wide limits, and session-wide state shown in its view.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Quota {
    /// Download limit in bytes per second; `None` is unlimited.
    pub down: Option<u64>,
    /// Upload limit in bytes per second; `None` is unlimited.
    pub up: Option<u64>,
    /// Memory budget: maximum bytes requested or received but not yet written.
    pub budget: u64,
    /// Priority of this torrent in the distribution of the limits; for display only.
    pub rank: Priority,
    /// Load of the busiest disk thread in percent; for display only.
    pub disk_busy: u8,
    /// Whether peers can connect to us. Also selects uTP as the first transport for dials if closed.
    pub reach: Reachability,
    /// Maximum number of connected peers; `None` keeps the current maximum.
    pub max_peers: Option<usize>,
    /// The external port of a port mapping, if it differs from the listening port.
    pub outside: Option<u16>,
}
