//! The file of DHT nodes that the last session left: a bounded number of addresses, each of which can be a node.

use ttui::engine::dht::{decode_nodes, encode_nodes};
use ttui::limits;
use ttui::wire::tracker::can_be_peer;

/// One input.
pub fn run(bytes: &[u8]) {
    let Some((ids, nodes)) = decode_nodes(bytes) else { return };
    assert!(nodes.len() <= limits::DHT_FILE_NODES && nodes.iter().all(can_be_peer));
    let (ids_again, nodes_again) = decode_nodes(&encode_nodes(ids, &nodes)).unwrap();
    assert_eq!((ids_again, nodes_again.len()), (ids, nodes.len()));
}
