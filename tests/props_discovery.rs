//! Properties of the codecs by which peers and nodes tell of others: what is encoded comes back, and no bytes surprise a
//! decoder.

#![allow(clippy::unwrap_used)]

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use proptest::collection::vec;
use proptest::prelude::*;
use ttui::limits;
use ttui::swarm::dht::{Dht, DhtConfig};
use ttui::wire::bencode::OwnedValue;
use ttui::wire::extension::pex::{Pex, PexFlags};
use ttui::wire::krpc::{Body, Node, NodeId, Packet, Query, Response, WantFamilies};
use ttui::wire::message::InfoHash;
use ttui::wire::tracker::can_be_peer;

fn v4() -> impl Strategy<Value = SocketAddr> {
    (0x0100_0000..0xdfff_ffff_u32, 1..=u16::MAX).prop_map(|(ip, port)| (Ipv4Addr::from(ip), port).into())
}

fn v6() -> impl Strategy<Value = SocketAddr> {
    (any::<u64>(), 1..=u16::MAX).prop_map(|(ip, port)| (Ipv6Addr::from(0x2001 << 112 | u128::from(ip)), port).into())
}

/// Addresses, IPv4 before IPv6, as lists of them come back.
fn addrs(most: usize) -> impl Strategy<Value = Vec<SocketAddr>> {
    (vec(v4(), 0..most), vec(v6(), 0..most)).prop_map(|(four, six)| [four, six].concat())
}

proptest! {
    #[test]
    fn peer_exchange_survives_the_way_there_and_back(added in addrs(60), flags in any::<u8>(), dropped in addrs(60)) {
        let added = added.into_iter().enumerate().map(|(n, addr)| (addr, PexFlags(flags.wrapping_add(n as u8)))).collect();
        let it = Pex { added, dropped };
        prop_assert_eq!(Pex::decode(&it.encode(), 200), Ok(it));
    }

    #[test]
    fn no_bytes_surprise_the_reader_of_peer_exchange(bytes in vec(any::<u8>(), 0..300), most in 0..60_usize) {
        let _ = Pex::decode(&bytes, most);
        let entries = ["added", "added.f", "added6", "dropped"].map(|key| (key, OwnedValue::from(bytes.clone())));
        let it = Pex::decode(&OwnedValue::dictionary(entries).encode(), most).unwrap();
        prop_assert!(it.added.len() <= most && it.dropped.len() <= most);
        prop_assert!(it.added.iter().all(|(addr, _)| can_be_peer(addr)) && it.dropped.iter().all(can_be_peer));
    }

    #[test]
    fn peer_exchange_that_is_too_long_is_refused_unread(more in 1..1000_usize) {
        prop_assert!(Pex::decode(&vec![b'd'; limits::PEX_MESSAGE + more], 50).is_err());
    }
}

fn node() -> impl Strategy<Value = Node> {
    (any::<[u8; 20]>(), prop_oneof![v4(), v6()]).prop_map(|(id, addr)| Node { id: NodeId(id), addr })
}

fn want() -> impl Strategy<Value = WantFamilies> {
    any::<(bool, bool)>().prop_map(|(four, six)| WantFamilies { four, six })
}

fn body() -> impl Strategy<Value = Body> {
    let hash = || any::<[u8; 20]>().prop_map(InfoHash);
    let token = || vec(any::<u8>(), 0..limits::DHT_TOKEN);
    let query = prop_oneof![
        Just(Query::Ping),
        (any::<[u8; 20]>(), want()).prop_map(|(target, want)| Query::FindNode { target: NodeId(target), want }),
        (hash(), want()).prop_map(|(info_hash, want)| Query::GetPeers { info_hash, want }),
        (hash(), proptest::option::of(1..=u16::MAX), token())
            .prop_map(|(info_hash, port, token)| Query::AnnouncePeer { info_hash, port, token }),
    ];
    let response = (any::<[u8; 20]>(), vec(node(), 0..10), addrs(10), proptest::option::of(token())).prop_map(
        |(id, mut nodes, values, token)| {
            nodes.sort_by_key(|node| node.addr.is_ipv6());
            Response { id: NodeId(id), nodes, values, token }
        },
    );
    prop_oneof![
        (any::<[u8; 20]>(), query).prop_map(|(id, query)| Body::Query { id: NodeId(id), query }),
        response.prop_map(Body::Response),
        (200..300_i64).prop_map(Body::Error),
    ]
}

fn packet() -> impl Strategy<Value = Packet> {
    let transaction = vec(any::<u8>(), 1..=limits::DHT_TRANSACTION);
    (transaction, proptest::option::of(prop_oneof![v4(), v6()]), any::<bool>(), body())
        .prop_map(|(transaction, ip, read_only, body)| Packet { transaction, ip, read_only, body })
}

proptest! {
    #[test]
    fn packets_of_nodes_survive_the_way_there_and_back(it in packet()) {
        prop_assert_eq!(Packet::decode(&it.encode()), Ok(it));
    }

    #[test]
    fn no_packet_surprises_a_node(
        mut packets in vec(packet().prop_map(|it| it.encode()), 1..20),
        noise in vec(any::<u8>(), 0..200),
        cuts in vec((any::<proptest::sample::Index>(), any::<u8>()), 20),
        from in vec(prop_oneof![v4(), v6()], 20),
    ) {
        let now = std::time::Instant::now();
        let (ids, known) = ([None; 2], from[..3].to_vec());
        let mut dht = Dht::new(now, DhtConfig { families: [true; 2], ids, known, secret: [1; 32], seed: 1 });
        let mut out = Vec::new();
        dht.poll(now, &mut out);
        dht.seek(now, InfoHash([1; 20]), Some(1), &mut out);
        packets.push(noise);
        for (packet, ((at, byte), from)) in packets.iter_mut().zip(cuts.into_iter().zip(&from)) {
            dht.received(now, *from, packet, &mut out);
            if !packet.is_empty() {
                let at = at.index(packet.len());
                packet[at] ^= byte;
                dht.received(now, *from, packet, &mut out);
                dht.received(now, *from, &packet[..at], &mut out);
            }
        }
        dht.poll(now + std::time::Duration::from_secs(20), &mut out);
        prop_assert_eq!(dht.state(now).nodes, [0, 0], "nobody was asked and answered");
        prop_assert!(out.len() < 200);
    }
}
