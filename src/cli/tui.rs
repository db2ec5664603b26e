//! `ttui` without a subcommand: runs the engine with the terminal interface.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use color_eyre::eyre::{WrapErr, bail, eyre};
use crossbeam_channel::{Receiver, bounded, select};

use super::torrent_arg::each;
use super::{Common, STOPPED, output};
use crate::api::{AddTorrent, Command, Event};
use crate::config::Config;
use crate::disk::lock;
use crate::engine::handle::{Engine, EngineConfig};
use crate::limits;
use crate::ui::terminal::event_loop::{Outcome, UiOptions};

/// Opens the interface and adds `torrents`.
///
/// # Errors
/// The configuration is invalid, there is no terminal, or another instance uses the same state directory.
pub fn run(torrents: &[String], common: &Common) -> color_eyre::Result<ExitCode> {
    let config = Config::load(common.clone()).map_err(|why| eyre!(why))?;
    super::make_state_folder(&config);
    super::log::start(&config, true)?;
    let _only = InstanceLock::claim(&config.state_dir)?;
    let stop = on_signal()?;
    let max_active = Some(config.max_active.unwrap_or(limits::ACTIVE)).filter(|most| *most > 0);
    let engine = EngineConfig { keep: true, max_active, ..EngineConfig::from(&config) };
    let engine = Engine::start(&engine).map_err(|why| eyre!(why))?;
    for what in each(torrents) {
        engine.send(Command::Add(AddTorrent { what, ..AddTorrent::default() }));
    }
    let end = show(&engine, &config, &stop);
    shutdown(engine);
    end
}

/// Runs the interface until the user quits.
///
/// # Errors
/// There is no terminal, or it fails.
pub fn show(engine: &Engine, config: &Config, stop: &Receiver<()>) -> color_eyre::Result<ExitCode> {
    show_with(engine, UiOptions::new(config), stop)
}

/// Like [`show`], with these options.
///
/// # Errors
/// There is no terminal, or it fails.
pub fn show_with(engine: &Engine, options: UiOptions, stop: &Receiver<()>) -> color_eyre::Result<ExitCode> {
    let outcome = crate::ui::terminal::event_loop::run(engine.sender(), &engine.events(), options, stop)?;
    match outcome {
        Outcome::Quit => Ok(ExitCode::SUCCESS),
        Outcome::Stopped => Ok(ExitCode::from(STOPPED)),
        Outcome::EngineStopped => bail!("the engine has stopped; its log says why"),
    }
}

/// Stops the engine and logs which threads did not stop in time.
pub fn shutdown(engine: Engine) {
    let left = engine.shutdown(limits::SHUTDOWN);
    if !left.is_empty() {
        output::warn(&format!("ttui: did not stop in time: {}", left.join(", ")));
    }
}

/// Time that the program waits beyond the shutdown limit before it exits by force.
const GRACE: Duration = Duration::from_secs(1);

/// Returns a channel that receives SIGINT, SIGTERM and SIGHUP (Ctrl-C on Windows). A second signal exits immediately;
/// after the first, the process exits at a deadline even if a thread hangs.
///
/// # Errors
/// The handler cannot be installed.
pub fn on_signal() -> color_eyre::Result<Receiver<()>> {
    let (tell, stop) = bounded(1);
    ctrlc::set_handler(move || {
        if tell.try_send(()).is_err() {
            std::process::exit(i32::from(STOPPED));
        }
        let last_resort = || {
            std::thread::sleep(limits::SHUTDOWN + GRACE);
            std::process::exit(i32::from(STOPPED));
        };
        // If the thread cannot be started, a second signal still exits.
        let _ = std::thread::Builder::new().name("last-resort".into()).spawn(last_resort);
    })
    .wrap_err("signals cannot be caught")?;
    Ok(stop)
}

/// Waits until the first torrent of an engine has been checked.
///
/// # Errors
/// The engine refuses the torrent.
pub fn until_ready(engine: &Engine) -> color_eyre::Result<()> {
    let events = engine.events();
    loop {
        select! {
            recv(events) -> event => match event {
                Ok(Event::Checked(_)) => return Ok(()),
                Ok(Event::AddFailed { what, why }) => bail!("{what}: {why}"),
                Ok(_) => {}
                Err(_) => bail!("the engine has stopped"),
            },
            default(Duration::from_secs(60)) => bail!("the data were not checked within a minute"),
        }
    }
}

/// The lock that makes this the only interface on a state directory.
struct InstanceLock {
    _lock: std::fs::File,
}

impl InstanceLock {
    fn claim(state_dir: &Path) -> color_eyre::Result<InstanceLock> {
        let held = format!("another interface uses the state folder {}", state_dir.display());
        let lock = lock::acquire(&state_dir.join("lock"), &held).map_err(|fault| eyre!(fault.text))?;
        Ok(InstanceLock { _lock: lock })
    }
}
