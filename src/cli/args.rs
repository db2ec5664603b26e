//! The arguments of the command line, defined for clap.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use clap::{ArgAction, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueHint};

use super::values;
pub(crate) use crate::config::Settings as Common;
use crate::wire::link::Link;

/// The flag that makes the help of a subcommand show the common options.
const HELP_ALL: &str = "--help-all";

/// A BitTorrent client for the terminal: watch every peer and every piece live.
///
/// Without a subcommand, opens the terminal interface and adds each TORRENT.
#[derive(Parser, Clone, Debug)]
#[command(name = "ttui", version, max_term_width = 120)]
#[command(after_help = "A TORRENT is a .torrent file, a magnet link, a 40-digit info-hash, or an http(s) URL of a \
    .torrent or of a link.\nExit status: 0 done, 1 it could not be done, 2 the call was wrong, 130 stopped by the user.")]
pub struct Cli {
    /// Subcommand; `None` opens the interface.
    #[command(subcommand)]
    pub verb: Option<Command>,
    /// Torrents to add to the interface
    #[arg(value_name = "TORRENT", value_hint = ValueHint::FilePath)]
    pub torrents: Vec<String>,
    /// Download directory for the interface
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub dir: Option<PathBuf>,
    /// Port to listen on for incoming peers
    #[arg(long, value_name = "PORT")]
    pub port: Option<u16>,
    /// Print help with the common flags
    #[arg(long, global = true, action = ArgAction::HelpShort)]
    pub help_all: Option<bool>,
    /// Options accepted by every subcommand.
    #[command(flatten)]
    pub common: Common,
}

impl Cli {
    /// Parses the arguments; the first is the program name.
    ///
    /// # Errors
    /// The arguments are invalid, or ask for help or the version.
    pub(super) fn read(args: impl IntoIterator<Item = OsString>) -> Result<Cli, clap::Error> {
        let args: Vec<OsString> = args.into_iter().collect();
        let mut matches = Cli::definition(&args).try_get_matches_from(&args)?;
        let cli = Cli::from_arg_matches_mut(&mut matches)?;
        if let Some(verb) = cli.torrents.first().and_then(|first| misspelled(first)) {
            let text = format!("there is no torrent {:?}; did you mean `ttui {verb}`?", cli.torrents[0]);
            return Err(Cli::command().error(ErrorKind::InvalidSubcommand, text));
        }
        // `--dir` and `--port` before a subcommand would silently not apply to the subcommand's own options.
        let stray = [("--dir", cli.dir.is_some()), ("--port", cli.port.is_some())];
        match stray.into_iter().find(|(_, given)| *given && cli.verb.is_some()) {
            Some((flag, _)) => {
                let text = format!("{flag} stands before the verb: it goes behind it, where the verb has such a flag");
                Err(Cli::command().error(ErrorKind::ArgumentConflict, text))
            }
            None => Ok(cli),
        }
    }

    /// Returns the definition for these arguments. The help of a subcommand shows the common options on demand only.
    fn definition(args: &[OsString]) -> clap::Command {
        let command = Cli::command();
        let verb =
            args.iter().skip(1).any(|arg| arg.to_str().is_some_and(|arg| command.find_subcommand(arg).is_some()));
        let all = args.iter().any(|arg| arg == HELP_ALL);
        command.mut_args(|arg| {
            let common = arg.is_global_set() && arg.get_id() != "help_all";
            let hidden = arg.is_hide_set() || (common && verb && !all);
            arg.hide(hidden)
        })
    }

    /// Returns the common options with the interface's `--dir` and `--port`, which are also config keys.
    pub(super) fn for_interface(&self) -> Common {
        let mut common = self.common.clone();
        common.dir = self.dir.clone().or(common.dir);
        common.port = self.port.or(common.port);
        common
    }
}

/// Returns the subcommand that a word seems to stand for, if it is neither a file nor a link.
fn misspelled(word: &str) -> Option<String> {
    if !word.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')
        || Link::find(word).is_some()
        || Path::new(word).exists()
    {
        return None;
    }
    let command = Cli::command();
    let alike = |verb: &&str| strsim::damerau_levenshtein(verb, word) <= verb.len().min(word.len()) / 3;
    let verbs = command.get_subcommands().map(clap::Command::get_name).filter(alike);
    verbs.min_by_key(|verb| strsim::damerau_levenshtein(verb, word)).map(str::to_owned)
}

/// A subcommand.
#[derive(Subcommand, Clone, Debug)]
pub enum Command {
    /// Download torrents, then seed them
    Download(DownloadArgs),
    /// Verify existing data, then seed it
    Seed(SeedArgs),
    /// Create a .torrent file from a file or directory
    Create(CreateArgs),
    /// Show the contents of a .torrent file or a magnet link
    Show(ShowArgs),
    /// Verify data on disk against a .torrent file; exit status 0 only if complete
    Verify(VerifyArgs),
    /// Print the magnet link of a .torrent file
    Magnet(MagnetArgs),
    /// Run a small HTTP and UDP tracker
    Tracker(TrackerArgs),
    /// Share a file or directory with others on the local network
    Share(ShareArgs),
    /// Run a local demo swarm: a download from a dozen peers, a seed and a stuck torrent; needs no network
    Demo(DemoArgs),
    /// Benchmark torrent creation, hashing, downloading and seeding over loopback
    Bench(BenchArgs),
    /// Print a shell completion script
    Completions {
        /// Shell to generate completions for
        shell: clap_complete::Shell,
    },
    /// Print the man page
    Man,
    /// Print what a bug report needs: versions, settings and the end of the log, without secrets
    DebugReport,
}

/// Where peers come from and connect to, for `ttui download` and `ttui seed`.
#[derive(Args, Clone, Debug)]
pub struct PeerArgs {
    /// Port to listen on for incoming peers
    #[arg(long, value_name = "PORT")]
    pub port: Option<u16>,
    /// Connect to this peer immediately (repeatable)
    #[arg(long = "peer", value_name = "IP:PORT")]
    pub peers: Vec<SocketAddr>,
}

/// How `ttui download` and `ttui seed` report their progress.
#[derive(Args, Clone, Copy, Debug)]
pub struct OutputArgs {
    /// Print lines for scripts instead of progress bars
    #[arg(long)]
    pub headless: bool,
    /// Print progress as JSON, one object per line
    #[arg(long)]
    pub json: bool,
}

/// `ttui download`
#[derive(Args, Clone, Debug)]
pub struct DownloadArgs {
    /// Torrents to download
    #[arg(value_name = "TORRENT", required = true, value_hint = ValueHint::FilePath)]
    pub torrents: Vec<String>,
    /// Download directory
    #[arg(long, value_name = "DIR", default_value = ".", value_hint = ValueHint::DirPath)]
    pub dir: PathBuf,
    #[command(flatten)]
    pub peers: PeerArgs,
    /// Download only files matching GLOB, or not matching it after `!` (repeatable)
    #[arg(long, value_name = "GLOB")]
    pub select: Vec<String>,
    /// Download pieces sequentially
    #[arg(long)]
    pub sequential: bool,
    /// Overwrite existing files that do not belong to the torrent
    #[arg(long)]
    pub overwrite: bool,
    /// Stop seeding at this upload ratio, counted over all runs
    #[arg(long, value_name = "RATIO", value_parser = values::ratio)]
    pub seed_ratio: Option<f64>,
    /// Stop seeding after this many minutes
    #[arg(long, value_name = "MIN")]
    pub seed_time: Option<u64>,
    /// Exit when the download is complete, or with status 1 when a disk error prevents it
    #[arg(long)]
    pub exit_when_done: bool,
    #[command(flatten)]
    pub output: OutputArgs,
}

/// `ttui seed`
#[derive(Args, Clone, Debug)]
pub struct SeedArgs {
    /// Torrents to seed
    #[arg(value_name = "TORRENT", required = true, value_hint = ValueHint::FilePath)]
    pub torrents: Vec<String>,
    /// Directory that contains the data
    #[arg(long, value_name = "DIR", default_value = ".", value_hint = ValueHint::DirPath)]
    pub dir: PathBuf,
    #[command(flatten)]
    pub peers: PeerArgs,
    #[command(flatten)]
    pub output: OutputArgs,
}

/// `ttui create`
#[derive(Args, Clone, Debug)]
pub struct CreateArgs {
    /// File or directory to create the torrent from
    #[arg(value_name = "PATH")]
    pub path: PathBuf,
    /// Output file [default: NAME.torrent in the current directory]
    #[arg(short, long, value_name = "OUT")]
    pub output: Option<PathBuf>,
    /// Tracker URL (repeatable; each use adds a tier, commas separate trackers within a tier)
    #[arg(long, value_name = "URL", value_parser = values::trackers)]
    pub tracker: Vec<Trackers>,
    /// Web seed URL (BEP 19, repeatable)
    #[arg(long, value_name = "URL", value_parser = values::web_seed)]
    pub web_seed: Vec<String>,
    /// Piece length: a power of two from 16K [default: about 1,500 pieces]
    #[arg(long, value_name = "SIZE", value_parser = values::piece)]
    pub piece_length: Option<u32>,
    /// Mark as private: peers come only from its trackers (BEP 27)
    #[arg(long)]
    pub private: bool,
    /// Comment stored in the .torrent
    #[arg(long, value_name = "S")]
    pub comment: Option<String>,
    /// Value of the `source` key; changes the info-hash
    #[arg(long, value_name = "S")]
    pub source: Option<String>,
    /// Name of the torrent [default: name of the file or directory]
    #[arg(long, value_name = "S", value_parser = values::name)]
    pub name: Option<String>,
    /// Include hidden and system files (.DS_Store, Thumbs.db)
    #[arg(long)]
    pub include_hidden: bool,
    /// Omit the creation date, for reproducible output
    #[arg(long)]
    pub no_date: bool,
    /// Overwrite an existing .torrent
    #[arg(long)]
    pub force: bool,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// The trackers of one tier (BEP 12).
pub(crate) type Trackers = Vec<String>;

/// `ttui show`
#[derive(Args, Clone, Debug)]
pub struct ShowArgs {
    /// Torrent to show
    #[arg(value_hint = ValueHint::FilePath)]
    pub torrent: String,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// `ttui verify`
#[derive(Args, Clone, Debug)]
pub struct VerifyArgs {
    /// Torrent to verify against
    #[arg(value_hint = ValueHint::FilePath)]
    pub torrent: String,
    /// Directory that contains the data
    #[arg(long, value_name = "DIR", default_value = ".", value_hint = ValueHint::DirPath)]
    pub dir: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// `ttui magnet`
#[derive(Args, Clone, Debug)]
pub struct MagnetArgs {
    /// Torrent to print the magnet link of
    #[arg(value_hint = ValueHint::FilePath)]
    pub torrent: String,
}

/// `ttui tracker`
#[derive(Args, Clone, Debug)]
pub struct TrackerArgs {
    /// Address to listen on for HTTP and UDP (repeatable) [default: port 6969 on all addresses]
    #[arg(long, value_name = "IP:PORT")]
    pub listen: Vec<SocketAddr>,
    /// Announce interval in seconds
    #[arg(long, value_name = "S", default_value_t = 120, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub interval: u32,
}

/// `ttui share`
#[derive(Args, Clone, Debug)]
pub struct ShareArgs {
    /// File or directory to share
    #[arg(value_name = "PATH")]
    pub path: PathBuf,
    /// Port to listen on for incoming peers
    #[arg(long, value_name = "PORT")]
    pub port: Option<u16>,
    /// Include hidden and system files (.DS_Store, Thumbs.db)
    #[arg(long)]
    pub include_hidden: bool,
    /// Print lines for scripts instead of opening the interface
    #[arg(long)]
    pub headless: bool,
}

/// `ttui demo`
#[derive(Args, Clone, Debug)]
pub struct DemoArgs {
    /// Print progress lines instead of opening the interface
    #[arg(long)]
    pub headless: bool,
}

/// `ttui bench`
#[derive(Args, Clone, Debug)]
pub struct BenchArgs {
    /// Size of the sample data; the temporary directory needs twice as much free space
    #[arg(long, value_name = "SIZE", default_value = "1GiB", value_parser = values::payload)]
    pub size: u64,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

#[cfg(test)]
mod tests {
    use super::super::exit_status::USAGE_ERROR;
    use super::*;
    use crate::config::Encryption;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_interface_has_a_folder_and_a_port_and_no_verb_seems_to_take_them() {
        let read = |line: &str| Cli::read(line.split(' ').map(OsString::from));
        let common = read("ttui a.torrent --dir /d --port 7").unwrap().for_interface();
        assert_eq!((common.dir, common.port), (Some("/d".into()), Some(7)));
        let Some(Command::Download(args)) = read("ttui download a.torrent --dir /d --port 7").unwrap().verb else {
            panic!()
        };
        assert_eq!((args.dir, args.peers.port), ("/d".into(), Some(7)));
        for wrong in ["ttui --dir /d download a.torrent", "ttui --port 7 seed a.torrent"] {
            assert_eq!(read(wrong).unwrap_err().exit_code(), i32::from(USAGE_ERROR), "{wrong}");
        }
    }

    #[test]
    fn a_misspelled_verb_is_named_and_a_torrent_is_not_taken_for_one() {
        let read = |line: &str| Cli::read(line.split(' ').map(OsString::from));
        for (line, verb) in [
            ("ttui downlaod x.torrent", "download"),
            ("ttui sede x", "seed"),
            ("ttui verifi x", "verify"),
            ("ttui craete d", "create"),
            ("ttui debug-repot", "debug-report"),
        ] {
            let error = read(line).unwrap_err();
            assert_eq!(error.exit_code(), i32::from(USAGE_ERROR), "{line}");
            assert!(error.to_string().contains(&format!("did you mean `ttui {verb}`?")), "{line}: {error}");
        }
        for torrent in ["debian", "movie.torrent", "./downlaod", "src", "magnet:?xt=urn:btih:00", "http://a/b"] {
            assert!(read(&format!("ttui {torrent}")).is_ok(), "{torrent}");
        }
    }

    #[test]
    fn the_help_of_a_verb_shows_its_own_flags_and_all_of_them_on_demand() {
        let help = |line: &str| Cli::read(line.split(' ').map(OsString::from)).unwrap_err().to_string();
        let own = help("ttui download --help");
        assert!(own.contains("--seed-ratio") && own.contains("--help-all") && !own.contains("--no-dht"), "{own}");
        let all = help("ttui download --help-all");
        assert!(all.contains("--seed-ratio") && all.contains("--no-dht"), "{all}");
        assert!(help("ttui --help").contains("--no-dht"));
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
            assert_eq!(read(wrong).unwrap_err().exit_code(), i32::from(USAGE_ERROR), "{wrong}");
        }
    }
}
