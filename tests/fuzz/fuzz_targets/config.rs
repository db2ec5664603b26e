//! The config file: it is understood, or refused in one harmless line.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use ttui::config::understand;

fuzz_target!(|text: &str| {
    if let Err(sentence) = understand(Path::new("config.toml"), text) {
        assert!(sentence.contains("config.toml"), "{sentence:?}");
    }
});
