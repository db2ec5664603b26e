//! Plain `ttui`: the engine and the interface, brought together.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use color_eyre::eyre::{WrapErr, bail, eyre};
use crossbeam_channel::{Receiver, bounded, select};

use super::source::each;
use super::{Common, STOPPED, out};
use crate::api::{AddTorrent, Command, Event};
use crate::config::Config;
use crate::disk::lock;
use crate::engine::handle::{Engine, EngineConfig};
use crate::limits;
use crate::ui::run::{Outcome, UiOptions};

/// Opens the interface and adds the torrents named.
///
/// # Errors
/// The configuration is wrong, there is no terminal, or another interface uses the same state folder.
pub fn run(torrents: &[String], common: &Common) -> color_eyre::Result<ExitCode> {
    let config = Config::load(common.clone()).map_err(|why| eyre!(why))?;
    super::make_state_folder(&config);
    super::log::start(&config, true)?;
    let _only = Only::claim(&config.state_dir)?;
    let stop = on_signal()?;
    let max_active = Some(config.max_active.unwrap_or(limits::ACTIVE)).filter(|most| *most > 0);
    let engine = EngineConfig { keep: true, max_active, ..EngineConfig::from(&config) };
    let engine = Engine::start(&engine).map_err(|why| eyre!(why))?;
    for what in each(torrents) {
        engine.send(Command::Add(AddTorrent { what, ..AddTorrent::default() }));
    }
    let end = show(&engine, &config, &stop);
    leave(engine);
    end
}

/// Shows the interface until the user quits.
///
/// # Errors
/// There is no terminal, or it fails.
pub fn show(engine: &Engine, config: &Config, stop: &Receiver<()>) -> color_eyre::Result<ExitCode> {
    show_with(engine, UiOptions::new(config), stop)
}

/// The same with these options.
///
/// # Errors
/// There is no terminal, or it fails.
pub fn show_with(engine: &Engine, options: UiOptions, stop: &Receiver<()>) -> color_eyre::Result<ExitCode> {
    let outcome = crate::ui::run::run(engine.sender(), &engine.events(), options, stop)?;
    match outcome {
        Outcome::Quit => Ok(ExitCode::SUCCESS),
        Outcome::Stopped => Ok(ExitCode::from(STOPPED)),
        Outcome::EngineStopped => bail!("the engine has stopped; its log says why"),
    }
}

/// Stops the engine, and names what did not stop in time.
pub fn leave(engine: Engine) {
    let left = engine.shutdown(limits::SHUTDOWN);
    if !left.is_empty() {
        out::warn(&format!("ttui: did not stop in time: {}", left.join(", ")));
    }
}

/// How much longer than a stop may take the program waits before it ends by force.
const GRACE: Duration = Duration::from_secs(1);

/// A channel that hears of SIGINT, SIGTERM and SIGHUP (Ctrl-C on Windows). A second one ends the program at once, and the
/// first one does when its time is up, whatever hangs.
///
/// # Errors
/// When the system does not let us hear of them.
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
        // Without a thread for it there is still the second signal.
        let _ = std::thread::Builder::new().name("last-resort".into()).spawn(last_resort);
    })
    .wrap_err("signals cannot be caught")?;
    Ok(stop)
}

/// Waits until the first torrent of an engine has been checked.
///
/// # Errors
/// When it is refused instead.
pub fn until_ready(engine: &Engine) -> color_eyre::Result<()> {
    let events = engine.events();
    loop {
        select! {
            recv(events) -> event => match event {
                Ok(Event::Ready(_)) => return Ok(()),
                Ok(Event::Refused { what, why }) => bail!("{what}: {why}"),
                Ok(_) => {}
                Err(_) => bail!("the engine has stopped"),
            },
            default(Duration::from_secs(60)) => bail!("the data were not checked within a minute"),
        }
    }
}

/// The right to be the only interface on a state folder.
struct Only {
    _lock: std::fs::File,
}

impl Only {
    fn claim(state_dir: &Path) -> color_eyre::Result<Only> {
        let held = format!("another interface uses the state folder {}", state_dir.display());
        let lock = lock::claim(&state_dir.join("lock"), &held).map_err(|fault| eyre!(fault.text))?;
        Ok(Only { _lock: lock })
    }
}
