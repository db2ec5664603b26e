//! Configuration: command line flags and the config file (TOML) merged into one validated [`Config`].
//!
//! [`Settings`] is both the flags common to all subcommands and the keys of the config file, under the same names.
//! A flag overrides the file, the file overrides the default.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy as _;
use serde::{Deserialize, Deserializer};
use thiserror::Error;

use crate::config::error::ConfigError;
use crate::config::interface::{Interface, Notify, Theme};
use crate::config::size::size;
use crate::limits;

pub(crate) mod edit;
pub mod error;
pub mod interface;
pub mod keys;
pub mod settings;
pub(crate) mod size;
pub mod themes;

/// Default listen port.
pub const PORT: u16 = 6881;
/// Default DHT bootstrap nodes.
pub const DHT_NODES: [&str; 3] =
    ["router.bittorrent.com:6881", "dht.transmissionbt.com:6881", "dht.libtorrent.org:25401"];
/// Maximum size of a config file, in bytes.
const FILE: u64 = limits::MIB as u64;

/// Settings from flags or the config file; an unset one is `None` or `false`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// Use this config file
    #[serde(skip)]
    pub config: Option<PathBuf>,
    pub state_dir: Option<PathBuf>,
    pub bind: Option<IpAddr>,
    pub no_dht: bool,
    #[serde(deserialize_with = "nodes")]
    pub dht_nodes: Option<Vec<String>>,
    pub no_lsd: bool,
    pub lan_unlimited: bool,
    pub no_pex: bool,
    pub no_utp: bool,
    pub no_port_map: bool,
    pub encryption: Option<Encryption>,
    #[serde(deserialize_with = "from_one")]
    pub max_peers: Option<u32>,
    pub max_active: Option<u32>,
    #[serde(deserialize_with = "size_key")]
    pub down_limit: Option<u64>,
    #[serde(deserialize_with = "size_key")]
    pub up_limit: Option<u64>,
    pub log_file: Option<PathBuf>,
    pub verbose: u8,
    pub theme: Option<Theme>,
    pub ascii: bool,
    pub no_mouse: bool,
    /// Download directory; a flag of the subcommands that use it.
    pub dir: Option<PathBuf>,
    /// Listen port; a flag of the subcommands that use it.
    pub port: Option<u16>,
    /// Maximum frames per second of the interface.
    #[serde(deserialize_with = "interface::frames")]
    pub frames: Option<u32>,
    /// How the interface notifies of a completed download.
    pub notify: Option<Notify>,
    /// Whether the interface shows progress in the terminal title.
    pub title: Option<bool>,
    /// Columns of the torrent list, by name.
    pub torrent_columns: Option<Vec<String>>,
    /// Columns of the peer list, by name.
    pub peer_columns: Option<Vec<String>>,
    /// How the lists are sorted, the open tab, the graph: as the interface was left.
    pub view: Option<Vec<String>>,
    /// Key bindings of the interface, by action name.
    #[serde(deserialize_with = "interface::keys")]
    pub keys: BTreeMap<String, Vec<String>>,
}

/// Encryption policy of peer connections (MSE).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Encryption {
    /// Never encrypt
    Off,
    /// Encrypt if the peer supports it
    #[default]
    Prefer,
    /// Always encrypt; peers without encryption are refused
    Require,
}

impl Encryption {
    /// Returns the name in the config file.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Encryption::Off => "off",
            Encryption::Prefer => "prefer",
            Encryption::Require => "require",
        }
    }
}

/// Deserializes a size: an integer number of bytes, or text as in flags.
fn size_key<'de, D: Deserializer<'de>>(file: D) -> Result<Option<u64>, D::Error> {
    use serde::de::Error as _;
    match toml::Value::deserialize(file)? {
        toml::Value::Integer(n) if n >= 0 => Ok(Some(n.unsigned_abs())),
        toml::Value::String(text) => size(&text).map(Some).map_err(D::Error::custom),
        other => Err(D::Error::custom(format_args!("{other} is no size: write it like \"512K\" or \"10MB/s\""))),
    }
}

/// A text that is no node address.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("{0} is no node: write it like router.example.org:6881")]
struct NoNode(String);

/// Validates a node address: `host:port`, with an IPv6 address in brackets.
fn node(text: &str) -> Result<String, NoNode> {
    let text = text.trim();
    let parts = text.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok_and(|port| port > 0));
    let inner = |host: &str| host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).map(str::to_owned);
    let good = |host: &str| match inner(host) {
        Some(v6) => v6.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && !host.contains([':', '/', '[', ']', ' ']),
    };
    match parts {
        Some((host, _)) if good(host) => Ok(text.to_owned()),
        _ => Err(NoNode(text.to_owned())),
    }
}

/// Deserializes node addresses.
fn nodes<'de, D: Deserializer<'de>>(file: D) -> Result<Option<Vec<String>>, D::Error> {
    use serde::de::Error as _;
    let all = Vec::<String>::deserialize(file)?;
    all.iter().map(|text| node(text)).collect::<Result<_, _>>().map(Some).map_err(D::Error::custom)
}

/// Deserializes an integer of at least 1.
fn from_one<'de, D: Deserializer<'de>>(file: D) -> Result<Option<u32>, D::Error> {
    use serde::de::Error as _;
    match u32::deserialize(file)? {
        0 => Err(D::Error::custom("at least one is needed")),
        n => Ok(Some(n)),
    }
}

/// The validated configuration of a run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// Default download directory.
    pub dir: PathBuf,
    /// Directory of resume data, session and log.
    pub state_dir: PathBuf,
    /// The state directory was not set by the user, so its permissions may be restricted.
    pub is_default_state_dir: bool,
    /// Listen port; 0 lets the system choose.
    pub port: u16,
    /// The only address to listen on and connect from.
    pub bind: Option<IpAddr>,
    pub dht: bool,
    /// DHT bootstrap nodes, as `host:port`.
    pub dht_nodes: Vec<String>,
    /// Use local service discovery (LSD, BEP 14).
    pub lsd: bool,
    /// Exempt LAN peers from rate limits.
    pub lan_unlimited: bool,
    /// Use peer exchange (PEX, BEP 11).
    pub pex: bool,
    pub utp: bool,
    /// Request port mappings from the router.
    pub port_map: bool,
    pub encryption: Encryption,
    /// Maximum number of connections, over all torrents.
    pub max_peers: usize,
    /// Global download limit in bytes per second.
    pub down_limit: Option<u64>,
    /// Global upload limit in bytes per second.
    pub up_limit: Option<u64>,
    pub log_file: Option<PathBuf>,
    /// Log verbosity: 0, 1, or 2 and more.
    pub verbose: u8,
    /// Maximum number of active downloads, if set; 0 means unlimited.
    pub max_active: Option<u32>,
    /// Settings of the interface.
    pub interface: Interface,
    /// Path of the config file, which may not exist; `None` without a home directory.
    pub file: Option<PathBuf>,
}

impl Config {
    /// Loads the config file and merges the flags over it.
    ///
    /// # Errors
    /// Fails if the file is missing, unreadable or invalid, or if there is no state directory.
    pub fn load(flags: Settings) -> Result<Config, ConfigError> {
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
        let state_dir = state_dir.ok_or(ConfigError::NoHome)?;
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
                torrent_columns: file.torrent_columns,
                peer_columns: file.peer_columns,
                view: file.view,
                keys: file.keys,
            },
            file: path.map(|path| std::path::absolute(&path).unwrap_or(path)),
        })
    }
}

/// Parses the text of a config file.
///
/// # Errors
/// Names line and key, what is wrong and what to write instead.
pub fn parse(path: &Path, text: &str) -> Result<Settings, ConfigError> {
    let invalid = |error| ConfigError::Invalid { path: path.to_owned(), source: Box::new(keys::locate(text, &error)) };
    toml::from_str(text).map_err(invalid)
}

/// Reads and parses a config file.
///
/// # Errors
/// Fails if the file cannot be read or parsed.
fn read(path: &Path) -> Result<Settings, ConfigError> {
    let text = text(path)?;
    parse(path, &text)
}

/// Reads the text of a config file.
///
/// # Errors
/// Fails if the path cannot be read, is not a regular file or is larger than 1 MiB.
pub fn text(path: &Path) -> Result<String, ConfigError> {
    let fail = |source| ConfigError::Read { path: path.to_owned(), source };
    let meta = std::fs::metadata(path).map_err(fail)?;
    if !meta.is_file() || meta.len() > FILE {
        return Err(ConfigError::NotAFile(path.to_owned()));
    }
    std::fs::read_to_string(path).map_err(fail)
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
        let why = Config::load(Settings { config: Some(path), ..Settings::default() }).unwrap_err().to_string();
        assert!(why.contains("c.toml") && why.contains("prot"), "{why}");
        let gone = Settings { config: Some(dir.path().join("none")), ..Settings::default() };
        assert!(Config::load(gone).unwrap_err().to_string().contains("none"));
    }
    fn load(text: &str) -> Result<Config, ConfigError> {
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
            ("peer-columns = \"client\"", ["line 1", "peer-columns", "a list of columns such as [\"address\""]),
            ("down-limit = \"fast\"", ["line 1", "fast", "512K"]),
            ("down-limit = -5", ["line 1", "-5", "512K"]),
            ("[keys]\npause = 5", ["keys", "pause", "[\"p\", \"F5\"]"]),
            ("prot = 1", ["line 1", "unknown key `prot`", "port"]),
            ("port = ", ["line 1", "port", "0 to 65535"]),
        ] {
            let why = load(text).unwrap_err().to_string();
            assert!(why.contains("c.toml") && !why.contains('\n'), "{why}");
            assert!(words.iter().all(|word| why.contains(word)), "{words:?}: {why}");
        }
    }

    #[test]
    fn every_key_is_in_the_table_with_what_to_write() {
        let error = toml::from_str::<Settings>("none-such = 1").unwrap_err();
        let mut named: Vec<&str> = error.message().split('`').skip(3).step_by(2).collect();
        let mut listed: Vec<&str> = settings::all().map(|setting| setting.key).chain([settings::KEY_TABLE]).collect();
        named.sort_unstable();
        listed.sort_unstable();
        assert_eq!(named, listed);
    }
}
