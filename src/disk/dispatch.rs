//! The queues of the disk threads: what storages submit, and what the pool's threads have in common.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crossbeam_channel::Sender;

use crate::disk::check::Check;
use crate::disk::error;
use crate::disk::file_cache::FileCache;
use crate::disk::ownership::registry::OwnershipRegistry;
use crate::disk::shard::{Barrier, BarrierAction, Work};
use crate::disk::torrent_disk::TorrentDisk;
use crate::disk::utilization::BusyMeter;
use crate::swarm::job::{DiskDone, DiskJob};

/// Shared state of the pool: the queues of the disk threads, and what storages have in common.
#[derive(Debug)]
pub(crate) struct Threads {
    pub(super) shards: Vec<Sender<Work>>,
    /// Queue of the check thread; `None` ends it.
    pub(super) checks: Sender<Option<Check>>,
    pub(super) busy: Vec<Arc<BusyMeter>>,
    pub(super) stop: AtomicBool,
    pub(super) handles: Arc<FileCache>,
    pub(super) places: Mutex<Vec<Weak<TorrentDisk>>>,
    pub(super) next: AtomicU64,
    pub(super) owners: Mutex<HashMap<PathBuf, Arc<OwnershipRegistry>>>,
    /// Whether it was reported to the user that resume data cannot be written.
    pub(super) complained: Arc<AtomicBool>,
}

impl Threads {
    /// Sends each disk thread its share of jobs.
    pub(super) fn dispatch(&self, place: &Arc<TorrentDisk>, shares: &mut [Vec<DiskJob>]) {
        for (shard, share) in self.shards.iter().zip(shares) {
            if share.is_empty() {
                continue;
            }
            let work = Work::Jobs(Arc::clone(place), std::mem::take(share));
            if let Err(refused) = shard.send(work) {
                refuse(place, refused.into_inner());
            }
        }
    }

    /// Enqueues a barrier: `then` runs once all threads have done the jobs queued before.
    pub(super) fn barrier(&self, place: &Arc<TorrentDisk>, then: BarrierAction) {
        let turn = Barrier::new(Arc::clone(place), self.shards.len(), then);
        for shard in &self.shards {
            // A thread that has ended cannot arrive at the barrier itself.
            if shard.send(Work::Barrier(Arc::clone(&turn))).is_err() {
                turn.arrive();
            }
        }
    }

    pub(super) fn places(&self) -> Vec<Arc<TorrentDisk>> {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        places.retain(|p| p.upgrade().is_some_and(|p| !p.is_closed()));
        places.iter().filter_map(Weak::upgrade).collect()
    }
}

/// Answers jobs whose disk thread has ended: their writes fail.
fn refuse(place: &TorrentDisk, work: Work) {
    let Work::Jobs(_, jobs) = work else { return };
    let fault = error::other("a disk thread has ended: start the program again".into());
    for job in jobs {
        if let DiskJob::Write { block, data } = job {
            place.send_result(DiskDone::Wrote(data.len() as u64));
            place.send_result(DiskDone::Failed { piece: block.piece, fault: fault.clone() });
        }
    }
}
