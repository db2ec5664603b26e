//! `ttui download`: fetch torrents without the interface, then seed them until enough has been sent.

use std::process::ExitCode;
use std::time::Duration;

use color_eyre::eyre::eyre;

use super::interface::{leave, on_signal};
use super::progress::{End, Show, Until, Watch};
use super::source::each;
use super::{Common, DownloadArgs, FAILED, STOPPED, SeedArgs};
use crate::api::{AddTorrent, Command};
use crate::config::Config;
use crate::engine::handle::{Engine, EngineConfig};

/// Downloads.
///
/// # Errors
/// When a torrent cannot be read, or cannot be downloaded: one sentence.
pub fn run(args: &DownloadArgs, common: &Common) -> color_eyre::Result<ExitCode> {
    let until = Until {
        complete: args.exit_when_done,
        ratio: args.seed_ratio,
        seeded: args.seed_time.map(|minutes| Duration::from_secs(minutes * 60)),
        seed_only: false,
    };
    let add = AddTorrent {
        dir: Some(args.dir.clone()),
        peers: args.peers.clone(),
        select: args.select.clone(),
        sequential: args.sequential,
        overwrite: args.overwrite,
        ..AddTorrent::default()
    };
    work(common, args.port, &args.torrents, &add, Show::fitting(args.headless, args.json), until)
}

/// `ttui seed`: check what is there, then seed it. Nothing is fetched or written.
///
/// # Errors
/// When a torrent cannot be read or checked: one sentence.
pub fn seed(args: &SeedArgs, common: &Common) -> color_eyre::Result<ExitCode> {
    let (dir, peers) = (Some(args.dir.clone()), args.peers.clone());
    let add = AddTorrent { dir, peers, seed_only: true, ..AddTorrent::default() };
    let show = Show::fitting(args.headless, args.json);
    work(common, args.port, &args.torrents, &add, show, Until { seed_only: true, ..Until::default() })
}

fn work(
    common: &Common,
    port: Option<u16>,
    torrents: &[String],
    add: &AddTorrent,
    show: Show,
    until: Until,
) -> color_eyre::Result<ExitCode> {
    let mut config = Config::load(common.clone()).map_err(|why| eyre!(why))?;
    config.port = port.unwrap_or(config.port);
    super::make_state_folder(&config);
    super::log::start(&config, false)?;
    let stop = on_signal()?;
    let engine = Engine::start(&EngineConfig::from(&config)).map_err(|why| eyre!(why))?;
    let torrents = each(torrents);
    for what in &torrents {
        engine.send(Command::Add(AddTorrent { what: what.clone(), ..add.clone() }));
    }
    let end = Watch::new(&engine, torrents.len(), show, until, &stop).run();
    leave(engine);
    Ok(match end? {
        End::Done => ExitCode::SUCCESS,
        End::Failed => ExitCode::from(FAILED),
        End::Stopped => ExitCode::from(STOPPED),
    })
}
