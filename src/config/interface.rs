//! What is said of the interface: its colours, keys, and how it makes itself heard.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};

/// Frames a second unless something else is said.
pub const FRAMES: u32 = 30;
/// The most frames a second.
pub const FRAMES_MOST: u32 = 60;

/// How the interface looks and behaves.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Interface {
    /// The colours.
    pub theme: Theme,
    /// Write only ASCII, also where the terminal can do more.
    pub ascii: bool,
    /// Take the mouse.
    pub mouse: bool,
    /// The most frames a second, 1 to [`FRAMES_MOST`].
    pub frames: u32,
    /// How a completion is told.
    pub notify: Notify,
    /// Show progress in the terminal's title.
    pub title: bool,
    /// Keys for actions, by the action's name: they take the place of the usual ones. As the user wrote them.
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
            keys: BTreeMap::new(),
        }
    }
}

/// Which colours.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Theme {
    /// What fits the terminal, as far as it tells.
    #[default]
    Auto,
    /// For a dark ground.
    Dark,
    /// For a light ground.
    Light,
    /// Few and strong ones.
    Contrast,
    /// None.
    Plain,
}

/// How a completion is told to somebody who looks elsewhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Notify {
    /// Not at all.
    Off,
    /// The terminal's bell.
    #[default]
    Bell,
    /// A message that the terminal shows on the desktop (OSC 9 and 777).
    Terminal,
    /// Bell and message.
    Both,
}

/// Reads frames a second from the file.
pub(super) fn frames<'de, D: Deserializer<'de>>(file: D) -> Result<Option<u32>, D::Error> {
    use serde::de::Error as _;
    let frames = u32::deserialize(file)?;
    if (1..=FRAMES_MOST).contains(&frames) {
        return Ok(Some(frames));
    }
    Err(D::Error::custom(format_args!("{frames} frames a second cannot be drawn")))
}

/// A key, or several for one action.
#[derive(Deserialize)]
#[serde(untagged)]
enum Keys {
    One(String),
    Some(Vec<String>),
}

/// Reads the table of keys from the file.
pub(super) fn keys<'de, D: Deserializer<'de>>(file: D) -> Result<BTreeMap<String, Vec<String>>, D::Error> {
    let table = BTreeMap::<String, Keys>::deserialize(file)?;
    let list = |keys| match keys {
        Keys::One(key) => vec![key],
        Keys::Some(keys) => keys,
    };
    Ok(table.into_iter().map(|(action, keys)| (action, list(keys))).collect())
}
