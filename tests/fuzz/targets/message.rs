//! The peer protocol's reader: what it takes from a buffer is what it would write.

use bytes::Bytes;
use ttui::wire::message::{Frame, decode};

/// One input.
pub fn run(bytes: &[u8]) {
    let Some((pieces, bytes)) = bytes.split_first() else { return };
    let mut buf = Bytes::copy_from_slice(bytes);
    let pieces = (*pieces != 255).then_some(u32::from(*pieces));
    while let Ok(Frame::Message(message, taken)) = decode(&buf, pieces) {
        let mut again = Vec::new();
        message.encode(&mut again);
        assert_eq!(&again[..], &buf[..taken]);
        buf = buf.slice(taken..);
    }
}
