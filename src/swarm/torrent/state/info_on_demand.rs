//! Metadata that are read from disk when a peer asks for them.

use std::time::{Duration, Instant};

use crate::swarm::event::PeerKey;

/// How long metadata that were read stay in memory after their last use.
const KEPT: Duration = Duration::from_secs(60);

/// Who waits for metadata that are being read, and how long those that were read stay in memory.
#[derive(Debug, Default)]
pub(crate) struct InfoOnDemand {
    /// Requests that wait: peer and piece of the metadata.
    asked: Vec<(PeerKey, u32)>,
    /// When the metadata are dropped; `None` if they are not in memory, or always are.
    until: Option<Instant>,
}

impl InfoOnDemand {
    /// Adds a request that waits. Returns whether the metadata must be read for it.
    pub(crate) fn ask(&mut self, peer: PeerKey, piece: u32) -> bool {
        self.asked.push((peer, piece));
        self.asked.len() == 1
    }

    /// Takes the requests that wait.
    pub(crate) fn take_asked(&mut self) -> Vec<(PeerKey, u32)> {
        std::mem::take(&mut self.asked)
    }

    /// Takes note that the metadata were read.
    pub(crate) fn read(&mut self, now: Instant) {
        self.until = Some(now + KEPT);
    }

    /// Takes note that the metadata were used.
    pub(crate) fn used(&mut self, now: Instant) {
        self.until = self.until.map(|_| now + KEPT);
    }

    /// Returns whether the metadata that were read are to be dropped now.
    pub(crate) fn is_unused(&mut self, now: Instant) -> bool {
        self.until.take_if(|until| now >= *until).is_some()
    }

    pub(crate) const fn deadline(&self) -> Option<Instant> {
        self.until
    }

    /// Forgets the requests of an earlier run.
    pub(crate) fn reset(&mut self) {
        self.asked.clear();
    }
}
