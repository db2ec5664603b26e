//! Claims: at most one process has a torrent open in a download folder; the others learn its pid.
//!
//! A process holds one lock file, however many torrents it has open, and lists them in a second file:
//!
//! ```text
//! running/gate          locked while a process reads the lists and adds to its own
//! running/PID-N.lock    locked as long as the process lives: the system unlocks it, also after a crash
//! running/PID-N.list    the torrents it has open, one name per line; `+` claims, `-` releases
//! ```
//! A lock file that can be locked belongs to a process that has ended; any process may delete it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use crate::disk::atomic_file::{make_private, private, remove};
use crate::disk::error;
use crate::limits;
use crate::swarm::job::DiskFault;

/// Maximum time to wait for another process that holds the gate.
const PATIENCE: Duration = Duration::from_secs(5);
/// Delay between two attempts to lock the gate.
const AGAIN: Duration = Duration::from_millis(5);

/// An exclusive claim on a torrent in a download folder, released on drop.
#[derive(Debug)]
pub struct Claim {
    /// `None` if the state folder is not writable: running without protection is better than not running.
    held: Option<(Arc<Process>, String)>,
}

/// The lock file and the list of this process in a state folder.
#[derive(Debug)]
struct Process {
    folder: PathBuf,
    /// File name prefix of its lock file and list.
    name: String,
    gate: File,
    /// The lock file, locked while it is open.
    _alive: File,
    list: Mutex<List>,
}

#[derive(Debug)]
struct List {
    file: File,
    names: BTreeSet<String>,
    lines: usize,
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The entry of this process in each state folder that it uses; shared by all engines of the process.
static PROCESSES: Mutex<BTreeMap<PathBuf, Weak<Process>>> = Mutex::new(BTreeMap::new());

/// Claims `name` among all processes that use this state folder.
///
/// An unusable state folder is not an error: the second value is then the reason why nothing is protected.
///
/// # Errors
/// If `name` is claimed already, with the pid of the process.
pub(crate) fn claim(state_dir: &Path, name: &str) -> Result<(Claim, Option<io::Error>), DiskFault> {
    let folder = state_dir.join("running");
    let mut all = lock(&PROCESSES);
    let known = all.get(&folder).and_then(Weak::upgrade);
    let process = match known.map_or_else(|| Process::new(&folder).map(Arc::new), Ok) {
        Ok(process) => process,
        Err(error) => {
            // Claims of processes that could write to the state folder are still respected.
            return match holder(&folder, "", name) {
                Some(pid) => Err(held_by(&pid)),
                None => Ok((Claim { held: None }, Some(error))),
            };
        }
    };
    all.retain(|_, process| process.strong_count() > 0);
    all.insert(folder, Arc::downgrade(&process));
    drop(all);
    let unprotected = process.add(name)?.err();
    Ok((Claim { held: Some((process, name.to_owned())) }, unprotected))
}

/// Returns whether any process that uses this state folder, including this one, has claimed `name`.
#[must_use]
pub(crate) fn is_claimed(state_dir: &Path, name: &str) -> bool {
    let folder = state_dir.join("running");
    let mine = lock(&PROCESSES).get(&folder).and_then(Weak::upgrade);
    if mine.as_ref().is_some_and(|mine| lock(&mine.list).names.contains(name)) {
        return true;
    }
    // Without a gate file no process has ever made a claim.
    let Ok(gate) = private().open(folder.join("gate")) else { return false };
    let _passed = GateGuard::new(&gate);
    holder(&folder, mine.as_ref().map_or("", |mine| &mine.name), name).is_some()
}

fn held_by(pid: &str) -> DiskFault {
    error::transient(format!(
        "already running (pid {pid}): this torrent is worked on in this folder; stop that one first"
    ))
}

impl Process {
    fn new(folder: &Path) -> io::Result<Process> {
        make_private(folder)?;
        let gate = private().create(true).truncate(false).open(folder.join("gate"))?;
        let name = format!("{}-{:08x}", std::process::id(), fastrand::u32(..));
        let of = |ending: &str| folder.join(format!("{name}.{ending}"));
        // The gate keeps other processes from deleting the lock file as a leftover before it is locked.
        let passed = GateGuard::new(&gate)?;
        let alive = private().create_new(true).open(of("lock"))?;
        match alive.try_lock() {
            Ok(()) => {}
            Err(error) => {
                let _ = remove(&of("lock"));
                return Err(match error {
                    TryLockError::Error(error) => error,
                    TryLockError::WouldBlock => io::ErrorKind::WouldBlock.into(),
                });
            }
        }
        let file = private().append(true).create_new(true).open(of("list"));
        let file = file.inspect_err(|_| drop(remove(&of("lock"))))?;
        let list = Mutex::new(List { file, names: BTreeSet::new(), lines: 0 });
        drop(passed);
        Ok(Process { folder: folder.to_path_buf(), gate, _alive: alive, list, name })
    }

    /// Adds a claim to the list. The inner error is the reason why other processes cannot see it.
    fn add(&self, name: &str) -> Result<io::Result<()>, DiskFault> {
        let mut list = lock(&self.list);
        if list.names.contains(name) {
            return Err(held_by(&std::process::id().to_string()));
        }
        let passed = match GateGuard::new(&self.gate) {
            Ok(passed) => passed,
            Err(error) => return Ok(Err(error)),
        };
        if let Some(pid) = holder(&self.folder, &self.name, name) {
            return Err(held_by(&pid));
        }
        let told = list.write('+', name);
        list.names.insert(name.to_owned());
        drop(passed);
        Ok(told)
    }
}

impl List {
    fn write(&mut self, what: char, name: &str) -> io::Result<()> {
        if self.lines > 1000 + 2 * self.names.len() {
            self.file.set_len(0)?;
            let all: String = self.names.iter().map(|name| format!("+{name}\n")).collect();
            self.file.write_all(all.as_bytes())?;
            self.lines = self.names.len();
        }
        self.lines += 1;
        self.file.write_all(format!("{what}{name}\n").as_bytes())
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if let Some((process, name)) = self.held.take() {
            let mut list = lock(&process.list);
            list.names.remove(&name);
            if let Err(error) = list.write('-', &name) {
                tracing::debug!("{name} stays in the list of what is worked on: {error}");
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        for ending in ["list", "lock"] {
            let _ = remove(&self.folder.join(format!("{}.{ending}", self.name)));
        }
    }
}

/// Guard of the gate lock.
struct GateGuard<'a>(&'a File);

impl GateGuard<'_> {
    fn new(gate: &File) -> io::Result<GateGuard<'_>> {
        let until = Instant::now() + PATIENCE;
        loop {
            match gate.try_lock() {
                Ok(()) => return Ok(GateGuard(gate)),
                Err(TryLockError::Error(error)) => return Err(error),
                Err(TryLockError::WouldBlock) if Instant::now() >= until => {
                    return Err(io::Error::new(
                        io::ErrorKind::TimedOut,
                        "another ttui holds its lock and does not go on",
                    ));
                }
                Err(TryLockError::WouldBlock) => std::thread::sleep(AGAIN),
            }
        }
    }
}

impl Drop for GateGuard<'_> {
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

/// Returns the pid of a process other than `own` that has claimed `name`.
///
/// Deletes files of processes that have ended.
fn holder(folder: &Path, own: &str, name: &str) -> Option<String> {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let Some(process) = path.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned) else { continue };
        if path.extension().is_none_or(|ending| ending != "lock") || process == own {
            continue;
        }
        let Ok(lock) = OpenOptions::new().read(true).open(&path) else { continue };
        let list = path.with_extension("list");
        match lock.try_lock() {
            Ok(()) => drop((remove(&list), remove(&path))),
            Err(_) if has(&list, name) => return Some(process.split('-').next().unwrap_or_default().to_owned()),
            Err(_) => {}
        }
    }
    None
}

/// Returns whether the last entry of `name` in a list is a claim, not a release.
fn has(list: &Path, name: &str) -> bool {
    let text = crate::disk::torrent_file::read_at_most(list, limits::TORRENT_FILE).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let last = text.lines().rev().find(|line| line.get(1..) == Some(name));
    last.is_some_and(|line| line.starts_with('+'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(state: &Path) -> usize {
        fs::read_dir(state.join("running")).map_or(0, Iterator::count)
    }

    #[test]
    fn a_name_has_one_holder_and_many_names_cost_no_more_files() {
        let dir = tempfile::tempdir().unwrap();
        let mut all: Vec<Claim> = (0..50).map(|n| claim(dir.path(), &format!("t{n}")).unwrap().0).collect();
        assert_eq!(files(dir.path()), 3);
        for name in ["t0", "t17", "t49"] {
            let told = claim(dir.path(), name).unwrap_err().text;
            assert!(told.starts_with(&format!("already running (pid {})", std::process::id())), "{told}");
            assert!(is_claimed(dir.path(), name) && !is_claimed(dir.path(), "other"));
        }
        all.truncate(10);
        let (again, unprotected) = claim(dir.path(), "t10").unwrap();
        assert!(unprotected.is_none() && claim(dir.path(), "t9").is_err());
        drop((all, again));
        assert_eq!(files(dir.path()), 1, "only the gate stays");
    }

    #[test]
    fn other_processes_count_while_they_live() {
        let dir = tempfile::tempdir().unwrap();
        let running = dir.path().join("running");
        fs::create_dir_all(&running).unwrap();
        let plant = |pid: &str, list: &str| {
            fs::write(running.join(format!("{pid}.list")), list).unwrap();
            File::create(running.join(format!("{pid}.lock"))).unwrap()
        };
        let alive = plant("7-a", "+one\n+two\n-two\n+three\n-three\n+three\n");
        alive.try_lock().unwrap();
        drop(plant("8-b", "+four\n+one\n"));
        for (name, pid) in [("one", Some("7")), ("two", None), ("three", Some("7")), ("four", None)] {
            let got = claim(dir.path(), name).map(|_| ()).map_err(|fault| fault.text);
            match pid {
                Some(pid) => assert!(got.unwrap_err().starts_with(&format!("already running (pid {pid})"))),
                None => assert_eq!(got, Ok(()), "{name}"),
            }
        }
        assert!(!running.join("8-b.lock").exists() && !running.join("8-b.list").exists(), "one that was killed");
        drop(alive);
        assert!(claim(dir.path(), "one").is_ok());
    }

    #[test]
    fn a_list_that_grows_for_ever_is_begun_anew() {
        let dir = tempfile::tempdir().unwrap();
        let kept = claim(dir.path(), "kept").unwrap().0;
        for n in 0..3000 {
            drop(claim(dir.path(), &format!("t{}", n % 7)).unwrap());
        }
        let list = fs::read_dir(dir.path().join("running")).unwrap().map(|entry| entry.unwrap().path());
        let list = list.into_iter().find(|path| path.extension().is_some_and(|ending| ending == "list")).unwrap();
        assert!(fs::metadata(&list).unwrap().len() < 10_000);
        assert!(has(&list, "kept") && !has(&list, "t6"));
        drop(kept);
    }

    #[test]
    fn where_nothing_can_be_written_nothing_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("file");
        fs::write(&state, b"").unwrap();
        for name in ["a", "b", "a"] {
            let (_claim, unprotected) = claim(&state, name).unwrap();
            assert!(unprotected.is_some());
        }
    }
}
