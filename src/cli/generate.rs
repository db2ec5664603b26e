//! `ttui completions` and `ttui man`, generated from the clap definition.

use std::process::ExitCode;

use clap::CommandFactory;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use super::args::Cli;
use super::output;
use crate::config::settings::{self, Setting};

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

/// Complete calls and what they do.
const EXAMPLES: &[(&str, &str)] = &[
    ("ttui debian.torrent", "Open the interface and download into the default folder."),
    (
        "ttui download 'magnet:?xt=...' --dir /srv/isos --select '*.iso' --seed-ratio 1.5",
        "Download some files of a torrent, seed them to a ratio of 1.5 and exit.",
    ),
    ("ttui create photos/ --tracker udp://tracker.example:6969 --private", "Make photos.torrent and print its link."),
    ("ttui verify photos.torrent --dir /srv/data && echo intact", "Check data on disk in a script."),
    ("ttui share photos/", "Give a folder to others on the local network, with a QR code of its link."),
    ("ttui download FILE --json | jq .down", "Follow a download in a script."),
];

/// Files of the program, and what is in them. The folders are those of Linux.
const FILES: &[(&str, &str)] = &[
    ("~/.config/ttui/config.toml", "The settings, see CONFIG. On Windows: ttui\\config.toml in AppData\\Roaming."),
    (
        "~/.local/state/ttui/",
        "Torrents of the interface, resume data, DHT nodes and the log. On Windows: ttui in AppData\\Local.",
    ),
    (
        ".HASH.ttui.parts",
        "In a download folder: bytes of files that are not wanted but share a piece with a wanted one.",
    ),
];

/// Returns the sections that clap does not know: EXAMPLES, FILES and CONFIG.
fn more_sections() -> Roff {
    let mut page = Roff::new();
    let mut section = |title: &str, entries: &mut dyn Iterator<Item = (String, String)>| {
        page.control("SH", [title]);
        for (term, text) in entries {
            page.control("TP", []).text([bold(term)]).text([roman(text)]);
        }
    };
    let owned = |(term, text): &(&str, &str)| ((*term).to_owned(), (*text).to_owned());
    section("EXAMPLES", &mut EXAMPLES.iter().map(owned));
    section("FILES", &mut FILES.iter().map(owned));
    let key = |setting: &Setting| {
        let text = format!("{} Takes {}. Default: {}.", setting.help, setting.expected(), setting.default);
        (setting.key.to_owned(), text)
    };
    section("CONFIG", &mut settings::all().map(key));
    page
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
    page.extend_from_slice(more_sections().to_roff().as_bytes());
    output::print(&String::from_utf8_lossy(&page))?;
    Ok(ExitCode::SUCCESS)
}
