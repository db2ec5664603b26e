//! The log file: what happened, in words, for whoever asks later.

use color_eyre::eyre::WrapErr;
use flexi_logger::{Age, Cleanup, Criterion, FileSpec, Logger, Naming};

use crate::config::Config;
use crate::limits::MIB;

/// The size at which a log file is put aside, and how many of these are kept.
const SIZE: u64 = 10 * MIB as u64;
const KEPT: usize = 3;

/// Begins to log to the file that was named; with `always` otherwise to `ttui.log` in the state folder.
///
/// # Errors
/// When the file cannot be written.
pub fn start(config: &Config, always: bool) -> color_eyre::Result<()> {
    let path = match (&config.log_file, always || config.verbose > 0) {
        (Some(path), _) => path.clone(),
        (None, true) => config.state_dir.join("ttui.log"),
        (None, false) => return Ok(()),
    };
    let level = ["info", "debug", "trace"][usize::from(config.verbose.min(2))];
    // Only our own words: what libraries log may quote strangers.
    let spec = format!("off, ttui={level}");
    let file = FileSpec::try_from(&path).wrap_err_with(|| format!("{} cannot be a log file", path.display()))?;
    let rotate = Criterion::AgeOrSize(Age::Day, SIZE);
    Logger::try_with_str(spec)
        .and_then(|logger| {
            let logger = logger.log_to_file(file).append().use_utc();
            logger.rotate(rotate, Naming::Numbers, Cleanup::KeepLogFiles(KEPT)).start()
        })
        .wrap_err_with(|| format!("the log file {} cannot be written", path.display()))?;
    Ok(())
}
