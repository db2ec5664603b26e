//! The themes that are files, in `assets/themes`: colors by meaning.

/// A theme as a file.
#[derive(Clone, Copy, Debug)]
pub struct ThemeFile {
    pub name: &'static str,
    /// The file, in TOML.
    pub text: &'static str,
}

macro_rules! themes {
    ($($name:literal),*) => {
        /// The themes that are files.
        pub const FILES: &[ThemeFile] =
            &[$(ThemeFile { name: $name, text: include_str!(concat!("../../assets/themes/", $name, ".toml")) }),*];
        /// All values of the setting `theme`.
        pub const NAMES: &[&str] = &["auto", "dark", "light", "contrast", "plain", $($name),*];
    };
}

themes!(
    "catppuccin-latte",
    "catppuccin-mocha",
    "dracula",
    "everforest",
    "gruvbox",
    "gruvbox-light",
    "monokai",
    "nord",
    "one-dark",
    "rose-pine",
    "solarized-dark",
    "solarized-light",
    "tokyo-night"
);
