//! Flags and the config file made into one validated [`Config`].
//!
//! [`Settings`] is both: the flags that all verbs share, and the keys of the file, by the same names. A flag wins over the
//! file, the file over the default.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy as _;
use serde::{Deserialize, Deserializer};

use crate::config::interface::{Interface, Notify, Theme};
use crate::config::size::size;
use crate::limits;

pub mod edit;
pub mod interface;
pub mod keys;
pub mod size;

/// The port that is listened on unless another one is asked for.
pub const PORT: u16 = 6881;
/// Where the DHT begins that everybody is in, unless other nodes are named.
pub const DHT_NODES: [&str; 3] =
    ["router.bittorrent.com:6881", "dht.transmissionbt.com:6881", "dht.libtorrent.org:25401"];
/// The longest config file that is read, in bytes.
const FILE: u64 = limits::MIB as u64;

/// What may be said by flag and in the config file; nothing said is `None` or `false`.
#[derive(Clone, Debug, Default, clap::Args, Deserialize)]
#[command(next_help_heading = "Common flags")]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// Read settings from this file instead of the usual one
    #[arg(long, value_name = "FILE", global = true)]
    #[serde(skip)]
    pub config: Option<PathBuf>,
    /// Keep resume records, session and log in this folder
    #[arg(long, value_name = "DIR", global = true)]
    pub state_dir: Option<PathBuf>,
    /// Listen on this address only, and connect from it
    #[arg(long, value_name = "IP", global = true)]
    pub bind: Option<IpAddr>,
    /// Do not use the DHT
    #[arg(long, global = true)]
    pub no_dht: bool,
    /// Begin the DHT with these nodes, instead of the well-known ones; several with commas between them
    #[arg(long, value_name = "HOST:PORT", global = true, value_delimiter = ',', value_parser = node)]
    #[serde(deserialize_with = "nodes")]
    pub dht_nodes: Option<Vec<String>>,
    /// Do not look for peers on the local network
    #[arg(long, global = true)]
    pub no_lsd: bool,
    /// Let no limit of rate hold for peers of the local network
    #[arg(long, global = true)]
    pub lan_unlimited: bool,
    /// Do not exchange peers with peers
    #[arg(long, global = true)]
    pub no_pex: bool,
    /// Do not speak uTP
    #[arg(long, global = true)]
    pub no_utp: bool,
    /// Do not ask the router to forward the port
    #[arg(long, global = true)]
    pub no_port_map: bool,
    /// Whether connections are encrypted
    #[arg(long, value_name = "WHEN", global = true)]
    pub encryption: Option<Encryption>,
    /// Connect to at most this many peers in all
    #[arg(long, value_name = "N", global = true, value_parser = clap::value_parser!(u32).range(1..))]
    #[serde(deserialize_with = "from_one")]
    pub max_peers: Option<u32>,
    /// Let at most this many downloads run at once, the others wait; 0 is no limit
    #[arg(long, value_name = "N", global = true)]
    pub max_active: Option<u32>,
    /// Download at most this fast, as in 512K or 10MB/s; 0 is no limit
    #[arg(long, value_name = "RATE", global = true, value_parser = size)]
    #[serde(deserialize_with = "size_key")]
    pub down_limit: Option<u64>,
    /// Upload at most this fast; 0 is no limit
    #[arg(long, value_name = "RATE", global = true, value_parser = size)]
    #[serde(deserialize_with = "size_key")]
    pub up_limit: Option<u64>,
    /// Write a log to this file
    #[arg(long, value_name = "FILE", global = true)]
    pub log_file: Option<PathBuf>,
    /// Log more; twice logs everything
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    pub verbose: u8,
    /// The colours of the interface
    #[arg(long, value_name = "THEME", global = true)]
    pub theme: Option<Theme>,
    /// Let the interface write only ASCII
    #[arg(long, global = true)]
    pub ascii: bool,
    /// Leave the mouse to the terminal
    #[arg(long, global = true)]
    pub no_mouse: bool,
    /// The download folder. A flag of the verbs that have one.
    #[arg(skip)]
    pub dir: Option<PathBuf>,
    /// The port to listen on. A flag of the verbs that have one.
    #[arg(skip)]
    pub port: Option<u16>,
    /// The most frames a second of the interface.
    #[arg(skip)]
    #[serde(deserialize_with = "interface::frames")]
    pub frames: Option<u32>,
    /// How the interface tells a completion.
    #[arg(skip)]
    pub notify: Option<Notify>,
    /// Whether the interface shows progress in the terminal's title.
    #[arg(skip)]
    pub title: Option<bool>,
    /// Keys of the interface, by the name of the action.
    #[arg(skip)]
    #[serde(deserialize_with = "interface::keys")]
    pub keys: BTreeMap<String, Vec<String>>,
}

/// Whether connections are encrypted (MSE).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Encryption {
    /// Never.
    Off,
    /// Where the other side can.
    #[default]
    Prefer,
    /// Always; peers that cannot are left alone.
    Require,
}

/// Reads a size from the file: a number of bytes, or a text as flags have it.
fn size_key<'de, D: Deserializer<'de>>(file: D) -> Result<Option<u64>, D::Error> {
    use serde::de::Error as _;
    match toml::Value::deserialize(file)? {
        toml::Value::Integer(n) if n >= 0 => Ok(Some(n.unsigned_abs())),
        toml::Value::String(text) => size(&text).map(Some).map_err(D::Error::custom),
        other => Err(D::Error::custom(format_args!("{other} is no size: write it like \"512K\" or \"10MB/s\""))),
    }
}

/// Where a node is: `host:port`, an IPv6 address in brackets.
fn node(text: &str) -> Result<String, String> {
    let text = text.trim();
    let parts = text.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok_and(|port| port > 0));
    let inner = |host: &str| host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).map(str::to_owned);
    let good = |host: &str| match inner(host) {
        Some(v6) => v6.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && !host.contains([':', '/', '[', ']', ' ']),
    };
    match parts {
        Some((host, _)) if good(host) => Ok(text.to_owned()),
        _ => Err(format!("{text} is no node: write it like router.example.org:6881")),
    }
}

/// Reads nodes from the file.
fn nodes<'de, D: Deserializer<'de>>(file: D) -> Result<Option<Vec<String>>, D::Error> {
    use serde::de::Error as _;
    let all = Vec::<String>::deserialize(file)?;
    all.iter().map(|text| node(text)).collect::<Result<_, _>>().map(Some).map_err(D::Error::custom)
}

/// Reads a number from 1 on from the file.
fn from_one<'de, D: Deserializer<'de>>(file: D) -> Result<Option<u32>, D::Error> {
    use serde::de::Error as _;
    match u32::deserialize(file)? {
        0 => Err(D::Error::custom("at least one is needed")),
        n => Ok(Some(n)),
    }
}

/// Everything that holds for a run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// The default download folder.
    pub dir: PathBuf,
    /// Where resume records, session and log are kept.
    pub state_dir: PathBuf,
    /// Nobody named another one: it is ours to close to others.
    pub is_default_state_dir: bool,
    /// The port to listen on; 0 lets the system choose.
    pub port: u16,
    /// The only address to listen on and connect from.
    pub bind: Option<IpAddr>,
    /// Use the DHT.
    pub dht: bool,
    /// The nodes that the DHT begins with: `host:port`.
    pub dht_nodes: Vec<String>,
    /// Use local discovery.
    pub lsd: bool,
    /// Let limits of rate not hold for peers that were found there.
    pub lan_unlimited: bool,
    /// Exchange peers.
    pub pex: bool,
    /// Speak uTP.
    pub utp: bool,
    /// Ask the router to forward the port.
    pub port_map: bool,
    /// Whether connections are encrypted.
    pub encryption: Encryption,
    /// The most connections of all torrents together.
    pub max_peers: usize,
    /// Bytes a second in, all torrents together.
    pub down_limit: Option<u64>,
    /// Bytes a second out.
    pub up_limit: Option<u64>,
    /// Where to log.
    pub log_file: Option<PathBuf>,
    /// How much to log: 0, 1 or 2 and more.
    pub verbose: u8,
    /// Downloads that may run at once, where that was said; 0 is no limit.
    pub max_active: Option<u32>,
    /// How the interface looks and behaves.
    pub interface: Interface,
    /// The config file, there or not; `None` where there is no home folder to have one in.
    pub file: Option<PathBuf>,
}

impl Config {
    /// Reads the config file and lays the flags over it.
    ///
    /// # Errors
    /// One sentence: a file that was named and is not there, a file that cannot be read or understood, a value out of
    /// range, no folder for the state.
    pub fn load(flags: Settings) -> Result<Config, String> {
        let folders = etcetera::choose_base_strategy().ok();
        let usual = folders.as_ref().map(|folders| folders.config_dir().join("ttui").join("config.toml"));
        let file = match (&flags.config, &usual) {
            (Some(path), _) => read(path)?,
            (None, Some(path)) if path.exists() => read(path)?,
            _ => Settings::default(),
        };
        let path = flags.config.or(usual);
        let usual = folders.map(|f| f.state_dir().unwrap_or_else(|| f.data_dir()).join("ttui"));
        let named = flags.state_dir.or(file.state_dir);
        let is_default_state_dir = named.is_none();
        let state_dir = named.or(usual);
        let state_dir = state_dir.ok_or("there is no home folder to keep the state in: name one with --state-dir")?;
        let limit = |flag: Option<u64>, file: Option<u64>| flag.or(file).filter(|&n| n > 0);
        Ok(Config {
            dir: flags.dir.or(file.dir).unwrap_or_else(|| PathBuf::from(".")),
            state_dir,
            is_default_state_dir,
            port: flags.port.or(file.port).unwrap_or(PORT),
            bind: flags.bind.or(file.bind),
            dht: !(flags.no_dht || file.no_dht),
            dht_nodes: flags.dht_nodes.or(file.dht_nodes).unwrap_or_else(|| DHT_NODES.map(str::to_owned).to_vec()),
            lsd: !(flags.no_lsd || file.no_lsd),
            lan_unlimited: flags.lan_unlimited || file.lan_unlimited,
            pex: !(flags.no_pex || file.no_pex),
            utp: !(flags.no_utp || file.no_utp),
            port_map: !(flags.no_port_map || file.no_port_map),
            encryption: flags.encryption.or(file.encryption).unwrap_or_default(),
            max_peers: flags.max_peers.or(file.max_peers).map_or(limits::PEERS_ALL, |n| n as usize),
            down_limit: limit(flags.down_limit, file.down_limit),
            up_limit: limit(flags.up_limit, file.up_limit),
            log_file: flags.log_file.or(file.log_file),
            verbose: flags.verbose.max(file.verbose),
            max_active: flags.max_active.or(file.max_active),
            interface: Interface {
                theme: flags.theme.or(file.theme).unwrap_or_default(),
                ascii: flags.ascii || file.ascii,
                mouse: !(flags.no_mouse || file.no_mouse),
                frames: file.frames.unwrap_or(interface::FRAMES),
                notify: file.notify.unwrap_or_default(),
                title: file.title.unwrap_or(true),
                keys: file.keys,
            },
            file: path.map(|path| std::path::absolute(&path).unwrap_or(path)),
        })
    }
}

/// Makes settings of the text of a config file.
///
/// # Errors
/// One sentence: the line, the key, what is wrong with it and what to write.
pub fn understand(path: &Path, text: &str) -> Result<Settings, String> {
    toml::from_str(text)
        .map_err(|error| format!("the config file {} cannot be used: {}", path.display(), keys::sentence(text, &error)))
}

/// Reads a config file.
///
/// # Errors
/// One sentence, when it is not there or cannot be understood.
fn read(path: &Path) -> Result<Settings, String> {
    let text = text(path)?;
    understand(path, &text)
}

/// The text of a config file.
///
/// # Errors
/// One sentence, when it cannot be read or is far too long for one.
pub fn text(path: &Path) -> Result<String, String> {
    let fail = |why: &dyn std::fmt::Display| format!("the config file {} cannot be used: {why}", path.display());
    let meta = std::fs::metadata(path).map_err(|e| fail(&e))?;
    if !meta.is_file() || meta.len() > FILE {
        return Err(fail(&"it is no file, or longer than 1 MiB"));
    }
    std::fs::read_to_string(path).map_err(|e| fail(&e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_wins_over_the_file_and_the_file_over_the_default() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c.toml");
        std::fs::write(&path, "port = 7000\ndown-limit = \"1M\"\nno-dht = true\nup-limit = 5\n").unwrap();
        let flags = Settings {
            config: Some(path),
            state_dir: Some(dir.path().into()),
            down_limit: Some(0),
            ..Settings::default()
        };
        let config = Config::load(flags).unwrap();
        assert_eq!((config.port, config.dht, config.lsd), (7000, false, true));
        assert_eq!((config.down_limit, config.up_limit), (None, Some(5)));
        assert_eq!(config.max_peers, limits::PEERS_ALL);
    }

    #[test]
    fn a_file_that_is_not_understood_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c.toml");
        std::fs::write(&path, "prot = 7000\n").unwrap();
        let why = Config::load(Settings { config: Some(path), ..Settings::default() }).unwrap_err();
        assert!(why.contains("c.toml") && why.contains("prot"), "{why}");
        let gone = Settings { config: Some(dir.path().join("none")), ..Settings::default() };
        assert!(Config::load(gone).unwrap_err().contains("none"));
    }
    fn load(text: &str) -> Result<Config, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c.toml");
        std::fs::write(&path, text).unwrap();
        Config::load(Settings { config: Some(path), state_dir: Some("state".into()), ..Settings::default() })
    }

    #[test]
    fn the_interface_is_as_the_file_says() {
        let config = load(
            "theme = \"contrast\"\nno-mouse = true\nframes = 12\nnotify = \"both\"\ntitle = false\nmax-active = 3\n\
             [keys]\npause = \"F5\"\nquit = [\"Q\", \"F10\"]\n",
        )
        .unwrap();
        let it = config.interface;
        assert_eq!((it.theme, it.ascii, it.mouse, it.frames), (Theme::Contrast, false, false, 12));
        assert_eq!((it.notify, it.title, config.max_active), (Notify::Both, false, Some(3)));
        assert_eq!(
            (&it.keys["pause"][..], &it.keys["quit"][..]),
            (&["F5".into()][..], &["Q".into(), "F10".into()][..])
        );
        assert_eq!(load("").unwrap().interface, Interface::default());
    }

    #[test]
    fn a_wrong_value_is_told_with_file_key_and_what_to_write() {
        for (text, words) in [
            ("\nport = 70000", ["line 2", "port = 70000", "0 to 65535"]),
            ("no-dht = \"yes\"", ["line 1", "no-dht", "true or false"]),
            ("theme = \"blue\"", ["line 1", "blue", "\"contrast\""]),
            ("max-peers = 0", ["line 1", "at least one", "from 1"]),
            ("frames = 100", ["line 1", "frames", "1 to 60"]),
            ("down-limit = \"fast\"", ["line 1", "fast", "512K"]),
            ("down-limit = -5", ["line 1", "-5", "512K"]),
            ("[keys]\npause = 5", ["keys", "pause", "[\"p\", \"F5\"]"]),
            ("prot = 1", ["line 1", "no key prot", "port"]),
            ("port = ", ["line 1", "port", "0 to 65535"]),
        ] {
            let why = load(text).unwrap_err();
            assert!(why.contains("c.toml") && !why.contains('\n'), "{why}");
            assert!(words.iter().all(|word| why.contains(word)), "{words:?}: {why}");
        }
    }

    #[test]
    fn every_key_is_in_the_table_with_what_to_write() {
        let error = toml::from_str::<Settings>("none-such = 1").unwrap_err();
        let mut named: Vec<&str> = error.message().split('`').skip(3).step_by(2).collect();
        let mut listed: Vec<&str> = keys::KEYS.iter().map(|(key, _)| *key).chain([keys::KEY_TABLE]).collect();
        named.sort_unstable();
        listed.sort_unstable();
        assert_eq!(named, listed);
    }
}
