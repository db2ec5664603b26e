//! `ttui magnet`: prints the magnet link of a `.torrent`.

use std::process::ExitCode;

use super::args::{Common, MagnetArgs};
use super::output;
use super::torrent_arg::{TorrentArg, read};
use crate::wire::magnet::Magnet;

/// Prints the magnet link.
///
/// # Errors
/// The torrent cannot be read.
pub(crate) fn run(args: &MagnetArgs, common: &Common) -> color_eyre::Result<ExitCode> {
    let link = match read(&args.torrent, common)? {
        TorrentArg::Magnet(magnet) => *magnet,
        TorrentArg::Torrent(it) => {
            if it.private {
                output::warn(
                    "ttui: this torrent is private: its link carries your tracker's address, keep it to yourself",
                );
            }
            Magnet::from(&*it)
        }
    };
    output::print(&format!("{link}\n"))?;
    Ok(ExitCode::SUCCESS)
}
