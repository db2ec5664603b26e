//! The command line: what can be called, and who does it. One file a verb.

pub mod bench;
pub mod create;
pub mod demo;
pub mod download;
pub mod interface;
pub mod log;
pub mod made_up;
pub mod magnet;
pub mod out;
pub mod pages;
pub mod progress;
pub mod share;
pub mod show;
pub mod source;
pub mod tracker;
pub mod verify;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand};

pub use crate::config::{Encryption, Settings as Common};

/// It could not be done.
pub const FAILED: u8 = 1;
/// The call was wrong.
pub const WRONG_CALL: u8 = 2;
/// Stopped by the user.
pub const STOPPED: u8 = 130;

/// A BitTorrent client for the terminal: watch every peer and every piece live.
///
/// Without a verb it opens the terminal interface and adds each TORRENT that is named.
#[derive(Parser, Clone, Debug)]
#[command(name = "ttui", version, max_term_width = 120)]
#[command(after_help = "A TORRENT is a .torrent file, a magnet link, a 40-digit info-hash, or an http(s) URL of a \
    .torrent or of a link.\nExit status: 0 done, 1 it could not be done, 2 the call was wrong, 130 stopped by the user.")]
pub struct Cli {
    /// What is to be done; the interface when absent.
    #[command(subcommand)]
    pub verb: Option<Verb>,
    /// Torrents to add to the interface
    #[arg(value_name = "TORRENT")]
    pub torrents: Vec<String>,
    /// The folder that the interface downloads to
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// The port that peers reach the interface on
    #[arg(long, value_name = "PORT")]
    pub port: Option<u16>,
    /// Flags that every verb takes.
    #[command(flatten)]
    pub common: Common,
}

impl Cli {
    /// Reads the arguments; the first is the program's own name.
    ///
    /// # Errors
    /// The call is wrong, or it asks for help or the version.
    fn read(args: impl IntoIterator<Item = OsString>) -> Result<Cli, clap::Error> {
        let cli = Cli::try_parse_from(args)?;
        // They are the interface's own. A verb that has them too would seem to be given what it never sees.
        let stray = [("--dir", cli.dir.is_some()), ("--port", cli.port.is_some())];
        match stray.into_iter().find(|(_, given)| *given && cli.verb.is_some()) {
            Some((flag, _)) => {
                let text = format!("{flag} stands before the verb: it goes behind it, where the verb has such a flag");
                Err(Cli::command().error(ErrorKind::ArgumentConflict, text))
            }
            None => Ok(cli),
        }
    }

    /// What the interface is told: its own flags are also keys of the config.
    fn for_interface(&self) -> Common {
        let mut common = self.common.clone();
        common.dir = self.dir.clone().or(common.dir);
        common.port = self.port.or(common.port);
        common
    }
}

/// What can be done without the interface.
#[derive(Subcommand, Clone, Debug)]
pub enum Verb {
    /// Download torrents, then seed them
    Download(DownloadArgs),
    /// Check what is there, then seed it
    Seed(SeedArgs),
    /// Make a .torrent file of a file or a folder
    Create(CreateArgs),
    /// Show what is inside a .torrent file or a magnet link
    Show(ShowArgs),
    /// Check data on disk against a .torrent file; done only if they are whole
    Verify(VerifyArgs),
    /// Print the magnet link of a .torrent file
    Magnet(MagnetArgs),
    /// Run a small HTTP and UDP tracker
    Tracker(TrackerArgs),
    /// Share a file or a folder with others on the network
    Share(ShareArgs),
    /// Show a whole swarm at work, with no network: a tracker, two seeders, a download
    Demo(DemoArgs),
    /// Measure this machine: making a torrent, hashing, downloading and seeding over loopback
    Bench(BenchArgs),
    /// Print the completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    Man,
}

/// `ttui download`
#[derive(Args, Clone, Debug)]
pub struct DownloadArgs {
    /// What to download
    #[arg(value_name = "TORRENT", required = true)]
    pub torrents: Vec<String>,
    /// The folder to download to
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub dir: PathBuf,
    /// The port that peers reach us on
    #[arg(long, value_name = "PORT")]
    pub port: Option<u16>,
    /// Connect to this peer at once (can be given several times)
    #[arg(long = "peer", value_name = "IP:PORT")]
    pub peers: Vec<SocketAddr>,
    /// Fetch only files that match (can be given several times)
    #[arg(long, value_name = "GLOB")]
    pub select: Vec<String>,
    /// Fetch pieces in order
    #[arg(long)]
    pub sequential: bool,
    /// Write over files that were there before and are not the torrent's
    #[arg(long)]
    pub overwrite: bool,
    /// Stop seeding when this many times the wanted bytes were sent, in this and earlier runs
    #[arg(long, value_name = "RATIO", value_parser = ratio)]
    pub seed_ratio: Option<f64>,
    /// Stop seeding after this many minutes
    #[arg(long, value_name = "MIN")]
    pub seed_time: Option<u64>,
    /// Stop when everything is there, or with status 1 when a fault of the disk keeps it from coming
    #[arg(long)]
    pub exit_when_done: bool,
    /// Print a line a second instead of a progress bar
    #[arg(long)]
    pub headless: bool,
    /// Print the lines as JSON, one object a line
    #[arg(long)]
    pub json: bool,
}

/// `ttui seed`
#[derive(Args, Clone, Debug)]
pub struct SeedArgs {
    /// What to seed
    #[arg(value_name = "TORRENT", required = true)]
    pub torrents: Vec<String>,
    /// The folder that the data are in
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub dir: PathBuf,
    /// The port that peers reach us on
    #[arg(long, value_name = "PORT")]
    pub port: Option<u16>,
    /// Connect to this peer at once (can be given several times)
    #[arg(long = "peer", value_name = "IP:PORT")]
    pub peers: Vec<SocketAddr>,
    /// Print a line a second instead of a progress bar
    #[arg(long)]
    pub headless: bool,
    /// Print the lines as JSON, one object a line
    #[arg(long)]
    pub json: bool,
}

/// `ttui create`
#[derive(Args, Clone, Debug)]
pub struct CreateArgs {
    /// The file or the folder
    #[arg(value_name = "PATH")]
    pub path: PathBuf,
    /// Where the .torrent goes [default: its name in the current folder]
    #[arg(short, long, value_name = "OUT")]
    pub output: Option<PathBuf>,
    /// A tracker; those given later are asked when those before do not answer, those with commas between share the work
    #[arg(long, value_name = "URL", value_parser = create::trackers)]
    pub tracker: Vec<Trackers>,
    /// A web server that has the data too (can be given several times)
    #[arg(long, value_name = "URL", value_parser = create::web_seed)]
    pub web_seed: Vec<String>,
    /// Bytes of a piece: a power of two from 16K [default: about 1,500 pieces]
    #[arg(long, value_name = "SIZE", value_parser = create::piece)]
    pub piece_length: Option<u32>,
    /// Find peers by its trackers alone
    #[arg(long)]
    pub private: bool,
    /// A remark that everybody can read
    #[arg(long, value_name = "S")]
    pub comment: Option<String>,
    /// Where it comes from; gives it an info-hash of its own
    #[arg(long, value_name = "S")]
    pub source: Option<String>,
    /// Another name than that of the file or the folder
    #[arg(long, value_name = "S", value_parser = create::name)]
    pub name: Option<String>,
    /// Take hidden files too, and those that systems leave for themselves
    #[arg(long)]
    pub include_hidden: bool,
    /// Do not tell when it was made: the same data always give the same bytes
    #[arg(long)]
    pub no_date: bool,
    /// Replace the .torrent if it is there already
    #[arg(long)]
    pub force: bool,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Trackers that are asked in turn.
pub type Trackers = Vec<String>;

/// `ttui show`
#[derive(Args, Clone, Debug)]
pub struct ShowArgs {
    /// What to show
    pub torrent: String,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// `ttui verify`
#[derive(Args, Clone, Debug)]
pub struct VerifyArgs {
    /// What to check
    pub torrent: String,
    /// The folder that the data are in
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub dir: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// `ttui magnet`
#[derive(Args, Clone, Debug)]
pub struct MagnetArgs {
    /// Whose link to print
    pub torrent: String,
}

/// `ttui tracker`
#[derive(Args, Clone, Debug)]
pub struct TrackerArgs {
    /// Where to listen, for HTTP and UDP alike (can be given several times) [default: port 6969 of all addresses]
    #[arg(long, value_name = "IP:PORT")]
    pub listen: Vec<SocketAddr>,
    /// Seconds between two announces of a client
    #[arg(long, value_name = "S", default_value_t = 120, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub interval: u32,
}

/// `ttui share`
#[derive(Args, Clone, Debug)]
pub struct ShareArgs {
    /// The file or the folder
    #[arg(value_name = "PATH")]
    pub path: PathBuf,
    /// The port that peers reach us on
    #[arg(long, value_name = "PORT")]
    pub port: Option<u16>,
    /// Take hidden files too, and those that systems leave for themselves
    #[arg(long)]
    pub include_hidden: bool,
    /// Print a line a second instead of the interface
    #[arg(long)]
    pub headless: bool,
}

/// `ttui demo`
#[derive(Args, Clone, Debug)]
pub struct DemoArgs {
    /// Print progress lines instead of the interface
    #[arg(long)]
    pub headless: bool,
}

/// `ttui bench`
#[derive(Args, Clone, Debug)]
pub struct BenchArgs {
    /// Bytes of the made-up data; twice as many are needed in the folder for temporary files
    #[arg(long, value_name = "SIZE", default_value = "1GiB", value_parser = bench::payload)]
    pub size: u64,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// A ratio: a number from 0.
fn ratio(text: &str) -> Result<f64, &'static str> {
    text.parse().ok().filter(|r: &f64| r.is_finite() && *r >= 0.0).ok_or("it needs a number from 0, such as 1.5")
}

/// Does what the arguments say (the first is the program's own name) and returns the exit status.
///
/// # Errors
/// When it could not be done: one sentence that says what and what to do.
pub fn run(args: impl IntoIterator<Item = OsString>) -> color_eyre::Result<ExitCode> {
    let cli = match Cli::read(args) {
        Ok(cli) => cli,
        Err(answer) => {
            tell(&answer);
            return Ok(u8::try_from(answer.exit_code()).map_or(ExitCode::from(WRONG_CALL), ExitCode::from));
        }
    };
    outlive_limits();
    match &cli.verb {
        Some(Verb::Download(args)) => download::run(args, &cli.common),
        Some(Verb::Seed(args)) => download::seed(args, &cli.common),
        Some(Verb::Demo(args)) => demo::run(args, &cli.common),
        Some(Verb::Bench(args)) => bench::run(args, &cli.common),
        Some(Verb::Create(args)) => create::run(args, &cli.common),
        Some(Verb::Show(args)) => show::run(args, &cli.common),
        Some(Verb::Verify(args)) => verify::run(args, &cli.common),
        Some(Verb::Magnet(args)) => magnet::run(args, &cli.common),
        Some(Verb::Tracker(args)) => tracker::run(args, &cli.common),
        Some(Verb::Share(args)) => share::run(args, &cli.common),
        Some(Verb::Completions { shell }) => pages::completions(*shell),
        Some(Verb::Man) => pages::man(),
        None => interface::run(&cli.torrents, &cli.for_interface()),
    }
}

/// Has a write beyond the limit of `ulimit -f` fail, as others do, where it would end the program.
#[cfg(unix)]
fn outlive_limits() {
    use signal_hook::consts::SIGXFSZ;
    // That the signal has a handler is all that is needed: nobody looks at the flag.
    if let Err(error) = signal_hook::flag::register(SIGXFSZ, std::sync::Arc::default()) {
        ::log::warn!("a limit on the size of files will end the program: {error}");
    }
}

/// This system has no such limit.
#[cfg(not(unix))]
const fn outlive_limits() {}

/// Prints help, the version, or what is wrong with the call. The latter quotes the arguments, which may be a stranger's
/// words (a name that a shell has filled in), so it has no colors and is cleaned.
fn tell(answer: &clap::Error) {
    match answer.kind() {
        // A closed terminal is no reason to fail over them.
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => drop(answer.print()),
        _ => out::report(&answer.render().to_string()),
    }
}

/// Makes the state folder, closed to others. That it cannot be made is said by whoever has something to write there.
fn make_state_folder(config: &crate::config::Config) {
    let made = crate::disk::atomic::make_state_folder(&config.state_dir, config.is_default_state_dir);
    if let Err(error) = made {
        ::log::debug!("{} cannot be made: {error}", config.state_dir.display());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_interface_has_a_folder_and_a_port_and_no_verb_seems_to_take_them() {
        let read = |line: &str| Cli::read(line.split(' ').map(OsString::from));
        let common = read("ttui a.torrent --dir /d --port 7").unwrap().for_interface();
        assert_eq!((common.dir, common.port), (Some("/d".into()), Some(7)));
        let Some(Verb::Download(args)) = read("ttui download a.torrent --dir /d --port 7").unwrap().verb else {
            panic!()
        };
        assert_eq!((args.dir, args.port), ("/d".into(), Some(7)));
        for wrong in ["ttui --dir /d download a.torrent", "ttui --port 7 seed a.torrent"] {
            assert_eq!(read(wrong).unwrap_err().exit_code(), i32::from(WRONG_CALL), "{wrong}");
        }
    }

    #[test]
    fn common_flags_are_taken_before_and_after_the_verb() {
        let read = |line: &str| Cli::try_parse_from(line.split(' ')).map(|cli| cli.common);
        for line in ["ttui --no-dht --down-limit 10MB/s show x", "ttui show x --no-dht --down-limit 10MB/s"] {
            let common = read(line).unwrap();
            assert!(common.no_dht && common.down_limit == Some(10_000_000), "{line}");
        }
        let all = "ttui a.torrent --config c --state-dir d --bind 127.0.0.1 --no-dht --no-lsd --no-pex --no-utp \
            --no-port-map --encryption require --max-peers 9 --up-limit 1M --log-file l -vv b.torrent";
        let cli = Cli::try_parse_from(all.split_whitespace()).unwrap();
        assert_eq!(cli.torrents, ["a.torrent", "b.torrent"]);
        assert_eq!((cli.common.encryption, cli.common.verbose), (Some(Encryption::Require), 2));
        for wrong in ["ttui show", "ttui --down-limit fast x", "ttui show x --encryption maybe", "ttui --max-peers 0"] {
            assert_eq!(read(wrong).unwrap_err().exit_code(), i32::from(WRONG_CALL), "{wrong}");
        }
    }
}
