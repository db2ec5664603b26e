//! What the threads of the embedded tracker share: the torrents, pending connections and counters.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::store::{AnnounceCall, Store, StoreFull};
use crate::wire::tracker::server::ServerAnnounceResponse;

/// The number of pending connections per address.
pub(super) type PendingConnections = Arc<Mutex<HashMap<IpAddr, usize>>>;

/// Counters of a tracker.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TrackerStats {
    /// Torrents known.
    pub torrents: usize,
    /// Peers known, counted once per torrent.
    pub peers: usize,
    /// The seeds among `peers`.
    pub seeds: usize,
    /// Successful announces.
    pub announces: u64,
    /// Scrapes.
    pub scrapes: u64,
    /// Requests that were refused, malformed or too slow.
    pub refused: u64,
}

/// State shared by the tracker threads.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) store: Mutex<Store>,
    /// The number of pending HTTP connections per address.
    pub(super) crowd: PendingConnections,
    pub(super) stop: AtomicBool,
    pub(super) announces: AtomicU64,
    pub(super) scrapes: AtomicU64,
    pub(super) refused: AtomicU64,
}

impl Shared {
    pub(super) fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn stopping(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    pub(super) fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Handles an announce from HTTP or UDP.
    pub(super) fn announce(&self, call: &AnnounceCall) -> Result<ServerAnnounceResponse, StoreFull> {
        let answer = self.store().announce(Instant::now(), call);
        let AnnounceCall { info_hash, addr, event, left, .. } = call;
        match &answer {
            Ok(answer) => {
                Shared::count(&self.announces);
                tracing::debug!(
                    "{info_hash}: {addr} announces {event:?}, {left} left, and is told {}",
                    answer.peers.len()
                );
            }
            Err(why) => tracing::debug!("{info_hash}: {addr} is refused: {why}"),
        }
        answer
    }

    pub(super) fn stats(&self) -> TrackerStats {
        let (torrents, peers, seeds) = self.store().totals();
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        TrackerStats {
            torrents,
            peers,
            seeds,
            announces: read(&self.announces),
            scrapes: read(&self.scrapes),
            refused: read(&self.refused),
        }
    }
}
