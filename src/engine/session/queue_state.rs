//! What a look at all torrents tells the queue, so that not every event needs such a look.

use std::time::Instant;

/// What the queue knows since all torrents were last looked at.
pub(super) struct QueueState {
    /// What the queue depends on has changed since.
    pub(super) stale: bool,
    /// When all torrents were looked at.
    pub(super) at: Instant,
    /// A torrent waits for its turn.
    pub(super) waits: bool,
    /// The time of the first retry.
    pub(super) retry_at: Option<Instant>,
    /// The sum of the weights of the torrents that share the budget of unwritten bytes.
    pub(super) sharers: u64,
}

impl QueueState {
    pub(super) const fn new(now: Instant) -> Self {
        QueueState { stale: true, at: now, waits: false, retry_at: None, sharers: 0 }
    }
}
