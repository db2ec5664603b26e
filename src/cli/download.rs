//! `ttui download` and `ttui seed`: run torrents without the interface.

use std::process::ExitCode;
use std::time::Duration;

use color_eyre::eyre::eyre;

use super::args::{Common, DownloadArgs, OutputArgs, SeedArgs};
use super::engine_run::{make_state_folder, on_signal, shutdown};
use super::exit_status::{FAILED, STOPPED};
use super::progress::{ExitReason, OutputMode, ProgressReporter, StopCondition};
use super::torrent_arg::each;
use crate::api::{AddTorrent, Command};
use crate::config::Config;
use crate::engine::handle::{Engine, EngineConfig};

/// Runs `ttui download`: downloads, then seeds until the stop condition is met.
///
/// # Errors
/// A torrent cannot be read or downloaded: one sentence.
pub(crate) fn run(args: &DownloadArgs, common: &Common) -> color_eyre::Result<ExitCode> {
    let until = StopCondition {
        complete: args.exit_when_done,
        ratio: args.seed_ratio,
        seeded: args.seed_time.map(|minutes| Duration::from_secs(minutes * 60)),
        seed_only: false,
    };
    let add = AddTorrent {
        dir: Some(args.dir.clone()),
        peers: args.peers.peers.clone(),
        select: args.select.clone(),
        sequential: args.sequential,
        overwrite: args.overwrite,
        ..AddTorrent::default()
    };
    work(common, args.peers.port, &args.torrents, &add, output_mode(args.output), until)
}

/// `ttui seed`: check what is there, then seed it. Nothing is fetched or written.
///
/// # Errors
/// A torrent cannot be read or verified: one sentence.
pub(crate) fn seed(args: &SeedArgs, common: &Common) -> color_eyre::Result<ExitCode> {
    let (dir, peers) = (Some(args.dir.clone()), args.peers.peers.clone());
    let add = AddTorrent { dir, peers, seed_only: true, ..AddTorrent::default() };
    let until = StopCondition { seed_only: true, ..StopCondition::default() };
    work(common, args.peers.port, &args.torrents, &add, output_mode(args.output), until)
}

fn output_mode(args: OutputArgs) -> OutputMode {
    OutputMode::fitting(args.headless, args.json)
}

fn work(
    common: &Common,
    port: Option<u16>,
    torrents: &[String],
    add: &AddTorrent,
    show: OutputMode,
    until: StopCondition,
) -> color_eyre::Result<ExitCode> {
    let mut config = Config::load(common.clone())?;
    config.port = port.unwrap_or(config.port);
    make_state_folder(&config)?;
    super::log::start(&config, false)?;
    let stop = on_signal()?;
    let engine = Engine::start(&EngineConfig::from(&config)).map_err(|why| eyre!(why))?;
    let torrents = each(torrents);
    for what in &torrents {
        engine.send(Command::Add(AddTorrent { what: what.clone(), ..add.clone() }));
    }
    let end = ProgressReporter::new(&engine, torrents.len(), show, until, &stop).run();
    shutdown(engine);
    Ok(match end? {
        ExitReason::Done => ExitCode::SUCCESS,
        ExitReason::Failed => ExitCode::from(FAILED),
        ExitReason::Stopped => ExitCode::from(STOPPED),
    })
}
