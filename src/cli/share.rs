//! `ttui share`: from a file or a folder to the screens of others on the network, in one call. It hashes what has changed
//! since the last time, runs a tracker, seeds, and says what is to be typed on the other side.

use std::io::{self, IsTerminal};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use color_eyre::eyre::{WrapErr, eyre};
use humansize::{BINARY, format_size};

use super::create::{now, tell_left_out, watched};
use super::interface::{self, leave, on_signal};
use super::progress::{End, Show, Until, Watch};
use super::{Common, FAILED, STOPPED, ShareArgs, out};
use crate::api::{AddTorrent, Command, Created};
use crate::config::Config;
use crate::disk::create::hashing::Progress;
use crate::disk::create::walk::{Choice, Survey, survey};
use crate::disk::create::{CreateError, Made, Terms, kept, make, piece_length};
use crate::engine::handle::{Engine, EngineConfig};
use crate::engine::interfaces::near_addresses;
use crate::engine::tracker::{PORT, Tracker, TrackerConfig};
use crate::ui::handout;
use crate::ui::look::UiOptions;
use crate::ui::qr::Qr;
use crate::ui::style::{Colours, ThemeName};
use crate::wire::magnet::Magnet;
use crate::wire::text::clean;

/// The most addresses of this machine that the link names as trackers: a longer link makes a larger QR code.
const ADDRESSES: usize = 3;
/// The most columns of a sentence.
const TEXT: usize = 4000;

/// Shares until it is stopped.
///
/// # Errors
/// One sentence: what cannot be read, or why nobody could be told of it.
pub fn run(args: &ShareArgs, common: &Common) -> color_eyre::Result<ExitCode> {
    let mut config = Config::load(common.clone()).map_err(|why| eyre!(why))?;
    config.port = args.port.unwrap_or(config.port);
    let headless = args.headless || !io::stdout().is_terminal() || !io::stdin().is_terminal();
    super::make_state_folder(&config);
    super::log::start(&config, !headless)?;
    let stop = on_signal()?;
    let tracker = tracker(config.bind)?;
    let urls = urls(&tracker, &near_addresses(config.bind));
    let progress = Progress::default();
    let began = Instant::now();
    let terms = Terms { trackers: urls.iter().map(|url| vec![url.clone()]).collect(), date: now(), ..Terms::default() };
    let work = || made(args, &config.state_dir, &terms, &progress);
    let share = match watched(work, &progress, &stop) {
        Err(CreateError::Stopped) => return Ok(ExitCode::from(STOPPED)),
        done => done?,
    };
    // What is for the local network needs no way in from outside.
    let engine = Engine::start(&EngineConfig { port_map: false, dht: None, ..EngineConfig::from(&config) })
        .map_err(|why| eyre!(why))?;
    engine.send(Command::Add(AddTorrent {
        what: share.path.to_string_lossy().into_owned(),
        dir: Some(share.found.around()),
        ..AddTorrent::default()
    }));
    let look = UiOptions::new(&config);
    // The QR code has colors of its own; names in the rest are cleaned where they come in.
    out::print_as_it_is(&share.told(&urls, config.lsd, began.elapsed(), &look))?;
    let end = if headless {
        let end = Watch::new(&engine, 1, Show::Lines, Until::default(), &stop).run();
        end.map(|end| match end {
            End::Done => ExitCode::SUCCESS,
            End::Failed => ExitCode::from(FAILED),
            End::Stopped => ExitCode::from(STOPPED),
        })
    } else {
        let shared = Created { path: share.path.to_string_lossy().into_owned(), ..share.created(config.lsd) };
        interface::show_with(&engine, UiOptions { shared: Some(shared), ..look }, &stop)
    };
    leave(engine);
    drop(tracker);
    end
}

/// A tracker for whoever can reach this machine, at the usual port or at one that is free.
fn tracker(bind: Option<IpAddr>) -> color_eyre::Result<Tracker> {
    let hosts =
        bind.map_or_else(|| vec![IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)], |ip| vec![ip]);
    let at = |port: u16| TrackerConfig {
        listen: hosts.iter().map(|host| SocketAddr::new(*host, port)).collect(),
        interval: TrackerConfig::INTERVAL,
    };
    Tracker::start(&at(PORT)).or_else(|_| Tracker::start(&at(0))).wrap_err("the tracker cannot start")
}

/// Where others reach the tracker.
fn urls(tracker: &Tracker, near: &[IpAddr]) -> Vec<String> {
    let port = |ip: &IpAddr| tracker.addrs().iter().find(|addr| addr.is_ipv4() == ip.is_ipv4()).map(SocketAddr::port);
    let url = |ip: &IpAddr| Some(format!("http://{}/announce", SocketAddr::new(*ip, port(ip)?)));
    near.iter().filter_map(url).take(ADDRESSES).collect()
}

/// What is shared.
struct Share {
    found: Survey,
    made: Made,
    /// Where its `.torrent` is.
    path: PathBuf,
    /// It was hashed before.
    known: bool,
}

/// Finds the files, and hashes them unless they are as they were the last time.
fn made(args: &ShareArgs, state_dir: &Path, terms: &Terms, progress: &Progress) -> Result<Share, CreateError> {
    let choice = Choice { hidden: args.include_hidden, except: None };
    let found = survey(&args.path, &choice, &|| progress.is_stopped())?;
    tell_left_out(&found);
    let piece = piece_length(found.total);
    let path = kept::place(state_dir, &found, piece);
    let path = std::path::absolute(&path).unwrap_or(path);
    let before = kept::again(&path, &found, piece, terms);
    let known = before.is_some();
    let made = match before {
        Some(made) => made,
        None => {
            let threads = std::thread::available_parallelism().map_or(1, usize::from);
            let made = make(&found, piece, terms, threads, progress)?;
            kept::vouch(state_dir, &found, &made.meta);
            made
        }
    };
    if progress.is_stopped() {
        return Err(CreateError::Stopped);
    }
    kept::keep(state_dir, &path, &made)?;
    Ok(Share { found, made, path, known })
}

impl Share {
    fn created(&self, lan: bool) -> Created {
        Created {
            path: clean(&self.path.display().to_string(), TEXT),
            magnet: Magnet::from(&self.made.meta).to_string(),
            lan,
        }
    }

    /// What a person is told: what is shared, how others get it, and the QR code.
    fn told(&self, urls: &[String], lan: bool, took: Duration, look: &UiOptions) -> String {
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
        let name = clean(&self.found.name.to_string_lossy(), TEXT);
        let size = format_size(self.found.total, BINARY);
        let mut text = format!(
            "sharing    {name}: {files}, {size}, {hashed}\ntracker    {tracker}\ntorrent    {path}\nmagnet     {magnet}\n\n",
        );
        text.push_str(&code(&handout::short(&magnet), look));
        text.push_str(&format!("\nOn another machine type\n  ttui \"{magnet}\"\n"));
        if lan {
            let hash = handout::info_hash(&magnet);
            text.push_str(&format!("or, on the same network, only its info-hash\n  ttui {hash}\n"));
        }
        text.push_str(
            "or bring the .torrent file there and type ttui and its path.\nIt is shared until ttui is stopped.\n\n",
        );
        text
    }
}

/// A QR code for a terminal: black on white where there are colours, and as the ground seems to be where there are none.
fn code(text: &str, look: &UiOptions) -> String {
    let style = match look.options.colours {
        _ if look.theme.name == ThemeName::Plain || !io::stdout().is_terminal() => None,
        Colours::Many => Some("38;5;16;48;5;231"),
        // The second ground, which is whiter, is passed over where it is not known.
        Colours::Sixteen | Colours::Eight => Some("30;47;107"),
    };
    let light = style.is_none() && !look.theme.light_ground;
    let lines = Qr::of(text).and_then(|code| code.lines(usize::MAX, usize::MAX, light)).unwrap_or_default();
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
