//! `ttui share`: shares a file or directory with others on the local network in one step. It hashes what has changed
//! since the last time, runs a tracker, seeds, and prints the command to type on the other machine.

use std::io::{self, IsTerminal};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use color_eyre::eyre::{WrapErr, eyre};

use super::args::{Common, ShareArgs};
use super::create::{now, tell_left_out, watched};
use super::engine_run::{make_state_folder, on_signal, shutdown};
use super::exit_status::{FAILED, STOPPED};
use super::progress::{ExitReason, OutputMode, ProgressReporter, StopCondition};
use super::{output, tui};
use crate::api::{AddTorrent, Command, Created};
use crate::config::Config;
use crate::disk::create::hashing::Progress;
use crate::disk::create::scan::{FileScan, ScanOptions, scan_files};
use crate::disk::create::{BuiltTorrent, CreateError, CreateOptions, cache, make, piece_length};
use crate::engine::handle::{Engine, EngineConfig};
use crate::engine::interfaces::local_addresses;
use crate::engine::tracker::{PORT, Tracker, TrackerConfig};
use crate::format;
use crate::ui::app::setup::UiOptions;
use crate::ui::dialogs::share;
use crate::ui::theme::style::{ColorDepth, ThemeName};
use crate::ui::widgets::qr::Qr;
use crate::wire::magnet::Magnet;
use crate::wire::sanitize::sanitize;

/// Maximum number of local addresses that the link names as trackers: a longer link makes a larger QR code.
const ADDRESSES: usize = 3;
/// Maximum columns of a printed sentence.
const TEXT: usize = 4000;

/// Shares until stopped.
///
/// # Errors
/// The data cannot be read, or no other machine could find the share.
pub(crate) fn run(args: &ShareArgs, common: &Common) -> color_eyre::Result<ExitCode> {
    let mut config = Config::load(common.clone())?;
    config.port = args.port.unwrap_or(config.port);
    let headless = args.headless || !io::stdout().is_terminal() || !io::stdin().is_terminal();
    make_state_folder(&config)?;
    super::log::start(&config, !headless)?;
    let stop = on_signal()?;
    let tracker = tracker(config.bind)?;
    let urls = urls(&tracker, &local_addresses(config.bind));
    let progress = Progress::default();
    let began = Instant::now();
    let terms = CreateOptions {
        trackers: urls.iter().map(|url| vec![url.clone()]).collect(),
        date: now(),
        ..CreateOptions::default()
    };
    let work = || made(args, &config.state_dir, &terms, &progress);
    let share = match watched(work, &progress, &stop) {
        Err(CreateError::Stopped) => return Ok(ExitCode::from(STOPPED)),
        done => done?,
    };
    // Sharing on the local network needs no port mapping.
    let engine = Engine::start(&EngineConfig { port_map: false, dht: None, ..EngineConfig::from(&config) })
        .map_err(|why| eyre!(why))?;
    engine.send(Command::Add(AddTorrent {
        what: share.path.to_string_lossy().into_owned(),
        dir: Some(share.found.download_dir()),
        seed_only: true,
        ..AddTorrent::default()
    }));
    let look = UiOptions::new(&config);
    // The QR code contains escape sequences; names in the rest are sanitized where they are read.
    output::print_as_it_is(&share.summary(&urls, config.lsd, began.elapsed(), &look))?;
    let end = if headless {
        let end = ProgressReporter::new(&engine, 1, OutputMode::Lines, StopCondition::default(), &stop).run();
        end.map(|end| match end {
            ExitReason::Done => ExitCode::SUCCESS,
            ExitReason::Failed => ExitCode::from(FAILED),
            ExitReason::Stopped => ExitCode::from(STOPPED),
        })
    } else {
        let shared = Created { path: share.path.to_string_lossy().into_owned(), ..share.created(config.lsd) };
        tui::show(&engine, UiOptions { shared: Some(shared), ..look }, &stop)
    };
    shutdown(engine);
    drop(tracker);
    end
}

/// Starts a tracker that is reachable on every local address, on the default port or on a free one.
fn tracker(bind: Option<IpAddr>) -> color_eyre::Result<Tracker> {
    let hosts =
        bind.map_or_else(|| vec![IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)], |ip| vec![ip]);
    let at = |port: u16| TrackerConfig {
        listen: hosts.iter().map(|host| SocketAddr::new(*host, port)).collect(),
        interval: TrackerConfig::INTERVAL,
    };
    Tracker::start(&at(PORT)).or_else(|_| Tracker::start(&at(0))).wrap_err("the tracker cannot start")
}

/// Returns the announce URLs of the tracker on the local addresses.
fn urls(tracker: &Tracker, near: &[IpAddr]) -> Vec<String> {
    let port = |ip: &IpAddr| tracker.addrs().iter().find(|addr| addr.is_ipv4() == ip.is_ipv4()).map(SocketAddr::port);
    let url = |ip: &IpAddr| Some(format!("http://{}/announce", SocketAddr::new(*ip, port(ip)?)));
    near.iter().filter_map(url).take(ADDRESSES).collect()
}

/// A torrent that is being shared.
struct Share {
    found: FileScan,
    made: BuiltTorrent,
    /// Path of the `.torrent`.
    path: PathBuf,
    /// The `.torrent` was taken from an earlier run; nothing was hashed.
    known: bool,
}

/// Scans the files, and hashes them unless they are unchanged since the last run.
fn made(args: &ShareArgs, state_dir: &Path, terms: &CreateOptions, progress: &Progress) -> Result<Share, CreateError> {
    let choice = ScanOptions { hidden: args.include_hidden, except: None };
    let found = scan_files(&args.path, &choice, &|| progress.is_stopped())?;
    tell_left_out(&found);
    let piece = piece_length(found.total);
    let path = cache::cache_path(state_dir, &found, piece);
    let path = std::path::absolute(&path).unwrap_or(path);
    let before = cache::load_cached(&path, &found, piece, terms);
    let known = before.is_some();
    let made = match before {
        Some(made) => made,
        None => {
            let threads = std::thread::available_parallelism().map_or(1, usize::from);
            let made = make(&found, piece, terms, threads, progress)?;
            cache::write_resume(state_dir, &found, &made.meta);
            made
        }
    };
    if progress.is_stopped() {
        return Err(CreateError::Stopped);
    }
    cache::keep(state_dir, &path, &made)?;
    Ok(Share { found, made, path, known })
}

impl Share {
    fn created(&self, lan: bool) -> Created {
        Created {
            path: sanitize(&self.path.display().to_string(), TEXT),
            magnet: Magnet::from(&self.made.meta).to_string(),
            lan,
        }
    }

    /// Formats the summary: what is shared, how others get it, and the QR code.
    fn summary(&self, urls: &[String], lan: bool, took: Duration, look: &UiOptions) -> String {
        let Created { path, magnet, .. } = self.created(lan);
        let files = match self.found.files.len() {
            1 => "1 file".to_owned(),
            n => format!("{n} files"),
        };
        let hashed = match self.known {
            true => "as it was hashed before".to_owned(),
            false => format!("hashed in {:.1} s", took.as_secs_f64()),
        };
        let tracker = match urls {
            [] => "none: this machine has no address on a network".to_owned(),
            urls => urls.join(" "),
        };
        let name = sanitize(&self.found.name.to_string_lossy(), TEXT);
        let size = format::size(self.found.total);
        let mut text = format!(
            "sharing    {name}: {files}, {size}, {hashed}\ntracker    {tracker}\ntorrent    {path}\nmagnet     {magnet}\n\n",
        );
        text.push_str(&code(&share::short(&magnet), look));
        text.push_str(&format!("\nOn another machine type\n  ttui \"{magnet}\"\n"));
        if lan {
            let hash = share::info_hash(&magnet);
            text.push_str(&format!("or, on the same network, only its info-hash\n  ttui {hash}\n"));
        }
        text.push_str(
            "or bring the .torrent file there and type ttui and its path.\nIt is shared until ttui is stopped.\n\n",
        );
        text
    }
}

/// Renders a QR code: black on white if the terminal has colors, otherwise in the terminal's own colors.
fn code(text: &str, look: &UiOptions) -> String {
    let style = match look.options.colours {
        _ if look.theme.name == ThemeName::Plain || !io::stdout().is_terminal() => None,
        ColorDepth::Many => Some("38;5;16;48;5;231"),
        // 107 (bright white) is whiter than 47; terminals that do not know it ignore it.
        ColorDepth::Sixteen | ColorDepth::Eight => Some("30;47;107"),
    };
    let light = style.is_none() && !look.theme.light_ground;
    let lines = Qr::encode(text).and_then(|code| code.lines(usize::MAX, usize::MAX, light)).unwrap_or_default();
    let line = |line: String| match style {
        Some(style) => format!("\x1b[{style}m{line}\x1b[0m\n"),
        None => format!("{line}\n"),
    };
    lines.into_iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_are_told_the_addresses_that_they_can_reach() {
        let tracker = Tracker::start(&TrackerConfig::loopback()).unwrap();
        let port = tracker.addrs()[0].port();
        let near: Vec<IpAddr> =
            ["192.168.1.2", "fd00::2", "10.0.0.2", "10.0.0.3", "10.0.0.4"].map(|ip| ip.parse().unwrap()).into();
        let wanted = ["192.168.1.2", "10.0.0.2", "10.0.0.3"].map(|ip| format!("http://{ip}:{port}/announce"));
        assert_eq!(urls(&tracker, &near), wanted);
        assert!(urls(&tracker, &[]).is_empty());
    }
}
