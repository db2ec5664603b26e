//! A group of named threads. Panics are caught and reported; [`ThreadGroup::wait`] returns the names of the threads
//! that did not end before the deadline.

use std::any::Any;
use std::collections::BTreeMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use thiserror::Error;

/// Stack size of engine threads in bytes. Small, because no code recurses over untrusted input.
pub const STACK: usize = 256 * 1024;

/// All threads of one engine except the disk threads. Clones share the group.
#[derive(Clone, Default)]
pub struct ThreadGroup {
    roll: Arc<ThreadRegistry>,
}

#[derive(Default)]
struct ThreadRegistry {
    alive: Mutex<Alive>,
    left: Condvar,
}

#[derive(Default)]
struct Alive {
    next: u64,
    names: BTreeMap<u64, String>,
}

impl ThreadRegistry {
    fn lock(&self) -> MutexGuard<'_, Alive> {
        self.alive.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Removes a thread from the registry on drop, including after a panic.
struct Enrolled {
    roll: Arc<ThreadRegistry>,
    number: u64,
}

impl Drop for Enrolled {
    fn drop(&mut self) {
        self.roll.lock().names.remove(&self.number);
        self.roll.left.notify_all();
    }
}

impl ThreadGroup {
    /// Starts a thread in the `tracing` span of the caller. A panic in `body` ends only this thread; `fault` receives its
    /// message.
    ///
    /// # Errors
    /// Fails if the system cannot create a thread; neither closure is called then.
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
        let span = tracing::Span::current();
        std::thread::Builder::new().name(name.clone()).stack_size(STACK).spawn(move || {
            let _enrolled = enrolled;
            let _span = span.entered();
            if let Err(Panicked(words)) = catch_panic(body) {
                tracing::error!("thread {name} panicked: {words}");
                fault(words);
            }
        })?;
        Ok(())
    }

    /// Returns the number of running threads.
    #[must_use]
    pub fn alive(&self) -> usize {
        self.roll.lock().names.len()
    }

    /// Waits until all threads have ended or the deadline passes. Returns the names of the threads still running.
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

/// Calls `work` and catches a panic.
///
/// # Errors
/// If `work` panicked.
pub fn catch_panic<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| Panicked(words(&*panic)))
}

/// A panic that was caught, with its message.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("{0}")]
pub struct Panicked(pub String);

/// Returns the message of a panic payload.
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
    fn wait_returns_names_of_running_threads() {
        let crew = ThreadGroup::default();
        let (go, wait) = mpsc::channel::<()>();
        crew.spawn("late".into(), move || assert!(wait.recv().is_err()), |_| ()).unwrap();
        assert_eq!(crew.wait(Instant::now()), ["late"]);
        assert_eq!(crew.alive(), 1);
        drop(go);
        assert!(crew.wait(Instant::now() + Duration::from_secs(60)).is_empty());
    }

    #[test]
    fn panic_is_caught_and_reported() {
        let crew = ThreadGroup::default();
        let (tell, told) = mpsc::channel();
        crew.spawn("bad".into(), || panic!("number {}", 7), move |words| tell.send(words).unwrap()).unwrap();
        assert_eq!(told.recv().unwrap(), "number 7");
        assert!(crew.wait(Instant::now() + Duration::from_secs(60)).is_empty());
    }
}
