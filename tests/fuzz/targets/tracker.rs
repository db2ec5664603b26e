//! What trackers say, over HTTP and UDP: within its measure, and nobody whom nobody can be.

use ttui::limits;
use ttui::wire::message::InfoHash;
use ttui::wire::sanitize::{CharHazard, hazard};
use ttui::wire::tracker::udp::{Reply, Request};
use ttui::wire::tracker::{can_be_peer, decode_announce_response, decode_scrape};

/// One input.
pub fn run(bytes: &[u8]) {
    if let Ok(it) = decode_announce_response(bytes) {
        assert!(it.peers.len() <= limits::PEERS_PER_REPLY && it.peers.iter().all(can_be_peer));
        assert!(it.warning.iter().flat_map(|text| text.chars()).all(|c| hazard(c) == CharHazard::None));
    }
    let _ = decode_scrape(bytes, &InfoHash([1; 20]));
    for v6 in [false, true] {
        let _ = Reply::decode(bytes, v6);
    }
    let _ = Request::decode(bytes);
}
