//! The handshake of the peer protocol (BEP 3): read or refused, and what is read survives being written.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ttui::wire::message::Handshake;

fuzz_target!(|bytes: &[u8]| {
    let begins = Handshake::begins(bytes);
    let Some(bytes) = bytes.first_chunk() else { return };
    match Handshake::decode(bytes) {
        Ok(it) => assert!(begins && it.encode() == *bytes),
        Err(_) => assert!(!begins),
    }
});
