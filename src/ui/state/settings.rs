//! UI settings currently in effect; the settings dialog changes them at run time.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::config::interface::{FRAMES, Notify, Theme as Wish};
use crate::config::{Config, Encryption};
use crate::ui::effect::{NotifyChannels, NotifyProtocol};
use crate::ui::state::columns::{self, PEER_COLUMNS, PeerColumn, TORRENT_COLUMNS, TorrentColumn};
use crate::ui::theme::style::{ColorDepth, Theme, ThemeName};

/// Config key of how the interface was left.
pub(crate) const VIEW_KEY: &str = "view";

/// Frame interval while only clocks change.
const IDLE: Duration = Duration::from_secs(1);
/// How long after the last input the configured frame rate applies.
const AWAKE: Duration = Duration::from_secs(3);

/// UI settings.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UiSettings {
    /// How to notify about a completed torrent.
    pub notify: Notify,
    /// Notification protocol of the terminal.
    pub notify_protocol: NotifyProtocol,
    /// Whether to show progress in the window title.
    pub title: bool,
    /// Maximum frames per second.
    pub frames: u32,
    /// Whether the mouse is captured.
    pub mouse: bool,
    /// The theme detected for the terminal.
    pub detected_theme: ThemeName,
    /// Color depth of the terminal.
    pub colours: ColorDepth,
    /// Whether the terminal reports a light background.
    pub light_ground: bool,
    /// Whether the locale is not UTF-8, so that only ASCII is drawn.
    pub ascii_locale: bool,
    /// Config values by key, in TOML syntax; missing keys have their default.
    pub values: BTreeMap<&'static str, String>,
    /// Columns of the torrent list.
    pub torrent_columns: Vec<TorrentColumn>,
    /// Columns of the peer list.
    pub peer_columns: Vec<PeerColumn>,
    /// Directory last shown by the file picker.
    pub visited: Option<String>,
    /// Current window title.
    pub window_title: String,
}

impl Default for UiSettings {
    fn default() -> Self {
        UiSettings {
            notify: Notify::default(),
            notify_protocol: NotifyProtocol::default(),
            title: true,
            frames: FRAMES,
            mouse: true,
            detected_theme: ThemeName::default(),
            colours: ColorDepth::default(),
            light_ground: false,
            ascii_locale: false,
            values: BTreeMap::new(),
            torrent_columns: columns::usual(TORRENT_COLUMNS),
            peer_columns: columns::usual(PEER_COLUMNS),
            visited: None,
            window_title: String::new(),
        }
    }
}

impl UiSettings {
    /// Returns the channels for completion notifications.
    #[must_use]
    pub fn notify_channels(&self) -> NotifyChannels {
        let words = matches!(self.notify, Notify::Terminal | Notify::Both);
        NotifyChannels {
            bell: matches!(self.notify, Notify::Bell | Notify::Both),
            words: words.then_some(self.notify_protocol),
        }
    }

    /// Returns the theme for a config value.
    #[must_use]
    pub fn theme(&self, wish: Wish, ascii: bool) -> Theme {
        let name = match wish {
            Wish::Auto => self.detected_theme,
            Wish::Dark => ThemeName::Dark,
            Wish::Light => ThemeName::Light,
            Wish::Contrast => ThemeName::Contrast,
            Wish::Plain => ThemeName::Plain,
            Wish::File(at) => ThemeName::File(at),
        };
        self.fitted(name, ascii)
    }

    /// Returns the theme of that name, reduced to what the terminal can show.
    #[must_use]
    pub fn fitted(&self, name: ThemeName, ascii: bool) -> Theme {
        let mut theme = Theme::fitted(name, ascii || self.ascii_locale, self.colours);
        theme.light_ground = self.light_ground;
        theme
    }

    /// Returns the minimum frame interval: as configured, or one second while `still` and without recent input.
    #[must_use]
    pub fn min_frame_interval(&self, still: bool, touched: Duration) -> Duration {
        if still && touched > AWAKE { IDLE } else { Duration::from_secs(1) / self.frames.max(1) }
    }
}

/// Returns the config values that differ from their defaults, by key, in TOML syntax.
pub(crate) fn values(config: &Config) -> BTreeMap<&'static str, String> {
    let mut values = BTreeMap::new();
    let mut put = |key, value: Option<String>| {
        values.extend(value.map(|value| (key, value)));
    };
    let text = |text: &str| Some(quoted(text));
    let switch = |on: bool| on.then(|| "true".to_owned());
    // The current directory is the default.
    put("dir", text(&config.dir.to_string_lossy()).filter(|_| config.dir.as_os_str() != "."));
    put("port", (config.port != crate::config::PORT).then(|| config.port.to_string()));
    put("bind", config.bind.map(|ip| quoted(&ip.to_string())));
    put("no-dht", switch(!config.dht));
    let nodes = config.dht_nodes.iter().map(String::as_str);
    put("dht-nodes", (!nodes.clone().eq(crate::config::DHT_NODES)).then(|| strings(nodes)));
    put("no-lsd", switch(!config.lsd));
    put("lan-unlimited", switch(config.lan_unlimited));
    put("no-pex", switch(!config.pex));
    put("no-utp", switch(!config.utp));
    put("no-port-map", switch(!config.port_map));
    put("max-peers", (config.max_peers != crate::limits::PEERS_ALL).then(|| config.max_peers.to_string()));
    put("max-active", config.max_active.map(|n| n.to_string()));
    put("down-limit", config.down_limit.map(|rate| quoted(&rate_text(rate))));
    put("up-limit", config.up_limit.map(|rate| quoted(&rate_text(rate))));
    let encryption = match config.encryption {
        Encryption::Off => "off",
        Encryption::Prefer => "prefer",
        Encryption::Require => "require",
    };
    put("encryption", text(encryption));
    let interface = &config.interface;
    put("theme", text(interface.theme.name()));
    put("ascii", switch(interface.ascii));
    put("no-mouse", switch(!interface.mouse));
    put("frames", Some(interface.frames.to_string()));
    let notify = match interface.notify {
        Notify::Off => "off",
        Notify::Bell => "bell",
        Notify::Terminal => "terminal",
        Notify::Both => "both",
    };
    put("notify", text(notify));
    put("title", Some(interface.title.to_string()));
    let names = |names: &Option<Vec<String>>| names.as_ref().map(|names| strings(names.iter().map(String::as_str)));
    put(columns::TORRENT_KEY, names(&interface.torrent_columns));
    put(columns::PEER_KEY, names(&interface.peer_columns));
    put(VIEW_KEY, names(&interface.view));
    values
}

/// Quotes a text as a TOML string.
pub(crate) fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// Formats texts as a TOML array.
pub(crate) fn strings<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    toml::Value::Array(texts.map(|text| toml::Value::String(text.to_owned())).collect()).to_string()
}

/// Formats bytes per second for the config: `512K`, `10M`, `512KiB`, or a plain number if no unit divides evenly.
pub(crate) fn rate_text(bytes: u64) -> String {
    let units =
        [("G", 1_000_000_000), ("M", 1_000_000), ("K", 1000), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    let unit = units.iter().find(|(_, unit)| bytes > 0 && bytes.is_multiple_of(*unit));
    unit.map_or_else(|| bytes.to_string(), |(word, unit)| format!("{}{word}", bytes / unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_screen_that_nobody_touches_is_drawn_once_a_second() {
        let options = UiSettings { frames: 20, ..UiSettings::default() };
        let second = Duration::from_secs;
        let frame = Duration::from_millis(50);
        assert_eq!(options.min_frame_interval(false, second(60)), frame);
        assert_eq!(options.min_frame_interval(true, second(1)), frame);
        assert_eq!(options.min_frame_interval(true, second(60)), second(1));
    }

    #[test]
    fn rates_are_written_so_that_they_are_read_the_same() {
        for (bytes, text) in
            [(0, "0"), (524_288, "512KiB"), (512_000, "512K"), (10_000_000, "10M"), (1501, "1501"), (3 << 30, "3GiB")]
        {
            assert_eq!(rate_text(bytes), text);
            assert_eq!(crate::config::size::size(text), Ok(bytes));
        }
        assert_eq!(quoted("a\"b"), "'a\"b'");
    }
}
