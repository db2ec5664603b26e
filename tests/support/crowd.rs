//! Those who name addresses: a tracker, peers that exchange, DHT nodes. They have nothing themselves.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ttui::wire::extension::{self, ours, pex::Pex, pex::PexFlags};
use ttui::wire::krpc::{Body, Node, NodeId, Packet, Query, Response};
use ttui::wire::message::{Handshake, InfoHash, PeerId, Reserved};

/// How many addresses were named.
pub type Named = Arc<AtomicUsize>;

/// An HTTP tracker on the loopback that names these, whoever asks; its announce URL. It ends with the program.
pub fn tracker(addrs: &[SocketAddrV4], named: &Named) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("the loopback can be bound");
    let url = format!("http://{}/announce", listener.local_addr().expect("it is bound"));
    let (addrs, named) = (addrs.to_vec(), Arc::clone(named));
    std::thread::spawn(move || {
        for mut socket in listener.incoming().flatten() {
            let mut asked = [0; 4096];
            let _ = socket.read(&mut asked);
            let peers: Vec<u8> = addrs.iter().flat_map(compact).collect();
            let head = format!("d8:intervali1800e5:peers{}:", peers.len());
            let body = [head.as_bytes(), &peers, b"e"].concat();
            named.fetch_add(addrs.len(), Ordering::Relaxed);
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            let _ = socket.write_all(&[head.as_bytes(), &body].concat());
        }
    });
    url
}

fn compact(addr: &SocketAddrV4) -> Vec<u8> {
    [&addr.ip().octets()[..], &addr.port().to_be_bytes()].concat()
}

/// A peer there that has nothing and names these to everybody who calls. It ends with the program.
pub fn gossip(at: SocketAddrV4, torrent: InfoHash, addrs: &[SocketAddrV4], named: &Named) {
    let listener = TcpListener::bind(at).expect("the address is ours");
    let (addrs, named) = (addrs.to_vec(), Arc::clone(named));
    std::thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            let (addrs, named) = (addrs.clone(), Arc::clone(&named));
            // One that speaks in another way than ours is left, and comes again.
            std::thread::spawn(move || tell(socket, false, PeerId([at.ip().octets()[2]; 20]), torrent, &addrs, &named));
        }
    });
}

/// The same, calling by itself. Returns when the addresses are told.
pub fn gossip_to(to: SocketAddr, torrent: InfoHash, addrs: &[SocketAddrV4], named: &Named) {
    let socket = TcpStream::connect(to).expect("somebody listens");
    let (addrs, named) = (addrs.to_vec(), Arc::clone(named));
    let told = Arc::clone(&named);
    let before = told.load(Ordering::Relaxed);
    std::thread::spawn(move || tell(socket, true, PeerId(*b"-TEST00-calls by sel"), torrent, &addrs, &named));
    while told.load(Ordering::Relaxed) == before {
        std::thread::yield_now();
    }
}

/// Shakes hands, names the addresses once, and stays as long as the other side does.
fn tell(
    mut socket: TcpStream,
    calls: bool,
    peer_id: PeerId,
    torrent: InfoHash,
    addrs: &[SocketAddrV4],
    named: &AtomicUsize,
) -> Option<()> {
    let reserved = Reserved([0, 0, 0, 0, 0, 0x10, 0, 0]);
    let mut theirs = [0; Handshake::LENGTH];
    if calls {
        socket.write_all(&Handshake { reserved, info_hash: torrent, peer_id }.encode()).ok()?;
    }
    socket.read_exact(&mut theirs).ok()?;
    Handshake::decode(&theirs).ok()?;
    if !calls {
        socket.write_all(&Handshake { reserved, info_hash: torrent, peer_id }.encode()).ok()?;
    }
    let hello = extension::Handshake { ut_pex: Some(1), ..extension::Handshake::default() }.encode();
    let added = addrs.iter().map(|addr| (SocketAddr::V4(*addr), PexFlags::default())).collect();
    let words = Pex { added, dropped: Vec::new() }.encode();
    for (id, payload) in [(0, hello), (ours::UT_PEX, words)] {
        let length = (payload.len() as u32 + 2).to_be_bytes();
        socket.write_all(&[&length[..], &[20, id], &payload].concat()).ok()?;
    }
    named.fetch_add(addrs.len(), Ordering::Relaxed);
    let mut sink = [0; 4096];
    while socket.read(&mut sink).ok()? > 0 {}
    Some(())
}

/// DHT nodes at these addresses, which know each other; each names some of the addresses. They end with the program.
pub fn nodes(at: &[SocketAddrV4], addrs: &[SocketAddrV4], named: &Named) {
    let mut rng = fastrand::Rng::with_seed(3);
    let all: Vec<Node> = at
        .iter()
        .map(|addr| Node {
            id: NodeId(rng.u128(..).to_be_bytes().repeat(2)[..20].try_into().expect("20")),
            addr: SocketAddr::V4(*addr),
        })
        .collect();
    let share = addrs.len().div_ceil(at.len());
    for (me, addrs) in all.clone().into_iter().zip(addrs.chunks(share)) {
        let socket = UdpSocket::bind(me.addr).expect("the address is ours");
        let (all, values, named) =
            (all.clone(), addrs.iter().map(|a| SocketAddr::V4(*a)).collect::<Vec<_>>(), Arc::clone(named));
        std::thread::spawn(move || {
            let mut buffer = [0; 2048];
            while let Ok((n, from)) = socket.recv_from(&mut buffer) {
                let Ok(Packet { transaction, body: Body::Query { query, .. }, .. }) = Packet::decode(&buffer[..n])
                else {
                    continue;
                };
                let mut answer = Response { id: me.id, nodes: all.clone(), ..Response::default() };
                if let Query::GetPeers { .. } = query {
                    (answer.values, answer.token) = (values.clone(), Some(b"token".to_vec()));
                    named.fetch_add(values.len(), Ordering::Relaxed);
                }
                let packet = Packet { transaction, ip: None, read_only: false, body: Body::Response(answer) };
                let _ = socket.send_to(&packet.encode(), from);
            }
        });
    }
}
