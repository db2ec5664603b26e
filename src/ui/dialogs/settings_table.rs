//! The table of config keys that the settings dialog can change.

use Kind::{Choice, List, NegatedSwitch, Number, Switch, Text};

/// How a value is edited.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A boolean, with its default.
    Switch(bool),
    /// A boolean whose config key is the negation, such as `no-dht`.
    NegatedSwitch,
    /// One of these values; the first is the default.
    Choice(&'static [&'static str]),
    Number,
    /// A quoted string.
    Text,
    /// A list of strings, typed with commas.
    List,
}

/// A config key.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Name in the config file.
    pub key: &'static str,
    /// Displayed name.
    pub title: &'static str,
    /// Description, one sentence.
    pub help: &'static str,
    /// How the value is edited.
    pub kind: Kind,
    /// Displayed default.
    pub default: &'static str,
    /// Whether a change applies immediately rather than after a restart.
    pub applies_immediately: bool,
}

const fn setting(
    key: &'static str,
    title: &'static str,
    kind: Kind,
    default: &'static str,
    live: bool,
    help: &'static str,
) -> Setting {
    Setting { key, title, help, kind, default, applies_immediately: live }
}

/// All settings in groups, each with its heading; the most commonly changed first.
pub const SETTINGS: &[(&str, &[Setting])] = &[
    (
        "Speed and queue",
        &[
            setting(
                "down-limit",
                "download limit",
                Text,
                "none",
                true,
                "Bytes per second for all torrents, as in 512K or 10MB/s; 0 is no limit.",
            ),
            setting(
                "up-limit",
                "upload limit",
                Text,
                "none",
                true,
                "Bytes per second for all torrents, as in 512K or 10MB/s; 0 is no limit.",
            ),
            setting(
                "max-active",
                "active downloads",
                Number,
                "default",
                true,
                "Maximum; others are queued. 0 is no limit.",
            ),
            setting(
                "max-peers",
                "connections",
                Number,
                "default",
                true,
                "Maximum number of connections, all torrents.",
            ),
        ],
    ),
    (
        "Files",
        &[setting("dir", "download folder", Text, "where ttui was started", true, "Default folder for new downloads.")],
    ),
    (
        "Interface",
        &[
            setting(
                "theme",
                "theme",
                Choice(&["auto", "dark", "light", "contrast", "plain"]),
                "auto",
                true,
                "Colors; auto detects the terminal, plain has none.",
            ),
            setting(
                "notify",
                "on completion",
                Choice(&["bell", "off", "terminal", "both"]),
                "bell",
                true,
                "Ring the bell, show a desktop notification, both, or neither.",
            ),
            setting("title", "window title", Switch(true), "on", true, "Show progress in the terminal's window title."),
            setting(
                "no-mouse",
                "mouse",
                NegatedSwitch,
                "on",
                true,
                "Clicks and wheel; off leaves text selection to the terminal.",
            ),
            setting(
                "frames",
                "frame rate",
                Number,
                "30",
                true,
                "Maximum frames per second, 1 to 60; use few on slow links.",
            ),
            setting("ascii", "ASCII only", Switch(false), "off", true, "For terminals and fonts without box drawing."),
        ],
    ),
    (
        "Network",
        &[
            setting("port", "port", Number, "6881", false, "Port to listen on; 0 lets the system choose."),
            setting("bind", "bind address", Text, "any", false, "Listen on and connect from this address only."),
            setting(
                "encryption",
                "encryption",
                Choice(&["prefer", "off", "require"]),
                "prefer",
                false,
                "Encryption policy for peer connections.",
            ),
            setting("no-dht", "DHT", NegatedSwitch, "on", false, "Find peers without a tracker."),
            setting("dht-nodes", "DHT bootstrap nodes", List, "built-in", false, "host:port, comma-separated."),
            setting("no-pex", "peer exchange", NegatedSwitch, "on", false, "Exchange peer addresses with peers (PEX)."),
            setting("no-lsd", "local discovery", NegatedSwitch, "on", false, "Find peers on the local network."),
            setting(
                "lan-unlimited",
                "LAN peers unlimited",
                Switch(false),
                "off",
                false,
                "No rate limits for LAN peers.",
            ),
            setting("no-utp", "uTP", NegatedSwitch, "on", false, "uTP (BEP 29): yields to other traffic."),
            setting("no-port-map", "port mapping", NegatedSwitch, "on", false, "Ask the router to forward the port."),
        ],
    ),
];

/// A row of the settings dialog.
pub enum Line {
    /// Heading of a group.
    Heading(&'static str),
    /// A setting.
    Of(&'static Setting),
}

/// Returns all rows.
pub fn lines() -> impl Iterator<Item = Line> {
    SETTINGS
        .iter()
        .flat_map(|(title, settings)| std::iter::once(Line::Heading(title)).chain(settings.iter().map(Line::Of)))
}

/// Returns the setting of a row; `None` for a heading.
#[must_use]
pub fn nth(at: usize) -> Option<&'static Setting> {
    match lines().nth(at) {
        Some(Line::Of(setting)) => Some(setting),
        _ => None,
    }
}

/// Returns the settings with their row, title and config key.
pub fn titles() -> impl Iterator<Item = (usize, &'static str, &'static str)> {
    lines().enumerate().filter_map(|(at, line)| match line {
        Line::Of(setting) => Some((at, setting.title, setting.key)),
        Line::Heading(_) => None,
    })
}
