//! The disk threads: collecting and writing, checking, syncing.

use std::collections::HashMap;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use crate::disk::bits::{PieceBits, runs};
use crate::disk::busy::Busy;
use crate::disk::check::Check;
use crate::disk::fault;
use crate::disk::files::Files;
use crate::disk::handles::Handles;
use crate::disk::layout::{LaidFile, Layout};
use crate::disk::names;
use crate::disk::owners::Owners;
use crate::disk::ownership::{Opening, Ownership};
use crate::disk::place::Place;
use crate::disk::rawio;
use crate::disk::resume::Record;
use crate::disk::shard::{Shard, Then, Turn, Work};
use crate::disk::stamps::Stamp;
use crate::disk::storage::{Resumed, Storage, StorageSpec};
use crate::disk::store::{self, Found, Store};
use crate::disk::trust::{self, Verdict};
use crate::limits::{BUDGET, SHUTDOWN};
use crate::swarm::job::{DiskDone, DiskFault, DiskJob};

/// The share of the budget that may wait in the disk threads' memory.
const HELD: u64 = BUDGET / 4;
/// How often open files are looked at, and whether any need syncing.
const LOOK: Duration = Duration::from_secs(5);
/// What is written is synced after this time.
const SYNC: Duration = Duration::from_secs(30);
/// Stack of a disk thread, in bytes.
const STACK: usize = 512 * 1024;

/// The disk threads and what they share. All storages are opened here.
#[derive(Debug)]
pub struct DiskPool {
    threads: Arc<Threads>,
    running: Vec<JoinHandle<()>>,
    /// Each thread holds the sender until it ends.
    running_mark: Option<Sender<()>>,
    ended: Receiver<()>,
    /// Dropping it ends the thread that syncs.
    tick: Option<Sender<()>>,
}

/// How the disk threads are reached.
#[derive(Debug)]
pub struct Threads {
    pub(super) shards: Vec<Sender<Work>>,
    /// `None` ends the thread for checks.
    pub(super) checks: Sender<Option<Check>>,
    busy: Vec<Arc<Busy>>,
    stop: AtomicBool,
    handles: Arc<Handles>,
    places: Mutex<Vec<Weak<Place>>>,
    next: AtomicU64,
    owners: Mutex<HashMap<PathBuf, Arc<Owners>>>,
    /// That nothing can be recorded was told.
    complained: Arc<AtomicBool>,
}

impl Threads {
    /// Gives each thread its share of jobs.
    pub(super) fn hand_out(&self, place: &Arc<Place>, shares: &mut [Vec<DiskJob>]) {
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

    /// Has something done when all threads have done what they were given.
    pub(super) fn turn(&self, place: &Arc<Place>, then: Then) {
        let turn = Turn::new(Arc::clone(place), self.shards.len(), then);
        for shard in &self.shards {
            // A thread that has ended has nothing left to wait for.
            if shard.send(Work::Turn(Arc::clone(&turn))).is_err() {
                turn.come();
            }
        }
    }

    fn places(&self) -> Vec<Arc<Place>> {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        places.retain(|p| p.upgrade().is_some_and(|p| !p.is_closed()));
        places.iter().filter_map(Weak::upgrade).collect()
    }
}

/// Answers jobs that no thread is left to do.
fn refuse(place: &Place, work: Work) {
    let Work::Jobs(_, jobs) = work else { return };
    let fault = fault::other("a disk thread has ended: start the program again".into());
    for job in jobs {
        if let DiskJob::Write { block, data } = job {
            place.answer(DiskDone::Wrote(data.len() as u64));
            place.answer(DiskDone::Failed { piece: block.piece, fault: fault.clone() });
        }
    }
}

impl DiskPool {
    /// Starts `threads` threads named `disk0` and so on, one for checks (which takes more while it checks) and one
    /// that syncs.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(threads: usize) -> io::Result<DiskPool> {
        let count = threads.max(1);
        let mut shards = Vec::new();
        let mut inboxes = Vec::new();
        for _ in 0..count {
            // Unbounded in form: what waits here is within the torrents' budget of bytes asked for and unwritten.
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
            handles: Arc::new(Handles::of_this_process()),
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

    /// Opens a torrent's storage: claims it, reads its resume record and looks at its files. Makes no file or
    /// folder outside the state folder, and no record before there is something to record. `answer` is called from disk threads and must not block.
    ///
    /// # Errors
    /// When another process (or this one) works on it, when the folder is missing or holds what must not be touched.
    pub fn open(
        &self,
        spec: StorageSpec,
        answer: impl Fn(DiskDone) + Send + Sync + 'static,
    ) -> Result<(Storage, Resumed), DiskFault> {
        let StorageSpec { layout, dir, state_dir, allocate, unwanted, overwrite } = spec;
        let dir = std::path::absolute(&dir).unwrap_or(dir);
        let (layout, other_names) = names::find(&layout, &dir);
        let store = Store::new(&state_dir, layout.info_hash(), &dir);
        let (claim, unprotected) = store.claim()?;
        let boot = store::boot();
        let found = store.read(&layout, &boot);
        let totals = store.read_totals();
        let totals = totals.map_err(|error| fault::system(fault::Doing::Read, &store.record(), &error, 0))?;
        if let Some(fault) = &found.fault {
            return Err(fault.clone());
        }
        let id = self.threads.next.fetch_add(1, Ordering::Relaxed);
        let ownership = self.owners(&state_dir).enter(store.name(), &layout, &dir);
        let handles = Arc::clone(&self.threads.handles);
        let files = Files::new(id, dir.clone(), allocate, handles, Arc::clone(&ownership));
        files.parts().load(&dir, &layout);
        files.parts().select(&layout, &unwanted);
        let look = |(n, file): (usize, &LaidFile)| if file.pad { Ok(None) } else { files.look(n as u32) };
        let mut looks: Vec<_> = layout.files().iter().enumerate().map(look).collect();
        looks.push(files.look(files.part()));
        // Whatever has the place of a file that is not wanted, it is not touched.
        let unwanted = |n| files.parts().is_unwanted(n);
        let wrote = |n| trust::may_have_written(&found, n);
        let opening = Opening { known: found.base.is_some(), overwrite, unwanted: &unwanted, wrote: &wrote };
        let looks = ownership.settle(&opening, looks)?;
        let device = device(&dir);
        if found.base.is_some() && looks.iter().zip(layout.files()).all(|(l, f)| l.is_none() || f.length == 0) {
            is_it_mounted(&dir, &found, device, &store)?;
        }
        let verdict = trust::judge(&layout, &found, &looks, files.parts());
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
        notes.extend(trust::sentence(&verdict, &dir));
        let have = verdict.have.to_bytes().into();
        let check = with_questions(&layout, &ownership, &looks, &verdict);
        let verdict = Verdict { check: check.clone(), ..verdict };
        let handles = (id, Arc::clone(&self.threads.handles));
        let record = Record::go_on(store, boot, device, &found, verdict, handles);
        ownership.save(false);
        let complained = Arc::clone(&self.threads.complained);
        let place = Arc::new(Place::new(id, files, record, Box::new(answer), claim, complained));
        // A file system without locks is no fault: better no protection than no download.
        if let Some(error) = unprotected.filter(|error| error.kind() != io::ErrorKind::Unsupported) {
            place.heed(Err(error));
        }
        self.threads.places.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(&place));
        // Before a check it is not known whose the files are: it moves what is wanted when it is over.
        if !check.is_empty() {
            ownership.await_judgement();
        } else {
            self.threads.turn(&place, Then::Move);
        }
        let note = (!notes.is_empty()).then(|| notes.join("; "));
        Ok((Storage::new(place, Arc::clone(&self.threads)), Resumed { have, check, totals, note }))
    }

    /// Who owns which paths, by the records of this state folder.
    #[must_use]
    pub fn owners(&self, state_dir: &Path) -> Arc<Owners> {
        let mut owners = self.threads.owners.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(Owners::new(state_dir));
        Arc::clone(owners.entry(state_dir.to_path_buf()).or_insert_with(new))
    }

    /// How busy the busiest disk thread was during the last second: 0 to 1.
    #[must_use]
    pub fn busy(&self) -> f32 {
        self.threads.busy.iter().map(|b| b.share()).fold(0.0, f32::max)
    }

    /// Closes what is still open and ends the threads. Returns the names of those that did not end in time.
    pub fn shutdown(mut self, deadline: Duration) -> Vec<String> {
        self.stop(deadline)
    }

    fn stop(&mut self, deadline: Duration) -> Vec<String> {
        let until = Instant::now() + deadline;
        for place in self.threads.places() {
            if !place.begin_closing() {
                self.threads.turn(&place, Then::Close(None));
            }
        }
        self.threads.stop.store(true, Ordering::Release);
        for shard in &self.threads.shards {
            // One that has ended needs not be told.
            let _ = shard.send(Work::Stop);
        }
        let _ = self.threads.checks.send(None);
        drop((self.tick.take(), self.running_mark.take()));
        // Nothing is ever sent: it ends when the last thread does, or at the deadline.
        let _ = self.ended.recv_deadline(until);
        let mut late = Vec::new();
        for thread in self.running.drain(..) {
            let name = thread.thread().name().unwrap_or_default().to_owned();
            // One that has dropped its mark is through, even if the system has not cleared it away yet.
            if Instant::now() >= until && !thread.is_finished() {
                late.push(name);
            } else if thread.join().is_err() {
                log::error!("the thread {name} had panicked");
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
                log::warn!("threads that did not end in time: {}", late.join(", "));
            }
        }
    }
}

/// The pieces to hash: those that are not vouched for, and those of files of which it is not known whose they are.
fn with_questions(
    layout: &Layout,
    ownership: &Ownership,
    looks: &[Option<Stamp>],
    verdict: &Verdict,
) -> Vec<Range<u32>> {
    let there = |n: &u32| looks.get(*n as usize).copied().flatten().is_some_and(|stamp| stamp.size > 0);
    let mut asked = ownership.in_question().filter(there).peekable();
    if asked.peek().is_none() {
        return verdict.check.clone();
    }
    let pieces = layout.geometry().pieces();
    let check = PieceBits::new(pieces);
    verdict.check.iter().for_each(|run| check.set_all(run.clone()));
    asked.for_each(|n| check.set_all(layout.pieces_of(n as usize)));
    runs((0..pieces).filter(|piece| check.has(*piece) && !verdict.have.has(*piece)))
}

/// Says so when all files are gone because, as it seems, another disk or none is where they were.
fn is_it_mounted(dir: &Path, found: &Found, device: u64, store: &Store) -> Result<(), DiskFault> {
    let Some(base) = found.base.as_ref().filter(|b| b.written.iter().any(|byte| *byte != 0)) else { return Ok(()) };
    if device == base.device {
        return Ok(());
    }
    let text = format!(
        "none of the torrent's files is in {} any more: is its disk mounted? To download them again, delete {}",
        dir.display(),
        store.record().display()
    );
    Err(fault::passing(text))
}

/// The device that a folder lies on, or would if it is not there; 0 where the system does not tell.
pub(super) fn device(dir: &Path) -> u64 {
    let there = dir.ancestors().find_map(|d| std::fs::metadata(d).ok());
    there.and_then(|m| rawio::inode(&m)).map_or(0, |(device, _)| device)
}

/// The thread for checks: one torrent after the other, each on all cores.
fn check_all(threads: &Threads, to_check: &Receiver<Option<Check>>) {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let stop = || threads.stop.load(Ordering::Acquire);
    while let Ok(Some(check)) = to_check.recv() {
        check.run(cores, &stop);
    }
}

/// The thread that looks after open files and syncs what was written a while ago.
fn sync_all(threads: &Threads, ticks: &Receiver<()>) {
    let mut last: HashMap<u64, Instant> = HashMap::new();
    while ticks.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
        let places = threads.places();
        last.retain(|id, _| places.iter().any(|p| p.id == *id));
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
