//! A DHT node among liars: whatever comes, in whatever order, it neither panics nor grows without end nor sends more than
//! its measure.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use ttui::limits;
use ttui::swarm::dht::{Dht, DhtConfig, DhtEffect};
use ttui::wire::krpc::Packet;
use ttui::wire::message::InfoHash;

/// Where the packets come from: near and far, of both families.
fn from(n: u8) -> SocketAddr {
    match n % 4 {
        0 => SocketAddr::from(([127, 0, 0, n], 6881)),
        1 => SocketAddr::from(([9, n, 1, 1], 6881)),
        2 => SocketAddr::from(([0x2001, 0xdb8, u16::from(n), 0, 0, 0, 0, 1], 6881)),
        _ => SocketAddr::from(([9, 9, 9, n], u16::from(n))),
    }
}

/// One input.
pub fn run(bytes: &[u8]) {
    let mut now = Instant::now();
    let known = (0..8).map(from).collect();
    let mut dht = Dht::new(now, DhtConfig { families: [true; 2], ids: [None; 2], known, secret: [1; 32], seed: 1 });
    let mut out = Vec::new();
    dht.poll(now, &mut out);
    dht.seek(now, InfoHash([1; 20]), Some(1), &mut out);
    // Questions that can still be answered.
    let mut asked: Vec<(SocketAddr, Vec<u8>)> = Vec::new();
    let mut rest = bytes;
    while let Some((&[how, who, length], after)) = rest.split_first_chunk() {
        let (part, after) = after.split_at(usize::from(length).min(after.len()));
        rest = after;
        match how % 8 {
            0 => dht.received(now, from(who), part, &mut out),
            1 => {
                now += Duration::from_millis(u64::from(who) * 100);
                dht.poll(now, &mut out);
            }
            2 => dht.add_node_hint(now, from(who), &mut out),
            3 => dht.forget(InfoHash([1; 20])),
            4 => dht.seek(now, InfoHash([who; 20]), None, &mut out),
            // An answer to a question that was asked, since no fuzzer finds its transaction.
            _ if !asked.is_empty() => {
                let (to, transaction) = asked.swap_remove(usize::from(who) % asked.len());
                let length = format!("{}:", transaction.len());
                let head = [&b"d1:rd2:id20:"[..], &[who; 20], part, b"e1:t"].concat();
                let packet = [&head[..], length.as_bytes(), &transaction, b"1:y1:re"].concat();
                dht.received(now, to, &packet, &mut out);
            }
            _ => {}
        }
        assert!(out.len() <= 1000, "{} at once", out.len());
        for effect in out.drain(..) {
            let DhtEffect::Send { to, packet } = effect else { continue };
            assert!(packet.len() <= limits::DHT_PACKET && to.port() != 0);
            let it = Packet::decode(&packet).expect("what it sends can be read");
            asked.push((to, it.transaction));
        }
        asked.truncate(400);
        assert!(dht.state(now).nodes.iter().sum::<u32>() < 5000);
    }
}
