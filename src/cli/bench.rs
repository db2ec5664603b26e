//! `ttui bench`: measures torrent creation, hashing, downloading and seeding of sample data over loopback. Each part
//! runs as its own process, through the public subcommand, so that CPU time and peak memory are measured per part.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread;
use std::time::Instant;

use color_eyre::eyre::{WrapErr, bail, eyre};
use crossbeam_channel::{Receiver, bounded, select};
use serde_json::json;
use wait4::Wait4 as _;

use super::args::{BenchArgs, Common};
use super::engine_run::on_signal;
use super::exit_status::STOPPED;
use super::output;
use super::sample_data::{self, Scratch};
use crate::config::Encryption;
use crate::engine::tracker::{Tracker, TrackerConfig};
use crate::format;
use crate::limits::MIB;

/// Runs the benchmark and prints one row per part.
///
/// # Errors
/// The temporary directory has no space for the data, or a part fails.
pub(crate) fn run(args: &BenchArgs, common: &Common) -> color_eyre::Result<ExitCode> {
    let stop = on_signal()?;
    let scratch = Scratch::new("bench")?;
    let tracker = Tracker::start(&TrackerConfig::loopback()).wrap_err("the tracker for the parts cannot start")?;
    let urls = tracker.http_urls();
    let bench = Bench {
        program: std::env::current_exe().wrap_err("this program cannot find itself")?,
        tracker: urls.first().ok_or_else(|| eyre!("the tracker for the parts listens nowhere"))?,
        encryption: common.encryption.unwrap_or(Encryption::Off),
        home: &scratch,
        stop: &stop,
    };
    let Some(rows) = bench.all(args.size)? else { return Ok(ExitCode::from(STOPPED)) };
    output::print(&if args.json { as_json(args.size, &rows) } else { as_table(args.size, &rows) })?;
    Ok(ExitCode::SUCCESS)
}

/// Result of one part.
struct Row {
    name: &'static str,
    /// Wall-clock time from process start to exit; for the seeder, the time measured from the start of the downloader.
    seconds: f64,
    /// CPU time of all threads, user plus system.
    cpu_seconds: f64,
    /// Peak resident memory in bytes; `None` where the system does not report it after the process has exited.
    peak: Option<u64>,
}

/// Settings shared by all parts.
struct Bench<'a> {
    program: PathBuf,
    tracker: &'a str,
    encryption: Encryption,
    home: &'a Path,
    stop: &'a Receiver<()>,
}

impl Bench<'_> {
    /// Runs all parts; returns `None` if the user interrupted.
    fn all(&self, size: u64) -> color_eyre::Result<Option<[Row; 4]>> {
        let (seed, torrent) = (self.home.join("seed"), self.home.join("payload.torrent"));
        let file = seed.join("payload.bin");
        let made = || {
            fs::write(self.home.join("empty.toml"), "")?;
            sample_data::write(&file, size, 1, |_| self.stop.try_recv().is_err())
        };
        let whole = made().wrap_err_with(|| {
            let need = format::binary_size(size.saturating_mul(2));
            format!("the data cannot be made up in {}: {need} are needed there", self.home.display())
        })?;
        if !whole {
            return Ok(None);
        }
        let (seed, torrent, word) = (seed.as_os_str(), torrent.as_os_str(), OsStr::new);
        let create =
            [word("create"), file.as_os_str(), word("--output"), torrent, word("--tracker"), word(self.tracker)];
        let Some(create) = self.measure("create", &create)? else { return Ok(None) };
        let Some(hash) = self.measure("hash", &[word("verify"), torrent, word("--dir"), seed])? else {
            return Ok(None);
        };
        // Hashes the data again and writes resume data, so that the seeder below does nothing but seed.
        let state = self.home.join("state");
        let states = [word("--state-dir"), state.as_os_str()];
        // Port 0 lets the system choose: the default port may be in use.
        let port = [word("--port"), word("0")];
        let engine =
            |verb: &'static str, dir| [word(verb), torrent, word("--dir"), dir, word("--headless"), port[0], port[1]];
        let ready = [&engine("download", seed)[..], &[word("--exit-when-done")], &states].concat();
        if self.measure("check", &ready)?.is_none() {
            return Ok(None);
        }
        let (here, there) = (self.home.join("leech"), self.home.join("leech-state"));
        let leech = engine("download", here.as_os_str());
        let leech = [&leech[..], &[word("--exit-when-done"), word("--state-dir"), there.as_os_str()]].concat();
        let seeder = Seeder::start(self.command(&[&engine("seed", seed)[..], &states].concat()))?;
        let leech = self.measure("download", &leech)?;
        let seconds = leech.as_ref().map_or(0.0, |row| row.seconds);
        let seed = Row { seconds, ..seeder.end()? };
        Ok(leech.map(|leech| [create, hash, leech, seed]))
    }

    /// Builds the command that runs this program with `args`, isolated from other peers (no DHT, LSD or port mapping).
    fn command(&self, args: &[&OsStr]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(args).arg("--config").arg(self.home.join("empty.toml"));
        command.args(["--bind", "127.0.0.1", "--no-dht", "--no-lsd", "--no-pex", "--no-utp", "--no-port-map"]);
        command.args(["--encryption", self.encryption.word()]);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command
    }

    /// Runs a part until it exits; returns `None` if the user interrupted.
    fn measure(&self, name: &'static str, args: &[&OsStr]) -> color_eyre::Result<Option<Row>> {
        let began = Instant::now();
        let mut child = self.command(args).spawn().wrap_err("this program cannot be started once more")?;
        let pid = child.id();
        let (done, ended) = bounded(1);
        thread::scope(|scope| {
            let waits = move || done.send((child.wait4(), began.elapsed()));
            thread::Builder::new().name("wait".into()).spawn_scoped(scope, waits)?;
            let (used, took) = select! {
                recv(ended) -> used => used?,
                recv(self.stop) -> _ => {
                    interrupt(pid);
                    return Ok(None);
                }
            };
            let used = used?;
            if !used.status.success() {
                bail!("the part that measures `{name}` failed, see above");
            }
            Ok(Some(Row { seconds: took.as_secs_f64(), ..Row::of(name, &used.rusage) }))
        })
    }
}

impl Row {
    fn of(name: &'static str, used: &wait4::ResourceUsage) -> Row {
        Row {
            name,
            seconds: 0.0,
            cpu_seconds: (used.utime + used.stime).as_secs_f64(),
            peak: Some(used.maxrss).filter(|peak| *peak > 0),
        }
    }

    fn rate(&self, size: u64) -> f64 {
        size as f64 / MIB as f64 / self.seconds
    }

    fn cpu_per_gib(&self, size: u64) -> f64 {
        self.cpu_seconds / (size as f64 / (1024 * MIB) as f64)
    }
}

/// The seeding process. Killed on drop.
struct Seeder(Option<Child>);

impl Seeder {
    /// Spawns the process and returns once it is seeding.
    fn start(mut command: Command) -> color_eyre::Result<Seeder> {
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        let lines = child.stdout.take().into_iter().flat_map(|out| BufReader::new(out).lines());
        let seeder = Seeder(Some(child));
        // The seeder keeps running after its standard output has no reader.
        if !lines.map_while(Result::ok).any(|line| line.contains(" state=seeding")) {
            bail!("the part that measures `seed` failed, see above");
        }
        Ok(seeder)
    }

    /// Kills the process; it has nothing to save.
    fn end(mut self) -> color_eyre::Result<Row> {
        let mut child = self.0.take().ok_or_else(|| eyre!("the seeder has ended already"))?;
        child.kill()?;
        Ok(Row::of("seed", &child.wait4()?.rusage))
    }
}

impl Drop for Seeder {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Sends SIGTERM to a part. Windows needs none: its console has already delivered Ctrl-C to the child.
fn interrupt(pid: u32) {
    #[cfg(unix)]
    if let Some(pid) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
    #[cfg(not(unix))]
    let _ = pid;
}

fn as_table(size: u64, rows: &[Row]) -> String {
    let head = format!(
        "{} of made-up data over loopback\n{:<10}{:>10}{:>12}{:>12}\n",
        format::binary_size(size),
        "",
        "MiB/s",
        "CPU-s/GiB",
        "peak MiB"
    );
    let line = |row: &Row| {
        let peak = row.peak.map_or("-".into(), |peak| format!("{:.1}", peak as f64 / MIB as f64));
        format!("{:<10}{:>10.0}{:>12.2}{peak:>12}\n", row.name, row.rate(size), row.cpu_per_gib(size))
    };
    rows.iter().fold(head, |text, row| text + &line(row))
}

fn as_json(size: u64, rows: &[Row]) -> String {
    let one = |row: &Row| {
        let (rate, cpu) = (row.rate(size), row.cpu_per_gib(size));
        let values = json!({ "mib_per_second": rate, "cpu_seconds_per_gib": cpu, "peak_bytes": row.peak });
        (row.name.to_owned(), values)
    };
    let mut all: serde_json::Map<String, serde_json::Value> = rows.iter().map(one).collect();
    all.insert("bytes".into(), size.into());
    format!("{}\n", serde_json::Value::Object(all))
}
