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
        cli::out::warn(&clean(&format!("ttui: {}", sentence(&report)), MESSAGE));
        ExitCode::from(cli::FAILED)
    })
}

/// What failed and why, outermost first. A cause that its effect has quoted already is not said twice.
fn sentence(report: &color_eyre::Report) -> String {
    let mut whole = String::new();
    for cause in report.chain().map(ToString::to_string) {
        if whole.is_empty() {
            whole = cause;
        } else if !whole.contains(&cause) {
            whole = format!("{whole}: {cause}");
        }
    }
    whole
}
