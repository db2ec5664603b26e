//! `ttui completions` and `ttui man`, generated from the clap definition.

use std::process::ExitCode;

use clap::CommandFactory;
use clap_mangen::Man;

use super::args::Cli;
use super::output;

/// Prints a shell completion script.
///
/// # Errors
/// Standard output cannot be written.
pub(crate) fn completions(shell: clap_complete::Shell) -> color_eyre::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "ttui", &mut script);
    output::print(&String::from_utf8_lossy(&script))?;
    Ok(ExitCode::SUCCESS)
}

/// Prints the man page: the interface first, then one section per subcommand.
///
/// # Errors
/// Standard output cannot be written.
pub(crate) fn man() -> color_eyre::Result<ExitCode> {
    let mut program = Cli::command();
    program.build();
    let mut page = Vec::new();
    let whole = Man::new(program.clone());
    whole.render_title(&mut page)?;
    whole.render_name_section(&mut page)?;
    whole.render_synopsis_section(&mut page)?;
    whole.render_description_section(&mut page)?;
    whole.render_options_section(&mut page)?;
    for verb in program.get_subcommands().filter(|v| v.get_name() != "help") {
        let name = verb.get_name().to_uppercase();
        // The common options are described once, in the main section.
        let own = verb.clone().mut_args(|arg| {
            let common = arg.is_global_set() || matches!(arg.get_id().as_str(), "help" | "version");
            arg.hide(common)
        });
        let section = Man::new(own);
        let mut part = Vec::new();
        section.render_synopsis_section(&mut part)?;
        section.render_description_section(&mut part)?;
        if verb.get_arguments().any(|a| !a.is_global_set() && a.get_id() != "help") {
            section.render_options_section(&mut part)?;
        }
        page.extend_from_slice(format!(".SH {name}\n").as_bytes());
        page.extend_from_slice(String::from_utf8_lossy(&part).replace(".SH ", ".SS ").as_bytes());
    }
    whole.render_extra_section(&mut page)?;
    output::print(&String::from_utf8_lossy(&page))?;
    Ok(ExitCode::SUCCESS)
}
