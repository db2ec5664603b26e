//! The magnet reader: what it accepts survives being written.

use ttui::wire::link::embedded::magnets_in;
use ttui::wire::magnet::Magnet;

/// One input.
pub fn run(text: &str) {
    for link in magnets_in(text) {
        assert!(link.starts_with("magnet:?"), "{link}");
    }
    let in_file = Magnet::from_file(text.as_bytes()).and_then(Result::ok);
    [Magnet::parse(text).ok(), in_file].into_iter().flatten().for_each(survives);
}

fn survives(it: Magnet) {
    let again = Magnet::parse(&it.to_string()).unwrap();
    assert_eq!(again, Magnet { refused: Vec::new(), ..it });
}
