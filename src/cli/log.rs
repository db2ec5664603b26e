//! The log file: opens, writes and rotates it.
//!
//! `tracing-subscriber` filters and formats the lines; [`LogFile`] is the writer. A write error never ends a thread
//! and is never printed on the terminal, which the interface may be drawing on: lines are dropped and counted, and
//! the file is reopened when that is possible. (The writers of `flexi_logger` and `tracing-appender` panic or print
//! when a directory cannot be listed or a file cannot be opened.)

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use color_eyre::eyre::{WrapErr, bail};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::Config;
use crate::disk::sys::inode;
use crate::limits::MIB;
use crate::wire::sanitize::sanitize;

/// Size in bytes at which a log file is rotated.
const MAX_SIZE: u64 = 10 * MIB as u64;
/// Number of rotated files kept: `ttui.log.1` is the newest.
const KEPT_FILES: u32 = 3;
/// Maximum columns of a line.
const MAX_LINE: usize = 16 * 1024;
/// Interval of the check whether the path still leads to the open file; a failed open is retried equally often.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// Starts logging to `--log-file`; without that flag, to `ttui.log` in the state directory if `interface` is set or
/// `-v` or `TTUI_LOG` was given; otherwise nowhere. A default log file that cannot be opened is retried later.
///
/// `-v` sets the level; the environment variable `TTUI_LOG` replaces it by a filter per module
/// (`ttui::engine::announce=trace,ttui=info`).
///
/// # Errors
/// `--log-file` cannot be opened, or is the terminal that the interface draws on; `TTUI_LOG` is not a filter.
pub(crate) fn start(config: &Config, interface: bool) -> color_eyre::Result<()> {
    let wanted = std::env::var_os("TTUI_LOG").filter(|text| !text.is_empty());
    let (path, named) = match &config.log_file {
        Some(path) => (path.clone(), true),
        None if interface || config.verbose > 0 || wanted.is_some() => (config.state_dir.join("ttui.log"), false),
        None => return Ok(()),
    };
    let log = LogFile::open(path.clone(), named, MAX_SIZE);
    if named {
        log.error()
            .map_or(Ok(()), Err)
            .wrap_err_with(|| format!("the log file {} cannot be written", path.display()))?;
        if interface && log.is_terminal() {
            bail!("the log file {} is a terminal, where the interface is drawn: name a file", path.display());
        }
    }
    let filter = filter(config.verbose, wanted.as_deref())?;
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .with_target(false)
        .with_thread_names(true)
        .log_internal_errors(false)
        .with_writer(Arc::new(log));
    // Fails if a logger is already set (in tests); that logger stays.
    let _ = tracing_subscriber::registry().with(lines).with(filter).try_init();
    tracing::info!("ttui {} starts on {} {}", env!("CARGO_PKG_VERSION"), std::env::consts::OS, std::env::consts::ARCH);
    Ok(())
}

/// Returns the filter of `TTUI_LOG`, or that of the verbosity.
fn filter(verbose: u8, wanted: Option<&OsStr>) -> color_eyre::Result<Targets> {
    if let Some(text) = wanted {
        let text = text.to_string_lossy();
        let parsed = text.parse::<Targets>();
        return parsed.wrap_err_with(|| format!("TTUI_LOG={text} is no log filter: write it like ttui::engine=debug"));
    }
    let level = [LevelFilter::INFO, LevelFilter::DEBUG, LevelFilter::TRACE][usize::from(verbose.min(2))];
    // By default only messages of this crate: those of libraries may quote untrusted input.
    Ok(Targets::new().with_target("ttui", level))
}

/// A log file that is rotated by size and reopened after it was moved, deleted or failed to be written.
#[derive(Debug)]
struct LogFile(Mutex<State>);

#[derive(Debug)]
struct State {
    path: PathBuf,
    /// Whether the user named this path: if so, symlinks are followed.
    named: bool,
    max_size: u64,
    file: Result<File, io::Error>,
    size: u64,
    checked: Instant,
    /// Number of lines that could not be written.
    dropped: u64,
}

impl LogFile {
    /// Opens a log file for appending. A failure is stored, see [`LogFile::error`].
    fn open(path: PathBuf, named: bool, max_size: u64) -> Self {
        let file = open(&path, named);
        let size = file.as_ref().map_or(0, size);
        LogFile(Mutex::new(State { path, named, max_size, file, size, checked: Instant::now(), dropped: 0 }))
    }

    /// Returns why the file is not open.
    fn error(&self) -> Option<io::Error> {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.file.as_ref().err().map(|error| io::Error::new(error.kind(), error.to_string()))
    }

    fn is_terminal(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).file.as_ref().is_ok_and(File::is_terminal)
    }
}

impl Write for &LogFile {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        // A poisoned lock is still usable: a panic while it was held leaves no inconsistency that matters.
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl State {
    fn write(&mut self, line: &[u8]) {
        let text = String::from_utf8_lossy(line);
        let mut text = sanitize(text.trim_end_matches('\n'), MAX_LINE);
        text.push('\n');
        if self.checked.elapsed() >= CHECK_INTERVAL {
            self.checked = Instant::now();
            if !self.is_at_path() {
                self.reopen();
            }
        }
        if self.size.saturating_add(text.len() as u64) > self.max_size {
            self.rotate();
        }
        let Ok(file) = &mut self.file else {
            self.dropped += 1;
            return;
        };
        if self.dropped > 0 {
            let note = format!("({} lines before this one could not be written)\n", self.dropped);
            if file.write_all(note.as_bytes()).is_ok() {
                self.dropped = 0;
            }
        }
        match file.write_all(text.as_bytes()) {
            Ok(()) => self.size += text.len() as u64,
            Err(_) => self.dropped += 1,
        }
    }

    /// Returns whether the path still leads to the open file: another process may have rotated the log.
    fn is_at_path(&self) -> bool {
        let Ok(file) = &self.file else { return false };
        match (file.metadata(), fs::metadata(&self.path)) {
            (Ok(open), Ok(there)) => inode(&open) == inode(&there),
            _ => false,
        }
    }

    fn reopen(&mut self) {
        self.file = open(&self.path, self.named);
        self.size = self.file.as_ref().map_or(0, size);
    }

    /// Renames the file to `.1`, shifts the older ones by one, and opens a new file.
    fn rotate(&mut self) {
        if !self.file.as_ref().is_ok_and(|file| file.metadata().is_ok_and(|meta| meta.is_file())) {
            return;
        }
        let path = |n: u32| numbered(&self.path, n);
        // If the rename fails, the old file is appended to: an oversized log is better than none.
        for n in (1..KEPT_FILES).rev() {
            let _ = fs::rename(path(n), path(n + 1));
        }
        if fs::rename(&self.path, path(1)).is_ok() {
            self.reopen();
        } else {
            self.size = 0;
        }
    }
}

/// Returns the path of the `n`-th rotated log file.
fn numbered(path: &Path, n: u32) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{n}"));
    path.with_file_name(name)
}

fn size(file: &File) -> u64 {
    file.metadata().ok().filter(fs::Metadata::is_file).map_or(0, |meta| meta.len())
}

/// Opens a log file for appending, readable by its owner alone. A pipe without a reader is refused rather than waited
/// for; a symlink is followed only if the user `named` it.
fn open(path: &Path, named: bool) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        use std::os::unix::fs::OpenOptionsExt;

        let follow = if named { OFlags::empty() } else { OFlags::NOFOLLOW };
        options.mode(0o600).custom_flags((OFlags::NONBLOCK | OFlags::NOCTTY | follow).bits() as i32);
    }
    #[cfg(not(unix))]
    if !named && fs::symlink_metadata(path).is_ok_and(|meta| meta.is_symlink()) {
        return Err(io::Error::other("it is a link"));
    }
    if !named && let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filter_is_that_of_the_variable_or_of_the_verbosity() {
        let debug = |filter: &Targets| filter.would_enable("ttui::engine::dht", &tracing::Level::DEBUG);
        assert!(!debug(&filter(0, None).unwrap()) && debug(&filter(1, None).unwrap()));
        assert!(debug(&filter(0, Some(OsStr::new("ttui::engine=debug"))).unwrap()));
        assert!(!debug(&filter(2, Some(OsStr::new("ttui::disk=debug,ttui=info"))).unwrap()));
        for wrong in ["ttui=loud", "ttui::engine=debug,ttui=9x"] {
            let why = filter(0, Some(OsStr::new(wrong))).unwrap_err().to_string();
            assert!(why.contains("TTUI_LOG") && why.contains(wrong), "{why}");
        }
    }

    fn log(log: &LogFile, line: &str) {
        (&*log).write_all(line.as_bytes()).unwrap();
    }

    /// Makes the next write check the path, as if the last check were long ago.
    fn later(log: &LogFile) {
        log.0.lock().unwrap().checked -= CHECK_INTERVAL;
    }

    #[test]
    fn the_file_named_is_written_and_rotated_by_size() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.log");
        fs::write(&path, "old\n").unwrap();
        let file = LogFile::open(path.clone(), true, 30);
        for n in 0..20 {
            log(&file, &format!("line {n:02}\n"));
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), "line 18\nline 19\n");
        assert_eq!(fs::read_to_string(numbered(&path, 1)).unwrap(), "line 15\nline 16\nline 17\n");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1 + KEPT_FILES as usize);
    }

    #[test]
    fn a_line_stays_one_harmless_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.log");
        let file = LogFile::open(path.clone(), true, MAX_SIZE);
        for text in ["a\nb\n", "\x1b[2Jc\n", "d\u{202e}e\n", "\u{9b}31mf\n"] {
            log(&file, text);
        }
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text, "a b\n\u{fffd}[2Jc\nd\u{fffd}e\n\u{fffd}31mf\n");
    }

    #[test]
    fn a_log_that_is_gone_comes_back_and_tells_what_is_missing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("folder/a.log");
        fs::create_dir(dir.path().join("folder")).unwrap();
        let file = LogFile::open(path.clone(), true, MAX_SIZE);
        log(&file, "one\n");
        fs::remove_dir_all(dir.path().join("folder")).unwrap();
        later(&file);
        log(&file, "two\n");
        log(&file, "three\n");
        fs::create_dir(dir.path().join("folder")).unwrap();
        later(&file);
        log(&file, "four\n");
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text, "(2 lines before this one could not be written)\nfour\n");
    }

    #[test]
    fn a_file_that_another_process_rotated_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.log");
        let file = LogFile::open(path.clone(), true, MAX_SIZE);
        log(&file, "one\n");
        fs::rename(&path, numbered(&path, 1)).unwrap();
        later(&file);
        log(&file, "two\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "two\n");
    }

    #[cfg(unix)]
    #[test]
    fn what_is_no_file_of_ours_is_neither_waited_for_nor_overwritten() {
        use std::os::unix::fs::{PermissionsExt, symlink};

        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let pipe = at("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        fs::write(at("precious"), "p").unwrap();
        symlink(at("precious"), at("link")).unwrap();
        for (path, named) in [(pipe, true), (dir.path().to_path_buf(), true), (at("link"), false), (at("no/x"), true)] {
            let file = LogFile::open(path.clone(), named, 1);
            assert!(file.error().is_some(), "{}", path.display());
            log(&file, "a line\n");
        }
        assert_eq!(fs::read_to_string(at("precious")).unwrap(), "p");
        log(&LogFile::open(at("link"), true, MAX_SIZE), "q\n");
        assert_eq!(fs::read_to_string(at("precious")).unwrap(), "pq\n");
        log(&LogFile::open(at("new"), false, MAX_SIZE), "q\n");
        assert_eq!(fs::metadata(at("new")).unwrap().permissions().mode() & 0o777, 0o600);
        log(&LogFile::open("/dev/full".into(), true, MAX_SIZE), "a line\n");
    }
}
