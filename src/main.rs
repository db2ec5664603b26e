//! `ttui`: see the library's documentation for the map.

use std::process::ExitCode;

use color_eyre::config::{HookBuilder, Theme};
use ttui::cli;
use ttui::wire::text::clean;

/// The most columns of a message about a failure: paths in it may be long.
const MESSAGE: usize = 8000;

fn main() -> ExitCode {
    let result = install().and_then(|()| cli::run(std::env::args_os()));
    result.unwrap_or_else(|report| {
        cli::out::warn(&clean(&format!("ttui: {}", sentence(&report)), MESSAGE));
        ExitCode::from(cli::FAILED)
    })
}

/// Has panics reported through [`cli::out`], since they may quote strangers too, and so without colors.
fn install() -> color_eyre::Result<()> {
    let (panics, errors) = HookBuilder::default().theme(Theme::new()).try_into_hooks()?;
    errors.install()?;
    std::panic::set_hook(Box::new(move |info| cli::out::report(&panics.panic_report(info).to_string())));
    Ok(())
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
