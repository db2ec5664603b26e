//! The readers of extended messages: the handshake's values are in range and safe to print, metadata messages are within
//! their bounds, and both survive being written.

use bytes::Bytes;
use ttui::wire::extension::Handshake;
use ttui::wire::extension::metadata::MetadataMessage;
use ttui::wire::sanitize::{CharHazard, hazard};

/// One input.
pub fn run(bytes: &[u8]) {
    if let Ok(message) = MetadataMessage::decode(&Bytes::copy_from_slice(bytes))
        && message != MetadataMessage::Unknown
    {
        assert_eq!(MetadataMessage::decode(&message.encode()), Ok(message));
    }
    let Ok(it) = Handshake::decode(bytes) else { return };
    assert!(it.client.iter().flat_map(|name| name.chars()).all(|c| hazard(c) == CharHazard::None));
    assert_eq!(Handshake::decode(&it.encode()), Ok(it));
}
