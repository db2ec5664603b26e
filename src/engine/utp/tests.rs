//! Tests of uTP: between two UDP endpoints, and against a plain UDP socket that violates the protocol.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};

use super::super::connector::{Connector, DialRequest};
use super::super::connector_config::{ConnectorConfig, TorrentRegistry};
use super::super::inbox::{ConnectedPeer, ConnectionLimit, TorrentHandle, TorrentInbox, TorrentMessage, inbox};
use super::super::listen::listen;
use super::super::threads::ThreadGroup;
use super::super::udp_endpoint::{UdpConfig, UdpEndpoint};
use super::*;
use crate::config::Encryption;
use crate::swarm::event::{DialHint, Input};
use crate::wire::message::{InfoHash, PeerId};

const TORRENT: InfoHash = InfoHash([7; 20]);

struct Peer {
    crew: ThreadGroup,
    connector: Connector,
    datagrams: UdpEndpoint,
    inbox: TorrentHandle,
    mail: TorrentInbox,
    addr: SocketAddr,
}

/// Starts a peer that can be reached over uTP only.
fn peer(id: u8) -> Peer {
    let (crew, routes, bind) =
        (ThreadGroup::default(), TorrentRegistry::default(), Some(IpAddr::V4(Ipv4Addr::LOCALHOST)));
    let mut listeners = listen(bind, 0, true);
    listeners.sockets.clear();
    let port = listeners.listening.port().unwrap();
    let (inbox, mail) = inbox();
    routes.open(TORRENT, inbox.clone());
    let config = ConnectorConfig {
        peer_id: PeerId([id; 20]),
        bind,
        encryption: Encryption::Prefer,
        routes,
        seats: ConnectionLimit::new(9),
        notice: Box::new(|_| ()),
        on_reachable: Box::new(|| ()),
    };
    let connector = Connector::start(&crew, listeners, config).unwrap();
    let datagrams =
        UdpEndpoint::start(&crew, UdpConfig { bind, port, dht: None, utp: Some(connector.utp_events()) }).unwrap();
    connector.set_utp(datagrams.utp.clone().unwrap());
    Peer { crew, connector, datagrams, inbox, mail, addr: (Ipv4Addr::LOCALHOST, port).into() }
}

impl Peer {
    fn dial(&self, addr: SocketAddr) {
        self.connector.dial(TORRENT, &self.inbox, vec![DialRequest::new(addr, DialHint::default())]);
    }

    fn next(&self) -> Result<ConnectedPeer, DisconnectReason> {
        match self.mail.recv_deadline(Instant::now() + Duration::from_secs(60)).unwrap().expect("something comes") {
            TorrentMessage::Connected(arrival) => Ok(arrival),
            TorrentMessage::Input(Input::DialFailed { why, .. }) => Err(why),
            _ => panic!("neither an arrival nor a failure"),
        }
    }
}

fn header(kind: Kind, connection: u16) -> Header {
    Header { kind, connection, sent: 1, delay: 0, window: 1 << 20, seq: 5, ack: 0 }
}

#[test]
fn two_meet_by_utp_and_part() {
    let (here, there) = (peer(1), peer(2));
    here.dial(there.addr);
    let (mut out, mut came) = (here.next().unwrap(), there.next().unwrap());
    assert!(out.hello.utp && out.hello.outgoing && came.hello.utp && !came.hello.outgoing);
    assert_eq!(out.hello.addr, there.addr);
    assert_eq!(came.hello.addr, here.addr);
    // The connector hands out blocking sockets; data and the end of the stream arrive over uTP.
    let said = vec![9; 3_000_000];
    let words = said.clone();
    let speaker = std::thread::spawn(move || {
        out.socket.write_all(&words).unwrap();
        drop(out);
    });
    let mut heard = Vec::new();
    came.socket.read_to_end(&mut heard).unwrap();
    speaker.join().unwrap();
    assert!(heard == said);
    drop(came);
    for peer in [here, there] {
        peer.connector.stop();
        peer.datagrams.stop();
        assert_eq!(peer.crew.wait(Instant::now() + Duration::from_secs(60)), Vec::<String>::new());
    }
}

#[test]
fn the_tcp_error_is_reported_if_utp_fails_too() {
    let here = peer(1);
    let nobody = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    here.dial(nobody.local_addr().unwrap());
    assert_eq!(here.next().err(), Some(DisconnectReason::Network("connection refused".to_owned())));
}

#[test]
fn half_open_incoming_streams_do_not_block_others() {
    let (here, there) = (peer(1), peer(2));
    let stranger = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    for n in 0..4 * limits::UTP_CALLERS as u16 {
        stranger.send_to(&header(Kind::Syn, n).encode(&[], &[]), there.addr).unwrap();
    }
    here.dial(there.addr);
    assert!(here.next().is_ok() && there.next().is_ok());
}

#[test]
fn unexpected_packets_get_a_reset_without_amplification() {
    let there = peer(2);
    let stranger = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    stranger.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut buffer = [0; 2000];
    for (kind, said) in [(Kind::Data, &b"words"[..]), (Kind::Fin, b""), (Kind::State, b"")] {
        stranger.send_to(&header(kind, 77).encode(&[], said), there.addr).unwrap();
        let n = stranger.recv(&mut buffer).unwrap();
        let packet = Packet::decode(&buffer[..n]).unwrap();
        assert_eq!((packet.header.kind, packet.header.connection, packet.header.ack), (Kind::Reset, 77, 5));
        assert_eq!(n, crate::wire::utp::HEADER);
    }
    // A reset is not answered, because two peers could reset each other forever; the SYN after it is.
    stranger.send_to(&header(Kind::Reset, 77).encode(&[], &[]), there.addr).unwrap();
    stranger.send_to(&header(Kind::Syn, 90).encode(&[], &[]), there.addr).unwrap();
    let n = stranger.recv(&mut buffer).unwrap();
    let answer = Packet::decode(&buffer[..n]).unwrap();
    assert_eq!((answer.header.kind, answer.header.connection, n), (Kind::State, 90, crate::wire::utp::HEADER));
}
