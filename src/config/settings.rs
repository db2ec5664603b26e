//! All settings, each defined once: key, accepted values, default, and texts. The flags, the errors of the config file
//! and the settings dialog take them from here; the types are those of [`Settings`](super::Settings).

use std::borrow::Cow;

use Kind::{Choice, List, NegatedSwitch, Number, Path, Switch, Text};

use crate::config::themes::NAMES;

/// The table that maps actions to key bindings.
pub const KEY_TABLE: &str = "keys";

/// The values that a setting accepts, and how they are edited.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A boolean, with its default.
    Switch(bool),
    /// A boolean whose key is the negation, such as `no-dht`; the default is `false`.
    NegatedSwitch,
    /// One of these values; the first is the default.
    Choice(&'static [&'static str]),
    /// A number; says in words which.
    Number(&'static str),
    /// A quoted string; says in words which.
    Text(&'static str),
    /// A quoted path; says in words which.
    Path(&'static str),
    /// A list of strings, typed with commas; says in words which.
    List(&'static str),
}

/// A setting: a key of the config file, and of a flag with the same name if it has one.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    pub key: &'static str,
    /// Displayed name.
    pub title: &'static str,
    pub kind: Kind,
    /// Displayed default.
    pub default: &'static str,
    /// Whether a change applies immediately rather than after a restart.
    pub applies_immediately: bool,
    /// Help of the flag; empty if there is none, or if it belongs to single subcommands.
    pub flag_help: &'static str,
    /// Name of the flag's value in the help.
    pub value_name: &'static str,
    /// Description in the settings dialog, one sentence.
    pub help: &'static str,
}

impl Setting {
    /// Describes the accepted values as they are written in the config file: `true or false`.
    #[must_use]
    pub fn expected(&self) -> Cow<'static, str> {
        match self.kind {
            Switch(_) | NegatedSwitch => Cow::Borrowed("true or false"),
            Number(words) | Text(words) | Path(words) | List(words) => Cow::Borrowed(words),
            Choice(values) => {
                let quoted: Vec<String> = values.iter().map(|value| format!("\"{value}\"")).collect();
                match quoted.split_last() {
                    Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")).into(),
                    _ => quoted.concat().into(),
                }
            }
        }
    }
}

const FOLDER: &str = "a folder in quotes";
const RATE: &str = "a rate such as \"512K\" or \"10MB/s\", where 0 is no limit";

/// The settings that can be changed while the program runs or for its next start, in the groups of the settings
/// dialog; the most commonly changed first.
pub const GROUPS: &[(&str, &[Setting])] = &[
    (
        "Speed and queue",
        &[
            Setting {
                key: "down-limit",
                title: "download limit",
                kind: Text(RATE),
                default: "none",
                applies_immediately: true,
                flag_help: "Download limit, such as 512K or 10MB/s (0 = unlimited)",
                value_name: "RATE",
                help: "Bytes per second for all torrents, as in 512K or 10MB/s; 0 is no limit.",
            },
            Setting {
                key: "up-limit",
                title: "upload limit",
                kind: Text(RATE),
                default: "none",
                applies_immediately: true,
                flag_help: "Upload limit (0 = unlimited)",
                value_name: "RATE",
                help: "Bytes per second for all torrents, as in 512K or 10MB/s; 0 is no limit.",
            },
            Setting {
                key: "max-active",
                title: "active downloads",
                kind: Number("a number, where 0 is no limit"),
                default: "default",
                applies_immediately: true,
                flag_help: "Maximum active downloads; others are queued (0 = unlimited)",
                value_name: "N",
                help: "Maximum; others are queued. 0 is no limit.",
            },
            Setting {
                key: "max-peers",
                title: "connections",
                kind: Number("a number from 1"),
                default: "default",
                applies_immediately: true,
                flag_help: "Maximum number of connected peers, over all torrents",
                value_name: "N",
                help: "Maximum number of connections, all torrents.",
            },
        ],
    ),
    (
        "Files",
        &[Setting {
            key: "dir",
            title: "download folder",
            kind: Path(FOLDER),
            default: "where ttui was started",
            applies_immediately: true,
            flag_help: "",
            value_name: "DIR",
            help: "Default folder for new downloads.",
        }],
    ),
    (
        "Interface",
        &[
            Setting {
                key: "theme",
                title: "theme",
                kind: Choice(NAMES),
                default: "auto",
                applies_immediately: true,
                flag_help: "Color theme of the interface",
                value_name: "THEME",
                help: "Colors; auto detects the terminal, plain has none.",
            },
            Setting {
                key: "notify",
                title: "on completion",
                kind: Choice(&["bell", "off", "terminal", "both"]),
                default: "bell",
                applies_immediately: true,
                flag_help: "",
                value_name: "",
                help: "Ring the bell, show a desktop notification, both, or neither.",
            },
            Setting {
                key: "title",
                title: "window title",
                kind: Switch(true),
                default: "on",
                applies_immediately: true,
                flag_help: "",
                value_name: "",
                help: "Show progress in the terminal's window title.",
            },
            Setting {
                key: "no-mouse",
                title: "mouse",
                kind: NegatedSwitch,
                default: "on",
                applies_immediately: true,
                flag_help: "Disable mouse support",
                value_name: "",
                help: "Clicks and wheel; off leaves text selection to the terminal.",
            },
            Setting {
                key: "frames",
                title: "frame rate",
                kind: Number("a number from 1 to 60"),
                default: "30",
                applies_immediately: true,
                flag_help: "",
                value_name: "",
                help: "Maximum frames per second, 1 to 60; use few on slow links.",
            },
            Setting {
                key: "ascii",
                title: "ASCII only",
                kind: Switch(false),
                default: "off",
                applies_immediately: true,
                flag_help: "Use only ASCII characters in the interface",
                value_name: "",
                help: "For terminals and fonts without box drawing.",
            },
        ],
    ),
    (
        "Network",
        &[
            Setting {
                key: "port",
                title: "port",
                kind: Number("a number from 0 to 65535, where 0 lets the system choose"),
                default: "6881",
                applies_immediately: false,
                flag_help: "",
                value_name: "PORT",
                help: "Port to listen on; 0 lets the system choose.",
            },
            Setting {
                key: "bind",
                title: "bind address",
                kind: Text("an IP address in quotes, such as \"192.168.1.20\""),
                default: "any",
                applies_immediately: false,
                flag_help: "Listen on this address only, and connect from it",
                value_name: "IP",
                help: "Listen on and connect from this address only.",
            },
            Setting {
                key: "encryption",
                title: "encryption",
                kind: Choice(&["prefer", "off", "require"]),
                default: "prefer",
                applies_immediately: false,
                flag_help: "Encryption: never, with peers that support it, or always",
                value_name: "WHEN",
                help: "Encryption policy for peer connections.",
            },
            Setting {
                key: "no-dht",
                title: "DHT",
                kind: NegatedSwitch,
                default: "on",
                applies_immediately: false,
                flag_help: "Disable the DHT",
                value_name: "",
                help: "Find peers without a tracker.",
            },
            Setting {
                key: "dht-nodes",
                title: "DHT bootstrap nodes",
                kind: List("a list of addresses such as [\"router.example.org:6881\"]"),
                default: "built-in",
                applies_immediately: false,
                flag_help: "DHT bootstrap nodes, comma-separated",
                value_name: "HOST:PORT",
                help: "host:port, comma-separated.",
            },
            Setting {
                key: "no-pex",
                title: "peer exchange",
                kind: NegatedSwitch,
                default: "on",
                applies_immediately: false,
                flag_help: "Disable peer exchange (PEX)",
                value_name: "",
                help: "Exchange peer addresses with peers (PEX).",
            },
            Setting {
                key: "no-lsd",
                title: "local discovery",
                kind: NegatedSwitch,
                default: "on",
                applies_immediately: false,
                flag_help: "Disable local service discovery (LSD)",
                value_name: "",
                help: "Find peers on the local network.",
            },
            Setting {
                key: "lan-unlimited",
                title: "LAN peers unlimited",
                kind: Switch(false),
                default: "off",
                applies_immediately: false,
                flag_help: "Exempt LAN peers from rate limits",
                value_name: "",
                help: "No rate limits for LAN peers.",
            },
            Setting {
                key: "no-utp",
                title: "uTP",
                kind: NegatedSwitch,
                default: "on",
                applies_immediately: false,
                flag_help: "Disable uTP",
                value_name: "",
                help: "uTP (BEP 29): yields to other traffic.",
            },
            Setting {
                key: "no-port-map",
                title: "port mapping",
                kind: NegatedSwitch,
                default: "on",
                applies_immediately: false,
                flag_help: "Disable port mapping (PCP, NAT-PMP, UPnP)",
                value_name: "",
                help: "Ask the router to forward the port.",
            },
        ],
    ),
];

/// The settings that are not in the settings dialog: they are needed before the interface starts.
pub const STARTUP: &[Setting] = &[
    Setting {
        key: "state-dir",
        title: "state folder",
        kind: Path(FOLDER),
        default: "in the home folder",
        applies_immediately: false,
        flag_help: "Directory for resume data, session and log",
        value_name: "DIR",
        help: "Resume data, session and log.",
    },
    Setting {
        key: "log-file",
        title: "log file",
        kind: Path("a path in quotes"),
        default: "in the state folder",
        applies_immediately: false,
        flag_help: "Write a log to this file",
        value_name: "FILE",
        help: "The log is written to this file.",
    },
    Setting {
        key: "verbose",
        title: "log level",
        kind: Number("0, 1 or 2"),
        default: "0",
        applies_immediately: false,
        flag_help: "Increase log verbosity (-v debug, -vv trace)",
        value_name: "",
        help: "0 informs, 1 debugs, 2 traces.",
    },
];

/// The columns of the lists, which have a dialog of their own.
pub const COLUMNS: &[Setting] = &[
    Setting {
        key: "torrent-columns",
        title: "torrent columns",
        kind: List("a list of columns such as [\"name\", \"done\", \"eta\"]"),
        default: "all",
        applies_immediately: true,
        flag_help: "",
        value_name: "",
        help: "Columns of the torrent list, from left to right.",
    },
    Setting {
        key: "peer-columns",
        title: "peer columns",
        kind: List("a list of columns such as [\"address\", \"client\", \"flags\"]"),
        default: "all",
        applies_immediately: true,
        flag_help: "",
        value_name: "",
        help: "Columns of the peer list, from left to right.",
    },
    Setting {
        key: "view",
        title: "view",
        kind: List("a list such as [\"sort=-size\", \"tab=files\"]"),
        default: "usual",
        applies_immediately: false,
        flag_help: "",
        value_name: "",
        help: "Sort orders, tab and graph, as the interface was left.",
    },
];

/// Returns all settings.
pub fn all() -> impl Iterator<Item = &'static Setting> {
    GROUPS.iter().flat_map(|(_, settings)| *settings).chain(STARTUP).chain(COLUMNS)
}

/// Returns the setting with this key.
#[must_use]
pub fn find(key: &str) -> Option<&'static Setting> {
    all().find(|setting| setting.key == key)
}
