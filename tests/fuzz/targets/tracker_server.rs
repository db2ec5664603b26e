//! The tracker's server side: queries are refused or read within their ranges, and every answer can be read by a client.

use std::net::SocketAddr;

use ttui::wire::tracker::server::{
    AnnounceQuery, SCRAPES, ServerAnnounceResponse, encode_announce_response, encode_scrape, parse_scrape,
};
use ttui::wire::tracker::{ScrapeCounts, decode_announce_response, decode_scrape};

/// One input.
pub fn run(query: &str) {
    let hashes = parse_scrape(query);
    assert!(hashes.len() <= SCRAPES);
    let counts = ScrapeCounts { seeds: 1, leechers: 2, downloaded: 3 };
    let files: Vec<_> = hashes.iter().map(|hash| (*hash, counts)).collect();
    let scrape = encode_scrape(&files);
    for hash in &hashes {
        assert_eq!(decode_scrape(&scrape, hash).ok().flatten(), Some(counts));
    }
    let Ok(it) = AnnounceQuery::parse(query) else { return };
    assert!(it.port != 0);
    let peers = [SocketAddr::from(([9, 8, 7, 6], 5)), SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1], 7))];
    let answer = ServerAnnounceResponse {
        interval_s: 120,
        min_interval_s: 60,
        seeds: 1,
        leechers: 2,
        peers: peers.map(|addr| (addr, it.peer_id)).to_vec(),
    };
    let reply = decode_announce_response(&encode_announce_response(&answer, &it)).unwrap();
    assert!(peers.iter().all(|addr| reply.peers.contains(addr)));
}
