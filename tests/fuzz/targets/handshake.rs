//! The handshake of the peer protocol (BEP 3): read or refused, and what is read survives being written.

use ttui::wire::message::Handshake;

/// One input.
pub fn run(bytes: &[u8]) {
    let begins = Handshake::is_handshake_prefix(bytes);
    let Some(bytes) = bytes.first_chunk() else { return };
    match Handshake::decode(bytes) {
        Ok(it) => assert!(begins && it.encode() == *bytes),
        Err(_) => assert!(!begins),
    }
}
