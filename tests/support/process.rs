//! Other programs, started by a test: killed with all that they started when the test is over, however it ends.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How long anything may take that a test waits for: far longer than it ever should.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// A running program. Its output goes to a log file, which a failure quotes.
pub struct Process {
    pub child: Child,
    what: String,
    pub log: PathBuf,
}

impl Process {
    /// Starts the program at the head of a process group of its own. Its home is `home`, its output `home/log`.
    pub fn start(mut command: Command, home: &Path) -> Process {
        let log = home.join("log");
        let out = File::options().create(true).append(true).open(&log).expect("the log can be opened");
        command.stdout(out.try_clone().expect("a second handle")).stderr(out);
        Process::with_output(command, home)
    }

    /// The same for a command whose standard output is set already.
    pub fn with_output(mut command: Command, home: &Path) -> Process {
        let what = command.get_program().to_string_lossy().into_owned();
        command.current_dir(home).env("HOME", home).process_group(0);
        for name in ["CONFIG", "DATA", "STATE", "CACHE"] {
            command.env(format!("XDG_{name}_HOME"), home.join(name.to_lowercase()));
        }
        let child = command.spawn().unwrap_or_else(|e| panic!("{what} cannot be started: {e}"));
        Process { child, what, log: home.join("log") }
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be waited for")
    }

    /// Fails the test if the program has ended.
    pub fn must_live(&mut self) {
        if let Some(status) = self.ended() {
            panic!("{} ended with {status}:\n{}", self.what, self.tail());
        }
    }

    /// Waits until it ends; fails the test when it does not in time.
    pub fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        let what = format!("the end of {}", self.what);
        let log = self.log.clone();
        until(
            &what,
            || tail(&log),
            || {
                status = self.ended();
                status.is_some()
            },
        );
        status.expect("it has ended")
    }

    /// Asks it to end.
    pub fn signal(&self, signal: rustix::process::Signal) {
        if let Some(pid) = rustix::process::Pid::from_raw(self.child.id().cast_signed()) {
            // It may just have ended by itself.
            let _ = rustix::process::kill_process_group(pid, signal);
        }
    }

    /// Ends it at once, with everything that it started.
    pub fn kill(&mut self) {
        self.signal(rustix::process::Signal::KILL);
        let _ = self.child.wait();
    }

    /// The end of its output.
    pub fn tail(&self) -> String {
        tail(&self.log)
    }

    /// All of its output.
    pub fn output(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The end of a log.
pub fn tail(log: &Path) -> String {
    let mut text = Vec::new();
    if let Ok(mut file) = File::open(log) {
        let length = file.metadata().map_or(0, |m| m.len());
        let _ = file.seek(SeekFrom::Start(length.saturating_sub(3000)));
        let _ = file.read_to_end(&mut text);
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// Looks again and again until `ready` says so; fails the test, with what `state` says, when it never does.
pub fn until(what: &str, state: impl Fn() -> String, mut ready: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !ready() {
        assert!(Instant::now() < end, "waited in vain for {what}:\n{}", state());
        std::thread::sleep(Duration::from_millis(30));
    }
}

/// Whether a program is installed.
pub fn installed(program: &str) -> bool {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&folders).any(|dir| dir.join(program).is_file())
}

/// The Python that has libtorrent, if there is one: `TTUI_TEST_PYTHON`, else `python3`.
pub fn python_with_libtorrent() -> Option<String> {
    let python = std::env::var("TTUI_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let works = Command::new(&python).args(["-c", "import libtorrent"]).output().is_ok_and(|o| o.status.success());
    works.then_some(python)
}

/// Says why a test does nothing here. Where everything must be installed (`CI` is set), that is a failure.
pub fn skip(why: &str) {
    assert!(std::env::var_os("CI").is_none(), "{why}, and in CI nothing may be missing");
    eprintln!("skipped: {why}");
}

/// A command with its arguments.
pub fn command<S: AsRef<OsStr>>(program: impl AsRef<OsStr>, args: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null());
    command
}
