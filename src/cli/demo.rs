//! `ttui demo`: a local swarm in one process (tracker, two seeds, sample data, one download) shown in the interface.
//! It uses only the loopback address and needs no network.

use std::fs;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use color_eyre::eyre::{WrapErr, eyre};

use super::args::{Common, DemoArgs};
use super::engine_run::{on_signal, until_ready};
use super::exit_status::{FAILED, STOPPED};
use super::progress::{ExitReason, OutputMode, ProgressReporter, StopCondition};
use super::sample_data::{self, Scratch};
use super::{output, tui};
use crate::api::{AddTorrent, Command, RateLimits};
use crate::config::Config;
use crate::disk::create::{CreateOptions, PieceHasher, TorrentBuilder};
use crate::engine::handle::{Engine, EngineConfig};
use crate::engine::tracker::{Tracker, TrackerConfig};
use crate::limits::{KIB, MIB};

/// Files of the sample torrent: name, size in bytes.
const FILES: [(&str, usize); 5] = [
    ("the long one.bin", 180 * MIB),
    ("the middle one.bin", 90 * MIB + 12_345),
    ("notes/short.bin", 40 * MIB + 1),
    ("notes/shorter.bin", 700 * KIB),
    ("notes/empty.bin", 0),
];
const PIECE: u32 = 256 * KIB as u32;
/// Upload limit of each seed in bytes per second; the download takes about ten seconds.
const SEEDER: u64 = 16 * MIB as u64;

/// Runs the demo until the user quits, or without a terminal until the download is complete.
///
/// # Errors
/// The temporary directory has no space for the data (about 640 MiB), or an engine cannot start.
pub(crate) fn run(args: &DemoArgs, common: &Common) -> color_eyre::Result<ExitCode> {
    let config = Config::load(common.clone()).map_err(|why| eyre!(why))?;
    let stop = on_signal()?;
    let home = Scratch::new("demo")?;
    let tracker = Tracker::start(&TrackerConfig::loopback()).wrap_err("the demo's tracker cannot start")?;
    let torrent = make_up(&home, tracker.http_urls().first().cloned()).wrap_err_with(|| {
        format!("the demo cannot make up its data in {}: it needs about 640 MiB there", home.display())
    })?;
    let engine = |name: &str, up: Option<u64>| {
        let config = EngineConfig {
            state_dir: home.join(format!("state-{name}")),
            encryption: config.encryption,
            max_peers: 50,
            limits: RateLimits { down: None, up },
            config_file: config.file.clone(),
            ..EngineConfig::loopback(home.join(name))
        };
        Engine::start(&config).map_err(|why| eyre!(why))
    };
    let add = |dir: &str| {
        let what = torrent.to_string_lossy().into_owned();
        Command::Add(AddTorrent { what, dir: Some(home.join(dir)), ..AddTorrent::default() })
    };
    let seeders = [engine("seeder-1", Some(SEEDER))?, engine("seeder-2", Some(SEEDER))?];
    seeders.iter().for_each(|seeder| seeder.send(add("seed")));
    for seeder in &seeders {
        until_ready(seeder)?;
    }
    let leecher = engine("download", None)?;
    leecher.send(add("download"));
    if args.headless || !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        let until = StopCondition { complete: true, ..StopCondition::default() };
        return Ok(match ProgressReporter::new(&leecher, 1, OutputMode::Lines, until, &stop).run()? {
            ExitReason::Done => ExitCode::SUCCESS,
            ExitReason::Failed => ExitCode::from(FAILED),
            ExitReason::Stopped => ExitCode::from(STOPPED),
        });
    }
    output::line("starting the interface ..");
    tui::show(&leecher, &config, &stop)
}

/// Generates the data to seed and its `.torrent`, and returns the path of the `.torrent`.
fn make_up(home: &Path, tracker: Option<String>) -> color_eyre::Result<PathBuf> {
    let name = "a made-up swarm";
    let folder = home.join("seed").join(name);
    let mut hasher = PieceHasher::new(PIECE);
    for (n, (path, size)) in FILES.iter().enumerate() {
        sample_data::write(&folder.join(path), *size as u64, n as u64, |bytes| {
            hasher.update(bytes);
            true
        })?;
    }
    let files = FILES.iter().map(|(path, size)| (PathBuf::from(path), *size as u64)).collect();
    let terms =
        CreateOptions { trackers: tracker.into_iter().map(|url| vec![url]).collect(), ..CreateOptions::default() };
    let hashes = hasher.finish();
    let made = TorrentBuilder { name: name.into(), folder: true, files, piece_length: PIECE, hashes, terms };
    let bytes = made.encode();
    let path = home.join("demo.torrent");
    fs::write(&path, bytes)?;
    Ok(path)
}
