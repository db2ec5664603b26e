//! The magnet reader: what it accepts survives being written.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ttui::wire::magnet::Magnet;

fuzz_target!(|text: &str| {
    let Ok(it) = Magnet::parse(text) else { return };
    let again = Magnet::parse(&it.to_string()).unwrap();
    assert_eq!(again, Magnet { refused: Vec::new(), ..it });
});
