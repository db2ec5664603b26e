//! `ttui`: see the library's documentation for the map.

use std::process::ExitCode;

use ttui::cli;
use ttui::wire::text::clean;

/// The most columns of a message about a failure: paths in it may be long.
const MESSAGE: usize = 8000;

fn main() -> ExitCode {
    let result = color_eyre::install().and_then(|()| cli::run(std::env::args_os()));
    result.unwrap_or_else(|report| {
        // A message may quote a stranger's file, so it is cleaned like everything else that strangers say.
        cli::out::warn(&clean(&format!("ttui: {report:#}"), MESSAGE));
        ExitCode::from(cli::FAILED)
    })
}
