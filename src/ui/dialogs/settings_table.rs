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
                "Bytes a second of all torrents together, as in 512K or 10MB/s; 0 is no limit.",
            ),
            setting(
                "up-limit",
                "upload limit",
                Text,
                "none",
                true,
                "Bytes a second of all torrents together, as in 512K or 10MB/s; 0 is no limit.",
            ),
            setting(
                "max-active",
                "downloads at once",
                Number,
                "default",
                true,
                "The others wait in the queue; 0 is no limit.",
            ),
            setting(
                "max-peers",
                "connections",
                Number,
                "default",
                true,
                "The most connections of all torrents together.",
            ),
        ],
    ),
    (
        "Files",
        &[setting(
            "dir",
            "download folder",
            Text,
            "where ttui was started",
            true,
            "Where downloads go unless the add box says something else.",
        )],
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
                "The colours; auto is what fits the terminal, plain has none.",
            ),
            setting(
                "notify",
                "on completion",
                Choice(&["bell", "off", "terminal", "both"]),
                "bell",
                true,
                "Ring the bell, let the terminal show it on the desktop, both, or nothing.",
            ),
            setting(
                "title",
                "window title",
                Switch(true),
                "on",
                true,
                "Show progress in the title of the terminal's window.",
            ),
            setting(
                "no-mouse",
                "mouse",
                NegatedSwitch,
                "on",
                true,
                "Clicks and the wheel; without it, the terminal can select text as usual.",
            ),
            setting(
                "frames",
                "frames a second",
                Number,
                "30",
                true,
                "At most so many, 1 to 60; few are better over a slow line.",
            ),
            setting(
                "ascii",
                "only ASCII",
                Switch(false),
                "off",
                true,
                "For terminals and fonts that have no lines and blocks.",
            ),
        ],
    ),
    (
        "Network",
        &[
            setting("port", "port", Number, "6881", false, "Peers reach us there; 0 lets the system choose."),
            setting("bind", "address", Text, "all", false, "Listen on this address only, and connect from it."),
            setting(
                "encryption",
                "encryption",
                Choice(&["prefer", "off", "require"]),
                "prefer",
                false,
                "Whether connections are encrypted.",
            ),
            setting("no-dht", "DHT", NegatedSwitch, "on", false, "Find peers without a tracker."),
            setting(
                "dht-nodes",
                "first DHT nodes",
                List,
                "the well-known ones",
                false,
                "host:port, with commas between.",
            ),
            setting("no-pex", "peer exchange", NegatedSwitch, "on", false, "Learn of peers from peers."),
            setting("no-lsd", "local discovery", NegatedSwitch, "on", false, "Find peers on the local network."),
            setting("lan-unlimited", "LAN peers unlimited", Switch(false), "off", false, "No limits for them."),
            setting("no-utp", "uTP", NegatedSwitch, "on", false, "The transport that makes room for others."),
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
