//! The magnet reader: what it accepts survives being written.

use ttui::wire::magnet::Magnet;

/// One input.
pub fn run(text: &str) {
    let Ok(it) = Magnet::parse(text) else { return };
    let again = Magnet::parse(&it.to_string()).unwrap();
    assert_eq!(again, Magnet { refused: Vec::new(), ..it });
}
