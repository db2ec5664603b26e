//! The `ttui` binary. The library documentation describes the architecture.

use std::process::ExitCode;

use color_eyre::config::{HookBuilder, Theme};
use ttui::cli;
use ttui::wire::sanitize::sanitize;

/// Maximum width of an error message, in columns: it may contain long paths.
const MESSAGE: usize = 8000;

fn main() -> ExitCode {
    let result = install().and_then(|()| cli::run(std::env::args_os()));
    result.unwrap_or_else(|report| {
        cli::output::warn(&sanitize(&format!("ttui: {}", cli::output::sentence(&report)), MESSAGE));
        ExitCode::from(cli::FAILED)
    })
}

/// Installs error and panic reports without color. Panics go through `cli` output, since they may quote untrusted text.
fn install() -> color_eyre::Result<()> {
    let (panics, errors) = HookBuilder::default().theme(Theme::new()).try_into_hooks()?;
    errors.install()?;
    std::panic::set_hook(Box::new(move |info| cli::output::report(&panics.panic_report(info).to_string())));
    Ok(())
}
