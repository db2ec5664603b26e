//! What subcommands that run an engine have in common: the state directory, signals, the end.

use std::time::Duration;

use color_eyre::eyre::{WrapErr, bail};
use crossbeam_channel::{Receiver, bounded};

use super::exit_status::STOPPED;
use super::output;
use crate::config::Config;
use crate::disk::atomic_file;
use crate::engine::handle::Engine;
use crate::limits;

/// Creates the state directory, private to the user. Other errors are only logged: a later write there reports its own.
///
/// # Errors
/// There is a file in its place.
pub(crate) fn make_state_folder(config: &Config) -> color_eyre::Result<()> {
    if config.state_dir.is_file() {
        bail!("the state folder {} is a file: name a folder with --state-dir", config.state_dir.display());
    }
    let made = atomic_file::make_state_folder(&config.state_dir, config.is_default_state_dir);
    if let Err(error) = made {
        tracing::debug!("{} cannot be made: {error}", config.state_dir.display());
    }
    Ok(())
}

/// Stops the engine and says so if torrents had not ended in time.
pub(crate) fn shutdown(engine: Engine) {
    if let Some(text) = engine.shutdown(limits::SHUTDOWN).err().and_then(|left| left.sentence()) {
        output::warn(&format!("ttui: {text}"));
    }
}

/// Time that the program waits beyond the shutdown limit before it exits by force.
const GRACE: Duration = Duration::from_secs(1);

/// Returns a channel that receives SIGINT, SIGTERM and SIGHUP (Ctrl-C on Windows). A second signal exits immediately;
/// after the first, the process exits at a deadline even if a thread hangs.
///
/// # Errors
/// The handler cannot be installed.
pub(crate) fn on_signal() -> color_eyre::Result<Receiver<()>> {
    let (tell, stop) = bounded(1);
    let mut stopping = false;
    ctrlc::set_handler(move || {
        if std::mem::replace(&mut stopping, true) {
            std::process::exit(i32::from(STOPPED));
        }
        let _ = tell.try_send(());
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
