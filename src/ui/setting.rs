//! The keys of the config that can be set while it runs: what each is called, and how it is changed.

use Kind::{Choice, List, Number, Switch, Text, Unswitch};

/// How a value is changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// On or off; its default.
    Switch(bool),
    /// The key says that it is off.
    Unswitch,
    /// One of these; the first is the default.
    Choice(&'static [&'static str]),
    /// A number.
    Number,
    /// A text in quotes.
    Text,
    /// Several texts, parted by commas where they are typed.
    List,
}

/// One key of the config.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Its name in the file.
    pub key: &'static str,
    /// What people call it.
    pub title: &'static str,
    /// What it is, in a sentence.
    pub help: &'static str,
    /// How it is changed.
    pub kind: Kind,
    /// What holds where nothing is said.
    pub default: &'static str,
    /// Whether it is heeded at once, or from the next start.
    pub live: bool,
}

const fn setting(
    key: &'static str,
    title: &'static str,
    kind: Kind,
    default: &'static str,
    live: bool,
    help: &'static str,
) -> Setting {
    Setting { key, title, help, kind, default, live }
}

/// All of them: what is changed most stands first. A group begins where the title is empty.
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
                Unswitch,
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
            setting("no-dht", "DHT", Unswitch, "on", false, "Find peers without a tracker."),
            setting(
                "dht-nodes",
                "first DHT nodes",
                List,
                "the well-known ones",
                false,
                "host:port, with commas between.",
            ),
            setting("no-pex", "peer exchange", Unswitch, "on", false, "Learn of peers from peers."),
            setting("no-lsd", "local discovery", Unswitch, "on", false, "Find peers on the local network."),
            setting("lan-unlimited", "LAN peers unlimited", Switch(false), "off", false, "No limits for them."),
            setting("no-utp", "uTP", Unswitch, "on", false, "The transport that makes room for others."),
            setting("no-port-map", "port mapping", Unswitch, "on", false, "Ask the router to forward the port."),
        ],
    ),
];

/// A line of the list.
pub enum Line {
    /// Above a group.
    Heading(&'static str),
    /// A key.
    Of(&'static Setting),
}

/// The lines of the list.
pub fn lines() -> impl Iterator<Item = Line> {
    SETTINGS
        .iter()
        .flat_map(|(title, settings)| std::iter::once(Line::Heading(title)).chain(settings.iter().map(Line::Of)))
}

/// The setting on this line; `None` on a heading.
#[must_use]
pub fn nth(at: usize) -> Option<&'static Setting> {
    match lines().nth(at) {
        Some(Line::Of(setting)) => Some(setting),
        _ => None,
    }
}

/// The settings with their lines: title, and key of the config.
pub fn titles() -> impl Iterator<Item = (usize, &'static str, &'static str)> {
    lines().enumerate().filter_map(|(at, line)| match line {
        Line::Of(setting) => Some((at, setting.title, setting.key)),
        Line::Heading(_) => None,
    })
}
