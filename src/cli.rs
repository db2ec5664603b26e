//! The command line: dispatch to the subcommands. Each has its own module.

pub(crate) mod args;
pub(crate) mod bench;
pub(crate) mod control;
pub(crate) mod create;
pub(crate) mod demo;
pub(crate) mod download;
pub(crate) mod engine_run;
pub(crate) mod exit_status;
pub(crate) mod flags;
pub(crate) mod generate;
pub(crate) mod log;
pub(crate) mod magnet;
pub mod output;
pub(crate) mod progress;
pub(crate) mod report;
pub(crate) mod sample_data;
pub(crate) mod share;
pub(crate) mod show;
pub(crate) mod torrent_arg;
pub(crate) mod tracker;
pub(crate) mod tui;
pub(crate) mod values;
pub(crate) mod verify;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::ErrorKind;

pub use args::Cli;
pub use exit_status::FAILED;

use args::Command;
use exit_status::USAGE_ERROR;

/// Parses the arguments (the first is the program name), runs the subcommand and returns the exit status.
///
/// # Errors
/// The command failed: one sentence with cause and remedy.
pub fn run(args: impl IntoIterator<Item = OsString>) -> color_eyre::Result<ExitCode> {
    crate::clock::read_time_zone();
    let cli = match Cli::read(args) {
        Ok(cli) => cli,
        Err(answer) => {
            tell(&answer);
            return Ok(u8::try_from(answer.exit_code()).map_or(ExitCode::from(USAGE_ERROR), ExitCode::from));
        }
    };
    outlive_limits();
    match &cli.verb {
        Some(Command::Download(args)) => download::run(args, &cli.common),
        Some(Command::Seed(args)) => download::seed(args, &cli.common),
        Some(Command::Demo(args)) => demo::run(args, &cli.common),
        Some(Command::Bench(args)) => bench::run(args, &cli.common),
        Some(Command::Create(args)) => create::run(args, &cli.common),
        Some(Command::Show(args)) => show::run(args, &cli.common),
        Some(Command::Verify(args)) => verify::run(args, &cli.common),
        Some(Command::Magnet(args)) => magnet::run(args, &cli.common),
        Some(Command::Tracker(args)) => tracker::run(args, &cli.common),
        Some(Command::Share(args)) => share::run(args, &cli.common),
        Some(Command::Completions { shell }) => generate::completions(*shell),
        Some(Command::Man) => generate::man(),
        Some(Command::DebugReport) => report::run(&cli.common),
        None => tui::run(&cli.torrents, &cli.for_interface()),
    }
}

/// Makes a write beyond `ulimit -f` fail with an error: by default, SIGXFSZ would end the program.
#[cfg(unix)]
fn outlive_limits() {
    use signal_hook::consts::SIGXFSZ;
    // Having a handler is enough; the flag is never read.
    if let Err(error) = signal_hook::flag::register(SIGXFSZ, std::sync::Arc::default()) {
        tracing::warn!("a limit on the size of files will end the program: {error}");
    }
}

/// Does nothing: only Unix has this limit.
#[cfg(not(unix))]
const fn outlive_limits() {}

/// Prints help, the version or a usage error. A usage error quotes the arguments, which may hold untrusted text (a file
/// name filled in by shell completion), so it is sanitized and printed without colors.
fn tell(answer: &clap::Error) {
    match answer.kind() {
        // A closed standard output is no failure here.
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => drop(answer.print()),
        _ => output::report(&answer.render().to_string()),
    }
}
