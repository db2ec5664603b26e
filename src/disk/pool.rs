//! The disk threads.

use std::io;
use std::time::Duration;

use crate::disk::storage::{Resumed, Storage, StorageSpec};
use crate::swarm::job::{DiskDone, DiskFault, FaultKind};

/// The disk threads and what they share. All storages are opened here.
pub struct DiskPool {
    _threads: usize,
}

impl DiskPool {
    /// Starts `threads` threads named `disk0` and so on, one for checks and one that syncs.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(threads: usize) -> io::Result<DiskPool> {
        Ok(DiskPool { _threads: threads })
    }

    /// Opens a torrent's storage: takes its lock, reads its resume record and looks at its files. Makes no file or
    /// folder outside the state folder. `answer` is called from disk threads and must not block.
    ///
    /// # Errors
    /// When another process (or this one) works on it, when the folder is missing or holds what must not be touched.
    pub fn open(
        &self,
        spec: StorageSpec,
        answer: impl Fn(DiskDone) + Send + Sync + 'static,
    ) -> Result<(Storage, Resumed), DiskFault> {
        drop((spec, answer));
        Err(DiskFault { kind: FaultKind::Other, text: "storage is not there yet".into() })
    }

    /// How busy the busiest disk thread was during the last second: 0 to 1.
    #[must_use]
    pub fn busy(&self) -> f32 {
        0.0
    }

    /// Closes what is still open and ends the threads. Returns the names of those that did not end in time.
    pub fn shutdown(self, deadline: Duration) -> Vec<String> {
        let _ = deadline;
        Vec::new()
    }
}
