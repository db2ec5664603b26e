//! What the config says of the interface, as it holds now: settings change it while it runs.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::config::interface::{FRAMES, Notify, Theme as Wish};
use crate::config::{Config, Encryption};
use crate::ui::outward::{Calls, Ways};
use crate::ui::style::{Colours, Theme, ThemeName};

/// The time between two frames of a screen on which nothing moves but clocks.
const IDLE: Duration = Duration::from_secs(1);
/// How long after a key the screen counts as looked at.
const AWAKE: Duration = Duration::from_secs(3);

/// The options.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Options {
    /// How a completion is told.
    pub notify: Notify,
    /// In which words the terminal shows something on the desktop.
    pub calls: Calls,
    /// Whether progress is shown in the title of the window.
    pub title: bool,
    /// The most frames a second.
    pub frames: u32,
    /// Whether the mouse is taken.
    pub mouse: bool,
    /// The theme that fits the terminal, as far as it tells.
    pub fitting: ThemeName,
    /// How many colours the terminal has.
    pub colours: Colours,
    /// Whether the terminal says that its ground is light.
    pub light_ground: bool,
    /// The locale has no more than ASCII, whatever the config says.
    pub old_locale: bool,
    /// Values of the config by their keys, as TOML has them; what is not here has its default.
    pub values: BTreeMap<&'static str, String>,
    /// The folder that the file picker showed last.
    pub visited: Option<String>,
    /// The title that the window has.
    pub titled: String,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            notify: Notify::default(),
            calls: Calls::default(),
            title: true,
            frames: FRAMES,
            mouse: true,
            fitting: ThemeName::default(),
            colours: Colours::default(),
            light_ground: false,
            old_locale: false,
            values: BTreeMap::new(),
            visited: None,
            titled: String::new(),
        }
    }
}

impl Options {
    /// By which ways a completion goes out.
    #[must_use]
    pub fn ways(&self) -> Ways {
        let words = matches!(self.notify, Notify::Terminal | Notify::Both);
        Ways { bell: matches!(self.notify, Notify::Bell | Notify::Both), words: words.then_some(self.calls) }
    }

    /// The theme that a word of the config names.
    #[must_use]
    pub fn theme(&self, wish: Wish, ascii: bool) -> Theme {
        let name = match wish {
            Wish::Auto => self.fitting,
            Wish::Dark => ThemeName::Dark,
            Wish::Light => ThemeName::Light,
            Wish::Contrast => ThemeName::Contrast,
            Wish::Plain => ThemeName::Plain,
        };
        self.fitted(name, ascii)
    }

    /// The theme of that name, as the terminal can show it.
    #[must_use]
    pub fn fitted(&self, name: ThemeName, ascii: bool) -> Theme {
        let mut theme = Theme::fitted(name, ascii || self.old_locale, self.colours);
        theme.light_ground = self.light_ground;
        theme
    }

    /// The shortest time between two frames: as the config has it, and a second on a `still` screen that nobody touches.
    #[must_use]
    pub fn pause(&self, still: bool, touched: Duration) -> Duration {
        if still && touched > AWAKE { IDLE } else { Duration::from_secs(1) / self.frames.max(1) }
    }
}

/// The values of a config that differ from what nobody has said, by their keys, as TOML has them.
#[must_use]
pub fn values(config: &Config) -> BTreeMap<&'static str, String> {
    let mut values = BTreeMap::new();
    let mut put = |key, value: Option<String>| {
        values.extend(value.map(|value| (key, value)));
    };
    let text = |text: &str| Some(quoted(text));
    let switch = |on: bool| on.then(|| "true".to_owned());
    // The current folder is what holds where nothing was said.
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
    let theme = match interface.theme {
        Wish::Auto => "auto",
        Wish::Dark => "dark",
        Wish::Light => "light",
        Wish::Contrast => "contrast",
        Wish::Plain => "plain",
    };
    put("theme", text(theme));
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
    values
}

/// A text as TOML has it.
#[must_use]
pub fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// Texts as a list of TOML.
#[must_use]
pub fn strings<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    toml::Value::Array(texts.map(|text| toml::Value::String(text.to_owned())).collect()).to_string()
}

/// Bytes a second as the config has them: `512K`, `10MB`, or the number where no unit fits.
#[must_use]
pub fn rate_text(bytes: u64) -> String {
    let units =
        [("G", 1 << 30), ("GB", 1_000_000_000), ("M", 1 << 20), ("MB", 1_000_000), ("K", 1 << 10), ("KB", 1000)];
    let unit = units.iter().find(|(_, unit)| bytes > 0 && bytes.is_multiple_of(*unit));
    unit.map_or_else(|| bytes.to_string(), |(word, unit)| format!("{}{word}", bytes / unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_screen_that_nobody_touches_is_drawn_once_a_second() {
        let options = Options { frames: 20, ..Options::default() };
        let second = Duration::from_secs;
        let frame = Duration::from_millis(50);
        assert_eq!(options.pause(false, second(60)), frame);
        assert_eq!(options.pause(true, second(1)), frame);
        assert_eq!(options.pause(true, second(60)), second(1));
    }

    #[test]
    fn rates_are_written_so_that_they_are_read_the_same() {
        for (bytes, text) in [(0, "0"), (524_288, "512K"), (10_000_000, "10MB"), (1500, "1500"), (3 << 30, "3G")] {
            assert_eq!(rate_text(bytes), text);
            assert_eq!(crate::config::size::size(text), Ok(bytes));
        }
        assert_eq!(quoted("a\"b"), "'a\"b'");
    }
}
