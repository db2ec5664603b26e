//! `ttui magnet`: the magnet link of a `.torrent`.

use std::process::ExitCode;

use crate::cli::source::{Named, read};
use crate::cli::{Common, MagnetArgs, out};
use crate::wire::magnet::Magnet;

/// Prints the link.
///
/// # Errors
/// When the torrent cannot be read.
pub fn run(args: &MagnetArgs, common: &Common) -> color_eyre::Result<ExitCode> {
    let link = match read(&args.torrent, common)? {
        Named::Magnet(magnet) => magnet,
        Named::Torrent(it, _) => {
            if it.private {
                out::warn(
                    "ttui: this torrent is private: its link carries your tracker's address, keep it to yourself",
                );
            }
            Magnet::from(&*it)
        }
    };
    out::print(&format!("{link}\n"))?;
    Ok(ExitCode::SUCCESS)
}
