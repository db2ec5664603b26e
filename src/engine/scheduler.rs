//! Runs many state machines on a few threads.
//!
//! A [`Task`] is the place of one [`Machine`]. It is *idle* until a message arrives for its machine ([`Task::wake`]) or
//! the machine's deadline has come. Then it enters the ready queue, and a worker gives the machine a turn:
//!
//! ```text
//!  wake, deadline        ready queue            turn
//!   idle ---------------> |a|b|c| ---------> worker ---> idle: nothing to do until woken or until a deadline
//!                            ^                  |------> back of the queue: more to do, and others are ready
//!                            `------------------'------> ended: by itself or by a panic
//! ```
//! A machine is run by one worker at a time. A message that arrives during the turn is noted in the state of the task, so
//! the task does not become idle with it unread. A worker keeps a machine that has more to do while no other is ready, so a
//! busy torrent costs no wake-up of a thread per message.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::Thread;
use std::time::{Duration, Instant};

use super::threads::{ThreadGroup, catch_panic};

/// A message has arrived since the last turn began.
const WOKEN: u8 = 1;
/// The deadline has come since the last turn began.
const DUE: u8 = 2;
/// The task is in the ready queue or a worker has it, or it has no machine yet or no longer. Whoever sets this bit
/// enqueues the task.
const TAKEN: u8 = 4;

/// No deadline.
const NEVER: u64 = u64::MAX;

/// A state machine that a [`Scheduler`] runs in turns.
pub(crate) trait Machine: Send {
    /// Handles a bounded part of what has arrived and what is due. Must not block, because others wait for the thread.
    fn turn(&mut self) -> Turn;
    /// Called after the turn that returned [`Turn::Ended`].
    fn end(self: Box<Self>);
}

/// What a machine needs after a turn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Turn {
    /// Another turn, after those of others that are ready.
    Again,
    /// A turn when it is woken, at the latest at this time.
    Until(Instant),
    /// No other turn.
    Ended,
}

/// The place of a machine in a scheduler. Clones are the same place.
///
/// Can be woken before it has a machine: the first turn of the machine comes in any case.
#[derive(Clone)]
pub(crate) struct Task {
    slot: Arc<Slot>,
}

struct Slot {
    /// [`WOKEN`], [`DUE`], [`TAKEN`].
    state: AtomicU8,
    machine: Mutex<Option<Running>>,
    /// The scheduler, and the number of the task in it.
    home: OnceLock<(Arc<Shared>, u64)>,
    /// When the machine wants a turn, in microseconds since the scheduler began.
    deadline: AtomicU64,
    /// The key of the task in the timers: not later than `deadline`, or [`NEVER`]. Changed only under the lock of [`Core`].
    armed: AtomicU64,
}

struct Running {
    machine: Box<dyn Machine>,
    /// Receives the message of a panic.
    fault: Box<dyn FnOnce(String) + Send>,
}

/// The workers and the queue. Dropping it ends the workers; machines that have not ended are not run any more.
pub(crate) struct Scheduler {
    shared: Arc<Shared>,
}

/// Tells how many machines have not ended.
#[derive(Clone)]
pub(crate) struct MachineCount(Arc<Shared>);

struct Shared {
    began: Instant,
    core: Mutex<Core>,
    /// Number of ready tasks that no worker without work is about to take, and the first deadline: for workers that have
    /// something to do.
    unclaimed: AtomicUsize,
    first: AtomicU64,
    ending: AtomicBool,
    alive: AtomicUsize,
    numbers: AtomicU64,
}

#[derive(Default)]
struct Core {
    ready: VecDeque<Task>,
    /// One entry for each task with a deadline, by time and number.
    timers: BTreeMap<(u64, u64), Task>,
    /// The workers without anything to do. One of them waits only until the first deadline.
    parked: Vec<Parked>,
    /// Number of workers that were woken for a task and have not taken one yet.
    waking: usize,
}

struct Parked {
    worker: usize,
    thread: Thread,
    until: Option<u64>,
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Default for Task {
    fn default() -> Self {
        let slot = Slot {
            state: AtomicU8::new(TAKEN),
            machine: Mutex::new(None),
            home: OnceLock::new(),
            deadline: AtomicU64::new(NEVER),
            armed: AtomicU64::new(NEVER),
        };
        Task { slot: Arc::new(slot) }
    }
}

impl Task {
    /// Gives the machine a turn, after a message was put where its turn finds it. Never blocks.
    pub(crate) fn wake(&self) {
        // Always a read-modify-write: it is ordered with that of the worker before the turn, so either the turn finds the
        // message, or the worker finds the bit after the turn.
        self.call(WOKEN).into_iter().for_each(|home| home.enqueue(self.clone()));
    }

    /// Sets the bit. Returns the scheduler if the task must be enqueued.
    fn call(&self, why: u8) -> Option<&Shared> {
        let before = self.slot.state.fetch_or(why | TAKEN, Ordering::AcqRel);
        if before & TAKEN == 0 { self.slot.home.get().map(|(home, _)| &**home) } else { None }
    }
}

impl Scheduler {
    /// Starts this many workers.
    ///
    /// # Errors
    /// If the system cannot create a thread.
    pub(crate) fn start(crew: &ThreadGroup, workers: usize) -> io::Result<Scheduler> {
        let shared = Shared {
            began: Instant::now(),
            core: Mutex::default(),
            unclaimed: AtomicUsize::new(0),
            first: AtomicU64::new(NEVER),
            ending: AtomicBool::new(false),
            alive: AtomicUsize::new(0),
            numbers: AtomicU64::new(0),
        };
        // Dropped after an error, this ends the workers that could be started.
        let scheduler = Scheduler { shared: Arc::new(shared) };
        for worker in 0..workers.max(1) {
            let shared = Arc::clone(&scheduler.shared);
            crew.spawn(format!("torrents{worker}"), move || shared.work(worker), |_| ())?;
        }
        Ok(scheduler)
    }

    /// Gives the task its machine and the machine its first turn. A task takes one machine only.
    ///
    /// `fault` receives the message if the machine panics; the machine is dropped then.
    pub(crate) fn run(
        &self,
        task: &Task,
        machine: impl Machine + 'static,
        fault: impl FnOnce(String) + Send + 'static,
    ) {
        *lock(&task.slot.machine) = Some(Running { machine: Box::new(machine), fault: Box::new(fault) });
        let number = self.shared.numbers.fetch_add(1, Ordering::Relaxed);
        if task.slot.home.set((Arc::clone(&self.shared), number)).is_ok() {
            self.shared.alive.fetch_add(1, Ordering::Relaxed);
            self.shared.enqueue(task.clone());
        }
    }

    /// Returns the counter of machines that have not ended.
    #[must_use]
    pub(crate) fn count(&self) -> MachineCount {
        MachineCount(Arc::clone(&self.shared))
    }
}

impl MachineCount {
    /// Returns the number of machines that have not ended.
    #[must_use]
    pub(crate) fn get(&self) -> usize {
        self.0.alive.load(Ordering::Relaxed)
    }
}

impl Drop for Scheduler {
    fn drop(&mut self) {
        self.shared.ending.store(true, Ordering::SeqCst);
        let core = lock(&self.shared.core);
        core.parked.iter().for_each(|parked| parked.thread.unpark());
    }
}

impl Core {
    /// Takes a worker off the list of those without work; those without a deadline first.
    fn take_parked(&mut self) -> Option<Thread> {
        let at = self.parked.iter().rposition(|it| it.until.is_none()).or(self.parked.len().checked_sub(1))?;
        Some(self.parked.remove(at).thread)
    }
}

impl Shared {
    fn micros(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.began).as_micros()).unwrap_or(NEVER)
    }

    /// Appends a task to the ready queue.
    fn enqueue(&self, task: Task) {
        let mut core = lock(&self.core);
        core.ready.push_back(task);
        self.unlock(core);
    }

    /// Tells the other workers what has changed, unlocks, and wakes workers without work for the tasks that are ready.
    fn unlock(&self, mut core: MutexGuard<'_, Core>) {
        let mut workers = Vec::new();
        while core.ready.len() > core.waking
            && let Some(worker) = core.take_parked()
        {
            core.waking += 1;
            workers.push(worker);
        }
        self.unclaimed.store(core.ready.len().saturating_sub(core.waking), Ordering::Release);
        self.first.store(core.timers.first_key_value().map_or(NEVER, |((at, _), _)| *at), Ordering::Release);
        drop(core);
        workers.iter().for_each(Thread::unpark);
    }

    /// Main function of a worker.
    fn work(&self, me: usize) {
        while let Some(task) = self.next(me) {
            self.give_turns(&task);
        }
    }

    /// Waits for a task that is ready; `None` at the end.
    fn next(&self, me: usize) -> Option<Task> {
        let mut core = lock(&self.core);
        loop {
            if self.ending.load(Ordering::SeqCst) {
                return None;
            }
            self.call_due(&mut core);
            if let Some(task) = core.ready.pop_front() {
                self.unlock(core);
                return Some(task);
            }
            let first = core.timers.first_key_value().map(|((at, _), _)| *at);
            let until = first.filter(|at| core.parked.iter().all(|other| other.until.is_none_or(|until| until > *at)));
            core.parked.push(Parked { worker: me, thread: std::thread::current(), until });
            self.unlock(core);
            match until {
                Some(at) => {
                    let wait = at.saturating_sub(self.micros(Instant::now()));
                    std::thread::park_timeout(Duration::from_micros(wait));
                }
                None => std::thread::park(),
            }
            core = lock(&self.core);
            match core.parked.iter().position(|parked| parked.worker == me) {
                Some(at) => drop(core.parked.remove(at)),
                // Whoever took it off the list has woken it for a task.
                None => core.waking -= 1,
            }
        }
    }

    /// Enqueues the tasks whose deadline has come.
    fn call_due(&self, core: &mut Core) {
        let now = self.micros(Instant::now());
        while let Some(entry) = core.timers.first_entry().filter(|entry| entry.key().0 <= now) {
            let ((_, number), task) = entry.remove_entry();
            // Ordered against `set_deadline`: one of the two sees what the other has stored.
            task.slot.armed.store(NEVER, Ordering::SeqCst);
            let deadline = task.slot.deadline.load(Ordering::SeqCst);
            if deadline > now {
                // The deadline was moved meanwhile.
                task.slot.armed.store(deadline, Ordering::SeqCst);
                core.timers.insert((deadline, number), task);
            } else if task.call(DUE).is_some() {
                core.ready.push_back(task);
            }
        }
    }

    /// Returns whether other tasks are ready that no other worker is about to take, or the workers are to end.
    fn others_wait(&self) -> bool {
        let first = self.first.load(Ordering::Acquire);
        if first != NEVER && first <= self.micros(Instant::now()) {
            let mut core = lock(&self.core);
            self.call_due(&mut core);
            self.unlock(core);
        }
        self.unclaimed.load(Ordering::Acquire) > 0 || self.ending.load(Ordering::Relaxed)
    }

    /// Gives the machine of a task turns until it has nothing to do, others are ready, or it has ended.
    fn give_turns(&self, task: &Task) {
        let slot = &*task.slot;
        let mut place = lock(&slot.machine);
        loop {
            let Some(running) = place.as_mut() else { return };
            slot.state.fetch_and(!(WOKEN | DUE), Ordering::AcqRel);
            match catch_panic(|| running.machine.turn()) {
                Ok(Turn::Again) => {}
                Ok(Turn::Until(at)) => {
                    // Rounded up, so that no turn comes too early.
                    self.set_deadline(task, self.micros(at).saturating_add(1));
                    // Neither spinning nor yielding pays here: on a busy computer others take the core for long.
                    if slot.state.compare_exchange(TAKEN, 0, Ordering::AcqRel, Ordering::Acquire).is_ok() {
                        return;
                    }
                }
                Ok(Turn::Ended) => return self.end(task, place.take(), None),
                Err(panic) => return self.end(task, place.take(), Some(panic.0)),
            }
            if self.others_wait() {
                drop(place);
                return self.enqueue(task.clone());
            }
        }
    }

    /// Stores when the machine wants a turn. The timers change only if that is earlier than they know: a later deadline is
    /// found when the earlier one has come, so a busy machine rarely takes the lock.
    fn set_deadline(&self, task: &Task, at: u64) {
        let slot = &*task.slot;
        slot.deadline.store(at, Ordering::SeqCst);
        if slot.armed.load(Ordering::SeqCst) <= at {
            return;
        }
        let Some((_, number)) = slot.home.get() else { return };
        let mut core = lock(&self.core);
        let armed = slot.armed.swap(at, Ordering::SeqCst);
        core.timers.remove(&(armed, *number));
        core.timers.insert((at, *number), task.clone());
        self.unlock(core);
    }

    /// Ends a machine, by itself or with the message of a panic. The task stays taken: nothing enqueues it any more.
    fn end(&self, task: &Task, running: Option<Running>, panic: Option<String>) {
        let mut core = lock(&self.core);
        let armed = task.slot.armed.swap(NEVER, Ordering::SeqCst);
        if let Some((_, number)) = task.slot.home.get() {
            core.timers.remove(&(armed, *number));
        }
        self.unlock(core);
        let Some(Running { machine, fault }) = running else { return };
        let words = match panic {
            None => catch_panic(|| machine.end()).err().map(|panic| panic.0),
            Some(words) => {
                tracing::error!("a torrent panicked: {words}");
                // What is half done may panic again when it is dropped.
                let _ = catch_panic(|| drop(machine));
                Some(words)
            }
        };
        if let Some(words) = words {
            let _ = catch_panic(|| fault(words));
        }
        self.alive.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
