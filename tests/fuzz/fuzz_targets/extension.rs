//! The extended handshake's reader: its values are in range and safe to print, and survive being written.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ttui::wire::extension::Handshake;
use ttui::wire::text::{Harm, harm};

fuzz_target!(|bytes: &[u8]| {
    let Ok(it) = Handshake::decode(bytes) else { return };
    assert!(it.client.iter().flat_map(|name| name.chars()).all(|c| harm(c) == Harm::None));
    assert_eq!(Handshake::decode(&it.encode()), Ok(it));
});
