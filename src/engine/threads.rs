//! Threads with names that are counted while they live: what panics in them is caught and told, and whoever waits for
//! them to end learns the names of those that have not.

use std::any::Any;
use std::collections::BTreeMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// The stack of an ordinary thread of ours: nothing here recurses over what strangers send.
pub const STACK: usize = 256 * 1024;

/// All threads of one engine. Clones are the same crew.
#[derive(Clone, Default)]
pub struct Crew {
    roll: Arc<Roll>,
}

#[derive(Default)]
struct Roll {
    alive: Mutex<Alive>,
    left: Condvar,
}

#[derive(Default)]
struct Alive {
    next: u64,
    names: BTreeMap<u64, String>,
}

impl Roll {
    fn lock(&self) -> MutexGuard<'_, Alive> {
        self.alive.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes a thread off the roll when it ends, however it ends.
struct Enrolled {
    roll: Arc<Roll>,
    number: u64,
}

impl Drop for Enrolled {
    fn drop(&mut self) {
        self.roll.lock().names.remove(&self.number);
        self.roll.left.notify_all();
    }
}

impl Crew {
    /// Starts a thread. A panic in `body` ends only this thread; `fault` then gets its words.
    ///
    /// # Errors
    /// When the system gives no more threads; neither closure is called then.
    pub fn spawn(
        &self,
        name: String,
        body: impl FnOnce() + Send + 'static,
        fault: impl FnOnce(String) + Send + 'static,
    ) -> io::Result<()> {
        let number = {
            let mut alive = self.roll.lock();
            alive.next += 1;
            let number = alive.next;
            alive.names.insert(number, name.clone());
            number
        };
        let enrolled = Enrolled { roll: Arc::clone(&self.roll), number };
        std::thread::Builder::new().name(name.clone()).stack_size(STACK).spawn(move || {
            let _enrolled = enrolled;
            if let Err(words) = caught(body) {
                log::error!("thread {name} panicked: {words}");
                fault(words);
            }
        })?;
        Ok(())
    }

    /// How many threads of the crew are alive.
    #[must_use]
    pub fn alive(&self) -> usize {
        self.roll.lock().names.len()
    }

    /// Waits until all threads have ended, or until the deadline; returns the names of those that have not.
    #[must_use]
    pub fn wait(&self, deadline: Instant) -> Vec<String> {
        let mut alive = self.roll.lock();
        while !alive.names.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            alive = self.roll.left.wait_timeout(alive, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        alive.names.values().cloned().collect()
    }
}

/// Does something that may panic, and catches that.
///
/// # Errors
/// What the panic said.
pub fn caught<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| words(&*panic))
}

/// What a panic said.
fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no words").to_owned()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_crew_names_who_is_still_there_and_empties() {
        let crew = Crew::default();
        let (go, wait) = mpsc::channel::<()>();
        crew.spawn("late".into(), move || assert!(wait.recv().is_err()), |_| ()).unwrap();
        assert_eq!(crew.wait(Instant::now()), ["late"]);
        assert_eq!(crew.alive(), 1);
        drop(go);
        assert!(crew.wait(Instant::now() + Duration::from_secs(60)).is_empty());
    }

    #[test]
    fn a_panic_costs_one_thread_and_is_told() {
        let crew = Crew::default();
        let (tell, told) = mpsc::channel();
        crew.spawn("bad".into(), || panic!("number {}", 7), move |words| tell.send(words).unwrap()).unwrap();
        assert_eq!(told.recv().unwrap(), "number 7");
        assert!(crew.wait(Instant::now() + Duration::from_secs(60)).is_empty());
    }
}
