//! The config file: it is understood, or refused in one harmless line.

use std::path::Path;

use ttui::config::parse;

/// One input.
pub fn run(text: &str) {
    if let Err(error) = parse(Path::new("config.toml"), text) {
        let sentence = error.to_string();
        assert!(sentence.contains("config.toml"), "{sentence:?}");
    }
}
