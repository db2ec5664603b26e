//! The list of torrents of the last session: what is read survives being written.

use ttui::engine::session_store::{decode_list, encode_list};

/// One input.
pub fn run(bytes: &[u8]) {
    let Ok(list) = decode_list(bytes) else { return };
    for kept in &list {
        let _ = kept.hash();
    }
    let text = encode_list(list.clone()).unwrap();
    assert_eq!(decode_list(text.as_bytes()).unwrap(), list);
}
