//! The disk thread pool: opens storages and runs the threads that write and hash, check and fsync.

use std::collections::{HashMap, HashSet};
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use crate::disk::alias_paths;
use crate::disk::atomic_bitfield::{AtomicBitfield, runs};
use crate::disk::check::Check;
use crate::disk::dispatch::Threads;
use crate::disk::error;
use crate::disk::file_cache::FileCache;
use crate::disk::file_look;
use crate::disk::file_stamp::FileStamp;
use crate::disk::files::Files;
use crate::disk::layout::{FileEntry, Layout};
use crate::disk::ownership::registry::OwnershipRegistry;
use crate::disk::ownership::torrent::{OpenContext, Ownership};
use crate::disk::resume::ResumeWriter;
use crate::disk::resume_check::{self, CheckedResume};
use crate::disk::resume_store::{self, LoadedResume, ResumeStore};
use crate::disk::shard::{BarrierAction, Shard, Work};
use crate::disk::storage::{Resumed, Storage, StorageSpec};
use crate::disk::sys;
use crate::disk::torrent_disk::TorrentDisk;
use crate::limits::{BUDGET, SHUTDOWN};
use crate::swarm::job::{DiskDone, DiskFault};

/// Maximum bytes buffered in the disk threads: a share of the write budget.
const HELD: u64 = BUDGET / 4;
/// Interval for detecting external changes of open files and for deciding whether to fsync.
const LOOK: Duration = Duration::from_secs(5);
/// Maximum age of unsynced writes.
const SYNC: Duration = Duration::from_secs(30);
/// Stack size of a disk thread, in bytes.
const STACK: usize = 512 * 1024;

/// The disk threads and their shared state. Opens all storages.
#[derive(Debug)]
pub struct DiskPool {
    threads: Arc<Threads>,
    running: Vec<JoinHandle<()>>,
    /// Each thread holds a clone until it ends; the channel disconnects when the last thread has ended.
    running_mark: Option<Sender<()>>,
    ended: Receiver<()>,
    /// Dropping the sender ends the sync thread.
    tick: Option<Sender<()>>,
}

impl DiskPool {
    /// Starts `threads` disk threads (`disk0`, ..), a check thread and a sync thread.
    ///
    /// The check thread starts more threads for each check.
    ///
    /// # Errors
    /// If the system cannot create a thread.
    pub fn start(threads: usize) -> io::Result<DiskPool> {
        let count = threads.max(1);
        let mut shards = Vec::new();
        let mut inboxes = Vec::new();
        for _ in 0..count {
            // Unbounded, but the torrents' budget of requested and unwritten bytes limits what is queued here.
            let (shard, inbox) = crossbeam_channel::unbounded();
            shards.push(shard);
            inboxes.push(inbox);
        }
        let (checks, to_check) = crossbeam_channel::unbounded();
        let (tick, ticks) = crossbeam_channel::bounded(0);
        let threads = Arc::new(Threads {
            shards,
            checks,
            busy: (0..count).map(|_| Arc::default()).collect(),
            stop: AtomicBool::new(false),
            handles: Arc::new(FileCache::of_this_process()),
            places: Mutex::default(),
            next: AtomicU64::new(1),
            owners: Mutex::default(),
            complained: Arc::default(),
        });
        let (mark, ended) = crossbeam_channel::bounded(0);
        let mut pool = DiskPool {
            threads: Arc::clone(&threads),
            running: Vec::new(),
            running_mark: Some(mark),
            ended,
            tick: Some(tick),
        };
        for (n, inbox) in inboxes.into_iter().enumerate() {
            let shard = Shard::new(inbox, HELD / count as u64, Arc::clone(&threads.busy[n]));
            pool.spawn(format!("disk{n}"), move || shard.run())?;
        }
        let shared = Arc::clone(&threads);
        pool.spawn("check0".into(), move || check_all(&shared, &to_check))?;
        pool.spawn("sync".into(), move || sync_all(&threads, &ticks))?;
        Ok(pool)
    }

    fn spawn(&mut self, name: String, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let mark = self.running_mark.clone();
        let work = move || {
            let _mark = mark;
            work();
        };
        self.running.push(thread::Builder::new().name(name).stack_size(STACK).spawn(work)?);
        Ok(())
    }

    /// Opens the storage of a torrent: claims it, loads and verifies its resume data, and stats its files.
    ///
    /// Creates no file or folder outside the state folder, and no resume data before there is something to record.
    /// `answer` is called from disk threads and must not block.
    ///
    /// # Errors
    /// If a process has the torrent open in this folder, the folder's disk seems not to be mounted, the resume data
    /// cannot be read now, or a path belongs to another torrent or is otherwise unusable. Where nothing of the torrent is
    /// there yet, also if nothing can be created in the folder.
    pub fn open(
        &self,
        spec: StorageSpec,
        answer: impl Fn(DiskDone) + Send + Sync + 'static,
    ) -> Result<(Storage, Resumed), DiskFault> {
        let StorageSpec { layout, dir, state_dir, allocate, unwanted, overwrite, mend_names, read_only } = spec;
        let unwanted = if read_only { (0..layout.files().len() as u32).collect() } else { unwanted };
        let dir = std::path::absolute(&dir).unwrap_or(dir);
        file_look::check_folder(&dir)?;
        // Pieces of padding only are recognized by their hash.
        if layout.files().iter().any(|file| file.pad) {
            layout.load_hashes()?;
        }
        let (layout, other_names) = alias_paths::find_or_mend(&layout, &dir, mend_names);
        let store = ResumeStore::new(&state_dir, layout.info_hash(), &dir);
        let (claim, unprotected) = store.claim()?;
        let boot = resume_store::boot_id();
        let found = store.read(&layout, &boot);
        let totals = store.read_totals();
        let totals = totals.map_err(|error| error::from_io(error::DiskOp::Read, &store.record(), &error, 0))?;
        if let Some(fault) = &found.fault {
            return Err(fault.clone());
        }
        let id = self.threads.next.fetch_add(1, Ordering::Relaxed);
        let ownership = Ownership::open(&self.owners(&state_dir), store.name(), &layout, &dir);
        let handles = Arc::clone(&self.threads.handles);
        let files = Files::new(id, dir.clone(), allocate, handles, Arc::clone(&ownership));
        files.parts().load(&dir, &layout);
        files.parts().select(&layout, &unwanted);
        let look = |(n, file): (usize, &FileEntry)| if file.pad { Ok(None) } else { files.stat(n as u32) };
        let mut looks: Vec<_> = layout.files().iter().enumerate().map(look).collect();
        looks.push(files.stat(files.part()));
        // An entry at the path of an unwanted file is never touched, whatever it is.
        let unwanted = |n| files.parts().is_unwanted(n);
        let wrote = |n| resume_check::may_have_written(&found, n);
        let opening = OpenContext { known: found.base.is_some(), overwrite, unwanted: &unwanted, wrote: &wrote };
        let looks = ownership.classify_files(&opening, looks)?;
        let device = sys::device(&dir);
        if found.base.is_some() && looks.iter().zip(layout.files()).all(|(l, f)| l.is_none() || f.length == 0) {
            check_mounted(&dir, &found, device, &store)?;
        }
        let verdict = resume_check::verify_resume(&layout, &found, &looks, files.parts());
        verdict.in_question.iter().for_each(|(n, same)| ownership.question(*n, *same));
        for (n, look) in looks.iter().enumerate() {
            let Some(look) = look else { continue };
            files.found(n as u32, *look);
            let mut pieces = if n < layout.files().len() { layout.pieces_of(n) } else { 0..layout.geometry().pieces() };
            if pieces.any(|p| verdict.have.has(p) && !verdict.synced.has(p)) {
                files.unsynced(n as u32);
            }
        }
        let mut notes = found.notes.clone();
        notes.extend(other_names);
        notes.extend(resume_check::describe(&verdict, &dir));
        if read_only {
            notes.extend(file_look::describe_unusable(&layout, &dir, &verdict.have));
        }
        check_fresh(&layout, &dir, found.base.is_some() || looks.iter().any(Option::is_some), &unwanted)?;
        let whole = verdict.have.count() == layout.geometry().pieces();
        let have = verdict.have.to_bytes().into();
        let check = pieces_to_check(&layout, &ownership, &looks, &verdict);
        match whole && check.is_empty() {
            true => layout.release_hashes(),
            false => layout.load_hashes()?,
        }
        let verdict = CheckedResume { check: check.clone(), ..verdict };
        let handles = (id, Arc::clone(&self.threads.handles));
        let record = ResumeWriter::from_loaded(store, boot, device, &found, verdict, handles);
        ownership.save(false);
        let complained = Arc::clone(&self.threads.complained);
        let place = Arc::new(TorrentDisk::new(id, (files, read_only), record, Box::new(answer), claim, complained));
        // A file system without locks is not an error: running unprotected is better than not downloading.
        if let Some(error) = unprotected.filter(|error| error.kind() != io::ErrorKind::Unsupported) {
            place.report_save_error(Err(error));
        }
        self.threads.places.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(&place));
        // Before a check it is not known whose the files are: it moves what is wanted when it is over.
        if !check.is_empty() {
            ownership.await_judgement();
        } else {
            self.threads.barrier(&place, BarrierAction::MoveWanted(None));
        }
        let note = (!notes.is_empty()).then(|| notes.join("; "));
        Ok((Storage::new(place, Arc::clone(&self.threads)), Resumed { have, check, totals, note }))
    }

    /// Returns the ownership records of a state folder, one shared instance per folder.
    #[must_use]
    pub fn owners(&self, state_dir: &Path) -> Arc<OwnershipRegistry> {
        let mut owners = self.threads.owners.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(OwnershipRegistry::new(state_dir));
        Arc::clone(owners.entry(state_dir.to_path_buf()).or_insert_with(new))
    }

    /// Returns the utilization of the busiest disk thread during the last second, from 0 to 1.
    #[must_use]
    pub fn busy(&self) -> f32 {
        self.threads.busy.iter().map(|b| b.share()).fold(0.0, f32::max)
    }

    /// Closes all open storages and ends the threads.
    ///
    /// Returns the names of threads that did not end before the deadline.
    pub fn shutdown(mut self, deadline: Duration) -> Vec<String> {
        self.stop(deadline)
    }

    fn stop(&mut self, deadline: Duration) -> Vec<String> {
        let until = Instant::now() + deadline;
        for place in self.threads.places() {
            if !place.begin_closing() {
                self.threads.barrier(&place, BarrierAction::Close(None));
            }
        }
        self.threads.stop.store(true, Ordering::Release);
        for shard in &self.threads.shards {
            // A send error means that the thread has ended already.
            let _ = shard.send(Work::Stop);
        }
        let _ = self.threads.checks.send(None);
        drop((self.tick.take(), self.running_mark.take()));
        // Nothing is ever sent: `recv` returns when the last thread drops its sender, or at the deadline.
        let _ = self.ended.recv_deadline(until);
        let mut late = Vec::new();
        for thread in self.running.drain(..) {
            let name = thread.thread().name().unwrap_or_default().to_owned();
            // A thread that has dropped its sender is done, even if the system has not reaped it yet.
            if Instant::now() >= until && !thread.is_finished() {
                late.push(name);
            } else if thread.join().is_err() {
                tracing::error!("the thread {name} had panicked");
            }
        }
        late
    }
}

impl Drop for DiskPool {
    fn drop(&mut self) {
        if !self.running.is_empty() {
            let late = self.stop(SHUTDOWN);
            if !late.is_empty() {
                tracing::warn!("threads that did not end in time: {}", late.join(", "));
            }
        }
    }
}

/// Checks that files can be created in the folder of a torrent that wants some and of which nothing is `there` yet.
fn check_fresh(layout: &Layout, dir: &Path, there: bool, unwanted: &dyn Fn(u32) -> bool) -> Result<(), DiskFault> {
    let wants = || layout.files().iter().enumerate().any(|(n, file)| !file.pad && !unwanted(n as u32));
    if there || !wants() { Ok(()) } else { file_look::check_writable(dir) }
}

/// Returns the pieces to hash: those of `verdict.check` and those of files with undecided ownership.
fn pieces_to_check(
    layout: &Layout,
    ownership: &Ownership,
    looks: &[Option<FileStamp>],
    verdict: &CheckedResume,
) -> Vec<Range<u32>> {
    let there = |n: &u32| looks.get(*n as usize).copied().flatten().is_some_and(|stamp| stamp.size > 0);
    let mut asked = ownership.undecided().filter(there).peekable();
    if asked.peek().is_none() {
        return verdict.check.clone();
    }
    let pieces = layout.geometry().pieces();
    let check = AtomicBitfield::new(pieces);
    verdict.check.iter().for_each(|run| check.set_all(run.clone()));
    asked.for_each(|n| check.set_all(layout.pieces_of(n as usize)));
    runs((0..pieces).filter(|piece| check.has(*piece) && !verdict.have.has(*piece)))
}

/// Returns an error if the folder is on another device than before: its disk is probably not mounted.
fn check_mounted(dir: &Path, found: &LoadedResume, device: u64, store: &ResumeStore) -> Result<(), DiskFault> {
    let Some(base) = found.base.as_ref().filter(|b| b.written.iter().any(|byte| *byte != 0)) else { return Ok(()) };
    if device == base.device {
        return Ok(());
    }
    let DiskFault { kind, text } = error::unmounted(dir);
    let text = format!("{text} To download them again, delete {}", store.record().display());
    Err(DiskFault { kind, text })
}

/// Main function of the check thread: runs hash checks one torrent at a time, each on all cores.
fn check_all(threads: &Threads, to_check: &Receiver<Option<Check>>) {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let stop = || threads.stop.load(Ordering::Acquire);
    while let Ok(Some(check)) = to_check.recv() {
        check.run(cores, &stop);
    }
}

/// Main function of the sync thread: detects external file changes and fsyncs older writes.
fn sync_all(threads: &Threads, ticks: &Receiver<()>) {
    let mut last: HashMap<u64, Instant> = HashMap::new();
    while ticks.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
        let places = threads.places();
        let open: HashSet<u64> = places.iter().map(|place| place.id).collect();
        last.retain(|id, _| open.contains(id));
        for place in places.iter().filter(|p| !p.is_closing()) {
            place.watch();
            let now = Instant::now();
            let since = *last.entry(place.id).or_insert(now);
            if now.duration_since(since) >= SYNC && place.files.is_dirty() {
                place.sync();
                last.insert(place.id, Instant::now());
            }
        }
    }
}
