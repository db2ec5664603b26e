//! The reader of local discovery: what it takes is in range, and survives being said again as far as a datagram reaches.

use ttui::wire::lsd::{COOKIE, DATAGRAM, GROUP_V4, GROUP_V6, LsdAnnounce};

/// One input.
pub fn run(bytes: &[u8]) {
    let Ok(it) = LsdAnnounce::decode(bytes) else { return };
    assert!(it.port != 0 && !it.info_hashes.is_empty() && it.cookie.len() <= COOKIE);
    for group in [GROUP_V4.into(), GROUP_V6.into()] {
        let said = it.encode(group);
        assert!(said.len() <= DATAGRAM && said.is_ascii());
        let again = LsdAnnounce::decode(&said).unwrap();
        assert_eq!(again.port, it.port);
        assert!(it.info_hashes.starts_with(&again.info_hashes));
    }
}
