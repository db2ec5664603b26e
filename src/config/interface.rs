//! Interface settings: theme, key bindings, notifications, frame rate.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};

use crate::config::themes;

/// Default of the maximum frames per second.
pub const FRAMES: u32 = 30;
/// Upper bound of the `frames` setting.
pub const FRAMES_MOST: u32 = 60;

/// Settings of the interface.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Interface {
    pub theme: Theme,
    /// Use only ASCII characters, also in a terminal with Unicode support.
    pub ascii: bool,
    /// Enable mouse support.
    pub mouse: bool,
    /// Maximum frames per second, 1 to [`FRAMES_MOST`].
    pub frames: u32,
    /// How a completed download is notified.
    pub notify: Notify,
    /// Show progress in the terminal title.
    pub title: bool,
    /// Columns of the torrent list by name, as written in the config file; `None` shows the usual ones.
    pub torrent_columns: Option<Vec<String>>,
    /// Columns of the peer list by name, as written in the config file; `None` shows the usual ones.
    pub peer_columns: Option<Vec<String>>,
    /// How the lists are sorted, the open tab, the graph: as the interface was left.
    pub view: Option<Vec<String>>,
    /// Key bindings by action name, as written in the config file; they replace the default keys.
    pub keys: BTreeMap<String, Vec<String>>,
}

impl Default for Interface {
    fn default() -> Self {
        Interface {
            theme: Theme::default(),
            ascii: false,
            mouse: true,
            frames: FRAMES,
            notify: Notify::default(),
            title: true,
            torrent_columns: None,
            peer_columns: None,
            view: None,
            keys: BTreeMap::new(),
        }
    }
}

/// The color theme.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Theme {
    /// Detected from the terminal.
    #[default]
    Auto,
    /// For a dark background, which stays the terminal's own.
    Dark,
    Light,
    /// Few, high-contrast colors.
    Contrast,
    /// No colors.
    Plain,
    /// One of [`FILES`](themes::FILES).
    File(u8),
}

impl Theme {
    /// Returns the value of the setting.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Theme::Auto => "auto",
            Theme::Dark => "dark",
            Theme::Light => "light",
            Theme::Contrast => "contrast",
            Theme::Plain => "plain",
            Theme::File(at) => themes::FILES.get(usize::from(at)).map_or("auto", |file| file.name),
        }
    }
}

impl<'de> Deserialize<'de> for Theme {
    fn deserialize<D: Deserializer<'de>>(file: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;
        let name = String::deserialize(file)?;
        let files = (0..).zip(themes::FILES).map(|(at, _)| Theme::File(at));
        let mut all = [Theme::Auto, Theme::Dark, Theme::Light, Theme::Contrast, Theme::Plain].into_iter().chain(files);
        all.find(|theme| theme.name() == name).ok_or_else(|| D::Error::unknown_variant(&name, themes::NAMES))
    }
}

/// How a completed download is notified.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Notify {
    Off,
    /// The terminal bell.
    #[default]
    Bell,
    /// A desktop notification by the terminal (OSC 9 and OSC 777).
    Terminal,
    /// Bell and desktop notification.
    Both,
}

/// Deserializes the frames per second.
pub(super) fn frames<'de, D: Deserializer<'de>>(file: D) -> Result<Option<u32>, D::Error> {
    use serde::de::Error as _;
    let frames = u32::deserialize(file)?;
    if (1..=FRAMES_MOST).contains(&frames) {
        return Ok(Some(frames));
    }
    Err(D::Error::custom(format_args!("{frames} frames a second cannot be drawn")))
}

/// One key, or several for the same action.
#[derive(Deserialize)]
#[serde(untagged)]
enum Keys {
    One(String),
    Many(Vec<String>),
}

/// Deserializes the table of key bindings.
pub(super) fn keys<'de, D: Deserializer<'de>>(file: D) -> Result<BTreeMap<String, Vec<String>>, D::Error> {
    let table = BTreeMap::<String, Keys>::deserialize(file)?;
    let list = |keys| match keys {
        Keys::One(key) => vec![key],
        Keys::Many(keys) => keys,
    };
    Ok(table.into_iter().map(|(action, keys)| (action, list(keys))).collect())
}
