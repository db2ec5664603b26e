//! `ttui` without a subcommand: runs the engine with the terminal interface.

use std::path::Path;
use std::process::ExitCode;

use color_eyre::eyre::{bail, eyre};
use crossbeam_channel::Receiver;

use super::args::Common;
use super::control::{self, AddRequest};
use super::engine_run::{make_state_folder, on_signal, shutdown};
use super::exit_status::STOPPED;
use super::output;
use super::torrent_arg::each;
use crate::api::{AddTorrent, Command};
use crate::clock;
use crate::config::Config;
use crate::disk::lock::instance;
use crate::engine::handle::{Engine, EngineConfig};
use crate::format::counted;
use crate::limits;
use crate::ui::terminal::event_loop::{self, Outcome, UiOptions};

/// Opens the interface and adds `torrents`.
///
/// # Errors
/// The configuration is invalid, there is no terminal, or another instance uses the same state directory.
pub(crate) fn run(torrents: &[String], common: &Common) -> color_eyre::Result<ExitCode> {
    let config = Config::load(common.clone())?;
    make_state_folder(&config)?;
    super::log::start(&config, true)?;
    let torrents = each(torrents);
    let _only = match InstanceLock::claim(&config.state_dir) {
        Ok(lock) => lock,
        Err(held) => return hand_over(&torrents, common, &config).ok_or(held),
    };
    let stop = on_signal()?;
    let max_active = Some(config.max_active.unwrap_or(limits::ACTIVE)).filter(|most| *most > 0);
    let engine = EngineConfig { keep: true, max_active, ..EngineConfig::from(&config) };
    let engine = Engine::start(&engine).map_err(|why| eyre!(why))?;
    if let Err(error) = control::listen(&config.state_dir, engine.sender()) {
        tracing::warn!("no control socket, a second ttui cannot add torrents to this one: {error}");
    }
    for what in torrents {
        engine.send(Command::Add(AddTorrent { what, ..AddTorrent::default() }));
    }
    let end = show(&engine, UiOptions::new(&config), &stop);
    shutdown(engine);
    end
}

/// Passes the torrents to the interface that runs on the same state directory. Returns `None` if there are none or
/// nobody takes them.
fn hand_over(torrents: &[String], common: &Common, config: &Config) -> Option<ExitCode> {
    if torrents.is_empty() {
        return None;
    }
    let request = AddRequest::new(torrents, common.dir.as_deref());
    if let Err(error) = request.send(&config.state_dir) {
        tracing::debug!("control socket: {error}");
        return None;
    }
    let added = counted(torrents.len() as u64, "torrent");
    output::line(&format!("{added} passed to the ttui that is running on {}", config.state_dir.display()));
    Some(ExitCode::SUCCESS)
}

/// Runs the interface until the user quits, and returns the exit status.
///
/// # Errors
/// There is no terminal, or it fails.
pub(crate) fn show(engine: &Engine, options: UiOptions, stop: &Receiver<()>) -> color_eyre::Result<ExitCode> {
    exit_code(run_interface(engine, options, stop)?)
}

/// Runs the interface until the user quits.
///
/// # Errors
/// There is no terminal, or it fails.
pub(crate) fn run_interface(engine: &Engine, options: UiOptions, stop: &Receiver<()>) -> color_eyre::Result<Outcome> {
    let options = UiOptions { utc_offset: clock::local_offset(), ..options };
    Ok(event_loop::run(engine.sender(), &engine.events(), options, stop)?)
}

/// Returns the exit status for how the interface ended.
///
/// # Errors
/// The engine has stopped.
pub(crate) fn exit_code(outcome: Outcome) -> color_eyre::Result<ExitCode> {
    match outcome {
        Outcome::Quit | Outcome::Again => Ok(ExitCode::SUCCESS),
        Outcome::Stopped => Ok(ExitCode::from(STOPPED)),
        Outcome::EngineStopped => bail!("the engine has stopped; its log says why"),
    }
}

/// The lock that makes this the only interface on a state directory.
struct InstanceLock {
    _lock: std::fs::File,
}

impl InstanceLock {
    fn claim(state_dir: &Path) -> color_eyre::Result<InstanceLock> {
        let held = format!("another interface uses the state folder {}", state_dir.display());
        let lock = instance::acquire(&state_dir.join("lock"), &held).map_err(|fault| eyre!(fault.text))?;
        Ok(InstanceLock { _lock: lock })
    }
}
